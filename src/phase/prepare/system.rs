//! The kernel's part: modules, parameters, swap, `SELinux`.

use super::Preparing;
use super::all;
use super::file;
use super::rendered;
use super::run;
use crate::cluster::SelinuxMode;
use crate::cluster::prepare::SwapMode;
use crate::facts::InitSystem;
use crate::facts::question::MODULES_FILE;
use crate::facts::swap::is_swap;
use crate::facts::swap::swap_unit;
use crate::host::Command;
use crate::plan::Action;
use crate::plan::Remember;
use crate::plan::RunSpec;
use crate::plan::Step;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub const SYSCTL_FILE: &str = "/etc/sysctl.d/99-kubewright.conf";
const ZRAM_FILE: &str = "/etc/systemd/zram-generator.conf";
const SELINUX_FILE: &str = "/etc/selinux/config";
/// What a host's parameters must at least be: each pod's processes watch files.
const AT_LEAST: [(&str, u64); 2] =
    [("fs.inotify.max_user_instances", 512), ("fs.inotify.max_user_watches", 524_288)];
const OVERLAY: &str = "overlay";
const BR_NETFILTER: &str = "br_netfilter";
/// Of kube-proxy in the mode ipvs: the balancing itself, and its ways to choose a pod.
const IPVS: [&str; 5] = ["ip_vs", "ip_vs_rr", "ip_vs_sh", "ip_vs_wrr", "nf_conntrack"];
const BRIDGE: [&str; 2] = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];
const FORWARD_4: [&str; 1] = ["net.ipv4.ip_forward"];
const FORWARD_6: [&str; 2] = ["net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding"];

