//! The timeline as a picture: lanes above each other on one time axis. Positions are percent of the width, so that it
//! grows with the page and its text does not.

use lifecycle::evidence::Tasks;
use maud::{Markup, html};

use super::axis::Axis;
use super::timeline::{Decision, Lane, Mark, Span, Timeline, Tone, Words, drawn_marks};
use super::words::clock;
use crate::terminal::words::between;

/// The narrowest that it is drawn, in pixels; the style sheet says the same.
const NARROWEST: f64 = 720.0;
/// About how wide a capital and any other character is, in pixels.
const CAPITAL: f64 = 7.9;
const CHARACTER: f64 = 6.1;
/// Percent that a mark's words need at least for the next mark's to be told as well.
const MARK_DISTANCE: f64 = 13.0;
/// How wide a digit in a decision's sign is, and half of what is around its digits, in pixels.
const DIGIT: f64 = 6.8;
const AROUND: f64 = 6.6;

/// A lane's name, where it begins and how high it is, in pixels; the style sheet says the same of the names.
struct Row {
    name: &'static str,
    class: &'static str,
    top: f64,
    height: f64,
}

const fn row(name: &'static str, class: &'static str, top: f64, height: f64) -> Row {
    Row { name, class, top, height }
}

const AXIS: Row = row("", "axis", 0.0, 26.0);
const STEP: Row = row("Step", "bar", 26.0, 36.0);
const OPERATION: Row = row("Operation", "bar", 62.0, 36.0);
const APPLICATION: Row = row("Application", "bar", 98.0, 36.0);
const JOB: Row = row("Job", "bar", 134.0, 36.0);
const TASKS: Row = row("Tasks", "stack", 170.0, 72.0);
const RESTARTS: Row = row("Restarts", "bar", 242.0, 36.0);
const CHECKPOINTS: Row = row("Checkpoints", "bar", 278.0, 36.0);
const DECISIONS: Row = row("Decisions", "bar", 314.0, 36.0);
const ROWS: [&Row; 9] = [&AXIS, &STEP, &OPERATION, &APPLICATION, &JOB, &TASKS, &RESTARTS, &CHECKPOINTS, &DECISIONS];
const HEIGHT: f64 = 350.0;

/// The picture, with the lanes' names beside it.
pub(super) fn drawing(timeline: &Timeline, axis: &Axis) -> Markup {
    html! {
        div.chart {
            div.names aria-hidden="true" {
                @for row in ROWS { div.name.(row.class) { (row.name) } }
            }
            div.scroll tabindex="0" role="region" aria-label="Timeline, drawn" {
                svg width="100%" height=(HEIGHT) role="img" aria-labelledby="drawn-title drawn-text" {
                    title id="drawn-title" { "Timeline" }
                    desc id="drawn-text" {
                        "Step, operation, application, job, tasks, restarts, checkpoints and decisions on one time axis. "
                        "The tables below tell the same in words."
                    }
                    (patterns())
                    (grid(axis))
                    (bars(&STEP, &timeline.steps, axis))
                    (bars(&OPERATION, &timeline.operation, axis))
                    (bars(&APPLICATION, &timeline.application, axis))
                    (bars(&JOB, &timeline.job, axis))
                    (stacks(&timeline.tasks, axis))
                    (marks(&RESTARTS, &timeline.restarts, axis))
                    (marks(&CHECKPOINTS, &timeline.checkpoints, axis))
                    (decisions(&timeline.decisions, axis))
                }
            }
        }
    }
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

/// Hatched and dotted, for those who cannot tell the colours apart.
fn patterns() -> Markup {
    html! {
        defs {
            pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect.task-failed width="6" height="6" {}
                line.hatch x1="0" y1="0" x2="0" y2="6" {}
            }
            pattern id="dotted" width="6" height="6" patternUnits="userSpaceOnUse" {
                rect.task-waiting width="6" height="6" {}
                circle.dot cx="3" cy="3" r="1" {}
            }
        }
    }
}

