//! Reading a definition: every field that the engine does not run faithfully is refused by name, with its state, and
//! what can be checked without running is checked here: transitions, reachability, expressions, variables, limits.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::evaluation::Template;
use crate::expression::Available;
use crate::failure::{ALL, RESERVED};
use crate::json::Strict;

/// The resource of a Task that calls a function.
pub(crate) const LAMBDA_INVOKE: &str = "arn:aws:states:::lambda:invoke";
/// The resource of a Task that starts an execution, waits until it has ended, and gets its output as JSON.
pub(crate) const START_EXECUTION: &str = "arn:aws:states:::states:startExecution.sync:2";
/// The region and account of all ARNs: those of the service's own examples.
pub(crate) const OWNER: (&str, &str) = ("us-east-1", "123456789012");

/// The largest definition the service takes, in bytes.
const DEFINITION_BYTES: usize = 1_048_576;
/// The largest number of seconds or attempts in a definition.
pub(crate) const MOST_SECONDS: u64 = 99_999_999;
/// The limit of a retrier's `MaxDelaySeconds` (exclusive).
const MOST_DELAY_SECONDS: u64 = 31_622_400;
/// The longest name of a state or a variable, in characters.
const NAME_CHARACTERS: usize = 80;
/// The longest error name, in characters.
pub(crate) const ERROR_CHARACTERS: usize = 256;
/// The longest cause, in characters.
pub(crate) const CAUSE_CHARACTERS: usize = 32_768;

/// Why a definition was refused.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The text is not JSON, or names a field of an object twice.
    #[error("the definition is not JSON")]
    Json(#[from] serde_json::Error),
    /// Something outside the states is wrong.
    #[error("{field}: {problem}")]
    Machine {
        /// The top-level field.
        field: String,
        /// What is wrong, and where it helps, what would be right.
        problem: String,
    },
    /// A state is wrong.
    #[error("state {state:?}, {field}: {problem}")]
    State {
        /// The state's name.
        state: String,
        /// The field's place in the state, such as `Retry[0]/ErrorEquals`.
        field: String,
        /// What is wrong, and where it helps, what would be right.
        problem: String,
    },
}

/// A definition that has been read, checked and compiled; it can run any number of executions at once.
#[derive(Debug)]
pub struct StateMachine {
    pub(crate) name: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) states: States,
}

/// The states of one level: the definition's own, or those of a Map's `ItemProcessor`.
#[derive(Debug)]
pub(crate) struct States {
    pub(crate) start: usize,
    pub(crate) all: Vec<State>,
}

impl States {
    /// The states of this level, each followed by those that are in it.
    fn flat(&self) -> Box<dyn Iterator<Item = &State> + '_> {
        Box::new(self.all.iter().flat_map(|state| {
            let inner = match &state.kind {
                Kind::Map(map) => Some(map.processor.flat()),
                _ => None,
            };
            std::iter::once(state).chain(inner.into_iter().flatten())
        }))
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The type of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Calls a function.
    Task,
    /// Waits for a time.
    Wait,
    /// Branches.
    Choice,
    /// Shapes data.
    Pass,
    /// Ends the execution well.
    Succeed,
    /// Ends the execution badly.
    Fail,
    /// Runs states of its own for each of a list of items.
    Map,
}

impl State {
    pub(crate) fn state_kind(&self) -> StateKind {
        match &self.kind {
            Kind::Task(_) => StateKind::Task,
            Kind::Wait(_) => StateKind::Wait,
            Kind::Choice(_) => StateKind::Choice,
            Kind::Pass(_) => StateKind::Pass,
            Kind::Succeed(_) => StateKind::Succeed,
            Kind::Fail(_) => StateKind::Fail,
            Kind::Map(_) => StateKind::Map,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Kind {
    Task(Box<Task>),
    Wait(Wait),
    Choice(Choice),
    Pass(Exit),
    Succeed(Results),
    Fail(Fail),
    Map(Box<MapState>),
}

/// What a state makes of its data when it is left.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
}

/// How a state is left.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) results: Results,
    /// The next state; none ends the execution.
    pub(crate) next: Option<usize>,
}

/// What a Task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integration {
    /// Calls a function.
    Lambda,
    /// Starts an execution and waits until it has ended.
    Execution,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) integration: Integration,
    pub(crate) arguments: Template,
    pub(crate) timeout: Option<Template>,
    pub(crate) handlers: Handlers,
    pub(crate) exit: Exit,
}

