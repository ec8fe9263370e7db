//! The document that travels through the state machine: what one deployment knows, has done and waits for. Every Lambda
//! takes it and hands it on. It never holds the update itself, a presigned URL, a token or a runtime property's value.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::DataNotes;
use crate::evidence::{Code, OperationSummary};
use crate::policy::Policy;
use crate::preflight::refuse;
use crate::refusal::Refusal;
use crate::report::Report;
use crate::request::{Request, Restore, RestoreType, Stop};
use crate::status::ApplicationStatus;
use crate::verdict::{Judgement, Reason, Verdict, in_words};

/// What the deployment does to the application, one after the other. From `SystemRollback` on these are the rungs of the
/// ladder, each taken at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rung {
    /// `StopApplication`, where the request asks for it, with or without Force.
    Stop,
    /// `UpdateApplication` with the request's change.
    Update,
    /// `StartApplication` with the change, of an application that was stopped.
    Start,
    /// The service's own answer to a failed operation; followed, not begun.
    SystemRollback,
    /// `RollbackApplication`.
    RollBack,
    /// `StopApplication` with Force.
    ForceStop,
    /// `UpdateApplication` back to the baseline's configuration.
    PutBack,
    /// `StartApplication` of the baseline's configuration from a snapshot.
    StartBack,
}

impl Rung {
    /// The service's name of the operation behind it.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Update | Self::PutBack => "UpdateApplication",
            Self::Start | Self::StartBack => "StartApplication",
            Self::SystemRollback | Self::RollBack => "RollbackApplication",
            Self::Stop | Self::ForceStop => "StopApplication",
        }
    }

    /// Whether the service takes its operation of an application in this status.
    pub fn is_allowed_in(self, status: &ApplicationStatus) -> bool {
        match self {
            Self::Update | Self::PutBack => status.is_stopped() || *status == ApplicationStatus::Running,
            Self::Start | Self::StartBack => status.is_stopped(),
            Self::Stop | Self::ForceStop | Self::SystemRollback | Self::RollBack => {
                *status == ApplicationStatus::Running
            }
        }
    }
}

/// What the application was before the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Its version.
    pub version: u64,
    /// Its status: READY or RUNNING, or what a stop by force cut short.
    pub status: ApplicationStatus,
    /// Its runtime.
    pub runtime: String,
    /// Its code, with the S3 version where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The newest READY snapshot at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Alarms of the policy that were in ALARM before the change, which therefore say nothing about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised_alarms: Vec<String>,
}

impl Baseline {
    /// Whether the application was running.
    pub fn was_running(&self) -> bool {
        self.status == ApplicationStatus::Running
    }

    /// Why the application stands still at the end, where it was not running.
    pub fn why_it_stands(&self) -> Option<Reason> {
        if self.was_running() {
            None
        } else if self.status.is_stopped() {
            Some(Reason::WasNotRunning)
        } else {
            Some(Reason::WasAtWork { status: self.status.clone() })
        }
    }
}

/// An operation of the service that this deployment began or follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Began {
    /// Id of the operation; none where there was nothing to do, or the service gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What is known of the job since its operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobWatch {
    /// Since when the job is watched: the end of its operation was seen then.
    pub since: Timestamp,
    /// Since when it has been on its way to being steady: the same, or the last time that it fell out of health.
    pub settling_since: Timestamp,
    /// Restarts since the job was submitted, over all submissions since.
    pub restarts: u64,
    /// The cumulative count of the last look, to tell the next difference.
    pub counter: u64,
    /// Restarts of a job that the operation left as it was: they are older than the change.
    pub restarts_before: u64,
    /// When the job of the last look was submitted, by Flink's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// How often the job was submitted anew between two looks.
    #[serde(default)]
    pub resubmissions: u32,
    /// Restarts that `CloudWatch` has shown and that were looked into.
    pub restarts_explained: u64,
    /// Since when every look saw every task at work, and no restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_since: Option<Timestamp>,
    /// Good looks in a row.
    pub good_looks: u32,
    /// The last look that found the job healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_at: Option<Timestamp>,
    /// The beginning of the quiet time: no restart since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
    /// Since when the application stands still, although its operation has started the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_since: Option<Timestamp>,
    /// Whether the job came to its end.
    pub is_finished: bool,
}

