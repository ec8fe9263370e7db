//! Running executions: the loop over states, Retry and Catch, limits, time-outs, abort and redrive.

use std::cell::{Cell, LazyCell};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clock::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::definition::{
    CAUSE_CHARACTERS, Catcher, Choice, ERROR_CHARACTERS, Exit, Fail, Kind, MOST_SECONDS, Results, Retrier, State,
    StateMachine, Task, Wait, WaitUntil, rfc3339,
};
use crate::evaluation::{ContextObject, Scope, Template, Variable, Variables, unexpected_type};
use crate::events::{Event, EventKind, Observer};
use crate::failure::{DATA_LIMIT_EXCEEDED, Failure, NO_CHOICE_MATCHED, RUNTIME, TIMEOUT, matches};
use crate::json::{Extent, extent, size};
use crate::random::Generator;

/// The most bytes of UTF-8 that a state's input, arguments, result or output may take as JSON.
pub const DATA_BYTES: usize = 262_144;
/// The most events an execution's history may have.
pub const HISTORY_EVENTS: u64 = 25_000;
/// The most bytes all variables of an execution may take together.
const VARIABLES_BYTES: usize = 10 * 1024 * 1024;
/// How many levels deep a state's data may nest. The service's own limit is not documented; this one keeps a loop that
/// wraps its input again and again from exhausting the stack.
const LEVELS: usize = 200;
/// How long an execution may take at most, in seconds: a year.
const EXECUTION_SECONDS: u64 = 31_536_000;
/// The longest execution name, in characters.
const NAME_CHARACTERS: usize = 80;
/// The region and account for the ARNs of the context object: those of the service's own examples.
const OWNER: (&str, &str) = ("us-east-1", "123456789012");

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

impl fmt::Display for Status {
    /// As the service's API writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        })
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
    /// The history is too long for the execution to be redriven.
    #[error("ExecutionNotRedrivable: the history has {0} of {HISTORY_EVENTS} events")]
    ExecutionNotRedrivable(u64),
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
    position: Position,
    variables: Variables,
    tally: Tally,
}

impl Redrive {
    /// How often the execution has been redriven so far.
    pub fn redrives(&self) -> u64 {
        self.redrives
    }
}

/// A state and its input.
#[derive(Debug, Clone)]
struct Position {
    state: usize,
    input: Arc<Value>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    transitions: u64,
    history_events: u64,
    largest_state_bytes: usize,
}

/// Runs executions. One engine can run any number of them at once, of any state machines.
#[derive(Clone)]
pub struct Engine {
    clock: Clock,
    task_clock: Clock,
    tasks: Arc<dyn TaskHandler>,
    observer: Arc<dyn Observer>,
    seed: u64,
}

impl Engine {
    /// An engine whose times come from `clock`, and whose chances (retry jitter, `$random`, `$uuid`) follow from `seed`
    /// and each execution's name.
    pub fn new(clock: Clock, tasks: Arc<dyn TaskHandler>, observer: Arc<dyn Observer>, seed: u64) -> Self {
        Self { task_clock: clock.clone(), clock, tasks, observer, seed }
    }

    /// Lets the `TimeoutSeconds` of Tasks run by another clock: functions in real processes take real time, and a clock
    /// that runs faster would cut them off.
    #[must_use]
    pub fn with_task_clock(mut self, task_clock: Clock) -> Self {
        self.task_clock = task_clock;
        self
    }

    /// Runs an execution to its end.
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
        let ExecutionInput { name, input } = execution;
        if !valid_name(&name) {
            return Err(StartError::InvalidName(name));
        }
        let bytes = size(&input);
        if bytes > DATA_BYTES {
            return Err(StartError::InvalidExecutionInput(bytes));
        }
        let input = Arc::new(input);
        let start = Redrive {
            name,
            started: self.clock.now(),
            redrives: 0,
            position: Position { state: machine.start, input: Arc::clone(&input) },
            input,
            variables: Variables::new(),
            tally: Tally { largest_state_bytes: bytes, ..Tally::default() },
        };
        Ok(self.go(machine, start, stop).await)
    }

    /// Lets an unsuccessful execution go on at the state where it stopped, with the same input and variables and with
    /// fresh retries; the definition's `TimeoutSeconds` begins anew. `machine` is the one that the execution ran.
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
        if redrive.tally.history_events >= HISTORY_EVENTS - 1 {
            return Err(StartError::ExecutionNotRedrivable(redrive.tally.history_events));
        }
        redrive.redrives += 1;
        Ok(self.go(machine, redrive, stop).await)
    }

    async fn go(
        &self,
        machine: &StateMachine,
        start: Redrive,
        stop: impl Future<Output = Stop> + Send,
    ) -> ExecutionResult {
        let context = Constants::of(machine, &start);
        let Redrive { name, input, started, redrives, position, variables, tally } = start;
        let generator = Generator::for_execution(self.seed, &name, redrives);
        let mut run = Run {
            engine: self,
            machine,
            name,
            execution_input: input,
            started,
            redrives,
            position,
            variables,
            generator,
            context,
            tally,
            entered: Entered { at: started, event: 0 },
        };
        let limit = Duration::from_secs(machine.timeout_seconds.unwrap_or(EXECUTION_SECONDS).min(EXECUTION_SECONDS));
        let ended = tokio::select! {
            biased;
            Stop { error, cause } = stop => Ended { status: Status::Aborted, output: None, error, cause },
            ended = run.drive() => ended,
            () = self.clock.sleep(limit) => {
                Ended { status: Status::TimedOut, output: None, error: Some(TIMEOUT.to_owned()), cause: None }
            }
        };
        run.end(ended)
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
    fn failed(failure: Failure) -> Self {
        Self { status: Status::Failed, output: None, error: Some(failure.error), cause: failure.cause }
    }
}

