//! DynamoDB as far as one item at a time goes: `GetItem`, `PutItem` and `DeleteItem`, with conditions, on tables that have
//! a partition key of the type string and nothing else. Whatever a request asks for beyond that is refused as a
//! `ValidationException`, never ignored: a condition that was not looked at would let two deployments through.
//!
//! Tables come from the configuration or by `CreateTable`. Nothing expires, since the service itself may take days to
//! delete what has. Texts of errors are near the service's own.

mod attribute;
mod condition;
mod reserved;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::application::epoch_seconds;
use crate::emulator::{MEMORY, lock};
use crate::error::ServiceError;
use crate::wire::{DYNAMODB, HttpResponse, Protocol, error_answer, json10_answer};
use attribute::{AttributeValue, Item, item_size, item_to_json, parse_item};
use condition::Condition;

/// Largest item, in bytes.
const LARGEST_ITEM: usize = 400 * 1024;
/// Longest partition key, in bytes.
const LONGEST_KEY: usize = 2048;

/// A table to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name: 3 to 255 of `a-z A-Z 0-9 _ . -`.
    pub name: String,
    /// Name of its partition key, whose type is string.
    pub partition_key: String,
}

impl Table {
    /// A table of this name with this partition key.
    pub fn new(name: impl Into<String>, partition_key: impl Into<String>) -> Self {
        Self { name: name.into(), partition_key: partition_key.into() }
    }
}

/// DynamoDB. Clones are the same one.
#[derive(Clone)]
pub struct DynamoDb {
    clock: Clock,
    region: String,
    account: String,
    tables: Arc<Mutex<BTreeMap<String, Stored>>>,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DynamoDb").finish_non_exhaustive()
    }
}

/// A table with what it holds.
#[derive(Debug)]
struct Stored {
    partition_key: String,
    created: Timestamp,
    /// By key.
    items: BTreeMap<String, History>,
}

/// What an item was since when, the oldest first; none where there was none.
type History = VecDeque<(Timestamp, Option<Arc<Item>>)>;

impl Stored {
    fn item(&self, key: &str) -> Option<&Arc<Item>> {
        self.items.get(key).and_then(VecDeque::back).and_then(|(_, item)| item.as_ref())
    }

    /// What an item was at a moment; none if there was none, or if that is too long ago to know.
    fn as_it_was(&self, key: &str, moment: Timestamp) -> Option<&Arc<Item>> {
        let history = self.items.get(key)?;
        history.iter().rev().find(|(at, _)| *at <= moment).and_then(|(_, item)| item.as_ref())
    }

    fn set(&mut self, key: String, item: Option<Arc<Item>>, now: Timestamp) {
        let history = self.items.entry(key).or_default();
        history.push_back((now, item));
        while history.get(1).is_some_and(|(at, _)| now.duration_since(*at) > MEMORY) {
            history.pop_front();
        }
    }
}

/// Why a call is refused.
#[derive(Debug)]
struct Refused {
    error: ServiceError,
    /// The item that a condition failed on, where the request wants to see it.
    item: Option<Value>,
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self { error, item: None }
    }
}

type Answer = Result<Value, Refused>;

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationException", message.into())
}

impl DynamoDb {
    pub(crate) fn new(clock: &Clock, region: &str, account: &str, tables: &[Table]) -> Self {
        let (region, account) = (region.to_owned(), account.to_owned());
        let created = Self { clock: clock.clone(), region, account, tables: Arc::default() };
        for table in tables {
            created.create_table(&table.name, &table.partition_key);
        }
        created
    }

    /// Makes a table; one of this name that is there already stays as it is.
    pub fn create_table(&self, name: &str, partition_key: &str) {
        let created = self.clock.now();
        let stored = Stored { partition_key: partition_key.to_owned(), created, items: BTreeMap::new() };
        lock(&self.tables).entry(name.to_owned()).or_insert(stored);
    }

