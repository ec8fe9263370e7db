//! Servers on this machine that play the service and Flink, and mean harm: what ships, its HTTP clients included, reads
//! them. Nothing of a token or of a runtime property's value is in an error or in a log at its finest level, nothing is
//! followed elsewhere, and of an answer without an end little is read.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use handler::{Answer, Error, invoke, log_filter};
use lifecycle::evidence::Job;
use managed_flink::{Endpoint, ErrorKind, HttpsTransport, ManagedFlink};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing_subscriber::fmt::MakeWriter;

const TOKEN: &str = "eyJ-a-bearer-secret";
const PASSWORD: &str = "hunter2-of-the-database";
/// Bytes that a flood would come to.
const FLOOD: usize = 100 * 1024 * 1024;
/// What is read of an answer of AWS, in each of three attempts, and what the system's buffers hold beside it.
const MOST_TAKEN: usize = 3 * (8 + 10) * 1024 * 1024;

/// What a server does with a request.
enum Does {
    /// Answers with this status, these headers and this body.
    Answers(&'static str, String, Vec<u8>),
    /// Sends a body of [`FLOOD`] bytes.
    Floods,
}

fn ok(body: &Value) -> Does {
    Does::Answers("200 OK", String::new(), body.to_string().into_bytes())
}

/// A server: what it does is told by the operation of AWS or by the path. Counts the bytes that were taken off it and the
/// connections that were made to it.
struct Server {
    address: std::net::SocketAddr,
    sent: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(does: impl Fn(&str) -> Does + Send + Sync + 'static) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // What the system takes without the client's reading must not count for much.
        socket.set_send_buffer_size(64 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(serve(listener, Arc::new(does), Arc::clone(&sent), Arc::clone(&connections)));
        Self { address, sent, connections }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(
    listener: TcpListener,
    does: Arc<dyn Fn(&str) -> Does + Send + Sync>,
    sent: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let (does, sent) = (Arc::clone(&does), Arc::clone(&sent));
        tokio::spawn(async move {
            let Some(asked) = asked_for(&mut stream).await else { return };
            match does(&asked) {
                Does::Answers(status, headers, body) => {
                    let length = body.len();
                    let head =
                        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
                    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                    let _ = stream.shutdown().await;
                }
                Does::Floods => {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {FLOOD}\r\n\r\n{{\"ApplicationDetail\":\"");
                    let _ = stream.write_all(head.as_bytes()).await;
                    let block = vec![b'x'; 64 * 1024];
                    let mut mine = 0;
                    while mine < FLOOD && stream.write_all(&block).await.is_ok() {
                        mine += block.len();
                        sent.fetch_add(block.len(), Ordering::SeqCst);
                    }
                }
            }
        });
    }
}

/// Reads a request, and tells the operation of AWS that it names, or its path.
async fn asked_for(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).ok()?;
    let header = |name: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    if let Some(length) = header("content-length") {
        let mut body = vec![0; length.parse().ok()?];
        stream.read_exact(&mut body).await.ok()?;
    }
    let operation = header("x-amz-target").and_then(|target| target.split('.').nth(1).map(str::to_owned));
    operation.or_else(|| Some(head.split(' ').nth(1)?.split('?').next()?.to_owned()))
}

/// What ships, against a server in the place of AWS.
fn client(aws: &Server) -> ManagedFlink {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(aws.url())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "test")))
        .build();
    ManagedFlink::new(&config, Arc::new(HttpsTransport::new()), Endpoint::Overridden)
}

/// A log that is kept.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log of all tests here: the subscriber is that of the process, as it is in a Lambda.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    tracing_subscriber::fmt().json().with_writer(log.clone()).with_env_filter(log_filter("trace")).init();
    log
});

#[derive(Serialize)]
struct Seen {
    application: String,
    job: Option<Job>,
}

impl Answer for Seen {
    fn log(&self) {
        // As one of the crates that the log knows.
        tracing::info!(target: "handler", application = self.application, job = ?self.job, "job seen");
    }
}

/// Looks at the job of an application of this name as a Lambda does, and tells what comes of it and what is in the log at
/// its finest level.
async fn look(managed: &ManagedFlink, application: &str) -> (Result<Value, Error>, String) {
    LazyLock::force(&LOG);
    let step = async |managed: &ManagedFlink, event: Value| {
        let application = event["application"].as_str().unwrap().to_owned();
        let job = managed.job(&application).await?;
        Ok(Seen { application, job })
    };
    let result = invoke(managed, &step, json!({ "application": application })).await;
    let log = LOG.text();
    assert!(log.contains(application), "nothing was logged: {log}");
    (result, log)
}

fn described() -> Value {
    json!({ "ApplicationDetail": {
        "ApplicationARN": "arn", "ApplicationName": "orders", "RuntimeEnvironment": "FLINK-1_20",
        "ApplicationStatus": "RUNNING", "ApplicationVersionId": 7,
        "ApplicationConfigurationDescription": { "EnvironmentPropertyDescriptions": { "PropertyGroupDescriptions": [
            { "PropertyGroupId": "database", "PropertyMap": { "password": PASSWORD } },
        ] } },
    } })
}

