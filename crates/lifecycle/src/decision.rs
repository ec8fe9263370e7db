//! The decision: what to do next, from the verdict and all evidence. One list of guards, read from top to bottom; the
//! first that holds decides. Nothing else in the system decides anything.

use jiff::{SignedDuration, Timestamp};

use crate::data::note_restore;
use crate::deployment::{Baseline, Deployment, JobWatch, Next, Rung};
use crate::evidence::{Application, Evidence, Observed, Snapshot, newest_ready};
use crate::policy::OnFailure;
use crate::report::{Outcome, Report};
use crate::request::RestoreType;
use crate::status::ApplicationStatus;
use crate::verdict::{Judgement, Reason, Verdict, in_words};
use crate::watch::seconds_between;

/// Longest wait from one look at `CloudWatch` to the next during the bake; its data are a minute or two late anyway.
const BAKE_LOOK_SECONDS: i64 = 100;
/// Wait before the next try where something could not be read.
const HOLD_SECONDS: u32 = 30;
/// Longest time from a look at the job to what is made of it; an execution that is redriven may have looked long ago.
const FRESH_SECONDS: i64 = 120;
/// Period of the service's metrics: a restart lies somewhere in its data point's minute.
const METRIC_PERIOD: SignedDuration = SignedDuration::from_secs(60);

/// What decide-rollback has to read before [`decide`] can decide; more would be calls for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Restarts and alarms from `CloudWatch`.
    pub metrics: bool,
    /// The application's snapshots.
    pub snapshots: bool,
}

/// What the decision on this deployment rests on, besides the application itself.
pub fn wanted(deployment: &Deployment) -> Wanted {
    let judgement = deployment.verdict.as_ref().map(|verdict| verdict.is);
    let is_baking = deployment.job.as_ref().is_some_and(|job| !job.is_finished);
    let is_putting_back = matches!(deployment.rung, Rung::ForceStop | Rung::PutBack);
    Wanted {
        metrics: judgement == Some(Judgement::Healthy) && is_baking && !deployment.has_done_nothing(),
        snapshots: is_putting_back || judgement == Some(Judgement::Failing) || starts_from_latest(deployment),
    }
}

/// Whether the request's own start comes next, from the latest snapshot: where there is none, the service would start the
/// job without state.
fn starts_from_latest(deployment: &Deployment) -> bool {
    let is_before_start = matches!(deployment.rung, Rung::Stop | Rung::Update) && deployment.job.is_none();
    is_before_start && deployment.start && deployment.restore.restore_type == RestoreType::Latest
}

/// What to do next, and why.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    /// Look at the same thing again, after a wait: what was needed could not be read there.
    Hold(Vec<Reason>),
    /// Decide again, after a wait: what is needed here could not be read.
    HoldHere(Vec<Reason>),
    /// Do (again) what the current rung asks for; whether it is done already is found out there.
    Act,
    /// Look at the subtasks now.
    Look(Vec<Reason>),
    /// Wait in quiet for so many seconds.
    Bake(u32, Vec<Reason>),
    /// Take this rung.
    Take(Rung, Vec<Reason>),
    /// Follow the service's own rollback.
    Follow { operation_id: String, version: Option<u64>, because: Vec<Reason> },
    /// End.
    Finish(Outcome, Vec<Reason>),
}

/// Decides, and writes the decision into the deployment.
pub fn decide(deployment: &mut Deployment, evidence: &Evidence, now: Timestamp) {
    let decision = decision(deployment, evidence, now);
    let is_taken = matches!(decision, Decision::Take(..) | Decision::Follow { .. });
    carry_over(deployment, decision, now);
    if is_taken {
        let snapshots = evidence.snapshots.as_ref().and_then(|snapshots| snapshots.as_ref().ok());
        note_restore(deployment, snapshots.map_or(&[], Vec::as_slice), now);
    }
}

