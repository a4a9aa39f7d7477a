//! What kubeadm's checks look for on the host.

use crate::cluster::network::nth_address;
use crate::cluster::node::ImagePullPolicy;
use crate::cluster::prepare::Source;
use crate::cluster::version::NEWEST_MINOR;
use crate::facts::InitSystem;
use crate::facts::checks::Kubelet;
use crate::facts::checks::PathState;
use crate::facts::checks::Process;
use crate::facts::question::KUBELET_PORT;
use crate::facts::question::manifest_path;
use crate::facts::runtime::Connection;
use crate::facts::runtime::RuntimeConfig;
use crate::facts::runtime::Status;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::proxy::proxy_for;
use ipnet::IpNet;
use std::net::IpAddr;

const CPUS: u32 = 2;
/// MiB.
const MEMORY: u64 = 1700;
/// The oldest kubelet that a control plane of this release accepts: three minor versions back.
const OLDEST_KUBELET: semver::Version = semver::Version::new(1, NEWEST_MINOR - 3, 0);
/// The port that stands for any in connections that are only thought of.
const ANY_PORT: u16 = 1234;
/// Processes that hold a cluster's ports; the kernel keeps 15 characters of a name.
const COMPONENTS: [&str; 5] = ["kube-apiserver", "kube-controller", "kube-scheduler", "etcd", "kubelet"];

pub(super) fn privileged(subject: &Subject, _: &str) -> Vec<Problem> {
    Problem::when(subject.facts.checks.uid.is_some_and(|uid| uid != 0), || {
        Problem::error("user is not running as root").repair("run the command with `sudo`")
    })
}

pub(super) fn cpus(subject: &Subject, _: &str) -> Vec<Problem> {
    let few = subject.facts.checks.cpus.filter(|&cpus| cpus < CPUS);
    let problem = |cpus| {
        Problem::error(format!("the number of available CPUs {cpus} is less than the required {CPUS}"))
            .repair("give the host more CPUs")
    };
    few.map(problem).into_iter().collect()
}

pub(super) fn memory(subject: &Subject, _: &str) -> Vec<Problem> {
    let little = subject.facts.checks.memory.map(|bytes| bytes >> 20).filter(|&mib| mib < MEMORY);
    let problem = |mib| {
        Problem::error(format!("the system RAM ({mib} MB) is less than the minimum {MEMORY} MB"))
            .repair("give the host more memory")
    };
    little.map(problem).into_iter().collect()
}

pub(super) fn kubernetes_version(subject: &Subject, _: &str) -> Vec<Problem> {
    let first_unknown =
        semver::Version::parse(&format!("1.{}.0-0", NEWEST_MINOR + 1)).expect("three numbers are a version");
    let version = &subject.cluster.version;
    Problem::when(version.0 >= first_unknown, || {
        let known = format!("this release knows versions up to 1.{NEWEST_MINOR}.x");
        Problem::warning(format!("Kubernetes version {version} is newer than this program: {known}"))
            .repair("use a newer kubewright, or an older kubernetesVersion")
    })
}

pub(super) fn firewalld(subject: &Subject, _: &str) -> Vec<Problem> {
    if let Some(problem) = no_init_system(subject) {
        return vec![problem];
    }
    let port = subject.node.bind_port;
    Problem::when(subject.facts.checks.is_active("firewalld"), || {
        Problem::warning(format!(
            "firewalld is active, please ensure ports [{port} {KUBELET_PORT}] are open or your cluster may not \
             function correctly"
        ))
        .repair(format!(
            "`firewall-cmd --permanent --add-port={port}/tcp --add-port={KUBELET_PORT}/tcp && firewall-cmd --reload`"
        ))
    })
}

fn no_init_system(subject: &Subject) -> Option<Problem> {
    (subject.facts.init_system == InitSystem::None).then(|| {
        Problem::warning("no supported init system detected, skipping checks of services")
            .repair("use a host with systemd or OpenRC, or start the kubelet yourself")
    })
}

/// In use by whom counts: our own components are no obstacle to our own second run.
pub(super) fn port(subject: &Subject, port: &str) -> Vec<Problem> {
    let number = port.parse().expect("the table writes numbers");
    let Some(listener) = subject.facts.checks.listener(number) else { return Vec::new() };
    let component = |process: &Process| COMPONENTS.contains(&process.name.as_str());
    if subject.running_ours && listener.process.as_ref().is_none_or(component) {
        return Vec::new();
    }
    let repair = match &listener.process {
        Some(Process { id, name }) => format!("stop `{name}` (process {id}), or choose another port"),
        None => format!("find out who has it with `ss -ltnp 'sport = :{number}'` and stop it"),
    };
    vec![Problem::error(format!("Port {number} is in use")).repair(repair)]
}

