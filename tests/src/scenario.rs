//! A scenario: an application, what happens to it and around it, the deployments that are run meanwhile, and for each the
//! outcome it must have and exactly the changing calls that it may make, in order. Scenarios are data, so that the tests,
//! the demo and the simulator run the same ones.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::{ExecutionResult, Stop};
use clock::Clock;
use emulator::record::{Call, Event};
use emulator::simulated::Behaviour;
use emulator::{Fault, RecordEntry, Timings};
use jiff::Timestamp;
use lifecycle::report::{Outcome, Report};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::checker::{ExecutionTrace, Observed, Violation, check};
use crate::world::{App, BUCKET, OPERATOR, World};

/// Something that happens to the application or around it.
#[derive(Debug, Clone)]
pub enum Happening {
    /// From now on something goes wrong with the service.
    Fault(Fault),
    /// Nothing goes wrong with the service any more.
    NoFaults,
    /// The service patches the application for so many seconds.
    Maintenance(u64),
    /// The service scales the application to this parallelism.
    Autoscale(u32),
    /// A machine of the application dies.
    LoseTaskManager,
    /// An object is put into the code bucket.
    PutCode {
        /// Its key.
        key: &'static str,
        /// What the code does.
        behaviour: Behaviour,
    },
    /// An object is deleted from the code bucket, with all its versions.
    DeleteCode(&'static str),
    /// An alarm changes its state.
    Alarm {
        /// Its name.
        name: &'static str,
        /// The new state.
        state: emulator::cloudwatch::AlarmState,
    },
    /// Somebody makes a call of kinesisanalyticsv2 by hand. The members `ApplicationName` and, where it is null,
    /// `CurrentApplicationVersionId` are filled in.
    ByHand {
        /// The operation.
        operation: &'static str,
        /// Its body.
        body: Value,
    },
    /// So many manual snapshots are taken, one after the other.
    Snapshots(usize),
    /// Every snapshot is deleted.
    DeleteSnapshots,
    /// A person deletes the newest of them.
    DeleteNewestSnapshot,
    /// Nothing, until the application is READY or RUNNING again.
    Rest,
}

/// A call of a Lambda that does not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Name of the function, such as `submit-update`.
    pub function: &'static str,
    /// Which of its calls in the execution, retries included; 1 is the first.
    pub call: u32,
    /// How.
    pub how: CrashKind,
}

/// How a call of a Lambda is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKind {
    /// The process ends before it has done anything.
    DiesBefore,
    /// The process ends when all is done, but for the answer.
    DiesAfter,
    /// It hangs before it has done anything, until the state times out.
    HangsBefore,
    /// It hangs when all is done, but for the answer, until the state times out.
    HangsAfter,
    /// The process ends when so many calls of services were done, before it hears of the last.
    DiesDuring {
        /// How many; 1 is the first.
        calls: u32,
    },
    /// It hangs when so many calls of services were done, until the state times out.
    HangsDuring {
        /// How many; 1 is the first.
        calls: u32,
    },
    /// It is run twice at the same time, and the one answer is lost.
    RunsTwice,
    /// Its answer is lost at once, but it begins so much later all the same.
    RunsLate {
        /// How many seconds.
        seconds: u64,
    },
}

impl CrashKind {
    /// What happens, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiesBefore => "dies before it does anything",
            Self::DiesAfter => "dies when all is done",
            Self::HangsBefore => "hangs before it does anything",
            Self::HangsAfter => "hangs when all is done",
            Self::DiesDuring { .. } => "dies between two calls",
            Self::HangsDuring { .. } => "hangs between two calls",
            Self::RunsTwice => "runs twice at once",
            Self::RunsLate { .. } => "runs late, after its answer was given up",
        }
    }
}

/// A deployment to run, and what must come of it.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// Seconds after the scenario's beginning.
    pub at_seconds: u64,
    /// New code, put at `<application>-<n>.jar` and pinned to its object version; none leaves the code as it is.
    pub code: Option<Behaviour>,
    /// The rest of the input. `application` is filled in, and the code is merged into `update`.
    pub input: Value,
    /// Seconds after which the execution is aborted, if it is.
    pub abort_after_seconds: Option<u64>,
    /// Seconds after its end at which an execution that did not succeed is redriven, if it is.
    pub redrive_after_seconds: Option<u64>,
    /// Calls of Lambdas that do not come to their end.
    pub crashes: Vec<Crash>,
    /// How far the clock of Step Functions is ahead of everybody else's; negative where it is behind.
    pub clock_ahead_seconds: i64,
    /// What must come of it; none where it is aborted.
    pub outcome: Option<Outcome>,
    /// The changing calls that it may make, in order: the operation's name, with ` (refused)` where it was not done and
    /// ` (answer lost)` where it was done but answered with a failure.
    pub calls: Vec<&'static str>,
    /// The fields that a refusal must name, in order.
    pub refused_fields: Vec<&'static str>,
}

