//! What was changed on the host for the cluster, as it was before: parameters, swap, modules, services, files.

use super::Facts;
use super::Undo;
use super::again;
use super::belongs;
use super::run;
use super::sh;
use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::facts::footprint::FileKind;
use crate::facts::footprint::FileState;
use crate::host::Command;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::StopSpec;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Configuration of which a digest is kept: what is missing or different of it now is told.
const CONFIGURATION: [&str; 2] = ["/etc/kubernetes/", "/etc/cni/net.d/"];

/// Where pods of a network put its plugins, the outer one first.
const PLUGIN_DIRECTORIES: [&str; 2] = ["/opt/cni", "/opt/cni/bin"];

pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    // A unit of ours ends before its file goes.
    let mut undos = services(facts);
    let files = files(facts);
    let again = again::undo(facts, &files);
    undos.extend(files.into_iter().chain(again));
    undos.extend(firewall(facts));
    undos.extend(plugin_directory(facts));
    undos.extend(rights(facts));
    undos.extend(lost(facts));
    undos.extend(sysctls(facts));
    undos.extend(swap(facts));
    undos.extend(selinux(facts));
    undos.extend(service(facts));
    undos.extend(accounts(facts));
    undos.extend(modules(facts));
    undos
}

/// Files outside the cluster's own directories, from the receipt: of `--prepare`, and the operator's own choices.
fn files(facts: &Facts) -> Vec<Undo> {
    let mut undos: Vec<Undo> = facts
        .receipt
        .iter()
        .flat_map(Receipt::befores)
        .filter(|(path, _)| path.starts_with('/') && facts.now.has(path).is_none())
        .filter_map(|(path, before)| file(facts, path, &before))
        .collect();
    // A directory goes when nothing is in it any more.
    let directory = |undo: &Undo| matches!(&undo.draft, Some(Draft { action: Action::Clear(_), .. }));
    undos.sort_by_key(directory);
    let units = undos.iter().any(|undo| undo.is.iter().any(|line| line.starts_with("/etc/systemd/")));
    if units {
        // Always wanted when it is planned: there is no asking whether systemd has read its files.
        let action = run(Command::change("systemctl").arg("daemon-reload"), Command::query("false"));
        undos.push(Undo::new(Draft::new("systemd knows", "units were unmasked", action)).minor());
    }
    undos
}

/// Services that preparation started, except the kubelet's, which its own phase ends.
fn services(facts: &Facts) -> Vec<Undo> {
    let befores = facts.receipt.iter().flat_map(Receipt::befores);
    let started = befores.filter_map(|(key, before)| match before {
        Before::Service { active: false, enabled } => Some((key.strip_prefix("service ")?, enabled)),
        _ => None,
    });
    started
        .filter(|(unit, _)| *unit != "kubelet")
        .map(|(unit, enabled)| {
            let stop = StopSpec { unit: unit.to_owned(), enabled: Some(enabled) };
            let title = format!("{unit} stopped, as it was before");
            Undo::new(Draft::new(title, "preparation started it", Action::Stop(stop))).minor()
        })
        .collect()
}

/// A firewall that was told about the cluster, or turned off for it.
fn firewall(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    let mut again = |title: &str, command: Command, unless: Command| {
        undos.push(Undo::new(Draft::new(title, "as it was before", run(command, unless))).minor());
    };
    let ours = |path: &&str| path.starts_with("/etc/firewalld/policies/kubewright");
    if facts.receipt.iter().flat_map(Receipt::befores).any(|(path, _)| ours(&path)) {
        let forgotten = sh("! firewall-cmd --get-policies 2>/dev/null | grep -q kubewright");
        again("firewalld knows", Command::change("firewall-cmd").arg("--reload"), forgotten);
    }
    if value(facts, "ufw").is_some() {
        let script = r#"ufw show added | grep " comment 'kubewright'$" | sed "s/^ufw //; s/ comment 'kubewright'$//" |
while read -r rule; do
  case $rule in route\ *) ufw --force route delete ${rule#route } ;; *) ufw --force delete $rule ;; esac || exit 1
done"#;
        let gone = sh("! ufw show added | grep -q \"comment 'kubewright'\"");
        again("ufw without the cluster's rules", Command::change("sh").args(["-c", script]), gone);
    }
    if value(facts, "firewall firewalld").is_some_and(|was| was.lines().next_back() == Some("active")) {
        let on = Command::query("systemctl").args(["is-active", "-q", "firewalld"]);
        again("firewalld on", Command::change("systemctl").args(["enable", "--now", "firewalld"]), on);
    }
    if value(facts, "firewall ufw").is_some_and(|was| was.contains("ENABLED=yes")) {
        let on = Command::query("grep").args(["-qx", "ENABLED=yes", "/etc/ufw/ufw.conf"]);
        again("ufw on", Command::change("ufw").args(["--force", "enable"]), on);
    }
    undos
}

