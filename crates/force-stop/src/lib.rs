//! Stops the application: by force and without a snapshot as a rung of the ladder, gracefully or by force where the
//! request asks for a stop. The call carries no version, so the application is read right before it: between that read
//! and the call lies the one window in which somebody else's change could be stopped. Of the stops, only those that are
//! newer than what was noted when the stop was decided can be this deployment's own.

use handler::{Error, Event, is_left_to_retry, newest_of_its_kind};
use jiff::Timestamp;
use lifecycle::deployment::{Deployment, Next};
use lifecycle::request::Stop;
use lifecycle::status::ApplicationStatus;
use lifecycle::stopped::was_made_before;
use managed_flink::ManagedFlink;

/// Stops the application, unless it is stopped or stopping already.
pub async fn force_stop(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, redrives } = event;
    if deployment.asks_again(redrives) {
        return Ok(deployment);
    }
    let stop = deployment.way_to_stop();
    let newest = newest_of_its_kind(flink, &deployment).await?;
    // Nothing may come between this look and the stop.
    match flink.application(&deployment.application).await? {
        None => deployment.go_on(Next::Decide, 0),
        Some(application) if application.version != deployment.version => {
            deployment.overtaken(application.version, now);
        }
        Some(application) if application.status.is_stopped() => match newest {
            Some(newest) if deployment.is_newer_than_noted(&newest) => deployment.begin(Some(newest.id), None, now),
            _ => deployment.found_stopped(now),
        },
        Some(application) if is_stopping(&application.status, stop) => {
            deployment.begin(newest.map(|newest| newest.id), None, now);
        }
        Some(_) => match newest.filter(|newest| was_made_before(&deployment, newest)) {
            Some(made) => deployment.begin(Some(made.id), None, now),
            None => make(flink, &mut deployment, stop, now).await?,
        },
    }
    Ok(deployment)
}

async fn make(flink: &ManagedFlink, deployment: &mut Deployment, stop: Stop, now: Timestamp) -> Result<(), Error> {
    match flink.stop(&deployment.application, stop).await {
        Ok(operation) => deployment.begin(operation, None, now),
        // Whether it was done shows when this step is run again.
        Err(error) if is_left_to_retry(&error) => return Err(error.into()),
        Err(error) => deployment.reject(error.message(), now),
    }
    Ok(())
}

/// Whether such a stop is under way: a graceful one may never end, and is no reason not to use force.
fn is_stopping(status: &ApplicationStatus, stop: Stop) -> bool {
    *status == ApplicationStatus::ForceStopping || (stop == Stop::Graceful && *status == ApplicationStatus::Stopping)
}
