//! One error type for everything that the crate talks to, sorted by what a caller can do about it. The kinds' names are
//! what state machine definitions match.

use aws_sdk_kinesisanalyticsv2::error::{ProvideErrorMetadata, SdkError};
use lifecycle::evidence::Unreadable;

use crate::redact::Redactor;
use crate::transport::TransportError;

/// What went wrong, as far as it matters to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Too many calls. Nothing was done.
    Throttled,
    /// The service failed, or no answer came. A change may or may not have been made.
    Unavailable,
    /// The caller may not do this.
    AccessDenied,
    /// No such application, version, operation, alarm or job.
    NotFound,
    /// The application's status does not allow this now.
    ResourceInUse,
    /// The application's version is not the one that was stated.
    ConcurrentModification,
    /// An argument is refused.
    InvalidArgument,
    /// The service cannot use the role or the code object yet, as it says for a while after they were changed.
    RoleNotReady,
    /// The request does not fit the application.
    InvalidRequest,
    /// The configuration is refused.
    InvalidApplicationConfiguration,
    /// The code is refused.
    CodeValidation,
    /// A quota is used up.
    LimitExceeded,
    /// This application cannot do this.
    Unsupported,
    /// An answer that makes no sense.
    Unreadable,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The name that Retry and Catch of a state machine match. Stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::Unavailable => "ServiceUnavailable",
            Self::AccessDenied => "AccessDenied",
            Self::NotFound => "NotFound",
            Self::ResourceInUse => "ResourceInUse",
            Self::ConcurrentModification => "ConcurrentModification",
            Self::InvalidArgument => "InvalidArgument",
            Self::RoleNotReady => "RoleNotReady",
            Self::InvalidRequest => "InvalidRequest",
            Self::InvalidApplicationConfiguration => "InvalidApplicationConfiguration",
            Self::CodeValidation => "CodeValidation",
            Self::LimitExceeded => "LimitExceeded",
            Self::Unsupported => "UnsupportedOperation",
            Self::Unreadable => "UnreadableAnswer",
            Self::Other => "UnexpectedError",
        }
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::RoleNotReady)
    }

    /// Whether the service's words were about what the request or the application holds, and may quote it.
    pub(crate) fn may_quote_configuration(self) -> bool {
        matches!(
            self,
            Self::InvalidArgument
                | Self::RoleNotReady
                | Self::InvalidRequest
                | Self::InvalidApplicationConfiguration
                | Self::CodeValidation
                | Self::Other
        )
    }

    fn of(code: &str, status: u16, message: &str) -> Self {
        // Codes arrive with and without the suffix, depending on the protocol.
        let code = code.strip_suffix("Exception").unwrap_or(code);
        match code {
            "Throttling"
            | "Throttled"
            | "RequestThrottled"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "ProvisionedThroughputExceeded"
            | "SlowDown" => Self::Throttled,
            _ if status == 429 || code.starts_with("TooManyRequests") => Self::Throttled,
            "AccessDenied"
            | "UnauthorizedOperation"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "InvalidSignature"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "IncompleteSignature"
            | "ExpiredToken" => Self::AccessDenied,
            "ResourceNotFound" => Self::NotFound,
            "ResourceInUse" => Self::ResourceInUse,
            "ConcurrentModification" => Self::ConcurrentModification,
            // The service's words while a new role or bucket policy is on its way through IAM.
            "InvalidArgument" if message.contains("Please check the role provided or validity of S3 location") => {
                Self::RoleNotReady
            }
            "InvalidArgument"
            | "Validation"
            | "InvalidParameterValue"
            | "InvalidParameterCombination"
            | "MissingParameter"
            | "MissingRequiredParameter" => Self::InvalidArgument,
            "InvalidRequest" => Self::InvalidRequest,
            "InvalidApplicationConfiguration" => Self::InvalidApplicationConfiguration,
            "CodeValidation" => Self::CodeValidation,
            "LimitExceeded" => Self::LimitExceeded,
            "UnsupportedOperation" => Self::Unsupported,
            "ServiceUnavailable"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalServiceFault"
            | "InternalServiceError"
            | "InternalError"
            | "RequestTimeout" => Self::Unavailable,
            _ if status >= 500 => Self::Unavailable,
            _ if status == 403 => Self::AccessDenied,
            _ => Self::Other,
        }
    }
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed ({}): {message}", kind.name())]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        // No redactor is at hand here, but a token is a token wherever it stands.
        let message = Redactor::default().strike_out(&message.into());
        // Values that are still to be struck out are recognised where they are cut off at the end of a text.
        Self { kind, operation, message: cut(&message, LONGEST_MESSAGE), source: None }
    }

    /// The service answered what it does not document, or what nobody of ours can have written.
    pub fn unreadable(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreadable, operation, message)
    }

    /// The service could not do it just now; the same call may succeed in a moment.
    pub fn unavailable(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, operation, message)
    }

    /// Sorts an error of an AWS SDK, of whichever service. What the service answered is in the message; only failures on
    /// the way keep their source, because those quote nothing of a request.
    pub fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                if status < 400 {
                    // The SDK calls an answer that it cannot read an error of the service.
                    return Self::unreadable(operation, "the answer is not what the service documents");
                }
                let code = answer.err().code().unwrap_or("no error code");
                let message = answer.err().message().unwrap_or_default();
                let kind = ErrorKind::of(code, status, message);
                Self::new(kind, operation, format!("{code} (HTTP {status}): {message}"))
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                let kind = if status >= 500 { ErrorKind::Unavailable } else { ErrorKind::Unreadable };
                Self::new(kind, operation, format!("the answer (HTTP {status}) could not be read"))
            }
            SdkError::TimeoutError(_) => Self::new(ErrorKind::Unavailable, operation, "no answer in time"),
            SdkError::DispatchFailure(failure) => {
                let lost = failure.is_io() || failure.is_timeout() || failure.as_other().is_some();
                let kind = if lost { ErrorKind::Unavailable } else { ErrorKind::Other };
                let source = failure
                    .as_connector_error()
                    .map(|error| Box::new(Cause(error.to_string())) as Box<dyn std::error::Error + Send + Sync>);
                Self { source, ..Self::new(kind, operation, "the request could not be sent or its answer was lost") }
            }
            SdkError::ConstructionFailure(_) | _ => {
                Self::new(ErrorKind::Other, operation, "the request could not be put together")
            }
        }
    }

    pub(crate) fn from_transport(operation: &'static str, error: TransportError) -> Self {
        let kind = match error {
            TransportError::Connection { .. } | TransportError::TimedOut => ErrorKind::Unavailable,
            TransportError::TooLarge | TransportError::Redirect { .. } => ErrorKind::Unreadable,
            TransportError::Setup { .. } => ErrorKind::Other,
        };
        Self { source: Some(Box::new(error)), ..Self::new(kind, operation, "Flink's REST API did not answer") }
    }

    /// The same error, its message without what the redactor knows.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        self.message = redactor.strike_out(&self.message);
        self
    }

    /// The same error, the service's own words left out.
    pub(crate) fn withheld(mut self) -> Self {
        WITHHELD.clone_into(&mut self.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The name that Retry and Catch of a state machine match. Stable.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The call that failed, such as `UpdateApplication`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the service said, without secrets.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// The evidence that `what` (such as `the job`) could not be read, because of this error.
    pub fn to_unreadable(&self, what: impl Into<String>) -> Unreadable {
        Unreadable::new(what, self.to_string())
    }
}

/// Stands for a text that cannot be cleared of secrets.
pub(crate) const WITHHELD: &str = "(withheld: the runtime property values to strike out of it could not be read)";

/// Characters of what the service says that are kept. It says less than that.
pub(crate) const LONGEST_MESSAGE: usize = 1_000;

/// The beginning of a text.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// The words of a failure below, without the values that its own type may carry.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);
