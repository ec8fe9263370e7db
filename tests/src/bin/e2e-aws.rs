//! `cargo xtask e2e --aws`: the command line, and nothing else; see `scenarios::aws_suite`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use scenarios::aws_suite::account::{Account, Build};
use scenarios::aws_suite::arguments::Arguments;
use scenarios::aws_suite::host::Tools;
use scenarios::aws_suite::run::{Played, run, seats};
use scenarios::suites::{FAILURE, MISUSE, directory, listed, printed, run_as_program, say, told};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_as_program("error", perform(&arguments))
}

async fn perform(arguments: &Arguments) -> ExitCode {
    let situations = match arguments.situations() {
        Ok(situations) => situations,
        Err(unknown) => return told(&unknown.to_string(), MISUSE),
    };
    if arguments.list {
        return listed(situations.iter().map(|situation| (situation.name, situation.about)));
    }
    let programs = directory();
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
    let right = played.iter().filter(|it| it.result.is_ok()).count();
    let result = if arguments.json {
        serde_json::to_string_pretty(&played).unwrap_or_default()
    } else {
        format!("{right} of {total} situations came out as they should, in {} s", began.elapsed().as_secs())
    };
    printed(&format!("{result}\n"), is_right)
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
