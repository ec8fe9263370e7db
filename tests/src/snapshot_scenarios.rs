//! Runs of snapshots in virtual time: the two shipped definitions, run by our own engine, and the shipped handlers behind
//! them, against the emulated service. Each handler signs with its own name, so that the record tells who made a call.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use asl::{
    Engine, Event, EventKind, Execution, ExecutionInput, ExecutionResult, Executions, Observer, StateMachine, Stop,
    TaskError, TaskHandler,
};
use async_trait::async_trait;
use check_snapshot::check_snapshot;
use emulator::record::{Call, RecordEntry};
use emulator::simulated::Behaviour;
use handler::{Error, Metrics, invoke};
use lifecycle::snapshots::{RunSummary, SnapshotResult};
use prune_snapshots::{Pruner, prune_snapshots};
use select_applications::select_applications;
use serde_json::{Value, json};
use take_snapshot::{Taker, take_snapshot};

use crate::scenario::calls_of;
use crate::secrets::{Place, Told, leaks_of};
use crate::world::{BUCKET, Functions, OPERATOR, World};

/// The definition of a run.
pub(crate) const RUN: &str = include_str!("../../statemachine/snapshot.asl.json");
/// The definition of what is done with each application.
pub(crate) const APPLICATION: &str = include_str!("../../statemachine/snapshot-application.asl.json");
/// Names in the definitions' `DefinitionSubstitutions`, and the Lambda behind each.
pub const SNAPSHOT_FUNCTIONS: [(&str, &str); 5] = [
    ("SelectApplicationsFunction", "select-applications"),
    ("TakeSnapshotFunction", "take-snapshot"),
    ("CheckSnapshotFunction", "check-snapshot"),
    ("PruneSnapshotsFunction", "prune-snapshots"),
    ("NotifyFunction", "notify"),
];
/// A runtime property of every application, which nobody may tell.
pub const SECRET: &str = "correct-horse-battery-staple";
/// The name of the state machine of a run.
pub const RUN_MACHINE: &str = "snapshot";
/// The name of the one that each application has an execution of.
pub const APPLICATION_MACHINE: &str = "snapshot-application";

/// The definition of what is done with one application, ready to run.
///
/// # Panics
/// When the shipped definition is not one, which a test of its own finds.
pub fn application_machine() -> Arc<StateMachine> {
    static READ: LazyLock<Arc<StateMachine>> =
        LazyLock::new(|| Arc::new(machine(APPLICATION, APPLICATION_MACHINE, &BTreeMap::new())));
    Arc::clone(&READ)
}

/// The definition of a run, ready to run.
///
/// # Panics
/// When the shipped definition is not one, which a test of its own finds.
pub fn run_machine() -> Arc<StateMachine> {
    static READ: LazyLock<Arc<StateMachine>> = LazyLock::new(|| {
        let nested = ("SnapshotApplicationStateMachine".to_owned(), application_machine().arn());
        Arc::new(machine(RUN, RUN_MACHINE, &BTreeMap::from([nested])))
    });
    Arc::clone(&READ)
}

#[expect(clippy::expect_used, reason = "the definitions are part of this binary")]
fn machine(definition: &str, name: &str, more: &BTreeMap<String, String>) -> StateMachine {
    let functions = SNAPSHOT_FUNCTIONS
        .into_iter()
        .map(|(name, function)| (format!("${{{name}}}"), name.to_owned(), function.to_owned()))
        .filter(|(place, ..)| definition.contains(place))
        .map(|(_, name, function)| (name, function));
    let substitutions = functions.chain(more.clone()).collect();
    StateMachine::parse(definition, &substitutions).expect("the shipped definition is valid").named(name)
}

/// An application as a run finds it.
#[derive(Debug, Clone)]
pub struct SnapshotApp {
    /// Its name.
    pub name: String,
    /// What its code does.
    pub behaviour: Behaviour,
    /// Whether it is started.
    pub is_running: bool,
    /// Whether the service takes snapshots of it.
    pub snapshots_enabled: bool,
    /// Its tags.
    pub tags: Vec<(&'static str, &'static str)>,
}

impl SnapshotApp {
    /// A healthy one that runs, without tags.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            behaviour: Behaviour::healthy(),
            is_running: true,
            snapshots_enabled: true,
            tags: Vec::new(),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct SnapshotsRun {
    /// The end of its execution.
    pub result: ExecutionResult,
    /// The executions of the applications, in the order in which they began.
    pub applications: Vec<Execution>,
    /// The states that each execution entered, by its name.
    pub states: BTreeMap<String, Vec<String>>,
}

impl SnapshotsRun {
    /// The summary of the run.
    ///
    /// # Errors
    /// When the execution ended without one.
    pub fn summary(&self) -> Result<RunSummary, String> {
        summary_of(&self.result)
    }

