//! The flags of `join`, and its configuration file.

use crate::support::text;
use kubewright::cluster::Secret;
use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::File;
use kubewright::config::Issues;
use kubewright::config::JoinOverrides;
use kubewright::config::LoadedJoin;
use kubewright::config::Strictness;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

const TOKEN: &str = "abcdef.0123456789abcdef";
const OTHER: &str = "ghijkl.0123456789abcdef";
const PIN: &str = "sha256:68d9b6dce25370a36e0f672f1b96726202f61f8008131a107f5e15d034e96a2e";
const KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";
const FILE: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
skipPhases: [preflight]
nodeRegistration: {name: in-file, ignorePreflightErrors: [Swap]}
discovery:
  file: {kubeConfigPath: file:///root/d.conf}
  tlsBootstrapToken: abcdef.0123456789abcdef
";

fn environment() -> Environment {
    Environment {
        hostname: "Host-1".to_owned(),
        default_address_v4: Some(Ipv4Addr::new(192, 0, 2, 20)),
        ..Environment::default()
    }
}

fn load(file: Option<&str>, overrides: &JoinOverrides) -> Result<LoadedJoin, Issues> {
    let file = file.map(|text| File { name: "join.yaml", bytes: text.as_bytes() });
    config::load_join(file, &environment(), overrides, Strictness::Lenient)
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

/// The command that `init` prints for a worker.
fn worker() -> JoinOverrides {
    JoinOverrides {
        api_server_endpoint: Some("192.0.2.10:6443".to_owned()),
        token: Some(Secret::new(TOKEN)),
        discovery_token_ca_cert_hash: Some(words(&[PIN])),
        ..JoinOverrides::default()
    }
}

#[test]
fn the_printed_commands_make_a_worker_and_a_control_plane() {
    let loaded = load(None, &worker()).unwrap();
    assert_eq!(loaded.warnings, []);
    let join = &loaded.join;
    let token = join.discovery.bootstrap_token.as_ref().unwrap();
    assert_eq!((token.token.as_str(), join.discovery.tls_bootstrap_token.as_str()), (TOKEN, TOKEN));
    assert_eq!(token.api_server_endpoint, "192.0.2.10:6443");
    assert_eq!(token.ca_cert_hashes, [PIN]);
    assert!(join.discovery.file.is_none() && join.control_plane.is_none());
    assert_eq!(join.node_registration.name, "host-1");
    assert_eq!(join.node_registration.taints, None);
    assert_eq!(join.ca_cert_path, "/etc/kubernetes/pki/ca.crt");
    assert!(!loaded.dry_run);

    let loaded = load(
        None,
        &JoinOverrides {
            control_plane: true,
            certificate_key: Some(Secret::new(KEY)),
            apiserver_bind_port: Some(7443),
            node_name: Some("cp2".to_owned()),
            discovery_token: Some(Secret::new(OTHER)),
            ignore_preflight_errors: Some(words(&["Swap", "NumCPU"])),
            skip_phases: Some(words(&["check-etcd"])),
            patches: Some("/etc/patches".to_owned()),
            cri_socket: Some("unix:///run/crio/crio.sock".to_owned()),
            dry_run: Some(true),
            ..worker()
        },
    )
    .unwrap();
    let join = &loaded.join;
    let control_plane = join.control_plane.as_ref().unwrap();
    assert_eq!(control_plane.certificate_key, KEY);
    assert_eq!(control_plane.local_api_endpoint.advertise_address, "192.0.2.20");
    assert_eq!(control_plane.local_api_endpoint.bind_port, 7443);
    assert_eq!(join.discovery.bootstrap_token.as_ref().unwrap().token, OTHER);
    assert_eq!(join.discovery.tls_bootstrap_token, TOKEN);
    assert_eq!(join.node_registration.taints.as_ref().unwrap().len(), 1);
    assert_eq!(join.node_registration.cri_socket, "unix:///run/crio/crio.sock");
    assert_eq!(loaded.ignore_preflight_errors, ["numcpu", "swap"]);
    assert_eq!(loaded.skip_phases, ["check-etcd"]);
    assert_eq!(loaded.patches_directory.as_deref(), Some("/etc/patches"));
    assert!(loaded.dry_run);
    assert!(!format!("{:?}{loaded:?}", worker()).contains("0123456789abcdef"));
}

#[test]
fn a_discovery_file_may_go_with_a_token() {
    let overrides = JoinOverrides {
        discovery_file: Some("file:///root/d.conf".to_owned()),
        tls_bootstrap_token: Some(Secret::new(OTHER)),
        token: Some(Secret::new(TOKEN)),
        ..JoinOverrides::default()
    };
    let loaded = load(None, &overrides).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.join.discovery.file.unwrap().kube_config_path, "/root/d.conf");
    assert!(loaded.join.discovery.bootstrap_token.is_none());
    assert_eq!(loaded.join.discovery.tls_bootstrap_token, OTHER);
}

#[test]
fn beside_a_file_few_flags_are_taken() {
    let overrides = JoinOverrides {
        node_name: Some("typed".to_owned()),
        ignore_preflight_errors: Some(words(&["NumCPU"])),
        dry_run: Some(true),
        ..JoinOverrides::default()
    };
    let loaded = load(Some(FILE), &overrides).unwrap();
    assert_eq!(loaded.join.node_registration.name, "typed");
    assert_eq!(loaded.ignore_preflight_errors, ["numcpu", "swap"]);
    assert_eq!(loaded.skip_phases, ["preflight"]);
    assert!(loaded.dry_run);
    assert_eq!(load(Some(FILE), &JoinOverrides::default()).unwrap().join.node_registration.name, "in-file");
}

type Case = (&'static str, Option<&'static str>, JoinOverrides);

fn wrong_flags() -> Vec<Case> {
    let nothing = JoinOverrides::default;
    let endpoint = |text: &str| JoinOverrides { api_server_endpoint: Some(text.to_owned()), ..worker() };
    let control_plane = || JoinOverrides { control_plane: true, ..worker() };
    vec![
        ("nothing at all", None, nothing()),
        ("a token and nobody to show it to", None, JoinOverrides { api_server_endpoint: None, ..worker() }),
        (
            "an endpoint alone",
            None,
            JoinOverrides { token: None, discovery_token_ca_cert_hash: None, ..worker() },
        ),
        ("empty values are none", None, JoinOverrides { token: Some(Secret::new("")), ..worker() }),
        ("endpoint and file", None, JoinOverrides { discovery_file: Some("/d.conf".to_owned()), ..worker() }),
        (
            "a file by http",
            None,
            JoinOverrides { discovery_file: Some("http://a/d.conf".to_owned()), ..nothing() },
        ),
        ("an endpoint with a scheme", None, endpoint("https://192.0.2.10:6443/")),
        ("an endpoint without a port", None, endpoint("192.0.2.10")),
        ("an endpoint with an impossible port", None, endpoint("192.0.2.10:66443")),
        (
            "several at once",
            None,
            JoinOverrides {
                token: Some(Secret::new("abcdef.tooshort")),
                tls_bootstrap_token: Some(Secret::new("UPPER1.0123456789abcdef")),
                discovery_token_ca_cert_hash: Some(words(&[PIN, "sha256:12", "md5:12"])),
                certificate_key: Some(Secret::new("12345")),
                apiserver_advertise_address: Some("0.0.0.300".to_owned()),
                apiserver_bind_port: Some(0),
                node_name: Some("no_name".to_owned()),
                cri_socket: Some("tcp://127.0.0.1:1".to_owned()),
                ignore_preflight_errors: Some(words(&["all", "Swap"])),
                ..control_plane()
            },
        ),
        (
            "an address that nobody reaches",
            None,
            JoinOverrides { apiserver_advertise_address: Some("169.254.1.1".to_owned()), ..control_plane() },
        ),
    ]
}

fn flags_that_do_not_go_together() -> Vec<Case> {
    let nothing = JoinOverrides::default;
    let control_plane = || JoinOverrides { control_plane: true, ..worker() };
    vec![
        (
            "flags beside a file",
            Some(FILE),
            JoinOverrides {
                cri_socket: Some("unix:///x".to_owned()),
                patches: Some("/p".to_owned()),
                node_name: Some("n".to_owned()),
                skip_phases: Some(words(&["x"])),
                dry_run: Some(true),
                certificate_key: Some(Secret::new(KEY)),
                discovery_token_unsafe_skip_ca_verification: true,
                ..control_plane()
            },
        ),
        (
            "a file of another kind",
            Some("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"),
            nothing(),
        ),
        (
            "a control plane's flags for a worker",
            None,
            JoinOverrides {
                certificate_key: Some(Secret::new(KEY)),
                apiserver_advertise_address: Some("192.0.2.1".to_owned()),
                apiserver_bind_port: Some(6443),
                ..worker()
            },
        ),
        (
            "pins beside a discovery file",
            None,
            JoinOverrides {
                api_server_endpoint: None,
                discovery_file: Some("/d.conf".to_owned()),
                discovery_token_unsafe_skip_ca_verification: true,
                ..worker()
            },
        ),
        (
            "an endpoint beside a file",
            Some(FILE),
            JoinOverrides { api_server_endpoint: Some("192.0.2.1:6443".to_owned()), ..nothing() },
        ),
    ]
}

#[test]
fn what_is_wrong_on_the_command_line_is_named_by_its_flag() {
    let mut all = String::new();
    for (name, file, overrides) in wrong_flags().into_iter().chain(flags_that_do_not_go_together()) {
        let said = match load(file, &overrides) {
            Err(issues) => issues.to_string(),
            Ok(loaded) => Issues(loaded.warnings).to_string(),
        };
        assert!(!said.is_empty(), "{name}");
        for secret in ["0123456789abcdef", "tooshort", KEY] {
            assert!(!said.contains(secret), "{name}: {said}");
        }
        write!(all, "## {name}\n{said}\n\n").unwrap();
    }
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/join/command-line.txt");
    if text::blessing() {
        write(&expected, &all);
    }
    text::assert_same("tests/join/command-line.txt", &text::read(&expected), &all);
}

#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}
