//! Deletes what was decided to go, some at a time, as far as the Lambda's time goes.

use std::collections::VecDeque;
use std::time::Duration;

use handler::Error;
use jiff::Timestamp;
use lifecycle::retention::{Deletion, PruneReport};
use lifecycle::status::SnapshotStatus;
use managed_flink::{ErrorKind, ManagedFlink};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Pruner;

/// Calls in flight. The service publishes no rate, and the account's other users need some of it, too.
const IN_FLIGHT: usize = 4;
/// After so long no deletion is begun: one that is may take 25 s, and the Lambda has 90.
const TIME: Duration = Duration::from_secs(55);
/// After so many deletions it is asked again whether a deployment is under way.
const ASK_AGAIN: usize = 100;
/// How often the deletion of a snapshot is tried that fails in a way that passes. Each try is three calls already.
const MOST_TRIES: u32 = 3;
/// After so many such failures in a row the service is left in peace.
const MOST_TROUBLES: u32 = 10;
/// Wait after each of these failures.
const PAUSE: Duration = Duration::from_secs(2);
/// Wait until the next step after the last of them.
const PEACE_SECONDS: u32 = 30;
/// Wait until the next step where nothing speaks against going on.
const NO_WAIT_SECONDS: u32 = 1;

/// Deletes oldest first, and notes in the report what came of it. One that fails does not stop the others, unless none of
/// them would do better.
pub(crate) async fn delete(
    pruner: &Pruner,
    report: &mut PruneReport,
    deletions: Vec<Deletion>,
    now: Timestamp,
    began: Instant,
) -> Result<(), Error> {
    let deleted_before = report.deleted;
    let mut queue: VecDeque<(Deletion, u32)> = deletions.into_iter().map(|deletion| (deletion, 1)).collect();
    let mut tasks = JoinSet::new();
    let mut spawned = 0_usize;
    let mut troubles = 0;
    let mut last_trouble = None;
    loop {
        let is_over = began.elapsed() >= TIME || troubles >= MOST_TROUBLES || report.deployment.is_some();
        while !is_over && tasks.len() < IN_FLIGHT {
            let Some((deletion, tries)) = queue.pop_front() else { break };
            let (flink, name) = (pruner.flink.clone(), report.application.clone());
            tasks.spawn(async move {
                let result = delete_one(&flink, &name, &deletion).await;
                (deletion, tries, result)
            });
            spawned += 1;
            if spawned.is_multiple_of(ASK_AGAIN) {
                report.deployment = pruner.turns.holder(&report.application, now).await?;
                break;
            }
        }
        let Some(joined) = tasks.join_next().await else { break };
        let (deletion, tries, result) = joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        match result {
            Ok(()) => {
                troubles = 0;
                report.delete(&deletion);
            }
            Err(error) if error.kind() == ErrorKind::AccessDenied => return Err(error.into()),
            Err(error) => {
                if error.is_retryable() && tries < MOST_TRIES {
                    queue.push_back((deletion, tries + 1));
                } else {
                    report.fail(&deletion, &error.to_string());
                }
                if error.is_retryable() {
                    troubles += 1;
                    last_trouble = Some(error);
                    sleep(PAUSE).await;
                }
            }
        }
    }
    let has_deleted = report.deleted > deleted_before;
    if queue.is_empty() || report.deployment.is_some() {
        return Ok(());
    }
    match last_trouble {
        // The state machine waits longer and longer before it tries again.
        Some(error) if !has_deleted => return Err(error.into()),
        Some(_) => report.go_on(PEACE_SECONDS),
        None if has_deleted => report.go_on(NO_WAIT_SECONDS),
        // Not one of so many could be deleted: the next step would fare no better.
        None => {}
    }
    Ok(())
}

/// Deletes one snapshot. One that is gone, or on its way out, is as good as deleted: a call that was sent again meets what
/// the first did, and somebody else may have been quicker.
async fn delete_one(flink: &ManagedFlink, name: &str, deletion: &Deletion) -> Result<(), managed_flink::Error> {
    let snapshot = &deletion.snapshot.name;
    match flink.delete_snapshot(name, snapshot, deletion.created_at).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ResourceInUse => match flink.snapshot(name, snapshot).await {
            Ok(now) if now.as_ref().is_none_or(|now| now.status == SnapshotStatus::Deleting) => Ok(()),
            Ok(_) | Err(_) => Err(error),
        },
        result => result,
    }
}
