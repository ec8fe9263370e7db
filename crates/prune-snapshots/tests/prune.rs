//! The Lambda against the emulator, in virtual time: what it deletes, with how many calls, and what it does when calls
//! fail, time runs out or a deployment begins.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use clock::Clock;
use emulator::record::Event;
use emulator::simulated::SimulatedDataPlane;
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp, Loss, Occurrences, PlantedSnapshot};
use emulator::{SnapshotStatus, step_functions::ExecutionEnd};
use handler::{Error, Metrics, invoke};
use jiff::{SignedDuration, Timestamp};
use lifecycle::retention::{KeepReason, PruneNext, PruneReport, QUOTA, QuotaWarning};
use lifecycle::turn::Claim;
use managed_flink::{Endpoint, HttpsTransport, ManagedFlink};
use prune_snapshots::{Pruner, prune_snapshots};
use serde_json::{Value, json};
use turns::TurnTable;

const TABLE: &str = "turns";
const MACHINE: &str = "deploy";

/// Keeps what is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The application `orders`, READY at version 1, and the Lambda.
struct Stage {
    emulator: Emulator,
    pruner: Pruner,
    lines: Lines,
}

impl Stage {
    async fn new() -> Self {
        Self::with_latency(Duration::from_millis(30)).await
    }

    /// Where each call takes so long.
    async fn with_latency(latency: Duration) -> Self {
        let clock = Clock::starting_at("2026-11-20T08:00:00Z".parse().unwrap(), 1);
        let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 1));
        let emulator = Emulator::new(EmulatorConfig { seed: 1, ..EmulatorConfig::new(clock, data_plane) });
        emulator.dynamodb().create_table(TABLE, "application");
        emulator.executions().add_state_machine(MACHINE);
        emulator.code().put("code", "orders.jar", "{}");
        let sdk = sdk(&emulator, latency);
        let lines = Lines::default();
        let pruner = Pruner {
            flink: ManagedFlink::new(&sdk, Arc::new(HttpsTransport::new()), Endpoint::Overridden),
            turns: TurnTable::new(&sdk, TABLE),
            metrics: Metrics::on(lines.clone()),
        };
        let stage = Self { emulator, pruner, lines };
        let configuration = json!({
            "ApplicationCodeConfiguration": { "CodeContentType": "ZIPFILE", "CodeContent": {
                "S3ContentLocation": { "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar" } } },
        });
        let create = json!({ "ApplicationName": "orders", "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/orders", "ApplicationConfiguration": configuration });
        stage.call("CreateApplication", &create).await;
        stage
    }

    /// A call of kinesisanalyticsv2 by hand.
    async fn call(&self, operation: &str, body: &Value) -> Value {
        let request = http::Request::post("https://kinesisanalytics.us-east-1.amazonaws.com/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("KinesisAnalytics_20180523.{operation}"))
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let response = self.emulator.handle(request).await;
        assert!(response.status().is_success(), "{operation}: {:?}", response.body());
        serde_json::from_slice(response.body()).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        self.emulator.clock().now()
    }

    /// Plants so many snapshots, one an hour, the newest an hour old; the oldest has the number 0.
    fn plant(&self, prefix: &str, count: usize) {
        let age = |number: usize| SignedDuration::from_hours(i64::try_from(count - number).unwrap());
        let planted =
            (0..count).map(|number| PlantedSnapshot::new(format!("{prefix}{number}"), self.now() - age(number)));
        self.emulator.plant_snapshots("orders", planted.collect()).unwrap();
    }

    /// One step, as the state machine begins it, with these fields of the event besides.
    async fn step(&self, retention: &Value, fields: Value) -> Result<PruneReport, Error> {
        let mut event = json!({ "now": self.now(), "application": "orders", "retention": retention });
        for (name, value) in fields.as_object().unwrap() {
            event[name] = value.clone();
        }
        let returned =
            invoke(&self.pruner, &async |pruner: &_, event| prune_snapshots(pruner, event).await, event).await?;
        Ok(serde_json::from_value(returned).unwrap())
    }

    /// One step that ends well.
    async fn prune(&self, retention: &Value) -> PruneReport {
        self.step(retention, json!({})).await.unwrap()
    }

    /// As many steps as it takes.
    async fn prune_to_the_end(&self, retention: &Value) -> (PruneReport, u32) {
        let mut report = self.prune(retention).await;
        while report.next == PruneNext::Prune {
            assert!(report.steps < 100, "{report:?}");
            self.emulator.clock().sleep(Duration::from_secs(report.wait_seconds.into())).await;
            report = self.step(retention, json!({ "report": report })).await.unwrap();
        }
        let steps = report.steps;
        (report, steps)
    }

    /// How often each operation was called, all services together.
    fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for entry in self.emulator.record() {
            if let Event::Call(call) = entry.event {
                *calls.entry(call.operation).or_default() += 1;
            }
        }
        calls
    }

    fn count_of(&self, operation: &str) -> usize {
        self.calls().get(operation).copied().unwrap_or_default()
    }

    /// The names of those whose deletion was done, in order.
    fn deleted(&self) -> Vec<String> {
        let calls = self.emulator.record().into_iter().filter_map(|entry| match entry.event {
            Event::Call(call) if call.operation == "DeleteApplicationSnapshot" && call.done => {
                call.request["SnapshotName"].as_str().map(str::to_owned)
            }
            _ => None,
        });
        calls.collect()
    }

    async fn left(&self) -> usize {
        self.emulator.clock().sleep(Duration::from_mins(1)).await;
        self.pruner.flink.snapshots("orders").await.unwrap().len()
    }

    /// A deployment of the application begins, and has its turn.
    async fn deploy(&self) -> String {
        let execution = self.emulator.executions().started(MACHINE, "run-1", "{}").unwrap().arn;
        self.pruner.turns.ask("orders", &Claim::new(&execution, self.now(), None), self.now()).await.unwrap();
        execution
    }
}

