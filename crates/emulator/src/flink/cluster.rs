//! One application's Flink cluster: a JVM with a `JobManager` and a `TaskManager` in it (`flink-host`), held by its standard
//! input. However this process ends, the pipe ends with it, and so does the JVM. Its standard error is its log.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::FlinkError;
use super::tools::Toolchain;
use crate::data_plane::LogRecord;

/// How long a cluster may take to start, or to replace a `TaskManager`, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_mins(2);
/// How often it is looked whether a JVM that has fallen silent has ended.
const PAUSE: Duration = Duration::from_millis(100);
/// How many lines of what a JVM says beside its log are kept, and how much of each.
const SAID_LINES: usize = 50;
const SAID_CHARACTERS: usize = 500;

/// Takes what a cluster logs.
pub(super) type OnRecord = Arc<dyn Fn(LogRecord) + Send + Sync>;

/// What a cluster is started from.
pub(super) struct Launch<'a> {
    pub(super) toolchain: &'a Toolchain,
    /// Flags of the JVM, without its class path.
    pub(super) jvm_flags: Vec<String>,
    /// Variables of its environment, beside those of this process.
    pub(super) environment: Vec<(&'static str, PathBuf)>,
    /// Flink's configuration.
    pub(super) configuration: BTreeMap<String, String>,
    /// Slots of the `TaskManager`.
    pub(super) slots: u32,
    /// Folder of the cluster's own: it exists, and goes when the cluster goes.
    pub(super) directory: PathBuf,
    /// Version of the application's configuration that the cluster is for.
    pub(super) version: u64,
    pub(super) on_record: OnRecord,
}

/// A running cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    address: String,
    ready_after: Duration,
    directory: PathBuf,
    process: Arc<Process>,
    conversation: Mutex<Conversation>,
}

#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    /// Whether its end is wanted.
    ending: AtomicBool,
}

#[derive(Debug)]
struct Conversation {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    said: Arc<Said>,
}

impl Cluster {
    /// Starts a JVM with a cluster in it; ends when its REST API has an address.
    pub(super) async fn launch(launch: Launch<'_>) -> Result<Self, FlinkError> {
        let io = |source| FlinkError::Io { what: "start the JVM of a Flink cluster", source };
        let begin = Instant::now();
        let class_path = format!("{}:{}/*", launch.toolchain.host_jar.display(), launch.toolchain.flink.display());
        let mut child = Command::new(&launch.toolchain.java)
            // What the JVM logs about itself goes to standard output, which is for answers.
            .arg("-Xlog:disable")
            .args(launch.toolchain.archive.iter().map(|archive| format!("-XX:SharedArchiveFile={}", archive.display())))
            .args(&launch.jvm_flags)
            .args(["-cp", &class_path, "flinkhost.FlinkHost"])
            .current_dir(&launch.directory)
            // Flags from outside would change what the cluster is, and be the first thing that it says.
            .env_remove("JAVA_TOOL_OPTIONS")
            .env_remove("JDK_JAVA_OPTIONS")
            .env_remove("_JAVA_OPTIONS")
            .envs(launch.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        let (Some(commands), Some(answers), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(FlinkError::Cluster { reason: "its JVM has no pipes".to_owned() });
        };
        let process = Arc::new(Process { child: Mutex::new(child), ending: AtomicBool::new(false) });
        let said = Arc::new(Said::default());
        let listener = Listener {
            process: Arc::downgrade(&process),
            said: Arc::clone(&said),
            version: launch.version,
            on_record: launch.on_record,
        };
        let listening = tokio::spawn(listener.listen(stderr));
        let mut conversation =
            Conversation { commands, answers: BufReader::new(answers).lines(), said: Arc::clone(&said) };
        let started = async {
            conversation.ask(&format!("slots {}", launch.slots)).await?;
            for (key, value) in &launch.configuration {
                conversation.ask(&format!("set {key} {value}")).await?;
            }
            conversation.ask("start").await
        };
        let started = started.await;
        match started {
            Ok(address) => {
                let (directory, conversation) = (launch.directory, Mutex::new(conversation));
                Ok(Self { address, ready_after: begin.elapsed(), directory, process, conversation })
            }
            Err(failure) => {
                drop(conversation);
                // One that is lost ends by itself, and its status tells why; the others are still there.
                let status = process.end(!matches!(failure, HostFailure::Lost(_))).await;
                // Ends at once, since the pipe has ended.
                if let Err(error) = listening.await {
                    tracing::warn!(%error, "the log of a Flink cluster was not read to its end");
                }
                // What the JVM itself says (no memory, an unknown flag) tells more than that its pipe is closed.
                let reason = match failure {
                    HostFailure::Refused(reason) | HostFailure::Silent(reason) => reason,
                    HostFailure::Lost(reason) => said.reason_of_the_end(status).unwrap_or(reason),
                };
                Err(FlinkError::Cluster { reason })
            }
        }
    }

    /// Address of the cluster's REST API, without a `/` at its end.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How long it took from the start of the JVM until the REST API answered.
    pub(super) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Whether the JVM has not ended.
    pub(super) async fn is_alive(&self) -> bool {
        matches!(self.process.child.lock().await.try_wait(), Ok(None))
    }

    /// Id of the JVM's process; none once it has ended.
    pub(super) async fn process_id(&self) -> Option<u32> {
        self.process.child.lock().await.id()
    }

    /// Ends the `TaskManager` and brings up another one.
    pub(super) async fn lose_task_manager(&self) -> Result<(), FlinkError> {
        match self.conversation.lock().await.ask("lose-task-manager").await {
            Ok(_) => Ok(()),
            Err(HostFailure::Refused(reason) | HostFailure::Lost(reason) | HostFailure::Silent(reason)) => {
                Err(FlinkError::Cluster { reason })
            }
        }
    }

    /// Lets the JVM end by itself, and waits for that.
    pub(super) async fn retire(self) {
        self.process.ending.store(true, Ordering::Relaxed);
        drop(self.conversation.into_inner());
        let ended = tokio::time::timeout(DEADLINE, self.process.end(false)).await;
        if ended.is_err() {
            tracing::warn!("the JVM of a Flink cluster does not end");
        }
    }

    /// Ends the JVM at once, and removes the cluster's files. Ends when both are gone.
    pub(super) async fn kill(&self) {
        self.process.end(true).await;
        if let Err(error) = tokio::fs::remove_dir_all(&self.directory).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the files of a Flink cluster could not be removed");
        }
    }
}

