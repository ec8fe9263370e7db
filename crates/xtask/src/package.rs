//! `cargo xtask package`: the zips to install on AWS, one for each Lambda and processor, each with a software bill of
//! materials, and `SHA256SUMS` over all of them, in `target/package`.
//!
//! The same commit, built by the same compiler, gives the same bytes. So anybody can build again what somebody else
//! installed, and compare; `--twice` does that from a fresh clone.

mod archive;
mod bill_of_materials;
mod binary;
mod build;
mod inventory;

use std::error::Error;
use std::fmt::{self, Display, Write};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::bill_of_materials::Build;
use self::build::Builder;
use self::inventory::Inventory;
use crate::process;
use crate::report;
use crate::tools::CrossLinker;
use crate::workspace::Workspace;

const TASK: &str = "package";
const SUMS: &str = "SHA256SUMS";

/// A processor that Lambda has, by AWS's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Architecture {
    /// Graviton; what the template asks for
    Arm64,
    /// Intel and AMD
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// The compiler's name for it.
    fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }
}

impl Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        })
    }
}

/// What is to be packaged.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Only for this processor; may be given more than once
    #[arg(long = "arch", value_enum, value_name = "PROCESSOR")]
    architectures: Vec<Architecture>,
    /// Only this Lambda; may be given more than once
    #[arg(long, value_name = "LAMBDA")]
    only: Vec<String>,
    /// Build all of it once more, from a fresh clone of the commit into another directory, and compare every byte
    #[arg(long)]
    twice: bool,
}

/// Why there is no package, or not all of it.
#[derive(Debug, Error)]
enum PackageError {
    #[error("there is no Lambda {name}; there are {}", lambdas.join(", "))]
    NoLambda { name: String, lambdas: Vec<String> },
    #[error("nothing was packaged for {}: see above", names(.0))]
    Missing(Vec<Architecture>),
    #[error("--twice compares with the commit, and these files differ from it: commit them first\n{0}")]
    Changed(String),
    #[error("the second build is different:\n    {}", .0.join("\n    "))]
    Different(Vec<String>),
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{lambda} for {architecture} cannot be packed")]
    Refused { lambda: String, architecture: Architecture, source: Box<dyn Error + Send + Sync> },
    #[error("`rustc --version` answered {0:?}")]
    Compiler(String),
}

fn names(architectures: &[Architecture]) -> String {
    architectures.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is built from: the same for every file of a package.
#[derive(Debug, Clone)]
struct Origin {
    commit: String,
    /// `YYYY-MM-DDThh:mm:ssZ`.
    time: String,
    /// The files that differ from the commit, as git lists them.
    changed: String,
    compiler: String,
}

impl Origin {
    fn of(root: &Path) -> Result<Self, Box<dyn Error>> {
        let git =
            |arguments: &[&str]| process::read(Command::new("git").current_dir(root).args(arguments).env("TZ", "UTC"));
        let version = process::read(Command::new("rustc").current_dir(root).arg("--version"))?;
        let compiler = version.split_whitespace().nth(1).ok_or_else(|| PackageError::Compiler(version.clone()))?;
        Ok(Self {
            commit: git(&["rev-parse", "HEAD"])?.trim().to_owned(),
            time: git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"])?.trim().to_owned(),
            changed: git(&["status", "--porcelain"])?.trim_end().to_owned(),
            compiler: compiler.to_owned(),
        })
    }

    fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }
}

/// A file of the package: its path in it, with `/`, and its SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    path: String,
    digest: String,
}

/// Builds and packs.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let origin = Origin::of(workspace.root())?;
    if arguments.twice && origin.is_changed() {
        return Err(PackageError::Changed(origin.changed).into());
    }
    let inventory = Inventory::read(workspace.root())?;
    let lambdas = chosen(&inventory, &arguments.only)?;
    let linker = CrossLinker::provide(workspace)?;
    let builder = Builder::new(workspace.root(), &workspace.target(), linker.clone(), &inventory.source_directories());

    let (architectures, missing) = buildable(&builder, &arguments.architectures)?;
    if architectures.is_empty() {
        return Err(PackageError::Missing(missing).into());
    }
    if origin.is_changed() {
        report::progress(TASK, "files differ from the commit: nobody else can build these bytes again");
    }
    let package =
        Package { builder, inventory, origin, lambdas, architectures, directory: workspace.target().join(TASK) };
    let packed = package.make()?;
    report::progress(TASK, &format!("{} files in {}", packed.len(), workspace.relative(&package.directory)));
    if arguments.twice {
        let again = package.again(workspace, linker)?.make()?;
        let differences = differences(&packed, &again);
        if !differences.is_empty() {
            return Err(PackageError::Different(differences).into());
        }
        report::progress(TASK, &format!("built twice, {} files are the same to the byte", packed.len()));
    }
    report::result(&sums(&packed).trim_end().replace("  ", "  target/package/"));
    if missing.is_empty() { Ok(()) } else { Err(PackageError::Missing(missing).into()) }
}

