//! A bare host becomes a control plane from a site's own mirror: by packages that the site has signed, and by releases.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::skip::skip;
use crate::turn::Turn;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;
use tempfile::TempDir;

const VERSION: &str = "1.36.2";
const MIRROR: &str = "http://10.77.0.89:8000";
/// Where releases are put.
const PROGRAMS: &str = "/usr/local/bin/kubelet\n/usr/local/bin/containerd\n/usr/local/sbin/runc\n";
const INIT: &str = "kubewright init --prepare --config cluster.yaml";

/// Whoever holds it may have the hosts of these names.
static TURN: Turn = Turn::new();

#[test]
fn packages_come_from_a_mirror_that_signs_with_its_own_key() {
    let test = "packages_come_from_a_mirror_that_signs_with_its_own_key";
    let Some(Site { _turn, mirror, host }) = Site::new(test) else { return };
    let runtime = "{provider: containerd}";
    cluster(&host, runtime, &format!("{{source: packages, mirror: \"{MIRROR}\"}}"));

    let refused = host.run(INIT);
    assert_ne!(refused.code, 0, "{}", refused.text());
    assert!(refused.text().contains("is not DE15B14486CD377B9E876E1A234654DA9A296436"), "{}", refused.text());
    assert_eq!(host.run("ls /etc/apt/sources.list.d/kubernetes.list /usr/bin/kubelet").code, 2);

    let key = &mirror.key;
    cluster(
        &host,
        runtime,
        &format!("{{source: packages, mirror: \"{MIRROR}\", keys: {{kubernetes: {key}}}}}"),
    );
    host.ok(INIT);
    host.settled();
    assert_eq!(host.ok("dpkg-query -W -f '${Version}' kubelet kubectl"), "1.36.2-1.11.36.2-1.1");
    assert_eq!(host.ok("apt-mark showhold"), "kubectl\nkubelet\n");
    host.ok("systemctl is-enabled kubelet && systemd-analyze verify kubelet.service");
    let again = host.ok(&format!("{INIT} 2>&1"));
    assert!(again.contains(": 0 changed, "), "{again}");

    host.ok("apt-get -q -y --allow-change-held-packages purge kubectl");
    let mended = host.ok(&format!("{INIT} 2>&1"));
    assert!(mended.contains(": 1 changed, "), "{mended}");

    let reset = host.run("kubewright reset --force");
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert_eq!(
        host.run("ls /etc/apt/sources.list.d/kubernetes.list /etc/apt/keyrings/kubernetes.asc").code,
        2
    );
}

#[test]
fn releases_come_from_a_mirror_by_the_host_or_by_the_operator() {
    let test = "releases_come_from_a_mirror_by_the_host_or_by_the_operator";
    let Some(Site { _turn, mirror, host }) = Site::new(test) else { return };
    let runtime = format!("{{provider: containerd, version: {}}}", mirror.containerd);
    host.ok("dpkg --purge --force-depends containerd runc containernetworking-plugins");
    let download = format!("source: download, mirror: \"{MIRROR}\", lockFile: kubewright.lock");
    cluster(&host, &runtime, &format!("{{{download}}}"));

    host.write("/root/kubewright.lock", "");
    let unknown = host.run(INIT);
    assert!(
        unknown.text().contains("the SHA-256 of kubelet 1.36.2 for amd64 is not known"),
        "{}",
        unknown.text()
    );
    let kubectl = mirror.lock.lines().find(|line| line.starts_with("kubectl ")).unwrap();
    let other = kubectl.rsplit_once(' ').unwrap().0.to_owned() + " " + &"0".repeat(64);
    host.write("/root/kubewright.lock", &mirror.lock.replace(kubectl, &other));
    let wrong = host.run(INIT);
    assert_ne!(wrong.code, 0, "{}", wrong.text());
    assert!(wrong.text().contains("/bin/linux/amd64/kubectl is not what was wanted"), "{}", wrong.text());
    assert_eq!(host.run("ls /usr/local/bin/kubectl").code, 2, "something else was put in place");

    host.write("/root/kubewright.lock", &mirror.lock);
    host.ok(INIT);
    host.settled();
    host.ok("systemctl is-enabled kubelet containerd");
    assert_eq!(host.ok("command -v kubelet containerd runc"), PROGRAMS);
    let again = host.ok(&format!("{INIT} 2>&1"));
    assert!(again.contains(": 0 changed, "), "{again}");

    host.ok("echo broken >>/usr/local/bin/kubectl");
    cluster(&host, &runtime, &format!("{{{download}, via: operator}}"));
    let mended = host.ok(&format!("{INIT} 2>&1"));
    assert!(mended.contains(": 1 changed, "), "{mended}");
    host.ok("kubectl version --client");
}

