//! `config images list`: the images that a cluster needs.

use crate::cluster::Cluster;
use crate::cluster::DEFAULT_IMAGE_REPOSITORY;
use serde::Serialize;

/// etcd by minor version of Kubernetes, as kubeadm 1.36.2 has it.
const ETCD: [(u64, &str); 3] = [(34, "3.6.8-0"), (35, "3.6.8-0"), (36, "3.6.8-0")];
/// `CoreDNS` and pause do not follow the version of the cluster.
pub const COREDNS_TAG: &str = "v1.14.2";
pub const PAUSE_TAG: &str = "3.10.2";

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
        Self { kind: "Images", api_version: "output.kubeadm.k8s.io/v1alpha3", images: list(cluster) }
    }
}

/// Every image, in kubeadm's order.
pub fn list(cluster: &Cluster) -> Vec<String> {
    let configuration = &cluster.configuration;
    let mut images: Vec<String> = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
        .into_iter()
        .map(|name| kubernetes(cluster, name))
        .collect();
    if !configuration.proxy.disabled {
        images.push(kubernetes(cluster, "kube-proxy"));
    }
    if !configuration.dns.disabled {
        images.push(coredns(cluster));
    }
    images.push(pause(cluster));
    if cluster.has_local_etcd() {
        images.push(etcd(cluster));
    }
    images
}

/// An image that carries the version of Kubernetes.
pub fn kubernetes(cluster: &Cluster, name: &str) -> String {
    format!("{}/{name}:{}", cluster.control_plane_repository(), cluster.version.image_tag())
}

pub fn coredns(cluster: &Cluster) -> String {
    let dns = &cluster.configuration.dns;
    let repository = match own(&dns.image_repository, &cluster.configuration.image_repository) {
        DEFAULT_IMAGE_REPOSITORY => format!("{DEFAULT_IMAGE_REPOSITORY}/coredns"),
        other => other.to_owned(),
    };
    format!("{repository}/coredns:{}", own(&dns.image_tag, COREDNS_TAG))
}

pub fn pause(cluster: &Cluster) -> String {
    format!("{}/pause:{PAUSE_TAG}", cluster.configuration.image_repository)
}

pub fn etcd(cluster: &Cluster) -> String {
    let local = cluster.configuration.etcd.local.clone().unwrap_or_default();
    let repository = own(&local.image_repository, &cluster.configuration.image_repository);
    format!("{repository}/etcd:{}", own(&local.image_tag, etcd_tag(cluster.version.minor())))
}

/// The tag for a minor version; outside the table, that of the nearest one in it.
pub fn etcd_tag(minor: u64) -> &'static str {
    let nearest = ETCD.iter().min_by_key(|(known, _)| known.abs_diff(minor));
    nearest.map(|(_, tag)| *tag).expect("the table is not empty")
}

fn own<'a>(own: &'a str, common: &'a str) -> &'a str {
    if own.is_empty() { common } else { own }
}
