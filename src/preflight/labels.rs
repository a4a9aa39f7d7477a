//! Labels that a kubelet is told to give itself, and does not start with.
//!
//! Names under `kubernetes.io` and `k8s.io` belong to the project; a kubelet takes only those that say what the host is
//! (KEP 279, `limiting-node-scope-on-the-existing-node-permission`; kubelet `--node-labels`).

use crate::preflight::Problem;
use crate::preflight::Subject;

const ALLOWED: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

/// Whoever is in one of these may be named as one likes.
const ALLOWED_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const PROJECT_DOMAINS: [&str; 2] = ["kubernetes.io", "k8s.io"];

pub(super) fn find(subject: &Subject, _: &str) -> Vec<Problem> {
    let labels = subject.node.kubelet_arg("node-labels").unwrap_or_default();
    let keys = labels.split(',').map(|label| label.split('=').next().unwrap_or_default().trim());
    let refused: Vec<&str> = keys.filter(|key| is_refused(key)).collect();
    Problem::when(!refused.is_empty(), || {
        let name = subject.node.registered_name();
        let commands = refused
            .iter()
            .map(|key| format!("`kubectl label node {name} {key}=`"))
            .collect::<Vec<_>>()
            .join(", ");
        Problem::error(format!(
            "the kubelet does not start with `--node-labels` that name {}",
            refused.join(", ")
        ))
        .repair(format!("leave them out, and when the node has joined: {commands}"))
    })
}

fn is_refused(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let within = |domains: &[&str]| {
        domains
            .iter()
            .any(|one| domain.strip_suffix(one).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    };
    within(&PROJECT_DOMAINS) && !within(&ALLOWED_DOMAINS) && !ALLOWED.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_kubelet_may_call_itself() {
        for (key, refused) in [
            ("disk", false),
            ("example.com/disk", false),
            ("notkubernetes.io/x", false),
            ("kubernetes.io/hostname", false),
            ("topology.kubernetes.io/zone", false),
            ("node.kubernetes.io/anything", false),
            ("my.node.kubernetes.io/anything", false),
            ("node-role.kubernetes.io/worker", true),
            ("kubernetes.io/role", true),
            ("cluster.k8s.io/x", true),
        ] {
            assert_eq!(is_refused(key), refused, "{key}");
        }
    }
}
