//! The node itself: kubelet, pods, mounts, directories. kubeadm's `cleanup-node`, and what it leaves.

use super::Facts;
use super::Undo;
use super::belongs;
use super::belongs::tops;
use super::restore;
use super::run;
use super::sh;
use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::apply::receipt::StepReceipt;
use crate::facts::footprint::FileKind;
use crate::facts::footprint::is_below;
use crate::host::Command;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use crate::plan::PodSpec;
use crate::plan::StopSpec;
use std::collections::BTreeSet;

const KUBERNETES: &str = "/etc/kubernetes";
const MANIFESTS: &str = "/etc/kubernetes/manifests";
const TEMPORARY: &str = "/etc/kubernetes/tmp";
const KUBELET: &str = "/var/lib/kubelet";
const POD_LOGS: &str = "/var/log/pods";
const CONTAINER_LOGS: &str = "/var/log/containers";

/// kubeadm's list.
const KUBECONFIGS: [&str; 6] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
];

/// Directories that come into being because pods and the kubelet name them.
const MADE_BY_THE_WAY: [&str; 3] = ["/usr/libexec/kubernetes", "/lib/modules", "/var/run/kubernetes"];

pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let mut undos: Vec<Undo> = kubelet(facts).into_iter().collect();
    undos.extend(pods(facts));
    undos.extend(processes(facts));
    undos.extend(mounts(facts));
    undos.extend(etcd_data(facts));
    undos.extend(directories(facts));
    undos.extend(files(facts));
    undos.extend(kubernetes(facts));
    undos.extend(logs(facts));
    undos.extend(cgroups(facts));
    undos.extend(MADE_BY_THE_WAY.iter().filter_map(|path| made_by_the_way(facts, path)));
    undos
}

fn kubelet(facts: &Facts) -> Option<Undo> {
    facts.traces.running.contains("kubelet").then(|| {
        let stop = StopSpec { unit: "kubelet".to_owned(), enabled: None };
        let reason = "it would start again whatever is taken away";
        let undo = Undo::new(Draft::new("kubelet stopped", reason, Action::Stop(stop)));
        // Without its configuration it does nothing but fail, as it did before.
        let configured = facts.now.entries.contains_key("/var/lib/kubelet/config.yaml");
        if configured { undo.is("running kubelet") } else { undo.minor() }
    })
}

fn pods(facts: &Facts) -> Vec<Undo> {
    let pods = facts.cluster_pods().into_iter();
    pods.map(|pod| {
        let name = format!("{}/{}", pod.namespace, pod.name);
        let spec = PodSpec {
            id: Some(pod.id.clone()),
            name: name.clone(),
            cri_socket: facts.runtime.socket.clone(),
        };
        let reason = if pod.from_file { "a static pod of this host" } else { "a pod of the cluster" };
        Undo::new(Draft::new(format!("no pod {name}"), reason, Action::Pod(spec))).is(format!("pod {name}"))
    })
    .collect()
}

/// Processes in the control groups of pods that no runtime answers for.
fn processes(facts: &Facts) -> Option<Undo> {
    if facts.traces.pod_processes == 0 || !facts.cluster_pods().is_empty() {
        return None;
    }
    let list = "find /sys/fs/cgroup/kubepods* /sys/fs/cgroup/*/kubepods* -name cgroup.procs -exec cat {} + 2>/dev/null";
    let kill = format!("{list} | sort -u | xargs -r kill -9; sleep 1; test -z \"$({list})\"");
    let draft = Draft::new(
        "no process of a pod",
        "the container runtime does not know it",
        run(Command::change("sh").args(["-c", &kill]), sh(&format!("test -z \"$({list})\""))),
    );
    Some(
        Undo::new(draft)
            .is(format!("{} processes in the control groups of pods", facts.traces.pod_processes)),
    )
}

