//! The data plane with a real Apache Flink in it: one JVM per application (`flink-host`), fetched, pinned and checked on
//! first use. Jobs are real JARs, snapshots are savepoints, and Flink's REST API is Flink's own. Everything it writes is
//! under one temporary folder, and everything it runs ends with it.

mod archive;
mod cluster;
mod configuration;
mod rest;
mod tools;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Client;
use serde_json::json;

use self::cluster::{Cluster, Launch, OnRecord};
use self::rest::{FlinkRest, Run};
use self::tools::Tools;
pub use self::tools::{FlinkVersion, default_tools_directory, job_jars};
use crate::TemporaryFolder;
use crate::data_plane::{
    DataPlane, DataPlaneError, JobMetrics, JobSpec, JobState, LogRecord, LogSink, RestResponse, SnapshotHandle,
};

const LOGGING: &str = include_str!("log4j2.properties");
/// System property and environment variable that tell a job where its `application_properties.json` is; the service's own
/// place is `/etc/flink`.
const PROPERTIES_FILE_PROPERTY: &str = "application.properties.file";
const PROPERTIES_FILE_VARIABLE: &str = "APPLICATION_PROPERTIES_FILE";

/// How often a job's metrics are asked for before they count as absent: the first answers after a start are empty.
const METRICS_ATTEMPTS: u32 = 20;
const METRICS_PAUSE: Duration = Duration::from_millis(100);

/// What went wrong with a real Flink.
#[derive(Debug, thiserror::Error)]
pub enum FlinkError {
    /// A version or runtime that no release is pinned for.
    #[error("Flink {asked} is not carried: choose one of 1.20, 2.2, 2.3")]
    NotCarried {
        /// The version or runtime.
        asked: String,
    },
    /// Flink or Java could not be fetched; one line for people.
    #[error("{reason}")]
    Tools {
        /// The line.
        reason: String,
    },
    /// Something of this machine failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file of runtime properties that all applications share cannot be written.
    #[error("cannot write the runtime properties to {}: {source}", file.display())]
    SharedProperties {
        /// The file.
        file: PathBuf,
        /// Why it cannot be written.
        source: std::io::Error,
    },
    /// A cluster did not start, or ended.
    #[error("the Flink cluster failed: {reason}")]
    Cluster {
        /// What it said last.
        reason: String,
    },
    /// Flink refused a call, or an operation of it failed.
    #[error("{reason}")]
    Refused {
        /// The innermost cause, as `class: message`.
        reason: String,
    },
    /// Flink could not be reached.
    #[error("Flink's REST API cannot be reached")]
    Http(#[source] reqwest::Error),
    /// Flink answered something else than expected.
    #[error("Flink's answer cannot be read: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
}

impl From<FlinkError> for DataPlaneError {
    fn from(error: FlinkError) -> Self {
        Self(error.to_string())
    }
}

/// How real Flink is run.
#[derive(Debug, Clone)]
pub struct FlinkOptions {
    /// Where Flink and Java are kept between runs.
    pub tools_directory: PathBuf,
    /// Versions to fetch at once; others are fetched when an application first needs them.
    pub versions: Vec<FlinkVersion>,
    /// Delay before a failed job is restarted (`restart-strategy.fixed-delay.delay`).
    pub restart_delay: Duration,
    /// Further Flink configuration of every cluster; it wins over what the data plane sets.
    pub configuration: BTreeMap<String, String>,
    /// Further flags of every cluster's JVM, such as `-Xmx512m`; they win over what the data plane sets.
    pub jvm_flags: Vec<String>,
    /// A file that is to hold the runtime properties of the application whose job is submitted, beside the file that each
    /// application has of its own: `/etc/flink/application_properties.json` for jobs that know no other place.
    pub shared_properties_file: Option<PathBuf>,
}

impl Default for FlinkOptions {
    fn default() -> Self {
        Self {
            tools_directory: default_tools_directory(),
            versions: Vec::new(),
            restart_delay: Duration::from_secs(10),
            configuration: BTreeMap::new(),
            jvm_flags: Vec::new(),
            shared_properties_file: None,
        }
    }
}

/// What the cluster of an application costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterFigures {
    /// From the start of its JVM until its REST API answered.
    pub ready_after: Duration,
    /// Memory that its JVM occupies now, in bytes; none where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Id of its JVM's process; none once that has ended.
    pub process_id: Option<u32>,
}

