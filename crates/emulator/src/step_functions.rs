//! Step Functions as its API shows it: `StartExecution`, `DescribeExecution`, `StopExecution`, `ListExecutions`,
//! `GetExecutionHistory`, `ListStateMachines` and `DescribeStateMachine` over a ledger of executions. Nothing is run here.
//! Whoever runs executions enters them by [`ExecutionLedger::started`], [`ExecutionLedger::happened`] and
//! [`ExecutionLedger::ended`], and learns from [`ExecutionLedger::listen`] what a caller started or stopped; without
//! anybody behind it the ledger answers all the same, and an execution runs until somebody stops it.
//!
//! The service is eventually consistent: under [`Effect::StaleRead`](crate::Effect::StaleRead) a description or a list
//! tells what was true so long ago, so that a young execution is not found yet and an ended one still runs.

mod history;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::application::epoch_seconds;
use crate::emulator::lock;
use crate::error::ServiceError;
use crate::wire::{HttpResponse, Protocol, STEP_FUNCTIONS, error_answer, json10_answer};
use history::{Entry, Owner, Recorded};

pub use history::{HistoryEvent, StateType, TaskResource};

/// Longest name of an execution, in characters.
const LONGEST_NAME: usize = 80;
/// Longest input, in bytes.
const LONGEST_INPUT: usize = 262_144;
/// Entries of one page of a list if nothing is asked for, and the most that can be.
const PAGE: usize = 100;
const LARGEST_PAGE: u64 = 1_000;
/// The definition of a state machine that was given none.
const NO_DEFINITION: &str = r#"{"StartAt":"Undefined","States":{"Undefined":{"Type":"Pass","End":true}}}"#;
/// How long after its end an execution's name stays taken.
const NAME_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// `ExecutionStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// `RUNNING`
    Running,
    /// `SUCCEEDED`
    Succeeded,
    /// `FAILED`
    Failed,
    /// `TIMED_OUT`
    TimedOut,
    /// `ABORTED`
    Aborted,
}

impl ExecutionStatus {
    const ALL: [Self; 5] = [Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted];

    /// The status as the service writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionEnd {
    /// SUCCEEDED.
    Succeeded {
        /// Its output, as JSON text.
        output: String,
    },
    /// FAILED.
    Failed {
        /// Its error's name.
        error: Option<String>,
        /// Its cause.
        cause: Option<String>,
    },
    /// TIMED_OUT: the time-out of the state machine itself.
    TimedOut,
    /// ABORTED.
    Aborted {
        /// The error's name that was given.
        error: Option<String>,
        /// The cause that was given.
        cause: Option<String>,
    },
}

impl ExecutionEnd {
    fn status(&self) -> ExecutionStatus {
        match self {
            Self::Succeeded { .. } => ExecutionStatus::Succeeded,
            Self::Failed { .. } => ExecutionStatus::Failed,
            Self::TimedOut => ExecutionStatus::TimedOut,
            Self::Aborted { .. } => ExecutionStatus::Aborted,
        }
    }
}

/// An execution as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// ARN of its state machine.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// Its input, as JSON text.
    pub input: String,
    /// When it started.
    pub started: Timestamp,
    /// When and how it ended; none while it runs.
    pub ended: Option<(Timestamp, ExecutionEnd)>,
}

impl Execution {
    /// Its status.
    pub fn status(&self) -> ExecutionStatus {
        self.ended.as_ref().map_or(ExecutionStatus::Running, |(_, end)| end.status())
    }

    /// What it was at a moment; none before it started.
    fn as_it_was(&self, moment: Timestamp) -> Option<Self> {
        let ended = self.ended.clone().filter(|(at, _)| *at <= moment);
        (self.started <= moment).then(|| Self { ended, ..self.clone() })
    }

