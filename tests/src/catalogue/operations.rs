//! What goes wrong with the service's operations, and the rungs of the ladder one by one.

use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Occurrences};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, Restored, RolledBack};
use serde_json::json;

use super::jobs::looks_healthy_for;
use super::{
    FORCE, FORCE_REFUSED, ROLLBACK, ROLLBACK_REFUSED, START, UPDATE, UPDATE_REFUSED, bad, code, configure, crash_loop,
    error, fault, going_live::same_key, good, main_throws,
};
use crate::scenario::{CrashKind, Happening, Planned, Scenario};
use crate::world::App;

/// The whole ladder: rolled back in vain, stopped by force, put back, started.
pub(super) fn whole_ladder() -> Planned {
    code(crash_loop(), Restored, &[UPDATE, ROLLBACK_REFUSED, FORCE, UPDATE, START])
}

/// The service rejects rollbacks.
pub(super) fn no_rollback() -> Happening {
    fault("RollbackApplication", error("InvalidRequestException", 400), Occurrences::Always)
}

fn fails(operation: &str) -> Happening {
    fault(operation, Effect::OperationFails("injected".to_owned()), Occurrences::Always)
}

fn hangs(operation: &str) -> Happening {
    fault(operation, Effect::OperationHangs, Occurrences::Always)
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [refused_starts(), rungs(), lost_code()].concat()
}

fn refused_starts() -> Vec<Scenario> {
    let put_back = [UPDATE, UPDATE, START];
    let refused = |name, about, fault: JobFault| Scenario::new(name, about).deploy(code(fault, Restored, &put_back));
    let system_rollback = || App { system_rollback: true, ..App::default() };
    vec![
        refused(
            "main-throws",
            "The new code's main() throws: the service gives up and leaves the application stopped; it is put back and \
             started from the snapshot that the update took.",
            JobFault::MainThrows,
        ),
        refused(
            "no-execute",
            "The new code's main() ends without execute(): put back and started.",
            JobFault::NoExecute,
        ),
        refused(
            "missing-main-class",
            "The new JAR names no main class: put back and started.",
            JobFault::MissingMainClass,
        ),
        refused("corrupt-jar", "The new code is no JAR at all: put back and started.", JobFault::CorruptJar),
        Scenario::new(
            "system-rollback",
            "The service answers the failed update by itself: its rollback is followed, and no second one is begun.",
        )
        .of(system_rollback())
        .deploy(main_throws(RolledBack, &[UPDATE])),
        Scenario::new(
            "system-rollback-before-the-update-is-known",
            "The Lambda hangs after the update, and the service has rolled it back when it is run again: it is followed.",
        )
        .of(system_rollback())
        .deploy(main_throws(RolledBack, &[UPDATE, UPDATE_REFUSED]).crashing("submit-update", 2, CrashKind::HangsAfter)),
        Scenario::new(
            "system-rollback-fails",
            "The service's own rollback puts the configuration back and fails to start it: it is started by hand.",
        )
        .of(system_rollback())
        .when(0, fails("SystemRollbackApplication"))
        .deploy(main_throws(Restored, &[UPDATE, START])),
        Scenario::new(
            "system-rollback-does-not-see-a-crash-loop",
            "System rollback answers failed operations only; a crash loop is none, and is rolled back from here.",
        )
        .of(system_rollback())
        .deploy(bad()),
    ]
}

