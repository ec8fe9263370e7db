//! Every situation of the suite on a real Flink 1.20 and 2.3, with the real Lambda binaries; see `scenarios::flink_suite`.
//! What each came to, in records, is said on standard error. `cargo xtask e2e` plays the same with a summary.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use emulator::flink::FlinkVersion;
use scenarios::demo::production::find_lambdas;
use scenarios::flink_suite::run::{run, seats};
use scenarios::flink_suite::situations;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;

const VERSIONS: [FlinkVersion; 2] = [FlinkVersion::V1_20, FlinkVersion::V2_3];
/// However many tests a machine runs at a time, it has memory for so many situations.
static SEATS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(seats().div_ceil(VERSIONS.len())));

/// Plays a situation on all versions at a time.
fn plays(name: &str) {
    let directory = Path::new(env!("CARGO_BIN_EXE_e2e")).parent().unwrap();
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
    snapshot_cannot_be_written "snapshot-cannot-be-written"
}
