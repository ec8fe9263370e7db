//! Uploads from end to end: an event of S3 comes in, the shipped start-deployment starts an execution, the shipped definition
//! runs it, and whatever ends badly is shown to the shipped notify. What the template wires together is wired together here
//! in the same way: rules, asynchronous invocations with their retries, dead letters. All of it in one process and in virtual
//! time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::Stop;
use emulator::RecordEntry;
use emulator::simulated::Behaviour;
use emulator::sinks::Content;
use emulator::step_functions::{Execution, ExecutionEnd, ExecutionEvent};
use handler::{Environment, Error, invoke};
use jiff::Timestamp;
use lifecycle::report::{Outcome, Report};
use notify::{Notifier, Teller};
use serde_json::{Value, json};
use start_deployment::{Settings, Starter};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::checker::{ExecutionTrace, Observed, check};
use crate::scenario::{Logs, Planned, calls_of, changes_of, report_of};
use crate::world::{App, BUCKET, BUS, MACHINE, TOPIC, TURNS, World};

/// What start-deployment signs its calls with.
pub const START_DEPLOYMENT: &str = "start-deployment";
/// What notify signs its calls with where it is invoked for an execution that ended badly.
pub const NET: &str = "notify";
/// How long Lambda waits before it runs a failed asynchronous invocation again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const WAITS: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// An account into which the template was deployed, with one application and a bucket for its code.
pub struct Account {
    /// The world around it.
    pub world: Arc<World>,
    starter: Function,
    uploads: Mutex<u32>,
    ended: Ended,
    runs: JoinHandle<()>,
    secrets: Vec<String>,
    logs: Logs,
    logged: Mutex<Vec<String>>,
    _logging: tracing::subscriber::DefaultGuard,
}

/// The executions that have ended, or what the engine said instead.
type Ended = Arc<Mutex<Vec<Result<Run, String>>>>;

/// An execution that has ended.
#[derive(Clone)]
struct Run {
    trace: ExecutionTrace,
    report: Option<Report>,
    net: Option<Delivery>,
}

/// An event that was delivered to a Lambda.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What came of each attempt: what the Lambda returned, or its error's name.
    pub attempts: Vec<Result<Value, String>>,
}

impl Delivery {
    /// What the Lambda returned; none where the event ended in the dead-letter queue.
    pub fn reply(&self) -> Option<&Value> {
        self.attempts.last()?.as_ref().ok()
    }

    /// What start-deployment says that came of the event.
    pub fn outcome(&self) -> Option<&str> {
        self.reply()?["outcome"].as_str()
    }
}

/// What was told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
}

/// An execution that has ended, with all that became of it.
#[derive(Debug)]
pub struct Ending {
    /// What it left behind.
    pub trace: ExecutionTrace,
    /// Its report, if it came to one.
    pub report: Option<Report>,
    /// The changing calls that it made, in order.
    pub changes: Vec<String>,
    /// The delivery of its bad end to notify.
    pub net: Option<Delivery>,
}

impl Ending {
    /// Its outcome; none where it was aborted.
    pub fn outcome(&self) -> Option<Outcome> {
        self.report.as_ref().map(|report| report.outcome)
    }
}

/// All that happened in an account.
#[derive(Debug)]
pub struct Story {
    /// The executions, in the order of their starts.
    pub executions: Vec<Ending>,
    /// The letters, in order.
    pub letters: Vec<Letter>,
    /// Kind and detail of the events for machines, in order.
    pub events: Vec<(String, Value)>,
    /// The lines that the functions have logged.
    pub logs: Vec<String>,
    /// The emulator's record.
    pub record: Vec<RecordEntry>,
    /// What is wrong whatever the scenario: safety rules that were broken, and ends that were not told of once.
    pub mismatches: Vec<String>,
}

impl Story {
    /// Outcomes and changing calls of the executions, in the order of their starts.
    pub fn endings(&self) -> Vec<(Option<Outcome>, Vec<&str>)> {
        self.executions.iter().map(|it| (it.outcome(), it.changes.iter().map(String::as_str).collect())).collect()
    }

    /// Subjects of the letters, in order.
    pub fn subjects(&self) -> Vec<&str> {
        self.letters.iter().map(|letter| letter.subject.as_str()).collect()
    }

