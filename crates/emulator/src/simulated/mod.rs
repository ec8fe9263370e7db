//! A data plane without Flink: it plays what real Flink was recorded to answer, on a [`Clock`]. The content of the code
//! object is the [`Behaviour`] of the job, as JSON; content of any other kind (a real JAR) runs as a healthy job. A runtime
//! property `behaviour` in the group `emulator` goes before the code: with it the same code behaves in another way once the
//! configuration changed.
//!
//! Nothing is spawned. A job is a pure function of its behaviour, the time of its submission and the time at which it is
//! looked at, so that the same seed and the same calls give the same answers, and time may pass at no cost.

mod behaviour;
mod play;
mod rest;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use clock::Clock;
use jiff::Timestamp;

pub use behaviour::{Behaviour, JobFault, RestartDelay};
pub use snapshot::{Contribution, Snapshot};

use crate::data_plane::{
    DataPlane, DataPlaneError, JobMetrics, JobSpec, JobState, LogRecord, LogSink, RestResponse, SnapshotHandle,
};
use play::Play;
use rest::{Cache, Cluster, FlinkVersion, hex_id, unavailable};

/// Group and key of the runtime property that holds a behaviour.
pub const PROPERTY_GROUP: &str = "emulator";
/// See [`PROPERTY_GROUP`].
pub const PROPERTY: &str = "behaviour";

/// Flink accepts, or refuses, a job within so long.
const SUBMISSION: Duration = Duration::from_millis(100);
/// What a prepared cluster needs until its REST endpoint answers.
const CLUSTER_START: Duration = Duration::from_millis(1_100);
/// A snapshot that cannot be written fails within so long.
const FAILED_SNAPSHOT_MS: u64 = 50;

/// One submission that Flink accepted, for checkers that do not trust what handlers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Name of the application.
    pub application: String,
    /// Version of the application's configuration.
    pub version: u64,
    /// Flink's id of the job.
    pub job_id: String,
    /// When the job was submitted.
    pub at: Timestamp,
    /// What it was restored from; none started without state.
    pub restored_from: Option<Snapshot>,
    /// Records in the state when the job was stopped, cancelled or replaced; none while it is still there.
    pub records_at_end: Option<u64>,
}

#[derive(Debug)]
struct Job {
    spec: JobSpec,
    cluster: Cluster,
    lineage: Vec<Contribution>,
    submission: usize,
    /// Attempts whose failures are in the log.
    logged_attempts: u64,
}

impl Job {
    /// What Flink has logged of the failures since this was asked last.
    fn new_records(&mut self, now: u64) -> Vec<LogRecord> {
        let failures = self.cluster.play.view(now).failures;
        let new: Vec<_> = failures.iter().rev().filter(|failure| failure.attempt >= self.logged_attempts).collect();
        self.logged_attempts = new.last().map_or(self.logged_attempts, |failure| failure.attempt + 1);
        new.into_iter().map(|failure| self.cluster.log_record(failure, self.spec.version)).collect()
    }
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, Job>,
    submissions: Vec<Submission>,
    snapshots: u64,
    discarded: BTreeSet<SnapshotHandle>,
}

/// Plays the jobs of the emulated applications. See the module's documentation.
#[derive(Debug)]
pub struct SimulatedDataPlane {
    clock: Clock,
    seed: u64,
    state: Mutex<State>,
    log: Mutex<Option<Arc<dyn LogSink>>>,
}

