use serde_json::{Value, json};

use super::*;
use crate::deployment::{Began, StepError};
use crate::evidence::Restarts;
use crate::fixtures::{
    alarm, application, at, climbed, codes, due, evidence, goes_on, snapshot, statuses, unreadable, updating,
};
use crate::request::Restore;

const MINUTE: i64 = 60;

fn decided(mut deployment: Deployment, evidence: &Evidence, now: i64) -> Deployment {
    decide(&mut deployment, evidence, at(now));
    deployment
}

fn timed_out() -> Verdict {
    Verdict::failing(Reason::OperationTimedOut { operation: "UpdateApplication".into(), seconds: 1_800 })
}

fn failing(mut deployment: Deployment, reason: Reason) -> Deployment {
    deployment.conclude(Verdict::failing(reason), at(10));
    deployment
}

fn restarts(count: u64) -> Reason {
    Reason::Restarts { count, tolerated: 2 }
}

/// A deployment whose job was found healthy at this time, quiet since that one.
fn healthy(fields: &Value, quiet_since: i64, healthy_at: i64) -> Deployment {
    let mut deployment = updating(fields, "RUNNING");
    let mut watch = JobWatch::new(at(0));
    watch.quiet_since = Some(at(quiet_since));
    watch.healthy_at = Some(at(healthy_at));
    deployment.job = Some(watch);
    deployment.conclude(Verdict::healthy(Reason::JobFinished), at(healthy_at));
    deployment
}

fn metrics(count: u64, last_at: Option<i64>) -> Evidence {
    let restarts = Restarts { count, last_at: last_at.map(at) };
    Evidence { restarts: Some(Ok(restarts)), ..evidence(8, "RUNNING") }
}

/// The rungs taken, and what follows a failure for each status, in the order of [`statuses`].
fn ladder() -> [(&'static [Rung], [&'static str; 12]); 9] {
    use Rung::{ForceStop, PutBack, RollBack, StartBack, SystemRollback};
    let after_a_rollback = [
        "Restore 0",
        "ForceStop 0",
        "ForceStop 0",
        "ForceStop 0",
        "ForceStop 0",
        "ForceStop 0",
        "Bake 30",
        "ForceStop 0",
        "Restore 0",
        "Bake 30",
        "deleted",
        "unknown",
    ];
    let last = [
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "exhausted",
        "deleted",
        "exhausted",
    ];
    [
        (
            &[],
            [
                "Restore 0",
                "ForceStop 0",
                "RollBack 0",
                "ForceStop 0",
                "RollBack 0",
                "RollBack 0",
                "Bake 30",
                "WaitForOperation 30",
                "Restore 0",
                "Bake 30",
                "deleted",
                "unknown",
            ],
        ),
        (&[RollBack], after_a_rollback),
        (&[SystemRollback], after_a_rollback),
        (
            &[RollBack, ForceStop],
            [
                "Restore 0",
                "exhausted",
                "exhausted",
                "exhausted",
                "exhausted",
                "exhausted",
                "Bake 30",
                "exhausted",
                "Restore 0",
                "Bake 30",
                "deleted",
                "unknown",
            ],
        ),
        (
            &[ForceStop],
            [
                "Restore 0",
                "exhausted",
                "RollBack 0",
                "exhausted",
                "RollBack 0",
                "RollBack 0",
                "Bake 30",
                "WaitForOperation 30",
                "Restore 0",
                "Bake 30",
                "deleted",
                "unknown",
            ],
        ),
        (&[PutBack], last),
        (&[RollBack, ForceStop, PutBack], last),
        (&[RollBack, ForceStop, PutBack, StartBack], last),
        (&[SystemRollback, PutBack, StartBack], last),
    ]
}

#[test]
fn the_ladder_goes_from_every_rung_and_every_status() {
    for (rungs, expected) in ladder() {
        for (status, expected) in statuses().into_iter().zip(expected) {
            let mut deployment = climbed(&json!({}), rungs);
            deployment.conclude(timed_out(), at(10));
            let taken = deployment.taken.clone();
            let deployment = decided(deployment, &evidence(8, status.as_str()), 20);
            let expected = match expected {
                "deleted" => "end NeedsAttention: applicationDeleted",
                "exhausted" => "end NeedsAttention: ladderExhausted operationTimedOut",
                "unknown" => "end NeedsAttention: ladderExhausted unknownStatus operationTimedOut",
                other => other,
            };
            assert_eq!(goes_on(&deployment), expected, "after {rungs:?}, {status}");
            let new = &deployment.taken[taken.len()..];
            assert!(new.len() <= 1 && new.iter().all(|rung| !taken.contains(rung)), "{:?}", deployment.taken);
        }
    }
}