impl JobWatch {
    /// Begins to watch.
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            settling_since: since,
            restarts: 0,
            counter: 0,
            restarts_before: 0,
            submitted_at: None,
            resubmissions: 0,
            restarts_explained: 0,
            steady_since: None,
            good_looks: 0,
            healthy_at: None,
            quiet_since: None,
            stopped_since: None,
            is_finished: false,
        }
    }

    /// Whether every look saw one and the same submission of the job, so that Flink's count of its restarts is complete.
    pub fn is_one_submission(&self) -> bool {
        self.submitted_at.is_some() && self.resubmissions == 0
    }

    /// The job is not steady: it has to become so again. Time to do so is counted from the last time it was healthy.
    pub fn fall_out_of_health(&mut self, now: Timestamp) {
        if self.healthy_at.take().is_some() {
            self.settling_since = now;
        }
        self.steady_since = None;
        self.good_looks = 0;
    }
}

/// A step of the state machine that failed for good, as its Catch reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepError {
    /// Name of the state.
    pub state: String,
    /// Name of the error.
    pub error: String,
    /// What the Lambda returned, as Step Functions keeps it: JSON with an `errorMessage`. Only where a person has to know
    /// what was said, which is where a permission is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl StepError {
    /// What the Lambda said.
    fn message(&self) -> Option<String> {
        let cause: Value = serde_json::from_str(self.cause.as_deref()?).ok()?;
        Some(one_line(cause.get("errorMessage")?.as_str()?))
    }
}

impl From<StepError> for Reason {
    fn from(error: StepError) -> Self {
        let why = error.message();
        Self::StepFailed { state: error.state, error: error.error, why }
    }
}

/// Where the state machine goes on. The words are matched by the Choice states of `statemachine/deploy.asl.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// Ask whether it is still this deployment's turn.
    TakeTurn,
    /// Wait, then ask for the turn again.
    WaitForTurn,
    /// Prepare: it is this deployment's turn.
    Prepare,
    /// Wait for the application to come to rest, or for the pre-deploy snapshot, then prepare again.
    WaitToPrepare,
    /// Make the update, or the start.
    Submit,
    /// Wait, then look at the operation.
    WaitForOperation,
    /// Look at the subtasks now.
    CheckSubtasks,
    /// Wait, then look at the subtasks.
    WaitForSubtasks,
    /// Wait in quiet, then decide again.
    Bake,
    /// Decide.
    Decide,
    /// Roll back.
    RollBack,
    /// Stop by force.
    ForceStop,
    /// Put the configuration back, or start from the snapshot.
    Restore,
    /// Tell, and end.
    Notify,
}

/// Something worth telling, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, in plain words.
    pub what: String,
}

