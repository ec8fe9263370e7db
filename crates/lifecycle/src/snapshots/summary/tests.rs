use serde_json::{Value, json};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn summary(more: &Value) -> RunSummary {
    let mut value = json!({
        "outcome": "SnapshotsTaken", "success": true, "execution": "e-1", "startedAt": at(0), "endedAt": at(60),
        "snapshot": "scheduled-20261120T094500Z", "reason": null,
        "counts": { "Taken": 2 }, "failed": [], "skipped": [], "warnings": [],
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn short(outcome: &str, code: &str) -> Value {
    json!({ "application": "orders", "outcome": outcome, "code": code, "why": "because" })
}

#[test]
fn people_hear_of_what_they_may_have_to_act_on() {
    let cases = [
        (json!({}), false),
        (json!({ "skipped": [short("Skipped", "notRunning")] }), false),
        (json!({ "skipped": [short("Skipped", "takenAlready"), short("Skipped", "blackout")] }), false),
        (json!({ "skipped": [short("Skipped", "notRunning"), short("Skipped", "applicationGone")] }), true),
        (json!({ "success": false, "failed": [short("Failed", "snapshotFailed")] }), true),
        (json!({ "warnings": [short("Taken", "ready")] }), true),
    ];
    for (more, expected) in cases {
        assert_eq!(summary(&more).is_worth_telling(), expected, "{more}");
    }
    assert!(RunSummary::refused("e-1", Vec::new(), at(0), at(1)).is_worth_telling());
}

#[test]
fn an_outcome_is_told_by_the_word_that_the_state_machine_ends_with() {
    use RunOutcome::{NeedsAttention, Refused, SnapshotsFailed, SnapshotsTaken};
    for (outcome, word) in [
        (SnapshotsTaken, "SnapshotsTaken"),
        (SnapshotsFailed, "SnapshotsFailed"),
        (Refused, "Refused"),
        (NeedsAttention, "NeedsAttention"),
    ] {
        assert_eq!(outcome.to_string(), word);
        assert_eq!(serde_json::to_value(outcome).unwrap(), word);
    }
}

#[test]
fn a_run_is_told_in_a_sentence() {
    let counts = json!({ "counts": { "Taken": 2, "Skipped": 1, "Failed": 3 } });
    assert_eq!(summary(&counts).to_string(), "2 taken, 3 failed, 1 skipped.");
    let dry = json!({ "counts": { "WouldTake": 4 } });
    assert_eq!(summary(&dry).to_string(), "0 taken, 0 failed, 0 skipped, 4 would be taken (dry run).");
    let refused = RunSummary::refused("e-1", vec![Refusal::new("tag", "nobody has it", "correct it")], at(0), at(1));
    assert_eq!(
        refused.to_string(),
        "The request for snapshots is refused, and nothing was touched. tag: nobody has it; correct it."
    );
    let failed = json!({ "outcome": "NeedsAttention", "success": false, "counts": {},
        "error": { "state": "SelectApplications", "error": "AccessDenied" } });
    let told = "No snapshot was taken: the step SelectApplications failed with AccessDenied.";
    assert_eq!(summary(&failed).to_string(), told);
}

#[test]
fn a_refusal_stays_small() {
    let refusals = vec![Refusal::new("f".repeat(500), "p".repeat(500), "c".repeat(500)); 1_000];
    let summary = RunSummary::refused("e-1", refusals, at(0), at(1));
    assert_eq!(summary.refusals.len(), MOST_REFUSALS);
    // Step Functions' limit for the cause of a Fail, in characters.
    assert!(serde_json::to_string(&summary).unwrap().chars().count() < 32_768);
}
