//! Add-ons on an API in memory: fields with a keeper, definitions and rollouts that are waited for, and what goes again.

use crate::support::scenario::Scenario;
use kubewright::api;
use kubewright::apply;
use kubewright::apply::NoPods;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::apply::compare::is_part;
use kubewright::clock::Manual;
use kubewright::etcd::NoEtcd;
use kubewright::facts::addons::Installed;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::kube::objects::cilium;
use kubewright::kube::objects::coredns;
use kubewright::plan::*;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use serde_json::Value;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use time::macros::datetime;

struct Nothing;

impl Resolve for Nothing {
    fn supply(&self, supply: &Supply) -> anyhow::Result<(Box<dyn std::io::Read + Send>, u64)> {
        anyhow::bail!("{supply}")
    }

    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("{content:?}")
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        anyhow::bail!("{fill:?}")
    }

    fn is_current(&self, _: &Fill, _: &str) -> anyhow::Result<Option<bool>> {
        Ok(None)
    }
}

/// The add-ons of a scenario, without the cluster around them.
fn addons(scenario: &Scenario) -> Plan {
    let ours = ["addon/cni", "addon/manifests", "addon/prune"];
    let steps = scenario.plan().steps.into_iter().filter(|step| ours.contains(&step.phase.as_str()));
    Plan { steps: steps.collect(), ..Plan::default() }
}

fn run(api: &api::Fake, plan: &Plan, options: Options) -> (Report, Vec<Event>) {
    let told = Mutex::new(Vec::new());
    let report = apply::execute(
        plan,
        &World {
            hosts: &Fleet::of(Fake::new("cp1")),
            api,
            etcd: &NoEtcd,
            resolver: &Nothing,
            images: &NoImages,
            pods: &NoPods,
            clock: &Manual::new(datetime!(2026-01-01 00:00 UTC)),
            events: &|event| told.lock().unwrap().push(event),
            interrupt: &AtomicBool::new(false),
            options: &Options { diff: true, ..options },
        },
    );
    (report, told.into_inner().unwrap())
}

struct NoImages;

impl apply::Images for NoImages {
    fn present(&self, _: &dyn kubewright::host::Host, _: &str, image: &str) -> anyhow::Result<bool> {
        anyhow::bail!("{image}")
    }

    fn pull(&self, _: &dyn kubewright::host::Host, _: &str, image: &str) -> anyhow::Result<()> {
        anyhow::bail!("{image}")
    }
}

fn really() -> Options {
    Options::default()
}

fn dry() -> Options {
    Options { dry_run: true, ..Options::default() }
}

fn daemon_set() -> ObjectRef {
    ObjectRef::new("apps/v1", "DaemonSet", "kube-flannel", "kube-flannel-ds")
}

/// flannel on an API in memory, and its plan.
fn flannel() -> (api::Fake, Plan) {
    let (api, plan) = (api::Fake::new(), addons(&Scenario::load("cni-flannel", None)));
    let (report, _) = run(&api, &plan, really());
    assert!(report.success(), "{:#?}", report.failures);
    (api, plan)
}