/// Runs jobs on real Flink clusters, one JVM per application.
#[derive(Debug)]
pub struct FlinkDataPlane {
    options: FlinkOptions,
    tools: Tools,
    http: Client,
    /// Everything that is written: the host, clusters' own files, snapshots.
    directory: TemporaryFolder,
    clusters: AtomicU64,
    applications: Mutex<HashMap<String, Application>>,
    log: Arc<Mutex<Option<Arc<dyn LogSink>>>>,
    /// Held while a job reads the properties file that all applications share.
    submission: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Application {
    prepared: Option<Prepared>,
    job: Option<Arc<Job>>,
}

/// A cluster that waits for its job.
#[derive(Debug)]
struct Prepared {
    spec: JobSpec,
    cluster: Arc<Cluster>,
    jar: String,
}

/// A submitted job and the cluster that it has for itself.
#[derive(Debug)]
struct Job {
    id: String,
    version: FlinkVersion,
    cluster: Arc<Cluster>,
    /// What was last read: a job that has ended reports no metrics any more.
    metrics: Mutex<Option<JobMetrics>>,
}

impl FlinkDataPlane {
    /// Makes ready to run jobs: fetches what `options` asks for, which takes a while on a machine's first run.
    pub async fn launch(options: FlinkOptions) -> Result<Self, FlinkError> {
        let io = |source| FlinkError::Io { what: "write to the temporary folder", source };
        let directory = TemporaryFolder::new().map_err(io)?;
        std::fs::write(directory.path().join("log4j2.properties"), LOGGING).map_err(io)?;
        std::fs::create_dir(directory.path().join("snapshots")).map_err(io)?;
        if let Some(file) = &options.shared_properties_file {
            write_shared_properties(file, &BTreeMap::new()).await?;
        }
        let tools = Tools::new(options.tools_directory.clone());
        for version in &options.versions {
            tools.toolchain(*version).await?;
        }
        Ok(Self {
            options,
            tools,
            http: FlinkRest::http_client()?,
            directory,
            clusters: AtomicU64::new(0),
            applications: Mutex::default(),
            log: Arc::default(),
            submission: tokio::sync::Mutex::default(),
        })
    }

    /// What the cluster of an application's job costs; none when there is no job.
    pub async fn figures(&self, application: &str) -> Option<ClusterFigures> {
        let job = self.job(application)?;
        let process_id = job.cluster.process_id().await;
        let resident_bytes = process_id.and_then(resident_bytes);
        Some(ClusterFigures { ready_after: job.cluster.ready_after(), resident_bytes, process_id })
    }

    fn applications(&self) -> MutexGuard<'_, HashMap<String, Application>> {
        self.applications.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, application: &str) -> Option<Arc<Job>> {
        self.applications().get(application)?.job.clone()
    }

    fn expect_job(&self, application: &str) -> Result<Arc<Job>, DataPlaneError> {
        self.job(application).ok_or_else(|| DataPlaneError(format!("Application {application} has no running job")))
    }

    fn flink<'a>(&'a self, cluster: &'a Cluster) -> FlinkRest<'a> {
        FlinkRest::new(&self.http, cluster.address())
    }

    fn snapshots(&self) -> String {
        format!("file://{}", self.directory.path().join("snapshots").display())
    }

    /// Where the log of an application's cluster goes.
    fn on_record(&self, application: &str) -> OnRecord {
        let (log, application) = (Arc::clone(&self.log), application.to_owned());
        Arc::new(move |record: LogRecord| {
            let sink = log.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(sink) = sink {
                sink.write(&application, record);
            }
        })
    }

    /// Submits the job to its cluster; returns its id.
    async fn submit(&self, spec: &JobSpec, prepared: &Prepared) -> Result<String, FlinkError> {
        let run = Run {
            jar: &prepared.jar,
            parallelism: spec.parallelism,
            savepoint: spec.restore_from.as_deref(),
            allow_non_restored_state: spec.allow_non_restored_state,
        };
        let flink = self.flink(&prepared.cluster);
        match &self.options.shared_properties_file {
            None => flink.run(&run).await,
            Some(file) => {
                // A job's main reads the file while it is submitted: no other one may be written meanwhile.
                let _alone = self.submission.lock().await;
                write_shared_properties(file, &spec.properties).await?;
                flink.run(&run).await
            }
        }
    }

