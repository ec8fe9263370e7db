//! The simulated data plane as the control plane and a client of Flink's REST API see it, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::data_plane::CodeObject;

const APPLICATION: &str = "orders";

fn spec(behaviour: &Behaviour) -> JobSpec {
    JobSpec {
        application: APPLICATION.to_owned(),
        version: 1,
        runtime: "FLINK-1_20".to_owned(),
        code: CodeObject {
            bucket: "code".to_owned(),
            key: "orders.jar".to_owned(),
            object_version: None,
            content: behaviour.to_content(),
        },
        parallelism: 2,
        checkpoint_interval: Some(Duration::from_mins(1)),
        properties: BTreeMap::new(),
        restore_from: None,
        allow_non_restored_state: false,
    }
}

fn plane() -> SimulatedDataPlane {
    SimulatedDataPlane::new(Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap(), 1), 7)
}

async fn started(behaviour: &Behaviour) -> SimulatedDataPlane {
    let plane = plane();
    plane.start(&spec(behaviour)).await.unwrap();
    plane
}

async fn get(plane: &SimulatedDataPlane, path: &str) -> Value {
    let response = plane.rest(APPLICATION, path).await;
    assert_eq!(response.status, 200, "{path}: {response:?}");
    serde_json::from_slice(&response.body).unwrap()
}

async fn job(plane: &SimulatedDataPlane) -> String {
    get(plane, "/jobs").await["jobs"][0]["id"].as_str().unwrap().to_owned()
}

async fn metrics(plane: &SimulatedDataPlane) -> JobMetrics {
    plane.metrics(APPLICATION).await.unwrap()
}

