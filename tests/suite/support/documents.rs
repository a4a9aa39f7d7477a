//! Every document of a cluster, rendered.

use kubewright::cluster::Cluster;
use kubewright::cluster::Node;
use kubewright::facts::HostFacts;
use kubewright::kube::kubelet;
use kubewright::kube::objects;
use kubewright::kube::patch::Target;
use kubewright::kube::static_pod;
use kubewright::kube::static_pod::InitialCluster;
use kubewright::kube::static_pod::RootlessIds;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::kube::static_pod::Site;
use kubewright::kube::yaml;
use kubewright::pki::CertName;
use kubewright::plan::Fill;
use kubewright::plan::Object;
use kubewright::plan::ObjectRef;
use serde_json::Value;
use std::collections::BTreeMap;

/// The id of the token that keeps the time of the uploaded certificates.
pub(crate) const TTL_TOKEN_ID: &str = "ttltok";

/// What, beside the cluster, its documents depend on.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) facts: HostFacts,
    pub(crate) signing: SigningKeys,
    pub(crate) rootless: Option<RootlessIds>,
}

impl Setting {
    pub(crate) fn of_host(hostname: &str) -> Self {
        Self { facts: HostFacts::assumed(hostname), signing: SigningKeys::default(), rootless: None }
    }
}

/// The static pods of a control plane as text, by file name; patched.
pub(crate) fn manifests(cluster: &Cluster, node: &Node, setting: &Setting) -> BTreeMap<String, String> {
    let site = Site {
        cluster,
        node,
        facts: &setting.facts,
        signing: setting.signing,
        rootless: setting.rootless.as_ref(),
    };
    let mut pods = vec![
        (Target::KubeApiserver, static_pod::kube_apiserver(&site)),
        (Target::KubeControllerManager, static_pod::kube_controller_manager(&site)),
        (Target::KubeScheduler, static_pod::kube_scheduler(&site)),
    ];
    if cluster.has_local_etcd() {
        pods.push((Target::Etcd, static_pod::etcd(&site, &InitialCluster::new(cluster.control_planes()))));
    }
    let text = |(target, pod): (Target, Value)| {
        (format!("{target}.yaml"), static_pod::manifest(cluster, target, pod).unwrap())
    };
    pods.into_iter().map(text).collect()
}

/// The kubelet's files as text, by file name.
pub(crate) fn kubelet_files(cluster: &Cluster, node: &Node, facts: &HostFacts) -> BTreeMap<String, String> {
    let files = [
        ("config.yaml", Some(kubelet::config(cluster, node, facts).unwrap())),
        ("instance-config.yaml", kubelet::instance_config(cluster, node)),
        ("kubeadm-flags.env", Some(kubelet::flags_env(cluster, node, facts))),
    ];
    files.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
}

/// The API objects of each phase, in order.
pub(crate) fn objects(cluster: &Cluster, facts: &HostFacts) -> Vec<(&'static str, Vec<Object>)> {
    let config =
        [objects::upload_config::kubeadm_config(cluster), objects::upload_config::kubelet_config(cluster)];
    vec![
        ("cluster-admins", vec![objects::admins::cluster_admins()]),
        ("upload-config", config.concat()),
        ("upload-certs", objects::upload_certs::objects(cluster, TTL_TOKEN_ID)),
        ("mark-nodes", cluster.nodes.iter().filter_map(objects::node::mark).collect()),
        ("bootstrap-token", objects::bootstrap_token::objects(cluster)),
        ("addon-coredns", objects::coredns::objects(cluster, objects::coredns::DEFAULT_REPLICAS).unwrap()),
        ("addon-kube-proxy", objects::kube_proxy::objects(cluster, facts).unwrap()),
    ]
}

/// The object with every hole filled by what `text` says.
pub(crate) fn filled(object: &Object, text: impl Fn(&Fill) -> String) -> Value {
    let mut value = object.value.clone();
    for hole in &object.holes {
        let (parent, field) = hole.pointer.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("no place for {}", hole.pointer));
        let before =
            parent.as_object_mut().unwrap().insert(field.to_owned(), Value::String(text(&hole.fill)));
        assert_eq!(before, None, "the place of {} is taken", hole.pointer);
    }
    value
}

/// What a hole shows while it is empty.
pub(crate) fn placeholder(fill: &Fill) -> String {
    match fill {
        Fill::TokenSecret(id) => format!("<secret of token {id}>"),
        Fill::Expiration(after) => format!("<{after} after it is written>"),
        Fill::ClusterInfo { server } => format!("<kubeconfig with {server} and the kubernetes CA>\n"),
        Fill::Signature { token, .. } => format!("<signature of it by token {token}>"),
        Fill::Encrypted { cert, part, .. } => format!("<{part:?} of {cert}, encrypted>"),
        Fill::EncryptedFile { path } => format!("<{path}, encrypted>"),
        Fill::Authority { ca, .. } => format!("<certificates of {}>\n", CertName::Ca(*ca)),
        Fill::Serving { ca, names, .. } => {
            format!("<certificate and key for {}, signed by {}>", names.join(", "), CertName::Ca(*ca))
        }
        Fill::UidOf(object) => format!("<uid of {object}>"),
    }
}

/// All documents of one host and the cluster by name; objects are named `Kind namespace/name`.
pub(crate) fn all(cluster: &Cluster, setting: &Setting) -> BTreeMap<String, String> {
    let node = cluster.first_control_plane();
    let mut all = BTreeMap::new();
    all.extend(
        manifests(cluster, node, setting).into_iter().map(|(name, text)| (format!("manifests/{name}"), text)),
    );
    let kubelet = kubelet_files(cluster, node, &setting.facts);
    all.extend(kubelet.into_iter().map(|(name, text)| (format!("kubelet/{name}"), text)));
    for object in objects(cluster, &setting.facts).iter().flat_map(|(_, objects)| objects) {
        let text = yaml::to_string(&filled(object, placeholder));
        assert_eq!(all.insert(ObjectRef::of(&object.value).to_string(), text), None, "an object comes twice");
    }
    all
}
