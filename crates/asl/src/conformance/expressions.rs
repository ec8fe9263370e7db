//! Expressions as Step Functions evaluates them: sequences, nothing, functions, and references followed without the evaluator.

use serde_json::{Value, json};

use super::support::{Harness, machine, output, pass};
use crate::Status;

fn input() -> Value {
    json!({
        "nil": null,
        "none": [],
        "one": [1],
        "nested": [[1]],
        "names": [{ "n": "a" }, { "n": "b" }, {}],
        "single": [{ "n": "a" }],
        "object": { "a": { "b": { "c": true } } },
        "text": "{\"k\": [1, 2.5]}",
        "large": 9_007_199_254_740_991_u64,
        "tiny": 0.1,
    })
}

/// Expressions and what they give.
#[tokio::test(start_paused = true)]
async fn values() {
    let table = [
        ("$states.input.nil", json!(null)),
        ("{'null': $states.input.nil, 'gone': $states.input.absent}", json!({ "null": null })),
        ("[$states.input.absent]", json!([])),
        // A sequence of one is its item, an array of the input stays what it is.
        ("$states.input.one", json!([1])),
        ("$states.input.nested", json!([[1]])),
        ("$states.input.none", json!([])),
        ("$states.input.names.n", json!(["a", "b"])),
        ("$states.input.single.n", json!("a")),
        ("$states.input.single.n[]", json!(["a"])),
        ("[$states.input.single.n]", json!(["a"])),
        ("$states.input.names[n = 'a']", json!({ "n": "a" })),
        ("$states.input.names[n = 'a'][]", json!([{ "n": "a" }])),
        ("$states.input.names[-1]", json!({})),
        ("$count($states.input.names[n = 'z'])", json!(0)),
        ("$exists($states.input.absent)", json!(false)),
        ("$exists($states.input.nil)", json!(true)),
        ("$states.input.absent = 1", json!(false)),
        ("$states.input.absent ? 'yes' : 'no'", json!("no")),
        ("$sum([])", json!(0)),
        ("$states.input.object.a.b", json!({ "c": true })),
        ("$states.input.object.a.%.%.tiny", json!(0.1)),
        ("$states.input.names[n = $states.input.single.n].n", json!("a")),
        ("$count($keys($states.input))", json!(10)),
        ("$states.context.Execution.Input.single.n", json!("a")),
        ("$keys($states.context)", json!(["Execution", "State", "StateMachine"])),
        ("$keys($states)", json!(["input", "context"])),
        ("$states.input.large", json!(9_007_199_254_740_991_u64)),
        ("$states.input.large - 1", json!(9_007_199_254_740_990_u64)),
        ("$states.input.tiny + 0.2", json!(0.1 + 0.2)),
        ("1 / 4", json!(0.25)),
        ("6 / 3", json!(2)),
        ("$string(1e20)", json!("100000000000000000000")),
        ("$merge([$states.input.object, {'z': 1}])", json!({ "a": { "b": { "c": true } }, "z": 1 })),
        ("$map([1..3], function($n) { $n * $n })", json!([1, 4, 9])),
        ("($x := 2; $x + 1)", json!(3)),
        ("$max([1, 5, 3])", json!(5)),
        ("$now()", json!("2023-11-14T22:13:20.000Z")),
        ("$millis()", json!(1_700_000_000_000_u64)),
        ("$toMillis($now()) = $millis()", json!(true)),
        // What Step Functions adds
        ("$parse($states.input.text)", json!({ "k": [1, 2.5] })),
        ("$parse('null')", json!(null)),
        ("$partition([1..5], 2)", json!([[1, 2], [3, 4], [5]])),
        ("$partition([1..4], 2.9)", json!([[1, 2], [3, 4]])),
        ("$range(0, 10, 5)", json!([0, 5, 10])),
        ("$range(5, 0, -2)", json!([5, 3, 1])),
        ("$range(-1.7, 2, 1)", json!([-1, 0, 1, 2])),
        ("$range(3, 3, 1)", json!(3)),
        ("$hash('', 'SHA-256')", json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        ("$length($hash('a', 'SHA-384'))", json!(96)),
        ("$length($hash('a', 'SHA-512'))", json!(128)),
        ("$random(3) = $random(3)", json!(true)),
        ("$random() != $random()", json!(true)),
        ("$contains($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)", json!(true)),
        ("$uuid() != $uuid()", json!(true)),
    ];
    for (expression, expected) in table {
        let result = output(expression, input()).await;
        assert_eq!(result.output, Some(expected), "{expression}: {:?}", result.cause);
    }
}

/// Expressions that fail their state, and what the cause says.
#[tokio::test(start_paused = true)]
async fn failures() {
    let table = [
        ("$states.input.absent", "returned nothing (undefined)."),
        ("$states.input.object.a.x.y", "returned nothing (undefined)."),
        ("$states.input.names[n = 'z']", "returned nothing (undefined)."),
        ("$hash('a')", "returned nothing (undefined)."),
        ("$range(0, 10)", "returned nothing (undefined)."),
        ("$range(0, 10, -1)", "returned nothing (undefined)."),
        ("$range(0, 10, 0)", "memory limit exceeded"),
        ("$range(0, 360145, 1)", "memory limit exceeded"),
        ("$partition([1, 2], 0)", "returned nothing (undefined)."),
        ("$hash('a', 'MD5')", "is not supported"),
        ("$parse('{')", "not JSON"),
        ("$parse(1)", "must be a string"),
        ("function($x) { $x }", "unsupported result type (Function)"),
        ("[$sum]", "unsupported result type (Function)"),
        ("{'a': /x/}", "unsupported result type (Regular expression)"),
        ("'a' + 1", "threw an error during evaluation. T2001"),
        ("$error('mine')", "threw an error during evaluation. D3137: mine"),
        ("$number('x')", "threw an error during evaluation."),
        ("1 / 0", "unsupported result type (Number that is not finite)"),
    ];
    for (expression, expected) in table {
        let result = output(expression, input()).await;
        assert_eq!(result.status, Status::Failed, "{expression}: {:?}", result.output);
        assert_eq!(result.error.as_deref(), Some("States.QueryEvaluationError"), "{expression}");
        let cause = result.cause.unwrap();
        assert!(cause.contains(expected) && cause.contains("the field 'Output'"), "{expression}: {cause}");
    }
}

/// References are followed without the evaluator where that is the same; a block around one makes it use the evaluator.
#[tokio::test(start_paused = true)]
async fn followed_references_give_what_the_evaluator_gives() {
    let mut references: Vec<String> =
        input().as_object().unwrap().keys().map(|field| format!("$states.input.{field}")).collect();
    references.extend(
        ["$states.input", "$v", "$v.single", "$v.single.n", "$v.object.a.b.c", "$v.names.n", "$v.absent", "$v.one"]
            .map(str::to_owned),
    );
    for reference in references {
        let run = async |expression: String| {
            let states = json!({
                "A": { "Type": "Pass", "Assign": { "v": "{% $states.input %}" }, "Next": "P" },
                "P": pass(json!(format!("{{% {expression} %}}"))),
            });
            let result = Harness::new(vec![]).run(&machine(states), input()).await;
            (result.output, result.error)
        };
        assert_eq!(run(reference.clone()).await, run(format!("({reference})")).await, "{reference}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_an_array_is_mapped_over() {
    let result = output("$states.input.n", json!([{ "n": 1 }, { "n": 2 }])).await;
    assert_eq!(result.output, Some(json!([1, 2])));
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_no_state_has_set_yet_is_nothing() {
    let states = json!({
        "A": { "Type": "Pass", "Output": "{% $later %}", "Next": "B" },
        "B": { "Type": "Pass", "Assign": { "later": 1 }, "End": true },
    });
    let result = Harness::new(vec![]).run(&machine(states), json!({})).await;
    assert_eq!(result.error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(result.cause.unwrap().contains("'$later' specified for the field 'Output' returned nothing"));
}

#[tokio::test(start_paused = true)]
async fn only_delimited_strings_are_expressions() {
    let written = json!({ "$states.input": "$states.input", "space": " {% 1 %} ", "n": [1, null, { "x": "%" }] });
    let result = Harness::new(vec![]).run(&machine(json!({ "P": pass(written.clone()) })), json!({})).await;
    assert_eq!(result.output, Some(written));
}

#[tokio::test(start_paused = true)]
async fn chances_repeat_for_a_seed() {
    let machine = machine(json!({ "P": pass(json!("{% [$random(), $uuid(), $random()] %}")) }));
    let run = async |seed| Harness::seeded(vec![], seed).run(&machine, json!({})).await.output;
    assert_eq!(run(5).await, run(5).await);
    assert_ne!(run(5).await, run(6).await);
}
