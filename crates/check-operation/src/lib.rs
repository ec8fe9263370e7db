//! Follows the operation behind the current rung: what does the service say of it, and where does the application stand?

use handler::{Error, Event};
use lifecycle::deployment::Deployment;
use lifecycle::status::OperationStatus;
use lifecycle::watch::{OperationLook, judge_operation};
use managed_flink::ManagedFlink;

/// Looks at the operation and the application once, and judges.
pub async fn check_operation(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, .. } = event;
    let name = &deployment.application;
    let application = flink.application(name).await.map_err(|error| error.to_unreadable("the application"));
    let operation = match deployment.began.as_ref().and_then(|began| began.operation_id.as_ref()) {
        Some(id) => Some(flink.operation(name, id).await.map_err(|error| error.to_unreadable("the operation"))),
        None => None,
    };
    let system_rollback = match &operation {
        Some(Ok(operation)) if operation.status == OperationStatus::Failed => match &operation.rollback_operation_id {
            Some(id) => flink.operation(name, id).await.ok(),
            None => None,
        },
        _ => None,
    };
    judge_operation(&mut deployment, &OperationLook { operation, system_rollback, application }, now);
    Ok(deployment)
}