    /// Starts a cluster for the job and uploads its code.
    async fn make_cluster(&self, spec: &JobSpec) -> Result<Prepared, FlinkError> {
        let toolchain = self.tools.toolchain(FlinkVersion::of_runtime(&spec.runtime)?).await?;
        let number = self.clusters.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.path().join(format!("cluster-{number}"));
        let properties = directory.join("application_properties.json");
        let io = |source| FlinkError::Io { what: "write the files of a Flink cluster", source };
        for folder in ["tmp", "upload", "checkpoints"] {
            tokio::fs::create_dir_all(directory.join(folder)).await.map_err(io)?;
        }
        tokio::fs::write(&properties, configuration::application_properties(&spec.properties)).await.map_err(io)?;
        let mut jvm_flags = configuration::jvm_flags(toolchain.java_major, spec.parallelism);
        let settings: [(&str, &Path); 3] = [
            ("java.io.tmpdir", &directory.join("tmp")),
            ("log4j.configurationFile", &self.directory.path().join("log4j2.properties")),
            (PROPERTIES_FILE_PROPERTY, &properties),
        ];
        jvm_flags.extend(settings.map(|(name, path)| format!("-D{name}={}", path.display())));
        jvm_flags.extend(self.options.jvm_flags.iter().cloned());
        let launched = Cluster::launch(Launch {
            toolchain: &toolchain,
            jvm_flags,
            environment: vec![(PROPERTIES_FILE_VARIABLE, properties)],
            configuration: configuration::of_cluster(
                spec,
                &directory,
                self.options.restart_delay,
                &self.options.configuration,
            ),
            slots: spec.parallelism,
            directory: directory.clone(),
            version: spec.version,
            on_record: self.on_record(&spec.application),
        });
        let cluster = match launched.await {
            Ok(cluster) => Arc::new(cluster),
            Err(error) => {
                tokio::fs::remove_dir_all(&directory).await.map_err(io)?;
                return Err(error);
            }
        };
        match self.flink(&cluster).upload(&spec.code.content).await {
            Ok(jar) => Ok(Prepared { spec: spec.clone(), cluster, jar }),
            Err(error) => {
                cluster.kill().await;
                Err(error)
            }
        }
    }

    /// Takes what is there of an application out of the books and ends it.
    async fn end(&self, application: &str) {
        let ended = self.applications().remove(application).unwrap_or_default();
        if let Some(prepared) = ended.prepared {
            prepared.cluster.kill().await;
        }
        if let Some(job) = ended.job {
            job.cluster.kill().await;
        }
    }

    /// Puts a prepared cluster into the books, and returns the one it takes the place of.
    fn keep_prepared(&self, application: &str, prepared: Option<Prepared>) -> Option<Prepared> {
        let mut applications = self.applications();
        std::mem::replace(&mut applications.entry(application.to_owned()).or_default().prepared, prepared)
    }

    async fn read_metrics(&self, job: &Job) -> Result<Option<JobMetrics>, FlinkError> {
        let restarts = job.version.restarts_metric();
        let (up, down) = job.version.time_metrics();
        let path = format!(
            "/jobs/{}/metrics?get={restarts},numberOfFailedCheckpoints,numberOfCompletedCheckpoints,\
             lastCheckpointDuration,lastCheckpointSize,{up},{down}",
            job.id
        );
        let answer = self.flink(&job.cluster).get(&path).await?;
        let value = |name: &str| -> Option<i64> {
            answer.as_array()?.iter().find(|metric| metric["id"] == name)?["value"].as_str()?.parse().ok()
        };
        // Flink reports -1 where there has been nothing to measure.
        let measured = |name: &str| value(name).and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
        Ok(value(restarts).map(|count| JobMetrics {
            restarts: u64::try_from(count).unwrap_or_default(),
            failed_checkpoints: measured("numberOfFailedCheckpoints"),
            completed_checkpoints: measured("numberOfCompletedCheckpoints"),
            last_checkpoint_duration_ms: measured("lastCheckpointDuration"),
            last_checkpoint_size_bytes: measured("lastCheckpointSize"),
            uptime_ms: measured(up),
            downtime_ms: value(down).unwrap_or_default(),
        }))
    }

    async fn read_state(&self, job: &Job) -> Result<JobState, FlinkError> {
        let overview = self.flink(&job.cluster).get("/jobs/overview").await?;
        let found = overview["jobs"].as_array().into_iter().flatten().find(|listed| listed["jid"] == job.id.as_str());
        Ok(match found.and_then(|listed| listed["state"].as_str()) {
            Some("FINISHED") => JobState::Finished,
            Some("FAILED" | "CANCELED" | "SUSPENDED") => JobState::Failed,
            Some(_) | None => JobState::Active,
        })
    }
}

/// Whether a cluster that was made for one of them serves the other: all but how state is restored.
fn same_cluster(one: &JobSpec, other: &JobSpec) -> bool {
    one.version == other.version
        && one.runtime == other.runtime
        && one.parallelism == other.parallelism
        && one.checkpoint_interval == other.checkpoint_interval
        && one.properties == other.properties
        && one.code == other.code
}

/// Memory that a process occupies, in bytes, where Linux tells.
fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

