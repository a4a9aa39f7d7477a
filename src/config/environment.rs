//! What the configuration needs to know of the world: gathered by the caller, so that loading is pure.

use crate::cluster::Layout;
use crate::cluster::Secret;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// kubeadm's default when no other container runtime is found.
pub const CONTAINERD_SOCKET: &str = "unix:///var/run/containerd/containerd.sock";

/// Facts about this machine and the moment. The default is a machine of which nothing is known.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub hostname: String,
    /// A global unicast address of the interface with the default route, by family.
    pub default_address_v4: Option<Ipv4Addr>,
    pub default_address_v6: Option<Ipv6Addr>,
    /// A global unicast address on `lo`: stands for a loopback advertise address, and for unnumbered interfaces.
    pub loopback_address: Option<IpAddr>,
    /// The container runtime sockets that answer, in the order in which kubeadm knows them.
    pub cri_sockets: Vec<String>,
    /// Fresh bootstrap tokens (`[a-z0-9]{6}.[a-z0-9]{16}`) for where the operator gives none, used from the front.
    pub tokens: Vec<Secret>,
    /// What version labels such as `stable-1` or `ci/latest` stand for now. A label that is not here could not be
    /// resolved.
    pub version_labels: BTreeMap<String, String>,
    /// The layout of the PKI that this host's API server runs with; `None` where there is none.
    pub running_layout: Option<Layout>,
}

impl Environment {
    /// The address to announce when the operator names none, preferring one family.
    pub(crate) fn address(&self, v6_first: bool) -> Option<IpAddr> {
        let v4 = self.default_address_v4.map(IpAddr::V4);
        let v6 = self.default_address_v6.map(IpAddr::V6);
        if v6_first { v6.or(v4) } else { v4.or(v6) }.or(self.loopback_address)
    }
}

#[cfg(test)]
impl Environment {
    /// A host `cp1` with one address per family and containerd.
    pub fn for_tests() -> Self {
        Self {
            hostname: "cp1".to_owned(),
            default_address_v4: Some(Ipv4Addr::new(192, 0, 2, 10)),
            default_address_v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10)),
            loopback_address: None,
            cri_sockets: vec![CONTAINERD_SOCKET.to_owned()],
            tokens: vec![Secret::new("abcdef.0123456789abcdef"), Secret::new("ghijkl.0123456789abcdef")],
            version_labels: BTreeMap::new(),
            running_layout: None,
        }
    }
}
