//! A balancer's static pod.

use crate::cluster::Node;
use crate::cluster::node::ImagePullPolicy;
use crate::kube::static_pod;
use crate::kube::yaml;
use crate::phase::Draft;
use crate::phase::control_plane::manifests_directory;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ImageSpec;
use serde_json::Value;

/// A pod that the kubelet starts without an API server, and its image.
pub(super) struct Pod {
    pub name: &'static str,
    pub image: String,
    pub value: Value,
}

impl Pod {
    /// The image beforehand: a kubelet whose API is behind the pod would otherwise wait for both.
    pub(super) fn drafts(self, node: &Node) -> Vec<Draft> {
        let mut drafts: Vec<Draft> = image(node, &self.image).into_iter().collect();
        drafts.extend([manifests_directory(), manifest(self.name, &self.value)]);
        drafts
    }
}

fn image(node: &Node, reference: &str) -> Option<Draft> {
    if node.image_pull_policy == ImagePullPolicy::Never {
        return None;
    }
    let always = node.image_pull_policy == ImagePullPolicy::Always;
    Some(Draft::new(
        format!("image {reference}"),
        "pulled beforehand, so that a missing image shows now and not as a hanging pod",
        Action::Image(ImageSpec {
            reference: reference.to_owned(),
            cri_socket: node.cri_socket.clone(),
            always,
        }),
    ))
}

fn manifest(name: &str, pod: &Value) -> Draft {
    Draft::new(
        format!("static pod {name}"),
        "the kubelet starts it without an API server",
        Action::File(FileSpec {
            path: static_pod::manifest_path(name),
            mode: 0o600,
            owner: None,
            content: Content::Text(yaml::to_string(pod)),
            keep_existing: false,
        }),
    )
}
