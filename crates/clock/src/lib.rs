//! Time as a dependency. Everything in the project that waits or looks at the time is handed a [`Clock`]; the same code
//! then runs in real time, faster than real time (the demo, at a speed that changes) or in virtual time (tests, on a
//! tokio runtime whose time is paused, where every sleep ends at once and moves the clock).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// A clock that starts at a given moment and runs at a given speed, as tokio's time goes by.
///
/// On a tokio runtime started with `start_paused(true)` it is a virtual clock. Clones show the same time.
///
/// A clock that is faster than tokio's time waits for those who sleep by it: it does not go on beyond the moment at which
/// somebody is to wake before they have woken. Otherwise a machine that is a little late, because it has much to do, would be
/// late by many times as much of this clock's time.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
    ahead: SignedDuration,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts what sleepers have to reckon with: changes of speed, and others who have woken late.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// What the clock showed at `at`.
    shown: Timestamp,
    at: Instant,
    speed: u32,
    /// When those who sleep are to wake, with a number of their own.
    sleepers: BTreeSet<(Timestamp, u64)>,
    slept: u64,
}

impl State {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.at.elapsed() * self.speed).unwrap_or(SignedDuration::MAX);
        let now = self.shown.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        match self.sleepers.first() {
            Some((wake, _)) if self.speed > 1 => now.min(*wake).max(self.shown),
            _ => now,
        }
    }

    /// Lets the clock go on from what it shows.
    fn go_on(&mut self) {
        self.shown = self.now();
        self.at = Instant::now();
    }
}

/// Somebody who sleeps.
struct Sleeper<'clock> {
    shared: &'clock Shared,
    wake: Timestamp,
    number: u64,
}

impl Sleeper<'_> {
    /// How much of the clock's time is lacking, and the clock's speed.
    fn lacks(&self) -> (Duration, u32) {
        let state = self.shared.lock();
        (Duration::try_from(self.wake.duration_since(state.now())).unwrap_or_default(), state.speed)
    }

    /// Whether others are to wake before.
    fn is_behind_others(&self) -> bool {
        let state = self.shared.lock();
        state.speed > 1 && state.sleepers.first().is_some_and(|(wake, _)| *wake < self.wake)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.go_on();
        state.sleepers.remove(&(self.wake, self.number));
        let others_wait = !state.sleepers.is_empty() && state.speed > 1;
        drop(state);
        if others_wait {
            self.shared.changes.send_modify(|changes| *changes += 1);
        }
    }
}

impl Shared {
    /// The state is whole at every await and panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleeper(&self, duration: Duration) -> Sleeper<'_> {
        let mut state = self.lock();
        let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let wake = state.now().saturating_add(duration).unwrap_or(Timestamp::MAX);
        state.slept += 1;
        let number = state.slept;
        state.sleepers.insert((wake, number));
        Sleeper { shared: self, wake, number }
    }
}

impl Clock {
    /// A clock that shows `epoch` now and runs `speed` times as fast as tokio's (0 counts as 1). Needs a tokio runtime.
    pub fn starting_at(epoch: Timestamp, speed: u32) -> Self {
        let at = Instant::now();
        let state = State { shown: epoch, at, speed: speed.max(1), sleepers: BTreeSet::new(), slept: 0 };
        let shared = Shared { state: Mutex::new(state), changes: watch::Sender::new(0) };
        Self { shared: Arc::new(shared), ahead: SignedDuration::ZERO }
    }