/// What is said of an object's step.
fn said(told: &[Event], name: &ObjectRef) -> (Outcome, String, String) {
    let found = told.iter().find_map(|event| match event {
        Event::StepFinished { subject, outcome, detail, diff, .. } if *subject == name.to_string() => {
            Some((*outcome, detail.clone().unwrap_or_default(), diff.clone().unwrap_or_default()))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{told:#?}"))
}

const PRIORITY: &str = "/spec/template/spec/priorityClassName";

#[test]
fn what_somebody_else_has_set_is_shown_and_stays() {
    let (api, plan) = flannel();
    api.edit(&daemon_set(), PRIORITY, json!("low"), "kubectl-edit");
    let before = api.objects();

    let (report, told) = run(&api, &plan, dry());
    assert!(report.success(), "{:#?}", report.failures);
    let (outcome, detail, diff) = said(&told, &daemon_set());
    assert_eq!(outcome, Outcome::WouldChange);
    assert!(detail.contains("--force-conflicts") && detail.contains("kubectl-edit"), "{detail}");
    assert!(diff.contains("-      priorityClassName: low"), "{diff}");
    assert!(diff.contains("+      priorityClassName: system-node-critical"), "{diff}");

    let (report, _) = run(&api, &plan, really());
    let failure = &report.failures[0];
    assert!(
        failure.causes.iter().any(|cause| cause.contains("conflict with \"kubectl-edit\"")),
        "{failure:?}"
    );
    assert!(failure.hints[0].contains("--force-conflicts"), "{failure:?}");
    assert!(api.objects() == before, "nothing was changed");

    let (report, _) = run(&api, &plan, Options { force_conflicts: true, ..really() });
    assert!(report.success(), "{:#?}", report.failures);
    assert_eq!(api.objects()[&daemon_set()].pointer(PRIORITY).unwrap(), "system-node-critical");
    let (report, _) = run(&api, &plan, really());
    assert_eq!(report.totals().changed, 0, "{:#?}", report.records);
}

#[test]
fn what_others_add_stays_and_what_we_drop_goes() {
    let (api, mut plan) = flannel();
    api.edit(&daemon_set(), "/metadata/annotations/example.com~1note", json!("theirs"), "somebody");
    let (report, _) = run(&api, &plan, really());
    assert_eq!(report.totals().changed, 0, "{:#?}", report.records);
    for step in &mut plan.steps {
        if let Action::Object(spec) = &mut step.action
            && ObjectRef::of(&spec.object.value) == daemon_set()
        {
            let spec = spec.object.value.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut);
            spec.unwrap().remove("priorityClassName");
        }
    }
    let (_, told) = run(&api, &plan, dry());
    assert!(said(&told, &daemon_set()).2.contains("-      priorityClassName: system-node-critical"));
    assert!(run(&api, &plan, really()).0.success());
    let now = &api.objects()[&daemon_set()];
    assert_eq!(now.pointer(PRIORITY), None);
    assert_eq!(now["metadata"]["annotations"]["example.com/note"], "theirs");
}

#[test]
fn what_never_comes_up_ends_in_an_error_that_a_rerun_mends() {
    for (scenario, subject, advice) in [
        (
            "cni-calico",
            "ippools.crd.projectcalico.org established",
            "kubectl describe crd ippools.crd.projectcalico.org",
        ),
        (
            "cni-flannel",
            "DaemonSet kube-flannel/kube-flannel-ds rolled out",
            "kubectl -n kube-flannel describe daemonset",
        ),
    ] {
        let (api, plan) = (api::Fake::new(), addons(&Scenario::load(scenario, None)));
        api.idle();
        let (report, _) = run(&api, &plan, really());
        let failure = &report.failures[0];
        assert_eq!((failure.kind, failure.subject.as_str()), (FailureKind::Timeout, subject));
        assert!(failure.details.iter().any(|(_, text)| text.contains(advice)), "{failure:?}");
        api.wake();
        let (report, _) = run(&api, &plan, really());
        assert!(report.success(), "{:#?}", report.failures);
    }
}

#[test]
fn an_add_on_that_is_switched_off_goes_and_nothing_else() {
    let (api, _) = flannel();
    let mut off = Scenario::load("cni-flannel", None);
    off.cluster.site.cni = kubewright::cluster::Cni::None;
    off.running.addons =
        api.objects().values().filter_map(Installed::of).filter(|one| !one.members.is_empty()).collect();
    let note = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "kube-flannel"}});
    let bystander = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "default"}});
    api.put(note.clone());
    api.put(bystander.clone());
    let (report, told) = run(&api, &addons(&off), really());
    assert!(report.success(), "{:#?}", report.failures);
    let left: Vec<ObjectRef> = api.objects().into_keys().collect();
    let namespace = ObjectRef::new("v1", "Namespace", "", "kube-flannel");
    assert_eq!(left, [ObjectRef::of(&bystander), ObjectRef::of(&note), namespace.clone()]);
    let (outcome, detail, _) = said(&told, &namespace);
    assert_eq!((outcome, detail.as_str()), (Outcome::Ok, "kept: ConfigMap kube-flannel/mine is in it"));
}

#[test]
fn an_empty_namespace_goes_with_its_add_on() {
    let (api, _) = flannel();
    let mut off = Scenario::load("cni-flannel", None);
    off.cluster.site.cni = kubewright::cluster::Cni::None;
    off.running.addons =
        api.objects().values().filter_map(Installed::of).filter(|one| !one.members.is_empty()).collect();
    assert!(run(&api, &addons(&off), really()).0.success());
    assert!(api.objects().is_empty(), "{:?}", api.objects().keys());
}

/// The plan of some add-ons alone.
fn only(scenario: &mut Scenario, names: &[&str]) -> Vec<Step> {
    scenario.options.addons = Some(names.iter().map(|name| (*name).to_owned()).collect());
    let ours = |step: &Step| step.phase.starts_with("addon/");
    scenario.plan().steps.into_iter().filter(ours).collect()
}

#[test]
fn a_run_about_some_add_ons_leaves_the_others_alone() {
    let mut scenario = Scenario::load("addons-charts", None);
    let phases = |steps: &[Step]| -> Vec<String> {
        let mut phases: Vec<String> = steps.iter().map(|step| step.phase.clone()).collect();
        phases.dedup();
        phases
    };
    assert_eq!(phases(&only(&mut scenario, &["shop"])), ["addon/charts"]);
    assert_eq!(phases(&only(&mut scenario, &["coredns"])), ["addon/coredns"]);
    assert_eq!(phases(&only(&mut scenario, &["kubernetes-dashboard"])), ["addon/kubernetes-dashboard"]);
    // It is in the cluster and switched off.
    let gone = only(&mut scenario, &["metrics-server"]);
    assert!(gone.len() == 4 && gone.iter().all(|step| matches!(step.action, Action::Delete(_))), "{gone:#?}");
}

