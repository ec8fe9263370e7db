//! The report: what came of a deployment, in data for machines and in sentences for people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::RootCause;
use crate::data::DataReport;
use crate::deployment::{Deployment, Event, Rung, one_line};
use crate::refusal::Refusal;
use crate::timings::Timings;
use crate::verdict::{Reason, in_words};

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// The change is live and verified.
    Deployed,
    /// The application was as the request wants it already, and its job, if it runs, is well; nothing was touched.
    NoChange,
    /// The previous version is back with its state, by a rollback of the service.
    RolledBack,
    /// The previous configuration is back, started from a snapshot where it was running before.
    Restored,
    /// A newer change, or a person, has taken over; nothing more was touched.
    Superseded,
    /// The request cannot be carried out; nothing was touched.
    Refused,
    /// A person has to look.
    NeedsAttention,
}

impl Outcome {
    /// Whether the execution succeeds with this outcome: is the application as its newest change wants it?
    pub fn is_success(self) -> bool {
        match self {
            Self::Deployed | Self::NoChange | Self::Superseded => true,
            Self::RolledBack | Self::Restored | Self::Refused | Self::NeedsAttention => false,
        }
    }

    /// Its name, as reports, errors of executions and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployed => "Deployed",
            Self::NoChange => "NoChange",
            Self::RolledBack => "RolledBack",
            Self::Restored => "Restored",
            Self::Superseded => "Superseded",
            Self::Refused => "Refused",
            Self::NeedsAttention => "NeedsAttention",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A report tells at most so many things that are wrong with a request: more would not fit the state machine.
const MOST_REFUSALS: usize = 20;

/// What came of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the execution succeeds.
    pub success: bool,
    /// In a sentence or two.
    pub summary: String,
    /// Name of the application.
    pub application: String,
    /// Name of the execution.
    pub execution: String,
    /// Why it was asked for, in the words of whoever asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version of the application before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_before: Option<u64>,
    /// Version of the application at the end, as far as this deployment knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_after: Option<u64>,
    /// Paths of the fields that were to change.
    pub changed_fields: Vec<String>,
    /// What was done to the application, in order.
    pub taken: Vec<Rung>,
    /// Why it ended so.
    pub because: Vec<Reason>,
    /// Why the change was found bad, if it was.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failure: Vec<Reason>,
    /// What failed first, what that means and what to do, where the change was found bad.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub root_cause: Option<Box<RootCause>>,
    /// What has become of the state, where a job of the deployment's making runs at the end and was verified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<Box<DataReport>>,
    /// How long it took to find the change bad and to come back, where it was found bad.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timings: Option<Timings>,
    /// What is wrong with the request, if something is.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refusals: Vec<Refusal>,
    /// What a person should do now, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// When the execution began.
    pub started_at: Timestamp,
    /// When the outcome was reached.
    pub ended_at: Timestamp,
    /// What happened in between.
    pub events: Vec<Event>,
}

impl Report {
    /// The report of a request that is refused. `application` is what the request names, if it names one.
    pub fn refused(
        application: &str,
        execution: &str,
        refusals: Vec<Refusal>,
        started_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let mut refusals = refusals;
        refusals.truncate(MOST_REFUSALS);
        let summary = refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(". ");
        Self {
            outcome: Outcome::Refused,
            success: false,
            summary: format!("Refused, nothing was touched. {summary}."),
            application: application.to_owned(),
            execution: execution.to_owned(),
            reason: None,
            version_before: None,
            version_after: None,
            changed_fields: Vec::new(),
            taken: Vec::new(),
            because: Vec::new(),
            failure: Vec::new(),
            root_cause: None,
            data: None,
            timings: None,
            refusals,
            next_step: Some("Correct the request and send it again.".into()),
            started_at,
            ended_at: now,
            events: Vec::new(),
        }
    }

    /// The report of a deployment that ends with `outcome` because of `because`.
    pub fn of(deployment: &Deployment, outcome: Outcome, because: Vec<Reason>, now: Timestamp) -> Self {
        let version_before = deployment.baseline.as_ref().map(|baseline| baseline.version);
        let version_after = version_before.map(|_| deployment.version);
        let is_verified = matches!(outcome, Outcome::Deployed | Outcome::RolledBack | Outcome::Restored);
        Self {
            outcome,
            success: outcome.is_success(),
            summary: one_line(&summary(deployment, outcome, &because)),
            application: deployment.application.clone(),
            execution: deployment.execution.clone(),
            reason: deployment.reason.clone(),
            version_before,
            version_after,
            changed_fields: deployment.changed_fields.clone(),
            taken: deployment.taken.clone(),
            next_step: next_step(deployment, outcome),
            because,
            failure: deployment.failure.clone(),
            root_cause: RootCause::of(&deployment.failure).map(Box::new),
            data: if is_verified { DataReport::of(deployment).map(Box::new) } else { None },
            timings: Timings::of(deployment, outcome, now),
            refusals: Vec::new(),
            started_at: deployment.started_at,
            ended_at: now,
            events: deployment.events.clone(),
        }
    }

