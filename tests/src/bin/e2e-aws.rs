//! `cargo xtask e2e --aws`: the command line, and nothing else; see `scenarios::aws_suite`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use scenarios::aws_suite::account::{Account, Build};
use scenarios::aws_suite::arguments::Arguments;
use scenarios::aws_suite::host::Tools;
use scenarios::aws_suite::run::{Played, run, seats};
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
        .with_env_filter(EnvFilter::new("error"))
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
    let programs =
        std::env::current_exe().ok().as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let build = if arguments.built { Build::Built(programs.clone()) } else { Build::CargoLambda };
    let began = Instant::now();
    let account = match set_up(&programs, &build, arguments, began).await {
        Ok(account) => Arc::new(account),
        Err(error) => return told(&error, FAILURE),
    };
    let at_once = arguments.at_once.map_or_else(seats, usize::from);
    let total = situations.len();
    let (sender, mut news) = unbounded_channel();
    let playing = run(Arc::clone(&account), situations, at_once, sender);
    let listening = async {
        let mut all: Vec<Played> = Vec::new();
        while let Some(played) = news.recv().await {
            say(&format!("{:>2}/{total} {}", all.len() + 1, played.line()));
            all.push(played);
        }
        all
    };
    let ((), played) = tokio::join!(playing, listening);
    let is_right = played.len() == total && played.iter().all(|it| it.result.is_ok());
    if !is_right {
        say(&format!("the last lines of ministack:{}", account.log()));
    }
    if let Some(account) = Arc::into_inner(account) {
        account.close().await;
    }
    let code = if is_right { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) };
    let right = played.iter().filter(|it| it.result.is_ok()).count();
    let result = if arguments.json {
        serde_json::to_string_pretty(&played).unwrap_or_default()
    } else {
        format!("{right} of {total} situations came out as they should, in {} s", began.elapsed().as_secs())
    };
    printed(&format!("{result}\n"), code)
}

async fn set_up(programs: &Path, build: &Build, arguments: &Arguments, began: Instant) -> Result<Account, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let mut account = Account::open(Tools::beside(programs)?, workspace, arguments.speed).await?;
    let progress = |what: &str| say(&format!("{what} ({} s)", began.elapsed().as_secs()));
    let installed = account.install(build, progress).await;
    if arguments.keep {
        say(&format!("logs are in {}", account.keep_folder().display()));
    }
    installed.map(|()| account)
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
