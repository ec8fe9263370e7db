//! `cargo xtask fuzz`: whatever reads input and answers, under libFuzzer, target after target. It runs on the stable
//! compiler, without sanitizers: the code has no `unsafe`, so that what there is to find are panics, overflows, hangs,
//! memory without a bound and broken promises, which the targets assert themselves. Each begins from seeds made of the
//! sample inputs and the recordings of real Flink, and goes on from what it found before.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::Value;
use thiserror::Error;

use crate::process::{self, ProcessError};
use crate::report;
use crate::tools;
use crate::workspace::Workspace;

/// The package of the targets, which is not of the workspace.
pub(crate) const MANIFEST: &str = "tests/fuzz/Cargo.toml";
const PACKAGE: &str = "tests/fuzz";
const CARGO_FUZZ: &str = "0.13.2";
/// Between the parts of a case that holds several answers.
const SEPARATOR: &str = "\u{1e}";
/// Bytes of the longest case.
const LONGEST_CASE: usize = 65_536;
/// Memory that one target may take, in MB.
const MOST_MEMORY: usize = 1_024;
/// Seconds that one case may take.
const LONGEST_SECONDS: usize = 10;

/// How to run it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Print the targets, and run none
    #[arg(long)]
    list: bool,
    /// Run only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Why nothing could be fuzzed, or what was found.
#[derive(Debug, Error)]
enum FuzzError {
    #[error("a C++ compiler is needed for libFuzzer: install g++ or clang++ (`{compiler}` does not run), or set CXX")]
    NoCompiler { compiler: String, source: ProcessError },
    #[error("there is no target {name}; there are: {known}")]
    NoTarget { name: String, known: String },
    #[error("cannot read or write {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not what it should be: {problem}")]
    Form { path: String, problem: String },
    #[error("found something: {}; the cases are in {PACKAGE}/artifacts", .0.join(", "))]
    Found(Vec<String>),
}

/// Runs the targets one after the other, all of them even when one finds something.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let known = targets(workspace)?;
    if arguments.list {
        for target in &known {
            report::result(&target.name);
        }
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(|target| target.name.as_str()).collect();
    if let Some(name) = arguments.targets.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(FuzzError::NoTarget { name: name.clone(), known: names.join(", ") }.into());
    }
    check_compiler()?;
    let program = tools::cargo_plugin(workspace, "cargo-fuzz", CARGO_FUZZ)?;
    let mut failed = Vec::new();
    let is_wanted = |target: &&Target| arguments.targets.is_empty() || arguments.targets.contains(&target.name);
    for target in known.iter().filter(is_wanted) {
        let name = target.name.as_str();
        let corpus = plant(workspace, name)?;
        report::progress("fuzz", &format!("{name}, {} s (the first build takes some minutes) …", arguments.seconds));
        let output = process::capture(&mut command(workspace, &program, target, &corpus, arguments.seconds))?;
        let printed = process::printed(&output);
        if output.status.success() {
            report::result(&Tally::of(&printed).in_words(name, arguments.seconds));
        } else {
            report::line(&printed);
            failed.push(name.to_owned());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(FuzzError::Found(failed).into()) }
}

/// A target of the package.
#[derive(Debug)]
struct Target {
    name: String,
    /// The package's features that it is built with.
    features: Vec<String>,
}

/// The targets, as the package's manifest has them.
fn targets(workspace: &Workspace) -> Result<Vec<Target>, FuzzError> {
    let form = |problem: String| FuzzError::Form { path: MANIFEST.to_owned(), problem };
    let path = workspace.path(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|source| FuzzError::File { path, source })?;
    let manifest: toml::Table = toml::from_str(&text).map_err(|error| form(error.to_string()))?;
    let binaries = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    let target = |binary: &toml::Value| {
        let features = binary.get("required-features").and_then(toml::Value::as_array).into_iter().flatten();
        Some(Target {
            name: binary.get("name")?.as_str()?.to_owned(),
            features: features.filter_map(|feature| feature.as_str().map(str::to_owned)).collect(),
        })
    };
    let targets: Vec<Target> = binaries.filter_map(target).collect();
    if targets.is_empty() { Err(form("it has no target".to_owned())) } else { Ok(targets) }
}

fn check_compiler() -> Result<(), FuzzError> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| OsString::from("c++"));
    process::read(Command::new(&compiler).arg("--version"))
        .map(drop)
        .map_err(|source| FuzzError::NoCompiler { compiler: compiler.to_string_lossy().into_owned(), source })
}

fn command(workspace: &Workspace, program: &Path, target: &Target, corpus: &Path, seconds: u64) -> Command {
    let Target { features, .. } = target;
    let mut command = Command::new(program);
    command
        .current_dir(workspace.root())
        .args(["fuzz", "run", "--fuzz-dir", PACKAGE, "--sanitizer", "none", "--target-dir"])
        .arg(workspace.target().join("fuzz/build"))
        .args(features.iter().flat_map(|feature| ["--features", feature.as_str()]))
        .arg(&target.name)
        .arg(corpus)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST_CASE}"))
        .arg(format!("-rss_limit_mb={MOST_MEMORY}"))
        .arg(format!("-timeout={LONGEST_SECONDS}"))
        .arg("-print_final_stats=1");
    command
}

