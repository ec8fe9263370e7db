//! Plays with planted secrets: scenarios, runs of snapshots and uploads whose applications hold values that nobody may
//! tell, while the service and the job quote those values back wherever they say something. And leaks on purpose, so that
//! a search that finds nothing is known to look.

use std::sync::Arc;

use asl::{Observer, TaskError, TaskHandler};
use async_trait::async_trait;
use clock::Clock;
use emulator::simulated::{Behaviour, JobFault, RestartDelay, SimulatedDataPlane};
use emulator::{Effect, Emulator, EmulatorConfig, Fault, Occurrences, PlantedSnapshot, TOKEN_MARKER};
use handler::Metrics;
use jiff::SignedDuration;
use lifecycle::report::Outcome;
use serde_json::{Value, json};

use super::forms::{as_json, percent_encoded};
use super::{Leak, Place, SECRET_ACCESS_KEY, SESSION_TOKEN, Secrets, Told, property_values};
use crate::scenario::{Happening, Logs, Planned, Run, Scenario};
use crate::snapshot_scenarios::{LostAnswers, SECRET, SnapshotApp, snapshot_functions};
use crate::upload_scenarios::Account;
use crate::world::{App, Stage, World, noon};

/// The value of a runtime property that every application has and keeps.
pub const OLD_VALUE: &str = "old \"wörd\" & sla/sh\\ +plus=1";
/// The value that changes of its properties bring.
pub const NEW_VALUE: &str = "new \"wörd\" & sla/sh\\ +plus=2";
/// Errors of the service whose words are about what a request or an application holds.
const QUOTING: [&str; 4] = [
    "InvalidArgumentException",
    "InvalidRequestException",
    "InvalidApplicationConfigurationException",
    "CodeValidationException",
];

/// Changes what a function answers, so that it leaks.
pub type Spoil = Arc<dyn Fn(&str, Result<Value, TaskError>) -> Result<Value, TaskError> + Send + Sync>;

/// These values in whatever words, as the service or a job quotes them: as they are, as JSON and as URLs have them; and a
/// presigned URL.
fn quoted(values: &[&str]) -> String {
    let forms = |value: &&str| {
        let percent = percent_encoded(value, "%20");
        format!("{value}; {{\"value\": \"{}\"}}; jdbc:db?password={percent}&x=1", as_json(value))
    };
    let all: Vec<String> = values.iter().map(forms).chain([quoted_url()]).collect();
    all.join("; ")
}

fn quoted_url() -> String {
    format!("https://abc.kinesisanalytics.us-east-1.amazonaws.com/flinkdashboard?authToken={TOKEN_MARKER}0a1b")
}

/// What Flink answers where it is asked what went wrong: whatever version runs, these values are its own.
fn exceptions(values: &[&str]) -> Fault {
    let trace = format!("java.lang.IllegalStateException: {}\n\tat orders.Sink.open(Sink.java:7)\n", quoted(values));
    let entry = json!({ "exceptionName": "java.lang.IllegalStateException", "stacktrace": trace,
        "timestamp": noon().as_millisecond(), "taskName": format!("sink to {}", quoted(values)) });
    let body = json!({ "root-exception": trace, "timestamp": noon().as_millisecond(), "all-exceptions": [],
        "truncated": false, "exceptionHistory": { "entries": [entry], "truncated": false } });
    Fault::new("flink:/jobs/:id/exceptions", Effect::Answer { status: 200, body: body.to_string() })
}

/// The same effect, told with these values of the application.
fn quoting(effect: &Effect, values: &[&str]) -> Effect {
    match effect {
        Effect::Error { code, status, message } => {
            let more = if QUOTING.contains(&code.as_str()) { quoted(values) } else { quoted_url() };
            Effect::Error { code: code.clone(), status: *status, message: format!("{message}: {more}") }
        }
        Effect::OperationFails(text) => Effect::OperationFails(format!("{text}: {}", quoted(values))),
        other => other.clone(),
    }
}

/// The same scenario where the application holds a secret and its changes bring another, and where whoever says something
/// quotes both.
#[must_use]
pub fn planted(scenario: &Scenario) -> Scenario {
    let mut planted = scenario.clone();
    planted.app.properties.push(("planted", OLD_VALUE));
    planted.deployments.iter_mut().for_each(change_properties);
    // Nobody can quote what nobody has brought.
    let is_new = |planned: &Planned| property_values(&planned.input).iter().any(|value| value == NEW_VALUE);
    let values = if planted.deployments.iter().any(is_new) { &[OLD_VALUE, NEW_VALUE][..] } else { &[OLD_VALUE] };
    for (_, happening) in &mut planted.happenings {
        if let Happening::Fault(fault) = happening {
            fault.effect = quoting(&fault.effect, values);
        }
    }
    planted.happenings.push((0, Happening::Fault(exceptions(&[OLD_VALUE]))));
    planted.happenings.sort_by_key(|(at, _)| *at);
    planted
}

