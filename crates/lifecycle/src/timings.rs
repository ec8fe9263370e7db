//! How long a bad change took: until it was found bad, and from there until the application was back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;
use crate::report::Outcome;
use crate::watch::seconds_between;

/// How long a bad change took. What is not known is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// Seconds from the first call of the change until it was found bad; none where none was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect_seconds: Option<i64>,
    /// Seconds from there until the application was back and verified; none where it is not back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_seconds: Option<i64>,
}

impl Timings {
    /// Of a deployment that ends now with this outcome; none where the change was not found bad. A failing verdict that came
    /// to nothing, because the service or a person was at work on the application, found nothing bad.
    pub fn of(deployment: &Deployment, outcome: Outcome, now: Timestamp) -> Option<Self> {
        let is_back = match outcome {
            Outcome::RolledBack | Outcome::Restored => true,
            Outcome::NeedsAttention => false,
            Outcome::Deployed | Outcome::NoChange | Outcome::Superseded | Outcome::Refused => return None,
        };
        let found_bad_at = deployment.data.found_bad_at?;
        let seconds = |from, to| Some(seconds_between(from, to)).filter(|seconds| *seconds >= 0);
        let detect_seconds = deployment.data.began_at.and_then(|began_at| seconds(began_at, found_bad_at));
        let recover_seconds = seconds(found_bad_at, now).filter(|_| is_back);
        let is_known = detect_seconds.is_some() || recover_seconds.is_some();
        is_known.then_some(Self { detect_seconds, recover_seconds })
    }
}

impl std::fmt::Display for Timings {
    /// In a sentence.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.detect_seconds, self.recover_seconds) {
            (Some(detect), Some(recover)) => {
                write!(formatter, "Found bad after {detect} s, back and verified {recover} s later.")
            }
            (Some(detect), None) => write!(formatter, "Found bad after {detect} s."),
            (None, Some(recover)) => write!(formatter, "Back and verified {recover} s after it was found bad."),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deployment::Rung;
    use crate::fixtures::{at, climbed, due, updating};
    use crate::verdict::{Reason, Verdict};

    fn failed(mut deployment: Deployment, seconds: i64) -> Deployment {
        deployment.conclude(Verdict::failing(Reason::Restarts { count: 3, tolerated: 2 }), at(seconds));
        deployment
    }

    #[test]
    fn only_what_was_found_bad_has_timings_and_only_what_is_back_a_recovery() {
        let bad = failed(climbed(&json!({}), &[Rung::RollBack]), 90);
        let table = [
            (Outcome::RolledBack, Some((Some(90), Some(410)))),
            (Outcome::Restored, Some((Some(90), Some(410)))),
            (Outcome::NeedsAttention, Some((Some(90), None))),
            (Outcome::Deployed, None),
            (Outcome::NoChange, None),
            (Outcome::Superseded, None),
            (Outcome::Refused, None),
        ];
        for (outcome, expected) in table {
            let timings = Timings::of(&bad, outcome, at(500));
            let found = timings.map(|timings| (timings.detect_seconds, timings.recover_seconds));
            assert_eq!(found, expected, "{outcome}");
        }
        let good = updating(&json!({}), "RUNNING");
        assert_eq!(Timings::of(&good, Outcome::NeedsAttention, at(500)), None, "nothing was found bad");
    }

    #[test]
    fn the_first_failing_verdict_is_the_moment() {
        let later = failed(failed(updating(&json!({}), "RUNNING"), 90), 300);
        let timings = Timings::of(&later, Outcome::RolledBack, at(500)).unwrap();
        assert_eq!(timings.detect_seconds, Some(90));
        assert_eq!(timings.to_string(), "Found bad after 90 s, back and verified 410 s later.");
    }

    #[test]
    fn what_was_not_begun_and_what_goes_backwards_is_not_told() {
        let refused = failed(due(&json!({}), "RUNNING"), 5);
        assert_eq!(Timings::of(&refused, Outcome::NeedsAttention, at(6)), None, "no call was taken");
        let backwards = failed(updating(&json!({}), "RUNNING"), -5);
        let timings = Timings::of(&backwards, Outcome::RolledBack, at(500)).unwrap();
        assert_eq!((timings.detect_seconds, timings.recover_seconds), (None, Some(505)));
        assert_eq!(timings.to_string(), "Back and verified 505 s after it was found bad.");
        assert_eq!(Timings::of(&backwards, Outcome::NeedsAttention, at(500)), None);
        let held = Timings::of(&failed(updating(&json!({}), "RUNNING"), 30), Outcome::NeedsAttention, at(500)).unwrap();
        assert_eq!(held.to_string(), "Found bad after 30 s.");
    }
}
