use serde_json::{Value, json};

use super::*;
use crate::evidence::{Failure, Tasks};
use crate::fixtures::{
    application, at, climbed, due, goes_on, job, judged, newest, operation, statuses, unreadable, updating,
};

fn operation_look(operation: &str, status: &str) -> OperationLook {
    OperationLook {
        operation: Some(Ok(crate::fixtures::operation(operation))),
        system_rollback: None,
        application: Ok(Some(application(8, status))),
    }
}

fn after_operation(mut deployment: Deployment, look: &OperationLook, now: i64) -> Deployment {
    judge_operation(&mut deployment, look, at(now));
    deployment
}

fn running_look(job: Job) -> JobLook {
    JobLook { application: Ok(Some(application(8, "RUNNING"))), job: Some(Ok(Some(job))), newest_operation: None }
}

fn status_look(status: &str) -> JobLook {
    JobLook { application: Ok(Some(application(8, status))), job: None, newest_operation: None }
}

fn after_look(mut deployment: Deployment, look: &JobLook, now: i64) -> Deployment {
    judge_job(&mut deployment, look, at(now));
    deployment
}

/// A deployment whose job is watched since the beginning.
fn watched(policy: &Value) -> Deployment {
    let mut deployment = updating(&json!({ "policy": policy }), "RUNNING");
    deployment.job = Some(JobWatch::new(at(0)));
    deployment
}

/// The deployment after looks at these times, which all show four tasks at work after so many restarts.
fn after_looks(mut deployment: Deployment, looks: &[(i64, u64)]) -> Deployment {
    for &(now, restarts) in looks {
        judge_job(&mut deployment, &running_look(job(restarts)), at(now));
    }
    deployment
}

fn watch(deployment: &Deployment) -> &JobWatch {
    deployment.job.as_ref().unwrap()
}

fn in_state(state: &str, tasks: Tasks) -> Job {
    Job { state: state.into(), tasks, ..job(0) }
}

fn starting() -> Job {
    in_state("RUNNING", Tasks { total: 4, running: 2, initializing: 2, ..Tasks::default() })
}

