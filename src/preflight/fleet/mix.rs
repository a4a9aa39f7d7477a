//! Hosts that differ: what that means for images, and for the versions that may work together.

use crate::facts::checks::Kubelet;
use crate::facts::links::Protocol;
use crate::facts::runtime::Connection;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::collections::BTreeMap;

pub(super) fn architectures(between: &Between, _: Option<Protocol>) -> Found {
    let groups = between.grouped(|facts| some(&facts.checks.kernel.machine));
    different(&groups, |what| {
        Problem::warning(format!("hosts have different processors: {what}")).repair(
            "see that every image and download exists for all of them (local image archives often do not)",
        )
    })
}

pub(super) fn systems(between: &Between, _: Option<Protocol>) -> Found {
    let os = between.grouped(|facts| facts.checks.os.clone());
    let kernels = between.grouped(|facts| some(&facts.checks.kernel.release).map(|release| branch(&release)));
    let mut found = different(&os, |what| Problem::note(format!("hosts run different systems: {what}")));
    found.problems.extend(
        different(&kernels, |what| Problem::note(format!("hosts run different kernels: {what}"))).problems,
    );
    found
}

pub(super) fn runtimes(between: &Between, _: Option<Protocol>) -> Found {
    let groups = between.grouped(|facts| match &facts.checks.runtime.connection {
        Connection::Ok { name, version } => Some(format!("{name} {}", branch(version))),
        _ => None,
    });
    different(&groups, |what| {
        Problem::warning(format!("nodes have different container runtimes: {what}"))
            .repair("bring them to one version, so that pods behave alike on all nodes")
    })
}

/// A kubelet may be three minor versions older than the API server and never newer, which each host is judged by; that
/// they differ among each other is allowed, and meant to pass.
pub(super) fn kubelets(between: &Between, _: Option<Protocol>) -> Found {
    let groups = between.grouped(|facts| match &facts.checks.kubelet {
        Kubelet::Says(text) => text.split_whitespace().last().map(str::to_owned),
        _ => None,
    });
    let wanted = &between.cluster.version;
    different(&groups, |what| {
        Problem::warning(format!("nodes have different kubelets: {what}"))
            .repair(format!("install {wanted} on all of them"))
    })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// `6.1` of `6.1.0-18-amd64`; patches are not worth a word.
fn branch(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split(['.', '-']);
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => version.to_owned(),
    }
}

fn different(groups: &BTreeMap<String, Vec<&str>>, problem: impl Fn(&str) -> Problem) -> Found {
    if groups.len() < 2 {
        return Found::default();
    }
    let what: Vec<String> =
        groups.iter().map(|(value, hosts)| format!("{value} ({})", listed(hosts))).collect();
    vec![problem(&what.join(", ")).between(groups.values().flatten().copied())].into()
}
