//! Enters what the engine runs into the emulator's ledger, as `GetExecutionHistory` tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asl::{Event, EventKind, Observer, Place, StateKind, Status};
use emulator::step_functions::{ExecutionEnd, ExecutionLedger, HistoryEvent, StateType, TaskResource};
use serde_json::{Value, json};

use crate::world::Stage;

/// Keeps the histories of all executions, those that executions start among them, and lets the stage see every event.
pub(super) struct HistoryKeeper {
    ledger: ExecutionLedger,
    stage: Arc<dyn Stage>,
    /// Names of the state machines that Tasks may start.
    machines: Vec<&'static str>,
    open: Mutex<BTreeMap<OpenState, Open>>,
}

/// A state that was entered: the execution's ARN, the iterations and the state's name.
type OpenState = (String, Vec<usize>, String);

struct Open {
    kind: StateKind,
    resource: TaskResource,
    /// What it has set so far, as JSON text.
    assigned: BTreeMap<String, String>,
}

impl HistoryKeeper {
    pub(super) fn new(ledger: ExecutionLedger, stage: Arc<dyn Stage>, machines: Vec<&'static str>) -> Self {
        Self { ledger, stage, machines, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OpenState, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a Task calls, and its arguments.
    fn call(&self, name: &str, payload: &Value) -> (TaskResource, Value) {
        if self.machines.contains(&name) {
            let arn = self.ledger.state_machine_arn(name);
            return (TaskResource::StartExecution, json!({ "StateMachineArn": arn, "Input": payload }));
        }
        (TaskResource::Lambda, json!({ "FunctionName": name, "Payload": payload }))
    }

    /// Enters an execution that a Task has started. One that a caller started is in the ledger already.
    fn enter(&self, place: &Place<'_>, name: &str, input: &Value) {
        let machine = place.execution_arn.rsplit(':').nth(1).unwrap_or_default();
        if self.ledger.execution(place.execution_arn).is_none()
            && let Err(error) = self.ledger.started(machine, name, &input.to_string())
        {
            tracing::warn!(%error, execution = place.execution_arn, "an execution is not told of");
        }
    }

    fn enter_end(&self, arn: &str, end: ExecutionEnd) {
        self.lock().retain(|(execution, ..), _| execution != arn);
        // An execution that was stopped has ended already.
        let _ = self.ledger.ended(arn, end);
    }

    fn of(&self, place: &Place<'_>, kind: EventKind<'_>) -> Vec<HistoryEvent> {
        let key = |state: &str| (place.execution_arn.to_owned(), place.iterations.to_vec(), state.to_owned());
        let mut open = self.lock();
        match kind {
            EventKind::StateEntered { state, kind, input } => {
                let entered = Open { kind, resource: TaskResource::Lambda, assigned: BTreeMap::new() };
                open.insert(key(state), entered);
                let kind = type_of(kind);
                vec![HistoryEvent::StateEntered { kind, name: state.to_owned(), input: input.to_string() }]
            }
            EventKind::StateExited { state, output } => {
                let Some(Open { kind, assigned, .. }) = open.remove(&key(state)) else { return Vec::new() };
                let (kind, name, output) = (type_of(kind), state.to_owned(), output.to_string());
                vec![HistoryEvent::StateExited { kind, name, output, assigned }]
            }
            EventKind::Assigned { state, variable, value } => {
                if let Some(open) = open.get_mut(&key(state)) {
                    open.assigned.insert(variable.to_owned(), value.to_string());
                }
                Vec::new()
            }
            EventKind::TaskScheduled { state, function_name, payload, .. } => {
                let (resource, parameters) = self.call(function_name, payload);
                if let Some(open) = open.get_mut(&key(state)) {
                    open.resource = resource;
                }
                let parameters = parameters.to_string();
                vec![HistoryEvent::TaskScheduled { resource, parameters }, HistoryEvent::TaskStarted { resource }]
            }
            EventKind::TaskSucceeded { state, result, .. } => {
                let resource = open.get(&key(state)).map_or(TaskResource::Lambda, |open| open.resource);
                vec![HistoryEvent::TaskSucceeded { resource, output: result.to_string() }]
            }
            EventKind::TaskFailed { state, error, cause, .. } => match open.get(&key(state)) {
                Some(Open { kind: StateKind::Task, resource, .. }) if error == "States.Timeout" => {
                    vec![HistoryEvent::TaskTimedOut { resource: *resource, error: error.to_owned() }]
                }
                Some(Open { kind: StateKind::Task, resource, .. }) => {
                    let (error, cause) = (error.to_owned(), cause.to_owned());
                    vec![HistoryEvent::TaskFailed { resource: *resource, error, cause }]
                }
                _ => Vec::new(),
            },
            EventKind::ExecutionStarted { .. }
            | EventKind::ExecutionEnded { .. }
            | EventKind::Retry { .. }
            | EventKind::Caught { .. }
            | EventKind::Waiting { .. } => Vec::new(),
        }
    }
}

impl Observer for HistoryKeeper {
    fn observe(&self, event: &Event<'_>) {
        self.stage.observe(event);
    }

    fn observe_at(&self, place: &Place<'_>, event: &Event<'_>) {
        match event.kind {
            EventKind::ExecutionStarted { input, .. } => self.enter(place, event.execution, input),
            EventKind::ExecutionEnded { status, output, error, cause } => {
                self.enter_end(place.execution_arn, end_of(status, output, error, cause));
            }
            kind => {
                for what in self.of(place, kind) {
                    // Of an execution that was stopped nothing more is told.
                    let _ = self.ledger.happened(place.execution_arn, event.at, what);
                }
            }
        }
        self.observe(event);
    }
}

fn type_of(kind: StateKind) -> StateType {
    match kind {
        StateKind::Task => StateType::Task,
        StateKind::Wait => StateType::Wait,
        StateKind::Choice => StateType::Choice,
        StateKind::Pass => StateType::Pass,
        StateKind::Succeed => StateType::Succeed,
        StateKind::Fail => StateType::Fail,
        StateKind::Map => StateType::Map,
    }
}

fn end_of(status: Status, output: Option<&Value>, error: Option<&str>, cause: Option<&str>) -> ExecutionEnd {
    let (error, cause) = (error.map(str::to_owned), cause.map(str::to_owned));
    match status {
        Status::Succeeded => ExecutionEnd::Succeeded { output: output.map(ToString::to_string).unwrap_or_default() },
        Status::Failed => ExecutionEnd::Failed { error, cause },
        Status::TimedOut => ExecutionEnd::TimedOut,
        Status::Aborted => ExecutionEnd::Aborted { error, cause },
    }
}
