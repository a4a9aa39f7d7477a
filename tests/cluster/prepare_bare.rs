//! A bare host becomes a control plane from a directory of binaries and images, and what it was again.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::turn::Turn;
use std::path::Path;
use std::path::PathBuf;

const CLUSTER: &str = "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {name: lab}
spec:
  hosts:
  - {name: kwt-p2, address: 10.77.0.87, roles: [control-plane]}
  prepare: {etcHosts: true}
  containerRuntime:
    provider: containerd
    config: {plugins: {io.containerd.grpc.v1.cri: {restrict_oom_score_adj: true}}}
  artifacts: {directory: /root/stock}
---
";

const INIT: &str = "kubewright init --config cluster.yaml";

/// A host with the program and the cluster's file, and an empty directory to prepare it from.
fn bare() -> Host {
    let host = Host::bare("kwt-p2", 87);
    host.put(Path::new(env!("CARGO_BIN_EXE_kubewright")), "/usr/local/bin/kubewright");
    host.write("/root/cluster.yaml", &format!("{CLUSTER}{CONFIG}"));
    host.ok("mkdir -p stock/images");
    host
}

/// Whoever holds it may have the host of that name.
static TURN: Turn = Turn::new();

#[test]
fn an_empty_directory_prepares_no_host() {
    if !lab::bare_available("an_empty_directory_prepares_no_host") {
        return;
    }
    let _turn = TURN.take();
    let host = bare();
    let empty = host.run(&format!("{INIT} --prepare"));
    assert_eq!(empty.code, 3, "{}", empty.text());
    assert!(empty.text().contains("there is no kubelet for amd64 in `/root/stock`"), "{}", empty.text());
    assert_eq!(host.run("ls /var/lib/kubewright /usr/local/bin/kubelet").code, 2, "something was written");
}

#[test]
fn a_bare_host_becomes_a_control_plane_and_itself_again() {
    if !lab::available("a_bare_host_becomes_a_control_plane_and_itself_again") {
        return;
    }
    let _turn = TURN.take();
    let images = lab::images();
    let host = bare();
    stock(&host, &images);
    // Something of the kind that a pod network would install.
    let network =
        include_str!("../lab/kube/etc/cni/net.d/10-lab.conflist").replace("@PODS@", "10.244.87.0/24");
    host.ok("mkdir -p /etc/cni/net.d");
    host.write("/etc/cni/net.d/10-lab.conflist", &network);

    let refused = host.run(INIT);
    assert_eq!(refused.code, 4, "{}", refused.text());
    assert_eq!(host.run("ls /var/lib/kubewright /usr/local/bin/kubelet").code, 2, "something was written");

    let theirs = host.ok("cat /etc/containerd/config.toml");
    host.ok(&format!("{INIT} --prepare"));
    host.settled();
    for unit in ["containerd", "kubelet"] {
        host.ok(&format!("systemctl is-active {unit} && systemctl is-enabled {unit}"));
    }
    let units = host.run("systemd-analyze verify /etc/systemd/system/kubelet.service");
    assert_eq!((units.code, units.stderr.as_str()), (0, ""), "{}", units.text());
    let merged = host.ok("cat /etc/containerd/config.toml");
    for line in theirs.lines() {
        assert!(merged.contains(line), "{line} is not in\n{merged}");
    }
    let dump = host.ok("containerd config dump");
    for line in
        ["SystemdCgroup = false", "sandbox_image = \"registry.k8s.io/pause:", "bin_dir = \"/usr/lib/cni\""]
    {
        assert!(dump.contains(line), "{line} is not in\n{dump}");
    }
    assert_eq!(host.ok("cat /etc/hosts").matches("kwt-p2").count(), 2);

    let again = host.run(&format!("{INIT} --prepare"));
    assert_eq!(again.code, 0, "{}", again.text());
    assert!(again.stderr.contains(": 0 changed, "), "{}", again.stderr);

    host.ok("echo broken >>/usr/local/bin/kubectl");
    let mended = host.run(&format!("{INIT} --prepare"));
    assert!(mended.stderr.contains(": 1 changed, "), "{}", mended.stderr);
    host.ok("kubectl version --client");

    let reset = host.run("kubewright reset --force");
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert!(reset.stderr.contains("Installed programs stay"), "{}", reset.text());
    assert_eq!(host.ok("cat /etc/containerd/config.toml"), theirs);
    assert!(!host.ok("cat /etc/hosts").contains("kubewright"));
    assert_eq!(host.run("systemctl is-active containerd").code, 3, "containerd did not run before");
    assert_eq!(host.run("systemctl is-enabled containerd").code, 1, "containerd was not enabled before");
    assert_eq!(host.run("ls -d /etc/systemd/system/kubelet.service* /var/lib/kubewright").code, 2);
    gives_a_runtime_that_ran_its_configuration_back(&host, &theirs);
}

/// It has read the file as it was before once reset has ended, and not only when somebody starts it again.
fn gives_a_runtime_that_ran_its_configuration_back(host: &Host, theirs: &str) {
    let process = || host.ok("systemctl show -p MainPID --value containerd");
    host.ok("systemctl start containerd");
    host.ok(&format!("{INIT} --prepare"));
    let of_the_cluster = process();
    host.ok("kubewright reset --force");
    assert_eq!(host.ok("cat /etc/containerd/config.toml"), theirs);
    host.ok("systemctl is-active containerd");
    assert_ne!(process(), of_the_cluster);
}

/// What the operator of a site without a network puts together.
fn stock(host: &Host, images: &[PathBuf]) {
    let kube = std::env::var("KUBEWRIGHT_TEST_KUBE").unwrap();
    for program in ["kubelet", "kubectl"] {
        host.put(&Path::new(&kube).join(program), "/root/stock/");
    }
    for archive in images {
        host.put(archive, "/root/stock/images/");
    }
}
