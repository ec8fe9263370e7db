//! `cargo xtask check`: everything about the repository that can be judged without running its tests. All steps are made
//! even when one fails, and what was not checked, and why, is said beside what was.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::ValueEnum;
use serde_json::Value;
use thiserror::Error;

use crate::definitions;
use crate::fuzz;
use crate::hygiene::Rules;
use crate::process;
use crate::report;
use crate::templates;
use crate::tools::{self, Python, Sam, Validators};
use crate::workspace::Workspace;

const CARGO_DENY: &str = "0.20.2";
const CARGO_MACHETE: &str = "0.9.2";
const VALIDATORS: [&str; 2] = ["asl-validator", "amazon-states-language-service"];
const TEMPLATE: &str = "template.yaml";
const ALARMS: &str = "docs/alarms.yaml";
const CHECKOV_CONFIGURATION: &str = ".checkov.yaml";
const INSECURE_TEMPLATE: &str = "insecure-template.yaml";
/// What cargo-deny says when it has no advisories to compare with.
const NO_DATABASE: &str = "failed to fetch advisory database";

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Every Rust file is formatted (cargo fmt)
    Format,
    /// No registry's host, machine's path or credential is in a file
    Hygiene,
    /// No word is misspelt (typos)
    Spelling,
    /// Every sample input in events/ is JSON
    Events,
    /// The state machines are valid, and the validators still notice when one is not
    Definitions,
    /// The templates are valid, fit the code and are as secure as can be (cfn-lint, sam, checkov)
    Templates,
    /// Every dependency is used (cargo-machete)
    Unused,
    /// Licences, banned crates, sources and advisories (cargo-deny)
    Dependencies,
    /// No lint fires in any target (cargo clippy)
    Lints,
    /// The documentation builds without a warning (cargo doc)
    Docs,
}

/// What is wrong with the repository.
#[derive(Debug, Error)]
enum CheckError {
    #[error("failed: {}", .0.join(", "))]
    Steps(Vec<String>),
    #[error("found:\n    {}", .0.join("\n    "))]
    Problems(Vec<String>),
    #[error("cannot read {path}")]
    Unreadable { path: String, source: Box<dyn Error + Send + Sync> },
}

type StepResult = Result<Vec<String>, Box<dyn Error>>;

/// Makes the given checks, or all if none is given.
pub(crate) fn run(workspace: &Workspace, steps: &[Step]) -> Result<(), Box<dyn Error>> {
    let steps = if steps.is_empty() { Step::value_variants() } else { steps };
    let mut failed = Vec::new();
    let mut summary = Vec::new();
    for step in steps {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        report::progress("check", &format!("{name} …"));
        match step.make(workspace) {
            Ok(notes) if notes.is_empty() => summary.push(format!("{name}: ok")),
            Ok(notes) => summary.push(format!("{name}: ok; {}", notes.join("; "))),
            Err(error) => {
                report::error(error.as_ref());
                summary.push(format!("{name}: FAILED"));
                failed.push(name);
            }
        }
    }
    for line in summary {
        report::progress("check", &line);
    }
    if failed.is_empty() { Ok(()) } else { Err(CheckError::Steps(failed).into()) }
}

