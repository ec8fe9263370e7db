//! `template.yaml`, deployed by sam into an engine that is not ours: an upload that goes live and one that is rolled back,
//! with the Lambdas as the tests have built them; see `scenarios::aws_suite`. `cargo xtask e2e --aws` plays everything.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::process::{Command, Output};

use scenarios::aws_suite::situations::situations;

#[path = "support/signals.rs"]
mod signals;

const E2E_AWS: &str = env!("CARGO_BIN_EXE_e2e-aws");

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

/// Ends the suite by a signal while it is at work, and returns its exit code.
fn end_by(signal: &str) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().display().to_string();
    let mut suite = Command::new(E2E_AWS);
    suite.args(["--built", "--only", "upload"]).env("TMPDIR", folder.path());
    // One of the two is ministack, the other sam.
    signals::end_by(signal, &mut suite, 2, || signals::processes(|command, _| command.contains(&named)))
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
