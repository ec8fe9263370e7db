//! Calls to the account in ministack, as a person makes them with the AWS CLI. Only what the suite needs, and no SDK: the
//! suite then compiles in seconds, and the Lambdas' own SDKs are what is under test.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// The account that the stack is deployed to; the emulator's own.
pub const ACCOUNT: &str = "123456789012";
/// The Region that the stack is deployed to.
pub const REGION: &str = "us-east-1";
/// No call takes as long.
const CALL_TIME_OUT: Duration = Duration::from_secs(30);

/// A client for all services of an account.
#[derive(Debug, Clone)]
pub struct Cloud {
    client: Client,
    endpoint: String,
}

/// A message of a queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its text, as JSON where it is JSON.
    pub body: Value,
    receipt: String,
}

impl Cloud {
    /// A client for the account behind this endpoint.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(endpoint: &str) -> Result<Self, String> {
        let client = Client::builder().timeout(CALL_TIME_OUT).no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { client, endpoint: endpoint.to_owned() })
    }

    /// Where its services answer.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether it answers.
    pub async fn answers(&self) -> bool {
        let health = self.client.get(format!("{}/_ministack/health", self.endpoint)).send().await;
        health.is_ok_and(|answer| answer.status().is_success())
    }

    fn request(&self, service: &str, method: Method, path: &str) -> RequestBuilder {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=suite/20260102/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        self.client.request(method, format!("{}{path}", self.endpoint)).header("authorization", credential)
    }

    /// A call of a service that speaks JSON, such as `AWSStepFunctions.StartExecution` of `states`.
    ///
    /// # Errors
    /// The service's answer, where it refuses.
    pub async fn call(&self, service: &str, target: &str, body: &Value) -> Result<Value, String> {
        let request = self
            .request(service, Method::POST, "/")
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let text = text_of(target, request.send().await).await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn s3(&self, method: Method, path: &str, body: Bytes) -> Result<Response, String> {
        let answer = self.request("s3", method, path).body(body).send().await;
        let answer = answer.map_err(|error| format!("S3 {path}: {error}"))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(format!("S3 {path}: {}", answer.text().await.unwrap_or_default()))
    }

    /// Makes a bucket with versions whose events go to `EventBridge`.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn make_bucket(&self, bucket: &str) -> Result<(), String> {
        const VERSIONING: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        const EVENTS: &str = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
        self.s3(Method::PUT, &format!("/{bucket}"), Bytes::new()).await?;
        self.s3(Method::PUT, &format!("/{bucket}?versioning"), VERSIONING.into()).await?;
        self.s3(Method::PUT, &format!("/{bucket}?notification"), EVENTS.into()).await?;
        Ok(())
    }

    /// Uploads an object, and returns its version.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn upload(&self, bucket: &str, key: &str, content: Bytes) -> Result<String, String> {
        let answer = self.s3(Method::PUT, &format!("/{bucket}/{key}"), content).await?;
        let version = answer.headers().get("x-amz-version-id").and_then(|version| version.to_str().ok());
        version.map(str::to_owned).ok_or_else(|| format!("{bucket} has no versions"))
    }

    /// Deletes one version of an object.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn delete_version(&self, bucket: &str, key: &str, version: &str) -> Result<(), String> {
        self.s3(Method::DELETE, &format!("/{bucket}/{key}?versionId={version}"), Bytes::new()).await.map(|_| ())
    }

    /// Makes a queue, and returns its URL and ARN.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn make_queue(&self, name: &str) -> Result<(String, String), String> {
        let made = self.call("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await?;
        let url = made["QueueUrl"].as_str().ok_or_else(|| format!("no queue: {made}"))?;
        Ok((url.to_owned(), format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")))
    }

    /// Takes messages off a queue for good.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn take_messages(&self, queue: &str) -> Result<Vec<Message>, String> {
        let body = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 });
        let received = self.call("sqs", "AmazonSQS.ReceiveMessage", &body).await?;
        let mut messages = Vec::new();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let text = message["Body"].as_str().unwrap_or_default();
            let message = Message {
                body: serde_json::from_str(text).unwrap_or_else(|_| text.into()),
                receipt: message["ReceiptHandle"].as_str().unwrap_or_default().to_owned(),
            };
            let body = json!({ "QueueUrl": queue, "ReceiptHandle": message.receipt });
            self.call("sqs", "AmazonSQS.DeleteMessage", &body).await?;
            messages.push(message);
        }
        Ok(messages)
    }

    /// Subscribes a queue to a topic.
    ///
    /// # Errors
    /// When SNS refuses.
    pub async fn subscribe(&self, topic: &str, queue_arn: &str) -> Result<(), String> {
        let form = [
            ("Action", "Subscribe"),
            ("Version", "2010-03-31"),
            ("TopicArn", topic),
            ("Protocol", "sqs"),
            ("Endpoint", queue_arn),
        ];
        let answer = self.request("sns", Method::POST, "/").form(&form).send().await;
        text_of("Subscribe", answer).await.map(|_| ())
    }

    /// Puts a copy of every event that matches into a queue.
    ///
    /// # Errors
    /// When `EventBridge` refuses.
    pub async fn copy_events(&self, rule: &str, pattern: &Value, queue_arn: &str) -> Result<(), String> {
        let put = json!({ "Name": rule, "EventPattern": pattern.to_string() });
        self.call("events", "AWSEvents.PutRule", &put).await?;
        let target = json!({ "Rule": rule, "Targets": [{ "Id": "queue", "Arn": queue_arn }] });
        self.call("events", "AWSEvents.PutTargets", &target).await.map(|_| ())
    }

    /// Calls a function and waits for its answer; an error of the function's own is an answer too.
    ///
    /// # Errors
    /// When Lambda refuses.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, String> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.request("lambda", Method::POST, &path).body(event.to_string()).send().await;
        let text = text_of(function, answer).await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Starts an execution, and returns its ARN.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn start_execution(&self, machine: &str, name: &str, input: &Value) -> Result<String, String> {
        let body = json!({ "stateMachineArn": machine, "name": name, "input": input.to_string() });
        let started = self.call("states", "AWSStepFunctions.StartExecution", &body).await?;
        started["executionArn"].as_str().map(str::to_owned).ok_or_else(|| format!("not started: {started}"))
    }

    /// What `DescribeExecution` says.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn describe_execution(&self, execution: &str) -> Result<Value, String> {
        self.call("states", "AWSStepFunctions.DescribeExecution", &json!({ "executionArn": execution })).await
    }

    /// ARNs of all executions of a state machine, the newest first.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn executions(&self, machine: &str) -> Result<Vec<String>, String> {
        let body = json!({ "stateMachineArn": machine });
        let pages = self.pages("states", "AWSStepFunctions.ListExecutions", body, "executions").await?;
        Ok(pages.iter().filter_map(|execution| execution["executionArn"].as_str().map(str::to_owned)).collect())
    }

    /// The events of an execution, from the first.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn history(&self, execution: &str) -> Result<Vec<Value>, String> {
        let body = json!({ "executionArn": execution, "includeExecutionData": true, "maxResults": 500 });
        self.pages("states", "AWSStepFunctions.GetExecutionHistory", body, "events").await
    }

    async fn pages(&self, service: &str, target: &str, mut body: Value, member: &str) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        loop {
            let mut page = self.call(service, target, &body).await?;
            if let Value::Array(found) = page[member].take() {
                all.extend(found);
            }
            match page["nextToken"].take() {
                Value::Null => return Ok(all),
                token => body["nextToken"] = token,
            }
        }
    }
}

async fn text_of(what: &str, answer: Result<Response, reqwest::Error>) -> Result<String, String> {
    let answer = answer.map_err(|error| format!("{what}: {error}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("{what}: {error}"))?;
    if status.is_success() { Ok(text) } else { Err(format!("{what}: {status} {text}")) }
}
