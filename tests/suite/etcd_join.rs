//! A control plane's etcd joins a running one, in memory: once, again, beside others, and when it never comes up.
#![expect(clippy::disallowed_methods, reason = "sleeping lets other threads get on")]

use crate::fixture;
use crate::pki::fixture::node;
use kubewright::api::NoApi;
use kubewright::apply;
use kubewright::apply::Images;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::apply::receipt::PATH;
use kubewright::apply::receipt::Receipt;
use kubewright::clock::Clock;
use kubewright::clock::Manual;
use kubewright::cluster::Cluster;
use kubewright::cluster::Role;
use kubewright::etcd::Etcd as _;
use kubewright::etcd::EtcdError;
use kubewright::etcd::Fake as Etcd;
use kubewright::etcd::fake::Fault;
use kubewright::facts::ClusterFacts;
use kubewright::facts::EtcdMembership;
use kubewright::facts::HostFacts;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::EntryKind;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::fake::Unit;
use kubewright::host::fake::said;
use kubewright::kube::static_pod;
use kubewright::kube::static_pod::InitialCluster;
use kubewright::kube::static_pod::Member;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::kube::static_pod::Site;
use kubewright::kube::yaml;
use kubewright::phase;
use kubewright::phase::Context;
use kubewright::phase::Draft;
use kubewright::phase::Phase;
use kubewright::phase::Scope;
use kubewright::phase::build;
use kubewright::phase::check_etcd;
use kubewright::phase::etcd_join;
use kubewright::phase::etcd_leave;
use kubewright::phase::select;
use kubewright::plan::*;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
pub(crate) const DATA: &str = "/var/lib/etcd/member";
/// Where the hosts of these tests keep the pod of etcd.
const POD: &str = "/pods/etcd";

const BASE: Phase = Phase {
    name: "",
    aliases: &[],
    summary: "",
    needs: &[],
    done: None,
    scope: Scope::ControlPlanes,
    plan: None,
    undo: None,
    children: &[],
};

pub(crate) const JOIN: &[Phase] = &[
    Phase { name: "check-etcd", plan: Some(check_etcd::plan), ..BASE },
    Phase { name: "etcd-join", plan: Some(etcd_join::plan), undo: Some(etcd_join::undo), ..BASE },
];

/// Sleeping takes a moment, so that others get on meanwhile, and counts in full.
struct Hasty(Manual);

impl Clock for Hasty {
    fn now(&self) -> OffsetDateTime {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(Duration::from_millis(1));
        self.0.advance(duration);
    }
}

/// The pod is a file of the host.
pub(crate) struct Pods;

