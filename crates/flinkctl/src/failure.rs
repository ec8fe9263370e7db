//! What went wrong, in a sentence, with what to do next and a code for scripts.

use std::fmt;
use std::io;

use lifecycle::refusal::Refusal;
use lifecycle::report::Outcome;
use managed_flink::{Error, ErrorKind};

/// How the program ends; the number is its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// As asked.
    Done = 0,
    /// A call failed, or something is not there.
    Failed = 1,
    /// The arguments cannot be meant.
    Misuse = 2,
    /// The change was found bad and was undone.
    Undone = 3,
    /// A person has to look.
    NeedsAttention = 4,
    /// The request was refused; nothing was touched.
    Refused = 5,
    /// The execution was cut short before it could tell an outcome.
    CutShort = 6,
    /// Ctrl-C. The deployment goes on.
    Interrupted = 130,
    /// Nobody reads standard output any more. The deployment goes on.
    NobodyReads = 141,
}

impl Exit {
    /// How a deployment with this outcome ends the program.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deployed | Outcome::NoChange | Outcome::Superseded => Self::Done,
            Outcome::RolledBack | Outcome::Restored => Self::Undone,
            Outcome::NeedsAttention => Self::NeedsAttention,
            Outcome::Refused => Self::Refused,
        }
    }
}

/// Why it could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong: a sentence.
    pub what: String,
    /// What to do next, if anything: a sentence.
    pub cure: Option<String>,
}

impl Failure {
    /// This failed; that is what to do.
    pub fn new(exit: Exit, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { exit, what: what.into(), cure: Some(cure.into()) }
    }

    /// The arguments cannot be meant.
    pub fn misuse(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Exit::Misuse, what, cure)
    }

    /// Something is not there, or not as it should be.
    pub fn failed(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what, cure)
    }

    /// The request is refused, for these reasons.
    pub fn refused(refusals: &[Refusal]) -> Self {
        let what: Vec<String> = refusals.iter().map(|it| format!("{}: {}", it.field, it.problem)).collect();
        let cure: Vec<String> = refusals.iter().map(|it| format!("{}: {}", it.field, it.cure)).collect();
        Self::new(Exit::Refused, format!("Refused, nothing was touched. {}.", what.join(". ")), cure.join(". "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)?;
        self.cure.as_ref().map_or(Ok(()), |cure| write!(formatter, "\n{cure}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self {
                exit: Exit::NobodyReads,
                what: "Nobody reads standard output any more.".to_owned(),
                cure: Some("What was begun goes on; `flinkctl follow` tells of it.".to_owned()),
            },
            _ => Self { exit: Exit::Failed, what: format!("Input or output failed: {error}."), cure: None },
        }
    }
}

/// Codes by which the services say that whoever signed is not known, or not any more.
const UNKNOWN_SIGNER: [&str; 6] = [
    "ExpiredToken",
    "InvalidClientTokenId",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "UnrecognizedClient",
    "IncompleteSignature",
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let is_unknown = UNKNOWN_SIGNER.iter().any(|code| error.message().starts_with(code));
        let cure = match error.kind() {
            ErrorKind::AccessDenied if is_unknown => {
                "The credentials are not valid, or not any more: sign in again, or choose others with --profile."
                    .to_owned()
            }
            ErrorKind::AccessDenied => format!(
                "These credentials may not call {}: see docs/flinkctl.md for the permissions of each command.",
                error.operation()
            ),
            ErrorKind::Throttled => "Too many calls just now: try again in a minute.".to_owned(),
            ErrorKind::Unavailable => {
                "Try again. If it goes on: is the network in order, and the region (--region) or the endpoint \
                 (--endpoint-url) the right one?"
                    .to_owned()
            }
            _ => "See what the service says, and the arguments.".to_owned(),
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
        Self::failed(format!("{error}{cause}."), cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let codes = [
            (Outcome::Deployed, 0),
            (Outcome::NoChange, 0),
            (Outcome::Superseded, 0),
            (Outcome::RolledBack, 3),
            (Outcome::Restored, 3),
            (Outcome::NeedsAttention, 4),
            (Outcome::Refused, 5),
        ];
        for (outcome, code) in codes {
            assert_eq!(Exit::of(outcome) as u8, code, "{outcome}");
            assert_eq!(Exit::of(outcome) == Exit::Done, outcome.is_success(), "{outcome}");
        }
    }

    #[test]
    fn a_failure_tells_what_to_do() {
        let expired = Failure::from(Error::unreadable("ListExecutions", "the list does not end"));
        assert_eq!(expired.exit, Exit::Failed);
        assert!(expired.to_string().contains("ListExecutions"), "{expired}");
        let refusals = [Refusal::new("restore.type", "no snapshot", "take one first")];
        let refused = Failure::refused(&refusals).to_string();
        assert_eq!(refused, "Refused, nothing was touched. restore.type: no snapshot.\nrestore.type: take one first");
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit, Exit::NobodyReads);
    }
}
