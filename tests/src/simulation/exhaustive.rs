//! Every call of every scenario, and all that can go wrong with it: the call fails before it is done, its answer is lost, it
//! is throttled until the retries are used up, its Lambda is run twice or dies at it, and its execution is aborted at it
//! while another with the same request is started. Each is a run of its own in virtual time, and each is judged: by the
//! nine safety rules, by whether everybody has come to an outcome, and by whether the application was left well, or
//! stopped because somebody asked for that, or somebody was told.
//!
//! Runs are the same up to the disturbed call as the undisturbed run, which says what calls there are. Runs that are
//! provably others over again are not made twice, but counted:
//!
//! - a Lambda that is run twice, or not at all, is the same run for every call that it makes;
//! - calls of one operation that come at the same moment are throttled together;
//! - of a call that changes nothing it does not matter whether it was done: answered by an error it is the same as failed
//!   by that error, and broken off it is the same as not reached;
//! - where the SDK makes such a call it tries again, whether it was answered by an error or not at all;
//! - a Lambda that dies at such a call leaves behind what it does when it dies at the last call before that changes
//!   something, or at its first;
//! - when an execution is aborted, it does not matter which call its Lambda is making if none of its calls changes anything.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use asl::{Event, EventKind, Stop, TaskError, TaskHandler};
use async_trait::async_trait;
use emulator::record::{Call as RecordedCall, Event as Recorded};
use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Emulator, Fault, Loss, Occurrences, RecordEntry};
use jiff::{SignedDuration, Timestamp};
use lifecycle::report::Outcome;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::catalogue::catalogue;
use crate::checker::{ExecutionTrace, Observed, check};
use crate::scenario::{Crash, CrashKind, Happening, Planned, Scenario, calls_of, happen, input_of, report_of, until};
use crate::simulation::coverage::{Coverage, Watcher, faults_of_lambda};
use crate::simulation::judge::{Actor, Left, Mistake};
use crate::simulation::play::{Ended, LONGEST, Rest, at_rest};
use crate::simulation::table::Table;
use crate::simulation::{situations, story};
use crate::world::{FUNCTIONS, Stage, World};

/// How long an operation is throttled: longer than all retries take. The state machine tries a Lambda five times more, after
/// 50 s at most; the SDK tries a call twice more each time, after 3 s at most.
const THROTTLED: SignedDuration = SignedDuration::from_secs(120);
/// How often the state machine tries a Lambda.
const TRIES: u32 = 6;
/// The worlds' seed.
const SEED: u64 = 1;

/// What goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Variant {
    /// It is answered by a server error, and not done.
    Fails,
    /// It does not reach the service.
    Unreachable,
    /// It is done, and answered by a server error.
    Lost,
    /// It is done, and the connection breaks.
    Reset,
    /// From it on its operation is throttled, until all retries are used up.
    Throttled,
    /// The Lambda that makes it is run twice at the same time.
    Twice,
    /// The Lambda that makes it dies at it, and is run again.
    Dies,
    /// The Lambda that would make it cannot be run, until all retries are used up.
    Gone,
    /// The execution is aborted at it, and another with the same request is started; the Lambda runs on.
    Aborted,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Fails,
        Self::Unreachable,
        Self::Lost,
        Self::Reset,
        Self::Throttled,
        Self::Twice,
        Self::Dies,
        Self::Gone,
        Self::Aborted,
    ];

    /// As the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Reset => "reset",
            Self::Throttled => "throttled",
            Self::Twice => "twice",
            Self::Dies => "dies",
            Self::Gone => "gone",
            Self::Aborted => "aborted",
        }
    }

    /// In a few words.
    fn about(self) -> &'static str {
        match self {
            Self::Fails => "fails before it is done: 500",
            Self::Unreachable => "fails before it is done: not reached",
            Self::Lost => "done, answer lost: 500",
            Self::Reset => "done, answer lost: connection reset",
            Self::Throttled => "throttled until the retries are used up",
            Self::Twice => "its Lambda is run twice at once",
            Self::Dies => "its Lambda dies at it, and is run again",
            Self::Gone => "its Lambda cannot be run until the retries are used up",
            Self::Aborted => "execution aborted at it, another started",
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many runs at a time.
    pub threads: usize,
    /// Names of the scenarios; all of the catalogue if there are none.
    pub scenarios: Vec<String>,
    /// The number of the call, among all calls of the scenario's deployments; all if there is none.
    pub call: Option<usize>,
    /// What goes wrong; everything if there is nothing.
    pub variants: Vec<Variant>,
}

