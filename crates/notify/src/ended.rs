//! The net below: tells of an execution that ended without having told of it. A deployment that comes to an outcome tells
//! of it as its last step; one that is aborted or runs out of time, or that Step Functions itself fails, cannot.
//! `EventBridge` tells of all of them, and so this has to know which have told already.

use handler::Error;
use lifecycle::report::Outcome;
use lifecycle::snapshots::RunOutcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Letter, News, Notifier};

/// `DetailType` of the event on the bus; `Detail` is the [`EndedExecution`].
pub const EXECUTION_EVENT_TYPE: &str = "Execution Ended";
/// `detail-type` of the event of Step Functions.
pub(crate) const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// The event of Step Functions, as `EventBridge` delivers it.
#[derive(Debug, Clone, Deserialize)]
pub struct StatusChange {
    /// The execution.
    pub detail: ExecutionDetail,
}

/// The execution, in the words of Step Functions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionDetail {
    /// Its ARN.
    pub execution_arn: String,
    /// ARN of its state machine.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// Its input, JSON as text; absent where it is too large for an event.
    #[serde(default)]
    pub input: Option<String>,
    /// The error that it failed with.
    #[serde(default)]
    pub error: Option<String>,
    /// And the error's cause.
    #[serde(default)]
    pub cause: Option<String>,
}

/// An execution that has ended badly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedExecution {
    /// Name of the execution.
    pub execution: String,
    /// Its ARN.
    pub execution_arn: String,
    /// ARN of its state machine.
    pub state_machine_arn: String,
    /// `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// Name of the application, where the input names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Name of the error that it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What happened, in a sentence.
    pub summary: String,
    /// Whether the execution itself has told of its end, so that nothing is told here.
    pub told_itself: bool,
}

/// Tells of the execution, unless it has done so itself.
pub async fn tell_of_execution(notifier: &Notifier, event: StatusChange) -> Result<EndedExecution, Error> {
    let ended = EndedExecution::from(event.detail);
    if ended.told_itself {
        return Ok(ended);
    }
    let subject = format!("{}: {}", ended.about(), in_words(&ended.status));
    let news = News {
        subject: &subject,
        text: &letter(&ended).to_string(),
        detail_type: EXECUTION_EVENT_TYPE,
        detail: &ended,
    };
    notifier.tell(&news).await?;
    Ok(ended)
}

impl From<ExecutionDetail> for EndedExecution {
    fn from(detail: ExecutionDetail) -> Self {
        let told_itself = detail.has_told();
        let ExecutionDetail { execution_arn, state_machine_arn, name, status, input, error, .. } = detail;
        let input = input.and_then(|input| serde_json::from_str::<Value>(&input).ok());
        let application = input.as_ref().and_then(|input| input.get("application")).and_then(Value::as_str);
        let with = error.as_deref().filter(|error| !error.is_empty()).map(|error| format!(" with {error}"));
        let summary = format!("The execution {}{} without an outcome.", in_words(&status), with.unwrap_or_default());
        Self {
            application: application.map(str::to_owned),
            execution: name,
            execution_arn,
            state_machine_arn,
            status,
            error,
            summary,
            told_itself,
        }
    }
}

impl EndedExecution {
    /// The application, or else the state machine.
    fn about(&self) -> &str {
        let machine = self.state_machine_arn.rsplit(':').next().unwrap_or_default();
        self.application.as_deref().unwrap_or(machine)
    }
}

impl ExecutionDetail {
    /// Whether it failed with an outcome of ours, which its last step has told. The error's cause is then the report, which
    /// says so where it could not be told. Without a cause the error's name is believed.
    fn has_told(&self) -> bool {
        let Some(error) = self.error.as_deref().filter(|_| self.status == "FAILED") else { return false };
        let name = || Value::from(error);
        let is_deployments = serde_json::from_value::<Outcome>(name()).is_ok_and(|outcome| !outcome.is_success());
        let is_ours = is_deployments || serde_json::from_value::<RunOutcome>(name()).is_ok();
        is_ours && self.cause.as_deref().is_none_or(|cause| is_told_report(cause, error))
    }
}

fn is_told_report(cause: &str, outcome: &str) -> bool {
    serde_json::from_str::<Value>(cause).is_ok_and(|report| report["outcome"] == outcome && report["told"] != false)
}

fn in_words(status: &str) -> &'static str {
    match status {
        "TIMED_OUT" => "ran out of time",
        "ABORTED" => "was aborted",
        _ => "failed",
    }
}

