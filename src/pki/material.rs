//! What exists of a certificate: parsed for decisions, and the files' own bytes for giving out.

use super::certificate::Certificate;
use super::inventory::FileState;
use super::inventory::Inventory;
use super::key::PrivateKey;
use super::load;
use super::spec::Paths;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes that may hold a key.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// A certificate that is kept, with as much of it as there is.
#[derive(Clone, Default)]
pub struct Material {
    /// The certificate first, then intermediates of the same file.
    pub certificates: Vec<Certificate>,
    pub key: Option<Arc<PrivateKey>>,
    /// The files as they are.
    pub certificate_file: Option<SecretBytes>,
    pub key_file: Option<SecretBytes>,
    pub public_key_file: Option<SecretBytes>,
    pub kubeconfig_file: Option<SecretBytes>,
    /// Certificate and key in one file of the kubelet's store.
    pub pair_file: Option<SecretBytes>,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum View<T> {
    Absent,
    /// It is there and cannot be used; why.
    Bad(String),
    Good {
        value: T,
        bytes: SecretBytes,
    },
}

/// A certificate's files on one host.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) certificate: View<Vec<Certificate>>,
    pub(super) key: View<Arc<PrivateKey>>,
}

impl Material {
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificates.first()
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("certificates", &self.certificates)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<T> View<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn good(&self) -> Option<&T> {
        match self {
            Self::Good { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> Option<&SecretBytes> {
        match self {
            Self::Good { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// Why it cannot be used, for messages.
    pub(super) fn trouble(&self) -> String {
        match self {
            Self::Absent => "it does not exist".to_owned(),
            Self::Bad(why) => why.clone(),
            Self::Good { .. } => "it is as it should be".to_owned(),
        }
    }
}

impl Observed {
    /// Reads a certificate and a key from their files.
    pub(super) fn files(inventory: Option<&Inventory>, paths: &Paths) -> Self {
        Self {
            certificate: view(inventory, paths.certificate.as_deref(), certificates),
            key: view(inventory, paths.key.as_deref(), key),
        }
    }

    /// Reads a certificate and a key from one file of the kubelet's store.
    pub(super) fn store(inventory: Option<&Inventory>, paths: &Paths) -> Self {
        Self {
            certificate: view(inventory, paths.store.as_deref(), certificates),
            key: view(inventory, paths.store.as_deref(), key),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.certificate.is_absent() && self.key.is_absent()
    }

    /// All that is usable of a file of the kubelet's store, certificate and key apart.
    pub(super) fn store_material(&self) -> Material {
        let mut material = self.material();
        material.pair_file = material.certificate_file.take();
        let certificates: String = material.certificates.iter().map(Certificate::pem).collect();
        material.certificate_file = material.certificate().map(|_| certificates.into_bytes().into());
        material.key_file = material.key.as_ref().map(|key| key.pem().as_bytes().to_vec().into());
        material
    }

    /// All that is usable of it.
    pub(super) fn material(&self) -> Material {
        Material {
            certificates: self.certificate.good().cloned().unwrap_or_default(),
            key: self.key.good().cloned(),
            certificate_file: self.certificate.bytes().cloned(),
            key_file: self.key.bytes().cloned(),
            ..Material::default()
        }
    }
}

/// Reads one file; a path that nobody looked at counts as absent.
pub(super) fn view<T>(
    inventory: Option<&Inventory>,
    path: Option<&str>,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> View<T> {
    let state = inventory.zip(path).and_then(|(inventory, path)| inventory.get(path));
    match state {
        None | Some(FileState::Absent) => View::Absent,
        Some(FileState::Unreadable(why)) => View::Bad(format!("it cannot be read: {why}")),
        Some(FileState::Present { bytes, .. }) => match read(bytes) {
            Ok(value) => View::Good { value, bytes: bytes.clone() },
            Err(why) => View::Bad(why),
        },
    }
}

pub(super) fn key(bytes: &[u8]) -> Result<Arc<PrivateKey>, String> {
    load::private_key(bytes).map(Arc::new).map_err(|error| format!("it {error}"))
}

fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    load::certificates(bytes).map_err(|error| format!("it {error}"))
}
