//! The verdicts: what an operation of the service, and then the job itself, amount to. Each is a short list of guards,
//! read from top to bottom; the first that holds gives the verdict.

use jiff::{SignedDuration, Timestamp};

use crate::deployment::{Deployment, JobWatch, Next, Rung};
use crate::evidence::{Application, Job, Observed, Operation, OperationSummary};
use crate::policy::Policy;
use crate::status::{ApplicationStatus, JobState, OperationStatus};
use crate::verdict::{Judgement, Reason, Verdict};

/// Seconds from one look at an operation to the next.
const OPERATION_LOOK_SECONDS: u32 = 20;
/// The same once an operation has taken long.
const LONG_OPERATION_LOOK_SECONDS: u32 = 60;
/// When an operation has taken long.
const LONG_OPERATION_SECONDS: i64 = 600;
/// Seconds from one look at a job to the next while something is wrong with it.
const CLOSE_LOOK_SECONDS: u32 = 10;
/// The same while it comes up.
const RISING_LOOK_SECONDS: u32 = 15;
/// The longest time from one look at a job to the next.
const LONGEST_LOOK_SECONDS: u32 = 60;
/// The same while only a checkpoint is lacking.
const CHECKPOINT_LOOK_SECONDS: u32 = 30;
/// How far the clocks of Flink and of Step Functions may be apart without a job being taken for an older one.
const CLOCKS_APART_SECONDS: i64 = 60;
/// How long a step may take, run again as often as the state machine does.
const LONGEST_STEP: SignedDuration = SignedDuration::from_mins(10);
/// How long an application that was to run has to stand still until its job counts as having come to its end.
const STANDS_STILL_SECONDS: i64 = 60;
/// Good looks in a row that a healthy job has had, at least.
const GOOD_LOOKS: u32 = 2;

/// Whole seconds from `from` to `to`; negative when the clock went back.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

/// A look at an operation of the service and the application that it changes.
#[derive(Debug, Clone)]
pub struct OperationLook {
    /// The operation; none where the rung has no id to follow.
    pub operation: Option<Observed<Operation>>,
    /// The operation with which the service answers this one's failure, where it says so.
    pub system_rollback: Option<Operation>,
    /// The application; none once it is deleted.
    pub application: Observed<Option<Application>>,
}

/// Judges the operation of the current rung, and says where to go on.
pub fn judge_operation(deployment: &mut Deployment, look: &OperationLook, now: Timestamp) {
    if let Some(Ok(operation)) = &look.operation
        && let Some(version) = operation.version_to
        && operation.version_from == Some(deployment.version)
    {
        deployment.version = version;
    }
    let verdict = operation_verdict(deployment, look, now);
    let (next, wait_seconds) = match verdict.is {
        Judgement::Progressing if deployment.is_late(now) => (Next::Decide, 0),
        Judgement::Progressing => (Next::WaitForOperation, operation_wait_seconds(deployment, now)),
        Judgement::Healthy if is_to_run(deployment, look) => {
            deployment.job = Some(JobWatch::new(now));
            (Next::CheckSubtasks, 0)
        }
        Judgement::Healthy | Judgement::Failing | Judgement::Inconclusive => (Next::Decide, 0),
    };
    deployment.conclude(verdict, now);
    deployment.go_on(next, wait_seconds);
}

/// Whether there is, or will be, a job to look at now that the operation has succeeded.
fn is_to_run(deployment: &Deployment, look: &OperationLook) -> bool {
    let application = look.application.as_ref().ok().and_then(Option::as_ref);
    deployment.expected_status() == ApplicationStatus::Running
        || application.is_some_and(|application| is_started_by_someone(deployment, application))
}

/// An application that was stopped has been updated, and somebody has started it since: its job is the change's all the
/// same, and is verified.
fn is_started_by_someone(deployment: &Deployment, application: &Application) -> bool {
    deployment.rung == Rung::Update
        && matches!(application.status, ApplicationStatus::Starting | ApplicationStatus::Running)
        && !deployment.runs_on()
}

fn operation_wait_seconds(deployment: &Deployment, now: Timestamp) -> u32 {
    if operation_seconds(deployment, now) > LONG_OPERATION_SECONDS {
        LONG_OPERATION_LOOK_SECONDS
    } else {
        OPERATION_LOOK_SECONDS
    }
}

