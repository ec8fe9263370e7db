//! Answers as no service should give them. Whatever comes back, nothing panics; what cannot be read is an error and never
//! health; and neither a result nor an error grows with what was sent, or tells a token or a runtime property's value.
//! The answers are the recordings of real Flink and the service's documented forms, edited; they are the same in every run.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use hostile::{any_bytes, config, edited};
use jiff::{SignedDuration, Timestamp};
use lifecycle::evidence::Job;
use lifecycle::request::{Restore, Stop};
use lifecycle::status::JobState;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::script::{PASSWORD, client, described, operation_of};
use crate::{BoxFuture, Error, ErrorKind, FlinkResponse, FlinkTransport, ManagedFlink, SecretUrl, TransportError};

const TOKEN: &str = "eyJ-a-bearer-secret";
/// Bytes of a result about one thing; the state machine carries 262,144, and a document holds a few of them.
const LARGEST_RESULT: usize = 16_000;
/// Bytes of an error in words. A step's error is kept by Step Functions, which has room for 32,768.
const LONGEST_ERROR: usize = 8_000;

/// Answers by operation of AWS, and by the last part of the path of Flink, with their HTTP status.
#[derive(Debug, Clone, Default)]
struct Played(Arc<HashMap<&'static str, (u16, Vec<u8>)>>);

impl Played {
    fn new(answers: impl IntoIterator<Item = (&'static str, u16, Vec<u8>)>) -> Self {
        Self(Arc::new(answers.into_iter().map(|(name, status, body)| (name, (status, body))).collect()))
    }

    fn client(&self) -> ManagedFlink {
        client(SharedHttpConnector::new(self.clone()), Arc::new(self.clone()))
    }

    fn answer(&self, name: &str) -> (u16, Vec<u8>) {
        self.0.get(name).cloned().unwrap_or((404, b"{\"__type\":\"ResourceNotFoundException\"}".to_vec()))
    }
}

impl HttpConnector for Played {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = self.answer(operation_of(&request));
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl FlinkTransport for Played {
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>> {
        let (status, body) = self.answer(url.expose().path().rsplit('/').next().unwrap_or_default());
        Box::pin(async move { Ok(FlinkResponse { status, body }) })
    }
}

/// Runs it in virtual time, so that waits between retries cost none.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

fn assert_bounded_error(error: &Error) {
    let text = format!("{error} {error:?}");
    assert!(text.len() <= LONGEST_ERROR, "{} bytes", text.len());
    assert!(!text.contains(TOKEN), "{text}");
}

/// What was read has a bound, and is the same when it is written and read again.
fn assert_bounded<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    assert!(written.len() <= LARGEST_RESULT, "{} bytes", written.len());
    assert_eq!(&serde_json::from_str::<T>(&written).unwrap(), value);
}

fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

fn presigned() -> (&'static str, u16, Vec<u8>) {
    let url = format!("https://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken={TOKEN}");
    ("CreateApplicationPresignedUrl", 200, bytes(&json!({ "AuthorizedUrl": url })))
}

/// Parts of the recordings of all situations and versions of Flink.
fn recordings(part: &str) -> Vec<Value> {
    let directory = format!("{}/fixtures", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|version| version.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|version| std::fs::read_dir(version).unwrap().map(|file| file.unwrap().path()))
        .collect();
    files.sort();
    let recording = |file| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    files.iter().filter_map(|file| recording(file).get(part).cloned()).collect()
}

/// The exceptions of the recordings, and some that quote secrets.
fn exceptions() -> Vec<Value> {
    let stacktrace = format!("java.sql.SQLException: {PASSWORD} at {TOKEN}\nCaused by: a.B: authToken={TOKEN}\n\tat x");
    let quoting = json!({ "root-exception": stacktrace, "exceptionHistory": { "entries": [
        { "exceptionName": "java.sql.SQLException", "stacktrace": stacktrace, "timestamp": 1, "taskName": PASSWORD },
    ], "truncated": false } });
    recordings("exceptions").into_iter().chain(std::iter::repeat_n(quoting, 20)).collect()
}

/// An HTTP status, mostly of success.
fn status() -> impl Strategy<Value = u16> {
    prop_oneof![12 => Just(200_u16), 1 => prop::sample::select(vec![201, 204, 302, 400, 401, 404, 429, 500, 503])]
}

/// An answer as JSON of any form; none where parts of it that nobody asks for are not even JSON.
fn said(answer: &[u8]) -> Option<Value> {
    serde_json::from_slice(answer).ok()
}

/// Whether the answers themselves say what this job would be taken for healthy by, read here without the code under test.
fn is_said(job: &Job, overview: &[u8], metrics: &[u8]) -> bool {
    let (Some(overview), Some(metrics)) = (said(overview), said(metrics)) else { return true };
    let count = |job: &Value, name: &str| job["tasks"][name].as_u64().map(u128::from);
    let is_job = |said: &Value| {
        let at_work = count(said, "running").zip(count(said, "finished")).map(|(running, finished)| running + finished);
        said["jid"] == job.id.as_str() && said["state"] == job.state.as_str() && at_work == count(said, "total")
    };
    let restarts = job.restarts.map(|restarts| restarts.to_string());
    let is_count = |metric: &Value| {
        (metric["id"] == "numRestarts" || metric["id"] == "fullRestarts")
            && metric["value"].as_str().map(|value| value.trim_start_matches(['+', '0']))
                == restarts.as_deref().map(|value| value.trim_start_matches('0'))
    };
    overview["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(is_job))
        && metrics.as_array().is_some_and(|metrics| metrics.iter().any(is_count))
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_job_is_what_flink_says_or_it_is_an_error(
        overview in any_bytes(recordings("overview")),
        metrics in any_bytes(recordings("metrics")),
        exceptions in any_bytes(exceptions()),
        statuses in prop::array::uniform3(status()),
    ) {
        let [of_overview, of_metrics, of_exceptions] = statuses;
        let played = Played::new([
            presigned(),
            ("DescribeApplication", 200, bytes(&described())),
            ("overview", of_overview, overview.clone()),
            ("metrics", of_metrics, metrics.clone()),
            ("exceptions", of_exceptions, exceptions),
        ]);
        match run(played.client().job("orders")) {
            Err(error) => assert_bounded_error(&error),
            Ok(None) => prop_assert!(said(&overview).is_none_or(|said| said["jobs"] == json!([]))),
            Ok(Some(job)) => {
                assert_bounded(&job);
                let text = format!("{job:?}");
                prop_assert!(!text.contains(TOKEN) && !text.contains(PASSWORD), "{}", text);
                let looks_healthy = job.state == JobState::Running && job.tasks.are_all_at_work() && job.restarts.is_some();
                prop_assert!(!looks_healthy || is_said(&job, &overview, &metrics), "{:?}", job);
            }
        }
    }

    #[test]
    fn checkpoints_are_what_flink_says_or_an_error(
        overview in any_bytes(recordings("overview").into_iter().take(1).collect()),
        checkpoints in any_bytes(vec![checkpoints()]),
        status in status(),
    ) {
        let played = Played::new([
            presigned(),
            ("DescribeApplication", 200, bytes(&described())),
            ("overview", 200, overview),
            ("checkpoints", status, checkpoints.clone()),
        ]);
        match run(played.client().checkpoints("orders")) {
            Err(error) => assert_bounded_error(&error),
            Ok(None) => {}
            Ok(Some(read)) => {
                let text = format!("{read:?}");
                prop_assert!(text.len() <= LARGEST_RESULT && !text.contains(TOKEN) && !text.contains(PASSWORD), "{}", text);
                if let Some(said) = said(&checkpoints) {
                    prop_assert_eq!(said["counts"]["failed"].as_u64(), Some(read.failed));
                }
            }
        }
    }

    #[test]
    fn an_application_is_what_the_service_says_or_it_is_an_error(
        body in any_bytes(vec![described()]),
        status in status(),
    ) {
        let managed = Played::new([("DescribeApplication", status, body.clone())]).client();
        match run(managed.described("orders")) {
            Err(error) => assert_bounded_error(&error),
            Ok(None) => prop_assert!(status >= 400),
            Ok(Some((application, detail))) => {
                assert_bounded(&application);
                prop_assert_eq!(detail["ApplicationVersionId"].as_u64(), Some(application.version));
                prop_assert_eq!(detail["ApplicationStatus"].as_str(), Some(application.status.as_str()));
            }
        }
        if let Ok(Some(protections)) = run(managed.snapshot_protections("orders")) {
            let text = format!("{protections:?}");
            prop_assert!(text.len() <= LARGEST_RESULT, "{} bytes", text.len());
        }
    }

    #[test]
    fn an_operation_is_what_the_service_says_or_it_is_an_error(
        body in any_bytes(vec![operation()]),
        list in any_bytes(vec![operations()]),
        status in status(),
    ) {
        let played = Played::new([
            ("DescribeApplication", 200, bytes(&described())),
            ("DescribeApplicationVersion", 200, bytes(&version())),
            ("DescribeApplicationOperation", status, body.clone()),
            ("ListApplicationOperations", status, list),
        ]);
        match run(played.client().operation("orders", "id")) {
            Err(error) => assert_bounded_error(&error),
            Ok(operation) => {
                assert_bounded(&operation);
                prop_assert!(!format!("{operation:?}").contains(PASSWORD), "{:?}", operation);
                if let Some(said) = said(&body) {
                    let said = said["ApplicationOperationInfoDetails"]["OperationStatus"].as_str();
                    prop_assert_eq!(said, Some(operation.status.as_str()));
                }
            }
        }
        match run(played.client().newest_operation("orders", None)) {
            Err(error) => assert_bounded_error(&error),
            Ok(newest) => {
                let text = format!("{newest:?}");
                prop_assert!(text.len() <= LARGEST_RESULT, "{} bytes", text.len());
            }
        }
    }

    #[test]
    fn snapshots_are_what_the_service_says_or_an_error(
        one in any_bytes(vec![json!({ "SnapshotDetails": snapshot() })]),
        list in any_bytes(vec![json!({ "SnapshotSummaries": [snapshot(), snapshot()] })]),
        status in status(),
    ) {
        let played = Played::new([("DescribeApplicationSnapshot", status, one), ("ListApplicationSnapshots", status, list)]);
        match run(played.client().snapshot("orders", "monday")) {
            Err(error) => assert_bounded_error(&error),
            Ok(snapshot) => assert_bounded(&snapshot),
        }
        match run(played.client().snapshots("orders")) {
            Err(error) => assert_bounded_error(&error),
            Ok(snapshots) => snapshots.iter().for_each(assert_bounded),
        }
    }

    #[test]
    fn applications_and_tags_are_what_the_service_says_or_an_error(
        list in any_bytes(vec![applications()]),
        tags in any_bytes(vec![json!({ "Tags": [{ "Key": "team", "Value": "orders" }, { "Key": "empty" }] })]),
        status in status(),
    ) {
        let managed = Played::new([("ListApplications", status, list), ("ListTagsForResource", status, tags)]).client();
        match run(managed.applications()) {
            Err(error) => assert_bounded_error(&error),
            Ok(applications) => applications.iter().for_each(assert_bounded),
        }
        if let Err(error) = run(managed.tags("arn")) {
            assert_bounded_error(&error);
        }
    }

    #[test]
    fn a_change_that_was_answered_oddly_is_an_error(
        answer in any_bytes(vec![
            json!({ "ApplicationDetail": described()["ApplicationDetail"], "OperationId": "operation" }),
            json!({ "__type": "InvalidApplicationConfigurationException", "message": format!("{PASSWORD} authToken={TOKEN}") }),
        ]),
        status in prop_oneof![status(), Just(400_u16)],
    ) {
        let played = Played::new([
            ("DescribeApplication", 200, bytes(&described())),
            ("UpdateApplication", status, answer.clone()),
            ("StartApplication", status, answer.clone()),
            ("StopApplication", status, answer.clone()),
            ("RollbackApplication", status, answer.clone()),
            ("CreateApplicationSnapshot", status, answer),
        ]);
        let managed = played.client();
        let update = Map::from_iter([("RuntimeEnvironmentUpdate".to_owned(), json!("FLINK-1_20"))]);
        let results = [
            run(managed.update("orders", 7, &update, &Restore::default())).map(|accepted| accepted.operation),
            run(managed.start("orders", &Restore::default())),
            run(managed.stop("orders", Stop::Force)),
            run(managed.roll_back("orders", 7)).map(|accepted| accepted.operation),
            run(managed.take_snapshot("orders", "monday")).map(|()| None),
        ];
        for result in results {
            match result {
                Err(error) => {
                    assert_bounded_error(&error);
                    prop_assert!(!error.to_string().contains(PASSWORD), "{}", error);
                }
                Ok(operation) => prop_assert!(operation.is_none_or(|id| id.len() <= 2_048)),
            }
        }
    }

    #[test]
    fn metrics_and_alarms_are_what_cloudwatch_says_or_an_error(
        data in edited(vec![metric_data()]),
        alarms in edited(vec![alarms()]),
        slip in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
        status in status(),
    ) {
        let played = Played::new([
            ("GetMetricData", status, cbor(&data, slip)),
            ("DescribeAlarms", status, cbor(&alarms, slip)),
        ]);
        let since: Timestamp = "2026-11-20T10:00:30Z".parse().unwrap();
        match run(played.client().restarts("orders", "FLINK-1_20", since, since + SignedDuration::from_hours(1))) {
            Err(error) => assert_bounded_error(&error),
            Ok(restarts) => assert_bounded(&restarts),
        }
        let names = ["orders-lag".to_owned(), "orders-errors".to_owned()];
        match run(played.client().alarms(&names)) {
            Err(error) => assert_bounded_error(&error),
            Ok(read) => {
                prop_assert!(read.iter().map(|alarm| &alarm.name).eq(&names));
                for alarm in read.iter().filter(|_| slip.is_none()) {
                    prop_assert_eq!(said_of_alarm(&alarms, &alarm.name), Some(alarm.is_raised));
                }
            }
        }
    }
}

// What was found once, by name.

fn overview(tasks: &Value) -> Vec<u8> {
    let mut overview = recordings("overview").remove(0);
    let job = &mut overview["jobs"][0];
    job["state"] = json!("RUNNING");
    job["tasks"].as_object_mut().unwrap().values_mut().for_each(|count| *count = json!(0));
    for (name, count) in tasks.as_object().unwrap() {
        job["tasks"][name] = count.clone();
    }
    bytes(&overview)
}

fn job(overview: Vec<u8>, exceptions: &Value) -> Result<Option<Job>, Error> {
    let restarted =
        json!([{ "id": "numRestarts", "value": "3" }, { "id": "numberOfCompletedCheckpoints", "value": "1" }]);
    let answers = [
        presigned(),
        ("DescribeApplication", 200, bytes(&described())),
        ("overview", 200, overview),
        ("metrics", 200, bytes(&restarted)),
        ("exceptions", 200, bytes(exceptions)),
    ];
    run(Played::new(answers).client().job("orders"))
}

#[test]
fn counts_of_tasks_that_cannot_be_are_not_health() {
    let most = u64::MAX;
    let cases = [
        json!({ "total": 4, "running": most, "finished": 5, "failed": 0 }),
        json!({ "total": 4, "running": 4, "finished": 0, "failed": 1 }),
        json!({ "total": 4, "running": 4, "finished": 0, "failed": most, "canceled": 1 }),
        json!({ "total": 4, "running": 4, "finished": 0, "created": most, "deploying": most }),
        json!({ "total": -4, "running": 4 }),
        json!({ "total": 4.5, "running": 4 }),
    ];
    for tasks in cases {
        let error = job(overview(&tasks), &json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{tasks}");
    }
    assert!(job(overview(&json!({ "total": 4, "running": 4 })), &json!({})).unwrap().unwrap().tasks.are_all_at_work());
}

#[test]
fn names_that_are_too_long_for_the_state_machine_are_cut_or_refused() {
    let long = "x".repeat(300_000);
    let told = json!({ "exceptionHistory": { "entries": [
        { "exceptionName": long, "stacktrace": long, "timestamp": 1, "taskName": long },
    ] } });
    let failure = job(overview(&json!({})), &told).unwrap().unwrap().failure.unwrap();
    for text in [failure.exception, failure.message, failure.task.unwrap()] {
        assert!(text.chars().count() <= 300, "{} characters", text.chars().count());
    }
    let mut odd = recordings("overview").remove(0);
    for (member, value) in [("state", long.clone()), ("jid", "a".repeat(65))] {
        let before = odd["jobs"][0][member].take();
        odd["jobs"][0][member] = value.into();
        assert_eq!(job(bytes(&odd), &json!({})).unwrap_err().kind(), ErrorKind::Unreadable, "{member}");
        odd["jobs"][0][member] = before;
    }
    for member in ["ApplicationStatus", "RuntimeEnvironment"] {
        let mut odd = described();
        odd["ApplicationDetail"][member] = long.clone().into();
        let managed = Played::new([("DescribeApplication", 200, bytes(&odd))]).client();
        assert_eq!(run(managed.application("orders")).unwrap_err().kind(), ErrorKind::Unreadable, "{member}");
    }
    let refusal = json!({ "__type": "InvalidRequestException", "message": long });
    let managed = Played::new([("DescribeApplication", 400, bytes(&refusal))]).client();
    let error = run(managed.application("orders")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().chars().count() <= 1_000);
    let mut failed = operation();
    failed["ApplicationOperationInfoDetails"]["OperationFailureDetails"]["ErrorInfo"]["ErrorString"] = long.into();
    let answers =
        [("DescribeApplicationOperation", 200, bytes(&failed)), ("DescribeApplication", 200, bytes(&described()))];
    let operation = run(Played::new(answers).client().operation("orders", "id")).unwrap();
    assert!(operation.error.unwrap().chars().count() <= 1_000);
}

#[test]
fn an_exception_that_cannot_be_cleared_is_named_only_if_it_is_a_class() {
    let told = json!({ "exceptionHistory": { "entries": [
        { "exceptionName": format!("{PASSWORD} is wrong"), "stacktrace": "x", "timestamp": 1 },
    ] } });
    let restarted = json!([{ "id": "numRestarts", "value": "3" }]);
    let answers = [
        presigned(),
        ("DescribeApplication", 400, b"{}".to_vec()),
        ("overview", 200, overview(&json!({}))),
        ("metrics", 200, bytes(&restarted)),
        ("exceptions", 200, bytes(&told)),
    ];
    let job = run(Played::new(answers).client().job("orders")).unwrap().unwrap();
    assert_eq!(job.failure.unwrap().exception, "an exception");
}

#[test]
fn a_switch_that_is_neither_on_nor_off_is_unreadable() {
    let switches = [
        "/ApplicationSnapshotConfigurationDescription/SnapshotsEnabled",
        "/ApplicationSystemRollbackConfigurationDescription/RollbackEnabled",
        "/FlinkApplicationConfigurationDescription/CheckpointConfigurationDescription/CheckpointingEnabled",
        "/ApplicationCodeConfigurationDescription/CodeContentDescription/S3ApplicationCodeLocationDescription/FileKey",
    ];
    for switch in switches {
        let mut odd = described();
        let place = format!("/ApplicationDetail/ApplicationConfigurationDescription{switch}");
        *odd.pointer_mut(&place).unwrap() = json!(1);
        let managed = Played::new([("DescribeApplication", 200, bytes(&odd))]).client();
        assert_eq!(run(managed.application("orders")).unwrap_err().kind(), ErrorKind::Unreadable, "{switch}");
        *odd.pointer_mut(&place).unwrap() = Value::Null;
        let managed = Played::new([("DescribeApplication", 200, bytes(&odd))]).client();
        assert!(run(managed.application("orders")).is_ok(), "{switch}");
    }
}

#[test]
fn an_answer_of_aws_that_is_too_long_is_given_up() {
    let mut long = described();
    long["ApplicationDetail"]["ApplicationDescription"] = "x".repeat(9 * 1024 * 1024).into();
    let managed = Played::new([("DescribeApplication", 200, bytes(&long))]).client();
    let error = run(managed.application("orders")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    long["ApplicationDetail"]["ApplicationDescription"] = "x".repeat(7 * 1024 * 1024).into();
    let managed = Played::new([("DescribeApplication", 200, bytes(&long))]).client();
    assert!(run(managed.application("orders")).is_ok());
}

/// CBOR of a document in which numbers under `Timestamps` are times, perhaps with one byte changed.
fn cbor(document: &Value, slip: Option<(prop::sample::Index, u8)>) -> Vec<u8> {
    fn converted(value: &Value, is_time: bool) -> ciborium::Value {
        match value {
            Value::Object(members) => ciborium::Value::Map(
                members
                    .iter()
                    .map(|(name, member)| (name.as_str().into(), converted(member, name == "Timestamps")))
                    .collect(),
            ),
            Value::Array(items) => ciborium::Value::Array(items.iter().map(|item| converted(item, is_time)).collect()),
            Value::Number(number) if is_time => {
                ciborium::Value::Tag(1, Box::new(converted(&Value::Number(number.clone()), false)))
            }
            other => ciborium::Value::serialized(other).unwrap(),
        }
    }
    let mut bytes = Vec::new();
    ciborium::into_writer(&converted(document, false), &mut bytes).unwrap();
    if let Some((place, byte)) = slip {
        let place = place.index(bytes.len());
        bytes[place] = byte;
    }
    bytes
}

fn metric_data() -> Value {
    json!({ "MetricDataResults": [{
        "Id": "restarts", "StatusCode": "Complete",
        "Timestamps": [1_795_170_060, 1_795_170_120, 1_795_170_180], "Values": [0.0, 1.0, 3.0],
    }] })
}

fn alarms() -> Value {
    json!({
        "MetricAlarms": [{ "AlarmName": "orders-lag", "StateValue": "ALARM" }],
        "CompositeAlarms": [{ "AlarmName": "orders-errors", "StateValue": "OK" }],
    })
}

/// What a document says of an alarm: whether it is raised, if every state that it gives is one of the documented.
fn said_of_alarm(document: &Value, name: &str) -> Option<bool> {
    let entries =
        ["MetricAlarms", "CompositeAlarms"].into_iter().filter_map(|kind| document[kind].as_array()).flatten();
    let states: Vec<&str> =
        entries.filter(|entry| entry["AlarmName"] == name).filter_map(|entry| entry["StateValue"].as_str()).collect();
    let is_documented = |state: &&str| ["OK", "ALARM", "INSUFFICIENT_DATA"].contains(state);
    (!states.is_empty() && states.iter().all(is_documented)).then(|| states.contains(&"ALARM"))
}

fn checkpoints() -> Value {
    json!({
        "counts": { "restored": 0, "total": 6, "in_progress": 0, "completed": 5, "failed": 1 },
        "latest": {
            "completed": {
                "id": 6, "status": "COMPLETED", "trigger_timestamp": 1_795_152_034_375_i64, "end_to_end_duration": 12,
                "state_size": 4_096,
            },
            "failed": {
                "id": 5, "status": "FAILED", "failure_timestamp": 1_795_152_034_375_i64,
                "failure_message": format!("{PASSWORD} and authToken={TOKEN} at {TOKEN}"),
            },
        },
    })
}

fn operation() -> Value {
    json!({ "ApplicationOperationInfoDetails": {
        "Operation": "UpdateApplication", "OperationStatus": "FAILED", "StartTime": 1_700_000_000.5,
        "EndTime": 1_700_000_100,
        "ApplicationVersionChangeDetails": { "ApplicationVersionUpdatedFrom": 7, "ApplicationVersionUpdatedTo": 8 },
        "OperationFailureDetails": {
            "RollbackOperationId": "rollback", "ErrorInfo": { "ErrorString": format!("no {PASSWORD} here") },
        },
    } })
}

fn operations() -> Value {
    json!({ "ApplicationOperationInfoList": [
        { "Operation": "StopApplication", "OperationId": "stop", "OperationStatus": "SUCCESSFUL", "StartTime": 1.7e9 },
        { "Operation": "Maintenance", "OperationId": "patch", "OperationStatus": "IN_PROGRESS" },
    ] })
}

fn version() -> Value {
    let mut version = described();
    json!({ "ApplicationVersionDetail": version["ApplicationDetail"].take() })
}

fn snapshot() -> Value {
    json!({
        "SnapshotName": "monday", "SnapshotStatus": "READY", "ApplicationVersionId": 7,
        "SnapshotCreationTimestamp": 1_700_000_000.123_456, "RuntimeEnvironment": "FLINK-1_20",
        "ApplicationEncryptionConfigurationDescription": { "KeyType": "CUSTOMER_MANAGED_KEY", "KeyId": "alias/old" },
    })
}

fn applications() -> Value {
    json!({ "ApplicationSummaries": [{
        "ApplicationName": "orders", "ApplicationARN": "arn:aws:kinesisanalytics:eu-west-1:1:application/orders",
        "ApplicationStatus": "RUNNING", "ApplicationVersionId": 7, "RuntimeEnvironment": "FLINK-1_20",
    }] })
}
