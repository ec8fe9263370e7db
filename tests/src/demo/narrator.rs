//! Tells a deployment as it goes: from the news to lines of text. It prints nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use asl::StateKind;
use jiff::Timestamp;
use lifecycle::deployment::{Deployment, Next};
use lifecycle::report::Report;
use lifecycle::verdict::{Judgement, Verdict};
use serde_json::Value;

use super::line::{COLUMNS, Line, Style, wrap};
use super::news::{News, What};
use super::report::{Effort, report};
use super::words;
use crate::scenario::{Happening, Scenario};

/// Columns of the steps' names.
const STEP_COLUMNS: usize = 15;
/// Where the text of a step begins: after the time, the step and a sign.
const TEXT_COLUMN: usize = 2 + 5 + 2 + STEP_COLUMNS + 2 + 2;
/// Columns of the bar that shows how far a wait is.
const BAR_COLUMNS: u64 = 20;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Tells the deployments of one scenario.
pub struct Narrator<'scenario> {
    scenario: &'scenario Scenario,
    tellings: BTreeMap<String, Telling>,
    /// Who was told of last.
    speaker: Option<String>,
    beats: usize,
}

/// What was told of one execution.
struct Telling {
    number: usize,
    began: Timestamp,
    deployment: Option<Box<Deployment>>,
    last_row: Option<(String, Row)>,
    last_wait: Option<String>,
    /// Looks since that brought nothing new.
    repeated: usize,
    transitions: u64,
    now: Now,
}

/// What an execution is at.
enum Now {
    Waiting { state: String, since: Timestamp, until: Timestamp },
    Working { state: String },
    Ended,
}

/// What is told of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    style: Style,
    sign: &'static str,
    headline: Option<String>,
    texts: Vec<String>,
}

impl Row {
    fn new(style: Style, sign: &'static str, texts: Vec<String>) -> Self {
        Self { style, sign, headline: None, texts }
    }
}

impl<'scenario> Narrator<'scenario> {
    /// A narrator who has not told anything yet.
    pub fn new(scenario: &'scenario Scenario) -> Self {
        Self { scenario, tellings: BTreeMap::new(), speaker: None, beats: 0 }
    }

    /// What is to be told of a piece of news; often nothing. `effort` counts what an execution cost once it has ended.
    pub fn tell(&mut self, news: &News, effort: impl FnOnce(&str) -> Effort) -> Vec<Line> {
        match news {
            News::Happening { at, what } => self.tell_happening(*at, what),
            News::Execution { at, execution, what } => {
                let mut lines = self.tell_execution(*at, execution, what, effort);
                if lines.is_empty() || self.speaker.as_ref() == Some(execution) {
                    return lines;
                }
                let is_new = matches!(what, What::Started { .. });
                self.speaker = Some(execution.clone());
                if let Some(telling) = self.tellings.get(execution).filter(|_| !is_new) {
                    lines.insert(0, self.heading(telling.number, ", continued"));
                }
                lines
            }
        }
    }

    fn tell_happening(&mut self, at: Timestamp, happening: &Happening) -> Vec<Line> {
        let live = self.tellings.values().find(|telling| !matches!(telling.now, Now::Ended));
        // What is the case from the beginning is told in the introduction.
        let (Some(live), Some(text)) = (live, words::happening(happening)) else { return Vec::new() };
        let row = Row::new(Style::Open, "!", vec![text]);
        lines_of(since(live.began, at), "meanwhile", &row)
    }

