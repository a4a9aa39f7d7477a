//! The workflow: named phases, each a pure function from what is wanted and what is so to steps.
//!
//! The words are kubeadm's. One table ([`workflow`]) gives the help text, `--skip-phases`, the commands that run
//! one phase alone, the order, and the headings of a plan.

pub mod addon;
pub mod bootstrap_token;
pub mod build;
pub mod certs;
pub mod check_etcd;
pub mod control_plane;
pub mod endpoint;
pub mod etcd;
pub mod etcd_join;
pub mod etcd_leave;
pub mod growth;
pub mod join;
pub mod keeps_data;
pub mod kubeconfig;
pub mod kubelet_finalize;
pub mod kubelet_start;
pub mod mark_control_plane;
pub mod mark_workers;
pub mod network;
pub mod objects;
pub mod pace;
pub mod pod_networks;
pub mod preflight;
pub mod prepare;
pub mod prune;
pub mod reset;
pub mod rolling;
pub mod rootless;
pub mod select;
pub mod skew;
pub mod upload_certs;
pub mod upload_config;
pub mod wait_control_plane;
pub mod wait_etcd;
pub mod workflow;

use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::kube::static_pod::RootlessIds;
use crate::pki::Ca;
use crate::plan::Action;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A named part of a workflow.
#[derive(Debug)]
pub struct Phase {
    /// `certs`; a child's full name is `certs/apiserver`.
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// One line for the help and the plan.
    pub summary: &'static str,
    /// Full names of phases whose work this one builds on.
    pub needs: &'static [&'static str],
    /// What shows on a host that this phase's work is already there, so that it may be left out.
    pub done: Option<fn(&Context<'_>, &Node) -> bool>,
    pub scope: Scope,
    /// A phase with children may have steps of its own, which come first.
    pub plan: Option<PlanFn>,
    /// What takes this phase back on a node where it does not come to its end.
    pub undo: Option<UndoFn>,
    pub children: &'static [Phase],
}

/// Plans a phase for one node; the last argument is the phase's own name, so that one function can serve siblings.
pub type PlanFn = fn(&Context<'_>, &Node, &str) -> anyhow::Result<Vec<Draft>>;

/// Plans how a phase is taken back on one node; `None` when there is nothing to take back.
pub type UndoFn = fn(&Context<'_>, &Node) -> Option<UndoDraft>;

/// How a phase is taken back, before it knows its phase and place; see [`crate::plan::Undo`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UndoDraft {
    pub drafts: Vec<Draft>,
    /// How to do each of them by hand; empty where nothing needs to be done.
    pub mend: Vec<String>,
}

impl UndoDraft {
    /// Adds a step, and how to do it by hand.
    pub fn push(&mut self, draft: Draft, mend: impl Into<String>) {
        self.drafts.push(draft);
        self.mend.push(mend.into());
    }
}

/// A step that does not know its phase and place yet; [`build`] fills them in.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub title: String,
    pub reason: String,
    pub action: Action,
}

impl Draft {
    pub fn new(title: impl Into<String>, reason: impl Into<String>, action: Action) -> Self {
        Self { title: title.into(), reason: reason.into(), action }
    }
}

/// On which nodes a phase plans steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every host that becomes a node.
    AllNodes,
    ControlPlanes,
    /// Every node without a control plane.
    Workers,
    /// Every host that runs etcd and nothing else.
    EtcdHosts,
    /// Every host that runs a member of the cluster's own etcd.
    EtcdMembers,
    /// Every host with static pods of ours: control planes, and those that run etcd and nothing else.
    Servers,
    /// Every host that balances connections to the API.
    Balancers,
    /// Once for the cluster, through the first control plane.
    FirstControlPlane,
}

/// All that a phase may look at.
#[derive(Debug)]
pub struct Context<'a> {
    pub cluster: &'a Cluster,
    pub facts: &'a BTreeMap<String, HostFacts>,
    /// What the running cluster says, where there is one.
    pub running: &'a ClusterFacts,
    /// The authorities whose key is kept elsewhere.
    pub external: &'a BTreeSet<Ca>,
    /// Files of an external etcd's client that the cluster hands to a joining control plane, by path.
    pub downloaded: &'a BTreeSet<String>,
    /// What an earlier run did or made on the host that joins, as its receipt says.
    pub ours: &'a BTreeSet<String>,
    pub options: &'a Options,
}

