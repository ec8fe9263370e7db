//! What runs have reached of all that there is: the states and transitions of the three definitions, the decisions, the
//! outcomes, the reasons that a report can carry, and the errors' names. What there is comes from the definitions and from
//! the types themselves; what was reached, from the events of the executions. Whatever was not reached needs an
//! explanation, here; and what has one must not be reached, or the explanation is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use asl::{Event, EventKind, Observer, Place};
use handler::Error;
use lifecycle::deployment::{Next, Rung};
use lifecycle::report::Outcome;
use lifecycle::snapshots::{RunOutcome, SnapshotNext, SnapshotOutcome};
use lifecycle::verdict::{Judgement, Reason};
use managed_flink::ErrorKind;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde_json::{Map, Value};

use crate::simulation::table::Table;
use crate::world::MACHINE;

/// The definitions, by the names of their state machines.
const DEFINITIONS: [(&str, &str); 3] = [
    (MACHINE, include_str!("../../../statemachine/deploy.asl.json")),
    ("snapshot", include_str!("../../../statemachine/snapshot.asl.json")),
    ("snapshot-application", include_str!("../../../statemachine/snapshot-application.asl.json")),
];

/// What cannot be reached, and why.
const UNREACHABLE: &[(Group, &str, &str)] = &[
    (Group::Decision, "SystemRollback is due", FOLLOWED),
    (Group::Decision, "take SystemRollback", FOLLOWED),
    (Group::Decision, "take Stop", "a stop is asked for by the request, and taken when that is prepared"),
    (
        Group::Decision,
        "end: Refused",
        "requests are refused before anything is done, and so before anything is decided",
    ),
    (Group::Reason, "deployment: anotherDeployment", IN_WORDS),
    (Group::Reason, "deployment: fromSnapshot", IN_WORDS),
    (Group::Reason, "deployment: restartsSeen", IN_WORDS),
    (Group::Reason, "deployment: takingSnapshot", IN_WORDS),
    (Group::Reason, "deployment: toBeStarted", IN_WORDS),
    (Group::Error, "StepFunctions.AWSStepFunctionsException", STEP_FUNCTIONS),
    (Group::Error, "StepFunctions.SdkClientException", STEP_FUNCTIONS),
    (Group::Error, "StepFunctions.ExecutionLimitExceededException", STEP_FUNCTIONS),
    (Group::Error, "InvalidEvent", "the definitions send what the handlers read"),
    (Group::Error, "UnwritableResult", "all that the handlers return can be written as JSON"),
];
const FOLLOWED: &str = "the service's own rollback is followed from the moment on when it is seen: it is not begun";
const IN_WORDS: &str = "said in words where the deployment goes on: no verdict and no end rests on it";
const STEP_FUNCTIONS: &str = "a fault of Step Functions' own, which our engine does not have";
/// What Step Functions calls an execution that a Task has started and that has not succeeded.
const TASK_FAILED: &str = "States.TaskFailed";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// States that were entered.
    State,
    /// Ways from one state to the next.
    Transition,
    /// Words by which a Lambda says where the state machine goes on.
    Next,
    /// What decide-rollback has decided.
    Decision,
    /// What a deployment has done to its application.
    Rung,
    /// What a look amounts to.
    Judgement,
    /// How an execution has ended.
    Outcome,
    /// Codes of the reasons in verdicts and reports.
    Reason,
    /// Names of errors by which a step has failed.
    Error,
}

impl Group {
    const ALL: [Self; 9] = [
        Self::State,
        Self::Transition,
        Self::Next,
        Self::Decision,
        Self::Rung,
        Self::Judgement,
        Self::Outcome,
        Self::Reason,
        Self::Error,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::State => "states",
            Self::Transition => "transitions",
            Self::Next => "words for where to go on",
            Self::Decision => "decisions",
            Self::Rung => "rungs",
            Self::Judgement => "judgements",
            Self::Outcome => "outcomes",
            Self::Reason => "reasons",
            Self::Error => "error names",
        }
    }
}

/// What there is.
static ALL: LazyLock<BTreeSet<(Group, String)>> = LazyLock::new(all);
/// The states of each definition, by the name of the state machine.
static STATES: LazyLock<BTreeMap<&'static str, BTreeMap<String, State>>> = LazyLock::new(|| {
    let states = |(machine, text): (&'static str, &str)| (machine, states_of(&definition(text)));
    DEFINITIONS.into_iter().map(states).collect()
});

