//! What kubeadm does not look at and operators trip over. Errors only where no cluster can come of it.

use crate::cluster::SelinuxMode;
use crate::cluster::prepare::Source;
use crate::cluster::site::RuntimeProvider;
use crate::facts::checks::DiskSpace;
use crate::facts::checks::TimeSync;
use crate::facts::question::CLUSTER_PATHS;
use crate::facts::swap::swap_unit;
use crate::preflight::Check;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::firewall;
use crate::preflight::host;
use crate::preflight::labels;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Bytes in a GiB.
const GIB: u64 = 1 << 30;
/// What etcd recommends: the 99th percentile of its synchronous writes stays below this many microseconds.
const SYNC_LIMIT: u64 = 10_000;
/// Interfaces that pod networks make.
pub(super) const POD_INTERFACES: [&str; 8] = [
    "cni0",
    "flannel.1",
    "flannel-v6.1",
    "kube-ipvs0",
    "cilium_host",
    "vxlan.calico",
    "kube-bridge",
    "weave",
];

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("KubeletSwap", kubelet_swap),
        Check::new("SwapFstab", swap_fstab),
        Check::new("SwapZram", swap_zram),
        Check::new("KernelModules", kernel_modules),
        Check::new("BridgeNetfilter", bridge_netfilter),
        Check::new("SELinuxMode", selinux_mode),
        Check::new("SELinuxPolicy", selinux_policy),
        Check::new("RuntimePrograms", runtime_programs),
        Check::new("FirewallPorts", firewall::find),
        Check::new("NodeLabels", labels::find),
        Check::new("TimeSync", time_sync),
        Check::new("DiskSpace", disk_space),
        Check::new("EtcdDiskLatency", etcd_disk_latency),
        Check::new("HostnameResolution", hostname_resolution),
        Check::new("AdvertiseAddress", advertise_address),
        Check::new("DuplicateDefaultRoute", duplicate_default_route),
        Check::new("Leftovers", leftovers),
    ]
}

fn kubelet_swap(subject: &Subject, _: &str) -> Vec<Problem> {
    let active = &subject.facts.checks.swap.active;
    Problem::when(!active.is_empty() && subject.cluster.kubelet_refuses_swap(), || {
        Problem::error(format!("swap is on ({}), and the kubelet does not start with it", active.join(", ")))
            .repair("`swapoff -a`, run with `--prepare`, or set the kubelet's `failSwapOn: false`")
            .preparable()
    })
}

fn swap_fstab(subject: &Subject, _: &str) -> Vec<Problem> {
    let swap = &subject.facts.checks.swap;
    let masked = |device: &&str| swap.masked.contains(&swap_unit(device));
    let devices: Vec<&str> = swap.fstab_devices().filter(|device| !masked(device)).collect();
    Problem::when(!devices.is_empty() && subject.cluster.kubelet_refuses_swap(), || {
        Problem::warning(format!("/etc/fstab turns swap on again at the next start: {}", devices.join(", ")))
            .repair("comment it out in /etc/fstab, or run with `--prepare`")
            .preparable()
    })
}

fn swap_zram(subject: &Subject, _: &str) -> Vec<Problem> {
    let file = subject.facts.checks.swap.zram_generator.as_ref();
    let file = file.filter(|_| subject.cluster.kubelet_refuses_swap());
    let problem = |file| {
        Problem::warning(format!("{file} makes compressed swap in memory (zram) at every start"))
            .repair("`ln -sf /dev/null /etc/systemd/zram-generator.conf`, or run with `--prepare`")
            .preparable()
    };
    file.map(problem).into_iter().collect()
}

fn kernel_modules(subject: &Subject, _: &str) -> Vec<Problem> {
    let modules = &subject.facts.checks.modules;
    let wanted: &[&str] =
        if subject.node.becomes_node() { &["overlay", "br_netfilter"] } else { &["overlay"] };
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !modules.present.contains(*name)).collect();
    Problem::when(modules.known && !missing.is_empty(), || {
        let names = missing.join(" ");
        let problem = Problem::warning(format!("kernel modules are not loaded: {names}"));
        if modules.loadable {
            let file = "/etc/modules-load.d/kubewright.conf";
            problem
                .repair(format!("`modprobe -a {names}` and name them in {file}, or run with `--prepare`"))
                .preparable()
        } else {
            problem.repair(format!("this kernel has no modules to load; boot one that has {names}"))
        }
    })
}

fn bridge_netfilter(subject: &Subject, _: &str) -> Vec<Problem> {
    let names = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];
    let off: Vec<&str> = names
        .into_iter()
        .filter(|name| subject.facts.checks.sysctl(name).is_some_and(|value| value != "1"))
        .collect();
    Problem::when(!off.is_empty(), || {
        let on = off.iter().map(|name| format!("{name}=1")).collect::<Vec<_>>().join(" ");
        Problem::warning(format!(
            "traffic between pods of one host goes past kube-proxy's rules: {} is off",
            off.join(", ")
        ))
        .repair(format!("`sysctl -w {on}`, or run with `--prepare`"))
        .preparable()
    })
}

