//! What only a joining host can get wrong.

use crate::facts::Namesake;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::proxy::proxy_for;

const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
const HTTPS_PORT: u16 = 443;

/// Two hosts of one name would take turns at being the node. A host that has joined before is its own namesake.
pub(super) fn node_name(subject: &Subject, _: &str) -> Vec<Problem> {
    let Some(Namesake { name, ready }) = &subject.running.namesake else { return Vec::new() };
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