    /// What the end means for the data, in a sentence or two for people.
    pub fn about_data(&self) -> String {
        if let Some(data) = &self.data {
            return data.summary.clone();
        }
        let told = match self.outcome {
            Outcome::Deployed | Outcome::RolledBack | Outcome::Restored => {
                "Nothing runs. The state is in the application's snapshots."
            }
            Outcome::NoChange | Outcome::Refused => "Not touched.",
            Outcome::Superseded | Outcome::NeedsAttention if self.taken.is_empty() => "Not touched by this deployment.",
            Outcome::Superseded => "Up to whoever has taken over. This deployment has deleted no snapshot.",
            Outcome::NeedsAttention => "Not verified. This deployment has deleted no snapshot.",
        };
        told.to_owned()
    }

    /// What a person should do now, in a sentence or two.
    pub fn to_do(&self) -> String {
        match (self.outcome, &self.root_cause, &self.next_step) {
            (Outcome::RolledBack | Outcome::Restored, Some(cause), _) => format!("{} Then deploy again.", cause.advice),
            (_, _, Some(next_step)) => next_step.clone(),
            (_, _, None) => "Nothing.".to_owned(),
        }
    }
}

fn summary(deployment: &Deployment, outcome: Outcome, because: &[Reason]) -> String {
    let application = &deployment.application;
    let version = deployment.version;
    let why = in_words(because);
    let failure = if deployment.failure.is_empty() { why.clone() } else { in_words(&deployment.failure) };
    let baseline = deployment.baseline.as_ref().map_or(0, |baseline| baseline.version);
    match outcome {
        Outcome::Deployed if deployment.rung == Rung::Stop => {
            format!("{application} is stopped at version {version}, as asked: {why}.")
        }
        Outcome::Deployed if deployment.job.is_none() && deployment.has_taken(Rung::Stop) => {
            format!("{application} has version {version}, and is stopped, as asked: {why}.")
        }
        Outcome::Deployed if deployment.job.is_none() => {
            format!("{application} has version {version}, and is stopped as before: {why}.")
        }
        Outcome::Deployed => format!("{application} runs version {version}: {why}."),
        Outcome::NoChange => format!("{application} was left as it is: {why}."),
        Outcome::RolledBack => {
            format!(
                "The change was bad: {failure}. {application} is back on version {baseline}'s code and state, as version {version}."
            )
        }
        Outcome::Restored => {
            let state = match (&deployment.restore_from, deployment.has_taken(Rung::StartBack)) {
                (Some(snapshot), true) => format!("started from the snapshot {snapshot}"),
                (None, true) => "started without state, as the request allows".to_owned(),
                (_, false) => "stopped, as before".to_owned(),
            };
            format!(
                "The change was bad: {failure}. {application} has version {baseline}'s configuration again, {state}."
            )
        }
        Outcome::Superseded => format!("Nothing more was touched: {why}."),
        Outcome::Refused => format!("Refused, nothing was touched: {why}."),
        Outcome::NeedsAttention if deployment.failure.is_empty() => {
            format!("A person has to look at {application}: {why}.")
        }
        Outcome::NeedsAttention => {
            format!("A person has to look at {application}: {why}. The change was found bad: {failure}.")
        }
    }
}

fn next_step(deployment: &Deployment, outcome: Outcome) -> Option<String> {
    let application = &deployment.application;
    match outcome {
        Outcome::Deployed | Outcome::NoChange => None,
        Outcome::RolledBack | Outcome::Restored => Some("See `rootCause`, correct the change and deploy again.".into()),
        Outcome::Superseded => {
            Some("See the newer change, or the person, that took over; deploy again if needed.".into())
        }
        Outcome::Refused => Some("Correct the request and send it again.".into()),
        Outcome::NeedsAttention => Some(format!(
            "Look at {application} in the console, and follow docs/operations.md, \"NeedsAttention\". \
             Nothing will act on it until the next deployment."
        )),
    }
}

#[cfg(test)]
mod tests;