    /// What came of each application, by its name.
    ///
    /// # Errors
    /// When an application's execution ended without a result, or two did for the same application.
    pub fn results(&self) -> Result<BTreeMap<String, SnapshotResult>, String> {
        let mut results = BTreeMap::new();
        for execution in &self.applications {
            let output = execution.output.as_ref().ok_or_else(|| format!("no result: {execution:?}"))?;
            let result: SnapshotResult =
                serde_json::from_value((**output).clone()).map_err(|error| format!("{error}: {output}"))?;
            if let Some(twice) = results.insert(result.application.clone(), result) {
                return Err(format!("{} had two executions", twice.application));
            }
        }
        Ok(results)
    }

    /// How many applications' executions ran at the same time, at most.
    pub fn most_at_a_time(&self) -> usize {
        let mut changes: Vec<_> = self
            .applications
            .iter()
            .flat_map(|execution| [Some((execution.started_at, 1)), execution.ended_at.map(|ended| (ended, -1))])
            .flatten()
            .collect();
        // Of what happens at the same moment, an end makes room for a beginning.
        changes.sort_unstable();
        let at_a_time = changes.into_iter().scan(0_i32, |running, (_, change)| {
            *running += change;
            Some(*running)
        });
        at_a_time.max().and_then(|most| usize::try_from(most).ok()).unwrap_or_default()
    }
}

/// Notes what the executions do, and all that they tell.
#[derive(Default)]
struct Notes {
    states: Mutex<BTreeMap<String, Vec<String>>>,
    told: Told,
}

impl Observer for Notes {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::StateEntered { state, .. } = event.kind {
            let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            states.entry(event.execution.to_owned()).or_default().push(state.to_owned());
        }
        self.told.observe(event);
    }
}

