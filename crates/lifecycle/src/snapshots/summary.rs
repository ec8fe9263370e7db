//! A run as a whole: what is selected before it, and what came of it after, small enough for the state machine to carry
//! whatever a thousand applications say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::request::{Plan, SnapshotRequest, words_each};
use super::run::SnapshotOutcome;
use crate::deployment::StepError;
use crate::refusal::Refusal;
use crate::verdict::Reason;

/// Things wrong with a request that a summary tells.
const MOST_REFUSALS: usize = 20;

/// What the first step hands on: the applications, and what is done with each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectedRun {
    /// Names of the applications, each once.
    pub applications: Vec<String>,
    /// What is done with each.
    pub plan: Plan,
    /// How many at a time.
    pub concurrency: u32,
    /// How many characters each has to say what came of it.
    pub words: usize,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
}

impl SelectedRun {
    /// The run of this request over these applications.
    pub fn new(request: SnapshotRequest, applications: Vec<String>) -> Self {
        Self {
            words: words_each(&applications),
            applications,
            plan: request.plan,
            concurrency: request.concurrency,
            reason: request.reason,
        }
    }
}

/// What came of one application, as the run carries it: the rest is with the application's own execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShortResult {
    /// Name of the application.
    pub application: String,
    /// What came of it.
    pub outcome: SnapshotOutcome,
    /// Code of the first reason.
    pub code: String,
    /// Why, in words, perhaps cut off.
    pub why: String,
    /// What is worth telling beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// No snapshot failed.
    SnapshotsTaken,
    /// At least one failed.
    SnapshotsFailed,
    /// The request cannot be carried out; nothing was touched.
    Refused,
    /// The applications could not be selected: a step failed for good.
    NeedsAttention,
}

impl std::fmt::Display for RunOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// What came of a run, as `statemachine/snapshot.asl.json` sums it up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// How it ended.
    pub outcome: RunOutcome,
    /// Whether the execution succeeds.
    pub success: bool,
    /// Name of the execution.
    pub execution: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When the outcome was reached.
    pub ended_at: Timestamp,
    /// Name of the snapshots; none where nothing was selected.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Why, in the words of whoever asked.
    #[serde(default)]
    pub reason: Option<String>,
    /// How many applications came to which outcome.
    #[serde(default)]
    pub counts: BTreeMap<SnapshotOutcome, usize>,
    /// The first of those that failed.
    #[serde(default)]
    pub failed: Vec<ShortResult>,
    /// The first of those that were skipped.
    #[serde(default)]
    pub skipped: Vec<ShortResult>,
    /// The first of those that there is something to warn of.
    #[serde(default)]
    pub warnings: Vec<ShortResult>,
    /// What is wrong with the request, if something is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// The step that failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
}

impl RunSummary {
    /// The summary of a request that is refused.
    pub fn refused(execution: &str, mut refusals: Vec<Refusal>, started_at: Timestamp, now: Timestamp) -> Self {
        refusals.truncate(MOST_REFUSALS);
        Self {
            outcome: RunOutcome::Refused,
            success: false,
            execution: execution.to_owned(),
            started_at,
            ended_at: now,
            snapshot: None,
            reason: None,
            counts: BTreeMap::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            refusals,
            error: None,
        }
    }

    /// How many applications came to this outcome.
    pub fn count(&self, outcome: SnapshotOutcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    /// Whether people have to hear of it: something failed, something is to be warned of, or an application that is named
    /// is not there. Other skips are in the order of things.
    pub fn is_worth_telling(&self) -> bool {
        let is_gone = |result: &ShortResult| result.code == "applicationGone";
        !self.success || !self.warnings.is_empty() || self.skipped.iter().any(is_gone)
    }
}

impl std::fmt::Display for RunSummary {
    /// In a sentence or two.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.outcome, &self.error) {
            (RunOutcome::Refused, _) => {
                formatter.write_str("The request for snapshots is refused, and nothing was touched.")?;
                self.refusals.iter().try_for_each(|refusal| write!(formatter, " {refusal}."))
            }
            (RunOutcome::NeedsAttention, Some(error)) => {
                write!(formatter, "No snapshot was taken: {}.", Reason::from(error.clone()))
            }
            (RunOutcome::NeedsAttention | RunOutcome::SnapshotsTaken | RunOutcome::SnapshotsFailed, _) => {
                let count = |outcome| self.count(outcome);
                let taken = count(SnapshotOutcome::Taken);
                let skipped = count(SnapshotOutcome::Skipped);
                write!(formatter, "{taken} taken, {} failed, {skipped} skipped", count(SnapshotOutcome::Failed))?;
                match count(SnapshotOutcome::WouldTake) {
                    0 => formatter.write_str("."),
                    would => write!(formatter, ", {would} would be taken (dry run)."),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
