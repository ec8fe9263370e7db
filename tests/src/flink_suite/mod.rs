//! Deployments on a real Apache Flink: the shipped definition, the real Lambda binaries and real JARs, one situation after
//! the other. Each is an application of its own whose job counts every record into keyed state, a change to it, what must
//! come of the change, and what must have come of the state; the latter is proven from the job's own ledger, to the
//! record. Situations are data, so that the tests and `cargo xtask e2e` run the same ones.

pub mod arguments;
pub mod ledger;
pub mod play;
pub mod run;
pub mod summary;

use emulator::flink::FlinkVersion;
use lifecycle::report::Outcome;
use serde_json::{Value, json};

const UPDATE: &str = "UpdateApplication";
const START: &str = "StartApplication";
const ROLLBACK: &str = "RollbackApplication";
const ROLLBACK_REFUSED: &str = "RollbackApplication (refused)";
const STOP: &str = "StopApplication";
const FORCE: &str = "StopApplication by force";

/// Tasks of a vertex before a change of the parallelism, and after it.
const PARALLELISM: u32 = 2;
const MORE_PARALLELISM: u32 = 3;

/// What is changed of the application. The code is always put into the bucket anew, as a release would be.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The new code: a variant of the fault jobs (`tests/flink-jobs`).
    pub code: Option<&'static str>,
    /// A new parallelism.
    pub parallelism: Option<u32>,
    /// Runtime properties beside those that the application has.
    pub properties: Vec<(&'static str, &'static str)>,
    /// Whether the ledger goes to another file, as a runtime property says.
    pub is_ledger_moved: bool,
    /// Whether the runtime is the version under test, where the application has one before it.
    pub is_runtime_upgraded: bool,
    /// Whether the input ends soon after what has been counted already.
    pub is_input_ended: bool,
    /// Members of the input beside `application` and `update`.
    pub input: Value,
}

/// What has gone on before the change, or goes wrong meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circumstance {
    /// The application was never started.
    NeverStarted,
    /// A snapshot of the name [`SNAPSHOT`] was taken, and much was counted since.
    OlderSnapshot,
    /// A scheduled run has taken a snapshot, and much was counted since.
    ScheduledSnapshot,
    /// No savepoint can be written from now on.
    Unwritable,
    /// Somebody deletes the snapshot that the update has taken.
    UpdatesSnapshotDeleted,
    /// The service refuses to roll back.
    RollbackRefused,
    /// The service rolls failed operations back by itself.
    SystemRollback,
    /// A machine of the application dies once the new job has taken a checkpoint.
    LosesTaskManager,
}

/// Name of the snapshot that somebody has taken by hand.
pub const SNAPSHOT: &str = "by-hand";

/// What must have come of the state; as [`ledger::Proof`], before it is known what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// [`ledger::Proof::Kept`].
    Kept,
    /// [`ledger::Proof::Returned`].
    Returned,
    /// [`ledger::Proof::WentBackTo`] the snapshot that was taken before, by hand or by schedule.
    WentBackToSnapshot,
    /// [`ledger::Proof::Untouched`].
    Untouched,
    /// [`ledger::Proof::Began`].
    Began,
    /// [`ledger::Proof::CountersDropped`].
    CountersDropped,
    /// [`ledger::Proof::Ended`] where the change says.
    Ended,
    /// [`ledger::Proof::Recovered`].
    Recovered,
}

/// A situation.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Its name, for the command line and the tests.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// What holds around the change.
    pub circumstances: Vec<Circumstance>,
    /// The change.
    pub change: Change,
    /// What must come of it.
    pub outcome: Outcome,
    /// The changing calls that the deployment may make, in order, written as in [`crate::scenario::Planned::calls`].
    pub calls: Vec<&'static str>,
    /// What must have come of the state.
    pub state: State,
}

impl Situation {
    fn new(name: &'static str, about: &'static str, change: Change) -> Self {
        let (outcome, calls, state) = (Outcome::Deployed, vec![UPDATE], State::Kept);
        Self { name, about, circumstances: Vec::new(), change, outcome, calls, state }
    }

    fn given(mut self, circumstances: &[Circumstance]) -> Self {
        self.circumstances = circumstances.to_vec();
        self
    }