    /// What lists and descriptions have in common.
    fn summary(&self) -> Value {
        let mut summary = json!({
            "executionArn": self.arn,
            "stateMachineArn": self.state_machine_arn,
            "name": self.name,
            "status": self.status().name(),
            "startDate": epoch_seconds(self.started),
            "redriveCount": 0,
        });
        if let Some((stopped, _)) = &self.ended {
            summary["stopDate"] = epoch_seconds(*stopped);
        }
        summary
    }

    fn description(&self, with_data: bool) -> Value {
        let mut described = self.summary();
        let redrivable =
            matches!(self.status(), ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted);
        described["redriveStatus"] = json!(if redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" });
        if !redrivable {
            let running = "Execution is RUNNING and cannot be redriven";
            let succeeded = "Execution is SUCCEEDED and cannot be redriven";
            let reason = if self.ended.is_none() { running } else { succeeded };
            described["redriveStatusReason"] = json!(reason);
        }
        let mut data = |field: &str, text: &str| {
            if with_data {
                described[field] = json!(text);
            }
            described[format!("{field}Details")] = json!({ "included": with_data });
        };
        data("input", &self.input);
        match &self.ended {
            Some((_, ExecutionEnd::Succeeded { output })) => data("output", output),
            Some((_, ExecutionEnd::Failed { error, cause } | ExecutionEnd::Aborted { error, cause })) if with_data => {
                for (field, text) in [("error", error), ("cause", cause)] {
                    if let Some(text) = text {
                        described[field] = json!(text);
                    }
                }
            }
            _ => {}
        }
        described
    }
}

/// What a caller of the API did to an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionEvent {
    /// `StartExecution` began it.
    Started(Execution),
    /// `StopExecution` ended it.
    Stopped(Execution),
}

/// Why the ledger does not take an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// What `StartExecution` would have answered.
    #[error("{code}: {message}")]
    Refused {
        /// Such as `ExecutionAlreadyExists`.
        code: String,
        /// What it says.
        message: String,
    },
    /// There is no such execution.
    #[error("there is no execution {0}")]
    NoExecution(String),
    /// It has ended before, in this status.
    #[error("the execution has ended before: {}", .0.name())]
    Ended(ExecutionStatus),
}

/// A state machine.
struct Machine {
    created: Timestamp,
    /// In the States Language; none where nobody has given one.
    definition: Option<String>,
}

#[derive(Default)]
struct State {
    /// By name.
    machines: BTreeMap<String, Machine>,
    /// In the order of their starts.
    executions: Vec<Execution>,
    /// Place in `executions` of the newest execution of an ARN.
    by_arn: BTreeMap<String, usize>,
    /// What happened in the execution at a place in `executions`, in order.
    histories: BTreeMap<usize, Vec<Recorded>>,
    listeners: Vec<UnboundedSender<ExecutionEvent>>,
}

/// Step Functions' executions. Clones are the same ledger.
#[derive(Clone)]
pub struct ExecutionLedger {
    clock: Clock,
    region: String,
    account: String,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for ExecutionLedger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ExecutionLedger").finish_non_exhaustive()
    }
}

type Answer = Result<Value, ServiceError>;

fn refused(code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(code, message.into())
}

fn invalid(message: impl Into<String>) -> ServiceError {
    refused("ValidationException", message)
}

impl ExecutionLedger {
    pub(crate) fn new(clock: &Clock, region: &str, account: &str, state_machines: &[String]) -> Self {
        let (region, account) = (region.to_owned(), account.to_owned());
        let machine = |name: &String| (name.clone(), Machine { created: clock.now(), definition: None });
        let state = State { machines: state_machines.iter().map(machine).collect(), ..State::default() };
        Self { clock: clock.clone(), region, account, state: Arc::new(Mutex::new(state)) }
    }

    /// Lets there be a state machine of this name; returns its ARN.
    pub fn add_state_machine(&self, name: &str) -> String {
        self.enter_machine(name, None)
    }

