//! Where the code of the applications lies: in memory for tests, in a folder (`<folder>/<bucket>/<key>`) in which a file
//! that changes is a new object version, or in buckets behind the S3 API.

mod s3;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::data_plane::CodeObject;
use s3::S3;

/// Largest code package that the service takes, in bytes.
pub const LARGEST_CODE_BYTES: u64 = 512 * 1024 * 1024;

/// A folder that cannot be used for code.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} for application code")]
pub struct CodeFolderError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// An endpoint of the S3 API that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum S3EndpointError {
    /// It is no `http` or `https` address.
    #[error("an S3 endpoint is an http or https address, not {0}")]
    Address(url::Url),
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client for S3")]
    Client(#[source] reqwest::Error),
}

/// Where the code of an application is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeLocation {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The newest if there is none.
    pub(crate) version: Option<String>,
}

/// Why the code of an application cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeError {
    /// It is not there, or may not be read.
    Unreadable,
    /// It is larger than the service takes.
    TooLarge,
}

/// Buckets with object versions. Clones share the content.
#[derive(Debug, Clone)]
pub struct CodeStore {
    objects: Arc<Mutex<Objects>>,
    folder: Option<Arc<Folder>>,
    s3: Option<Arc<S3>>,
}

#[derive(Debug, Default)]
struct Objects {
    versions: BTreeMap<(String, String), Vec<ObjectVersion>>,
    /// Names of those that were created, or were put into.
    buckets: BTreeSet<String>,
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
        Self { objects: Arc::default(), folder: None, s3: None }
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
            s3: None,
        })
    }

    /// The buckets behind an endpoint of the S3 API, in path style, read with the credentials and for the region of
    /// `config` (without a region: `us-east-1`; without credentials: unsigned). What is put by [`CodeStore::put`] stays in
    /// memory and comes before the buckets.
    pub fn s3(endpoint: url::Url, config: &aws_config::SdkConfig) -> Result<Self, S3EndpointError> {
        let s3 = Arc::new(S3::new(endpoint, config)?);
        Ok(Self { objects: Arc::default(), folder: None, s3: Some(s3) })
    }

    /// Lets there be a bucket of this name. Writing an object does the same for its own.
    pub fn create_bucket(&self, bucket: &str) {
        self.lock().buckets.insert(bucket.to_owned());
    }

    /// Whether there is a bucket of this name; of those behind an endpoint it is not known.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        let is_folder = |folder: &Arc<Folder>| confined(&folder.files, bucket, "").is_some_and(|path| path.is_dir());
        self.lock().buckets.contains(bucket) || self.folder.as_ref().is_some_and(is_folder)
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

    /// The object: its newest version, or the one asked for. None when there is no such object or version, when the newest
    /// is a delete marker, or when it would have to be fetched.
    pub fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> Option<CodeObject> {
        let version = version.map(str::to_owned);
        self.look_up(&CodeLocation { bucket: bucket.to_owned(), key: key.to_owned(), version })?.ok()
    }

    /// As [`CodeStore::get`], told why not; none when the object has to be fetched.
    pub(crate) fn look_up(&self, location: &CodeLocation) -> Option<Result<CodeObject, CodeError>> {
        let CodeLocation { bucket, key, version } = location;
        let version = version.as_deref();
        let stored = self.lock().versions.get(&(bucket.clone(), key.clone())).and_then(|versions| match version {
            Some(id) => versions.iter().find(|candidate| candidate.id == id).cloned(),
            None => versions.last().cloned(),
        });
        let found = match (stored, &self.folder, &self.s3) {
            (Some(found), _, _) => Ok(found),
            (None, Some(folder), _) => folder.read(bucket, key, version),
            (None, None, None) => Err(CodeError::Unreadable),
            (None, None, Some(_)) => return None,
        };
        Some(found.and_then(|found| {
            let content = found.content.ok_or(CodeError::Unreadable)?;
            if content.len() as u64 > LARGEST_CODE_BYTES {
                return Err(CodeError::TooLarge);
            }
            Ok(CodeObject { bucket: bucket.clone(), key: key.clone(), object_version: Some(found.id), content })
        }))
    }

    /// Fetches an object that [`CodeStore::look_up`] does not find here.
    pub(crate) async fn fetch(&self, location: &CodeLocation) -> Result<CodeObject, CodeError> {
        match &self.s3 {
            Some(s3) => s3.get(location).await,
            None => Err(CodeError::Unreadable),
        }
    }

    fn append(&self, bucket: &str, key: &str, content: Option<Bytes>) -> String {
        let mut objects = self.lock();
        objects.written += 1;
        let id = hash(format!("{bucket}/{key}/{}", objects.written).as_bytes());
        let version = ObjectVersion { id: id.clone(), content };
        if !objects.buckets.contains(bucket) {
            objects.buckets.insert(bucket.to_owned());
        }
        objects.versions.entry((bucket.to_owned(), key.to_owned())).or_default().push(version);
        id
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn read(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<ObjectVersion, CodeError> {
        let file = confined(&self.files, bucket, key).ok_or(CodeError::Unreadable)?;
        let kept = confined(&self.kept, bucket, key).ok_or(CodeError::Unreadable)?;
        let too_large = std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() > LARGEST_CODE_BYTES);
        let current = if too_large { None } else { std::fs::read(file).ok() };
        let current = current.map(|content| (hash(&content), Bytes::from(content)));
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
            (None, None) if too_large => Err(CodeError::TooLarge),
            (None, Some((id, content))) => Ok(ObjectVersion { id, content: Some(content) }),
            (Some(asked), Some((id, content))) if asked == id => Ok(ObjectVersion { id, content: Some(content) }),
            (Some(id), _) if id.chars().all(|character| character.is_ascii_hexdigit()) => {
                let content = std::fs::read(kept.join(id)).map_err(|_| CodeError::Unreadable)?;
                Ok(ObjectVersion { id: id.to_owned(), content: Some(content.into()) })
            }
            (None, None) | (Some(_), _) => Err(CodeError::Unreadable),
        }
    }
}

/// `<root>/<bucket>/<key>`, unless that would leave the root.
fn confined(root: &Path, bucket: &str, key: &str) -> Option<PathBuf> {
    let relative = Path::new(bucket).join(key);
    let inside = relative.components().all(|component| matches!(component, std::path::Component::Normal(_)));
    inside.then(|| root.join(relative))
}

/// Names content by itself: 32 hexadecimal digits.
pub(crate) fn hash(content: &[u8]) -> String {
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
    #[test]
    fn a_package_over_the_limit_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = CodeStore::folder(&folder.path().join("files"), &folder.path().join("kept")).unwrap();
        std::fs::create_dir(folder.path().join("files/code")).unwrap();
        // A hole: nothing of it is written, and nothing must read it.
        let file = std::fs::File::create(folder.path().join("files/code/orders.jar")).unwrap();
        file.set_len(LARGEST_CODE_BYTES + 1).unwrap();
        let look_up = |key: &str| {
            store.look_up(&CodeLocation { bucket: "code".to_owned(), key: key.to_owned(), version: None }).unwrap()
        };
        assert_eq!(look_up("orders.jar"), Err(CodeError::TooLarge));
        assert_eq!(look_up("absent.jar"), Err(CodeError::Unreadable));
    }
}