#[test]
fn without_a_snapshot_of_the_baseline_nothing_is_stopped() {
    let rejected = Reason::OperationRejected { operation: "RollbackApplication".into(), error: "no snapshot".into() };
    let cases = [
        (vec![], json!({}), "end NeedsAttention: ladderExhausted noSnapshot operationRejected"),
        (
            vec![snapshot("bad", "READY", 8, 1)],
            json!({}),
            "end NeedsAttention: ladderExhausted noSnapshot operationRejected",
        ),
        (
            vec![snapshot("half", "CREATING", 7, 1)],
            json!({}),
            "end NeedsAttention: ladderExhausted noSnapshot operationRejected",
        ),
        (vec![snapshot("good", "READY", 7, 1)], json!({}), "ForceStop 0"),
        (vec![], json!({ "restore": { "type": "SKIP_RESTORE_FROM_SNAPSHOT" } }), "ForceStop 0"),
    ];
    for (snapshots, fields, expected) in cases {
        let deployment = failing(climbed(&fields, &[Rung::RollBack]), rejected.clone());
        let evidence = Evidence { snapshots: Some(Ok(snapshots.clone())), ..evidence(8, "RUNNING") };
        assert_eq!(goes_on(&decided(deployment, &evidence, 20)), expected, "{snapshots:?}");
    }
    for snapshots in [None, Some(unreadable())] {
        let deployment = failing(climbed(&json!({}), &[Rung::RollBack]), rejected.clone());
        let evidence = Evidence { snapshots, ..evidence(8, "RUNNING") };
        assert_eq!(goes_on(&decided(deployment, &evidence, 20)), "Bake 30");
    }
}

#[test]
fn the_newest_snapshot_of_the_baseline_is_the_one_that_is_restored() {
    let snapshots = vec![
        snapshot("older", "READY", 7, 1),
        snapshot("newest", "READY", 7, 9),
        snapshot("failed", "FAILED", 7, 10),
        snapshot("older lineage", "READY", 6, 11),
        snapshot("bad", "READY", 8, 12),
    ];
    let deployment = failing(climbed(&json!({}), &[Rung::RollBack]), restarts(3));
    let evidence = Evidence { snapshots: Some(Ok(snapshots)), ..evidence(8, "RUNNING") };
    let deployment = decided(deployment, &evidence, 20);
    assert_eq!(deployment.restore_from.as_deref(), Some("newest"));
    assert_eq!(deployment.restore_back(), Restore::from_snapshot("newest"));
}

#[test]
fn an_update_that_was_never_made_is_never_rolled_back() {
    for status in ["RUNNING", "AUTOSCALING", "UPDATING", "READY", "STARTING"] {
        let mut deployment = due(&json!({}), "RUNNING");
        deployment.reject("no", at(1));
        let deployment = decided(deployment, &evidence(7, status), 20);
        assert_eq!(goes_on(&deployment), "end NeedsAttention: operationRejected", "{status}");
        assert_eq!(deployment.taken, [Rung::Update]);
    }
}

#[test]
fn an_update_that_has_failed_without_touching_the_job_is_left_alone() {
    let failed = Reason::OperationFailed { operation: "UpdateApplication".into(), error: None };
    let deployment = failing(updating(&json!({}), "RUNNING"), failed.clone());
    let deployment = decided(deployment, &evidence(8, "RUNNING"), 20);
    let report = deployment.report.unwrap();
    assert_eq!(report.outcome, Outcome::NeedsAttention);
    assert_eq!(report.because, [Reason::JobUntouched, failed.clone()]);
    assert_eq!(deployment.taken, [Rung::Update]);
    let stopped = decided(failing(updating(&json!({}), "RUNNING"), failed.clone()), &evidence(8, "READY"), 20);
    assert_eq!(stopped.taken, [Rung::Update, Rung::PutBack]);
    let rolled_back = failing(climbed(&json!({}), &[Rung::RollBack]), failed);
    assert_eq!(decided(rolled_back, &evidence(8, "RUNNING"), 20).rung, Rung::ForceStop);
}

#[test]
fn a_rollback_of_an_application_that_was_stopped_would_go_too_far() {
    let cases = [("RUNNING", "ForceStop 0"), ("STARTING", "ForceStop 0"), ("READY", "Restore 0")];
    for (status, expected) in cases {
        let mut deployment = updating(&json!({ "start": true }), "READY");
        deployment.take(Rung::Start);
        deployment.begin(Some("op-2".into()), None, at(5));
        let evidence = Evidence { snapshots: Some(Ok(Vec::new())), ..evidence(8, status) };
        assert_eq!(
            goes_on(&decided(failing(deployment, restarts(3)), &evidence, 20)),
            match status {
                // The job was RUNNING when it was found bad: what the stop means is looked at first.
                "READY" => "CheckSubtasks 0",
                _ => expected,
            }
        );
    }
}

#[test]
fn a_policy_that_holds_touches_nothing() {
    let hold = json!({ "policy": { "onFailure": "hold" } });
    for rungs in [&[][..], &[Rung::SystemRollback]] {
        for status in ["RUNNING", "UPDATING", "READY", "STARTING"] {
            let mut deployment = climbed(&hold, rungs);
            deployment.conclude(timed_out(), at(10));
            let deployment = decided(deployment, &evidence(8, status), 20);
            assert_eq!(goes_on(&deployment), "end NeedsAttention: policyHolds operationTimedOut");
        }
    }
}

#[test]
fn the_version_is_a_fence() {
    let healthy = || healthy(&json!({}), 0, 400);
    let cases = [(9, "end Superseded: versionChanged"), (8, "end Deployed: quietFor jobFinished"), (7, "Bake 30")];
    for (version, expected) in cases {
        assert_eq!(goes_on(&decided(healthy(), &evidence(version, "RUNNING"), 500)), expected, "{version}");
        let failing = failing(updating(&json!({}), "RUNNING"), restarts(3));
        let expected = if version == 8 { "RollBack 0" } else { expected };
        assert_eq!(goes_on(&decided(failing, &evidence(version, "RUNNING"), 500)), expected, "{version}");
    }
}

