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
pub mod join;
pub mod kubeconfig;
pub mod kubelet_finalize;
pub mod kubelet_start;
pub mod mark_control_plane;
pub mod mark_workers;
pub mod objects;
pub mod preflight;
pub mod prepare;
pub mod reset;
pub mod rootless;
pub mod select;
pub mod upload_certs;
pub mod upload_config;
pub mod wait_control_plane;
pub mod workflow;

use crate::cluster::Cluster;
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
    /// Every host that runs a kubelet.
    AllNodes,
    ControlPlanes,
    /// Every host that runs a kubelet and no control plane.
    Workers,
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
    /// Repair what can be repaired on the hosts.
    pub prepare: bool,
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

    /// Whether the host has something at this path, as far as the facts were asked.
    pub fn exists(&self, node: &Node, path: &str) -> bool {
        self.facts_of(node).existing_paths.contains(path)
    }
}

impl Phase {
    /// Nodes on which this phase plans steps.
    pub fn nodes<'a>(&self, cluster: &'a Cluster) -> Vec<&'a Node> {
        match self.scope {
            Scope::AllNodes => cluster.nodes.iter().filter(|node| node.runs_kubelet()).collect(),
            Scope::Workers => cluster.workers().collect(),
            Scope::ControlPlanes => cluster.control_planes().collect(),
            Scope::Balancers => cluster.balancers(),
            Scope::FirstControlPlane => vec![cluster.first_control_plane()],
        }
    }
}
