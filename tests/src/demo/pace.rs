//! How fast the demo's clock runs: at real speed while a Lambda is at work, which takes real time; fast while the state
//! machine waits, as people watch; faster still while no deployment is under way and there is nothing to watch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clock::Clock;

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
    is_operation: bool,
    deployments: usize,
    invocations: usize,
}

impl Pace {
    /// Sets the speed of `clock` from now on.
    pub fn new(clock: Clock, speeds: Speeds) -> Self {
        let state = State { speeds, hurry: 1, has_begun: false, is_operation: false, deployments: 0, invocations: 0 };
        let pace = Self { clock, state: Mutex::new(state) };
        pace.change(|_| {});
        pace
    }

    /// A deployment began.
    pub fn deployment_began(&self) {
        self.change(|state| {
            state.has_begun = true;
            state.deployments += 1;
        });
    }

    /// A deployment ended.
    pub fn deployment_ended(&self) {
        self.change(|state| state.deployments = state.deployments.saturating_sub(1));
    }

    /// A deployment waits, for an operation of the service or for something else.
    pub fn deployment_waits(&self, for_operation: bool) {
        self.change(|state| state.is_operation = for_operation);
    }

    /// A Lambda is at work until the guard is dropped.
    pub fn invocation(self: &Arc<Self>) -> Invocation {
        self.change(|state| state.invocations += 1);
        Invocation(Arc::clone(self))
    }

    /// Waits run so many times as fast as they would, because nobody needs to see all of this one.
    pub fn hurry(&self, factor: u32) {
        self.change(|state| state.hurry = factor);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let speeds = state.speeds;
        self.clock.set_speed(match &*state {
            State { invocations: 1.., .. } => 1,
            State { deployments: 1.., hurry, is_operation, .. } => {
                let speed = if *is_operation { speeds.operation } else { speeds.waiting };
                speed.saturating_mul(*hurry).min(speeds.between)
            }
            State { has_begun: true, .. } => speeds.between,
            _ => speeds.before,
        });
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
    use super::*;
    use crate::world::noon;

    #[tokio::test(start_paused = true)]
    async fn the_clock_slows_down_for_lambdas_and_for_those_who_watch() {
        let clock = Clock::starting_at(noon(), 1);
        let pace =
            Arc::new(Pace::new(clock.clone(), Speeds { before: 100, operation: 20, waiting: 50, between: 1_000 }));
        assert_eq!(clock.speed(), 100);
        pace.deployment_began();
        assert_eq!(clock.speed(), 50);
        pace.deployment_waits(true);
        assert_eq!(clock.speed(), 20);
        pace.deployment_waits(false);
        let (one, other) = (pace.invocation(), pace.invocation());
        assert_eq!(clock.speed(), 1);
        drop(one);
        assert_eq!(clock.speed(), 1);
        drop(other);
        pace.hurry(4);
        assert_eq!(clock.speed(), 200);
        pace.hurry(40);
        assert_eq!(clock.speed(), 1_000);
        pace.hurry(1);
        pace.deployment_ended();
        assert_eq!(clock.speed(), 1_000);
    }
}
