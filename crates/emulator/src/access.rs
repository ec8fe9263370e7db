//! What IAM would be asked for each call: the action and the resources, as a policy names them. From the record of what
//! was called, the permissions that somebody needs can be derived instead of believed.
//!
//! Actions and the resources that they concern are those of AWS's service authorization reference. Where an action knows
//! no resources, `*` stands for them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::emulator::Emulator;
use crate::record::{Call, Event};

/// A use of a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// When.
    pub at: Timestamp,
    /// Who, by access key id.
    pub principal: Option<String>,
    /// The action, such as `kinesisanalytics:UpdateApplication`.
    pub action: String,
    /// ARNs of the resources that it concerns, or `*`; never none.
    pub resources: Vec<String>,
    /// Code of the error that was answered.
    pub error: Option<String>,
}

impl Emulator {
    /// The permissions that the calls so far have used, in order. Calls of Flink's REST API need none: the presigned URL
    /// is what lets in.
    pub fn accesses(&self) -> Vec<Access> {
        let config = &self.inner().config;
        let entries = self.record().into_iter();
        let calls = entries.filter_map(|entry| match entry.event {
            Event::Call(call) => Some((entry.at, call)),
            _ => None,
        });
        let used = |(at, call): (Timestamp, Call)| {
            let uses = call.uses(&config.region, &config.account);
            uses.into_iter().map(move |(action, resources)| Access {
                at,
                principal: call.principal.clone(),
                action,
                resources,
                error: call.error.clone(),
            })
        };
        calls.flat_map(used).collect()
    }
}

impl Call {
    /// The IAM action of the call, such as `dynamodb:PutItem`; none where IAM is not asked (Flink's REST API, the
    /// emulator's own calls).
    pub fn iam_action(&self) -> Option<String> {
        let prefix = match self.service.as_str() {
            "s3" => {
                // Where the action has another name than the operation.
                let action = match self.operation.as_str() {
                    "HeadObject" => "GetObject",
                    "HeadBucket" => "ListBucket",
                    operation => operation,
                };
                return Some(format!("s3:{action}"));
            }
            "kinesisanalyticsv2" => "kinesisanalytics",
            known @ ("cloudwatch" | "logs" | "sns" | "events" | "dynamodb" | "states") => known,
            _ => return None,
        };
        Some(format!("{prefix}:{}", self.operation))
    }

    /// ARNs of the resources that the call concerns in a region of an account, or `*` where its action knows none; empty
    /// where IAM is not asked.
    pub fn resources(&self, region: &str, account: &str) -> Vec<String> {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{region}:{account}:{rest}");
        let text = |field: &str| self.request.get(field).and_then(Value::as_str);
        let found = match (self.service.as_str(), self.operation.as_str()) {
            ("kinesisanalyticsv2", "CreateApplication" | "ListApplications") => Vec::new(),
            ("kinesisanalyticsv2", _) => {
                let application = self.application.iter();
                application.map(|name| arn("kinesisanalytics", &format!("application/{name}"))).collect()
            }
            ("cloudwatch", "DescribeAlarms") => {
                let given = self.request.get("AlarmNames").and_then(Value::as_array).into_iter().flatten();
                let names: Vec<_> = given.filter_map(Value::as_str).collect();
                let names = if names.is_empty() { vec!["*"] } else { names };
                names.into_iter().map(|name| arn("cloudwatch", &format!("alarm:{name}"))).collect()
            }
            ("cloudwatch", _) => Vec::new(),
            ("logs", _) => {
                let group = text("logGroupName").or_else(|| text("logGroupIdentifier")).unwrap_or_default();
                let group = group.split_once(":log-group:").map_or(group, |(_, name)| name);
                let stream = text("logStreamName").unwrap_or_default();
                vec![arn("logs", &format!("log-group:{group}:log-stream:{stream}"))]
            }
            ("sns", _) => text("TopicArn").or_else(|| text("TargetArn")).map(str::to_owned).into_iter().collect(),
            ("events", _) => {
                let entries = self.request.get("Entries").and_then(Value::as_array).into_iter().flatten();
                let bus = |entry: &Value| match entry.get("EventBusName").and_then(Value::as_str) {
                    Some(bus) if bus.starts_with("arn:") => bus.to_owned(),
                    bus => arn("events", &format!("event-bus/{}", bus.unwrap_or("default"))),
                };
                let mut buses: Vec<_> = entries.map(bus).collect();
                buses.sort();
                buses.dedup();
                buses
            }
            ("dynamodb", _) => match text("TableName") {
                Some(table) if table.starts_with("arn:") => vec![table.to_owned()],
                table => vec![arn("dynamodb", &format!("table/{}", table.unwrap_or("*")))],
            },
            ("states", _) => {
                let named = text("executionArn").or_else(|| text("stateMachineArn"));
                named.map(str::to_owned).into_iter().collect()
            }
            ("s3", _) => {
                let bucket = text("Bucket").unwrap_or_default();
                vec![
                    text("Key")
                        .map_or_else(|| format!("arn:aws:s3:::{bucket}"), |key| format!("arn:aws:s3:::{bucket}/{key}")),
                ]
            }
            _ => return Vec::new(),
        };
        if found.is_empty() { vec!["*".to_owned()] } else { found }
    }