fn selinux_mode(subject: &Subject, _: &str) -> Vec<Problem> {
    let selinux = &subject.facts.checks.selinux;
    let Some(enforcing) = selinux.enforcing else {
        return Problem::when(
            subject.cluster.prepare.selinux.is_some() && !selinux.config.is_empty(),
            || {
                Problem::warning("SELinux is disabled in the kernel, so its configured mode cannot be set")
                    .repair(
                        "set `SELINUX=permissive` in /etc/selinux/config, `touch /.autorelabel` and reboot",
                    )
            },
        );
    };
    let now = if enforcing { "enforcing" } else { "permissive" };
    let wanted = match subject.cluster.prepare.selinux {
        Some(SelinuxMode::Enforcing) => "enforcing",
        Some(SelinuxMode::Permissive) => "permissive",
        None => now,
    };
    let boots = selinux.at_boot().unwrap_or(now);
    let mut problems = Problem::when(wanted != now, || {
        Problem::warning(format!("SELinux is {now}, and {wanted} is configured"))
            .repair(format!("`setenforce {}`, or run with `--prepare`", i32::from(!enforcing)))
            .preparable()
    });
    problems.extend(Problem::when(boots != wanted, || {
        let problem =
            Problem::warning(format!("SELinux will be {boots} after the next start instead of {wanted}"));
        let problem = problem.repair(format!("set `SELINUX={wanted}` in /etc/selinux/config"));
        if subject.cluster.prepare.selinux.is_some() { problem.preparable() } else { problem }
    }));
    problems
}

fn selinux_policy(subject: &Subject, _: &str) -> Vec<Problem> {
    let selinux = &subject.facts.checks.selinux;
    let stays = subject.cluster.prepare.selinux != Some(SelinuxMode::Permissive);
    Problem::when(selinux.enforcing == Some(true) && stays && !selinux.container_policy, || {
        Problem::warning(
            "SELinux is enforcing without the policy for containers, so pods may be refused their files",
        )
        .repair("`dnf install container-selinux`")
        .preparable_when(host::installs_tools(subject))
    })
}

fn time_sync(subject: &Subject, _: &str) -> Vec<Problem> {
    match &subject.facts.checks.time {
        TimeSync::Unknown => Vec::new(),
        TimeSync::Nobody => vec![
            Problem::warning(
                "no service keeps this host's clock; certificates and etcd need clocks that agree",
            )
            .repair("`systemctl enable --now systemd-timesyncd`, or install chrony")
            .preparable_when(host::installs_tools(subject)),
        ],
        TimeSync::By { service, synchronised } => Problem::when(*synchronised == Some(false), || {
            Problem::warning(format!("{service} runs, but the clock is not synchronised"))
                .repair("check that it reaches its servers: `timedatectl`, `chronyc sources`")
        }),
    }
}

