//! What is run twice: lost answers, Lambdas that die or hang, executions that are aborted, redriven or doubled.

use emulator::Loss::{ConnectionReset, ServerError};
use emulator::simulated::Behaviour;
use emulator::{Effect, Occurrences};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, NoChange, Restored, RolledBack, Superseded};
use serde_json::json;
use std::time::Duration;

use super::operations::{no_rollback, whole_ladder};
use super::{
    FORCE, ROLLBACK, ROLLBACK_REFUSED, START, STOP, UPDATE, UPDATE_REFUSED, bad, change, code, crash_loop, fault, good,
    lost, main_throws,
};
use crate::scenario::{CrashKind, Happening, Planned, Scenario};
use crate::world::App;

const UPDATE_LOST: &str = "UpdateApplication (answer lost)";
const ROLLBACK_LOST: &str = "RollbackApplication (answer lost)";
const FORCE_LOST: &str = "StopApplication by force (answer lost)";
const START_LOST: &str = "StartApplication (answer lost)";

pub(super) fn scenarios() -> Vec<Scenario> {
    [lost_answers(), lambdas(), executions()].concat()
}

fn lost_answers() -> Vec<Scenario> {
    let update = || code(Behaviour::healthy(), Deployed, &[UPDATE_LOST]);
    let rollback = || code(crash_loop(), RolledBack, &[UPDATE, ROLLBACK_LOST]);
    let stop = || code(crash_loop(), Restored, &[UPDATE, ROLLBACK_REFUSED, FORCE_LOST, UPDATE, START]);
    let put_back = || main_throws(Restored, &[UPDATE, UPDATE_LOST, START]);
    let start = || main_throws(Restored, &[UPDATE, UPDATE, START_LOST]);
    vec![
        Scenario::new("update-answer-lost", "The update is made, but answered with a server error: it is adopted.")
            .when(0, lost("UpdateApplication", 1, ServerError))
            .deploy(update()),
        Scenario::new("update-connection-reset", "The update is made, and the connection breaks: it is adopted.")
            .when(0, lost("UpdateApplication", 1, ConnectionReset))
            .deploy(update()),
        Scenario::new(
            "update-answer-lost-and-an-old-list",
            "The connection breaks, and the list of operations does not show the update yet: it is adopted when it does.",
        )
        .when(0, lost("UpdateApplication", 1, ConnectionReset))
        .when(0, fault("ListApplicationOperations", Effect::StaleRead(Duration::from_secs(10)), Occurrences::First(2)))
        .deploy(code(Behaviour::healthy(), Deployed, &[UPDATE_LOST, UPDATE_REFUSED, UPDATE_REFUSED])),
        Scenario::new(
            "update-forgotten",
            "submit-update dies when it has updated the application, which is described as before then: it is adopted.",
        )
        .when(0, fault("DescribeApplication", Effect::StaleRead(Duration::from_mins(1)), Occurrences::Nth(2)))
        .deploy(code(Behaviour::healthy(), Deployed, &[UPDATE, UPDATE_REFUSED, UPDATE_REFUSED]).crashing(
            "submit-update",
            2,
            CrashKind::DiesAfter,
        )),
        Scenario::new("rollback-answer-lost", "The rollback is made, but answered with a server error: no second one.")
            .when(0, lost("RollbackApplication", 1, ServerError))
            .deploy(rollback()),
        Scenario::new("rollback-connection-reset", "The rollback is made, and the connection breaks: no second one.")
            .when(0, lost("RollbackApplication", 1, ConnectionReset))
            .deploy(rollback()),
        Scenario::new("forced-stop-answer-lost", "The forced stop is made, but answered with a server error.")
            .when(0, no_rollback())
            .when(0, lost("StopApplication", 1, ServerError))
            .deploy(stop()),
        Scenario::new("forced-stop-connection-reset", "The forced stop is made, and the connection breaks.")
            .when(0, no_rollback())
            .when(0, lost("StopApplication", 1, ConnectionReset))
            .deploy(stop()),
        Scenario::new("put-back-answer-lost", "The configuration is put back, but answered with a server error.")
            .when(0, lost("UpdateApplication", 2, ServerError))
            .deploy(put_back()),
        Scenario::new("put-back-connection-reset", "The configuration is put back, and the connection breaks.")
            .when(0, lost("UpdateApplication", 2, ConnectionReset))
            .deploy(put_back()),
        Scenario::new(
            "unpinned-put-back-dies",
            "The Lambda that puts code back under another key, of which no version is known, dies when that is done.",
        )
        .of(App { is_code_pinned: false, ..App::default() })
        .deploy(main_throws(Restored, &[UPDATE, UPDATE, UPDATE_REFUSED, START]).crashing(
            "restore",
            1,
            CrashKind::DiesAfter,
        )),
        Scenario::new("start-answer-lost", "The start is made, but answered with a server error: it is adopted.")
            .when(0, lost("StartApplication", 1, ServerError))
            .deploy(start()),
        Scenario::new("start-connection-reset", "The start is made, and the connection breaks: it is adopted.")
            .when(0, lost("StartApplication", 1, ConnectionReset))
            .deploy(start()),
    ]
}

