//! The certificate table: which certificates a cluster has, what each says and who signs it.

use super::Ca;
use super::CertName;
use super::sans::SanSet;
use super::sans::Sans;
use crate::cluster::Cluster;
use crate::cluster::Node;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Where kubeadm puts kubeconfig files.
pub const KUBECONFIG_DIR: &str = "/etc/kubernetes";
/// The kubelet's own certificate store, unless its `cert-dir` flag says otherwise.
pub const KUBELET_STORE: &str = "/var/lib/kubelet/pki";

/// A certificate that a cluster must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertSpec {
    pub name: CertName,
    /// Whose it is; empty for what the whole cluster shares.
    pub node: String,
    pub paths: Paths,
    /// `None` for an authority, which signs itself, and for the service-account key pair.
    pub signer: Option<Ca>,
    pub subject: Subject,
    pub usages: &'static [Usage],
    pub sans: Sans,
}

/// Where the pieces are on a host, as absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub public_key: Option<String>,
    /// The kubeconfig that holds the certificate, or points to it.
    pub kubeconfig: Option<String>,
    /// The link in the kubelet's store to the file with certificate and key.
    pub store: Option<String>,
}

/// A subject; several organisations share one set, as Go writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub organizations: Vec<String>,
    pub common_name: String,
}

/// An extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    ServerAuth,
    ClientAuth,
}

/// One row of the table: what does not depend on the cluster.
#[derive(Clone, Copy)]
struct Row {
    name: CertName,
    /// Path under the certificates directory without its ending, or the kubeconfig's file name.
    base: &'static str,
    /// Empty when it depends on the node.
    common_name: &'static str,
    organization: Option<&'static str>,
    signer: Option<Ca>,
    usages: &'static [Usage],
    long_name: &'static str,
}

const SERVER: &[Usage] = &[Usage::ServerAuth];
const CLIENT: &[Usage] = &[Usage::ClientAuth];
const BOTH: &[Usage] = &[Usage::ServerAuth, Usage::ClientAuth];

const fn authority(ca: Ca, base: &'static str, common_name: &'static str, long_name: &'static str) -> Row {
    Row {
        name: CertName::Ca(ca),
        base,
        common_name,
        organization: None,
        signer: None,
        usages: &[],
        long_name,
    }
}

const fn leaf(
    name: CertName,
    base: &'static str,
    common_name: &'static str,
    signer: Ca,
    usages: &'static [Usage],
    long_name: &'static str,
) -> Row {
    Row { name, base, common_name, organization: None, signer: Some(signer), usages, long_name }
}

const fn member(row: Row, organization: &'static str) -> Row {
    Row { organization: Some(organization), ..row }
}

