//! What is done with one application: a document that travels through `statemachine/snapshot-application.asl.json`, and
//! the decisions on it. Nothing is done to an application before everything that speaks against it was asked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cause::{FailureLook, likely_causes};
use super::request::{Blackout, Plan};
use crate::evidence::{Application, Snapshot};
use crate::status::{ApplicationStatus, JobState, SnapshotStatus};
use crate::turn::name_in;
use crate::watch::seconds_between;

/// From the beginning of a snapshot to the first look at it.
const FIRST_LOOK_SECONDS: u32 = 15;
/// So long after its beginning a snapshot may not be shown yet: what the service tells may be a little old.
const NOT_YET_SHOWN_SECONDS: i64 = 60;
/// The shortest wait between two looks.
const SHORTEST_WAIT_SECONDS: i64 = 10;
/// The longest.
const LONGEST_WAIT_SECONDS: i64 = 60;
/// While the application takes no snapshot because it is at work on something.
const BUSY_SECONDS: u32 = 30;
/// Longest words of the service that are carried along, in characters.
const LONGEST_ERROR: usize = 300;

/// Where the state machine goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotNext {
    /// To take the snapshot, after a while.
    WaitToTake,
    /// To look at the snapshot, after a while.
    WaitForSnapshot,
    /// To delete snapshots that may go, so that there is room, and then to take the snapshot.
    MakeRoom,
    /// To delete what the retention does not keep. There is a result.
    Prune,
    /// To the end. There is a result.
    End,
}

/// What came of the snapshot of one application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SnapshotOutcome {
    /// It is READY.
    Taken,
    /// Nothing speaks against it; a dry run takes none.
    WouldTake,
    /// None is to be taken now.
    Skipped,
    /// It could not be taken.
    Failed,
}

impl std::fmt::Display for SnapshotOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// Why it came so, with the facts that it rests on. The texts carry no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields of a case are the facts that its sentence speaks of")]
pub enum SnapshotReason {
    /// The snapshot is READY.
    Ready { seconds: i64 },
    /// Nothing speaks against a snapshot.
    NothingAgainst,
    /// The application does not run.
    NotRunning { status: ApplicationStatus },
    /// The application is not one of Flink's.
    NotFlink { runtime: String },
    /// The application has snapshots disabled.
    SnapshotsDisabled,
    /// A deployment of ours is under way.
    DeploymentUnderWay { execution: String },
    /// No snapshot is begun at this time of the day.
    Blackout { blackout: Blackout },
    /// There is no such application, or not any more.
    ApplicationGone,
    /// The snapshot of this time was taken before.
    TakenAlready,
    /// The service says FAILED.
    SnapshotFailed { seconds: i64 },
    /// The service still says CREATING.
    StuckInCreating { seconds: i64 },
    /// Somebody deleted the snapshot while it was taken.
    SnapshotDeleted,
    /// The service gave the snapshot a status that this code does not know.
    UnknownStatus { status: String },
    /// The service refused to take one.
    Refused { error: String },
    /// The service was at work on something else until the time was over.
    StillBusy { seconds: i64, error: String },
    /// We may not take one.
    AccessDenied { error: String },
    /// The application has as many snapshots as it may have.
    QuotaReached { may_prune: bool },
    /// A step of the state machine failed for good.
    StepFailed { state: String, error: String },
    /// Likely cause: the application left RUNNING meanwhile.
    LeftRunning { status: ApplicationStatus },
    /// Likely cause: the job itself is not well.
    JobNotWell { state: JobState, tasks: String, failure: Option<String> },
    /// Likely cause: back pressure holds the barriers up.
    LikelyBackpressure { evidence: String },
    /// Likely cause: the state is too large for the time.
    LikelyStateSize { evidence: String },
    /// Likely cause: the application may not write where its state goes, or use its key.
    LikelyPermissions { evidence: String },
    /// Likely cause: the network to where the state goes.
    LikelyNetwork { evidence: String },
    /// Likely cause: permissions or the network, which cannot be told apart.
    LikelyStorage { evidence: String },
    /// What could be read explains nothing.
    CauseUnknown { evidence: String },
    /// What would explain it could not be read.
    CauseUnreadable { what: String, why: String },
}

