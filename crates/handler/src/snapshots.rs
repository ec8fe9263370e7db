//! What the Lambdas of `statemachine/snapshot-application.asl.json` are handed, and their line in the log.

use jiff::Timestamp;
use lifecycle::snapshots::SnapshotRun;
use serde::Deserialize;

use crate::event::Execution;
use crate::run::Answer;

/// The event of take-snapshot and check-snapshot.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// The execution.
    pub execution: Execution,
    /// The document as the step before left it.
    pub run: SnapshotRun,
}

impl Answer for SnapshotRun {
    fn log(&self) {
        tracing::info!(
            application = self.application,
            snapshot = self.plan.snapshot,
            next = self.next.map(tracing::field::debug),
            wait_seconds = self.wait_seconds,
            outcome = self.result.as_ref().map(|result| tracing::field::debug(result.outcome)),
            why = self.result.as_ref().map(|result| result.why.as_str()),
            "step done"
        );
    }
}
