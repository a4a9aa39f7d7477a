//! What a host that joins finds of real clusters, made by kubewright and by kubeadm, and what it is told when it may
//! not trust them.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use kubewright::api::KubeApi;
use kubewright::clock::System;
use kubewright::cluster::Layout;
use kubewright::cluster::Secret;
use kubewright::config;
use kubewright::config::Environment;
use kubewright::config::JoinOverrides;
use kubewright::config::LoadedJoin;
use kubewright::config::Strictness;
use kubewright::config::stored::Joining;
use kubewright::discovery;
use kubewright::discovery::DiscoveryError;
use kubewright::discovery::Found;
use kubewright::discovery::World;
use kubewright::discovery::stored;
use kubewright::discovery::stored::FetchError;
use kubewright::host::Local;
use kubewright::pki::shared;
use kubewright::pki::shared::SharedError;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::time::Instant;

/// What `init` printed.
struct Printed {
    endpoint: String,
    token: String,
    pin: String,
    key: String,
}

/// The word after a flag of a printed command.
fn after(text: &str, flag: &str) -> String {
    let rest = text.split_once(&format!("{flag} ")).unwrap_or_else(|| panic!("no {flag} in {text}")).1;
    rest.split_whitespace().next().unwrap().to_owned()
}

fn printed(text: &str) -> Printed {
    let program = if text.contains("kubewright join") { "kubewright" } else { "kubeadm" };
    Printed {
        endpoint: after(text, &format!("{program} join")),
        token: after(text, "--token"),
        pin: after(text, "--discovery-token-ca-cert-hash"),
        key: after(text, "--certificate-key"),
    }
}

fn environment() -> Environment {
    Environment {
        hostname: "joiner".to_owned(),
        default_address_v4: Some(Ipv4Addr::new(10, 77, 0, 1)),
        ..Environment::default()
    }
}

fn join(overrides: &JoinOverrides) -> LoadedJoin {
    config::load_join(None, &environment(), overrides, Strictness::Strict).unwrap()
}

fn by_token(printed: &Printed) -> JoinOverrides {
    JoinOverrides {
        api_server_endpoint: Some(printed.endpoint.clone()),
        token: Some(Secret::new(printed.token.as_str())),
        discovery_token_ca_cert_hash: Some(vec![printed.pin.clone()]),
        certificate_key: Some(Secret::new(printed.key.as_str())),
        control_plane: true,
        ..JoinOverrides::default()
    }
}

