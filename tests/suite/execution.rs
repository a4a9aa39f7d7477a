//! A plan with every kind of step, carried out on hosts and an API in memory: twice, with every possible fault,
//! interrupted at every step, and dry.

use kubewright::api;
use kubewright::apply;
use kubewright::apply::Images;
use kubewright::apply::NoPods;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::apply::receipt::Before;
use kubewright::apply::receipt::PATH;
use kubewright::apply::receipt::Receipt;
use kubewright::clock::Clock;
use kubewright::clock::Manual;
use kubewright::cluster::GoDuration;
use kubewright::etcd::NoEtcd;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::Socket;
use kubewright::host::fake::Fault;
use kubewright::host::fake::Files;
use kubewright::host::fake::Unit;
use kubewright::host::fake::said;
use kubewright::pki::CertName;
use kubewright::pki::Part;
use kubewright::plan::*;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use time::macros::datetime;

const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const HOSTS: [&str; 2] = ["cp1", "w1"];

struct Stage {
    hosts: BTreeMap<&'static str, Arc<Fake>>,
    api: api::Fake,
    clock: Manual,
    events: Mutex<Vec<Event>>,
    interrupt: AtomicBool,
    /// Ctrl-C when this many steps have begun.
    interrupt_at: Mutex<Option<usize>>,
}

struct Contents;

impl Resolve for Contents {
    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        Ok(format!("resolved {content:?}").into_bytes())
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        match fill {
            Fill::TokenSecret(id) => Ok(Some(format!("secret-of-{id}"))),
            Fill::ClusterInfo { .. } | Fill::Signature { .. } => anyhow::bail!("there is no CA"),
            Fill::Encrypted { .. } => Ok(Some(format!("encrypted-{}", rand()))),
            _ => Ok(None),
        }
    }

    fn is_current(&self, fill: &Fill, live: &str) -> anyhow::Result<Option<bool>> {
        Ok(matches!(fill, Fill::Encrypted { .. }).then(|| live.starts_with("encrypted-")))
    }
}

