//! Whole executions: limits, time-outs, stopping and redriving.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Answer, Harness, definition, machine, parse, pass, task};
use crate::{DATA_BYTES, ExecutionInput, HISTORY_EVENTS, StartError, StateMachine, Status, Stop};

/// A string that takes so many bytes as JSON.
fn text(bytes: usize) -> Value {
    Value::String("x".repeat(bytes - 2))
}

async fn start(name: &str, input: Value) -> Result<Status, StartError> {
    let execution = ExecutionInput { name: name.to_owned(), input };
    let machine = machine(json!({ "S": { "Type": "Succeed" } }));
    Harness::new(vec![]).engine.run(&machine, execution).await.map(|result| result.status)
}

#[tokio::test(start_paused = true)]
async fn names_and_inputs_that_the_service_refuses() {
    let (longest, too_long) = ("x".repeat(80), "x".repeat(81));
    for name in ["deploy-orders_1.2=+@!()'", "ä", longest.as_str()] {
        assert_eq!(start(name, json!({})).await, Ok(Status::Succeeded), "{name}");
    }
    for name in ["", too_long.as_str(), "a b", "a/b", "a:b", "a*", "[a]", "a\u{7}", "a#", "a\"b", "a,b"] {
        assert_eq!(start(name, json!({})).await, Err(StartError::InvalidName(name.to_owned())));
    }
    assert_eq!(start("n", text(DATA_BYTES)).await, Ok(Status::Succeeded));
    assert_eq!(start("n", text(DATA_BYTES + 1)).await, Err(StartError::InvalidExecutionInput(DATA_BYTES + 1)));
}

#[tokio::test(start_paused = true)]
async fn state_data_is_limited_and_only_its_own_name_catches_that() {
    let wrapper = json!({ "ExecutedVersion": "$LATEST", "Payload": "", "StatusCode": 200 }).to_string().len() - 2;
    let run = async |bytes: usize, caught: &str| {
        let fields = json!({
            "Retry": [{ "ErrorEquals": ["States.ALL"] }],
            "Catch": [{ "ErrorEquals": [caught], "Next": "E", "Output": "{% $states.errorOutput.Error %}" }],
            "Next": "E",
            "Output": "done",
        });
        let machine = machine(json!({ "T": task(fields), "E": { "Type": "Succeed" } }));
        Harness::new(vec![Answer::Value(text(bytes))]).run(&machine, json!({})).await
    };
    let fits = run(DATA_BYTES - wrapper, "States.ALL").await;
    assert_eq!((fits.status, fits.largest_state_bytes), (Status::Succeeded, DATA_BYTES));
    let over = run(DATA_BYTES - wrapper + 1, "States.ALL").await;
    assert_eq!((over.status, over.error.as_deref()), (Status::Failed, Some("States.DataLimitExceeded")));
    assert_eq!(over.transitions, 1);
    let named = run(DATA_BYTES - wrapper + 1, "States.DataLimitExceeded").await;
    assert_eq!(named.output, Some(json!("States.DataLimitExceeded")));
}

#[tokio::test(start_paused = true)]
async fn outputs_arguments_and_variables_are_limited_too() {
    let twice = "{% [$states.input, $states.input] %}";
    let table = [
        pass(json!(twice)),
        json!({ "Type": "Pass", "Assign": { "v": twice }, "End": true }),
        task(json!({ "Arguments": { "FunctionName": "f", "Payload": twice } })),
    ];
    for state in table {
        let kind = state.to_string();
        let result = Harness::new(vec![]).run(&machine(json!({ "S": state })), text(200_000)).await;
        assert_eq!(result.error.as_deref(), Some("States.DataLimitExceeded"), "{kind}");
    }
}

/// Loops through `count` variables of 200,000 bytes each.
fn filling(count: usize) -> StateMachine {
    let mut states = serde_json::Map::new();
    for index in 0..count {
        let next = if index + 1 == count { "E".to_owned() } else { format!("S{}", index + 1) };
        let assign = json!({ format!("v{index}"): "{% $states.input %}" });
        states.insert(format!("S{index}"), json!({ "Type": "Pass", "Assign": assign, "Next": next }));
    }
    states.insert("E".to_owned(), json!({ "Type": "Succeed" }));
    machine(Value::Object(states))
}