impl Step {
    /// Makes the check. What a person should know beside the good result is handed back.
    fn make(self, workspace: &Workspace) -> StepResult {
        match self {
            Self::Format => {
                cargo(workspace, &["fmt", "--all", "--check"], &[])?;
                cargo(workspace, &["fmt", "--check", "--manifest-path", fuzz::MANIFEST], &[])
            }
            Self::Lints => cargo(
                workspace,
                &["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"],
                &[],
            ),
            Self::Docs => cargo(
                workspace,
                &["doc", "--quiet", "--locked", "--workspace", "--no-deps"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            ),
            Self::Hygiene => hygiene(workspace),
            Self::Spelling => spelling(workspace),
            Self::Events => events(workspace),
            Self::Definitions => definitions(workspace),
            Self::Templates => templates(workspace),
            Self::Unused => unused(workspace),
            Self::Dependencies => dependencies(workspace),
        }
    }
}

fn cargo(workspace: &Workspace, arguments: &[&str], environment: &[(&str, &str)]) -> StepResult {
    process::run(process::cargo(workspace.root()).args(arguments).envs(environment.iter().copied()))?;
    Ok(Vec::new())
}

/// Looks at every file that is committed, or would be by `git add`.
fn hygiene(workspace: &Workspace) -> StepResult {
    let files = process::read(Command::new("git").current_dir(workspace.root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let rules = Rules::new(workspace.root());
    let mut problems = Vec::new();
    let mut looked_at = 0;
    let mut files: Vec<&str> = files.split_terminator('\0').collect();
    files.sort_unstable();
    for file in files {
        let path = workspace.path(file);
        // Cargo writes the registry's name into its lock file itself; what is deleted but not committed yet is no file.
        if path.ends_with("Cargo.lock") || !path.is_file() {
            continue;
        }
        let content = fs::read(&path).map_err(|source| unreadable(workspace, &path, source))?;
        if let Ok(text) = String::from_utf8(content) {
            looked_at += 1;
            problems.extend(
                rules.findings(&text).into_iter().map(|finding| format!("{file}:{}: {}", finding.line, finding.what)),
            );
        }
    }
    none(problems)?;
    Ok(vec![format!("{looked_at} files")])
}

fn spelling(workspace: &Workspace) -> StepResult {
    let python = Python::provide(workspace)?;
    process::run(python.program("typos").current_dir(workspace.root()).args(["--config", "typos.toml"]))?;
    Ok(Vec::new())
}

fn events(workspace: &Workspace) -> StepResult {
    let files = workspace.files("events", "")?;
    let problems = files
        .iter()
        .filter_map(|file| {
            let error = read_json(workspace, file).err()?;
            Some(report::with_causes(&error))
        })
        .collect();
    none(problems)?;
    Ok(vec![format!("{} sample inputs", files.len())])
}

/// Our own rules and the public validators over every definition; then the validators over broken copies of each, since a
/// validator that accepts everything looks just like a good one.
fn definitions(workspace: &Workspace) -> StepResult {
    let files = workspace.files("statemachine", ".asl.json")?;
    if files.is_empty() {
        return Err(CheckError::Problems(vec!["no definition in statemachine/".to_owned()]).into());
    }
    let python = Python::provide(workspace)?;
    let validators = Validators::provide(workspace, &python)?;
    let mut problems = Vec::new();
    for file in &files {
        let definition = read_json(workspace, file)?;
        let name = workspace.relative(file);
        problems.extend(definitions::problems(&definition).into_iter().map(|problem| format!("{name}: {problem}")));
        for validator in VALIDATORS {
            if let Verdict::Refused(complaints) = validate(workspace, &validators, validator, file)? {
                problems.extend(complaints.into_iter().map(|complaint| format!("{validator}: {complaint}")));
            }
        }
        problems.extend(toothless(workspace, &validators, &name, &definition)?);
    }
    none(problems)?;
    Ok(vec![files.iter().map(|file| workspace.relative(file)).collect::<Vec<_>>().join(", ")])
}

/// The broken copies of a definition that a validator accepted.
fn toothless(
    workspace: &Workspace,
    validators: &Validators,
    name: &str,
    definition: &Value,
) -> Result<Vec<String>, Box<dyn Error>> {
    let directory = workspace.target().join("xtask").join(format!("broken-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let mut accepted = Vec::new();
    for (what, broken) in definitions::broken(definition) {
        let file = directory.join("broken.asl.json");
        fs::write(&file, serde_json::to_string_pretty(&broken)?)?;
        for validator in VALIDATORS {
            if let Verdict::Accepted = validate(workspace, validators, validator, &file)? {
                accepted.push(format!("{validator} accepts {name} even with {what}: it checks nothing"));
            }
        }
    }
    fs::remove_dir_all(&directory)?;
    Ok(accepted)
}

#[derive(Debug)]
enum Verdict {
    Accepted,
    /// With what it said, line by line.
    Refused(Vec<String>),
}

/// What the validator says of a file; an error if it could not say anything.
fn validate(
    workspace: &Workspace,
    validators: &Validators,
    validator: &str,
    file: &Path,
) -> Result<Verdict, Box<dyn Error>> {
    let mut command = validators.command(validator);
    let output = process::capture(command.arg(workspace.relative(file)).current_dir(workspace.root()))?;
    match output.status.code() {
        Some(0) => Ok(Verdict::Accepted),
        Some(1) => Ok(Verdict::Refused(complaints(&output))),
        _ => Err(process::failed(&command, &output).into()),
    }
}

fn complaints(output: &Output) -> Vec<String> {
    process::printed(output).lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// Our own rules over the templates, then AWS's and the field's; each also over a template that it has to refuse.
fn templates(workspace: &Workspace) -> StepResult {
    let definitions = workspace
        .files("statemachine", ".asl.json")?
        .iter()
        .map(|file| Ok((workspace.relative(file), read_json(workspace, file)?)))
        .collect::<Result<BTreeMap<_, _>, CheckError>>()?;
    let template = read_text(workspace, &workspace.path(TEMPLATE))?;
    let named = |name: &'static str, problems: Vec<String>| problems.into_iter().map(move |it| format!("{name}: {it}"));
    let mut problems: Vec<String> =
        named(TEMPLATE, templates::problems(&template, &definitions, &lambdas(workspace)?)).collect();
    problems.extend(named("cfn-lint", cfn_lint(workspace, &template, &definitions)?));
    problems.extend(named("sam validate", sam_validate(workspace)?));
    problems.extend(named("checkov", checkov(workspace)?));
    none(problems)?;
    Ok(vec![format!("{TEMPLATE}, {ALARMS}")])
}

/// The names of the crates that are a Lambda, as their descriptions say.
fn lambdas(workspace: &Workspace) -> Result<BTreeSet<String>, CheckError> {
    let unreadable = |source| unreadable(workspace, &workspace.path("crates"), source);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(workspace.path("crates")).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let manifest = entry.path().join("Cargo.toml");
        if manifest.is_file() && read_text(workspace, &manifest)?.contains("\ndescription = \"Lambda: ") {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// cfn-lint over the templates, over a copy with the definitions inside, and over templates that it has to refuse.
fn cfn_lint(
    workspace: &Workspace,
    template: &str,
    definitions: &BTreeMap<String, Value>,
) -> Result<Vec<String>, Box<dyn Error>> {
    let python = Python::provide(workspace)?;
    let directory = workspace.target().join("xtask").join(format!("inlined-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let inlined = directory.join(TEMPLATE);
    fs::write(&inlined, templates::inlined(template, definitions))?;
    let broken = definitions.iter().filter_map(|(path, definition)| {
        let (_, broken) = definitions::broken(definition).into_iter().next()?;
        Some((path.clone(), broken))
    });
    let broken_inside = directory.join("broken.yaml");
    fs::write(&broken_inside, templates::inlined(template, &broken.collect()))?;

    let mut problems = Vec::new();
    for file in [workspace.path(TEMPLATE), workspace.path(ALARMS), inlined] {
        if let Verdict::Refused(complaints) = lint(workspace, &python, &file)? {
            problems.extend(complaints.into_iter().filter(|complaint| !templates::is_false_alarm(complaint)));
        }
    }
    for (what, file) in [
        ("a broken template", workspace.pins().join("broken-template.yaml")),
        ("broken definitions inside the template", broken_inside),
    ] {
        if let Verdict::Accepted = lint(workspace, &python, &file)? {
            problems.push(format!("accepts {what}: it checks nothing"));
        }
    }
    fs::remove_dir_all(&directory)?;
    Ok(problems)
}

fn lint(workspace: &Workspace, python: &Python, file: &Path) -> Result<Verdict, Box<dyn Error>> {
    // What its exit code is a sum of, beside 8 for remarks.
    const HAS_ERRORS: i32 = 2;
    const HAS_WARNINGS: i32 = 4;
    let mut command = python.program("cfn-lint");
    let output = process::capture(
        command.args(["--format", "parseable", "--"]).arg(workspace.relative(file)).current_dir(workspace.root()),
    )?;
    match output.status.code() {
        Some(0 | 8) => Ok(Verdict::Accepted),
        Some(code) if code & (HAS_ERRORS | HAS_WARNINGS) != 0 => Ok(Verdict::Refused(complaints(&output))),
        _ => Err(process::failed(&command, &output).into()),
    }
}

/// `sam validate --lint` over the template, and over one that it has to refuse. It asks AWS nothing.
fn sam_validate(workspace: &Workspace) -> Result<Vec<String>, Box<dyn Error>> {
    let sam = Sam::provide(workspace)?;
    let validate = |file: &Path| {
        let mut command = sam.command();
        command.args(["validate", "--lint", "--region", "us-east-1", "--template"]).arg(file);
        let output = process::capture(command.current_dir(workspace.root()))?;
        match output.status.code() {
            Some(0) => Ok(Verdict::Accepted),
            Some(1) => Ok(Verdict::Refused(complaints(&output))),
            _ => Err(process::failed(&command, &output)),
        }
    };
    let mut problems = Vec::new();
    if let Verdict::Refused(complaints) = validate(&workspace.path(TEMPLATE))? {
        problems.extend(complaints);
    }
    if let Verdict::Accepted = validate(&workspace.pins().join("broken-template.yaml"))? {
        problems.push("accepts a broken template: it checks nothing".to_owned());
    }
    Ok(problems)
}

/// checkov over the templates and over one that it has to refuse. What our configuration skips is asked for as well, to see
/// that it still has to be skipped; so checkov runs where it does not find that configuration by itself.
fn checkov(workspace: &Workspace) -> Result<Vec<String>, Box<dyn Error>> {
    let (skipped, mut problems) =
        templates::skipped_rules(&read_text(workspace, &workspace.path(CHECKOV_CONFIGURATION))?);
    let elsewhere = workspace.target().join("xtask");
    fs::create_dir_all(&elsewhere)?;
    let mut command = Python::with_checkov(workspace)?.program("checkov");
    command.current_dir(elsewhere).args([
        "--framework",
        "cloudformation",
        "--skip-download",
        "--quiet",
        "--output",
        "json",
    ]);
    for file in [workspace.path(TEMPLATE), workspace.path(ALARMS), workspace.pins().join(INSECURE_TEMPLATE)] {
        command.arg("--file").arg(file);
    }
    let output = process::capture(&mut command)?;
    // 1 says that there are findings.
    let answer = match output.status.code() {
        Some(0 | 1) => serde_json::from_slice(&output.stdout).map_err(|_| process::failed(&command, &output))?,
        _ => return Err(process::failed(&command, &output).into()),
    };
    problems.extend(templates::findings(&answer, &skipped, INSECURE_TEMPLATE));
    Ok(problems)
}

fn unused(workspace: &Workspace) -> StepResult {
    let machete = tools::cargo_plugin(workspace, "cargo-machete", CARGO_MACHETE)?;
    process::read(Command::new(machete).arg("--skip-target-dir").current_dir(workspace.root()))?;
    Ok(Vec::new())
}

fn dependencies(workspace: &Workspace) -> StepResult {
    let deny = tools::cargo_plugin(workspace, "cargo-deny", CARGO_DENY)?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&deny);
        command.current_dir(workspace.root()).args(["--locked", "check", "--hide-inclusion-graph"]).args(what);
        command
    };
    process::run(&mut check(&["bans", "licenses", "sources"]))?;
    let mut advisories = check(&["advisories"]);
    let output = process::capture(&mut advisories)?;
    if output.status.success() {
        return Ok(vec!["advisories: none".to_owned()]);
    }
    if process::printed(&output).contains(NO_DATABASE) {
        return Ok(vec!["advisories: not checked, the database is out of reach".to_owned()]);
    }
    Err(process::failed(&advisories, &output).into())
}

fn read_text(workspace: &Workspace, path: &Path) -> Result<String, CheckError> {
    fs::read_to_string(path).map_err(|source| unreadable(workspace, path, source))
}

fn read_json(workspace: &Workspace, path: &PathBuf) -> Result<Value, CheckError> {
    let text = fs::read(path).map_err(|source| unreadable(workspace, path, source))?;
    serde_json::from_slice(&text).map_err(|source| unreadable(workspace, path, source))
}

fn unreadable(workspace: &Workspace, path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> CheckError {
    CheckError::Unreadable { path: workspace.relative(path), source: source.into() }
}

fn none(problems: Vec<String>) -> Result<(), CheckError> {
    if problems.is_empty() { Ok(()) } else { Err(CheckError::Problems(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[(&str, &str)]) -> (tempfile::TempDir, Workspace) {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let workspace = Workspace::at(directory.path().to_owned());
        (directory, workspace)
    }

    #[test]
    fn a_sample_input_that_is_not_json_is_named_with_the_place() {
        let (_directory, workspace) =
            workspace(&[("events/good.json", "{}"), ("events/bad.json", "{\n  \"a\": 1,\n}")]);
        let error = events(&workspace).unwrap_err().to_string();
        assert!(error.contains("events/bad.json"), "{error}");
        assert!(error.contains("line 3"), "{error}");
        assert!(!error.contains("good.json"), "{error}");
    }

    #[test]
    fn sample_inputs_are_counted() {
        let (_directory, workspace) = workspace(&[("events/one.json", "{}"), ("events/two.json", "[]")]);
        assert_eq!(events(&workspace).unwrap(), ["2 sample inputs"]);
    }

    #[test]
    fn a_repository_without_definitions_is_not_a_good_one() {
        let (_directory, workspace) = workspace(&[]);
        assert!(definitions(&workspace).unwrap_err().to_string().contains("no definition in statemachine/"));
    }

    #[test]
    fn files_that_could_be_committed_are_looked_at_and_ignored_ones_are_not() {
        let secret = ["-----BEGIN PRIVATE", " KEY-----\n"].concat();
        let files = [
            (".gitignore", "ignored\n"),
            ("ignored", &secret),
            ("new", &secret),
            ("staged", &secret),
            ("Cargo.lock", &secret),
        ];
        let (_directory, workspace) = workspace(&files);
        let git = |arguments: &[&str]| process::read(Command::new("git").current_dir(workspace.root()).args(arguments));
        git(&["init", "--quiet"]).unwrap();
        git(&["add", "staged"]).unwrap();
        let error = hygiene(&workspace).unwrap_err().to_string();
        assert_eq!(error, "found:\n    new:1: a credential\n    staged:1: a credential");
    }
}
