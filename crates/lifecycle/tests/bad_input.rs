//! Whatever is handed in, the readers of requests and documents take it or refuse it by field and with a cure; they do not
//! panic, they repeat no value, and what they say has a bound. The input is made from the sample inputs in `events/`, by
//! structural edits, beside JSON of any form; it is the same in every run.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;

use hostile::{SECRET, any_json, config, edited};
use jiff::{SignedDuration, Timestamp};
use lifecycle::configuration::{is_in_effect, is_open_ended, put_back};
use lifecycle::deployment::{Began, Deployment, Next, Rung, StepError};
use lifecycle::evidence::{Code, DataPoint, Tasks, count_restarts};
use lifecycle::policy::Policy;
use lifecycle::refusal::Refusal;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::{LARGEST_REQUEST_BYTES, Request, RestoreType, Upload};
use lifecycle::retention::{Retention, Sweep};
use lifecycle::snapshots::{RunSummary, Selection, SnapshotRequest, SnapshotRun};
use lifecycle::turn::{Answer, Claim, Execution, MOST_WAITING, Turns, heed};
use lifecycle::verdict::{Judgement, Reason, Verdict};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Bytes of what may be handed on when a request is refused; the state machine carries 262,144.
const LARGEST_DOCUMENT: usize = 100_000;
/// Characters of each text of a refusal.
const LONGEST_TEXT: usize = 401;

fn samples(directory: &str) -> Vec<Value> {
    let directory = format!("{}/../../events/{directory}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect()
}

/// The samples, and two in which every field is given.
fn requests() -> Vec<Value> {
    let full = json!({
        "application": "orders",
        "update": {
            "RuntimeEnvironmentUpdate": "FLINK-1_20",
            "CloudWatchLoggingOptionUpdates": [
                { "CloudWatchLoggingOptionId": "1.1", "LogStreamARNUpdate": "arn:aws:logs" }
            ],
            "ApplicationConfigurationUpdate": { "EnvironmentPropertyUpdates": { "PropertyGroups": [
                { "PropertyGroupId": "database", "PropertyMap": { "password": SECRET } },
            ] } },
            "RunConfigurationUpdate": {
                "FlinkRunConfiguration": { "AllowNonRestoredState": true },
                "ApplicationRestoreConfiguration": {
                    "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "monday",
                },
            },
        },
        "stop": "graceful",
        "start": true,
        "policy": Policy::default(),
        "reason": "release 2.0.0",
        "upload": {
            "bucket": "code", "key": "applications/orders/orders.jar", "versionId": "L4kqtJlcpXroDTDmpUMLUo",
            "sequencer": "0069577A40C5B1D2E3", "at": "2026-01-02T12:00:00Z",
        },
        "comment": "for the reader",
    });
    let mut restored = full.clone();
    restored["update"].as_object_mut().unwrap().remove("RunConfigurationUpdate");
    restored["restore"] = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "monday" });
    samples("").into_iter().chain([full, restored]).collect()
}

fn snapshot_requests() -> Vec<Value> {
    let sweep = Sweep { under_key: Some("alias/old".into()), taken_before: Some(noon()) };
    let full = json!({
        "applications": ["orders", "payments"],
        "scheduledAt": "2026-11-20T09:45:00Z",
        "concurrency": 5,
        "timeoutSeconds": 600,
        "retention": Retention { sweep: Some(sweep), ..Retention::default() },
        "blackouts": [{ "from": "22:00", "to": "02:00" }, { "from": "12:00", "to": "12:30" }],
        "dryRun": true,
        "reason": "weekly",
        "comment": "for the reader",
    });
    samples("snapshots").into_iter().chain([full]).collect()
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Any time that there is, the first and the last among them.
fn any_time() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    prop_oneof![
        3 => Just(noon()),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
        1 => (first..=last).prop_map(|second| Timestamp::from_second(second).unwrap()),
    ]
}

/// Each is worded, has a bound, and repeats no value. A field is named as it was written.
fn assert_clear(refusals: &[Refusal]) {
    assert!(!refusals.is_empty());
    for refusal in refusals {
        for text in [&refusal.field, &refusal.problem, &refusal.cure] {
            assert!(!text.trim().is_empty(), "{refusal:?}");
            assert!(text.chars().count() <= LONGEST_TEXT, "{refusal:?}");
        }
        for text in [&refusal.problem, &refusal.cure] {
            assert!(!text.contains(SECRET), "{refusal:?}");
        }
    }
}

/// What is written can be read, and is the same.
fn assert_stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&written).unwrap(), value);
}

