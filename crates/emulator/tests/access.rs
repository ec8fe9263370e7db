//! Permissions, through the real SDKs, in virtual time: what the record tells that calls needed, and calls that are denied.

mod support;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_kinesisanalyticsv2::error::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use emulator::record::Event;
use emulator::{Effect, Fault, InProcessHttp, Occurrences, Timings};
use support::{NAME, World, code_of};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:deployments";
const DEPLOY: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:deploy";

/// What clients of other services are made of.
fn config(world: &World, access_key: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(InProcessHttp::new(world.emulator.clone()).with_latency(Duration::ZERO))
        .build()
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_what_each_call_needed() {
    let world = World::with(Timings::brisk());
    world.running().await;
    let before = world.emulator.accesses().len();
    let update = world.client.update_application().application_name(NAME).current_application_version_id(1);
    update.service_execution_role_update("arn:aws:iam::123456789012:role/other").send().await.unwrap();
    world.client.list_applications().send().await.unwrap();
    let config = config(&world, "AKIDSECOND");
    let alarms = aws_sdk_cloudwatch::Client::new(&config).describe_alarms().alarm_names("orders-lag");
    alarms.send().await.unwrap();
    aws_sdk_sns::Client::new(&config).publish().topic_arn(TOPIC).message("done").send().await.unwrap();
    let event = PutEventsRequestEntry::builder().source("s").detail_type("d").detail("{}").event_bus_name("outcomes");
    aws_sdk_eventbridge::Client::new(&config).put_events().entries(event.build()).send().await.unwrap();
    let table = aws_sdk_dynamodb::Client::new(&config).describe_table().table_name("turns").send().await;
    assert!(table.unwrap_err().into_service_error().is_resource_not_found_exception());
    let start = aws_sdk_sfn::Client::new(&config).start_execution().state_machine_arn(DEPLOY).name("a");
    assert!(start.send().await.unwrap_err().into_service_error().is_state_machine_does_not_exist());
    let told: Vec<_> = world.emulator.accesses().into_iter().skip(before).collect();
    let lines: Vec<_> = told
        .iter()
        .map(|it| format!("{} {} {}", it.principal.as_deref().unwrap(), it.action, it.resources.join(" ")))
        .collect();
    let expected = [
        "AKIDFIRST kinesisanalytics:UpdateApplication \
         arn:aws:kinesisanalytics:us-east-1:123456789012:application/orders",
        "AKIDFIRST iam:PassRole arn:aws:iam::123456789012:role/other",
        "AKIDFIRST kinesisanalytics:ListApplications *",
        "AKIDSECOND cloudwatch:DescribeAlarms arn:aws:cloudwatch:us-east-1:123456789012:alarm:orders-lag",
        "AKIDSECOND sns:Publish arn:aws:sns:us-east-1:123456789012:deployments",
        "AKIDSECOND events:PutEvents arn:aws:events:us-east-1:123456789012:event-bus/outcomes",
        "AKIDSECOND dynamodb:DescribeTable arn:aws:dynamodb:us-east-1:123456789012:table/turns",
        "AKIDSECOND states:StartExecution arn:aws:states:us-east-1:123456789012:stateMachine:deploy",
    ];
    assert_eq!(lines, expected);
    assert_eq!(told[6].error.as_deref(), Some("ResourceNotFoundException"));
}

#[tokio::test(start_paused = true)]
async fn a_denied_call_says_what_is_lacking_and_does_nothing() {
    let world = World::with(Timings::brisk());
    world.running().await;
    world.emulator.inject(Fault::new("StopApplication", Effect::AccessDenied).by("AKIDFIRST"));
    let error = world.client.stop_application().application_name(NAME).send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    let expected = "User: arn:aws:iam::123456789012:user/AKIDFIRST is not authorized to perform: \
                    kinesisanalytics:StopApplication on resource: \
                    arn:aws:kinesisanalytics:us-east-1:123456789012:application/orders because no identity-based \
                    policy allows the kinesisanalytics:StopApplication action";
    assert_eq!(error.message(), Some(expected));
    assert_eq!(world.status().await, "RUNNING");
    let call = world.emulator.record().into_iter().find_map(|entry| match entry.event {
        Event::Call(call) if call.operation == "StopApplication" => Some(call),
        _ => None,
    });
    let call = call.unwrap();
    assert_eq!((call.done, call.error.as_deref()), (false, Some("AccessDeniedException")));
    // Somebody else may.
    let stopped = world.client_as("AKIDSECOND").stop_application().application_name(NAME).send().await;
    assert_eq!(code_of(stopped), None);
}

#[tokio::test(start_paused = true)]
async fn every_service_denies_in_its_own_words() {
    let world = World::with(Timings::brisk());
    for operation in ["cloudwatch:*", "sns:*", "events:*", "dynamodb:*", "states:*", "logs:*"] {
        let text = format!(r#"{{"operation":"{operation}","principal":"AKIDSECOND","effect":"accessDenied"}}"#);
        world.emulator.inject(serde_json::from_str(&text).unwrap());
    }
    world.emulator.inject(Fault::new("*", Effect::AccessDenied).on(Occurrences::First(1)));
    let config = config(&world, "AKIDSECOND");
    let alarms = aws_sdk_cloudwatch::Client::new(&config).describe_alarms().send().await.unwrap_err();
    let publish = aws_sdk_sns::Client::new(&config).publish().topic_arn(TOPIC).message("done").send().await;
    let publish = publish.unwrap_err();
    let events = aws_sdk_eventbridge::Client::new(&config).put_events();
    let events = events.entries(PutEventsRequestEntry::builder().build()).send().await.unwrap_err();
    let table = aws_sdk_dynamodb::Client::new(&config).describe_table().table_name("turns").send().await.unwrap_err();
    let start = aws_sdk_sfn::Client::new(&config).start_execution().state_machine_arn(DEPLOY).send().await.unwrap_err();
    let list = world.client.list_applications().send().await.unwrap_err();
    let told = [
        (alarms.code(), alarms.message()),
        (publish.code(), publish.message()),
        (events.code(), events.message()),
        (table.code(), table.message()),
        (start.code(), start.message()),
        (list.code(), list.message()),
    ];
    let expected = [
        ("AccessDenied", "cloudwatch:DescribeAlarms on resource: arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"),
        ("AuthorizationError", "sns:Publish on resource: arn:aws:sns:us-east-1:123456789012:deployments"),
        (
            "AccessDeniedException",
            "events:PutEvents on resource: arn:aws:events:us-east-1:123456789012:event-bus/default",
        ),
        (
            "AccessDeniedException",
            "dynamodb:DescribeTable on resource: arn:aws:dynamodb:us-east-1:123456789012:table/turns",
        ),
        (
            "AccessDeniedException",
            "states:StartExecution on resource: arn:aws:states:us-east-1:123456789012:stateMachine:deploy",
        ),
        ("AccessDeniedException", "kinesisanalytics:ListApplications on resource: *"),
    ];
    for ((code, message), (expected_code, text)) in told.into_iter().zip(expected) {
        assert_eq!(code, Some(expected_code));
        assert!(message.is_some_and(|message| message.contains(text)), "{message:?}");
    }
}
