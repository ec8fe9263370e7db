//! The Lambda `prune-snapshots`: deletes what `lifecycle::retention` does not keep, and measures how old the newest READY
//! snapshot is. It lists once, decides once and deletes as far as its time goes; what is left is decided anew by the next
//! step, from a new list, so that no list that has grown old deletes anything.

mod delete;

use handler::{Error, Metric, Metrics, Unit};
use jiff::Timestamp;
use lifecycle::deployment::StepError;
use lifecycle::evidence::Snapshot;
use lifecycle::retention::{Protections, PruneReport, QUOTA, Retention, plan};
use lifecycle::status::SnapshotStatus;
use managed_flink::ManagedFlink;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use turns::TurnTable;

/// What the Lambda works with.
#[derive(Debug, Clone)]
pub struct Pruner {
    /// The service.
    pub flink: ManagedFlink,
    /// Tells whether a deployment is under way.
    pub turns: TurnTable,
    /// Where the age and the number of snapshots are written.
    pub metrics: Metrics,
}

/// The event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// Name of the application.
    pub application: String,
    /// What is kept.
    pub retention: Retention,
    /// For how many new snapshots there should be room within the quota.
    #[serde(default)]
    pub make_room: usize,
    /// What came of the step before, if there was one.
    #[serde(default)]
    pub report: Option<Before>,
}

/// What came of the step before.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Before {
    /// Its report.
    Report(Box<PruneReport>),
    /// It failed for good.
    Failed {
        /// How.
        error: StepError,
    },
}

/// What the Lambda returns: the report.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Pruned(pub PruneReport);

/// Prunes the snapshots of one application.
pub async fn prune_snapshots(pruner: &Pruner, event: PruneEvent) -> Result<Pruned, Error> {
    let began = Instant::now();
    let PruneEvent { now, application, retention, make_room, report } = event;
    if let Some(refusal) = retention.refusals().into_iter().next() {
        return Err(Error::InvalidEvent { path: refusal.field, problem: "a value that cannot be meant" });
    }
    let Some((snapshots, protections)) = look(pruner, &application, now).await? else {
        return Ok(Pruned(PruneReport::gone(application, retention.dry_run)));
    };
    let mut plan = plan(&retention, &snapshots, &protections, now);
    let room_lacking = plan.make_room(make_room);
    let before = match report {
        Some(Before::Report(report)) => Some(*report),
        Some(Before::Failed { .. }) | None => None,
    };
    let mut report = PruneReport::begin(application, retention.dry_run, &snapshots, &plan, before, now);
    report.deployment = protections.deployment;
    report.room_lacking = room_lacking;
    let deleted_before = report.deleted;
    if retention.dry_run {
        report.tell(&plan);
    } else {
        delete::delete(pruner, &mut report, plan.delete, now, began).await?;
        if make_room > 0 && snapshots.len() + make_room > QUOTA {
            report.wait_for_room();
        }
    }
    let were_there = snapshots.iter().filter(|snapshot| snapshot.status != SnapshotStatus::Deleting).count();
    measure(&pruner.metrics, &report, were_there - (report.deleted - deleted_before), now);
    Ok(Pruned(report))
}

/// Lists the snapshots, and then reads what protects them, so that none is protected less than when it was listed. None
/// where there is no such application, of which the list has no error of its own.
async fn look(pruner: &Pruner, name: &str, now: Timestamp) -> Result<Option<(Vec<Snapshot>, Protections)>, Error> {
    let listed = pruner.flink.snapshots(name).await;
    let Some(protections) = pruner.flink.snapshot_protections(name).await? else { return Ok(None) };
    let deployment = pruner.turns.holder(name, now).await?;
    Ok(Some((listed?, Protections { deployment, ..protections })))
}

fn measure(metrics: &Metrics, report: &PruneReport, left: usize, now: Timestamp) {
    let age = report.newest_ready.as_ref().and_then(|newest| newest.age_seconds);
    let age = age.map(|value| Metric { name: "NewestSnapshotAge", unit: Unit::Seconds, value });
    let left = left.try_into().unwrap_or(u64::MAX);
    let count = Metric { name: "Snapshots", unit: Unit::Count, value: left };
    let values: Vec<Metric> = age.into_iter().chain([count]).collect();
    metrics.write(&report.application, now, &values);
}

impl handler::Answer for Pruned {
    fn log(&self) {
        let Self(report) = self;
        tracing::info!(
            application = report.application,
            next = ?report.next,
            dry_run = report.dry_run,
            is_gone = report.is_gone,
            deployment = report.deployment,
            snapshots = report.snapshots,
            deleted = report.deleted,
            left = report.left,
            failed = report.failed,
            first_failure = report.failures.first().map(|failure| failure.error.as_str()),
            is_near_quota = report.warning.is_some(),
            room_lacking = report.room_lacking,
            newest_ready_age_seconds = report.newest_ready.as_ref().and_then(|newest| newest.age_seconds),
            "snapshots pruned"
        );
    }
}