async fn wait(plane: &SimulatedDataPlane, seconds: u64) {
    plane.clock.sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_healthy_job_runs_and_completes_checkpoints() {
    let plane = started(&Behaviour::healthy()).await;
    wait(&plane, 200).await;
    let job = job(&plane).await;
    let details = get(&plane, &format!("/jobs/{job}")).await;
    assert_eq!(details["state"], "RUNNING");
    for vertex in details["vertices"].as_array().unwrap() {
        assert_eq!(vertex["tasks"]["RUNNING"], 2);
    }
    let checkpoints = get(&plane, &format!("/jobs/{job}/checkpoints")).await;
    assert_eq!(checkpoints["counts"]["completed"], 3);
    assert_eq!(checkpoints["counts"]["failed"], 0);
    assert_eq!(checkpoints["latest"]["completed"]["id"], 3);
    assert_eq!(metrics(&plane).await.restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_open_fails_never_runs_all_its_tasks_and_counts_a_restart_per_delay() {
    let looping = Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 });
    let plane = started(&looping).await;
    for _ in 0..6000 {
        plane.clock.sleep(Duration::from_millis(20)).await;
        let Some(overview) = get_if_up(&plane, "/jobs/overview").await else { continue };
        let tasks = &overview["jobs"][0]["tasks"];
        assert!(tasks["running"].as_u64().unwrap() < 4, "{tasks}");
    }
    // 120 s: a failure about a second after the submission, then one every 10.05 s.
    assert_eq!(metrics(&plane).await.restarts, 12);
}

async fn get_if_up(plane: &SimulatedDataPlane, path: &str) -> Option<Value> {
    let response = plane.rest(APPLICATION, path).await;
    (response.status == 200).then(|| serde_json::from_slice(&response.body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_a_number_of_times_is_healthy_afterwards() {
    let behaviour = Behaviour::from(JobFault::FailsAfter { seconds: 30, times: Some(2) })
        .restarting(RestartDelay::Fixed { seconds: 5 });
    let plane = started(&behaviour).await;
    wait(&plane, 3600).await;
    let metrics = metrics(&plane).await;
    assert_eq!((metrics.restarts, metrics.downtime_ms), (2, 0));
    assert!(metrics.uptime_ms > 3_500_000, "{metrics:?}");
    assert_eq!(metrics.completed_checkpoints, 58);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_later_looks_healthy_first_and_loops_then() {
    let behaviour =
        Behaviour::from(JobFault::FailsLater { seconds: 240 }).restarting(RestartDelay::Fixed { seconds: 10 });
    let plane = started(&behaviour).await;
    wait(&plane, 235).await;
    assert_eq!(metrics(&plane).await.restarts, 0);
    wait(&plane, 65).await;
    assert_eq!(metrics(&plane).await.restarts, 6);
}

#[tokio::test(start_paused = true)]
async fn the_exponential_delay_restarts_as_often_as_it_was_counted_on_real_flink() {
    // facts/flink.md: in 15 minutes 16 restarts of a job that dies every 30 s, nine of one that dies every 90 s.
    for (seconds, restarts) in [(30, 16), (90, 9)] {
        let plane = started(&Behaviour::from(JobFault::FailsAfter { seconds, times: None })).await;
        wait(&plane, 900).await;
        assert_eq!(metrics(&plane).await.restarts, restarts, "dies every {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_restore_initializes_and_fails_checkpoints_but_does_not_restart() {
    let plane = started(&Behaviour::from(JobFault::SlowRestore { seconds: 900 })).await;
    wait(&plane, 890).await;
    let job = job(&plane).await;
    let details = get(&plane, &format!("/jobs/{job}")).await;
    assert_eq!(details["state"], "RUNNING");
    assert_eq!(details["vertices"][0]["tasks"]["INITIALIZING"], 2);
    assert_eq!(details["vertices"][1]["tasks"]["RUNNING"], 2);
    let checkpoints = get(&plane, &format!("/jobs/{job}/checkpoints")).await;
    assert_eq!(checkpoints["counts"]["failed"], 14);
    // Such checkpoints fail before they get an id: they are counted and appear nowhere else.
    assert_eq!((&checkpoints["latest"]["failed"], &checkpoints["history"]), (&Value::Null, &serde_json::json!([])));
    wait(&plane, 100).await;
    let after = metrics(&plane).await;
    assert_eq!((after.restarts, after.failed_checkpoints, after.completed_checkpoints), (0, 15, 1));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_job_finishes_and_stays_readable() {
    let plane = started(&Behaviour::from(JobFault::Bounded { seconds: 60 })).await;
    wait(&plane, 50).await;
    assert_eq!(plane.job_state(APPLICATION).await, Some(JobState::Active));
    wait(&plane, 3600).await;
    assert_eq!(plane.job_state(APPLICATION).await, Some(JobState::Finished));
    assert_eq!(get(&plane, "/jobs").await["jobs"][0]["status"], "FINISHED");
    assert_eq!(metrics(&plane).await.downtime_ms, -1);
}

#[tokio::test(start_paused = true)]
async fn without_a_restart_strategy_the_first_failure_is_the_end() {
    let behaviour = Behaviour::from(JobFault::FailsAfter { seconds: 3, times: None }).restarting(RestartDelay::None);
    let plane = started(&behaviour).await;
    wait(&plane, 60).await;
    assert_eq!(plane.job_state(APPLICATION).await, Some(JobState::Failed));
    assert_eq!(metrics(&plane).await.restarts, 0);
    let job = job(&plane).await;
    let exceptions = get(&plane, &format!("/jobs/{job}/exceptions")).await;
    let entry = &exceptions["exceptionHistory"]["entries"][0];
    assert_eq!(entry["exceptionName"], "org.apache.flink.runtime.JobException");
    assert_eq!(entry["concurrentExceptions"][0]["exceptionName"], "java.lang.RuntimeException");
}

#[tokio::test(start_paused = true)]
async fn starts_that_flink_refuses_leave_no_job() {
    for (fault, text) in [
        (JobFault::MainThrows, "The main method caused an error"),
        (JobFault::NoExecute, "No jobs included in application"),
        (JobFault::MissingMainClass, "Neither a 'Main-Class'"),
        (JobFault::CorruptJar, "zip END header not found"),
    ] {
        let plane = plane();
        let error = plane.start(&spec(&fault.into())).await.unwrap_err();
        assert!(error.0.contains(text), "{error:?}");
        assert_eq!(plane.job_state(APPLICATION).await, None);
        assert_eq!(plane.metrics(APPLICATION).await, None);
        assert_eq!(plane.rest(APPLICATION, "/jobs").await.status, 503);
        assert_eq!(plane.submissions(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_tells_lineage_and_records() {
    let plane = started(&Behaviour::healthy()).await;
    wait(&plane, 100).await;
    let first = plane.stop_with_snapshot(APPLICATION).await.unwrap();
    assert_eq!(plane.job_state(APPLICATION).await, None);
    let first_snapshot = Snapshot::of_handle(&first).unwrap();
    assert_eq!((first_snapshot.version, first_snapshot.sequence), (1, 1));
    assert_eq!(first_snapshot.records, 98_790, "100 s less 1.21 s to get all tasks running, 1,000 records a second");

    let second = JobSpec { version: 2, restore_from: Some(first), ..spec(&Behaviour::healthy()) };
    plane.start(&second).await.unwrap();
    wait(&plane, 10).await;
    let second = Snapshot::of_handle(&plane.snapshot(APPLICATION).await.unwrap()).unwrap();
    assert_eq!(second.lineage.iter().map(|from| from.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(second.lineage[0].records, first_snapshot.records);
    assert_eq!(second.lineage.iter().map(|from| from.records).sum::<u64>(), second.records);
    assert!(second.checkpoint_id > first_snapshot.checkpoint_id);
    let submissions = plane.submissions();
    assert_eq!(submissions[0].restored_from, None);
    assert_eq!(submissions[1].restored_from.as_ref(), Some(&first_snapshot));
    assert!(submissions[0].records_at_end >= Some(first_snapshot.records));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_back_to_the_newest_checkpoint() {
    let behaviour = Behaviour::from(JobFault::FailsAfter { seconds: 90, times: Some(1) })
        .restarting(RestartDelay::Fixed { seconds: 10 });
    let plane = started(&behaviour).await;
    wait(&plane, 110).await;
    let job = job(&plane).await;
    let checkpoints = get(&plane, &format!("/jobs/{job}/checkpoints")).await;
    assert_eq!(checkpoints["counts"]["restored"], 1);
    assert_eq!(checkpoints["latest"]["restored"]["id"], 1);
    let records = Snapshot::of_handle(&plane.snapshot(APPLICATION).await.unwrap()).unwrap().records;
    // The 30 s between the checkpoint and the failure are processed again, only from the restart on.
    assert!((60_000..75_000).contains(&records), "{records}");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_leaves_the_job_running() {
    let plane = started(&JobFault::SnapshotFails.into()).await;
    wait(&plane, 60).await;
    for stop in [false, true] {
        let taken = if stop { plane.stop_with_snapshot(APPLICATION).await } else { plane.snapshot(APPLICATION).await };
        assert!(taken.unwrap_err().0.contains("IO-problem detected"));
        assert_eq!(plane.job_state(APPLICATION).await, Some(JobState::Active));
    }
    assert_eq!(metrics(&plane).await.restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_snapshot_takes_its_time_and_shows_as_in_progress() {
    let plane = Arc::new(started(&JobFault::SlowSnapshot { seconds: 120 }.into()).await);
    wait(&plane, 10).await;
    let begun = plane.clock.now();
    let snapshot = tokio::spawn({
        let plane = Arc::clone(&plane);
        async move { plane.snapshot(APPLICATION).await }
    });
    wait(&plane, 30).await;
    let job = job(&plane).await;
    let checkpoints = get(&plane, &format!("/jobs/{job}/checkpoints")).await;
    assert_eq!(checkpoints["counts"]["in_progress"], 1);
    assert_eq!(checkpoints["history"][0]["checkpoint_type"], "SAVEPOINT");
    snapshot.await.unwrap().unwrap();
    assert_eq!(plane.clock.now().duration_since(begun).as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn no_snapshot_of_a_job_that_does_not_run() {
    let plane = started(&JobFault::OpenFails.into()).await;
    wait(&plane, 30).await;
    let error = plane.snapshot(APPLICATION).await.unwrap_err();
    assert!(error.0.contains("Not all required tasks are currently running"), "{error:?}");
    plane.cancel(APPLICATION).await;
    assert!(plane.snapshot(APPLICATION).await.unwrap_err().0.contains("Could not find Flink job"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_during_a_slow_snapshot_fails_it() {
    let behaviour = Behaviour::from(JobFault::SlowSnapshot { seconds: 60 })
        .with(JobFault::FailsAfter { seconds: 30, times: Some(1) });
    let plane = started(&behaviour).await;
    wait(&plane, 10).await;
    let error = plane.snapshot(APPLICATION).await.unwrap_err();
    assert!(error.0.contains("suspending"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn state_decides_whether_a_changed_job_starts() {
    let plane = started(&Behaviour::healthy()).await;
    wait(&plane, 10).await;
    let snapshot = plane.stop_with_snapshot(APPLICATION).await.unwrap();

    let removed = JobSpec { restore_from: Some(Arc::clone(&snapshot)), ..spec(&JobFault::RemovedUid.into()) };
    assert!(plane.start(&removed).await.unwrap_err().0.contains("--allowNonRestoredState"));
    plane.start(&JobSpec { allow_non_restored_state: true, ..removed.clone() }).await.unwrap();
    plane.start(&JobSpec { restore_from: None, ..removed.clone() }).await.unwrap();
    wait(&plane, 10).await;
    let own = plane.stop_with_snapshot(APPLICATION).await.unwrap();
    plane.start(&JobSpec { restore_from: Some(own), ..removed }).await.unwrap();

    let incompatible = spec(&JobFault::IncompatibleState.into());
    plane.start(&incompatible).await.unwrap();
    wait(&plane, 60).await;
    assert_eq!(metrics(&plane).await.restarts, 0, "without state there is nothing to be incompatible with");
    let own = plane.stop_with_snapshot(APPLICATION).await.unwrap();
    plane.start(&JobSpec { restore_from: Some(own), ..incompatible.clone() }).await.unwrap();
    wait(&plane, 60).await;
    assert_eq!(metrics(&plane).await.restarts, 0, "the state is its own");
    plane.start(&JobSpec { restore_from: Some(Arc::clone(&snapshot)), ..incompatible }).await.unwrap();
    wait(&plane, 60).await;
    assert!(metrics(&plane).await.restarts >= 5);

    plane.discard_snapshot(&snapshot).await;
    let gone = JobSpec { restore_from: Some(snapshot), ..spec(&Behaviour::healthy()) };
    assert!(plane.start(&gone).await.unwrap_err().0.contains("Cannot find checkpoint or savepoint"));
    let foreign = JobSpec { restore_from: Some("file:/elsewhere".into()), ..gone };
    assert!(plane.start(&foreign).await.unwrap_err().0.contains("Cannot find checkpoint or savepoint"));
}

#[tokio::test(start_paused = true)]
async fn checkpoints_that_fail_from_some_time_on_are_counted_and_the_job_runs_on() {
    let plane = started(&JobFault::FailingCheckpoints { from_seconds: 300 }.into()).await;
    wait(&plane, 3600).await;
    let after = metrics(&plane).await;
    assert_eq!((after.completed_checkpoints, after.failed_checkpoints, after.restarts), (4, 55, 0));
    let job = job(&plane).await;
    let checkpoints = get(&plane, &format!("/jobs/{job}/checkpoints")).await;
    assert_eq!(checkpoints["latest"]["completed"]["id"], 4);
    assert_eq!(checkpoints["latest"]["failed"]["id"], 59);
    assert_eq!(checkpoints["history"].as_array().unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_lost_task_manager_costs_one_restart() {
    let plane = started(&Behaviour::healthy()).await;
    wait(&plane, 100).await;
    plane.lose_task_manager(APPLICATION).await;
    let job = job(&plane).await;
    assert_eq!(get(&plane, &format!("/jobs/{job}/status")).await["status"], "RESTARTING");
    let exceptions = get(&plane, &format!("/jobs/{job}/exceptions")).await;
    assert_eq!(
        exceptions["exceptionHistory"]["entries"][0]["exceptionName"],
        "org.apache.flink.runtime.jobmaster.JobMasterException"
    );
    wait(&plane, 600).await;
    assert_eq!(metrics(&plane).await.restarts, 1);
    let details = get(&plane, &format!("/jobs/{job}")).await;
    assert_eq!(details["vertices"][0]["tasks"]["RUNNING"], 2);
}

#[tokio::test(start_paused = true)]
async fn years_pass_at_once() {
    let hiccup = Behaviour::from(JobFault::FailsAfter { seconds: 40, times: None })
        .restarting(RestartDelay::Fixed { seconds: 10 });
    for (behaviour, restarts) in [(Behaviour::healthy(), 0..=0), (hiccup, 620_000..=640_000)] {
        let plane = started(&behaviour).await;
        wait(&plane, 365 * 24 * 3600).await;
        assert!(restarts.contains(&metrics(&plane).await.restarts));
    }
}

#[tokio::test(start_paused = true)]
async fn details_are_cached_for_three_seconds_and_the_rest_is_live() {
    let behaviour = Behaviour::from(JobFault::FailsAfter { seconds: 30, times: None });
    let plane = started(&behaviour).await;
    wait(&plane, 30).await;
    let job = job(&plane).await;
    let details = format!("/jobs/{job}");
    assert_eq!(get(&plane, &details).await["state"], "RUNNING");
    wait(&plane, 1).await;
    assert_eq!(get(&plane, &details).await["state"], "RUNNING");
    plane.clock.sleep(Duration::from_millis(500)).await;
    assert_eq!(get(&plane, &format!("{details}/status")).await["status"], "RESTARTING");
    assert_eq!(get(&plane, &details).await["state"], "RUNNING", "taken from the cache");
    wait(&plane, 2).await;
    assert_eq!(metrics(&plane).await.restarts, 1);
    assert_eq!(get(&plane, &details).await["state"], "RUNNING", "a restart of a second was never seen");
}

#[tokio::test(start_paused = true)]
async fn metrics_come_with_the_second_request_and_are_as_old_as_the_fetch() {
    let plane = started(&JobFault::OpenFails.into()).await;
    wait(&plane, 1).await;
    let job = job(&plane).await;
    let path = format!("/jobs/{job}/metrics?get=fullRestarts,numRestarts");
    assert_eq!(get(&plane, &path).await, serde_json::json!([]));
    plane.clock.sleep(Duration::from_millis(100)).await;
    let first = get(&plane, &path).await;
    assert_eq!(first.as_array().unwrap().len(), 2);
    wait(&plane, 9).await;
    assert_eq!(get(&plane, &path).await, first, "answered from the fetch");
    wait(&plane, 2).await;
    assert_eq!(get(&plane, &path).await, first, "this request asks for the next fetch");
    wait(&plane, 1).await;
    assert_ne!(get(&plane, &path).await, first);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_answered_as_flink_does() {
    let plane = started(&Behaviour::healthy()).await;
    assert_eq!(plane.rest(APPLICATION, "/jobs").await.status, 503, "no leader yet");
    wait(&plane, 1).await;
    for (path, status, text) in [
        ("/jobs/00000000000000000000000000000000", 404, "NotFoundException"),
        ("/jobs/00000000000000000000000000000000/checkpoints", 404, "NotFoundException"),
        ("/jobs/nonsense", 400, "Cannot resolve path parameter"),
        ("/nowhere", 404, "Not found: /nowhere"),
    ] {
        let response = plane.rest(APPLICATION, path).await;
        assert_eq!(response.status, status, "{path}");
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert!(body["errors"][0].as_str().unwrap().contains(text), "{body}");
    }
    assert_eq!(plane.rest("another", "/jobs").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_answers() {
    let mut answers = Vec::new();
    for seed in [1, 1, 2] {
        let plane = SimulatedDataPlane::new(Clock::starting_at(Timestamp::UNIX_EPOCH, 1), seed);
        plane.start(&spec(&JobFault::OpenFails.into())).await.unwrap();
        wait(&plane, 100).await;
        let job = job(&plane).await;
        answers.push((job.clone(), get(&plane, &format!("/jobs/{job}/exceptions")).await));
    }
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0].0, answers[2].0);
}

#[tokio::test(start_paused = true)]
async fn json_that_is_no_behaviour_is_refused_before_anything_runs() {
    let plane = plane();
    let mut spec = spec(&Behaviour::healthy());
    spec.code.content = r#"{"behaviour": "healthy"}"#.into();
    assert!(plane.prepare(&spec).await.unwrap_err().0.contains("behaviour"));
    assert!(plane.start(&spec).await.is_err());
    spec.code.content = "PK".into();
    plane.prepare(&spec).await.unwrap();
    plane.start(&spec).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_changed_property_makes_the_same_code_behave_in_another_way() {
    let plane = plane();
    let mut spec = spec(&Behaviour::healthy());
    let looping = Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 });
    let text = String::from_utf8(looping.to_content().to_vec()).unwrap();
    spec.properties.entry(PROPERTY_GROUP.to_owned()).or_default().insert(PROPERTY.to_owned(), text);
    plane.start(&spec).await.unwrap();
    wait(&plane, 60).await;
    assert_eq!(metrics(&plane).await.restarts, 6);
    spec.properties.entry(PROPERTY_GROUP.to_owned()).or_default().insert(PROPERTY.to_owned(), "open_fails".to_owned());
    assert!(plane.prepare(&spec).await.unwrap_err().0.contains("no JSON object"));
}

#[tokio::test(start_paused = true)]
async fn two_snapshots_at_once_both_complete() {
    let plane = Arc::new(started(&JobFault::SlowSnapshot { seconds: 60 }.into()).await);
    wait(&plane, 10).await;
    let first = tokio::spawn({
        let plane = Arc::clone(&plane);
        async move { plane.snapshot(APPLICATION).await }
    });
    wait(&plane, 20).await;
    let second = Snapshot::of_handle(&plane.stop_with_snapshot(APPLICATION).await.unwrap()).unwrap();
    let first = Snapshot::of_handle(&first.await.unwrap().unwrap()).unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(second.records - first.records, 20_000);
    assert!(second.checkpoint_id > first.checkpoint_id);
}
