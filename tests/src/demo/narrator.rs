//! Tells a deployment as it goes: from the news to lines of text. It prints nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use asl::StateKind;
use jiff::{SignedDuration, Timestamp};
use lifecycle::deployment::{Deployment, Next};
use lifecycle::report::Report;
use lifecycle::verdict::{Judgement, Verdict};
use serde_json::Value;

use super::news::{News, What};
use super::report::{Effort, report};
use super::words;
use crate::scenario::{Happening, Planned, Scenario};
use flinkctl::terminal::line::{COLUMNS, Line, Style, wrap};
use flinkctl::terminal::words::{length as in_words, minutes};

/// Columns of the steps' names.
const STEP_COLUMNS: usize = 15;
/// Where the text of a step begins: after the time, the step and a sign.
const TEXT_COLUMN: usize = 1 + 5 + 2 + STEP_COLUMNS + 1 + 2;
/// Columns of the bar that shows how far a wait is.
const BAR_COLUMNS: u64 = 20;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Where an input names the object with the new code.
const CODE_KEY: &str = "/update/ApplicationConfigurationUpdate/ApplicationCodeConfigurationUpdate/CodeContentUpdate/\
                        S3ContentLocationUpdate/FileKeyUpdate";
/// Most characters of JSON that are shown.
const LONGEST_JSON: usize = 150;

/// Tells the deployments of one scenario.
pub struct Narrator<'scenario> {
    scenario: &'scenario Scenario,
    tellings: BTreeMap<String, Telling>,
    /// Who was told of last.
    speaker: Option<String>,
    /// Whether the last line was an empty one.
    is_apart: bool,
    beats: usize,
}

/// What was told of one execution.
struct Telling {
    number: usize,
    /// How far its clock is ahead of the others.
    ahead: SignedDuration,
    began: Timestamp,
    deployment: Option<Box<Deployment>>,
    /// What was told of each step last, since something was done to the application.
    rows: BTreeMap<String, Row>,
    /// What the last look saw.
    seen: Vec<String>,
    last_wait: Option<String>,
    /// Steps since that brought nothing new.
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
    kind: Kind,
    style: Style,
    sign: &'static str,
    headline: Option<String>,
    texts: Vec<String>,
}

/// What kind of step is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Look,
    Decision,
    Act,
    Other,
}

impl Row {
    fn new(kind: Kind, style: Style, sign: &'static str, texts: Vec<String>) -> Self {
        Self { kind, style, sign, headline: None, texts }
    }
}

impl<'scenario> Narrator<'scenario> {
    /// A narrator who has not told anything yet.
    pub fn new(scenario: &'scenario Scenario) -> Self {
        Self { scenario, tellings: BTreeMap::new(), speaker: None, is_apart: true, beats: 0 }
    }

    /// What is to be told of a piece of news; often nothing. `effort` counts what an execution cost once it has ended.
    pub fn tell(&mut self, news: &News, effort: impl FnOnce(&str) -> Effort) -> Vec<Line> {
        let lines = self.tell_news(news, effort);
        if let Some(last) = lines.last() {
            self.is_apart = last.plain().is_empty();
        }
        lines
    }

    fn tell_news(&mut self, news: &News, effort: impl FnOnce(&str) -> Effort) -> Vec<Line> {
        match news {
            News::Happening { at, what } => self.tell_happening(*at, what),
            News::Execution { at, execution, what } => {
                let mut lines = self.tell_execution(*at, execution, what, effort);
                if lines.is_empty() || self.speaker.as_ref() == Some(execution) {
                    return lines;
                }
                let is_new = matches!(what, What::Started { redrives: 0, .. });
                self.speaker = Some(execution.clone());
                if let Some(telling) = self.tellings.get(execution).filter(|_| !is_new) {
                    lines.insert(0, self.heading(telling.number, ", continued"));
                }
                if !self.is_apart {
                    lines.insert(0, Line::new());
                }
                lines
            }
        }
    }

    fn tell_happening(&mut self, at: Timestamp, happening: &Happening) -> Vec<Line> {
        let live = self.tellings.values().find(|telling| !matches!(telling.now, Now::Ended));
        // What is the case from the beginning is told in the introduction.
        let (Some(live), Some(text)) = (live, words::happening(happening)) else { return Vec::new() };
        let row = Row::new(Kind::Other, Style::Open, "!", vec![text]);
        let at = at.saturating_add(live.ahead).unwrap_or(at);
        lines_of(since(live.began, at), "meanwhile", &row)
    }

