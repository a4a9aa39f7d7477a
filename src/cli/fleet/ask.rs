//! Asking every host of a cluster, side by side, everything that planning needs. Nothing is changed.

use crate::apply::receipt;
use crate::apply::receipt::Receipt;
use crate::cli::fleet::connect::Connected;
use crate::cli::pki_files;
use crate::cli::session::note_pki_paths;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::EtcdStart;
use crate::facts::HostFacts;
use crate::facts::Questions;
use crate::facts::etcd_start::servers_of_manifest;
use crate::facts::gather;
use crate::facts::question::manifest_path;
use crate::host::Blank;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::Remembered;
use crate::host::fleet::side_by_side;
use crate::kube::images;
use crate::kube::patch::Target;
use crate::pki::CertSpec;
use crate::pki::inventory;
use crate::pki::inventory::Inventory;
use crate::pki::spec;
use crate::preflight::fleet::Unreachable;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the hosts say.
#[derive(Default)]
pub(super) struct Answers {
    /// Those that answered.
    pub hosts: Fleet,
    pub unreachable: BTreeMap<String, Unreachable>,
    pub facts: BTreeMap<String, HostFacts>,
    pub receipts: BTreeMap<String, Receipt>,
    pub inventories: BTreeMap<String, Inventory>,
}

struct Answer {
    facts: HostFacts,
    receipt: Option<Receipt>,
    inventory: Inventory,
}

/// Asks all hosts. Those that cannot be asked are in the answer, with why.
pub(super) fn all(cluster: &Cluster, connected: Connected, parallel: usize) -> Answers {
    let specs = spec::all_specs(cluster);
    let paths = inventory::paths(cluster, &specs);
    let Connected { hosts, unreachable } = connected;
    let reached: Vec<(&Node, &Arc<dyn Host>)> =
        cluster.nodes.iter().filter_map(|node| Some((node, hosts.get(&node.name)?))).collect();
    let answers =
        side_by_side(reached, parallel, |(node, host)| (node, one(cluster, node, &**host, &specs, &paths)));
    let mut all = Answers { unreachable, ..Answers::default() };
    for (node, answer) in answers {
        match answer {
            Ok(answer) => all.take(node, answer),
            Err(error) => {
                let trouble = Unreachable { why: format!("{error:#}"), repair: String::new() };
                all.unreachable.insert(node.name.clone(), trouble);
            }
        }
    }
    all.facts.keys().filter_map(|name| hosts.get(name)).cloned().for_each(|host| all.hosts.insert(host));
    all
}

/// What is assumed where nobody is asked: hosts on which nothing is.
pub(super) fn nobody(cluster: &Cluster) -> Answers {
    let mut all = Answers::default();
    for node in &cluster.nodes {
        all.hosts.insert(Arc::new(Blank::new(&node.name)));
        all.facts.insert(node.name.clone(), HostFacts::assumed(&node.name));
        all.inventories.insert(node.name.clone(), Inventory::default());
    }
    all
}

fn one(
    cluster: &Cluster,
    node: &Node,
    host: &dyn Host,
    specs: &[CertSpec],
    paths: &BTreeSet<String>,
) -> anyhow::Result<Answer> {
    let images = images::of_host(cluster, node);
    let questions = Questions::for_node(cluster, node, &images);
    // All that is read is read together, and once.
    let texts =
        questions.texts.iter().chain(paths).cloned().chain(manifests()).chain([receipt::PATH.to_owned()]);
    let host = &Remembered::new(host, texts.collect())?;
    let receipt = Receipt::load(host, receipt::PATH)?;
    let mut inventory = pki_files::read_paths(host, paths.iter().cloned())?;
    if let Some(receipt) = &receipt {
        pki_files::forget_unfinished(&mut inventory, specs, receipt);
    }
    let mut facts = gather::gather(host, &questions)?;
    note_pki_paths(&mut facts, &inventory);
    look_at_manifests(&mut facts, cluster, node, host)?;
    Ok(Answer { facts, receipt, inventory })
}

/// The manifests that say what etcd was started with, and which etcd the API server uses.
fn manifests() -> [String; 2] {
    [Target::Etcd, Target::KubeApiserver].map(|target| manifest_path(target.as_str()))
}

/// What static pods of an earlier run say of etcd.
fn look_at_manifests(
    facts: &mut HostFacts,
    cluster: &Cluster,
    node: &Node,
    host: &dyn Host,
) -> anyhow::Result<()> {
    if !node.is_server() {
        return Ok(());
    }
    let found = host.read_many(&manifests())?;
    let mut texts = found.iter().map(|entry| {
        let content = entry.as_ref().and_then(|entry| entry.content());
        String::from_utf8_lossy(content.unwrap_or_default()).into_owned()
    });
    let (etcd, api_server) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    facts.etcd_start = EtcdStart::of_manifest(&etcd).filter(|_| cluster.runs_etcd(node));
    facts.etcd_servers = servers_of_manifest(&api_server);
    Ok(())
}

impl Answers {
    fn take(&mut self, node: &Node, answer: Answer) {
        let name = || node.name.clone();
        self.facts.insert(name(), answer.facts);
        self.inventories.insert(name(), answer.inventory);
        self.receipts.extend(answer.receipt.map(|receipt| (name(), receipt)));
    }
}