    /// The actions that IAM is asked for, each with its resources: the call's own, and handing over a role to the service
    /// where the call names one.
    fn uses(&self, region: &str, account: &str) -> Vec<(String, Vec<String>)> {
        let own = self.iam_action().map(|action| (action, self.resources(region, account)));
        let role = match self.operation.as_str() {
            "CreateApplication" => self.request.get("ServiceExecutionRole"),
            "UpdateApplication" => self.request.get("ServiceExecutionRoleUpdate"),
            _ => None,
        };
        let role = role.and_then(Value::as_str).filter(|_| own.is_some());
        let passed = role.map(|role| ("iam:PassRole".to_owned(), vec![role.to_owned()]));
        own.into_iter().chain(passed).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(service: &str, operation: &str, application: Option<&str>, request: Value) -> Call {
        Call {
            service: service.to_owned(),
            operation: operation.to_owned(),
            principal: None,
            application: application.map(str::to_owned),
            request,
            status: 200,
            error: None,
            mutating: false,
            done: true,
            before: None,
            after: None,
        }
    }

    #[test]
    fn what_each_call_needs() {
        let orders = Some("orders");
        let execution = "arn:aws:states:eu-west-1:1:execution:deploy:a";
        let table = [
            (
                call("kinesisanalyticsv2", "UpdateApplication", orders, json!({})),
                "kinesisanalytics:UpdateApplication arn:aws:kinesisanalytics:eu-west-1:1:application/orders",
            ),
            (call("kinesisanalyticsv2", "ListApplications", None, json!({})), "kinesisanalytics:ListApplications *"),
            (call("cloudwatch", "GetMetricData", None, json!({})), "cloudwatch:GetMetricData *"),
            (
                call("cloudwatch", "DescribeAlarms", None, json!({ "AlarmNames": ["a", "b"] })),
                "cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:1:alarm:a arn:aws:cloudwatch:eu-west-1:1:alarm:b",
            ),
            (
                call("cloudwatch", "DescribeAlarms", None, json!({})),
                "cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:1:alarm:*",
            ),
            (
                call("logs", "FilterLogEvents", None, json!({ "logGroupName": "/aws/x" })),
                "logs:FilterLogEvents arn:aws:logs:eu-west-1:1:log-group:/aws/x:log-stream:",
            ),
            (
                call(
                    "logs",
                    "GetLogEvents",
                    None,
                    json!({ "logGroupIdentifier": "arn:aws:logs:eu-west-1:1:log-group:/aws/x", "logStreamName": "y" }),
                ),
                "logs:GetLogEvents arn:aws:logs:eu-west-1:1:log-group:/aws/x:log-stream:y",
            ),
            (
                call("sns", "Publish", None, json!({ "TopicArn": "arn:aws:sns:eu-west-1:1:t" })),
                "sns:Publish arn:aws:sns:eu-west-1:1:t",
            ),
            (
                call(
                    "events",
                    "PutEvents",
                    None,
                    json!({ "Entries": [{ "EventBusName": "b" }, {}, { "EventBusName": "b" }] }),
                ),
                "events:PutEvents arn:aws:events:eu-west-1:1:event-bus/b arn:aws:events:eu-west-1:1:event-bus/default",
            ),
            (
                call("dynamodb", "PutItem", None, json!({ "TableName": "turns" })),
                "dynamodb:PutItem arn:aws:dynamodb:eu-west-1:1:table/turns",
            ),
            (
                call("states", "DescribeExecution", None, json!({ "executionArn": execution })),
                "states:DescribeExecution arn:aws:states:eu-west-1:1:execution:deploy:a",
            ),
            (
                call(
                    "states",
                    "StartExecution",
                    None,
                    json!({ "stateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:d" }),
                ),
                "states:StartExecution arn:aws:states:eu-west-1:1:stateMachine:d",
            ),
            (call("flink", "/jobs", orders, json!(null)), ""),
            (call("emulator", "faults", None, json!({})), ""),
            (
                call(
                    "kinesisanalyticsv2",
                    "UpdateApplication",
                    orders,
                    json!({ "ServiceExecutionRoleUpdate": "arn:role" }),
                ),
                "kinesisanalytics:UpdateApplication arn:aws:kinesisanalytics:eu-west-1:1:application/orders \
                 iam:PassRole arn:role",
            ),
        ];
        for (call, expected) in table {
            let uses = call.uses("eu-west-1", "1");
            let told: Vec<_> =
                uses.iter().map(|(action, resources)| format!("{action} {}", resources.join(" "))).collect();
            assert_eq!(told.join(" "), expected);
        }
    }
}
