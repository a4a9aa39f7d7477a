//! Which version the API servers of a cluster that runs have, as the cluster tells it.

use crate::cluster::KubeVersion;
use crate::facts::NodeFacts;
use crate::facts::nodes::is_ready;
use serde_json::Value;
use std::collections::BTreeMap;

/// How the API server is called that answers where no pod tells a version, since nobody knows which one that is.
pub const SOME: &str = "the endpoint";

const NAME: &str = "kube-apiserver";

/// By the name of the node, from the pods with the label `component=kube-apiserver`: the tag of the image, as kubeadm
/// reads it. An image without such a tag tells nothing, and the pod of a node that is lost is only remembered: neither it
/// nor the node is ready.
pub fn of_pods(pods: &[Value], nodes: &[NodeFacts]) -> BTreeMap<String, KubeVersion> {
    let lost = |name: &str| nodes.iter().any(|node| node.name == name && !node.ready);
    let one = |pod: &Value| {
        let node = pod["spec"]["nodeName"].as_str().filter(|name| is_ready(pod) || !lost(name))?;
        let containers = pod["spec"]["containers"].as_array()?;
        let container = containers.iter().find(|container| container["name"] == NAME)?;
        Some((node.to_owned(), of_image(container["image"].as_str()?)?))
    };
    pods.iter().filter_map(one).collect()
}

/// `registry.example.com:5000/kube-apiserver:v1.36.2`; what a tag cannot hold became `_`.
fn of_image(image: &str) -> Option<KubeVersion> {
    let (image, _) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = image.rsplit('/').next()?.split_once(':')?;
    tag.replace('_', "+").parse().ok()
}

/// From what an API server answers at `/version`.
pub fn of_answer(text: &str) -> Option<KubeVersion> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer["gitVersion"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(node: &str, image: &str) -> Value {
        json!({"spec": {"nodeName": node, "containers": [{"name": "x"}, {"name": NAME, "image": image}]}})
    }

    #[test]
    fn the_tag_of_the_image_is_the_version() {
        let pods = [
            pod("cp1", "registry.example.com:5000/kube-apiserver:v1.36.2"),
            pod("cp2", "registry.example.com/ci/kube-apiserver:v1.37.0-alpha.1_abc@sha256:0123"),
            pod("cp3", "registry.example.com:5000/kube-apiserver@sha256:0123"),
            pod("cp4", "kube-apiserver:ours"),
            pod("cp5", "kube-apiserver:v1.35.0"),
        ];
        let lost = NodeFacts { name: "cp5".to_owned(), ready: false, ..NodeFacts::default() };
        let found = of_pods(&pods, &[lost]);
        let found: Vec<String> = found.iter().map(|(node, version)| format!("{node} {version}")).collect();
        assert_eq!(found, ["cp1 v1.36.2", "cp2 v1.37.0-alpha.1+abc"]);
    }

    #[test]
    fn an_answer_tells_it_too() {
        let told = |text| of_answer(text).map(|version| version.to_string());
        assert_eq!(told(r#"{"major": "1", "gitVersion": "v1.36.2"}"#).as_deref(), Some("v1.36.2"));
        assert_eq!((told("{}"), told("no")), (None, None));
    }
}
