//! What cargo knows of the workspace: which packages are Lambdas, and which crates are linked into each of them, with
//! their licences, sources and checksums.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::Architecture;
use crate::process::{self, ProcessError};

/// What every Lambda's main is made of; who depends on it and has a program of its own name is a Lambda.
const SHARED_MAIN: &str = "handler";

/// Why it is not known what there is.
#[derive(Debug, Error)]
pub(super) enum InventoryError {
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] ProcessError),
    /// Cargo's answer is no JSON.
    #[error("cannot read what `cargo metadata` answered")]
    Metadata(#[from] serde_json::Error),
    /// The lock file cannot be read.
    #[error("cannot read Cargo.lock")]
    Lock(#[from] std::io::Error),
    /// The lock file is no TOML.
    #[error("cannot read Cargo.lock")]
    LockFormat(#[from] toml::de::Error),
    /// A line of `cargo tree` has another shape than known.
    #[error("cannot read what `cargo tree` answered: {0:?}")]
    Tree(String),
    /// `cargo tree` names a crate that `cargo metadata` does not.
    #[error("cargo knows nothing of {0}, which it links")]
    Unknown(Name),
}

/// A crate's name and version; in one lock file that is one crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) version: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.name, self.version)
    }
}

/// What is known of a crate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Crate {
    /// SPDX expression.
    pub(super) licence: Option<String>,
    pub(super) description: Option<String>,
    pub(super) repository: Option<String>,
    /// SHA-256 of the package as its registry has it; none of our own crates.
    pub(super) checksum: Option<String>,
    /// Whether it comes from a registry (`deny.toml` allows only Rust's public one), where a package URL finds it.
    pub(super) is_published: bool,
    directory: PathBuf,
}

/// Everything that cargo knows of the workspace.
#[derive(Debug, Clone)]
pub(super) struct Inventory {
    root: PathBuf,
    crates: BTreeMap<Name, Crate>,
    lambdas: BTreeMap<String, Name>,
}

/// The crates in one program, by the crates that each one uses.
pub(super) type Linked = BTreeMap<Name, BTreeSet<Name>>;

impl Inventory {
    /// Asks cargo about the workspace in that directory.
    pub(super) fn read(root: &Path) -> Result<Self, InventoryError> {
        let metadata = process::read(process::cargo(root).args(["metadata", "--format-version", "1", "--locked"]))?;
        let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
        Ok(Self::from(root, &serde_json::from_str(&metadata)?, &lock.parse()?))
    }

    fn from(root: &Path, metadata: &Value, lock: &toml::Table) -> Self {
        let checksums = checksums(lock);
        let mut crates = BTreeMap::new();
        let mut lambdas = BTreeMap::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let text = |field: &str| package[field].as_str().map(str::to_owned);
            let name = Name { name: text("name").unwrap_or_default(), version: text("version").unwrap_or_default() };
            let manifest = PathBuf::from(text("manifest_path").unwrap_or_default());
            if is_lambda(package, metadata) {
                lambdas.insert(name.name.clone(), name.clone());
            }
            let known = Crate {
                licence: text("license").map(|licence| licence.replace('/', " OR ")),
                description: text("description").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
                repository: text("repository"),
                checksum: checksums.get(&name).cloned(),
                is_published: text("source").is_some_and(|source| source.starts_with("registry+")),
                directory: manifest.parent().map(Path::to_owned).unwrap_or_default(),
            };
            crates.insert(name, known);
        }
        Self { root: root.to_owned(), crates, lambdas }
    }

    /// The names of the Lambdas, sorted.
    pub(super) fn lambdas(&self) -> impl Iterator<Item = &str> {
        self.lambdas.keys().map(String::as_str)
    }

    /// The name and version of a Lambda.
    pub(super) fn lambda(&self, name: &str) -> Option<&Name> {
        self.lambdas.get(name)
    }

    /// What is known of a crate that is linked; nothing of any other.
    pub(super) fn known(&self, name: &Name) -> &Crate {
        const NOTHING: &Crate = &Crate {
            licence: None,
            description: None,
            repository: None,
            checksum: None,
            is_published: false,
            directory: PathBuf::new(),
        };
        self.crates.get(name).unwrap_or(NOTHING)
    }

    /// The directories that hold the unpacked packages of a registry, each package in a directory of its own.
    pub(super) fn source_directories(&self) -> BTreeSet<PathBuf> {
        let published = self.crates.values().filter(|known| known.is_published);
        published.filter_map(|known| known.directory.parent().map(Path::to_owned)).collect()
    }

    /// The crates that are linked into a Lambda: neither those that only run while it is compiled, nor those for other
    /// systems or of features that it does not use.
    pub(super) fn linked(&self, lambda: &str, architecture: Architecture) -> Result<Linked, InventoryError> {
        let tree = process::read(process::cargo(&self.root).args([
            "tree",
            "--locked",
            "--package",
            lambda,
            "--target",
            architecture.target(),
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "depth",
            "--format",
            " {p}",
        ]))?;
        let linked = parse_tree(&tree)?;
        match linked.keys().find(|name| !self.crates.contains_key(name)) {
            Some(name) => Err(InventoryError::Unknown(name.clone())),
            None => Ok(linked),
        }
    }
}