/// A call of a scenario's deployment, as it is made when nothing is disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    /// Its number among all calls of the scenario's deployments; 1 is the first.
    number: usize,
    /// The index of the deployment that makes it.
    deployment: usize,
    /// Its number among the calls of that deployment; 1 is the first.
    of_deployment: u32,
    /// When it is made.
    at: Timestamp,
    /// What it calls, as a fault names it.
    operation: String,
    /// Whether it may change something.
    changes: bool,
    /// The Lambda that makes it.
    function: &'static str,
    /// Which call of that Lambda it is made in; 1 is the first.
    invocation: u32,
    /// Its number among the calls that the Lambda makes then; 1 is the first.
    of_invocation: u32,
    /// Whether any of the calls that the Lambda makes then may change something.
    is_among_changes: bool,
}

impl Call {
    /// Whether another run is provably the same as this variant's, so that this one need not be made.
    fn is_like_another(&self, variant: Variant) -> bool {
        let is_of_flink = self.operation.starts_with("flink:");
        match variant {
            Variant::Lost | Variant::Unreachable => !self.changes,
            Variant::Reset => !self.changes && !is_of_flink,
            Variant::Dies => !self.changes && self.of_invocation > 1,
            Variant::Aborted => !self.is_among_changes && self.of_invocation > 1,
            Variant::Twice | Variant::Gone => self.of_invocation > 1,
            Variant::Fails | Variant::Throttled => false,
        }
    }
}

/// A scenario with its calls.
#[derive(Debug)]
struct Score {
    scenario: Scenario,
    calls: Vec<Call>,
    outcomes: Vec<Option<Outcome>>,
}

/// A run that is to be made.
#[derive(Debug, Clone, Copy)]
struct Disturbed<'a> {
    score: &'a Score,
    call: &'a Call,
    variant: Variant,
}

/// What a run has left behind.
#[derive(Debug)]
struct Played {
    ended: Vec<Ended>,
    record: Vec<RecordEntry>,
    rest: Rest,
    is_endless: bool,
    panics: Vec<String>,
    invocations: Vec<Invocation>,
    coverage: Coverage,
}

/// A call of a Lambda.
#[derive(Debug, Clone)]
struct Invocation {
    execution: String,
    function: &'static str,
    /// Calls of services that the execution had made before.
    calls_before: u32,
}

/// A run of which something is not as it has to be.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Number of the call among all calls of the scenario's deployments; none where the scenario itself is wrong.
    pub call: Option<usize>,
    /// What it calls.
    pub operation: String,
    /// What went wrong.
    pub variant: Option<Variant>,
    /// What is not as it has to be.
    pub mistakes: Vec<Mistake>,
    /// What happened.
    pub timeline: String,
}

impl Violation {
    /// The command that makes this run again.
    pub fn replay(&self) -> String {
        let call = self.call.map(|call| format!(" --call {call}")).unwrap_or_default();
        let variant = self.variant.map(|variant| format!(" --variant {}", variant.name())).unwrap_or_default();
        format!("cargo xtask simulate --exhaustive --scenario {}{call}{variant}", self.scenario)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, operation, mistakes, timeline, .. } = self;
        let variant = self.variant.map_or("undisturbed", Variant::about);
        writeln!(formatter, "{scenario}, call {}, {operation}: {variant}", self.call.unwrap_or_default())?;
        for mistake in mistakes {
            writeln!(formatter, "  {mistake}")?;
        }
        writeln!(formatter, "{timeline}")?;
        write!(formatter, "again: {}", self.replay())
    }
}

/// What came of the runs of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Runs that were made.
    pub runs: u64,
    /// Runs that were not made, since they are provably one that was.
    pub same: u64,
    /// Executions by outcome; none is an execution that was aborted.
    pub outcomes: BTreeMap<Option<Outcome>, u64>,
    /// Runs in which a deployment has come to another outcome than undisturbed.
    pub otherwise: u64,
    /// Runs with mistakes.
    pub violations: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.same += other.same;
        self.otherwise += other.otherwise;
        self.violations += other.violations;
        for (outcome, times) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += times;
        }
    }
}

/// What came of all runs.
#[derive(Debug, Clone, Default)]
pub struct ExhaustiveSummary {
    /// Calls that the scenarios' deployments make when nothing is disturbed, by the scenario's name.
    pub calls: BTreeMap<&'static str, usize>,
    /// Calls by what they call.
    pub operations: BTreeMap<String, u64>,
    /// What came of the runs, by what went wrong.
    pub variants: BTreeMap<Variant, Count>,
    /// What came of the runs, by the scenario's name.
    pub scenarios: BTreeMap<&'static str, Count>,
    /// What the runs have reached.
    pub coverage: Coverage,
    /// Runs of snapshots that have not ended as they have to.
    pub situations: Vec<String>,
    /// Runs of which something is not as it has to be, in the order of the catalogue.
    pub violations: Vec<Violation>,
}

