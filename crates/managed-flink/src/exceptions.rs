//! Finds in Flink's exceptions what a person wants to read: the innermost cause of the oldest failure that Flink still
//! knows of, because later failures of a loop are echoes of the first.

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
    pub(crate) stacktrace: String,
    pub(crate) task: Option<String>,
}

impl Exceptions {
    /// The oldest failure that is known.
    pub(crate) fn oldest(self) -> Option<Told> {
        let oldest = self.exception_history.entries.into_iter().min_by_key(|entry| entry.timestamp);
        match oldest {
            Some(entry) => {
                let stacktrace = entry.stacktrace.filter(|stacktrace| !stacktrace.trim().is_empty());
                Some(Told { stacktrace: stacktrace.or(entry.exception_name)?, task: entry.task_name })
            }
            None => self.root_exception.map(|stacktrace| Told { stacktrace, task: None }),
        }
    }
}

/// Exceptions that only carry another one.
const WRAPPERS: [&str; 6] = [
    "java.lang.reflect.InvocationTargetException",
    "java.lang.reflect.UndeclaredThrowableException",
    "java.util.concurrent.CompletionException",
    "java.util.concurrent.ExecutionException",
    "org.apache.flink.streaming.runtime.tasks.AsynchronousException",
    "org.apache.flink.util.SerializedThrowable",
];
/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 300;

/// Class and first line of the message of the innermost cause in a stack trace that says something.
pub(crate) fn innermost_cause(stacktrace: &str) -> (String, String) {
    let causes: Vec<(&str, &str)> = stacktrace
        .lines()
        .enumerate()
        // Indented ones belong to suppressed exceptions.
        .filter_map(|(index, line)| if index == 0 { Some(line) } else { line.strip_prefix("Caused by: ") })
        .map(class_and_message)
        .collect();
    let innermost = causes.iter().rposition(|(class, _)| !WRAPPERS.contains(class)).unwrap_or(0);
    let (class, _) = causes.get(innermost).copied().unwrap_or_default();
    // A cause without words of its own is explained by those of the exception around it.
    let message = causes.iter().take(innermost + 1).rev().map(|(_, message)| *message).find(|text| !text.is_empty());
    (class.to_owned(), shortened(message.unwrap_or("no message")))
}

fn class_and_message(line: &str) -> (&str, &str) {
    let (class, message) = line.trim().split_once(": ").unwrap_or((line.trim().trim_end_matches(':'), ""));
    // A wrapper's message is the exception that it carries, and sometimes all that is left of it.
    if WRAPPERS.contains(&class) && message.split(": ").next().is_some_and(is_class) {
        return class_and_message(message);
    }
    (class, message.trim())
}

fn is_class(text: &str) -> bool {
    text.contains('.') && text.chars().all(|character| character.is_alphanumeric() || "._$".contains(character))
}

pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_MESSAGE - 1).chain(['…']).collect()
}
