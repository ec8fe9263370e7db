//! Every situation of the suite on a real Flink 1.20 and 2.3, with the real Lambda binaries; see `scenarios::flink_suite`.
//! What each came to, in records, is said on standard error. `cargo xtask e2e` plays the same with a summary.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use emulator::flink::FlinkVersion;
use scenarios::demo::production::find_lambdas;
use scenarios::flink_suite::run::{run, seats};
use scenarios::flink_suite::situations;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;

#[path = "support/signals.rs"]
mod signals;

const VERSIONS: [FlinkVersion; 2] = [FlinkVersion::V1_20, FlinkVersion::V2_3];
/// However many tests a machine runs at a time, it has memory for so many situations.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(seats().div_ceil(VERSIONS.len())));

const E2E: &str = env!("CARGO_BIN_EXE_e2e");

/// Plays a situation on all versions at a time.
fn plays(name: &str) {
    let directory = Path::new(E2E).parent().unwrap();
    let built = find_lambdas(directory);
    assert!(built.is_ok(), "run `cargo xtask test`, or first `cargo build --workspace --bins`: {built:?}");
    let situation = situations().into_iter().find(|situation| situation.name == name).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wrong = runtime.block_on(async {
        let _seat = SEATS.acquire().await.unwrap();
        let (sender, mut news) = unbounded_channel();
        run(&[situation], &VERSIONS, VERSIONS.len(), directory, sender).await;
        let mut wrong = Vec::new();
        let mut played = 0;
        while let Some(ended) = news.recv().await {
            played += 1;
            // Past what the runner captures: whoever reads the tests' output sees the records. Nobody may.
            let _ = writeln!(io::stderr(), "{}", ended.line());
            wrong.extend(ended.result.err().map(|why| format!("Flink {}: {why}", ended.version.release())));
        }
        assert_eq!(played, VERSIONS.len(), "not all came to an end");
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! situations {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                plays($name);
            }
        )*

        #[test]
        fn every_situation_is_a_test() {
            let named: Vec<_> = situations().iter().map(|situation| situation.name).collect();
            assert_eq!(named, [$($name),*]);
        }
    };
}

situations! {
    healthy_code "healthy-code"
    parallelism "parallelism"
    properties "properties"
    runtime_upgrade "runtime-upgrade"
    slow_restore "slow-restore"
    bounded_job "bounded-job"
    task_manager_lost "task-manager-lost"
    state_of_a_lost_uid_dropped "state-of-a-lost-uid-dropped"
    first_start "first-start"
    named_snapshot "named-snapshot"
    restart "restart"
    restart_from_an_older_snapshot "restart-from-an-older-snapshot"
    stopped_changed_and_started "stopped-changed-and-started"
    main_throws "main-throws"
    missing_main_class "missing-main-class"
    corrupt_jar "corrupt-jar"
    incompatible_uid "incompatible-uid"
    system_rollback "system-rollback"
    crash_in_open "crash-in-open"
    crash_after_seconds "crash-after-seconds"
    incompatible_type "incompatible-type"
    no_restart_strategy "no-restart-strategy"
    checkpoints_fail "checkpoints-fail"
    upgrade_crashes "upgrade-crashes"
    forced_stop_and_restore "forced-stop-and-restore"
    forced_stop_loses_the_tail "forced-stop-loses-the-tail"
    forced_stop_restores_a_scheduled_snapshot "forced-stop-restores-a-scheduled-snapshot"
    snapshot_cannot_be_written "snapshot-cannot-be-written"
}

/// Ends the suite by a signal while a cluster runs, and returns its exit code.
fn end_by(signal: &str) -> Option<i32> {
    let mark = format!("E2E_ENDED_BY={signal}-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut suite = Command::new(E2E);
    suite.args(["--flink", "1.20", "--only", "healthy-code"]).env(name, value);
    // The JVMs whose environment has the mark, or had it where they are at their end.
    let is_cluster =
        |command: &str, environment: &str| environment.contains(&mark) && command.contains("flinkhost.FlinkHost");
    signals::end_by(signal, &mut suite, 1, || signals::processes(is_cluster))
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_ends_the_suite_ends_its_clusters() {
    assert_eq!(end_by("INT"), Some(130));
    assert_eq!(end_by("TERM"), Some(143));
    assert_eq!(end_by("KILL"), None);
}

#[test]
fn the_demo_tells_what_the_state_held() {
    let _seat = tokio::runtime::Runtime::new().unwrap().block_on(SEATS.acquire()).unwrap();
    let demo = ["--flink", "1.20", "--scenario", "crash-loop-in-open", "--speed", "5"];
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).args(demo).output().unwrap();
    let told: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().split_whitespace().collect();
    let told = told.join(" ");
    assert_eq!(output.status.code(), Some(0), "{told}");
    let (before, rest) = told.split_once(" in the state before, ").unwrap_or_else(|| panic!("no records: {told}"));
    let (restored, rest) = rest.split_once(" restored, ").unwrap();
    assert_eq!(before.rsplit(' ').next(), Some(restored), "{told}");
    assert!(rest.contains(" now; each exactly once"), "{told}");
}

#[test]
fn misuse_is_told_in_a_line() {
    let suite = |arguments: &[&str]| Command::new(E2E).args(arguments).output().unwrap();
    let unknown = suite(&["--only", "none"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), "e2e: there is no situation none; --list shows all\n");
    assert_eq!(suite(&["--flink", "1.15"]).status.code(), Some(2));
    let listed = suite(&["--list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), situations().len());
}

#[test]
fn the_documentation_tells_what_each_situation_proves() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/real-flink.md")).unwrap();
    for situation in situations() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", situation.name)));
        let row = row.unwrap_or_else(|| panic!("no row for {}", situation.name));
        assert!(row.contains(&format!("| {} |", situation.outcome)), "{row}");
    }
}
