//! Container runtimes other than containerd: a bare host becomes a control plane on them, and what it was again.
//!
//! Programs come from a directory, as a site without a network has them: CRI-O and cri-dockerd in archives that are laid
//! out like those of their releases, Docker and what loads images as packages of Debian, which this machine fetches.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::skip::skip;
use std::path::Path;
use std::process::Command;

const INIT: &str = "kubewright init --prepare --config cluster.yaml";
const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system";

/// A `runc` for hosts of the lab. What containerd is told by `restrict_oom_score_adj` these runtimes cannot be told: that an
/// OOM score cannot be lowered here. `privileged` is every capability to them, also the one that is missing, and CRI-O
/// limits huge pages, of which no cgroup is mounted.
const RUNC: &str = r#"#!/usr/bin/python3
import json, os, sys
if "--bundle" in sys.argv:
    path = sys.argv[sys.argv.index("--bundle") + 1] + "/config.json"
    with open(path) as file:
        config = json.load(file)
    config["process"].pop("oomScoreAdj", None)
    for names in (config["process"].get("capabilities") or {}).values():
        names[:] = [name for name in names if name != "CAP_SYS_RESOURCE"]
    config["linux"].get("resources", {}).pop("hugepageLimits", None)
    with open(path, "w") as file:
        json.dump(config, file)
os.execvp("runc", ["runc"] + sys.argv[1:])
"#;

/// The images of a control plane without a pod network of its own.
const IMAGES: [&str; 7] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns", "pause"];

#[test]
fn a_control_plane_on_cri_o() {
    let test = "a_control_plane_on_cri_o";
    if !lab::available(test) || !lab::has(test, &["crio", "pinns"]) {
        return;
    }
    let runtime = "{provider: cri-o, version: 1.36.3-lab}\n  artifacts: {directory: /root/stock}";
    let host = bare("kwr-crio", 240, runtime, "/var/lib/containers");

    refused(&host, "there is neither skopeo nor podman");
    if !install(test, &host, "kwr-crio", &["conmon", "skopeo"]) {
        return;
    }
    for program in ["crio", "pinns"] {
        host.put(&kube(program), "/root/archive/cri-o/bin/");
    }
    // Of a release all programs are in one directory, and Debian's crun is too old for this CRI-O.
    host.ok("mv /usr/bin/conmon lab-runc archive/cri-o/bin/ && mv archive/cri-o/bin/lab-runc archive/cri-o/bin/crun");
    host.ok("cp /usr/lib/cni/* archive/cri-o/cni-plugins/");
    host.ok("tar -czf stock/cri-o.amd64.v1.36.3-lab.tar.gz -C archive cri-o");

    host.ok(INIT);
    comes_up(&host, "cri-o://");
    host.ok("systemctl is-active crio && systemctl is-enabled crio");

    let config = "/etc/crio/crio.conf.d/10-kubewright.conf";
    let before = containers(&host);
    host.ok(&format!("echo '# by hand' >>{config}"));
    let mended = host.ok(&format!("{INIT} 2>&1"));
    assert!(mended.contains(": 2 changed, ") && mended.contains("crio running: restarted"), "{mended}");
    host.settled();
    assert_eq!(containers(&host), before, "a restart of CRI-O ended containers");

    let kept = "find /var/lib/containers/storage/overlay-containers -mindepth 1 -type d";
    assert_ne!(host.ok(kept), "");
    reset(&host);
    assert_eq!(host.run(&format!("ls {config} /etc/systemd/system/crio.service /etc/crictl.yaml")).code, 2);
    assert_eq!(host.run("systemctl is-active crio").code, 3, "CRI-O did not run before");
    assert_eq!(host.run("pgrep -a 'conmon|kube|etcd'").stdout, "");
    assert_eq!(host.run(kept).stdout, "");
}

#[test]
fn a_control_plane_on_docker() {
    let test = "a_control_plane_on_docker";
    if !lab::available(test) || !lab::has(test, &["cri-dockerd"]) {
        return;
    }
    let runtime = "{provider: docker}\n  artifacts:\n    directory: /root/stock\n    \
                   versions: {cri-dockerd: 0.4.3-lab}";
    let host = bare("kwr-docker", 241, runtime, "/var/lib/docker");

    refused(&host, "there is no Docker");
    let theirs = "{\"default-runtime\": \"lab\", \"runtimes\": {\"lab\": {\"path\": \"/root/lab-runc\"}}}\n";
    host.ok("mkdir /etc/docker");
    host.write("/etc/docker/daemon.json", theirs);
    // Of what not everybody may read no copy is kept.
    host.ok("chmod 0644 /etc/docker/daemon.json");
    if !install(test, &host, "kwr-docker", &["docker.io"]) {
        return;
    }
    host.put(&kube("cri-dockerd"), "/root/archive/cri-dockerd/");
    host.ok("tar -czf stock/cri-dockerd-0.4.3-lab.amd64.tgz -C archive cri-dockerd");

    host.ok(INIT);
    comes_up(&host, "docker://");
    for unit in ["docker", "cri-docker.socket", "cri-docker"] {
        host.ok(&format!("systemctl is-active {unit} && systemctl is-enabled {unit}"));
    }
    let merged = host.ok("cat /etc/docker/daemon.json");
    assert!(merged.contains("native.cgroupdriver=cgroupfs") && merged.contains("lab-runc"), "{merged}");

    // The socket belongs to the service, so neither can be restarted without the other.
    let before = containers(&host);
    host.ok("echo '# by hand' >>/etc/systemd/system/cri-docker.service");
    let mended = host.ok(&format!("{INIT} 2>&1"));
    assert!(mended.contains(": 3 changed, "), "{mended}");
    host.ok("systemctl is-active cri-docker.socket cri-docker");
    host.settled();
    assert_eq!(containers(&host), before, "a restart of cri-dockerd ended containers");

    reset(&host);
    assert_eq!(host.ok("cat /etc/docker/daemon.json"), theirs);
    host.ok("systemctl is-active docker && systemctl is-enabled docker");
    assert_eq!(host.ok("docker ps -aq"), "");
    assert_eq!(
        host.run("ls /etc/systemd/system/cri-docker.* /etc/crictl.yaml /run/cri-dockerd.sock").code,
        2
    );
}