    fn tell_execution(
        &mut self,
        at: Timestamp,
        execution: &str,
        what: &What,
        effort: impl FnOnce(&str) -> Effort,
    ) -> Vec<Line> {
        if let What::Started { input } = what {
            return self.begin(at, execution, input);
        }
        let Some(telling) = self.tellings.get_mut(execution) else { return Vec::new() };
        let time = since(telling.began, at);
        match what {
            What::Started { .. } => Vec::new(),
            What::Entered { state, kind } => {
                telling.transitions += 1;
                if *kind == StateKind::Task {
                    telling.now = Now::Working { state: state.clone() };
                }
                Vec::new()
            }
            What::Answered { state, deployment } => {
                let Some(deployment) = deployment else { return Vec::new() };
                let before = telling.deployment.replace(deployment.clone());
                let row = row_of(state, deployment, before.as_deref());
                telling.say(time, words::step(state, Some(deployment)), row)
            }
            What::Failed { state, error } => {
                let step = words::step(state, telling.deployment.as_deref());
                telling.say(time, step, Row::new(Style::Bad, "✖", vec![format!("failed: {error}")]))
            }
            What::Retried { delay } => {
                telling.transitions += 1;
                let text = format!("tries again in {:.1} s", delay.as_secs_f64());
                lines_of_wait(&text)
            }
            What::Waits { state, until } => {
                telling.now = Now::Waiting { state: state.clone(), since: at, until: *until };
                telling.say_wait(state, since(at, *until))
            }
            What::Ended { status, report: value, error } => {
                telling.now = Now::Ended;
                let telling_report = serde_json::from_value::<Report>(value.clone()).ok();
                let effort = Effort { transitions: telling.transitions, ..effort(execution) };
                let mut lines = vec![Line::new()];
                lines.extend(match telling_report {
                    Some(told) => report(&told, &effort),
                    None => {
                        let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                        vec![Line::new().and(Style::Bad, format!("  ✖ the execution is {status}{error}"))]
                    }
                });
                lines
            }
        }
    }

    fn begin(&mut self, at: Timestamp, execution: &str, input: &Value) -> Vec<Line> {
        let number = self.tellings.len() + 1;
        let telling = Telling {
            number,
            began: at,
            deployment: None,
            last_row: None,
            last_wait: None,
            repeated: 0,
            transitions: 0,
            now: Now::Working { state: "Prepare".to_owned() },
        };
        self.tellings.insert(execution.to_owned(), telling);
        let mut lines = vec![self.heading(number, "")];
        for text in self.request_in_words(execution, input) {
            lines.extend(indented(2, Style::Faint, &text));
        }
        lines.push(Line::new());
        lines
    }

    /// What the execution is asked for.
    fn request_in_words(&self, execution: &str, input: &Value) -> Vec<String> {
        let number = execution.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(1);
        let planned = number.checked_sub(1).and_then(|index| self.scenario.deployments.get(index));
        let code = input.pointer(
            "/update/ApplicationConfigurationUpdate/ApplicationCodeConfigurationUpdate/CodeContentUpdate/\
             S3ContentLocationUpdate/FileKeyUpdate",
        );
        let behaviour = planned.and_then(|planned| planned.code.as_ref());
        let mut words = Vec::new();
        if let (Some(key), Some(behaviour)) = (code.and_then(Value::as_str), behaviour) {
            words.push(format!("New code: {key}, which {}.", words::behaviour(behaviour)));
        }
        words.extend(input["reason"].as_str().map(|reason| format!("Because: {reason}")));
        words
    }

    fn heading(&self, number: usize, more: &str) -> Line {
        let count = self.scenario.deployments.len();
        let title = match count {
            1 => format!("Deployment of {}{more}", self.scenario.app.name),
            _ => format!("Deployment {number} of {count}{more}"),
        };
        let rule = "━".repeat(COLUMNS.saturating_sub(title.chars().count() + 4));
        Line::new().and(Style::Strong, format!("━━ {title} ")).and(Style::Faint, rule)
    }