    /// The calls of one principal, as `service:operation`, in order.
    pub fn calls(&self, principal: &str) -> Vec<String> {
        calls_of(&self.record, principal).map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    /// The letters about this execution.
    fn letters_about(&self, execution: &str) -> usize {
        let names_it = |line: &str| line.starts_with("Execution: ") && line.ends_with(execution);
        self.letters.iter().filter(|letter| letter.text.lines().any(names_it)).count()
    }

    /// The events for machines about this execution.
    fn events_about(&self, execution: &str) -> usize {
        self.events.iter().filter(|(_, detail)| detail["execution"] == execution).count()
    }

    /// The ends that people or machines were not told of exactly once.
    fn told_wrongly(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for Ending { trace, .. } in &self.executions {
            let (letters, events) = (self.letters_about(&trace.name), self.events_about(&trace.name));
            if (letters, events) != (1, 1) {
                wrong.push(format!("{}: told by {letters} letters and {events} events", trace.name));
            }
        }
        wrong
    }
}

/// A Lambda that is invoked asynchronously.
pub(crate) enum Function {
    StartDeployment(Box<Starter>),
    Notify(Box<Teller>),
}

impl Function {
    async fn invoke(&self, event: Value) -> Result<Value, Error> {
        match self {
            Self::StartDeployment(starter) => {
                let function = async |starter: &_, event| start_deployment::start_deployment(starter, event).await;
                invoke(starter.as_ref(), &function, event).await
            }
            Self::Notify(teller) => {
                let function = async |teller: &_, event| notify::tell_of(teller, event).await;
                invoke(teller.as_ref(), &function, event).await
            }
        }
    }

    /// Invokes it as Lambda does for `EventBridge`: an error is followed by two more attempts.
    pub(crate) async fn deliver(&self, world: &World, event: &Value) -> Delivery {
        self.deliver_after(world, event, Vec::new()).await
    }

    /// The same where these attempts have failed already.
    async fn deliver_after(&self, world: &World, event: &Value, failed: Vec<Result<Value, String>>) -> Delivery {
        let mut attempts = failed;
        loop {
            if let Some(wait) = attempts.len().checked_sub(1).and_then(|failed| WAITS.get(failed)) {
                world.clock.sleep(*wait).await;
            }
            attempts.push(self.invoke(event.clone()).await.map_err(|error| error.name().to_owned()));
            if attempts.last().is_some_and(Result::is_ok) || attempts.len() > WAITS.len() {
                return Delivery { attempts };
            }
        }
    }
}

fn environment() -> Environment {
    Environment { topic_arn: Some(TOPIC.to_owned()), event_bus: Some(BUS.to_owned()), ..Environment::default() }
}

impl Account {
    /// An account with this application.
    ///
    /// # Errors
    /// When the world could not be set up.
    pub async fn with(app: &App) -> Result<Self, String> {
        Self::configured(app, &[]).await
    }

    /// The same where start-deployment has these variables in its environment, too.
    ///
    /// # Errors
    /// When the world could not be set up, or start-deployment would not start.
    pub async fn configured(app: &App, variables: &[(&str, &str)]) -> Result<Self, String> {
        Self::in_world(World::new(1), app, variables).await
    }

    /// The same in this world.
    ///
    /// # Errors
    /// When the world could not be set up, or start-deployment would not start.
    pub async fn in_world(world: World, app: &App, variables: &[(&str, &str)]) -> Result<Self, String> {
        let world = Arc::new(world);
        world.create(app).await?;
        let settings = Settings::read(|name| match name {
            "STATE_MACHINE_ARN" => Some(world.emulator.executions().state_machine_arn(MACHINE)),
            "TURNS_TABLE" => Some(TURNS.to_owned()),
            "CODE_BUCKET" => Some(BUCKET.to_owned()),
            _ => variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()),
        });
        let settings = settings.map_err(|error| error.to_string())?;
        let starter = Starter::new(&world.sdk(START_DEPLOYMENT), &environment(), settings);
        let notifier = Notifier::new(&world.sdk(NET), &environment());
        let net = Arc::new(Function::Notify(Box::new(Teller { notifier, metrics: world.stage.metrics() })));
        let (logs, ended) = (Logs::default(), Ended::default());
        let events = world.emulator.executions().listen();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter(handler::log_filter("trace"))
            .with_writer(move || writer.clone())
            .finish();
        Ok(Self {
            runs: tokio::spawn(run_what_is_started(Arc::clone(&world), net, events, Arc::clone(&ended))),
            world,
            starter: Function::StartDeployment(Box::new(starter)),
            uploads: Mutex::default(),
            ended,
            secrets: app.properties.iter().map(|(_, value)| (*value).to_owned()).collect(),
            logs,
            logged: Mutex::default(),
            _logging: tracing::subscriber::set_default(subscriber),
        })
    }

