//! Inline Maps.

use std::collections::BTreeSet;
use std::time::Duration;

use clock::Clock;
use serde_json::{Value, json};

use super::support::{Answer, Harness, START, definition, machine, map, parse, pass, task};
use crate::{DATA_BYTES, Engine, ExecutionInput, HISTORY_EVENTS, StateKind, Status, Stop};

/// A Wait of as many seconds as the item says, at the end, whose output is the item's index.
fn wait() -> Value {
    let output = "{% $states.context.Map.Item.Index %}";
    json!({ "W": { "Type": "Wait", "Seconds": "{% $states.input %}", "Output": output, "End": true } })
}

async fn run(fields: Value, states: Value, input: Value) -> (Harness, crate::ExecutionResult) {
    let harness = Harness::new(vec![]);
    let result = harness.run(&machine(json!({ "M": map(fields, states) })), input).await;
    (harness, result)
}

#[tokio::test(start_paused = true)]
async fn results_are_in_the_items_order_whatever_order_they_end_in() {
    let (harness, result) = run(json!({}), wait(), json!([30, 10, 20])).await;
    assert_eq!(result.output, Some(json!([0, 1, 2])));
    assert!((harness.elapsed() - 30.0).abs() < 0.01);
    let ends: Vec<String> = harness.lines().into_iter().filter(|line| line.contains(" exit ")).collect();
    assert_eq!(ends, ["10 #1 exit W 1", "20 #2 exit W 2", "30 #0 exit W 0", "30 exit M [0,1,2]"]);
}

