//! Everything real that can be on one machine, for the demo's scenarios and for the sandbox: the shipped definition, the
//! Lambdas' own binaries as processes of their own, and the emulated service at a port of the loopback interface.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::lambda::{Function, LambdaFunctions, LogLine};
use asl::{Event, EventKind, TaskError, TaskHandler};
use async_trait::async_trait;
use bytes::Bytes;
use clock::Clock;
use emulator::data_plane::DataPlane;
use emulator::simulated::{Behaviour, SimulatedDataPlane};
use emulator::{Emulator, EmulatorConfig, Timings};
use handler::Metrics;
use jiff::Timestamp;
use managed_flink::Endpoint;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::flink::RealFlink;
use super::news::News;
use super::pace::{Pace, Speeds};
use crate::flink_suite::ledger::Ledger;
use crate::scenario::{Happening, Logs, Run, Scenario};
use crate::snapshot_scenarios::{LostAnswers, SNAPSHOT_FUNCTIONS, snapshot_functions};
use crate::world::{self, BUS, FUNCTIONS, Stage, TOPIC, TURNS, World, noon};

/// Real time that a Lambda has for one step.
const LAMBDA_TIME_OUT: Duration = Duration::from_mins(1);
const LAMBDA_MEGABYTES: u32 = 128;
const LETTING_GO: Duration = Duration::from_millis(10);
const LETTING_GO_TRIES: u32 = 50;
const SEED: u64 = 1;

/// Why a scenario could not be put on.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A Lambda has not been built.
    #[error("the Lambda {name} is not in {}: run `cargo xtask demo` or `sandbox`, which build it", .directory.display())]
    MissingLambda {
        /// Its name.
        name: &'static str,
        /// Where it should be.
        directory: PathBuf,
    },
    /// The emulator could not be served.
    #[error("cannot listen at {}", at_port(*.port))]
    Listen {
        /// The port that was asked for; 0 stands for any.
        port: u16,
        /// Why not.
        source: io::Error,
    },
}

fn at_port(port: u16) -> String {
    if port == 0 { "a port of the loopback interface".to_owned() } else { format!("127.0.0.1:{port}") }
}

/// What runs behind the Tasks.
#[derive(Debug, Clone)]
pub enum Cast {
    /// The Lambdas' binaries in this directory, started when they are first called.
    Lambdas(PathBuf),
    /// The same handlers, in this process.
    Handlers,
}

/// Where and when a production is put on.
#[derive(Debug)]
pub struct Setting {
    /// What the clock shows at the beginning.
    pub begins: Timestamp,
    /// How fast it runs.
    pub speeds: Speeds,
    /// The port on the loopback interface; 0 takes a free one.
    pub port: u16,
    /// What runs the jobs; they are simulated without one.
    pub flink: Option<RealFlink>,
}

/// Finds out whether all Lambdas are there.
///
/// # Errors
/// When one has not been built.
pub fn find_lambdas(directory: &Path) -> Result<(), SetUpError> {
    match all_functions().find(|name| !directory.join(name).is_file()) {
        Some(name) => Err(SetUpError::MissingLambda { name, directory: directory.to_owned() }),
        None => Ok(()),
    }
}

/// The Lambdas of all state machines.
fn all_functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().chain(SNAPSHOT_FUNCTIONS).map(|(_, name)| name)
}

/// A scenario about to be played for real.
pub struct Production {
    emulator: Emulator,
    stage: Arc<RealStage>,
    logs: Logs,
    server: JoinHandle<io::Result<()>>,
}

impl Drop for Production {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Production {
    /// Puts everything up: the emulator at a port, and the Lambdas of `directory`, which are started when they are first
    /// called. `news` gets all that happens. Jobs are simulated unless there is a real Flink for them.
    ///
    /// # Errors
    /// When a Lambda is missing, or no port can be had.
    pub async fn set_up(
        directory: &Path,
        speeds: Speeds,
        flink: Option<RealFlink>,
        news: UnboundedSender<News>,
    ) -> Result<Self, SetUpError> {
        let setting = Setting { begins: noon(), speeds, port: 0, flink };
        Self::put_on(Cast::Lambdas(directory.to_owned()), setting, news).await
    }

