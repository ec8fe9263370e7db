//! Tasks that start executions, and the record of executions.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Answer, Harness, Journal, START, definition, machine, map, nested, parse, pass, task};
use crate::{
    DATA_BYTES, Engine, Execution, ExecutionInput, ExecutionResult, StartError, Startable, StateMachine, StateMachines,
    Status, Stop,
};

const ONE: &str = "arn:aws:states:us-east-1:123456789012:execution:child:one";
const TEST: &str = "arn:aws:states:us-east-1:123456789012:execution:StateMachine:test";

/// A harness whose Tasks can start the machine `child` of this definition.
fn harness(child: Value) -> Harness {
    let child = parse(child).unwrap().named("child");
    let mut harness = Harness::new(vec![]);
    let others = machine(json!({ "S": { "Type": "Succeed" } })).named("children");
    harness.engine = harness.engine.with_state_machines(Arc::new(vec![Arc::new(others), Arc::new(child)]));
    harness
}

/// A child that waits a minute.
fn waiting() -> Value {
    definition(json!({ "W": { "Type": "Wait", "Seconds": 60, "Output": "waited", "End": true } }))
}

/// A parent that starts the execution `one` and does what else these fields of the Task say.
fn parent(fields: Value) -> StateMachine {
    let mut task = nested(json!({ "Name": "one", "Input": "{% $states.input %}" }));
    let (Value::Object(all), Value::Object(fields)) = (&mut task, fields) else { panic!("fields are an object") };
    all.extend(fields);
    machine(json!({ "T": task }))
}

async fn run(harness: &Harness, machine: &StateMachine, name: &str, input: Value) -> ExecutionResult {
    harness.engine.run(machine, ExecutionInput { name: name.to_owned(), input }).await.unwrap()
}

async fn after(harness: &Harness, seconds: u64) -> Stop {
    harness.clock.sleep(Duration::from_secs(seconds)).await;
    Stop { error: Some("Enough".to_owned()), cause: None }
}

fn one(harness: &Harness) -> Execution {
    harness.engine.executions().describe(ONE).unwrap()
}

