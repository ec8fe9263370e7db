use ciborium::Value;
use jiff::{SignedDuration, Timestamp};
use lifecycle::evidence::{Alarm, Restarts};

use super::script::{Answer, Stage};
use crate::ErrorKind;

fn cbor(value: &Value) -> Answer {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    Answer::Bytes(200, bytes)
}

fn map(members: Vec<(&str, Value)>) -> Value {
    Value::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn start() -> Timestamp {
    "2026-11-20T10:00:30Z".parse().unwrap()
}

fn minute(number: i64) -> Timestamp {
    start() + SignedDuration::from_secs(30) + SignedDuration::from_mins(number)
}

fn page(status: &str, points: &[(i64, f64)], token: Option<&str>) -> Answer {
    let timestamps =
        points.iter().map(|(number, _)| Value::Tag(1, Box::new(minute(*number).as_second().into()))).collect();
    let values = points.iter().map(|(_, value)| (*value).into()).collect();
    let result = map(vec![
        ("Id", "restarts".into()),
        ("StatusCode", status.into()),
        ("Timestamps", Value::Array(timestamps)),
        ("Values", Value::Array(values)),
    ]);
    let mut members = vec![("MetricDataResults", Value::Array(vec![result]))];
    members.extend(token.map(|token| ("NextToken", token.into())));
    cbor(&map(members))
}

fn alarm(kind: &str, alarms: &[(&str, &str)]) -> Answer {
    let alarms =
        alarms.iter().map(|(name, state)| map(vec![("AlarmName", (*name).into()), ("StateValue", (*state).into())]));
    cbor(&map(vec![(kind, Value::Array(alarms.collect()))]))
}

/// A member of a request, by the names on the way to it.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, name| match value {
        Value::Map(members) => {
            members.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, member)| member).unwrap()
        }
        Value::Array(items) => &items[name.parse::<usize>().unwrap()],
        other => panic!("{other:?} has no {name}"),
    })
}

