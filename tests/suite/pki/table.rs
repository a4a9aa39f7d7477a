//! Which certificates there are, for every layout and kind of node.

use super::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::Arg;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::spec;

fn cluster(layout: Layout, external_etcd: bool) -> Cluster {
    let mut cluster = fixture::cluster(layout, 2);
    cluster.nodes.push(fixture::node("w1", "192.0.2.20", Role::Worker));
    cluster.configuration.etcd.external = external_etcd.then(ExternalEtcd::default);
    cluster
}

/// The names of a node's certificates, with the authority of each.
fn table(cluster: &Cluster, node: &str) -> String {
    let specs = spec::specs(cluster, cluster.node(node).unwrap());
    let line = |spec: &spec::CertSpec| match spec.signer {
        Some(ca) => format!("{}<{}", spec.name, CertName::Ca(ca)),
        None => spec.name.to_string(),
    };
    specs.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_node_has_what_it_needs() {
    for (layout, external, node, expected) in [
        (
            Layout::Kubeadm,
            false,
            "cp1",
            "ca apiserver<ca apiserver-kubelet-client<ca front-proxy-ca front-proxy-client<front-proxy-ca etcd-ca \
             etcd-server<etcd-ca etcd-peer<etcd-ca etcd-healthcheck-client<etcd-ca apiserver-etcd-client<etcd-ca sa \
             admin.conf<ca super-admin.conf<ca kubelet.conf<ca controller-manager.conf<ca scheduler.conf<ca",
        ),
        (
            Layout::Five,
            false,
            "cp2",
            "ca apiserver<ca apiserver-kubelet-client<ca kubelet-ca kubelet-serving<kubelet-ca front-proxy-ca \
             front-proxy-client<front-proxy-ca etcd-ca etcd-server<etcd-ca etcd-peer-ca etcd-peer<etcd-peer-ca \
             etcd-healthcheck-client<etcd-ca apiserver-etcd-client<etcd-ca sa admin.conf<ca kubelet.conf<ca \
             controller-manager.conf<ca scheduler.conf<ca",
        ),
        (
            Layout::Five,
            true,
            "cp1",
            "ca apiserver<ca apiserver-kubelet-client<ca kubelet-ca kubelet-serving<kubelet-ca front-proxy-ca \
             front-proxy-client<front-proxy-ca sa admin.conf<ca super-admin.conf<ca kubelet.conf<ca \
             controller-manager.conf<ca scheduler.conf<ca",
        ),
        (
            Layout::Five,
            true,
            "w1",
            "ca kubelet-ca kubelet-serving<kubelet-ca front-proxy-ca sa kubelet.conf<ca",
        ),
        (Layout::Kubeadm, true, "w1", "ca front-proxy-ca sa kubelet.conf<ca"),
    ] {
        let cluster = cluster(layout, external);
        assert_eq!(table(&cluster, node), expected, "{layout:?} {external} {node}");
    }
}

#[test]
fn what_is_shared_comes_once_and_first() {
    let cluster = cluster(Layout::Five, false);
    let specs = spec::all_specs(&cluster);
    let shared = specs.iter().take_while(|spec| spec.node.is_empty()).count();
    assert_eq!(shared, Ca::ALL.len() + 1);
    assert!(specs[shared..].iter().all(|spec| !spec.node.is_empty()));
    assert_eq!(specs.len(), 6 + 13 + 12 + 2);
}

#[test]
fn the_kubelets_store_and_addresses_follow_its_flags() {
    let mut cluster = cluster(Layout::Five, false);
    let arg = |name: &str, value: &str| Arg { name: name.to_owned(), value: value.to_owned() };
    cluster.nodes[0].kubelet_extra_args =
        vec![arg("cert-dir", "/srv/kubelet/"), arg("node-ip", "192.0.2.10,2001:db8::10,0.0.0.0")];
    let serving = spec::spec(&cluster, &cluster.nodes[0], CertName::KubeletServing);
    assert_eq!(serving.paths.store.as_deref(), Some("/srv/kubelet/kubelet-server-current.pem"));
    assert_eq!(serving.sans.to_string(), "DNS:cp1, IP:192.0.2.10, IP:2001:db8::10");
    let client = spec::spec(&cluster, &cluster.nodes[0], CertName::KubeletClient);
    assert_eq!(client.paths.store.as_deref(), Some("/srv/kubelet/kubelet-client-current.pem"));
    assert_eq!(client.paths.kubeconfig.as_deref(), Some("/etc/kubernetes/kubelet.conf"));
    assert_eq!(client.subject.common_name, "system:node:cp1");
    assert_eq!(client.subject.organizations, ["system:nodes"]);
}
