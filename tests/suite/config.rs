//! Configurations as operators write them: what is wrong is said, what kubeadm accepts is accepted.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use crate::support::golden;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::Secret;
use kubewright::cluster::site::Access;
use kubewright::cluster::site::EndpointProvider;
use kubewright::cluster::site::HostKeyChecking;
use kubewright::cluster::site::Sudo;
use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::File;
use kubewright::config::Issues;
use kubewright::config::JoinOverrides;
use kubewright::config::Loaded;
use kubewright::config::Overrides;
use kubewright::config::Purpose;
use kubewright::config::Strictness;
use kubewright::config::print;
use kubewright::config::print::Component;
use kubewright::kube::images;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

fn environment() -> Environment {
    Environment {
        hostname: "cp1".to_owned(),
        default_address_v4: Some(Ipv4Addr::new(192, 0, 2, 10)),
        tokens: vec![Secret::new("abcdef.0123456789abcdef"), Secret::new("ghijkl.0123456789abcdef")],
        ..Environment::default()
    }
}

fn file<'a>(name: &'a str, text: &'a str) -> File<'a> {
    File { name, bytes: text.as_bytes() }
}

fn load(text: &str) -> Result<Loaded, Issues> {
    load_with(text, &Overrides::default())
}

fn load_with(text: &str, overrides: &Overrides) -> Result<Loaded, Issues> {
    let environment = environment();
    config::load(Some(file("f.yaml", text)), &environment, overrides, Strictness::Lenient, Purpose::Init)
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each file of `tests/config-errors` and what is said about it. `BLESS=1` writes what is said now.
#[test]
fn says_what_is_wrong() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config-errors");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut differing = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&case).unwrap();
        let input = File { name, bytes: &bytes };
        let issues = if name.starts_with("init-") {
            let overrides = Overrides::default();
            config::load(Some(input), &environment(), &overrides, Strictness::Lenient, Purpose::Init)
                .map(|_| ())
        } else {
            config::validate_file(input, &environment()).map(|_| ())
        };
        let issues = issues.expect_err(name);
        assert!(issues.has_errors(), "{name}");
        let said = format!("{issues}\n");
        let expected = case.with_extension("stderr");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            differing.push(format!("--- {name}\n{said}"));
        }
    }
    assert!(differing.is_empty(), "BLESS=1 accepts these:\n{}", differing.join("\n"));
}

