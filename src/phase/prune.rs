//! Nodes that the cluster has and the operator's file has not: drained, out of etcd, and gone; one after the other, and
//! after all that is new is in.

use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::Role;
use crate::etcd::Membership;
use crate::facts::ClusterFacts;
use crate::facts::NodeFacts;
use crate::facts::nodes::PodKind;
use crate::kube::objects::node::CONTROL_PLANE_LABEL;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::At;
use crate::plan::DeleteSpec;
use crate::plan::DrainSpec;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use crate::plan::ObjectRef;
use crate::plan::Place;
use crate::plan::Step;
use anyhow::ensure;
use std::collections::BTreeSet;

/// Everything that leaves in an orderly way.
pub const PHASE: &str = "prune";
/// Members of etcd that do not answer any more go first: etcd takes in nobody while a voter is down.
pub const LOST: &str = "prune-lost";

/// How long one node may take to be drained, unless the operator says otherwise.
pub const DRAIN_LIMIT: GoDuration = GoDuration::from_mins(5);

/// What must have come to its end on every host of the plan that has it, before anything leaves.
const FIRST_ON_HOSTS: [&str; 7] = [
    "etcd-hosts/wait",
    "endpoint",
    "workers/endpoint",
    "wait-control-plane",
    "workers/kubelet-start",
    "etcd-join",
    "kubelet-wait-bootstrap",
];
/// And for every Node.
const FIRST_FOR_NODES: [&str; 2] = ["mark-workers", "control-plane-join/mark-control-plane"];

/// A node, or only its member of etcd, that is in the cluster and not in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    pub name: String,
    /// Its Node object, where it still has one.
    pub node: Option<NodeFacts>,
    /// The peer URL of its member of etcd.
    pub member: Option<String>,
    /// The member does not answer.
    pub lost: bool,
}

impl Leaver {
    /// Whether it runs, or ran, a control plane, or etcd alone.
    pub fn is_server(&self) -> bool {
        self.member.is_some() || self.node.as_ref().is_some_and(is_labelled)
    }

    /// Whether a control plane runs there, as far as the cluster knows.
    fn serves(&self, cluster: &Cluster) -> bool {
        if cluster.has_stacked_etcd() {
            return self.member.is_some() && !self.lost;
        }
        self.node.as_ref().is_some_and(|node| is_labelled(node) && node.ready)
    }
}

fn is_labelled(node: &NodeFacts) -> bool {
    node.labels.contains_key(CONTROL_PLANE_LABEL)
}

/// All that is in the cluster and not in the file: workers first, then control planes whose etcd is lost, then others.
pub fn leavers(cluster: &Cluster, running: &ClusterFacts) -> Vec<Leaver> {
    let listed: BTreeSet<&str> =
        cluster.nodes.iter().filter(|node| node.becomes_node()).map(Node::registered_name).collect();
    let none = Membership::default();
    let etcd = running.etcd.as_ref().filter(|_| cluster.has_local_etcd()).unwrap_or(&none);
    let ours: BTreeSet<String> = cluster.etcd_members().map(|node| Member::of(node).peer_url).collect();
    let sick: BTreeSet<_> = etcd.sick_members().map(|(member, _)| member.id).collect();
    let mut strangers: Vec<_> =
        etcd.members.iter().filter(|member| !member.peer_urls.iter().any(|url| ours.contains(url))).collect();
    let mut found = Vec::new();
    for node in running.nodes.iter().filter(|node| !listed.contains(node.name.as_str())) {
        let at = strangers.iter().position(|member| belongs(member, node));
        let member = at.map(|at| strangers.remove(at));
        found.push(Leaver {
            name: node.name.clone(),
            node: Some(node.clone()),
            member: member.and_then(|member| member.peer_urls.first().cloned()),
            lost: member.is_some_and(|member| sick.contains(&member.id)),
        });
    }
    found.extend(strangers.into_iter().filter_map(|member| {
        let url = member.peer_urls.first()?.clone();
        let name = if member.name.is_empty() { url.clone() } else { member.name.clone() };
        Some(Leaver { name, node: None, member: Some(url), lost: sick.contains(&member.id) })
    }));
    found.sort_by_key(|leaver| (leaver.is_server(), !leaver.lost));
    found
}

fn belongs(member: &crate::etcd::Member, node: &NodeFacts) -> bool {
    let at = |url: &String| {
        let host = url.split("://").nth(1).and_then(|rest| rest.rsplit_once(':')).map(|(host, _)| host);
        let address = host.and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        address.is_some_and(|address| node.addresses.contains(&address))
    };
    member.name == node.name || member.peer_urls.iter().any(at)
}