/// Choices of one run that are not part of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Where kubeconfig files go; `/etc/kubernetes` unless a phase is asked for another directory.
    pub kubeconfig_dir: Option<String>,
    /// The hosts that the operator wants to be changed; all of them without it.
    pub only: Option<BTreeSet<String>>,
    /// The add-ons that the run is about; all of them without it.
    pub addons: Option<BTreeSet<String>>,
    /// Control planes that join a cluster that runs, which is planned apart.
    pub joiners: BTreeSet<String>,
    /// Repair what can be repaired on the hosts.
    pub prepare: bool,
    /// Nodes that the cluster has and the file has not leave.
    pub prune: bool,
    /// How long one of them may take to be drained.
    pub drain_limit: Option<GoDuration>,
    /// How long what an add-on runs may take to come up.
    pub addon_limit: Option<GoDuration>,
    /// Names the Secret that limits the life of uploaded certificates: six characters of `a-z0-9`.
    pub ttl_token_id: String,
    /// Where a joining worker puts the cluster's CA, unless beside where the PKI is.
    pub ca_cert_path: Option<String>,
}

impl Context<'_> {
    /// The facts of a node.
    ///
    /// # Panics
    /// When facts were not gathered for a node of the cluster, which is a mistake of the caller.
    pub fn facts_of(&self, node: &Node) -> &HostFacts {
        self.facts.get(&node.name).expect("facts are gathered for every node before planning")
    }

    pub fn kubeconfig_dir(&self) -> &str {
        self.options.kubeconfig_dir.as_deref().unwrap_or("/etc/kubernetes")
    }

    /// The path of a file under the certificates directory.
    pub fn pki_path(&self, file: &str) -> String {
        format!("{}/{file}", self.cluster.certificates_dir())
    }

    /// The users and groups of a control plane that runs without root; `None` where it runs as root.
    ///
    /// # Errors
    /// The host has accounts of these names that do not fit, or no number left for a new one.
    pub fn rootless(&self, node: &Node) -> anyhow::Result<Option<RootlessIds>> {
        if !self.cluster.is_rootless() {
            return Ok(None);
        }
        rootless::ids(&self.facts_of(node).accounts).map(Some)
    }

    /// Whether the run is about this host.
    pub fn includes_host(&self, name: &str) -> bool {
        self.options.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// Whether the run is about this add-on.
    pub fn includes_addon(&self, name: &str) -> bool {
        self.options.addons.as_ref().is_none_or(|addons| addons.contains(name))
    }

    /// Whether the run is about this node, and it does not join one that runs.
    pub fn begins_with(&self, node: &Node) -> bool {
        self.includes_host(&node.name) && !self.options.joiners.contains(&node.name)
    }

    /// Whether the host has something at this path, as far as the facts were asked.
    pub fn exists(&self, node: &Node, path: &str) -> bool {
        self.facts_of(node).existing_paths.contains(path)
    }
}

impl Phase {
    /// Nodes on which this phase plans steps.
    pub fn nodes<'a>(&self, cx: &Context<'a>) -> Vec<&'a Node> {
        let cluster = cx.cluster;
        let nodes = cluster.nodes.iter().filter(|node| cx.begins_with(node));
        match self.scope {
            Scope::AllNodes => nodes.filter(|node| node.becomes_node()).collect(),
            Scope::Workers => nodes.filter(|node| node.becomes_node() && !node.is_control_plane()).collect(),
            Scope::EtcdHosts => nodes.filter(|node| node.is_etcd_host()).collect(),
            Scope::EtcdMembers => nodes.filter(|node| cluster.runs_etcd(node)).collect(),
            Scope::Servers => nodes.filter(|node| node.is_server()).collect(),
            Scope::ControlPlanes => nodes.filter(|node| node.is_control_plane()).collect(),
            // The balancers of a cluster know all its control planes, those that are about to join as well.
            Scope::Balancers => {
                let balancers = cluster.balancers().into_iter();
                let here = balancers.filter_map(|balancer| cluster.node(&balancer.name));
                here.filter(|node| cx.includes_host(&node.name)).collect()
            }
            Scope::FirstControlPlane => nodes.filter(|node| node.is_control_plane()).take(1).collect(),
        }
    }
}