#[test]
fn flags_alone_make_a_cluster() {
    let overrides = Overrides {
        pod_network_cidr: Some("10.244.0.0/16".to_owned()),
        apiserver_bind_port: Some(7443),
        control_plane_endpoint: Some("api.example.com".to_owned()),
        apiserver_cert_extra_sans: Some(vec!["LB.example.com".to_owned()]),
        token_ttl: Some("0".to_owned()),
        feature_gates: Some("RootlessControlPlane=true".to_owned()),
        ignore_preflight_errors: Some(vec!["Swap".to_owned()]),
        node_name: Some("Node-1 ".to_owned()),
        ..Overrides::default()
    };
    let loaded = config::load(None, &environment(), &overrides, Strictness::Lenient, Purpose::Init).unwrap();
    let cluster = &loaded.cluster;
    assert_eq!(cluster.nodes.len(), 1);
    assert_eq!(cluster.nodes[0].name, "node-1");
    assert_eq!(cluster.nodes[0].bind_port, 7443);
    assert_eq!(cluster.nodes[0].advertise_address.to_string(), "192.0.2.10");
    assert_eq!(cluster.endpoint.as_ref().unwrap().to_string(), "api.example.com:7443");
    assert_eq!(cluster.configuration.control_plane_endpoint, "api.example.com:7443");
    assert_eq!(cluster.configuration.api_server.cert_sans, ["lb.example.com"]);
    assert_eq!(cluster.tokens[0].id, "abcdef");
    assert_eq!(cluster.tokens[0].ttl.as_secs(), 0);
    assert!(cluster.configuration.feature_gates["RootlessControlPlane"]);
    assert_eq!(loaded.ignore_preflight_errors, ["swap"]);
    assert_eq!(cluster.dns_address().to_string(), "10.96.0.10");
    assert_eq!(cluster.version.to_string(), kubewright::cluster::version::DEFAULT);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_wrong_flag_is_named() {
    let overrides = Overrides {
        service_cidr: Some("10.96.0.0/40".to_owned()),
        token: Some(Secret::new("very-secret")),
        token_ttl: Some("1d".to_owned()),
        feature_gates: Some("a".to_owned()),
        ..Overrides::default()
    };
    let issues =
        config::load(None, &environment(), &overrides, Strictness::Lenient, Purpose::Init).unwrap_err();
    let said = issues.to_string();
    for flag in ["--service-cidr", "--token", "--token-ttl", "--feature-gates"] {
        assert!(said.contains(&format!("  at {flag}\n")), "{flag}: {said}");
    }
    assert!(!said.contains("very-secret"), "{said}");
    assert!(!format!("{overrides:?}").contains("very-secret"));
}

#[test]
fn the_example_is_flawless() {
    let text = print::cluster_example();
    let overrides = Overrides::default();
    let empty =
        Environment { tokens: vec![Secret::new("abcdef.0123456789abcdef")], ..Environment::default() };
    let input = file("example.yaml", text);
    let loaded = config::load(Some(input), &empty, &overrides, Strictness::Strict, Purpose::Render).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", Issues(loaded.warnings));
    let cluster = &loaded.cluster;
    assert_eq!(cluster.name, "prod");
    assert_eq!(cluster.control_planes().count(), 3);
    assert_eq!(cluster.nodes.iter().filter(|node| node.roles == [Role::Worker]).count(), 2);
    assert_eq!(cluster.endpoint.as_ref().unwrap().to_string(), "10.77.0.100:8443");
    assert_eq!(cluster.site.endpoint_provider, EndpointProvider::KeepalivedHaproxy);
    assert_eq!(cluster.first_control_plane().access.as_ref().unwrap().host, "10.77.0.11");
    assert_eq!(cluster.kubelet.value["serverTLSBootstrap"], true);
    assert!(cluster.kubelet.user_supplied);
    assert!(!cluster.kube_proxy.user_supplied);
    assert_eq!(config::validate_file(file("example.yaml", text), &environment()), Ok(Vec::new()));
}

const DOCUMENTS: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.2
networking:
  podSubnet: 10.244.0.0/16
proxy:
  disabled: true
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.9.9.9]
rotateCertificates: false
syncFrequency: 90s
maxPods: 0
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
";

#[test]
fn components_get_what_kubeadm_sets() {
    let loaded = load(DOCUMENTS).unwrap();
    let kubelet = &loaded.cluster.kubelet.value;
    assert_eq!(kubelet["clusterDNS"], json!(["10.9.9.9"]));
    assert_eq!(kubelet["rotateCertificates"], true);
    assert_eq!(kubelet["syncFrequency"], "1m30s");
    assert_eq!(kubelet["authentication"]["x509"]["clientCAFile"], "/etc/kubernetes/pki/ca.crt");
    assert_eq!(kubelet["containerRuntimeEndpoint"], "");
    assert!(kubelet.get("maxPods").is_none() && kubelet.get("resolvConf").is_none());
    let kube_proxy = &loaded.cluster.kube_proxy.value;
    assert_eq!(kube_proxy["mode"], "ipvs");
    assert_eq!(kube_proxy["clusterCIDR"], "10.244.0.0/16");
    assert_eq!(kube_proxy["bindAddress"], "0.0.0.0");
    let warned: Vec<&str> = loaded.warnings.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(warned, ["KubeletConfiguration.clusterDNS", "KubeletConfiguration.rotateCertificates"]);
    assert_eq!(loaded.skip_phases, ["addon/kube-proxy"]);
    assert_eq!(images::list(&loaded.cluster).len(), 6);
}

#[test]
fn layouts_differ_in_one_field_of_the_kubelet() {
    let document = |layout: &str| {
        format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: a}}\nspec: {{pki: {{layout: {layout}}}}}\n"
        )
    };
    let five = load(&document("five")).unwrap().cluster;
    let kubeadm = load(&document("kubeadm")).unwrap().cluster;
    assert_eq!((five.layout, kubeadm.layout), (Layout::Five, Layout::Kubeadm));
    let mut value = five.kubelet.value.clone();
    assert_eq!(value.as_object_mut().unwrap().remove("serverTLSBootstrap"), Some(json!(true)));
    assert_eq!(value, kubeadm.kubelet.value);
    assert_eq!(five.kube_proxy, kubeadm.kube_proxy);
    // The flag decides as the document does, and over it.
    let overrides = Overrides { layout: Some(Layout::Kubeadm), ..Overrides::default() };
    let flag = load_with(&document("five"), &overrides).unwrap().cluster;
    assert_eq!((flag.layout, flag.kubelet), (Layout::Kubeadm, kubeadm.kubelet));
    let own = format!(
        "{}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nserverTLSBootstrap: false\n",
        document("five")
    );
    assert!(load(&own).unwrap().cluster.kubelet.value.get("serverTLSBootstrap").is_none());
}

