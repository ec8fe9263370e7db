//! Running executions: start, limits, time-out, abort and redrive.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clock::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::definition::{OWNER, StateMachine};
use crate::evaluation::Variables;
use crate::events::{EventKind, Observer};
use crate::executions::{Ending, Execution, Executions};
use crate::failure::{Failure, TIMEOUT};
use crate::json::size;
use crate::nested::StateMachines;
use crate::random::Generator;
use crate::run::{Constants, Entered, Progress, Running, Tally, Walk};

/// The most bytes of UTF-8 that a state's input, arguments, result or output may take as JSON.
pub const DATA_BYTES: usize = 262_144;
/// The most events an execution's history may have.
pub const HISTORY_EVENTS: u64 = 25_000;
/// How long an execution may take at most, in seconds: a year.
const EXECUTION_SECONDS: u64 = 31_536_000;
/// The longest execution name, in characters.
const NAME_CHARACTERS: usize = 80;
/// Runs the functions that Tasks call.
#[async_trait]
pub trait TaskHandler: Send + Sync {
    /// Calls a function. A Task that times out, and an execution that ends early, drop the call's future; whoever
    /// wants the function to go on behind the engine's back, as a Lambda does, spawns it.
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError>;
}

/// The failure of a function, as Retry and Catch see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {cause}")]
pub struct TaskError {
    /// The error's name: for a Lambda, its `errorType`.
    pub error: String,
    /// The cause: for a Lambda, its error document as JSON.
    pub cause: String,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It reached an end that is not a Fail.
    Succeeded,
    /// It reached a Fail, or a state failed and nothing caught it.
    Failed,
    /// The definition's own `TimeoutSeconds` (or a year) passed.
    TimedOut,
    /// It was stopped from outside.
    Aborted,
}

impl Status {
    /// As the service's API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

impl fmt::Display for Status {
    /// As the service's API writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An execution to start.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionInput {
    /// Its name: 1 to 80 characters, without those the service refuses.
    pub name: String,
    /// Its input.
    pub input: Value,
}

/// An order to stop an execution, as `StopExecution` takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    /// The error to record.
    pub error: Option<String>,
    /// The cause to record.
    pub cause: Option<String>,
}

/// Why an execution was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The name is empty, too long, or has a character that the service refuses.
    #[error("InvalidName: {0:?} is not 1 to 80 characters without spaces and \"#%\\^|~`$&,;:/<>{{}}[]?* or controls")]
    InvalidName(String),
    /// The input is larger than a state's data may be.
    #[error("InvalidExecutionInput: {0} bytes of input are more than {DATA_BYTES}")]
    InvalidExecutionInput(usize),
    /// An execution of this ARN is in the record, running or ended.
    #[error("ExecutionAlreadyExists: {0} is running or has ended")]
    ExecutionAlreadyExists(String),
    /// The history is too long for the execution to be redriven.
    #[error("ExecutionNotRedrivable: the history has {0} of {HISTORY_EVENTS} events")]
    ExecutionNotRedrivable(u64),
}

impl StartError {
    /// The error's code in the service's API, without `Exception`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "InvalidName",
            Self::InvalidExecutionInput(_) => "InvalidExecutionInput",
            Self::ExecutionAlreadyExists(_) => "ExecutionAlreadyExists",
            Self::ExecutionNotRedrivable(_) => "ExecutionNotRedrivable",
        }
    }
}

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct ExecutionResult {
    /// How it ended.
    pub status: Status,
    /// Its output, if it succeeded.
    pub output: Option<Value>,
    /// The error's name, if it did not succeed and had one.
    pub error: Option<String>,
    /// The cause, if it did not succeed and had one.
    pub cause: Option<String>,
    /// State transitions as billed: each state entered, each retry, each redrive.
    pub transitions: u64,
    /// Events in its history, counted as the service writes them.
    pub history_events: u64,
    /// The largest input, arguments, result or output of any state, in bytes.
    pub largest_state_bytes: usize,
    /// What [`Engine::redrive`] needs to go on; none if the execution succeeded.
    pub redrive: Option<Redrive>,
}

/// An unsuccessful execution at the state where it stopped.
#[derive(Debug, Clone)]
pub struct Redrive {
    name: String,
    input: Arc<Value>,
    started: Timestamp,
    redrives: u64,
    progress: Progress,
    tally: Tally,
}

impl Redrive {
    /// How often the execution has been redriven so far.
    pub fn redrives(&self) -> u64 {
        self.redrives
    }

    /// Whether the history has room for another event and the end.
    pub fn has_room(&self) -> bool {
        self.tally.history_events < HISTORY_EVENTS - 1
    }
}

/// Runs executions. One engine can run any number of them at once, of any state machines.
#[derive(Clone)]
pub struct Engine {
    pub(crate) clock: Clock,
    pub(crate) task_clock: Clock,
    pub(crate) tasks: Arc<dyn TaskHandler>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) machines: Arc<dyn StateMachines>,
    pub(crate) executions: Executions,
    seed: u64,
}

