//! What only a joining host can get wrong.

use crate::cluster::Layout;
use crate::facts::NodeFacts;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::proxy::proxy_for;

const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
const HTTPS_PORT: u16 = 443;

/// Two hosts of one name would take turns at being the node. A host that has joined before is its own namesake.
pub(super) fn node_name(subject: &Subject, _: &str) -> Vec<Problem> {
    let Some(NodeFacts { name, ready, .. }) = &subject.running.namesake else { return Vec::new() };
    let joined = subject.ours.contains(KUBELET_CONF) && subject.facts.existing_paths.contains(KUBELET_CONF);
    if joined {
        return Vec::new();
    }
    let repair = format!(
        "join under another name (`--node-name`), or `kubectl delete node {name}` if that host is gone for good"
    );
    let problem = if *ready {
        Problem::error(format!(
            "a Node with name \"{name}\" and status \"Ready\" already exists in the cluster"
        ))
    } else {
        Problem::warning(format!(
            "a Node with name \"{name}\" exists in the cluster, and is not Ready; it is taken over"
        ))
    };
    vec![problem.repair(repair)]
}

/// The kubelet talks to the endpoint itself.
pub(super) fn proxy(subject: &Subject, host: &str) -> Vec<Problem> {
    let port = subject.cluster.endpoint.as_ref().map_or(HTTPS_PORT, |endpoint| endpoint.port);
    let proxy = proxy_for(&subject.facts.proxy_env, host, port);
    let problem = |proxy| {
        Problem::warning(format!("Connection to \"https://{host}:{port}\" uses proxy \"{proxy}\""))
            .repair(format!("unless that is intended, `export NO_PROXY=$NO_PROXY,{host}`"))
    };
    proxy.map(problem).into_iter().collect()
}

/// Another member makes the quorum larger; what is ill already would then stop.
pub(super) fn etcd_health(subject: &Subject, _: &str) -> Vec<Problem> {
    if let Some(why) = &subject.running.etcd_trouble {
        return vec![
            Problem::error(format!("the members of the cluster's etcd cannot be asked: {why}"))
                .repair("see on a control plane whether its etcd runs: `crictl ps -a --name etcd`"),
        ];
    }
    let Some(etcd) = &subject.running.etcd else { return Vec::new() };
    let sick = etcd.sick().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let problem = if !etcd.healthy() {
        Problem::error(format!("the cluster's etcd has no healthy majority: {sick}"))
    } else if !sick.is_empty() {
        Problem::warning(format!("members of the cluster's etcd do not answer: {sick}"))
    } else {
        return Vec::new();
    };
    let repair = "start them again, or remove those that are gone for good with `etcdctl member remove`: etcd takes in \
                  nobody while one with a vote does not answer the others";
    vec![problem.repair(repair)]
}

/// The authorities at hand must be those that the others run with.
pub(super) fn layout(subject: &Subject, _: &str) -> Vec<Problem> {
    let Some(running) = subject.running.layout else { return Vec::new() };
    let chains = |layout| if layout == Layout::Five { "five chains" } else { "kubeadm's three" };
    Problem::when(running != subject.cluster.layout, || {
        let (running, here) = (chains(running), chains(subject.cluster.layout));
        Problem::error(format!(
            "the control planes run with {running} of certificates, and the authorities at hand are those of {here}"
        ))
        .repair("upload them with the program that made the cluster: `kubewright init phase upload-certs --upload-certs`")
    })
}