impl Preparing<'_> {
    /// A kernel without loadable modules has what it needs, or never will.
    pub(super) fn modules(&self) -> Vec<Step> {
        let modules = &self.checks.modules;
        if !modules.loadable {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let wanted = self.wanted_modules();
        let reason = "the container runtime, kube-proxy and the pod network need them, also after a restart";
        let reason = if self.node.becomes_node() {
            reason
        } else {
            "the container runtime needs it, also after a restart"
        };
        if wanted.iter().any(|name| !modules.persistent.contains(*name)) {
            let text = rendered("etc/modules-load.d/kubewright.conf", &Modules { modules: &wanted });
            steps.push(self.step(
                "modules",
                "kernel modules at every start",
                reason,
                file(MODULES_FILE, text),
            ));
        }
        let missing: Vec<&str> =
            wanted.iter().copied().filter(|name| !modules.present.contains(*name)).collect();
        if !missing.is_empty() {
            let command = Command::change("modprobe").arg("-a").args(missing.iter().copied());
            let title = format!("kernel modules {} loaded", missing.join(", "));
            let loaded = all(r#"test -d "/sys/module/$it""#, &missing);
            let memories = missing.iter().map(|name| {
                let query = Command::query("test").arg("-d").arg(format!("/sys/module/{name}"));
                Remember { key: format!("module {name}"), query }
            });
            let action = run(command, loaded, memories.collect());
            steps.push(self.step("modules", title, "they are not in the kernel now", action));
        }
        steps
    }

    /// A kernel loads most of them by itself when somebody asks for what they do, unless that is forbidden or too late.
    fn wanted_modules(&self) -> Vec<&'static str> {
        let mut modules = vec![OVERLAY];
        if self.node.becomes_node() {
            modules.push(BR_NETFILTER);
            modules.extend(self.cluster.site.cni.modules());
            let ipvs =
                self.cluster.kube_proxy.value["mode"] == "ipvs" && !self.cluster.configuration.proxy.disabled;
            modules.extend(IPVS.iter().filter(|_| ipvs));
        }
        modules
    }

    pub(super) fn sysctls(&self) -> Vec<Step> {
        if self.checks.kernel.release.is_empty() {
            return Vec::new();
        }
        let wanted = self.wanted_values();
        let lines: Vec<String> = wanted.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let text = rendered("etc/sysctl.d/99-kubewright.conf", &Sysctls { lines: &lines });
        let reason = "pods reach each other and services through the host's forwarding and packet filter";
        let mut steps =
            vec![self.step("sysctl", "kernel parameters at every start", reason, file(SYSCTL_FILE, text))];
        let differs = |(name, value): &&(&str, u64)| self.checks.sysctl(name) != Some(&value.to_string());
        let off: Vec<&str> = wanted.iter().filter(differs).map(|(name, _)| *name).collect();
        if !off.is_empty() {
            let command = Command::change("sysctl").arg("-p").arg(SYSCTL_FILE);
            let reason = format!("not so now: {}", off.join(", "));
            let files: Vec<String> =
                wanted.iter().map(|(name, value)| format!("{}={value}", name.replace('.', "/"))).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let in_effect =
                all(r#"read -r value <"/proc/sys/${it%=*}" && test "$value" = "${it#*=}""#, &files);
            let memories = wanted.iter().map(|(name, _)| Remember {
                key: format!("sysctl {name}"),
                query: Command::query("sysctl").args(["-n", name]),
            });
            let action = run(command, in_effect, memories.collect());
            steps.push(self.step("sysctl", "kernel parameters in effect", &reason, action));
        }
        steps
    }

    /// Those that are on, and those that the host has too little of.
    fn wanted_values(&self) -> Vec<(&'static str, u64)> {
        let on = self.wanted_sysctls().into_iter().map(|name| (name, 1));
        let few = AT_LEAST.into_iter().filter_map(|(name, least)| {
            let now = self.checks.sysctl(name)?.parse::<u64>().ok()?;
            Some((name, now.max(least)))
        });
        on.chain(few).collect()
    }

    /// The bridge's parameters exist only where `br_netfilter` does, or will.
    fn wanted_sysctls(&self) -> Vec<&'static str> {
        let networking = &self.cluster.networking;
        let networks = networking.services.iter().chain(&networking.pods).map(ipnet::IpNet::addr);
        let addresses: Vec<IpAddr> = networks.chain([self.node.advertise_address]).collect();
        let modules = &self.checks.modules;
        let groups: [(&[&'static str], bool); 3] = [
            (&BRIDGE, modules.loadable || modules.present.contains("br_netfilter")),
            (&FORWARD_4, addresses.iter().any(IpAddr::is_ipv4)),
            (&FORWARD_6, addresses.iter().any(IpAddr::is_ipv6)),
        ];
        groups.iter().filter(|(_, wanted)| *wanted).flat_map(|(names, _)| names.iter().copied()).collect()
    }

    /// Only where the kubelet would not start otherwise.
    pub(super) fn swap(&self) -> Vec<Step> {
        if !self.cluster.kubelet_refuses_swap() || self.cluster.prepare.swap == SwapMode::Keep {
            return Vec::new();
        }
        let swap = &self.checks.swap;
        let mut steps = Vec::new();
        if !swap.active.is_empty() {
            let reason = format!("the kubelet does not start with swap on ({})", swap.active.join(", "));
            let command = Command::change("swapoff").arg("-a");
            let off = Command::query("sh").args(["-c", "! grep -q ^/ /proc/swaps"]);
            let before = Remember { key: "swap".to_owned(), query: Command::query("cat").arg("/proc/swaps") };
            steps.push(self.step("swap", "swap off", &reason, run(command, off, vec![before])));
        }
        let mut links: Vec<(String, String)> = Vec::new();
        if let Some(file) = &swap.zram_generator {
            links.push((
                ZRAM_FILE.to_owned(),
                format!("{file} would make swap in memory again at every start"),
            ));
        }
        if self.facts.init_system == InitSystem::Systemd {
            for unit in self.swap_units() {
                let reason = "the unit would turn swap on again at the next start; masked, /etc/fstab can stay as it is";
                links.push((format!("/etc/systemd/system/{unit}"), reason.to_owned()));
            }
        } else {
            steps.extend(self.fstab_without_swap());
        }
        let masked = !links.is_empty();
        for (path, reason) in links {
            let title = format!("{} masked", path.rsplit('/').next().unwrap_or_default());
            let action = Action::Link { path, target: "/dev/null".to_owned() };
            steps.push(self.step("swap", title, &reason, action));
        }
        if masked && self.facts.init_system == InitSystem::Systemd {
            let command = Command::change("systemctl").arg("daemon-reload");
            // Ours, and those that a generator made.
            let units: BTreeSet<String> = swap.units.iter().cloned().chain(self.swap_units()).collect();
            let units: Vec<&str> = units.iter().map(String::as_str).collect();
            let known = all(r#"test "$(systemctl show -p LoadState "$it")" != LoadState=loaded"#, &units);
            let action = Action::Run(RunSpec {
                command,
                unless: Some(known),
                remember: Vec::new(),
                best_effort: true,
            });
            steps.push(self.step("swap", "systemd knows", "units were masked", action));
        }
        steps
    }

    /// systemd's own units and those that it makes of `/etc/fstab`, without those already masked.
    fn swap_units(&self) -> BTreeSet<String> {
        let swap = &self.checks.swap;
        let of_fstab = swap.fstab_devices().map(swap_unit);
        // The zram generator's units go with its configuration.
        let of_systemd = swap.units.iter().filter(|unit| !unit.starts_with("dev-zram")).cloned();
        of_fstab.chain(of_systemd).filter(|unit| !swap.masked.contains(unit)).collect()
    }

    /// Without systemd there is nothing to mask; the receipt keeps the file as it was.
    fn fstab_without_swap(&self) -> Option<Step> {
        let swap = &self.checks.swap;
        swap.fstab_devices().next()?;
        let comment =
            |line: &str| if is_swap(line) { format!("# kubewright: {line}\n") } else { format!("{line}\n") };
        let text: String = swap.fstab.lines().map(comment).collect();
        let reason = "its swap lines would turn swap on again at the next start";
        Some(self.step("swap", "swap lines of /etc/fstab commented out", reason, file("/etc/fstab", text)))
    }

    /// A kernel without `SELinux` cannot be given one without a restart, so that is left to the operator.
    pub(super) fn selinux(&self) -> Vec<Step> {
        let selinux = &self.checks.selinux;
        let (Some(wanted), Some(enforcing)) = (self.cluster.prepare.selinux, selinux.enforcing) else {
            return Vec::new();
        };
        let (mode, value) = match wanted {
            SelinuxMode::Enforcing => ("enforcing", "1"),
            SelinuxMode::Permissive => ("permissive", "0"),
        };
        let mut steps = Vec::new();
        if enforcing != (wanted == SelinuxMode::Enforcing) {
            let command = Command::change("setenforce").arg(value);
            let enforced = "/sys/fs/selinux/enforce";
            let so = Command::query("grep").args(["-q", &format!("^{value}"), enforced]);
            let before = Remember { key: "selinux".to_owned(), query: Command::query("cat").arg(enforced) };
            let action = run(command, so, vec![before]);
            steps.push(self.step("selinux", format!("SELinux {mode}"), "it is configured so", action));
        }
        if selinux.at_boot().is_some_and(|boots| boots != mode) {
            let set = |line: &str| {
                if line.trim().starts_with("SELINUX=") {
                    format!("SELINUX={mode}\n")
                } else {
                    format!("{line}\n")
                }
            };
            let text: String = selinux.config.lines().map(set).collect();
            let title = format!("SELinux {mode} at every start");
            steps.push(self.step("selinux", title, "it is configured so", file(SELINUX_FILE, text)));
        }
        steps
    }
}

#[derive(Serialize)]
struct Modules<'a> {
    modules: &'a [&'a str],
}

#[derive(Serialize)]
struct Sysctls<'a> {
    lines: &'a [String],
}
