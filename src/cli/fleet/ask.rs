//! Asking every host of a cluster, side by side, everything that planning needs. Nothing is changed.

use crate::apply::receipt;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::pki_files;
use crate::cli::session::note_pki_paths;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::EtcdStart;
use crate::facts::HostFacts;
use crate::facts::Questions;
use crate::facts::baseline;
use crate::facts::baseline::Untouched;
use crate::facts::footprint::Watch;
use crate::facts::gather;
use crate::facts::question::manifest_path;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::fleet::side_by_side;
use crate::kube::images;
use crate::kube::patch::Target;
use crate::pki::CertSpec;
use crate::pki::inventory::Inventory;
use crate::pki::spec;
use std::collections::BTreeMap;

/// What the hosts say.
#[derive(Default)]
pub(super) struct Answers {
    pub facts: BTreeMap<String, HostFacts>,
    pub receipts: BTreeMap<String, Receipt>,
    pub inventories: BTreeMap<String, Inventory>,
    /// How hosts are that nobody has changed yet.
    pub untouched: BTreeMap<String, Untouched>,
}

struct Answer {
    facts: HostFacts,
    receipt: Option<Receipt>,
    inventory: Inventory,
    untouched: Option<Untouched>,
}

/// Asks all hosts; every host that cannot be asked is in the error.
///
/// # Errors
/// A host cannot be asked, or its receipt cannot be understood.
pub(super) fn all(cluster: &Cluster, hosts: &Fleet, parallel: usize) -> Result<Answers, CliError> {
    let (all, troubles) = some(cluster, hosts, parallel);
    if troubles.is_empty() {
        return Ok(all);
    }
    let error = anyhow::anyhow!(
        "{} of {} hosts cannot be asked:\n  {}",
        troubles.len(),
        cluster.nodes.len(),
        troubles.into_values().collect::<Vec<_>>().join("\n  ")
    );
    Err(CliError::new(Exit::Host, error).hint("nothing was changed"))
}

/// Asks all hosts: what they say, and why some say nothing.
pub(super) fn some(cluster: &Cluster, hosts: &Fleet, parallel: usize) -> (Answers, BTreeMap<String, String>) {
    let specs = spec::all_specs(cluster);
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    let answers = side_by_side(nodes, parallel, |node| {
        let host = hosts.get(&node.name).ok_or_else(|| anyhow::anyhow!("{}: not connected", node.name));
        (node, host.and_then(|host| one(cluster, node, &**host, &specs)))
    });
    let mut all = Answers::default();
    let mut troubles = BTreeMap::new();
    for (node, answer) in answers {
        match answer {
            Ok(answer) => all.take(node, answer),
            Err(error) => drop(troubles.insert(node.name.clone(), format!("{error:#}"))),
        }
    }
    (all, troubles)
}

fn one(cluster: &Cluster, node: &Node, host: &dyn Host, specs: &[CertSpec]) -> anyhow::Result<Answer> {
    let receipt = Receipt::load(host, receipt::PATH)?;
    let mut inventory = pki_files::read(host, cluster, specs)?;
    if let Some(receipt) = &receipt {
        pki_files::forget_unfinished(&mut inventory, specs, receipt);
    }
    let images = images_of(cluster, node);
    let mut facts = gather::gather(host, &Questions::for_node(cluster, node, &images))?;
    note_pki_paths(&mut facts, &inventory);
    facts.etcd_start = etcd_start(node, host)?;
    let untouched = match &receipt {
        Some(_) => None,
        None => Some(baseline::look(host, Watch::of(cluster))?),
    };
    Ok(Answer { facts, receipt, inventory, untouched })
}

fn etcd_start(node: &Node, host: &dyn Host) -> anyhow::Result<Option<EtcdStart>> {
    if !node.is_control_plane() {
        return Ok(None);
    }
    let manifest = host.read(&manifest_path(Target::Etcd.as_str()))?;
    let text =
        manifest.and_then(|entry| entry.content().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    Ok(text.and_then(|text| EtcdStart::of_manifest(&text)))
}

fn images_of(cluster: &Cluster, node: &Node) -> Vec<String> {
    if node.is_control_plane() { images::list(cluster) } else { Vec::new() }
}

impl Answers {
    fn take(&mut self, node: &Node, answer: Answer) {
        let name = || node.name.clone();
        self.facts.insert(name(), answer.facts);
        self.inventories.insert(name(), answer.inventory);
        self.receipts.extend(answer.receipt.map(|receipt| (name(), receipt)));
        self.untouched.extend(answer.untouched.map(|untouched| (name(), untouched)));
    }
}
