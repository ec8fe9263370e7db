use jiff::Timestamp;
use lifecycle::evidence::{Code, Operation};
use lifecycle::request::{Restore, Stop};
use lifecycle::status::{ApplicationStatus, OperationStatus};
use serde_json::{Map, Value, json};

use super::script::{Answer, PASSWORD, Stage, described, ok, refused, status};
use crate::error::WITHHELD;
use crate::{Accepted, Error, ErrorKind};

fn update_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn code_update() -> Map<String, Value> {
    update_of(json!({ "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": {
        "CodeContentUpdate": { "S3ContentLocationUpdate": { "FileKeyUpdate": "orders-2.jar" } }
    } } }))
}

/// Nothing that an error says, in whatever way it is printed, quotes the text.
fn assert_silent_about(error: &Error, secret: &str) {
    let mut texts = vec![error.to_string(), format!("{error:?}"), format!("{:?}", error.to_unreadable("it"))];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        texts.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    for text in texts {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_is_read_with_members_newer_than_this_code() {
    let mut answer = described();
    answer["ApplicationDetail"]["QuantumDescription"] = json!({ "Qubits": 3 });
    let stage = Stage::new([ok(&answer)]);
    let (application, raw) = stage.managed.described("orders").await.unwrap().unwrap();
    assert_eq!(application.version, 7);
    assert_eq!(application.status, ApplicationStatus::Running);
    assert_eq!(application.runtime, "FLINK-1_20");
    let code =
        Code { bucket_arn: "arn:aws:s3:::code".into(), key: "orders.jar".into(), object_version: Some("v3".into()) };
    assert_eq!(application.code, Some(code));
    assert!(application.snapshots_enabled && application.checkpointing_enabled);
    assert!(!application.system_rollback_enabled);
    assert_eq!(raw, answer["ApplicationDetail"]);
    let calls = stage.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].operation, "DescribeApplication");
    assert_eq!(calls[0].json(), json!({ "ApplicationName": "orders" }));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_nobody_knew_is_evidence() {
    let mut answer = described();
    answer["ApplicationDetail"]["ApplicationStatus"] = "HIBERNATING".into();
    let stage = Stage::new([ok(&answer)]);
    let application = stage.managed.application("orders").await.unwrap().unwrap();
    assert_eq!(application.status, ApplicationStatus::Unknown("HIBERNATING".into()));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_none() {
    let missing = || refused("ResourceNotFoundException", "no such thing");
    let stage = Stage::new([missing()]);
    assert_eq!(stage.managed.application("orders").await.unwrap(), None);
    stage.assert_over();
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_what_matters_is_unreadable() {
    let mut without_version = described();
    without_version["ApplicationDetail"].as_object_mut().unwrap().remove("ApplicationVersionId");
    for answer in [json!({}), json!({ "ApplicationDetail": null }), without_version] {
        let stage = Stage::new([ok(&answer)]);
        let error = stage.managed.application("orders").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{answer}");
    }
    for garbled in ["", "{\"ApplicationDetail\": {\"App", "<html></html>", "[]"] {
        let stage = Stage::new([Answer::Bytes(200, garbled.into())]);
        let error = stage.managed.application("orders").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{garbled}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_configuration_is_raw() {
    let detail = json!({
        "ApplicationName": "orders", "ApplicationVersionId": 6, "ApplicationStatus": "RUNNING",
        "ApplicationARN": "arn", "RuntimeEnvironment": "FLINK-1_20", "QuantumDescription": { "Qubits": 3 },
    });
    let stage = Stage::new([ok(&json!({ "ApplicationVersionDetail": detail }))]);
    assert_eq!(stage.managed.configuration("orders", 6).await.unwrap(), detail);
    assert_eq!(stage.calls()[0].json(), json!({ "ApplicationName": "orders", "ApplicationVersionId": 6 }));
}

fn failed_operation(error: &str) -> Value {
    json!({ "ApplicationOperationInfoDetails": {
        "Operation": "UpdateApplication", "OperationStatus": "FAILED", "StartTime": 1_700_000_000.25,
        "ApplicationVersionChangeDetails": { "ApplicationVersionUpdatedFrom": 6, "ApplicationVersionUpdatedTo": 7 },
        "OperationFailureDetails": { "RollbackOperationId": "op-2", "ErrorInfo": { "ErrorString": error } },
    } })
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_read_without_the_values_that_its_failure_quotes() {
    let stage = Stage::new([ok(&failed_operation(&format!("cannot log in with {PASSWORD}"))), ok(&described())]);
    let operation = stage.managed.operation("orders", "op-1").await.unwrap();
    let expected = Operation {
        id: "op-1".into(),
        name: "UpdateApplication".into(),
        status: OperationStatus::Failed,
        error: Some("cannot log in with [redacted]".into()),
        rollback_operation_id: Some("op-2".into()),
        version_from: Some(6),
        version_to: Some(7),
        started_at: Some(Timestamp::from_millisecond(1_700_000_000_250).unwrap()),
    };
    assert_eq!(operation, expected);
    assert_eq!(stage.operations(), ["DescribeApplicationOperation", "DescribeApplication"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_version_that_is_no_longer_there_is_cleared_of_its_own_values() {
    let mut rolled_back = described();
    rolled_back["ApplicationDetail"]["ApplicationVersionId"] = 8.into();
    let mut failed = described()["ApplicationDetail"].take();
    failed["ApplicationConfigurationDescription"]["EnvironmentPropertyDescriptions"]["PropertyGroupDescriptions"][0]
        ["PropertyMap"]["password"] = "swordfish".into();
    let stage = Stage::new([
        ok(&failed_operation("cannot log in with swordfish")),
        ok(&rolled_back),
        ok(&json!({ "ApplicationVersionDetail": failed })),
    ]);
    let operation = stage.managed.operation("orders", "op-1").await.unwrap();
    assert_eq!(operation.error.as_deref(), Some("cannot log in with [redacted]"));
    assert_eq!(stage.calls()[2].json()["ApplicationVersionId"], 7);
}

#[tokio::test(start_paused = true)]
async fn words_that_cannot_be_cleared_are_withheld() {
    let denied = refused("AccessDeniedException", "no");
    let stage = Stage::new([ok(&failed_operation(PASSWORD)), denied]);
    let operation = stage.managed.operation("orders", "op-1").await.unwrap();
    assert_eq!(operation.error.as_deref(), Some(WITHHELD));
}

#[tokio::test(start_paused = true)]
async fn an_operation_under_way_may_lack_times_and_versions() {
    let details = json!({ "Operation": "Maintenance", "OperationStatus": "IN_PROGRESS" });
    let stage = Stage::new([ok(&json!({ "ApplicationOperationInfoDetails": details }))]);
    let operation = stage.managed.operation("orders", "op-1").await.unwrap();
    assert_eq!((operation.started_at, operation.version_to, operation.error), (None, None, None));
    assert_eq!(stage.operations(), ["DescribeApplicationOperation"]);
}

#[tokio::test(start_paused = true)]
async fn operations_are_listed_newest_first() {
    let listed = |id: &str, second: u32| {
        json!({ "OperationId": id, "Operation": "StopApplication", "OperationStatus": "SUCCESSFUL",
                "StartTime": second, "EndTime": second + 1 })
    };
    let stage = Stage::new([ok(&json!({
        "ApplicationOperationInfoList": [listed("old", 10), listed("new", 20)], "NextToken": "more",
    }))]);
    let operations = stage.managed.operations("orders", Some("StopApplication")).await.unwrap();
    assert_eq!(operations.iter().map(|operation| operation.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
    let expected = json!({ "ApplicationName": "orders", "Limit": 50, "Operation": "StopApplication" });
    assert_eq!(stage.calls()[0].json(), expected);
    stage.assert_over();
}

#[tokio::test(start_paused = true)]
async fn an_update_carries_every_member_and_restates_how_state_is_restored() {
    let mut update = code_update();
    update.insert("QuantumUpdate".into(), json!({ "Qubits": 3, "Name": "größer" }));
    let answer = json!({ "ApplicationDetail": described()["ApplicationDetail"], "OperationId": "op-1" });
    let stage = Stage::new([ok(&answer)]);
    let restore = Restore { allow_non_restored_state: true, ..Restore::from_snapshot("monday") };
    let accepted = stage.managed.update("orders", 6, &update, &restore).await.unwrap();
    assert_eq!(accepted, Accepted { operation: Some("op-1".into()), version: 7 });
    let mut expected = Value::from(update);
    expected["ApplicationName"] = "orders".into();
    expected["CurrentApplicationVersionId"] = 6.into();
    expected["RunConfigurationUpdate"] = json!({
        "ApplicationRestoreConfiguration": {
            "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "monday",
        },
        "FlinkRunConfiguration": { "AllowNonRestoredState": true },
    });
    let calls = stage.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].json(), expected);
    let header = |name: &str| {
        let found = calls[0].headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(header("content-length"), calls[0].body.len().to_string());
    assert!(header("authorization").contains("SignedHeaders="), "the request is signed");
}

#[tokio::test(start_paused = true)]
async fn starts_rollbacks_stops_and_snapshots_say_what_they_must() {
    let begun = || ok(&json!({ "OperationId": "op-1" }));
    let rolled_back = json!({ "ApplicationDetail": described()["ApplicationDetail"], "OperationId": "op-1" });
    let stage = Stage::new([begun(), ok(&rolled_back), begun(), begun(), ok(&json!({}))]);
    let managed = &stage.managed;
    assert_eq!(managed.start("orders", &Restore::from_snapshot("monday")).await.unwrap().as_deref(), Some("op-1"));
    let accepted = Accepted { operation: Some("op-1".into()), version: 7 };
    assert_eq!(managed.roll_back("orders", 6).await.unwrap(), accepted);
    assert_eq!(managed.stop("orders", Stop::Force).await.unwrap().as_deref(), Some("op-1"));
    assert_eq!(managed.stop("orders", Stop::Graceful).await.unwrap().as_deref(), Some("op-1"));
    managed.take_snapshot("orders", "monday").await.unwrap();
    let bodies: Vec<(String, Value)> =
        stage.calls().into_iter().map(|call| (call.operation.clone(), call.json())).collect();
    let run_configuration = Restore::from_snapshot("monday").run_configuration();
    let expected = [
        ("StartApplication", json!({ "ApplicationName": "orders", "RunConfiguration": run_configuration })),
        ("RollbackApplication", json!({ "ApplicationName": "orders", "CurrentApplicationVersionId": 6 })),
        ("StopApplication", json!({ "ApplicationName": "orders", "Force": true })),
        ("StopApplication", json!({ "ApplicationName": "orders", "Force": false })),
        ("CreateApplicationSnapshot", json!({ "ApplicationName": "orders", "SnapshotName": "monday" })),
    ];
    assert_eq!(bodies, expected.map(|(operation, body)| (operation.to_owned(), body)));
}

#[tokio::test(start_paused = true)]
async fn reads_are_tried_three_times_and_changes_once() {
    for failure in [Answer::Lost, Answer::Silence, status(503), refused("ThrottlingException", "slow down")] {
        let kind = if matches!(failure, Answer::Bytes(400, _)) { ErrorKind::Throttled } else { ErrorKind::Unavailable };
        let stage = Stage::new([failure.clone(), failure.clone(), ok(&described())]);
        assert_eq!(stage.managed.application("orders").await.unwrap().unwrap().version, 7, "{failure:?}");
        let stage = Stage::new(std::iter::repeat_n(failure.clone(), 4));
        let error = stage.managed.application("orders").await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(stage.calls().len(), 3, "{failure:?}");

        let changes = Stage::new(std::iter::repeat_n(failure.clone(), 5));
        let managed = &changes.managed;
        let restore = Restore::default();
        let errors = [
            managed.update("orders", 7, &code_update(), &restore).await.unwrap_err(),
            managed.start("orders", &restore).await.unwrap_err(),
            managed.roll_back("orders", 7).await.unwrap_err(),
            managed.stop("orders", Stop::Force).await.unwrap_err(),
            managed.take_snapshot("orders", "monday").await.unwrap_err(),
        ];
        assert_eq!(changes.calls().len(), 5, "{failure:?}");
        for error in errors {
            assert_eq!(error.kind(), kind, "{failure:?}: {error}");
            assert!(error.is_retryable());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_sorted_by_what_can_be_done_about_them() {
    let cases = [
        ("AccessDeniedException", "no", ErrorKind::AccessDenied, "AccessDenied", false),
        ("ResourceNotFoundException", "no", ErrorKind::NotFound, "NotFound", false),
        ("ResourceInUseException", "no", ErrorKind::ResourceInUse, "ResourceInUse", false),
        ("ConcurrentModificationException", "no", ErrorKind::ConcurrentModification, "ConcurrentModification", false),
        ("InvalidRequestException", "no", ErrorKind::InvalidRequest, "InvalidRequest", false),
        ("CodeValidationException", "no", ErrorKind::CodeValidation, "CodeValidation", false),
        ("LimitExceededException", "no", ErrorKind::LimitExceeded, "LimitExceeded", false),
        ("UnsupportedOperationException", "no", ErrorKind::Unsupported, "UnsupportedOperation", false),
        ("InvalidArgumentException", "no", ErrorKind::InvalidArgument, "InvalidArgument", false),
        ("TooManyRequestsException", "no", ErrorKind::Throttled, "Throttled", true),
        ("InternalServiceErrorException", "no", ErrorKind::Unavailable, "ServiceUnavailable", true),
        ("QuantumException", "no", ErrorKind::Other, "UnexpectedError", false),
        (
            "InvalidApplicationConfigurationException",
            "no",
            ErrorKind::InvalidApplicationConfiguration,
            "InvalidApplicationConfiguration",
            false,
        ),
        (
            "InvalidArgumentException",
            "Please check the role provided or validity of S3 location you provided.",
            ErrorKind::RoleNotReady,
            "RoleNotReady",
            true,
        ),
    ];
    for (code, message, kind, name, is_retryable) in cases {
        let stage = Stage::new([refused(code, message), ok(&described())]);
        let error = stage.managed.update("orders", 7, &code_update(), &Restore::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.name(), error.is_retryable()), (kind, name, is_retryable), "{error}");
        assert_eq!(error.operation(), "UpdateApplication");
        assert!(error.message().contains(message), "{error}");
    }
    let stage = Stage::new([status(429)]);
    assert_eq!(stage.managed.stop("orders", Stop::Force).await.unwrap_err().kind(), ErrorKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_quotes_neither_the_update_nor_the_application() {
    let update = update_of(json!({ "ApplicationConfigurationUpdate": { "EnvironmentPropertyUpdates": {
        "PropertyGroups": [{ "PropertyGroupId": "database", "PropertyMap": { "password": "swordfish" } }]
    } } }));
    let quoting = || refused("InvalidArgumentException", &format!("not swordfish, not {PASSWORD}"));
    let stage = Stage::new([quoting(), ok(&described())]);
    let error = stage.managed.update("orders", 7, &update, &Restore::default()).await.unwrap_err();
    assert!(error.message().ends_with("not [redacted], not [redacted]"), "{error}");
    assert_silent_about(&error, "swordfish");
    assert_silent_about(&error, PASSWORD);

    let stage = Stage::new([quoting(), refused("AccessDeniedException", "no")]);
    let error = stage.managed.start("orders", &Restore::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, WITHHELD));
    assert_silent_about(&error, PASSWORD);
}

#[tokio::test(start_paused = true)]
async fn a_client_prints_no_values() {
    let stage = Stage::new([ok(&described())]);
    stage.managed.application("orders").await.unwrap();
    assert!(!format!("{:?}", stage.managed).contains(PASSWORD));
}
