//! The API client against a real kube-apiserver, found through `KUBEWRIGHT_TEST_KUBE`.
#![expect(clippy::disallowed_methods, reason = "the test starts the servers that it talks to")]

use crate::skip::skip;
use kubewright::api::Access;
use kubewright::api::Api;
use kubewright::api::ApiError;
use kubewright::api::ApiProvider;
use kubewright::api::KubeApi;
use kubewright::api::Kubeconfigs;
use kubewright::api::Selector;
use kubewright::apply;
use kubewright::apply::Images;
use kubewright::apply::NoPods;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::clock::System;
use kubewright::cluster::GoDuration;
use kubewright::etcd::NoEtcd;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::Local;
use kubewright::plan::*;
use kubewright::report::Report;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// etcd and a kube-apiserver on free loopback ports; both end with the test.
struct Server {
    directory: TempDir,
    port: u16,
    processes: Vec<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(kube: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_certificates(directory.path());
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let mut server = Self { directory, port, processes: Vec::new() };
        let file = |name: &str| server.directory.path().join(name).display().to_string();
        let etcd = [
            format!("--data-dir={}", file("etcd")),
            format!("--listen-client-urls=http://127.0.0.1:{client}"),
            format!("--advertise-client-urls=http://127.0.0.1:{client}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            "--unsafe-no-fsync".to_owned(),
        ];
        let apiserver = [
            format!("--etcd-servers=http://127.0.0.1:{client}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("server.pub")),
            format!("--service-account-signing-key-file={}", file("server.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
        ];
        let etcd = server.spawn(&kube.join("etcd"), &etcd);
        let apiserver = server.spawn(&kube.join("kube-apiserver"), &apiserver);
        server.processes = vec![apiserver, etcd];
        server
    }

    fn spawn(&self, program: &Path, args: &[String]) -> Child {
        let log = self.directory.path().join(program.file_name().unwrap()).with_extension("log");
        let log = fs::File::create(log).unwrap();
        let errors = log.try_clone().unwrap();
        Command::new(program).args(args).stdout(log).stderr(errors).stdin(Stdio::null()).spawn().unwrap()
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn kubeconfig(&self, ca: &str, user: &str) -> Vec<u8> {
        kubeconfig(self.directory.path(), &self.url(), ca, user)
    }

    fn client(&self, user: &str) -> KubeApi {
        KubeApi::connect(&self.kubeconfig("ca", user), None).unwrap()
    }

    fn ended(&mut self) -> bool {
        self.processes.iter_mut().any(|process| process.try_wait().unwrap().is_some())
    }

    /// Waits until the server is ready, which on a busy machine takes a while.
    fn wait(&mut self) {
        let (api, start) = (self.client("admin"), Instant::now());
        loop {
            match api.raw("/readyz") {
                Ok(text) => break assert_eq!(text, "ok"),
                Err(error) if self.ended() || start.elapsed() > Duration::from_mins(2) => {
                    let log = fs::read_to_string(self.directory.path().join("kube-apiserver.log"));
                    panic!("{error}\n{}", log.unwrap_or_default());
                }
                Err(_) => thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

fn openssl(directory: &Path, args: &str) {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}

fn make_certificates(directory: &Path) {
    let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for ca in ["ca", "other-ca"] {
        openssl(directory, &format!("{key} -x509 -days 2 -subj /CN={ca} -keyout {ca}.key -out {ca}.crt"));
    }
    for (name, ca, subject, names) in [
        ("server", "ca", "/CN=kube-apiserver", "IP:127.0.0.1,DNS:kubernetes"),
        ("admin", "ca", "/O=system:masters/CN=admin", "DNS:admin"),
        ("nobody", "ca", "/CN=nobody", "DNS:nobody"),
        ("stranger", "other-ca", "/O=system:masters/CN=stranger", "DNS:stranger"),
    ] {
        openssl(directory, &format!("{key} -subj {subject} -keyout {name}.key -out {name}.csr"));
        fs::write(directory.join("ext"), format!("subjectAltName={names}\n")).unwrap();
        let sign = format!("-CA {ca}.crt -CAkey {ca}.key -CAcreateserial -days 2 -extfile ext");
        openssl(directory, &format!("x509 -req -in {name}.csr {sign} -out {name}.crt"));
    }
    openssl(directory, "pkey -in server.key -pubout -out server.pub");
}

fn kubeconfig(directory: &Path, server: &str, ca: &str, user: &str) -> Vec<u8> {
    let data = |name: String| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(fs::read(directory.join(name)).unwrap())
    };
    let mut text = String::from("apiVersion: v1\nkind: Config\ncurrent-context: c\n");
    let ca = data(format!("{ca}.crt"));
    let (certificate, key) = (data(format!("{user}.crt")), data(format!("{user}.key")));
    write!(
        text,
        "clusters: [{{name: k, cluster: {{server: '{server}', certificate-authority-data: {ca}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         users: [{{name: u, user: {{client-certificate-data: {certificate}, client-key-data: {key}}}}}]\n"
    )
    .unwrap();
    text.into_bytes()
}

fn kube_directory(test: &str) -> Option<PathBuf> {
    let Some(kube) = std::env::var_os("KUBEWRIGHT_TEST_KUBE") else {
        skip(test, "KUBEWRIGHT_TEST_KUBE is not set");
        return None;
    };
    let kube = PathBuf::from(kube);
    for program in ["etcd", "kube-apiserver"] {
        assert!(kube.join(program).exists(), "KUBEWRIGHT_TEST_KUBE has no {program}");
    }
    Some(kube)
}

#[test]
fn a_real_api_server_understands_us() {
    let Some(kube) = kube_directory("a_real_api_server_understands_us") else { return };
    let mut server = Server::start(&kube);
    server.wait();
    objects_come_and_change(&server.client("admin"));
    refusals_are_told(&server);
    credentials_are_checked(&server);
    clients_are_kept_and_renewed(&server);
    one_client_serves_many_threads(&server.client("admin"));
    lists_are_followed_to_their_end(&server.client("admin"));
    a_plan_is_applied_once(&server);
    kubeadms_objects_are_applied_once(&server);
    goes_silent(server);
}

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"key": value}})
}

fn objects_come_and_change(api: &KubeApi) {
    let (first, name) = (config_map("one", "a"), ObjectRef::of(&config_map("one", "a")));
    assert_eq!(api.get(&name).unwrap(), None);
    let stored = api.create(&first).unwrap();
    assert!(!stored["metadata"]["uid"].as_str().unwrap().is_empty());
    assert!(api.create(&first).unwrap_err().is_conflict());
    assert_eq!(api.get(&name).unwrap().unwrap()["data"]["key"], "a");
    assert_eq!(api.replace(&config_map("one", "b")).unwrap()["data"]["key"], "b");
    let outdated = api.replace(&stored).unwrap_err();
    assert!(
        matches!(&outdated, ApiError::Status { code: 409, reason, .. } if reason == "Conflict"),
        "{outdated}"
    );
    let patched = api.patch(&name, &json!({"data": {"other": "c"}})).unwrap();
    assert_eq!(patched["data"], json!({"key": "b", "other": "c"}));

    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "kubeadm:get-nodes"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]});
    api.create(&role).unwrap();
    assert!(api.get(&ObjectRef::of(&role)).unwrap().is_some(), "a colon in a name");
    assert_eq!(api.raw("/livez").unwrap(), "ok");
    assert!(api.raw("/version").unwrap().contains("gitVersion"));
}

/// More objects than one answer holds.
fn lists_are_followed_to_their_end(api: &KubeApi) {
    let name = |number: usize| format!("many-{number:03}");
    let secret = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": if number < 2 { "example.com/rare" } else { "Opaque" },
            "metadata": {"name": name(number), "namespace": "default",
                "labels": {"parity": if number.is_multiple_of(2) { "even" } else { "odd" }}}})
    };
    thread::scope(|scope| {
        for start in 0..4 {
            scope.spawn(move || {
                for number in (start..510).step_by(4) {
                    api.create(&secret(number)).unwrap();
                }
            });
        }
    });
    let secrets = ObjectRef::new("v1", "Secret", "default", "");
    for (selector, count) in [
        (Selector::all(), 510),
        (Selector::all().label("parity", "even"), 255),
        (Selector::all().field("type", "example.com/rare"), 2),
        (Selector::all().field("type", "example.com/rare").label("parity", "odd"), 1),
        (Selector::all().label("parity", "none"), 0),
    ] {
        let found = api.list(&secrets, &selector).unwrap();
        assert_eq!(found.len(), count, "{selector:?}");
        assert!(found.iter().all(|object| ObjectRef::of(object).is_in(&secrets) && selector.matches(object)));
    }
    let one = ObjectRef::of(&secret(0));
    api.delete(&one).unwrap();
    assert!(api.delete(&one).unwrap_err().is_missing());
    assert_eq!(api.get(&one).unwrap(), None);
}

