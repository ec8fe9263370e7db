//! What we ask of our state machine definitions beyond the States Language itself: that they can be read aloud, that no
//! task can hang, and that no error gets past the flow. The public validators know none of it.

use serde_json::{Value, json};

/// Everything that is wrong with the definition, one line each, naming the state; empty when nothing is.
pub(crate) fn problems(definition: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if definition["QueryLanguage"] != "JSONata" {
        problems.push("the machine's QueryLanguage is not JSONata".to_owned());
    }
    if !has_text(definition, "Comment") {
        problems.push("the machine has no Comment".to_owned());
    }
    if !definition["TimeoutSeconds"].is_u64() {
        problems.push("the machine has no TimeoutSeconds, the net below the deadlines in the flow".to_owned());
    }
    let states = states(definition);
    if states.is_empty() {
        problems.push("the machine has no States".to_owned());
    }
    for (name, state) in states {
        problems.extend(problems_of_state(state).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    problems
}

/// The definition with one thing broken at a time, each with what was broken: a validator worth its time refuses them
/// all. Empty if the definition has no Task to break.
pub(crate) fn broken(definition: &Value) -> Vec<(&'static str, Value)> {
    let Some(task) = definition["States"]
        .as_object()
        .and_then(|states| states.iter().find(|(_, state)| state["Type"] == "Task"))
        .map(|(name, _)| name.as_str())
    else {
        return Vec::new();
    };
    let with_task = |field: &str, value: Value| {
        let mut copy = definition.clone();
        copy["States"][task][field] = value;
        copy
    };
    let mut starts_nowhere = definition.clone();
    starts_nowhere["StartAt"] = json!("Nowhere");
    vec![
        ("StartAt names no state", starts_nowhere),
        ("Next names no state", with_task("Next", json!("Nowhere"))),
        ("a Resource that is not text", with_task("Resource", json!(7))),
        ("a Type that does not exist", with_task("Type", json!("Tusk"))),
        ("a misspelt field", with_task("TimeoutSecond", json!(1))),
    ]
}

fn problems_of_state(state: &Value) -> Vec<&'static str> {
    let mut problems = Vec::new();
    if !has_text(state, "Comment") {
        problems.push("no Comment");
    }
    if state["Type"] != "Task" {
        return problems;
    }
    if !(state["TimeoutSeconds"].is_u64() || has_text(state, "TimeoutSeconds")) {
        problems.push("no TimeoutSeconds");
    }
    // A retrier without attempts says that an error must not be retried; there is nothing to spread in it.
    let retriers: Vec<&Value> =
        elements(&state["Retry"]).into_iter().filter(|retrier| retrier["MaxAttempts"] != 0).collect();
    if retriers.is_empty() {
        problems.push("no Retry");
    }
    for retrier in retriers {
        if retrier["JitterStrategy"] != "FULL" {
            problems.push("a retrier whose JitterStrategy is not FULL");
        }
        if retrier["BackoffRate"].as_f64().is_none_or(|rate| rate <= 1.0) {
            problems.push("a retrier whose BackoffRate is not above 1");
        }
    }
    let catches_all = elements(&state["Catch"])
        .into_iter()
        .any(|catcher| elements(&catcher["ErrorEquals"]).into_iter().any(|error| error == "States.ALL"));
    if !catches_all {
        problems.push("no Catch of States.ALL");
    }
    problems
}

/// All states with their names, those inside Parallel and Map included.
pub(crate) fn states(machine: &Value) -> Vec<(&str, &Value)> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().into_iter().flatten() {
        found.push((name.as_str(), state));
        for branch in elements(&state["Branches"]) {
            found.extend(states(branch));
        }
        found.extend(states(&state["ItemProcessor"]));
    }
    found
}

