//! `emulator serve`: Managed Service for Apache Flink at a local port.
#![expect(clippy::doc_markdown, reason = "the help shows it as it is written")]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use aws_config::BehaviorVersion;
use clap::{Args, Parser, Subcommand};
use clock::Clock;
use emulator::data_plane::DataPlane;
use emulator::dynamodb::Table;
use emulator::flink::{FlinkDataPlane, FlinkOptions, FlinkVersion};
use emulator::simulated::SimulatedDataPlane;
use emulator::{CodeStore, Emulator, EmulatorConfig, TemporaryFolder};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Managed Service for Apache Flink on a laptop.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer any AWS SDK and the AWS CLI at a local port: kinesisanalyticsv2, Flink's REST API, CloudWatch and its Logs, SNS,
    /// EventBridge, DynamoDB, Step Functions, and uploads of code to S3.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// Port on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 4600)]
    port: u16,
    /// How many times as fast as real time the service runs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "flink")]
    speed: u32,
    /// Folder with the applications' code as <bucket>/<key>; a file that changes is a new object version.
    #[arg(long, value_name = "DIR")]
    code_folder: Option<PathBuf>,
    /// Endpoint of the S3 API that has the applications' code, such as http://127.0.0.1:9000. Credentials and region come
    /// from where the AWS SDKs look for them.
    #[arg(long, value_name = "URL", conflicts_with = "code_folder")]
    code_s3_endpoint: Option<url::Url>,
    /// Run the jobs on a real Apache Flink of this version (1.20, 2.2 or 2.3) instead of simulating them. It is fetched
    /// on first use.
    #[arg(long, value_name = "VERSION")]
    flink: Option<String>,
    /// File to which the runtime properties of an application are also written when its job is submitted; stock jobs read
    /// /etc/flink/application_properties.json.
    #[arg(long, value_name = "FILE", requires = "flink")]
    flink_properties_file: Option<PathBuf>,
    /// Table of DynamoDB that is there from the start, with its partition key; may be given several times.
    #[arg(long = "table", value_name = "NAME:KEY", value_parser = table)]
    tables: Vec<Table>,
    /// Name of a state machine of Step Functions whose executions can be started; may be given several times.
    #[arg(long = "state-machine", value_name = "NAME")]
    state_machines: Vec<String>,
    /// What ids and chance come from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Reads `NAME:KEY`.
fn table(text: &str) -> Result<Table, String> {
    match text.split_once(':') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok(Table::new(name, key)),
        _ => Err("a table is given as NAME:KEY".to_owned()),
    }
}

/// What keeps the emulator from serving.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot listen at {address}: {source}; choose another port with --port")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Code(#[from] emulator::code::CodeFolderError),
    #[error(transparent)]
    S3(#[from] emulator::code::S3EndpointError),
    #[error(transparent)]
    Flink(#[from] emulator::flink::FlinkError),
    #[error("cannot go on: {0}")]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(arguments) = Arguments::parse().command;
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::WARN.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if stderr is closed.
            let _ = writeln!(std::io::stderr(), "emulator: {error}");
            ExitCode::from(if matches!(error, ServeError::Io(_)) { 1 } else { 2 })
        }
    }
}

async fn serve(arguments: Serve) -> Result<(), ServeError> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port);
    let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let wall = Clock::wall();
    let clock = Clock::starting_at(wall.now(), arguments.speed);
    let data_plane: Arc<dyn DataPlane> = match &arguments.flink {
        None => Arc::new(SimulatedDataPlane::new(clock.clone(), arguments.seed)),
        Some(version) => {
            let versions = vec![version.parse::<FlinkVersion>()?];
            let shared_properties_file = arguments.flink_properties_file.clone();
            let options = FlinkOptions { versions, shared_properties_file, ..FlinkOptions::default() };
            Arc::new(FlinkDataPlane::launch(options).await?)
        }
    };
    let kept = TemporaryFolder::new()?;
    let code = match (&arguments.code_folder, arguments.code_s3_endpoint) {
        (Some(folder), _) => CodeStore::folder(folder, kept.path())?,
        (None, Some(endpoint)) => CodeStore::s3(endpoint, &aws_config::load_defaults(BehaviorVersion::latest()).await)?,
        (None, None) => CodeStore::in_memory(),
    };
    let Serve { tables, state_machines, seed, .. } = arguments;
    let config = EmulatorConfig::new(clock, data_plane);
    let emulator = Emulator::new(EmulatorConfig { code, tables, state_machines, seed, ..config });
    let endpoint = format!("http://{}", listener.local_addr()?);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "Managed Service for Apache Flink answers at {endpoint}; Ctrl-C ends it. For example:")?;
    writeln!(
        stdout,
        "  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any \\\n  \
         aws --endpoint-url {endpoint} --region us-east-1 kinesisanalyticsv2 list-applications"
    )?;
    stdout.flush()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = emulator.serve(listener, stop).await;
    emulator.shut_down().await;
    Ok(served?)
}
