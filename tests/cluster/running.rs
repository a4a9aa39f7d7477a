//! A cluster of one control plane that others can join, and what is asked of it.

use crate::lab::CONFIG;
use crate::lab::Host;
use crate::turn::Turn;
use kubewright::etcd;
use kubewright::etcd::Etcd as _;
use kubewright::etcd::Tls;
use kubewright::host::Local;
use std::sync::Arc;

/// Whoever holds it may have the hosts that these tests share.
pub(crate) static TURN: Turn = Turn::new();

/// A cluster, and a fresh host that can become a part of it.
pub(crate) fn with_joiner() -> (Running, Host) {
    std::thread::scope(|scope| {
        let joiner = scope.spawn(|| Host::kube("kwt-f2", 52));
        (Running::new(), joiner.join().unwrap())
    })
}

pub(crate) struct Running {
    pub(crate) first: Host,
    /// `10.77.0.51:6443`.
    pub(crate) endpoint: String,
    pub(crate) token: String,
    pub(crate) pin: String,
    pub(crate) key: String,
}

impl Running {
    /// A control plane with uploaded certificates, behind its own address. Keys that are made fast will do.
    fn new() -> Self {
        let endpoint = "10.77.0.51:6443".to_owned();
        let first = Host::kube("kwt-f1", 51);
        let kind = "kind: ClusterConfiguration\n";
        let more = format!("{kind}controlPlaneEndpoint: {endpoint}\nencryptionAlgorithm: ECDSA-P256\n");
        first.write("/root/kubeadm.yaml", &CONFIG.replacen(kind, &more, 1));
        let printed = first.ok("kubewright init --config kubeadm.yaml --upload-certs");
        let after = |flag: &str| {
            let rest = printed.split_once(flag).unwrap_or_else(|| panic!("no {flag} in {printed}")).1;
            rest.split_whitespace().next().unwrap().to_owned()
        };
        Self {
            endpoint,
            token: after("--token "),
            pin: after("--discovery-token-ca-cert-hash "),
            key: after("--certificate-key "),
            first,
        }
    }

    /// A configuration for `join`, with more lines at its end.
    pub(crate) fn join(&self, control_plane: bool, more: &str) -> String {
        let Self { endpoint, token, pin, key, .. } = self;
        let plane =
            if control_plane { format!("controlPlane: {{certificateKey: {key}}}\n") } else { String::new() };
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n{plane}discovery:\n  bootstrapToken:\n    \
             apiServerEndpoint: {endpoint}\n    token: {token}\n    caCertHashes: [\"{pin}\"]\n{more}"
        )
    }

    /// Every member of etcd by name, with `?` for one without a vote; asked from this machine.
    pub(crate) fn members(&self) -> Vec<String> {
        let etcd = self.etcd();
        let mut names: Vec<String> = etcd
            .member_list()
            .unwrap()
            .into_iter()
            .map(|member| format!("{}{}", member.name, if member.is_learner { "?" } else { "" }))
            .collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn etcd(&self) -> etcd::Client {
        let file = |name: &str| self.first.bytes(&format!("cat /etc/kubernetes/pki/etcd/{name}"));
        let tls = Tls::new(&file("ca.crt"), &file("healthcheck-client.crt"), &file("healthcheck-client.key"));
        let endpoint = "https://10.77.0.51:2379".to_owned();
        etcd::Client::new(Arc::new(Local::new("test")), vec![endpoint], tls.unwrap()).unwrap()
    }

    /// The old members only, and the cluster answers.
    pub(crate) fn assert_alone(&self, when: &str) {
        assert_eq!(self.members(), ["kwt-f1"], "{when}");
        assert_eq!(self.first.kubectl("get --raw /readyz"), "ok", "{when}");
    }
}
