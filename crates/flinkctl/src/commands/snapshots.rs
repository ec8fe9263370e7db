//! Snapshots: listed, taken by the installed state machine, and deleted where no rule keeps them.

use std::time::Duration;

use lifecycle::evidence::Snapshot;
use lifecycle::retention::{Retention, plan};
use managed_flink::ErrorKind;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::arguments::{Prune, Snapshots};
use crate::context::Context;
use crate::executions::{Execution, Started};
use crate::failure::{Exit, Failure};
use crate::follow::facts;
use crate::terminal::line::{Line, Style};
use crate::terminal::words::{between, length};

/// From one look at a run to the next.
const LOOK: Duration = Duration::from_secs(3);
/// How the names of snapshots begin that are taken by hand.
const PREFIX: &str = "manual-";
/// Running deployments that are looked through.
const MOST: usize = 200;

/// Does what is asked about snapshots.
pub(super) async fn snapshots(context: &mut Context, wanted: Snapshots) -> Result<Exit, Failure> {
    match wanted {
        Snapshots::List { application } => list(context, &application).await,
        Snapshots::Take { application, reason, no_follow } => take(context, &application, reason, no_follow).await,
        Snapshots::Prune(prune) => self::prune(context, &prune).await,
    }
}

async fn list(context: &mut Context, name: &str) -> Result<Exit, Failure> {
    context.application(name).await?;
    let snapshots = context.flink.snapshots(name).await?;
    let (now, columns) = (context.clock.now(), context.output.columns);
    let mut lines: Vec<Line> = snapshots.iter().flat_map(|snapshot| in_words(snapshot, now, columns)).collect();
    if lines.is_empty() {
        lines.push(Line::new().and(Style::Plain, format!("{name} has no snapshots.")));
    }
    context.output.result(&lines, &snapshots)?;
    Ok(Exit::Done)
}

fn in_words(snapshot: &Snapshot, now: jiff::Timestamp, columns: usize) -> Vec<Line> {
    let mut lines = vec![Line::new().and(Style::Strong, snapshot.name.clone())];
    let age = snapshot.created_at.map(|at| format!(", {} ago", length(between(at, now)))).unwrap_or_default();
    facts(&mut lines, columns, "", &[format!("{} of version {}{age}", snapshot.status, snapshot.version)]);
    lines
}

async fn take(context: &mut Context, name: &str, reason: Option<String>, no_follow: bool) -> Result<Exit, Failure> {
    context.application(name).await?;
    let machine = context.snapshot_machine().await?;
    let execution = format!("flinkctl-{}", Uuid::new_v4());
    // Named unlike those of the schedule, so that its retention leaves it alone; and nothing is deleted.
    let mut input = json!({ "application": name, "retention": { "prefix": PREFIX, "dryRun": true } });
    if let Some(reason) = reason {
        input["reason"] = json!(reason);
    }
    let Started::Running(arn) = context.executions.start(&machine, &execution, &input).await? else {
        return Err(Failure::failed(format!("There was an execution {execution} before."), "Try again."));
    };
    if no_follow {
        let line = Line::new().and(Style::Plain, format!("Begun: execution {execution}."));
        context.output.result(&[line], &json!({ "executionArn": arn, "name": execution }))?;
        return Ok(Exit::Done);
    }
    let ended = tokio::select! {
        ended = wait(context, &arn) => ended?,
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            return Err(Failure::new(Exit::Interrupted, "The snapshot goes on.", "See it with `flinkctl snapshots list`."));
        }
    };
    let summary = context.executions.result(&ended.arn).await?;
    taken(context, &ended, summary)
}

async fn wait(context: &mut Context, arn: &str) -> Result<Execution, Failure> {
    loop {
        let execution = context.executions.describe(arn).await?;
        let execution =
            execution.ok_or_else(|| Failure::failed(format!("There is no execution {arn}."), "Try again."))?;
        if !execution.is_running() {
            return Ok(execution);
        }
        let waited = length(between(execution.started_at, context.clock.now()));
        context.output.status(&format!("{waited}  the snapshot is being taken"))?;
        sleep(LOOK).await;
    }
}