    fn tell_execution(
        &mut self,
        at: Timestamp,
        execution: &str,
        what: &What,
        effort: impl FnOnce(&str) -> Effort,
    ) -> Vec<Line> {
        if let What::Started { input, redrives: 0 } = what {
            return self.begin(at, execution, input);
        }
        let Some(telling) = self.tellings.get_mut(execution) else { return Vec::new() };
        let time = since(telling.began, at);
        match what {
            What::Started { .. } => {
                // A redrive is billed as a transition, too.
                telling.transitions += 1;
                telling.rows.clear();
                let row =
                    Row::new(Kind::Other, Style::Strong, "↻", vec!["the execution goes on where it failed".to_owned()]);
                telling.say(time, "redrive".to_owned(), row)
            }
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
                telling.say(time, step, Row::new(Kind::Other, Style::Bad, "✖", vec![format!("failed: {error}")]))
            }
            What::Retried { delay } => {
                telling.transitions += 1;
                match telling.repeated {
                    0 => lines_of_wait(&format!("tries again in {:.1} s", delay.as_secs_f64())),
                    _ => Vec::new(),
                }
            }
            What::Waits { state, until } => {
                telling.now = Now::Waiting { state: state.clone(), since: at, until: *until };
                telling.say_wait(state, since(at, *until))
            }
            What::Ended { status, report: value, error } => {
                telling.now = Now::Ended;
                let effort = Effort { transitions: telling.transitions, ..effort(execution) };
                let mut lines = vec![Line::new()];
                if let Ok(told) = serde_json::from_value::<Report>(value.clone()) {
                    lines.extend(report(&told, &effort));
                } else {
                    let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                    let text = format!("  ✖ the execution is {status}{error}");
                    lines.extend([Line::new().and(Style::Bad, text), Line::new()]);
                }
                lines
            }
        }
    }

    fn begin(&mut self, at: Timestamp, execution: &str, input: &Value) -> Vec<Line> {
        let (number, planned) = self.planned(execution);
        let ahead = planned.map_or(0, |planned| planned.clock_ahead_seconds);
        let telling = Telling {
            number,
            ahead: SignedDuration::from_secs(ahead),
            began: at,
            deployment: None,
            rows: BTreeMap::new(),
            seen: Vec::new(),
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

    /// The number of a deployment, which its execution's name ends with, and its plan.
    fn planned(&self, execution: &str) -> (usize, Option<&'scenario Planned>) {
        let number = execution.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(1);
        (number, number.checked_sub(1).and_then(|index| self.scenario.deployments.get(index)))
    }

    /// What the execution is asked for.
    fn request_in_words(&self, execution: &str, input: &Value) -> Vec<String> {
        let (_, planned) = self.planned(execution);
        let code = input.pointer(CODE_KEY).and_then(Value::as_str);
        let mut words = Vec::new();
        if let (Some(key), Some(behaviour)) = (code, planned.and_then(|planned| planned.code.as_ref())) {
            words.push(format!("New code: {key}, which {}.", words::behaviour(behaviour)));
        } else if let Some(update) = input.get("update") {
            words.push(format!("Change: {}", shortened(&update.to_string())));
        }
        words.extend(input["reason"].as_str().map(|reason| format!("Because: {reason}")));
        let rest = input.as_object().into_iter().flatten();
        for (name, value) in rest.filter(|(name, _)| !["application", "update", "reason"].contains(&name.as_str())) {
            words.push(shortened(&format!("{name}: {value}")));
        }
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
        if self.tellings.is_empty() {
            let text = format!("{} is created and runs for a while …", self.scenario.app.name);
            return Some(Line::new().and(Style::Step, format!(" {spinner} ")).and(Style::Faint, text));
        }
        let speaker = self.speaker.as_ref().and_then(|speaker| self.tellings.get(speaker));
        let is_live = |telling: &&Telling| !matches!(telling.now, Now::Ended);
        let telling = speaker.filter(is_live).or_else(|| self.tellings.values().find(is_live))?;
        let now = now.saturating_add(telling.ahead).unwrap_or(now);
        let line = Line::new()
            .and(Style::Faint, format!(" {}  ", minutes(since(telling.began, now))))
            .and(Style::Step, format!("{spinner} "));
        Some(match &telling.now {
            Now::Working { state } => {
                line.and(Style::Faint, format!("{} …", words::step(state, telling.deployment.as_deref())))
            }
            Now::Waiting { state, since: began, until } => {
                let (passed, all) = (since(*began, now), rounded(since(*began, *until)));
                let filled = passed.as_secs().min(all.as_secs()) * BAR_COLUMNS / all.as_secs().max(1);
                let bar = |columns, sign: &str| sign.repeat(usize::try_from(columns).unwrap_or_default());
                let looks = match telling.repeated {
                    0 => String::new(),
                    repeated => format!(", {} looks alike", repeated + 1),
                };
                line.and(Style::Step, bar(filled, "━"))
                    .and(Style::Faint, bar(BAR_COLUMNS - filled, "╌"))
                    .and(Style::Faint, format!(" {} of {}", minutes(passed.min(all)), minutes(all)))
                    .and(Style::Faint, format!("{looks}{}", if state == "Bake" { ", baking" } else { "" }))
            }
            Now::Ended => return None,
        })
    }
}

impl Telling {
    /// Tells a step, unless it is what was told of it last.
    fn say(&mut self, time: Duration, step: String, mut row: Row) -> Vec<Line> {
        match row.kind {
            Kind::Look => self.seen.clone_from(&row.texts),
            Kind::Act => self.rows.clear(),
            // What was just seen need not be said again.
            Kind::Decision => row.texts.retain(|text| !self.seen.contains(text)),
            Kind::Other => {}
        }
        if self.rows.get(&step) == Some(&row) {
            self.repeated += 1;
            return Vec::new();
        }
        self.repeated = 0;
        self.last_wait = None;
        let lines = lines_of(time, &step, &row);
        self.rows.insert(step, row);
        lines
    }

    fn say_wait(&mut self, state: &str, length: Duration) -> Vec<Line> {
        let Some(deployment) = &self.deployment else { return Vec::new() };
        let text = format!("{} {}", in_words(rounded(length)), words::wait(state, deployment));
        if self.repeated > 0 || self.last_wait.as_ref() == Some(&text) {
            return Vec::new();
        }
        self.last_wait = Some(text.clone());
        lines_of_wait(&text)
    }
}

/// JSON without quotes, which nobody misses here, and no longer than people read.
fn shortened(json: &str) -> String {
    let mut text = json.replace('"', "").replace(',', ", ").replace(':', ": ").replace(":  ", ": ");
    if let Some((end, _)) = text.char_indices().nth(LONGEST_JSON) {
        text.truncate(end);
        text.push('…');
    }
    text
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
        "Notify" => Row::new(Kind::Other, Style::Plain, "·", vec!["the report is sent".to_owned()]),
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
            Row::new(Kind::Act, Style::Plain, "·", vec![now, snapshot])
        }
        _ => doing(deployment),
    }
}