impl std::fmt::Display for SnapshotReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready { seconds } => write!(f, "READY after {seconds} s"),
            Self::NothingAgainst => f.write_str("nothing speaks against it; a dry run takes none"),
            Self::NotRunning { status } => write!(f, "the application is {status}, not RUNNING"),
            Self::NotFlink { runtime } => write!(f, "{runtime} has no snapshots"),
            Self::SnapshotsDisabled => f.write_str("the application has snapshots disabled"),
            Self::DeploymentUnderWay { execution } => write!(f, "a deployment is under way ({execution})"),
            Self::Blackout { blackout } => write!(f, "no snapshot from {blackout}"),
            Self::ApplicationGone => f.write_str("there is no such application, or not any more"),
            Self::TakenAlready => f.write_str("the snapshot of this time was taken before"),
            Self::SnapshotFailed { seconds } => write!(f, "the snapshot FAILED after {seconds} s"),
            Self::StuckInCreating { seconds } => write!(f, "still CREATING after {seconds} s"),
            Self::SnapshotDeleted => f.write_str("somebody deleted the snapshot while it was taken"),
            Self::UnknownStatus { status } => write!(f, "the snapshot has the unknown status {status}"),
            Self::Refused { error } => write!(f, "the service refused it: {error}"),
            Self::StillBusy { seconds, error } => write!(f, "not begun within {seconds} s: {error}"),
            Self::AccessDenied { error } => write!(f, "this tool may not take it: {error}"),
            Self::QuotaReached { may_prune: true } => {
                f.write_str("the quota of snapshots is used up, and none of ours may be deleted")
            }
            Self::QuotaReached { may_prune: false } => {
                f.write_str("the quota of snapshots is used up; with `retention`, old ones of ours would go")
            }
            Self::StepFailed { state, error } => write!(f, "the step {state} failed with {error}"),
            Self::LeftRunning { status } => write!(f, "the application is {status}: it left RUNNING meanwhile"),
            Self::JobNotWell { state, tasks, failure: None } => write!(f, "the job is not well: {state}, {tasks}"),
            Self::JobNotWell { state, tasks, failure: Some(failure) } => {
                write!(f, "the job is not well: {state}, {tasks}; first failure: {failure}")
            }
            Self::LikelyBackpressure { evidence } => write!(f, "likely back pressure: {evidence}"),
            Self::LikelyStateSize { evidence } => write!(f, "likely the size of the state: {evidence}"),
            Self::LikelyPermissions { evidence } => write!(f, "likely permissions: {evidence}"),
            Self::LikelyNetwork { evidence } => write!(f, "likely the network: {evidence}"),
            Self::LikelyStorage { evidence } => {
                write!(f, "likely permissions on, or the network to, where the state is written: {evidence}")
            }
            Self::CauseUnknown { evidence } => write!(f, "the cause does not show: {evidence}"),
            Self::CauseUnreadable { what, why } => {
                write!(f, "the cause does not show: {what} could not be read: {why}")
            }
        }
    }
}

/// The reasons in one line.
pub fn in_words(reasons: &[SnapshotReason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What came of the snapshot of one application: the output of its execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotResult {
    /// Name of the application.
    pub application: String,
    /// Name of the snapshot.
    pub snapshot: String,
    /// What came of it.
    pub outcome: SnapshotOutcome,
    /// Why, the most important first; never empty.
    pub because: Vec<SnapshotReason>,
    /// The same in words.
    pub why: String,
}

/// The document of one application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRun {
    /// Name of the application.
    pub application: String,
    /// What is to be done.
    pub plan: Plan,
    /// When the execution began; none before its first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when the snapshot is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// Whether room was made already.
    #[serde(default)]
    pub room_made: bool,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SnapshotNext>,
    /// How long to wait before that.
    #[serde(default)]
    pub wait_seconds: u32,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SnapshotResult>,
}

/// Why the service did not begin a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The application is at work on something else.
    Busy,
    /// There are as many as there may be.
    LimitExceeded,
    /// We may not.
    AccessDenied,
    /// Anything else.
    Other,
}

