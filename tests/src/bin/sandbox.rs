//! `cargo xtask sandbox`: the command line, and nothing else; see `scenarios::sandbox`.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use scenarios::sandbox::Sandbox;
use scenarios::sandbox::arguments::{Arguments, guide};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long whatever is still at work at the end has to let go.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What Flink's download says of its progress goes to standard error.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("error,emulator::flink=info"))
        .without_time()
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(io::stderr(), "sandbox: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let directory = std::env::current_exe()?.parent().map(ToOwned::to_owned).unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut stopped = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let sandbox = tokio::select! {
            sandbox = Sandbox::start(&directory, arguments.options()) => sandbox?,
            () = stopped() => return Ok(()),
        };
        // Whoever has closed standard output can use it all the same.
        let mut out = io::stdout();
        let _ = out.write_all(guide(&sandbox).as_bytes()).and_then(|()| out.flush());
        stopped().await;
        sandbox.shut_down().await;
        Ok(())
    });
    runtime.shutdown_timeout(GRACE);
    ended
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
