//! Bounds of what the service and Flink call things. Names, ids and statuses are carried along in the state machine, which
//! has little room: one that is longer than any real one makes the answer one that makes no sense.

use serde::{Deserialize, Deserializer};

/// Bytes of the longest word: an ARN.
pub(crate) const LONGEST_WORD: usize = 2_048;
const TOO_LONG: &str = "longer than any name of the service's";

/// Reads a text of the service's that is carried along.
pub(crate) fn read<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    if is_too_long(&word) { Err(serde::de::Error::custom(TOO_LONG)) } else { Ok(word.into()) }
}

/// Reads one that may be missing or null.
pub(crate) fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(word) if is_too_long(&word) => Err(serde::de::Error::custom(TOO_LONG)),
        word => Ok(word),
    }
}

pub(crate) fn is_too_long(word: &str) -> bool {
    word.len() > LONGEST_WORD
}
