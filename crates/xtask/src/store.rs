//! Tools installed under `target/tools`, once for each set of pins. Every installation has a directory of its own, named
//! for the tool and a hash of its pins, and counts only when it was completed; `target/tools/NAME` is a link to the one
//! that is in force. So an interrupted installation is made again, changed pins never meet an old installation, and of
//! two runs at once one installs while the other waits.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::report;

const COMPLETE: &str = ".complete";

/// Why an installation could not be kept or found.
#[derive(Debug, Error)]
#[error("cannot {action} {}", path.display())]
pub(crate) struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The directory of installed tools.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in that directory, which is made when it is needed.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The tool's directory, after `install` has filled it if these pins were not installed yet. `install` is handed the
    /// directory that it is to fill, under its final name.
    pub(crate) fn provide<E: From<StoreError>>(
        &self,
        name: &str,
        pins: &[&[u8]],
        install: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let installations = self.directory.join("installed");
        fs::create_dir_all(&installations).map_err(|source| at("make", &installations, source))?;
        let _guard = lock(&installations.join(format!("{name}.lock")), name)?;

        let installation = installations.join(format!("{name}-{}", digest(pins)));
        let stamp = installation.join(COMPLETE);
        if !stamp.exists() {
            if installation.exists() {
                fs::remove_dir_all(&installation).map_err(|source| at("remove", &installation, source))?;
            }
            fs::create_dir(&installation).map_err(|source| at("make", &installation, source))?;
            install(&installation)?;
            fs::write(&stamp, "").map_err(|source| at("write", &stamp, source))?;
        }
        let link = self.directory.join(name);
        put_in_force(&link, &installation).map_err(|source| at("link", &link, source))?;
        Ok(link)
    }
}

/// Points the link at the installation, in one step for whoever looks at the same time.
fn put_in_force(link: &Path, installation: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|target| target == installation) {
        return Ok(());
    }
    let new = link.with_extension("new");
    if new.is_symlink() {
        fs::remove_file(&new)?;
    }
    std::os::unix::fs::symlink(installation, &new)?;
    fs::rename(&new, link)
}

/// Held until dropped. The system lets go of it when the process ends, however it ends.
fn lock(path: &Path, name: &str) -> Result<File, StoreError> {
    let file = File::create(path).map_err(|source| at("make", path, source))?;
    if file.try_lock().is_err() {
        report::progress("tools", &format!("waiting for another run that installs {name}"));
        file.lock().map_err(|source| at("lock", path, source))?;
    }
    Ok(file)
}

fn at(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError { action, path: path.to_owned(), source }
}

/// The first 16 hexadecimal digits of the pins' SHA-256, each pin with its length so that none runs into the next.
fn digest(pins: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for pin in pins {
        hasher.update(pin.len().to_be_bytes());
        hasher.update(pin);
    }
    let start = hasher.finalize().iter().take(8).fold(0_u64, |digits, byte| digits << 8 | u64::from(*byte));
    format!("{start:016x}")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), StoreError> {
        fs::write(path, text).map_err(|source| at("write", path, source))
    }

    #[test]
    fn the_same_pins_are_installed_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        let installations = Cell::new(0);
        for _ in 0..3 {
            let tool = store
                .provide("tool", &[b"1.0"], |path| {
                    installations.set(installations.get() + 1);
                    write(&path.join("program"), "one")
                })
                .unwrap();
            assert_eq!(tool, directory.path().join("tool"));
            assert_eq!(fs::read_to_string(tool.join("program")).unwrap(), "one");
        }
        assert_eq!(installations.get(), 1);
    }

    #[test]
    fn changed_pins_are_installed_beside_the_old_ones_and_come_into_force() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        for version in ["1.0", "2.0", "1.0"] {
            let tool =
                store.provide("tool", &[version.as_bytes()], |path| write(&path.join("version"), version)).unwrap();
            assert_eq!(fs::read_to_string(tool.join("version")).unwrap(), version);
        }
    }

    #[test]
    fn what_was_interrupted_is_made_again_from_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        let interrupted = store.provide("tool", &[b"1.0"], |path| {
            write(&path.join("half"), "")?;
            Err(at("finish", path, io::Error::other("the network went away")))
        });
        assert!(interrupted.is_err());
        assert!(!directory.path().join("tool").exists(), "half an installation must not come into force");

        let tool = store.provide("tool", &[b"1.0"], |path| write(&path.join("whole"), "")).unwrap();
        assert!(tool.join("whole").exists());
        assert!(!tool.join("half").exists());
    }

    #[test]
    fn of_many_at_once_one_installs() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        let installations = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let tool = store
                        .provide("tool", &[b"1.0"], |path| {
                            installations.fetch_add(1, Ordering::SeqCst);
                            write(&path.join("program"), "one")
                        })
                        .unwrap();
                    assert!(tool.join("program").exists());
                });
            }
        });
        assert_eq!(installations.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn pins_do_not_run_into_each_other() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(digest(&[b"ab", b"c"]).len(), 16);
    }
}
