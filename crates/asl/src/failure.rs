//! What makes a state fail, in the names that Retry and Catch match, and the rules by which they match.

/// Matches every error name except the terminal ones.
pub(crate) const ALL: &str = "States.ALL";
/// Matches what [`ALL`] matches, except a time-out.
pub(crate) const TASK_FAILED: &str = "States.TaskFailed";
pub(crate) const TIMEOUT: &str = "States.Timeout";
pub(crate) const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
pub(crate) const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
pub(crate) const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
pub(crate) const RUNTIME: &str = "States.Runtime";

/// Names that the service reserves and that an `ErrorEquals` may hold.
pub(crate) const RESERVED: [&str; 15] = [
    ALL,
    TASK_FAILED,
    TIMEOUT,
    QUERY_EVALUATION_ERROR,
    NO_CHOICE_MATCHED,
    DATA_LIMIT_EXCEEDED,
    RUNTIME,
    "States.HeartbeatTimeout",
    "States.Permissions",
    "States.BranchFailed",
    "States.ExceedToleratedFailureThreshold",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.ResultWriterFailed",
];

/// A failure of a state, before Retry and Catch have had their say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A Fail may have none.
    pub(crate) error: Option<String>,
    /// Time-outs and a Fail may have none.
    pub(crate) cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: Some(error.to_owned()), cause: Some(cause.into()) }
    }

    pub(crate) fn timeout() -> Self {
        Self { error: Some(TIMEOUT.to_owned()), cause: None }
    }

    /// The error's name, which is empty where there is none.
    pub(crate) fn name(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }
}

/// Whether an `ErrorEquals` list matches an error name.
///
/// `States.Runtime` always fails the execution, even where it is named; `States.DataLimitExceeded` is matched by its
/// own name only.
pub(crate) fn matches(error_equals: &[String], error: &str) -> bool {
    if error == RUNTIME {
        return false;
    }
    error_equals.iter().any(|name| match name.as_str() {
        ALL => error != DATA_LIMIT_EXCEEDED,
        TASK_FAILED => error != DATA_LIMIT_EXCEEDED && error != TIMEOUT,
        name => name == error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_what_the_service_says_they_match() {
        let table = [
            // error, States.ALL, States.TaskFailed, its own name
            ("Lambda.Unknown", true, true, true),
            ("ThrottledError", true, true, true),
            (QUERY_EVALUATION_ERROR, true, true, true),
            (TASK_FAILED, true, true, true),
            (TIMEOUT, true, false, true),
            (DATA_LIMIT_EXCEEDED, false, false, true),
            (RUNTIME, false, false, false),
        ];
        for (error, all, task_failed, own) in table {
            assert_eq!(matches(&[ALL.to_owned()], error), all, "{error} by States.ALL");
            assert_eq!(matches(&[TASK_FAILED.to_owned()], error), task_failed, "{error} by States.TaskFailed");
            assert_eq!(matches(&["Other".to_owned(), error.to_owned()], error), own, "{error} by its name");
            assert!(!matches(&["Other".to_owned()], error), "{error} by another name");
        }
    }
}
