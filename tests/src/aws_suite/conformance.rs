//! Whether our own engine goes the same way as ministack's: it is given the definition, the execution's input and, call by
//! call, what the Lambdas answered there, and must enter the same states with the same inputs and come to the same end.
//! So two engines that share nothing are compared on real executions, whatever time each step took.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use asl::{Engine, Event, EventKind, ExecutionInput, Observer, StateMachine, Status, Stop, TaskError, TaskHandler};
use async_trait::async_trait;
use clock::Clock;
use jiff::Timestamp;
use serde_json::Value;

use super::scene::Ended;
use crate::world::deploy_machine;

/// A state that was entered, with its input.
type Entered = (String, Value);

/// The execution as a history tells it.
#[derive(Debug, Default)]
struct Told {
    entered: Vec<Entered>,
    answers: VecDeque<Result<Value, TaskError>>,
}

/// Compares an execution of the deploy state machine with our own engine.
///
/// # Errors
/// Where they differ.
pub fn compare(ended: &Ended, history: &[Value]) -> Result<(), String> {
    compare_on(deploy_machine(), &ended.described, history)
}

/// The same of any state machine without Maps and nested executions.
///
/// # Errors
/// Where they differ.
pub fn compare_on(machine: StateMachine, described: &Value, history: &[Value]) -> Result<(), String> {
    let told = read(history)?;
    let theirs = told.entered.clone();
    let ours = replay(machine, described, told)?;
    for (index, (their, our)) in theirs.iter().zip(&ours.entered).enumerate() {
        if their.0 != our.0 {
            return Err(format!("state {index} is {} there and {} in our engine", their.0, our.0));
        }
        if their.1 != our.1 {
            return Err(format!(
                "the input of {} (state {index}) is {} there and {} in our engine",
                their.0, their.1, our.1
            ));
        }
    }
    let aborted = described["status"] == "ABORTED";
    if theirs.len() != ours.entered.len() && !aborted {
        return Err(format!(
            "{} states there, {} in our engine: {:?}",
            theirs.len(),
            ours.entered.len(),
            names(&ours.entered)
        ));
    }
    if aborted {
        return Ok(());
    }
    let text = |member: &str| described[member].as_str();
    let end = (text("status"), text("error"), as_json(text("cause")));
    let our_end = (Some(ours.status.name()), ours.error.as_deref(), as_json(ours.cause.as_deref()));
    if end != our_end {
        return Err(format!("the end is {end:?} there and {our_end:?} in our engine"));
    }
    Ok(())
}

/// Names of the states in the order in which they were entered.
///
/// # Errors
/// When the history is none.
pub fn path(history: &[Value]) -> Result<Vec<String>, String> {
    Ok(names(&read(history)?.entered))
}

fn names(entered: &[Entered]) -> Vec<String> {
    entered.iter().map(|(name, _)| name.clone()).collect()
}

fn as_json(text: Option<&str>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

fn read(history: &[Value]) -> Result<Told, String> {
    let mut told = Told::default();
    for event in history {
        let text = |details: &str, member: &str| {
            let text = event[details][member].as_str();
            text.map(str::to_owned).ok_or_else(|| format!("no {member} in {event}"))
        };
        match event["type"].as_str().unwrap_or_default() {
            "TaskSucceeded" => {
                let output: Value = parse(&text("taskSucceededEventDetails", "output")?)?;
                told.answers.push_back(Ok(output["Payload"].clone()));
            }
            "TaskFailed" => {
                let error = text("taskFailedEventDetails", "error")?;
                let cause = text("taskFailedEventDetails", "cause").unwrap_or_default();
                told.answers.push_back(Err(TaskError { error, cause }));
            }
            kind if kind.ends_with("StateEntered") => {
                let input = parse(&text("stateEnteredEventDetails", "input")?)?;
                told.entered.push((text("stateEnteredEventDetails", "name")?, input));
            }
            _ => {}
        }
    }
    Ok(told)
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))
}

/// What our engine did.
#[derive(Debug)]
struct Replayed {
    entered: Vec<Entered>,
    status: Status,
    error: Option<String>,
    cause: Option<String>,
}

/// Runs it in virtual time, which is a runtime's own.
fn replay(machine: StateMachine, described: &Value, told: Told) -> Result<Replayed, String> {
    let input = parse(described["input"].as_str().unwrap_or_default())?;
    let name = described["name"].as_str().unwrap_or_default().to_owned();
    let began = described["startDate"].as_f64().unwrap_or_default();
    let replaying = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let began = Timestamp::from_second(began as i64).unwrap_or(Timestamp::UNIX_EPOCH);
            let (no_more, ended) = tokio::sync::oneshot::channel();
            let answers = Arc::new(Answers { answers: Mutex::new(told.answers), no_more: Mutex::new(Some(no_more)) });
            let states = Arc::new(States::default());
            let engine = Engine::new(Clock::starting_at(began, 1), answers, states.clone(), 1);
            let stop = async {
                // The sender is dropped unsent with the engine only.
                let _ = ended.await;
                Stop::default()
            };
            let execution = ExecutionInput { name, input };
            let result = engine.run_until(&machine, execution, stop).await.map_err(|error| error.to_string())?;
            let entered = std::mem::take(&mut *states.0.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Replayed { entered, status: result.status, error: result.error, cause: result.cause })
        })
    });
    replaying.join().map_err(|_| "the replay panicked".to_owned())?
}

/// The Lambdas' answers, in the order in which they were given. Where there is none left, the execution was ended from
/// outside, and so is ours.
struct Answers {
    answers: Mutex<VecDeque<Result<Value, TaskError>>>,
    no_more: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
}

#[async_trait]
impl TaskHandler for Answers {
    async fn invoke(&self, _: &str, _: Value) -> Result<Value, TaskError> {
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(answer) = answer {
            return answer;
        }
        if let Some(no_more) = self.no_more.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody listens any more where the engine is at its end.
            let _ = no_more.send(());
        }
        std::future::pending().await
    }
}

#[derive(Debug, Default)]
struct States(Mutex<Vec<Entered>>);

impl Observer for States {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::StateEntered { state, input, .. } = event.kind {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((state.to_owned(), input.clone()));
        }
    }
}
