//! The inventory for Ansible: as text to review, and as Ansible itself reads it.

use crate::binary::PROGRAM;
use crate::binary::kubewright;
use crate::skip::skip;
use crate::support::text;
use serde_json::Value;
use std::path::Path;
use std::path::PathBuf;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventory")
}

fn file() -> String {
    folder().join("cluster.yaml").to_str().unwrap().to_owned()
}

/// Without what is different on each machine.
fn reviewed(text: &str) -> String {
    text.replace(&file(), "/CLUSTER.YAML").replace(PROGRAM, "/PROGRAM")
}

#[track_caller]
fn compare(name: &str, ours: &str) {
    let path = folder().join(name);
    if text::blessing() {
        write(&path, ours);
    }
    text::assert_same(&format!("tests/inventory/{name}"), &text::read(&path), ours);
}

#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

#[test]
fn the_inventory_says_who_is_there_and_how_they_are_reached() {
    let listed = kubewright(&["inventory", "-f", &file(), "--list"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    compare("list.json", &reviewed(&listed.out));
    compare("left-out.txt", &reviewed(&listed.err));
    let whole: Value = serde_json::from_str(&listed.out).unwrap();
    for name in ["cp1", "w1", "lb1", "etcd1"] {
        let one: Value =
            serde_json::from_str(&kubewright(&["inventory", "-f", &file(), "--host", name]).data()).unwrap();
        assert_eq!(one, whole["_meta"]["hostvars"][name], "{name}");
    }
}

/// The program runs on the hosts then, and so its directories are theirs.
#[test]
fn directories_of_the_hosts_need_not_be_here() {
    let directory = tempfile::tempdir().unwrap();
    let named = directory.path().join("cluster.yaml");
    let there = "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {name: prod}\nspec:\n  artifacts: {directory: \
                 /nowhere/stock}\n  hosts:\n  - {name: cp1, address: 192.0.2.1, roles: [control-plane]}\n---\napiVersion: \
                 kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\npatches: {directory: /nowhere/patches}\n";
    write(&named, there);
    let listed = kubewright(&["inventory", "-f", named.to_str().unwrap(), "--list"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
}

#[test]
fn a_host_that_is_not_there_and_no_question_are_refused() {
    let unknown = kubewright(&["inventory", "-f", &file(), "--host", "w9"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("no host `w9`") && unknown.err.contains("cp1"), "{}", unknown.err);
    assert_eq!(kubewright(&["inventory", "-f", &file()]).code, 2);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests run programs")]
fn ansible_reads_the_inventory_through_the_script() {
    let test = "ansible_reads_the_inventory_through_the_script";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks/inventory");
    let asked = std::process::Command::new("ansible-inventory")
        .args(["-i", script.to_str().unwrap(), "--list"])
        .env("KUBEWRIGHT", PROGRAM)
        .env("KUBEWRIGHT_CONFIG", file())
        .output();
    let Ok(output) = asked else {
        skip(test, "no ansible-inventory on this machine (pip install ansible-core)");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["worker"]["hosts"], serde_json::json!(["cp1", "w1", "w2", "w3"]), "{read}");
    assert_eq!(read["_meta"]["hostvars"]["w1"]["ansible_port"], 2200, "{read}");
    assert_eq!(read["_meta"]["hostvars"]["etcd1"]["kubewright_cluster"], "prod", "{read}");
}