    /// What is going on at this moment, in one line; none while nothing is.
    pub fn status(&mut self, now: Timestamp) -> Option<Line> {
        self.beats += 1;
        let spinner = SPINNER[self.beats % SPINNER.len()];
        let speaker = self.speaker.as_ref().and_then(|speaker| self.tellings.get(speaker));
        let is_live = |telling: &&Telling| !matches!(telling.now, Now::Ended);
        let telling = speaker.filter(is_live).or_else(|| self.tellings.values().find(is_live))?;
        let line = Line::new()
            .and(Style::Faint, format!("  {}  ", words::minutes(since(telling.began, now))))
            .and(Style::Step, format!("{spinner} "));
        Some(match &telling.now {
            Now::Working { state } => {
                line.and(Style::Faint, format!("{} …", words::step(state, telling.deployment.as_deref())))
            }
            Now::Waiting { state, since: began, until } => {
                let (passed, all) = (since(*began, now), since(*began, *until));
                let filled = passed.as_secs().min(all.as_secs()) * BAR_COLUMNS / all.as_secs().max(1);
                let bar = |columns, sign: &str| sign.repeat(usize::try_from(columns).unwrap_or_default());
                let looks = match telling.repeated {
                    0 => String::new(),
                    repeated => format!(", {} looks alike", repeated + 1),
                };
                line.and(Style::Step, bar(filled, "━"))
                    .and(Style::Faint, bar(BAR_COLUMNS - filled, "━"))
                    .and(Style::Faint, format!(" {} of {}", words::minutes(passed.min(all)), words::minutes(all)))
                    .and(Style::Faint, format!("{looks}{}", if state == "Bake" { ", baking" } else { "" }))
            }
            Now::Ended => return None,
        })
    }
}

impl Telling {
    /// Tells a step, unless it is what was told last.
    fn say(&mut self, time: Duration, step: String, row: Row) -> Vec<Line> {
        let told = (step, row);
        if self.last_row.as_ref() == Some(&told) {
            self.repeated += 1;
            return Vec::new();
        }
        self.repeated = 0;
        let lines = lines_of(time, &told.0, &told.1);
        self.last_row = Some(told);
        self.last_wait = None;
        lines
    }

    fn say_wait(&mut self, state: &str, length: Duration) -> Vec<Line> {
        let Some(deployment) = &self.deployment else { return Vec::new() };
        let text = format!("{} {}", words::length(rounded(length)), words::wait(state, deployment));
        if self.last_wait.as_ref() == Some(&text) {
            return Vec::new();
        }
        self.last_wait = Some(text.clone());
        lines_of_wait(&text)
    }
}

/// A wait ends at a moment that was computed a little before.
fn rounded(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_millis() >= 500))
}

fn since(began: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(began)).unwrap_or_default()
}

/// What a step has seen, done or decided.
fn row_of(state: &str, deployment: &Deployment, before: Option<&Deployment>) -> Row {
    match state {
        "Prepare" => prepared(deployment),
        "CheckOperation" | "CheckSubtasks" => deployment.verdict.as_ref().map_or_else(|| doing(deployment), judged),
        "DecideRollback" => decided(deployment),
        "Notify" => Row::new(Style::Plain, "·", vec!["the report is sent".to_owned()]),
        _ => acted(deployment, before),
    }
}

fn prepared(deployment: &Deployment) -> Row {
    if deployment.report.is_some() {
        return decided(deployment);
    }
    match &deployment.baseline {
        Some(baseline) if deployment.next == Next::Submit => {
            let snapshot = match &baseline.snapshot {
                Some(snapshot) => format!("its newest snapshot is {snapshot}"),
                None => "it has no snapshot yet; the update takes one".to_owned(),
            };
            let now = format!(
                "{} is at version {}, {}, on {}",
                deployment.application, baseline.version, baseline.status, baseline.runtime
            );
            Row::new(Style::Plain, "·", vec![now, snapshot])
        }
        _ => doing(deployment),
    }
}

/// Something under way that no verdict is about.
fn doing(deployment: &Deployment) -> Row {
    Row::new(Style::Open, "○", deployment.decided.iter().cloned().collect())
}

