//! CloudWatch as far as it concerns Managed Service for Apache Flink: the metrics that the service publishes per
//! application, and alarms whose state a test sets.
//!
//! Data points are sampled at the end of each whole minute from [`DataPlane::metrics`], and published late, as the
//! service's are. One [`CloudWatch`] belongs to each emulator, which spawns [`CloudWatch::run`] once, hands over the requests
//! of CloudWatch's three protocols, and `POST /_emulator/alarms`.

pub(crate) mod codec;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clock::Clock;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::data_plane::{DataPlane, JobMetrics};
use crate::emulator::ApplicationView;
use crate::wire::{HttpResponse, Protocol, error_answer};
use codec::Out;

/// Namespace of the service's metrics.
pub const NAMESPACE: &str = "AWS/KinesisAnalytics";
/// Dimension of the metrics that are about a whole application.
pub const DIMENSION: &str = "Application";

const MINUTE: i64 = 60;
/// CloudWatch keeps data points of a minute for 15 days.
const RETAINED_MINUTES: usize = 15 * 24 * 60;
/// Most queries in a request, and most data points in an answer.
const MOST_QUERIES: usize = 500;
const MOST_DATA_POINTS: usize = 100_800;
/// What `DescribeAlarms` answers at most, and unless told otherwise.
const MOST_ALARMS: usize = 100;
const DEFAULT_ALARMS: usize = 50;

/// How the service publishes its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// From the end of a minute to the moment at which its data point can be read.
    pub delay: Duration,
    /// Whether a value of 0 is not published at all, as with some versions of the service.
    pub only_non_zero: bool,
}

impl Default for Publication {
    fn default() -> Self {
        Self { delay: Duration::from_secs(90), only_non_zero: false }
    }
}

