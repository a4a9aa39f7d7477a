//! Services, swap, `SELinux`, time, disks, paths and what an earlier cluster left.

use super::Answers;
use super::assigned;
use crate::facts::InitSystem;
use crate::facts::Platform;
use crate::facts::checks::DiskSpace;
use crate::facts::checks::Kubelet;
use crate::facts::checks::Leftovers;
use crate::facts::checks::PathState;
use crate::facts::checks::Selinux;
use crate::facts::checks::Service;
use crate::facts::checks::Swap;
use crate::facts::checks::TimeSync;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Services that keep the clock, the preferred ones first.
const TIME_SERVICES: [&str; 7] =
    ["chronyd", "chrony", "ntpsec", "ntpd", "ntp", "openntpd", "systemd-timesyncd"];

/// What `systemctl is-enabled` succeeds for.
const ENABLED: [&str; 6] = ["enabled", "enabled-runtime", "static", "alias", "indirect", "generated"];

pub(in crate::facts) fn init_system(answers: &Answers) -> InitSystem {
    match answers.first("init") {
        Some("systemd") => InitSystem::Systemd,
        Some("openrc") => InitSystem::OpenRc,
        _ => InitSystem::None,
    }
}

pub(in crate::facts) fn os(answers: &Answers) -> Option<String> {
    assigned(answers.all("/etc/os-release"), "PRETTY_NAME").map(str::to_owned)
}

/// The type and the key of each line; what follows is only a comment.
pub(in crate::facts) fn ssh_host_keys(answers: &Answers) -> BTreeSet<String> {
    let keys = answers.under("/etc/ssh/ssh_host_").filter_map(|(_, line)| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    keys.collect()
}

/// A unit as `systemctl show` prints it: `Name=value` lines.
fn units<'a>(answers: &Answers<'a>) -> Vec<BTreeMap<&'a str, &'a str>> {
    let mut units: Vec<BTreeMap<&str, &str>> = Vec::new();
    for (name, value) in answers.all("unit").filter_map(|line| line.split_once('=')) {
        let open = units.last_mut().filter(|unit| !unit.contains_key(name));
        match open {
            Some(unit) => {
                unit.insert(name, value);
            }
            None => units.push(BTreeMap::from([(name, value)])),
        }
    }
    units
}

pub(in crate::facts) fn services(answers: &Answers) -> BTreeMap<String, Service> {
    let mut services = BTreeMap::new();
    for unit in units(answers) {
        let property = |name| unit.get(name).copied().unwrap_or_default();
        let Some(name) = property("Id").strip_suffix(".service") else { continue };
        if ["not-found", "masked"].contains(&property("LoadState")) {
            continue;
        }
        let active = match property("ActiveState") {
            "unknown" => None,
            state => Some(["active", "activating", "reloading"].contains(&state)),
        };
        let enabled = ENABLED.contains(&property("UnitFileState"));
        services.insert(name.to_owned(), Service { active, enabled });
    }
    services
}

pub(in crate::facts) fn kubelet(answers: &Answers) -> Kubelet {
    match answers.first("kubelet") {
        None => Kubelet::Unknown,
        Some("missing") => Kubelet::Missing,
        Some(line) => match line.split_once(':') {
            Some(("0", said)) => Kubelet::Says(said.to_owned()),
            Some((status, "")) => Kubelet::Failed(format!("exit status {status}")),
            Some((_, said)) => Kubelet::Failed(said.to_owned()),
            None => Kubelet::Unknown,
        },
    }
}

pub(in crate::facts) fn swap(answers: &Answers) -> Swap {
    let active = answers.all("/proc/swaps").skip(1).filter_map(|line| line.split_whitespace().next());
    let units = units(answers);
    let of_its_own = units
        .iter()
        .filter(|unit| unit.get("FragmentPath").is_some_and(|path| !path.is_empty()))
        .filter(|unit| unit.get("LoadState") != Some(&"masked"))
        .filter_map(|unit| unit.get("Id")?.strip_suffix(".swap"))
        .map(|name| format!("{name}.swap"));
    Swap {
        active: active.map(str::to_owned).collect(),
        fstab: answers.text("/etc/fstab"),
        units: of_its_own.collect(),
        masked: answers.all("masked").map(str::to_owned).collect(),
        zram_generator: zram_generator(answers),
    }
}

/// The first of the generator's files hides the others; one without a section does nothing.
fn zram_generator(answers: &Answers) -> Option<String> {
    if answers.has("zram", "masked") {
        return None;
    }
    let places = ["/etc", "/run", "/usr/lib"].map(|place| format!("{place}/systemd/zram-generator.conf"));
    let file = places.into_iter().find(|file| answers.all(file).next().is_some())?;
    let says = answers.all(&file).any(|line| line.trim_start().starts_with('['));
    says.then_some(file)
}

