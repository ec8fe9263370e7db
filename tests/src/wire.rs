//! What stands between the handlers and the emulated service, where a stage puts something there: it may alter what is sent
//! and what is answered, or answer by itself. So a handler can be broken from outside, and the record still tells the truth
//! of what reached the service.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use emulator::InProcessHttp;
use serde_json::Value;

/// Something on the way between one caller and the services. It sees the calls whose bodies are JSON: of
/// kinesisanalyticsv2, `DynamoDB`, Step Functions and `EventBridge`.
pub trait Wire: Send + Sync {
    /// The call as it is to be sent: the operation's name, and the body, which may be altered.
    fn request(&self, _operation: &str, _body: &mut Value) {}

    /// An answer that is given without the service being asked.
    fn instead(&self, _operation: &str, _body: &Value) -> Option<Value> {
        None
    }

    /// What was answered with success to what was sent; it may be altered.
    fn answer(&self, _operation: &str, _sent: &Value, _body: &mut Value) {}
}

/// The HTTP client of a world's callers.
#[derive(Clone)]
pub(crate) struct WorldHttp {
    http: InProcessHttp,
    wire: Option<Arc<dyn Wire>>,
}

impl fmt::Debug for WorldHttp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorldHttp").finish_non_exhaustive()
    }
}

impl WorldHttp {
    pub(crate) fn new(http: InProcessHttp, wire: Option<Arc<dyn Wire>>) -> Self {
        Self { http, wire }
    }

    /// Answers a GET of a presigned URL, on which nothing stands in between.
    pub(crate) async fn get(&self, url: &str) -> Result<(u16, Bytes), emulator::Unreachable> {
        self.http.get(url).await
    }
}

/// The operation that a request of one of AWS's JSON protocols names.
fn operation_of(request: &HttpRequest) -> Option<String> {
    let target = request.headers().get("x-amz-target")?;
    target.split_once('.').map(|(_, operation)| operation.to_owned())
}

fn json_of(body: &SdkBody) -> Option<Value> {
    serde_json::from_slice(body.bytes()?).ok()
}

async fn exchange(
    http: InProcessHttp,
    wire: Arc<dyn Wire>,
    mut request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let (Some(operation), Some(mut sent)) = (operation_of(&request), json_of(request.body())) else {
        return HttpConnector::call(&http, request).await;
    };
    wire.request(&operation, &mut sent);
    if let Some(answer) = wire.instead(&operation, &sent) {
        let answer = http::Response::new(SdkBody::from(answer.to_string()));
        return answer.try_into().map_err(|error| ConnectorError::other(Box::new(error), None));
    }
    let body = sent.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    let mut response = HttpConnector::call(&http, request).await?;
    if response.status().is_success()
        && let Some(mut answer) = json_of(response.body())
    {
        wire.answer(&operation, &sent, &mut answer);
        *response.body_mut() = SdkBody::from(answer.to_string());
    }
    Ok(response)
}

impl HttpConnector for WorldHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match &self.wire {
            None => HttpConnector::call(&self.http, request),
            Some(wire) => HttpConnectorFuture::new(exchange(self.http.clone(), Arc::clone(wire), request)),
        }
    }
}

impl HttpClient for WorldHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
