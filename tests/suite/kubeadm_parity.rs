//! Our documents beside those of the real kubeadm v1.36.2, where its recorded output is at hand.

use crate::support::documents;
use crate::support::documents::Setting;
use crate::support::documents::TTL_TOKEN_ID;
use crate::support::golden;
use crate::support::input;
use crate::support::text::assert_same;
use crate::support::text::files;
use crate::support::text::read;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::NodeRegistration;
use kubewright::facts::CA_DIRECTORIES;
use kubewright::kube::images;
use kubewright::kube::objects::build::HASH_ANNOTATION;
use kubewright::kube::static_pod::RootlessIds;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::kube::static_pod::rootless::Ids;
use kubewright::kube::yaml;
use kubewright::plan::Fill;
use kubewright::plan::Object;
use kubewright::plan::ObjectRef;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// A folder of recorded output, the configuration behind it, and what was special about the host.
struct Case {
    folder: &'static str,
    config: &'static str,
    adjust: fn(&mut Cluster, &mut Setting, &Path),
}

const CASES: [Case; 12] = [
    plain("single-node"),
    plain("ha-controlplaneendpoint"),
    plain("external-etcd"),
    plain("dual-stack"),
    plain("ipv6"),
    plain("extra-args"),
    Case {
        folder: "variant-ca-mounts",
        config: "single-node",
        adjust: |_, setting, _| setting.facts.ca_directories = CA_DIRECTORIES.map(str::to_owned).into(),
    },
    Case {
        folder: "variant-external-ca",
        config: "single-node",
        adjust: |_, setting, _| setting.signing = SigningKeys { kubernetes: false, kubelet: false },
    },
    Case { folder: "variant-proxy-env", config: "extra-args", adjust: proxied },
    Case {
        folder: "variant-rootless",
        config: "rootless",
        adjust: |_, setting, _| setting.rootless = Some(ROOTLESS),
    },
    Case {
        folder: "variant-patches",
        config: "patches",
        adjust: |cluster, _, folder| cluster.patches = input::patches(&folder.join("patches")),
    },
    Case {
        folder: "variant-hostname-override",
        config: "single-node",
        adjust: |_, setting, _| "other-host".clone_into(&mut setting.facts.hostname),
    },
];

const ROOTLESS: RootlessIds = RootlessIds {
    etcd: Ids { user: 100, group: 100 },
    apiserver: Ids { user: 101, group: 101 },
    controller_manager: Ids { user: 102, group: 102 },
    scheduler: Ids { user: 103, group: 103 },
    sa_key_readers: 104,
};

const fn plain(name: &'static str) -> Case {
    Case { folder: name, config: name, adjust: |_, _, _| {} }
}

fn proxied(_: &mut Cluster, setting: &mut Setting, _: &Path) {
    let variables = [
        ("HTTPS_PROXY", "http://proxy.example.com:3128"),
        ("http_proxy", "http://p:1"),
        ("no_proxy", "10.0.0.0/8"),
        ("ZED_PROXY", ""),
    ];
    setting.facts.proxy_env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
}

impl Case {
    fn load(&self, golden: &Path) -> (Cluster, Setting) {
        let config = read(&golden.join(format!("configs/{}.yaml", self.config)));
        let mut cluster = input::cluster(&config, Layout::Kubeadm);
        let mut setting = Setting::of_host("cp1");
        (self.adjust)(&mut cluster, &mut setting, &golden.join(self.folder));
        (cluster, setting)
    }
}

/// Compares every file of a recorded folder; each must be among ours. Gives how many there were.
fn compare_files(folder: &Path, ours: &BTreeMap<String, String>) -> usize {
    let recorded = files(folder);
    for path in &recorded {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = ours.get(name).unwrap_or_else(|| panic!("we write no {}", path.display()));
        assert_same(&path.display().to_string(), &read(path), text);
    }
    recorded.len()
}

