//! Follows a deployment until its outcome, and tells what came of it.

use std::time::Duration;

use lifecycle::deployment::{Deployment, Event};
use lifecycle::report::{Outcome, Report};
use managed_flink::Error;
use tokio::time::sleep;

use crate::context::{Context, Output};
use crate::executions::Execution;
use crate::failure::{Exit, Failure};
use crate::terminal::line::{Line, Style, wrap};
use crate::terminal::words::{between, length, minutes};
use crate::visits::newest_deployment;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(3);
/// Looks in a row that may fail in a way that passes.
const MOST_TROUBLES: u32 = 40;
/// Columns of an event's time, and the blank after it.
const TIME_COLUMNS: usize = 8;
/// Columns of a fact's name.
const NAME_COLUMNS: usize = 12;
/// Below so many columns a fact's name has a line for itself.
const NARROW_COLUMNS: usize = 50;

/// Follows an execution to its end, and tells its report. Ctrl-C ends the following alone.
pub async fn follow(context: &mut Context, arn: &str) -> Result<Exit, Failure> {
    let ended = tokio::select! {
        ended = wait(context, arn) => ended?,
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            None
        }
    };
    match ended {
        Some(execution) => tell(context, &execution),
        None => Err(Failure::new(
            Exit::Interrupted,
            "The deployment goes on.",
            format!("Follow it again with: flinkctl follow {arn}"),
        )),
    }
}

async fn wait(context: &mut Context, arn: &str) -> Result<Option<Execution>, Failure> {
    let mut told = Vec::new();
    let mut troubles = 0;
    loop {
        match look(context, arn, &mut told).await {
            Ok(Look::Ended(execution)) => return Ok(Some(*execution)),
            Ok(Look::Runs) => troubles = 0,
            Err(Trouble::Passing(error)) if troubles < MOST_TROUBLES => {
                troubles += 1;
                context.output.status(&format!("cannot look just now: {error}"))?;
            }
            Err(Trouble::Passing(error)) => return Err(lost(arn, error.into())),
            Err(Trouble::Final(failure)) => return Err(lost(arn, failure)),
        }
        sleep(LOOK).await;
    }
}

/// The deployment cannot be followed any more, and goes on.
fn lost(arn: &str, failure: Failure) -> Failure {
    let cure = failure.cure.unwrap_or_default();
    Failure { cure: Some(format!("{cure} The deployment goes on: flinkctl follow {arn}")), ..failure }
}

enum Look {
    Runs,
    Ended(Box<Execution>),
}

