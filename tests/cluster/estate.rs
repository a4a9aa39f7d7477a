//! Several hosts and the operator's machine beside them: a home with a key and known hosts, and a file with the cluster.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::lab::Outcome;
use crate::turn::Turn;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubewright");
/// Names and octets of the hosts.
const HOSTS: [(&str, u8); 7] = [
    ("kwt-a1", 121),
    ("kwt-a2", 122),
    ("kwt-a3", 123),
    ("kwt-a4", 124),
    ("kwt-a5", 125),
    ("kwt-a6", 126),
    ("kwt-a7", 127),
];
/// The virtual address of the clusters.
pub(crate) const VIP: &str = "10.77.0.129";

/// Whoever holds it may have hosts of these names.
pub(crate) static TURN: Turn = Turn::new();

/// What stands in the file with the cluster.
pub(crate) struct Layout {
    /// Numbers of the hosts, from 1.
    pub(crate) control_planes: Vec<usize>,
    pub(crate) workers: Vec<usize>,
    /// Hosts that only balance.
    pub(crate) balancers: Vec<usize>,
    /// Those that run etcd and nothing else; without any, control planes run it.
    pub(crate) etcd: Vec<usize>,
    /// As YAML in braces.
    pub(crate) endpoint: String,
}

impl Layout {
    /// Control planes that keep a virtual address among themselves.
    pub(crate) fn of(control_planes: &[usize], workers: &[usize]) -> Self {
        Self {
            control_planes: control_planes.to_vec(),
            workers: workers.to_vec(),
            balancers: Vec::new(),
            etcd: Vec::new(),
            endpoint: format!(
                "{{host: {VIP}, provider: keepalived-haproxy, haproxy: {{maxConnections: 4000}}}}"
            ),
        }
    }

    pub(crate) fn yaml(&self) -> String {
        let mut text = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  ssh: {{user: root, \
             identityFile: {}}}\n  containerRuntime: {{provider: containerd}}\n  artifacts: {{source: none}}\n  \
             endpoint: {}\n  hosts:\n",
            lab::key(),
            self.endpoint
        );
        let roles = [
            (&self.control_planes, "control-plane"),
            (&self.workers, "worker"),
            (&self.balancers, "load-balancer"),
            (&self.etcd, "etcd"),
        ];
        for (numbers, role) in roles {
            for number in numbers {
                let (name, octet) = HOSTS[number - 1];
                let _ = writeln!(text, "  - {{name: {name}, address: 10.77.0.{octet}, roles: [{role}]}}");
            }
        }
        // Keys that are made quickly.
        let more = "kind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n";
        text + "---\n" + &CONFIG.replacen("kind: ClusterConfiguration\n", more, 1)
    }
}

/// The operator's machine. Hosts go when they go out of scope.
pub(crate) struct Operator {
    home: TempDir,
}

impl Operator {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        Self { home }
    }

    /// Fresh hosts by number, side by side, whose keys are known.
    pub(crate) fn hosts(&self, numbers: &[usize]) -> Vec<Host> {
        self.made(numbers, Host::kube)
    }

    /// The same without the lab's own pod network.
    pub(crate) fn hosts_without_network(&self, numbers: &[usize]) -> Vec<Host> {
        let hosts = self.hosts(numbers);
        for host in &hosts {
            host.ok("rm -f /etc/cni/net.d/*");
        }
        hosts
    }

    /// The same without anything of Kubernetes.
    pub(crate) fn bare_hosts(&self, numbers: &[usize]) -> Vec<Host> {
        self.made(numbers, Host::bare)
    }

    fn made(&self, numbers: &[usize], new: fn(&'static str, u8) -> Host) -> Vec<Host> {
        let hosts = std::thread::scope(|scope| {
            let one = |number: &usize| HOSTS[number - 1];
            let made: Vec<_> =
                numbers.iter().map(one).map(|(name, octet)| scope.spawn(move || new(name, octet))).collect();
            made.into_iter().map(|host| host.join().unwrap()).collect()
        });
        for number in numbers {
            self.learn(*number);
        }
        hosts
    }

    /// A fresh host that has never heard of Kubernetes.
    pub(crate) fn bare(&self, number: usize) -> Host {
        let (name, octet) = HOSTS[number - 1];
        let host = Host::bare(name, octet);
        self.learn(number);
        host
    }

    /// Puts the host's key, and no older one, into the known hosts.
    pub(crate) fn learn(&self, number: usize) {
        let address = format!("10.77.0.{}", HOSTS[number - 1].1);
        let path = self.known_hosts();
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        let others = known.lines().filter(|line| !line.starts_with(&format!("{address} ")));
        let scanned =
            Command::new("ssh-keyscan").args(["-t", "ed25519", &address]).stderr(Stdio::null()).output();
        let line = String::from_utf8(scanned.unwrap().stdout).unwrap();
        assert!(!line.is_empty(), "{address} shows no key");
        let text = others.chain([line.trim_end()]).collect::<Vec<_>>().join("\n");
        std::fs::write(path, text + "\n").unwrap();
    }

    /// A file of the operator's home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path(".ssh/known_hosts")
    }

    /// Writes the file with the cluster.
    pub(crate) fn write(&self, layout: &Layout) {
        self.write_text(&layout.yaml());
    }

    pub(crate) fn write_text(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path("cluster.yaml")
    }

    /// The program with these arguments and the operator's home.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.home.path()).env("HOME", self.home.path()).stdin(Stdio::null());
        command.env_remove("SSH_AUTH_SOCK").env_remove("KUBECONFIG").env_remove("XDG_STATE_HOME");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        let output = self.command(args).output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Writes the file and applies it.
    pub(crate) fn apply(&self, layout: &Layout) -> Outcome {
        self.write(layout);
        self.run(&["apply", "-f", "cluster.yaml", "--yes"])
    }

    /// The same; it must succeed.
    pub(crate) fn applied(&self, layout: &Layout) -> String {
        let outcome = self.apply(layout);
        assert_eq!(outcome.code, 0, "{}", outcome.text());
        outcome.text()
    }

    /// A second run finds nothing to do.
    pub(crate) fn finds_nothing(&self, layout: &Layout) {
        let text = self.applied(layout);
        assert!(text.contains(": 0 changed"), "{text}");
    }
}

/// A fresh host by its number. For the holder of the [`TURN`].
pub(crate) fn host(number: usize) -> Host {
    let (name, octet) = HOSTS[number - 1];
    Host::kube(name, octet)
}

/// The name of a host, by its number.
pub(crate) fn name(number: usize) -> &'static str {
    HOSTS[number - 1].0
}