fn decision(deployment: &mut Deployment, evidence: &Evidence, now: Timestamp) -> Decision {
    let application = match &evidence.application {
        Err(unreadable) => return Decision::HoldHere(vec![unreadable.clone().into()]),
        Ok(None) => return Decision::Finish(Outcome::NeedsAttention, vec![Reason::ApplicationDeleted]),
        Ok(Some(application)) if application.status == ApplicationStatus::Deleting => {
            return Decision::Finish(Outcome::NeedsAttention, vec![Reason::ApplicationDeleted]);
        }
        Ok(Some(application)) => application,
    };
    let is_late = deployment.is_late(now);
    let is_due = deployment.began.is_none() && deployment.verdict.is_none();
    if is_due && is_late {
        return Decision::Finish(Outcome::NeedsAttention, vec![Reason::DeadlinePassed]);
    }
    if is_due {
        return step_failed(deployment).map_or(Decision::Act, |reason| Decision::HoldHere(vec![reason]));
    }
    if let Some(decision) = system_rollback(deployment) {
        return decision;
    }
    if application.version > deployment.version
        && let Some(because) = operation_not_read(deployment)
    {
        // The new version may be the service's answer to a failure: only the operation tells.
        return Decision::Hold(because);
    }
    if application.version > deployment.version {
        let reason = Reason::VersionChanged { expected: deployment.version, found: application.version };
        return Decision::Finish(Outcome::Superseded, vec![reason]);
    }
    if application.version < deployment.version {
        let reason = Reason::VersionStale { expected: deployment.version, found: application.version };
        return Decision::HoldHere(vec![reason]);
    }
    let Some(verdict) = deployment.verdict.clone() else {
        return Decision::Hold(step_failed(deployment).into_iter().collect());
    };
    let stopped = verdict.reasons.iter().find(|reason| matches!(reason, Reason::StoppedBySomeone { .. }));
    if let Some(stopped) = stopped {
        return Decision::Finish(Outcome::Superseded, vec![stopped.clone()]);
    }
    if is_late {
        let because = [vec![Reason::DeadlinePassed], verdict.reasons].concat();
        return Decision::Finish(Outcome::NeedsAttention, because);
    }
    if let Some(reason) = step_failed(deployment) {
        return Decision::Hold(vec![reason]);
    }
    if deployment.began.is_none() && verdict.is == Judgement::Inconclusive {
        // The step saw another version and did nothing; it was an old answer, so that the rung is still due.
        deployment.verdict = None;
        return Decision::HoldHere(verdict.reasons);
    }
    match verdict.is {
        Judgement::Failing if has_moved_on(application, &verdict) => {
            Decision::Look(vec![Reason::ApplicationAtWork { status: application.status.clone() }])
        }
        Judgement::Failing => way_back(deployment, application, evidence, verdict.reasons),
        Judgement::Inconclusive | Judgement::Progressing => Decision::Hold(verdict.reasons),
        Judgement::Healthy => match deployment.job.clone() {
            Some(job) => accept_job(deployment, &job, application, evidence, verdict.reasons, now),
            None => accept_stopped(deployment, application, evidence, verdict.reasons),
        },
    }
}

/// Whether the job was found bad while the application was RUNNING, and the application has left that status since: a job
/// ends when the service patches, scales or stops its application, which is no fault of the job.
fn has_moved_on(application: &Application, verdict: &Verdict) -> bool {
    match verdict.reasons.first() {
        Some(Reason::JobFailed { .. }) => application.status.is_stopped() || application.status.is_passing(),
        Some(Reason::Restarts { .. } | Reason::NotSettled { .. } | Reason::AlarmRaised { .. }) => {
            application.status.is_stopped()
        }
        _ => false,
    }
}

fn step_failed(deployment: &Deployment) -> Option<Reason> {
    let error = deployment.error.as_ref()?;
    Some(error.clone().into())
}

/// Why it is not known how the operation behind the rung has ended, where one has begun that could not be looked at.
fn operation_not_read(deployment: &Deployment) -> Option<Vec<Reason>> {
    if deployment.began.is_none() || deployment.job.is_some() {
        return None;
    }
    if let Some(reason) = step_failed(deployment) {
        return Some(vec![reason]);
    }
    let reasons = &deployment.verdict.as_ref()?.reasons;
    let is_unread = reasons.iter().any(|reason| matches!(reason, Reason::EvidenceUnreadable { .. }));
    is_unread.then(|| reasons.clone())
}