/// A server in the place of AWS, whose presigned URLs lead to `flink`.
fn aws(flink: &Server) -> Server {
    let url = format!("{}/flinkdashboard?authToken={TOKEN}", flink.url());
    Server::start(move |operation| match operation {
        "CreateApplicationPresignedUrl" => ok(&json!({ "AuthorizedUrl": url })),
        _ => ok(&described()),
    })
}

fn assert_silent(result: &Result<Value, Error>, log: &str) {
    let told = match result {
        Ok(value) => value.to_string(),
        Err(error) => format!("{error} {error:?} {}", sources(error)),
    };
    for (what, text) in [("told", told.as_str()), ("logged", log)] {
        assert!(!text.contains(TOKEN) && !text.contains(PASSWORD), "{what}: {text}");
    }
}

fn sources(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}; {source} {source:?}");
        next = source.source();
    }
    text
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed_and_its_token_is_not_told() {
    let elsewhere = Server::start(|_| ok(&json!({ "jobs": [] })));
    let targets = [
        format!("{}/?authToken={TOKEN}", elsewhere.url()),
        format!("//{}/{TOKEN}", elsewhere.address),
        format!("http://169.254.169.254/latest/meta-data/?authToken={TOKEN}"),
        format!("https://evil.example/{TOKEN}"),
    ];
    for target in targets {
        let to = target.clone();
        let flink = Server::start(move |_| Does::Answers("302 Found", format!("location: {to}\r\n"), TOKEN.into()));
        let (result, log) = look(&client(&aws(&flink)), "redirected").await;
        assert_silent(&result, &log);
        assert_eq!(result.unwrap_err().name(), "UnreadableAnswer", "{target}");
        assert_eq!(flink.connections.load(Ordering::SeqCst), 1, "{target}");
    }
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_an_error_of_flink_echoes_is_not_told() {
    let echo = format!("bad token authToken={TOKEN}, {TOKEN}; {PASSWORD}");
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "200 OK"] {
        let body = echo.clone().into_bytes();
        let flink = Server::start(move |_| Does::Answers(status, format!("x-echo: {TOKEN}\r\n"), body.clone()));
        let (result, log) = look(&client(&aws(&flink)), "echoing").await;
        assert!(result.is_err(), "{status}");
        assert_silent(&result, &log);
    }
}

#[tokio::test]
async fn what_an_exception_of_the_job_quotes_is_not_told() {
    let overview = json!({ "jobs": [{ "jid": "aa", "state": "FAILED", "start-time": 1, "tasks": {
        "total": 1, "running": 0, "finished": 0, "failed": 1, "canceled": 0, "canceling": 0, "initializing": 0,
        "created": 0, "scheduled": 0, "deploying": 0, "reconciling": 0,
    } }] });
    let stacktrace = format!("a.B: {PASSWORD} and {TOKEN}\n\tat x\nCaused by: c.D: authToken={TOKEN}&x {PASSWORD}");
    let exceptions = json!({ "exceptionHistory": { "entries": [
        { "exceptionName": "a.B", "stacktrace": stacktrace, "timestamp": 1, "taskName": TOKEN },
    ] } });
    let flink = Server::start(move |path| match path.rsplit('/').next() {
        Some("overview") => ok(&overview),
        Some("exceptions") => ok(&exceptions),
        _ => ok(&json!([{ "id": "numRestarts", "value": "1" }])),
    });
    let (result, log) = look(&client(&aws(&flink)), "quoting").await;
    assert_silent(&result, &log);
    assert_eq!(result.unwrap()["job"]["failure"]["exception"], "c.D");
    assert!(log.contains("[redacted]"), "{log}");
}

#[tokio::test]
async fn what_a_refusal_of_the_service_echoes_is_not_told() {
    let message = format!("no: https://abc.amazonaws.com/flinkdashboard?authToken={TOKEN} with {PASSWORD}");
    let body = json!({ "__type": "InvalidRequestException", "message": message }).to_string().into_bytes();
    let aws = Server::start(move |operation| match operation {
        "CreateApplicationPresignedUrl" => Does::Answers("400 Bad Request", String::new(), body.clone()),
        _ => ok(&described()),
    });
    let (result, log) = look(&client(&aws), "refused").await;
    assert_silent(&result, &log);
    assert_eq!(result.unwrap_err().name(), "InvalidRequest");
}

#[tokio::test]
async fn of_a_flood_from_aws_little_is_taken() {
    let aws = Server::start(|_| Does::Floods);
    let managed = client(&aws);
    let error = managed.application("orders").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
    drop(managed);
    let sent = aws.sent.load(Ordering::SeqCst);
    let floods = aws.connections.load(Ordering::SeqCst);
    assert!(sent < MOST_TAKEN.min(floods * FLOOD / 2), "{sent} bytes in {floods} connections");
}

#[tokio::test]
async fn a_redirect_of_aws_is_not_followed() {
    let elsewhere = Server::start(|_| ok(&described()));
    let to = elsewhere.url();
    let aws =
        Server::start(move |_| Does::Answers("307 Temporary Redirect", format!("location: {to}/\r\n"), Vec::new()));
    assert!(client(&aws).application("orders").await.is_err());
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}
