//! What people do through the same machine: stop, start, restart, and correct a job that crash-loops.

use std::time::Duration;

use emulator::simulated::{Behaviour, JobFault};
use emulator::{Effect, Loss, Occurrences};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, NoChange, Refused, Restored, Superseded};
use serde_json::{Value, json};

use super::{
    FORCE, START, STOP, TEN_SECONDS, UPDATE, UPDATE_REFUSED, change, code, crash_loop, error, fault, lost, parallelism,
    somebody_updates, stopped,
};
use crate::scenario::{CrashKind, Happening, Planned, Scenario};
use crate::world::App;

const START_REFUSED: &str = "StartApplication (refused)";
const RESTARTED: [&str; 2] = [STOP, START];
const CORRECTED: [&str; 3] = [FORCE, UPDATE, START];

fn restart() -> Value {
    json!({ "stop": "graceful", "start": true })
}

fn forced_restart() -> Value {
    json!({ "stop": "force", "start": true })
}

fn named() -> Value {
    json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "manual-0000" })
}

/// Ran well for long enough to have a snapshot, and crash-loops soon after the scenario's beginning.
fn fails_by_now() -> App {
    let behaviour = Behaviour::from(JobFault::FailsLater { seconds: 660 }).restarting(TEN_SECONDS);
    App { behaviour, ..App::default() }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [stops_and_starts(), restarts(), crash_loops(), disturbed()].concat()
}

fn stops_and_starts() -> Vec<Scenario> {
    vec![
        Scenario::new("stop", "The application is stopped with a snapshot.").deploy(change(
            json!({ "stop": "graceful" }),
            Deployed,
            &[STOP],
        )),
        Scenario::new("stop-of-a-stopped-one", "There is nothing to stop.").of(stopped()).deploy(change(
            json!({ "stop": "graceful" }),
            NoChange,
            &[],
        )),
        Scenario::new("stop-without-snapshots", "A graceful stop would lose the state, since snapshots are disabled.")
            .of(App { snapshots_enabled: false, ..App::default() })
            .deploy(change(json!({ "stop": "graceful" }), Refused, &[]).refused_for(&["stop"])),
        Scenario::new(
            "finished-before-the-stop",
            "A bounded job ends by itself right before the stop that was asked for.",
        )
        .of(App { behaviour: JobFault::Bounded { seconds: 630 }.into(), ..App::default() })
        .deploy(change(json!({ "stop": "graceful" }), Deployed, &[]).crashing(
            "force-stop",
            1,
            CrashKind::HangsBefore,
        )),
        Scenario::new("force-stop", "The application is stopped by force.").deploy(change(
            json!({ "stop": "force" }),
            Deployed,
            &[FORCE],
        )),
        Scenario::new("stop-then-start", "The application is stopped, and started again by another execution.")
            .deploy(change(json!({ "stop": "graceful" }), Deployed, &[STOP]))
            .deploy(change(json!({ "start": true }), Deployed, &[START]).at(300)),
        Scenario::new(
            "maintenance-unseen",
            "The service patches a stopped application, and shows it as READY still: its start waits.",
        )
        .when(300, Happening::Maintenance(45))
        .when(300, fault("DescribeApplication", Effect::StaleRead(Duration::from_secs(30)), Occurrences::Always))
        .deploy(change(json!({ "stop": "graceful" }), Deployed, &[STOP]))
        .deploy(change(json!({ "start": true }), Deployed, &[START_REFUSED, START_REFUSED, START]).at(305)),
        Scenario::new(
            "start-after-one-that-failed",
            "The application is shown as it was while an earlier start was under way, which has failed since.",
        )
        .when(0, Happening::Snapshots(1))
        .when(0, fault("StartApplication", Effect::OperationFails("injected".to_owned()), Occurrences::Nth(1)))
        .when(199, fault("DescribeApplication", Effect::StaleRead(Duration::from_secs(150)), Occurrences::Nth(2)))
        .deploy(change(forced_restart(), NeedsAttention, &[FORCE, START]))
        .deploy(change(json!({ "start": true }), Deployed, &[START]).at(200)),
        Scenario::new(
            "correction-seen-late",
            "The application is shown as it was before its stop when it has been stopped and changed: it is still started.",
        )
        .when(0, Happening::Snapshots(1))
        .when(35, fault("DescribeApplication", Effect::StaleRead(Duration::from_mins(1)), Occurrences::Nth(1)))
        .deploy(
            change(forced_restart(), Deployed, &[FORCE, UPDATE, START])
                .with("update", json!({ "ApplicationConfigurationUpdate": parallelism(4) })),
        ),
        Scenario::new("start-of-a-running-one", "The application runs already: its job is looked at, and that is all.")
            .deploy(change(json!({ "start": true }), NoChange, &[])),
        Scenario::new("stop-and-update", "The application is stopped, changed, and stays stopped.").deploy(
            change(json!({ "stop": "graceful" }), Deployed, &[STOP, UPDATE])
                .with("update", json!({ "ApplicationConfigurationUpdate": parallelism(4) })),
        ),
    ]
}