/// Whether the endpoint survives that they leave. keepalived on a host that the others were told to forget hears them
/// no more, takes the address, and the others give it up, since they still hear that host (seen in the lab).
///
/// # Errors
/// One of them still runs, and would take the endpoint's address with it.
pub fn check_endpoint(cluster: &Cluster, leavers: &[Leaver]) -> anyhow::Result<()> {
    let dedicated = cluster.nodes.iter().any(|node| node.roles.contains(&Role::LoadBalancer));
    if dedicated || !matches!(cluster.site.balancing, Some(Balancing::Keepalived(_))) {
        return Ok(());
    }
    let running = leavers.iter().find(|leaver| leaver.serves(cluster));
    ensure!(
        running.is_none(),
        "{name} still runs, and its keepalived would take the endpoint's address with it when the others forget it; reset \
         it first, with the file that still has it: `kubewright reset -f FILE --limit {name}`",
        name = running.map(|leaver| leaver.name.as_str()).unwrap_or_default()
    );
    Ok(())
}

/// Whether etcd goes on when these members leave one after the other.
///
/// # Errors
/// It would not, and which of them is one too many.
pub fn check_quorum(etcd: &Membership, leavers: &[Leaver]) -> anyhow::Result<()> {
    let mut left = etcd.clone();
    for leaver in leavers {
        let Some(url) = &leaver.member else { continue };
        let is_voter = left.by_peer_url(url).is_some_and(|member| !member.is_learner);
        ensure!(
            left.healthy() || !is_voter,
            "cannot remove {}: etcd has no majority to decide on it ({} of {} members answer); mend the others first",
            leaver.name,
            left.health.len() - left.sick().count(),
            left.health.len()
        );
        left.forget(url);
        ensure!(
            left.healthy() || !is_voter,
            "cannot remove {}: of the {} members of etcd that would be left, only {} answer; mend those first",
            leaver.name,
            left.health.len(),
            left.health.len() - left.sick().count()
        );
    }
    Ok(())
}

/// The members that are lost, by peer URL, and the steps that remove them.
pub fn lost(cx: &Context<'_>, leavers: &[Leaver]) -> Vec<Step> {
    let lost = leavers.iter().filter(|leaver| leaver.lost);
    lost.filter_map(|leaver| {
        let step = step(LOST, removal(cx, leaver, leaver.member.as_ref()?));
        Some(Step { about: Some(leaver.name.clone()), ..step })
    })
    .collect()
}

/// The steps by which nodes leave.
pub fn steps(cx: &Context<'_>, leavers: &[Leaver]) -> Vec<Step> {
    leavers.iter().flat_map(|leaver| drafts(cx, leaver)).map(|draft| step(PHASE, draft)).collect()
}

fn drafts(cx: &Context<'_>, leaver: &Leaver) -> Vec<Draft> {
    let drain = leaver.node.as_ref().map(|node| {
        let leave = node.pods.iter().filter(|pod| pod.kind != PodKind::Stays);
        let spec = DrainSpec {
            node: node.name.clone(),
            pods: leave.map(ToString::to_string).collect(),
            limit: cx.options.drain_limit.unwrap_or(DRAIN_LIMIT),
        };
        Draft::new(
            format!("node {} drained", node.name),
            "it is not in the file; what runs there moves as disruption budgets allow",
            Action::Drain(spec),
        )
    });
    let member = leaver.member.as_ref().filter(|_| !leaver.lost).map(|url| removal(cx, leaver, url));
    let object = leaver.node.as_ref().map(|node| {
        Draft::new(
            format!("node {} gone", node.name),
            "its pods and its Lease go with it; the host itself is to be reset",
            Action::Delete(DeleteSpec {
                object: ObjectRef::new("v1", "Node", "", &node.name),
                unless_used: false,
            }),
        )
    });
    [drain, member, object].into_iter().flatten().collect()
}

fn removal(cx: &Context<'_>, leaver: &Leaver, url: &str) -> Draft {
    let limit = cx.cluster.timeouts.etcd_api_call;
    Draft::new(
        format!("etcd member of {} removed", leaver.name),
        "it is not in the file; the others must not count on it",
        Action::Member(MemberSpec {
            peer_url: url.to_owned(),
            change: MemberChange::Remove,
            limit,
            unhealthy: limit,
            best_effort: false,
        }),
    )
}