#[derive(Debug)]
pub(crate) struct MapState {
    /// Without it the state's input is the list.
    pub(crate) items: Option<Template>,
    /// Without it an iteration's input is the item.
    pub(crate) selector: Option<Template>,
    pub(crate) concurrency: Option<Template>,
    pub(crate) processor: States,
    pub(crate) handlers: Handlers,
    pub(crate) exit: Exit,
}

/// What is done about failures.
#[derive(Debug)]
pub(crate) struct Handlers {
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) error_equals: Vec<String>,
    pub(crate) interval_seconds: u64,
    pub(crate) max_attempts: u64,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<u64>,
    pub(crate) full_jitter: bool,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) error_equals: Vec<String>,
    pub(crate) results: Results,
    pub(crate) next: usize,
}

#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) until: WaitUntil,
    pub(crate) exit: Exit,
}

#[derive(Debug)]
pub(crate) enum WaitUntil {
    Seconds(Template),
    Timestamp(Template),
}

#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<usize>,
    /// What the Default makes of the data.
    pub(crate) results: Results,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Template,
    pub(crate) results: Results,
    pub(crate) next: usize,
}

#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) error: Option<Template>,
    pub(crate) cause: Option<Template>,
}

impl StateMachine {
    /// Reads a definition. `substitutions` are those of `DefinitionSubstitutions` in a template: each `${Name}` in the
    /// definition's strings becomes the value, and one without a value is an error.
    pub fn parse(definition: &str, substitutions: &BTreeMap<String, String>) -> Result<Self, DefinitionError> {
        if definition.len() > DEFINITION_BYTES {
            return Err(machine("definition", format!("is larger than {DEFINITION_BYTES} bytes")));
        }
        let Strict(value) = serde_json::from_str(definition)?;
        Self::from_value(value, substitutions)
    }

    /// Like [`StateMachine::parse`], from JSON that has been read.
    pub fn from_value(
        mut definition: Value,
        substitutions: &BTreeMap<String, String>,
    ) -> Result<Self, DefinitionError> {
        substitute(&mut definition, substitutions)
            .map_err(|name| machine("definition", format!("${{{name}}} has no substitution")))?;
        let Value::Object(top) = &definition else { return Err(machine("definition", "must be an object")) };
        read_machine(top)
    }

    /// Gives the state machine a name, as it is seen in the context object; it is `StateMachine` otherwise.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The name given by [`StateMachine::named`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its ARN, in the region and account of the service's examples.
    pub fn arn(&self) -> String {
        let (region, account) = OWNER;
        format!("arn:aws:states:{region}:{account}:stateMachine:{}", self.name)
    }

    /// The ARN of its execution of this name.
    pub fn execution_arn(&self, execution_name: &str) -> String {
        let (region, account) = OWNER;
        format!("arn:aws:states:{region}:{account}:execution:{}:{execution_name}", self.name)
    }

    /// The states by name and type, in the definition's order; those in a Map follow it.
    pub fn states(&self) -> impl Iterator<Item = (&str, StateKind)> {
        self.states.flat().map(|state| (state.name.as_str(), state.state_kind()))
    }
}

fn machine(field: &str, problem: impl Into<String>) -> DefinitionError {
    DefinitionError::Machine { field: field.to_owned(), problem: problem.into() }
}

