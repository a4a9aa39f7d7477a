//! The seam: all that this program does to a machine goes through [`Host`].
//!
//! It speaks the machine's language (commands, files, sockets) and knows nothing of Kubernetes.

pub mod command;
pub mod error;

pub use command::Command;
pub use command::Output;
pub use error::HostError;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// A machine that can be looked at and changed.
pub trait Host: Send + Sync {
    /// How the operator calls this machine.
    fn name(&self) -> &str;

    /// Runs a command to its end. A non-zero exit status is an answer, not an error.
    ///
    /// # Errors
    /// The command cannot be started, the machine cannot be reached, or the command's deadline passed.
    fn run(&self, command: &Command) -> Result<Output, HostError>;

    /// Reads what is at `path` without following a symbolic link; `None` when there is nothing.
    ///
    /// # Errors
    /// The path cannot be read.
    fn read(&self, path: &str) -> Result<Option<Entry>, HostError>;

    /// Puts an entry in place atomically, missing parents included (mode 0755). The mode is set before the
    /// content is visible.
    ///
    /// # Errors
    /// The entry cannot be written; what was there before is then untouched.
    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError>;

    /// Removes a file, a link or an empty directory; absence is fine.
    ///
    /// # Errors
    /// The entry cannot be removed.
    fn remove(&self, path: &str) -> Result<(), HostError>;

    /// Opens a stream to a socket as this machine sees it.
    ///
    /// # Errors
    /// Nobody listens, or the machine cannot be reached.
    fn connect(&self, to: &Socket) -> Result<Stream, HostError>;
}

/// What stands at a path.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: EntryKind,
    /// Permission bits, `0o600`; not meaningful for a link.
    pub mode: u32,
    /// Numeric owner and group; `None` leaves a new entry to the writer.
    pub owner: Option<(u32, u32)>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum EntryKind {
    File(Vec<u8>),
    Directory,
    Link(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

/// An open connection to a [`Socket`].
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Entry {
    pub fn file(content: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self { kind: EntryKind::File(content.into()), mode, owner: None }
    }

    pub fn directory(mode: u32) -> Self {
        Self { kind: EntryKind::Directory, mode, owner: None }
    }

    pub fn link(target: impl Into<String>) -> Self {
        Self { kind: EntryKind::Link(target.into()), mode: 0o777, owner: None }
    }

    /// The bytes of a regular file.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.kind {
            EntryKind::File(content) => Some(content),
            EntryKind::Directory | EntryKind::Link(_) => None,
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, mode {:04o}", self.kind, self.mode)
    }
}

/// Shows the kind and the size only: a file may hold a key.
impl std::fmt::Debug for EntryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(content) => write!(f, "file of {} bytes", content.len()),
            Self::Directory => f.write_str("directory"),
            Self::Link(target) => write!(f, "link to {target}"),
        }
    }
}