fn operation_seconds(deployment: &Deployment, now: Timestamp) -> i64 {
    deployment.began.as_ref().map_or(0, |began| seconds_between(began.at, now))
}

fn operation_verdict(deployment: &Deployment, look: &OperationLook, now: Timestamp) -> Verdict {
    let name = deployment.rung.operation().to_owned();
    let application = match &look.application {
        Err(unreadable) => return Verdict::inconclusive(unreadable.clone().into()),
        Ok(None) => return Verdict::inconclusive(Reason::ApplicationDeleted),
        Ok(Some(application)) => application,
    };
    if let ApplicationStatus::Unknown(status) = &application.status {
        let reason = Reason::UnknownStatus { what: "the application".into(), status: status.clone() };
        return Verdict::inconclusive(reason);
    }
    let seconds = operation_seconds(deployment, now);
    let is_late = seconds >= i64::from(deployment.policy.operation_timeout_seconds);
    let timed_out = || Verdict::failing(Reason::OperationTimedOut { operation: name.clone(), seconds });
    let in_progress = || {
        let reason = Reason::OperationInProgress { operation: name.clone(), application: application.status.clone() };
        Verdict::progressing(reason)
    };
    match &look.operation {
        Some(Err(unreadable)) => return Verdict::inconclusive(unreadable.clone().into()),
        Some(Ok(operation)) => match &operation.status {
            OperationStatus::InProgress if is_late => return timed_out(),
            OperationStatus::InProgress => return in_progress(),
            OperationStatus::Failed => return failed_operation(&name, operation, look.system_rollback.as_ref()),
            OperationStatus::Cancelled => return Verdict::failing(Reason::OperationCancelled { operation: name }),
            OperationStatus::Unknown(status) => {
                let reason = Reason::UnknownStatus { what: name, status: status.clone() };
                return Verdict::inconclusive(reason);
            }
            OperationStatus::Successful => {}
        },
        None => {}
    }
    if application.version < deployment.version {
        // An answer from before the operation says nothing of what that has left.
        return Verdict::inconclusive(Reason::VersionStale {
            expected: deployment.version,
            found: application.version,
        });
    }
    let successful = Reason::OperationSuccessful { operation: name.clone(), application: application.status.clone() };
    if application.status == deployment.expected_status() || is_started_by_someone(deployment, application) {
        return Verdict::healthy(successful);
    }
    if application.status.is_stopped() {
        // A rollback that leaves a job stopped has failed, whatever its operation says. After an update or a start it may
        // be a bounded job that is at its end already: the look at the job tells that from a stop by somebody.
        let is_rollback = matches!(deployment.rung, Rung::RollBack | Rung::SystemRollback);
        return if is_rollback && deployment.runs_on() {
            Verdict::failing(Reason::ApplicationUnexpected { status: application.status.clone() })
        } else {
            Verdict::healthy(successful)
        };
    }
    if is_late { timed_out() } else { in_progress() }
}

fn failed_operation(name: &str, operation: &Operation, system_rollback: Option<&Operation>) -> Verdict {
    let failed = Reason::OperationFailed { operation: name.to_owned(), error: operation.error.clone() };
    let answered = operation.rollback_operation_id.clone().map(|operation_id| Reason::SystemRollbackBegan {
        operation_id,
        version: system_rollback.and_then(|rollback| rollback.version_to),
    });
    Verdict::failing(failed).and(answered)
}

/// A look at the job through Flink's REST API.
#[derive(Debug, Clone)]
pub struct JobLook {
    /// The application; none once it is deleted.
    pub application: Observed<Option<Application>>,
    /// The job; none where Flink shows none. Read only while the application is RUNNING.
    pub job: Option<Observed<Option<Job>>>,
    /// The newest operation of the application; read only when it is stopped.
    pub newest_operation: Option<Observed<Option<OperationSummary>>>,
}

