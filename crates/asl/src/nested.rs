//! Tasks that start an execution and wait until it has ended (`startExecution.sync:2`): finding the state machine, the errors
//! of `StartExecution`, and the result and the cause, which are what `DescribeExecution` answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::definition::StateMachine;
use crate::engine::{Engine, ExecutionInput, Status};
use crate::executions::Execution;
use crate::failure::{Failure, TASK_FAILED};

/// Finds the state machines that Tasks start by their ARN, and says who runs their executions.
pub trait StateMachines: Send + Sync {
    /// What runs the execution of this name of the state machine of this ARN; none if there is no such state machine. Asked
    /// once for each execution that starts, before it does.
    fn find(&self, state_machine_arn: &str, execution_name: &str) -> Option<Startable>;
}

/// A state machine to start an execution of.
#[derive(Clone)]
pub struct Startable {
    /// The state machine.
    pub machine: Arc<StateMachine>,
    /// The engine that runs the execution, with its own functions and observer; without one, it is that of the execution that
    /// starts it. The record of executions is always that of the execution that starts it.
    pub engine: Option<Engine>,
}

/// State machines that run with the functions and observer of whoever starts them.
impl StateMachines for Vec<Arc<StateMachine>> {
    fn find(&self, state_machine_arn: &str, _execution_name: &str) -> Option<Startable> {
        let machine = self.iter().find(|machine| machine.arn() == state_machine_arn)?;
        Some(Startable { machine: Arc::clone(machine), engine: None })
    }
}

/// An execution that a Task has started or joined: the execution as it ends. Dropping it stops what it has started.
pub(crate) type Submitted<'a> = Pin<Box<dyn Future<Output = Option<Execution>> + Send + 'a>>;

impl Engine {
    /// Starts an execution for a Task, or joins the one of the same name and input that runs.
    pub(crate) fn submit<'a>(
        &'a self,
        state_machine_arn: &str,
        name: String,
        input: Option<Value>,
    ) -> Result<Submitted<'a>, Failure> {
        let input = match input {
            None | Some(Value::Null) => json!({}),
            // The API's own input is text, and a string is taken for that.
            Some(Value::String(text)) => serde_json::from_str(&text)
                .map_err(|error| refusal("InvalidExecutionInput", &format!("The input is not JSON: {error}")))?,
            Some(input) => input,
        };
        let Some(Startable { machine, engine }) = self.machines.find(state_machine_arn, &name) else {
            let message = format!("StateMachineDoesNotExist: {state_machine_arn}");
            return Err(refusal("StateMachineDoesNotExist", &message));
        };
        let engine = engine.map_or_else(|| self.clone(), |engine| engine.with_executions(self.executions.clone()));
        let arn = machine.execution_arn(&name);
        let executions = self.executions.clone();
        let running = executions.describe(&arn).filter(Execution::is_running);
        if running.is_some_and(|running| *running.input == input) {
            return Ok(Box::pin(async move { executions.ended(&arn).await }));
        }
        let started = engine.begin(&machine, ExecutionInput { name, input });
        let started = started.map_err(|error| refusal(error.code(), &error.to_string()))?;
        Ok(Box::pin(async move {
            engine.go(&machine, started, std::future::pending()).await;
            executions.describe(&arn)
        }))
    }
}

/// A call of Step Functions that it refuses, as a Task fails of it.
fn refusal(code: &str, message: &str) -> Failure {
    let cause = format!("{message} (Service: AWSStepFunctions; Status Code: 400; Error Code: {code})");
    Failure::new(&format!("StepFunctions.{code}Exception"), cause)
}

/// What a Task makes of the execution that it waited for: `$states.result`, or a failure whose cause describes it. Dates are
/// milliseconds since the Unix epoch; the input and output are JSON in the result, and the input is text in the cause.
pub(crate) fn outcome(execution: Option<Execution>) -> Result<Value, Failure> {
    let Some(execution) = execution else {
        return Err(Failure::new(TASK_FAILED, "The execution is not in the record."));
    };
    let succeeded = execution.status == Some(Status::Succeeded);
    let Execution { arn, name, state_machine_arn, status, started_at, ended_at, input, output, error, cause, redrives } =
        execution;
    let status = status.map(Status::name);
    // In the alphabetical order in which the service writes them.
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if let Some(cause) = cause {
        put("Cause", cause.into());
    }
    if let Some(error) = error {
        put("Error", error.into());
    }
    put("ExecutionArn", arn.into());
    put("Input", if succeeded { Value::clone(&input) } else { input.to_string().into() });
    put("InputDetails", json!({ "Included": true }));
    put("Name", name.into());
    if let Some(output) = output {
        put("Output", Arc::unwrap_or_clone(output));
        put("OutputDetails", json!({ "Included": true }));
    }
    put("RedriveCount", redrives.into());
    if succeeded {
        put("RedriveStatus", "NOT_REDRIVABLE".into());
        put("RedriveStatusReason", "Execution is SUCCEEDED and cannot be redriven".into());
    } else {
        put("RedriveStatus", "REDRIVABLE".into());
    }
    put("StartDate", started_at.as_millisecond().into());
    put("StateMachineArn", state_machine_arn.into());
    put("Status", status.into());
    put("StopDate", ended_at.map(jiff::Timestamp::as_millisecond).into());
    let described = Value::Object(fields);
    if succeeded { Ok(described) } else { Err(Failure::new(TASK_FAILED, described.to_string())) }
}
