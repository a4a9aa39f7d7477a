//! A real etcd of three members over minted certificates, and what it refuses.
#![expect(clippy::disallowed_methods, reason = "tests start etcd and talk to it")]

use super::fixture;
use crate::skip::skip;
use kubewright::clock::Clock;
use kubewright::clock::Manual;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::facts::etcd::versions;
use kubewright::host::Local;
use kubewright::pki::Bundle;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

const NAMES: [&str; 3] = ["e1", "e2", "e3"];
const LIMIT: Duration = Duration::from_secs(30);

/// Three members on loopback; they end with the test.
struct Etcd {
    directory: TempDir,
    client_ports: Vec<u16>,
    peer_ports: Vec<u16>,
    members: Vec<Child>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

fn binary() -> Option<PathBuf> {
    let on_path = || Command::new("etcd").arg("--version").output().is_ok().then(|| PathBuf::from("etcd"));
    fixture::kube_binary("etcd").or_else(on_path)
}

fn pki() -> (Cluster, Bundle) {
    let mut cluster = fixture::cluster(Layout::Five, 1);
    cluster.nodes = NAMES.map(|name| fixture::node(name, "127.0.0.1", Role::ControlPlane)).to_vec();
    let bundle = fixture::mint(&cluster);
    (cluster, bundle)
}

impl Etcd {
    /// Starts three members; `peer_base` says which certificate each shows its peers.
    fn start(etcd: &Path, peer_base: impl Fn(&str) -> &'static str) -> Self {
        let (cluster, bundle) = pki();
        let directory = tempfile::tempdir().unwrap();
        let ports = || NAMES.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let (clients, peers) = (ports(), ports());
        let number = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let mut this = Self {
            directory,
            client_ports: clients.iter().map(number).collect(),
            peer_ports: peers.iter().map(number).collect(),
            members: Vec::new(),
        };
        drop((clients, peers));
        for (index, name) in NAMES.into_iter().enumerate() {
            fixture::write(&cluster, &bundle, name, &this.directory.path().join(name));
            let member = this.command(etcd, index, name, peer_base(name)).spawn().unwrap();
            this.members.push(member);
        }
        this
    }

    fn pki(&self, name: &str) -> PathBuf {
        self.directory.path().join(name).join("etc/kubernetes/pki")
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    fn command(&self, etcd: &Path, index: usize, name: &str, peer_base: &str) -> Command {
        let client = format!("https://127.0.0.1:{}", self.client_ports[index]);
        let peer = format!("https://127.0.0.1:{}", self.peer_ports[index]);
        let all =
            NAMES.iter().zip(&self.peer_ports).map(|(name, port)| format!("{name}=https://127.0.0.1:{port}"));
        let log = fs::File::create(self.directory.path().join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(etcd);
        let mut flag = |name: &str, value: &str| {
            command.arg(format!("--{name}={value}"));
        };
        flag("name", name);
        flag("data-dir", self.directory.path().join(name).join("data").to_str().unwrap());
        flag("listen-client-urls", &client);
        flag("advertise-client-urls", &client);
        flag("listen-peer-urls", &peer);
        flag("initial-advertise-peer-urls", &peer);
        flag("initial-cluster", &all.collect::<Vec<_>>().join(","));
        flag("initial-cluster-state", "new");
        flag("client-cert-auth", "true");
        flag("peer-client-cert-auth", "true");
        for (option, file) in [
            ("trusted-ca-file", "etcd/ca.crt".to_owned()),
            ("cert-file", "etcd/server.crt".to_owned()),
            ("key-file", "etcd/server.key".to_owned()),
            ("peer-trusted-ca-file", "etcd/peer-ca.crt".to_owned()),
            ("peer-cert-file", format!("{peer_base}.crt")),
            ("peer-key-file", format!("{peer_base}.key")),
        ] {
            flag(option, self.pki(name).join(file).to_str().unwrap());
        }
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// Asks a member's client port (or its peer port) with a certificate of the first member.
    fn get(&self, port: u16, authority: &str, base: &str, path: &str) -> io::Result<String> {
        self.exchange(&TcpStream::connect(("127.0.0.1", port))?, authority, base, path)
    }

    fn exchange(&self, tcp: &TcpStream, authority: &str, base: &str, path: &str) -> io::Result<String> {
        let pki = self.pki(NAMES[0]);
        let read = |file: String| fs::read(pki.join(file)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&read(format!("{authority}.crt"))).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(&read(format!("{base}.crt"))).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read(format!("{base}.key"))).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate], key)
                .unwrap();
        let connection =
            ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut stream = StreamOwned::new(connection, tcp);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            // A server that closes without saying so has answered all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => Ok(answer),
            other => other.map(|_| answer),
        }
    }

