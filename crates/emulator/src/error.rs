//! The services' errors, as their models name them.

use crate::code::LARGEST_CODE_BYTES;

/// An error of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    /// Its name, such as `ResourceInUseException`.
    pub(crate) code: &'static str,
    /// What it says.
    pub(crate) message: String,
}

impl ServiceError {
    pub(crate) fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }

    pub(crate) fn invalid_argument(message: String) -> Self {
        Self::new("InvalidArgumentException", message)
    }

    pub(crate) fn invalid_request(message: String) -> Self {
        Self::new("InvalidRequestException", message)
    }

    pub(crate) fn invalid_configuration(message: String) -> Self {
        Self::new("InvalidApplicationConfigurationException", message)
    }

    pub(crate) fn resource_in_use(message: String) -> Self {
        Self::new("ResourceInUseException", message)
    }

    pub(crate) fn not_found(message: String) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub(crate) fn concurrent_modification(message: String) -> Self {
        Self::new("ConcurrentModificationException", message)
    }

    pub(crate) fn limit_exceeded(message: String) -> Self {
        Self::new("LimitExceededException", message)
    }

    pub(crate) fn too_many_tags(message: String) -> Self {
        Self::new("TooManyTagsException", message)
    }

    pub(crate) fn unsupported(message: String) -> Self {
        Self::new("UnsupportedOperationException", message)
    }

    pub(crate) fn serialization(message: String) -> Self {
        Self::new("SerializationException", message)
    }

    pub(crate) fn unknown_operation(operation: &str) -> Self {
        Self::new("UnknownOperationException", format!("there is no operation {operation}"))
    }

    /// The code is not there, or cannot be read: the service does not say which.
    pub(crate) fn code_unreadable() -> Self {
        let text = "Please check the role provided or validity of S3 location you provided. We are unable to get the \
                    specified object.";
        Self::invalid_argument(text.to_owned())
    }

    /// The code is over the service's limit.
    pub(crate) fn code_too_large() -> Self {
        let most = LARGEST_CODE_BYTES / (1024 * 1024);
        Self::invalid_argument(format!("The application code is too large: it may be of at most {most} MiB."))
    }
}