/// Lets a change bring the new value, too, beside the one that is kept: not one that is to change nothing, or is malformed.
fn change_properties(planned: &mut Planned) {
    if planned.outcome == Some(Outcome::NoChange) {
        return;
    }
    if planned.code.is_some() && planned.input.get("update").is_none() && !planned.input.is_null() {
        planned.input["update"] = json!({ "ApplicationConfigurationUpdate": {} });
    }
    let update = planned.input.pointer_mut("/update/ApplicationConfigurationUpdate").and_then(Value::as_object_mut);
    let Some(update) = update else { return };
    let empty = || json!({ "PropertyGroups": [{ "PropertyGroupId": "app", "PropertyMap": {} }] });
    let groups = update.entry("EnvironmentPropertyUpdates").or_insert_with(empty);
    if let Some(map) = groups.pointer_mut("/PropertyGroups/0/PropertyMap").and_then(Value::as_object_mut) {
        map.insert("planted".to_owned(), OLD_VALUE.into());
        map.insert("brought".to_owned(), NEW_VALUE.into());
    }
}

/// What must not show of a planted scenario.
fn secrets_of(scenario: &Scenario) -> Secrets {
    let held = scenario.app.properties.iter().map(|(_, value)| (*value).to_owned());
    let brought = scenario.deployments.iter().flat_map(|planned| property_values(&planned.input));
    secrets(held.chain(brought))
}

/// What must not show where applications hold these values.
fn secrets(values: impl IntoIterator<Item = String>) -> Secrets {
    let planted = [OLD_VALUE, NEW_VALUE, SECRET].map(str::to_owned);
    let values = planted.into_iter().chain(values).enumerate();
    let values = values.map(|(number, value)| (format!("property value {number}"), value));
    let ours = [
        ("the secret access key", SECRET_ACCESS_KEY),
        ("the session token", SESSION_TOKEN),
        ("the token of a presigned URL", TOKEN_MARKER),
    ];
    Secrets::new(values.chain(ours.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

/// The planted secrets that were told.
pub fn leaks_of(told: &Told) -> Vec<Leak> {
    told.leaks(&secrets([]))
}

/// Listens to all executions, and spoils what their functions answer.
struct Listening {
    told: Told,
    spoil: Option<Spoil>,
}

impl Stage for Listening {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        spoiled(Arc::new(world.functions(execution)), self.spoil.as_ref())
    }

    fn observe(&self, event: &asl::Event<'_>) {
        self.told.observe(event);
    }

    fn metrics(&self) -> Metrics {
        Metrics::on(self.told.writer(Place::MetricLine))
    }
}

/// Functions whose answers are spoiled.
struct Spoiled {
    functions: Arc<dyn TaskHandler>,
    spoil: Spoil,
}

#[async_trait]
impl TaskHandler for Spoiled {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let answer = self.functions.invoke(function_name, payload).await;
        (self.spoil)(function_name, answer)
    }
}

fn spoiled(functions: Arc<dyn TaskHandler>, spoil: Option<&Spoil>) -> Arc<dyn TaskHandler> {
    match spoil {
        Some(spoil) => Arc::new(Spoiled { functions, spoil: Arc::clone(spoil) }),
        None => functions,
    }
}

fn emulator() -> Emulator {
    let clock = Clock::starting_at(noon(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 1));
    Emulator::new(EmulatorConfig::new(clock, data_plane))
}

fn world(told: &Told, spoil: Option<&Spoil>) -> World {
    World::on(Arc::new(Listening { told: told.clone(), spoil: spoil.cloned() }), emulator(), 1)
}

/// Runs it in virtual time, and keeps every line that the functions can be made to log.
fn in_virtual_time<T>(told: &Told, play: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let told = told.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(handler::log_filter("trace"))
        .with_writer(move || told.writer(Place::LogLine))
        .finish();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(play))
}

/// A scenario that was played.
#[derive(Debug)]
pub struct Played {
    /// How it went.
    pub run: Run,
    /// All that was told.
    pub told: Told,
    /// The secrets of it that were told.
    pub leaks: Vec<Leak>,
}

/// Plays a scenario as it is, and keeps all that is told.
///
/// # Errors
/// When it cannot be played.
pub fn play(scenario: &Scenario, spoil: Option<&Spoil>) -> Result<Played, String> {
    let told = Told::default();
    let run = in_virtual_time(&told, async {
        let world = world(&told, spoil);
        let emulator = world.emulator.clone();
        let run = scenario.play(world, &Logs::default()).await?;
        told.keep_all_of(&emulator);
        Ok(run)
    })?;
    let leaks = told.leaks(&secrets_of(scenario));
    Ok(Played { run, told, leaks })
}

