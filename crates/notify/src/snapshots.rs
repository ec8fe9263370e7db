//! Tells what came of a run of snapshots: machines always, people only where they may have to do something. A schedule that
//! writes a letter every night is soon read by nobody.

use std::fmt::Write as _;

use handler::Error;
use lifecycle::snapshots::{RunSummary, ShortResult, SnapshotOutcome};
use serde::Deserialize;

use crate::Notifier;

/// `DetailType` of the event on the bus; `Detail` is the summary.
pub const SNAPSHOTS_EVENT_TYPE: &str = "Snapshots Taken";

/// The event of this step: the run, summed up.
#[derive(Debug, Deserialize)]
pub struct SnapshotsEvent {
    /// What came of the run.
    pub snapshots: RunSummary,
}

/// Tells what came of the run, and hands it on.
pub async fn tell_of_snapshots(notifier: &Notifier, event: SnapshotsEvent) -> Result<RunSummary, Error> {
    let SnapshotsEvent { snapshots: summary } = event;
    let json = serde_json::to_string(&summary).map_err(Error::Result)?;
    let letter = summary.is_worth_telling().then(|| (format!("Snapshots: {}", summary.outcome), letter(&summary)));
    let letter = letter.as_ref().map(|(subject, text)| (subject.as_str(), text.as_str()));
    notifier.tell_with(letter, SNAPSHOTS_EVENT_TYPE, &json).await?;
    Ok(summary)
}

/// The summary as a person reads it.
fn letter(summary: &RunSummary) -> String {
    let mut text = format!("{summary}\nExecution: {}\n", summary.execution);
    // Writing to a String cannot fail.
    if let Some(snapshot) = &summary.snapshot {
        let _ = writeln!(text, "Snapshot: {snapshot}");
    }
    if let Some(reason) = &summary.reason {
        let _ = writeln!(text, "Asked for because: {reason}");
    }
    let lists = [
        ("Failed", &summary.failed, summary.count(SnapshotOutcome::Failed)),
        ("Skipped", &summary.skipped, summary.count(SnapshotOutcome::Skipped)),
        ("Warnings", &summary.warnings, summary.warnings.len()),
    ];
    for (heading, results, count) in lists {
        if results.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{heading}:");
        for ShortResult { application, why, warning, .. } in results {
            let line = if heading == "Warnings" { warning_in_words(warning.as_deref()) } else { why.clone() };
            let _ = writeln!(text, "  {application}: {line}");
        }
        if count > results.len() {
            let _ = writeln!(text, "  … and {} more", count - results.len());
        }
    }
    text
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
            Execution: nightly-1\n\
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
              fraud: there are 900 snapshots or more, and the service takes none by hand past 1,000: keep fewer\n";
        assert_eq!(letter(&summary), expected);
    }
}