    /// The ARN of a table of this name.
    pub fn table_arn(&self, name: &str) -> String {
        format!("arn:aws:dynamodb:{}:{}:table/{name}", self.region, self.account)
    }

    /// The items of a table by their partition key, as the wire has them; none if there is no such table.
    pub fn items(&self, table: &str) -> Option<BTreeMap<String, Value>> {
        let tables = lock(&self.tables);
        let stored = tables.get(table)?;
        let items = stored.items.keys().filter_map(|key| Some((key.clone(), item_to_json(stored.item(key)?))));
        Some(items.collect())
    }

    /// One item of a table, as the wire has it.
    pub fn item(&self, table: &str, key: &str) -> Option<Value> {
        lock(&self.tables).get(table)?.item(key).map(|item| item_to_json(item))
    }

    /// Answers a call. `age` is how old what a read tells is to be, unless it asks for a consistent one.
    pub(crate) fn handle(&self, operation: &str, body: &Value, age: Option<Duration>) -> HttpResponse {
        let answer = match body.as_object() {
            Some(request) => self.answer(operation, request, age),
            None => Err(ServiceError::serialization("the body is not a JSON object".to_owned()).into()),
        };
        match answer {
            Ok(answer) => json10_answer(StatusCode::OK, &answer),
            Err(Refused { error, item }) => {
                let mut response = error_answer(Protocol::Json10(DYNAMODB), 400, error.code, &error.message);
                if let Some(item) = item {
                    let kind = format!("{DYNAMODB}#{}", error.code);
                    let body = json!({ "__type": kind, "message": error.message, "Item": item });
                    *response.body_mut() = body.to_string().into();
                }
                response
            }
        }
    }

    fn answer(&self, operation: &str, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        match operation {
            "GetItem" => self.get(request, age),
            "PutItem" => self.put(request),
            "DeleteItem" => self.delete(request),
            "CreateTable" => self.create(request),
            "DescribeTable" => self.describe(request),
            other => Err(ServiceError::unknown_operation(other).into()),
        }
    }

