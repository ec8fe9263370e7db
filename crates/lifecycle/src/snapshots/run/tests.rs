use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::evidence::{Job, Tasks};
use crate::fixtures::application;
use crate::snapshots::{CheckpointStatistics, FailedCheckpoint, SnapshotRequest};

const TIMEOUT: i64 = 600;

fn at(seconds: i64) -> Timestamp {
    "2026-11-20T09:45:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn run_of(more: &serde_json::Value) -> SnapshotRun {
    let mut input = json!({ "application": "orders", "timeoutSeconds": TIMEOUT });
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    let mut run = SnapshotRun::new("orders", SnapshotRequest::parse(&input, at(0)).unwrap().plan);
    run.begin(at(0));
    run
}

fn run() -> SnapshotRun {
    run_of(&json!({}))
}

fn snapshot(status: &str, created_at: Timestamp) -> Snapshot {
    let name = "scheduled-20261120T094500Z".to_owned();
    Snapshot { name, status: status.into(), version: 3, created_at: Some(created_at), key: None }
}

/// Outcome and codes of the result.
fn result(run: &SnapshotRun) -> (SnapshotOutcome, Vec<String>) {
    let result = run.result.as_ref().unwrap();
    let code = |reason| serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned();
    (result.outcome, result.because.iter().map(code).collect())
}

#[test]
fn an_application_that_can_have_none_now_is_skipped_and_says_why() {
    let mut zeppelin = application(3, "RUNNING");
    zeppelin.runtime = "ZEPPELIN-FLINK-3_0".into();
    let mut disabled = application(3, "RUNNING");
    disabled.snapshots_enabled = false;
    let cases = [
        (None, Some("applicationGone")),
        (Some(application(3, "READY")), Some("notRunning")),
        (Some(application(3, "UPDATING")), Some("notRunning")),
        (Some(application(3, "MAINTENANCE")), Some("notRunning")),
        (Some(application(3, "HIBERNATING")), Some("notRunning")),
        (Some(zeppelin), Some("notFlink")),
        (Some(disabled), Some("snapshotsDisabled")),
        (Some(application(3, "RUNNING")), None),
    ];
    for (application, code) in cases {
        let mut run = run();
        assert_eq!(run.skip_application(application.as_ref()), code.is_some(), "{application:?}");
        if let Some(code) = code {
            assert_eq!(result(&run), (SnapshotOutcome::Skipped, vec![code.to_owned()]));
            // How old the newest snapshot is, is measured all the same where there should be a new one.
            let is_measured = code == "snapshotsDisabled";
            assert_eq!(run.next, Some(if is_measured { SnapshotNext::Prune } else { SnapshotNext::End }), "{code}");
        } else {
            assert_eq!(run.result, None);
        }
    }
    let why = |status| {
        let mut run = run();
        run.skip_application(Some(&application(3, status)));
        run.result.unwrap().why
    };
    assert_eq!(why("UPDATING"), "the application is UPDATING, not RUNNING");
}

#[test]
fn a_deployment_that_is_under_way_is_named() {
    let mut run = run();
    assert!(!run.skip_under_deployment(None));
    assert!(run.skip_under_deployment(Some("arn:aws:states:us-east-1:123456789012:execution:deploy:orders-17")));
    assert_eq!(run.result.unwrap().why, "a deployment is under way (orders-17)");
    assert_eq!(run.next, Some(SnapshotNext::Prune));
}

#[test]
fn in_a_blackout_nothing_is_begun() {
    let mut run =
        run_of(&json!({ "blackouts": [{ "from": "09:00", "to": "09:45" }, { "from": "23:00", "to": "10:00" }] }));
    assert!(run.skip_in_blackout(at(0)));
    assert_eq!(run.result.as_ref().unwrap().why, "no snapshot from 23:00 to 10:00 UTC");
    assert!(!run.skip_in_blackout(at(900)));
}

