//! What the job's ledger wrote down; see `tests/flink-jobs/src/faultjobs/Ledger.java`.

use std::path::Path;

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Entry {
    pub(crate) event: String,
    pub(crate) checkpoint: i64,
    pub(crate) counted: i64,
    pub(crate) highest: i64,
    pub(crate) misplaced: i64,
}

impl Entry {
    /// Whether every number from 0 on was counted exactly once.
    pub(crate) fn is_exact(&self) -> bool {
        self.misplaced == 0 && self.counted == self.highest + 1
    }
}

/// All lines of the ledger in this folder; none before it is there.
pub(crate) fn read(folder: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(folder.join("ledger.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
