//! Real Apache Flink behind the data plane: real JVMs, real JARs, real savepoints. The first run on a machine fetches
//! Flink. Everything here waits for what has to happen with a deadline that only a hang reaches, and measures no time.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

#[path = "support/ledger.rs"]
mod ledger;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use emulator::data_plane::{CodeObject, DataPlane, JobMetrics, JobSpec, JobState, SnapshotHandle};
use emulator::flink::{FlinkDataPlane, FlinkOptions, FlinkVersion, default_tools_directory, job_jars};
use serde_json::Value;
use tempfile::TempDir;

use ledger::Entry;

const DEADLINE: Duration = Duration::from_mins(2);
const APPLICATION: &str = "orders";

/// A data plane with one application's job on it, and the file that the job's ledger writes.
struct Bench {
    plane: FlinkDataPlane,
    jars: BTreeMap<String, PathBuf>,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let options = FlinkOptions {
            versions: vec![FlinkVersion::V1_20],
            restart_delay: Duration::from_millis(200),
            ..FlinkOptions::default()
        };
        Self::with(options).await
    }

    async fn with(options: FlinkOptions) -> Self {
        let jars = job_jars(&default_tools_directory()).await.unwrap();
        let plane = FlinkDataPlane::launch(options).await.unwrap();
        Self { plane, jars, folder: tempfile::tempdir().unwrap() }
    }

    fn spec(&self, variant: &str) -> JobSpec {
        let content = std::fs::read(&self.jars[variant]).unwrap();
        let ledger = self.folder.path().join("ledger.jsonl").display().to_string();
        let settings = [("ledger.file", ledger.as_str()), ("after.seconds", "1"), ("records", "20")];
        JobSpec {
            application: APPLICATION.to_owned(),
            version: 1,
            runtime: "FLINK-1_20".to_owned(),
            code: CodeObject {
                bucket: "code".to_owned(),
                key: format!("{variant}.jar"),
                object_version: None,
                content: Bytes::from(content),
            },
            parallelism: 2,
            checkpoint_interval: Some(Duration::from_millis(200)),
            properties: BTreeMap::from([(
                "Job".to_owned(),
                settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            )]),
            restore_from: None,
            allow_non_restored_state: false,
        }
    }

    fn ledger(&self) -> Vec<Entry> {
        ledger::read(self.folder.path())
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.plane.rest(APPLICATION, path).await;
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Tasks per state of each vertex, once the job is RUNNING with all of them RUNNING.
    async fn until_healthy(&self) -> Value {
        until("the job is healthy", async || {
            let overview = self.get("/jobs/overview").await;
            let id = overview.pointer("/jobs/0/jid").and_then(Value::as_str)?;
            let job = self.get(&format!("/jobs/{id}")).await;
            let healthy =
                job["vertices"].as_array()?.iter().all(|vertex| vertex["tasks"]["RUNNING"] == vertex["parallelism"]);
            (job["state"] == "RUNNING" && healthy && !job["vertices"].as_array()?.is_empty()).then_some(job)
        })
        .await
    }

    async fn until_metrics(&self, what: &str, wanted: impl Fn(&JobMetrics) -> bool) -> JobMetrics {
        until(what, async || self.plane.metrics(APPLICATION).await.filter(&wanted)).await
    }

    async fn until_state(&self, wanted: JobState) {
        until("the job is in the wanted state", async || {
            (self.plane.job_state(APPLICATION).await == Some(wanted)).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.plane.shut_down().await;
    }
}

async fn until<T>(what: &str, attempt: impl AsyncFn() -> Option<T>) -> T {
    let tries = async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, tries).await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn restored_from(spec: JobSpec, version: u64, snapshot: &SnapshotHandle) -> JobSpec {
    JobSpec { version, restore_from: Some(snapshot.clone()), ..spec }
}

#[tokio::test]
async fn an_update_keeps_the_state_exactly() {
    let bench = Bench::new().await;
    let first = bench.spec("healthy");
    bench.plane.start(&first).await.unwrap();
    let job = bench.until_healthy().await;
    let parallelisms: Vec<_> =
        job["vertices"].as_array().unwrap().iter().map(|vertex| &vertex["parallelism"]).collect();
    assert_eq!(parallelisms, [2, 2, 1]);
    bench.until_metrics("a checkpoint is completed", |metrics| metrics.completed_checkpoints > 0).await;
    assert_eq!(bench.plane.job_state(APPLICATION).await, Some(JobState::Active));

    // The new cluster is made while the old job still runs.
    let second = JobSpec { version: 2, parallelism: 4, ..bench.spec("healthy") };
    bench.plane.prepare(&second).await.unwrap();
    assert_eq!(bench.until_healthy().await["jid"], job["jid"]);
    let snapshot = bench.plane.stop_with_snapshot(APPLICATION).await.unwrap();
    let stopped = bench.ledger().last().unwrap().clone();
    assert_eq!(bench.plane.rest(APPLICATION, "/jobs").await.status, 503);
    assert_eq!(bench.plane.job_state(APPLICATION).await, None);

    bench.plane.start(&restored_from(second, 2, &snapshot)).await.unwrap();
    let job = bench.until_healthy().await;
    assert_eq!(job["vertices"][1]["parallelism"], 4);
    let counted = until("the counter goes on", async || {
        bench.ledger().into_iter().find(|entry| entry.event == "snapshot" && entry.counted > stopped.counted)
    })
    .await;

    assert!(stopped.is_exact() && stopped.counted > 0, "{stopped:?}");
    let restored = bench.ledger().into_iter().find(|entry| entry.event == "restored").unwrap();
    assert_eq!(restored, Entry { event: "restored".to_owned(), ..stopped });
    assert!(counted.is_exact(), "{counted:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_snapshot_of_a_running_job_can_be_restored_and_discarded() {
    let bench = Bench::new().await;
    bench.plane.start(&bench.spec("healthy")).await.unwrap();
    bench.until_healthy().await;
    let snapshot = bench.plane.snapshot(APPLICATION).await.unwrap();
    assert_eq!(bench.plane.job_state(APPLICATION).await, Some(JobState::Active));
    bench.plane.cancel(APPLICATION).await;
    assert_eq!(bench.plane.job_state(APPLICATION).await, None);

    // A uid that the snapshot's state does not fit is refused, unless it is allowed.
    let removed = restored_from(bench.spec("removed-uid"), 2, &snapshot);
    let refusal = bench.plane.start(&removed).await.unwrap_err();
    assert!(refusal.0.contains("Cannot map checkpoint/savepoint state"), "{refusal:?}");
    assert_eq!(bench.plane.rest(APPLICATION, "/jobs").await.status, 503);
    bench.plane.start(&JobSpec { allow_non_restored_state: true, ..removed }).await.unwrap();
    bench.until_healthy().await;
    bench.plane.cancel(APPLICATION).await;

    bench.plane.discard_snapshot(&snapshot).await;
    let refusal = bench.plane.start(&restored_from(bench.spec("healthy"), 3, &snapshot)).await.unwrap_err();
    assert!(refusal.0.contains("Cannot find checkpoint or savepoint"), "{refusal:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_job_that_cannot_be_submitted_is_refused_with_its_cause() {
    let bench = Bench::new().await;
    for (variant, cause) in [
        ("main-throws", "java.lang.IllegalStateException: injected: main throws"),
        ("no-execute", "No jobs included in application"),
        ("system-exit", "UserSystemExitException"),
        ("missing-main-class", "faultjobs.Absent"),
        ("no-main-class", "Neither a 'Main-Class'"),
        ("not-a-zip", "java.util.zip.ZipException"),
    ] {
        let refusal = bench.plane.start(&bench.spec(variant)).await.unwrap_err();
        assert!(refusal.0.contains(cause), "{variant}: {refusal:?}");
        assert_eq!(bench.plane.job_state(APPLICATION).await, None, "{variant}");
    }
    let unknown = JobSpec { runtime: "FLINK-1_15".to_owned(), ..bench.spec("healthy") };
    let refusal = bench.plane.start(&unknown).await.unwrap_err();
    assert_eq!(refusal.0, "Flink FLINK-1_15 is not carried: choose one of 1.20, 2.2, 2.3");
    bench.end().await;
}

#[tokio::test]
async fn jobs_that_fail_are_seen_to_fail() {
    let bench = Bench::new().await;
    for variant in ["open-fails", "fails-after"] {
        bench.plane.start(&bench.spec(variant)).await.unwrap();
        bench.until_metrics("the job restarts again and again", |metrics| metrics.restarts >= 2).await;
        assert_eq!(bench.plane.job_state(APPLICATION).await, Some(JobState::Active), "{variant}");
    }
    // The state of the counter cannot be read as another type: accepted, then a loop.
    bench.plane.start(&bench.spec("healthy")).await.unwrap();
    bench.until_healthy().await;
    bench.until_metrics("a checkpoint is completed", |metrics| metrics.completed_checkpoints > 0).await;
    let snapshot = bench.plane.stop_with_snapshot(APPLICATION).await.unwrap();
    bench.plane.start(&restored_from(bench.spec("incompatible-type"), 2, &snapshot)).await.unwrap();
    bench.until_metrics("the job restarts", |metrics| metrics.restarts >= 1).await;

    bench.plane.start(&bench.spec("no-restart")).await.unwrap();
    bench.until_state(JobState::Failed).await;
    bench.plane.start(&bench.spec("bounded")).await.unwrap();
    bench.until_state(JobState::Finished).await;
    bench.end().await;
}

#[tokio::test]
async fn a_snapshot_that_fails_is_an_error_and_the_job_stays() {
    let bench = Bench::new().await;
    let spec = JobSpec { checkpoint_interval: None, ..bench.spec("snapshot-fails") };
    bench.plane.start(&spec).await.unwrap();
    bench.until_healthy().await;
    let failure = bench.plane.stop_with_snapshot(APPLICATION).await.unwrap_err();
    // Flink names either the task's exception or the restart that it leads to.
    assert!(failure.0.contains("CheckpointException") || failure.0.contains("injected"), "{failure:?}");
    assert_eq!(bench.plane.job_state(APPLICATION).await, Some(JobState::Active));
    bench.end().await;
}

#[tokio::test]
async fn a_lost_task_manager_is_replaced_and_nothing_is_lost() {
    let bench = Bench::new().await;
    bench.plane.start(&bench.spec("healthy")).await.unwrap();
    bench.until_metrics("a checkpoint is completed", |metrics| metrics.completed_checkpoints > 0).await;
    bench.plane.lose_task_manager(APPLICATION).await;
    let restored =
        until("the job is restored", async || bench.ledger().into_iter().find(|entry| entry.event == "restored")).await;
    assert!(restored.is_exact(), "{restored:?}");
    bench.until_healthy().await;
    bench.until_metrics("the restart is counted", |metrics| metrics.restarts > 0).await;
    bench.end().await;
}

#[tokio::test]
async fn a_cluster_that_cannot_start_is_an_error_of_one_line() {
    let options = FlinkOptions {
        configuration: BTreeMap::from([("taskmanager.memory.network.max".to_owned(), "much".to_owned())]),
        ..FlinkOptions::default()
    };
    let bench = Bench::with(options).await;
    let failure = bench.plane.prepare(&bench.spec("healthy")).await.unwrap_err();
    assert!(failure.0.contains("taskmanager.memory.network.max"), "{failure:?}");
    assert_eq!(failure.0.lines().count(), 1, "{failure:?}");
    bench.end().await;
}

#[tokio::test]
async fn want_of_memory_is_told_in_one_line_and_leaves_nothing() {
    let options = FlinkOptions { jvm_flags: vec!["-Xmx200000g".to_owned()], ..FlinkOptions::default() };
    let bench = Bench::with(options).await;
    let failure = bench.plane.prepare(&bench.spec("healthy")).await.unwrap_err();
    let text = "the Flink cluster failed: there is not enough memory for its JVM: Could not reserve enough space";
    assert!(failure.0.starts_with(text), "{failure:?}");
    assert_eq!(failure.0.lines().count(), 1, "{failure:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_shared_properties_file_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let options =
        FlinkOptions { shared_properties_file: Some(file.join("properties.json")), ..FlinkOptions::default() };
    let refusal = FlinkDataPlane::launch(options).await.unwrap_err().to_string();
    assert!(
        refusal.starts_with("cannot write the runtime properties to ") && refusal.lines().count() == 1,
        "{refusal}"
    );
}

/// The same binary runs one of the tests above, and is killed in the midst of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn killing_the_emulator_leaves_no_jvm() {
    fn processes_of(folder: &Path) -> usize {
        let folder = folder.display().to_string();
        let entries = std::fs::read_dir("/proc").unwrap();
        entries
            .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
            .filter(|command| String::from_utf8_lossy(command).contains(&folder))
            .count()
    }

    // So that what may have to be fetched is there before the clock runs.
    Bench::new().await.end().await;
    let folder = tempfile::tempdir().unwrap();
    let mut emulator = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs_that_fail_are_seen_to_fail"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("a JVM runs", async || (processes_of(folder.path()) > 0).then_some(())).await;
    assert!(emulator.try_wait().unwrap().is_none());
    emulator.kill().unwrap();
    emulator.wait().unwrap();
    until("the JVM is gone", async || (processes_of(folder.path()) == 0).then_some(())).await;
}

/// Runs the fetching script with pip set up in some way; returns what it said last.
fn fetch_fails(into: &Path, what: &[&str], settings: &[(&str, &str)]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("flink-host").join("fetch.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--into").arg(into).args(what);
    let fetched = command.envs(settings.iter().copied()).output().unwrap();
    assert_eq!(fetched.status.code(), Some(1));
    let kept = std::fs::read_dir(into)
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() != ".fetch.lock"));
    assert_eq!(kept.count(), 0);
    String::from_utf8(fetched.stderr).unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn an_archive_that_is_not_the_pinned_one_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (links, tools) = (folder.path().join("links"), folder.path().join("tools"));
    std::fs::create_dir(&links).unwrap();
    std::fs::write(links.join("apache_flink_libraries-1.20.5.tar.gz"), "not Flink").unwrap();
    let said = fetch_fails(&tools, &["--flink", "1.20.5"], &[("PIP_FIND_LINKS", links.to_str().unwrap())]);
    assert!(said.starts_with("error: hash mismatch: sha256 of apache_flink_libraries-1.20.5.tar.gz is "), "{said}");
}

#[test]
fn a_package_index_that_cannot_be_reached_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago, and where nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let index = format!("http://user:secret@127.0.0.1:{port}/simple");
    let settings = [("PIP_INDEX_URL", index.as_str()), ("PIP_FIND_LINKS", ""), ("no_proxy", "127.0.0.1")];
    for (what, text) in [
        (["--flink", "1.20.5"].as_slice(), "error: cannot fetch flink-1.20.5 from the package index: "),
        (
            &["--ignore-installed-java"],
            "error: no Java 17 to 23 is installed, and none can be fetched: cannot fetch java-21.0.8.2 from the package \
             index: ",
        ),
    ] {
        let said = fetch_fails(folder.path(), what, &settings);
        assert!(said.starts_with(text), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn the_committed_jars_are_what_their_sources_give() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("flink-host").join("build.py");
    let checked = Command::new("python3").arg(script).arg("check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
