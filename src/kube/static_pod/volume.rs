//! Host paths that a pod sees.

use crate::cluster::kubeadm::ExternalEtcd;
use crate::cluster::kubeadm::HostPathMount;
use crate::facts::CA_DIRECTORIES;
use crate::kube::static_pod::Site;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// Where distributions keep their root certificates.
const SSL_CERTS: &str = "/etc/ssl/certs";

pub(super) const DIRECTORY: &str = "DirectoryOrCreate";
pub(super) const FILE: &str = "FileOrCreate";

/// Volumes by name; each has one mount.
#[derive(Default)]
pub(super) struct Volumes {
    mounts: BTreeMap<String, HostPathMount>,
    /// Names in the order of the mounts, where it is not that of the names.
    order: Option<Vec<String>>,
}

impl Volumes {
    /// A path that is seen where it lies, to be read only.
    pub(super) fn read_only(mut self, name: &str, path: &str, path_type: &str) -> Self {
        self.insert(name, path, path_type, true);
        self
    }

    /// A path that is seen where it lies and written to. Mounts keep the order of these calls.
    pub(super) fn writable(mut self, name: &str, path: &str, path_type: &str) -> Self {
        self.insert(name, path, path_type, false);
        self.order.get_or_insert_default().push(name.to_owned());
        self
    }

    /// The system's root certificates and the cluster's PKI.
    pub(super) fn certificates(site: &Site) -> Self {
        let present = CA_DIRECTORIES.iter().filter(|path| site.facts.ca_directories.contains(**path));
        let base = Self::default().read_only("ca-certs", SSL_CERTS, DIRECTORY).read_only(
            "k8s-certs",
            site.cluster.certificates_dir(),
            DIRECTORY,
        );
        present.fold(base, |volumes, path| {
            volumes.read_only(&path.trim_start_matches('/').replace('/', "-"), path, DIRECTORY)
        })
    }

    /// The directories with an external etcd's certificates that no other volume shows already.
    pub(super) fn external_etcd(self, etcd: &ExternalEtcd, certificates_dir: &str) -> Self {
        let directories = etcd_directories(etcd, certificates_dir);
        directories.iter().enumerate().fold(self, |volumes, (index, directory)| {
            volumes.read_only(&format!("etcd-certs-{index}"), directory, DIRECTORY)
        })
    }

    /// The operator's volumes; one with the name of ours replaces it.
    pub(super) fn overlaid(mut self, extra: &[HostPathMount]) -> Self {
        self.mounts.extend(extra.iter().map(|mount| (mount.name.clone(), mount.clone())));
        self
    }

    pub(super) fn sources(&self) -> Vec<Value> {
        let source = |mount: &HostPathMount| json!({"name": mount.name, "hostPath": {"path": mount.host_path, "type": mount.path_type}});
        self.mounts.values().map(source).collect()
    }

    pub(super) fn mounts(&self) -> Vec<Value> {
        let ordered: Vec<&HostPathMount> = match &self.order {
            Some(order) => order.iter().filter_map(|name| self.mounts.get(name)).collect(),
            None => self.mounts.values().collect(),
        };
        ordered.into_iter().map(mount).collect()
    }

    fn insert(&mut self, name: &str, path: &str, path_type: &str, read_only: bool) {
        let mount = HostPathMount {
            name: name.to_owned(),
            host_path: path.to_owned(),
            mount_path: path.to_owned(),
            read_only,
            path_type: path_type.to_owned(),
        };
        self.mounts.insert(name.to_owned(), mount);
    }
}

fn mount(mount: &HostPathMount) -> Value {
    let mut value = json!({"name": mount.name, "mountPath": mount.mount_path});
    if mount.read_only {
        value["readOnly"] = json!(true);
    }
    value
}

/// kubeadm compares paths as plain text here, so `/srv/pki2` counts as lying under `/srv/pki`.
fn etcd_directories(etcd: &ExternalEtcd, certificates_dir: &str) -> Vec<String> {
    let covered = |path: &str| {
        let shown = [SSL_CERTS, certificates_dir].into_iter().chain(CA_DIRECTORIES);
        shown.into_iter().any(|directory| path.starts_with(directory))
    };
    let files = [&etcd.ca_file, &etcd.cert_file, &etcd.key_file];
    let mut directories: Vec<&str> =
        files.into_iter().filter(|file| !file.is_empty()).map(|file| parent(file)).collect();
    directories.retain(|directory| !covered(directory));
    directories.sort_unstable();
    directories.dedup_by(|later, earlier| later.starts_with(*earlier));
    directories.into_iter().map(str::to_owned).collect()
}

fn parent(file: &str) -> &str {
    match file.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_etcd_shows_only_what_is_not_seen_yet() {
        for (files, expected) in [
            (["/srv/ca/ca.crt", "/srv/client/c.crt", "/srv/client/c.key"], vec!["/srv/ca", "/srv/client"]),
            (["/etc/kubernetes/pki/etcd/ca.crt", "", ""], vec![]),
            (["/etc/ssl/certs/ca.crt", "/etc/pki/tls/certs/c.crt", "/srv/k/c.key"], vec!["/srv/k"]),
            (["/srv/a/b/ca.crt", "/srv/a/c.crt", "/srv/a2/c.key"], vec!["/srv/a"]),
            (["/ca.crt", "/srv/c.crt", "/srv/c.key"], vec!["/"]),
        ] {
            let [ca_file, cert_file, key_file] = files.map(str::to_owned);
            let etcd = ExternalEtcd { ca_file, cert_file, key_file, ..Default::default() };
            assert_eq!(etcd_directories(&etcd, "/etc/kubernetes/pki"), expected);
        }
    }
}
