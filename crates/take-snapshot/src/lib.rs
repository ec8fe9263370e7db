//! Takes the snapshot of one application, unless something speaks against it. Run twice, it finds the snapshot that the
//! first run began, and waits for that one.

use handler::{Error, SnapshotEvent, is_left_to_retry};
use jiff::Timestamp;
use lifecycle::snapshots::{NotTaken, SnapshotRun};
use managed_flink::{ErrorKind, ManagedFlink};
use turns::TurnTable;

/// What the Lambda works with.
#[derive(Debug, Clone)]
pub struct Taker {
    /// The service.
    pub flink: ManagedFlink,
    /// Tells whether a deployment is under way.
    pub turns: TurnTable,
}

/// Asks for everything that speaks against a snapshot, and begins it where nothing does.
pub async fn take_snapshot(taker: &Taker, event: SnapshotEvent) -> Result<SnapshotRun, Error> {
    let SnapshotEvent { now, execution, mut run } = event;
    let Taker { flink, turns } = taker;
    run.begin(execution.started_at);
    if run.skip_in_blackout(now) || run.skip_application(flink.application(&run.application).await?.as_ref()) {
        return Ok(run);
    }
    let existing = flink.snapshot(&run.application, &run.plan.snapshot).await?;
    if run.adopt(existing.as_ref(), now)
        || run.skip_under_deployment(turns.holder(&run.application, now).await?.as_deref())
    {
        return Ok(run);
    }
    if run.plan.dry_run {
        run.would_take();
        return Ok(run);
    }
    begin(flink, &mut run, now).await?;
    Ok(run)
}

async fn begin(flink: &ManagedFlink, run: &mut SnapshotRun, now: Timestamp) -> Result<(), Error> {
    let Err(error) = flink.take_snapshot(&run.application, &run.plan.snapshot).await else {
        run.taking(now, now);
        return Ok(());
    };
    let why = match error.kind() {
        ErrorKind::AccessDenied => NotTaken::AccessDenied,
        // Whether it was begun shows when this step is run again.
        _ if is_left_to_retry(&error) => return Err(error.into()),
        ErrorKind::LimitExceeded => NotTaken::LimitExceeded,
        ErrorKind::NotFound => {
            run.skip_application(None);
            return Ok(());
        }
        ErrorKind::ResourceInUse | ErrorKind::ConcurrentModification => NotTaken::Busy,
        _ => NotTaken::Other,
    };
    // Somebody may have taken it between the look and the call, and the application may be at work on something by now.
    let existing = flink.snapshot(&run.application, &run.plan.snapshot).await?;
    if !run.adopt(existing.as_ref(), now) && !run.skip_application(flink.application(&run.application).await?.as_ref())
    {
        run.not_taken(why, error.message(), now);
    }
    Ok(())
}