    fn get(&self, request: &Map<String, Value>, age: Option<Duration>) -> Answer {
        only(request, "GetItem", &["TableName", "Key", "ConsistentRead"])?;
        let consistent = match request.get("ConsistentRead") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(consistent)) => *consistent,
            Some(_) => return Err(ServiceError::serialization("ConsistentRead is true or false".to_owned()).into()),
        };
        let key = item_of(request, "Key")?;
        let mut tables = lock(&self.tables);
        let now = self.clock.now();
        let (_, stored) = table(&mut tables, request)?;
        let key = whole_key(&key, stored)?;
        let item = match age.filter(|_| !consistent).map(SignedDuration::try_from) {
            None => stored.item(&key),
            Some(age) => {
                let moment = age.ok().and_then(|age| now.checked_sub(age).ok());
                stored.as_it_was(&key, moment.unwrap_or(Timestamp::MIN))
            }
        };
        Ok(item.map_or_else(|| json!({}), |item| json!({ "Item": item_to_json(item) })))
    }

    fn put(&self, request: &Map<String, Value>) -> Answer {
        only_writing(request, "PutItem", "Item")?;
        let item = item_of(request, "Item")?;
        if item_size(&item) > LARGEST_ITEM {
            return Err(invalid("Item size has exceeded the maximum allowed size").into());
        }
        self.write(request, move |stored| Ok((key_of(&item, stored)?, Some(item))))
    }

    fn delete(&self, request: &Map<String, Value>) -> Answer {
        only_writing(request, "DeleteItem", "Key")?;
        let key = item_of(request, "Key")?;
        self.write(request, move |stored| Ok((whole_key(&key, stored)?, None)))
    }

    /// Sets an item, if the request's condition holds for what it was.
    fn write(
        &self,
        request: &Map<String, Value>,
        wanted: impl FnOnce(&Stored) -> Result<(String, Option<Item>), ServiceError>,
    ) -> Answer {
        let condition = Condition::of(request).map_err(invalid)?;
        let tell_old = one_of(request, "ReturnValues", "ALL_OLD")?;
        let tell_failed = one_of(request, "ReturnValuesOnConditionCheckFailure", "ALL_OLD")?;
        let mut tables = lock(&self.tables);
        // Under the lock, so that an item's history is in order whatever thread gets there first.
        let now = self.clock.now();
        let (_, stored) = table(&mut tables, request)?;
        let (key, item) = wanted(stored)?;
        let old = stored.item(&key).cloned();
        let old_json = |tell: bool| old.as_ref().filter(|_| tell).map(|old| item_to_json(old));
        if condition.is_some_and(|condition| !condition.holds(old.as_deref())) {
            let error =
                ServiceError::new("ConditionalCheckFailedException", "The conditional request failed".to_owned());
            return Err(Refused { error, item: old_json(tell_failed) });
        }
        let answer = old_json(tell_old).map_or_else(|| json!({}), |old| json!({ "Attributes": old }));
        stored.set(key, item.map(Arc::new), now);
        Ok(answer)
    }

    fn create(&self, request: &Map<String, Value>) -> Answer {
        let fields = ["TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "Tags"];
        only(request, "CreateTable", &fields)?;
        let name = table_name(request)?.to_owned();
        if request.get("BillingMode").and_then(Value::as_str) != Some("PAY_PER_REQUEST") {
            return Err(invalid("the emulator makes tables with the BillingMode PAY_PER_REQUEST only").into());
        }
        let entries = |field: &str| request.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let (schema, attributes) = (entries("KeySchema"), entries("AttributeDefinitions"));
        let ([key], [attribute]) = (schema.as_slice(), attributes.as_slice()) else {
            return Err(invalid("the emulator makes tables with a partition key and no other key or index").into());
        };
        let key = key["AttributeName"].as_str().filter(|_| key["KeyType"] == "HASH");
        let Some(key) = key.filter(|key| attribute["AttributeName"] == *key && !key.is_empty()) else {
            return Err(invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions").into());
        };
        if attribute["AttributeType"] != "S" {
            return Err(invalid("the emulator makes tables with a partition key of the type S only").into());
        }
        if lock(&self.tables).contains_key(&name) {
            return Err(ServiceError::resource_in_use(format!("Table already exists: {name}")).into());
        }
        self.create_table(&name, key);
        let tables = lock(&self.tables);
        let description = tables.get(&name).map(|stored| self.description(&name, stored, "CREATING"));
        Ok(json!({ "TableDescription": description }))
    }

    fn describe(&self, request: &Map<String, Value>) -> Answer {
        only(request, "DescribeTable", &["TableName"])?;
        let mut tables = lock(&self.tables);
        let (name, stored) = table(&mut tables, request).map_err(|error| match error.code {
            "ResourceNotFoundException" => {
                let name = table_name(request).unwrap_or_default();
                ServiceError::not_found(format!("Requested resource not found: Table: {name} not found"))
            }
            _ => error,
        })?;
        Ok(json!({ "Table": self.description(&name, stored, "ACTIVE") }))
    }

    /// `TableDescription`.
    fn description(&self, name: &str, stored: &Stored, status: &str) -> Value {
        let items: Vec<_> = stored.items.keys().filter_map(|key| stored.item(key)).collect();
        json!({
            "TableName": name,
            "TableArn": self.table_arn(name),
            "TableStatus": status,
            "CreationDateTime": epoch_seconds(stored.created),
            "AttributeDefinitions": [{ "AttributeName": stored.partition_key, "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": stored.partition_key, "KeyType": "HASH" }],
            "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
            "ItemCount": items.len(),
            "TableSizeBytes": items.iter().map(|item| item_size(item)).sum::<usize>(),
        })
    }
}

/// Refuses whatever a request asks for beside these fields.
fn only(request: &Map<String, Value>, operation: &str, fields: &[&str]) -> Result<(), ServiceError> {
    // What is counted for the bill is told to nobody here; not to ask for it is the one value that is carried.
    let harmless = |field: &str, value: &Value| {
        matches!(field, "ReturnConsumedCapacity" | "ReturnItemCollectionMetrics") && value == "NONE"
    };
    let other = request.iter().find(|(field, value)| {
        !value.is_null() && !fields.contains(&field.as_str()) && !harmless(field.as_str(), value)
    });
    match other {
        None => Ok(()),
        Some((field, _)) => Err(invalid(format!("the emulator does not carry {field} of {operation}"))),
    }
}

fn only_writing(request: &Map<String, Value>, operation: &str, subject: &str) -> Result<(), ServiceError> {
    let fields = [
        "TableName",
        subject,
        "ConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "ReturnValues",
        "ReturnValuesOnConditionCheckFailure",
    ];
    only(request, operation, &fields)
}

/// Whether a field has this value; otherwise it is `NONE`, or left out.
fn one_of(request: &Map<String, Value>, field: &str, value: &str) -> Result<bool, ServiceError> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(given)) if given == value => Ok(true),
        Some(Value::String(given)) if given == "NONE" => Ok(false),
        Some(_) => Err(invalid(format!("{field} can only be {value} or NONE"))),
    }
}

