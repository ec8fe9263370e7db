//! A stack trace as the JVM prints it: what was thrown, what that was caused by, and where.

/// Exceptions that only carry another one.
const WRAPPERS: [&str; 6] = [
    "java.lang.reflect.InvocationTargetException",
    "java.lang.reflect.UndeclaredThrowableException",
    "java.util.concurrent.CompletionException",
    "java.util.concurrent.ExecutionException",
    "org.apache.flink.streaming.runtime.tasks.AsynchronousException",
    "org.apache.flink.util.SerializedThrowable",
];
/// Packages of the JDK.
const JDK: [&str; 5] = ["java.", "javax.", "jdk.", "sun.", "com.sun."];
/// Packages of what jobs are built from, beside the JDK's: what is in none of them is taken for the job's own.
const LIBRARIES: [&str; 14] = [
    "org.apache.",
    "com.amazonaws.",
    "software.amazon.",
    "com.esotericsoftware.",
    "com.fasterxml.",
    "com.google.",
    "com.typesafe.",
    "io.confluent.",
    "io.netty.",
    "kotlin.",
    "org.rocksdb.",
    "org.slf4j.",
    "org.springframework.",
    "scala.",
];
/// Before each exception but the outermost.
const CAUSED_BY: &str = "Caused by: ";
/// Stands for the message of an exception that has none.
pub(super) const NO_MESSAGE: &str = "no message";
/// Between what the service says and the trace that it cuts.
const STACK_TRACE: &str = " StackTrace: ";
/// Longest name of a class or a frame that is believed, in characters.
const LONGEST_NAME: usize = 200;

/// A stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace<'a> {
    thrown: Vec<Thrown<'a>>,
}

/// One exception of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thrown<'a> {
    /// Its class, such as `java.lang.IllegalStateException`.
    pub(super) class: &'a str,
    /// The first line of its message; empty where it has none.
    pub(super) message: &'a str,
    frames: Vec<&'a str>,
}

impl Thrown<'_> {
    /// The class without its package.
    pub(super) fn simple_class(&self) -> &str {
        self.class.rsplit(['.', '$']).next().unwrap_or(self.class)
    }

    /// Whether the job's own code threw it: by a class of its own, or right there, or through nothing but the JDK.
    pub(super) fn is_own(&self) -> bool {
        // A name that was cut short ends with a part of its package.
        let is_whole = self.simple_class().starts_with(char::is_uppercase);
        let is_own_class = is_whole && is_class(self.class) && is_own(self.class);
        let first = self.frames.iter().find(|frame| !begins_with(frame, &JDK));
        is_own_class || first.is_some_and(|frame| is_own(frame))
    }
}

impl<'a> Trace<'a> {
    /// Reads a trace. Any text is one: of what is no trace, the first line is the exception. On that line the service puts
    /// the innermost cause before the trace, since it cuts what is long.
    pub fn read(text: &'a str) -> Self {
        let parts = text.split_once(STACK_TRACE).filter(|(cause, _)| !cause.trim_start().contains('\n'));
        let Some((cause, trace)) = parts else { return Self::read_plain(text) };
        let mut read = Self::read_plain(trace);
        read.thrown.push(Thrown::of(cause));
        read
    }

    fn read_plain(text: &'a str) -> Self {
        let mut lines = text.trim_start().lines();
        // The service joins some lines.
        let mut thrown: Vec<_> = lines.next().unwrap_or_default().split(CAUSED_BY).map(Thrown::of).collect();
        for line in lines {
            // What is indented more belongs to suppressed exceptions.
            if let Some(cause) = line.strip_prefix(CAUSED_BY) {
                thrown.push(Thrown::of(cause));
            } else if let Some(frame) = line.strip_prefix("\tat ").and_then(frame)
                && let Some(last) = thrown.last_mut()
            {
                last.frames.push(frame);
            }
        }
        Self { thrown }
    }

    /// Class and first line of the message of the innermost cause that says something.
    pub fn innermost_cause(&self) -> (&'a str, &'a str) {
        let innermost = self.innermost();
        let class = self.thrown.get(innermost).map(|thrown| thrown.class).unwrap_or_default();
        // A cause without words of its own is explained by those of the exception around it.
        let around = self.thrown.iter().take(innermost + 1).rev();
        let message = around.map(|thrown| thrown.message).find(|message| !message.is_empty());
        (class, message.unwrap_or(NO_MESSAGE))
    }

    /// Where the job's own code is in it, as `com.example.Orders.map(Orders.java:12)`: nearest to the innermost cause.
    pub fn own_frame(&self) -> Option<&'a str> {
        self.causes().flat_map(|thrown| thrown.frames.iter().copied()).find(|frame| is_own(frame))
    }

    /// All that was thrown, the innermost first.
    pub(super) fn causes(&self) -> impl Iterator<Item = &Thrown<'a>> {
        self.thrown.iter().rev()
    }

    /// The innermost cause that says something.
    pub(super) fn root(&self) -> Option<&Thrown<'a>> {
        self.thrown.get(self.innermost())
    }

    fn innermost(&self) -> usize {
        self.thrown.iter().rposition(|thrown| !WRAPPERS.contains(&thrown.class)).unwrap_or(0)
    }
}

