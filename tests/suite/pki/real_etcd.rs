//! A real etcd over minted certificates, its members on this host's loopback.
#![expect(clippy::disallowed_methods, reason = "tests start etcd and talk to it")]

use super::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::pki::Bundle;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeMap;
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

/// The members of a new cluster, and one that may join them.
pub(super) const NAMES: [&str; 3] = ["e1", "e2", "e3"];
pub(super) const JOINING: &str = "e4";
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Members on loopback; they end with the test.
pub(super) struct Etcd {
    binary: PathBuf,
    directory: TempDir,
    pub(super) client_ports: Vec<u16>,
    pub(super) peer_ports: Vec<u16>,
    members: BTreeMap<&'static str, Child>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// One etcd that can be run.
pub(super) fn binary() -> Option<PathBuf> {
    binaries().into_iter().next()
}

/// Every etcd that can be run: of Kubernetes' binaries, and of the system.
pub(super) fn binaries() -> Vec<PathBuf> {
    let on_path = || Command::new("etcd").arg("--version").output().is_ok().then(|| PathBuf::from("etcd"));
    fixture::kube_binary("etcd").into_iter().chain(on_path()).collect()
}

fn all() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain([JOINING])
}

fn pki() -> (Cluster, Bundle) {
    let mut cluster = fixture::cluster(Layout::Five, 1);
    cluster.nodes = all().map(|name| fixture::node(name, "127.0.0.1", Role::ControlPlane)).collect();
    let bundle = fixture::mint(&cluster);
    (cluster, bundle)
}

impl Etcd {
    /// Starts three members; `peer_base` says which certificate each shows its peers.
    pub(super) fn start(etcd: &Path, peer_base: impl Fn(&str) -> &'static str) -> Self {
        let (cluster, bundle) = pki();
        let ports = || all().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect::<Vec<_>>();
        let (clients, peers) = (ports(), ports());
        let number = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let mut this = Self {
            binary: etcd.to_owned(),
            directory: tempfile::tempdir().unwrap(),
            client_ports: clients.iter().map(number).collect(),
            peer_ports: peers.iter().map(number).collect(),
            members: BTreeMap::new(),
        };
        drop((clients, peers));
        for name in all() {
            fixture::write(&cluster, &bundle, name, &this.directory.path().join(name));
        }
        let initial = NAMES.map(|name| format!("{name}={}", this.peer_url(name))).join(",");
        for name in NAMES {
            let member = this.command(name, peer_base(name), &initial, "new").spawn().unwrap();
            this.members.insert(name, member);
        }
        this
    }

    /// Starts the member that joins, with the others as they are listed.
    pub(super) fn join(&mut self, initial: &str) {
        let member = self.command(JOINING, "etcd/peer", initial, "existing").spawn().unwrap();
        self.members.insert(JOINING, member);
    }

    pub(super) fn kill(&mut self, name: &str) {
        let mut member = self.members.remove(name).unwrap();
        member.kill().unwrap();
        member.wait().unwrap();
    }

    fn index(name: &str) -> usize {
        all().position(|other| other == name).unwrap()
    }

    pub(super) fn client_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}", self.client_ports[Self::index(name)])
    }

    pub(super) fn peer_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}", self.peer_ports[Self::index(name)])
    }

    pub(super) fn pki(&self, name: &str) -> PathBuf {
        self.directory.path().join(name).join("etc/kubernetes/pki")
    }

    pub(super) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    fn command(&self, name: &str, peer_base: &str, initial: &str, state: &str) -> Command {
        let (client, peer) = (self.client_url(name), self.peer_url(name));
        let log = fs::File::create(self.directory.path().join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(&self.binary);
        let mut flag = |name: &str, value: &str| {
            command.arg(format!("--{name}={value}"));
        };
        flag("name", name);
        flag("data-dir", self.directory.path().join(name).join("data").to_str().unwrap());
        flag("listen-client-urls", &client);
        flag("advertise-client-urls", &client);
        flag("listen-peer-urls", &peer);
        flag("initial-advertise-peer-urls", &peer);
        flag("initial-cluster", initial);
        flag("initial-cluster-state", state);
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
    pub(super) fn get(&self, port: u16, authority: &str, base: &str, path: &str) -> io::Result<String> {
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
    pub(super) fn wait_until_refused(&self, name: &str, authority: &str, base: &str, port: u16) {
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

    pub(super) fn healthy(&self, index: usize) -> bool {
        let answer = self.get(self.client_ports[index], "etcd/ca", "etcd/healthcheck-client", "/health");
        answer.is_ok_and(|answer| answer.contains(r#""health":"true""#))
    }

    pub(super) fn wait_until_healthy(&self, members: &[usize]) {
        let start = Instant::now();
        while !members.iter().all(|index| self.healthy(*index)) {
            let logs = NAMES.map(|name| self.log(name)).join("\n");
            assert!(start.elapsed() < LIMIT, "etcd does not become healthy:\n{logs}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}