impl Process {
    /// Sees the JVM ended, by force if asked for; its status, if that can be told.
    async fn end(&self, force: bool) -> Option<ExitStatus> {
        self.ending.store(true, Ordering::Relaxed);
        let mut child = self.child.lock().await;
        if force
            && matches!(child.try_wait(), Ok(None))
            && let Err(error) = child.start_kill()
        {
            tracing::warn!(%error, "the JVM of a Flink cluster could not be ended");
        }
        child.wait().await.ok()
    }
}

/// An entry of the log as `log4j2.properties` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    level: String,
    logger: String,
    thread: String,
    location: String,
    message: String,
    throwable: String,
}

impl Line {
    fn record(self, version: u64) -> LogRecord {
        LogRecord {
            at: None,
            version,
            level: self.level,
            logger: self.logger,
            thread: self.thread,
            location: self.location,
            message: self.message,
            throwable: Some(self.throwable.trim_end().to_owned()).filter(|trace| !trace.is_empty()),
        }
    }
}

/// Reads what a JVM says on its standard error.
struct Listener {
    process: Weak<Process>,
    said: Arc<Said>,
    version: u64,
    on_record: OnRecord,
}

impl Listener {
    async fn listen(self, stderr: ChildStderr) {
        let mut stderr = BufReader::new(stderr);
        let mut bytes = Vec::new();
        // An error of the pipe is its end, too.
        while matches!(stderr.read_until(b'\n', &mut bytes).await, Ok(1..)) {
            match serde_json::from_slice::<Line>(&bytes) {
                Ok(line) => (self.on_record)(line.record(self.version)),
                Err(_) => self.said.add(String::from_utf8_lossy(&bytes).trim_end()),
            }
            bytes.clear();
        }
        if let Some(status) = self.unwanted_end().await {
            let reason = self.said.reason_of_the_end(Some(status)).unwrap_or_else(|| "it gave no reason".to_owned());
            tracing::error!(reason, "the JVM of a Flink cluster has ended by itself");
            (self.on_record)(LogRecord {
                at: None,
                version: self.version,
                level: "ERROR".to_owned(),
                logger: module_path!().to_owned(),
                thread: "main".to_owned(),
                location: String::new(),
                message: format!("The JVM of the Flink cluster has ended by itself: {reason}"),
                throwable: None,
            });
        }
    }
}

