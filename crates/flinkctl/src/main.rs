//! The command line, and nothing else; see the crate `flinkctl`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use flinkctl::arguments::Arguments;
use flinkctl::commands::{Surroundings, run};
use flinkctl::failure::{Exit, Failure};
use flinkctl::terminal::line::{Line, Style};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = runtime().and_then(|runtime| runtime.block_on(run(arguments, surroundings())));
    let exit = ended.unwrap_or_else(|failure| {
        let told: Vec<String> =
            failure.to_string().lines().map(|line| Line::new().and(Style::Plain, line).plain()).collect();
        // Nothing is left to tell it to if standard error is closed.
        let _ = writeln!(io::stderr(), "flinkctl: {}", told.join("\n"));
        failure.exit
    });
    ExitCode::from(exit as u8)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure { exit: Exit::Failed, what: format!("Cannot start: {error}."), cure: None })
}

fn surroundings() -> Surroundings {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    Surroundings {
        is_overridden: is_set("AWS_ENDPOINT_URL") || is_set("AWS_ENDPOINT_URL_KINESIS_ANALYTICS_V2"),
        is_plain: is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb"),
    }
}
