//! An execution: the skeleton of the shipped handlers over the shipped decisions. Each handler is written down call by call,
//! in the order of the shipped one; whatever it works out is worked out by `lifecycle` itself. A handler is run anew with
//! every answer that has come in, up to the first call that has none yet: so it stands still at each of its calls, and
//! anything may happen before the next.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lifecycle::configuration::{is_in_effect, lost_code, put_back};
use lifecycle::decision::{decide, wanted};
use lifecycle::deployment::{Deployment, Next, Rung, StepError};
use lifecycle::evidence::{
    Application, Code, Evidence, Job, Observed, Operation, OperationSummary, Restarts, Snapshot, Tasks, Unreadable,
};
use lifecycle::policy::Policy;
use lifecycle::preflight::{PreflightLook, RefusedFor, prepare, refuse_update};
use lifecycle::report::Outcome;
use lifecycle::request::{Request, RestoreType, Stop, Upload};
use lifecycle::status::ApplicationStatus;
use lifecycle::stopped::{may_be_stopped_by_someone, recognize_stop, telling};
use lifecycle::turn::{Answer as TurnAnswer, Claim, Execution as State, Place, Turns, heed};
use lifecycle::verdict::Reason;
use lifecycle::watch::{JobLook, OperationLook, judge_job, judge_operation};
use serde_json::{Value, json};

use crate::bounds::{Change, Sabotage};
use crate::service::{self, Ended, Name, Refused, Restore, View, Write};

/// The rungs, each with its place.
pub(crate) const RUNGS: [Rung; 8] = [
    Rung::Stop,
    Rung::Update,
    Rung::Start,
    Rung::SystemRollback,
    Rung::RollBack,
    Rung::ForceStop,
    Rung::PutBack,
    Rung::StartBack,
];

/// The place of a rung in [`RUNGS`].
pub(crate) fn place_of(rung: Rung) -> u8 {
    RUNGS.iter().position(|it| *it == rung).and_then(|place| u8::try_from(place).ok()).unwrap_or_default()
}

/// The steps of the state machine that do something. Waits and choices lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    TakeTurn,
    Prepare,
    SubmitUpdate,
    CheckOperation,
    CheckSubtasks,
    DecideRollback,
    RollBack,
    ForceStop,
    Restore,
}

impl Task {
    /// Where a deployment goes on; none where it ends.
    fn after(next: Next) -> Option<Self> {
        Some(match next {
            Next::TakeTurn | Next::WaitForTurn => Self::TakeTurn,
            Next::Prepare | Next::WaitToPrepare => Self::Prepare,
            Next::Submit => Self::SubmitUpdate,
            Next::WaitForOperation => Self::CheckOperation,
            Next::CheckSubtasks | Next::WaitForSubtasks => Self::CheckSubtasks,
            Next::Bake | Next::Decide => Self::DecideRollback,
            Next::RollBack => Self::RollBack,
            Next::ForceStop => Self::ForceStop,
            Next::Restore => Self::Restore,
            Next::Notify => return None,
        })
    }
}

/// How far an execution has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    /// Not started.
    Unborn,
    Running,
    /// Ended in an outcome.
    Over,
    /// Aborted by a person; the Lambda that was running may still be.
    Aborted {
        is_lambda_alive: bool,
    },
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Execution {
    pub(crate) who: u8,
    pub(crate) life: Life,
    pub(crate) task: Task,
    /// Number of the deployment that the task was handed.
    pub(crate) deployment: u32,
    /// What the task's calls were answered so far.
    pub(crate) answers: Vec<Answer>,
    /// Whether the task has failed, and is to be tried again or given up.
    pub(crate) has_failed: bool,
    /// Whether the task was done before with nothing coming of it: nothing but time is awaited.
    pub(crate) is_idle: bool,
    /// How often more time has passed for it than any time-out lasts.
    pub(crate) clock: u8,
    pub(crate) is_redriven: bool,
}

impl Execution {
    /// Whether it takes part: its steps are done.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.life, Life::Running | Life::Aborted { is_lambda_alive: true })
    }

    /// Whether it holds the turn, as far as it knows.
    pub(crate) fn is_in_its_turn(&self) -> bool {
        self.life == Life::Running && self.task != Task::TakeTurn && !self.is_redriven
    }

    /// What the last look at the application showed in this run of the task.
    pub(crate) fn last_look(&self) -> Option<View> {
        self.answers.iter().rev().find_map(|answer| match answer {
            Answer::Application(view) => Some(*view),
            _ => None,
        })
    }
}

/// The item in the table of turns, by the executions' numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Table {
    pub(crate) holder: Option<u8>,
    pub(crate) waiting: Vec<u8>,
    pub(crate) newest_upload: Option<u8>,
    pub(crate) revision: u8,
}

