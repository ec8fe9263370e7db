//! Runs of snapshots in every situation that takes another way through their two definitions, for the coverage: whatever a
//! situation is, its run ends in a summary.

use std::sync::Arc;
use std::time::Duration;

use asl::{Engine, ExecutionInput, Executions, Observer, StateMachine, Status, Stop};
use emulator::simulated::JobFault;
use emulator::{Effect, Fault, Occurrences, PlantedSnapshot};
use handler::Metrics;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::simulation::coverage::{Coverage, Watcher};
use crate::snapshot_scenarios::{
    LostAnswers, SnapshotApp, application_machine, run_machine, snapshot_functions, summary_of,
};
use crate::world::{World, noon};

/// Longer than any run takes.
const LONGEST: Duration = Duration::from_hours(24);

/// What a run of snapshots meets.
struct Situation {
    name: &'static str,
    apps: Vec<SnapshotApp>,
    /// How many snapshots of ours there are, one an hour.
    planted: i64,
    faults: Vec<Fault>,
    lost: Vec<&'static str>,
    input: Value,
    /// What happens so many seconds after the beginning.
    meanwhile: Option<(u64, Meanwhile)>,
}

/// What happens in the middle of a run of snapshots.
enum Meanwhile {
    /// The execution of the first application is stopped.
    ExecutionStopped,
    /// Somebody deletes the first application.
    ApplicationDeleted,
}

impl Situation {
    fn of(name: &'static str, apps: Vec<SnapshotApp>) -> Self {
        let input = json!({ "application": "orders", "scheduledAt": noon() });
        Self { name, apps, planted: 0, faults: Vec::new(), lost: Vec::new(), input, meanwhile: None }
    }

    /// One application, which is well.
    fn new(name: &'static str) -> Self {
        Self::of(name, vec![SnapshotApp::new("orders")])
    }

    fn planted(mut self, count: i64) -> Self {
        self.planted = count;
        self
    }

    fn fault(mut self, operation: &str, effect: Effect, occurrences: Occurrences) -> Self {
        self.faults.push(Fault::new(operation, effect).on(occurrences));
        self
    }

    fn with(mut self, member: &str, value: Value) -> Self {
        self.input[member] = value;
        self
    }

    fn asking(mut self, input: Value) -> Self {
        self.input = input;
        self
    }
}

fn situations() -> Vec<Situation> {
    let app = || SnapshotApp::new("orders");
    let faulty = |fault: JobFault| SnapshotApp { behaviour: fault.into(), ..app() };
    let retention = |newest: u32, hours: u32| json!({ "keepNewest": newest, "keepYoungerThanHours": hours });
    let busy = Effect::Error {
        code: "ResourceInUseException".to_owned(),
        status: 400,
        message: "another snapshot is being taken".to_owned(),
    };
    let every_function = vec!["select-applications", "take-snapshot", "check-snapshot", "prune-snapshots", "notify"];
    let daily = || json!({ "tag": { "key": "snapshots", "value": "daily" }, "scheduledAt": noon() });
    let tagged = |index: u32| {
        let tags = if index.is_multiple_of(20) { vec![("snapshots", "daily")] } else { Vec::new() };
        SnapshotApp { tags, is_running: index == 0, ..SnapshotApp::new(format!("app-{index:03}")) }
    };
    let denied = || Effect::AccessDenied;
    vec![
        Situation::new("taken"),
        Situation::of("stopped", vec![SnapshotApp { is_running: false, ..app() }]),
        Situation::of("disabled", vec![SnapshotApp { snapshots_enabled: false, ..app() }]),
        Situation::new("blackout").with("blackouts", json!([{ "from": "22:00", "to": "13:00" }])),
        Situation::new("gone").asking(json!({ "applications": ["orders", "payments"] })),
        Situation::of("fails", vec![faulty(JobFault::SnapshotFails)]),
        Situation::of("slow", vec![faulty(JobFault::SlowSnapshot { seconds: 600 })]),
        Situation::new("stuck")
            .fault("CreateApplicationSnapshot", Effect::OperationHangs, Occurrences::Always)
            .with("timeoutSeconds", json!(600)),
        Situation::new("full").planted(1_000),
        Situation::new("room-is-made").planted(1_000).with("retention", retention(5, 87_600)),
        Situation::new("pruned").planted(30).with("retention", retention(3, 0)),
        Situation::new("pruned-in-several-steps")
            .planted(100)
            .fault("DeleteApplicationSnapshot", Effect::Delay(Duration::from_secs(3)), Occurrences::Always)
            .with("retention", retention(3, 0)),
        Situation::new("pruning-forbidden").fault("ListApplicationSnapshots", denied(), Occurrences::Always),
        Situation::new("dry-run").planted(30).with("retention", retention(3, 0)).with("dryRun", json!(true)),
        Situation::new("forbidden").fault("CreateApplicationSnapshot", denied(), Occurrences::Always),
        Situation::new("taking-fails").fault("DescribeApplication", denied(), Occurrences::Always),
        Situation::new("checking-fails").fault("DescribeApplicationSnapshot", denied(), Occurrences::From(2)),
        Situation::new("busy").fault("CreateApplicationSnapshot", busy.clone(), Occurrences::First(3)),
        Situation::new("busy-for-too-long")
            .fault("CreateApplicationSnapshot", busy, Occurrences::Always)
            .with("timeoutSeconds", json!(300)),
        Situation { lost: every_function, ..Situation::new("every-answer-lost") },
        Situation::new("throttled").fault("*", Effect::Throttle, Occurrences::Percent(50)),
        Situation::new("refused").asking(json!({ "applications": [] })),
        Situation::new("selecting-fails").fault("ListApplications", denied(), Occurrences::Always).asking(daily()),
        Situation::of("tagged", (0..120).map(tagged).collect()).asking(daily()),
        Situation::new("nobody-is-told").fault("events:PutEvents", denied(), Occurrences::Always),
        Situation {
            meanwhile: Some((5, Meanwhile::ExecutionStopped)),
            ..Situation::new("the-execution-of-an-application-is-stopped").with("timeoutSeconds", json!(600))
        },
        Situation {
            meanwhile: Some((60, Meanwhile::ApplicationDeleted)),
            ..Situation::of("deleted-meanwhile", vec![faulty(JobFault::SlowSnapshot { seconds: 600 })])
        },
    ]
    .into_iter()
    .chain(errors())
    .collect()
}

