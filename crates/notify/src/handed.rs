//! What the Lambda is handed tells by its members what it is about.

use handler::{Answer, Error, read};
use lifecycle::deployment::Deployment;
use lifecycle::snapshots::RunSummary;
use serde::Serialize;
use serde_json::Value;

use crate::ended::{EndedExecution, STATUS_CHANGE, tell_of_execution};
use crate::{Teller, notify, tell_of_snapshots};

/// What was told of, handed on.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// A deployment, with its report.
    Deployment(Box<Deployment>),
    /// A run of snapshots.
    Snapshots(Box<RunSummary>),
    /// An execution that ended badly, as `EventBridge` tells of it.
    Execution(Box<EndedExecution>),
}

impl Answer for Told {
    fn log(&self) {
        match self {
            Self::Deployment(deployment) => deployment.log(),
            Self::Snapshots(summary) => {
                tracing::info!(execution = summary.execution, outcome = %summary.outcome, "{summary}");
            }
            Self::Execution(ended) => {
                let EndedExecution { execution, status, told_itself, summary, .. } = ended.as_ref();
                tracing::info!(application = ended.application, execution, status, told_itself, "{summary}");
            }
        }
    }
}

/// Tells of whatever the event is about.
pub async fn tell_of(teller: &Teller, event: Value) -> Result<Told, Error> {
    if event.get("snapshots").is_some() {
        let summary = tell_of_snapshots(&teller.notifier, read(event)?).await?;
        return Ok(Told::Snapshots(Box::new(summary)));
    }
    if event.get("detail-type").is_some_and(|kind| kind == STATUS_CHANGE) {
        let ended = tell_of_execution(&teller.notifier, read(event)?).await?;
        return Ok(Told::Execution(Box::new(ended)));
    }
    Ok(Told::Deployment(Box::new(notify(teller, read(event)?).await?)))
}
