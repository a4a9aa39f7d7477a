//! gRPC over one stream that is already open: the container runtime's socket, or etcd behind TLS.

use crate::host::Stream;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::transport::Uri;

/// Something that is read and written without blocking.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The stream as tokio drives it; to be called within its runtime.
///
/// # Errors
/// The operating system refuses.
pub fn duplex(stream: Stream) -> io::Result<Box<dyn Duplex>> {
    Ok(match stream {
        Stream::Tcp(stream) => {
            stream.set_nonblocking(true)?;
            Box::new(tokio::net::TcpStream::from_std(stream)?)
        }
        Stream::Unix(stream) => {
            stream.set_nonblocking(true)?;
            Box::new(tokio::net::UnixStream::from_std(stream)?)
        }
    })
}

/// HTTP/2 over `stream`; a lost connection is not made again.
///
/// # Errors
/// The other side does not speak HTTP/2.
pub async fn channel(stream: impl Duplex + 'static) -> io::Result<Channel> {
    let once = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().ok().and_then(|mut slot| slot.take());
        let lost = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost");
        async move { stream.map(TokioIo::new).ok_or_else(lost) }
    });
    // The name is only the HTTP authority, which neither runtimes nor etcd look at.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(io::Error::other)
}

/// The largest message of a stream; etcd sends its store in parts of 32 KiB.
const LARGEST_PART: usize = 16 << 20;

/// One request and its answer; `path` is `/package.Service/Method`.
///
/// # Errors
/// The connection breaks, or the other side answers with an error.
pub async fn unary<Q, A>(channel: &Channel, path: &str, request: Q) -> Result<A, tonic::Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let path = http::uri::PathAndQuery::try_from(path).expect("a path of letters and dots is valid");
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| tonic::Status::from_error(Box::new(error)))?;
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    Ok(grpc.unary(tonic::Request::new(request), path, codec).await?.into_inner())
}

/// One request, and an answer of many messages.
///
/// # Errors
/// As for [`unary`]; what goes wrong later is told by the stream.
pub async fn server_stream<Q, A>(
    channel: &Channel,
    path: &str,
    request: Q,
) -> Result<tonic::Streaming<A>, tonic::Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let path = http::uri::PathAndQuery::try_from(path).expect("a path of letters and dots is valid");
    let mut grpc = tonic::client::Grpc::new(channel.clone()).max_decoding_message_size(LARGEST_PART);
    grpc.ready().await.map_err(|error| tonic::Status::from_error(Box::new(error)))?;
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    Ok(grpc.server_streaming(tonic::Request::new(request), path, codec).await?.into_inner())
}
