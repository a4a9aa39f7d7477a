//! Clusters to make a PKI for, and ways to put it on a disk.
#![expect(clippy::disallowed_methods, reason = "tests write files and start programs")]
#![allow(dead_code, reason = "the benchmark uses a part of it")]

use kubewright::cluster::Cluster;
use kubewright::cluster::ComponentConfig;
use kubewright::cluster::HostPort;
use kubewright::cluster::Layout;
use kubewright::cluster::Networking;
use kubewright::cluster::Node;
use kubewright::cluster::Prepare;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::ClusterConfiguration;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::pki::Bundle;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::CertSpec;
use kubewright::pki::Decisions;
use kubewright::pki::FileState;
use kubewright::pki::Finding;
use kubewright::pki::Inventory;
use kubewright::pki::Minting;
use kubewright::pki::Part;
use kubewright::pki::SystemRandom;
use kubewright::pki::bundle::BundleError;
use kubewright::pki::decide;
use kubewright::pki::spec;
use kubewright::plan::ClientCredential;
use kubewright::plan::Content;
use kubewright::plan::KubeconfigSpec;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use time::OffsetDateTime;

/// Control planes `cp1`, `cp2`, … at 192.0.2.10, .11, …, and ECDSA keys because they are fast.
pub(super) fn cluster(layout: Layout, control_planes: u8) -> Cluster {
    let configuration = ClusterConfiguration {
        certificates_dir: "/etc/kubernetes/pki".to_owned(),
        cluster_name: "kubernetes".to_owned(),
        encryption_algorithm: KeyAlgorithm::EcdsaP256,
        ..ClusterConfiguration::default()
    };
    let names = (1..=control_planes).map(|number| (format!("cp{number}"), format!("192.0.2.{}", 9 + number)));
    Cluster {
        name: "kubernetes".to_owned(),
        configuration,
        version: "v1.36.2".parse().unwrap(),
        layout,
        networking: Networking {
            services: vec!["10.96.0.0/12".parse().unwrap()],
            pods: Vec::new(),
            dns_domain: "cluster.local".to_owned(),
        },
        endpoint: None,
        kubelet: ComponentConfig { value: Value::Null, user_supplied: false },
        kube_proxy: ComponentConfig { value: Value::Null, user_supplied: false },
        nodes: names.map(|(name, address)| node(&name, &address, Role::ControlPlane)).collect(),
        tokens: Vec::new(),
        upload_certs: false,
        joining: false,
        certificate_key: None,
        timeouts: kubewright::cluster::kubeadm::Timeouts::default(),
        patches: Vec::new(),
        prepare: Prepare::default(),
        site: kubewright::cluster::Site::default(),
    }
}

pub(crate) fn node(name: &str, address: &str, role: Role) -> Node {
    Node {
        name: name.to_owned(),
        roles: vec![role],
        advertise_address: address.parse().unwrap(),
        bind_port: 6443,
        cri_socket: "unix:///var/run/containerd/containerd.sock".to_owned(),
        taints: None,
        labels: BTreeMap::new(),
        kubelet_extra_args: Vec::new(),
        ignore_preflight_errors: Vec::new(),
        image_pull_policy: kubewright::cluster::node::ImagePullPolicy::default(),
        image_pull_serial: true,
        access: None,
    }
}

/// One of the golden cases: its configuration as a cluster in kubeadm's layout.
pub(super) fn golden_cluster(directory: &Path, case: &str) -> Cluster {
    let text = fs::read_to_string(directory.join(format!("configs/{case}.yaml"))).unwrap();
    let documents: Vec<&str> = text.split("\n---\n").collect();
    let init: kubewright::cluster::kubeadm::InitConfiguration = serde_yaml::from_str(documents[0]).unwrap();
    let mut configuration: ClusterConfiguration = serde_yaml::from_str(documents[1]).unwrap();
    let or = |value: &mut String, default: &str| {
        if value.is_empty() {
            default.clone_into(value);
        }
    };
    or(&mut configuration.certificates_dir, "/etc/kubernetes/pki");
    or(&mut configuration.cluster_name, "kubernetes");
    or(&mut configuration.networking.service_subnet, "10.96.0.0/12");
    or(&mut configuration.networking.dns_domain, "cluster.local");
    configuration.api_server.cert_sans.iter_mut().for_each(|name| *name = name.to_lowercase());
    let mut cluster = cluster(Layout::Kubeadm, 1);
    cluster.nodes = vec![node(
        &init.node_registration.name,
        &init.local_api_endpoint.advertise_address,
        Role::ControlPlane,
    )];
    cluster.nodes[0].bind_port = init.local_api_endpoint.bind_port;
    cluster.networking.services =
        configuration.networking.service_subnet.split(',').map(|subnet| subnet.parse().unwrap()).collect();
    cluster.networking.dns_domain.clone_from(&configuration.networking.dns_domain);
    let endpoint = &configuration.control_plane_endpoint;
    cluster.endpoint =
        (!endpoint.is_empty()).then(|| HostPort::new(endpoint.clone(), init.local_api_endpoint.bind_port));
    cluster.configuration = configuration;
    cluster
}