#[test]
fn the_services_own_rollback_is_followed_once() {
    let began = Reason::SystemRollbackBegan { operation_id: "op-system".into(), version: Some(9) };
    for rungs in [&[][..], &[Rung::Start]] {
        let deployment = failing(climbed(&json!({}), rungs), began.clone());
        // The rollback has made a version of its own by now: that is no newer change.
        let deployment = decided(deployment, &evidence(9, "ROLLING_BACK"), 20);
        assert_eq!(goes_on(&deployment), "WaitForOperation 45");
        assert_eq!((deployment.rung, deployment.version), (Rung::SystemRollback, 9));
        assert_eq!(deployment.began, Some(Began { operation_id: Some("op-system".into()), at: at(20) }));
        let again = decided(failing(deployment, began.clone()), &evidence(9, "READY"), 90);
        assert_eq!(goes_on(&again), "Restore 0");
    }
    for rungs in [&[Rung::PutBack][..], &[Rung::RollBack, Rung::ForceStop, Rung::PutBack, Rung::StartBack]] {
        let deployment = failing(climbed(&json!({}), rungs), began.clone());
        let deployment = decided(deployment, &evidence(9, "RUNNING"), 20);
        assert_eq!(
            goes_on(&deployment),
            "end NeedsAttention: ladderExhausted systemRollbackBegan",
            "it leads to the bad change"
        );
    }
}

#[test]
fn a_job_is_accepted_only_by_a_look_at_or_after_the_end_of_the_bake() {
    // Quiet since, healthy at, and now, in seconds; the bake takes 300.
    let table = [
        (100, 100, 100, "Bake 100"),
        (100, 160, 160, "Bake 100"),
        (100, 160, 301, "Bake 99"),
        (100, 160, 398, "Bake 2"),
        (100, 160, 399, "Bake 1"),
        (100, 160, 400, "CheckSubtasks 0"),
        (100, 399, 400, "CheckSubtasks 0"),
        (100, 400, 400, "end Deployed: quietFor jobFinished"),
        (100, 700, 820, "end Deployed: quietFor jobFinished"),
        // Redriven: what was seen then says nothing of now.
        (100, 700, 821, "CheckSubtasks 0"),
        // The clock went back.
        (100, 160, 50, "Bake 100"),
    ];
    for (quiet_since, healthy_at, now, expected) in table {
        let deployment = decided(healthy(&json!({}), quiet_since, healthy_at), &evidence(8, "RUNNING"), now);
        assert_eq!(goes_on(&deployment), expected, "{quiet_since} {healthy_at} {now}");
    }
}

#[test]
fn a_restart_that_cloudwatch_shows_begins_the_quiet_time_again() {
    let deployment = decided(healthy(&json!({}), 0, 60), &metrics(1, Some(120)), 200);
    assert_eq!(goes_on(&deployment), "CheckSubtasks 0", "it is looked into, once");
    let watch = deployment.job.clone().unwrap();
    assert_eq!((watch.restarts_explained, watch.quiet_since), (1, Some(at(120 + MINUTE))));
    let deployment = decided(deployment, &metrics(1, Some(120)), 201);
    assert_eq!(goes_on(&deployment), "Bake 100", "and then waited for");
    let deployment = decided(deployment, &metrics(1, Some(120)), 479);
    assert_eq!(goes_on(&deployment), "Bake 1");
    let deployment = decided(deployment, &metrics(1, Some(120)), 480);
    assert_eq!(goes_on(&deployment), "CheckSubtasks 0", "the last look is older than the quiet time");
    // A data point whose minute has not ended begins the quiet time now, not later.
    let deployment = decided(healthy(&json!({}), 0, 60), &metrics(1, Some(180)), 200);
    assert_eq!(deployment.job.unwrap().quiet_since, Some(at(200)));
}

#[test]
fn what_cloudwatch_counts_beyond_flinks_own_count_is_looked_into() {
    let mut deployment = healthy(&json!({}), 0, 60);
    deployment.job.as_mut().unwrap().submitted_at = Some(at(-5));
    let deployment = decided(deployment, &metrics(3, None), 70);
    assert_eq!(goes_on(&deployment), "CheckSubtasks 0");
    assert_eq!(deployment.failure, []);
    let mut resubmitted = healthy(&json!({}), 0, 60);
    let watch = resubmitted.job.as_mut().unwrap();
    (watch.submitted_at, watch.resubmissions) = (Some(at(30)), 1);
    assert_eq!(goes_on(&decided(resubmitted, &metrics(3, None), 70)), "RollBack 0");
}

#[test]
fn a_change_that_is_in_effect_already_is_watched_and_nothing_is_done() {
    let watched = || {
        let mut deployment = healthy(&json!({}), 0, 60);
        deployment.taken.clear();
        deployment
    };
    let deployment = decided(watched(), &metrics(0, None), 70);
    assert_eq!(deployment.report.map(|report| report.outcome), Some(Outcome::NoChange));
    let mut failing = watched();
    failing.conclude(Verdict::failing(Reason::Restarts { count: 3, tolerated: 2 }), at(70));
    let deployment = decided(failing, &metrics(0, None), 70);
    assert_eq!(deployment.report.map(|report| report.outcome), Some(Outcome::NeedsAttention));
    assert_eq!(deployment.taken, []);
}

