//! The configuration that a cluster keeps of itself, read back by a host that joins.
//!
//! A file of `tests/stored` holds the `ConfigMap`s and the `JoinConfiguration`; beside it stands what comes of them.

use crate::support::golden;
use crate::support::scenario;
use crate::support::text;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::Etcd;
use kubewright::cluster::kubeadm::JoinConfiguration;
use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::File;
use kubewright::config::Issue;
use kubewright::config::Issues;
use kubewright::config::JoinOverrides;
use kubewright::config::Strictness;
use kubewright::config::stored;
use kubewright::config::stored::Joining;
use kubewright::config::stored::Stored;
use kubewright::kube::objects::kube_proxy;
use kubewright::kube::objects::upload_config;
use kubewright::kube::static_pod::etcd::apart;
use kubewright::plan::Object;
use proptest::prelude::*;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

const JOIN: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 10.0.0.1:6443, unsafeSkipCAVerification: true}
";

fn environment() -> Environment {
    Environment {
        hostname: "w1".to_owned(),
        default_address_v4: Some(Ipv4Addr::new(192, 0, 2, 20)),
        ..Environment::default()
    }
}

fn join(text: &str) -> JoinConfiguration {
    let file = File { name: "join.yaml", bytes: text.as_bytes() };
    let loaded = config::load_join(Some(file), &environment(), &JoinOverrides::default(), Strictness::Strict);
    loaded.unwrap().join
}

fn read(stored: &Stored, join: &JoinConfiguration, layout: Layout) -> Result<(Cluster, Vec<Issue>), Issues> {
    let env = environment();
    stored::cluster(stored, Joining { join, server: "https://10.77.0.11:6443", layout, env: &env })
}

/// The `ConfigMap` of that name among objects that would be written.
fn map(objects: &[Object], name: &str) -> Value {
    let is =
        |object: &&Object| object.value["kind"] == "ConfigMap" && object.value["metadata"]["name"] == name;
    objects.iter().find(is).unwrap_or_else(|| panic!("no {name}")).value.clone()
}

#[test]
fn what_was_stored_comes_back() {
    let join = join(JOIN);
    for scenario in scenario::all().into_iter().filter(|scenario| !scenario.cluster.joining) {
        let (name, cluster) = (&scenario.name, &scenario.cluster);
        let facts = &scenario.facts[&cluster.first_control_plane().name];
        let stored = Stored {
            kubeadm_config: map(&upload_config::kubeadm_config(cluster), "kubeadm-config"),
            kubelet_config: map(&upload_config::kubelet_config(cluster), "kubelet-config"),
            kube_proxy: Some(map(&kube_proxy::objects(cluster, facts).unwrap(), "kube-proxy")),
        };
        let (back, warnings) =
            read(&stored, &join, cluster.layout).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(warnings, [], "{name}");
        let mut stored = cluster.configuration.clone();
        if let Some(external) = apart(cluster) {
            stored.etcd = Etcd { local: None, external: Some(external) };
        }
        assert_eq!(back.configuration, stored, "{name}");
        assert_eq!(back.kubelet, cluster.kubelet, "{name}");
        assert_eq!(back.kube_proxy, cluster.kube_proxy, "{name}");
        assert_eq!(back.networking, cluster.networking, "{name}");
        assert_eq!((&back.version, back.layout), (&cluster.version, cluster.layout), "{name}");
        assert_eq!(back.site.ci_build, cluster.site.ci_build, "{name}");
        let found = back.endpoint.as_ref().unwrap().to_string();
        let expected =
            cluster.endpoint.as_ref().map_or_else(|| "10.77.0.11:6443".to_owned(), ToString::to_string);
        assert_eq!(found, expected, "{name}");
        assert!(back.joining && back.tokens.is_empty() && !back.upload_certs, "{name}");
        let node = &back.nodes[0];
        assert_eq!(
            (back.nodes.len(), node.name.as_str(), node.roles.as_slice()),
            (1, "w1", [Role::Worker].as_slice())
        );
        assert_eq!(node.advertise_address.to_string(), "192.0.2.20", "{name}");
    }
}

#[test]
fn a_document_that_was_changed_is_the_operators() {
    let scenario = scenario::Scenario::load("single-node", None);
    let cluster = &scenario.cluster;
    assert!(!cluster.kubelet.user_supplied);
    let mut stored = Stored {
        kubeadm_config: map(&upload_config::kubeadm_config(cluster), "kubeadm-config"),
        kubelet_config: map(&upload_config::kubelet_config(cluster), "kubelet-config"),
        kube_proxy: None,
    };
    let (back, _) = read(&stored, &join(JOIN), cluster.layout).unwrap();
    assert!(!back.kubelet.user_supplied && !back.kube_proxy.user_supplied);
    let text = stored.kubelet_config["data"]["kubelet"].as_str().unwrap().to_owned() + "maxPods: 42\n";
    stored.kubelet_config["data"]["kubelet"] = json!(text);
    let (back, _) = read(&stored, &join(JOIN), cluster.layout).unwrap();
    assert!(back.kubelet.user_supplied);
    assert_eq!(back.kubelet.value["maxPods"], 42);
    // What the cluster's document does not say is not put into it, whatever the layout.
    let bare = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    stored.kubelet_config["data"]["kubelet"] = json!(bare);
    let (back, _) = read(&stored, &join(JOIN), Layout::Five).unwrap();
    assert!(back.kubelet.value.get("serverTLSBootstrap").is_none());
}

