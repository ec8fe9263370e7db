//! One deployment of an application at a time: reads and writes the `DynamoDB` item that says whose turn it is, and asks
//! Step Functions whether an execution still runs. What the turns become is decided in [`lifecycle::turn`]; here it is
//! written under the condition that nobody has written since it was read, so that of two who ask at once one asks again.
//!
//! An item of the table: `application` (S, the key), `revision` (N), `turns` (S, [`Turns`] as JSON).

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use jiff::Timestamp;
use lifecycle::turn::{Answer, Claim, Execution, Turns};
use managed_flink::{Error, retry_budget};

/// How often a claim that was crossed by another is made anew before the step gives up, to be tried again.
const MOST_TRIES: usize = 8;

/// The table of turns. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TurnTable {
    dynamodb: aws_sdk_dynamodb::Client,
    step_functions: aws_sdk_sfn::Client,
    table: String,
}

/// An application's turns as they were read, and the number of their writing.
struct Read {
    turns: Turns,
    revision: Option<u64>,
}

impl TurnTable {
    /// The table of this name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config).retry_partition(retry_budget("dynamodb"));
        let step_functions = aws_sdk_sfn::config::Builder::from(config).retry_partition(retry_budget("states"));
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            step_functions: aws_sdk_sfn::Client::from_conf(step_functions.build()),
            table: table.into(),
        }
    }

    /// Asks for the turn of this claim's execution. Safe to ask any number of times.
    pub async fn ask(&self, application: &str, claim: &Claim, now: Timestamp) -> Result<Answer, Error> {
        let mut known = BTreeMap::new();
        for _ in 0..MOST_TRIES {
            let Read { turns, revision } = self.read(application).await?;
            let (after, answer) = loop {
                let mut after = turns.clone();
                match after.ask(claim, &known, now) {
                    Answer::LookAt { execution } => {
                        let state = self.look_at(&execution).await?;
                        known.insert(execution, state);
                    }
                    answer => break (after, answer),
                }
            };
            if after == turns || self.write(application, &after, revision).await? {
                return Ok(answer);
            }
        }
        Err(Error::unavailable(
            "PutItem",
            format!("the turns of {application} were changed by others {MOST_TRIES} times"),
        ))
    }

    /// The execution whose turn it is, or was last.
    pub async fn last_holder(&self, application: &str) -> Result<Option<String>, Error> {
        Ok(self.read(application).await?.turns.holder.map(|holder| holder.claim.execution))
    }

    /// The execution whose turn it is, as long as it runs.
    pub async fn holder(&self, application: &str, now: Timestamp) -> Result<Option<String>, Error> {
        let Some(holder) = self.read(application).await?.turns.holder else { return Ok(None) };
        let state = self.look_at(&holder.claim.execution).await?;
        Ok(holder.is_taken(state, now).then_some(holder.claim.execution))
    }

    async fn read(&self, application: &str) -> Result<Read, Error> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.key("application", AttributeValue::S(application.to_owned())).send().await;
        let item = answer.map_err(|error| Error::from_sdk("GetItem", error))?.item;
        item.map_or(Ok(Read { turns: Turns::default(), revision: None }), |item| {
            read_item(&item).ok_or_else(|| {
                let cure = "delete it while no deployment is running";
                Error::unreadable("GetItem", format!("the item of {application} in {} is not ours; {cure}", self.table))
            })
        })
    }

    /// Whether it was written: not where somebody else has written since.
    async fn write(&self, application: &str, turns: &Turns, revision: Option<u64>) -> Result<bool, Error> {
        let json = serde_json::to_string(turns)
            .map_err(|_| Error::unreadable("PutItem", "the turns cannot be written as JSON"))?;
        let next = revision.map_or(1, |revision| revision.saturating_add(1));
        let request = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .item("application", AttributeValue::S(application.to_owned()))
            .item("revision", AttributeValue::N(next.to_string()))
            .item("turns", AttributeValue::S(json));
        let request = match revision {
            None => request.condition_expression("attribute_not_exists(application)"),
            Some(revision) => request
                .condition_expression("revision = :read")
                .expression_attribute_values(":read", AttributeValue::N(revision.to_string())),
        };
        match request.send().await {
            Ok(_) => Ok(true),
            // Somebody else wrote first.
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(Error::from_sdk("PutItem", error)),
        }
    }

    async fn look_at(&self, execution: &str) -> Result<Execution, Error> {
        let request = self.step_functions.describe_execution().execution_arn(execution);
        match request.send().await {
            Ok(described) => Ok(match described.status() {
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Execution::Running,
                _ => Execution::Over,
            }),
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                Ok(Execution::Unknown)
            }
            Err(error) => Err(Error::from_sdk("DescribeExecution", error)),
        }
    }
}

fn read_item(item: &HashMap<String, AttributeValue>) -> Option<Read> {
    let turns = serde_json::from_str(item.get("turns")?.as_s().ok()?).ok()?;
    let revision = item.get("revision")?.as_n().ok()?.parse().ok()?;
    Some(Read { turns, revision: Some(revision) })
}
