//! The checks, one difference from a healthy host at a time, with their exact texts.

use crate::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::HostPort;
use kubewright::cluster::Role;
use kubewright::cluster::SelinuxMode;
use kubewright::cluster::kubeadm::Arg;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::cluster::node::ImagePullPolicy;
use kubewright::cluster::prepare::ImageArchive;
use kubewright::cluster::prepare::Source;
use kubewright::cluster::site::RuntimeProvider;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::facts::InitSystem;
use kubewright::facts::NodeFacts;
use kubewright::facts::checks::CgroupVersion;
use kubewright::facts::checks::DefaultRoute;
use kubewright::facts::checks::DiskSpace;
use kubewright::facts::checks::KernelConfig;
use kubewright::facts::checks::Kubelet;
use kubewright::facts::checks::Listener;
use kubewright::facts::checks::PathState;
use kubewright::facts::checks::Process;
use kubewright::facts::checks::Service;
use kubewright::facts::checks::TimeSync;
use kubewright::facts::runtime::Condition;
use kubewright::facts::runtime::Connection;
use kubewright::facts::runtime::RuntimeConfig;
use kubewright::facts::runtime::Status;
use kubewright::phase::prepare;
use kubewright::preflight;
use kubewright::preflight::EtcdVersions;
use kubewright::preflight::Ignore;
use kubewright::preflight::Report;
use kubewright::preflight::Severity;
use kubewright::preflight::Subject;
use std::collections::BTreeSet;

/// What a run looks at, with everything that a test may want to change.
struct Case {
    cluster: Cluster,
    facts: HostFacts,
    images: Vec<String>,
    ours: BTreeSet<String>,
    running_ours: bool,
    prepare: bool,
    etcd: EtcdVersions,
    running: ClusterFacts,
    ignore: Vec<String>,
}

impl Case {
    fn healthy() -> Self {
        Self {
            cluster: fixture::cluster(),
            facts: fixture::healthy(),
            images: Vec::new(),
            ours: BTreeSet::new(),
            running_ours: false,
            prepare: false,
            etcd: EtcdVersions::new(),
            running: ClusterFacts::default(),
            ignore: Vec::new(),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::healthy();
        change(&mut case);
        case
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            cluster: &self.cluster,
            node: &self.cluster.nodes[0],
            facts: &self.facts,
            images: &self.images,
            ours: &self.ours,
            running_ours: self.running_ours,
            prepare: self.prepare,
            etcd: &self.etcd,
            running: &self.running,
        }
    }

    fn names(&self) -> Vec<String> {
        preflight::init_checks(&self.subject()).into_iter().map(|check| check.name).collect()
    }

    fn run(&self) -> Report {
        let subject = self.subject();
        let ignore = Ignore::new(&self.ignore, &[]).unwrap();
        preflight::run(&preflight::init_checks(&subject), &subject, &ignore)
    }

    fn joining(role: Role, change: impl FnOnce(&mut Self)) -> Self {
        Self::with(|case| {
            case.cluster.joining = true;
            case.cluster.nodes[0].roles = vec![role];
            case.cluster.endpoint = Some(HostPort::new("198.51.100.100", 6443));
            change(case);
        })
    }

    fn run_join(&self) -> Report {
        let subject = self.subject();
        let ignore = Ignore::new(&self.ignore, &[]).unwrap();
        preflight::run(&preflight::join_checks(&subject), &subject, &ignore)
    }
}

#[test]
fn a_joining_host_is_checked_for_what_it_will_be() {
    let names = |role| {
        let case = Case::joining(role, |_| {});
        preflight::join_checks(&case.subject()).into_iter().map(|check| check.name).collect::<Vec<_>>()
    };
    let (worker, plane) = (names(Role::Worker), names(Role::ControlPlane));
    let both =
        ["IsPrivilegedUser", "FileAvailable--etc-kubernetes-kubelet.conf", "Port-10250", "NodeName", "CRI"];
    for name in both {
        assert!(worker.iter().any(|it| it == name) && plane.iter().any(|it| it == name), "{name}");
    }
    for (name, workers) in [
        ("FileAvailable--etc-kubernetes-pki-ca.crt", true),
        ("FileContent--proc-sys-net-ipv4-ip_forward", true),
        ("Port-6443", false),
        ("Port-2380", false),
        ("NumCPU", false),
        ("DirAvailable--var-lib-etcd", false),
        ("ImagePull", false),
    ] {
        assert_eq!(worker.iter().any(|it| it == name), workers, "{name}");
        assert_eq!(plane.iter().any(|it| it == name), !name.ends_with("ca.crt"), "{name}");
    }
}

#[test]
fn labels_that_a_kubelet_refuses_are_named_with_the_way_to_set_them() {
    let case = Case::joining(Role::Worker, |case| {
        case.cluster.nodes[0].kubelet_extra_args = vec![Arg {
            name: "node-labels".to_owned(),
            value: "disk=ssd,node-role.kubernetes.io/worker=".to_owned(),
        }];
    });
    let report = case.run_join();
    let found = report.findings.iter().find(|finding| finding.check == "NodeLabels").unwrap();
    assert_eq!(
        found.text(),
        "the kubelet does not start with `--node-labels` that name node-role.kubernetes.io/worker; leave them out, and \
         when the node has joined: `kubectl label node cp1 node-role.kubernetes.io/worker=`"
    );
}