#[test]
fn a_control_plane_that_runs_keeps_its_layout() {
    let plain = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";
    for (running, given, expected) in [
        (None, None, Ok(Layout::Five)),
        (Some(Layout::Kubeadm), None, Ok(Layout::Kubeadm)),
        (Some(Layout::Kubeadm), Some(Layout::Kubeadm), Ok(Layout::Kubeadm)),
        (
            Some(Layout::Kubeadm),
            Some(Layout::Five),
            Err("the control plane on this host runs with the layout `kubeadm`, and `five` is asked for"),
        ),
    ] {
        let environment = Environment { running_layout: running, ..environment() };
        let overrides = Overrides { layout: given, ..Overrides::default() };
        let load = |purpose| {
            config::load(Some(file("f.yaml", plain)), &environment, &overrides, Strictness::Lenient, purpose)
        };
        let layout = load(Purpose::Init).map(|loaded| loaded.cluster.layout);
        match (layout, expected) {
            (Ok(layout), Ok(expected)) => assert_eq!(layout, expected),
            (Err(issues), Err(expected)) => assert!(issues.to_string().contains(expected), "{issues}"),
            (layout, expected) => panic!("{running:?} {given:?}: {layout:?}, not {expected:?}"),
        }
        // What is rendered is for other hosts.
        assert_eq!(load(Purpose::Render).unwrap().cluster.layout, given.unwrap_or_default());
    }
}

#[test]
fn lenient_where_kubeadm_is() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterNme: a\nclusterName: b\n\
                clusterName: c\n---\napiVersion: example.com/v1\nkind: Thing\n";
    let loaded = load(text).unwrap();
    assert_eq!(loaded.cluster.configuration.cluster_name, "c");
    assert_eq!(loaded.warnings.len(), 3, "{}", Issues(loaded.warnings));
    let strict = config::load(
        Some(file("f.yaml", text)),
        &environment(),
        &Overrides::default(),
        Strictness::Strict,
        Purpose::Init,
    );
    assert_eq!(strict.unwrap_err().errors().count(), 2);
}

#[test]
fn a_host_says_how_it_is_reached_and_leaves_the_rest_to_all() {
    let pin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    let text = format!(
        "\
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{name: lab}}
spec:
  ssh: {{user: ops, bastion: 'jump,ops@inner:2222', connectTimeout: 1m30s, sudoPasswordFile: ~/sudo, sudo: always}}
  hosts:
  - {{name: cp1, address: 10.0.0.1, roles: [control-plane]}}
  - name: w1
    address: 10.0.0.9
    roles: [worker]
    ssh: {{user: root, hostKey: '{pin}', hostKeyChecking: accept-new, bastion: [], sudo: never, passwordFile: p}}
"
    );
    let loaded = load(&text).unwrap();
    let access: Vec<Access> = loaded.cluster.nodes.iter().map(|node| node.access.clone().unwrap()).collect();
    let common = Access {
        host: "10.0.0.1".to_owned(),
        user: Some("ops".to_owned()),
        bastions: vec!["jump,ops@inner:2222".to_owned()],
        connect_timeout: Some(Duration::from_secs(90)),
        sudo: Sudo::Always,
        sudo_password_file: Some("~/sudo".to_owned()),
        ..Access::default()
    };
    let own = Access {
        host: "10.0.0.9".to_owned(),
        user: Some("root".to_owned()),
        bastions: Vec::new(),
        sudo: Sudo::Never,
        password_file: Some("p".to_owned()),
        host_keys: vec![pin.to_owned()],
        host_key_checking: Some(HostKeyChecking::AcceptNew),
        ..common.clone()
    };
    assert_eq!(access, [common, own]);
}

