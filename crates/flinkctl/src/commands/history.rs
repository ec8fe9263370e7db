//! The deployments so far.

use jiff::Timestamp;
use serde::Serialize;

use crate::arguments::History;
use crate::context::Context;
use crate::executions::Execution;
use crate::failure::{Exit, Failure};
use crate::follow::sign;
use crate::terminal::line::{Line, Style, wrap};
use crate::terminal::words::{between, length};

/// Executions that are looked through.
const MOST: usize = 300;

/// A deployment in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(flatten)]
    execution: &'a Execution,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl<'a> Listed<'a> {
    fn of(execution: &'a Execution) -> Self {
        let report = execution.report.as_ref();
        let cause = report.and_then(|report| report.root_cause.as_ref());
        Self {
            execution,
            outcome: report.map(|report| report.outcome.to_string()),
            summary: report.map(|report| report.summary.as_str()),
            cause: cause.map(|cause| {
                let exception = cause.exception.as_ref().map(|exception| format!(" ({exception})")).unwrap_or_default();
                format!("{}: {}{exception}", cause.category, cause.meaning)
            }),
        }
    }

    fn lines(&self, now: Timestamp, columns: usize) -> Vec<Line> {
        let execution = self.execution;
        let (style, sign) = execution.outcome().map_or((Style::Open, "…"), sign);
        let outcome = self.outcome.as_deref().unwrap_or(&execution.status);
        let application = execution.application.as_deref().unwrap_or("unknown");
        let ago = length(between(execution.started_at, now));
        let head = Line::new()
            .and(style, format!("{sign} {outcome:<14} "))
            .and(Style::Strong, application)
            .and(Style::Faint, format!("  {ago} ago"));
        // On a narrow terminal the time stands below.
        let is_narrow = head.plain().chars().count() > columns;
        let head = if is_narrow {
            vec![
                Line::new().and(style, format!("{sign} {outcome} ")).and(Style::Strong, application),
                Line::new().and(Style::Faint, format!("  {ago} ago")),
            ]
        } else {
            vec![head]
        };
        let told = [Some(execution.name.as_str()), execution.reason.as_deref(), self.cause.as_deref().or(self.summary)];
        let below = told.into_iter().flatten().enumerate().flat_map(|(index, text)| {
            let style = if index == 0 { Style::Faint } else { Style::Plain };
            wrap(text, columns.saturating_sub(2))
                .into_iter()
                .map(move |text| Line::new().and(style, format!("  {text}")))
        });
        head.into_iter().chain(below).collect()
    }
}

/// Lists deployments.
pub(super) async fn history(context: &mut Context, wanted: &History) -> Result<Exit, Failure> {
    let machine = context.deploy_machine().await?;
    let application = wanted.application.as_deref();
    let is_wanted = |execution: &Execution| application.is_none() || execution.application.as_deref() == application;
    context.output.status("looking through the executions …")?;
    let found = context.executions.newest(&machine, false, MOST, is_wanted, wanted.limit.into()).await?;
    if found.is_empty()
        && let Some(name) = application
        && context.flink.application(name).await?.is_none()
    {
        return Err(context.no_application(name).await);
    }
    let listed: Vec<Listed<'_>> = found.iter().map(Listed::of).collect();
    let (now, columns) = (context.clock.now(), context.output.columns);
    let mut lines: Vec<Line> = listed.iter().flat_map(|listed| listed.lines(now, columns)).collect();
    if lines.is_empty() {
        lines.push(Line::new().and(Style::Plain, "No deployments yet."));
    }
    context.output.result(&lines, &listed)?;
    Ok(Exit::Done)
}