fn refusals_are_told(server: &Server) {
    let api = server.client("admin");
    let missing = api.replace(&config_map("none", "a")).unwrap_err();
    assert!(matches!(missing, ApiError::Status { code: 404, .. }), "{missing}");
    let patch = api.patch(&ObjectRef::new("v1", "Node", "", "none"), &json!({})).unwrap_err();
    assert!(matches!(patch, ApiError::Status { code: 404, .. }), "{patch}");
    let mut wrong = config_map("Wrong_Name", "a");
    let invalid = api.create(&wrong).unwrap_err();
    assert!(matches!(&invalid, ApiError::Status { code: 422, message, .. } if message.contains("RFC 1123")));
    assert!(!invalid.may_heal());
    wrong["data"] = json!(7);
    assert!(matches!(api.create(&wrong).unwrap_err(), ApiError::Status { code: 400, .. }));
    let page = api.raw("/nothing/here").unwrap_err();
    assert!(matches!(page, ApiError::Status { code: 404, .. }), "{page}");
    let forbidden = server.client("nobody").get(&ObjectRef::of(&config_map("one", ""))).unwrap_err();
    assert!(forbidden.is_forbidden() && forbidden.to_string().contains("nobody"), "{forbidden}");
}

fn credentials_are_checked(server: &Server) {
    let ask = |kubeconfig: &[u8], url: Option<&str>| {
        let error = KubeApi::connect(kubeconfig, url).unwrap().raw("/livez").unwrap_err();
        assert!(
            matches!(error, ApiError::Unreachable { .. } | ApiError::Status { code: 401, .. }),
            "{error}"
        );
        error.to_string()
    };
    let wrong_ca = ask(&server.kubeconfig("other-ca", "admin"), None);
    assert!(wrong_ca.contains("signed by an authority that the kubeconfig does not trust"), "{wrong_ca}");
    let other_name = format!("https://localhost:{}", server.port);
    let wrong_name = ask(&server.kubeconfig("ca", "admin"), Some(&other_name));
    assert!(wrong_name.contains("not made for this address"), "{wrong_name}");
    let stranger = ask(&server.kubeconfig("ca", "stranger"), None);
    assert!(stranger.contains("401") || stranger.contains("refuses the client certificate"), "{stranger}");
    // The server in the file leads nowhere; the override is what counts.
    let elsewhere = kubeconfig(server.directory.path(), "https://192.0.2.1:6443", "ca", "admin");
    assert_eq!(KubeApi::connect(&elsewhere, Some(&server.url())).unwrap().raw("/livez").unwrap(), "ok");
}

