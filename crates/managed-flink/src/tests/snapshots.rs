use jiff::Timestamp;
use lifecycle::evidence::Snapshot;
use lifecycle::retention::{AWS_OWNED_KEY, Protections};
use lifecycle::status::SnapshotStatus;
use serde_json::{Value, json};

use super::script::{Answer, PASSWORD, Stage, described, ok, refused, status};
use crate::ErrorKind;

#[tokio::test(start_paused = true)]
async fn every_page_of_snapshots_is_read_and_the_newest_is_first() {
    let page = |first: u32, token: Option<&str>| {
        let summaries: Vec<Value> = (first..first + 50)
            .map(|number| {
                json!({
                    "SnapshotName": format!("s{number}"), "SnapshotStatus": "READY", "ApplicationVersionId": number,
                    "SnapshotCreationTimestamp": f64::from(number) + 0.5,
                })
            })
            .collect();
        ok(&json!({ "SnapshotSummaries": summaries, "NextToken": token }))
    };
    let pages = (0..22).map(|number| page(number * 50, (number < 21).then_some("more")));
    let stage = Stage::new(pages);
    let snapshots = stage.managed.snapshots("orders").await.unwrap();
    assert_eq!(snapshots.len(), 1_100);
    let newest = Snapshot {
        name: "s1099".into(),
        status: SnapshotStatus::Ready,
        version: 1_099,
        created_at: Some(Timestamp::from_millisecond(1_099_500).unwrap()),
        key: None,
    };
    assert_eq!(snapshots[0], newest);
    assert_eq!(snapshots[1_099].name, "s0");
    let calls = stage.calls();
    assert_eq!(calls[0].json(), json!({ "ApplicationName": "orders", "Limit": 50 }));
    assert_eq!(calls[21].json()["NextToken"], "more");
    stage.assert_over();
}

#[tokio::test(start_paused = true)]
async fn a_list_of_snapshots_without_an_end_is_given_up() {
    let page = ok(&json!({ "SnapshotSummaries": [], "NextToken": "again" }));
    let stage = Stage::new(std::iter::repeat_n(page, 1_000));
    assert_eq!(stage.managed.snapshots("orders").await.unwrap_err().kind(), ErrorKind::Unreadable);
}

