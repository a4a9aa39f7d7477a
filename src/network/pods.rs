//! The pods of the test, as the API and their hosts tell of them.

use crate::host::Command;
use crate::kube::objects::network_test;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A pod of the test that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The Node object that it runs on.
    pub node: String,
    pub uid: String,
    /// One, or one of each family.
    pub addresses: Vec<IpAddr>,
    /// A policy closes it.
    pub guarded: bool,
}

/// What is known of a pod: it runs, or why it does not yet.
pub type Found = Result<Pod, String>;

/// The pods by node and kind; of several, as while one is replaced, the last that runs.
pub fn found(objects: &[Value]) -> BTreeMap<(String, bool), Found> {
    let mut pods: BTreeMap<(String, bool), Found> = BTreeMap::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let label = object["metadata"]["labels"][network_test::LABEL].as_str().unwrap_or_default();
        let ends = !object["metadata"]["deletionTimestamp"].is_null();
        if text("/spec/nodeName").is_empty() || ends {
            continue;
        }
        let guarded = label == network_test::GUARDED;
        let key = (text("/spec/nodeName").to_owned(), guarded);
        let addresses = addresses(object);
        let found = if text("/status/phase") == "Running" && !addresses.is_empty() {
            Ok(Pod { node: key.0.clone(), uid: text("/metadata/uid").to_owned(), addresses, guarded })
        } else {
            Err(why(object))
        };
        if found.is_ok() || !pods.contains_key(&key) {
            pods.insert(key, found);
        }
    }
    pods
}

fn addresses(pod: &Value) -> Vec<IpAddr> {
    let all = pod["status"]["podIPs"].as_array().into_iter().flatten();
    all.filter_map(|entry| entry["ip"].as_str()?.parse().ok()).collect()
}

/// Why a pod does not run: what its container waits for, or the last condition that does not hold.
fn why(pod: &Value) -> String {
    let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let waits = containers.map(|container| &container["state"]["waiting"]).find(|waits| !waits.is_null());
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let unmet = conditions.rfind(|condition| condition["status"] != "True");
    let said = waits.or(unmet).map(|of| {
        let word = |key: &str| of[key].as_str().unwrap_or_default();
        [word("reason"), word("message")]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(": ")
    });
    said.filter(|said| !said.is_empty())
        .unwrap_or_else(|| pod["status"]["phase"].as_str().unwrap_or("it has no state").to_owned())
}

/// The command that says which process of a host belongs to which pod: lines of a process and the pod's UID. A process in
/// the control group of a pod that has the host's own network is the runtime's.
pub fn processes(uids: &[&str]) -> Command {
    let script = r#"
own=$(readlink /proc/1/ns/net) || exit 1
for uid do
  # systemd's names of control groups have no hyphens.
  other=$(printf '%s' "$uid" | tr - _)
  for file in $(grep -l -s -e "pod$uid" -e "pod$other" /proc/[0-9]*/cgroup); do
    process=${file#/proc/}
    process=${process%/cgroup}
    network=$(readlink "/proc/$process/ns/net") || continue
    [ "$network" = "$own" ] && continue
    echo "$process $uid"
    break
  done
done
"#;
    Command::query("sh").args(["-c", script, "sh"]).args(uids.iter().copied())
}

/// The processes by the pod's UID.
pub fn processes_of(text: &str) -> BTreeMap<String, u32> {
    let line = |line: &str| {
        let (process, uid) = line.split_once(' ')?;
        Some((uid.to_owned(), process.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(label: &str, status: &Value) -> Value {
        json!({
            "metadata": {"uid": "u-1", "labels": {network_test::LABEL: label}},
            "spec": {"nodeName": "w1"},
            "status": status,
        })
    }

    #[test]
    fn a_pod_runs_when_it_has_an_address() {
        let runs = json!({"phase": "Running", "podIPs": [{"ip": "10.1.0.2"}, {"ip": "fd00::2"}]});
        let waits = json!({
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no route"}}}],
        });
        let found = found(&[pod("open", &runs), pod("guarded", &waits)]);
        let open = found[&("w1".to_owned(), false)].as_ref().unwrap();
        assert_eq!((open.addresses.len(), open.guarded), (2, false));
        assert_eq!(found[&("w1".to_owned(), true)], Err("ImagePullBackOff: no route".to_owned()));
    }

    #[test]
    fn what_is_replaced_does_not_count() {
        let runs = json!({"phase": "Running", "podIPs": [{"ip": "10.1.0.2"}]});
        let mut ends = pod("open", &json!({"phase": "Running", "podIPs": [{"ip": "10.1.0.1"}]}));
        ends["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let pods =
            found(&[ends.clone(), pod("open", &runs), pod("open", &json!({"phase": "Pending"})), ends]);
        assert_eq!(pods[&("w1".to_owned(), false)].as_ref().unwrap().addresses[0].to_string(), "10.1.0.2");
    }

    #[test]
    fn processes_are_read() {
        assert_eq!(processes_of("42 u-1\n\nx u-2\n"), BTreeMap::from([("u-1".to_owned(), 42)]));
    }
}
