//! What failed first, as a report tells it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::trace::NO_MESSAGE;
use super::{Category, Kind, is_class};
use crate::evidence::Failure;
use crate::verdict::Reason;

/// Why a change was found bad, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootCause {
    /// Where it lies.
    pub category: Category,
    /// What it is.
    pub kind: Kind,
    /// Class of the exception that says most; none where there is no exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// First line of its message, or what the service said; without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The task that threw it; none for the job as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Where the job's own code is in the stack trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_frame: Option<String>,
    /// When it was seen first, by Flink's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// How often the job has restarted for it, or for what it led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// What it usually means.
    pub meaning: String,
    /// What to do about it.
    pub advice: String,
}

impl RootCause {
    /// The cause behind these reasons; none where there are none.
    pub fn of(failure: &[Reason]) -> Option<Self> {
        if failure.is_empty() {
            return None;
        }
        // Where the ones leave the cause open, the others may tell it; where none does, the most direct words are told.
        let by = |told_by: fn(&Reason) -> Option<Failure>| failure.iter().find_map(told_by);
        let mut told = [by(told_by_flink), by(told_by_log), by(told_by_service)];
        let plain = told.iter_mut().find(|told| told.as_ref().is_some_and(|told| is_plain(told.kind)));
        let told = match plain {
            Some(told) => told.take(),
            None => told.into_iter().flatten().next(),
        };
        let cause = match told {
            Some(failure) => Self::of_failure(failure),
            None => Self::of_kind(failure.iter().find_map(kind_of).unwrap_or_default()),
        };
        Some(Self { restarts: failure.iter().find_map(restarts_in), ..cause })
    }

    fn of_kind(kind: Kind) -> Self {
        Self {
            category: kind.category(),
            kind,
            exception: None,
            message: None,
            task: None,
            own_frame: None,
            first_at: None,
            restarts: None,
            meaning: kind.meaning().to_owned(),
            advice: kind.advice().to_owned(),
        }
    }

    fn of_failure(failure: Failure) -> Self {
        let Failure { exception, message, task, kind, own_frame, at } = failure;
        // What is no exception is told as it is.
        let (exception, message) = match &*message {
            _ if is_class(&exception) => (Some(exception), message),
            NO_MESSAGE => (None, exception),
            message => (None, format!("{exception}: {message}")),
        };
        Self { exception, message: Some(message), task, own_frame, first_at: at, ..Self::of_kind(kind) }
    }

    /// Whether it leaves open what failed first: the evidence tells nothing, or an effect, or has no words of its own.
    pub fn is_open(&self) -> bool {
        !is_plain(self.kind) || self.message.is_none()
    }

    /// In lines for people.
    pub fn lines(&self) -> Vec<String> {
        let thrown: Vec<_> = self.exception.iter().chain(&self.message).cloned().collect();
        let task = self.task.as_ref().map(|task| format!(" (in {task})")).unwrap_or_default();
        let mut lines = vec![format!("Cause ({}): {}", self.category, self.meaning)];
        lines.extend((!thrown.is_empty()).then(|| format!("  {}{task}", thrown.join(": "))));
        lines.extend(self.own_frame.as_ref().map(|frame| format!("  at {frame}")));
        let since = self.first_at.map(|at| format!("first at {at}"));
        let often = self.restarts.map(|restarts| format!("{restarts} restarts since the change"));
        let when: Vec<_> = since.into_iter().chain(often).collect();
        lines.extend((!when.is_empty()).then(|| format!("  {}", when.join(", "))));
        lines.push(format!("  {}", self.advice));
        lines
    }
}

fn told_by_flink(reason: &Reason) -> Option<Failure> {
    if let Reason::FirstFailure { failure } = reason { Some((**failure).clone()) } else { None }
}

fn told_by_log(reason: &Reason) -> Option<Failure> {
    if let Reason::LoggedFailure { failure } = reason { Some((**failure).clone()) } else { None }
}

/// Whether this kind tells a cause.
fn is_plain(kind: Kind) -> bool {
    !matches!(kind.category(), Category::Unknown | Category::Symptom)
}

/// What the service has said of its operation, which is mostly Flink's trace, cut short.
fn told_by_service(reason: &Reason) -> Option<Failure> {
    let (Reason::OperationFailed { error: Some(error), .. } | Reason::OperationRejected { error, .. }) = reason else {
        return None;
    };
    Some(Failure::read(error))
}

