//! The demo as people and scripts run it, with the real Lambda binaries; and the proof that those go the same way as the
//! handlers in the process, which all other scenarios run with.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use asl::{Event, EventKind, StateKind, TaskHandler};
use scenarios::catalogue::{catalogue, scenario};
use scenarios::demo::news::{News, What};
use scenarios::demo::pace::Speeds;
use scenarios::demo::production::Production;
use scenarios::scenario::{Logs, Run};
use scenarios::snapshot_scenarios::SNAPSHOT_FUNCTIONS;
use scenarios::world::{FUNCTIONS, Stage, World};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

const DEMO: &str = env!("CARGO_BIN_EXE_demo");
const SPEEDS: Speeds = Speeds { before: 5_000, operation: 1_000, waiting: 1_000, between: 1_000 };

/// Where the Lambdas are: beside the demo. `cargo test -p scenarios` alone does not build them.
fn lambdas() -> PathBuf {
    let directory = Path::new(DEMO).parent().unwrap();
    for (_, name) in FUNCTIONS.into_iter().chain(SNAPSHOT_FUNCTIONS) {
        assert!(
            directory.join(name).is_file(),
            "the Lambda {name} is not built: run `cargo xtask test`, or first `cargo build --workspace --bins`"
        );
    }
    directory.to_owned()
}

fn demo(arguments: &[&str]) -> Output {
    Command::new(DEMO).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_change_goes_live_and_a_crash_looping_one_comes_back() {
    lambdas();
    let output = demo(&["--json"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<_> = reports
        .iter()
        .map(|report| {
            (report["outcome"].as_str().unwrap(), report["versionBefore"].clone(), report["versionAfter"].clone())
        })
        .collect();
    assert_eq!(told, [("Deployed", 1.into(), 2.into()), ("RolledBack", 2.into(), 4.into())]);
    assert_eq!(errors, "");
}

#[test]
fn what_people_see_fits_a_terminal_and_names_what_happened() {
    lambdas();
    let output = demo(&["--scenario", "crash-loop-in-open", "--speed", "200"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", text(&output.stderr));
    assert!(!told.contains('\u{1b}'), "escape sequences are for terminals: {told}");
    for line in told.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for wanted in ["decide          → roll back", "RolledBack", "first failure", "of Step Functions", "As it should be"]
    {
        assert!(told.contains(wanted), "{wanted} is missing in:\n{told}");
    }
}

#[test]
fn snapshots_are_taken_once_however_often_the_schedule_speaks() {
    lambdas();
    let output = demo(&["--scenario", "scheduled-snapshots", "--json"]);
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), errors), (Some(0), ""), "{}", text(&output.stdout));
    let runs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let counts: Vec<&Value> = runs.iter().map(|run| &run["counts"]).collect();
    let expected = [json!({ "Taken": 3, "Skipped": 2, "Failed": 1 }), json!({ "Skipped": 5, "Failed": 1 })];
    assert_eq!(counts, expected.iter().collect::<Vec<_>>());

    let output = demo(&["--scenario", "scheduled-snapshots"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", text(&output.stderr));
    for line in told.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for wanted in ["Taken: READY", "10 of 13 snapshots deleted", "a deployment is under way", "✉", "As it should be"]
    {
        assert!(told.contains(wanted), "{wanted} is missing in:\n{told}");
    }
}

#[test]
fn every_scenario_is_listed_with_what_it_shows() {
    let output = demo(&["--list"]);
    let listed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for scenario in catalogue() {
        let first_words: String = scenario.about.split_inclusive(' ').take(2).collect();
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(scenario.name));
        assert!(line.is_some_and(|line| line.contains(first_words.trim())), "{}: {line:?}", scenario.name);
    }
}

#[test]
fn misuse_is_told_from_failure_by_the_exit_code() {
    let cases: [(&[&str], &str); 4] = [
        (&["--scenario", "helthy"], "did you mean healthy"),
        (&["--speed", "0"], "--speed"),
        (&["--flink", "1.15"], "choose one of 1.20, 2.2, 2.3"),
        (&["--nonsense"], "--nonsense"),
    ];
    for (arguments, wanted) in cases {
        let output = demo(arguments);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_demo_without_lambdas_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("demo");
    std::fs::copy(DEMO, &alone).unwrap();
    let output = Command::new(alone).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("take-turn") && errors.contains("`cargo xtask demo`"), "{errors}");
}

/// Starts the demo and reads what it prints until there is a line with this text.
fn begun(text: &str) -> (Child, BufReader<ChildStdout>) {
    lambdas();
    let mut child = Command::new(DEMO).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the demo ended without: {text}");
    }
    (child, lines)
}

#[test]
fn whoever_stops_reading_ends_the_demo_quietly() {
    let (child, lines) = begun("Deployment 1 of 2");
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""));
}

