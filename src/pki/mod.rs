//! Identities: which certificates a cluster has, who signs them, and how they come to be.

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
