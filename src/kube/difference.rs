//! What five chains change in the documents that kubeadm would write, and why.

/// One difference between `layout: kubeadm` and `layout: five`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The file or the object that differs.
    pub document: &'static str,
    pub change: Change,
    pub only_with: Only,
    pub why: &'static str,
}

/// Where a cluster must run its etcd for a difference to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    Anywhere,
    /// On the cluster's own hosts, whichever.
    OwnEtcd,
    /// On control planes.
    StackedEtcd,
}

/// A line that differs; `<pki>` stands for the certificates directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Adds(&'static str),
    Removes(&'static str),
    /// The line that starts so goes on differently.
    Alters(&'static str),
}

/// Every difference, for the documentation and for the test that holds us to it.
///
/// Where the operator sets one of these flags or fields, their word stands, as it does with kubeadm.
pub fn differences() -> &'static [Difference] {
    &DIFFERENCES
}

const APISERVER: &str = "manifests/kube-apiserver.yaml";
const CONTROLLER_MANAGER: &str = "manifests/kube-controller-manager.yaml";
const ETCD: &str = "manifests/etcd.yaml";
const KUBELET: &str = "kubelet/config.yaml";
const KUBELET_CONFIG: &str = "ConfigMap kube-system/kubelet-config";
const KUBEADM_CERTS: &str = "Secret kube-system/kubeadm-certs";

const VERIFIED: &str =
    "the API server verifies the kubelets, against the authority of their serving certificates";
const PEERS: &str =
    "etcd's peers have an authority of their own, so that no client certificate opens the peer port";
const ONE_FOR_ALL: &str = "one authority for all signers would sign the kubelets' serving certificates with the wrong \
                           one, and excludes naming one for each";
const CLIENTS: &str = "client certificates are signed by the kubernetes authority, as before";
const SERVING: &str =
    "the kubelets' serving certificates are signed by the authority that the API server trusts";
const ROTATION: &str = "the kubelet asks for the renewal of its serving certificate, instead of signing one itself that \
                        nobody could verify";
const HASHED: &str = "the hash covers the field above";
const JOINING: &str = "a control plane that joins needs the two further authorities too";

const DIFFERENCES: [Difference; 19] = [
    everywhere(APISERVER, Change::Adds("- --kubelet-certificate-authority=<pki>/kubelet-ca.crt"), VERIFIED),
    with(Only::OwnEtcd, ETCD, Change::Alters("- --peer-trusted-ca-file="), PEERS),
    everywhere(
        CONTROLLER_MANAGER,
        Change::Removes("- --cluster-signing-cert-file=<pki>/ca.crt"),
        ONE_FOR_ALL,
    ),
    everywhere(CONTROLLER_MANAGER, Change::Removes("- --cluster-signing-key-file=<pki>/ca.key"), ONE_FOR_ALL),
    signer("- --cluster-signing-kube-apiserver-client-cert-file=<pki>/ca.crt", CLIENTS),
    signer("- --cluster-signing-kube-apiserver-client-key-file=<pki>/ca.key", CLIENTS),
    signer("- --cluster-signing-kubelet-client-cert-file=<pki>/ca.crt", CLIENTS),
    signer("- --cluster-signing-kubelet-client-key-file=<pki>/ca.key", CLIENTS),
    signer("- --cluster-signing-kubelet-serving-cert-file=<pki>/kubelet-ca.crt", SERVING),
    signer("- --cluster-signing-kubelet-serving-key-file=<pki>/kubelet-ca.key", SERVING),
    signer("- --cluster-signing-legacy-unknown-cert-file=<pki>/ca.crt", CLIENTS),
    signer("- --cluster-signing-legacy-unknown-key-file=<pki>/ca.key", CLIENTS),
    everywhere(KUBELET, Change::Adds("serverTLSBootstrap: true"), ROTATION),
    everywhere(KUBELET_CONFIG, Change::Adds("serverTLSBootstrap: true"), ROTATION),
    everywhere(KUBELET_CONFIG, Change::Alters("kubeadm.kubernetes.io/component-config.hash: "), HASHED),
    everywhere(KUBEADM_CERTS, Change::Adds("kubelet-ca.crt:"), JOINING),
    everywhere(KUBEADM_CERTS, Change::Adds("kubelet-ca.key:"), JOINING),
    with(Only::StackedEtcd, KUBEADM_CERTS, Change::Adds("etcd-peer-ca.crt:"), JOINING),
    with(Only::StackedEtcd, KUBEADM_CERTS, Change::Adds("etcd-peer-ca.key:"), JOINING),
];

const fn everywhere(document: &'static str, change: Change, why: &'static str) -> Difference {
    with(Only::Anywhere, document, change, why)
}

const fn with(only_with: Only, document: &'static str, change: Change, why: &'static str) -> Difference {
    Difference { document, change, only_with, why }
}

const fn signer(line: &'static str, why: &'static str) -> Difference {
    everywhere(CONTROLLER_MANAGER, Change::Adds(line), why)
}
