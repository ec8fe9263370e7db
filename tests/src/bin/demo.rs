//! `cargo xtask demo`: the command line, and nothing else; see `scenarios::demo`.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use flinkctl::terminal::screen::{Abilities, Screen};
use scenarios::demo::arguments::Arguments;
use scenarios::demo::performance::{DemoError, Ending, list, perform};
use tracing_subscriber::EnvFilter;

/// How long whatever is still at work at the end has to let go.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(ending) => ExitCode::from(ending.exit_code()),
        Err(error) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(io::stderr(), "demo: {}", with_causes(&error));
            ExitCode::from(if matches!(error, DemoError::Misuse(_)) { 2 } else { 1 })
        }
    }
}

fn run(arguments: &Arguments) -> Result<Ending, DemoError> {
    let abilities = abilities();
    let mut out = io::stdout();
    if arguments.list {
        let printed = Screen::new(&mut out, abilities).print(&list(&arguments.pieces(), abilities));
        return match printed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::NobodyReads),
            printed => Ok(printed.map(|()| Ending::AsItShould)?),
        };
    }
    // What Flink's download says of its progress goes to standard error.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("error,emulator::flink=info"))
        .without_time()
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let directory = std::env::current_exe()?.parent().map(ToOwned::to_owned).unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new()?;
    let ending = runtime.block_on(perform(arguments, &directory, &mut out, abilities));
    runtime.shutdown_timeout(GRACE);
    ending
}

/// What standard output can do, by what it is and what its owner wants.
fn abilities() -> Abilities {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_plain = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let is_live = io::stdout().is_terminal() && !is_plain;
    Abilities { is_live, is_coloured: is_live && !is_set("NO_COLOR") }
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