/// The definition. It has been parsed by the engine before.
fn definition(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// What a state can be followed by.
#[derive(Debug, Clone)]
struct State {
    is_choice: bool,
    ways: Vec<Way>,
    /// The names of errors that Retry and Catch match.
    errors: Vec<String>,
}

/// A way out of a state.
#[derive(Debug, Clone)]
struct Way {
    /// `Next`, `Catch`, `Default`, `End`, or the condition of a Choice's rule.
    by: String,
    /// The next state; empty at an end.
    to: String,
}

fn states_of(definition: &Value) -> BTreeMap<String, State> {
    let mut states = BTreeMap::new();
    for (name, state) in definition["States"].as_object().into_iter().flatten() {
        let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
        let list = |field: &str| state[field].as_array().cloned().unwrap_or_default();
        let mut ways: Vec<Way> = Vec::new();
        for rule in list("Choices") {
            ways.push(Way { by: text(&rule, "Condition"), to: text(&rule, "Next") });
        }
        for by in ["Default", "Next"] {
            if state.get(by).is_some() {
                ways.push(Way { by: by.to_owned(), to: text(state, by) });
            }
        }
        for catcher in list("Catch") {
            ways.push(Way { by: "Catch".to_owned(), to: text(&catcher, "Next") });
        }
        if state["End"] == true || state["Type"] == "Succeed" {
            ways.push(Way { by: "End".to_owned(), to: String::new() });
        }
        let handlers = [list("Retry"), list("Catch")].concat();
        let errors = handlers.iter().filter_map(|handler| handler["ErrorEquals"].as_array()).flatten();
        let errors = errors.filter_map(Value::as_str).map(str::to_owned).collect();
        states.insert(name.clone(), State { is_choice: state["Type"] == "Choice", ways, errors });
        states.extend(states_of(&state["ItemProcessor"]));
    }
    states
}

/// The names of the errors that the definitions retry, as Lambda itself and Step Functions give them.
pub(crate) fn faults_of_lambda() -> Vec<&'static str> {
    let errors = STATES.values().flat_map(BTreeMap::values).flat_map(|state| &state.errors);
    let of_lambda = |name: &&str| {
        let prefixes = ["Lambda.", "Sandbox.", "Runtime.", "States.Timeout"];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    let names: BTreeSet<&str> = errors.map(String::as_str).filter(of_lambda).collect();
    names.into_iter().collect()
}

/// The words that a type can be read from: what serde says of one that it does not know.
fn words<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let unknown: StrDeserializer<'_, Expected> = "?".into_deserializer();
    T::deserialize(unknown).err().map(|expected| expected.0).unwrap_or_default()
}

/// The codes that a type can be read from whose cases are told apart by their member `code`.
fn codes<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let unknown = MapDeserializer::<_, Expected>::new(std::iter::once(("code", "?")));
    T::deserialize(unknown).err().map(|expected| expected.0).unwrap_or_default()
}

/// What would have been known instead.
#[derive(Debug)]
struct Expected(&'static [&'static str]);

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "one of {:?}", self.0)
    }
}

impl std::error::Error for Expected {}

impl serde::de::Error for Expected {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}

/// The names of the errors that a Lambda can fail by. The matches have no wildcard, so that a new one is missed here.
fn error_names() -> Vec<&'static str> {
    let after = |kind| match kind {
        ErrorKind::Throttled => Some(ErrorKind::Unavailable),
        ErrorKind::Unavailable => Some(ErrorKind::AccessDenied),
        ErrorKind::AccessDenied => Some(ErrorKind::NotFound),
        ErrorKind::NotFound => Some(ErrorKind::ResourceInUse),
        ErrorKind::ResourceInUse => Some(ErrorKind::ConcurrentModification),
        ErrorKind::ConcurrentModification => Some(ErrorKind::InvalidArgument),
        ErrorKind::InvalidArgument => Some(ErrorKind::RoleNotReady),
        ErrorKind::RoleNotReady => Some(ErrorKind::InvalidRequest),
        ErrorKind::InvalidRequest => Some(ErrorKind::InvalidApplicationConfiguration),
        ErrorKind::InvalidApplicationConfiguration => Some(ErrorKind::CodeValidation),
        ErrorKind::CodeValidation => Some(ErrorKind::LimitExceeded),
        ErrorKind::LimitExceeded => Some(ErrorKind::Unsupported),
        ErrorKind::Unsupported => Some(ErrorKind::Unreadable),
        ErrorKind::Unreadable => Some(ErrorKind::Other),
        ErrorKind::Other => None,
    };
    let kinds = std::iter::successors(Some(ErrorKind::Throttled), |kind| after(*kind));
    let after = |error: &Error| match error {
        Error::InvalidEvent { .. } => Some(Error::NotificationFailed { channel: "", problem: String::new() }),
        Error::NotificationFailed { .. } => Some(Error::Result(serde::de::Error::custom(""))),
        Error::Result(_) | Error::Call(_) => None,
    };
    let first = Error::InvalidEvent { path: String::new(), problem: "" };
    let errors = std::iter::successors(Some(first), |error| after(error));
    kinds.map(ErrorKind::name).chain(errors.map(|error| error.name())).collect()
}

