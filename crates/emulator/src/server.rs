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
use crate::wire::{ConnectionReset, Protocol, error_answer};

/// Largest body that is taken: inline code of 50 MiB, in base64.
const BODY_LIMIT: usize = 72 * 1024 * 1024;

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
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let response = error_answer(Protocol::Json11, 413, "RequestEntityTooLargeException", "the body is too large");
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
