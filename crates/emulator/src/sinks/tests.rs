//! The sinks, through the real SDKs.

use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::wire;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:deployments";

impl HttpConnector for Sinks {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (parts, body) = request.try_into_http1x().unwrap().into_parts();
        let request = http::Request::from_parts(parts, bytes::Bytes::copy_from_slice(body.bytes().unwrap()));
        let identified = wire::identify(&request);
        let response = self.handle(identified.service, &identified.operation, request.body());
        HttpConnectorFuture::ready(Ok(response.map(SdkBody::from).try_into().unwrap()))
    }
}

impl HttpClient for Sinks {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn sinks() -> Sinks {
    Sinks::new(Clock::starting_at(Timestamp::UNIX_EPOCH, 1))
}

fn credentials() -> Credentials {
    Credentials::new("AKID", "secret", None, None, "test")
}

fn sns(sinks: &Sinks) -> aws_sdk_sns::Client {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .http_client(sinks.clone())
        .build();
    aws_sdk_sns::Client::from_conf(config)
}

fn eventbridge(sinks: &Sinks) -> aws_sdk_eventbridge::Client {
    let config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .http_client(sinks.clone())
        .build();
    aws_sdk_eventbridge::Client::from_conf(config)
}

fn entry(detail: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder().source("deployer").detail_type("Rolled back").detail(detail).build()
}

#[tokio::test(start_paused = true)]
async fn messages_and_events_are_kept_in_order() {
    let sinks = sinks();
    let message = "orders: \u{2713} a & b\nline two";
    let answer = sns(&sinks).publish().topic_arn(TOPIC).subject("Deployed").message(message).send().await.unwrap();
    assert!(answer.message_id().is_some());
    let events = eventbridge(&sinks).put_events().entries(entry(r#"{"application": "orders"}"#)).send().await.unwrap();
    assert_eq!(events.failed_entry_count(), 0);
    assert!(events.entries()[0].event_id().is_some());
    let contents: Vec<_> = sinks.published().into_iter().map(|published| published.content).collect();
    let expected = [
        Content::Message { topic: TOPIC.to_owned(), subject: Some("Deployed".to_owned()), message: message.to_owned() },
        Content::Event {
            bus: "default".to_owned(),
            source: "deployer".to_owned(),
            detail_type: "Rolled back".to_owned(),
            detail: json!({ "application": "orders" }),
        },
    ];
    assert_eq!(contents, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_kept() {
    let sinks = sinks();
    sinks.refuse(Some("AuthorizationError"));
    let error = sns(&sinks).publish().topic_arn(TOPIC).message("hello").send().await.unwrap_err();
    assert_eq!(error.code(), Some("AuthorizationError"));
    let events = eventbridge(&sinks).put_events().entries(entry("{}")).entries(entry("{}")).send().await.unwrap();
    assert_eq!(events.failed_entry_count(), 2);
    assert_eq!(events.entries()[1].error_code(), Some("AuthorizationError"));
    assert_eq!(sinks.published(), []);
    sinks.refuse(None);
    sns(&sinks).publish().topic_arn(TOPIC).message("hello").send().await.unwrap();
    assert_eq!(sinks.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_as_the_services_do() {
    let sinks = sinks();
    let too_long = "x".repeat(101);
    for request in [
        sns(&sinks).publish().topic_arn("deployments").message("hello"),
        sns(&sinks).publish().topic_arn(TOPIC).message(""),
        sns(&sinks).publish().topic_arn(TOPIC).message("hello").subject(too_long),
    ] {
        assert_eq!(request.send().await.unwrap_err().code(), Some("InvalidParameter"));
    }
    let events = eventbridge(&sinks).put_events().entries(entry("no JSON")).entries(entry("{}")).send().await.unwrap();
    assert_eq!((events.failed_entry_count(), events.entries()[0].error_code()), (1, Some("MalformedDetail")));
    let none = eventbridge(&sinks).put_events().set_entries(Some(Vec::new())).send().await.unwrap_err();
    assert_eq!(none.code(), Some("ValidationException"));
    let unknown = sns(&sinks).list_topics().send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
    assert_eq!(sinks.published().len(), 1);
}
