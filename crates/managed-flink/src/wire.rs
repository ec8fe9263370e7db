//! How the AWS SDK is used: it resolves endpoints and credentials, signs, sends and retries; what is in a body is ours.
//! Bodies of changes are JSON that the caller made, and answers are read from the bytes that arrived, so that members
//! newer than the SDK's types pass through in both directions.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_kinesisanalyticsv2::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_kinesisanalyticsv2::config::timeout::TimeoutConfig;
use aws_sdk_kinesisanalyticsv2::config::{BehaviorVersion, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesisanalyticsv2::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
    BeforeTransmitInterceptorContextMut,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// Attempts of a call that changes nothing.
const ATTEMPTS: u32 = 3;

/// Retries for calls that change nothing: three attempts, full jitter.
pub(crate) fn reading() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

/// No retries, for calls that change something: after a lost answer somebody has to look first.
pub(crate) fn changing() -> RetryConfig {
    RetryConfig::disabled()
}

fn time_outs() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(25))
        .build()
}

/// A retry budget of the client's own. The SDK's default one is shared by the whole process: what one client has used up
/// there, another lacks.
pub fn retry_budget(name: &'static str) -> RetryPartition {
    RetryPartition::custom(name).build()
}

pub(crate) fn kinesis_analytics(
    config: &aws_config::SdkConfig,
    retries: RetryConfig,
) -> aws_sdk_kinesisanalyticsv2::Client {
    let config = aws_sdk_kinesisanalyticsv2::config::Builder::from(config)
        .behavior_version(BehaviorVersion::v2026_01_12())
        .retry_config(retries)
        .retry_partition(retry_budget("managed-flink"))
        .timeout_config(time_outs())
        .interceptor(Bound)
        .build();
    aws_sdk_kinesisanalyticsv2::Client::from_conf(config)
}

pub(crate) fn cloudwatch(config: &aws_config::SdkConfig, retries: RetryConfig) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::config::Builder::from(config)
        .behavior_version(BehaviorVersion::v2026_01_12())
        .retry_config(retries)
        .retry_partition(retry_budget("cloudwatch"))
        .timeout_config(time_outs())
        .interceptor(Bound)
        .build();
    aws_sdk_cloudwatch::Client::from_conf(config)
}

/// Bytes of an answer that are read. The longest here, a page of `CloudWatch` data, has some hundred thousand.
pub(crate) const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Gives an answer up that is too long: the SDK would read all of it, whatever its length.
#[derive(Debug)]
pub struct Bound;

impl Intercept for Bound {
    fn name(&self) -> &'static str {
        "Bound"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, LARGEST_ANSWER));
        Ok(())
    }
}

/// Rides along with one call: puts our body into the request before it is signed, and keeps the bytes of the answer.
#[derive(Clone)]
pub(crate) struct Wire {
    operation: &'static str,
    body: Arc<str>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    pub(crate) fn new(operation: &'static str, body: &Value) -> Self {
        Self::with_text(operation, body.to_string())
    }

    /// With a body that is JSON already, for numbers that [`Value`] would round.
    pub(crate) fn with_text(operation: &'static str, body: String) -> Self {
        Self { operation, body: body.into(), answer: Arc::default() }
    }

    /// Reads the answer.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_slice(&answer).map_err(|error| {
            // The error's own words may quote a value; its place says enough.
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::unreadable(self.operation, format!("the answer is not what the service documents ({place})"))
        })
    }
}

/// Without the bodies: they hold runtime property values.
impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Wire({})", self.operation)
    }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.body.len().to_string());
        *request.body_mut() = SdkBody::from(&*self.body);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }
}
