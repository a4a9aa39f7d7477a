//! Every document of a few clusters, as text that a change shows up in, and what must be true of all of them.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use crate::support::documents;
use crate::support::documents::Setting;
use crate::support::kubeadm_input;
use crate::support::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::api::rbac::v1::Role;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role as HostRole;
use kubewright::cluster::kubeadm::Arg;
use kubewright::cluster::kubeadm::Taint;
use kubewright::facts::CA_DIRECTORIES;
use kubewright::kube::Change;
use kubewright::kube::differences;
use kubewright::kube::static_pod::RootlessIds;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::kube::static_pod::rootless::Ids;
use kubewright::plan::ObjectRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// A folder under `tests/scenarios`, and what its file cannot say.
struct Scenario {
    name: &'static str,
    layout: Layout,
    adjust: fn(&mut Cluster, &mut Setting),
}

const SCENARIOS: [Scenario; 5] = [
    Scenario { name: "defaults", layout: Layout::Five, adjust: |_, _| {} },
    Scenario { name: "ha", layout: Layout::Five, adjust: more_hosts },
    Scenario {
        name: "dual-stack",
        layout: Layout::Five,
        adjust: |_, setting| setting.facts.systemd_resolved = true,
    },
    Scenario {
        name: "external",
        layout: Layout::Five,
        adjust: |_, setting| setting.signing = SigningKeys { kubernetes: false, kubelet: true },
    },
    Scenario { name: "confined", layout: Layout::Kubeadm, adjust: confined },
];

fn more_hosts(cluster: &mut Cluster, _: &mut Setting) {
    for (number, role) in [(2, HostRole::ControlPlane), (3, HostRole::ControlPlane), (4, HostRole::Worker)] {
        let mut node = cluster.nodes[0].clone();
        node.name = format!("{}{number}", if role == HostRole::Worker { "w" } else { "cp" });
        node.advertise_address = format!("198.51.100.1{number}").parse().unwrap();
        node.roles = vec![role];
        if role == HostRole::Worker {
            let taint = |key: &str, value: &str, effect: &str| Taint {
                key: key.to_owned(),
                value: value.to_owned(),
                effect: effect.to_owned(),
            };
            node.taints =
                Some(vec![taint("dedicated", "infra", "NoSchedule"), taint("slow", "", "PreferNoSchedule")]);
            node.labels = [("disk".to_owned(), "ssd".to_owned())].into();
        }
        cluster.nodes.push(node);
    }
}

fn confined(cluster: &mut Cluster, setting: &mut Setting) {
    cluster.patches = kubeadm_input::patches(&folder("confined").join("patches"));
    let ids = |number| Ids { user: number, group: number + 1000 };
    setting.rootless = Some(RootlessIds {
        apiserver: ids(101),
        controller_manager: ids(102),
        scheduler: ids(103),
        etcd: ids(104),
        sa_key_readers: 105,
    });
    setting.facts.proxy_env = [("HTTPS_PROXY".to_owned(), "http://proxy.example.com:3128".to_owned())].into();
    setting.facts.ca_directories = CA_DIRECTORIES.map(str::to_owned).into();
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name)
}

impl Scenario {
    fn load(&self, layout: Layout) -> (Cluster, Setting) {
        let input = text::read(&folder(self.name).join("cluster.yaml"));
        let mut cluster = kubeadm_input::cluster(&input, layout);
        let mut setting = Setting::of_host("cp1");
        (self.adjust)(&mut cluster, &mut setting);
        (cluster, setting)
    }
}

#[test]
fn scenarios_render_as_expected() {
    for scenario in &SCENARIOS {
        let (cluster, setting) = scenario.load(scenario.layout);
        let expected = folder(scenario.name).join("expected");
        let files = rendered(&cluster, &setting);
        if text::blessing() {
            text::bless(&expected, &files);
        }
        let names: Vec<PathBuf> = files.iter().map(|(path, _)| expected.join(path)).collect();
        assert_eq!(text::files(&expected), names, "files of {}; run with BLESS=1 to accept", scenario.name);
        for (path, ours) in &files {
            text::assert_same(&format!("{}/{path}", scenario.name), &text::read(&expected.join(path)), ours);
        }
    }
}

