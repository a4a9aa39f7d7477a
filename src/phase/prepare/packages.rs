//! Packages: the tools that the kubelet and the pod network call, and with `source: packages` all the rest.

use super::Preparing;
use super::file;
use crate::artifact::choose::mirrored;
use crate::cluster::endpoint::Balancing;
use crate::cluster::endpoint::RunAs;
use crate::cluster::prepare::RuntimeRepository;
use crate::cluster::prepare::Source;
use crate::cluster::site::RuntimeProvider;
use crate::facts::Family;
use crate::facts::checks::TimeSync;
use crate::host::Command;
use crate::plan::Action;
use crate::plan::KeySpec;
use crate::plan::Package;
use crate::plan::PackageManager;
use crate::plan::PackageSpec;
use crate::plan::RunSpec;
use crate::plan::ServiceSpec;
use crate::plan::Step;

/// What the kubelet, the runtime and pod networks call; by family, since the packages are named differently.
const TOOLS: [(Family, &[&str]); 3] = [
    (
        Family::Debian,
        &[
            "conntrack",
            "socat",
            "ebtables",
            "iptables",
            "ipset",
            "iproute2",
            "ethtool",
            "kmod",
            "ca-certificates",
            "curl",
        ],
    ),
    (
        Family::RedHat,
        &[
            "conntrack-tools",
            "socat",
            "iptables-nft",
            "nftables",
            "ipset",
            "iproute",
            "iproute-tc",
            "container-selinux",
            "libseccomp",
            "ethtool",
            "kmod",
            "ca-certificates",
        ],
    ),
    (
        Family::Suse,
        &[
            "conntrack-tools",
            "socat",
            "ebtables",
            "iptables",
            "ipset",
            "iproute2",
            "libseccomp2",
            "apparmor-parser",
            "ethtool",
            "kmod",
            "ca-certificates",
            "curl",
        ],
    ),
];

/// Of the Kubernetes project's repository, as `gpg` prints it; all minor versions are signed with this key.
const KUBERNETES_KEY: &str = "DE15B14486CD377B9E876E1A234654DA9A296436";
/// Of Docker's repositories for Debian and Ubuntu, and for the others.
const DOCKER_DEB_KEY: &str = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";
const DOCKER_RPM_KEY: &str = "060A61C51B558A7F742B77AAC52FEB6B621E9F35";

/// A package repository.
struct Repository {
    /// Names its files: `kubernetes`.
    name: &'static str,
    /// URL of the packages.
    base: String,
    /// What follows the URL in a line of apt's: `/` for one without suites.
    suite: String,
    key: String,
    /// `None` where nobody has published it; then the key is taken as it comes, over TLS.
    fingerprint: Option<String>,
    /// Packages that updates of the whole system leave alone.
    excluded: &'static str,
}

