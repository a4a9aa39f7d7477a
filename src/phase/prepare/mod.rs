//! `--prepare`: what a host lacks and we may mend, in files of our own where there is a choice.
//!
//! Without a word of the operator only the kernel's settings are mended. `spec.containerRuntime` and `spec.artifacts`
//! bring the container runtime, the kubelet and what they need, `spec.prepare` the rest.

mod binaries;
mod firewall;
mod kubelet;
mod network;
mod packages;
mod plugins;
mod runtime;
mod system;

pub use firewall::Opening;
pub use firewall::openings;
pub use kubelet::watched;
pub use system::SYSCTL_FILE;

use crate::artifact::Arch;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::prepare::Source;
use crate::facts::HostFacts;
use crate::facts::InitSystem;
use crate::facts::PreflightFacts;
use crate::host::Command;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::Place;
use crate::plan::Remember;
use crate::plan::RunSpec;
use crate::plan::Step;
use crate::template;
use anyhow::Context as _;
use serde::Serialize;

/// In the order in which they come on every host.
pub const PHASES: [&str; 11] = [
    "modules", "sysctl", "swap", "selinux", "packages", "binaries", "runtime", "images", "kubelet",
    "network", "firewall",
];

/// The steps that prepare `node`, in order; none for a host that nobody asked, or that needs nothing.
///
/// # Errors
/// A checksum or a file is missing, the distribution is none whose packages are known, or what is configured on the
/// host cannot be read.
pub fn steps(cluster: &Cluster, node: &Node, facts: &HostFacts) -> anyhow::Result<Vec<Step>> {
    let to = Preparing { cluster, node, facts, checks: &facts.checks };
    let mut steps = Vec::new();
    if node.has_kubelet() {
        steps.extend(to.modules());
    }
    if node.becomes_node() {
        steps.extend(to.sysctls());
    }
    if node.has_kubelet() {
        steps.extend(to.swap());
    }
    steps.extend(to.selinux());
    steps.extend(to.packages()?);
    if node.has_kubelet() {
        steps.extend(to.binaries()?);
        steps.extend(to.runtime()?);
        steps.extend(to.images());
        steps.extend(to.kubelet());
    }
    steps.extend(to.network());
    steps.extend(to.firewall());
    Ok(steps)
}

struct Preparing<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    facts: &'a HostFacts,
    checks: &'a PreflightFacts,
}

impl Preparing<'_> {
    fn step(&self, phase: &str, title: impl Into<String>, reason: &str, action: Action) -> Step {
        Step {
            phase: format!("prepare/{phase}"),
            place: Place::Host(self.node.name.clone()),
            about: None,
            title: title.into(),
            reason: reason.to_owned(),
            action,
        }
    }

    fn source(&self) -> Source {
        self.cluster.prepare.artifacts.source
    }

    fn systemd(&self) -> bool {
        self.facts.init_system == InitSystem::Systemd
    }

    /// The processor that binaries must be for. A host that nobody asked counts as the usual one.
    fn arch(&self) -> anyhow::Result<Arch> {
        let machine = &self.facts.platform.machine;
        if machine.is_empty() {
            return Ok(Arch::Amd64);
        }
        Arch::of_machine(machine).with_context(|| {
            format!("{} has a processor `{machine}`; known are x86_64 and aarch64", self.node.name)
        })
    }
}

fn rendered(name: &str, values: &impl Serialize) -> String {
    template::render(name, values).expect("the template is part of the program and tested")
}

fn file(path: &str, text: String) -> Action {
    let content = Content::Text(text);
    Action::File(FileSpec { path: path.to_owned(), mode: 0o644, owner: None, content, keep_existing: false })
}

fn run(command: Command, unless: Command, remember: Vec<Remember>) -> Action {
    Action::Run(RunSpec { command, unless: Some(unless), remember, best_effort: false })
}

fn sh(script: &str) -> Command {
    Command::query("sh").args(["-c", script, "sh"])
}

/// Succeeds when `condition` does for each of the items, as `$it`.
fn all(condition: &str, items: &[&str]) -> Command {
    let script = format!("for it; do {condition} || exit 1; done");
    Command::query("sh").args(["-c", &script, "sh"]).args(items.iter().copied())
}