#[tokio::test(start_paused = true)]
async fn all_variables_together_are_limited() {
    let result = Harness::new(vec![]).run(&filling(52), text(200_000)).await;
    assert_eq!(result.status, Status::Succeeded);
    let result = Harness::new(vec![]).run(&filling(53), text(200_000)).await;
    assert_eq!(result.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[tokio::test(start_paused = true)]
async fn history_is_limited_and_that_is_final() {
    let states = json!({
        "T": task(json!({ "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "E" }], "Output": 1, "Next": "W" })),
        "W": { "Type": "Wait", "Seconds": 60, "Next": "C" },
        "C": { "Type": "Choice", "Choices": [{ "Condition": "{% $states.input = 'end' %}", "Next": "E" }], "Default": "T" },
        "E": { "Type": "Succeed" },
    });
    let harness = Harness::new(vec![]);
    let machine = machine(states);
    let result = harness.run(&machine, json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    assert!(result.cause.unwrap().contains("25000"));
    assert_eq!(result.history_events, HISTORY_EVENTS);
    // Nine events a round, after the start.
    assert_eq!(harness.call_times().len(), 24_998 / 9 + 1);
    let again = harness.engine.redrive(&machine, result.redrive.unwrap()).await;
    assert_eq!(again.unwrap_err(), StartError::ExecutionNotRedrivable(HISTORY_EVENTS));
}

#[tokio::test(start_paused = true)]
async fn data_that_nests_ever_deeper_ends_the_execution() {
    let states = json!({
        "P": { "Type": "Pass", "Output": { "in": "{% $states.input %}" }, "Next": "C" },
        "C": { "Type": "Choice", "Choices": [{ "Condition": "{% false %}", "Next": "E" }], "Default": "P" },
        "E": { "Type": "Succeed" },
    });
    let result = Harness::new(vec![]).run(&machine(states), json!(1)).await;
    assert_eq!(result.error.as_deref(), Some("States.Runtime"));
    assert!(result.cause.unwrap().contains("nests 201 levels deep"));
}

fn limited(seconds: u64, states: Value) -> StateMachine {
    let mut definition = definition(states);
    definition["TimeoutSeconds"] = json!(seconds);
    parse(definition).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_execution_times_out_and_nothing_catches_that() {
    let states = json!({
        "T": task(json!({ "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "E" }], "Next": "E" })),
        "E": { "Type": "Succeed" },
    });
    let harness = Harness::new(vec![Answer::Hang]);
    let result = harness.run(&limited(90, states), json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::TimedOut, Some("States.Timeout")));
    assert!((harness.elapsed() - 90.0).abs() < 0.01);
    assert_eq!(harness.lines().last().unwrap(), "90 ended TIMED_OUT");
}

#[tokio::test(start_paused = true)]
async fn an_execution_takes_a_year_at_most() {
    let states = json!({ "W": { "Type": "Wait", "Seconds": 99_999_999, "End": true } });
    let harness = Harness::new(vec![]);
    assert_eq!(harness.run(&machine(states), json!({})).await.status, Status::TimedOut);
    assert!((harness.elapsed() - 31_536_000.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn an_execution_can_be_stopped() {
    let machine = machine(json!({ "W": { "Type": "Wait", "Seconds": 600, "End": true } }));
    let harness = Harness::new(vec![]);
    let stop = Stop { error: Some("Superseded".to_owned()), cause: None };
    let ordered = async {
        harness.clock.sleep(Duration::from_secs(10)).await;
        stop.clone()
    };
    let execution = ExecutionInput { name: "test".to_owned(), input: json!({}) };
    let result = harness.engine.run_until(&machine, execution, ordered).await.unwrap();
    assert_eq!((result.status, result.error.as_deref()), (Status::Aborted, Some("Superseded")));
    assert_eq!(harness.lines().last().unwrap(), "10 ended ABORTED");
}

#[tokio::test(start_paused = true)]
async fn a_redriven_execution_goes_on_where_it_stopped() {
    let states = json!({
        "A": task(json!({ "Assign": { "v": "{% $states.result.Payload %}" }, "Output": { "from": "A" }, "Next": "B" })),
        "B": task(json!({
            "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 1 }],
            "Output": "{% [$v, $states.result.Payload.from, $states.context.Execution.RedriveCount] %}",
        })),
    });
    let machine = limited(1000, states);
    let busy = || Answer::Error("Busy");
    let harness = Harness::new(vec![Answer::Value(json!("kept")), busy(), busy(), busy(), Answer::Echo]);
    let failed = harness.run(&machine, json!({})).await;
    assert_eq!((failed.status, failed.transitions), (Status::Failed, 3));
    let redrive = failed.redrive.unwrap();
    assert_eq!(redrive.redrives(), 0);
    let result = harness.engine.redrive(&machine, redrive).await.unwrap();
    assert_eq!(result.output, Some(json!(["kept", "A", 1])));
    // The redrive enters B again and has a retry of its own.
    assert_eq!(result.transitions, 5);
    assert!(result.history_events > failed.history_events);
    assert!(result.redrive.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_redrive_begins_the_time_limit_anew() {
    let machine = limited(60, json!({ "W": { "Type": "Wait", "Timestamp": "{% $states.input %}", "End": true } }));
    let harness = Harness::new(vec![]);
    let until = super::support::START + jiff::SignedDuration::from_secs(100);
    let timed_out = harness.run(&machine, json!(until.to_string())).await;
    assert_eq!(timed_out.status, Status::TimedOut);
    let result = harness.engine.redrive(&machine, timed_out.redrive.unwrap()).await.unwrap();
    assert_eq!(result.status, Status::Succeeded);
    assert!((harness.elapsed() - 100.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_fail_fails_again() {
    let machine = machine(json!({ "F": { "Type": "Fail", "Error": "Mine" } }));
    let harness = Harness::new(vec![]);
    let failed = harness.run(&machine, json!({})).await;
    let again = harness.engine.redrive(&machine, failed.redrive.unwrap()).await.unwrap();
    assert_eq!((again.status, again.error.as_deref()), (Status::Failed, Some("Mine")));
}