impl Engine {
    /// An engine whose times come from `clock`, and whose chances (retry jitter, `$random`, `$uuid`) follow from `seed`
    /// and each execution's name. It has a record of executions of its own, and Tasks find no state machines to start.
    pub fn new(clock: Clock, tasks: Arc<dyn TaskHandler>, observer: Arc<dyn Observer>, seed: u64) -> Self {
        let machines = Arc::new(Vec::new());
        let executions = Executions::default();
        Self { task_clock: clock.clone(), clock, tasks, observer, machines, executions, seed }
    }

    /// Lets Tasks start executions of these state machines.
    #[must_use]
    pub fn with_state_machines(mut self, machines: Arc<dyn StateMachines>) -> Self {
        self.machines = machines;
        self
    }

    /// Keeps the record of executions there, which several engines can share.
    #[must_use]
    pub fn with_executions(mut self, executions: Executions) -> Self {
        self.executions = executions;
        self
    }

    /// The record of this engine's executions.
    pub fn executions(&self) -> &Executions {
        &self.executions
    }

    /// Lets the `TimeoutSeconds` of Tasks that call functions run by another clock: functions in real processes take real
    /// time, and a clock that runs faster would cut them off.
    #[must_use]
    pub fn with_task_clock(mut self, task_clock: Clock) -> Self {
        self.task_clock = task_clock;
        self
    }

    /// Runs an execution to its end. Should the future be dropped before, the execution is aborted.
    pub async fn run(&self, machine: &StateMachine, execution: ExecutionInput) -> Result<ExecutionResult, StartError> {
        self.run_until(machine, execution, std::future::pending()).await
    }

    /// Runs an execution to its end, or until `stop` is done: then it is [`Status::Aborted`].
    pub async fn run_until(
        &self,
        machine: &StateMachine,
        execution: ExecutionInput,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<ExecutionResult, StartError> {
        let started = self.begin(machine, execution)?;
        Ok(self.go(machine, started, stop).await)
    }

    /// Checks an execution that is to start, and takes note of it.
    pub(crate) fn begin(&self, machine: &StateMachine, execution: ExecutionInput) -> Result<Started, StartError> {
        let ExecutionInput { name, input } = execution;
        if !valid_name(&name) {
            return Err(StartError::InvalidName(name));
        }
        let bytes = size(&input);
        if bytes > DATA_BYTES {
            return Err(StartError::InvalidExecutionInput(bytes));
        }
        let input = Arc::new(input);
        let from = Redrive {
            name,
            started: self.clock.now(),
            redrives: 0,
            progress: Progress::new(machine.states.start, Arc::clone(&input), Variables::new()),
            input,
            tally: Tally { largest_state_bytes: bytes, ..Tally::default() },
        };
        let execution = from.running(machine);
        let arn = execution.arn.clone();
        match self.executions.begin(execution) {
            Ok(stop) => Ok(Started { arn, from, stop }),
            Err(taken) => Err(StartError::ExecutionAlreadyExists(taken.arn)),
        }
    }

    /// Lets an unsuccessful execution go on at the state where it stopped, with the same input and variables and with
    /// fresh retries; the definition's `TimeoutSeconds` begins anew. In a Map the iterations go on that had not succeeded,
    /// each at the state where it stopped. `machine` is the one that the execution ran.
    pub async fn redrive(&self, machine: &StateMachine, redrive: Redrive) -> Result<ExecutionResult, StartError> {
        self.redrive_until(machine, redrive, std::future::pending()).await
    }

    /// Like [`Engine::redrive`], until `stop` is done.
    pub async fn redrive_until(
        &self,
        machine: &StateMachine,
        mut redrive: Redrive,
        stop: impl Future<Output = Stop> + Send,
    ) -> Result<ExecutionResult, StartError> {
        if !redrive.has_room() {
            return Err(StartError::ExecutionNotRedrivable(redrive.tally.history_events));
        }
        redrive.redrives += 1;
        let execution = redrive.running(machine);
        let arn = execution.arn.clone();
        let started = Started { arn, stop: self.executions.redriven(execution), from: redrive };
        Ok(self.go(machine, started, stop).await)
    }

    /// Runs an execution that has been noted.
    pub(crate) async fn go(
        &self,
        machine: &StateMachine,
        started: Started,
        stop: impl Future<Output = Stop> + Send,
    ) -> ExecutionResult {
        let Started { arn, from, stop: mut ordered } = started;
        let constants = constants(machine, &from, &arn);
        let Redrive { name, input, started, redrives, mut progress, tally } = from;
        let running = Running { engine: self, arn: &arn, name: &name, constants, tally: Mutex::new(tally) };
        let mut unless_dropped = Unended { running: Some(&running) };
        running.notify(&[], EventKind::ExecutionStarted { input: &input, redrives });
        let mut walk = Walk {
            running: &running,
            states: &machine.states,
            progress: &mut progress,
            generator: Generator::for_execution(self.seed, &name, redrives),
            entered: Entered { at: started, event: 0 },
            item: None,
            path: Vec::new(),
        };
        let limit = Duration::from_secs(machine.timeout_seconds.unwrap_or(EXECUTION_SECONDS).min(EXECUTION_SECONDS));
        let walked = async {
            running.record(1)?;
            walk.drive().await
        };
        let ended = tokio::select! {
            biased;
            stop = stop => Ended::aborted(stop),
            stop = ordered_stop(&mut ordered) => Ended::aborted(stop),
            walked = walked => walked.map_or_else(Ended::failed, Ended::succeeded),
            () = self.clock.sleep(limit) => {
                Ended { status: Status::TimedOut, output: None, error: Some(TIMEOUT.to_owned()), cause: None }
            }
        };
        unless_dropped.running = None;
        drop(unless_dropped);
        running.tally().history_events += 1;
        running.end(&ended);
        let Tally { transitions, history_events, largest_state_bytes } = *running.tally();
        let tally = *running.tally();
        let Ended { status, output, error, cause } = ended;
        let redrive =
            (status != Status::Succeeded).then_some(Redrive { name, input, started, redrives, progress, tally });
        let output = output.map(Arc::unwrap_or_clone);
        ExecutionResult { status, output, error, cause, transitions, history_events, largest_state_bytes, redrive }
    }
}

/// An execution that has been noted and does not run yet.
pub(crate) struct Started {
    arn: String,
    from: Redrive,
    stop: watch::Receiver<Option<Stop>>,
}

impl Redrive {
    /// It as it begins to run, for the record.
    fn running(&self, machine: &StateMachine) -> Execution {
        Execution {
            arn: machine.execution_arn(&self.name),
            name: self.name.clone(),
            state_machine_arn: machine.arn(),
            status: None,
            started_at: self.started,
            ended_at: None,
            input: Arc::clone(&self.input),
            output: None,
            error: None,
            cause: None,
            redrives: self.redrives,
        }
    }
}

/// The order to stop, once there is one.
async fn ordered_stop(ordered: &mut watch::Receiver<Option<Stop>>) -> Stop {
    let stop = ordered.wait_for(Option::is_some).await.ok().and_then(|stop| stop.clone());
    match stop {
        Some(stop) => stop,
        // Nobody can order it any more.
        None => std::future::pending().await,
    }
}

/// Aborts an execution whose future is dropped.
struct Unended<'a> {
    running: Option<&'a Running<'a>>,
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.running {
            running.end(&Ended::aborted(Stop::default()));
        }
    }
}

