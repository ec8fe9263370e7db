//! Verdicts, and the reasons behind them and behind every decision, as data: a report, a test or a person can ask why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::{Failure, Tasks, Unreadable};
use crate::status::{ApplicationStatus, JobState};

/// What a look at an operation or a job amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judgement {
    /// On its way, nothing wrong yet: look again later.
    Progressing,
    /// As it should be, by direct observation.
    Healthy,
    /// Bad, by direct observation.
    Failing,
    /// Not to be told from what could be read. Never healthy, and not failing either.
    Inconclusive,
}

/// A judgement with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The judgement.
    pub is: Judgement,
    /// Why, most important first; never empty.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// On its way, because of `reason`.
    pub fn progressing(reason: Reason) -> Self {
        Self { is: Judgement::Progressing, reasons: vec![reason] }
    }

    /// Healthy, because of `reason`.
    pub fn healthy(reason: Reason) -> Self {
        Self { is: Judgement::Healthy, reasons: vec![reason] }
    }

    /// Failing, because of `reason`.
    pub fn failing(reason: Reason) -> Self {
        Self { is: Judgement::Failing, reasons: vec![reason] }
    }

    /// Not to be told, because of `reason`.
    pub fn inconclusive(reason: Reason) -> Self {
        Self { is: Judgement::Inconclusive, reasons: vec![reason] }
    }

    /// The same verdict with one more reason, where there is one.
    #[must_use]
    pub fn and(mut self, reason: Option<Reason>) -> Self {
        self.reasons.extend(reason);
        self
    }
}

