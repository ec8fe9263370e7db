//! An application's snapshots: what each is, and all of them in order and by name.
//!
//! What applications were is remembered for stale reads, with every change of a snapshot; so the collection shares its
//! structure with its earlier states. Thousands of snapshots that are deleted one by one would otherwise be copied
//! thousands of times.

use std::sync::Arc;

use jiff::Timestamp;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::application::epoch_seconds;
use crate::data_plane::SnapshotHandle;

/// `SnapshotStatus`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SnapshotStatus {
    /// `CREATING`
    Creating,
    /// `READY`
    #[default]
    Ready,
    /// `DELETING`
    Deleting,
    /// `FAILED`
    Failed,
}

impl SnapshotStatus {
    /// The status as the service writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Ready => "READY",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
        }
    }
}

/// A snapshot's place among an application's: when it was created, in whole seconds, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) second: i64,
    pub(crate) sequence: u64,
}

/// A snapshot of an application's state.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Order of creation.
    pub(crate) sequence: u64,
    pub(crate) name: String,
    pub(crate) status: SnapshotStatus,
    pub(crate) version: u64,
    pub(crate) runtime: String,
    pub(crate) encryption: Option<Value>,
    pub(crate) created: Timestamp,
    pub(crate) automatic: bool,
    /// Number of the job that it is of; 0 for one that was planted.
    pub(crate) job: u64,
    /// Jobs whose state it holds, the oldest first, `job` the last.
    pub(crate) lineage: Vec<u64>,
    pub(crate) handle: Option<SnapshotHandle>,
}

impl Snapshot {
    pub(crate) fn place(&self) -> Place {
        Place { second: self.created.as_second(), sequence: self.sequence }
    }

    /// `SnapshotDetails`.
    pub(crate) fn details(&self) -> Value {
        let mut details = json!({
            "SnapshotName": self.name,
            "SnapshotStatus": self.status.name(),
            "ApplicationVersionId": self.version,
            "SnapshotCreationTimestamp": epoch_seconds(self.created),
            "RuntimeEnvironment": self.runtime,
        });
        if let Some(encryption) = &self.encryption {
            details["ApplicationEncryptionConfigurationDescription"] = encryption.clone();
        }
        details
    }
}

/// The snapshots of an application. A clone costs nothing and stays what it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshots {
    by_place: RedBlackTreeMapSync<Place, Arc<Snapshot>>,
    by_name: HashTrieMapSync<String, Place>,
}

impl Snapshots {
    pub(crate) fn len(&self) -> usize {
        self.by_place.size()
    }

    /// Takes a snapshot in, or anew.
    pub(crate) fn put(&mut self, snapshot: Snapshot) {
        let place = snapshot.place();
        self.by_name.insert_mut(snapshot.name.clone(), place);
        self.by_place.insert_mut(place, Arc::new(snapshot));
    }

    pub(crate) fn at(&self, place: Place) -> Option<&Arc<Snapshot>> {
        self.by_place.get(&place)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Snapshot>> {
        self.by_name.get(name).and_then(|place| self.at(*place))
    }

    /// Takes a snapshot out.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Arc<Snapshot>> {
        let snapshot = Arc::clone(self.at(place)?);
        self.by_place.remove_mut(&place);
        self.by_name.remove_mut(&snapshot.name);
        Some(snapshot)
    }

    /// All of them, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.by_place.values().rev()
    }

    /// Those before a place, or all, the newest first.
    pub(crate) fn before(&self, place: Option<Place>) -> impl Iterator<Item = &Arc<Snapshot>> {
        let below = place.unwrap_or(Place { second: i64::MAX, sequence: u64::MAX });
        self.by_place.range(..below).rev().map(|(_, snapshot)| snapshot)
    }
}
