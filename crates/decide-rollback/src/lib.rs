//! Joins all evidence and decides: keep watching, accept, roll back, stop by force, restore, or ask for a person. What it
//! reads is what the decision needs; the decision itself is `lifecycle`'s.

use handler::{Error, Event, note_newest_before};
use job_log::JobLog;
use lifecycle::decision::{decide, wanted};
use lifecycle::deployment::{Deployment, Rung};
use lifecycle::evidence::{Evidence, Observed, Snapshot};
use lifecycle::logged::{LogSearch, tell_logged};
use lifecycle::stopped::{may_be_stopped_by_someone, recognize_stop, telling};
use managed_flink::ManagedFlink;

/// What the Lambda works with.
#[derive(Debug, Clone)]
pub struct Decider {
    /// The service.
    pub flink: ManagedFlink,
    /// Tells more of a failure than Flink does, where it can.
    pub log: JobLog,
}

/// Reads what is wanted, and decides. A report whose cause is open is completed from the job's log, last of all: nothing
/// rests on it.
pub async fn decide_rollback(decider: &Decider, event: Event) -> Result<Deployment, Error> {
    let mut deployment = decided(&decider.flink, event).await?;
    if let Some(search) = LogSearch::of(&deployment)
        && let Some(failure) = decider.log.first_failure(&decider.flink, &deployment.application, &search).await
    {
        tell_logged(&mut deployment, failure);
    }
    Ok(deployment)
}

async fn decided(flink: &ManagedFlink, event: Event) -> Result<Deployment, Error> {
    let Event { now, mut deployment, .. } = event;
    let name = &deployment.application;
    let application = flink.application(name).await.map_err(|error| error.to_unreadable("the application"));
    if may_be_stopped_by_someone(&deployment, &application) {
        let newest = flink.newest_operations(name).await.map(|newest| telling(&deployment, newest));
        let newest = newest.map_err(|error| error.to_unreadable("the application's operations"));
        recognize_stop(&mut deployment, newest, now);
    }
    let name = &deployment.application;
    let wanted = wanted(&deployment);
    let restarts = match (&application, &deployment.job) {
        (Ok(Some(application)), Some(job)) if wanted.metrics => {
            let restarts = flink.restarts(name, &application.runtime, job.since, now).await;
            Some(restarts.map_err(|error| error.to_unreadable("CloudWatch metrics")))
        }
        _ => None,
    };
    let alarms = if wanted.metrics && !deployment.policy.alarms.is_empty() {
        let alarms = flink.alarms(&deployment.policy.alarms).await;
        Some(alarms.map_err(|error| error.to_unreadable("CloudWatch alarms")))
    } else {
        None
    };
    let snapshots = if wanted.snapshots { Some(snapshots_of(flink, name).await) } else { None };
    let mut evidence = Evidence { application, restarts, alarms, snapshots };
    let mut decided = deployment.clone();
    decide(&mut decided, &evidence, now);
    if decided.rung == Rung::RollBack && !deployment.has_taken(Rung::RollBack) && evidence.snapshots.is_none() {
        // Found bad just now, by CloudWatch: what state a rollback would restore is read where one is due.
        evidence.snapshots = Some(snapshots_of(flink, name).await);
        decided = deployment;
        decide(&mut decided, &evidence, now);
    }
    note_newest_before(flink, &mut decided).await?;
    Ok(decided)
}

async fn snapshots_of(flink: &ManagedFlink, name: &str) -> Observed<Vec<Snapshot>> {
    flink.snapshots(name).await.map_err(|error| error.to_unreadable("the snapshots"))
}