    /// The same with this cast, there and then.
    ///
    /// # Errors
    /// When a Lambda is missing, or the port cannot be had.
    pub async fn put_on(cast: Cast, setting: Setting, news: UnboundedSender<News>) -> Result<Self, SetUpError> {
        if let Cast::Lambdas(directory) = &cast {
            find_lambdas(directory)?;
        }
        let Setting { begins, speeds, port, flink } = setting;
        let clock = Clock::starting_at(begins, 1);
        let (data_plane, timings): (Arc<dyn DataPlane>, Timings) = match &flink {
            Some(flink) => (flink.data_plane(), flink.timings()),
            None => (Arc::new(SimulatedDataPlane::new(clock.clone(), SEED)), Timings::default()),
        };
        let config = EmulatorConfig { seed: SEED, timings, ..EmulatorConfig::new(clock.clone(), data_plane) };
        let emulator = Emulator::new(config);
        let listen = |source| SetUpError::Listen { port, source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(listen)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(listen)?);
        let answering = emulator.clone();
        // If it ended before this, the Lambdas' calls would fail, and the scenario would tell.
        let server = tokio::spawn(async move { answering.serve(listener, std::future::pending()).await });
        let logs = Logs::default();
        let stage = RealStage {
            cast,
            endpoint,
            logs: logs.clone(),
            pace: Arc::new(Pace::new(clock, speeds)),
            flink,
            news,
            functions: Mutex::default(),
            books: Mutex::default(),
        };
        Ok(Self { emulator, stage: Arc::new(stage), logs, server })
    }

    /// Plays the scenario to its end.
    ///
    /// # Errors
    /// As [`Scenario::play`].
    pub async fn play(&self, scenario: &Scenario) -> Result<Run, String> {
        scenario.play(self.world(), &self.logs).await
    }

    /// A world on this stage, with the emulator's applications in it.
    pub fn world(&self) -> World {
        World::on(self.stage.clone(), self.emulator.clone(), SEED)
    }

    /// Where the emulator answers.
    pub fn endpoint(&self) -> &str {
        &self.stage.endpoint
    }

    /// Ends the Lambdas of executions that have ended.
    pub fn let_go(&self) {
        let mut functions = self.stage.functions.lock().unwrap_or_else(PoisonError::into_inner);
        functions.retain(|functions| Arc::strong_count(functions) > 1);
    }

    /// What the Lambdas log.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The emulator, for its clock and its record.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// What a deployment did to the records in the state of a real job, in words, once it has ended.
    pub fn records(&self, execution: &str) -> Option<String> {
        let books = self.stage.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.get(execution).and_then(|book| book.records.clone())
    }

    /// What sets the clock's speed.
    pub fn pace(&self) -> &Arc<Pace> {
        &self.stage.pace
    }

    /// Ends the server, the Lambdas and whatever runs the jobs. Executions that were cut short have a moment to let go of their Lambdas;
    /// those of them that they still hold then end with the runtime.
    pub async fn shut_down(&self) {
        let functions = std::mem::take(&mut *self.stage.functions.lock().unwrap_or_else(PoisonError::into_inner));
        for functions in functions {
            for _ in 0..LETTING_GO_TRIES {
                if Arc::strong_count(&functions) == 1 {
                    break;
                }
                tokio::time::sleep(LETTING_GO).await;
            }
            if let Some(functions) = Arc::into_inner(functions) {
                functions.shutdown().await;
            }
        }
        self.emulator.shut_down().await;
        self.server.abort();
    }
}

/// The stage with the real Lambdas on it.
struct RealStage {
    cast: Cast,
    endpoint: String,
    logs: Logs,
    pace: Arc<Pace>,
    flink: Option<RealFlink>,
    news: UnboundedSender<News>,
    functions: Mutex<Vec<Arc<LambdaFunctions>>>,
    /// By execution.
    books: Mutex<BTreeMap<String, Book>>,
}

/// What is known of the ledger of a deployment's job.
#[derive(Debug, Default)]
struct Book {
    /// Lines that it had when the deployment began.
    lines: usize,
    /// What the deployment did to the records, in words; none before its end.
    records: Option<String>,
}

impl RealStage {
    /// Nobody may be listening any more.
    fn tell(&self, news: News) {
        let _ = self.news.send(news);
    }

    /// The file of the ledger, where there is a real job to write it.
    fn ledger_file(&self) -> Option<PathBuf> {
        self.flink.as_ref().map(|flink| flink.folder().join("ledger.jsonl"))
    }

