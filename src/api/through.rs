//! Reaching an API server from one of the hosts: where the operator's machine cannot, or should not depend on it.

use crate::api::ApiError;
use crate::grpc;
use crate::grpc::Duplex;
use crate::host::Host;
use crate::host::Socket;
use http::Uri;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::Config;
use kube::client::Body;
use kube::client::ConfigExt as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tower::Layer as _;
use tower::Service;

/// A host through whose network an API server is reached.
#[derive(Clone)]
pub struct Through(pub Arc<dyn Host>);

/// A client whose connections begin on `host`. To be called within the runtime that it is used in.
///
/// # Errors
/// A certificate or key of `config` cannot be used.
pub(super) fn client(config: &Config, host: &Through, limit: Duration) -> Result<Client, ApiError> {
    let unusable = |error: kube::Error| ApiError::Kubeconfig { why: error.to_string() };
    let connector = config
        .rustls_https_connector_with_connector(Connector { host: host.clone(), limit })
        .map_err(unusable)?;
    let http = HttpClient::builder(TokioExecutor::new()).build::<_, Body>(connector);
    Ok(Client::new(config.base_uri_layer().layer(http), "default"))
}

#[derive(Clone)]
struct Connector {
    host: Through,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Wire>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (host, limit) = (Arc::clone(&self.host.0), self.limit);
        Box::pin(async move {
            let socket = socket(&uri)?;
            // The host's own way of connecting blocks.
            let stream = tokio::task::spawn_blocking(move || host.connect_within(&socket, limit)).await;
            let stream = stream.map_err(io::Error::other)?.map_err(|error| {
                let kind = error.io_kind().unwrap_or(io::ErrorKind::Other);
                io::Error::new(kind, error.to_string())
            })?;
            Ok(TokioIo::new(Wire(grpc::duplex(stream)?)))
        })
    }
}

fn socket(uri: &Uri) -> io::Result<Socket> {
    let host = uri.host().ok_or_else(|| io::Error::other("the server's URL names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Socket::Tcp { host, port: uri.port_u16().unwrap_or(443) })
}

/// A stream that the HTTP client accepts as a connection.
struct Wire(Box<dyn Duplex>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The same host, not one that is like it.
impl PartialEq for Through {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Through {}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Through({})", self.0.name())
    }
}