#[test]
fn more_restarts_than_tolerated_fail_the_change_whoever_counted_them() {
    for (cloudwatch, flink, expected) in
        [(0, 2, "Bake 100"), (2, 2, "Bake 100"), (3, 2, "RollBack 0"), (0, 3, "RollBack 0")]
    {
        let mut deployment = healthy(&json!({}), 0, 60);
        let watch = deployment.job.as_mut().unwrap();
        (watch.restarts, watch.restarts_explained) = (flink, flink);
        let deployment = decided(deployment, &metrics(cloudwatch, None), 70);
        assert_eq!(goes_on(&deployment), expected, "{cloudwatch} {flink}");
        assert_eq!(deployment.failure.is_empty(), expected == "Bake 100");
    }
}

#[test]
fn what_cannot_be_read_is_neither_accepted_nor_failed() {
    let fields = json!({ "policy": { "alarms": ["lag"] } });
    let holds = [
        Evidence { restarts: None, ..evidence(8, "RUNNING") },
        Evidence { restarts: Some(unreadable()), ..evidence(8, "RUNNING") },
        Evidence { alarms: None, ..evidence(8, "RUNNING") },
        Evidence { alarms: Some(unreadable()), ..evidence(8, "RUNNING") },
        Evidence { application: unreadable(), ..evidence(8, "RUNNING") },
    ];
    for evidence in holds {
        let deployment = decided(healthy(&fields, 0, 400), &evidence, 400);
        assert_eq!(goes_on(&deployment), "Bake 30", "{evidence:?}");
        assert_eq!(deployment.unreadable_since, Some(at(400)));
        let before_the_end = decided(deployment.clone(), &evidence, 400 + 899);
        assert_eq!(goes_on(&before_the_end), "Bake 30");
        let at_the_end = decided(deployment, &evidence, 400 + 900);
        assert!(goes_on(&at_the_end).starts_with("end NeedsAttention: unreadableTooLong"), "{}", goes_on(&at_the_end));
    }
}

#[test]
fn holding_ends_at_the_deadline_too() {
    let fields = json!({ "policy": { "evidenceTimeoutSeconds": 21_600, "deadlineSeconds": 4_000 } });
    let holds = [
        Evidence { application: unreadable(), ..evidence(8, "RUNNING") },
        // An answer that is older than what was seen before.
        evidence(7, "RUNNING"),
    ];
    for evidence in holds {
        let deployment = decided(healthy(&fields, 0, 400), &evidence, 3_999);
        assert_eq!(goes_on(&deployment), "Bake 30");
        let deployment = decided(deployment, &evidence, 4_000);
        assert!(goes_on(&deployment).starts_with("end NeedsAttention: deadlinePassed"), "{}", goes_on(&deployment));
    }
}

#[test]
fn alarms_count_unless_they_were_raised_before() {
    let fields = json!({ "policy": { "alarms": ["lag", "old"] } });
    let table = [
        (vec![alarm("lag", false), alarm("old", false)], "Bake 100"),
        (vec![alarm("lag", false), alarm("old", true)], "Bake 100"),
        (vec![alarm("lag", true), alarm("old", true)], "RollBack 0"),
    ];
    for (alarms, expected) in table {
        let mut deployment = healthy(&fields, 0, 60);
        deployment.baseline.as_mut().unwrap().raised_alarms = vec!["old".into()];
        let evidence = Evidence { alarms: Some(Ok(alarms)), ..evidence(8, "RUNNING") };
        let deployment = decided(deployment, &evidence, 70);
        assert_eq!(goes_on(&deployment), expected);
        if expected != "Bake 100" {
            assert_eq!(codes(&deployment.failure), ["alarmRaised"]);
        }
    }
}

#[test]
fn alarms_are_heeded_of_the_change_alone_and_where_the_policy_names_some() {
    let named = json!({ "policy": { "alarms": ["lag"] } });
    let raised = Some(Ok(vec![alarm("lag", true)]));
    let table = [
        (&named, &[][..], raised.clone(), "RollBack 0"),
        (&named, &[Rung::Start], raised.clone(), "RollBack 0"),
        // What the change has raised takes its time to fall again.
        (&named, &[Rung::RollBack], raised.clone(), "Bake 100"),
        (&named, &[Rung::RollBack], Some(unreadable()), "Bake 100"),
        (&named, &[Rung::RollBack], None, "Bake 100"),
        (&named, &[Rung::SystemRollback], raised, "Bake 100"),
        (&json!({}), &[], None, "Bake 100"),
    ];
    for (fields, rungs, alarms, expected) in table {
        let mut deployment = climbed(fields, rungs);
        deployment.job = healthy(fields, 0, 60).job;
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(60));
        let evidence = Evidence { alarms, ..evidence(8, "RUNNING") };
        assert_eq!(goes_on(&decided(deployment, &evidence, 70)), expected, "{rungs:?} {:?}", evidence.alarms);
    }
}

