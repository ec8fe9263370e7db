//! The service with real Apache Flink behind it, through its wire protocols: what each call does to a job that keeps count
//! of every record. The transitions' own times are cut to nothing that matters; Flink's are what they are. Everything
//! here waits for what has to happen with a deadline that only a hang reaches.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

#[path = "support/ledger.rs"]
mod ledger;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use emulator::cloudwatch::Publication;
use emulator::flink::{FlinkDataPlane, FlinkOptions, default_tools_directory, job_jars};
use emulator::{Emulator, EmulatorConfig, Timings};
use serde_json::{Value, json};
use tempfile::TempDir;

use ledger::Entry;

const DEADLINE: Duration = Duration::from_mins(2);
const NAME: &str = "orders";
const GROUP: &str = "/aws/kinesis-analytics/orders";
/// Twenty seconds of the service's time in one: its transitions take a second each, a minute of metrics three.
const SPEED: u32 = 20;

/// The service, and the file that the job's ledger writes.
struct Service {
    emulator: Emulator,
    plane: Arc<FlinkDataPlane>,
    jars: BTreeMap<String, PathBuf>,
    folder: TempDir,
}

/// What the state held, if it held every number from 0 on exactly once.
fn exact(entry: &Entry) -> i64 {
    assert!(entry.is_exact(), "{entry:?}");
    entry.counted
}

impl Service {
    async fn new() -> Self {
        Self::with(FlinkOptions::default()).await
    }

    async fn with(options: FlinkOptions) -> Self {
        let jars = job_jars(&default_tools_directory()).await.unwrap();
        let options = FlinkOptions { restart_delay: Duration::from_millis(200), ..options };
        let plane = Arc::new(FlinkDataPlane::launch(options).await.unwrap());
        let emulator = Emulator::new(EmulatorConfig {
            timings: Timings::brisk(),
            publication: Publication { delay: Duration::ZERO, only_non_zero: false },
            ..EmulatorConfig::new(Clock::starting_at(Clock::wall().now(), SPEED), plane.clone())
        });
        Self { emulator, plane, jars, folder: tempfile::tempdir().unwrap() }
    }