/// A call of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// `GetItem`.
    ReadTurns,
    /// `PutItem`, if the item is still of the revision that was read.
    WriteTurns {
        after: Table,
        read: u8,
    },
    /// `DescribeExecution`.
    LookAtExecution(u8),
    /// `DescribeApplication`.
    LookAtApplication,
    /// `DescribeApplicationOperation`.
    LookAtOperation(u8),
    /// `ListApplicationOperations`, its first two entries.
    NewestOperations,
    /// The same of one name, its first entry.
    NewestOperation(Name),
    /// `ListApplicationSnapshots`.
    Snapshots,
    /// Flink's REST API.
    LookAtJob,
    /// `CloudWatch`.
    Restarts,
    Write(Write, u8),
}

impl Call {
    /// Whether it changes something.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::Write(..) | Self::WriteTurns { .. })
    }
}

/// What a call is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Turns(Table),
    Written(bool),
    Execution(Seen),
    Application(View),
    Operation(service::Operation),
    Newest(Vec<(u8, Name, Ended)>),
    /// The versions of the snapshots, the oldest first.
    Snapshots(Vec<u8>),
    Job {
        is_bad: bool,
    },
    Restarts {
        are_many: bool,
    },
    Accepted {
        operation: u8,
        version: Option<u8>,
    },
    Refused(Refused),
    /// No answer came.
    None,
}

/// What Step Functions says of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    Running,
    Over,
    Unknown,
}

impl From<Seen> for State {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Running => Self::Running,
            Seen::Over => Self::Over,
            Seen::Unknown => Self::Unknown,
        }
    }
}

/// Why a handler does not come to its end.
#[derive(Debug)]
pub(crate) enum Pause {
    /// It waits for the answer to this call.
    Call(Call),
    /// It fails with this error, which the state machine may retry.
    Failed,
    /// It fails with this error, for good.
    FailedForGood,
}

/// A call that was not done, as handlers see it.
enum Failure {
    Refused(Refused),
    Unanswered,
}

impl Failure {
    fn to_unreadable(&self, what: &str) -> Unreadable {
        let why = match self {
            Self::Unanswered => "no answer in time",
            Self::Refused(_) => "refused",
        };
        Unreadable::new(what, why)
    }
}

impl From<Failure> for Pause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unanswered => Self::Failed,
            Failure::Refused(_) => Self::FailedForGood,
        }
    }
}

/// How long a policy of the model waits, in seconds: all the same, so that they are over together, but for the deadline.
const TIME_OUT_SECONDS: u32 = 1_000;
const DEADLINE_SECONDS: u32 = 3_000;
/// What the clock shows after no, one and two passings of time.
const CLOCK_SECONDS: [i64; 3] = [0, 1_500, 4_000];
/// How often the time may pass.
pub(crate) const LATEST_CLOCK: u8 = 2;
/// Restarts that the looks at a crash loop show: more than a policy tolerates.
const MANY_RESTARTS: u64 = 3;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// The configuration that an execution's update makes.
pub(crate) fn configuration_of(who: u8) -> u8 {
    who + 1
}

/// What there is to know of one execution from the start.
#[derive(Debug, Clone)]
struct Plan {
    request: Request,
    claim: Claim,
}

impl Plan {
    fn new(who: u8, change: Change, sabotage: Sabotage) -> Option<Self> {
        let order = match change {
            Change::Upload { order } => Some(order),
            _ => None,
        };
        let version = order.map_or(configuration_of(who), |order| order + 1);
        let update = json!({ "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": {
            "CodeContentUpdate": { "S3ContentLocationUpdate": { "ObjectVersionUpdate": object_version(version) } } } } });
        let input = match change {
            Change::Upload { .. } | Change::Update => json!({ "application": "orders", "update": update }),
            Change::Restart { is_forced } => {
                let stop = if is_forced { "force" } else { "graceful" };
                json!({ "application": "orders", "stop": stop, "start": true })
            }
            Change::Correction => {
                json!({ "application": "orders", "update": update, "stop": "force", "start": true })
            }
        };
        let mut request = Request::parse(&input).ok()?;
        request.policy = Policy {
            operation_timeout_seconds: TIME_OUT_SECONDS,
            settle_timeout_seconds: TIME_OUT_SECONDS,
            evidence_timeout_seconds: TIME_OUT_SECONDS,
            deadline_seconds: DEADLINE_SECONDS,
            settle_seconds: 0,
            bake_seconds: 0,
            ..Policy::default()
        };
        request.upload = order.map(|order| Upload {
            bucket: "code".into(),
            key: "orders.jar".into(),
            version_id: object_version(version),
            sequencer: format!("{order:02x}"),
            at: at(order.into()),
        });
        let upload = request.upload.clone().filter(|_| sabotage != Sabotage::UploadIsNotClaimed);
        let claim = Claim::new(arn(who), at(who.into()), upload);
        Some(Self { request, claim })
    }
}