impl ExhaustiveSummary {
    /// Runs that were made, those without a disturbance left out.
    pub fn runs(&self) -> u64 {
        self.variants.values().map(|count| count.runs).sum()
    }

    /// Runs that were not made, since they are provably one that was.
    pub fn same(&self) -> u64 {
        self.variants.values().map(|count| count.same).sum()
    }

    fn add(&mut self, scenario: &'static str, variant: Variant, count: &Count) {
        self.variants.entry(variant).or_default().add(count);
        self.scenarios.entry(scenario).or_default().add(count);
    }

    /// The runs by scenario.
    pub fn by_scenario(&self) -> impl fmt::Display {
        let mut table = Table::new(["scenario", "calls", "runs", "the same", "other outcome", "violations"]);
        for (name, count) in &self.scenarios {
            let calls = self.calls.get(name).copied().unwrap_or_default();
            let Count { runs, same, otherwise, violations, .. } = count;
            let numbers = [calls.to_string(), runs.to_string(), same.to_string()];
            let [calls, runs, same] = numbers;
            table.row([(*name).to_owned(), calls, runs, same, otherwise.to_string(), violations.to_string()]);
        }
        table
    }
}

impl fmt::Display for ExhaustiveSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut variants = Table::new(["at every call", "runs", "the same", "other outcome", "violations"]);
        for (variant, count) in &self.variants {
            let Count { runs, same, otherwise, violations, .. } = count;
            let numbers = [runs, same, otherwise, violations].map(u64::to_string);
            let [runs, same, otherwise, violations] = numbers;
            variants.row([variant.about().to_owned(), runs, same, otherwise, violations]);
        }
        let mut operations = Table::new(["call", "times"]);
        for (operation, times) in &self.operations {
            operations.row([operation.clone(), times.to_string()]);
        }
        let mut outcomes = Table::new(["outcome", "executions"]);
        let mut all = Count::default();
        self.variants.values().for_each(|count| all.add(count));
        for (outcome, times) in &all.outcomes {
            let name = outcome.map_or_else(|| "aborted".to_owned(), |outcome| outcome.to_string());
            outcomes.row([name, times.to_string()]);
        }
        let calls: usize = self.calls.values().sum();
        writeln!(formatter, "{variants}\n{operations}\n{outcomes}")?;
        write!(
            formatter,
            "{} scenarios with {calls} calls: {} runs, {} more are the same, {} violations",
            self.calls.len(),
            self.runs(),
            self.same(),
            self.violations.len()
        )
    }
}

