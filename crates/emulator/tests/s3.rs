//! Uploads of code through the real SDK: over HTTP as a person's client would, and in the process.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use clock::Clock;
use emulator::code::LARGEST_CODE_BYTES;
use emulator::simulated::SimulatedDataPlane;
use emulator::{Effect, Emulator, EmulatorConfig, Fault, InProcessHttp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn emulator() -> Emulator {
    let clock = Clock::starting_at("2026-01-05T08:00:00Z".parse().unwrap(), 1);
    let data_plane = Arc::new(SimulatedDataPlane::new(clock.clone(), 0));
    Emulator::new(EmulatorConfig::new(clock, data_plane))
}

fn config() -> Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDFIRST", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
}

fn in_process(emulator: &Emulator) -> Client {
    let http = InProcessHttp::new(emulator.clone()).with_latency(Duration::ZERO);
    Client::from_conf(config().http_client(http).build())
}

/// The emulator at a port: its address without `http://`.
async fn served() -> (Emulator, String) {
    let emulator = emulator();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = emulator.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    (emulator, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploaded_file_is_code_with_a_version() {
    let (emulator, address) = served().await;
    let client = Client::from_conf(config().endpoint_url(format!("http://{address}")).build());
    client.create_bucket().bucket("code").send().await.unwrap();
    let versioning = client.get_bucket_versioning().bucket("code").send().await.unwrap();
    assert_eq!(versioning.status, Some(BucketVersioningStatus::Enabled));
    client.head_bucket().bucket("code").send().await.unwrap();
    // From a file the SDK sends chunks with a checksum at their end; more than one, and after asking whether it may.
    let file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    std::fs::write(file.path(), &content).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    let key = "applications/orders/orders 2+é.jar";
    let put = client.put_object().bucket("code").key(key).body(body).send().await.unwrap();
    let version = put.version_id.unwrap();
    assert_eq!(emulator.code().get("code", key, Some(&version)).unwrap().content, content);
    let head = client.head_object().bucket("code").key(key).send().await.unwrap();
    assert_eq!(head.version_id.as_deref(), Some(version.as_str()));
    assert_eq!((head.content_length, &head.e_tag), (Some(3_000_000), &put.e_tag));
    assert_eq!(head.e_tag.unwrap().len(), 34, "32 digits in quotes");
    // A second one is another version, and the first can still be had.
    let second =
        client.put_object().bucket("code").key(key).body(ByteStream::from_static(b"two")).send().await.unwrap();
    assert_ne!(second.version_id.as_deref(), Some(version.as_str()));
    let first = client.get_object().bucket("code").key(key).version_id(&version).send().await.unwrap();
    assert_eq!(first.body.collect().await.unwrap().into_bytes(), content);
    let newest = client.head_object().bucket("code").key(key).send().await.unwrap();
    assert_eq!((newest.version_id, newest.content_length), (second.version_id, Some(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_too_large_is_not_read() {
    let (_emulator, address) = served().await;
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let length = 2 * LARGEST_CODE_BYTES;
    let request = format!(
        "PUT /code/a.jar HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260105/us-east-1/s3/aws4_request\r\n\r\nPK"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("</Error>") {
        let mut bytes = [0; 1_024];
        let read = tokio::time::timeout(Duration::from_secs(20), connection.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(read, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("<Code>EntityTooLarge</Code>") && answer.contains("536870912 bytes"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_named() {
    let emulator = emulator();
    let client = in_process(&emulator);
    let put = client.put_object().bucket("absent").key("a").body(ByteStream::from_static(b"one")).send().await;
    let error = put.unwrap_err();
    assert_eq!((error.code(), error.message()), (Some("NoSuchBucket"), Some("The specified bucket does not exist")));
    let error = client.get_bucket_versioning().bucket("absent").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    assert!(client.head_bucket().bucket("absent").send().await.unwrap_err().into_service_error().is_not_found());
    let error = client.create_bucket().bucket("No_Name").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidBucketName"));
    // A bucket is there as soon as something is in it.
    let version = emulator.code().put("code", "orders.jar", "one");
    let error = client.get_object().bucket("code").key("a").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_key(), "{error:?}");
    assert!(client.head_object().bucket("code").key("a").send().await.unwrap_err().into_service_error().is_not_found());
    let error = client.get_object().bucket("code").key("orders.jar").version_id("5").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchVersion"));
    emulator.code().delete("code", "orders.jar");
    let head = || client.head_object().bucket("code").key("orders.jar");
    assert!(head().send().await.unwrap_err().into_service_error().is_not_found());
    head().version_id(version).send().await.unwrap();
    let error = client.list_objects_v2().bucket("code").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotImplemented"));
    let error = client.create_multipart_upload().bucket("code").key("a").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NotImplemented"));
}

#[tokio::test(start_paused = true)]
async fn permissions_and_faults_are_those_of_s3() {
    let emulator = emulator();
    emulator.code().create_bucket("code");
    let client = in_process(&emulator);
    let put = || client.put_object().bucket("code").key("a/b.jar").body(ByteStream::from_static(b"one")).send();
    put().await.unwrap();
    client.head_object().bucket("code").key("a/b.jar").send().await.unwrap();
    client.head_bucket().bucket("code").send().await.unwrap();
    let told: Vec<_> =
        emulator.accesses().iter().map(|it| format!("{} {}", it.action, it.resources.join(" "))).collect();
    let expected = [
        "s3:PutObject arn:aws:s3:::code/a/b.jar",
        "s3:GetObject arn:aws:s3:::code/a/b.jar",
        "s3:ListBucket arn:aws:s3:::code",
    ];
    assert_eq!(told, expected);
    emulator.inject(Fault::new("s3:PutObject", Effect::AccessDenied));
    let error = put().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    assert!(error.message().unwrap().contains("s3:PutObject on resource: arn:aws:s3:::code/a/b.jar"), "{error:?}");
    emulator.clear_faults();
    emulator.inject(Fault::new("s3:PutObject", Effect::Throttle));
    assert_eq!(put().await.unwrap_err().code(), Some("SlowDown"));
    assert_eq!(emulator.record().len(), 5);
}
