//! One application's Flink cluster: a JVM with a `JobManager` and a `TaskManager` in it (`flink-host`), held by its standard
//! input. However this process ends, the pipe ends with it, and so does the JVM.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::FlinkError;
use super::tools::Toolchain;

/// How long a cluster may take to start, or to replace a `TaskManager`, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_mins(2);

/// What a cluster is started from.
pub(super) struct Launch<'a> {
    pub(super) toolchain: &'a Toolchain,
    /// Flags of the JVM, without its class path.
    pub(super) jvm_flags: Vec<String>,
    /// The jar of `flink-host`.
    pub(super) host_jar: &'a Path,
    /// Flink's configuration.
    pub(super) configuration: BTreeMap<String, String>,
    /// Slots of the `TaskManager`.
    pub(super) slots: u32,
    /// Folder of the cluster's own: it exists, and goes when the cluster goes.
    pub(super) directory: PathBuf,
}

/// A running cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    address: String,
    directory: PathBuf,
    process: Mutex<Child>,
    conversation: Mutex<Conversation>,
}

#[derive(Debug)]
struct Conversation {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Cluster {
    /// Starts a JVM with a cluster in it; ends when its REST API has an address.
    pub(super) async fn launch(launch: Launch<'_>) -> Result<Self, FlinkError> {
        let io = |source| FlinkError::Io { what: "start the JVM of a Flink cluster", source };
        let output_file = launch.directory.join("output.log");
        let output = std::fs::File::create(&output_file).map_err(io)?;
        let class_path = format!("{}:{}/*", launch.host_jar.display(), launch.toolchain.flink.display());
        let mut child = Command::new(&launch.toolchain.java)
            .args(&launch.jvm_flags)
            .args(["-cp", &class_path, "flinkhost.FlinkHost"])
            .current_dir(&launch.directory)
            // Flags from outside would change what the cluster is, and be the first thing that it says.
            .env_remove("JAVA_TOOL_OPTIONS")
            .env_remove("JDK_JAVA_OPTIONS")
            .env_remove("_JAVA_OPTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(FlinkError::Cluster { reason: "its JVM has no pipes".to_owned() });
        };
        let mut conversation = Conversation { commands, answers: BufReader::new(answers).lines() };
        let started = async {
            conversation.ask(&format!("slots {}", launch.slots)).await?;
            for (key, value) in &launch.configuration {
                conversation.ask(&format!("set {key} {value}")).await?;
            }
            conversation.ask("start").await
        };
        match started.await {
            Ok(address) => Ok(Self {
                address,
                directory: launch.directory,
                process: Mutex::new(child),
                conversation: Mutex::new(conversation),
            }),
            Err(failure) => {
                // What the JVM itself says (no memory, an unknown flag) tells more than that its pipe is closed.
                let said = std::fs::read_to_string(&output_file).unwrap_or_default();
                let reason = match (failure, said.lines().find(|line| tells_something(line))) {
                    (HostFailure::Refused(reason), _) | (HostFailure::Lost(reason), None) => reason,
                    (HostFailure::Lost(_), Some(line)) => line.trim().to_owned(),
                };
                Err(FlinkError::Cluster { reason })
            }
        }
    }

    /// Address of the cluster's REST API, without a `/` at its end.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the JVM has not ended.
    pub(super) async fn is_alive(&self) -> bool {
        matches!(self.process.lock().await.try_wait(), Ok(None))
    }

    /// Ends the `TaskManager` and brings up another one.
    pub(super) async fn lose_task_manager(&self) -> Result<(), FlinkError> {
        match self.conversation.lock().await.ask("lose-task-manager").await {
            Ok(_) => Ok(()),
            Err(HostFailure::Refused(reason) | HostFailure::Lost(reason)) => Err(FlinkError::Cluster { reason }),
        }
    }

    /// Ends the JVM at once, and removes the cluster's files. Ends when both are gone.
    pub(super) async fn kill(&self) {
        let mut process = self.process.lock().await;
        let has_ended = matches!(process.try_wait(), Ok(Some(_)));
        if !has_ended && let Err(error) = process.kill().await {
            tracing::warn!(%error, "the JVM of a Flink cluster could not be ended");
        }
        if let Err(error) = tokio::fs::remove_dir_all(&self.directory).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the files of a Flink cluster could not be removed");
        }
    }
}

/// Whether a line of the JVM's output can be the reason of its end.
fn tells_something(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("WARNING")
}

/// Why the host did not do what it was told.
enum HostFailure {
    /// It said why.
    Refused(String),
    /// It said nothing any more.
    Lost(String),
}

impl Conversation {
    /// Sends a line and reads the answer to it: what follows `ready`, nothing after `done`.
    async fn ask(&mut self, command: &str) -> Result<String, HostFailure> {
        let exchange = async {
            self.commands.write_all(format!("{command}\n").as_bytes()).await?;
            self.answers.next_line().await
        };
        let lost = |reason: &str| HostFailure::Lost(reason.to_owned());
        let answer = tokio::time::timeout(DEADLINE, exchange)
            .await
            .map_err(|_| lost("its JVM does not answer"))?
            .map_err(|error| HostFailure::Lost(error.to_string()))?
            .ok_or_else(|| lost("its JVM ended"))?;
        match answer.split_once(' ') {
            None if answer == "done" => Ok(String::new()),
            Some(("ready", address)) => Ok(address.trim_end_matches('/').to_owned()),
            Some(("failed", reason)) => Err(HostFailure::Refused(reason.to_owned())),
            _ => Err(HostFailure::Lost(format!("its JVM answered {answer:?}"))),
        }
    }
}
