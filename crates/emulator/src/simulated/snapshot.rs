//! What a snapshot of a simulated job holds: where its state comes from and how far it had got, so that a checker can tell
//! a snapshot of another lineage, and how many records a restore lost or will process once more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::data_plane::SnapshotHandle;
use crate::simulated::behaviour::JobFault;

/// A snapshot of a simulated job; its handle is this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Name of the application that it was taken of.
    pub application: String,
    /// Version of the application whose job it was taken of.
    pub version: u64,
    /// Runtime of that job, such as `FLINK-1_20`.
    pub runtime: String,
    /// Number of the snapshot, from 1, over all applications of the data plane.
    pub sequence: u64,
    /// Flink's number of it among the job's checkpoints.
    pub checkpoint_id: u64,
    /// The job that it was taken of.
    pub job_id: String,
    /// Records that the state accounts for, all jobs of its lineage together.
    pub records: u64,
    /// Size, in bytes.
    pub size_bytes: u64,
    /// When it was complete.
    pub taken_at: Timestamp,
    /// Which application version processed how many of the records, oldest first.
    pub lineage: Vec<Contribution>,
    /// What the code that wrote the state had changed about it; the same code can restore it.
    pub changes: Vec<JobFault>,
}

/// The records that one job of a lineage processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Application version of the job.
    pub version: u64,
    /// Records from its start to the snapshot.
    pub records: u64,
}

impl Snapshot {
    /// Reads a handle; none for a handle of another data plane.
    pub fn of_handle(handle: &SnapshotHandle) -> Option<Self> {
        serde_json::from_str(handle).ok()
    }

    /// Whether it holds state from before this change of the code's state.
    pub(super) fn is_from_before(&self, change: JobFault) -> bool {
        !self.changes.contains(&change)
    }

    pub(super) fn to_handle(&self) -> SnapshotHandle {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    pub(super) fn path(&self) -> String {
        let job: String = self.job_id.chars().take(6).collect();
        format!("file:/savepoints/savepoint-{job}-{:012x}", self.sequence)
    }
}
