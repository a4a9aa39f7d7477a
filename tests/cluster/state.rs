//! All that a finished `init` leaves, on the disk and in the cluster, in a form that two runs can be compared in.

use crate::lab::CONFIG;
use crate::lab::Host;
use crate::normal;
use crate::turn::Turn;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

/// States are compared between hosts of one name and address, one after the other: nothing needs translation.
const NAME: &str = "kwt-cp";
const OCTET: u8 = 21;

/// Whoever holds it may have the host of that name.
pub(crate) static TURN: Turn = Turn::new();

/// The lab's configuration with a token and a certificate key that are not left to chance.
fn config() -> String {
    with_fixed_names(CONFIG)
}

/// A configuration with a token and a certificate key that are not left to chance.
pub(crate) fn with_fixed_names(config: &str) -> String {
    let fixed = "kind: InitConfiguration\nbootstrapTokens: [{token: abcdef.0123456789abcdef}]\ncertificateKey: \
                 9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168\n";
    config.replacen("kind: InitConfiguration\n", fixed, 1)
}

/// The host whose states are compared, fresh, with its configuration. For the holder of the [`TURN`].
pub(crate) fn host() -> Host {
    let host = Host::kube(NAME, OCTET);
    host.write("/root/config.yaml", &config());
    host
}

/// What an undisturbed [`INIT`] leaves; made once. For the holder of the [`TURN`].
pub(crate) fn undisturbed() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let host = host();
        host.ok(INIT);
        State::of(&host)
    })
}

/// The run whose result [`undisturbed`] is.
pub(crate) const INIT: &str = "kubewright init --config config.yaml --upload-certs";

/// The node is Ready and no longer tainted for it, the controllers have seen every object, and `cluster-info` is
/// signed. Whether all pods run by then changes no object.
const AT_REST: &str = "export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl wait --for=condition=Ready node --all --timeout=30s &&
! kubectl get nodes -o jsonpath={.items[*].spec.taints[*].key} | grep -q not-ready &&
[ $(kubectl get configmaps -A -o name | grep -c kube-root-ca.crt) = 4 ] &&
[ $(kubectl get serviceaccounts -A -o name | grep -c /default$) = 4 ] &&
kubectl -n kube-public get configmap cluster-info -o yaml | grep -q jws-kubeconfig-abcdef &&
kubectl -n kube-system get deployment coredns -o yaml | grep -q deployment.kubernetes.io/revision &&
kubectl -n kube-system get daemonset kube-proxy -o yaml | grep -q deprecated.daemonset.template.generation";

/// A host and its cluster.
#[derive(Debug)]
pub(crate) struct State {
    /// Files, links and directories: mode, owner and fields.
    files: BTreeMap<String, BTreeMap<String, String>>,
    objects: BTreeMap<String, BTreeMap<String, String>>,
    /// What the receipt says was changed by us on the host; empty where there is none.
    changed: BTreeSet<String>,
}

const PATHS: &str = "etc/kubernetes var/lib/kubelet/config.yaml var/lib/kubelet/instance-config.yaml \
                     var/lib/kubelet/kubeadm-flags.env var/lib/kubelet/pki";

/// More that a run over a whole cluster writes.
const WHOLE_PATHS: &str =
    "etc/haproxy etc/keepalived etc/systemd/system etc/sysctl.d etc/modules-load.d etc/containerd";

const KINDS: &str = "namespaces,nodes,configmaps,secrets,serviceaccounts,services,deployments,daemonsets,roles,\
                     rolebindings,clusterroles,clusterrolebindings,apiservices,priorityclasses";

impl State {
    /// Waits until the controllers have added what they add, and takes everything down.
    pub(crate) fn of(host: &Host) -> Self {
        host.until(Duration::from_mins(1), AT_REST);
        let receipt = host.run("cat /var/lib/kubewright/receipt.json").stdout;
        let list = host.kubectl(&format!("get {KINDS} -A -o json"));
        Self { files: files(host), objects: objects(&list), changed: changed(&receipt) }
    }

    /// All hosts of a cluster, the first of which is a control plane and knows the cluster's objects.
    pub(crate) fn of_all(hosts: &[Host]) -> Vec<Self> {
        hosts[0].until(Duration::from_mins(2), AT_REST);
        let list = hosts[0].kubectl(&format!("get {KINDS} -A -o json"));
        let mut cluster = objects(&list);
        for fields in cluster.values_mut() {
            // Whoever is seen first has the first range.
            fields.retain(|field, _| !field.starts_with("/spec/podCIDR"));
        }
        let mut cluster = Some(cluster);
        let state = |host: &Host| {
            let receipt = host.run("cat /var/lib/kubewright/receipt.json").stdout;
            let files = files_below(host, &format!("{PATHS} {WHOLE_PATHS}"));
            Self { files, objects: cluster.take().unwrap_or_default(), changed: changed(&receipt) }
        };
        hosts.iter().map(state).collect()
    }

