//! Start-up of a Lambda: configuration from the environment, clients built once, logs as JSON lines, and the loop that
//! takes events.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use lambda_runtime::{LambdaEvent, service_fn};
use lifecycle::deployment::Deployment;
use lifecycle::verdict::in_words;
use managed_flink::{Endpoint, HttpsTransport, ManagedFlink};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::error::Error;

/// What the Lambdas read from their environment; the AWS SDK reads its own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `NOTIFY_TOPIC_ARN`: the SNS topic that outcomes are told to.
    pub topic_arn: Option<String>,
    /// `NOTIFY_EVENT_BUS`: name or ARN of the event bus that outcomes are put on.
    pub event_bus: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, as Lambda's advanced logging controls set it.
    pub log_level: Option<String>,
    /// Whether an endpoint override is configured, so that the service is an emulator.
    pub is_overridden: bool,
}

impl Environment {
    /// Reads the environment, once, in main.
    pub fn read() -> Self {
        Self {
            topic_arn: variable("NOTIFY_TOPIC_ARN"),
            event_bus: variable("NOTIFY_EVENT_BUS"),
            log_level: variable("AWS_LAMBDA_LOG_LEVEL"),
            is_overridden: ["AWS_ENDPOINT_URL_KINESIS_ANALYTICS_V2", "AWS_ENDPOINT_URL"]
                .into_iter()
                .any(|name| variable(name).is_some()),
        }
    }
}

/// A variable of the environment, for what only one Lambda reads, once, in its main. An empty one counts as none, since
/// a template cannot leave one out.
pub fn variable(name: &str) -> Option<String> {
    variable_even_if_empty(name).filter(|value| !value.is_empty())
}

/// The same where empty means something.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn variable_even_if_empty(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that the Lambda cannot do without.
pub fn required_variable(name: &'static str) -> Result<String, StartError> {
    variable(name).ok_or_else(|| StartError::configuration(name, "is not set"))
}

/// What a Lambda returns: JSON for whoever called it, and one line in the log.
pub trait Answer: Serialize {
    /// Writes the line.
    fn log(&self);
}

/// The Lambda could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable of the environment cannot be meant.
    #[error("the environment variable {variable} {problem}")]
    Configuration {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it, as the rest of a sentence.
        problem: String,
    },
    /// The runtime ended.
    #[error("the Lambda runtime ended: {0}")]
    Runtime(lambda_runtime::Error),
}

impl StartError {
    /// This variable cannot be meant; `problem` is the rest of the sentence.
    pub fn configuration(variable: &'static str, problem: impl Into<String>) -> Self {
        Self::Configuration { variable, problem: problem.into() }
    }
}

/// What AWS clients are made with: region, credentials and endpoints from the environment, and time-outs under which a
/// call that gets no answer still ends before the Lambda does.
pub async fn sdk_config() -> SdkConfig {
    let time_outs = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(15))
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(time_outs).load().await
}

/// Clients for the application, from the environment.
pub async fn managed_flink(environment: &Environment) -> ManagedFlink {
    managed_flink_with(&sdk_config().await, environment)
}

/// The same over a configuration that other clients share: it is loaded once, and so are credentials.
pub fn managed_flink_with(config: &SdkConfig, environment: &Environment) -> ManagedFlink {
    let endpoint = if environment.is_overridden { Endpoint::Overridden } else { Endpoint::Aws };
    ManagedFlink::new(config, Arc::new(HttpsTransport::new()), endpoint)
}

/// Takes events until the sandbox ends. `function` is the Lambda itself.
pub async fn run<State, Event, Returned>(
    environment: &Environment,
    state: State,
    function: impl AsyncFn(&State, Event) -> Result<Returned, Error>,
) -> Result<(), StartError>
where
    Event: DeserializeOwned,
    Returned: Answer,
{
    let level = environment.log_level.clone().unwrap_or_else(|| "info".to_owned());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_env_filter(log_filter(&level))
        .init();
    let (state, function) = (&state, &function);
    lambda_runtime::run(service_fn(
        |event: LambdaEvent<Value>| async move { invoke(state, function, event.payload).await },
    ))
    .await
    .map_err(StartError::Runtime)
}

