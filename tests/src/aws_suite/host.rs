//! Processes of Python that end with every process they have started, whatever becomes of this one: `host.py` watches the
//! pipe that a [`Hosted`] holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStdin, Command};

const HOST: &str = include_str!("host.py");
/// Variables of our own environment that a process is given: what finding programs and caches takes, and nothing of AWS.
const INHERITED: [&str; 9] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "XTASK_TEST_RUN",
];

/// Where the tools are that `cargo xtask` installs.
#[derive(Debug, Clone)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Those beside the folder of built programs: `target/tools` beside `target/debug`.
    ///
    /// # Errors
    /// When they are not installed.
    pub fn beside(programs: &Path) -> Result<Self, String> {
        let folder = programs.parent().unwrap_or(programs).join("tools");
        match ["ministack", "sam"].iter().find(|tool| !folder.join(tool).join("bin/python").exists()) {
            None => Ok(Self { folder }),
            Some(tool) => {
                Err(format!("{tool} is not in {}: run `cargo xtask e2e --aws`, which installs it", folder.display()))
            }
        }
    }

    fn programs(&self, tool: &str) -> PathBuf {
        self.folder.join(tool).join("bin")
    }
}

/// A process that runs.
#[derive(Debug)]
pub struct Hosted {
    child: Child,
    /// Its end is the end of them all.
    pipe: Option<ChildStdin>,
}

/// Starts one of the tools (`ministack` or `sam`), which writes what it has to say into a file. `cargo-lambda` is found by
/// it.
///
/// # Errors
/// When the process or the file cannot be made.
pub fn start(
    tools: &Tools,
    tool: &str,
    arguments: &[&str],
    environment: &BTreeMap<&str, String>,
    log: &Path,
) -> io::Result<Hosted> {
    let programs = tools.programs(tool);
    let host = log.with_file_name("host.py");
    std::fs::write(&host, HOST)?;
    let output = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(programs.join("python"));
    command.arg(host).arg(tool).args(arguments).env_clear();
    for name in INHERITED {
        if let Some(value) = inherited(name) {
            command.env(name, value);
        }
    }
    command.envs(environment).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output).process_group(0);
    let mut child = command.spawn()?;
    let pipe = child.stdin.take();
    Ok(Hosted { child, pipe })
}

/// `PATH` with the programs of these tools in front.
pub fn path_with(tools: &Tools, first: &[&str]) -> String {
    let folders = first.iter().map(|tool| tools.programs(tool).display().to_string());
    let rest = inherited("PATH").map(|path| path.to_string_lossy().into_owned());
    folders.chain(rest).collect::<Vec<_>>().join(":")
}

fn inherited(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

impl Hosted {
    /// Waits for its end.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` closes the pipe that it has; this one is ours.
        self.child.wait().await
    }

    /// Ends it, and waits until it has ended.
    pub async fn end(&mut self) {
        self.pipe = None;
        // It is gone in any case.
        let _ = self.child.wait().await;
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}
