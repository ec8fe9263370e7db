//! Builds one Lambda so that the same commit gives the same bytes wherever it is built: paths of this machine are
//! replaced, settings of the person's environment are left out, and zig links against the C library of Lambda's runtime
//! and not against the machine's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::Architecture;
use super::binary::RUNTIME_GLIBC;
use crate::process::{self, ProcessError};
use crate::tools::CrossLinker;

/// Stands for the workspace's directory in programs.
const SOURCE: &str = "/source";
/// Stands for the directories of other people's crates in programs.
const PACKAGES: &str = "/packages";
/// Between the flags in `CARGO_ENCODED_RUSTFLAGS`, since paths may have spaces.
const SEPARATOR: &str = "\u{1f}";
/// Settings that would change what is built.
const PERSONAL: [&str; 10] = [
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "TARGET_CFLAGS",
    "SOURCE_DATE_EPOCH",
];

/// Why there is no program.
#[derive(Debug, Error)]
pub(super) enum BuildError {
    /// The compiler has nothing to link for that processor.
    #[error(
        "Rust's standard library for {0} is not installed: `rustup target add {target}` brings it; without rustup, \
         install it for the compiler at hand, or leave {0} out with --arch",
        target = .0.target()
    )]
    NoTarget(Architecture),
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The compiler or the linker refused.
    #[error("{lambda} for {architecture} was not built; what the compiler says is above")]
    Failed {
        /// The Lambda.
        lambda: String,
        /// What for.
        architecture: Architecture,
    },
    /// The program cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Builds the Lambdas of one workspace into one target directory.
#[derive(Debug, Clone)]
pub(super) struct Builder {
    root: PathBuf,
    target: PathBuf,
    linker: CrossLinker,
    flags: String,
    directories: Vec<String>,
}

impl Builder {
    /// For the workspace in `root`; `packages` are the directories of other people's crates.
    pub(super) fn new(root: &Path, target: &Path, linker: CrossLinker, packages: &BTreeSet<PathBuf>) -> Self {
        let directories = std::iter::once(root).chain(packages.iter().map(PathBuf::as_path));
        Self {
            root: root.to_owned(),
            target: target.to_owned(),
            linker,
            flags: flags(root, packages),
            directories: directories.map(|directory| directory.display().to_string()).collect(),
        }
    }

    /// The directories of this machine that are replaced in programs.
    pub(super) fn directories(&self) -> &[String] {
        &self.directories
    }

    /// Whether the compiler can build for that processor.
    pub(super) fn check_target(&self, architecture: Architecture) -> Result<(), BuildError> {
        let mut rustc = Command::new("rustc");
        rustc.current_dir(&self.root).args(["--print", "target-libdir", "--target", architecture.target()]);
        let directory = process::read(&mut rustc)?;
        if Path::new(directory.trim()).is_dir() { Ok(()) } else { Err(BuildError::NoTarget(architecture)) }
    }

    /// Builds the Lambda by itself, so that no feature comes in that another one uses, and hands back the program.
    pub(super) fn build(&self, lambda: &str, architecture: Architecture) -> Result<Vec<u8>, BuildError> {
        let mut command = self.linker.cargo_build();
        command
            .current_dir(&self.root)
            .args(["--release", "--locked", "--package", lambda, "--bin", lambda])
            .args(["--target", &format!("{}.{}.{}", architecture.target(), RUNTIME_GLIBC.0, RUNTIME_GLIBC.1)])
            .arg("--target-dir")
            .arg(&self.target)
            .env("CARGO_ENCODED_RUSTFLAGS", &self.flags)
            .stdin(Stdio::null());
        for variable in PERSONAL {
            command.env_remove(variable);
        }
        let status = command.status().map_err(|source| process::start_error(&command, source))?;
        if !status.success() {
            return Err(BuildError::Failed { lambda: lambda.to_owned(), architecture });
        }
        let path = self.target.join(architecture.target()).join("release").join(lambda);
        std::fs::read(&path).map_err(|source| BuildError::Unreadable { path, source })
    }
}

/// The compiler's flags. Where two replacements fit, the compiler takes the last one given.
fn flags(root: &Path, packages: &BTreeSet<PathBuf>) -> String {
    let replaced = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let packages = packages.iter().map(|directory| replaced(directory, PACKAGES));
    std::iter::once(replaced(root, SOURCE)).chain(packages).collect::<Vec<_>>().join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_is_told_with_the_cure() {
        let text = BuildError::NoTarget(Architecture::Arm64).to_string();
        assert!(text.contains("`rustup target add aarch64-unknown-linux-gnu`"), "{text}");
        assert!(text.ends_with("or leave arm64 out with --arch"), "{text}");
    }

    #[test]
    fn paths_of_this_machine_are_replaced() {
        let packages = BTreeSet::from([PathBuf::from("/cache/a b"), PathBuf::from("/clone/vendor")]);
        assert_eq!(
            flags(Path::new("/clone"), &packages).split(SEPARATOR).collect::<Vec<_>>(),
            [
                "--remap-path-prefix=/clone=/source",
                "--remap-path-prefix=/cache/a b=/packages",
                "--remap-path-prefix=/clone/vendor=/packages",
            ]
        );
    }
}