/// Every file of every host and every object, at the place where it would be rendered; sorted.
fn rendered(cluster: &Cluster, setting: &Setting) -> Vec<(String, String)> {
    let mut files = BTreeMap::new();
    for node in &cluster.nodes {
        let mut setting = setting.clone();
        setting.facts.hostname.clone_from(&node.name);
        if node.is_control_plane() {
            for (name, text) in documents::manifests(cluster, node, &setting) {
                files.insert(format!("hosts/{}/etc/kubernetes/manifests/{name}", node.name), text);
            }
        }
        for (name, text) in documents::kubelet_files(cluster, node, &setting.facts) {
            files.insert(format!("hosts/{}/var/lib/kubelet/{name}", node.name), text);
        }
    }
    for (number, (phase, objects)) in documents::objects(cluster, &setting.facts).into_iter().enumerate() {
        let text =
            |object| kubewright::kube::yaml::to_string(&documents::filled(object, documents::placeholder));
        let text = objects.iter().map(text).collect::<Vec<_>>().join("---\n");
        files.insert(format!("cluster/{number}-{phase}.yaml"), text);
    }
    files.into_iter().collect()
}

#[test]
fn five_chains_differ_from_kubeadm_by_what_is_listed_and_no_more() {
    for scenario in &SCENARIOS {
        let (kubeadm, setting) = scenario.load(Layout::Kubeadm);
        // Which keys are at hand is another matter than the layout.
        let setting = Setting { signing: SigningKeys::default(), ..setting };
        let (five, _) = scenario.load(Layout::Five);
        let (before, after) = (documents::all(&kubeadm, &setting), documents::all(&five, &setting));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        let mut found: Vec<String> =
            before.iter().flat_map(|(name, text)| changes(name, text, &after[name])).collect();
        let mut listed = listed(&kubeadm);
        found.sort();
        listed.sort();
        assert_eq!(found, listed, "{}", scenario.name);
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
        if difference.local_etcd && !cluster.has_local_etcd() || hash_of_the_operators {
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
    let (mut cluster, setting) = SCENARIOS[0].load(Layout::Five);
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
    for scenario in &SCENARIOS {
        let (cluster, setting) = scenario.load(scenario.layout);
        let secret = cluster.tokens[0].secret.expose();
        let shown = format!("{:?}", documents::objects(&cluster, &setting.facts));
        for form in [secret.to_owned(), STANDARD.encode(secret)] {
            assert!(!shown.contains(&form), "{} shows a token's secret", scenario.name);
        }
    }
}

#[test]
fn every_object_is_what_its_type_says() {
    for scenario in &SCENARIOS {
        for layout in [Layout::Five, Layout::Kubeadm] {
            let (cluster, setting) = scenario.load(layout);
            for (_, objects) in documents::objects(&cluster, &setting.facts) {
                for object in objects {
                    // Any text in base64 will do for a Secret.
                    check(&documents::filled(&object, |_| "c2VjcmV0".to_owned()));
                }
            }
            for text in documents::manifests(&cluster, cluster.first_control_plane(), &setting).into_values()
            {
                check(&serde_yaml::from_str(&text).unwrap());
            }
        }
    }
}

fn check(value: &Value) {
    match value["kind"].as_str().unwrap() {
        "ClusterRole" => round_trip::<ClusterRole>(value),
        "ClusterRoleBinding" => round_trip::<ClusterRoleBinding>(value),
        "ConfigMap" => round_trip::<ConfigMap>(value),
        "DaemonSet" => round_trip::<DaemonSet>(value),
        "Deployment" => round_trip::<Deployment>(value),
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
