//! `MetalLB`: what its project publishes, and the addresses that it has to give.

use crate::cluster::addon::BgpPeer;
use crate::cluster::addon::Layer2;
use crate::cluster::addon::Metallb;
use crate::cluster::addon::Pool;
use crate::kube::objects::addon::Parts;
use crate::kube::objects::calico::ManifestError;
use crate::kube::objects::foreign;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

const NAMESPACE: &str = "metallb-system";
const GROUP: &str = "metallb.io";
/// The advertisements' name: one of each kind is enough for all pools.
const ADVERTISEMENT: &str = "default";
/// Of the speaker: it announces addresses also from nodes with the label
/// `node.kubernetes.io/exclude-from-external-load-balancers`, which control planes carry.
const FROM_CONTROL_PLANES: &str = "--ignore-exclude-lb";

/// The objects of `MetalLB`. Its webhook judges pools and peers, so that they come when it runs.
///
/// # Errors
/// The manifest lacks what is to be changed.
pub fn parts(metallb: &Metallb) -> Result<Parts, ManifestError> {
    let mut objects = foreign::placed(&metallb.manifest.objects, NAMESPACE, metallb.registry.as_deref());
    let speaker = speaker_args(&mut objects).ok_or_else(|| ManifestError {
        manifest: metallb.manifest.name().to_owned(),
        missing: "container speaker in the DaemonSet speaker".to_owned(),
        project: "MetalLB",
        version: String::new(),
    })?;
    if metallb.from_control_planes {
        speaker.push(FROM_CONTROL_PLANES.into());
    }
    let mut afterwards: Vec<Object> = metallb.pools.iter().map(pool).collect();
    afterwards.extend(metallb.layer2.as_ref().map(layer2));
    afterwards.extend(metallb.peers.iter().enumerate().map(|(index, one)| peer(index, one)));
    if !metallb.peers.is_empty() {
        afterwards.push(own("v1beta1", "BGPAdvertisement", ADVERTISEMENT, &json!({})));
    }
    Ok(Parts { objects: objects.into_iter().map(Object::plain).collect(), afterwards })
}

fn speaker_args(objects: &mut [Value]) -> Option<&mut Vec<Value>> {
    let daemon_set =
        objects.iter_mut().find(|one| one["kind"] == "DaemonSet" && one["metadata"]["name"] == "speaker")?;
    let containers = daemon_set.pointer_mut("/spec/template/spec/containers")?.as_array_mut()?;
    containers.iter_mut().find(|one| one["name"] == "speaker")?["args"].as_array_mut()
}

fn own(version: &str, kind: &str, name: &str, spec: &Value) -> Object {
    Object::plain(json!({
        "apiVersion": format!("{GROUP}/{version}"),
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }))
}

fn pool(pool: &Pool) -> Object {
    let addresses: Vec<String> = pool.addresses.iter().map(|text| text.replace(' ', "")).collect();
    let mut spec = json!({"addresses": addresses, "autoAssign": pool.auto_assign});
    if pool.avoid_buggy_ips {
        spec["avoidBuggyIPs"] = true.into();
    }
    own("v1beta1", "IPAddressPool", &pool.name, &spec)
}

fn layer2(layer2: &Layer2) -> Object {
    let mut spec = json!({});
    if !layer2.interfaces.is_empty() {
        spec["interfaces"] = json!(layer2.interfaces);
    }
    own("v1beta1", "L2Advertisement", ADVERTISEMENT, &spec)
}

fn peer(index: usize, peer: &BgpPeer) -> Object {
    let mut spec = json!({"myASN": peer.own_asn, "peerASN": peer.asn, "peerAddress": peer.address});
    if let Some(port) = peer.port {
        spec["peerPort"] = port.into();
    }
    if peer.multihop {
        spec["ebgpMultiHop"] = true.into();
    }
    if let Some(secret) = &peer.password_secret {
        spec["passwordSecret"] = json!({"name": secret, "namespace": NAMESPACE});
    }
    own("v1beta2", "BGPPeer", &format!("peer-{}", index + 1), &spec)
}
