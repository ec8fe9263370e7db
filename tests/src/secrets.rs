//! Looks for secrets in all that is told: every input, output, payload, result, error and cause that Step Functions keeps,
//! every log line, metric, letter and event, every item of the table, and every call. Nothing is left out but what has to
//! hold the values of runtime properties: the property maps of an execution's own input, also where take-turn and
//! submit-update are handed that input, and those of the body of `UpdateApplication`.

mod forms;
mod planted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use asl::{EventKind, Observer};
use emulator::Emulator;
use emulator::record::Event as Recorded;
use emulator::sinks::Content;
use serde_json::Value;

pub use planted::{NEW_VALUE, OLD_VALUE, Played, Spoil, leaks_of, planted, play, run_of_snapshots, uploads};

use crate::world::{OPERATOR, TURNS};
use forms::forms_of;

/// Values shorter than this are part of too many words to be looked for.
const SHORTEST_SECRET: usize = 4;
/// What every AWS client of a world signs with.
pub const SECRET_ACCESS_KEY: &str = "planted/Secret+Access/Key+wJalrXUtnFEMIK7MDENGbPx";
/// The session token that every AWS client of a world sends.
pub const SESSION_TOKEN: &str = "planted//Session+Token/IQoJb3JpZ2luX2VjEJr+KDExAMPLE==";
/// Functions that are handed the execution's input.
const HANDED_THE_INPUT: [&str; 2] = ["take-turn", "submit-update"];
/// The member of an application's configuration, of an update and of a request that holds runtime properties.
const PROPERTIES: &str = "PropertyMap";

/// What must not show, in every form that it could take.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// What each form is a form of.
    names: Vec<String>,
    automaton: Option<AhoCorasick>,
}

impl Secrets {
    /// These secrets, by what to call them. Ones under four characters are left out.
    pub fn new<Name: Into<String>>(secrets: impl IntoIterator<Item = (Name, String)>) -> Self {
        let (mut names, mut forms) = (Vec::new(), BTreeSet::new());
        let mut all = Vec::new();
        for (name, plain) in secrets {
            let name = name.into();
            for form in forms_of(&plain).into_iter().filter(|form| form.chars().count() >= SHORTEST_SECRET) {
                if plain.chars().count() >= SHORTEST_SECRET && forms.insert(form.clone()) {
                    names.push(name.clone());
                    all.push(form);
                }
            }
        }
        // The kind that is made quickly: one is made for every judgement. It fails for more forms than fit into memory.
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        Self { names, automaton: AhoCorasick::builder().kind(kind).build(&all).ok() }
    }

    /// The first of them in a text, with where it begins, and a presigned URL's token whether it is known or not.
    pub fn find<'a>(&'a self, text: &str) -> Option<(&'a str, usize)> {
        let known = self.automaton.as_ref().and_then(|automaton| automaton.find(text));
        let known = known.and_then(|found| Some((self.names.get(found.pattern().as_usize())?.as_str(), found.start())));
        known.or_else(|| presigned_url(text).map(|position| ("a presigned URL", position)))
    }
}

/// Where a presigned URL's token begins, if it is there: a name without a value gives nothing away.
fn presigned_url(text: &str) -> Option<usize> {
    ["authToken=", "authToken%3D"].into_iter().find_map(|name| {
        let mut found = text.match_indices(name);
        let has_value = |end: usize| text.get(end..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        found.find(|(position, _)| has_value(position + name.len())).map(|(position, _)| position)
    })
}

/// Enough of what stands before a place to find it.
pub(crate) fn words_before(text: &str, position: usize) -> String {
    let before: Vec<_> = text.get(..position).unwrap_or_default().chars().rev().take(80).collect();
    before.into_iter().rev().collect()
}

/// The values of all property maps in a request, a configuration or an update.
pub fn property_values(value: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Object(members) => {
            let values = members.iter().flat_map(|(name, member)| match member {
                Value::Object(map) if name == PROPERTIES => map.values().map(text).collect(),
                other => property_values(other),
            });
            values.collect()
        }
        Value::Array(items) => items.iter().flat_map(property_values).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

/// The same without its property maps.
fn without_properties(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let rest = members.iter().filter(|(name, _)| *name != PROPERTIES);
            Value::Object(rest.map(|(name, member)| (name.clone(), without_properties(member))).collect())
        }
        Value::Array(items) => items.iter().map(without_properties).collect(),
        other => other.clone(),
    }
}