    /// Puts code into the bucket, and returns the event of it: "Object Created", as `EventBridge` has it of S3. Nobody has
    /// seen it yet.
    pub fn upload(&self, key: &str, behaviour: &Behaviour) -> Value {
        let version = self.world.put_code(key, behaviour);
        let number = {
            let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            *uploads += 1;
            *uploads
        };
        object_created(self.world.clock.now(), key, &version, &format!("0069577A40{number:06X}"))
    }

    /// Delivers an event to start-deployment, as the rule does.
    pub async fn deliver(&self, event: &Value) -> Delivery {
        self.starter.deliver(&self.world, event).await
    }

    /// The same where the first invocation dies when a call of this operation has been answered.
    pub async fn deliver_dying_after(&self, operation: &str, event: &Value) -> Delivery {
        tokio::select! {
            biased;
            () = self.until_called(operation) => {}
            _ = self.starter.invoke(event.clone()) => {}
        }
        let died = Err("Runtime.ExitError".to_owned());
        self.starter.deliver_after(&self.world, event, vec![died]).await
    }

    /// Waits until start-deployment has made a call of this operation.
    async fn until_called(&self, operation: &str) {
        let calls =
            || calls_of(&self.world.emulator.record(), START_DEPLOYMENT).filter(|it| it.operation == operation).count();
        let before = calls();
        while calls() == before {
            self.world.clock.sleep(Duration::from_millis(1)).await;
        }
    }

    /// Somebody starts an execution by hand.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn start_by_hand(&self, name: &str, input: &Value) -> Result<(), String> {
        let machine = self.world.emulator.executions().state_machine_arn(MACHINE);
        let body = json!({ "stateMachineArn": machine, "name": name, "input": input.to_string() });
        self.world.step_functions("StartExecution", &body).await.map(drop)
    }

    /// Somebody aborts an execution by hand.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn abort(&self, name: &str) -> Result<(), String> {
        let arn = self.world.emulator.executions().execution_arn(MACHINE, name);
        self.world.step_functions("StopExecution", &json!({ "executionArn": arn })).await.map(drop)
    }

    /// Lets so many seconds pass.
    pub async fn wait(&self, seconds: u64) {
        self.world.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Waits until every execution has ended and has been told of, and tells all that happened.
    ///
    /// # Errors
    /// When the engine did not take an execution, or one has not ended in two days.
    pub async fn story(&self) -> Result<Story, String> {
        let ledger = self.world.emulator.executions();
        let mut seconds = 0;
        while self.ended.lock().unwrap_or_else(PoisonError::into_inner).len() < ledger.executions().len() {
            if seconds > 2 * 86_400 {
                return Err(format!("not all have ended: {:?}", ledger.executions()));
            }
            seconds += 1;
            self.wait(1).await;
        }
        let runs = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let started = ledger.executions();
        runs.sort_by_key(|run| started.iter().position(|execution| execution.name == run.trace.name));
        let logged = {
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            logged.extend(self.logs.take());
            logged.clone()
        };
        for run in &mut runs {
            run.trace.texts.extend(logged.iter().cloned());
        }
        let record = self.world.emulator.record();
        let traces: Vec<_> = runs.iter().map(|run| run.trace.clone()).collect();
        let violations = check(&Observed { record: &record, executions: &traces, secrets: &self.secrets });
        let ending = |Run { trace, report, net }| {
            let changes = changes_of(&record, &trace.principal);
            Ending { trace, report, changes, net }
        };
        let executions = runs.into_iter().map(ending).collect();
        let (letters, events) = self.told();
        let broken =
            violations.iter().map(|violation| format!("rule {}: {}", violation.rule, violation.what)).collect();
        let mut story = Story { executions, letters, events, logs: logged, record, mismatches: broken };
        let told_wrongly = story.told_wrongly();
        story.mismatches.extend(told_wrongly);
        Ok(story)
    }

    fn told(&self) -> (Vec<Letter>, Vec<(String, Value)>) {
        let (mut letters, mut events) = (Vec::new(), Vec::new());
        for published in self.world.emulator.sinks().published() {
            match published.content {
                Content::Message { subject, message, .. } => {
                    letters.push(Letter { subject: subject.unwrap_or_default(), text: message });
                }
                Content::Event { detail_type, detail, .. } => events.push((detail_type, detail)),
            }
        }
        (letters, events)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.runs.abort();
    }
}