fn elements(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

fn has_text(value: &Value, field: &str) -> bool {
    value[field].as_str().is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Value {
        json!({
            "Comment": "Asks the service to change the application.",
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "TimeoutSeconds": 60,
            "Retry": [{ "ErrorEquals": ["Lambda.Unknown"], "MaxAttempts": 3, "BackoffRate": 2, "JitterStrategy": "FULL" }],
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "Done" }],
            "Next": "Done"
        })
    }

    fn machine(task: &Value) -> Value {
        json!({
            "Comment": "A machine.",
            "QueryLanguage": "JSONata",
            "StartAt": "Submit",
            "TimeoutSeconds": 3600,
            "States": { "Submit": task, "Done": { "Comment": "The end.", "Type": "Succeed" } }
        })
    }

    #[test]
    fn a_definition_as_we_want_it_has_no_problems() {
        assert_eq!(problems(&machine(&task())), Vec::<String>::new());
    }

    #[test]
    fn a_time_out_may_be_an_expression() {
        let mut task = task();
        task["TimeoutSeconds"] = json!("{% $policy.seconds %}");
        assert_eq!(problems(&machine(&task)), Vec::<String>::new());
    }

    #[test]
    fn an_error_may_be_excepted_from_retry() {
        let mut task = task();
        task["Retry"] = json!([{ "ErrorEquals": ["Refused"], "MaxAttempts": 0 }, task["Retry"][0]]);
        assert_eq!(problems(&machine(&task)), Vec::<String>::new());
    }

    #[test]
    fn each_thing_missing_from_a_task_is_named() {
        let cases = [
            ("Comment", json!("  "), "Submit: no Comment"),
            ("TimeoutSeconds", Value::Null, "Submit: no TimeoutSeconds"),
            ("Retry", json!([]), "Submit: no Retry"),
            ("Retry", json!([{ "ErrorEquals": ["Refused"], "MaxAttempts": 0 }]), "Submit: no Retry"),
            (
                "Retry",
                json!([{ "ErrorEquals": ["X"], "BackoffRate": 2, "JitterStrategy": "NONE" }]),
                "Submit: a retrier whose JitterStrategy is not FULL",
            ),
            (
                "Retry",
                json!([{ "ErrorEquals": ["X"], "BackoffRate": 1, "JitterStrategy": "FULL" }]),
                "Submit: a retrier whose BackoffRate is not above 1",
            ),
            ("Catch", Value::Null, "Submit: no Catch of States.ALL"),
            ("Catch", json!([{ "ErrorEquals": ["Refused"], "Next": "Done" }]), "Submit: no Catch of States.ALL"),
        ];
        for (field, value, expected) in cases {
            let mut task = task();
            task[field] = value;
            assert_eq!(problems(&machine(&task)), [expected]);
        }
    }

    #[test]
    fn each_thing_missing_from_the_machine_is_named() {
        let cases = [
            ("QueryLanguage", json!("JSONPath"), "the machine's QueryLanguage is not JSONata"),
            ("Comment", Value::Null, "the machine has no Comment"),
            (
                "TimeoutSeconds",
                Value::Null,
                "the machine has no TimeoutSeconds, the net below the deadlines in the flow",
            ),
            ("States", json!({}), "the machine has no States"),
        ];
        for (field, value, expected) in cases {
            let mut machine = machine(&task());
            machine[field] = value;
            assert_eq!(problems(&machine), [expected]);
        }
    }

    #[test]
    fn states_inside_states_are_looked_at_too() {
        let mut inner = task();
        inner["Catch"] = Value::Null;
        let inner = json!({ "StartAt": "Inner", "States": { "Inner": inner } });
        for nested in [
            json!({ "Comment": "Both.", "Type": "Parallel", "Branches": [inner] }),
            json!({ "Comment": "Each.", "Type": "Map", "ItemProcessor": inner }),
        ] {
            assert_eq!(problems(&machine(&nested)), ["Inner: no Catch of States.ALL"]);
        }
    }

    #[test]
    fn broken_definitions_differ_from_the_good_one_and_from_each_other() {
        let good = machine(&task());
        let broken = broken(&good);
        assert_eq!(broken.len(), 5);
        for (index, (what, definition)) in broken.iter().enumerate() {
            assert_ne!(*definition, good, "{what}");
            assert!(broken[..index].iter().all(|(_, earlier)| earlier != definition), "{what}");
        }
    }

    #[test]
    fn a_definition_without_tasks_cannot_be_broken() {
        assert!(super::broken(&json!({ "States": { "Done": { "Type": "Succeed" } } })).is_empty());
    }
}