/// All certificates in the order of kubeadm's phases.
#[rustfmt::skip]
const TABLE: [Row; 19] = [
    authority(Ca::Kubernetes, "ca", "kubernetes",
        "self-signed Kubernetes CA to provision identities for other Kubernetes components"),
    leaf(CertName::Apiserver, "apiserver", "kube-apiserver", Ca::Kubernetes, SERVER,
        "certificate for serving the Kubernetes API"),
    leaf(CertName::ApiserverKubeletClient, "apiserver-kubelet-client", "kube-apiserver-kubelet-client", Ca::Kubernetes,
        CLIENT, "certificate for the API server to connect to kubelet"),
    authority(Ca::Kubelet, "kubelet-ca", "kubelet-ca",
        "self-signed CA to provision serving identities for kubelets"),
    member(leaf(CertName::KubeletServing, "kubelet-server-current.pem", "", Ca::Kubelet, SERVER,
        "certificate for serving the kubelet API"), "system:nodes"),
    authority(Ca::FrontProxy, "front-proxy-ca", "front-proxy-ca",
        "self-signed CA to provision identities for front proxy"),
    leaf(CertName::FrontProxyClient, "front-proxy-client", "front-proxy-client", Ca::FrontProxy, CLIENT,
        "certificate for the front proxy client"),
    authority(Ca::Etcd, "etcd/ca", "etcd-ca",
        "self-signed CA to provision identities for etcd"),
    leaf(CertName::EtcdServer, "etcd/server", "", Ca::Etcd, BOTH,
        "certificate for serving etcd"),
    authority(Ca::EtcdPeer, "etcd/peer-ca", "etcd-peer-ca",
        "self-signed CA to provision identities for etcd members among each other"),
    leaf(CertName::EtcdPeer, "etcd/peer", "", Ca::Etcd, BOTH,
        "certificate for etcd nodes to communicate with each other"),
    leaf(CertName::EtcdHealthcheckClient, "etcd/healthcheck-client", "kube-etcd-healthcheck-client", Ca::Etcd, CLIENT,
        "certificate for liveness probes to healthcheck etcd"),
    leaf(CertName::ApiserverEtcdClient, "apiserver-etcd-client", "kube-apiserver-etcd-client", Ca::Etcd, CLIENT,
        "certificate the apiserver uses to access etcd"),
    Row { name: CertName::ServiceAccount, base: "sa", common_name: "", organization: None, signer: None, usages: &[],
        long_name: "private key and public key for service account tokens" },
    member(leaf(CertName::Admin, "admin.conf", "kubernetes-admin", Ca::Kubernetes, CLIENT,
        "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself"),
        "kubeadm:cluster-admins"),
    member(leaf(CertName::SuperAdmin, "super-admin.conf", "kubernetes-super-admin", Ca::Kubernetes, CLIENT,
        "certificate embedded in the kubeconfig file for the super-admin"), "system:masters"),
    member(leaf(CertName::KubeletClient, "kubelet.conf", "", Ca::Kubernetes, CLIENT,
        "certificate in the kubeconfig file for the kubelet to use"), "system:nodes"),
    leaf(CertName::ControllerManager, "controller-manager.conf", "system:kube-controller-manager", Ca::Kubernetes,
        CLIENT, "certificate embedded in the kubeconfig file for the controller manager to use"),
    leaf(CertName::Scheduler, "scheduler.conf", "system:kube-scheduler", Ca::Kubernetes, CLIENT,
        "certificate embedded in the kubeconfig file for the scheduler manager to use"),
];

/// Every certificate that `node` needs, in the order of kubeadm's phases. What the cluster shares (authorities,
/// service-account keys) is listed for every host; which of its files go there is for the phases to say.
pub fn specs(cluster: &Cluster, node: &Node) -> Vec<CertSpec> {
    let wanted = TABLE.iter().filter(|row| is_needed(cluster, node, row.name));
    wanted.map(|row| row.spec(cluster, node)).collect()
}

/// Whether a certificate is one of [`specs`].
pub fn is_needed(cluster: &Cluster, node: &Node, name: CertName) -> bool {
    exists(cluster, name) && (is_shared(name) || belongs(cluster, node, name))
}

/// The certificates of all nodes; what they share comes once, first.
pub fn all_specs(cluster: &Cluster) -> Vec<CertSpec> {
    let mut seen = BTreeSet::new();
    let all = cluster.nodes.iter().flat_map(|node| specs(cluster, node));
    let mut all: Vec<CertSpec> = all.filter(|spec| seen.insert((spec.name, spec.node.clone()))).collect();
    all.sort_by_key(|spec| !spec.is_shared());
    all
}

/// One certificate of `node`, whether or not the cluster's layout has it; for phases that name one.
pub fn spec(cluster: &Cluster, node: &Node, name: CertName) -> CertSpec {
    row(name).spec(cluster, node)
}