/// Puts the substitutions into every string; the error is the name of one that is missing.
fn substitute(value: &mut Value, substitutions: &BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if text.contains("${") {
                *text = substituted(text, substitutions)?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| substitute(item, substitutions)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| substitute(field, substitutions)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn substituted(text: &str, substitutions: &BTreeMap<String, String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        result.push_str(before);
        // `${` also begins a grouping of JSONata's context; only a plain name in braces is a substitution.
        match after.split_once('}') {
            Some((name, following))
                if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                result.push_str(substitutions.get(name).ok_or(name)?);
                rest = following;
            }
            _ => {
                result.push_str("${");
                rest = after;
            }
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn read_machine(top: &Map<String, Value>) -> Result<StateMachine, DefinitionError> {
    const FIELDS: [&str; 6] = ["Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"];
    if let Some(field) = top.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(machine(field, "is not a field that this engine supports"));
    }
    let text = |field: &str| match top.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(machine(field, "must be a string")),
    };
    text("Comment")?;
    if text("QueryLanguage")? != Some("JSONata") {
        return Err(machine("QueryLanguage", "must be \"JSONata\""));
    }
    if !matches!(text("Version")?, None | Some("1.0")) {
        return Err(machine("Version", "must be \"1.0\""));
    }
    let timeout_seconds = match top.get("TimeoutSeconds") {
        None => None,
        Some(value) => Some(
            value
                .as_u64()
                .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
                .ok_or_else(|| machine("TimeoutSeconds", format!("must be an integer from 1 to {MOST_SECONDS}")))?,
        ),
    };
    let states = read_states(top, &HashSet::new(), false, &|field, problem| machine(field, problem))?;
    let mut names = HashSet::new();
    if let Some(state) = states.flat().find(|state| !names.insert(state.name.as_str())) {
        return Err(state_error(&state.name, "state", "has the name of another state"));
    }
    Ok(StateMachine { name: "StateMachine".to_owned(), timeout_seconds, states })
}

/// Reads the states of one level from the object whose `States` and `StartAt` they are. `outer` are the variables of the
/// levels around it, and `refuse` makes the error for a field of the object.
fn read_states(
    fields: &Map<String, Value>,
    outer: &HashSet<String>,
    is_in_map: bool,
    refuse: &dyn Fn(&str, String) -> DefinitionError,
) -> Result<States, DefinitionError> {
    let Some(Value::Object(states)) = fields.get("States") else {
        return Err(refuse("States", "must be an object of states".to_owned()));
    };
    let indices: HashMap<&str, usize> = states.keys().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let start_at = match fields.get("StartAt") {
        Some(Value::String(name)) => name.as_str(),
        Some(_) => return Err(refuse("StartAt", "must be a string".to_owned())),
        None => return Err(refuse("StartAt", "is missing".to_owned())),
    };
    let start = *indices.get(start_at).ok_or_else(|| refuse("StartAt", format!("there is no state {start_at:?}")))?;
    let mut variables = outer.clone();
    for (name, state) in states {
        collect_variables(name, state, outer, &mut variables)?;
    }
    let all: Vec<State> = states
        .iter()
        .map(|(name, value)| {
            let Value::Object(fields) = value else {
                return Err(state_error(name, "state", "must be an object"));
            };
            Reader { state: name, fields, indices: &indices, variables: &variables, is_in_map }.state()
        })
        .collect::<Result<_, _>>()?;
    check_graph(start, &all)?;
    Ok(States { start, all })
}

fn state_error(state: &str, field: &str, problem: impl Into<String>) -> DefinitionError {
    DefinitionError::State { state: state.to_owned(), field: field.to_owned(), problem: problem.into() }
}

/// Notes every variable that the Assign fields of a state set, which expressions anywhere on its level and in it may then
/// read. As on the service, an iteration cannot set a variable of the states around its Map.
fn collect_variables(
    state: &str,
    value: &Value,
    outer: &HashSet<String>,
    variables: &mut HashSet<String>,
) -> Result<(), DefinitionError> {
    let mut owners = vec![value];
    for list in ["Choices", "Catch"] {
        owners.extend(value.get(list).and_then(Value::as_array).into_iter().flatten());
    }
    for assign in owners.into_iter().filter_map(|owner| owner.get("Assign")) {
        let Value::Object(fields) = assign else {
            return Err(state_error(state, "Assign", "must be an object of variables"));
        };
        for name in fields.keys() {
            let mut characters = name.chars();
            let identifier = characters.next().is_some_and(char::is_alphabetic)
                && characters.all(|character| character.is_alphanumeric() || character == '_');
            if !identifier || name.chars().count() > NAME_CHARACTERS || name == "states" {
                let field = format!("Assign/{name}");
                return Err(state_error(state, &field, "is not a variable name (letters, digits and _; not states)"));
            }
            if outer.contains(name) {
                let field = format!("Assign/{name}");
                return Err(state_error(
                    state,
                    &field,
                    "is a variable of the states around the Map, which cannot be set in it",
                ));
            }
            variables.insert(name.clone());
        }
    }
    Ok(())
}

/// Every state must be reachable from the first one, and an end from every state.
fn check_graph(start: usize, states: &[State]) -> Result<(), DefinitionError> {
    let successors: Vec<Vec<usize>> = states.iter().map(successors).collect();
    let mut reached = vec![false; states.len()];
    let mut open = vec![start];
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut reached[index], true) {
            open.extend(&successors[index]);
        }
    }
    if let Some(index) = reached.iter().position(|reached| !reached) {
        return Err(state_error(&states[index].name, "state", "cannot be reached from StartAt"));
    }
    let mut ends: Vec<bool> = states.iter().map(is_end).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for (index, next) in successors.iter().enumerate() {
            if !ends[index] && next.iter().any(|next| ends[*next]) {
                ends[index] = true;
                changed = true;
            }
        }
    }
    match ends.iter().position(|ends| !ends) {
        Some(index) => Err(state_error(&states[index].name, "state", "has no path to an end")),
        None => Ok(()),
    }
}

