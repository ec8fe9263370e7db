//! Plays a plan: sets its world up, lets everything that was drawn happen in virtual time, and keeps what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use emulator::RecordEntry;
use emulator::simulated::Behaviour;
use emulator::sinks::Published;
use emulator::step_functions::{Execution, ExecutionEvent};
use handler::Environment;
use lifecycle::report::{Outcome, Report};
use lifecycle::snapshots::RunSummary;
use serde_json::{Value, json};
use start_deployment::{Settings, Starter};
use tokio::task::JoinSet;

use crate::checker::ExecutionTrace;
use crate::scenario::{Planned, report_of};
use crate::simulation::plan::{Around, Asked, Disturbance, Part, Plan, Quirk};
use crate::snapshot_scenarios::summary_of;
use crate::upload_scenarios::{Function, START_DEPLOYMENT, object_created};
use crate::world::{App, BUCKET, MACHINE, OPERATOR, Stage, TURNS, World};

/// Nothing that was asked for goes on longer: a turn's time-out, a deadline and its slack, and a redrive of both.
pub(crate) const LONGEST: Duration = Duration::from_hours(48);
/// How long an application may take to come to rest when everybody has ended.
const REST_SECONDS: i64 = 3_600;
/// How long a job has to stay well: longer than the loops that are never well.
const STAYS_WELL: Duration = Duration::from_secs(150);

/// An execution that was run.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Number of what it was started for.
    pub asked: usize,
    /// What it left behind.
    pub trace: ExecutionTrace,
    /// Its report, if it came to one.
    pub report: Option<Report>,
}

impl Ended {
    /// Its outcome; none where it was aborted.
    pub fn outcome(&self) -> Option<Outcome> {
        self.report.as_ref().map(|report| report.outcome)
    }
}

/// An application, once everybody had ended and nothing went wrong any more.
#[derive(Debug, Clone)]
pub struct Rest {
    /// Its name.
    pub application: &'static str,
    /// Its status; none where it was deleted.
    pub status: Option<String>,
    /// What its code does, by its configuration.
    pub behaviour: Option<Behaviour>,
    /// Whether it stands still, or its job is at work and stays so.
    pub is_well: bool,
}

/// What a plan has left behind.
#[derive(Debug)]
pub struct Aftermath {
    /// The plan.
    pub plan: Plan,
    /// The executions, in the order of their starts.
    pub ended: Vec<Ended>,
    /// What the emulator wrote down.
    pub record: Vec<RecordEntry>,
    /// What was told to people and machines.
    pub published: Vec<Published>,
    /// What came of the runs of snapshots; none where one ended without a summary.
    pub snapshots: Vec<Option<RunSummary>>,
    /// The applications at the end.
    pub rest: Vec<Rest>,
    /// What was injected, and how often.
    pub injected: BTreeMap<String, u64>,
    /// Somebody waits for ever.
    pub is_endless: bool,
}

