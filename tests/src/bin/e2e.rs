//! `cargo xtask e2e`: the command line, and nothing else; see `scenarios::flink_suite`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use scenarios::demo::production::find_lambdas;
use scenarios::flink_suite::arguments::Arguments;
use scenarios::flink_suite::run::{measure, run, seats};
use scenarios::flink_suite::summary::summary;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// How long whatever is still at work at the end has to let go.
const GRACE: Duration = Duration::from_secs(2);
const FAILURE: u8 = 1;
const MISUSE: u8 = 2;
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("error,emulator::flink=info"))
        .without_time()
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return told(&format!("no runtime: {error}"), FAILURE),
    };
    let code = runtime.block_on(until_stopped(&arguments));
    runtime.shutdown_timeout(GRACE);
    code
}

/// Whatever is under way when a signal comes is dropped, and ends with all its processes.
async fn until_stopped(arguments: &Arguments) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return told("no signals can be heard", FAILURE);
    };
    tokio::select! {
        code = perform(arguments) => code,
        _ = interrupt.recv() => ExitCode::from(INTERRUPTED),
        _ = terminate.recv() => ExitCode::from(TERMINATED),
    }
}

async fn perform(arguments: &Arguments) -> ExitCode {
    let situations = match arguments.situations() {
        Ok(situations) => situations,
        Err(unknown) => return told(&unknown.to_string(), MISUSE),
    };
    if arguments.list {
        let lines = situations.iter().map(|situation| format!("{:<28}{}\n", situation.name, situation.about));
        return printed(&lines.collect::<String>(), ExitCode::SUCCESS);
    }
    let directory =
        std::env::current_exe().ok().as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    if let Err(error) = find_lambdas(&directory) {
        return told(&error.to_string(), FAILURE);
    }
    let began = Instant::now();
    let mut figures = Vec::new();
    for version in arguments.versions() {
        match measure(version).await {
            Ok(measured) => figures.push(measured),
            Err(error) => return told(&error, FAILURE),
        }
    }
    let at_once = arguments.at_once.map_or_else(seats, usize::from);
    let (sender, mut news) = unbounded_channel();
    let versions = arguments.versions();
    let total = situations.len() * versions.len();
    let playing = run(&situations, &versions, at_once, &directory, sender);
    let listening = async {
        let mut all = Vec::new();
        while let Some(ended) = news.recv().await {
            all.push(ended);
            if let Some(ended) = all.last() {
                say(&format!("{:>2}/{total} {}", all.len(), ended.line()));
                if let Err(why) = &ended.result {
                    say(why);
                }
            }
        }
        all
    };
    let ((), mut ended) = tokio::join!(playing, listening);
    let place = |name: &str| situations.iter().position(|situation| situation.name == name);
    ended.sort_by_key(|it| (place(it.situation), it.version));
    let is_right = ended.len() == total && ended.iter().all(|it| it.result.is_ok());
    let code = if is_right { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) };
    printed(&format!("\n{}\n", summary(&ended, &figures, began.elapsed())), code)
}

/// Progress goes to standard error; nobody may be reading it.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "e2e: {text}");
}

fn told(text: &str, code: u8) -> ExitCode {
    say(text);
    ExitCode::from(code)
}

fn printed(text: &str, code: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(FAILURE),
    }
}