/// The golden outputs of kubeadm, where this machine has them.
pub(super) fn golden_directory() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("KUBEWRIGHT_GOLDEN").map(PathBuf::from);
    let beside = ["../shared", "../../shared"].map(|path| here.join(path).join("reference/kubeadm/golden"));
    named.into_iter().chain(beside).find(|path| path.join("vectors.md").exists())
}

/// A program of the directory with real Kubernetes binaries, where there is one.
pub(super) fn kube_binary(name: &str) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("KUBEWRIGHT_TEST_KUBE")?);
    Some(directory.join(name)).filter(|path| path.exists())
}

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Decides about all nodes from what was found.
pub(super) fn decide(cluster: &Cluster, inventories: &BTreeMap<String, Inventory>) -> Decisions {
    let specs = spec::all_specs(cluster);
    decide::decide(&decide::Request { cluster, specs: &specs, inventories, now: now() })
}

/// A new PKI for the whole cluster.
pub(super) fn mint(cluster: &Cluster) -> Bundle {
    complete(cluster, decide(cluster, &BTreeMap::new()))
}

pub(super) fn complete(cluster: &Cluster, decisions: Decisions) -> Bundle {
    try_complete(cluster, decisions).unwrap()
}

pub(super) fn try_complete(cluster: &Cluster, decisions: Decisions) -> Result<Bundle, BundleError> {
    let minting = Minting::new(&cluster.configuration, now());
    Bundle::complete(&spec::all_specs(cluster), decisions, &minting, &mut SystemRandom)
}

/// The kubeconfig of a certificate, as the phases ask for it.
pub(super) fn kubeconfig(cluster: &Cluster, spec: &CertSpec) -> Content {
    let node = cluster.node(&spec.node).unwrap();
    let public = matches!(spec.name, CertName::Admin | CertName::SuperAdmin) || !node.is_control_plane();
    Content::Kubeconfig(KubeconfigSpec {
        node: spec.node.clone(),
        cluster_name: cluster.configuration.cluster_name.clone(),
        server: if public { cluster.control_plane_url(node) } else { cluster.local_url(node) },
        user: spec.subject.common_name.clone(),
        client: ClientCredential::Embedded(spec.name),
    })
}

fn signs_kubelets(bundle: &Bundle) -> bool {
    bundle.part("", CertName::Ca(Ca::Kubernetes), Part::Key).is_some()
}

/// Every file of a node as (path, content), in kubeadm's places.
pub(super) fn files(cluster: &Cluster, bundle: &Bundle, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for spec in spec::specs(cluster, cluster.node(name).unwrap()) {
        let mut add = |path: &Option<String>, content: Content| {
            let Some(path) = path else { return };
            match bundle.resolve(&content) {
                Ok(bytes) => files.push((path.clone(), bytes.to_vec())),
                // An authority whose key is kept elsewhere.
                Err(BundleError::Missing { name: CertName::Ca(_), part: Part::Key, .. }) => {}
                // Signed by one: it is in the operator's kubeconfig, or in files that nobody looked into.
                Err(BundleError::Missing { part: Part::Pair, .. }) if !signs_kubelets(bundle) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let pki = |part| Content::Pki { node: spec.node.clone(), cert: spec.name, part };
        add(&spec.paths.certificate, pki(Part::Certificate));
        add(&spec.paths.key, pki(Part::Key));
        add(&spec.paths.public_key, pki(Part::PublicKey));
        add(&spec.paths.store, pki(Part::Pair));
        if spec.name.is_kubeconfig() {
            add(&spec.paths.kubeconfig, kubeconfig(cluster, &spec));
        }
    }
    files
}

/// What a look at a node finds after everything was written, with kubeadm's modes.
pub(super) fn inventory(cluster: &Cluster, bundle: &Bundle, name: &str) -> Inventory {
    let mut inventory = Inventory::default();
    for (path, content) in files(cluster, bundle, name) {
        let mode = if path.split('.').next_back() == Some("crt") { 0o644 } else { 0o600 };
        inventory.insert(path, FileState::present(content, mode));
    }
    inventory
}

pub(super) fn inventories(cluster: &Cluster, bundle: &Bundle) -> BTreeMap<String, Inventory> {
    cluster.nodes.iter().map(|node| (node.name.clone(), inventory(cluster, bundle, &node.name))).collect()
}

/// Writes a node's files below a directory.
pub(super) fn write(cluster: &Cluster, bundle: &Bundle, name: &str, root: &Path) {
    for (path, content) in files(cluster, bundle, name) {
        put(&root.join(path.trim_start_matches('/')), &content);
    }
}

pub(super) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

pub(super) fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(super) fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// Runs `openssl`; its result is the caller's to judge.
pub(super) fn openssl(args: &[&str]) -> Output {
    Command::new("openssl").args(args).output().expect("the tests need the openssl program")
}

/// Runs `openssl` and returns what it printed.
pub(super) fn openssl_ok(args: &[&str]) -> String {
    let output = openssl(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
