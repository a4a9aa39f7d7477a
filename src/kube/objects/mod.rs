//! The API objects that make a bare API server a cluster, as kubeadm leaves them.
//!
//! Every function gives its objects in kubeadm's order of creation. What is secret, random or dated is a hole,
//! filled when the plan is carried out. All objects are created or replaced as a whole, except where said.

pub mod addon;
pub mod admins;
pub mod bootstrap_token;
pub mod build;
pub mod calico;
pub mod chart;
pub mod cilium;
pub mod coredns;
pub mod flannel;
pub mod foreign;
pub mod haproxy_ingress;
pub mod headlamp;
pub mod ingress;
pub mod kube_proxy;
pub mod kubelet_csr_approver;
pub mod local_path;
pub mod metallb;
pub mod metrics_server;
pub mod network_test;
pub mod node;
pub mod node_local_dns;
pub mod pod_network;
pub mod traefik;
pub mod upload_certs;
pub mod upload_config;

pub(crate) const KUBE_SYSTEM: &str = "kube-system";
pub(crate) const KUBE_PUBLIC: &str = "kube-public";

/// The group of every kubelet.
pub(crate) const NODES: &str = "system:nodes";
