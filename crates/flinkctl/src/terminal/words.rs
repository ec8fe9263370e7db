//! Durations and ages in words.

use std::time::Duration;

use jiff::Timestamp;

/// Minutes and seconds, as `02:05`.
pub fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// A duration as people say it, in its two largest units.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, 0) => format!("{minutes} min"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, 0, _) => format!("{hours} h"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (1, 0, ..) => "1 day".to_owned(),
        (days, 0, ..) => format!("{days} days"),
        (1, hours, ..) => format!("1 day {hours} h"),
        (days, hours, ..) => format!("{days} days {hours} h"),
    }
}

/// From one moment to another; nothing where the clocks have it the other way round.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_people_say_them() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (75, "1 min 15 s"),
            (3_600, "1 h"),
            (5_400, "1 h 30 min"),
            (86_400, "1 day"),
            (90_000, "1 day 1 h"),
            (266_400, "3 days 2 h"),
        ];
        for (seconds, words) in cases {
            assert_eq!(length(Duration::from_secs(seconds)), words);
        }
        assert_eq!(minutes(Duration::from_secs(3_725)), "62:05");
    }

    #[test]
    fn clocks_that_disagree_leave_nothing_between() {
        let [one, other] = [0, 90].map(|second| Timestamp::from_second(second).unwrap());
        assert_eq!(between(one, other), Duration::from_secs(90));
        assert_eq!(between(other, one), Duration::ZERO);
    }
}