/// The Lambdas asked for, or all, sorted.
fn chosen(inventory: &Inventory, only: &[String]) -> Result<Vec<String>, PackageError> {
    let lambdas: Vec<String> = inventory.lambdas().map(str::to_owned).collect();
    if let Some(name) = only.iter().find(|name| !lambdas.contains(name)) {
        return Err(PackageError::NoLambda { name: name.clone(), lambdas });
    }
    Ok(lambdas.into_iter().filter(|lambda| only.is_empty() || only.contains(lambda)).collect())
}

/// Of the processors asked for, or of all, those that can be built for and those that cannot, after saying why.
fn buildable(
    builder: &Builder,
    asked: &[Architecture],
) -> Result<(Vec<Architecture>, Vec<Architecture>), build::BuildError> {
    let mut wanted = if asked.is_empty() { Architecture::value_variants().to_vec() } else { asked.to_vec() };
    wanted.sort();
    wanted.dedup();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for architecture in wanted {
        match builder.check_target(architecture) {
            Ok(()) => found.push(architecture),
            Err(error @ build::BuildError::NoTarget(_)) => {
                report::error(&error);
                missing.push(architecture);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, missing))
}

struct Package {
    builder: Builder,
    inventory: Inventory,
    origin: Origin,
    lambdas: Vec<String>,
    architectures: Vec<Architecture>,
    directory: PathBuf,
}

impl Package {
    /// Builds, checks and packs everything, then sums it up. What an earlier run left is removed first.
    #[expect(clippy::disallowed_methods, reason = "a person waits, and is told for how long; no file depends on it")]
    fn make(&self) -> Result<Vec<Packed>, Box<dyn Error>> {
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).map_err(at("remove", &self.directory))?;
        }
        fs::create_dir_all(&self.directory).map_err(at("make", &self.directory))?;
        let began = Instant::now();
        report::progress(TASK, "each takes about a minute, the first for a processor some five");
        let all = self.lambdas.len() * self.architectures.len();
        let mut packed = Vec::new();
        for (index, (architecture, lambda)) in
            self.architectures.iter().flat_map(|one| self.lambdas.iter().map(move |lambda| (*one, lambda))).enumerate()
        {
            let minutes = began.elapsed().as_secs() / 60;
            report::progress(
                TASK,
                &format!("{} of {all}: {lambda} for {architecture}, {minutes} min so far", index + 1),
            );
            packed.extend(self.pack(lambda, architecture)?);
        }
        packed.sort();
        let path = self.directory.join(SUMS);
        fs::write(&path, sums(&packed)).map_err(at("write", &path))?;
        Ok(packed)
    }

    /// The zip and the bill of materials of one Lambda.
    fn pack(&self, lambda: &str, architecture: Architecture) -> Result<[Packed; 2], Box<dyn Error>> {
        let program = self.builder.build(lambda, architecture)?;
        let refused = |source: Box<dyn Error + Send + Sync>| PackageError::Refused {
            lambda: lambda.to_owned(),
            architecture,
            source,
        };
        binary::check(&program, architecture, self.builder.directories()).map_err(|error| refused(error.into()))?;
        let zip = archive::archive(&program, &self.origin.time).map_err(|error| refused(error.into()))?;
        let name = self
            .inventory
            .lambda(lambda)
            .ok_or_else(|| PackageError::NoLambda { name: lambda.to_owned(), lambdas: self.lambdas.clone() })?;
        let changed = if self.origin.is_changed() { " with changes" } else { "" };
        let bill = bill_of_materials::bill(
            &self.inventory,
            &self.inventory.linked(lambda, architecture)?,
            &Build {
                lambda: name,
                architecture,
                program_digest: &digest(&program),
                commit: &format!("{}{changed}", self.origin.commit),
                time: &self.origin.time,
                compiler: &self.origin.compiler,
            },
        );
        let write = |suffix: &str, content: &[u8]| -> Result<Packed, PackageError> {
            let path = format!("{architecture}/{lambda}.{suffix}");
            let file = self.directory.join(&path);
            fs::create_dir_all(self.directory.join(architecture.to_string())).map_err(at("make", &file))?;
            fs::write(&file, content).map_err(at("write", &file))?;
            Ok(Packed { path, digest: digest(content) })
        };
        Ok([write("zip", &zip)?, write("cdx.json", bill.as_bytes())?])
    }

    /// The same package, of a fresh clone of the commit and into an empty target directory.
    fn again(&self, workspace: &Workspace, linker: CrossLinker) -> Result<Self, Box<dyn Error>> {
        let elsewhere = workspace.target().join("package-again");
        if elsewhere.exists() {
            fs::remove_dir_all(&elsewhere).map_err(at("remove", &elsewhere))?;
        }
        let root = elsewhere.join("clone");
        report::progress(TASK, &format!("once more, from a fresh clone in {}", workspace.relative(&root)));
        process::read(Command::new("git").args(["clone", "--quiet", "--shared"]).arg(workspace.root()).arg(&root))?;
        process::read(Command::new("git").current_dir(&root).args([
            "checkout",
            "--quiet",
            "--detach",
            &self.origin.commit,
        ]))?;
        let inventory = Inventory::read(&root)?;
        let builder = Builder::new(&root, &elsewhere.join("target"), linker, &inventory.source_directories());
        Ok(Self {
            builder,
            origin: Origin::of(&root)?,
            inventory,
            lambdas: self.lambdas.clone(),
            architectures: self.architectures.clone(),
            directory: elsewhere.join(TASK),
        })
    }
}

