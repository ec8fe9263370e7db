//! Runs of snapshots by the shipped definitions and handlers, in virtual time: each reason to skip, each way to fail with
//! its likely cause, repeated events, quotas, throttling, and a thousand applications in one run.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use emulator::record::Event;
use emulator::simulated::{Behaviour, JobFault};
use emulator::sinks::Content;
use emulator::{Effect, Fault, Loss, Occurrences, PlantedSnapshot};
use jiff::{SignedDuration, Timestamp};
use lifecycle::snapshots::{RunOutcome, SnapshotOutcome, SnapshotRequest};
use lifecycle::turn::Claim;
use scenarios::snapshot_scenarios::{LostAnswers, SnapshotApp, SnapshotsRun, calls_since};
use scenarios::world::{BUCKET, MACHINE, OPERATOR, TURNS, World, noon};
use serde_json::{Value, json};
use turns::TurnTable;

/// A world with these applications.
async fn world_of(apps: &[SnapshotApp]) -> World {
    let world = World::new(1);
    world.create_all(apps).await.unwrap();
    world
}

/// A world with one healthy application, `orders`.
async fn world() -> World {
    world_of(&[SnapshotApp::new("orders")]).await
}

fn orders() -> Value {
    json!({ "application": "orders", "scheduledAt": noon() })
}

const SNAPSHOT: &str = "scheduled-20260102T120000Z";

/// The outcome of the one application and the codes of its reasons, and the words.
fn one(run: &SnapshotsRun) -> (SnapshotOutcome, Vec<String>, String) {
    let results = run.results().unwrap();
    let [result] = results.values().collect::<Vec<_>>()[..] else { panic!("{results:?}") };
    let code = |reason| serde_json::to_value(reason).unwrap()["code"].as_str().unwrap().to_owned();
    (result.outcome, result.because.iter().map(code).collect(), result.why.clone())
}

fn is_skipped(run: &SnapshotsRun, code: &str) {
    let (outcome, codes, why) = one(run);
    assert_eq!((outcome, codes), (SnapshotOutcome::Skipped, vec![code.to_owned()]), "{why}");
    let summary = run.summary().unwrap();
    assert_eq!((summary.outcome, summary.success), (RunOutcome::SnapshotsTaken, true));
    let [skipped] = &summary.skipped[..] else { panic!("{summary:?}") };
    assert_eq!((skipped.code.as_str(), &skipped.why), (code, &why));
}

/// The run fails with these codes; people are told.
fn has_failed(world: &World, run: &SnapshotsRun, codes: &[&str]) {
    let (outcome, told, why) = one(run);
    assert_eq!(
        (outcome, told.iter().map(String::as_str).collect::<Vec<_>>()),
        (SnapshotOutcome::Failed, codes.to_vec()),
        "{why}"
    );
    assert_eq!(run.result.error.as_deref(), Some("SnapshotsFailed"));
    let summary = run.summary().unwrap();
    assert_eq!((summary.failed.len(), summary.failed[0].application.as_str()), (1, "orders"));
    let letters = letters(world);
    assert!(letters.len() == 1 && letters[0].contains("orders: "), "{letters:?}");
}

/// What people were written.
fn letters(world: &World) -> Vec<String> {
    let letter = |content| match content {
        Content::Message { subject, message, .. } => Some(format!("{} {message}", subject.unwrap_or_default())),
        Content::Event { .. } => None,
    };
    world.emulator.sinks().published().into_iter().filter_map(|published| letter(published.content)).collect()
}

/// What machines were told: kind and detail.
fn events(world: &World) -> Vec<(String, Value)> {
    let event = |content| match content {
        Content::Message { .. } => None,
        Content::Event { detail_type, detail, .. } => Some((detail_type, detail)),
    };
    world.emulator.sinks().published().into_iter().filter_map(|published| event(published.content)).collect()
}

/// Names of the snapshots of an application, and their status.
async fn snapshots(world: &World, application: &str) -> BTreeMap<String, String> {
    let body = json!({ "ApplicationName": application, "Limit": 50 });
    let listed = world.call(OPERATOR, "ListApplicationSnapshots", &body).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let summaries = listed["SnapshotSummaries"].as_array().unwrap();
    summaries.iter().map(|it| (text(&it["SnapshotName"]), text(&it["SnapshotStatus"]))).collect()
}