impl Planned {
    /// Waits for the moment at which the execution is aborted; for ever, where it is not.
    pub fn stop(&self, clock: &Clock) -> impl Future<Output = Stop> + Send + use<> {
        let (after, clock) = (self.abort_after_seconds.map(Duration::from_secs), clock.clone());
        async move {
            match after {
                Some(duration) => clock.sleep(duration).await,
                None => std::future::pending().await,
            }
            Stop::default()
        }
    }
}

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, for the command line.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// The application at the beginning.
    pub app: App,
    /// What happens, with the seconds after the scenario's beginning; those at 0 come before any deployment.
    pub happenings: Vec<(u64, Happening)>,
    /// The deployments.
    pub deployments: Vec<Planned>,
}

/// A deployment that was run.
#[derive(Debug)]
pub struct Deployed {
    /// What was planned.
    pub planned: Planned,
    /// What the execution left behind.
    pub trace: ExecutionTrace,
    /// How the execution ended.
    pub result: ExecutionResult,
    /// Its report, if it came to one.
    pub report: Option<Report>,
    /// The changing calls that it made, written as in [`Planned::calls`].
    pub calls: Vec<String>,
    /// All calls that it made, to AWS and to Flink.
    pub all_calls: usize,
}

/// A scenario that was run.
#[derive(Debug)]
pub struct Run {
    /// The deployments, as planned.
    pub deployments: Vec<Deployed>,
    /// What the emulator wrote down.
    pub record: Vec<RecordEntry>,
    /// Safety rules that were broken.
    pub violations: Vec<Violation>,
}

impl Scenario {
    /// A scenario of an application that runs and is well.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, app: App::default(), happenings: Vec::new(), deployments: Vec::new() }
    }

    /// The same, of this application.
    #[must_use]
    pub fn of(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// The same, where something happens so many seconds after the beginning.
    #[must_use]
    pub fn when(mut self, at_seconds: u64, happening: Happening) -> Self {
        self.happenings.push((at_seconds, happening));
        self
    }

    /// The same, with one more deployment.
    #[must_use]
    pub fn deploy(mut self, planned: Planned) -> Self {
        self.deployments.push(planned);
        self
    }

    /// Runs the scenario in virtual time, on a runtime of its own.
    ///
    /// # Errors
    /// When the world could not be set up, or the engine did not take an execution.
    pub fn run(&self) -> Result<Run, String> {
        self.run_with(Timings::default())
    }

    /// The same with all that the functions can log.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn run_talkatively(&self) -> Result<Run, String> {
        self.run_logging("trace", Timings::default())
    }

    /// The same where the service takes so long for its transitions.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn run_with(&self, timings: Timings) -> Result<Run, String> {
        self.run_logging("info", timings)
    }

    fn run_logging(&self, level: &str, timings: Timings) -> Result<Run, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter(handler::log_filter(level))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(async { self.play(World::with_timings(1, timings), &logs).await })
        })
    }

    /// Runs the scenario in this world; `logs` gets what the functions log meanwhile.
    ///
    /// # Errors
    /// When the world could not be set up, or the engine did not take an execution.
    pub async fn play(&self, world: World, logs: &Logs) -> Result<Run, String> {
        let world = Arc::new(world);
        world.create(&self.app).await?;
        logs.take();
        for (_, happening) in self.happenings.iter().filter(|(at, _)| *at == 0) {
            happen(&world, self.app.name, happening).await?;
        }
        world.stage.begins();
        let later: Vec<_> = self.happenings.iter().filter(|(at, _)| *at > 0).cloned().collect();
        let name = self.app.name;
        let around = Task::spawn(happen_later(Arc::clone(&world), name, later));
        let mut running = Vec::new();
        for (index, planned) in self.deployments.iter().enumerate() {
            let execution = format!("{}-{}", self.name, index + 1);
            running.push(Task::spawn(deploy(Arc::clone(&world), name, execution, index + 2, planned.clone())));
        }
        let mut ended = Vec::new();
        for deployment in running {
            ended.push(deployment.end().await?);
        }
        around.end().await?;
        let logged = logs.take();
        let record = world.emulator.record();
        let mut traces: Vec<ExecutionTrace> = Vec::new();
        let mut deployments = Vec::new();
        for (planned, mut trace, result) in ended {
            trace.texts.extend(logged.iter().cloned());
            let report = report_of(&result);
            let calls = changes_of(&record, &trace.principal);
            let all_calls = calls_of(&record, &trace.principal).count();
            traces.push(trace.clone());
            deployments.push(Deployed { planned, trace, result, report, calls, all_calls });
        }
        let secrets: Vec<String> = self.app.properties.iter().map(|(_, value)| (*value).to_owned()).collect();
        let violations = check(&Observed { record: &record, executions: &traces, secrets: &secrets });
        Ok(Run { deployments, record, violations })
    }
}