fn step(phase: &str, draft: Draft) -> Step {
    Step {
        phase: phase.to_owned(),
        place: Place::Cluster,
        about: None,
        title: draft.title,
        reason: draft.reason,
        action: draft.action,
    }
}

/// What leaves waits for all that comes, or is told that somebody leaves.
pub fn gates(steps: &[Step]) -> Vec<Gate> {
    let mut seen = BTreeSet::new();
    let mut gates = Vec::new();
    for step in steps {
        let at = match Lane::of(step) {
            Lane::Host(host) if FIRST_ON_HOSTS.contains(&step.phase.as_str()) => At::Host(host),
            Lane::ApiFor(host) if FIRST_FOR_NODES.contains(&step.phase.as_str()) => At::About(host),
            _ => continue,
        };
        if seen.insert((step.phase.clone(), Lane::of(step))) {
            gates.push(Gate { phase: PHASE.to_owned(), lane: None, after: step.phase.clone(), at });
        }
    }
    gates
}

/// What is said of nodes that stay although the file does not have them: what, and what to do.
pub fn mention(leavers: &[Leaver]) -> Option<(String, String)> {
    let names: Vec<&str> = leavers.iter().map(|leaver| leaver.name.as_str()).collect();
    let are = match names.as_slice() {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    let hint = "`--prune` drains and removes what the file does not have; otherwise add it to the file";
    Some((format!("{} {are} in the cluster and not in the file", names.join(", ")), hint.to_owned()))
}

/// What is to be done by hand when a node has left.
pub fn farewell(leaver: &Leaver) -> (String, String) {
    let name = &leaver.name;
    let message = format!("{name} has left the cluster, and its host still runs what it ran");
    let hint = if leaver.is_server() {
        format!(
            "run `kubewright reset` on {name} before it starts again: its etcd and its keys are of no use any more"
        )
    } else {
        format!("run `kubewright reset` on {name}: its kubelet would register again when it is restarted")
    };
    (message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Etcd as _;
    use crate::etcd::Fake;

    fn leaver(name: &str) -> Leaver {
        Leaver {
            name: name.to_owned(),
            node: None,
            member: Some(format!("https://{name}:2380")),
            lost: false,
        }
    }

    #[test]
    fn etcd_must_go_on_without_them() {
        for (voters, dead, leaving, allowed) in [
            (3, &[][..], &["cp3"][..], true),
            (3, &[], &["cp3", "cp2"], true),
            (3, &["cp3"], &["cp3"], true),
            (3, &["cp3"], &["cp2"], false),
            (2, &["cp2"], &["cp2"], false),
            (5, &["cp5", "cp4"], &["cp5", "cp4", "cp3"], true),
            (5, &["cp5", "cp4"], &["cp3"], false),
            (1, &[], &["cp1"], false),
        ] {
            let names = &["cp1", "cp2", "cp3", "cp4", "cp5"][..voters];
            let fake = Fake::with_voters(names);
            for name in dead {
                fake.kill(name);
            }
            let etcd = Membership::gather(&fake).unwrap();
            let leavers: Vec<_> = leaving.iter().map(|name| leaver(name)).collect();
            let found = check_quorum(&etcd, &leavers);
            assert_eq!(found.is_ok(), allowed, "{voters} voters, {dead:?} dead, {leaving:?}: {found:?}");
        }
    }

    #[test]
    fn a_learner_may_always_go() {
        let fake = Fake::with_voters(&["cp1", "cp2"]);
        fake.member_add_learner("https://cp3:2380").unwrap();
        fake.kill("cp2");
        let etcd = Membership::gather(&fake).unwrap();
        assert!(check_quorum(&etcd, &[leaver("cp3")]).is_ok());
    }

    #[test]
    fn a_member_belongs_to_the_node_at_its_address() {
        let member = |name: &str, url: &str| crate::etcd::Member {
            id: crate::etcd::MemberId(1),
            name: name.to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        };
        let addresses = ["192.0.2.3", "2001:db8::3"].map(|text| text.parse().unwrap()).to_vec();
        let node = NodeFacts { name: "cp3".to_owned(), addresses, ..NodeFacts::default() };
        for (name, url, expected) in [
            ("cp3", "https://elsewhere:2380", true),
            ("old", "https://192.0.2.3:2380", true),
            ("old", "https://[2001:db8::3]:2380", true),
            ("old", "https://192.0.2.33:2380", false),
            ("", "x", false),
        ] {
            assert_eq!(belongs(&member(name, url), &node), expected, "{name} {url}");
        }
    }
}
