//! Time as a dependency. Everything in the project that waits or looks at the time is handed a [`Clock`]; the same code
//! then runs in real time, faster than real time (the demo) or in virtual time (tests, on a tokio runtime whose time is
//! paused, where every sleep ends at once and moves the clock).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that starts at a given moment and runs at a given speed, as tokio's time goes by.
///
/// On a tokio runtime started with `start_paused(true)` it is a virtual clock. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Timestamp,
    started: Instant,
    speed: u32,
}

impl Clock {
    /// A clock that shows `epoch` now and runs `speed` times as fast as tokio's (0 counts as 1). Needs a tokio runtime.
    pub fn starting_at(epoch: Timestamp, speed: u32) -> Self {
        Self { epoch, started: Instant::now(), speed: speed.max(1) }
    }

    /// The time of day, at its own speed.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    pub fn wall() -> Self {
        Self::starting_at(Timestamp::now(), 1)
    }

    /// The time that this clock shows.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed() * self.speed).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Sleeps until this clock has moved on by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.speed).await;
    }

    /// How many times as fast as tokio's time this clock runs.
    pub fn speed(&self) -> u32 {
        self.speed
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
}
