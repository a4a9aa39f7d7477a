//! Private keys, in the encodings that kubeadm writes: PKCS#1 for RSA, SEC1 for ECDSA.

use super::pem;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::KeyAlgorithm;
use pkcs8::PrivateKeyInfoRef;
use rcgen::KeyPair;
use rcgen::PublicKeyData;
use rcgen::RsaKeySize;
use rcgen::SigningKey;
use sec1::EcParameters;
use sec1::EcPrivateKey;
use sec1::der::Decode;
use sec1::der::Encode;
use sec1::der::asn1::ObjectIdentifier;
use std::fmt;
use zeroize::Zeroizing;

/// A key that can sign. It prints as its algorithm and never as itself.
pub struct PrivateKey {
    pair: KeyPair,
    kind: KeyKind,
    pem: Zeroizing<String>,
}

/// What a key is, which decides how it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot generate a {0:?} key: {1}")]
    Generate(KeyAlgorithm, rcgen::Error),
    #[error("cannot encode a generated key: {0}")]
    Encode(String),
    #[error("cannot sign: {0}")]
    Sign(rcgen::Error),
}

const CURVES: [(KeyKind, &str); 3] = [
    (KeyKind::P256, "1.2.840.10045.3.1.7"),
    (KeyKind::P384, "1.3.132.0.34"),
    (KeyKind::P521, "1.3.132.0.35"),
];

/// What new keys of a cluster are made of. The deprecated feature gate `PublicKeysECDSA` overrides the field
/// in both directions, as it does for kubeadm.
pub fn effective_algorithm(configuration: &ClusterConfiguration) -> KeyAlgorithm {
    match configuration.feature_gates.get("PublicKeysECDSA") {
        Some(true) => KeyAlgorithm::EcdsaP256,
        Some(false) => KeyAlgorithm::Rsa2048,
        None => configuration.encryption_algorithm,
    }
}

impl PrivateKey {
    /// Makes a key. RSA takes tenths of a second.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let (kind, pair) = match algorithm {
            KeyAlgorithm::Rsa2048 => (KeyKind::Rsa, rsa(RsaKeySize::_2048)),
            KeyAlgorithm::Rsa3072 => (KeyKind::Rsa, rsa(RsaKeySize::_3072)),
            KeyAlgorithm::Rsa4096 => (KeyKind::Rsa, rsa(RsaKeySize::_4096)),
            KeyAlgorithm::EcdsaP256 => (KeyKind::P256, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)),
            KeyAlgorithm::EcdsaP384 => (KeyKind::P384, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)),
        };
        let pair = pair.map_err(|error| KeyError::Generate(algorithm, error))?;
        let pem = traditional(&pair, kind).map_err(KeyError::Encode)?;
        Ok(Self { pair, kind, pem })
    }

    /// A key that was read; `pem` is how it was written.
    pub(super) fn loaded(pair: KeyPair, kind: KeyKind, pem: Zeroizing<String>) -> Self {
        Self { pair, kind, pem }
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key as PEM; the caller answers for where it goes.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn public_key_info(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The public half as a `PUBLIC KEY` block.
    pub fn public_pem(&self) -> String {
        pem::text("PUBLIC KEY", &self.public_key_info())
    }

    /// The contents of the public key's BIT STRING, of which key identifiers are made.
    pub fn public_bits(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    /// Signs with the algorithm that belongs to the key: SHA-256 for RSA and P-256, SHA-384 for P-384,
    /// SHA-512 for P-521.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(message).map_err(KeyError::Sign)
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, …)", self.kind)
    }
}

impl KeyKind {
    /// The curve's object identifier, dotted.
    pub fn curve(self) -> Option<&'static str> {
        CURVES.iter().find(|(kind, _)| *kind == self).map(|(_, oid)| *oid)
    }

    pub(super) fn of_curve(oid: &str) -> Option<Self> {
        CURVES.iter().find(|(_, curve)| *curve == oid).map(|(kind, _)| *kind)
    }
}

/// Takes a key out of the PKCS#8 that rcgen keeps it in (an RSA key may lie bare already).
fn traditional(pair: &KeyPair, kind: KeyKind) -> Result<Zeroizing<String>, String> {
    let info = PrivateKeyInfoRef::try_from(pair.serialized_der()).map_err(|error| error.to_string())?;
    let inner = info.private_key.as_bytes();
    let Some(curve) = kind.curve() else {
        return Ok(Zeroizing::new(pem::text("RSA PRIVATE KEY", inner)));
    };
    let bare = EcPrivateKey::from_der(inner).map_err(|error| error.to_string())?;
    let curve = ObjectIdentifier::new(curve).map_err(|error| error.to_string())?;
    let whole = EcPrivateKey {
        private_key: bare.private_key,
        parameters: Some(EcParameters::NamedCurve(curve)),
        public_key: Some(pair.public_key_raw()),
    };
    let der = Zeroizing::new(whole.to_der().map_err(|error| error.to_string())?);
    Ok(Zeroizing::new(pem::text("EC PRIVATE KEY", &der)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_gate_overrides_the_field_in_both_directions() {
        let mut configuration =
            ClusterConfiguration { encryption_algorithm: KeyAlgorithm::EcdsaP384, ..Default::default() };
        assert_eq!(effective_algorithm(&configuration), KeyAlgorithm::EcdsaP384);
        for (gate, expected) in [(true, KeyAlgorithm::EcdsaP256), (false, KeyAlgorithm::Rsa2048)] {
            configuration.feature_gates.insert("PublicKeysECDSA".to_owned(), gate);
            assert_eq!(effective_algorithm(&configuration), expected);
        }
    }

    #[test]
    fn every_algorithm_is_written_in_its_traditional_form_and_reads_back() {
        for (algorithm, tag, kind) in [
            (KeyAlgorithm::Rsa2048, "RSA PRIVATE KEY", KeyKind::Rsa),
            (KeyAlgorithm::EcdsaP256, "EC PRIVATE KEY", KeyKind::P256),
            (KeyAlgorithm::EcdsaP384, "EC PRIVATE KEY", KeyKind::P384),
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            assert!(key.pem().starts_with(&format!("-----BEGIN {tag}-----\n")), "{algorithm:?}");
            let again = crate::pki::load::private_key(key.pem().as_bytes()).unwrap();
            assert_eq!(again.kind(), kind);
            assert_eq!(again.public_key_info(), key.public_key_info());
            assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(P256, …)");
    }
}
