//! Temporary folders that do not pile up: one that a killed process left behind is removed by the next that is made. Which
//! those are is told by a lock in each, which ends with its process, however that ends.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "emulator-";
const LOCK: &str = "lock";

/// A folder that is removed when it is dropped, or else when another one is made.
#[derive(Debug)]
pub struct TemporaryFolder {
    directory: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl TemporaryFolder {
    /// Makes a folder where the system keeps temporary files, and removes those that killed processes left there.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // It gets its name when it is locked, so that nobody finds it unlocked.
        let unnamed = directory.path().join("lock.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        std::fs::rename(unnamed, directory.path().join(LOCK))?;
        Ok(Self { directory, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes what can be removed; what cannot (another user's, say) is no reason not to start.
fn remove_abandoned(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        let lock = is_ours.then(|| File::open(entry.path().join(LOCK)).ok()).flatten();
        if let Some(lock) = lock
            && lock.try_lock().is_ok()
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, folder = %entry.path().display(), "an abandoned folder cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, file: &str| {
            let folder = parent.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join(file), "").unwrap();
            folder
        };
        let used = TemporaryFolder::new_in(parent.path()).unwrap();
        std::fs::write(used.path().join("file"), "").unwrap();
        let abandoned = make("emulator-abandoned", "lock");
        let foreign = [make("emulator-being-made", "lock.new"), make("something-else", "lock")];
        let next = TemporaryFolder::new_in(parent.path()).unwrap();
        assert!(used.path().join("file").exists() && next.path().exists());
        assert!(!abandoned.exists());
        assert!(foreign.iter().all(|folder| folder.exists()));
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
