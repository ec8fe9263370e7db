//! A world for one scenario: the emulated service with one application, the shipped definition run by our own engine, and
//! the shipped handlers behind it. All of it in one process and in virtual time, so that an hour passes in milliseconds.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use asl::{
    Engine, Event, EventKind, ExecutionInput, ExecutionResult, Observer, Redrive, StateMachine, Stop, TaskError,
    TaskHandler,
};
use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesisanalyticsv2::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use clock::Clock;
use decide_rollback::Decider;
use emulator::simulated::{Behaviour, SimulatedDataPlane};
use emulator::step_functions::{Execution, ExecutionEnd, ExecutionStatus, LedgerError};
use emulator::{Breaker, Emulator, EmulatorConfig, InProcessHttp, Timings};
use handler::{Environment, Error, Metrics, invoke};
use jiff::{SignedDuration, Timestamp};
use job_log::JobLog;
use managed_flink::{BoxFuture, Endpoint, FlinkResponse, FlinkTransport, ManagedFlink, SecretUrl, TransportError};
use notify::{Notifier, Teller};
use serde_json::{Value, json};
use turns::TurnTable;

use crate::checker::ExecutionTrace;
use crate::scenario::{Crash, CrashKind, Happening, Planned};
use crate::secrets::{SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::wire::{Wire, WorldHttp};

/// The shipped definition.
pub(crate) const DEPLOY: &str = include_str!("../../statemachine/deploy.asl.json");
/// Names in the definition's `DefinitionSubstitutions`, and the Lambda behind each.
pub const FUNCTIONS: [(&str, &str); 9] = [
    ("TakeTurnFunction", "take-turn"),
    ("SubmitUpdateFunction", "submit-update"),
    ("CheckOperationFunction", "check-operation"),
    ("CheckSubtasksFunction", "check-subtasks"),
    ("DecideRollbackFunction", "decide-rollback"),
    ("RollBackFunction", "roll-back"),
    ("ForceStopFunction", "force-stop"),
    ("RestoreFunction", "restore"),
    ("NotifyFunction", "notify"),
];
const JSON_1_1: &str = "application/x-amz-json-1.1";
/// Who creates applications and does what people do by hand.
pub const OPERATOR: &str = "OPERATOR";
/// The state machine's name.
pub const MACHINE: &str = "deploy";
/// The table of turns.
pub const TURNS: &str = "turns";
/// Where outcomes are told.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:deployments";
/// Where outcomes are put.
pub const BUS: &str = "deployments";
/// The bucket of the applications' code.
pub const BUCKET: &str = "code";

/// The shipped definition, ready to run; the function names are the Lambdas' own. It is read once: reading takes longer than
/// many a scenario.
///
/// # Panics
/// When the shipped definition is not one, which a test of its own finds.
pub fn deploy_machine() -> Arc<StateMachine> {
    static READ: LazyLock<Arc<StateMachine>> = LazyLock::new(|| Arc::new(read_deploy_machine()));
    Arc::clone(&READ)
}

#[expect(clippy::expect_used, reason = "the definition is part of this binary")]
fn read_deploy_machine() -> StateMachine {
    let substitutions = FUNCTIONS.map(|(name, function)| (name.to_owned(), function.to_owned()));
    StateMachine::parse(DEPLOY, &BTreeMap::from(substitutions)).expect("the shipped definition is valid").named(MACHINE)
}

/// An application as a scenario finds it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the application's own")]
pub struct App {
    /// Its name.
    pub name: &'static str,
    /// Its runtime.
    pub runtime: &'static str,
    /// The key of its first code; `<name>-1.jar` if none is given.
    pub code_key: Option<&'static str>,
    /// What its code does.
    pub behaviour: Behaviour,
    /// Whether its configuration names the S3 object version of its code.
    pub is_code_pinned: bool,
    /// Whether it is started before the scenario begins.
    pub is_running: bool,
    /// Whether the service takes snapshots.
    pub snapshots_enabled: bool,
    /// Whether the service answers failed operations by itself.
    pub system_rollback: bool,
    /// Seconds between checkpoints; none when checkpointing is off.
    pub checkpoint_seconds: Option<u32>,
    /// Whether its job's log goes to `CloudWatch` Logs.
    pub has_log: bool,
    /// Runtime properties of the group `app`; the values are secrets.
    pub properties: Vec<(&'static str, &'static str)>,
}

impl Default for App {
    fn default() -> Self {
        Self {
            name: "orders",
            runtime: "FLINK-1_20",
            code_key: None,
            behaviour: Behaviour::healthy(),
            is_code_pinned: true,
            is_running: true,
            snapshots_enabled: true,
            system_rollback: false,
            checkpoint_seconds: Some(60),
            has_log: false,
            properties: vec![("db.password", "correct-horse-battery-staple"), ("region", "eu-central-1")],
        }
    }
}

/// What a world is played on. Tests play in one process and in virtual time; the demo runs the real Lambdas, lets people
/// watch, and may run real code.
pub trait Stage: Send + Sync {
    /// The functions as an execution of this name calls them; its name is what they sign their calls with.
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler>;

    /// The code object that behaves so.
    fn code(&self, behaviour: &Behaviour) -> Bytes {
        behaviour.to_content()
    }

    /// Where handlers in this process believe the services to be, which decides what addresses of Flink they take.
    fn endpoint(&self) -> Endpoint {
        Endpoint::Aws
    }

    /// The application is there, and the scenario begins.
    fn begins(&self) {}

    /// Runtime properties of the group `Job` that every application gets beside its own; none as a rule.
    fn job_properties(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Sees every event of every execution.
    fn observe(&self, _event: &Event<'_>) {}

    /// Is told what happens around the executions.
    fn happens(&self, _happening: &Happening, _world: &World) {}

    /// Where metrics are written; nowhere as a rule.
    fn metrics(&self) -> Metrics {
        Metrics::on(std::io::sink())
    }

    /// What stands between this caller and the services; nothing as a rule.
    fn wire(&self, _world: &World, _principal: &str) -> Option<Arc<dyn Wire>> {
        None
    }
}

/// The handlers in this process, and nobody watching.
pub struct InProcess;

impl Stage for InProcess {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        Arc::new(world.functions(execution))
    }
}

/// The world.
pub struct World {
    /// Its time.
    pub clock: Clock,
    /// The service.
    pub emulator: Emulator,
    /// What it is played on.
    pub stage: Arc<dyn Stage>,
    machine: Arc<StateMachine>,
    seed: u64,
    breakers: Mutex<BTreeMap<String, Breaker>>,
    crashed: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// Noon of a working day, when worlds begin.
pub fn noon() -> Timestamp {
    Timestamp::from_second(1_767_355_200).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The service with simulated jobs, from noon on.
fn simulated(seed: u64, timings: Timings) -> Emulator {
    let clock = Clock::starting_at(noon(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), seed));
    Emulator::new(EmulatorConfig { seed, timings, ..EmulatorConfig::new(clock, data_plane) })
}

impl World {
    /// A world at noon of a working day, in this process and without applications. Needs a tokio runtime in virtual time.
    pub fn new(seed: u64) -> Self {
        Self::with_timings(seed, Timings::default())
    }

    /// The same where the service takes so long for its transitions.
    pub fn with_timings(seed: u64, timings: Timings) -> Self {
        Self::on(Arc::new(InProcess), simulated(seed, timings), seed)
    }

    /// The same on another stage.
    pub fn staged(stage: Arc<dyn Stage>, seed: u64) -> Self {
        Self::on(stage, simulated(seed, Timings::default()), seed)
    }

    /// A world around this emulator, by its clock, with the handlers in this process.
    pub fn around(emulator: Emulator) -> Self {
        Self::on(Arc::new(InProcess), emulator, 1)
    }

    /// A world around this emulator, by its clock, on another stage.
    pub fn on(stage: Arc<dyn Stage>, emulator: Emulator, seed: u64) -> Self {
        emulator.dynamodb().create_table(TURNS, "application");
        emulator.executions().add_state_machine(MACHINE);
        Self {
            clock: emulator.clock().clone(),
            emulator,
            stage,
            machine: deploy_machine(),
            seed,
            breakers: Mutex::default(),
            crashed: Arc::default(),
        }
    }

    /// Puts code into the bucket and returns its object version.
    pub fn put_code(&self, key: &str, behaviour: &Behaviour) -> String {
        self.emulator.code().put(BUCKET, key, self.stage.code(behaviour))
    }

    /// A call of kinesisanalyticsv2 by hand, as somebody.
    ///
    /// # Errors
    /// The error's code and text.
    pub async fn call(&self, principal: &str, operation: &str, body: &Value) -> Result<Value, String> {
        self.signed(principal, "kinesisanalytics", &format!("KinesisAnalytics_20180523.{operation}"), body).await
    }

    /// A call of Step Functions by hand.
    ///
    /// # Errors
    /// The error's code and text.
    pub async fn step_functions(&self, operation: &str, body: &Value) -> Result<Value, String> {
        self.signed(OPERATOR, "states", &format!("AWSStepFunctions.{operation}"), body).await
    }

    async fn signed(&self, principal: &str, service: &str, target: &str, body: &Value) -> Result<Value, String> {
        let credential = format!("AWS4-HMAC-SHA256 Credential={principal}/20260102/us-east-1/{service}/aws4_request");
        let request = http::Request::post(format!("https://{service}.us-east-1.amazonaws.com/"))
            .header("content-type", if service == "states" { "application/x-amz-json-1.0" } else { JSON_1_1 })
            .header("x-amz-target", target)
            .header("authorization", credential)
            .body(Bytes::from(body.to_string()))
            .map_err(|error| error.to_string())?;
        let response = self.emulator.handle(request).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        if response.status().is_success() {
            Ok(serde_json::from_str(&text).unwrap_or_default())
        } else {
            let operation = target.split('.').next_back().unwrap_or(target);
            Err(format!("{operation}: {text}"))
        }
    }

    /// A changing call of kinesisanalyticsv2 by hand. `ApplicationName`, and `CurrentApplicationVersionId` where it is null,
    /// are filled in.
    ///
    /// # Errors
    /// The error's code and text.
    pub async fn by_hand(&self, application: &str, operation: &str, body: &Value) -> Result<Value, String> {
        let mut body = body.clone();
        let named = json!({ "ApplicationName": application });
        body["ApplicationName"] = named["ApplicationName"].clone();
        if body.get("CurrentApplicationVersionId").is_some_and(Value::is_null) || operation == "DeleteApplication" {
            let shown = self.call(OPERATOR, "DescribeApplication", &named).await?;
            let (member, of_it) = match operation {
                "DeleteApplication" => ("CreateTimestamp", "CreateTimestamp"),
                _ => ("CurrentApplicationVersionId", "ApplicationVersionId"),
            };
            body[member] = shown["ApplicationDetail"][of_it].clone();
        }
        self.call(OPERATOR, operation, &body).await
    }

    /// Deletes so many snapshots of an application at most, the newest first.
    ///
    /// # Errors
    /// The error's code and text.
    pub async fn delete_snapshots(&self, application: &str, most: usize) -> Result<(), String> {
        let named = json!({ "ApplicationName": application });
        let snapshots = self.call(OPERATOR, "ListApplicationSnapshots", &named).await?;
        for snapshot in snapshots["SnapshotSummaries"].as_array().into_iter().flatten().take(most) {
            let body = json!({ "ApplicationName": application, "SnapshotName": snapshot["SnapshotName"],
                "SnapshotCreationTimestamp": snapshot["SnapshotCreationTimestamp"] });
            self.call(OPERATOR, "DeleteApplicationSnapshot", &body).await?;
        }
        Ok(())
    }

    /// What an application's code does, by its configuration; none where the code is gone.
    pub async fn behaviour_of(&self, application: &str) -> Option<Behaviour> {
        let shown =
            self.call(OPERATOR, "DescribeApplication", &json!({ "ApplicationName": application })).await.ok()?;
        let code = "/ApplicationDetail/ApplicationConfigurationDescription/ApplicationCodeConfigurationDescription/\
                    CodeContentDescription/S3ApplicationCodeLocationDescription";
        let location = shown.pointer(code)?;
        let object =
            self.emulator.code().get(BUCKET, location["FileKey"].as_str()?, location["ObjectVersion"].as_str())?;
        Behaviour::of_content(&object.content).ok()
    }

    /// The application's status.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn status(&self, application: &str) -> Result<String, String> {
        let described = self.call(OPERATOR, "DescribeApplication", &json!({ "ApplicationName": application })).await?;
        Ok(described["ApplicationDetail"]["ApplicationStatus"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the application has this status.
    ///
    /// # Errors
    /// When it has not within an hour.
    pub async fn wait_for(&self, application: &str, status: &str) -> Result<(), String> {
        for _ in 0..3_600 {
            // Asked of the emulator and not of the service, which would take long and leave a record.
            let found = self.emulator.application(application);
            if found.ok_or_else(|| format!("there is no application {application}"))?.status == status {
                return Ok(());
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
        Err(format!("{application} is not {status} after an hour"))
    }

    /// Creates an application with its first code and starts it if it is to run. A running one has run for
    /// ten minutes when this returns.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn create(&self, app: &App) -> Result<(), String> {
        let key = app.code_key.map_or_else(|| format!("{}-1.jar", app.name), str::to_owned);
        let version = self.put_code(&key, &app.behaviour);
        let properties: serde_json::Map<String, Value> =
            app.properties.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        let mut groups = vec![json!({ "PropertyGroupId": "app", "PropertyMap": properties })];
        let job_properties = self.stage.job_properties();
        if !job_properties.is_empty() {
            groups.push(json!({ "PropertyGroupId": "Job", "PropertyMap": job_properties }));
        }
        let checkpoints = match app.checkpoint_seconds {
            Some(seconds) => json!({ "ConfigurationType": "CUSTOM", "CheckpointingEnabled": true,
                "CheckpointInterval": u64::from(seconds) * 1_000, "MinPauseBetweenCheckpoints": 1_000 }),
            None => json!({ "ConfigurationType": "CUSTOM", "CheckpointingEnabled": false }),
        };
        let mut location = json!({ "BucketARN": format!("arn:aws:s3:::{BUCKET}"), "FileKey": key });
        if app.is_code_pinned {
            location["ObjectVersion"] = version.into();
        }
        let configuration = json!({
            "ApplicationCodeConfiguration": { "CodeContentType": "ZIPFILE", "CodeContent": { "S3ContentLocation": location } },
            "FlinkApplicationConfiguration": {
                "CheckpointConfiguration": checkpoints,
                "ParallelismConfiguration": { "ConfigurationType": "CUSTOM", "Parallelism": 2, "ParallelismPerKPU": 1,
                    "AutoScalingEnabled": false } },
            "EnvironmentProperties": { "PropertyGroups": groups },
            "ApplicationSnapshotConfiguration": { "SnapshotsEnabled": app.snapshots_enabled },
            "ApplicationSystemRollbackConfiguration": { "RollbackEnabled": app.system_rollback },
        });
        let mut create = json!({ "ApplicationName": app.name, "RuntimeEnvironment": app.runtime,
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/orders", "ApplicationConfiguration": configuration });
        if app.has_log {
            let stream = format!("log-group:/aws/kinesis-analytics/{}:log-stream:job", app.name);
            create["CloudWatchLoggingOptions"] =
                json!([{ "LogStreamARN": format!("arn:aws:logs:us-east-1:123456789012:{stream}") }]);
        }
        self.call(OPERATOR, "CreateApplication", &create).await?;
        self.wait_for(app.name, "READY").await?;
        if app.is_running {
            self.call(
                OPERATOR,
                "StartApplication",
                &json!({ "ApplicationName": app.name, "RunConfiguration": {
                "ApplicationRestoreConfiguration": { "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" } } }),
            )
            .await?;
            self.wait_for(app.name, "RUNNING").await?;
            self.clock.sleep(Duration::from_mins(10)).await;
        }
        Ok(())
    }

    /// How often calls of Lambdas did not come to their end, or not once, in words.
    pub fn crashed(&self) -> BTreeMap<&'static str, u64> {
        self.crashed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What may cut this caller off in the middle of its calls.
    fn breaker(&self, principal: &str) -> Breaker {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.entry(principal.to_owned()).or_default().clone()
    }

    fn http(&self, principal: &str) -> WorldHttp {
        let http = InProcessHttp::new(self.emulator.clone()).with_breaker(self.breaker(principal));
        WorldHttp::new(http, self.stage.wire(self, principal))
    }

    /// Clients that speak to the emulator in the process, as `principal`.
    pub fn sdk(&self, principal: &str) -> SdkConfig {
        let session = Some(SESSION_TOKEN.to_owned());
        let credentials = Credentials::new(principal, SECRET_ACCESS_KEY, session, None, "scenario");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(self.http(principal))
            .build()
    }

    /// The handlers as an execution of this name calls them.
    pub fn functions(&self, principal: &str) -> Functions {
        let sdk = self.sdk(principal);
        let transport = Arc::new(InProcessTransport(self.http(principal)));
        let environment = Environment {
            topic_arn: Some(TOPIC.to_owned()),
            event_bus: Some(BUS.to_owned()),
            ..Environment::default()
        };
        Functions {
            flink: ManagedFlink::new(&sdk, transport, self.stage.endpoint()),
            log: JobLog::new(&sdk),
            teller: Teller { notifier: Notifier::new(&sdk, &environment), metrics: self.stage.metrics() },
            turns: TurnTable::new(&sdk, TURNS),
        }
    }

    /// The world's clock, or one beside it where the two are not to agree.
    fn clock_of_step_functions(&self, planned: &Planned) -> Clock {
        self.clock.shifted(SignedDuration::from_secs(planned.clock_ahead_seconds))
    }

    /// Runs a deployment to its end, or until `stop`.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not.
    pub async fn deploy(
        &self,
        name: &str,
        input: Value,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<(ExecutionTrace, ExecutionResult), String> {
        self.deploy_as_planned(name, input, &Planned::default(), stop).await
    }

    /// Runs a deployment to its end, or until `stop`, under the conditions of this plan, and redrives it then if that is
    /// planned.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not.
    pub async fn deploy_as_planned(
        &self,
        name: &str,
        input: Value,
        planned: &Planned,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<(ExecutionTrace, ExecutionResult), String> {
        let entry = self.emulator.executions().started(MACHINE, name, &input.to_string());
        self.run(&entry.map_err(|error| error.to_string())?, planned, stop).await
    }

    /// Runs an execution that has been started: one that is in the ledger. `stop` is to come where the ledger is told that
    /// it was stopped.
    ///
    /// # Errors
    /// When the engine does not take the execution, as Step Functions would not.
    pub async fn run(
        &self,
        entry: &Execution,
        planned: &Planned,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<(ExecutionTrace, ExecutionResult), String> {
        let input: Value = serde_json::from_str(&entry.input).map_err(|error| error.to_string())?;
        let texts = Texts::default();
        let name = entry.name.as_str();
        let principal = name.to_owned();
        let observer = Arc::new(Onlookers { texts: texts.clone(), stage: Arc::clone(&self.stage) });
        let functions = self.stage.functions(self, &principal);
        let clock = self.clock_of_step_functions(planned);
        let breaker = self.breaker(&principal);
        let functions = Crashing {
            functions,
            crashes: planned.crashes.clone(),
            called: Mutex::default(),
            crashed: Arc::clone(&self.crashed),
            clock: self.clock.clone(),
            breaker,
        };
        let engine = Engine::new(clock, Arc::new(functions), observer, self.seed);
        let started_at = self.clock.now();
        let published_before = self.emulator.sinks().published().len();
        let execution = ExecutionInput { name: name.to_owned(), input: input.clone() };
        let mut result = engine.run_until(&self.machine, execution, stop).await.map_err(|error| error.to_string())?;
        self.enter_end(&entry.arn, &result)?;
        let mut pause = None;
        let redrive = result.redrive.take().filter(Redrive::has_room);
        if let (Some(seconds), Some(redrive)) = (planned.redrive_after_seconds, redrive) {
            let ended_at = self.clock.now();
            self.clock.sleep(Duration::from_secs(seconds)).await;
            pause = Some((ended_at, self.clock.now()));
            self.emulator.executions().redriven(&entry.arn).map_err(|error| error.to_string())?;
            result = engine.redrive(&self.machine, redrive).await.map_err(|error| error.to_string())?;
            self.enter_end(&entry.arn, &result)?;
        }
        let mut texts = texts.take();
        let published = self.emulator.sinks().published();
        texts.extend(published.iter().skip(published_before).map(|published| format!("{published:?}")));
        texts.extend([result.error.clone(), result.cause.clone()].into_iter().flatten());
        let trace = ExecutionTrace {
            name: name.to_owned(),
            principal,
            application: input["application"].as_str().unwrap_or_default().to_owned(),
            input,
            started_at,
            ended_at: self.clock.now(),
            status: result.status,
            error: result.error.clone(),
            cause: result.cause.clone(),
            output: result.output.clone(),
            texts,
            was_aborted: result.status == asl::Status::Aborted,
            pause,
        };
        Ok((trace, result))
    }

    /// Enters the end of an execution into the ledger, unless that is where it was stopped.
    fn enter_end(&self, arn: &str, result: &ExecutionResult) -> Result<(), String> {
        match self.emulator.executions().ended(arn, end_of(result)) {
            Err(LedgerError::Ended(ExecutionStatus::Aborted)) if result.status == asl::Status::Aborted => Ok(()),
            entered => entered.map(drop).map_err(|error| error.to_string()),
        }
    }
}

/// How Step Functions shows the end of an execution.
fn end_of(result: &ExecutionResult) -> ExecutionEnd {
    let (error, cause) = (result.error.clone(), result.cause.clone());
    match result.status {
        asl::Status::Succeeded => {
            ExecutionEnd::Succeeded { output: result.output.as_ref().map(ToString::to_string).unwrap_or_default() }
        }
        asl::Status::Failed => ExecutionEnd::Failed { error, cause },
        asl::Status::TimedOut => ExecutionEnd::TimedOut,
        asl::Status::Aborted => ExecutionEnd::Aborted { error, cause },
    }
}

/// Functions of which some calls do not come to their end, or not once.
struct Crashing {
    functions: Arc<dyn TaskHandler>,
    crashes: Vec<Crash>,
    called: Mutex<BTreeMap<String, u32>>,
    crashed: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    clock: Clock,
    breaker: Breaker,
}

impl Crashing {
    /// What is to become of this call.
    fn fate(&self, function_name: &str) -> Option<CrashKind> {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let call = called.entry(function_name.to_owned()).or_default();
        *call += 1;
        let crash = self.crashes.iter().find(|crash| crash.function == function_name && crash.call == *call);
        let how = crash?.how;
        *self.crashed.lock().unwrap_or_else(PoisonError::into_inner).entry(how.name()).or_default() += 1;
        Some(how)
    }

    /// Runs it until so many calls of services were done. It may have come to its end before.
    async fn run_until_cut_off(&self, calls: u32, function_name: &str, payload: Value) {
        self.breaker.after(calls);
        tokio::select! {
            biased;
            () = self.breaker.broken() => {}
            _ = self.functions.invoke(function_name, payload) => self.breaker.after(0),
        }
    }
}

#[async_trait]
impl TaskHandler for Crashing {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let run = |payload| self.functions.invoke(function_name, payload);
        let Some(fate) = self.fate(function_name) else { return run(payload).await };
        match fate {
            CrashKind::DiesBefore | CrashKind::HangsBefore => {}
            CrashKind::DiesAfter | CrashKind::HangsAfter => drop(run(payload).await?),
            CrashKind::DiesDuring { calls } | CrashKind::HangsDuring { calls } => {
                self.run_until_cut_off(calls, function_name, payload).await;
            }
            CrashKind::RunsTwice => return tokio::join!(run(payload.clone()), run(payload)).1,
            CrashKind::RunsLate { seconds } => {
                let (functions, clock) = (Arc::clone(&self.functions), self.clock.clone());
                let function_name = function_name.to_owned();
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    functions.invoke(&function_name, payload).await
                });
            }
        }
        match fate {
            CrashKind::HangsBefore | CrashKind::HangsAfter | CrashKind::HangsDuring { .. } => {
                std::future::pending().await
            }
            _ => Err(TaskError {
                error: "Runtime.ExitError".to_owned(),
                cause: json!({ "errorType": "Runtime.ExitError", "errorMessage": "the process ended" }).to_string(),
            }),
        }
    }
}

/// Every text that Step Functions would keep of an execution, but for its own input.
#[derive(Debug, Clone, Default)]
struct Texts(Arc<Mutex<Vec<String>>>);

impl Texts {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what was not told just before: most states pass on what they were given.
    fn keep(&self, text: String) {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
}

/// Who sees the events: the checker's texts, and the stage.
struct Onlookers {
    texts: Texts,
    stage: Arc<dyn Stage>,
}

impl Observer for Onlookers {
    fn observe(&self, event: &Event<'_>) {
        let texts = &self.texts;
        match event.kind {
            EventKind::StateExited { output, .. } => texts.keep(output.to_string()),
            EventKind::TaskSucceeded { result, .. } => texts.keep(result.to_string()),
            EventKind::TaskFailed { error, cause, .. } => texts.keep(format!("{error} {cause}")),
            EventKind::Assigned { value, .. } => texts.keep(value.to_string()),
            _ => {}
        }
        self.stage.observe(event);
    }
}

/// Flink's REST API behind the emulator, in the process.
#[derive(Debug)]
struct InProcessTransport(WorldHttp);

impl FlinkTransport for InProcessTransport {
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>> {
        Box::pin(async move {
            let answer = self.0.get(url.expose().as_str()).await;
            let answered = |(status, body): (u16, Bytes)| FlinkResponse { status, body: body.to_vec() };
            answer.map(answered).map_err(|error| TransportError::Connection { why: error.to_string() })
        })
    }
}

/// The shipped handlers, in the process.
pub struct Functions {
    pub(crate) flink: ManagedFlink,
    pub(crate) log: JobLog,
    pub(crate) teller: Teller,
    pub(crate) turns: TurnTable,
}

#[async_trait]
impl TaskHandler for Functions {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let (flink, event) = (&self.flink, payload);
        let result = match function_name {
            "take-turn" => invoke(&self.turns, &async |t: &_, e| take_turn::take_turn(t, e).await, event).await,
            "submit-update" => invoke(flink, &async |f: &_, e| submit_update::submit_update(f, e).await, event).await,
            "check-operation" => {
                invoke(flink, &async |f: &_, e| check_operation::check_operation(f, e).await, event).await
            }
            "check-subtasks" => {
                invoke(flink, &async |f: &_, e| check_subtasks::check_subtasks(f, e).await, event).await
            }
            "decide-rollback" => {
                let decider = Decider { flink: flink.clone(), log: self.log.clone() };
                invoke(&decider, &async |d: &_, e| decide_rollback::decide_rollback(d, e).await, event).await
            }
            "roll-back" => invoke(flink, &async |f: &_, e| roll_back::roll_back(f, e).await, event).await,
            "force-stop" => invoke(flink, &async |f: &_, e| force_stop::force_stop(f, e).await, event).await,
            "restore" => invoke(flink, &async |f: &_, e| restore::restore(f, e).await, event).await,
            "notify" => invoke(&self.teller, &async |t: &_, e| notify::notify(t, e).await, event).await,
            other => {
                return Err(TaskError {
                    error: "Lambda.ResourceNotFoundException".to_owned(),
                    cause: format!("there is no function {other}"),
                });
            }
        };
        result.map_err(|error: Error| TaskError {
            error: error.name().to_owned(),
            cause: json!({ "errorType": error.name(), "errorMessage": error.to_string() }).to_string(),
        })
    }
}
