//! What the service, people and other deployments do meanwhile.

use std::time::Duration;

use emulator::cloudwatch::AlarmState;
use emulator::simulated::Behaviour;
use emulator::{Effect, Loss, Occurrences};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, NoChange, Refused, RolledBack, Superseded};
use serde_json::json;

use super::{
    ROLLBACK, UPDATE, UPDATE_REFUSED, bad, by_hand, code, crash_loop, error, fault, good, lost, somebody_updates,
};
use crate::scenario::{CrashKind, Happening, Planned, Scenario};
use crate::world::App;

/// A healthy change that somebody takes over after it was made.
fn superseded() -> Planned {
    code(Behaviour::healthy(), Superseded, &[UPDATE])
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [the_service(), people(), alarms(), other_deployments()].concat()
}

fn the_service() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "maintenance-before",
            "The service patches the application: the deployment waits, then goes live.",
        )
        .when(0, Happening::Maintenance(60))
        .deploy(good()),
        Scenario::new("maintenance-in-between", "The service patches the application during the bake: no bad deploy.")
            .when(250, Happening::Maintenance(25))
            .deploy(good()),
        Scenario::new("maintenance-while-it-settles", "The service patches the application before the job is steady.")
            .when(110, Happening::Maintenance(25))
            .deploy(good()),
        Scenario::new("maintenance-and-a-crash-loop", "The service patches an application whose new job crash-loops.")
            .when(105, Happening::Maintenance(60))
            .deploy(bad()),
        Scenario::new("maintenance-never-ends", "The service patches the application, hour after hour: refused.")
            .when(0, Happening::Maintenance(20_000))
            .deploy(code(Behaviour::healthy(), Refused, &[]).refused_for(&["application"])),
        Scenario::new(
            "autoscaling-before",
            "The service scales the application: the deployment waits, then goes live.",
        )
        .when(0, Happening::Autoscale(4))
        .deploy(good()),
        Scenario::new("autoscaling-in-between", "The service scales the application during the bake: no bad deploy.")
            .when(250, Happening::Autoscale(4))
            .deploy(good()),
        Scenario::new(
            "lost-task-manager",
            "A machine of the application dies during the bake: one restart, tolerated.",
        )
        .when(250, Happening::LoseTaskManager)
        .deploy(good()),
    ]
}