#[test]
fn manifests_and_kubelet_files_are_kubeadms_byte_by_byte() {
    let Some(golden) = golden::folder("manifests") else { return };
    let mut compared = 0;
    for case in &CASES {
        let (cluster, setting) = case.load(&golden);
        let node = cluster.first_control_plane();
        let folder = golden.join(case.folder);
        compared += compare_files(&folder.join("manifests"), &documents::manifests(&cluster, node, &setting));
        let kubelet = documents::kubelet_files(&cluster, node, &setting.facts);
        compared += compare_files(&folder.join("kubelet"), &kubelet);
    }
    assert_eq!(compared, 61, "recorded files went missing or came to be; count them again");
}

#[test]
fn kubelet_files_of_a_joining_node_are_kubeadms() {
    let Some(golden) = golden::folder("kubelet files of join") else { return };
    let config = read(&golden.join("configs/single-node.yaml"));
    for (folder, role) in [("worker", Role::Worker), ("control-plane", Role::ControlPlane)] {
        let folder = golden.join("join-kubelet-start").join(folder);
        let join = input::documents(&read(&folder.join("join-config.yaml"))).remove(0);
        let registration: NodeRegistration =
            serde_json::from_value(join["nodeRegistration"].clone()).unwrap();
        let mut cluster = input::cluster(&config, Layout::Kubeadm);
        // The recording's cluster had it in the shared configuration.
        cluster.kubelet.value["resolvConf"] = json!("/run/systemd/resolve/resolv.conf");
        let node = input::node(&registration, "192.0.2.11".parse().unwrap(), role);
        let setting = Setting::of_host(&registration.name);
        for (name, text) in documents::kubelet_files(&cluster, &node, &setting.facts) {
            assert_same(&name, &read(&folder.join(&name)), &text);
        }
    }
}

#[test]
fn objects_are_kubeadms_field_by_field_and_in_its_order() {
    let Some(golden) = golden::folder("API objects") else { return };
    let mut compared = 0;
    for case in CASES.iter().filter(|case| golden.join(case.folder).join("api-objects").is_dir()) {
        let (cluster, setting) = case.load(&golden);
        for (phase, objects) in documents::objects(&cluster, &setting.facts) {
            let path = golden.join(case.folder).join(format!("api-objects/{phase}.yaml"));
            // Not recorded: the administrators' binding, and the marks on nodes.
            if ["cluster-admins", "mark-nodes"].contains(&phase) {
                continue;
            }
            let recorded: Vec<Value> = input::documents(&read(&path)).into_iter().map(as_sent).collect();
            let ours: Vec<Value> = objects
                .iter()
                .map(|object| documents::filled(&unsigned(object), |fill| recorded_fill(&cluster, fill)))
                .collect();
            compared += ours.len();
            assert_same_values(&path, &json!(recorded), &as_recorded(&json!(ours)));
        }
    }
    assert_eq!(compared, 96, "recorded objects went missing or came to be; count them again");
}

#[test]
fn addons_are_kubeadms_field_by_field() {
    let Some(golden) = golden::folder("addons") else { return };
    let mut compared = 0;
    for case in CASES.iter().filter(|case| golden.join(case.folder).join("addons").is_dir()) {
        let (cluster, setting) = case.load(&golden);
        for (phase, objects) in documents::objects(&cluster, &setting.facts) {
            let Some(addon) = phase.strip_prefix("addon-") else { continue };
            let path = golden.join(case.folder).join(format!("addons/{addon}.yaml"));
            let recorded: BTreeMap<ObjectRef, Value> =
                input::documents(&read(&path)).into_iter().map(as_sent).map(named).collect();
            let ours: BTreeMap<ObjectRef, Value> =
                objects.into_iter().map(|object| named(without_hash(object.value))).collect();
            compared += ours.len();
            assert_eq!(
                json!(recorded.values().collect::<Vec<_>>()),
                json!(ours.values().collect::<Vec<_>>())
            );
        }
    }
    assert_eq!(compared, 60, "recorded objects went missing or came to be; count them again");
}