/// The decisions, in the words that the deployment keeps.
fn decisions() -> Vec<String> {
    let fixed = ["hold", "look at the subtasks", "keep watching", "follow the service's rollback"].map(str::to_owned);
    let rungs = words::<Rung>();
    let due = rungs.iter().map(|rung| format!("{rung} is due"));
    let taken = rungs.iter().map(|rung| format!("take {rung}"));
    let ends = words::<Outcome>().iter().map(|outcome| format!("end: {outcome}"));
    fixed.into_iter().chain(due).chain(taken).chain(ends).collect()
}

fn all() -> BTreeSet<(Group, String)> {
    let mut all = BTreeSet::new();
    for (machine, states) in &*STATES {
        for (name, state) in states {
            all.insert((Group::State, named(machine, name)));
            all.extend(state.ways.iter().map(|way| (Group::Transition, transition(machine, name, way))));
            let errors = state.errors.iter().filter(|error| *error != "States.ALL");
            all.extend(errors.map(|error| (Group::Error, error.clone())));
        }
    }
    let of = |group: Group, whose: &str, words: &[&str]| {
        words.iter().map(|word| (group, named(whose, word))).collect::<Vec<_>>()
    };
    all.extend(of(Group::Next, DEPLOYMENT, words::<Next>()));
    all.extend(of(Group::Next, SNAPSHOT, words::<SnapshotNext>()));
    all.extend(of(Group::Rung, DEPLOYMENT, words::<Rung>()));
    all.extend(of(Group::Judgement, DEPLOYMENT, words::<Judgement>()));
    all.extend(of(Group::Outcome, DEPLOYMENT, words::<Outcome>()));
    all.extend(of(Group::Outcome, SNAPSHOT, words::<SnapshotOutcome>()));
    all.extend(of(Group::Outcome, RUN, words::<RunOutcome>()));
    all.extend(of(Group::Reason, DEPLOYMENT, codes::<Reason>()));
    all.extend(decisions().into_iter().map(|decision| (Group::Decision, decision)));
    all.insert((Group::Error, TASK_FAILED.to_owned()));
    all.extend(error_names().into_iter().map(|name| (Group::Error, name.to_owned())));
    all
}

const DEPLOYMENT: &str = "deployment";
const SNAPSHOT: &str = "snapshot";
const RUN: &str = "run of snapshots";

fn named(whose: &str, what: &str) -> String {
    format!("{whose}: {what}")
}

fn transition(machine: &str, from: &str, way: &Way) -> String {
    let Way { by, to } = way;
    let by = by.trim_start_matches("{% ").trim_end_matches(" %}");
    if to.is_empty() { format!("{machine}: {from}, {by}") } else { format!("{machine}: {from} → {to}, {by}") }
}

/// How often everything was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    reached: BTreeMap<(Group, String), u64>,
}

impl Coverage {
    /// Adds what other runs have reached.
    pub fn add(&mut self, other: &Self) {
        for ((group, what), times) in &other.reached {
            self.count(*group, what, *times);
        }
    }

    fn count(&mut self, group: Group, what: &str, times: u64) {
        *self.reached.entry((group, what.to_owned())).or_default() += times;
    }

    /// How often this was reached.
    pub fn times(&self, group: Group, what: &str) -> u64 {
        self.reached.get(&(group, what.to_owned())).copied().unwrap_or_default()
    }

