//! The command line of the simulation: what to play, how far it has come, what came of it.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use clock::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::simulation::exhaustive::{self, Variant};
use crate::simulation::plan::Plan;
use crate::simulation::sabotage;
use crate::simulation::seeds::{play_all, shrink};
use crate::world::InProcess;

/// Whole deployments through the shipped definitions and handlers, in virtual time, with everything going wrong that can:
/// drawn by seeds, at every call of every scenario, or because the software is broken on purpose
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask simulate",
    bin_name = "cargo xtask simulate",
    after_help = "Exit codes: 0 nothing was violated, 1 something was, or could not be played, 2 misuse."
)]
struct Arguments {
    /// How many seeds to play; 1000, unless told otherwise, where nothing else is asked for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// Leave these parts of the plan out: with one seed only
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    without: Vec<usize>,
    /// Print the whole trace: with one seed only
    #[arg(long)]
    trace: bool,
    /// Every call of every scenario, and all that can go wrong with it
    #[arg(long)]
    exhaustive: bool,
    /// Of this scenario only; may be given more than once
    #[arg(long, value_name = "NAME", requires = "exhaustive")]
    scenario: Vec<String>,
    /// Of the call with this number only, as violations name it
    #[arg(long, value_name = "NUMBER", requires = "scenario")]
    call: Option<usize>,
    /// Only this goes wrong; may be given more than once
    #[arg(long, requires = "exhaustive")]
    variant: Vec<Variant>,
    /// Break the software on purpose, one thing at a time, and demand that the simulation notices
    #[arg(long)]
    teeth: bool,
    /// How much to play at a time; as much as there are processors, unless told otherwise
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

impl Arguments {
    /// The seeds to be played; none where only other parts are asked for.
    fn seeds(&self) -> Range<u64> {
        let seeds = self.seeds.unwrap_or(if self.exhaustive || self.teeth { 0 } else { DEFAULT_SEEDS });
        self.from..self.from.saturating_add(seeds)
    }

    fn threads(&self) -> usize {
        self.threads.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get)
    }

    /// Whether the exhaustive part is to be played as a whole: only that has to reach everything.
    fn is_whole(&self) -> bool {
        self.scenario.is_empty() && self.variant.is_empty()
    }
}

/// Seeds that are played where nothing else is asked for.
const DEFAULT_SEEDS: u64 = 1_000;
/// Violations of the exhaustive part that are told with all that happened.
const TOLD_IN_FULL: usize = 3;

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
    let is_single = arguments.seeds == Some(1);
    if !is_single && (arguments.trace || !arguments.without.is_empty()) {
        return Err("--trace and --without are of one seed: add --seeds 1".to_owned());
    }
    if is_single {
        return one(arguments);
    }
    let mut is_clean = true;
    if !arguments.seeds().is_empty() {
        is_clean &= play_seeds(arguments.seeds(), arguments.threads())?;
    }
    if arguments.exhaustive {
        is_clean &= play_every_call(arguments)?;
    }
    if arguments.teeth {
        is_clean &= break_on_purpose(arguments.threads())?;
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether nothing was violated by any of these seeds.
fn play_seeds(seeds: Range<u64>, threads: usize) -> Result<bool, String> {
    let progress = Progress::new("seeds");
    let of = seeds.end - seeds.start;
    let (tally, violation) = play_all(seeds.clone(), threads, &|played| progress.say(played, of))?;
    tell(&tally.to_string());
    let (executions, digest) = (tally.executions(), tally.digest);
    let took = progress.seconds();
    tell(&format!(
        "seeds {} to {}: {} played with {executions} executions in {took} s, digest {digest:016x}",
        seeds.start,
        seeds.end - 1,
        tally.seeds
    ));
    tell(&violation.as_ref().map_or_else(|| "no violation\n".to_owned(), ToString::to_string));
    Ok(violation.is_none())
}

/// Whether nothing was violated, whatever went wrong with a call, and everything was reached.
fn play_every_call(arguments: &Arguments) -> Result<bool, String> {
    let progress = Progress::new("runs with one call disturbed");
    let options = exhaustive::Options {
        threads: arguments.threads(),
        scenarios: arguments.scenario.clone(),
        call: arguments.call,
        variants: arguments.variant.clone(),
    };
    let summary = exhaustive::run(&options, &|made, of| progress.say(made, of))?;
    if !arguments.is_whole() {
        tell(&summary.by_scenario().to_string());
    }
    tell(&format!("{summary} in {} s\n", progress.seconds()));
    for violation in summary.violations.iter().take(TOLD_IN_FULL) {
        tell(&format!("{violation}\n"));
    }
    for violation in summary.violations.iter().skip(TOLD_IN_FULL) {
        let first = violation.mistakes.first().map(ToString::to_string).unwrap_or_default();
        tell(&format!("{first}\n    again: {}", violation.replay()));
    }
    for mistake in &summary.situations {
        tell(mistake);
    }
    let mut is_clean = summary.violations.is_empty() && summary.situations.is_empty();
    if arguments.is_whole() {
        tell(&summary.coverage.to_string());
        let mistakes = summary.coverage.mistakes();
        for mistake in &mistakes {
            tell(mistake);
        }
        is_clean &= mistakes.is_empty();
    }
    Ok(is_clean)
}

/// Whether all that was broken on purpose was noticed.
fn break_on_purpose(threads: usize) -> Result<bool, String> {
    let progress = Progress::new("mutations");
    let trials = sabotage::run(threads, &|trial| {
        say(&format!("simulate: {} after {} plans, {} s", trial.sabotage.name, trial.played, progress.seconds()));
    })?;
    tell(&trials.to_string());
    let (all, survivors) = (trials.0.len(), trials.survivors().count());
    tell(&format!("{all} mutations: {} caught, {survivors} survived, in {} s\n", all - survivors, progress.seconds()));
    Ok(survivors == 0)
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
    /// What is made.
    what: &'static str,
    began: Timestamp,
    said: Mutex<Timestamp>,
    every: Duration,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        let clock = Clock::wall();
        let began = clock.now();
        let every = Duration::from_secs(if io::stderr().is_terminal() { 2 } else { 10 });
        Self { clock, what, began, said: Mutex::new(began), every }
    }

    fn seconds(&self) -> i64 {
        self.clock.now().duration_since(self.began).as_secs()
    }

    fn say(&self, made: u64, of: u64) {
        let now = self.clock.now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(*said) >= SignedDuration::try_from(self.every).unwrap_or_default() {
            *said = now;
            let seconds = self.seconds().max(1).unsigned_abs();
            say(&format!("simulate: {made} of {of} {}, {} a second", self.what, made / seconds));
        }
    }
}