/// Differs each time, as a nonce does.
fn rand() -> usize {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Images as files of the host, so that its faults are theirs too.
struct ImageFiles;

/// While a runtime starts, what it is asked is refused: once for this file, and always for the other.
const STARTING: &str = "/run/runtime-starts";
const BROKEN: &str = "/run/runtime-is-broken";

impl Images for ImageFiles {
    fn present(&self, host: &dyn Host, _: &str, reference: &str) -> anyhow::Result<bool> {
        if host.read(STARTING)?.is_some() {
            host.remove(STARTING)?;
            anyhow::bail!("server is not initialized yet");
        }
        anyhow::ensure!(host.read(BROKEN)?.is_none(), "no such plugin");
        Ok(host.read(&format!("/images/{reference}"))?.is_some())
    }

    fn pull(&self, host: &dyn Host, _: &str, reference: &str) -> anyhow::Result<()> {
        Ok(host.write(&format!("/images/{reference}"), &Entry::file("", 0o644))?)
    }
}

fn fake(name: &'static str) -> Fake {
    let fake = Fake::new(name)
        .with("/etc/old.conf", Entry::file("old", 0o644))
        .with("/etc/sysctl.conf", Entry::file("as it was\n", 0o644))
        .with_unit("kubelet", Unit { active: true, enabled: false, starts: 0, ..Unit::default() })
        .on(&["sysctl", "-n", "net.ipv4.ip_forward"], said(0, "0\n"))
        .on_run(&["sysctl", "--load"], |_, files: &mut Files| {
            files.insert("/proc/forward".to_owned(), Entry::file("1", 0o644));
            said(0, "")
        })
        .on_run(&["sysctl", "--check"], |_, files: &mut Files| {
            said(i32::from(!files.contains_key("/proc/forward")), "")
        })
        .on(&["flaky"], said(1, ""));
    let health = Socket::Tcp { host: "127.0.0.1".to_owned(), port: 10248 };
    fake.listen(health, "HTTP/1.1 200 OK\r\n\r\nok");
    fake
}

impl Stage {
    fn new() -> Self {
        let admins = ObjectRef::of(&binding());
        let api = api::Fake::new().admin_needs(admins);
        api.page("/livez", "ok");
        api.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {
            "name": "cp1", "labels": {"kubernetes.io/hostname": "cp1"}},
            "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}}));
        Self {
            hosts: HOSTS.map(|name| (name, Arc::new(fake(name)))).into(),
            api,
            clock: Manual::new(datetime!(2026-05-01 12:00 UTC)),
            events: Mutex::default(),
            interrupt: AtomicBool::new(false),
            interrupt_at: Mutex::default(),
        }
    }

    fn run(&self, plan: &Plan) -> Report {
        self.run_with(plan, &Options::default())
    }

    fn run_with(&self, plan: &Plan, options: &Options) -> Report {
        let mut fleet = Fleet::new();
        self.hosts.values().for_each(|host| fleet.insert(Arc::<Fake>::clone(host)));
        let begun = Mutex::new(0);
        let events = |event: Event| {
            if matches!(event, Event::StepStarted { .. }) {
                let mut begun = begun.lock().unwrap();
                *begun += 1;
                if *self.interrupt_at.lock().unwrap() == Some(*begun) {
                    self.interrupt.store(true, Ordering::Relaxed);
                }
            }
            self.events.lock().unwrap().push(event);
        };
        apply::execute(
            plan,
            &World {
                hosts: &fleet,
                api: &self.api,
                etcd: &NoEtcd,
                resolver: &Contents,
                images: &ImageFiles,
                pods: &NoPods,
                clock: &self.clock,
                events: &events,
                interrupt: &self.interrupt,
                options,
            },
        )
    }

    fn heal(&self) {
        self.hosts.values().for_each(|host| host.heal());
        self.api.heal();
        self.interrupt.store(false, Ordering::Relaxed);
        *self.interrupt_at.lock().unwrap() = None;
    }

    fn receipt(&self, host: &str) -> Receipt {
        Receipt::load(self.hosts[host].as_ref(), PATH).unwrap().unwrap()
    }

    /// Everything that must not depend on how often the work was begun: files, units, objects, what the receipt says
    /// about the time before, and which steps it knows.
    fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        for (name, host) in &self.hosts {
            let mut files = host.files();
            files.remove(PATH);
            for (path, entry) in files {
                state.push(format!("{name} {path} {entry:?} {:?}", entry.content()));
            }
            let unit = host.unit("kubelet").unwrap();
            state.push(format!("{name} kubelet active {} enabled {}", unit.active, unit.enabled));
            let receipt = self.receipt(name);
            state.push(format!("{name} before {:?}", receipt.befores().collect::<Vec<_>>()));
            state.push(format!("{name} pending {:?}", receipt.pending_restarts));
            let steps = receipt.steps.values().map(|step| (&step.phase, &step.subject, &step.digest));
            state.push(format!("{name} steps {:?}", steps.collect::<Vec<_>>()));
        }
        for (name, mut object) in self.api.objects() {
            for server in ["uid", "resourceVersion", "ownerReferences"] {
                object["metadata"].as_object_mut().unwrap().remove(server);
            }
            for differing in ["expiration", "encrypted"] {
                object.pointer_mut(&format!("/data/{differing}")).map(Value::take);
            }
            state.push(format!("{name} {object}"));
        }
        state
    }

    /// The kubelet was started after the last change of its configuration, on every host.
    fn assert_kubelet_knows_its_configuration(&self, when: &str) {
        for (name, host) in &self.hosts {
            let log = host.log();
            let last = |text: &str| log.iter().rposition(|line| line == text);
            let (written, started) =
                (last(&format!("write {CONFIG}")), last("run systemctl restart kubelet"));
            assert!(started > written, "{when}: {name}: {log:#?}");
        }
    }
}

fn step(phase: &str, place: Place, action: Action) -> Step {
    let (title, reason) = (format!("a step of {phase}"), String::new());
    Step { phase: phase.to_owned(), place, about: None, title, reason, action }
}

fn text(path: &str, text: &str) -> Action {
    let content = Content::Text(text.to_owned());
    Action::File(FileSpec { path: path.into(), mode: 0o644, owner: None, content, keep_existing: false })
}

fn object(value: Value, how: ApplyHow) -> ObjectSpec {
    ObjectSpec { object: Object::plain(value), how, identity: Identity::Admin }
}

fn binding() -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "kubeadm:cluster-admins"}})
}

fn wait(probe: Probe) -> Action {
    Action::Wait(Wait {
        probe,
        limit: GoDuration::from_mins(4),
        setting: Some("timeouts.kubeletHealthCheck"),
        advice: vec!["journalctl -u kubelet".into()],
        container: None,
    })
}

