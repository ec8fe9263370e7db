//! What libFuzzer drives: every place where input or an answer is read, through the code that ships. Each function takes
//! the bytes of one case and panics where a promise is broken: what is refused is refused with a field and a cure, what
//! was read can be written and read again, and neither results nor errors grow with what was sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use handler::{Event, SnapshotEvent, SubmitEvent, TurnEvent};
use jiff::{SignedDuration, Timestamp};
use lifecycle::deployment::Deployment;
use lifecycle::refusal::Refusal;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::{LARGEST_REQUEST_BYTES, Request};
use lifecycle::snapshots::{RunSummary, SnapshotRequest, SnapshotRun};
use lifecycle::status::JobState;
use lifecycle::turn::{Claim, Turns};
use managed_flink::{
    BoxFuture, Endpoint, Error, FlinkResponse, FlinkTransport, ManagedFlink, SecretUrl, TransportError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Stands between the parts of a case that holds several answers: a character that JSON does not have.
const SEPARATOR: u8 = 0x1e;
const TOKEN: &str = "eyJ-a-bearer-secret";
/// The state machine carries 262,144 bytes.
const LARGEST_DOCUMENT: usize = 100_000;
const LARGEST_RESULT: usize = 16_000;
const LONGEST_ERROR: usize = 8_000;

/// A request, as an execution's input.
pub fn request(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    match Request::parse(&input) {
        Ok(request) => {
            assert!(input.to_string().len() <= LARGEST_REQUEST_BYTES);
            assert!(request.policy.refusals().is_empty());
            assert_stable(&Deployment::new(&request, "release", now()), LARGEST_DOCUMENT);
        }
        Err(refusals) => {
            assert_clear(&refusals);
            assert_stable(&Deployment::refused(&input, "release", now(), refusals, now()), LARGEST_DOCUMENT);
        }
    }
}

/// A request for snapshots.
pub fn snapshot_request(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    match SnapshotRequest::parse(&input, now()) {
        Ok(request) => {
            assert!(request.plan.snapshot.len() <= 256 && request.plan.retention.refusals().is_empty());
            let mut run = SnapshotRun::new("orders", request.plan);
            run.begin(now());
            run.skip_in_blackout(now());
            assert_stable(&run, LARGEST_DOCUMENT);
        }
        Err(refusals) => {
            assert_clear(&refusals);
            let summary = RunSummary::refused("run", refusals, now(), now());
            assert!(json(&summary).len() <= LARGEST_DOCUMENT);
        }
    }
}

/// What the state machine hands to a Lambda, and what lies in the table of turns.
pub fn documents(bytes: &[u8]) {
    if let Ok(mut turns) = serde_json::from_slice::<Turns>(bytes) {
        assert_stable(&turns, usize::MAX);
        let claim = Claim::new("arn:aws:states:eu-west-1:1:execution:deploy:mine", now(), None);
        let answer = turns.ask(&claim, &BTreeMap::new(), now());
        let before = turns.clone();
        assert!(turns.ask(&claim, &BTreeMap::new(), now()) == answer && turns == before);
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    if let Ok(mut deployment) = serde_json::from_value::<Deployment>(value.clone()) {
        assert_stable(&deployment, usize::MAX);
        assert_stable(&Report::of(&deployment, Outcome::NeedsAttention, Vec::new(), now()), usize::MAX);
        deployment.note(now(), "looked");
        deployment.take_turn(now());
        assert!(deployment.deadline >= now());
    }
    is_read_or_placed::<Event>(&value);
    is_read_or_placed::<TurnEvent>(&value);
    is_read_or_placed::<SubmitEvent>(&value);
    is_read_or_placed::<SnapshotEvent>(&value);
}

/// Flink's REST API: the overview, the metrics, the exceptions and the checkpoints.
pub fn flink(bytes: &[u8]) {
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == SEPARATOR).collect();
    let part = |index: usize| (200, parts.get(index).copied().unwrap_or_default().to_vec());
    let names = ["overview", "metrics", "exceptions", "checkpoints"];
    let mut answers: Answers = names.into_iter().enumerate().map(|(index, name)| (name, part(index))).collect();
    answers.insert("CreateApplicationPresignedUrl", (200, presigned()));
    answers.insert("DescribeApplication", (200, DESCRIBED.into()));
    let overview = answers["overview"].1.clone();
    let managed = Played::client(answers);
    match run(managed.job("orders")) {
        Err(error) => assert_silent(&error),
        Ok(None) => {}
        Ok(Some(job)) => {
            assert_stable(&job, LARGEST_RESULT);
            assert!(!format!("{job:?}").contains(TOKEN));
            // Where parts that nobody asks for are not even JSON, there is nothing to compare with.
            if let Ok(said) = serde_json::from_slice::<Value>(&overview)
                && job.state == JobState::Running
                && job.tasks.are_all_at_work()
            {
                let jobs = said["jobs"].as_array().cloned().unwrap_or_default();
                assert!(jobs.iter().any(|said| {
                    let count = |name: &str| said["tasks"][name].as_u64().map(u128::from);
                    let at_work = count("running").zip(count("finished")).map(|(one, other)| one + other);
                    said["jid"] == job.id.as_str() && said["state"] == "RUNNING" && at_work == count("total")
                }));
            }
        }
    }
    match run(managed.checkpoints("orders")) {
        Err(error) => assert_silent(&error),
        Ok(checkpoints) => {
            let text = format!("{checkpoints:?}");
            assert!(text.len() <= LARGEST_RESULT && !text.contains(TOKEN));
        }
    }
}

/// An answer of the service. The first byte says of which call: a digit is its place in the list, and anything else brings
/// the answer with a status of refusal.
pub fn service(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else { return };
    let calls = [
        "DescribeApplication",
        "DescribeApplicationVersion",
        "DescribeApplicationOperation",
        "ListApplicationOperations",
        "ListApplicationSnapshots",
        "DescribeApplicationSnapshot",
        "ListApplications",
        "ListTagsForResource",
        "CreateApplicationPresignedUrl",
        "RollbackApplication",
    ];
    let call = calls[usize::from(choice.wrapping_sub(b'0')) % calls.len()];
    let status = if choice.is_ascii_digit() { 200 } else { 400 };
    let mut answers = BTreeMap::from([("DescribeApplication", (200, Vec::from(DESCRIBED)))]);
    answers.insert(call, (status, body.to_vec()));
    let managed = Played::client(answers);
    let error = match call {
        "DescribeApplication" => bounded(run(managed.application("orders"))),
        "DescribeApplicationVersion" => run(managed.configuration("orders", 7)).err(),
        "DescribeApplicationOperation" => bounded(run(managed.operation("orders", "id"))),
        "ListApplicationOperations" => bounded_debug(run(managed.newest_operation("orders", None))),
        "ListApplicationSnapshots" => match run(managed.snapshots("orders")) {
            Ok(snapshots) => {
                snapshots.iter().for_each(|snapshot| assert_stable(snapshot, LARGEST_RESULT));
                None
            }
            Err(error) => Some(error),
        },
        "DescribeApplicationSnapshot" => bounded(run(managed.snapshot("orders", "monday"))),
        "ListApplications" => match run(managed.application_page(None)) {
            Ok(page) => {
                page.applications.iter().for_each(|application| assert_stable(application, LARGEST_RESULT));
                None
            }
            Err(error) => Some(error),
        },
        "ListTagsForResource" => run(managed.tags("arn")).err(),
        "CreateApplicationPresignedUrl" => bounded(run(managed.job("orders"))),
        _ => bounded_debug(run(managed.roll_back("orders", 7))),
    };
    error.iter().for_each(assert_bounded);
}

/// An answer of `CloudWatch`, in CBOR. The first byte says of which call: `m` for metrics, anything else for alarms.
pub fn cloudwatch(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else { return };
    let answers = BTreeMap::from([("GetMetricData", (200, body.to_vec())), ("DescribeAlarms", (200, body.to_vec()))]);
    let managed = Played::client(answers);
    let error = if choice == b'm' {
        bounded(run(managed.restarts("orders", "FLINK-1_20", now(), now() + SignedDuration::from_hours(1))))
    } else {
        let names = ["orders-lag".to_owned(), "orders-errors".to_owned()];
        bounded_debug(run(managed.alarms(&names)))
    };
    error.iter().for_each(assert_bounded);
}

/// An event of S3.
#[cfg(feature = "upload")]
pub fn upload(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let settings = start_deployment::Settings {
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:deploy".to_owned(),
        table: "turns".to_owned(),
        bucket: "code".to_owned(),
        prefix: "applications/".to_owned(),
        applications: [("any/".to_owned(), "fraud.detection".to_owned())].into(),
        policy: None,
    };
    let played = Played(Arc::new(Mutex::new(BTreeMap::from([
        ("PutItem", (200, b"{}".to_vec())),
        ("StartExecution", (200, br#"{"executionArn":"arn","startDate":1}"#.to_vec())),
    ]))));
    let starter = start_deployment::Starter::new(&config(&played), &handler::Environment::default(), settings);
    match run(start_deployment::start_deployment(&starter, event)) {
        Ok(reply) => {
            assert!(
                reply.reasons.is_empty() || {
                    assert_clear(&reply.reasons);
                    true
                }
            );
            assert!(reply.execution.is_none_or(|name| (1..=80).contains(&name.len())));
        }
        Err(error) => assert!(error.to_string().len() <= LONGEST_ERROR),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_170_000).unwrap_or_default()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| panic!("it cannot be written: {error}"))
}

/// What is written has a bound, and is the same when it is read again.
fn assert_stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, most: usize) {
    let written = json(value);
    assert!(written.len() <= most, "{} bytes", written.len());
    match serde_json::from_str::<T>(&written) {
        Ok(read) => assert_eq!(&read, value),
        Err(error) => panic!("it cannot be read again: {error}"),
    }
}

fn assert_clear(refusals: &[Refusal]) {
    assert!(!refusals.is_empty());
    for Refusal { field, problem, cure } in refusals {
        assert!([field, problem, cure].iter().all(|text| !text.trim().is_empty() && text.chars().count() <= 401));
    }
}

fn assert_bounded(error: &Error) {
    let text = format!("{error} {error:?}");
    assert!(text.len() <= LONGEST_ERROR, "{} bytes", text.len());
}

/// Where the token is known, as it is once a presigned URL was made.
fn assert_silent(error: &Error) {
    assert_bounded(error);
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
}

/// The error, if it is one; the result has a bound and can be written and read again.
fn bounded<T: Serialize + DeserializeOwned + PartialEq + Debug>(result: Result<T, Error>) -> Option<Error> {
    result.map(|value| assert_stable(&value, LARGEST_RESULT)).err()
}

fn bounded_debug<T: Debug>(result: Result<T, Error>) -> Option<Error> {
    result.map(|value| assert!(format!("{value:?}").len() <= LARGEST_RESULT)).err()
}

fn is_read_or_placed<T: DeserializeOwned>(value: &Value) {
    if let Err(error) = handler::read::<T>(value.clone()) {
        assert_eq!(error.name(), "InvalidEvent");
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
}

/// Runs it in virtual time, so that waits between retries cost none.
fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Answers by operation of AWS, and by the last part of the path of Flink, with their HTTP status.
#[derive(Debug, Clone, Default)]
struct Played(Arc<Mutex<Answers>>);

type Answers = BTreeMap<&'static str, (u16, Vec<u8>)>;

impl Played {
    fn answer(&self, name: &str) -> (u16, Vec<u8>) {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(name).cloned().unwrap_or((404, b"{\"__type\":\"ResourceNotFoundException\"}".to_vec()))
    }

    /// A client that gets these answers. One is good for many cases, since it takes longer to make than to use; not for
    /// all, since it remembers every value that is to be struck out.
    fn client(answers: Answers) -> ManagedFlink {
        thread_local! {
            static CLIENT: RefCell<Option<(Played, ManagedFlink, u32)>> = const { RefCell::new(None) };
        }
        CLIENT.with_borrow_mut(|kept| {
            let (played, managed, cases) = kept.take().filter(|(.., cases)| *cases < CASES).unwrap_or_else(|| {
                let played = Played::default();
                let managed = ManagedFlink::new(&config(&played), Arc::new(played.clone()), Endpoint::Aws);
                (played, managed, 0)
            });
            *played.0.lock().unwrap_or_else(PoisonError::into_inner) = answers;
            *kept = Some((played, managed.clone(), cases + 1));
            managed
        })
    }
}

/// Cases for which a client is used.
const CASES: u32 = 200;

impl HttpConnector for Played {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // JSON 1.1 names the operation in a header, RPC v2 in the path.
        let target = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
        let (status, body) = self.answer(target.or_else(|| request.uri().rsplit('/').next()).unwrap_or_default());
        let status = status.try_into().unwrap_or_else(|error| panic!("no status: {error}"));
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl FlinkTransport for Played {
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>> {
        let (status, body) = self.answer(url.expose().path().rsplit('/').next().unwrap_or_default());
        Box::pin(async move { Ok(FlinkResponse { status, body }) })
    }
}

fn config(played: &Played) -> SdkConfig {
    let connector = SharedHttpConnector::new(played.clone());
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "fuzz")))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build()
}

fn presigned() -> Vec<u8> {
    let url = format!("https://dashboard.eu-west-1.amazonaws.com/flinkdashboard?authToken={TOKEN}");
    serde_json::json!({ "AuthorizedUrl": url }).to_string().into_bytes()
}

const DESCRIBED: &[u8] = br#"{"ApplicationDetail":{"ApplicationARN":"arn","ApplicationName":"orders",
"RuntimeEnvironment":"FLINK-1_20","ApplicationStatus":"RUNNING","ApplicationVersionId":7}}"#;
