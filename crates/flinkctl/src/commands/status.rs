//! How an application stands.

use lifecycle::evidence::{Application, Job, Snapshot, newest_ready};
use lifecycle::status::{ApplicationStatus, JobState};
use managed_flink::Error;
use serde::Serialize;

use crate::context::Context;
use crate::executions::Execution;
use crate::failure::{Exit, Failure};
use crate::follow::facts;
use crate::terminal::line::{Line, Style};
use crate::terminal::words::{between, length};

/// Running executions that are looked through.
const MOST: usize = 200;

/// How an application stands, for programs. What could not be read is in `unreadable`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    name: String,
    #[serde(flatten)]
    application: Application,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<NewestOperation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_checkpoint: Option<LastCheckpoint>,
    snapshots: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_snapshot: Option<Snapshot>,
    deployments: Vec<Execution>,
    unreadable: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NewestOperation {
    name: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<jiff::Timestamp>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastCheckpoint {
    triggered_at: jiff::Timestamp,
    seconds: u64,
    bytes: u64,
}

/// Tells how an application stands.
pub(super) async fn status(context: &mut Context, name: &str) -> Result<Exit, Failure> {
    let (application, _) = context.application(name).await?;
    context.output.status("looking inside …")?;
    let standing = standing(context, name, application).await;
    let lines = standing.lines(context.clock.now(), context.output.columns);
    context.output.result(&lines, &standing)?;
    Ok(Exit::Done)
}

/// What was read; what could not be is noted.
fn noted<T>(what: &str, read: Result<T, Error>, unreadable: &mut Vec<String>) -> Option<T> {
    read.map_err(|error| unreadable.push(format!("{what}: {error}"))).ok()
}

async fn standing(context: &Context, name: &str, application: Application) -> Standing {
    let mut unreadable = Vec::new();
    let flink = &context.flink;
    let operations = noted("operations", flink.newest_operations(name).await, &mut unreadable);
    let snapshots = noted("snapshots", flink.snapshots(name).await, &mut unreadable).unwrap_or_default();
    let (mut job, mut checkpoints) = (None, None);
    if application.status == ApplicationStatus::Running {
        job = noted("the job", flink.job(name).await, &mut unreadable).flatten();
        checkpoints = noted("checkpoints", flink.checkpoints(name).await, &mut unreadable).flatten();
    }
    let deployments = match deployments(context, name).await {
        Ok(deployments) => deployments,
        Err(failure) => {
            unreadable.push(format!("deployments: {}", failure.what));
            Vec::new()
        }
    };
    let newest = operations.and_then(|operations| operations.into_iter().next());
    Standing {
        name: name.to_owned(),
        application,
        operation: newest.map(|it| NewestOperation {
            name: it.name,
            status: it.status.to_string(),
            started_at: it.started_at,
        }),
        job,
        last_checkpoint: checkpoints.and_then(|it| it.last_completed).map(|it| LastCheckpoint {
            triggered_at: it.triggered_at,
            seconds: it.seconds,
            bytes: it.bytes,
        }),
        newest_snapshot: newest_ready(&snapshots, None).cloned(),
        snapshots: snapshots.len(),
        deployments,
        unreadable,
    }
}

/// The deployments of the application that are under way.
async fn deployments(context: &Context, name: &str) -> Result<Vec<Execution>, Failure> {
    let machine = context.deploy_machine().await?;
    let is_of_it = |execution: &Execution| execution.application.as_deref() == Some(name);
    Ok(context.executions.newest(&machine, true, MOST, is_of_it, MOST).await?)
}

impl Standing {
    fn lines(&self, now: jiff::Timestamp, columns: usize) -> Vec<Line> {
        let application = &self.application;
        let style = match application.status {
            ApplicationStatus::Running => Style::Good,
            _ if application.status.is_stopped() => Style::Strong,
            _ => Style::Open,
        };
        let mut lines = vec![
            Line::new()
                .and(Style::Strong, self.name.clone())
                .and(Style::Plain, "  ")
                .and(style, application.status.to_string()),
        ];
        let ago = |at: jiff::Timestamp| format!("{} ago", length(between(at, now)));
        let mut fact = |name: &str, texts: Vec<String>| facts(&mut lines, columns, name, &texts);
        fact("version", vec![format!("{}, {}", application.version, application.runtime)]);
        let code = application.code.as_ref().map(|code| {
            let bucket = code.bucket_arn.rsplit(':').next().unwrap_or_default();
            let version =
                code.object_version.as_ref().map_or("no S3 version recorded".to_owned(), |it| format!("version {it}"));
            format!("s3://{bucket}/{} ({version})", code.key)
        });
        fact("code", code.into_iter().collect());
        let operation = self.operation.as_ref().map(|it| {
            let when = it.started_at.map(|at| format!(", {}", ago(at))).unwrap_or_default();
            format!("{} {}{when}", it.name, it.status)
        });
        fact("operation", operation.into_iter().collect());
        fact("job", self.job.as_ref().map(job_in_words).unwrap_or_default());
        let checkpoint = self
            .last_checkpoint
            .as_ref()
            .map(|it| format!("{}, took {} s, {} of state", ago(it.triggered_at), it.seconds, megabytes(it.bytes)));
        fact("checkpoint", checkpoint.into_iter().collect());
        let snapshot = match &self.newest_snapshot {
            Some(newest) => {
                let when = newest.created_at.map(|at| format!(", {}", ago(at))).unwrap_or_default();
                format!("{} of version {}{when}; {} in all", newest.name, newest.version, self.snapshots)
            }
            None if application.snapshots_enabled => "none is READY".to_owned(),
            None => "switched off: an update loses the state".to_owned(),
        };
        fact("snapshot", vec![snapshot]);
        let deployments = self.deployments.iter().map(|it| format!("{} is under way, {}", it.name, ago(it.started_at)));
        fact("deployment", deployments.collect());
        fact("unreadable", self.unreadable.clone());
        lines
    }
}

fn job_in_words(job: &Job) -> Vec<String> {
    let restarts = match job.restarts {
        Some(1) => ", 1 restart".to_owned(),
        Some(restarts) => format!(", {restarts} restarts"),
        None => String::new(),
    };
    let checkpoints = job.completed_checkpoints.map(|completed| {
        let failed = job.failed_checkpoints.filter(|failed| *failed > 0).map(|failed| format!(", {failed} failed"));
        format!("{completed} checkpoints completed{}", failed.unwrap_or_default())
    });
    let failure = job.failure.as_ref().map(|failure| format!("first failure: {failure}"));
    let state = if job.state == JobState::Running { "RUNNING".to_owned() } else { job.state.to_string() };
    [format!("{state}, {}{restarts}", job.tasks)].into_iter().chain(checkpoints).chain(failure).collect()
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
