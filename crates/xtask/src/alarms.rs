//! How `docs/alarms.yaml` is tuned, tried on restarts at all kinds of times: `CloudWatch`'s arithmetic with the figures that stand
//! in the template. A minute's sample of the counter, the greatest of each period, the differences, and M of N of them.

const ALARMS: &str = include_str!("../../../docs/alarms.yaml");
const SAMPLE_SECONDS: u32 = 60;
const HOUR: u32 = 3600;

/// The figures of an alarm on restarts.
#[derive(Debug, PartialEq, Eq)]
struct Alarm {
    period_seconds: u32,
    evaluation_periods: usize,
    breaching_datapoints: usize,
}

/// The figures of the named alarm, as they stand in the template.
fn alarm(name: &str) -> Alarm {
    let from = ALARMS.find(&format!("\n  {name}:\n")).expect("the template has this alarm");
    let lines = ALARMS[from..].lines().skip(2).take_while(|line| line.is_empty() || line.starts_with("   "));
    let lines: Vec<&str> = lines.map(str::trim).collect();
    let text =
        |field: &str| lines.iter().find_map(|line| line.strip_prefix(field)).expect("the alarm has this field").trim();
    let figure = |field: &str| text(field).parse::<u32>().expect("the field is a number");
    assert_eq!(text("Expression:"), "DIFF(restarts)");
    assert_eq!(text("Stat:"), "Maximum");
    assert_eq!(text("ComparisonOperator:"), "GreaterThanThreshold");
    assert_eq!(text("Threshold:"), "0");
    assert_eq!(text("TreatMissingData:"), "notBreaching");
    Alarm {
        period_seconds: figure("Period:"),
        evaluation_periods: figure("EvaluationPeriods:") as usize,
        breaching_datapoints: figure("DatapointsToAlarm:") as usize,
    }
}

impl Alarm {
    /// After how many seconds it is raised by a job that begins at 0 and restarts at these seconds; the periods of
    /// `CloudWatch` begin `offset` seconds before. A new submission begins to count at 0 again.
    fn raised_after(&self, restarts: &[u32], submissions: &[u32], offset: u32, until: u32) -> Option<u32> {
        let counter = |second: u32| {
            let since =
                submissions.iter().copied().filter(|submission| *submission <= second).max().unwrap_or_default();
            i64::try_from(restarts.iter().filter(|restart| (since..=second).contains(*restart)).count()).unwrap()
        };
        let period = |index: u32| {
            (index * self.period_seconds).saturating_sub(offset)..((index + 1) * self.period_seconds - offset)
        };
        let greatest = |index: u32| period(index).step_by(SAMPLE_SECONDS as usize).map(counter).max();
        let mut breaching = Vec::new();
        for index in 0.. {
            let end = period(index).end;
            if end > until {
                return None;
            }
            let before = index.checked_sub(1).and_then(greatest);
            breaching.push(before.zip(greatest(index)).is_some_and(|(before, now)| now - before > 0));
            let newest = breaching.iter().rev().take(self.evaluation_periods);
            if newest.filter(|is_breaching| **is_breaching).count() >= self.breaching_datapoints {
                return Some(end);
            }
        }
        None
    }

    /// The same for all places that the periods may have, the slowest first.
    fn slowest(&self, restarts: &[u32], submissions: &[u32]) -> Option<u32> {
        let offsets = (0..self.period_seconds).step_by(20);
        let raised = offsets.map(|offset| self.raised_after(restarts, submissions, offset, 3 * HOUR));
        raised.collect::<Option<Vec<u32>>>().and_then(|all| all.into_iter().max())
    }

    fn is_ever_raised(&self, restarts: &[u32], submissions: &[u32]) -> bool {
        (0..self.period_seconds)
            .step_by(20)
            .any(|offset| self.raised_after(restarts, submissions, offset, 3 * HOUR).is_some())
    }
}

fn every(seconds: usize) -> Vec<u32> {
    (0..3 * HOUR).step_by(seconds).skip(1).collect()
}

#[test]
fn both_families_of_flink_have_the_same_alarm() {
    assert_eq!(alarm("RestartsAlarmFlink1"), alarm("RestartsAlarmFlink2"));
}

#[test]
fn one_or_two_restarts_alarm_nobody_whenever_they_are() {
    let alarm = alarm("RestartsAlarmFlink1");
    assert!(!alarm.is_ever_raised(&[], &[]));
    for first in (0..HOUR).step_by(70) {
        for gap in (0..HOUR).step_by(70) {
            assert!(!alarm.is_ever_raised(&[first, first + gap], &[]), "{first} {gap}");
        }
    }
}

#[test]
fn many_restarts_at_once_are_one_incident() {
    let burst: Vec<u32> = (1000..1240).step_by(10).collect();
    assert!(!alarm("RestartsAlarmFlink1").is_ever_raised(&burst, &[]));
}

#[test]
fn a_loop_of_any_pace_raises_it() {
    let alarm = alarm("RestartsAlarmFlink1");
    // The paces of the recordings, of MSF's growing delay, and the slowest that is promised.
    for (pace, at_most_minutes) in [(10, 20), (40, 20), (90, 20), (240, 20), (300, 25), (400, 30), (600, 40)] {
        let raised =
            alarm.slowest(&every(pace), &[]).unwrap_or_else(|| panic!("a restart every {pace} s is never noticed"));
        assert!(raised <= at_most_minutes * 60, "a restart every {pace} s is noticed after {raised} s");
    }
}

#[test]
fn submissions_begin_the_count_again_and_are_no_restarts() {
    let alarm = alarm("RestartsAlarmFlink1");
    let submissions: Vec<u32> = every(420);
    assert!(!alarm.is_ever_raised(&[], &submissions));
    // A restart of the old job, and one of the new.
    assert!(!alarm.is_ever_raised(&[900, 2000], &[1500]));
}