impl Preparing<'_> {
    pub(super) fn packages(&self) -> anyhow::Result<Vec<Step>> {
        let wanted = matches!(self.source(), Source::Packages | Source::Download);
        if !wanted {
            return Ok(Vec::new());
        }
        let Some(family) = self.facts.platform.family() else {
            // Of a host that nobody asked it is not known which distribution it has.
            let asked = !self.checks.kernel.release.is_empty();
            return if asked && self.source() == Source::Packages {
                Err(self.strange())
            } else {
                Ok(Vec::new())
            };
        };
        let manager = manager(family);
        let mut steps = Vec::new();
        let mut tools: Vec<Package> = Vec::new();
        if self.node.has_kubelet() {
            let (_, names) = TOOLS.iter().find(|(of, _)| *of == family).expect("every family has a row");
            tools.extend(names.iter().map(|name| Package::any(name)));
        }
        if self.brings_repositories() && family == Family::Debian {
            // Tells whose a repository's key is; the others have it for their own packages.
            tools.push(Package::any("gnupg"));
        }
        let translates = self.cluster.site.cni.bridge().is_some() && self.node.becomes_node();
        if translates && tools.iter().all(|tool| tool.name != "nftables") {
            tools.push(Package::any("nftables"));
        }
        tools.extend(self.balancers().iter().map(|name| Package::any(name)));
        if self.checks.time == TimeSync::Nobody {
            tools.push(Package::any("chrony"));
        }
        if !tools.is_empty() {
            steps.push(self.install("tools of the distribution", manager, tools));
        }
        if self.checks.time == TimeSync::Nobody {
            steps.push(self.clock(family));
        }
        if self.brings_repositories() {
            for repository in self.repositories(family) {
                steps.extend(self.repository(family, &repository));
            }
            steps.push(self.install("Kubernetes", manager, self.kubernetes()));
            steps.extend(
                self.runtime_packages(family).map(|all| self.install("container runtime", manager, all)),
            );
        }
        Ok(steps)
    }

    /// Whether packages come from repositories that a distribution does not have.
    fn brings_repositories(&self) -> bool {
        self.source() == Source::Packages && self.node.has_kubelet()
    }

    fn install(&self, what: &str, manager: PackageManager, packages: Vec<Package>) -> Step {
        let action = Action::Package(PackageSpec { manager, packages });
        self.step("packages", what, "a node of the cluster needs them", action)
    }

    fn strange(&self) -> anyhow::Error {
        let platform = &self.facts.platform;
        let name = if platform.id.is_empty() { "unknown" } else { &platform.id };
        anyhow::anyhow!(
            "{}: nobody here knows the packages of the distribution `{name}`; choose `source: download` or `local` in \
             spec.artifacts, or install everything and choose `none`",
            self.node.name
        )
    }

    fn kubernetes(&self) -> Vec<Package> {
        let version = |name| crate::artifact::choose::version(self.cluster, name);
        vec![
            Package::any("kubelet").at(version(crate::artifact::Name::Kubelet)),
            Package::any("kubectl").at(version(crate::artifact::Name::Kubectl)),
            Package::any("kubernetes-cni"),
            Package::any("cri-tools"),
        ]
    }

    fn runtime_packages(&self, family: Family) -> Option<Vec<Package>> {
        let versions = &self.cluster.prepare.artifacts.versions;
        let at = |package: Package, name: &str| match versions.get(name) {
            Some(version) => package.at(version.trim_start_matches('v')),
            None => package,
        };
        Some(match self.cluster.prepare.runtime.provider? {
            RuntimeProvider::Containerd if self.is_dockers(family) => {
                vec![at(Package::any("containerd.io"), "containerd")]
            }
            RuntimeProvider::Containerd => {
                vec![at(Package::any("containerd").or("containerd.io"), "containerd")]
            }
            RuntimeProvider::CriO => vec![at(Package::any("cri-o"), "cri-o")],
            RuntimeProvider::Docker if self.is_dockers(family) => {
                ["docker-ce", "docker-ce-cli", "containerd.io"].map(Package::any).into()
            }
            RuntimeProvider::Docker if family == Family::Debian => {
                vec![Package::any("docker.io").or("docker-ce")]
            }
            RuntimeProvider::Docker => vec![Package::any("docker").or("docker-ce")],
        })
    }

    /// The RHEL family has neither containerd nor Docker of its own, Fedora has.
    fn is_dockers(&self, family: Family) -> bool {
        self.cluster.prepare.artifacts.runtime_repository == RuntimeRepository::Docker
            || family == Family::RedHat && self.facts.platform.id != "fedora"
    }

    fn repositories(&self, family: Family) -> Vec<Repository> {
        let minor = self.cluster.version.minor();
        let kind = if family == Family::Debian { "deb" } else { "rpm" };
        let key = |base: &str| match kind {
            "deb" => format!("{base}Release.key"),
            _ => format!("{base}repodata/repomd.xml.key"),
        };
        let flat = |name, base: String, fingerprint, excluded| {
            let base = mirrored(&self.cluster.prepare.artifacts, &base);
            Repository {
                name,
                suite: "/".to_owned(),
                key: key(&base),
                base,
                fingerprint: self.fingerprint(name, fingerprint),
                excluded,
            }
        };
        let mut all = vec![flat(
            "kubernetes",
            format!("https://pkgs.k8s.io/core:/stable:/v1.{minor}/{kind}/"),
            Some(KUBERNETES_KEY),
            "kubelet kubeadm kubectl cri-tools kubernetes-cni",
        )];
        match self.cluster.prepare.runtime.provider {
            Some(RuntimeProvider::CriO) => all.push(flat(
                "cri-o",
                format!("https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.{minor}/{kind}/"),
                None,
                "",
            )),
            Some(RuntimeProvider::Containerd | RuntimeProvider::Docker) if self.is_dockers(family) => {
                all.push(self.docker_repository(family));
            }
            _ => {}
        }
        all
    }

    /// The key that the operator knows, and otherwise that of the project.
    fn fingerprint(&self, repository: &str, project: Option<&str>) -> Option<String> {
        let said = self.cluster.prepare.artifacts.keys.get(repository);
        said.cloned().or_else(|| project.map(str::to_owned))
    }

    fn docker_repository(&self, family: Family) -> Repository {
        let platform = &self.facts.platform;
        let like_ubuntu =
            platform.id == "ubuntu" || platform.like.split_whitespace().any(|word| word == "ubuntu");
        let (distribution, fingerprint) = match family {
            Family::Debian if like_ubuntu => ("ubuntu", DOCKER_DEB_KEY),
            Family::Debian => ("debian", DOCKER_DEB_KEY),
            Family::RedHat if platform.id == "fedora" => ("fedora", DOCKER_RPM_KEY),
            Family::RedHat => ("rhel", DOCKER_RPM_KEY),
            Family::Suse => ("sles", DOCKER_RPM_KEY),
        };
        let base = format!("https://download.docker.com/linux/{distribution}");
        let base = mirrored(&self.cluster.prepare.artifacts, &base);
        Repository {
            name: "docker",
            key: format!("{base}/gpg"),
            base: if family == Family::Debian {
                base
            } else {
                format!("{base}/$releasever/$basearch/stable")
            },
            suite: format!("{} stable", platform.codename),
            fingerprint: self.fingerprint("docker", Some(fingerprint)),
            excluded: "",
        }
    }

    fn repository(&self, family: Family, repository: &Repository) -> Vec<Step> {
        let Repository { name, base, suite, .. } = repository;
        let (key, path, text) = match family {
            Family::Debian => {
                let key = format!("/etc/apt/keyrings/{name}.asc");
                let text = format!("# Written by kubewright.\ndeb [signed-by={key}] {base} {suite}\n");
                (key, format!("/etc/apt/sources.list.d/{name}.list"), text)
            }
            Family::RedHat | Family::Suse => {
                let key = format!("/etc/pki/rpm-gpg/RPM-GPG-KEY-{name}");
                let directory = if family == Family::Suse { "/etc/zypp/repos.d" } else { "/etc/yum.repos.d" };
                let exclude = match (family, repository.excluded) {
                    // zypper knows locks instead.
                    (Family::Suse, _) | (_, "") => String::new(),
                    (_, names) => format!("exclude={names}\n"),
                };
                let text = format!(
                    "# Written by kubewright.\n[{name}]\nname={name}\nbaseurl={base}\nenabled=1\ngpgcheck=1\n\
                     gpgkey=file://{key}\n{exclude}"
                );
                (key, format!("{directory}/{name}.repo"), text)
            }
        };
        let fingerprint = repository.fingerprint.as_deref().unwrap_or_default();
        let reason = match &repository.fingerprint {
            Some(fingerprint) => {
                format!("packages are signed with {fingerprint}, and any other key is refused")
            }
            None => "packages are signed with it; its fingerprint is published nowhere".to_owned(),
        };
        let action = Action::Key(KeySpec {
            path: key.clone(),
            url: repository.key.clone(),
            fingerprint: repository.fingerprint.clone(),
        });
        let mut steps = vec![
            self.step("packages", format!("key of the repository {name}"), &reason, action),
            self.step(
                "packages",
                format!("repository {name}"),
                "packages come from there",
                file(&path, text),
            ),
        ];
        if family != Family::Debian {
            let import = Command::change("rpm").args(["--import", &key]);
            // rpm names a key by the end of its fingerprint.
            let short = fingerprint.get(32..).unwrap_or_default().to_lowercase();
            let known = super::sh(r#"[ -n "$1" ] && rpm -q "gpg-pubkey-$1" >/dev/null 2>&1"#).arg(short);
            let action = Action::Run(RunSpec {
                command: import,
                unless: Some(known),
                remember: Vec::new(),
                best_effort: false,
            });
            steps.insert(1, self.step("packages", format!("rpm knows the key of {name}"), &reason, action));
        }
        steps
    }

    /// HAProxy and keepalived where the endpoint runs as host services.
    fn balancers(&self) -> &'static [&'static str] {
        if !self.cluster.balances(self.node) {
            return &[];
        }
        match &self.cluster.site.balancing {
            Some(Balancing::Keepalived(said)) if said.run_as == RunAs::Service => &["haproxy", "keepalived"],
            Some(Balancing::NodeLocal(said)) if said.run_as == RunAs::Service => &["haproxy"],
            _ => &[],
        }
    }

    fn clock(&self, family: Family) -> Step {
        let unit = if family == Family::Debian { "chrony" } else { "chronyd" };
        let action = Action::Service(ServiceSpec {
            unit: unit.to_owned(),
            enabled: Some(true),
            restart_on: Vec::new(),
            reload_on: Vec::new(),
            anew: None,
            best_effort: true,
        });
        let reason = "certificates and etcd need clocks that agree, and nobody keeps this one";
        self.step("packages", "clock kept by chrony", reason, action)
    }
}

fn manager(family: Family) -> PackageManager {
    match family {
        Family::Debian => PackageManager::Apt,
        Family::RedHat => PackageManager::Dnf,
        Family::Suse => PackageManager::Zypper,
    }
}
