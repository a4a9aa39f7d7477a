//! Nodes that leave a cluster: planned from what it says of them, and drained through an API in memory.

use crate::support::scenario::Scenario;
use kubewright::api;
use kubewright::apply;
use kubewright::apply::NoPods;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::clock::Manual;
use kubewright::cluster::GoDuration;
use kubewright::etcd::Member;
use kubewright::etcd::MemberId;
use kubewright::etcd::Membership;
use kubewright::etcd::NoEtcd;
use kubewright::facts::NodeFacts;
use kubewright::facts::nodes::PodFacts;
use kubewright::facts::nodes::PodKind;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::phase::growth;
use kubewright::phase::prune;
use kubewright::plan::*;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use time::macros::datetime;

/// The members of etcd by name and address, and those that do not answer.
fn etcd(members: &[(&str, &str)], dead: &[&str]) -> Membership {
    let member = |(at, (name, address)): (usize, &(&str, &str))| Member {
        id: MemberId(at as u64 + 1),
        name: (*name).to_owned(),
        peer_urls: vec![format!("https://{address}:2380")],
        client_urls: vec![format!("https://{address}:2379")],
        is_learner: false,
    };
    let members_ = members.iter().enumerate().map(member).collect();
    let health = members.iter().map(|(name, address)| kubewright::etcd::EndpointHealth {
        endpoint: format!("https://{address}:2379"),
        error: dead.contains(name).then(|| "connection refused".to_owned()),
    });
    Membership { members: members_, health: health.collect() }
}

fn node(name: &str, address: &str, pods: &[(&str, PodKind)]) -> NodeFacts {
    let pod = |(name, kind): &(&str, PodKind)| PodFacts {
        namespace: "default".to_owned(),
        name: (*name).to_owned(),
        kind: *kind,
    };
    NodeFacts {
        name: name.to_owned(),
        addresses: vec![address.parse().unwrap()],
        ready: true,
        pods: pods.iter().map(pod).collect(),
        ..NodeFacts::default()
    }
}

const OURS: [(&str, &str); 5] = [
    ("cp1", "198.51.100.11"),
    ("cp2", "198.51.100.12"),
    ("cp3", "198.51.100.13"),
    ("w1", "198.51.100.21"),
    ("w2", "198.51.100.22"),
];
const OLD: (&str, &str) = ("old", "198.51.100.99");

/// The cluster of a scenario as it runs, with one control plane and one worker more than its file has.
fn with_two_more(dead: &[&str], members: &[(&str, &str)]) -> Scenario {
    let mut scenario = Scenario::load("ha-five", None);
    scenario.running.runs = true;
    scenario.running.nodes = OURS.iter().map(|(name, address)| node(name, address, &[])).collect();
    let pods = [("web-1", PodKind::Evicted), ("agent", PodKind::Stays), ("lone", PodKind::Lone)];
    scenario.running.nodes.extend([node(OLD.0, OLD.1, &[]), node("w9", "198.51.100.98", &pods)]);
    scenario.running.etcd = Some(etcd(members, dead));
    for name in ["cp1", "cp2", "cp3"] {
        let facts = scenario.facts.get_mut(name).unwrap();
        facts.existing_paths.insert("/var/lib/etcd/member".to_owned());
    }
    scenario.options.prune = true;
    scenario
}

fn planned(scenario: &Scenario) -> anyhow::Result<Plan> {
    growth::plan(&scenario.context(), &scenario.selected, &BTreeMap::new())
}

/// Phase and title of what is done for those that leave.
fn leaving(plan: &Plan) -> Vec<(&str, &str)> {
    let steps = plan.steps.iter().filter(|step| step.phase.starts_with(prune::PHASE));
    steps.map(|step| (step.phase.as_str(), step.title.as_str())).collect()
}

fn all() -> Vec<(&'static str, &'static str)> {
    OURS[..3].iter().copied().chain([OLD]).collect()
}

#[test]
fn workers_leave_first_and_a_control_plane_leaves_etcd_before_its_node_goes() {
    let scenario = with_two_more(&[], &all());
    let plan = planned(&scenario).unwrap();
    assert_eq!(
        leaving(&plan),
        [
            ("prune", "node w9 drained"),
            ("prune", "node w9 gone"),
            ("prune", "node old drained"),
            ("prune", "etcd member of old removed"),
            ("prune", "node old gone"),
        ]
    );
    let text = display::text(&plan, display::Detail::Short);
    assert!(text.contains("evicts default/web-1 and default/lone, at most 5m0s"), "{text}");
    assert!(!text.contains("default/agent"), "{text}");
    let value = display::json(&plan);
    let kinds: Vec<_> = value["steps"].as_array().unwrap().iter().rev().take(5).collect();
    assert_eq!(
        (&kinds[0]["action"]["kind"], &kinds[2]["action"]["kind"]),
        (&json!("delete"), &json!("drain"))
    );
    // Without being asked to, nobody leaves.
    let mut kept = with_two_more(&[], &all());
    kept.options.prune = false;
    assert_eq!(leaving(&planned(&kept).unwrap()), []);
    let (said, hint) = prune::mention(&prune::leavers(&kept.cluster, &kept.running)).unwrap();
    assert_eq!(said, "w9, old are in the cluster and not in the file");
    assert!(hint.contains("--prune"));
}

