//! What the demo hears of the executions, as values of its own that can be sent from the execution's task to whoever tells
//! it to people.

use std::time::Duration;

use asl::{Event, EventKind, StateKind, Status};
use jiff::Timestamp;
use lifecycle::deployment::Deployment;
use serde_json::Value;

use crate::scenario::Happening;

/// A piece of news.
#[derive(Debug, Clone)]
pub enum News {
    /// Of an execution.
    Execution {
        /// When, by the world's clock.
        at: Timestamp,
        /// Name of the execution.
        execution: String,
        /// What.
        what: What,
    },
    /// Of the world around.
    Happening {
        /// When, by the world's clock.
        at: Timestamp,
        /// What.
        what: Happening,
    },
}

/// What happened in an execution.
#[derive(Debug, Clone)]
pub enum What {
    /// It began.
    Started {
        /// With this input.
        input: Value,
        /// How often it has been redriven.
        redrives: u64,
    },
    /// A state was entered.
    Entered {
        /// Its name.
        state: String,
        /// Its type.
        kind: StateKind,
    },
    /// A Lambda answered.
    Answered {
        /// Name of the state that called it.
        state: String,
        /// What it answered; none if that is no deployment.
        deployment: Option<Box<Deployment>>,
    },
    /// A Lambda failed.
    Failed {
        /// Name of the state that called it.
        state: String,
        /// Name of the error.
        error: String,
    },
    /// A Lambda is called again.
    Retried {
        /// After so long.
        delay: Duration,
    },
    /// A wait began.
    Waits {
        /// Name of the state.
        state: String,
        /// When it will end.
        until: Timestamp,
    },
    /// It ended.
    Ended {
        /// How.
        status: Status,
        /// The report, or what stands in its place.
        report: Value,
        /// Name of the error, if it failed.
        error: Option<String>,
    },
}

impl News {
    /// The news in an event of the engine, if there are any.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let what = match event.kind {
            EventKind::ExecutionStarted { input, redrives } => What::Started { input: input.clone(), redrives },
            EventKind::StateEntered { state, kind, .. } => What::Entered { state: state.to_owned(), kind },
            EventKind::TaskSucceeded { state, result, .. } => What::Answered {
                state: state.to_owned(),
                deployment: serde_json::from_value(result["Payload"].clone()).ok().map(Box::new),
            },
            EventKind::TaskFailed { state, error, .. } => {
                What::Failed { state: state.to_owned(), error: error.to_owned() }
            }
            EventKind::Retry { delay, .. } => What::Retried { delay },
            EventKind::Waiting { state, until } => What::Waits { state: state.to_owned(), until },
            EventKind::ExecutionEnded { status, output, error, cause } => What::Ended {
                status,
                report: output
                    .cloned()
                    .or_else(|| cause.and_then(|cause| serde_json::from_str(cause).ok()))
                    .unwrap_or_default(),
                error: error.map(str::to_owned),
            },
            EventKind::TaskScheduled { .. }
            | EventKind::Caught { .. }
            | EventKind::Assigned { .. }
            | EventKind::StateExited { .. } => return None,
        };
        Some(Self::Execution { at: event.at, execution: event.execution.to_owned(), what })
    }
}