pub(super) fn file_available(subject: &Subject, path: &str) -> Vec<Problem> {
    let stands = subject.facts.existing_paths.contains(path) && !subject.ours.contains(path);
    Problem::when(stands, || {
        Problem::error(format!("{path} already exists")).repair(format!(
            "move it away with `rm {path}`, or `kubewright reset` when the host served another cluster"
        ))
    })
}

pub(super) fn file_existing(subject: &Subject, path: &str) -> Vec<Problem> {
    Problem::when(!subject.facts.existing_paths.contains(path), || {
        Problem::error(format!("{path} doesn't exist"))
            .repair("copy it from the external etcd's administrator")
    })
}

/// A directory of ours holds our own data. So does one that stood there before, once the pod of our etcd does: a kubelet
/// that is started again and again may have started it before the receipt could tell.
pub(super) fn directory_available(subject: &Subject, path: &str) -> Vec<Problem> {
    let below = format!("{}/", path.trim_end_matches('/'));
    let pod = manifest_path("etcd");
    let pod_is_ours = subject.ours.contains(&pod) && subject.facts.existing_paths.contains(&pod);
    if pod_is_ours || subject.ours.iter().any(|ours| ours == path || ours.starts_with(&below)) {
        return Vec::new();
    }
    let message = match subject.facts.checks.paths.get(path) {
        None | Some(PathState::EmptyDirectory) => return Vec::new(),
        Some(PathState::Directory) => format!("{path} is not empty"),
        Some(PathState::UnreadableDirectory | PathState::File) => {
            format!("unable to check if {path} is empty")
        }
    };
    vec![Problem::error(message).repair(format!("keep a copy if the data matters, then `rm -r {path}`"))]
}

pub(super) fn proxy(subject: &Subject, _: &str) -> Vec<Problem> {
    let address = subject.node.advertise_address;
    let (port, url) = match address {
        IpAddr::V4(address) => (443, format!("https://{address}")),
        IpAddr::V6(address) => (ANY_PORT, format!("https://[{address}]:{ANY_PORT}")),
    };
    let proxy = proxy_for(&subject.facts.proxy_env, &address.to_string(), port);
    let problem = |proxy| {
        Problem::warning(format!("Connection to \"{url}\" uses proxy \"{proxy}\""))
            .repair(format!("unless that is intended, `export NO_PROXY=$NO_PROXY,{address}`"))
    };
    proxy.map(problem).into_iter().collect()
}

pub(super) fn proxy_for_network(subject: &Subject, network: &str) -> Vec<Problem> {
    let first = nth_address(&network.parse::<IpNet>().expect("the table writes networks"), 1);
    let proxy = proxy_for(&subject.facts.proxy_env, &first.to_string(), ANY_PORT);
    let problem = |proxy| {
        Problem::warning(format!("connection to \"{network}\" uses proxy \"{proxy}\""))
            .repair(format!("the API server must reach it directly: `export NO_PROXY=$NO_PROXY,{network}`"))
    };
    proxy.map(problem).into_iter().collect()
}

pub(super) fn runtime(subject: &Subject, _: &str) -> Vec<Problem> {
    let runtime = &subject.facts.checks.runtime;
    if let Connection::Failed(why) = &runtime.connection {
        return vec![cannot_connect(subject, why).preparable_when(brings_runtime(subject))];
    }
    let conditions = match &runtime.status {
        Status::Unknown => return Vec::new(),
        Status::Failed(why) => {
            return vec![
                Problem::error(format!("container runtime is not running: {why}"))
                    .repair(start_runtime(subject))
                    .preparable_when(brings_runtime(subject)),
            ];
        }
        Status::Conditions(conditions) => conditions,
    };
    // The network is not ready before a cluster gives it one.
    let unready = conditions.iter().find(|condition| condition.name == "RuntimeReady" && !condition.is_true);
    let problem = |condition: &crate::facts::runtime::Condition| {
        let (name, reason, message) = (&condition.name, &condition.reason, &condition.message);
        let text = format!(
            "container runtime condition \"{name}\" is not true. reason: {reason}, message: {message}"
        );
        Problem::error(text).repair(start_runtime(subject)).preparable_when(brings_runtime(subject))
    };
    unready.map(problem).into_iter().collect()
}

