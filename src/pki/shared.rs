//! The Secret `kubeadm-certs`: what control planes share, encrypted, from the one that made it to those that join.
//!
//! Facts: kubeadm's phases upload-certs and download-certs. A cluster of five chains has four further entries by the
//! same rule: the file's path below the certificates directory with `-` for `/`.

use super::inventory::FileState;
use super::inventory::Inventory;
use super::load;
use super::material::SecretBytes;
use super::pem;
use super::random;
use super::seal;
use super::seal::SealError;
use crate::cluster::Layout;
use crate::cluster::Secret;
use crate::cluster::kubeadm::ClusterConfiguration;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// What the Secret holds, decrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Shared {
    /// Absolute path and content. Without the entries that were uploaded empty, as for an authority whose key is
    /// kept elsewhere.
    pub files: BTreeMap<String, SecretBytes>,
    /// Five chains where the two further authorities are there.
    pub layout: Layout,
}

/// Why nothing is taken from the Secret. Names of entries are not secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    #[error("the certificate key is malformed: it must be 64 hexadecimal digits")]
    Key,
    #[error("the Secret kubeadm-certs has no entry {}", .0.join(", "))]
    Missing(Vec<String>),
    /// One of the two further authorities of five chains is there without the other.
    #[error("the Secret kubeadm-certs has {found} but not {missing}: two layouts are mixed in it", found = .found.join(", "), missing = .missing.join(", "))]
    Mixed { found: Vec<String>, missing: Vec<String> },
    #[error(
        "nothing in the Secret kubeadm-certs can be decrypted: the certificate key is another one, or the Secret was \
         changed"
    )]
    Decrypt,
    #[error(
        "the Secret kubeadm-certs was tampered with: {} cannot be decrypted with the certificate key, though the \
         other entries can", .0.join(", ")
    )]
    Tampered(Vec<String>),
    #[error("the entry {entry} of the Secret kubeadm-certs is malformed: it {why}")]
    Malformed { entry: String, why: String },
}

const AGAIN: &str = "run `kubewright init phase upload-certs --upload-certs` on a control plane and join with the certificate key that it prints";

impl SharedError {
    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            Self::Key => format!("copy it again from the join command; or {AGAIN}"),
            Self::Mixed { .. } | Self::Missing(_) | Self::Decrypt => AGAIN.to_owned(),
            Self::Tampered(_) | Self::Malformed { .. } => {
                format!("find out who may write Secrets in kube-system; then {AGAIN}")
            }
        }
    }
}

/// What an entry must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    PrivateKey,
    PublicKey,
}

/// An entry and the path of its file.
struct Expected {
    entry: &'static str,
    path: String,
    kind: Kind,
}

/// Entries and their files below the certificates directory.
type Row = (&'static str, &'static str, Kind);

const ALWAYS: [Row; 6] = [
    ("ca.crt", "ca.crt", Kind::Certificate),
    ("ca.key", "ca.key", Kind::PrivateKey),
    ("front-proxy-ca.crt", "front-proxy-ca.crt", Kind::Certificate),
    ("front-proxy-ca.key", "front-proxy-ca.key", Kind::PrivateKey),
    ("sa.pub", "sa.pub", Kind::PublicKey),
    ("sa.key", "sa.key", Kind::PrivateKey),
];
const LOCAL_ETCD: [Row; 2] =
    [("etcd-ca.crt", "etcd/ca.crt", Kind::Certificate), ("etcd-ca.key", "etcd/ca.key", Kind::PrivateKey)];
const FIVE: [Row; 2] = [
    ("kubelet-ca.crt", "kubelet-ca.crt", Kind::Certificate),
    ("kubelet-ca.key", "kubelet-ca.key", Kind::PrivateKey),
];
const FIVE_LOCAL_ETCD: [Row; 2] = [
    ("etcd-peer-ca.crt", "etcd/peer-ca.crt", Kind::Certificate),
    ("etcd-peer-ca.key", "etcd/peer-ca.key", Kind::PrivateKey),
];

/// Whether a certificate key has the right form; to be asked before anything else.
///
/// # Errors
/// [`SharedError::Key`].
pub fn check_key(certificate_key: &Secret) -> Result<(), SharedError> {
    let bytes = random::unhex(certificate_key.expose()).map(Zeroizing::new);
    if bytes.is_some_and(|bytes| bytes.len() == 32) { Ok(()) } else { Err(SharedError::Key) }
}

/// Decrypts the Secret (as the API gives it) for a cluster. All of it, or nothing.
///
/// # Errors
/// The key, the Secret or one of its entries is not as it must be.
pub fn open(
    secret: &Value,
    certificate_key: &Secret,
    configuration: &ClusterConfiguration,
) -> Result<Shared, SharedError> {
    check_key(certificate_key)?;
    let none = Map::new();
    let data = secret.get("data").and_then(Value::as_object).unwrap_or(&none);
    let layout = layout(data, configuration)?;
    let expected = expected(configuration, layout);
    let missing: Vec<String> = expected
        .iter()
        .map(|it| it.entry)
        .filter(|entry| !data.contains_key(*entry))
        .map(str::to_owned)
        .collect();
    if !missing.is_empty() {
        return Err(SharedError::Missing(missing));
    }
    let mut files = BTreeMap::new();
    for (one, plain) in decrypted(data, certificate_key, expected)? {
        check(&one, &plain)?;
        files.insert(one.path, plain);
    }
    Ok(Shared { files, layout })
}

