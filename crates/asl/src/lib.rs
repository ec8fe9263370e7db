//! Runs the project's Amazon States Language definitions in the process.

#[cfg(test)]
mod conformance;
mod definition;
mod engine;
mod evaluation;
mod events;
mod expression;
mod failure;
mod json;
pub mod lambda;
mod random;

pub use definition::{DefinitionError, StateKind, StateMachine};
pub use engine::{
    DATA_BYTES, Engine, ExecutionInput, ExecutionResult, HISTORY_EVENTS, Redrive, StartError, Status, Stop, TaskError,
    TaskHandler,
};
pub use events::{Event, EventKind, Observer, Unobserved};