pub(in crate::facts) fn selinux(answers: &Answers) -> Selinux {
    Selinux {
        enforcing: answers.first("/sys/fs/selinux/enforce").map(|value| value == "1"),
        config: answers.text("/etc/selinux/config"),
        container_policy: answers.first("selinux-policy").is_some(),
        // What holds now, and what would after a change that is not committed.
        haproxy_connect_any: answers
            .first("/sys/fs/selinux/booleans/haproxy_connect_any")
            .map(|value| value.starts_with('1')),
    }
}

/// `/etc/os-release` hides the distribution's own file.
pub(in crate::facts) fn platform(answers: &Answers) -> Platform {
    let said = |name| {
        let of = |file| assigned(answers.all(file), name);
        let value = of("/etc/os-release").or_else(|| of("/usr/lib/os-release")).unwrap_or_default();
        value.trim_matches('\'').to_owned()
    };
    Platform {
        id: said("ID"),
        like: said("ID_LIKE"),
        version: said("VERSION_ID"),
        codename: said("VERSION_CODENAME"),
        machine: answers.first("machine").unwrap_or_default().to_owned(),
    }
}

pub(in crate::facts) fn time(answers: &Answers) -> TimeSync {
    let services = services(answers);
    if services.is_empty() {
        return TimeSync::Unknown;
    }
    let running = TIME_SERVICES
        .iter()
        .find(|name| services.get(**name).is_some_and(|service| service.active == Some(true)));
    let Some(service) = running else {
        let nobody_could_tell = services.values().all(|service| service.active.is_none());
        return if nobody_could_tell { TimeSync::Unknown } else { TimeSync::Nobody };
    };
    let synchronised = match *service {
        "systemd-timesyncd" => Some(answers.has("timesyncd", "synchronised")),
        "chronyd" | "chrony" => answers.first("chrony").map(|line| !line.ends_with("Not synchronised")),
        _ => None,
    };
    TimeSync::By { service: (*service).to_owned(), synchronised }
}

/// Where a directory is, or would be.
pub(in crate::facts) fn nearest(answers: &Answers) -> Vec<(String, String)> {
    let pairs = answers.all("directory").filter_map(|line| line.split_once(':'));
    pairs.map(|(parent, directory)| (directory.to_owned(), parent.to_owned())).collect()
}

/// `df -Pk` prints one line for each parent in the order asked.
pub(in crate::facts) fn disks(answers: &Answers) -> BTreeMap<String, DiskSpace> {
    let sizes = answers.all("disk").filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let kib = |at: usize| fields.get(at)?.parse::<u64>().ok()?.checked_mul(1024);
        Some(DiskSpace { total: kib(1)?, free: kib(3)? })
    });
    nearest(answers).into_iter().map(|(directory, _)| directory).zip(sizes).collect()
}

pub(in crate::facts) fn paths(answers: &Answers) -> BTreeMap<String, PathState> {
    let parse = |line: &str| {
        let (state, path) = line.split_once(':')?;
        let state = match state {
            "file" => PathState::File,
            "empty" => PathState::EmptyDirectory,
            "directory" => PathState::Directory,
            "unreadable" => PathState::UnreadableDirectory,
            _ => return None,
        };
        Some((path.to_owned(), state))
    };
    answers.all("path").filter_map(parse).collect()
}

pub(in crate::facts) fn leftovers(answers: &Answers) -> Leftovers {
    let set = |key| answers.all(key).map(str::to_owned).collect::<BTreeSet<String>>();
    let kubelet_mount = |line: &str| {
        let mount = line.split_whitespace().nth(1)?;
        mount.starts_with("/var/lib/kubelet/").then(|| mount.to_owned())
    };
    let nft = answers.all("chain").filter_map(|line| line.strip_prefix("chain ")?.split_whitespace().next());
    let legacy = answers.all("iptables").filter_map(|line| line.strip_prefix(':')?.split_whitespace().next());
    Leftovers {
        static_pods: set("static-pod"),
        cni_configs: set("cni"),
        chains: nft
            .chain(legacy)
            .filter(|name| !name.eq_ignore_ascii_case("input"))
            .map(str::to_owned)
            .collect(),
        mounts: answers.all("/proc/mounts").filter_map(kubelet_mount).collect(),
    }
}

/// The 99th percentile of `dd`'s own times, `2300 bytes (2.3 kB, 2.2 KiB) copied, 0.00123 s, 1.9 MB/s`, in
/// microseconds. Fewer than ten writes say nothing.
pub(in crate::facts) fn slowest_write(text: &str) -> Option<u64> {
    let seconds = |line: &str| line.split_once(" copied, ")?.1.split_whitespace().next()?.parse::<f64>().ok();
    let mut times: Vec<f64> = text.lines().filter_map(seconds).collect();
    times.sort_by(f64::total_cmp);
    let at = (times.len() * 99).div_ceil(100).checked_sub(1).filter(|_| times.len() >= 10)?;
    Some(std::time::Duration::try_from_secs_f64(times[at]).ok()?.as_micros().try_into().unwrap_or(u64::MAX))
}