/// What came of a state.
enum Step {
    Next(usize, Arc<Value>),
    End(Arc<Value>),
    Fail { error: Option<String>, cause: Option<String> },
}

/// When the current state was entered, and the number of that event in the history.
#[derive(Clone, Copy)]
struct Entered {
    at: Timestamp,
    event: u64,
}

/// What a state's expressions may read beside its input.
#[derive(Clone, Copy, Default)]
struct Extras<'a> {
    result: Option<&'a Arc<Value>>,
    error_output: Option<&'a Arc<Value>>,
    retries: u64,
}

/// The parts of the context object that stay the same in all states.
struct Constants {
    execution: Value,
    state_machine: Value,
}

impl Constants {
    fn of(machine: &StateMachine, execution: &Redrive) -> Self {
        let Redrive { name, input, started, redrives, .. } = execution;
        let machine = &machine.name;
        let (region, account) = OWNER;
        let owner = format!("{region}:{account}");
        Self {
            execution: json!({
                "Id": format!("arn:aws:states:{owner}:execution:{machine}:{name}"),
                "Input": &**input,
                "Name": name,
                "RedriveCount": redrives,
                "RoleArn": format!("arn:aws:iam::{account}:role/{machine}"),
                "StartTime": format!("{started:.3}"),
            }),
            state_machine: json!({
                "Id": format!("arn:aws:states:{owner}:stateMachine:{machine}"),
                "Name": machine,
            }),
        }
    }
}

/// An execution under way.
struct Run<'a> {
    engine: &'a Engine,
    machine: &'a StateMachine,
    name: String,
    execution_input: Arc<Value>,
    started: Timestamp,
    redrives: u64,
    position: Position,
    variables: Variables,
    generator: Generator,
    context: Constants,
    tally: Tally,
    entered: Entered,
}