impl Running<'_> {
    /// Tells the observer and the record of the end.
    fn end(&self, ended: &Ended) {
        let Ended { status, output, error, cause } = ended;
        let kind = EventKind::ExecutionEnded {
            status: *status,
            output: output.as_deref(),
            error: error.as_deref(),
            cause: cause.as_deref(),
        };
        self.notify(&[], kind);
        let timed_out = *status == Status::TimedOut;
        self.engine.executions.end(
            self.arn,
            Ending {
                at: self.engine.clock.now(),
                status: *status,
                output: output.clone(),
                // DescribeExecution says it by the status alone.
                error: error.clone().filter(|_| !timed_out),
                cause: cause.clone(),
            },
        );
    }
}

/// Whether the service takes a name for an execution.
fn valid_name(name: &str) -> bool {
    let refused = |character: char| {
        character.is_whitespace() || character.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(character)
    };
    (1..=NAME_CHARACTERS).contains(&name.chars().count()) && !name.chars().any(refused)
}

/// How an execution ended, before it is made into a result.
struct Ended {
    status: Status,
    output: Option<Arc<Value>>,
    error: Option<String>,
    cause: Option<String>,
}

impl Ended {
    fn succeeded(output: Arc<Value>) -> Self {
        Self { status: Status::Succeeded, output: Some(output), error: None, cause: None }
    }

    fn failed(Failure { error, cause }: Failure) -> Self {
        Self { status: Status::Failed, output: None, error, cause }
    }

    fn aborted(Stop { error, cause }: Stop) -> Self {
        Self { status: Status::Aborted, output: None, error, cause }
    }
}

/// The parts of the context object that stay the same in all states.
fn constants(machine: &StateMachine, execution: &Redrive, arn: &str) -> Constants {
    let Redrive { name, input, started, redrives, .. } = execution;
    let machine_name = machine.name();
    let (_, account) = OWNER;
    Constants {
        execution: json!({
            "Id": arn,
            "Input": &**input,
            "Name": name,
            "RedriveCount": redrives,
            "RoleArn": format!("arn:aws:iam::{account}:role/{machine_name}"),
            "StartTime": format!("{started:.3}"),
        }),
        state_machine: json!({ "Id": machine.arn(), "Name": machine_name }),
    }
}