#[tokio::test(start_paused = true)]
async fn items_come_from_the_input_from_json_or_from_an_expression() {
    let states = || json!({ "P": { "Type": "Pass", "End": true } });
    let table = [
        (json!({}), json!(["a", "b"]), json!(["a", "b"])),
        (json!({ "Items": [1, { "x": [2] }] }), json!({}), json!([1, { "x": [2] }])),
        (json!({ "Items": [1, "{% $states.input.two %}"] }), json!({ "two": 2 }), json!([1, 2])),
        (json!({ "Items": "{% $states.input.list %}" }), json!({ "list": [[], {}] }), json!([[], {}])),
        (json!({ "Items": [] }), json!({}), json!([])),
    ];
    for (fields, input, expected) in table {
        let text = fields.to_string();
        let (_, result) = run(fields, states(), input).await;
        assert_eq!(result.output, Some(expected), "{text}");
    }
    for (fields, input) in [
        (json!({}), json!({ "not": "a list" })),
        (json!({ "Items": "{% $states.input %}" }), json!("text")),
        (json!({ "Items": "{% $states.input.nothing %}" }), json!({})),
    ] {
        let text = fields.to_string();
        let (_, result) = run(fields, states(), input).await;
        assert_eq!(result.error.as_deref(), Some("States.QueryEvaluationError"), "{text}");
        assert!(result.cause.unwrap().starts_with("An error occurred while executing the state 'M'"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_selector_sees_the_item_and_the_input_of_the_map() {
    let selector = json!({
        "at": "{% $states.context.Map.Item.Index %}",
        "name": "{% $states.input.prefix & $states.context.Map.Item.Value.name %}",
        "in": "{% $states.context.State.Name %}",
        "all": "{% $states.context.Map %}",
    });
    let fields = json!({ "Items": "{% $states.input.list %}", "ItemSelector": selector });
    let states = json!({ "P": pass(json!(["{% $states.input %}", "{% $states.context.Map.Item.Value.name %}"])) });
    let input = json!({ "prefix": "my-", "list": [{ "name": "orders" }] });
    let (_, result) = run(fields, states, input).await;
    let selected = json!({
        "at": 0, "name": "my-orders", "in": "M", "all": { "Item": { "Index": 0, "Value": { "name": "orders" } } },
    });
    assert_eq!(result.output, Some(json!([[selected, "orders"]])));
}

#[tokio::test(start_paused = true)]
async fn a_map_in_a_map_has_items_of_its_own() {
    let index = "{% $states.context.Map.Item.Index %}";
    let inner =
        map(json!({ "Next": "After" }), json!({ "P": pass(json!(["{% $states.context.Map.Item.Value %}", index])) }));
    let states = json!({ "Inner": inner, "After": pass(json!([index, "{% $states.input %}"])) });
    let (harness, result) = run(json!({}), states, json!([["a", "b"], ["c"]])).await;
    assert_eq!(result.output, Some(json!([[0, [["a", 0], ["b", 1]]], [1, [["c", 0]]]])));
    let lines = harness.lines();
    assert!(lines.contains(&"0 #0 #1 exit P [\"b\",1]".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"0 #1 exit After [1,[[\"c\",0]]]".to_owned()), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_iterations_than_asked_for_run_beside_each_other() {
    let table = [
        (json!({ "MaxConcurrency": 1 }), 4, 40.0),
        (json!({ "MaxConcurrency": 3 }), 10, 40.0),
        (json!({ "MaxConcurrency": "{% $count($states.input) / 2 %}" }), 10, 20.0),
        // Forty are the most, whatever is asked for.
        (json!({}), 100, 30.0),
        (json!({ "MaxConcurrency": 0 }), 41, 20.0),
        (json!({ "MaxConcurrency": 1000 }), 41, 20.0),
    ];
    for (fields, items, seconds) in table {
        let text = fields.to_string();
        let (harness, result) = run(fields, wait(), json!(vec![10; items])).await;
        assert_eq!(result.output, Some(json!((0..items).collect::<Vec<_>>())), "{text}");
        assert!((harness.elapsed() - seconds).abs() < 0.01, "{text}: {}", harness.elapsed());
    }
    for wrong in ["{% -1 %}", "{% 1.5 %}", "{% 'two' %}"] {
        let (_, result) = run(json!({ "MaxConcurrency": wrong }), wait(), json!([1])).await;
        assert_eq!(result.error.as_deref(), Some("States.QueryEvaluationError"), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_item_begins_as_soon_as_one_has_ended() {
    let (harness, _) = run(json!({ "MaxConcurrency": 2 }), wait(), json!([30, 10, 10, 20])).await;
    let begun: Vec<String> = harness.lines().into_iter().filter(|line| line.contains("enter W")).collect();
    assert_eq!(begun, ["0 #0 enter W Wait", "0 #1 enter W Wait", "10 #2 enter W Wait", "20 #3 enter W Wait"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_iteration_that_fails_fails_the_map_under_its_own_error_and_stops_the_others() {
    let answers = vec![Answer::After(60, json!(1)), Answer::After(5, json!(2)), Answer::Hang];
    let states = json!({
        "T": task(json!({ "TimeoutSeconds": 10, "Next": "W" })),
        "W": { "Type": "Wait", "Seconds": 60, "End": true },
    });
    let harness = Harness::new(answers);
    let result = harness.run(&machine(json!({ "M": map(json!({}), states) })), json!([1, 2, 3])).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Timeout")));
    assert!((harness.elapsed() - 10.0).abs() < 0.01);
    let lines = harness.lines();
    // Of two that fail at the same moment, the first item's is the Map's failure.
    let failed: Vec<&String> = lines.iter().filter(|line| line.contains("failed")).collect();
    assert_eq!(
        failed,
        ["10 #0 failed States.Timeout 0", "10 #2 failed States.Timeout 0", "10 failed States.Timeout 0"]
    );
    assert_eq!(lines.last().unwrap(), "10 ended FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_fail_in_an_iteration_is_the_maps_failure() {
    let table = [
        (json!({ "Type": "Fail", "Error": "{% $states.input %}", "Cause": "why" }), Some("Mine"), Some("why")),
        (json!({ "Type": "Fail" }), None, None),
    ];
    for (fail, error, cause) in table {
        let (_, result) = run(json!({}), json!({ "F": fail.clone() }), json!(["Mine"])).await;
        assert_eq!((result.status, result.error.as_deref(), result.cause.as_deref()), (Status::Failed, error, cause));
        let catch = json!([{ "ErrorEquals": ["States.ALL"], "Next": "C", "Output": "{% $states.errorOutput %}" }]);
        let states = json!({
            "M": map(json!({ "Catch": catch }), json!({ "F": fail })),
            "C": { "Type": "Succeed" },
        });
        let caught = Harness::new(vec![]).run(&machine(states), json!(["Mine"])).await.output.unwrap();
        assert_eq!(
            (caught.get("Error"), caught.get("Cause")),
            (error.map(Value::from).as_ref(), cause.map(Value::from).as_ref())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_all_items_again_and_a_catch_follows() {
    let handlers = json!({
        "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 1, "IntervalSeconds": 7 }],
        "Catch": [{ "ErrorEquals": ["Busy"], "Next": "C", "Output": "{% $states.errorOutput.Error %}" }],
        "Output": "{% [$states.result.Payload, $states.context.State.RetryCount] %}",
        "Next": "C",
    });
    let states = json!({ "M": map(handlers, json!({ "T": task(json!({})) })), "C": { "Type": "Succeed" } });
    let machine = machine(states);
    let harness = Harness::new(vec![Answer::Value(json!(1)), Answer::Error("Busy")]);
    let result = harness.run(&machine, json!([1, 2])).await;
    assert_eq!(result.output, Some(json!([1, 2, 1])));
    assert_eq!(harness.call_times(), [0.0, 0.0, 7.0, 7.0]);
    // The Map, its retry, four Tasks and the Succeed.
    assert_eq!(result.transitions, 7);
    let twice = vec![Answer::Error("Busy"), Answer::Hang, Answer::Error("Busy")];
    let result = Harness::new(twice).run(&machine, json!([1, 2])).await;
    assert_eq!(result.output, Some(json!("Busy")));
}

#[tokio::test(start_paused = true)]
async fn iterations_have_variables_of_their_own_and_read_those_around() {
    let inner = json!({
        "A": { "Type": "Pass", "Assign": { "own": "{% $states.input & $outer %}" }, "Next": "W" },
        "W": { "Type": "Wait", "Seconds": 5, "Next": "B" },
        "B": { "Type": "Pass", "Assign": { "own": "{% $own & '!' %}" }, "Next": "C" },
        "C": pass(json!("{% $own %}")),
    });
    let next = json!({ "D": { "Type": "Pass", "Assign": { "own": 1 }, "End": true } });
    let states = json!({
        "S": { "Type": "Pass", "Assign": { "outer": "o" }, "Next": "M" },
        "M": map(json!({ "Assign": { "all": "{% $states.result %}" }, "Next": "N" }), inner),
        // Another Map may use the same name.
        "N": map(json!({ "Next": "E" }), next),
        "E": { "Type": "Succeed", "Output": ["{% $all %}", "{% $outer %}"] },
    });
    let result = Harness::new(vec![]).run(&machine(states), json!(["a", "b"])).await;
    assert_eq!(result.output, Some(json!([["ao!", "bo!"], "o"])));
}

#[tokio::test(start_paused = true)]
async fn events_and_transitions_are_those_of_the_service() {
    let (_, result) = run(json!({}), json!({ "P": { "Type": "Pass", "End": true } }), json!([1, 2])).await;
    // Of the execution 2, of the Map 4, of each iteration 2 and of its state 2.
    assert_eq!((result.history_events, result.transitions), (14, 3));
    let harness = Harness::new(vec![Answer::After(1, json!(1)), Answer::Error("Busy"), Answer::Hang]);
    let result =
        harness.run(&machine(json!({ "M": map(json!({}), json!({ "T": task(json!({})) })) })), json!([1, 2, 3])).await;
    // Of the execution 2, of the Map 3 (it failed and was not left), of each iteration 2, of each Task 3, one more of the one
    // that failed, and of the two that were aborted 1 each.
    assert_eq!((result.history_events, result.transitions), (23, 4));
}

#[tokio::test(start_paused = true)]
async fn the_history_of_all_iterations_is_limited_and_that_is_final() {
    let states = json!({
        "W": { "Type": "Wait", "Seconds": 1, "Next": "C" },
        "C": { "Type": "Choice", "Choices": [{ "Condition": "{% false %}", "Next": "E" }], "Default": "W" },
        "E": { "Type": "Succeed" },
    });
    let catch = json!([{ "ErrorEquals": ["States.ALL"], "Next": "After" }]);
    let states =
        json!({ "M": map(json!({ "Catch": catch, "Next": "After" }), states), "After": { "Type": "Succeed" } });
    let harness = Harness::new(vec![]);
    let result = harness.run(&machine(states), json!([1, 2, 3, 4, 5])).await;
    assert_eq!((result.status, result.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    assert_eq!(result.history_events, HISTORY_EVENTS);
    // Each of the five makes four events a second.
    assert!((harness.elapsed() - 1_249.0).abs() < 2.0, "{}", harness.elapsed());
}

#[tokio::test(start_paused = true)]
async fn items_inputs_and_results_are_limited() {
    let half = "x".repeat(DATA_BYTES / 2);
    let twice = "{% [$states.input, $states.input] %}";
    let table = [
        (json!({ "Items": twice }), json!({ "P": pass(json!(1)) })),
        (json!({ "ItemSelector": twice, "Items": [1] }), json!({ "P": pass(json!(1)) })),
        (
            json!({ "Items": [1, 2], "ItemSelector": "{% $states.input %}" }),
            json!({ "P": { "Type": "Pass", "End": true } }),
        ),
    ];
    for (mut fields, states) in table {
        let text = fields.to_string();
        fields["Next"] = json!("E");
        fields["Catch"] = json!([
            { "ErrorEquals": ["States.DataLimitExceeded"], "Next": "E", "Output": "{% $states.errorOutput.Error %}" },
        ]);
        let machine = machine(json!({ "M": map(fields, states), "E": { "Type": "Succeed" } }));
        let result = Harness::new(vec![]).run(&machine, json!(half)).await;
        assert_eq!(result.output, Some(json!("States.DataLimitExceeded")), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_goes_on_with_the_iterations_that_had_not_succeeded_where_they_stopped() {
    let states = json!({
        "A": task(json!({ "Assign": { "v": "{% $states.result.Payload %}" }, "Output": "{% $states.input %}", "Next": "B" })),
        "B": task(json!({ "Output": "{% [$v, $states.input, $states.result.Payload] %}" })),
    });
    let machine = machine(json!({ "M": map(json!({ "MaxConcurrency": 2 }), states) }));
    // In turn: A and B of the first item, A of the second, which takes a while, that of the third, and B of the second.
    let answers = vec![
        Answer::Value(json!("a0")),
        Answer::Value(json!("b0")),
        Answer::After(5, json!("a1")),
        Answer::Hang,
        Answer::Error("Busy"),
    ];
    let harness = Harness::new(answers);
    let failed = harness.run(&machine, json!([0, 1, 2, 3])).await;
    assert_eq!((failed.status, failed.error.as_deref()), (Status::Failed, Some("Busy")));
    let calls = harness.call_times().len();
    assert_eq!(calls, 5);
    let result = harness.engine.redrive(&machine, failed.redrive.unwrap()).await.unwrap();
    let expected = json!([["a0", 0, "b0"], ["a1", 1, 1], [2, 2, 2], [3, 3, 3]]);
    assert_eq!(result.output, Some(expected));
    // The second item's B, and A and B of the third and of the fourth.
    assert_eq!(harness.call_times().len(), calls + 5);
    assert_eq!(result.transitions, failed.transitions + 6);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_after_a_stop_goes_on_in_maps_in_maps_too() {
    let inner = map(json!({ "Next": "T" }), wait());
    let states = json!({ "I": inner, "T": task(json!({ "Output": "{% $states.input %}" })) });
    let machine = machine(json!({ "M": map(json!({}), states) }));
    let harness = Harness::new(vec![]);
    let stop = async {
        harness.clock.sleep(Duration::from_secs(50)).await;
        Stop::default()
    };
    let execution = ExecutionInput { name: "test".to_owned(), input: json!([[10, 100], [20, 30]]) };
    let stopped = harness.engine.run_until(&machine, execution, stop).await.unwrap();
    assert_eq!(stopped.status, Status::Aborted);
    assert_eq!(harness.call_times(), [30.0]);
    let result = harness.engine.redrive(&machine, stopped.redrive.unwrap()).await.unwrap();
    assert_eq!(result.output, Some(json!([[0, 1], [0, 1]])));
    // Only the wait of a hundred seconds begins anew.
    assert!((harness.elapsed() - 150.0).abs() < 0.01, "{}", harness.elapsed());
    assert_eq!(harness.call_times().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_the_whole_trace() {
    let retry =
        json!([{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "JitterStrategy": "FULL", "MaxAttempts": 9 }]);
    let states = json!({
        "T": task(json!({ "Retry": retry, "Next": "P" })),
        "P": { "Type": "Pass", "Output": "{% [$uuid(), $random()] %}", "End": true },
    });
    let machine = machine(json!({ "M": map(json!({ "MaxConcurrency": 7 }), states) }));
    let trace = async |seed: u64| {
        let answers = (0..60).map(|call| if call % 3 == 0 { Answer::Echo } else { Answer::Error("Busy") }).collect();
        let harness = Harness::seeded(answers, seed);
        let result = harness.run(&machine, json!((0..20).collect::<Vec<_>>())).await;
        assert_eq!(result.status, Status::Succeeded);
        harness.lines()
    };
    let first = trace(7).await;
    assert_eq!(first, trace(7).await);
    assert_ne!(first, trace(8).await);
    let drawn: BTreeSet<&str> = first.iter().filter_map(|line| Some(line.split_once("exit P ")?.1)).collect();
    assert_eq!(drawn.len(), 20);
}

/// A fast clock waits for all who sleep by it, so that it stands still if one of the iterations is forgotten.
#[tokio::test(start_paused = true)]
async fn a_fast_clock_is_not_held_up_by_iterations() {
    let clock = Clock::starting_at(START, 600);
    let harness = Harness::new(vec![]);
    let engine = Engine::new(clock.clone(), harness.script.clone(), harness.journal.clone(), 1);
    let retry = json!([{ "ErrorEquals": ["Mine"], "MaxAttempts": 2, "IntervalSeconds": 60 }]);
    let states = json!({
        "W": { "Type": "Wait", "Seconds": "{% $states.input %}", "Next": "C" },
        "C": {
            "Type": "Choice", "Default": "F",
            "Choices": [{ "Condition": "{% $states.context.State.EnteredTime > '2023-11-14T22:30' %}", "Next": "E" }],
        },
        "E": { "Type": "Succeed" },
        "F": { "Type": "Fail", "Error": "Mine" },
    });
    let fields = json!({ "MaxConcurrency": 3, "Retry": retry });
    let execution = ExecutionInput { name: "test".to_owned(), input: json!(vec![600; 6]) };
    let result = engine.run(&machine(json!({ "M": map(fields, states) })), execution).await.unwrap();
    assert_eq!(result.status, Status::Succeeded, "{result:?}");
    // Ten minutes until the first attempt fails, at 22:23, one more, and twice ten of the second.
    assert!((clock.now().duration_since(START).as_secs_f64() - 1_860.0).abs() < 5.0, "{}", clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_items_keep_within_the_concurrency() {
    let states = json!({ "T": task(json!({ "Output": "{% $states.result.Payload %}" })) });
    let answers = (0..1000).map(|index| Answer::After(index % 7, json!(index))).collect();
    let harness = Harness::new(answers);
    let fields = json!({ "MaxConcurrency": 20 });
    let result = harness.run(&machine(json!({ "M": map(fields, states) })), json!((0..1000).collect::<Vec<_>>())).await;
    assert_eq!(result.output.unwrap().as_array().unwrap().len(), 1000);
    assert_eq!(result.transitions, 1001);
    let (mut under_way, mut most) = (0_i32, 0);
    for line in harness.lines() {
        under_way += i32::from(line.contains("enter T")) - i32::from(line.contains("exit T"));
        most = most.max(under_way);
    }
    assert_eq!((under_way, most), (0, 20));
}

/// Each of these Maps is refused with the text, which follows `state "M", ` where no other state is named.
#[test]
fn maps_that_are_refused() {
    let states = || json!({ "P": { "Type": "Pass", "End": true } });
    let with = |fields: Value| map(fields, states());
    let processor = |processor: Value| json!({ "Type": "Map", "ItemProcessor": processor, "End": true });
    let table = [
        (with(json!({ "ToleratedFailureCount": 1 })), "ToleratedFailureCount: is not a field"),
        (with(json!({ "ToleratedFailurePercentage": 1 })), "ToleratedFailurePercentage: is not a field"),
        (with(json!({ "ItemReader": {} })), "ItemReader: is not a field"),
        (with(json!({ "ResultWriter": {} })), "ResultWriter: is not a field"),
        (with(json!({ "ItemBatcher": {} })), "ItemBatcher: is not a field"),
        (with(json!({ "Iterator": {} })), "Iterator: is not a field"),
        (with(json!({ "ItemsPath": "$" })), "ItemsPath: is not a field"),
        (with(json!({ "Parameters": {} })), "Parameters: is not a field"),
        (with(json!({ "Arguments": {} })), "Arguments: is not a field"),
        (with(json!({ "TimeoutSeconds": 1 })), "TimeoutSeconds: is not a field"),
        (with(json!({ "Items": { "a": 1 } })), "Items: must be an array or a JSONata expression"),
        (with(json!({ "Items": "list" })), "Items: must be an array"),
        (with(json!({ "MaxConcurrency": -1 })), "MaxConcurrency: must be an integer from 0"),
        (with(json!({ "MaxConcurrency": 1.5 })), "MaxConcurrency: must be an integer"),
        (with(json!({ "MaxConcurrency": "4" })), "MaxConcurrency: must be an integer"),
        (with(json!({ "Next": "P" })), "Next: there is no state \"P\""),
        (with(json!({ "Catch": [{ "ErrorEquals": ["A"], "Next": "P" }] })), "Catch[0]/Next: there is no state \"P\""),
        (with(json!({ "Output": "{% $own %}" })), "Output: \"$own\": no Assign sets the variable $own"),
        (
            with(json!({ "Output": "{% $states.context.Map.Item.Index %}" })),
            "Output: \"$states.context.Map.Item.Index\": ",
        ),
        (with(json!({ "Items": "{% [$states.context.Map] %}" })), "Items: \"[$states.context.Map]\": "),
        (with(json!({ "ItemSelector": "{% $states.result %}" })), "ItemSelector: \"$states.result\": "),
        (
            with(json!({ "ItemSelector": "{% $states.context.Map.Item.Key %}" })),
            "ItemSelector: \"$states.context.Map.Item.Key\": ",
        ),
        (
            with(json!({ "ItemSelector": "{% $states.context.Map.Run %}" })),
            "ItemSelector: \"$states.context.Map.Run\": ",
        ),
        (processor(json!([])), "ItemProcessor: must be an object"),
        (processor(json!({ "States": states() })), "ItemProcessor/StartAt: is missing"),
        (processor(json!({ "StartAt": 1, "States": states() })), "ItemProcessor/StartAt: must be a string"),
        (processor(json!({ "StartAt": "X", "States": states() })), "ItemProcessor/StartAt: there is no state \"X\""),
        (processor(json!({ "StartAt": "P" })), "ItemProcessor/States: must be an object"),
        (
            processor(json!({ "StartAt": "P", "States": states(), "QueryLanguage": "JSONata" })),
            "ItemProcessor/QueryLanguage: is not a field",
        ),
        (
            processor(
                json!({ "StartAt": "P", "States": states(), "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" } }),
            ),
            "ItemProcessor/ProcessorConfig/Mode: must be \"INLINE\"",
        ),
        (
            processor(json!({ "StartAt": "P", "States": states(), "ProcessorConfig": { "ExecutionType": "EXPRESS" } })),
            "ItemProcessor/ProcessorConfig/ExecutionType: is not a field",
        ),
    ];
    for (state, expected) in table {
        let refusal = parse(definition(json!({ "M": state }))).expect_err("it was to be refused").to_string();
        assert!(refusal.starts_with(&format!("state \"M\", {expected}")), "expected {expected:?}: {refusal}");
    }
}

/// Each of these states in a Map, beside one that sets the variable `outer`, is refused with the text.
#[test]
fn states_in_maps_that_are_refused() {
    let end = || json!({ "Type": "Pass", "End": true });
    let table = [
        (json!({ "P": end(), "Q": end() }), "state \"Q\", state: cannot be reached from StartAt"),
        (json!({ "P": { "Type": "Pass", "Next": "P" } }), "state \"P\", state: has no path to an end"),
        (json!({ "P": { "Type": "Pass", "Next": "S" } }), "state \"P\", Next: there is no state \"S\""),
        (json!({ "S": end() }), "state \"S\", state: has the name of another state"),
        (json!({ "P": { "Type": "Pass", "Result": 1, "End": true } }), "state \"P\", Result: is not a field"),
        (
            json!({ "P": { "Type": "Pass", "Assign": { "outer": 1 }, "End": true } }),
            "state \"P\", Assign/outer: is a variable of the states around the Map",
        ),
        (json!({ "P": pass(json!("{% $others %}")) }), "state \"P\", Output: \"$others\": no Assign sets"),
    ];
    for (states, expected) in table {
        let other =
            map(json!({ "Next": "M" }), json!({ "O": { "Type": "Pass", "Assign": { "others": 1 }, "End": true } }));
        let states = json!({
            "S": { "Type": "Pass", "Assign": { "outer": 1 }, "Next": "N" },
            "N": other,
            "M": map(json!({}), states),
        });
        let refusal = parse(definition(states)).expect_err("it was to be refused").to_string();
        assert!(refusal.starts_with(expected), "expected {expected:?}: {refusal}");
    }
}

#[test]
fn the_states_of_a_map_are_listed_after_it() {
    let config = json!({ "StartAt": "P", "States": { "P": pass(json!(1)) }, "ProcessorConfig": { "Mode": "INLINE" } });
    let machine = machine(json!({
        "M": map(json!({ "ItemProcessor": config, "Next": "E" }), json!({ "unused": {} })),
        "E": { "Type": "Succeed" },
    }));
    let listed: Vec<_> = machine.states().collect();
    assert_eq!(listed, [("M", StateKind::Map), ("P", StateKind::Pass), ("E", StateKind::Succeed)]);
}
