use jiff::Timestamp;
use lifecycle::snapshots::{CheckpointStatistics, CompletedCheckpoint, FailedCheckpoint};
use serde_json::{Value, json};

use super::script::{Answer, PASSWORD, Stage, described, ok, refused, status};
use crate::ErrorKind;
use crate::error::WITHHELD;

fn presigned() -> Answer {
    ok(
        &json!({ "AuthorizedUrl": "https://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken=a-bearer-secret" }),
    )
}

fn overview() -> Answer {
    ok(&json!({ "jobs": [{
        "jid": "aa", "state": "RUNNING", "start-time": 1, "tasks": {
            "total": 1, "running": 1, "finished": 0, "failed": 0, "canceled": 0, "canceling": 0, "initializing": 0,
            "created": 0, "scheduled": 0, "deploying": 0, "reconciling": 0,
        },
    }] }))
}

/// What real Flink answered, in several situations.
fn recorded(version: &str) -> Vec<Value> {
    let path = format!("{}/../emulator/fixtures/flink/{version}/bodies.json", env!("CARGO_MANIFEST_DIR"));
    let bodies: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    bodies["checkpoints"].as_array().unwrap().clone()
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_flink_tells_of_checkpoints_is_read() {
    for version in ["1.20.5", "2.2.1", "2.3.0"] {
        for body in recorded(version) {
            let has_failed = !body["latest"]["failed"].is_null();
            let aws = [presigned()].into_iter().chain(has_failed.then(|| ok(&described())));
            let stage = Stage::with_flink(aws, [overview(), ok(&body)]);
            let checkpoints = stage.managed.checkpoints("orders").await.unwrap().unwrap();
            let latest = &body["latest"];
            let number = |value: &Value| value.as_i64().unwrap();
            let expected = CheckpointStatistics {
                failed: body["counts"]["failed"].as_u64().unwrap(),
                last_completed: latest["completed"].as_object().map(|completed| CompletedCheckpoint {
                    triggered_at: at(number(&completed["trigger_timestamp"])),
                    seconds: completed["end_to_end_duration"].as_u64().unwrap() / 1_000,
                    bytes: completed["state_size"].as_u64().unwrap(),
                }),
                last_failed: latest["failed"].as_object().map(|failed| FailedCheckpoint {
                    failed_at: at(number(&failed["failure_timestamp"])),
                    message: failed["failure_message"].as_str().unwrap().to_owned(),
                }),
            };
            assert_eq!(checkpoints, expected, "{version}");
            assert!(stage.gets()[1].starts_with("/flinkdashboard/jobs/aa/checkpoints?"), "{:?}", stage.gets());
            stage.assert_over();
        }
    }
}

fn failed(message: &str) -> Answer {
    ok(&json!({ "counts": { "failed": 1 }, "latest": { "completed": null, "failed": {
        "failure_timestamp": 1_795_151_965_172_i64, "failure_message": message } } }))
}

#[tokio::test(start_paused = true)]
async fn a_checkpoints_failure_is_told_without_secrets() {
    let body = failed(&format!("could not connect with {PASSWORD} and a-bearer-secret"));
    let stage = Stage::with_flink([presigned(), ok(&described())], [overview(), body.clone()]);
    let message = stage.managed.checkpoints("orders").await.unwrap().unwrap().last_failed.unwrap().message;
    assert!(message.starts_with("could not connect with ") && message.contains(" and "), "{message}");
    assert!(!message.contains(PASSWORD) && !message.contains("a-bearer-secret"), "{message}");
    let stage = Stage::with_flink([presigned(), refused("AccessDeniedException", "no")], [overview(), body]);
    let checkpoints = stage.managed.checkpoints("orders").await.unwrap().unwrap();
    assert_eq!(checkpoints.last_failed.unwrap().message, WITHHELD);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_an_error_and_no_job_is_none() {
    let stage = Stage::with_flink([presigned()], [ok(&json!({ "jobs": [] }))]);
    assert_eq!(stage.managed.checkpoints("orders").await.unwrap(), None);
    let stage = Stage::with_flink([presigned()], [overview(), ok(&json!({ "counts": {} }))]);
    assert_eq!(stage.managed.checkpoints("orders").await.unwrap_err().kind(), ErrorKind::Unreadable);
    let stage = Stage::with_flink([presigned()], [overview(), status(404)]);
    assert_eq!(stage.managed.checkpoints("orders").await.unwrap_err().kind(), ErrorKind::NotFound);
    let stage = Stage::new([refused("ResourceInUseException", "the application is READY")]);
    assert_eq!(stage.managed.checkpoints("orders").await.unwrap_err().kind(), ErrorKind::ResourceInUse);
}
