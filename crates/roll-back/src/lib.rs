//! Takes the rung of the ladder that keeps the most state: `RollbackApplication`, fenced by the version.

use handler::{Error, Event, adopt_versioned};
use lifecycle::deployment::Deployment;
use managed_flink::ManagedFlink;

/// Rolls the application back to its previous running version.
pub async fn roll_back(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, redrives } = event;
    if deployment.asks_again(redrives) {
        return Ok(deployment);
    }
    let attempt = flink.roll_back(&deployment.application, deployment.version).await;
    adopt_versioned(flink, &deployment, attempt, |_| true).await?.note_in(&mut deployment, now);
    Ok(deployment)
}
