//! What is known of an application at one moment, as the crate `managed-flink` reads it. Evidence says what was seen, and
//! nothing about what it means.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::{Kind, Trace};
use crate::status::{ApplicationStatus, JobState, OperationStatus, SnapshotStatus};

/// What was read, or why it could not be.
pub type Observed<T> = Result<T, Unreadable>;

/// Why a piece of evidence could not be read. It is never a sign of health, and never by itself one of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What was looked for, such as `the job` or `CloudWatch metrics`.
    pub what: String,
    /// Why it could not be read; without secrets.
    pub why: String,
}

impl Unreadable {
    /// Says that `what` could not be read, and why.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} could not be read: {}", self.what, self.why)
    }
}

/// Where an application's code lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// ARN of the bucket.
    pub bucket_arn: String,
    /// Key of the object.
    pub key: String,
    /// S3 version of the object, where the application's configuration names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
}

/// An application, from `DescribeApplication`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// `ApplicationVersionId`: increments with every change.
    pub version: u64,
    /// The status.
    pub status: ApplicationStatus,
    /// `RuntimeEnvironment`, such as `FLINK-1_20`.
    pub runtime: String,
    /// Where its code comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Whether the service takes snapshots (on stop and update).
    pub snapshots_enabled: bool,
    /// Whether the service rolls failed operations back by itself.
    pub system_rollback_enabled: bool,
    /// Whether the job takes checkpoints.
    pub checkpointing_enabled: bool,
    /// Seconds from one checkpoint to the next, where the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_interval_seconds: Option<u64>,
}

/// An application in the service's list, from `ListApplications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The status.
    pub status: ApplicationStatus,
    /// `RuntimeEnvironment`, such as `FLINK-1_20`.
    pub runtime: String,
}

/// An operation, from `DescribeApplicationOperation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Id of the operation.
    pub id: String,
    /// Such as `UpdateApplication`; a free string.
    pub name: String,
    /// The status.
    pub status: OperationStatus,
    /// What the service says went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The operation with which the service already answers this one's failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_operation_id: Option<String>,
    /// Version before the operation, where it changes the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_from: Option<u64>,
    /// Version after the operation, where it changes the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_to: Option<u64>,
    /// When it began, by the service's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// An operation in the service's list, from `ListApplicationOperations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationSummary {
    /// Id of the operation.
    pub id: String,
    /// Such as `StopApplication`; a free string.
    pub name: String,
    /// The status.
    pub status: OperationStatus,
    /// When it began, by the service's clock.
    pub started_at: Option<Timestamp>,
}

/// A snapshot, from `ListApplicationSnapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Name of the snapshot.
    pub name: String,
    /// The status.
    pub status: SnapshotStatus,
    /// Version of the application that it was taken of: tells the good version's from the bad one's.
    pub version: u64,
    /// When it was taken, by the service's clock, exactly as the service says: it deletes a snapshot by this time only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// The key that it is encrypted under, as the service shows it (an ARN, an id or an alias), `AWS_OWNED_KEY` for the
    /// service's own; none when not in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The newest of these snapshots, newest first, that is READY, of this version of the application or of any. Of those of the
/// same moment it is the first, as the service has it.
pub fn newest_ready(snapshots: &[Snapshot], version: Option<u64>) -> Option<&Snapshot> {
    snapshots
        .iter()
        .rev()
        .filter(|it| it.status == SnapshotStatus::Ready && version.is_none_or(|version| it.version == version))
        .max_by_key(|snapshot| snapshot.created_at)
}

/// How many tasks of a job are in which state, over all vertices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tasks {
    /// All of them: the sum of the vertices' parallelism.
    pub total: u64,
    /// Created, scheduled, deploying or reconciling.
    pub waiting: u64,
    /// Restoring their state, or in `open()`.
    pub initializing: u64,
    /// At work.
    pub running: u64,
    /// At the end of bounded input.
    pub finished: u64,
    /// Failed, cancelled or being cancelled.
    pub failed: u64,
}

impl Tasks {
    /// Every task of every vertex is at work or has come to its end.
    pub fn are_all_at_work(&self) -> bool {
        self.total > 0 && self.running.checked_add(self.finished) == Some(self.total)
    }
}

impl std::fmt::Display for Tasks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} tasks running", self.running, self.total)?;
        let others = [
            (self.waiting, "waiting"),
            (self.initializing, "initializing"),
            (self.finished, "finished"),
            (self.failed, "failed"),
        ];
        for (count, word) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(formatter, ", {count} {word}")?;
        }
        Ok(())
    }
}

/// The first failure that Flink still knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Class of the exception, such as `java.lang.IllegalStateException`.
    pub exception: String,
    /// First line of its message, shortened, runtime property values struck out.
    pub message: String,
    /// The task that threw it; none for the job as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What its stack trace tells.
    #[serde(default)]
    pub kind: Kind,
    /// Where the job's own code is in its stack trace, as `com.example.Orders.map(Orders.java:12)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_frame: Option<String>,
    /// When it was thrown, by Flink's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Failure {
    /// What a stack trace says, as it says it.
    pub fn read(stacktrace: &str) -> Self {
        let trace = Trace::read(stacktrace);
        let (exception, message) = trace.innermost_cause();
        Self {
            exception: exception.to_owned(),
            message: message.to_owned(),
            task: None,
            kind: Kind::of(&trace),
            own_frame: trace.own_frame().map(ToOwned::to_owned),
            at: None,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.exception, self.message)?;
        self.task.as_ref().map_or(Ok(()), |task| write!(formatter, " (in {task})"))
    }
}

