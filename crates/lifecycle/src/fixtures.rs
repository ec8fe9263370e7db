//! What the tables of this crate's tests are made of: a deployment of `orders` from version 7 to 8, at its beginning and
//! further on, and the evidence of an application that is as it should be.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::deployment::{Baseline, Deployment, Rung};
use crate::evidence::{Alarm, Application, Evidence, Job, Operation, OperationSummary, Restarts, Snapshot, Tasks};
use crate::evidence::{Observed, Unreadable};
use crate::request::Request;
use crate::status::ApplicationStatus;

/// So many seconds after the execution began.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// A request with these fields beside the application and a new runtime.
pub(crate) fn request(fields: &Value) -> Request {
    let mut input = json!({ "application": "orders", "update": { "RuntimeEnvironmentUpdate": "FLINK-1_20" } });
    for (name, value) in fields.as_object().unwrap() {
        input[name] = value.clone();
    }
    Request::parse(&input).unwrap()
}

pub(crate) fn baseline(status: &str) -> Baseline {
    Baseline {
        version: 7,
        status: status.into(),
        runtime: "FLINK-1_19".into(),
        code: None,
        snapshot: Some("good".into()),
        raised_alarms: Vec::new(),
    }
}

/// A deployment whose update is to be made next.
pub(crate) fn due(fields: &Value, was: &str) -> Deployment {
    let mut deployment = Deployment::new(&request(fields), "run-1", at(0));
    deployment.take_turn(at(0));
    deployment.baseline = Some(baseline(was));
    deployment.version = 7;
    deployment.take(Rung::Update);
    deployment
}

/// The same, with its update begun at the beginning of time.
pub(crate) fn updating(fields: &Value, was: &str) -> Deployment {
    let mut deployment = due(fields, was);
    deployment.begin(Some("op-1".into()), Some(8), at(0));
    deployment
}

/// A deployment of a running application that has taken these rungs after its update, the last of them begun.
pub(crate) fn climbed(fields: &Value, rungs: &[Rung]) -> Deployment {
    let mut deployment = updating(fields, "RUNNING");
    for &rung in rungs {
        deployment.take(rung);
        deployment.begin(Some(format!("op-{rung:?}")), None, at(0));
    }
    deployment
}

pub(crate) fn application(version: u64, status: &str) -> Application {
    Application {
        version,
        status: status.into(),
        runtime: "FLINK-1_20".into(),
        code: None,
        snapshots_enabled: true,
        system_rollback_enabled: false,
        checkpointing_enabled: true,
        checkpoint_interval_seconds: None,
    }
}

pub(crate) fn unreadable<T>() -> Observed<T> {
    Err(Unreadable::new("it", "the service did not answer"))
}

pub(crate) fn operation(status: &str) -> Operation {
    Operation {
        id: "op-1".into(),
        name: "UpdateApplication".into(),
        status: status.into(),
        error: None,
        rollback_operation_id: None,
        version_from: Some(7),
        version_to: Some(8),
        started_at: None,
    }
}

pub(crate) fn newest(name: &str, status: &str) -> OperationSummary {
    OperationSummary { id: "newest".into(), name: name.into(), status: status.into(), started_at: None }
}

/// Four tasks at work, after so many restarts, with checkpoints.
pub(crate) fn job(restarts: u64) -> Job {
    Job {
        submitted_at: None,
        id: "aa".into(),
        state: "RUNNING".into(),
        tasks: Tasks { total: 4, running: 4, ..Tasks::default() },
        restarts: Some(restarts),
        completed_checkpoints: Some(3),
        failed_checkpoints: Some(0),
        failure: None,
    }
}

pub(crate) fn snapshot(name: &str, status: &str, version: u64, created: i64) -> Snapshot {
    Snapshot { name: name.into(), status: status.into(), version, created_at: Some(at(created)), key: None }
}

pub(crate) fn alarm(name: &str, is_raised: bool) -> Alarm {
    Alarm { name: name.into(), is_raised }
}

/// Everything that could be asked for, and nothing wrong with it.
pub(crate) fn evidence(version: u64, status: &str) -> Evidence {
    Evidence {
        application: Ok(Some(application(version, status))),
        restarts: Some(Ok(Restarts::default())),
        alarms: Some(Ok(vec![alarm("lag", false)])),
        snapshots: Some(Ok(vec![snapshot("good", "READY", 7, -60), snapshot("bad", "READY", 8, -10)])),
    }
}

/// Every status that the service has today, and one that it has not.
pub(crate) const STATUSES: [&str; 12] = [
    "READY",
    "STARTING",
    "RUNNING",
    "STOPPING",
    "UPDATING",
    "AUTOSCALING",
    "FORCE_STOPPING",
    "ROLLING_BACK",
    "ROLLED_BACK",
    "MAINTENANCE",
    "DELETING",
    "HIBERNATING",
];

/// The same as statuses.
pub(crate) fn statuses() -> [ApplicationStatus; 12] {
    STATUSES.map(ApplicationStatus::from)
}

/// The codes of reasons, as reports show them.
pub(crate) fn codes(reasons: &[crate::verdict::Reason]) -> Vec<String> {
    let code = |reason| serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned();
    reasons.iter().map(code).collect()
}

/// Where a deployment goes on, in a word or two: `Bake 30`, or `end Deployed: quietFor tasksRunning`.
pub(crate) fn goes_on(deployment: &Deployment) -> String {
    match &deployment.report {
        Some(report) => format!("end {}: {}", report.outcome, codes(&report.because).join(" ")),
        None => format!("{:?} {}", deployment.next, deployment.wait_seconds),
    }
}

/// What was judged, in a word or two: `Failing: restarts tasksNotRunning`.
pub(crate) fn judged(deployment: &Deployment) -> String {
    let verdict = deployment.verdict.as_ref().unwrap();
    format!("{:?}: {}", verdict.is, codes(&verdict.reasons).join(" "))
}
