//! What one seed draws: applications, what is asked for and when, the code that it brings, and all that goes wrong. A plan
//! is a list of parts, each of which can be left out on its own, so that a violation can be shrunk to the parts that it
//! needs, and replayed by the seed and the numbers of the others.

use std::collections::BTreeSet;
use std::fmt;

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use emulator::{Effect, Fault, Loss, Occurrences};
use fastrand::Rng;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::scenario::{Crash, CrashKind};
use crate::world::{App, noon};

/// The applications that there may be.
const APPLICATIONS: [&str; 2] = ["orders", "payments"];
/// Executions that get in each other's way begin within this time.
const BEGINNINGS_SECONDS: u64 = 600;

/// All that one seed draws.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many applications there are.
    pub applications: usize,
    /// All that was drawn; the place of a part is its number.
    pub parts: Vec<Part>,
    /// The numbers of the parts that are left out.
    pub left_out: BTreeSet<usize>,
}

/// One thing that was drawn.
#[derive(Debug, Clone)]
pub enum Part {
    /// An application is not as applications are as a rule.
    Quirk(&'static str, Quirk),
    /// Somebody asks for something.
    Asked(Asked),
    /// Something becomes of what was asked for under this number.
    Disturbed(usize, Disturbance),
    /// Something goes wrong with the services.
    Fault(Fault),
    /// Somebody else does something, or something happens to an application, so many seconds after the beginning.
    Around(&'static str, u64, Around),
    /// Snapshots are taken of all applications, and old ones pruned, so many seconds after the beginning.
    Snapshots(u64),
}

/// How an application differs from others.
#[derive(Debug, Clone)]
pub enum Quirk {
    /// It is stopped.
    Stopped,
    /// The service answers failed operations by itself.
    SystemRollback,
    /// Its configuration does not name its code's object version.
    Unpinned,
    /// It takes no snapshots.
    WithoutSnapshots,
    /// It has a snapshot that somebody took.
    HasSnapshot,
    /// It runs on this runtime.
    Runtime(&'static str),
    /// So many seconds lie between its checkpoints; none where it takes none.
    Checkpoints(Option<u32>),
    /// Its code does this.
    Code(Code),
}

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its number among all that is asked for.
    pub number: usize,
    /// Of this application.
    pub application: &'static str,
    /// In a few words.
    pub what: &'static str,
    /// So many seconds after the beginning.
    pub at_seconds: u64,
    /// The code that it brings.
    pub code: Option<Code>,
    /// Whether the code comes as an upload, whose event starts the execution.
    pub is_upload: bool,
    /// Whether its key is one that other uploads have, too.
    pub is_shared_key: bool,
    /// The rest of the input.
    pub input: Value,
}

/// Code, and what is to be thought of it.
#[derive(Debug, Clone)]
pub struct Code {
    /// What it is, in a word.
    pub kind: Kind,
    /// What it does.
    pub behaviour: Behaviour,
}

/// Kinds of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the kinds")]
pub enum Kind {
    Healthy,
    SlowRestore,
    OneRestart,
    TwoRestarts,
    Loop,
    SlowLoop,
    ExponentialLoop,
    LateFailure,
    NoRestart,
    FailingCheckpoints,
    Batch,
    DoesNotStart,
    IncompatibleState,
    RemovedOperator,
    SlowSnapshot,
    FailingSnapshot,
}

impl Kind {
    /// Whether no deployment of it may be accepted, whatever the policy: it never has all its tasks running.
    pub fn is_never_well(self) -> bool {
        matches!(self, Self::Loop | Self::DoesNotStart)
    }

    /// Whether it is well for ever, once it runs.
    pub fn is_always_well(self) -> bool {
        matches!(self, Self::Healthy | Self::SlowSnapshot | Self::FailingSnapshot)
    }
}

/// What becomes of one execution.
#[derive(Debug, Clone)]
pub enum Disturbance {
    /// It is aborted so many seconds after its beginning.
    Abort(u64),
    /// It is redriven so many seconds after a bad end.
    Redrive(u64),
    /// One of its calls of Lambdas does not come to its end, or not once.
    Crash(Crash),
    /// The clock of Step Functions is so many seconds ahead.
    ClockAhead(i64),
    /// The event that starts it is delivered so many seconds late.
    LateEvent(u64),
    /// The event that starts it is delivered once more, so many seconds after the first time.
    SecondEvent(u64),
}

/// What somebody else does, or what happens to the application.
#[derive(Debug, Clone)]
pub enum Around {
    /// A person calls the service.
    Person(&'static str, Value),
    /// The service patches it for so many seconds.
    Maintenance(u64),
    /// The service scales it to this parallelism.
    Autoscale(u32),
    /// A machine of it dies.
    LoseTaskManager,
    /// Its first code is overwritten.
    CodeOverwritten,
    /// Its first code is deleted.
    CodeDeleted,
    /// Its snapshots are deleted.
    SnapshotsDeleted,
    /// It is deleted.
    Deleted,
}

impl Plan {
    /// What this seed draws.
    pub fn draw(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed);
        let applications = if chance.u8(..8) == 0 { 2 } else { 1 };
        let mut parts = Vec::new();
        for application in &APPLICATIONS[..applications] {
            quirks(&mut chance, application, &mut parts);
            let first = parts.iter().filter(|part| matches!(part, Part::Asked(_))).count();
            asked(&mut chance, application, first, &mut parts);
            for _ in 0..chance.usize(..3) {
                parts.push(Part::Around(application, chance.u64(1..2_000), Around::draw(&mut chance)));
            }
        }
        for _ in 0..chance.usize(..3) {
            parts.push(Part::Fault(fault(&mut chance)));
        }
        if chance.u8(..5) == 0 {
            parts.push(Part::Snapshots(chance.u64(..2_000)));
        }
        Self { seed, applications, parts, left_out: BTreeSet::new() }
    }

    /// The same without these parts.
    #[must_use]
    pub fn without(mut self, parts: impl IntoIterator<Item = usize>) -> Self {
        self.left_out.extend(parts);
        self
    }

    /// The parts that are not left out, with their numbers.
    pub fn kept(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().filter(|(number, _)| !self.left_out.contains(number))
    }

    /// All that is asked for.
    pub fn asked(&self) -> impl Iterator<Item = &Asked> {
        self.kept().filter_map(|(_, part)| match part {
            Part::Asked(asked) => Some(asked),
            _ => None,
        })
    }

    /// What becomes of what was asked for under this number.
    pub fn disturbances(&self, of: usize) -> impl Iterator<Item = &Disturbance> {
        self.kept().filter_map(move |(_, part)| match part {
            Part::Disturbed(number, disturbance) if *number == of => Some(disturbance),
            _ => None,
        })
    }

    /// How an application differs from others.
    pub fn quirks(&self, of: &str) -> impl Iterator<Item = &Quirk> {
        self.kept().filter_map(move |(_, part)| match part {
            Part::Quirk(application, quirk) if *application == of => Some(quirk),
            _ => None,
        })
    }

    /// The applications at the beginning.
    pub fn apps(&self) -> Vec<App> {
        let apps = APPLICATIONS.iter().take(self.applications);
        apps.map(|name| self.quirks(name).fold(App { name, ..App::default() }, |app, quirk| quirk.of(app))).collect()
    }

    /// Whether nothing is to go wrong: every code is well, and nobody and nothing disturbs anybody.
    pub fn is_undisturbed(&self) -> bool {
        self.kept().all(|(_, part)| match part {
            Part::Snapshots(_) | Part::Quirk(_, Quirk::HasSnapshot) => true,
            Part::Asked(asked) => asked.code.as_ref().is_none_or(|code| code.kind == Kind::Healthy),
            Part::Quirk(..) | Part::Disturbed(..) | Part::Fault(_) | Part::Around(..) => false,
        })
    }
}

impl Quirk {
    fn of(&self, app: App) -> App {
        match self {
            Self::Stopped => App { is_running: false, ..app },
            Self::SystemRollback => App { system_rollback: true, ..app },
            Self::Unpinned => App { is_code_pinned: false, ..app },
            Self::WithoutSnapshots => App { snapshots_enabled: false, ..app },
            Self::HasSnapshot => app,
            Self::Runtime(runtime) => App { runtime, ..app },
            Self::Checkpoints(checkpoint_seconds) => App { checkpoint_seconds: *checkpoint_seconds, ..app },
            Self::Code(code) => App { behaviour: code.behaviour.clone(), ..app },
        }
    }
}

fn one_of<T: Clone>(chance: &mut Rng, choices: &[T]) -> T {
    choices[chance.usize(..choices.len())].clone()
}

fn quirks(chance: &mut Rng, of: &'static str, parts: &mut Vec<Part>) {
    let mut rarely = |one_in: u8, quirk: Quirk| {
        if chance.u8(..one_in) == 0 {
            parts.push(Part::Quirk(of, quirk));
        }
    };
    rarely(10, Quirk::Stopped);
    rarely(6, Quirk::SystemRollback);
    rarely(8, Quirk::Unpinned);
    rarely(20, Quirk::WithoutSnapshots);
    rarely(2, Quirk::HasSnapshot);
    if chance.u8(..4) == 0 {
        let runtime = one_of(chance, &["FLINK-1_15", "FLINK-1_18", "FLINK-2_2", "FLINK-2_3"]);
        parts.push(Part::Quirk(of, Quirk::Runtime(runtime)));
    }
    if chance.u8(..6) == 0 {
        let seconds = one_of(chance, &[None, Some(10), Some(300)]);
        parts.push(Part::Quirk(of, Quirk::Checkpoints(seconds)));
    }
    if chance.u8(..8) == 0 {
        let code = Code::draw(chance);
        // What does not start, or is over, is no application that somebody has.
        if !matches!(code.kind, Kind::DoesNotStart | Kind::Batch | Kind::NoRestart) {
            parts.push(Part::Quirk(of, Quirk::Code(code)));
        }
    }
}

fn asked(chance: &mut Rng, application: &'static str, first: usize, parts: &mut Vec<Part>) {
    let is_shared_key = chance.bool();
    let (mut before, mut has_no_state) = (0, false);
    for number in first..first + one_of(chance, &[1, 1, 1, 2, 2, 2, 3, 3, 4]) {
        let at_seconds = match chance.u8(..8) {
            0 => 0,
            1 => before,
            2 => before + chance.u64(1..30),
            3 | 4 => before + chance.u64(..BEGINNINGS_SECONDS),
            5 => chance.u64(..BEGINNINGS_SECONDS),
            // One after the other, as a rule.
            _ => before + chance.u64(BEGINNINGS_SECONDS..3 * BEGINNINGS_SECONDS),
        };
        before = at_seconds;
        let mut asked = Asked { number, application, at_seconds, is_shared_key, ..Asked::draw(chance) };
        // Which snapshot is of a job that began without state, the service does not tell: a known limit of forced restarts.
        has_no_state |= asked.gives_state_up();
        if has_no_state && asked.input["stop"] == "force" {
            asked.input["stop"] = "graceful".into();
        }
        let disturbances = disturbances(chance, asked.is_upload);
        parts.push(Part::Asked(asked));
        parts.extend(disturbances.into_iter().map(|it| Part::Disturbed(number, it)));
    }
}

impl Asked {
    /// Something to ask for; of whom and when is for others to say.
    fn draw(chance: &mut Rng) -> Self {
        let healthy = || Some(Code { kind: Kind::Healthy, behaviour: Behaviour::healthy() });
        let asked = |what, code, input| Self {
            number: 0,
            application: "",
            what,
            at_seconds: 0,
            code,
            is_upload: false,
            is_shared_key: false,
            input,
        };
        let mut asked = match chance.u8(..16) {
            0..=4 => Self { is_upload: true, ..asked("an upload", Some(Code::draw(chance)), json!({})) },
            5..=7 => asked("code by hand", Some(Code::draw(chance)), json!({})),
            8 => asked("another configuration", None, json!({ "update": update(chance) })),
            9 => asked("a restart", None, json!({ "stop": "graceful", "start": true })),
            10 => asked("a stop", None, json!({ "stop": "graceful" })),
            11 => asked("a correction", healthy(), json!({ "stop": "force", "start": true })),
            12 => asked("a start", None, json!({ "start": true })),
            13 => asked("a restart by force", None, json!({ "stop": "force", "start": true })),
            14 => {
                let skip = json!({ "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } });
                asked("code without state", Some(Code::draw(chance)), skip)
            }
            _ => asked("what cannot be meant", healthy(), json!({ "policies": {} })),
        };
        if !asked.is_upload && chance.u8(..3) == 0 {
            asked.input["policy"] = policy(chance);
        }
        if chance.u8(..8) == 0 && !asked.is_upload && asked.input.get("restore").is_none() {
            asked.input["restore"] = json!({ "allowNonRestoredState": true });
        }
        asked
    }

    fn gives_state_up(&self) -> bool {
        self.input["restore"]["type"] == "SKIP_RESTORE_FROM_SNAPSHOT"
    }

    /// Whether the application is to stand still then.
    pub fn is_to_stand_still(&self) -> bool {
        self.input.get("stop").is_some() && self.input.get("start").is_none()
    }
}

fn policy(chance: &mut Rng) -> Value {
    match chance.u8(..8) {
        0 | 1 => json!({ "bakeSeconds": one_of(chance, &[0, 60, 600]) }),
        2 => json!({ "toleratedRestarts": one_of(chance, &[0, 1, 10]) }),
        3 => json!({ "onFailure": "hold" }),
        4 => json!({ "preDeploySnapshot": true }),
        5 => json!({ "operationTimeoutSeconds": 300, "settleTimeoutSeconds": 300, "deadlineSeconds": 900 }),
        6 => json!({ "requireCheckpoint": false, "settleSeconds": 30 }),
        _ => json!({ "turnTimeoutSeconds": one_of(chance, &[0, 300]), "evidenceTimeoutSeconds": 120,
            "onStaleSnapshot": "refuse" }),
    }
}

fn parallelism(to: u32) -> Value {
    json!({ "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate":
        { "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": to, "ParallelismPerKPUUpdate": 1,
            "AutoScalingEnabledUpdate": false } } })
}

/// A change of the configuration.
fn update(chance: &mut Rng) -> Value {
    let configuration = match chance.u8(..4) {
        0 | 1 => parallelism(chance.u32(1..5)),
        2 => json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": [
            { "PropertyGroupId": "app", "PropertyMap": { "db.password": "another-horse-battery-staple" } } ] } }),
        _ => json!({ "FlinkApplicationConfigurationUpdate": { "CheckpointConfigurationUpdate": {
            "ConfigurationTypeUpdate": "CUSTOM", "CheckpointingEnabledUpdate": true,
            "CheckpointIntervalUpdate": one_of(chance, &[10_000, 60_000, 300_000]) } } }),
    };
    match chance.u8(..6) {
        0 => json!({ "RuntimeEnvironmentUpdate": "FLINK-2_2" }),
        _ => json!({ "ApplicationConfigurationUpdate": configuration }),
    }
}

