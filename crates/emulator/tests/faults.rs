//! Faults at calls, what the record says of them, and who asked, through the real SDK, in virtual time.

mod support;

use std::time::Duration;

use aws_sdk_kinesisanalyticsv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesisanalyticsv2::types::{ApplicationStatus, OperationStatus, SnapshotStatus, UrlType};
use emulator::record::Event;
use emulator::{Effect, Fault, InProcessHttp, Loss, Occurrences, Timings, Unreachable};
use support::{NAME, World, code_of, epoch};

fn stop_fault(effect: Effect) -> Fault {
    Fault::new("StopApplication", effect).of(NAME).on(Occurrences::First(1))
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_not_done() {
    let refusal = Effect::Error { code: "ResourceInUseException".to_owned(), status: 400, message: "busy".to_owned() };
    let failure = Effect::Error { code: "InternalFailure".to_owned(), status: 503, message: "later".to_owned() };
    let table = [
        (refusal, 400, Some("ResourceInUseException")),
        (Effect::Throttle, 400, Some("ThrottlingException")),
        (failure, 503, Some("InternalFailure")),
    ];
    for (effect, status, code) in table {
        let world = World::with(Timings::brisk());
        world.running().await;
        world.emulator.inject(stop_fault(effect.clone()));
        let error = world.client.stop_application().application_name(NAME).send().await.unwrap_err();
        assert_eq!(error.code(), code, "{effect:?}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(world.status().await, "RUNNING");
        let call = world.calls().into_iter().find(|call| call.operation == "StopApplication").unwrap();
        assert_eq!((call.done, call.status, call.error.as_deref(), call.mutating), (false, status, code, true));
        world.stop(false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_is_of_a_call_that_was_done() {
    for (loss, status) in [(Loss::ServerError, 500), (Loss::ConnectionReset, 0)] {
        let world = World::with(Timings::brisk());
        world.running().await;
        world.emulator.inject(stop_fault(Effect::LostResponse(loss)));
        let error = world.client.stop_application().application_name(NAME).send().await.unwrap_err();
        match loss {
            Loss::ServerError => assert_eq!(error.code(), Some("InternalFailure")),
            Loss::ConnectionReset => assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}"),
        }
        assert_eq!(world.status().await, "STOPPING");
        let call = world.calls().into_iter().find(|call| call.operation == "StopApplication").unwrap();
        assert_eq!((call.done, call.status), (true, status));
        assert_eq!(call.before.unwrap().status, "RUNNING");
        assert_eq!(call.after.unwrap().status, "STOPPING");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_service_did_nothing() {
    let world = World::with(Timings::brisk());
    world.running().await;
    world.emulator.inject(stop_fault(Effect::Unreachable));
    let error = world.client.stop_application().application_name(NAME).send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(world.status().await, "RUNNING");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_of_a_call_that_was_done_in_time() {
    let world = World::with(Timings::brisk());
    world.running().await;
    world.emulator.inject(stop_fault(Effect::Delay(Duration::from_secs(40))));
    let before = world.emulator.clock().now();
    world.stop(false).await;
    assert_eq!(world.emulator.clock().now().duration_since(before).as_secs(), 40);
    assert_eq!(world.status().await, "READY");
}

#[tokio::test(start_paused = true)]
async fn calls_take_their_latency() {
    let world = World::new();
    world.create().await;
    let http = InProcessHttp::new(world.emulator.clone()).with_latency(Duration::from_millis(250));
    let before = world.emulator.clock().now();
    assert_eq!(http.get("https://emulator.amazonaws.com/flinkdashboard/jobs").await.unwrap().0, 403);
    assert_eq!(world.emulator.clock().now().duration_since(before).as_millis(), 250);
}

#[tokio::test(start_paused = true)]
async fn stale_reads_tell_what_was() {
    let world = World::new();
    world.running().await;
    world.sleep(20).await;
    let update = world.update().await;
    world.until(&ApplicationStatus::Running).await;
    let stale = |operation: &str, seconds| {
        world.emulator.clear_faults();
        world.emulator.inject(Fault::new(operation, Effect::StaleRead(Duration::from_secs(seconds))));
    };
    stale("DescribeApplication", 30);
    let detail = world.detail().await;
    assert_eq!((detail.application_status, detail.application_version_id), (ApplicationStatus::Updating, 2));
    stale("DescribeApplication", 100);
    let detail = world.detail().await;
    assert_eq!((detail.application_status, detail.application_version_id), (ApplicationStatus::Running, 1));
    stale("DescribeApplicationOperation", 30);
    assert_eq!(world.outcome(&update).await.0, OperationStatus::InProgress);
    stale("DescribeApplicationOperation", 100);
    let unknown =
        world.client.describe_application_operation().application_name(NAME).operation_id(&update).send().await;
    assert_eq!(code_of(unknown).as_deref(), Some("ResourceNotFoundException"));
    stale("ListApplicationSnapshots", 60);
    assert!(world.snapshots().await.is_empty());
    world.emulator.clear_faults();
    assert_eq!(world.snapshots().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn snapshots_can_fail_or_never_end() {
    let world = World::new();
    world.running().await;
    let table = [
        (Effect::OperationHangs, SnapshotStatus::Creating),
        (Effect::OperationFails("disk full".to_owned()), SnapshotStatus::Failed),
    ];
    for (number, (effect, status)) in table.into_iter().enumerate() {
        world.emulator.clear_faults();
        world.emulator.inject(Fault::new("CreateApplicationSnapshot", effect));
        world.snapshot(&format!("s-{number}")).await;
        world.sleep(3_600).await;
        assert_eq!(world.snapshots().await[0].snapshot_status, status);
    }
    assert_eq!(world.data_plane.asked(), ["prepare 1", "start 1 from None"]);
}

#[tokio::test(start_paused = true)]
async fn flinks_rest_api_can_fail_too() {
    let world = World::with(Timings::brisk());
    world.running().await;
    let url = world.client.create_application_presigned_url().application_name(NAME);
    let url = url.url_type(UrlType::FlinkDashboardUrl).send().await.unwrap().authorized_url.unwrap();
    let jobs = url.replace("/flinkdashboard?", "/flinkdashboard/jobs/overview?");
    let answer = Effect::Answer { status: 404, body: r#"{"errors":["Not found"]}"#.to_owned() };
    let table = [
        (answer, Ok((404, r#"{"errors":["Not found"]}"#))),
        (Effect::Truncated(5), Ok((200, r#"{"ord"#))),
        (Effect::Unreachable, Err(Unreachable)),
    ];
    for (effect, expected) in table {
        world.emulator.clear_faults();
        world.emulator.inject(Fault::new("flink:/jobs/overview", effect).of(NAME));
        let found = world.http.get(&jobs).await;
        assert_eq!(found, expected.map(|(status, body)| (status, body.into())));
    }
    world.emulator.clear_faults();
    assert_eq!(world.http.get(&jobs).await.unwrap().0, 200);
    let flink: Vec<_> = world.calls().into_iter().filter(|call| call.service == "flink").collect();
    assert_eq!(flink.len(), 4);
    for call in &flink {
        assert_eq!((call.operation.as_str(), call.application.as_deref()), ("/jobs/overview", Some(NAME)));
        assert_eq!((call.principal.as_deref(), call.mutating), (Some("AKIDFIRST"), false));
    }
}

#[tokio::test(start_paused = true)]
async fn other_services_fail_by_their_own_protocol() {
    let world = World::new();
    world.emulator.inject(Fault::new("cloudwatch:DescribeAlarms", Effect::Throttle));
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(aws_sdk_cloudwatch::config::BehaviorVersion::latest())
        .region(aws_sdk_cloudwatch::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_cloudwatch::config::Credentials::new("AKIDFIRST", "secret", None, None, "test"))
        .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
        .http_client(world.http.clone());
    let client = aws_sdk_cloudwatch::Client::from_conf(config.build());
    let error = client.describe_alarms().send().await.unwrap_err();
    assert_eq!(aws_sdk_cloudwatch::error::ProvideErrorMetadata::code(&error), Some("ThrottlingException"));
    world.emulator.clear_faults();
    client.describe_alarms().send().await.unwrap();
    let calls: Vec<_> = world.calls().into_iter().map(|call| (call.service, call.operation, call.status)).collect();
    let call = |status| ("cloudwatch".to_owned(), "DescribeAlarms".to_owned(), status);
    assert_eq!(calls, [call(400), call(200)]);
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_who_did_what_and_when() {
    let world = World::new();
    world.running().await;
    let other = world.client_as("AKIDSECOND");
    let update = other.update_application().application_name(NAME).current_application_version_id(1);
    update.send().await.unwrap();
    world.until(&ApplicationStatus::Running).await;
    let record = world.emulator.record();
    let seconds = |at: jiff::Timestamp| at.duration_since(epoch()).as_secs();
    let told: Vec<_> = record
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Call(call) if call.mutating => {
                Some((seconds(entry.at), format!("{} by {}", call.operation, call.principal.as_deref().unwrap())))
            }
            Event::Status { from, to, version, .. } => {
                let name = |status: &Option<String>| status.clone().unwrap_or_default();
                Some((seconds(entry.at), format!("{} → {} at {version}", name(from), name(to))))
            }
            Event::Version { from, to, cause, principal, .. } => {
                Some((seconds(entry.at), format!("{cause} {from} → {to} by {}", principal.as_deref().unwrap())))
            }
            Event::JobStarted(job) => Some((seconds(entry.at), format!("job {} of {}", job.job, job.version))),
            Event::JobEnded { job, how, .. } => Some((seconds(entry.at), format!("job {job} {how}"))),
            Event::SnapshotTaken { version, job, automatic, .. } => {
                Some((seconds(entry.at), format!("snapshot of job {job} at {version}, automatic: {automatic}")))
            }
            Event::OperationEnded { operation, status, .. } => {
                Some((seconds(entry.at), format!("{operation} {status}")))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (0, "CreateApplication by AKIDFIRST"),
        (0, " → READY at 0"),
        (0, "CreateApplication 0 → 1 by AKIDFIRST"),
        (0, "StartApplication by AKIDFIRST"),
        (0, "READY → STARTING at 1"),
        (58, "job 1 of 1"),
        (60, "StartApplication SUCCESSFUL"),
        (60, "STARTING → RUNNING at 1"),
        (60, "UpdateApplication by AKIDSECOND"),
        (60, "UpdateApplication 1 → 2 by AKIDSECOND"),
        (60, "RUNNING → UPDATING at 2"),
        (113, "snapshot of job 1 at 1, automatic: true"),
        (113, "job 1 stoppedWithSnapshot"),
        (148, "job 2 of 2"),
        (150, "UpdateApplication SUCCESSFUL"),
        (150, "UPDATING → RUNNING at 2"),
    ];
    assert_eq!(told, expected.map(|(second, text)| (second, text.to_owned())));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Vec<emulator::RecordEntry>>(&text).unwrap(), record);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_record() {
    let play = async || {
        let world = World::new();
        world.running().await;
        world.update().await;
        world.until(&ApplicationStatus::Running).await;
        world.roll_back().await;
        world.until(&ApplicationStatus::Running).await;
        world.emulator.record()
    };
    assert_eq!(play().await, play().await);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_call_hears_of_it_before_its_answer() {
    let world = World::with(Timings::brisk());
    world.running().await;
    let made = world.emulator.calls_made_by("AKIDFIRST");
    assert_eq!(usize::try_from(made).unwrap(), world.calls().len());
    assert_eq!(world.emulator.calls_made_by("AKIDSECOND"), 0);
    let late = Duration::from_secs(40);
    world.emulator.inject(Fault::new("**", Effect::Delay(late)).by("AKIDFIRST").on(Occurrences::Nth(2)));
    let began = world.emulator.clock().now();
    let heard = async {
        world.emulator.call_of("AKIDFIRST", made + 2).await;
        (world.emulator.clock().now().duration_since(began), world.calls().last().unwrap().operation.clone())
    };
    let calls = async {
        world.status().await;
        world.client.stop_application().application_name(NAME).send().await.unwrap();
        world.emulator.clock().now().duration_since(began)
    };
    let ((heard_after, heard), answered_after) = tokio::join!(heard, calls);
    assert_eq!(heard, "StopApplication");
    assert!(heard_after.as_secs() < 1, "{heard_after}");
    assert_eq!(answered_after.as_secs(), 40);
    assert_eq!(world.emulator.calls_made_by("AKIDFIRST"), made + 2);
    // It was made already.
    world.emulator.call_of("AKIDFIRST", 1).await;
}