/// Steps of every kind. The configuration of the kubelet comes long before its restart.
fn on_host(name: &str) -> Vec<Step> {
    let pki = |part| Content::Pki { node: name.to_owned(), cert: CertName::Apiserver, part };
    let key = FileSpec {
        path: "/etc/kubernetes/pki/apiserver.key".into(),
        mode: 0o600,
        owner: Some((0, 0)),
        content: pki(Part::Key),
        keep_existing: true,
    };
    let run = |command: Command, unless, best_effort| {
        let query = Command::query("sysctl").arg("-n").arg("net.ipv4.ip_forward");
        let remember = vec![Remember { key: "sysctl net.ipv4.ip_forward".into(), query }];
        Action::Run(RunSpec { command, unless, remember, best_effort })
    };
    let directory = |path: &str| Action::Directory { path: path.into(), mode: 0o700 };
    let image = ImageSpec { reference: "pause:3.10".into(), cri_socket: String::new(), always: false };
    let service = ServiceSpec {
        unit: "kubelet".into(),
        enabled: Some(true),
        restart_on: vec![CONFIG.into(), "/etc/default/kubelet".into()],
        anew: None,
        reload_on: Vec::new(),
        best_effort: false,
    };
    let health = Probe::Http { tls: false, host: "127.0.0.1".into(), port: 10248, path: "/healthz".into() };
    let check = Command::query("sysctl").arg("--check");
    [
        ("prepare", directory("/var/lib/kubelet")),
        ("prepare", text("/etc/sysctl.conf", "net.ipv4.ip_forward = 1\n")),
        ("prepare", run(Command::change("sysctl").arg("--load"), Some(check), false)),
        ("prepare", run(Command::change("flaky"), None, true)),
        ("kubelet-start", text(CONFIG, "kind: KubeletConfiguration\n")),
        ("certs/apiserver", Action::File(key)),
        ("certs/apiserver", Action::Link { path: "/etc/link".into(), target: "/etc/kubernetes".into() }),
        ("certs/apiserver", directory("/etc/link")),
        ("certs/apiserver", Action::Absent { path: "/etc/old.conf".into() }),
        ("kubelet-start", Action::Image(image)),
        ("kubelet-start", Action::Service(service)),
        ("kubelet-start", wait(health)),
    ]
    .map(|(phase, action)| step(phase, Place::Host(name.to_owned()), action))
    .into()
}

fn through_api() -> Vec<Step> {
    let token = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}, "data": {"token-id": "YWJj"}});
    let token = Object::plain(token)
        .hole("/data/token-secret", Fill::TokenSecret("abcdef".into()))
        .hole("/data/expiration", Fill::Expiration(GoDuration::from_hours(24)));
    let owner = ObjectRef::new("v1", "Secret", "kube-system", "bootstrap-token-abcdef");
    let key = Fill::Encrypted { node: "cp1".into(), cert: CertName::ServiceAccount, part: Part::Key };
    let certs = Object::plain(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
        "name": "kubeadm-certs", "namespace": "kube-system", "ownerReferences": [{"kind": "Secret"}]}}))
    .hole("/metadata/ownerReferences/0/uid", Fill::UidOf(owner))
    .hole("/data/encrypted", key);
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kubeadm-config", "namespace": "kube-system"}, "data": {"ClusterConfiguration": "x"}});
    let kept = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}});
    let mark = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp1",
        "labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"taints": [
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}});
    let plain = |object| ObjectSpec { object, how: ApplyHow::CreateOrReplace, identity: Identity::Admin };
    let admins =
        ObjectSpec { identity: Identity::SuperAdmin, ..object(binding(), ApplyHow::CreateOrReplace) };
    [
        ("upload-config", Action::Object(admins)),
        ("wait", wait(Probe::Api { path: "/livez".into(), identity: Identity::Admin })),
        ("wait", wait(Probe::NodeRegistered { node: "cp1".into(), identity: Identity::Admin })),
        ("upload-config", Action::Object(object(config, ApplyHow::CreateOrReplace))),
        ("upload-config", Action::Object(object(kept, ApplyHow::CreateOnly))),
        ("bootstrap-token", Action::Object(plain(token))),
        ("upload-certs", Action::Object(plain(certs))),
        ("mark-control-plane", Action::Object(object(mark, ApplyHow::MarkNode))),
    ]
    .map(|(phase, action)| step(phase, Place::Cluster, action))
    .into()
}

/// The hosts' steps phase by phase, side by side within each.
fn plan() -> Plan {
    let [cp1, w1] = HOSTS.map(on_host);
    let mut steps: Vec<Step> = cp1.into_iter().zip(w1).flat_map(|(one, other)| [one, other]).collect();
    steps.extend(through_api());
    Plan { steps, ..Plan::default() }
}

fn undisturbed() -> Stage {
    let stage = Stage::new();
    let report = stage.run(&plan());
    assert!(report.success(), "{:#?}", report.failures);
    stage
}

#[test]
fn the_second_run_changes_nothing() {
    let stage = undisturbed();
    let first = stage.events.lock().unwrap().len();
    let (expected, clock) = (stage.state(), stage.clock.now());
    stage.clock.advance(Duration::from_hours(1));
    let (files, mutations) = (stage.hosts["cp1"].files(), stage.api.mutations());
    let report = stage.run(&plan());
    assert!(report.success() && report.not_begun == 0);
    // The best-effort command has no condition: it runs, and fails, each time.
    assert_eq!((report.totals().changed, report.totals().warned), (0, 2), "{:#?}", report.records);
    assert_eq!(stage.state(), expected);
    assert_eq!(stage.hosts["cp1"].files(), files, "the receipt is the same too");
    assert_eq!(stage.api.mutations(), mutations);
    assert_eq!(stage.hosts["w1"].unit("kubelet").unwrap().starts, 1);
    assert!(first > 0 && stage.clock.now() > clock);
}

