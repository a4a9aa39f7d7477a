//! Whom we trust as etcd, and who we are to it.

use crate::etcd::EtcdError;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::sync::Arc;

/// etcd's authority, and a client certificate with its key.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ClientConfig>,
}

impl Tls {
    /// From PEM: etcd's authority, and a client certificate (such as `etcd/healthcheck-client`) with its key.
    ///
    /// # Errors
    /// One of them is not what it should be, or the key is not that of the certificate.
    pub fn new(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, EtcdError> {
        let unusable = |why: String| EtcdError::Unusable { why };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority, "etcd's CA")? {
            roots.add(certificate).map_err(|error| unusable(format!("etcd's CA is of no use: {error}")))?;
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| unusable(format!("the key of etcd's client certificate: {error}")))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(certificate, "etcd's client certificate")?, key)
            .map_err(|error| unusable(format!("etcd's client certificate and its key: {error}")))?;
        // gRPC servers insist on it.
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, EtcdError> {
    let unusable = |why: String| EtcdError::Unusable { why: format!("{what}: {why}") };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// There is a key in it.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