#[test]
fn events_tell_what_was_decided_and_what_the_verdict_has_not_told() {
    let told = |deployment: Deployment, now| {
        let before = deployment.events.len();
        let deployment = decided(deployment, &evidence(8, "RUNNING"), now);
        deployment.events[before..].iter().map(|event| event.what.clone()).collect::<Vec<_>>()
    };
    let held = json!({ "policy": { "onFailure": "hold" } });
    let bad = |fields: &Value| failing(updating(fields, "RUNNING"), restarts(3));
    assert_eq!(told(bad(&json!({})), 20), ["Decided to take RollBack"]);
    assert_eq!(told(bad(&held), 20), ["Decided to end: NeedsAttention: the policy says to hold on failure"]);
    let nothing = Vec::<String>::new();
    assert_eq!(told(healthy(&json!({}), 0, 60), 70), nothing, "that it goes on baking is no news");
    assert_eq!(told(healthy(&json!({}), 0, 60), 300), nothing, "nor is a look");
}

#[test]
fn the_deadline_ends_whatever_is_going_on() {
    let late = 14_400;
    let inconclusive = |mut deployment: Deployment| {
        deployment.conclude(Verdict::inconclusive(Reason::NoJob), at(1));
        deployment
    };
    let running = || updating(&json!({}), "RUNNING");
    let cases = [
        due(&json!({}), "RUNNING"),
        healthy(&json!({}), 0, late - 1),
        failing(running(), restarts(3)),
        inconclusive(running()),
        running(),
    ];
    for deployment in cases {
        let after = decided(deployment.clone(), &evidence(deployment.version, "RUNNING"), late);
        assert!(goes_on(&after).starts_with("end NeedsAttention: deadlinePassed"), "{}", goes_on(&after));
        let before = decided(deployment.clone(), &evidence(deployment.version, "RUNNING"), late - 1);
        assert!(!goes_on(&before).contains("deadlinePassed"), "{}", goes_on(&before));
    }
}

#[test]
fn a_step_that_failed_is_tried_again() {
    let error = || Some(StepError { state: "X".into(), error: "Sandbox.Timedout".into(), cause: None });
    let looked = |job: bool| {
        let mut deployment = if job { healthy(&json!({}), 0, 60) } else { updating(&json!({}), "RUNNING") };
        deployment.error = error();
        deployment
    };
    let mut never_begun = climbed(&json!({}), &[Rung::RollBack]);
    never_begun.take(Rung::ForceStop);
    never_begun.error = error();
    let mut refused = never_begun.clone();
    refused.reject("no", at(1));
    refused.error = error();
    let cases = [
        (looked(true), "WaitForSubtasks 30"),
        (looked(false), "WaitForOperation 30"),
        (never_begun, "Bake 30"),
        (refused, "Bake 30"),
    ];
    for (deployment, expected) in cases {
        let deployment = decided(deployment, &evidence(8, "RUNNING"), 100);
        assert_eq!(goes_on(&deployment), expected);
        assert_eq!(deployment.error, None, "an error is told once");
        assert!(deployment.decided.unwrap().contains("Sandbox.Timedout"));
    }
}

#[test]
fn a_rung_that_saw_an_old_version_is_due_again() {
    let mut deployment = climbed(&json!({}), &[Rung::RollBack]);
    deployment.take(Rung::ForceStop);
    deployment.overtaken(7, at(10));
    let held = decided(deployment.clone(), &evidence(8, "RUNNING"), 20);
    assert_eq!(goes_on(&held), "Bake 30");
    let again = decided(held, &evidence(8, "RUNNING"), 50);
    assert_eq!(goes_on(&again), "ForceStop 0");
    assert_eq!(goes_on(&decided(deployment, &evidence(9, "RUNNING"), 20)), "end Superseded: versionChanged");
}

#[test]
fn a_job_that_ended_because_its_application_left_running_is_looked_at_again() {
    let canceled = || Reason::JobFailed { state: "CANCELED".into() };
    // The reason, the status now, and what follows.
    let table = [
        (canceled(), "RUNNING", "RollBack 0"),
        (canceled(), "AUTOSCALING", "CheckSubtasks 0"),
        (canceled(), "MAINTENANCE", "CheckSubtasks 0"),
        (canceled(), "STOPPING", "CheckSubtasks 0"),
        (canceled(), "READY", "CheckSubtasks 0"),
        (restarts(3), "AUTOSCALING", "RollBack 0"),
        (restarts(3), "READY", "CheckSubtasks 0"),
        (Reason::NotSettled { seconds: 1_800 }, "AUTOSCALING", "RollBack 0"),
        (Reason::NotSettled { seconds: 1_800 }, "READY", "CheckSubtasks 0"),
        (Reason::AlarmRaised { name: "lag".into() }, "READY", "CheckSubtasks 0"),
        (Reason::ApplicationUnexpected { status: "READY".into() }, "READY", "Restore 0"),
    ];
    for (reason, status, expected) in table {
        let mut deployment = healthy(&json!({}), 0, 60);
        deployment.conclude(Verdict::failing(reason.clone()), at(70));
        assert_eq!(goes_on(&decided(deployment, &evidence(8, status), 71)), expected, "{reason} {status}");
    }
}

#[test]
fn a_stop_by_somebody_is_left_alone() {
    let mut deployment = healthy(&json!({}), 0, 60);
    deployment.conclude(Verdict::inconclusive(Reason::StoppedBySomeone { operation_id: "op-x".into() }), at(70));
    let deployment = decided(deployment, &evidence(8, "READY"), 71);
    assert_eq!(goes_on(&deployment), "end Superseded: stoppedBySomeone");
}

