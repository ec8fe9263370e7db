//! Stops the application: by force and without a snapshot as a rung of the ladder, gracefully or by force where the
//! request asks for a stop. The call carries no version, so the application is read right before it: between that read
//! and the call lies the one window in which somebody else's change could be stopped.

use handler::{Error, Event, is_left_to_retry};
use lifecycle::deployment::{Deployment, Next};
use lifecycle::request::Stop;
use lifecycle::status::ApplicationStatus;
use managed_flink::ManagedFlink;

/// Stops the application, unless it is stopped or stopping already.
pub async fn force_stop(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment } = event;
    let name = &deployment.application;
    let stop = deployment.way_to_stop();
    match flink.application(name).await? {
        None => deployment.go_on(Next::Decide, 0),
        Some(application) if application.version != deployment.version => {
            deployment.overtaken(application.version, now);
        }
        Some(application) if application.status.is_stopped() => deployment.begin(None, None, now),
        Some(application) if is_stopping(&application.status, stop) => {
            let begun = flink.newest_operation(name, Some(deployment.rung.operation())).await?;
            deployment.begin(begun.map(|begun| begun.id), None, now);
        }
        Some(_) => match flink.stop(name, stop).await {
            Ok(operation) => deployment.begin(operation, None, now),
            // Whether it was done shows when this step is run again.
            Err(error) if is_left_to_retry(&error) => return Err(error.into()),
            Err(error) => deployment.reject(error.message(), now),
        },
    }
    Ok(deployment)
}

/// Whether such a stop is under way: a graceful one may never end, and is no reason not to use force.
fn is_stopping(status: &ApplicationStatus, stop: Stop) -> bool {
    *status == ApplicationStatus::ForceStopping || (stop == Stop::Graceful && *status == ApplicationStatus::Stopping)
}
