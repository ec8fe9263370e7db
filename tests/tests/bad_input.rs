//! Bad input: each mistake is refused by the field and with a cure, before anything is touched. Those that the issue names
//! are scenarios (`tests/src/catalogue/refusals.rs`); the table here holds all of them together, and more of the kind.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use lifecycle::report::Outcome;
use scenarios::catalogue::scenario;
use scenarios::scenario::{Planned, Run, Scenario};
use serde_json::{Value, json};

use crate::mistakes::mistakes;

#[path = "support/mistakes.rs"]
mod mistakes;

/// What the issue lists, by the scenario that shows it, and the field that the refusal names.
const LISTED: [(&str, &str); 14] = [
    ("unknown-field", "polcy"),
    ("wrong-type", "policy.bakeSeconds"),
    ("negative-duration", "policy.bakeSeconds"),
    ("absurd-duration", "policy.bakeSeconds"),
    ("empty-update", "update"),
    ("application-missing", "application"),
    ("application-deleted", "application"),
    ("sql-application", "application"),
    ("zeppelin-application", "application"),
    ("code-not-readable", "update.ApplicationConfigurationUpdate.ApplicationCodeConfigurationUpdate.CodeContentUpdate"),
    ("snapshot-missing", "restore.snapshot"),
    ("snapshot-not-ready", "restore.snapshot"),
    ("older-runtime", "update.RuntimeEnvironmentUpdate"),
    ("too-large", "input"),
];

/// Asserts that the deployment was refused for this field, with a problem and a cure, and that nothing was done.
fn assert_refused(what: &str, run: &Run, field: &str) {
    let deployed = &run.deployments[0];
    let report = deployed.report.as_ref().unwrap();
    assert_eq!(report.outcome, Outcome::Refused, "{what}: {}", report.summary);
    let refusal = report.refusals.first().unwrap();
    assert_eq!(refusal.field, field, "{what}: {refusal}");
    assert!(!refusal.problem.is_empty() && !refusal.cure.is_empty(), "{what}: {refusal:?}");
    assert!(report.summary.contains(&refusal.cure), "{what}: the cure is not told: {}", report.summary);
    assert_eq!(deployed.result.error.as_deref(), Some("Refused"), "{what}");
    let done: Vec<_> = deployed.calls.iter().filter(|call| !call.ends_with("(refused)")).collect();
    assert!(done.is_empty(), "{what}: {done:?}");
    assert!(run.violations.is_empty(), "{what}: {:?}", run.violations);
}

#[test]
fn what_the_issue_lists_is_refused_by_field_and_with_a_cure() {
    for (name, field) in LISTED {
        let run = scenario(name).unwrap().run().unwrap();
        assert_refused(name, &run, field);
    }
}

#[test]
fn every_mistake_is_refused_by_field_and_with_a_cure() {
    for (input, field) in mistakes() {
        let what = input.to_string();
        let planned = Planned { input, ..Planned::default() };
        let run = Scenario::new("bad-input", "A mistake.").deploy(planned).run().unwrap();
        assert_refused(&what, &run, field);
        let asked = run.deployments[0].all_calls;
        assert!(asked <= 6, "{what}: {asked} calls for a refusal");
    }
}

#[test]
fn a_refusal_tells_no_value_of_the_request() {
    let secret = "hunter2-hunter2";
    let inputs: [Value; 3] = [
        json!({ "update": { "ApplicationConfigurationUpdate": secret } }),
        json!({ "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" }, "policy": { "bakeSeconds": secret } }),
        json!({ "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" }, "start": secret }),
    ];
    for input in inputs {
        let what = input.to_string();
        let planned = Planned { input, ..Planned::default() };
        let run = Scenario::new("bad-input", "A mistake.").deploy(planned).run().unwrap();
        let deployed = &run.deployments[0];
        let told = deployed.trace.texts.iter().find(|text| text.contains(secret));
        assert_eq!(told, None, "{what}");
    }
}
