//! Where things are in the repository.

use std::path::{Path, PathBuf};

/// The repository that this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace this crate lies in. Cargo builds anew when the directory has moved.
    pub(crate) fn here() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: own.ancestors().nth(2).unwrap_or(own).to_owned() }
    }

    /// A workspace somewhere else, for tests.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the workspace, given relative to its root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The directory of the pinned tools' manifests.
    pub(crate) fn pins(&self) -> PathBuf {
        self.path("crates/xtask/tools")
    }

    /// Where everything is built and installed; nothing in it is committed.
    pub(crate) fn target(&self) -> PathBuf {
        self.path("target")
    }

    /// The files directly in a directory whose name ends so, sorted; empty if there is no such directory.
    pub(crate) fn files(&self, directory: &str, suffix: &str) -> std::io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(self.path(directory)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.is_file() && path.to_string_lossy().ends_with(suffix) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The path as a person in the workspace would write it.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