fn grid(axis: &Axis) -> Markup {
    html! {
        @for row in ROWS.iter().skip(1) {
            line.lane x1="0" x2="100%" y1=(row.top) y2=(row.top) {}
        }
        @for tick in axis.ticks() {
            line.tick x1=(percent(tick.left)) x2=(percent(tick.left)) y1="18" y2=(HEIGHT) {}
            text.time x=(percent(tick.left)) y="13" text-anchor=(if tick.left < 2.0 { "start" } else { "middle" }) {
                (tick.words)
            }
        }
        @for it in axis.breaks() {
            text.time x=(percent(it.middle)) y="13" text-anchor="middle" { "… " (it.words) " …" }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Busy => "busy",
        Tone::Quiet => "quiet",
        Tone::Good => "good",
        Tone::Act => "act",
        Tone::Open => "open",
        Tone::Bad => "bad",
    }
}

/// Where a span begins and how wide it is, in percent.
fn extent<T>(span: &Span<T>, axis: &Axis) -> (f64, f64) {
    let left = axis.left(span.from);
    (left, axis.left(span.to) - left)
}

/// Whether a text has room in so many percent, at the narrowest.
fn fits(text: &str, width: f64) -> bool {
    let wide = |character: char| if character.is_uppercase() { CAPITAL } else { CHARACTER };
    text.chars().map(wide).sum::<f64>() + 14.0 <= width / 100.0 * NARROWEST
}

fn when<T>(span: &Span<T>, axis: &Axis) -> String {
    format!("{} to {}", clock(between(axis.begin(), span.from)), clock(between(axis.begin(), span.to)))
}

fn bars(row: &Row, lane: &Lane<Words>, axis: &Axis) -> Markup {
    let drawn = lane.drawn(|what| what.tone as u8);
    let next = |index: usize| drawn.get(index + 1).map_or(100.0, |next| axis.left(next.from));
    html! {
        @for (index, span) in drawn.iter().enumerate() {
            @let (left, width) = extent(span, axis);
            g.(tone(span.what.tone)) {
                title { (span.what.words) ", " (when(span, axis)) }
                svg x=(percent(left)) y=(row.top + 5.0) width=(percent(width)) height=(row.height - 10.0) {
                    rect.fill width="100%" height="100%" rx="3" {}
                }
                // Never too narrow to be seen.
                svg x=(percent(left.min(99.6))) y=(row.top + 5.0) width="3" height=(row.height - 10.0) {
                    rect.edge width="3" height="100%" rx="1" {}
                }
                @if let Some(words) = short(&span.what).into_iter().find(|words| fits(words, width)) {
                    svg x=(percent(left)) y=(row.top) width=(percent(width)) height=(row.height) {
                        text.words x="9" y="22" { (words) }
                    }
                } @else if let Some(words) = short(&span.what).into_iter().find(|words| fits(words, next(index) - left - width)) {
                    svg x=(percent(left + width)) y=(row.top) class="mark" { text.words x="6" y="22" { (words) } }
                }
            }
        }
    }
}

/// What may stand for a span: all of its words, or those that matter most.
fn short(what: &Words) -> Vec<&str> {
    let all = what.words.as_str();
    let most = all.split_once(": ").map(|(what_it_is, end)| if what.tone == Tone::Bad { end } else { what_it_is });
    [all].into_iter().chain(most).collect()
}

/// Tasks above each other, by state: at work at the bottom.
fn stacks(lane: &Lane<Tasks>, axis: &Axis) -> Markup {
    let most = lane.spans.iter().map(|span| span.what.total).max().unwrap_or(0).max(1);
    let floor = TASKS.top + TASKS.height - 6.0;
    let high = TASKS.height - 30.0;
    let drawn = lane.drawn(|tasks| u8::from(tasks.failed > 0));
    let mut told_until = f64::MIN;
    let told: Vec<bool> = drawn
        .iter()
        .map(|span| {
            let (left, width) = extent(span, axis);
            let is_told = left >= told_until && (width > 3.0 || drawn.len() < 12);
            if is_told {
                told_until = left + 9.0;
            }
            is_told
        })
        .collect();
    html! {
        @for (span, is_told) in drawn.iter().zip(told) {
            @let (left, width) = extent(span, axis);
            @let tasks = span.what;
            @let counts = [
                ("task-running", tasks.running),
                ("task-finished", tasks.finished),
                ("task-initializing", tasks.initializing),
                ("task-waiting", tasks.waiting),
                ("task-failed", tasks.failed),
            ];
            g {
                title { (tasks) ", " (when(span, axis)) }
                @for (index, (class, count)) in counts.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
                    @let below: u64 = counts.iter().take(index).map(|(_, count)| *count).sum();
                    @let bottom = floor - share(below, most) * high;
                    @let height = share(*count, most) * high;
                    rect.(class) x=(percent(left)) y=(format!("{:.1}", bottom - height)) width=(percent(width.max(0.4)))
                        height=(format!("{height:.1}")) {}
                }
                @if is_told {
                    text.count x=(percent(left)) y=(TASKS.top + 17.0) { (tasks.running) " of " (tasks.total) " run" }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a height in pixels")]
fn share(count: u64, most: u64) -> f64 {
    (count.min(most)) as f64 / most as f64
}

fn marks(row: &Row, all: &[Mark], axis: &Axis) -> Markup {
    let middle = row.top + row.height / 2.0;
    let placed: Vec<(f64, &Mark)> = drawn_marks(all).map(|mark| (axis.left(mark.at).clamp(1.0, 99.0), mark)).collect();
    let lefts: Vec<f64> = placed.iter().map(|(left, _)| *left).collect();
    html! {
        @for (index, (left, mark)) in placed.iter().enumerate() {
            g.(tone(mark.tone)) {
                title { (mark.words) ", " (clock(between(axis.begin(), mark.at))) }
                svg x=(percent(*left)) y=(middle) class="mark" {
                    @if mark.tone == Tone::Bad {
                        path.edge d="M0 -6 L6 5 L-6 5 Z" {}
                    } @else {
                        circle.edge r="4.5" {}
                    }
                    @if let Some((x, anchor)) = place_of_words(&lefts, index) {
                        text.words x=(x) y="4.5" text-anchor=(anchor) { (mark.words) }
                    }
                }
            }
        }
    }
}

/// Where a mark's words stand: after the last of marks that are close together, and to the left of a mark that has no
/// room on its right.
fn place_of_words(lefts: &[f64], index: usize) -> Option<(i32, &'static str)> {
    let left = *lefts.get(index)?;
    let next = lefts.get(index + 1).copied().unwrap_or(f64::MAX);
    let before = index.checked_sub(1).and_then(|before| lefts.get(before)).copied().unwrap_or(f64::MIN);
    let is_room_after = left <= 100.0 - MARK_DISTANCE && next - left >= MARK_DISTANCE;
    // The words of the mark before may stand in between.
    let is_room_before = left > 100.0 - MARK_DISTANCE && left - before >= 2.0 * MARK_DISTANCE;
    is_room_after.then_some((9, "start")).or(is_room_before.then_some((-9, "end")))
}

/// Decisions by their numbers in the list; those at about the same time share a sign.
fn decisions(all: &[Decision], axis: &Axis) -> Markup {
    let middle = DECISIONS.top + DECISIONS.height / 2.0;
    let numbered: Vec<(usize, &Decision)> = all.iter().enumerate().collect();
    let digits = all.len().to_string().len();
    let distance = width_of_sign(2 * digits + 1) / NARROWEST * 100.0;
    let mut groups: Vec<(f64, Vec<(usize, &Decision)>)> = Vec::new();
    for (index, decision) in drawn_marks(&numbered) {
        let left = axis.left(decision.at);
        match groups.last_mut() {
            Some((first, group)) if left - *first < distance => group.push((*index, decision)),
            _ => groups.push((left, vec![(*index, decision)])),
        }
    }
    html! {
        @for (left, group) in &groups {
            @if let (Some((first, decision)), Some((last, latest))) = (group.first(), group.last()) {
                @let numbers = if first == last { (first + 1).to_string() } else { format!("{}–{}", first + 1, last + 1) };
                @let half = width_of_sign(numbers.chars().count()) / 2.0;
                // What is at the edge stands beside it.
                @let shift = if *left > 97.0 { -half } else if *left < 3.0 { half } else { 0.0 };
                g.(tone(group.iter().map(|(_, it)| it.tone).max().unwrap_or(latest.tone))) {
                    title { (decision.headline) @if first != last { " … " (latest.headline) } ", " (clock(between(axis.begin(), decision.at))) }
                    line.edge-line x1=(percent(*left)) x2=(percent(*left)) y1=(STEP.top) y2=(middle) {}
                    svg x=(percent(*left)) y=(middle) class="mark" {
                        rect.pill x=(shift - half) y="-10" width=(half * 2.0) height="20" rx="10" {}
                        text.digit x=(shift) y="4" text-anchor="middle" { (numbers) }
                    }
                }
            }
        }
    }
}

/// How wide the sign of a decision is, with so many characters in it.
fn width_of_sign(characters: usize) -> f64 {
    f64::from(u32::try_from(characters).unwrap_or(u32::MAX)).mul_add(DIGIT, 2.0 * AROUND)
}
