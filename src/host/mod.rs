//! The seam: all that this program does to a machine goes through [`Host`].
//!
//! It speaks the machine's language (commands, files, sockets) and knows nothing of Kubernetes.

pub mod blank;
pub mod command;
pub mod dry_run;
pub mod error;
pub mod fake;
mod fake_systemd;
pub mod fleet;
pub mod http;
pub mod links;
pub mod local;
mod process;
pub mod remembered;
pub mod ssh;
pub mod within;

pub use blank::Blank;
pub use command::Command;
pub use command::Output;
pub use dry_run::DryRun;
pub use error::HostError;
pub use fake::Fake;
pub use fleet::Fleet;
pub use links::read_many_through;
pub use links::read_through;
pub use local::Local;
pub use remembered::Remembered;
pub use ssh::Ssh;
pub use within::Within;

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

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
    /// content is visible. A killed program leaves the old or the new entry; see [`Host::settle`] for a power cut.
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

    /// The same, for who has others to ask: gives up after `limit` where the machine can be told so.
    ///
    /// # Errors
    /// As for [`Host::connect`].
    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        let _ = limit;
        self.connect(to)
    }

    /// Reads what is at each of these paths, as [`Host::read`] does; in one round trip where the machine is far away.
    ///
    /// # Errors
    /// One of the paths cannot be read.
    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        paths.iter().map(|path| self.read(path)).collect()
    }

    /// Makes these changes in order, as [`Host::write`] and [`Host::remove`] do; in one stream where the machine is
    /// far away.
    ///
    /// # Errors
    /// One of them cannot be made: those before it are made, those after it are not, and the error names its path.
    fn change_many(&self, changes: &[Change]) -> Result<(), HostError> {
        for change in changes {
            match change {
                Change::Write { path, entry } => self.write(path, entry)?,
                Change::Remove { path } => self.remove(path)?,
            }
        }
        Ok(())
    }

    /// Makes everything written so far survive a power cut. To be called before something that builds on it starts:
    /// one call for many files costs as much as for one.
    ///
    /// # Errors
    /// The disk refuses.
    fn settle(&self) -> Result<(), HostError> {
        Ok(())
    }

    /// [`Host::change_many`] and then [`Host::settle`]; in one stream where the machine is far away.
    ///
    /// # Errors
    /// One of the changes cannot be made, or the disk refuses.
    fn change_and_settle(&self, changes: &[Change]) -> Result<(), HostError> {
        self.change_many(changes)?;
        self.settle()
    }
}

impl<H: Host + ?Sized> Host for Arc<H> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        (**self).run(command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        (**self).read(path)
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        (**self).write(path, entry)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        (**self).remove(path)
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        (**self).connect(to)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        (**self).connect_within(to, limit)
    }

    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        (**self).read_many(paths)
    }

    fn change_many(&self, changes: &[Change]) -> Result<(), HostError> {
        (**self).change_many(changes)
    }

    fn settle(&self) -> Result<(), HostError> {
        (**self).settle()
    }

    fn change_and_settle(&self, changes: &[Change]) -> Result<(), HostError> {
        (**self).change_and_settle(changes)
    }
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

/// One of many changes that are made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Write { path: String, entry: Entry },
    Remove { path: String },
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

impl Stream {
    /// Limits every single read and write.
    ///
    /// # Errors
    /// The operating system refuses the limit.
    pub fn set_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))
            }
        }
    }
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl io::Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => f.write_str(path),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, mode {:04o}", self.kind, self.mode)
    }
}

/// Shows the kind and the size only: a file may hold a key.
impl fmt::Debug for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(content) => write!(f, "file of {} bytes", content.len()),
            Self::Directory => f.write_str("directory"),
            Self::Link(target) => write!(f, "link to {target}"),
        }
    }
}