    /// What there is and was not reached, with the explanation that there may be.
    pub fn unreached(&self) -> impl Iterator<Item = (Group, &'static str, Option<&'static str>)> {
        let unreached = ALL.iter().filter(|it| !self.reached.contains_key(*it));
        unreached.map(|(group, what)| (*group, what.as_str(), explanation(*group, what)))
    }

    /// What all runs together must not leave behind: something that was not reached without an explanation, something
    /// that was reached in spite of one, and something that there is not.
    pub fn mistakes(&self) -> Vec<String> {
        let unexplained = self.unreached().filter(|(_, _, why)| why.is_none());
        let unexplained = unexplained.map(|(group, what, _)| format!("{}: {what} was never reached", group.name()));
        let wrong = self.reached.keys().filter_map(|(group, what)| {
            let why = explanation(*group, what)?;
            Some(format!("{}: {what} was reached, which was said to be impossible: {why}", group.name()))
        });
        let unknown = self.reached.keys().filter(|it| !ALL.contains(*it));
        let unknown = unknown.map(|(group, what)| format!("{}: {what} was reached, which there is not", group.name()));
        let stray = UNREACHABLE.iter().filter(|(group, what, _)| !ALL.contains(&(*group, (*what).to_owned())));
        let stray = stray.map(|(group, what, _)| format!("{}: {what} is explained, which there is not", group.name()));
        unexplained.chain(wrong).chain(unknown).chain(stray).collect()
    }
}

fn explanation(group: Group, what: &str) -> Option<&'static str> {
    UNREACHABLE.iter().find(|(of, it, _)| *of == group && *it == what).map(|(_, _, why)| *why)
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sums = Table::new(["covered", "there are", "reached", "impossible", "never reached"]);
        for group in Group::ALL {
            let all: Vec<_> = ALL.iter().filter(|(of, _)| *of == group).collect();
            let reached = all.iter().filter(|it| self.reached.contains_key(**it)).count();
            let missing: Vec<_> = self.unreached().filter(|(of, ..)| *of == group).collect();
            let explained = missing.iter().filter(|(_, _, why)| why.is_some()).count();
            let unexplained = missing.len() - explained;
            let [there_are, reached, explained, unexplained] =
                [all.len(), reached, explained, unexplained].map(|count| count.to_string());
            sums.row([group.name().to_owned(), there_are, reached, explained, unexplained]);
        }
        let mut times = Table::new(["of", "what", "times"]);
        for ((group, what), count) in &self.reached {
            times.row([group.name().to_owned(), what.clone(), count.to_string()]);
        }
        let mut missing = Table::new(["of", "never reached", "why"]);
        for (group, what, why) in self.unreached() {
            missing.row([group.name().to_owned(), what.to_owned(), why.unwrap_or("NOT EXPLAINED").to_owned()]);
        }
        write!(formatter, "{times}\n{missing}\n{sums}")
    }
}

/// Watches executions, and counts what they reach.
#[derive(Debug, Default)]
pub struct Watcher(Mutex<Watching>);

#[derive(Debug, Default)]
struct Watching {
    coverage: Coverage,
    /// The state that was left last, by the place where that was.
    left: BTreeMap<String, Leaving>,
}

/// A state on its way out.
#[derive(Debug, Default)]
struct Leaving {
    state: String,
    is_caught: bool,
    is_over: bool,
    /// The input of a Choice.
    input: Value,
}

impl Watcher {
    /// Takes what was reached so far.
    pub fn take(&self) -> Coverage {
        std::mem::take(&mut self.lock().coverage)
    }

