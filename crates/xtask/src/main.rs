//! The project's own tasks, run as `cargo xtask`: everything a person or CI does with the repository, in one place and
//! in one language. It asks for Rust and Python 3 alone; what else a task needs it installs, pinned, under
//! `target/tools`. It decides nothing about deployments and knows no AWS.

#[cfg(test)]
mod alarms;
mod check;
mod definitions;
mod hygiene;
mod leftovers;
mod mutants;
mod package;
mod process;
mod programs;
mod report;
mod store;
mod templates;
mod test;
mod tools;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check::Step;
use crate::workspace::Workspace;

/// The project's own tasks. They need Rust and Python 3; what else they need they install, pinned, under target/tools.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Exit codes: 0 done, 1 something failed, 2 misuse."
)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Watch a change being deployed and verified, and a bad one undone, on this machine
    ///
    /// Builds the Lambdas and the demo, then runs the demo with the arguments as given: `cargo xtask demo --help` lists them.
    #[command(disable_help_flag = true)]
    Demo {
        /// What the demo is to be told: --list, --scenario NAME, --json, --flink 1.20
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Deploy good and bad changes on a real Apache Flink, and account for every record in the state; with --aws,
    /// deploy the template into an engine that is not ours
    ///
    /// Builds the Lambdas and the suite, then runs it with the arguments as given: `cargo xtask e2e --help` and `cargo
    /// xtask e2e --aws --help` list them.
    #[command(disable_help_flag = true)]
    E2e {
        /// What the suite is to be told: --flink 1.20 or --aws, --only NAME, --list
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Run the tests, all or those whose name contains one of the filters
    ///
    /// Installs what they need, builds, runs every crate's tests, and makes sure that no process is left behind. The
    /// last line says how many passed and failed.
    Test {
        /// Run only the tests whose name contains one of these
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
        /// Arguments for the test programs themselves, such as --nocapture
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Check everything but behaviour: format, lints, docs, dependencies, definitions, spelling
    Check {
        /// Make only these checks
        #[arg(value_enum, value_name = "STEP")]
        steps: Vec<Step>,
    },
    /// Change the decisions in one place at a time, and fail where no test of theirs notices
    ///
    /// Runs cargo-mutants over the crate `lifecycle` (an hour on two cores). Prints how many changes were caught; those
    /// that survived are named. Everything is kept in target/mutants.
    Mutants {
        /// Arguments for cargo-mutants, such as --file PATH or --shard 0/4
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Print what each role of the template may do and where it is done, and fail where a role is too wide or too narrow
    ///
    /// Plays all scenarios and compares what each function calls with its role. A test makes the same comparison.
    Permissions,
    /// Build the zips to install on AWS, with bills of materials and checksums, into target/package
    ///
    /// Every Lambda for each processor that Lambda has, linked against the C library of the runtime provided.al2023. The
    /// same commit and compiler give the same bytes. Prints the checksums.
    Package(package::Arguments),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let workspace = Workspace::here();
    let done = match command_line.task {
        Task::Demo { arguments } => programs::run(&workspace, programs::DEMO, &arguments),
        Task::E2e { arguments } => programs::run_suite(&workspace, &arguments),
        Task::Test { filters, arguments } => test::run(&workspace, &filters, &arguments),
        Task::Check { steps } => check::run(&workspace, &steps),
        Task::Mutants { arguments } => mutants::run(&workspace, &arguments),
        Task::Permissions => programs::run_permissions(&workspace),
        Task::Package(arguments) => package::run(&workspace, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Task, clap::Error> {
        CommandLine::try_parse_from([&["xtask"], arguments].concat()).map(|command_line| command_line.task)
    }

    #[test]
    fn the_demos_arguments_are_the_demos() {
        for given in [&["--scenario", "crash-loop", "--json"][..], &["--flink", "1.20"], &["--help"], &[]] {
            let Task::Demo { arguments } = parse(&[&["demo"], given].concat()).unwrap() else { panic!("not a demo") };
            assert_eq!(arguments, given);
        }
    }

    #[test]
    fn the_suites_arguments_are_the_suites() {
        for given in [&["--flink", "1.20", "--flink", "2.3"][..], &["--only", "crash-in-open"], &["--help"], &[]] {
            let Task::E2e { arguments } = parse(&[&["e2e"], given].concat()).unwrap() else { panic!("not the suite") };
            assert_eq!(arguments, given);
        }
    }

    #[test]
    fn filters_and_the_test_programs_arguments_are_told_apart() {
        let Task::Test { filters, arguments } = parse(&["test", "one", "two", "--", "--nocapture"]).unwrap() else {
            panic!("not a test")
        };
        assert_eq!((filters, arguments), (vec!["one".to_owned(), "two".to_owned()], vec!["--nocapture".to_owned()]));
    }

    #[test]
    fn misuse_has_an_exit_code_of_its_own() {
        for arguments in [&[][..], &["bogus"], &["test", "--bogus"], &["check", "bogus"]] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