fn judged(verdict: &Verdict) -> Row {
    let (style, sign) = match verdict.is {
        Judgement::Progressing => (Style::Open, "○"),
        Judgement::Healthy => (Style::Good, "✔"),
        Judgement::Failing => (Style::Bad, "✖"),
        Judgement::Inconclusive => (Style::Open, "?"),
    };
    Row::new(style, sign, verdict.reasons.iter().map(ToString::to_string).collect())
}

fn decided(deployment: &Deployment) -> Row {
    let style = match (&deployment.report, deployment.next) {
        (Some(report), _) if report.success => Style::Good,
        (Some(_), _) | (None, Next::RollBack | Next::ForceStop | Next::Restore) => Style::Bad,
        _ => Style::Strong,
    };
    let sign = if deployment.report.is_some() { "■" } else { "→" };
    let refusals = deployment.report.iter().flat_map(|report| &report.refusals).map(ToString::to_string);
    let why = match &deployment.report {
        Some(report) if report.refusals.is_empty() => report.because.iter().map(ToString::to_string).collect(),
        Some(_) => refusals.collect(),
        None => words::reasons_of_decision(deployment),
    };
    Row { headline: Some(words::decision(deployment)), ..Row::new(style, sign, why) }
}

fn acted(deployment: &Deployment, before: Option<&Deployment>) -> Row {
    if let Some(verdict) = &deployment.verdict {
        return judged(verdict);
    }
    if deployment.report.is_some() {
        return decided(deployment);
    }
    let event = deployment.events.last().map(|event| event.what.clone());
    let mut texts: Vec<String> = event.into_iter().collect();
    if deployment.next != Next::WaitForOperation {
        return Row::new(Style::Open, "○", texts);
    }
    if let Some(before) = before.filter(|before| before.version != deployment.version) {
        texts.push(format!("version {} → {}", before.version, deployment.version));
    }
    Row::new(Style::Step, "▶", texts)
}

/// The lines of a step.
fn lines_of(time: Duration, step: &str, row: &Row) -> Vec<Line> {
    let width = COLUMNS - TEXT_COLUMN;
    let whole = row.texts.join("; ");
    let mut texts: Vec<(Style, String)> = Vec::new();
    let body = if row.style == Style::Bad && row.headline.is_none() { Style::Bad } else { Style::Plain };
    match &row.headline {
        Some(headline) if row.texts.is_empty() => texts.push((row.style, headline.clone())),
        Some(headline) => {
            texts.push((row.style, headline.clone()));
            texts.extend(row.texts.iter().flat_map(|text| wrap(text, width)).map(|text| (Style::Faint, text)));
        }
        None if whole.chars().count() <= width => texts.push((body, whole)),
        None => texts.extend(row.texts.iter().flat_map(|text| wrap(text, width)).map(|text| (body, text))),
    }
    if texts.is_empty() {
        texts.push((body, String::new()));
    }
    let mut lines = Vec::new();
    for (index, (style, text)) in texts.into_iter().enumerate() {
        let line = match index {
            0 => Line::new()
                .and(Style::Faint, format!("  {}  ", words::minutes(time)))
                .and(Style::Step, format!("{step:<STEP_COLUMNS$}  "))
                .and(row.style, format!("{} ", row.sign)),
            _ => Line::new().and(Style::Plain, " ".repeat(TEXT_COLUMN)),
        };
        lines.push(line.and(style, text));
    }
    lines
}

fn lines_of_wait(text: &str) -> Vec<Line> {
    let indent = " ".repeat(TEXT_COLUMN - 2);
    vec![Line::new().and(Style::Faint, format!("{indent}… {text}"))]
}

/// A text in lines that begin in this column.
pub fn indented(column: usize, style: Style, text: &str) -> Vec<Line> {
    let indent = " ".repeat(column);
    wrap(text, COLUMNS - column).into_iter().map(|text| Line::new().and(style, format!("{indent}{text}"))).collect()
}
