//! The report of a deployment as people read it, with what the deployment has cost.

use std::time::Duration;

use emulator::RecordEntry;
use emulator::record::{Event, RestoredFrom};
use lifecycle::report::{Outcome, Report};

use crate::scenario::calls_of;
use flinkctl::terminal::line::{COLUMNS, Line, Style, wrap};
use flinkctl::terminal::words::length;

/// What Step Functions charges for a state transition, in millionths of a dollar.
const MICRODOLLARS_PER_TRANSITION: u64 = 25;
/// Where the facts begin.
const FACT_COLUMN: usize = 4 + 13;

/// What a deployment has cost, and the state that it ended with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effort {
    /// State transitions, as Step Functions bills them.
    pub transitions: u64,
    /// Calls to AWS.
    pub calls_to_aws: usize,
    /// Calls to Flink's REST API.
    pub calls_to_flink: usize,
    /// The snapshot that the last job was restored from, if a job was started by or because of the execution.
    pub restored_from: Option<RestoredFrom>,
    /// What became of the records in the state, in words, where there is a real job that counts them.
    pub records: Option<String>,
}

impl Effort {
    /// What the emulator's record says of an execution, which signed with its own name.
    pub fn of(record: &[RecordEntry], execution: &str) -> Self {
        let (to_flink, to_aws): (Vec<_>, Vec<_>) =
            calls_of(record, execution).partition(|call| call.service == "flink");
        let is_own = |entry: &RecordEntry| match &entry.event {
            Event::Call(call) => call.principal.as_deref() == Some(execution),
            _ => false,
        };
        let since = record.iter().position(is_own).unwrap_or(record.len());
        let restored_from = record.iter().skip(since).rev().find_map(|entry| match &entry.event {
            // The service's own rollback has nobody's name on it.
            Event::JobStarted(job)
                if job.principal.as_deref() == Some(execution) || job.cause == "SystemRollbackApplication" =>
            {
                job.restored_from.clone()
            }
            _ => None,
        });
        Self {
            transitions: 0,
            calls_to_aws: to_aws.len(),
            calls_to_flink: to_flink.len(),
            restored_from,
            records: None,
        }
    }
}

/// The report.
pub fn report(report: &Report, effort: &Effort) -> Vec<Line> {
    let (style, sign) = match report.outcome {
        Outcome::Deployed | Outcome::NoChange => (Style::Good, "✔"),
        Outcome::RolledBack | Outcome::Restored => (Style::Open, "↩"),
        Outcome::Superseded => (Style::Open, "⇢"),
        Outcome::Refused | Outcome::NeedsAttention => (Style::Bad, "✖"),
    };
    let mut lines = vec![Line::new().and(style, format!("  {sign} {}", report.outcome))];
    lines.extend(
        wrap(&report.summary, COLUMNS - 4).into_iter().map(|text| Line::new().and(Style::Plain, format!("    {text}"))),
    );
    let mut fact = |name: &str, texts: &[String]| {
        for (index, text) in texts.iter().flat_map(|text| wrap(text, COLUMNS - FACT_COLUMN)).enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(Line::new().and(Style::Faint, format!("    {name:<13}")).and(Style::Plain, text));
        }
    };
    // A summary tells why, but where the change is undone it tells why that had to be.
    let because: Vec<String> = report.because.iter().map(ToString::to_string).collect();
    if !report.summary.contains(&because.join("; ")) {
        fact("verified", &because);
    }
    if let Some(cause) = &report.root_cause {
        let frame = cause.own_frame.iter().map(|frame| format!("at {frame}"));
        let told = [format!("{}: {}", cause.category, cause.meaning)];
        fact("cause", &told.into_iter().chain(frame).chain([cause.advice.clone()]).collect::<Vec<_>>());
    }
    if let (Some(before), Some(after)) = (report.version_before, report.version_after) {
        fact("version", &[format!("{before} → {after}")]);
    }
    if let Some(RestoredFrom { snapshot, version, .. }) = &effort.restored_from {
        fact("state", &[format!("from snapshot {snapshot}, taken of version {version}")]);
    }
    fact("data", &report.data.iter().map(|data| data.summary.clone()).collect::<Vec<_>>());
    fact("records", &effort.records.iter().cloned().collect::<Vec<_>>());
    let lasted = Duration::try_from(report.ended_at.duration_since(report.started_at)).unwrap_or_default();
    fact("took", &[length(lasted)]);
    let microdollars = effort.transitions * MICRODOLLARS_PER_TRANSITION;
    fact(
        "cost",
        &[
            format!(
                "{} state transitions: ${}.{:06} of Step Functions",
                effort.transitions,
                microdollars / 1_000_000,
                microdollars % 1_000_000
            ),
            format!("{} calls to AWS, {} to Flink", effort.calls_to_aws, effort.calls_to_flink),
        ],
    );
    fact("next step", &report.next_step.iter().cloned().collect::<Vec<_>>());
    lines.push(Line::new());
    lines
}
