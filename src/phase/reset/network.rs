//! What network plugins and kube-proxy leave behind: filters, interfaces, namespaces, configuration and state.

use super::Facts;
use super::Undo;
use super::belongs;
use super::filters;
use super::node::emptied;
use super::run;
use crate::facts::footprint;
use crate::facts::footprint::FileKind;
use crate::host::Command;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use std::collections::BTreeSet;

/// Directories that only network plugins for Kubernetes make.
const DIRECTORIES: [&str; 7] = [
    "/run/calico",
    "/run/cilium",
    "/run/flannel",
    "/var/lib/calico",
    "/var/lib/kube-router",
    "/var/lib/weave",
    "/var/log/calico",
];

/// Interfaces that are bridges, whether or not anything is connected to them now.
const BRIDGES: [&str; 4] = ["cbr0", "cni0", "kube-bridge", "weave"];

const CNI_CONFIGURATION: &str = "/etc/cni/net.d";
const CNI_STATE: &str = "/var/lib/cni";
const NAMESPACES: &str = "/run/netns";

pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let mut undos = filters::undo(facts);
    undos.extend(interfaces(facts));
    undos.extend(namespaces(facts));
    undos.extend(configuration(facts));
    undos.extend(state(facts));
    undos.extend(DIRECTORIES.iter().filter_map(|path| own_directory(facts, path)));
    undos.extend(footprint::network_plugins().filter_map(|path| plugin(facts, path)));
    undos.extend(lock(facts));
    undos
}

fn interfaces(facts: &Facts) -> Vec<Undo> {
    let was =
        |name: &String| facts.baseline.as_ref().is_some_and(|baseline| baseline.interfaces.contains(name));
    let names = facts.now.interfaces.iter().filter(|name| belongs::is_interface(name) && !was(name));
    names
        .map(|name| {
            let command = if facts.traces.ports.contains_key(name) || BRIDGES.contains(&name.as_str()) {
                // It may connect containers of others, which are then told.
                let script = format!("! ls /sys/class/net/{name}/brif | grep . && ip link delete {name}");
                Command::change("sh").args(["-c", &script])
            } else {
                Command::change("ip").args(["link", "delete", name])
            };
            let gone = Command::query("test").args(["!", "-e", &format!("/sys/class/net/{name}")]);
            let draft = Draft::new(
                format!("no interface {name}"),
                "the cluster's network is taken down",
                run(command, gone),
            );
            let undo = Undo::new(draft).is(format!("interface {name}"));
            if facts.cluster_pods().is_empty() && facts.traces.ports.contains_key(name) {
                undo.minor()
            } else {
                undo
            }
        })
        .collect()
}

/// Network namespaces of pods that are no more. One with a process in it is in use: by a pod that its runtime will take
/// down, or by a container of somebody else.
fn namespaces(facts: &Facts) -> Vec<Undo> {
    let idle = facts.traces.namespaces.iter().filter(|(_, used)| !**used).map(|(path, _)| path);
    let new = idle.filter(|path| facts.was_there(path) != Some(true));
    let mut undos: Vec<Undo> = new
        .map(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            let command = Command::change("ip").args(["netns", "delete", name]);
            let gone = Command::query("test").args(["!", "-e", path]);
            let draft = Draft::new(
                format!("no network namespace {name}"),
                "no process is in it, and its pod is no more",
                run(command, gone),
            );
            Undo::new(draft).is(format!("namespace {path}"))
        })
        .collect();
    let others = facts.now.below(NAMESPACES).filter(|(path, _)| *path != NAMESPACES).count();
    let going = undos.len() + facts.traces.namespaces.values().filter(|used| **used).count();
    if facts.was_there(NAMESPACES) == Some(false)
        && facts.now.has(NAMESPACES) == Some(true)
        && facts.bystanders().next().is_none()
        && others <= going
    {
        let command = Command::change("rmdir").arg(NAMESPACES);
        let unless = Command::query("test").args(["!", "-d", NAMESPACES]);
        let reason = "it was made for the network namespaces of pods";
        let draft = Draft::new("no directory of network namespaces", reason, run(command, unless));
        undos.push(Undo::new(draft).is(NAMESPACES));
    }
    undos
}

/// A configuration that is left decides on the network of the next cluster.
fn configuration(facts: &Facts) -> Option<Undo> {
    let keep = |path: &str| {
        let is_file = facts.now.entries.get(path).is_some_and(|entry| entry.kind != FileKind::Directory);
        is_file && !facts.is_cni_file(path)
    };
    let reason = "network plugins wrote it; the next cluster would take it for its own";
    match facts.was_there("/etc/cni") {
        Some(false) => emptied(facts, "/etc/cni", "CNI configuration of the cluster", reason, keep),
        _ => emptied(facts, CNI_CONFIGURATION, "CNI configuration of the cluster", reason, keep),
    }
}

fn state(facts: &Facts) -> Option<Undo> {
    let keep = |path: &str| {
        let is_file = facts.now.entries.get(path).is_some_and(|entry| entry.kind != FileKind::Directory);
        is_file && !facts.is_cni_state(path)
    };
    let reason = "addresses reserved for pods that are no more";
    emptied(facts, CNI_STATE, "state of the CNI plugins for the cluster's pods", reason, keep)
}

fn own_directory(facts: &Facts, path: &str) -> Option<Undo> {
    if facts.now.has(path) != Some(true) || facts.was_there(path) == Some(true) {
        return None;
    }
    let spec =
        ClearSpec { path: path.to_owned(), what: Clear::Everything, keep: BTreeSet::new(), itself: true };
    let draft = Draft::new(format!("no {path}"), "a network plugin's own state", Action::Clear(spec));
    Some(Undo::new(draft).is(path))
}

/// A plugin that pods of the network put there, or a link to it.
fn plugin(facts: &Facts, path: String) -> Option<Undo> {
    let new = facts.now.has(&path) == Some(true) && facts.was_there(&path) == Some(false);
    new.then(|| {
        let reason = "pods of the network brought it";
        let draft = Draft::new(format!("no {path}"), reason, Action::Absent { path: path.clone() });
        Undo::new(draft).is(path)
    })
}

/// The lock of iptables' old programs, made where kube-proxy mounts it.
fn lock(facts: &Facts) -> Option<Undo> {
    let path = "/run/xtables.lock";
    let new = facts.now.has(path) == Some(true) && facts.was_there(path) == Some(false);
    new.then(|| {
        let reason = "kube-proxy and the network plugins were the first to use it";
        let draft = Draft::new("no lock of iptables", reason, Action::Absent { path: path.to_owned() });
        Undo::new(draft).is(path)
    })
}