/// Functions of which one answer each is lost, as by Lambda's own faults: the function has run.
#[derive(Debug, Clone, Default)]
pub struct LostAnswers(pub Vec<&'static str>);

/// The shipped handlers, each with credentials of its own.
struct SnapshotFunctions {
    each: BTreeMap<&'static str, Functions>,
    lost: Mutex<Vec<&'static str>>,
    metrics: Metrics,
}

/// The shipped handlers, each with credentials of its own. Metrics are written there, and these answers are lost.
pub(crate) fn snapshot_functions(world: &World, lost: LostAnswers, metrics: &Metrics) -> Arc<dyn TaskHandler> {
    let each = BTreeMap::from(SNAPSHOT_FUNCTIONS.map(|(_, function)| (function, world.functions(function))));
    Arc::new(SnapshotFunctions { each, lost: Mutex::new(lost.0), metrics: metrics.clone() })
}

#[async_trait]
impl TaskHandler for SnapshotFunctions {
    async fn invoke(&self, function: &str, payload: Value) -> Result<Value, TaskError> {
        let Some(Functions { flink, teller, turns, .. }) = self.each.get(function) else {
            let error = "Lambda.ResourceNotFoundException".to_owned();
            return Err(TaskError { error, cause: format!("there is no function {function}") });
        };
        let (service, turns) = (flink.clone(), turns.clone());
        let result = match function {
            "select-applications" => invoke(flink, &async |f: &_, e| select_applications(f, e).await, payload).await,
            "take-snapshot" => {
                let taker = Taker { flink: service, turns };
                invoke(&taker, &async |t: &_, e| take_snapshot(t, e).await, payload).await
            }
            "check-snapshot" => invoke(flink, &async |f: &_, e| check_snapshot(f, e).await, payload).await,
            "prune-snapshots" => {
                let pruner = Pruner { flink: service, turns, metrics: self.metrics.clone() };
                invoke(&pruner, &async |p: &_, e| prune_snapshots(p, e).await, payload).await
            }
            _ => invoke(teller, &async |t: &_, e| notify::tell_of(t, e).await, payload).await,
        };
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = lost.iter().position(|lost| *lost == function) {
            lost.remove(place);
            return Err(TaskError { error: "Sandbox.Timedout".to_owned(), cause: "the answer is lost".to_owned() });
        }
        result.map_err(|error: Error| TaskError {
            error: error.name().to_owned(),
            cause: json!({ "errorType": error.name(), "errorMessage": error.to_string() }).to_string(),
        })
    }
}

impl World {
    /// Creates these applications and starts those that are to run, all at once. They have run for ten minutes when this
    /// returns.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn create_all(&self, apps: &[SnapshotApp]) -> Result<(), String> {
        for app in apps {
            self.create_one(app).await?;
        }
        for app in apps {
            self.wait_for(&app.name, "READY").await?;
        }
        for app in apps.iter().filter(|app| app.is_running) {
            let body = json!({ "ApplicationName": app.name, "RunConfiguration": {
                "ApplicationRestoreConfiguration": { "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" } } });
            self.call(OPERATOR, "StartApplication", &body).await?;
        }
        for app in apps.iter().filter(|app| app.is_running) {
            self.wait_for(&app.name, "RUNNING").await?;
        }
        self.clock.sleep(Duration::from_mins(10)).await;
        Ok(())
    }

    async fn create_one(&self, app: &SnapshotApp) -> Result<(), String> {
        let key = format!("{}-1.jar", app.name);
        let version = self.put_code(&key, &app.behaviour);
        let tags: Vec<Value> = app.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let mut body = json!({
            "ApplicationName": app.name,
            "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/orders",
            "ApplicationConfiguration": {
                "EnvironmentProperties": { "PropertyGroups": [
                    { "PropertyGroupId": "app", "PropertyMap": { "db.password": SECRET } } ] },
                "ApplicationCodeConfiguration": { "CodeContentType": "ZIPFILE", "CodeContent": { "S3ContentLocation": {
                    "BucketARN": format!("arn:aws:s3:::{BUCKET}"), "FileKey": key, "ObjectVersion": version } } },
                "ApplicationSnapshotConfiguration": { "SnapshotsEnabled": app.snapshots_enabled },
            },
        });
        if !tags.is_empty() {
            body["Tags"] = tags.into();
        }
        self.call(OPERATOR, "CreateApplication", &body).await.map(|_| ())
    }

    /// Runs snapshots to their end, as an execution of this name.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not.
    pub async fn take_snapshots(&self, name: &str, input: &Value) -> Result<SnapshotsRun, String> {
        self.take_snapshots_despite(name, input, LostAnswers::default(), std::future::pending()).await
    }

    /// The same where these answers are lost, or until `stop`.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not, and when a secret is told anywhere.
    pub async fn take_snapshots_despite(
        &self,
        name: &str,
        input: &Value,
        lost: LostAnswers,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<SnapshotsRun, String> {
        let notes = Arc::new(Notes::default());
        let metrics = Metrics::on(notes.told.writer(Place::MetricLine));
        let functions = snapshot_functions(self, lost, &metrics);
        let observer = Arc::clone(&notes) as Arc<dyn Observer>;
        let (result, applications) = self.run_snapshots(name, input, functions, observer, stop).await?;
        notes.told.keep_all_of(&self.emulator);
        if let [leak, ..] = leaks_of(&notes.told).as_slice() {
            return Err(format!("a secret is told: {leak:?}"));
        }
        let states = std::mem::take(&mut *notes.states.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(SnapshotsRun { result, applications, states })
    }

    /// Runs snapshots with these functions, and under these eyes. Returns the applications' executions too, in the order in
    /// which they began.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not.
    pub async fn run_snapshots(
        &self,
        name: &str,
        input: &Value,
        functions: Arc<dyn TaskHandler>,
        observer: Arc<dyn Observer>,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<(ExecutionResult, Vec<Execution>), String> {
        let executions = Executions::default();
        let nested: Vec<Arc<StateMachine>> = vec![application_machine()];
        let engine = Engine::new(self.clock.clone(), functions, observer, 1)
            .with_state_machines(Arc::new(nested))
            .with_executions(executions.clone());
        let execution = ExecutionInput { name: name.to_owned(), input: input.clone() };
        let result = engine.run_until(&run_machine(), execution, stop).await.map_err(|error| error.to_string())?;
        let of_applications = |execution: &Execution| execution.state_machine_arn.ends_with(APPLICATION_MACHINE);
        Ok((result, executions.all().into_iter().filter(of_applications).collect()))
    }
}

/// The summary of a run: the output of an execution that succeeds, the cause of one that fails.
///
/// # Errors
/// When the execution ended without one.
pub fn summary_of(result: &ExecutionResult) -> Result<RunSummary, String> {
    let cause = || result.cause.as_deref().and_then(|cause| serde_json::from_str(cause).ok());
    let value: Option<Value> = result.output.clone().or_else(cause);
    let value = value.ok_or_else(|| format!("no summary: {result:?}"))?;
    serde_json::from_value(value.clone()).map_err(|error| format!("{error}: {value}"))
}

/// The calls of kinesisanalyticsv2 that the handlers made since this entry of the record, with how often each was made.
pub fn calls_since(record: &[RecordEntry], since: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for (_, function) in SNAPSHOT_FUNCTIONS {
        let made = calls_of(record.get(since..).unwrap_or_default(), function);
        for Call { service, operation, .. } in made {
            *calls.entry(format!("{service}:{operation}")).or_default() += 1;
        }
    }
    calls
}
