//! What happened, in order: every call that reached the emulator and every transition that it made. An independent
//! checker judges an execution from this alone, never from what the deployer says of itself; so these are plain types,
//! without the emulator's own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordEntry {
    /// When, in the emulator's clock.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What a [`RecordEntry`] tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A call was answered (the entry's time is that of its arrival).
    Call(Call),
    /// An application's status changed.
    Status {
        /// Name of the application.
        application: String,
        /// Status before; none when the application was just created.
        from: Option<String>,
        /// Status after; none when the application is gone.
        to: Option<String>,
        /// Version id after.
        version: u64,
        /// The operation that did it, by id, where there is one.
        operation_id: Option<String>,
    },
    /// An application has a new version.
    Version {
        /// Name of the application.
        application: String,
        /// Version id before; 0 when the application was just created.
        from: u64,
        /// Version id after.
        to: u64,
        /// What made it: `CreateApplication`, `UpdateApplication`, `RollbackApplication`, …
        cause: String,
        /// Who asked, by access key id; none for the service itself.
        principal: Option<String>,
        /// For a rollback, the version whose configuration came back.
        rolled_back_to: Option<u64>,
    },
    /// A job was submitted and accepted.
    JobStarted(JobStarted),
    /// A job was refused by Flink.
    JobRefused {
        /// Name of the application.
        application: String,
        /// Version that should have run.
        version: u64,
        /// What Flink said.
        error: String,
    },
    /// A job came to its end.
    JobEnded {
        /// Name of the application.
        application: String,
        /// Number of the job, as in [`JobStarted::job`].
        job: u64,
        /// `stoppedWithSnapshot`, `cancelled`, `finished`.
        how: String,
    },
    /// A snapshot is READY.
    SnapshotTaken {
        /// Name of the application.
        application: String,
        /// Name of the snapshot.
        snapshot: String,
        /// Version that ran.
        version: u64,
        /// Number of the job that it was taken of; 0 for one that was planted.
        job: u64,
        /// Whether the service took it by itself.
        automatic: bool,
    },
    /// A snapshot was deleted.
    SnapshotDeleted {
        /// Name of the application.
        application: String,
        /// Name of the snapshot.
        snapshot: String,
    },
    /// An operation came to its end.
    OperationEnded {
        /// Name of the application.
        application: String,
        /// Id of the operation.
        operation_id: String,
        /// Its name, such as `UpdateApplication`.
        operation: String,
        /// `SUCCESSFUL`, `FAILED` or `CANCELLED`.
        status: String,
        /// `ErrorString` of a failed one.
        error: Option<String>,
    },
}

/// A call, as it came and as it was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// `kinesisanalyticsv2`, `flink`, `cloudwatch`, `logs`, `sns`, `events`, `dynamodb`, `states`, `s3` or `emulator`.
    pub service: String,
    /// Name of the operation; for Flink's REST API the path and query without the token.
    pub operation: String,
    /// Access key id that signed the call; for Flink's REST API, the one that asked for the URL.
    pub principal: Option<String>,
    /// Name of the application that it concerns, where there is one.
    pub application: Option<String>,
    /// The request's body as JSON, whatever the protocol writes; null where there is none. Of a call of S3, bucket and key.
    pub request: Value,
    /// HTTP status of the answer; 0 when the connection was reset instead.
    pub status: u16,
    /// Code of the error that was answered.
    pub error: Option<String>,
    /// Whether the operation is one that changes something. (A refused one did not.)
    pub mutating: bool,
    /// Whether it was done: a lost response was done, although it was answered with a failure.
    pub done: bool,
    /// Application's status and version id at arrival.
    pub before: Option<StatusAndVersion>,
    /// Application's status and version id when it was answered.
    pub after: Option<StatusAndVersion>,
}

/// An application's status and version id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAndVersion {
    /// Status, as the service writes it.
    pub status: String,
    /// Version id.
    pub version: u64,
}

impl StatusAndVersion {
    /// Whether the application stands still.
    pub fn is_stopped(&self) -> bool {
        matches!(self.status.as_str(), "READY" | "ROLLED_BACK")
    }
}

/// A job that began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStarted {
    /// Name of the application.
    pub application: String,
    /// Number of the job, unique in an emulator, counted from 1.
    pub job: u64,
    /// Version that it runs.
    pub version: u64,
    /// What started it: `StartApplication`, `UpdateApplication`, `RollbackApplication`, `SystemRollbackApplication`,
    /// `Maintenance`, `Autoscaling`.
    pub cause: String,
    /// Who asked, by access key id; none for the service itself.
    pub principal: Option<String>,
    /// The snapshot that it was restored from; none when it began without state.
    pub restored_from: Option<RestoredFrom>,
    /// Numbers of the jobs whose state it carries on, the oldest first; empty when it began without state.
    pub lineage: Vec<u64>,
}

/// The snapshot that a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredFrom {
    /// Name of the snapshot.
    pub snapshot: String,
    /// Version that ran when it was taken.
    pub version: u64,
    /// Number of the job that it was taken of.
    pub job: u64,
}
