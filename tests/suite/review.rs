//! What a plan would change, as text and JSON, and whether a reviewed plan still holds.

use kubewright::plan::Action;
use kubewright::plan::ApplyHow;
use kubewright::plan::Content;
use kubewright::plan::FileSpec;
use kubewright::plan::Identity;
use kubewright::plan::Object;
use kubewright::plan::ObjectSpec;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use kubewright::plan::ServiceSpec;
use kubewright::plan::Step;
use kubewright::report::Event;
use kubewright::report::Outcome;
use kubewright::review::Review;
use kubewright::review::Reviewed;
use kubewright::review::Seen;
use kubewright::review::json;
use kubewright::review::reviewed::Made;
use kubewright::review::reviewed::PlanChoices;
use kubewright::review::reviewed::ReviewedError;
use kubewright::review::text;
use kubewright::review::text::Show;
use serde_json::json;
use std::collections::BTreeMap;

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

fn step(phase: &str, host: Option<&str>, action: Action) -> Step {
    Step {
        phase: phase.to_owned(),
        place: host.map_or(Place::Cluster, |host| Place::Host(host.to_owned())),
        about: None,
        title: format!("the {phase}"),
        reason: "because".to_owned(),
        action,
    }
}

fn file(path: &str) -> Action {
    Action::File(FileSpec {
        path: path.to_owned(),
        mode: 0o600,
        owner: None,
        content: Content::Text("x\n".to_owned()),
        keep_existing: false,
    })
}

fn service(unit: &str) -> Action {
    Action::Service(ServiceSpec { unit: unit.to_owned(), ..ServiceSpec::default() })
}

fn object() -> Action {
    let value =
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"namespace": "n", "name": "d"}});
    Action::Object(ObjectSpec {
        object: Object::plain(value),
        how: ApplyHow::CreateOrReplace,
        identity: Identity::Admin,
    })
}

/// Three control planes and a worker; what a dry run said of each step.
fn said() -> (Plan, Vec<Event>) {
    let mut steps = Vec::new();
    for host in ["cp1", "cp2", "cp3"] {
        steps.push((step("certs", Some(host), file("/a.crt")), Outcome::Ok, None, None));
        let diff = "--- x\n+++ x\n-old\n+new\n";
        let outcome = if host == "cp3" { Outcome::Ok } else { Outcome::WouldChange };
        steps.push((step("pods", Some(host), file(MANIFEST)), outcome, None, Some(diff)));
    }
    for host in ["cp1", "w1"] {
        let detail = Some("restarted, since /a changed");
        steps.push((step("kubelet", Some(host), service("kubelet")), Outcome::WouldChange, detail, None));
    }
    steps.push((step("addon", None, object()), Outcome::WouldChange, None, Some("--- d\n+++ d\n")));
    let events = steps
        .iter()
        .map(|(step, outcome, detail, diff)| Event::StepFinished {
            phase: step.phase.clone(),
            host: match &step.place {
                Place::Host(host) => Some(host.clone()),
                Place::Cluster => None,
            },
            title: step.title.clone(),
            subject: step.subject(),
            outcome: *outcome,
            detail: detail.map(str::to_owned),
            diff: diff.map(str::to_owned),
            elapsed_ms: 0,
        })
        .collect();
    (Plan { steps: steps.into_iter().map(|(step, ..)| step).collect(), ..Plan::default() }, events)
}

fn seen() -> BTreeMap<String, Seen> {
    let of =
        |host: &str, state: &str| (host.to_owned(), Seen::from([(MANIFEST.to_owned(), state.to_owned())]));
    [of("cp1", "sha256:a 0600"), of("cp2", "sha256:a 0600"), of("cp3", "sha256:b 0600"), of("w1", "absent")]
        .into()
}

fn review(plan: &Plan, events: &[Event], seen: &BTreeMap<String, Seen>) -> Review {
    Review::new(plan, events, seen, Some("10.0.0.9:6443"), seen.keys().cloned().collect())
}

#[test]
fn what_is_the_same_on_several_hosts_is_said_once() {
    let (plan, events) = said();
    let text = text::text(&review(&plan, &events, &seen()), Show { diff: true, ..Show::default() });
    let expected = "\
pods: cp1, cp2
  file     the pods  /etc/kubernetes/manifests/kube-apiserver.yaml
    --- x
    +++ x
    -old
    +new

kubelet: cp1, w1
  service  the kubelet  kubelet (restarted, since /a changed)

addon: through the Kubernetes API
  object   the addon  DaemonSet n/d
    --- d
    +++ d

Changes by host:
  cp1: 1 file, 1 service
  cp2: 1 file
  w1: 1 service
  through the Kubernetes API: 1 API object

Interruption to expect:
  kube-apiserver restarts on cp1, cp2: the other API servers answer meanwhile
  kubelet restarts on cp1, w1: pods go on running
  API endpoint: 10.0.0.9:6443 stays where it is
  workloads: the pods of DaemonSet n/d are replaced one after the other; no others are touched

4 changes on 3 hosts and 1 through the Kubernetes API; 4 steps are as wanted
";
    assert_eq!(text, expected);
}