impl SimulatedDataPlane {
    /// A data plane without jobs; the seed decides all that is random in Flink, such as ids.
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self { clock, seed, state: Mutex::default(), log: Mutex::default() }
    }

    /// All submissions that were accepted, in order.
    pub fn submissions(&self) -> Vec<Submission> {
        self.lock().submissions.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Calls `look` with the job, played up to now, and the milliseconds since its submission.
    fn with_job<T>(&self, application: &str, look: impl FnOnce(&mut Job, u64) -> T) -> Option<T> {
        let now = self.now_ms();
        let mut state = self.lock();
        let job = state.jobs.get_mut(application)?;
        let now = u64::try_from(now - job.cluster.submitted_ms).unwrap_or(0);
        job.cluster.play.advance(now);
        let looked = look(job, now);
        let records = job.new_records(now);
        // The sink takes locks of its own.
        drop(state);
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(log) = log {
            for record in records {
                log.write(application, record);
            }
        }
        Some(looked)
    }

    fn remove(&self, application: &str) {
        let Some(records) = self.with_job(application, |job, now| job.cluster.play.view(now).records) else { return };
        let mut state = self.lock();
        if let Some(job) = state.jobs.remove(application)
            && let Some(submission) = state.submissions.get_mut(job.submission)
        {
            submission.records_at_end = Some(records);
        }
    }

    async fn take_snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        let no_job = || DataPlaneError("Could not find Flink job of the application.".to_owned());
        let begun = self.with_job(application, |job, now| {
            let play = &mut job.cluster.play;
            if play.job_state(now) != JobState::Active {
                let gone = "org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job";
                return Err(DataPlaneError(format!("{gone} ({})", job.cluster.job)));
            }
            if !play.all_tasks_run(now) {
                let source = play.behaviour().vertices.first().map_or("", String::as_str);
                return Err(DataPlaneError(format!(
                    "org.apache.flink.runtime.checkpoint.CheckpointException: Checkpoint triggering task {source} \
                     (1/{}) of job {} is not being executed at the moment. Aborting checkpoint. Failure reason: Not all \
                     required tasks are currently running.",
                    play.parallelism(),
                    job.cluster.job
                )));
            }
            let fails = play.snapshots_fail();
            let wait = if fails { FAILED_SNAPSHOT_MS } else { play.snapshot_ms() };
            Ok((job.cluster.job.clone(), play.begin_savepoint(now), fails, Duration::from_millis(wait)))
        });
        let (job_id, savepoint, fails, wait) = begun.ok_or_else(no_job)??;
        self.clock.sleep(wait).await;
        let at = self.clock.now();
        let taken = self.with_job(application, |job, now| {
            if job.cluster.job != job_id {
                return Err(no_job());
            }
            let checkpoint = job.cluster.play.end_savepoint(now, savepoint, !fails);
            match checkpoint {
                Some(checkpoint) => {
                    let version = job.spec.version;
                    let mut lineage = job.lineage.clone();
                    let before = lineage.iter().map(|contribution| contribution.records).sum::<u64>();
                    lineage.push(Contribution { version, records: checkpoint.records.saturating_sub(before) });
                    Ok(Snapshot {
                        application: application.to_owned(),
                        version,
                        runtime: job.spec.runtime.clone(),
                        sequence: 0,
                        checkpoint_id: checkpoint.id,
                        job_id: job_id.clone(),
                        records: checkpoint.records,
                        size_bytes: job.cluster.play.behaviour().state_size_bytes,
                        taken_at: at,
                        lineage,
                        changes: job.cluster.play.behaviour().state_changes().collect(),
                    })
                }
                None if fails => Err(DataPlaneError(
                    "org.apache.flink.runtime.checkpoint.CheckpointException: An Exception occurred while triggering \
                     the checkpoint. IO-problem detected.\nCaused by: java.io.IOException: Failed to create savepoint \
                     directory at file:/savepoints"
                        .to_owned(),
                )),
                None => Err(DataPlaneError(
                    "org.apache.flink.runtime.checkpoint.CheckpointException: Checkpoint Coordinator is suspending."
                        .to_owned(),
                )),
            }
        });
        let mut snapshot = taken.ok_or_else(no_job)??;
        let mut state = self.lock();
        state.snapshots += 1;
        snapshot.sequence = state.snapshots;
        Ok(snapshot.to_handle())
    }
}

/// The behaviour in the job's properties, or in its code.
fn behaviour_of(spec: &JobSpec) -> Result<Behaviour, DataPlaneError> {
    match spec.properties.get(PROPERTY_GROUP).and_then(|group| group.get(PROPERTY)) {
        Some(text) if text.trim_start().starts_with('{') => Behaviour::of_content(text.as_bytes()),
        Some(_) => {
            Err(DataPlaneError(format!("the property {PROPERTY} of the group {PROPERTY_GROUP} is no JSON object")))
        }
        None => Behaviour::of_content(&spec.code.content),
    }
}