/// Tells what came of a run of one application.
fn taken(context: &mut Context, execution: &Execution, summary: Option<Value>) -> Result<Exit, Failure> {
    let Some(summary) = summary else {
        return Err(Failure::new(
            Exit::CutShort,
            format!("The execution {} ended as {} before it could tell an outcome.", execution.name, execution.status),
            "See it in the Step Functions console.",
        ));
    };
    let is_success = summary.get("success").and_then(Value::as_bool).unwrap_or(false);
    let text = |field: &str| summary.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (style, sign) = if is_success { (Style::Good, "✔") } else { (Style::Bad, "✖") };
    let mut lines = vec![Line::new().and(style, format!("{sign} {}", text("outcome")))];
    let columns = context.output.columns;
    if is_success {
        facts(&mut lines, columns, "snapshot", &[text("snapshot")]);
    }
    for (name, list) in [("failed", "failed"), ("skipped", "skipped"), ("refused", "refusals")] {
        let told = summary.get(list).and_then(Value::as_array).into_iter().flatten();
        let why = |it: &Value| ["why", "problem"].iter().find_map(|field| Some(it.get(field)?.as_str()?.to_owned()));
        facts(&mut lines, columns, name, &told.filter_map(why).collect::<Vec<_>>());
    }
    context.output.result(&lines, &summary)?;
    Ok(if is_success { Exit::Done } else { Exit::Failed })
}

/// Deletes what no rule keeps, the oldest first.
async fn prune(context: &mut Context, wanted: &Prune) -> Result<Exit, Failure> {
    let name = &wanted.application;
    let retention = Retention {
        keep_newest: wanted.keep_newest,
        keep_younger_than_hours: wanted.keep_younger_than_hours,
        prefix: wanted.prefix.clone(),
        any_prefix: wanted.any_prefix,
        dry_run: wanted.dry_run,
        ..Retention::default()
    };
    let refusals = retention.refusals();
    if !refusals.is_empty() {
        return Err(Failure::refused(&refusals));
    }
    let snapshots = context.flink.snapshots(name).await?;
    let Some(mut protections) = context.flink.snapshot_protections(name).await? else {
        return Err(context.no_application(name).await);
    };
    protections.deployment = deployment_under_way(context, name).await?;
    let plan = plan(&retention, &snapshots, &protections, context.clock.now());
    let told: Vec<Value> = plan
        .delete
        .iter()
        .map(|it| json!({ "name": it.snapshot.name, "createdAt": it.created_at, "why": it.reason.to_string() }))
        .collect();
    let kept: Vec<Value> = plan
        .keep
        .iter()
        .map(|it| {
            let why: Vec<String> = it.reasons.iter().map(ToString::to_string).collect();
            json!({ "name": it.snapshot.name, "why": why })
        })
        .collect();
    let keeps = kept.len();
    let columns = context.output.columns;
    let mut lines = Vec::new();
    for deletion in &plan.delete {
        lines.push(Line::new().and(Style::Strong, deletion.snapshot.name.clone()));
        facts(&mut lines, columns, "", &[deletion.reason.to_string()]);
    }
    if plan.delete.is_empty() || wanted.dry_run {
        let would = format!("{} would be deleted, {keeps} kept.", plan.delete.len());
        lines.push(Line::new().and(Style::Plain, would));
        context.output.result(&lines, &json!({ "dryRun": true, "delete": told, "kept": kept, "failed": [] }))?;
        return Ok(Exit::Done);
    }
    context.output.lines(&lines)?;
    let question = format!("Delete these {} snapshots of {name}, and keep {keeps}?", plan.delete.len());
    context.output.confirm(&question, wanted.yes)?;
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for (deletion, told) in plan.delete.iter().zip(told) {
        context.output.status(&format!("deleting {} …", deletion.snapshot.name))?;
        match context.flink.delete_snapshot(name, &deletion.snapshot.name, deletion.created_at).await {
            Ok(()) => deleted.push(told),
            // It is gone, or going, already.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ResourceInUse) => deleted.push(told),
            Err(error) if error.kind() == ErrorKind::AccessDenied => return Err(error.into()),
            Err(error) => failed.push(json!({ "name": deletion.snapshot.name, "error": error.to_string() })),
        }
    }
    let mut lines = vec![Line::new().and(Style::Plain, format!("{} deleted, {keeps} kept.", deleted.len()))];
    for failure in &failed {
        let text = failure["error"].as_str().unwrap_or_default().to_owned();
        facts(&mut lines, columns, "failed", &[text]);
    }
    context.output.result(&lines, &json!({ "dryRun": false, "delete": deleted, "kept": kept, "failed": failed }))?;
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Name of a deployment of the application that is under way, whose snapshots may be needed.
async fn deployment_under_way(context: &Context, name: &str) -> Result<Option<String>, Failure> {
    let machine = context.deploy_machine().await?;
    let is_of_it = |execution: &Execution| execution.application.as_deref() == Some(name);
    let found = context.executions.newest(&machine, true, MOST, is_of_it, 1).await?;
    Ok(found.into_iter().next().map(|execution| execution.name))
}
