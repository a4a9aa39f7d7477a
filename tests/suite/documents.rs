//! What must be true of every document of every scenario.

use crate::support::documents;
use crate::support::documents::Setting;
use crate::support::scenario;
use crate::support::scenario::Scenario;
use crate::support::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::api::rbac::v1::Role;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::kubeadm::Arg;
use kubewright::kube::Change;
use kubewright::kube::Only;
use kubewright::kube::differences;
use kubewright::kube::static_pod::MANIFESTS_DIR;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::plan::Action;
use kubewright::plan::ObjectRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn five_chains_differ_from_kubeadm_by_what_is_listed_and_no_more() {
    for name in scenario::names().into_iter().filter(|name| !name.starts_with("join-")) {
        let load = |layout| Scenario::load(&name, Some(layout));
        let (kubeadm, five) = (load(Layout::Kubeadm), load(Layout::Five));
        // Which keys are at hand is another matter than the layout.
        let setting = Setting { signing: SigningKeys::default(), ..five.setting() };
        let before = documents::all(&kubeadm.cluster, &setting);
        let after = documents::all(&five.cluster, &setting);
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        let mut found: Vec<String> =
            before.iter().flat_map(|(name, text)| changes(name, text, &after[name])).collect();
        let mut listed = listed(&kubeadm.cluster);
        found.sort();
        listed.sort();
        assert_eq!(found, listed, "{name}");
    }
}

/// Every line that one of two texts has and the other has not.
fn changes(document: &str, before: &str, after: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(before, after);
    let line = |change: similar::Change<&str>| {
        let sign = match change.tag() {
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Equal => return None,
        };
        Some((sign, change.value().trim().to_owned()))
    };
    let changed: Vec<(char, String)> = diff.iter_all_changes().filter_map(line).collect();
    let shown = |(sign, text): &(char, String)| format!("{document}: {sign} {}", shortened(text));
    changed.iter().map(shown).collect()
}

/// A line as the list names it: without the value of a hash, a hole or a path that differs.
fn shortened(line: &str) -> &str {
    for prefix in ["kubeadm.kubernetes.io/component-config.hash: ", "- --peer-trusted-ca-file="] {
        if line.starts_with(prefix) {
            return prefix;
        }
    }
    match line.split_once(": ") {
        Some((_, value)) if value.ends_with("encrypted>") => &line[..line.len() - value.len() - 1],
        _ => line,
    }
}

fn listed(cluster: &Cluster) -> Vec<String> {
    let mut lines = Vec::new();
    for difference in differences() {
        let hash_of_the_operators = difference.change
            == Change::Alters("kubeadm.kubernetes.io/component-config.hash: ")
            && cluster.kubelet.user_supplied;
        let shows = match difference.only_with {
            Only::Anywhere => true,
            Only::OwnEtcd => cluster.has_local_etcd(),
            Only::StackedEtcd => cluster.has_stacked_etcd(),
        };
        if !shows || hash_of_the_operators {
            continue;
        }
        let pki = cluster.certificates_dir();
        let line = |sign: char, text: &str| {
            format!("{}: {sign} {}", difference.document, text.replace("<pki>", pki))
        };
        match difference.change {
            Change::Adds(text) => lines.push(line('+', text)),
            Change::Removes(text) => lines.push(line('-', text)),
            Change::Alters(text) => lines.extend([line('-', text), line('+', text)]),
        }
        assert!(!difference.why.is_empty());
    }
    lines
}

#[test]
fn the_operators_one_signing_authority_excludes_ours_for_each_signer() {
    let Scenario { mut cluster, .. } = Scenario::load("single-node", None);
    let setting = Setting::of_host("cp1");
    let name = "cluster-signing-cert-file".to_owned();
    let extra = &mut cluster.configuration.controller_manager.extra_args;
    extra.push(Arg { name, value: "/srv/ca.crt".to_owned() });
    let manifests = documents::manifests(&cluster, cluster.first_control_plane(), &setting);
    let signing: Vec<&str> = manifests["kube-controller-manager.yaml"]
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --cluster-signing-"))
        .collect();
    assert_eq!(signing, ["key-file=/etc/kubernetes/pki/ca.key", "cert-file=/srv/ca.crt"]);
}

#[test]
fn no_object_holds_a_secret() {
    for scenario in scenario::all() {
        let secret = scenario.cluster.tokens[0].secret.expose();
        let shown = format!("{:?}", scenario.plan());
        for form in [secret.to_owned(), STANDARD.encode(secret)] {
            assert!(!shown.contains(&form), "{} shows a token's secret", scenario.name);
        }
    }
}

#[test]
fn every_object_is_what_its_type_says() {
    for name in scenario::names() {
        for layout in [Layout::Five, Layout::Kubeadm] {
            let plan = Scenario::load(&name, Some(layout)).plan();
            for step in &plan.steps {
                match &step.action {
                    // Any text in base64 will do for a Secret.
                    Action::Object(spec) => {
                        check(&documents::filled(&spec.object, |_| "c2VjcmV0".to_owned()));
                    }
                    Action::File(file) if file.path.starts_with(MANIFESTS_DIR) => {
                        let text = file.content.text().unwrap_or_else(|| panic!("{} is no text", file.path));
                        check(&serde_yaml::from_str(text).unwrap());
                    }
                    _ => {}
                }
            }
        }
    }
}

fn check(value: &Value) {
    let group = value["apiVersion"].as_str().unwrap().split_once('/').map_or("", |(group, _)| group);
    if group.contains('.') && !group.ends_with(".k8s.io") {
        // What a definition of somebody else says.
        return;
    }
    match value["kind"].as_str().unwrap() {
        "ClusterRole" => round_trip::<ClusterRole>(value),
        "ClusterRoleBinding" => round_trip::<ClusterRoleBinding>(value),
        "ConfigMap" => round_trip::<ConfigMap>(value),
        "CustomResourceDefinition" => round_trip::<CustomResourceDefinition>(value),
        "DaemonSet" => round_trip::<DaemonSet>(value),
        "Deployment" => round_trip::<Deployment>(value),
        "Namespace" => round_trip::<Namespace>(value),
        "Node" => round_trip::<Node>(value),
        "Pod" => round_trip::<Pod>(value),
        "Role" => round_trip::<Role>(value),
        "RoleBinding" => round_trip::<RoleBinding>(value),
        "Secret" => round_trip::<Secret>(value),
        "Service" => round_trip::<Service>(value),
        "ServiceAccount" => round_trip::<ServiceAccount>(value),
        other => panic!("no type for {other}"),
    }
}

/// A field that the type does not know would get lost on the way.
fn round_trip<T: DeserializeOwned + Serialize>(value: &Value) {
    let name = ObjectRef::of(value);
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let back = serde_json::to_value(typed).unwrap();
    let text = kubewright::kube::yaml::to_string;
    text::assert_same(&name.to_string(), &text(value), &text(&back));
}