fn kind_of(reason: &Reason) -> Option<Kind> {
    let has_given_up = matches!(
        reason,
        Reason::OperationFailed { error: None, .. }
            | Reason::OperationCancelled { .. }
            | Reason::OperationTimedOut { .. }
    );
    let has_failed = matches!(reason, Reason::NoCheckpointYet { failed } if *failed > 0);
    has_given_up.then_some(Kind::ServiceGaveUp).or(has_failed.then_some(Kind::CheckpointsFail))
}

fn restarts_in(reason: &Reason) -> Option<u64> {
    if let Reason::Restarts { count, .. } = reason { Some(*count) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(reasons: &[Reason]) -> RootCause {
        RootCause::of(reasons).unwrap()
    }

    #[test]
    fn flinks_own_words_come_before_the_services_and_both_before_none() {
        let operation = || "UpdateApplication".to_owned();
        let error = || Some("a.B: x\nCaused by: org.apache.flink.util.StateMigrationException: y".to_owned());
        let failed = Reason::OperationFailed { operation: operation(), error: error() };
        let first = Failure::read("java.lang.OutOfMemoryError: Java heap space");
        let first = Reason::FirstFailure { failure: Box::new(first) };
        let of_both = cause(&[failed.clone(), Reason::Restarts { count: 7, tolerated: 2 }, first]);
        assert_eq!(
            (of_both.kind, of_both.category, of_both.restarts),
            (Kind::HeapMemory, Category::Resources, Some(7))
        );
        let of_the_service = cause(std::slice::from_ref(&failed));
        assert_eq!((of_the_service.kind, of_the_service.message.as_deref()), (Kind::StateType, Some("y")));
        let rejected =
            |error: &str| cause(&[Reason::OperationRejected { operation: operation(), error: error.into() }]);
        let role = "InvalidArgumentException (HTTP 400): Please check the role provided or validity of S3 location";
        assert_eq!(rejected(role).category, Category::Permission);
        let unknown = rejected("InvalidRequestException (HTTP 400): no");
        assert_eq!((unknown.category, unknown.exception), (Category::Unknown, None));
        assert_eq!(unknown.message.as_deref(), Some("InvalidRequestException (HTTP 400): no"));
        assert_eq!(rejected("no").message.as_deref(), Some("no"));
    }

    #[test]
    fn without_words_the_reasons_tell() {
        let operation = || "UpdateApplication".to_owned();
        for reason in [
            Reason::OperationFailed { operation: operation(), error: None },
            Reason::OperationCancelled { operation: operation() },
            Reason::OperationTimedOut { operation: operation(), seconds: 600 },
        ] {
            assert_eq!(cause(&[reason]).kind, Kind::ServiceGaveUp);
        }
        assert_eq!(cause(&[Reason::NoCheckpointYet { failed: 3 }]).kind, Kind::CheckpointsFail);
        assert_eq!(cause(&[Reason::NoCheckpointYet { failed: 0 }]).kind, Kind::Unknown);
        assert_eq!(cause(&[Reason::AlarmRaised { name: "lag".into() }]).kind, Kind::Unknown);
        assert_eq!(RootCause::of(&[]), None);
    }

    #[test]
    fn it_is_told_in_lines() {
        let mut failure = Failure::read(
            "java.lang.IllegalStateException: no price\n\tat com.example.Orders.map(Orders.java:12)\n\tat org.apache.flink.A.b(A.java:1)",
        );
        failure.at = Some("2026-11-20T08:00:00Z".parse().unwrap());
        failure.task = Some("Enrich (1/2)".into());
        let told =
            cause(&[Reason::Restarts { count: 3, tolerated: 2 }, Reason::FirstFailure { failure: Box::new(failure) }])
                .lines();
        assert_eq!(
            told,
            [
                "Cause (code): The job's own code threw it.",
                "  java.lang.IllegalStateException: no price (in Enrich (1/2))",
                "  at com.example.Orders.map(Orders.java:12)",
                "  first at 2026-11-20T08:00:00Z, 3 restarts since the change",
                "  Look at the frame: correct the code, or what it was given to read.",
            ]
        );
        let told = cause(&[Reason::NoJob]).lines();
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
