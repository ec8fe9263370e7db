//! A scenario from the introduction to the last word, with people watching who may leave at any time.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use super::arguments::{Arguments, Misuse, Piece};
use super::flink::{BAKE_SECONDS, RealFlink, RealFlinkError, SETTLE_SECONDS};
use super::narrator::{Narrator, indented};
use super::news::News;
use super::pace::Speeds;
use super::production::{Production, SetUpError, find_lambdas};
use super::report::Effort;
use super::{snapshots, words};
use crate::scenario::{Run, Scenario};
use flinkctl::terminal::line::{COLUMNS, Line, Style, wrap};
use flinkctl::terminal::screen::{Abilities, Screen};

/// How often the moving line moves.
const BEAT: Duration = Duration::from_millis(100);
/// Beats without anything new after which a wait is hurried.
const PATIENCE_BEATS: u32 = 25;
/// Beats from one doubling of the speed to the next, then.
const DOUBLING_BEATS: u32 = 10;
const MOST_DOUBLINGS: u32 = 5;
/// Speed of the clock where there is nothing to watch.
const FAST: u32 = 1_000;
/// The same where nothing is to be on time either.
const VERY_FAST: u32 = 5_000;
/// The same while a real Flink starts, which takes its own time.
const FAST_FOR_FLINK: u32 = 60;
/// Speed while an operation is waited for that is a real Flink's: the first look comes when it would be done on AWS, which
/// is late here.
const OPERATION_ON_FLINK: u32 = 6;
/// Columns of the names in the list.
const LISTED_COLUMNS: usize = 27;
const WATCHED: u32 = 50;
const UNWATCHED: u32 = 1_000;

/// How a performance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the scenario says.
    AsItShould,
    /// Otherwise.
    Otherwise,
    /// By Ctrl-C.
    Interrupted,
    /// By SIGTERM.
    Terminated,
    /// Nobody reads standard output any more.
    NobodyReads,
}

impl Ending {
    /// The exit code, as shells know it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::AsItShould => 0,
            Self::Otherwise => 1,
            Self::Interrupted => 130,
            Self::NobodyReads => 141,
            Self::Terminated => 143,
        }
    }
}

/// Why there was no performance, or none to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It was asked for what there is not.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// It could not be set up.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// There is no real Flink.
    #[error(transparent)]
    Flink(#[from] RealFlinkError),
    /// The scenario could not be played.
    #[error("the scenario could not be played: {0}")]
    Play(String),
    /// Standard output or a signal failed.
    #[error("input or output failed")]
    Io(#[from] io::Error),
}

/// The list of what can be played, by name and what it shows, aligned: within a terminal's columns where it goes to one, else a line each, for other programs.
pub fn list(pieces: &[(&str, &str)], abilities: Abilities) -> Vec<Line> {
    let name_columns = pieces.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (name, about) in pieces {
        if !abilities.is_live {
            lines.push(Line::new().and(Style::Plain, format!("{name:<name_columns$}  {about}")));
            continue;
        }
        let mut about = wrap(about, COLUMNS - LISTED_COLUMNS - 2).into_iter();
        // A longer name has a line for itself.
        let first = if name.len() <= LISTED_COLUMNS { about.next().unwrap_or_default() } else { String::new() };
        let name = format!("{name:<LISTED_COLUMNS$}  ");
        lines.push(Line::new().and(Style::Step, name).and(Style::Plain, first));
        let indent = " ".repeat(LISTED_COLUMNS + 2);
        lines.extend(about.map(|text| Line::new().and(Style::Plain, format!("{indent}{text}"))));
    }
    lines
}

/// Plays what is asked for with the Lambdas of `directory`, and tells it at `out`.
///
/// # Errors
/// When it cannot be played, or not be told for another reason than that nobody reads.
pub async fn perform(
    arguments: &Arguments,
    directory: &Path,
    out: &mut dyn Write,
    abilities: Abilities,
) -> Result<Ending, DemoError> {
    let piece = arguments.piece()?;
    find_lambdas(directory)?;
    let mut stop = Stop::new()?;
    let (sender, news) = unbounded_channel();
    let speeds = speeds(arguments);
    let production = tokio::select! {
        production = async {
            let flink = match arguments.flink {
                Some(version) => Some(RealFlink::launch(version).await?),
                None => None,
            };
            Ok::<_, DemoError>(Production::set_up(directory, speeds, flink, sender).await?)
        } => production?,
        ending = stop.asked() => return Ok(ending),
    };
    let ended = tokio::select! {
        ended = async {
            match &piece {
                Piece::Deployments(scenario) => show(arguments, scenario, &production, news, out, abilities).await,
                Piece::Snapshots => show_snapshots(arguments, &production, out, abilities).await,
            }
        } => ended,
        ending = stop.asked() => Ok(ending),
    };
    production.shut_down().await;
    match ended {
        Err(DemoError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::NobodyReads),
        ended => ended,
    }
}

fn speeds(arguments: &Arguments) -> Speeds {
    if arguments.flink.is_some() {
        let waiting = arguments.speed.unwrap_or(1);
        let operation = waiting.max(OPERATION_ON_FLINK);
        return Speeds { before: FAST_FOR_FLINK, operation, waiting, between: FAST };
    }
    let waiting = arguments.speed.unwrap_or(if arguments.json { UNWATCHED } else { WATCHED });
    Speeds { before: VERY_FAST, operation: waiting, waiting, between: FAST }
}

/// The signals that end a program.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) -> Ending {
        tokio::select! {
            _ = self.interrupt.recv() => Ending::Interrupted,
            _ = self.terminate.recv() => Ending::Terminated,
        }
    }
}