fn bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).unwrap().len()
}

/// All that a request must be, for the steps that come after.
fn assert_request(request: &Request, input: &Value) {
    assert!(bytes(input) <= LARGEST_REQUEST_BYTES);
    assert!((1..=128).contains(&request.application.len()));
    assert_eq!(request.policy.refusals(), []);
    assert!(!request.update.is_empty() || request.stop.is_some() || request.start);
    for filled_in in ["ApplicationName", "CurrentApplicationVersionId", "ConditionalToken", "RunConfigurationUpdate"] {
        assert!(!request.update.contains_key(filled_in), "{filled_in}");
    }
    assert_eq!(request.restore.restore_type == RestoreType::Custom, request.restore.snapshot.is_some());
    assert!(request.changed_fields().iter().map(String::len).sum::<usize>() <= 16_000);
    assert_stable(&request.policy);
    assert_stable(&request.restore);
    assert_stable(&request.upload);
    let deployment = Deployment::new(request, "release", noon());
    assert_stable(&deployment);
    assert!(bytes(&deployment) <= LARGEST_DOCUMENT, "{} bytes", bytes(&deployment));
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_request_is_taken_or_refused_by_field_and_with_a_cure(
        input in prop_oneof![4 => edited(requests()), 1 => any_json()],
        started_at in any_time(),
        now in any_time(),
    ) {
        match Request::parse(&input) {
            Ok(request) => assert_request(&request, &input),
            Err(refusals) => {
                assert_clear(&refusals);
                let deployment = Deployment::refused(&input, "release", started_at, refusals, now);
                assert_stable(&deployment);
                prop_assert!(bytes(&deployment) <= LARGEST_DOCUMENT, "{} bytes", bytes(&deployment));
                prop_assert_eq!(deployment.report.map(|report| report.outcome), Some(Outcome::Refused));
            }
        }
    }

    #[test]
    fn a_request_for_snapshots_is_taken_or_refused_by_field_and_with_a_cure(
        input in prop_oneof![4 => edited(snapshot_requests()), 1 => any_json()],
        started_at in any_time(),
        now in any_time(),
    ) {
        match SnapshotRequest::parse(&input, started_at) {
            Ok(request) => {
                let plan = &request.plan;
                assert_stable(plan);
                prop_assert!(plan.snapshot.len() <= 256, "{}", plan.snapshot);
                prop_assert!((1..=40).contains(&request.concurrency));
                prop_assert_eq!(plan.retention.refusals(), []);
                if let Selection::Named(names) = &request.selection {
                    prop_assert!((1..=1_000).contains(&names.len()));
                    prop_assert_eq!(request.too_much(names), None);
                }
                let asks_for_retention = input.get("retention").is_some_and(Value::is_object);
                prop_assert!(asks_for_retention || plan.retention.dry_run, "nobody asked for a deletion");
                let mut run = SnapshotRun::new("orders", plan.clone());
                run.begin(started_at);
                run.skip_in_blackout(now);
                assert_stable(&run);
            }
            Err(refusals) => {
                assert_clear(&refusals);
                let summary = RunSummary::refused("run", refusals, started_at, now);
                prop_assert!(bytes(&summary) <= LARGEST_DOCUMENT, "{} bytes", bytes(&summary));
            }
        }
    }

    #[test]
    fn turns_that_can_be_read_can_be_written_and_keep_their_bounds(
        item in prop_oneof![9 => edited(vec![turns()]), 1 => any_json()],
        known in prop::collection::vec(execution(), 0..6),
        now in any_time(),
    ) {
        let Ok(turns) = serde_json::from_value::<Turns>(item) else { return Ok(()) };
        assert_stable(&turns);
        let known: BTreeMap<_, _> = known.into_iter().enumerate().map(|(index, state)| (arn(index), state)).collect();
        let claim = Claim::new(arn(9), now, None);
        let mut after = turns.clone();
        let answer = after.ask(&claim, &known, now);
        assert_stable(&after);
        prop_assert!(after.waiting.len() <= turns.waiting.len().max(MOST_WAITING));
        if answer == Answer::Full {
            prop_assert_eq!(&after, &turns);
        }
        // Asking once more, with nothing new known, gives the same answer.
        let mut once_more = after.clone();
        prop_assert_eq!(once_more.ask(&claim, &known, now), answer.clone());
        prop_assert_eq!(once_more, after);
        let mut deployment = deployment();
        heed(&mut deployment, answer, now);
        assert_stable(&deployment);
    }

    #[test]
    fn a_document_that_can_be_read_can_be_written_and_reported(
        document in edited(vec![serde_json::to_value(deployment()).unwrap()]),
        now in any_time(),
    ) {
        let Ok(mut deployment) = serde_json::from_value::<Deployment>(document) else { return Ok(()) };
        assert_stable(&deployment);
        assert_stable(&Report::of(&deployment, Outcome::NeedsAttention, vec![Reason::DeadlinePassed], now));
        if let Some(error) = deployment.error.clone() {
            assert_stable(&Reason::from(error));
        }
        deployment.note(now, "looked");
        deployment.take_turn(now);
        prop_assert!(deployment.deadline >= now);
        assert_stable(&deployment);
    }

    #[test]
    fn uploads_are_in_one_order_whatever_they_are_called(uploads in prop::collection::vec(upload(), 3)) {
        let [one, two, three] = &uploads[..] else { unreachable!("three were asked for") };
        prop_assert_eq!(one.order(two), two.order(one).reverse());
        prop_assert!(one.order(one).is_eq());
        let is_one_key = uploads.iter().all(|upload| upload.key == one.key);
        if is_one_key && one.order(two).is_lt() && two.order(three).is_lt() {
            prop_assert!(one.order(three).is_lt());
        }
    }

    #[test]
    fn configurations_of_any_form_are_compared_and_put_back(
        current in edited(vec![detail()]),
        baseline in edited(vec![detail()]),
        request in edited(requests()),
    ) {
        let code = Code {
            bucket_arn: "arn:aws:s3:::code".into(),
            key: "orders.jar".into(),
            object_version: Some("v1".into()),
        };
        prop_assert_eq!(put_back(&current, &current, Some(&code)), Map::new());
        let update = request.get("update").and_then(Value::as_object).cloned().unwrap_or_default();
        if !update.is_empty() && is_in_effect(&update, &Value::Null) {
            // Of an application of which nothing is shown, only what is never shown can be in effect.
            prop_assert!(update.values().all(|value| !value.is_string()), "{:?}", update);
        }
        is_open_ended(&update);
        is_in_effect(&update, &current);
        let back = put_back(&current, &baseline, Some(&code));
        prop_assert!(bytes(&back) <= 4 * bytes(&baseline) + 1_000);
    }

    #[test]
    fn counts_of_any_size_are_never_taken_for_health(
        values in prop::collection::vec(count(), 0..6),
        counts in prop::array::uniform6(count()),
    ) {
        let point = |(value, minute)| DataPoint { at: noon() + SignedDuration::from_mins(minute), value };
        let series: Vec<DataPoint> = values.iter().copied().zip(0..).map(point).collect();
        let restarts = count_restarts(&series);
        prop_assert!(values.iter().all(|value| restarts.count >= *value));
        prop_assert_eq!(restarts.last_at.is_none(), values.iter().all(|value| *value == 0));
        let [total, waiting, initializing, running, finished, failed] = counts;
        let tasks = Tasks { total, waiting, initializing, running, finished, failed };
        let is_sum = u128::from(running) + u128::from(finished) == u128::from(total);
        prop_assert_eq!(tasks.are_all_at_work(), total > 0 && is_sum);
        prop_assert!(tasks.to_string().len() < 300);
    }
}

