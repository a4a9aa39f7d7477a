//! Whom to trust in TLS, at what time, and with what client certificate.

use crate::host::Entry;
use crate::host::Host;
use crate::host::http;
use crate::host::read_through;
use crate::pki::load;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Where distributions keep the authorities of the web; the same files, in the same order, as Go's `crypto/x509`.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Who may answer.
#[derive(Clone)]
pub(super) enum Trust {
    /// Whoever does: what comes is only believed after other proof.
    Anybody,
    Verified {
        roots: Arc<RootCertStore>,
        /// Whose roots these are, for messages.
        authority: &'static str,
        client: Option<Arc<ClientPair>>,
    },
}

/// A client certificate and its key.
pub(super) struct ClientPair {
    certificates: Vec<CertificateDer<'static>>,
    key: Zeroizing<Vec<u8>>,
}

impl ClientPair {
    /// From PEM.
    pub(super) fn new(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let certificates =
            load::certificates(certificate).map_err(|error| format!("the certificate {error}"))?;
        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key cannot be read: {error}"))?;
        let certificates = certificates.iter().map(|it| CertificateDer::from(it.der().to_vec())).collect();
        Ok(Self { certificates, key: Zeroizing::new(key.to_vec()) })
    }
}

impl Trust {
    pub(super) fn roots(roots: RootCertStore, authority: &'static str) -> Self {
        Self::Verified { roots: Arc::new(roots), authority, client: None }
    }

    /// The configuration of one connection that is made at a time.
    pub(super) fn config(&self, now: OffsetDateTime) -> Result<Arc<ClientConfig>, String> {
        let Self::Verified { roots, client, .. } = self else {
            return http::unverified_config().map_err(|error| error.to_string());
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_details(provider, Arc::new(At(now)))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(Arc::clone(roots));
        Ok(Arc::new(match client {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| error.to_string())?;
                builder
                    .with_client_auth_cert(pair.certificates.clone(), key)
                    .map_err(|error| error.to_string())?
            }
        }))
    }
}

/// The authorities of a PEM bundle.
pub(super) fn bundle(pem: &[u8]) -> Result<RootCertStore, String> {
    let certificates = load::certificates(pem).map_err(|error| format!("it {error}"))?;
    store(certificates.iter().map(|certificate| certificate.der().to_vec()))
        .ok_or_else(|| "none of its certificates can be an authority".to_owned())
}

/// The authorities that the host's operating system trusts.
pub(super) fn system(host: &dyn Host) -> Result<RootCertStore, String> {
    for path in SYSTEM_BUNDLES {
        let entry = read_through(host, path).map_err(|error| error.to_string())?;
        let Some(content) = entry.as_ref().and_then(Entry::content) else { continue };
        // One certificate that does not parse must not cost all the others.
        let certificates = CertificateDer::pem_slice_iter(content).flatten();
        if let Some(roots) = store(certificates.map(|certificate| certificate.to_vec())) {
            return Ok(roots);
        }
    }
    Err(format!("this host has no bundle of trusted authorities ({})", SYSTEM_BUNDLES.join(", ")))
}

fn store(certificates: impl Iterator<Item = Vec<u8>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.map(CertificateDer::from));
    (added > 0).then_some(roots)
}

/// A clock that was looked at.
#[derive(Debug)]
struct At(OffsetDateTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