impl Listener {
    /// Waits for the end of the JVM; its status, unless the end was wanted.
    async fn unwanted_end(&self) -> Option<ExitStatus> {
        loop {
            let process = self.process.upgrade()?;
            // Not by waiting: whoever ends the JVM needs the lock. A job can close its standard error and go on.
            let ended = process.child.lock().await.try_wait();
            match (process.ending.load(Ordering::Relaxed), ended) {
                (true, _) | (false, Err(_)) => return None,
                (false, Ok(Some(status))) => return Some(status),
                (false, Ok(None)) => {}
            }
            drop(process);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What a JVM said last beside its log.
#[derive(Debug, Default)]
struct Said(StdMutex<VecDeque<String>>);

impl Said {
    fn add(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line.chars().take(SAID_CHARACTERS).collect());
        if lines.len() > SAID_LINES {
            lines.pop_front();
        }
    }

    /// Why the JVM ended, in a line, as far as it or the way it ended tells.
    fn reason_of_the_end(&self, status: Option<ExitStatus>) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason_of_the_end(lines.iter().map(String::as_str), status)
    }
}

fn reason_of_the_end<'a>(said: impl Iterator<Item = &'a str> + Clone, status: Option<ExitStatus>) -> Option<String> {
    /// What a JVM says when it does not get the memory that it needs, from the most telling to the least.
    const NO_MEMORY: [&str; 6] = [
        "Native memory allocation",
        "Could not reserve enough space",
        "insufficient memory for the Java Runtime",
        "unable to create native thread",
        "Cannot allocate memory",
        "java.lang.OutOfMemoryError",
    ];
    /// What stands above the reason, or is none.
    const IDLE: [&str; 4] =
        ["WARNING", "Error occurred during initialization of VM", "Error: Could not create", "[warning]"];
    let trimmed = said.map(|line| line.trim_start_matches(['#', ' ']).trim()).filter(|line| !line.is_empty());
    if let Some(line) = NO_MEMORY.iter().find_map(|text| trimmed.clone().find(|line| line.contains(text))) {
        return Some(format!("there is not enough memory for its JVM: {line}"));
    }
    if status.and_then(|status| status.signal()) == Some(9) {
        return Some("its JVM was killed (signal 9), as the system does when memory runs out".to_owned());
    }
    trimmed.clone().find(|line| !IDLE.iter().any(|text| line.starts_with(text))).map(str::to_owned)
}

/// Why the host did not do what it was told.
enum HostFailure {
    /// It said why.
    Refused(String),
    /// It is there and says nothing.
    Silent(String),
    /// It is not there any more.
    Lost(String),
}

impl Conversation {
    /// Sends a line and reads the answer to it: what follows `ready`, nothing after `done`.
    async fn ask(&mut self, command: &str) -> Result<String, HostFailure> {
        let exchange = async {
            self.commands.write_all(format!("{command}\n").as_bytes()).await?;
            loop {
                let Some(line) = self.answers.next_line().await? else { return Ok(None) };
                if line == "done" {
                    return Ok(Some(Ok(String::new())));
                }
                match line.split_once(' ') {
                    Some(("ready", address)) => return Ok(Some(Ok(address.trim_end_matches('/').to_owned()))),
                    Some(("failed", reason)) => return Ok(Some(Err(HostFailure::Refused(reason.to_owned())))),
                    // The JVM itself says here what keeps it from starting.
                    _ => self.said.add(&line),
                }
            }
        };
        let answer: std::io::Result<_> = tokio::time::timeout(DEADLINE, exchange)
            .await
            .map_err(|_| HostFailure::Silent("its JVM does not answer".to_owned()))?;
        let answer = answer.map_err(|error| HostFailure::Lost(error.to_string()))?;
        answer.unwrap_or_else(|| Err(HostFailure::Lost("its JVM ended".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(said: &str, status: i32) -> Option<String> {
        reason_of_the_end(said.lines(), Some(ExitStatus::from_raw(status)))
    }

    #[test]
    fn want_of_memory_is_told_as_such() {
        let no_heap =
            "Error occurred during initialization of VM\nCould not reserve enough space for 163840KB object heap\n";
        let expected =
            "there is not enough memory for its JVM: Could not reserve enough space for 163840KB object heap";
        assert_eq!(reason(no_heap, 256).as_deref(), Some(expected));
        let no_native = "OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(0x1, 174063616, 0) failed; \
             error='Not enough space' (errno=12)\n#\n# There is insufficient memory for the Java Runtime Environment to \
             continue.\n# Native memory allocation (mmap) failed to map 174063616 bytes for committing reserved memory.\n";
        let expected = "there is not enough memory for its JVM: Native memory allocation (mmap) failed to map 174063616 \
                        bytes for committing reserved memory.";
        assert_eq!(reason(no_native, 256).as_deref(), Some(expected));
        assert!(reason("", 9).unwrap().contains("signal 9"));
    }

    #[test]
    fn other_ends_are_told_by_what_the_jvm_says() {
        let unknown = "WARNING: x\nUnrecognized option: -Xy\nError: Could not create the Java Virtual Machine.\n";
        assert_eq!(reason(unknown, 256).as_deref(), Some("Unrecognized option: -Xy"));
        assert_eq!(reason("", 256), None);
    }

    #[test]
    fn an_entry_of_the_log_is_told_from_what_a_job_prints() {
        let line = r#"{"level":"INFO","logger":"a.B","thread":"main","location":"a.B.c(B.java:1)","message":"x","throwable":""}"#;
        let record = serde_json::from_str::<Line>(line).unwrap().record(2);
        assert_eq!((record.level.as_str(), record.version, record.throwable), ("INFO", 2, None));
        assert!(serde_json::from_str::<Line>(r#"{"level":"INFO","message":"x"}"#).is_err());
    }
}
