//! Keys and signing requests for an authority that is kept elsewhere (`certs generate-csr`).

use super::CertName;
use super::bundle;
use super::bundle::Minting;
use super::key::KeyError;
use super::key::PrivateKey;
use super::kubeconfig::Credential;
use super::kubeconfig::Kubeconfig;
use super::material::SecretBytes;
use super::mint;
use super::pem;
use super::spec;
use super::spec::CertSpec;
use crate::cluster::Cluster;
use crate::cluster::Node;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::DnValue;
use rcgen::SanType;
use std::collections::BTreeSet;
use std::fmt;
use zeroize::Zeroizing;

/// A file to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrFile {
    pub path: String,
    pub content: SecretBytes,
    pub mode: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    #[error("file already exists: {}; move it away, since a request belongs to one new key", .0.join(", "))]
    Exists(Vec<String>),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot make a request for {name}: {source}")]
    Request { name: CertName, source: rcgen::Error },
}

/// The certificates that a request is made for: kubeadm's seven leaves, also when etcd is external, and the
/// five kubeconfig files.
const NAMES: [CertName; 12] = [
    CertName::Apiserver,
    CertName::ApiserverEtcdClient,
    CertName::ApiserverKubeletClient,
    CertName::EtcdHealthcheckClient,
    CertName::EtcdPeer,
    CertName::EtcdServer,
    CertName::FrontProxyClient,
    CertName::Admin,
    CertName::ControllerManager,
    CertName::KubeletClient,
    CertName::Scheduler,
    CertName::SuperAdmin,
];

/// Every path that [`generate`] writes, to look for before.
pub fn targets(cluster: &Cluster, node: &Node, kubeconfig_dir: &str) -> Vec<String> {
    NAMES.iter().flat_map(|name| paths(&spec::spec(cluster, node, *name), kubeconfig_dir)).collect()
}

/// New keys and requests for the control plane `node`; the request's file follows its key's. `existing` are
/// the paths among [`targets`] that exist.
pub fn generate(
    cluster: &Cluster,
    node: &Node,
    kubeconfig_dir: &str,
    existing: &BTreeSet<String>,
    minting: &Minting,
) -> Result<Vec<CsrFile>, CsrError> {
    let taken: Vec<String> =
        targets(cluster, node, kubeconfig_dir).into_iter().filter(|path| existing.contains(path)).collect();
    if !taken.is_empty() {
        return Err(CsrError::Exists(taken));
    }
    let mut files = Vec::new();
    for (name, key) in NAMES.into_iter().zip(bundle::generate(minting.algorithm, NAMES.len())) {
        let (spec, key) = (spec::spec(cluster, node, name), key?);
        let request = request(&spec, &key).map_err(|source| CsrError::Request { name, source })?;
        let holder = if name.is_kubeconfig() {
            kubeconfig(cluster, node, &spec, &key)
        } else {
            key.pem().to_owned().into()
        };
        for (path, text) in paths(&spec, kubeconfig_dir).into_iter().zip([holder, request.into()]) {
            files.push(CsrFile { path, content: Zeroizing::new(text.as_bytes().to_vec()), mode: 0o600 });
        }
    }
    Ok(files)
}

/// What holds the key, then the request.
fn paths(spec: &CertSpec, kubeconfig_dir: &str) -> [String; 2] {
    if spec.name.is_kubeconfig() {
        let path = format!("{kubeconfig_dir}/{}", spec.name.base());
        return [path.clone(), format!("{path}.csr")];
    }
    let key = spec.paths.key.clone().unwrap_or_default();
    let base = key.strip_suffix(".key").unwrap_or(&key).to_owned();
    [key, format!("{base}.csr")]
}

/// A kubeconfig that waits for its certificate. The kubelet's has the cluster's endpoint here.
fn kubeconfig(cluster: &Cluster, node: &Node, spec: &CertSpec, key: &PrivateKey) -> Zeroizing<String> {
    let local = matches!(spec.name, CertName::ControllerManager | CertName::Scheduler);
    let server = if local { cluster.local_url(node) } else { cluster.control_plane_url(node) };
    let kubeconfig = Kubeconfig {
        cluster_name: &cluster.configuration.cluster_name,
        server: &server,
        authority: None,
        user: &spec.subject.common_name,
        credential: Credential::KeyOnly(key.pem()),
    };
    kubeconfig.render()
}

/// A request with subject and names, and no wishes for usages.
fn request(spec: &CertSpec, key: &PrivateKey) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for organization in &spec.subject.organizations {
        params.distinguished_name.push(DnType::OrganizationName, name_value(organization)?);
    }
    params.distinguished_name.push(DnType::CommonName, name_value(&spec.subject.common_name)?);
    for name in &spec.sans.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(spec.sans.ips.iter().copied().map(SanType::IpAddress));
    Ok(pem::text("CERTIFICATE REQUEST", params.serialize_request(key.pair())?.der()))
}

fn name_value(text: &str) -> Result<DnValue, rcgen::Error> {
    if text.bytes().all(mint::is_printable) {
        Ok(DnValue::PrintableString(text.try_into()?))
    } else {
        Ok(DnValue::Utf8String(text.to_owned()))
    }
}

/// Shows no content: half of the files hold keys.
impl fmt::Debug for CsrFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, mode {:04o})", self.path, self.content.len(), self.mode)
    }
}
