//! `template.yaml`, deployed by sam into an engine that is not ours: an upload that goes live and one that is rolled back,
//! with the Lambdas as the tests have built them; see `scenarios::aws_suite`. `cargo xtask e2e --aws` plays everything.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use scenarios::aws_suite::situations::situations;

const E2E_AWS: &str = env!("CARGO_BIN_EXE_e2e-aws");
const PAUSE: Duration = Duration::from_millis(50);
/// So many pauses that only a hang takes as long.
const PATIENCE: u32 = 6_000;

fn suite(arguments: &[&str]) -> Output {
    Command::new(E2E_AWS).args(arguments).output().unwrap()
}

#[test]
fn an_upload_goes_live_and_a_crash_loop_comes_back() {
    let played = suite(&["--built", "--only", "upload", "--only", "upload-crash-loops"]);
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let told = String::from_utf8_lossy(&played.stdout);
    assert!(told.starts_with("2 of 2 situations came out as they should"), "{told}");
}

/// The processes that have this folder in their command line.
fn at_work_in(folder: &Path) -> usize {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command = |process: &Path| std::fs::read(process.join("cmdline")).unwrap_or_default();
    processes.filter(|process| String::from_utf8_lossy(&command(&process.path())).contains(&folder)).count()
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

/// Ends the suite by a signal while it is at work, and returns its exit code.
fn end_by(signal: &str) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    let mut suite = Command::new(E2E_AWS)
        .args(["--built", "--only", "upload"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // One of them is ministack, the other sam.
    until("two are at work", || at_work_in(folder.path()) > 1);
    let killed = Command::new("kill").args([format!("-{signal}"), suite.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = suite.wait().unwrap();
    until("nobody is at work", || at_work_in(folder.path()) == 0);
    status.code()
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_ends_the_suite_ends_its_engine() {
    assert_eq!(end_by("TERM"), Some(143));
    assert_eq!(end_by("KILL"), None);
}

#[test]
fn misuse_is_told_in_a_line() {
    let unknown = suite(&["--only", "none"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), "e2e: there is no situation none; --list shows all\n");
    assert_eq!(suite(&["--speed", "0"]).status.code(), Some(2));
    let listed = suite(&["--list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), situations().unwrap().len());
}

#[test]
fn no_two_situations_share_an_application() {
    let mut names: Vec<_> = situations().unwrap().iter().map(|situation| situation.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
