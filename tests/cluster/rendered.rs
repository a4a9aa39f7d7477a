//! What `render` writes, beside what the API has: kubectl must find that nothing is to be done.

use crate::estate::Operator;
use crate::lab::Host;
use serde_json::Value;

const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

/// Parts of the names of files with what each rendering makes anew (authorities, tokens), and of nodes, which are rendered
/// as patches.
const ANEW: [&str; 7] = [
    "-node-",
    "cluster-info",
    "bootstrap-token",
    "kubeadm-certs",
    "metrics-server-kubelet-ca",
    "metrics-server-serving",
    "-apiservice-",
];

/// Renders the operator's file into a directory of the host.
pub(crate) fn onto(operator: &Operator, host: &Host, directory: &str) {
    let rendered = operator.run(&["render", "-f", "cluster.yaml", "--output-dir", "rendered"]);
    assert_eq!(rendered.code, 0, "{}", rendered.text());
    host.ok(&format!("rm -rf {directory}"));
    host.put(&operator.path("rendered/cluster"), directory);
    std::fs::remove_dir_all(operator.path("rendered")).unwrap();
}

/// Rendered objects, applied by kubectl, would leave every object as it is, which is true of as many as this gives back.
/// Files with one of the parts in `except` in their name are left out.
pub(crate) fn is_what_is_there(operator: &Operator, host: &Host, except: &[&str]) -> usize {
    onto(operator, host, "/root/rendered");
    for part in ANEW.iter().chain(except) {
        host.ok(&format!("rm -f /root/rendered/*{part}*"));
    }
    let apply =
        "apply --server-side --force-conflicts --field-manager=kubewright --validate=false --dry-run=server";
    let would = items(host, &format!("{KUBECTL} {apply} -o json -f /root/rendered"));
    let there = items(host, &format!("{KUBECTL} get -o json -f /root/rendered"));
    assert_eq!(would.len(), there.len());
    for (would, there) in would.iter().zip(&there) {
        assert_eq!(would, there, "by kubectl, and as it is");
    }
    would.len()
}

fn items(host: &Host, line: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(&host.ok(line)).unwrap();
    list["items"].as_array().unwrap().iter().cloned().map(without_books).collect()
}

/// An object without what the API keeps about who wrote it, and without how it is doing.
fn without_books(mut object: Value) -> Value {
    for key in ["managedFields", "resourceVersion"] {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove(key));
    }
    object.as_object_mut().map(|object| object.remove("status"));
    object
}

/// Rendered files, by a part of their name, of kinds whose definitions drop what they do not know: the API takes every
/// object, and gives back all that was in it.
pub(crate) fn nothing_is_dropped(host: &Host, part: &str) {
    let files = format!("/root/rendered/*{part}*");
    for file in host.ok(&format!("ls {files}")).lines() {
        let read = |line: String| serde_json::from_str::<Value>(&host.ok(&line)).unwrap();
        let wanted = read(format!("{KUBECTL} create --dry-run=client --validate=false -o json -f {file}"));
        let taken = read(format!(
            "{KUBECTL} apply --server-side --dry-run=server --validate=false -o json -f {file}"
        ));
        assert!(contains(&taken["spec"], &wanted["spec"]), "{file}: {wanted} came back as {taken}");
    }
}

fn contains(all: &Value, part: &Value) -> bool {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => {
            part.iter().all(|(key, value)| all.get(key).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(all), Value::Array(part)) => {
            all.len() == part.len() && all.iter().zip(part).all(|(all, part)| contains(all, part))
        }
        (all, part) => all == part,
    }
}