#[test]
fn makes_everything_so() {
    let stage = undisturbed();
    let host = &stage.hosts["w1"];
    let files = host.files();
    let key = &files["/etc/kubernetes/pki/apiserver.key"];
    assert_eq!((key.mode, key.owner), (0o600, Some((0, 0))));
    assert_eq!(files["/var/lib/kubelet"], Entry::directory(0o700));
    assert!(!files.contains_key("/etc/old.conf"));
    assert_eq!(
        host.unit("kubelet"),
        Some(Unit { active: true, enabled: true, starts: 1, ..Unit::default() })
    );
    stage.assert_kubelet_knows_its_configuration("undisturbed");

    let objects = stage.api.objects();
    let get = |kind, namespace, name| objects[&ObjectRef::new("v1", kind, namespace, name)].clone();
    let (token, certs) = (
        get("Secret", "kube-system", "bootstrap-token-abcdef"),
        get("Secret", "kube-system", "kubeadm-certs"),
    );
    assert_eq!(token["data"]["token-secret"], "secret-of-abcdef");
    assert_eq!(token["data"]["expiration"], "MjAyNi0wNS0wMlQxMjowMDowMFo=");
    assert_eq!(certs["metadata"]["ownerReferences"][0]["uid"], token["metadata"]["uid"]);
    assert_eq!(get("Node", "", "cp1")["spec"]["taints"].as_array().unwrap().len(), 2);

    let receipt = stage.receipt("w1");
    assert_eq!(receipt.before("/etc/kubernetes/pki/apiserver.key"), Some(Before::Absent));
    assert_eq!(receipt.before("service kubelet"), Some(Before::Service { active: true, enabled: false }));
    assert_eq!(receipt.before("sysctl net.ipv4.ip_forward"), Some(Before::Value { text: "0".into() }));
    let Some(Before::File { copy: Some(copy), .. }) = receipt.before("/etc/sysctl.conf") else {
        unreachable!()
    };
    assert_eq!(copy, "as it was\n");
    let written = String::from_utf8(files[PATH].content().unwrap().to_vec()).unwrap();
    assert!(!written.contains("resolved"), "the receipt holds a key: {written}");
    assert_eq!(files[PATH].mode, 0o600);
}

#[test]
fn a_fault_at_any_change_of_a_host_is_finished_by_the_next_run() {
    let expected = undisturbed();
    for host in HOSTS {
        for turn in 0..expected.hosts[host].mutations() {
            for fault in [Fault::Refuse(turn), Fault::DieBefore(turn), Fault::DieAfter(turn)] {
                let stage = Stage::new();
                stage.hosts[host].break_at(fault);
                let report = stage.run(&plan());
                let best_effort = report.totals().warned == 2 && report.success();
                assert!(!report.success() || best_effort, "{host} {fault:?}");
                for failure in &report.failures {
                    // A receipt that cannot be written also fails a step through the API.
                    assert!(failure.causes[0].contains(host), "{fault:?}: {failure}");
                    assert!(failure.hints.last().unwrap().contains("again"));
                }
                finish_and_compare(&stage, &expected, &format!("{host} {fault:?}"));
            }
        }
    }
}

#[test]
fn a_fault_at_any_change_of_the_api_is_finished_by_the_next_run() {
    let expected = undisturbed();
    for turn in 0..expected.api.mutations() {
        for fault in [api::fake::Fault::DieBefore, api::fake::Fault::DieAfter, api::fake::Fault::Refuse(400)]
        {
            let stage = Stage::new();
            stage.api.break_at(turn, fault);
            let report = stage.run(&plan());
            assert_eq!(report.failures[0].kind, FailureKind::Api, "{turn} {fault:?}");
            finish_and_compare(&stage, &expected, &format!("api {turn} {fault:?}"));
        }
        for passing in [403, 404, 409, 500, 503] {
            let stage = Stage::new();
            stage.api.break_at(turn, api::fake::Fault::Refuse(passing));
            let report = stage.run(&plan());
            assert!(report.success(), "{turn} {passing}: {:?}", report.failures);
            assert_eq!(stage.state(), expected.state(), "{turn} {passing}");
        }
    }
}

#[test]
fn an_interrupt_at_any_step_is_finished_by_the_next_run() {
    let expected = undisturbed();
    for turn in 1..=plan().steps.len() {
        let stage = Stage::new();
        *stage.interrupt_at.lock().unwrap() = Some(turn);
        let report = stage.run(&plan());
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        assert_eq!(report.interrupted, report.not_begun > 0, "{turn}");
        assert_eq!(report.records.len() + report.not_begun, plan().steps.len());
        finish_and_compare(&stage, &expected, &format!("interrupted at {turn}"));
    }
}

fn finish_and_compare(stage: &Stage, expected: &Stage, when: &str) {
    stage.heal();
    let again = stage.run(&plan());
    assert!(again.success(), "{when}: {:#?}", again.failures);
    assert_eq!(stage.state(), expected.state(), "{when}");
    stage.assert_kubelet_knows_its_configuration(when);
    assert_eq!(stage.run(&plan()).totals().changed, 0, "{when}");
}