impl Code {
    /// Code that does something. The behaviours are those of the recorded jobs, at any pace.
    fn draw(chance: &mut Rng) -> Self {
        let of = |kind, faults: &[JobFault]| Self {
            kind,
            behaviour: Behaviour { faults: faults.to_vec(), ..Behaviour::healthy() },
        };
        let fails = |seconds, times| JobFault::FailsAfter { seconds, times };
        let fixed = |chance: &mut Rng| RestartDelay::Fixed { seconds: chance.u64(1..30) };
        let mut code = match chance.u8(..36) {
            0..=13 => of(Kind::Healthy, &[]),
            14 => of(Kind::SlowRestore, &[JobFault::SlowRestore { seconds: chance.u64(20..1_500) }]),
            15 => of(Kind::OneRestart, &[fails(chance.u64(1..900), Some(1))]),
            16 => of(Kind::TwoRestarts, &[fails(chance.u64(1..400), Some(2))]),
            17..=19 => of(Kind::Loop, &[JobFault::OpenFails]).restarting(fixed(chance)),
            20 | 21 => of(Kind::Loop, &[JobFault::OpenFails]),
            22 | 23 => of(Kind::SlowLoop, &[fails(chance.u64(1..600), None)]).restarting(fixed(chance)),
            24 => of(Kind::ExponentialLoop, &[fails(chance.u64(1..120), None)]).restarting(RestartDelay::Exponential {
                initial_seconds: 1.0,
                multiplier: one_of(chance, &[1.5, 2.0, 4.0]),
                max_seconds: one_of(chance, &[60.0, 300.0]),
                reset_seconds: 3_600.0,
            }),
            25 | 26 => of(Kind::LateFailure, &[JobFault::FailsLater { seconds: chance.u64(60..2_400) }]),
            27 => of(Kind::NoRestart, &[fails(chance.u64(1..900), None)]).restarting(RestartDelay::None),
            28 => of(
                Kind::FailingCheckpoints,
                &[JobFault::FailingCheckpoints { from_seconds: one_of(chance, &[0, 100, 400, 1_000]) }],
            ),
            29 => of(Kind::Batch, &[JobFault::Bounded { seconds: chance.u64(1..1_200) }]),
            30 => of(Kind::DoesNotStart, &[one_of(chance, &[JobFault::MainThrows, JobFault::NoExecute])]),
            31 => of(Kind::DoesNotStart, &[one_of(chance, &[JobFault::MissingMainClass, JobFault::CorruptJar])]),
            32 => of(Kind::IncompatibleState, &[JobFault::IncompatibleState]),
            33 => of(Kind::RemovedOperator, &[JobFault::RemovedUid]),
            34 => of(Kind::SlowSnapshot, &[JobFault::SlowSnapshot { seconds: chance.u64(30..900) }]),
            _ => of(Kind::FailingSnapshot, &[JobFault::SnapshotFails]),
        };
        if chance.u8(..4) == 0 {
            code.behaviour.first_checkpoint_seconds = Some(chance.u64(1..60));
        }
        code
    }

