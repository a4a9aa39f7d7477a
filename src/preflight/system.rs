//! The check `SystemVerification`: kernel, operating system, control groups (the rules of `k8s.io/system-validators`).

use crate::facts::checks::CgroupVersion;
use crate::facts::checks::Kernel;
use crate::facts::checks::KernelConfig;
use crate::preflight::Problem;
use crate::preflight::Subject;
use crate::preflight::host;
use std::collections::BTreeMap;

/// Each row is one requirement; any of its names will do, and the last is reported.
const REQUIRED: [&[&str]; 13] = [
    &["NAMESPACES"],
    &["NET_NS"],
    &["PID_NS"],
    &["IPC_NS"],
    &["UTS_NS"],
    &["CPUSETS"],
    &["MEMCG"],
    &["INET"],
    &["EXT4_FS"],
    &["PROC_FS"],
    &["NETFILTER_XT_TARGET_REDIRECT", "IP_NF_TARGET_REDIRECT"],
    &["NETFILTER_XT_MATCH_COMMENT"],
    &["FAIR_GROUP_SCHED"],
];
const REQUIRED_V1: [&[&str]; 6] = [
    &["CGROUPS"],
    &["CGROUP_CPUACCT"],
    &["CGROUP_DEVICE"],
    &["CGROUP_FREEZER"],
    &["CGROUP_PIDS"],
    &["CGROUP_SCHED"],
];
const REQUIRED_V2: [&[&str]; 4] = [&["CGROUPS"], &["CGROUP_BPF"], &["CGROUP_PIDS"], &["CGROUP_SCHED"]];

const CONTROLLERS_V1: [&str; 7] = ["cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"];
const CONTROLLERS_V2: [&str; 6] = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];
const OPTIONAL_V1: [&str; 2] = ["hugetlb", "blkio"];
const OPTIONAL_V2: [&str; 2] = ["hugetlb", "io"];

/// kubelets from here on refuse version 1 of control groups unless told otherwise (KEP 5573).
const V1_REFUSED_SINCE: &str = "1.35.0-0";

pub(super) fn find(subject: &Subject, _: &str) -> Vec<Problem> {
    let kubelet = match host::kubelet_version(subject) {
        None => return Vec::new(),
        Some(Err(why)) => return vec![host::no_kubelet_version(&why)],
        Some(Ok(version)) => version,
    };
    let checks = &subject.facts.checks;
    if checks.kernel.release.is_empty() {
        return Vec::new();
    }
    let version = checks.cgroups.version;
    let mut problems = release(&checks.kernel);
    problems.extend(config(&checks.kernel, version));
    problems.extend(Problem::when(checks.kernel.name != "Linux", || {
        Problem::error(format!("unsupported operating system: {}", checks.kernel.name))
            .repair("use a Linux host")
    }));
    problems.extend(control_groups(subject, &kubelet));
    problems
}

/// Tested are 5.4, 5.10, 5.15 and everything from 6 on.
fn release(kernel: &Kernel) -> Vec<Problem> {
    let mut numbers = kernel.release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    let supported = match (number(), number(), number()) {
        (Some(5), Some(minor), _) => {
            ["4", "10", "15"].iter().any(|tested| minor.to_string().starts_with(tested))
        }
        (Some(major), Some(_), Some(_)) => major >= 6,
        _ => false,
    };
    Problem::when(!supported, || {
        Problem::warning(format!("kernel release {} is unsupported", kernel.release))
            .repair("use an LTS kernel from the 5.x series (5.4, 5.10, 5.15) or any 6.x or newer")
    })
}

fn config(kernel: &Kernel, version: CgroupVersion) -> Vec<Problem> {
    let options = match &kernel.config {
        KernelConfig::Unknown => return Vec::new(),
        KernelConfig::Unavailable => {
            let file = format!("/boot/config-{}", kernel.release);
            return vec![
                Problem::error("failed to parse kernel config: no kernel configuration is available")
                    .repair(format!("install the package that brings `{file}`, or run `modprobe configs`")),
            ];
        }
        KernelConfig::Options(options) => options,
    };
    let of_version: &[&[&str]] = if version == CgroupVersion::V2 { &REQUIRED_V2 } else { &REQUIRED_V1 };
    let missing: Vec<String> = REQUIRED
        .iter()
        .chain(of_version)
        .filter_map(|names| missing_option(options, names))
        .map(|name| format!("CONFIG_{name}"))
        .collect();
    Problem::when(!missing.is_empty(), || {
        Problem::error(format!("unexpected kernel config: {}", missing.join(" ")))
            .repair("boot a kernel that has these options")
    })
}

/// The first name that is set at all decides, as the value `n` is a "no" of its own.
fn missing_option<'a>(options: &BTreeMap<String, char>, names: &[&'a str]) -> Option<&'a str> {
    match names.iter().find_map(|&name| options.get(name).map(|value| (name, *value))) {
        Some((_, 'y' | 'm')) => None,
        Some((name, _)) => Some(name),
        None => names.last().copied(),
    }
}

fn control_groups(subject: &Subject, kubelet: &semver::Version) -> Vec<Problem> {
    let groups = &subject.facts.checks.cgroups;
    let (required, optional): (&[&str], _) = match groups.version {
        CgroupVersion::Unknown => return Vec::new(),
        CgroupVersion::NotMounted => {
            return vec![
                Problem::error("cannot get a cgroup mount point: none is in /proc/mounts")
                    .repair("mount it: `mount -t cgroup2 none /sys/fs/cgroup`"),
            ];
        }
        CgroupVersion::V1 => (&CONTROLLERS_V1, OPTIONAL_V1),
        CgroupVersion::V2 => (&CONTROLLERS_V2, OPTIONAL_V2),
    };
    let missing = |wanted: &[&str]| -> String {
        let absent = wanted.iter().filter(|name| !groups.controllers.contains(**name));
        absent.copied().collect::<Vec<_>>().join(" ")
    };
    let missing_required = missing(required);
    let mut problems = Vec::new();
    // An error about version 1 gives way to one about missing controllers; a warning stays.
    if groups.version == CgroupVersion::V1 && (missing_required.is_empty() || !refuses_v1(kubelet)) {
        problems.push(version_one(kubelet));
    }
    problems.extend(Problem::when(!missing_required.is_empty(), || {
        Problem::error(format!("missing required cgroups: {missing_required}"))
            .repair("enable them on the kernel command line (`cgroup_enable=memory`) and reboot")
    }));
    let missing_optional = missing(&optional);
    problems.extend(Problem::when(!missing_optional.is_empty(), || {
        Problem::warning(format!("missing optional cgroups: {missing_optional}"))
            .repair("enable them in the kernel if pods are to be limited in huge pages or disk traffic")
    }));
    problems
}

fn refuses_v1(kubelet: &semver::Version) -> bool {
    let since = semver::Version::parse(V1_REFUSED_SINCE).expect("a constant version");
    *kubelet >= since
}

fn version_one(kubelet: &semver::Version) -> Problem {
    let message = "this host uses version 1 of control groups, which kubelets from 1.35 on refuse";
    let problem = if refuses_v1(kubelet) { Problem::error(message) } else { Problem::warning(message) };
    problem.repair(
        "boot with `systemd.unified_cgroup_hierarchy=1`, or set the kubelet's `failCgroupV1: false` and ignore this \
         check",
    )
}