/// What to do where the service answers the operation's failure by a rollback of its own, which makes a new version.
fn system_rollback(deployment: &Deployment) -> Option<Decision> {
    let because = deployment.verdict.as_ref()?.reasons.clone();
    let (operation_id, version) = because.iter().find_map(|reason| {
        let Reason::SystemRollbackBegan { operation_id, version } = reason else { return None };
        Some((operation_id.clone(), *version))
    })?;
    match deployment.rung {
        Rung::Stop | Rung::Update | Rung::Start => Some(Decision::Follow { operation_id, version, because }),
        // It leads back to the change that was found bad.
        Rung::PutBack | Rung::StartBack => {
            Some(Decision::Finish(Outcome::NeedsAttention, [vec![Reason::LadderExhausted], because].concat()))
        }
        Rung::SystemRollback | Rung::RollBack | Rung::ForceStop => None,
    }
}

/// The job is healthy: accept it once it has been quiet for as long as the policy asks, by a look of its own at the end.
fn accept_job(
    deployment: &mut Deployment,
    job: &JobWatch,
    application: &Application,
    evidence: &Evidence,
    reasons: Vec<Reason>,
    now: Timestamp,
) -> Decision {
    let policy = deployment.policy.clone();
    let is_fresh = job.healthy_at.is_some_and(|healthy_at| seconds_between(healthy_at, now) <= FRESH_SECONDS);
    if deployment.has_done_nothing() {
        if !job.is_finished && !is_fresh {
            return Decision::Look(reasons);
        }
        let because = [vec![Reason::AlreadyInEffect { version: deployment.version }], reasons].concat();
        return Decision::Finish(Outcome::NoChange, because);
    }
    if job.is_finished {
        return Decision::Finish(accepted(deployment.rung), reasons);
    }
    if application.status != ApplicationStatus::Running {
        // Stopped, scaled or patched meanwhile: the look at the job tells what that means.
        return Decision::Look(vec![Reason::ApplicationAtWork { status: application.status.clone() }]);
    }
    let known = deployment.baseline.as_ref().map(|baseline| baseline.raised_alarms.clone()).unwrap_or_default();
    // An alarm that the change has raised takes its time to fall again: it says nothing about the way back.
    let are_alarms_heeded = matches!(deployment.rung, Rung::Update | Rung::Start);
    match evidence.alarms.as_ref().filter(|_| are_alarms_heeded) {
        Some(Err(unreadable)) => return Decision::HoldHere(vec![unreadable.clone().into()]),
        None if are_alarms_heeded && !policy.alarms.is_empty() => {
            return Decision::HoldHere(vec![not_read("the alarms")]);
        }
        Some(Ok(alarms)) => {
            if let Some(alarm) = alarms.iter().find(|alarm| alarm.is_raised && !known.contains(&alarm.name)) {
                return fail(deployment, application, evidence, Reason::AlarmRaised { name: alarm.name.clone() }, now);
            }
        }
        None => {}
    }
    let mut quiet_since = job.quiet_since.unwrap_or(now);
    match evidence.restarts.as_ref() {
        Some(Err(unreadable)) => return Decision::HoldHere(vec![unreadable.clone().into()]),
        Some(Ok(restarts)) => {
            let shown = restarts.count.saturating_sub(job.restarts_before);
            // CloudWatch goes by minutes and by another clock: where Flink's count covers all the time since the operation,
            // what CloudWatch shows beyond it is a reason to look, and no more.
            let count = shown.max(job.restarts);
            if !job.is_one_submission() && count > u64::from(policy.tolerated_restarts) {
                let reason = Reason::Restarts { count, tolerated: policy.tolerated_restarts };
                return fail(deployment, application, evidence, reason, now);
            }
            if let Some(end) = restarts.last_at.and_then(|at| at.saturating_add(METRIC_PERIOD).ok()) {
                quiet_since = quiet_since.max(end.min(now));
            }
            if shown > job.restarts_explained {
                if let Some(job) = &mut deployment.job {
                    job.restarts_explained = shown;
                    job.quiet_since = Some(quiet_since);
                }
                return Decision::Look(vec![Reason::RestartsSeen { count: shown, at: restarts.last_at }]);
            }
        }
        None => return Decision::HoldHere(vec![not_read("CloudWatch metrics")]),
    }
    if let Some(job) = &mut deployment.job {
        job.quiet_since = Some(quiet_since);
    }
    let bake = i64::from(policy.bake_seconds);
    let quiet_seconds = seconds_between(quiet_since, now);
    let quiet = Reason::QuietFor { seconds: quiet_seconds, of: policy.bake_seconds };
    let is_baked = job.healthy_at.is_some_and(|healthy_at| seconds_between(quiet_since, healthy_at) >= bake);
    if is_baked && is_fresh {
        return Decision::Finish(accepted(deployment.rung), [vec![quiet], reasons].concat());
    }
    if quiet_seconds >= bake {
        return Decision::Look(vec![quiet]);
    }
    let wait = (bake - quiet_seconds).clamp(1, BAKE_LOOK_SECONDS);
    Decision::Bake(u32::try_from(wait).unwrap_or(HOLD_SECONDS), vec![quiet])
}