/// A mirror, and a host that has nothing of Kubernetes but the images.
struct Site {
    /// There is one of each, and both are gone before it is given back.
    _turn: MutexGuard<'static, ()>,
    mirror: Mirror,
    host: Host,
}

impl Site {
    /// `None` where the test cannot run here, which it has said then.
    fn new(test: &str) -> Option<Self> {
        if !lab::available(test) || !machine_has_apt(test) {
            return None;
        }
        let turn = TURN.take();
        let images = lab::images();
        let mirror = Mirror::new();
        Some(Self { _turn: turn, mirror, host: bare(&images) })
    }
}

/// Whether this machine can ask for packages of the hosts' distribution.
fn machine_has_apt(test: &str) -> bool {
    let has = Command::new("apt-get").arg("--version").output().is_ok();
    if !has {
        skip(test, "no apt-get on this machine");
    }
    has
}

/// A host that serves packages and releases.
struct Mirror {
    /// Fingerprint.
    key: String,
    /// Version of the hosts' containerd.
    containerd: String,
    lock: String,
    _host: Host,
}

impl Mirror {
    fn new() -> Self {
        let host = Host::bare("kwt-p4", 89);
        let parts = TempDir::new().unwrap();
        let debian = parts.path().join("debian");
        std::fs::create_dir_all(debian.join("partial")).unwrap();
        packages(&debian);
        host.ok("mkdir -p parts/debian");
        for entry in std::fs::read_dir(&debian).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|extension| extension == "deb") {
                host.put(&entry.path(), "/root/parts/debian/");
            }
        }
        let kube = std::env::var("KUBEWRIGHT_TEST_KUBE").unwrap();
        for program in ["kubelet", "kubectl"] {
            host.put(&Path::new(&kube).join(program), "/root/parts/");
        }
        host.ok("dpkg -i parts/debian/*.deb");
        let containerd =
            host.ok("containerd --version | cut -d ' ' -f 3 | sed 's/[^0-9.].*//'").trim().to_owned();
        host.write("/root/mirror.sh", include_str!("mirror.sh"));
        let key = host.ok(&format!("sh mirror.sh {VERSION} {containerd}")).trim().to_owned();
        let lock = host.ok("cat kubewright.lock");
        host.until(Duration::from_secs(10), "curl -fsS -o /dev/null http://127.0.0.1:8000/debian/Packages");
        Self { key, containerd, lock, _host: host }
    }
}

/// Downloads what a bare host lacks of the tools that preparing installs.
fn packages(into: &Path) {
    let base = format!("{}/base", lab::directory());
    let output = Command::new("apt-get")
        .args(["-q", "-y", "--download-only", "--no-install-recommends"])
        .args(["-o", "Debug::NoLocking=1", "-o", &format!("Dir::State::status={base}/var/lib/dpkg/status")])
        .args(["-o", &format!("Dir::Cache::archives={}", into.display()), "-o", "APT::Sandbox::User=root"])
        .args(["install", "gnupg"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A host whose container runtime has the images already, since it can ask no registry, with a network for pods.
fn bare(images: &[PathBuf]) -> Host {
    let host = Host::bare("kwt-p3", 88);
    host.put(Path::new(env!("CARGO_BIN_EXE_kubewright")), "/usr/local/bin/kubewright");
    host.ok("mkdir -p /etc/cni/net.d images && systemctl start containerd");
    let network =
        include_str!("../lab/kube/etc/cni/net.d/10-lab.conflist").replace("@PODS@", "10.244.88.0/24");
    host.write("/etc/cni/net.d/10-lab.conflist", &network);
    host.write("/etc/apt/sources.list", &format!("deb [trusted=yes] {MIRROR}/debian ./\n"));
    for archive in images {
        host.put(archive, "/root/images/");
    }
    host.ok("for file in images/*.tar; do ctr -n k8s.io images import $file || exit; done; systemctl stop containerd");
    host
}

/// Writes the file with the cluster.
fn cluster(host: &Host, runtime: &str, artifacts: &str) {
    let of_the_lab = "config: {plugins: {io.containerd.grpc.v1.cri: {restrict_oom_score_adj: true}}}";
    let runtime = runtime.replace('}', &format!(", {of_the_lab}}}"));
    let text = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  hosts:\n  - {{name: \
         kwt-p3, address: 10.77.0.88, roles: [control-plane]}}\n  containerRuntime: {runtime}\n  artifacts: \
         {artifacts}\n---\n{CONFIG}"
    );
    host.write("/root/cluster.yaml", &text);
}