/// Name of the request's table, which may be given as an ARN.
fn table_name(request: &Map<String, Value>) -> Result<&str, ServiceError> {
    let given = request.get("TableName").and_then(Value::as_str).unwrap_or_default();
    let name = given.split_once(":table/").map_or(given, |(_, name)| name);
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    if (3..=255).contains(&name.len()) && name.chars().all(allowed) {
        Ok(name)
    } else {
        let text = "TableName is 3 to 255 of a-z, A-Z, 0-9, '_', '.', '-'";
        Err(invalid(format!("1 validation error detected: {text}")))
    }
}

/// The request's table and its name.
fn table<'a>(
    tables: &'a mut BTreeMap<String, Stored>,
    request: &Map<String, Value>,
) -> Result<(String, &'a mut Stored), ServiceError> {
    let name = table_name(request)?;
    let stored = tables.get_mut(name);
    let stored = stored.ok_or_else(|| ServiceError::not_found("Requested resource not found".to_owned()))?;
    Ok((name.to_owned(), stored))
}

fn item_of(request: &Map<String, Value>, field: &str) -> Result<Item, ServiceError> {
    let item = request.get(field).filter(|item| !item.is_null());
    let item = item.ok_or_else(|| {
        invalid(format!("1 validation error detected: Value null at '{field}' failed to satisfy constraint"))
    })?;
    parse_item(item).map_err(invalid)
}

/// The partition key that an item has.
fn key_of(item: &Item, stored: &Stored) -> Result<String, ServiceError> {
    let name = &stored.partition_key;
    let wrong = |what: String| invalid(format!("One or more parameter values were invalid: {what}"));
    match item.get(name) {
        None => Err(wrong(format!("Missing the key {name} in the item"))),
        Some(AttributeValue::String(key)) if key.is_empty() => Err(invalid(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: {name}"
        ))),
        Some(AttributeValue::String(key)) if key.len() > LONGEST_KEY => {
            Err(wrong(format!("Size of hashkey has exceeded the maximum size limit of {LONGEST_KEY} bytes")))
        }
        Some(AttributeValue::String(key)) => Ok(key.clone()),
        Some(other) => Err(wrong(format!("Type mismatch for key {name} expected: S actual: {}", other.kind()))),
    }
}

/// The partition key that a request's `Key` is, with nothing beside it.
fn whole_key(key: &Item, stored: &Stored) -> Result<String, ServiceError> {
    let fits = key.len() == 1 && matches!(key.get(&stored.partition_key), Some(AttributeValue::String(_)));
    if fits { key_of(key, stored) } else { Err(invalid("The provided key element does not match the schema")) }
}