/// Makes all runs that are asked for. `progress` is told how many are made, and of how many.
///
/// # Errors
/// When there is no such scenario or call, or a world could not be set up.
pub fn run(options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<ExhaustiveSummary, String> {
    let mut scenarios = catalogue();
    if let Some(unknown) =
        options.scenarios.iter().find(|name| scenarios.iter().all(|scenario| scenario.name != **name))
    {
        return Err(format!("there is no scenario {unknown}"));
    }
    scenarios.retain(|scenario| options.scenarios.is_empty() || options.scenarios.iter().any(|it| it == scenario.name));
    let mut summary = ExhaustiveSummary::default();
    let undisturbed = in_parallel(options.threads, &scenarios, &|scenario| scored(scenario), &|_| {});
    let mut scores = Vec::new();
    for played in undisturbed {
        let (score, coverage, violation) = played?;
        summary.coverage.add(&coverage);
        summary.calls.insert(score.scenario.name, score.calls.len());
        for call in &score.calls {
            *summary.operations.entry(call.operation.clone()).or_default() += 1;
        }
        summary.violations.extend(violation);
        scores.push(score);
    }
    let mut runs = Vec::new();
    for score in &scores {
        runs.extend(wanted(score, options, &mut summary)?);
    }
    if options.scenarios.is_empty() {
        let (coverage, mistakes) = situations::play_all()?;
        summary.coverage.add(&coverage);
        summary.situations = mistakes;
    }
    let of = u64::try_from(runs.len()).unwrap_or(u64::MAX);
    let made = in_parallel(options.threads, &runs, &|run| judged(*run), &|made| {
        progress(u64::try_from(made).unwrap_or(u64::MAX), of);
    });
    for (run, made) in runs.iter().zip(made) {
        let (count, coverage, violation) = made?;
        summary.coverage.add(&coverage);
        summary.add(run.score.scenario.name, run.variant, &count);
        summary.violations.extend(violation);
    }
    Ok(summary)
}

/// Does all the work on so many threads; results come in the order of the work. `progress` is told how much is done.
fn in_parallel<W: Sync, R: Send>(
    threads: usize,
    work: &[W],
    run: &(dyn Fn(&W) -> R + Sync),
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        let mut results = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = work.get(place) else { return results };
            results.push((place, run(piece)));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        // A panic of a run is caught in the run; one of the harness goes on here.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The undisturbed run, and what is wrong with it.
fn scored(scenario: &Scenario) -> Result<(Score, Coverage, Option<Violation>), String> {
    let played = play(scenario, None)?;
    let mistakes = mistakes(scenario, &played);
    let violation = (!mistakes.is_empty()).then(|| Violation {
        scenario: scenario.name,
        call: None,
        operation: String::new(),
        variant: None,
        mistakes,
        timeline: timeline(&played),
    });
    let mut calls = Vec::new();
    for deployment in 0..scenario.deployments.len() {
        let execution = name_of(scenario, deployment);
        let invocations = played.invocations.iter().filter(|it| it.execution == execution);
        let invocations: Vec<_> = invocations.collect();
        let made = calls_at(&played.record, &execution);
        for (of_deployment, (at, call)) in (1..).zip(made) {
            let place = invocations.iter().rposition(|it| it.calls_before < of_deployment);
            let Some((place, invocation)) = place.and_then(|place| Some((place, *invocations.get(place)?))) else {
                return Err(format!("{execution}: nobody has made call {of_deployment}"));
            };
            let before = invocations.iter().take(place + 1).filter(|it| it.function == invocation.function).count();
            calls.push(Call {
                number: calls.len() + 1,
                deployment,
                of_deployment,
                at,
                operation: pattern_of(call),
                changes: changes(call),
                function: invocation.function,
                invocation: u32::try_from(before).unwrap_or(u32::MAX),
                of_invocation: of_deployment - invocation.calls_before,
                is_among_changes: false,
            });
        }
    }
    let invocation_of = |call: &Call| (call.deployment, call.function, call.invocation);
    let changing: BTreeSet<_> = calls.iter().filter(|call| call.changes).map(invocation_of).collect();
    for call in &mut calls {
        call.is_among_changes = changing.contains(&invocation_of(call));
    }
    let outcomes = outcomes(scenario, &played);
    Ok((Score { scenario: scenario.clone(), calls, outcomes }, played.coverage, violation))
}

fn name_of(scenario: &Scenario, deployment: usize) -> String {
    format!("{}-{}", scenario.name, deployment + 1)
}

fn calls_at<'a>(record: &'a [RecordEntry], execution: &'a str) -> impl Iterator<Item = (Timestamp, &'a RecordedCall)> {
    record.iter().filter_map(move |entry| match &entry.event {
        Recorded::Call(call) if call.principal.as_deref() == Some(execution) => Some((entry.at, call)),
        _ => None,
    })
}

/// What a call calls, as a fault names it.
fn pattern_of(call: &RecordedCall) -> String {
    let path = call.operation.split('?').next().unwrap_or_default();
    let is_id = |segment: &str| segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    let segments = path.split('/').map(|segment| if is_id(segment) { ":id" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    match call.service.as_str() {
        "kinesisanalyticsv2" => path,
        service => format!("{service}:{path}"),
    }
}

/// Whether a call may change something: whatever is not known to be a read.
fn changes(call: &RecordedCall) -> bool {
    let is_read = ["Describe", "Get", "List", "Filter"].iter().any(|verb| call.operation.starts_with(verb));
    call.service != "flink" && !is_read
}

/// How each deployment has ended.
fn outcomes(scenario: &Scenario, played: &Played) -> Vec<Option<Outcome>> {
    let ended = |deployment| {
        let name = name_of(scenario, deployment);
        played.ended.iter().find(|ended| ended.trace.name == name).and_then(Ended::outcome)
    };
    (0..scenario.deployments.len()).map(ended).collect()
}

/// The runs to be made of a scenario; those that are the same as others are counted.
fn wanted<'a>(
    score: &'a Score,
    options: &Options,
    summary: &mut ExhaustiveSummary,
) -> Result<Vec<Disturbed<'a>>, String> {
    let name = score.scenario.name;
    if let Some(call) = options.call.filter(|call| !(1..=score.calls.len()).contains(call)) {
        return Err(format!("{name} has the calls 1 to {}, and no {call}", score.calls.len()));
    }
    let mut runs = Vec::new();
    let mut throttled = BTreeSet::new();
    for call in score.calls.iter().filter(|call| options.call.is_none_or(|number| call.number == number)) {
        for variant in Variant::ALL {
            if !options.variants.is_empty() && !options.variants.contains(&variant) {
                continue;
            }
            // Where one call is asked for, it is run whether others are the same or not.
            let is_throttled_before =
                variant == Variant::Throttled && !throttled.insert((call.deployment, call.at, call.operation.as_str()));
            let is_same = options.call.is_none() && (is_throttled_before || call.is_like_another(variant));
            if is_same {
                summary.add(name, variant, &Count { same: 1, ..Count::default() });
            } else {
                runs.push(Disturbed { score, call, variant });
            }
        }
    }
    Ok(runs)
}

/// Makes a run and judges it.
fn judged(run: Disturbed<'_>) -> Result<(Count, Coverage, Option<Violation>), String> {
    let Disturbed { score: Score { scenario, outcomes: undisturbed, .. }, call, variant } = run;
    let (played, mut mistakes) = match catch_unwind(AssertUnwindSafe(|| play(scenario, Some(run)))) {
        Ok(played) => {
            let played = played?;
            let mistakes = mistakes(scenario, &played);
            (Some(played), mistakes)
        }
        Err(panic) => (None, vec![mistake("nobody panics", told(panic.as_ref()))]),
    };
    let mut count = Count { runs: 1, ..Count::default() };
    if let Some(played) = &played {
        mistakes.extend(not_disturbed(run, played));
        for ended in &played.ended {
            *count.outcomes.entry(ended.outcome()).or_default() += 1;
        }
        count.otherwise = u64::from(has_ended_otherwise(run, undisturbed, &outcomes(scenario, played)));
    }
    count.violations = u64::from(!mistakes.is_empty());
    let violation = (!mistakes.is_empty()).then(|| Violation {
        scenario: scenario.name,
        call: Some(call.number),
        operation: call.operation.clone(),
        variant: Some(variant),
        mistakes,
        timeline: played.as_ref().map(timeline).unwrap_or_default(),
    });
    Ok((count, played.map(|played| played.coverage).unwrap_or_default(), violation))
}

/// Whether a deployment that was not aborted has come to another outcome than undisturbed.
fn has_ended_otherwise(run: Disturbed<'_>, undisturbed: &[Option<Outcome>], outcomes: &[Option<Outcome>]) -> bool {
    let Disturbed { call, variant, .. } = run;
    let is_aborted = |deployment: usize| variant == Variant::Aborted && deployment == call.deployment;
    let mut each = undisturbed.iter().zip(outcomes).enumerate();
    each.any(|(deployment, (undisturbed, outcome))| undisturbed != outcome && !is_aborted(deployment))
}

/// What a panic says.
fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn mistake(demand: &str, what: String) -> Mistake {
    Mistake { demand: demand.to_owned(), what }
}

fn timeline(played: &Played) -> String {
    story::timeline(&played.ended, &played.record, std::slice::from_ref(&played.rest))
}

/// Whether the call was not the one that the undisturbed run makes there, or was not met.
fn not_disturbed(run: Disturbed<'_>, played: &Played) -> Option<Mistake> {
    let Disturbed { score, call, variant } = run;
    let execution = name_of(&score.scenario, call.deployment);
    let nth = usize::try_from(call.of_deployment).unwrap_or(usize::MAX);
    let made = calls_of(&played.record, &execution).nth(nth - 1);
    let is_it = made.is_some_and(|made| {
        let is_struck = match variant {
            Variant::Fails | Variant::Unreachable | Variant::Throttled => !made.done,
            Variant::Lost | Variant::Reset => made.status == 500 || made.status == 0,
            Variant::Twice | Variant::Dies | Variant::Gone | Variant::Aborted => true,
        };
        // One that is run twice makes its calls between each other.
        (variant == Variant::Twice || pattern_of(made) == call.operation) && is_struck
    });
    let what = || format!("call {} of {execution} is {made:?}", call.of_deployment);
    // Without its Lambda the deployment may end before it has made so many calls.
    (!is_it && variant != Variant::Gone).then(|| mistake("the run is the same up to the call", what()))
}

/// All that is not as it has to be.
fn mistakes(scenario: &Scenario, played: &Played) -> Vec<Mistake> {
    let Played { ended, record, rest, is_endless, panics, .. } = played;
    let traces: Vec<ExecutionTrace> = ended.iter().map(|ended| ended.trace.clone()).collect();
    let secrets: Vec<String> = scenario.app.properties.iter().map(|(_, value)| (*value).to_owned()).collect();
    let observed = Observed { record, executions: &traces, secrets: &secrets };
    let broken = check(&observed).into_iter().map(|it| mistake(&format!("rule {}", it.rule), it.what));
    let mut mistakes: Vec<Mistake> = broken.collect();
    if *is_endless {
        mistakes.push(mistake("everybody ends", "somebody waits for ever".to_owned()));
    }
    mistakes.extend(panics.iter().map(|panic| mistake("nobody panics", panic.clone())));
    let left = Left {
        record,
        rest,
        actors: ended.iter().map(|ended| actor(ended, scenario.name)).collect(),
        was_running: scenario.app.is_running,
        may_fail_later: rest.behaviour.as_ref().is_none_or(may_fail_later),
    };
    mistakes.extend(left.mistake());
    mistakes
}

fn actor<'a>(ended: &'a Ended, what: &'a str) -> Actor<'a> {
    let input = &ended.trace.input;
    let is_to_stand_still = input.get("stop").is_some() && input.get("start") != Some(&Value::Bool(true));
    Actor { ended, what, is_to_stand_still }
}

/// Whether code may fail after it was well: it is neither well for ever nor never.
fn may_fail_later(behaviour: &Behaviour) -> bool {
    let is_harmless = |fault: &JobFault| matches!(fault, JobFault::SlowSnapshot { .. } | JobFault::SnapshotFails);
    let is_never_well = |fault: &JobFault| match fault {
        JobFault::OpenFails
        | JobFault::MainThrows
        | JobFault::NoExecute
        | JobFault::MissingMainClass
        | JobFault::CorruptJar => true,
        JobFault::SlowRestore { .. }
        | JobFault::FailsAfter { .. }
        | JobFault::FailsLater { .. }
        | JobFault::Bounded { .. }
        | JobFault::IncompatibleState
        | JobFault::RemovedUid
        | JobFault::FailingCheckpoints { .. }
        | JobFault::SlowSnapshot { .. }
        | JobFault::SnapshotFails => false,
    };
    !behaviour.faults.iter().all(is_harmless) && !behaviour.faults.iter().any(is_never_well)
}

/// Plays a scenario, undisturbed or not, on a runtime of its own.
fn play(scenario: &Scenario, disturbed: Option<Disturbed<'_>>) -> Result<Played, String> {
    // Jitter of the SDK's retries.
    fastrand::seed(SEED);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| error.to_string())?.block_on(play_here(scenario, disturbed))
}