/// "Object Created", as `EventBridge` has it of S3.
pub(crate) fn object_created(now: Timestamp, key: &str, version: &str, sequencer: &str) -> Value {
    let second = Timestamp::from_second(now.as_second()).unwrap_or_default();
    json!({
        "version": "0", "id": "2d9cf1a4-7c5e-4c0b-9a55-0c1f6f0a9b3e", "detail-type": "Object Created",
        "source": "aws.s3", "account": "123456789012", "time": second, "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{BUCKET}")],
        "detail": {
            "version": "0",
            "bucket": { "name": BUCKET },
            "object": { "key": key, "size": 48_211_934, "version-id": version, "sequencer": sequencer },
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject",
        },
    })
}

/// Runs every execution that somebody starts, and stops it where somebody stops it.
async fn run_what_is_started(
    world: Arc<World>,
    net: Arc<Function>,
    mut started: UnboundedReceiver<ExecutionEvent>,
    ended: Ended,
) {
    let mut running = tokio::task::JoinSet::new();
    let mut stops = BTreeMap::new();
    while let Some(event) = started.recv().await {
        match event {
            ExecutionEvent::Started(execution) => {
                let (stop, stopped) = oneshot::channel();
                stops.insert(execution.arn.clone(), stop);
                let (world, net, ended) = (Arc::clone(&world), Arc::clone(&net), Arc::clone(&ended));
                running.spawn(async move {
                    let run = run(&world, &net, &execution, stopped).await;
                    ended.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                });
            }
            ExecutionEvent::Stopped(execution) => {
                let stop = match execution.ended {
                    Some((_, ExecutionEnd::Aborted { error, cause })) => Stop { error, cause },
                    _ => Stop::default(),
                };
                // One that ends at this very moment does not listen any more.
                let _ = stops.remove(&execution.arn).map(|listener| listener.send(stop));
            }
        }
    }
}

/// Runs an execution to its end, and lets notify know where the end is a bad one.
async fn run(
    world: &World,
    net: &Function,
    execution: &Execution,
    stopped: oneshot::Receiver<Stop>,
) -> Result<Run, String> {
    let stop = async move {
        match stopped.await {
            Ok(stop) => stop,
            Err(_) => std::future::pending().await,
        }
    };
    let (trace, result) = world.run(execution, &Planned::default(), stop).await?;
    let event = world.emulator.executions().execution(&execution.arn).as_ref().and_then(status_change);
    let net = match event {
        Some(event) => Some(net.deliver(world, &event).await),
        None => None,
    };
    Ok(Run { trace, report: report_of(&result), net })
}

/// The event of Step Functions that the template's rule lets through: of an execution that ended badly.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>
fn status_change(execution: &Execution) -> Option<Value> {
    let (at, end) = execution.ended.as_ref()?;
    let (error, cause) = match end {
        ExecutionEnd::Succeeded { .. } => return None,
        ExecutionEnd::TimedOut => (None, None),
        ExecutionEnd::Failed { error, cause } | ExecutionEnd::Aborted { error, cause } => {
            (error.clone(), cause.clone())
        }
    };
    Some(json!({
        "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change", "source": "aws.states", "account": "123456789012",
        "time": at, "region": "us-east-1", "resources": [execution.arn],
        "detail": {
            "executionArn": execution.arn, "stateMachineArn": execution.state_machine_arn, "name": execution.name,
            "status": execution.status().name(), "startDate": execution.started.as_millisecond(),
            "stopDate": at.as_millisecond(), "input": execution.input, "inputDetails": { "included": true },
            "output": null, "outputDetails": null, "error": error, "cause": cause,
        },
    }))
}