/// Judges the job of the current rung, keeps what was learned of it, and says where to go on.
pub fn judge_job(deployment: &mut Deployment, look: &JobLook, now: Timestamp) {
    let mut watch = deployment.job.clone().unwrap_or_else(|| JobWatch::new(now));
    let verdict = job_verdict(deployment, &mut watch, look, now);
    let (next, wait_seconds) = match verdict.is {
        Judgement::Progressing if deployment.is_late(now) => (Next::Decide, 0),
        Judgement::Progressing => (Next::WaitForSubtasks, job_wait_seconds(deployment, &watch, look, now)),
        Judgement::Healthy | Judgement::Failing | Judgement::Inconclusive => (Next::Decide, 0),
    };
    deployment.job = Some(watch);
    deployment.conclude(verdict, now);
    deployment.go_on(next, wait_seconds);
}

fn job_wait_seconds(deployment: &Deployment, watch: &JobWatch, look: &JobLook, now: Timestamp) -> u32 {
    let job = look.job.as_ref().and_then(|job| job.as_ref().ok()).and_then(Option::as_ref);
    if let Some(since) = watch.steady_since {
        // The count of restarts is cumulative, so that nothing is missed by looking at the end of the settle time only.
        let lacking = i64::from(deployment.policy.settle_seconds) - seconds_between(since, now);
        let wait =
            if lacking > 0 { lacking.min(i64::from(LONGEST_LOOK_SECONDS)) } else { i64::from(CHECKPOINT_LOOK_SECONDS) };
        return u32::try_from(wait).unwrap_or(CHECKPOINT_LOOK_SECONDS);
    }
    if job.is_some_and(|job| job.tasks.failed > 0 || job.state == JobState::Restarting) || watch.restarts > 0 {
        return CLOSE_LOOK_SECONDS;
    }
    // A long restore of state is no reason to poll: a tenth of what it has taken is soon enough.
    let taken = u32::try_from(seconds_between(watch.since, now)).unwrap_or(0);
    (taken / 10).clamp(RISING_LOOK_SECONDS, LONGEST_LOOK_SECONDS)
}

fn job_verdict(deployment: &Deployment, watch: &mut JobWatch, look: &JobLook, now: Timestamp) -> Verdict {
    let policy = &deployment.policy;
    let application = match &look.application {
        Err(unreadable) => return Verdict::inconclusive(unreadable.clone().into()),
        Ok(None) => return Verdict::inconclusive(Reason::ApplicationDeleted),
        Ok(Some(application)) => application,
    };
    if application.version != deployment.version {
        let reason = Reason::VersionChanged { expected: deployment.version, found: application.version };
        return Verdict::inconclusive(reason);
    }
    if application.status.is_stopped() {
        return stopped_verdict(deployment, watch, &application.status, look.newest_operation.as_ref(), now);
    }
    watch.stopped_since = None;
    if application.status != ApplicationStatus::Running {
        watch.fall_out_of_health(now);
        if let ApplicationStatus::Unknown(status) = &application.status {
            let reason = Reason::UnknownStatus { what: "the application".into(), status: status.clone() };
            return Verdict::inconclusive(reason);
        }
        return not_settled(watch, policy, now)
            .unwrap_or_else(|| Verdict::progressing(Reason::ApplicationAtWork { status: application.status.clone() }));
    }
    let job = match &look.job {
        None => {
            return Verdict::inconclusive(Reason::EvidenceUnreadable {
                what: "the job".into(),
                why: "it was not read".into(),
            });
        }
        Some(Err(unreadable)) => return Verdict::inconclusive(unreadable.clone().into()),
        Some(Ok(None)) => {
            watch.fall_out_of_health(now);
            return not_settled(watch, policy, now)
                .map_or_else(|| Verdict::progressing(Reason::NoJob), |verdict| verdict.and(Some(Reason::NoJob)));
        }
        Some(Ok(Some(job))) => job,
    };
    running_job_verdict(deployment, watch, application, job, now)
}

/// The verdict on a job that is not steady, once the time to become so is over.
fn not_settled(watch: &JobWatch, policy: &Policy, now: Timestamp) -> Option<Verdict> {
    let seconds = seconds_between(watch.settling_since, now);
    let is_late = seconds >= i64::from(policy.settle_timeout_seconds);
    is_late.then(|| Verdict::failing(Reason::NotSettled { seconds }))
}

