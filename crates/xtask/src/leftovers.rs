//! Processes that tests left behind. Every process started under [`MARK`] inherits that variable of the environment, and
//! its children do too; one that is still there when the tests have ended is found by it, whoever its parent is by then.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::process::{self, ProcessError};

/// The variable that marks a test run's processes.
pub(crate) const MARK: &str = "XTASK_TEST_RUN";

const PROCESSES: &str = "/proc";
/// How often to look while waiting for them to end.
const INTERVAL: Duration = Duration::from_millis(100);

/// A mark that no other run has.
pub(crate) fn new_mark() -> String {
    format!("{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish())
}

/// A process of ours that outlived its test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leftover {
    /// The process's id.
    pub(crate) process: u32,
    /// Its command line.
    pub(crate) command: String,
}

/// The marked processes that are still there after the grace given to them. `None` where the system does not show
/// processes' environments as files.
pub(crate) fn find(mark: &str, grace: Duration) -> Option<Vec<Leftover>> {
    let processes = Path::new(PROCESSES);
    if !processes.join("self/environ").exists() {
        return None;
    }
    Some(settle(|| scan(processes, mark), grace))
}

/// Looks until nothing is found twice in a row, or until the grace is over. Once is not enough: while a process replaces
/// its program (`exec`), the system shows its environment as empty for a moment.
fn settle(mut look: impl FnMut() -> Vec<Leftover>, grace: Duration) -> Vec<Leftover> {
    let mut waited = Duration::ZERO;
    let mut none_before = false;
    loop {
        let found = look();
        let over = if found.is_empty() { none_before } else { waited >= grace };
        if over {
            return found;
        }
        none_before = found.is_empty();
        sleep(INTERVAL);
        waited += INTERVAL;
    }
}

/// Ends a process that ignored the end of its test.
pub(crate) fn end(leftover: &Leftover) -> Result<(), ProcessError> {
    process::capture(Command::new("kill").args(["-KILL", &leftover.process.to_string()])).map(|_| ())
}

fn scan(processes: &Path, mark: &str) -> Vec<Leftover> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = fs::read_dir(processes) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            // A process may end between the listing and the look; another user's cannot be read, and is not ours.
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let ours = environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            ours.then(|| Leftover { process, command: String::from_utf8_lossy(&command).replace('\0', " ") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use super::*;

    fn process(directory: &Path, id: &str, environment: &[u8], command: &[u8]) {
        let path = directory.join(id);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("environ"), environment).unwrap();
        fs::write(path.join("cmdline"), command).unwrap();
    }

    #[test]
    fn only_processes_with_this_runs_mark_are_found() {
        let directory = tempfile::tempdir().unwrap();
        process(directory.path(), "10", b"A=1\0XTASK_TEST_RUN=mine\0B=2\0", b"java\0-jar\0host.jar\0");
        process(directory.path(), "11", b"XTASK_TEST_RUN=mine-too\0", b"other\0");
        process(directory.path(), "12", b"X=XTASK_TEST_RUN=mine\0", b"other\0");
        process(directory.path(), "self", b"XTASK_TEST_RUN=mine\0", b"not a process id\0");
        fs::create_dir(directory.path().join("13")).unwrap();
        assert_eq!(
            scan(directory.path(), "mine"),
            [Leftover { process: 10, command: "java -jar host.jar ".to_owned() }]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_real_process_is_found_until_it_is_ended() {
        let mark = new_mark();
        let mut child = Command::new("sh")
            .args(["-c", "echo ready; read line"])
            .env(MARK, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its environment can be seen for certain only when it runs its program: by what it writes.
        let mut written = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut written).unwrap();
        assert_eq!(written, "ready\n");
        let found = scan(Path::new(PROCESSES), &mark);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].process, child.id());
        end(&found[0]).unwrap();
        child.wait().unwrap();
        assert_eq!(find(&mark, Duration::ZERO), Some(Vec::new()));
    }

    #[test]
    fn a_process_that_was_replacing_its_program_at_the_first_look_is_found_at_the_second() {
        let replaced = Leftover { process: 10, command: "sleep 600 ".to_owned() };
        let mut looks = [vec![], vec![replaced.clone()], vec![], vec![]].into_iter();
        assert_eq!(settle(|| looks.next().unwrap(), Duration::ZERO), [replaced]);
        assert_eq!(settle(|| looks.next().unwrap(), Duration::ZERO), []);
    }

    #[test]
    fn two_runs_have_two_marks() {
        assert_ne!(new_mark(), new_mark());
    }
}