fn summary(name: &str) -> Value {
    json!({
        "SnapshotName": name, "SnapshotStatus": "READY", "ApplicationVersionId": 7,
        "SnapshotCreationTimestamp": 1_700_000_000, "RuntimeEnvironment": "FLINK-1_20",
    })
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_snapshot_is_the_customers_or_the_services_own() {
    let arn = "arn:aws:kms:eu-west-1:123456789012:key/old";
    let cases = [
        (json!({ "KeyType": "CUSTOMER_MANAGED_KEY", "KeyId": arn }), Some(arn)),
        (json!({ "KeyType": "AWS_OWNED_KEY" }), Some(AWS_OWNED_KEY)),
        (Value::Null, None),
    ];
    for (encryption, key) in cases {
        let mut summary = summary("s");
        summary["ApplicationEncryptionConfigurationDescription"] = encryption;
        let stage = Stage::new([ok(&json!({ "SnapshotSummaries": [summary] }))]);
        assert_eq!(stage.managed.snapshots("orders").await.unwrap()[0].key.as_deref(), key);
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_deleted_by_the_very_time_that_the_list_shows() {
    // More digits than a float has room for.
    for time in ["1700000000.123456789", "1700000000.123", "1700000000"] {
        let listed = json!({ "SnapshotSummaries": [summary("s\"1")] }).to_string().replace("1700000000", time);
        let stage = Stage::new([Answer::Bytes(200, listed.into_bytes()), ok(&json!({}))]);
        let snapshot = stage.managed.snapshots("orders").await.unwrap().remove(0);
        stage.managed.delete_snapshot("orders", &snapshot.name, snapshot.created_at.unwrap()).await.unwrap();
        let body = String::from_utf8(stage.calls()[1].body.clone()).unwrap();
        let expected =
            format!(r#"{{"ApplicationName":"orders","SnapshotName":"s\"1","SnapshotCreationTimestamp":{time}}}"#);
        assert_eq!(body, expected);
        assert_eq!(stage.operations()[1], "DeleteApplicationSnapshot");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_sent_again_when_it_is_throttled_or_its_answer_is_lost() {
    for trouble in [refused("ThrottlingException", "slow down"), status(503), Answer::Lost] {
        let stage = Stage::new([trouble, ok(&json!({}))]);
        stage.managed.delete_snapshot("orders", "s", Timestamp::UNIX_EPOCH).await.unwrap();
        stage.assert_over();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_deletion_says_why_but_quotes_no_value() {
    let words = format!("the snapshot is not there; {PASSWORD}");
    for (code, kind) in [
        ("ResourceNotFoundException", ErrorKind::NotFound),
        ("ResourceInUseException", ErrorKind::ResourceInUse),
        ("InvalidArgumentException", ErrorKind::InvalidArgument),
    ] {
        let stage = Stage::new([ok(&described()), refused(code, &words)]);
        stage.managed.application("orders").await.unwrap();
        let error = stage.managed.delete_snapshot("orders", "s", Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains("the snapshot is not there") && !error.message().contains(PASSWORD));
        stage.assert_over();
    }
    // Nobody has looked at the application.
    let stage = Stage::new([refused("InvalidArgumentException", &words)]);
    let error = stage.managed.delete_snapshot("orders", "s", Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(!error.message().contains("not there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_snapshot_is_read_or_is_none() {
    let missing = refused("ResourceNotFoundException", "no such snapshot");
    let stage = Stage::new([ok(&json!({ "SnapshotDetails": summary("s") })), missing]);
    let snapshot = Snapshot {
        name: "s".into(),
        status: SnapshotStatus::Ready,
        version: 7,
        created_at: Some(Timestamp::from_second(1_700_000_000).unwrap()),
        key: None,
    };
    assert_eq!(stage.managed.snapshot("orders", "s").await.unwrap(), Some(snapshot));
    assert_eq!(stage.managed.snapshot("orders", "t").await.unwrap(), None);
    assert_eq!(stage.operations(), ["DescribeApplicationSnapshot"; 2]);
    assert_eq!(stage.calls()[1].json(), json!({ "ApplicationName": "orders", "SnapshotName": "t" }));
}

#[tokio::test(start_paused = true)]
async fn the_application_protects_what_it_restores_from_and_what_it_ran_last() {
    let mut answer = described();
    let detail = &mut answer["ApplicationDetail"];
    detail["ApplicationVersionCreateTimestamp"] = json!(1_700_000_000.5);
    detail["ApplicationConfigurationDescription"]["RunConfigurationDescription"] = json!({
        "ApplicationRestoreConfigurationDescription":
            { "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "s" },
    });
    let missing = refused("ResourceNotFoundException", "no such application");
    let mut odd = described();
    odd["ApplicationDetail"]["ApplicationVersionCreateTimestamp"] = "yesterday".into();
    // The SDK reads it first, and calls it an error.
    let stage = Stage::new([ok(&answer), ok(&described()), missing, ok(&odd)]);
    let protections = Protections {
        version: Some(7),
        version_since: Some(Timestamp::from_millisecond(1_700_000_000_500).unwrap()),
        run_configuration: Some("s".into()),
        deployment: None,
    };
    assert_eq!(stage.managed.snapshot_protections("orders").await.unwrap(), Some(protections));
    let bare = Protections { version: Some(7), ..Protections::default() };
    assert_eq!(stage.managed.snapshot_protections("orders").await.unwrap(), Some(bare));
    assert_eq!(stage.managed.snapshot_protections("orders").await.unwrap(), None);
    let error = stage.managed.snapshot_protections("orders").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
}