/// A task of a scenario: it is aborted when nobody waits for it any more.
struct Task<T>(JoinHandle<Result<T, String>>);

impl<T: Send + 'static> Task<T> {
    fn spawn(task: impl Future<Output = Result<T, String>> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    async fn end(mut self) -> Result<T, String> {
        (&mut self.0).await.map_err(|error| error.to_string())?
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Run {
    /// What is not as the scenario demands; empty when all is well.
    pub fn mismatches(&self) -> Vec<String> {
        let mut mismatches: Vec<String> =
            self.violations.iter().map(|violation| format!("rule {}: {}", violation.rule, violation.what)).collect();
        for deployed in &self.deployments {
            let name = &deployed.trace.name;
            let outcome = deployed.report.as_ref().map(|report| report.outcome);
            if outcome != deployed.planned.outcome {
                let cause = deployed.result.cause.as_deref().unwrap_or_default();
                let error = deployed.result.error.as_deref().unwrap_or_default();
                let planned = deployed.planned.outcome;
                mismatches.push(format!("{name}: outcome {outcome:?} instead of {planned:?} ({error} {cause})"));
            }
            let fields: Vec<&str> =
                deployed.report.iter().flat_map(|report| &report.refusals).map(|it| &*it.field).collect();
            if fields != deployed.planned.refused_fields {
                let planned = &deployed.planned.refused_fields;
                mismatches.push(format!("{name}: refused for {fields:?} instead of {planned:?}"));
            }
            if deployed.calls != deployed.planned.calls {
                mismatches.push(format!("{name}: calls {:?} instead of {:?}", deployed.calls, deployed.planned.calls));
            }
        }
        mismatches
    }

    /// The events of the reports, a line each, for whoever looks into a mismatch.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for deployed in &self.deployments {
            let began = deployed.trace.started_at;
            let _ = writeln!(
                story,
                "{}: {:?}",
                deployed.trace.name,
                deployed.report.as_ref().map(|report| &report.summary)
            );
            for event in deployed.report.iter().flat_map(|report| &report.events) {
                let _ = writeln!(story, "  {:>6} s  {}", event.at.duration_since(began).as_secs(), event.what);
            }
        }
        story
    }
}

/// The report with which an execution ended, if it came to one.
pub fn report_of(result: &ExecutionResult) -> Option<Report> {
    let cause = || result.cause.as_deref().and_then(|cause| serde_json::from_str(cause).ok());
    serde_json::from_value(result.output.clone().or_else(cause)?).ok()
}

/// The calls that one principal made, in order.
pub fn calls_of<'record>(record: &'record [RecordEntry], principal: &str) -> impl Iterator<Item = &'record Call> {
    record.iter().filter_map(move |entry| match &entry.event {
        Event::Call(call) if call.principal.as_deref() == Some(principal) => Some(call),
        _ => None,
    })
}

/// The changing calls that one principal made, in order, written as in [`Planned::calls`].
pub fn changes_of(record: &[RecordEntry], principal: &str) -> Vec<String> {
    calls_of(record, principal).filter(|call| call.mutating && is_change(call)).map(told).collect()
}

/// Calls that change the application; a presigned URL changes nothing.
fn is_change(call: &Call) -> bool {
    call.operation != "CreateApplicationPresignedUrl"
}

