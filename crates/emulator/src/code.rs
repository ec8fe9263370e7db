//! Where the code of the applications lies: a stand-in for versioned S3 buckets. In memory for tests, or a folder
//! (`<folder>/<bucket>/<key>`) in which a file that changes is a new object version.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::data_plane::CodeObject;

/// A folder that cannot be used for code.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} for application code")]
pub struct CodeFolderError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Buckets with object versions. Clones share the content.
#[derive(Debug, Clone)]
pub struct CodeStore {
    objects: Arc<Mutex<Objects>>,
    folder: Option<Arc<Folder>>,
}

#[derive(Debug, Default)]
struct Objects {
    versions: BTreeMap<(String, String), Vec<ObjectVersion>>,
    written: u64,
}

/// One version of an object; without content it is a delete marker.
#[derive(Debug, Clone)]
struct ObjectVersion {
    id: String,
    content: Option<Bytes>,
}

/// Files are read when asked for; each content that was seen is kept under its hash, so that an older version can
/// still be had after the file changed.
#[derive(Debug)]
struct Folder {
    files: PathBuf,
    kept: PathBuf,
}

impl CodeStore {
    /// Empty buckets in memory.
    pub fn in_memory() -> Self {
        Self { objects: Arc::default(), folder: None }
    }

    /// The files below `folder`, read as `<bucket>/<key>`; older versions are kept below `kept`. Both are created if
    /// need be. What is put by [`CodeStore::put`] stays in memory and comes before the files.
    pub fn folder(folder: &Path, kept: &Path) -> Result<Self, CodeFolderError> {
        for path in [folder, kept] {
            std::fs::create_dir_all(path).map_err(|source| CodeFolderError { path: path.to_owned(), source })?;
        }
        Ok(Self {
            objects: Arc::default(),
            folder: Some(Arc::new(Folder { files: folder.to_owned(), kept: kept.to_owned() })),
        })
    }

    /// Writes an object and returns its new version id.
    pub fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) -> String {
        self.append(bucket, key, Some(content.into()))
    }

    /// Deletes an object as S3 does in a versioned bucket: its versions can still be had by their ids.
    pub fn delete(&self, bucket: &str, key: &str) {
        self.append(bucket, key, None);
    }

    /// Deletes an object with all its versions (files of a folder excepted).
    pub fn delete_all_versions(&self, bucket: &str, key: &str) {
        self.lock().versions.remove(&(bucket.to_owned(), key.to_owned()));
    }

    /// The object: its newest version, or the one asked for. None when there is no such object or version, or when the
    /// newest is a delete marker.
    pub fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> Option<CodeObject> {
        let stored =
            self.lock().versions.get(&(bucket.to_owned(), key.to_owned())).and_then(|versions| match version {
                Some(id) => versions.iter().find(|candidate| candidate.id == id).cloned(),
                None => versions.last().cloned(),
            });
        let found = match (stored, &self.folder) {
            (Some(found), _) => found,
            (None, Some(folder)) => folder.read(bucket, key, version)?,
            (None, None) => return None,
        };
        found.content.map(|content| CodeObject {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            object_version: Some(found.id),
            content,
        })
    }

    fn append(&self, bucket: &str, key: &str, content: Option<Bytes>) -> String {
        let mut objects = self.lock();
        objects.written += 1;
        let id = hash(format!("{bucket}/{key}/{}", objects.written).as_bytes());
        let version = ObjectVersion { id: id.clone(), content };
        objects.versions.entry((bucket.to_owned(), key.to_owned())).or_default().push(version);
        id
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn read(&self, bucket: &str, key: &str, version: Option<&str>) -> Option<ObjectVersion> {
        let file = confined(&self.files, bucket, key)?;
        let kept = confined(&self.kept, bucket, key)?;
        let current = std::fs::read(file).ok().map(|content| (hash(&content), content));
        if let Some((id, content)) = &current {
            let copy = kept.join(id);
            if !copy.exists() && std::fs::create_dir_all(&kept).is_ok() {
                // A version that cannot be kept can still be run now; only going back to it later is lost.
                if let Err(error) = std::fs::write(&copy, content) {
                    tracing::warn!(%error, copy = %copy.display(), "cannot keep this version of the code");
                }
            }
        }
        match (version, current) {
            (None, current) => current.map(|(id, content)| ObjectVersion { id, content: Some(content.into()) }),
            (Some(id), Some((newest, content))) if id == newest => {
                Some(ObjectVersion { id: newest, content: Some(content.into()) })
            }
            (Some(id), _) if id.chars().all(|character| character.is_ascii_hexdigit()) => std::fs::read(kept.join(id))
                .ok()
                .map(|content| ObjectVersion { id: id.to_owned(), content: Some(content.into()) }),
            (Some(_), _) => None,
        }
    }
}

/// `<root>/<bucket>/<key>`, unless that would leave the root.
fn confined(root: &Path, bucket: &str, key: &str) -> Option<PathBuf> {
    let relative = Path::new(bucket).join(key);
    let inside = relative.components().all(|component| matches!(component, std::path::Component::Normal(_)));
    inside.then(|| root.join(relative))
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_a_version_of_its_own() {
        let store = CodeStore::in_memory();
        let first = store.put("code", "orders.jar", "one");
        let second = store.put("code", "orders.jar", "two");
        assert_ne!(first, second);
        assert_eq!(store.get("code", "orders.jar", None).unwrap().content, "two");
        assert_eq!(store.get("code", "orders.jar", Some(&first)).unwrap().content, "one");
        assert_eq!(store.get("code", "orders.jar", Some("unknown")), None);
        assert_eq!(store.get("code", "other.jar", None), None);
    }

    #[test]
    fn a_deleted_object_can_be_had_by_its_version_until_that_is_deleted_too() {
        let store = CodeStore::in_memory();
        let version = store.put("code", "orders.jar", "one");
        store.delete("code", "orders.jar");
        assert_eq!(store.get("code", "orders.jar", None), None);
        assert_eq!(store.get("code", "orders.jar", Some(&version)).unwrap().content, "one");
        store.delete_all_versions("code", "orders.jar");
        assert_eq!(store.get("code", "orders.jar", Some(&version)), None);
    }

    #[test]
    fn a_folder_keeps_what_a_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        let store = CodeStore::folder(folder.path(), kept.path()).unwrap();
        std::fs::create_dir(folder.path().join("code")).unwrap();
        std::fs::write(folder.path().join("code/orders.jar"), "one").unwrap();
        let first = store.get("code", "orders.jar", None).unwrap();
        std::fs::write(folder.path().join("code/orders.jar"), "two").unwrap();
        let second = store.get("code", "orders.jar", None).unwrap();
        assert_eq!(second.content, "two");
        assert_ne!(first.object_version, second.object_version);
        assert_eq!(store.get("code", "orders.jar", first.object_version.as_deref()).unwrap().content, "one");
        std::fs::remove_file(folder.path().join("code/orders.jar")).unwrap();
        assert_eq!(store.get("code", "orders.jar", None), None);
        assert_eq!(store.get("code", "orders.jar", second.object_version.as_deref()).unwrap().content, "two");
    }

    #[test]
    fn a_folder_is_not_left() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = outside.path().join("folder");
        let store = CodeStore::folder(&folder, &outside.path().join("kept")).unwrap();
        std::fs::create_dir(folder.join("code")).unwrap();
        assert_eq!(store.get("code", "../../secret", None), None);
        assert_eq!(store.get("..", "secret", None), None);
        assert_eq!(store.get("code", "orders.jar", Some("../../../secret")), None);
    }
}
