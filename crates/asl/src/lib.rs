//! Runs the project's Amazon States Language definitions in the process: in virtual time for the scenarios, on a fast
//! clock for the demo. It is not for production. What it supports it does as the States Language specification and AWS
//! Step Functions (Standard workflows) do; everything else in a definition is refused when it is read, by name.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//! use asl::{Engine, ExecutionInput, StateMachine, Status, TaskError, TaskHandler, Unobserved};
//! use serde_json::{Value, json};
//!
//! struct Echo;
//! #[async_trait::async_trait]
//! impl TaskHandler for Echo {
//!     async fn invoke(&self, _function_name: &str, payload: Value) -> Result<Value, TaskError> {
//!         Ok(payload)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let definition = r#"{
//!   "QueryLanguage": "JSONata", "StartAt": "Night", "States": {
//!     "Night": { "Type": "Wait", "Seconds": 28800, "Next": "Greet" },
//!     "Greet": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
//!       "Arguments": { "FunctionName": "${Echo}", "Payload": "{% 'good morning, ' & $states.input.name %}" },
//!       "Output": "{% $states.result.Payload %}", "End": true } } }"#;
//! let machine = StateMachine::parse(definition, &BTreeMap::from([("Echo".to_owned(), "echo".to_owned())]))?;
//! let clock = clock::Clock::starting_at(jiff::Timestamp::UNIX_EPOCH, 1);
//! let engine = Engine::new(clock, Arc::new(Echo), Arc::new(Unobserved), 1);
//! let input = ExecutionInput { name: "first".to_owned(), input: json!({ "name": "Ada" }) };
//! let result = engine.run(&machine, input).await?;
//! assert_eq!((result.status, result.output), (Status::Succeeded, Some(json!("good morning, Ada"))));
//! # Ok(())
//! # }
//! ```
//!
//! # What is covered
//!
//! | of a definition | supported | refused |
//! |---|---|---|
//! | top level | `Comment`, `QueryLanguage` (`JSONata`, required), `StartAt`, `States`, `TimeoutSeconds`, `Version` | all else; a field given twice; an unreachable state; a state without a path to an end; 1 MiB |
//! | any state | `Type`, `Comment`, `QueryLanguage` (`JSONata`); names of at most 80 characters | the fields of `JSONPath` |
//! | Task | `Resource` (`arn:aws:states:::lambda:invoke` or `arn:aws:states:::states:startExecution.sync:2`), `Arguments` (exactly `FunctionName`, `Payload`; or `StateMachineArn` and, as needed, `Input`, `Name`), `TimeoutSeconds`, `Retry`, `Catch`, `Output`, `Assign`, `Next`/`End` | other resources, heartbeats, credentials |
//! | Map | `Items`, `ItemSelector`, `ItemProcessor` (`ProcessorConfig` with `Mode` `INLINE`, `StartAt`, `States`), `MaxConcurrency`, `Retry`, `Catch`, `Output`, `Assign`, `Next`/`End` | the mode `DISTRIBUTED` and its fields (`ToleratedFailureCount`, `ItemReader`, …); a name that another state has; a variable of the states around it, set in it |
//! | `Retry` | `ErrorEquals`, `IntervalSeconds` (1), `MaxAttempts` (3), `BackoffRate` (2.0), `MaxDelaySeconds`, `JitterStrategy` | reserved names that do not exist; `States.ALL` not alone or not last |
//! | `Catch` | `ErrorEquals`, `Next`, `Output`, `Assign` | the same |
//! | Wait | `Seconds` or `Timestamp`, `Output`, `Assign`, `Next`/`End` | both or neither |
//! | Choice | `Choices` (`Condition`, `Next`, `Output`, `Assign`), `Default`; `Output` and `Assign` for the default | `Next` |
//! | Pass, Succeed | `Output`; a Pass also `Assign` and `Next`/`End` | |
//! | Fail | `Error`, `Cause` | texts over 256 and 32,768 characters |
//! | expressions | `$states.input`, `.result`, `.errorOutput`, `.context` where each exists; variables of the same level and of those around it; the built-in functions; `$hash` (SHA-2), `$parse`, `$partition`, `$random`, `$range`, `$uuid` | `$$`, and `$` or a field at the top level; `??` and `?:` (the service has `JSONata` 2.0.6); `$eval`, `$shuffle`; unknown functions, variables that nothing sets, and parts of `$states` that are not there |
//! | Parallel | | yes |
//!
//! | of an execution | |
//! |---|---|
//! | `$states.result` of a Task | `Payload`, `StatusCode` (200), `ExecutedVersion` (`$LATEST`); no SDK metadata. Of one that starts an execution, what `DescribeExecution` answers, with `Input` and `Output` as JSON and dates in milliseconds |
//! | an execution that a Task starts | of the machine that [`StateMachines`] finds; the one of the same name and input that runs is joined; failing, it fails the Task with `States.TaskFailed` and its description as the cause; a Task that ends early stops what it has started; `StepFunctions.ExecutionAlreadyExistsException`, `…StateMachineDoesNotExistException`, `…InvalidNameException`, `…InvalidExecutionInputException` |
//! | a Map | at most 40 iterations beside each other; results in the items' order; the first iteration that fails fails the Map under its own error and stops the others; a retry does all items again, a redrive goes on with the iterations that had not succeeded |
//! | `$states.context` | `Execution` (`Id`, `Input`, `Name`, `RedriveCount`, `RoleArn`, `StartTime`), `State` (`EnteredTime`, `Name`, `RetryCount`), `StateMachine` (`Id`, `Name`), `Map.Item` (`Index`, `Value`) |
//! | errors | the function's own names, `States.Timeout`, `States.QueryEvaluationError`, `States.NoChoiceMatched`, `States.DataLimitExceeded`, `States.Runtime`; `States.ALL` does not match the last two, `States.TaskFailed` not the last two nor a time-out, and nothing matches `States.Runtime` |
//! | limits | 262,144 bytes of data and of an Assign, 10 MiB of variables (counted in each iteration, with those around it), 25,000 events (those of all iterations together), one year, names of 80 characters |
//! | names | taken for ever in one record of [`Executions`], which also tells how each execution stands and takes orders to stop |
//! | time | `TimeoutSeconds` of a Task for each attempt; that of the definition is not caught and begins anew with a redrive |
//!
//! # Where it differs
//!
//! - An expression that gives an infinite number fails its state; the service writes the string `"Infinity"`.
//! - Expressions compute with `f64`: integers beyond 2^53 lose digits in them (not where they are only handed on).
//! - The service's limits on an expression's own depth, memory and time are not there, but data may nest 200 levels deep
//!   at most.
//! - Too long texts that a Fail computes end the execution with `States.Runtime`: what the service does is not documented.
//! - The result of an execution that timed out names `States.Timeout`; the service says so in the history only.
//! - A redrive enters the state again, in the observer's eyes, where the service goes on in it.
//! - An observer sees a Map that fails as a Task that fails, and a Task that starts an execution as one that calls a function
//!   of the state machine's name; which events are whose iteration's, [`Place`] tells.
//! - An iteration that is stopped counts two events, its state's and its own. That the service writes both is not documented.
//! - A redriven Task that starts an execution calls `StartExecution` again, so that a fixed name is taken. What the service
//!   does is not documented.

#[cfg(test)]
mod conformance;
mod definition;
mod engine;
mod evaluation;
mod events;
mod executions;
mod expression;
mod failure;
mod json;
pub mod lambda;
mod map;
mod nested;
mod random;
mod run;

pub use definition::{DefinitionError, StateKind, StateMachine};
pub use engine::{
    DATA_BYTES, Engine, ExecutionInput, ExecutionResult, HISTORY_EVENTS, Redrive, StartError, Status, Stop, TaskError,
    TaskHandler,
};
pub use events::{Event, EventKind, Observer, Place, Unobserved};
pub use executions::{Execution, Executions};
pub use nested::{Startable, StateMachines};