#[test]
fn hosts_share_the_registration_of_init() {
    let text = "\
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {name: lab}
spec:
  ssh: {user: admin, identityFile: k}
  endpoint: {host: 10.0.0.100, provider: external}
  hosts:
  - {name: w1, address: 10.0.0.9, roles: [worker], sshAddress: w1.example.com, ssh: {port: 2222}}
  - {name: cp1, address: 10.0.0.1, roles: [control-plane], kubeletExtraArgs: [{name: b, value: '2'}]}
  - {name: cp2, address: 10.0.0.2, roles: [control-plane, worker], criSocket: /run/crio.sock}
  - {name: cp3, address: 10.0.0.3, roles: [control-plane], taints: []}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {bindPort: 7443}
nodeRegistration:
  criSocket: unix:///run/a.sock
  kubeletExtraArgs: [{name: a, value: '1'}]
";
    let loaded = load(text).unwrap();
    let cluster = &loaded.cluster;
    let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["cp1", "cp2", "cp3", "w1"]);
    let [cp1, cp2, cp3, w1] = cluster.nodes.as_slice() else { panic!() };
    assert_eq!(cp1.effective_taints().len(), 1);
    assert!(cp2.effective_taints().is_empty() && cp3.effective_taints().is_empty());
    assert!(w1.effective_taints().is_empty());
    assert_eq!(cp1.kubelet_arg("a"), Some("1"));
    assert_eq!(cp1.kubelet_arg("b"), Some("2"));
    assert_eq!(cp2.cri_socket, "unix:///run/crio.sock");
    assert_eq!(w1.cri_socket, "unix:///run/a.sock");
    assert_eq!(cp3.bind_port, 7443);
    let access = w1.access.as_ref().unwrap();
    assert_eq!(
        (access.host.as_str(), access.user.as_deref(), access.port),
        ("w1.example.com", Some("admin"), Some(2222))
    );
    assert_eq!(access.identity_file.as_deref(), Some("k"));
    assert_eq!(cluster.endpoint.as_ref().unwrap().to_string(), "10.0.0.100:7443");
    assert_eq!(cluster.configuration.control_plane_endpoint, "10.0.0.100:7443");
    assert_eq!(loaded.init.node_registration.name, "cp1");
    assert_eq!(loaded.init.local_api_endpoint.advertise_address, "10.0.0.1");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

#[test]
fn an_address_is_found_as_kubeadm_finds_it() {
    let text = |address: &str| {
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: '{address}'}}\n"
        )
    };
    let mut environment = environment();
    environment.default_address_v6 = Some("2001:db8::10".parse().unwrap());
    environment.loopback_address = Some("198.51.100.1".parse().unwrap());
    for (given, expected) in [
        ("", "192.0.2.10"),
        ("0.0.0.0", "192.0.2.10"),
        ("::", "2001:db8::10"),
        ("127.0.0.1", "198.51.100.1"),
        ("010.0.0.5", "10.0.0.5"),
        ("2001:DB8::0:5", "2001:db8::5"),
    ] {
        let text = text(given);
        let loaded = config::load(
            Some(file("f", &text)),
            &environment,
            &Overrides::default(),
            Strictness::Lenient,
            Purpose::Init,
        )
        .unwrap_or_else(|issues| panic!("{given}: {issues}"));
        assert_eq!(loaded.cluster.nodes[0].advertise_address.to_string(), expected, "{given}");
    }
    let lost = Environment { hostname: "a".to_owned(), tokens: environment.tokens, ..Environment::default() };
    let issues =
        config::load(None, &lost, &Overrides::default(), Strictness::Lenient, Purpose::Init).unwrap_err();
    assert!(issues.to_string().contains("cannot use 0.0.0.0 as the bind address"), "{issues}");
}

#[test]
fn several_runtimes_must_be_chosen_from() {
    let sockets = vec!["unix:///a".to_owned(), "unix:///b".to_owned()];
    let environment = Environment { cri_sockets: sockets, ..environment() };
    let overrides = Overrides::default();
    let issues =
        config::load(None, &environment, &overrides, Strictness::Lenient, Purpose::Init).unwrap_err();
    assert!(issues.to_string().contains("unix:///a, unix:///b"), "{issues}");
    let chosen = Overrides { cri_socket: Some("/b".to_owned()), ..overrides };
    let loaded = config::load(None, &environment, &chosen, Strictness::Lenient, Purpose::Init).unwrap();
    assert_eq!(loaded.cluster.nodes[0].cri_socket, "unix:///b");
}

const V1BETA3: &str = "\
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
nodeRegistration:
  kubeletExtraArgs: {v: '4', node-ip: 192.0.2.10}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer:
  timeoutForControlPlane: 7m
  extraArgs: {zeta: '1', alpha: '2'}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: JoinConfiguration
