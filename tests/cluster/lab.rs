//! Hosts from `tests/lab`, removed when they go out of scope, also when the test fails.

use crate::skip::skip;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab");
const PROGRAM: &str = env!("CARGO_BIN_EXE_kubewright");

/// The configuration that both kubeadm and kubewright take in the lab.
pub(crate) const CONFIG: &str = include_str!("../lab/kubeadm.yaml");

/// Whether there can be hosts for a test that needs nothing of Kubernetes; says why not.
pub(crate) fn bare_available(test: &str) -> bool {
    static TROUBLE: OnceLock<Option<String>> = OnceLock::new();
    // Whoever names binaries wants to see a lab that is broken.
    let trouble = TROUBLE
        .get_or_init(|| if std::env::var_os("KUBEWRIGHT_TEST_KUBE").is_some() { None } else { trouble() });
    if let Some(why) = trouble {
        skip(test, why);
    }
    trouble.is_none()
}

/// What keeps this machine from having lab hosts: the last word of trying one.
fn trouble() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root for the lab".to_owned());
    }
    let tried = lab(&["up", "kwt-try", "253"]);
    let _ = lab(&["down", "kwt-try"]);
    let last = tried.stderr.lines().rfind(|line| !line.is_empty()).unwrap_or("it says nothing");
    (tried.code != 0).then(|| format!("no lab hosts here: {last}"))
}

/// Whether the lab can be used, with the real parts of Kubernetes; says why not.
pub(crate) fn available(test: &str) -> bool {
    let kube = std::env::var_os("KUBEWRIGHT_TEST_KUBE");
    let missing = match kube {
        None => Some("KUBEWRIGHT_TEST_KUBE names no directory of Kubernetes binaries".to_owned()),
        Some(_) if !rustix::process::geteuid().is_root() => Some("needs root for the lab".to_owned()),
        Some(kube) => ["kubelet", "kubectl", "kubeadm", "kube-apiserver", "etcd"]
            .into_iter()
            .find(|program| !Path::new(&kube).join(program).is_file())
            .map(|program| format!("no {program} in {}", kube.display())),
    };
    if let Some(why) = &missing {
        skip(test, why);
    }
    missing.is_none()
}

/// Whether there are further programs beside those that every cluster needs; says which is missing.
pub(crate) fn has(test: &str, programs: &[&str]) -> bool {
    let kube = std::env::var_os("KUBEWRIGHT_TEST_KUBE").unwrap_or_default();
    let missing = programs.iter().find(|program| !Path::new(&kube).join(program).is_file());
    if let Some(program) = missing {
        skip(test, &format!("no {program} in {}", Path::new(&kube).display()));
    }
    missing.is_none()
}

/// Where the lab keeps all that is its own.
pub(crate) fn directory() -> String {
    std::env::var("LAB_DIR").unwrap_or_else(|_| "/var/lib/kubewright-lab".to_owned())
}

/// Archives of all images that the binaries come to; before there are hosts.
pub(crate) fn images() -> Vec<PathBuf> {
    let made = lab(&["stock"]);
    assert_eq!(made.code, 0, "{}", made.text());
    let directory = Path::new(&directory()).join("images");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The private key that every host lets in as root.
pub(crate) fn key() -> String {
    format!("{}/id", directory())
}

/// What a command on a host came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// -1 when a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Both streams, for looking what was said.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// How many waits for pods ended the run, whose images are not here; nothing else may be wrong.
    pub(crate) fn waits_for_pods(&self) -> usize {
        let steps: Vec<&str> =
            self.stderr.lines().filter_map(|line| line.strip_prefix("  step ")).map(str::trim).collect();
        assert!(steps.iter().all(|step| step.contains(" rolled out")), "{}", self.text());
        assert_eq!(self.code == 0, steps.is_empty(), "{}", self.text());
        steps.len()
    }
}

/// A running host.
#[derive(Debug)]
pub(crate) struct Host {
    name: &'static str,
}

impl Host {
    /// A host that is ready for `init`, with the program and the lab's configuration in root's home.
    pub(crate) fn kube(name: &'static str, octet: u8) -> Self {
        // One that an aborted run left behind.
        let _ = lab(&["down", name]);
        let host = Self { name };
        let made = lab(&["kube", name, &octet.to_string()]);
        assert_eq!(made.code, 0, "lab kube {name}: {}", made.text());
        let copied = lab(&["put", name, PROGRAM, "/usr/local/bin/kubewright"]);
        assert_eq!(copied.code, 0, "{}", copied.text());
        host.write("/root/kubeadm.yaml", CONFIG);
        host
    }