/// Why Flink refuses the submission: the texts that it was recorded to answer, without the frames of their stack traces.
fn refusal(spec: &JobSpec, behaviour: &Behaviour, restored: Option<&Snapshot>) -> Option<String> {
    const NOT_EXECUTED: &str = "org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.\n\
         Caused by: org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: ";
    const BAD_PROGRAM: &str = "Internal server error. Caused by: \
         org.apache.flink.client.program.ProgramInvocationException: ";
    let holds_more = restored.is_some_and(|snapshot| snapshot.is_from_before(JobFault::RemovedUid));
    for fault in &behaviour.faults {
        let text = match *fault {
            JobFault::MainThrows => {
                format!(
                    "{NOT_EXECUTED}injected: main throws\nCaused by: java.lang.IllegalStateException: injected: main throws"
                )
            }
            JobFault::NoExecute => {
                "org.apache.flink.runtime.rest.handler.RestHandlerException: No jobs included in application."
                    .to_owned()
            }
            JobFault::MissingMainClass => {
                format!("{BAD_PROGRAM}Neither a 'Main-Class', nor a 'program-class' entry was found in the jar file.")
            }
            JobFault::CorruptJar => format!(
                "{BAD_PROGRAM}Error while opening jar file '{}'\nCaused by: java.util.zip.ZipException: zip END header not found",
                spec.code.key
            ),
            JobFault::RemovedUid if holds_more && !spec.allow_non_restored_state => format!(
                "{NOT_EXECUTED}Failed to execute job '{}'.\nCaused by: java.lang.IllegalStateException: Failed to rollback \
                 to checkpoint/savepoint {}. Cannot map checkpoint/savepoint state for operator \
                 e7beec23fd9f6ed5e1b8395129d43728 to the new program, because the operator is not available in the new \
                 program. If you want to allow to skip this, you can set the --allowNonRestoredState option on the CLI.",
                spec.application,
                restored.map(Snapshot::path).unwrap_or_default()
            ),
            _ => continue,
        };
        return Some(text);
    }
    None
}

fn snapshot_missing(application: &str) -> DataPlaneError {
    DataPlaneError(format!(
        "org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.\nCaused by: \
         org.apache.flink.util.FlinkException: Failed to execute job '{application}'.\nCaused by: \
         java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory on file system 'file'."
    ))
}

#[async_trait]
impl DataPlane for SimulatedDataPlane {
    async fn prepare(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        behaviour_of(spec)?;
        self.clock.sleep(CLUSTER_START).await;
        Ok(())
    }

    async fn start(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        self.remove(&spec.application);
        self.clock.sleep(SUBMISSION).await;
        let behaviour = behaviour_of(spec)?;
        let restored = match &spec.restore_from {
            None => None,
            Some(handle) if self.lock().discarded.contains(handle) => return Err(snapshot_missing(&spec.application)),
            Some(handle) => Some(Snapshot::of_handle(handle).ok_or_else(|| snapshot_missing(&spec.application))?),
        };
        if let Some(text) = refusal(spec, &behaviour, restored.as_ref()) {
            return Err(DataPlaneError(text));
        }
        let at = self.clock.now();
        let mut state = self.lock();
        let submission = state.submissions.len();
        let job_id = hex_id(&[&self.seed.to_string(), &spec.application, &submission.to_string()]);
        let play = Play::new(behaviour, spec, restored.as_ref());
        let cluster = Cluster {
            job: job_id.clone(),
            name: spec.application.clone(),
            version: FlinkVersion::of_runtime(&spec.runtime),
            submitted_ms: at.as_millisecond(),
            restored_path: restored.as_ref().map(Snapshot::path),
            play,
            cache: Cache::default(),
        };
        let lineage = restored.as_ref().map(|snapshot| snapshot.lineage.clone()).unwrap_or_default();
        state.jobs.insert(
            spec.application.clone(),
            Job { spec: spec.clone(), cluster, lineage, submission, logged_attempts: 0 },
        );
        state.submissions.push(Submission {
            application: spec.application.clone(),
            version: spec.version,
            job_id,
            at,
            restored_from: restored,
            records_at_end: None,
        });
        Ok(())
    }

    async fn snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        self.take_snapshot(application).await
    }

    async fn stop_with_snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        let handle = self.take_snapshot(application).await?;
        self.remove(application);
        Ok(handle)
    }

    async fn cancel(&self, application: &str) {
        self.remove(application);
    }

    async fn job_state(&self, application: &str) -> Option<JobState> {
        self.with_job(application, |job, now| job.cluster.play.job_state(now))
    }

    async fn metrics(&self, application: &str) -> Option<JobMetrics> {
        self.with_job(application, |job, now| job.cluster.play.metrics(now))
    }

    async fn rest(&self, application: &str, path_and_query: &str) -> RestResponse {
        self.with_job(application, |job, now| job.cluster.get(path_and_query, now)).unwrap_or_else(unavailable)
    }

    async fn lose_task_manager(&self, application: &str) {
        self.with_job(application, |job, now| job.cluster.play.lose_task_manager(now));
    }

    fn send_log_to(&self, sink: Arc<dyn LogSink>) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    async fn discard_snapshot(&self, snapshot: &SnapshotHandle) {
        self.lock().discarded.insert(Arc::clone(snapshot));
    }

    async fn shut_down(&self) {
        let applications: Vec<String> = self.lock().jobs.keys().cloned().collect();
        for application in applications {
            self.remove(&application);
        }
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
