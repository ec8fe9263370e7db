//! What has to be on the machine for a real Flink: its jars, a Java, and the fault jobs' jars. The fetching itself is a
//! Python script, `flink-host/fetch.py`, so that it can read pip's settings and nothing has to be compiled first; this
//! module carries the script, runs it and reads its answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::{FlinkError, archive};
use crate::code::hash;

const FETCH_SCRIPT: &str = include_str!("../../flink-host/fetch.py");
const BUILD_SCRIPT: &str = include_str!("../../flink-host/build.py");
const HOST_JAR: &[u8] = include_bytes!("../../flink-host/flink-host.jar");
const FAULT_JOBS_JAR: &[u8] = include_bytes!("../../../../tests/flink-jobs/flink-jobs.jar");

/// A version of Apache Flink that is carried, as the service offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlinkVersion {
    /// Runtime `FLINK-1_20`.
    V1_20,
    /// Runtime `FLINK-2_2`.
    V2_2,
    /// Runtime `FLINK-2_3`.
    V2_3,
}

impl FlinkVersion {
    /// All that are carried, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_20, Self::V2_2, Self::V2_3];

    /// The version that the service runs for a runtime environment such as `FLINK-1_20`.
    pub fn of_runtime(runtime: &str) -> Result<Self, FlinkError> {
        Self::ALL
            .into_iter()
            .find(|version| version.runtime() == runtime)
            .ok_or_else(|| FlinkError::NotCarried { asked: runtime.to_owned() })
    }

    /// The service's name of it: `FLINK-1_20`.
    pub fn runtime(self) -> &'static str {
        match self {
            Self::V1_20 => "FLINK-1_20",
            Self::V2_2 => "FLINK-2_2",
            Self::V2_3 => "FLINK-2_3",
        }
    }

    /// The release that is fetched: `1.20.5`.
    pub fn release(self) -> &'static str {
        match self {
            Self::V1_20 => "1.20.5",
            Self::V2_2 => "2.2.1",
            Self::V2_3 => "2.3.0",
        }
    }

    /// The metric that counts restarts: Flink 2 has dropped `fullRestarts`.
    pub(super) fn restarts_metric(self) -> &'static str {
        match self {
            Self::V1_20 => "fullRestarts",
            Self::V2_2 | Self::V2_3 => "numRestarts",
        }
    }

    /// The metrics of the time that a job has been running, and that it has not.
    pub(super) fn time_metrics(self) -> (&'static str, &'static str) {
        match self {
            Self::V1_20 => ("uptime", "downtime"),
            Self::V2_2 | Self::V2_3 => ("runningTime", "restartingTime"),
        }
    }
}

impl FromStr for FlinkVersion {
    type Err = FlinkError;

    /// Reads `1.20`, as a person gives it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let runtime = format!("FLINK-{}", text.replace('.', "_"));
        Self::of_runtime(&runtime).map_err(|_| FlinkError::NotCarried { asked: text.to_owned() })
    }
}

/// Where the tools are kept unless said otherwise: under the workspace's `target`.
pub fn default_tools_directory() -> PathBuf {
    let mut directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    directory.pop();
    directory.pop();
    directory.join("target").join("tools")
}

/// Makes the fault jobs' jars, one a main class, under `tools_directory/flink-jobs`; their sources are
/// `tests/flink-jobs`. Returns variant (`healthy`, `open-fails`, …) → jar.
pub async fn job_jars(tools_directory: &Path) -> Result<BTreeMap<String, PathBuf>, FlinkError> {
    let directory = tools_directory.join("flink-jobs");
    let io = |source| FlinkError::Io { what: "write the fault jobs' jars", source };
    tokio::fs::create_dir_all(&directory).await.map_err(io)?;
    // A name of its own, so that two processes do not write one file at a time.
    let classes = tempfile::Builder::new().prefix(".classes-").suffix(".jar").tempfile_in(&directory).map_err(io)?;
    tokio::fs::write(classes.path(), FAULT_JOBS_JAR).await.map_err(io)?;
    let arguments =
        ["variants".as_ref(), "--jar".as_ref(), classes.path().as_os_str(), "--into".as_ref(), directory.as_os_str()];
    run_script(BUILD_SCRIPT, &arguments).await
}

/// A Flink and a Java to run it.
#[derive(Debug, Clone)]
pub(super) struct Toolchain {
    /// The `java` executable.
    pub(super) java: PathBuf,
    /// Its major version.
    pub(super) java_major: u32,
    /// Folder of Flink's jars.
    pub(super) flink: PathBuf,
    /// The jar of `flink-host`.
    pub(super) host_jar: PathBuf,
    /// A class data archive of all this, where there is one.
    pub(super) archive: Option<PathBuf>,
}

/// The toolchains of this machine, fetched when first asked for.
#[derive(Debug)]
pub(super) struct Tools {
    directory: PathBuf,
    ready: Mutex<BTreeMap<FlinkVersion, Toolchain>>,
}

#[derive(Deserialize)]
struct Fetched {
    java: PathBuf,
    java_major: u32,
    flink: BTreeMap<String, PathBuf>,
}

