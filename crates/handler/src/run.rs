//! Start-up of a Lambda: configuration from the environment, clients built once, logs as JSON lines, and the loop that
//! takes events.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use lifecycle::deployment::Deployment;
use lifecycle::verdict::in_words;
use managed_flink::{Endpoint, HttpsTransport, ManagedFlink};
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
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn read() -> Self {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            topic_arn: value("NOTIFY_TOPIC_ARN"),
            event_bus: value("NOTIFY_EVENT_BUS"),
            log_level: value("AWS_LAMBDA_LOG_LEVEL"),
            is_overridden: ["AWS_ENDPOINT_URL_KINESIS_ANALYTICS_V2", "AWS_ENDPOINT_URL"]
                .into_iter()
                .any(|name| value(name).is_some()),
        }
    }
}

/// The Lambda could not start.
#[derive(Debug, thiserror::Error)]
#[error("the Lambda runtime ended: {0}")]
pub struct StartError(lambda_runtime::Error);

/// Clients for the application, from the environment.
pub async fn managed_flink(environment: &Environment) -> ManagedFlink {
    let config = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12()).load().await;
    let endpoint = if environment.is_overridden { Endpoint::Overridden } else { Endpoint::Aws };
    ManagedFlink::new(&config, Arc::new(HttpsTransport::new()), endpoint)
}

/// Takes events until the sandbox ends. `function` is the Lambda itself.
pub async fn run<State, Event>(
    environment: &Environment,
    state: State,
    function: impl AsyncFn(&State, Event) -> Result<Deployment, Error>,
) -> Result<(), StartError>
where
    Event: DeserializeOwned,
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
    .map_err(StartError)
}

/// What is logged at a level. It is ours alone: whatever the level, the AWS SDK and the HTTP clients tell of warnings only,
/// since their finer lines show requests and answers, secrets included.
pub fn log_filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("warn,lambda_runtime=error,handler={level},managed_flink={level},notify={level}"))
}

/// One invocation: from the event's JSON to the result's, logged once. In-process tests come in here too.
pub async fn invoke<State, Event>(
    state: &State,
    function: &impl AsyncFn(&State, Event) -> Result<Deployment, Error>,
    payload: Value,
) -> Result<Value, Error>
where
    Event: DeserializeOwned,
{
    let names = Names::of(&payload);
    let result = match read(payload) {
        // Boxed: the SDK's calls nest so deeply that the compiler gives up on one future of them all.
        Ok(event) => Box::pin(function(state, event)).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(deployment) => {
            log(&deployment);
            serde_json::to_value(deployment).map_err(Error::Result)
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
        path: error.path().to_string(),
        problem: match error.inner().classify() {
            serde_json::error::Category::Data => "a field is missing, or is not of its type",
            _ => "not JSON",
        },
    })
}

/// Who an event is about, for the log line of a failure.
struct Names {
    application: String,
    execution: String,
}

impl Names {
    fn of(payload: &Value) -> Self {
        let text = |paths: [&str; 2]| {
            let found = paths.into_iter().find_map(|path| payload.pointer(path).and_then(Value::as_str));
            found.unwrap_or("unknown").to_owned()
        };
        Self {
            application: text(["/deployment/application", "/input/application"]),
            execution: text(["/deployment/execution", "/execution/name"]),
        }
    }
}

fn log(deployment: &Deployment) {
    let operation = deployment.began.as_ref().and_then(|began| began.operation_id.as_deref()).unwrap_or_default();
    let verdict = deployment.verdict.as_ref().map(|verdict| (verdict.is, in_words(&verdict.reasons)));
    tracing::info!(
        application = deployment.application,
        execution = deployment.execution,
        version = deployment.version,
        operation,
        rung = ?deployment.rung,
        next = ?deployment.next,
        wait_seconds = deployment.wait_seconds,
        verdict = verdict.as_ref().map(|(is, _)| tracing::field::debug(is)),
        why = verdict.as_ref().map(|(_, why)| why.as_str()),
        decided = deployment.decided.as_deref(),
        outcome = deployment.report.as_ref().map(|report| tracing::field::debug(report.outcome)),
        "step done"
    );
}