/// How often a call is tried while the application is at work on something else.
const MOST_BUSY: u32 = 40;
/// Wait from one such try to the next.
const BUSY_SECONDS: u32 = 30;
/// A report carries at most so many events: the first ones and the latest.
const MOST_EVENTS: usize = 48;
/// Longest text of an event, in characters.
const LONGEST_EVENT: usize = 400;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Name of the application.
    pub application: String,
    /// Name of the execution.
    pub execution: String,
    /// Why, in the words of whoever asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the execution began.
    pub started_at: Timestamp,
    /// When its turn came; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_at: Option<Timestamp>,
    /// How often the execution had been redriven when it last asked for its turn.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrives: u64,
    /// When it must have come to an outcome, once its turn has come.
    pub deadline: Timestamp,
    /// The policy, defaults filled in.
    pub policy: Policy,
    /// How state is restored.
    pub restore: Restore,
    /// Whether, and how, the application is stopped first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Whether a stopped application is started.
    pub start: bool,
    /// Whether the update is still to be made: there is one, and it is not in effect already.
    #[serde(default)]
    pub is_update_due: bool,
    /// Paths of the fields that the update sets.
    pub changed_fields: Vec<String>,
    /// The application before the change; none until it has been noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The version that this execution observed or made last: the fence.
    pub version: u64,
    /// What is being done to the application now.
    pub rung: Rung,
    /// What has been decided to do to it so far, in order; each at most once.
    pub taken: Vec<Rung>,
    /// The snapshot that `StartBack` restores from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<String>,
    /// Id of the newest stop or start of the application before the one that this deployment is about to make, empty where
    /// there was none; none until that has been looked up. A newer one is this deployment's, made when the step ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_before: Option<String>,
    /// Version whose job this deployment has stopped gracefully, so that there is a snapshot of it; none where it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_version: Option<u64>,
    /// What is to be told of the state at the end.
    #[serde(default, skip_serializing_if = "DataNotes::is_empty")]
    pub data: DataNotes,
    /// The operation behind the rung; none until it has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Began>,
    /// The job, once the operation has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobWatch>,
    /// How often the service could not take the call behind the rung just now.
    pub refused_times: u32,
    /// The last verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why the change was found bad: the reasons of the first failing verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<Reason>,
    /// Since when nothing conclusive could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable_since: Option<Timestamp>,
    /// A step that failed, put here by the state machine's Catch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// What was decided last, in plain words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// Where the state machine goes on.
    pub next: Next,
    /// How long it waits before that, in seconds.
    pub wait_seconds: u32,
    /// What happened, for the report.
    pub events: Vec<Event>,
    /// The report, once there is an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl Deployment {
    /// A deployment at its beginning.
    pub fn new(request: &Request, execution: &str, started_at: Timestamp) -> Self {
        Self {
            reason: request.reason.clone(),
            policy: request.policy.clone(),
            restore: request.restore.clone(),
            stop: request.stop,
            start: request.start,
            changed_fields: request.changed_fields(),
            ..Self::unread(request.application.clone(), execution, started_at)
        }
    }

    /// A deployment whose request could not be read: good for a report, and no more.
    pub fn unread(application: String, execution: &str, started_at: Timestamp) -> Self {
        Self {
            application,
            execution: execution.to_owned(),
            reason: None,
            started_at,
            turn_at: None,
            redrives: 0,
            deadline: started_at,
            policy: Policy::default(),
            restore: Restore::default(),
            stop: None,
            start: false,
            is_update_due: false,
            changed_fields: Vec::new(),
            baseline: None,
            version: 0,
            rung: Rung::Update,
            taken: Vec::new(),
            restore_from: None,
            newest_before: None,
            stopped_version: None,
            data: DataNotes::default(),
            began: None,
            job: None,
            refused_times: 0,
            verdict: None,
            failure: Vec::new(),
            unreadable_since: None,
            error: None,
            decided: None,
            next: Next::WaitForTurn,
            wait_seconds: 0,
            events: Vec::new(),
            report: None,
        }
    }

    /// A deployment that ends before it began, because its request cannot be carried out as it stands.
    pub fn refused(
        input: &Value,
        execution: &str,
        started_at: Timestamp,
        refusals: Vec<Refusal>,
        now: Timestamp,
    ) -> Self {
        let application = input.get("application").and_then(Value::as_str).unwrap_or("unknown");
        let mut deployment = Self::unread(application.chars().take(128).collect(), execution, started_at);
        refuse(&mut deployment, refusals, now);
        deployment
    }

    /// Its turn has come: from here on its time runs.
    pub fn take_turn(&mut self, now: Timestamp) {
        let lasts = SignedDuration::from_secs(i64::from(self.policy.deadline_seconds));
        self.turn_at = Some(now);
        self.deadline = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        self.go_on(Next::Prepare, 0);
    }

    /// Whether the execution was redriven since it last asked for its turn, which may be another's by now: then it asks
    /// before it does anything more.
    pub fn asks_again(&mut self, redrives: u64) -> bool {
        let is_redriven = redrives > self.redrives;
        if is_redriven {
            self.go_on(Next::TakeTurn, 0);
        }
        is_redriven
    }

    /// Whether an operation is newer than the newest of its kind was when the rung was decided.
    pub fn is_newer_than_noted(&self, operation: &OperationSummary) -> bool {
        self.newest_before.as_ref().is_some_and(|before| *before != operation.id)
    }

    /// Goes on at `next`, after `wait_seconds`.
    pub fn go_on(&mut self, next: Next, wait_seconds: u32) {
        self.next = next;
        self.wait_seconds = wait_seconds;
    }

    /// Takes a rung: from here on it is the one that is begun, watched and judged.
    pub fn take(&mut self, rung: Rung) {
        if !self.taken.contains(&rung) {
            self.taken.push(rung);
        }
        self.rung = rung;
        self.newest_before = None;
        self.began = None;
        self.job = None;
        self.verdict = None;
        self.refused_times = 0;
        self.unreadable_since = None;
    }

    /// Whether the time for the whole deployment is over.
    pub fn is_late(&self, now: Timestamp) -> bool {
        now >= self.deadline
    }

    /// Nothing is to be done to the application: its job is watched, and that is all.
    pub fn watch_only(&mut self, now: Timestamp) {
        self.began = Some(Began { operation_id: None, at: now });
        self.job = Some(JobWatch::new(now));
        self.go_on(Next::CheckSubtasks, 0);
    }

    /// Whether nothing has been done to the application so far.
    pub fn has_done_nothing(&self) -> bool {
        self.taken.is_empty()
    }

    /// Whether a rung has been taken.
    pub fn has_taken(&self, rung: Rung) -> bool {
        self.taken.contains(&rung)
    }

    /// The operation behind the rung has begun: wait for it.
    pub fn begin(&mut self, operation_id: Option<String>, version: Option<u64>, now: Timestamp) {
        self.note(now, format!("{} begun", self.rung.operation()));
        self.version = version.unwrap_or(self.version);
        if self.rung == Rung::Stop && self.stop == Some(Stop::Graceful) {
            self.stopped_version = Some(self.version);
        }
        self.data.began_at.get_or_insert(now);
        let wait = if operation_id.is_some() { self.first_wait_seconds() } else { 0 };
        self.has_begun(operation_id, now);
        self.go_on(Next::WaitForOperation, wait);
    }

    /// There is nothing to stop: the application stands still already.
    pub fn found_stopped(&mut self, now: Timestamp) {
        self.has_begun(None, now);
        self.conclude(Verdict::healthy(Reason::NothingToStop), now);
        self.go_on(Next::Decide, 0);
    }

    fn has_begun(&mut self, operation_id: Option<String>, now: Timestamp) {
        self.began = Some(Began { operation_id, at: now });
        self.refused_times = 0;
        self.unreadable_since = None;
        self.error = None;
    }

    /// The service refused the call behind the rung, for good.
    pub fn reject(&mut self, error: impl Into<String>, now: Timestamp) {
        self.fail(Reason::OperationRejected { operation: self.rung.operation().to_owned(), error: error.into() }, now);
    }

    /// The rung has failed, for this reason.
    pub fn fail(&mut self, reason: Reason, now: Timestamp) {
        self.conclude(Verdict::failing(reason), now);
        self.go_on(Next::Decide, 0);
    }

    /// The service cannot take the call behind the rung just now: decide again in a while, or take it as refused when that
    /// has gone on for too long. An update that was never taken has touched nothing, and ends the deployment so, unless the
    /// application was stopped for it.
    pub fn busy(&mut self, why: &str, now: Timestamp) {
        self.refused_times += 1;
        self.unreadable_since = None;
        if self.refused_times >= MOST_BUSY && self.rung == Rung::Update && !self.has_taken(Rung::Stop) {
            let problem = format!("UpdateApplication was not taken {} times: {why}", self.refused_times);
            let cure = "wait until the application is READY or RUNNING, and send the request again";
            return refuse(self, vec![Refusal::new("application", problem, cure)], now);
        }
        if self.refused_times >= MOST_BUSY {
            return self.reject(format!("{why} ({} times)", self.refused_times), now);
        }
        self.note(now, format!("{} has to wait: {why}", self.rung.operation()));
        self.error = None;
        self.go_on(Next::Bake, BUSY_SECONDS);
    }

    /// The application is at a version that this execution neither observed nor made, so that nothing may be done to it.
    pub fn overtaken(&mut self, found: u64, now: Timestamp) {
        self.conclude(Verdict::inconclusive(Reason::VersionChanged { expected: self.version, found }), now);
        self.go_on(Next::Decide, 0);
    }

    /// Keeps a verdict, and the reasons of the first failing one for the report.
    pub fn conclude(&mut self, verdict: Verdict, now: Timestamp) {
        let is_news = self.verdict.as_ref().is_none_or(|before| before.is != verdict.is);
        if is_news && verdict.is != Judgement::Progressing {
            self.note(now, format!("{:?}: {}", verdict.is, in_words(&verdict.reasons)));
        }
        if verdict.is != Judgement::Inconclusive {
            self.unreadable_since = None;
        }
        if verdict.is == Judgement::Failing && self.failure.is_empty() {
            self.failure.clone_from(&verdict.reasons);
            self.data.found_bad_at = Some(now);
            self.data.bad_version = Some(self.version);
        }
        self.verdict = Some(verdict);
    }

    /// Adds an event, once: the same text twice in a row is told once.
    pub fn note(&mut self, at: Timestamp, what: impl Into<String>) {
        let mut what = one_line(&what.into());
        if let Some((end, _)) = what.char_indices().nth(LONGEST_EVENT) {
            what.truncate(end);
            what.push('…');
        }
        if self.events.last().is_some_and(|last| last.what == what) {
            return;
        }
        if self.events.len() >= MOST_EVENTS {
            self.events.remove(MOST_EVENTS / 2);
        }
        self.events.push(Event { at, what });
    }

    /// How long nothing can be known of the operation yet, by what such operations take.
    fn first_wait_seconds(&self) -> u32 {
        match self.rung {
            Rung::Update if self.runs_on() => 75,
            Rung::Stop if self.stop == Some(Stop::Graceful) => 45,
            Rung::RollBack => 75,
            Rung::SystemRollback | Rung::Start | Rung::StartBack => 45,
            Rung::Stop | Rung::ForceStop => 30,
            Rung::Update | Rung::PutBack => 10,
        }
    }

    /// Whether the application was running before the change.
    pub fn was_running(&self) -> bool {
        self.baseline.as_ref().is_some_and(Baseline::was_running)
    }

    /// How the application is stopped: as the request says where it asks for a stop, by force as a way back.
    pub fn way_to_stop(&self) -> Stop {
        if self.rung == Rung::Stop { self.stop.unwrap_or(Stop::Graceful) } else { Stop::Force }
    }

    /// Whether the application was running before the change, and the update finds it so.
    pub fn runs_on(&self) -> bool {
        self.was_running() && !self.has_taken(Rung::Stop)
    }

    /// How the baseline's state is restored: from the chosen snapshot; without state only where the request gave it up.
    pub fn restore_back(&self) -> Restore {
        match &self.restore_from {
            Some(snapshot) => Restore::from_snapshot(snapshot),
            None if self.was_running() => Restore { restore_type: RestoreType::Skip, ..Restore::default() },
            None => Restore::default(),
        }
    }

    /// Where the operation behind the rung leaves the application when it succeeds.
    pub fn expected_status(&self) -> ApplicationStatus {
        match self.rung {
            Rung::Start | Rung::StartBack => ApplicationStatus::Running,
            Rung::Update | Rung::RollBack | Rung::SystemRollback if self.runs_on() => ApplicationStatus::Running,
            Rung::Stop | Rung::Update | Rung::RollBack | Rung::SystemRollback | Rung::ForceStop | Rung::PutBack => {
                ApplicationStatus::Ready
            }
        }
    }
}

/// A text of the service or of Flink in one line, as reports tell it.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
