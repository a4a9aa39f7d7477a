//! The objects of an add-on, whichever it is.

use crate::cluster::Addon;
use crate::cluster::Cluster;
use crate::cluster::addon::IngressProvider;
use crate::cluster::addon::What;
use crate::cluster::cni::Manifest;
use crate::kube::DocumentError;
use crate::kube::objects::calico::ManifestError;
use crate::kube::objects::chart;
use crate::kube::objects::foreign;
use crate::kube::objects::foreign::DEFAULT_NAMESPACE;
use crate::kube::objects::haproxy_ingress;
use crate::kube::objects::headlamp;
use crate::kube::objects::kubelet_csr_approver;
use crate::kube::objects::local_path;
use crate::kube::objects::metallb;
use crate::kube::objects::metrics_server;
use crate::kube::objects::node_local_dns;
use crate::kube::objects::traefik;
use crate::plan::Object;
use serde_json::Value;

/// What an add-on consists of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parts {
    /// In the order in which their author wants them.
    pub objects: Vec<Object>,
    /// What can only be written when the others run, since a webhook of theirs judges it.
    pub afterwards: Vec<Object>,
}

#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The objects of an add-on. `signs` says whether the authority of the front proxy can sign a certificate for it.
///
/// # Errors
/// What others wrote is not what it was taken for, or a template of ours is wrong.
pub fn parts(cluster: &Cluster, addon: &Addon, signs: bool) -> Result<Parts, AddonError> {
    let plain = |objects| Parts { objects, afterwards: Vec::new() };
    Ok(match &addon.what {
        What::NodeLocalDns(cache) => plain(node_local_dns::objects(cluster, cache)?),
        What::KubeletCsrApprover(approver) => plain(kubelet_csr_approver::objects(approver)),
        What::MetricsServer(metrics) => plain(metrics_server::objects(cluster, metrics, signs)),
        What::GatewayApi(manifest) => plain(of_manifests(std::slice::from_ref(manifest))),
        What::Metallb(metallb) => metallb::parts(metallb)?,
        What::LocalPath(local_path) => plain(local_path::objects(local_path)?),
        What::Ingress(ingress) => plain(match ingress.provider {
            IngressProvider::Traefik => traefik::objects(ingress),
            IngressProvider::Haproxy => haproxy_ingress::objects(ingress),
        }),
        What::Headlamp(headlamp) => plain(headlamp::objects(headlamp)),
        What::Chart(chart) => plain(chart::objects(chart)),
        What::Manifests(manifests) => plain(of_manifests(manifests)),
    })
}

/// The images of an add-on, each once. A manifest that is not what it was taken for is for the plan to complain about.
pub fn images(cluster: &Cluster, addon: &Addon) -> Vec<String> {
    let parts = parts(cluster, addon, true).unwrap_or_default();
    let objects: Vec<Value> = parts.objects.into_iter().map(|object| object.value).collect();
    let mut images = foreign::images(&objects);
    // It makes pods by itself.
    if let What::LocalPath(local_path) = &addon.what {
        images.push(local_path.helper_image.clone());
    }
    images
}

fn of_manifests(manifests: &[Manifest]) -> Vec<Object> {
    let objects =
        manifests.iter().flat_map(|manifest| foreign::placed(&manifest.objects, DEFAULT_NAMESPACE, None));
    objects.map(Object::plain).collect()
}