/// The documents of a case.
fn case(path: &Path) -> (Stored, JoinConfiguration) {
    let input = text::read(path);
    let mut stored = Stored::default();
    let mut given = JOIN.to_owned();
    for document in serde_yaml::Deserializer::from_str(&input) {
        let value = Value::deserialize(document).unwrap();
        match (value["kind"].as_str(), value["metadata"]["name"].as_str()) {
            (Some("JoinConfiguration"), _) => given = serde_yaml::to_string(&value).unwrap(),
            (_, Some("kubeadm-config")) => stored.kubeadm_config = value,
            (_, Some("kubelet-config")) => stored.kubelet_config = value,
            (_, Some("kube-proxy")) => stored.kube_proxy = Some(value),
            other => panic!("{other:?}"),
        }
    }
    (stored, join(&given))
}

fn described(result: Result<(Cluster, Vec<Issue>), Issues>) -> String {
    let (cluster, warnings) = match result {
        Ok(good) => good,
        Err(issues) => return format!("{issues}\n"),
    };
    let mut out = String::new();
    for warning in warnings {
        writeln!(out, "{warning}").unwrap();
    }
    let node = &cluster.nodes[0];
    let component = |config: &kubewright::cluster::ComponentConfig| {
        if config.user_supplied { "the operator's" } else { "generated" }
    };
    let endpoint = cluster.endpoint.as_ref().unwrap();
    let (name, version, layout) = (&cluster.name, &cluster.version, cluster.layout);
    writeln!(out, "cluster {name} {version} {layout:?} at {endpoint}").unwrap();
    writeln!(out, "services {:?}, pods {:?}", cluster.networking.services, cluster.networking.pods).unwrap();
    writeln!(out, "kubelet {}, kube-proxy {}", component(&cluster.kubelet), component(&cluster.kube_proxy))
        .unwrap();
    writeln!(out, "api server {:?}", cluster.configuration.api_server.component.extra_args).unwrap();
    writeln!(out, "{node:#?}").unwrap();
    out
}

#[test]
fn what_comes_of_stored_configurations_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored");
    let cases =
        text::files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut count = 0;
    for path in cases {
        let (stored, join) = case(&path);
        let said = described(read(&stored, &join, Layout::Kubeadm));
        let expected = path.with_extension("txt");
        if text::blessing() {
            let name = expected.file_name().unwrap().to_str().unwrap().to_owned();
            write(&folder.join(name), &said);
        }
        text::assert_same(&path.display().to_string(), &text::read(&expected), &said);
        count += 1;
    }
    assert!(count >= 10, "only {count} cases");
}

#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

/// What the real kubeadm stored is read as generated, and is the same when it is written again.
#[test]
fn kubeadms_own_objects_are_read() {
    let Some(golden) = golden::folder("kubeadms_own_objects_are_read") else { return };
    for name in ["ha-controlplaneendpoint", "single-node", "external-etcd"] {
        let objects = |file: &str| -> Vec<Object> {
            let path = golden.join(name).join("api-objects").join(file);
            let input = text::read(&path);
            let documents = serde_yaml::Deserializer::from_str(&input);
            documents.map(|document| Object::plain(Value::deserialize(document).unwrap())).collect()
        };
        let config = objects("upload-config.yaml");
        let proxy = golden.join(name).join("api-objects/addon-kube-proxy.yaml");
        let stored = Stored {
            kubeadm_config: map(&config, "kubeadm-config"),
            kubelet_config: map(&config, "kubelet-config"),
            kube_proxy: proxy.is_file().then(|| map(&objects("addon-kube-proxy.yaml"), "kube-proxy")),
        };
        let (back, warnings) = read(&stored, &join(JOIN), Layout::Kubeadm).unwrap();
        assert_eq!(warnings, [], "{name}");
        assert!(!back.kubelet.user_supplied && !back.kube_proxy.user_supplied, "{name}");
        let again = map(&upload_config::kubelet_config(&back), "kubelet-config");
        assert_eq!(
            again["metadata"]["annotations"], stored.kubelet_config["metadata"]["annotations"],
            "{name}"
        );
        let again = map(&upload_config::kubeadm_config(&back), "kubeadm-config");
        assert_eq!(again["data"], stored.kubeadm_config["data"], "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_stored_text_makes_it_panic(cluster in ".{0,200}", kubelet in "[a-zA-Z0-9:{}\\[\\] \n-]{0,200}", place in 0..3_usize) {
        let texts = [
            ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n", "ClusterConfiguration"),
            ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n", "ClusterConfiguration"),
            ("", "ClusterConfiguration"),
        ];
        let (head, key) = texts[place];
        let stored = Stored {
            kubeadm_config: json!({"data": {(key): format!("{head}{cluster}")}}),
            kubelet_config: json!({"data": {"kubelet": kubelet}}),
            kube_proxy: Some(json!({"data": {"config.conf": cluster}})),
        };
        let _ = read(&stored, &join(JOIN), Layout::Five);
    }
}