#[test]
fn steps_as_wanted_are_shown_when_asked_for_and_a_whole_cluster_of_them_is_one_line() {
    let (mut plan, mut events) = said();
    let all = text::text(&review(&plan, &events, &seen()), Show { all: true, ..Show::default() });
    assert!(all.contains("certs: cp1, cp2, cp3\n  ok            file     the certs  /a.crt\n"), "{all}");
    plan.steps.retain(|step| step.phase == "certs");
    events.retain(|event| matches!(event, Event::StepFinished { phase, .. } if phase == "certs"));
    let review = review(&plan, &events, &seen());
    assert!(review.is_empty());
    assert_eq!(text::text(&review, Show::default()), "Nothing to do: all 4 hosts are as wanted.\n");
}

#[test]
fn a_step_that_the_dry_run_did_not_reach_is_a_change() {
    let (plan, mut events) = said();
    events.retain(|event| !matches!(event, Event::StepFinished { host: Some(host), .. } if host == "w1"));
    let review = review(&plan, &events, &seen());
    let text = text::text(&review, Show::default());
    assert!(text.contains("kubelet: w1\n  not reached   service"), "{text}");
}

#[test]
fn new_static_pods_interrupt_nothing() {
    let (plan, events) = said();
    let absent = |(host, _)| (host, Seen::from([(MANIFEST.to_owned(), "absent".to_owned())]));
    let review = review(&plan, &events, &seen().into_iter().map(absent).collect());
    let what: Vec<&str> = review.interruptions.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["kubelet restarts", "API endpoint", "workloads"]);
}

#[test]
fn a_thousand_hosts_are_still_readable() {
    let mut plan = Plan::default();
    for number in 0..1000 {
        plan.steps.push(step("certs", Some(&format!("w{number}")), file("/a.crt")));
    }
    let hosts = (0..1000).map(|number| format!("w{number}")).collect();
    let review = Review::new(&plan, &[], &BTreeMap::new(), None, hosts);
    let text = text::text(&review, Show::default());
    assert!(text.starts_with("certs: all 1000 hosts\n") && text.lines().count() < 15, "{text}");
}

#[test]
fn programs_get_the_same() {
    let (plan, events) = said();
    let value = json::json("lab", &plan, &review(&plan, &events, &seen()));
    assert_eq!((&value["cluster"], &value["differs"]), (&json!("lab"), &json!(true)));
    assert_eq!(value["hosts"]["cp1"].as_array().unwrap().len(), 2);
    assert_eq!(value["hosts"]["cp3"], json!([]));
    assert_eq!(value["api"][0]["subject"], "DaemonSet n/d");
    assert_eq!(value["plan"]["steps"][0]["outcome"], "ok");
    assert_eq!(value["interruption"][0]["hosts"], json!(["cp1", "cp2"]));
}

fn reviewed(plan: &Plan, events: &[Event], seen: &BTreeMap<String, Seen>, configuration: &str) -> Reviewed {
    let made = Made {
        cluster: "lab",
        time: "2026-05-01T12:00:00Z".to_owned(),
        configuration: configuration.to_owned(),
        choices: PlanChoices::default(),
        etcd: None,
    };
    Reviewed::new(made, plan, &review(plan, events, seen), seen)
}

#[test]
fn a_reviewed_plan_holds_until_something_changes_and_then_says_what() {
    let (plan, events) = said();
    let file = reviewed(&plan, &events, &seen(), "sha256:1");
    let read = Reviewed::parse(file.text().as_bytes()).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.differences(&reviewed(&plan, &events, &seen(), "sha256:1")), Vec::<String>::new());

    let mut edited = seen();
    edited.get_mut("cp2").unwrap().insert(MANIFEST.to_owned(), "sha256:c 0600".to_owned());
    edited.get_mut("w1").unwrap().insert(MANIFEST.to_owned(), "sha256:c 0600".to_owned());
    edited.remove("cp3");
    let mut shorter = plan.clone();
    shorter.steps.pop();
    let now = reviewed(&shorter, &events, &edited, "sha256:2");
    assert_eq!(
        read.differences(&now),
        [
            "the configuration file was changed".to_owned(),
            format!("cp2: {MANIFEST} was changed"),
            "cp3: the host is no longer part of it".to_owned(),
            format!("w1: {MANIFEST} is there now"),
            "cluster: addon DaemonSet n/d would not be done any more"
                .replace("DaemonSet n/d ", "DaemonSet n/d: "),
        ]
    );
}

#[test]
fn the_time_of_a_file_plays_no_part_where_it_is_kept_as_it_is() {
    let (mut plan, events) = said();
    for step in &mut plan.steps {
        if let Action::File(spec) = &mut step.action {
            spec.keep_existing = true;
        }
    }
    let before = reviewed(&plan, &events, &seen(), "");
    let mut renewed = seen();
    renewed.get_mut("cp1").unwrap().insert(MANIFEST.to_owned(), "sha256:renewed 0600".to_owned());
    assert_eq!(before.differences(&reviewed(&plan, &events, &renewed, "")), Vec::<String>::new());
}

#[test]
fn what_is_no_plan_is_refused() {
    for (text, newer) in [("", false), ("{}", false), ("[1]", false), (r#"{"version": 9, "new": 1}"#, true)] {
        match Reviewed::parse(text.as_bytes()) {
            Err(ReviewedError::Version(9)) => assert!(newer),
            Err(ReviewedError::Unreadable(_)) => assert!(!newer, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