impl SnapshotRun {
    /// A run that has not begun.
    pub fn new(application: impl Into<String>, plan: Plan) -> Self {
        Self {
            application: application.into(),
            plan,
            started_at: None,
            began_at: None,
            room_made: false,
            next: None,
            wait_seconds: 0,
            result: None,
        }
    }

    /// Notes when the execution began; with the first step.
    pub fn begin(&mut self, execution_started_at: Timestamp) {
        self.started_at.get_or_insert(execution_started_at);
    }

    /// Skips it in a blackout; true if so.
    pub fn skip_in_blackout(&mut self, now: Timestamp) -> bool {
        let blackout = self.plan.blackouts.iter().copied().find(|blackout| blackout.contains(now));
        blackout.is_some_and(|blackout| self.skip(SnapshotReason::Blackout { blackout }))
    }

    /// Skips an application that can have no snapshot now; true if so.
    pub fn skip_application(&mut self, application: Option<&Application>) -> bool {
        let reason = match application {
            None => Some(SnapshotReason::ApplicationGone),
            Some(application) if !application.runtime.starts_with("FLINK-") => {
                Some(SnapshotReason::NotFlink { runtime: application.runtime.clone() })
            }
            Some(application) if application.status != ApplicationStatus::Running => {
                Some(SnapshotReason::NotRunning { status: application.status.clone() })
            }
            Some(application) if !application.snapshots_enabled => Some(SnapshotReason::SnapshotsDisabled),
            Some(_) => None,
        };
        reason.is_some_and(|reason| self.skip(reason))
    }

    /// Skips an application whose turn the execution of this ARN has; true if so.
    pub fn skip_under_deployment(&mut self, execution: Option<&str>) -> bool {
        execution.map(name_in).is_some_and(|execution| self.skip(SnapshotReason::DeploymentUnderWay { execution }))
    }

    /// Takes in a snapshot of this name that exists; true if so. One that is being taken is waited for.
    pub fn adopt(&mut self, snapshot: Option<&Snapshot>, now: Timestamp) -> bool {
        let Some(snapshot) = snapshot else { return false };
        if self.is_taken_before(snapshot) {
            self.skip(SnapshotReason::TakenAlready);
        } else {
            self.taking(snapshot.created_at.unwrap_or(now), now);
            if snapshot.status != SnapshotStatus::Creating {
                // What it is will not change: no need to wait before the look that says so.
                self.wait_seconds = 1;
            }
        }
        true
    }

    /// A READY snapshot that was there before this execution began. One that is younger is this execution's own, of which
    /// the answer was lost.
    fn is_taken_before(&self, snapshot: &Snapshot) -> bool {
        let is_older = snapshot.created_at.zip(self.started_at).is_none_or(|(created, started)| created < started);
        snapshot.status == SnapshotStatus::Ready && is_older
    }

    /// Ends a dry run.
    pub fn would_take(&mut self) {
        self.end(SnapshotOutcome::WouldTake, vec![SnapshotReason::NothingAgainst]);
        self.go_on(SnapshotNext::Prune, 0);
    }

    /// The service takes the snapshot, since this moment.
    pub fn taking(&mut self, since: Timestamp, now: Timestamp) {
        self.began_at = Some(since);
        let left = self.seconds_left(now).max(1);
        self.go_on(SnapshotNext::WaitForSnapshot, FIRST_LOOK_SECONDS.min(left));
    }

    /// The service did not take the snapshot.
    pub fn not_taken(&mut self, why: NotTaken, error: &str, now: Timestamp) {
        let error = shortened(error);
        let reason = match why {
            NotTaken::Busy if self.seconds_left(now) > 0 => {
                return self.go_on(SnapshotNext::WaitToTake, BUSY_SECONDS.min(self.seconds_left(now)));
            }
            NotTaken::Busy => SnapshotReason::StillBusy { seconds: self.seconds_since_start(now), error },
            NotTaken::LimitExceeded if !self.plan.retention.dry_run && !self.room_made => {
                self.room_made = true;
                return self.go_on(SnapshotNext::MakeRoom, 0);
            }
            NotTaken::LimitExceeded => SnapshotReason::QuotaReached { may_prune: !self.plan.retention.dry_run },
            NotTaken::AccessDenied => SnapshotReason::AccessDenied { error },
            NotTaken::Other => SnapshotReason::Refused { error },
        };
        self.fail(vec![reason]);
    }

