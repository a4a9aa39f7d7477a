//! Each host by itself, in its role.

use crate::cluster::Node;
use crate::facts::Links;
use crate::facts::links::Outcome;
use crate::facts::links::Protocol;
use crate::preflight;
use crate::preflight::Check;
use crate::preflight::Ignore;
use crate::preflight::Problem;
use crate::preflight::Report;
use crate::preflight::Subject;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::FleetSubject;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::Unreachable;
use crate::preflight::version;

/// What is known better from all hosts together: `NodeAddress` says it of every role, and one word on the version is enough.
const KNOWN_BETTER: [&str; 4] =
    ["AdvertiseAddress", version::DOWNGRADE, version::STEP, version::KUBELET_SKEW];
/// What only guesses at whether ports are open; superseded where they were tried.
const GUESSES: [&str; 2] = ["Firewalld", "FirewallPorts"];
/// What a host must have whatever it is for.
const ANY_HOST: [&str; 7] = [
    "IsPrivilegedUser",
    "TimeSync",
    "DiskSpace",
    "HostnameResolution",
    "DuplicateDefaultRoute",
    "NumCPU",
    "FirewallPorts",
];
/// What a host of etcd alone must have besides.
const ETCD_HOST: [&str; 24] = [
    "Port-2379",
    "Port-2380",
    "Port-10250",
    "Mem",
    "EtcdDiskLatency",
    "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
    "CRI",
    "ContainerRuntimeVersion",
    "SystemVerification",
    "FileExisting-losetup",
    "FileExisting-mount",
    "FileExisting-cp",
    "Hostname",
    "KubeletVersion",
    "Service-kubelet",
    "Swap",
    "KubeletSwap",
    "SwapFstab",
    "SwapZram",
    "KernelModules",
    "SELinuxMode",
    "SELinuxPolicy",
    "Leftovers",
    "ImagePull",
];

pub(super) fn reachable(between: &Between, _: Option<Protocol>) -> Found {
    let problem = |(name, trouble): (&&str, &&Unreachable)| {
        let general = || format!("check its address, port and user in the file, and that `ssh {name}` works");
        let repair = if trouble.repair.is_empty() { general() } else { trouble.repair.clone() };
        Problem::error(format!("{name} cannot be asked: {}", trouble.why)).repair(repair).between([*name])
    };
    between.unreachable.iter().map(problem).collect::<Vec<_>>().into()
}

/// A host's own report; `None` for one that was not asked.
pub(super) fn judge(subject: &FleetSubject, node: &Node, ignore: &Ignore) -> Option<Report> {
    let input = subject.hosts.get(&node.name)?.as_ref().ok()?;
    let alone = Subject {
        cluster: subject.cluster,
        node,
        facts: &input.facts,
        images: &input.images,
        ours: &input.ours,
        running_ours: !input.ours.is_empty(),
        prepare: subject.prepare,
        etcd: subject.etcd,
        running: subject.running,
    };
    let tried = subject.links.is_some_and(|links| was_tried(links, &node.name));
    let checks: Vec<Check> = of_role(&alone)
        .into_iter()
        .filter(|check| !KNOWN_BETTER.contains(&check.name.as_str()))
        .filter(|check| !(tried && GUESSES.contains(&check.name.as_str())))
        .collect();
    Some(preflight::run(&checks, &alone, ignore))
}

/// `init`'s checks for a control plane (`join`'s where the cluster runs already), `join`'s for a worker, and those that
/// make sense for a host that becomes no node.
fn of_role(subject: &Subject) -> Vec<Check> {
    let node = subject.node;
    if node.is_control_plane() && !subject.cluster.joining {
        return preflight::init_checks(subject);
    }
    if node.becomes_node() {
        return preflight::join_checks(subject);
    }
    let etcd = node.is_etcd_host();
    let wanted = |check: &Check| {
        ANY_HOST.contains(&check.name.as_str())
            || (etcd && (ETCD_HOST.contains(&check.name.as_str()) || check.name.starts_with("DirAvailable-")))
    };
    let mut checks: Vec<Check> = preflight::init_checks(subject).into_iter().filter(wanted).collect();
    checks.extend(preflight::endpoint::checks(subject));
    checks
}

/// Whether every port of this host was really tried.
fn was_tried(links: &Links, name: &str) -> bool {
    let mut probes = links.reached.iter().filter(|reached| reached.probe.to == name).peekable();
    probes.peek().is_some() && probes.all(|reached| !matches!(reached.outcome, Outcome::NotDone(_)))
}