/// State of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum AlarmState {
    /// `OK`
    #[serde(rename = "OK")]
    Ok,
    /// `ALARM`
    #[serde(rename = "ALARM")]
    Alarm,
    /// `INSUFFICIENT_DATA`
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl AlarmState {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

#[derive(Debug, Clone)]
struct Alarm {
    state: AlarmState,
    reason: String,
    updated: Timestamp,
}

/// The data point of a minute that began at `start`, seconds since 1970.
#[derive(Debug, Clone)]
struct DataPoint {
    start: i64,
    values: Vec<(&'static str, f64)>,
}

#[derive(Debug, Default)]
struct State {
    history: BTreeMap<String, VecDeque<DataPoint>>,
    alarms: BTreeMap<String, Alarm>,
    requests: u64,
}

/// CloudWatch. Clones are the same one.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    clock: Clock,
    publication: Publication,
    region: String,
    account: String,
    state: Arc<Mutex<State>>,
}

/// A request that is refused, as code and message.
struct Refused(&'static str, String);

fn invalid(message: impl Into<String>) -> Refused {
    Refused("ValidationError", message.into())
}

/// What the service publishes for an application with a job, on its runtime.
fn values(application: &ApplicationView, metrics: &JobMetrics) -> Vec<(&'static str, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch's own values are doubles")]
    let number = |value: u64| value as f64;
    #[expect(clippy::cast_precision_loss, reason = "CloudWatch's own values are doubles")]
    let downtime = metrics.downtime_ms as f64;
    let uptime = number(metrics.uptime_ms);
    let running = metrics.downtime_ms == 0;
    let mut values = if application.runtime.starts_with("FLINK-1_") {
        vec![("fullRestarts", number(metrics.restarts)), ("downtime", downtime), ("uptime", uptime)]
    } else {
        vec![
            ("numRestarts", number(metrics.restarts)),
            ("restartingTime", downtime.max(0.0)),
            ("failingTime", 0.0),
            ("cancellingTime", 0.0),
            ("runningTime", uptime),
        ]
    };
    let per_kpu = application.parallelism_per_kpu.max(1);
    values.extend([
        ("numberOfFailedCheckpoints", number(metrics.failed_checkpoints)),
        ("lastCheckpointDuration", number(metrics.last_checkpoint_duration_ms)),
        ("lastCheckpointSize", number(metrics.last_checkpoint_size_bytes)),
        ("KPUs", f64::from(application.parallelism.max(1).div_ceil(per_kpu))),
        ("cpuUtilization", if running { 35.0 } else { 5.0 }),
        ("heapMemoryUtilization", if running { 45.0 } else { 20.0 }),
    ]);
    values
}

impl CloudWatch {
    /// A CloudWatch without data and alarms.
    pub fn new(clock: Clock, publication: Publication, region: &str, account: &str) -> Self {
        Self { clock, publication, region: region.to_owned(), account: account.to_owned(), state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples the applications at the end of every minute, for ever.
    pub async fn run(self, data_plane: Arc<dyn DataPlane>, applications: impl Fn() -> Vec<ApplicationView> + Send) {
        let mut minute = self.clock.now().as_second().div_euclid(MINUTE) + 1;
        loop {
            let end = Timestamp::from_second(minute * MINUTE).unwrap_or(Timestamp::MAX);
            let wait = end.duration_since(self.clock.now());
            self.clock.sleep(Duration::try_from(wait).unwrap_or_default()).await;
            for application in applications() {
                if let Some(metrics) = data_plane.metrics(&application.name).await {
                    self.add(&application, &metrics, minute - 1);
                }
            }
            // A clock that runs fast may be past the next minute's end already: that minute has no data point.
            minute = self.clock.now().as_second().div_euclid(MINUTE).max(minute) + 1;
        }
    }

    fn add(&self, application: &ApplicationView, metrics: &JobMetrics, minute: i64) {
        let mut values = values(application, metrics);
        if self.publication.only_non_zero {
            values.retain(|(_, value)| *value != 0.0);
        }
        let mut state = self.lock();
        let history = state.history.entry(application.name.clone()).or_default();
        history.push_back(DataPoint { start: minute * MINUTE, values });
        if history.len() > RETAINED_MINUTES {
            history.pop_front();
        }
    }

    /// Sets the state of an alarm, and makes the alarm if it is not there.
    pub fn set_alarm_state(&self, name: &str, state: AlarmState) {
        let alarm = Alarm { state, reason: "set by the emulator".to_owned(), updated: self.clock.now() };
        self.lock().alarms.insert(name.to_owned(), alarm);
    }

    /// Answers `POST /_emulator/alarms` with a body such as `{"name": "orders-lag", "state": "ALARM"}`.
    pub(crate) fn post_alarm(&self, body: &[u8]) -> HttpResponse {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            name: String,
            state: AlarmState,
        }
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { name, state }) => {
                self.set_alarm_state(&name, state);
                crate::wire::answer(http::StatusCode::OK, "application/json", "{}")
            }
            Err(error) => error_answer(Protocol::Rest, 400, "ValidationError", &format!("an alarm's state: {error}")),
        }
    }

    /// Answers an operation in any of its protocols.
    pub(crate) fn handle(&self, operation: &str, protocol: Protocol, body: &[u8]) -> HttpResponse {
        let request_id = {
            let mut state = self.lock();
            state.requests += 1;
            format!("00000000-0000-4000-8000-{:012x}", state.requests)
        };
        let refuse = |Refused(code, message)| error_answer(protocol, 400, code, &message);
        let Some(request) = codec::decode(protocol, body) else {
            return refuse(Refused("SerializationException", "the body cannot be read".to_owned()));
        };
        let answer = match operation {
            "GetMetricData" => self.get_metric_data(&request),
            "DescribeAlarms" => self.describe_alarms(&request),
            "DescribeAlarmsForMetric" => describe_alarms_for_metric(&request),
            _ => Err(Refused("UnknownOperationException", format!("the emulator does not know {operation}"))),
        };
        answer.map_or_else(refuse, |out| codec::encode(protocol, operation, &request_id, &out))
    }

    fn get_metric_data(&self, request: &Value) -> Result<Out, Refused> {
        let time = |name: &str| {
            codec::time(&request[name])
                .ok_or_else(|| invalid(format!("The parameter {name} is required and is a time.")))
        };
        let (start, end) = (time("StartTime")?, time("EndTime")?);
        if start >= end {
            return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
        }
        let ascending = match request["ScanBy"].as_str() {
            None | Some("TimestampDescending") => false,
            Some("TimestampAscending") => true,
            Some(other) => return Err(invalid(format!("The parameter ScanBy is not a scan order: {other}."))),
        };
        let most = match codec::integer(&request["MaxDatapoints"]) {
            None if request["MaxDatapoints"].is_null() => MOST_DATA_POINTS,
            most => most
                .and_then(|most| usize::try_from(most).ok())
                .filter(|most| (1..=MOST_DATA_POINTS).contains(most))
                .ok_or_else(|| invalid(format!("The parameter MaxDatapoints is from 1 to {MOST_DATA_POINTS}.")))?,
        };
        let skip = match request["NextToken"].as_str() {
            None => 0,
            Some(token) => token
                .strip_prefix("data-points-")
                .and_then(|skip| skip.parse::<usize>().ok())
                .ok_or_else(|| Refused("InvalidNextToken", "The token is not one of ours.".to_owned()))?,
        };
        let queries = request["MetricDataQueries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if queries.is_empty() || queries.len() > MOST_QUERIES {
            return Err(invalid(format!("The parameter MetricDataQueries has from 1 to {MOST_QUERIES} members.")));
        }
        let queries = queries.iter().map(Query::read).collect::<Result<Vec<_>, _>>()?;
        for (index, query) in queries.iter().enumerate() {
            if queries[..index].iter().any(|other| other.id == query.id) {
                return Err(invalid(format!("The id {} is used by two members of MetricDataQueries.", query.id)));
            }
        }
        // Data points are handed out in the order of the queries, `most` to a page.
        let (mut seen, mut left) = (0, most);
        let mut more = false;
        let mut results = Vec::new();
        for query in queries.iter().filter(|query| query.returned) {
            let mut points = self.points(query, start, end);
            if !ascending {
                points.reverse();
            }
            let first = skip.saturating_sub(seen).min(points.len());
            seen += points.len();
            let taken = left.min(points.len() - first);
            left -= taken;
            let cut = first + taken < points.len();
            more |= cut;
            if (first > 0 && taken == 0 && !cut) || (skip > 0 && points.is_empty()) {
                continue;
            }
            let page = &points[first..first + taken];
            results.push(Out::Structure(vec![
                ("Id", Out::text(&query.id)),
                ("Label", Out::text(&query.label)),
                ("Timestamps", Out::List(page.iter().map(|(time, _)| Out::Time(*time)).collect())),
                ("Values", Out::List(page.iter().map(|(_, value)| Out::Double(*value)).collect())),
                ("StatusCode", Out::text(if cut { "PartialData" } else { "Complete" })),
            ]));
        }
        let mut answer = vec![("MetricDataResults", Out::List(results)), ("Messages", Out::List(Vec::new()))];
        if more {
            answer.push(("NextToken", Out::text(format!("data-points-{}", skip + most - left))));
        }
        Ok(Out::Structure(answer))
    }

    /// The query's data points that are published by now, oldest first.
    fn points(&self, query: &Query, start: Timestamp, end: Timestamp) -> Vec<(Timestamp, f64)> {
        let Some(application) = &query.application else { return Vec::new() };
        let state = self.lock();
        let Some(history) = state.history.get(application) else { return Vec::new() };
        let delay = SignedDuration::try_from(self.publication.delay).unwrap_or(SignedDuration::MAX);
        let published = self.clock.now().saturating_sub(delay).map_or(i64::MIN, Timestamp::as_second);
        // The start is rounded down to a whole period; the end is exclusive.
        let from = start.as_second().div_euclid(query.period) * query.period;
        let until = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
        let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        let first = history.partition_point(|point| point.start < from);
        for point in history.range(first..).take_while(|point| point.start < until && point.start + MINUTE <= published)
        {
            let value = point.values.iter().find(|(name, _)| *name == query.metric);
            if let Some((_, value)) = value {
                buckets.entry(point.start.div_euclid(query.period) * query.period).or_default().push(*value);
            }
        }
        let point =
            |(start, values): (i64, Vec<f64>)| Some((Timestamp::from_second(start).ok()?, query.stat.of(&values)));
        buckets.into_iter().filter_map(point).collect()
    }

    fn describe_alarms(&self, request: &Value) -> Result<Out, Refused> {
        let names: Vec<&str> =
            request["AlarmNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let prefix = request["AlarmNamePrefix"].as_str();
        if prefix.is_some() && !names.is_empty() {
            return Err(invalid("AlarmNames and AlarmNamePrefix cannot be given together."));
        }
        let most = match codec::integer(&request["MaxRecords"]) {
            None if request["MaxRecords"].is_null() => DEFAULT_ALARMS,
            most => most
                .and_then(|most| usize::try_from(most).ok())
                .filter(|most| (1..=MOST_ALARMS).contains(most))
                .ok_or_else(|| invalid(format!("The parameter MaxRecords is from 1 to {MOST_ALARMS}.")))?,
        };
        let after = match request["NextToken"].as_str() {
            None => None,
            Some(token) => Some(
                token
                    .strip_prefix("after-")
                    .ok_or_else(|| Refused("InvalidNextToken", "The token is not one of ours.".to_owned()))?,
            ),
        };
        let types: Vec<&str> =
            request["AlarmTypes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let metric_alarms = types.is_empty() || types.contains(&"MetricAlarm");
        let wanted_state = request["StateValue"].as_str();
        let state = self.lock();
        let mut alarms = state.alarms.iter().filter(|(name, alarm)| {
            metric_alarms
                && (names.is_empty() || names.contains(&name.as_str()))
                && prefix.is_none_or(|prefix| name.starts_with(prefix))
                && wanted_state.is_none_or(|wanted| wanted == alarm.state.name())
                && after.is_none_or(|after| name.as_str() > after)
        });
        let page: Vec<_> = alarms.by_ref().take(most).collect();
        let more = alarms.next().is_some();
        let final_name = page.last().map(|(name, _)| (*name).clone());
        let list = page.into_iter().map(|(name, alarm)| self.describe_alarm(name, alarm)).collect();
        let mut answer = vec![("MetricAlarms", Out::List(list)), ("CompositeAlarms", Out::List(Vec::new()))];
        if let Some(name) = final_name.filter(|_| more) {
            answer.push(("NextToken", Out::text(format!("after-{name}"))));
        }
        Ok(Out::Structure(answer))
    }

    fn describe_alarm(&self, name: &str, alarm: &Alarm) -> Out {
        let arn = format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", self.region, self.account);
        Out::Structure(vec![
            ("AlarmName", Out::text(name)),
            ("AlarmArn", Out::text(arn)),
            ("ActionsEnabled", Out::Bool(true)),
            ("OKActions", Out::List(Vec::new())),
            ("AlarmActions", Out::List(Vec::new())),
            ("InsufficientDataActions", Out::List(Vec::new())),
            ("StateValue", Out::text(alarm.state.name())),
            ("StateReason", Out::text(&alarm.reason)),
            ("StateUpdatedTimestamp", Out::Time(alarm.updated)),
            ("StateTransitionedTimestamp", Out::Time(alarm.updated)),
            ("Namespace", Out::text(NAMESPACE)),
            ("Dimensions", Out::List(Vec::new())),
            ("EvaluationPeriods", Out::Integer(1)),
        ])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stat {
    Maximum,
    Minimum,
    Sum,
    Average,
    SampleCount,
}

impl Stat {
    fn of(self, values: &[f64]) -> f64 {
        let sum: f64 = values.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "at most as many values as minutes in 15 days")]
        let count = values.len() as f64;
        match self {
            Self::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Sum => sum,
            Self::Average => sum / count,
            Self::SampleCount => count,
        }
    }
}

/// One member of `MetricDataQueries`.
#[derive(Debug)]
struct Query {
    id: String,
    label: String,
    metric: String,
    /// The application; none if the namespace or the dimensions are not those of the service's metrics.
    application: Option<String>,
    /// In seconds.
    period: i64,
    stat: Stat,
    returned: bool,
}

impl Query {
    fn read(value: &Value) -> Result<Self, Refused> {
        let id = value["Id"].as_str().unwrap_or_default();
        let well_named = id.starts_with(|first: char| first.is_ascii_lowercase())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !well_named {
            return Err(invalid(format!(
                "The id {id:?} of a member of MetricDataQueries begins with a lower case letter."
            )));
        }
        if !value["Expression"].is_null() {
            return Err(invalid(format!("{id}: the emulator knows no Expression, only MetricStat.")));
        }
        let stat = &value["MetricStat"];
        let metric = &stat["Metric"];
        let name = metric["MetricName"]
            .as_str()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| invalid(format!("{id}: MetricStat.Metric.MetricName is required.")))?;
        let period = codec::integer(&stat["Period"])
            .filter(|period| *period > 0 && period % MINUTE == 0)
            .ok_or_else(|| invalid(format!("{id}: MetricStat.Period is required, a multiple of 60.")))?;
        let statistic = match stat["Stat"].as_str() {
            Some("Maximum") => Stat::Maximum,
            Some("Minimum") => Stat::Minimum,
            Some("Sum") => Stat::Sum,
            Some("Average") => Stat::Average,
            Some("SampleCount") => Stat::SampleCount,
            other => {
                let other = other.unwrap_or("none");
                return Err(invalid(format!("{id}: the emulator knows no MetricStat.Stat such as {other}.")));
            }
        };
        let dimensions = metric["Dimensions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let application = match dimensions {
            [dimension] if metric["Namespace"] == NAMESPACE && dimension["Name"] == DIMENSION => {
                dimension["Value"].as_str().map(str::to_owned)
            }
            _ => None,
        };
        Ok(Self {
            id: id.to_owned(),
            label: value["Label"].as_str().unwrap_or(name).to_owned(),
            metric: name.to_owned(),
            application,
            period,
            stat: statistic,
            returned: codec::truth(&value["ReturnData"]).unwrap_or(true),
        })
    }
}

/// Alarms here have a state that tests set, and no metric: there are none for any.
fn describe_alarms_for_metric(request: &Value) -> Result<Out, Refused> {
    match ["MetricName", "Namespace"].into_iter().find(|name| !request[*name].is_string()) {
        Some(missing) => Err(invalid(format!("The parameter {missing} is required."))),
        None => Ok(Out::Structure(vec![("MetricAlarms", Out::List(Vec::new()))])),
    }
}

#[cfg(test)]
mod tests;
