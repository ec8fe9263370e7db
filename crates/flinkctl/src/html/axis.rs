//! The one time axis: where a moment lies between the left and the right edge, with its ticks. A stretch so long that it
//! would leave no room for the rest, and in which nothing changes, is drawn short, and its length is told instead.

use std::time::Duration;

use jiff::Timestamp;

use crate::terminal::words::{between, length};

use super::words::clock;

/// Seconds from one tick to the next may be one of these.
const STEPS: [u32; 17] =
    [5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800];
/// Ticks are at least so many percent apart.
const TICK_DISTANCE: f64 = 9.0;
/// A stretch without change may be drawn short if it is longer than so many seconds, and than this part of everything.
const LONG_SECONDS: f64 = 900.0;
const LONG_PART: f64 = 0.25;
/// It is where it is so many times as long as all that is not long.
const LONG_TIMES: f64 = 3.0;
/// A stretch drawn short is as wide as this part of all that is not long.
const SHORTENED: f64 = 0.35;

/// A stretch of time, from one change to the next; in seconds since the beginning and in percent of the width.
#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    from: f64,
    seconds: f64,
    left: f64,
    width: f64,
    is_short: bool,
}

/// A mark on the axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Percent from the left.
    pub(super) left: f64,
    /// What stands there.
    pub(super) words: String,
}

/// A stretch that is drawn short.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Break {
    /// Percent from the left to its middle.
    pub(super) middle: f64,
    /// How long it is.
    pub(super) words: String,
}

/// The axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    begin: Timestamp,
    end: Timestamp,
    stretches: Vec<Stretch>,
}

impl Axis {
    /// From the beginning to the end; `changes` are the moments between which stretches may be shortened.
    pub(super) fn new(begin: Timestamp, end: Timestamp, changes: &[Timestamp]) -> Self {
        let all = seconds(between(begin, end)).max(1.0);
        let mut moments: Vec<f64> = changes.iter().map(|at| seconds(between(begin, *at)).min(all)).collect();
        moments.extend([0.0, all]);
        moments.sort_by(f64::total_cmp);
        moments.dedup();
        let gaps: Vec<(f64, f64)> = moments.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect();
        let is_long = |gap: f64| gap > LONG_SECONDS && gap > all * LONG_PART;
        let rest: f64 = gaps.iter().map(|(_, gap)| *gap).filter(|gap| !is_long(*gap)).sum();
        let drawn = |gap: f64| {
            let is_short = is_long(gap) && rest > 0.0 && gap > rest * LONG_TIMES;
            (if is_short { rest * SHORTENED } else { gap }, is_short)
        };
        let total: f64 = gaps.iter().map(|(_, gap)| drawn(*gap).0).sum();
        let mut left = 0.0;
        let stretches = gaps
            .into_iter()
            .map(|(from, gap)| {
                let (drawn, is_short) = drawn(gap);
                let width = drawn / total * 100.0;
                left += width;
                Stretch { from, seconds: gap, left: left - width, width, is_short }
            })
            .collect();
        Self { begin, end, stretches }
    }

    /// Percent from the left, from 0 to 100.
    pub(super) fn left(&self, at: Timestamp) -> f64 {
        let at = seconds(between(self.begin, at));
        let stretch = self.stretches.iter().rfind(|stretch| stretch.from <= at);
        stretch.map_or(0.0, |it| it.left + it.width * ((at - it.from) / it.seconds).min(1.0))
    }

    /// When it begins.
    pub(super) fn begin(&self) -> Timestamp {
        self.begin
    }

    /// When it ends.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    /// The stretches that are drawn short.
    pub(super) fn breaks(&self) -> Vec<Break> {
        let short = self.stretches.iter().filter(|stretch| stretch.is_short);
        short
            .map(|it| Break {
                middle: it.left + it.width / 2.0,
                words: length(Duration::from_secs(Duration::from_secs_f64(it.seconds).as_secs())),
            })
            .collect()
    }

    /// The ticks, none of them in a stretch that is drawn short.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let to_scale = || self.stretches.iter().filter(|stretch| !stretch.is_short);
        let drawn: f64 = to_scale().map(|stretch| stretch.width).sum();
        let percent_per_second = drawn / to_scale().map(|stretch| stretch.seconds).sum::<f64>().max(1.0);
        let all = between(self.begin, self.end).as_secs();
        let fits = |step: &&u32| f64::from(**step) * percent_per_second >= TICK_DISTANCE;
        let largest = STEPS.last().copied().unwrap_or(1);
        // Beyond the largest step, multiples of it.
        let step = STEPS
            .iter()
            .find(fits)
            .map_or_else(|| all / 8 / u64::from(largest) * u64::from(largest), |it| (*it).into());
        let mut ticks: Vec<Tick> = Vec::new();
        for stretch in to_scale() {
            let end = Duration::from_secs_f64(stretch.from + stretch.seconds);
            let first = Duration::from_secs_f64(stretch.from).as_secs().div_ceil(step.max(1)) * step.max(1);
            for at in (first..=end.as_secs()).step_by(usize::try_from(step.max(1)).unwrap_or(usize::MAX)) {
                let at = Duration::from_secs(at);
                let left = stretch.left + stretch.width * (seconds(at) - stretch.from) / stretch.seconds;
                let is_apart = ticks.last().is_none_or(|last| left - last.left >= TICK_DISTANCE * 0.9);
                if is_apart && left < 97.0 {
                    ticks.push(Tick { left, words: clock(at) });
                }
            }
        }
        ticks
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn ticks(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| tick.words).collect()
    }

    #[expect(clippy::float_cmp, reason = "whole numbers")]
    #[test]
    fn time_is_drawn_to_scale() {
        let axis = Axis::new(at(0), at(500), &[at(100), at(250)]);
        assert_eq!([0, 50, 100, 250, 500].map(|second| axis.left(at(second))), [0.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!((axis.left(at(-5)), axis.left(at(900))), (0.0, 100.0));
        assert_eq!(ticks(&axis), ["00:00", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00", "07:00", "08:00"]);
        assert!(axis.breaks().is_empty());
    }

    #[test]
    fn a_long_stretch_without_change_is_drawn_short() {
        let axis = Axis::new(at(0), at(20_500), &[at(20_000), at(20_200)]);
        assert!(axis.left(at(20_000)) < 27.0, "{axis:?}");
        let told: Vec<String> = axis.breaks().into_iter().map(|it| it.words).collect();
        assert_eq!(told, ["5 h 33 min"]);
        assert!(ticks(&axis).iter().all(|tick| tick.starts_with("5:3") || tick.starts_with("5:4")), "{axis:?}");
    }

    #[test]
    fn ticks_are_few_however_long_it_lasts() {
        for length in [0, 1, 59, 3_600, 86_400, 31_536_000] {
            let axis = Axis::new(at(0), at(length), &[]);
            assert!((1..14).contains(&axis.ticks().len()), "{length}: {:?}", axis.ticks());
        }
    }
}
