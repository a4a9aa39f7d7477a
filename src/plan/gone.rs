//! What a plan can ask to be gone. Each names exactly what it takes away: execution looks which of it is there.

use std::collections::BTreeSet;

/// A directory without what a cluster put there. Nothing behind a mount or a link is touched, and a directory with a
/// mount below it is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearSpec {
    pub path: String,
    pub what: Clear,
    /// Paths that stay, with the directories that lead to them.
    pub keep: BTreeSet<String>,
    /// The directory goes too, once it is empty; a mount point and a link stay.
    pub itself: bool,
}

/// What goes from a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clear {
    Everything,
    /// Directories that hold nothing but empty directories.
    EmptyDirectories,
}

/// A unit that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSpec {
    pub unit: String,
    /// Whether it starts at boot; `None` leaves that alone.
    pub enabled: Option<bool>,
}

/// A pod that the container runtime no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpec {
    /// The runtime's own name of it; without one, every pod that has the name below by then.
    pub id: Option<String>,
    /// `kube-system/etcd-cp1`.
    pub name: String,
    pub cri_socket: String,
}

/// Chains and rules that are not in a table of the packet filter. All others stay: they are deleted one by one, in one
/// transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesSpec {
    /// `iptables-nft`: its `-save` tells the table, its `-restore` changes it.
    pub program: String,
    pub table: String,
    pub chains: BTreeSet<String>,
    /// Rules in chains that stay, as `-save` prints them: `-A INPUT -j KUBE-FIREWALL`.
    pub rules: Vec<String>,
}
