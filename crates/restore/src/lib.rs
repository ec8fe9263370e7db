//! Brings the previous version back by hand, where the service's rollback could not: puts the baseline's configuration
//! back, with the code pinned to the recorded object version, and starts it from a snapshot of the baseline.

use handler::{Error, Event, Made, adopt_versioned, start};
use lifecycle::configuration::{lost_code, put_back};
use lifecycle::deployment::{Baseline, Deployment, Rung};
use managed_flink::ManagedFlink;

/// Puts the configuration back, or starts the application, as the rung says.
pub async fn restore(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, redrives } = event;
    if deployment.asks_again(redrives) {
        return Ok(deployment);
    }
    let Some(baseline) = deployment.baseline.clone() else {
        return Err(Error::InvalidEvent { path: "deployment.baseline".into(), problem: "a field is missing" });
    };
    let made = if deployment.rung == Rung::StartBack {
        start(flink, &deployment, &deployment.restore_back()).await?
    } else {
        put_configuration_back(flink, &deployment, &baseline).await?
    };
    made.note_in(&mut deployment, now);
    Ok(deployment)
}

async fn put_configuration_back(
    flink: &ManagedFlink,
    deployment: &Deployment,
    baseline: &Baseline,
) -> Result<Made, Error> {
    let name = &deployment.application;
    let before = flink.configuration(name, baseline.version).await?;
    let Some((application, detail)) = flink.described(name).await? else { return Ok(Made::Gone) };
    if application.version < deployment.version {
        let problem = format!("it shows version {}, older than version {}", application.version, deployment.version);
        return Err(managed_flink::Error::unavailable("DescribeApplication", problem).into());
    }
    let update = put_back(&detail, &before, baseline.code.as_ref());
    // A later version may be the one that this step made when it ran before: the refused call tells.
    if application.version == deployment.version {
        if let Some(lost) = lost_code(deployment, application.code.as_ref()) {
            return Ok(Made::Impossible(lost));
        }
        if update.is_empty() {
            return Ok(Made::Began { operation: None, version: None });
        }
    }
    let attempt = flink.update(name, deployment.version, &update, &deployment.restore_back()).await;
    Ok(adopt_versioned(flink, deployment, attempt, |detail| put_back(detail, &before, None).is_empty()).await?)
}