impl Plan {
    /// Plays it on this stage, on a runtime of its own.
    ///
    /// # Errors
    /// When the world could not be set up: never by what was drawn.
    pub fn play(self, stage: Arc<dyn Stage>) -> Result<Aftermath, String> {
        // Jitter of the SDK's retries.
        fastrand::seed(self.seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.map_err(|error| error.to_string())?.block_on(play(self, stage))
    }
}

async fn play(plan: Plan, stage: Arc<dyn Stage>) -> Result<Aftermath, String> {
    let world = Arc::new(World::staged(stage, plan.seed));
    for app in plan.apps() {
        create(&world, &app, plan.quirks(app.name).any(|quirk| matches!(quirk, Quirk::HasSnapshot))).await?;
    }
    for (_, part) in plan.kept() {
        if let Part::Fault(fault) = part {
            world.emulator.inject(fault.clone());
        }
    }
    let ended = Arc::new(Mutex::new(BTreeMap::new()));
    let listener = tokio::spawn(run_what_is_started(Arc::clone(&world), plan.clone(), Arc::clone(&ended)));
    let snapshots = Arc::new(Mutex::new(BTreeMap::new()));
    let is_over = tokio::time::timeout(LONGEST, let_happen(&world, &plan, &ended, &snapshots)).await;
    listener.abort();
    world.emulator.clear_faults();
    let record = world.emulator.record();
    let published = world.emulator.sinks().published();
    let is_endless = is_over.is_err();
    let mut rest = Vec::new();
    for app in plan.apps() {
        rest.push(at_rest(&world, app.name).await);
    }
    let started: Vec<String> = world.emulator.executions().executions().into_iter().map(|it| it.name).collect();
    let mut ended: Vec<Ended> = taken(&ended).into_values().collect::<Result<_, _>>()?;
    ended.sort_by_key(|ended| started.iter().position(|name| *name == ended.trace.name));
    let snapshots = taken(&snapshots).into_values().collect();
    let injected = injected(&world, &plan, &ended);
    Ok(Aftermath { plan, ended, record, published, snapshots, rest, injected, is_endless })
}

/// What was injected into a world, and how often.
fn injected(world: &World, plan: &Plan, ended: &[Ended]) -> BTreeMap<String, u64> {
    let struck = world.emulator.struck().into_iter().map(|(what, times)| (format!("call or operation: {what}"), times));
    let crashed = world.crashed().into_iter().map(|(what, times)| (format!("Lambda: {what}"), times));
    let mut injected: BTreeMap<String, u64> = struck.chain(crashed).collect();
    let mut count = |what: String| *injected.entry(what).or_default() += 1;
    for ended in ended {
        if ended.trace.was_aborted {
            count("execution: aborted".to_owned());
        }
        if ended.trace.pause.is_some() {
            count("execution: redriven".to_owned());
        }
    }
    for (_, part) in plan.kept() {
        match part {
            Part::Asked(Asked { code: Some(code), .. }) => count(format!("code: {:?}", code.kind)),
            Part::Around(_, _, around) => count(format!("around: {}", around.name())),
            Part::Disturbed(_, Disturbance::ClockAhead(_)) => count("clock: skewed".to_owned()),
            Part::Disturbed(_, Disturbance::LateEvent(_)) => count("event: late".to_owned()),
            Part::Disturbed(_, Disturbance::SecondEvent(_)) => count("event: delivered twice".to_owned()),
            Part::Snapshots(_) => count("around: snapshots taken and pruned".to_owned()),
            Part::Asked(_) | Part::Disturbed(..) | Part::Fault(_) | Part::Quirk(..) => {}
        }
    }
    injected
}

fn taken<T: Default>(kept: &Mutex<T>) -> T {
    std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn create(world: &World, app: &App, has_snapshot: bool) -> Result<(), String> {
    let name = app.name;
    world.create(&App { is_running: false, ..app.clone() }).await?;
    if app.is_running {
        // What a start says of the state is what the service does when it scales or rolls back, too.
        let body = json!({ "ApplicationName": name, "RunConfiguration": { "ApplicationRestoreConfiguration":
            { "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" } } });
        world.call(OPERATOR, "StartApplication", &body).await?;
        world.wait_for(name, "RUNNING").await?;
        world.clock.sleep(Duration::from_mins(10)).await;
        if has_snapshot && app.snapshots_enabled {
            let body = json!({ "ApplicationName": name, "SnapshotName": "manual" });
            world.call(OPERATOR, "CreateApplicationSnapshot", &body).await?;
            world.clock.sleep(Duration::from_secs(30)).await;
        }
    }
    Ok(())
}

/// What came of the executions, by name.
type Endings = Arc<Mutex<BTreeMap<String, Result<Ended, String>>>>;
/// What came of the runs of snapshots, by the number of the part.
type Summaries = Arc<Mutex<BTreeMap<usize, Option<RunSummary>>>>;

/// Lets all that was drawn happen at its time, and waits until everybody has ended.
async fn let_happen(world: &Arc<World>, plan: &Plan, ended: &Endings, snapshots: &Summaries) {
    let starter = Arc::new(starter(world));
    let mut tasks = JoinSet::new();
    for (number, part) in plan.kept() {
        let world = Arc::clone(world);
        match part.clone() {
            Part::Around(application, at, around) => {
                tasks.spawn(async move {
                    world.clock.sleep(Duration::from_secs(at)).await;
                    around.happen(&world, application).await;
                });
            }
            Part::Snapshots(at) => {
                let snapshots = Arc::clone(snapshots);
                tasks.spawn(async move {
                    world.clock.sleep(Duration::from_secs(at)).await;
                    let summary = take_snapshots(&world, number).await;
                    snapshots.lock().unwrap_or_else(PoisonError::into_inner).insert(number, summary);
                });
            }
            Part::Asked(asked) => {
                let disturbances = plan.disturbances(asked.number).cloned().collect();
                tasks.spawn(ask(world, Arc::clone(&starter), asked, disturbances));
            }
            Part::Quirk(..) | Part::Disturbed(..) | Part::Fault(_) => {}
        }
    }
    tasks.join_all().await;
    let all = || world.emulator.executions().executions().len();
    while ended.lock().unwrap_or_else(PoisonError::into_inner).len() < all() {
        world.clock.sleep(Duration::from_secs(30)).await;
    }
}

#[expect(clippy::expect_used, reason = "the settings are constants")]
fn starter(world: &World) -> Function {
    let settings = Settings::read(|name| match name {
        "STATE_MACHINE_ARN" => Some(world.emulator.executions().state_machine_arn(MACHINE)),
        "TURNS_TABLE" => Some(TURNS.to_owned()),
        "CODE_BUCKET" => Some(BUCKET.to_owned()),
        "CODE_PREFIX" => Some(String::new()),
        _ => None,
    });
    let settings = settings.expect("the settings are right");
    Function::StartDeployment(Box::new(Starter::new(&world.sdk(START_DEPLOYMENT), &Environment::default(), settings)))
}

/// Asks for it at its time: by the event of an upload, or by hand.
async fn ask(world: Arc<World>, starter: Arc<Function>, asked: Asked, disturbances: Vec<Disturbance>) {
    world.clock.sleep(Duration::from_secs(asked.at_seconds)).await;
    let (key, version) = match &asked.code {
        Some(code) => {
            let file = if asked.is_shared_key { "shared".to_owned() } else { asked.number.to_string() };
            let key = format!("{}/{file}.jar", asked.application);
            let version = world.put_code(&key, &code.behaviour);
            (key, version)
        }
        None => Default::default(),
    };
    if !asked.is_upload {
        let input = asked.input(&key, &version).to_string();
        let machine = world.emulator.executions().state_machine_arn(MACHINE);
        let body = json!({ "stateMachineArn": machine, "name": format!("e{}", asked.number), "input": input });
        start_by_hand(&world, &body).await;
        return;
    }
    let now = world.clock.now();
    let event = object_created(now, &key, &version, &format!("{:012X}{:04X}", now.as_millisecond(), asked.number));
    let late = disturbances.iter().find_map(|it| if let Disturbance::LateEvent(by) = it { Some(*by) } else { None });
    world.clock.sleep(Duration::from_secs(late.unwrap_or_default())).await;
    let second =
        disturbances.iter().find_map(|it| if let Disturbance::SecondEvent(by) = it { Some(*by) } else { None });
    let once_more = async {
        if let Some(by) = second {
            world.clock.sleep(Duration::from_secs(by)).await;
            starter.deliver(&world, &event).await;
        }
    };
    tokio::join!(starter.deliver(&world, &event), once_more);
}

/// Starts an execution as a person does, who tries again when it does not work.
async fn start_by_hand(world: &World, body: &Value) {
    for _ in 0..20 {
        if world.step_functions("StartExecution", body).await.is_ok() {
            return;
        }
        world.clock.sleep(Duration::from_secs(20)).await;
    }
}

impl Asked {
    /// The input of an execution by hand.
    fn input(&self, key: &str, version: &str) -> Value {
        let mut input = self.input.clone();
        input["application"] = self.application.into();
        input["reason"] = format!("{} {}", self.what, self.number).into();
        if self.code.is_some() {
            input["update"]["ApplicationConfigurationUpdate"]["ApplicationCodeConfigurationUpdate"] = json!({
                "CodeContentUpdate": { "S3ContentLocationUpdate": { "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"),
                    "FileKeyUpdate": key, "ObjectVersionUpdate": version } } });
        }
        input
    }

    /// The number of what this execution was started for: its name has it, or the sequencer of its upload.
    fn number_of(execution: &Execution) -> Option<usize> {
        let input: Value = serde_json::from_str(&execution.input).ok()?;
        match input["upload"]["sequencer"].as_str() {
            Some(sequencer) => usize::from_str_radix(sequencer.get(12..16)?, 16).ok(),
            None => execution.name.strip_prefix('e')?.parse().ok(),
        }
    }
}

/// What becomes of an execution.
fn planned(disturbances: impl Iterator<Item = Disturbance>) -> Planned {
    disturbances.fold(Planned::default(), |mut planned, disturbance| {
        match disturbance {
            Disturbance::Abort(seconds) => planned.abort_after_seconds = Some(seconds),
            Disturbance::Redrive(seconds) => planned.redrive_after_seconds = Some(seconds),
            Disturbance::Crash(crash) => planned.crashes.push(crash),
            Disturbance::ClockAhead(seconds) => planned.clock_ahead_seconds = seconds,
            Disturbance::LateEvent(_) | Disturbance::SecondEvent(_) => {}
        }
        planned
    })
}

/// Runs every execution that somebody starts.
async fn run_what_is_started(world: Arc<World>, plan: Plan, ended: Endings) {
    let mut started = world.emulator.executions().listen();
    let mut running = JoinSet::new();
    while let Some(event) = started.recv().await {
        let ExecutionEvent::Started(execution) = event else { continue };
        let number = Asked::number_of(&execution).unwrap_or_default();
        let planned = planned(plan.disturbances(number).cloned());
        let (world, ended) = (Arc::clone(&world), Arc::clone(&ended));
        running.spawn(async move {
            let run = world.run(&execution, &planned, planned.stop(&world.clock)).await;
            let run = run.map(|(trace, result)| Ended { asked: number, trace, report: report_of(&result) });
            ended.lock().unwrap_or_else(PoisonError::into_inner).insert(execution.name, run);
        });
    }
}

/// A run of the schedule, that keeps little.
async fn take_snapshots(world: &World, number: usize) -> Option<RunSummary> {
    let applications: Vec<String> = world.emulator.applications().into_iter().map(|it| it.name).collect();
    let retention = json!({ "keepNewest": 1, "keepYoungerThanHours": 0, "rollbackWindowHours": 1, "anyPrefix": true });
    let input = json!({ "applications": applications, "retention": retention });
    summary_of(&world.take_snapshots(&format!("snapshots-{number}"), &input).await.ok()?.result).ok()
}

impl Around {
    /// Lets it happen, or not, where the service does not take it just now.
    async fn happen(&self, world: &World, application: &str) {
        let emulator = &world.emulator;
        let first_code = format!("{application}-1.jar");
        match self {
            Self::Person(operation, body) => drop(world.by_hand(application, operation, body).await),
            Self::Maintenance(seconds) => drop(emulator.maintenance(application, Duration::from_secs(*seconds))),
            Self::Autoscale(parallelism) => drop(emulator.autoscale(application, *parallelism)),
            Self::LoseTaskManager => drop(emulator.lose_task_manager(application).await),
            Self::CodeOverwritten => drop(world.put_code(&first_code, &Behaviour::healthy())),
            Self::CodeDeleted => emulator.code().delete_all_versions(BUCKET, &first_code),
            Self::SnapshotsDeleted => drop(world.delete_snapshots(application, usize::MAX).await),
            Self::Deleted => drop(world.by_hand(application, "DeleteApplication", &json!({})).await),
        }
    }
}

/// Waits until the application is at rest, and asks the job itself how it is: neither the deployer nor the service.
pub(crate) async fn at_rest(world: &World, application: &'static str) -> Rest {
    let mut rest = Rest { application, status: None, behaviour: None, is_well: false };
    let began = world.clock.now();
    while world.clock.now().duration_since(began).as_secs() < REST_SECONDS {
        rest.status = world.emulator.application(application).map(|found| found.status);
        rest.behaviour = world.behaviour_of(application).await;
        rest.is_well = match rest.status.as_deref() {
            None => return rest,
            Some("READY") => true,
            Some("RUNNING") => is_at_work_and_stays_so(world, application).await,
            Some(_) => false,
        };
        if rest.is_well {
            return rest;
        }
        world.clock.sleep(Duration::from_secs(10)).await;
    }
    rest
}

/// Whether all tasks of the application's job run, and run on without a restart.
async fn is_at_work_and_stays_so(world: &World, application: &str) -> bool {
    let data_plane = world.emulator.data_plane();
    let at_work = async || {
        let answer = data_plane.rest(application, "/jobs/overview").await;
        let overview: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let job = &overview["jobs"][0];
        let is_at_work = job["state"] == "RUNNING" && job["tasks"]["running"] == job["tasks"]["total"];
        let restarts = data_plane.metrics(application).await.map(|metrics| metrics.restarts);
        is_at_work.then(|| (job["jid"].clone(), restarts))
    };
    let before = at_work().await;
    world.clock.sleep(STAYS_WELL).await;
    before.is_some() && before == at_work().await
}
