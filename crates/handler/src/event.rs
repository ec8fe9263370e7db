//! What the state machine hands to the Lambdas. Time comes with it: `now` is the moment when the state was entered, by
//! Step Functions' clock, so that all steps of an execution go by one clock.

use jiff::Timestamp;
use lifecycle::deployment::Deployment;
use serde::Deserialize;
use serde_json::Value;

/// The event of every step but the first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When the state was entered.
    pub now: Timestamp,
    /// The deployment as the step before left it.
    pub deployment: Deployment,
    /// How often the execution was redriven; steps that only look are not told.
    #[serde(default)]
    pub redrives: u64,
}

/// The event of take-turn, where an execution begins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// The execution's input: the request.
    pub input: Value,
    /// The execution.
    pub execution: Execution,
    /// The deployment, once it has asked before.
    #[serde(default)]
    pub deployment: Option<Deployment>,
    /// How often the execution was redriven.
    #[serde(default)]
    pub redrives: u64,
}

/// The event of submit-update, which sees the execution's input, too: the change itself travels in no document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmitEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// The execution's input: the request.
    pub input: Value,
    /// The execution.
    pub execution: Execution,
    /// The deployment as the step before left it.
    pub deployment: Deployment,
    /// How often the execution was redriven.
    #[serde(default)]
    pub redrives: u64,
}

/// The execution of the state machine.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
}
