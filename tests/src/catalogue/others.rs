//! What the service, people and other deployments do meanwhile.

use emulator::cloudwatch::AlarmState;
use emulator::simulated::{Behaviour, JobFault};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, NoChange, Refused, RolledBack, Superseded};
use serde_json::json;

use super::{ROLLBACK, UPDATE, UPDATE_REFUSED, bad, by_hand, code, crash_loop, good, somebody_updates};
use crate::scenario::{CrashKind, Happening, Planned, Scenario};

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
    vec![
        Scenario::new("newest-wins", "A second deployment arrives while the first is watched: the newest wins.")
            .deploy(superseded())
            .deploy(good().at(130)),
        Scenario::new("newest-wins-in-the-bake", "A second deployment arrives during the first one's bake.")
            .deploy(superseded())
            .deploy(good().at(300)),
        Scenario::new(
            "newest-waits",
            "A second deployment arrives while the first one's update is under way: it waits.",
        )
        .deploy(superseded())
        .deploy(good().at(20)),
        Scenario::new("three-at-once", "Three deployments in a minute: the older ones end superseded.")
            .deploy(superseded())
            .deploy(code(Behaviour::healthy(), Superseded, &[UPDATE]).at(20))
            .deploy(good().at(125)),
        Scenario::new(
            "newest-is-bad",
            "The second deployment takes over and crash-loops: it comes back to the first one's version.",
        )
        .deploy(superseded())
        .deploy(bad().at(200)),
        Scenario::new("duplicate-execution", "The same change is asked for twice: the second finds it in effect.")
            .deploy(configure_twice(Deployed, &[UPDATE]))
            .deploy(configure_twice(NoChange, &[]).at(5)),
        Scenario::new(
            "fails-while-another-waits",
            "The first deployment crash-loops and is rolled back, which is still being verified when the second takes over.",
        )
        .deploy(code(crash_loop(), Superseded, &[UPDATE, ROLLBACK]))
        .deploy(code(JobFault::SlowSnapshot { seconds: 1 }, Deployed, &[UPDATE]).at(160)),
    ]
}

fn configure_twice(outcome: lifecycle::report::Outcome, calls: &[&'static str]) -> Planned {
    super::configure(super::parallelism(4), outcome, calls)
}
