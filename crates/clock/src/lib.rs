//! Time as a dependency. Everything in the project that waits or looks at the time is handed a [`Clock`]; the same code
//! then runs in real time, faster than real time (the demo, at a speed that changes) or in virtual time (tests, on a
//! tokio runtime whose time is paused, where every sleep ends at once and moves the clock).

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// A clock that starts at a given moment and runs at a given speed, as tokio's time goes by.
///
/// On a tokio runtime started with `start_paused(true)` it is a virtual clock. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    pace: Arc<watch::Sender<Pace>>,
    ahead: SignedDuration,
}

/// What the clock showed when its speed was last set, and the speed since.
#[derive(Debug, Clone, Copy)]
struct Pace {
    shown: Timestamp,
    at: Instant,
    speed: u32,
}

impl Pace {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.at.elapsed() * self.speed).unwrap_or(SignedDuration::MAX);
        self.shown.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// A clock that shows `epoch` now and runs `speed` times as fast as tokio's (0 counts as 1). Needs a tokio runtime.
    pub fn starting_at(epoch: Timestamp, speed: u32) -> Self {
        let pace = Pace { shown: epoch, at: Instant::now(), speed: speed.max(1) };
        Self { pace: Arc::new(watch::Sender::new(pace)), ahead: SignedDuration::ZERO }
    }

    /// The time of day, at its own speed.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    pub fn wall() -> Self {
        Self::starting_at(Timestamp::now(), 1)
    }

    /// The time that this clock shows.
    pub fn now(&self) -> Timestamp {
        let now = self.pace.borrow().now();
        now.saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// Sleeps until this clock has moved on by `duration`, at whatever speeds.
    pub async fn sleep(&self, duration: Duration) {
        let wake = self.now().saturating_add(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX));
        let wake = wake.unwrap_or(Timestamp::MAX);
        let mut changes = self.pace.subscribe();
        let mut lacking = duration;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(lacking / self.speed()) => return,
                // The sender is this clock's own, so that it cannot be gone.
                _ = changes.changed() => {
                    lacking = Duration::try_from(wake.duration_since(self.now())).unwrap_or_default();
                }
            }
        }
    }

    /// A clock that goes with this one, at whatever speed, but shows a time that is later by `ahead`; earlier where that
    /// is negative.
    #[must_use]
    pub fn shifted(&self, ahead: SignedDuration) -> Self {
        Self { pace: Arc::clone(&self.pace), ahead: self.ahead.saturating_add(ahead) }
    }

    /// How many times as fast as tokio's time this clock runs.
    pub fn speed(&self) -> u32 {
        self.pace.borrow().speed
    }

    /// Lets this clock and its clones run `speed` times as fast as tokio's time from now on (0 counts as 1). Whoever
    /// sleeps, wakes accordingly.
    pub fn set_speed(&self, speed: u32) {
        let speed = speed.max(1);
        self.pace.send_if_modified(|pace| {
            let is_new = pace.speed != speed;
            if is_new {
                *pace = Pace { shown: pace.now(), at: Instant::now(), speed };
            }
            is_new
        });
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
}
