//! The likely cause of a snapshot that fails, or is stuck: the service gives none. What Flink tells of the job and of its
//! checkpoints, which go the same way as a snapshot, is all the evidence there is. The cause is called likely, and the
//! evidence is told with it, so that a person may judge otherwise.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::run::{SnapshotReason, shortened};
use crate::evidence::{Application, Job, Observed};
use crate::status::{ApplicationStatus, JobState};

/// State of which the size alone makes a snapshot slow: at 50 MB a second it takes more than three minutes.
const LARGE_STATE_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// A checkpoint that takes longer is held up by something: the service's default is one a minute.
const SLOW_CHECKPOINT_SECONDS: u64 = 60;

/// Flink's clock may be so far behind Step Functions'.
const CLOCK_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// Words of Flink's, AWS's and Java's by which a failure to write is told, in lower case.
const PERMISSION_WORDS: [&str; 7] =
    ["accessdenied", "access denied", "not authorized", "forbidden", "permission", "kms", "status code: 403"];
const NETWORK_WORDS: [&str; 8] = [
    "unknownhost",
    "connection refused",
    "connection reset",
    "connect timed out",
    "read timed out",
    "sockettimeout",
    "noroutetohost",
    "unable to execute http request",
];
const STORAGE_WORDS: [&str; 2] = ["io-problem", "ioexception"];
const EXPIRED_WORDS: [&str; 1] = ["expired before completing"];

/// A checkpoint that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedCheckpoint {
    /// When it was triggered, by Flink's clock.
    pub triggered_at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Size of the state in it, in bytes.
    pub bytes: u64,
}

/// A checkpoint that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheckpoint {
    /// When it failed, by Flink's clock.
    pub failed_at: Timestamp,
    /// Why, in Flink's words, without secrets.
    pub message: String,
}

/// The job's checkpoints, snapshots among them, since it was submitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStatistics {
    /// How many failed.
    pub failed: u64,
    /// The last that is complete.
    pub last_completed: Option<CompletedCheckpoint>,
    /// The last that failed.
    pub last_failed: Option<FailedCheckpoint>,
}

/// A closer look at an application of which a snapshot is not READY as it should be.
#[derive(Debug, Clone)]
pub struct FailureLook {
    /// The application; none once it is deleted.
    pub application: Observed<Option<Application>>,
    /// Its job; none where Flink has none. Not read where the application does not run.
    pub job: Option<Observed<Option<Job>>>,
    /// Its checkpoints. Not read where the application does not run.
    pub checkpoints: Option<Observed<Option<CheckpointStatistics>>>,
}

/// The likely cause, by what speaks loudest: where the application is, how the job is, what Flink says of a checkpoint that
/// failed since `began_at`, and what the last one that is complete took.
pub fn likely_causes(look: &FailureLook, began_at: Option<Timestamp>) -> SnapshotReason {
    let unreadable = |unreadable: &crate::evidence::Unreadable| SnapshotReason::CauseUnreadable {
        what: unreadable.what.clone(),
        why: shortened(&unreadable.why),
    };
    match &look.application {
        Err(error) => return unreadable(error),
        Ok(None) => return SnapshotReason::ApplicationGone,
        Ok(Some(application)) if application.status != ApplicationStatus::Running => {
            return SnapshotReason::LeftRunning { status: application.status.clone() };
        }
        Ok(Some(_)) => {}
    }
    let checkpoints = match &look.checkpoints {
        Some(Ok(Some(checkpoints))) => Some(checkpoints),
        Some(Ok(None) | Err(_)) | None => None,
    };
    let failed = checkpoints.and_then(|checkpoints| checkpoints.last_failed.as_ref());
    let failed = failed.filter(|failed| began_at.is_none_or(|began| failed.failed_at >= began - CLOCK_GRACE));
    if let Some(cause) = failed.and_then(|failed| told_by(&failed.message)) {
        return cause;
    }
    if let Some(Ok(job)) = &look.job
        && let Some(cause) = job_not_well(job.as_ref())
    {
        return cause;
    }
    if let Some(cause) = checkpoints.and_then(|checkpoints| slow(checkpoints, failed)) {
        return cause;
    }
    match (&look.job, &look.checkpoints) {
        (Some(Err(error)), _) | (_, Some(Err(error))) => unreadable(error),
        _ => SnapshotReason::CauseUnknown { evidence: facts(checkpoints, failed) },
    }
}

/// What Flink's words for a failed checkpoint tell of its cause, if anything.
fn told_by(message: &str) -> Option<SnapshotReason> {
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let evidence = || format!("Flink says: {}", shortened(message));
    if says(&PERMISSION_WORDS) {
        Some(SnapshotReason::LikelyPermissions { evidence: evidence() })
    } else if says(&NETWORK_WORDS) {
        Some(SnapshotReason::LikelyNetwork { evidence: evidence() })
    } else if says(&STORAGE_WORDS) {
        Some(SnapshotReason::LikelyStorage { evidence: evidence() })
    } else {
        None
    }
}

fn job_not_well(job: Option<&Job>) -> Option<SnapshotReason> {
    let Some(job) = job else {
        let state = JobState::Unknown("none".to_owned());
        return Some(SnapshotReason::JobNotWell { state, tasks: "Flink shows no job".to_owned(), failure: None });
    };
    let is_well = job.state == JobState::Running && job.tasks.are_all_at_work();
    let failure = || job.failure.as_ref().map(|failure| shortened(&failure.to_string()));
    (!is_well).then(|| SnapshotReason::JobNotWell {
        state: job.state.clone(),
        tasks: job.tasks.to_string(),
        failure: failure(),
    })
}

/// Checkpoints that are slow, or expire, tell of state that is too large, or else of back pressure.
fn slow(checkpoints: &CheckpointStatistics, failed: Option<&FailedCheckpoint>) -> Option<SnapshotReason> {
    let has_expired = failed.is_some_and(|failed| {
        let lower = failed.message.to_lowercase();
        EXPIRED_WORDS.iter().any(|word| lower.contains(word))
    });
    let last = checkpoints.last_completed;
    let is_slow = last.is_some_and(|last| last.seconds >= SLOW_CHECKPOINT_SECONDS);
    let evidence = facts(Some(checkpoints), failed);
    let is_large = last.is_some_and(|last| last.bytes >= LARGE_STATE_BYTES);
    match (is_slow || has_expired, is_large) {
        (true, true) => Some(SnapshotReason::LikelyStateSize { evidence }),
        (true, false) => Some(SnapshotReason::LikelyBackpressure { evidence }),
        (false, _) => None,
    }
}

/// What is known of the checkpoints, in words.
fn facts(checkpoints: Option<&CheckpointStatistics>, failed: Option<&FailedCheckpoint>) -> String {
    let Some(checkpoints) = checkpoints else { return "nothing is known of the job's checkpoints".to_owned() };
    let last = match checkpoints.last_completed {
        Some(last) => format!("the last complete checkpoint took {} s for {}", last.seconds, size(last.bytes)),
        None => "no checkpoint is complete since the job was submitted".to_owned(),
    };
    match failed {
        Some(failed) => format!("{last}; one failed since the snapshot began: {}", shortened(&failed.message)),
        None => format!("{last}; none is known to have failed since the snapshot began"),
    }
}

/// A number of bytes as a person reads it.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests;
