//! Tells what came of a run of snapshots: machines always, people only where they may have to do something. A schedule that
//! writes a letter every night is soon read by nobody.

use handler::{Error, Execution};
use lifecycle::snapshots::{RunOutcome, RunSummary, ShortResult, SnapshotOutcome};
use serde::Deserialize;

use crate::{Letter, Notifier};

/// `DetailType` of the event on the bus; `Detail` is the summary.
pub const SNAPSHOTS_EVENT_TYPE: &str = "Snapshots Taken";

/// The event of this step: the run, summed up.
#[derive(Debug, Deserialize)]
pub struct SnapshotsEvent {
    /// The execution.
    pub execution: Execution,
    /// What came of the run.
    pub snapshots: RunSummary,
}

/// Tells what came of the run, and hands it on.
pub async fn tell_of_snapshots(notifier: &Notifier, event: SnapshotsEvent) -> Result<RunSummary, Error> {
    let SnapshotsEvent { execution, snapshots: summary } = event;
    let subject = format!("Snapshots: {}", summary.outcome);
    let text = summary.is_worth_telling().then(|| letter(&summary, &execution.id).to_string());
    let letter = text.as_deref().map(|text| (subject.as_str(), text));
    notifier.tell_with(letter, SNAPSHOTS_EVENT_TYPE, &summary).await?;
    Ok(summary)
}

/// The summary as a person reads it.
fn letter<'news>(summary: &RunSummary, execution_arn: &'news str) -> Letter<'news> {
    let (data, to_do) = match summary.outcome {
        RunOutcome::SnapshotsTaken => ("The snapshots that were taken are READY.", "Read below what there is to know."),
        RunOutcome::SnapshotsFailed => (
            "What failed has no new snapshot: a forced stop would go back to the one before.",
            "Read the causes below, and docs/operations.md, \"What came of it\".",
        ),
        RunOutcome::Refused => ("No snapshot was taken or deleted.", "Correct the request and send it again."),
        RunOutcome::NeedsAttention => (
            "No snapshot was taken or deleted.",
            "Cure what docs/operations.md, \"Error names\", says of it; the next run tries again.",
        ),
    };
    Letter {
        happened: summary.to_string(),
        data: data.to_owned(),
        to_do: to_do.to_owned(),
        execution_arn: Some(execution_arn),
        details: details(summary),
    }
}

fn details(summary: &RunSummary) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(summary.snapshot.iter().map(|snapshot| format!("Snapshot: {snapshot}")));
    lines.extend(summary.reason.iter().map(|reason| format!("Asked for because: {reason}")));
    let lists = [
        ("Failed", &summary.failed, summary.count(SnapshotOutcome::Failed)),
        ("Skipped", &summary.skipped, summary.count(SnapshotOutcome::Skipped)),
        ("Warnings", &summary.warnings, summary.warnings.len()),
    ];
    for (heading, results, count) in lists {
        if results.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("{heading}:"));
        for ShortResult { application, why, warning, .. } in results {
            let told = if heading == "Warnings" { warning_in_words(warning.as_deref()) } else { why.clone() };
            lines.push(format!("  {application}: {told}"));
        }
        if count > results.len() {
            lines.push(format!("  … and {} more", count - results.len()));
        }
    }
    lines
}

/// A warning as the state machine words it, for people.
fn warning_in_words(warning: Option<&str>) -> String {
    match warning {
        Some("nearQuota") => {
            "there are 900 snapshots or more, and the service takes none by hand past 1,000: keep fewer".to_owned()
        }
        Some("notPruned") => "old snapshots could not be deleted; its execution says why".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_letter_names_what_a_person_may_have_to_act_on() {
        let short = |application: &str, outcome: &str, code: &str, why: &str| json!({ "application": application, "outcome": outcome, "code": code, "why": why });
        let mut near = short("fraud", "Taken", "ready", "READY after 30 s");
        near["warning"] = json!("nearQuota");
        let summary: RunSummary = serde_json::from_value(json!({
            "outcome": "SnapshotsFailed", "success": false, "execution": "nightly-1",
            "startedAt": "2026-11-20T03:00:00Z", "endedAt": "2026-11-20T03:31:00Z",
            "snapshot": "scheduled-20261120T030000Z", "reason": "every night",
            "counts": { "Taken": 1, "Failed": 3, "Skipped": 1 },
            "failed": [short("orders", "Failed", "snapshotFailed", "the snapshot FAILED after 30 s")],
            "skipped": [short("stock", "Skipped", "notRunning", "the application is READY, not RUNNING")],
            "warnings": [near],
        }))
        .unwrap();
        let expected = "1 taken, 3 failed, 1 skipped.\n\
            Data: What failed has no new snapshot: a forced stop would go back to the one before.\n\
            What to do: Read the causes below, and docs/operations.md, \"What came of it\".\n\
            Execution: arn:aws-iso:states:us-iso-east-1:123456789012:execution:snapshot:nightly-1\n\
            \n\
            Snapshot: scheduled-20261120T030000Z\n\
            Asked for because: every night\n\
            \n\
            Failed:\n  \
              orders: the snapshot FAILED after 30 s\n  \
              … and 2 more\n\
            \n\
            Skipped:\n  \
              stock: the application is READY, not RUNNING\n\
            \n\
            Warnings:\n  \
              fraud: there are 900 snapshots or more, and the service takes none by hand past 1,000: keep fewer";
        let arn = "arn:aws-iso:states:us-iso-east-1:123456789012:execution:snapshot:nightly-1";
        assert_eq!(letter(&summary, arn).to_string(), expected);
    }
}
