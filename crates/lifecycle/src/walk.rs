//! Random walks through the shipped state machine definition with the shipped decisions, where the service, the job and
//! every call do what a dice says: whatever happens, a walk ends in an outcome by its deadline, takes each rung at most once,
//! touches nothing that it should not, and accepts no job that it did not see well for the whole of the bake. The walks are
//! the same in every run.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{decide, wanted};
use crate::deployment::{Deployment, JobWatch, Next, Rung, StepError};
use crate::evidence::{
    Alarm, Application, Evidence, Job, Observed, Operation, OperationSummary, Restarts, Snapshot, Tasks, Unreadable,
};
use crate::fixtures::STATUSES;
use crate::policy::OnFailure;
use crate::preflight::{Preflight, PreflightLook, RefusedFor, prepare, refuse_update};
use crate::report::{Outcome, Report};
use crate::request::{Request, RestoreType};
use crate::status::{ApplicationStatus, JobState, OperationStatus, SnapshotStatus};
use crate::turn::{Answer, heed, resume};
use crate::verdict::Reason;
use crate::watch::{JobLook, OperationLook, judge_job, judge_operation};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const WALKS: u64 = 2_000;
/// More steps than any walk within its deadline can take: each costs at least a second.
const MOST_STEPS: usize = 20_000;
/// The longest wait of the machine and a few steps: so late after its deadline may a walk end.
const GRACE: SignedDuration = SignedDuration::from_secs(330);
/// What the state machine may carry between two states; well below Step Functions' 262,144 bytes.
const LARGEST_DOCUMENT_BYTES: usize = 100_000;

const OPERATION_STATUSES: [&str; 5] = ["IN_PROGRESS", "SUCCESSFUL", "FAILED", "CANCELLED", "PAUSED"];
const JOB_STATES: [&str; 12] = [
    "INITIALIZING",
    "CREATED",
    "RUNNING",
    "FAILING",
    "FAILED",
    "CANCELLING",
    "CANCELED",
    "FINISHED",
    "RESTARTING",
    "SUSPENDED",
    "RECONCILING",
    "DREAMING",
];

/// `statemachine/deploy.asl.json`, as far as a walk needs it.
struct Machine(Value);

impl Machine {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../statemachine/deploy.asl.json");
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    fn state(&self, name: &str) -> &Value {
        self.0["States"].get(name).unwrap_or_else(|| panic!("there is no state {name}"))
    }

    /// Where a Choice goes for this word, and whether a condition names the word.
    fn choose(&self, name: &str, word: &str) -> (String, bool) {
        let state = self.state(name);
        let condition = format!("{{% $states.input.next = '{word}' %}}");
        let named =
            state["Choices"].as_array().unwrap().iter().find(|choice| choice["Condition"] == condition.as_str());
        let target = named.map_or(&state["Default"], |choice| &choice["Next"]);
        (target.as_str().unwrap().to_owned(), named.is_some())
    }
}