discovery:
  timeout: 3m
  bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'a:1', unsafeSkipCAVerification: true}
";

#[test]
fn v1beta3_becomes_v1beta4() {
    let (text, _) = config::migrate(file("f", V1BETA3), &environment()).unwrap();
    let documents: Vec<Value> = text.split("---\n").map(yaml).collect();
    let [init, cluster, join] = documents.as_slice() else { panic!("{text}") };
    assert_eq!(init["timeouts"]["controlPlaneComponentHealthCheck"], "7m0s");
    assert_eq!(
        init["nodeRegistration"]["kubeletExtraArgs"],
        json!([{"name": "node-ip", "value": "192.0.2.10"}, {"name": "v", "value": "4"}])
    );
    assert_eq!(cluster["apiServer"]["extraArgs"][0]["name"], "alpha");
    assert_eq!(join["timeouts"]["discovery"], "3m0s");
    let (again, warnings) = config::migrate(file("f", &text), &environment()).unwrap();
    assert_eq!(again, text, "migrating twice changes nothing");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn printed_defaults_can_be_read() {
    let components = [Component::Kubelet, Component::KubeProxy];
    for text in [
        print::init_defaults(&components),
        print::join_defaults("cp1"),
        print::reset_defaults(),
        print::upgrade_defaults(),
    ] {
        let warnings = config::validate_file(file("f", &text), &environment()).unwrap();
        assert!(warnings.is_empty(), "{}\n{text}", Issues(warnings));
    }
    let first =
        "apiVersion: kubeadm.k8s.io/v1beta4\nbootstrapTokens:\n- groups:\n  - system:bootstrappers:kubeadm:";
    assert!(print::init_defaults(&[]).starts_with(first));
}

#[test]
fn prints_what_kubeadm_prints() {
    let Some(golden) = golden::folder("prints_what_kubeadm_prints") else { return };
    let components = [Component::Kubelet, Component::KubeProxy];
    for (name, text) in [
        ("init", print::init_defaults(&components)),
        ("join", print::join_defaults("cp1")),
        ("reset", print::reset_defaults()),
        ("upgrade", print::upgrade_defaults()),
    ] {
        let expected = read(&golden.join(format!("print-defaults/{name}-defaults.yaml")));
        assert_eq!(text, expected, "{name}");
    }
}

#[test]
fn migrates_as_kubeadm_does() {
    let Some(golden) = golden::folder("migrates_as_kubeadm_does") else { return };
    for name in ["v1beta3-init", "v1beta3-join", "v1beta4-init"] {
        let input = read(&golden.join(format!("migrate/{name}.in.yaml")));
        // kubeadm loses this timeout; keeping it is the one difference.
        let expected = read(&golden.join(format!("migrate/{name}.out.yaml")))
            .replace("controlPlaneComponentHealthCheck: 0s", "controlPlaneComponentHealthCheck: 9m0s");
        let (text, _) = config::migrate(file(name, &input), &environment()).unwrap();
        assert_eq!(text, expected, "{name}");
    }
}

#[test]
fn lists_the_images_that_kubeadm_lists() {
    let Some(golden) = golden::folder("lists_the_images_that_kubeadm_lists") else { return };
    for (version, repository, recorded) in [
        ("v1.36.2", None, "v1.36.2.txt"),
        ("v1.35.0", None, "v1.35.0.txt"),
        ("v1.36.2", Some("registry.example.com/k8s"), "v1.36.2-custom-repository.txt"),
    ] {
        let overrides = Overrides {
            kubernetes_version: Some(version.to_owned()),
            image_repository: repository.map(str::to_owned),
            ..Overrides::default()
        };
        let loaded =
            config::load(None, &environment(), &overrides, Strictness::Lenient, Purpose::Render).unwrap();
        let expected = read(&golden.join("images").join(recorded));
        assert_eq!(images::list(&loaded.cluster).join("\n") + "\n", expected, "{recorded}");
        if recorded == "v1.36.2.txt" {
            let structured = serde_json::to_string_pretty(&images::Images::new(&loaded.cluster)).unwrap();
            let expected = read(&golden.join("images/v1.36.2.json"));
            assert_eq!(structured, expected.trim_end().replace("    ", "  "));
        }
    }
}

#[test]
fn accepts_the_recorded_configurations() {
    let Some(golden) = golden::folder("accepts_the_recorded_configurations") else { return };
    for name in [
        "single-node",
        "ha-controlplaneendpoint",
        "external-etcd",
        "dual-stack",
        "ipv6",
        "extra-args",
        "patches",
        "rootless",
    ] {
        let text = read(&golden.join(format!("configs/{name}.yaml")));
        let loaded = load(&text).unwrap_or_else(|issues| panic!("{name}: {issues}"));
        assert!(loaded.warnings.is_empty(), "{name}: {}", Issues(loaded.warnings));
        compare_components(&golden, name, &loaded);
    }
}

/// The kubelet's file and what is stored in the cluster, where they are recorded, hold our values.
fn compare_components(golden: &Path, name: &str, loaded: &Loaded) {
    let mut kubelet = loaded.cluster.kubelet.value.clone();
    kubelet.as_object_mut().unwrap().remove("serverTLSBootstrap");
    kubelet["containerRuntimeEndpoint"] = json!(loaded.cluster.nodes[0].cri_socket);
    let recorded = golden.join(name).join("kubelet/config.yaml");
    if recorded.is_file() {
        assert_eq!(kubewright::kube::yaml::to_string(&kubelet), read(&recorded), "{name}");
    }
    let recorded = golden.join(name).join("addons/kube-proxy.yaml");
    if recorded.is_file() {
        let addons = read(&recorded);
        let text = kubewright::kube::yaml::to_string(&loaded.cluster.kube_proxy.value);
        let indented = indented(&text);
        assert!(addons.contains(&indented), "{name}:\n{indented}\n{addons}");
    }
    let objects = golden.join(name).join("api-objects/upload-config.yaml");
    if objects.is_file() {
        let indented = indented(&print_cluster_configuration(loaded));
        assert!(read(&objects).contains(&indented), "{name}:\n{indented}");
    }
}

/// As it stands in a `ConfigMap`.
fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

fn print_cluster_configuration(loaded: &Loaded) -> String {
    let mut value = serde_json::to_value(&loaded.cluster.configuration).unwrap();
    value["apiVersion"] = json!("kubeadm.k8s.io/v1beta4");
    value["kind"] = json!("ClusterConfiguration");
    kubewright::kube::yaml::to_string(&value)
}

/// A document with some bytes replaced, removed or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let bases = [DOCUMENTS, V1BETA3, print::cluster_example()];
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..12);
    (0..bases.len(), edits).prop_map(move |(base, edits)| {
        let mut bytes = bases[base].as_bytes().to_vec();
        for (place, edit, byte) in edits {
            let at = place.index(bytes.len());
            let symbol = b"{}[]:-&*!|>'\"%@`#,?~ \n\t0y<"[usize::from(byte) % 26];
            match edit {
                0 => bytes[at] = byte,
                1 => bytes[at] = symbol,
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, symbol),
            }
        }
        bytes
    })
}

