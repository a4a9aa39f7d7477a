//! etcd on hosts of its own, as a cluster that runs grows, loses, and gives up some of them.

use crate::fleet_runs::Trial;
use crate::support::scenario::Scenario;
use kubewright::apply::receipt;
use kubewright::apply::receipt::Receipt;
use kubewright::etcd::EndpointHealth;
use kubewright::etcd::Member;
use kubewright::etcd::MemberId;
use kubewright::etcd::Membership;
use kubewright::host::Fake;
use kubewright::phase::growth;
use kubewright::plan::Action;
use kubewright::plan::At;
use kubewright::plan::Gate;
use kubewright::plan::Lane;
use kubewright::plan::Order;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const DATA: &str = "/srv/etcd/member";
const OLD: (&str, &str) = ("etcd9", "198.51.100.39");
const MEMBERS: [(&str, &str); 3] =
    [("etcd1", "198.51.100.31"), ("etcd2", "198.51.100.32"), ("etcd3", "198.51.100.33")];

/// The members of a running etcd; those in `dead` do not answer.
fn etcd(members: &[(&str, &str)], dead: &[&str]) -> Membership {
    let member = |(at, (name, address)): (usize, &(&str, &str))| Member {
        id: MemberId(at as u64 + 1),
        name: (*name).to_owned(),
        peer_urls: vec![format!("https://{address}:2380")],
        client_urls: vec![format!("https://{address}:2379")],
        is_learner: false,
    };
    let health = members.iter().map(|(name, address)| EndpointHealth {
        endpoint: format!("https://{address}:2379"),
        error: dead.contains(name).then(|| "connection refused".to_owned()),
    });
    Membership { members: members.iter().enumerate().map(member).collect(), health: health.collect() }
}

/// The cluster of the scenario as it runs with these members; the hosts in `empty` have no data.
fn running(members: &[(&str, &str)], dead: &[&str], empty: &[&str]) -> Scenario {
    let mut scenario = Scenario::load("etcd-dedicated", None);
    scenario.running.runs = true;
    scenario.running.etcd = Some(etcd(members, dead));
    for (name, _) in MEMBERS.iter().filter(|(name, _)| !empty.contains(name)) {
        scenario.facts.get_mut(*name).unwrap().existing_paths.insert(DATA.to_owned());
    }
    scenario
}

fn planned(scenario: &Scenario) -> anyhow::Result<Plan> {
    growth::plan(&scenario.context(), &scenario.selected, &BTreeMap::new())
}

/// The phases of a host, in order, once each.
fn phases<'a>(plan: &'a Plan, host: &str) -> Vec<&'a str> {
    let mut phases: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.place == Place::Host(host.to_owned()))
        .map(|step| step.phase.as_str())
        .collect();
    phases.dedup();
    phases
}

fn gates(plan: &Plan) -> &[Gate] {
    let Order::Paced(gates) = &plan.order else { panic!("{:?}", plan.order) };
    gates
}

fn api_server(plan: &Plan) -> String {
    let manifest = plan.steps.iter().find_map(|step| match &step.action {
        Action::File(file) if file.path.ends_with("/kube-apiserver.yaml") => file.content.text(),
        _ => None,
    });
    manifest.unwrap().to_owned()
}

#[test]
fn a_new_cluster_starts_etcd_with_its_api_servers() {
    let plan = planned(&Scenario::load("etcd-dedicated", None)).unwrap();
    let start = gates(&plan).iter().find(|gate| gate.phase == "kubelet-start").unwrap();
    assert_eq!((start.after.as_str(), &start.at), ("etcd-hosts/kubelet-start", &At::AnyHost));
    assert!(!plan.steps.iter().any(|step| step.phase == "etcd-join"));
}

#[test]
fn a_host_that_is_new_joins_as_a_learner_before_api_servers_hear_of_it() {
    let plan = planned(&running(&MEMBERS[..2], &[], &["etcd3"])).unwrap();
    let expected = [
        "preflight",
        "certs/etcd-ca",
        "certs/etcd-server",
        "certs/etcd-peer-ca",
        "certs/etcd-peer",
        "certs/etcd-healthcheck-client",
        "check-etcd",
        "etcd-hosts/kubelet-start",
        "etcd-join",
        "etcd-hosts/wait",
    ];
    assert_eq!(phases(&plan, "etcd3"), expected);
    assert!(phases(&plan, "etcd1").contains(&"etcd/local"));
    let hears = gates(&plan).iter().find(|gate| gate.phase == "control-plane/apiserver").unwrap();
    assert_eq!((hears.after.as_str(), &hears.at), ("etcd-hosts/wait", &At::Host("etcd3".to_owned())));
    assert!(api_server(&plan).contains("https://198.51.100.33:2379"));
}