fn with_world<T>(work: impl FnOnce(&World<'_>) -> T) -> T {
    let host = Local::new("joiner");
    let interrupt = AtomicBool::new(false);
    work(&World {
        host: &host,
        clock: &System,
        events: &|event| println!("{event:?}"),
        interrupt: &interrupt,
    })
}

fn discover(overrides: &JoinOverrides) -> Result<Found, DiscoveryError> {
    let loaded = join(overrides);
    with_world(|world| discovery::discover(&loaded.join, world))
}

/// Everything that a joining control plane reads, compared with what lies on the host.
fn all_is_found(host: &Host, printed: &Printed, layout: Layout) {
    let loaded = join(&by_token(printed));
    let start = Instant::now();
    let found = with_world(|world| discovery::discover(&loaded.join, world)).unwrap();
    println!("discovery took {:?}", start.elapsed());
    assert_eq!(found.server, format!("https://{}", printed.endpoint));
    assert_eq!(found.ca, host.bytes("cat /etc/kubernetes/pki/ca.crt"));
    assert_eq!(found.warnings, []);

    let api = KubeApi::connect(&found.credentials, None).unwrap();
    let limit = Duration::from_secs(20);
    let start = Instant::now();
    let stored = with_world(|world| stored::fetch(&api, world, limit)).unwrap();
    let secret = with_world(|world| stored::fetch_certificates(&api, world, limit)).unwrap();
    println!("fetching took {:?}", start.elapsed());
    let env = environment();
    let joining = Joining { join: &loaded.join, server: &found.server, layout, env: &env };
    let (cluster, warnings) = config::stored::cluster(&stored, joining).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(cluster.version.to_string(), "v1.36.2");
    assert!(cluster.kubelet.user_supplied && cluster.kube_proxy.user_supplied, "both stand in the file");
    assert_eq!(cluster.kubelet.value["failCgroupV1"], false);

    let configuration = &cluster.configuration;
    let opened = shared::open(&secret, &Secret::new(printed.key.as_str()), configuration).unwrap();
    assert_eq!(opened.layout, layout);
    assert_eq!(opened.files.len(), if layout == Layout::Five { 12 } else { 8 });
    for (path, bytes) in &opened.files {
        assert_eq!(bytes.as_slice(), host.bytes(&format!("cat {path}")), "{path}");
    }
    let other = Secret::new("ab".repeat(32));
    assert_eq!(shared::open(&secret, &other, configuration).err(), Some(SharedError::Decrypt));
}

fn nobody_else_is_trusted(printed: &Printed) {
    let good = || by_token(printed);
    let wrong_pin = JoinOverrides {
        discovery_token_ca_cert_hash: Some(vec![format!("sha256:{}", "ab".repeat(32))]),
        ..good()
    };
    let error = discover(&wrong_pin).unwrap_err();
    assert!(
        matches!(&error, DiscoveryError::WrongPin { found, .. } if *found == [printed.pin.clone()]),
        "{error}"
    );

    let id = printed.token.split_once('.').unwrap().0;
    let wrong_secret = JoinOverrides { token: Some(Secret::new(format!("{id}.0123456789abcdef"))), ..good() };
    let error = discover(&wrong_secret).unwrap_err();
    assert!(matches!(&error, DiscoveryError::Signature { .. }), "{error}");

    let start = Instant::now();
    let unknown = JoinOverrides { token: Some(Secret::new("zzzzzz.0123456789abcdef")), ..good() };
    let error = discover(&unknown).unwrap_err();
    assert!(
        matches!(&error, DiscoveryError::UnknownToken { known, .. } if known.contains(&id.to_owned())),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(8));

    // The kubelet's own port speaks TLS, and is no API server.
    let kubelet =
        JoinOverrides { api_server_endpoint: Some(printed.endpoint.replace("6443", "10250")), ..good() };
    let error = discover(&kubelet).unwrap_err();
    assert!(error.to_string().ends_with("something else than a Kubernetes object"), "{error}");

    let ssh = JoinOverrides { api_server_endpoint: Some(printed.endpoint.replace("6443", "22")), ..good() };
    let error = discover(&ssh).unwrap_err();
    assert!(error.to_string().ends_with("does not speak TLS"), "{error}");
}

fn a_file_and_a_token_do_as_well(host: &Host, printed: &Printed) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.conf");
    std::fs::write(&path, host.bytes("cat /etc/kubernetes/admin.conf")).unwrap();
    let file = |token: Option<&str>| JoinOverrides {
        discovery_file: Some(path.display().to_string()),
        tls_bootstrap_token: token.map(Secret::new),
        ..JoinOverrides::default()
    };
    let found = discover(&file(None)).unwrap();
    assert_eq!(found.warnings, []);
    let api = KubeApi::connect(&found.credentials, None).unwrap();
    with_world(|world| stored::fetch(&api, world, Duration::from_secs(5))).unwrap();
    let found = discover(&file(Some(&printed.token))).unwrap();
    let text = String::from_utf8(found.credentials.to_vec()).unwrap();
    assert!(text.contains("tls-bootstrap-token-user") && !text.contains("client-key-data"));
}

/// A token that may only sign proves the cluster, and then cannot ask it anything.
fn a_token_must_authenticate(host: &Host, printed: &Printed) {
    let token = "signer.0123456789abcdef";
    host.kubectl(
        "-n kube-system create secret generic bootstrap-token-signer --type bootstrap.kubernetes.io/token \
         --from-literal token-id=signer --from-literal token-secret=0123456789abcdef \
         --from-literal usage-bootstrap-signing=true",
    );
    let found = discover(&JoinOverrides { token: Some(Secret::new(token)), ..by_token(printed) }).unwrap();
    let api = KubeApi::connect(&found.credentials, None).unwrap();
    let error = with_world(|world| stored::fetch(&api, world, Duration::from_secs(5))).unwrap_err();
    assert!(matches!(&error, FetchError::Unauthorized { .. }), "{error}");
}

#[test]
fn a_cluster_of_kubewright_is_found() {
    if !lab::available("a_cluster_of_kubewright_is_found") {
        return;
    }
    let host = Host::kube("di1", 64);
    let text = host.ok("kubewright init --config kubeadm.yaml --upload-certs");
    let key = host.ok("kubewright init phase upload-certs --config kubeadm.yaml --upload-certs");
    let key =
        key.split_whitespace().find(|word| word.len() == 64).unwrap_or_else(|| panic!("{key}")).to_owned();
    let printed = printed(&format!("{text}\n--certificate-key {key}"));
    all_is_found(&host, &printed, Layout::Five);
    nobody_else_is_trusted(&printed);
    a_file_and_a_token_do_as_well(&host, &printed);
    a_token_must_authenticate(&host, &printed);
}

#[test]
fn a_cluster_of_kubeadm_is_found() {
    if !lab::available("a_cluster_of_kubeadm_is_found") {
        return;
    }
    let host = Host::kube("di2", 65);
    host.write("/root/kubeadm.yaml", CONFIG);
    let text = host.ok("kubeadm init --config kubeadm.yaml --upload-certs");
    let key =
        text.split_whitespace().find(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    let printed = printed(&format!("{text}\n--certificate-key {}", key.unwrap_or_else(|| panic!("{text}"))));
    all_is_found(&host, &printed, Layout::Kubeadm);
    nobody_else_is_trusted(&printed);
}