impl Run<'_> {
    async fn drive(&mut self) -> Ended {
        self.notify(EventKind::ExecutionStarted { input: &self.execution_input, redrives: self.redrives });
        if let Err(failure) = self.record(1) {
            return Ended::failed(failure);
        }
        loop {
            match self.state().await {
                Ok(Step::Next(state, input)) => self.position = Position { state, input },
                Ok(Step::End(output)) => {
                    return Ended { status: Status::Succeeded, output: Some(output), error: None, cause: None };
                }
                Ok(Step::Fail { error, cause }) => {
                    return Ended { status: Status::Failed, output: None, error, cause };
                }
                Err(failure) => return Ended::failed(failure),
            }
        }
    }

    async fn state(&mut self) -> Result<Step, Failure> {
        let state = &self.machine.states[self.position.state];
        self.tally.transitions += 1;
        self.record(1)?;
        self.entered = Entered { at: self.engine.clock.now(), event: self.tally.history_events };
        let input = &self.position.input;
        self.notify(EventKind::StateEntered { state: &state.name, kind: state.state_kind(), input });
        match &state.kind {
            Kind::Task(task) => self.task(state, task).await,
            Kind::Wait(wait) => self.wait(state, wait).await,
            Kind::Choice(choice) => self.choice(state, choice),
            Kind::Pass(exit) => self.exit(state, exit, Extras::default()),
            Kind::Succeed(results) => {
                let output = self.leave(state, results, None, Extras::default())?;
                Ok(Step::End(output))
            }
            Kind::Fail(fail) => self.fail(fail),
        }
    }

    async fn task(&mut self, state: &State, task: &Task) -> Result<Step, Failure> {
        let mut used = vec![0_u64; task.retry.len()];
        let mut attempt = 0;
        loop {
            let failure = match self.attempt(state, task, attempt).await {
                Ok(step) => return Ok(step),
                Err(failure) => failure,
            };
            let cause = failure.cause.as_deref().unwrap_or_default();
            self.notify(EventKind::TaskFailed { state: &state.name, error: &failure.error, cause, attempt });
            let retrier = task.retry.iter().position(|retrier| matches(&retrier.error_equals, &failure.error));
            let Some(index) = retrier.filter(|index| used[*index] < task.retry[*index].max_attempts) else {
                return self.catch(state, task, failure, attempt);
            };
            let delay = retry_delay(&task.retry[index], used[index], &mut self.generator);
            used[index] += 1;
            attempt += 1;
            self.notify(EventKind::Retry { state: &state.name, attempt, delay });
            self.engine.clock.sleep(delay).await;
            self.tally.transitions += 1;
        }
    }

    /// One attempt of a Task, from its arguments to its output.
    async fn attempt(&mut self, state: &State, task: &Task, attempt: u64) -> Result<Step, Failure> {
        let extras = Extras { retries: attempt, ..Extras::default() };
        let (function_name, payload) = self.arguments(state, task, extras)?;
        let seconds = match &task.timeout {
            None => MOST_SECONDS,
            Some(timeout) => self.evaluate(state, extras, |scope| timeout.evaluate_seconds(scope, 1, MOST_SECONDS))?,
        };
        self.record(2)?;
        let function_name = function(&function_name);
        self.notify(EventKind::TaskScheduled { state: &state.name, function_name, payload: &payload, attempt });
        let answer = tokio::select! {
            biased;
            answer = self.engine.tasks.invoke(function_name, payload) => answer.map_err(|TaskError { error, cause }| {
                Failure { error, cause: Some(cause.chars().take(CAUSE_CHARACTERS).collect()) }
            }),
            () = self.engine.task_clock.sleep(Duration::from_secs(seconds)) => Err(Failure::timeout()),
        };
        self.record(1)?;
        let result = Arc::new(json!({ "ExecutedVersion": "$LATEST", "Payload": answer?, "StatusCode": 200 }));
        self.measure(&state.name, &result)?;
        self.notify(EventKind::TaskSucceeded { state: &state.name, result: &result, attempt });
        self.exit(state, &task.exit, Extras { result: Some(&result), ..extras })
    }

    /// A Task's arguments: the function's name as it was given, and the payload.
    fn arguments(&mut self, state: &State, task: &Task, extras: Extras<'_>) -> Result<(String, Value), Failure> {
        let arguments = self.evaluate(state, extras, |scope| task.arguments.evaluate(scope))?;
        self.measure(&state.name, &arguments)?;
        let Value::Object(mut fields) = Arc::unwrap_or_clone(arguments) else {
            return Err(Failure::new(RUNTIME, "The Task's arguments are not an object."));
        };
        let payload = fields.remove("Payload").unwrap_or(Value::Null);
        match fields.remove("FunctionName") {
            Some(Value::String(name)) => Ok((name, payload)),
            _ => Err(Failure::new(RUNTIME, format!("The FunctionName of the state '{}' is not a string.", state.name))),
        }
    }

    fn catch(&mut self, state: &State, task: &Task, failure: Failure, retries: u64) -> Result<Step, Failure> {
        let catcher = task.catch.iter().find(|catcher| matches(&catcher.error_equals, &failure.error));
        let Some(Catcher { results, next, .. }) = catcher else { return Err(failure) };
        let next_name = &self.machine.states[*next].name;
        self.notify(EventKind::Caught { state: &state.name, error: &failure.error, next: next_name });
        let mut error_output = json!({ "Error": failure.error });
        if let Some(cause) = failure.cause {
            error_output["Cause"] = Value::String(cause);
        }
        let error_output = Arc::new(error_output);
        let extras = Extras { error_output: Some(&error_output), result: None, retries };
        let output = self.leave(state, results, Some(&error_output), extras)?;
        Ok(Step::Next(*next, output))
    }

    async fn wait(&mut self, state: &State, wait: &Wait) -> Result<Step, Failure> {
        let until = match &wait.until {
            WaitUntil::Seconds(seconds) => {
                let seconds =
                    self.evaluate(state, Extras::default(), |scope| seconds.evaluate_seconds(scope, 0, MOST_SECONDS))?;
                let duration = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                self.entered.at.checked_add(duration).unwrap_or(Timestamp::MAX)
            }
            WaitUntil::Timestamp(timestamp) => self.evaluate(state, Extras::default(), |scope| {
                let text = timestamp.evaluate_string(scope)?;
                rfc3339(&text)
                    .ok_or_else(|| unexpected_type(timestamp.field(), "RFC 3339 timestamp", &Value::String(text)))
            })?,
        };
        self.notify(EventKind::Waiting { state: &state.name, until });
        if let Ok(duration) = Duration::try_from(until.duration_since(self.engine.clock.now())) {
            self.engine.clock.sleep(duration).await;
        }
        self.exit(state, &wait.exit, Extras::default())
    }

    fn choice(&mut self, state: &State, choice: &Choice) -> Result<Step, Failure> {
        for rule in &choice.rules {
            if self.evaluate(state, Extras::default(), |scope| rule.condition.evaluate_boolean(scope))? {
                let output = self.leave(state, &rule.results, None, Extras::default())?;
                return Ok(Step::Next(rule.next, output));
            }
        }
        let Some(default) = choice.default else {
            let cause = "Failed to transition out of the state. The state does not point to a next state.";
            return Err(self.located(state, Failure::new(NO_CHOICE_MATCHED, cause)));
        };
        let output = self.leave(state, &choice.results, None, Extras::default())?;
        Ok(Step::Next(default, output))
    }

    fn fail(&mut self, fail: &Fail) -> Result<Step, Failure> {
        let state = &self.machine.states[self.position.state];
        let mut text = |template: &Option<Template>, most: usize| {
            let Some(template) = template else { return Ok(None) };
            let text = self.evaluate(state, Extras::default(), |scope| template.evaluate_string(scope))?;
            let characters = text.chars().count();
            if characters > most {
                let field = template.field();
                let cause = format!("The field '{field}' has {characters} characters, of {most} allowed.");
                return Err(self.located(state, Failure::new(RUNTIME, cause)));
            }
            Ok(Some(text))
        };
        let error = text(&fail.error, ERROR_CHARACTERS)?;
        let cause = text(&fail.cause, CAUSE_CHARACTERS)?;
        Ok(Step::Fail { error, cause })
    }

    /// Leaves a state by its Next or End.
    fn exit(&mut self, state: &State, exit: &Exit, extras: Extras<'_>) -> Result<Step, Failure> {
        let output = self.leave(state, &exit.results, extras.result, extras)?;
        Ok(match exit.next {
            Some(next) => Step::Next(next, output),
            None => Step::End(output),
        })
    }

    /// Evaluates Output and Assign against the same data, then sets the variables. Without an Output it is `default`,
    /// and without that the state's input.
    fn leave(
        &mut self,
        state: &State,
        results: &Results,
        default: Option<&Arc<Value>>,
        extras: Extras<'_>,
    ) -> Result<Arc<Value>, Failure> {
        let output = match &results.output {
            Some(output) => self.evaluate(state, extras, |scope| output.evaluate(scope))?,
            None => Arc::clone(default.unwrap_or(&self.position.input)),
        };
        // The input was measured as the output of the state before.
        if !Arc::ptr_eq(&output, &self.position.input) {
            self.measure(&state.name, &output)?;
        }
        if let Some(assign) = &results.assign {
            let assigned = self.evaluate(state, extras, |scope| assign.evaluate_fields(scope))?;
            self.assign(state, assigned)?;
        }
        self.record(1)?;
        self.notify(EventKind::StateExited { state: &state.name, output: &output });
        Ok(output)
    }

    fn assign(&mut self, state: &State, assigned: Vec<(String, Arc<Value>)>) -> Result<(), Failure> {
        let too_large = |what: String| Failure::new(DATA_LIMIT_EXCEEDED, what);
        let assigned: Vec<(String, Variable)> = assigned
            .into_iter()
            .map(|(name, value)| {
                let bytes = size(&value);
                (name, Variable { value, bytes })
            })
            .collect();
        let bytes: usize = assigned.iter().map(|(_, variable)| variable.bytes).sum();
        if bytes > DATA_BYTES {
            let what = format!("The Assign of the state '{}' sets {bytes} bytes, of {DATA_BYTES} allowed.", state.name);
            return Err(too_large(what));
        }
        let kept = self.variables.iter().filter(|(kept, _)| assigned.iter().all(|(name, _)| name != *kept));
        let total = bytes + kept.map(|(_, variable)| variable.bytes).sum::<usize>();
        if total > VARIABLES_BYTES {
            return Err(too_large(format!("The variables take {total} bytes, of {VARIABLES_BYTES} allowed.")));
        }
        for (name, variable) in assigned {
            self.notify(EventKind::Assigned { state: &state.name, variable: &name, value: &variable.value });
            self.variables.insert(name, variable);
        }
        Ok(())
    }

    /// Evaluates something against the current state's data.
    fn evaluate<T>(
        &mut self,
        state: &State,
        extras: Extras<'_>,
        evaluate: impl FnOnce(&Scope<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let at_state = LazyCell::new(|| {
            json!({
                "EnteredTime": format!("{:.3}", self.entered.at),
                "Name": &state.name,
                "RetryCount": extras.retries,
            })
        });
        let context = ContextObject {
            execution: &self.context.execution,
            state: &at_state,
            state_machine: &self.context.state_machine,
        };
        let generator = Cell::new(self.generator);
        let evaluated = evaluate(&Scope {
            input: &self.position.input,
            result: extras.result,
            error_output: extras.error_output,
            context: &context,
            variables: &self.variables,
            generator: &generator,
            now: self.engine.clock.now(),
        });
        self.generator = generator.get();
        match evaluated {
            Ok(value) => Ok(value),
            Err(failure) => {
                // The service writes an EvaluationFailed.
                self.record(1)?;
                Err(self.located(state, failure))
            }
        }
    }

    /// Says in a failure's cause where it happened, as the service does for those that it raises itself.
    fn located(&self, state: &State, failure: Failure) -> Failure {
        let Failure { error, cause } = failure;
        let Entered { event, .. } = self.entered;
        let cause = cause.map(|cause| {
            format!(
                "An error occurred while executing the state '{}' (entered at the event id #{event}). {cause}",
                state.name
            )
        });
        Failure { error, cause }
    }

    fn measure(&mut self, state: &str, value: &Value) -> Result<(), Failure> {
        let Extent { bytes, depth } = extent(value);
        self.tally.largest_state_bytes = self.tally.largest_state_bytes.max(bytes);
        if bytes > DATA_BYTES {
            let cause = format!(
                "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service \
                 limit ({bytes} of {DATA_BYTES})."
            );
            return Err(Failure::new(DATA_LIMIT_EXCEEDED, cause));
        }
        if depth > LEVELS {
            let cause = format!("The state/task '{state}' made a value that nests {depth} levels deep, of {LEVELS}.");
            return Err(Failure::new(RUNTIME, cause));
        }
        Ok(())
    }

    /// Counts events of the history; the last one of a full history is the execution's own failure.
    fn record(&mut self, events: u64) -> Result<(), Failure> {
        self.tally.history_events += events;
        if self.tally.history_events >= HISTORY_EVENTS {
            self.tally.history_events = HISTORY_EVENTS - 1;
            let cause = format!("The execution reached the maximum number of history events ({HISTORY_EVENTS}).");
            return Err(Failure::new(RUNTIME, cause));
        }
        Ok(())
    }

    fn notify(&self, kind: EventKind<'_>) {
        self.engine.observer.observe(&Event { at: self.engine.clock.now(), execution: &self.name, kind });
    }

    fn end(mut self, ended: Ended) -> ExecutionResult {
        let Ended { status, output, error, cause } = ended;
        self.tally.history_events += 1;
        self.notify(EventKind::ExecutionEnded {
            status,
            output: output.as_deref(),
            error: error.as_deref(),
            cause: cause.as_deref(),
        });
        let Run { name, execution_input, started, redrives, position, variables, tally, .. } = self;
        let redrive = (status != Status::Succeeded).then_some(Redrive {
            name,
            input: execution_input,
            started,
            redrives,
            position,
            variables,
            tally,
        });
        let Tally { transitions, history_events, largest_state_bytes } = tally;
        let output = output.map(Arc::unwrap_or_clone);
        ExecutionResult { status, output, error, cause, transitions, history_events, largest_state_bytes, redrive }
    }
}

/// A function's own name, out of a name, a partial or a full ARN, with or without a version or alias.
fn function(name: &str) -> &str {
    let unqualified = name.rsplit_once(":function:").map_or(name, |(_, name)| name);
    unqualified.split_once(':').map_or(unqualified, |(name, _)| name)
}

/// How long a retrier waits before its next attempt, after `used` attempts of its own.
fn retry_delay(retrier: &Retrier, used: u64, generator: &mut Generator) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "both are below 10^8")]
    let (interval, used) = (retrier.interval_seconds as f64, used as f64);
    #[expect(clippy::cast_precision_loss, reason = "both are below 10^8")]
    let most = retrier.max_delay_seconds.unwrap_or(MOST_SECONDS) as f64;
    let longest = (interval * retrier.backoff_rate.powf(used)).min(most);
    Duration::from_secs_f64(if retrier.full_jitter { longest * generator.fraction() } else { longest })
}