/// The verdict on a job that Flink shows.
fn running_job_verdict(
    deployment: &Deployment,
    watch: &mut JobWatch,
    application: &Application,
    job: &Job,
    now: Timestamp,
) -> Verdict {
    let policy = &deployment.policy;
    let first_failure = job.failure.clone().map(|failure| Reason::FirstFailure { failure: Box::new(failure) });
    let seen = Reason::TasksNotRunning { state: job.state.clone(), tasks: job.tasks };
    let is_new = notice_submission(deployment, watch, job);
    let restarted = count_restarts_of(watch, job);
    if is_new || restarted {
        watch.fall_out_of_health(now);
        watch.quiet_since = Some(not_before(job, now));
    }
    match &job.state {
        JobState::Finished => {
            watch.is_finished = true;
            return Verdict::healthy(Reason::JobFinished);
        }
        JobState::Failed | JobState::Canceled => {
            return Verdict::failing(Reason::JobFailed { state: job.state.clone() }).and(first_failure);
        }
        JobState::Unknown(status) => {
            return Verdict::inconclusive(Reason::UnknownStatus { what: "the job".into(), status: status.clone() });
        }
        JobState::Initializing
        | JobState::Created
        | JobState::Running
        | JobState::Failing
        | JobState::Cancelling
        | JobState::Restarting
        | JobState::Suspended
        | JobState::Reconciling => {}
    }
    if watch.restarts > u64::from(policy.tolerated_restarts) {
        let reason = Reason::Restarts { count: watch.restarts, tolerated: policy.tolerated_restarts };
        return Verdict::failing(reason).and(Some(seen)).and(first_failure);
    }
    let is_at_work = job.state == JobState::Running && job.tasks.are_all_at_work();
    if !is_at_work {
        watch.fall_out_of_health(now);
        return match not_settled(watch, policy, now) {
            Some(verdict) => verdict.and(Some(seen)).and(first_failure),
            None => Verdict::progressing(seen).and(first_failure),
        };
    }
    if job.restarts.is_none() {
        // All tasks run, but whether for the first time or the hundredth cannot be told.
        return Verdict::inconclusive(Reason::EvidenceUnreadable {
            what: "the job's count of restarts".into(),
            why: "it was not in the answer".into(),
        });
    }
    let needs_checkpoint = application.checkpointing_enabled && policy.require_checkpoint;
    let lacks_checkpoint = needs_checkpoint && job.completed_checkpoints.unwrap_or(0) == 0;
    if lacks_checkpoint && watch.healthy_at.is_some() {
        // It had one, so this is a new submission, which has to become steady like the first.
        watch.fall_out_of_health(now);
    }
    watch.good_looks += 1;
    let steady_since = *watch.steady_since.get_or_insert(not_before(job, now));
    watch.quiet_since.get_or_insert(not_before(job, now));
    let running = Reason::TasksRunning { tasks: job.tasks, restarts: watch.restarts };
    let steady_seconds = seconds_between(steady_since, now);
    let is_steady = steady_seconds >= i64::from(policy.settle_seconds) && watch.good_looks >= GOOD_LOOKS;
    if needs_checkpoint && is_steady && job.completed_checkpoints.is_none() {
        return Verdict::inconclusive(Reason::EvidenceUnreadable {
            what: "the job's count of checkpoints".into(),
            why: "it was not in the answer".into(),
        });
    }
    let no_checkpoint = || Reason::NoCheckpointYet { failed: job.failed_checkpoints.unwrap_or(0) };
    if lacks_checkpoint && let Some(verdict) = not_settled(watch, policy, now) {
        return verdict.and(Some(no_checkpoint())).and(first_failure);
    }
    if lacks_checkpoint && is_steady {
        return Verdict::progressing(no_checkpoint()).and(Some(running));
    }
    if !is_steady {
        let steady = Reason::SteadyFor { seconds: steady_seconds, of: policy.settle_seconds };
        return Verdict::progressing(running).and(Some(steady));
    }
    watch.healthy_at = Some(now);
    watch.restarts_explained = watch.restarts_explained.max(watch.restarts);
    Verdict::healthy(running).and(job.completed_checkpoints.map(|completed| Reason::Checkpoints { completed }))
}

/// The moment of a look, but not before the job that it has shown: a step that is run again keeps the time of its first run.
/// A job of a later time than that goes by another clock.
fn not_before(job: &Job, now: Timestamp) -> Timestamp {
    let latest = now.saturating_add(LONGEST_STEP).unwrap_or(Timestamp::MAX);
    job.submitted_at.filter(|submitted_at| (now..=latest).contains(submitted_at)).unwrap_or(now)
}

