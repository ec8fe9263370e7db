//! The sandbox as clients see it, over HTTP and with the AWS SDKs: with the handlers in the process, and once as people
//! start it, with the real Lambdas.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesisanalyticsv2::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use clock::Clock;
use scenarios::sandbox::{APPLICATION_NAME, BAD_KEY, GOOD_KEY, Options, SNAPSHOT, Sandbox};
use scenarios::snapshot_scenarios::SNAPSHOT_FUNCTIONS;
use scenarios::world::{BUCKET, FUNCTIONS};
use serde_json::{Value, json};

const SANDBOX: &str = env!("CARGO_BIN_EXE_sandbox");
/// How long an execution may take, in real time.
const PATIENCE: Duration = Duration::from_mins(2);
const FAST: Options = Options { port: 0, speed: 1_000, flink: None };

fn sdk(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("sandbox", "any", None, None, "test")))
        .endpoint_url(endpoint)
        .build()
}

async fn machine(client: &Client, name: &str) -> String {
    let machines = client.list_state_machines().send().await.unwrap().state_machines;
    machines.into_iter().find(|machine| machine.name == name).unwrap().state_machine_arn
}

/// A change to this code.
fn to_code(key: &str, version: Option<&str>) -> Value {
    let mut location = json!({ "BucketARNUpdate": format!("arn:aws:s3:::{BUCKET}"), "FileKeyUpdate": key });
    if let Some(version) = version {
        location["ObjectVersionUpdate"] = version.into();
    }
    json!({ "application": APPLICATION_NAME, "update": { "ApplicationConfigurationUpdate": {
        "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": { "S3ContentLocationUpdate": location } } } } })
}

async fn start(client: &Client, machine_name: &str, name: &str, input: &Value) -> String {
    let start = client.start_execution().state_machine_arn(machine(client, machine_name).await).name(name);
    start.input(input.to_string()).send().await.unwrap().execution_arn
}