    async fn request(&self, target: &str, body: &Value) -> Result<Value, (String, String)> {
        let request = http::Request::post("/").header("x-amz-target", target);
        let response = self.emulator.handle(request.body(Bytes::from(body.to_string())).unwrap()).await;
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        if response.status().is_success() {
            return Ok(answer);
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Err((text("__type"), text("message")))
    }

    /// A call about the application.
    async fn call(&self, operation: &str, mut body: Value) -> Value {
        body["ApplicationName"] = json!(NAME);
        self.request(&format!("KinesisAnalytics_20180523.{operation}"), &body).await.unwrap()
    }

    async fn control(&self, call: &str, body: Value) {
        let request = http::Request::post(format!("/_emulator/{call}"));
        let response = self.emulator.handle(request.body(Bytes::from(body.to_string())).unwrap()).await;
        assert!(response.status().is_success(), "{response:?}");
    }

    /// The variant's jar as an object of the code bucket, under its own name.
    fn upload(&self, variant: &str) {
        let content = std::fs::read(&self.jars[variant]).unwrap();
        self.emulator.code().put("code", &format!("{variant}.jar"), content);
    }

    fn properties(&self, more: &[(&str, &str)]) -> Value {
        let mut map = json!({ "ledger.file": self.folder.path().join("ledger.jsonl"), "after.seconds": "1" });
        for (key, value) in more {
            map[key] = json!(value);
        }
        json!({ "PropertyGroups": [{ "PropertyGroupId": "Job", "PropertyMap": map }] })
    }

    /// Creates the application with the healthy job on Flink 1.20, with two tasks a vertex and a checkpoint every 300 ms.
    async fn create(&self) {
        self.upload("healthy");
        let location = json!({ "BucketARN": "arn:aws:s3:::code", "FileKey": "healthy.jar" });
        let stream = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:job");
        let body = json!({
            "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/flink",
            "CloudWatchLoggingOptions": [{ "LogStreamARN": stream }],
            "ApplicationConfiguration": {
                "ApplicationCodeConfiguration": {
                    "CodeContentType": "ZIPFILE",
                    "CodeContent": { "S3ContentLocation": location },
                },
                "EnvironmentProperties": self.properties(&[]),
                "FlinkApplicationConfiguration": {
                    "CheckpointConfiguration": { "ConfigurationType": "CUSTOM", "CheckpointInterval": 300 },
                    "ParallelismConfiguration": { "ConfigurationType": "CUSTOM", "Parallelism": 2 },
                },
            },
        });
        self.call("CreateApplication", body).await;
    }

    async fn detail(&self) -> Value {
        self.call("DescribeApplication", json!({})).await["ApplicationDetail"].take()
    }

    async fn until_status(&self, wanted: &str) {
        until(wanted, async || (self.detail().await["ApplicationStatus"] == wanted).then_some(())).await;
    }

    /// Waits for the end of an operation, and answers its details.
    async fn ended(&self, answer: &Value) -> Value {
        let body = json!({ "OperationId": answer["OperationId"] });
        until("the operation has ended", async || {
            let details = self.call("DescribeApplicationOperation", body.clone()).await;
            let details = details["ApplicationOperationInfoDetails"].clone();
            (details["OperationStatus"] != "IN_PROGRESS").then_some(details)
        })
        .await
    }

    /// Starts the application with this restore configuration, and waits until its tasks run.
    async fn start(&self, restore: Value) {
        let body = json!({ "RunConfiguration": { "ApplicationRestoreConfiguration": restore } });
        let details = self.ended(&self.call("StartApplication", body).await).await;
        assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
        self.until_healthy().await;
    }

    /// Updates the current version, and answers the details of the operation.
    async fn update(&self, mut body: Value) -> Value {
        body["CurrentApplicationVersionId"] = self.detail().await["ApplicationVersionId"].take();
        self.ended(&self.call("UpdateApplication", body).await).await
    }

    /// An update to the code of another variant.
    fn to_variant(&self, variant: &str) -> Value {
        self.upload(variant);
        json!({ "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": {
            "S3ContentLocationUpdate": { "FileKeyUpdate": format!("{variant}.jar") },
        } } } })
    }

    async fn stop(&self, force: bool) {
        let details = self.ended(&self.call("StopApplication", json!({ "Force": force })).await).await;
        assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
        assert_eq!(self.detail().await["ApplicationStatus"], "READY");
    }

    /// The names of the snapshots, the newest first.
    async fn snapshots(&self) -> Vec<String> {
        let answer = self.call("ListApplicationSnapshots", json!({})).await;
        let all = answer["SnapshotSummaries"].as_array().unwrap();
        all.iter().map(|snapshot| snapshot["SnapshotName"].as_str().unwrap().to_owned()).collect()
    }

    /// A GET of Flink's REST API through a presigned URL; none while there is no such URL.
    async fn flink(&self, path: &str) -> Option<Value> {
        let body = json!({ "ApplicationName": NAME, "UrlType": "FLINK_DASHBOARD_URL" });
        let answer = self.request("KinesisAnalytics_20180523.CreateApplicationPresignedUrl", &body).await.ok()?;
        let (base, token) = answer["AuthorizedUrl"].as_str().unwrap().split_once('?').unwrap();
        let (status, body) = self.emulator.get(&format!("{base}{path}?{token}")).await.unwrap();
        (status == 200).then(|| serde_json::from_slice(&body).unwrap())
    }

    /// `/jobs/:id` of the running job.
    async fn job(&self) -> Option<Value> {
        let overview = self.flink("/jobs/overview").await?;
        let id = overview.pointer("/jobs/0/jid")?.as_str()?.to_owned();
        self.flink(&format!("/jobs/{id}")).await
    }

    /// The job, once all its tasks run.
    async fn until_healthy(&self) -> Value {
        until("the job is healthy", async || {
            let job = self.job().await?;
            let vertices = job["vertices"].as_array()?;
            let runs = vertices.iter().all(|vertex| vertex["tasks"]["RUNNING"] == vertex["parallelism"]);
            (job["state"] == "RUNNING" && runs && !vertices.is_empty()).then_some(job)
        })
        .await
    }

    fn ledger(&self) -> Vec<Entry> {
        ledger::read(self.folder.path())
    }

    /// How often the job was started without state.
    fn fresh_starts(&self) -> usize {
        self.ledger().iter().filter(|entry| entry.event == "started").count()
    }

    /// What the job was restored with last, and whether that is all that was in a snapshot before: nothing lost, nothing twice.
    fn restored_exactly(&self) -> i64 {
        let ledger = self.ledger();
        let position = ledger.iter().rposition(|entry| entry.event == "restored").unwrap();
        let restored = &ledger[position];
        let snapshot = ledger[..position].iter().rev().find(|it| it.checkpoint == restored.checkpoint);
        assert_eq!(exact(restored), exact(snapshot.unwrap()));
        restored.counted
    }

    /// Waits until the job has completed a checkpoint with more than this in it; what is in it then. The ledger writes
    /// when a checkpoint begins, and one that is not complete is not what a job comes back from.
    async fn until_counted(&self, more_than: i64) -> i64 {
        until("the count goes on", async || {
            let job = self.job().await?;
            let checkpoints = self.flink(&format!("/jobs/{}/checkpoints", job["jid"].as_str()?)).await?;
            let completed = checkpoints.pointer("/latest/completed/id")?.as_i64()?;
            let ledger = self.ledger();
            let entry = ledger.iter().rfind(|it| it.event == "snapshot" && it.checkpoint == completed)?;
            (entry.counted > more_than).then(|| exact(entry))
        })
        .await
    }

    /// Events of the application's log that a pattern finds, each as the JSON that it is.
    async fn log(&self, pattern: &str) -> Vec<Value> {
        let body = json!({ "logGroupName": GROUP, "filterPattern": pattern });
        let answer = self.request("Logs_20140328.FilterLogEvents", &body).await.unwrap();
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|event| serde_json::from_str(event["message"].as_str().unwrap()).unwrap()).collect()
    }

    /// The newest value of one of the service's metrics; none if it has none.
    async fn metric(&self, name: &str) -> Option<f64> {
        let now = self.emulator.clock().now().as_second();
        let metric = json!({
            "Namespace": "AWS/KinesisAnalytics",
            "MetricName": name,
            "Dimensions": [{ "Name": "Application", "Value": NAME }],
        });
        let query = json!({ "Id": "a", "MetricStat": { "Metric": metric, "Period": 60, "Stat": "Maximum" } });
        let body = json!({ "StartTime": now - 180, "EndTime": now + 60, "MetricDataQueries": [query] });
        let answer = self.request("GraniteServiceVersion20100801.GetMetricData", &body).await.unwrap();
        answer["MetricDataResults"][0]["Values"][0].as_f64()
    }

    async fn until_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        until(name, async || self.metric(name).await.filter(|value| wanted(*value)).map(|_| ())).await;
    }

    async fn end(self) {
        self.emulator.shut_down().await;
    }
}