/// One reason of a verdict or a decision, with the facts that it rests on. The texts carry no secret: whoever builds a
/// reason from the service's or Flink's words has struck out runtime property values before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields of a case are the facts that its sentence speaks of")]
pub enum Reason {
    /// Another deployment of the application is under way.
    AnotherDeployment { execution: String },
    /// Another execution deploys a newer upload.
    NewerUpload { execution: String },
    /// Another deployment has had the turn since, and this one was redriven after it.
    TurnPassedOn { execution: String },
    /// The operation has not ended.
    OperationInProgress { operation: String, application: ApplicationStatus },
    /// The operation has ended well.
    OperationSuccessful { operation: String, application: ApplicationStatus },
    /// The operation has ended badly.
    OperationFailed { operation: String, error: Option<String> },
    /// The operation was given up.
    OperationCancelled { operation: String },
    /// The operation did not end in time.
    OperationTimedOut { operation: String, seconds: i64 },
    /// The update has failed before it touched the job.
    JobUntouched,
    /// The service did not take the call.
    OperationRejected { operation: String, error: String },
    /// The service is rolling the failed operation back by itself.
    SystemRollbackBegan { operation_id: String, version: Option<u64> },
    /// The service is at work on the application.
    ApplicationAtWork { status: ApplicationStatus },
    /// The application stands where this operation cannot have left it.
    ApplicationUnexpected { status: ApplicationStatus },
    /// The application does not exist any more.
    ApplicationDeleted,
    /// Somebody stopped the application.
    StoppedBySomeone { operation_id: String },
    /// The application is at a version that this execution neither observed nor made.
    VersionChanged { expected: u64, found: u64 },
    /// The answer shows an older version than was seen before.
    VersionStale { expected: u64, found: u64 },
    /// A piece of evidence could not be read.
    EvidenceUnreadable { what: String, why: String },
    /// A step of the state machine failed.
    StepFailed {
        state: String,
        error: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Evidence could not be read for too long.
    UnreadableTooLong { seconds: i64 },
    /// A status word that this code does not know.
    UnknownStatus { what: String, status: String },
    /// Flink shows no job.
    NoJob,
    /// Not every task is at work yet.
    TasksNotRunning { state: JobState, tasks: Tasks },
    /// Every task is at work.
    TasksRunning { tasks: Tasks, restarts: u64 },
    /// Every task is at work, but not for long enough.
    SteadyFor { seconds: i64, of: u32 },
    /// Checkpointing is on, and none is complete since the change.
    NoCheckpointYet { failed: u64 },
    /// Checkpoints complete since the change.
    Checkpoints { completed: u64 },
    /// The job ended in failure.
    JobFailed { state: JobState },
    /// The job came to its end.
    JobFinished,
    /// The job has restarted.
    Restarts { count: u64, tolerated: u32 },
    /// The job was not steady in time.
    NotSettled { seconds: i64 },
    /// What failed first, in Flink's words.
    FirstFailure { failure: Box<Failure> },
    /// The first failure in the application's log.
    LoggedFailure { failure: Box<Failure> },
    /// No restart for so long.
    QuietFor { seconds: i64, of: u32 },
    /// `CloudWatch` shows restarts that a closer look has not explained.
    RestartsSeen { count: u64, at: Option<Timestamp> },
    /// An alarm that the policy names is in ALARM.
    AlarmRaised { name: String },
    /// The policy says to touch nothing on failure.
    PolicyHolds,
    /// No READY snapshot of the baseline's version exists.
    NoSnapshot { version: u64 },
    /// The state comes from this snapshot.
    FromSnapshot { name: String },
    /// The baseline's code was replaced under its key, and no S3 version of it is known.
    CodeNotPinned { key: String },
    /// The application is stopped already.
    NothingToStop,
    /// The application was not running before the deployment.
    WasNotRunning,
    /// The service was at work on the application when the deployment cut it short.
    WasAtWork { status: ApplicationStatus },
    /// The update is made; the application is stopped, and is to run.
    ToBeStarted,
    /// The restarted job is bad, and there is neither another configuration nor another state to go back to.
    NothingToGoBackTo,
    /// Every rung of the ladder that may be taken has been taken.
    LadderExhausted,
    /// The deployment's deadline has passed.
    DeadlinePassed,
    /// The application is as the request wants it already.
    AlreadyInEffect { version: u64 },
    /// The snapshot before the update is being taken.
    TakingSnapshot { name: String },
}

impl From<Unreadable> for Reason {
    fn from(unreadable: Unreadable) -> Self {
        Self::EvidenceUnreadable { what: unreadable.what, why: unreadable.why }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AnotherDeployment { execution } => write!(f, "it is the turn of the deployment {execution}"),
            Self::TurnPassedOn { execution } => {
                write!(f, "the turn passed on to the deployment {execution} before this one was redriven")
            }
            Self::NewerUpload { execution } => write!(f, "a newer upload is deployed by {execution}"),
            Self::OperationInProgress { operation, application } => {
                write!(f, "{operation} is in progress, the application is {application}")
            }
            Self::OperationSuccessful { operation, application } => {
                write!(f, "{operation} was successful, the application is {application}")
            }
            Self::OperationFailed { operation, error: Some(error) } => write!(f, "{operation} failed: {error}"),
            Self::OperationFailed { operation, error: None } => {
                write!(f, "{operation} failed, and the service says no more")
            }
            Self::OperationCancelled { operation } => write!(f, "{operation} was cancelled"),
            Self::OperationTimedOut { operation, seconds } => write!(f, "{operation} has not ended after {seconds} s"),
            Self::JobUntouched => f.write_str(
                "the update has not touched the job, which goes on; a rollback would restart it from an older snapshot",
            ),
            Self::OperationRejected { operation, error } => write!(f, "the service refused {operation}: {error}"),
            Self::SystemRollbackBegan { operation_id, .. } => {
                write!(f, "the service is rolling back by itself (operation {operation_id})")
            }
            Self::ApplicationAtWork { status } => write!(f, "the application is {status}"),
            Self::ApplicationUnexpected { status } => write!(f, "the application is {status}, which was not expected"),
            Self::ApplicationDeleted => f.write_str("the application has been deleted"),
            Self::StoppedBySomeone { operation_id } => {
                write!(f, "somebody stopped the application (operation {operation_id})")
            }
            Self::VersionChanged { expected, found } => {
                write!(f, "the application is at version {found}; this deployment knows it up to version {expected}")
            }
            Self::VersionStale { expected, found } => {
                write!(
                    f,
                    "the service answered with version {found}, older than version {expected}, which was seen before"
                )
            }
            Self::EvidenceUnreadable { what, why } => write!(f, "{what} could not be read: {why}"),
            Self::StepFailed { state, error, why: Some(why) } => {
                write!(f, "the step {state} failed with {error}: {why}")
            }
            Self::StepFailed { state, error, why: None } => write!(f, "the step {state} failed with {error}"),
            Self::UnreadableTooLong { seconds } => write!(f, "nothing conclusive could be read for {seconds} s"),
            Self::UnknownStatus { what, status } => write!(f, "{what} has the unknown status {status}"),
            Self::NoJob => f.write_str("Flink shows no job"),
            Self::TasksNotRunning { state, tasks } => write!(f, "job {state}, {tasks}"),
            Self::TasksRunning { tasks, restarts } => write!(f, "{tasks}, {}", counted(*restarts, "restart")),
            Self::SteadyFor { seconds, of } => write!(f, "steady for {seconds} of {of} s"),
            Self::NoCheckpointYet { failed: 0 } => f.write_str("no checkpoint completed yet"),
            Self::NoCheckpointYet { failed } => write!(f, "no checkpoint completed yet, {failed} failed"),
            Self::Checkpoints { completed } => write!(f, "{} completed", counted(*completed, "checkpoint")),
            Self::JobFailed { state } => write!(f, "the job is {state}: nothing restarts it"),
            Self::JobFinished => f.write_str("the job came to the end of its input"),
            Self::Restarts { count, tolerated } => {
                write!(f, "{}, {tolerated} are tolerated", counted(*count, "restart"))
            }
            Self::NotSettled { seconds } => write!(f, "the job was not steady within {seconds} s"),
            Self::FirstFailure { failure } => write!(f, "first failure: {failure}"),
            Self::LoggedFailure { failure } => write!(f, "first failure in the log: {failure}"),
            Self::QuietFor { seconds, of } => write!(f, "quiet for {seconds} of {of} s"),
            Self::RestartsSeen { count, .. } => {
                write!(f, "CloudWatch shows {}: looking closer", counted(*count, "restart"))
            }
            Self::AlarmRaised { name } => write!(f, "the alarm {name} is in ALARM"),
            Self::PolicyHolds => f.write_str("the policy says to hold on failure"),
            Self::NoSnapshot { version } => {
                write!(f, "there is no READY snapshot of version {version} to restore from")
            }
            Self::FromSnapshot { name } => write!(f, "state from the snapshot {name}"),
            Self::CodeNotPinned { key } => {
                write!(f, "the previous code was replaced at {key}, and its S3 object version is not known")
            }
            Self::NothingToStop => f.write_str("the application is stopped already"),
            Self::WasNotRunning => f.write_str("the application was not running before"),
            Self::WasAtWork { status } => {
                write!(f, "the application was {status} before, which was cut short: whether it is to run is not known")
            }
            Self::ToBeStarted => f.write_str("the update is made, and the application is to run"),
            Self::NothingToGoBackTo => f.write_str(
                "the configuration is the one from before, and so is the state: there is nothing to go back to",
            ),
            Self::LadderExhausted => f.write_str("every way back has been taken"),
            Self::DeadlinePassed => f.write_str("the deployment's deadline has passed"),
            Self::AlreadyInEffect { version } => write!(f, "version {version} is as the request wants it"),
            Self::TakingSnapshot { name } => write!(f, "the snapshot {name} is being taken"),
        }
    }
}

/// A count with its noun: `1 restart`, `2 restarts`.
fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The reasons in one line.
pub fn in_words(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
