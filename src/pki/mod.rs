//! Identities: which certificates a cluster has, who signs them, and how they come to be.
//!
//! [`spec`] says which there are, [`inventory`] what was found on the hosts, [`decide`] what is kept and what
//! is made, [`bundle`] makes it and gives out the bytes. All of it is pure but for the keys themselves, which
//! come from the operating system's generator.

pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod columns;
pub mod csr;
pub mod decide;
pub mod expiry;
pub mod finding;
pub mod inventory;
pub mod jws;
pub mod key;
pub mod kubeconfig;
pub mod load;
pub mod material;
pub mod mint;
mod pem;
pub mod pin;
pub mod random;
pub mod renew;
pub mod request;
pub mod sans;
pub mod seal;
pub mod serving;
pub mod shared;
pub mod spec;
pub mod user;

pub use bundle::Bundle;
pub use bundle::Minting;
pub use certificate::Certificate;
pub use decide::Decision;
pub use decide::Decisions;
pub use finding::Finding;
pub use inventory::FileState;
pub use inventory::Inventory;
pub use key::PrivateKey;
pub use random::Random;
pub use random::SystemRandom;
pub use spec::CertSpec;

use std::fmt;

/// A certificate authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ca {
    Kubernetes,
    /// Only in the five-chain layout.
    Kubelet,
    FrontProxy,
    Etcd,
    /// Only in the five-chain layout.
    EtcdPeer,
}

/// Every certificate (and the one bare key pair) of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertName {
    Ca(Ca),
    Apiserver,
    ApiserverKubeletClient,
    FrontProxyClient,
    EtcdServer,
    EtcdPeer,
    EtcdHealthcheckClient,
    ApiserverEtcdClient,
    /// The service-account key pair: no certificate.
    ServiceAccount,
    /// The kubelet's serving certificate (five-chain layout).
    KubeletServing,
    Admin,
    SuperAdmin,
    KubeletClient,
    ControllerManager,
    Scheduler,
}

/// A piece of a [`CertName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Certificate,
    Key,
    /// Certificate followed by key in one file, as the kubelet keeps them.
    Pair,
    PublicKey,
}

impl Ca {
    pub const ALL: [Self; 5] =
        [Self::Kubernetes, Self::Kubelet, Self::FrontProxy, Self::Etcd, Self::EtcdPeer];
}

impl CertName {
    /// The name of the phase and of renewal: `apiserver`, `etcd-ca`, `admin.conf`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca(Ca::Kubernetes) => "ca",
            Self::Ca(Ca::Kubelet) => "kubelet-ca",
            Self::Ca(Ca::FrontProxy) => "front-proxy-ca",
            Self::Ca(Ca::Etcd) => "etcd-ca",
            Self::Ca(Ca::EtcdPeer) => "etcd-peer-ca",
            Self::Apiserver => "apiserver",
            Self::ApiserverKubeletClient => "apiserver-kubelet-client",
            Self::FrontProxyClient => "front-proxy-client",
            Self::EtcdServer => "etcd-server",
            Self::EtcdPeer => "etcd-peer",
            Self::EtcdHealthcheckClient => "etcd-healthcheck-client",
            Self::ApiserverEtcdClient => "apiserver-etcd-client",
            Self::ServiceAccount => "sa",
            Self::KubeletServing => "kubelet-serving",
            Self::Admin => "admin.conf",
            Self::SuperAdmin => "super-admin.conf",
            Self::KubeletClient => "kubelet.conf",
            Self::ControllerManager => "controller-manager.conf",
            Self::Scheduler => "scheduler.conf",
        }
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