#[test]
fn a_dry_run_changes_nothing_and_foretells_the_rest() {
    let stage = Stage::new();
    let options = Options { dry_run: true, diff: true, ..Options::default() };
    let before = stage.hosts["cp1"].files();
    let foretold = stage.run_with(&plan(), &options);
    assert!(foretold.success(), "{:#?}", foretold.failures);
    assert_eq!(stage.hosts["cp1"].files(), before);
    assert_eq!(stage.hosts["cp1"].mutations() + stage.hosts["w1"].mutations() + stage.api.mutations(), 0);
    let done = stage.run(&plan());
    for (told, done) in foretold.records.iter().zip(&done.records) {
        let expected = match done.outcome {
            // A dry run does not wait, and cannot know that a command will fail.
            Outcome::Changed | Outcome::Warned => vec![Outcome::WouldChange],
            _ => vec![Outcome::Ok, Outcome::Skipped],
        };
        assert!(expected.contains(&told.outcome), "{told:?} {done:?}");
    }
    let after = stage.run_with(&plan(), &options);
    assert_eq!(after.totals().would_change, 2, "only the commands without a condition: {:#?}", after.records);
}

#[test]
fn diffs_show_what_differs_and_no_secret() {
    let stage = Stage::new();
    stage.run_with(&plan(), &Options { diff: true, ..Options::default() });
    let events = stage.events.lock().unwrap();
    let diffs: Vec<&String> = events
        .iter()
        .filter_map(|event| match event {
            Event::StepFinished { diff, .. } => diff.as_ref(),
            _ => None,
        })
        .collect();
    let all = diffs.iter().map(|diff| diff.as_str()).collect::<String>();
    assert!(all.contains("-as it was\n+net.ipv4.ip_forward = 1\n"), "{all}");
    assert!(all.contains("ClusterConfiguration: x"), "{all}");
    assert!(
        !all.contains("secret-of") && !all.contains("resolved Pki") && !all.contains("encrypted-"),
        "{all}"
    );
}

#[test]
fn the_other_host_finishes_the_phase_and_then_the_run_ends() {
    let stage = Stage::new();
    stage.hosts["cp1"].break_at(Fault::DieBefore(1));
    let report = stage.run(&plan());
    assert_eq!(report.failures.len(), 1);
    let phases = |host| {
        let records = report.records.iter().filter(move |record| record.host.as_deref() == Some(host));
        records.map(|record| (record.phase.as_str(), record.outcome)).collect::<Vec<_>>()
    };
    assert_eq!(phases("cp1"), [("prepare", Outcome::Failed)]);
    assert_eq!(phases("w1").len(), 4, "{:?}", phases("w1"));
    assert!(report.not_begun > 0);
}

#[test]
fn a_restart_that_an_earlier_run_owed_is_made_up_for() {
    let stage = undisturbed();
    let restarts = || stage.hosts["cp1"].unit("kubelet").unwrap().starts;
    let mut plan = plan();
    for step in &mut plan.steps {
        if step.subject() == CONFIG {
            step.action = text(CONFIG, "changed: true\n");
        }
    }
    let config = plan.steps.iter().position(|step| step.subject() == CONFIG).unwrap();
    // Killed right after the file: seen from the outside, the rest of the plan never ran.
    for more in 0..20 {
        stage.hosts["cp1"].break_at(Fault::DieAfter(stage.hosts["cp1"].mutations() + more));
        assert!(!stage.run(&plan).success());
        stage.heal();
        if stage.hosts["cp1"].read(CONFIG).unwrap().unwrap().content() == Some(b"changed: true\n") {
            break;
        }
    }
    assert_eq!(restarts(), 1);
    let report = stage.run(&plan);
    assert_eq!(report.records[config].outcome, Outcome::Ok, "the file is there already");
    assert_eq!(restarts(), 2);
    assert_eq!(stage.run(&plan).totals().changed, 0);
}

#[test]
fn a_wait_that_is_too_long_says_what_it_saw() {
    let stage = Stage::new();
    let socket = Socket::Tcp { host: "127.0.0.1".to_owned(), port: 10248 };
    stage.hosts["cp1"]
        .listen(socket, "HTTP/1.1 500 Internal Server Error\r\n\r\n[+]ping ok\n[-]etcd failed\n");
    let report = stage.run(&plan());
    let failure = &report.failures[0];
    assert_eq!(failure.kind, FailureKind::Timeout);
    let shown = failure.to_string();
    let setting = "timeouts.kubeletHealthCheck";
    for part in
        ["http://127.0.0.1:10248/healthz", "4m0s", "[-]etcd failed", "journalctl -u kubelet", "cp1", setting]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let waiting = stage.events.lock().unwrap().iter().filter(|e| matches!(e, Event::Waiting { .. })).count();
    assert!((40..=48).contains(&waiting), "{waiting}");
}

