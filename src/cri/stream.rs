//! A channel over one stream that is already open.

use crate::host::Stream;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::transport::Uri;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// HTTP/2 over `stream`; a lost connection is not made again.
pub(super) async fn channel(stream: Stream) -> io::Result<Channel> {
    let once = Mutex::new(Some(duplex(stream)?));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().ok().and_then(|mut slot| slot.take());
        let lost = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost");
        async move { stream.map(TokioIo::new).ok_or_else(lost) }
    });
    // The name is only the HTTP authority; runtimes ignore it.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(io::Error::other)
}

fn duplex(stream: Stream) -> io::Result<Box<dyn Duplex>> {
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
