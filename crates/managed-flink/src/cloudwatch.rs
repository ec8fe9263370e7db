//! Reads `CloudWatch`: how often the job restarted, and whether the user's own alarms are raised. Data arrives a minute or
//! two late there.

use std::collections::HashMap;

use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StateValue, StatusCode,
};
use aws_smithy_types::DateTime;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use lifecycle::evidence::{Alarm, DataPoint, Restarts, count_restarts};

use crate::{Error, ErrorKind, ManagedFlink};

const NAMESPACE: &str = "AWS/KinesisAnalytics";
/// Seconds of a period: the finest that the service publishes.
const PERIOD: i32 = 60;
/// Alarms that one call may name.
const ALARMS_PER_CALL: usize = 100;
/// More restarts than any job has had, and still exact in a float.
const LARGEST_COUNT: f64 = 1e15;
/// Pages that are read, so that an endless answer ends.
const MOST_PAGES: usize = 100;

impl ManagedFlink {
    /// Restarts of the application's job from the first whole minute at or after `since` until `now` (`GetMetricData`).
    /// No data means none: the service may publish the counter only once there is something to count.
    pub async fn restarts(
        &self,
        application: &str,
        runtime: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Restarts, Error> {
        const OPERATION: &str = "GetMetricData";
        let Some(start) = next_whole_minute(since).filter(|start| *start < now) else { return Ok(Restarts::default()) };
        let dimension = Dimension::builder().name("Application").value(application).build();
        let metric =
            Metric::builder().namespace(NAMESPACE).metric_name(restart_metric(runtime)).dimensions(dimension).build();
        let statistic = MetricStat::builder().metric(metric).period(PERIOD).stat("Maximum").build();
        let query = MetricDataQuery::builder().id("restarts").metric_stat(statistic).return_data(true).build();
        let call = self
            .cloudwatch
            .get_metric_data()
            .metric_data_queries(query)
            .start_time(date_time(start))
            .end_time(date_time(now))
            .scan_by(ScanBy::TimestampAscending);
        let mut series = Vec::new();
        let mut token = None;
        let mut is_answered = false;
        for _ in 0..MOST_PAGES {
            let page = call.clone().set_next_token(token).send().await;
            let page = page.map_err(|error| Error::from_sdk(OPERATION, error))?;
            let is_last = page.next_token().is_none_or(str::is_empty);
            for result in page.metric_data_results() {
                is_answered = true;
                check(OPERATION, result, is_last)?;
                series.extend(points(OPERATION, result)?);
            }
            if is_last && !is_answered {
                // No data is a result, too; no result is none.
                return Err(Error::unreadable(OPERATION, "there is no result for the query"));
            }
            if is_last {
                series.sort_by_key(|point: &DataPoint| point.at);
                return Ok(count_restarts(&series));
            }
            token = page.next_token().map(str::to_owned);
        }
        Err(Error::unreadable(OPERATION, format!("the data does not end after {MOST_PAGES} pages")))
    }

    /// State of the alarms of these names, in this order, composite ones included (`DescribeAlarms`). An alarm that
    /// `CloudWatch` does not know is an error of kind [`ErrorKind::NotFound`].
    pub async fn alarms(&self, names: &[String]) -> Result<Vec<Alarm>, Error> {
        const OPERATION: &str = "DescribeAlarms";
        let mut raised: HashMap<String, bool> = HashMap::new();
        for chunk in names.chunks(ALARMS_PER_CALL) {
            // Without their types only metric alarms are found.
            let call = self
                .cloudwatch
                .describe_alarms()
                .set_alarm_names(Some(chunk.to_vec()))
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm);
            let answer = call.send().await.map_err(|error| Error::from_sdk(OPERATION, error))?;
            let metric = answer.metric_alarms().iter().map(|alarm| (alarm.alarm_name(), alarm.state_value()));
            let composite = answer.composite_alarms().iter().map(|alarm| (alarm.alarm_name(), alarm.state_value()));
            for (name, state) in metric.chain(composite) {
                let (Some(name), Some(state)) = (name, state) else {
                    return Err(Error::unreadable(OPERATION, "an alarm has no name or no state"));
                };
                let is_raised = match state {
                    StateValue::Alarm => true,
                    StateValue::Ok | StateValue::InsufficientData => false,
                    _ => return Err(Error::unreadable(OPERATION, "an alarm is in a state that is not documented")),
                };
                // Where a name comes twice, one that is raised is enough.
                *raised.entry(name.to_owned()).or_default() |= is_raised;
            }
        }
        let alarm = |name: &String| match raised.get(name) {
            Some(&is_raised) => Ok(Alarm { name: name.clone(), is_raised }),
            None => Err(Error::new(ErrorKind::NotFound, OPERATION, format!("there is no alarm {name}"))),
        };
        names.iter().map(alarm).collect()
    }
}

/// The name of the counter: Flink 1.x counts in `fullRestarts`, which is gone in 2.x.
fn restart_metric(runtime: &str) -> &'static str {
    if runtime.starts_with("FLINK-1_") { "fullRestarts" } else { "numRestarts" }
}

fn next_whole_minute(at: Timestamp) -> Option<Timestamp> {
    at.round(TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil)).ok()
}

fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_secs_and_nanos(at.as_second(), u32::try_from(at.subsec_nanosecond()).unwrap_or_default())
}

/// Data that is not all there may lack just the restarts that matter.
fn check(operation: &'static str, result: &MetricDataResult, is_last: bool) -> Result<(), Error> {
    match result.status_code() {
        None | Some(StatusCode::Complete) => Ok(()),
        Some(StatusCode::PartialData) if !is_last => Ok(()),
        Some(StatusCode::Forbidden) => {
            Err(Error::new(ErrorKind::AccessDenied, operation, "the metric may not be read"))
        }
        Some(status) => {
            Err(Error::new(ErrorKind::Unavailable, operation, format!("the data is incomplete: {}", status.as_str())))
        }
    }
}

fn points(operation: &'static str, result: &MetricDataResult) -> Result<Vec<DataPoint>, Error> {
    if result.timestamps().len() != result.values().len() {
        return Err(Error::unreadable(operation, "the data has more timestamps than values, or fewer"));
    }
    let point = |(at, value): (&DateTime, &f64)| {
        if !(0.0..=LARGEST_COUNT).contains(value) {
            return Err(Error::unreadable(operation, format!("{value} is no count")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a count")]
        let value = value.round() as u64;
        let at = Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).unwrap_or_default())
            .map_err(|_| Error::unreadable(operation, "a timestamp is out of range"))?;
        Ok(DataPoint { at, value })
    };
    result.timestamps().iter().zip(result.values()).map(point).collect()
}
