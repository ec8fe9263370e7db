//! The whole product on a laptop: the emulated services at a port, and behind their Step Functions our engine, which runs
//! the shipped definitions for whoever starts executions over HTTP. An application runs from the beginning, and there is
//! code to deploy to it.

pub mod arguments;
mod history;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use asl::{Engine, ExecutionInput, Executions, Observer, StateMachine, Stop};
use clock::Clock;
use emulator::Emulator;
use emulator::flink::FlinkVersion;
use emulator::simulated::{Behaviour, JobFault};
use emulator::step_functions::{Execution, ExecutionEnd, ExecutionEvent};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::demo::flink::{RealFlink, RealFlinkError};
use crate::demo::pace::Speeds;
use crate::demo::production::{Cast, Production, SetUpError, Setting};
use crate::snapshot_scenarios::{
    APPLICATION, APPLICATION_MACHINE, RUN, RUN_MACHINE, SNAPSHOT_FUNCTIONS, application_machine, run_machine,
};
use crate::world::{App, DEPLOY, FUNCTIONS, MACHINE, OPERATOR, World, deploy_machine};
use history::HistoryKeeper;

/// The application that is there from the beginning.
pub const APPLICATION_NAME: &str = "orders";
/// The key of the code that it runs then, in the bucket [`crate::world::BUCKET`].
pub const FIRST_KEY: &str = "applications/orders/orders-1.0.0.jar";
/// The key of healthy code that can be deployed.
pub const GOOD_KEY: &str = "applications/orders/orders-1.1.0.jar";
/// The key of code that crash-loops where it is deployed: it throws in `open()`.
pub const BAD_KEY: &str = "applications/orders/orders-1.2.0.jar";
/// The snapshot that the application has.
pub const SNAPSHOT: &str = "before-the-sandbox";
/// How long before now the clock begins, for the application to have run for a while: more than all of that takes.
const BEFORE: SignedDuration = SignedDuration::from_mins(30);
/// Speed of the clock until then.
const SETTING_UP: u32 = 5_000;
/// The same where a real Flink starts, which takes its own time.
const SETTING_UP_FLINK: u32 = 60;
/// Seconds between checkpoints of a job on a real Flink.
const FLINK_CHECKPOINT_SECONDS: u32 = 2;
/// How often it is looked whether the service is at work, in real time.
const LOOK: Duration = Duration::from_millis(100);
/// How long a Lambda whose execution has ended may go on, in real time.
const GRACE: Duration = Duration::from_secs(1);
const SEED: u64 = 1;

/// What a sandbox is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Port on the loopback interface; 0 takes a free one.
    pub port: u16,
    /// How many times as fast as real time waits go by.
    pub speed: u32,
    /// The real Apache Flink that the jobs run on; they are simulated without one.
    pub flink: Option<FlinkVersion>,
}

