//! A deployment as one file to look at: what came of it, and a timeline of what was seen and decided. It fetches nothing
//! and runs nothing, so that it can be attached to a ticket, printed and read years later. All text of the data is
//! escaped where it is put in (by `maud`), and its length is bounded.

mod axis;
mod drawing;
mod timeline;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use lifecycle::cause::RootCause;
use lifecycle::deployment::{Deployment, Event};
use lifecycle::report::{Outcome, Report};
use lifecycle::verdict::in_words;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::executions::Execution;
use crate::steps::decision;
use crate::terminal::words::{between, length};
use crate::visits::Visit;
use axis::Axis;
use drawing::drawing;
use timeline::{Decision, Timeline};
use words::{clock, heading, machine_moment, meaning, moment, sentence, shortened};

const STYLE: &str = include_str!("html/style.css");
/// Nothing may be fetched, run, embedded or sent.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// A table has at most so many rows: the first half of them, and the last.
const MOST_ROWS: usize = 200;
/// So many decisions are listed, which have their reasons with them.
const MOST_DECISIONS: usize = 60;

/// The page of an execution, as of now.
pub fn page(execution: &Execution, visits: &[Visit], now: Timestamp) -> String {
    let now = now.max(execution.started_at);
    let newest = visits.iter().rev().find_map(|visit| visit.deployment.as_ref());
    let in_visits = || newest.and_then(|deployment| deployment.report.as_ref());
    let story = Story {
        execution,
        visits,
        newest,
        report: execution.report.as_ref().or_else(in_visits).filter(|_| !execution.is_running()),
        end: execution.ended_at.unwrap_or(now).max(execution.started_at),
        now,
    };
    story.document().into_string()
}

/// What a page is made of.
struct Story<'a> {
    execution: &'a Execution,
    visits: &'a [Visit],
    /// The deployment as it was last seen.
    newest: Option<&'a Deployment>,
    report: Option<&'a Report>,
    end: Timestamp,
    now: Timestamp,
}

/// How a deployment stands, for the eye.
struct Standing {
    heading: String,
    meaning: String,
    class: &'static str,
    sign: &'static str,
}

