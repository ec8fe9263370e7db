//! A deployment's end in figures: its outcome is a metric of its own that is 1, so that an alarm needs neither mathematics
//! nor a second dimension, and only what has happened costs anything.

use handler::{Metric, Metrics, Unit};
use lifecycle::report::{Outcome, Report};
use lifecycle::request::is_application_name;

/// The outcomes that are counted, each under its own name: all of them.
pub const OUTCOMES: [Outcome; 7] = [
    Outcome::Deployed,
    Outcome::NoChange,
    Outcome::RolledBack,
    Outcome::Restored,
    Outcome::Superseded,
    Outcome::Refused,
    Outcome::NeedsAttention,
];
/// Metrics in seconds: until a change was found bad, from there until the application was back, and for how long nothing was
/// processed, at most.
pub const OF_TIME: [&str; 3] = ["TimeToDetect", "TimeToRecover", "Downtime"];

/// Writes what is known of a deployment's end, at the moment when it ended: a second line of the same end is of the same
/// minute. Nothing is written where the request names no application that could be one.
pub(crate) fn measure(metrics: &Metrics, report: &Report) {
    if !is_application_name(&report.application) {
        return;
    }
    let [detect, recover, down] = OF_TIME;
    let of_time = [
        (detect, report.timings.and_then(|timings| timings.detect_seconds)),
        (recover, report.timings.and_then(|timings| timings.recover_seconds)),
        (down, report.data.as_ref().and_then(|data| data.down_seconds)),
    ];
    let known = of_time.into_iter().filter_map(|(name, seconds)| Some((name, u64::try_from(seconds?).ok()?)));
    let known = known.map(|(name, value)| Metric { name, unit: Unit::Seconds, value });
    let ended = Metric { name: report.outcome.name(), unit: Unit::Count, value: 1 };
    let all: Vec<Metric> = std::iter::once(ended).chain(known).collect();
    metrics.write(&report.application, report.ended_at, &all);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;
    use lifecycle::data::DataReport;
    use lifecycle::timings::Timings;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written of this report.
    fn measured(report: &Report) -> Vec<Value> {
        let kept = Kept::default();
        measure(&Metrics::on(kept.clone()), report);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn report(application: &str, outcome: Outcome) -> Report {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let refused = Report::refused(
            application,
            "release-2",
            Vec::new(),
            at("2026-11-20T08:00:00Z"),
            at("2026-11-20T08:09:00.5Z"),
        );
        Report { outcome, success: outcome.is_success(), ..refused }
    }

    #[test]
    fn an_end_is_one_line_at_the_moment_of_the_end_with_what_is_known() {
        let data =
            DataReport { summary: String::new(), snapshot: None, replayed_seconds: None, down_seconds: Some(226) };
        let report = Report {
            timings: Some(Timings { detect_seconds: Some(119), recover_seconds: Some(399) }),
            data: Some(Box::new(data)),
            ..report("orders", Outcome::RolledBack)
        };
        let [line] = &measured(&report)[..] else { panic!("not one line") };
        assert_eq!(line["_aws"]["Timestamp"], json!(1_795_162_140_500_i64));
        let described = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(described["Dimensions"], json!([["Application"]]));
        assert_eq!(
            described["Metrics"],
            json!([
                { "Name": "RolledBack", "Unit": "Count" },
                { "Name": "TimeToDetect", "Unit": "Seconds" },
                { "Name": "TimeToRecover", "Unit": "Seconds" },
                { "Name": "Downtime", "Unit": "Seconds" },
            ])
        );
        let values = ["RolledBack", "TimeToDetect", "TimeToRecover", "Downtime"].map(|name| line[name].clone());
        assert_eq!(json!(values), json!([1, 119, 399, 226]));
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        for outcome in OUTCOMES {
            let [line] = &measured(&report("orders", outcome))[..] else { panic!("not one line") };
            let names = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].clone();
            assert_eq!(names, json!([{ "Name": outcome.to_string(), "Unit": "Count" }]));
        }
        assert_eq!(measured(&report("no application", Outcome::Refused)), Vec::<Value>::new());
    }
}