/// `init` and a control plane that joins move an API server of their own; a worker moves none.
#[test]
fn a_version_for_a_cluster_that_runs_is_judged_by_who_moves() {
    let runs = |case: &mut Case, api_server: &str, kubelet: &str| {
        case.running.api_servers.insert("cp9".to_owned(), api_server.parse().unwrap());
        case.facts.checks.kubelet = Kubelet::Says(format!("Kubernetes {kubelet}"));
    };
    let about = |report: &Report| {
        let found = told(report).into_iter().filter(|line| line.contains("Version") || line.contains("Skew"));
        found.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    // v1.36.2 is wanted, and in a cluster that is joined, stored.
    for (api_server, kubelet, server, worker) in [
        ("v1.36.2", "v1.36.2", vec![], vec![]),
        ("v1.36.3", "v1.36.2", vec!["E VersionDowngrade"], vec![]),
        ("v1.35.7", "v1.35.7", vec![], vec![]),
        ("v1.35.7", "v1.36.2", vec![], vec!["E KubeletSkew"]),
        ("v1.34.7", "v1.34.7", vec!["E VersionStep"], vec![]),
        ("v1.36.1", "v1.36.2", vec![], vec![]),
    ] {
        let what = format!("{api_server} {kubelet}");
        assert_eq!(about(&Case::with(|case| runs(case, api_server, kubelet)).run()), server, "init, {what}");
        for (role, expected) in [(Role::ControlPlane, &server), (Role::Worker, &worker)] {
            let case = Case::joining(role, |case| runs(case, api_server, kubelet));
            assert_eq!(about(&case.run_join()), *expected, "join {role:?}, {what}");
        }
    }
    // What preparation brings counts, and not what is there.
    let case = Case::joining(Role::Worker, |case| {
        runs(case, "v1.35.7", "v1.35.7");
        case.cluster.prepare.artifacts.source = Source::Download;
        case.prepare = true;
    });
    let found = told(&case.run_join());
    assert!(
        found.contains(
            &"E KubeletSkew: the kubelet v1.36.2 would be newer than what it talks to: kube-apiserver v1.35.7 (cp9)"
                .to_owned()
        ),
        "{found:?}"
    );
}

#[test]
fn a_name_that_is_taken_is_refused_unless_it_is_our_own() {
    let namesake = |ready| Some(NodeFacts { name: "cp1".to_owned(), ready, ..NodeFacts::default() });
    let ready = r#"E NodeName: a Node with name "cp1" and status "Ready" already exists in the cluster"#;
    let gone =
        r#"W NodeName: a Node with name "cp1" exists in the cluster, and is not Ready; it is taken over"#;
    for (running, ours, expected) in [
        (namesake(true), false, vec![ready]),
        (namesake(false), false, vec![gone]),
        (namesake(true), true, vec![]),
        (None, false, vec![]),
    ] {
        let case = Case::joining(Role::Worker, |case| {
            case.running.namesake.clone_from(&running);
            if ours {
                case.ours.insert("/etc/kubernetes/kubelet.conf".to_owned());
                case.facts.existing_paths.insert("/etc/kubernetes/kubelet.conf".to_owned());
            }
        });
        let found = told(&case.run_join());
        let found: Vec<_> = found.iter().filter(|line| line.contains(" NodeName: ")).collect();
        assert_eq!(found, expected, "{running:?} {ours}");
    }
}

/// Findings as `E Name: message`.
fn told(report: &Report) -> Vec<String> {
    let letter = |severity| match severity {
        Severity::Error => 'E',
        Severity::Warning => 'W',
        Severity::Note => 'N',
        Severity::Prepared => 'P',
    };
    let line = |finding: &preflight::Finding| {
        format!("{} {}: {}", letter(finding.severity), finding.check, finding.message)
    };
    report.findings.iter().map(line).collect()
}

const KUBEADM: [&str; 29] = [
    "IsPrivilegedUser",
    "NumCPU",
    "Mem",
    "KubernetesVersion",
    "Firewalld",
    "Port-6443",
    "Port-10259",
    "Port-10257",
    "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
    "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
    "HTTPProxy",
    "HTTPProxyCIDR",
    "HTTPProxyCIDR",
    "CRI",
    "ContainerRuntimeVersion",
    "Swap",
    "FileExisting-losetup",
    "FileExisting-mount",
    "FileExisting-cp",
    "SystemVerification",
    "Hostname",
    "KubeletVersion",
    "Service-kubelet",
    "Port-10250",
    "FileContent--proc-sys-net-ipv4-ip_forward",
    "Port-2379",
    "Port-2380",
];

#[test]
fn kubeadms_checks_come_in_kubeadms_order() {
    let names = Case::healthy().names();
    assert_eq!(names[..29], KUBEADM);
    assert_eq!(names[29], "DirAvailable--var-lib-etcd");
    assert_eq!(names.last().unwrap(), "ImagePull");
}

#[test]
fn the_table_follows_the_configuration() {
    let dual = Case::with(|case| {
        case.cluster.networking.pods.push("fd00::/48".parse().unwrap());
        case.cluster.version = "v1.31.0".parse().unwrap();
        case.cluster.nodes[0].bind_port = 7443;
    });
    let names = dual.names();
    for expected in
        ["FileContent--proc-sys-net-ipv6-conf-default-forwarding", "FileExisting-conntrack", "Port-7443"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
    let external = Case::with(external_etcd).names();
    let at = |name: &str| external.iter().filter(|found| *found == name).count();
    assert_eq!((at("ExternalEtcdVersion"), at("ExternalEtcdClientCertificates"), at("Port-2379")), (1, 3, 0));
    assert!(!external.iter().any(|name| name.starts_with("DirAvailable")));
}

fn external_etcd(case: &mut Case) {
    case.cluster.configuration.etcd.local = None;
    case.cluster.configuration.etcd.external = Some(ExternalEtcd {
        endpoints: vec!["https://192.0.2.20:2379".to_owned()],
        http_endpoints: Vec::new(),
        ca_file: "/pki/ca.crt".to_owned(),
        cert_file: "/pki/client.crt".to_owned(),
        key_file: "/pki/client.key".to_owned(),
    });
}

#[test]
fn a_healthy_host_and_an_unknown_one_have_no_findings() {
    let healthy = Case::healthy().run();
    assert_eq!(told(&healthy), Vec::<String>::new());
    assert_eq!(healthy.kubeadm_text(), "");
    let unknown = Case::with(|case| case.facts = HostFacts::assumed("cp1")).run();
    assert_eq!(told(&unknown), Vec::<String>::new());
}

type Change = fn(&mut Case);

fn check(cases: &[(Change, &[&str])]) {
    for (change, expected) in cases {
        assert_eq!(told(&Case::with(change).run()), *expected);
    }
}

#[test]
fn the_machine() {
    check(&[
        (|case| case.facts.checks.uid = Some(1000), &["E IsPrivilegedUser: user is not running as root"]),
        (
            |case| case.facts.checks.cpus = Some(1),
            &["E NumCPU: the number of available CPUs 1 is less than the required 2"],
        ),
        (
            |case| case.facts.checks.memory = Some((1700 << 20) - 1),
            &["E Mem: the system RAM (1699 MB) is less than the minimum 1700 MB"],
        ),
        (
            |case| case.cluster.version = "v1.37.0-alpha.0".parse().unwrap(),
            &[
                "W KubernetesVersion: Kubernetes version v1.37.0-alpha.0 is newer than this program: this release knows \
               versions up to 1.36.x",
            ],
        ),
        (
            |case| case.facts.checks.programs = Some(BTreeSet::from(["mount".to_owned()])),
            &[
                "E FileExisting-losetup: losetup not found in system path",
                "E FileExisting-cp: cp not found in system path",
            ],
        ),
        (
            |case| _ = case.facts.checks.sysctls.insert("net/ipv4/ip_forward".to_owned(), "0".to_owned()),
            &[
                "E FileContent--proc-sys-net-ipv4-ip_forward: /proc/sys/net/ipv4/ip_forward contents are not set to 1",
            ],
        ),
        (
            |case| _ = case.facts.checks.sysctls.remove("net/ipv4/ip_forward"),
            &["E FileContent--proc-sys-net-ipv4-ip_forward: /proc/sys/net/ipv4/ip_forward does not exist"],
        ),
    ]);
}

fn listen(case: &mut Case, port: u16, name: Option<&str>) {
    let process = name.map(|name| Process { id: 7, name: name.to_owned() });
    case.facts.checks.listeners.push(Listener { port, process });
}

#[test]
fn ports_and_files() {
    check(&[
        (|case| listen(case, 6443, None), &["E Port-6443: Port 6443 is in use"]),
        (|case| listen(case, 10250, Some("kubelet")), &["E Port-10250: Port 10250 is in use"]),
        (
            |case| {
                case.running_ours = true;
                listen(case, 6443, Some("kube-apiserver"));
                listen(case, 10257, Some("kube-controller"));
                listen(case, 2379, None);
                listen(case, 10259, Some("nginx"));
            },
            &["E Port-10259: Port 10259 is in use"],
        ),
        (
            |case| _ = case.facts.existing_paths.insert("/etc/kubernetes/manifests/etcd.yaml".to_owned()),
            &[
                "E FileAvailable--etc-kubernetes-manifests-etcd.yaml: /etc/kubernetes/manifests/etcd.yaml already exists",
            ],
        ),
        (
            |case| {
                let path = "/etc/kubernetes/manifests/etcd.yaml".to_owned();
                case.facts.existing_paths.insert(path.clone());
                case.ours.insert(path);
            },
            &[],
        ),
        (
            |case| _ = case.facts.checks.paths.insert("/var/lib/etcd".to_owned(), PathState::Directory),
            &["E DirAvailable--var-lib-etcd: /var/lib/etcd is not empty"],
        ),
        (
            |case| _ = case.facts.checks.paths.insert("/var/lib/etcd".to_owned(), PathState::EmptyDirectory),
            &[],
        ),
        (
            |case| {
                case.facts.checks.paths.insert("/var/lib/etcd".to_owned(), PathState::Directory);
                case.ours.insert("/var/lib/etcd".to_owned());
            },
            &[],
        ),
        // Our pod is there, and made the data before the receipt could tell of the directory.
        (
            |case| {
                case.facts.checks.paths.insert("/var/lib/etcd".to_owned(), PathState::Directory);
                case.facts.existing_paths.insert("/etc/kubernetes/manifests/etcd.yaml".to_owned());
                case.ours.insert("/etc/kubernetes/manifests/etcd.yaml".to_owned());
            },
            &[],
        ),
        (
            |case| {
                case.facts.checks.paths.insert("/var/lib/etcd".to_owned(), PathState::Directory);
                case.ours.insert("/etc/kubernetes/manifests/etcd.yaml".to_owned());
            },
            &["E DirAvailable--var-lib-etcd: /var/lib/etcd is not empty"],
        ),
    ]);
}

#[test]
fn the_runtime() {
    let unready = |name: &str| Condition {
        name: name.to_owned(),
        is_true: false,
        reason: "Broken".to_owned(),
        message: "no".to_owned(),
    };
    let network = Case::with(|case| {
        case.facts.checks.runtime.status = Status::Conditions(vec![unready("NetworkReady")]);
    });
    assert_eq!(told(&network.run()), Vec::<String>::new());
    let runtime = Case::with(|case| {
        case.facts.checks.runtime.status = Status::Conditions(vec![unready("RuntimeReady")]);
    });
    assert_eq!(
        told(&runtime.run()),
        ["E CRI: container runtime condition \"RuntimeReady\" is not true. reason: Broken, message: no"]
    );
    check(&[
        (
            |case| case.facts.checks.runtime.connection = Connection::Failed("gone".to_owned()),
            &[
                "E CRI: could not connect to the container runtime: gone",
                "E ContainerRuntimeVersion: could not connect to the container runtime: gone",
            ],
        ),
        (
            |case| case.facts.checks.runtime.config = RuntimeConfig::Unimplemented,
            &[
                "W ContainerRuntimeVersion: the container runtime does not tell its cgroup driver (CRI method \
               RuntimeConfig, KEP 4033), which kubelets from 1.37 on require",
            ],
        ),
        (
            |case| case.facts.checks.runtime.config = RuntimeConfig::Failed("late".to_owned()),
            &["E ContainerRuntimeVersion: could not check if the runtime config is available: late"],
        ),
    ]);
}

#[test]
fn the_kubelet() {
    fn says(case: &mut Case, said: &str) {
        case.facts.checks.kubelet = Kubelet::Says(said.to_owned());
    }
    check(&[
        (
            |case| case.facts.checks.kubelet = Kubelet::Missing,
            &[
                "E SystemVerification: couldn't get kubelet version: kubelet is not in PATH",
                "E KubeletVersion: couldn't get kubelet version: kubelet is not in PATH",
            ],
        ),
        (|case| says(case, "Kubernetes v1.36.9"), &[]),
        (|case| says(case, "Kubernetes v1.33.0"), &[]),
        (
            |case| says(case, "Kubernetes v1.32.7"),
            &["E KubeletVersion: kubelet version \"1.32.7\" is lower than 1.33.0, the oldest supported"],
        ),
        (
            |case| says(case, "Kubernetes v1.37.0"),
            &[
                "E KubeletVersion: the kubelet version is higher than the control plane version, which is no supported \
               skew: kubelet \"1.37.0\", control plane \"1.36.2\"",
            ],
        ),
        (
            |case| case.facts.checks.services.get_mut("kubelet").unwrap().enabled = false,
            &[
                "W Service-kubelet: kubelet service is not enabled, please run 'systemctl enable kubelet.service'",
            ],
        ),
        (
            |case| _ = case.facts.checks.services.remove("kubelet"),
            &["W Service-kubelet: kubelet service does not exist"],
        ),
        (
            |case| case.facts.init_system = InitSystem::None,
            &[
                "W Firewalld: no supported init system detected, skipping checks of services",
                "W Service-kubelet: no supported init system detected, skipping checks of services",
            ],
        ),
    ]);
}

#[test]
fn the_system() {
    let v1 = "this host uses version 1 of control groups, which kubelets from 1.35 on refuse";
    let groups = |version, missing: &[&str], kubelet: &str| {
        let case = Case::with(|case| {
            let checks = &mut case.facts.checks;
            checks.cgroups.version = version;
            checks.cgroups.controllers.extend(["cpuacct", "blkio"].map(str::to_owned));
            checks.cgroups.controllers.retain(|name| !missing.contains(&name.as_str()));
            checks.kubelet = Kubelet::Says(format!("Kubernetes {kubelet}"));
        });
        told(&case.run())
    };
    assert_eq!(groups(CgroupVersion::V1, &[], "v1.36.2"), [format!("E SystemVerification: {v1}")]);
    assert_eq!(groups(CgroupVersion::V1, &[], "v1.34.0"), [format!("W SystemVerification: {v1}")]);
    assert_eq!(
        groups(CgroupVersion::V1, &["memory", "blkio"], "v1.36.2"),
        [
            "E SystemVerification: missing required cgroups: memory",
            "W SystemVerification: missing optional cgroups: blkio"
        ]
    );
    assert_eq!(
        groups(CgroupVersion::V2, &["io", "pids"], "v1.36.2"),
        [
            "E SystemVerification: missing required cgroups: pids",
            "W SystemVerification: missing optional cgroups: io"
        ]
    );
    assert_eq!(groups(CgroupVersion::V2, &["cpuacct", "blkio"], "v1.36.2"), Vec::<String>::new());
}

#[test]
fn the_kernel() {
    fn option(case: &mut Case, name: &str, value: Option<char>) {
        let KernelConfig::Options(options) = &mut case.facts.checks.kernel.config else { unreachable!() };
        options.remove(name);
        options.extend(value.map(|value| (name.to_owned(), value)));
    }
    check(&[
        (|case| option(case, "EXT4_FS", Some('m')), &[]),
        (|case| option(case, "CGROUP_CPUACCT", None), &[]),
        (
            |case| {
                option(case, "MEMCG", Some('n'));
                option(case, "CGROUP_BPF", None);
            },
            &["E SystemVerification: unexpected kernel config: CONFIG_MEMCG CONFIG_CGROUP_BPF"],
        ),
        (|case| option(case, "NETFILTER_XT_TARGET_REDIRECT", None), &[]),
        (
            |case| {
                option(case, "NETFILTER_XT_TARGET_REDIRECT", None);
                option(case, "IP_NF_TARGET_REDIRECT", None);
            },
            &["E SystemVerification: unexpected kernel config: CONFIG_IP_NF_TARGET_REDIRECT"],
        ),
        (
            |case| case.facts.checks.kernel.config = KernelConfig::Unavailable,
            &["E SystemVerification: failed to parse kernel config: no kernel configuration is available"],
        ),
        (|case| case.facts.checks.kernel.release = "5.15.0-91-generic".to_owned(), &[]),
        (|case| case.facts.checks.kernel.release = "10.0.1".to_owned(), &[]),
        (
            |case| case.facts.checks.kernel.release = "4.19.0".to_owned(),
            &["W SystemVerification: kernel release 4.19.0 is unsupported"],
        ),
    ]);
}

#[test]
fn proxies_and_names() {
    check(&[
        (
            |case| {
                case.facts.proxy_env.insert("HTTPS_PROXY".to_owned(), "http://u:p@proxy:3128".to_owned());
                case.facts.proxy_env.insert("no_proxy".to_owned(), "10.244.0.0/16".to_owned());
            },
            &[
                "W HTTPProxy: Connection to \"https://192.0.2.10\" uses proxy \"http://u@proxy:3128\"",
                "W HTTPProxyCIDR: connection to \"10.96.0.0/12\" uses proxy \"http://u@proxy:3128\"",
            ],
        ),
        (
            |case| _ = case.facts.checks.names.insert("cp1".to_owned(), Vec::new()),
            &["W Hostname: hostname \"cp1\" could not be reached: it does not resolve"],
        ),
        (
            |case| _ = case.facts.checks.names.insert("cp1".to_owned(), vec!["203.0.113.9".parse().unwrap()]),
            &["W HostnameResolution: \"cp1\" resolves to 203.0.113.9, which is not this host"],
        ),
        (
            |case| _ = case.facts.checks.names.insert("cp1".to_owned(), vec!["127.0.1.1".parse().unwrap()]),
            &[],
        ),
        (
            |case| case.facts.addresses.retain(std::net::IpAddr::is_loopback),
            &[
                "W HostnameResolution: \"cp1\" resolves to 192.0.2.10, which is not this host",
                "E AdvertiseAddress: 192.0.2.10 is not an address of any interface of this host",
            ],
        ),
    ]);
}

#[test]
fn external_etcd_must_answer_and_be_new_enough() {
    let answer = |answer: Result<&str, &str>| {
        let case = Case::with(|case| {
            external_etcd(case);
            let url = "https://192.0.2.20:2379/version".to_owned();
            case.etcd.insert(url, answer.map(str::to_owned).map_err(str::to_owned));
            let files = ["/pki/ca.crt", "/pki/client.crt"].map(str::to_owned);
            case.facts.existing_paths.extend(files);
        });
        told(&case.run())
    };
    let key = "E ExternalEtcdClientCertificates: /pki/client.key doesn't exist";
    assert_eq!(answer(Ok(r#"{"etcdserver":"3.6.8"}"#)), [key]);
    assert_eq!(
        answer(Err("refused")),
        [
            "E ExternalEtcdVersion: failed to get the version of external etcd at https://192.0.2.20:2379/version: refused",
            key
        ]
    );
}

#[test]
fn what_kubeadm_does_not_see() {
    check(&[
        (
            |case| case.facts.checks.swap.active.push("/dev/sda2".to_owned()),
            &[
                "W Swap: swap is on; a kubelet can live with it only with cgroup v2 and a configuration for it",
                "E KubeletSwap: swap is on (/dev/sda2), and the kubelet does not start with it",
            ],
        ),
        (
            |case| {
                case.cluster.kubelet.value = serde_json::json!({"failSwapOn": false});
                case.facts.checks.swap.fstab = "/dev/sda2 none swap sw 0 0\n".to_owned();
            },
            &[],
        ),
        (
            |case| case.facts.checks.swap.fstab = "/dev/sda2 none swap sw 0 0\n".to_owned(),
            &["W SwapFstab: /etc/fstab turns swap on again at the next start: /dev/sda2"],
        ),
        (
            |case| {
                case.facts.checks.swap.zram_generator =
                    Some("/usr/lib/systemd/zram-generator.conf".to_owned());
            },
            &[
                "W SwapZram: /usr/lib/systemd/zram-generator.conf makes compressed swap in memory (zram) at every start",
            ],
        ),
        (
            |case| _ = case.facts.checks.modules.present.remove("br_netfilter"),
            &["W KernelModules: kernel modules are not loaded: br_netfilter"],
        ),
        (
            |case| {
                let name = "net/bridge/bridge-nf-call-iptables".to_owned();
                case.facts.checks.sysctls.insert(name, "0".to_owned());
            },
            &["W BridgeNetfilter: traffic between pods of one host goes past kube-proxy's rules: \
               net.bridge.bridge-nf-call-iptables is off"],
        ),
        (
            |case| case.facts.checks.time = TimeSync::Nobody,
            &["W TimeSync: no service keeps this host's clock; certificates and etcd need clocks that agree"],
        ),
        (
            |case| case.facts.checks.etcd_sync_micros = Some(23_450),
            &[
                "W EtcdDiskLatency: a synchronous write takes 23.4 ms on etcd's disk (99th percentile); above 10 ms \
               etcd loses its leader under load",
            ],
        ),
        (
            |case| {
                for interface in ["eth0", "eth1"] {
                    let interface = interface.to_owned();
                    case.facts.checks.default_routes.push(DefaultRoute {
                        interface,
                        metric: 100,
                        ipv6: false,
                    });
                }
            },
            &[
                "W DuplicateDefaultRoute: several default routes with metric 100 (eth0, eth1): which address the host \
               uses is chance",
            ],
        ),
        (
            |case| {
                case.facts.existing_paths.insert("/etc/kubernetes/kubelet.conf".to_owned());
                case.facts.checks.interfaces.insert("flannel.1".to_owned());
                case.facts.checks.leftovers.chains.insert("KUBE-SERVICES".to_owned());
            },
            &[
                "W Leftovers: an earlier cluster left something behind: /etc/kubernetes/kubelet.conf, interface \
               flannel.1, chain KUBE-SERVICES",
            ],
        ),
    ]);
}

#[test]
fn selinux_firewalls_and_disks() {
    fn space(case: &mut Case, free: u64) {
        for directory in ["/var/lib/etcd", "/var/lib/kubelet"] {
            case.facts.checks.disks.insert(directory.to_owned(), DiskSpace { free, total: 20 << 30 });
        }
    }
    fn active(case: &mut Case, name: &str) {
        case.facts.checks.services.insert(name.to_owned(), Service { active: Some(true), enabled: true });
    }
    check(&[
        (|case| space(case, 6 << 30), &[]),
        (
            |case| space(case, 3 << 30),
            &["W DiskSpace: only 3.0 GiB of 20.0 GiB are free for /var/lib/etcd, /var/lib/kubelet"],
        ),
        (
            |case| space(case, 1 << 29),
            &["E DiskSpace: only 0.5 GiB of 20.0 GiB are free for /var/lib/etcd, /var/lib/kubelet"],
        ),
        (
            |case| case.facts.checks.selinux.enforcing = Some(true),
            &[
                "W SELinuxPolicy: SELinux is enforcing without the policy for containers, so pods may be refused their \
               files",
            ],
        ),
        (
            |case| {
                case.facts.checks.selinux.enforcing = Some(true);
                case.facts.checks.selinux.config = "SELINUX=enforcing\n".to_owned();
                case.cluster.prepare.selinux = Some(SelinuxMode::Permissive);
            },
            &[
                "W SELinuxMode: SELinux is enforcing, and permissive is configured",
                "W SELinuxMode: SELinux will be enforcing after the next start instead of permissive",
            ],
        ),
        (
            |case| {
                active(case, "firewalld");
                let open = ["kube-apiserver", "10000-10100/tcp"].map(str::to_owned);
                case.facts.checks.firewall.firewalld_open = Some(open.into());
            },
            &[
                "W Firewalld: firewalld is active, please ensure ports [6443 10250] are open or your cluster may not \
                 function correctly",
                "W FirewallPorts: firewalld does not let in ports 10250",
            ],
        ),
        (
            |case| {
                case.facts.checks.firewall.ufw_enabled = true;
                case.facts.checks.firewall.ufw_open = ["6443/tcp", "10250/udp"].map(str::to_owned).into();
            },
            &["W FirewallPorts: ufw does not let in ports 10250"],
        ),
        (
            |case| case.facts.checks.firewall.input_dropped = true,
            &[
                "W FirewallPorts: the packet filter drops what no rule lets in; ports 6443, 10250 must be open",
            ],
        ),
    ]);
}

#[test]
fn what_a_runtime_needs_and_preparation_does_not_bring_is_named() {
    fn wants(case: &mut Case, provider: RuntimeProvider, source: Source) {
        case.prepare = true;
        case.cluster.prepare.runtime.provider = Some(provider);
        case.cluster.prepare.artifacts.source = source;
        case.cluster.prepare.artifacts.stock.images.push(ImageArchive::default());
    }
    fn has(case: &mut Case, program: &str) {
        case.facts.checks.programs.as_mut().unwrap().insert(program.to_owned());
    }
    let no_docker =
        &["E RuntimePrograms: there is no Docker, and only `source: packages` in spec.artifacts installs it"];
    let no_loader =
        &["E RuntimePrograms: image archives are to be loaded, and there is neither skopeo nor podman; \
                       CRI-O itself loads none"];
    check(&[
        (|case| wants(case, RuntimeProvider::Docker, Source::Local), no_docker),
        (|case| wants(case, RuntimeProvider::Docker, Source::Packages), &[]),
        (|case| wants(case, RuntimeProvider::CriO, Source::Local), no_loader),
        (|case| wants(case, RuntimeProvider::CriO, Source::Download), &[]),
        (|case| wants(case, RuntimeProvider::Containerd, Source::Local), &[]),
        (
            |case| {
                wants(case, RuntimeProvider::Docker, Source::Local);
                has(case, "docker");
            },
            &[],
        ),
        (
            |case| {
                wants(case, RuntimeProvider::CriO, Source::Local);
                has(case, "skopeo");
            },
            &[],
        ),
        (
            |case| {
                wants(case, RuntimeProvider::CriO, Source::Local);
                case.prepare = false;
            },
            &[],
        ),
    ]);
}

#[test]
fn ignored_errors_are_warnings_and_batches_wait_for_each_other() {
    let mut case = Case::with(|case| {
        case.facts.checks.uid = Some(1000);
        case.facts.checks.cpus = Some(1);
    });
    let report = case.run();
    assert_eq!(told(&report), ["E IsPrivilegedUser: user is not running as root"]);
    assert!(
        report.not_run.contains(&"NumCPU".to_owned()) && report.not_run.contains(&"ImagePull".to_owned())
    );
    case.ignore = vec!["isprivilegeduser".to_owned()];
    let report = case.run();
    assert_eq!(report.not_run, ["ImagePull"]);
    assert_eq!(report.findings[0].severity, Severity::Warning);
    assert!(report.findings[0].ignored && !report.findings[1].ignored);
    case.ignore = vec!["all".to_owned()];
    assert!(!case.run().failed());
}

#[test]
fn the_report_has_three_faces() {
    let report = Case::with(|case| {
        case.facts.checks.cpus = Some(1);
        case.facts.checks.time = TimeSync::Nobody;
    })
    .run();
    assert_eq!(
        report.kubeadm_text(),
        "\t[WARNING TimeSync]: no service keeps this host's clock; certificates and etcd need clocks that agree; \
         `systemctl enable --now systemd-timesyncd`, or install chrony\n\
         [preflight] Some fatal errors occurred:\n\
         \t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2; give the host more CPUs\n\
         [preflight] Errors that you accept become warnings with `--ignore-preflight-errors=...`\n"
    );
    let table = report.table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "SEVERITY  CHECK    FINDING");
    assert!(lines[1].starts_with("error     NumCPU   the number"), "{table}");
    assert_eq!(lines[2], "                     mend: give the host more CPUs");
    assert!(table.ends_with("1 not run\n"), "{table}");
    let json = report.json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["findings"][0]["check"], "NumCPU");
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["findings"][0]["repair"], "give the host more CPUs");
}

#[test]
fn missing_images_are_pulled_as_the_policy_has_it() {
    let pulled = |policy| {
        let case = Case::with(|case| {
            case.cluster.nodes[0].image_pull_policy = policy;
            case.images = ["here:1", "missing:1", "unknown:1"].map(str::to_owned).into();
            let known = &mut case.facts.checks.runtime.images;
            known.extend([("here:1".to_owned(), true), ("missing:1".to_owned(), false)]);
        });
        let pulls = preflight::images_to_pull(&case.subject());
        let references: Vec<String> = pulls.iter().map(|image| image.reference.clone()).collect();
        (references, told(&case.run()).len())
    };
    assert_eq!(
        pulled(ImagePullPolicy::IfNotPresent),
        (vec!["missing:1".to_owned(), "unknown:1".to_owned()], 0)
    );
    assert_eq!(pulled(ImagePullPolicy::Always).0.len(), 3);
    assert_eq!(pulled(ImagePullPolicy::Never), (Vec::new(), 1));
}

/// A host on which everything is wrong that preparation mends.
fn unprepared(case: &mut Case) {
    let checks = &mut case.facts.checks;
    checks.modules.present.clear();
    checks.sysctls.values_mut().for_each(|value| "0".clone_into(value));
    checks.swap.active = vec!["/dev/sda2".to_owned(), "/dev/zram0".to_owned()];
    checks.swap.fstab = "/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\n".into();
    checks.swap.units = ["dev-sda2.swap", "dev-zram0.swap"].map(str::to_owned).into();
    checks.swap.zram_generator = Some("/usr/lib/systemd/zram-generator.conf".to_owned());
    checks.selinux.enforcing = Some(true);
    checks.selinux.config = "# mode\nSELINUX=enforcing\nSELINUXTYPE=targeted\n".into();
    case.cluster.prepare.selinux = Some(SelinuxMode::Permissive);
}

fn prepared(case: &Case) -> Vec<String> {
    let steps = prepare::steps(&case.cluster, case.cluster.first_control_plane(), &case.facts).unwrap();
    steps.iter().map(|step| format!("{} {}", step.phase, step.subject())).collect()
}

#[test]
fn preparation_mends_what_preflight_says_it_mends() {
    let mut case = Case::with(unprepared);
    assert!(case.run().failed());
    case.prepare = true;
    let report = case.run();
    assert!(!report.failed(), "{:?}", told(&report));
    assert!(report.of(Severity::Prepared).count() >= 8, "{:?}", told(&report));
    assert_eq!(
        prepared(&case),
        [
            "prepare/modules /etc/modules-load.d/kubewright.conf",
            "prepare/modules modprobe -a overlay br_netfilter",
            "prepare/sysctl /etc/sysctl.d/99-kubewright.conf",
            "prepare/sysctl sysctl -p /etc/sysctl.d/99-kubewright.conf",
            "prepare/swap swapoff -a",
            "prepare/swap /etc/systemd/zram-generator.conf",
            "prepare/swap /etc/systemd/system/dev-sda2.swap",
            "prepare/swap systemctl daemon-reload",
            "prepare/selinux setenforce 0",
            "prepare/selinux /etc/selinux/config",
        ]
    );
}

#[test]
fn preparation_remembers_how_it_was() {
    let case = Case::with(unprepared);
    let steps = prepare::steps(&case.cluster, case.cluster.first_control_plane(), &case.facts).unwrap();
    let runs = steps.iter().filter_map(|step| match &step.action {
        kubewright::plan::Action::Run(run) => Some(run),
        _ => None,
    });
    let memories = runs.flat_map(|run| run.remember.iter());
    let told: Vec<String> = memories.map(|memory| format!("{}: {}", memory.key, memory.query)).collect();
    assert_eq!(
        told,
        [
            "module overlay: test -d /sys/module/overlay",
            "module br_netfilter: test -d /sys/module/br_netfilter",
            "sysctl net.bridge.bridge-nf-call-iptables: sysctl -n net.bridge.bridge-nf-call-iptables",
            "sysctl net.bridge.bridge-nf-call-ip6tables: sysctl -n net.bridge.bridge-nf-call-ip6tables",
            "sysctl net.ipv4.ip_forward: sysctl -n net.ipv4.ip_forward",
            "swap: cat /proc/swaps",
            "selinux: cat /sys/fs/selinux/enforce",
        ]
    );
}

fn text_of(case: &Case, path: &str) -> String {
    let steps = prepare::steps(&case.cluster, case.cluster.first_control_plane(), &case.facts).unwrap();
    let step = steps.iter().find(|step| step.subject() == path).expect("the file is prepared");
    match &step.action {
        kubewright::plan::Action::File(file) => match &file.content {
            kubewright::plan::Content::Text(text) => text.clone(),
            other => panic!("not a text: {other:?}"),
        },
        other => panic!("not a file: {other:?}"),
    }
}

#[test]
fn prepared_files_say_what_they_are() {
    let mut case = Case::with(unprepared);
    case.cluster.networking.pods.push("fd00::/48".parse().unwrap());
    assert_eq!(
        text_of(&case, "/etc/modules-load.d/kubewright.conf"),
        "# Kernel modules that Kubernetes nodes need. Written by kubewright.\noverlay\nbr_netfilter\n"
    );
    assert_eq!(
        text_of(&case, "/etc/sysctl.d/99-kubewright.conf"),
        "# Kernel parameters that Kubernetes nodes need. Written by kubewright.\n\
         net.bridge.bridge-nf-call-iptables = 1\nnet.bridge.bridge-nf-call-ip6tables = 1\n\
         net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\nnet.ipv6.conf.default.forwarding = 1\n"
    );
    assert_eq!(text_of(&case, "/etc/selinux/config"), "# mode\nSELINUX=permissive\nSELINUXTYPE=targeted\n");
    case.facts.init_system = InitSystem::OpenRc;
    assert_eq!(
        text_of(&case, "/etc/fstab"),
        "/dev/sda1 / ext4 defaults 0 1\n# kubewright: /dev/sda2 none swap sw 0 0\n"
    );
}

#[test]
fn a_prepared_host_only_has_its_files_compared() {
    let files = [
        "prepare/modules /etc/modules-load.d/kubewright.conf",
        "prepare/sysctl /etc/sysctl.d/99-kubewright.conf",
    ];
    assert_eq!(prepared(&Case::healthy()), files);
    let masked = Case::with(|case| {
        case.facts.checks.swap.fstab = "/dev/sda2 none swap sw 0 0\n".to_owned();
        case.facts.checks.swap.masked.insert("dev-sda2.swap".to_owned());
    });
    assert_eq!(prepared(&masked), files);
    assert_eq!(told(&masked.run()), Vec::<String>::new());
    assert_eq!(prepared(&Case::with(|case| case.facts = HostFacts::assumed("cp1"))), Vec::<String>::new());
    let swap_allowed = Case::with(|case| {
        unprepared(case);
        case.cluster.kubelet.value = serde_json::json!({"failSwapOn": false});
    });
    assert!(!prepared(&swap_allowed).iter().any(|step| step.starts_with("prepare/swap")));
}
