//! What came of pruning one application: a document that grows with each step that deletes something, and stays small
//! enough to travel through a state machine however many snapshots there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Deletion, KeepReason, Kept, Plan, QuotaWarning, newest_ready};
use crate::evidence::Snapshot;
use crate::watch::seconds_between;

/// Bytes of each list of snapshots, as JSON: Step Functions carries 262,144 bytes of state, and this is not all of it.
const LARGEST_LIST_BYTES: usize = 30_000;
/// Deletions that failed and are told one by one.
const MOST_FAILURES: usize = 20;
/// Characters of what the service said of one.
const LONGEST_ERROR: usize = 300;

/// The service's deletions are waited for so long from one look to the next.
const ROOM_SECONDS: u32 = 10;
/// And in at most so many steps.
const MOST_STEPS_FOR_ROOM: u32 = 30;

/// Where the state machine goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PruneNext {
    /// Wait, then prune again: something is left.
    Prune,
    /// All is done that can be done.
    End,
}

/// What came of pruning one application, so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneReport {
    /// Name of the application.
    pub application: String,
    /// Where the state machine goes on.
    pub next: PruneNext,
    /// How long to wait before.
    pub wait_seconds: u32,
    /// How many steps there were so far.
    pub steps: u32,
    /// Whether nothing was to be deleted.
    pub dry_run: bool,
    /// Whether there is no such application, or not any more; then all else is empty.
    pub is_gone: bool,
    /// The execution of a deployment that is under way, for the sake of which nothing, or nothing more, was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Snapshots at the beginning, whatever their status.
    pub snapshots: usize,
    /// Snapshots whose deletion has begun, or that were gone already.
    pub deleted: usize,
    /// Snapshots that are to be deleted still, those that failed included; in a dry run all that would go.
    pub left: usize,
    /// Deletions of the last step that failed.
    pub failed: usize,
    /// How many of the snapshots that stay have this reason to; one may have several.
    pub kept_because: BTreeMap<KeepReason, usize>,
    /// By how many snapshots the room that was asked for cannot be made.
    pub room_lacking: usize,
    /// Where the snapshots at the beginning come near the quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<QuotaWarning>,
    /// The newest READY snapshot; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_ready: Option<NewestReady>,
    /// The snapshots that were deleted, or would be; as many of them as there is room for here.
    pub goes: Vec<Told>,
    /// The snapshots that stay, in a dry run only; as many of them as there is room for here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<Told>,
    /// Snapshots that belong into one of these lists and are left out.
    pub left_out: usize,
    /// Deletions of the last step that failed, the first few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// The newest READY snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewestReady {
    /// Its name.
    pub snapshot: String,
    /// Its age, in seconds; none where the service shows no creation time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}

/// A snapshot, and why it goes or stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Its name.
    pub snapshot: String,
    /// The application's version that it was taken of.
    pub version: u64,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Why.
    pub why: String,
}

/// A deletion that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Name of the snapshot.
    pub snapshot: String,
    /// What the service said.
    pub error: String,
}

impl PruneReport {
    /// Of an application that does not exist.
    pub fn gone(application: impl Into<String>, dry_run: bool) -> Self {
        Self {
            application: application.into(),
            next: PruneNext::End,
            wait_seconds: 0,
            steps: 0,
            dry_run,
            is_gone: true,
            deployment: None,
            snapshots: 0,
            deleted: 0,
            left: 0,
            failed: 0,
            kept_because: BTreeMap::new(),
            room_lacking: 0,
            warning: None,
            newest_ready: None,
            goes: Vec::new(),
            stays: Vec::new(),
            left_out: 0,
            failures: Vec::new(),
        }
    }