    /// A host with nothing but an operating system, a container runtime that does not run, and balancers.
    pub(crate) fn bare(name: &'static str, octet: u8) -> Self {
        let _ = lab(&["down", name]);
        let host = Self { name };
        let made = lab(&["up", name, &octet.to_string()]);
        assert_eq!(made.code, 0, "lab up {name}: {}", made.text());
        host
    }

    /// The same with its container runtime at work.
    pub(crate) fn with_runtime(name: &'static str, octet: u8) -> Self {
        let host = Self::bare(name, octet);
        host.ok("systemctl start containerd");
        host.until(Duration::from_secs(20), "ctr version");
        host
    }

    /// Runs a line of shell.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        lab(&["sh", self.name, line])
    }

    /// Runs a line of shell that must succeed, and gives its output.
    pub(crate) fn ok(&self, line: &str) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.code, 0, "`{line}` on {}:\n{}", self.name, outcome.text());
        outcome.stdout
    }

    /// The output of `kubectl` as the administrator.
    pub(crate) fn kubectl(&self, args: &str) -> String {
        self.ok(&format!("kubectl --kubeconfig /etc/kubernetes/admin.conf {args}"))
    }

    /// The bytes that a line of shell writes.
    pub(crate) fn bytes(&self, line: &str) -> Vec<u8> {
        let output = Command::new(LAB).args(["sh", self.name, line]).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Copies a file of this machine.
    pub(crate) fn put(&self, file: &Path, path: &str) {
        let copied = lab(&["put", self.name, file.to_str().unwrap(), path]);
        assert_eq!(copied.code, 0, "{path}: {}", copied.text());
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        self.put(file.path(), path);
    }

    /// Runs a line of shell that goes on without us: what it says, and its exit code, are for [`Self::ended`].
    pub(crate) fn start(&self, line: &str) {
        self.write("/root/line", line);
        self.ok(
            "rm -f /root/code && systemd-run -q --collect sh -c 'cd /root; sh line >said 2>&1; echo $? >code.new; \
             mv code.new code'",
        );
    }

    /// Waits for what was [started](Self::start), also while the host cannot be reached.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        self.wait_for_path("/root/code", limit);
    }

    /// What it came to.
    pub(crate) fn ended(&self) -> Outcome {
        let code = self.ok("cat /root/code").trim().parse().unwrap();
        Outcome { code, stdout: String::new(), stderr: self.ok("cat /root/said") }
    }

    /// Waits until the host has a file, without asking it: its disk is a directory of this machine.
    pub(crate) fn wait_for_path(&self, path: &str, limit: Duration) {
        let file = Path::new(&directory()).join("hosts").join(self.name).join(path.trim_start_matches('/'));
        let start = Instant::now();
        while !file.exists() {
            assert!(start.elapsed() < limit, "{} has no {path} after {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Cuts the power.
    pub(crate) fn crash(&self) {
        assert_eq!(lab(&["crash", self.name]).code, 0);
    }

    /// Starts it again, with the same disks.
    pub(crate) fn on(&self) {
        let started = lab(&["on", self.name]);
        assert_eq!(started.code, 0, "{}", started.text());
    }

    /// Pulls the network cable.
    pub(crate) fn cut(&self) {
        assert_eq!(lab(&["cut", self.name]).code, 0);
    }

    /// Plugs it in again.
    pub(crate) fn heal(&self) {
        assert_eq!(lab(&["heal", self.name]).code, 0);
    }

    /// Tries a line of shell until it succeeds.
    pub(crate) fn until(&self, limit: Duration, line: &str) -> String {
        let start = Instant::now();
        loop {
            let outcome = self.run(line);
            if outcome.code == 0 {
                return outcome.stdout;
            }
            assert!(start.elapsed() < limit, "not within {limit:?}: `{line}`:\n{}", outcome.text());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until the node is Ready and every pod of the control plane and the add-ons is, too.
    pub(crate) fn settled(&self) {
        let kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
        self.until(
            Duration::from_secs(90),
            &format!(
                "{kubectl} wait --for=condition=Ready node --all --timeout=60s && \
                 {kubectl} -n kube-system rollout status deployment/coredns --timeout=60s && \
                 {kubectl} -n kube-system rollout status daemonset/kube-proxy --timeout=60s && \
                 {kubectl} -n kube-system wait --for=condition=Ready pod --all --timeout=60s"
            ),
        );
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = lab(&["down", self.name]);
    }
}

fn lab(args: &[&str]) -> Outcome {
    let output = Command::new(LAB).args(args).stdin(Stdio::null()).output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