pub(super) fn runtime_version(subject: &Subject, _: &str) -> Vec<Problem> {
    let runtime = &subject.facts.checks.runtime;
    if let Connection::Failed(why) = &runtime.connection {
        return vec![cannot_connect(subject, why).preparable_when(brings_runtime(subject))];
    }
    match &runtime.config {
        RuntimeConfig::Failed(why) => {
            let text = format!("could not check if the runtime config is available: {why}");
            vec![
                Problem::error(text)
                    .repair(start_runtime(subject))
                    .preparable_when(brings_runtime(subject)),
            ]
        }
        RuntimeConfig::Unimplemented => vec![
            Problem::warning(
                "the container runtime does not tell its cgroup driver (CRI method RuntimeConfig, KEP 4033), which \
                 kubelets from 1.37 on require",
            )
            .repair("update it: containerd 2.0, CRI-O 1.28, cri-dockerd 0.3.17 or newer"),
        ],
        RuntimeConfig::Unknown | RuntimeConfig::Systemd | RuntimeConfig::Cgroupfs => Vec::new(),
    }
}

fn cannot_connect(subject: &Subject, why: &str) -> Problem {
    let mut repair = start_runtime(subject);
    let others = &subject.facts.checks.runtime.sockets;
    if let Some(other) = others.iter().find(|socket| **socket != subject.node.cri_socket) {
        repair = format!("another runtime answers: set `criSocket: {other}`");
    }
    Problem::error(format!("could not connect to the container runtime: {why}")).repair(repair)
}

/// Preparation configures the runtime and starts it, and installs it where it is told from where.
fn brings_runtime(subject: &Subject) -> bool {
    subject.cluster.prepare.runtime.provider.is_some()
}

pub(super) fn brings_kubelet(subject: &Subject) -> bool {
    subject.cluster.prepare.artifacts.source != Source::None
}

/// Tools of the distribution come from its own packages, except where nothing is reached.
pub(super) fn installs_tools(subject: &Subject) -> bool {
    matches!(subject.cluster.prepare.artifacts.source, Source::Packages | Source::Download)
}

fn start_runtime(subject: &Subject) -> String {
    let socket = &subject.node.cri_socket;
    let services = [("crio", "crio"), ("cri-dockerd", "cri-docker")];
    let service = services.into_iter().find(|(part, _)| socket.contains(part)).map(|(_, service)| service);
    let service = service.unwrap_or("containerd");
    match (subject.facts.checks.services.contains_key(service), service) {
        (true, _) => format!("`systemctl restart {service}` and see `journalctl -u {service}`"),
        (false, "containerd") => "install and start it: `apt-get install containerd`".to_owned(),
        (false, "cri-docker") => "install and start Docker and cri-dockerd".to_owned(),
        (false, service) => format!("install and start {service}"),
    }
}

pub(super) fn swap(subject: &Subject, _: &str) -> Vec<Problem> {
    Problem::when(!subject.facts.checks.swap.active.is_empty(), || {
        Problem::warning(
            "swap is on; a kubelet can live with it only with cgroup v2 and a configuration for it",
        )
        .repair("`swapoff -a`, or set the kubelet's `failSwapOn: false`")
        .preparable()
    })
}

pub(super) fn program(subject: &Subject, program: &str) -> Vec<Problem> {
    let missing = subject.facts.checks.programs.as_ref().is_some_and(|programs| !programs.contains(program));
    let package = match program {
        "cp" => "coreutils",
        "conntrack" => "conntrack",
        _ => "util-linux",
    };
    Problem::when(missing, || {
        Problem::error(format!("{program} not found in system path"))
            .repair(format!("install `{package}`"))
            .preparable_when(installs_tools(subject))
    })
}

pub(super) fn name(subject: &Subject, _: &str) -> Vec<Problem> {
    let name = &subject.node.name;
    let mut problems = Problem::when(!is_qualified(name), || {
        Problem::warning(format!(
            "invalid node name format \"{name}\": at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit \
             at both ends"
        ))
        .repair("choose another name: `--node-name` or `nodeRegistration.name`")
    });
    let unresolved = subject.facts.checks.names.get(name).is_some_and(Vec::is_empty);
    problems.extend(Problem::when(unresolved, || {
        Problem::warning(format!("hostname \"{name}\" could not be reached: it does not resolve"))
            .repair(format!(
                "`echo '{} {name}' >>/etc/hosts`, or add it to DNS",
                subject.node.advertise_address
            ))
            .preparable_when(subject.cluster.prepare.etc_hosts)
    }));
    problems
}