fn successors(state: &State) -> Vec<usize> {
    match &state.kind {
        Kind::Task(task) => after(&task.exit, &task.handlers),
        Kind::Map(map) => after(&map.exit, &map.handlers),
        Kind::Wait(wait) => wait.exit.next.into_iter().collect(),
        Kind::Pass(exit) => exit.next.into_iter().collect(),
        Kind::Choice(choice) => choice.rules.iter().map(|rule| rule.next).chain(choice.default).collect(),
        Kind::Succeed(_) | Kind::Fail(_) => Vec::new(),
    }
}

fn after(exit: &Exit, handlers: &Handlers) -> Vec<usize> {
    exit.next.into_iter().chain(handlers.catch.iter().map(|catcher| catcher.next)).collect()
}

fn is_end(state: &State) -> bool {
    match &state.kind {
        Kind::Task(task) => task.exit.next.is_none(),
        Kind::Map(map) => map.exit.next.is_none(),
        Kind::Wait(wait) => wait.exit.next.is_none(),
        Kind::Pass(exit) => exit.next.is_none(),
        Kind::Choice(_) => false,
        Kind::Succeed(_) | Kind::Fail(_) => true,
    }
}

/// Reads one entry of a list in a state, such as a retrier, given its fields and its place.
type Read<'a, T> = fn(&Reader<'a>, &Map<String, Value>, &str) -> Result<T, DefinitionError>;

/// Reads one state.
struct Reader<'a> {
    state: &'a str,
    fields: &'a Map<String, Value>,
    indices: &'a HashMap<&'a str, usize>,
    variables: &'a HashSet<String>,
    is_in_map: bool,
}

impl<'a> Reader<'a> {
    fn error(&self, field: &str, problem: impl Into<String>) -> DefinitionError {
        state_error(self.state, field, problem)
    }