/// Evidence beyond the job's own has found the change bad.
fn fail(
    deployment: &mut Deployment,
    application: &Application,
    evidence: &Evidence,
    reason: Reason,
    now: Timestamp,
) -> Decision {
    deployment.conclude(Verdict::failing(reason.clone()), now);
    way_back(deployment, application, evidence, vec![reason])
}

/// The operation has left the application stopped, as it should: the next rung, or the end.
fn accept_stopped(
    deployment: &mut Deployment,
    application: &Application,
    evidence: &Evidence,
    reasons: Vec<Reason>,
) -> Decision {
    if !application.status.is_stopped() {
        return Decision::HoldHere(vec![Reason::ApplicationAtWork { status: application.status.clone() }]);
    }
    if starts_from_latest(deployment) {
        match evidence.snapshots.as_ref() {
            Some(Err(unreadable)) => return Decision::HoldHere(vec![unreadable.clone().into()]),
            None => return Decision::HoldHere(vec![not_read("the snapshots")]),
            Some(Ok(snapshots)) if newest_ready(snapshots, None).is_none() => {
                // A person has stopped it by force before our stop, or has deleted the snapshots since they were seen.
                let because = [vec![Reason::NoSnapshot { version: deployment.version }], reasons].concat();
                return Decision::Finish(Outcome::NeedsAttention, because);
            }
            Some(Ok(snapshots)) => {
                let is_missing = |version: &u64| newest_ready(snapshots, Some(*version)).is_none();
                if let Some(version) = deployment.stopped_version.filter(is_missing) {
                    // The one that the stop has taken is not shown yet, or was deleted: the latest is of a job before.
                    return Decision::HoldHere(vec![Reason::NoSnapshot { version }]);
                }
            }
        }
    }
    match deployment.rung {
        Rung::Stop if deployment.is_update_due => Decision::Take(Rung::Update, reasons),
        Rung::Stop if !deployment.start => Decision::Finish(Outcome::Deployed, reasons),
        Rung::Stop => Decision::Take(Rung::Start, reasons),
        Rung::Update if deployment.start => Decision::Take(Rung::Start, vec![Reason::ToBeStarted]),
        Rung::ForceStop => bring_back(deployment, Rung::PutBack, evidence, reasons),
        Rung::PutBack if deployment.was_running() => bring_back(deployment, Rung::StartBack, evidence, reasons),
        Rung::Update | Rung::Start | Rung::SystemRollback | Rung::RollBack | Rung::PutBack | Rung::StartBack => {
            let is_as_asked = deployment.rung == Rung::Update && deployment.has_taken(Rung::Stop);
            let before = deployment.baseline.as_ref().filter(|_| !is_as_asked).and_then(Baseline::why_it_stands);
            let is_as_before = !matches!((deployment.rung, &before), (Rung::PutBack, Some(Reason::WasAtWork { .. })));
            let outcome = if is_as_before { accepted(deployment.rung) } else { Outcome::NeedsAttention };
            Decision::Finish(outcome, reasons.into_iter().chain(before).collect())
        }
    }
}

