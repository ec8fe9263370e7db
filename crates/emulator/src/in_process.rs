//! An HTTP client for the AWS SDKs that hands requests straight to the emulator: no network, no real time, so that a test
//! in virtual time can use the very clients that the Lambdas use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::emulator::Emulator;
use crate::wire::ConnectionReset;

/// No answer came: the connection was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was reset by the emulator")]
pub struct Unreachable;

/// Cuts a caller off in the middle of what it does: so many more calls are done, and of the last no answer comes. Clones
/// are the same.
#[derive(Debug, Clone, Default)]
pub struct Breaker(Arc<Break>);

#[derive(Debug, Default)]
struct Break {
    /// Calls that are still done; 0 lets all pass.
    calls_left: AtomicU32,
    broken: Notify,
}

impl Breaker {
    /// Breaks after so many calls from now on; 0 not at all.
    pub fn after(&self, calls: u32) {
        self.0.calls_left.store(calls, Ordering::Relaxed);
    }

    /// Waits until it breaks.
    pub async fn broken(&self) {
        self.0.broken.notified().await;
    }

    /// Counts a call that was done, and does not come back from the last.
    async fn count(&self) {
        let one_less = |left: u32| left.checked_sub(1);
        if self.0.calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) == Ok(1) {
            self.0.broken.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// HTTP client of the AWS SDKs over an [`Emulator`] in the same process. Each call takes a latency, slept on the
/// emulator's clock.
#[derive(Debug, Clone)]
pub struct InProcessHttp {
    emulator: Emulator,
    latency: Duration,
    breaker: Breaker,
}

impl InProcessHttp {
    /// Calls of this emulator with a latency of 30 ms each.
    pub fn new(emulator: Emulator) -> Self {
        Self { emulator, latency: Duration::from_millis(30), breaker: Breaker::default() }
    }

    /// The same where this breaker may cut the caller off.
    #[must_use]
    pub fn with_breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// The same with another latency per call.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Answers a GET of a presigned URL with status and body, as a plain HTTP client would.
    pub async fn get(&self, url: &str) -> Result<(u16, Bytes), Unreachable> {
        self.emulator.clock().sleep(self.latency).await;
        let answer = self.emulator.get(url).await;
        self.breaker.count().await;
        answer
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.emulator.clock().sleep(self.latency).await;
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = match body.bytes() {
            Some(body) => Bytes::copy_from_slice(body),
            None => {
                ByteStream::new(body).collect().await.map_err(|error| ConnectorError::user(error.into()))?.into_bytes()
            }
        };
        let response = self.emulator.handle(http::Request::from_parts(parts, body)).await;
        self.breaker.count().await;
        if response.extensions().get::<ConnectionReset>().is_some() {
            return Err(ConnectorError::io(Unreachable.into()));
        }
        response.map(SdkBody::from).try_into().map_err(|error| ConnectorError::other(Box::new(error), None))
    }
}

impl HttpConnector for InProcessHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.clone();
        HttpConnectorFuture::new(async move { client.exchange(request).await })
    }
}

impl HttpClient for InProcessHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