    /// Lets there be a state machine of this name with this definition, in the States Language, which is shown to those who
    /// ask and not read; returns its ARN.
    pub fn define_state_machine(&self, name: &str, definition: &str) -> String {
        self.enter_machine(name, Some(definition))
    }

    fn enter_machine(&self, name: &str, definition: Option<&str>) -> String {
        let mut state = lock(&self.state);
        let machine = Machine { created: self.clock.now(), definition: None };
        let machine = state.machines.entry(name.to_owned()).or_insert(machine);
        if let Some(definition) = definition {
            machine.definition = Some(definition.to_owned());
        }
        self.state_machine_arn(name)
    }

    /// The ARN of a state machine of this name.
    pub fn state_machine_arn(&self, name: &str) -> String {
        format!("arn:aws:states:{}:{}:stateMachine:{name}", self.region, self.account)
    }

    /// The ARN of an execution of this name.
    pub fn execution_arn(&self, state_machine: &str, name: &str) -> String {
        format!("arn:aws:states:{}:{}:execution:{state_machine}:{name}", self.region, self.account)
    }

    /// Enters an execution that begins now, by the rules of `StartExecution`. Listeners are not told.
    pub fn started(&self, state_machine: &str, name: &str, input: &str) -> Result<Execution, LedgerError> {
        let begun = self.begin(&self.state_machine_arn(state_machine), name, input);
        begun
            .map(|(execution, _)| execution)
            .map_err(|error| LedgerError::Refused { code: error.code.to_owned(), message: error.message })
    }