enum Trouble {
    Passing(Error),
    Final(Failure),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if error.is_retryable() { Self::Passing(error) } else { Self::Final(error.into()) }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// Looks once, and tells what is new.
async fn look(context: &mut Context, arn: &str, told: &mut Vec<Event>) -> Result<Look, Trouble> {
    let Some(execution) = context.executions.describe(arn).await? else {
        return Err(Failure::failed(
            format!("There is no execution {arn}."),
            "It may be older than Step Functions keeps.",
        )
        .into());
    };
    if !execution.is_running() {
        if let Some(report) = &execution.report {
            tell_events(&mut context.output, &report.events, &execution, told)?;
        }
        return Ok(Look::Ended(Box::new(execution)));
    }
    let events = context.executions.newest_events(arn).await?;
    let now = context.clock.now();
    match newest_deployment(&events) {
        Some(deployment) => {
            tell_events(&mut context.output, &deployment.events, &execution, told)?;
            context.output.status(&format!(
                "{}  {}",
                minutes(between(execution.started_at, now)),
                stand(&deployment)
            ))?;
        }
        None => context.output.status("it begins …")?,
    }
    Ok(Look::Runs)
}

/// How far a deployment is, in a few words.
fn stand(deployment: &Deployment) -> String {
    use lifecycle::deployment::Next;
    match deployment.next {
        Next::TakeTurn | Next::WaitForTurn => "waits for its turn",
        Next::Prepare | Next::WaitToPrepare => "checks the request and the application",
        Next::Submit => "makes the change",
        Next::WaitForOperation => "waits for the service's operation",
        Next::CheckSubtasks | Next::WaitForSubtasks => "watches the subtasks",
        Next::Bake => "waits in quiet",
        Next::Decide => "decides",
        Next::RollBack => "rolls back",
        Next::ForceStop => "stops the application",
        Next::Restore => "brings the previous version back",
        Next::Notify => "tells the outcome",
    }
    .to_owned()
}

fn tell_events(
    output: &mut Output,
    events: &[Event],
    execution: &Execution,
    told: &mut Vec<Event>,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for event in events.iter().filter(|event| !told.contains(event)) {
        let time = minutes(between(execution.started_at, event.at));
        let style = style_of(&event.what);
        let texts = wrap(&event.what, output.columns.saturating_sub(TIME_COLUMNS).max(1));
        lines.extend(texts.into_iter().enumerate().map(|(index, text)| {
            let time = if index == 0 { time.as_str() } else { "" };
            Line::new().and(Style::Faint, format!("{time:>6}  ")).and(style, text)
        }));
    }
    *told = events.to_vec();
    output.lines(&lines)
}

/// How an event looks, by the verdict or decision that it begins with.
fn style_of(what: &str) -> Style {
    match what.split(':').next().unwrap_or_default() {
        "Healthy" => Style::Good,
        "Failing" => Style::Bad,
        "Inconclusive" | "Warning" => Style::Open,
        word if word.starts_with("Decided") => Style::Strong,
        _ => Style::Plain,
    }
}

/// Tells what came of an execution that has ended, and how the program is to end.
pub fn tell(context: &mut Context, execution: &Execution) -> Result<Exit, Failure> {
    let Some(report) = &execution.report else {
        return Err(Failure::new(
            Exit::CutShort,
            format!("The execution {} ended as {} before it could tell an outcome.", execution.name, execution.status),
            "What it had begun may go on: see `flinkctl status`, and docs/operations.md, \"Stopping a deployment\".",
        ));
    };
    let lines = lines(report, context.output.columns);
    context.output.result(&lines, report)?;
    Ok(Exit::of(report.outcome))
}

/// A report as people read it, in lines of so many columns.
pub fn lines(report: &Report, columns: usize) -> Vec<Line> {
    let (style, sign) = sign(report.outcome);
    let head = Line::new().and(style, format!("{sign} {}", report.outcome));
    let whole = head.clone().and(Style::Plain, format!("  {}", report.application));
    let mut lines = vec![Line::new()];
    if whole.plain().chars().count() <= columns {
        lines.push(whole);
    } else {
        lines.push(head);
        lines.extend(wrap(&report.application, columns).into_iter().map(|text| Line::new().and(Style::Plain, text)));
    }
    lines.extend(wrap(&report.summary, columns).into_iter().map(|text| Line::new().and(Style::Plain, text)));
    let mut fact = |name: &str, texts: Vec<String>| facts(&mut lines, columns, name, &texts);
    if let Some(cause) = &report.root_cause {
        let exception = cause.exception.as_ref().map(|exception| match &cause.message {
            Some(message) => format!("{exception}: {message}"),
            None => exception.clone(),
        });
        let frame = cause.own_frame.as_ref().map(|frame| format!("at {frame}"));
        let told = [format!("{}: {}", cause.category, cause.meaning)];
        fact("cause", told.into_iter().chain(exception).chain(frame).collect());
        fact("advice", vec![cause.advice.clone()]);
    }
    fact("data", report.data.iter().map(|data| data.summary.clone()).collect());
    if let (Some(before), Some(after)) = (report.version_before, report.version_after) {
        fact("version", vec![if before == after { format!("{after}") } else { format!("{before} → {after}") }]);
    }
    fact("took", vec![length(between(report.started_at, report.ended_at))]);
    fact("next step", report.next_step.iter().cloned().collect());
    fact("execution", vec![report.execution.clone()]);
    lines
}

/// How an outcome looks.
pub fn sign(outcome: Outcome) -> (Style, &'static str) {
    match outcome {
        Outcome::Deployed | Outcome::NoChange => (Style::Good, "✔"),
        Outcome::RolledBack | Outcome::Restored => (Style::Open, "↩"),
        Outcome::Superseded => (Style::Open, "⇢"),
        Outcome::Refused | Outcome::NeedsAttention => (Style::Bad, "✖"),
    }
}

/// Adds a fact by its name, in as many lines as it needs; nothing where there is nothing to tell. In narrow lines the name
/// stands above.
pub fn facts(lines: &mut Vec<Line>, columns: usize, name: &str, texts: &[String]) {
    let is_narrow = columns < NARROW_COLUMNS;
    let indent = if is_narrow { 2 } else { NAME_COLUMNS };
    let texts: Vec<String> = texts.iter().flat_map(|text| wrap(text, columns.saturating_sub(indent))).collect();
    if is_narrow && !name.is_empty() && !texts.is_empty() {
        lines.push(Line::new().and(Style::Faint, name));
    }
    for (index, text) in texts.into_iter().enumerate() {
        let name = if index == 0 && !is_narrow { name } else { "" };
        lines.push(Line::new().and(Style::Faint, format!("{name:<indent$}")).and(Style::Plain, text));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lifecycle::verdict::Reason;

    use super::*;

    fn report() -> Report {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut deployment = Deployment::unread("orders".to_owned(), "deploy-1", at(0));
        deployment.failure = vec![Reason::Restarts { count: 3, tolerated: 2 }];
        Report::of(&deployment, Outcome::NeedsAttention, vec![Reason::ApplicationDeleted], at(125))
    }

    #[test]
    fn a_report_fits_the_terminal_and_loses_nothing() {
        for columns in [20, 40, 80, 100] {
            let lines: Vec<String> = lines(&report(), columns).iter().map(Line::plain).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {lines:#?}");
            let words = |text: &str| text.split_whitespace().collect::<String>();
            let told = words(&lines.concat());
            assert!(told.contains("NeedsAttention") && told.contains("2min5s"), "{told}");
        }
    }

    #[test]
    fn events_look_by_what_they_say() {
        assert_eq!(style_of("Healthy: 4 of 4 tasks running"), Style::Good);
        assert_eq!(style_of("Failing: 3 restarts"), Style::Bad);
        assert_eq!(style_of("Decided to take RollBack"), Style::Strong);
        assert_eq!(style_of("UpdateApplication begun"), Style::Plain);
    }
}