    /// Takes in a look at the snapshot. Returns whether a closer look is needed, to [explain](Self::explain) why it is not
    /// READY.
    pub fn look_at(&mut self, snapshot: Option<&Snapshot>, now: Timestamp) -> bool {
        let seconds = self.began_at.map_or(0, |began| seconds_between(began, now));
        let failed = match snapshot.map(|snapshot| &snapshot.status) {
            Some(SnapshotStatus::Ready) => {
                self.end(SnapshotOutcome::Taken, vec![SnapshotReason::Ready { seconds }]);
                self.go_on(SnapshotNext::Prune, 0);
                return false;
            }
            None if seconds < NOT_YET_SHOWN_SECONDS && self.seconds_left(now) > 0 => {
                self.go_on(SnapshotNext::WaitForSnapshot, FIRST_LOOK_SECONDS.min(self.seconds_left(now)));
                return false;
            }
            Some(SnapshotStatus::Creating) if self.seconds_left(now) > 0 => {
                let wait = (seconds / 3).clamp(SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS);
                let wait = u32::try_from(wait).unwrap_or(BUSY_SECONDS).min(self.seconds_left(now));
                self.go_on(SnapshotNext::WaitForSnapshot, wait);
                return false;
            }
            Some(SnapshotStatus::Creating) => SnapshotReason::StuckInCreating { seconds },
            Some(SnapshotStatus::Failed) => SnapshotReason::SnapshotFailed { seconds },
            Some(SnapshotStatus::Deleting) | None => SnapshotReason::SnapshotDeleted,
            Some(SnapshotStatus::Unknown(status)) => SnapshotReason::UnknownStatus { status: status.clone() },
        };
        self.fail(vec![failed]);
        true
    }

    /// Adds the likely cause of a snapshot that is not READY, from what a closer look shows.
    pub fn explain(&mut self, look: &FailureLook) {
        if matches!(look.application, Ok(None)) {
            // Gone, and its snapshots with it: nothing has failed.
            self.skip(SnapshotReason::ApplicationGone);
            return;
        }
        let Some(mut because) = self.result.take().map(|result| result.because) else { return };
        if !matches!(because.first(), Some(SnapshotReason::SnapshotDeleted)) {
            because.push(likely_causes(look, self.began_at));
        }
        self.fail(because);
    }

    fn skip(&mut self, reason: SnapshotReason) -> bool {
        // The step that prunes measures how old the newest snapshot is, which is worth knowing of what runs.
        let runs = matches!(
            reason,
            SnapshotReason::TakenAlready
                | SnapshotReason::SnapshotsDisabled
                | SnapshotReason::DeploymentUnderWay { .. }
        );
        self.end(SnapshotOutcome::Skipped, vec![reason]);
        self.go_on(if runs { SnapshotNext::Prune } else { SnapshotNext::End }, 0);
        true
    }

    fn fail(&mut self, because: Vec<SnapshotReason>) {
        self.end(SnapshotOutcome::Failed, because);
        self.go_on(SnapshotNext::Prune, 0);
    }

    fn end(&mut self, outcome: SnapshotOutcome, because: Vec<SnapshotReason>) {
        self.result = Some(SnapshotResult {
            application: self.application.clone(),
            snapshot: self.plan.snapshot.clone(),
            outcome,
            why: in_words(&because),
            because,
        });
    }

    fn go_on(&mut self, next: SnapshotNext, wait_seconds: u32) {
        self.next = Some(next);
        self.wait_seconds = wait_seconds;
    }

    fn seconds_since_start(&self, now: Timestamp) -> i64 {
        self.started_at.map_or(0, |started| seconds_between(started, now))
    }

    /// Until the deadline; 0 once it has passed.
    fn seconds_left(&self, now: Timestamp) -> u32 {
        u32::try_from(i64::from(self.plan.timeout_seconds) - self.seconds_since_start(now)).unwrap_or_default()
    }
}

/// The service's words, as far as a person would read them.
pub(super) fn shortened(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().take(LONGEST_ERROR).collect();
    if line.len() < text.len() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests;