fn is_qualified(name: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 63 && name.chars().all(inside) && end(name.chars().next()) && end(name.chars().last())
}

/// The kubelet's version; `None` when nobody asked, an error when it cannot tell.
pub(super) fn kubelet_version(subject: &Subject) -> Option<Result<semver::Version, String>> {
    match &subject.facts.checks.kubelet {
        Kubelet::Unknown => None,
        Kubelet::Missing => Some(Err("kubelet is not in PATH".to_owned())),
        Kubelet::Failed(why) => Some(Err(format!("`kubelet --version` failed: {why}"))),
        found @ Kubelet::Says(said) => {
            let version = found.version().map(|version| version.0);
            Some(version.ok_or_else(|| format!("`kubelet --version` says \"{said}\"")))
        }
    }
}

pub(super) fn no_kubelet_version(why: &str) -> Problem {
    Problem::error(format!("couldn't get kubelet version: {why}")).repair("install the package `kubelet`")
}

pub(super) fn kubelet(subject: &Subject, _: &str) -> Vec<Problem> {
    let version = match kubelet_version(subject) {
        None => return Vec::new(),
        Some(Err(why)) => return vec![no_kubelet_version(&why).preparable_when(brings_kubelet(subject))],
        Some(Ok(version)) => version,
    };
    let wanted = &subject.cluster.version;
    if version < OLDEST_KUBELET {
        let text =
            format!("kubelet version \"{version}\" is lower than {OLDEST_KUBELET}, the oldest supported");
        return vec![Problem::error(text).repair(format!("install kubelet {wanted}"))];
    }
    let newer = version.major > wanted.0.major || version.minor > wanted.0.minor;
    Problem::when(newer, || {
        let skew = "the kubelet version is higher than the control plane version, which is no supported skew";
        Problem::error(format!("{skew}: kubelet \"{version}\", control plane \"{}\"", wanted.0))
            .repair(format!("install kubelet {wanted}, or set kubernetesVersion to v{version}"))
    })
}

pub(super) fn kubelet_service(subject: &Subject, _: &str) -> Vec<Problem> {
    if let Some(problem) = no_init_system(subject) {
        return vec![problem];
    }
    let command = match subject.facts.init_system {
        InitSystem::OpenRc => "rc-update add kubelet default",
        InitSystem::Systemd | InitSystem::None => "systemctl enable kubelet.service",
    };
    let services = &subject.facts.checks.services;
    match services.get("kubelet") {
        // A host that was never asked has no services at all.
        None if services.is_empty() && subject.facts.checks.uid.is_none() => Vec::new(),
        None => vec![
            Problem::warning("kubelet service does not exist")
                .repair("install the package `kubelet`, or its unit")
                .preparable_when(brings_kubelet(subject)),
        ],
        Some(service) => Problem::when(!service.enabled, || {
            Problem::warning(format!("kubelet service is not enabled, please run '{command}'"))
                .preparable_when(brings_kubelet(subject))
        }),
    }
}

pub(super) fn forwarding(subject: &Subject, path: &str) -> Vec<Problem> {
    let checks = &subject.facts.checks;
    let name = path.trim_start_matches("/proc/sys/");
    let message = match checks.sysctls.get(name) {
        _ if checks.kernel.release.is_empty() => return Vec::new(),
        Some(value) if value.starts_with('1') => return Vec::new(),
        Some(_) => format!("{path} contents are not set to 1"),
        None => format!("{path} does not exist"),
    };
    let command = format!("`sysctl -w {}=1`, or run with `--prepare`", name.replace('/', "."));
    vec![Problem::error(message).repair(command).preparable()]
}

/// The pull itself is a step of the plan; only what the policy forbids to pull can be wrong here.
pub(super) fn images(subject: &Subject, _: &str) -> Vec<Problem> {
    if subject.node.image_pull_policy != ImagePullPolicy::Never {
        return Vec::new();
    }
    let known = &subject.facts.checks.runtime.images;
    let missing = subject.images.iter().filter(|image| known.get(*image) == Some(&false));
    let problem = |image: &String| {
        Problem::warning(format!("image {image} is not on the host, and imagePullPolicy is Never"))
            .repair(format!("load it: `ctr -n k8s.io images import FILE` ({image})"))
    };
    missing.map(problem).collect()
}
