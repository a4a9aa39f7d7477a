//! What lets a new node join with nothing but a token: the tokens, the rights that they give, and the public
//! record of where the API is and who signs for it.

use crate::cluster::BootstrapToken;
use crate::cluster::Cluster;
use crate::cluster::token::DEFAULT_GROUP;
use crate::kube::objects::KUBE_PUBLIC;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::NODES;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::encoded;
use crate::kube::objects::build::reader;
use crate::plan::Fill;
use crate::plan::Object;
use crate::plan::object::expiration;
use serde_json::Value;
use serde_json::json;
use time::OffsetDateTime;

pub const CLUSTER_INFO: &str = "cluster-info";

/// All of the phase: the tokens, their rights, `cluster-info` and its reader.
///
/// `cluster-info` is signed with these tokens right away: the controller-manager does the same, but on a new cluster it
/// takes seconds to begin, during which nobody could join. Other tokens' signatures it makes anew.
pub fn objects(cluster: &Cluster) -> Vec<Object> {
    let mut objects: Vec<Object> = cluster.tokens.iter().map(token).collect();
    objects.extend(rights());
    objects.push(cluster_info(cluster));
    objects.extend(reader(
        KUBE_PUBLIC,
        "kubeadm:bootstrap-signer-clusterinfo",
        "configmaps",
        CLUSTER_INFO,
        &[Subject::User("system:anonymous")],
    ));
    objects
}

/// The Secret of one token; its secret part is a hole.
pub fn token(token: &BootstrapToken) -> Object {
    let mut data = json!({"token-id": encoded(&token.id)});
    if !token.description.is_empty() {
        data["description"] = json!(encoded(&token.description));
    }
    if !token.groups.is_empty() {
        data["auth-extra-groups"] = json!(encoded(&token.groups.join(",")));
    }
    for usage in &token.usages {
        data[format!("usage-bootstrap-{usage}")] = json!(encoded("true"));
    }
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": format!("bootstrap-token-{}", token.id), "namespace": KUBE_SYSTEM},
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    });
    let object = Object::plain(value).hole("/data/token-secret", Fill::TokenSecret(token.id.clone()));
    if token.ttl.as_nanos() > 0 {
        object.hole("/data/expiration", Fill::Expiration(token.ttl))
    } else {
        object
    }
}

/// The same Secret whole, as it is stored at `now`; the caller answers for where it goes.
pub fn filled(token: &BootstrapToken, now: OffsetDateTime) -> Value {
    let mut value = self::token(token).value;
    value["data"]["token-secret"] = json!(encoded(token.secret.expose()));
    if token.ttl.as_nanos() > 0 {
        value["data"]["expiration"] = json!(expiration(now, token.ttl));
    }
    value
}

/// What a node may do while it joins, and the API server's own rights towards kubelets.
pub fn rights() -> Vec<Object> {
    let get_nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    let mut objects = vec![cluster_role("kubeadm:get-nodes", &get_nodes)];
    let joining = Subject::Group(DEFAULT_GROUP);
    let csr = "system:certificates.k8s.io:certificatesigningrequests";
    for (name, role, subject) in [
        ("kubeadm:get-nodes", "kubeadm:get-nodes".to_owned(), joining),
        ("kubeadm:kubelet-bootstrap", "system:node-bootstrapper".to_owned(), joining),
        ("kubeadm:node-autoapprove-bootstrap", format!("{csr}:nodeclient"), joining),
        (
            "kubeadm:node-autoapprove-certificate-rotation",
            format!("{csr}:selfnodeclient"),
            Subject::Group(NODES),
        ),
        (
            "kubeadm:apiserver-kubelet-client",
            "system:kubelet-api-admin".to_owned(),
            Subject::User("kube-apiserver-kubelet-client"),
        ),
    ] {
        objects.push(cluster_role_binding(name, &role, subject));
    }
    objects
}

fn cluster_info(cluster: &Cluster) -> Object {
    let server = cluster.public_url();
    let info = Object::plain(config_map(KUBE_PUBLIC, CLUSTER_INFO, &json!({})))
        .hole("/data/kubeconfig", Fill::ClusterInfo { server: server.clone() });
    let signing = |token: &&BootstrapToken| token.usages.iter().any(|usage| usage == "signing");
    cluster.tokens.iter().filter(signing).fold(info, |info, token| {
        let pointer = format!("/data/jws-kubeconfig-{}", token.id);
        info.hole(pointer, Fill::Signature { server: server.clone(), token: token.id.clone() })
    })
}
