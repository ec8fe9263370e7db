//! The scenario `scheduled-snapshots`: the schedule's event arrives, and arrives again. Six applications, each in another
//! state; the shipped definitions and the real Lambdas; what came of each, as it comes, and the letter that a person gets.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use asl::{Event, EventKind, ExecutionResult, Observer, Place};
use emulator::PlantedSnapshot;
use emulator::simulated::JobFault;
use emulator::sinks::Content;
use jiff::{SignedDuration, Timestamp};
use lifecycle::retention::PruneReport;
use lifecycle::snapshots::{RunSummary, SnapshotNext, SnapshotOutcome, SnapshotResult, SnapshotRun};
use lifecycle::turn::Claim;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use turns::TurnTable;

use super::narrator::indented;
use super::performance::{DemoError, Ending};
use super::production::Production;
use crate::snapshot_scenarios::{APPLICATION_MACHINE, SnapshotApp, summary_of};
use crate::world::{MACHINE, OPERATOR, Stage, TURNS, World};
use flinkctl::terminal::line::{COLUMNS, Line, Style};
use flinkctl::terminal::screen::Screen;

/// Its name on the command line.
pub const NAME: &str = "scheduled-snapshots";
/// What it shows.
pub const ABOUT: &str = "A schedule takes a snapshot of every application with a tag, keeps the three newest of each, and \
                         says why some have none. Then the same event arrives again.";

/// Snapshots that one of the applications has from before.
const OLD_SNAPSHOTS: i64 = 12;
/// Where the text of a line begins: after the time, the application and a sign.
const TEXT_COLUMN: usize = 21;

/// The applications: name, what it is like, and what should come of it the first time and the second.
const CAST: [(&str, &str, SnapshotOutcome, &str); 6] = [
    ("audit", "is healthy and has twelve older snapshots of the schedule's", SnapshotOutcome::Taken, "takenAlready"),
    ("billing", "is being deployed to", SnapshotOutcome::Skipped, "deploymentUnderWay"),
    ("fraud", "may not write where its state goes", SnapshotOutcome::Failed, "snapshotFailed"),
    ("orders", "is healthy", SnapshotOutcome::Taken, "takenAlready"),
    ("payments", "has so much state that a snapshot takes two minutes", SnapshotOutcome::Taken, "takenAlready"),
    ("stock", "is stopped", SnapshotOutcome::Skipped, "notRunning"),
];

/// What is heard of an application's execution.
enum Heard {
    /// A snapshot is being taken.
    Begun { at: Timestamp, application: String },
    /// Its execution has ended.
    Ended { at: Timestamp, result: Box<SnapshotResult>, pruned: Option<Box<PruneReport>> },
}

/// Hears what the applications' executions do, and has the clock follow them. The run's own execution only waits for them.
struct Listener {
    stage: Arc<dyn Stage>,
    heard: UnboundedSender<Heard>,
}