/// What differs between two packages, a line each.
fn differences(first: &[Packed], second: &[Packed]) -> Vec<String> {
    let missing = |from: &[Packed], file: &Packed| from.iter().all(|other| other.path != file.path);
    let changed = first.iter().filter(|file| !second.contains(file)).map(|file| {
        if missing(second, file) {
            format!("{} is missing", file.path)
        } else {
            format!("{} has other bytes", file.path)
        }
    });
    let added = second.iter().filter(|file| missing(first, file)).map(|file| format!("{} is new", file.path));
    changed.chain(added).collect()
}

/// The lines that `sha256sum --check` reads.
fn sums(packed: &[Packed]) -> String {
    packed.iter().flat_map(|file| [&file.digest, "  ", &file.path, "\n"]).collect()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackageError + use<> {
    let path = path.to_owned();
    move |source| PackageError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(path: &str, content: &str) -> Packed {
        Packed { path: path.to_owned(), digest: digest(content.as_bytes()) }
    }

    #[test]
    fn the_sums_are_those_of_sha256sum() {
        assert_eq!(
            sums(&[packed("arm64/notify.zip", "abc")]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  arm64/notify.zip\n"
        );
    }

    #[test]
    fn every_difference_between_two_builds_is_told() {
        let first = [packed("a.zip", "1"), packed("b.zip", "2"), packed("c.zip", "3")];
        assert_eq!(differences(&first, &first), Vec::<String>::new());
        let second = [packed("a.zip", "1"), packed("b.zip", "changed"), packed("d.zip", "4")];
        assert_eq!(differences(&first, &second), ["b.zip has other bytes", "c.zip is missing", "d.zip is new"]);
    }

    #[test]
    fn a_lambda_that_does_not_exist_is_told_with_those_that_do() {
        let inventory = Inventory::read(Workspace::here().root()).unwrap();
        assert_eq!(chosen(&inventory, &["notify".to_owned()]).unwrap(), ["notify"]);
        let text = chosen(&inventory, &["notices".to_owned()]).unwrap_err().to_string();
        assert!(text.starts_with("there is no Lambda notices; there are check-operation, "), "{text}");
    }

    #[test]
    fn the_origin_is_the_commit_and_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(directory.path()).args(["-c", "user.name=n", "-c", "user.email=e"]);
            command.args(["-c", "commit.gpgsign=false"]).args(arguments);
            process::read(command.env("GIT_COMMITTER_DATE", "2026-11-20T23:30:00-02:00")).unwrap()
        };
        git(&["init", "--quiet"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", "One"]);
        let origin = Origin::of(directory.path()).unwrap();
        assert_eq!(origin.time, "2026-11-21T01:30:00Z");
        assert_eq!(origin.commit.len(), 40);
        assert!(!origin.is_changed());
        assert!(origin.compiler.starts_with("1."), "{}", origin.compiler);
        fs::write(directory.path().join("new"), "").unwrap();
        assert!(Origin::of(directory.path()).unwrap().is_changed());
    }
}
