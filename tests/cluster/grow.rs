//! Clusters that grow: commands as a person copies them from what `init` prints, and etcd's own word on its members.

use crate::lab::CONFIG;
use crate::lab::Host;
use crate::lab::Outcome;
use crate::turn::Turn;
use serde_json::Value;
use std::time::Duration;

/// Names and octets of the hosts; the first one starts the cluster.
const HOSTS: [(&str, u8); 6] =
    [("kwt-j1", 41), ("kwt-j2", 42), ("kwt-j3", 43), ("kwt-j4", 44), ("kwt-j5", 45), ("kwt-j6", 46)];

/// Whoever holds it may have hosts of these names.
pub(crate) static TURN: Turn = Turn::new();

/// A fresh host, by its number. For the holder of the [`TURN`].
pub(crate) fn host(number: usize) -> Host {
    let (name, octet) = HOSTS[number - 1];
    Host::kube(name, octet)
}

/// The host that starts the cluster, with [`config`] in `ha.yaml`, and those that join it. For the holder of the
/// [`TURN`].
pub(crate) fn hosts<const JOINING: usize>() -> (Host, [Host; JOINING]) {
    std::thread::scope(|scope| {
        let first = scope.spawn(|| host(1));
        let others: [_; JOINING] = std::array::from_fn(|index| scope.spawn(move || host(index + 2)));
        let first = first.join().unwrap();
        first.write("/root/ha.yaml", &config());
        (first, others.map(|other| other.join().unwrap()))
    })
}

/// The lab's configuration with an endpoint, which is the first host's address, and keys that are made quickly.
fn config() -> String {
    let endpoint = format!("10.77.0.{}:6443", HOSTS[0].1);
    let more = format!(
        "kind: ClusterConfiguration\ncontrolPlaneEndpoint: {endpoint}\nencryptionAlgorithm: ECDSA-P256\n"
    );
    CONFIG.replacen("kind: ClusterConfiguration\n", &more, 1)
}

/// The commands that `init` prints.
pub(crate) struct Commands {
    pub(crate) worker: String,
    pub(crate) control_plane: String,
}

impl Commands {
    /// Out of the text that `init` of a program printed.
    pub(crate) fn of(printed: &str, program: &str) -> Self {
        let commands = copied(printed, &format!("{program} join "));
        let (mut control_plane, mut worker): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| command.contains("--control-plane"));
        assert!(control_plane.len() == 1 && worker.len() == 1, "{control_plane:?} {worker:?}:\n{printed}");
        Self { worker: worker.remove(0), control_plane: control_plane.remove(0) }
    }

    /// The secret words in them.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let after = |flag| {
            let mut words = self.control_plane.split_whitespace();
            words.find(|word| *word == flag).unwrap();
            words.next().unwrap()
        };
        vec![after("--token").split_once('.').unwrap().1, after("--certificate-key")]
    }
}

/// Every command that starts like this, with the lines in which it goes on.
fn copied(printed: &str, start: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in printed.lines() {
        if goes_on {
            let command = commands.last_mut().unwrap();
            command.push('\n');
            command.push_str(line);
        } else if line.trim_start().starts_with(start) {
            commands.push(line.to_owned());
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

/// Runs a copied command by the shell, with flags at its end.
pub(crate) fn typed(host: &Host, command: &str, flags: &str) -> Outcome {
    host.write("/root/join.sh", &format!("{command} --ignore-preflight-errors SystemVerification {flags}\n"));
    host.run("sh join.sh")
}

/// The same, which must succeed.
pub(crate) fn joins(host: &Host, command: &str) -> Outcome {
    let outcome = typed(host, command, "");
    assert_eq!(outcome.code, 0, "{}", outcome.text());
    outcome
}

/// Waits until this many nodes are there and all are Ready.
pub(crate) fn all_ready(control_plane: &Host, count: usize) {
    control_plane.until(
        Duration::from_mins(2),
        &format!(
            "export KUBECONFIG=/etc/kubernetes/admin.conf; [ $(kubectl get nodes -o name | wc -l) = {count} ] && \
             kubectl wait --for=condition=Ready node --all --timeout=60s"
        ),
    );
}

const CURL: &str = "cd /etc/kubernetes/pki/etcd && curl -sS --max-time 10 --cacert ca.crt --cert healthcheck-client.crt --key \
                    healthcheck-client.key";

/// The names of etcd's members as it lists them on this host. Each has started, has its vote, and is well.
pub(crate) fn voters(host: &Host) -> Vec<String> {
    let text = host.ok(&format!("{CURL} https://127.0.0.1:2379/v3/cluster/member/list -d '{{}}'"));
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut names: Vec<String> =
        list["members"].as_array().unwrap().iter().map(|one| voter(host, one)).collect();
    names.sort();
    names
}

fn voter(host: &Host, member: &Value) -> String {
    assert_ne!(member["isLearner"], true, "{member}");
    let name = member["name"].as_str().unwrap_or_else(|| panic!("it has not started: {member}"));
    let url = member["clientURLs"][0].as_str().unwrap_or_else(|| panic!("{member}"));
    host.until(Duration::from_mins(1), &format!("{CURL} {url}/health | grep '\"health\":\"true\"'"));
    name.to_owned()
}
