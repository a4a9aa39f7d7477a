//! Clusters from kubeadm's own documents, defaulted by hand: just enough for tests of what comes after `config`.

use ipnet::IpNet;
use kubewright::cluster::BootstrapToken;
use kubewright::cluster::Cluster;
use kubewright::cluster::ComponentConfig;
use kubewright::cluster::GoDuration;
use kubewright::cluster::HostPort;
use kubewright::cluster::Layout;
use kubewright::cluster::Networking;
use kubewright::cluster::Node;
use kubewright::cluster::Patch;
use kubewright::cluster::PatchKind;
use kubewright::cluster::Prepare;
use kubewright::cluster::Role;
use kubewright::cluster::Secret;
use kubewright::cluster::kubeadm::ClusterConfiguration;
use kubewright::cluster::kubeadm::InitConfiguration;
use kubewright::cluster::kubeadm::LocalEtcd;
use kubewright::cluster::kubeadm::NodeRegistration;
use kubewright::cluster::node::ImagePullPolicy;
use kubewright::cluster::token::DEFAULT_GROUP;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::json;
use std::net::IpAddr;
use std::path::Path;

const KUBELET: &str = include_str!("kubelet-defaults.yaml");
const KUBE_PROXY: &str = include_str!("kube-proxy-defaults.yaml");

/// Every document of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

/// The cluster of an `InitConfiguration` and a `ClusterConfiguration`, with one control plane.
pub(crate) fn cluster(text: &str, layout: Layout) -> Cluster {
    let documents = documents(text);
    let kind = |kind: &str| documents.iter().find(|document| document["kind"] == kind).cloned();
    let init: InitConfiguration = serde_json::from_value(kind("InitConfiguration").unwrap()).unwrap();
    let configuration = serde_json::from_value(kind("ClusterConfiguration").unwrap()).unwrap();
    let configuration = defaulted(configuration);
    let networking = networking(&configuration);
    let address: IpAddr = init.local_api_endpoint.advertise_address.parse().unwrap();
    let mut kubelet = component(
        kind("KubeletConfiguration"),
        KUBELET,
        &[
            (
                "/authentication/x509/clientCAFile",
                json!(format!("{}/ca.crt", configuration.certificates_dir)),
            ),
            ("/clusterDNS", json!([networking.service_address(10)])),
            ("/clusterDomain", json!(networking.dns_domain)),
        ],
    );
    if layout == Layout::Five {
        kubelet.value["serverTLSBootstrap"] = json!(true);
    }
    let any = if address.is_ipv6() { "::" } else { "0.0.0.0" };
    let kube_proxy = component(
        kind("KubeProxyConfiguration"),
        KUBE_PROXY,
        &[("/bindAddress", json!(any)), ("/clusterCIDR", json!(configuration.networking.pod_subnet))],
    );
    Cluster {
        name: configuration.cluster_name.clone(),
        version: configuration.kubernetes_version.parse().unwrap(),
        layout,
        networking,
        endpoint: endpoint(&configuration),
        kubelet,
        kube_proxy,
        nodes: vec![node(
            &init.node_registration,
            address,
            init.local_api_endpoint.bind_port,
            Role::ControlPlane,
        )],
        tokens: init.bootstrap_tokens.iter().map(token).collect(),
        upload_certs: true,
        certificate_key: (!init.certificate_key.is_empty())
            .then(|| Secret::new(init.certificate_key.clone())),
        timeouts: init.timeouts,
        patches: Vec::new(),
        prepare: Prepare::default(),
        site: kubewright::cluster::Site::default(),
        configuration,
    }
}

/// A host as kubeadm's registration describes it.
pub(crate) fn node(registration: &NodeRegistration, address: IpAddr, bind_port: u16, role: Role) -> Node {
    Node {
        name: registration.name.clone(),
        roles: vec![role],
        advertise_address: address,
        bind_port,
        cri_socket: registration.cri_socket.clone(),
        taints: registration.taints.clone(),
        labels: [].into(),
        kubelet_extra_args: registration.kubelet_extra_args.clone(),
        ignore_preflight_errors: Vec::new(),
        image_pull_policy: ImagePullPolicy::default(),
        image_pull_serial: true,
        access: None,
    }
}