/// What a person reads.
fn letter(ended: &EndedExecution) -> Letter<'_> {
    let EndedExecution { summary, execution_arn, .. } = ended;
    let whom = ended.application.as_deref().unwrap_or("the applications of its input");
    Letter {
        happened: format!("{summary} Nothing watches {whom} any more, and what was under way there goes on."),
        data: "Not verified.".to_owned(),
        to_do: format!("Look at {whom} in the console, and follow docs/operations.md, \"Stopping a deployment\"."),
        execution_arn: Some(execution_arn),
        details: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The event as Step Functions sends it, with these members of `detail` in place of its own.
    fn ended(changes: &Value) -> EndedExecution {
        let mut event = json!({
            "version": "0",
            "id": "315c1398-40ff-a850-213b-158f73e60175",
            "detail-type": STATUS_CHANGE,
            "source": "aws.states",
            "account": "123456789012",
            "time": "2026-11-20T10:00:00Z",
            "region": "eu-central-1",
            "resources": ["arn:aws:states:eu-central-1:123456789012:execution:flink-deploy:release-2"],
            "detail": {
                "executionArn": "arn:aws:states:eu-central-1:123456789012:execution:flink-deploy:release-2",
                "stateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:flink-deploy",
                "name": "release-2",
                "status": "ABORTED",
                "startDate": 1_795_169_000_000_u64,
                "stopDate": 1_795_169_850_000_u64,
                "input": "{\"application\": \"orders\", \"update\": {}}",
                "inputDetails": { "included": true },
                "output": null,
                "outputDetails": null,
                "redriveCount": 0,
                "error": null,
                "cause": null
            }
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            event["detail"][name] = value.clone();
        }
        handler::read::<StatusChange>(event).unwrap().detail.into()
    }

    #[test]
    fn an_aborted_execution_is_told_with_the_application_that_it_was_about() {
        let ended = ended(&json!({}));
        assert!(!ended.told_itself);
        assert_eq!(ended.about(), "orders");
        assert_eq!(ended.summary, "The execution was aborted without an outcome.");
        let letter = letter(&ended).to_string();
        assert!(letter.contains("Nothing watches orders any more"), "{letter}");
        assert!(letter.ends_with("execution:flink-deploy:release-2"), "{letter}");
    }

    #[test]
    fn an_outcome_is_not_told_twice() {
        for outcome in ["RolledBack", "Restored", "Refused", "NeedsAttention", "SnapshotsFailed"] {
            let report = json!({ "outcome": outcome, "success": false }).to_string();
            assert!(ended(&json!({ "status": "FAILED", "error": outcome, "cause": report })).told_itself, "{outcome}");
            assert!(ended(&json!({ "status": "FAILED", "error": outcome })).told_itself, "{outcome}");
        }
    }

    #[test]
    fn what_has_no_outcome_is_told() {
        let cases = [
            json!({ "status": "TIMED_OUT" }),
            json!({ "status": "FAILED" }),
            json!({ "status": "FAILED", "error": "States.DataLimitExceeded", "cause": "too much" }),
            // Names of outcomes that no execution fails with.
            json!({ "status": "FAILED", "error": "Deployed" }),
            // Its last step failed.
            json!({ "status": "FAILED", "error": "NeedsAttention",
                "cause": "{\"outcome\": \"NeedsAttention\", \"told\": false}" }),
            json!({ "status": "FAILED", "error": "NeedsAttention", "cause": "this is no report" }),
            // Aborted by somebody who gave an outcome's name as the error.
            json!({ "status": "ABORTED", "error": "RolledBack" }),
        ];
        for case in cases {
            assert!(!ended(&case).told_itself, "{case}");
        }
    }

    #[test]
    fn an_input_that_names_no_application_leaves_the_state_machine() {
        for input in [json!(null), json!("{\"tag\": {}}"), json!("no JSON"), json!("{\"application\": 7}")] {
            let ended = ended(&json!({ "input": input }));
            assert_eq!((ended.application.as_deref(), ended.about()), (None, "flink-deploy"), "{input}");
        }
    }

    #[test]
    fn a_cause_is_not_handed_on() {
        let ended = ended(&json!({ "status": "FAILED", "error": "States.Runtime", "cause": "authToken=secret" }));
        assert_eq!(ended.summary, "The execution failed with States.Runtime without an outcome.");
        let all = format!("{} {}", letter(&ended), serde_json::to_string(&ended).unwrap());
        assert!(!all.contains("secret"), "{all}");
    }
}