    fn state(&self) -> Result<State, DefinitionError> {
        if self.state.is_empty() || self.state.chars().count() > NAME_CHARACTERS {
            return Err(self.error("state", format!("the name must have 1 to {NAME_CHARACTERS} characters")));
        }
        if !matches!(text(self, self.fields, "", "QueryLanguage")?, None | Some("JSONata")) {
            return Err(self.error("QueryLanguage", "must be \"JSONata\""));
        }
        let kind = match text(self, self.fields, "", "Type")? {
            Some("Task") => Kind::Task(Box::new(self.task()?)),
            Some("Wait") => Kind::Wait(self.wait()?),
            Some("Choice") => Kind::Choice(self.choice()?),
            Some("Pass") => {
                self.only(&["Output", "Assign", "Next", "End"])?;
                Kind::Pass(self.exit(false)?)
            }
            Some("Succeed") => {
                self.only(&["Output"])?;
                Kind::Succeed(Results { output: self.template("Output", self.plain())?, assign: None })
            }
            Some("Fail") => Kind::Fail(self.fail()?),
            Some("Map") => Kind::Map(Box::new(self.map()?)),
            Some(other) => return Err(self.error("Type", format!("{other:?} is not a type that this engine supports"))),
            None => return Err(self.error("Type", "is missing")),
        };
        Ok(State { name: self.state.to_owned(), kind })
    }

    /// Refuses every field of the state but the given and the common ones.
    fn only(&self, known: &[&str]) -> Result<(), DefinitionError> {
        only(self, self.fields, "", &[known, &["Type", "QueryLanguage"]].concat())
    }

