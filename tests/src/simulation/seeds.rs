//! Plays many seeds on all processors, adds up what came of them, and shrinks what went wrong to the parts that it needs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use lifecycle::report::Outcome;

use crate::simulation::judge::Mistake;
use crate::simulation::plan::Plan;
use crate::simulation::play::Aftermath;
use crate::simulation::table::Table;
use crate::world::{InProcess, Stage};

/// Seeds that a thread takes at a time.
const BATCH: u64 = 16;

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seeds that were played.
    pub seeds: u64,
    /// Executions that ended, and how; none is an execution that was aborted.
    pub outcomes: BTreeMap<Option<Outcome>, u64>,
    /// What was injected, and how often.
    pub injected: BTreeMap<String, u64>,
    /// A sum over all traces: the same seeds of the same code have the same.
    pub digest: u64,
}

impl Tally {
    fn add_aftermath(&mut self, aftermath: &Aftermath) {
        self.seeds += 1;
        for ended in &aftermath.ended {
            *self.outcomes.entry(ended.outcome()).or_default() += 1;
        }
        for (what, times) in &aftermath.injected {
            *self.injected.entry(what.clone()).or_default() += times;
        }
        self.digest = self.digest.wrapping_add(aftermath.digest());
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        for (outcome, times) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += times;
        }
        for (what, times) in other.injected {
            *self.injected.entry(what).or_default() += times;
        }
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// Executions that ended.
    pub fn executions(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut injected = Table::new(["injected", "times"]);
        for (what, times) in &self.injected {
            injected.row([what.clone(), times.to_string()]);
        }
        let mut outcomes = Table::new(["outcome", "executions"]);
        for (outcome, times) in &self.outcomes {
            let name = outcome.map_or_else(|| "aborted".to_owned(), |outcome| outcome.to_string());
            outcomes.row([name, times.to_string()]);
        }
        write!(formatter, "{injected}\n{outcomes}")
    }
}

/// A seed of which something is not as it has to be, shrunk.
#[derive(Debug)]
pub struct Violation {
    /// The plan, without the parts that it does not need.
    pub plan: Plan,
    /// What is not as it has to be.
    pub mistakes: Vec<Mistake>,
    /// What happened.
    pub timeline: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, mistakes, timeline } = self;
        let (kept, all) = (plan.kept().count(), plan.parts.len());
        writeln!(formatter, "seed {}: violated, shrunk from {all} parts to {kept}", plan.seed)?;
        for mistake in mistakes {
            writeln!(formatter, "  {mistake}")?;
        }
        writeln!(formatter, "{timeline}")?;
        let left_out: Vec<String> = plan.left_out.iter().map(ToString::to_string).collect();
        let without = if left_out.is_empty() { String::new() } else { format!(" --without {}", left_out.join(",")) };
        write!(formatter, "replay: cargo xtask simulate --seeds 1 --from {}{without}", plan.seed)
    }
}

/// Plays these seeds on so many threads. Ends early where a seed violates something, and answers the smallest such seed.
///
/// # Errors
/// When a world could not be set up.
pub fn play_all(
    seeds: Range<u64>,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Tally, Option<Violation>), String> {
    let next = AtomicU64::new(seeds.start);
    let played = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    let violated: Mutex<BTreeMap<u64, Result<(), String>>> = Mutex::default();
    let work = || {
        let mut tally = Tally::default();
        while !is_over.load(Ordering::Relaxed) {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= seeds.end {
                break;
            }
            for seed in from..(from + BATCH).min(seeds.end) {
                let failure = match Plan::draw(seed).play(Arc::new(InProcess)) {
                    Ok(aftermath) => {
                        tally.add_aftermath(&aftermath);
                        (!aftermath.mistakes().is_empty()).then_some(Ok(()))
                    }
                    Err(error) => Some(Err(format!("seed {seed}: {error}"))),
                };
                if let Some(failure) = failure {
                    violated.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, failure);
                    is_over.store(true, Ordering::Relaxed);
                }
                progress(played.fetch_add(1, Ordering::Relaxed) + 1);
            }
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let violated = violated.into_inner().unwrap_or_else(PoisonError::into_inner);
    let violation = match violated.into_iter().next() {
        Some((seed, failure)) => {
            failure?;
            shrink(Plan::draw(seed), &|| Arc::new(InProcess))?
        }
        None => None,
    };
    Ok((total, violation))
}

/// Leaves out of a plan what its first mistake does not need; none where the plan makes no mistake.
///
/// # Errors
/// When a world could not be set up.
pub fn shrink(plan: Plan, stage: &dyn Fn() -> Arc<dyn Stage>) -> Result<Option<Violation>, String> {
    let judged = |plan: &Plan| {
        let aftermath = plan.clone().play(stage())?;
        let mistakes = aftermath.mistakes();
        Ok::<_, String>((aftermath, mistakes))
    };
    let (mut aftermath, mut mistakes) = judged(&plan)?;
    let Some(demand) = mistakes.first().map(|mistake| mistake.demand.clone()) else { return Ok(None) };
    let mut smallest = plan;
    loop {
        let numbers: Vec<usize> = smallest.kept().map(|(number, _)| number).collect();
        let mut has_shrunk = false;
        for number in numbers.into_iter().rev() {
            let smaller = smallest.clone().without([number]);
            let (after, of_smaller) = judged(&smaller)?;
            if of_smaller.iter().any(|mistake| mistake.demand == demand) {
                (smallest, aftermath, mistakes, has_shrunk) = (smaller, after, of_smaller, true);
            }
        }
        if !has_shrunk {
            let timeline = aftermath.timeline();
            return Ok(Some(Violation { plan: smallest, mistakes, timeline }));
        }
    }
}