#[test]
fn a_snapshot_of_this_name_is_not_taken_twice() {
    let adopted = |snapshot: Snapshot| {
        let mut run = run();
        assert!(run.adopt(Some(&snapshot), at(20)));
        run
    };
    assert!(!run().adopt(None, at(20)));

    let before = adopted(snapshot("READY", at(-3_600)));
    assert_eq!(result(&before), (SnapshotOutcome::Skipped, vec!["takenAlready".to_owned()]));
    assert_eq!(before.next, Some(SnapshotNext::Prune));

    // Of this execution's own, only the answer was lost.
    assert_eq!(adopted(snapshot("READY", at(0))).next, Some(SnapshotNext::WaitForSnapshot));
    let mut own = adopted(snapshot("READY", at(3)));
    assert_eq!((own.next, own.wait_seconds), (Some(SnapshotNext::WaitForSnapshot), 1));
    own.look_at(Some(&snapshot("READY", at(3))), at(21));
    assert_eq!(result(&own), (SnapshotOutcome::Taken, vec!["ready".to_owned()]));

    let creating = adopted(snapshot("CREATING", at(-30)));
    assert_eq!((creating.next, creating.began_at), (Some(SnapshotNext::WaitForSnapshot), Some(at(-30))));

    let mut failed = adopted(snapshot("FAILED", at(-30)));
    assert_eq!((failed.next, failed.wait_seconds), (Some(SnapshotNext::WaitForSnapshot), 1));
    assert!(failed.look_at(Some(&snapshot("FAILED", at(-30))), at(21)));
    assert_eq!(result(&failed), (SnapshotOutcome::Failed, vec!["snapshotFailed".to_owned()]));
}

#[test]
fn waits_grow_with_the_time_and_end_with_it() {
    let mut run = run();
    run.taking(at(0), at(0));
    let (mut now, mut waits) = (0, Vec::new());
    loop {
        assert_eq!(run.next, Some(SnapshotNext::WaitForSnapshot));
        assert_ne!(run.wait_seconds, 0, "{waits:?}");
        waits.push(run.wait_seconds);
        now += i64::from(run.wait_seconds);
        assert!(now <= TIMEOUT, "{waits:?}");
        if run.look_at(Some(&snapshot("CREATING", at(0))), at(now)) {
            break;
        }
    }
    assert_eq!(now, TIMEOUT, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 60), "{waits:?}");
    assert!(waits[..waits.len() - 1].windows(2).skip(1).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    assert!(waits.len() < 20, "{waits:?}");
    assert_eq!(result(&run), (SnapshotOutcome::Failed, vec!["stuckInCreating".to_owned()]));
    assert_eq!(run.next, Some(SnapshotNext::Prune));
}

#[test]
fn the_next_look_comes_after_a_third_of_the_time_that_it_has_taken() {
    for (seconds, wait) in [(15, 10), (30, 10), (33, 11), (90, 30), (180, 60), (400, 60), (590, 10)] {
        let mut run = run();
        run.taking(at(0), at(0));
        assert!(!run.look_at(Some(&snapshot("CREATING", at(0))), at(seconds)));
        assert_eq!((run.next, run.wait_seconds), (Some(SnapshotNext::WaitForSnapshot), wait), "{seconds} s");
    }
}

#[test]
fn a_snapshot_that_will_never_be_ready_is_told_at_once() {
    let cases = [
        (Some(snapshot("FAILED", at(0))), "snapshotFailed"),
        (Some(snapshot("DELETING", at(0))), "snapshotDeleted"),
        (Some(snapshot("ARCHIVED", at(0))), "unknownStatus"),
        (None, "snapshotDeleted"),
    ];
    for (snapshot, code) in cases {
        let mut run = run();
        run.taking(at(0), at(0));
        assert!(run.look_at(snapshot.as_ref(), at(60)), "{code}");
        assert_eq!(result(&run), (SnapshotOutcome::Failed, vec![code.to_owned()]));
    }
}

#[test]
fn a_snapshot_may_not_be_shown_at_once() {
    let mut run = run();
    run.taking(at(0), at(0));
    assert!(!run.look_at(None, at(59)));
    assert_eq!((run.next, run.wait_seconds), (Some(SnapshotNext::WaitForSnapshot), 15));
    assert!(!run.look_at(Some(&snapshot("READY", at(0))), at(74)));
    assert_eq!(result(&run), (SnapshotOutcome::Taken, vec!["ready".to_owned()]));

    let mut late = run_of(&json!({ "timeoutSeconds": 60 }));
    late.taking(at(40), at(40));
    assert!(!late.look_at(None, at(50)));
    assert_eq!(late.wait_seconds, 10, "no longer than there is time");
    assert!(late.look_at(None, at(60)), "the time is over");
    assert_eq!(result(&late), (SnapshotOutcome::Failed, vec!["snapshotDeleted".to_owned()]));
}

