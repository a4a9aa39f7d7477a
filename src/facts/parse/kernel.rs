//! The kernel: release, configuration, control groups, modules, parameters.

use super::Answers;
use crate::facts::checks::CgroupVersion;
use crate::facts::checks::Cgroups;
use crate::facts::checks::Kernel;
use crate::facts::checks::KernelConfig;
use crate::facts::checks::Modules;
use crate::facts::question::MODULES_FILE;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

pub(in crate::facts) fn kernel(answers: &Answers) -> Kernel {
    Kernel {
        name: answers.first("/proc/sys/kernel/ostype").unwrap_or_default().to_owned(),
        release: answers.first("/proc/sys/kernel/osrelease").unwrap_or_default().to_owned(),
        machine: answers.first("/proc/sys/kernel/arch").unwrap_or_default().to_owned(),
        config: config(answers),
    }
}

fn config(answers: &Answers) -> KernelConfig {
    if answers.has("kernel-config", "unavailable") {
        return KernelConfig::Unavailable;
    }
    if !answers.has("kernel-config", "found") {
        return KernelConfig::Unknown;
    }
    let options = answers.all("kernel-config").filter_map(|line| {
        let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        Some((name.to_owned(), value.chars().next()?))
    });
    KernelConfig::Options(options.collect())
}

pub(in crate::facts) fn cgroups(answers: &Answers) -> Cgroups {
    let (version, mount) = cgroup_mount(answers);
    let controllers = match version {
        CgroupVersion::V1 => v1_controllers(answers),
        CgroupVersion::V2 => v2_controllers(answers, mount),
        CgroupVersion::Unknown | CgroupVersion::NotMounted => BTreeSet::new(),
    };
    Cgroups { version, controllers }
}

/// A mount at the usual place decides; otherwise any mount of version 2, then any of version 1.
fn cgroup_mount<'a>(answers: &Answers<'a>) -> (CgroupVersion, &'a str) {
    let mounts: Vec<(&str, &str)> = answers.all("/proc/mounts").filter_map(mount_and_type).collect();
    if mounts.is_empty() {
        let looked = answers.first("/proc/sys/kernel/ostype").is_some();
        return (if looked { CgroupVersion::NotMounted } else { CgroupVersion::Unknown }, "");
    }
    if let Some((mount, kind)) = mounts.iter().find(|(mount, _)| *mount == CGROUP_ROOT) {
        let first = if *kind == "tmpfs" { answers.has("cgroup", "memory") } else { *kind != "cgroup2" };
        return (if first { CgroupVersion::V1 } else { CgroupVersion::V2 }, mount);
    }
    for (wanted, version) in [("cgroup2", CgroupVersion::V2), ("cgroup", CgroupVersion::V1)] {
        if let Some((mount, _)) = mounts.iter().find(|(_, kind)| *kind == wanted) {
            return (version, mount);
        }
    }
    (CgroupVersion::NotMounted, "")
}

fn mount_and_type(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split_whitespace().skip(1);
    let mount = fields.next()?;
    let kind = fields.next()?;
    (line.contains("cgroup")).then_some((mount, kind))
}

fn v1_controllers(answers: &Answers) -> BTreeSet<String> {
    answers
        .all("/proc/cgroups")
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.len() >= 4 && fields[3] != "0").then(|| fields[0].to_owned())
        })
        .collect()
}

/// Version 2 does not list `devices` (part of every kernel that has it) nor `freezer` (a file of each group).
fn v2_controllers(answers: &Answers, mount: &str) -> BTreeSet<String> {
    let listed = answers.first(&format!("{mount}/cgroup.controllers")).unwrap_or_default();
    let mut controllers: BTreeSet<String> = listed.split_whitespace().map(str::to_owned).collect();
    controllers.insert("devices".to_owned());
    if answers.has("cgroup", "freeze") {
        controllers.insert("freezer".to_owned());
    }
    controllers
}

pub(in crate::facts) fn modules(answers: &Answers) -> Modules {
    let mut present: BTreeSet<String> = answers.all("module").map(str::to_owned).collect();
    if answers.all("/proc/filesystems").any(|line| line.split_whitespace().last() == Some("overlay")) {
        present.insert("overlay".to_owned());
    }
    if answers.first("/proc/sys/net/bridge/bridge-nf-call-iptables").is_some() {
        present.insert("br_netfilter".to_owned());
    }
    let directories = ["/etc/modules-load.d/", "/usr/lib/modules-load.d/", "/etc/modules"];
    let persistent = directories
        .iter()
        .flat_map(|directory| answers.under(directory))
        .filter(|(path, line)| *path != MODULES_FILE && !line.starts_with(['#', ';']))
        .map(|(_, line)| line.trim().replace('-', "_"))
        .filter(|name| !name.is_empty())
        .collect();
    let known = answers.first("/proc/sys/kernel/osrelease").is_some();
    Modules { known, present, loadable: answers.has("modules", "loadable"), persistent }
}

pub(in crate::facts) fn sysctls(answers: &Answers) -> BTreeMap<String, String> {
    answers
        .under("/proc/sys/net/")
        .chain(answers.under("/proc/sys/fs/"))
        .filter_map(|(path, value)| {
            Some((path.strip_prefix("/proc/sys/")?.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// How many CPUs a list such as `0-3,8` names.
pub(in crate::facts) fn cpus(answers: &Answers) -> Option<u32> {
    let list = status_field(answers, "Cpus_allowed_list:")?;
    list.split(',').map(span).sum()
}

fn span(part: &str) -> Option<u32> {
    let (from, to) = part.split_once('-').unwrap_or((part, part));
    let (from, to): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    Some(to.checked_sub(from)? + 1)
}

pub(in crate::facts) fn uid(answers: &Answers) -> Option<u32> {
    status_field(answers, "Uid:")?.split_whitespace().next()?.parse().ok()
}

fn status_field<'a>(answers: &Answers<'a>, name: &str) -> Option<&'a str> {
    answers.all("/proc/self/status").find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Memory in bytes.
pub(in crate::facts) fn memory(answers: &Answers) -> Option<u64> {
    let line = answers.all("/proc/meminfo").find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
