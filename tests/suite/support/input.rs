//! Clusters from configuration files, in a world that is always the same.

use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Node;
use kubewright::cluster::Patch;
use kubewright::cluster::Role;
use kubewright::cluster::Secret;
use kubewright::cluster::Site;
use kubewright::cluster::cni::ManifestFrom;
use kubewright::cluster::kubeadm::NodeRegistration;
use kubewright::cluster::node::ImagePullPolicy;
use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::File;
use kubewright::config::JoinOverrides;
use kubewright::config::Loaded;
use kubewright::config::LoadedJoin;
use kubewright::config::Overrides;
use kubewright::config::Purpose;
use kubewright::config::Strictness;
use serde::Deserialize as _;
use serde_json::Value;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::path::Path;

/// A machine `cp1` with one address of each family and containerd.
pub(crate) fn environment() -> Environment {
    Environment {
        hostname: "cp1".to_owned(),
        default_address_v4: Some(Ipv4Addr::new(198, 51, 100, 11)),
        default_address_v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11)),
        cri_sockets: vec!["unix:///var/run/containerd/containerd.sock".to_owned()],
        tokens: vec![Secret::new("abcdef.0123456789abcdef")],
        ..Environment::default()
    }
}

/// What a configuration comes to; a flaw in it is a mistake of the test.
pub(crate) fn load(name: &str, text: &str, overrides: &Overrides) -> Loaded {
    let file = File { name, bytes: text.as_bytes() };
    let loaded = config::load(Some(file), &environment(), overrides, Strictness::Strict, Purpose::Render);
    loaded.unwrap_or_else(|issues| panic!("{issues}"))
}

/// The cluster of a configuration in this layout, whatever it says itself; certificates are uploaded.
pub(crate) fn cluster(text: &str, layout: Layout) -> Cluster {
    let overrides = Overrides { layout: Some(layout), upload_certs: Some(true), ..Overrides::default() };
    load("cluster.yaml", text, &overrides).cluster
}

/// Every document of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

/// The patches of a folder.
pub(crate) fn patches(folder: &Path) -> Vec<Patch> {
    let read = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        (name, super::text::read(path).into_bytes())
    };
    let files = super::text::files(folder).iter().map(read).collect();
    config::patches::parse(files).unwrap_or_else(|issues| panic!("{issues}")).0
}

/// Reads what others wrote and a configuration names: files from its folder, downloads from stand-ins of ours.
pub(crate) fn manifests(cluster: &mut Cluster, folder: &Path) {
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifests");
    let of_addons = cluster.site.addons.iter_mut().flat_map(|addon| addon.manifests_mut());
    for manifest in cluster.site.cni.manifests_mut().into_iter().chain(of_addons) {
        let path = match &manifest.from {
            ManifestFrom::File(path) => folder.join(path),
            ManifestFrom::Url(url) => stand_ins.join(url.rsplit('/').next().unwrap()),
        };
        let text = super::text::read(&path);
        let file = File { name: manifest.name(), bytes: text.as_bytes() };
        manifest.objects = config::manifest::objects(file).unwrap_or_else(|issues| panic!("{issues}"));
    }
}

/// Takes what helm would make of a chart from the folder: `rendered-NAME.yaml`.
pub(crate) fn charts(cluster: &mut Cluster, folder: &Path) {
    for addon in &mut cluster.site.addons {
        let path = folder.join(format!("rendered-{}.yaml", addon.name));
        let Some(chart) = addon.chart_mut() else { continue };
        let text = super::text::read(&path);
        let file = File { name: "rendered", bytes: text.as_bytes() };
        chart.rendered = config::manifest::objects(file).unwrap_or_else(|issues| panic!("{issues}"));
    }
}

/// A host as the registration of a `JoinConfiguration` describes it.
pub(crate) fn node(registration: &NodeRegistration, address: IpAddr, role: Role) -> Node {
    Node {
        name: registration.name.clone(),
        roles: vec![role],
        advertise_address: address,
        bind_port: 6443,
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

/// Makes a cluster one that the host of a `JoinConfiguration` joins.
pub(crate) fn join(cluster: &mut Cluster, name: &str, text: &str) {
    let file = File { name, bytes: text.as_bytes() };
    let read = config::load_join(Some(file), &environment(), &JoinOverrides::default(), Strictness::Strict);
    let LoadedJoin { join, site, labels, .. } = read.unwrap_or_else(|issues| panic!("{issues}"));
    let (role, address) = match &join.control_plane {
        Some(plane) => (Role::ControlPlane, plane.local_api_endpoint.advertise_address.parse().unwrap()),
        None => (Role::Worker, "198.51.100.31".parse().unwrap()),
    };
    cluster.joining = true;
    cluster.upload_certs = false;
    cluster.nodes = vec![Node { labels, ..node(&join.node_registration, address, role) }];
    cluster.site = Site { ci_build: cluster.site.ci_build, ..site };
    cluster.timeouts = join.timeouts;
}
