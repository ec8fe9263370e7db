//! Snapshots on a schedule: which applications are meant, what is done with each of them, and what came of it all. Pure,
//! like the rest of this crate: the Lambdas look and act, and ask here what it means.
//!
//! A run takes one snapshot of each application, named by the time of the schedule, so that a repeated event finds the
//! snapshot that the first one took. What cannot have a snapshot now is skipped, and says why; a skip is a result and no
//! failure. A snapshot that fails, or that is not READY in time, is told with its likely cause.

mod cause;
mod request;
mod run;
mod summary;

pub use cause::{CheckpointStatistics, CompletedCheckpoint, FailedCheckpoint, FailureLook, likely_causes};
pub use request::{Blackout, Plan, Selection, SnapshotRequest, TagFilter, TimeOfDay, no_such_tag};
pub use run::{NotTaken, SnapshotNext, SnapshotOutcome, SnapshotReason, SnapshotResult, SnapshotRun, in_words};
pub use summary::{RunOutcome, RunSummary, SelectedRun, ShortResult};