async fn play_here(scenario: &Scenario, disturbed: Option<Disturbed<'_>>) -> Result<Played, String> {
    let application = scenario.app.name;
    let death = disturbed.and_then(Disturbed::death);
    let stage = Arc::new(Watched { death, ..Watched::default() });
    let world = Arc::new(World::staged(Arc::clone(&stage) as Arc<dyn Stage>, SEED));
    world.create(&scenario.app).await?;
    let fault = disturbed.and_then(Disturbed::fault);
    world.inject(fault.as_ref(), 0);
    for (_, happening) in scenario.happenings.iter().filter(|(at, _)| *at == 0) {
        happen(&world, application, happening).await?;
    }
    let later: Vec<_> = scenario.happenings.iter().filter(|(at, _)| *at > 0).cloned().collect();
    let mut around = JoinSet::new();
    around.spawn(happen_later(Arc::clone(&world), application, later, fault));
    let mut running = JoinSet::new();
    for (index, planned) in scenario.deployments.iter().enumerate() {
        let disturbed = disturbed.filter(|it| it.call.deployment == index);
        // Where the scenario has a crash of its own there, these take its place.
        let crashes = disturbed.map(Disturbed::crashes).unwrap_or_default();
        let planned = Planned { crashes: [crashes, planned.crashes.clone()].concat(), ..planned.clone() };
        let is_aborted = disturbed.filter(|it| it.variant == Variant::Aborted);
        let aborted_at = is_aborted.map(|it| it.call.of_deployment);
        let deployment = Deployment { number: index + 2, name: name_of(scenario, index), planned, aborted_at };
        running.spawn(deployment.run(Arc::clone(&world), application));
    }
    let is_over = tokio::time::timeout(LONGEST, async {
        let mut ended = Vec::new();
        while let Some(deployment) = running.join_next().await {
            ended.extend(deployment.unwrap_or_else(|error| resume_unwind(error.into_panic()))?);
        }
        Ok::<_, String>(ended)
    });
    let ended = is_over.await;
    let is_endless = ended.is_err();
    let mut ended: Vec<Ended> = ended.unwrap_or_else(|_| Ok(Vec::new()))?;
    ended.sort_by(|one, other| (one.asked, &one.trace.name).cmp(&(other.asked, &other.trace.name)));
    if !is_endless {
        // What happens later than that is over when the application is looked at.
        let _ = tokio::time::timeout(LONGEST, around.join_all()).await;
    }
    world.emulator.clear_faults();
    let record = world.emulator.record();
    let rest = at_rest(&world, application).await;
    let (panics, invocations, coverage) = (stage.panics(), stage.invocations(), stage.watcher.take());
    Ok(Played { ended, record, rest, is_endless, panics, invocations, coverage })
}

