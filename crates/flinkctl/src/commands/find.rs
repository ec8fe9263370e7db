//! Finds the execution that somebody means.

use crate::context::Context;
use crate::executions::Execution;
use crate::failure::Failure;

/// Executions that are looked through for the newest of an application.
const MOST: usize = 300;

/// The execution with this ARN or name, or the newest of the application with this name.
pub(super) async fn execution(context: &mut Context, meant: &str) -> Result<Execution, Failure> {
    let machine = context.deploy_machine().await?;
    let of_machine = machine.replacen(":stateMachine:", ":execution:", 1);
    if meant.starts_with("arn:") {
        if !meant.starts_with(&format!("{of_machine}:")) {
            return Err(Failure::misuse(
                format!("{meant} is no execution of the deploy state machine {machine}."),
                "Give an execution of that one, or name the other installation with --state-machine.",
            ));
        }
        let found = context.executions.describe(meant).await?;
        return found.ok_or_else(|| {
            Failure::failed(
                format!("There is no execution {meant}."),
                "Step Functions keeps them for 90 days: see `flinkctl history`.",
            )
        });
    }
    if let Some(found) = context.executions.describe(&format!("{of_machine}:{meant}")).await? {
        return Ok(found);
    }
    context.output.status(&format!("looking for the newest deployment of {meant} …"))?;
    let is_of_it = |execution: &Execution| execution.application.as_deref() == Some(meant);
    let found = context.executions.newest(&machine, false, MOST, is_of_it, 1).await?;
    match found.into_iter().next() {
        Some(found) => Ok(found),
        None if context.flink.application(meant).await?.is_some() => Err(Failure::failed(
            format!("No deployment of {meant} is among the newest {MOST}."),
            "Deploy a change, or give the name of an older execution.",
        )),
        None => Err(context.no_application(meant).await),
    }
}
