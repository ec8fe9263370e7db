//! What the conformance tests share: a scripted task handler, an observer that remembers, and short ways to run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{
    DefinitionError, Engine, Event, EventKind, ExecutionInput, ExecutionResult, Observer, Place, StateMachine,
    TaskError, TaskHandler,
};
use async_trait::async_trait;
use clock::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What a scripted function does when it is called.
pub(crate) enum Answer {
    /// Answers at once.
    Value(Value),
    /// Answers what it was given.
    Echo,
    /// Fails at once with this error.
    Error(&'static str),
    /// Answers after so many seconds.
    After(u64, Value),
    /// Never answers.
    Hang,
}

/// Plays a list of answers, then echoes; remembers each call with its time.
pub(crate) struct Script {
    clock: Clock,
    answers: Mutex<VecDeque<Answer>>,
    pub(crate) calls: Mutex<Vec<(Timestamp, String, Value)>>,
}

#[async_trait]
impl TaskHandler for Script {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        self.calls.lock().unwrap().push((self.clock.now(), function_name.to_owned(), payload.clone()));
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            None | Some(Answer::Echo) => Ok(payload),
            Some(Answer::Value(value)) => Ok(value),
            Some(Answer::Error(error)) => Err(TaskError { error: error.to_owned(), cause: format!("why {error}") }),
            Some(Answer::After(seconds, value)) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                Ok(value)
            }
            Some(Answer::Hang) => std::future::pending().await,
        }
    }
}

/// Writes each event down as a line: seconds since the start, the execution if it is not `test`, the iteration if there is
/// one, and what happened.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) lines: Mutex<Vec<String>>,
}

impl Observer for Journal {
    fn observe(&self, _: &Event<'_>) {
        panic!("the engine calls observe_at");
    }

    fn observe_at(&self, place: &Place<'_>, event: &Event<'_>) {
        assert!(place.execution_arn.ends_with(&format!(":{}", event.execution)));
        let seconds = event.at.duration_since(START).as_secs_f64();
        let what = match event.kind {
            EventKind::ExecutionStarted { redrives, .. } => format!("started {redrives}"),
            EventKind::StateEntered { state, kind, .. } => format!("enter {state} {kind:?}"),
            EventKind::TaskScheduled { function_name, attempt, .. } => format!("call {function_name} {attempt}"),
            EventKind::TaskSucceeded { attempt, .. } => format!("answered {attempt}"),
            EventKind::TaskFailed { error, attempt, .. } => format!("failed {error} {attempt}"),
            EventKind::Retry { attempt, delay, .. } => format!("retry {attempt} in {}", delay.as_secs_f64()),
            EventKind::Caught { error, next, .. } => format!("caught {error} to {next}"),
            EventKind::Waiting { until, .. } => format!("wait to {}", until.duration_since(START).as_secs_f64()),
            EventKind::Assigned { variable, value, .. } => format!("${variable} = {value}"),
            EventKind::StateExited { state, output } => format!("exit {state} {output}"),
            EventKind::ExecutionEnded { status, .. } => format!("ended {status}"),
        };
        let name = if event.execution == "test" { String::new() } else { format!("{}: ", event.execution) };
        let path = place.iterations.iter().fold(String::new(), |path, index| path + &format!("#{index} "));
        self.lines.lock().unwrap().push(format!("{seconds} {name}{path}{what}"));
    }
}

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

pub(crate) struct Harness {
    pub(crate) clock: Clock,
    pub(crate) script: Arc<Script>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) engine: Engine,
}

impl Harness {
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        Self::seeded(answers, 1)
    }

    pub(crate) fn seeded(answers: Vec<Answer>, seed: u64) -> Self {
        let clock = Clock::starting_at(START, 1);
        let script =
            Arc::new(Script { clock: clock.clone(), answers: Mutex::new(answers.into()), calls: Mutex::default() });
        let journal = Arc::new(Journal::default());
        let engine = Engine::new(clock.clone(), script.clone(), journal.clone(), seed);
        Self { clock, script, journal, engine }
    }

    pub(crate) async fn run(&self, machine: &StateMachine, input: Value) -> ExecutionResult {
        self.engine.run(machine, ExecutionInput { name: "test".to_owned(), input }).await.unwrap()
    }

    /// Seconds from the start to now.
    pub(crate) fn elapsed(&self) -> f64 {
        self.clock.now().duration_since(START).as_secs_f64()
    }

    /// Seconds from the start to each call.
    pub(crate) fn call_times(&self) -> Vec<f64> {
        let since = |at: &Timestamp| SignedDuration::as_secs_f64(&at.duration_since(START));
        self.script.calls.lock().unwrap().iter().map(|(at, ..)| since(at)).collect()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.journal.lines.lock().unwrap().clone()
    }
}

/// A machine of the given states that starts at the first.
pub(crate) fn definition(states: Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    let mut definition = json!({ "QueryLanguage": "JSONata", "StartAt": first });
    definition["States"] = states;
    definition
}

pub(crate) fn parse(definition: Value) -> Result<StateMachine, DefinitionError> {
    StateMachine::from_value(definition, &BTreeMap::new())
}

pub(crate) fn machine(states: Value) -> StateMachine {
    parse(definition(states)).unwrap()
}

/// A Task that calls `f` with the state's input, and these fields beside.
pub(crate) fn task(fields: Value) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": { "FunctionName": "f", "Payload": "{% $states.input %}" },
    });
    let (Value::Object(map), Value::Object(fields)) = (&mut task, fields) else { panic!("fields are an object") };
    map.extend(fields);
    if !map.contains_key("Next") {
        map.insert("End".to_owned(), json!(true));
    }
    task
}

/// A Pass with this output, at the end.
pub(crate) fn pass(output: Value) -> Value {
    let mut pass = json!({ "Type": "Pass", "End": true });
    pass["Output"] = output;
    pass
}

/// Runs a machine of one Pass whose Output is this expression.
pub(crate) async fn output(expression: &str, input: Value) -> ExecutionResult {
    Harness::new(vec![]).run(&machine(json!({ "P": pass(json!(format!("{{% {expression} %}}"))) })), input).await
}

/// A Map over its input of these states, which start at the first, with these fields beside, at the end.
pub(crate) fn map(fields: Value, states: Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    let mut map = json!({ "Type": "Map", "ItemProcessor": { "StartAt": first } });
    map["ItemProcessor"]["States"] = states;
    let (Value::Object(map_fields), Value::Object(fields)) = (&mut map, fields) else { panic!("fields are an object") };
    map_fields.extend(fields);
    if !map_fields.contains_key("Next") {
        map_fields.insert("End".to_owned(), json!(true));
    }
    map
}

/// A Task that starts an execution of the machine `child`, with these arguments beside, at the end.
pub(crate) fn nested(arguments: Value) -> Value {
    let mut task = task(json!({
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": { "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:child" },
    }));
    let (Value::Object(all), Value::Object(arguments)) = (&mut task["Arguments"], arguments) else {
        panic!("arguments are an object")
    };
    all.extend(arguments);
    task
}
