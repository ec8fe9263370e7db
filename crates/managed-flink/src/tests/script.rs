//! AWS and Flink, played: each call gets the next answer of a script, and what was asked is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_kinesisanalyticsv2::config::{Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::{BoxFuture, Endpoint, FlinkResponse, FlinkTransport, ManagedFlink, SecretUrl, TransportError};

/// What a played service does with a call.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Answers with this status and body.
    Bytes(u16, Vec<u8>),
    /// The connection breaks: done or not is unknown.
    Lost,
    /// Nothing ever comes back.
    Silence,
}

pub(super) fn ok(body: &Value) -> Answer {
    Answer::Bytes(200, body.to_string().into_bytes())
}

/// A modelled error of the service, as JSON 1.1 spells it.
pub(super) fn refused(code: &str, message: &str) -> Answer {
    Answer::Bytes(400, json!({ "__type": code, "message": message }).to_string().into_bytes())
}

pub(super) fn status(status: u16) -> Answer {
    Answer::Bytes(status, b"<html>try again</html>".to_vec())
}

/// The client under test over a played AWS and a played Flink.
pub(super) fn client(aws: SharedHttpConnector, flink: Arc<dyn FlinkTransport>) -> ManagedFlink {
    let config = aws_config::SdkConfig::builder()
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "test")))
        .http_client(http_client_fn(move |_, _| aws.clone()))
        .build();
    ManagedFlink::new(&config, flink, Endpoint::Aws)
}

/// A call that was made to AWS.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Such as `DescribeApplication`.
    pub(super) operation: String,
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(String, String)>,
}

impl Call {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Default, Clone)]
struct Aws {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let headers: Vec<(String, String)> =
            request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let operation = operation_of(&request).to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        self.calls.lock().unwrap().push(Call { operation, body, headers });
        match self.answers.lock().unwrap().pop_front() {
            Some(Answer::Bytes(status, body)) => {
                let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
                HttpConnectorFuture::ready(Ok(response))
            }
            Some(Answer::Lost) => HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset".into()))),
            Some(Answer::Silence) => HttpConnectorFuture::new(std::future::pending()),
            None => HttpConnectorFuture::ready(Err(ConnectorError::user("the script has no more answers".into()))),
        }
    }
}

/// The operation that a call to AWS asks for: JSON 1.1 names it in a header, RPC v2 in the path.
pub(super) fn operation_of(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
    target.or_else(|| request.uri().rsplit('/').next()).unwrap_or_default()
}

#[derive(Default, Clone)]
struct Flink {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    urls: Arc<Mutex<Vec<SecretUrl>>>,
}

impl FlinkTransport for Flink {
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>> {
        self.urls.lock().unwrap().push(url.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some(Answer::Bytes(status, body)) => Ok(FlinkResponse { status, body }),
                Some(Answer::Lost) => Err(TransportError::Connection { why: "connection reset".to_owned() }),
                Some(Answer::Silence) => Err(TransportError::TimedOut),
                None => Err(TransportError::Setup { why: "the script has no more answers".to_owned() }),
            }
        })
    }
}

/// The client under test between the two played services.
pub(super) struct Stage {
    pub(super) managed: ManagedFlink,
    aws: Aws,
    flink: Flink,
}

impl Stage {
    pub(super) fn new(aws: impl IntoIterator<Item = Answer>) -> Self {
        Self::with_flink(aws, [])
    }

    pub(super) fn with_flink(
        aws_answers: impl IntoIterator<Item = Answer>,
        flink_answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let aws = Aws { answers: Arc::new(Mutex::new(aws_answers.into_iter().collect())), ..Aws::default() };
        let flink = Flink { answers: Arc::new(Mutex::new(flink_answers.into_iter().collect())), ..Flink::default() };
        let managed = client(SharedHttpConnector::new(aws.clone()), Arc::new(flink.clone()));
        Self { managed, aws, flink }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.aws.calls.lock().unwrap().clone()
    }

    pub(super) fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// Path and query of every GET of Flink's.
    pub(super) fn gets(&self) -> Vec<String> {
        let urls = self.flink.urls.lock().unwrap();
        urls.iter().map(|url| format!("{}?{}", url.expose().path(), url.expose().query().unwrap_or_default())).collect()
    }

    /// Every answer of both scripts was asked for.
    pub(super) fn assert_over(&self) {
        assert!(self.aws.answers.lock().unwrap().is_empty(), "AWS has answers left: {:?}", self.operations());
        assert!(self.flink.answers.lock().unwrap().is_empty(), "Flink has answers left: {:?}", self.gets());
    }
}

/// An answer of `DescribeApplication`: version 7, RUNNING, with a password among the properties.
pub(super) fn described() -> Value {
    json!({ "ApplicationDetail": {
        "ApplicationARN": "arn:aws:kinesisanalytics:eu-west-1:123456789012:application/orders",
        "ApplicationName": "orders",
        "RuntimeEnvironment": "FLINK-1_20",
        "ApplicationStatus": "RUNNING",
        "ApplicationVersionId": 7,
        "ApplicationConfigurationDescription": {
            "ApplicationCodeConfigurationDescription": {
                "CodeContentType": "ZIPFILE",
                "CodeContentDescription": { "S3ApplicationCodeLocationDescription": {
                    "BucketARN": "arn:aws:s3:::code", "FileKey": "orders.jar", "ObjectVersion": "v3",
                } },
            },
            "EnvironmentPropertyDescriptions": { "PropertyGroupDescriptions": [
                { "PropertyGroupId": "database", "PropertyMap": { "password": PASSWORD, "retries": "3" } },
            ] },
            "ApplicationSnapshotConfigurationDescription": { "SnapshotsEnabled": true },
            "ApplicationSystemRollbackConfigurationDescription": { "RollbackEnabled": false },
            "FlinkApplicationConfigurationDescription": {
                "CheckpointConfigurationDescription": { "ConfigurationType": "DEFAULT", "CheckpointingEnabled": true },
            },
        },
    } })
}

/// A runtime property's value in [`described`].
pub(super) const PASSWORD: &str = "hunter2-of-the-database";
