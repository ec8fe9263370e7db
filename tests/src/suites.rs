//! What the end-to-end suites share: how their programs begin, end and speak, and how they wait.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tracing_subscriber::EnvFilter;

/// How long whatever is still at work at the end has to let go.
const GRACE: Duration = Duration::from_secs(2);
/// Exit code where something is not as it should be.
pub const FAILURE: u8 = 1;
/// Exit code where the arguments cannot be meant.
pub const MISUSE: u8 = 2;
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Runs a suite as a program, with what `filter` lets through on standard error. Whatever is under way when a signal comes
/// is dropped, and ends with all its processes.
pub fn run_as_program(filter: &str, suite: impl Future<Output = ExitCode>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .without_time()
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return told(&format!("no runtime: {error}"), FAILURE),
    };
    let code = runtime.block_on(until_stopped(suite));
    runtime.shutdown_timeout(GRACE);
    code
}

async fn until_stopped(suite: impl Future<Output = ExitCode>) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return told("no signals can be heard", FAILURE);
    };
    tokio::select! {
        code = suite => code,
        _ = interrupt.recv() => ExitCode::from(INTERRUPTED),
        _ = terminate.recv() => ExitCode::from(TERMINATED),
    }
}

/// The folder of this program, where the Lambdas' binaries are, too.
pub fn directory() -> PathBuf {
    std::env::current_exe().ok().as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
}

/// Progress goes to standard error; nobody may be reading it.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "e2e: {text}");
}

/// Says why it ends with this code.
pub fn told(text: &str, code: u8) -> ExitCode {
    say(text);
    ExitCode::from(code)
}

/// Prints the names of situations and what they are about.
pub fn listed<'a>(situations: impl Iterator<Item = (&'a str, &'a str)>) -> ExitCode {
    let lines = situations.map(|(name, about)| format!("{name:<28}{about}\n"));
    printed(&lines.collect::<String>(), true)
}

/// Prints the result, and ends by whether all is as it should be and somebody could read so.
pub fn printed(text: &str, is_right: bool) -> ExitCode {
    let is_read = io::stdout().write_all(text.as_bytes()).is_ok();
    if is_right && is_read { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

/// Tries until there is something, with this pause in between.
///
/// # Errors
/// When there never is within this time, or the attempt itself fails.
pub(crate) async fn until<T>(
    what: &str,
    pause: Duration,
    within: Duration,
    attempt: impl AsyncFn() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let tries = async {
        loop {
            if let Some(found) = attempt().await? {
                return Ok(found);
            }
            sleep(pause).await;
        }
    };
    timeout(within, tries).await.unwrap_or_else(|_| Err(format!("never: {what}")))
}
