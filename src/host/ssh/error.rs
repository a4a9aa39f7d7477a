//! Why a host cannot be used over SSH; with how to mend it.

use std::fmt;

/// What kind of trouble it is. Only [`Trouble::Unreachable`] may pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No connection: refused, no answer, no such name.
    Unreachable,
    /// Nobody vouches for the host's key.
    HostKeyUnknown,
    /// The host shows another key than it should.
    HostKeyChanged,
    /// The host's key is marked as revoked.
    HostKeyRevoked,
    /// Nothing that was tried let us in.
    AuthFailed,
    /// We are in, but may not become root.
    SudoRefused,
    /// A host on the way cannot be used.
    BastionFailed,
    /// What came was not what SSH allows.
    Protocol,
    /// What the operator named cannot be used: a file, a setting.
    Settings,
}

/// A host that cannot be used over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshError {
    /// How the operator calls the host.
    pub host: String,
    pub trouble: Trouble,
    /// What happened, in lower case and without the host's name.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl SshError {
    pub fn new(host: &str, trouble: Trouble, message: impl Into<String>) -> Self {
        Self { host: host.to_owned(), trouble, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for SshError {}