    fn plain(&self) -> Available<'_> {
        Available { result: false, error_output: false, item: self.is_in_map, variables: self.variables }
    }

    fn template(&self, field: &str, available: Available<'_>) -> Result<Option<Template>, DefinitionError> {
        template(self, self.fields, "", field, available)
    }

    fn results(
        &self,
        fields: &Map<String, Value>,
        place: &str,
        available: Available<'_>,
    ) -> Result<Results, DefinitionError> {
        Ok(Results {
            output: template(self, fields, place, "Output", available)?,
            assign: template(self, fields, place, "Assign", available)?,
        })
    }

    fn exit(&self, result: bool) -> Result<Exit, DefinitionError> {
        let next = match (self.fields.get("Next"), self.fields.get("End")) {
            (Some(_), None) => Some(self.target(self.fields, "", "Next")?),
            (None, Some(Value::Bool(true))) => None,
            (None, Some(_)) => return Err(self.error("End", "must be true")),
            (Some(_), Some(_)) => return Err(self.error("End", "cannot stand beside Next")),
            (None, None) => return Err(self.error("Next", "is missing, and so is End")),
        };
        let available = Available { result, ..self.plain() };
        Ok(Exit { results: self.results(self.fields, "", available)?, next })
    }

    fn target(&self, fields: &Map<String, Value>, place: &str, field: &str) -> Result<usize, DefinitionError> {
        let at = join(place, field);
        let name = text(self, fields, place, field)?.ok_or_else(|| self.error(&at, "is missing"))?;
        self.indices.get(name).copied().ok_or_else(|| self.error(&at, format!("there is no state {name:?}")))
    }

    fn task(&self) -> Result<Task, DefinitionError> {
        self.only(&["Resource", "Arguments", "Output", "Assign", "TimeoutSeconds", "Retry", "Catch", "Next", "End"])?;
        let integration = match text(self, self.fields, "", "Resource")? {
            Some(LAMBDA_INVOKE) => Integration::Lambda,
            Some(START_EXECUTION) => Integration::Execution,
            Some(other) => {
                let problem = format!("{other:?} is not supported; use {LAMBDA_INVOKE:?} or {START_EXECUTION:?}");
                return Err(self.error("Resource", problem));
            }
            None => return Err(self.error("Resource", "is missing")),
        };
        Ok(Task {
            integration,
            arguments: self.arguments(integration)?,
            timeout: self.integer("TimeoutSeconds", 1)?,
            handlers: self.handlers()?,
            exit: self.exit(true)?,
        })
    }

    fn arguments(&self, integration: Integration) -> Result<Template, DefinitionError> {
        let (required, optional, texts, expected): (&[&str], &[&str], &[&str], _) = match integration {
            Integration::Lambda => {
                let expected = "must be an object of exactly FunctionName and Payload";
                (&["FunctionName", "Payload"], &[], &["FunctionName"], expected)
            }
            Integration::Execution => {
                let expected = "must be an object of StateMachineArn and, as needed, Input and Name";
                (&["StateMachineArn"], &["Input", "Name"], &["StateMachineArn", "Name"], expected)
            }
        };
        let arguments = self.template("Arguments", self.plain())?.ok_or_else(|| self.error("Arguments", expected))?;
        let names = arguments.names().unwrap_or_default();
        let known = |name: &&str| required.contains(name) || optional.contains(name);
        if !required.iter().all(|name| names.contains(name)) || !names.iter().all(known) {
            return Err(self.error("Arguments", expected));
        }
        let is_wrong = |name: &&&str| self.fields["Arguments"].get(**name).is_some_and(|value| !value.is_string());
        match texts.iter().find(is_wrong) {
            Some(name) => Err(self.error(&format!("Arguments/{name}"), "must be a string")),
            None => Ok(arguments),
        }
    }

    fn handlers(&self) -> Result<Handlers, DefinitionError> {
        Ok(Handlers { retry: self.list("Retry", Self::retrier)?, catch: self.list("Catch", Self::catcher)? })
    }

    fn map(&self) -> Result<MapState, DefinitionError> {
        const FIELDS: [&str; 10] = [
            "Items",
            "ItemSelector",
            "ItemProcessor",
            "MaxConcurrency",
            "Output",
            "Assign",
            "Retry",
            "Catch",
            "Next",
            "End",
        ];
        self.only(&FIELDS)?;
        let items = self.template("Items", self.plain())?;
        if items.as_ref().is_some_and(|items| !items.is_array() && !items.is_expression()) {
            return Err(self.error("Items", "must be an array or a JSONata expression"));
        }
        Ok(MapState {
            items,
            selector: self.template("ItemSelector", Available { item: true, ..self.plain() })?,
            concurrency: self.integer("MaxConcurrency", 0)?,
            processor: self.processor()?,
            handlers: self.handlers()?,
            exit: self.exit(true)?,
        })
    }

    fn processor(&self) -> Result<States, DefinitionError> {
        const PLACE: &str = "ItemProcessor";
        let Some(Value::Object(fields)) = self.fields.get(PLACE) else {
            return Err(self.error(PLACE, "must be an object of StartAt and States"));
        };
        only(self, fields, PLACE, &["ProcessorConfig", "StartAt", "States"])?;
        if let Some(config) = fields.get("ProcessorConfig") {
            let place = join(PLACE, "ProcessorConfig");
            let Value::Object(config) = config else { return Err(self.error(&place, "must be an object")) };
            let mode = text(self, config, &place, "Mode")?;
            if !matches!(mode, None | Some("INLINE")) {
                return Err(self.error(&join(&place, "Mode"), "must be \"INLINE\"; no other mode is supported"));
            }
            only(self, config, &place, &["Mode"])?;
        }
        read_states(fields, self.variables, true, &|field, problem| self.error(&join(PLACE, field), problem))
    }

    /// An integer, such as a number of seconds, or an expression of one.
    fn integer(&self, field: &str, least: u64) -> Result<Option<Template>, DefinitionError> {
        let Some(template) = self.template(field, self.plain())? else { return Ok(None) };
        let valid = match (template.constant(), template.is_expression()) {
            (Some(value), _) => value.as_u64().is_some_and(|seconds| (least..=MOST_SECONDS).contains(&seconds)),
            (None, expression) => expression,
        };
        if valid {
            Ok(Some(template))
        } else {
            Err(self.error(field, format!("must be an integer from {least} to {MOST_SECONDS} or a JSONata expression")))
        }
    }

    fn list<T>(&self, field: &str, read: Read<'a, T>) -> Result<Vec<T>, DefinitionError> {
        let items = match self.fields.get(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) if !items.is_empty() => items,
            Some(_) => return Err(self.error(field, "must be a non-empty array")),
        };
        let mut read_items = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = format!("{field}[{index}]");
            let Value::Object(fields) = item else { return Err(self.error(&place, "must be an object")) };
            let all_errors = fields
                .get("ErrorEquals")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name == ALL));
            if all_errors && index + 1 < items.len() {
                return Err(self.error(&place, format!("{ALL} must be in the last entry")));
            }
            read_items.push(read(self, fields, &place)?);
        }
        Ok(read_items)
    }

    fn error_equals(&self, fields: &Map<String, Value>, place: &str) -> Result<Vec<String>, DefinitionError> {
        let at = join(place, "ErrorEquals");
        let names: Vec<String> = fields
            .get("ErrorEquals")
            .and_then(Value::as_array)
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
            .filter(|names: &Vec<String>| !names.is_empty())
            .ok_or_else(|| self.error(&at, "must be a non-empty array of error names"))?;
        if names.len() > 1 && names.iter().any(|name| name == ALL) {
            return Err(self.error(&at, format!("{ALL} must stand alone")));
        }
        if let Some(name) = names.iter().find(|name| name.starts_with("States.") && !RESERVED.contains(&name.as_str()))
        {
            return Err(self.error(&at, format!("{name:?} is not an error name of the States Language")));
        }
        Ok(names)
    }

    fn retrier(&self, fields: &Map<String, Value>, place: &str) -> Result<Retrier, DefinitionError> {
        const FIELDS: [&str; 6] =
            ["ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy"];
        only(self, fields, place, &FIELDS)?;
        let integer = |field: &str, least: u64, most: u64| match fields.get(field) {
            None => Ok(None),
            Some(value) => match value.as_u64().filter(|value| (least..=most).contains(value)) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(&join(place, field), format!("must be an integer from {least} to {most}"))),
            },
        };
        let interval_seconds = integer("IntervalSeconds", 1, MOST_SECONDS)?.unwrap_or(1);
        let max_delay_seconds = integer("MaxDelaySeconds", 1, MOST_DELAY_SECONDS - 1)?;
        if max_delay_seconds.is_some_and(|most| most <= interval_seconds) {
            return Err(self.error(&join(place, "MaxDelaySeconds"), "must be greater than IntervalSeconds"));
        }
        let backoff_rate = match fields.get("BackoffRate") {
            None => 2.0,
            Some(value) => value
                .as_f64()
                .filter(|rate| *rate >= 1.0)
                .ok_or_else(|| self.error(&join(place, "BackoffRate"), "must be a number of at least 1.0"))?,
        };
        let full_jitter = match text(self, fields, place, "JitterStrategy")? {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(_) => return Err(self.error(&join(place, "JitterStrategy"), "must be \"FULL\" or \"NONE\"")),
        };
        Ok(Retrier {
            error_equals: self.error_equals(fields, place)?,
            interval_seconds,
            max_attempts: integer("MaxAttempts", 0, MOST_SECONDS)?.unwrap_or(3),
            backoff_rate,
            max_delay_seconds,
            full_jitter,
        })
    }

    fn catcher(&self, fields: &Map<String, Value>, place: &str) -> Result<Catcher, DefinitionError> {
        only(self, fields, place, &["ErrorEquals", "Next", "Output", "Assign"])?;
        let available = Available { error_output: true, ..self.plain() };
        Ok(Catcher {
            error_equals: self.error_equals(fields, place)?,
            results: self.results(fields, place, available)?,
            next: self.target(fields, place, "Next")?,
        })
    }

    fn wait(&self) -> Result<Wait, DefinitionError> {
        self.only(&["Seconds", "Timestamp", "Output", "Assign", "Next", "End"])?;
        let until = match (self.integer("Seconds", 0)?, self.template("Timestamp", self.plain())?) {
            (Some(seconds), None) => WaitUntil::Seconds(seconds),
            (None, Some(timestamp)) => {
                let valid = match timestamp.constant() {
                    Some(value) => value.as_str().is_some_and(|text| rfc3339(text).is_some()),
                    None => timestamp.is_expression(),
                };
                if !valid {
                    return Err(self.error("Timestamp", "must be an RFC 3339 time or a JSONata expression"));
                }
                WaitUntil::Timestamp(timestamp)
            }
            (Some(_), Some(_)) => return Err(self.error("Timestamp", "cannot stand beside Seconds")),
            (None, None) => return Err(self.error("Seconds", "is missing, and so is Timestamp")),
        };
        Ok(Wait { until, exit: self.exit(false)? })
    }

    fn choice(&self) -> Result<Choice, DefinitionError> {
        self.only(&["Choices", "Default", "Output", "Assign"])?;
        let rules = self.list("Choices", Self::rule)?;
        if rules.is_empty() {
            return Err(self.error("Choices", "is missing"));
        }
        let default = match self.fields.get("Default") {
            None => None,
            Some(_) => Some(self.target(self.fields, "", "Default")?),
        };
        Ok(Choice { rules, default, results: self.results(self.fields, "", self.plain())? })
    }

    fn rule(&self, fields: &Map<String, Value>, place: &str) -> Result<Rule, DefinitionError> {
        only(self, fields, place, &["Condition", "Next", "Output", "Assign"])?;
        let at = join(place, "Condition");
        let condition = template(self, fields, place, "Condition", self.plain())?
            .filter(|condition| condition.is_expression() || condition.constant().is_some_and(Value::is_boolean))
            .ok_or_else(|| self.error(&at, "must be a JSONata expression"))?;
        Ok(Rule {
            condition,
            results: self.results(fields, place, self.plain())?,
            next: self.target(fields, place, "Next")?,
        })
    }

    fn fail(&self) -> Result<Fail, DefinitionError> {
        self.only(&["Error", "Cause"])?;
        let read = |field: &str, most: usize| {
            let template = self.template(field, self.plain())?;
            let valid = template.as_ref().is_none_or(|template| match template.constant() {
                Some(value) => value.as_str().is_some_and(|text| text.chars().count() <= most),
                None => template.is_expression(),
            });
            if valid {
                Ok(template)
            } else {
                Err(self.error(field, format!("must be a string of at most {most} characters or an expression")))
            }
        };
        Ok(Fail { error: read("Error", ERROR_CHARACTERS)?, cause: read("Cause", CAUSE_CHARACTERS)? })
    }
}

