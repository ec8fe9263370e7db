//! Looks inside: is every subtask of the job at work, is it restarting, do checkpoints complete? The service's RUNNING
//! says none of this.

use handler::{Error, Event};
use lifecycle::deployment::Deployment;
use lifecycle::status::ApplicationStatus;
use lifecycle::stopped::telling;
use lifecycle::watch::{JobLook, judge_job};
use managed_flink::ManagedFlink;

/// Looks at the job once through Flink's REST API, and judges.
pub async fn check_subtasks(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, .. } = event;
    let name = &deployment.application;
    let application = flink.application(name).await.map_err(|error| error.to_unreadable("the application"));
    let status = application.as_ref().ok().and_then(Option::as_ref).map(|application| &application.status);
    let job = match status {
        Some(ApplicationStatus::Running) => Some(flink.job(name).await.map_err(|error| error.to_unreadable("the job"))),
        _ => None,
    };
    let newest_operation = match status {
        Some(status) if status.is_stopped() => {
            let newest = flink.newest_operations(name).await.map(|newest| telling(&deployment, newest));
            Some(newest.map_err(|error| error.to_unreadable("the application's operations")))
        }
        _ => None,
    };
    judge_job(&mut deployment, &JobLook { application, job, newest_operation }, now);
    Ok(deployment)
}