#[test]
fn what_the_service_refuses_is_tried_again_only_where_it_may_help() {
    let mut busy = run();
    busy.not_taken(NotTaken::Busy, "another snapshot is being taken", at(590));
    assert_eq!((busy.next, busy.wait_seconds), (Some(SnapshotNext::WaitToTake), 10));
    busy.not_taken(NotTaken::Busy, "another snapshot is being taken", at(600));
    assert_eq!(result(&busy), (SnapshotOutcome::Failed, vec!["stillBusy".to_owned()]));

    let mut full = run_of(&json!({ "retention": {} }));
    full.not_taken(NotTaken::LimitExceeded, "quota", at(1));
    assert_eq!((full.next, full.result.clone()), (Some(SnapshotNext::MakeRoom), None));
    full.not_taken(NotTaken::LimitExceeded, "quota", at(2));
    assert_eq!(result(&full), (SnapshotOutcome::Failed, vec!["quotaReached".to_owned()]));
    assert!(full.result.unwrap().why.contains("none of ours may be deleted"));

    let mut keeps_all = run();
    keeps_all.not_taken(NotTaken::LimitExceeded, "quota", at(1));
    assert!(keeps_all.result.unwrap().why.contains("with `retention`"));

    for (why, code) in [(NotTaken::AccessDenied, "accessDenied"), (NotTaken::Other, "refused")] {
        let mut run = run();
        run.not_taken(why, "the service's\nown words", at(1));
        assert_eq!(result(&run), (SnapshotOutcome::Failed, vec![code.to_owned()]));
        assert!(run.result.unwrap().why.ends_with("the service's…"));
    }
}

fn look(status: Option<&str>) -> FailureLook {
    FailureLook { application: Ok(status.map(|status| application(3, status))), job: None, checkpoints: None }
}

#[test]
fn an_application_that_vanishes_while_it_is_looked_at_is_a_skip() {
    let mut run = run();
    run.taking(at(0), at(0));
    assert!(run.look_at(None, at(60)));
    run.explain(&look(None));
    assert_eq!(result(&run), (SnapshotOutcome::Skipped, vec!["applicationGone".to_owned()]));
    assert_eq!(run.next, Some(SnapshotNext::End));
}

#[test]
fn the_likely_cause_comes_after_what_happened() {
    let mut run = run();
    run.taking(at(0), at(0));
    run.look_at(Some(&snapshot("FAILED", at(0))), at(30));
    let tasks = Tasks { total: 1, running: 1, ..Tasks::default() };
    let job = Job {
        id: "aa".into(),
        submitted_at: None,
        state: JobState::Running,
        tasks,
        restarts: Some(0),
        completed_checkpoints: None,
        failed_checkpoints: None,
        failure: None,
    };
    let failed = FailedCheckpoint { failed_at: at(20), message: "AccessDenied: no PutObject".into() };
    let checkpoints = CheckpointStatistics { failed: 1, last_completed: None, last_failed: Some(failed) };
    run.explain(&FailureLook {
        job: Some(Ok(Some(job))),
        checkpoints: Some(Ok(Some(checkpoints))),
        ..look(Some("RUNNING"))
    });
    let codes = vec!["snapshotFailed".to_owned(), "likelyPermissions".to_owned()];
    assert_eq!(result(&run), (SnapshotOutcome::Failed, codes));
    assert_eq!(
        run.result.as_ref().unwrap().why,
        "the snapshot FAILED after 30 s; likely permissions: Flink says: AccessDenied: no PutObject"
    );
    assert_eq!(run.next, Some(SnapshotNext::Prune));
}

#[test]
fn an_outcome_is_told_by_the_word_that_the_state_machine_counts_by() {
    use SnapshotOutcome::{Failed, Skipped, Taken, WouldTake};
    for (outcome, word) in [(Taken, "Taken"), (WouldTake, "WouldTake"), (Skipped, "Skipped"), (Failed, "Failed")] {
        assert_eq!(outcome.to_string(), word);
        assert_eq!(serde_json::to_value(outcome).unwrap(), word);
    }
}

#[test]
fn a_dry_run_says_that_nothing_speaks_against_it() {
    let mut run = run_of(&json!({ "dryRun": true }));
    run.would_take();
    assert_eq!(result(&run), (SnapshotOutcome::WouldTake, vec!["nothingAgainst".to_owned()]));
    assert_eq!(run.next, Some(SnapshotNext::Prune));
}

#[test]
fn the_document_is_read_as_it_is_written() {
    let mut run = run_of(&json!({ "blackouts": [{ "from": "22:00", "to": "02:00" }], "retention": { "daily": 7 } }));
    run.taking(at(0), at(0));
    run.look_at(Some(&snapshot("FAILED", at(0))), at(30));
    run.explain(&look(Some("UPDATING")));
    let written = serde_json::to_value(&run).unwrap();
    assert_eq!(serde_json::from_value::<SnapshotRun>(written).unwrap(), run);
    // The first step is handed the application and the plan alone.
    let first =
        json!({ "application": "orders", "plan": run.plan, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn" });
    assert_eq!(serde_json::from_value::<SnapshotRun>(first).unwrap(), SnapshotRun::new("orders", run.plan));
}