/// Takes a rung that brings the baseline back, once it is known what state it will have.
fn bring_back(deployment: &mut Deployment, rung: Rung, evidence: &Evidence, reasons: Vec<Reason>) -> Decision {
    if !deployment.was_running() {
        return Decision::Take(rung, reasons);
    }
    match state_to_restore(deployment, evidence.snapshots.as_ref()) {
        Err(unreadable) => Decision::HoldHere(vec![unreadable]),
        Ok(State::None) => {
            let because = [vec![Reason::LadderExhausted, no_snapshot(deployment)], reasons].concat();
            Decision::Finish(Outcome::NeedsAttention, because)
        }
        Ok(State::NotWanted) => Decision::Take(rung, reasons),
        Ok(State::Snapshot(name)) => {
            deployment.restore_from = Some(name.clone());
            Decision::Take(rung, [reasons, vec![Reason::FromSnapshot { name }]].concat())
        }
    }
}

fn not_read(what: &str) -> Reason {
    Reason::EvidenceUnreadable { what: what.to_owned(), why: "they were not read".into() }
}

fn no_snapshot(deployment: &Deployment) -> Reason {
    Reason::NoSnapshot { version: deployment.baseline.as_ref().map_or(0, |baseline| baseline.version) }
}

/// What the previous version could be started from.
enum State {
    /// This snapshot.
    Snapshot(String),
    /// The request gives the state up, and there is no snapshot to do better.
    NotWanted,
    /// Nothing: a start would lose the state.
    None,
}

/// Only a snapshot of the baseline's own version is of its lineage for certain; the newest of them loses least.
fn state_to_restore(deployment: &Deployment, snapshots: Option<&Observed<Vec<Snapshot>>>) -> Result<State, Reason> {
    let snapshots = match snapshots {
        Some(Ok(snapshots)) => snapshots,
        Some(Err(unreadable)) => return Err(unreadable.clone().into()),
        None => return Err(not_read("the snapshots")),
    };
    let newest = deployment.baseline.as_ref().and_then(|baseline| newest_ready(snapshots, Some(baseline.version)));
    Ok(match newest {
        Some(snapshot) => State::Snapshot(snapshot.name.clone()),
        None if deployment.restore.restore_type == RestoreType::Skip => State::NotWanted,
        None => State::None,
    })
}

/// Whether a rollback has only a snapshot of the bad version to restore: the newest one, where the baseline has none any more.
/// The service says of a rollback that it takes the last successful snapshot.
fn would_restore_what_was_bad(deployment: &Deployment, snapshots: &[Snapshot]) -> bool {
    let Some(baseline) = &deployment.baseline else { return false };
    newest_ready(snapshots, None).is_some_and(|newest| newest.version > baseline.version)
        && newest_ready(snapshots, Some(baseline.version)).is_none()
}

/// What a rung that has been verified comes to.
fn accepted(rung: Rung) -> Outcome {
    match rung {
        Rung::Stop | Rung::Update | Rung::Start => Outcome::Deployed,
        Rung::SystemRollback | Rung::RollBack => Outcome::RolledBack,
        Rung::ForceStop | Rung::PutBack | Rung::StartBack => Outcome::Restored,
    }
}