/// An authority, whether or not the cluster's layout has it.
pub fn authority_spec(cluster: &Cluster, ca: Ca) -> CertSpec {
    let row = row(CertName::Ca(ca));
    CertSpec {
        name: row.name,
        node: String::new(),
        paths: authority_paths(cluster, ca),
        signer: None,
        subject: Subject::named(row.common_name),
        usages: row.usages,
        sans: row.authority_sans(),
    }
}

/// Where an authority is.
pub fn authority_paths(cluster: &Cluster, ca: Ca) -> Paths {
    files(cluster.certificates_dir(), row(CertName::Ca(ca)).base)
}

/// Whether it belongs to the cluster and not to one node.
pub fn is_shared(name: CertName) -> bool {
    matches!(name, CertName::Ca(_) | CertName::ServiceAccount)
}

impl CertName {
    /// What it is for, in kubeadm's words.
    pub fn long_name(self) -> &'static str {
        row(self).long_name
    }

    /// The path under the certificates directory without ending (`etcd/server`), or a kubeconfig's file name.
    pub fn base(self) -> &'static str {
        row(self).base
    }

    /// The authority that signs it in kubeadm's layout.
    pub fn signer(self, cluster: &Cluster) -> Option<Ca> {
        match self {
            Self::EtcdPeer if cluster.five_chains() => Some(Ca::EtcdPeer),
            _ => row(self).signer,
        }
    }

    /// Whether it is the client certificate of a kubeconfig.
    pub fn is_kubeconfig(self) -> bool {
        matches!(
            self,
            Self::Admin | Self::SuperAdmin | Self::KubeletClient | Self::ControllerManager | Self::Scheduler
        )
    }
}

fn row(name: CertName) -> &'static Row {
    TABLE.iter().find(|row| row.name == name).expect("every name has its row")
}

/// Whether the layout and the kind of etcd leave a place for it.
pub(super) fn exists(cluster: &Cluster, name: CertName) -> bool {
    match name {
        CertName::Ca(Ca::Kubelet) | CertName::KubeletServing => cluster.five_chains(),
        CertName::Ca(Ca::EtcdPeer) => cluster.five_chains() && cluster.has_local_etcd(),
        CertName::Ca(Ca::Etcd)
        | CertName::EtcdServer
        | CertName::EtcdPeer
        | CertName::EtcdHealthcheckClient
        | CertName::ApiserverEtcdClient => cluster.has_local_etcd(),
        _ => true,
    }
}

/// Whether a node has its own. The super-admin is only where the cluster starts, as kubeadm has it.
fn belongs(cluster: &Cluster, node: &Node, name: CertName) -> bool {
    match name {
        CertName::KubeletClient | CertName::KubeletServing => node.becomes_node(),
        CertName::EtcdServer | CertName::EtcdPeer | CertName::EtcdHealthcheckClient => {
            cluster.runs_etcd(node)
        }
        CertName::SuperAdmin => cluster.begins_on(node),
        _ => node.is_control_plane(),
    }
}

impl Row {
    fn spec(&self, cluster: &Cluster, node: &Node) -> CertSpec {
        CertSpec {
            name: self.name,
            node: if is_shared(self.name) { String::new() } else { node.name.clone() },
            paths: self.paths(cluster, node),
            signer: self.name.signer(cluster),
            subject: Subject {
                organizations: self.organization.iter().map(|name| (*name).to_owned()).collect(),
                common_name: self.common_name(node),
            },
            usages: self.usages,
            sans: self.sans(cluster, node),
        }
    }

    fn common_name(&self, node: &Node) -> String {
        match self.name {
            CertName::EtcdServer | CertName::EtcdPeer => node.name.clone(),
            CertName::KubeletClient | CertName::KubeletServing => format!("system:node:{}", node.name),
            _ => self.common_name.to_owned(),
        }
    }