impl Shared {
    /// Lays the files over what was found on the host. What stands there already stays, since nothing replaces an
    /// authority; the paths of such files, where they differ from the Secret, are given back.
    pub fn overlay(&self, inventory: &mut Inventory) -> Vec<String> {
        let mut differing = Vec::new();
        for (path, bytes) in &self.files {
            match inventory.get(path) {
                None | Some(FileState::Absent) => {
                    let mode = if is_public(path) { 0o644 } else { 0o600 };
                    inventory.insert(path, FileState::Present { bytes: bytes.clone(), mode });
                }
                Some(FileState::Present { bytes: there, .. }) if there == bytes => {}
                Some(_) => differing.push(path.clone()),
            }
        }
        differing
    }
}

fn is_public(path: &str) -> bool {
    let end = path.rsplit('.').next();
    matches!(end, Some("crt" | "pub"))
}

fn layout(data: &Map<String, Value>, configuration: &ClusterConfiguration) -> Result<Layout, SharedError> {
    let mut rows = FIVE.to_vec();
    if configuration.etcd.external.is_none() {
        rows.extend(FIVE_LOCAL_ETCD);
    }
    let (found, missing): (Vec<_>, Vec<_>) =
        rows.into_iter().map(|(entry, _, _)| entry.to_owned()).partition(|entry| data.contains_key(entry));
    match (found.is_empty(), missing.is_empty()) {
        (true, _) => Ok(Layout::Kubeadm),
        (_, true) => Ok(Layout::Five),
        _ => Err(SharedError::Mixed { found, missing }),
    }
}

fn expected(configuration: &ClusterConfiguration, layout: Layout) -> Vec<Expected> {
    let directory = configuration.certificates_dir.trim_end_matches('/');
    let five = layout == Layout::Five;
    let local = configuration.etcd.external.is_none();
    let tables: [(&[Row], bool); 4] =
        [(&ALWAYS, true), (&LOCAL_ETCD, local), (&FIVE, five), (&FIVE_LOCAL_ETCD, five && local)];
    let rows = tables.into_iter().filter(|(_, wanted)| *wanted).flat_map(|(rows, _)| rows);
    let below =
        |(entry, file, kind): &Row| Expected { entry, path: format!("{directory}/{file}"), kind: *kind };
    let mut expected: Vec<Expected> = rows.map(below).collect();
    if let Some(etcd) = &configuration.etcd.external {
        for (entry, path, kind) in [
            ("external-etcd-ca.crt", &etcd.ca_file, Kind::Certificate),
            ("external-etcd.crt", &etcd.cert_file, Kind::Certificate),
            ("external-etcd.key", &etcd.key_file, Kind::PrivateKey),
        ] {
            // An etcd without TLS has no such files.
            if !path.is_empty() {
                expected.push(Expected { entry, path: path.clone(), kind });
            }
        }
    }
    expected
}

/// The entries that are not empty, in clear.
fn decrypted(
    data: &Map<String, Value>,
    certificate_key: &Secret,
    expected: Vec<Expected>,
) -> Result<Vec<(Expected, SecretBytes)>, SharedError> {
    let mut plain = Vec::new();
    let mut refused = Vec::new();
    for one in expected {
        let malformed =
            |why: &str| SharedError::Malformed { entry: one.entry.to_owned(), why: why.to_owned() };
        let text = match data.get(one.entry) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(_) => return Err(malformed("is not text")),
        };
        let sealed = STANDARD.decode(text).map_err(|_| malformed("is not base64"))?;
        if sealed.is_empty() {
            continue;
        }
        match seal::unseal(certificate_key, &sealed) {
            Ok(bytes) => plain.push((one, bytes)),
            Err(SealError::Key) => return Err(SharedError::Key),
            Err(SealError::Decrypt | SealError::Encrypt) => refused.push(one.entry.to_owned()),
        }
    }
    match (refused.is_empty(), plain.is_empty()) {
        (true, _) => Ok(plain),
        (false, true) => Err(SharedError::Decrypt),
        (false, false) => Err(SharedError::Tampered(refused)),
    }
}

/// What kubeadm would write to disk unread must at least be of its kind.
fn check(one: &Expected, plain: &[u8]) -> Result<(), SharedError> {
    let tags: Vec<String> = pem::blocks(plain).iter().map(|block| block.tag().to_owned()).collect();
    let why = match one.kind {
        _ if tags.is_empty() => Some("is not PEM".to_owned()),
        Kind::Certificate => load::certificates(plain).err().map(|error| error.to_string()),
        Kind::PrivateKey if !tags.iter().any(|tag| tag.ends_with("PRIVATE KEY")) => {
            Some("holds no private key".to_owned())
        }
        Kind::PublicKey => load::public_keys(plain).err().map(|error| error.to_string()),
        Kind::PrivateKey => None,
    };
    match why {
        Some(why) => Err(SharedError::Malformed { entry: one.entry.to_owned(), why }),
        None => Ok(()),
    }
}

/// Names the files only.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .field("layout", &self.layout)
            .finish()
    }
}
