//! What can go wrong between us and a machine; typed, because callers branch on it.

use crate::host::ssh::SshError;
use std::io;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{host}: cannot {action} `{path}`")]
    File { host: String, action: &'static str, path: String, source: io::Error },
    #[error("{host}: cannot start `{command}`")]
    Start { host: String, command: String, source: io::Error },
    #[error("{host}: `{command}` did not finish within {limit:?}")]
    Timeout { host: String, command: String, limit: Duration },
    #[error("{host}: cannot connect to {socket}")]
    Connect { host: String, socket: String, source: io::Error },
    #[error("{host}: {what} is not done in a dry run")]
    DryRun { host: String, what: String },
    #[error("{host}: unreachable")]
    Unreachable { host: String, source: io::Error },
    #[error("{host}: the connection was lost while {what}; run again")]
    Lost { host: String, what: String, source: io::Error },
    #[error(transparent)]
    Ssh(Box<SshError>),
}

impl From<SshError> for HostError {
    fn from(error: SshError) -> Self {
        Self::Ssh(Box::new(error))
    }
}

impl HostError {
    /// The operating system's reason, where there is one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File { source, .. }
            | Self::Start { source, .. }
            | Self::Connect { source, .. }
            | Self::Unreachable { source, .. }
            | Self::Lost { source, .. } => Some(source.kind()),
            Self::Timeout { .. } | Self::DryRun { .. } | Self::Ssh(_) => None,
        }
    }
}
