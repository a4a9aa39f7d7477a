//! What was found on a host: the input of [`super::decide`], without any judgement.

use super::Ca;
use super::spec;
use super::spec::CertSpec;
use crate::cluster::Cluster;
use crate::cluster::Layout;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use zeroize::Zeroizing;

/// One file. A link counts as what it leads to: the kubelet's store consists of them.
#[derive(Clone, PartialEq, Eq)]
pub enum FileState {
    Absent,
    /// It is there (or may be) and cannot be read; the reason.
    Unreadable(String),
    Present {
        bytes: Zeroizing<Vec<u8>>,
        /// Permission bits, `0o600`.
        mode: u32,
    },
}

/// The files of one host that were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    files: BTreeMap<String, FileState>,
}

impl FileState {
    pub fn present(bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::Present { bytes: Zeroizing::new(bytes.into()), mode }
    }
}

impl Inventory {
    pub fn insert(&mut self, path: impl Into<String>, state: FileState) {
        self.files.insert(path.into(), state);
    }

    /// What is known of a path; `None` when nobody looked.
    pub fn get(&self, path: &str) -> Option<&FileState> {
        self.files.get(path)
    }

    /// The paths that were looked at.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

/// Every path to look at before deciding on these certificates; all authorities belong to it, so that a
/// certificate of the wrong one can be recognised.
pub fn paths(cluster: &Cluster, specs: &[CertSpec]) -> BTreeSet<String> {
    let authorities = Ca::ALL.into_iter().map(|ca| spec::authority_paths(cluster, ca));
    let mut paths: BTreeSet<String> = specs.iter().flat_map(CertSpec::all_paths).cloned().collect();
    for authority in authorities {
        paths.extend(authority.iter().cloned());
    }
    paths
}

/// The layout of the PKI that a control plane has, if it has one: `kubelet-ca` and `etcd/peer-ca` exist in
/// five chains only.
pub fn found_layout(cluster: &Cluster, inventory: &Inventory) -> Option<Layout> {
    let has = |ca| {
        let certificate = spec::authority_paths(cluster, ca).certificate;
        certificate.and_then(|path| inventory.get(&path)).is_some_and(|state| *state != FileState::Absent)
    };
    if has(Ca::Kubelet) || has(Ca::EtcdPeer) {
        Some(Layout::Five)
    } else {
        has(Ca::Kubernetes).then_some(Layout::Kubeadm)
    }
}

/// Shows the size only: a file may hold a key.
impl fmt::Debug for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Unreadable(reason) => write!(f, "unreadable: {reason}"),
            Self::Present { bytes, mode } => write!(f, "{} bytes, mode {mode:04o}", bytes.len()),
        }
    }
}
