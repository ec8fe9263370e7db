//! Finds the applications that a request for snapshots means, and refuses a request that cannot be meant. A tag is looked
//! for page by page, a few pages at a time, and the state machine comes back for the next ones: each application is asked
//! for its tags once, however many there are.

use std::collections::BTreeMap;
use std::time::Duration;

use handler::{Answer, Error, Execution};
use jiff::Timestamp;
use lifecycle::evidence::ApplicationSummary;
use lifecycle::snapshots::{RunSummary, SelectedRun, Selection, SnapshotRequest, TagFilter, no_such_tag};
use managed_flink::{ErrorKind, ManagedFlink};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

/// Pages of 50 applications that one invocation looks through: what fits its time, should every call be throttled.
const PAGES: usize = 2;
/// Calls for tags at a time.
const AT_A_TIME: usize = 5;
/// How often an application is asked for its tags whose answer is that there are too many calls.
const ROUNDS: u32 = 6;
/// The pause before the second time; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The event of this step.
#[derive(Debug, Deserialize)]
pub struct SelectEvent {
    /// When the state was entered.
    pub now: Timestamp,
    /// The execution.
    pub execution: Execution,
    /// The execution's input: the request.
    pub input: Value,
    /// How far this step came the time before.
    #[serde(default)]
    pub selecting: Option<Selecting>,
}

/// How far the search for a tag has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selecting {
    /// Names of the applications that have the tag.
    pub found: Vec<String>,
    /// Applications that were asked.
    pub asked: usize,
    /// Applications that this tool may not ask.
    pub denied: usize,
    /// The page to go on with; none before the first.
    pub page: Option<String>,
}

/// What this step hands on. The Choice after it matches `next`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "next")]
pub enum Selected {
    /// There are more pages.
    SelectApplications(Selecting),
    /// These are they.
    TakeSnapshots(SelectedRun),
    /// The request is refused.
    Notify(Box<RunSummary>),
}

impl Answer for Selected {
    fn log(&self) {
        match self {
            Self::SelectApplications(Selecting { found, asked, .. }) => {
                tracing::info!(found = found.len(), asked, "looking for more applications");
            }
            Self::TakeSnapshots(run) => {
                tracing::info!(applications = run.applications.len(), snapshot = run.plan.snapshot, "selected");
            }
            Self::Notify(summary) => tracing::warn!(execution = summary.execution, "{summary}"),
        }
    }
}

/// Reads the request and finds its applications.
pub async fn select_applications(flink: &ManagedFlink, event: SelectEvent) -> Result<Selected, Error> {
    let SelectEvent { now, execution, input, selecting } = event;
    let refused = |refusals| {
        let summary = RunSummary::refused(&execution.name, refusals, execution.started_at, now);
        Ok(Selected::Notify(Box::new(summary)))
    };
    let request = match SnapshotRequest::parse(&input, execution.started_at) {
        Ok(request) => request,
        Err(refusals) => return refused(refusals),
    };
    let names = match &request.selection {
        Selection::Named(names) => names.clone(),
        Selection::Tagged(tag) => {
            let found = search(flink, tag, selecting.unwrap_or_default()).await?;
            if found.page.is_some() {
                return Ok(Selected::SelectApplications(found));
            }
            if found.found.is_empty() {
                return refused(vec![no_such_tag(tag, found.asked, found.denied)]);
            }
            found.found
        }
    };
    match request.too_much(&names) {
        Some(refusal) => refused(vec![refusal]),
        None => Ok(Selected::TakeSnapshots(SelectedRun::new(request, names))),
    }
}

/// Looks through the next pages.
async fn search(flink: &ManagedFlink, tag: &TagFilter, mut selecting: Selecting) -> Result<Selecting, Error> {
    for _ in 0..PAGES {
        let page = flink.application_page(selecting.page.as_deref()).await?;
        selecting.asked += page.applications.len();
        ask(flink, tag, page.applications, &mut selecting).await?;
        selecting.page = page.next;
        if selecting.page.is_none() {
            break;
        }
    }
    Ok(selecting)
}

fn is_tagged(tags: Option<&BTreeMap<String, String>>, tag: &TagFilter) -> bool {
    tags.and_then(|tags| tags.get(&tag.key)) == Some(&tag.value)
}

/// Asks each of these applications for its tags, those again that were throttled.
async fn ask(
    flink: &ManagedFlink,
    tag: &TagFilter,
    mut applications: Vec<ApplicationSummary>,
    selecting: &mut Selecting,
) -> Result<(), Error> {
    for round in 0..ROUNDS {
        let mut again = Vec::new();
        let mut throttled = None;
        for few in applications.chunks(AT_A_TIME) {
            let mut calls = JoinSet::new();
            for (place, application) in few.iter().cloned().enumerate() {
                let flink = flink.clone();
                calls.spawn(async move { (place, flink.tags(&application.arn).await, application) });
            }
            let mut answers = calls.join_all().await;
            answers.sort_by_key(|(place, ..)| *place);
            for (_, tags, application) in answers {
                match tags {
                    // A list that changes while it is read may show one twice.
                    Ok(tags) if is_tagged(tags.as_ref(), tag) && !selecting.found.contains(&application.name) => {
                        selecting.found.push(application.name);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::AccessDenied => selecting.denied += 1,
                    Err(error) if error.is_retryable() => {
                        again.push(application);
                        throttled = Some(error);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        match throttled {
            None => return Ok(()),
            Some(error) if round + 1 == ROUNDS => return Err(error.into()),
            Some(_) => tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(round)).await,
        }
        applications = again;
    }
    Ok(())
}