    /// The time of day, at its own speed.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    pub fn wall() -> Self {
        Self::starting_at(Timestamp::now(), 1)
    }

    /// The time that this clock shows.
    pub fn now(&self) -> Timestamp {
        let now = self.shared.lock().now();
        now.saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// Sleeps until this clock has moved on by `duration`, at whatever speeds. Whoever does not poll this future to its end
    /// drops it, or holds up a fast clock for all.
    pub async fn sleep(&self, duration: Duration) {
        let mut changes = self.shared.changes.subscribe();
        let sleeper = self.shared.sleeper(duration);
        let mut lacking = duration;
        let mut speed = self.speed();
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(lacking / speed) => {}
                // The sender is this clock's own, so that it cannot be gone.
                _ = changes.changed() => {
                    (lacking, speed) = sleeper.lacks();
                    continue;
                }
            }
            if speed == 1 {
                return;
            }
            while sleeper.is_behind_others() && changes.changed().await.is_ok() {}
            (lacking, speed) = sleeper.lacks();
            if lacking.is_zero() {
                return;
            }
        }
    }

    /// A clock that goes with this one, at whatever speed, but shows a time that is later by `ahead`; earlier where that
    /// is negative.
    #[must_use]
    pub fn shifted(&self, ahead: SignedDuration) -> Self {
        Self { shared: Arc::clone(&self.shared), ahead: self.ahead.saturating_add(ahead) }
    }

    /// How many times as fast as tokio's time this clock runs.
    pub fn speed(&self) -> u32 {
        self.shared.lock().speed
    }

    /// Lets this clock and its clones run `speed` times as fast as tokio's time from now on (0 counts as 1). Whoever
    /// sleeps, wakes accordingly.
    pub fn set_speed(&self, speed: u32) {
        let speed = speed.max(1);
        let mut state = self.shared.lock();
        if state.speed != speed {
            state.go_on();
            state.speed = speed;
            drop(state);
            self.shared.changes.send_modify(|changes| *changes += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_moves_by_what_was_slept() {
        let clock = Clock::starting_at(START, 1);
        clock.sleep(Duration::from_hours(1)).await;
        assert_eq!(clock.now(), START + SignedDuration::from_hours(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_needs_less_of_tokios_time() {
        let clock = Clock::starting_at(START, 60);
        let before = Instant::now();
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(1));
        assert_eq!(clock.now(), START + SignedDuration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_speed_reaches_those_who_sleep() {
        let clock = Clock::starting_at(START, 10);
        let sleeper = clock.clone();
        let before = Instant::now();
        let sleep = tokio::spawn(async move { sleeper.sleep(Duration::from_mins(2)).await });
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), START + SignedDuration::from_secs(20));
        clock.set_speed(1);
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(clock.now(), START + SignedDuration::from_secs(60));
        clock.set_speed(60);
        sleep.await.unwrap();
        assert_eq!(before.elapsed(), Duration::from_secs(43));
        assert_eq!(clock.now(), START + SignedDuration::from_mins(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shifted_clock_is_always_as_much_ahead() {
        let clock = Clock::starting_at(START, 1);
        let behind = clock.shifted(SignedDuration::from_secs(-30));
        behind.set_speed(60);
        behind.sleep(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), START + SignedDuration::from_secs(60));
        assert_eq!(behind.now(), START + SignedDuration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_waits_for_those_who_are_late() {
        let clock = Clock::starting_at(START, 1_000);
        let wakes: Vec<_> = [7_u64, 3, 5, 3]
            .map(|seconds| {
                let clock = clock.clone();
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    (clock.now(), START + SignedDuration::from_secs(i64::try_from(seconds).unwrap()))
                })
            })
            .into();
        tokio::task::yield_now().await;
        // All four are due at once, and the machine is late by 93 s of this clock.
        tokio::time::advance(Duration::from_millis(100)).await;
        for wake in wakes {
            let (woken, due) = wake.await.unwrap();
            assert_eq!(woken, due);
        }
        assert_eq!(clock.now(), START + SignedDuration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_give_up_sleeping_hold_nobody_up() {
        let clock = Clock::starting_at(START, 10);
        let sleep = tokio::time::timeout(Duration::from_secs(1), clock.sleep(Duration::from_mins(1)));
        assert!(sleep.await.is_err());
        clock.sleep(Duration::from_mins(10)).await;
        assert_eq!(clock.now(), START + SignedDuration::from_secs(610));
    }
}
