//! The `ConfigMap` `cluster-info`, which every cluster of kubeadm's making publishes: where the API is, whom to trust,
//! and signatures of both by every bootstrap token.

use crate::discovery::World;
use crate::discovery::attempt;
use crate::discovery::attempt::Peer;
use crate::discovery::error::DiscoveryError;
use crate::discovery::moment::Moment;
use crate::discovery::trouble::Trouble;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

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
    peer: Peer<'_>,
    within: Duration,
) -> Result<(ClusterInfo, Moment), DiscoveryError> {
    let asked = attempt::get(world, peer, PATH, within)?;
    let target = peer.target;
    let endpoint = target.endpoint();
    match asked.answer.status {
        200 => {}
        // A refusal of the API is an object too; other servers have pages for such cases.
        status @ (401 | 403 | 404) if is_kind(&asked.answer.body, "Status") => {
            return Err(DiscoveryError::NoClusterInfo { endpoint, status, waited: Duration::ZERO });
        }
        401 | 403 | 404 => return Err(attempt::unreachable(target, Trouble::NotKubernetes)),
        status => return Err(attempt::unreachable(target, Trouble::Status(status))),
    }
    match parse(&asked.answer.body) {
        Some(info) => Ok((info, asked.moment)),
        None => Err(attempt::unreachable(target, Trouble::NotKubernetes)),
    }
}

fn is_kind(body: &[u8], kind: &str) -> bool {
    let object: Option<Value> = serde_json::from_slice(body).ok();
    object.as_ref().and_then(|object| object.get("kind")).and_then(Value::as_str) == Some(kind)
}

/// Reads the object as the API gives it; `None` when it is none.
fn parse(body: &[u8]) -> Option<ClusterInfo> {
    if !is_kind(body, "ConfigMap") {
        return None;
    }
    let object: Value = serde_json::from_slice(body).ok()?;
    let mut info = ClusterInfo::default();
    let data = object.get("data").and_then(Value::as_object);
    let data = data.into_iter().flatten();
    for (key, value) in data.filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if let Some(id) = key.strip_prefix(SIGNATURE) {
            info.signatures.insert(id.to_owned(), value.to_owned());
        } else if key == "kubeconfig" {
            value.clone_into(&mut info.kubeconfig);
        }
    }
    Some(info)
}