    fn restarting(mut self, delay: RestartDelay) -> Self {
        self.behaviour.restart_delay = Some(delay);
        self
    }
}

fn disturbances(chance: &mut Rng, is_upload: bool) -> Vec<Disturbance> {
    let mut disturbances = Vec::new();
    let is_aborted = chance.u8(..5) == 0;
    if is_aborted {
        disturbances.push(Disturbance::Abort(chance.u64(..900)));
    }
    if chance.u8(..(if is_aborted { 2 } else { 12 })) == 0 {
        disturbances.push(Disturbance::Redrive(chance.u64(1..900)));
    }
    for _ in 0..chance.u8(..5).saturating_sub(2) {
        let functions = ["take-turn", "take-turn", "submit-update", "check-operation", "decide-rollback", "roll-back"];
        let more = ["force-stop", "restore", "notify", "check-subtasks"];
        let function = one_of(chance, &[&functions[..], &more[..]].concat());
        disturbances.push(Disturbance::Crash(Crash { function, call: chance.u32(1..4), how: crash(chance) }));
    }
    if chance.u8(..6) == 0 {
        disturbances.push(Disturbance::ClockAhead(chance.i64(-90..90)));
    }
    if is_upload && chance.u8(..4) == 0 {
        disturbances.push(Disturbance::LateEvent(chance.u64(1..300)));
    }
    if is_upload && chance.u8(..4) == 0 {
        disturbances.push(Disturbance::SecondEvent(chance.u64(..1_800)));
    }
    disturbances
}

