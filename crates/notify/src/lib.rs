//! Tells what came of a deployment: people through an SNS topic, machines through an `EventBridge` bus. Where neither is
//! configured, the log line is all. A deployment that a failed step has cut short has no report yet; it gets one here.
//! It tells of runs of snapshots too, and of executions that ended without having told of it.

mod ended;
mod handed;
mod letter;
mod measured;
mod snapshots;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use handler::{Environment, Error, Execution, Metrics};
use jiff::Timestamp;
use lifecycle::deployment::{Deployment, StepError};
use lifecycle::report::{Outcome, Report};
use lifecycle::verdict::Reason;
use managed_flink::{Error as CallError, retry_budget};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use ended::{EXECUTION_EVENT_TYPE, EndedExecution, ExecutionDetail, StatusChange, tell_of_execution};
pub use handed::{Told, tell_of};
pub use letter::Letter;
pub use measured::{OF_TIME, OUTCOMES};
pub use snapshots::{SNAPSHOTS_EVENT_TYPE, SnapshotsEvent, tell_of_snapshots};

/// `Source` of the events on the bus.
pub const EVENT_SOURCE: &str = "managed-flink.deployments";
/// Version of the schemas of all events that we put on the bus, as `schemaVersion` in each `Detail`. The second number is
/// raised when a member is added, the first when one goes, is renamed or means something else.
pub const SCHEMA_VERSION: &str = "1.0";
/// `DetailType` of the events on the bus; `Detail` is the report.
pub const EVENT_TYPE: &str = "Deployment Ended";

/// Where outcomes are told.
#[derive(Debug, Clone)]
pub struct Notifier {
    topic: Option<(aws_sdk_sns::Client, String)>,
    bus: Option<(aws_sdk_eventbridge::Client, String)>,
}

impl Notifier {
    /// Clients for what the environment names.
    pub fn new(config: &aws_config::SdkConfig, environment: &Environment) -> Self {
        let sns = aws_sdk_sns::config::Builder::from(config).retry_partition(retry_budget("sns")).build();
        let events = aws_sdk_eventbridge::config::Builder::from(config).retry_partition(retry_budget("events")).build();
        let topic = environment.topic_arn.clone().map(|topic| (aws_sdk_sns::Client::from_conf(sns), topic));
        let bus = environment.event_bus.clone().map(|bus| (aws_sdk_eventbridge::Client::from_conf(events), bus));
        Self { topic, bus }
    }
}

/// What the Lambda works with.
#[derive(Debug, Clone)]
pub struct Teller {
    /// Where outcomes are told.
    pub notifier: Notifier,
    /// Where they are counted.
    pub metrics: Metrics,
}

/// Something to tell: a letter for people, an event for machines.
#[derive(Debug, Clone, Copy)]
pub struct News<'news, Detail> {
    /// Subject of the letter. What SNS does not take in one is replaced, and what is too long is cut off.
    pub subject: &'news str,
    /// The letter.
    pub text: &'news str,
    /// `DetailType` of the event.
    pub detail_type: &'news str,
    /// `Detail` of the event: what makes a JSON object.
    pub detail: &'news Detail,
}

/// The `Detail` as it is put on the bus.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versioned<'news, Detail> {
    schema_version: &'static str,
    #[serde(flatten)]
    detail: &'news Detail,
}

impl Notifier {
    /// Tells it wherever something is configured.
    pub async fn tell<Detail: Serialize>(&self, news: &News<'_, Detail>) -> Result<(), Error> {
        self.tell_with(Some((news.subject, news.text)), news.detail_type, news.detail).await
    }

    /// Tells machines, and people where there is a letter: its subject and its text. Where the one fails the other is told all
    /// the same, so that a retry may tell machines again. Once people have their letter, the error of the bus keeps its own
    /// name, and most of those are not retried: the letter would come again, too.
    async fn tell_with<Detail: Serialize>(
        &self,
        letter: Option<(&str, &str)>,
        detail_type: &str,
        detail: &Detail,
    ) -> Result<(), Error> {
        let detail = serde_json::to_string(&Versioned { schema_version: SCHEMA_VERSION, detail });
        let detail = detail.map_err(Error::Result)?;
        let written = match letter {
            Some((subject, text)) => self.write(subject, text).await,
            None => Ok(false),
        };
        let put = self.put(detail_type, &detail).await;
        match (written, put) {
            (Ok(_), Ok(())) => Ok(()),
            (Ok(true), Err(error)) => Err(error.into()),
            (Ok(false), Err(error)) => Err(not_told("EventBridge", &error)),
            (Err(error), _) => Err(not_told("SNS", &error)),
        }
    }