fn rungs() -> Vec<Scenario> {
    let skip = json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" });
    let unsnapped = || App { behaviour: JobFault::SnapshotFails.into(), ..App::default() };
    vec![
        Scenario::new("update-never-ends", "The update hangs: after its time-out it is rolled back.")
            .when(0, hangs("UpdateApplication"))
            .deploy(code(Behaviour::healthy(), RolledBack, &[UPDATE, ROLLBACK])),
        Scenario::new(
            "slow-snapshot",
            "The snapshot that the update takes of the old job takes twelve minutes: waited for.",
        )
        .of(App { behaviour: JobFault::SlowSnapshot { seconds: 700 }.into(), ..App::default() })
        .deploy(good()),
        Scenario::new("update-fails", "The service fails the update and stops the application: put back and started.")
            .when(0, fault("UpdateApplication", Effect::OperationFails("injected".to_owned()), Occurrences::First(1)))
            .deploy(code(Behaviour::healthy(), Restored, &[UPDATE, UPDATE, START])),
        Scenario::new("rollback-rejected", "The service rejects the rollback: stopped by force, put back, started.")
            .when(0, no_rollback())
            .deploy(whole_ladder()),
        Scenario::new(
            "rollback-rejected-without-a-snapshot",
            "No snapshot to roll back to, because the request gave the state up: put back, and started without state.",
        )
        .of(App { snapshots_enabled: false, ..App::default() })
        .deploy(whole_ladder().with("restore", skip)),
        Scenario::new(
            "rollback-rejected-and-the-snapshot-is-gone",
            "No rollback, and somebody deleted the only snapshot: nothing is stopped, since its state would be lost.",
        )
        .when(0, no_rollback())
        .when(100, Happening::DeleteSnapshots)
        .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK_REFUSED])),
        Scenario::new(
            "rollback-fails",
            "The rollback puts the configuration back and fails to start it: started by hand.",
        )
        .when(0, fails("RollbackApplication"))
        .deploy(code(crash_loop(), Restored, &[UPDATE, ROLLBACK, START])),
        Scenario::new(
            "rollback-never-ends",
            "The rollback hangs, and while it lasts the service takes no forced stop: a person is asked.",
        )
        .when(0, hangs("RollbackApplication"))
        .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK, FORCE_REFUSED]).patient("operationTimeoutSeconds", 300)),
        Scenario::new("forced-stop-rejected", "No rollback and no forced stop: every way back is barred.")
            .when(0, no_rollback())
            .when(0, fault("StopApplication", error("InvalidRequestException", 400), Occurrences::Always))
            .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK_REFUSED, FORCE_REFUSED])),
        Scenario::new("forced-stop-fails", "No rollback, and the forced stop fails.")
            .when(0, no_rollback())
            .when(0, fails("StopApplication"))
            .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK_REFUSED, FORCE])),
        Scenario::new("forced-stop-never-ends", "No rollback, and the forced stop hangs.")
            .when(0, no_rollback())
            .when(0, hangs("StopApplication"))
            .deploy(code(crash_loop(), NeedsAttention, &[UPDATE, ROLLBACK_REFUSED, FORCE]).patient("operationTimeoutSeconds", 300)),
        Scenario::new("start-back-fails", "All is put back, but the start from the snapshot fails: a person is asked.")
            .when(0, fails("StartApplication"))
            .deploy(main_throws(NeedsAttention, &[UPDATE, UPDATE, START])),
        Scenario::new("start-back-never-ends", "All is put back, but the start hangs: a person is asked.")
            .when(0, hangs("StartApplication"))
            .deploy(main_throws(NeedsAttention, &[UPDATE, UPDATE, START]).patient("operationTimeoutSeconds", 300)),
        Scenario::new(
            "update-cannot-take-its-snapshot-but-there-is-an-older-one",
            "The same where a rollback could be had: it would throw away what the job has done since, so a person is asked.",
        )
        .deploy(code(JobFault::SnapshotFails, Deployed, &[UPDATE]))
        .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE]).at(1_800)),
        Scenario::new(
            "update-cannot-take-its-snapshot",
            "The old job's snapshot fails, so that the update fails before the job is touched; it goes on as it is.",
        )
        .of(unsnapped())
        .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE])),
        Scenario::new(
            "deadline",
            "The deadline passes while the rollback is still verified: a person is asked, in time.",
        )
        .deploy(code(JobFault::SlowRestore { seconds: 20_000 }, NeedsAttention, &[UPDATE, ROLLBACK]).with(
            "policy",
            json!({ "deadlineSeconds": 900, "operationTimeoutSeconds": 300, "settleTimeoutSeconds": 600,
                    "settleSeconds": 150, "bakeSeconds": 0 }),
        )),
    ]
}

fn lost_code() -> Vec<Scenario> {
    let unpinned = || App { is_code_pinned: false, ..App::default() };
    let overwritten = |behaviour: Behaviour| Happening::PutCode { key: "orders-1.jar", behaviour };
    vec![
        Scenario::new(
            "old-code-overwritten",
            "The old code's key was overwritten with something bad; the pinned object version is put back all the same.",
        )
        .when(30, overwritten(crash_loop()))
        .deploy(main_throws(Restored, &[UPDATE, UPDATE, START])),
        Scenario::new(
            "old-code-deleted",
            "The old code is gone from S3 with all its versions, so that it cannot be put back: a person is asked.",
        )
        .when(30, Happening::DeleteCode("orders-1.jar"))
        .deploy(main_throws(NeedsAttention, &[UPDATE, UPDATE_REFUSED])),
        Scenario::new(
            "old-code-deleted-and-a-crash-loop",
            "The old code is gone from S3, but the service has kept a copy: its rollback does not need the bucket.",
        )
        .when(30, Happening::DeleteCode("orders-1.jar"))
        .deploy(bad()),
        Scenario::new(
            "unpinned-code-and-a-crash-loop",
            "The one key was overwritten with a crash loop: the service's copy of the old code comes back.",
        )
        .of(unpinned())
        .when(0, overwritten(crash_loop()))
        .deploy(configure(same_key(), RolledBack, &[UPDATE, ROLLBACK])),
        Scenario::new(
            "only-the-bad-versions-snapshot-is-left",
            "The baseline's snapshots are deleted, and scaling takes one of the bad version: no rollback to that one's state.",
        )
        .when(150, Happening::DeleteSnapshots)
        .when(200, Happening::Autoscale(3))
        .deploy(code(looks_healthy_for(230), NeedsAttention, &[UPDATE])),
        Scenario::new(
            "unpinned-code-does-not-start",
            "The one key was overwritten with code that does not start, and the old content has no name: a person is asked.",
        )
        .of(unpinned())
        .when(0, overwritten(JobFault::MainThrows.into()))
        .deploy(configure(same_key(), NeedsAttention, &[UPDATE])),
    ]
}
