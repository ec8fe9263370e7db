//! One situation's own corner of the account: an application that only it touches, and the executions that deploy to it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use emulator::simulated::Behaviour;
use jiff::{SignedDuration, Timestamp};
use lifecycle::report::{Outcome, Report};
use serde_json::{Value, json};

use super::account::{Account, CODE};
use super::cloud::ACCOUNT;
use super::conformance;
use super::letters::Letter;
use crate::checker::ExecutionTrace;
use crate::suites;

/// How long anything may take, in real time; only what hangs takes as long.
const DEADLINE: Duration = Duration::from_secs(400);
const PAUSE: Duration = Duration::from_millis(500);
/// How long a job runs before something is deployed, by the service's clock.
const RUNS_BEFORE: Duration = Duration::from_mins(2);

/// The corner.
pub struct Scene<'a> {
    /// The account.
    pub account: &'a Account,
    /// The application's name, and the situation's.
    pub name: &'static str,
    /// Executions of ours that are known to deploy to another application.
    others: Mutex<BTreeSet<String>>,
}

impl Ended {
    /// What its report says, in a sentence or two.
    pub fn summary(&self) -> String {
        self.report.as_ref().map(|report| report.summary.clone()).unwrap_or_default()
    }
}

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its ARN.
    pub arn: String,
    /// Its status, as the service writes it.
    pub status: String,
    /// The error's name, if it failed.
    pub error: Option<String>,
    /// Its report, if it came to one.
    pub report: Option<Report>,
    /// What `DescribeExecution` says.
    pub described: Value,
}

impl<'a> Scene<'a> {
    /// A corner of this name.
    pub fn new(account: &'a Account, name: &'static str) -> Self {
        Self { account, name, others: Mutex::default() }
    }