/// The list of the snapshots is answered with each error that the service knows.
fn errors() -> impl Iterator<Item = Situation> {
    let error =
        |code: &str, message: &str| Effect::Error { code: code.to_owned(), status: 400, message: message.to_owned() };
    let named = [
        "CodeValidationException",
        "ConcurrentModificationException",
        "InvalidApplicationConfigurationException",
        "InvalidArgumentException",
        "InvalidRequestException",
        "LimitExceededException",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "UnsupportedOperationException",
        "AnErrorThatNobodyHasHeardOf",
    ];
    let named = named.map(|code| (code, error(code, "no")));
    let role = error("InvalidArgumentException", "Please check the role provided or validity of S3 location");
    let unreadable = Effect::Answer { status: 200, body: "this is not JSON".to_owned() };
    let others = [("the-role-is-on-its-way", role), ("unreadable-list", unreadable)];
    named.into_iter().chain(others).map(|(name, effect)| {
        Situation::new(name).planted(3).fault("ListApplicationSnapshots", effect, Occurrences::Always)
    })
}

/// Plays all situations. Returns what they have reached, and what is not as it has to be.
///
/// # Errors
/// When a world could not be set up.
pub(crate) fn play_all() -> Result<(Coverage, Vec<String>), String> {
    let mut coverage = Coverage::default();
    let mut mistakes = Vec::new();
    for situation in situations() {
        // Jitter of the SDK's retries.
        fastrand::seed(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let watcher = Arc::new(Watcher::default());
        let runtime = runtime.map_err(|error| error.to_string())?;
        if let Some(what) = runtime.block_on(play(&situation, Arc::clone(&watcher)))? {
            mistakes.push(format!("{}: {what}", situation.name));
        }
        coverage.add(&watcher.take());
    }
    Ok((coverage, mistakes))
}

/// Plays one, and says what is wrong with its end.
async fn play(situation: &Situation, watcher: Arc<Watcher>) -> Result<Option<String>, String> {
    let world = World::new(1);
    world.create_all(&situation.apps).await?;
    let now = world.clock.now();
    let planted = (1..=situation.planted).map(|hours| {
        let created = now - SignedDuration::from_hours(hours);
        PlantedSnapshot::new(format!("scheduled-{}", created.strftime("%Y%m%dT%H%M%SZ")), created)
    });
    if situation.planted > 0 {
        world.emulator.plant_snapshots("orders", planted.collect()).map_err(|error| error.to_string())?;
    }
    situation.faults.iter().for_each(|fault| world.emulator.inject(fault.clone()));
    let lost = LostAnswers(situation.lost.clone());
    let functions = snapshot_functions(&world, lost, &Metrics::on(std::io::sink()));
    let executions = Executions::default();
    let nested: Vec<Arc<StateMachine>> = vec![application_machine()];
    let engine = Engine::new(world.clock.clone(), functions, watcher as Arc<dyn Observer>, 1)
        .with_state_machines(Arc::new(nested))
        .with_executions(executions.clone());
    let execution = ExecutionInput { name: situation.name.to_owned(), input: situation.input.clone() };
    let machine = run_machine();
    let meanwhile = async {
        let Some((seconds, what)) = &situation.meanwhile else { return Ok::<(), String>(()) };
        world.clock.sleep(Duration::from_secs(*seconds)).await;
        match what {
            Meanwhile::ExecutionStopped => {
                let of_application = executions.all().into_iter().nth(1);
                of_application.map(|execution| executions.stop(&execution.arn, Stop::default()));
            }
            Meanwhile::ApplicationDeleted => {
                world.by_hand("orders", "DeleteApplication", &json!({})).await?;
            }
        }
        Ok(())
    };
    let run = async { tokio::join!(engine.run(&machine, execution), meanwhile) };
    let Ok((result, happened)) = tokio::time::timeout(LONGEST, run).await else {
        return Ok(Some("the run of snapshots has no end".to_owned()));
    };
    happened?;
    let result = result.map_err(|error| error.to_string())?;
    let has_ended = matches!(result.status, Status::Succeeded | Status::Failed);
    Ok(summary_of(&result).err().or_else(|| (!has_ended).then(|| format!("the run is {:?}", result.status))))
}
