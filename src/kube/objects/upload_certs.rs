//! The cluster's authorities, encrypted, for control planes that join within two hours.

use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::token::DEFAULT_GROUP;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::encoded;
use crate::kube::objects::build::reader;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use crate::plan::Fill;
use crate::plan::Object;
use crate::plan::ObjectRef;
use serde_json::json;

pub const SECRET: &str = "kubeadm-certs";
/// kubeadm's keys for what the client of an etcd apart from control planes needs.
const EXTERNAL_ETCD: [&str; 3] = ["external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"];
/// How long the Secret lives: its owner is a token that expires.
pub const LIFETIME: GoDuration = GoDuration::from_hours(2);

/// The token Secret that only keeps the time, the Secret that it owns, and who may read that.
///
/// `ttl_token_id` is a fresh random token id (six characters of `a-z0-9`); its secret part is a
/// [`Fill::TokenSecret`] hole.
pub fn objects(cluster: &Cluster, ttl_token_id: &str) -> Vec<Object> {
    let owner = ttl_token(ttl_token_id);
    let certificates = certificates(cluster, &ObjectRef::of(&owner.value));
    let mut objects = vec![owner, certificates];
    objects.extend(reader(
        KUBE_SYSTEM,
        "kubeadm:kubeadm-certs",
        "secrets",
        SECRET,
        &[Subject::Group(DEFAULT_GROUP)],
    ));
    objects
}

fn ttl_token(id: &str) -> Object {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": format!("bootstrap-token-{id}"), "namespace": KUBE_SYSTEM},
        "type": "bootstrap.kubernetes.io/token",
        "data": {
            "description": encoded("Proxy for managing TTL for the kubeadm-certs secret"),
            "token-id": encoded(id),
        },
    });
    Object::plain(value)
        .hole("/data/expiration", Fill::Expiration(LIFETIME))
        .hole("/data/token-secret", Fill::TokenSecret(id.to_owned()))
}

fn certificates(cluster: &Cluster, owner: &ObjectRef) -> Object {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": SECRET,
            "namespace": KUBE_SYSTEM,
            "ownerReferences": [{
                "apiVersion": owner.api_version,
                "kind": owner.kind,
                "name": owner.name,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "data": {},
    });
    let object = Object::plain(value).hole("/metadata/ownerReferences/0/uid", Fill::UidOf(owner.clone()));
    entries(cluster).into_iter().fold(object, |object, (key, fill)| object.hole(format!("/data/{key}"), fill))
}

/// What is uploaded, under kubeadm's keys. The two authorities that only five chains have follow the same rule:
/// the file's path with `-` for `/`.
fn entries(cluster: &Cluster) -> Vec<(String, Fill)> {
    let node = &cluster.first_control_plane().name;
    let file = |cert, part| Fill::Encrypted { node: node.clone(), cert, part };
    let mut entries = vec![
        ("sa.pub".to_owned(), file(CertName::ServiceAccount, Part::PublicKey)),
        ("sa.key".to_owned(), file(CertName::ServiceAccount, Part::Key)),
    ];
    // Who joins signs nothing for etcd on hosts of its own.
    let stacked = cluster.has_stacked_etcd();
    let authorities = [
        (Ca::Kubernetes, true),
        (Ca::FrontProxy, true),
        (Ca::Etcd, stacked),
        (Ca::Kubelet, cluster.five_chains()),
        (Ca::EtcdPeer, cluster.five_chains() && stacked),
    ];
    for (ca, _) in authorities.into_iter().filter(|(_, wanted)| *wanted) {
        let name = CertName::Ca(ca);
        entries.push((format!("{name}.crt"), file(name, Part::Certificate)));
        entries.push((format!("{name}.key"), file(name, Part::Key)));
    }
    let client = match &cluster.configuration.etcd.external {
        Some(etcd) => {
            let at = |path: &String| Fill::EncryptedFile { path: path.clone() };
            Some([at(&etcd.ca_file), at(&etcd.cert_file), at(&etcd.key_file)])
        }
        None if stacked => None,
        None => {
            let own = |part| file(CertName::ApiserverEtcdClient, part);
            let authority = file(CertName::Ca(Ca::Etcd), Part::Certificate);
            Some([authority, own(Part::Certificate), own(Part::Key)])
        }
    };
    entries.extend(EXTERNAL_ETCD.map(str::to_owned).into_iter().zip(client.into_iter().flatten()));
    entries
}