fn survives(bytes: &[u8]) {
    let input = File { name: "f", bytes };
    let overrides = Overrides::default();
    let _ = config::load(Some(input), &environment(), &overrides, Strictness::Lenient, Purpose::Init);
    let _ = config::validate_file(input, &environment());
    let _ = config::load_join(Some(input), &environment(), &JoinOverrides::default(), Strictness::Strict);
    let _ = config::version_label(Some(input), &overrides);
    let _ = config::patches::parse(vec![("etcd.yaml".to_owned(), bytes.to_vec())]);
    if let Ok((text, _)) = config::migrate(input, &environment()) {
        config::migrate(File { name: "g", bytes: text.as_bytes() }, &environment()).unwrap();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }

    #[test]
    fn any_text_is_survived(text in "[a-z0-9{}\\[\\]:,&*!|>'\"%@`#?~ \n\t<-]{0,200}") {
        survives(text.as_bytes());
    }

    #[test]
    fn damaged_documents_are_survived(bytes in mutated()) {
        survives(&bytes);
    }

    #[test]
    fn any_string_comes_back_from_yaml(text in any::<String>(), key in "[a-z.=<~-]{1,8}") {
        let value = json!({ key: [text.clone(), { "nested": text }] });
        let written = kubewright::kube::yaml::to_string(&value);
        // The reader refuses control characters in their raw form; the writer must have escaped them.
        let (documents, issues) = config::yaml::read("f", written.as_bytes());
        prop_assert!(issues.is_empty(), "{issues:?}\n{written}");
        prop_assert_eq!(documents[0].root.to_json(), value, "{}", written);
    }
}