/// What was found once, by name.
#[test]
fn a_value_that_reads_like_an_error_message_is_not_repeated() {
    let values = [
        format!("expected {SECRET}"),
        format!("unknown field `{SECRET}`, expected `{SECRET}`"),
        format!("missing field `{SECRET}`"),
    ];
    for value in values {
        let inputs = [
            (json!({ "application": "orders", "policy": { "bakeSeconds": value } }), "policy.bakeSeconds"),
            (json!({ "application": "orders", "stop": value }), "stop"),
            (json!({ "application": "orders", "start": value }), "start"),
            (json!({ "application": "orders", "restore": { "type": value } }), "restore.type"),
        ];
        for (input, field) in inputs {
            let refusals = Request::parse(&input).unwrap_err();
            assert_eq!(refusals[0].field, field);
            assert!(!format!("{refusals:?}").contains(SECRET), "{refusals:?}");
        }
    }
}

#[test]
fn a_field_without_a_name_is_named_all_the_same() {
    let refusals = Request::parse(&json!({ "application": "orders", "start": true, "": 0 })).unwrap_err();
    assert_eq!(refusals[0].field, "(a field without a name)");
}

#[test]
fn as_many_mistakes_as_a_request_can_hold_fit_the_state_machine() {
    let wrong: Map<String, Value> = (0..15_000).map(|index| (format!("f{index}"), json!(1))).collect();
    let input = json!({ "application": "orders", "update": wrong });
    let refusals = Request::parse(&input).unwrap_err();
    assert!(refusals.len() >= 15_000, "{}", refusals.len());
    let deployment = Deployment::refused(&input, "release", noon(), refusals, noon());
    assert!(bytes(&deployment) <= LARGEST_DOCUMENT, "{} bytes", bytes(&deployment));
}