    /// Writes to people, where a topic is configured; whether one is.
    async fn write(&self, about: &str, text: &str) -> Result<bool, CallError> {
        let Some((sns, topic)) = &self.topic else { return Ok(false) };
        let sent = sns.publish().topic_arn(topic).subject(subject(about)).message(text).send().await;
        sent.map(|_| true).map_err(|error| CallError::from_sdk("Publish", error))
    }

    /// Puts an event for machines, where a bus is configured.
    async fn put(&self, detail_type: &str, detail: &str) -> Result<(), CallError> {
        let Some((events, bus)) = &self.bus else { return Ok(()) };
        let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(EVENT_SOURCE);
        let entry = entry.detail_type(detail_type).detail(detail).build();
        let sent = events.put_events().entries(entry).send().await;
        let sent = sent.map_err(|error| CallError::from_sdk("PutEvents", error))?;
        if sent.failed_entry_count() == 0 {
            return Ok(());
        }
        let code = sent.entries().first().and_then(|entry| entry.error_code()).unwrap_or("no error code");
        Err(CallError::unreadable("PutEvents", format!("the event was not taken: {code}")))
    }
}

fn not_told(channel: &'static str, error: &CallError) -> Error {
    Error::NotificationFailed { channel, problem: error.message().to_owned() }
}

/// A subject as SNS takes it: less than 100 characters, none of which is a control character. Of other characters than
/// those of ASCII the service's documentation has said both that they are refused and that they are taken.
fn subject(text: &str) -> String {
    let plain = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    text.chars().take(99).map(plain).collect()
}

/// The event of this step: the deployment, or what is left of it where its first step failed.
#[derive(Debug, Deserialize)]
pub struct NotifyEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// The execution.
    pub execution: Execution,
    /// Name of the application that the input names.
    pub application: String,
    /// The deployment as the step before left it; only `error` where there was none.
    pub deployment: Value,
}

/// Tells the outcome, and hands the deployment on with its report. The outcome is counted last, so that a step that is
/// retried because it could not tell counts it once.
pub async fn notify(teller: &Teller, event: NotifyEvent) -> Result<Deployment, Error> {
    let mut deployment = deployment_of(&event)?;
    let report = match deployment.report.take() {
        Some(report) => report,
        None => cut_short(&mut deployment, event.now),
    };
    let subject = format!("{}: {}", report.application, report.outcome);
    let text = letter(&report, &event.execution.id).to_string();
    let news = News { subject: &subject, text: &text, detail_type: EVENT_TYPE, detail: &report };
    teller.notifier.tell(&news).await?;
    measured::measure(&teller.metrics, &report);
    deployment.report = Some(report);
    Ok(deployment)
}

fn deployment_of(event: &NotifyEvent) -> Result<Deployment, Error> {
    if event.deployment.get("startedAt").is_some() {
        return handler::read(event.deployment.clone());
    }
    let Execution { name, started_at, .. } = &event.execution;
    let mut deployment = Deployment::unread(event.application.clone(), name, *started_at);
    deployment.error = event.deployment.get("error").and_then(|error| StepError::deserialize(error).ok());
    Ok(deployment)
}

/// The report of a deployment that a failed step has cut short.
fn cut_short(deployment: &mut Deployment, now: Timestamp) -> Report {
    let error = deployment.error.take();
    let because = error.map(Reason::from);
    Report::of(deployment, Outcome::NeedsAttention, because.into_iter().collect(), now)
}

/// The report as a person reads it.
fn letter<'news>(report: &Report, execution_arn: &'news str) -> Letter<'news> {
    let mut details = Vec::new();
    details.extend(report.root_cause.iter().flat_map(|cause| cause.lines()));
    details.extend(report.timings.map(|timings| timings.to_string()));
    details.extend(report.reason.iter().map(|reason| format!("Asked for because: {reason}")));
    if !details.is_empty() && !report.events.is_empty() {
        details.push(String::new());
    }
    details.extend(report.events.iter().map(|event| format!("{}  {}", event.at, event.what)));
    let happened = report.summary.clone();
    let (data, to_do) = (report.about_data(), report.to_do());
    Letter { happened, data, to_do, execution_arn: Some(execution_arn), details }
}
