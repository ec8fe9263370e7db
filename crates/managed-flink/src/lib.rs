//! Everything that talks to one Managed Service for Apache Flink application: kinesisanalyticsv2 for the application and
//! its operations, Flink's own REST API for the job, `CloudWatch` for restarts and alarms. It reads and changes, and
//! returns what it saw as evidence (`lifecycle::evidence`); what that means, and what to do about it, is for `lifecycle`
//! to say.
//!
//! Three promises hold for every call. No presigned URL, token or runtime property value leaves the crate in a text. An
//! answer that makes no sense is an error, never a default. A call that changes something is sent once: when its answer
//! is lost the error is [`ErrorKind::Unavailable`], and whoever called looks whether it was done. Only the deletion of a
//! snapshot is sent again, because it names the one snapshot that it can mean.

mod change;
mod cloudwatch;
mod directory;
mod error;
mod exceptions;
mod job;
mod read;
mod redact;
mod snapshots;
#[cfg(test)]
mod tests;
mod time;
mod transport;
mod wire;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use change::Accepted;
pub use directory::ApplicationPage;
pub use error::{Error, ErrorKind};
pub use redact::Redactor;
pub use transport::{BoxFuture, FlinkResponse, FlinkTransport, HttpsTransport, SecretUrl, TransportError};
pub use wire::{Bound, retry_budget};

/// Where the service is, which decides what a presigned URL may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endpoint {
    /// AWS itself: https, and a host of Amazon's.
    #[default]
    Aws,
    /// An endpoint override is configured (an emulator): a loopback URL is accepted too, over http as well.
    Overridden,
}

/// Reads and changes Managed Flink applications. Cheap to clone: clones share connections and what is known of the
/// values to strike out.
#[derive(Clone)]
pub struct ManagedFlink {
    /// Retries, for calls that change nothing.
    reads: aws_sdk_kinesisanalyticsv2::Client,
    /// One attempt, for calls that change something.
    writes: aws_sdk_kinesisanalyticsv2::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    flink: Arc<dyn FlinkTransport>,
    endpoint: Endpoint,
    /// By application: the runtime property values that were ever seen, because an error text may quote an older one.
    redactors: Arc<Mutex<HashMap<String, Redactor>>>,
}

impl ManagedFlink {
    /// Clients over the given configuration, whose HTTP client, sleep, time source, credentials, region and endpoint are
    /// used; time-outs and retries are set here. `flink` fetches presigned URLs.
    pub fn new(config: &aws_config::SdkConfig, flink: Arc<dyn FlinkTransport>, endpoint: Endpoint) -> Self {
        Self {
            reads: wire::kinesis_analytics(config, wire::reading()),
            writes: wire::kinesis_analytics(config, wire::changing()),
            cloudwatch: wire::cloudwatch(config, wire::reading()),
            flink,
            endpoint,
            redactors: Arc::default(),
        }
    }

    /// What is known to be struck out of texts about this application, without asking the service.
    fn known_redactor(&self, application: &str) -> Option<Redactor> {
        self.redactors.lock().unwrap_or_else(PoisonError::into_inner).get(application).cloned()
    }

    /// Keeps the runtime property values of a configuration or of an update, to strike them out later.
    fn learn(&self, application: &str, configuration: &serde_json::Value) {
        let mut redactors = self.redactors.lock().unwrap_or_else(PoisonError::into_inner);
        redactors.entry(application.to_owned()).or_default().learn(configuration);
    }
}

impl fmt::Debug for ManagedFlink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ManagedFlink").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