fn arn(who: u8) -> String {
    format!("arn:aws:states:eu-central-1:123456789012:execution:deploy:{who}")
}

fn who_is(arn: &str) -> u8 {
    arn.rsplit(':').next().and_then(|name| name.parse().ok()).unwrap_or(u8::MAX)
}

fn object_version(configuration: u8) -> String {
    format!("v{configuration}")
}

/// The executions' side of the model: their requests, and every deployment that has come up.
#[derive(Debug)]
pub(crate) struct Handlers {
    plans: Vec<Plan>,
    sabotage: Sabotage,
    deployments: Vec<Deployment>,
    numbers: BTreeMap<String, u32>,
}

impl Handlers {
    pub(crate) fn new(changes: &[Change], sabotage: Sabotage) -> Self {
        let plans = changes.iter().zip(0..).filter_map(|(change, who)| Plan::new(who, *change, sabotage)).collect();
        Self { plans, sabotage, deployments: Vec::new(), numbers: BTreeMap::new() }
    }

    /// An execution before its start.
    pub(crate) fn unborn(&mut self, who: u8) -> Execution {
        let deployment = Deployment::new(&self.plan(who).request, &who.to_string(), at(0));
        Execution {
            who,
            life: Life::Unborn,
            task: Task::TakeTurn,
            deployment: self.number(deployment),
            answers: Vec::new(),
            has_failed: false,
            is_idle: false,
            clock: 0,
            is_redriven: false,
        }
    }

    fn plan(&self, who: u8) -> &Plan {
        &self.plans[usize::from(who)]
    }

    /// The configuration that an execution's update makes, if it makes one.
    pub(crate) fn configuration(&self, who: u8) -> Option<u8> {
        let update = &self.plan(who).request.update;
        (!update.is_empty()).then(|| configuration_in(update))
    }

    /// Whether an execution starts a stopped application.
    pub(crate) fn is_to_start(&self, who: u8) -> bool {
        self.plan(who).request.start
    }

    /// The upload that an execution deploys, if it deploys one.
    pub(crate) fn upload(&self, who: u8) -> Option<&Upload> {
        self.plan(who).request.upload.as_ref()
    }

    pub(crate) fn deployment(&self, number: u32) -> &Deployment {
        &self.deployments[number as usize]
    }

    pub(crate) fn count(&self) -> usize {
        self.deployments.len()
    }

    /// The outcome of an execution that has ended.
    pub(crate) fn outcome(&self, execution: &Execution) -> Option<Outcome> {
        let report = self.deployment(execution.deployment).report.as_ref();
        (execution.life == Life::Over).then(|| report.map_or(Outcome::NeedsAttention, |report| report.outcome))
    }

    /// The number of a deployment, without what no decision rests on: what is told, and counts beyond where they count.
    fn number(&mut self, mut deployment: Deployment) -> u32 {
        deployment.events.clear();
        deployment.decided = None;
        deployment.failure.clear();
        deployment.data.found_bad_at = None;
        deployment.data.bad_version = None;
        deployment.wait_seconds = 0;
        deployment.refused_times = deployment.refused_times.min(1);
        if let Some(job) = &mut deployment.job {
            job.good_looks = job.good_looks.min(2);
        }
        if let Some(report) = &mut deployment.report {
            report.summary.clear();
            report.events.clear();
            report.failure.clear();
            report.timings = None;
        }
        let key = serde_json::to_string(&deployment).unwrap_or_default();
        let next = u32::try_from(self.deployments.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.deployments.push(deployment);
        }
        number
    }