fn join(place: &str, field: &str) -> String {
    if place.is_empty() { field.to_owned() } else { format!("{place}/{field}") }
}

fn only(reader: &Reader<'_>, fields: &Map<String, Value>, place: &str, known: &[&str]) -> Result<(), DefinitionError> {
    text(reader, fields, place, "Comment")?;
    match fields.keys().find(|field| *field != "Comment" && !known.contains(&field.as_str())) {
        Some(field) => Err(reader.error(&join(place, field), "is not a field that this engine supports here")),
        None => Ok(()),
    }
}

fn text<'a>(
    reader: &Reader<'_>,
    fields: &'a Map<String, Value>,
    place: &str,
    field: &str,
) -> Result<Option<&'a str>, DefinitionError> {
    match fields.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(reader.error(&join(place, field), "must be a string")),
    }
}

fn template(
    reader: &Reader<'_>,
    fields: &Map<String, Value>,
    place: &str,
    field: &str,
    available: Available<'_>,
) -> Result<Option<Template>, DefinitionError> {
    fields
        .get(field)
        .map(|value| Template::compile(&join(place, field), value, available))
        .transpose()
        .map_err(|(at, problem)| reader.error(&at, problem))
}

/// A time as the States Language takes it: RFC 3339 with an upper-case T and, for UTC, an upper-case Z.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let separated = text.as_bytes().get(10) == Some(&b'T');
    let zoned = text.ends_with('Z') || text.get(text.len().checked_sub(6)?..)?.starts_with(['+', '-']);
    if separated && zoned && text.is_ascii() { text.parse().ok() } else { None }
}