impl Tools {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, ready: Mutex::default() }
    }

    /// The toolchain of one version. The first call on a machine downloads it.
    pub(super) async fn toolchain(&self, version: FlinkVersion) -> Result<Toolchain, FlinkError> {
        let mut ready = self.ready.lock().await;
        if let Some(toolchain) = ready.get(&version) {
            return Ok(toolchain.clone());
        }
        let arguments = ["--into".as_ref(), self.directory.as_os_str(), "--flink".as_ref(), version.release().as_ref()];
        let mut fetched: Fetched = run_script(FETCH_SCRIPT, &arguments).await?;
        let flink = fetched
            .flink
            .remove(version.release())
            .ok_or_else(|| FlinkError::Tools { reason: format!("the script fetched no {}", version.release()) })?;
        let host = self.directory.join(format!("flink-host-{}", hash(HOST_JAR)));
        let host_jar = Self::host_jar(&host)?;
        let java = fetched.java;
        // Java itself checks whether an archive fits; this only keeps those of several Javas apart.
        let name = format!("flink-{}-{}.jsa", version.release(), hash(java.as_os_str().as_encoded_bytes()));
        let mut toolchain = Toolchain { java, java_major: fetched.java_major, flink, host_jar, archive: None };
        toolchain.archive = archive::ensure(&host.join(name), version, &toolchain, &self.directory).await?;
        ready.insert(version, toolchain.clone());
        Ok(toolchain)
    }

    /// Writes the jar of `flink-host` to its place, which is always the same: an archive holds for one class path.
    fn host_jar(folder: &Path) -> Result<PathBuf, FlinkError> {
        let jar = folder.join("flink-host.jar");
        let write = || {
            std::fs::create_dir_all(folder)?;
            if !jar.exists() {
                let partial = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder)?;
                std::fs::write(partial.path(), HOST_JAR)?;
                partial.persist(&jar)?;
            }
            std::io::Result::Ok(())
        };
        write().map_err(|source| FlinkError::Io { what: "write the Flink host", source })?;
        Ok(jar)
    }
}

/// Runs a Python script, passes what it says on as log lines, and reads the JSON that it answers.
async fn run_script<T: DeserializeOwned>(script: &str, arguments: &[&std::ffi::OsStr]) -> Result<T, FlinkError> {
    let no_python = |source| FlinkError::Io { what: "run python3, which fetching Apache Flink needs", source };
    let mut child = Command::new("python3")
        .arg("-")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(no_python)?;
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(FlinkError::Tools { reason: "python3 has no pipes".to_owned() });
    };
    let write = async {
        stdin.write_all(script.as_bytes()).await?;
        drop(stdin);
        std::io::Result::Ok(())
    };
    let listen = async {
        let mut last = String::new();
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            tracing::info!("{line}");
            last = line;
        }
        std::io::Result::Ok(last)
    };
    let mut answer = Vec::new();
    let (written, last_line, answered) = tokio::join!(write, listen, stdout.read_to_end(&mut answer));
    let status = child.wait().await.map_err(no_python)?;
    let last_line = last_line.map_err(no_python)?;
    if !status.success() {
        let reason = last_line.strip_prefix("error: ").unwrap_or(&last_line).to_owned();
        return Err(FlinkError::Tools { reason });
    }
    written.map_err(no_python)?;
    answered.map_err(no_python)?;
    serde_json::from_slice(&answer)
        .map_err(|error| FlinkError::Tools { reason: format!("the script's answer cannot be read: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_and_versions_name_the_same_releases() {
        for (runtime, text, release) in
            [("FLINK-1_20", "1.20", "1.20.5"), ("FLINK-2_2", "2.2", "2.2.1"), ("FLINK-2_3", "2.3", "2.3.0")]
        {
            let version = FlinkVersion::of_runtime(runtime).unwrap();
            assert_eq!(version.release(), release);
            assert_eq!(text.parse::<FlinkVersion>().unwrap(), version);
        }
    }

    #[test]
    fn what_is_not_carried_is_refused_by_name() {
        let runtime = FlinkVersion::of_runtime("FLINK-1_15").unwrap_err();
        assert_eq!(runtime.to_string(), "Flink FLINK-1_15 is not carried: choose one of 1.20, 2.2, 2.3");
        assert!("1.15".parse::<FlinkVersion>().unwrap_err().to_string().starts_with("Flink 1.15 is not carried"));
        assert!("FLINK-1_20".parse::<FlinkVersion>().is_err());
    }

    #[tokio::test]
    async fn the_script_refuses_a_release_that_is_not_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["--into".as_ref(), directory.path().as_os_str(), "--flink".as_ref(), "1.15.0".as_ref()];
        let error = run_script::<Fetched>(FETCH_SCRIPT, &arguments).await.err().unwrap();
        assert_eq!(error.to_string(), "Flink 1.15.0 is not carried: choose one of 1.20.5, 2.2.1, 2.3.0");
    }

    #[test]
    fn every_version_is_pinned_in_the_script() {
        for version in FlinkVersion::ALL {
            assert!(FETCH_SCRIPT.contains(&format!("\"{}\": (", version.release())), "{version:?}");
        }
    }
}