/// The ladder: the first rung that may be taken from where the application stands, each at most once.
fn way_back(
    deployment: &mut Deployment,
    application: &Application,
    evidence: &Evidence,
    reasons: Vec<Reason>,
) -> Decision {
    if deployment.has_done_nothing() {
        let in_effect = Reason::AlreadyInEffect { version: deployment.version };
        return Decision::Finish(Outcome::NeedsAttention, [reasons, vec![in_effect]].concat());
    }
    if deployment.policy.on_failure == OnFailure::Hold {
        return Decision::Finish(Outcome::NeedsAttention, [vec![Reason::PolicyHolds], reasons].concat());
    }
    let exhausted = |reasons: Vec<Reason>| {
        Decision::Finish(Outcome::NeedsAttention, [vec![Reason::LadderExhausted], reasons].concat())
    };
    if deployment.has_taken(Rung::PutBack) {
        return exhausted(reasons);
    }
    if deployment.rung == Rung::Stop {
        // Nothing was changed, so that there is nothing to go back to; and a stop with force was not asked for.
        return Decision::Finish(Outcome::NeedsAttention, reasons);
    }
    let was_at_work = deployment.was_running() || deployment.has_taken(Rung::Stop);
    let is_as_before = was_at_work && !deployment.has_taken(Rung::Update);
    if is_as_before && deployment.restore.restore_type == RestoreType::Latest {
        return Decision::Finish(Outcome::NeedsAttention, [vec![Reason::NothingToGoBackTo], reasons].concat());
    }
    let status = &application.status;
    if deployment.rung == Rung::Update && deployment.began.is_none() {
        // The update was never made: whatever is wrong, going back would go back further than to what it was.
        return Decision::Finish(Outcome::NeedsAttention, reasons);
    }
    let has_failed = reasons.iter().any(|reason| matches!(reason, Reason::OperationFailed { .. }));
    if deployment.rung == Rung::Update && has_failed && *status == ApplicationStatus::Running {
        // The service could not stop the job with a snapshot, and lets it go on. It would stop it without one to roll back.
        return Decision::Finish(Outcome::NeedsAttention, [vec![Reason::JobUntouched], reasons].concat());
    }
    // A rollback of an application that was stopped would go back further than to what it was.
    let may_roll_back =
        deployment.runs_on() && !deployment.has_taken(Rung::RollBack) && !deployment.has_taken(Rung::SystemRollback);
    let may_be_rolled_back =
        matches!(status, ApplicationStatus::Running | ApplicationStatus::Updating | ApplicationStatus::Autoscaling);
    if may_roll_back && may_be_rolled_back {
        match &evidence.snapshots {
            Some(Err(unreadable)) => return Decision::HoldHere(vec![unreadable.clone().into()]),
            Some(Ok(snapshots)) if would_restore_what_was_bad(deployment, snapshots) => {}
            Some(Ok(_)) | None => return Decision::Take(Rung::RollBack, reasons),
        }
    }
    if may_roll_back && *status == ApplicationStatus::RollingBack {
        // The service answers the failure by itself; the operation will say so, and is followed then.
        return Decision::Hold(vec![Reason::ApplicationAtWork { status: status.clone() }]);
    }
    if matches!(status, ApplicationStatus::Maintenance | ApplicationStatus::ForceStopping) {
        return Decision::HoldHere(vec![Reason::ApplicationAtWork { status: status.clone() }]);
    }
    if let ApplicationStatus::Unknown(word) = status {
        let unknown = Reason::UnknownStatus { what: "the application".into(), status: word.clone() };
        return exhausted([vec![unknown], reasons].concat());
    }
    // Whatever comes now stops the job or finds it stopped: without a state to start from, it would be lost.
    if status.is_stopped() {
        return bring_back(deployment, Rung::PutBack, evidence, [reasons, vec![Reason::NothingToStop]].concat());
    }
    if deployment.has_taken(Rung::ForceStop) {
        return exhausted(reasons);
    }
    bring_back(deployment, Rung::ForceStop, evidence, reasons)
}

