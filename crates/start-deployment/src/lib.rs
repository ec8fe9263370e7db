//! From an upload to its deployment: an event of S3 comes in, and an execution of the deploy state machine is started. An
//! event that comes twice starts nothing twice, and one that a newer upload of the same key has overtaken starts nothing.
//! What cannot be deployed is told to people and is no error, because no retry would help.

mod settings;
mod upload;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use handler::{Answer, Environment, Error};
use lifecycle::refusal::Refusal;
use managed_flink::{ErrorKind, retry_budget};
use notify::{Letter, News, Notifier};
use serde::Serialize;
use serde_json::Value;

pub use settings::Settings;
use upload::{Declined, Planned};

/// `DetailType` of the event that tells of a refused upload; its `Detail` is the [`Reply`].
pub const EVENT_TYPE: &str = "Upload Refused";
/// How long an upload is remembered as the newest of its key. No event comes so late.
const REMEMBERED_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Characters of a key, or of a bucket's name, that are repeated. S3 has no longer ones.
const LONGEST_KEY: usize = 1_024;

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// The execution is started, or runs already.
    Started,
    /// It ran earlier: the event came once more.
    AlreadyDeployed,
    /// A newer upload of the same key has come before.
    Overtaken,
    /// No code: its key does not end with `.jar` or `.zip`.
    Ignored,
    /// It cannot be deployed, and people were told.
    Refused,
}

/// What the Lambda returns.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// What came of the event.
    pub outcome: Outcome,
    /// What was uploaded, as `s3://bucket/key`.
    pub object: String,
    /// Name of its application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Name of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Why it is refused, and what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Refusal>,
}

impl Reply {
    /// Nothing has come of this event yet.
    fn about(event: &Value) -> Self {
        let text = |path| -> String {
            event.pointer(path).and_then(Value::as_str).unwrap_or("unknown").chars().take(LONGEST_KEY).collect()
        };
        let object = format!("s3://{}/{}", text("/detail/bucket/name"), text("/detail/object/key"));
        Self { outcome: Outcome::Ignored, object, application: None, execution: None, reasons: Vec::new() }
    }
}

impl Answer for Reply {
    fn log(&self) {
        let (application, execution) = (self.application.as_deref(), self.execution.as_deref());
        let why = self.reasons.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ");
        tracing::info!(object = self.object, application, execution, outcome = ?self.outcome, why, "upload seen");
    }
}

/// Starts deployments.
#[derive(Debug, Clone)]
pub struct Starter {
    settings: Settings,
    uploads: aws_sdk_dynamodb::Client,
    executions: aws_sdk_sfn::Client,
    notifier: Notifier,
}

impl Starter {
    /// Clients for what the settings and the environment name.
    pub fn new(config: &SdkConfig, environment: &Environment, settings: Settings) -> Self {
        let uploads = aws_sdk_dynamodb::config::Builder::from(config).retry_partition(retry_budget("dynamodb"));
        let executions = aws_sdk_sfn::config::Builder::from(config).retry_partition(retry_budget("states"));
        Self {
            settings,
            uploads: aws_sdk_dynamodb::Client::from_conf(uploads.build()),
            executions: aws_sdk_sfn::Client::from_conf(executions.build()),
            notifier: Notifier::new(config, environment),
        }
    }

    /// Writes down that this is the newest upload of its key, unless there is a newer one. The same upload is written once
    /// more: the run before may have come no further.
    async fn is_newest(&self, planned: &Planned) -> Result<bool, managed_flink::Error> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let expires_at = planned.upload.at.as_second() + REMEMBERED_SECONDS;
        let put = self.uploads.put_item().table_name(&self.settings.table);
        let put = put
            .item("application", text(&planned.item_key()))
            .item("sequencer", text(&planned.upload.sequencer))
            .item("versionId", text(&planned.upload.version_id))
            .item("expiresAt", AttributeValue::N(expires_at.to_string()))
            .condition_expression("attribute_not_exists(sequencer) OR sequencer <= :mine")
            .expression_attribute_values(":mine", text(&planned.upload.sequencer));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(managed_flink::Error::from_sdk("PutItem", error)),
        }
    }

    /// Starts the execution. A repeated call is answered as the first while that execution runs, and finds that there was
    /// one once it has ended.
    async fn start(&self, planned: &Planned) -> Result<Outcome, managed_flink::Error> {
        let start = self.executions.start_execution().state_machine_arn(&self.settings.state_machine_arn);
        match start.name(&planned.execution).input(planned.input.to_string()).send().await {
            Ok(_) => Ok(Outcome::Started),
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
                Ok(Outcome::AlreadyDeployed)
            }
            Err(error) => Err(managed_flink::Error::from_sdk("StartExecution", error)),
        }
    }

    async fn begin(&self, planned: &Planned) -> Result<Outcome, managed_flink::Error> {
        if self.is_newest(planned).await? { self.start(planned).await } else { Ok(Outcome::Overtaken) }
    }

    /// Tells people why there will be no deployment.
    async fn refuse(&self, mut reply: Reply, reasons: Vec<Refusal>) -> Result<Reply, Error> {
        reply.outcome = Outcome::Refused;
        reply.reasons = reasons;
        let text = letter(&reply).to_string();
        let subject = format!("Upload refused: {}", reply.object);
        let news = News { subject: &subject, text: &text, detail_type: EVENT_TYPE, detail: &reply };
        self.notifier.tell(&news).await?;
        Ok(reply)
    }
}

/// The refusal as a person reads it.
fn letter(reply: &Reply) -> Letter<'static> {
    let problem = |Refusal { field, problem, .. }: &Refusal| format!("{field}: {problem}");
    let problems: Vec<String> = reply.reasons.iter().map(problem).collect();
    let cures: Vec<&str> = reply.reasons.iter().map(|refusal| refusal.cure.as_str()).collect();
    Letter {
        happened: format!("{} was uploaded and is not deployed: {}.", reply.object, problems.join("; ")),
        data: "Not touched.".to_owned(),
        to_do: format!("{}.", cures.join("; ")),
        execution_arn: None,
        details: Vec::new(),
    }
}

/// Takes one event.
pub async fn start_deployment(starter: &Starter, event: Value) -> Result<Reply, Error> {
    let mut reply = Reply::about(&event);
    let planned = match Planned::of(&event, &starter.settings) {
        Ok(planned) => planned,
        Err(Declined::Ignored) => return Ok(reply),
        Err(Declined::Refused(reasons)) => return starter.refuse(reply, reasons).await,
    };
    reply.application = Some(planned.application.clone());
    reply.execution = Some(planned.execution.clone());
    match starter.begin(&planned).await {
        Ok(outcome) => Ok(Reply { outcome, ..reply }),
        // It would be denied again and again.
        Err(error) if error.kind() == ErrorKind::AccessDenied => {
            let cure = "give the Lambda this permission, and upload it again";
            starter.refuse(reply, vec![Refusal::new("permissions", error.to_string(), cure)]).await
        }
        Err(error) => Err(error.into()),
    }
}
