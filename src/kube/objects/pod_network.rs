//! The objects of the pod network, whichever it is.

use crate::cluster::Cluster;
use crate::cluster::Cni;
use crate::cluster::cni::CiliumSource;
use crate::kube::objects::calico;
use crate::kube::objects::calico::ManifestError;
use crate::kube::objects::flannel;
use crate::kube::objects::foreign;
use crate::kube::objects::foreign::DEFAULT_NAMESPACE;
use serde_json::Value;

/// What the pod network consists of in the cluster; `None` where it has no objects, or somebody else's.
///
/// # Errors
/// What others wrote is not what it was taken for.
pub fn objects(cluster: &Cluster) -> Result<Option<Vec<Value>>, ManifestError> {
    Ok(Some(match &cluster.site.cni {
        Cni::None | Cni::Bridge(_) => return Ok(None),
        Cni::Flannel(flannel) => flannel::objects(cluster, flannel),
        Cni::Calico(calico) => calico::calico(cluster, calico)?,
        Cni::Canal(canal) => calico::canal(cluster, canal)?,
        Cni::Cilium(cilium) => {
            let objects = match &cilium.source {
                CiliumSource::Chart { rendered, .. } => rendered,
                CiliumSource::Manifest(manifest) => &manifest.objects,
            };
            foreign::placed(objects, DEFAULT_NAMESPACE, cilium.registry.as_deref())
        }
        Cni::Custom(manifests) => manifests
            .iter()
            .flat_map(|manifest| foreign::placed(&manifest.objects, DEFAULT_NAMESPACE, None))
            .collect(),
    }))
}