impl World {
    /// Lets something go wrong with a call, when so many calls were made before of those that it counts.
    fn inject(&self, fault: Option<&Fault>, made: u32) {
        let Some(fault) = fault else { return };
        let occurrences = match &fault.occurrences {
            Occurrences::Nth(nth) if *nth <= made => return,
            Occurrences::Nth(nth) => Occurrences::Nth(nth - made),
            other => other.clone(),
        };
        self.emulator.inject(fault.clone().on(occurrences));
    }
}

/// Lets all that comes later happen at its time, or not, where the service does not take it just then.
async fn happen_later(
    world: Arc<World>,
    application: &'static str,
    happenings: Vec<(u64, Happening)>,
    fault: Option<Fault>,
) {
    let began = world.clock.now();
    for (at, happening) in happenings {
        world.clock.sleep(until(&world, began, at)).await;
        let _ = happen(&world, application, &happening).await;
        if matches!(happening, Happening::NoFaults) {
            let principal = fault.as_ref().and_then(|fault| fault.principal.as_deref()).unwrap_or_default();
            world.inject(fault.as_ref(), world.emulator.calls_made_by(principal));
        }
    }
}

impl Disturbed<'_> {
    /// The fault that strikes the call, where it is one.
    fn fault(self) -> Option<Fault> {
        let Self { score, call, variant } = self;
        let error = Effect::Error { code: "InternalFailure".to_owned(), status: 500, message: "injected".to_owned() };
        let effect = match variant {
            Variant::Fails => error,
            Variant::Unreachable => Effect::Unreachable,
            Variant::Lost => Effect::LostResponse(Loss::ServerError),
            Variant::Reset => Effect::LostResponse(Loss::ConnectionReset),
            Variant::Throttled => Effect::Throttle,
            Variant::Twice | Variant::Dies | Variant::Gone | Variant::Aborted => return None,
        };
        let (operation, occurrences) = match variant {
            Variant::Throttled => {
                (call.operation.as_str(), Occurrences::Between { from: call.at, until: call.at + THROTTLED })
            }
            _ => ("**", Occurrences::Nth(call.of_deployment)),
        };
        Some(Fault::new(operation, effect).by(name_of(&score.scenario, call.deployment)).on(occurrences))
    }

    /// The calls of the Lambda that are made twice or not at all, where it is that.
    fn crashes(self) -> Vec<Crash> {
        let Call { function, invocation, .. } = *self.call;
        let (how, times) = match self.variant {
            Variant::Twice => (CrashKind::RunsTwice, 1),
            Variant::Gone => (CrashKind::DiesBefore, TRIES),
            _ => return Vec::new(),
        };
        (invocation..invocation + times).map(|call| Crash { function, call, how }).collect()
    }

    /// How the Lambda dies, where it is that: by one name after the other that the definition retries.
    fn death(self) -> Option<Death> {
        let names = faults_of_lambda();
        let error = names.get(self.call.number % names.len().max(1))?;
        let execution = name_of(&self.score.scenario, self.call.deployment);
        let is_it = self.variant == Variant::Dies;
        is_it.then_some(Death { execution, call: self.call.of_deployment, error })
    }
}

