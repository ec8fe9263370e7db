//! Running other programs: with the person watching, or quietly with the output shown only when something went wrong.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use thiserror::Error;

/// Why a program did not do what it was asked to.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// It could not be started at all.
    #[error("cannot start `{command}`")]
    Start {
        /// The command, as one would type it.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended, but not well.
    #[error("`{command}` failed ({status}){output}")]
    Failed {
        /// The command, as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed, indented on lines of its own; empty when the person saw it already.
        output: String,
    },
}

/// Cargo itself: the one that runs this program, or else the one on the path.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Runs it with the person watching.
pub(crate) fn run(command: &mut Command) -> Result<(), ProcessError> {
    let status = command.status().map_err(|source| start_error(command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(ProcessError::Failed { command: as_typed(command), status, output: String::new() })
    }
}

/// Runs it quietly and hands back how it ended and what it printed.
pub(crate) fn capture(command: &mut Command) -> Result<Output, ProcessError> {
    command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))
}

/// Runs it quietly; its standard output if it ended well, all it printed as part of the error if not.
pub(crate) fn read(command: &mut Command) -> Result<String, ProcessError> {
    let output = capture(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(command, &output))
}

/// The error for a program that was run with [`capture`].
pub(crate) fn failed(command: &Command, output: &Output) -> ProcessError {
    ProcessError::Failed { command: as_typed(command), status: output.status, output: indented(&printed(output)) }
}

/// The error for a program that could not be started.
pub(crate) fn start_error(command: &Command, source: io::Error) -> ProcessError {
    ProcessError::Start { command: as_typed(command), source }
}

/// Everything a program printed, standard output first.
pub(crate) fn printed(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

fn as_typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["\n    ", line]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_and_what_it_printed() {
        let error = read(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`sh -c echo out"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("\n    out\n    err"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
    }

    #[test]
    fn standard_output_alone_is_read() {
        assert_eq!(read(Command::new("sh").args(["-c", "echo out; echo err >&2"])).unwrap(), "out\n");
    }
}