/// The processes that one has started, with their programs.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<(String, PathBuf)> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let children: Vec<String> = threads
        .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default())
        .collect();
    let program = |child: &str| std::fs::read_link(format!("/proc/{child}/exe")).ok();
    children
        .iter()
        .flat_map(|children| children.split_whitespace())
        .filter_map(|child| Some((child.to_owned(), program(child)?)))
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_the_demo_and_its_lambdas() {
    let (child, _lines) = begun("check operation");
    let lambdas = children(child.id());
    assert!(!lambdas.is_empty(), "the Lambdas wait for their next event");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(130), ""));
    for (process, program) in lambdas {
        let now = std::fs::read_link(format!("/proc/{process}/exe")).ok();
        assert_ne!(now, Some(program), "process {process} is still there");
    }
}

/// Handlers in the process, with a note of the states that are entered.
#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl Stage for Noted {
    fn functions(&self, world: &World, execution: &str) -> Arc<dyn TaskHandler> {
        Arc::new(world.functions(execution))
    }

    fn observe(&self, event: &Event<'_>) {
        if let EventKind::StateEntered { state, kind, .. } = event.kind {
            note(&mut self.0.lock().unwrap(), state, kind);
        }
    }
}

/// Notes a state on the path: steps and ends only, and one that is repeated after a wait once, because how often a thing is
/// looked at is a matter of milliseconds.
fn note(path: &mut Vec<String>, state: &str, kind: StateKind) {
    if matches!(kind, StateKind::Task | StateKind::Succeed | StateKind::Fail)
        && path.last().is_none_or(|last| last != state)
    {
        path.push(state.to_owned());
    }
}

fn outcomes(run: &Run) -> Vec<(String, Vec<String>)> {
    let outcome = |report: &lifecycle::report::Report| report.outcome.to_string();
    let told = run.deployments.iter().map(|deployed| {
        assert_eq!(run.mismatches(), Vec::<String>::new(), "{}", run.story());
        (deployed.report.as_ref().map(outcome).unwrap_or_default(), deployed.calls.clone())
    });
    told.collect()
}

/// The path through the state machine, with outcomes and changing calls, in this process and in virtual time.
fn in_process(name: &str) -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let stage = Arc::new(Noted::default());
    let run = runtime.block_on(async {
        let emulator = World::new(1).emulator;
        scenario(name).unwrap().play(World::on(stage.clone(), emulator, 1), &Logs::default()).await.unwrap()
    });
    let path = stage.0.lock().unwrap().clone();
    (path, outcomes(&run))
}

/// The same with the real Lambdas.
fn with_lambdas(name: &str) -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut receiver) = unbounded_channel();
        let production = Production::set_up(&lambdas(), SPEEDS, None, sender).await.unwrap();
        let run = production.play(&scenario(name).unwrap()).await.unwrap();
        production.shut_down().await;
        let mut path = Vec::new();
        while let Ok(news) = receiver.try_recv() {
            if let News::Execution { what: What::Entered { state, kind }, .. } = news {
                note(&mut path, &state, kind);
            }
        }
        (path, outcomes(&run))
    })
}

#[test]
fn the_lambdas_and_the_handlers_in_the_process_go_the_same_way() {
    for name in ["healthy", "crash-loop-in-open", "main-throws"] {
        assert_eq!(with_lambdas(name), in_process(name), "{name}");
    }
}