/// Something under way that no verdict is about.
fn doing(deployment: &Deployment) -> Row {
    Row::new(Kind::Other, Style::Open, "○", deployment.decided.iter().cloned().collect())
}

fn judged(verdict: &Verdict) -> Row {
    let (style, sign) = match verdict.is {
        Judgement::Progressing => (Style::Open, "○"),
        Judgement::Healthy => (Style::Good, "✔"),
        Judgement::Failing => (Style::Bad, "✖"),
        Judgement::Inconclusive => (Style::Open, "?"),
    };
    Row::new(Kind::Look, style, sign, verdict.reasons.iter().map(ToString::to_string).collect())
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
    Row { headline: Some(words::decision(deployment)), ..Row::new(Kind::Decision, style, sign, why) }
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
        return Row::new(Kind::Other, Style::Open, "○", texts);
    }
    if let Some(before) = before.filter(|before| before.version != deployment.version) {
        texts.push(format!("version {} → {}", before.version, deployment.version));
    }
    Row::new(Kind::Act, Style::Step, "▶", texts)
}

/// The lines of a step: in one line what fits into one, else each reason in lines of its own.
fn lines_of(time: Duration, step: &str, row: &Row) -> Vec<Line> {
    let width = COLUMNS - TEXT_COLUMN;
    let is_bad = row.style == Style::Bad && row.kind != Kind::Decision;
    let body = if is_bad { Style::Bad } else { Style::Plain };
    let whole = row.texts.join("; ");
    let mut first = Line::new()
        .and(Style::Faint, format!(" {}  ", minutes(time)))
        .and(Style::Step, format!("{step:<STEP_COLUMNS$} "))
        .and(row.style, format!("{} ", row.sign));
    let mut taken = 0;
    if let Some(headline) = &row.headline {
        let colon = if whole.is_empty() { "" } else { ": " };
        first = first.and(row.style, format!("{headline}{colon}"));
        taken = headline.chars().count() + colon.len();
    }
    if taken + whole.chars().count() <= width {
        return vec![first.and(body, whole)];
    }
    let mut texts = row.texts.iter().flat_map(|text| wrap(text, width));
    if row.headline.is_none() {
        first = first.and(body, texts.next().unwrap_or_default());
    }
    let indent = " ".repeat(TEXT_COLUMN);
    let more = texts.map(|text| Line::new().and(Style::Plain, format!("{indent}{text}")));
    [first].into_iter().chain(more).collect()
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use asl::{Event, TaskHandler};

    use super::*;
    use crate::catalogue::scenario;
    use crate::scenario::Logs;
    use crate::world::{Stage, World};

    /// Handlers in the process, and news for the narrator.
    #[derive(Default)]
    struct Listening(Mutex<Vec<News>>);

    impl Stage for Listening {
        fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
            Arc::new(world.functions(execution))
        }

        fn observe(&self, event: &Event<'_>) {
            self.0.lock().unwrap().extend(News::of(event));
        }

        fn happens(&self, happening: &Happening, world: &World) {
            let what = happening.clone();
            self.0.lock().unwrap().push(News::Happening { at: world.clock.now(), what });
        }
    }

    /// What is told of a scenario.
    fn told(scenario: &Scenario) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let stage = Arc::new(Listening::default());
        let run = runtime.block_on(async {
            let emulator = World::new(1).emulator;
            scenario.play(World::on(stage.clone(), emulator, 1), &Logs::default()).await.unwrap()
        });
        let news = stage.0.lock().unwrap();
        let mut narrator = Narrator::new(scenario);
        news.iter()
            .flat_map(|news| narrator.tell(news, |execution| Effort::of(&run.record, execution)))
            .map(|line| line.plain())
            .collect()
    }

    /// One of each kind: all of them would take as long as running them.
    const KINDS: [&str; 16] = [
        "healthy-then-crash-loop",
        "property-change",
        "stopped-and-the-change-crash-loops",
        "pre-deploy-snapshot",
        "system-rollback",
        "update-never-ends",
        "rollback-rejected",
        "policy-hold",
        "newest-upload-wins",
        "flink-never-readable",
        "throttling-everywhere",
        "clock-ahead",
        "every-lambda-dies-before",
        "aborted-and-redriven",
        "unknown-field",
        "wrong-type",
    ];

    #[test]
    fn scenarios_are_told_within_80_columns_and_to_their_end() {
        for scenario in KINDS.map(|name| scenario(name).unwrap()) {
            let lines = told(&scenario);
            let name = scenario.name;
            for line in &lines {
                assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
                assert!(!line.contains("Some(") && !line.contains('\u{1b}'), "{name}: {line}");
            }
            for outcome in scenario.deployments.iter().filter_map(|planned| planned.outcome) {
                let outcome = outcome.to_string();
                assert!(lines.iter().any(|line| line.trim().ends_with(&outcome)), "{name}: no {outcome} in {lines:#?}");
            }
        }
    }

    #[test]
    fn a_rollback_is_told_step_by_step() {
        let lines = told(&scenario("crash-loop-in-open").unwrap());
        let steps: Vec<&str> = lines
            .iter()
            .filter(|line| line.chars().nth(3) == Some(':'))
            .map(|line| line.get(8..TEXT_COLUMN - 2).unwrap().trim())
            .collect();
        let look = ["check operation", "check operation", "check subtasks", "check subtasks"];
        let expected = [&["take turn", "prepare", "update"][..], &look, &["decide", "roll back"], &look].concat();
        assert_eq!(steps.get(..13).unwrap(), expected, "{lines:#?}");
        let at = |text: &str| lines.iter().position(|line| line.contains(text));
        assert!(at("→ roll back").unwrap() > at("3 restarts, 2 are tolerated").unwrap(), "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("✖")).count(), 1, "{lines:#?}");
    }

    #[test]
    fn a_look_that_shows_nothing_new_is_not_told_again() {
        let lines = told(&scenario("update-never-ends").unwrap());
        let looks = lines.iter().filter(|line| line.contains("UpdateApplication is in progress")).count();
        assert_eq!(looks, 1, "{lines:#?}");
    }
}
