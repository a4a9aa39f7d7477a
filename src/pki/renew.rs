//! New certificates in place of those that a control plane has (`certs renew`): the same subject, names and usages, a new
//! key, and the validity of the configuration.

use super::Ca;
use super::CertName;
use super::bundle;
use super::bundle::Minting;
use super::certificate::Certificate;
use super::expiry;
use super::inventory::FileState;
use super::inventory::Inventory;
use super::key::KeyError;
use super::key::PrivateKey;
use super::kubeconfig;
use super::load;
use super::material::SecretBytes;
use super::mint;
use super::mint::Issuer;
use super::mint::Leaf;
use super::mint::MintError;
use super::random::Random;
use super::spec;
use super::spec::CertSpec;
use super::spec::Subject;
use crate::cluster::Cluster;
use crate::cluster::Node;
use std::fmt;
use time::Duration;
use zeroize::Zeroizing;

pub use super::expiry::NAMES;

/// A file to be written in place of what is there.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile {
    pub path: String,
    pub content: SecretBytes,
    pub mode: u32,
}

/// What becomes of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub name: CertName,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The files, those with keys first.
    Renewed(Vec<NewFile>),
    /// It lasts longer than it had to; for how much longer from now.
    Kept(Duration),
    Missing,
    /// Its authority's key is kept elsewhere.
    External(Ca),
}

#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error("{0}")]
    Authority(String),
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot make {name}: {source}")]
    Mint { name: CertName, source: MintError },
}

/// Makes what was asked for anew. `within` keeps what lasts longer than that from now; without it everything is renewed,
/// as kubeadm does. What the kubelet renews by itself and authorities are not among [`NAMES`].
///
/// # Errors
/// An authority or a kubeconfig cannot be used. Nothing is written here, so nothing is lost.
pub fn renew(
    cluster: &Cluster,
    node: &Node,
    inventory: &Inventory,
    wanted: (&[CertName], Option<Duration>),
    minting: &Minting,
    random: &mut dyn Random,
) -> Result<Vec<Renewal>, RenewError> {
    let (names, within) = wanted;
    let names = NAMES.into_iter().filter(|name| names.contains(name));
    let mut keys = bundle::generate(minting.algorithm, NAMES.len()).into_iter();
    let mut renewals = Vec::new();
    for name in names {
        let spec = spec::spec(cluster, node, name);
        let Some(old) = expiry::certificate(inventory, &spec).filter(|_| spec::exists(cluster, name)) else {
            renewals.push(Renewal { name, outcome: Outcome::Missing });
            continue;
        };
        let left = old.not_after() - minting.now;
        if within.is_some_and(|within| left > within) {
            renewals.push(Renewal { name, outcome: Outcome::Kept(left) });
            continue;
        }
        let ca = spec.signer.unwrap_or(Ca::Kubernetes);
        let outcome = match issuer(cluster, inventory, ca)? {
            None => Outcome::External(ca),
            Some((authority, authority_key)) => {
                let key = keys.next().unwrap_or_else(|| PrivateKey::generate(minting.algorithm))?;
                let issuer = Issuer { certificate: &authority, key: &authority_key };
                let new = successor(&old, &key, issuer, minting, random)
                    .map_err(|source| RenewError::Mint { name, source })?;
                Outcome::Renewed(files(&spec, inventory, &authority, &new, &key)?)
            }
        };
        renewals.push(Renewal { name, outcome });
    }
    Ok(renewals)
}

/// What signs; `None` where its key is kept elsewhere.
fn issuer(
    cluster: &Cluster,
    inventory: &Inventory,
    ca: Ca,
) -> Result<Option<(Certificate, PrivateKey)>, RenewError> {
    let spec = spec::authority_spec(cluster, ca);
    if expiry::is_external(inventory, &spec).map_err(RenewError::Authority)? {
        return Ok(None);
    }
    let unusable = |why: &str| {
        let path = spec.paths.key.clone().unwrap_or_default();
        RenewError::File { path, why: why.to_owned() }
    };
    let certificate =
        expiry::certificate(inventory, &spec).ok_or_else(|| unusable("it has no certificate"))?;
    let Some(FileState::Present { bytes, .. }) = spec.paths.key.as_ref().and_then(|path| inventory.get(path))
    else {
        return Err(unusable("it cannot be read"));
    };
    let key = load::private_key(bytes).map_err(|error| unusable(&error.to_string()))?;
    if key.public_key_info() != certificate.public_key_info() {
        return Err(unusable("it is not the key of the certificate beside it"));
    }
    Ok(Some((certificate, key)))
}

/// A certificate that says the same as the old one.
fn successor(
    old: &Certificate,
    key: &PrivateKey,
    issuer: Issuer<'_>,
    minting: &Minting,
    random: &mut dyn Random,
) -> Result<Certificate, MintError> {
    let subject = Subject {
        organizations: old.organizations().to_vec(),
        common_name: old.common_name().unwrap_or_default().to_owned(),
    };
    let info = key.public_key_info();
    let leaf = Leaf {
        subject: &subject,
        usages: old.usages(),
        sans: old.sans(),
        validity: minting.validity(minting.leaf_validity),
        public_key_info: &info,
    };
    mint::leaf(&leaf, issuer, random)
}

fn files(
    spec: &CertSpec,
    inventory: &Inventory,
    authority: &Certificate,
    certificate: &Certificate,
    key: &PrivateKey,
) -> Result<Vec<NewFile>, RenewError> {
    let file = |path: &String, content: &[u8], mode| NewFile {
        path: path.clone(),
        content: Zeroizing::new(content.to_vec()),
        mode,
    };
    if let (Some(certificate_path), Some(key_path)) = (&spec.paths.certificate, &spec.paths.key) {
        return Ok(vec![
            file(key_path, key.pem().as_bytes(), 0o600),
            file(certificate_path, certificate.pem().as_bytes(), 0o644),
        ]);
    }
    let path = spec.paths.kubeconfig.clone().unwrap_or_default();
    let Some(FileState::Present { bytes, .. }) = inventory.get(&path) else {
        return Err(RenewError::File { path, why: "it cannot be read".to_owned() });
    };
    let text = kubeconfig::renewed(bytes, &authority.pem(), &certificate.pem(), key.pem())
        .map_err(|why| RenewError::File { path: path.clone(), why })?;
    Ok(vec![file(&path, text.as_bytes(), 0o600)])
}

/// Shows the path and the size only: it may hold a key.
impl fmt::Debug for NewFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, {:04o})", self.path, self.content.len(), self.mode)
    }
}

/// The components that read a certificate when they start, by the names of their static pods.
pub fn readers(name: CertName) -> &'static [&'static str] {
    match name {
        CertName::Apiserver
        | CertName::ApiserverEtcdClient
        | CertName::ApiserverKubeletClient
        | CertName::FrontProxyClient => &["kube-apiserver"],
        CertName::ControllerManager => &["kube-controller-manager"],
        CertName::Scheduler => &["kube-scheduler"],
        CertName::EtcdServer | CertName::EtcdPeer | CertName::EtcdHealthcheckClient => &["etcd"],
        _ => &[],
    }
}
