//! DynamoDB through the real SDK, in virtual time: items under conditions, what is refused, and reads that lag behind.
#![expect(clippy::doc_markdown, clippy::unwrap_used, reason = "a name; a test's helpers")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus,
};
use clock::Clock;
use emulator::dynamodb::Table;
use emulator::simulated::SimulatedDataPlane;
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp, Loss, Occurrences};

const TURNS: &str = "turns";

fn world() -> (Emulator, Client) {
    let clock = Clock::starting_at("2026-01-05T08:00:00Z".parse().unwrap(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 0));
    let tables = vec![Table::new(TURNS, "application")];
    let emulator = Emulator::new(EmulatorConfig { tables, ..EmulatorConfig::new(clock, data_plane) });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDFIRST", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(InProcessHttp::new(emulator.clone()));
    (emulator, Client::from_conf(config.build()))
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

/// Writes revision `to` of an application's item.
fn put(client: &Client, application: &str, to: u32) -> PutItemFluentBuilder {
    client
        .put_item()
        .table_name(TURNS)
        .item("application", text(application))
        .item("revision", number(&to.to_string()))
        .item("turns", text("{}"))
}

/// The same, if the item is at `from`.
fn advance(client: &Client, application: &str, from: u32, to: u32) -> PutItemFluentBuilder {
    put(client, application, to)
        .condition_expression("#revision = :from")
        .expression_attribute_names("#revision", "revision")
        .expression_attribute_values(":from", number(&from.to_string()))
}

async fn revision(client: &Client, application: &str, consistent: bool) -> Option<String> {
    let get = client.get_item().table_name(TURNS).key("application", text(application)).consistent_read(consistent);
    let item: Option<HashMap<_, _>> = get.send().await.unwrap().item;
    item.map(|item| item["revision"].as_n().unwrap().clone())
}

#[tokio::test(start_paused = true)]
async fn of_two_that_write_on_the_same_revision_one_is_refused() {
    let (emulator, client) = world();
    assert_eq!(revision(&client, "orders", true).await, None);
    let first = put(&client, "orders", 1).condition_expression("attribute_not_exists(application)");
    first.clone().send().await.unwrap();
    let error = first.send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    advance(&client, "orders", 1, 2).send().await.unwrap();
    let late = advance(&client, "orders", 1, 2)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match late.send().await.unwrap_err().into_service_error() {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(error) => {
            assert_eq!(error.item.unwrap()["revision"], number("2"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(revision(&client, "orders", true).await.as_deref(), Some("2"));
    assert_eq!(revision(&client, "payments", true).await, None);
    assert_eq!(emulator.dynamodb().item(TURNS, "orders").unwrap()["revision"]["N"], "2");
    assert_eq!(emulator.dynamodb().items(TURNS).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn items_are_replaced_and_deleted_whole() {
    let (_, client) = world();
    put(&client, "orders", 1).item("expiresAt", number("1767600000")).send().await.unwrap();
    let replaced = put(&client, "orders", 2).return_values(ReturnValue::AllOld).send().await.unwrap();
    assert_eq!(replaced.attributes.unwrap()["expiresAt"], number("1767600000"));
    let get = client.get_item().table_name(TURNS).key("application", text("orders"));
    assert!(!get.send().await.unwrap().item.unwrap().contains_key("expiresAt"));
    let delete = || {
        let delete = client.delete_item().table_name(TURNS).key("application", text("orders"));
        delete.condition_expression("revision >= :two").expression_attribute_values(":two", number("2"))
    };
    let deleted = delete().return_values(ReturnValue::AllOld).send().await.unwrap();
    assert_eq!(deleted.attributes.unwrap()["revision"], number("2"));
    let error = delete().send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception());
    assert_eq!(revision(&client, "orders", true).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_is_refused() {
    let (_, client) = world();
    let put = || client.put_item().table_name(TURNS).item("application", text("orders"));
    let unnamed = || client.put_item().table_name(TURNS);
    let table = [
        (unnamed().item("revision", number("1")), "Missing the key application"),
        (unnamed().item("application", number("1")), "expected: S actual: N"),
        (unnamed().item("application", text("")), "empty string value. Key: application"),
        (unnamed().item("application", text(&"a".repeat(2049))), "2048 bytes"),
        (put().item("turns", text(&"a".repeat(410 * 1024))), "Item size has exceeded"),
        (put().item("revision", number("one")), "numeric value: one"),
        (put().item("set", AttributeValue::Ss(vec!["a".to_owned()])), "type SS"),
        (put().condition_expression("state = :a").expression_attribute_values(":a", text("b")), "keyword: state"),
        (put().condition_expression("revision = :a"), "attribute value: :a"),
        (put().expression_attribute_values(":a", text("b")), "only be specified when using expressions"),
        (
            put().condition_expression("attribute_exists(turns)").expression_attribute_names("#a", "b"),
            "unused in expressions: keys: {#a}",
        ),
        (put().return_values(ReturnValue::UpdatedNew), "ReturnValues can only be ALL_OLD or NONE"),
        (put().return_consumed_capacity("TOTAL".into()), "does not carry ReturnConsumedCapacity"),
        (client.put_item().table_name("t").item("application", text("orders")), "3 to 255"),
    ];
    for (put, expected) in table {
        let error = put.send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"), "{expected}");
        assert!(error.message().unwrap().contains(expected), "{expected}: {error:?}");
    }
    let absent = client.put_item().table_name("absent").item("application", text("orders")).send().await;
    assert!(absent.unwrap_err().into_service_error().is_resource_not_found_exception());
    let get = || client.get_item().table_name(TURNS);
    let wrong_keys = [
        get().key("revision", number("1")),
        get().key("application", number("1")),
        get().key("application", text("orders")).key("revision", number("1")),
    ];
    for get in wrong_keys {
        let error = get.send().await.unwrap_err();
        assert!(error.message().unwrap().contains("does not match the schema"), "{error:?}");
    }
    let projected = get().key("application", text("orders")).projection_expression("turns").send().await.unwrap_err();
    assert!(projected.message().unwrap().contains("does not carry ProjectionExpression"));
    let query = client.query().table_name(TURNS).send().await.unwrap_err();
    assert_eq!(query.code(), Some("UnknownOperationException"));
    assert!(
        client.get_item().table_name(TURNS).key("application", text("orders")).send().await.unwrap().item.is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn tables_can_be_made() {
    let (emulator, client) = world();
    let key = KeySchemaElement::builder().attribute_name("key").key_type(KeyType::Hash).build().unwrap();
    let attribute = |kind| AttributeDefinition::builder().attribute_name("key").attribute_type(kind).build().unwrap();
    let create = |kind| {
        let create = client.create_table().table_name("uploads").key_schema(key.clone());
        create.attribute_definitions(attribute(kind)).billing_mode(BillingMode::PayPerRequest)
    };
    let error = create(ScalarAttributeType::N).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    let described = client.describe_table().table_name("uploads").send().await.unwrap_err();
    assert!(described.into_service_error().is_resource_not_found_exception());
    let created = create(ScalarAttributeType::S).send().await.unwrap().table_description.unwrap();
    assert_eq!(created.table_status, Some(TableStatus::Creating));
    assert_eq!(created.table_arn, Some(emulator.dynamodb().table_arn("uploads")));
    let again = create(ScalarAttributeType::S).send().await.unwrap_err().into_service_error();
    assert!(again.is_resource_in_use_exception());
    client.put_item().table_name(created.table_arn.unwrap()).item("key", text("a")).send().await.unwrap();
    let described = client.describe_table().table_name("uploads").send().await.unwrap().table.unwrap();
    assert_eq!((described.table_status, described.item_count), (Some(TableStatus::Active), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn only_a_consistent_read_is_never_stale() {
    let (emulator, client) = world();
    emulator.inject(Fault::new("dynamodb:GetItem", Effect::StaleRead(Duration::from_secs(2))));
    put(&client, "orders", 1).send().await.unwrap();
    assert_eq!(revision(&client, "orders", false).await, None);
    assert_eq!(revision(&client, "orders", true).await.as_deref(), Some("1"));
    emulator.clock().sleep(Duration::from_secs(3)).await;
    put(&client, "orders", 2).send().await.unwrap();
    assert_eq!(revision(&client, "orders", false).await.as_deref(), Some("1"));
    client.delete_item().table_name(TURNS).key("application", text("orders")).send().await.unwrap();
    assert_eq!(revision(&client, "orders", true).await, None);
    assert_eq!(revision(&client, "orders", false).await.as_deref(), Some("1"));
    emulator.clock().sleep(Duration::from_mins(20)).await;
    assert_eq!(revision(&client, "orders", false).await, None);
}

#[tokio::test(start_paused = true)]
async fn faults_meet_it_too() {
    let (emulator, client) = world();
    emulator.inject(Fault::new("dynamodb:PutItem", Effect::Throttle).on(Occurrences::Nth(1)));
    emulator.inject(Fault::new("dynamodb:PutItem", Effect::LostResponse(Loss::ServerError)).on(Occurrences::Nth(2)));
    let throttled = put(&client, "orders", 1).send().await.unwrap_err();
    assert_eq!(throttled.code(), Some("ThrottlingException"));
    assert_eq!(revision(&client, "orders", true).await, None);
    assert!(put(&client, "orders", 1).send().await.is_err());
    assert_eq!(revision(&client, "orders", true).await.as_deref(), Some("1"));
}
