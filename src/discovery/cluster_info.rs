//! The `ConfigMap` `cluster-info`, which every cluster of kubeadm's making publishes: where the API is, whom to trust,
//! and signatures of both by every bootstrap token.

use crate::discovery::World;
use crate::discovery::attempt;
use crate::discovery::attempt::Target;
use crate::discovery::error::DiscoveryError;
use crate::discovery::moment::Moment;
use crate::discovery::roots::Trust;
use crate::discovery::trouble::Trouble;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

const PATH: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const SIGNATURE: &str = "jws-kubeconfig-";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClusterInfo {
    /// Byte for byte, since it is signed; empty when there is none.
    pub(super) kubeconfig: String,
    /// By the id of the token that signed.
    pub(super) signatures: BTreeMap<String, String>,
}

/// Asks for it once.
pub(super) fn fetch(
    world: &World<'_>,
    target: &Target,
    trust: &Trust,
    authorization: Option<&Zeroizing<String>>,
) -> Result<(ClusterInfo, Moment), DiscoveryError> {
    let asked = attempt::get(world, target, trust, authorization, PATH)?;
    let endpoint = target.endpoint();
    match asked.answer.status {
        200 => {}
        status @ (401 | 403 | 404) => {
            return Err(DiscoveryError::NoClusterInfo { endpoint, status, waited: Duration::ZERO });
        }
        status => return Err(attempt::unreachable(target, Trouble::Status(status))),
    }
    let bad = |why: String| DiscoveryError::BadClusterInfo { endpoint: endpoint.clone(), why };
    let info = parse(&asked.answer.body).map_err(bad)?;
    Ok((info, asked.moment))
}

/// Reads the object as the API gives it.
fn parse(body: &[u8]) -> Result<ClusterInfo, String> {
    let object: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let Some(data) = object.get("data").and_then(Value::as_object) else {
        return Ok(ClusterInfo::default());
    };
    let mut info = ClusterInfo::default();
    for (key, value) in data.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if let Some(id) = key.strip_prefix(SIGNATURE) {
            info.signatures.insert(id.to_owned(), value.to_owned());
        } else if key == "kubeconfig" {
            value.clone_into(&mut info.kubeconfig);
        }
    }
    Ok(info)
}