    /// Waits for the member's own word that it refused this very connection for its certificate. The client
    /// sees an alert or a reset, whichever comes first.
    fn wait_until_refused(&self, name: &str, authority: &str, base: &str, port: u16) {
        let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let from = tcp.local_addr().unwrap().to_string();
        let answer = self.exchange(&tcp, authority, base, "/version");
        assert!(answer.is_err(), "{base} is accepted: {answer:?}");
        let start = Instant::now();
        let words = ["rejected connection", &from, "unknown authority"];
        while !self.log(name).lines().any(|line| words.iter().all(|word| line.contains(word))) {
            assert!(start.elapsed() < LIMIT, "{base}, {answer:?}:\n{}", self.log(name));
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn healthy(&self, index: usize) -> bool {
        let answer = self.get(self.client_ports[index], "etcd/ca", "etcd/healthcheck-client", "/health");
        answer.is_ok_and(|answer| answer.contains(r#""health":"true""#))
    }

    fn wait_until_healthy(&self, members: &[usize]) {
        let start = Instant::now();
        while !members.iter().all(|index| self.healthy(*index)) {
            let logs = NAMES.map(|name| self.log(name)).join("\n");
            assert!(start.elapsed() < LIMIT, "etcd does not become healthy:\n{logs}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn three_members_form_and_each_chain_refuses_the_other() {
    let Some(binary) = binary() else {
        skip(
            "three_members_form_and_each_chain_refuses_the_other",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd = Etcd::start(&binary, |_| "etcd/peer");
    etcd.wait_until_healthy(&[0, 1, 2]);
    let (client, peer) = (etcd.client_ports[0], etcd.peer_ports[1]);
    let api = etcd.get(client, "etcd/ca", "apiserver-etcd-client", "/version").unwrap();
    assert!(api.contains("200 OK"), "{api}");
    let members = etcd.get(peer, "etcd/peer-ca", "etcd/peer", "/members").unwrap();
    assert!(NAMES.iter().all(|name| members.contains(name)), "{members}");
    for (port, authority, base) in [
        (client, "etcd/ca", "etcd/peer"),
        (client, "etcd/ca", "front-proxy-client"),
        (client, "etcd/ca", "apiserver-kubelet-client"),
        (peer, "etcd/peer-ca", "etcd/healthcheck-client"),
        (peer, "etcd/peer-ca", "etcd/server"),
    ] {
        etcd.wait_until_refused(if port == client { "e1" } else { "e2" }, authority, base, port);
    }
}

#[test]
fn an_external_etcd_is_asked_for_its_version() {
    let Some(binary) = binary() else {
        skip(
            "an_external_etcd_is_asked_for_its_version",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd = Etcd::start(&binary, |_| "etcd/peer");
    etcd.wait_until_healthy(&[0, 1, 2]);
    let endpoint = format!("https://127.0.0.1:{}", etcd.client_ports[0]);
    let asked = |authority: &str, base: &str| {
        let path = |file: String| etcd.pki(NAMES[0]).join(file).to_str().unwrap().to_owned();
        let mut cluster = fixture::cluster(Layout::Five, 1);
        cluster.configuration.etcd.external = Some(ExternalEtcd {
            endpoints: vec![endpoint.clone()],
            http_endpoints: Vec::new(),
            ca_file: path(format!("{authority}.crt")),
            cert_file: path(format!("{base}.crt")),
            key_file: path(format!("{base}.key")),
        });
        let clock = Manual::new(fixture::now());
        let mut found = versions(&Local::new("here"), &cluster, &clock);
        (found.remove(&format!("{endpoint}/version")).unwrap(), clock.monotonic())
    };
    let (answer, waited) = asked("etcd/ca", "apiserver-etcd-client");
    assert!(answer.unwrap().contains("\"etcdserver\":\"3."));
    assert_eq!(waited, Duration::ZERO);
    // A client of another chain, a server of another authority, and no such file.
    for (authority, base, tries, why) in [
        ("etcd/ca", "etcd/peer", 3, ""),
        ("etcd/peer-ca", "apiserver-etcd-client", 3, "certificate"),
        ("etcd/ca", "nobody", 1, "does not exist"),
    ] {
        let (answer, waited) = asked(authority, base);
        let error = answer.unwrap_err();
        assert!(error.contains(why), "{base}: {error}");
        assert_eq!(waited, Duration::from_secs(5) * (tries - 1), "{base}: {error}");
    }
}

#[test]
fn a_member_that_shows_its_peers_a_client_certificate_stays_out() {
    let Some(binary) = binary() else {
        skip(
            "a_member_that_shows_its_peers_a_client_certificate_stays_out",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd =
        Etcd::start(&binary, |name| if name == "e3" { "etcd/healthcheck-client" } else { "etcd/peer" });
    etcd.wait_until_healthy(&[0, 1]);
    let start = Instant::now();
    let refused = |name| etcd.log(name).contains("rejected connection");
    while !(refused("e1") || refused("e2")) {
        assert!(start.elapsed() < LIMIT, "nobody refused it:\n{}", etcd.log("e1"));
        thread::sleep(Duration::from_millis(100));
    }
    assert!(!etcd.healthy(2), "{}", etcd.log("e3"));
}