/// Notices whether this is the submission of the last look, and says whether it is another one: the service scaled or
/// patched the application, or Flink's `JobManager` died. That is no fault, but the new one has to become steady itself.
/// A job that the operation did not submit anew has restarts that are older than the change.
fn notice_submission(deployment: &Deployment, watch: &mut JobWatch, job: &Job) -> bool {
    let (Some(submitted_at), Some(counter)) = (job.submitted_at, job.restarts) else { return false };
    let Some(before) = watch.submitted_at.replace(submitted_at) else {
        let began = deployment.began.as_ref().map(|began| began.at);
        if began.is_some_and(|began| seconds_between(submitted_at, began) > CLOCKS_APART_SECONDS) {
            watch.counter = counter;
            watch.restarts_before = counter;
        }
        return false;
    };
    if before == submitted_at {
        return false;
    }
    watch.counter = 0;
    watch.resubmissions += 1;
    true
}

/// Adds what the job's cumulative count of restarts has grown by; a fall is a new submission, which began at 0.
/// Says whether there was a restart since the last look.
fn count_restarts_of(watch: &mut JobWatch, job: &Job) -> bool {
    let Some(counter) = job.restarts else { return false };
    let more = if counter >= watch.counter { counter - watch.counter } else { counter };
    watch.counter = counter;
    watch.restarts = watch.restarts.saturating_add(more);
    more > 0
}

/// The application is stopped although its operation has succeeded, as far as that was told: a bounded job has come to its
/// end, or somebody has stopped it, or the service gave it up. Only the list of operations tells one from the other.
fn stopped_verdict(
    deployment: &Deployment,
    watch: &mut JobWatch,
    status: &ApplicationStatus,
    newest_operation: Option<&Observed<Option<OperationSummary>>>,
    now: Timestamp,
) -> Verdict {
    let ours = deployment.began.as_ref().and_then(|began| began.operation_id.as_deref());
    match newest_operation {
        None => Verdict::inconclusive(Reason::EvidenceUnreadable {
            what: "the application's operations".into(),
            why: "they were not read".into(),
        }),
        Some(Err(unreadable)) => Verdict::inconclusive(unreadable.clone().into()),
        Some(Ok(None)) => Verdict::inconclusive(Reason::EvidenceUnreadable {
            what: "the application's operations".into(),
            why: "the list is empty".into(),
        }),
        Some(Ok(Some(newest))) if newest.name == "StopApplication" && Some(newest.id.as_str()) != ours => {
            Verdict::inconclusive(Reason::StoppedBySomeone { operation_id: newest.id.clone() })
        }
        Some(Ok(Some(newest))) => match &newest.status {
            OperationStatus::Successful => match &deployment.verdict {
                // A job that was failing just now has not come to the end of its input.
                Some(verdict) if verdict.is == Judgement::Failing => {
                    let unexpected = Reason::ApplicationUnexpected { status: status.clone() };
                    Verdict { is: Judgement::Failing, reasons: [vec![unexpected], verdict.reasons.clone()].concat() }
                }
                // A look may tell of the time before the start: only one that stands still for a while has been run.
                _ if seconds_between(*watch.stopped_since.get_or_insert(now), now) < STANDS_STILL_SECONDS => {
                    Verdict::progressing(Reason::ApplicationAtWork { status: status.clone() })
                }
                _ => {
                    watch.is_finished = true;
                    Verdict::healthy(Reason::JobFinished)
                }
            },
            OperationStatus::Failed => {
                Verdict::failing(Reason::OperationFailed { operation: newest.name.clone(), error: None })
            }
            OperationStatus::Cancelled => {
                Verdict::failing(Reason::OperationCancelled { operation: newest.name.clone() })
            }
            OperationStatus::InProgress => Verdict::inconclusive(Reason::OperationInProgress {
                operation: newest.name.clone(),
                application: status.clone(),
            }),
            OperationStatus::Unknown(word) => {
                Verdict::inconclusive(Reason::UnknownStatus { what: newest.name.clone(), status: word.clone() })
            }
        },
    }
}

#[cfg(test)]
mod tests;
