//! `cargo xtask demo`, `sandbox`, `e2e`, `permissions`, `picture` and `simulate`: builds the program of that name, with
//! the Lambdas where it runs them, and becomes it.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use thiserror::Error;

use crate::process;
use crate::report;
use crate::tools;
use crate::workspace::Workspace;

/// All Lambdas; each package has a binary of its own name.
const LAMBDAS: [&str; 14] = [
    "take-turn",
    "submit-update",
    "check-operation",
    "check-subtasks",
    "decide-rollback",
    "roll-back",
    "force-stop",
    "restore",
    "notify",
    "start-deployment",
    "select-applications",
    "take-snapshot",
    "check-snapshot",
    "prune-snapshots",
];
const PACKAGE: &str = "scenarios";
/// Deploys changes while people watch.
pub(crate) const DEMO: &str = "demo";
/// All of it at a port, for clients.
pub(crate) const SANDBOX: &str = "sandbox";
/// Deploys changes on a real Flink and counts.
pub(crate) const E2E: &str = "e2e";
/// Deploys the template into an engine that is not ours, and uses what it has made.
const E2E_AWS: &str = "e2e-aws";
/// Compares the template's roles with what is called. Has the handlers in itself.
const PERMISSIONS: &str = "permissions";
/// Takes the README's pictures of a deployment. Has the handlers in itself.
const PICTURE: &str = "picture";
/// Plays whole deployments in virtual time. Has the handlers in itself, and is built to be quick.
const SIMULATE: &str = "simulate";
/// The argument that asks for the suite on that engine.
const AWS: &str = "--aws";

/// Cargo built, but not the program.
#[derive(Debug, Error)]
#[error("package `{PACKAGE}` was built, but cargo named no program `{0}`")]
struct NotBuilt(&'static str);

/// The suite that the arguments ask for: on a real Flink unless there is `--aws`.
pub(crate) fn run_suite(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    let (suite, arguments) = suite_of(arguments);
    if suite == E2E_AWS {
        tools::provide_engine(workspace)?;
    }
    run(workspace, suite, &arguments)
}

/// The suite's program, and what it is told.
fn suite_of(arguments: &[OsString]) -> (&'static str, Vec<OsString>) {
    let rest: Vec<OsString> = arguments.iter().filter(|argument| *argument != AWS).cloned().collect();
    (if rest.len() == arguments.len() { E2E } else { E2E_AWS }, rest)
}

/// Compares the roles with what is called, and prints who may do what.
pub(crate) fn run_permissions(workspace: &Workspace) -> Result<(), Box<dyn Error>> {
    report::progress(PERMISSIONS, "building it, then playing all scenarios (a minute)");
    become_program(workspace, PERMISSIONS, &["--bin", PERMISSIONS], &[])
}

/// Takes the README's pictures of a deployment, with the browser that is pinned for that.
pub(crate) fn run_picture(workspace: &Workspace) -> Result<(), Box<dyn Error>> {
    let python = tools::Python::provide(workspace)?;
    tools::provide_browser(workspace, &python)?;
    report::progress(PICTURE, "building it (minutes the first time, seconds later)");
    become_program(workspace, PICTURE, &["--bin", PICTURE], &[])
}

/// Plays whole deployments, with the arguments as given.
pub(crate) fn run_simulation(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    report::progress(SIMULATE, "building it to be quick (minutes the first time, seconds later)");
    become_program(workspace, SIMULATE, &["--profile", "simulation", "--bin", SIMULATE], arguments)
}

/// Builds the program and the Lambdas, and becomes the program.
pub(crate) fn run(workspace: &Workspace, program: &'static str, arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    report::progress(program, "building it and the Lambdas (minutes the first time, seconds later)");
    let lambdas = LAMBDAS.iter().flat_map(|lambda| ["--package", lambda]);
    become_program(workspace, program, &lambdas.chain(["--bins"]).collect::<Vec<_>>(), arguments)
}

/// Builds, then replaces this process by the program, so that its exit code and its output are the task's. Returns only
/// when that failed. Nothing of ours is written to standard output.
fn become_program(
    workspace: &Workspace,
    program: &'static str,
    targets: &[&str],
    arguments: &[OsString],
) -> Result<(), Box<dyn Error>> {
    let mut build = process::cargo(workspace.root());
    build.args(["build", "--message-format", "json-render-diagnostics", "--package", PACKAGE]).args(targets);
    let output = build.stderr(Stdio::inherit()).output().map_err(|source| process::start_error(&build, source))?;
    if !output.status.success() {
        return Err("the build failed; what the compiler says is above".into());
    }
    let path = executable(&String::from_utf8_lossy(&output.stdout), program).ok_or(NotBuilt(program))?;
    let mut command = Command::new(path);
    command.args(arguments);
    let source = command.exec();
    Err(process::start_error(&command, source).into())
}

/// The program's path among cargo's messages, one JSON object a line.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_argument_chooses_the_suite_and_the_others_are_its_own() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(suite_of(&words(&["--only", "one"])), (E2E, words(&["--only", "one"])));
        assert_eq!(suite_of(&words(&["--only", "one", "--aws"])), (E2E_AWS, words(&["--only", "one"])));
        assert_eq!(suite_of(&words(&["--aws", "--help"])), (E2E_AWS, words(&["--help"])));
    }

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"scenarios"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"notify"},"executable":"/t/debug/notify"}
{"reason":"compiler-artifact","target":{"name":"demo"},"executable":"/t/debug/demo"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, DEMO), Some(PathBuf::from("/t/debug/demo")));
        assert_eq!(executable(messages, E2E), None);
    }
}