#[test]
fn an_api_that_stays_silent_is_asked_for_a_minute() {
    let stage = Stage::new();
    stage.api.unplug(true);
    let plan = Plan { steps: through_api(), ..Plan::default() };
    let start = stage.clock.monotonic();
    let report = stage.run(&plan);
    let waited = stage.clock.monotonic().checked_sub(start).unwrap();
    assert!((59..=60).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(report.failures[0].kind, FailureKind::Api);
    assert!(report.failures[0].causes[0].contains("ClusterRoleBinding kubeadm:cluster-admins"));
}

#[test]
fn a_content_that_cannot_be_made_is_not_tried_again() {
    let stage = Stage::new();
    let hole = Object::plain(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cluster-info", "namespace": "kube-public"}}))
    .hole("/data/kubeconfig", Fill::ClusterInfo { server: String::new() });
    let spec = ObjectSpec { object: hole, how: ApplyHow::CreateOrReplace, identity: Identity::SuperAdmin };
    let report =
        stage.run(&Plan { steps: vec![step("x", Place::Cluster, Action::Object(spec))], ..Plan::default() });
    assert_eq!(report.failures[0].kind, FailureKind::Content);
    assert_eq!(stage.clock.monotonic(), Duration::ZERO);
}

#[test]
fn a_receipt_that_cannot_be_read_stops_before_anything_is_done() {
    let stage = Stage::new();
    stage.hosts["w1"].put(PATH, Entry::file("{", 0o600));
    let report = stage.run(&plan());
    let failure = &report.failures[0];
    assert_eq!((failure.kind, failure.host.as_deref()), (FailureKind::Receipt, Some("w1")));
    assert!(failure.hints[0].contains(&format!("mv {PATH} {PATH}.broken")), "{failure}");
    assert!(report.records.is_empty());
    assert_eq!(stage.hosts["cp1"].mutations() + stage.hosts["w1"].mutations(), 0);
}

#[test]
fn a_failed_command_shows_how_it_failed() {
    let stage = Stage::new();
    let mut command = Command::change("breaks").arg("it's");
    command.args.push(kubewright::host::command::Word::Secret("hunter2".into()));
    let output = kubewright::host::Output { stderr: b"first\nno such thing\n".to_vec(), ..said(7, "") };
    let host = Arc::new(fake("cp1").on(&["breaks"], output));
    let run = RunSpec { command, unless: None, remember: Vec::new(), best_effort: false };
    let plan =
        Plan { steps: vec![step("prepare", Place::Host("cp1".into()), Action::Run(run))], ..Plan::default() };
    let stage = Stage { hosts: [("cp1", host)].into(), ..stage };
    let shown = stage.run(&plan).failures[0].to_string();
    for part in
        ["status 7", r"breaks 'it'\''s' '<secret>'", "no such thing", "prepare", "run the same command again"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_host_that_nobody_knows_is_found_before_anything_is_done() {
    let stage = Stage::new();
    let mut plan = plan();
    plan.steps.push(step("x", Place::Host("ghost".into()), text("/x", "")));
    let report = stage.run(&plan);
    assert_eq!(report.failures[0].kind, FailureKind::Plan);
    assert_eq!(report.not_begun, plan.steps.len());
}

#[test]
fn events_come_in_order_and_add_up() {
    let stage = undisturbed();
    let events = stage.events.lock().unwrap();
    assert!(
        matches!(events.first(), Some(Event::RunStarted { steps: 32, dry_run: false, .. })),
        "{:?}",
        events[0]
    );
    let Some(Event::RunFinished { totals, .. }) = events.last() else { unreachable!() };
    assert_eq!(totals.ok + totals.changed + totals.warned, 32);
    let mut open = BTreeSet::new();
    for event in events.iter() {
        match event {
            Event::StepStarted { host, subject, .. } => assert!(open.insert((host, subject))),
            Event::StepFinished { host, subject, .. } => assert!(open.remove(&(host, subject))),
            Event::PhaseFinished { .. } => assert!(open.is_empty()),
            _ => {}
        }
    }
}

#[test]
fn services_converge_under_either_manager() {
    let service = |best_effort| {
        let (unit, restart_on) = ("crond".to_owned(), vec!["/etc/crontab".to_owned()]);
        let service = ServiceSpec {
            unit,
            enabled: Some(true),
            restart_on,
            anew: None,
            reload_on: Vec::new(),
            best_effort,
        };
        step("prepare", Place::Host("cp1".into()), Action::Service(service))
    };
    let file = step("prepare", Place::Host("cp1".into()), text("/etc/crontab", "x"));
    let open_rc = |active: bool, enabled: bool| {
        Fake::new("cp1")
            .with("/run/openrc", Entry::directory(0o755))
            .on(&["rc-service", "crond", "status"], said(if active { 0 } else { 3 }, ""))
            .on(&["sh", "-c"], said(i32::from(!enabled), ""))
            .on(&["rc-update"], said(0, ""))
            .on(&["rc-service", "crond", "start"], said(0, ""))
            .on(&["rc-service", "crond", "restart"], said(0, ""))
    };
    for (host, changes) in [
        (open_rc(true, true), vec!["run rc-service crond restart"]),
        (open_rc(false, false), vec!["run rc-update add crond default", "run rc-service crond start"]),
    ] {
        let host = Arc::new(host);
        let stage = Stage { hosts: [("cp1", Arc::clone(&host))].into(), ..Stage::new() };
        let report = stage.run(&Plan { steps: vec![file.clone(), service(false)], ..Plan::default() });
        assert!(report.success(), "{:?}", report.failures);
        let runs: Vec<String> = host.log().into_iter().filter(|line| line.starts_with("run")).collect();
        assert_eq!(runs, changes);
    }
    let bare = || Stage { hosts: [("cp1", Arc::new(Fake::new("cp1")))].into(), ..Stage::new() };
    let report = bare().run(&Plan { steps: vec![service(true)], ..Plan::default() });
    assert_eq!((report.success(), report.records[0].outcome), (true, Outcome::Warned));
    let report = bare().run(&Plan { steps: vec![service(false)], ..Plan::default() });
    assert!(report.failures[0].causes[0].contains("neither systemd nor OpenRC"), "{:?}", report.failures);
}

#[test]
fn a_unit_is_restarted_once_for_each_change() {
    let stage = Stage::new();
    let here = || Place::Host("cp1".to_owned());
    let service = || {
        let restart_on = vec!["/a".to_owned(), "/b".to_owned()];
        let unit = "kubelet".to_owned();
        let service = ServiceSpec {
            unit,
            enabled: None,
            restart_on,
            anew: None,
            reload_on: Vec::new(),
            best_effort: false,
        };
        step("s", here(), Action::Service(service))
    };
    let file = |path| step("f", here(), text(path, "x"));
    let plan = Plan {
        steps: vec![file("/a"), service(), service(), file("/b"), service(), service()],
        ..Plan::default()
    };
    let outcomes = |report: Report| report.records.iter().map(|record| record.outcome).collect::<Vec<_>>();
    let (ok, changed) = (Outcome::Ok, Outcome::Changed);
    assert_eq!(outcomes(stage.run(&plan)), [changed, changed, ok, changed, changed, ok]);
    assert_eq!(outcomes(stage.run(&plan)), [ok; 6]);
    assert_eq!(stage.hosts["cp1"].unit("kubelet").unwrap().starts, 2);
}

#[test]
fn all_units_of_a_host_are_asked_for_at_once_until_something_is_done_there() {
    let here = || Place::Host("cp1".to_owned());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&asked);
    let host = Fake::new("cp1")
        .with("/run/systemd/system", Entry::directory(0o755))
        .with_unit("containerd", Unit { active: true, ..Unit::default() })
        .with_unit("haproxy", Unit { active: true, ..Unit::default() })
        .on_run(&["systemctl", "show"], move |command, _| {
            let names: Vec<String> = command.args[3..].iter().map(|name| name.expose().to_owned()).collect();
            telling.lock().unwrap().push(names.join(" "));
            let unit = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n";
            said(0, &vec![unit; names.len()].join("\n"))
        });
    let stage = Stage { hosts: [("cp1", Arc::new(host))].into(), ..Stage::new() };
    let service = |unit: &str| {
        let service = ServiceSpec { unit: unit.to_owned(), ..ServiceSpec::default() };
        step("s", here(), Action::Service(service))
    };
    let file = step("f", here(), text("/a", "x"));
    let steps =
        vec![service("containerd"), service("haproxy"), file, service("containerd"), service("haproxy")];
    let plan = Plan { steps, ..Plan::default() };
    let times = || std::mem::take(&mut *asked.lock().unwrap());
    assert!(stage.run(&plan).success());
    assert_eq!(times(), ["containerd haproxy", "containerd haproxy"], "again after the file was written");
    assert!(stage.run(&plan).success());
    assert_eq!(times(), ["containerd haproxy"], "nothing is done");
}

#[test]
fn a_runtime_that_was_just_started_is_asked_again() {
    let references = vec!["coredns:1".to_owned()];
    let supply = Supply::File { path: "/stock/coredns.tar".to_owned() };
    let archive = ImageArchiveSpec { cri_socket: String::new(), supply, references };
    let image = ImageSpec { reference: "coredns:1".into(), cri_socket: String::new(), always: false };
    for action in [Action::ImageArchive(archive), Action::Image(image)] {
        let plan = Plan { steps: vec![step("images", Place::Host("cp1".into()), action)], ..Plan::default() };
        let host = |marker| {
            let there = Fake::new("cp1").with("/images/coredns:1", Entry::file("", 0o644));
            Arc::new(there.with(marker, Entry::file("", 0o644)))
        };
        let stage = |marker| Stage { hosts: [("cp1", host(marker))].into(), ..Stage::new() };
        let report = stage(STARTING).run(&plan);
        assert_eq!((report.success(), report.records[0].outcome), (true, Outcome::Ok), "{report:?}");
        let report = stage(BROKEN).run(&plan);
        assert!(report.failures[0].causes[0].contains("no such plugin"), "{:?}", report.failures);
    }
}

#[test]
fn systemd_reads_its_files_where_one_of_them_changed() {
    let here = || Place::Host("cp1".to_owned());
    let settings = "/etc/systemd/system/kubelet.service.d/20-etcd.conf";
    let service = |path: &str| {
        let restart_on = vec![path.to_owned()];
        step(
            "s",
            here(),
            Action::Service(ServiceSpec { unit: "kubelet".to_owned(), restart_on, ..ServiceSpec::default() }),
        )
    };
    let reloads = |path: &str| {
        let stage = Stage::new();
        let steps = vec![step("f", here(), text(path, "x")), service(path), service(path)];
        assert!(stage.run(&Plan { steps, ..Plan::default() }).success());
        stage.hosts["cp1"].log().iter().filter(|line| *line == "run systemctl daemon-reload").count()
    };
    // The fake's systemd notices nothing by itself, as the real one does with a new directory.
    assert_eq!((reloads(settings), reloads("/etc/kubelet.conf")), (1, 0));
}

#[test]
fn a_unit_that_was_started_too_often_is_started_once_more() {
    let stage = Stage::new();
    stage.hosts["cp1"].set_unit("kubelet", Unit { limited: true, ..Unit::default() });
    let here = || Place::Host("cp1".to_owned());
    let service = ServiceSpec { unit: "kubelet".to_owned(), ..ServiceSpec::default() };
    let plan = Plan { steps: vec![step("s", here(), Action::Service(service))], ..Plan::default() };
    assert!(stage.run(&plan).success());
    let unit = stage.hosts["cp1"].unit("kubelet").unwrap();
    assert_eq!((unit.active, unit.starts), (true, 1));
}

#[test]
fn a_unit_is_reloaded_where_that_is_enough() {
    let stage = Stage::new();
    let here = || Place::Host("cp1".to_owned());
    let service = || {
        let (restart_on, reload_on) = (vec!["/unit".to_owned()], vec!["/config".to_owned()]);
        let unit = "kubelet".to_owned();
        let service = ServiceSpec { unit, restart_on, reload_on, ..ServiceSpec::default() };
        step("s", here(), Action::Service(service))
    };
    let file = |path, content| step("f", here(), text(path, content));
    let run = |steps| {
        let report = stage.run(&Plan { steps, ..Plan::default() });
        assert!(report.success(), "{:?}", report.failures);
        let unit = stage.hosts["cp1"].unit("kubelet").unwrap();
        (unit.starts, unit.reloads)
    };
    // It runs already.
    assert_eq!(run(vec![file("/config", "one"), service(), service()]), (0, 1));
    assert_eq!(run(vec![file("/config", "one"), service()]), (0, 1));
    assert_eq!(run(vec![file("/unit", "one"), file("/config", "two"), service()]), (1, 1));
    assert_eq!(run(vec![file("/config", "three"), service()]), (1, 2));
}

#[test]
fn what_cannot_be_asked_for_was_not_there() {
    let host = Arc::new(fake("cp1").on(&["sysctl", "-n", "net.bridge"], said(255, "")));
    let stage = Stage { hosts: [("cp1", Arc::clone(&host))].into(), ..Stage::new() };
    let query = Command::query("sysctl").arg("-n").arg("net.bridge");
    let remember = vec![Remember { key: "sysctl net.bridge".into(), query }];
    // The condition names a program that does not exist: it has not succeeded.
    let unless = Some(Command::query("missing"));
    let run =
        RunSpec { command: Command::change("sysctl").arg("--load"), unless, remember, best_effort: false };
    let report = stage.run(&Plan {
        steps: vec![step("s", Place::Host("cp1".into()), Action::Run(run))],
        ..Plan::default()
    });
    assert_eq!(report.totals().changed, 1, "{:?}", report.failures);
    assert_eq!(stage.receipt("cp1").before("sysctl net.bridge"), Some(Before::Absent));
}

/// A mistake of ours in one place is told and stops the run; nobody waits for the thread that is gone.
#[test]
fn a_mistake_of_ours_keeps_nobody_waiting() {
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stage = Stage::new();
        let broken = fake("cp1").on_run(&["sysctl", "--load"], |_, _| panic!("a mistake of ours"));
        stage.hosts.insert("cp1", Arc::new(broken));
        let steps: Vec<Step> = HOSTS.into_iter().flat_map(on_host).collect();
        let plan = Plan { steps, order: Order::Paced(Vec::new()), ..Plan::default() };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(&plan)));
        told.send(ended.is_err()).unwrap();
    });
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok(true));
}