    /// Enters what happened in an execution at this moment, for its history. Its beginning and its end enter themselves.
    pub fn happened(&self, arn: &str, at: Timestamp, event: HistoryEvent) -> Result<(), LedgerError> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let found = state.by_arn.get(arn).and_then(|place| Some((*place, state.executions.get(*place)?)));
        let (place, execution) = found.ok_or_else(|| LedgerError::NoExecution(arn.to_owned()))?;
        if execution.ended.is_some() {
            return Err(LedgerError::Ended(execution.status()));
        }
        state.histories.entry(place).or_default().push(Recorded { at, what: Entry::Happened(event) });
        Ok(())
    }

    /// Enters that an execution ended now. Listeners are not told.
    pub fn ended(&self, arn: &str, end: ExecutionEnd) -> Result<Execution, LedgerError> {
        self.change(arn, |execution, _| {
            if execution.ended.is_some() {
                return Err(LedgerError::Ended(execution.status()));
            }
            execution.ended = Some((self.clock.now(), end));
            Ok(())
        })
    }

    /// Enters that an execution that did not succeed was redriven, and runs again.
    pub fn redriven(&self, arn: &str) -> Result<Execution, LedgerError> {
        self.change(arn, |execution, history| {
            if matches!(execution.status(), ExecutionStatus::Running | ExecutionStatus::Succeeded) {
                return Err(LedgerError::Refused {
                    code: "ExecutionNotRedrivable".to_owned(),
                    message: format!("the execution is {}", execution.status().name()),
                });
            }
            let redrives = history.iter().filter(|entry| matches!(entry.what, Entry::Redriven(_))).count();
            let number = u64::try_from(redrives).unwrap_or(u64::MAX).saturating_add(1);
            let ended = execution.ended.take().map(|(at, end)| Recorded { at, what: Entry::Ended(end) });
            history.extend(ended);
            history.push(Recorded { at: self.clock.now(), what: Entry::Redriven(number) });
            Ok(())
        })
    }

    /// Changes an execution, and answers it as it is then.
    fn change(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Execution, &mut Vec<Recorded>) -> Result<(), LedgerError>,
    ) -> Result<Execution, LedgerError> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let found = state.by_arn.get(arn).and_then(|place| Some((*place, state.executions.get_mut(*place)?)));
        let (place, execution) = found.ok_or_else(|| LedgerError::NoExecution(arn.to_owned()))?;
        change(execution, state.histories.entry(place).or_default())?;
        Ok(execution.clone())
    }

    /// An execution; of several that had the ARN one after the other, the newest.
    pub fn execution(&self, arn: &str) -> Option<Execution> {
        let state = lock(&self.state);
        state.by_arn.get(arn).and_then(|place| state.executions.get(*place)).cloned()
    }

    /// All executions, the oldest first.
    pub fn executions(&self) -> Vec<Execution> {
        lock(&self.state).executions.clone()
    }

    /// What callers start and stop from now on, in that order.
    pub fn listen(&self) -> UnboundedReceiver<ExecutionEvent> {
        let (sender, receiver) = unbounded_channel();
        lock(&self.state).listeners.push(sender);
        receiver
    }

    /// Answers a call. `age` is how old what a read tells is to be.
    pub(crate) fn handle(&self, operation: &str, body: &Value, age: Option<Duration>) -> HttpResponse {
        let answer = match body.as_object() {
            Some(request) => self.answer(operation, request, age),
            None => Err(ServiceError::serialization("the body is not a JSON object".to_owned())),
        };
        match answer {
            Ok(answer) => json10_answer(StatusCode::OK, &answer),
            Err(error) => error_answer(Protocol::Json10(STEP_FUNCTIONS), 400, error.code, &error.message),
        }
    }

    fn answer(&self, operation: &str, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        match operation {
            "StartExecution" => self.start(request),
            "DescribeExecution" => self.describe(request, age),
            "StopExecution" => self.stop(request),
            "ListExecutions" => self.list(request, age),
            "GetExecutionHistory" => self.history(request, age),
            "ListStateMachines" => self.list_machines(request),
            "DescribeStateMachine" => self.describe_machine(request),
            other => Err(ServiceError::unknown_operation(other)),
        }
    }

    fn start(&self, request: &Map<String, Value>) -> Answer {
        only(request, "StartExecution", &["stateMachineArn", "name", "input", "traceHeader"])?;
        let arn = arn_of(request, "stateMachineArn", "stateMachine", 7)?;
        let name = match text_of(request, "name")? {
            Some(name) => name.to_owned(),
            None => self.fresh_name(arn),
        };
        let (execution, is_new) = self.begin(arn, &name, text_of(request, "input")?.unwrap_or("{}"))?;
        let answer = json!({ "executionArn": execution.arn, "startDate": epoch_seconds(execution.started) });
        if is_new {
            self.tell(&ExecutionEvent::Started(execution));
        }
        Ok(answer)
    }

    /// Begins an execution, or finds the one that already is what is wanted; says which.
    fn begin(&self, state_machine_arn: &str, name: &str, input: &str) -> Result<(Execution, bool), ServiceError> {
        check_name(name)?;
        if input.len() > LONGEST_INPUT {
            return Err(invalid(format!(
                "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length \
                 less than or equal to {LONGEST_INPUT}"
            )));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(input) {
            return Err(refused("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'")));
        }
        let mut state = lock(&self.state);
        // Under the lock, so that executions are in order whatever thread gets there first.
        let now = self.clock.now();
        let state_machine = state.machines.keys().find(|it| self.state_machine_arn(it) == state_machine_arn);
        let state_machine = state_machine.ok_or_else(|| no_state_machine(state_machine_arn))?;
        let arn = self.execution_arn(state_machine, name);
        let earlier = state.by_arn.get(&arn).and_then(|place| state.executions.get(*place));
        match earlier {
            Some(same) if same.ended.is_none() && same.input == input => return Ok((same.clone(), false)),
            Some(earlier) if earlier.ended.as_ref().is_none_or(|(at, _)| now.duration_since(*at) < NAME_KEPT) => {
                return Err(refused("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'")));
            }
            _ => {}
        }
        let execution = Execution {
            arn: arn.clone(),
            state_machine_arn: state_machine_arn.to_owned(),
            name: name.to_owned(),
            input: input.to_owned(),
            started: now,
            ended: None,
        };
        let place = state.executions.len();
        state.by_arn.insert(arn, place);
        state.executions.push(execution.clone());
        Ok((execution, true))
    }

    /// A name for an execution that was given none.
    fn fresh_name(&self, state_machine_arn: &str) -> String {
        let count = lock(&self.state).executions.len();
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{state_machine_arn} {count}").as_bytes()).to_string()
    }

    fn describe(&self, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        only(request, "DescribeExecution", &["executionArn", "includedData"])?;
        let with_data = included_data(request)?;
        let arn = arn_of(request, "executionArn", "execution", 8)?;
        let moment = self.moment(age);
        let found = self.execution(arn).and_then(|execution| execution.as_it_was(moment));
        found.map(|execution| execution.description(with_data)).ok_or_else(|| no_execution(arn))
    }

    fn stop(&self, request: &Map<String, Value>) -> Answer {
        only(request, "StopExecution", &["executionArn", "error", "cause"])?;
        let arn = arn_of(request, "executionArn", "execution", 8)?;
        let text = |field| text_of(request, field).map(|text| text.map(str::to_owned));
        let (error, cause) = (text("error")?, text("cause")?);
        let is_too_long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.len() > most);
        if is_too_long(&error, 256) || is_too_long(&cause, 32_768) {
            return Err(invalid("error has at most 256 characters, cause at most 32768"));
        }
        match self.ended(arn, ExecutionEnd::Aborted { error, cause }) {
            Ok(execution) => self.tell(&ExecutionEvent::Stopped(execution)),
            // An execution that has ended is answered like one that ends now, with the date of its own end.
            Err(LedgerError::Ended(_)) => {}
            Err(_) => return Err(no_execution(arn)),
        }
        let stopped = self.execution(arn).and_then(|execution| execution.ended).map(|(at, _)| epoch_seconds(at));
        Ok(json!({ "stopDate": stopped }))
    }

    fn list(&self, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        only(request, "ListExecutions", &["stateMachineArn", "statusFilter", "maxResults", "nextToken"])?;
        let arn = arn_of(request, "stateMachineArn", "stateMachine", 7)?;
        let status = match text_of(request, "statusFilter")? {
            None => None,
            Some(name) => {
                let known = ExecutionStatus::ALL.into_iter().find(|status| status.name() == name);
                Some(known.ok_or_else(|| invalid("statusFilter is not one of the statuses of an execution"))?)
            }
        };
        let limit = page_size(request)?;
        let state = lock(&self.state);
        if !state.machines.keys().any(|it| self.state_machine_arn(it) == arn) {
            return Err(no_state_machine(arn));
        }
        let count = state.executions.len();
        let below = place_of_token(request, "before-")?.unwrap_or(count);
        if below > count {
            return Err(invalid_token(request));
        }
        let moment = self.moment(age);
        let mut found = state
            .executions
            .iter()
            .enumerate()
            .take(below)
            .rev()
            .filter(|(_, execution)| execution.state_machine_arn == arn)
            .filter_map(|(place, execution)| Some((place, execution.as_it_was(moment)?)))
            .filter(|(_, execution)| status.is_none_or(|status| execution.status() == status));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let next = found.next().and(page.last()).map(|(place, _)| format!("before-{place}"));
        let mut answer =
            json!({ "executions": page.iter().map(|(_, execution)| execution.summary()).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["nextToken"] = json!(next);
        }
        Ok(answer)
    }

    fn history(&self, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        let members = ["executionArn", "maxResults", "reverseOrder", "nextToken", "includeExecutionData"];
        only(request, "GetExecutionHistory", &members)?;
        let arn = arn_of(request, "executionArn", "execution", 8)?;
        let is_reversed = flag_of(request, "reverseOrder")?.unwrap_or(false);
        let with_data = flag_of(request, "includeExecutionData")?.unwrap_or(true);
        let limit = page_size(request)?;
        let order = if is_reversed { "below-" } else { "above-" };
        let moment = self.moment(age);
        let mut events = {
            let state = lock(&self.state);
            let place = state.by_arn.get(arn).copied();
            let execution = place.and_then(|place| state.executions.get(place));
            let execution = execution.and_then(|execution| execution.as_it_was(moment));
            let execution = execution.ok_or_else(|| no_execution(arn))?;
            let recorded = place.and_then(|place| state.histories.get(&place)).map_or(&[][..], Vec::as_slice);
            let seen = recorded.partition_point(|entry| entry.at <= moment);
            let machine = execution.state_machine_arn.rsplit(':').next().unwrap_or_default();
            let owner = Owner { region: &self.region, role_arn: &self.role_arn(machine) };
            history::events(&execution, recorded.get(..seen).unwrap_or_default(), owner, with_data)
        };
        if is_reversed {
            events.reverse();
        }
        let count = events.len();
        // Of the newest first, a token names how many there are from the oldest on, since newer ones may have come.
        let from = match place_of_token(request, order)? {
            None => 0,
            Some(place) if place > count => return Err(invalid_token(request)),
            Some(place) if is_reversed => count - place,
            Some(place) => place,
        };
        let page: Vec<_> = events.into_iter().skip(from).take(limit).collect();
        let reached = from + page.len();
        let mut answer = json!({ "events": page });
        if reached < count {
            let place = if is_reversed { count - reached } else { reached };
            answer["nextToken"] = json!(format!("{order}{place}"));
        }
        Ok(answer)
    }

    fn list_machines(&self, request: &Map<String, Value>) -> Answer {
        only(request, "ListStateMachines", &["maxResults", "nextToken"])?;
        let limit = page_size(request)?;
        let state = lock(&self.state);
        let from = place_of_token(request, "from-")?.unwrap_or_default();
        if from > state.machines.len() {
            return Err(invalid_token(request));
        }
        let page = state.machines.iter().skip(from).take(limit).map(|(name, machine)| self.shown(name, machine));
        let page: Vec<_> = page.collect();
        let reached = from + page.len();
        let mut answer = json!({ "stateMachines": page });
        if reached < state.machines.len() {
            answer["nextToken"] = json!(format!("from-{reached}"));
        }
        Ok(answer)
    }

    fn describe_machine(&self, request: &Map<String, Value>) -> Answer {
        only(request, "DescribeStateMachine", &["stateMachineArn", "includedData"])?;
        let with_data = included_data(request)?;
        let arn = arn_of(request, "stateMachineArn", "stateMachine", 7)?;
        let state = lock(&self.state);
        let found = state.machines.iter().find(|(name, _)| self.state_machine_arn(name) == arn);
        let (name, machine) = found.ok_or_else(|| no_state_machine(arn))?;
        let mut described = self.shown(name, machine);
        let more = json!({
            "status": "ACTIVE",
            "roleArn": self.role_arn(name),
            "loggingConfiguration": { "level": "OFF", "includeExecutionData": false },
            "tracingConfiguration": { "enabled": false },
            "encryptionConfiguration": { "type": "AWS_OWNED_KEY" },
        });
        if let (Some(described), Value::Object(more)) = (described.as_object_mut(), more) {
            described.extend(more);
        }
        if with_data {
            described["definition"] = json!(machine.definition.as_deref().unwrap_or(NO_DEFINITION));
        }
        Ok(described)
    }

    /// What lists and descriptions of state machines have in common.
    fn shown(&self, name: &str, machine: &Machine) -> Value {
        json!({
            "stateMachineArn": self.state_machine_arn(name),
            "name": name,
            "type": "STANDARD",
            "creationDate": epoch_seconds(machine.created),
        })
    }

    fn role_arn(&self, state_machine: &str) -> String {
        format!("arn:aws:iam::{}:role/{state_machine}", self.account)
    }

    /// The moment of which a read tells.
    fn moment(&self, age: Option<Duration>) -> Timestamp {
        let age = SignedDuration::try_from(age.unwrap_or_default()).unwrap_or(SignedDuration::MAX);
        self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// Tells those who still listen.
    fn tell(&self, event: &ExecutionEvent) {
        lock(&self.state).listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }
}

fn no_execution(arn: &str) -> ServiceError {
    refused("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

fn no_state_machine(arn: &str) -> ServiceError {
    refused("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
}

fn invalid_token(request: &Map<String, Value>) -> ServiceError {
    let token = request.get("nextToken").and_then(Value::as_str).unwrap_or_default();
    refused("InvalidToken", format!("Invalid Token: '{token}'"))
}

/// How many entries a page may have.
fn page_size(request: &Map<String, Value>) -> Result<usize, ServiceError> {
    let limit = match request.get("maxResults") {
        None | Some(Value::Null) => Some(0),
        Some(value) => value.as_u64().filter(|most| *most <= LARGEST_PAGE),
    };
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.ok_or_else(|| invalid(format!("maxResults is 0 to {LARGEST_PAGE}")))?;
    Ok(if limit == 0 { PAGE } else { limit })
}

/// The place that a token of this kind names; none where there is no token.
fn place_of_token(request: &Map<String, Value>, kind: &str) -> Result<Option<usize>, ServiceError> {
    let Some(token) = text_of(request, "nextToken")? else { return Ok(None) };
    let place = token.strip_prefix(kind).and_then(|number| number.parse().ok());
    place.map(Some).ok_or_else(|| invalid_token(request))
}

/// Whether inputs, outputs and definitions are asked for.
fn included_data(request: &Map<String, Value>) -> Result<bool, ServiceError> {
    match text_of(request, "includedData")? {
        None | Some("ALL_DATA") => Ok(true),
        Some("METADATA_ONLY") => Ok(false),
        Some(_) => Err(invalid("includedData is ALL_DATA or METADATA_ONLY")),
    }
}

/// Refuses whatever a request asks for beside these fields.
fn only(request: &Map<String, Value>, operation: &str, fields: &[&str]) -> Result<(), ServiceError> {
    let other = request.iter().find(|(field, value)| !value.is_null() && !fields.contains(&field.as_str()));
    match other {
        None => Ok(()),
        Some((field, _)) => Err(invalid(format!("the emulator does not carry {field} of {operation}"))),
    }
}

fn text_of<'a>(request: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, ServiceError> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ServiceError::serialization(format!("{field} is a string"))),
    }
}

fn flag_of(request: &Map<String, Value>, field: &str) -> Result<Option<bool>, ServiceError> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ServiceError::serialization(format!("{field} is true or false"))),
    }
}

/// A field that is an ARN of this kind, with so many parts.
fn arn_of<'a>(request: &'a Map<String, Value>, field: &str, kind: &str, parts: usize) -> Result<&'a str, ServiceError> {
    let arn = text_of(request, field)?.ok_or_else(|| {
        invalid(format!("1 validation error detected: Value null at '{field}' failed to satisfy constraint"))
    })?;
    let found: Vec<_> = arn.split(':').collect();
    let fits = found.len() == parts
        && found.iter().enumerate().all(|(place, part)| match place {
            0 => *part == "arn",
            2 => *part == "states",
            5 => *part == kind,
            _ => !part.is_empty(),
        });
    if fits { Ok(arn) } else { Err(refused("InvalidArn", format!("Invalid Arn: '{arn}'"))) }
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must have length \
             from 1 to {LONGEST_NAME}"
        )));
    }
    let forbidden = |it: char| {
        it.is_whitespace()
            || it.is_control()
            || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(it)
            || ('\u{fffe}'..='\u{ffff}').contains(&it)
    };
    if name.chars().any(forbidden) { Err(refused("InvalidName", format!("Invalid Name: '{name}'"))) } else { Ok(()) }
}
