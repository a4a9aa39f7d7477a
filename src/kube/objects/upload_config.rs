//! The cluster's own record of its configuration, which joining nodes and later runs read.

use crate::cluster::Cluster;
use crate::cluster::kubeadm::API_VERSION;
use crate::cluster::kubeadm::Etcd;
use crate::cluster::token::DEFAULT_GROUP;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::NODES;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::annotate_with_hash;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::reader;
use crate::kube::static_pod::etcd;
use crate::kube::yaml;
use crate::plan::Object;
use serde_json::json;

pub const KUBEADM_CONFIG: &str = "kubeadm-config";
pub const KUBELET_CONFIG: &str = "kubelet-config";

/// `kubeadm-config` and who may read it. Who joins and upgrades with kubeadm leaves etcd on hosts of its own alone, as
/// long as it counts as external. Of an existing one only the key `ClusterConfiguration` is ours.
pub fn kubeadm_config(cluster: &Cluster) -> Vec<Object> {
    let mut configuration = cluster.configuration.clone();
    if let Some(external) = etcd::apart(cluster) {
        configuration.etcd = Etcd { local: None, external: Some(external) };
    }
    let mut configuration = json!(configuration);
    configuration["apiVersion"] = json!(API_VERSION);
    configuration["kind"] = json!("ClusterConfiguration");
    let data = json!({"ClusterConfiguration": yaml::to_string(&configuration)});
    let readers = [Subject::Group(DEFAULT_GROUP), Subject::Group(NODES)];
    let mut objects = vec![Object::plain(config_map(KUBE_SYSTEM, KUBEADM_CONFIG, &data))];
    objects.extend(reader(
        KUBE_SYSTEM,
        "kubeadm:nodes-kubeadm-config",
        "configmaps",
        KUBEADM_CONFIG,
        &readers,
    ));
    objects
}

/// `kubelet-config` and who may read it.
pub fn kubelet_config(cluster: &Cluster) -> Vec<Object> {
    let data = json!({"kubelet": yaml::to_string(&cluster.kubelet.value)});
    let mut map = config_map(KUBE_SYSTEM, KUBELET_CONFIG, &data);
    if !cluster.kubelet.user_supplied {
        annotate_with_hash(&mut map);
    }
    let readers = [Subject::Group(NODES), Subject::Group(DEFAULT_GROUP)];
    let mut objects = vec![Object::plain(map)];
    objects.extend(reader(KUBE_SYSTEM, "kubeadm:kubelet-config", "configmaps", KUBELET_CONFIG, &readers));
    objects
}