async fn show(
    arguments: &Arguments,
    scenario: &Scenario,
    production: &Production,
    news: UnboundedReceiver<News>,
    out: &mut dyn Write,
    abilities: Abilities,
) -> Result<Ending, DemoError> {
    let mut nowhere = io::sink();
    if arguments.json {
        let abilities = Abilities { is_live: false, is_coloured: false };
        let run = watch(arguments, scenario, production, news, &mut Screen::new(&mut nowhere, abilities)).await?;
        let reports: Vec<_> = run.deployments.iter().map(|deployed| &deployed.report).collect();
        serde_json::to_writer_pretty(&mut *out, &reports).map_err(io::Error::from)?;
        writeln!(out)?;
        out.flush()?;
        let mismatches = run.mismatches();
        for mismatch in &mismatches {
            // Nobody may be reading standard error.
            let _ = writeln!(io::stderr(), "demo: {mismatch}");
        }
        return Ok(if mismatches.is_empty() { Ending::AsItShould } else { Ending::Otherwise });
    }
    let mut screen = Screen::new(out, abilities);
    screen.print(&introduction(arguments, scenario))?;
    let run = watch(arguments, scenario, production, news, &mut screen).await?;
    let (ending, lines) = last_words(scenario, &run);
    screen.print(&lines)?;
    Ok(ending)
}

async fn show_snapshots(
    arguments: &Arguments,
    production: &Production,
    out: &mut dyn Write,
    abilities: Abilities,
) -> Result<Ending, DemoError> {
    if !arguments.json {
        let (ending, _) = snapshots::show(production, &mut Screen::new(out, abilities)).await?;
        return Ok(ending);
    }
    let unseen = Abilities { is_live: false, is_coloured: false };
    let (ending, summaries) = snapshots::show(production, &mut Screen::new(io::sink(), unseen)).await?;
    serde_json::to_writer_pretty(&mut *out, &summaries).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    Ok(ending)
}

/// Plays, and prints what there is to tell meanwhile.
async fn watch<Out: Write>(
    arguments: &Arguments,
    scenario: &Scenario,
    production: &Production,
    mut news: UnboundedReceiver<News>,
    screen: &mut Screen<Out>,
) -> Result<Run, DemoError> {
    let emulator = production.emulator();
    let mut narrator = Narrator::new(scenario);
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet_beats = 0;
    let effort = |execution: &str| Effort {
        records: production.records(execution),
        ..Effort::of(&emulator.record(), execution)
    };
    let play = production.play(scenario);
    tokio::pin!(play);
    let run = loop {
        tokio::select! {
            biased;
            Some(news) = news.recv() => {
                let lines = narrator.tell(&news, effort);
                screen.print(&lines)?;
                if !lines.is_empty() {
                    quiet_beats = 0;
                    production.pace().hurry(1);
                }
            }
            run = &mut play => break run,
            _ = beats.tick() => {
                quiet_beats += 1;
                if arguments.flink.is_none() {
                    production.pace().hurry(impatience(quiet_beats));
                }
                screen.status(narrator.status(emulator.clock().now()).as_ref())?;
            }
        }
    };
    while let Ok(news) = news.try_recv() {
        screen.print(&narrator.tell(&news, effort))?;
    }
    screen.clear()?;
    run.map_err(DemoError::Play)
}