async fn write_shared_properties(
    file: &Path,
    properties: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<(), FlinkError> {
    let written = async {
        if let Some(folder) = file.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::write(file, configuration::application_properties(properties)).await
    };
    let failed = |source| FlinkError::SharedProperties { file: file.to_owned(), source };
    written.await.map_err(failed)
}

fn unavailable(reason: &str) -> RestResponse {
    RestResponse { status: 503, body: Bytes::from(json!({ "errors": [reason] }).to_string()) }
}

#[async_trait]
impl DataPlane for FlinkDataPlane {
    async fn prepare(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        if let Some(old) = self.keep_prepared(&spec.application, None) {
            old.cluster.kill().await;
        }
        let prepared = self.make_cluster(spec).await?;
        if let Some(other) = self.keep_prepared(&spec.application, Some(prepared)) {
            other.cluster.kill().await;
        }
        Ok(())
    }

    async fn start(&self, spec: &JobSpec) -> Result<(), DataPlaneError> {
        let kept = self.keep_prepared(&spec.application, None);
        self.cancel(&spec.application).await;
        let prepared = match kept {
            Some(kept) if same_cluster(&kept.spec, spec) => kept,
            other => {
                if let Some(other) = other {
                    other.cluster.kill().await;
                }
                self.make_cluster(spec).await?
            }
        };
        let submitted = match FlinkVersion::of_runtime(&spec.runtime) {
            Ok(version) => self.submit(spec, &prepared).await.map(|id| (id, version)),
            Err(error) => Err(error),
        };
        match submitted {
            Ok((id, version)) => {
                let job = Job { id, version, cluster: prepared.cluster, metrics: Mutex::default() };
                self.applications().entry(spec.application.clone()).or_default().job = Some(Arc::new(job));
                Ok(())
            }
            Err(error) => {
                // A refused submission can leave a FAILED job behind, which goes with its cluster.
                prepared.cluster.kill().await;
                Err(error.into())
            }
        }
    }

    async fn snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        let job = self.expect_job(application)?;
        Ok(self.flink(&job.cluster).savepoint(&job.id, &self.snapshots()).await?.into())
    }

    async fn stop_with_snapshot(&self, application: &str) -> Result<SnapshotHandle, DataPlaneError> {
        let job = self.expect_job(application)?;
        let location = self.flink(&job.cluster).stop(&job.id, &self.snapshots()).await?;
        if let Some(entry) = self.applications().get_mut(application) {
            // Not another one, that was started meanwhile.
            entry.job.take_if(|current| Arc::ptr_eq(current, &job));
        }
        job.cluster.kill().await;
        Ok(location.into())
    }

    async fn cancel(&self, application: &str) {
        self.end(application).await;
    }

    async fn job_state(&self, application: &str) -> Option<JobState> {
        let job = self.job(application)?;
        match self.read_state(&job).await {
            Ok(state) => Some(state),
            // A cluster that does not answer may yet; one that is gone took its job with it.
            Err(_) if job.cluster.is_alive().await => Some(JobState::Active),
            Err(_) => Some(JobState::Failed),
        }
    }

    async fn metrics(&self, application: &str) -> Option<JobMetrics> {
        let job = self.job(application)?;
        let last = || job.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..METRICS_ATTEMPTS {
            if let Ok(Some(metrics)) = self.read_metrics(&job).await {
                *last() = Some(metrics);
                return Some(metrics);
            }
            if self.job_state(application).await != Some(JobState::Active) {
                let ended = |metrics| JobMetrics { uptime_ms: 0, downtime_ms: -1, ..metrics };
                return last().map(ended);
            }
            tokio::time::sleep(METRICS_PAUSE).await;
        }
        *last()
    }

    async fn rest(&self, application: &str, path_and_query: &str) -> RestResponse {
        let Some(job) = self.job(application) else {
            return unavailable("The application has no running job.");
        };
        match self.flink(&job.cluster).proxy(path_and_query).await {
            Ok((status, body)) => RestResponse { status: status.as_u16(), body },
            Err(_) => unavailable("Flink does not answer."),
        }
    }

    async fn lose_task_manager(&self, application: &str) {
        if let Some(job) = self.job(application)
            && let Err(error) = job.cluster.lose_task_manager().await
        {
            tracing::warn!(%error, application, "no TaskManager was lost");
        }
    }

    fn send_log_to(&self, sink: Arc<dyn LogSink>) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    async fn discard_snapshot(&self, snapshot: &SnapshotHandle) {
        let folder = Path::new(snapshot.trim_start_matches("file:"));
        // Nothing but what this data plane wrote is ever deleted.
        if folder.parent() == Some(&self.directory.path().join("snapshots"))
            && let Err(error) = tokio::fs::remove_dir_all(folder).await
        {
            tracing::warn!(%error, "a savepoint could not be deleted");
        }
    }

    async fn shut_down(&self) {
        let names: Vec<String> = self.applications().keys().cloned().collect();
        for name in names {
            self.end(&name).await;
        }
        if let Err(error) = tokio::fs::remove_dir_all(self.directory.path()).await {
            tracing::warn!(%error, "the data plane's files could not be removed");
        }
    }
}