fn told(call: &Call) -> String {
    let forced = call.request.get("Force").and_then(Value::as_bool) == Some(true);
    let name = if forced { format!("{} by force", call.operation) } else { call.operation.clone() };
    match (call.done, (200..300).contains(&call.status)) {
        (true, true) => name,
        (true, false) => format!("{name} (answer lost)"),
        (false, _) => format!("{name} (refused)"),
    }
}

/// The input of a planned deployment, with its new code put into the bucket as `<application>-<number>.jar`.
pub(crate) fn input_of(world: &World, application: &str, number: usize, planned: &Planned) -> Value {
    let mut input = planned.input.clone();
    if input.is_object() && input.get("application").is_none() {
        input["application"] = json!(application);
    }
    if let Some(behaviour) = &planned.code {
        let key = format!("{application}-{number}.jar");
        let version = world.put_code(&key, behaviour);
        input["update"]["ApplicationConfigurationUpdate"]["ApplicationCodeConfigurationUpdate"] = json!({
            "CodeContentUpdate": { "S3ContentLocationUpdate": {
                "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"), "FileKeyUpdate": key, "ObjectVersionUpdate": version } } });
    }
    input
}

async fn deploy(
    world: Arc<World>,
    application: &'static str,
    execution: String,
    number: usize,
    planned: Planned,
) -> Result<(Planned, ExecutionTrace, ExecutionResult), String> {
    world.clock.sleep(Duration::from_secs(planned.at_seconds)).await;
    let input = input_of(&world, application, number, &planned);
    let stop = planned.stop(&world.clock);
    let (trace, result) = world.deploy_as_planned(&execution, input, &planned, stop).await?;
    Ok((planned, trace, result))
}

async fn happen_later(
    world: Arc<World>,
    application: &'static str,
    happenings: Vec<(u64, Happening)>,
) -> Result<(), String> {
    let began = world.clock.now();
    for (at, happening) in happenings {
        world.clock.sleep(until(&world, began, at)).await;
        happen(&world, application, &happening).await?;
    }
    Ok(())
}

/// How long it is until so many seconds after the beginning; nothing when that is over.
pub(crate) fn until(world: &World, began: Timestamp, at_seconds: u64) -> Duration {
    let passed = Duration::try_from(world.clock.now().duration_since(began)).unwrap_or_default();
    Duration::from_secs(at_seconds).saturating_sub(passed)
}

/// Lets something happen to the application or around it.
pub(crate) async fn happen(world: &World, application: &str, happening: &Happening) -> Result<(), String> {
    let emulator = &world.emulator;
    world.stage.happens(happening, world);
    match happening {
        Happening::Fault(fault) => emulator.inject(fault.clone()),
        Happening::NoFaults => emulator.clear_faults(),
        Happening::Maintenance(seconds) => {
            emulator.maintenance(application, Duration::from_secs(*seconds)).map_err(|error| error.to_string())?;
        }
        Happening::Autoscale(parallelism) => {
            emulator.autoscale(application, *parallelism).map_err(|error| error.to_string())?;
        }
        Happening::LoseTaskManager => {
            emulator.lose_task_manager(application).await.map_err(|error| error.to_string())?;
        }
        Happening::PutCode { key, behaviour } => {
            world.put_code(key, behaviour);
        }
        Happening::DeleteCode(key) => emulator.code().delete_all_versions(BUCKET, key),
        Happening::Alarm { name, state } => emulator.cloudwatch().set_alarm_state(name, *state),
        Happening::ByHand { operation, body } => drop(world.by_hand(application, operation, body).await?),
        Happening::Snapshots(count) => {
            for index in 0..*count {
                let name = format!("manual-{index:04}");
                let body = json!({ "ApplicationName": application, "SnapshotName": name });
                world.call(OPERATOR, "CreateApplicationSnapshot", &body).await?;
                world.clock.sleep(Duration::from_secs(30)).await;
            }
        }
        Happening::DeleteSnapshots => world.delete_snapshots(application, usize::MAX).await?,
        Happening::DeleteNewestSnapshot => world.delete_snapshots(application, 1).await?,
        Happening::Rest => {
            while !matches!(&*world.status(application).await?, "READY" | "RUNNING") {
                world.clock.sleep(Duration::from_secs(1)).await;
            }
        }
    }
    Ok(())
}

/// Log lines, kept in memory. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Keeps a line.
    pub fn keep(&self, line: &str) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }

    /// Takes the lines that were kept so far.
    pub fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