    fn paths(&self, cluster: &Cluster, node: &Node) -> Paths {
        let store = node.kubelet_arg("cert-dir").unwrap_or(KUBELET_STORE).trim_end_matches('/');
        let kubeconfig = || Some(format!("{KUBECONFIG_DIR}/{}", self.base));
        match self.name {
            CertName::ServiceAccount => Paths {
                key: Some(format!("{}/sa.key", cluster.certificates_dir())),
                public_key: Some(format!("{}/sa.pub", cluster.certificates_dir())),
                ..Paths::default()
            },
            CertName::KubeletServing => {
                Paths { store: Some(format!("{store}/{}", self.base)), ..Paths::default() }
            }
            CertName::KubeletClient => Paths {
                kubeconfig: kubeconfig(),
                store: Some(format!("{store}/kubelet-client-current.pem")),
                ..Paths::default()
            },
            name if name.is_kubeconfig() => Paths { kubeconfig: kubeconfig(), ..Paths::default() },
            _ => files(cluster.certificates_dir(), self.base),
        }
    }

    fn authority_sans(&self) -> Sans {
        let mut names = SanSet::default();
        names.add(self.common_name);
        names.finish()
    }

    fn sans(&self, cluster: &Cluster, node: &Node) -> Sans {
        let configuration = &cluster.configuration;
        let local = configuration.etcd.local.as_ref();
        let mut names = SanSet::default();
        match self.name {
            CertName::Ca(_) => return self.authority_sans(),
            CertName::Apiserver => {
                names.add(&node.name);
                for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
                    names.add(name);
                }
                if !cluster.networking.dns_domain.is_empty() {
                    names.add(&format!("kubernetes.default.svc.{}", cluster.networking.dns_domain));
                }
                names.add_ip(cluster.networking.service_address(1));
                names.add_ip(node.advertise_address);
                names.add_all(cluster.endpoint.iter().map(|endpoint| &endpoint.host));
                for address in cluster.virtual_addresses() {
                    names.add_ip(address);
                }
                if cluster.node_local().is_some() {
                    names.add("localhost");
                    names.add("127.0.0.1");
                    names.add("::1");
                }
                names.add_all(&configuration.api_server.cert_sans);
            }
            CertName::EtcdServer => {
                names.add_etcd(node);
                names.add_all(local.into_iter().flat_map(|etcd| &etcd.server_cert_sans));
            }
            CertName::EtcdPeer => {
                names.add_etcd(node);
                names.add_all(local.into_iter().flat_map(|etcd| &etcd.peer_cert_sans));
            }
            CertName::KubeletServing => {
                names.add(&node.name);
                names.add_ip(node.advertise_address);
                // The kubelet's own request would name all its addresses.
                let addresses = node.kubelet_arg("node-ip").unwrap_or_default().split(',');
                let addresses = addresses.filter_map(|text| text.trim().parse::<IpAddr>().ok());
                addresses.filter(|ip| !ip.is_unspecified()).for_each(|ip| names.add_ip(ip));
            }
            _ => {}
        }
        names.finish()
    }
}

fn files(directory: &str, base: &str) -> Paths {
    Paths {
        certificate: Some(format!("{directory}/{base}.crt")),
        key: Some(format!("{directory}/{base}.key")),
        ..Paths::default()
    }
}

impl CertSpec {
    pub fn is_shared(&self) -> bool {
        is_shared(self.name)
    }

    /// Every path that must be looked at before deciding on this certificate.
    pub fn all_paths(&self) -> impl Iterator<Item = &String> {
        self.paths.iter()
    }
}

impl Paths {
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        [&self.certificate, &self.key, &self.public_key, &self.kubeconfig, &self.store].into_iter().flatten()
    }
}

impl Subject {
    pub fn named(common_name: &str) -> Self {
        Self { organizations: Vec::new(), common_name: common_name.to_owned() }
    }
}

impl Usage {
    /// The last number of its object identifier 1.3.6.1.5.5.7.3.n.
    pub fn number(self) -> u64 {
        match self {
            Self::ServerAuth => 1,
            Self::ClientAuth => 2,
        }
    }
}