    /// A host that has joined, and its node, which `control_plane` knows; the rest of the cluster is left out.
    pub(crate) fn joined(host: &Host, control_plane: &Host) -> Self {
        let node = host.ok("hostname");
        let node = node.trim();
        let ready = format!("kubectl wait --for=condition=Ready node/{node} --timeout=30s");
        let taints = format!("kubectl get node {node} -o jsonpath={{.spec.taints[*].key}}");
        let kubeconfig = "export KUBECONFIG=/etc/kubernetes/admin.conf";
        control_plane.until(
            Duration::from_mins(1),
            &format!("{kubeconfig}; {ready} && ! {taints} | grep -q node.kubernetes.io"),
        );
        let list = format!("get nodes --field-selector metadata.name={node} -o json");
        let mut objects = objects(&control_plane.kubectl(&list));
        // Every new node has the next range.
        for fields in objects.values_mut() {
            fields.retain(|field, _| !field.starts_with("/spec/podCIDR"));
        }
        let receipt = host.run("cat /var/lib/kubewright/receipt.json").stdout;
        Self { files: files(host), objects, changed: changed(&receipt) }
    }

    /// Everything in which `other` is not the same, one difference a line.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = differing(&self.files, &other.files);
        found.extend(differing(&self.objects, &other.objects));
        found
    }

    /// The same with the receipt's account of what was changed.
    pub(crate) fn assert_same(&self, other: &Self) {
        let mut found = self.differences(other);
        let told =
            |receipt: &BTreeSet<String>, key: &String| if receipt.contains(key) { "changed" } else { "not" };
        found.extend(self.changed.symmetric_difference(&other.changed).map(|key| {
            format!("receipt: {key}: {} | {}", told(&self.changed, key), told(&other.changed, key))
        }));
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    }
}

pub(crate) type Documents = BTreeMap<String, BTreeMap<String, String>>;

pub(crate) fn differing(one: &Documents, other: &Documents) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let (Some(one), Some(other)) = (one.get(name), other.get(name)) else {
            let place = if one.contains_key(name) { "first" } else { "second" };
            found.push(format!("{name}: only in the {place}"));
            continue;
        };
        let fields: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for field in fields {
            let [a, b] = [one, other].map(|fields| fields.get(field).map_or("-", String::as_str));
            if a != b {
                found.push(format!("{name}: {field}: {a} | {b}"));
            }
        }
    }
    found
}

/// What was changed, whichever phase did it: a whole run does once what several phases need. Files of the kubelet's
/// store count that were not there before (`Receipt::ours`): a run that ended in the middle may not have come to write them
/// down, and nobody plans them again once the kubelet renews them.
fn changed(receipt: &str) -> BTreeSet<String> {
    let receipt: Value = serde_json::from_str(receipt).unwrap_or_default();
    let before = receipt["before"].as_object().cloned().unwrap_or_default();
    let new = before.into_iter().filter(|(_, before)| before["was"] == "absent").map(|(path, _)| path);
    let new = new.filter(|path| path.starts_with("/var/lib/kubelet/pki/"));
    let steps = receipt["steps"].as_object().cloned().unwrap_or_default();
    let changed = steps.values().filter(|step| step["changed"] == true);
    let subjects = changed.filter_map(|step| step["subject"].as_str());
    subjects.map(str::to_owned).chain(new).filter(|subject| on_host(subject)).collect()
}

/// API objects are left out: a run that is killed forgets which of them it made, and the next one finds them by
/// comparing. Nothing stands on that, since nothing is restored in a cluster.
fn on_host(subject: &str) -> bool {
    !subject.split(' ').next().is_some_and(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn objects(list: &str) -> Documents {
    normal::objects(list).into_iter().map(|(name, object)| (name, normal::fields(&object))).collect()
}

pub(crate) fn files(host: &Host) -> Documents {
    files_below(host, PATHS)
}

fn files_below(host: &Host, paths: &str) -> Documents {
    let archive = host.bytes(&format!("cd / && tar -c --ignore-failed-read {paths} 2>/dev/null"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("archive");
    std::fs::write(&file, archive).unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let unpacked =
        Command::new("tar").arg("-xpf").arg(&file).arg("-C").arg(&root).stdin(Stdio::null()).status();
    assert!(unpacked.unwrap().success());
    let mut found = BTreeMap::new();
    visit(&root, &root, &mut found);
    found
}

fn visit(root: &Path, directory: &Path, found: &mut Documents) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            Value::from(dated(target.to_str().unwrap()))
        } else if meta.is_dir() {
            visit(root, &path, found);
            Value::from("directory")
        } else {
            normal::file(&path, &std::fs::read(&path).unwrap())
        };
        let mut fields = normal::fields(&content);
        fields.insert("mode".to_owned(), format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid()));
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        found.insert(dated(&format!("/{name}")), fields);
    }
}

/// The kubelet names its certificates by the time: `kubelet-client-2026-01-02-03-04-05.pem`.
fn dated(path: &str) -> String {
    let Some((before, after)) = path.split_once("-20") else { return path.to_owned() };
    let (digits, rest) = after.split_at(after.find(".pem").unwrap_or(after.len()));
    let is_time = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_time { format!("{before}-TIME{rest}") } else { path.to_owned() }
}
