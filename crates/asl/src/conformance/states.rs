//! Conformance of each type of state and its fields.

use super::support::{Answer, Harness, START, definition, machine, parse, pass, task};
use crate::Status;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_task_wraps_the_answer_as_the_service_does() {
    let harness = Harness::new(vec![Answer::Value(json!({ "x": 1 }))]);
    let result = harness.run(&machine(json!({ "T": task(json!({})) })), json!({ "a": "b" })).await;
    assert_eq!(result.status, Status::Succeeded);
    let wrapped = json!({ "ExecutedVersion": "$LATEST", "Payload": { "x": 1 }, "StatusCode": 200 });
    assert_eq!(result.output, Some(wrapped));
    let calls = harness.script.calls.lock().unwrap().clone();
    assert_eq!(calls, [(START, "f".to_owned(), json!({ "a": "b" }))]);
}

#[tokio::test(start_paused = true)]
async fn function_names_lose_the_rest_of_their_arn() {
    for name in [
        "check",
        "check:live",
        "123456789012:function:check",
        "arn:aws:lambda:eu-west-1:123456789012:function:check",
        "arn:aws:lambda:eu-west-1:123456789012:function:check:live",
    ] {
        let harness = Harness::new(vec![]);
        let arguments = json!({ "Arguments": { "FunctionName": name, "Payload": {} } });
        harness.run(&machine(json!({ "T": task(arguments) })), json!({})).await;
        assert_eq!(harness.script.calls.lock().unwrap()[0].1, "check", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn days_of_waiting_take_no_time_and_are_seen() {
    let states = json!({
        "Days": { "Type": "Wait", "Seconds": 864_000, "Next": "Expression" },
        "Expression": { "Type": "Wait", "Seconds": "{% $states.input.s %}", "Next": "Until" },
        "Until": { "Type": "Wait", "Timestamp": "{% $states.input.t %}", "Next": "Past" },
        "Past": { "Type": "Wait", "Timestamp": "2001-01-01T00:00:00Z", "End": true },
    });
    let harness = Harness::new(vec![]);
    let until = START + jiff::SignedDuration::from_secs(1_000_000);
    let result = harness.run(&machine(states), json!({ "s": 60, "t": until.to_string() })).await;
    assert_eq!(result.status, Status::Succeeded);
    assert!((harness.elapsed() - 1_000_000.0).abs() < 0.01, "{}", harness.elapsed());
    assert_eq!((result.transitions, result.history_events), (4, 10));
}

#[tokio::test(start_paused = true)]
async fn the_first_true_rule_decides() {
    let states = json!({
        "C": {
            "Type": "Choice",
            "Choices": [
                { "Condition": "{% $states.input.n > 10 %}", "Next": "Big", "Output": { "size": "big" } },
                { "Condition": "{% $states.input.n > 5 %}", "Next": "End", "Assign": { "v": "{% $states.input.n %}" } },
                { "Condition": "{% $states.input.n > 4 %}", "Next": "Big" },
            ],
            "Default": "End",
            "Output": "default",
            "Assign": { "v": "none" },
        },
        "Big": { "Type": "Succeed" },
        "End": { "Type": "Succeed", "Output": "{% [$states.input, $v] %}" },
    });
    let machine = machine(states);
    let table = [
        (11, json!({ "size": "big" })),
        (6, json!([{ "n": 6 }, 6])),
        (5, json!({ "n": 5 })),
        (1, json!(["default", "none"])),
    ];
    for (n, expected) in table {
        let result = Harness::new(vec![]).run(&machine, json!({ "n": n })).await;
        assert_eq!(result.output, Some(expected), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_rule_and_no_default_is_an_error() {
    let states = json!({
        "C": { "Type": "Choice", "Choices": [{ "Condition": "{% $states.input %}", "Next": "S" }] },
        "S": { "Type": "Succeed" },
    });
    let machine = machine(states);
    let result = Harness::new(vec![]).run(&machine, json!(false)).await;
    assert_eq!(result.error.as_deref(), Some("States.NoChoiceMatched"));
    let result = Harness::new(vec![]).run(&machine, json!("true")).await;
    assert_eq!(result.error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(result.cause.unwrap().contains("'Choices[0]/Condition'"));
}

#[tokio::test(start_paused = true)]
async fn a_fail_state_fails_with_its_texts() {
    let run = async |fail: serde_json::Value| {
        let result = Harness::new(vec![]).run(&machine(json!({ "F": fail })), json!({ "e": "Mine", "n": 1 })).await;
        assert_eq!(result.status, Status::Failed);
        (result.error, result.cause)
    };
    assert_eq!(run(json!({ "Type": "Fail" })).await, (None, None));
    let literal = run(json!({ "Type": "Fail", "Error": "E", "Cause": "C" })).await;
    assert_eq!(literal, (Some("E".to_owned()), Some("C".to_owned())));
    let computed = json!({ "Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% $string($states.input) %}" });
    assert_eq!(run(computed).await, (Some("Mine".to_owned()), Some(r#"{"e":"Mine","n":1}"#.to_owned())));
    let (error, cause) = run(json!({ "Type": "Fail", "Error": "{% $states.input.n %}" })).await;
    assert_eq!(error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(cause.unwrap().contains("'Error'"));
    let (error, _) = run(json!({ "Type": "Fail", "Cause": "{% $pad('x', 32769) %}" })).await;
    assert_eq!(error.as_deref(), Some("States.Runtime"));
}

#[tokio::test(start_paused = true)]
async fn assignments_see_the_old_values_and_output_does_too() {
    let states = json!({
        "A": { "Type": "Pass", "Assign": { "x": 1, "y": 2 }, "Next": "B" },
        "B": { "Type": "Pass", "Assign": { "x": "{% $y %}", "y": "{% $x %}" }, "Output": "{% [$x, $y] %}", "Next": "C" },
        "C": { "Type": "Pass", "Output": "{% {'was': $states.input, 'is': [$x, $y]} %}", "End": true },
    });
    let result = Harness::new(vec![]).run(&machine(states), json!({})).await;
    assert_eq!(result.output, Some(json!({ "was": [1, 2], "is": [2, 1] })));
}

#[tokio::test(start_paused = true)]
async fn the_context_object_tells_where_we_are() {
    let states = json!({
        "W": { "Type": "Wait", "Seconds": 5, "Next": "P" },
        "P": pass(json!("{% $states.context %}")),
    });
    let result = Harness::new(vec![]).run(&machine(states).named("deploy"), json!({ "in": 1 })).await;
    assert_eq!(
        result.output,
        Some(json!({
            "Execution": {
                "Id": "arn:aws:states:us-east-1:123456789012:execution:deploy:test",
                "Input": { "in": 1 },
                "Name": "test",
                "RedriveCount": 0,
                "RoleArn": "arn:aws:iam::123456789012:role/deploy",
                "StartTime": "2023-11-14T22:13:20.000Z",
            },
            "State": { "EnteredTime": "2023-11-14T22:13:25.000Z", "Name": "P", "RetryCount": 0 },
            "StateMachine": { "Id": "arn:aws:states:us-east-1:123456789012:stateMachine:deploy", "Name": "deploy" },
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn retry_count_counts_and_the_entered_time_stays() {
    let payload = "{% [$states.context.State.RetryCount, $states.context.State.EnteredTime] %}";
    let states = json!({ "T": task(json!({
        "Arguments": { "FunctionName": "f", "Payload": payload },
        "Retry": [{ "ErrorEquals": ["States.ALL"] }],
        "Output": "{% {'count': $states.context.State.RetryCount, 'payload': $states.result.Payload} %}",
    })) });
    let harness = Harness::new(vec![Answer::Error("A"), Answer::Error("B")]);
    let result = harness.run(&machine(states), json!({})).await;
    assert_eq!(result.output, Some(json!({ "count": 2, "payload": [2, "2023-11-14T22:13:20.000Z"] })));
}

#[tokio::test(start_paused = true)]
async fn the_journal_of_an_execution() {
    let states = json!({
        "T": task(json!({
            "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 1 }],
            "Catch": [{ "ErrorEquals": ["Busy"], "Next": "W", "Assign": { "e": "{% $states.errorOutput.Error %}" } }],
            "Next": "W",
        })),
        "W": { "Type": "Wait", "Seconds": 2, "Output": "{% $exists($e) ? $e : 'none' %}", "Next": "S" },
        "S": { "Type": "Succeed" },
    });
    let harness = Harness::new(vec![Answer::Error("Busy"), Answer::Error("Busy")]);
    let result = harness.run(&machine(states), json!({})).await;
    assert_eq!(
        harness.lines(),
        [
            "0 started 0",
            "0 enter T Task",
            "0 call f 0",
            "0 failed Busy 0",
            "0 retry 1 in 1",
            "1 call f 1",
            "1 failed Busy 1",
            "1 caught Busy to W",
            r#"1 $e = "Busy""#,
            r#"1 exit T {"Error":"Busy","Cause":"why Busy"}"#,
            "1 enter W Wait",
            "1 wait to 3",
            r#"3 exit W "Busy""#,
            "3 enter S Succeed",
            r#"3 exit S "Busy""#,
            "3 ended SUCCEEDED",
        ]
    );
    // Three states entered and one retry; two for each state, three for each attempt, and two for the execution.
    assert_eq!((result.transitions, result.history_events), (4, 14));
}

#[tokio::test(start_paused = true)]
async fn substitutions_reach_every_string() {
    let text = r#"{ "QueryLanguage": "JSONata", "StartAt": "T", "States": { "T": { "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke", "End": true,
        "Arguments": { "FunctionName": "${CheckFunctionArn}", "Payload": "a ${B} {% $states.input.x${a: b} %" } } } }"#;
    let given = [("CheckFunctionArn", "arn:aws:lambda:eu-west-1:123456789012:function:check"), ("B", "b")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let machine = crate::StateMachine::parse(text, &given).unwrap();
    let harness = Harness::new(vec![]);
    harness.run(&machine, json!({})).await;
    let (_, name, payload) = harness.script.calls.lock().unwrap()[0].clone();
    assert_eq!((name.as_str(), payload), ("check", json!("a b {% $states.input.x${a: b} %")));
    let missing = crate::StateMachine::parse(text, &std::collections::BTreeMap::new()).unwrap_err();
    assert_eq!(missing.to_string(), "definition: ${CheckFunctionArn} has no substitution");
}

#[tokio::test]
async fn an_execution_can_be_spawned() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let harness = Harness::new(vec![]);
    let machine = parse(definition(json!({ "P": pass(json!(1)) }))).unwrap();
    assert_eq!(assert_send(harness.run(&machine, json!({}))).await.output, Some(json!(1)));
}
