//! Image references, and which versions of etcd, `coredns` and pause belong to a Kubernetes version.

use crate::cluster::KubeVersion;
use crate::cluster::kubeadm::ClusterConfiguration;

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

/// Where upstream keeps its images; `coredns` lives one level deeper there, and only there.
const UPSTREAM: &str = "registry.k8s.io";

/// The row of a minor version; one outside the table gets the nearest.
fn companions(version: &KubeVersion) -> &'static Row {
    COMPANIONS.iter().min_by_key(|row| row.minor.abs_diff(version.minor())).expect("the table is not empty")
}

/// `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `kube-proxy` at the cluster's version.
pub fn component(configuration: &ClusterConfiguration, version: &KubeVersion, name: &str) -> String {
    format!("{}/{name}:{}", configuration.image_repository, version.image_tag())
}

pub fn etcd(configuration: &ClusterConfiguration, version: &KubeVersion) -> String {
    let (repository, tag) =
        configuration.etcd.local.as_ref().map_or(("", ""), |etcd| (&etcd.image_repository, &etcd.image_tag));
    let repository = first_given(repository, &configuration.image_repository);
    format!("{repository}/etcd:{}", first_given(tag, companions(version).etcd))
}

pub fn coredns(configuration: &ClusterConfiguration, version: &KubeVersion) -> String {
    let repository = first_given(&configuration.dns.image_repository, &configuration.image_repository);
    let folder = if repository == UPSTREAM { "/coredns" } else { "" };
    let tag = first_given(&configuration.dns.image_tag, companions(version).coredns);
    format!("{repository}{folder}/coredns:{tag}")
}

/// The image that holds a pod's namespaces; the container runtime's configuration names it too.
pub fn pause(configuration: &ClusterConfiguration, version: &KubeVersion) -> String {
    format!("{}/pause:{}", configuration.image_repository, companions(version).pause)
}

/// Every image that a control plane needs, in the order in which kubeadm lists them.
pub fn list(configuration: &ClusterConfiguration, version: &KubeVersion) -> Vec<String> {
    let named = |name| component(configuration, version, name);
    let mut images = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(named).to_vec();
    if !configuration.proxy.disabled {
        images.push(named("kube-proxy"));
    }
    if !configuration.dns.disabled {
        images.push(coredns(configuration, version));
    }
    images.push(pause(configuration, version));
    if configuration.etcd.external.is_none() {
        images.push(etcd(configuration, version));
    }
    images
}

fn first_given<'a>(wanted: &'a str, fallback: &'a str) -> &'a str {
    if wanted.is_empty() { fallback } else { wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubeadm::ExternalEtcd;
    use crate::cluster::kubeadm::LocalEtcd;

    fn configuration(repository: &str) -> ClusterConfiguration {
        ClusterConfiguration { image_repository: repository.to_owned(), ..Default::default() }
    }

    #[test]
    fn lists_what_a_control_plane_needs() {
        let mut wanted = configuration("registry.example.com/k8s");
        let version = "v1.35.1+build".parse().unwrap();
        let expected = [
            "registry.example.com/k8s/kube-apiserver:v1.35.1_build",
            "registry.example.com/k8s/kube-controller-manager:v1.35.1_build",
            "registry.example.com/k8s/kube-scheduler:v1.35.1_build",
            "registry.example.com/k8s/kube-proxy:v1.35.1_build",
            "registry.example.com/k8s/coredns:v1.14.2",
            "registry.example.com/k8s/pause:3.10.2",
            "registry.example.com/k8s/etcd:3.6.8-0",
        ];
        assert_eq!(list(&wanted, &version), expected);
        wanted.proxy.disabled = true;
        wanted.dns.disabled = true;
        wanted.etcd.external = Some(ExternalEtcd::default());
        assert_eq!(list(&wanted, &version), [expected[0], expected[1], expected[2], expected[5]]);
    }

    #[test]
    fn coredns_lives_deeper_upstream_and_etcd_has_its_own_repository() {
        let version = "v1.36.2".parse().unwrap();
        let mut wanted = configuration(UPSTREAM);
        assert_eq!(coredns(&wanted, &version), "registry.k8s.io/coredns/coredns:v1.14.2");
        wanted.dns.image_repository = "registry.example.com/dns".to_owned();
        wanted.dns.image_tag = "v9".to_owned();
        assert_eq!(coredns(&wanted, &version), "registry.example.com/dns/coredns:v9");
        wanted.etcd.local = Some(LocalEtcd {
            image_repository: "quay.example.com".to_owned(),
            image_tag: "3.6.99-0".to_owned(),
            ..Default::default()
        });
        assert_eq!(etcd(&wanted, &version), "quay.example.com/etcd:3.6.99-0");
    }

    #[test]
    fn a_version_outside_the_table_gets_the_nearest_row() {
        let wanted = configuration(UPSTREAM);
        for version in ["v1.20.0", "v1.99.0"] {
            assert_eq!(pause(&wanted, &version.parse().unwrap()), "registry.k8s.io/pause:3.10.2");
        }
    }
}