fn people() -> Vec<Scenario> {
    let stop = || by_hand("StopApplication", json!({}));
    let force = || by_hand("StopApplication", json!({ "Force": true }));
    let roll_back = || by_hand("RollbackApplication", json!({ "CurrentApplicationVersionId": null }));
    vec![
        Scenario::new(
            "somebody-updates-first",
            "Somebody updates the application between the look at it and our call: the version is the fence.",
        )
        .when(30, somebody_updates())
        .deploy(code(Behaviour::healthy(), Superseded, &[UPDATE_REFUSED]).crashing(
            "submit-update",
            2,
            CrashKind::HangsBefore,
        )),
        Scenario::new(
            "somebody-stops-it-first",
            "Somebody stops the application between the look at it and our update, which starts nothing: no job has ended.",
        )
        .when(30, stop())
        .deploy(superseded().crashing("submit-update", 2, CrashKind::HangsBefore)),
        Scenario::new(
            "somebody-rolls-back",
            "Somebody rolls our update back while it is under way: nothing more is touched.",
        )
        .when(60, roll_back())
        .deploy(superseded()),
        Scenario::new("somebody-updates-in-the-bake", "Somebody updates the application during the bake.")
            .when(250, somebody_updates())
            .deploy(superseded()),
        Scenario::new("somebody-updates-as-it-settles", "Somebody updates the application before its job is steady.")
            .when(100, somebody_updates())
            .deploy(superseded()),
        Scenario::new(
            "somebody-updates-before-the-rollback",
            "Somebody updates the application after our verdict and before our rollback: the version is the fence.",
        )
        .when(170, somebody_updates())
        .deploy(code(crash_loop(), Superseded, &[UPDATE, super::ROLLBACK_REFUSED]).crashing(
            "roll-back",
            1,
            CrashKind::HangsBefore,
        )),
        Scenario::new("somebody-stops-it", "Somebody stops the application during the bake: it is left stopped.")
            .when(250, stop())
            .deploy(superseded()),
        Scenario::new("somebody-stops-it-as-it-settles", "Somebody stops the application before its job is steady.")
            .when(100, stop())
            .deploy(superseded()),
        Scenario::new("somebody-forces-a-stop", "Somebody stops the application by force while our update runs.")
            .when(60, force())
            .deploy(superseded()),
        Scenario::new(
            "somebody-stops-a-crash-loop",
            "Somebody stops the crash-looping application by force between our verdict and our rollback.",
        )
        .when(170, force())
        .deploy(code(crash_loop(), Superseded, &[UPDATE, super::ROLLBACK_REFUSED]).crashing(
            "roll-back",
            1,
            CrashKind::HangsBefore,
        )),
        Scenario::new(
            "somebody-stops-it-as-the-rollback-ends",
            "Somebody stops the application between the end of our rollback and our next look at it: it is left stopped.",
        )
        .when(250, stop())
        .deploy(code(crash_loop(), Superseded, &[UPDATE, ROLLBACK]).crashing("check-operation", 4, CrashKind::HangsBefore)),
        Scenario::new("somebody-deletes-it", "Somebody deletes the application during the bake.")
            .when(250, by_hand("DeleteApplication", json!({})))
            .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE])),
        Scenario::new(
            "somebody-deletes-it-after-the-update",
            "Somebody deletes a stopped application right after its update.",
        )
        .when(0, stop())
        .when(0, Happening::Rest)
        .when(4, by_hand("DeleteApplication", json!({})))
        .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE])),
        Scenario::new(
            "somebody-deletes-it-as-it-settles",
            "Somebody deletes the application before its job is steady.",
        )
        .when(100, by_hand("DeleteApplication", json!({})))
        .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE])),
    ]
}

fn alarms() -> Vec<Scenario> {
    let alarm = |state| Happening::Alarm { name: "orders-lag", state };
    let policy = json!({ "alarms": ["orders-lag"] });
    vec![
        Scenario::new("alarm", "The job looks well, but the user's own alarm goes off during the bake: rolled back.")
            .when(0, alarm(AlarmState::Ok))
            .when(250, alarm(AlarmState::Alarm))
            .deploy(code(Behaviour::healthy(), RolledBack, &[UPDATE, ROLLBACK]).with("policy", policy.clone())),
        Scenario::new("alarm-before", "The alarm was raised before the change, so that it says nothing about it.")
            .when(0, alarm(AlarmState::Alarm))
            .deploy(good().with("policy", policy.clone())),
        Scenario::new("alarm-unknown", "The policy names an alarm that does not exist: refused.")
            .deploy(code(Behaviour::healthy(), Refused, &[]).with("policy", policy).refused_for(&["policy.alarms"])),
    ]
}