/// Writes the seeds of a target beside what it found before.
fn plant(workspace: &Workspace, target: &str) -> Result<PathBuf, FuzzError> {
    let corpus = workspace.target().join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).map_err(|source| FuzzError::File { path: corpus.clone(), source })?;
    for (name, seed) in seeds(workspace, target)? {
        let path = corpus.join(name);
        fs::write(&path, seed).map_err(|source| FuzzError::File { path, source })?;
    }
    Ok(corpus)
}

/// The seeds of a target, by name: the repository's own samples and recordings, and what lies in the package for it.
fn seeds(workspace: &Workspace, target: &str) -> Result<Vec<(String, Vec<u8>)>, FuzzError> {
    let directories: &[&str] = match target {
        "request" => &["events"],
        "snapshot-request" => &["events/snapshots"],
        "upload" => &["events/triggers"],
        _ => &[],
    };
    let own = format!("{PACKAGE}/seeds/{target}");
    let mut seeds = Vec::new();
    for directory in directories.iter().copied().chain([own.as_str()]) {
        for path in
            workspace.files(directory, "").map_err(|source| FuzzError::File { path: directory.into(), source })?
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            seeds.push((name, fs::read(&path).map_err(|source| FuzzError::File { path, source })?));
        }
    }
    if target == "flink" {
        seeds.extend(recordings(workspace)?);
    }
    Ok(seeds)
}

/// What real Flink answered in each situation: overview, metrics, exceptions and checkpoints, one after the other.
fn recordings(workspace: &Workspace) -> Result<Vec<(String, Vec<u8>)>, FuzzError> {
    const PARTS: [&str; 4] = ["jobs/overview", "metrics", "exceptions", "checkpoints"];
    let directory = workspace.path("crates/emulator/fixtures/flink");
    let unreadable = |source| FuzzError::File { path: directory.clone(), source };
    let mut seeds = Vec::new();
    for version in fs::read_dir(&directory).map_err(unreadable)? {
        let version = version.map_err(unreadable)?;
        let path = version.path().join("bodies.json");
        if !path.is_file() {
            continue;
        }
        let text = fs::read(&path).map_err(|source| FuzzError::File { path: path.clone(), source })?;
        let bodies: Value = serde_json::from_slice(&text)
            .map_err(|error| FuzzError::Form { path: workspace.relative(&path), problem: error.to_string() })?;
        let situations = bodies[PARTS[0]].as_array().map_or(0, Vec::len);
        seeds.extend((0..situations).map(|index| {
            let parts = PARTS.map(|part| bodies[part][index].to_string());
            (format!("{}-{index}", version.file_name().to_string_lossy()), parts.join(SEPARATOR).into_bytes())
        }));
    }
    Ok(seeds)
}

/// What libFuzzer counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    executions: Option<u64>,
    memory: Option<u64>,
}

impl Tally {
    fn of(printed: &str) -> Self {
        let count = |name: &str| {
            let mut lines = printed.lines().filter_map(|line| line.trim().strip_prefix(name));
            lines.next_back()?.trim().parse().ok()
        };
        Self { executions: count("stat::number_of_executed_units:"), memory: count("stat::peak_rss_mb:") }
    }

    fn in_words(&self, target: &str, seconds: u64) -> String {
        let number = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let (executions, memory) = (number(self.executions), number(self.memory));
        format!("{target}: {executions} executions in {seconds} s, at most {memory} MB, nothing found")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_source_and_its_seeds() {
        let workspace = Workspace::here();
        let targets = targets(&workspace).unwrap();
        let sources = workspace.files(&format!("{PACKAGE}/targets"), ".rs").unwrap();
        assert_eq!(targets.len(), sources.len(), "{targets:?} {sources:?}");
        for Target { name: target, .. } in &targets {
            let source = workspace.path(&format!("{PACKAGE}/targets/{}.rs", target.replace('-', "_")));
            assert!(sources.contains(&source), "{target} has no source");
            assert!(!seeds(&workspace, target).unwrap().is_empty(), "{target} has no seeds");
        }
    }

    #[test]
    fn recordings_of_every_version_are_seeds() {
        let seeds = recordings(&Workspace::here()).unwrap();
        assert!(seeds.len() > 20, "{}", seeds.len());
        for (name, seed) in seeds {
            let text = String::from_utf8(seed).unwrap();
            let parts: Vec<Value> = text.split(SEPARATOR).map(|part| serde_json::from_str(part).unwrap()).collect();
            assert!(parts[0]["jobs"].is_array(), "{name}");
            assert!(parts.iter().filter(|part| !part.is_null()).count() >= 3, "{name}");
        }
    }

    #[test]
    fn an_unknown_target_is_named_beside_the_known_ones() {
        let arguments = Arguments { seconds: 1, list: false, targets: vec!["nonsense".to_owned()] };
        let error = run(&Workspace::here(), &arguments).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("request"), "{error}");
    }

    #[test]
    fn what_libfuzzer_counted_is_told() {
        let printed = "Done 12 runs in 1 second(s)\nstat::number_of_executed_units: 12\nstat::peak_rss_mb:  34\n";
        let tally = Tally::of(printed);
        assert_eq!(tally, Tally { executions: Some(12), memory: Some(34) });
        assert_eq!(tally.in_words("flink", 5), "flink: 12 executions in 5 s, at most 34 MB, nothing found");
        assert_eq!(Tally::of("nothing"), Tally::default());
    }
}