/// The state that does what a word asks for.
fn state_of(next: Next) -> String {
    match next {
        Next::Submit => "SubmitUpdate".into(),
        Next::Decide => "DecideRollback".into(),
        other => word(&other),
    }
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// What a step was last shown of the job, counted here independently of the decisions.
#[derive(Default)]
struct Shown {
    restarts: u64,
    counter: u64,
    last_restart: Option<Timestamp>,
    most_in_metrics: u64,
    good_look: Option<Timestamp>,
    end: Option<Timestamp>,
}

struct Walk {
    random: Rng,
    /// How often, of 100 times, things go as they should.
    luck: u8,
    now: Timestamp,
    deployment: Deployment,
    request: Request,
    counter: u64,
    shown: Shown,
    begun: Vec<Rung>,
    redrives: u64,
    other_version_at: Option<Timestamp>,
}

fn start() -> Timestamp {
    "2026-11-20T08:00:00Z".parse().unwrap()
}

fn request(random: &mut Rng) -> Request {
    let settle = random.u32(10..120);
    let (operation, settle_timeout, bake) = (random.u32(60..900), random.u32(130..2_000), random.u32(0..900));
    let needed = operation + settle_timeout + bake;
    let custom = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "before" });
    let restores = [json!({}), json!({}), json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" }), custom];
    let stop = [None, None, Some("graceful"), Some("force")][random.usize(..4)];
    let start = random.bool();
    let is_empty = (stop.is_some() || start) && random.bool();
    let update = if is_empty { json!({}) } else { json!({ "RuntimeEnvironmentUpdate": "FLINK-1_20" }) };
    let input = json!({
        "application": "orders",
        "update": update,
        "stop": stop,
        "start": start,
        "restore": restores[random.usize(..restores.len())],
        "policy": {
            "turnTimeoutSeconds": random.u32(0..4_000),
            "operationTimeoutSeconds": operation,
            "settleTimeoutSeconds": settle_timeout,
            "settleSeconds": settle,
            "bakeSeconds": bake,
            "toleratedRestarts": random.u32(0..4),
            "requireCheckpoint": random.bool(),
            "evidenceTimeoutSeconds": random.u32(60..6_000),
            "deadlineSeconds": random.u32(needed.max(300)..needed.max(300) * 4),
            "alarms": if random.bool() { json!(["lag"]) } else { json!([]) },
            "preDeploySnapshot": random.u8(..4) == 0,
            "onFailure": if random.u8(..5) == 0 { "hold" } else { "rollBack" },
        },
    });
    Request::parse(&input).unwrap()
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let request = request(&mut random);
        let deployment = Deployment::new(&request, "run-1", start());
        Self {
            luck: [40, 80, 95, 99][random.usize(..4)],
            random,
            now: start(),
            deployment,
            request,
            counter: 0,
            shown: Shown::default(),
            begun: Vec::new(),
            redrives: 0,
            other_version_at: None,
        }
    }

    fn is_lucky(&mut self) -> bool {
        self.random.u8(..100) < self.luck
    }

    fn one_of<'word>(&mut self, words: &[&'word str]) -> &'word str {
        words[self.random.usize(..words.len())]
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    fn unreadable() -> Unreadable {
        Unreadable::new("something", "the service did not answer")
    }

    /// The application, mostly as it should be, at times not to be read, stale, changed by others or gone.
    fn application(&mut self, expected: &ApplicationStatus) -> Observed<Option<Application>> {
        let luck = self.is_lucky();
        let dice = self.random.u8(..100);
        if !luck && dice < 15 {
            return Err(Self::unreadable());
        }
        if !luck && dice < 16 {
            return Ok(None);
        }
        let status = if luck { expected.clone() } else { self.one_of(&STATUSES).into() };
        let mut version = self.deployment.version;
        if self.other_version_at.is_some() || (!luck && dice < 18) {
            version += 1;
            self.other_version_at.get_or_insert(self.now);
        } else if !luck && dice < 25 {
            version = version.saturating_sub(1);
        }
        Ok(Some(self.application_at(version, status)))
    }

    fn application_at(&self, version: u64, status: ApplicationStatus) -> Application {
        Application {
            version,
            status,
            runtime: "FLINK-1_19".into(),
            code: None,
            snapshots_enabled: true,
            system_rollback_enabled: true,
            checkpoint_interval_seconds: None,
            checkpointing_enabled: self.request.policy.tolerated_restarts.is_multiple_of(2),
        }
    }

    fn snapshots(&mut self) -> Vec<Snapshot> {
        let baseline = self.deployment.baseline.as_ref().map_or(7, |baseline| baseline.version);
        let mut snapshots = vec![Snapshot {
            name: "before".into(),
            status: SnapshotStatus::Ready,
            version: baseline,
            created_at: Some(start()),
            key: None,
        }];
        if !self.is_lucky() {
            snapshots.clear();
        }
        snapshots.push(Snapshot {
            name: "of-the-bad-one".into(),
            status: SnapshotStatus::Ready,
            version: baseline + 1,
            created_at: Some(self.now),
            key: None,
        });
        snapshots
    }

    fn take_turn(&mut self) {
        if self.deployment.turn_at.is_some() {
            self.deployment.redrives = self.redrives;
            let holder = if self.is_lucky() { self.deployment.execution.clone() } else { "other".to_owned() };
            return resume(&mut self.deployment, Some(&holder), self.now);
        }
        let other = || "arn:aws:states:us-east-1:123456789012:execution:deploy:other".to_owned();
        let answer = match (self.is_lucky(), self.random.u8(..20)) {
            (true, _) => Answer::Yours,
            (_, 0) => Answer::Full,
            (_, 1) => Answer::Overtaken { by: other() },
            (_, _) => Answer::Wait { behind: other() },
        };
        heed(&mut self.deployment, answer, self.now);
    }

    /// Whether the execution was redriven just before this step, which asks for the turn again then.
    fn asks_again(&mut self) -> bool {
        if self.random.u8(..100) == 0 {
            self.redrives += 1;
        }
        self.deployment.asks_again(self.redrives)
    }

    fn prepare(&mut self) {
        if self.asks_again() {
            return;
        }
        let usual = self.one_of(&["RUNNING", "RUNNING", "READY"]);
        let luck = self.is_lucky();
        let status = if luck { usual } else { self.one_of(&STATUSES) };
        let mut snapshots = self.snapshots();
        if self.random.bool() {
            let status = self.one_of(&["CREATING", "READY", "READY", "FAILED"]).into();
            snapshots.push(Snapshot {
                name: "pre-deploy-run-1".into(),
                status,
                version: 7,
                created_at: Some(self.now),
                key: None,
            });
        }
        let runtime = if self.random.u8(..10) == 0 { "FLINK-1_20" } else { "FLINK-1_19" };
        let look = PreflightLook {
            application: Some(self.application_at(self.deployment.version.max(7), status.into())),
            detail: json!({ "RuntimeEnvironment": runtime }),
            snapshots,
            alarms: vec![Alarm { name: "lag".into(), is_raised: self.random.bool() }],
            ..PreflightLook::default()
        };
        if let Preflight::TakeSnapshot(name) = prepare(&mut self.deployment, &self.request, &look, self.now) {
            assert_eq!(name, "pre-deploy-run-1");
            assert!(self.request.policy.pre_deploy_snapshot);
        }
    }

    /// A step that acts, as the handlers note what came of it.
    fn act(&mut self) {
        if self.asks_again() {
            return;
        }
        let rung = self.deployment.rung;
        self.assert_may_act(rung);
        let makes_version = matches!(rung, Rung::Update | Rung::RollBack | Rung::PutBack);
        let version = self.deployment.version;
        if self.is_lucky() {
            let id = self.random.u8(..10) > 0;
            self.deployment.begin(id.then(|| "op".to_owned()), makes_version.then_some(version + 1), self.now);
            self.begun.push(rung);
            return;
        }
        match self.random.u8(..6) {
            0 | 1 => self.deployment.busy("the application is UPDATING", self.now),
            2 if rung == Rung::Update => {
                refuse_update(&mut self.deployment, RefusedFor::RoleOrCode, "cannot be used", self.now);
            }
            2 | 3 => self.deployment.reject("not now", self.now),
            4 => {
                let is_newer = self.random.bool();
                if is_newer {
                    self.other_version_at.get_or_insert(self.now);
                }
                self.deployment.overtaken(if is_newer { version + 1 } else { version.saturating_sub(1) }, self.now);
            }
            _ => self.deployment.go_on(Next::Decide, 0),
        }
    }

    fn assert_may_act(&self, rung: Rung) {
        let taken = &self.deployment.taken;
        assert_eq!(taken.last(), Some(&rung), "{:?}", self.deployment);
        assert!(!self.begun.contains(&rung), "{rung:?} is begun twice");
        let is_way_back = !matches!(rung, Rung::Stop | Rung::Update | Rung::Start);
        assert!(rung != Rung::Stop || self.request.stop.is_some(), "stopped though nobody asked for it");
        assert!(
            !(is_way_back && self.request.policy.on_failure == OnFailure::Hold),
            "{rung:?} though the policy holds"
        );
        if is_way_back && taken.contains(&Rung::Update) {
            assert!(self.begun.contains(&Rung::Update), "{rung:?} of an application that was not touched");
        }
        if rung == Rung::StartBack {
            let is_given_up = self.request.restore.restore_type == RestoreType::Skip;
            match (&self.deployment.restore_from, self.deployment.restore_back().restore_type) {
                (Some(name), RestoreType::Custom) => assert_eq!(name, "before"),
                (None, RestoreType::Skip) => assert!(is_given_up, "started without its state"),
                other => panic!("started with {other:?}"),
            }
        }
    }

    fn check_operation(&mut self) {
        let expected = self.deployment.expected_status();
        let luck = self.is_lucky();
        let status: OperationStatus =
            if luck { OperationStatus::Successful } else { self.one_of(&OPERATION_STATUSES).into() };
        let is_answered = status == OperationStatus::Failed && self.random.bool();
        let id = self.deployment.began.as_ref().and_then(|began| began.operation_id.clone());
        let operation = id.map(|id| {
            if !luck && self.random.u8(..8) == 0 {
                return Err(Self::unreadable());
            }
            Ok(Operation {
                id,
                name: self.deployment.rung.operation().into(),
                status,
                error: None,
                rollback_operation_id: is_answered.then(|| "system-rollback".to_owned()),
                version_from: None,
                version_to: None,
                started_at: None,
            })
        });
        let application = self.application(&expected);
        judge_operation(
            &mut self.deployment,
            &OperationLook { operation, system_rollback: None, application },
            self.now,
        );
    }

    fn check_subtasks(&mut self) {
        let application = self.application(&ApplicationStatus::Running);
        let status = application.as_ref().ok().and_then(Option::as_ref).map(|application| application.status.clone());
        let is_ours = application.as_ref().ok().and_then(Option::as_ref).map(|application| application.version)
            == Some(self.deployment.version);
        let mut look = JobLook { application, job: None, newest_operation: None };
        match status {
            Some(ApplicationStatus::Running) => {
                let job = self.job();
                if is_ours {
                    self.show(&job);
                }
                look.job = Some(job);
            }
            Some(status) if status.is_stopped() => {
                let name = self.one_of(&["UpdateApplication", "StopApplication", "StartApplication"]).to_owned();
                let status: OperationStatus = self.one_of(&OPERATION_STATUSES).into();
                if is_ours && status == OperationStatus::Successful && name != "StopApplication" {
                    self.shown.end = Some(self.now);
                }
                let newest = OperationSummary { id: "newest".into(), name, status, started_at: None };
                look.newest_operation = Some(Ok(Some(newest)));
            }
            _ => {}
        }
        judge_job(&mut self.deployment, &look, self.now);
    }

    fn job(&mut self) -> Observed<Option<Job>> {
        let luck = self.is_lucky();
        if !luck {
            match self.random.u8(..12) {
                0 => return Err(Self::unreadable()),
                1 => return Ok(None),
                2 | 3 => self.counter = self.random.u64(..2),
                4..=6 => self.counter += self.random.u64(1..3),
                _ => {}
            }
        }
        let state = if luck { JobState::Running } else { self.one_of(&JOB_STATES).into() };
        let running = if luck { 4 } else { self.random.u64(..5) };
        Ok(Some(Job {
            id: "aa".into(),
            submitted_at: None,
            state,
            tasks: Tasks { total: 4, running, waiting: 4 - running, ..Tasks::default() },
            restarts: (luck || self.random.u8(..6) > 0).then_some(self.counter),
            completed_checkpoints: if luck { Some(3) } else { [None, Some(0), Some(3)][self.random.usize(..3)] },
            failed_checkpoints: None,
            failure: None,
        }))
    }

    fn show(&mut self, job: &Observed<Option<Job>>) {
        let Ok(Some(job)) = job else { return };
        if let Some(counter) = job.restarts {
            let more = if counter >= self.shown.counter { counter - self.shown.counter } else { counter };
            self.shown.counter = counter;
            self.shown.restarts += more;
            if more > 0 {
                self.shown.last_restart = Some(self.now);
            }
        }
        if job.state == JobState::Finished {
            self.shown.end = Some(self.now);
        } else if job.state == JobState::Running && job.tasks.are_all_at_work() && job.restarts.is_some() {
            self.shown.good_look = Some(self.now);
        }
    }

    fn decide(&mut self) {
        let expected = match &self.deployment.job {
            Some(_) => ApplicationStatus::Running,
            None => self.deployment.expected_status(),
        };
        let application = self.application(&expected);
        let wanted = wanted(&self.deployment);
        // CloudWatch may know of a restart that no look has shown, and does not forget it.
        let unseen = u64::from(wanted.metrics && !self.is_lucky() && self.random.u8(..4) == 0);
        self.shown.most_in_metrics = self.shown.most_in_metrics.max(self.shown.restarts) + unseen;
        let count = self.shown.most_in_metrics;
        let restarts = wanted.metrics.then_some(Ok(Restarts { count, last_at: self.shown.last_restart }));
        let alarms = wanted.metrics.then(|| {
            let is_raised = self.random.u8(..60) == 0;
            Ok(vec![Alarm { name: "lag".into(), is_raised }])
        });
        let snapshots = wanted.snapshots.then(|| Ok(self.snapshots()));
        let mut evidence = Evidence { application, restarts, alarms, snapshots };
        if self.random.u16(..500) >= u16::from(self.luck) * 5 {
            evidence.restarts = evidence.restarts.map(|_| Err(Self::unreadable()));
        }
        let before = self.deployment.clone();
        decide(&mut self.deployment, &evidence, self.now);
        if self.deployment.taken != before.taken {
            self.shown = Shown::default();
            self.counter = 0;
            let (new, old) = self.deployment.taken.split_last().unwrap();
            assert_eq!(old, before.taken);
            let seen = evidence.application.as_ref().unwrap().as_ref().unwrap();
            if *new == Rung::SystemRollback {
                self.begun.push(*new);
            } else {
                assert_eq!(seen.version, before.version, "{new:?} of a version that is not ours");
            }
        }
        if let Some(report) = &self.deployment.report {
            self.assert_outcome(report);
        }
    }

    fn assert_outcome(&self, report: &Report) {
        let policy = &self.request.policy;
        let is_accepted = matches!(report.outcome, Outcome::Deployed | Outcome::RolledBack | Outcome::Restored);
        if !is_accepted {
            return;
        }
        assert!(self.begun.contains(&self.deployment.rung), "{report:?}");
        assert!(self.now < self.deployment.deadline, "{report:?}");
        let Some(JobWatch { is_finished: false, .. }) = self.deployment.job else {
            let is_stopped = self.deployment.job.is_none();
            assert!(is_stopped || self.shown.end.is_some(), "{report:?}");
            return;
        };
        assert!(self.shown.restarts <= u64::from(policy.tolerated_restarts), "{report:?}");
        assert!(self.shown.most_in_metrics <= u64::from(policy.tolerated_restarts), "{report:?}");
        let good_look = self.shown.good_look.unwrap();
        if let Some(last_restart) = self.shown.last_restart {
            let quiet = good_look.duration_since(last_restart).as_secs();
            assert!(quiet >= i64::from(policy.bake_seconds), "quiet for {quiet} s only: {report:?}");
        }
        let because_quiet = report.because.iter().any(|reason| matches!(reason, Reason::QuietFor { .. }));
        assert!(because_quiet, "{report:?}");
    }

    fn run(&mut self, machine: &Machine, seen: &mut Seen) -> Outcome {
        let mut state = machine.0["StartAt"].as_str().unwrap().to_owned();
        for _ in 0..MOST_STEPS {
            let definition = machine.state(&state);
            state = match definition["Type"].as_str().unwrap() {
                "Wait" => {
                    let seconds = definition["Seconds"].as_i64().unwrap_or(self.deployment.wait_seconds.into());
                    self.pass(seconds);
                    definition["Next"].as_str().unwrap().to_owned()
                }
                "Choice" => self.choose(machine, &state, seen),
                "Task" if state == "Notify" => return self.end(seen),
                "Task" => {
                    self.pass(1);
                    let fails = !matches!(state.as_str(), "TakeTurn" | "Prepare")
                        && !self.is_lucky()
                        && self.random.u8(..6) == 0;
                    if fails {
                        self.deployment.error =
                            Some(StepError { state, error: "Sandbox.Timedout".into(), cause: None });
                        definition["Catch"][0]["Next"].as_str().unwrap().to_owned()
                    } else {
                        self.step(&state);
                        if state == "DecideRollback" {
                            self.assert_document();
                        }
                        definition["Next"].as_str().unwrap().to_owned()
                    }
                }
                other => panic!("a walk does not know {other}"),
            };
        }
        panic!("a walk does not end: {:?}", self.deployment);
    }

    fn step(&mut self, state: &str) {
        match state {
            "TakeTurn" => self.take_turn(),
            "Prepare" => self.prepare(),
            "SubmitUpdate" | "RollBack" | "ForceStop" | "Restore" => self.act(),
            "CheckOperation" => self.check_operation(),
            "CheckSubtasks" => self.check_subtasks(),
            "DecideRollback" => self.decide(),
            other => panic!("a walk does not know the step {other}"),
        }
    }

    fn choose(&self, machine: &Machine, state: &str, seen: &mut Seen) -> String {
        if state == "IsThereTime" {
            let definition = machine.state(state);
            let is_time = self.now < self.deployment.deadline;
            let target = if is_time { &definition["Choices"][0]["Next"] } else { &definition["Default"] };
            return target.as_str().unwrap().to_owned();
        }
        let next = self.deployment.next;
        let (target, _) = machine.choose(state, &word(&next));
        assert_eq!(target, state_of(next), "{state} sends {next:?} elsewhere");
        seen.routes.entry(state.to_owned()).or_default().insert(word(&next));
        target
    }

    /// What travels between two states survives the journey, and fits.
    fn assert_document(&mut self) {
        let json = serde_json::to_string(&self.deployment).unwrap();
        assert!(json.len() < LARGEST_DOCUMENT_BYTES, "{} bytes", json.len());
        let read: Deployment = serde_json::from_str(&json).unwrap();
        assert_eq!(read, self.deployment);
        let distinct: BTreeSet<String> = self.deployment.taken.iter().map(word).collect();
        assert_eq!(distinct.len(), self.deployment.taken.len(), "{:?}", self.deployment.taken);
    }

    fn end(&self, seen: &mut Seen) -> Outcome {
        let ends_by = match self.deployment.turn_at {
            Some(_) => self.deployment.deadline,
            None => start() + SignedDuration::from_secs(i64::from(self.request.policy.turn_timeout_seconds)),
        };
        assert!(self.now <= ends_by + GRACE, "{:?}", self.deployment);
        // A walk whose deciding step failed until the deadline gets its report from the last step.
        let outcome = self.deployment.report.as_ref().map_or(Outcome::NeedsAttention, |report| report.outcome);
        seen.outcomes.insert(outcome);
        seen.rungs.extend(self.begun.iter().map(word));
        outcome
    }
}

