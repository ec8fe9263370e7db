//! The scenarios, by name and in groups: what goes live, what goes wrong with a job and with the service's operations, what
//! others do meanwhile, what people do by hand, what cannot be read, what is run twice, and what is refused.

mod by_hand;
mod evidence;
mod going_live;
mod jobs;
mod operations;
mod others;
mod refusals;
mod twice;

use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use emulator::{Effect, Fault, Loss, Occurrences};
use jiff::SignedDuration;
use lifecycle::report::Outcome;
use serde_json::{Value, json};

use crate::scenario::{Crash, CrashKind, Happening, Planned, Scenario};
use crate::world::{App, BUCKET, noon};

/// All scenarios, in the order in which they are listed.
pub fn catalogue() -> Vec<Scenario> {
    [
        going_live::scenarios(),
        jobs::scenarios(),
        operations::scenarios(),
        others::scenarios(),
        by_hand::scenarios(),
        evidence::scenarios(),
        twice::scenarios(),
        refusals::scenarios(),
    ]
    .concat()
}

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<Scenario> {
    catalogue().into_iter().find(|scenario| scenario.name == name)
}

const UPDATE: &str = "UpdateApplication";
const UPDATE_REFUSED: &str = "UpdateApplication (refused)";
const ROLLBACK: &str = "RollbackApplication";
const ROLLBACK_REFUSED: &str = "RollbackApplication (refused)";
const FORCE: &str = "StopApplication by force";
const FORCE_REFUSED: &str = "StopApplication by force (refused)";
const STOP: &str = "StopApplication";
const START: &str = "StartApplication";
const SNAPSHOT: &str = "CreateApplicationSnapshot";
/// A job whose restarts come in a steady rhythm.
const TEN_SECONDS: RestartDelay = RestartDelay::Fixed { seconds: 10 };

/// A deployment of code that does this, at the beginning.
fn code(behaviour: impl Into<Behaviour>, outcome: Outcome, calls: &[&'static str]) -> Planned {
    Planned { code: Some(behaviour.into()), ..change(json!({}), outcome, calls) }
}

/// A deployment of a change that is no new code; `input` lacks only the application's name.
fn change(input: Value, outcome: Outcome, calls: &[&'static str]) -> Planned {
    Planned { input, outcome: Some(outcome), calls: calls.to_vec(), ..Planned::default() }
}

/// A deployment of this change of the application's configuration.
#[expect(clippy::needless_pass_by_value, reason = "scenarios read better without a reference at each literal")]
fn configure(update: Value, outcome: Outcome, calls: &[&'static str]) -> Planned {
    change(json!({ "update": { "ApplicationConfigurationUpdate": update } }), outcome, calls)
}

/// A healthy change of code that goes live.
fn good() -> Planned {
    code(Behaviour::healthy(), Outcome::Deployed, &[UPDATE])
}

/// Code whose `open()` throws, restarted every ten seconds.
fn crash_loop() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(TEN_SECONDS)
}

/// A change to code that crash-loops, rolled back.
fn bad() -> Planned {
    code(crash_loop(), Outcome::RolledBack, &[UPDATE, ROLLBACK])
}

/// A change to code whose `main()` throws, with what must come of it.
fn main_throws(outcome: Outcome, calls: &[&'static str]) -> Planned {
    code(JobFault::MainThrows, outcome, calls)
}

impl Planned {
    /// The same with a patience of so many seconds instead of half an hour: what is told is the same, and sooner.
    fn patient(self, time_out: &str, seconds: u32) -> Self {
        self.with("policy", json!({ time_out: seconds }))
    }

    fn at(mut self, seconds: u64) -> Self {
        self.at_seconds = seconds;
        self
    }

    /// The same with this member of the input.
    fn with(mut self, name: &str, value: Value) -> Self {
        if self.input.is_null() {
            self.input = json!({});
        }
        self.input[name] = value;
        self
    }

    /// The same as start-deployment asks for it: an upload of this key, so many seconds after noon.
    fn uploaded(self, key: &str, sequencer: &str, second: i64) -> Self {
        let at = noon().saturating_add(SignedDuration::from_secs(second)).unwrap_or_default();
        let upload = json!({ "bucket": BUCKET, "key": key, "versionId": sequencer, "sequencer": sequencer, "at": at });
        self.with("upload", upload)
    }

    fn crashing(mut self, function: &'static str, call: u32, how: CrashKind) -> Self {
        self.crashes.push(Crash { function, call, how });
        self
    }

    fn refused_for(mut self, fields: &[&'static str]) -> Self {
        self.refused_fields = fields.to_vec();
        self
    }
}

/// From then on calls of this operation meet this effect.
fn fault(operation: &str, effect: Effect, occurrences: Occurrences) -> Happening {
    Happening::Fault(Fault::new(operation, effect).on(occurrences))
}

fn error(code: &str, status: u16) -> Effect {
    Effect::Error { code: code.to_owned(), status, message: "injected".to_owned() }
}

fn lost(operation: &str, nth: u32, loss: Loss) -> Happening {
    fault(operation, Effect::LostResponse(loss), Occurrences::Nth(nth))
}

fn by_hand(operation: &'static str, body: Value) -> Happening {
    Happening::ByHand { operation, body }
}

/// The application, stopped.
fn stopped() -> App {
    App { is_running: false, ..App::default() }
}

/// An update that changes the parallelism only.
fn parallelism(to: u32) -> Value {
    json!({ "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate":
        { "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": to, "ParallelismPerKPUUpdate": 1,
            "AutoScalingEnabledUpdate": false } } })
}

/// What somebody else changes by hand: the parallelism.
fn somebody_updates() -> Happening {
    by_hand(
        "UpdateApplication",
        json!({ "CurrentApplicationVersionId": null, "ApplicationConfigurationUpdate": parallelism(4) }),
    )
}
