//! A small TLS server with certificates of our own making.

use crate::discovery::NOW;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubewright::cluster::Secret;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::pki::Certificate;
use kubewright::pki::PrivateKey;
use kubewright::pki::SystemRandom;
use kubewright::pki::jws;
use kubewright::pki::kubeconfig;
use kubewright::pki::mint;
use kubewright::pki::mint::Issuer;
use kubewright::pki::mint::Leaf;
use kubewright::pki::mint::Validity;
use kubewright::pki::pin;
use kubewright::pki::sans::Sans;
use kubewright::pki::spec::Subject;
use kubewright::pki::spec::Usage;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use serde_json::json;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use time::Duration;
use time::OffsetDateTime;

pub(super) const TOKEN: &str = "abcdef.0123456789abcdef";

/// An authority with its key.
pub(super) struct Authority {
    pub(super) certificate: Certificate,
    key: PrivateKey,
}

/// A certificate with its key.
pub(super) struct Pair {
    pub(super) certificate: Certificate,
    pub(super) key: PrivateKey,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let validity = around(NOW, Duration::days(3650));
        let certificate = mint::authority(name, &key, validity, &mut SystemRandom).unwrap();
        Self { certificate, key }
    }

    pub(super) fn pin(&self) -> String {
        pin::pin(&self.certificate)
    }

    /// For 127.0.0.1, a week old, good for a year.
    pub(super) fn server(&self) -> Pair {
        let sans = Sans { dns: vec!["api.test".to_owned()], ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] };
        self.leaf(&sans, &[Usage::ServerAuth], around(NOW, Duration::days(365)))
    }

    pub(super) fn leaf(&self, sans: &Sans, usages: &[Usage], validity: Validity) -> Pair {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let leaf = Leaf {
            subject: &Subject::named("kube-apiserver"),
            usages,
            sans,
            validity,
            public_key_info: &key.public_key_info(),
        };
        let issuer = Issuer { certificate: &self.certificate, key: &self.key };
        let certificate = mint::leaf(&leaf, issuer, &mut SystemRandom).unwrap();
        Pair { certificate, key }
    }
}

/// From a week before until a while after.
pub(super) fn around(now: OffsetDateTime, after: Duration) -> Validity {
    Validity { not_before: now - Duration::weeks(1), not_after: now + after }
}

/// TLS as this server speaks it; with `clients`, only to those whose certificate this authority signed.
pub(super) fn tls(pair: &Pair, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(AtNow))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.certificate.der().to_vec())).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from(pair.certificate.der().to_vec())];
    let key = PrivateKeyDer::from_pem_slice(pair.key.pem().as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

/// The server lives in the tests' time, too.
#[derive(Debug)]
struct AtNow;

impl TimeProvider for AtNow {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(NOW.unix_timestamp()).unwrap();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Answers requests until the test program ends.
pub(super) struct Server {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` gets the number of the request, from 0, and its text, and gives the whole answer.
    pub(super) fn start<F>(tls: Arc<ServerConfig>, answer: F) -> Self
    where
        F: Fn(usize, &str) -> String + Send + Sync + 'static,
    {
        Self::accept(move |stream, requests| {
            let Ok(connection) = ServerConnection::new(Arc::clone(&tls)) else { return };
            let mut stream = StreamOwned::new(connection, stream);
            let Some(request) = request(&mut stream) else { return };
            let number = {
                let mut requests = requests.lock().unwrap();
                requests.push(request.clone());
                requests.len() - 1
            };
            let _ = stream.write_all(answer(number, &request).as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        })
    }

    /// Says this to whoever connects, without TLS.
    pub(super) fn plain(banner: &'static str) -> Self {
        Self::accept(move |mut stream, _| {
            let mut some = [0; 64];
            let _ = stream.read(&mut some);
            let _ = stream.write_all(banner.as_bytes());
        })
    }

    /// Closes every connection at once.
    pub(super) fn closing() -> Self {
        Self::accept(|stream, _| drop(stream))
    }

    /// Keeps every connection and says nothing.
    pub(super) fn silent() -> Self {
        Self::accept(|mut stream, _| {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
        })
    }

    fn accept<F>(serve: F) -> Self
    where
        F: Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (shared, serve) = (Arc::clone(&requests), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                thread::spawn(move || serve(stream, &requests));
            }
        });
        Self { port, requests }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The requests that came so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn request(stream: &mut impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut some = [0; 1024];
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(size) => text.extend_from_slice(&some[..size]),
        }
    }
    String::from_utf8(text).ok()
}

/// An answer with this status and body, at this moment by the server's clock.
pub(super) fn http(status: u16, body: &str, date: OffsetDateTime) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = date.format(&format).unwrap();
    format!(
        "HTTP/1.1 {status} Status\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The cluster-info of a cluster, signed by these tokens.
pub(super) fn cluster_info(kubeconfig: &str, tokens: &[&str]) -> String {
    let mut data = json!({"kubeconfig": kubeconfig});
    for token in tokens {
        let (id, secret) = token.split_once('.').unwrap();
        let signature = jws::detached(kubeconfig.as_bytes(), id, &Secret::new(secret));
        data[format!("jws-kubeconfig-{id}")] = json!(signature);
    }
    json!({"kind": "ConfigMap", "metadata": {"name": "cluster-info"}, "data": data}).to_string()
}

/// What kubeadm publishes of a cluster.
pub(super) fn info_kubeconfig(authority: &Authority) -> String {
    kubeconfig::cluster_info("https://10.77.0.11:6443", &authority.certificate.pem())
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}