fn carry_over(deployment: &mut Deployment, decision: Decision, now: Timestamp) {
    let (words, because) = match &decision {
        Decision::Hold(because) | Decision::HoldHere(because) => ("hold".to_owned(), because.clone()),
        Decision::Act => (format!("{:?} is due", deployment.rung), Vec::new()),
        Decision::Look(because) => ("look at the subtasks".to_owned(), because.clone()),
        Decision::Bake(_, because) => ("keep watching".to_owned(), because.clone()),
        Decision::Take(rung, because) => (format!("take {rung:?}"), because.clone()),
        Decision::Follow { because, .. } => ("follow the service's rollback".to_owned(), because.clone()),
        Decision::Finish(outcome, because) => (format!("end: {outcome}"), because.clone()),
    };
    let told = if because.is_empty() { words.clone() } else { format!("{words}: {}", in_words(&because)) };
    if !matches!(decision, Decision::Bake(..) | Decision::Look(_) | Decision::Act) {
        // The verdict stands in the report already: only what the decision adds to it is told.
        let known = deployment.verdict.as_ref().map(|verdict| verdict.reasons.as_slice()).unwrap_or_default();
        let news: Vec<Reason> = because.iter().filter(|reason| !known.contains(reason)).cloned().collect();
        let news = if news.is_empty() { words } else { format!("{words}: {}", in_words(&news)) };
        deployment.note(now, format!("Decided to {news}"));
    }
    deployment.decided = Some(told);
    match decision {
        Decision::Hold(because) => hold(deployment, because, next_look(deployment), now),
        Decision::HoldHere(because) => hold(deployment, because, Next::Bake, now),
        Decision::Act => deployment.go_on(act_of(deployment.rung), 0),
        Decision::Look(_) => {
            deployment.unreadable_since = None;
            deployment.go_on(Next::CheckSubtasks, 0);
        }
        Decision::Bake(wait_seconds, _) => {
            deployment.unreadable_since = None;
            deployment.go_on(Next::Bake, wait_seconds);
        }
        Decision::Take(rung, _) => {
            deployment.take(rung);
            deployment.go_on(act_of(rung), 0);
        }
        Decision::Follow { operation_id, version, .. } => {
            deployment.take(Rung::SystemRollback);
            deployment.begin(Some(operation_id), version, now);
        }
        Decision::Finish(outcome, because) => {
            deployment.report = Some(Report::of(deployment, outcome, because, now));
            deployment.go_on(Next::Notify, 0);
        }
    }
    deployment.error = None;
}

/// Holds, but not for ever: what cannot be read for too long, or until the deadline, is a case for a person.
fn hold(deployment: &mut Deployment, because: Vec<Reason>, next: Next, now: Timestamp) {
    let since = *deployment.unreadable_since.get_or_insert(now);
    let seconds = seconds_between(since, now);
    let end = if deployment.is_late(now) {
        Some(Reason::DeadlinePassed)
    } else if seconds >= i64::from(deployment.policy.evidence_timeout_seconds) {
        Some(Reason::UnreadableTooLong { seconds })
    } else {
        None
    };
    if let Some(end) = end {
        let because = [vec![end], because].concat();
        deployment.note(now, format!("Decided to end: NeedsAttention: {}", in_words(&because)));
        deployment.report = Some(Report::of(deployment, Outcome::NeedsAttention, because, now));
        deployment.go_on(Next::Notify, 0);
    } else {
        deployment.go_on(next, HOLD_SECONDS);
    }
}

/// Where the rung is looked at again: the job or the operation; where none has begun, there is nothing to look at.
fn next_look(deployment: &Deployment) -> Next {
    if deployment.job.is_some() {
        Next::WaitForSubtasks
    } else if deployment.began.is_some() {
        Next::WaitForOperation
    } else {
        Next::Bake
    }
}

/// Where a rung's action is done.
fn act_of(rung: Rung) -> Next {
    match rung {
        Rung::Update | Rung::Start => Next::Submit,
        Rung::RollBack => Next::RollBack,
        Rung::Stop | Rung::ForceStop => Next::ForceStop,
        Rung::PutBack | Rung::StartBack => Next::Restore,
        Rung::SystemRollback => Next::WaitForOperation,
    }
}

#[cfg(test)]
mod tests;