/// All events of an execution, once it has ended.
async fn followed(client: &Client, arn: &str) -> Vec<HistoryEvent> {
    let follow = async {
        loop {
            let mut events = Vec::new();
            let mut pages = client.get_execution_history().execution_arn(arn).max_results(20).into_paginator().send();
            while let Some(page) = pages.next().await {
                events.extend(page.unwrap().events);
            }
            if events.last().is_some_and(|last| is_end(&last.r#type)) {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.unwrap()
}

fn is_end(kind: &HistoryEventType) -> bool {
    use HistoryEventType as Type;
    matches!(kind, Type::ExecutionSucceeded | Type::ExecutionFailed | Type::ExecutionAborted | Type::ExecutionTimedOut)
}

/// The states that were entered, in order.
fn entered(events: &[HistoryEvent]) -> Vec<&str> {
    events.iter().filter_map(|event| Some(event.state_entered_event_details.as_ref()?.name.as_str())).collect()
}

fn count(events: &[HistoryEvent], kind: &HistoryEventType) -> usize {
    events.iter().filter(|event| event.r#type == *kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_is_uploaded_deployed_and_followed_by_the_history() {
    let sandbox = Sandbox::start_in_process(FAST).await.unwrap();
    let config = sdk(sandbox.endpoint());
    let application = sandbox.emulator().application(APPLICATION_NAME).unwrap();
    assert_eq!((application.status.as_str(), application.version), ("RUNNING", 1));
    let drift = sandbox.emulator().clock().now().duration_since(Clock::wall().now());
    assert!(drift.as_secs().abs() < 60, "the clock shows the time of day, but for {drift}");
    let flink = aws_sdk_kinesisanalyticsv2::Client::new(&config);
    let snapshots = flink.list_application_snapshots().application_name(APPLICATION_NAME).send().await.unwrap();
    let names: Vec<_> = snapshots.snapshot_summaries.unwrap().into_iter().map(|it| it.snapshot_name).collect();
    assert_eq!(names, [SNAPSHOT]);
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let key = "applications/orders/orders-2.0.0.jar";
    let put = s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"PK")).send().await.unwrap();

    let client = Client::new(&config);
    let arn = start(&client, "deploy", "release-2", &to_code(key, put.version_id.as_deref())).await;
    let events = followed(&client, &arn).await;
    let states = entered(&events);
    for state in ["TakeTurn", "Prepare", "SubmitUpdate", "WaitForOperation", "CheckSubtasks", "Notify"] {
        assert!(states.contains(&state), "{state} is not among {states:?}");
    }
    assert_eq!(count(&events, &HistoryEventType::TaskScheduled), count(&events, &HistoryEventType::TaskSucceeded));
    assert_eq!(count(&events, &HistoryEventType::TaskStateEntered), count(&events, &HistoryEventType::TaskStateExited));
    assert!(events.iter().zip(1..).all(|(event, id)| event.id == id));
    assert!(events.windows(2).all(|pair| pair[0].timestamp.as_nanos() <= pair[1].timestamp.as_nanos()));
    let last = events.last().unwrap();
    assert_eq!(last.r#type, HistoryEventType::ExecutionSucceeded, "{last:?}");
    let output = last.execution_succeeded_event_details.as_ref().unwrap().output.as_deref();
    let report: Value = serde_json::from_str(output.unwrap()).unwrap();
    assert_eq!((&report["outcome"], &report["versionAfter"]), (&json!("Deployed"), &json!(2)));
    let described = client.describe_execution().execution_arn(&arn).send().await.unwrap();
    assert_eq!((described.status, described.output.as_deref()), (ExecutionStatus::Succeeded, output));

    // What is stopped ends at once, and nothing more is told of it.
    let arn = start(&client, "deploy", "stopped", &to_code(GOOD_KEY, None)).await;
    client.stop_execution().execution_arn(&arn).error("Manual").send().await.unwrap();
    let events = followed(&client, &arn).await;
    let end = events.last().unwrap().execution_aborted_event_details.as_ref().unwrap();
    assert_eq!(end.error.as_deref(), Some("Manual"));
    sandbox.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_taken_by_an_execution_of_their_own() {
    let sandbox = Sandbox::start_in_process(FAST).await.unwrap();
    let client = Client::new(&sdk(sandbox.endpoint()));
    let arn = start(&client, "snapshot", "nightly", &json!({ "applications": [APPLICATION_NAME] })).await;
    let events = followed(&client, &arn).await;
    assert_eq!(events.last().unwrap().r#type, HistoryEventType::ExecutionSucceeded, "{events:#?}");
    let machine = machine(&client, "snapshot-application").await;
    let started = client.list_executions().state_machine_arn(machine).send().await.unwrap().executions;
    assert_eq!(started.len(), 1);
    let events = followed(&client, &started[0].execution_arn).await;
    assert!(entered(&events).contains(&"TakeSnapshot"), "{events:#?}");
    sandbox.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_people_start_it_a_crash_loop_comes_back_and_nothing_is_left_behind() {
    let directory = Path::new(SANDBOX).parent().unwrap();
    for (_, name) in FUNCTIONS.into_iter().chain(SNAPSHOT_FUNCTIONS) {
        assert!(directory.join(name).is_file(), "the Lambda {name} is not built: run `cargo xtask test`");
    }
    let mut sandbox = Command::new(SANDBOX);
    let sandbox = sandbox.args(["--port", "0", "--speed", "1000"]).stdout(Stdio::piped()).spawn();
    let mut sandbox = Ended(sandbox.unwrap());
    let out = BufReader::new(sandbox.0.stdout.take().unwrap());
    let line = out.lines().map(Result::unwrap).find(|line| line.contains("AWS_ENDPOINT_URL=")).unwrap();
    let endpoint = line.split(['=', ' ']).find(|word| word.starts_with("http://")).unwrap().to_owned();
    let client = Client::new(&sdk(&endpoint));
    let arn = start(&client, "deploy", "bad", &to_code(BAD_KEY, None)).await;
    let events = followed(&client, &arn).await;
    let failed = events.last().unwrap().execution_failed_event_details.as_ref().unwrap();
    assert_eq!(failed.error.as_deref(), Some("RolledBack"), "{failed:?}");
    // One that is under way is no obstacle.
    start(&client, "deploy", "good", &to_code(GOOD_KEY, None)).await;
    let terminated = Command::new("kill").arg(sandbox.0.id().to_string()).status().unwrap();
    assert!(terminated.success());
    let status = tokio::task::spawn_blocking(move || sandbox.0.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A process that does not outlive the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