#[test]
fn an_operation_is_judged_by_its_status_and_the_applications() {
    // The operation, the application, seconds since it began, the verdict, and where to go.
    let table = [
        ("IN_PROGRESS", "UPDATING", 75, "Progressing: operationInProgress", "WaitForOperation 20"),
        ("IN_PROGRESS", "UPDATING", 600, "Progressing: operationInProgress", "WaitForOperation 20"),
        ("IN_PROGRESS", "UPDATING", 601, "Progressing: operationInProgress", "WaitForOperation 60"),
        ("IN_PROGRESS", "UPDATING", 1_799, "Progressing: operationInProgress", "WaitForOperation 60"),
        ("IN_PROGRESS", "UPDATING", 1_800, "Failing: operationTimedOut", "Decide 0"),
        ("FAILED", "READY", 75, "Failing: operationFailed", "Decide 0"),
        ("CANCELLED", "READY", 75, "Failing: operationCancelled", "Decide 0"),
        ("PAUSED", "UPDATING", 75, "Inconclusive: unknownStatus", "Decide 0"),
        ("IN_PROGRESS", "HIBERNATING", 75, "Inconclusive: unknownStatus", "Decide 0"),
        ("SUCCESSFUL", "RUNNING", 75, "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("SUCCESSFUL", "RUNNING", 9_999, "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("SUCCESSFUL", "UPDATING", 1_799, "Progressing: operationInProgress", "WaitForOperation 60"),
        ("SUCCESSFUL", "UPDATING", 1_800, "Failing: operationTimedOut", "Decide 0"),
        ("SUCCESSFUL", "MAINTENANCE", 75, "Progressing: operationInProgress", "WaitForOperation 20"),
        // A bounded job may be at its end already.
        ("SUCCESSFUL", "READY", 75, "Healthy: operationSuccessful", "CheckSubtasks 0"),
    ];
    for (operation, status, now, verdict, next) in table {
        let deployment = after_operation(updating(&json!({}), "RUNNING"), &operation_look(operation, status), now);
        assert_eq!(
            (judged(&deployment).as_str(), goes_on(&deployment).as_str()),
            (verdict, next),
            "{operation} {status}"
        );
        let is_watched = next == "CheckSubtasks 0";
        assert_eq!(deployment.job, is_watched.then(|| JobWatch::new(at(now))));
    }
}

#[test]
fn an_operation_without_an_id_is_judged_by_the_application() {
    let table = [
        ("RUNNING", "Healthy: operationSuccessful"),
        ("UPDATING", "Progressing: operationInProgress"),
        ("STARTING", "Progressing: operationInProgress"),
        ("HIBERNATING", "Inconclusive: unknownStatus"),
    ];
    for (status, verdict) in table {
        let look = OperationLook { operation: None, ..operation_look("SUCCESSFUL", status) };
        assert_eq!(judged(&after_operation(updating(&json!({}), "RUNNING"), &look, 75)), verdict);
    }
}

#[test]
fn what_an_operation_leaves_behind_depends_on_the_rung_and_on_what_was() {
    use Rung::{ForceStop, PutBack, RollBack, Start, StartBack, SystemRollback};
    let table: [(&str, &[Rung], &str, &str, &str); 16] = [
        ("READY", &[], "READY", "Healthy: operationSuccessful", "Decide 0"),
        // Somebody has started it since: its job is the change's.
        ("READY", &[], "RUNNING", "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("READY", &[Start], "RUNNING", "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("READY", &[SystemRollback], "READY", "Healthy: operationSuccessful", "Decide 0"),
        ("READY", &[SystemRollback], "ROLLED_BACK", "Healthy: operationSuccessful", "Decide 0"),
        ("RUNNING", &[SystemRollback], "RUNNING", "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("RUNNING", &[SystemRollback], "READY", "Failing: applicationUnexpected", "Decide 0"),
        ("RUNNING", &[RollBack], "RUNNING", "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("RUNNING", &[RollBack], "ROLLED_BACK", "Failing: applicationUnexpected", "Decide 0"),
        ("RUNNING", &[RollBack], "READY", "Failing: applicationUnexpected", "Decide 0"),
        ("RUNNING", &[ForceStop], "READY", "Healthy: operationSuccessful", "Decide 0"),
        ("RUNNING", &[ForceStop], "FORCE_STOPPING", "Progressing: operationInProgress", "WaitForOperation 20"),
        ("RUNNING", &[ForceStop], "RUNNING", "Progressing: operationInProgress", "WaitForOperation 20"),
        ("RUNNING", &[PutBack], "READY", "Healthy: operationSuccessful", "Decide 0"),
        ("RUNNING", &[StartBack], "RUNNING", "Healthy: operationSuccessful", "CheckSubtasks 0"),
        ("RUNNING", &[StartBack], "STARTING", "Progressing: operationInProgress", "WaitForOperation 20"),
    ];
    for (was, rungs, status, verdict, next) in table {
        let mut deployment = climbed(&json!({}), rungs);
        deployment.baseline.as_mut().unwrap().status = was.into();
        let deployment = after_operation(deployment, &operation_look("SUCCESSFUL", status), 75);
        assert_eq!(
            (judged(&deployment).as_str(), goes_on(&deployment).as_str()),
            (verdict, next),
            "{was} {rungs:?} {status}"
        );
    }
}

#[test]
fn what_cannot_be_read_of_an_operation_is_inconclusive() {
    let look = operation_look("SUCCESSFUL", "RUNNING");
    let cases = [
        (OperationLook { application: unreadable(), ..look.clone() }, "Inconclusive: evidenceUnreadable"),
        (OperationLook { application: Ok(None), ..look.clone() }, "Inconclusive: applicationDeleted"),
        (OperationLook { operation: Some(unreadable()), ..look }, "Inconclusive: evidenceUnreadable"),
    ];
    for (look, verdict) in cases {
        let deployment = after_operation(updating(&json!({}), "RUNNING"), &look, 9_999);
        assert_eq!((judged(&deployment).as_str(), goes_on(&deployment).as_str()), (verdict, "Decide 0"));
    }
}

#[test]
fn a_version_is_taken_from_our_own_operation_only() {
    // The version of the deployment, the operation's, and what it becomes.
    let table = [
        (7, Some(7), Some(8), 8),
        (8, Some(7), Some(8), 8),
        (9, Some(7), Some(8), 9),
        (7, None, Some(8), 7),
        (7, Some(7), None, 7),
    ];
    for (version, version_from, version_to, expected) in table {
        let mut deployment = updating(&json!({}), "RUNNING");
        deployment.version = version;
        let operation = Operation { version_from, version_to, ..operation("SUCCESSFUL") };
        let look = OperationLook { operation: Some(Ok(operation)), ..operation_look("SUCCESSFUL", "RUNNING") };
        assert_eq!(after_operation(deployment, &look, 75).version, expected);
    }
}

#[test]
fn what_is_shown_from_before_the_operation_says_nothing_of_its_end() {
    for status in ["RUNNING", "STARTING", "READY"] {
        let look =
            OperationLook { application: Ok(Some(application(7, status))), ..operation_look("SUCCESSFUL", status) };
        let deployment = after_operation(updating(&json!({}), "READY"), &look, 75);
        assert_eq!(judged(&deployment), "Inconclusive: versionStale", "{status}");
    }
}

#[test]
fn a_failure_names_the_services_own_rollback() {
    let answered = Operation { rollback_operation_id: Some("op-2".into()), ..operation("FAILED") };
    for (system_rollback, version) in
        [(Some(Operation { version_to: Some(9), ..operation("IN_PROGRESS") }), Some(9)), (None, None)]
    {
        let look = OperationLook {
            operation: Some(Ok(answered.clone())),
            system_rollback,
            ..operation_look("FAILED", "ROLLING_BACK")
        };
        let verdict = after_operation(updating(&json!({}), "RUNNING"), &look, 75).verdict.unwrap();
        assert_eq!(verdict.is, Judgement::Failing);
        assert_eq!(verdict.reasons[1], Reason::SystemRollbackBegan { operation_id: "op-2".into(), version });
    }
}

#[test]
fn no_loop_goes_on_past_the_deadline() {
    let late = 14_400;
    for (now, operation_next, job_next) in
        [(late - 1, "WaitForOperation 20", "WaitForSubtasks 15"), (late, "Decide 0", "Decide 0")]
    {
        let mut deployment = climbed(&json!({}), &[Rung::RollBack]);
        deployment.began.as_mut().unwrap().at = at(late - 60);
        deployment.job = Some(JobWatch::new(at(late - 60)));
        let after = after_operation(deployment.clone(), &operation_look("IN_PROGRESS", "ROLLING_BACK"), now);
        assert_eq!(goes_on(&after), operation_next);
        assert_eq!(goes_on(&after_look(deployment, &running_look(starting()), now)), job_next);
    }
}

#[test]
fn a_job_becomes_healthy_by_looks_over_the_settle_time() {
    // The times of the looks, the last verdict, and where to go; the settle time is 60 s.
    let table: [(&[i64], &str, &str); 6] = [
        (&[10], "Progressing: tasksRunning steadyFor", "WaitForSubtasks 60"),
        (&[10, 69], "Progressing: tasksRunning steadyFor", "WaitForSubtasks 1"),
        (&[10, 70], "Healthy: tasksRunning checkpoints", "Decide 0"),
        (&[10, 20, 30, 500], "Healthy: tasksRunning checkpoints", "Decide 0"),
        (&[500], "Progressing: tasksRunning steadyFor", "WaitForSubtasks 60"),
        (&[500, 500], "Progressing: tasksRunning steadyFor", "WaitForSubtasks 60"),
    ];
    for (looks, verdict, next) in table {
        let looks: Vec<_> = looks.iter().map(|&now| (now, 0)).collect();
        let deployment = after_looks(watched(&json!({})), &looks);
        assert_eq!((judged(&deployment).as_str(), goes_on(&deployment).as_str()), (verdict, next), "{looks:?}");
        let is_healthy = next == "Decide 0";
        assert_eq!(watch(&deployment).healthy_at, is_healthy.then(|| at(looks.last().unwrap().0)));
        assert_eq!(watch(&deployment).quiet_since, Some(at(looks[0].0)));
    }
}

#[test]
fn one_good_look_is_not_enough_however_short_the_settle_time() {
    let mut deployment = watched(&json!({}));
    deployment.policy.settle_seconds = 0;
    let deployment = after_looks(deployment, &[(10, 0)]);
    assert_eq!(judged(&deployment), "Progressing: tasksRunning steadyFor");
    assert_eq!(judged(&after_looks(deployment, &[(20, 0)])), "Healthy: tasksRunning checkpoints");
}

#[test]
fn a_job_is_judged_by_its_state_and_its_tasks() {
    let all = Tasks { total: 4, running: 4, ..Tasks::default() };
    let none = Tasks { total: 4, waiting: 4, ..Tasks::default() };
    let failed = Tasks { total: 4, running: 3, failed: 1, ..Tasks::default() };
    let table = [
        (
            in_state("RUNNING", Tasks { total: 4, running: 2, finished: 2, ..Tasks::default() }),
            "Progressing: tasksRunning steadyFor",
        ),
        (in_state("RUNNING", none), "Progressing: tasksNotRunning"),
        (in_state("RUNNING", failed), "Progressing: tasksNotRunning"),
        (in_state("RUNNING", Tasks::default()), "Progressing: tasksNotRunning"),
        (in_state("INITIALIZING", all), "Progressing: tasksNotRunning"),
        (in_state("CREATED", all), "Progressing: tasksNotRunning"),
        (in_state("FAILING", all), "Progressing: tasksNotRunning"),
        (in_state("CANCELLING", all), "Progressing: tasksNotRunning"),
        (in_state("RESTARTING", all), "Progressing: tasksNotRunning"),
        (in_state("SUSPENDED", all), "Progressing: tasksNotRunning"),
        (in_state("RECONCILING", all), "Progressing: tasksNotRunning"),
        (in_state("FAILED", none), "Failing: jobFailed"),
        (in_state("CANCELED", none), "Failing: jobFailed"),
        (in_state("FINISHED", none), "Healthy: jobFinished"),
        (in_state("DREAMING", all), "Inconclusive: unknownStatus"),
        (Job { restarts: None, ..job(0) }, "Inconclusive: evidenceUnreadable"),
    ];
    for (job, verdict) in table {
        let deployment = after_look(watched(&json!({})), &running_look(job.clone()), 10);
        assert_eq!(judged(&deployment), verdict, "{job:?}");
        assert_eq!(watch(&deployment).is_finished, verdict == "Healthy: jobFinished");
        assert_eq!(watch(&deployment).healthy_at, None);
    }
    let failure = Failure::read("java.lang.Error: x");
    let told = Job { failure: Some(failure), ..in_state("FAILED", none) };
    assert_eq!(judged(&after_look(watched(&json!({})), &running_look(told), 10)), "Failing: jobFailed firstFailure");
}

#[test]
fn looks_that_show_no_job_of_ours_say_so() {
    let running = running_look(job(0));
    let table = [
        (JobLook { application: unreadable(), ..running.clone() }, "Inconclusive: evidenceUnreadable"),
        (JobLook { application: Ok(None), ..running.clone() }, "Inconclusive: applicationDeleted"),
        (
            JobLook { application: Ok(Some(application(9, "RUNNING"))), ..running.clone() },
            "Inconclusive: versionChanged",
        ),
        (
            JobLook { application: Ok(Some(application(7, "RUNNING"))), ..running.clone() },
            "Inconclusive: versionChanged",
        ),
        (JobLook { job: None, ..running.clone() }, "Inconclusive: evidenceUnreadable"),
        (JobLook { job: Some(unreadable()), ..running.clone() }, "Inconclusive: evidenceUnreadable"),
        (JobLook { job: Some(Ok(None)), ..running }, "Progressing: noJob"),
    ];
    for (look, verdict) in table {
        let deployment = after_look(watched(&json!({})), &look, 10);
        assert_eq!(judged(&deployment), verdict, "{look:?}");
    }
    for status in statuses().iter().filter(|status| status.is_passing()) {
        let deployment = after_looks(watched(&json!({})), &[(10, 0), (70, 0)]);
        let deployment = after_look(deployment, &status_look(status.as_str()), 80);
        assert_eq!(judged(&deployment), "Progressing: applicationAtWork", "{status}");
        let watch = watch(&deployment);
        assert_eq!((watch.healthy_at, watch.steady_since, watch.good_looks), (None, None, 0));
    }
    assert_eq!(
        judged(&after_look(watched(&json!({})), &status_look("HIBERNATING"), 10)),
        "Inconclusive: unknownStatus"
    );
}

#[test]
fn restarts_are_tallied_once_each_and_a_fall_is_a_new_submission() {
    // The counter at each look, and the tally after the last.
    let table: [(&[u64], u64); 8] = [
        (&[0, 0, 0], 0),
        (&[1], 1),
        (&[1, 1, 1, 1], 1),
        (&[0, 1, 2], 2),
        (&[2, 0, 0], 2),
        (&[2, 1], 3),
        (&[2, 0, 1, 1], 3),
        (&[5, 3, 4], 9),
    ];
    for (counters, expected) in table {
        let looks: Vec<_> = (0_i64..).map(|look| look * 10).zip(counters.iter().copied()).collect();
        let deployment = after_looks(watched(&json!({ "toleratedRestarts": 100 })), &looks);
        assert_eq!(watch(&deployment).restarts, expected, "{counters:?}");
    }
    let deployment = after_looks(watched(&json!({})), &[(10, 2)]);
    let unread = after_look(deployment, &running_look(Job { restarts: None, ..job(0) }), 20);
    assert_eq!((watch(&unread).restarts, watch(&unread).counter), (2, 2), "an unread counter is no fall");
}

#[test]
fn more_restarts_than_tolerated_are_failing() {
    for (tolerated, restarts, verdict) in [
        (2, 2, "Progressing: tasksRunning steadyFor"),
        (2, 3, "Failing: restarts tasksNotRunning"),
        (0, 0, "Progressing: tasksRunning steadyFor"),
        (0, 1, "Failing: restarts tasksNotRunning"),
    ] {
        let deployment = after_looks(watched(&json!({ "toleratedRestarts": tolerated })), &[(10, restarts)]);
        assert_eq!(judged(&deployment), verdict, "{tolerated} {restarts}");
    }
}

#[test]
fn a_restart_begins_steadiness_and_quiet_time_again() {
    let deployment = after_looks(watched(&json!({})), &[(10, 0), (70, 0)]);
    assert_eq!((watch(&deployment).healthy_at, watch(&deployment).quiet_since), (Some(at(70)), Some(at(10))));
    let deployment = after_looks(deployment, &[(170, 1)]);
    assert_eq!(judged(&deployment), "Progressing: tasksRunning steadyFor");
    assert_eq!((watch(&deployment).healthy_at, watch(&deployment).quiet_since), (None, Some(at(170))));
    assert_eq!(watch(&deployment).settling_since, at(170), "time to settle is counted anew");
    let deployment = after_looks(deployment, &[(230, 1)]);
    assert_eq!((watch(&deployment).healthy_at, watch(&deployment).quiet_since), (Some(at(230)), Some(at(170))));
    assert_eq!(watch(&deployment).restarts_explained, 1);
}

/// A step that is run again goes by the time of its first run: what it sees may have begun since.
#[test]
fn a_job_is_not_steady_before_it_began() {
    let table = [(5, 10), (10, 10), (100, 100), (610, 610), (611, 10)];
    for (submitted_at, steady_since) in table {
        let mut deployment = watched(&json!({}));
        let job = Job { submitted_at: Some(at(submitted_at)), ..job(0) };
        judge_job(&mut deployment, &running_look(job), at(10));
        let watch = watch(&deployment);
        let expected = (Some(at(steady_since)), Some(at(steady_since)));
        assert_eq!((watch.steady_since, watch.quiet_since), expected, "submitted at {submitted_at}");
    }
}

#[test]
fn a_job_that_does_not_settle_in_time_is_failing() {
    let lacking = || Job { completed_checkpoints: Some(0), failed_checkpoints: Some(2), ..job(0) };
    let table = [
        (running_look(starting()), "Progressing: tasksNotRunning", "Failing: notSettled tasksNotRunning"),
        (status_look("MAINTENANCE"), "Progressing: applicationAtWork", "Failing: notSettled"),
        (JobLook { job: Some(Ok(None)), ..running_look(job(0)) }, "Progressing: noJob", "Failing: notSettled noJob"),
        (running_look(lacking()), "Progressing: tasksRunning steadyFor", "Failing: notSettled noCheckpointYet"),
    ];
    for (look, before, after) in table {
        assert_eq!(judged(&after_look(watched(&json!({})), &look, 1_799)), before);
        assert_eq!(judged(&after_look(watched(&json!({})), &look, 1_800)), after);
    }
}

#[test]
fn a_hiccup_late_in_a_long_bake_is_no_failure_to_settle() {
    let policy = json!({ "bakeSeconds": 3_600 });
    let hiccups = [
        (running_look(Job { restarts: Some(1), ..starting() }), "Progressing: tasksNotRunning"),
        (running_look(starting()), "Progressing: tasksNotRunning"),
        (status_look("MAINTENANCE"), "Progressing: applicationAtWork"),
        (JobLook { job: Some(Ok(None)), ..running_look(job(0)) }, "Progressing: noJob"),
        // Scaled: a new submission, whose first checkpoint is to come.
        (running_look(Job { completed_checkpoints: Some(0), ..job(0) }), "Progressing: tasksRunning steadyFor"),
    ];
    for (look, verdict) in hiccups {
        let baked = after_looks(watched(&policy), &[(10, 0), (70, 0)]);
        let deployment = after_look(baked, &look, 3_610);
        assert_eq!(judged(&deployment), verdict, "{look:?}");
        assert_eq!(watch(&deployment).healthy_at, None, "it has to become steady again");
        let late = after_look(deployment.clone(), &look, 3_610 + 1_799);
        assert!(judged(&late).starts_with("Progressing"), "{}", judged(&late));
        let too_late = after_look(deployment, &look, 3_610 + 1_800);
        assert!(judged(&too_late).starts_with("Failing: notSettled"), "{}", judged(&too_late));
    }
}

#[test]
fn a_checkpoint_is_asked_for_where_checkpoints_are_on() {
    let with = |completed| Job { completed_checkpoints: completed, ..job(0) };
    let table = [
        (true, true, Some(0), "Progressing: noCheckpointYet tasksRunning"),
        (true, true, Some(1), "Healthy: tasksRunning checkpoints"),
        (true, true, None, "Inconclusive: evidenceUnreadable"),
        (true, false, Some(0), "Healthy: tasksRunning checkpoints"),
        (false, true, Some(0), "Healthy: tasksRunning checkpoints"),
        (false, true, None, "Healthy: tasksRunning"),
    ];
    for (requires, is_enabled, completed, verdict) in table {
        let mut look = running_look(with(completed));
        look.application.as_mut().unwrap().as_mut().unwrap().checkpointing_enabled = is_enabled;
        let deployment = after_look(watched(&json!({ "requireCheckpoint": requires })), &look, 10);
        let deployment = after_look(deployment, &look, 70);
        assert_eq!(judged(&deployment), verdict, "{requires} {is_enabled} {completed:?}");
        if verdict.starts_with("Progressing") {
            assert_eq!(goes_on(&deployment), "WaitForSubtasks 30");
        }
    }
    let late = after_look(watched(&json!({})), &running_look(with(None)), 9_000);
    let late = after_look(late, &running_look(with(None)), 9_060);
    assert_eq!(judged(&late), "Inconclusive: evidenceUnreadable", "a metric that is missing is not a bad deploy");
}

#[test]
fn looks_are_close_while_something_is_wrong_and_rare_while_state_is_restored() {
    let restarting = in_state("RESTARTING", Tasks { total: 4, waiting: 4, ..Tasks::default() });
    let failed = in_state("RUNNING", Tasks { total: 4, running: 3, failed: 1, ..Tasks::default() });
    let table = [
        (starting(), 0, "WaitForSubtasks 15"),
        (starting(), 159, "WaitForSubtasks 15"),
        (starting(), 300, "WaitForSubtasks 30"),
        (starting(), 600, "WaitForSubtasks 60"),
        (starting(), 900, "WaitForSubtasks 60"),
        (restarting, 900, "WaitForSubtasks 10"),
        (failed, 900, "WaitForSubtasks 10"),
        (Job { restarts: Some(1), ..starting() }, 900, "WaitForSubtasks 10"),
    ];
    for (job, now, next) in table {
        let deployment = after_look(watched(&json!({})), &running_look(job.clone()), now);
        assert_eq!(goes_on(&deployment), next, "{job:?} {now}");
    }
}

#[test]
fn a_stopped_application_is_told_by_its_newest_operation() {
    let table = [
        (None, "Inconclusive: evidenceUnreadable"),
        (Some(unreadable()), "Inconclusive: evidenceUnreadable"),
        (Some(Ok(None)), "Inconclusive: evidenceUnreadable"),
        (Some(Ok(Some(newest("StopApplication", "SUCCESSFUL")))), "Inconclusive: stoppedBySomeone"),
        (Some(Ok(Some(newest("StopApplication", "IN_PROGRESS")))), "Inconclusive: stoppedBySomeone"),
        (Some(Ok(Some(newest("UpdateApplication", "SUCCESSFUL")))), "Healthy: jobFinished"),
        (Some(Ok(Some(newest("StartApplication", "SUCCESSFUL")))), "Healthy: jobFinished"),
        (Some(Ok(Some(newest("UpdateApplication", "FAILED")))), "Failing: operationFailed"),
        (Some(Ok(Some(newest("UpdateApplication", "CANCELLED")))), "Failing: operationCancelled"),
        (Some(Ok(Some(newest("Maintenance", "IN_PROGRESS")))), "Inconclusive: operationInProgress"),
        (Some(Ok(Some(newest("Maintenance", "PAUSED")))), "Inconclusive: unknownStatus"),
    ];
    for (newest_operation, verdict) in table {
        for status in ["READY", "ROLLED_BACK"] {
            let look = JobLook { newest_operation: newest_operation.clone(), ..status_look(status) };
            let mut deployment = after_look(watched(&json!({})), &look, 10);
            if verdict == "Healthy: jobFinished" {
                // It may have been a look at the time before the start.
                for now in [10, 69] {
                    deployment = after_look(deployment, &look, now);
                    assert_eq!(judged(&deployment), "Progressing: applicationAtWork");
                    assert_eq!(goes_on(&deployment), "WaitForSubtasks 15");
                }
                deployment = after_look(deployment, &look, 70);
            }
            assert_eq!((judged(&deployment).as_str(), goes_on(&deployment).as_str()), (verdict, "Decide 0"));
            assert_eq!(watch(&deployment).is_finished, verdict == "Healthy: jobFinished", "{look:?}");
        }
    }
    let started =
        JobLook { newest_operation: Some(Ok(Some(newest("StartApplication", "SUCCESSFUL")))), ..status_look("READY") };
    let deployment = after_look(watched(&json!({})), &started, 10);
    let deployment = after_look(deployment, &running_look(job(0)), 40);
    let deployment = after_look(deployment, &started, 75);
    assert_eq!(judged(&deployment), "Progressing: applicationAtWork", "it stood still, ran, and stands still again");
    let mut failing = watched(&json!({}));
    failing.conclude(Verdict::failing(Reason::NoJob), at(5));
    let look =
        JobLook { newest_operation: Some(Ok(Some(newest("UpdateApplication", "SUCCESSFUL")))), ..status_look("READY") };
    let failing = after_look(failing, &look, 10);
    assert_eq!(judged(&failing), "Failing: applicationUnexpected noJob", "a failing job has not finished");
}

#[test]
fn a_watch_begins_where_there_was_none() {
    let deployment = after_look(due(&json!({}), "RUNNING"), &status_look("UPDATING"), 10);
    assert_eq!(judged(&deployment), "Inconclusive: versionChanged");
    assert_eq!(deployment.job, Some(JobWatch::new(at(10))));
}

/// A job that was submitted so many seconds after the beginning, and has restarted so often since.
fn submitted(submitted_at: i64, restarts: u64) -> Job {
    Job { submitted_at: Some(at(submitted_at)), ..job(restarts) }
}

#[test]
fn a_job_that_the_operation_did_not_submit_anew_brings_no_restarts_of_the_change() {
    // When the job was submitted, its looks (time, restarts), and the restarts that count.
    type Looks = &'static [(i64, u64)];
    let table: [(i64, Looks, u64); 4] =
        [(-3_600, &[(100, 5)], 0), (-3_600, &[(100, 5), (160, 7)], 2), (-60, &[(100, 2)], 2), (80, &[(100, 1)], 1)];
    for (submitted_at, looks, expected) in table {
        let mut deployment = watched(&json!({}));
        deployment.began = Some(crate::deployment::Began { operation_id: None, at: at(0) });
        for &(now, restarts) in looks {
            judge_job(&mut deployment, &running_look(submitted(submitted_at, restarts)), at(now));
        }
        assert_eq!(watch(&deployment).restarts, expected, "submitted at {submitted_at}, looks {looks:?}");
    }
}

#[test]
fn a_new_submission_has_to_become_steady_itself_and_is_no_restart() {
    let mut deployment = watched(&json!({}));
    for (now, look) in [(0, submitted(0, 0)), (60, submitted(0, 0))] {
        judge_job(&mut deployment, &running_look(look), at(now));
    }
    assert_eq!(watch(&deployment).healthy_at, Some(at(60)));
    assert!(watch(&deployment).is_one_submission());
    judge_job(&mut deployment, &running_look(submitted(90, 0)), at(100));
    assert_eq!((watch(&deployment).healthy_at, watch(&deployment).restarts), (None, 0));
    assert_eq!(watch(&deployment).quiet_since, Some(at(100)));
    assert!(!watch(&deployment).is_one_submission(), "Flink's count does not cover all the time any more");
    judge_job(&mut deployment, &running_look(submitted(150, 0)), at(160));
    assert_eq!(watch(&deployment).resubmissions, 2);
}
