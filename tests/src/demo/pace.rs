//! How fast the clock of the demo and of the sandbox runs: at real speed while a Lambda is at work, which takes real time, and from one state to
//! the next; fast while the state machine waits, as people watch; faster still while no deployment is under way and there
//! is nothing to watch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asl::{Event, EventKind};
use clock::Clock;

/// How long a beginning takes, in real time.
const BEGINNING: Duration = Duration::from_millis(50);

/// Speeds, in times real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speeds {
    /// Before the first deployment: the application is created and runs for a while.
    pub before: u32,
    /// While a deployment waits for an operation of the service.
    pub operation: u32,
    /// While it waits for anything else.
    pub waiting: u32,
    /// While no deployment is under way.
    pub between: u32,
}

/// Sets a clock's speed by what is under way.
#[derive(Debug)]
pub struct Pace {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    speeds: Speeds,
    hurry: u32,
    has_begun: bool,
    /// The service is at work on something, and somebody waits for it.
    is_busy: bool,
    /// All that begins together is about to begin.
    is_beginning: bool,
    /// Deployments under way.
    deployments: BTreeMap<String, Stand>,
    /// Lambdas at work.
    invocations: usize,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// On its way from one state to the next.
    Moving,
    /// In a wait for an operation of the service.
    AwaitingOperation,
    /// In another wait, or with a Lambda that may hang.
    Waiting,
}

impl State {
    fn speed(&self) -> u32 {
        let speeds = self.speeds;
        let stands = || self.deployments.values();
        if self.invocations > 0 || self.is_beginning || stands().any(|stand| *stand == Stand::Moving) {
            return 1;
        }
        match (self.deployments.is_empty(), self.has_begun) {
            (true, true) if self.is_busy => speeds.operation,
            (true, true) => speeds.between,
            (true, false) => speeds.before,
            (false, _) => {
                let is_operation = stands().all(|stand| *stand == Stand::AwaitingOperation);
                let speed = if is_operation { speeds.operation } else { speeds.waiting };
                speed.saturating_mul(self.hurry).min(speeds.between.max(speed))
            }
        }
    }
}

impl Pace {
    /// Sets the speed of `clock` from now on.
    pub fn new(clock: Clock, speeds: Speeds) -> Self {
        let state = State {
            speeds,
            hurry: 1,
            has_begun: false,
            is_busy: false,
            is_beginning: false,
            deployments: BTreeMap::new(),
            invocations: 0,
        };
        let pace = Self { clock, state: Mutex::new(state) };
        pace.change(|_| {});
        pace
    }

    /// The scenario begins: what is to happen at once gets a moment of real time for it.
    pub fn begin(self: &Arc<Self>) {
        self.change(|state| {
            state.has_begun = true;
            state.is_beginning = true;
        });
        let pace = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(BEGINNING).await;
            pace.change(|state| state.is_beginning = false);
        });
    }

    /// Notes where a deployment stands.
    pub fn observe(&self, event: &Event<'_>) {
        let stand = match event.kind {
            EventKind::ExecutionEnded { .. } => {
                return self.change(|state| _ = state.deployments.remove(event.execution));
            }
            EventKind::Waiting { state: "WaitForOperation", .. } => Stand::AwaitingOperation,
            EventKind::Waiting { .. } | EventKind::Retry { .. } | EventKind::TaskScheduled { .. } => Stand::Waiting,
            _ => Stand::Moving,
        };
        self.change(|state| _ = state.deployments.insert(event.execution.to_owned(), stand));
    }

    /// A Lambda is at work until the guard is dropped.
    pub fn invocation(self: &Arc<Self>) -> Invocation {
        self.change(|state| state.invocations += 1);
        Invocation(Arc::clone(self))
    }

    /// Whether the service is at work on something that nobody deploys: the clock runs then as it does while a deployment
    /// waits for an operation.
    pub fn busy(&self, is_busy: bool) {
        self.change(|state| state.is_busy = is_busy);
    }

    /// Waits run so many times as fast as they would, because nobody needs to see all of this one.
    pub fn hurry(&self, factor: u32) {
        self.change(|state| state.hurry = factor);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.clock.set_speed(state.speed());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Lambda at work.
#[derive(Debug)]
pub struct Invocation(Arc<Pace>);

impl Drop for Invocation {
    fn drop(&mut self) {
        self.0.change(|state| state.invocations -= 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::world::noon;

    fn observe(pace: &Pace, execution: &str, kind: EventKind<'_>) {
        pace.observe(&Event { at: noon(), execution, kind });
    }

    fn waiting(state: &str) -> EventKind<'_> {
        EventKind::Waiting { state, until: noon() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_slows_down_for_lambdas_and_for_those_who_watch() {
        let clock = Clock::starting_at(noon(), 1);
        let speeds = Speeds { before: 5_000, operation: 20, waiting: 50, between: 1_000 };
        let pace = Arc::new(Pace::new(clock.clone(), speeds));
        assert_eq!(clock.speed(), 5_000);
        pace.begin();
        assert_eq!(clock.speed(), 1);
        tokio::time::sleep(BEGINNING * 2).await;
        assert_eq!(clock.speed(), 1_000);
        let payload = Value::Null;
        observe(&pace, "one", EventKind::ExecutionStarted { input: &payload, redrives: 0 });
        assert_eq!(clock.speed(), 1);
        let task = EventKind::TaskScheduled { state: "Prepare", function_name: "f", payload: &payload, attempt: 0 };
        observe(&pace, "one", task);
        let invocation = pace.invocation();
        assert_eq!(clock.speed(), 1);
        drop(invocation);
        assert_eq!(clock.speed(), 50, "a Lambda that hangs is waited for");
        observe(&pace, "one", waiting("WaitForOperation"));
        assert_eq!(clock.speed(), 20);
        observe(&pace, "two", waiting("Bake"));
        assert_eq!(clock.speed(), 50);
        pace.hurry(4);
        assert_eq!(clock.speed(), 200);
        pace.hurry(40);
        assert_eq!(clock.speed(), 1_000);
        pace.hurry(1);
        observe(&pace, "two", EventKind::StateExited { state: "Bake", output: &payload });
        assert_eq!(clock.speed(), 1);
        for execution in ["one", "two"] {
            let ended =
                EventKind::ExecutionEnded { status: asl::Status::Aborted, output: None, error: None, cause: None };
            observe(&pace, execution, ended);
        }
        assert_eq!(clock.speed(), 1_000);
        pace.busy(true);
        assert_eq!(clock.speed(), 20);
        pace.busy(false);
        assert_eq!(clock.speed(), 1_000);
    }
}