/// Directories on one disk are told as one.
fn disk_space(subject: &Subject, _: &str) -> Vec<Problem> {
    let mut by_disk: BTreeMap<(u64, u64), Vec<&str>> = BTreeMap::new();
    for (directory, DiskSpace { free, total }) in &subject.facts.checks.disks {
        by_disk.entry((*total, *free)).or_default().push(directory);
    }
    let judge = |((total, free), directories): ((u64, u64), Vec<&str>)| {
        let space = format!("{:.1} GiB of {:.1} GiB", gib(free), gib(total));
        let text = format!("only {space} are free for {}", directories.join(", "));
        let repair = format!("make room: `du -xh --max-depth=2 {} | sort -h | tail`", directories[0]);
        if free < GIB {
            Some(Problem::error(text).repair(repair))
        } else if free < 5 * GIB || free < total / 10 {
            let repair = format!("{repair}; the kubelet evicts pods below 10%");
            Some(Problem::warning(text).repair(repair))
        } else {
            None
        }
    };
    by_disk.into_iter().filter_map(judge).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

fn etcd_disk_latency(subject: &Subject, _: &str) -> Vec<Problem> {
    let slow = subject.facts.checks.etcd_sync_micros.filter(|&micros| micros > SYNC_LIMIT);
    let problem = |micros: u64| {
        let (whole, tenth) = (micros / 1000, micros % 1000 / 100);
        Problem::warning(format!(
            "a synchronous write takes {whole}.{tenth} ms on etcd's disk (99th percentile); above 10 ms etcd loses \
             its leader under load"
        ))
        .repair("put etcd's dataDir on an SSD of its own")
    };
    slow.map(problem).into_iter().collect()
}

/// Loopback is fine: Debian writes 127.0.1.1, and the kubelet knows better.
fn hostname_resolution(subject: &Subject, _: &str) -> Vec<Problem> {
    let node = subject.node;
    let Some(found) = subject.facts.checks.names.get(&node.name) else { return Vec::new() };
    let here = |address: &IpAddr| address.is_loopback() || subject.facts.addresses.contains(address);
    let elsewhere = !found.is_empty() && !subject.facts.addresses.is_empty() && !found.iter().any(here);
    Problem::when(elsewhere, || {
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Problem::warning(format!("\"{}\" resolves to {found}, which is not this host", node.name))
            .repair(format!("correct DNS, or `echo '{} {}' >>/etc/hosts`", node.advertise_address, node.name))
    })
}

/// What preparation needs of a runtime and does not bring.
fn runtime_programs(subject: &Subject, _: &str) -> Vec<Problem> {
    let Some(found) = &subject.facts.checks.programs else { return Vec::new() };
    let has = |program: &str| found.contains(program);
    let artifacts = &subject.cluster.prepare.artifacts;
    let provider =
        subject.cluster.prepare.runtime.provider.filter(|_| subject.prepare && subject.node.has_kubelet());
    let loads = artifacts.source == Source::Local && !artifacts.stock.images.is_empty();
    match provider {
        Some(RuntimeProvider::Docker) if artifacts.source != Source::Packages && !has("docker") => vec![
            Problem::error("there is no Docker, and only `source: packages` in spec.artifacts installs it")
                .repair("install the package `docker.io` or `docker-ce`"),
        ],
        Some(RuntimeProvider::CriO) if loads && !has("skopeo") && !has("podman") => vec![
            Problem::error(
                "image archives are to be loaded, and there is neither skopeo nor podman; CRI-O itself loads none",
            )
            .repair("install the package `skopeo`"),
        ],
        _ => Vec::new(),
    }
}

/// A local etcd listens on the address, so it must be ours; an API server alone may stand behind a translation.
fn advertise_address(subject: &Subject, _: &str) -> Vec<Problem> {
    let (facts, node) = (subject.facts, subject.node);
    let address = node.advertise_address;
    let foreign = !facts.addresses.is_empty() && !facts.addresses.contains(&address);
    Problem::when(foreign, || {
        let text = format!("{address} is not an address of any interface of this host");
        let problem =
            if subject.cluster.runs_etcd(node) { Problem::error(text) } else { Problem::warning(text) };
        let own = &facts.checks.default_addresses;
        let own =
            own.first().map_or_else(|| "see `ip address`".to_owned(), |own| format!("for example {own}"));
        problem.repair(format!("set `localAPIEndpoint.advertiseAddress` to one that is ({own})"))
    })
}

fn duplicate_default_route(subject: &Subject, _: &str) -> Vec<Problem> {
    let mut by_rank: BTreeMap<(bool, u32), Vec<&str>> = BTreeMap::new();
    for route in &subject.facts.checks.default_routes {
        let interfaces = by_rank.entry((route.ipv6, route.metric)).or_default();
        if !interfaces.contains(&route.interface.as_str()) {
            interfaces.push(&route.interface);
        }
    }
    // Two equal routes of IPv6 over one interface are one router announced twice.
    let twins = by_rank.into_iter().filter(|(_, interfaces)| interfaces.len() > 1);
    let problem = |((_, metric), interfaces): ((bool, u32), Vec<&str>)| {
        Problem::warning(format!(
            "several default routes with metric {metric} ({}): which address the host uses is chance",
            interfaces.join(", ")
        ))
        .repair(format!(
            "give one a higher metric: `ip route change default … dev {} metric 200`",
            interfaces[1]
        ))
    };
    twins.map(problem).collect()
}

fn leftovers(subject: &Subject, _: &str) -> Vec<Problem> {
    if subject.running_ours {
        return Vec::new();
    }
    let checks = &subject.facts.checks;
    let fixed = CLUSTER_PATHS.iter().copied().filter(|path| subject.facts.existing_paths.contains(*path));
    let left = &checks.leftovers;
    let files = left.static_pods.iter().chain(&left.cni_configs).map(String::as_str);
    let mut found: Vec<String> =
        fixed.chain(files).filter(|path| !subject.ours.contains(*path)).map(str::to_owned).collect();
    let interfaces = checks.interfaces.iter().filter(|name| POD_INTERFACES.contains(&name.as_str()));
    found.extend(interfaces.map(|name| format!("interface {name}")));
    found.extend(left.chains.iter().map(|chain| format!("chain {chain}")));
    if !left.mounts.is_empty() {
        found.push(format!("{} mounts under /var/lib/kubelet", left.mounts.len()));
    }
    Problem::when(!found.is_empty(), || {
        let more = if found.len() > 8 { format!(" and {} more", found.len() - 8) } else { String::new() };
        let shown = found[..found.len().min(8)].join(", ");
        Problem::warning(format!("an earlier cluster left something behind: {shown}{more}"))
            .repair("`kubewright reset`")
    })
}
