//! A walk through the states of one level: the loop over them, Retry and Catch, and what each type of state does.

use std::cell::{Cell, LazyCell};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::definition::{
    CAUSE_CHARACTERS, Catcher, Choice, ERROR_CHARACTERS, Exit, Fail, Handlers, Integration, Kind, MOST_SECONDS,
    MapState, Results, Retrier, State, States, Task, Wait, WaitUntil, rfc3339,
};
use crate::engine::{DATA_BYTES, Engine, HISTORY_EVENTS, TaskError};
use crate::evaluation::{ContextObject, Scope, Template, Variable, Variables, unexpected_type};
use crate::events::{Event, EventKind, Place};
use crate::failure::{DATA_LIMIT_EXCEEDED, Failure, NO_CHOICE_MATCHED, RUNTIME, matches};
use crate::json::{Extent, extent, size};
use crate::map::Iteration;
use crate::nested::outcome;
use crate::random::Generator;

/// The most bytes all variables of an execution may take together.
const VARIABLES_BYTES: usize = 10 * 1024 * 1024;
/// How many levels deep a state's data may nest. The service's own limit is not documented; this one keeps a loop that
/// wraps its input again and again from exhausting the stack.
const LEVELS: usize = 200;

/// How far a walk is: what a redrive needs to go on.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) position: Position,
    pub(crate) variables: Variables,
    /// Those of the Map at the position, once it has its items.
    pub(crate) iterations: Option<Vec<Iteration>>,
}

impl Progress {
    pub(crate) fn new(state: usize, input: Arc<Value>, variables: Variables) -> Self {
        Self { position: Position { state, input }, variables, iterations: None }
    }
}

/// A state and its input.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub(crate) state: usize,
    pub(crate) input: Arc<Value>,
}

/// What is counted of an execution.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) transitions: u64,
    pub(crate) history_events: u64,
    pub(crate) largest_state_bytes: usize,
}

/// What came of a state.
pub(crate) enum Step {
    Next(usize, Arc<Value>),
    End(Arc<Value>),
}

/// When the current state was entered, and the number of that event in the history.
#[derive(Clone, Copy)]
pub(crate) struct Entered {
    pub(crate) at: Timestamp,
    pub(crate) event: u64,
}

/// What a state's expressions may read beside its input.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extras<'a> {
    pub(crate) result: Option<&'a Arc<Value>>,
    pub(crate) error_output: Option<&'a Arc<Value>>,
    pub(crate) retries: u64,
}

/// The parts of the context object that stay the same in all states.
pub(crate) struct Constants {
    pub(crate) execution: Value,
    pub(crate) state_machine: Value,
}

/// What all states of an execution under way share.
pub(crate) struct Running<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) arn: &'a str,
    pub(crate) name: &'a str,
    pub(crate) constants: Constants,
    /// Iterations of a Map count into it too; they run in one task.
    pub(crate) tally: Mutex<Tally>,
}

impl Running<'_> {
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transition(&self) {
        self.tally().transitions += 1;
    }

    /// Counts events of the history; the last one of a full history is the execution's own failure.
    pub(crate) fn record(&self, events: u64) -> Result<(), Failure> {
        let mut tally = self.tally();
        tally.history_events += events;
        if tally.history_events >= HISTORY_EVENTS {
            tally.history_events = HISTORY_EVENTS - 1;
            let cause = format!("The execution reached the maximum number of history events ({HISTORY_EVENTS}).");
            return Err(Failure::new(RUNTIME, cause));
        }
        Ok(())
    }

    pub(crate) fn measure(&self, state: &str, value: &Value) -> Result<(), Failure> {
        let Extent { bytes, depth } = extent(value);
        let mut tally = self.tally();
        tally.largest_state_bytes = tally.largest_state_bytes.max(bytes);
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

    pub(crate) fn notify(&self, iterations: &[usize], kind: EventKind<'_>) {
        let event = Event { at: self.engine.clock.now(), execution: self.name, kind };
        self.engine.observer.observe_at(&Place { execution_arn: self.arn, iterations }, &event);
    }
}

/// Where an expression is evaluated.
pub(crate) struct At<'a> {
    pub(crate) running: &'a Running<'a>,
    pub(crate) entered: Entered,
    pub(crate) input: &'a Arc<Value>,
    pub(crate) variables: &'a Variables,
    /// The item of the innermost Map around it, as the context object shows it.
    pub(crate) item: Option<&'a Value>,
}