fn other_deployments() -> Vec<Scenario> {
    let day_old = json!({ "turnTimeoutSeconds": 60 });
    vec![
        Scenario::new("second-waits", "A second deployment arrives while the first is watched: it waits for its turn.")
            .deploy(good())
            .deploy(good().at(130)),
        Scenario::new("second-waits-from-the-start", "Two deployments begin at once: they take turns.")
            .deploy(good())
            .deploy(good()),
        Scenario::new(
            "three-in-a-minute",
            "Three deployments in a minute take turns, in the order of their beginning.",
        )
        .deploy(good())
        .deploy(good().at(20))
        .deploy(good().at(40)),
        Scenario::new("second-is-bad", "The second deployment crash-loops: it comes back to the first one's version.")
            .deploy(good())
            .deploy(bad().at(200)),
        Scenario::new("first-is-bad", "The first deployment crash-loops and is rolled back before the second begins.")
            .deploy(bad())
            .deploy(good().at(160)),
        Scenario::new("duplicate-execution", "The same change is asked for twice: the second finds it in effect.")
            .deploy(configure_twice(Deployed, &[UPDATE]))
            .deploy(configure_twice(NoChange, &[]).at(5)),
        Scenario::new("newest-upload-wins", "Three uploads in a minute: the one in the middle is not worth deploying.")
            .deploy(good().uploaded("orders.jar", "01", 0))
            .deploy(overtaken().uploaded("orders.jar", "02", 10).at(20))
            .deploy(good().uploaded("orders.jar", "0A", 20).at(30)),
        Scenario::new(
            "late-upload",
            "An upload's event arrives after that of a newer one: it is not deployed any more.",
        )
        .deploy(good().uploaded("orders-2.jar", "01", 60))
        .deploy(overtaken().uploaded("orders-1.jar", "07", 0).at(2_000)),
        Scenario::new("upload-and-a-person", "An upload and a change by hand take turns: neither drops the other's.")
            .deploy(good())
            .deploy(good().uploaded("orders.jar", "01", 10).at(20))
            .deploy(configure_twice(Deployed, &[UPDATE]).at(30)),
        Scenario::new("aborted-in-its-turn", "An execution is aborted while another waits, which then has its turn.")
            .deploy(Planned { abort_after_seconds: Some(200), outcome: None, ..good() })
            .deploy(good().at(20)),
        Scenario::new(
            "aborted-while-it-waits",
            "An execution is aborted while it waits: the one behind it is not held up.",
        )
        .deploy(good())
        .deploy(Planned { abort_after_seconds: Some(60), outcome: None, calls: Vec::new(), ..good() }.at(20))
        .deploy(good().at(40)),
        Scenario::new(
            "aborted-and-rolled-back-by-the-service",
            "An execution is aborted in an update that fails: the next one outlasts the service's rollback of it.",
        )
        .of(App { system_rollback: true, ..App::default() })
        .deploy(Planned {
            abort_after_seconds: Some(20),
            outcome: None,
            ..super::main_throws(NeedsAttention, &[UPDATE])
        })
        .deploy(good().at(30)),
        Scenario::new("turn-never-comes", "A deployment waits for its turn no longer than its policy says.")
            .deploy(good())
            .deploy(
                code(Behaviour::healthy(), Refused, &[])
                    .with("policy", day_old)
                    .refused_for(&["policy.turnTimeoutSeconds"])
                    .at(20),
            ),
        Scenario::new("turn-is-seen-late", "Step Functions shows for a while that an execution runs which has ended.")
            .when(1, fault("states:DescribeExecution", Effect::StaleRead(Duration::from_mins(2)), Occurrences::Always))
            .deploy(good())
            .deploy(good().at(20)),
        Scenario::new("turn-answer-lost", "The answer to the taking of the turn is lost: it is taken once.")
            .when(0, lost("dynamodb:PutItem", 1, Loss::ServerError))
            .deploy(good())
            .deploy(good().at(20)),
        Scenario::new("turns-throttled", "DynamoDB and Step Functions are busy: the turns are taken all the same.")
            .when(0, fault("dynamodb:PutItem", Effect::Throttle, Occurrences::First(6)))
            .when(0, fault("states:DescribeExecution", Effect::Throttle, Occurrences::First(6)))
            .deploy(good())
            .deploy(good().at(20)),
        Scenario::new("turns-forbidden", "The table of turns may not be written: nothing is touched.")
            .when(0, fault("dynamodb:PutItem", error("AccessDeniedException", 400), Occurrences::Always))
            .deploy(code(Behaviour::healthy(), NeedsAttention, &[])),
        Scenario::new("take-turn-dies", "take-turn dies after it has taken the turn: it has it all the same.")
            .deploy(good().crashing("take-turn", 1, CrashKind::DiesAfter))
            .deploy(good().at(20).crashing("take-turn", 2, CrashKind::DiesAfter)),
    ]
}

/// An upload that is overtaken before it has touched anything.
fn overtaken() -> Planned {
    code(Behaviour::healthy(), Superseded, &[])
}

fn configure_twice(outcome: lifecycle::report::Outcome, calls: &[&'static str]) -> Planned {
    super::configure(super::parallelism(4), outcome, calls)
}
