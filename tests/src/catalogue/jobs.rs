//! What goes wrong inside a job that the service calls RUNNING, and what only looks as if.

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use lifecycle::report::Outcome::{Deployed, NeedsAttention, Refused, RolledBack};
use serde_json::json;

use super::{ROLLBACK, TEN_SECONDS, UPDATE, bad, code, crash_loop, good, main_throws};
use crate::scenario::Scenario;
use crate::world::App;

/// Runs well for so long, again and again, with a checkpoint soon after each start.
pub(super) fn looks_healthy_for(seconds: u64) -> Behaviour {
    Behaviour::from(JobFault::FailsAfter { seconds, times: None }).restarting(TEN_SECONDS).first_checkpoint_after(5)
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let rolled_back = |behaviour: Behaviour| code(behaviour, RolledBack, &[UPDATE, ROLLBACK]);
    let restarts =
        |times| Behaviour::from(JobFault::FailsAfter { seconds: 20, times: Some(times) }).restarting(TEN_SECONDS);
    vec![
        Scenario::new(
            "crash-loop-in-open",
            "The new code throws in open(): the service says RUNNING while the job restarts for ever. It is rolled back.",
        )
        .deploy(bad()),
        Scenario::new("crash-loop-on-2-2", "The same on Flink 2.2, whose metrics have other names.")
            .of(App { runtime: "FLINK-2_2", ..App::default() })
            .deploy(bad()),
        Scenario::new("crash-loop-on-1-18", "The same on Flink 1.18.")
            .of(App { runtime: "FLINK-1_18", ..App::default() })
            .deploy(bad()),
        Scenario::new("loop-of-40-seconds", "The job looks healthy for 40 s, checkpoint and all, and fails; again and again.")
            .deploy(rolled_back(looks_healthy_for(40))),
        Scenario::new("loop-of-90-seconds", "The same with a period of 90 s: it is never accepted.")
            .deploy(rolled_back(looks_healthy_for(80))),
        Scenario::new("loop-of-4-minutes", "The same with a period of four minutes: the bake is quiet time.")
            .deploy(rolled_back(looks_healthy_for(230))),
        Scenario::new("loop-of-4-minutes-on-2-2", "A slow loop on Flink 2.2, where only numRestarts tells of it.")
            .of(App { runtime: "FLINK-2_2", ..App::default() })
            .deploy(rolled_back(looks_healthy_for(230))),
        Scenario::new("exponential-restart-delay", "The job fails ever more rarely, because each restart waits longer.")
            .deploy(rolled_back(Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::DEFAULT_EXPONENTIAL))),
        Scenario::new("steep-restart-delay", "The delay between restarts is five times as long at once.").deploy(rolled_back(
            Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Exponential {
                initial_seconds: 30.0,
                multiplier: 5.0,
                max_seconds: 150.0,
                reset_seconds: 3_600.0,
            }),
        )),
        Scenario::new("no-restart", "The job's first failure is its end: nothing restarts it.")
            .deploy(rolled_back(Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::None))),
        Scenario::new("one-restart", "One restart and then healthy: a hiccup, no reason to roll back.")
            .deploy(code(restarts(1), Deployed, &[UPDATE])),
        Scenario::new("two-restarts", "Two restarts and then healthy: tolerated, too.")
            .deploy(code(restarts(2), Deployed, &[UPDATE])),
        Scenario::new("three-restarts", "Three restarts are more than the policy tolerates.")
            .deploy(rolled_back(restarts(3))),
        Scenario::new("three-restarts-tolerated", "Three restarts, with a policy that tolerates three.")
            .deploy(code(restarts(3), Deployed, &[UPDATE]).with("policy", json!({ "toleratedRestarts": 3 }))),
        Scenario::new("no-restart-tolerated", "One restart, with a policy that tolerates none.").deploy(
            code(restarts(1), RolledBack, &[UPDATE, ROLLBACK]).with("policy", json!({ "toleratedRestarts": 0 })),
        ),
        Scenario::new("fails-after-4-minutes", "All is well for four minutes; then the job goes down, within the bake.")
            .deploy(rolled_back(Behaviour::from(JobFault::FailsLater { seconds: 240 }).restarting(TEN_SECONDS))),
        Scenario::new(
            "fails-after-the-bake",
            "All is well for twenty minutes. The bake is over by then: the change was accepted, by design.",
        )
        .deploy(code(JobFault::FailsLater { seconds: 1_200 }, Deployed, &[UPDATE])),
        Scenario::new("fails-within-a-long-bake", "The same with a bake of half an hour: it is found out.").deploy(
            rolled_back(Behaviour::from(JobFault::FailsLater { seconds: 1_200 }).restarting(TEN_SECONDS))
                .with("policy", json!({ "bakeSeconds": 1_800 })),
        ),
        Scenario::new("restore-that-never-ends", "The restore of state takes hours, longer than the policy has patience.")
            .deploy(rolled_back(JobFault::SlowRestore { seconds: 20_000 }.into()).patient("settleTimeoutSeconds", 300)),
        Scenario::new("failing-checkpoints", "Every task runs, but no checkpoint ever completes: not healthy.")
            .deploy(rolled_back(JobFault::FailingCheckpoints { from_seconds: 0 }.into()).patient("settleTimeoutSeconds", 300)),
        Scenario::new(
            "checkpoints-fail-in-the-bake",
            "One checkpoint completes, later ones fail, and the job goes on: the bake looks at restarts, so it is accepted.",
        )
        .deploy(code(JobFault::FailingCheckpoints { from_seconds: 100 }, Deployed, &[UPDATE])),
        Scenario::new("failing-checkpoints-allowed", "The same where the policy does not ask for a checkpoint.").deploy(
            code(JobFault::FailingCheckpoints { from_seconds: 0 }, Deployed, &[UPDATE])
                .with("policy", json!({ "requireCheckpoint": false })),
        ),
        Scenario::new("rare-checkpoints", "Checkpoints come every ten minutes: the first one is waited for.")
            .of(App { checkpoint_seconds: Some(600), ..App::default() })
            .deploy(good()),
        Scenario::new(
            "checkpoint-too-rare",
            "Checkpoints come every hour, the policy waits half of it for one: refused, since any change would be undone.",
        )
        .of(App { checkpoint_seconds: Some(3_600), ..App::default() })
        .deploy(code(Behaviour::healthy(), Refused, &[]).refused_for(&["policy.settleTimeoutSeconds"])),
        Scenario::new("policy-hold", "The change is bad, but the policy says to touch nothing: a person is asked.")
            .deploy(code(crash_loop(), NeedsAttention, &[UPDATE]).with("policy", json!({ "onFailure": "hold" }))),
        Scenario::new("policy-hold-and-healthy", "A policy that holds on failure has nothing to hold here.")
            .deploy(good().with("policy", json!({ "onFailure": "hold" }))),
        Scenario::new(
            "policy-hold-and-main-throws",
            "The job does not even start, but the policy says to touch nothing: it stays stopped, and a person is asked.",
        )
        .deploy(main_throws(NeedsAttention, &[UPDATE]).with("policy", json!({ "onFailure": "hold" }))),
        Scenario::new(
            "fix-for-a-crash-loop",
            "The application crash-loops already, so that no update can take its snapshot: a person has to stop it first.",
        )
        .of(App { behaviour: crash_loop(), ..App::default() })
        .deploy(code(Behaviour::healthy(), NeedsAttention, &[UPDATE])),
    ]
}
