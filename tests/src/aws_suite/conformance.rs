//! Whether our own engine goes the same way as ministack's: it is given the definition, the execution's input and, call by
//! call, what the Lambdas answered there, and must enter the same states with the same inputs and come to the same end.
//! So two engines that share nothing are compared on real executions, whatever time each step took.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use asl::{Engine, Event, EventKind, ExecutionInput, Observer, StateMachine, Status, Stop, TaskError, TaskHandler};
use async_trait::async_trait;
use clock::Clock;
use jiff::{SignedDuration, Timestamp};
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
    compare_on(&deploy_machine(), &ended.described, history)
}

/// The same of any state machine without Maps and nested executions.
///
/// # Errors
/// Where they differ.
pub fn compare_on(machine: &StateMachine, described: &Value, history: &[Value]) -> Result<(), String> {
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
fn replay(machine: &StateMachine, described: &Value, told: Told) -> Result<Replayed, String> {
    let input = parse(described["input"].as_str().unwrap_or_default())?;
    let name = described["name"].as_str().unwrap_or_default().to_owned();
    let began = SignedDuration::try_from_secs_f64(described["startDate"].as_f64().unwrap_or_default());
    let began = began.ok().and_then(|since| Timestamp::from_duration(since).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let replaying = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
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
            let result = engine.run_until(machine, execution, stop).await.map_err(|error| error.to_string())?;
            let entered = std::mem::take(&mut *states.0.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Replayed { entered, status: result.status, error: result.error, cause: result.cause })
        })
    };
    std::thread::scope(|scope| scope.spawn(replaying).join()).map_err(|_| "the replay panicked".to_owned())?
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn machine() -> StateMachine {
        let definition = json!({
            "QueryLanguage": "JSONata",
            "StartAt": "Ask",
            "States": {
                "Ask": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Arguments": { "FunctionName": "ask", "Payload": "{% $states.input %}" },
                    "Retry": [{ "ErrorEquals": ["Throttled"], "IntervalSeconds": 2, "MaxAttempts": 1 }],
                    "Output": "{% $states.result.Payload %}",
                    "Next": "Decide",
                },
                "Decide": {
                    "Type": "Choice",
                    "Choices": [{ "Condition": "{% $states.input.next = 'Pause' %}", "Next": "Pause" }],
                    "Default": "Failed",
                },
                "Pause": { "Type": "Wait", "Seconds": 3_600, "Next": "Ask" },
                "Failed": { "Type": "Fail", "Error": "Refused", "Cause": "{% $string($states.input) %}" },
            },
        });
        StateMachine::parse(&definition.to_string(), &BTreeMap::new()).unwrap()
    }

    fn entered(name: &str, input: &Value) -> Value {
        json!({ "type": "TaskStateEntered",
            "stateEnteredEventDetails": { "name": name, "input": input.to_string() } })
    }

    fn answered(payload: &Value) -> Value {
        let output = json!({ "StatusCode": 200, "Payload": payload }).to_string();
        json!({ "type": "TaskSucceeded", "taskSucceededEventDetails": { "output": output } })
    }

    fn described(status: &str) -> Value {
        json!({ "name": "one", "input": "{\"application\":\"orders\"}", "status": status, "startDate": 1_767_355_200.5,
            "error": "Refused", "cause": "{ \"next\": \"End\" }" })
    }

    /// Asks, is throttled, asks again, pauses, asks, and fails.
    fn history() -> Vec<Value> {
        let (pause, end) = (json!({ "next": "Pause" }), json!({ "next": "End" }));
        let throttled = json!({ "type": "TaskFailed",
            "taskFailedEventDetails": { "error": "Throttled", "cause": "too many" } });
        vec![
            json!({ "type": "ExecutionStarted" }),
            entered("Ask", &json!({ "application": "orders" })),
            throttled,
            answered(&pause),
            entered("Decide", &pause),
            entered("Pause", &pause),
            entered("Ask", &pause),
            answered(&end),
            entered("Decide", &end),
            entered("Failed", &end),
        ]
    }

    #[test]
    fn the_same_way_with_the_same_end_is_the_same() {
        assert_eq!(compare_on(&machine(), &described("FAILED"), &history()), Ok(()));
        assert_eq!(path(&history()).unwrap(), ["Ask", "Decide", "Pause", "Ask", "Decide", "Failed"]);
    }

    #[test]
    fn another_state_another_input_and_another_end_are_told() {
        let differs = |change: &dyn Fn(&mut Vec<Value>, &mut Value)| {
            let (mut history, mut described) = (history(), described("FAILED"));
            change(&mut history, &mut described);
            compare_on(&machine(), &described, &history).unwrap_err()
        };
        let other = differs(&|history, _| history[5] = entered("Failed", &json!({ "next": "Pause" })));
        assert_eq!(other, "state 2 is Failed there and Pause in our engine");
        let input = differs(&|history, _| history[4] = entered("Decide", &json!({})));
        assert!(input.starts_with("the input of Decide (state 1) is {} there"), "{input}");
        let fewer = differs(&|history, _| drop(history.pop()));
        assert!(fewer.starts_with("5 states there, 6 in our engine"), "{fewer}");
        let end = differs(&|_, described| described["error"] = json!("Restored"));
        assert!(end.starts_with("the end is"), "{end}");
        let status = differs(&|_, described| described["status"] = json!("SUCCEEDED"));
        assert!(status.starts_with("the end is"), "{status}");
    }

    #[test]
    fn an_aborted_execution_is_compared_as_far_as_it_came() {
        let aborted: Vec<Value> = history().into_iter().take(6).collect();
        assert_eq!(compare_on(&machine(), &described("ABORTED"), &aborted), Ok(()));
        let mut other = aborted;
        other[5] = entered("Failed", &json!({ "next": "Pause" }));
        assert!(compare_on(&machine(), &described("ABORTED"), &other).is_err());
    }
}