#[test]
fn nobody_leaves_before_what_is_new_is_in() {
    // cp3 joins.
    let mut scenario = with_two_more(&[], &[OURS[0], OURS[1], OLD]);
    scenario.facts.get_mut("cp3").unwrap().existing_paths.clear();
    let plan = planned(&scenario).unwrap();
    let Order::Paced(gates) = &plan.order else { panic!("{:?}", plan.order) };
    let waits: Vec<String> =
        gates.iter().filter(|gate| gate.phase == prune::PHASE).map(ToString::to_string).collect();
    for expected in ["etcd-join on cp3", "workers/kubelet-start on w2", "mark-workers for w1"] {
        assert!(waits.iter().any(|gate| gate == expected), "{expected}: {waits:?}");
    }
}

#[test]
fn a_lost_member_goes_before_another_one_comes() {
    let mut scenario = with_two_more(&["old"], &[OURS[0], OURS[1], OLD]);
    scenario.facts.get_mut("cp3").unwrap().existing_paths.clear();
    let plan = planned(&scenario).unwrap();
    let found = leaving(&plan);
    assert_eq!(found[0], ("prune-lost", "etcd member of old removed"));
    assert_eq!(found.iter().filter(|(_, title)| title.contains("etcd member")).count(), 1);
    let Order::Paced(gates) = &plan.order else { panic!("{:?}", plan.order) };
    let joins = gates.iter().find(|gate| gate.phase == "etcd-join" && gate.after == prune::LOST).unwrap();
    assert_eq!(joins.at, At::About("old".to_owned()));
}

#[test]
fn a_plan_that_would_cost_etcd_its_majority_is_refused() {
    let scenario = with_two_more(&["cp2"], &[OURS[0], OURS[1], OLD]);
    let error = planned(&scenario).unwrap_err().to_string();
    assert!(error.contains("cannot remove old"), "{error}");
    let mut silent = with_two_more(&[], &all());
    silent.running.etcd = None;
    silent.running.etcd_trouble = Some("connection refused".to_owned());
    let label = "node-role.kubernetes.io/control-plane".to_owned();
    silent
        .running
        .nodes
        .iter_mut()
        .find(|node| node.name == "old")
        .unwrap()
        .labels
        .insert(label, String::new());
    assert!(planned(&silent).unwrap_err().to_string().contains("connection refused"));
}

#[test]
fn a_control_plane_that_runs_does_not_take_the_endpoint_with_it() {
    let keepalived = Scenario::load("endpoint-keepalived", None).cluster.site.balancing;
    let mut scenario = with_two_more(&[], &all());
    scenario.cluster.site.balancing = keepalived;
    scenario.cluster.nodes.retain(|node| node.name != "lb1");
    let leavers = prune::leavers(&scenario.cluster, &scenario.running);
    let error = prune::check_endpoint(&scenario.cluster, &leavers).unwrap_err().to_string();
    assert!(error.contains("kubewright reset -f FILE --limit old"), "{error}");
    // One that is off, or was reset, cannot.
    let lost: Vec<_> = leavers.iter().cloned().map(|leaver| prune::Leaver { lost: true, ..leaver }).collect();
    let reset: Vec<_> = leavers.into_iter().map(|leaver| prune::Leaver { member: None, ..leaver }).collect();
    assert!(prune::check_endpoint(&scenario.cluster, &lost).is_ok());
    assert!(prune::check_endpoint(&scenario.cluster, &reset).is_ok());
}

#[test]
fn a_control_plane_that_joins_balances_with_the_others() {
    let keepalived = Scenario::load("endpoint-keepalived", None).cluster.site.balancing;
    // One that is new, and one that came back without its data.
    for members in [&OURS[..2], &OURS[..3]] {
        let mut scenario = with_two_more(&[], members);
        scenario.options.prune = false;
        scenario.cluster.site.balancing.clone_from(&keepalived);
        scenario.cluster.nodes.retain(|node| node.name != "lb1");
        let facts = scenario.facts.get_mut("cp3").unwrap();
        facts.existing_paths.remove("/var/lib/etcd/member");
        let plan = planned(&scenario).unwrap();
        let written = |ending: &str| -> Vec<String> {
            let files = plan.steps.iter().filter(|step| step.place == Place::Host("cp3".to_owned()));
            let text = |step: &Step| match &step.action {
                Action::File(FileSpec { path, content: Content::Text(text), .. })
                    if path.ends_with(ending) =>
                {
                    Some(text.clone())
                }
                _ => None,
            };
            files.filter_map(text).collect()
        };
        for ending in ["/keepalived.conf", "/haproxy.cfg"] {
            let texts = written(ending);
            assert_eq!(texts.len(), 1, "{ending} is written {} times", texts.len());
            for (_, address) in &OURS[..2] {
                assert!(texts[0].contains(address), "{ending} without {address}:\n{}", texts[0]);
            }
        }
    }
}

