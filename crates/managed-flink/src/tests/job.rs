use std::time::Duration;

use lifecycle::cause::Kind;
use lifecycle::evidence::{Failure, Job, Tasks};
use lifecycle::status::JobState;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::script::{Answer, PASSWORD, Stage, described, ok, refused, status};
use crate::ErrorKind;
use crate::error::WITHHELD;

const TOKEN: &str = "eyJ-a-bearer-secret";

fn presigned_as(url: &str) -> Answer {
    ok(&json!({ "AuthorizedUrl": url }))
}

fn presigned() -> Answer {
    presigned_as(&format!("https://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken={TOKEN}"))
}

fn recording(version: &str, situation: &str) -> Value {
    let path = format!("{}/fixtures/{version}/{situation}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

fn running(count: u64) -> Tasks {
    Tasks { total: count, running: count, ..Tasks::default() }
}

fn one_job(id: &str, state: &str, start: u64, tasks: &Value) -> Value {
    let mut job = json!({
        "jid": id, "state": state, "start-time": start, "tasks": {
            "total": 0, "running": 0, "finished": 0, "failed": 0, "canceled": 0, "canceling": 0, "initializing": 0,
            "created": 0, "scheduled": 0, "deploying": 0, "reconciling": 0,
        },
    });
    for (name, count) in tasks.as_object().unwrap() {
        job["tasks"][name] = count.clone();
    }
    job
}

fn overview(jobs: &[Value]) -> Answer {
    ok(&json!({ "jobs": jobs }))
}

fn healthy() -> Answer {
    overview(&[one_job("aa", "RUNNING", 1, &json!({ "total": 4, "running": 4 }))])
}

fn metrics(restarts: u64) -> Answer {
    ok(&json!([{ "id": "numRestarts", "value": restarts.to_string() }]))
}

fn exceptions(stacktrace: &str) -> Answer {
    ok(&json!({ "exceptionHistory": { "entries": [
        { "exceptionName": "java.lang.Exception", "stacktrace": stacktrace, "timestamp": 1, "taskName": "sink (1/2)" },
    ] } }))
}

async fn job(stage: &Stage) -> Job {
    stage.managed.job("orders").await.unwrap().unwrap()
}

/// What the job of a recording should become: state, tasks, restarts (at least), and the failure's class and message.
struct Expected {
    situation: &'static str,
    states: &'static [JobState],
    tasks: Option<Tasks>,
    restarts: Option<std::ops::RangeInclusive<u64>>,
    failure: Option<(&'static str, &'static str)>,
}

fn situations() -> Vec<Expected> {
    let sound = |situation, tasks| Expected {
        situation,
        states: &[JobState::Running],
        tasks: Some(tasks),
        restarts: Some(0..=0),
        failure: None,
    };
    let open_fails = ("java.lang.IllegalStateException", "injected: open fails");
    let dies = ("java.lang.RuntimeException", "injected: after 3000 ms");
    vec![
        sound("healthy", running(4)),
        sound("restore-ok", running(4)),
        sound("incompatible-uid-allowed", running(4)),
        sound("slow-init", running(4)),
        sound("slow-open", running(4)),
        sound("restoring", Tasks { total: 4, initializing: 2, running: 2, ..Tasks::default() }),
        Expected {
            situation: "bounded",
            states: &[JobState::Finished],
            tasks: Some(Tasks { total: 4, finished: 4, ..Tasks::default() }),
            restarts: Some(0..=0),
            failure: None,
        },
        Expected {
            situation: "open-fails",
            states: &[JobState::Restarting],
            tasks: Some(Tasks { total: 4, failed: 4, ..Tasks::default() }),
            restarts: Some(7..=8),
            failure: Some(open_fails),
        },
        Expected {
            situation: "fails-after-ms",
            states: &[JobState::Running],
            tasks: Some(running(4)),
            restarts: Some(2..=2),
            failure: Some(dies),
        },
        Expected {
            situation: "no-restart",
            states: &[JobState::Failed],
            tasks: Some(Tasks { total: 4, failed: 4, ..Tasks::default() }),
            restarts: Some(0..=0),
            failure: Some(dies),
        },
        Expected {
            situation: "snapshot-fails",
            states: &[JobState::Running, JobState::Restarting],
            tasks: None,
            restarts: Some(8..=9),
            failure: Some(("java.lang.IllegalStateException", "injected: snapshot fails")),
        },
        Expected {
            situation: "savepoint-missing",
            states: &[JobState::Failed],
            tasks: Some(Tasks::default()),
            restarts: None,
            failure: Some((
                "java.io.FileNotFoundException",
                "Cannot find checkpoint or savepoint file/directory 'file:/savepoints/none' on file system 'file'.",
            )),
        },
        Expected {
            situation: "incompatible-uid",
            states: &[JobState::Failed],
            tasks: Some(Tasks::default()),
            restarts: None,
            failure: Some(("java.lang.IllegalStateException", "Failed to rollback to checkpoint/savepoint")),
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn every_recorded_situation_is_told_as_it_is() {
    for version in ["1.20.5", "2.2.1", "2.3.0"] {
        for Expected { situation, states, tasks, restarts, failure } in situations() {
            let context = format!("{situation} on {version}");
            let recording = recording(version, situation);
            let mut aws = vec![presigned()];
            let mut flink = vec![ok(&recording["overview"]), ok(&recording["metrics"]), ok(&recording["metrics"])];
            if restarts.is_none() {
                // Metrics that are not there are asked for again.
                flink.push(ok(&recording["metrics"]));
            }
            if failure.is_some() {
                aws.push(ok(&described()));
                flink.push(ok(&recording["exceptions"]));
            }
            let stage = Stage::with_flink(aws, flink);
            let job = job(&stage).await;
            stage.assert_over();
            assert!(states.contains(&job.state), "{context}: {job:?}");
            assert!(tasks.is_none_or(|tasks| tasks == job.tasks), "{context}: {job:?}");
            assert_eq!(job.tasks.total, [4, 0][usize::from(restarts.is_none())], "{context}");
            match restarts {
                Some(range) => assert!(range.contains(&job.restarts.unwrap()), "{context}: {job:?}"),
                None => assert_eq!(job.restarts, None, "{context}"),
            }
            assert_eq!(job.completed_checkpoints.is_some(), job.restarts.is_some(), "{context}: {job:?}");
            match (failure, &job.failure) {
                (Some((exception, message)), Some(told)) => {
                    assert_eq!(told.exception, exception, "{context}");
                    assert!(told.message.starts_with(message), "{context}: {told:?}");
                    assert!(told.message.chars().count() <= 300 && !told.message.contains('\n'), "{context}: {told:?}");
                    assert_eq!(
                        told.task.is_some(),
                        ["open-fails", "fails-after-ms", "snapshot-fails"].contains(&situation)
                    );
                }
                (None, None) => {}
                (expected, told) => panic!("{context}: {told:?} instead of {expected:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_look_is_four_calls() {
    let stage = Stage::with_flink([presigned()], [healthy(), metrics(0), metrics(0)]);
    let expected = Job {
        id: "aa".into(),
        submitted_at: Some(jiff::Timestamp::from_millisecond(1).unwrap()),
        state: JobState::Running,
        tasks: running(4),
        restarts: Some(0),
        completed_checkpoints: None,
        failed_checkpoints: None,
        failure: None,
    };
    assert_eq!(job(&stage).await, expected);
    let calls = stage.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].operation, "CreateApplicationPresignedUrl");
    let body = json!({
        "ApplicationName": "orders", "UrlType": "FLINK_DASHBOARD_URL", "SessionExpirationDurationInSeconds": 1800,
    });
    assert_eq!(calls[0].json(), body);
    let names = "numRestarts,fullRestarts,numberOfCompletedCheckpoints,numberOfFailedCheckpoints";
    let metrics = format!("/flinkdashboard/jobs/aa/metrics?authToken={TOKEN}&get={names}");
    let gets = [format!("/flinkdashboard/jobs/overview?authToken={TOKEN}"), metrics.clone(), metrics];
    assert_eq!(stage.gets(), gets);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_failure_is_the_one_that_is_told() {
    let recording = recording("2.3.0", "open-fails");
    let entries = recording["exceptions"]["exceptionHistory"]["entries"].as_array().unwrap();
    assert!(entries[0]["taskName"].as_str().unwrap().ends_with("#7"), "the newest is first");
    let flink = [
        ok(&recording["overview"]),
        ok(&recording["metrics"]),
        ok(&recording["metrics"]),
        ok(&recording["exceptions"]),
    ];
    let stage = Stage::with_flink([presigned(), ok(&described())], flink);
    let failure = job(&stage).await.failure.unwrap();
    assert_eq!(failure.task.as_deref(), Some("keyed-counter -> discard: Writer (1/2) - execution #0"));
}

#[tokio::test(start_paused = true)]
async fn of_several_jobs_the_newest_counts_and_leftovers_only_when_nothing_is_alive() {
    let four = json!({ "total": 4, "running": 4 });
    let nothing = json!({});
    let old = || one_job("aa", "CANCELED", 1, &json!({ "total": 4, "canceled": 4 }));
    let alive = |start| one_job("bb", "RUNNING", start, &four);
    let leftover = |start| one_job("cc", "FAILED", start, &nothing);
    let cases = [
        (vec![old(), alive(2)], "bb"),
        (vec![alive(2), old()], "bb"),
        (vec![alive(2), leftover(3)], "bb"),
        (vec![leftover(1), alive(2)], "bb"),
        (vec![old(), leftover(3)], "cc"),
        (vec![leftover(3)], "cc"),
        (vec![alive(1), one_job("dd", "RESTARTING", 2, &four)], "dd"),
        (vec![alive(1), one_job("ee", "FAILED", 2, &json!({ "total": 4, "failed": 4 }))], "ee"),
        (vec![old(), one_job("ff", "INITIALIZING", 2, &nothing)], "ff"),
    ];
    for (jobs, id) in cases {
        let empty = ok(&json!({ "exceptionHistory": { "entries": [] } }));
        let stage = Stage::with_flink([presigned()], [overview(&jobs), metrics(0), metrics(0), empty]);
        assert_eq!(job(&stage).await.id, id, "{jobs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_are_counted_in_the_groups_that_decisions_need() {
    let counts = json!({
        "total": 66, "created": 1, "scheduled": 2, "deploying": 3, "reconciling": 4, "initializing": 5, "running": 6,
        "finished": 7, "failed": 8, "canceled": 9, "canceling": 10,
    });
    let empty = ok(&json!({ "exceptionHistory": { "entries": [] } }));
    let flink = [overview(&[one_job("aa", "RUNNING", 1, &counts)]), metrics(0), metrics(0), empty];
    let tasks = job(&Stage::with_flink([presigned()], flink)).await.tasks;
    let expected = Tasks { total: 66, waiting: 10, initializing: 5, running: 6, finished: 7, failed: 27 };
    assert_eq!(tasks, expected);
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_about_metrics_is_what_was_collected_before_and_is_not_believed() {
    let before = Instant::now();
    let empty = ok(&json!({ "exceptionHistory": { "entries": [] } }));
    let stage = Stage::with_flink([presigned()], [healthy(), metrics(0), metrics(3), empty]);
    assert_eq!(job(&stage).await.restarts, Some(3));
    stage.assert_over();
    assert!(before.elapsed() >= Duration::from_millis(500), "Flink is given no time to collect them anew");
}

#[tokio::test(start_paused = true)]
async fn metrics_that_were_not_there_are_asked_for_once_more() {
    let none = || ok(&json!([]));
    let stage = Stage::with_flink([presigned()], [healthy(), none(), none(), metrics(0)]);
    assert_eq!(job(&stage).await.restarts, Some(0));
    stage.assert_over();
    let stage = Stage::with_flink([presigned()], [healthy(), none(), none(), none()]);
    assert_eq!(job(&stage).await.restarts, None);
    stage.assert_over();
    let full = ok(&json!([
        { "id": "fullRestarts", "value": "0" }, { "id": "numberOfCompletedCheckpoints", "value": "5" },
        { "id": "numberOfFailedCheckpoints", "value": "-1" },
    ]));
    let stage = Stage::with_flink([presigned()], [healthy(), full.clone(), full]);
    let job = job(&stage).await;
    assert_eq!((job.restarts, job.completed_checkpoints, job.failed_checkpoints), (Some(0), Some(5), None));
}

#[tokio::test(start_paused = true)]
async fn no_job_is_none() {
    let stage = Stage::with_flink([presigned()], [overview(&[])]);
    assert_eq!(stage.managed.job("orders").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_not_running_says_so() {
    let stage = Stage::new([refused("ResourceInUseException", "not RUNNING")]);
    let error = stage.managed.job("orders").await.unwrap_err();
    assert_eq!((error.kind(), error.name()), (ErrorKind::ResourceInUse, "ResourceInUse"));
    assert!(stage.gets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_a_little_later() {
    let before = Instant::now();
    let stage = Stage::with_flink(
        [presigned()],
        [status(503), Answer::Lost, status(500), healthy(), status(502), metrics(0), metrics(0)],
    );
    assert_eq!(job(&stage).await.state, JobState::Running);
    stage.assert_over();
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_given_up() {
    let lasting = [
        (status(503), ErrorKind::Unavailable, 4),
        (Answer::Lost, ErrorKind::Unavailable, 4),
        (status(429), ErrorKind::Throttled, 4),
        (Answer::Silence, ErrorKind::Unavailable, 1),
        (status(400), ErrorKind::Unreadable, 1),
        (status(401), ErrorKind::AccessDenied, 1),
        (status(204), ErrorKind::Unreadable, 1),
        (Answer::Bytes(200, b"{\"jobs\":[{\"jid\":\"aa\",\"sta".to_vec()), ErrorKind::Unreadable, 1),
        (ok(&json!({})), ErrorKind::Unreadable, 1),
        (ok(&json!({ "jobs": [{ "jid": "aa", "state": "RUNNING", "start-time": 1 }] })), ErrorKind::Unreadable, 1),
        (overview(&[one_job("../../jars", "RUNNING", 1, &json!({}))]), ErrorKind::Unreadable, 1),
        (overview(&[one_job("", "RUNNING", 1, &json!({}))]), ErrorKind::Unreadable, 1),
    ];
    for (answer, kind, attempts) in lasting {
        let stage = Stage::with_flink([presigned()], std::iter::repeat_n(answer.clone(), 10));
        let error = stage.managed.job("orders").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert_eq!(stage.gets().len(), attempts, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_that_came_too_late_is_renewed_once() {
    let fresh = presigned_as("https://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken=fresh");
    let stage = Stage::with_flink([presigned(), fresh.clone()], [status(403), healthy(), metrics(0), metrics(0)]);
    assert_eq!(job(&stage).await.id, "aa");
    assert!(stage.gets()[1].ends_with("authToken=fresh"));
    let stage = Stage::with_flink([presigned(), fresh], [status(403), status(403)]);
    assert_eq!(stage.managed.job("orders").await.unwrap_err().kind(), ErrorKind::AccessDenied);
    stage.assert_over();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_went_away_is_looked_for_once_more() {
    let next = overview(&[one_job("bb", "RUNNING", 2, &json!({ "total": 4, "running": 4 }))]);
    let stage = Stage::with_flink([presigned()], [healthy(), status(404), next, metrics(0), metrics(0)]);
    assert_eq!(job(&stage).await.id, "bb");
    let stage = Stage::with_flink([presigned()], [healthy(), status(404), overview(&[])]);
    assert_eq!(stage.managed.job("orders").await.unwrap(), None);
    let stage = Stage::with_flink([presigned()], [healthy(), status(404), healthy(), status(404)]);
    assert_eq!(stage.managed.job("orders").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn exceptions_that_cannot_be_read_do_not_hide_the_job() {
    for answer in [status(404), Answer::Bytes(200, b"half".to_vec()), Answer::Silence] {
        let stage = Stage::with_flink([presigned()], [healthy(), metrics(3), metrics(3), answer]);
        let job = job(&stage).await;
        assert_eq!((job.restarts, job.failure), (Some(3), None));
    }
}

async fn told(stacktrace: &str) -> Failure {
    let flink = [healthy(), metrics(1), metrics(1), exceptions(stacktrace)];
    job(&Stage::with_flink([presigned(), ok(&described())], flink)).await.failure.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_without_values_and_tokens() {
    let failure = told(&format!(
        "java.lang.Exception: outer\n\tat a.B.c(B.java:1)\nCaused by: java.sql.SQLException: {PASSWORD}, {TOKEN} and \
         authToken=another&x=1\nsecond line {PASSWORD}\n\tat d.E.f(E.java:2)\n",
    ))
    .await;
    let expected = Failure {
        exception: "java.sql.SQLException".into(),
        message: "[redacted], [redacted] and authToken=[redacted]&x=1".into(),
        task: Some("sink (1/2)".into()),
        kind: Kind::OwnException,
        own_frame: Some("d.E.f(E.java:2)".into()),
        at: failure.at,
    };
    assert_eq!(failure, expected);
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_cut_after_its_secrets_are_gone() {
    let failure = told(&format!("java.lang.Exception: {}{PASSWORD}", "x".repeat(292))).await;
    assert_eq!(failure.message, format!("{}[redact…", "x".repeat(292)));
    assert_eq!(failure.message.chars().count(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_be_cleared_is_withheld() {
    let flink = [healthy(), metrics(1), metrics(1), exceptions(&format!("java.lang.Exception: {PASSWORD}"))];
    let stage = Stage::with_flink([presigned(), refused("AccessDeniedException", "no")], flink);
    let failure = job(&stage).await.failure.unwrap();
    assert_eq!((&*failure.exception, &*failure.message), ("java.lang.Exception", WITHHELD));
    assert_eq!((failure.task, failure.own_frame), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_url_that_is_not_the_services_is_never_fetched() {
    let urls = [
        format!("http://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken={TOKEN}"),
        format!("https://amazonaws.com.evil.example/flinkdashboard?authToken={TOKEN}"),
        format!("https://amazonaws.com@evil.example/flinkdashboard?authToken={TOKEN}"),
        format!("http://127.0.0.1:8081/flinkdashboard?authToken={TOKEN}"),
        format!("nonsense {TOKEN}"),
    ];
    for url in urls {
        let stage = Stage::new([presigned_as(&url)]);
        let error = stage.managed.job("orders").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{url}");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
        assert!(stage.gets().is_empty(), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_echoed_is_struck_out() {
    let echo = Answer::Bytes(400, format!("bad token {TOKEN}").into_bytes());
    let stage = Stage::with_flink([presigned()], [echo]);
    let error = stage.managed.job("orders").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
}