/// One of a scenario's deployments.
struct Deployment {
    number: usize,
    name: String,
    planned: Planned,
    /// The number of its call at which it is aborted, and another started.
    aborted_at: Option<u32>,
}

impl Deployment {
    async fn run(self, world: Arc<World>, application: &'static str) -> Result<Vec<Ended>, String> {
        let Self { number, name, planned, aborted_at } = self;
        world.clock.sleep(Duration::from_secs(planned.at_seconds)).await;
        let input = input_of(&world, application, number, &planned);
        let stop = async {
            let at_its_time = planned.stop(&world.clock);
            match aborted_at {
                Some(call) => tokio::select! {
                    () = world.emulator.call_of(&name, call) => Stop::default(),
                    stop = at_its_time => stop,
                },
                None => at_its_time.await,
            }
        };
        let ended = |run: (ExecutionTrace, asl::ExecutionResult)| {
            let (trace, result) = run;
            Ended { asked: number - 1, trace, report: report_of(&result) }
        };
        let first = world.deploy_as_planned(&name, input.clone(), &planned, stop);
        let Some(call) = aborted_at else { return Ok(vec![ended(first.await?)]) };
        let again = Planned { clock_ahead_seconds: planned.clock_ahead_seconds, ..Planned::default() };
        let second = async {
            world.emulator.call_of(&name, call).await;
            let name = format!("{name}-again");
            world.deploy_as_planned(&name, input.clone(), &again, std::future::pending()).await
        };
        let (first, second) = tokio::join!(first, second);
        Ok(vec![ended(first?), ended(second?)])
    }
}