fn crash(chance: &mut Rng) -> CrashKind {
    match chance.u8(..8) {
        0 => CrashKind::DiesBefore,
        1 => CrashKind::DiesAfter,
        2 => CrashKind::HangsBefore,
        3 => CrashKind::HangsAfter,
        4 => CrashKind::DiesDuring { calls: chance.u32(1..4) },
        5 => CrashKind::HangsDuring { calls: chance.u32(1..4) },
        6 => CrashKind::RunsTwice,
        _ => CrashKind::RunsLate { seconds: chance.u64(1..30) },
    }
}

impl Around {
    fn draw(chance: &mut Rng) -> Self {
        let latest =
            json!({ "ApplicationRestoreConfiguration": { "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" } });
        match chance.u8(..24) {
            0..=4 => Self::Person(
                "UpdateApplication",
                json!({ "CurrentApplicationVersionId": null, "RunConfigurationUpdate": latest,
                    "ApplicationConfigurationUpdate": parallelism(chance.u32(5..9)) }),
            ),
            5 | 6 => Self::Person("StopApplication", json!({})),
            7 | 8 => Self::Person("StopApplication", json!({ "Force": true })),
            9 | 10 => Self::Person("RollbackApplication", json!({ "CurrentApplicationVersionId": null })),
            11..=13 => Self::Maintenance(chance.u64(20..200)),
            14..=16 => Self::Autoscale(chance.u32(1..5)),
            17..=19 => Self::LoseTaskManager,
            20 => Self::CodeOverwritten,
            21 => Self::CodeDeleted,
            22 => Self::SnapshotsDeleted,
            _ => Self::Deleted,
        }
    }
}