#[test]
fn image_lists_are_kubeadms() {
    let Some(golden) = golden::folder("image lists") else { return };
    let config = read(&golden.join("configs/single-node.yaml"));
    for (file, version, repository) in [
        ("v1.36.2.txt", "v1.36.2", None),
        ("v1.35.0.txt", "v1.35.0", None),
        ("v1.36.2-custom-repository.txt", "v1.36.2", Some("registry.example.com/k8s")),
    ] {
        let mut cluster = input::cluster(&config, Layout::Kubeadm);
        if let Some(repository) = repository {
            repository.clone_into(&mut cluster.configuration.image_repository);
        }
        cluster.version = version.parse().unwrap();
        let list = images::list(&cluster);
        assert_same(file, &read(&golden.join("images").join(file)), &(list.join("\n") + "\n"));
    }
}

/// Compares values, and shows them as text where they differ.
fn assert_same_values(path: &Path, recorded: &Value, ours: &Value) {
    assert_same(&path.display().to_string(), &yaml::to_string(recorded), &yaml::to_string(ours));
    assert_eq!(recorded, ours);
}

fn named(value: Value) -> (ObjectRef, Value) {
    (ObjectRef::of(&value), value)
}

/// kubeadm prints the manifests of add-ons before it annotates them.
fn without_hash(mut value: Value) -> Value {
    if let Some(Value::Object(annotations)) = value.pointer_mut("/metadata/annotations") {
        annotations.remove(HASH_ANNOTATION);
        if annotations.is_empty() {
            value["metadata"].as_object_mut().unwrap().remove("annotations");
        }
    }
    value
}

/// What Go's types add to every object that they print, and the API server ignores: an empty status, empty
/// resources, a resource version of zero, `false` where that is the default.
fn as_sent(mut value: Value) -> Value {
    let fields = value.as_object_mut().unwrap();
    fields.remove("status");
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        metadata.remove("resourceVersion");
    }
    if let Some(Value::Array(containers)) = value.pointer_mut("/spec/template/spec/containers") {
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.retain(|field, value| !(field == "resources" && *value == json!({})));
            for mount in container["volumeMounts"].as_array_mut().unwrap() {
                mount
                    .as_object_mut()
                    .unwrap()
                    .retain(|field, value| !(field == "readOnly" && *value == json!(false)));
            }
        }
    }
    value
}

/// kubeadm leaves signing to the controller-manager, which makes the same signature some seconds later.
fn unsigned(object: &Object) -> Object {
    let mut object = object.clone();
    object.holes.retain(|hole| !matches!(hole.fill, Fill::Signature { .. }));
    object
}

/// What the recordings have where we have a hole.
fn recorded_fill(cluster: &Cluster, fill: &Fill) -> String {
    match fill {
        Fill::TokenSecret(id) => match cluster.tokens.iter().find(|token| token.id == *id) {
            Some(token) => STANDARD.encode(token.secret.expose()),
            None => "<BASE64 RANDOM SECRET>".to_owned(),
        },
        Fill::Expiration(after) if after.as_secs() == 7200 => "<BASE64 RFC3339 now+2h>".to_owned(),
        Fill::Expiration(_) => "<BASE64 RFC3339 now+ttl>".to_owned(),
        Fill::ClusterInfo { server } => format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: <BASE64 OF ca.crt PEM>\n    \
             server: {server}\n  name: \"\"\ncontexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n"
        ),
        Fill::Signature { .. } => unreachable!("it was taken away"),
        Fill::Encrypted { .. } | Fill::EncryptedFile { .. } => {
            "<BASE64(nonce||AES-256-GCM ciphertext||tag)>".to_owned()
        }
        Fill::Authority { .. } | Fill::Serving { .. } => unreachable!("kubeadm has no such object"),
        Fill::UidOf(_) => "<UID OF TOKEN SECRET>".to_owned(),
    }
}

/// The recordings hide the random token id.
fn as_recorded(value: &Value) -> Value {
    let text = value.to_string();
    let text = text
        .replace(&STANDARD.encode(TTL_TOKEN_ID), "<BASE64 RANDOM ID>")
        .replace(TTL_TOKEN_ID, "<RANDOM-ID>");
    serde_json::from_str(&text).unwrap()
}
