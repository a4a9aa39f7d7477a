//! What a host must have to keep the API's endpoint alive. Whether its address is free, and whether balancers hear each
//! other, only shows between hosts.

use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::endpoint::RunAs;
use crate::facts::question::balanced_ports;
use crate::preflight::Check;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::host;

/// Modules of the kernel by which kube-vip shares connections.
const IP_VS: [&str; 2] = ["ip_vs", "ip_vs_rr"];
/// The kernel's name of HAProxy.
const HAPROXY: &str = "haproxy";

/// None for a host that does not balance.
pub(super) fn checks(subject: &Subject) -> Vec<Check> {
    if !subject.cluster.balances(subject.node) {
        return Vec::new();
    }
    let mut checks: Vec<Check> = balanced_ports(subject.cluster)
        .into_iter()
        .map(|number| Check::new(format!("Port-{number}"), port).about(number.to_string()))
        .collect();
    checks.extend([
        Check::new("EndpointPrograms", programs),
        Check::new("EndpointInterface", interface),
        Check::new("EndpointSELinux", selinux),
        Check::new("EndpointModules", modules),
    ]);
    checks
}

/// Who runs HAProxy, where it runs.
fn haproxy_runs_as(cluster: &Cluster) -> Option<RunAs> {
    match cluster.site.balancing.as_ref()? {
        Balancing::Keepalived(said) => Some(said.run_as),
        Balancing::NodeLocal(said) => Some(said.run_as),
        Balancing::KubeVip(_) => None,
    }
}

/// A port that HAProxy has already is its own, or will be: its configuration is replaced.
fn port(subject: &Subject, port: &str) -> Vec<Problem> {
    let number = port.parse().expect("the table writes numbers");
    let Some(listener) = subject.facts.checks.listener(number) else { return Vec::new() };
    match &listener.process {
        Some(process) if process.name == HAPROXY => Vec::new(),
        None if subject.running_ours => Vec::new(),
        Some(process) => {
            let text = format!("Port {number} is in use, and HAProxy needs it");
            let (name, id) = (&process.name, process.id);
            vec![
                Problem::error(text).repair(format!(
                    "stop `{name}` (process {id}), or choose another port under spec.endpoint"
                )),
            ]
        }
        None => vec![
            Problem::error(format!("Port {number} is in use, and HAProxy needs it"))
                .repair(format!("find out who has it with `ss -ltnp 'sport = :{number}'` and stop it")),
        ],
    }
}

fn programs(subject: &Subject, _: &str) -> Vec<Problem> {
    let Some(found) = &subject.facts.checks.programs else { return Vec::new() };
    let wanted: &[&str] = match &subject.cluster.site.balancing {
        Some(Balancing::Keepalived(said)) if said.run_as == RunAs::Service => &[HAPROXY, "keepalived"],
        Some(Balancing::NodeLocal(said)) if said.run_as == RunAs::Service => &[HAPROXY],
        _ => &[],
    };
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains(*name)).collect();
    Problem::when(!missing.is_empty(), || {
        let names = missing.join(" and ");
        Problem::error(format!("{names} not found in system path; this host is to keep the endpoint alive"))
            .repair(format!(
                "`apt-get install {0}` (or dnf, zypper), or spec.endpoint.runAs: static-pod",
                missing.join(" ")
            ))
            .preparable_when(host::installs_tools(subject))
    })
}

/// The interface that the operator named must be there.
fn interface(subject: &Subject, _: &str) -> Vec<Problem> {
    let there = &subject.facts.checks.interfaces;
    let Some(named) = named_interface(subject.cluster, subject.node) else {
        return Problem::when(is_guess(subject), || {
            let address = subject.node.advertise_address;
            Problem::error(format!(
                "no interface has the address {address}, so nobody knows where the endpoint's goes"
            ))
            .repair("name it under spec.endpoint.keepalived.interface")
        });
    };
    Problem::when(!there.is_empty() && !there.contains(named), || {
        let all = there.iter().filter(|name| *name != "lo").cloned().collect::<Vec<_>>().join(", ");
        Problem::error(format!("there is no interface {named}, which is to have the endpoint's address"))
            .repair(format!("name one of {all} for this host under spec.endpoint"))
    })
}

fn named_interface<'a>(cluster: &'a Cluster, node: &Node) -> Option<&'a String> {
    match cluster.site.balancing.as_ref()? {
        Balancing::Keepalived(said) => said.interfaces.get(&node.name).or(said.interface.as_ref()),
        Balancing::KubeVip(said) => said.interface.as_ref(),
        Balancing::NodeLocal(_) => None,
    }
}

/// keepalived needs to be told an interface; kube-vip finds one.
fn is_guess(subject: &Subject) -> bool {
    let addresses = &subject.facts.interface_addresses;
    matches!(subject.cluster.site.balancing, Some(Balancing::Keepalived(_)))
        && !addresses.is_empty()
        && subject.facts.interface_of(subject.node.advertise_address).is_none()
}

/// Without this the policy lets HAProxy connect to ports of web servers only. A pod has another policy.
fn selinux(subject: &Subject, _: &str) -> Vec<Problem> {
    let service = haproxy_runs_as(subject.cluster) == Some(RunAs::Service);
    let selinux = &subject.facts.checks.selinux;
    let refused = selinux.enforcing == Some(true) && selinux.haproxy_connect_any == Some(false);
    Problem::when(service && refused, || {
        Problem::error("SELinux does not let HAProxy connect to API servers: haproxy_connect_any is off")
            .repair("`setsebool -P haproxy_connect_any 1`")
    })
}

fn modules(subject: &Subject, _: &str) -> Vec<Problem> {
    let shares =
        matches!(&subject.cluster.site.balancing, Some(Balancing::KubeVip(said)) if said.load_balancer);
    let modules = &subject.facts.checks.modules;
    let missing: Vec<&str> = IP_VS.into_iter().filter(|name| !modules.present.contains(*name)).collect();
    Problem::when(shares && modules.known && !missing.is_empty(), || {
        let names = missing.join(" ");
        let problem = Problem::error(format!(
            "kube-vip cannot share connections: kernel modules are not loaded: {names}"
        ));
        if modules.loadable {
            problem
                .repair(format!("`modprobe -a {names}`, and name them in /etc/modules-load.d/kube-vip.conf"))
        } else {
            problem.repair("leave spec.endpoint.kubeVip.loadBalancer out: this kernel has no modules to load")
        }
    })
}
