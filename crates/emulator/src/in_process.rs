//! An HTTP client for the AWS SDKs that hands requests straight to the emulator: no network, no real time, so that a test
//! in virtual time can use the very clients that the Lambdas use.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use crate::emulator::Emulator;
use crate::wire::ConnectionReset;

/// No answer came: the connection was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was reset by the emulator")]
pub struct Unreachable;

/// HTTP client of the AWS SDKs over an [`Emulator`] in the same process. Each call takes a latency, slept on the
/// emulator's clock.
#[derive(Debug, Clone)]
pub struct InProcessHttp {
    emulator: Emulator,
    latency: Duration,
}

impl InProcessHttp {
    /// Calls of this emulator with a latency of 30 ms each.
    pub fn new(emulator: Emulator) -> Self {
        Self { emulator, latency: Duration::from_millis(30) }
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
        self.emulator.get(url).await
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.emulator.clock().sleep(self.latency).await;
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let Some(body) = body.bytes().map(Bytes::copy_from_slice) else {
            return Err(ConnectorError::user("the emulator takes no streamed bodies".into()));
        };
        let response = self.emulator.handle(http::Request::from_parts(parts, body)).await;
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
