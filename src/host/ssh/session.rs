//! Driving libssh2 without blocking.
//!
//! libssh2 keeps one unfinished packet per session. An operation that could not send all of its packet must be repeated
//! as it is before any other may send, so such an operation is repeated on the spot, as soon as the socket takes more.
//! An operation that waits for the other side is left for later.

use crate::host::ssh::wire::Wire;
use ssh2::BlockDirections;
use ssh2::ErrorCode;
use std::io;
use std::time::Duration;

/// How long the socket may take nothing before the connection counts as lost.
pub(super) const STALLED: Duration = Duration::from_mins(1);

const EAGAIN: i32 = -37;
const CHANNEL_FAILURE: i32 = -21;
const REQUEST_DENIED: i32 = -22;

/// Why an operation failed for good.
#[derive(Debug)]
pub(super) enum Broken {
    /// The server said no; the session goes on.
    Refused(String),
    /// The connection is of no use any more.
    Lost(String),
}

/// An error that may mean: not now.
pub(super) trait Fault {
    fn is_not_now(&self) -> bool;
    fn broken(self) -> Broken;
}

impl Fault for ssh2::Error {
    fn is_not_now(&self) -> bool {
        self.code() == ErrorCode::Session(EAGAIN)
    }

    fn broken(self) -> Broken {
        match self.code() {
            ErrorCode::Session(CHANNEL_FAILURE | REQUEST_DENIED) => {
                Broken::Refused(self.message().to_owned())
            }
            _ => Broken::Lost(self.message().to_owned()),
        }
    }
}

impl Fault for io::Error {
    fn is_not_now(&self) -> bool {
        self.kind() == io::ErrorKind::WouldBlock
    }

    fn broken(self) -> Broken {
        Broken::Lost(self.to_string())
    }
}

/// Takes single steps on a session.
pub(super) struct Stepper<'a> {
    pub(super) session: &'a ssh2::Session,
    pub(super) wire: &'a Wire,
}

impl Stepper<'_> {
    /// Does `operation` as far as our side goes; `None` means that the other side has to do something first.
    pub(super) fn step<T, E: Fault>(
        &self,
        mut operation: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, Broken> {
        loop {
            let error = match operation() {
                Ok(done) => return Ok(Some(done)),
                Err(error) => error,
            };
            if !error.is_not_now() {
                return Err(error.broken());
            }
            if !matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
                return Ok(None);
            }
            match self.wire.wait_writable(STALLED) {
                Ok(true) => {}
                Ok(false) => return Err(Broken::Lost("it takes no data any more".to_owned())),
                Err(error) => return Err(error.broken()),
            }
        }
    }
}