impl Story<'_> {
    fn document(&self) -> Markup {
        let standing = self.standing();
        let timeline = Timeline::of(self.visits, self.end);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (standing.heading) ": " (shortened(self.application())) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.header(&standing))
                    main {
                        (self.outcome())
                        (self.timeline(&timeline))
                        (self.decisions(&timeline.decisions))
                        (self.changes(&timeline))
                        (self.events())
                        (self.states())
                    }
                    footer {
                        p { "Made by flinkctl at " (time(self.now)) ". This file fetches nothing, and stays as it is." }
                    }
                }
            }
        }
    }

    fn application(&self) -> &str {
        let of_report = || self.report.map(|report| report.application.as_str());
        self.execution.application.as_deref().or_else(of_report).unwrap_or("an unknown application")
    }

    fn standing(&self) -> Standing {
        let standing = |heading: &str, meaning: &str, class, sign| Standing {
            heading: heading.to_owned(),
            meaning: meaning.to_owned(),
            class,
            sign,
        };
        let Some(report) = self.report else {
            if self.execution.is_running() {
                let since = length(whole(between(self.execution.started_at, self.now)));
                return standing("Under way", &format!("It has run for {since} so far."), "act", "dots");
            }
            let status = &self.execution.status;
            return Standing {
                heading: "Cut short".to_owned(),
                meaning: format!(
                    "The execution is {status}, and came to no report. What it had begun goes on, and what it had stopped \
                     stays stopped."
                ),
                class: "bad",
                sign: "cross",
            };
        };
        let (class, sign) = match report.outcome {
            Outcome::Deployed | Outcome::NoChange => ("good", "check"),
            Outcome::RolledBack | Outcome::Restored => ("open", "back"),
            Outcome::Superseded => ("open", "past"),
            Outcome::Refused | Outcome::NeedsAttention => ("bad", "cross"),
        };
        standing(heading(report.outcome), meaning(report.outcome), class, sign)
    }

    fn header(&self, standing: &Standing) -> Markup {
        let reason = self.execution.reason.as_ref().or_else(|| self.report.and_then(|it| it.reason.as_ref()));
        html! {
            header.(standing.class) {
                p.eyebrow { "Deployment of " strong { (shortened(self.application())) } }
                h1 { (sign(standing.sign)) span { (standing.heading) } }
                p.meaning { (standing.meaning) }
                dl.facts {
                    @if let Some(reason) = reason { (fact("Why", &html! { (shortened(reason)) })) }
                    (fact("Began", &time(self.execution.started_at)))
                    @if self.execution.is_running() {
                        (fact("As of", &time(self.now)))
                    } @else {
                        (fact("Took", &html! { (length(whole(between(self.execution.started_at, self.end)))) }))
                    }
                    (self.versions())
                    (fact("Execution", &html! { code { (shortened(&self.execution.name)) } }))
                    (fact("Status", &html! { code { (shortened(&self.execution.status)) } }))
                }
            }
        }
    }

    /// The versions and the snapshot, as far as they are known.
    fn versions(&self) -> Markup {
        let baseline = self.newest.and_then(|deployment| deployment.baseline.as_ref());
        let before = self.report.and_then(|it| it.version_before).or_else(|| baseline.map(|it| it.version));
        let after = self.report.and_then(|it| it.version_after).or_else(|| self.newest.map(|it| it.version));
        let of_data = || self.report?.data.as_ref()?.snapshot.as_ref().map(|snapshot| snapshot.name.as_str());
        let of_baseline = || baseline?.snapshot.as_deref();
        html! {
            @if let (Some(before), Some(after)) = (before, after) {
                (fact("Version", &html! {
                    @if before == after { (before) } @else { (before) " " (arrow()) " " (after) }
                }))
            }
            @if let Some(restored) = of_data() {
                (fact("Restored from snapshot", &html! { code { (shortened(restored)) } }))
            } @else if let Some(newest) = of_baseline() {
                (fact("Newest snapshot before", &html! { code { (shortened(newest)) } }))
            }
        }
    }

    fn outcome(&self) -> Markup {
        html! {
            section.came aria-labelledby="came" {
                h2 id="came" { @if self.execution.is_running() { "How it stands" } @else { "What came of it" } }
                @if let Some(report) = self.report {
                    p.summary { (shortened(&report.summary)) }
                    div.cards {
                        @if let Some(cause) = &report.root_cause { (root_cause(cause)) }
                        @if let Some(data) = &report.data {
                            div.card { h3 { "Is the data safe?" } p { (shortened(&data.summary)) } }
                        }
                        @if let Some(next) = &report.next_step {
                            div.card { h3 { "What to do next" } p { (shortened(&next.replace("`rootCause`", "the root cause"))) } }
                        }
                        @if !report.refusals.is_empty() {
                            div.card.wide {
                                h3 { "What is wrong with the request" }
                                ul { @for it in &report.refusals {
                                    li { code { (shortened(&it.field)) } ": " (shortened(&it.problem)) ". " (sentence(&shortened(&it.cure))) "." }
                                } }
                            }
                        }
                    }
                } @else if self.execution.is_running() {
                    (self.so_far())
                } @else {
                    p.summary { "There is no report: the execution was cut short before it could tell. What it last knew is below." }
                    (self.so_far())
                    div.cards {
                        div.card { h3 { "What to do next" } p {
                            "Look at the application in the console, and follow docs/operations.md, “Stopping a deployment”."
                        } }
                    }
                }
            }
        }
    }

    /// What was known last of a deployment that has no report.
    fn so_far(&self) -> Markup {
        let state = self.visits.last();
        html! {
            @if let Some(visit) = state {
                p { "Last seen in " code { (shortened(&visit.state)) } ", entered at " (time(visit.entered_at)) "." }
            } @else {
                p { "Its history shows no state yet." }
            }
            @if let Some(deployment) = self.newest {
                @if let Some(verdict) = &deployment.verdict {
                    p { "The last look: " (shortened(&in_words(&verdict.reasons))) "." }
                }
                @if let Some(decided) = &deployment.decided {
                    p { "Decided last: " (decision(deployment)) " (" (shortened(decided)) ")." }
                }
                @if !deployment.failure.is_empty() {
                    p { "The change was found bad: " (shortened(&in_words(&deployment.failure))) "." }
                }
            }
        }
    }

    fn timeline(&self, timeline: &Timeline) -> Markup {
        let axis = Axis::new(self.execution.started_at, self.end, &timeline.changes());
        html! {
            section aria-labelledby="timeline" {
                h2 id="timeline" { "Timeline" }
                @if self.visits.is_empty() {
                    p { "The history of the execution shows no state." }
                } @else {
                    figure {
                        (drawing(timeline, &axis))
                        figcaption {
                            "From " (time(axis.begin())) " to " (time(axis.end()))
                            @if self.execution.is_running() { ", and going on" }
                            ". Minutes and seconds are since the beginning. What one look saw is drawn until the next look; where a lane "
                            "is empty, nobody looked. Numbers are those of the decisions below."
                            @if !axis.breaks().is_empty() { " A long stretch without change (…) is drawn short." }
                        }
                        @if !timeline.tasks.spans.is_empty() {
                            ul.legend aria-label="Colours of the tasks" {
                                @for (class, word) in [("running", "running"), ("finished", "finished"), ("initializing", "initializing"), ("waiting", "waiting"), ("failed", "failed")] {
                                    li { (swatch(class)) (word) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn decisions(&self, decisions: &[Decision]) -> Markup {
        let numbered: Vec<(usize, &Decision)> = decisions.iter().enumerate().collect();
        html! {
            @if !decisions.is_empty() {
                section aria-labelledby="decisions" {
                    h2 id="decisions" { "Decisions" }
                    ol.decisions {
                        @for part in bounded(&numbered, MOST_DECISIONS) {
                            @match part {
                                Ok((index, decision)) => li value=(index + 1) {
                                    span.number { (index + 1) }
                                    span.at { (self.since(decision.at)) }
                                    div {
                                        p.headline { strong { (sentence(&decision.headline)) }
                                            @if decision.times > 1 {
                                                span.times { ", " (decision.times) " times until " (self.since(decision.last_at)) }
                                            }
                                        }
                                        @if !decision.reasons.is_empty() {
                                            ul { @for reason in &decision.reasons { li { (sentence(&shortened(reason))) } } }
                                        }
                                    }
                                },
                                Err(left_out) => li.left-out value=(MOST_DECISIONS / 2 + 1) { (left_out) " more are left out here." },
                            }
                        }
                    }
                }
            }
        }
    }

    /// The timeline in words.
    fn changes(&self, timeline: &Timeline) -> Markup {
        let rows = timeline.rows();
        html! {
            @if !rows.is_empty() {
                section aria-labelledby="changes" {
                    h2 id="changes" { "The timeline in words" }
                    table {
                        thead { tr { th scope="col" { "Time" } th scope="col" { "Of what" } th scope="col" { "What was seen or done" } } }
                        tbody { @for part in bounded(&rows, MOST_ROWS) { @match part {
                            Ok((at, lane, words)) => tr { td.at { (self.since(*at)) } th scope="row" { (lane) } td { (sentence(&shortened(words))) } },
                            Err(left_out) => tr { td colspan="3" { (left_out) " more are left out here." } },
                        } } }
                    }
                }
            }
        }
    }

    /// What the deployment itself found worth telling.
    fn events(&self) -> Markup {
        let of_report = self.report.map(|report| report.events.as_slice());
        let events: &[Event] = of_report.or_else(|| self.newest.map(|it| it.events.as_slice())).unwrap_or_default();
        html! {
            @if !events.is_empty() {
                section aria-labelledby="events" {
                    h2 id="events" { "Events" }
                    table {
                        thead { tr { th scope="col" { "Time" } th scope="col" { "Event" } } }
                        tbody { @for part in bounded(events, MOST_ROWS) { @match part {
                            Ok(event) => tr { td.at { (self.since(event.at)) } td { (shortened(&event.what)) } },
                            Err(left_out) => tr { td colspan="2" { (left_out) " more are left out here." } },
                        } } }
                    }
                }
            }
        }
    }

    fn states(&self) -> Markup {
        html! {
            @if !self.visits.is_empty() {
                section aria-labelledby="states" {
                    h2 id="states" { "States of the execution" }
                    details {
                        summary { (self.visits.len()) " visits to states" }
                        table {
                            thead { tr { th scope="col" { "Entered" } th scope="col" { "State" } th scope="col" { "For" } } }
                            tbody { @for part in bounded(self.visits, MOST_ROWS) { @match part {
                                Ok(visit) => tr {
                                    td.at { (self.since(visit.entered_at)) }
                                    th scope="row" { (shortened(&visit.state)) }
                                    td { @match visit.exited_at {
                                        Some(exited_at) => (length(whole(between(visit.entered_at, exited_at)))),
                                        None if self.execution.is_running() => "still there",
                                        None => "the end",
                                    } }
                                },
                                Err(left_out) => tr { td colspan="3" { (left_out) " more are left out here." } },
                            } } }
                        }
                    }
                }
            }
        }
    }

    /// A moment by the time since the beginning.
    fn since(&self, at: Timestamp) -> Markup {
        html! { time datetime=(machine_moment(at)) title=(moment(at)) { (clock(between(self.execution.started_at, at))) } }
    }
}

fn root_cause(cause: &RootCause) -> Markup {
    html! {
        div.card.wide.cause {
            h3 { "Root cause: " (cause.category) }
            @if let Some(exception) = &cause.exception {
                p.exception { code {
                    (shortened(exception))
                    @if let Some(message) = &cause.message { ": " (shortened(message)) }
                } }
            } @else if let Some(message) = &cause.message {
                p.exception { code { (shortened(message)) } }
            }
            dl.where {
                @if let Some(frame) = &cause.own_frame { (fact("At", &html! { code { (shortened(frame)) } })) }
                @if let Some(task) = &cause.task { (fact("In the task", &html! { (shortened(task)) })) }
                @if let Some(at) = cause.first_at { (fact("First at", &time(at))) }
                @if let Some(restarts) = cause.restarts { (fact("Restarts", &html! { (restarts) })) }
            }
            p { strong { "What it means. " } (shortened(&cause.meaning)) }
            p { strong { "What to do. " } (shortened(&cause.advice)) }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn time(at: Timestamp) -> Markup {
    html! { time datetime=(machine_moment(at)) { (moment(at)) } }
}

/// A task's colour and pattern.
fn swatch(state: &str) -> Markup {
    html! { svg width="14" height="14" aria-hidden="true" { rect.{ "task-" (state) } width="14" height="14" rx="2" {} } }
}

/// "to", drawn: not every font has an arrow.
fn arrow() -> Markup {
    html! {
        svg.arrow width="18" height="12" viewBox="0 0 18 12" role="img" aria-label="to" { path d="M1 6 H16 M11.5 2 L16 6 L11.5 10" {} }
    }
}

/// A sign beside a heading, drawn: not every font has one.
fn sign(name: &str) -> Markup {
    let path = match name {
        "check" => "M6 12.5 L10.5 17 L18.5 7.5",
        "cross" => "M7 7 L17 17 M17 7 L7 17",
        "back" => "M9.5 5.5 L5.5 9.5 L9.5 13.5 M6 9.5 H14 a4.2 4.2 0 0 1 0 8.5 H9",
        "past" => "M6 7 L11 12 L6 17 M13 7 L18 12 L13 17",
        _ => "M6.5 12 h.01 M12 12 h.01 M17.5 12 h.01",
    };
    html! { svg.sign width="40" height="40" viewBox="0 0 24 24" aria-hidden="true" { circle cx="12" cy="12" r="11" {} path d=(path) {} } }
}

/// The first and the last of many; between them how many are left out.
fn bounded<T>(all: &[T], most: usize) -> Vec<Result<&T, usize>> {
    if all.len() <= most {
        return all.iter().map(Ok).collect();
    }
    let (first, rest) = all.split_at(most / 2);
    let (left_out, last) = rest.split_at(rest.len() - most / 2);
    first.iter().map(Ok).chain([Err(left_out.len())]).chain(last.iter().map(Ok)).collect()
}

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
