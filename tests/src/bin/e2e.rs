//! `cargo xtask e2e`: the command line, and nothing else; see `scenarios::flink_suite`.

use std::process::ExitCode;

use clap::Parser as _;
use scenarios::demo::production::find_lambdas;
use scenarios::flink_suite::arguments::Arguments;
use scenarios::flink_suite::run::{measure, run, seats};
use scenarios::flink_suite::summary::summary;
use scenarios::suites::{FAILURE, MISUSE, directory, listed, printed, run_as_program, say, told};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_as_program("error,emulator::flink=info", perform(&arguments))
}

async fn perform(arguments: &Arguments) -> ExitCode {
    let situations = match arguments.situations() {
        Ok(situations) => situations,
        Err(unknown) => return told(&unknown.to_string(), MISUSE),
    };
    if arguments.list {
        return listed(situations.iter().map(|situation| (situation.name, situation.about)));
    }
    let directory = directory();
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
    printed(&format!("\n{}\n", summary(&ended, &figures, began.elapsed())), is_right)
}
