//! What can go wrong between us and a container runtime.

use crate::host::HostError;
use std::io;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum CriError {
    #[error("the container runtime socket `{socket}` is not a Unix socket; name it as `unix:///path`")]
    Socket { socket: String },
    #[error("no container runtime listens there; start it, or name its socket as `criSocket`")]
    Connect(#[source] HostError),
    #[error("cannot talk to the container runtime at {socket}")]
    Start { socket: String, source: io::Error },
    #[error("the container runtime at {socket} did not answer {method} within {limit:?}")]
    Timeout { socket: String, method: &'static str, limit: Duration },
    /// The runtime answered with an error; `code` is gRPC's name of it.
    #[error("the container runtime at {socket} answered {method} with {code}: {message}")]
    Call { socket: String, method: &'static str, code: String, message: String, unimplemented: bool },
}

impl CriError {
    pub(super) fn call(socket: &str, method: &'static str, status: &tonic::Status) -> Self {
        Self::Call {
            socket: socket.to_owned(),
            method,
            code: format!("{:?}", status.code()),
            message: status.message().to_owned(),
            unimplemented: status.code() == tonic::Code::Unimplemented,
        }
    }

    /// The runtime does not know the call, or the whole interface.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Call { unimplemented: true, .. })
    }

    /// The message with its cause, on one line.
    pub fn explained(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
