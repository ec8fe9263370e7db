//! How long the emulated service takes for its transitions. The defaults are near the service's own, so that what is
//! measured in virtual time means something; tests of one thing set the others to nothing.

use std::time::Duration;

/// Least durations of the service's transitions, in the clock's time; a data plane that is slower prolongs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// `CreateApplication` and updates of an application that does not run: READY again after this.
    pub update_ready: Duration,
    /// Update of a running application: the new cluster is prepared while the old job still runs.
    pub update_prepare: Duration,
    /// Update of a running application: the old job is stopped with a snapshot.
    pub update_stop: Duration,
    /// Update of a running application: from the old job's end to the new job's submission.
    pub update_start: Duration,
    /// `StartApplication`: from the call to the job's submission.
    pub start: Duration,
    /// `StopApplication` with a snapshot.
    pub stop: Duration,
    /// `StopApplication` with Force.
    pub force_stop: Duration,
    /// Rollback: while the job that is to be replaced still runs.
    pub rollback_prepare: Duration,
    /// Rollback: from that job's end to the submission of the one that takes its place.
    pub rollback_start: Duration,
    /// From a job's accepted submission to the status RUNNING.
    pub settle: Duration,
    /// `CreateApplicationSnapshot`: CREATING for this long.
    pub snapshot: Duration,
    /// Deletions: DELETING for this long.
    pub delete: Duration,
    /// Autoscaling: AUTOSCALING for this long before the job is submitted again.
    pub autoscale: Duration,
    /// How often the service looks whether a bounded job has come to its end.
    pub job_poll: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            update_ready: Duration::from_secs(3),
            update_prepare: Duration::from_secs(43),
            update_stop: Duration::from_secs(10),
            update_start: Duration::from_secs(35),
            start: Duration::from_secs(58),
            stop: Duration::from_secs(30),
            force_stop: Duration::from_secs(30),
            rollback_prepare: Duration::from_secs(44),
            rollback_start: Duration::from_secs(44),
            settle: Duration::from_secs(2),
            snapshot: Duration::from_secs(10),
            delete: Duration::from_secs(5),
            autoscale: Duration::from_secs(40),
            job_poll: Duration::from_secs(10),
        }
    }
}

impl Timings {
    /// The least that makes sense: every transition takes one second. For tests that look at something else.
    pub fn brisk() -> Self {
        let second = Duration::from_secs(1);
        Self {
            update_ready: second,
            update_prepare: second,
            update_stop: second,
            update_start: second,
            start: second,
            stop: second,
            force_stop: second,
            rollback_prepare: second,
            rollback_start: second,
            settle: second,
            snapshot: second,
            delete: second,
            autoscale: second,
            job_poll: second,
        }
    }
}