/// When the execution `one` ended, in seconds from the start, and how.
fn end_of_one(harness: &Harness) -> (f64, Status) {
    let one = one(harness);
    (one.ended_at.unwrap().duration_since(START).as_secs_f64().round(), one.status.unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_result_is_what_describe_execution_says() {
    let states = json!({
        "W": { "Type": "Wait", "Seconds": 10, "Next": "P" },
        "P": pass(json!({ "got": "{% $states.input %}" })),
    });
    let harness = harness(definition(states));
    let result = run(&harness, &parent(json!({})), "test", json!({ "k": 1 })).await;
    let expected = json!({
        "ExecutionArn": ONE,
        "Input": { "k": 1 },
        "InputDetails": { "Included": true },
        "Name": "one",
        "Output": { "got": { "k": 1 } },
        "OutputDetails": { "Included": true },
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": 1_700_000_000_000_u64,
        "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:child",
        "Status": "SUCCEEDED",
        "StopDate": 1_700_000_010_000_u64,
    });
    assert_eq!(result.output.unwrap().to_string(), expected.to_string());
    // Of the execution 2, of the state 2, and that the Task was scheduled, started, submitted and succeeded.
    assert_eq!((result.history_events, result.transitions), (8, 1));
}

/// The inputs are what the child gets for what the Task gives.
#[tokio::test(start_paused = true)]
async fn inputs_are_any_json_or_its_text() {
    let table = [
        (json!({}), json!({})),
        (json!({ "Input": null }), json!({})),
        (json!({ "Input": [1, "{% 1 + 1 %}"] }), json!([1, 2])),
        (json!({ "Input": 5 }), json!(5)),
        (json!({ "Input": "{\"a\": [true]}" }), json!({ "a": [true] })),
    ];
    for (arguments, expected) in table {
        let harness = harness(definition(json!({ "S": { "Type": "Succeed" } })));
        let result = run(&harness, &machine(json!({ "T": nested(arguments.clone()) })), "test", json!(1)).await;
        assert_eq!(result.output.unwrap()["Input"], expected, "{arguments}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_without_a_name_gets_one_that_repeats_for_a_seed() {
    let names = async || {
        let harness = harness(waiting());
        let machine = machine(json!({ "M": map(json!({}), json!({ "T": nested(json!({})) })) }));
        run(&harness, &machine, "test", json!([1, 2])).await;
        run(&harness, &machine.named("twin"), "test", json!([1, 2])).await;
        let all = harness.engine.executions().all();
        all.into_iter().map(|execution| execution.name).filter(|name| name != "test").collect::<Vec<_>>()
    };
    let first = names().await;
    assert!(first.iter().all(|name| uuid::Uuid::parse_str(name).is_ok()), "{first:?}");
    let different: std::collections::HashSet<&String> = first.iter().collect();
    assert_eq!((first.len(), different.len()), (4, 4));
    assert_eq!(first, names().await);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_succeed_fails_the_task_with_its_description() {
    let fail = |fields: Value| {
        let mut fail = fields;
        fail["Type"] = json!("Fail");
        definition(json!({ "F": fail }))
    };
    let mut timed_out = waiting();
    timed_out["TimeoutSeconds"] = json!(7);
    let tail = |stop: u64| {
        format!(
            "\"ExecutionArn\":\"{ONE}\",\"Input\":\"{{\\\"k\\\":1}}\",\"InputDetails\":{{\"Included\":true}},\"Name\":\"one\",\
             \"RedriveCount\":0,\"RedriveStatus\":\"REDRIVABLE\",\"StartDate\":1700000000000,\"StateMachineArn\":\
             \"arn:aws:states:us-east-1:123456789012:stateMachine:child\",\"Status\":\"STATUS\",\"StopDate\":{stop}}}"
        )
    };
    let table = [
        (fail(json!({ "Error": "Boom", "Cause": "why" })), "FAILED", "{\"Cause\":\"why\",\"Error\":\"Boom\",", 0),
        (fail(json!({ "Error": "Boom" })), "FAILED", "{\"Error\":\"Boom\",", 0),
        (fail(json!({})), "FAILED", "{", 0),
        (timed_out, "TIMED_OUT", "{", 7),
        (waiting(), "ABORTED", "{\"Cause\":\"by hand\",\"Error\":\"Enough\",", 20),
    ];
    for (child, status, head, seconds) in table {
        let harness = harness(child);
        let executions = harness.engine.executions().clone();
        let by_hand = async {
            let stop = after(&harness, 20).await;
            executions.stop(ONE, Stop { cause: Some("by hand".to_owned()), ..stop })
        };
        let parent = parent(json!({}));
        let (result, was_running) = tokio::join!(run(&harness, &parent, "test", json!({ "k": 1 })), by_hand);
        assert_eq!(was_running, status == "ABORTED");
        assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.TaskFailed")));
        let expected = format!("{head}{}", tail(1_700_000_000_000 + seconds * 1000).replace("STATUS", status));
        assert_eq!(result.cause, Some(expected));
        assert_eq!((result.history_events, result.transitions), (7, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn only_states_task_failed_catches_the_failure_of_a_child() {
    let harness = harness(definition(json!({ "F": { "Type": "Fail", "Error": "Boom" } })));
    let catch = json!([{ "ErrorEquals": ["Boom", "States.Timeout"], "Next": "E" }, { "ErrorEquals": ["States.TaskFailed"], "Next": "E", "Output": "caught" }]);
    let mut task = nested(json!({}));
    task["Catch"] = catch;
    let result = run(&harness, &machine(json!({ "T": task, "E": { "Type": "Succeed" } })), "test", json!({})).await;
    assert_eq!(result.output, Some(json!("caught")));
}

#[tokio::test(start_paused = true)]
async fn calls_that_the_service_refuses() {
    let unknown = "arn:aws:states:us-east-1:123456789012:stateMachine:nobody";
    let table = [
        (
            json!({ "StateMachineArn": unknown }),
            "StateMachineDoesNotExist",
            "StateMachineDoesNotExist: arn:aws:states:",
        ),
        (json!({ "Name": "a b" }), "InvalidName", "InvalidName: \"a b\""),
        (json!({ "Input": "not JSON" }), "InvalidExecutionInput", "The input is not JSON: "),
        (json!({ "Name": "taken" }), "ExecutionAlreadyExists", "ExecutionAlreadyExists: arn:aws:states:"),
    ];
    for (arguments, code, cause) in table {
        let harness = harness(definition(json!({ "S": { "Type": "Succeed" } })));
        let first = machine(json!({ "T": nested(json!({ "Name": "taken" })) }));
        assert_eq!(run(&harness, &first, "first", json!({})).await.status, Status::Succeeded);
        let result = run(&harness, &machine(json!({ "T": nested(arguments) })), "test", json!({})).await;
        assert_eq!(result.error, Some(format!("StepFunctions.{code}Exception")));
        assert!(result.cause.as_deref().unwrap().starts_with(cause), "{result:?}");
        // Of the execution 2, of the state 1, and that the Task was scheduled and started, and that it was not submitted.
        assert_eq!(result.history_events, 6);
        assert_eq!(harness.engine.executions().all().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_name_and_input_join_the_one_that_runs() {
    let harness = harness(waiting());
    let parent = parent(json!({ "Output": ["{% $states.result.Output %}", "{% $states.result.StartDate %}"] }));
    let later = async {
        after(&harness, 30).await;
        let same = run(&harness, &parent, "same", json!({ "a": 1, "b": 2 }));
        let other = run(&harness, &parent, "other", json!({ "a": 1 }));
        tokio::join!(same, other)
    };
    let (first, (same, other)) = tokio::join!(run(&harness, &parent, "test", json!({ "b": 2, "a": 1 })), later);
    assert_eq!(first.output, Some(json!(["waited", 1_700_000_000_000_u64])));
    assert_eq!(same.output, first.output);
    assert_eq!(other.error.as_deref(), Some("StepFunctions.ExecutionAlreadyExistsException"));
    assert!((harness.elapsed() - 60.0).abs() < 0.01);
    assert_eq!(harness.lines().iter().filter(|line| line.contains("one: started")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_joined_a_child_hears_that_it_was_stopped_with_who_started_it() {
    let harness = harness(waiting());
    let parent = parent(json!({}));
    let first = harness.engine.run_until(
        &parent,
        ExecutionInput { name: "test".to_owned(), input: json!({}) },
        after(&harness, 30),
    );
    let (first, joined) = tokio::join!(first, run(&harness, &parent, "joined", json!({})));
    assert_eq!(first.unwrap().status, Status::Aborted);
    assert_eq!((joined.status, joined.error.as_deref()), (Status::Failed, Some("States.TaskFailed")));
    assert!(joined.cause.unwrap().contains("\"Status\":\"ABORTED\""));
    assert!((harness.elapsed() - 30.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn who_joined_a_child_does_not_stop_it() {
    let harness = harness(waiting());
    let (slow, hasty) = (parent(json!({})), parent(json!({ "TimeoutSeconds": 5 })));
    let (slow, hasty) =
        tokio::join!(run(&harness, &slow, "test", json!({})), run(&harness, &hasty, "hasty", json!({})));
    assert_eq!((slow.status, hasty.error.as_deref()), (Status::Succeeded, Some("States.Timeout")));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_parent_is_the_end_of_the_child() {
    // Stopped from outside
    let stopped = harness(waiting());
    let execution = ExecutionInput { name: "test".to_owned(), input: json!({}) };
    let result = stopped.engine.run_until(&parent(json!({})), execution, after(&stopped, 10)).await.unwrap();
    assert_eq!((result.status, end_of_one(&stopped)), (Status::Aborted, (10.0, Status::Aborted)));
    let lines = stopped.lines();
    assert_eq!(lines[lines.len() - 2..], ["10 one: ended ABORTED", "10 ended ABORTED"]);
    // Ordered through the record
    let ordered = harness(waiting());
    let executions = ordered.engine.executions().clone();
    let order = async {
        let stop = after(&ordered, 15).await;
        assert!(executions.stop(TEST, stop));
    };
    let machine_of_one = parent(json!({}));
    let (result, ()) = tokio::join!(run(&ordered, &machine_of_one, "test", json!({})), order);
    assert_eq!((result.status, result.error.as_deref()), (Status::Aborted, Some("Enough")));
    assert_eq!(end_of_one(&ordered), (15.0, Status::Aborted));
    assert!(!executions.stop(TEST, Stop::default()), "it has ended");
    // Timed out
    let timed_out = harness(waiting());
    let mut limited = definition(json!({ "T": nested(json!({ "Name": "one" })) }));
    limited["TimeoutSeconds"] = json!(20);
    let result = run(&timed_out, &parse(limited).unwrap(), "test", json!({})).await;
    assert_eq!((result.status, end_of_one(&timed_out)), (Status::TimedOut, (20.0, Status::Aborted)));
    // Its Task timed out
    let task_timed_out = harness(waiting());
    let result = run(&task_timed_out, &parent(json!({ "TimeoutSeconds": 30 })), "test", json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Timeout")));
    assert_eq!(end_of_one(&task_timed_out), (30.0, Status::Aborted));
    // Another iteration of its Map failed
    let mapped = harness(waiting());
    let states = json!({
        "C": {
            "Type": "Choice", "Default": "T",
            "Choices": [{ "Condition": "{% $states.input = 'fail' %}", "Next": "W" }],
        },
        "T": nested(json!({ "Name": "one" })),
        "W": { "Type": "Wait", "Seconds": 40, "Next": "F" },
        "F": { "Type": "Fail", "Error": "Mine" },
    });
    let result = run(&mapped, &machine(json!({ "M": map(json!({}), states) })), "test", json!(["go on", "fail"])).await;
    assert_eq!((result.error.as_deref(), end_of_one(&mapped)), (Some("Mine"), (40.0, Status::Aborted)));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_dropped_is_aborted() {
    let harness = harness(waiting());
    let parent = parent(json!({}));
    let dropped = tokio::time::timeout(Duration::from_secs(3), run(&harness, &parent, "test", json!({}))).await;
    assert!(dropped.is_err());
    assert_eq!(end_of_one(&harness), (3.0, Status::Aborted));
    assert_eq!(harness.engine.executions().describe(TEST).unwrap().status, Some(Status::Aborted));
}

/// Plays the machine with another observer and other functions.
struct OtherStage {
    machine: Arc<StateMachine>,
    engine: Engine,
}

impl StateMachines for OtherStage {
    fn find(&self, state_machine_arn: &str, execution_name: &str) -> Option<Startable> {
        assert_eq!((state_machine_arn, execution_name), (self.machine.arn().as_str(), "one"));
        Some(Startable { machine: Arc::clone(&self.machine), engine: Some(self.engine.clone()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_can_have_functions_and_an_observer_of_its_own_and_is_in_the_same_record() {
    let mut harness = Harness::new(vec![Answer::Value(json!("the parent's"))]);
    let others = Harness::new(vec![Answer::Value(json!("the child's"))]);
    let child = machine(json!({ "T": task(json!({ "Output": "{% $states.result.Payload %}" })) })).named("child");
    let journal = Arc::new(Journal::default());
    let engine = Engine::new(harness.clock.clone(), others.script.clone(), journal.clone(), 1);
    let stage = OtherStage { machine: Arc::new(child), engine };
    harness.engine = harness.engine.with_state_machines(Arc::new(stage));
    let result = run(&harness, &parent(json!({ "Output": "{% $states.result.Output %}" })), "test", json!({})).await;
    assert_eq!(result.output, Some(json!("the child's")));
    assert_eq!(harness.script.calls.lock().unwrap().len(), 0);
    assert!(harness.lines().iter().all(|line| !line.contains("one:")), "{:?}", harness.lines());
    let theirs = journal.lines.lock().unwrap().clone();
    assert_eq!(theirs.first().map(String::as_str), Some("0 one: started 0"));
    assert_eq!(theirs.last().map(String::as_str), Some("0 one: ended SUCCEEDED"));
    assert_eq!(one(&harness).output.as_deref(), Some(&json!("the child's")));
}

#[tokio::test(start_paused = true)]
async fn the_record_shows_executions_that_run_and_that_have_ended() {
    let harness = harness(waiting());
    let executions = harness.engine.executions().clone();
    assert_eq!(executions.describe(TEST), None);
    assert_eq!(executions.ended(TEST).await, None);
    assert!(!executions.stop(TEST, Stop::default()));
    let look = async {
        after(&harness, 10).await;
        executions.all()
    };
    let parent = parent(json!({}));
    let (_, meanwhile) = tokio::join!(run(&harness, &parent, "test", json!({ "k": 1 })), look);
    let arns: Vec<&str> = meanwhile.iter().map(|execution| execution.arn.as_str()).collect();
    assert_eq!(arns, [TEST, ONE]);
    for execution in meanwhile {
        assert!(execution.is_running());
        assert_eq!((execution.status_name(), execution.started_at, execution.ended_at), ("RUNNING", START, None));
        let waits = async { (executions.ended(&execution.arn).await.unwrap(), harness.elapsed()) };
        let (ended, elapsed) = waits.await;
        assert_eq!((ended.status_name(), elapsed.round()), ("SUCCEEDED", 60.0));
        assert_eq!((ended.input, ended.redrives), (Arc::new(json!({ "k": 1 })), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_end_takes_until_the_end() {
    let harness = harness(waiting());
    let executions = harness.engine.executions().clone();
    let waits = async {
        after(&harness, 1).await;
        executions.ended(ONE).await.unwrap();
        harness.elapsed()
    };
    let parent = parent(json!({}));
    let (_, elapsed) = tokio::join!(run(&harness, &parent, "test", json!({})), waits);
    assert!((elapsed - 60.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_for_ever_and_a_redrive_has_the_same() {
    let harness = Harness::new(vec![Answer::Error("Busy"), Answer::Hang]);
    let machine = machine(json!({ "T": task(json!({})) }));
    let failed = harness.run(&machine, json!({})).await;
    let failure = harness.engine.executions().describe(TEST).unwrap();
    assert_eq!(
        (failure.status_name(), failure.error.as_deref(), failure.cause.as_deref()),
        ("FAILED", Some("Busy"), Some("why Busy"))
    );
    let again = ExecutionInput { name: "test".to_owned(), input: json!({}) };
    let taken = harness.engine.run(&machine, again).await.unwrap_err();
    assert_eq!(taken, StartError::ExecutionAlreadyExists(TEST.to_owned()));
    let redriven = harness.engine.redrive_until(&machine, failed.redrive.unwrap(), after(&harness, 10));
    let look = async {
        after(&harness, 5).await;
        harness.engine.executions().describe(TEST).unwrap()
    };
    let (stopped, meanwhile) = tokio::join!(redriven, look);
    assert_eq!((meanwhile.status_name(), meanwhile.redrives, meanwhile.error), ("RUNNING", 1, None));
    let redrive = stopped.unwrap().redrive.unwrap();
    // An order to stop is for the run in which it is given.
    assert_eq!(harness.engine.redrive(&machine, redrive).await.unwrap().status, Status::Succeeded);
    let all = harness.engine.executions().all();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].status_name(), all[0].redrives, all[0].started_at), ("SUCCEEDED", 2, START));
}

#[tokio::test(start_paused = true)]
async fn inputs_of_children_are_limited_as_all_data_is() {
    let harness = harness(definition(json!({ "S": { "Type": "Succeed" } })));
    let result = run(&harness, &parent(json!({})), "test", json!("x".repeat(DATA_BYTES - 2))).await;
    assert_eq!(result.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_children_of_one_map_keep_within_its_concurrency() {
    let child = definition(json!({
        "T": task(json!({ "Output": "{% $states.result.Payload %}", "Next": "C" })),
        "C": {
            "Type": "Choice", "Default": "W",
            "Choices": [{ "Condition": "{% $states.input.left <= 0 %}", "Next": "E" }],
        },
        "W": { "Type": "Wait", "Seconds": 20, "Output": { "left": "{% $states.input.left - 1 %}" }, "Next": "T" },
        "E": { "Type": "Succeed" },
    }));
    let harness = harness(child);
    let mut task = nested(json!({ "Name": "{% 'c' & $states.input.left & '-' & $states.context.Map.Item.Index %}" }));
    task["Arguments"]["Input"] = json!("{% $states.input %}");
    task["Output"] = json!("{% $states.result.Output.left %}");
    let selector = json!({ "left": "{% $states.context.Map.Item.Value %}" });
    let parent =
        machine(json!({ "M": map(json!({ "ItemSelector": selector, "MaxConcurrency": 25 }), json!({ "T": task })) }));
    let input: Vec<i32> = (0..1000).map(|index| index % 4).collect();
    let result = run(&harness, &parent, "test", json!(input)).await;
    assert_eq!(result.output, Some(json!(vec![0; 1000])), "{:?}", result.error);
    // Of the execution 2, of the Map 4, and 8 of each iteration with its Task.
    assert_eq!((result.history_events, result.transitions), (8_006, 1_001));
    let (mut running, mut most) = (0_i32, 0);
    for line in harness.lines().iter().filter(|line| line.contains(" c")) {
        running += i32::from(line.contains(": started")) - i32::from(line.contains(": ended SUCCEEDED"));
        most = most.max(running);
    }
    assert_eq!((running, most), (0, 25));
}

/// Each of these Tasks is refused with the text, which follows `state "T", `.
#[test]
fn tasks_that_are_refused() {
    let with = |arguments: Value| {
        let mut task = nested(json!({}));
        task["Arguments"] = arguments;
        task
    };
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:child";
    let table = [
        (with(json!({})), "Arguments: must be an object of StateMachineArn and, as needed, Input and Name"),
        (
            with(json!({ "StateMachineArn": arn, "TraceHeader": "x" })),
            "Arguments: must be an object of StateMachineArn",
        ),
        (with(json!("{% $states.input %}")), "Arguments: must be an object"),
        (with(json!({ "StateMachineArn": 1 })), "Arguments/StateMachineArn: must be a string"),
        (with(json!({ "StateMachineArn": arn, "Name": { "a": 1 } })), "Arguments/Name: must be a string"),
        (
            task(json!({ "Resource": "arn:aws:states:::states:startExecution" })),
            "Resource: \"arn:aws:states:::states:startExecution\" is not supported",
        ),
        (task(json!({ "Resource": "arn:aws:states:::states:startExecution.sync" })), "Resource: "),
    ];
    for (state, expected) in table {
        let refusal = parse(definition(json!({ "T": state }))).expect_err("it was to be refused").to_string();
        assert!(refusal.starts_with(&format!("state \"T\", {expected}")), "expected {expected:?}: {refusal}");
    }
}
