//! A local Lambda: Tasks go to the real `bootstrap` binaries, through the Runtime API that they poll on AWS.
//!
//! Each process has a Runtime API of its own on a loopback port, serves one invocation at a time, and stays warm for the
//! next; a second invocation meanwhile gets a second process, as on AWS. An invocation that nobody waits for any more
//! (the Task timed out, the execution was stopped) goes on in its process, also as on AWS. Dropping
//! [`LambdaFunctions`] kills all processes. Should this process itself be killed, the functions find their Runtime API
//! gone at the next poll or answer, and `lambda_runtime` then ends.
//!
//! Functions live in real time: do not use this on a tokio runtime whose time is paused, and beside an engine with a
//! fast clock give it a task clock ([`crate::Engine::with_task_clock`]).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clock::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::engine::{TaskError, TaskHandler};

/// The largest answer of a function, in bytes.
const ANSWER_BYTES: usize = 6_291_556;
/// What the Runtime API reads at most before it looks at [`ANSWER_BYTES`].
const BODY_BYTES: usize = 4 * ANSWER_BYTES;

/// A function: its binary and configuration.
#[derive(Debug, Clone)]
pub struct Function {
    /// The `bootstrap`.
    pub binary: PathBuf,
    /// Its environment, beside what Lambda sets itself; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Its time-out, in real time.
    pub timeout: Duration,
    /// Its memory as it is told to the function (it is not limited).
    pub memory_megabytes: u32,
}

/// Where a function wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a function wrote.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Where it wrote.
    pub stream: Stream,
    /// The line, without its end.
    pub line: &'a str,
}

/// Takes the lines that functions write.
pub type LogSink = Arc<dyn Fn(LogLine<'_>) + Send + Sync>;

/// The functions that Tasks can call by name.
pub struct LambdaFunctions {
    shared: Arc<Shared>,
    /// Invocations under way; ends them when dropped.
    invocations: Mutex<JoinSet<()>>,
}

struct Shared {
    functions: BTreeMap<String, Function>,
    idle: Mutex<BTreeMap<String, Vec<Process>>>,
    sink: LogSink,
}

impl LambdaFunctions {
    /// Functions by name. Nothing is started until a function is called.
    pub fn new(functions: BTreeMap<String, Function>, sink: LogSink) -> Self {
        let shared = Arc::new(Shared { functions, idle: Mutex::default(), sink });
        Self { shared, invocations: Mutex::default() }
    }

    /// Ends all invocations and processes, and waits for the idle ones until they are gone.
    pub async fn shutdown(self) {
        let mut invocations = std::mem::take(&mut *lock(&self.invocations));
        invocations.shutdown().await;
        let idle = std::mem::take(&mut *lock(&self.shared.idle));
        for mut process in idle.into_values().flatten() {
            process.kill().await;
        }
    }
}

#[async_trait]
impl TaskHandler for LambdaFunctions {
    async fn invoke(&self, function_name: &str, payload: Value) -> Result<Value, TaskError> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let name = function_name.to_owned();
        {
            let mut invocations = lock(&self.invocations);
            while invocations.try_join_next().is_some() {}
            invocations.spawn(async move {
                // Nobody may be waiting for the answer any more.
                let _ = answer.send(shared.invoke(&name, &payload).await);
            });
        }
        answered.await.unwrap_or_else(|_| {
            Err(TaskError { error: "Lambda.ServiceException".to_owned(), cause: "Lambda is shutting down".to_owned() })
        })
    }
}

impl Shared {
    async fn invoke(&self, name: &str, payload: &Value) -> Result<Value, TaskError> {
        let Some(function) = self.functions.get(name) else {
            return Err(TaskError {
                error: "Lambda.ResourceNotFoundException".to_owned(),
                cause: format!("Function not found: {}", arn(name)),
            });
        };
        let id = Uuid::new_v4().to_string();
        let mut process = match self.take_idle(name) {
            Some(process) => process,
            None => Process::spawn(name, function, &self.sink).await.map_err(|error| {
                let binary = function.binary.display();
                failure("Runtime.InvalidEntrypoint", &format!("RequestId: {id} Error: {binary}: {error}"))
            })?,
        };
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation {
            id: id.clone(),
            deadline_milliseconds: deadline(function.timeout),
            arn: arn(name),
            payload: payload.to_string(),
            answer,
        };
        if process.invocations.send(invocation).await.is_err() {
            return Err(failure("Runtime.ExitError", &format!("RequestId: {id} Error: the Runtime API is gone")));
        }
        let document = tokio::select! {
            biased;
            Ok(document) = answered => document,
            exit = process.child.wait() => {
                let status = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
                let what = format!("RequestId: {id} Error: Runtime exited with error: {status}");
                return Err(process.init_error().unwrap_or_else(|| failure("Runtime.ExitError", &what)));
            }
            () = tokio::time::sleep(function.timeout) => {
                process.kill().await;
                let seconds = function.timeout.as_secs_f64();
                let what = format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds");
                return Err(failure("Sandbox.Timedout", &what));
            }
        };
        lock(&self.idle).entry(name.to_owned()).or_default().push(process);
        document.into_result()
    }