/// A count: a few, or about as many as a number can say.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_u64, u64::MAX - 3..=u64::MAX, any::<u64>()]
}

fn execution() -> impl Strategy<Value = Execution> {
    prop::sample::select(vec![Execution::Running, Execution::Over, Execution::Unknown])
}

fn arn(index: usize) -> String {
    format!("arn:aws:states:eu-west-1:123456789012:execution:deploy:e{index}")
}

fn upload() -> impl Strategy<Value = Upload> {
    let sequencer = prop_oneof!["[0-9A-Fa-f]{1,6}0{0,3}", any::<String>()];
    (prop::sample::select(vec!["a.jar", "b.jar"]), sequencer, any_time()).prop_map(|(key, sequencer, at)| Upload {
        bucket: "code".into(),
        key: key.into(),
        version_id: "v".into(),
        sequencer,
        at,
    })
}

fn turns() -> Value {
    let mut turns = Turns::default();
    for (index, minute) in (0..4).zip(0..) {
        let at = noon() + SignedDuration::from_mins(minute);
        let upload = Upload {
            bucket: "code".into(),
            key: "orders.jar".into(),
            version_id: format!("v{index}"),
            sequencer: format!("00{index}"),
            at,
        };
        turns.ask(&Claim::new(arn(index), at, Some(upload).filter(|_| index > 1)), &BTreeMap::new(), at);
    }
    serde_json::to_value(turns).unwrap()
}

/// A deployment of which every part is there.
fn deployment() -> Deployment {
    let request = Request::parse(requests().last().unwrap()).unwrap();
    let mut deployment = Deployment::new(&request, "release", noon());
    deployment.take_turn(noon());
    deployment.take(Rung::Update);
    deployment.watch_only(noon());
    deployment.began = Some(Began { operation_id: Some("operation".into()), at: noon() });
    deployment.restore_from = Some("monday".into());
    deployment.error = Some(StepError {
        state: "CheckSubtasks".into(),
        error: "AccessDenied".into(),
        cause: Some(json!({ "errorMessage": "no", "errorType": "AccessDenied" }).to_string()),
    });
    let reasons = vec![
        Reason::TasksRunning { tasks: Tasks { total: 4, running: 4, ..Tasks::default() }, restarts: 3 },
        Reason::Restarts { count: 3, tolerated: 2 },
    ];
    deployment.conclude(Verdict { is: Judgement::Failing, reasons }, noon());
    deployment.note(noon(), "UpdateApplication begun");
    deployment.report = Some(Report::of(&deployment, Outcome::NeedsAttention, vec![Reason::DeadlinePassed], noon()));
    deployment.go_on(Next::Decide, 0);
    deployment
}

fn detail() -> Value {
    json!({
        "RuntimeEnvironment": "FLINK-1_20",
        "ServiceExecutionRole": "arn:aws:iam::1:role/orders",
        "CloudWatchLoggingOptionDescriptions": [
            { "CloudWatchLoggingOptionId": "1.1", "LogStreamARN": "arn:a", "RoleARN": "arn:r" }
        ],
        "ApplicationConfigurationDescription": {
            "ApplicationCodeConfigurationDescription": {
                "CodeContentType": "ZIPFILE",
                "CodeContentDescription": {
                    "CodeMD5": "abc",
                    "S3ApplicationCodeLocationDescription":
                        { "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar", "ObjectVersion": "v1" },
                },
            },
            "FlinkApplicationConfigurationDescription": {
                "CheckpointConfigurationDescription": { "ConfigurationType": "DEFAULT", "CheckpointingEnabled": true },
                "ParallelismConfigurationDescription": { "ConfigurationType": "CUSTOM", "Parallelism": 2 },
            },
            "EnvironmentPropertyDescriptions": { "PropertyGroupDescriptions": [
                { "PropertyGroupId": "database", "PropertyMap": { "password": SECRET } },
            ] },
            "VpcConfigurationDescriptions": [
                { "VpcConfigurationId": "2.1", "VpcId": "vpc", "SubnetIds": ["s1"], "SecurityGroupIds": ["g1"] }
            ],
        },
    })
}
