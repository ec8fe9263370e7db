//! Retry, Catch, time-outs, and how failures reach them.

use serde_json::{Value, json};

use super::support::{Answer, Harness, machine, task};
use crate::Status;

fn failures(count: usize) -> Vec<Answer> {
    (0..count).map(|_| Answer::Error("Busy")).collect()
}

/// Runs a Task with one retrier against a function that always fails, and returns the delays between the calls.
async fn delays(mut retrier: Value, seed: u64) -> Vec<f64> {
    retrier["ErrorEquals"] = json!(["Busy"]);
    let harness = Harness::seeded(failures(100), seed);
    let result = harness.run(&machine(json!({ "T": task(json!({ "Retry": [retrier] })) })), json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("Busy")));
    assert_eq!(result.cause.as_deref(), Some("why Busy"));
    harness.call_times().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn delays_grow_by_the_rate_up_to_the_limit() {
    let table = [
        (json!({}), vec![1.0, 2.0, 4.0]),
        (json!({ "MaxAttempts": 0 }), vec![]),
        (json!({ "MaxAttempts": 1 }), vec![1.0]),
        (json!({ "IntervalSeconds": 3, "MaxAttempts": 4 }), vec![3.0, 6.0, 12.0, 24.0]),
        (json!({ "IntervalSeconds": 10, "BackoffRate": 1.0 }), vec![10.0, 10.0, 10.0]),
        (json!({ "IntervalSeconds": 2, "BackoffRate": 1.5, "MaxAttempts": 3 }), vec![2.0, 3.0, 4.5]),
        (json!({ "IntervalSeconds": 2, "MaxDelaySeconds": 5, "MaxAttempts": 4 }), vec![2.0, 4.0, 5.0, 5.0]),
        (json!({ "IntervalSeconds": 2, "MaxAttempts": 2, "JitterStrategy": "NONE" }), vec![2.0, 4.0]),
    ];
    for (retrier, expected) in table {
        let delays = delays(retrier.clone(), 1).await;
        let close = delays.iter().zip(&expected).all(|(delay, expected)| (delay - expected).abs() < 0.002);
        assert!(close && delays.len() == expected.len(), "{retrier}: {delays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn full_jitter_is_between_nothing_and_the_whole_and_repeats_for_a_seed() {
    let retrier = json!({ "IntervalSeconds": 8, "MaxAttempts": 60, "MaxDelaySeconds": 32, "JitterStrategy": "FULL" });
    let first = delays(retrier.clone(), 7).await;
    assert_eq!(first.len(), 60);
    // A sleep ends at the next whole millisecond.
    let within =
        |(index, delay): (usize, &f64)| *delay >= 0.0 && *delay <= [8.0, 16.0][..].get(index).unwrap_or(&32.0) + 0.002;
    assert!(first.iter().enumerate().all(within), "{first:?}");
    assert!(first.iter().any(|delay| *delay < 8.0) && first.iter().any(|delay| *delay > 24.0), "{first:?}");
    assert_eq!(first, delays(retrier.clone(), 7).await);
    assert_ne!(first, delays(retrier, 8).await);
}

#[tokio::test(start_paused = true)]
async fn each_retrier_counts_for_itself_and_the_first_that_matches_is_the_one() {
    let retry = json!([
        { "ErrorEquals": ["A", "B"], "MaxAttempts": 2, "IntervalSeconds": 1, "BackoffRate": 1.0 },
        { "ErrorEquals": ["C"], "MaxAttempts": 1, "IntervalSeconds": 10 },
        { "ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "IntervalSeconds": 100 },
    ]);
    let machine = machine(json!({ "T": task(json!({ "Retry": retry })) }));
    let table = [
        (vec!["A", "C", "B"], Status::Succeeded, 12.0),
        // The third A exhausts its retrier; the last one, which would match too, is not asked.
        (vec!["A", "A", "A"], Status::Failed, 2.0),
        (vec!["C", "D", "C"], Status::Failed, 110.0),
        (vec!["D", "D"], Status::Succeeded, 300.0),
    ];
    for (errors, status, seconds) in table {
        let harness = Harness::new(errors.iter().map(|error| Answer::Error(error)).collect());
        let result = harness.run(&machine, json!({})).await;
        assert_eq!(result.status, status, "{errors:?}");
        assert!((harness.elapsed() - seconds).abs() < 0.01, "{errors:?}: {}", harness.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn catchers_are_asked_in_order_after_the_retries() {
    let end = |output: &str| json!({ "Type": "Succeed", "Output": { "by": output, "got": "{% $states.input %}" } });
    let states = json!({
        "T": task(json!({
            "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 1 }],
            "Catch": [
                { "ErrorEquals": ["Odd"], "Next": "Odd", "Output": "{% $states.errorOutput.Cause %}" },
                { "ErrorEquals": ["States.TaskFailed"], "Next": "Failed", "Assign": { "e": "{% $states.errorOutput %}" } },
                { "ErrorEquals": ["States.ALL"], "Next": "All" },
            ],
            "TimeoutSeconds": 5,
        })),
        "Odd": end("odd"),
        "Failed": end("failed"),
        "All": end("all"),
    });
    let machine = machine(states);
    let table = [
        (vec![Answer::Error("Odd")], 1, json!({ "by": "odd", "got": "why Odd" })),
        (failures(2), 2, json!({ "by": "failed", "got": { "Error": "Busy", "Cause": "why Busy" } })),
        (vec![Answer::Hang], 1, json!({ "by": "all", "got": { "Error": "States.Timeout" } })),
    ];
    for (answers, calls, expected) in table {
        let harness = Harness::new(answers);
        let result = harness.run(&machine, json!({})).await;
        assert_eq!((result.status, result.output), (Status::Succeeded, Some(expected)));
        assert_eq!(harness.call_times().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_times_out_by_number_or_expression() {
    for timeout in [json!(30), json!("{% $states.input.limit %}")] {
        let machine = machine(json!({ "T": task(json!({ "TimeoutSeconds": timeout })) }));
        let harness = Harness::new(vec![Answer::After(29, json!("in time"))]);
        assert_eq!(harness.run(&machine, json!({ "limit": 30 })).await.status, Status::Succeeded);
        let harness = Harness::new(vec![Answer::After(31, json!("late"))]);
        let result = harness.run(&machine, json!({ "limit": 30 })).await;
        assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Timeout")));
        assert_eq!(result.cause, None);
        assert!((harness.elapsed() - 30.0).abs() < 0.01);
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_whole_time_limit() {
    let retry = json!([{ "ErrorEquals": ["States.Timeout"], "MaxAttempts": 1, "IntervalSeconds": 5 }]);
    let machine = machine(json!({ "T": task(json!({ "TimeoutSeconds": 10, "Retry": retry })) }));
    let harness = Harness::new(vec![Answer::Hang, Answer::After(9, json!(1))]);
    assert_eq!(harness.run(&machine, json!({})).await.status, Status::Succeeded);
    assert!((harness.elapsed() - 24.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_failing_expression_of_a_task_is_retried_and_caught() {
    let states = |field: &str, value: Value| {
        let mut task = task(json!({
            "Retry": [{ "ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 2 }],
            "Catch": [{ "ErrorEquals": ["States.TaskFailed"], "Next": "E" }],
        }));
        task[field] = value;
        json!({ "T": task, "E": { "Type": "Succeed" } })
    };
    let absent = json!("{% $states.input.absent %}");
    let table = [
        ("Output", json!({ "a": ["x", absent] }), "Output/a[1]", 3),
        ("Assign", json!({ "v": absent }), "Assign/v", 3),
        ("TimeoutSeconds", absent.clone(), "TimeoutSeconds", 0),
        ("Arguments", json!({ "FunctionName": "f", "Payload": { "p": absent } }), "Arguments/Payload/p", 0),
    ];
    for (field, value, place, calls) in table {
        let harness = Harness::new(vec![]);
        let result = harness.run(&machine(states(field, value)), json!({})).await;
        let output = result.output.unwrap();
        assert_eq!(output["Error"], "States.QueryEvaluationError", "{field}");
        let expected = format!(
            "An error occurred while executing the state 'T' (entered at the event id #2). The JSONata expression \
             '$states.input.absent' specified for the field '{place}' returned nothing (undefined)."
        );
        assert_eq!(output["Cause"], expected, "{field}");
        assert_eq!(harness.call_times().len(), calls, "{field}");
        assert_eq!(result.transitions, 4, "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_expression_of_a_catcher_fails_the_execution() {
    let catch = json!([
        { "ErrorEquals": ["Busy"], "Next": "E", "Output": "{% $states.errorOutput.absent %}" },
        { "ErrorEquals": ["States.ALL"], "Next": "E" },
    ]);
    let states = json!({ "T": task(json!({ "Catch": catch })), "E": { "Type": "Succeed" } });
    let result = Harness::new(failures(1)).run(&machine(states), json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.QueryEvaluationError")));
    assert!(result.cause.unwrap().contains("'Catch[0]/Output'"));
}

#[tokio::test(start_paused = true)]
async fn a_function_name_that_is_no_string_fails_for_good() {
    let states = json!({
        "T": task(json!({
            "Arguments": { "FunctionName": "{% 1 %}", "Payload": {} },
            "Retry": [{ "ErrorEquals": ["States.ALL"] }],
            "Catch": [{ "ErrorEquals": ["States.Runtime"], "Next": "E" }],
        })),
        "E": { "Type": "Succeed" },
    });
    let result = Harness::new(vec![]).run(&machine(states), json!({})).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    assert_eq!(result.transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn long_causes_are_cut() {
    struct Long;
    #[async_trait::async_trait]
    impl crate::TaskHandler for Long {
        async fn invoke(&self, _: &str, _: Value) -> Result<Value, crate::TaskError> {
            Err(crate::TaskError { error: "E".to_owned(), cause: "ü".repeat(40_000) })
        }
    }
    let harness = Harness::new(vec![]);
    let observer = std::sync::Arc::new(crate::Unobserved);
    let engine = crate::Engine::new(harness.clock.clone(), std::sync::Arc::new(Long), observer, 1);
    let execution = crate::ExecutionInput { name: "test".to_owned(), input: json!({}) };
    let result = engine.run(&machine(json!({ "T": task(json!({})) })), execution).await.unwrap();
    assert_eq!(result.cause.map(|cause| cause.chars().count()), Some(32_768));
}