/// A host with a directory to prepare it from, and a disk for the runtime's images that is no overlay.
fn bare(name: &'static str, octet: u8, runtime: &str, images: &str) -> Host {
    let archives = lab::images();
    let host = Host::bare(name, octet);
    host.put(Path::new(env!("CARGO_BIN_EXE_kubewright")), "/usr/local/bin/kubewright");
    let cluster = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  hosts:\n  \
         - {{name: {name}, address: 10.77.0.{octet}, roles: [control-plane]}}\n  prepare: {{etcHosts: true}}\n  \
         containerRuntime: {runtime}\n---\n{CONFIG}"
    );
    host.write("/root/cluster.yaml", &cluster);
    host.ok("mkdir -p stock/images archive/cri-o/bin archive/cri-o/cni-plugins archive/cri-dockerd /etc/cni/net.d");
    host.ok(&format!(
        "mkdir -p {images} /var/lib/containerd/lab && mount --bind /var/lib/containerd/lab {images}"
    ));
    for program in ["kubelet", "kubectl"] {
        host.put(&kube(program), "/root/stock/");
    }
    for archive in
        archives.iter().filter(|archive| IMAGES.iter().any(|image| archive.ends_with(format!("{image}.tar"))))
    {
        host.put(archive, "/root/stock/images/");
    }
    let network = include_str!("../lab/kube/etc/cni/net.d/10-lab.conflist");
    host.write("/etc/cni/net.d/10-lab.conflist", &network.replace("@PODS@", &format!("10.244.{octet}.0/24")));
    host.write("/root/lab-runc", RUNC);
    host.ok("chmod 0755 lab-runc");
    host
}

fn kube(program: &str) -> std::path::PathBuf {
    Path::new(&std::env::var("KUBEWRIGHT_TEST_KUBE").unwrap()).join(program)
}

/// What is missing is told before anything is changed.
fn refused(host: &Host, why: &str) {
    let refused = host.run(INIT);
    assert_eq!(refused.code, 4, "{}", refused.text());
    assert!(refused.text().contains(why), "{}", refused.text());
    assert_eq!(host.run("ls /var/lib/kubewright /usr/local/bin/kubelet").code, 2, "something was written");
}

/// Installs packages with what they need and a host has not; skips the test where Debian's cannot be had.
fn install(test: &str, host: &Host, name: &str, packages: &[&str]) -> bool {
    let cache = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(cache.path().join("archives/partial")).unwrap();
    let installed = Path::new(&lab::directory()).join("hosts").join(name).join("var/lib/dpkg/status");
    let fetched = Command::new("apt-get")
        .args(["-qq", "-y", "--no-install-recommends", "--download-only", "install"])
        .args(packages)
        .args(["-o", "APT::Sandbox::User=root", "-o", &format!("Dir::Cache={}", cache.path().display())])
        .args(["-o", &format!("Dir::State::status={}", installed.display())])
        .output()
        .unwrap();
    if !fetched.status.success() {
        skip(
            test,
            &format!(
                "apt cannot fetch {}: {}",
                packages.join(", "),
                String::from_utf8_lossy(&fetched.stderr)
            ),
        );
        return false;
    }
    host.put(&cache.path().join("archives"), "/root/packages");
    host.ok("dpkg -i packages/*.deb");
    true
}

/// The node is Ready, all its pods are and run in the runtime of that name, and it carries streams.
fn comes_up(host: &Host, runtime: &str) {
    host.settled();
    let version = host.kubectl("get node -o jsonpath='{..containerRuntimeVersion}'");
    assert!(version.starts_with(runtime), "{version}");
    let running = containers(host);
    assert_eq!(running.len(), 7, "{running:?}");
    assert!(running.iter().all(|id| id.starts_with(runtime)), "{running:?}");
    assert!(!host.ok(&format!("{KUBECTL} logs --tail 1 -l component=etcd")).is_empty());
    assert!(host.ok(&format!("{KUBECTL} exec deploy/coredns -- /coredns -version")).contains("CoreDNS-"));

    let again = host.run(INIT);
    assert_eq!(again.code, 0, "{}", again.text());
    assert!(again.stderr.contains(": 0 changed, "), "{}", again.stderr);
}

/// The containers of all pods, by their names in the runtime.
fn containers(host: &Host) -> Vec<String> {
    let ids =
        host.ok(&format!("{KUBECTL} get pods -o jsonpath='{{..status.containerStatuses[*].containerID}}'"));
    let mut ids: Vec<String> = ids.split_whitespace().map(str::to_owned).collect();
    ids.sort();
    ids
}

fn reset(host: &Host) {
    let reset = host.run("kubewright reset --force");
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert!(reset.text().contains("before the cluster: no difference"), "{}", reset.text());
    assert!(!host.ok("cat /etc/hosts").contains("kubewright"));
}
