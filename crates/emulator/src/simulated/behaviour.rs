//! What a simulated job does, as data: the JSON that takes the place of a JAR in the simulated data plane. An empty list
//! of faults is a healthy job; faults can be combined (a job whose snapshots fail may also restore slowly).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::data_plane::DataPlaneError;

/// A simulated job. As JSON, for instance
/// `{"faults": [{"fails_after": {"seconds": 40}}, "snapshot_fails"], "restart_delay": {"fixed": {"seconds": 10}}}`;
/// every field may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// What goes wrong; nothing in a healthy job.
    pub faults: Vec<JobFault>,
    /// How long Flink waits before it restarts the job; none is the service's default for the runtime: exponential from
    /// Flink 1.19 on, fixed before.
    pub restart_delay: Option<RestartDelay>,
    /// Names of the job's vertices, from the source on; never empty in a job that runs.
    pub vertices: Vec<String>,
    /// Size of the job's state, and so of its checkpoints and snapshots, in bytes.
    pub state_size_bytes: u64,
    /// Records that the job processes in a second, all tasks together.
    pub records_per_second: u64,
    /// From the job's (re)start to its first checkpoint, in seconds; none is one checkpoint interval. Flink takes a random
    /// part of the interval.
    pub first_checkpoint_seconds: Option<u64>,
}

/// One thing that a simulated job does wrong, or does slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobFault {
    /// Every start of the job restores its state for so long: the source's tasks stay INITIALIZING, the others run.
    SlowRestore {
        /// Seconds of INITIALIZING.
        seconds: u64,
    },
    /// `open()` throws: the job runs for some 50 ms, restarts, and never has all its tasks running.
    OpenFails,
    /// All tasks run for so long, then one fails; and again after each restart.
    FailsAfter {
        /// Seconds from all tasks running to the failure.
        seconds: u64,
        /// How many times before the job stays healthy; none is for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<u32>,
    },
    /// All tasks run for so long, then one fails; from the first restart on the job is as with `open_fails`.
    FailsLater {
        /// Seconds from all tasks running to the first failure.
        seconds: u64,
    },
    /// A bounded job: all tasks run for so long, then the job is FINISHED.
    Bounded {
        /// Seconds from all tasks running to the end.
        seconds: u64,
    },
    /// `main()` throws: the start is refused.
    MainThrows,
    /// `main()` ends without `execute()`: the start is refused.
    NoExecute,
    /// The JAR names no main class: the start is refused.
    MissingMainClass,
    /// The code is no JAR at all: the start is refused.
    CorruptJar,
    /// The state's type changed under the same uid: started from a snapshot of code from before, the job loops as with
    /// `open_fails`.
    IncompatibleState,
    /// An operator's uid is gone: a start from a snapshot of code from before is refused unless non-restored state is
    /// allowed.
    RemovedUid,
    /// Checkpoints fail from then on; the job runs on (it tolerates them).
    FailingCheckpoints {
        /// Seconds since the submission.
        from_seconds: u64,
    },
    /// A snapshot takes so long.
    SlowSnapshot {
        /// Seconds from trigger to completion.
        seconds: u64,
    },
    /// Snapshots, with or without a stop, fail; the job runs on.
    SnapshotFails,
}

/// A restart strategy of Flink.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RestartDelay {
    /// No restart: the first failure is the end, FAILED.
    None,
    /// The same delay each time, for ever.
    Fixed {
        /// Seconds from the failure to the restart.
        seconds: u64,
    },
    /// A delay that grows with each failure, for ever.
    Exponential {
        /// First delay, in seconds.
        initial_seconds: f64,
        /// Factor from one delay to the next.
        multiplier: f64,
        /// The delay grows no longer than this, in seconds.
        max_seconds: f64,
        /// After so many seconds without a failure the delay is the first one again.
        reset_seconds: f64,
    },
}