fn calls(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_taken_named_by_the_schedule_and_machines_are_told() {
    let world = world().await;
    let since = world.emulator.record().len();
    let run = world.take_snapshots("nightly-1", &orders()).await.unwrap();
    let (outcome, codes, why) = one(&run);
    assert_eq!((outcome, codes), (SnapshotOutcome::Taken, vec!["ready".to_owned()]), "{why}");
    assert_eq!(snapshots(&world, "orders").await, BTreeMap::from([(SNAPSHOT.to_owned(), "READY".to_owned())]));
    let summary = run.summary().unwrap();
    assert_eq!((summary.outcome, summary.success), (RunOutcome::SnapshotsTaken, true));
    assert_eq!(summary.counts, BTreeMap::from([(SnapshotOutcome::Taken, 1)]));
    assert_eq!((summary.execution.as_str(), summary.snapshot.as_deref()), ("nightly-1", Some(SNAPSHOT)));
    let expected = calls(&[
        ("dynamodb:GetItem", 2),
        ("events:PutEvents", 1),
        ("kinesisanalyticsv2:CreateApplicationSnapshot", 1),
        ("kinesisanalyticsv2:DescribeApplication", 2),
        ("kinesisanalyticsv2:DescribeApplicationSnapshot", 2),
        ("kinesisanalyticsv2:ListApplicationSnapshots", 1),
    ]);
    assert_eq!(calls_since(&world.emulator.record(), since), expected);
    let one_look = [
        "TakeSnapshot",
        "IsBegun",
        "WaitForSnapshot",
        "CheckSnapshot",
        "IsReady",
        "PruneSnapshots",
        "IsPruned",
        "Result",
    ];
    assert_eq!(run.states[&run.applications[0].name], one_look, "eight transitions, and one to start it");
    assert_eq!(run.result.transitions, 8, "seven, and one to start the application's execution");
    assert_eq!(letters(&world), Vec::<String>::new());
    let [(detail_type, detail)] = &events(&world)[..] else { panic!("not one event") };
    assert_eq!((detail_type.as_str(), &detail["counts"]), ("Snapshots Taken", &json!({ "Taken": 1 })));
}

#[tokio::test(start_paused = true)]
async fn what_can_have_no_snapshot_now_is_skipped_and_says_so() {
    let stopped = SnapshotApp { is_running: false, ..SnapshotApp::new("orders") };
    let world = world_of(&[stopped]).await;
    is_skipped(&world.take_snapshots("stopped", &orders()).await.unwrap(), "notRunning");

    let world = world_of(&[SnapshotApp { snapshots_enabled: false, ..SnapshotApp::new("orders") }]).await;
    is_skipped(&world.take_snapshots("disabled", &orders()).await.unwrap(), "snapshotsDisabled");

    let world = world_of(&[SnapshotApp::new("orders")]).await;
    world.emulator.maintenance("orders", Duration::from_mins(1)).unwrap();
    is_skipped(&world.take_snapshots("maintained", &orders()).await.unwrap(), "notRunning");
    world.wait_for("orders", "RUNNING").await.unwrap();

    let mut input = orders();
    input["blackouts"] = json!([{ "from": "22:00", "to": "13:00" }]);
    let since = world.emulator.record().len();
    is_skipped(&world.take_snapshots("blackout", &input).await.unwrap(), "blackout");
    let made = calls_since(&world.emulator.record(), since);
    assert_eq!(made, calls(&[("events:PutEvents", 1)]), "no application is even looked at");
    input["blackouts"] = json!([{ "from": "22:00", "to": "12:00" }]);
    let run = world.take_snapshots("after-the-blackout", &input).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    assert_eq!(letters(&world), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_not_there_is_skipped_and_people_hear_of_it() {
    let world = world().await;
    let input = json!({ "applications": ["orders", "payments"] });
    let run = world.take_snapshots("gone", &input).await.unwrap();
    let results = run.results().unwrap();
    assert_eq!(results["orders"].outcome, SnapshotOutcome::Taken);
    assert_eq!(results["payments"].why, "there is no such application, or not any more");
    assert!(run.summary().unwrap().success);
    let letters = letters(&world);
    assert!(letters.len() == 1 && letters[0].contains("payments: there is no such application"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_under_way_comes_first() {
    let world = world().await;
    let deployment = world.emulator.executions().started(MACHINE, "orders-17", "{}").unwrap();
    let turns = TurnTable::new(&world.sdk(OPERATOR), TURNS);
    turns.ask("orders", &Claim::new(&deployment.arn, world.clock.now(), None), world.clock.now()).await.unwrap();
    let run = world.take_snapshots("meanwhile", &orders()).await.unwrap();
    is_skipped(&run, "deploymentUnderWay");
    assert_eq!(one(&run).2, "a deployment is under way (orders-17)");
    assert_eq!(snapshots(&world, "orders").await, BTreeMap::new());

    let end = emulator::step_functions::ExecutionEnd::Succeeded { output: "{}".to_owned() };
    world.emulator.executions().ended(&deployment.arn, end).unwrap();
    let run = world.take_snapshots("after-it", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_makes_no_second_snapshot() {
    let world = world().await;
    let input = orders();
    // The second one begins while the first still takes the snapshot, the third after it.
    let (first, second) = tokio::join!(world.take_snapshots("event-1", &input), async {
        world.clock.sleep(Duration::from_secs(2)).await;
        world.take_snapshots("event-2", &input).await
    });
    assert_eq!(one(&first.unwrap()).0, SnapshotOutcome::Taken);
    assert_eq!(one(&second.unwrap()).0, SnapshotOutcome::Taken);
    is_skipped(&world.take_snapshots("event-3", &input).await.unwrap(), "takenAlready");
    assert_eq!(snapshots(&world, "orders").await.len(), 1);
    let record = world.emulator.record();
    let taken = record.iter().filter(|entry| matches!(entry.event, Event::SnapshotTaken { .. })).count();
    assert_eq!(taken, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_snapshot_is_told_with_its_likely_cause() {
    let faulty = |fault: JobFault| SnapshotApp { behaviour: fault.into(), ..SnapshotApp::new("orders") };
    let world = world_of(&[faulty(JobFault::SnapshotFails)]).await;
    let run = world.take_snapshots("io", &orders()).await.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "likelyStorage"]);
    assert!(one(&run).2.contains("IO-problem detected"), "{}", one(&run).2);

    // Nothing that could be read explains it, and nothing is made up.
    let world = world_of(&[SnapshotApp::new("orders")]).await;
    world
        .emulator
        .inject(Fault::new("CreateApplicationSnapshot", Effect::OperationFails("no reason given".to_owned())));
    let run = world.take_snapshots("unknown", &orders()).await.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "causeUnknown"]);
    assert!(one(&run).2.contains("the last complete checkpoint took"), "{}", one(&run).2);

    // What would explain it cannot be read.
    let world = world_of(&[SnapshotApp::new("orders")]).await;
    world
        .emulator
        .inject(Fault::new("CreateApplicationSnapshot", Effect::OperationFails("no reason given".to_owned())));
    world.emulator.inject(Fault::new("CreateApplicationPresignedUrl", Effect::AccessDenied));
    let run = world.take_snapshots("unreadable", &orders()).await.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "causeUnreadable"]);

    // The job itself is not well.
    let loops = Behaviour::from(JobFault::OpenFails);
    let world = world_of(&[SnapshotApp { behaviour: loops, ..SnapshotApp::new("orders") }]).await;
    world.emulator.inject(Fault::new("CreateApplicationSnapshot", Effect::OperationFails("the job failed".to_owned())));
    let run = world.take_snapshots("job", &orders()).await.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "jobNotWell"]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_stuck_is_given_up_at_its_deadline() {
    let world = world().await;
    world.emulator.inject(Fault::new("CreateApplicationSnapshot", Effect::OperationHangs));
    let mut input = orders();
    input["timeoutSeconds"] = json!(1_200);
    let began = world.clock.now();
    let run = world.take_snapshots("stuck", &input).await.unwrap();
    has_failed(&world, &run, &["stuckInCreating", "causeUnknown"]);
    let took = world.clock.now().duration_since(began).as_secs();
    assert!((1_200..1_230).contains(&took), "{took}");
    // Left as it is: the service may finish it yet.
    assert_eq!(snapshots(&world, "orders").await[SNAPSHOT], "CREATING");
    let looks = calls_since(&world.emulator.record(), 0)["kinesisanalyticsv2:DescribeApplicationSnapshot"];
    assert!(looks < 35, "{looks} looks in 20 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_slow_snapshot_is_waited_for() {
    let slow =
        SnapshotApp { behaviour: JobFault::SlowSnapshot { seconds: 1_000 }.into(), ..SnapshotApp::new("orders") };
    let world = world_of(&[slow]).await;
    let began = world.clock.now();
    let run = world.take_snapshots("slow", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    let took = world.clock.now().duration_since(began).as_secs();
    assert!((1_000..1_100).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn an_application_may_vanish_at_any_point() {
    for after in [0, 3, 10, 20] {
        let slow =
            SnapshotApp { behaviour: JobFault::SlowSnapshot { seconds: 40 }.into(), ..SnapshotApp::new("orders") };
        let world = world_of(&[slow]).await;
        let input = orders();
        let (run, ()) = tokio::join!(world.take_snapshots("vanishing", &input), async {
            world.clock.sleep(Duration::from_secs(after)).await;
            let body = json!({ "ApplicationName": "orders" });
            let described = world.call(OPERATOR, "DescribeApplication", &body).await.unwrap();
            let created = &described["ApplicationDetail"]["CreateTimestamp"];
            let body = json!({ "ApplicationName": "orders", "CreateTimestamp": created });
            world.call(OPERATOR, "DeleteApplication", &body).await.unwrap();
        });
        let run = run.unwrap();
        let (outcome, codes, why) = one(&run);
        assert_eq!(outcome, SnapshotOutcome::Skipped, "after {after} s: {why}");
        assert!(["applicationGone", "notRunning"].contains(&codes[0].as_str()), "after {after} s: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_meanwhile_is_named_as_what_came_between() {
    let slow = SnapshotApp { behaviour: JobFault::SlowSnapshot { seconds: 60 }.into(), ..SnapshotApp::new("orders") };
    let world = world_of(&[slow]).await;
    world.emulator.inject(Fault::new("CreateApplicationSnapshot", Effect::OperationFails("interrupted".to_owned())));
    let input = orders();
    let (run, ()) = tokio::join!(world.take_snapshots("interrupted", &input), async {
        world.clock.sleep(Duration::from_secs(2)).await;
        world.emulator.maintenance("orders", Duration::from_mins(5)).unwrap();
    });
    let run = run.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "leftRunning"]);
}

/// Every run here is searched for secrets; this one has the most to say.
#[tokio::test(start_paused = true)]
async fn what_explains_a_failure_tells_no_secret() {
    let faulty = SnapshotApp { behaviour: JobFault::SnapshotFails.into(), ..SnapshotApp::new("orders") };
    let world = world_of(&[faulty]).await;
    let run = world.take_snapshots("secrets", &orders()).await.unwrap();
    has_failed(&world, &run, &["snapshotFailed", "likelyStorage"]);
    let made = calls_since(&world.emulator.record(), 0);
    assert!(made.contains_key("kinesisanalyticsv2:CreateApplicationPresignedUrl"), "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_aborted_blocks_nobody() {
    let world = world().await;
    let fault = Fault::new("CreateApplicationSnapshot", Effect::OperationHangs);
    world.emulator.inject(Fault { occurrences: Occurrences::First(1), ..fault });
    let stop = async {
        world.clock.sleep(Duration::from_mins(5)).await;
        asl::Stop::default()
    };
    let run = world.take_snapshots_despite("aborted", &orders(), LostAnswers::default(), stop).await.unwrap();
    assert_eq!(run.result.status, asl::Status::Aborted);
    assert!(run.applications.iter().all(|execution| !execution.is_running()), "{:?}", run.applications);
    // The next time of the schedule has a snapshot of its own, as soon as the service takes it.
    world.emulator.clear_faults();
    let mut input = orders();
    input["scheduledAt"] = json!("2026-01-02T13:00:00Z");
    let run = world.take_snapshots("next", &input).await.unwrap();
    let (outcome, codes, why) = one(&run);
    assert!(outcome == SnapshotOutcome::Taken || codes == ["stillBusy"], "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_forced_stop_starts_again_from_the_scheduled_snapshot() {
    // The job fails for good later on, when no snapshot can be taken of it any more.
    let behaviour = JobFault::FailsLater { seconds: 1_200 }.into();
    let world = world_of(&[SnapshotApp { behaviour, ..SnapshotApp::new("orders") }]).await;
    let run = world.take_snapshots("nightly", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    world.clock.sleep(Duration::from_mins(30)).await;
    let version = world.put_code("orders-2.jar", &Behaviour::healthy());
    let mut input = serde_json::from_str::<Value>(include_str!("../../events/correct-a-crash-loop.json")).unwrap();
    let location = "/update/ApplicationConfigurationUpdate/ApplicationCodeConfigurationUpdate/CodeContentUpdate\
                    /S3ContentLocationUpdate";
    *input.pointer_mut(location).unwrap() = json!({
        "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"), "FileKeyUpdate": "orders-2.jar", "ObjectVersionUpdate": version });
    let (_, deployed) = world.deploy("correction", input, std::future::pending()).await.unwrap();
    assert_eq!(deployed.output.unwrap()["outcome"], json!("Deployed"));
    let record = world.emulator.record();
    let started = record.iter().rev().find_map(|entry| match &entry.event {
        Event::JobStarted(started) => Some(started),
        _ => None,
    });
    let restored = started.and_then(|started| started.restored_from.as_ref()).map(|from| from.snapshot.as_str());
    assert_eq!(restored, Some(SNAPSHOT));
}

/// Plants so many READY snapshots of ours, one an hour, the last an hour ago.
fn plant(world: &World, count: i64) {
    let now = world.clock.now();
    let planted = (1..=count).map(|hours| {
        let created = now - SignedDuration::from_hours(hours);
        PlantedSnapshot::new(format!("scheduled-{}", created.strftime("%Y%m%dT%H%M%SZ")), created)
    });
    world.emulator.plant_snapshots("orders", planted.collect()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn near_the_quota_there_is_a_warning() {
    let world = world().await;
    plant(&world, 898);
    let quiet = world.take_snapshots("quiet", &orders()).await.unwrap();
    assert_eq!((one(&quiet).0, quiet.summary().unwrap().warnings.len()), (SnapshotOutcome::Taken, 0));
    let mut input = orders();
    input["scheduledAt"] = json!("2026-01-02T13:00:00Z");
    let warned = world.take_snapshots("warned", &input).await.unwrap();
    let summary = warned.summary().unwrap();
    assert_eq!((one(&warned).0, summary.success), (SnapshotOutcome::Taken, true));
    assert_eq!(summary.warnings[0].warning.as_deref(), Some("nearQuota"));
    let letters = letters(&world);
    assert!(letters.len() == 1 && letters[0].contains("past 1,000: keep fewer"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn at_the_quota_room_is_made_of_ours_and_only_if_it_may_be() {
    let world = world().await;
    plant(&world, 1_000);
    let run = world.take_snapshots("full", &orders()).await.unwrap();
    has_failed(&world, &run, &["quotaReached"]);
    assert!(one(&run).2.contains("with `retention`, old ones of ours would go"));

    let mut input = orders();
    input["retention"] = json!({ "keepNewest": 5, "keepYoungerThanHours": 87_600 });
    let run = world.take_snapshots("room-made", &input).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken, "{}", one(&run).2);
    let record = world.emulator.record();
    let deleted = record.iter().filter(|entry| matches!(entry.event, Event::SnapshotDeleted { .. })).count();
    assert!((1..=2).contains(&deleted), "{deleted} deleted: everything else is younger than the age");
}

#[tokio::test(start_paused = true)]
async fn old_snapshots_go_once_the_new_one_is_there() {
    let world = world().await;
    plant(&world, 30);
    let mut input = orders();
    input["retention"] = json!({ "keepNewest": 3, "keepYoungerThanHours": 0 });
    let run = world.take_snapshots("pruned", &input).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    world.clock.sleep(Duration::from_mins(1)).await;
    let left = snapshots(&world, "orders").await;
    assert!(left.contains_key(SNAPSHOT) && left.len() == 3, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_takes_and_deletes_nothing() {
    let world = world().await;
    plant(&world, 30);
    let mut input = orders();
    input["retention"] = json!({ "keepNewest": 3, "keepYoungerThanHours": 0 });
    input["dryRun"] = json!(true);
    let run = world.take_snapshots("dry", &input).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::WouldTake);
    let output = run.applications[0].output.as_ref().unwrap();
    assert_eq!(output["pruning"]["left"], json!(27), "{output}");
    assert_eq!(snapshots(&world, "orders").await.len(), 30);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_makes_no_second_snapshot() {
    for loss in [Loss::ServerError, Loss::ConnectionReset] {
        let world = world().await;
        let fault = Fault::new("CreateApplicationSnapshot", Effect::LostResponse(loss));
        world.emulator.inject(Fault { occurrences: Occurrences::First(1), ..fault });
        let run = world.take_snapshots("lost", &orders()).await.unwrap();
        assert_eq!(one(&run).0, SnapshotOutcome::Taken, "{loss:?}");
        assert_eq!(snapshots(&world, "orders").await.len(), 1, "{loss:?}");
    }
    let each = ["select-applications", "take-snapshot", "check-snapshot", "prune-snapshots", "notify"];
    let world = world().await;
    let lost = LostAnswers(each.to_vec());
    let run = world.take_snapshots_despite("sandboxes", &orders(), lost, std::future::pending()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    assert_eq!(snapshots(&world, "orders").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_service_shows_may_be_a_little_old() {
    let world = world().await;
    let stale = Effect::StaleRead(Duration::from_secs(40));
    world.emulator.inject(Fault::new("DescribeApplicationSnapshot", stale));
    let run = world.take_snapshots("stale", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken, "{}", one(&run).2);
    assert_eq!(snapshots(&world, "orders").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_for_good_is_a_result() {
    for (operation, state, error) in [
        ("DescribeApplicationSnapshot", "TakeSnapshot", "AccessDenied"),
        ("DescribeApplication", "TakeSnapshot", "AccessDenied"),
    ] {
        let world = world().await;
        world.emulator.inject(Fault::new(operation, Effect::AccessDenied));
        let run = world.take_snapshots("denied", &orders()).await.unwrap();
        has_failed(&world, &run, &["stepFailed"]);
        assert_eq!(one(&run).2, format!("the step {state} failed with {error}"));
    }
    let world = world().await;
    world.emulator.inject(Fault::new("CreateApplicationSnapshot", Effect::AccessDenied));
    let run = world.take_snapshots("denied", &orders()).await.unwrap();
    has_failed(&world, &run, &["accessDenied"]);
    assert!(one(&run).2.contains("kinesisanalytics:CreateApplicationSnapshot"), "{}", one(&run).2);

    // The snapshot is there, and the rest is told.
    let world = world_of(&[SnapshotApp::new("orders")]).await;
    world.emulator.inject(Fault::new("ListApplicationSnapshots", Effect::AccessDenied));
    let run = world.take_snapshots("not-pruned", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken);
    assert_eq!(run.summary().unwrap().warnings[0].warning.as_deref(), Some("notPruned"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_meant_is_refused_before_anything_is_touched() {
    let world = world().await;
    let cases = [
        (json!({ "applications": [] }), "applications"),
        (json!({ "application": "orders", "retention": { "keepNewest": 0 } }), "retention.keepNewest"),
        (json!({ "application": "orders", "scheduledAt": "tonight" }), "scheduledAt"),
        (json!({ "application": "orders", "blackouts": [{ "from": "22", "to": "02:00" }] }), "blackouts[0].from"),
        (json!({ "tag": { "key": "snapshots", "value": "Scheduled" } }), "tag"),
    ];
    for (index, (input, field)) in cases.iter().enumerate() {
        let before = letters(&world).len();
        let run = world.take_snapshots(&format!("refused-{index}"), input).await.unwrap();
        assert_eq!(run.result.error.as_deref(), Some("Refused"), "{input}");
        let summary = run.summary().unwrap();
        assert_eq!(summary.refusals[0].field, *field);
        assert!(run.applications.is_empty(), "{input}");
        let letters = letters(&world);
        assert!(letters.len() == before + 1 && letters[before].contains(field), "{letters:?}");
    }
    let made = calls_since(&world.emulator.record(), 0);
    assert!(!made.keys().any(|name| name.contains("Describe") || name.contains("Create")), "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_applications_cannot_be_selected_a_person_is_asked() {
    let world = world().await;
    world.emulator.inject(Fault::new("ListApplications", Effect::AccessDenied));
    let input = json!({ "tag": { "key": "snapshots", "value": "daily" } });
    let run = world.take_snapshots("denied", &input).await.unwrap();
    assert_eq!(run.result.error.as_deref(), Some("NeedsAttention"));
    let told = letters(&world);
    assert!(told.len() == 1 && told[0].contains("SelectApplications failed with AccessDenied"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn all_applications_with_a_tag_are_found_on_every_page() {
    let apps: Vec<SnapshotApp> = (0..130)
        .map(|index| {
            let tags = match index % 3 {
                0 => vec![("snapshots", "daily"), ("team", "a")],
                1 => vec![("snapshots", "weekly")],
                _ => vec![],
            };
            // They are found whether they run or not; only some have to.
            SnapshotApp { tags, is_running: index < 6, ..SnapshotApp::new(format!("app-{index:03}")) }
        })
        .collect();
    let world = world_of(&apps).await;
    let since = world.emulator.record().len();
    let input = json!({ "tag": { "key": "snapshots", "value": "daily" }, "scheduledAt": noon() });
    let run = world.take_snapshots("tagged", &input).await.unwrap();
    let results = run.results().unwrap();
    let expected: BTreeSet<String> = (0..130).step_by(3).map(|index| format!("app-{index:03}")).collect();
    assert_eq!(results.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let taken = results.values().filter(|result| result.outcome == SnapshotOutcome::Taken).count();
    assert_eq!((taken, results.len()), (2, 44));
    let made = calls_since(&world.emulator.record(), since);
    assert_eq!(made["kinesisanalyticsv2:ListApplications"], 3);
    assert_eq!(made["kinesisanalyticsv2:ListTagsForResource"], 130);
    assert_eq!(run.summary().unwrap().counts[&SnapshotOutcome::Skipped], 42);
}

#[tokio::test(start_paused = true)]
async fn applications_that_this_tool_may_not_ask_for_their_tags_are_none_of_its_own() {
    let tags = vec![("snapshots", "daily")];
    let apps = ["ours", "theirs"].map(|name| SnapshotApp { tags: tags.clone(), ..SnapshotApp::new(name) });
    let world = world_of(&apps).await;
    let denied = Fault::new("ListTagsForResource", Effect::AccessDenied);
    world.emulator.inject(Fault { application: Some("theirs".to_owned()), ..denied.clone() });
    let input = json!({ "tag": { "key": "snapshots", "value": "daily" }, "scheduledAt": noon() });
    let run = world.take_snapshots("ours", &input).await.unwrap();
    assert_eq!(run.results().unwrap().into_keys().collect::<Vec<_>>(), ["ours"]);

    world.emulator.inject(denied);
    let run = world.take_snapshots("nobody", &input).await.unwrap();
    let refusals = run.summary().unwrap().refusals;
    assert!(refusals[0].problem.ends_with("of these, 2 may not be asked for their tags by this tool"), "{refusals:?}");
}

#[tokio::test(start_paused = true)]
async fn while_the_service_is_at_work_on_something_else_this_one_waits() {
    let busy = |times| {
        let message = "another snapshot is being taken".to_owned();
        let effect = Effect::Error { code: "ResourceInUseException".to_owned(), status: 400, message };
        Fault { occurrences: Occurrences::First(times), ..Fault::new("CreateApplicationSnapshot", effect) }
    };
    let world = world().await;
    world.emulator.inject(busy(4));
    let run = world.take_snapshots("patient", &orders()).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken, "{}", one(&run).2);
    let states = &run.states[&run.applications[0].name];
    assert_eq!(states.iter().filter(|state| *state == "WaitToTake").count(), 4, "{states:?}");

    let world = world_of(&[SnapshotApp::new("orders")]).await;
    world.emulator.inject(busy(u32::MAX));
    let mut input = orders();
    input["timeoutSeconds"] = json!(300);
    let run = world.take_snapshots("in-vain", &input).await.unwrap();
    has_failed(&world, &run, &["stillBusy"]);
    assert!(one(&run).2.starts_with("not begun within 300 s: ResourceInUse"), "{}", one(&run).2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_one_step_is_deleted_in_several() {
    let world = world().await;
    plant(&world, 3_000);
    // Every deletion takes so long that they do not all fit one Lambda's time.
    world.emulator.inject(Fault::new("DeleteApplicationSnapshot", Effect::Delay(Duration::from_millis(400))));
    let mut input = orders();
    input["retention"] = json!({ "keepNewest": 10, "keepYoungerThanHours": 0 });
    // So many are past the quota: there is room only once they are gone.
    let run = world.take_snapshots("many", &input).await.unwrap();
    assert_eq!(one(&run).0, SnapshotOutcome::Taken, "{}", one(&run).2);
    let states = &run.states[&run.applications[0].name];
    assert!(states.iter().filter(|state| *state == "WaitToPrune").count() > 2, "{states:?}");
    world.clock.sleep(Duration::from_mins(5)).await;
    assert_eq!(snapshots(&world, "orders").await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_long_names_are_carried_to_the_end() {
    let world = World::new(1);
    let names: Vec<String> = (0..1_000).map(|index| format!("application-that-is-not-there-{index:034}")).collect();
    let input = json!({ "applications": names, "concurrency": 40 });
    let run = world.take_snapshots("names", &input).await.unwrap();
    let summary = run.summary().unwrap();
    assert_eq!(summary.counts, BTreeMap::from([(SnapshotOutcome::Skipped, 1_000)]), "{:?}", run.result);
    assert_eq!(summary.skipped.len(), 50);
    // There is room for so many characters of each.
    assert_eq!(summary.skipped[0].why, "there is no such application, or not any more"[..41]);
    let letters = letters(&world);
    assert!(letters.len() == 1 && letters[0].contains("… and 950 more"), "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_application_is_never_that_of_another() {
    let apps = ["a", "b", "c", "d"].map(SnapshotApp::new);
    let world = world_of(&apps).await;
    let only = |operation: &str, application: &str, effect| Fault {
        application: Some(application.to_owned()),
        ..Fault::new(operation, effect)
    };
    world.emulator.inject(only("CreateApplicationSnapshot", "a", Effect::OperationHangs));
    world.emulator.inject(only("DescribeApplication", "b", Effect::AccessDenied));
    world.emulator.inject(only("CreateApplicationSnapshot", "c", Effect::OperationFails("no".to_owned())));
    let input = json!({ "applications": ["a", "b", "c", "d"], "concurrency": 1, "timeoutSeconds": 60 });
    let run = world.take_snapshots("mixed", &input).await.unwrap();
    let results = run.results().unwrap();
    let outcomes: Vec<SnapshotOutcome> = results.values().map(|result| result.outcome).collect();
    assert_eq!(outcomes[..3], [SnapshotOutcome::Failed; 3]);
    assert_eq!(outcomes[3], SnapshotOutcome::Taken);
    let summary = run.summary().unwrap();
    assert_eq!((summary.failed.len(), summary.counts[&SnapshotOutcome::Taken]), (3, 1));
    assert_eq!(run.most_at_a_time(), 1);
    assert_eq!(letters(&world).len(), 1, "one letter for them all");
}

/// Calls for each application, whatever their number: the counts of a run over so many, with throttling on.
async fn run_over(count: usize) -> (SnapshotsRun, BTreeMap<String, usize>, World) {
    let apps: Vec<SnapshotApp> = (0..count)
        .map(|index| SnapshotApp { tags: vec![("snapshots", "daily")], ..SnapshotApp::new(format!("app-{index:04}")) })
        .collect();
    let world = world_of(&apps).await;
    let since = world.emulator.record().len();
    world.emulator.inject(Fault { occurrences: Occurrences::Percent(20), ..Fault::new("*", Effect::Throttle) });
    let input = json!({ "tag": { "key": "snapshots", "value": "daily" }, "scheduledAt": noon(), "concurrency": 20,
        "retention": {} });
    let run = world.take_snapshots("thousand", &input).await.unwrap();
    let made = calls_since(&world.emulator.record(), since);
    (run, made, world)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_applications_each_come_to_an_outcome() {
    let (small, few, _) = run_over(100).await;
    let (run, made, world) = run_over(1_000).await;
    let results = run.results().unwrap();
    assert_eq!((small.results().unwrap().len(), results.len()), (100, 1_000), "each once");
    let others: Vec<_> = results.values().filter(|result| result.outcome != SnapshotOutcome::Taken).collect();
    assert!(others.is_empty(), "{others:?}");
    let summary = run.summary().unwrap();
    assert_eq!(summary.counts, BTreeMap::from([(SnapshotOutcome::Taken, 1_000)]));
    assert_eq!(run.most_at_a_time(), 20, "as many at a time as asked for, and never more");
    let record = world.emulator.record();
    let taken: Vec<&String> = record
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::SnapshotTaken { application, .. } => Some(application),
            _ => None,
        })
        .collect();
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (1_000, 1_000), "one snapshot each");
    // Linear: ten times the applications, ten times the calls, give or take what was throttled.
    let sum = |calls: &BTreeMap<String, usize>| calls.values().sum::<usize>();
    let (few, many) = (sum(&few), sum(&made));
    assert!(many < few * 11, "{few} calls for 100, {many} for 1,000: {made:?}");
    assert!(many < 1_000 * 14, "{made:?}");
}

fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/snapshots");
    let mut samples: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

#[tokio::test(start_paused = true)]
async fn each_sample_does_what_it_says() {
    let tags = vec![("snapshots", "scheduled")];
    let apps = ["orders", "payments", "fraud"].map(|name| SnapshotApp { tags: tags.clone(), ..SnapshotApp::new(name) });
    let mut seen = BTreeSet::new();
    for (name, input) in samples() {
        let comment = input["comment"].as_str().unwrap_or_default();
        assert!(comment.ends_with('.') && comment.len() > 20, "{name} has no comment that tells what it does");
        SnapshotRequest::parse(&input, noon()).unwrap();
        let world = world_of(&apps).await;
        let run = world.take_snapshots(&name, &input).await.unwrap();
        let summary = run.summary().unwrap();
        let wanted = if name == "dry-run" { SnapshotOutcome::WouldTake } else { SnapshotOutcome::Taken };
        let count = if input.get("application").is_some() { 1 } else { 3 };
        assert_eq!(summary.counts, BTreeMap::from([(wanted, count)]), "{name}: {summary:?}");
        seen.extend(input.as_object().unwrap().keys().cloned());
    }
    let fields = [
        "application",
        "applications",
        "tag",
        "scheduledAt",
        "concurrency",
        "timeoutSeconds",
        "retention",
        "blackouts",
        "dryRun",
        "reason",
        "comment",
    ];
    assert_eq!(seen, fields.map(str::to_owned).into(), "every field is in a sample");
}

#[test]
fn the_times_of_the_worlds_are_as_the_tests_say() {
    assert_eq!(noon(), "2026-01-02T12:00:00Z".parse::<Timestamp>().unwrap());
}