/// What the walks have come across: proof that they go everywhere.
#[derive(Default)]
struct Seen {
    outcomes: BTreeSet<Outcome>,
    rungs: BTreeSet<String>,
    routes: BTreeMap<String, BTreeSet<String>>,
}

/// Which words each Choice is asked about, as the steps before it may say them.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let table: [(&str, &[Next]); 6] = [
        ("IsItsTurn", &[Next::Prepare, Next::WaitForTurn, Next::Decide, Next::Notify]),
        (
            "IsPrepared",
            &[Next::Submit, Next::ForceStop, Next::WaitToPrepare, Next::CheckSubtasks, Next::TakeTurn, Next::Notify],
        ),
        ("IsBegun", &[Next::WaitForOperation, Next::Bake, Next::TakeTurn, Next::Notify, Next::Decide]),
        ("OperationVerdict", &[Next::WaitForOperation, Next::CheckSubtasks, Next::Decide]),
        ("SubtasksVerdict", &[Next::WaitForSubtasks, Next::Decide]),
        (
            "Decision",
            &[
                Next::Bake,
                Next::CheckSubtasks,
                Next::WaitForSubtasks,
                Next::WaitForOperation,
                Next::Submit,
                Next::RollBack,
                Next::ForceStop,
                Next::Restore,
                Next::Notify,
            ],
        ),
    ];
    table.into_iter().map(|(state, words)| (state.to_owned(), words.iter().map(word).collect())).collect()
}

#[test]
fn every_walk_ends_as_it_should() {
    let machine = Machine::read();
    let mut seen = Seen::default();
    for seed in 0..WALKS {
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Walk::new(seed).run(&machine, &mut seen);
        }));
        assert!(walked.is_ok(), "the walk with seed {seed} went wrong");
    }
    assert_eq!(seen.outcomes.len(), 7, "{:?}", seen.outcomes);
    assert_eq!(seen.rungs.len(), 8, "{:?}", seen.rungs);
    assert_eq!(seen.routes, routes());
}

#[test]
fn every_word_has_a_condition_of_its_own_or_is_the_default() {
    let machine = Machine::read();
    for (state, words) in routes() {
        let conditions = machine.state(&state)["Choices"].as_array().unwrap().len();
        let named: Vec<_> = words.iter().filter(|word| machine.choose(&state, word).1).collect();
        assert_eq!(named.len(), words.len() - 1, "{state}: exactly one word is left to the default");
        assert_eq!(conditions, named.len(), "{state}: a condition that no step can meet");
    }
}