impl Observer for Listener {
    fn observe(&self, _event: &Event<'_>) {}

    fn observe_at(&self, place: &Place<'_>, event: &Event<'_>) {
        if !place.execution_arn.contains(&format!(":{APPLICATION_MACHINE}:")) {
            return;
        }
        self.stage.observe(event);
        let heard = match event.kind {
            EventKind::TaskSucceeded { state: "TakeSnapshot", result, .. } => begun(event.at, &result["Payload"]),
            EventKind::ExecutionEnded { output: Some(output), .. } => ended(event.at, output),
            _ => None,
        };
        if let Some(heard) = heard {
            // Nobody may be listening any more.
            let _ = self.heard.send(heard);
        }
    }
}

fn begun(at: Timestamp, answer: &Value) -> Option<Heard> {
    let run: SnapshotRun = serde_json::from_value(answer.clone()).ok()?;
    (run.next == Some(SnapshotNext::WaitForSnapshot)).then_some(Heard::Begun { at, application: run.application })
}

fn ended(at: Timestamp, output: &Value) -> Option<Heard> {
    let result = serde_json::from_value(output.clone()).ok()?;
    let pruned = serde_json::from_value(output["pruning"].clone()).ok();
    Some(Heard::Ended { at, result: Box::new(result), pruned })
}

/// Plays it and tells it on the screen. Returns the summaries of the two runs too.
///
/// # Errors
/// When it cannot be played, or not be told.
pub async fn show<Out: Write>(
    production: &Production,
    screen: &mut Screen<Out>,
) -> Result<(Ending, Vec<RunSummary>), DemoError> {
    let world = production.world();
    screen.print(&introduction())?;
    set_up(&world).await.map_err(DemoError::Play)?;
    world.stage.begins();
    let input = json!({ "tag": { "key": "snapshots", "value": "nightly" }, "scheduledAt": world.clock.now(),
        "concurrency": 2, "retention": { "keepNewest": 3, "keepYoungerThanHours": 0 }, "reason": "every night" });
    let mut summaries = Vec::new();
    let mut mismatches = Vec::new();
    for (number, title) in [(1, "The schedule's event"), (2, "The same event again")] {
        screen.print(&heading(title))?;
        let letters_before = letters(&world).len();
        let (heard, hearing) = unbounded_channel();
        let execution = format!("nightly-{number}");
        let functions = world.stage.functions(&world, &execution);
        let listener = Arc::new(Listener { stage: Arc::clone(&world.stage), heard });
        let began = world.clock.now();
        let run = world.run_snapshots(&execution, &input, functions, listener, std::future::pending());
        let (result, outcomes) = watch(run, hearing, began, screen).await?;
        let summary = summary_of(&result).map_err(DemoError::Play)?;
        mismatches.extend(mismatches_of(number, &outcomes));
        screen.print(&end_of_run(&summary, &letters(&world).split_off(letters_before)))?;
        summaries.push(summary);
    }
    let (ending, lines) = last_words(&mismatches);
    screen.print(&lines)?;
    Ok((ending, summaries))
}

/// Outcome and code of the first reason, by application.
type Outcomes = BTreeMap<String, (SnapshotOutcome, String)>;

/// Tells what is heard while the run goes on.
async fn watch<Out: Write, T>(
    run: impl Future<Output = Result<(ExecutionResult, T), String>>,
    mut hearing: UnboundedReceiver<Heard>,
    began: Timestamp,
    screen: &mut Screen<Out>,
) -> Result<(ExecutionResult, Outcomes), DemoError> {
    let mut outcomes = Outcomes::new();
    tokio::pin!(run);
    let ended = loop {
        tokio::select! {
            biased;
            Some(heard) = hearing.recv() => screen.print(&tell(&heard, began, &mut outcomes))?,
            ended = &mut run => break ended,
        }
    };
    while let Ok(heard) = hearing.try_recv() {
        screen.print(&tell(&heard, began, &mut outcomes))?;
    }
    Ok((ended.map_err(DemoError::Play)?.0, outcomes))
}

fn tell(heard: &Heard, began: Timestamp, outcomes: &mut Outcomes) -> Vec<Line> {
    match heard {
        Heard::Begun { at, application } => {
            row(began, *at, application, Style::Plain, "▶", "the snapshot is being taken")
        }
        Heard::Ended { at, result, pruned } => {
            let SnapshotResult { application, outcome, because, why, .. } = result.as_ref();
            let code = because.first().and_then(|reason| serde_json::to_value(reason).ok()).unwrap_or_default();
            outcomes.insert(application.clone(), (*outcome, code["code"].as_str().unwrap_or_default().to_owned()));
            let (style, sign) = match outcome {
                SnapshotOutcome::Taken | SnapshotOutcome::WouldTake => (Style::Good, "✔"),
                SnapshotOutcome::Skipped => (Style::Open, "○"),
                SnapshotOutcome::Failed => (Style::Bad, "✖"),
            };
            let mut lines = row(began, *at, application, style, sign, &format!("{outcome}: {why}"));
            lines.extend(pruned.iter().filter(|pruned| pruned.deleted > 0).flat_map(|pruned| told_of_pruning(pruned)));
            lines
        }
    }
}

/// How many snapshots were deleted, and why the first of them.
fn told_of_pruning(pruned: &PruneReport) -> Vec<Line> {
    let PruneReport { deleted, snapshots, goes, .. } = pruned;
    let why = goes.first().map(|first| format!(": {}", first.why)).unwrap_or_default();
    indented(TEXT_COLUMN, Style::Faint, &format!("{deleted} of {snapshots} snapshots deleted{why}"))
}

/// A line that begins with the time, the application and a sign.
fn row(began: Timestamp, at: Timestamp, application: &str, style: Style, sign: &str, text: &str) -> Vec<Line> {
    let seconds = at.duration_since(began).as_secs();
    let mut texts = flinkctl::terminal::line::wrap(text, COLUMNS - TEXT_COLUMN).into_iter();
    let head = Line::new()
        .and(Style::Faint, format!(" {:02}:{:02}  ", seconds / 60, seconds % 60))
        .and(Style::Step, format!("{application:<10}"))
        .and(style, format!(" {sign} "))
        .and(Style::Plain, texts.next().unwrap_or_default());
    let rest = texts.map(|text| Line::new().and(Style::Plain, format!("{}{text}", " ".repeat(TEXT_COLUMN))));
    std::iter::once(head).chain(rest).collect()
}

fn heading(title: &str) -> Vec<Line> {
    let rule = "━".repeat(COLUMNS - title.chars().count() - 4);
    vec![Line::new().and(Style::Strong, format!("━━ {title} {rule}")), Line::new()]
}

fn introduction() -> Vec<Line> {
    let mut lines = vec![Line::new(), Line::new().and(Style::Strong, format!("Managed Flink snapshots: {NAME}"))];
    lines.extend(indented(0, Style::Plain, ABOUT));
    lines.push(Line::new());
    let service = "Here run the shipped state machines (statemachine/snapshot.asl.json and snapshot-application.asl.json) \
                   and the real Lambda binaries, against an emulated service, two applications at a time. Waits go by \
                   faster than in reality; the times that you see are the run's own.";
    lines.extend(indented(0, Style::Faint, service));
    lines.push(Line::new());
    lines.push(Line::new().and(Style::Plain, "Given:"));
    lines.extend(
        CAST.iter()
            .map(|(name, about, ..)| Line::new().and(Style::Step, format!("  {name:<10}")).and(Style::Plain, *about)),
    );
    lines.push(Line::new());
    lines
}

fn end_of_run(summary: &RunSummary, letters: &[String]) -> Vec<Line> {
    let style = if summary.success { Style::Good } else { Style::Bad };
    let mut lines = vec![Line::new()];
    lines.extend(indented(2, style, &format!("■ {}: {summary}", summary.outcome)));
    for letter in letters {
        lines.push(Line::new());
        lines.push(Line::new().and(Style::Faint, "  ✉ The letter to people:"));
        lines.extend(
            letter.lines().flat_map(|line| indented(if line.starts_with(' ') { 6 } else { 4 }, Style::Plain, line)),
        );
    }
    lines.push(Line::new());
    lines
}

fn last_words(mismatches: &[String]) -> (Ending, Vec<Line>) {
    let rule = Line::new().and(Style::Faint, "━".repeat(COLUMNS));
    if mismatches.is_empty() {
        let good = "✔ As it should be: one snapshot of each application that can have one, and no second one.";
        let lines = [vec![rule], indented(0, Style::Good, good)].concat();
        return (Ending::AsItShould, lines);
    }
    let mut lines = vec![rule, Line::new().and(Style::Bad, format!("✖ {NAME} is not as it should be:"))];
    lines.extend(mismatches.iter().flat_map(|mismatch| indented(2, Style::Plain, mismatch)));
    (Ending::Otherwise, lines)
}

fn mismatches_of(number: usize, outcomes: &Outcomes) -> Vec<String> {
    let expected = CAST.iter().map(|(name, _, first, code)| {
        let outcome = match (number, *code) {
            (2, "takenAlready") => SnapshotOutcome::Skipped,
            _ => *first,
        };
        let code = if number == 1 && *code == "takenAlready" { "ready" } else { code };
        ((*name).to_owned(), (outcome, code.to_owned()))
    });
    let expected: Outcomes = expected.collect();
    let wrong = expected.iter().filter(|(name, expected)| outcomes.get(*name) != Some(expected));
    wrong.map(|(name, expected)| format!("{name}: {:?} instead of {expected:?}", outcomes.get(name))).collect()
}

/// What people were written so far.
fn letters(world: &World) -> Vec<String> {
    let letter = |content| match content {
        Content::Message { message, .. } => Some(message),
        Content::Event { .. } => None,
    };
    world.emulator.sinks().published().into_iter().filter_map(|published| letter(published.content)).collect()
}

/// Brings the applications to the states that the cast tells of.
async fn set_up(world: &World) -> Result<(), String> {
    let apps = CAST.map(|(name, ..)| {
        let app = SnapshotApp { tags: vec![("snapshots", "nightly")], ..SnapshotApp::new(name) };
        match name {
            "fraud" => SnapshotApp { behaviour: JobFault::SnapshotFails.into(), ..app },
            "payments" => SnapshotApp { behaviour: JobFault::SlowSnapshot { seconds: 120 }.into(), ..app },
            "stock" => SnapshotApp { is_running: false, ..app },
            _ => app,
        }
    });
    world.create_all(&apps).await?;
    let now = world.clock.now();
    let old = (1..=OLD_SNAPSHOTS).map(|days| {
        let created = now - SignedDuration::from_hours(24 * days);
        PlantedSnapshot::new(format!("scheduled-{}", created.strftime("%Y%m%dT%H%M%SZ")), created)
    });
    world.emulator.plant_snapshots("audit", old.collect()).map_err(|error| error.to_string())?;
    let deployment = world.emulator.executions().started(MACHINE, "billing-release-17", "{}");
    let deployment = deployment.map_err(|error| error.to_string())?;
    let turns = TurnTable::new(&world.sdk(OPERATOR), TURNS);
    let answer = turns.ask("billing", &Claim::new(&deployment.arn, now, None), now).await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_fits_a_terminal() {
        let now = "2026-01-02T12:00:00Z".parse().unwrap();
        let told = row(now, now, "payments", Style::Bad, "✖", &"a long word of explanation ".repeat(8));
        let lines = [introduction(), heading("The same event again"), told, last_words(&["x ".repeat(90)]).1].concat();
        assert!(lines.iter().all(|line| line.plain().chars().count() <= COLUMNS), "{lines:#?}");
        assert!(lines.len() > 20);
    }

    #[test]
    fn what_comes_out_otherwise_is_told() {
        let mut outcomes: Outcomes = CAST
            .iter()
            .map(|(name, _, outcome, code)| {
                let code = if *code == "takenAlready" { "ready" } else { code };
                ((*name).to_owned(), (*outcome, code.to_owned()))
            })
            .collect();
        assert_eq!(mismatches_of(1, &outcomes), Vec::<String>::new());
        assert_eq!(mismatches_of(2, &outcomes).len(), 3, "the three that were taken are taken already");
        outcomes.remove("stock");
        assert_eq!(mismatches_of(1, &outcomes).len(), 1);
        assert_eq!(last_words(&["stock".to_owned()]).0, Ending::Otherwise);
    }
}