/// The first call of every function ends so, and the second of those that act twice.
fn every_lambda(planned: Planned, how: CrashKind) -> Planned {
    let calls = [
        ("submit-update", 1),
        ("submit-update", 3),
        ("check-operation", 1),
        ("check-subtasks", 1),
        ("decide-rollback", 1),
        ("roll-back", 1),
        ("force-stop", 1),
        ("restore", 1),
        ("restore", 3),
        ("notify", 1),
    ];
    calls.into_iter().fold(planned, |planned, (function, call)| planned.crashing(function, call, how))
}

fn lambdas() -> Vec<Scenario> {
    let repeated = || {
        let calls = [UPDATE, UPDATE_REFUSED, ROLLBACK_REFUSED, ROLLBACK_REFUSED, FORCE, UPDATE, UPDATE_REFUSED, START];
        code(crash_loop(), Restored, &calls)
    };
    let ladder = |name, about, planned| Scenario::new(name, about).when(0, no_rollback()).deploy(planned);
    vec![
        ladder(
            "every-lambda-dies-before",
            "On the whole ladder every Lambda dies once before it has done anything.",
            every_lambda(whole_ladder(), CrashKind::DiesBefore),
        ),
        ladder(
            "every-lambda-dies-after",
            "On the whole ladder every Lambda dies once when all is done but for the answer: nothing is done twice.",
            every_lambda(repeated(), CrashKind::DiesAfter),
        ),
        ladder(
            "every-lambda-hangs-before",
            "On the whole ladder every Lambda hangs once before it has done anything.",
            every_lambda(whole_ladder(), CrashKind::HangsBefore),
        ),
        ladder(
            "every-lambda-hangs-after",
            "On the whole ladder every Lambda hangs once when all is done but for the answer: nothing is done twice.",
            every_lambda(repeated(), CrashKind::HangsAfter),
        ),
        Scenario::new(
            "rollback-dies-after",
            "The Lambda dies after it has begun the rollback: the rollback is adopted.",
        )
        .deploy(code(crash_loop(), RolledBack, &[UPDATE, ROLLBACK, ROLLBACK_REFUSED]).crashing(
            "roll-back",
            1,
            CrashKind::DiesAfter,
        )),
    ]
}

fn executions() -> Vec<Scenario> {
    let aborted = |mut planned: Planned, after: u64| {
        planned.abort_after_seconds = Some(after);
        planned.outcome = None;
        planned
    };
    let redriven = |mut planned: Planned, after: u64, redriven_after: u64| {
        planned.abort_after_seconds = Some(after);
        planned.redrive_after_seconds = Some(redriven_after);
        planned
    };
    let mut failed = bad();
    failed.redrive_after_seconds = Some(600);
    vec![
        Scenario::new(
            "aborted-then-another",
            "An execution is aborted during its bake; another change goes live after it.",
        )
        .deploy(aborted(good(), 200))
        .deploy(good().at(260)),
        Scenario::new(
            "aborted-in-the-update",
            "An execution is aborted during its update; another change waits, then goes live.",
        )
        .deploy(aborted(good(), 20))
        .deploy(good().at(30)),
        Scenario::new(
            "aborted-and-redriven",
            "An execution is aborted during its update, and redriven ten minutes later.",
        )
        .deploy(redriven(good(), 20, 600)),
        Scenario::new(
            "crash-loop-aborted-and-redriven",
            "An execution is aborted while its job crash-loops, and redriven.",
        )
        .deploy(redriven(bad(), 100, 600)),
        Scenario::new(
            "aborted-in-the-rollback-and-redriven",
            "An execution is aborted during its rollback, and redriven.",
        )
        .deploy(redriven(bad(), 180, 600)),
        Scenario::new(
            "redriven-after-a-rollback",
            "An execution that ended in a rollback is redriven: it says so again.",
        )
        .deploy(failed),
        Scenario::new(
            "redriven-after-another",
            "A restart is aborted during its stop, another stops the application for good, and the restart is redriven.",
        )
        .deploy(redriven(change(json!({ "stop": "graceful", "start": true }), NeedsAttention, &[STOP]), 20, 900))
        .deploy(change(json!({ "stop": "graceful" }), NoChange, &[]).at(30)),
        Scenario::new(
            "redriven-before-it-began",
            "An execution is aborted before it has done anything, and redriven when another has gone live.",
        )
        .when(0, Happening::Maintenance(100))
        .deploy(redriven(Planned { outcome: Some(Superseded), calls: Vec::new(), ..good() }, 20, 900))
        .deploy(good().at(30)),
    ]
}
