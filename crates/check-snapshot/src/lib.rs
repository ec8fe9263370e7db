//! Looks at a snapshot that is being taken: is it READY, and if it never will be, what is the likely cause?

use handler::{Error, SnapshotEvent};
use lifecycle::snapshots::{FailureLook, SnapshotRun};
use lifecycle::status::ApplicationStatus;
use managed_flink::ManagedFlink;

/// Looks once; closer where the snapshot failed, or is not READY in time.
pub async fn check_snapshot(flink: &ManagedFlink, event: SnapshotEvent) -> Result<SnapshotRun, Error> {
    let SnapshotEvent { now, mut run, .. } = event;
    let snapshot = flink.snapshot(&run.application, &run.plan.snapshot).await?;
    if run.look_at(snapshot.as_ref(), now) {
        let look = look_closer(flink, &run.application).await;
        run.explain(&look);
    }
    Ok(run)
}

/// Reads what may explain the failure. The job's side is read of a running application only: no other has a dashboard.
async fn look_closer(flink: &ManagedFlink, name: &str) -> FailureLook {
    let application = flink.application(name).await.map_err(|error| error.to_unreadable("the application"));
    let is_running = matches!(&application, Ok(Some(application)) if application.status == ApplicationStatus::Running);
    if !is_running {
        return FailureLook { application, job: None, checkpoints: None };
    }
    let job = flink.job(name).await.map_err(|error| error.to_unreadable("the job"));
    let checkpoints = flink.checkpoints(name).await.map_err(|error| error.to_unreadable("the job's checkpoints"));
    FailureLook { application, job: Some(job), checkpoints: Some(checkpoints) }
}