/// Where something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Input of an execution, without its property maps.
    ExecutionInput,
    /// Input of a state.
    StateInput,
    /// Output of a state, or a variable.
    StateOutput,
    /// What a task's function or execution was given.
    Payload,
    /// What a task answered.
    TaskResult,
    /// Name and cause of a task's error.
    TaskError,
    /// Output, error and cause with which an execution ended.
    ExecutionEnd,
    /// What a Lambda answered to whom it does not know: asynchronous invocations.
    Reply,
    /// A line of a Lambda's log.
    LogLine,
    /// A line of metrics.
    MetricLine,
    /// A message to SNS.
    Letter,
    /// An event on `EventBridge`.
    BusEvent,
    /// An item of the table of turns.
    Item,
    /// A call of a service, without the property maps of `UpdateApplication`.
    Call,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ExecutionInput,
        Self::StateInput,
        Self::StateOutput,
        Self::Payload,
        Self::TaskResult,
        Self::TaskError,
        Self::ExecutionEnd,
        Self::Reply,
        Self::LogLine,
        Self::MetricLine,
        Self::Letter,
        Self::BusEvent,
        Self::Item,
        Self::Call,
    ];
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ExecutionInput => "inputs of executions",
            Self::StateInput => "inputs of states",
            Self::StateOutput => "outputs of states",
            Self::Payload => "payloads of tasks",
            Self::TaskResult => "results of tasks",
            Self::TaskError => "errors of tasks",
            Self::ExecutionEnd => "ends of executions",
            Self::Reply => "replies to events",
            Self::LogLine => "log lines",
            Self::MetricLine => "metric lines",
            Self::Letter => "messages to SNS",
            Self::BusEvent => "events on the bus",
            Self::Item => "items of DynamoDB",
            Self::Call => "calls of services",
        })
    }
}

/// A secret that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Where.
    pub place: Place,
    /// What it is, and after which words it stands.
    pub what: String,
}

/// How much was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many texts.
    pub texts: usize,
    /// Their bytes, together.
    pub bytes: usize,
}

/// All that was told, by where. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    texts: Vec<(Place, String)>,
    /// Each execution's input, by its name.
    inputs: BTreeMap<String, Value>,
}

impl Told {
    fn with<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a text.
    pub fn keep(&self, place: Place, text: impl Into<String>) {
        self.with(|kept| kept.texts.push((place, text.into())));
    }

    /// Keeps what is written, line by line.
    pub fn writer(&self, place: Place) -> Lines {
        Lines { told: self.clone(), place, begun: Vec::new() }
    }

    /// Keeps what an emulator was sent: calls, letters, events, items.
    pub fn keep_all_of(&self, emulator: &Emulator) {
        for entry in emulator.record() {
            let Recorded::Call(call) = entry.event else { continue };
            if call.principal.as_deref() == Some(OPERATOR) {
                continue;
            }
            let request =
                if call.operation == "UpdateApplication" { without_properties(&call.request) } else { call.request };
            self.keep(Place::Call, format!("{} {} {request}", call.service, call.operation));
        }
        for published in emulator.sinks().published() {
            match published.content {
                Content::Message { topic, subject, message } => {
                    self.keep(Place::Letter, format!("{topic}\n{}\n{message}", subject.unwrap_or_default()));
                }
                Content::Event { bus, source, detail_type, detail } => {
                    self.keep(Place::BusEvent, format!("{bus} {source} {detail_type} {detail}"));
                }
            }
        }
        for (key, item) in emulator.dynamodb().items(TURNS).into_iter().flatten() {
            self.keep(Place::Item, format!("{key} {item}"));
        }
    }

    /// How much of each was told.
    pub fn amounts(&self) -> BTreeMap<Place, Amount> {
        let mut amounts: BTreeMap<Place, Amount> = BTreeMap::new();
        self.with(|kept| {
            for (place, text) in &kept.texts {
                let amount = amounts.entry(*place).or_default();
                amount.texts += 1;
                amount.bytes += text.len();
            }
        });
        amounts
    }

    /// All texts, in the order in which they were told.
    pub fn texts(&self) -> Vec<String> {
        self.with(|kept| kept.texts.iter().map(|(_, text)| text.clone()).collect())
    }

    /// The first of these in each text that has one.
    pub fn leaks(&self, secrets: &Secrets) -> Vec<Leak> {
        let leak = |(place, text): &(Place, String)| {
            let (name, position) = secrets.find(text)?;
            let what = format!("{name} is told after {:?}", words_before(text, position));
            Some(Leak { place: *place, what })
        };
        self.with(|kept| kept.texts.iter().filter_map(leak).collect())
    }

    fn keep_value(&self, place: Place, value: &Value) {
        self.keep(place, value.to_string());
    }

    /// The execution's own input is kept without its property maps; anything else as it is.
    fn keep_input(&self, place: Place, execution: &str, value: &Value) {
        let is_its_own = self.with(|kept| kept.inputs.get(execution) == Some(value));
        if is_its_own { self.keep_value(place, &without_properties(value)) } else { self.keep_value(place, value) }
    }

    fn keep_payload(&self, execution: &str, function: &str, payload: &Value) {
        let own = self.with(|kept| kept.inputs.get(execution).cloned());
        let mut payload = payload.clone();
        if HANDED_THE_INPUT.contains(&function)
            && let Some(input) = payload.get_mut("input")
            && own.as_ref() == Some(&*input)
        {
            *input = without_properties(input);
        }
        self.keep_value(Place::Payload, &payload);
    }
}

