//! What a pod network asks of a host.

use crate::cluster::Cni;
use crate::cluster::prepare::Source;
use crate::facts::question::CNI_DIRECTORIES;
use crate::facts::question::CNI_PLUGINS;
use crate::preflight::Check;
use crate::preflight::Problem;
use crate::preflight::Subject;

/// The oldest kernel of Calico 3.31 and Cilium 1.19 and their successors.
const EBPF_KERNEL: (u64, u64) = (5, 10);

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("PodNetworkModules", modules),
        Check::new("PodNetworkKernel", kernel),
        Check::new("PodNetworkPlugins", plugins),
        Check::new("PodNetworkPrograms", programs),
    ]
}

/// Whether pods of this host get their network from a bridge, by plugins that must lie on the host.
fn bridges(cni: &Cni) -> bool {
    matches!(cni, Cni::Bridge(_) | Cni::Flannel(_))
}

/// flanneld does not start without the module, and without it Services do not reach pods of the same node.
fn modules(subject: &Subject, _: &str) -> Vec<Problem> {
    let modules = &subject.facts.checks.modules;
    let cni = &subject.cluster.site.cni;
    let needs = subject.node.becomes_node() && (bridges(cni) || matches!(cni, Cni::Canal(_)));
    let missing = modules.known && !modules.present.contains("br_netfilter");
    Problem::when(needs && missing, || {
        let provider = cni.provider().as_str();
        let problem = Problem::error(format!(
            "the pod network {provider} needs the kernel module br_netfilter, which is not loaded"
        ));
        if modules.loadable {
            problem.repair("`modprobe br_netfilter`, or run with `--prepare`").preparable()
        } else {
            problem.repair(
                "this kernel has no modules to load; boot one that has it, or choose another pod network",
            )
        }
    })
}

fn kernel(subject: &Subject, _: &str) -> Vec<Problem> {
    let release = &subject.facts.checks.kernel.release;
    let cni = &subject.cluster.site.cni;
    let needs = subject.node.becomes_node() && matches!(cni, Cni::Calico(_) | Cni::Canal(_) | Cni::Cilium(_));
    let old = version(release).is_some_and(|version| version < EBPF_KERNEL);
    Problem::when(needs && old, || {
        let (major, minor) = EBPF_KERNEL;
        let provider = cni.provider().as_str();
        // Distributions bring newer parts to older kernels.
        Problem::warning(format!(
            "{provider} is made for kernels from {major}.{minor} on, and this is {release}"
        ))
        .repair("boot a newer one, or choose flannel")
    })
}

fn version(release: &str) -> Option<(u64, u64)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn plugins(subject: &Subject, _: &str) -> Vec<Problem> {
    let cluster = subject.cluster;
    if !bridges(&cluster.site.cni) || !subject.node.becomes_node() || subject.facts.checks.programs.is_none()
    {
        return Vec::new();
    }
    let there = |at: &str, name: &str| subject.facts.existing_paths.contains(&format!("{at}/{name}"));
    let missing_at = |at: &str| CNI_PLUGINS.iter().filter(|name| !there(at, name)).copied().collect();
    let missing: Vec<Vec<&str>> = CNI_DIRECTORIES.map(missing_at).into();
    // Which of them the runtime looks into is its own affair; where all are together, that is it.
    Problem::when(missing.iter().all(|missing| !missing.is_empty()), || {
        let [common, ..] = CNI_DIRECTORIES;
        let missing = missing[0].join(", ");
        let message = format!("the basic CNI plugins are not in {common}: {missing} missing");
        Problem::error(message)
            .repair(
                "unpack the release of containernetworking/plugins there, or let `spec.artifacts` bring them",
            )
            .preparable_when(cluster.prepare.artifacts.source != Source::None)
    })
}

/// The bridge's addresses are translated by rules of nftables.
fn programs(subject: &Subject, _: &str) -> Vec<Problem> {
    let programs = subject.facts.checks.programs.as_ref();
    let missing = programs.is_some_and(|programs| !programs.contains("nft"));
    let bridge = subject.cluster.site.cni.bridge().is_some() && subject.node.becomes_node();
    Problem::when(bridge && missing, || {
        let source = subject.cluster.prepare.artifacts.source;
        Problem::error("the pod network bridge writes rules of nftables, and there is no program nft")
            .repair("install the package nftables, or let `spec.artifacts` bring packages")
            .preparable_when(matches!(source, Source::Packages | Source::Download))
    })
}