fn clients_are_kept_and_renewed(server: &Server) {
    let admin = AtomicBool::new(false);
    let provider = Kubeconfigs::new(|identity| {
        let there = identity == Identity::Admin && admin.load(std::sync::atomic::Ordering::Relaxed);
        Ok(there.then(|| Access { kubeconfig: server.kubeconfig("ca", "admin"), server: None }))
    });
    let missing = provider.client(Identity::Admin).map(drop).unwrap_err();
    assert_eq!(missing.to_string(), "cannot use admin.conf: the file does not exist");
    admin.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(provider.client(Identity::Admin).unwrap().raw("/livez").unwrap(), "ok");
    assert!(provider.client(Identity::SuperAdmin).is_err());
}

fn one_client_serves_many_threads(api: &KubeApi) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(api.raw("/livez").unwrap(), "ok")));
        }
    });
}

struct Nothing;

impl Resolve for Nothing {
    fn content(&self, _: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("not in this test")
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        Ok(matches!(fill, Fill::TokenSecret(_)).then(|| "c2VjcmV0".to_owned()))
    }
}

impl Images for Nothing {
    fn present(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<bool> {
        anyhow::bail!("not in this test")
    }

    fn pull(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<()> {
        anyhow::bail!("not in this test")
    }
}

fn execute(server: &Server, plan: &Plan) -> Report {
    let bytes = server.kubeconfig("ca", "admin");
    let provider = Kubeconfigs::new(move |_| Ok(Some(Access { kubeconfig: bytes.clone(), server: None })));
    apply::execute(
        plan,
        &World {
            hosts: &Fleet::of(Local::new("here")),
            api: &provider,
            etcd: &NoEtcd,
            resolver: &Nothing,
            images: &Nothing,
            pods: &NoPods,
            clock: &System,
            events: &|_| {},
            interrupt: &AtomicBool::new(false),
            options: &Options { diff: true, receipt: None, ..Options::default() },
        },
    )
}

fn object_step(object: Object, how: ApplyHow) -> Step {
    Step {
        phase: "addon".to_owned(),
        place: Place::Cluster,
        about: None,
        title: ObjectRef::of(&object.value).to_string(),
        reason: String::new(),
        action: Action::Object(ObjectSpec { object, how, identity: Identity::SuperAdmin }),
    }
}

/// Objects whose live form is full of defaults must be found unchanged, and changes to them must arrive.
fn a_plan_is_applied_once(server: &Server) {
    server.client("admin").create(&node()).unwrap();
    let mut steps: Vec<Step> = samples().into_iter().map(|(object, how)| object_step(object, how)).collect();
    let health =
        |tls, path: &str| Probe::Http { tls, host: "127.0.0.1".into(), port: server.port, path: path.into() };
    for (place, probe) in [
        (Place::Cluster, Probe::Api { path: "/livez".into(), identity: Identity::Admin }),
        (Place::Cluster, Probe::NodeRegistered { node: "cp1".into(), identity: Identity::Admin }),
        (Place::Host("here".into()), health(true, "/livez")),
    ] {
        steps.push(wait_step(place, probe));
    }
    let objects = samples().len();
    let mut plan = Plan { steps, ..Plan::default() };
    let first = execute(server, &plan);
    assert!(first.success(), "{:#?}", first.failures);
    assert_eq!((first.totals().changed, first.totals().ok), (objects, 3), "{:#?}", first.records);
    let second = execute(server, &plan);
    assert_eq!((second.totals().changed, second.totals().ok), (0, objects + 3), "{:#?}", second.records);

    let Action::Object(service) = &mut plan.steps[0].action else { unreachable!() };
    service.object.value["spec"]["ports"][0]["port"] = json!(54);
    let third = execute(server, &plan);
    assert!(third.success(), "{:#?}", third.failures);
    assert_eq!(third.totals().changed, 1, "{:#?}", third.records);
    let api = server.client("admin");
    let service = api.get(&ObjectRef::new("v1", "Service", "kube-system", "kube-dns")).unwrap().unwrap();
    assert_eq!(
        (&service["spec"]["clusterIP"], &service["spec"]["ports"][0]["port"]),
        (&json!("10.96.0.10"), &json!(54))
    );
    for (probe, answer) in [(health(true, "/nothing"), "status 40"), (health(false, "/livez"), "status 400")]
    {
        let plan = Plan { steps: vec![wait_step(Place::Host("here".into()), probe)], ..Plan::default() };
        let failure = execute(server, &plan).failures[0].to_string();
        assert!(failure.contains(answer), "{failure}");
    }
    let node = api.get(&ObjectRef::new("v1", "Node", "", "cp1")).unwrap().unwrap();
    let taints: Vec<&Value> =
        node["spec"]["taints"].as_array().unwrap().iter().map(|taint| &taint["key"]).collect();
    // The last one comes from the API server's own admission.
    let expected =
        ["node-role.kubernetes.io/control-plane", "example.com/kept", "node.kubernetes.io/not-ready"];
    assert_eq!(taints, expected);
    let owned = api.get(&ObjectRef::new("v1", "Secret", "kube-system", "kubeadm-certs")).unwrap().unwrap();
    assert_eq!(owned["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap().len(), 36);
}

fn wait_step(place: Place, probe: Probe) -> Step {
    let wait =
        Wait { probe, limit: GoDuration::from_secs(1), setting: None, advice: Vec::new(), container: None };
    let (phase, title, reason) = ("wait".to_owned(), String::new(), String::new());
    Step { phase, place, about: None, title, reason, action: Action::Wait(wait) }
}

/// What the real kubeadm uploads, where its recorded output is at hand.
fn kubeadms_objects_are_applied_once(server: &Server) {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/kubeadm/golden");
    let golden = std::env::var_os("KUBEWRIGHT_GOLDEN").map_or(beside, PathBuf::from);
    let Ok(files) = fs::read_dir(golden.join("single-node/api-objects")) else {
        skip("kubeadms_objects_are_applied_once", "no recorded output of kubeadm; set KUBEWRIGHT_GOLDEN");
        return;
    };
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let mut steps = Vec::new();
    for text in texts {
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value = <Value as serde::Deserialize>::deserialize(document).unwrap();
            // Secrets and the node were recorded without their contents.
            if !matches!(value["kind"].as_str(), None | Some("Secret" | "Node")) {
                steps.push(object_step(Object::plain(value), ApplyHow::CreateOrReplace));
            }
        }
    }
    let plan = Plan { steps, ..Plan::default() };
    let (first, second) = (execute(server, &plan), execute(server, &plan));
    assert!(first.success(), "{:#?}", first.failures);
    assert!(first.totals().changed > 20, "{}", first.totals());
    let changed: Vec<_> =
        second.records.iter().filter(|r| r.outcome != kubewright::report::Outcome::Ok).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

fn node() -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp1", "labels": {"kubernetes.io/hostname": "cp1"}},
        "spec": {"taints": [{"key": "example.com/kept", "effect": "NoSchedule"}]}})
}

fn samples() -> Vec<(Object, ApplyHow)> {
    let labels = json!({"k8s-app": "kube-dns"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {
        "serviceAccountName": "coredns", "dnsPolicy": "Default",
        "containers": [{"name": "coredns", "image": "coredns:v1", "args": ["-conf", "/etc/coredns/Corefile"],
            "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m"}},
            "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}],
            "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}}],
        "tolerations": [{"operator": "Exists"}], "nodeSelector": {"kubernetes.io/os": "linux"}}});
    let meta = |name: &str| json!({"name": name, "namespace": "kube-system", "labels": labels});
    let workload = |kind: &str| {
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": meta("coredns"),
            "spec": {"selector": {"matchLabels": labels}, "template": pod}, "status": {}})
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let token = json!({"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}, "data": {"token-id": "YWJjZGVm"}});
    let token = Object::plain(token)
        .hole("/data/token-secret", Fill::TokenSecret("abcdef".into()))
        .hole("/data/expiration", Fill::Expiration(GoDuration::from_hours(2)));
    let owner =
        json!({"apiVersion": "v1", "kind": "Secret", "name": "bootstrap-token-abcdef", "controller": true});
    let certs = Object::plain(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
        "name": "kubeadm-certs", "namespace": "kube-system", "ownerReferences": [owner]}}));
    let uid = Fill::UidOf(ObjectRef::new("v1", "Secret", "kube-system", "bootstrap-token-abcdef"));
    let mark = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp1",
        "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}});
    let plain = [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("kube-dns"), "spec": {
            "clusterIP": "10.96.0.10", "selector": labels,
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53}]}}),
        workload("Deployment"),
        workload("DaemonSet"),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("coredns")}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("coredns"), "data": {"Corefile": ".:53 {}\n"}}),
        json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]}),
        json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}]}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": meta("sample"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"},
            "subjects": [{"kind": "Group", "name": "system:nodes"}]}),
    ]
    .map(Object::plain);
    let objects = plain.into_iter().chain([token, certs.hole("/metadata/ownerReferences/0/uid", uid)]);
    let mut all: Vec<_> = objects.map(|object| (object, ApplyHow::CreateOrReplace)).collect();
    all.push((Object::plain(mark), ApplyHow::MarkNode));
    all
}

/// A server that goes away is told as such, also by a client that was connected.
fn goes_silent(mut server: Server) {
    let api = server.client("admin");
    api.raw("/livez").unwrap();
    for process in &mut server.processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let start = Instant::now();
    let error = api.raw("/livez").unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(12));
}

#[test]
fn nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let server = format!("https://127.0.0.1:{}", free_port());
    let api = KubeApi::connect(&kubeconfig(directory.path(), &server, "ca", "admin"), None).unwrap();
    let error = api.raw("/livez").unwrap_err();
    assert_eq!(error.to_string(), format!("the API server at {server} does not answer: connection refused"));
    assert!(matches!(error, ApiError::Unreachable { refused: true, .. }), "{error:?}");
    assert!(error.may_heal());
}