    /// A warm process that is still alive.
    fn take_idle(&self, name: &str) -> Option<Process> {
        let mut idle = lock(&self.idle);
        let processes = idle.get_mut(name)?;
        while let Some(mut process) = processes.pop() {
            if matches!(process.child.try_wait(), Ok(None)) {
                return Some(process);
            }
        }
        None
    }
}

/// The data behind these locks is whole at every await and panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
}

fn failure(error: &str, message: &str) -> TaskError {
    let cause = json!({ "errorType": error, "errorMessage": message }).to_string();
    TaskError { error: error.to_owned(), cause }
}

/// The time of day at which an invocation that begins now times out, in milliseconds since 1970.
fn deadline(timeout: Duration) -> i64 {
    let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    Clock::wall().now().saturating_add(timeout).map_or(i64::MAX, Timestamp::as_millisecond)
}

/// What a function is asked to do.
struct Invocation {
    id: String,
    deadline_milliseconds: i64,
    arn: String,
    payload: String,
    answer: oneshot::Sender<Document>,
}

/// What a function answered.
enum Document {
    Response(Bytes),
    Error(Bytes),
}

impl Document {
    fn into_result(self) -> Result<Value, TaskError> {
        match self {
            Self::Response(body) if body.len() > ANSWER_BYTES => Err(failure(
                "Function.ResponseSizeTooLarge",
                &format!("Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES} bytes)."),
            )),
            Self::Response(body) => serde_json::from_slice(&body)
                .map_err(|error| failure("Lambda.Unknown", &format!("the function did not answer in JSON: {error}"))),
            Self::Error(body) => Err(error_document(&body)),
        }
    }
}

/// The error that a runtime reported, as Step Functions hands it on: its `errorType`, and the whole document.
fn error_document(body: &[u8]) -> TaskError {
    let error = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|document| document.get("errorType")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| "Lambda.Unknown".to_owned());
    TaskError { error, cause: String::from_utf8_lossy(body).into_owned() }
}

/// A process of a function with its Runtime API.
struct Process {
    child: Child,
    invocations: mpsc::Sender<Invocation>,
    api: Arc<RuntimeApi>,
    /// The Runtime API's server and the readers of the output; they end when dropped.
    _tasks: JoinSet<()>,
}

impl Process {
    async fn spawn(name: &str, function: &Function, sink: &LogSink) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut child = Command::new(&function.binary)
            .env_clear()
            .envs(lambda_environment(name, function.memory_megabytes))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .envs(&function.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut tasks = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            tasks.spawn(read_lines(stdout, name.to_owned(), Stream::Stdout, Arc::clone(sink)));
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.spawn(read_lines(stderr, name.to_owned(), Stream::Stderr, Arc::clone(sink)));
        }
        let (invocations, next) = mpsc::channel(1);
        let api = Arc::new(RuntimeApi {
            next: tokio::sync::Mutex::new(next),
            current: Mutex::default(),
            init_error: Mutex::default(),
        });
        let router = router(Arc::clone(&api));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the Runtime API stopped");
            }
        });
        Ok(Self { child, invocations, api, _tasks: tasks })
    }

    /// Ends the process and waits until it is gone.
    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "a function's process could not be ended");
        }
    }

    fn init_error(&self) -> Option<TaskError> {
        lock(&self.api.init_error).take()
    }
}

/// The variables that Lambda sets for every function.
fn lambda_environment(name: &str, memory_megabytes: u32) -> [(&'static str, String); 10] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_megabytes.to_string()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
}

async fn read_lines(source: impl AsyncRead + Unpin, function: String, stream: Stream, sink: LogSink) {
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    while matches!(source.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes);
        sink(LogLine { function: &function, stream, line: line.trim_end_matches(['\r', '\n']) });
        bytes.clear();
    }
}

/// The state behind one process's Runtime API.
struct RuntimeApi {
    next: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// The invocation that the process has been given and has not answered.
    current: Mutex<Option<(String, oneshot::Sender<Document>)>>,
    init_error: Mutex<Option<TaskError>>,
}

impl RuntimeApi {
    /// Hands an answer to whoever waits for the invocation.
    fn answer(&self, id: &str, document: Document) -> Response {
        match lock(&self.current).take_if(|(current, _)| current == id) {
            Some((_, answer)) => {
                // The invocation may have timed out meanwhile.
                let _ = answer.send(document);
                (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
            }
            None => {
                (StatusCode::BAD_REQUEST, r#"{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}"#)
                    .into_response()
            }
        }
    }
}

fn router(api: Arc<RuntimeApi>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(api)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(invocation) = api.next.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let Invocation { id, deadline_milliseconds, arn, payload, answer } = invocation;
    *lock(&api.current) = Some((id.clone(), answer));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-deadline-ms", deadline_milliseconds.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", format!("Root=1-00000000-{};Sampled=0", &id.replace('-', "")[..24])),
        ("lambda-runtime-aws-request-id", id),
    ];
    (headers, payload).into_response()
}

async fn response(State(api): State<Arc<RuntimeApi>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.answer(&id, Document::Response(body))
}

async fn error(State(api): State<Arc<RuntimeApi>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.answer(&id, Document::Error(body))
}

async fn init_error(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> Response {
    *lock(&api.init_error) = Some(error_document(&body));
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

#[cfg(test)]
mod tests;