impl Default for Options {
    /// A free port, simulated jobs, and a speed at which a bake of five minutes takes some twelve seconds.
    fn default() -> Self {
        Self { port: 0, speed: 25, flink: None }
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It could not be put up.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// There is no real Flink.
    #[error(transparent)]
    Flink(#[from] RealFlinkError),
    /// The application could not be made.
    #[error("the application {APPLICATION_NAME} could not be made: {0}")]
    Application(String),
}

/// A sandbox that runs.
pub struct Sandbox {
    production: Arc<Production>,
    /// What runs executions, and what looks whether the service is at work.
    tasks: [JoinHandle<()>; 2],
}

impl Sandbox {
    /// Puts one up with the Lambdas' binaries of this directory. It takes a second or two, longer on a real Flink. Needs a
    /// tokio runtime in real time.
    ///
    /// # Errors
    /// When a Lambda or the Flink is missing, the port is taken, or the application cannot be made.
    pub async fn start(directory: &Path, options: Options) -> Result<Self, SandboxError> {
        Self::start_with(Cast::Lambdas(directory.to_owned()), options).await
    }

    /// The same with the Lambdas' handlers in this process: for tests, which need no binaries then.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub async fn start_in_process(options: Options) -> Result<Self, SandboxError> {
        Self::start_with(Cast::Handlers, options).await
    }

    async fn start_with(cast: Cast, options: Options) -> Result<Self, SandboxError> {
        let Options { port, speed, flink } = options;
        let before = if flink.is_some() { SETTING_UP_FLINK } else { SETTING_UP };
        let speeds = Speeds { before, operation: speed, waiting: speed, between: 1 };
        let real_flink = match flink {
            Some(version) => Some(RealFlink::launch(version).await?),
            None => None,
        };
        let wall = Clock::wall();
        let begins = wall.now() - BEFORE;
        // Nobody listens.
        let (news, _) = unbounded_channel();
        let setting = Setting { begins, speeds, port, flink: real_flink };
        let production = Arc::new(Production::put_on(cast, setting, news).await?);
        let world = Arc::new(production.world());
        let made = prepare(&world, flink).await;
        if let Err(error) = made {
            production.shut_down().await;
            return Err(SandboxError::Application(error));
        }
        let until_now = wall.now().duration_since(world.clock.now());
        world.clock.sleep(until_now.try_into().unwrap_or_default()).await;
        world.stage.begins();
        let events = world.emulator.executions().listen();
        let tasks = [
            tokio::spawn(run_what_is_started(world, Arc::clone(&production), events)),
            tokio::spawn(look_at_the_service(Arc::clone(&production))),
        ];
        Ok(Self { production, tasks })
    }

    /// Where it answers, such as `http://127.0.0.1:4600`.
    pub fn endpoint(&self) -> &str {
        self.production.endpoint()
    }

    /// The emulated services.
    pub fn emulator(&self) -> &Emulator {
        self.production.emulator()
    }

    /// Ends all of it: executions, Lambdas, jobs and the server.
    pub async fn shut_down(mut self) {
        for task in &mut self.tasks {
            task.abort();
            // It ends by being aborted.
            let _ = task.await;
        }
        self.production.shut_down().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Lets there be the state machines, the application with its snapshot, and the code to deploy.
async fn prepare(world: &World, flink: Option<FlinkVersion>) -> Result<(), String> {
    let ledger = world.emulator.executions();
    let nested = ("SnapshotApplicationStateMachine", ledger.state_machine_arn(APPLICATION_MACHINE));
    let lambdas = FUNCTIONS.into_iter().chain(SNAPSHOT_FUNCTIONS).map(|(name, function)| (name, function.to_owned()));
    let substitutions: BTreeMap<_, _> = lambdas.chain([nested]).collect();
    for (name, definition) in [(MACHINE, DEPLOY), (RUN_MACHINE, RUN), (APPLICATION_MACHINE, APPLICATION)] {
        let with = |text: String, (name, value): (&&str, &String)| text.replace(&format!("${{{name}}}"), value);
        ledger.define_state_machine(name, &substitutions.iter().fold(definition.to_owned(), with));
    }
    let app = App { name: APPLICATION_NAME, code_key: Some(FIRST_KEY), ..App::default() };
    let app = match flink {
        Some(version) => App { runtime: version.runtime(), checkpoint_seconds: Some(FLINK_CHECKPOINT_SECONDS), ..app },
        None => app,
    };
    world.create(&app).await?;
    let named = json!({ "ApplicationName": APPLICATION_NAME, "SnapshotName": SNAPSHOT });
    world.call(OPERATOR, "CreateApplicationSnapshot", &named).await?;
    loop {
        let shown = world.call(OPERATOR, "DescribeApplicationSnapshot", &named).await?;
        match shown["SnapshotDetails"]["SnapshotStatus"].as_str() {
            Some("READY") => break,
            Some("CREATING") => world.clock.sleep(Duration::from_secs(1)).await,
            other => return Err(format!("its snapshot is {other:?}")),
        }
    }
    world.put_code(GOOD_KEY, &Behaviour::healthy());
    world.put_code(BAD_KEY, &JobFault::OpenFails.into());
    Ok(())
}

/// Lets the clock run fast while an application is on its way from one status to another.
async fn look_at_the_service(production: Arc<Production>) {
    loop {
        let applications = production.emulator().applications();
        let is_busy = applications.iter().any(|it| !matches!(it.status.as_str(), "RUNNING" | "READY"));
        production.pace().busy(is_busy);
        tokio::time::sleep(LOOK).await;
    }
}

/// Runs what callers start and stops what they stop, until it is aborted.
async fn run_what_is_started(
    world: Arc<World>,
    production: Arc<Production>,
    mut events: UnboundedReceiver<ExecutionEvent>,
) {
    let ledger = world.emulator.executions().clone();
    let observer: Arc<dyn Observer> =
        Arc::new(HistoryKeeper::new(ledger, Arc::clone(&world.stage), vec![APPLICATION_MACHINE]));
    let executions = Executions::default();
    let mut runs = JoinSet::new();
    let mut stops: BTreeMap<String, oneshot::Sender<Stop>> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        while runs.try_join_next().is_some() {}
        match event {
            ExecutionEvent::Started(entry) => {
                let (stop, stopped) = oneshot::channel();
                stops.retain(|_, stop| !stop.is_closed());
                stops.insert(entry.arn.clone(), stop);
                let (world, production) = (Arc::clone(&world), Arc::clone(&production));
                let (observer, executions) = (Arc::clone(&observer), executions.clone());
                runs.spawn(async move {
                    run(&world, &entry, observer, executions, stopped).await;
                    tokio::time::sleep(GRACE).await;
                    production.let_go();
                });
            }
            ExecutionEvent::Stopped(entry) => {
                let (error, cause) = match entry.ended {
                    Some((_, ExecutionEnd::Aborted { error, cause })) => (error, cause),
                    _ => (None, None),
                };
                let stop = Stop { error, cause };
                match stops.remove(&entry.arn) {
                    // Nobody waits for it where the execution has ended meanwhile.
                    Some(sender) => drop(sender.send(stop)),
                    // One that an execution has started.
                    None => drop(executions.stop(&entry.arn, stop)),
                }
            }
        }
    }
}

/// Runs an execution that is in the ledger to its end. The observer enters what happens.
async fn run(
    world: &World,
    entry: &Execution,
    observer: Arc<dyn Observer>,
    executions: Executions,
    stopped: oneshot::Receiver<Stop>,
) {
    let failed = |error: &str, cause: String| {
        let end = ExecutionEnd::Failed { error: Some(error.to_owned()), cause: Some(cause) };
        // It may have been stopped meanwhile.
        let _ = world.emulator.executions().ended(&entry.arn, end);
    };
    let Some(machine) = machine_of(&entry.state_machine_arn) else {
        return failed("States.Runtime", format!("the sandbox does not run {}", entry.state_machine_arn));
    };
    let input: Value = match serde_json::from_str(&entry.input) {
        Ok(input) => input,
        Err(error) => return failed("States.Runtime", error.to_string()),
    };
    let functions = world.stage.functions(world, &entry.name);
    let nested: Vec<Arc<StateMachine>> = vec![application_machine()];
    let engine = Engine::new(world.clock.clone(), functions, observer, SEED)
        .with_state_machines(Arc::new(nested))
        .with_executions(executions);
    let stop = async {
        match stopped.await {
            Ok(stop) => stop,
            // Nobody can stop it any more.
            Err(_) => std::future::pending().await,
        }
    };
    let execution = ExecutionInput { name: entry.name.clone(), input };
    if let Err(error) = engine.run_until(&machine, execution, stop).await {
        failed(error.code(), error.to_string());
    }
}

/// The shipped definition of a state machine.
fn machine_of(arn: &str) -> Option<Arc<StateMachine>> {
    match arn.rsplit(':').next()? {
        MACHINE => Some(deploy_machine()),
        RUN_MACHINE => Some(run_machine()),
        APPLICATION_MACHINE => Some(application_machine()),
        _ => None,
    }
}