/// Deepest first.
fn mounts(facts: &Facts) -> Vec<Undo> {
    let inside = format!("{}/", facts.traces.kubelet_directory);
    let was = |path: &String| facts.baseline.as_ref().is_some_and(|baseline| baseline.mounts.contains(path));
    let mounts = facts.now.mounts.iter().rev().filter(|path| path.starts_with(&inside) && !was(path));
    mounts
        .map(|path| {
            let written = path.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
            let draft = Draft::new(
                format!("nothing mounted at {path}"),
                "a volume of a pod; what is behind it stays as it is",
                run(
                    Command::change("umount").args(facts.choices.unmount_flags.clone()).arg(path),
                    sh(r#"! grep -qF -- " $1 " /proc/self/mountinfo"#).args(["sh", &written]),
                ),
            );
            Undo::new(draft).is(format!("mount {path}"))
        })
        .collect()
}

/// etcd's data, where the manifest or the receipt says that it is the cluster's. kubeadm empties `/var/lib/etcd` on
/// workers too, and beside an etcd that runs on the host for somebody else.
fn etcd_data(facts: &Facts) -> Option<Undo> {
    let ours = facts.receipt.as_ref().map(Receipt::ours).unwrap_or_default();
    let usual = "/var/lib/etcd".to_owned();
    let recorded = || {
        let made = |step: &&StepReceipt| step.phase == "etcd/local" && step.subject.starts_with('/');
        let steps = facts.receipt.iter().flat_map(|receipt| receipt.steps.values());
        let directories = steps.filter(made).map(|step| step.subject.clone());
        directories
            .into_iter()
            .find(|path| !is_below(path, KUBERNETES))
            .or_else(|| ours.contains(&usual).then_some(usual))
    };
    let path = facts.etcd.data_dir.clone().or_else(recorded)?;
    emptied(facts, &path, "etcd's data", "the data of the cluster on this host", |_| false)
}

fn directories(facts: &Facts) -> Vec<Undo> {
    let pki = facts.choices.certificates_dir.as_str();
    let mut undos: Vec<Option<Undo>> = vec![
        emptied(facts, MANIFESTS, "no static pods", "the kubelet would start them", |_| false),
        emptied(facts, KUBELET, "kubelet's directory", "its configuration, certificates and state", |_| {
            false
        }),
        emptied(facts, pki, "certificates and keys", "they are worth nothing outside the cluster", |_| false),
    ];
    if facts.choices.cleanup_tmp_dir {
        undos.push(emptied(facts, TEMPORARY, "temporary files", "backups that upgrades made", |_| false));
    }
    undos.into_iter().flatten().collect()
}

/// Kubeconfigs, and what else our own steps made beside them.
fn files(facts: &Facts) -> Vec<Undo> {
    let covered = |path: &str| {
        [MANIFESTS, TEMPORARY, &facts.choices.certificates_dir].iter().any(|dir| is_below(path, dir))
    };
    let befores = facts.receipt.iter().flat_map(Receipt::befores);
    let made = befores.filter(|(_, before)| *before == Before::Absent).map(|(path, _)| path.to_owned());
    let made = made.filter(|path| is_below(path, KUBERNETES) && !covered(path));
    let paths: BTreeSet<String> = made.chain(KUBECONFIGS.map(str::to_owned)).collect();
    let there = |path: &String| {
        let entry = facts.now.entries.get(path);
        entry.is_some_and(|entry| entry.kind != FileKind::Directory) && facts.was_there(path) != Some(true)
    };
    let files = paths.into_iter().filter(there);
    files
        .map(|path| {
            let title = format!("no {}", path.rsplit('/').next().unwrap_or(&path));
            let reason = "it is worth nothing outside the cluster";
            Undo::new(Draft::new(title, reason, Action::Absent { path: path.clone() })).is(path)
        })
        .collect()
}

/// Files of the operator below `/etc/kubernetes`: neither kubeadm's nor ours, and not there before.
pub(super) fn foreign(facts: &Facts) -> Vec<String> {
    let pki = &facts.choices.certificates_dir;
    let ours: BTreeSet<String> = files(facts).into_iter().flat_map(|undo| undo.is).collect();
    let is_file =
        |path: &str| facts.now.entries.get(path).is_some_and(|entry| entry.kind != FileKind::Directory);
    let foreign = |path: &&str| {
        let cleared = is_below(path, MANIFESTS)
            || is_below(path, pki)
            || facts.choices.cleanup_tmp_dir && is_below(path, TEMPORARY);
        is_file(path) && !cleared && !ours.contains(*path) && facts.was_there(path) != Some(true)
    };
    facts.now.below(KUBERNETES).map(|(path, _)| path).filter(foreign).map(str::to_owned).collect()
}

/// The directory of all of it, where it came with the cluster and nothing of somebody else is in it.
fn kubernetes(facts: &Facts) -> Option<Undo> {
    let new = facts.now.has(KUBERNETES) == Some(true) && facts.was_there(KUBERNETES) == Some(false);
    (new && foreign(facts).is_empty()).then(|| {
        let reason = "it came with the cluster";
        Undo::new(Draft::new("no directory of Kubernetes", reason, empty(facts, KUBERNETES))).is(KUBERNETES)
    })
}

fn logs(facts: &Facts) -> Vec<Undo> {
    let reason = "logs of pods that are no more";
    let of_bystander =
        |path: &str| facts.bystanders().any(|pod| !pod.uid.is_empty() && path.contains(&pod.uid));
    let containers_of_bystander = |path: &str| facts.bystanders().any(|pod| path.contains(&pod.id));
    [
        emptied(facts, POD_LOGS, "logs of pods", reason, of_bystander),
        emptied(facts, CONTAINER_LOGS, "links to logs of pods", reason, containers_of_bystander),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where systemd made them it takes them away, too.
fn cgroups(facts: &Facts) -> Vec<Undo> {
    let was = |path: &String| facts.baseline.as_ref().is_some_and(|baseline| baseline.cgroups.contains(path));
    let new: Vec<&str> = facts.now.cgroups.iter().filter(|path| !was(path)).map(String::as_str).collect();
    let slice = |path: &&str| path.rsplit('/').next()?.strip_suffix(".slice").map(str::to_owned);
    let slices: BTreeSet<String> = new.iter().filter_map(slice).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let gone = || sh(r#"for it; do test ! -d "$it" || exit 1; done"#).arg("sh").args(new.iter().copied());
    let reason = "the kubelet made them";
    let stops = slices.iter().map(|slice| format!("{slice}.slice")).map(|slice| {
        let command = Command::change("systemctl").args(["stop", &slice]);
        Undo::new(Draft::new(format!("{slice} stopped"), reason, run(command, gone()))).minor()
    });
    let command = Command::change("find").args(new.iter().copied());
    let command = command.args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
    let draft = Draft::new("no control groups of pods", reason, run(command, gone()));
    let lines = new.iter().map(|path| format!("cgroup {path}"));
    stops.chain([Undo::new(draft).and(lines)]).collect()
}

/// A directory that came with the cluster and holds nothing but directories.
fn made_by_the_way(facts: &Facts, path: &str) -> Option<Undo> {
    let new = facts.now.has(path) == Some(true) && facts.was_there(path) == Some(false);
    let full = facts.now.below(path).any(|(_, entry)| entry.kind != FileKind::Directory);
    (new && !full).then(|| {
        let reason = "it came into being because pods and the kubelet name it";
        Undo::new(Draft::new(format!("no empty {path}"), reason, empty(facts, path))).is(path)
    })
}

fn empty(facts: &Facts, path: &str) -> Action {
    let keep = facts.now.below(path).map(|(path, _)| path).filter(|path| facts.was_there(path) == Some(true));
    Action::Clear(ClearSpec {
        path: path.to_owned(),
        what: Clear::EmptyDirectories,
        keep: keep.map(str::to_owned).collect(),
        itself: true,
    })
}

/// A directory without what was not there before, and without itself when that was not there; some of it may be kept.
pub(super) fn emptied(
    facts: &Facts,
    path: &str,
    title: &str,
    reason: &str,
    also_keep: impl Fn(&str) -> bool,
) -> Option<Undo> {
    let inside: Vec<&str> =
        facts.now.below(path).map(|(path, _)| path).filter(|inner| *inner != path).collect();
    let stays = |inner: &&&str| facts.was_there(inner) == Some(true) || also_keep(inner);
    let keep: BTreeSet<String> = inside.iter().filter(stays).map(|inner| (*inner).to_owned()).collect();
    let itself = facts.was_there(path) == Some(false);
    let leads = |inner: &&&str| !keep.iter().any(|kept| is_below(kept, inner));
    let mut goes: BTreeSet<&str> = inside.iter().filter(leads).copied().collect();
    if itself && keep.is_empty() && facts.now.has(path) == Some(true) {
        goes.insert(path);
    }
    if goes.is_empty() {
        return None;
    }
    let lines: Vec<String> = tops(&goes).into_iter().map(str::to_owned).collect();
    let spec = ClearSpec { path: path.to_owned(), what: Clear::Everything, keep, itself };
    Some(Undo::new(Draft::new(title, reason, Action::Clear(spec))).and(lines))
}

/// Interfaces, mounts and the like are named by the tables of [`belongs`]; this is the list of what is mentioned and
/// left.
pub(super) fn left(facts: &Facts) -> Vec<String> {
    let mut left: Vec<String> = foreign(facts)
        .into_iter()
        .map(|path| format!("{path} (neither kubeadm nor kubewright made it)"))
        .collect();
    let etcd = "/var/lib/etcd";
    let unclaimed = etcd_data(facts).is_none()
        && facts.now.below(etcd).any(|(path, _)| path != etcd && facts.was_there(path) != Some(true));
    if unclaimed {
        left.push(format!("{etcd} (no manifest and no receipt says that its data is this cluster's)"));
    }
    let foreign_cni = facts.now.below("/etc/cni/net.d").filter(|(path, entry)| {
        entry.kind == FileKind::File && !facts.is_cni_file(path) && facts.was_there(path) != Some(true)
    });
    left.extend(foreign_cni.map(|(path, _)| {
        let used = facts.traces.networks.get(path).is_some_and(|network| facts.is_used_by_others(network));
        let why = if used {
            "pods of others are in its network"
        } else {
            "its name is of no network plugin for Kubernetes"
        };
        format!("{path} ({why})")
    }));
    left.extend(restore::changed_since(facts));
    let shared = facts.now.interfaces.iter().filter(|name| {
        belongs::is_interface(name)
            && facts.traces.ports.contains_key(*name)
            && facts.cluster_pods().is_empty()
    });
    left.extend(shared.map(|name| format!("interface {name} (others are connected to it)")));
    let pods =
        facts.bystanders().map(|pod| format!("pod {}/{} (no kubelet made it)", pod.namespace, pod.name));
    left.extend(pods);
    left
}
