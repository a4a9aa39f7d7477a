//! The seam to etcd: who its members are, and how they are.

mod client;
pub mod dry_run;
pub mod error;
pub mod fake;
pub mod membership;
mod message;
pub mod provider;
mod snapshot;
mod tls;

pub use client::Client;
pub use dry_run::DryRun;
pub use error::EtcdError;
pub use fake::Fake;
pub use membership::EndpointHealth;
pub use membership::Membership;
pub use provider::EtcdProvider;
pub use provider::Known;
pub use provider::NoEtcd;
pub use tls::Tls;

use std::fmt;
use std::io;

/// A cluster of etcd. Its calls block. A call that changes something may have been obeyed although it failed: who
/// repeats it must be ready to find it done.
pub trait Etcd: Send + Sync {
    /// The members, in etcd's order.
    ///
    /// # Errors
    /// No endpoint answers.
    fn member_list(&self) -> Result<Vec<Member>, EtcdError>;

    /// Makes whoever will listen at this URL a member without a vote, and returns the members.
    ///
    /// # Errors
    /// [`EtcdError::PeerUrlExists`], [`EtcdError::TooManyLearners`] (etcd takes one at a time),
    /// [`EtcdError::MemberNotFound`] within the second in which the same URL was removed, or as for
    /// [`Etcd::member_list`].
    fn member_add_learner(&self, peer_url: &str) -> Result<Vec<Member>, EtcdError>;

    /// Gives a learner its vote, and returns the members.
    ///
    /// # Errors
    /// [`EtcdError::NotReady`] while it lags behind, [`EtcdError::NotLearner`] when it has its vote already,
    /// [`EtcdError::MemberNotFound`], or as for [`Etcd::member_list`].
    fn member_promote(&self, id: MemberId) -> Result<Vec<Member>, EtcdError>;

    /// Removes a member for ever, and returns the others.
    ///
    /// # Errors
    /// [`EtcdError::MemberNotFound`], [`EtcdError::Unhealthy`] when the others could not go on without it, or as for
    /// [`Etcd::member_list`].
    fn member_remove(&self, id: MemberId) -> Result<Vec<Member>, EtcdError>;

    /// How the member behind this endpoint is.
    ///
    /// # Errors
    /// It does not answer.
    fn status(&self, endpoint: &str) -> Result<Status, EtcdError>;

    /// Writes a copy of the whole store, as `etcdutl snapshot restore` takes it: the file of one member, and a SHA-256 of it
    /// behind, with which it was compared. The answer is its length in bytes.
    ///
    /// # Errors
    /// [`EtcdError::Unusable`] when it cannot be written or is not whole, or as for [`Etcd::member_list`]. What was
    /// written then is of no use.
    fn snapshot(&self, into: &mut dyn io::Write) -> Result<u64, EtcdError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    /// Empty until it has started for the first time.
    pub name: String,
    pub peer_urls: Vec<String>,
    /// Empty until it has started for the first time.
    pub client_urls: Vec<String>,
    /// It has no vote yet.
    pub is_learner: bool,
}

/// Prints in hexadecimal, as `etcdctl` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// What a member says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub version: String,
    /// Bytes.
    pub db_size: u64,
    /// `None` while nobody leads.
    pub leader: Option<MemberId>,
    pub raft_index: u64,
    /// Alarms, and what else is wrong.
    pub errors: Vec<String>,
    pub is_learner: bool,
}

impl Member {
    pub fn has_peer_url(&self, url: &str) -> bool {
        self.peer_urls.iter().any(|peer_url| peer_url == url)
    }

    /// Whether it ever ran: only then it has a name. A voter counts as started, since a learner becomes one by
    /// having caught up.
    pub fn has_started(&self) -> bool {
        !self.name.is_empty() || !self.is_learner
    }

    /// Whether it ever served clients. A voter of a new cluster that the others still wait for has not.
    pub fn has_run(&self) -> bool {
        !self.client_urls.is_empty()
    }
}

/// `cp2 (https://192.0.2.2:2380, 8e9e05c52164694d)`.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "a member that never started" } else { &self.name };
        write!(f, "{name} ({}, {})", self.peer_urls.join(","), self.id)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
