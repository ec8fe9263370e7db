//! What the tasks tell the person: progress and complaints on standard error, results on standard output, so that a
//! task's result can be piped on while its progress stays visible.

use std::error::Error;
use std::io::{self, Write};

/// One line of progress.
pub(crate) fn progress(task: &str, message: &str) {
    line_to(&mut io::stderr().lock(), &format!("{task}: {message}"));
}

/// One line as it is, on standard error.
pub(crate) fn line(message: &str) {
    line_to(&mut io::stderr().lock(), message);
}

/// One line of the task's result, on standard output.
pub(crate) fn result(message: &str) {
    line_to(&mut io::stdout().lock(), message);
}

/// An error with everything that led to it.
pub(crate) fn error(error: &dyn Error) {
    line(&format!("error: {}", with_causes(error)));
}

/// The error's message and those of its sources, in one line each.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str("\n  caused by: ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

// Nobody may be listening any more (a closed pipe); the task's exit code still tells.
fn line_to(stream: &mut impl Write, message: &str) {
    let _ = writeln!(stream, "{message}");
    let _ = stream.flush();
}
