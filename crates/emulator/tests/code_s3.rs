//! Code from buckets behind the S3 API. The endpoint is a stand-in that checks signatures by itself, by the published
//! description of AWS Signature Version 4, so that what it lets in S3 would let in.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use clock::Clock;
use emulator::simulated::SimulatedDataPlane;
use emulator::{CodeStore, Emulator, EmulatorConfig, Timings};
use http_body::Frame;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

const ACCESS_KEY: &str = "AKIDCODE";
const SECRET_KEY: &str = "not a secret";
/// A key that has to be escaped in more than one way.
const KEY: &str = "team a/orders+1.jar";
const HEALTHY: &str = r#"{"faults":[]}"#;

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Whether the headers sign this GET.
fn is_signed(path: &str, query: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authorization) = text("authorization").and_then(|it| it.strip_prefix("AWS4-HMAC-SHA256 ")) else {
        return false;
    };
    let fields: BTreeMap<&str, &str> = authorization.split(", ").filter_map(|field| field.split_once('=')).collect();
    let (credential, names) = (fields["Credential"], fields["SignedHeaders"]);
    let Some(scope) = credential.strip_prefix(ACCESS_KEY).and_then(|it| it.strip_prefix('/')) else { return false };
    let mut canonical_headers = String::new();
    for name in names.split(';') {
        writeln!(canonical_headers, "{name}:{}", text(name).unwrap_or_default()).unwrap();
    }
    let payload = text("x-amz-content-sha256").unwrap();
    let request = format!("GET\n{path}\n{query}\n{canonical_headers}\n{names}\n{payload}");
    let date = text("x-amz-date").unwrap();
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let key = scope.split('/').fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, part| hmac(&key, part));
    payload == hex(&Sha256::digest("")) && names.contains("host") && fields["Signature"] == hex(&hmac(&key, &to_sign))
}

/// Objects by path and version.
type Objects = Arc<BTreeMap<(&'static str, &'static str), &'static str>>;

async fn answer(State(objects): State<Objects>, request: Request) -> Response<Body> {
    let respond = |status: StatusCode, body: &str| Response::builder().status(status).body(Body::from(body.to_owned()));
    let uri = request.uri().clone();
    let query = uri.query().unwrap_or_default();
    if !is_signed(uri.path(), query, request.headers()) {
        return respond(StatusCode::FORBIDDEN, "<Error><Code>SignatureDoesNotMatch</Code></Error>").unwrap();
    }
    if uri.path() == "/code/large.jar" {
        let length = emulator::code::LARGEST_CODE_BYTES + 1;
        return Response::builder().header("content-length", length).body(Body::new(Endless)).unwrap();
    }
    let version = query.strip_prefix("versionId=").unwrap_or("second");
    match objects.get(&(uri.path(), version)) {
        Some(content) => Response::builder().header("x-amz-version-id", version).body(Body::from(*content)).unwrap(),
        None => respond(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").unwrap(),
    }
}

/// A body that never comes: whoever waits for it hangs.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

/// An emulator whose code is behind the stand-in.
struct Service(Emulator);

impl Service {
    async fn new(secret_key: &str) -> Self {
        let objects: Objects = Arc::new(BTreeMap::from([
            (("/code/team%20a/orders%2B1.jar", "first"), HEALTHY),
            (("/code/team%20a/orders%2B1.jar", "second"), r#"{"faults":["main_throws"]}"#),
        ]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(objects);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let credentials = Credentials::new(ACCESS_KEY, secret_key, None, None, "test");
        let config = SdkConfig::builder()
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let clock = Clock::starting_at(Clock::wall().now(), 100);
        let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 7));
        Self(Emulator::new(EmulatorConfig {
            code: CodeStore::s3(endpoint, &config).unwrap(),
            timings: Timings::brisk(),
            ..EmulatorConfig::new(clock, data_plane)
        }))
    }

    async fn call(&self, operation: &str, mut body: Value) -> Result<Value, String> {
        body["ApplicationName"] = json!("orders");
        let request = http::Request::post("/").header("x-amz-target", format!("KinesisAnalytics_20180523.{operation}"));
        let response = self.0.handle(request.body(Bytes::from(body.to_string())).unwrap()).await;
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        let error = || format!("{}: {}", answer["__type"].as_str().unwrap(), answer["message"].as_str().unwrap());
        if response.status().is_success() { Ok(answer) } else { Err(error()) }
    }

    async fn create(&self, key: &str, version: Option<&str>) -> Result<Value, String> {
        let mut location = json!({ "BucketARN": "arn:aws:s3:::code", "FileKey": key });
        if let Some(version) = version {
            location["ObjectVersion"] = json!(version);
        }
        let content = json!({ "S3ContentLocation": location });
        let code = json!({ "CodeContentType": "ZIPFILE", "CodeContent": content });
        let body = json!({
            "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/flink",
            "ApplicationConfiguration": { "ApplicationCodeConfiguration": code },
        });
        self.call("CreateApplication", body).await
    }

    async fn status(&self) -> String {
        let answer = self.call("DescribeApplication", json!({})).await.unwrap();
        answer["ApplicationDetail"]["ApplicationStatus"].as_str().unwrap().to_owned()
    }
}

const UNREADABLE: &str = "InvalidArgumentException: Please check the role provided or validity of S3 location";

#[tokio::test]
async fn code_comes_from_the_object_version_that_is_named() {
    let service = Service::new(SECRET_KEY).await;
    let created = service.create(KEY, Some("first")).await.unwrap();
    let size = created.pointer(
        "/ApplicationDetail/ApplicationConfigurationDescription/ApplicationCodeConfigurationDescription\
         /CodeContentDescription/CodeSize",
    );
    assert_eq!(size, Some(&json!(HEALTHY.len())));
    service.call("StartApplication", json!({})).await.unwrap();
    while service.status().await == "STARTING" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(service.status().await, "RUNNING");
}

#[tokio::test]
async fn code_that_cannot_be_had_is_refused() {
    let service = Service::new(SECRET_KEY).await;
    let absent = [("absent.jar", None), (KEY, Some("third")), ("../code/orders.jar", None)];
    for (key, version) in absent {
        let refusal = service.create(key, version).await.unwrap_err();
        assert!(refusal.starts_with(UNREADABLE), "{key}: {refusal}");
    }
    let refusal = service.create("large.jar", None).await.unwrap_err();
    assert_eq!(refusal, "InvalidArgumentException: The application code is too large: it may be of at most 512 MiB.");

    service.create(KEY, None).await.unwrap();
    let update = json!({
        "CurrentApplicationVersionId": 1,
        "ApplicationConfigurationUpdate": { "ApplicationCodeConfigurationUpdate": { "CodeContentUpdate": {
            "S3ContentLocationUpdate": { "FileKeyUpdate": "absent.jar" },
        } } },
    });
    let refusal = service.call("UpdateApplication", update).await.unwrap_err();
    assert!(refusal.starts_with(UNREADABLE), "{refusal}");
}

#[tokio::test]
async fn code_that_may_not_be_read_is_refused() {
    let service = Service::new("another secret").await;
    let refusal = service.create(KEY, None).await.unwrap_err();
    assert!(refusal.starts_with(UNREADABLE), "{refusal}");
}