/// Files that somebody else changed after us.
pub(super) fn changed_since(facts: &Facts) -> Vec<String> {
    let befores = facts.receipt.iter().flat_map(Receipt::befores);
    let changed = |(path, before): &(&str, Before)| match (before, facts.paths.get(*path)) {
        (Before::File { digest, .. }, Some(Before::File { digest: now, .. })) => {
            digest != now && !is_our_writing(facts, path, now)
        }
        _ => false,
    };
    befores.filter(changed).map(|(path, _)| format!("{path} (somebody changed it since)")).collect()
}

fn is_our_writing(facts: &Facts, path: &str, digest: &str) -> bool {
    let mut steps = facts.receipt.iter().flat_map(|receipt| receipt.steps.values());
    steps.any(|step| step.subject == path && step.digest.as_deref() == Some(digest))
}

fn file(facts: &Facts, path: &str, before: &Before) -> Option<Undo> {
    let now = facts.paths.get(path)?;
    if now == before {
        return None;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let reason = "as it was before";
    let draft = |title: String, action| Undo::new(Draft::new(title, reason, action));
    let ours = |digest: &str| is_our_writing(facts, path, digest);
    match (before, now) {
        (Before::Absent, Before::Directory { .. }) => {
            let spec = ClearSpec {
                path: path.to_owned(),
                what: Clear::EmptyDirectories,
                keep: BTreeSet::new(),
                itself: true,
            };
            // What others put there meanwhile keeps it.
            Some(draft(format!("no empty {path}"), Action::Clear(spec)).minor())
        }
        (Before::Absent, _) => {
            Some(draft(format!("no {name}"), Action::Absent { path: path.to_owned() }).is(path))
        }
        (Before::File { digest, mode, owner, copy }, Before::File { digest: now, .. }) => {
            let told = |undo: Undo| undo.was(format!("{path} {digest}")).is(format!("{path} {now}"));
            match copy {
                // Somebody else changed it since: that is theirs.
                _ if digest != now && !ours(now) => None,
                Some(text) => {
                    let spec = FileSpec {
                        path: path.to_owned(),
                        mode: *mode,
                        owner: *owner,
                        content: Content::Text(text.clone()),
                        keep_existing: false,
                    };
                    Some(told(draft(format!("{name} as it was"), Action::File(spec))))
                }
                None => Some(told(Undo { draft: None, was: Vec::new(), is: Vec::new(), matters: true })),
            }
        }
        (Before::Link { target }, _) => {
            let link = Action::Link { path: path.to_owned(), target: target.clone() };
            Some(draft(format!("{name} as it was"), link).was(format!("{path} -> {target}")).is(path))
        }
        _ => None,
    }
}

/// The directory of the network's plugins, once they and those that preparation brought are gone. What others put there
/// keeps it.
fn plugin_directory(facts: &Facts) -> Option<Undo> {
    let new = |path: &&str| facts.now.has(path) == Some(true) && facts.was_there(path) == Some(false);
    let path = PLUGIN_DIRECTORIES.into_iter().find(new)?;
    let spec = ClearSpec {
        path: path.to_owned(),
        what: Clear::EmptyDirectories,
        keep: BTreeSet::new(),
        itself: true,
    };
    Some(Undo::new(Draft::new(format!("no empty {path}"), "as it was before", Action::Clear(spec))).minor())
}

/// Mode and owner of directories that were there before.
fn rights(facts: &Facts) -> Vec<Undo> {
    let Some(baseline) = &facts.baseline else { return Vec::new() };
    let both =
        baseline.entries.iter().filter_map(|(path, was)| Some((path, was, facts.now.entries.get(path)?)));
    let differs = |(_, was, is): &(&String, &FileState, &FileState)| {
        was.kind == is.kind && was.kind != FileKind::Link && (&was.mode, was.owner) != (&is.mode, is.owner)
    };
    both.filter(differs)
        .flat_map(|(path, was, is)| {
            let owner = |state: &FileState| format!("{}:{}", state.owner.0, state.owner.1);
            let one = |what: &str, program: &str, format: &str, was: String, is: String| {
                let so = sh(r#"test "$(stat -c "$1" "$2")" = "$3""#).args(["sh", format, path, &was]);
                let action = run(Command::change(program).args([&was, path]), so);
                let undo =
                    Undo::new(Draft::new(format!("{path} has {what} {was}"), "as it was before", action));
                (was != is)
                    .then(|| undo.was(format!("{path} {what} {was}")).is(format!("{path} {what} {is}")))
            };
            // A change of the owner may clear bits of the mode.
            let owners = one("owner", "chown", "%u:%g", owner(was), owner(is));
            [owners, one("mode", "chmod", "%a", was.mode.clone(), is.mode.clone())]
        })
        .flatten()
        .collect()
}

/// Configuration that was there and is not any more, or not the same: nobody kept a copy.
fn lost(facts: &Facts) -> Vec<Undo> {
    let Some(baseline) = &facts.baseline else { return Vec::new() };
    let concerns = |path: &str| CONFIGURATION.iter().any(|directory| path.starts_with(directory));
    let entries = baseline.entries.iter().filter(|(path, was)| concerns(path) && was.digest.is_some());
    entries
        .filter_map(|(path, was)| {
            let digest = |state: &FileState| {
                format!("{path} {}", state.digest.as_deref().unwrap_or("without content"))
            };
            let is = facts.now.entries.get(path);
            if is.is_some_and(|is| is.digest == was.digest) {
                return None;
            }
            let undo = Undo { draft: None, was: vec![digest(was)], is: Vec::new(), matters: true };
            Some(undo.and(is.map(digest)))
        })
        .collect()
}

fn sysctls(facts: &Facts) -> Vec<Undo> {
    let mut before: BTreeMap<String, String> =
        facts.baseline.as_ref().map(|baseline| baseline.sysctls.clone()).unwrap_or_default();
    for (key, was) in facts.receipt.iter().flat_map(Receipt::befores) {
        if let (Some(name), Before::Value { text }) = (key.strip_prefix("sysctl "), was) {
            before.insert(name.to_owned(), text.trim().replace('\t', " "));
        }
    }
    let differs = |(name, was): (String, String)| {
        let is = facts.now.sysctls.get(&name).filter(|is| **is != was)?.clone();
        Some((name, was, is))
    };
    before
        .into_iter()
        .filter_map(differs)
        .map(|(name, was, is)| {
            let file = name.replace('.', "/");
            let so = sh(r#"test "$(tr '\t' ' ' <"/proc/sys/$1")" = "$2""#).args(["sh", &file, &was]);
            let command = Command::change("sysctl").args(["-q", "-w", &format!("{name}={was}")]);
            let draft = Draft::new(format!("{name} is {was}"), "as it was before", run(command, so));
            Undo::new(draft).was(format!("sysctl {name} = {was}")).is(format!("sysctl {name} = {is}"))
        })
        .collect()
}

/// The output of a query that an earlier run kept.
fn value(facts: &Facts, key: &str) -> Option<String> {
    match facts.receipt.as_ref()?.before(key)? {
        Before::Value { text } => Some(text),
        _ => None,
    }
}

/// The lines of `/proc/swaps`, without those that are on: the probe does not ask, the step does.
fn swap(facts: &Facts) -> Vec<Undo> {
    let Some(table) = value(facts, "swap") else { return Vec::new() };
    let devices = table.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    devices
        .map(|device| {
            let on = sh(r#"grep -q "^$1[[:space:]]" /proc/swaps"#).args(["sh", device]);
            let action = run(Command::change("swapon").arg(device), on);
            Undo::new(Draft::new(format!("swap on {device}"), "as it was before", action)).minor()
        })
        .collect()
}

fn selinux(facts: &Facts) -> Option<Undo> {
    let was = value(facts, "selinux")?.trim().to_owned();
    let so = Command::query("grep").args(["-q", &format!("^{was}"), "/sys/fs/selinux/enforce"]);
    let action = run(Command::change("setenforce").arg(&was), so);
    let mode = if was == "1" { "enforcing" } else { "permissive" };
    Some(Undo::new(Draft::new(format!("SELinux {mode}"), "as it was before", action)).minor())
}

/// Whether the kubelet starts at boot; kubeadm leaves it enabled.
fn service(facts: &Facts) -> Option<Undo> {
    let recorded = || match facts.receipt.as_ref()?.before("service kubelet")? {
        Before::Service { enabled, .. } => Some(enabled),
        _ => None,
    };
    let was = facts.baseline.as_ref().and_then(|baseline| baseline.services.get("kubelet").copied());
    let was = was.or_else(recorded)?;
    let is = *facts.now.services.get("kubelet").filter(|is| **is != was)?;
    let stop = StopSpec { unit: "kubelet".to_owned(), enabled: Some(was) };
    let words = |on: bool| format!("service kubelet {}", if on { "enabled" } else { "disabled" });
    let draft = Draft::new("kubelet at boot as it was", "as it was before", Action::Stop(stop));
    Some(Undo::new(draft).was(words(was)).is(words(is)))
}

/// Users and groups that `RootlessControlPlane` made here.
fn accounts(facts: &Facts) -> Vec<Undo> {
    let steps = facts.receipt.iter().flat_map(|receipt| receipt.steps.values());
    let made: BTreeSet<(&str, &str)> = steps
        .filter(|step| step.phase == "accounts" && step.changed)
        .filter_map(|step| {
            let (program, rest) = step.subject.split_once(' ')?;
            let order = match program {
                // A user's group cannot go before the user.
                "useradd" => "userdel",
                "groupadd" => "groupdel",
                _ => return None,
            };
            Some((order, rest.rsplit(' ').next()?))
        })
        .collect();
    let rows = made.iter().rev();
    rows.map(|(program, name)| {
        let file = if *program == "userdel" { "/etc/passwd" } else { "/etc/group" };
        let gone = sh(r#"! grep -q "^$1:" "$2""#).args(["sh", name, file]);
        let what = if *program == "userdel" { "user" } else { "group" };
        let action = run(Command::change(*program).arg(*name), gone);
        Undo::new(Draft::new(format!("no {what} {name}"), "it was made for the control plane", action))
            .minor()
    })
    .collect()
}

/// Modules that were loaded since. One that somebody uses stays, and is only mentioned.
fn modules(facts: &Facts) -> Option<Undo> {
    let now = facts.now.modules.as_ref()?;
    let recorded: BTreeSet<&str> = facts
        .receipt
        .iter()
        .flat_map(Receipt::befores)
        .filter(|(_, before)| *before == Before::Absent)
        .filter_map(|(key, _)| key.strip_prefix("module "))
        .collect();
    let before = facts.baseline.as_ref().and_then(|baseline| baseline.modules.as_ref());
    let new = |name: &&String| {
        recorded.contains(name.as_str())
            || before.is_some_and(|before| belongs::is_module(name) && !before.contains(*name))
    };
    let mut new: Vec<&str> = now.iter().filter(new).map(String::as_str).collect();
    if new.is_empty() {
        return None;
    }
    let users = |name: &str| facts.traces.module_users.get(name).copied().unwrap_or_default();
    new.sort_by_key(|name| users(name));
    let draft = Draft::new(
        "kernel modules unloaded",
        "loaded since; one that somebody uses stays",
        run(
            // With what each of them needed and nobody needs any more.
            Command::change("modprobe").arg("-r").args(new.iter().copied()),
            sh(r#"for it; do test ! -d "/sys/module/$it" || exit 1; done"#)
                .arg("sh")
                .args(new.iter().copied()),
        ),
    );
    Some(Undo::new(draft).minor())
}
