//! Why a step failed. The names are an API: the definitions in `statemachine/` match them.

use lambda_runtime::Diagnostic;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event is not what the state machine sends.
    #[error("the event cannot be read at {path}: {problem}")]
    InvalidEvent {
        /// Where in the event.
        path: String,
        /// What is wrong; without values.
        problem: &'static str,
    },
    /// A call failed.
    #[error(transparent)]
    Call(#[from] managed_flink::Error),
    /// The step's result could not be written.
    #[error("the result cannot be written as JSON")]
    Result(#[source] serde_json::Error),
    /// A notification could not be sent.
    #[error("{channel} did not take the notification: {problem}")]
    NotificationFailed {
        /// `SNS` or `EventBridge`.
        channel: &'static str,
        /// What it said.
        problem: String,
    },
}

impl Error {
    /// The name that Retry and Catch match. Stable.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidEvent { .. } => "InvalidEvent",
            Self::Call(error) => error.name(),
            Self::Result(_) => "UnwritableResult",
            Self::NotificationFailed { .. } => "NotificationFailed",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.to_string() }
    }
}