impl Around {
    /// What happens, in words.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(operation, _) => operation,
            Self::Maintenance(_) => "maintenance",
            Self::Autoscale(_) => "autoscaling",
            Self::LoseTaskManager => "a TaskManager lost",
            Self::CodeOverwritten => "code overwritten",
            Self::CodeDeleted => "code deleted",
            Self::SnapshotsDeleted => "snapshots deleted",
            Self::Deleted => "application deleted",
        }
    }
}

/// Something that goes wrong for a while with the table, with Step Functions, with S3's events, or with the service.
fn fault(chance: &mut Rng) -> Fault {
    let from = noon() + SignedDuration::from_secs(700 + chance.i64(0..1_800));
    let for_a_while = Occurrences::Between { from, until: from + SignedDuration::from_secs(chance.i64(5..200)) };
    let first = Occurrences::First(chance.u32(1..8));
    let nth = Occurrences::Nth(chance.u32(1..5));
    let sometimes = Occurrences::Percent(chance.u8(5..40));
    let lost = Effect::LostResponse(one_of(chance, &[Loss::ServerError, Loss::ConnectionReset]));
    let error = |code: &str, status| Effect::Error { code: code.to_owned(), status, message: "injected".to_owned() };
    let denied = error("AccessDeniedException", 400);
    let stale = Effect::StaleRead(std::time::Duration::from_secs(chance.u64(1..45)));
    let table = one_of(chance, &["dynamodb:GetItem", "dynamodb:PutItem"]);
    let act = ["UpdateApplication", "StopApplication", "StartApplication", "RollbackApplication"];
    let act = one_of(chance, &act);
    let read = ["DescribeApplication", "DescribeApplicationOperation", "ListApplicationSnapshots"];
    let read = one_of(chance, &[&read[..], &["DescribeApplicationVersion", "ListApplicationOperations"]].concat());
    match chance.u8(..26) {
        0 => Fault::new(table, Effect::Throttle).on(one_of(chance, &[for_a_while, first, sometimes])),
        1 | 2 => Fault::new("dynamodb:PutItem", lost).on(one_of(chance, &[nth, sometimes])),
        3 => Fault::new(table, denied).on(for_a_while),
        4 => Fault::new("states:DescribeExecution", Effect::Throttle).on(one_of(chance, &[for_a_while, sometimes])),
        5 => Fault::new("states:DescribeExecution", denied).on(for_a_while),
        6 | 7 => Fault::new("states:DescribeExecution", stale).on(one_of(chance, &[Occurrences::Always, sometimes])),
        8 => Fault::new("*", Effect::Throttle).on(one_of(chance, &[for_a_while, sometimes])),
        9 => Fault::new(act, lost).on(one_of(chance, &[nth, sometimes])),
        10 => Fault::new(act, Effect::AccessDenied).on(one_of(chance, &[for_a_while, first])),
        11 => Fault::new(act, Effect::OperationFails("injected".to_owned())).on(Occurrences::Nth(1)),
        12 => Fault::new(read, Effect::Throttle).on(one_of(chance, &[for_a_while, sometimes])),
        13 => Fault::new(read, stale).on(one_of(chance, &[for_a_while, sometimes])),
        14 => Fault::new("flink:*", Effect::Unreachable).on(for_a_while),
        15 => Fault::new("flink:*", error("", 503)).on(one_of(chance, &[for_a_while, sometimes])),
        16 => Fault::new("flink:*", Effect::Truncated(chance.usize(..200))).on(sometimes),
        17 => Fault::new(act, Effect::OperationHangs).on(Occurrences::Nth(1)),
        18 => {
            let failing = one_of(chance, &[Effect::OperationFails("injected".to_owned()), Effect::OperationHangs]);
            Fault::new("RollbackApplication", failing).on(first)
        }
        19 => Fault::new("*", error("InternalFailure", 500)).on(one_of(chance, &[for_a_while, sometimes])),
        20 => Fault::new("*", Effect::Delay(std::time::Duration::from_secs(chance.u64(1..40)))).on(sometimes),
        21 => Fault::new("cloudwatch:GetMetricData", one_of(chance, &[Effect::Throttle, Effect::Unreachable]))
            .on(one_of(chance, &[for_a_while, sometimes])),
        22 => Fault::new("sns:Publish", one_of(chance, &[lost, error("InternalFailure", 500)])).on(first),
        23 => Fault::new("states:StartExecution", one_of(chance, &[lost, Effect::Throttle])).on(first),
        24 => Fault::new("CreateApplicationPresignedUrl", error("UnableToDetectSchemaException", 400)).on(for_a_while),
        _ => Fault::new("SystemRollbackApplication", Effect::OperationFails("injected".to_owned())),
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quirk(application, quirk) => write!(formatter, "{application}: {quirk:?}"),
            Self::Asked(Asked { number, application, what, at_seconds, code, is_shared_key, input, .. }) => {
                write!(formatter, "at {at_seconds} s, e{number}: {what}, of {application}")?;
                if let Some(Code { kind, behaviour }) = code {
                    let key = if *is_shared_key { "at the shared key" } else { "at its own key" };
                    write!(formatter, ", {kind:?} {key}: {:?}, {:?}", behaviour.faults, behaviour.restart_delay)?;
                }
                write!(formatter, ", {input}")
            }
            Self::Disturbed(number, disturbance) => write!(formatter, "e{number}: {disturbance:?}"),
            Self::Fault(fault) => {
                let Fault { operation, occurrences, effect, .. } = fault;
                write!(formatter, "{operation}: {effect:?}, {occurrences:?}")
            }
            Self::Around(application, at, around) => write!(formatter, "at {at} s, {application}: {around:?}"),
            Self::Snapshots(at) => write!(formatter, "at {at} s: snapshots of all, and pruning"),
        }
    }
}
