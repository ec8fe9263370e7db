//! Ends a suite by a signal, and sees that nothing of it is left.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(50);
/// So many pauses that only a hang takes as long.
const PATIENCE: u32 = 6_000;

/// Starts the suite, ends it by this signal once at least so many processes of it are at work, waits until none is, and
/// returns its exit code.
pub(crate) fn end_by(signal: &str, suite: &mut Command, least: usize, at_work: impl Fn() -> usize) -> Option<i32> {
    let mut suite = suite.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the suite is at work", || at_work() >= least);
    let killed = Command::new("kill").args([format!("-{signal}"), suite.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = suite.wait().unwrap();
    until("nothing of it is left", || at_work() == 0);
    status.code()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let is_so_in_time = (0..PATIENCE).any(|_| {
        let is_so = is_so();
        if !is_so {
            sleep(PAUSE);
        }
        is_so
    });
    assert!(is_so_in_time, "never: {what}");
}

/// How many processes are such, by their command line and their environment.
pub(crate) fn processes(is_such: impl Fn(&str, &str) -> bool) -> usize {
    let folders = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let read = |file: PathBuf| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
    folders.filter(|folder| is_such(&read(folder.join("cmdline")), &read(folder.join("environ")))).count()
}
