//! The command line of the simulation: what to play, how far it has come, what came of it.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use clock::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::simulation::plan::Plan;
use crate::simulation::seeds::{play_all, shrink};
use crate::world::InProcess;

/// Whole deployments with faults drawn by a seed, through the shipped definitions and handlers, in virtual time.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask simulate",
    bin_name = "cargo xtask simulate",
    after_help = "Exit codes: 0 nothing was violated, 1 something was, or could not be played, 2 misuse."
)]
struct Arguments {
    /// How many seeds to play
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// Leave these parts of the plan out: with one seed only
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    without: Vec<usize>,
    /// Print the whole trace: with one seed only
    #[arg(long)]
    trace: bool,
    /// How many seeds to play at a time; as many as there are processors, unless told otherwise
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match simulate(&arguments) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("simulate: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Where nobody listens any more, the exit code still tells.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn tell(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn simulate(arguments: &Arguments) -> Result<ExitCode, String> {
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    if seeds.is_empty() {
        return Err("--seeds: give 1 or more".to_owned());
    }
    let is_single = arguments.seeds == 1;
    if !is_single && (arguments.trace || !arguments.without.is_empty()) {
        return Err("--trace and --without are of one seed: add --seeds 1".to_owned());
    }
    if is_single {
        return one(arguments);
    }
    let threads = arguments.threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
    let progress = Progress::new(arguments.seeds);
    let (tally, violation) = play_all(seeds.clone(), threads, &|played| progress.say(played))?;
    tell(&tally.to_string());
    let (executions, digest) = (tally.executions(), tally.digest);
    let took = progress.seconds();
    tell(&format!(
        "seeds {} to {}: {} played with {executions} executions in {took} s, digest {digest:016x}",
        seeds.start,
        seeds.end - 1,
        tally.seeds
    ));
    if let Some(violation) = violation {
        tell(&violation.to_string());
        return Ok(ExitCode::FAILURE);
    }
    tell("no violation");
    Ok(ExitCode::SUCCESS)
}

/// One seed, whole or in part.
fn one(arguments: &Arguments) -> Result<ExitCode, String> {
    let plan = Plan::draw(arguments.from);
    let numbers: BTreeSet<usize> = arguments.without.iter().copied().collect();
    if let Some(unknown) = numbers.iter().find(|number| **number >= plan.parts.len()) {
        return Err(format!("--without {unknown}: seed {} has parts 0 to {}", plan.seed, plan.parts.len() - 1));
    }
    let plan = plan.without(numbers);
    let aftermath = plan.clone().play(Arc::new(InProcess))?;
    if arguments.trace {
        tell(&aftermath.trace());
    }
    if aftermath.mistakes().is_empty() {
        if !arguments.trace {
            tell(&aftermath.timeline());
        }
        tell("no violation");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(violation) = shrink(plan, &|| Arc::new(InProcess))? {
        tell(&violation.to_string());
    }
    Ok(ExitCode::FAILURE)
}

/// Says how far it has come: every ten seconds, and more often to a person.
struct Progress {
    clock: Clock,
    of: u64,
    began: Timestamp,
    said: Mutex<Timestamp>,
    every: Duration,
}

impl Progress {
    fn new(of: u64) -> Self {
        let clock = Clock::wall();
        let began = clock.now();
        let every = Duration::from_secs(if io::stderr().is_terminal() { 2 } else { 10 });
        Self { clock, of, began, said: Mutex::new(began), every }
    }

    fn seconds(&self) -> i64 {
        self.clock.now().duration_since(self.began).as_secs()
    }

    fn say(&self, played: u64) {
        let now = self.clock.now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(*said) >= SignedDuration::try_from(self.every).unwrap_or_default() {
            *said = now;
            let seconds = self.seconds().max(1).unsigned_abs();
            say(&format!("simulate: {played} of {} seeds, {} a second", self.of, played / seconds));
        }
    }
}
