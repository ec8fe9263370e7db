//! What runs behind the emulated service: the jobs themselves. The control plane (statuses, versions, operations,
//! snapshots' names) is the same whichever data plane is behind it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

/// A copy of an application's code, as the service keeps one per application version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeObject {
    /// Name of the bucket that it was copied from.
    pub bucket: String,
    /// Key of the object in the bucket.
    pub key: String,
    /// S3 version of the object, where the bucket keeps versions.
    pub object_version: Option<String>,
    /// The object: a JAR or ZIP, or for the simulated data plane a JSON behaviour.
    pub content: Bytes,
}

/// A snapshot as the data plane keeps it: whatever it needs to restore from it (a savepoint's path, simulated state).
pub type SnapshotHandle = Arc<str>;

/// What to run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Name of the application.
    pub application: String,
    /// Version of the application's configuration that this job runs.
    pub version: u64,
    /// The service's runtime name, such as `FLINK-1_20`.
    pub runtime: String,
    /// The code.
    pub code: CodeObject,
    /// Parallelism of the job.
    pub parallelism: u32,
    /// Interval between checkpoints; none when checkpointing is off.
    pub checkpoint_interval: Option<Duration>,
    /// Runtime properties: group → key → value.
    pub properties: BTreeMap<String, BTreeMap<String, String>>,
    /// The snapshot to restore from; none starts without state.
    pub restore_from: Option<SnapshotHandle>,
    /// Whether state that belongs to no operator may be dropped.
    pub allow_non_restored_state: bool,
}

/// Why the data plane could not do what it was asked; the text becomes the operation's `ErrorString`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPlaneError(pub String);

/// An answer of Flink's REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestResponse {
    /// HTTP status.
    pub status: u16,
    /// Body, JSON.
    pub body: Bytes,
}

/// The job as the service sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Running, restarting, initializing: not ended.
    Active,
    /// A bounded job that came to its end.
    Finished,
    /// Ended in failure: no further restart follows.
    Failed,
}

/// Counters of the current job submission, cumulative since that submission, as the service's metrics report them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobMetrics {
    /// `fullRestarts` on Flink 1.x, `numRestarts` from 2.x.
    pub restarts: u64,
    /// `numberOfFailedCheckpoints`.
    pub failed_checkpoints: u64,
    /// `numberOfCompletedCheckpoints`.
    pub completed_checkpoints: u64,
    /// `lastCheckpointDuration`, in milliseconds.
    pub last_checkpoint_duration_ms: u64,
    /// `lastCheckpointSize`, in bytes.
    pub last_checkpoint_size_bytes: u64,
    /// How long the job has been up, in milliseconds; 0 while it is not.
    pub uptime_ms: u64,
    /// How long the job has been down, in milliseconds; 0 while it runs, -1 once it is complete.
    pub downtime_ms: i64,
}

/// One entry of a job's log, written by the job or by Flink about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was written; none stands for now.
    pub at: Option<Timestamp>,
    /// Version of the application's configuration that the job runs.
    pub version: u64,
    /// `ERROR`, `WARN`, `INFO` or `DEBUG`.
    pub level: String,
    /// Name of the logger, a class as a rule.
    pub logger: String,
    /// Name of the thread.
    pub thread: String,
    /// Where in the code it was written, as `class.method(File.java:1)`; may be empty.
    pub location: String,
    /// The message, without the stack trace.
    pub message: String,
    /// The stack trace, as Java prints it.
    pub throwable: Option<String>,
}

/// Takes the entries of the jobs' logs. Must not call the data plane.
pub trait LogSink: Debug + Send + Sync {
    /// Takes an entry of the application's job.
    fn write(&self, application: &str, record: LogRecord);
}

/// Runs the jobs of the emulated applications, at most one job per application.
#[async_trait]
pub trait DataPlane: Debug + Send + Sync {
    /// Makes ready what can be made ready while an old job still runs (the service prepares the new cluster first).
    async fn prepare(&self, spec: &JobSpec) -> Result<(), DataPlaneError>;

    /// Submits the job; ends when Flink accepted or refused it, not when it is healthy. A failed `start` leaves no job.
    async fn start(&self, spec: &JobSpec) -> Result<(), DataPlaneError>;

    /// Takes a snapshot of the running job and goes on.
    async fn snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError>;

    /// Takes a snapshot and stops the job. When it fails, the job keeps running.
    async fn stop_with_snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError>;

    /// Stops the job at once, without a snapshot; no job is no error.
    async fn cancel(&self, application: &str);

    /// The job's state; none when there is none.
    async fn job_state(&self, application: &str) -> Option<JobState>;

    /// Counters of the job; none when there is no job.
    async fn metrics(&self, application: &str) -> Option<JobMetrics>;

    /// Answers a GET of Flink's REST API; `path_and_query` begins with `/` and carries no token.
    async fn rest(&self, application: &str, path_and_query: &str) -> RestResponse;

    /// Loses a TaskManager of the application, as a machine that dies would.
    async fn lose_task_manager(&self, application: &str);

    /// Sends what the jobs log to `sink` from now on, in place of the one before. A data plane whose jobs log nothing
    /// has nothing to send.
    fn send_log_to(&self, _sink: Arc<dyn LogSink>) {}

    /// Deletes what is kept of a snapshot.
    async fn discard_snapshot(&self, snapshot: &SnapshotHandle);

    /// Ends everything that this data plane runs.
    async fn shut_down(&self);
}