    /// The call that an execution's task stands at; none where the task has failed.
    pub(crate) fn pending(&self, execution: &Execution) -> Option<Call> {
        if execution.has_failed {
            return None;
        }
        match self.run(execution) {
            Err(Pause::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// The execution once its call has been answered.
    pub(crate) fn answered(&mut self, execution: &Execution, answer: Answer) -> Execution {
        let mut after = execution.clone();
        after.answers.push(answer);
        match self.run(&after) {
            Err(Pause::Call(_)) => after,
            Err(Pause::Failed) => Self::failed(execution),
            Err(Pause::FailedForGood) => {
                let failed = Self::failed(execution);
                self.given_up(&failed, "UnexpectedError")
            }
            Ok(deployment) => self.done(after, deployment),
        }
    }

    /// The task has failed, or its Lambda has died.
    pub(crate) fn failed(execution: &Execution) -> Execution {
        let mut after = Execution { answers: Vec::new(), has_failed: true, is_idle: false, ..execution.clone() };
        if let Life::Aborted { is_lambda_alive } = &mut after.life {
            *is_lambda_alive = false;
            after.has_failed = false;
        }
        after
    }

    /// The state machine tries the task again.
    pub(crate) fn retried(execution: &Execution) -> Execution {
        Execution { has_failed: false, ..execution.clone() }
    }

    /// The state machine's Catch takes the task's error.
    pub(crate) fn given_up(&mut self, execution: &Execution, error: &str) -> Execution {
        let mut deployment = self.deployment(execution.deployment).clone();
        let state = format!("{:?}", execution.task);
        deployment.error = Some(StepError { state, error: error.into(), cause: None });
        let mut after = Execution { has_failed: false, answers: Vec::new(), is_idle: false, ..execution.clone() };
        if matches!(execution.life, Life::Aborted { .. }) {
            return after;
        }
        match execution.task {
            Task::TakeTurn | Task::Prepare => after.life = Life::Over,
            Task::DecideRollback if deployment.is_late(Self::now(execution)) => after.life = Life::Over,
            _ => after.task = Task::DecideRollback,
        }
        after.deployment = self.number(deployment);
        after
    }

    /// The task is done.
    fn done(&mut self, mut execution: Execution, deployment: Deployment) -> Execution {
        execution.answers.clear();
        if let Life::Aborted { is_lambda_alive } = &mut execution.life {
            // Nobody heeds what the Lambda returns.
            *is_lambda_alive = false;
            return execution;
        }
        let next = Task::after(deployment.next);
        let number = self.number(deployment);
        let task = next.unwrap_or(execution.task);
        let is_idle = next.is_some() && task == execution.task && number == execution.deployment;
        let life = if next.is_some() { Life::Running } else { Life::Over };
        // Time is forgotten at the end: nothing depends on it any more.
        let clock = if next.is_some() { execution.clock } else { 0 };
        Execution { task, deployment: number, is_idle, life, clock, ..execution }
    }

    /// Time passes for an execution that awaits nothing else.
    pub(crate) fn later(execution: &Execution) -> Execution {
        Execution { clock: execution.clock + 1, is_idle: false, ..execution.clone() }
    }

    fn now(execution: &Execution) -> Timestamp {
        at(CLOCK_SECONDS.get(usize::from(execution.clock)).copied().unwrap_or_default())
    }

    /// Runs an execution's task with the answers that have come in.
    fn run(&self, execution: &Execution) -> Result<Deployment, Pause> {
        let now = Self::now(execution);
        let deployment = self.deployment(execution.deployment).clone();
        let calls = Calls { answers: execution.answers.iter(), sabotage: self.sabotage };
        let handler = Handler { plans: &self.plans, plan: self.plan(execution.who), calls, deployment, now };
        match execution.task {
            Task::TakeTurn => handler.take_turn(),
            Task::Prepare => handler.prepare(),
            Task::SubmitUpdate => handler.submit_update(),
            Task::CheckOperation => handler.check_operation(),
            Task::CheckSubtasks => handler.check_subtasks(),
            Task::DecideRollback => handler.decide_rollback(),
            Task::RollBack => handler.roll_back(),
            Task::ForceStop => handler.force_stop(),
            Task::Restore => handler.restore(),
        }
    }
}

/// The answers to a task's calls, one after the other.
struct Calls<'a> {
    answers: std::slice::Iter<'a, Answer>,
    sabotage: Sabotage,
}

impl Calls<'_> {
    fn call(&mut self, call: Call) -> Result<Result<Answer, Failure>, Pause> {
        match self.answers.next() {
            None => Err(Pause::Call(call)),
            Some(Answer::None) => Ok(Err(Failure::Unanswered)),
            Some(Answer::Refused(refused)) => Ok(Err(Failure::Refused(*refused))),
            Some(answer) => Ok(Ok(answer.clone())),
        }
    }

    fn turns(&mut self) -> Result<Table, Pause> {
        match self.call(Call::ReadTurns)?? {
            Answer::Turns(table) => Ok(table),
            _ => Err(Pause::FailedForGood),
        }
    }

    fn write_turns(&mut self, after: Table, read: u8) -> Result<bool, Pause> {
        match self.call(Call::WriteTurns { after, read })?? {
            Answer::Written(is_written) => Ok(is_written),
            _ => Err(Pause::FailedForGood),
        }
    }

    fn execution(&mut self, who: u8) -> Result<State, Pause> {
        match self.call(Call::LookAtExecution(who))?? {
            Answer::Execution(seen) => Ok(seen.into()),
            _ => Err(Pause::FailedForGood),
        }
    }

    fn view(&mut self) -> Result<Result<View, Failure>, Pause> {
        match self.call(Call::LookAtApplication)? {
            Ok(Answer::Application(view)) => Ok(Ok(view)),
            Ok(_) => Err(Pause::FailedForGood),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The application as evidence, unread or not.
    fn application(&mut self) -> Result<Observed<Option<Application>>, Pause> {
        let view = self.view()?;
        Ok(view.map(|view| Some(application(view))).map_err(|failure| failure.to_unreadable("the application")))
    }

    fn operation(&mut self, id: u8) -> Result<Result<Operation, Failure>, Pause> {
        match self.call(Call::LookAtOperation(id))? {
            Ok(Answer::Operation(shown)) => Ok(Ok(operation(id, shown))),
            Ok(_) => Err(Pause::FailedForGood),
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn newest(&mut self, call: Call) -> Result<Result<Vec<OperationSummary>, Failure>, Pause> {
        let summary = |(id, name, status): (u8, Name, Ended)| OperationSummary {
            id: id.to_string(),
            name: name.word().into(),
            status: status.word().into(),
            started_at: None,
        };
        match self.call(call)? {
            Ok(Answer::Newest(newest)) => Ok(Ok(newest.into_iter().map(summary).collect())),
            Ok(_) => Err(Pause::FailedForGood),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The newest operation behind a rung.
    fn newest_of(&mut self, rung: Rung) -> Result<Option<OperationSummary>, Pause> {
        let name = Name::of(rung.operation()).ok_or(Pause::FailedForGood)?;
        Ok(self.newest(Call::NewestOperation(name))??.into_iter().next())
    }

    fn snapshots(&mut self) -> Result<Result<Vec<Snapshot>, Failure>, Pause> {
        let shown = match self.call(Call::Snapshots)? {
            Ok(Answer::Snapshots(versions)) => versions,
            Ok(_) => return Err(Pause::FailedForGood),
            Err(failure) => return Ok(Err(failure)),
        };
        let snapshot = |(name, version): (i64, &u8)| Snapshot {
            name: name.to_string(),
            status: "READY".into(),
            version: (*version).into(),
            created_at: Some(at(name)),
            key: None,
        };
        let mut snapshots: Vec<_> = (0..).zip(&shown).map(snapshot).collect();
        snapshots.reverse();
        Ok(Ok(snapshots))
    }

    fn write(&mut self, write: Write, rung: Rung) -> Result<Result<(u8, Option<u8>), Failure>, Pause> {
        match self.call(Call::Write(write, place_of(rung)))? {
            Ok(Answer::Accepted { operation, version }) => Ok(Ok((operation, version))),
            Ok(_) => Err(Pause::FailedForGood),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

fn application(view: View) -> Application {
    Application {
        version: view.version.into(),
        status: view.status.into(),
        runtime: "FLINK-1_20".into(),
        code: Some(code(view.configuration)),
        snapshots_enabled: true,
        system_rollback_enabled: false,
        checkpointing_enabled: true,
        checkpoint_interval_seconds: None,
    }
}

fn code(configuration: u8) -> Code {
    Code {
        bucket_arn: "arn:aws:s3:::code".into(),
        key: "orders.jar".into(),
        object_version: Some(object_version(configuration)),
    }
}

/// `ApplicationDetail`, as far as the model's updates go.
fn detail(configuration: u8) -> Value {
    json!({ "ApplicationConfigurationDescription": { "ApplicationCodeConfigurationDescription": {
        "CodeContentType": "ZIPFILE",
        "CodeContentDescription": { "S3ApplicationCodeLocationDescription": {
            "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar",
            "ObjectVersion": object_version(configuration) } } } } })
}

/// The configuration that an update makes.
fn configuration_in(update: &serde_json::Map<String, Value>) -> u8 {
    let version = update.get("ApplicationConfigurationUpdate").and_then(|update| {
        update.pointer(
            "/ApplicationCodeConfigurationUpdate/CodeContentUpdate/S3ContentLocationUpdate/ObjectVersionUpdate",
        )
    });
    version.and_then(Value::as_str).and_then(|text| text.strip_prefix('v')?.parse().ok()).unwrap_or(u8::MAX)
}

fn operation(id: u8, shown: service::Operation) -> Operation {
    Operation {
        id: id.to_string(),
        name: shown.name.word().into(),
        status: shown.status.word().into(),
        error: None,
        rollback_operation_id: shown.rolled_back_by.map(|id| id.to_string()),
        version_from: shown.versions.map(|(from, _)| from.into()),
        version_to: shown.versions.map(|(_, to)| to.into()),
        started_at: None,
    }
}

fn job(is_bad: bool) -> Job {
    Job {
        id: "job".into(),
        submitted_at: None,
        state: "RUNNING".into(),
        tasks: Tasks { total: 1, running: 1, ..Tasks::default() },
        restarts: Some(if is_bad { MANY_RESTARTS } else { 0 }),
        completed_checkpoints: Some(1),
        failed_checkpoints: None,
        failure: None,
    }
}

/// What came of a call that changes the application; after `handler::Made`.
enum Made {
    Began { operation: Option<u8>, version: Option<u8> },
    Busy,
    Rejected,
    Impossible(Reason),
    Overtaken(u8),
}

fn number(version: u64) -> u8 {
    u8::try_from(version).unwrap_or(u8::MAX)
}

fn id_in(text: &str) -> u8 {
    text.parse().unwrap_or(u8::MAX)
}

fn restore_of(restore: &lifecycle::request::Restore) -> Restore {
    match (restore.restore_type, &restore.snapshot) {
        (RestoreType::Custom, Some(name)) => Restore::Snapshot(id_in(name)),
        (RestoreType::Skip, _) => Restore::Skip,
        (RestoreType::Latest | RestoreType::Custom, _) => Restore::Latest,
    }
}

/// One run of one handler.
struct Handler<'a> {
    plans: &'a [Plan],
    plan: &'a Plan,
    calls: Calls<'a>,
    deployment: Deployment,
    now: Timestamp,
}

/// How often a claim that was crossed by another is made anew; as in `turns`.
const MOST_TRIES: usize = 8;

impl Handler<'_> {
    /// `take-turn`, over `turns`.
    fn take_turn(mut self) -> Result<Deployment, Pause> {
        let claim = &self.plan.claim;
        let mut known = BTreeMap::new();
        for _ in 0..MOST_TRIES {
            let read = self.calls.turns()?;
            let turns = self.turns(&read);
            let (after, answer) = loop {
                let mut after = turns.clone();
                match after.ask(claim, &known, at(0)) {
                    TurnAnswer::LookAt { execution } => {
                        let state = self.calls.execution(who_is(&execution))?;
                        known.insert(execution, state);
                    }
                    answer => break (after, answer),
                }
            };
            let is_written = after == turns
                || self.calls.sabotage == Sabotage::TurnIsNotWritten && answer == TurnAnswer::Yours
                || self.calls.write_turns(table(&after, read.revision + 1), read.revision)?;
            if is_written {
                heed(&mut self.deployment, answer, self.now);
                return Ok(self.deployment);
            }
        }
        Err(Pause::Failed)
    }

    /// The item as `lifecycle` knows it.
    fn turns(&self, table: &Table) -> Turns {
        let claim = |who: u8| self.plans[usize::from(who)].claim.clone();
        let place = |who: &u8| Place { claim: claim(*who), since: at(0) };
        Turns {
            holder: table.holder.as_ref().map(place),
            waiting: table.waiting.iter().map(place).collect(),
            newest_upload: table.newest_upload.map(claim),
        }
    }

    /// `submit-update`, at first.
    fn prepare(mut self) -> Result<Deployment, Pause> {
        let view = self.calls.view()??;
        let snapshots = self.calls.snapshots()??;
        let look = PreflightLook {
            application: Some(application(view)),
            detail: detail(view.configuration),
            snapshots,
            ..PreflightLook::default()
        };
        // The model's policies ask for no snapshot, so that nothing is left to do.
        prepare(&mut self.deployment, &self.plan.request, &look, self.now);
        Ok(self.deployment)
    }

    /// `submit-update`, once it is prepared.
    fn submit_update(mut self) -> Result<Deployment, Pause> {
        if self.deployment.rung == Rung::Start {
            let restore = self.deployment.restore.clone();
            let made = self.start(&restore)?;
            return Ok(self.note(made));
        }
        let update = &self.plan.request.update;
        let version = match self.calls.sabotage {
            Sabotage::FenceIsMoved => self.calls.view()??.version,
            _ => number(self.deployment.version),
        };
        let restore = restore_of(&self.plan.request.restore);
        let write = Write::Update { version, configuration: configuration_in(update), restore };
        match self.fenced(write, |shown| is_in_effect(update, &detail(shown)))? {
            Made::Rejected => {
                refuse_update(&mut self.deployment, RefusedFor::Other, "refused", self.now);
                Ok(self.deployment)
            }
            made => Ok(self.note(made)),
        }
    }

    /// `check-operation`.
    fn check_operation(mut self) -> Result<Deployment, Pause> {
        let application = self.calls.application()?;
        let followed = self.deployment.began.as_ref().and_then(|began| began.operation_id.as_deref()).map(id_in);
        let operation = match followed {
            Some(id) => {
                let operation = self.calls.operation(id)?;
                Some(operation.map_err(|failure| failure.to_unreadable("the operation")))
            }
            None => None,
        };
        let answer = operation.as_ref().and_then(|it| it.as_ref().ok()?.rollback_operation_id.as_deref()).map(id_in);
        let system_rollback = match answer {
            Some(id) => self.calls.operation(id)?.ok(),
            None => None,
        };
        let look = OperationLook { operation, system_rollback, application };
        judge_operation(&mut self.deployment, &look, self.now);
        Ok(self.deployment)
    }

    fn telling(&self, newest: Vec<OperationSummary>) -> Option<OperationSummary> {
        match self.calls.sabotage {
            Sabotage::StopBeforeUpdateIsIgnored => newest.into_iter().next(),
            _ => telling(&self.deployment, newest),
        }
    }

    /// `check-subtasks`.
    fn check_subtasks(mut self) -> Result<Deployment, Pause> {
        let application = self.calls.application()?;
        let status = application.as_ref().ok().and_then(Option::as_ref).map(|application| &application.status);
        let job = match status {
            Some(ApplicationStatus::Running) => Some(match self.calls.call(Call::LookAtJob)? {
                Ok(Answer::Job { is_bad }) => Ok(Some(job(is_bad))),
                Ok(_) => return Err(Pause::FailedForGood),
                Err(failure) => Err(failure.to_unreadable("the job")),
            }),
            _ => None,
        };
        let newest_operation = match status {
            Some(status) if status.is_stopped() => {
                let newest = self.calls.newest(Call::NewestOperations)?.map(|newest| self.telling(newest));
                Some(newest.map_err(|failure| failure.to_unreadable("the application's operations")))
            }
            _ => None,
        };
        judge_job(&mut self.deployment, &JobLook { application, job, newest_operation }, self.now);
        Ok(self.deployment)
    }

    /// `decide-rollback`.
    fn decide_rollback(mut self) -> Result<Deployment, Pause> {
        let application = self.calls.application()?;
        if may_be_stopped_by_someone(&self.deployment, &application) {
            let newest = self.calls.newest(Call::NewestOperations)?.map(|newest| self.telling(newest));
            let newest = newest.map_err(|failure| failure.to_unreadable("the application's operations"));
            recognize_stop(&mut self.deployment, newest, self.now);
        }
        let wanted = wanted(&self.deployment);
        let restarts = match (&application, &self.deployment.job) {
            (Ok(Some(_)), Some(_)) if wanted.metrics => Some(match self.calls.call(Call::Restarts)? {
                Ok(Answer::Restarts { are_many }) => {
                    Ok(Restarts { count: if are_many { MANY_RESTARTS } else { 0 }, last_at: None })
                }
                Ok(_) => return Err(Pause::FailedForGood),
                Err(failure) => Err(failure.to_unreadable("CloudWatch metrics")),
            }),
            _ => None,
        };
        let snapshots = if wanted.snapshots {
            Some(self.calls.snapshots()?.map_err(|failure| failure.to_unreadable("the snapshots")))
        } else {
            None
        };
        let evidence = Evidence { application, restarts, alarms: None, snapshots };
        decide(&mut self.deployment, &evidence, self.now);
        Ok(self.deployment)
    }

    /// `roll-back`.
    fn roll_back(mut self) -> Result<Deployment, Pause> {
        let version = number(self.deployment.version);
        let made = self.fenced(Write::Rollback { version }, |_| true)?;
        Ok(self.note(made))
    }

    /// `force-stop`.
    fn force_stop(mut self) -> Result<Deployment, Pause> {
        let stop = self.deployment.way_to_stop();
        if self.calls.sabotage != Sabotage::StopWithoutLook {
            let view = self.calls.view()??;
            let status = ApplicationStatus::from(view.status);
            let is_stopping = status == ApplicationStatus::ForceStopping
                || (stop == Stop::Graceful && status == ApplicationStatus::Stopping);
            if u64::from(view.version) != self.deployment.version {
                self.deployment.overtaken(view.version.into(), self.now);
                return Ok(self.deployment);
            }
            if status.is_stopped() {
                self.deployment.begin(None, None, self.now);
                return Ok(self.deployment);
            }
            if is_stopping {
                let begun = self.calls.newest_of(self.deployment.rung)?;
                self.deployment.begin(begun.map(|begun| begun.id), None, self.now);
                return Ok(self.deployment);
            }
        }
        let rung = self.deployment.rung;
        match self.calls.write(Write::Stop { is_forced: stop == Stop::Force }, rung)? {
            Ok((operation, _)) => self.deployment.begin(Some(operation.to_string()), None, self.now),
            Err(Failure::Unanswered) => return Err(Pause::Failed),
            Err(Failure::Refused(_)) => self.deployment.reject("refused", self.now),
        }
        Ok(self.deployment)
    }

    /// `restore`.
    fn restore(mut self) -> Result<Deployment, Pause> {
        let restore_back = self.deployment.restore_back();
        if self.deployment.rung == Rung::StartBack {
            let made = self.start(&restore_back)?;
            return Ok(self.note(made));
        }
        let Some(baseline) = self.deployment.baseline.clone() else { return Err(Pause::FailedForGood) };
        // What a version holds never changes, so that reading it is no step: it is the code that was noted.
        let code = baseline.code.as_ref().and_then(|code| code.object_version.as_deref()?.strip_prefix('v'));
        let before = detail(code.map_or(u8::MAX, id_in));
        let view = self.calls.view()??;
        if let Some(lost) = lost_code(&self.deployment, application(view).code.as_ref()) {
            return Ok(self.note(Made::Impossible(lost)));
        }
        let update = put_back(&detail(view.configuration), &before, baseline.code.as_ref());
        if u64::from(view.version) == self.deployment.version && update.is_empty() {
            return Ok(self.note(Made::Began { operation: None, version: None }));
        }
        let version = number(self.deployment.version);
        let configuration = if update.is_empty() { view.configuration } else { configuration_in(&update) };
        let write = Write::Update { version, configuration, restore: restore_of(&restore_back) };
        let made = self.fenced(write, |shown| put_back(&detail(shown), &before, None).is_empty())?;
        Ok(self.note(made))
    }

    /// `handler::adopt_versioned`: a call that carries a version, and what to make of its answer.
    fn fenced(&mut self, write: Write, is_ours: impl Fn(u8) -> bool) -> Result<Made, Pause> {
        let rung = self.deployment.rung;
        let failure = match self.calls.write(write, rung)? {
            Ok((operation, version)) => return Ok(Made::Began { operation: Some(operation), version }),
            Err(failure) => failure,
        };
        if self.calls.sabotage == Sabotage::NothingIsAdopted {
            return Ok(Made::Rejected);
        }
        let view = self.calls.view()??;
        if let Some(newest) = self.calls.newest_of(rung)? {
            let operation = self.calls.operation(id_in(&newest.id))??;
            let is_stale = operation.version_to.is_some_and(|version| version > u64::from(view.version));
            if is_stale && self.calls.sabotage != Sabotage::StaleLookIsBelieved {
                return Err(Pause::Failed);
            }
            let is_next = operation.version_to.is_none_or(|version| version >= u64::from(view.version));
            let is_from_ours = operation.version_from == Some(self.deployment.version);
            if is_from_ours && is_next && is_ours(view.configuration) {
                let version = operation.version_to.map_or(view.version, number);
                return Ok(Made::Began { operation: Some(id_in(&operation.id)), version: Some(version) });
            }
        }
        self.not_made(view, &failure)
    }

    /// `handler::start`.
    fn start(&mut self, restore: &lifecycle::request::Restore) -> Result<Made, Pause> {
        let view = self.calls.view()??;
        if u64::from(view.version) != self.deployment.version {
            return Ok(Made::Overtaken(view.version));
        }
        let rung = self.deployment.rung;
        if matches!(view.status, service::Status::Starting | service::Status::Running) {
            let newest = self.calls.newest_of(rung)?;
            return Ok(Made::Began { operation: newest.map(|newest| id_in(&newest.id)), version: None });
        }
        let restore = match self.calls.sabotage {
            Sabotage::StateIsNotStated => Restore::Skip,
            _ => restore_of(restore),
        };
        match self.calls.write(Write::Start { restore }, rung)? {
            Ok((operation, version)) => Ok(Made::Began { operation: Some(operation), version }),
            Err(Failure::Unanswered) => Err(Pause::Failed),
            Err(failure) => self.not_made(view, &failure),
        }
    }

    /// `handler::not_made`.
    fn not_made(&self, view: View, failure: &Failure) -> Result<Made, Pause> {
        if u64::from(view.version) > self.deployment.version {
            return Ok(Made::Overtaken(view.version));
        }
        match failure {
            Failure::Unanswered => Err(Pause::Failed),
            Failure::Refused(Refused::InUse | Refused::OtherVersion)
                if ApplicationStatus::from(view.status).is_passing() =>
            {
                Ok(Made::Busy)
            }
            Failure::Refused(_) => Ok(Made::Rejected),
        }
    }

    /// `handler::Made::note_in`.
    fn note(mut self, made: Made) -> Deployment {
        let now = self.now;
        let deployment = &mut self.deployment;
        match made {
            Made::Began { operation, version } => {
                deployment.begin(operation.map(|id| id.to_string()), version.map(u64::from), now);
            }
            Made::Busy => {
                // It is tried every half minute: once time has passed, that was often.
                if now > at(0) {
                    deployment.refused_times = OFTEN;
                }
                deployment.busy("at work", now);
            }
            Made::Rejected => deployment.reject("refused", now),
            Made::Impossible(reason) => deployment.fail(reason, now),
            Made::Overtaken(found) => deployment.overtaken(found.into(), now),
        }
        self.deployment
    }
}

/// So often a call has been tried in vain by the time that an operation's time-out is over.
const OFTEN: u32 = 50;

/// The item as it is written.
fn table(turns: &Turns, revision: u8) -> Table {
    let who = |claim: &Claim| who_is(&claim.execution);
    Table {
        holder: turns.holder.as_ref().map(|place| who(&place.claim)),
        waiting: turns.waiting.iter().map(|place| who(&place.claim)).collect(),
        newest_upload: turns.newest_upload.as_ref().map(who),
        revision,
    }
}