fn sdk(emulator: &Emulator, latency: Duration) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("pruner", "secret", None, None, "test")))
        .http_client(InProcessHttp::new(emulator.clone()).with_latency(latency))
        .build()
}

/// Keeps three, and nothing for its age.
fn three() -> Value {
    json!({ "keepNewest": 3, "keepYoungerThanHours": 0 })
}

fn fault(effect: Effect, occurrences: Occurrences) -> Fault {
    Fault::new("DeleteApplicationSnapshot", effect).on(occurrences)
}

fn refusal(code: &str) -> Effect {
    Effect::Error { code: code.to_owned(), status: 400, message: "no".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn five_thousand_snapshots_take_the_fewest_lists_and_one_deletion_each() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 5_000);
    let before = stage.calls();
    let (report, steps) = stage.prune_to_the_end(&json!({ "keepNewest": 10, "daily": 7, "monthly": 3 })).await;
    // The younger ones are 47, one an hour; four days before those, and the ends of the two months before.
    let kept = 47 + 4 + 2;
    let goes = 5_000 - kept;
    assert_eq!((report.snapshots, report.deleted, report.left, report.failed), (5_000, goes, 0, 0));
    assert_eq!(steps, 1);
    let expected = BTreeMap::from([
        ("CreateApplication", 1),
        ("ListApplicationSnapshots", 100),
        ("DescribeApplication", 1),
        ("DeleteApplicationSnapshot", goes),
        ("GetItem", 1 + goes / 100),
    ]);
    assert_eq!(before.len(), 1);
    assert_eq!(stage.calls(), expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    assert_eq!(stage.deleted().iter().collect::<BTreeSet<_>>().len(), goes);
    assert_eq!(stage.left().await, kept);
    // Once more: nothing more goes.
    let again = stage.prune(&json!({ "keepNewest": 10, "daily": 7, "monthly": 3 })).await;
    assert_eq!((again.snapshots, again.deleted, again.left), (kept, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_time_does_not_suffice_for_is_left_to_the_next_step() {
    let stage = Stage::with_latency(Duration::from_secs(1)).await;
    stage.plant("scheduled-", 703);
    let began = stage.now();
    let first = stage.prune(&three()).await;
    assert!(stage.now().duration_since(began) < SignedDuration::from_secs(85), "the Lambda has 90 s");
    assert_eq!((first.next, first.wait_seconds, first.failed), (PruneNext::Prune, 1, 0));
    assert!(first.deleted > 100 && first.deleted + first.left == 700, "{first:?}");
    let (last, steps) = stage.prune_to_the_end(&three()).await;
    assert!(steps > 2, "{steps}");
    assert_eq!((last.left, last.failed), (0, 0));
    let last_line = stage.lines.take().lines().last().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&last_line).unwrap()["Snapshots"], 3);
    let deleted = stage.deleted();
    assert_eq!(deleted.len(), 700, "each once");
    assert_eq!(deleted.iter().collect::<BTreeSet<_>>().len(), 700);
    assert_eq!(first.deleted + last.deleted, 700);
    assert_eq!(stage.left().await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_would_go_and_why_the_others_stay_and_touches_nothing() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 5);
    stage.plant("by-hand-", 1);
    let report = stage.prune(&json!({ "keepNewest": 2, "keepYoungerThanHours": 0, "dryRun": true })).await;
    assert!(report.dry_run);
    let told = |list: &[lifecycle::retention::Told]| -> Vec<(String, String)> {
        list.iter().map(|told| (told.snapshot.clone(), told.why.clone())).collect()
    };
    let goes =
        ["scheduled-0", "scheduled-1", "scheduled-2"].map(|name| (name.to_owned(), "no rule keeps it".to_owned()));
    assert_eq!(told(&report.goes), goes);
    let newest = "the newest READY one; the last READY one of a version that may be gone back to; among the newest";
    let stays = [("scheduled-3", "among the newest"), ("by-hand-0", "not ours, by its name"), ("scheduled-4", newest)];
    assert_eq!(told(&report.stays), stays.map(|(name, why)| (name.to_owned(), why.to_owned())));
    assert_eq!((report.snapshots, report.deleted, report.left, report.left_out), (6, 0, 3, 0));
    assert_eq!(report.next, PruneNext::End);
    assert_eq!(stage.deleted(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_report_stays_small_however_many_snapshots_there_are() {
    let stage = Stage::new().await;
    let prefix = format!("scheduled-{}-", "x".repeat(230));
    stage.plant(&prefix, 5_000);
    let report = stage.prune(&json!({ "keepNewest": 800, "keepYoungerThanHours": 0, "dryRun": true })).await;
    assert_eq!((report.left, report.kept_because[&KeepReason::Newest]), (4_200, 800));
    assert_eq!(report.goes.len() + report.stays.len() + report.left_out, 5_000);
    assert!(report.goes.len() > 50 && report.stays.len() > 50, "{} {}", report.goes.len(), report.stays.len());
    let bytes = serde_json::to_string(&report).unwrap().len();
    assert!(bytes < 70_000, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_deleted_does_not_stop_the_others() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 13);
    stage.emulator.inject(fault(refusal("InvalidArgumentException"), Occurrences::Nth(2)));
    let (report, steps) = stage.prune_to_the_end(&three()).await;
    assert_eq!((report.deleted, report.failed, report.left, steps), (9, 1, 1, 1));
    assert_eq!(report.failures[0].snapshot, "scheduled-1");
    assert!(report.failures[0].error.contains("InvalidArgument"), "{:?}", report.failures);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_already_is_deleted() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 13);
    stage.emulator.inject(fault(refusal("ResourceNotFoundException"), Occurrences::Nth(7)));
    let (report, _) = stage.prune_to_the_end(&three()).await;
    assert_eq!((report.deleted, report.failed, report.left), (10, 0, 0), "{report:?}");
    assert_eq!(stage.deleted().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn one_whose_answer_was_lost_is_deleted_once() {
    for loss in [Loss::ServerError, Loss::ConnectionReset] {
        let stage = Stage::new().await;
        stage.plant("scheduled-", 13);
        stage.emulator.inject(fault(Effect::LostResponse(loss), Occurrences::First(3)));
        let (report, _) = stage.prune_to_the_end(&three()).await;
        assert_eq!((report.deleted, report.failed, report.left), (10, 0, 0), "{report:?}");
        assert_eq!(stage.deleted().iter().collect::<BTreeSet<_>>().len(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_in_use_stays_and_is_told() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 5);
    stage.emulator.inject(fault(refusal("ResourceInUseException"), Occurrences::Nth(1)));
    let (report, _) = stage.prune_to_the_end(&three()).await;
    assert_eq!((report.deleted, report.failed, report.left), (1, 1, 1));
    assert_eq!(report.failures[0].snapshot, "scheduled-0");
}

#[tokio::test(start_paused = true)]
async fn throttled_deletions_are_tried_again_after_the_others() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 303);
    // More than the SDK's own attempts of the first four make up for.
    stage.emulator.inject(fault(Effect::Throttle, Occurrences::First(15)));
    let (report, steps) = stage.prune_to_the_end(&three()).await;
    assert_eq!((report.deleted, report.failed, report.left, steps), (300, 0, 0, 1));
    assert_eq!(stage.deleted().len(), 300);
    assert_eq!(stage.count_of("DeleteApplicationSnapshot"), 315);
}

#[tokio::test(start_paused = true)]
async fn one_that_the_service_never_deletes_is_told_and_stops_nothing() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 4);
    let broken = Effect::Error { code: "InternalFailure".to_owned(), status: 500, message: "no".to_owned() };
    stage.emulator.inject(fault(broken, Occurrences::Always));
    let (report, _) = stage.prune_to_the_end(&three()).await;
    assert_eq!((report.deleted, report.failed, report.left, report.next), (0, 1, 1, PruneNext::End));
    assert_eq!(stage.count_of("DeleteApplicationSnapshot"), 9, "three tries of three attempts");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_call_is_left_in_peace() {
    for (effect, name) in [(Effect::Throttle, "Throttled"), (refusal("InternalFailure"), "ServiceUnavailable")] {
        let stage = Stage::new().await;
        stage.plant("scheduled-", 303);
        stage.emulator.inject(fault(effect, Occurrences::Always));
        let error = stage.step(&three(), json!({})).await.unwrap_err();
        assert_eq!(error.name(), name);
        // Ten deletions of three attempts each, and those that were in flight.
        assert!(stage.count_of("DeleteApplicationSnapshot") <= 13 * 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stops_to_take_calls_is_asked_again_later() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 303);
    stage.emulator.inject(fault(Effect::Throttle, Occurrences::From(50)));
    let report = stage.prune(&three()).await;
    assert_eq!((report.deleted, report.next, report.wait_seconds), (49, PruneNext::Prune, 30));
    stage.emulator.clear_faults();
    let report = stage.step(&three(), json!({ "report": report })).await.unwrap();
    assert_eq!((report.deleted, report.left, report.next, report.steps), (300, 0, PruneNext::End, 2));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_delete_stops_at_once() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 303);
    stage.emulator.inject(fault(refusal("AccessDeniedException"), Occurrences::Always));
    let error = stage.step(&three(), json!({})).await.unwrap_err();
    assert_eq!(error.name(), "AccessDenied");
    assert!(stage.count_of("DeleteApplicationSnapshot") <= 4);
}

#[tokio::test(start_paused = true)]
async fn while_a_deployment_is_under_way_nothing_is_deleted() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 10);
    let execution = stage.deploy().await;
    let report = stage.prune(&three()).await;
    assert_eq!((report.deployment.as_deref(), report.deleted, report.left), (Some(execution.as_str()), 0, 0));
    assert_eq!(report.kept_because[&KeepReason::DeploymentUnderWay], 10);
    assert_eq!(stage.deleted(), Vec::<String>::new());
    stage.emulator.executions().ended(&execution, ExecutionEnd::Succeeded { output: "{}".into() }).unwrap();
    let report = stage.prune(&three()).await;
    assert_eq!((report.deployment, report.deleted), (None, 7));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_begins_stops_the_deletions() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 1_003);
    let retention = three();
    let (report, execution) = tokio::join!(stage.prune(&retention), async {
        stage.emulator.clock().sleep(Duration::from_secs(4)).await;
        stage.deploy().await
    });
    assert_eq!(report.deployment, Some(execution));
    assert_eq!(report.next, PruneNext::End);
    assert!(report.deleted > 0 && report.left >= 100, "{} {}", report.deleted, report.left);
    assert_eq!(stage.deleted().len(), report.deleted);
}

#[tokio::test(start_paused = true)]
async fn room_is_made_by_the_oldest_of_ours_and_waited_for() {
    let stage = Stage::new().await;
    stage.plant("by-hand-", 400);
    stage.plant("scheduled-", 600);
    let retention = json!({ "keepNewest": 300, "keepYoungerThanHours": 87_600 });
    let full = stage.prune(&retention).await;
    assert_eq!((full.deleted, full.left), (0, 0));
    assert_eq!(full.warning, Some(QuotaWarning { snapshots: QUOTA, quota: QUOTA }));
    let report = stage.step(&retention, json!({ "makeRoom": 1 })).await.unwrap();
    assert_eq!((report.deleted, report.next, report.wait_seconds), (1, PruneNext::Prune, 10));
    assert_eq!(report.goes[0].why, "a new one needs the room");
    // Before the service is done, no other one goes in its place.
    let report = stage.step(&retention, json!({ "makeRoom": 1, "report": report })).await.unwrap();
    assert_eq!((report.deleted, report.next), (1, PruneNext::Prune));
    stage.emulator.clock().sleep(Duration::from_secs(10)).await;
    let report = stage.step(&retention, json!({ "makeRoom": 1, "report": report })).await.unwrap();
    assert_eq!((report.deleted, report.next, report.steps), (1, PruneNext::End, 3));
    assert_eq!(stage.deleted(), ["scheduled-0"]);
    assert_eq!(stage.left().await, 999);
}

#[tokio::test(start_paused = true)]
async fn no_room_is_made_of_what_is_not_ours() {
    let stage = Stage::new().await;
    stage.plant("by-hand-", 1_000);
    let report = stage.step(&json!({}), json!({ "makeRoom": 1 })).await.unwrap();
    assert_eq!((report.deleted, report.room_lacking, report.next), (0, 1, PruneNext::End));
}

#[tokio::test(start_paused = true)]
async fn of_an_application_that_is_not_there_nothing_is_said_but_that() {
    let stage = Stage::new().await;
    let report = stage.step(&three(), json!({ "application": "payments" })).await.unwrap();
    assert_eq!(report, PruneReport::gone("payments", false));
    assert_eq!(stage.lines.take(), "");
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_newest_ready_one_and_their_number_are_measured() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 10);
    let creating =
        PlantedSnapshot { status: SnapshotStatus::Creating, ..PlantedSnapshot::new("scheduled-10", stage.now()) };
    stage.emulator.plant_snapshots("orders", vec![creating]).unwrap();
    let report = stage.prune(&three()).await;
    let newest = report.newest_ready.unwrap();
    assert_eq!((newest.snapshot.as_str(), newest.age_seconds), ("scheduled-9", Some(3_600)));
    let metrics: Value = serde_json::from_str(&stage.lines.take()).unwrap();
    assert_eq!(
        (&metrics["Application"], &metrics["NewestSnapshotAge"], &metrics["Snapshots"]),
        (&json!("orders"), &json!(3_600), &json!(4))
    );

    let without = Stage::new().await;
    without.prune(&three()).await;
    let metrics: Value = serde_json::from_str(&without.lines.take()).unwrap();
    assert_eq!(
        (metrics.get("NewestSnapshotAge"), &metrics["Snapshots"]),
        (None, &json!(0)),
        "no age of what is not there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retention_that_cannot_be_meant_is_refused_before_anything_is_read() {
    let stage = Stage::new().await;
    for (retention, field) in
        [(json!({ "keepNewest": 0 }), "retention.keepNewest"), (json!({ "keep": 1 }), "retention.keep")]
    {
        let error = stage.step(&retention, json!({})).await.unwrap_err();
        assert_eq!(error.name(), "InvalidEvent");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(stage.calls().len(), 1, "only the one that created the application");
}

#[tokio::test(start_paused = true)]
async fn a_step_before_that_failed_for_good_is_no_obstacle() {
    let stage = Stage::new().await;
    stage.plant("scheduled-", 5);
    let failed = json!({ "next": "End", "error": { "state": "PruneSnapshots", "error": "Throttled" } });
    let report = stage.step(&three(), json!({ "report": failed })).await.unwrap();
    assert_eq!((report.deleted, report.steps), (2, 1));
    let none = stage.step(&three(), json!({ "report": null })).await.unwrap();
    assert_eq!(none.steps, 1);
}
