//! Is the data safe: from which snapshot the job runs at the end, what is processed again, and for how long nothing was.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deployment::{Deployment, Rung};
use crate::evidence::{Snapshot, newest_ready};
use crate::request::RestoreType;
use crate::watch::seconds_between;

/// What is noted on the way, to be told at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataNotes {
    /// When the first call began that may have stopped the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When the change was found bad: the moment of the first failing verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_bad_at: Option<Timestamp>,
    /// The version of the application that was found bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_version: Option<u64>,
    /// When the last start or rollback was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
    /// The snapshot that it restores, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<RestoredSnapshot>,
}

/// A snapshot that a job was started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredSnapshot {
    /// Its name.
    pub name: String,
    /// When it was taken, by the service's clock; none where the service does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
}

impl DataNotes {
    /// Whether nothing is noted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Notes what a rung that was just taken restores, by the snapshots that are known.
pub fn note_restore(deployment: &mut Deployment, snapshots: &[Snapshot], now: Timestamp) {
    let newest = || newest_ready(snapshots, None);
    let of_baseline = || newest_ready(snapshots, Some(deployment.baseline.as_ref()?.version));
    let named = |name: &str| {
        let taken_at = snapshots.iter().find(|it| it.name == name).and_then(|it| it.created_at);
        RestoredSnapshot { name: name.to_owned(), taken_at }
    };
    let of = |it: &Snapshot| RestoredSnapshot { name: it.name.clone(), taken_at: it.created_at };
    let restore = &deployment.restore;
    let snapshot = match (deployment.rung, restore.restore_type) {
        (Rung::Stop | Rung::Update | Rung::ForceStop | Rung::PutBack, _) => return,
        (Rung::Start, RestoreType::Skip) => None,
        (Rung::Start, RestoreType::Custom) => restore.snapshot.as_deref().map(named),
        (Rung::Start, RestoreType::Latest) => newest().map(of),
        // By the service's own rollback, the newest of the version that it goes back to.
        (Rung::SystemRollback | Rung::RollBack, _) => of_baseline().or_else(newest).map(of),
        (Rung::StartBack, _) => deployment.restore_from.as_deref().map(named),
    };
    deployment.data.restarted_at = Some(now);
    deployment.data.snapshot = snapshot;
}

/// What has become of the state of the job that runs at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataReport {
    /// In a sentence or two, for people.
    pub summary: String,
    /// The snapshot that the job was started from; none where it is the one that the service took for the update, where
    /// there is none, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<RestoredSnapshot>,
    /// Seconds from that snapshot to the start: the records of that time are processed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_seconds: Option<i64>,
    /// For how many seconds nothing may have been processed, at most: from the first call that stops the job until every
    /// task was seen at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_seconds: Option<i64>,
}

impl DataReport {
    /// Of a deployment that ends with a job of its own making; none where it has made none.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let job = deployment.job.as_ref().filter(|_| deployment.began.is_some())?;
        let notes = &deployment.data;
        let snapshot = if deployment.rung == Rung::Update { None } else { notes.snapshot.clone() };
        let replayed_seconds = snapshot
            .as_ref()
            .and_then(|snapshot| Some(seconds_between(snapshot.taken_at?, notes.restarted_at?).max(0)));
        let down_seconds = notes
            .began_at
            .zip(job.steady_since)
            .map(|(began_at, steady_since)| seconds_between(began_at, steady_since));
        let down_seconds = down_seconds.filter(|seconds| *seconds >= 0 && deployment.was_running());
        let mut sentences = vec![origin(deployment, snapshot.as_ref(), replayed_seconds)];
        sentences.extend(down_seconds.map(|seconds| format!("Nothing was processed for at most {seconds} s.")));
        Some(Self { summary: sentences.join(" "), snapshot, replayed_seconds, down_seconds })
    }
}

/// Where the state comes from, in words.
fn origin(deployment: &Deployment, snapshot: Option<&RestoredSnapshot>, replayed_seconds: Option<i64>) -> String {
    let is_way_back = !matches!(deployment.rung, Rung::Stop | Rung::Update | Rung::Start);
    let written = if is_way_back { " What the bad version has written stays written." } else { "" };
    if let Some(snapshot) = snapshot {
        let again = replayed_seconds
            .map(|seconds| format!(", {seconds} s before the start: the records since are processed again"))
            .unwrap_or_default();
        return format!("The job was started from the snapshot {}{again}.{written}", snapshot.name);
    }
    let restore = &deployment.restore;
    match (deployment.rung, restore.restore_type, &restore.snapshot) {
        (Rung::Update, RestoreType::Latest, _) => {
            "The job goes on from the snapshot that the service took when it stopped it: nothing is lost.".to_owned()
        }
        (Rung::Update, RestoreType::Custom, Some(name)) => {
            format!("The job was started from the snapshot {name}, as asked: the records since are processed again.")
        }
        (Rung::Update | Rung::Start | Rung::StartBack, RestoreType::Skip, _) => {
            format!("The job was started without state, as the request allows.{written}")
        }
        _ => format!("The job was started from the newest snapshot, which is not known here.{written}"),
    }
}

#[cfg(test)]
mod tests;
