//! `cargo xtask test`: every crate's tests through cargo's own runner, counted over all test programs, and nothing left
//! running afterwards.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::leftovers;
use crate::process::{self, ProcessError};
use crate::report;
use crate::tools::{Python, provide_browser, provide_engine};
use crate::workspace::Workspace;

/// How long a process may take to notice that its test has ended.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last lines may take once nothing is left that could write any.
const OUTPUT_GRACE: Duration = Duration::from_secs(10);

/// Why the tests as a whole did not succeed, beyond what their own output says.
#[derive(Debug, Error)]
enum TestError {
    #[error("no test's name contains any of: {filters}")]
    NoneMatched { filters: String },
    #[error("tests failed or did not compile; their own output is above")]
    Failed,
    #[error("{count} processes outlived the tests (they are named above)")]
    LeftBehind { count: usize },
}

/// What cargo's runner counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// The closing line of one test program, such as
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    fn of_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => tally.passed = number.parse().ok()?,
                Some((number, "failed")) => tally.failed = number.parse().ok()?,
                Some((number, "ignored")) => tally.ignored = number.parse().ok()?,
                _ => {}
            }
        }
        Some(tally)
    }
}

/// Runs the tests whose name contains one of the filters, or all without a filter; `arguments` go to the test programs.
pub(crate) fn run(workspace: &Workspace, filters: &[String], arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let python = Python::provide(workspace)?;
    provide_browser(workspace, &python)?;
    provide_engine(workspace)?;
    report::progress("test", "building (minutes the first time)");
    // Everything in one build: the tests start the Lambdas' and the emulator's programs, which `cargo test` leaves out.
    process::run(process::cargo(workspace.root()).args(["build", "--workspace", "--all-targets"]))?;

    let mark = leftovers::new_mark();
    let mut total = Run { succeeded: true, ..Run::default() };
    // Documentation first, so that cargo's last word is about real tests.
    for kinds in [&["--doc"][..], &["--lib", "--bins", "--tests"][..]] {
        let mut command = process::cargo(workspace.root());
        command.args(["test", "--workspace", "--no-fail-fast"]).args(kinds).arg("--").args(filters).args(arguments);
        let run = run_counted(&mut command, &mark, io::stdout(), GRACE)?;
        total.tally.add(run.tally);
        total.succeeded &= run.succeeded;
        total.left_behind += run.left_behind;
    }
    let Tally { passed, failed, ignored } = total.tally;
    report::result(&format!("{passed} passed, {failed} failed, {ignored} skipped"));

    if !total.succeeded {
        return Err(TestError::Failed.into());
    }
    if passed == 0 {
        return Err(TestError::NoneMatched { filters: filters.join(", ") }.into());
    }
    if total.left_behind > 0 {
        return Err(TestError::LeftBehind { count: total.left_behind }.into());
    }
    Ok(())
}

/// One run of cargo's runner, or several together.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    tally: Tally,
    succeeded: bool,
    left_behind: usize,
}

/// Runs it, passes its output on as it comes, and adds up its closing lines. Processes that it leaves behind have so long
/// to end by themselves.
fn run_counted(
    command: &mut Command,
    mark: &str,
    ours: impl Write + Send + 'static,
    grace: Duration,
) -> Result<Run, Box<dyn Error>> {
    let mut child = command
        .env(leftovers::MARK, mark)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| process::start_error(command, source))?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || sender.send(pass_on(output, ours)));
    }
    let succeeded = child.wait()?.success();
    // First these: a process left behind may hold the output open for good.
    let left_behind = end_leftovers(mark, grace)?;
    let tally = receiver
        .recv_timeout(OUTPUT_GRACE)
        .map_err(|_| "the tests' output is still held open, by a process without their mark in its environment")?;
    Ok(Run { tally, succeeded, left_behind })
}

/// Names and ends what the tests left running, and says how many that were.
fn end_leftovers(mark: &str, grace: Duration) -> Result<usize, ProcessError> {
    let Some(left_behind) = leftovers::find(mark, grace) else {
        report::progress("test", "processes left behind: not checked, this system does not show them");
        return Ok(0);
    };
    for leftover in &left_behind {
        report::progress("test", &format!("left behind, ended now: process {} {}", leftover.process, leftover.command));
        leftovers::end(leftover)?;
    }
    Ok(left_behind.len())
}

/// Copies the output to ours, line by line, counting. Whoever reads ours may be gone; the count goes on.
fn pass_on(output: impl Read, mut ours: impl Write) -> Tally {
    let mut tally = Tally::default();
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = lines.read_until(b'\n', &mut line) {
        let _ = ours.write_all(&line);
        let _ = ours.flush();
        if let Some(counted) = Tally::of_line(String::from_utf8_lossy(&line).trim_end()) {
            tally.add(counted);
        }
        line.clear();
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_and_others_are_not() {
        let output = "running 2 tests
test one ... ok
test result: ok. 3 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.01s
the handler said: test result: ok. 100 passed; 0 failed
test result: FAILED. 4 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";
        let mut passed_on = Vec::new();
        assert_eq!(pass_on(output.as_bytes(), &mut passed_on), Tally { passed: 7, failed: 6, ignored: 2 });
        assert_eq!(String::from_utf8(passed_on).unwrap(), output);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_outlives_its_test_is_counted_and_ended() {
        let mark = leftovers::new_mark();
        // It ends only when what it leaves behind has become that program: before, its environment may be hidden.
        let script = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'
            sleep 600 &
            until grep --quiet sleep /proc/$!/cmdline; do sleep 0.01; done";
        let run = run_counted(Command::new("bash").args(["-c", script]), &mark, io::sink(), Duration::ZERO).unwrap();
        assert_eq!((run.tally.passed, run.succeeded, run.left_behind), (1, true, 1));
        assert_eq!(leftovers::find(&mark, GRACE), Some(Vec::new()));
    }
}