    /// At the beginning of a step, which goes on from where the one before it came to.
    pub fn begin(
        application: impl Into<String>,
        dry_run: bool,
        snapshots: &[Snapshot],
        plan: &Plan,
        before: Option<Self>,
        now: Timestamp,
    ) -> Self {
        let first = Self {
            is_gone: false,
            snapshots: snapshots.len(),
            warning: QuotaWarning::of(snapshots.len()),
            ..Self::gone(application, dry_run)
        };
        let mut report = Self {
            next: PruneNext::End,
            wait_seconds: 0,
            deployment: None,
            left: plan.delete.len(),
            failed: 0,
            kept_because: BTreeMap::new(),
            newest_ready: newest_ready(snapshots).map(|snapshot| NewestReady {
                snapshot: snapshot.name.clone(),
                age_seconds: snapshot.created_at.map(|at| seconds_between(at, now).try_into().unwrap_or_default()),
            }),
            failures: Vec::new(),
            ..before.unwrap_or(first)
        };
        report.steps += 1;
        for reason in plan.keep.iter().flat_map(|kept| &kept.reasons) {
            *report.kept_because.entry(*reason).or_default() += 1;
        }
        report
    }

    /// Tells of a dry run what would be done.
    pub fn tell(&mut self, plan: &Plan) {
        let goes = plan.delete.iter().map(Told::from);
        self.left_out += fill(&mut self.goes, goes);
        let stays = plan.keep.iter().map(Told::from);
        self.left_out += fill(&mut self.stays, stays);
    }

    /// Notes a snapshot whose deletion has begun, or that was gone already.
    pub fn delete(&mut self, deletion: &Deletion) {
        self.deleted += 1;
        self.left = self.left.saturating_sub(1);
        self.left_out += fill(&mut self.goes, [Told::from(deletion)]);
    }

    /// Notes a snapshot that could not be deleted.
    pub fn fail(&mut self, deletion: &Deletion, error: &str) {
        self.failed += 1;
        if self.failures.len() < MOST_FAILURES {
            let error = error.chars().take(LONGEST_ERROR).collect();
            self.failures.push(Failure { snapshot: deletion.snapshot.name.clone(), error });
        }
    }

    /// Something is left to another step, after so many seconds.
    pub fn go_on(&mut self, wait_seconds: u32) {
        self.next = PruneNext::Prune;
        self.wait_seconds = wait_seconds;
    }

    /// Waits for the service to be done with deletions that make room, unless there is no hope of it.
    pub fn wait_for_room(&mut self) {
        let is_hopeless = self.room_lacking > 0 || self.deployment.is_some() || self.steps >= MOST_STEPS_FOR_ROOM;
        if self.next == PruneNext::End && !is_hopeless {
            self.go_on(ROOM_SECONDS);
        }
    }
}

/// Adds as many as there is room for, and returns how many there was none for.
fn fill(list: &mut Vec<Told>, more: impl IntoIterator<Item = Told>) -> usize {
    let mut bytes: usize = list.iter().map(Told::bytes).sum();
    let mut left_out = 0;
    for told in more {
        bytes += told.bytes();
        if bytes <= LARGEST_LIST_BYTES {
            list.push(told);
        } else {
            left_out += 1;
        }
    }
    left_out
}

impl Told {
    /// At most so many bytes as JSON: names of snapshots and our own words hold nothing that is written longer there.
    fn bytes(&self) -> usize {
        const MEMBERS: usize = 120;
        MEMBERS + self.snapshot.len() + self.why.len()
    }
}

impl From<&Deletion> for Told {
    fn from(deletion: &Deletion) -> Self {
        Self::of(&deletion.snapshot, deletion.reason.to_string())
    }
}

impl From<&Kept> for Told {
    fn from(kept: &Kept) -> Self {
        let why = kept.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self::of(&kept.snapshot, why)
    }
}

impl Told {
    fn of(snapshot: &Snapshot, why: String) -> Self {
        Self { snapshot: snapshot.name.clone(), version: snapshot.version, created_at: snapshot.created_at, why }
    }
}

#[cfg(test)]
mod tests;
