//! The history of an execution as `GetExecutionHistory` tells it. Its beginning and its end the ledger knows by itself;
//! what happens in between, whoever runs the execution enters as [`HistoryEvent`]s, by
//! [`ExecutionLedger::happened`](super::ExecutionLedger::happened).
//!
//! Types and shapes are those of the service's model. Each event follows the one before it (`previousEventId`), those of a
//! Map's iterations too, which are told in the order in which they happened and without events of the Map's own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Execution, ExecutionEnd};
use crate::application::epoch_seconds;

/// Type of a state, as event types begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateType {
    /// Calls a function, or starts an execution.
    Task,
    /// Waits for a time.
    Wait,
    /// Branches.
    Choice,
    /// Shapes data.
    Pass,
    /// Ends the execution well.
    Succeed,
    /// Ends the execution badly. It is entered and never exited.
    Fail,
    /// Runs states for each of a list of items.
    Map,
}

impl StateType {
    fn name(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Wait => "Wait",
            Self::Choice => "Choice",
            Self::Pass => "Pass",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Map => "Map",
        }
    }
}

/// What a Task calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskResource {
    /// `arn:aws:states:::lambda:invoke`
    Lambda,
    /// `arn:aws:states:::states:startExecution.sync:2`
    StartExecution,
}

impl TaskResource {
    fn details(self) -> Value {
        match self {
            Self::Lambda => json!({ "resourceType": "lambda", "resource": "invoke" }),
            Self::StartExecution => json!({ "resourceType": "states", "resource": "startExecution.sync:2" }),
        }
    }
}

/// What happens between the beginning and the end of an execution. Inputs and outputs are JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEvent {
    /// `TaskStateEntered`, `WaitStateEntered` and so on.
    StateEntered {
        /// Type of the state.
        kind: StateType,
        /// Its name.
        name: String,
        /// Its input.
        input: String,
    },
    /// `TaskStateExited`, `WaitStateExited` and so on.
    StateExited {
        /// Type of the state.
        kind: StateType,
        /// Its name.
        name: String,
        /// Its output.
        output: String,
        /// The variables that it has set, by name, each as JSON text.
        assigned: BTreeMap<String, String>,
    },
    /// `TaskScheduled`
    TaskScheduled {
        /// What is called.
        resource: TaskResource,
        /// The Task's arguments.
        parameters: String,
    },
    /// `TaskStarted`
    TaskStarted {
        /// What is called.
        resource: TaskResource,
    },
    /// `TaskSucceeded`
    TaskSucceeded {
        /// What was called.
        resource: TaskResource,
        /// The result.
        output: String,
    },
    /// `TaskFailed`
    TaskFailed {
        /// What was called.
        resource: TaskResource,
        /// The error's name.
        error: String,
        /// Its cause.
        cause: String,
    },
    /// `TaskTimedOut`
    TaskTimedOut {
        /// What was called.
        resource: TaskResource,
        /// The error's name.
        error: String,
    },
}

/// What happened, and when.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) at: Timestamp,
    pub(super) what: Entry,
}

/// What the ledger keeps of an execution's history. The first beginning and the last end are in the execution itself.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Happened(HistoryEvent),
    /// An end that a redrive came after.
    Ended(ExecutionEnd),
    /// The number of the redrive, from 1.
    Redriven(u64),
}

/// Names of the machine and the region, which some events tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) region: &'a str,
    pub(super) role_arn: &'a str,
}

/// All events of an execution so far, as `GetExecutionHistory` writes them, the oldest first.
pub(super) fn events(execution: &Execution, recorded: &[Recorded], owner: Owner<'_>, with_data: bool) -> Vec<Value> {
    let mut events = Events { written: Vec::new(), open: BTreeMap::new(), owner, with_data };
    let mut details = json!({ "roleArn": owner.role_arn });
    events.data(&mut details, "input", &execution.input);
    events.push(execution.started, "ExecutionStarted", Some(("executionStartedEventDetails", details)));
    for Recorded { at, what } in recorded {
        match what {
            Entry::Happened(event) => events.happened(*at, event),
            Entry::Ended(end) => events.ended(*at, end),
            Entry::Redriven(number) => {
                let details = json!({ "redriveCount": number });
                events.push(*at, "ExecutionRedriven", Some(("executionRedrivenEventDetails", details)));
            }
        }
    }
    if let Some((at, end)) = &execution.ended {
        events.ended(*at, end);
    }
    events.written
}

struct Events<'a> {
    written: Vec<Value>,
    /// States that were entered and not exited, by name.
    open: BTreeMap<String, StateType>,
    owner: Owner<'a>,
    with_data: bool,
}