    /// Creates the application with healthy code and starts it, and lets it run for a while.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn running(&self) -> Result<(), String> {
        self.ready().await?;
        let restore =
            json!({ "ApplicationRestoreConfiguration": { "ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT" } });
        let start = json!({ "ApplicationName": self.name, "RunConfiguration": restore });
        self.account.flink("StartApplication", &start).await?;
        self.until_status("RUNNING").await?;
        self.account.emulator.clock().sleep(RUNS_BEFORE).await;
        Ok(())
    }

    /// Creates the application with healthy code, and does not start it.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn ready(&self) -> Result<(), String> {
        let key = format!("first/{}.jar", self.name);
        let version = self.account.cloud.upload(CODE, &key, Behaviour::healthy().to_content()).await?;
        let (tag, value) = super::account::SCHEDULED;
        let tags =
            if self.name == super::situations::SCHEDULE { json!([{ "Key": tag, "Value": value }]) } else { json!([]) };
        let create = json!({
            "ApplicationName": self.name,
            "RuntimeEnvironment": "FLINK-1_20",
            "ServiceExecutionRole": "arn:aws:iam::123456789012:role/orders",
            "Tags": tags,
            "ApplicationConfiguration": {
                "ApplicationCodeConfiguration": { "CodeContentType": "ZIPFILE", "CodeContent": { "S3ContentLocation": {
                    "BucketARN": format!("arn:aws:s3:::{CODE}"), "FileKey": key, "ObjectVersion": version } } },
                "FlinkApplicationConfiguration": { "CheckpointConfiguration": {
                    "ConfigurationType": "CUSTOM", "CheckpointingEnabled": true, "CheckpointInterval": 30_000 } },
                "ApplicationSnapshotConfiguration": { "SnapshotsEnabled": true },
            },
        });
        self.account.flink("CreateApplication", &create).await?;
        self.until_status("READY").await
    }

    /// Waits until the application has this status.
    ///
    /// # Errors
    /// When it does not come to have it.
    pub async fn until_status(&self, status: &str) -> Result<(), String> {
        until(&format!("{} is {status}", self.name), async || {
            let application = self.account.application(self.name).await?;
            Ok((application["ApplicationStatus"] == status).then_some(()))
        })
        .await
    }

    /// The object version of the code that the application is configured with, and its key.
    ///
    /// # Errors
    /// When there is no such application.
    pub async fn code(&self) -> Result<(String, String), String> {
        let application = self.account.application(self.name).await?;
        let location = &application["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
            ["S3ApplicationCodeLocationDescription"];
        let text = |member: &str| location[member].as_str().unwrap_or_default().to_owned();
        Ok((text("FileKey"), text("ObjectVersion")))
    }

    /// Where this application's code of such a name is uploaded to be deployed.
    pub fn key(&self, file: &str) -> String {
        format!("applications/{}/{file}", self.name)
    }

    /// Uploads code that does this to where it is deployed, and returns its version.
    ///
    /// # Errors
    /// When S3 refuses.
    pub async fn upload(&self, file: &str, behaviour: &Behaviour) -> Result<String, String> {
        self.account.cloud.upload(CODE, &self.key(file), behaviour.to_content()).await
    }

    /// ARN of the deploy state machine.
    ///
    /// # Errors
    /// When the stack does not tell.
    pub fn machine(&self) -> Result<&str, String> {
        self.account.output("DeployStateMachineArn")
    }

    /// Starts an execution by hand.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn start(&self, name: &str, input: &Value) -> Result<String, String> {
        self.account.cloud.start_execution(self.machine()?, name, input).await
    }

    /// An input that changes a runtime property, with this policy.
    pub fn input(&self, value: &str) -> Value {
        json!({ "application": self.name, "update": { "ApplicationConfigurationUpdate": { "EnvironmentPropertyUpdates": {
            "PropertyGroups": [{ "PropertyGroupId": "app", "PropertyMap": { "setting": value } }] } } } })
    }

    /// Executions that deploy to the application, the oldest first.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn executions(&self) -> Result<Vec<String>, String> {
        let mut ours = Vec::new();
        for arn in self.account.cloud.executions(self.machine()?).await?.into_iter().rev() {
            if self.others.lock().unwrap_or_else(PoisonError::into_inner).contains(&arn) {
                continue;
            }
            let described = self.account.cloud.describe_execution(&arn).await?;
            let input: Value =
                described["input"].as_str().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
            if input["application"] == self.name {
                ours.push(arn);
            } else {
                self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(arn);
            }
        }
        Ok(ours)
    }

    /// Waits until there are so many executions, and returns them, the oldest first.
    ///
    /// # Errors
    /// When there are not, or there are more.
    pub async fn until_executions(&self, count: usize) -> Result<Vec<String>, String> {
        let found = until(&format!("{count} executions for {}", self.name), async || {
            let executions = self.executions().await?;
            Ok((executions.len() >= count).then_some(executions))
        })
        .await?;
        if found.len() == count { Ok(found) } else { Err(format!("{} executions instead of {count}", found.len())) }
    }

    /// The one execution that there is and has to be.
    ///
    /// # Errors
    /// When there is none, or more.
    pub async fn only_execution(&self) -> Result<String, String> {
        self.until_executions(1).await?.pop().ok_or_else(|| "no execution".to_owned())
    }

    /// Whether the application is configured with this object version.
    ///
    /// # Errors
    /// When it is not.
    pub async fn runs(&self, key: &str, version: &str) -> Result<(), String> {
        let (its_key, its_version) = self.code().await?;
        if (&*its_key, &*its_version) == (key, version) {
            return Ok(());
        }
        Err(format!("it runs {its_key} in version {its_version} instead of {key} in version {version}"))
    }

    /// The states that an execution has entered.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn path(&self, arn: &str) -> Result<Vec<String>, String> {
        conformance::path(&self.account.cloud.history(arn).await?)
    }

    /// Whether each of the executions came to its end before another went beyond waiting for its turn.
    ///
    /// # Errors
    /// When two were under way at once.
    pub async fn took_turns(&self, executions: &[String]) -> Result<(), String> {
        let mut spans = Vec::new();
        for execution in executions {
            let history = self.account.cloud.history(execution).await?;
            let prepares = |event: &&Value| event["stateEnteredEventDetails"]["name"] == "Prepare";
            let moment = |event: Option<&Value>| event.and_then(|event| event["timestamp"].as_f64());
            if let (Some(from), Some(until)) = (moment(history.iter().find(prepares)), moment(history.last())) {
                spans.push((from, until));
            }
        }
        spans.sort_by(|one, other| one.0.total_cmp(&other.0));
        if spans.is_empty() || spans.windows(2).any(|pair| matches!(pair, [one, next] if one.1 > next.0)) {
            return Err(format!("two deployments were under way at once: {spans:?}"));
        }
        Ok(())
    }

    /// What the execution left behind, for the checker of the safety rules.
    ///
    /// # Errors
    /// When Step Functions refuses.
    pub async fn trace(&self, ended: &Ended) -> Result<ExecutionTrace, String> {
        let described = &ended.described;
        let text = |member: &str| described[member].as_str().map(str::to_owned);
        let moment = |member: &str| {
            let seconds = described[member].as_f64().ok_or_else(|| format!("no {member} in {described}"))?;
            let since = SignedDuration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
            Timestamp::from_duration(since).map_err(|error| error.to_string())
        };
        let mut texts: Vec<String> = Vec::new();
        for event in self.account.cloud.history(&ended.arn).await? {
            // The execution's own input is not told by it.
            let exited = &event["stateExitedEventDetails"]["output"];
            let answered = &event["taskSucceededEventDetails"]["output"];
            let failed = [&event["taskFailedEventDetails"]["error"], &event["taskFailedEventDetails"]["cause"]];
            texts.extend([exited, answered].into_iter().chain(failed).filter_map(Value::as_str).map(str::to_owned));
        }
        let report = ended.report.as_ref().and_then(|report| serde_json::to_value(report).ok());
        let letters = self.account.letters.mail_about(self.name).await?;
        texts.extend(letters.into_iter().flat_map(|letter| [letter.subject, letter.text]));
        texts.extend(self.account.letters.events_about(self.name).await?.iter().map(ToString::to_string));
        let is_success = ended.status == "SUCCEEDED";
        Ok(ExecutionTrace {
            name: text("name").unwrap_or_default(),
            principal: ACCOUNT.to_owned(),
            application: self.name.to_owned(),
            input: text("input").and_then(|input| serde_json::from_str(&input).ok()).unwrap_or_default(),
            started_at: moment("startDate")?,
            ended_at: moment("stopDate")?,
            status: if is_success { asl::Status::Succeeded } else { asl::Status::Failed },
            error: text("error"),
            cause: text("cause"),
            output: report.filter(|_| is_success),
            texts,
            was_aborted: false,
            pause: None,
        })
    }

    /// Waits for the execution's end. Its history must be one that our own engine has too.
    ///
    /// # Errors
    /// When it does not end, or our engine would have gone another way.
    pub async fn ended(&self, arn: &str) -> Result<Ended, String> {
        let described = until(&format!("{arn} has ended"), async || {
            let described = self.account.cloud.describe_execution(arn).await?;
            Ok((described["status"] != "RUNNING").then_some(described))
        })
        .await?;
        let text = |member: &str| described[member].as_str().map(str::to_owned);
        // Of a Succeed state this engine ignores the Output, so that the report is within the deployment. Of an execution
        // that failed it has an output too.
        let told = if described["status"] == "SUCCEEDED" { text("output") } else { text("cause") };
        let told: Option<Value> = told.and_then(|told| serde_json::from_str(&told).ok());
        let report = told.map(|told| told.get("report").cloned().unwrap_or(told));
        let ended = Ended {
            arn: arn.to_owned(),
            status: text("status").unwrap_or_default(),
            error: text("error"),
            report: report.and_then(|report| serde_json::from_value(report).ok()),
            described,
        };
        let history = self.account.cloud.history(arn).await?;
        conformance::compare(&ended, &history)?;
        Ok(ended)
    }

    /// Waits for the execution's end, which must be this outcome, and for the message and the event that tell of it.
    ///
    /// # Errors
    /// When it ends otherwise, or nobody is told, or told twice.
    pub async fn ends_as(&self, arn: &str, outcome: Outcome) -> Result<Ended, String> {
        let ended = self.ended(arn).await?;
        let Some(report) = &ended.report else { return Err(format!("no report: {}", ended.described)) };
        if report.outcome != outcome {
            return Err(format!("{} instead of {outcome}: {}", report.outcome, report.summary));
        }
        let status = if report.success { "SUCCEEDED" } else { "FAILED" };
        if ended.status != status {
            return Err(format!("{} instead of {status}", ended.status));
        }
        if !report.success && ended.error.as_deref() != Some(&*outcome.to_string()) {
            return Err(format!("the error {:?} does not name the outcome {outcome}", ended.error));
        }
        self.is_told(report).await?;
        Ok(ended)
    }

    async fn is_told(&self, report: &Report) -> Result<(), String> {
        let events = until(&format!("an event of {}", report.execution), async || {
            let events = self.account.letters.events_about(self.name).await?;
            let ours: Vec<_> =
                events.into_iter().filter(|event| event["detail"]["execution"] == *report.execution).collect();
            Ok((!ours.is_empty()).then_some(ours))
        })
        .await?;
        let outcomes: Vec<_> = events.iter().map(|event| event["detail"]["outcome"].clone()).collect();
        if outcomes != [json!(report.outcome)] {
            return Err(format!("the bus was told {outcomes:?} instead of {}", report.outcome));
        }
        // The link to the console ends with it.
        let letters = self.until_mail(&format!(":{}\n", report.execution)).await?;
        if letters.len() == 1 { Ok(()) } else { Err(format!("told {} times: {letters:?}", letters.len())) }
    }

    /// Waits for messages with this in them.
    ///
    /// # Errors
    /// When none comes.
    pub async fn until_mail(&self, text: &str) -> Result<Vec<Letter>, String> {
        until(&format!("a message about {text}"), async || {
            let letters = self.account.letters.mail_about(text).await?;
            Ok((!letters.is_empty()).then_some(letters))
        })
        .await
    }
}

/// Tries until there is something.
///
/// # Errors
/// When there never is, or the attempt itself fails.
pub async fn until<T>(what: &str, attempt: impl AsyncFn() -> Result<Option<T>, String>) -> Result<T, String> {
    suites::until(what, PAUSE, DEADLINE, attempt).await
}