impl Observer for Told {
    fn observe(&self, event: &asl::Event<'_>) {
        let name = event.execution;
        match event.kind {
            EventKind::ExecutionStarted { input, .. } => {
                self.with(|kept| kept.inputs.insert(name.to_owned(), input.clone()));
                self.keep_input(Place::ExecutionInput, name, input);
            }
            EventKind::StateEntered { input, .. } => self.keep_input(Place::StateInput, name, input),
            EventKind::TaskScheduled { function_name, payload, .. } => self.keep_payload(name, function_name, payload),
            EventKind::TaskSucceeded { result, .. } => self.keep_value(Place::TaskResult, result),
            EventKind::TaskFailed { error, cause, .. } => self.keep(Place::TaskError, format!("{error} {cause}")),
            EventKind::Caught { error, .. } => self.keep(Place::TaskError, error),
            EventKind::Assigned { variable, value, .. } => self.keep(Place::StateOutput, format!("{variable} {value}")),
            EventKind::StateExited { output, .. } => self.keep_value(Place::StateOutput, output),
            EventKind::ExecutionEnded { output, error, cause, .. } => {
                let output = output.map(ToString::to_string);
                let all = [output.as_deref(), error, cause];
                self.keep(Place::ExecutionEnd, all.map(Option::unwrap_or_default).join(" "));
            }
            EventKind::Retry { .. } | EventKind::Waiting { .. } => {}
        }
    }
}

/// Keeps what is written, line by line.
#[derive(Debug)]
pub struct Lines {
    told: Told,
    place: Place,
    begun: Vec<u8>,
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.told.keep(self.place, String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2-hunter2";

    /// Where the secret is found, after an execution has begun with this input and these events have happened.
    fn leaks(input: &Value, events: &[EventKind<'_>]) -> Vec<Place> {
        let told = Told::default();
        let begun = EventKind::ExecutionStarted { input, redrives: 0 };
        for kind in std::iter::once(&begun).chain(events) {
            told.observe(&asl::Event { at: Timestamp::UNIX_EPOCH, execution: "release-2", kind: *kind });
        }
        let leaks = told.leaks(&Secrets::new([("the secret", SECRET.to_owned())]));
        leaks.into_iter().map(|leak| leak.place).collect()
    }

    fn request() -> Value {
        let groups = json!([{ "PropertyGroupId": "app", "PropertyMap": { "password": SECRET } }]);
        let update = json!({ "EnvironmentPropertyUpdates": { "PropertyGroups": groups } });
        json!({ "application": "orders", "update": { "ApplicationConfigurationUpdate": update } })
    }

    #[test]
    fn an_execution_may_be_told_of_the_properties_of_its_own_input() {
        let input = request();
        let payload = json!({ "input": input, "deployment": null });
        let scheduled =
            |function_name| EventKind::TaskScheduled { state: "Task", function_name, payload: &payload, attempt: 0 };
        let entered = EventKind::StateEntered { state: "TakeTurn", kind: asl::StateKind::Task, input: &input };
        assert_eq!(leaks(&input, &[entered, scheduled("take-turn"), scheduled("submit-update")]), []);
    }

    #[test]
    fn nothing_else_may_hold_them() {
        let input = request();
        let payload = json!({ "input": input });
        let other = json!({ "input": request(), "deployment": { "reason": SECRET } });
        let scheduled =
            |function_name, payload| EventKind::TaskScheduled { state: "Task", function_name, payload, attempt: 0 };
        let left = EventKind::StateExited { state: "TakeTurn", output: &input };
        assert_eq!(leaks(&input, &[scheduled("check-operation", &payload)]), [Place::Payload]);
        assert_eq!(leaks(&input, &[scheduled("submit-update", &other)]), [Place::Payload]);
        assert_eq!(leaks(&input, &[left]), [Place::StateOutput]);
        let mut elsewhere = request();
        elsewhere["reason"] = SECRET.into();
        assert_eq!(leaks(&elsewhere, &[]), [Place::ExecutionInput]);
    }

    #[test]
    fn values_are_found_in_maps_at_any_depth_and_nowhere_else() {
        let request = json!({ "update": [{ "PropertyMap": { "a": "one", "b": 2 } }, { "c": "three" }] });
        assert_eq!(property_values(&request), BTreeSet::from(["one".to_owned(), "2".to_owned()]));
    }

    #[test]
    fn lines_are_kept_however_they_are_written() {
        use std::io::Write as _;
        let told = Told::default();
        let mut lines = told.writer(Place::LogLine);
        for piece in ["one", " line\nanother", " one\nunfinished"] {
            write!(lines, "{piece}").unwrap();
        }
        assert_eq!(told.texts(), ["one line", "another one"]);
    }
}