    /// Sees an event of a deployment's execution.
    pub fn see_deployment(&self, event: &Event<'_>) {
        self.lock().see(MACHINE, event.execution.to_owned(), event);
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watcher {
    fn observe(&self, event: &Event<'_>) {
        self.see_deployment(event);
    }

    fn observe_at(&self, place: &Place<'_>, event: &Event<'_>) {
        // arn:aws:states:region:account:execution:machine:name
        let machine = place.execution_arn.split(':').nth(6).unwrap_or_default();
        let known = DEFINITIONS.iter().find(|(name, _)| *name == machine);
        if let Some((machine, _)) = known {
            self.lock().see(machine, format!("{}{:?}", place.execution_arn, place.iterations), event);
        }
    }
}

impl Watching {
    fn see(&mut self, machine: &'static str, place: String, event: &Event<'_>) {
        match event.kind {
            // A redriven execution enters again the state in which it ended.
            EventKind::ExecutionStarted { .. } => drop(self.left.remove(&place)),
            EventKind::StateEntered { state, input, .. } => {
                self.enter(machine, &place, state);
                let is_choice = STATES.get(machine).and_then(|states| states.get(state)).is_some_and(|it| it.is_choice);
                let input = if is_choice { input.clone() } else { Value::Null };
                self.left.insert(place, Leaving { state: state.to_owned(), input, ..Leaving::default() });
            }
            EventKind::Caught { .. } => {
                if let Some(left) = self.left.get_mut(&place) {
                    left.is_caught = true;
                }
            }
            EventKind::StateExited { state, .. } => {
                if let Some(left) = self.left.get_mut(&place) {
                    left.is_over = true;
                }
                let ways = STATES.get(machine).and_then(|states| states.get(state)).map(|state| &state.ways);
                let end = ways.into_iter().flatten().find(|way| way.by == "End");
                let is_caught = self.left.get(&place).is_some_and(|left| left.is_caught);
                if let Some(end) = end.filter(|_| !is_caught) {
                    self.coverage.count(Group::Transition, &transition(machine, state, end), 1);
                    self.left.remove(&place);
                }
            }
            EventKind::TaskSucceeded { state, result, .. } => self.read(machine, state, &result["Payload"]),
            EventKind::TaskFailed { error, .. } => self.coverage.count(Group::Error, error, 1),
            EventKind::ExecutionEnded { output, error, cause, .. } => {
                self.left.remove(&place);
                self.end(machine, output, error, cause);
            }
            EventKind::TaskScheduled { .. }
            | EventKind::Retry { .. }
            | EventKind::Waiting { .. }
            | EventKind::Assigned { .. } => {}
        }
    }

    /// A state is entered: from the one that was left last.
    fn enter(&mut self, machine: &str, place: &str, state: &str) {
        self.coverage.count(Group::State, &named(machine, state), 1);
        let Some(left) = self.left.remove(place).filter(|left| left.is_over) else { return };
        let ways = STATES.get(machine).and_then(|states| states.get(&left.state)).map(|state| &state.ways);
        let ways: Vec<&Way> = ways.into_iter().flatten().filter(|way| way.to == state).collect();
        let is_taken = |way: &&&Way| match way.by.as_str() {
            "Catch" => left.is_caught,
            "Next" | "Default" => !left.is_caught,
            condition => ways.len() == 1 || holds(condition, &left.input),
        };
        let way = ways.iter().find(is_taken).map_or_else(
            // A way that the definition does not have is one of the mistakes.
            || format!("{machine}: {} → {state}", left.state),
            |way| transition(machine, &left.state, way),
        );
        self.coverage.count(Group::Transition, &way, 1);
    }

    /// What a Lambda answers.
    fn read(&mut self, machine: &str, state: &str, answer: &Value) {
        let Some(answer) = answer.as_object() else { return };
        if machine != MACHINE {
            let hands_on = ["TakeSnapshot", "CheckSnapshot"].contains(&state);
            if let Some(next) = text(answer, "next").filter(|_| hands_on) {
                self.coverage.count(Group::Next, &named(SNAPSHOT, next), 1);
            }
            return;
        }
        if let Some(next) = text(answer, "next") {
            self.coverage.count(Group::Next, &named(DEPLOYMENT, next), 1);
        }
        if let Some(rung) = answer.get("taken").and_then(Value::as_array).and_then(|taken| taken.last()) {
            self.coverage.count(Group::Rung, &named(DEPLOYMENT, rung.as_str().unwrap_or_default()), 1);
        }
        if state == "DecideRollback"
            && let Some(decided) = text(answer, "decided")
        {
            self.coverage.count(Group::Decision, decision(decided), 1);
        }
        if let Some(verdict) = answer.get("verdict").and_then(Value::as_object) {
            if let Some(is) = text(verdict, "is") {
                self.coverage.count(Group::Judgement, &named(DEPLOYMENT, is), 1);
            }
            self.reasons(verdict.get("reasons"));
        }
    }

    fn reasons(&mut self, reasons: Option<&Value>) {
        for code in reasons.and_then(Value::as_array).into_iter().flatten().filter_map(|reason| reason["code"].as_str())
        {
            self.coverage.count(Group::Reason, &named(DEPLOYMENT, code), 1);
        }
    }

    /// The end of an execution, with its report.
    fn end(&mut self, machine: &str, output: Option<&Value>, error: Option<&str>, cause: Option<&str>) {
        let parsed = || cause.and_then(|cause| serde_json::from_str(cause).ok());
        let report: Option<Value> = output.cloned().or_else(parsed);
        let Some(Value::Object(report)) = report else {
            // An execution that has ended without a report is a mistake of its own; an aborted one has none.
            return error.into_iter().for_each(|error| self.coverage.count(Group::Error, error, 1));
        };
        let whose = match machine {
            MACHINE => DEPLOYMENT,
            "snapshot" => RUN,
            _ => SNAPSHOT,
        };
        if let Some(outcome) = text(&report, "outcome") {
            self.coverage.count(Group::Outcome, &named(whose, outcome), 1);
        }
        if whose == DEPLOYMENT {
            self.reasons(report.get("because"));
            self.reasons(report.get("failure"));
        }
    }
}

fn text<'a>(of: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    of.get(member).and_then(Value::as_str)
}

/// What was decided, without its reasons.
fn decision(decided: &str) -> &str {
    match decided.strip_prefix("end: ") {
        Some(end) => decided.get(..5 + end.find(':').unwrap_or(end.len())).unwrap_or(decided),
        None => decided.split(':').next().unwrap_or(decided),
    }
}

/// Whether a condition of the form `$states.input.<members> = '<word>'` holds for this input.
fn holds(condition: &str, input: &Value) -> bool {
    let inner = condition.trim_start_matches("{% ").trim_end_matches(" %}");
    let Some((path, word)) = inner.split_once(" = ") else { return false };
    let Some(path) = path.strip_prefix("$states.input.") else { return false };
    let value = path.split('.').fold(input, |value, member| &value[member]);
    value.as_str() == Some(word.trim_matches('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_comes_from_the_definitions_and_the_types() {
        for (group, what) in [
            (Group::State, "deploy: TakeTurn"),
            (Group::State, "snapshot: SnapshotApplication"),
            (Group::Transition, "deploy: TakeTurn → Notify, Catch"),
            (Group::Transition, "deploy: IsBegun → DecideRollback, Default"),
            (Group::Transition, "snapshot-application: IsBegun → PruneSnapshots, $states.input.next = 'MakeRoom'"),
            (Group::Transition, "snapshot-application: Result, End"),
            (Group::Transition, "deploy: Succeeded, End"),
            (Group::Next, "deployment: WaitForTurn"),
            (Group::Decision, "take RollBack"),
            (Group::Outcome, "deployment: NeedsAttention"),
            (Group::Outcome, "run of snapshots: SnapshotsFailed"),
            (Group::Reason, "deployment: versionChanged"),
            (Group::Error, "Lambda.TooManyRequestsException"),
            (Group::Error, "InvalidEvent"),
            (Group::Error, "CodeValidation"),
        ] {
            assert!(ALL.contains(&(group, what.to_owned())), "{what}");
        }
        assert!(faults_of_lambda().contains(&"Sandbox.Timedout"), "{:?}", faults_of_lambda());
    }

    #[test]
    fn decisions_are_told_without_their_reasons() {
        let table = [
            ("hold: the service: no", "hold"),
            ("take RollBack: 3 restarts", "take RollBack"),
            ("end: NeedsAttention: the deadline: over", "end: NeedsAttention"),
            ("end: Deployed", "end: Deployed"),
            ("Update is due", "Update is due"),
        ];
        for (decided, expected) in table {
            assert_eq!(decision(decided), expected);
        }
    }

    #[test]
    fn what_is_explained_must_not_be_reached_and_what_is_not_must() {
        let nothing = Coverage::default();
        let unreached = nothing.unreached().count();
        assert_eq!(unreached, ALL.len());
        let mut coverage = Coverage::default();
        coverage.count(Group::State, "deploy: TakeTurn", 2);
        assert_eq!(
            (coverage.unreached().count(), coverage.times(Group::State, "deploy: TakeTurn")),
            (unreached - 1, 2)
        );
        coverage.count(Group::State, "deploy: Dreaming", 1);
        let unknown = |mistake: &String| mistake == "states: deploy: Dreaming was reached, which there is not";
        assert!(coverage.mistakes().iter().any(unknown));
    }
}
