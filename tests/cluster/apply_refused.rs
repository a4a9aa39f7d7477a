//! Everything that stands in the way of a cluster, told together and by host before anything is changed anywhere.

use crate::estate;
use crate::estate::Operator;
use crate::estate::VIP;
use crate::estate::name;
use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::lab::key;

/// What could have been changed, or be left behind, on a host.
const TRACES: &str = "ls -A /var/lib/kubewright /etc/kubernetes /etc/kubernetes/manifests /var/lib/kubelet/pki /etc/haproxy \
                      /etc/keepalived /tmp /root 2>/dev/null; cat /etc/kubernetes/kubelet.conf 2>/dev/null; true";

fn file() -> String {
    let (key, config) = (key(), CONFIG);
    format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{name: lab}}
spec:
  ssh: {{user: root, identityFile: {key}}}
  endpoint: {{host: {VIP}, provider: keepalived-haproxy, haproxy: {{maxConnections: 4000}}}}
  hosts:
  - {{name: kwt-a1, address: 10.77.0.121, roles: [control-plane]}}
  - {{name: kwt-a2, address: 10.77.0.122, roles: [control-plane]}}
  - {{name: kwt-a3, address: 10.77.0.123, roles: [control-plane], ssh: {{user: ops, identityFile: /nowhere/id, passwordFile: wrong}}}}
  - {{name: kwt-a4, address: 10.77.0.124, roles: [worker], ssh: {{user: ops}}}}
  - {{name: gone, address: 10.77.0.128, roles: [worker], ssh: {{connectTimeout: 2s}}}}
  - {{name: kwt-a6, address: 10.77.0.126, roles: [worker]}}
  - {{name: kwt-a7, address: 10.77.0.127, roles: [worker]}}
---
{config}"
    )
}

/// A user `ops` who may log in with the lab's key and by password, and may not become root.
fn add_ops(host: &Host) {
    host.ok(
        "useradd -m -s /bin/sh ops && echo ops:right | chpasswd && mkdir -p ~ops/.ssh && \
         cp ~/.ssh/authorized_keys ~ops/.ssh/ && chown -R ops ~ops/.ssh && \
         printf 'PasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/00-test.conf && systemctl restart ssh",
    );
}

#[test]
fn all_that_stands_in_the_way_is_told_together() {
    if !lab::bare_available("apply_refused::all_that_stands_in_the_way_is_told_together") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.bare_hosts(&[1, 2, 3, 4, 6, 7]);
    let [first, _, third, fourth, foreign, clone] = &hosts[..] else { unreachable!() };
    // Another key than the known one.
    let known = std::fs::read_to_string(operator.known_hosts()).unwrap();
    let of = |address: &str| {
        known.lines().find(|line| line.starts_with(&format!("{address} "))).unwrap().to_owned()
    };
    let wrong = of("10.77.0.121").replace("10.77.0.121", "10.77.0.122");
    std::fs::write(operator.known_hosts(), known.replace(&of("10.77.0.122"), &wrong)).unwrap();
    // A wrong password, and a user whom sudo does not know.
    add_ops(third);
    add_ops(fourth);
    std::fs::write(operator.file().with_file_name("wrong"), "wrong\n").unwrap();
    // A node of another cluster.
    foreign.ok(
        "mkdir -p /etc/kubernetes/pki && echo 'kind: Config' >/etc/kubernetes/kubelet.conf && \
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=kubernetes \
         -out /etc/kubernetes/pki/ca.crt 2>/dev/null",
    );
    // A copy of the first host, which may not reach its API server.
    let machine = first.ok("cat /etc/machine-id");
    clone.write("/etc/machine-id", &machine);
    clone.ok("iptables -A OUTPUT -p tcp -d 10.77.0.121 --dport 6443 -j DROP");
    let before: Vec<String> = hosts.iter().map(|host| host.ok(TRACES)).collect();

    std::fs::write(operator.file(), file()).unwrap();
    let outcome = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    let text = outcome.text();
    println!("{text}");
    assert_eq!(outcome.code, 4, "{text}");
    for (host, words) in [
        (name(1), "kubelet is not in path"),
        (name(2), "key has changed"),
        (name(3), "password"),
        (name(4), "sudo"),
        ("gone", "10.77.0.128"),
        (name(6), "kubelet.conf"),
        (name(7), "machine"),
        (name(7), "6443"),
    ] {
        let told = text.lines().any(|line| line.contains(host) && line.to_lowercase().contains(words));
        assert!(told, "nothing about {words} of {host}:\n{text}");
    }
    let after: Vec<String> = hosts.iter().map(|host| host.ok(TRACES)).collect();
    assert_eq!(before, after);
}
