//! Makes the change: checks the request against the application and notes the baseline, then calls `UpdateApplication`,
//! and `StartApplication` where the application was stopped and is to run. Before the first call nothing is touched.

use handler::{Error, Made, SubmitEvent, adopt_versioned, is_left_to_retry, note_newest_before, start};
use jiff::Timestamp;
use lifecycle::configuration::is_in_effect;
use lifecycle::deployment::{Deployment, Rung};
use lifecycle::evidence::Application;
use lifecycle::preflight::{
    Preflight, PreflightLook, RefusedFor, no_such_alarm, prepare, refuse, refuse_snapshot, refuse_update,
    starts_from_newest, versions_since_snapshot,
};
use lifecycle::refusal::Refusal;
use lifecycle::request::Request;
use managed_flink::{ErrorKind, ManagedFlink};

/// Prepares the deployment, or, once it is prepared, makes the change.
pub async fn submit_update(flink: &ManagedFlink, event: SubmitEvent) -> Result<Deployment, Error> {
    let SubmitEvent { now, input, execution, mut deployment, redrives } = event;
    let request = match Request::parse(&input) {
        Ok(request) => request,
        Err(refusals) => {
            return Ok(Deployment::refused(&input, &execution.name, execution.started_at, refusals, now));
        }
    };
    if deployment.asks_again(redrives) {
        Ok(deployment)
    } else if deployment.has_done_nothing() {
        look_and_prepare(flink, &request, deployment, now).await
    } else if deployment.rung == Rung::Start {
        start(flink, &deployment, &deployment.restore).await?.note_in(&mut deployment, now);
        Ok(deployment)
    } else {
        update(flink, &request, deployment, now).await
    }
}

async fn look_and_prepare(
    flink: &ManagedFlink,
    request: &Request,
    mut deployment: Deployment,
    now: Timestamp,
) -> Result<Deployment, Error> {
    let look = match preflight_look(flink, request).await? {
        Ok(look) => look,
        Err(refusal) => {
            refuse(&mut deployment, vec![refusal], now);
            return Ok(deployment);
        }
    };
    if let Preflight::TakeSnapshot(snapshot) = prepare(&mut deployment, request, &look, now) {
        match flink.take_snapshot(&request.application, &snapshot).await {
            // It is being taken already, or the application is at work on something else by now: the next look tells.
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::ResourceInUse => {}
            Err(error) if is_left_to_retry(&error) => return Err(error.into()),
            Err(error) => refuse_snapshot(&mut deployment, error.message(), now),
        }
    }
    note_newest_before(flink, &mut deployment).await?;
    Ok(deployment)
}

/// Reads what is to be checked before the change; the refusal where an alarm is named that there is not.
pub async fn preflight_look(
    flink: &ManagedFlink,
    request: &Request,
) -> Result<Result<PreflightLook, Refusal>, managed_flink::Error> {
    let name = &request.application;
    let Some((application, detail)) = flink.described(name).await? else { return Ok(Ok(PreflightLook::default())) };
    let alarms = match flink.alarms(&request.policy.alarms).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(no_such_alarm(error.message()))),
        alarms => alarms?,
    };
    let snapshots = flink.snapshots(name).await?;
    let mut look = PreflightLook { detail, snapshots, alarms, ..PreflightLook::default() };
    if starts_from_newest(request, &application, &look.snapshots) {
        look_at_lineage(flink, name, &application, &mut look).await?;
    }
    Ok(Ok(PreflightLook { application: Some(application), ..look }))
}

/// Reads what tells whether the newest snapshot holds the state of the job at hand.
async fn look_at_lineage(
    flink: &ManagedFlink,
    name: &str,
    application: &Application,
    look: &mut PreflightLook,
) -> Result<(), managed_flink::Error> {
    look.started_at = flink.newest_operation(name, Some("StartApplication")).await?.and_then(|start| start.started_at);
    for version in versions_since_snapshot(application, &look.snapshots) {
        match flink.configuration(name, version).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            detail => drop(look.versions.insert(version, detail?)),
        }
    }
    Ok(())
}

async fn update(
    flink: &ManagedFlink,
    request: &Request,
    mut deployment: Deployment,
    now: Timestamp,
) -> Result<Deployment, Error> {
    let attempt = flink.update(&deployment.application, deployment.version, &request.update, &request.restore).await;
    match adopt_versioned(flink, &deployment, attempt, |detail| is_in_effect(&request.update, detail)).await? {
        Made::Rejected(error) => {
            let refused_for = match error.kind() {
                ErrorKind::RoleNotReady => RefusedFor::RoleOrCode,
                ErrorKind::CodeValidation => RefusedFor::Code,
                _ => RefusedFor::Other,
            };
            refuse_update(&mut deployment, refused_for, error.message(), now);
        }
        made => made.note_in(&mut deployment, now),
    }
    Ok(deployment)
}
