//! Many applications at once on the simulated data plane, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesisanalyticsv2::Client;
use aws_sdk_kinesisanalyticsv2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesisanalyticsv2::types::{
    ApplicationCodeConfiguration, ApplicationConfiguration, ApplicationStatus, CodeContent, CodeContentType,
    RuntimeEnvironment, S3ContentLocation, SnapshotStatus,
};
use clock::Clock;
use emulator::record::Event;
use emulator::simulated::{Behaviour, SimulatedDataPlane};
use emulator::{Emulator, EmulatorConfig, InProcessHttp, Timings};
use tokio::task::JoinSet;

const MANY: usize = 1_000;

fn name(number: usize) -> String {
    format!("app-{number:04}")
}

fn client(emulator: &Emulator) -> Client {
    let config = aws_sdk_kinesisanalyticsv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDFIRST", "secret", None, None, "test"))
        .http_client(InProcessHttp::new(emulator.clone()));
    Client::from_conf(config.build())
}

async fn create_and_start(client: &Client, name: String) {
    let location = S3ContentLocation::builder().bucket_arn("arn:aws:s3:::code").file_key("app.json").build().unwrap();
    let content = CodeContent::builder().s3_content_location(location).build();
    let code =
        ApplicationCodeConfiguration::builder().code_content_type(CodeContentType::Zipfile).code_content(content);
    let configuration = ApplicationConfiguration::builder().application_code_configuration(code.build().unwrap());
    let create = client.create_application().application_name(&name).application_configuration(configuration.build());
    let create = create.runtime_environment(RuntimeEnvironment::Flink120);
    create.service_execution_role("arn:aws:iam::123456789012:role/flink").send().await.unwrap();
    client.start_application().application_name(name).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_running_applications_take_a_snapshot_each() {
    let clock = Clock::starting_at("2026-01-05T08:00:00Z".parse().unwrap(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 7));
    let timings = Timings::default();
    let emulator = Emulator::new(EmulatorConfig { timings, ..EmulatorConfig::new(clock, data_plane) });
    emulator.code().put("code", "app.json", Behaviour::healthy().to_content());
    let client = client(&emulator);
    let mut tasks = JoinSet::new();
    for number in 0..MANY {
        let client = client.clone();
        tasks.spawn(async move { create_and_start(&client, name(number)).await });
    }
    tasks.join_all().await;
    emulator.clock().sleep(Duration::from_mins(5)).await;
    let mut tasks = JoinSet::new();
    for number in 0..MANY {
        let client = client.clone();
        tasks.spawn(async move {
            let described = client.describe_application().application_name(name(number)).send().await.unwrap();
            let status = described.application_detail.unwrap().application_status;
            assert_eq!(status, ApplicationStatus::Running, "{}", name(number));
            let create = client.create_application_snapshot().application_name(name(number)).snapshot_name("nightly");
            create.send().await.unwrap();
        });
    }
    tasks.join_all().await;
    emulator.clock().sleep(Duration::from_mins(1)).await;
    for number in 0..MANY {
        let list = client.list_application_snapshots().application_name(name(number)).send().await.unwrap();
        let found: Vec<_> = list.snapshot_summaries().iter().map(|snapshot| &snapshot.snapshot_status).collect();
        assert_eq!(found, [&SnapshotStatus::Ready], "{}", name(number));
    }
    let taken = emulator.record().into_iter().filter(|entry| matches!(entry.event, Event::SnapshotTaken { .. }));
    assert_eq!(taken.count(), MANY);
}