/// The crates that log something, as the log knows them.
const OURS: [&str; 10] = [
    "check_snapshot",
    "handler",
    "job_log",
    "managed_flink",
    "notify",
    "prune_snapshots",
    "select_applications",
    "start_deployment",
    "take_snapshot",
    "take_turn",
];

/// What is logged at a level. It is ours alone: whatever the level, the AWS SDK and the HTTP clients tell of warnings only,
/// since their finer lines show requests and answers, secrets included.
pub fn log_filter(level: &str) -> EnvFilter {
    let ours = OURS.map(|module| format!("{module}={level}")).join(",");
    EnvFilter::new(format!("warn,lambda_runtime=error,{ours}"))
}

/// One invocation: from the event's JSON to the result's, logged once. In-process tests come in here too.
pub async fn invoke<State, Event, Returned>(
    state: &State,
    function: &impl AsyncFn(&State, Event) -> Result<Returned, Error>,
    payload: Value,
) -> Result<Value, Error>
where
    Event: DeserializeOwned,
    Returned: Answer,
{
    let names = Names::of(&payload);
    let result = match read(payload) {
        // Boxed: the SDK's calls nest so deeply that the compiler gives up on one future of them all.
        Ok(event) => Box::pin(function(state, event)).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(returned) => {
            returned.log();
            serde_json::to_value(returned).map_err(Error::Result)
        }
        Err(error) => {
            let Names { application, execution } = names;
            tracing::error!(application, execution, error = error.name(), "{error}");
            Err(error)
        }
    }
}

/// Reads a part of an event, or says where it cannot be read; without values.
pub fn read<Event: DeserializeOwned>(payload: Value) -> Result<Event, Error> {
    serde_path_to_error::deserialize(payload).map_err(|error| Error::InvalidEvent {
        path: beginning(&error.path().to_string()),
        problem: match error.inner().classify() {
            serde_json::error::Category::Data => "a field is missing, or is not of its type",
            _ => "not JSON",
        },
    })
}

/// As much of an event's own text as is repeated: the key of an object has at most so many characters.
fn beginning(text: &str) -> String {
    text.chars().take(1_024).collect()
}

/// Who an event is about, for the log line of a failure.
struct Names {
    application: String,
    execution: String,
}

impl Names {
    fn of(payload: &Value) -> Self {
        let text = |paths: &[&str]| {
            let found = paths.iter().find_map(|path| payload.pointer(path).and_then(Value::as_str));
            beginning(found.unwrap_or("unknown"))
        };
        Self {
            // Of an upload, only its key is known.
            application: text(&[
                "/deployment/application",
                "/input/application",
                "/run/application",
                "/application",
                "/detail/object/key",
            ]),
            execution: text(&["/deployment/execution", "/execution/name"]),
        }
    }
}

impl Answer for Deployment {
    fn log(&self) {
        let operation = self.began.as_ref().and_then(|began| began.operation_id.as_deref()).unwrap_or_default();
        let verdict = self.verdict.as_ref().map(|verdict| (verdict.is, in_words(&verdict.reasons)));
        tracing::info!(
            application = self.application,
            execution = self.execution,
            version = self.version,
            operation,
            rung = ?self.rung,
            next = ?self.next,
            wait_seconds = self.wait_seconds,
            verdict = verdict.as_ref().map(|(is, _)| tracing::field::debug(is)),
            why = verdict.as_ref().map(|(_, why)| why.as_str()),
            decided = self.decided.as_deref(),
            outcome = self.report.as_ref().map(|report| tracing::field::debug(report.outcome)),
            "step done"
        );
    }
}
