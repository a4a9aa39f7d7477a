//! Streams to sockets as the host sees them.

use crate::host::HostError;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::ssh::Ssh;
use crate::host::ssh::connection::Forward;
use crate::host::ssh::session::Broken;
use std::io;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

impl Ssh {
    pub(super) fn open_stream(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        let failed = |source| HostError::Connect { host: self.name.clone(), socket: to.to_string(), source };
        let link = self.link()?;
        let (answer, answered) = mpsc::channel();
        link.connection.forward(Forward { to: to.clone(), answer });
        match answered.recv_timeout(limit) {
            Ok(Ok(stream)) => Ok(Stream::Unix(stream)),
            Ok(Err(Broken::Refused(why))) => {
                Err(failed(io::Error::new(io::ErrorKind::ConnectionRefused, why)))
            }
            Ok(Err(Broken::Lost(why))) => Err(HostError::Lost {
                host: self.name.clone(),
                what: format!("connecting to {to}"),
                source: io::Error::other(why),
            }),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(failed(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}
