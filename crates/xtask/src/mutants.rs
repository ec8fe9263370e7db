//! `cargo xtask mutants`: do the tests of the decisions notice when a decision is changed? cargo-mutants changes the crate
//! `lifecycle` in one place at a time, in a copy of the repository, and runs its tests: a change that no test notices has
//! survived. `.cargo/mutants.toml` has the settings, and the changes that make no difference, each with the reason.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use thiserror::Error;

use crate::process;
use crate::report;
use crate::tools;
use crate::workspace::Workspace;

const CARGO_MUTANTS: &str = "27.1.0";
const PACKAGE: &str = "lifecycle";
/// cargo-mutants' exit codes: what was found, as its own documentation has them.
const ALL_CAUGHT: i32 = 0;
const SOME_SURVIVED: i32 = 2;
const SOME_TIMED_OUT: i32 = 3;

#[derive(Debug, Error)]
enum MutantsError {
    #[error("{0} mutants survived (they are named above): the tests lack something, or the code is not needed")]
    Survived(u64),
    #[error("cannot read what cargo-mutants found in {path}")]
    Unreadable { path: String, source: Box<dyn Error + Send + Sync> },
}

/// What became of the mutants, as cargo-mutants counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcomes {
    all: u64,
    caught: u64,
    timed_out: u64,
    not_compiled: u64,
    survived: u64,
}

impl Outcomes {
    fn read(path: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let counts: Value = serde_json::from_slice(&fs::read(path)?)?;
        let count = |name: &str| counts[name].as_u64().ok_or_else(|| format!("there is no count {name}"));
        Ok(Self {
            all: count("total_mutants")?,
            caught: count("caught")?,
            timed_out: count("timeout")?,
            not_compiled: count("unviable")?,
            survived: count("missed")?,
        })
    }

    /// A mutant for which the tests come to no end is noticed, too.
    fn summary(self, explained: u64) -> String {
        let Self { all, caught, timed_out, not_compiled, survived } = self;
        format!(
            "{all} mutants: {caught} caught, {timed_out} timed out, {not_compiled} did not compile, {survived} survived; \
             {explained} more are explained"
        )
    }
}

/// Makes the mutants and counts the survivors; `arguments` go to cargo-mutants, such as `--file PATH` or `--shard 0/4`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let program = tools::cargo_plugin(workspace, "cargo-mutants", CARGO_MUTANTS)?;
    let directory = workspace.target().join("mutants");
    fs::create_dir_all(&directory)?;
    let command = || {
        let mut command = Command::new(&program);
        command
            .current_dir(workspace.root())
            .env("CARGO_TARGET_DIR", directory.join("target"))
            .args(["mutants", "--package", PACKAGE])
            .args(arguments);
        command
    };
    let count = |more: &[&str]| {
        process::read(command().arg("--list").args(more)).map(|list| u64::try_from(list.lines().count()).unwrap_or(0))
    };
    let (to_test, all) = (count(&[])?, count(&["--no-config"])?);
    report::progress("mutants", &format!("{to_test} mutants, a few seconds each"));

    let mut mutants = command();
    let status =
        mutants.arg("--output").arg(&directory).status().map_err(|source| process::start_error(&mutants, source))?;
    if !matches!(status.code(), Some(ALL_CAUGHT | SOME_SURVIVED | SOME_TIMED_OUT)) {
        return Err(format!("cargo-mutants itself failed ({status}); what it said is above").into());
    }
    let path = directory.join("mutants.out/outcomes.json");
    let outcomes =
        Outcomes::read(&path).map_err(|source| MutantsError::Unreadable { path: workspace.relative(&path), source })?;
    report::result(&outcomes.summary(all.saturating_sub(to_test)));
    if outcomes.survived == 0 { Ok(()) } else { Err(MutantsError::Survived(outcomes.survived).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_mutants_counted_is_told_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outcomes.json");
        let written = r#"{"outcomes": [], "total_mutants": 24, "missed": 1, "caught": 20, "timeout": 1, "unviable": 2,
            "success": 0, "end_time": null, "cargo_mutants_version": "27.1.0"}"#;
        fs::write(&path, written).unwrap();
        assert_eq!(
            Outcomes::read(&path).unwrap().summary(3),
            "24 mutants: 20 caught, 1 timed out, 2 did not compile, 1 survived; 3 more are explained"
        );
    }

    #[test]
    fn a_count_that_is_missing_is_no_nought() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outcomes.json");
        fs::write(&path, r#"{"total_mutants": 24, "caught": 24}"#).unwrap();
        assert!(Outcomes::read(&path).is_err());
        assert!(Outcomes::read(&directory.path().join("none.json")).is_err());
    }
}