/// A run of snapshots that finds an application to take one of, and old ones to delete; one that fails, and lets people
/// know what the job says of it.
///
/// # Errors
/// When it cannot be played.
pub fn run_of_snapshots(spoil: Option<&Spoil>) -> Result<Told, String> {
    let told = Told::default();
    let apps = ["orders", "payments"].map(|name| SnapshotApp {
        tags: vec![("snapshots", "scheduled")],
        behaviour: if name == "orders" { JobFault::SlowSnapshot { seconds: 5 } } else { JobFault::SnapshotFails }
            .into(),
        ..SnapshotApp::new(name)
    });
    in_virtual_time(&told, async {
        let world = world(&told, None);
        world.create_all(&apps).await?;
        let now = world.clock.now();
        let plant = |hours| {
            let created = now - SignedDuration::from_hours(hours);
            PlantedSnapshot::new(format!("scheduled-{}", created.strftime("%Y%m%dT%H%M%SZ")), created)
        };
        for app in &apps {
            let planted = world.emulator.plant_snapshots(&app.name, (1..=9).map(plant).collect());
            planted.map_err(|error| error.to_string())?;
        }
        world.emulator.inject(exceptions(&[SECRET]));
        let input = json!({ "tag": { "key": "snapshots", "value": "scheduled" }, "scheduledAt": noon(),
            "retention": { "keepNewest": 3, "keepYoungerThanHours": 0 } });
        let metrics = Metrics::on(told.writer(Place::MetricLine));
        let functions = snapshot_functions(&world, LostAnswers::default(), &metrics);
        let run = |name: &'static str, operation_fails: bool| {
            if operation_fails {
                let fails = Effect::OperationFails(quoted(&[SECRET]));
                world.emulator.inject(Fault::new("CreateApplicationSnapshot", fails).on(Occurrences::Always));
            }
            let observer = Arc::new(told.clone()) as Arc<dyn Observer>;
            let functions = spoiled(Arc::clone(&functions), spoil);
            let mut input = input.clone();
            input["scheduledAt"] = json!(world.clock.now());
            let world = &world;
            async move { world.run_snapshots(name, &input, functions, observer, std::future::pending()).await }
        };
        run("snapshots", false).await?;
        run("failing", true).await?;
        told.keep_all_of(&world.emulator);
        Ok(())
    })?;
    Ok(told)
}

/// Uploads of a file of this name: one that goes live, one that comes back, one of another bucket; and a change by hand
/// with a new property value, which is aborted, so that the net below has to tell of it.
///
/// # Errors
/// When they cannot be played.
pub fn uploads(file: &str) -> Result<Told, String> {
    let key = format!("applications/orders/{file}");
    let told = Told::default();
    let app = App { properties: vec![("planted", OLD_VALUE), ("db.password", SECRET)], ..App::default() };
    in_virtual_time(&told, async {
        let account = Account::in_world(world(&told, None), &app, &[]).await?;
        account.world.emulator.inject(exceptions(&[OLD_VALUE, SECRET]));
        let crash_loop = Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 });
        let mut elsewhere = account.upload(&key, &Behaviour::healthy());
        elsewhere["detail"]["bucket"]["name"] = json!("another");
        let mut deliveries = vec![account.deliver(&elsewhere).await];
        for behaviour in [Behaviour::healthy(), crash_loop] {
            deliveries.push(account.deliver(&account.upload(&key, &behaviour)).await);
            account.story().await?;
        }
        let map = json!({ "planted": OLD_VALUE, "db.password": SECRET, "brought": NEW_VALUE });
        let groups = json!([{ "PropertyGroupId": "app", "PropertyMap": map }]);
        let update = json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": groups } });
        let input = json!({ "application": "orders", "update": { "ApplicationConfigurationUpdate": update } });
        account.start_by_hand("aborted", &input).await?;
        account.wait(60).await;
        account.abort("aborted").await?;
        let story = account.story().await?;
        deliveries.extend(story.executions.iter().filter_map(|ending| ending.net.clone()));
        for attempt in deliveries.iter().flat_map(|delivery| &delivery.attempts) {
            let reply = attempt.as_ref().map_or_else(String::clone, Value::to_string);
            told.keep(Place::Reply, reply);
        }
        story.logs.iter().for_each(|line| told.keep(Place::LogLine, line.as_str()));
        told.keep_all_of(&account.world.emulator);
        Ok(())
    })?;
    Ok(told)
}