/// A job, from Flink's REST API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Id of the job.
    pub id: String,
    /// When it was submitted, by Flink's clock; none when not in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// Its state. Flink says RUNNING before any task runs.
    pub state: JobState,
    /// Its tasks.
    pub tasks: Tasks,
    /// Restarts since the job was submitted; none when the metric was not in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// Checkpoints completed since the job was submitted; none when not in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_checkpoints: Option<u64>,
    /// Checkpoints failed since the job was submitted; none when not in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_checkpoints: Option<u64>,
    /// The first failure that Flink still knows of; read only when something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A data point of a cumulative counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPoint {
    /// Start of the period.
    pub at: Timestamp,
    /// Value of the counter.
    pub value: u64,
}

/// Restarts as `CloudWatch` has them, which is a minute or two behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// Restarts since the moment that was asked for.
    pub count: u64,
    /// Start of the last period in which the count grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
}

/// Counts restarts in a series that is cumulative per job submission, in order of time. A value that went down is a new
/// submission, which began at 0: all of its restarts count, and the fall itself is no fault. The first value belongs to
/// a submission that began with the series.
pub fn count_restarts(series: &[DataPoint]) -> Restarts {
    let mut restarts = Restarts::default();
    let mut before = 0;
    for point in series {
        let more = if point.value >= before { point.value - before } else { point.value };
        if more > 0 {
            restarts.count = restarts.count.saturating_add(more);
            restarts.last_at = Some(point.at);
        }
        before = point.value;
    }
    restarts
}

/// State of one alarm, from `DescribeAlarms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Name of the alarm.
    pub name: String,
    /// Whether it is in ALARM.
    pub is_raised: bool,
}

/// Everything that decide-rollback looks at. What the decision does not need is not read, and is none here.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The application; none once it is deleted.
    pub application: Observed<Option<Application>>,
    /// Restarts since the job was submitted.
    pub restarts: Option<Observed<Restarts>>,
    /// The alarms that the policy names.
    pub alarms: Option<Observed<Vec<Alarm>>>,
    /// Snapshots, newest first; read when the ladder may need one.
    pub snapshots: Option<Observed<Vec<Snapshot>>>,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn series(values: &[u64]) -> Vec<DataPoint> {
        let minute = SignedDuration::from_mins(1);
        values
            .iter()
            .zip(0..)
            .map(|(&value, index)| DataPoint { at: Timestamp::UNIX_EPOCH + minute * index, value })
            .collect()
    }

    #[test]
    fn restarts_are_differences_and_a_fall_is_a_new_submission() {
        let cases: [(&[u64], u64, Option<i64>); 8] = [
            (&[], 0, None),
            (&[0, 0, 0], 0, None),
            (&[0, 1, 1, 1], 1, Some(1)),
            (&[0, 1, 2, 3], 3, Some(3)),
            (&[2, 2], 2, Some(0)),
            (&[5, 0, 0], 5, Some(0)),
            (&[0, 1, 0, 0], 1, Some(1)),
            (&[0, 3, 2], 5, Some(2)),
        ];
        for (values, count, last_minute) in cases {
            let last_at = last_minute.map(|minute| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute));
            assert_eq!(count_restarts(&series(values)), Restarts { count, last_at }, "{values:?}");
        }
    }

    #[test]
    fn the_newest_snapshot_is_the_first_of_its_moment() {
        let snapshot = |name: &str, second: i64, version: u64| Snapshot {
            name: name.to_owned(),
            status: SnapshotStatus::Ready,
            version,
            created_at: Timestamp::from_second(second).ok(),
            key: None,
        };
        let snapshots = [snapshot("c", 9, 2), snapshot("b", 9, 2), snapshot("a", 3, 1)];
        let newest = |version| newest_ready(&snapshots, version).map(|it| it.name.as_str());
        assert_eq!((newest(None), newest(Some(1)), newest(Some(3))), (Some("c"), Some("a"), None));
    }

    #[test]
    fn evidence_is_told_in_words() {
        let tasks = Tasks { total: 9, running: 2, waiting: 1, initializing: 2, finished: 3, failed: 1 };
        assert_eq!(tasks.to_string(), "2 of 9 tasks running, 1 waiting, 2 initializing, 3 finished, 1 failed");
        assert_eq!(Tasks { total: 4, running: 4, ..Tasks::default() }.to_string(), "4 of 4 tasks running");
        assert_eq!(Unreadable::new("the job", "timed out").to_string(), "the job could not be read: timed out");
        let failure = Failure::read("java.lang.Error: x");
        assert_eq!(failure.to_string(), "java.lang.Error: x");
        let of_task = Failure { task: Some("Source (1/2)".into()), ..failure };
        assert_eq!(of_task.to_string(), "java.lang.Error: x (in Source (1/2))");
    }

    #[test]
    fn all_tasks_are_at_work_only_when_there_are_tasks() {
        let at_work =
            |total, running, finished| Tasks { total, running, finished, ..Tasks::default() }.are_all_at_work();
        assert!(at_work(4, 4, 0));
        assert!(at_work(4, 2, 2));
        assert!(!at_work(4, 3, 0));
        assert!(!at_work(0, 0, 0));
    }
}
