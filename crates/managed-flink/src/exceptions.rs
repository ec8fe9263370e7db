//! Finds in Flink's exceptions what a person wants to read: the oldest failure that Flink still knows of, because later
//! failures of a loop are echoes of the first.

use jiff::Timestamp;
use serde::Deserialize;

/// The answer of `/jobs/:id/exceptions`. Flink 1.x has `root-exception` beside the history, 2.x the history only.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exceptions {
    #[serde(default)]
    exception_history: History,
    #[serde(rename = "root-exception")]
    root_exception: Option<String>,
}

#[derive(Deserialize, Default)]
struct History {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    exception_name: Option<String>,
    stacktrace: Option<String>,
    task_name: Option<String>,
    #[serde(default)]
    timestamp: i64,
}

/// A failure as Flink tells it: nothing struck out, nothing shortened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Class of the outermost exception.
    pub(crate) exception: String,
    pub(crate) stacktrace: String,
    pub(crate) task: Option<String>,
    pub(crate) at: Option<Timestamp>,
}

impl Exceptions {
    /// The oldest failure that is known.
    pub(crate) fn oldest(self) -> Option<Told> {
        let oldest = self.exception_history.entries.into_iter().min_by_key(|entry| entry.timestamp);
        let (exception, stacktrace, task, at) = match oldest {
            Some(entry) => {
                let at = Timestamp::from_millisecond(entry.timestamp).ok().filter(|_| entry.timestamp > 0);
                (entry.exception_name, entry.stacktrace, entry.task_name, at)
            }
            None => (None, Some(self.root_exception?), None, None),
        };
        let exception = exception.unwrap_or_else(|| UNNAMED.to_owned());
        let stacktrace = stacktrace.filter(|stacktrace| !stacktrace.trim().is_empty());
        Some(Told { stacktrace: stacktrace.unwrap_or_else(|| exception.clone()), exception, task, at })
    }
}

/// Stands for the class of an exception that Flink does not name.
pub(crate) const UNNAMED: &str = "an exception";
/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 300;

pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_MESSAGE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oldest(json: &str) -> Option<Told> {
        serde_json::from_str::<Exceptions>(json).unwrap().oldest()
    }

    #[test]
    fn the_history_is_read_before_the_root_exception_and_both_may_be_missing() {
        let told = oldest(
            r#"{"root-exception":"a.B: x","exceptionHistory":{"entries":[
            {"exceptionName":"c.D","stacktrace":"c.D: new","timestamp":2},
            {"exceptionName":"e.F","stacktrace":"e.F: old","timestamp":1,"taskName":"sink"}]}}"#,
        );
        let at = Timestamp::from_millisecond(1).unwrap();
        let expected =
            Told { exception: "e.F".into(), stacktrace: "e.F: old".into(), task: Some("sink".into()), at: Some(at) };
        assert_eq!(told, Some(expected));
        let told = oldest(r#"{"root-exception":"a.B: x","exceptionHistory":{"entries":[]}}"#).unwrap();
        assert_eq!(told.stacktrace, "a.B: x");
        let told = oldest(r#"{"exceptionHistory":{"entries":[{"exceptionName":"c.D","stacktrace":" "}]}}"#).unwrap();
        assert_eq!(told.stacktrace, "c.D");
        assert_eq!(oldest("{}"), None);
        assert_eq!(oldest(r#"{"root-exception":null}"#), None);
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(shortened(&"é".repeat(301)), format!("{}…", "é".repeat(299)));
    }
}