impl RestartDelay {
    /// Flink's own default from 1.19 on, and the service's.
    pub const DEFAULT_EXPONENTIAL: Self =
        Self::Exponential { initial_seconds: 1.0, multiplier: 1.5, max_seconds: 60.0, reset_seconds: 3600.0 };
    /// What the service sets for older runtimes.
    pub const DEFAULT_FIXED: Self = Self::Fixed { seconds: 10 };
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            restart_delay: None,
            vertices: vec!["Source: datagen -> gate".to_owned(), "keyed-counter -> discard: Writer".to_owned()],
            state_size_bytes: 64 * 1024 * 1024,
            records_per_second: 1000,
            first_checkpoint_seconds: None,
        }
    }
}

impl From<JobFault> for Behaviour {
    fn from(fault: JobFault) -> Self {
        Self::healthy().with(fault)
    }
}

impl Behaviour {
    /// A job that does nothing wrong.
    pub fn healthy() -> Self {
        Self::default()
    }

    /// The same with one more fault.
    #[must_use]
    pub fn with(mut self, fault: JobFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// What the code changes about the state of the code before it.
    pub(super) fn state_changes(&self) -> impl Iterator<Item = JobFault> {
        let changes = [JobFault::RemovedUid, JobFault::IncompatibleState];
        changes.into_iter().filter(|change| self.faults.contains(change))
    }

    /// The same with another restart strategy.
    #[must_use]
    pub fn restarting(mut self, delay: RestartDelay) -> Self {
        self.restart_delay = Some(delay);
        self
    }

    /// The same with its first checkpoint so many seconds after each (re)start.
    #[must_use]
    pub fn first_checkpoint_after(mut self, seconds: u64) -> Self {
        self.first_checkpoint_seconds = Some(seconds);
        self
    }

    /// The behaviour as the content of a code object.
    pub fn to_content(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads the content of a code object. What does not begin as a JSON object (a real JAR, a ZIP, any text) is a healthy
    /// job.
    ///
    /// # Errors
    /// JSON that is no behaviour is a mistake of whoever wrote it, and is refused rather than run as healthy.
    pub fn of_content(content: &[u8]) -> Result<Self, DataPlaneError> {
        if !content.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::healthy());
        }
        let behaviour: Self = serde_json::from_slice(content)
            .map_err(|error| DataPlaneError(format!("the code is JSON but no simulated behaviour: {error}")))?;
        if behaviour.vertices.is_empty() {
            return Err(DataPlaneError("the simulated behaviour has no vertices".to_owned()));
        }
        Ok(behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_object_runs_as_healthy() {
        for content in [" {} ", "PK\u{3}\u{4}", "", "a jar, honestly", "[1]", "{}"] {
            assert_eq!(Behaviour::of_content(content.as_bytes()), Ok(Behaviour::healthy()), "{content}");
        }
    }

    #[test]
    fn a_behaviour_reads_back_as_written() {
        let behaviour = Behaviour::from(JobFault::FailsAfter { seconds: 40, times: Some(2) })
            .with(JobFault::SnapshotFails)
            .restarting(RestartDelay::DEFAULT_EXPONENTIAL)
            .first_checkpoint_after(7);
        assert_eq!(Behaviour::of_content(&behaviour.to_content()), Ok(behaviour));
    }

    #[test]
    fn the_documented_json_is_understood() {
        let content = br#"{"faults": [{"fails_after": {"seconds": 40}}, "snapshot_fails"],
                           "restart_delay": {"fixed": {"seconds": 10}}}"#;
        let expected = Behaviour::from(JobFault::FailsAfter { seconds: 40, times: None })
            .with(JobFault::SnapshotFails)
            .restarting(RestartDelay::Fixed { seconds: 10 });
        assert_eq!(Behaviour::of_content(content), Ok(expected));
    }

    #[test]
    fn a_misspelt_behaviour_is_refused_by_name() {
        for (content, named) in [
            (r#"{"faults": ["open_fails""#, "EOF"),
            (r#"{"fault": []}"#, "fault"),
            (r#"{"faults": ["opens_fail"]}"#, "opens_fail"),
            (r#"{"faults": [{"fails_after": {"second": 1}}]}"#, "second"),
            (r#"{"vertices": []}"#, "vertices"),
        ] {
            let error = Behaviour::of_content(content.as_bytes()).expect_err(content);
            assert!(error.0.contains(named), "{error:?}");
        }
    }
}