#[test]
fn a_group_of_the_api_that_nobody_answers_for_ends_in_an_error() {
    let scenario = Scenario::load("addons-external-ca", None);
    let of_service = |step: &Step| match &step.action {
        Action::Object(spec) => spec.object.value["kind"] == "APIService",
        Action::Wait(wait) => matches!(wait.probe, Probe::Available { .. }),
        _ => false,
    };
    let steps: Vec<Step> = scenario.plan().steps.into_iter().filter(of_service).collect();
    assert_eq!(steps.len(), 2);
    let (api, plan) = (api::Fake::new(), Plan { steps, ..Plan::default() });
    api.idle();
    let (report, _) = run(&api, &plan, really());
    let failure = &report.failures[0];
    assert_eq!(
        (failure.kind, failure.subject.as_str()),
        (FailureKind::Timeout, "v1beta1.metrics.k8s.io available")
    );
    let text = format!("{:?}", failure.details);
    assert!(text.contains("kubectl describe apiservice v1beta1.metrics.k8s.io"), "{text}");
    api.wake();
    let (report, _) = run(&api, &plan, really());
    assert!(report.success(), "{:#?}", report.failures);
}

#[test]
fn a_corefile_of_ours_follows_the_configuration_and_one_of_the_operators_stays() {
    let mut scenario = Scenario::load("addons-system", None);
    let ours = coredns::corefile(&scenario.cluster).unwrap();
    let stock = coredns::stock(&scenario.cluster).unwrap();
    let earlier = ours.replace("192.0.2.7", "192.0.2.8");
    let theirs = format!("{stock}example.com:53 {{\n    forward . 192.0.2.9\n}}\n");
    for (there, mark, how) in [
        (&stock, None, ApplyHow::CreateOrReplace),
        (&ours, Some(&ours), ApplyHow::CreateOrReplace),
        (&earlier, Some(&earlier), ApplyHow::CreateOrReplace),
        (&theirs, None, ApplyHow::CreateOnly),
        (&theirs, Some(&earlier), ApplyHow::CreateOnly),
    ] {
        scenario.running.corefile = Some(there.clone());
        scenario.running.corefile_mark = mark.map(|corefile| coredns::mark(corefile));
        let steps = only(&mut scenario, &["coredns"]);
        let Action::Object(spec) = &steps[0].action else { panic!("{steps:#?}") };
        assert_eq!((spec.object.value["kind"].as_str(), spec.how), (Some("ConfigMap"), how), "{there}");
    }
    // What the file says decides over what somebody has scaled it to.
    scenario.running.coredns_replicas = Some(7);
    let steps = only(&mut scenario, &["coredns"]);
    let replicas = steps.iter().find_map(|step| match &step.action {
        Action::Object(spec) => spec.object.value.pointer("/spec/replicas").cloned(),
        _ => None,
    });
    assert_eq!(replicas, Some(json!(3)));
}

#[test]
fn the_chart_of_cilium_gets_what_follows_from_the_configuration() {
    for (scenario, over, expected) in [
        (
            "cni-cilium",
            json!({}),
            json!({"ipam": {"mode": "kubernetes"}, "ipv6": {"enabled": false}, "kubeProxyReplacement": true,
                "k8sServiceHost": "198.51.100.11", "k8sServicePort": "6443", "routingMode": "tunnel",
                "tunnelProtocol": "vxlan", "underlayProtocol": "ipv4", "hubble": {"enabled": false}}),
        ),
        (
            "cni-cilium-ipv6",
            json!({"hubble": {"enabled": true}, "MTU": 1400}),
            json!({"ipv4": {"enabled": false}, "k8s": {"requireIPv4PodCIDR": false, "requireIPv6PodCIDR": true},
                "tunnelProtocol": "geneve", "underlayProtocol": "ipv6", "hubble": {"enabled": true}, "MTU": 1400}),
        ),
        (
            "cni-cilium-dual-stack",
            json!({}),
            json!({"routingMode": "native", "autoDirectNodeRoutes": true, "ipv4NativeRoutingCIDR": "10.244.0.0/16",
                "ipv6NativeRoutingCIDR": "fd00:10:244::/56", "operator": {"replicas": 2}}),
        ),
    ] {
        let mut cluster = Scenario::load(scenario, None).cluster;
        let kubewright::cluster::Cni::Cilium(mut cilium) = cluster.site.cni.clone() else {
            panic!("{scenario}")
        };
        cilium.values = over.as_object().cloned().unwrap();
        cluster.site.cni = kubewright::cluster::Cni::Cilium(cilium.clone());
        let values = cilium::values(&cluster, &cilium);
        assert!(is_part(&expected, &values), "{scenario}: {values:#}");
    }
}
