//! Checks a configuration, and tells what was found: figures, and for a broken property the shortest way to it.

use std::fmt::{self, Write as _};

use lifecycle::deployment::Deployment;

use crate::bounds::Bounds;
use crate::execution::{Call, Execution, Life};
use crate::explore::{Explored, Found, explore};
use crate::service::{Restore, Write};
use crate::world::{Action, ByHand, Luck, Property, State, World};

/// More states than this are more than a machine should be asked to keep.
const MOST_STATES: usize = 30_000_000;

/// What was found in one configuration.
#[derive(Debug, Clone)]
pub struct Report {
    /// The configuration.
    pub bounds: Bounds,
    /// Distinct states.
    pub states: usize,
    /// Steps from one to another.
    pub steps: usize,
    /// Steps to the state that is the furthest from the start.
    pub depth: usize,
    /// States in which everything has come to its end.
    pub ends: usize,
    /// Distinct deployments, as `lifecycle` has made them.
    pub deployments: usize,
    /// Stops and starts that met a change made since the look right before them: the window that no fence covers.
    pub in_the_window: usize,
    /// Whether the search was given up for want of room, so that nothing is shown.
    pub is_cut_short: bool,
    /// What is broken, with the way to it.
    pub counterexample: Option<Counterexample>,
}

/// A way to a broken property.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// The property; none where it is that from the last state no end is reached.
    pub broken: Option<Property>,
    /// What happens, in order.
    pub timeline: Vec<String>,
}

/// Goes through all that may happen within the bounds.
pub fn check(bounds: &Bounds) -> Report {
    let mut world = World::new(bounds.clone());
    let Explored { states, steps, depth, ends, counterexample, is_cut_short } = explore(&mut world, MOST_STATES);
    let counterexample = counterexample.map(|found| counterexample_of(&mut world, &found));
    Report {
        bounds: bounds.clone(),
        states,
        steps,
        depth,
        ends,
        deployments: world.handlers.count(),
        in_the_window: world.in_the_window,
        is_cut_short,
        counterexample,
    }
}

impl Report {
    /// Whether all was gone through, and nothing is broken.
    pub fn holds(&self) -> bool {
        !self.is_cut_short && self.counterexample.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bounds, states, steps, depth, ends, deployments, in_the_window, .. } = self;
        writeln!(formatter, "{}: {bounds}", bounds.name)?;
        writeln!(
            formatter,
            "  {states} states, {steps} steps, depth {depth}, {ends} ends, {deployments} deployments, \
             {in_the_window} in the window"
        )?;
        if self.is_cut_short {
            return writeln!(formatter, "  given up: too many states, nothing is shown");
        }
        let Some(Counterexample { broken, timeline }) = &self.counterexample else {
            return writeln!(formatter, "  holds: all {} properties, and everything ends", Property::ALL.len());
        };
        match broken {
            Some(property) => writeln!(formatter, "  BROKEN: {property:?}")?,
            None => writeln!(formatter, "  BROKEN: from the last state no end is reached")?,
        }
        timeline.iter().try_for_each(|line| writeln!(formatter, "  {line}"))
    }
}

fn counterexample_of(world: &mut World, found: &Found<State, Action, Property>) -> Counterexample {
    let mut before = found.start;
    let mut timeline = vec![format!("     start: {}", of_service(world, &before))];
    for ((action, after), number) in found.way.iter().zip(1..) {
        let mut line = format!("{number:>4} {}", in_words(world, &before, *action));
        for who in world.everyone() {
            let is = world.execution(after, who);
            let told = |it: &Execution| (it.task, it.life, it.deployment, it.has_failed);
            if told(world.execution(&before, who)) != told(is) {
                let _ = write!(line, "; {who} {}", of_execution(world, is));
            }
        }
        if of_service(world, &before) != of_service(world, after) {
            let _ = write!(line, "; {}", of_service(world, after));
        }
        if world.table(&before) != world.table(after) {
            let table = world.table(after);
            let _ = write!(line, "; turn of {:?}, waiting {:?}", table.holder, table.waiting);
        }
        timeline.push(line);
        before = *after;
    }
    Counterexample { broken: found.broken, timeline }
}

fn of_service(world: &World, state: &State) -> String {
    let service = world.service(state);
    let view = service.view();
    let job = match service.job {
        None => "no job",
        Some(_) if service.is_job_bad() => "a bad job",
        Some(_) => "a good job",
    };
    format!("version {} ({}), {}, {job}", view.version, configuration(view.configuration), view.status.word())
}