impl<'a> Thrown<'a> {
    fn of(line: &'a str) -> Self {
        let (class, message) = class_and_message(line);
        Self { class, message, frames: Vec::new() }
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

/// A frame without the names of its class loader and module, and without what is packed where.
fn frame(line: &str) -> Option<&str> {
    let end = line.find(')')?;
    let frame = line.get(..=end)?;
    let frame = frame.split_once('(').and_then(|(method, _)| frame.get(method.rfind('/').map_or(0, |at| at + 1)..))?;
    let is_name = |character: char| character.is_alphanumeric() || "._$<>():- ".contains(character);
    (frame.chars().count() <= LONGEST_NAME && frame.chars().all(is_name)).then_some(frame)
}

fn is_own(name: &str) -> bool {
    name.contains('.') && !begins_with(name, &JDK) && !begins_with(name, &LIBRARIES)
}

fn begins_with(name: &str, packages: &[&str]) -> bool {
    packages.iter().any(|package| name.starts_with(package))
}

/// Whether it can be the name of a class, which holds no secret.
pub fn is_class(text: &str) -> bool {
    text.chars().count() <= LONGEST_NAME
        && text.contains('.')
        && text.chars().all(|character| character.is_alphanumeric() || "._$".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Internal server error. Caused by: c.D: inner", "c.D", "inner"),
            ("c.D: inner. StackTrace: java.util.concurrent.CompletionException: a.B: outer\n\tat x.y", "c.D", "inner."),
            ("c.D: inner StackTrace: ", "c.D", "inner"),
            ("a.B: outer\nCaused by: c.D: no StackTrace: here\nCaused by: e.F: inner", "e.F", "inner"),
            ("", "", "no message"),
        ];
        for (stacktrace, class, message) in cases {
            assert_eq!(Trace::read(stacktrace).innermost_cause(), (class, message), "{stacktrace}");
        }
    }

    #[test]
    fn the_own_frame_is_the_one_nearest_to_the_cause() {
        let trace = "java.lang.RuntimeException: x\n\tat org.apache.flink.A.b(A.java:1)\n\tat com.example.Job.open(Job.java:7)\n\
                     Caused by: java.lang.Error: y\n\tat java.base/java.net.Socket.connect(Unknown Source)\n\
                     \tat app//com.example.Client.<init>(Client.java:12) ~[job.jar:?]\n\tat com.example.Job.open(Job.java:6)";
        assert_eq!(Trace::read(trace).own_frame(), Some("com.example.Client.<init>(Client.java:12)"));
        let only_outside = "java.lang.RuntimeException: x\n\tat com.example.Job.main(Job.scala:7)\nCaused by: java.lang.Error: y\n\
                            \tat java.base/java.net.Socket.connect(Unknown Source)";
        assert_eq!(Trace::read(only_outside).own_frame(), Some("com.example.Job.main(Job.scala:7)"));
        for none in
            ["a.B: x", "a.B: x\n\tat org.apache.flink.A.b(A.java:1)", "a.B: x\n\tat what is no frame", "\tat ()", ""]
        {
            assert_eq!(Trace::read(none).own_frame(), None, "{none}");
        }
        let too_long = format!("a.B: x\n\tat com.{}.Job.main(Job.java:7)", "x".repeat(LONGEST_NAME));
        assert_eq!(Trace::read(&too_long).own_frame(), None);
        assert_eq!(Trace::read("a.B: x\n\tat com.example.Job.\"quoted\"(Job.java:7)").own_frame(), None);
    }

    #[test]
    fn what_the_jobs_code_threw_is_its_own() {
        let is_own = |trace: &str| Trace::read(trace).root().unwrap().is_own();
        assert!(is_own("com.example.NoSuchOrder: 12"));
        assert!(is_own("java.lang.IllegalStateException: x\n\tat com.example.Job.open(Job.java:7)"));
        assert!(is_own(
            "java.lang.NumberFormatException: x\n\tat java.base/java.lang.Long.parseLong(Unknown Source)\n\tat com.example.Job.map(Job.java:7)"
        ));
        assert!(!is_own(
            "java.lang.IllegalStateException: x\n\tat org.apache.kafka.Client.poll(Client.java:1)\n\tat com.example.Job.map(Job.java:7)"
        ));
        for not in
            ["java.lang.IllegalStateException: x", "org.apache.flink.util.FlinkException: x", "what is no class", ""]
        {
            assert!(!is_own(not), "{not}");
        }
    }
}