#[test]
fn a_finished_job_is_accepted_at_once() {
    let mut deployment = healthy(&json!({}), 0, 60);
    deployment.job.as_mut().unwrap().is_finished = true;
    let evidence = Evidence { restarts: None, alarms: None, ..evidence(8, "READY") };
    assert_eq!(goes_on(&decided(deployment, &evidence, 61)), "end Deployed: jobFinished");
}

#[test]
fn a_healthy_job_whose_application_is_at_work_is_looked_at() {
    for status in ["READY", "MAINTENANCE", "AUTOSCALING", "HIBERNATING"] {
        let deployment = decided(healthy(&json!({}), 0, 400), &evidence(8, status), 400);
        assert_eq!(goes_on(&deployment), "CheckSubtasks 0", "{status}");
    }
}

#[test]
fn every_verified_rung_has_its_outcome_or_its_successor() {
    use Rung::{ForceStop, PutBack, RollBack, StartBack, SystemRollback};
    let job: [(&[Rung], &str); 5] = [
        (&[], "Deployed"),
        (&[Rung::Start], "Deployed"),
        (&[SystemRollback], "RolledBack"),
        (&[RollBack], "RolledBack"),
        (&[RollBack, ForceStop, PutBack, StartBack], "Restored"),
    ];
    for (rungs, outcome) in job {
        let mut deployment = climbed(&json!({}), rungs);
        deployment.job = healthy(&json!({}), 0, 300).job;
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(300));
        assert_eq!(
            goes_on(&decided(deployment, &evidence(8, "RUNNING"), 300)),
            format!("end {outcome}: quietFor jobFinished")
        );
    }
    let stopped: [(&str, bool, &[Rung], &str); 10] = [
        ("READY", false, &[], "end Deployed: jobFinished wasNotRunning"),
        ("READY", true, &[], "Submit 0"),
        ("READY", false, &[SystemRollback], "end RolledBack: jobFinished wasNotRunning"),
        ("READY", true, &[Rung::Start, ForceStop], "Restore 0"),
        ("READY", true, &[Rung::Start, ForceStop, PutBack], "end Restored: jobFinished wasNotRunning"),
        ("UPDATING", false, &[Rung::Stop, Rung::Update], "end Deployed: jobFinished"),
        ("UPDATING", true, &[Rung::Start, ForceStop, PutBack], "end NeedsAttention: jobFinished wasAtWork"),
        ("RUNNING", false, &[RollBack, ForceStop], "Restore 0"),
        ("RUNNING", false, &[PutBack], "Restore 0"),
        ("RUNNING", false, &[ForceStop, PutBack], "Restore 0"),
    ];
    for (was, start, rungs, expected) in stopped {
        let mut deployment = climbed(&json!({ "start": start }), rungs);
        deployment.baseline.as_mut().unwrap().status = was.into();
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(300));
        let held = decided(deployment.clone(), &evidence(8, "STARTING"), 300);
        assert_eq!(goes_on(&held), "Bake 30", "it is not stopped yet, or not any more");
        assert_eq!(goes_on(&decided(deployment, &evidence(8, "READY"), 300)), expected, "{was} {rungs:?}");
    }
}

#[test]
fn only_what_the_decision_needs_is_read() {
    let with = |judgement: Option<Judgement>, mut deployment: Deployment| {
        deployment.verdict = judgement.map(|is| Verdict { is, reasons: vec![Reason::NoJob] });
        let Wanted { metrics, snapshots } = wanted(&deployment);
        (metrics, snapshots)
    };
    let baking = || healthy(&json!({}), 0, 60);
    let mut finished = baking();
    finished.job.as_mut().unwrap().is_finished = true;
    let table = vec![
        (Some(Judgement::Healthy), baking(), (true, false)),
        (Some(Judgement::Failing), baking(), (false, true)),
        (Some(Judgement::Inconclusive), baking(), (false, false)),
        (Some(Judgement::Progressing), baking(), (false, false)),
        (None, baking(), (false, false)),
        (Some(Judgement::Healthy), finished, (false, false)),
        (Some(Judgement::Healthy), updating(&json!({}), "READY"), (false, false)),
        (Some(Judgement::Healthy), climbed(&json!({}), &[Rung::ForceStop]), (false, true)),
        (Some(Judgement::Healthy), climbed(&json!({}), &[Rung::PutBack]), (false, true)),
        (Some(Judgement::Healthy), updating(&json!({ "start": true }), "READY"), (false, true)),
        (Some(Judgement::Healthy), stopping(&json!({ "stop": "graceful", "start": true }), &[]), (false, true)),
        (Some(Judgement::Healthy), stopping(&json!({ "stop": "graceful" }), &[]), (false, false)),
    ];
    for (judgement, deployment, expected) in table {
        assert_eq!(with(judgement, deployment.clone()), expected, "{judgement:?} {:?}", deployment.rung);
    }
    // Once its own start is behind it, nothing depends on snapshots any more.
    let start = json!({ "start": true });
    assert_eq!(with(Some(Judgement::Healthy), healthy(&start, 0, 60)), (true, false));
    assert_eq!(with(Some(Judgement::Healthy), climbed(&start, &[Rung::Start])), (false, false));
}

