//! Image references, and which versions of etcd, `coredns` and pause belong to a Kubernetes version.

use crate::cluster::Cluster;
use crate::cluster::DEFAULT_IMAGE_REPOSITORY;
use crate::cluster::Node;
use crate::cluster::prepare::Source;
use crate::kube::objects::addon;
use crate::kube::objects::foreign;
use crate::kube::objects::pod_network;
use serde::Serialize;

/// What goes with one minor version of Kubernetes, as kubeadm v1.36.2 has it.
struct Row {
    minor: u64,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
}

/// kubeadm installs an older minor version with its own, newer companions; so do we.
const COMPANIONS: [Row; 2] = [
    Row { minor: 35, etcd: "3.6.8-0", coredns: "v1.14.2", pause: "3.10.2" },
    Row { minor: 36, etcd: "3.6.8-0", coredns: "v1.14.2", pause: "3.10.2" },
];

/// The row of a minor version; one outside the table gets the nearest.
fn companions(cluster: &Cluster) -> &'static Row {
    let minor = cluster.version.minor();
    COMPANIONS.iter().min_by_key(|row| row.minor.abs_diff(minor)).expect("the table is not empty")
}

/// The structured form of `config images list -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    pub kind: &'static str,
    pub api_version: &'static str,
    pub images: Vec<String>,
}

impl Images {
    pub fn new(cluster: &Cluster) -> Self {
        Self { kind: "Images", api_version: "output.kubeadm.k8s.io/v1alpha3", images: everything(cluster) }
    }
}

/// `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `kube-proxy` at the cluster's version.
pub fn component(cluster: &Cluster, name: &str) -> String {
    format!("{}/{name}:{}", cluster.control_plane_repository(), cluster.version.image_tag())
}

pub fn etcd(cluster: &Cluster) -> String {
    let (repository, tag) = cluster
        .configuration
        .etcd
        .local
        .as_ref()
        .map_or(("", ""), |etcd| (&etcd.image_repository, &etcd.image_tag));
    let repository = first_given(repository, &cluster.configuration.image_repository);
    format!("{repository}/etcd:{}", first_given(tag, companions(cluster).etcd))
}

/// `coredns` lives one level deeper upstream, and only there.
pub fn coredns(cluster: &Cluster) -> String {
    let dns = &cluster.configuration.dns;
    let repository = first_given(&dns.image_repository, &cluster.configuration.image_repository);
    let folder = if repository == DEFAULT_IMAGE_REPOSITORY { "/coredns" } else { "" };
    format!("{repository}{folder}/coredns:{}", first_given(&dns.image_tag, companions(cluster).coredns))
}

/// The image that holds a pod's namespaces; the container runtime's configuration names it too.
pub fn pause(cluster: &Cluster) -> String {
    format!("{}/pause:{}", cluster.configuration.image_repository, companions(cluster).pause)
}

/// The images that are pulled to a host beforehand, in the order in which kubeadm lists them; none to a worker.
pub fn of_host(cluster: &Cluster, node: &Node) -> Vec<String> {
    if node.is_etcd_host() {
        return vec![pause(cluster), etcd(cluster)];
    }
    if !node.is_control_plane() {
        return Vec::new();
    }
    let mut images = list(cluster);
    if !cluster.runs_etcd(node) {
        images.retain(|image| *image != etcd(cluster));
    }
    images
}

/// Those of the control plane, of the pod network and of the add-ons, each once. A manifest that is not what it was taken
/// for is for the plan to complain about.
pub fn everything(cluster: &Cluster) -> Vec<String> {
    let network = pod_network::objects(cluster).ok().flatten().unwrap_or_default();
    let of_addons = cluster.site.addons.iter().flat_map(|one| addon::images(cluster, one));
    let mut images = list(cluster);
    for image in foreign::images(&network).into_iter().chain(of_addons) {
        if !images.contains(&image) {
            images.push(image);
        }
    }
    images
}

/// Those that no archive of the local directory has; none where there are no archives, and hosts live by a registry.
pub fn without_archive(cluster: &Cluster) -> Vec<String> {
    let artifacts = &cluster.prepare.artifacts;
    if artifacts.source != Source::Local || artifacts.stock.images.is_empty() {
        return Vec::new();
    }
    let has =
        |image: &String| artifacts.stock.images.iter().any(|archive| archive.references.contains(image));
    everything(cluster).into_iter().filter(|image| !has(image)).collect()
}

/// Every image that a cluster's control plane needs, in the order in which kubeadm lists them.
pub fn list(cluster: &Cluster) -> Vec<String> {
    let named = |name| component(cluster, name);
    let mut images = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(named).to_vec();
    if !cluster.configuration.proxy.disabled {
        images.push(named("kube-proxy"));
    }
    if !cluster.configuration.dns.disabled {
        images.push(coredns(cluster));
    }
    images.push(pause(cluster));
    if cluster.has_local_etcd() {
        images.push(etcd(cluster));
    }
    images
}

fn first_given<'a>(wanted: &'a str, fallback: &'a str) -> &'a str {
    if wanted.is_empty() { fallback } else { wanted }
}