/// The death of a Lambda in the middle of what it does.
#[derive(Debug, Clone)]
struct Death {
    /// Whose it is.
    execution: String,
    /// The number of the execution's call at which it dies: the call is done, and nobody hears of it.
    call: u32,
    /// What the state machine is told.
    error: &'static str,
}

/// The handlers in this process, and somebody who notes what is called when. As on AWS, what is called runs on when nobody
/// waits for it any more.
#[derive(Default)]
struct Watched {
    emulator: OnceLock<Emulator>,
    invocations: Mutex<Vec<Invocation>>,
    watcher: Watcher,
    death: Option<Death>,
    panics: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn panics(&self) -> Vec<String> {
        std::mem::take(&mut *self.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn invocations(&self) -> Vec<Invocation> {
        std::mem::take(&mut *self.invocations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stage for Watched {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        let emulator = self.emulator.get_or_init(|| world.emulator.clone()).clone();
        let functions = Arc::new(world.functions(execution));
        let death = self.death.clone().filter(|death| death.execution == execution);
        Arc::new(RunningOn { functions, emulator, death, panics: Arc::clone(&self.panics) })
    }

    fn observe(&self, event: &Event<'_>) {
        self.watcher.see_deployment(event);
        let EventKind::TaskScheduled { function_name, .. } = event.kind else { return };
        let known = FUNCTIONS.iter().find(|(_, function)| *function == function_name);
        if let (Some((_, function)), Some(emulator)) = (known, self.emulator.get()) {
            let calls_before = emulator.calls_made_by(event.execution);
            let invocation = Invocation { execution: event.execution.to_owned(), function, calls_before };
            self.invocations.lock().unwrap_or_else(PoisonError::into_inner).push(invocation);
        }
    }
}

/// Functions that run on when nobody waits for them any more.
struct RunningOn {
    functions: Arc<dyn TaskHandler>,
    emulator: Emulator,
    death: Option<Death>,
    panics: Arc<Mutex<Vec<String>>>,
}

impl RunningOn {
    /// Waits until the Lambda that runs now dies, if it does.
    async fn death(&self) -> TaskError {
        let to_come = |death: &&Death| self.emulator.calls_made_by(&death.execution) < death.call;
        let Some(Death { execution, call, error }) = self.death.as_ref().filter(to_come) else {
            return std::future::pending().await;
        };
        self.emulator.call_of(execution, *call).await;
        TaskError { error: (*error).to_owned(), cause: "the process ended".to_owned() }
    }
}

#[async_trait]
impl TaskHandler for RunningOn {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let (functions, function) = (Arc::clone(&self.functions), function_name.to_owned());
        let mut running = tokio::spawn(async move { functions.invoke(&function, payload).await });
        let ended = tokio::select! {
            biased;
            death = self.death() => {
                running.abort();
                if death.error == "States.Timeout" {
                    // It hangs, until the state does not wait any longer.
                    return std::future::pending().await;
                }
                return Err(death);
            }
            ended = &mut running => ended,
        };
        match ended {
            Ok(result) => result,
            Err(error) => {
                let cause = format!("{function_name}: {}", told(error.into_panic().as_ref()));
                self.panics.lock().unwrap_or_else(PoisonError::into_inner).push(cause.clone());
                Err(TaskError { error: "Runtime.ExitError".to_owned(), cause })
            }
        }
    }
}
