//! What the page says in words of its own.

use std::time::Duration;

use jiff::Timestamp;
use lifecycle::report::Outcome;

/// Longest text of anything that comes from the data, in characters.
const LONGEST_TEXT: usize = 1_200;

/// Time since the beginning, as `02:05` or `1:02:05`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes:02}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// A moment, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The same as machines read it.
pub(super) fn machine_moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A text of the data, as far as anybody reads it.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// With its first letter in upper case.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// An outcome as a heading.
pub(super) fn heading(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Deployed => "Deployed",
        Outcome::NoChange => "No change",
        Outcome::RolledBack => "Rolled back",
        Outcome::Restored => "Restored",
        Outcome::Superseded => "Superseded",
        Outcome::Refused => "Refused",
        Outcome::NeedsAttention => "Needs attention",
    }
}

/// What an outcome means.
pub(super) fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Deployed => "The change is live and verified.",
        Outcome::NoChange => "The application was as the request wants it, and its job is well. Nothing was touched.",
        Outcome::RolledBack => "The change was bad. The previous version runs again, with its state.",
        Outcome::Restored => "The change was bad. The previous configuration is back.",
        Outcome::Superseded => "A newer change, or a person, has taken over. Nothing more was touched.",
        Outcome::Refused => "The request cannot be carried out. The application was not changed.",
        Outcome::NeedsAttention => "A person has to look. Nothing acts on the application until then.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_second() {
        assert_eq!([0, 65, 3_725].map(|second| clock(Duration::from_secs(second))), ["00:00", "01:05", "1:02:05"]);
        assert_eq!(moment(Timestamp::UNIX_EPOCH), "1970-01-01 00:00:00 UTC");
        assert_eq!(machine_moment(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn texts_have_an_end() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ä".repeat(5_000)).chars().count(), LONGEST_TEXT + 1);
        assert_eq!((sentence("roll back"), sentence("")), ("Roll back".to_owned(), String::new()));
    }
}
