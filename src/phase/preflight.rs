//! The part of preflight that changes a host: its images. The checks themselves judge before anything is planned.

use crate::cluster::Node;
use crate::cluster::node::ImagePullPolicy;
use crate::kube::images;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::ImageSpec;

/// Plans the images of a host.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    if node.image_pull_policy == ImagePullPolicy::Never {
        return Ok(Vec::new());
    }
    let always = node.image_pull_policy == ImagePullPolicy::Always;
    let draft = |reference: String| {
        Draft::new(
            format!("image {reference}"),
            "pulled beforehand, so that a missing image shows now and not as a hanging pod",
            Action::Image(ImageSpec { reference, cri_socket: node.cri_socket.clone(), always }),
        )
    };
    Ok(images::of_host(cx.cluster, node).into_iter().map(draft).collect())
}
