//! The file with the cluster that a lab's machines become.

use super::Lab;
use super::Machine;
use crate::cluster::Role;
use crate::kube::yaml;
use serde_json::Value;
use serde_json::json;

/// Where `vagrant ssh-config` is kept, beside the file.
const SSH_CONFIG: &str = ".vagrant/ssh-config";

/// The documents as text: the same lab gives the same text.
pub fn cluster(lab: &Lab) -> String {
    let hosts: Vec<Value> = lab.machines().iter().map(|machine| host(lab, machine)).collect();
    let mut spec = json!({
        // A machine that was made anew has another key, and nobody else is at these addresses.
        "ssh": {"configFile": SSH_CONFIG, "hostKeyChecking": "accept-new"},
        "hosts": hosts,
        "network": {"cni": {"provider": lab.cni}},
        "containerRuntime": {"provider": "containerd"},
        "artifacts": {"source": lab.artifacts},
        "prepare": {"etcHosts": true},
    });
    if let Some(address) = lab.endpoint() {
        spec["endpoint"] = json!({"host": address, "provider": "keepalived-haproxy"});
    }
    let declared = json!({
        "apiVersion": "kubewright.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": lab.name},
        "spec": spec,
    });
    yaml::to_stream([&declared, &configuration(lab)].into_iter().chain(&lab.documents))
}

/// kubeadm's document, with what the lab says where it says nothing itself.
fn configuration(lab: &Lab) -> Value {
    let mut configuration = json!({
        "apiVersion": crate::cluster::kubeadm::API_VERSION,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": lab.kubernetes_version,
        "networking": {"podSubnet": lab.pod_subnet, "serviceSubnet": lab.service_subnet},
    });
    for (field, value) in &lab.configuration {
        match (&mut configuration[field], value) {
            (Value::Object(ours), Value::Object(theirs)) => ours.extend(theirs.clone()),
            (ours, theirs) => ours.clone_from(theirs),
        }
    }
    configuration
}

fn host(lab: &Lab, machine: &Machine) -> Value {
    let addresses: Vec<String> = machine.addresses.iter().map(|address| address.ip.to_string()).collect();
    let mut host = json!({
        "name": machine.name,
        "address": addresses[0],
        // As `vagrant ssh-config` calls it.
        "sshAddress": machine.name,
        "roles": [machine.role],
    });
    if [Role::ControlPlane, Role::Worker].contains(&machine.role) {
        // The default route leads through Vagrant's own network, where all machines have one address.
        host["kubeletExtraArgs"] = json!([{"name": "node-ip", "value": addresses.join(",")}]);
    }
    if machine.role == Role::ControlPlane && lab.workers == 0 {
        host["taints"] = json!([]);
    }
    host
}