impl Images for Pods {
    fn present(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<bool> {
        Ok(true)
    }

    fn pull(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

impl apply::Pods for Pods {
    fn present(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<bool> {
        anyhow::bail!("nobody knew {id} beforehand")
    }

    fn remove(&self, host: &dyn Host, _: &str, id: &str) -> anyhow::Result<()> {
        let runs = host.run(&Command::query("systemctl").args(["is-active", "kubelet"]))?.success();
        assert!(!runs && host.read(MANIFEST)?.is_none(), "the kubelet would start it again");
        Ok(host.remove(id)?)
    }

    fn named(&self, host: &dyn Host, _: &str, name: &str) -> anyhow::Result<Vec<String>> {
        assert_eq!(name, format!("kube-system/etcd-{}", host.name()));
        Ok(host.read(POD)?.map(|_| POD.to_owned()).into_iter().collect())
    }

    /// It is made anew as soon as its manifest changes.
    fn made(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        Ok(Some(datetime!(2100-01-01 00:00 UTC)))
    }

    fn complaints(&self, host: &dyn Host, container: &Container) -> anyhow::Result<Vec<String>> {
        assert_eq!(container.pod, format!("kube-system/{}-{}", container.name, host.name()));
        Ok(host.read(POD)?.map(|_| "address already in use".to_owned()).into_iter().collect())
    }
}

pub(crate) struct Nothing;

impl Resolve for Nothing {
    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("nobody can make {content:?}")
    }

    fn fill(&self, _: &Fill) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

/// Hosts that join, and the etcd that they join.
struct Stage {
    cluster: Cluster,
    etcd: Etcd,
    hosts: BTreeMap<String, Arc<Fake>>,
    clock: Hasty,
    events: Mutex<Vec<Event>>,
    interrupt: AtomicBool,
    /// Ctrl-C when this many steps have begun.
    interrupt_at: Mutex<Option<usize>>,
}

impl Stage {
    /// `cp2` and so on join the etcd of these voters.
    fn new(voters: &[&str], joining: usize) -> Self {
        let mut cluster = fixture::cluster();
        let number = |index: usize| index + 2;
        cluster.nodes = (0..joining)
            .map(|index| {
                let (name, address) = (format!("cp{}", number(index)), format!("192.0.2.1{}", number(index)));
                node(&name, &address, Role::ControlPlane)
            })
            .collect();
        let hosts = cluster.nodes.iter().map(|node| (node.name.clone(), Arc::new(host(&node.name))));
        Self {
            hosts: hosts.collect(),
            cluster,
            etcd: Etcd::with_voters(voters),
            clock: Hasty(Manual::new(datetime!(2026-05-01 12:00 UTC))),
            events: Mutex::default(),
            interrupt: AtomicBool::new(false),
            interrupt_at: Mutex::default(),
        }
    }

    fn host(&self) -> &Fake {
        &self.hosts["cp2"]
    }

    fn facts(&self, name: &str) -> HostFacts {
        let mut facts = fixture::healthy();
        name.clone_into(&mut facts.hostname);
        facts.existing_paths.extend(self.hosts[name].files().into_keys());
        facts
    }

    /// What the receipt of `cp2` says.
    fn ours(&self) -> BTreeSet<String> {
        Receipt::load(self.host(), PATH).unwrap().map(|receipt| receipt.ours()).unwrap_or_default()
    }

    fn try_plan(&self) -> anyhow::Result<Plan> {
        let facts = self.hosts.keys().map(|name| (name.clone(), self.facts(name))).collect();
        let running =
            ClusterFacts { etcd: EtcdMembership::gather(&self.etcd).ok(), ..ClusterFacts::default() };
        let context = Context {
            cluster: &self.cluster,
            facts: &facts,
            running: &running,
            external: &BTreeSet::new(),
            downloaded: &BTreeSet::new(),
            ours: &self.ours(),
            options: &phase::Options::default(),
        };
        build::plan(&context, &select::skipping(JOIN, &[]).unwrap())
    }

    fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    fn join(&self) -> Report {
        self.run(&self.plan(), false)
    }

    fn run(&self, plan: &Plan, dry_run: bool) -> Report {
        self.events.lock().unwrap().clear();
        let mut fleet = Fleet::new();
        self.hosts.values().for_each(|host| fleet.insert(Arc::<Fake>::clone(host)));
        let begun = AtomicUsize::new(0);
        let events = |event: Event| {
            match &event {
                Event::StepStarted { .. } => {
                    let begun = begun.fetch_add(1, Ordering::Relaxed) + 1;
                    if *self.interrupt_at.lock().unwrap() == Some(begun) {
                        self.interrupt.store(true, Ordering::Relaxed);
                    }
                }
                // The kubelet starts it.
                Event::StepFinished { title, host: Some(host), outcome: Outcome::Changed, .. }
                    if title == "static pod etcd" =>
                {
                    self.hosts[host].put(DATA, Entry::directory(0o700));
                    self.hosts[host].put(POD, Entry::file("", 0o600));
                }
                _ => {}
            }
            self.events.lock().unwrap().push(event);
        };
        let world = World {
            hosts: &fleet,
            api: &NoApi,
            etcd: &self.etcd,
            resolver: &Nothing,
            pods: &Pods,
            images: &Pods,
            clock: &self.clock,
            events: &events,
            interrupt: &self.interrupt,
            options: &Options { dry_run, diff: true, ..Options::default() },
        };
        apply::execute(plan, &world)
    }

    /// Every member as `name or -`, with `?` for one without a vote.
    fn members(&self) -> Vec<String> {
        let member = |member: kubewright::etcd::Member| {
            let name = if member.name.is_empty() { "-".to_owned() } else { member.name };
            format!("{name}{}", if member.is_learner { "?" } else { "" })
        };
        self.etcd.members().into_iter().map(member).collect()
    }

    fn manifest(&self, host: &str) -> Option<String> {
        let entry = self.hosts[host].files().get(MANIFEST).cloned()?;
        Some(String::from_utf8(entry.content().unwrap().to_vec()).unwrap())
    }

    fn flag(&self, host: &str) -> String {
        let manifest = self.manifest(host).unwrap();
        let line = manifest.lines().find(|line| line.contains("--initial-cluster=")).unwrap();
        line.split_once("--initial-cluster=").unwrap().1.to_owned()
    }

    /// Nothing of the host's try is left, neither on it nor in etcd.
    fn assert_as_before(&self, when: &str) {
        assert_eq!(self.members(), ["cp1"], "{when}");
        let files = self.host().files();
        let left = [MANIFEST, DATA, POD].iter().any(|path| files.contains_key(*path));
        assert!(!left, "{when}: {:?}", files.keys());
    }

    fn failed_events(&self) -> Vec<String> {
        let failed = |event: &Event| match event {
            Event::Failed { failure } => Some(failure.to_string()),
            _ => None,
        };
        self.events.lock().unwrap().iter().filter_map(failed).collect()
    }
}

pub(crate) fn host(name: &str) -> Fake {
    Fake::new(name)
        .with_unit("kubelet", Unit { active: true, enabled: true, starts: 1, ..Unit::default() })
        .on_run(&["test", "!", "-e", DATA], |_, files| said(i32::from(files.contains_key(DATA)), ""))
        .on_run(&["rm", "-rf", DATA], |_, files| {
            files.remove(DATA);
            said(0, "")
        })
}

pub(crate) fn changed(report: &Report) -> Vec<&str> {
    let changed = report.records.iter().filter(|record| record.outcome == Outcome::Changed);
    changed.map(|record| record.title.as_str()).collect()
}

#[test]
fn a_member_is_announced_started_and_promoted_once() {
    let stage = Stage::new(&["cp1"], 1);
    stage.etcd.learners_start_after(Some(3));
    stage.etcd.lag(2);
    let report = stage.join();
    assert!(report.success(), "{:#?}", report.failures);
    assert_eq!(stage.etcd.log(), ["add https://192.0.2.12:2380", "promote https://192.0.2.12:2380"]);
    assert_eq!(stage.members(), ["cp1", "192.0.2.12"]);
    assert_eq!(stage.flag("cp2"), "cp1=https://cp1:2380,cp2=https://192.0.2.12:2380");
    assert!(stage.manifest("cp2").unwrap().contains("--initial-cluster-state=existing"));
    assert!(report.undone.is_empty());

    // Others came later: the manifest says what was so when its member started.
    stage.etcd.member_add_learner("https://cp9:2380").unwrap();
    let (files, mutations) = (stage.host().files(), stage.etcd.mutations());
    let plan = stage.plan();
    assert_eq!(plan.undo, []);
    let again = stage.run(&plan, false);
    assert!(again.success(), "{:#?}", again.failures);
    assert_eq!(changed(&again), Vec::<&str>::new());
    assert_eq!(stage.etcd.mutations(), mutations);
    assert_eq!(stage.host().files(), files);
}

#[test]
fn a_manifest_that_differs_otherwise_is_written_again() {
    let stage = Stage::new(&["cp1"], 1);
    assert!(stage.join().success());
    let text = stage.manifest("cp2").unwrap().replace("snapshot-count=10000", "snapshot-count=1");
    stage.host().put(MANIFEST, Entry::file(text, 0o600));
    assert_eq!(changed(&stage.join()), ["static pod etcd"]);
    assert!(stage.manifest("cp2").unwrap().contains("snapshot-count=10000"));
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let stage = Stage::new(&["cp1"], 1);
    let plan = stage.plan();
    let report = stage.run(&plan, true);
    assert!(report.success(), "{:#?}", report.failures);
    assert_eq!((stage.etcd.mutations(), stage.host().mutations()), (0, 0));
    let outcome = |title| report.records.iter().find(|record| record.title == title).unwrap().outcome;
    assert_eq!(outcome("etcd member announced"), Outcome::WouldChange);
    assert_eq!(outcome("etcd member promoted"), Outcome::WouldChange);
    assert_eq!(outcome("etcd member started"), Outcome::Skipped);
    let events = stage.events.lock().unwrap();
    let diff = events.iter().find_map(|event| match event {
        Event::StepFinished { diff: Some(diff), .. } => Some(diff.clone()),
        _ => None,
    });
    assert!(diff.unwrap().contains("--initial-cluster=cp1=https://cp1:2380,cp2=https://192.0.2.12:2380"));
}

#[test]
fn several_hosts_join_at_the_same_moment() {
    let stage = Stage::new(&["cp1"], 4);
    stage.etcd.learners_start_after(Some(20));
    stage.etcd.lag(20);
    let report = stage.join();
    assert!(report.success(), "{:#?}", report.failures);
    assert_eq!(stage.members().len(), 5);
    assert!(stage.members().iter().all(|member| !member.ends_with('?')), "{:?}", stage.members());
    // Each knows those that came before it, and itself last.
    let mut known: Vec<usize> = stage.hosts.keys().map(|host| stage.flag(host).split(',').count()).collect();
    known.sort_unstable();
    assert_eq!(known, [2, 3, 4, 5]);
    let waiting = |event: &Event| matches!(event, Event::Waiting { last, .. } if last.contains("takes one new member at a time, and "));
    assert!(stage.events.lock().unwrap().iter().any(waiting));
}

#[test]
fn a_learner_that_never_starts_is_withdrawn() {
    let stage = Stage::new(&["cp1"], 1);
    stage.etcd.learners_start_after(None);
    let report = stage.join();
    let [failure] = &report.failures[..] else { panic!("{:#?}", report.failures) };
    assert_eq!((failure.kind, failure.title.as_str()), (FailureKind::Timeout, "etcd member started"));
    let (_, undone) = failure.details.iter().find(|(label, _)| label == "undone").unwrap();
    assert_eq!(
        undone,
        "etcd member withdrawn (etcd member https://192.0.2.12:2380)\nno static pod etcd \
         (/etc/kubernetes/manifests/etcd.yaml)\nkubelet stopped (kubelet): stopped\netcd stopped \
         (kube-system/etcd-cp2)\nno etcd data (rm -rf /var/lib/etcd/member)"
    );
    let (_, said) = failure.details.iter().find(|(label, _)| label == "etcd says").unwrap();
    assert_eq!(said, "address already in use");
    assert_eq!(stage.failed_events(), [failure.to_string()]);
    stage.assert_as_before("undone");
    assert_eq!(report.undone.len(), 5);
    assert!(!stage.host().unit("kubelet").unwrap().active);

    // The host is ready for another try.
    stage.etcd.learners_start_after(Some(0));
    let again = stage.join();
    assert!(again.success(), "{:#?}", again.failures);
    assert_eq!(stage.members(), ["cp1", "192.0.2.12"]);
}

#[test]
fn a_try_that_was_killed_is_taken_up_or_withdrawn() {
    for starts in [Some(0), None] {
        let stage = Stage::new(&["cp1"], 1);
        stage.etcd.learners_start_after(None);
        stage.etcd.member_add_learner("https://192.0.2.12:2380").unwrap();
        stage.etcd.learners_start_after(starts);
        let report = stage.join();
        assert_eq!(report.success(), starts.is_some());
        if starts.is_some() {
            assert_eq!(stage.members(), ["cp1", "192.0.2.12"]);
        } else {
            stage.assert_as_before("withdrawn");
        }
    }
}

/// A run that died while it undid: the member is withdrawn, and so many of the steps after it were done.
fn died_while_undoing(steps: usize) -> Stage {
    let stage = Stage::new(&["cp1"], 1);
    stage.etcd.learners_start_after(None);
    let mut plan = stage.plan();
    let undo = std::mem::take(&mut plan.undo).remove(0);
    assert!(!stage.run(&plan, false).success());
    stage.etcd.member_remove(stage.etcd.members()[1].id).unwrap();
    let done = Plan { steps: undo.steps[1..=steps].to_vec(), ..Plan::default() };
    assert!(stage.run(&done, false).success());
    stage.etcd.learners_start_after(Some(0));
    stage
}

#[test]
fn what_a_killed_undo_has_left_is_removed_before_the_next_try() {
    for steps in 0..=4 {
        let stage = died_while_undoing(steps);
        let plan = stage.plan();
        let text = display::text(&plan, display::Detail::Short);
        let expected = "check-etcd: cp2
  remove   no static pod etcd  /etc/kubernetes/manifests/etcd.yaml
  stop     kubelet stopped  kubelet
  pod      etcd stopped  kube-system/etcd-cp2
  run      no etcd data  rm -rf /var/lib/etcd/member, unless `test '!' -e /var/lib/etcd/member` succeeds
  wait     etcd healthy, at most 2m0s
";
        assert_eq!(text.starts_with(expected), steps < 4, "{steps}: {text}");
        let report = stage.run(&plan, false);
        assert!(report.success(), "{steps}: {:#?}", report.failures);
        assert_eq!(stage.members(), ["cp1", "192.0.2.12"], "{steps}");
        assert!(stage.manifest("cp2").is_some(), "{steps}");
    }
    // And should that try fail as well, nothing is left of either.
    let stage = died_while_undoing(2);
    stage.etcd.learners_start_after(None);
    assert!(!stage.join().success());
    stage.assert_as_before("the second try");
}

#[test]
fn only_data_of_a_try_is_removed() {
    let refused = |stage: &Stage, what: &str| {
        let error = format!("{:#}", stage.try_plan().unwrap_err());
        assert!(error.contains("rm -rf /var/lib/etcd/member"), "{what}: {error}");
    };
    let stage = Stage::new(&["cp1"], 1);
    stage.host().put(DATA, Entry::directory(0o700));
    refused(&stage, "it was there before");

    // A receipt that does not know of it.
    let stage = died_while_undoing(0);
    let mut receipt = stage.host().files()[PATH].clone();
    let text = String::from_utf8(receipt.content().unwrap().to_vec()).unwrap();
    receipt.kind = EntryKind::File(text.replace(DATA, "/elsewhere").into_bytes());
    stage.host().put(PATH, receipt);
    refused(&stage, "nobody knows");

    let stage = Stage::new(&["cp1"], 1);
    assert!(stage.join().success());
    stage.etcd.member_remove(stage.etcd.members()[1].id).unwrap();
    refused(&stage, "it had its vote");
}

#[test]
fn an_interrupted_join_leaves_nothing_behind() {
    let titles: Vec<String> =
        Stage::new(&["cp1"], 1).plan().steps.into_iter().map(|step| step.title).collect();
    for (index, title) in titles.iter().enumerate() {
        let stage = Stage::new(&["cp1"], 1);
        // The wait for the start goes on for ever.
        stage.etcd.learners_start_after(if title.ends_with("started") { None } else { Some(0) });
        *stage.interrupt_at.lock().unwrap() = Some(index + 1);
        let report = stage.join();
        assert_eq!(report.failures, [], "{title}");
        let finished = index + 1 == titles.len();
        assert_eq!(report.interrupted, !finished, "{title}");
        let promoted = titles.iter().position(|title| title.ends_with("promoted")).unwrap() <= index;
        if promoted {
            assert_eq!(stage.members(), ["cp1", "192.0.2.12"], "{title}");
            assert!(stage.manifest("cp2").is_some(), "{title}");
        } else {
            stage.assert_as_before(title);
        }
        let warned = stage.events.lock().unwrap().iter().any(|event| {
            matches!(event, Event::Warning { message, .. } if message.starts_with("etcd-join did not come to its end"))
        });
        let begun = titles.iter().position(|title| title == "etcd data directory").unwrap() <= index;
        assert_eq!(warned, begun && !finished, "{title}");

        *stage.interrupt_at.lock().unwrap() = None;
        stage.interrupt.store(false, Ordering::Relaxed);
        stage.etcd.learners_start_after(Some(0));
        let again = stage.join();
        assert!(again.success(), "{title}: {:#?}", again.failures);
        assert_eq!(stage.members(), ["cp1", "192.0.2.12"], "{title}");
    }
}

#[test]
fn whatever_happens_to_etcd_the_next_run_mends_it() {
    let refused = EtcdError::Other { code: "Internal".into(), message: "broken".into() };
    let faults = [Fault::DieBefore, Fault::DieAfter, Fault::Refuse(refused)];
    for (turn, fault) in (0..2).flat_map(|turn| faults.iter().map(move |fault| (turn, fault))) {
        let stage = Stage::new(&["cp1"], 1);
        stage.etcd.break_at(turn, fault.clone());
        let report = stage.join();
        let [failure] = &report.failures[..] else { panic!("{turn} {fault:?}: {:#?}", report.failures) };
        let label = |label: &str| failure.details.iter().any(|(other, _)| other == label);
        if matches!(fault, Fault::Refuse(_)) {
            assert_eq!(failure.kind, FailureKind::Api, "{turn}");
            stage.assert_as_before("refused");
        } else {
            // Nobody can be asked to withdraw it; the host keeps what it has for the next run.
            assert!(label("not undone"), "{turn} {fault:?}: {failure}");
            let hint = &failure.hints[0];
            assert!(hint.contains("`member remove ID` for https://192.0.2.12:2380"), "{failure}");
            assert!(hint.ends_with("`systemctl stop kubelet`; `crictl --runtime-endpoint unix:///var/run/containerd/containerd.sock rmp -f $(crictl --runtime-endpoint unix:///var/run/containerd/containerd.sock pods -q --name etcd-cp2)`; `rm -rf /var/lib/etcd/member`"), "{hint}");
            assert_eq!(stage.manifest("cp2").is_some(), turn == 1, "{turn} {fault:?}");
        }
        stage.etcd.heal();
        let again = stage.join();
        assert!(again.success(), "{turn} {fault:?}: {:#?}", again.failures);
        assert_eq!(stage.members(), ["cp1", "192.0.2.12"], "{turn} {fault:?}");
    }
}

#[test]
fn a_member_with_a_vote_is_never_withdrawn() {
    let stage = Stage::new(&["cp1"], 1);
    let plan = stage.plan();
    // Of two voters one complains, but only once there are two.
    stage.etcd.complain("192.0.2.12", "NOSPACE");
    let report = stage.run(&plan, false);
    let [failure] = &report.failures[..] else { panic!("{:#?}", report.failures) };
    assert_eq!(failure.title, "etcd healthy");
    assert!(failure.to_string().contains("has its vote, and stays"), "{failure}");
    assert_eq!(stage.members(), ["cp1", "192.0.2.12"]);
    assert!(stage.manifest("cp2").is_some());
}

#[test]
fn somebody_elses_learner_is_waited_for_and_left_alone() {
    let stage = Stage::new(&["cp1"], 1);
    stage.etcd.learners_start_after(None);
    stage.etcd.member_add_learner("https://cp7:2380").unwrap();
    let id = stage.etcd.members()[1].id;
    let report = stage.join();
    let [failure] = &report.failures[..] else { panic!("{:#?}", report.failures) };
    assert_eq!((failure.kind, failure.title.as_str()), (FailureKind::Timeout, "etcd member announced"));
    let text = failure.to_string();
    let expected =
        [format!("etcdctl member remove {id}"), "within 5m0s".to_owned(), "https://cp7:2380".to_owned()];
    assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(stage.members(), ["cp1", "-?"]);
    assert!(stage.manifest("cp2").is_none());
}

#[test]
fn a_voter_that_is_down_is_named() {
    // Known while planning, it is waited for as long as a restart takes; otherwise for as long as others may take.
    for (known, waited) in [(true, 30.0..35.0), (false, 300.0..305.0)] {
        let stage = Stage::new(&["cp1", "cp8", "cp9"], 1);
        let before = stage.plan();
        stage.etcd.kill("cp9");
        let report = if known { stage.join() } else { stage.run(&before, false) };
        let [failure] = &report.failures[..] else { panic!("{:#?}", report.failures) };
        // Health is a majority, but etcd takes in nobody while a voter is down.
        assert_eq!((failure.title.as_str(), failure.kind), ("etcd member announced", FailureKind::Timeout));
        let said = failure.to_string();
        let id = stage.etcd.members()[2].id;
        for part in [
            format!("cp9 (https://cp9:2380, {id}): https://cp9:2379 (connection refused)"),
            format!("`etcdctl member remove {id}`"),
        ] {
            assert!(said.contains(&part), "no {part} in {said}");
        }
        let (_, seconds) = failure.details.iter().find(|(label, _)| label == "waited").unwrap();
        let seconds: f32 = seconds.split(' ').next().unwrap().parse().unwrap();
        assert!(waited.contains(&seconds), "{known}: {seconds}");
        assert_eq!(stage.members(), ["cp1", "cp8", "cp9"]);
        stage.etcd.heal();
        assert!(stage.join().success());
    }
}

#[test]
fn an_etcd_without_a_majority_is_not_joined() {
    let stage = Stage::new(&["cp1", "cp8"], 1);
    stage.etcd.kill("cp8");
    let report = stage.join();
    assert_eq!(report.failures[0].phase, "check-etcd");
    assert_eq!((stage.etcd.mutations(), report.undone.len()), (0, 0));
}

#[test]
fn a_member_that_lost_its_data_is_not_started_without() {
    let stage = Stage::new(&["cp1"], 1);
    assert!(stage.join().success());
    stage.host().remove(DATA).unwrap();
    let error = format!("{:#}", stage.try_plan().unwrap_err());
    let id = stage.etcd.members()[1].id;
    assert!(error.contains(&format!("etcdctl member remove {id}")) && error.contains(DATA), "{error}");
    // Nor with the data of a member that is gone.
    stage.etcd.member_remove(id).unwrap();
    assert!(stage.try_plan().is_ok());
    stage.host().put(DATA, Entry::directory(0o700));
    let error = format!("{:#}", stage.try_plan().unwrap_err());
    assert!(error.contains("rm -rf /var/lib/etcd/member"), "{error}");
}

#[test]
fn the_plan_says_beforehand_how_it_is_undone() {
    let stage = Stage::new(&["cp1"], 1);
    let plan = stage.plan();
    let text = display::text(&plan, display::Detail::Short);
    let expected = "etcd-join: cp2
  dir      etcd data directory  /var/lib/etcd, 0700
  dir      directory of static pods  /etc/kubernetes/manifests, 0700
  member   etcd member announced  etcd member https://192.0.2.12:2380, at most 5m0s
  file     static pod etcd  /etc/kubernetes/manifests/etcd.yaml, 0600
  wait     etcd member started  etcd member https://192.0.2.12:2380 started, at most 2m0s
  member   etcd member promoted  vote of etcd member https://192.0.2.12:2380, at most 2m0s
  wait     etcd healthy, at most 2m0s
  if this fails or is interrupted:
    member   etcd member withdrawn  etcd member https://192.0.2.12:2380, at most 2m0s
    remove   no static pod etcd  /etc/kubernetes/manifests/etcd.yaml
    stop     kubelet stopped  kubelet
    pod      etcd stopped  kube-system/etcd-cp2
    run      no etcd data  rm -rf /var/lib/etcd/member, unless `test '!' -e /var/lib/etcd/member` succeeds
";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(display::json(&plan)["undo"][0]["host"], "cp2");
    // Data that was there before is not this run's to remove.
    stage.host().put(DATA, Entry::directory(0o700));
    stage.etcd.learners_start_after(None);
    stage.etcd.member_add_learner("https://192.0.2.12:2380").unwrap();
    assert_eq!(stage.plan().undo[0].steps.len(), 4);
}

#[test]
fn an_external_etcd_is_left_alone() {
    let mut stage = Stage::new(&["cp1"], 1);
    let etcd = &mut stage.cluster.configuration.etcd;
    (etcd.local, etcd.external) = (None, Some(kubewright::cluster::kubeadm::ExternalEtcd::default()));
    assert_eq!(stage.plan(), Plan::default());
    assert_eq!(etcd_leave::removal(&stage.cluster, &stage.cluster.nodes[0]), None);
}

#[test]
fn a_contradiction_in_undoing_is_found() {
    let stage = Stage::new(&["cp1"], 1);
    let mut plan = stage.plan();
    plan.steps.retain(|step| step.title != "etcd member announced");
    plan.undo[0].phase = "nowhere".to_owned();
    let flaws: Vec<String> =
        check::contradictions(&plan, &stage.cluster).iter().map(ToString::to_string).collect();
    assert!(flaws[0].contains("no earlier step announces https://192.0.2.12:2380"), "{flaws:?}");
    assert!(flaws[1].contains("it undoes a phase that the plan does not have"), "{flaws:?}");
}

#[test]
fn the_filled_manifest_is_what_would_be_rendered() {
    for address in ["192.0.2.12", "2001:db8::12"] {
        let mut stage = Stage::new(&["cp1", "cp8"], 1);
        stage.cluster.nodes[0] = node("cp2", address, Role::ControlPlane);
        assert!(stage.join().success());
        let own = Member::of(&stage.cluster.nodes[0]);
        let other = |name: &str| Member { name: name.to_owned(), peer_url: format!("https://{name}:2380") };
        let initial = InitialCluster::existing(vec![other("cp1"), other("cp8"), own]);
        let facts = stage.facts("cp2");
        let site = Site {
            signing: SigningKeys { kubernetes: true, kubelet: true },
            ..Site::new(&stage.cluster, &stage.cluster.nodes[0], &facts)
        };
        let pod = static_pod::etcd(&site, &initial);
        assert_eq!(stage.manifest("cp2").unwrap(), yaml::to_string(&pod), "{address}");
    }
}

#[test]
fn undoing_forgets_what_it_undid() {
    let stage = Stage::new(&["cp1"], 1);
    stage.etcd.learners_start_after(None);
    stage.join();
    let receipt = stage.host().files()[PATH].clone();
    let receipt = String::from_utf8(receipt.content().unwrap().to_vec()).unwrap();
    assert!(receipt.contains("etcd-join /var/lib/etcd"), "{receipt}");
    assert!(!receipt.contains("etcd-join /etc/kubernetes/manifests/etcd.yaml"), "{receipt}");
    assert!(!receipt.contains("etcd-join etcd member"), "{receipt}");
}

#[test]
fn reset_removes_the_member_and_is_never_stopped_by_it() {
    let with = |name: &str| {
        let mut stage = Stage::new(&["192.0.2.12", "192.0.2.13", "cp1"], 1);
        if name == "gone" {
            let id = stage.etcd.members()[0].id;
            stage.etcd.member_remove(id).unwrap();
        }
        if name == "only" {
            stage.etcd = Etcd::with_voters(&["192.0.2.12"]);
        }
        stage.etcd.unplug(name == "silent");
        stage
    };
    for (name, outcome, left) in [
        ("there", Outcome::Changed, 2),
        ("gone", Outcome::Ok, 2),
        ("only", Outcome::Skipped, 1),
        ("silent", Outcome::Warned, 3),
    ] {
        let stage = with(name);
        let Draft { title, reason, action } =
            etcd_leave::removal(&stage.cluster, &stage.cluster.nodes[0]).unwrap();
        let (phase, place) = ("remove-etcd-member".to_owned(), Place::Host("cp2".to_owned()));
        let plan = Plan {
            steps: vec![Step { phase, place, about: None, title, reason, action }],
            ..Plan::default()
        };
        let report = stage.run(&plan, false);
        assert!(report.success(), "{name}");
        assert_eq!(report.records[0].outcome, outcome, "{name}: {:?}", report.records);
        assert_eq!(stage.members().len(), left, "{name}");
    }
}
