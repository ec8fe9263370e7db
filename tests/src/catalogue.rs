//! The scenarios, by name.

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use lifecycle::report::Outcome;
use serde_json::{Value, json};

use crate::scenario::{Planned, Scenario};
use crate::world::App;

/// All scenarios, in the order in which they are listed.
pub fn catalogue() -> Vec<Scenario> {
    vec![healthy(), crash_loop_in_open(), healthy_then_crash_loop(), main_throws()]
}

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<Scenario> {
    catalogue().into_iter().find(|scenario| scenario.name == name)
}

/// A change of the code to one that does this, at the beginning.
fn change_code(behaviour: impl Into<Behaviour>, outcome: Outcome, calls: &[&'static str]) -> Planned {
    Planned {
        at_seconds: 0,
        code: Some(behaviour.into()),
        input: json!({}),
        abort_after_seconds: None,
        outcome: Some(outcome),
        calls: calls.to_vec(),
    }
}

fn one(name: &'static str, about: &'static str, app: App, deployment: Planned) -> Scenario {
    Scenario { name, about, app, happenings: Vec::new(), deployments: vec![deployment] }
}

fn crash_loop() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 })
}

fn healthy() -> Scenario {
    one(
        "healthy",
        "A healthy change of code goes live, verified down to its subtasks and checkpoints.",
        App::default(),
        change_code(Behaviour::healthy(), Outcome::Deployed, &["UpdateApplication"]),
    )
}

fn crash_loop_in_open() -> Scenario {
    one(
        "crash-loop-in-open",
        "The new code throws in open(): the service says RUNNING while the job restarts for ever. It is rolled back.",
        App::default(),
        change_code(crash_loop(), Outcome::RolledBack, &["UpdateApplication", "RollbackApplication"]),
    )
}

fn healthy_then_crash_loop() -> Scenario {
    let mut second = change_code(crash_loop(), Outcome::RolledBack, &["UpdateApplication", "RollbackApplication"]);
    second.at_seconds = 900;
    Scenario {
        name: "healthy-then-crash-loop",
        about: "A good change goes live; then one that crash-loops comes back with the state of the good one.",
        app: App::default(),
        happenings: Vec::new(),
        deployments: vec![change_code(Behaviour::healthy(), Outcome::Deployed, &["UpdateApplication"]), second],
    }
}

fn main_throws() -> Scenario {
    let input: Value = json!({});
    let mut planned = change_code(
        JobFault::MainThrows,
        Outcome::Restored,
        &["UpdateApplication", "UpdateApplication", "StartApplication"],
    );
    planned.input = input;
    one(
        "main-throws",
        "The new code's main() throws: the service gives up and leaves the application stopped; it is put back and started \
         from the snapshot that the update took.",
        App::default(),
        planned,
    )
}