    /// Looks into the ledger when a deployment begins and ends.
    fn keep_books(&self, event: &Event<'_>) {
        let Some(ledger) = self.ledger_file().and_then(|file| Ledger::read(&[file]).ok()) else { return };
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let book = books.entry(event.execution.to_owned()).or_default();
        match event.kind {
            EventKind::ExecutionStarted { redrives: 0, .. } => book.lines = ledger.lines(),
            EventKind::ExecutionEnded { .. } => {
                let are_right = if ledger.is_exact() { "each exactly once" } else { "some lost or counted twice" };
                let account = ledger.account_since(book.lines);
                book.records = account.map(|account| format!("{account}; {are_right}"));
            }
            _ => {}
        }
    }
}

impl RealStage {
    /// The binaries of this directory, as an execution of this name calls them.
    fn lambdas(&self, directory: &Path, execution: &str) -> Arc<dyn TaskHandler> {
        let environment = BTreeMap::from(
            [
                ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
                // The record tells executions apart by who signed.
                ("AWS_ACCESS_KEY_ID", execution),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("NOTIFY_TOPIC_ARN", TOPIC),
                ("NOTIFY_EVENT_BUS", BUS),
                ("TURNS_TABLE", TURNS),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        // They are started when they are first called.
        let functions = all_functions().map(|name| {
            let function = Function {
                binary: directory.join(name),
                environment: environment.clone(),
                timeout: LAMBDA_TIME_OUT,
                memory_megabytes: LAMBDA_MEGABYTES,
            };
            (name.to_owned(), function)
        });
        let logs = self.logs.clone();
        let sink = Arc::new(move |line: LogLine<'_>| logs.keep(line.line));
        let lambdas = Arc::new(LambdaFunctions::new(functions.collect(), sink));
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&lambdas));
        lambdas
    }
}

impl Stage for RealStage {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        let functions = match &self.cast {
            Cast::Lambdas(directory) => self.lambdas(directory, execution),
            Cast::Handlers => Arc::new(Handlers::of(world, execution)),
        };
        Arc::new(Paced { functions, pace: Arc::clone(&self.pace) })
    }

    fn endpoint(&self) -> Endpoint {
        // The emulator at its port.
        Endpoint::Overridden
    }

    fn code(&self, behaviour: &Behaviour) -> Bytes {
        match &self.flink {
            Some(flink) => flink.jar_of(behaviour),
            None => behaviour.to_content(),
        }
    }

    fn job_properties(&self) -> BTreeMap<String, String> {
        let file = self.ledger_file().map(|file| ("ledger.file".to_owned(), file.display().to_string()));
        file.into_iter().collect()
    }

    fn begins(&self) {
        self.pace.begin();
    }

    fn observe(&self, event: &Event<'_>) {
        self.pace.observe(event);
        if matches!(event.kind, EventKind::ExecutionStarted { .. } | EventKind::ExecutionEnded { .. }) {
            self.keep_books(event);
        }
        if let Some(news) = News::of(event) {
            self.tell(news);
        }
    }

    fn happens(&self, happening: &Happening, world: &World) {
        self.tell(News::Happening { at: world.clock.now(), what: happening.clone() });
    }
}

/// The handlers of all state machines, in this process.
struct Handlers {
    deploy: world::Functions,
    snapshots: Arc<dyn TaskHandler>,
}

impl Handlers {
    fn of(world: &World, execution: &str) -> Self {
        let snapshots = snapshot_functions(world, LostAnswers::default(), &Metrics::on(io::sink()));
        Self { deploy: world.functions(execution), snapshots }
    }
}

#[async_trait]
impl TaskHandler for Handlers {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        // Notify is one of both, and what it does for snapshots is what its Lambda does.
        let is_of_snapshots = SNAPSHOT_FUNCTIONS.iter().any(|(_, name)| *name == function_name);
        let functions: &dyn TaskHandler = if is_of_snapshots { &*self.snapshots } else { &self.deploy };
        functions.invoke(function_name, payload).await
    }
}

/// Functions in real time.
struct Paced {
    functions: Arc<dyn TaskHandler>,
    pace: Arc<Pace>,
}

#[async_trait]
impl TaskHandler for Paced {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let _at_work = self.pace.invocation();
        self.functions.invoke(function_name, payload).await
    }
}
