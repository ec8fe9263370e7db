//! What a definition may hold, and what is refused, with the state's and the field's name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::{definition, machine, parse, pass, task};
use crate::{StateKind, StateMachine};

/// A machine of a state `S` and, if the state goes on, an end `E`.
fn with(mut state: Value) -> Value {
    if state.get("Type").is_none() {
        state["Type"] = json!("Pass");
    }
    let goes_on = state.to_string().contains(r#":"E""#);
    let mut definition = definition(json!({ "S": state }));
    if goes_on {
        definition["States"]["E"] = json!({ "Type": "Succeed" });
    }
    definition
}

fn refusal(definition: Value) -> String {
    parse(definition).expect_err("it was to be refused").to_string()
}

/// Each of these changes to a good top level is refused with the text.
#[test]
fn the_top_level() {
    let table = [
        ("/QueryLanguage", json!("JSONPath"), "QueryLanguage: must be \"JSONata\""),
        ("/QueryLanguage", Value::Null, "QueryLanguage: must be"),
        ("/StartAt", json!("X"), "StartAt: there is no state \"X\""),
        ("/TimeoutSeconds", json!(0), "TimeoutSeconds: must be an integer from 1"),
        ("/TimeoutSeconds", json!("{% 1 %}"), "TimeoutSeconds: must be an integer"),
        ("/Version", json!("2.0"), "Version: must be"),
        ("/Comment", json!(1), "Comment: must be a string"),
        ("/States", json!([]), "States: must be an object"),
        ("/ProcessorConfig", json!({}), "ProcessorConfig: is not a field that this engine supports"),
    ];
    for (field, value, expected) in table {
        let mut changed = with(pass(json!(1)));
        changed[&field[1..]] = value;
        let refusal = refusal(changed);
        assert!(refusal.starts_with(expected), "{field}: {refusal}");
    }
    for missing in ["QueryLanguage", "StartAt", "States"] {
        let mut changed = with(pass(json!(1)));
        changed.as_object_mut().unwrap().remove(missing);
        assert!(refusal(changed).starts_with(missing), "{missing}");
    }
    assert_eq!(refusal(json!([])), "definition: must be an object");
    let twice = r#"{ "StartAt": "A", "StartAt": "B" }"#;
    assert!(StateMachine::parse(twice, &BTreeMap::new()).is_err());
    assert!(StateMachine::parse(&" ".repeat(1_048_577), &BTreeMap::new()).unwrap_err().to_string().contains("larger"));
}

/// Each of these states is refused with the text, which follows `state "S", `.
#[test]
fn fields_of_states() {
    let retry = |fields: Value| task(json!({ "Retry": [fields] }));
    let catch = |fields: Value| task(json!({ "Catch": [fields] }));
    let rule = |fields: Value| json!({ "Type": "Choice", "Choices": [fields], "Default": "E" });
    let table = [
        (json!({ "Type": "Map", "End": true }), "ItemProcessor: must be an object of StartAt and States"),
        (json!({ "Type": "Parallel", "End": true }), "Type: \"Parallel\" is not a type"),
        (json!({ "Type": 1, "End": true }), "Type: must be a string"),
        (json!({ "QueryLanguage": "JSONPath", "End": true }), "QueryLanguage: must be"),
        (json!({ "Comment": 1, "End": true }), "Comment: must be a string"),
        // Ways on
        (json!({}), "Next: is missing, and so is End"),
        (json!({ "Next": "E", "End": true }), "End: cannot stand beside Next"),
        (json!({ "End": false }), "End: must be true"),
        (json!({ "Next": "X" }), "Next: there is no state \"X\""),
        (json!({ "Next": "S" }), "state: has no path to an end"),
        (json!({ "Type": "Succeed", "End": true }), "End: is not a field"),
        (json!({ "Type": "Succeed", "Assign": {} }), "Assign: is not a field"),
        (json!({ "Type": "Fail", "Next": "E" }), "Next: is not a field"),
        (json!({ "Type": "Choice", "Choices": [], "Default": "E" }), "Choices: must be a non-empty array"),
        (json!({ "Type": "Choice", "Default": "E" }), "Choices: is missing"),
        (
            json!({ "Type": "Choice", "Choices": [{ "Condition": "{% true %}", "Next": "E" }], "Next": "E" }),
            "Next: is not a",
        ),
        (rule(json!({ "Condition": "{% true %}" })), "Choices[0]/Next: is missing"),
        (rule(json!({ "Condition": "true", "Next": "E" })), "Choices[0]/Condition: must be a JSONata expression"),
        (rule(json!({ "Next": "E" })), "Choices[0]/Condition: must be"),
        (rule(json!({ "Variable": "$.a", "IsNull": true, "Next": "E" })), "Choices[0]/Variable: is not a field"),
        (rule(json!(1)), "Choices[0]: must be an object"),
        // Fields of JSONPath, and of what is not here
        (json!({ "InputPath": "$", "End": true }), "InputPath: is not a field"),
        (json!({ "Result": 1, "End": true }), "Result: is not a field"),
        (json!({ "TimeoutSeconds": 1, "End": true }), "TimeoutSeconds: is not a field"),
        (task(json!({ "HeartbeatSeconds": 1 })), "HeartbeatSeconds: is not a field"),
        (task(json!({ "Credentials": {} })), "Credentials: is not a field"),
        // Tasks
        (task(json!({ "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken" })), "Resource: "),
        (task(json!({ "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:f" })), "Resource: "),
        (task(json!({ "Resource": 1 })), "Resource: must be a string"),
        (task(json!({ "Arguments": { "FunctionName": "f" } })), "Arguments: must be an object of exactly"),
        (
            task(json!({ "Arguments": { "FunctionName": "f", "Payload": {}, "InvocationType": "Event" } })),
            "Arguments: must be an object of exactly",
        ),
        (
            task(json!({ "Arguments": { "FunctionName": 1, "Payload": {} } })),
            "Arguments/FunctionName: must be a string",
        ),
        (task(json!({ "TimeoutSeconds": 0 })), "TimeoutSeconds: must be an integer from 1"),
        (task(json!({ "TimeoutSeconds": 1.5 })), "TimeoutSeconds: must be an integer"),
        (task(json!({ "TimeoutSeconds": "60" })), "TimeoutSeconds: must be an integer"),
        (task(json!({ "TimeoutSeconds": ["{% 1 %}"] })), "TimeoutSeconds: must be an integer"),
        // Retry
        (task(json!({ "Retry": {} })), "Retry: must be a non-empty array"),
        (retry(json!({})), "Retry[0]/ErrorEquals: must be a non-empty array"),
        (retry(json!({ "ErrorEquals": [] })), "Retry[0]/ErrorEquals: must be"),
        (retry(json!({ "ErrorEquals": [1] })), "Retry[0]/ErrorEquals: must be"),
        (retry(json!({ "ErrorEquals": ["States.Al"] })), "Retry[0]/ErrorEquals: \"States.Al\" is not an error name"),
        (retry(json!({ "ErrorEquals": ["A", "States.ALL"] })), "Retry[0]/ErrorEquals: States.ALL must stand alone"),
        (
            task(json!({ "Retry": [{ "ErrorEquals": ["States.ALL"] }, { "ErrorEquals": ["A"] }] })),
            "Retry[0]: States.ALL must be in the last entry",
        ),
        (retry(json!({ "ErrorEquals": ["A"], "IntervalSeconds": 0 })), "Retry[0]/IntervalSeconds: must be"),
        (retry(json!({ "ErrorEquals": ["A"], "MaxAttempts": -1 })), "Retry[0]/MaxAttempts: must be"),
        (retry(json!({ "ErrorEquals": ["A"], "BackoffRate": 0.9 })), "Retry[0]/BackoffRate: must be"),
        (retry(json!({ "ErrorEquals": ["A"], "MaxDelaySeconds": 1 })), "Retry[0]/MaxDelaySeconds: must be greater"),
        (retry(json!({ "ErrorEquals": ["A"], "MaxDelaySeconds": 31_622_400 })), "Retry[0]/MaxDelaySeconds: must be"),
        (retry(json!({ "ErrorEquals": ["A"], "JitterStrategy": "HALF" })), "Retry[0]/JitterStrategy: must be"),
        (retry(json!({ "ErrorEquals": ["A"], "Next": "E" })), "Retry[0]/Next: is not a field"),
        // Catch
        (catch(json!({ "ErrorEquals": ["A"] })), "Catch[0]/Next: is missing"),
        (catch(json!({ "ErrorEquals": ["A"], "Next": "X" })), "Catch[0]/Next: there is no state"),
        (catch(json!({ "ErrorEquals": ["A"], "Next": "E", "ResultPath": "$" })), "Catch[0]/ResultPath: is not a field"),
        // Waits
        (json!({ "Type": "Wait", "End": true }), "Seconds: is missing, and so is Timestamp"),
        (json!({ "Type": "Wait", "Seconds": -1, "End": true }), "Seconds: must be an integer from 0"),
        (json!({ "Type": "Wait", "Seconds": 100_000_000, "End": true }), "Seconds: must be"),
        (json!({ "Type": "Wait", "SecondsPath": "$.a", "End": true }), "SecondsPath: is not a field"),
        (json!({ "Type": "Wait", "Timestamp": "2024-01-01 00:00:00Z", "End": true }), "Timestamp: must be an RFC 3339"),
        (json!({ "Type": "Wait", "Timestamp": "2024-01-01T00:00:00", "End": true }), "Timestamp: must be"),
        (
            json!({ "Type": "Wait", "Seconds": 1, "Timestamp": "2024-01-01T00:00:00Z", "End": true }),
            "Timestamp: cannot stand beside Seconds",
        ),
        // Fails
        (json!({ "Type": "Fail", "Error": 1 }), "Error: must be a string of at most 256 characters"),
        (json!({ "Type": "Fail", "Error": "x".repeat(257) }), "Error: must be"),
        (json!({ "Type": "Fail", "Cause": "x".repeat(32_769) }), "Cause: must be"),
        (json!({ "Type": "Fail", "CausePath": "$.a" }), "CausePath: is not a field"),
        // Variables
        (json!({ "Assign": [], "End": true }), "Assign: must be an object"),
        (json!({ "Assign": { "1a": 1 }, "End": true }), "Assign/1a: is not a variable name"),
        (json!({ "Assign": { "a.b": 1 }, "End": true }), "Assign/a.b: is not a variable name"),
        (json!({ "Assign": { "states": 1 }, "End": true }), "Assign/states: is not a variable name"),
        (json!({ "Assign": { "x".repeat(81): 1 }, "End": true }), &format!("Assign/{}: is not", "x".repeat(81))),
    ];
    for (state, expected) in table {
        let refusal = refusal(with(state));
        assert!(refusal.starts_with(&format!("state \"S\", {expected}")), "expected {expected:?}: {refusal}");
    }
}

/// Each of these expressions is refused in an Output, with a text that has this in it.
#[test]
fn expressions() {
    let table = [
        ("{% 1 + %}", "is not JSONata"),
        ("{% a[1,2) %}", "is not JSONata"),
        ("{% 1", "does not end it"),
        ("1 %}", "does not begin it"),
        ("{%}", "is not a JSONata expression"),
        ("{% $eval('1') %}", "use $parse"),
        ("{% $states.input.a ?? 1 %}", "does not know the operator ??"),
        ("{% [$states.input.a ?: 1] %}", "does not know the operator ?:"),
        ("{% $shuffle([1, 2]) %}", "could not be repeated"),
        ("{% $nothing(1) %}", "there is no function $nothing"),
        ("{% string(1) %}", "with a $"),
        ("{% $unknown %}", "no Assign sets the variable $unknown"),
        ("{% $states.inputs %}", "$states has no field inputs"),
        ("{% $states.result %}", "in the Output and Assign of a Task or Map only"),
        ("{% $states.errorOutput %}", "in a Catch's Output and Assign only"),
        ("{% $states.context.Task.Token %}", "$states.context.Task is not supported"),
        ("{% $states.context.State.Id %}", "$states.context.State.Id is not supported"),
        ("{% $states := 1 %}", "$states is reserved"),
        ("{% input.a %}", "reference to 'input' at the top level"),
        ("{% $map([1], function($x) { b }) %}", "reference to 'b' at the top level"),
        ("{% $ %}", "reference to '$' at the top level"),
        ("{% $$.a %}", "reference to '$$'"),
        ("{% * %}", "at the top level"),
        ("{% $now('[Y]') %}", "$now with arguments"),
    ];
    for (expression, expected) in table {
        let refusal = refusal(with(json!({ "Output": { "a": [expression] }, "End": true })));
        let place = "state \"S\", Output/a[0]: ";
        assert!(refusal.starts_with(place) && refusal.contains(expected), "{expression}: {refusal}");
    }
}

/// What looks like the refused expressions and is not.
#[test]
fn expressions_that_are_fine() {
    for expression in [
        "$states.input.items[value > 3].name",
        "$states.input.items.{ 'a': a, 'all': $ }",
        "$states.input.items^(>price)",
        "$states.input{ name: value }",
        "$map($states.input.items, function($item, $index) { $item.name & $index })",
        "($total := 1; $add := function($n) { $total + $n }; $add(2))",
        "$states.input.items ~> $map($uppercase)",
        "$states.input.items@$i.parts#$n.{ 'i': $i, 'n': $n }",
        "$states.input ~> |items|{ 'a': b }, 'c'|",
        "$states.context.Execution.Input.anything",
        "$states",
        "$type('x') = 'string' ? $uuid() : $hash('a', 'SHA-256')",
    ] {
        let parsed = parse(with(json!({ "Output": format!("{{% {expression} %}}"), "End": true })));
        assert!(parsed.is_ok(), "{expression}: {parsed:?}");
    }
}

#[test]
fn the_graph() {
    let unreachable = definition(json!({ "A": pass(json!(1)), "B": pass(json!(1)) }));
    assert_eq!(refusal(unreachable), "state \"B\", state: cannot be reached from StartAt");
    let catch = json!([{ "ErrorEquals": ["States.ALL"], "Next": "B" }]);
    assert!(parse(definition(json!({ "A": task(json!({ "Catch": catch })), "B": pass(json!(1)) }))).is_ok());
    let name = "x".repeat(81);
    assert!(refusal(definition(json!({ name: pass(json!(1)) }))).contains("1 to 80 characters"));
}

#[test]
fn states_are_listed_in_order() {
    let states = json!({ "Z": { "Type": "Wait", "Seconds": 1, "Next": "A" }, "A": { "Type": "Succeed" } });
    let machine = machine(states);
    let listed: Vec<_> = machine.states().collect();
    assert_eq!(listed, [("Z", StateKind::Wait), ("A", StateKind::Succeed)]);
}