async fn until<T>(what: &str, attempt: impl AsyncFn() -> Option<T>) -> T {
    let tries = async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, tries).await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn error(details: &Value) -> &str {
    details.pointer("/OperationFailureDetails/ErrorInfo/ErrorString").and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_stops_and_starts_keep_the_state_that_they_say() {
    let service = Service::new().await;
    service.create().await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    // The first start has nothing to restore from. That there is a ledger shows that the runtime properties arrive.
    assert_eq!(service.fresh_starts(), 1);
    service.until_counted(0).await;

    // Parallelism, checkpoint interval and properties in one update of the running application.
    let update = json!({ "ApplicationConfigurationUpdate": {
        "FlinkApplicationConfigurationUpdate": {
            "CheckpointConfigurationUpdate": { "ConfigurationTypeUpdate": "CUSTOM", "CheckpointIntervalUpdate": 400 },
            "ParallelismConfigurationUpdate": { "ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": 3 },
        },
        "EnvironmentPropertyUpdates": service.properties(&[("records.per.second", "300")]),
    } });
    let details = service.update(update).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    let job = service.until_healthy().await;
    assert_eq!(job["vertices"][1]["parallelism"], 3);
    let path = format!("/jobs/{}/checkpoints/config", job["jid"].as_str().unwrap());
    assert_eq!(service.flink(&path).await.unwrap()["interval"], 400);
    let restored = service.restored_exactly();
    service.until_counted(restored).await;
    assert_eq!(service.snapshots().await.len(), 1);

    // A named snapshot, then a forced stop, which takes none.
    service.call("CreateApplicationSnapshot", json!({ "SnapshotName": "named" })).await;
    let named = json!({ "SnapshotName": "named" });
    until("the snapshot is READY", async || {
        let answer = service.call("DescribeApplicationSnapshot", named.clone()).await;
        (answer["SnapshotDetails"]["SnapshotStatus"] == "READY").then_some(())
    })
    .await;
    service.until_counted(service.ledger().last().unwrap().counted).await;
    service.stop(true).await;
    assert_eq!(service.snapshots().await, ["named".to_owned(), service.snapshots().await[1].clone()]);

    // By name: the state of that snapshot, which is older than what was counted.
    let counted = service.ledger().last().unwrap().counted;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "named" })).await;
    let restored = service.restored_exactly();
    assert!(restored < counted, "{restored} of {counted}");
    let later = service.until_counted(counted).await;

    // The latest: the one that the stop took.
    service.stop(false).await;
    assert_eq!(service.snapshots().await.len(), 3);
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    assert!(service.restored_exactly() >= later);

    // None at all.
    service.stop(true).await;
    service.start(json!({ "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" })).await;
    assert_eq!(service.fresh_starts(), 2);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_fail_are_undone_with_the_state() {
    let service = Service::new().await;
    service.create().await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    service.until_counted(0).await;

    // A submission that Flink refuses: FAILED, READY, and the state is in the snapshot that was taken before.
    let details = service.update(service.to_variant("main-throws")).await;
    assert_eq!(details["OperationStatus"], "FAILED");
    assert_eq!(error(&details), "java.lang.IllegalStateException: injected: main throws");
    assert_eq!(service.detail().await["ApplicationStatus"], "READY");
    assert!(service.plane.figures(NAME).await.is_none(), "a JVM is left");
    let details = service.update(service.to_variant("healthy")).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    let mut counted = service.until_counted(service.restored_exactly()).await;

    // With system rollback the service goes back by itself: to the code copy, though the object is another one by now.
    let mut update = service.to_variant("removed-uid");
    update["ApplicationConfigurationUpdate"]["ApplicationSystemRollbackConfigurationUpdate"] =
        json!({ "RollbackEnabledUpdate": true });
    service.emulator.code().put("code", "healthy.jar", "not a jar any more");
    let details = service.update(update).await;
    assert_eq!(details["OperationStatus"], "FAILED");
    assert!(error(&details).contains("Cannot map checkpoint/savepoint state"), "{details}");
    let rollback = json!({ "OperationId": details["OperationFailureDetails"]["RollbackOperationId"] });
    assert_eq!(service.ended(&rollback).await["OperationStatus"], "SUCCESSFUL");
    service.until_healthy().await;
    assert!(service.restored_exactly() >= counted);
    counted = service.until_counted(service.restored_exactly()).await;

    // The same change, allowed to drop the state of the uid that is gone.
    let mut update = service.to_variant("removed-uid");
    update["RunConfigurationUpdate"] = json!({ "FlinkRunConfiguration": { "AllowNonRestoredState": true } });
    let details = service.update(update).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    service.until_healthy().await;
    let restored = service.ledger().into_iter().rfind(|entry| entry.event == "restored").unwrap();
    assert!(restored.counted >= counted, "{restored:?}");

    // A rollback that somebody asks for.
    let body = json!({ "CurrentApplicationVersionId": service.detail().await["ApplicationVersionId"] });
    let details = service.ended(&service.call("RollbackApplication", body).await).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    service.until_healthy().await;
    service.until_counted(service.restored_exactly()).await;
    assert_eq!(service.fresh_starts(), 1);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_fails_is_seen_in_the_logs_and_metrics_of_its_runtime() {
    let service = Service::new().await;
    service.create().await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    service.until_metric("fullRestarts", |restarts| restarts == 0.0).await;
    service.until_metric("lastCheckpointSize", |bytes| bytes > 0.0).await;
    service.until_metric("uptime", |milliseconds| milliseconds > 0.0).await;
    assert_eq!(service.metric("numRestarts").await, None);

    // To Flink 2.3, with code that fails again and again: the operation succeeds all the same.
    let mut update = service.to_variant("open-fails");
    update["RuntimeEnvironmentUpdate"] = json!("FLINK-2_3");
    let details = service.update(update).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    assert_eq!(service.detail().await["ApplicationStatus"], "RUNNING");
    let version = until("the version is told", async || service.flink("/config").await).await;
    assert_eq!(version["flink-version"], "2.3.0");
    service.until_metric("numRestarts", |restarts| restarts >= 2.0).await;
    service.until_metric("restartingTime", |milliseconds| milliseconds > 0.0).await;

    let failed = until("the failure is in the log", async || {
        let pattern =
            r#"{ $.message = "Counter (*switched from INITIALIZING to FAILED*" && $.applicationVersionId = "2" }"#;
        service.log(pattern).await.into_iter().next()
    })
    .await;
    let arn = service.detail().await["ApplicationARN"].clone();
    assert_eq!((&failed["applicationARN"], &failed["messageType"]), (&arn, &json!("WARN")));
    assert_eq!(failed["logger"], "org.apache.flink.runtime.taskmanager.Task");
    assert!(failed["locationInformation"].as_str().unwrap().contains("Task.java:"), "{failed}");
    assert!(failed["threadName"].as_str().unwrap().starts_with("Counter ("), "{failed}");
    let trace = failed["throwableInformation"].as_str().unwrap();
    assert!(
        trace.starts_with("java.lang.IllegalStateException: injected: open fails\n\tat faultjobs.Counter.open("),
        "{trace}"
    );
    // The healthy job's log is that of the version before.
    assert!(
        !service
            .log(r#"{ $.message = "*switched from INITIALIZING to RUNNING*" && $.applicationVersionId = "1" }"#)
            .await
            .is_empty()
    );
    assert!(service.log(r#"{ $.message = "*to FAILED*" && $.applicationVersionId = "1" }"#).await.is_empty());

    let body = json!({ "logGroupName": GROUP, "logStreamName": "job", "limit": 1 });
    let newest = service.request("Logs_20140328.GetLogEvents", &body).await.unwrap();
    assert_eq!(newest["events"].as_array().unwrap().len(), 1);

    // Back to 1.20: the state is the one from before the change, exactly.
    let body = json!({ "CurrentApplicationVersionId": service.detail().await["ApplicationVersionId"] });
    let details = service.ended(&service.call("RollbackApplication", body).await).await;
    assert_eq!(details["OperationStatus"], "SUCCESSFUL", "{details}");
    service.until_healthy().await;
    assert_eq!(service.flink("/config").await.unwrap()["flink-version"], "1.20.5");
    service.until_counted(service.restored_exactly()).await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_does_by_itself_loses_nothing() {
    let service = Service::new().await;
    service.create().await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    service.until_counted(0).await;

    service.control("autoscale", json!({ "application": NAME, "parallelism": 4 })).await;
    service.until_status("RUNNING").await;
    assert_eq!(service.until_healthy().await["vertices"][1]["parallelism"], 4);
    service.until_counted(service.restored_exactly()).await;

    service.control("maintenance", json!({ "application": NAME, "seconds": 5 })).await;
    assert_eq!(service.detail().await["ApplicationStatus"], "MAINTENANCE");
    service.until_status("RUNNING").await;
    service.until_healthy().await;
    let counted = service.until_counted(service.restored_exactly()).await;

    let before = service.ledger().iter().filter(|entry| entry.event == "restored").count();
    service.control("lose-task-manager", json!({ "application": NAME })).await;
    until("the job is restored", async || {
        let restored = service.ledger().iter().filter(|entry| entry.event == "restored").count();
        (restored > before).then_some(())
    })
    .await;
    assert!(service.restored_exactly() >= counted);
    service.until_healthy().await;
    assert_eq!(service.fresh_starts(), 1);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_killed_is_told_of_and_can_be_replaced() {
    let properties = tempfile::tempdir().unwrap();
    let shared = properties.path().join("flink").join("application_properties.json");
    let service =
        Service::with(FlinkOptions { shared_properties_file: Some(shared.clone()), ..FlinkOptions::default() }).await;
    service.create().await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    let written: Value = serde_json::from_slice(&std::fs::read(shared).unwrap()).unwrap();
    assert_eq!(written[0]["PropertyGroupId"], "Job");
    assert_eq!(written[0]["PropertyMap"]["after.seconds"], "1");
    service.until_counted(0).await;
    let figures = service.plane.figures(NAME).await.unwrap();
    let resident = figures.resident_bytes.unwrap() / (1024 * 1024);
    println!("figure: a cluster is ready after {:.1} s and takes {resident} MiB", figures.ready_after.as_secs_f64());
    // Not the 260 MiB that it should be, so that no other machine's Java fails it; a leak or a wrong flag would.
    assert!((50..400).contains(&resident), "{resident} MiB");

    let process = figures.process_id.unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-9", &process]).status().unwrap().success());
    let told = until("the end is in the log", async || {
        service.log(r#"{ $.messageType = "ERROR" && $.message = "*has ended by itself*" }"#).await.into_iter().next()
    })
    .await;
    assert!(told["message"].as_str().unwrap().contains("killed (signal 9)"), "{told}");
    assert!(service.flink("/jobs").await.is_none());

    // There was no snapshot: the service cannot stop it but by force, and it begins anew.
    let details = service.ended(&service.call("StopApplication", json!({ "Force": false })).await).await;
    assert_eq!(details["OperationStatus"], "FAILED", "{details}");
    service.stop(true).await;
    service.start(json!({ "ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT" })).await;
    assert_eq!(service.fresh_starts(), 2);
    service.end().await;
}