/// Evaluates something against a state's data.
pub(crate) fn evaluate<T>(
    at: &At<'_>,
    state: &State,
    generator: &mut Generator,
    extras: Extras<'_>,
    evaluate: impl FnOnce(&Scope<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let At { running, entered, input, variables, item } = *at;
    let at_state = LazyCell::new(|| {
        json!({
            "EnteredTime": format!("{:.3}", entered.at),
            "Name": &state.name,
            "RetryCount": extras.retries,
        })
    });
    let context = ContextObject {
        execution: &running.constants.execution,
        state: &at_state,
        state_machine: &running.constants.state_machine,
        map: item,
    };
    let drawn = Cell::new(*generator);
    let evaluated = evaluate(&Scope {
        input,
        result: extras.result,
        error_output: extras.error_output,
        context: &context,
        variables,
        generator: &drawn,
        now: running.engine.clock.now(),
    });
    *generator = drawn.get();
    match evaluated {
        Ok(value) => Ok(value),
        Err(failure) => {
            // The service writes an EvaluationFailed.
            running.record(1)?;
            Err(located(state, entered, failure))
        }
    }
}

/// Says in a failure's cause where it happened, as the service does for those that it raises itself.
fn located(state: &State, entered: Entered, failure: Failure) -> Failure {
    let Failure { error, cause } = failure;
    let Entered { event, .. } = entered;
    let cause = cause.map(|cause| {
        format!(
            "An error occurred while executing the state '{}' (entered at the event id #{event}). {cause}",
            state.name
        )
    });
    Failure { error, cause }
}

/// What can be tried again.
#[derive(Clone, Copy)]
enum Work<'a> {
    Task(&'a Task),
    Map(&'a MapState),
}

impl<'a> Work<'a> {
    fn handlers(self) -> &'a Handlers {
        match self {
            Self::Task(task) => &task.handlers,
            Self::Map(map) => &map.handlers,
        }
    }
}

/// A walk under way.
pub(crate) struct Walk<'a> {
    pub(crate) running: &'a Running<'a>,
    pub(crate) states: &'a States,
    pub(crate) progress: &'a mut Progress,
    pub(crate) generator: Generator,
    pub(crate) entered: Entered,
    /// The item of the Map that this walk is an iteration of, as the context object shows it.
    pub(crate) item: Option<Arc<Value>>,
    /// Which iterations it is in, the outermost first.
    pub(crate) path: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Walks until a state ends the walk, with its output, or fails.
    pub(crate) async fn drive(&mut self) -> Result<Arc<Value>, Failure> {
        loop {
            match self.state().await? {
                Step::Next(state, input) => self.progress.position = Position { state, input },
                Step::End(output) => return Ok(output),
            }
        }
    }

    async fn state(&mut self) -> Result<Step, Failure> {
        let state = &self.states.all[self.progress.position.state];
        self.running.transition();
        self.running.record(1)?;
        self.entered = Entered { at: self.running.engine.clock.now(), event: self.running.tally().history_events };
        let input = &self.progress.position.input;
        self.notify(EventKind::StateEntered { state: &state.name, kind: state.state_kind(), input });
        match &state.kind {
            Kind::Task(task) => self.work(state, Work::Task(task)).await,
            Kind::Map(map) => self.work(state, Work::Map(map)).await,
            Kind::Wait(wait) => self.wait(state, wait).await,
            Kind::Choice(choice) => self.choice(state, choice),
            Kind::Pass(exit) => self.exit(state, exit, Extras::default()),
            Kind::Succeed(results) => {
                let output = self.leave(state, results, None, Extras::default())?;
                Ok(Step::End(output))
            }
            Kind::Fail(fail) => self.fail(state, fail),
        }
    }

    async fn work(&mut self, state: &'a State, work: Work<'a>) -> Result<Step, Failure> {
        let Handlers { retry, .. } = work.handlers();
        let mut used = vec![0_u64; retry.len()];
        let mut attempt = 0;
        loop {
            let attempted = match work {
                Work::Task(task) => self.attempt(state, task, attempt).await,
                Work::Map(map) => self.iterate(state, map, attempt).await,
            };
            let failure = match attempted {
                Ok(step) => return Ok(step),
                Err(failure) => failure,
            };
            let cause = failure.cause.as_deref().unwrap_or_default();
            self.notify(EventKind::TaskFailed { state: &state.name, error: failure.name(), cause, attempt });
            let retrier = retry.iter().position(|retrier| matches(&retrier.error_equals, failure.name()));
            let Some(index) = retrier.filter(|index| used[*index] < retry[*index].max_attempts) else {
                return self.catch(state, work.handlers(), failure, attempt);
            };
            let delay = retry_delay(&retry[index], used[index], &mut self.generator);
            used[index] += 1;
            attempt += 1;
            self.progress.iterations = None;
            self.notify(EventKind::Retry { state: &state.name, attempt, delay });
            self.running.engine.clock.sleep(delay).await;
            self.running.transition();
        }
    }

    /// One attempt of a Task, from its arguments to its output.
    async fn attempt(&mut self, state: &State, task: &Task, attempt: u64) -> Result<Step, Failure> {
        let extras = Extras { retries: attempt, ..Extras::default() };
        let arguments = self.evaluate(state, extras, |scope| task.arguments.evaluate(scope))?;
        self.running.measure(&state.name, &arguments)?;
        let Value::Object(arguments) = Arc::unwrap_or_clone(arguments) else {
            return Err(Failure::new(RUNTIME, "The Task's arguments are not an object."));
        };
        let timeout = match &task.timeout {
            None => MOST_SECONDS,
            Some(timeout) => self.evaluate(state, extras, |scope| timeout.evaluate_integer(scope, 1, MOST_SECONDS))?,
        };
        let timeout = Duration::from_secs(timeout);
        let result = match task.integration {
            Integration::Lambda => self.invoke(state, arguments, timeout, attempt).await?,
            Integration::Execution => self.start_execution(state, arguments, timeout, attempt).await?,
        };
        let result = Arc::new(result);
        self.running.measure(&state.name, &result)?;
        self.notify(EventKind::TaskSucceeded { state: &state.name, result: &result, attempt });
        self.exit(state, &task.exit, Extras { result: Some(&result), ..extras })
    }

    /// Calls a function; its answer as `$states.result` has it.
    async fn invoke(
        &self,
        state: &State,
        mut arguments: Map<String, Value>,
        timeout: Duration,
        attempt: u64,
    ) -> Result<Value, Failure> {
        let engine = self.running.engine;
        let payload = arguments.remove("Payload").unwrap_or(Value::Null);
        let function_name = text(state, &mut arguments, "FunctionName")?.unwrap_or_default();
        self.running.record(2)?;
        let function_name = function(&function_name);
        self.notify(EventKind::TaskScheduled { state: &state.name, function_name, payload: &payload, attempt });
        let answer = tokio::select! {
            biased;
            answer = engine.tasks.invoke(function_name, payload) => answer.map_err(|TaskError { error, cause }| {
                let cause = Some(cause.chars().take(CAUSE_CHARACTERS).collect());
                Failure { error: Some(error), cause }
            }),
            () = engine.task_clock.sleep(timeout) => Err(Failure::timeout()),
        };
        self.running.record(1)?;
        Ok(json!({ "ExecutedVersion": "$LATEST", "Payload": answer?, "StatusCode": 200 }))
    }

    /// Starts an execution, or joins one that runs, and waits until it has ended. A time-out stops what this has started.
    async fn start_execution(
        &mut self,
        state: &State,
        mut arguments: Map<String, Value>,
        timeout: Duration,
        attempt: u64,
    ) -> Result<Value, Failure> {
        let engine = self.running.engine;
        let input = arguments.remove("Input");
        let name = match text(state, &mut arguments, "Name")? {
            Some(name) => name,
            None => self.random_name(),
        };
        let machine_arn = text(state, &mut arguments, "StateMachineArn")?.unwrap_or_default();
        self.running.record(2)?;
        let function_name = machine_arn.rsplit_once(":stateMachine:").map_or(&*machine_arn, |(_, name)| name);
        let payload = input.as_ref().unwrap_or(&Value::Null);
        self.notify(EventKind::TaskScheduled { state: &state.name, function_name, payload, attempt });
        let submitted = engine.submit(&machine_arn, name, input);
        // A TaskSubmitted, or a TaskSubmitFailed.
        self.running.record(1)?;
        let ended = tokio::select! {
            biased;
            execution = submitted? => outcome(execution),
            () = engine.clock.sleep(timeout) => Err(Failure::timeout()),
        };
        self.running.record(1)?;
        ended
    }

    /// The name of an execution that is given none: a UUID, and another one for each execution that starts some.
    fn random_name(&mut self) -> String {
        let mut generator = Generator::for_execution(self.generator.next(), self.running.arn, 0);
        uuid::Builder::from_random_bytes(generator.bytes()).into_uuid().to_string()
    }

    fn catch(&mut self, state: &State, handlers: &Handlers, failure: Failure, retries: u64) -> Result<Step, Failure> {
        let catcher = handlers.catch.iter().find(|catcher| matches(&catcher.error_equals, failure.name()));
        let Some(Catcher { results, next, .. }) = catcher else { return Err(failure) };
        let next_name = &self.states.all[*next].name;
        self.notify(EventKind::Caught { state: &state.name, error: failure.name(), next: next_name });
        let Failure { error, cause } = failure;
        let mut error_output = Map::new();
        for (field, text) in [("Error", error), ("Cause", cause)] {
            if let Some(text) = text {
                error_output.insert(field.to_owned(), Value::String(text));
            }
        }
        let error_output = Arc::new(Value::Object(error_output));
        let extras = Extras { error_output: Some(&error_output), result: None, retries };
        let output = self.leave(state, results, Some(&error_output), extras)?;
        self.progress.iterations = None;
        Ok(Step::Next(*next, output))
    }

    async fn wait(&mut self, state: &State, wait: &Wait) -> Result<Step, Failure> {
        let until = match &wait.until {
            WaitUntil::Seconds(seconds) => {
                let seconds =
                    self.evaluate(state, Extras::default(), |scope| seconds.evaluate_integer(scope, 0, MOST_SECONDS))?;
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
        if let Ok(duration) = Duration::try_from(until.duration_since(self.running.engine.clock.now())) {
            self.running.engine.clock.sleep(duration).await;
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

    fn fail(&mut self, state: &State, fail: &Fail) -> Result<Step, Failure> {
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
        Err(Failure { error, cause })
    }

    /// Leaves a state by its Next or End.
    pub(crate) fn exit(&mut self, state: &State, exit: &Exit, extras: Extras<'_>) -> Result<Step, Failure> {
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
            None => Arc::clone(default.unwrap_or(&self.progress.position.input)),
        };
        // The input was measured as the output of the state before.
        if !Arc::ptr_eq(&output, &self.progress.position.input) {
            self.running.measure(&state.name, &output)?;
        }
        if let Some(assign) = &results.assign {
            let assigned = self.evaluate(state, extras, |scope| assign.evaluate_fields(scope))?;
            self.assign(state, assigned)?;
        }
        self.running.record(1)?;
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
        let kept = self.progress.variables.iter().filter(|(kept, _)| assigned.iter().all(|(name, _)| name != *kept));
        let total = bytes + kept.map(|(_, variable)| variable.bytes).sum::<usize>();
        if total > VARIABLES_BYTES {
            return Err(too_large(format!("The variables take {total} bytes, of {VARIABLES_BYTES} allowed.")));
        }
        for (name, variable) in assigned {
            self.notify(EventKind::Assigned { state: &state.name, variable: &name, value: &variable.value });
            self.progress.variables.insert(name, variable);
        }
        Ok(())
    }

    /// Evaluates something against the current state's data.
    pub(crate) fn evaluate<T>(
        &mut self,
        state: &State,
        extras: Extras<'_>,
        read: impl FnOnce(&Scope<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let at = At {
            running: self.running,
            entered: self.entered,
            input: &self.progress.position.input,
            variables: &self.progress.variables,
            item: self.item.as_deref(),
        };
        evaluate(&at, state, &mut self.generator, extras, read)
    }

    pub(crate) fn located(&self, state: &State, failure: Failure) -> Failure {
        located(state, self.entered, failure)
    }

    fn notify(&self, kind: EventKind<'_>) {
        self.running.notify(&self.path, kind);
    }
}

/// A text among a Task's arguments, if it is there.
fn text(state: &State, arguments: &mut Map<String, Value>, field: &str) -> Result<Option<String>, Failure> {
    match arguments.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::new(RUNTIME, format!("The {field} of the state '{}' is not a string.", state.name))),
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