/// The patches of a folder, by kubeadm's rules for file names.
pub(crate) fn patches(folder: &Path) -> Vec<Patch> {
    let mut patches = Vec::new();
    for path in super::text::files(folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((stem, "yaml" | "json")) = name.rsplit_once('.') else { continue };
        let (target, kind) = match stem.rsplit_once('+') {
            Some((target, "json")) => (target, PatchKind::Json),
            Some((target, "merge")) => (target, PatchKind::Merge),
            _ => (stem, PatchKind::Strategic),
        };
        let target = target.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        for value in documents(&super::text::read(&path)) {
            patches.push(Patch { target: target.clone(), kind, value, source: name.clone() });
        }
    }
    patches
}

fn defaulted(mut configuration: ClusterConfiguration) -> ClusterConfiguration {
    let or = |field: &mut String, default: &str| {
        if field.is_empty() {
            default.clone_into(field);
        }
    };
    or(&mut configuration.certificates_dir, "/etc/kubernetes/pki");
    or(&mut configuration.image_repository, "registry.k8s.io");
    or(&mut configuration.cluster_name, "kubernetes");
    or(&mut configuration.networking.dns_domain, "cluster.local");
    or(&mut configuration.networking.service_subnet, "10.96.0.0/12");
    configuration.certificate_validity_period.get_or_insert(GoDuration::from_hours(8760));
    configuration.ca_certificate_validity_period.get_or_insert(GoDuration::from_hours(87600));
    if let Some(etcd) = &mut configuration.etcd.external {
        etcd.http_endpoints.clone_from(&etcd.endpoints);
    } else {
        let local = configuration.etcd.local.get_or_insert_with(LocalEtcd::default);
        or(&mut local.data_dir, "/var/lib/etcd");
    }
    for name in &mut configuration.api_server.cert_sans {
        *name = name.to_lowercase();
    }
    if !configuration.control_plane_endpoint.is_empty() && !configuration.control_plane_endpoint.contains(':')
    {
        configuration.control_plane_endpoint += ":6443";
    }
    configuration
}

fn networking(configuration: &ClusterConfiguration) -> Networking {
    let networks = |text: &str| -> Vec<IpNet> {
        text.split(',')
            .filter(|network| !network.is_empty())
            .map(|network| network.parse().unwrap())
            .collect()
    };
    Networking {
        services: networks(&configuration.networking.service_subnet),
        pods: networks(&configuration.networking.pod_subnet),
        dns_domain: configuration.networking.dns_domain.clone(),
    }
}

fn endpoint(configuration: &ClusterConfiguration) -> Option<HostPort> {
    let (host, port) = configuration.control_plane_endpoint.rsplit_once(':')?;
    Some(HostPort::new(host, port.parse().unwrap()))
}

fn component(supplied: Option<Value>, defaults: &str, fields: &[(&str, Value)]) -> ComponentConfig {
    let user_supplied = supplied.is_some();
    let mut value = documents(defaults).remove(0);
    for (pointer, field) in fields {
        *value.pointer_mut(pointer).unwrap() = field.clone();
    }
    if let Some(supplied) = supplied {
        json_merge(&mut value, &supplied);
    }
    ComponentConfig { value, user_supplied }
}

fn json_merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (key, over) in over {
                json_merge(fields.entry(key.clone()).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

fn token(spec: &kubewright::cluster::kubeadm::BootstrapTokenSpec) -> BootstrapToken {
    let (id, secret) = spec.token.split_once('.').unwrap();
    BootstrapToken {
        id: id.to_owned(),
        secret: Secret::new(secret),
        description: spec.description.clone(),
        ttl: spec.ttl.unwrap_or(GoDuration::from_hours(24)),
        usages: ["signing", "authentication"].map(str::to_owned).to_vec(),
        groups: vec![DEFAULT_GROUP.to_owned()],
    }
}