struct Nothing;

impl Resolve for Nothing {
    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        panic!("{content:?}")
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        panic!("{fill:?}")
    }
}

impl apply::Images for Nothing {
    fn present(&self, _: &dyn Host, _: &str, reference: &str) -> anyhow::Result<bool> {
        panic!("{reference}")
    }

    fn pull(&self, _: &dyn Host, _: &str, reference: &str) -> anyhow::Result<()> {
        panic!("{reference}")
    }
}

fn pod(name: &str, owner: Option<&str>, more: &Value) -> Value {
    let mut metadata = json!({"namespace": "default", "name": name});
    if let Some(kind) = owner {
        metadata["ownerReferences"] = json!([{"kind": kind, "controller": true}]);
    }
    for (key, value) in more.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "w9"}})
}

fn api(ready: bool) -> api::Fake {
    let api = api::Fake::new();
    let status = if ready { "True" } else { "Unknown" };
    api.put(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "w9"},
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    }));
    api.put(pod("web", Some("ReplicaSet"), &json!({})));
    api.put(pod("agent", Some("DaemonSet"), &json!({})));
    api.put(pod("mirror", None, &json!({"annotations": {"kubernetes.io/config.mirror": "x"}})));
    api.put(pod("lone", None, &json!({})));
    api
}

fn named(name: &str) -> ObjectRef {
    ObjectRef::new("v1", "Pod", "default", name)
}

/// Drains and removes the node.
fn leave(api: &api::Fake, dry_run: bool) -> (Report, Vec<Event>) {
    let drain = DrainSpec { node: "w9".to_owned(), pods: Vec::new(), limit: GoDuration::from_secs(60) };
    let object = ObjectRef::new("v1", "Node", "", "w9");
    let step = |action| Step {
        phase: prune::PHASE.to_owned(),
        place: Place::Cluster,
        about: None,
        title: "leave".to_owned(),
        reason: String::new(),
        action,
    };
    let steps =
        vec![step(Action::Drain(drain)), step(Action::Delete(DeleteSpec { object, unless_used: false }))];
    let plan = Plan { steps, ..Plan::default() };
    let told = Mutex::new(Vec::new());
    let options = Options { dry_run, ..Options::default() };
    let report = apply::execute(
        &plan,
        &World {
            hosts: &Fleet::of(Fake::new("cp1")),
            api,
            etcd: &NoEtcd,
            resolver: &Nothing,
            images: &Nothing,
            pods: &NoPods,
            clock: &Manual::new(datetime!(2026-01-01 00:00 UTC)),
            events: &|event| told.lock().unwrap().push(event),
            interrupt: &AtomicBool::new(false),
            options: &options,
        },
    );
    (report, told.into_inner().unwrap())
}

fn names(api: &api::Fake) -> Vec<String> {
    api.objects().keys().map(|object| object.name.clone()).collect()
}

#[test]
fn a_drain_evicts_what_does_not_belong_to_the_node() {
    let api = api(true);
    api.protect(named("web"), 3);
    let (report, _) = leave(&api, true);
    assert_eq!(report.records.iter().map(|one| one.outcome).collect::<Vec<_>>(), [Outcome::WouldChange; 2]);
    assert_eq!(api.mutations(), 0);
    let (report, _) = leave(&api, false);
    assert!(report.success(), "{report:?}");
    assert_eq!(names(&api), ["agent", "mirror"]);
    let (again, _) = leave(&api, false);
    assert_eq!(again.records.iter().map(|one| one.outcome).collect::<Vec<_>>(), [Outcome::Ok; 2]);
}

#[test]
fn what_cannot_be_evicted_is_told_and_the_node_stays() {
    let api = api(true);
    api.protect(named("web"), usize::MAX);
    let (report, told) = leave(&api, false);
    let failure = &report.failures[0];
    assert_eq!(failure.kind, FailureKind::Timeout);
    let left = &failure.details.iter().find(|(label, _)| label == "not gone").unwrap().1;
    assert!(left.starts_with("default/web: ") && left.contains("disruption budget"), "{left}");
    assert!(!left.contains("default/lone"), "{left}");
    let waits = |event: &Event| matches!(event, Event::Waiting { last, .. } if last.starts_with("1 left: default/web"));
    assert!(told.iter().any(waits), "{told:?}");
    let node = &api.objects()[&ObjectRef::new("v1", "Node", "", "w9")];
    assert_eq!(node["spec"]["unschedulable"], true);
}

#[test]
fn pods_of_a_dead_kubelet_are_not_waited_for() {
    for (ready, gone) in [(false, true), (true, false)] {
        let api = api(ready);
        api.put(pod("web", Some("ReplicaSet"), &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})));
        let (report, _) = leave(&api, false);
        assert_eq!(report.success(), gone, "{report:?}");
    }
}