#[test]
fn a_host_whose_data_is_gone_is_replaced() {
    let plan = planned(&running(&MEMBERS, &["etcd3"], &["etcd3"])).unwrap();
    let phases = phases(&plan, "etcd3");
    assert_eq!((phases[0], phases.contains(&"etcd-join")), ("etcd-replace", true), "{phases:?}");
    // API servers know its address, and wait for nobody.
    assert!(!gates(&plan).iter().any(|gate| gate.phase == "control-plane/apiserver"));
}

#[test]
fn a_host_that_left_the_file_leaves_etcd_when_api_servers_have_forgotten_it() {
    let all: Vec<_> = MEMBERS.into_iter().chain([OLD]).collect();
    let mut scenario = running(&all, &[], &[]);
    scenario.running.nodes.push(kubewright::facts::NodeFacts { name: "w1".to_owned(), ..Default::default() });
    scenario.options.prune = true;
    let plan = planned(&scenario).unwrap();
    let leaves: Vec<&str> =
        plan.steps.iter().filter(|step| step.phase == "prune").map(|step| step.title.as_str()).collect();
    assert_eq!(leaves, ["etcd member of etcd9 removed"]);
    assert!(!api_server(&plan).contains(OLD.1));
    let waits: BTreeSet<String> =
        gates(&plan).iter().filter(|gate| gate.phase == "prune").map(ToString::to_string).collect();
    for expected in ["wait-control-plane on cp1", "wait-control-plane on cp3", "etcd-hosts/wait on etcd2"] {
        assert!(waits.contains(expected), "{expected}: {waits:?}");
    }
    scenario.running.etcd = Some(etcd(&all, &["etcd1", "etcd2"]));
    let error = planned(&scenario).unwrap_err().to_string();
    assert!(error.contains("cannot remove etcd9"), "{error}");
}

#[test]
fn a_limit_stops_at_its_hosts() {
    let mut scenario = running(&MEMBERS[..2], &[], &["etcd3"]);
    scenario.options.only = Some(["etcd3".to_owned()].into());
    let plan = planned(&scenario).unwrap();
    let others = plan.steps.iter().find(|step| Lane::of(step) != Lane::Host("etcd3".to_owned()));
    assert_eq!(others, None);
}

/// What an API server uses, what the file would have it use, and whether that is the same etcd.
#[test]
fn api_servers_are_not_put_on_another_etcd() {
    for (scenario, uses, allowed) in [
        ("etcd-dedicated", "https://127.0.0.1:2379", false),
        ("etcd-dedicated", "https://198.51.100.77:2379", false),
        ("etcd-dedicated", "https://198.51.100.77:2379,https://198.51.100.32:2379", true),
        ("ha-five", "https://198.51.100.32:2379", false),
        ("ha-five", "https://127.0.0.1:2379", true),
        ("external-etcd", "https://198.51.100.77:2379", true),
    ] {
        let mut loaded = Scenario::load(scenario, None);
        let facts = loaded.facts.get_mut("cp1").unwrap();
        facts.etcd_servers = uses.split(',').map(str::to_owned).collect();
        let error = planned(&loaded).err().map(|error| error.to_string());
        assert_eq!(error.is_none(), allowed, "{scenario} {uses}: {error:?}");
        assert!(error.is_none_or(|text| text.contains("does not move") && text.contains("cp1")));
    }
}

/// With most of etcd gone, empty members would found another one.
#[test]
fn what_has_run_does_not_begin_anew() {
    for (empty, has_run, allowed) in [
        (&["etcd2", "etcd3"][..], true, false),
        (&["etcd1", "etcd2", "etcd3"], true, false),
        (&["etcd2", "etcd3"], false, true),
        (&[], true, true),
    ] {
        let mut scenario = running(&MEMBERS, &[], empty);
        scenario.running.runs = false;
        scenario.running.etcd = None;
        scenario.running.etcd_trouble = Some("connection refused".to_owned());
        let ours = if has_run { receipts_of_a_run() } else { BTreeMap::new() };
        let plan = growth::plan(&scenario.context(), &scenario.selected, &ours);
        let error = plan.err().map(|error| error.to_string());
        assert_eq!(error.is_none(), allowed, "{empty:?} {has_run}: {error:?}");
        let names = empty.join(", ");
        assert!(error.is_none_or(|text| text.contains("connection refused") && text.contains(&names)));
    }
}

/// What the receipts say of a cluster that has been made: written by a run, not by this test.
fn receipts_of_a_run() -> BTreeMap<String, BTreeSet<String>> {
    let mut trial = Trial::new();
    let stage = trial.stage();
    let plan = trial.plan(&stage);
    let ran = trial.run(&stage, &plan);
    assert!(ran.report.success(), "{:#?}", ran.report.failures);
    let ours = |host: &Fake| Receipt::load(host, receipt::PATH).unwrap().map(|receipt| receipt.ours());
    stage.hosts.iter().filter_map(|(name, host)| Some((name.clone(), ours(host)?))).collect()
}
