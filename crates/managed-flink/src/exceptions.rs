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
    /// Class of the outermost exception.
    pub(crate) exception: String,
    pub(crate) stacktrace: String,
    pub(crate) task: Option<String>,
}

impl Exceptions {
    /// The oldest failure that is known.
    pub(crate) fn oldest(self) -> Option<Told> {
        let oldest = self.exception_history.entries.into_iter().min_by_key(|entry| entry.timestamp);
        let (exception, stacktrace, task) = match oldest {
            Some(entry) => (entry.exception_name, entry.stacktrace, entry.task_name),
            None => (None, Some(self.root_exception?), None),
        };
        let exception = exception.unwrap_or_else(|| UNNAMED.to_owned());
        let stacktrace = stacktrace.filter(|stacktrace| !stacktrace.trim().is_empty());
        Some(Told { stacktrace: stacktrace.unwrap_or_else(|| exception.clone()), exception, task })
    }
}

/// Stands for the class of an exception that Flink does not name.
pub(crate) const UNNAMED: &str = "an exception";
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

impl Told {
    /// Class and first line of the message of the innermost cause that says something.
    pub(crate) fn innermost_cause(&self) -> (&str, &str) {
        let mut lines = self.stacktrace.trim_start().lines();
        let outermost = lines.next().unwrap_or_default();
        // Indented causes belong to suppressed exceptions.
        let inner = lines.filter_map(|line| line.strip_prefix("Caused by: "));
        let causes: Vec<(&str, &str)> = std::iter::once(outermost).chain(inner).map(class_and_message).collect();
        let innermost = causes.iter().rposition(|(class, _)| !WRAPPERS.contains(class)).unwrap_or(0);
        let (class, _) = causes.get(innermost).copied().unwrap_or_default();
        // A cause without words of its own is explained by those of the exception around it.
        let around = causes.iter().take(innermost + 1).rev();
        let message = around.map(|(_, message)| *message).find(|message| !message.is_empty());
        (class, message.unwrap_or("no message"))
    }
}

fn class_and_message(line: &str) -> (&str, &str) {
    let (class, message) = line.trim().split_once(": ").unwrap_or((line.trim().trim_end_matches(':'), ""));
    // A wrapper's message is the exception that it carries, and sometimes all that is left of it.
    if WRAPPERS.contains(&class) && message.split(": ").next().is_some_and(is_class) {
        return class_and_message(message);
    }
    (class, message.trim())
}

/// Whether it can be the name of a class, which holds no secret.
pub(crate) fn is_class(text: &str) -> bool {
    text.len() <= LONGEST_MESSAGE
        && text.contains('.')
        && text.chars().all(|character| character.is_alphanumeric() || "._$".contains(character))
}

pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_MESSAGE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(stacktrace: &str) -> (String, String) {
        let told = Told { exception: "java.lang.Exception".into(), stacktrace: stacktrace.into(), task: None };
        let (class, message) = told.innermost_cause();
        (class.to_owned(), message.to_owned())
    }

    #[test]
    fn the_innermost_cause_that_says_something_is_told() {
        let cases = [
            ("a.B: words", "a.B", "words"),
            ("a.B: words: more words", "a.B", "words: more words"),
            ("a.B", "a.B", "no message"),
            ("a.B:", "a.B", "no message"),
            ("a.B: outer\n\tat x\nCaused by: c.D: inner\n\tat y", "c.D", "inner"),
            (
                "a.B: outer\nCaused by: java.lang.NullPointerException\n\tat y",
                "java.lang.NullPointerException",
                "outer",
            ),
            ("a.B: one\ntwo\n\tat x", "a.B", "one"),
            ("a.B: one\n\tSuppressed: s.S: aside\n\tCaused by: t.T: aside\n", "a.B", "one"),
            ("a.B: one\nCaused by: java.util.concurrent.CompletionException: c.D: inner", "c.D", "inner"),
            ("org.apache.flink.util.SerializedThrowable: c.D: inner: x", "c.D", "inner: x"),
            ("a.B: one\nCaused by: java.util.concurrent.ExecutionException: timed out", "a.B", "one"),
            ("java.util.concurrent.ExecutionException: all", "java.util.concurrent.ExecutionException", "all"),
            ("", "", "no message"),
        ];
        for (stacktrace, class, message) in cases {
            assert_eq!(cause(stacktrace), (class.to_owned(), message.to_owned()), "{stacktrace}");
        }
    }

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
        let expected = Told { exception: "e.F".into(), stacktrace: "e.F: old".into(), task: Some("sink".into()) };
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
