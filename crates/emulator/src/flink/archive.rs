//! Classes that a JVM need not read and check anew at each start: a class data sharing archive of what a cluster and a job
//! load, made once for each Flink and Java by running them. It saves about a third of the processor time of a start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::cluster::{Cluster, Launch};
use super::rest::{FlinkRest, Run};
use super::tools::{FlinkVersion, Toolchain, job_jars};
use super::{FlinkError, configuration};
use crate::data_plane::{CodeObject, JobSpec};

/// Flink's name of the variant of the fault jobs that is run: it ends by itself.
const JOB: &str = "bounded";
/// What the names of folders begin with in which an archive is made.
const PARTIAL: &str = ".archive-";
/// How often it is looked whether the job has ended.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the job may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_mins(2);

/// Makes sure that the archive is there; none if this Java cannot make one. An empty file stands for that, so that it is not
/// tried again.
pub(super) async fn ensure(
    archive: &Path,
    version: FlinkVersion,
    toolchain: &Toolchain,
    tools_directory: &Path,
) -> Result<Option<PathBuf>, FlinkError> {
    let io = |source| FlinkError::Io { what: "keep the class data archive", source };
    let locked = archive.to_owned();
    // One process makes it, others wait for it. The lock goes with the file.
    let lock = tokio::task::spawn_blocking(move || {
        let lock = std::fs::File::create(locked.with_extension("lock"))?;
        lock.lock().map(|()| lock)
    });
    let lock = lock.await.map_err(|error| io(error.into()))?.map_err(io)?;
    if !archive.exists() {
        tracing::info!("preparing Apache Flink {} for quicker starts (once)", version.release());
        let parent = archive.parent().unwrap_or(tools_directory);
        remove_leftovers(parent).map_err(io)?;
        let folder = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(parent).map_err(io)?;
        let made = folder.path().join("classes.jsa");
        if let Err(error) = make(&made, version, toolchain, tools_directory, folder.path()).await {
            tracing::warn!(%error, "Apache Flink will start without a class data archive");
        }
        if !made.exists() {
            std::fs::write(&made, "").map_err(io)?;
        }
        std::fs::rename(&made, archive).map_err(io)?;
    }
    drop(lock);
    let usable = std::fs::metadata(archive).map_err(io)?.len() > 0;
    Ok(usable.then(|| archive.to_owned()))
}

/// Removes what was left by processes that were killed while they held the lock.
fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes()) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Runs a cluster with a job until the job has ended, and lets its JVM write down at its end what it has loaded.
async fn make(
    archive: &Path,
    version: FlinkVersion,
    toolchain: &Toolchain,
    tools_directory: &Path,
    folder: &Path,
) -> Result<(), FlinkError> {
    let io = |source| FlinkError::Io { what: "write the files of a Flink cluster", source };
    let jars = job_jars(tools_directory).await?;
    let jar = jars.get(JOB).ok_or_else(|| FlinkError::Tools { reason: format!("there is no job {JOB}") })?;
    let content = Bytes::from(tokio::fs::read(jar).await.map_err(io)?);
    let spec = JobSpec {
        application: "archive".to_owned(),
        version: 1,
        runtime: version.runtime().to_owned(),
        code: CodeObject { bucket: "jobs".to_owned(), key: JOB.to_owned(), object_version: None, content },
        parallelism: 2,
        checkpoint_interval: Some(Duration::from_secs(1)),
        properties: BTreeMap::new(),
        restore_from: None,
        allow_non_restored_state: false,
    };
    let mut jvm_flags = configuration::jvm_flags(toolchain.java_major, spec.parallelism);
    jvm_flags.push(format!("-XX:ArchiveClassesAtExit={}", archive.display()));
    let logging = folder.join("log4j2.properties");
    tokio::fs::write(&logging, super::LOGGING).await.map_err(io)?;
    jvm_flags.push(format!("-Dlog4j.configurationFile={}", logging.display()));
    for name in ["tmp", "upload", "checkpoints"] {
        tokio::fs::create_dir_all(folder.join(name)).await.map_err(io)?;
    }
    let cluster = Cluster::launch(Launch {
        toolchain,
        jvm_flags,
        environment: Vec::new(),
        configuration: configuration::of_cluster(&spec, folder, Duration::from_secs(1), &BTreeMap::new()),
        slots: spec.parallelism,
        directory: folder.to_owned(),
        version: spec.version,
        on_record: Arc::new(|_| {}),
    });
    let cluster = cluster.await?;
    let http = FlinkRest::http_client()?;
    let flink = FlinkRest::new(&http, cluster.address());
    let ran = async {
        let jar = flink.upload(&spec.code.content).await?;
        let run = Run { jar: &jar, parallelism: spec.parallelism, savepoint: None, allow_non_restored_state: false };
        let job = flink.run(&run).await?;
        while flink.get(&format!("/jobs/{job}")).await?["state"] != "FINISHED" {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let late = |_| FlinkError::Cluster { reason: "its job does not end".to_owned() };
    let ran = tokio::time::timeout(DEADLINE, ran).await.map_err(late).and_then(|ran| ran);
    if ran.is_ok() {
        cluster.retire().await;
    }
    ran
}