#[test]
fn an_application_that_is_gone_needs_a_person() {
    let gone = Evidence { application: Ok(None), ..evidence(8, "RUNNING") };
    let deleting = Evidence { application: Ok(Some(application(8, "DELETING"))), ..evidence(8, "RUNNING") };
    for evidence in [gone, deleting] {
        for deployment in [healthy(&json!({}), 0, 400), due(&json!({}), "RUNNING")] {
            assert_eq!(goes_on(&decided(deployment, &evidence, 400)), "end NeedsAttention: applicationDeleted");
        }
    }
}

/// A deployment of a running application that was asked to stop it first, and has taken these rungs since.
fn stopping(fields: &Value, rungs: &[Rung]) -> Deployment {
    let mut deployment = due(fields, "RUNNING");
    deployment.taken.clear();
    deployment.is_update_due = fields["update"] != json!({});
    for &rung in [Rung::Stop].iter().chain(rungs) {
        deployment.take(rung);
        deployment.begin(Some(format!("op-{rung:?}")), None, at(0));
    }
    deployment
}

#[test]
fn after_a_stop_comes_what_was_asked_for() {
    let none = json!({});
    let table = [
        (json!({ "stop": "graceful", "update": none }), "end Deployed: jobFinished", None),
        (json!({ "stop": "graceful", "update": none, "start": true }), "Submit 0", Some(Rung::Start)),
        (json!({ "stop": "force", "start": true }), "Submit 0", Some(Rung::Update)),
        (json!({ "stop": "force" }), "Submit 0", Some(Rung::Update)),
    ];
    for (fields, expected, rung) in table {
        let mut deployment = stopping(&fields, &[]);
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(60));
        let deployment = decided(deployment, &evidence(7, "READY"), 60);
        assert_eq!(goes_on(&deployment), expected, "{fields}");
        assert_eq!(deployment.taken.get(1).copied(), rung, "{fields}");
    }
    let mut updated = stopping(&json!({ "stop": "graceful" }), &[Rung::Update]);
    updated.conclude(Verdict::healthy(Reason::JobFinished), at(60));
    assert_eq!(goes_on(&decided(updated, &evidence(7, "READY"), 60)), "end Deployed: jobFinished");
}

#[test]
fn what_was_stopped_is_not_started_without_its_state() {
    let skip = json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" });
    let restart = json!({ "stop": "graceful", "update": {}, "start": true });
    let change = json!({ "stop": "force", "start": true });
    let given_up = json!({ "stop": "force", "start": true, "restore": skip });
    let none = || Some(Ok(Vec::new()));
    let of_any_version = Some(Ok(vec![snapshot("older", "READY", 3, -60)]));
    let lost = "end NeedsAttention: noSnapshot jobFinished";
    let table = [
        (&restart, &[][..], none(), lost),
        (&change, &[], none(), lost),
        (&change, &[Rung::Update], none(), lost),
        (&restart, &[], Some(Ok(vec![snapshot("creating", "CREATING", 7, 0)])), lost),
        (&change, &[Rung::Update], of_any_version, "Submit 0"),
        (&restart, &[], Some(unreadable()), "Bake 30"),
        (&restart, &[], None, "Bake 30"),
        (&given_up, &[], none(), "Submit 0"),
    ];
    for (fields, rungs, snapshots, expected) in table {
        let mut deployment = stopping(fields, rungs);
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(60));
        let evidence = Evidence { snapshots, ..evidence(7, "READY") };
        assert_eq!(goes_on(&decided(deployment, &evidence, 60)), expected, "{fields} {rungs:?}");
    }
}

#[test]
fn what_was_stopped_gracefully_is_started_from_its_own_snapshot_only() {
    let restart = json!({ "stop": "graceful", "update": {}, "start": true });
    let table = [
        (vec![snapshot("older", "READY", 3, -60)], "Bake 30"),
        (vec![snapshot("older", "READY", 3, -60), snapshot("own", "CREATING", 7, 0)], "Bake 30"),
        (vec![snapshot("older", "READY", 3, -60), snapshot("own", "READY", 7, 0)], "Submit 0"),
    ];
    for (snapshots, expected) in table {
        let mut deployment = stopping(&restart, &[]);
        deployment.begin(Some("op-stop".into()), None, at(0));
        deployment.conclude(Verdict::healthy(Reason::JobFinished), at(60));
        let evidence = Evidence { snapshots: Some(Ok(snapshots)), ..evidence(7, "READY") };
        assert_eq!(goes_on(&decided(deployment.clone(), &evidence, 60)), expected);
        // Nothing tells of a stop by force, or by somebody else, how old the newest snapshot may be.
        deployment.stopped_version = None;
        assert_eq!(goes_on(&decided(deployment, &evidence, 60)), "Submit 0");
    }
}

#[test]
fn a_stop_that_fails_is_not_made_worse() {
    let failed = || Reason::OperationFailed { operation: "StopApplication".into(), error: None };
    for fields in [json!({ "stop": "graceful", "start": true }), json!({ "stop": "force" })] {
        for status in statuses() {
            let deployment = failing(stopping(&fields, &[]), failed());
            let deployment = decided(deployment, &evidence(7, status.as_str()), 60);
            let expected = if status == ApplicationStatus::Deleting { "applicationDeleted" } else { "operationFailed" };
            assert_eq!(goes_on(&deployment), format!("end NeedsAttention: {expected}"), "{fields} {status}");
        }
    }
}

