//! What the Lambda is handed tells by its members what it is about.

use handler::{Answer, Error, read};
use lifecycle::deployment::Deployment;
use lifecycle::snapshots::RunSummary;
use serde::Serialize;
use serde_json::Value;

use crate::{Notifier, notify, tell_of_snapshots};

/// What was told of, handed on.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// A deployment, with its report.
    Deployment(Box<Deployment>),
    /// A run of snapshots.
    Snapshots(Box<RunSummary>),
}

impl Answer for Told {
    fn log(&self) {
        match self {
            Self::Deployment(deployment) => deployment.log(),
            Self::Snapshots(summary) => {
                tracing::info!(execution = summary.execution, outcome = %summary.outcome, "{summary}");
            }
        }
    }
}

/// Tells of whatever the event is about.
pub async fn tell_of(notifier: &Notifier, event: Value) -> Result<Told, Error> {
    if event.get("snapshots").is_some() {
        let summary = tell_of_snapshots(notifier, read(event)?).await?;
        return Ok(Told::Snapshots(Box::new(summary)));
    }
    Ok(Told::Deployment(Box::new(notify(notifier, read(event)?).await?)))
}