/// A member of the workspace with a program of its own name that uses what every Lambda's main is made of.
fn is_lambda(package: &Value, metadata: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["workspace_members"]).contains(&package["id"])
        && list(&package["targets"])
            .iter()
            .any(|target| target["name"] == package["name"] && list(&target["kind"]).iter().any(|kind| kind == "bin"))
        && list(&package["dependencies"])
            .iter()
            .any(|dependency| dependency["name"] == SHARED_MAIN && dependency["kind"].is_null())
}

fn checksums(lock: &toml::Table) -> BTreeMap<Name, String> {
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    packages
        .filter_map(|package| {
            let text = |field: &str| package.get(field)?.as_str().map(str::to_owned);
            Some((Name { name: text("name")?, version: text("version")? }, text("checksum")?))
        })
        .collect()
}

/// Reads the lines of `cargo tree --prefix depth --format ' {p}'`: a number, the depth, then the crate. A crate that came
/// before is marked `(*)` and its own crates are not listed again.
fn parse_tree(tree: &str) -> Result<Linked, InventoryError> {
    let mut linked = Linked::new();
    let mut above: Vec<Name> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let unreadable = || InventoryError::Tree(line.to_owned());
        let mut words = line.split_whitespace();
        let depth: usize = words.next().and_then(|depth| depth.parse().ok()).ok_or_else(unreadable)?;
        let name = words.next().ok_or_else(unreadable)?;
        let version = words.next().and_then(|version| version.strip_prefix('v')).ok_or_else(unreadable)?;
        let name = Name { name: name.to_owned(), version: version.to_owned() };
        if depth > above.len() {
            return Err(unreadable());
        }
        above.truncate(depth);
        if let Some(user) = above.last() {
            linked.entry(user.clone()).or_default().insert(name.clone());
        }
        linked.entry(name.clone()).or_default();
        above.push(name);
    }
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workspace::Workspace;

    fn name(name: &str, version: &str) -> Name {
        Name { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn a_tree_tells_who_uses_whom() {
        let tree = "0 notify v0.1.0 (/somewhere/crates/notify)\n1 a v1.0.0\n2 b v2.0.0\n1 c v3.0.0\n2 b v2.0.0\n\
                    2 a v1.0.0 (*)\n";
        let linked = parse_tree(tree).unwrap();
        let uses = |user: &Name| linked[user].iter().cloned().collect::<Vec<_>>();
        let (a, b, c) = (name("a", "1.0.0"), name("b", "2.0.0"), name("c", "3.0.0"));
        assert_eq!(uses(&name("notify", "0.1.0")), [a.clone(), c.clone()]);
        assert_eq!(uses(&a), std::slice::from_ref(&b));
        assert_eq!(uses(&c), [a, b.clone()]);
        assert_eq!(uses(&b), []);
        assert_eq!(linked.len(), 4);
    }

    #[test]
    fn a_tree_of_another_shape_is_refused() {
        for tree in ["notify v0.1.0", "0 notify", "0 notify 0.1.0", "0 notify v0.1.0\n2 a v1.0.0", "1 a v1.0.0"] {
            assert!(matches!(parse_tree(tree), Err(InventoryError::Tree(_))), "{tree}");
        }
    }

    #[test]
    fn what_cargo_says_of_a_crate_is_kept() {
        let metadata = json!({
            "workspace_members": ["own"],
            "packages": [
                {
                    "id": "own", "name": "notify", "version": "0.1.0", "license": "Apache-2.0 OR MIT", "source": null,
                    "manifest_path": "/somewhere/crates/notify/Cargo.toml",
                    "targets": [{ "name": "notify", "kind": ["bin"] }],
                    "dependencies": [{ "name": "handler", "kind": null }],
                },
                {
                    "id": "other", "name": "old", "version": "1.0.0", "license": "MIT/Apache-2.0",
                    "source": "registry+somewhere", "description": "Does\n  this", "repository": "here",
                    "manifest_path": "/packages/old-1.0.0/Cargo.toml",
                    "targets": [{ "name": "old", "kind": ["bin"] }],
                    "dependencies": [{ "name": "handler", "kind": null }],
                },
            ],
        });
        let lock = "[[package]]\nname = \"notify\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"old\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n";
        let inventory = Inventory::from(Path::new("/somewhere"), &metadata, &lock.parse().unwrap());
        assert_eq!(inventory.lambdas().collect::<Vec<_>>(), ["notify"]);
        let old = inventory.known(&name("old", "1.0.0"));
        assert_eq!(old.licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(old.description.as_deref(), Some("Does this"));
        assert_eq!(old.checksum.as_deref(), Some("00ff"));
        assert!(old.is_published);
        assert!(!inventory.known(&name("notify", "0.1.0")).is_published);
        assert_eq!(inventory.source_directories().into_iter().collect::<Vec<_>>(), [PathBuf::from("/packages")]);
    }

    #[test]
    fn every_lambda_of_the_template_is_packaged_and_no_other_program() {
        let workspace = Workspace::here();
        let template = std::fs::read_to_string(workspace.path("template.yaml")).unwrap();
        let built: BTreeSet<&str> =
            template.split("Binary: ").skip(1).filter_map(|rest| rest.split([' ', '\n']).next()).collect();
        let inventory = Inventory::read(workspace.root()).unwrap();
        assert_eq!(inventory.lambdas().collect::<BTreeSet<_>>(), built);
    }

    #[test]
    fn the_crates_of_a_lambda_are_those_that_run_in_it() {
        let inventory = Inventory::read(Workspace::here().root()).unwrap();
        let linked = inventory.linked("notify", Architecture::Arm64).unwrap();
        let names: BTreeSet<&str> = linked.keys().map(|linked| linked.name.as_str()).collect();
        for expected in ["notify", "lifecycle", "aws-sdk-sns", "lambda_runtime", "aws-lc-sys", "tokio"] {
            assert!(names.contains(expected), "{expected} is missing");
        }
        for other in ["serde_derive", "tokio-macros", "cc", "emulator", "axum", "windows-sys", "tempfile"] {
            assert!(!names.contains(other), "{other} does not run in a Lambda");
        }
        for name in linked.keys() {
            let known = inventory.known(name);
            assert!(known.licence.is_some(), "{name} has no licence");
            assert_eq!(known.is_published, known.checksum.is_some(), "{name}");
        }
    }
}