    fn ends(mut self, outcome: Outcome, calls: &[&'static str], state: State) -> Self {
        (self.outcome, self.calls, self.state) = (outcome, calls.to_vec(), state);
        self
    }

    /// The job never comes to run: the operation fails, and the configuration is put back by hand.
    fn ends_put_back(self) -> Self {
        self.ends(Outcome::Restored, &[UPDATE, UPDATE, START], State::Kept)
    }

    /// The job runs, and runs badly: the service rolls back.
    fn ends_rolled_back(self) -> Self {
        self.ends(Outcome::RolledBack, &[UPDATE, ROLLBACK], State::Returned)
    }

    /// Whether something holds.
    pub fn has(&self, circumstance: Circumstance) -> bool {
        self.circumstances.contains(&circumstance)
    }

    /// The version that the application has before, where this one is under test.
    pub fn version_before(&self, tested: FlinkVersion) -> FlinkVersion {
        let before = match tested {
            FlinkVersion::V1_20 | FlinkVersion::V2_2 => FlinkVersion::V1_20,
            FlinkVersion::V2_3 => FlinkVersion::V2_2,
        };
        if self.change.is_runtime_upgraded { before } else { tested }
    }

    /// The version that the change asks for.
    pub fn version_asked_for(&self, tested: FlinkVersion) -> FlinkVersion {
        let is_oldest = self.change.is_runtime_upgraded && tested == FlinkVersion::V1_20;
        if is_oldest { FlinkVersion::V2_3 } else { tested }
    }
}

/// All situations.
pub fn situations() -> Vec<Situation> {
    [good_changes(), by_hand(), refused_jobs(), bad_jobs(), ways_back()].concat()
}

fn code(variant: &'static str) -> Change {
    Change { code: Some(variant), ..Change::default() }
}

/// New code that takes so many seconds for what it does.
fn timed(variant: &'static str, seconds: &'static str) -> Change {
    Change { properties: vec![("after.seconds", seconds)], ..code(variant) }
}

fn good_changes() -> Vec<Situation> {
    let skip = json!({ "start": true, "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } });
    let named = json!({ "restore": { "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": SNAPSHOT } });
    let dropped = json!({ "restore": { "type": "RESTORE_FROM_LATEST_SNAPSHOT", "allowNonRestoredState": true } });
    let changed = Change::default;
    vec![
        Situation::new("healthy-code", "New code that is well.", code("healthy")),
        Situation::new(
            "parallelism",
            "Another parallelism: the keyed state is spread anew.",
            Change { parallelism: Some(MORE_PARALLELISM), ..changed() },
        ),
        Situation::new(
            "properties",
            "Another runtime property: the ledger goes to another file.",
            Change { is_ledger_moved: true, ..changed() },
        ),
        Situation::new(
            "runtime-upgrade",
            "The next runtime, with the state of the one before.",
            Change { is_runtime_upgraded: true, ..code("healthy") },
        ),
        Situation::new(
            "slow-restore",
            "New code that takes ten seconds to restore its state.",
            timed("slow-init", "10"),
        ),
        Situation::new(
            "bounded-job",
            "New code that comes to the end of its input.",
            Change { is_input_ended: true, ..code("bounded") },
        )
        .ends(Outcome::Deployed, &[UPDATE], State::Ended),
        Situation::new(
            "task-manager-lost",
            "A machine of the application dies once while the new code is watched: one restart is forgiven.",
            code("healthy"),
        )
        .given(&[Circumstance::LosesTaskManager])
        .ends(Outcome::Deployed, &[UPDATE], State::Recovered),
        Situation::new(
            "state-of-a-lost-uid-dropped",
            "The counters have another uid, and their state may be dropped.",
            Change { input: dropped, ..code("removed-uid") },
        )
        .ends(Outcome::Deployed, &[UPDATE], State::CountersDropped),
        Situation::new(
            "first-start",
            "The first start ever, without state.",
            Change { input: skip, ..code("healthy") },
        )
        .given(&[Circumstance::NeverStarted])
        .ends(Outcome::Deployed, &[UPDATE, START], State::Began),
        Situation::new(
            "named-snapshot",
            "New code, with the state of an older snapshot.",
            Change { input: named, ..code("healthy") },
        )
        .given(&[Circumstance::OlderSnapshot])
        .ends(Outcome::Deployed, &[UPDATE], State::WentBackToSnapshot),
    ]
}

fn by_hand() -> Vec<Situation> {
    let restarted = |input| Change { input, ..Change::default() };
    let named = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": SNAPSHOT });
    vec![
        Situation::new(
            "restart",
            "No change: the application is stopped with a snapshot, and started again.",
            restarted(json!({ "stop": "graceful", "start": true })),
        )
        .ends(Outcome::Deployed, &[STOP, START], State::Kept),
        Situation::new(
            "restart-from-an-older-snapshot",
            "No change: the application is stopped by force, and started from a named snapshot.",
            restarted(json!({ "stop": "force", "start": true, "restore": named })),
        )
        .given(&[Circumstance::OlderSnapshot])
        .ends(Outcome::Deployed, &[FORCE, START], State::WentBackToSnapshot),
        Situation::new(
            "stopped-changed-and-started",
            "New code for an application that is stopped by force first, as one has to that cannot take a snapshot.",
            Change { input: json!({ "stop": "force", "start": true }), ..code("healthy") },
        )
        .given(&[Circumstance::ScheduledSnapshot])
        .ends(Outcome::Deployed, &[FORCE, UPDATE, START], State::WentBackToSnapshot),
    ]
}

fn refused_jobs() -> Vec<Situation> {
    let refused = |name, about, variant| Situation::new(name, about, code(variant)).ends_put_back();
    vec![
        refused("main-throws", "The new code's main() throws.", "main-throws"),
        refused("missing-main-class", "The new JAR's main class is not in it.", "missing-main-class"),
        refused("corrupt-jar", "The new code is no JAR at all.", "not-a-zip"),
        refused(
            "incompatible-uid",
            "The counters have another uid, and their state may not be dropped.",
            "removed-uid",
        ),
        Situation::new(
            "system-rollback",
            "The new code's main() throws, and the service goes back by itself.",
            code("main-throws"),
        )
        .given(&[Circumstance::SystemRollback])
        .ends(Outcome::RolledBack, &[UPDATE], State::Kept),
    ]
}

fn bad_jobs() -> Vec<Situation> {
    let upgrade = Change { is_runtime_upgraded: true, ..timed("fails-after", "2") };
    vec![
        Situation::new("crash-in-open", "The new code throws in open(), at every start.", code("open-fails"))
            .ends_rolled_back(),
        Situation::new(
            "crash-after-seconds",
            "The new code runs and counts for two seconds, and fails then, again and again.",
            timed("fails-after", "2"),
        )
        .ends_rolled_back(),
        Situation::new("incompatible-type", "The counters' state has another type.", code("incompatible-type"))
            .ends_rolled_back(),
        Situation::new(
            "no-restart-strategy",
            "The new code fails after two seconds and is not restarted.",
            timed("no-restart", "2"),
        )
        .ends_rolled_back(),
        Situation::new("checkpoints-fail", "The new code fails at every checkpoint.", code("snapshot-fails"))
            .ends_rolled_back(),
        Situation::new("upgrade-crashes", "The next runtime, with code that fails after two seconds.", upgrade)
            .ends_rolled_back(),
    ]
}

fn ways_back() -> Vec<Situation> {
    vec![
        Situation::new(
            "forced-stop-and-restore",
            "The new code fails after two seconds, and the service refuses to roll back.",
            timed("fails-after", "2"),
        )
        .given(&[Circumstance::RollbackRefused])
        .ends(Outcome::Restored, &[UPDATE, ROLLBACK_REFUSED, FORCE, UPDATE, START], State::Returned),
        Situation::new(
            "forced-stop-loses-the-tail",
            "The same, and the snapshot that the update took is gone: back to the one before.",
            timed("fails-after", "2"),
        )
        .given(&[Circumstance::OlderSnapshot, Circumstance::UpdatesSnapshotDeleted, Circumstance::RollbackRefused])
        .ends(Outcome::Restored, &[UPDATE, ROLLBACK_REFUSED, FORCE, UPDATE, START], State::WentBackToSnapshot),
        Situation::new(
            "forced-stop-restores-a-scheduled-snapshot",
            "The same, and the newest snapshot left is the one that a scheduled run has taken.",
            timed("fails-after", "2"),
        )
        .given(&[Circumstance::ScheduledSnapshot, Circumstance::UpdatesSnapshotDeleted, Circumstance::RollbackRefused])
        .ends(Outcome::Restored, &[UPDATE, ROLLBACK_REFUSED, FORCE, UPDATE, START], State::WentBackToSnapshot),
        Situation::new(
            "snapshot-cannot-be-written",
            "The update cannot write its savepoint: the old job goes on, and is not sent back to an older snapshot.",
            code("healthy"),
        )
        .given(&[Circumstance::OlderSnapshot, Circumstance::Unwritable])
        .ends(Outcome::NeedsAttention, &[UPDATE], State::Untouched),
    ]
}