fn seconds(value: &Value) -> i64 {
    match value {
        Value::Tag(1, time) => match **time {
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
            Value::Float(seconds) => seconds as i64,
            Value::Integer(seconds) => seconds.try_into().unwrap(),
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn restarts(stage: &Stage, runtime: &str) -> Result<Restarts, crate::Error> {
    stage.managed.restarts("orders", runtime, start(), minute(10)).await
}

#[tokio::test(start_paused = true)]
async fn restarts_are_the_differences_of_all_pages() {
    let stage = Stage::new([
        page("PartialData", &[(0, 0.0), (1, 1.0), (2, 3.0)], Some("more")),
        page("Complete", &[(3, 3.0), (4, 0.0), (5, 2.0)], None),
    ]);
    let expected = Restarts { count: 5, last_at: Some(minute(5)) };
    assert_eq!(restarts(&stage, "FLINK-1_20").await.unwrap(), expected);
    let requests: Vec<Value> =
        stage.calls().iter().map(|call| ciborium::from_reader(&call.body[..]).unwrap()).collect();
    let query = at(&requests[0], &["MetricDataQueries", "0", "MetricStat"]);
    assert_eq!(at(query, &["Metric", "Namespace"]).as_text(), Some("AWS/KinesisAnalytics"));
    assert_eq!(at(query, &["Metric", "MetricName"]).as_text(), Some("fullRestarts"));
    assert_eq!(at(query, &["Metric", "Dimensions", "0", "Name"]).as_text(), Some("Application"));
    assert_eq!(at(query, &["Metric", "Dimensions", "0", "Value"]).as_text(), Some("orders"));
    assert_eq!(at(query, &["Period"]), &Value::from(60));
    assert_eq!(at(query, &["Stat"]).as_text(), Some("Maximum"));
    assert_eq!(at(&requests[0], &["ScanBy"]).as_text(), Some("TimestampAscending"));
    // The first whole minute after the start: an earlier one would hold the restarts of the job before.
    assert_eq!(seconds(at(&requests[0], &["StartTime"])), minute(0).as_second());
    assert_eq!(seconds(at(&requests[0], &["EndTime"])), minute(10).as_second());
    assert_eq!(at(&requests[1], &["NextToken"]).as_text(), Some("more"));
}

#[tokio::test(start_paused = true)]
async fn the_metric_is_chosen_by_the_runtime() {
    let cases = [
        ("FLINK-1_15", "fullRestarts"),
        ("FLINK-1_20", "fullRestarts"),
        ("FLINK-2_2", "numRestarts"),
        ("FLINK-2_3", "numRestarts"),
        ("FLINK-10_0", "numRestarts"),
    ];
    for (runtime, metric) in cases {
        let stage = Stage::new([page("Complete", &[], None)]);
        restarts(&stage, runtime).await.unwrap();
        let request: Value = ciborium::from_reader(&stage.calls()[0].body[..]).unwrap();
        let name = at(&request, &["MetricDataQueries", "0", "MetricStat", "Metric", "MetricName"]);
        assert_eq!(name.as_text(), Some(metric), "{runtime}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_data_is_no_restart() {
    let stage = Stage::new([page("Complete", &[], None)]);
    assert_eq!(restarts(&stage, "FLINK-1_20").await.unwrap(), Restarts::default());
}

#[tokio::test(start_paused = true)]
async fn before_the_first_whole_minute_nothing_is_asked() {
    let stage = Stage::new([]);
    let now = start() + SignedDuration::from_secs(30);
    let restarts = stage.managed.restarts("orders", "FLINK-1_20", start(), now).await.unwrap();
    assert_eq!(restarts, Restarts::default());
    assert!(stage.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn data_that_is_not_all_there_is_an_error() {
    let cases = [
        (page("InternalError", &[], None), ErrorKind::Unavailable),
        (page("Forbidden", &[], None), ErrorKind::AccessDenied),
        (page("PartialData", &[], None), ErrorKind::Unavailable),
        (page("PartialData", &[(0, 1.0)], None), ErrorKind::Unavailable),
        (page("Complete", &[(0, f64::NAN)], None), ErrorKind::Unreadable),
        (page("Complete", &[(0, -1.0)], None), ErrorKind::Unreadable),
        (page("Complete", &[(0, f64::INFINITY)], None), ErrorKind::Unreadable),
        (page("Complete", &[(0, 1e300)], None), ErrorKind::Unreadable),
        (cbor(&map(vec![])), ErrorKind::Unreadable),
        (cbor(&map(vec![("MetricDataResults", Value::Array(vec![]))])), ErrorKind::Unreadable),
        (Answer::Bytes(200, b"not CBOR".to_vec()), ErrorKind::Unreadable),
        (Answer::Bytes(403, Vec::new()), ErrorKind::AccessDenied),
    ];
    for (answer, kind) in cases {
        let stage = Stage::new([answer.clone()]);
        assert_eq!(restarts(&stage, "FLINK-1_20").await.unwrap_err().kind(), kind, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn alarms_are_read_in_the_order_of_their_names_composite_ones_too() {
    let metric = alarm("MetricAlarms", &[("late", "OK"), ("errors", "ALARM"), ("cold", "INSUFFICIENT_DATA")]);
    let stage = Stage::new([metric]);
    let names = ["errors", "cold", "late"].map(str::to_owned);
    let alarms = stage.managed.alarms(&names).await.unwrap();
    let expected = [("errors", true), ("cold", false), ("late", false)];
    assert_eq!(alarms, expected.map(|(name, is_raised)| Alarm { name: name.into(), is_raised }));
    let request: Value = ciborium::from_reader(&stage.calls()[0].body[..]).unwrap();
    assert_eq!(at(&request, &["AlarmTypes", "1"]).as_text(), Some("CompositeAlarm"));

    let stage = Stage::new([alarm("CompositeAlarms", &[("all", "ALARM")])]);
    let alarms = stage.managed.alarms(&["all".to_owned()]).await.unwrap();
    assert_eq!(alarms, [Alarm { name: "all".into(), is_raised: true }]);
}

#[tokio::test(start_paused = true)]
async fn many_alarms_take_several_calls_and_none_takes_none() {
    let names: Vec<String> = (0..150).map(|number| format!("a{number}")).collect();
    let answer =
        |names: &[String]| alarm("MetricAlarms", &names.iter().map(|name| (name.as_str(), "OK")).collect::<Vec<_>>());
    let stage = Stage::new([answer(&names[..100]), answer(&names[100..])]);
    assert_eq!(stage.managed.alarms(&names).await.unwrap().len(), 150);
    stage.assert_over();
    let stage = Stage::new([]);
    assert_eq!(stage.managed.alarms(&[]).await.unwrap(), []);
    assert!(stage.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_nobody_knows_is_named() {
    let stage = Stage::new([alarm("MetricAlarms", &[("errors", "OK")])]);
    let error = stage.managed.alarms(&["errors".into(), "erors".into()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("erors"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_in_a_state_that_nobody_knows_is_not_taken_for_a_quiet_one() {
    let stage = Stage::new([alarm("MetricAlarms", &[("errors", "SMOKING")])]);
    let error = stage.managed.alarms(&["errors".into()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    for states in [["ALARM", "OK"], ["OK", "ALARM"]] {
        let twice = states.map(|state| ("errors", state));
        let stage = Stage::new([alarm("MetricAlarms", &twice)]);
        let alarms = stage.managed.alarms(&["errors".into()]).await.unwrap();
        assert_eq!(alarms, [Alarm { name: "errors".into(), is_raised: true }]);
    }
}