#[test]
fn a_restart_goes_back_only_where_there_is_something_to_go_back_to() {
    let none = json!({});
    let named = json!({ "type": "RESTORE_FROM_CUSTOM_SNAPSHOT", "snapshot": "old" });
    let skip = json!({ "type": "SKIP_RESTORE_FROM_SNAPSHOT" });
    let nothing = "end NeedsAttention: nothingToGoBackTo restarts";
    let table = [
        (json!({ "stop": "graceful", "update": none, "start": true }), &[Rung::Start][..], nothing),
        (json!({ "stop": "force", "update": none, "start": true, "restore": named }), &[Rung::Start], "ForceStop 0"),
        (json!({ "stop": "force", "update": none, "start": true, "restore": skip }), &[Rung::Start], "ForceStop 0"),
        // The service's rollback would go back further than to what was stopped.
        (json!({ "stop": "force", "start": true }), &[Rung::Update, Rung::Start], "ForceStop 0"),
    ];
    for (fields, rungs, expected) in table {
        let mut evidence = evidence(7, "RUNNING");
        evidence.snapshots = Some(Ok(vec![snapshot("stopped", "READY", 7, 0)]));
        let deployment = decided(failing(stopping(&fields, rungs), restarts(3)), &evidence, 60);
        assert_eq!(goes_on(&deployment), expected, "{fields} {rungs:?}");
    }
}

#[test]
fn a_restart_that_cut_an_update_short_has_nothing_to_go_back_to_either() {
    let fields = json!({ "stop": "force", "update": {}, "start": true });
    let mut deployment = failing(stopping(&fields, &[Rung::Start]), restarts(3));
    if let Some(baseline) = &mut deployment.baseline {
        baseline.status = ApplicationStatus::Updating;
    }
    let deployment = decided(deployment, &evidence(7, "RUNNING"), 60);
    assert_eq!(goes_on(&deployment), "end NeedsAttention: nothingToGoBackTo restarts");
}

#[test]
fn an_update_refused_after_the_stop_needs_a_person() {
    let mut deployment = stopping(&json!({ "stop": "force", "start": true }), &[Rung::Update]);
    deployment.began = None;
    deployment.reject("not this", at(50));
    let deployment = decided(deployment, &evidence(7, "READY"), 60);
    assert_eq!(goes_on(&deployment), "end NeedsAttention: operationRejected");
}

/// The service may have rolled the change back by itself, which the operation tells.
#[test]
fn a_newer_version_is_nobodys_until_the_operation_could_be_read() {
    let unread = || {
        let mut deployment = updating(&json!({}), "RUNNING");
        deployment.conclude(
            Verdict::inconclusive(Reason::EvidenceUnreadable { what: "the operation".into(), why: "no answer".into() }),
            at(20),
        );
        deployment
    };
    let mut failed = updating(&json!({}), "RUNNING");
    failed.error = Some(StepError { state: "CheckOperation".into(), error: "Throttled".into(), cause: None });
    let mut looked_inside = unread();
    looked_inside.job = Some(JobWatch::new(at(0)));
    let seen = failing(updating(&json!({}), "RUNNING"), Reason::NoJob);
    let superseded = "end Superseded: versionChanged";
    for (what, deployment, expected) in [
        ("not read", unread(), "WaitForOperation 30"),
        ("the step failed", failed, "WaitForOperation 30"),
        ("it had ended well", looked_inside, superseded),
        ("it was read", seen, superseded),
    ] {
        assert_eq!(goes_on(&decided(deployment, &evidence(9, "ROLLING_BACK"), 30)), expected, "{what}");
    }
}

#[test]
fn a_rollback_is_not_asked_for_that_would_restore_the_bad_versions_state() {
    let rolled_back = "RollBack 0";
    let in_vain = "end NeedsAttention: ladderExhausted noSnapshot restarts";
    for (what, snapshots, expected) in [
        ("none, which the service refuses", vec![], rolled_back),
        ("one of the baseline", vec![snapshot("bad", "READY", 8, 9), snapshot("good", "READY", 7, 1)], rolled_back),
        ("an older one only", vec![snapshot("older", "READY", 6, 1)], rolled_back),
        ("of the bad version, not READY", vec![snapshot("bad", "CREATING", 8, 9)], rolled_back),
        ("of the bad version only", vec![snapshot("bad", "READY", 8, 9), snapshot("older", "READY", 6, 1)], in_vain),
    ] {
        let deployment = failing(updating(&json!({}), "RUNNING"), restarts(3));
        let evidence = Evidence { snapshots: Some(Ok(snapshots)), ..evidence(8, "RUNNING") };
        assert_eq!(goes_on(&decided(deployment, &evidence, 20)), expected, "{what}");
    }
    let deployment = failing(updating(&json!({}), "RUNNING"), restarts(3));
    let evidence = Evidence { snapshots: Some(unreadable()), ..evidence(8, "RUNNING") };
    assert_eq!(goes_on(&decided(deployment, &evidence, 20)), "Bake 30", "what cannot be read is no reason to act");
}