fn restarts() -> Vec<Scenario> {
    vec![
        Scenario::new("restart", "The application is restarted from the snapshot that its stop takes.").deploy(change(
            restart(),
            Deployed,
            &RESTARTED,
        )),
        Scenario::new("restart-by-force", "The application is restarted from the snapshot before.")
            .when(0, Happening::Snapshots(1))
            .deploy(change(forced_restart(), Deployed, &[FORCE, START])),
        Scenario::new("restart-from-a-named-snapshot", "The application is restarted from an older snapshot.")
            .when(0, Happening::Snapshots(2))
            .deploy(change(forced_restart(), Deployed, &[FORCE, START]).with("restore", named())),
        Scenario::new(
            "restart-whose-snapshot-is-deleted",
            "Of what the stop has taken nothing is left, and the latest snapshot is an older version's: no start.",
        )
        .when(1_036, Happening::DeleteNewestSnapshot)
        .deploy(code(Behaviour::healthy(), Deployed, &[UPDATE]))
        .deploy(change(restart(), NeedsAttention, &[STOP]).at(1_000)),
        Scenario::new("restart-by-force-without-a-snapshot", "There would be no state to start from: refused.")
            .deploy(change(forced_restart(), Refused, &[]).refused_for(&["restore.type"])),
        Scenario::new("restart-without-state", "The request gives the state up, and the application begins without.")
            .deploy(
                change(forced_restart(), Deployed, &[FORCE, START])
                    .with("restore", json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" })),
            ),
        Scenario::new("restart-of-a-stopped-one", "The application is stopped already: it is started.")
            .of(stopped())
            .when(
                0,
                super::by_hand(
                    "StartApplication",
                    json!({ "RunConfiguration": { "ApplicationRestoreConfiguration":
                { "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" } } }),
                ),
            )
            .when(0, Happening::Rest)
            .when(0, super::by_hand("StopApplication", json!({})))
            .when(0, Happening::Rest)
            .deploy(change(restart(), Deployed, &[START])),
    ]
}

fn crash_loops() -> Vec<Scenario> {
    let correction = |behaviour: Behaviour, outcome, calls: &[&'static str]| {
        let planned = code(behaviour, outcome, calls).at(120);
        planned.with("stop", json!("force")).with("start", json!(true))
    };
    let with_a_snapshot = |name, about| Scenario::new(name, about).of(fails_by_now()).when(0, Happening::Snapshots(1));
    vec![
        with_a_snapshot("correct-a-crash-loop", "A job that crash-loops is stopped by force, corrected and started.")
            .deploy(correction(Behaviour::healthy(), Deployed, &CORRECTED)),
        with_a_snapshot("correct-a-crash-loop-in-vain", "The correction is worse: what was before is back.")
            .deploy(correction(crash_loop(), Restored, &[FORCE, UPDATE, START, FORCE, UPDATE, START])),
        Scenario::new(
            "correct-a-hanging-update-in-vain",
            "The correction of an update that hangs is worse: what was before is back, and a person has to say what is to run.",
        )
        .when(0, Happening::Snapshots(1))
        .when(0, fault("UpdateApplication", Effect::OperationHangs, Occurrences::Always))
        .when(0, somebody_updates())
        .when(119, Happening::NoFaults)
        .deploy(
            correction(crash_loop(), NeedsAttention, &[FORCE, UPDATE, START, FORCE, UPDATE]).with("restore", named()),
        ),
        with_a_snapshot(
            "correction-refused",
            "The service refuses the correction once the application is stopped: a person is asked.",
        )
        .when(0, fault("UpdateApplication", error("InvalidArgumentException", 400), Occurrences::Always))
        .deploy(correction(Behaviour::healthy(), NeedsAttention, &[FORCE, UPDATE_REFUSED])),
        Scenario::new("stop-update-start-and-undo", "The change is bad: the application runs as before at the end.")
            .when(0, Happening::Snapshots(1))
            .deploy(
                code(crash_loop(), Restored, &[STOP, UPDATE, START, FORCE, UPDATE, START])
                    .with("stop", json!("graceful"))
                    .with("start", json!(true)),
            ),
        with_a_snapshot(
            "stop-of-a-crash-loop",
            "A job that crash-loops takes no snapshot: the stop fails, a person is asked.",
        )
        .deploy(change(json!({ "stop": "graceful" }), NeedsAttention, &[STOP]).at(120)),
        with_a_snapshot("restart-of-a-crash-loop", "It crash-loops again: there is nothing to go back to.").deploy(
            change(forced_restart(), NeedsAttention, &[FORCE, START])
                .with("policy", json!({ "bakeSeconds": 900 }))
                .at(120),
        ),
    ]
}

fn disturbed() -> Vec<Scenario> {
    let restarted = || change(restart(), Deployed, &RESTARTED);
    vec![
        Scenario::new("stop-cuts-a-hanging-update-short", "An update of somebody's never ends: it is ended by force.")
            .when(0, Happening::Snapshots(1))
            .when(0, fault("UpdateApplication", Effect::OperationHangs, Occurrences::Always))
            .when(0, somebody_updates())
            .deploy(change(json!({ "stop": "force" }), Deployed, &[FORCE])),
        Scenario::new("somebody-updates-before-the-stop", "Somebody changes the application before it is stopped.")
            .when(25, somebody_updates())
            .deploy(change(restart(), Superseded, &[]).crashing("force-stop", 1, CrashKind::HangsBefore)),
        Scenario::new(
            "somebody-forces-a-stop-before-the-restart",
            "Somebody stops the application by force before the restart has its snapshot: it would begin without state.",
        )
        .when(25, super::by_hand("StopApplication", json!({ "Force": true })))
        .deploy(change(restart(), NeedsAttention, &[]).crashing("force-stop", 1, CrashKind::HangsBefore)),
        Scenario::new("stop-answer-lost", "The answer to the stop is lost: it is stopped once.")
            .when(0, lost("StopApplication", 1, Loss::ConnectionReset))
            .deploy(change(restart(), Deployed, &["StopApplication (answer lost)", START])),
        Scenario::new("stop-dies-after", "force-stop dies when it has stopped the application: it is stopped once.")
            .deploy(restarted().crashing("force-stop", 1, CrashKind::DiesAfter)),
        Scenario::new("stop-fails-unheard", "The stop fails before anybody heard that it was begun: it is not made twice.")
            .of(App { behaviour: JobFault::SnapshotFails.into(), ..App::default() })
            .deploy(
                change(json!({ "stop": "graceful" }), NeedsAttention, &[STOP])
                    .crashing("force-stop", 1, CrashKind::HangsAfter),
            ),
        Scenario::new(
            "start-unheard-then-stopped",
            "Nobody hears that the start was made, and somebody stops the application then: it is not started again.",
        )
        .when(115, super::by_hand("StopApplication", json!({ "Force": true })))
        .deploy(change(restart(), Superseded, &[STOP, START]).crashing("submit-update", 2, CrashKind::HangsAfter)),
        Scenario::new("restart-by-force-of-another-lineage", "The newest snapshot is older than the start without state.")
            .when(0, Happening::Snapshots(1))
            .deploy(
                change(json!({ "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } }), Deployed, &[UPDATE])
                    .with("update", json!({ "ApplicationConfigurationUpdate": parallelism(4) })),
            )
            .deploy(change(forced_restart(), Refused, &[]).refused_for(&["restore.type"]).at(1_200)),
        Scenario::new("restart-aborted-then-another", "A restart is aborted half-way; another one ends it.")
            .deploy(Planned { abort_after_seconds: Some(20), outcome: None, ..change(restart(), Deployed, &[STOP]) })
            .deploy(change(restart(), Deployed, &[START]).at(30)),
    ]
}
