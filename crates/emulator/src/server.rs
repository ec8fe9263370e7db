//! The emulator behind a port: one for all its services, as any AWS SDK and the AWS CLI can talk to it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use tokio::net::TcpListener;

use crate::emulator::Emulator;
use crate::s3;
use crate::wire::{ConnectionReset, Protocol, error_answer};

/// Largest body that is taken: inline code of 50 MiB, in base64.
const BODY_LIMIT: usize = 72 * 1024 * 1024;
/// The same of an upload to S3: the largest code, and room for the seams where it comes in chunks.
const UPLOAD_LIMIT: usize = 528 * 1024 * 1024;

impl Emulator {
    /// Answers at `listener` until `stop` ends. Presigned URLs lead there from now on.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        self.inner().set_public_url(format!("http://{}", listener.local_addr()?));
        let router = Router::new().fallback(forward).with_state(self.clone());
        axum::serve(listener, router).with_graceful_shutdown(stop).await
    }
}

async fn forward(State(emulator): State<Emulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_s3 = s3::is_s3(&parts.headers);
    let limit = if is_s3 { UPLOAD_LIMIT } else { BODY_LIMIT };
    // Whoever says beforehand that it is too much is told before sending it.
    let fits = http_body::Body::size_hint(&body).lower() <= limit as u64;
    let body = if fits { to_bytes(body, limit).await.ok() } else { None };
    let Some(body) = body else {
        let response = if is_s3 {
            s3::too_large()
        } else {
            error_answer(Protocol::Json11, 413, "RequestEntityTooLargeException", "the body is too large")
        };
        return response.map(Body::from);
    };
    let response = emulator.handle(http::Request::from_parts(parts, body)).await;
    if response.extensions().get::<ConnectionReset>().is_some() {
        return Response::new(Body::new(Reset));
    }
    response.map(Body::from)
}

/// A body that fails before its first byte, so that the server closes the connection without an answer.
struct Reset;

impl http_body::Body for Reset {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}