/// How many times as fast a wait goes by in which so many beats long nothing was told.
fn impatience(quiet_beats: u32) -> u32 {
    1 << (quiet_beats.saturating_sub(PATIENCE_BEATS) / DOUBLING_BEATS).min(MOST_DOUBLINGS)
}

fn introduction(arguments: &Arguments, scenario: &Scenario) -> Vec<Line> {
    let title = format!("Managed Flink deployments: {}", scenario.name);
    let mut lines = vec![Line::new(), Line::new().and(Style::Strong, title)];
    lines.extend(indented(0, Style::Plain, scenario.about));
    lines.push(Line::new());
    let speed = speeds(arguments).waiting;
    let service = match arguments.flink {
        None => format!(
            "Here run the shipped state machine (statemachine/deploy.asl.json) and the real Lambda binaries, against an \
             emulated service. Waits go by {speed} times as fast as in reality, or faster while nothing happens; the \
             times that you see are the deployment's own."
        ),
        Some(version) => format!(
            "Here run the shipped state machine (statemachine/deploy.asl.json), the real Lambda binaries and a real \
             Apache Flink {} with real JARs; only the service around it is emulated, {OPERATION_ON_FLINK} times as \
             fast while it updates. To be done in a few minutes, a job counts as steady after {SETTLE_SECONDS} s (not \
             60) and is accepted after {BAKE_SECONDS} quiet seconds (not 300).",
            version.release()
        ),
    };
    lines.extend(indented(0, Style::Faint, &service));
    lines.push(Line::new());
    let app = &scenario.app;
    let state = if app.is_running { "is running" } else { "is stopped" };
    let checkpoints = match app.checkpoint_seconds {
        Some(seconds) => format!("a checkpoint every {seconds} s"),
        None => "no checkpoints".to_owned(),
    };
    let given = format!(
        "Given: the application {} {state} on {} with {checkpoints}. Its code {}.",
        app.name,
        app.runtime,
        words::behaviour(&app.behaviour)
    );
    lines.extend(indented(0, Style::Plain, &given));
    let at_once = scenario.happenings.iter().filter(|(at, _)| *at == 0);
    for text in at_once.filter_map(|(_, happening)| words::happening(happening)) {
        lines.extend(indented(0, Style::Plain, &format!("Also: {text}.")));
    }
    lines.push(Line::new());
    lines
}

/// Whether it came out as it should.
fn last_words(scenario: &Scenario, run: &Run) -> (Ending, Vec<Line>) {
    let mismatches = run.mismatches();
    let rule = Line::new().and(Style::Faint, "━".repeat(COLUMNS));
    if !mismatches.is_empty() {
        let mut lines = vec![rule, Line::new().and(Style::Bad, format!("✖ {} is not as it should be:", scenario.name))];
        lines.extend(mismatches.iter().flat_map(|mismatch| indented(2, Style::Plain, mismatch)));
        return (Ending::Otherwise, lines);
    }
    let outcomes: Vec<String> = run
        .deployments
        .iter()
        .map(|deployed| {
            let outcome = deployed.report.as_ref().map(|report| report.outcome.to_string());
            outcome.unwrap_or_else(|| "aborted".to_owned())
        })
        .collect();
    let good = format!("✔ As it should be: {}.", outcomes.join(", then "));
    let checked = "Checked from the emulator's own record: the outcome, the calls that changed something, and the nine \
                   safety rules. More to see: cargo xtask demo --list";
    let mut lines = vec![rule, Line::new().and(Style::Good, good)];
    lines.extend(indented(2, Style::Faint, checked));
    (Ending::AsItShould, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::catalogue;

    #[test]
    fn long_silences_are_hurried_and_short_ones_are_not() {
        let speeds = [0, PATIENCE_BEATS, 34, 35, 45, 1_000].map(impatience);
        assert_eq!(speeds, [1, 1, 1, 2, 4, 32]);
    }

    #[test]
    fn the_list_names_every_scenario_within_80_columns_or_in_a_line() {
        let listed = |is_live| -> Vec<String> {
            let pieces: Vec<(&str, &str)> = catalogue().iter().map(|it| (it.name, it.about)).collect();
            list(&pieces, Abilities { is_live, is_coloured: false }).iter().map(Line::plain).collect()
        };
        let (terminal, file) = (listed(true), listed(false));
        for Scenario { name, about, .. } in catalogue() {
            assert!(terminal.iter().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
            assert!(file.iter().any(|line| line.starts_with(&format!("{name} ")) && line.ends_with(about)), "{name}");
        }
        assert!(terminal.iter().all(|line| line.chars().count() <= COLUMNS), "{terminal:#?}");
    }
}