impl Events<'_> {
    fn push(&mut self, at: Timestamp, kind: impl Into<String>, details: Option<(&str, Value)>) {
        let id = self.written.len() + 1;
        // The first state, too, follows nothing: so it is in the service's own examples.
        let previous = if id <= 2 { 0 } else { id - 1 };
        let mut event = json!({
            "timestamp": epoch_seconds(at), "type": kind.into(), "id": id, "previousEventId": previous });
        if let Some((member, details)) = details {
            event[member] = details;
        }
        self.written.push(event);
    }

    /// Data that is told only where it is asked for, and whether it is all of it.
    fn data(&self, details: &mut Value, member: &str, text: &str) {
        if self.with_data {
            details[member] = json!(text);
            details[format!("{member}Details")] = json!({ "truncated": false });
        }
    }

    fn happened(&mut self, at: Timestamp, event: &HistoryEvent) {
        match event {
            HistoryEvent::StateEntered { kind, name, input } => {
                self.open.insert(name.clone(), *kind);
                let mut details = json!({ "name": name });
                self.data(&mut details, "input", input);
                self.push(at, format!("{}StateEntered", kind.name()), Some(("stateEnteredEventDetails", details)));
            }
            HistoryEvent::StateExited { kind, name, output, assigned } => {
                self.open.remove(name);
                let mut details = json!({ "name": name });
                self.data(&mut details, "output", output);
                if self.with_data && !assigned.is_empty() {
                    details["assignedVariables"] = json!(assigned);
                    details["assignedVariablesDetails"] = json!({ "truncated": false });
                }
                self.push(at, format!("{}StateExited", kind.name()), Some(("stateExitedEventDetails", details)));
            }
            HistoryEvent::TaskScheduled { resource, parameters } => {
                let mut details = resource.details();
                details["region"] = json!(self.owner.region);
                details["parameters"] = json!(if self.with_data { parameters } else { "" });
                self.push(at, "TaskScheduled", Some(("taskScheduledEventDetails", details)));
            }
            HistoryEvent::TaskStarted { resource } => {
                self.push(at, "TaskStarted", Some(("taskStartedEventDetails", resource.details())));
            }
            HistoryEvent::TaskSucceeded { resource, output } => {
                let mut details = resource.details();
                self.data(&mut details, "output", output);
                self.push(at, "TaskSucceeded", Some(("taskSucceededEventDetails", details)));
            }
            HistoryEvent::TaskFailed { resource, error, cause } => {
                let mut details = resource.details();
                details["error"] = json!(error);
                if self.with_data {
                    details["cause"] = json!(cause);
                }
                self.push(at, "TaskFailed", Some(("taskFailedEventDetails", details)));
            }
            HistoryEvent::TaskTimedOut { resource, error } => {
                let mut details = resource.details();
                details["error"] = json!(error);
                self.push(at, "TaskTimedOut", Some(("taskTimedOutEventDetails", details)));
            }
        }
    }

    fn ended(&mut self, at: Timestamp, end: &ExecutionEnd) {
        let failure = |error: &Option<String>, cause: &Option<String>| {
            let texts = [("error", error), ("cause", cause)];
            let told = texts.into_iter().filter_map(|(member, text)| Some((member.to_owned(), json!(text.as_ref()?))));
            Value::Object(told.collect::<Map<_, _>>())
        };
        match end {
            ExecutionEnd::Succeeded { output } => {
                let mut details = json!({});
                self.data(&mut details, "output", output);
                self.push(at, "ExecutionSucceeded", Some(("executionSucceededEventDetails", details)));
            }
            ExecutionEnd::Failed { error, cause } => {
                let details = failure(error, cause);
                self.push(at, "ExecutionFailed", Some(("executionFailedEventDetails", details)));
            }
            ExecutionEnd::TimedOut => {
                let details = json!({ "error": "States.Timeout" });
                self.push(at, "ExecutionTimedOut", Some(("executionTimedOutEventDetails", details)));
            }
            ExecutionEnd::Aborted { error, cause } => {
                let open = std::mem::take(&mut self.open);
                for kind in
                    open.into_values().filter(|kind| matches!(kind, StateType::Task | StateType::Wait | StateType::Map))
                {
                    self.push(at, format!("{}StateAborted", kind.name()), None);
                }
                let details = failure(error, cause);
                self.push(at, "ExecutionAborted", Some(("executionAbortedEventDetails", details)));
            }
        }
        self.open.clear();
    }
}