fn configuration(number: u8) -> String {
    match number {
        0 => "the old configuration".to_owned(),
        9 => "a person's".to_owned(),
        of => format!("configuration {of}"),
    }
}

fn of_execution(world: &World, execution: &Execution) -> String {
    let deployment = world.handlers.deployment(execution.deployment);
    match execution.life {
        Life::Unborn => "is not started".to_owned(),
        Life::Aborted { .. } => format!("is aborted in {:?}", execution.task),
        Life::Over => {
            let outcome = world.handlers.outcome(execution);
            outcome.map_or_else(String::new, |outcome| format!("ends {outcome}{}", because(deployment)))
        }
        Life::Running if execution.has_failed => format!("fails in {:?}", execution.task),
        Life::Running => {
            format!("goes on with {:?} ({:?} of version {})", execution.task, deployment.rung, deployment.version)
        }
    }
}

fn because(deployment: &Deployment) -> String {
    let because = deployment.report.as_ref().map(|report| lifecycle::verdict::in_words(&report.because));
    because.filter(|words| !words.is_empty()).map_or_else(String::new, |words| format!(": {words}"))
}

fn in_words(world: &mut World, before: &State, action: Action) -> String {
    match action {
        Action::Event(who) => format!("the event of upload of {who} comes"),
        Action::Start(who) => format!("{who} is started"),
        Action::Retry(who) => format!("{who} is tried again"),
        Action::GiveUp(who) => format!("{who} is not tried again"),
        Action::Later(who) => format!("time passes for {who}"),
        Action::Abort { who, is_lambda_alive: false } => format!("{who} is aborted"),
        Action::Abort { who, is_lambda_alive: true } => format!("{who} is aborted, its Lambda goes on"),
        Action::Redrive(who) => format!("{who} is redriven"),
        Action::Service => "the service goes on".to_owned(),
        Action::ServiceFails => "the service fails".to_owned(),
        Action::Arrives => "the late call arrives".to_owned(),
        Action::Person(by_hand) => {
            let what = match by_hand {
                ByHand::Update => "updates",
                ByHand::StopWithForce => "stops by force",
                ByHand::Stop => "stops",
                ByHand::RollBack => "rolls back",
                ByHand::Start => "starts",
            };
            format!("a person {what}")
        }
        Action::Call(who, luck) => {
            let call = world.pending_of(before, who).map(|call| of_call(&call)).unwrap_or_default();
            let luck = match luck {
                Luck::Good => "",
                Luck::Stale => " [stale]",
                Luck::NotDone => " [not done, unanswered]",
                Luck::AnswerLost => " [done, answer lost]",
                Luck::OnItsWay => " [unanswered, still on its way]",
                Luck::CrashBefore => " [the Lambda dies before]",
                Luck::CrashAfter => " [the Lambda dies after]",
            };
            format!("{who} {call}{luck}")
        }
    }
}

fn of_call(call: &Call) -> String {
    let of_write = |write: &Write| match write {
        Write::Update { version, configuration: to, restore } => {
            format!("updates version {version} to {} ({})", configuration(*to), of_restore(*restore))
        }
        Write::Rollback { version } => format!("rolls version {version} back"),
        Write::Start { restore } => format!("starts ({})", of_restore(*restore)),
        Write::Stop { is_forced: true } => "stops by force".to_owned(),
        Write::Stop { is_forced: false } => "stops".to_owned(),
    };
    match call {
        Call::ReadTurns => "reads the turns".to_owned(),
        Call::WriteTurns { after, read } => {
            format!("writes the turns over revision {read}: holder {:?}, waiting {:?}", after.holder, after.waiting)
        }
        Call::LookAtExecution(who) => format!("asks whether {who} runs"),
        Call::LookAtApplication => "looks at the application".to_owned(),
        Call::LookAtOperation(id) => format!("looks at operation {id}"),
        Call::NewestOperations => "looks for the newest operations".to_owned(),
        Call::NewestOperation(name) => format!("looks for the newest {}", name.word()),
        Call::Snapshots => "lists the snapshots".to_owned(),
        Call::LookAtJob => "looks at the job".to_owned(),
        Call::Restarts => "reads the restarts".to_owned(),
        Call::Write(write, _) => of_write(write),
    }
}

fn of_restore(restore: Restore) -> String {
    match restore {
        Restore::Latest => "from the latest snapshot".to_owned(),
        Restore::Snapshot(name) => format!("from snapshot {name}"),
        Restore::Skip => "without state".to_owned(),
    }
}
