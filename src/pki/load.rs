//! Keys and certificates from bytes that somebody else wrote. No input makes this panic.

use super::certificate::Certificate;
use super::key::KeyKind;
use super::key::PrivateKey;
use super::pem;
use pkcs8::PrivateKeyInfoRef;
use rcgen::KeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::PrivateSec1KeyDer;
use sec1::EcPrivateKey;
use sec1::der::Decode;
use zeroize::Zeroizing;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("holds no PEM block; it is empty, cut off or not a PEM file")]
    NoPem,
    #[error("holds no certificate (its PEM blocks: {0})")]
    NoCertificate(String),
    #[error("holds a certificate that does not parse: {0}")]
    Certificate(String),
    #[error("holds no private key of RSA or ECDSA that can be read (its PEM blocks: {0})")]
    NoKey(String),
    #[error(
        "holds an encrypted private key; store it without a passphrase (`openssl pkey -in FILE -out FILE.new`)"
    )]
    EncryptedKey,
    #[error("holds no public key (its PEM blocks: {0})")]
    NoPublicKey(String),
}

/// All certificates of a file; the first is the certificate, the others are intermediates.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, LoadError> {
    let blocks = pem::blocks(bytes);
    let found: Result<Vec<_>, _> = blocks
        .iter()
        .filter(|block| block.tag() == "CERTIFICATE" && block.headers().iter().next().is_none())
        .map(|block| Certificate::from_der(block.contents()).map_err(LoadError::Certificate))
        .collect();
    match found {
        Ok(found) if found.is_empty() => Err(missing(&blocks, LoadError::NoCertificate)),
        other => other,
    }
}

/// The first block that parses as a private key of RSA or ECDSA, in PKCS#1, SEC1 or PKCS#8.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKey, LoadError> {
    let blocks = pem::blocks(bytes);
    if let Some(key) = blocks.iter().find_map(key_of) {
        return Ok(key);
    }
    let encrypted = |block: &::pem::Pem| {
        block.tag() == "ENCRYPTED PRIVATE KEY" || block.headers().get("Proc-Type").is_some()
    };
    if blocks.iter().any(encrypted) {
        return Err(LoadError::EncryptedKey);
    }
    Err(missing(&blocks, LoadError::NoKey))
}

/// The `SubjectPublicKeyInfo`s of all `PUBLIC KEY` blocks.
pub fn public_keys(bytes: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    let blocks = pem::blocks(bytes);
    let found: Vec<Vec<u8>> = blocks
        .iter()
        .filter(|block| block.tag() == "PUBLIC KEY")
        .filter(|block| rcgen::SubjectPublicKeyInfo::from_der(block.contents()).is_ok())
        .map(|block| block.contents().to_vec())
        .collect();
    if found.is_empty() { Err(missing(&blocks, LoadError::NoPublicKey)) } else { Ok(found) }
}

fn missing(blocks: &[::pem::Pem], error: fn(String) -> LoadError) -> LoadError {
    if blocks.is_empty() {
        return LoadError::NoPem;
    }
    // Tags are the file's own words: printed, but not without end.
    let tags: Vec<String> =
        blocks.iter().take(4).map(|block| block.tag().chars().take(40).collect()).collect();
    error(tags.join(", "))
}

fn key_of(block: &::pem::Pem) -> Option<PrivateKey> {
    let der = block.contents();
    let (kind, wrapped) = match block.tag() {
        "RSA PRIVATE KEY" => (KeyKind::Rsa, PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der))),
        "EC PRIVATE KEY" => (sec1_kind(der)?, PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der))),
        "PRIVATE KEY" => (pkcs8_kind(der)?, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der))),
        _ => return None,
    };
    let algorithm = match kind {
        KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyKind::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
    };
    let pair = KeyPair::from_der_and_sign_algo(&wrapped, algorithm).ok()?;
    Some(PrivateKey::loaded(pair, kind, Zeroizing::new(pem::text(block.tag(), der))))
}

fn sec1_kind(der: &[u8]) -> Option<KeyKind> {
    let key = EcPrivateKey::from_der(der).ok()?;
    KeyKind::of_curve(&key.parameters?.named_curve()?.to_string())
}

fn pkcs8_kind(der: &[u8]) -> Option<KeyKind> {
    let info = PrivateKeyInfoRef::try_from(der).ok()?;
    match info.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => Some(KeyKind::Rsa),
        "1.2.840.10045.2.1" => KeyKind::of_curve(&info.algorithm.parameters_oid().ok()?.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubeadm::KeyAlgorithm;
    use proptest::prelude::*;

    fn sample() -> String {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let validity =
            crate::pki::mint::Validity { not_before: now, not_after: now + time::Duration::days(1) };
        let authority =
            crate::pki::mint::authority("test", &key, validity, &mut crate::pki::SystemRandom).unwrap();
        format!("{}{}{}", authority.pem(), key.pem(), key.public_pem())
    }

    #[test]
    fn other_blocks_are_skipped() {
        let text = sample();
        assert_eq!(certificates(text.as_bytes()).unwrap().len(), 1);
        let key = private_key(text.as_bytes()).unwrap();
        assert_eq!(public_keys(text.as_bytes()).unwrap(), [key.public_key_info()]);
    }

    #[test]
    fn says_what_is_wrong() {
        let junk = pem::text("JUNK", b"x");
        let broken = pem::text("CERTIFICATE", b"x");
        assert_eq!(certificates(b"").unwrap_err(), LoadError::NoPem);
        assert_eq!(certificates(junk.as_bytes()).unwrap_err(), LoadError::NoCertificate("JUNK".into()));
        assert!(matches!(certificates(broken.as_bytes()).unwrap_err(), LoadError::Certificate(_)));
        assert_eq!(private_key(junk.as_bytes()).unwrap_err(), LoadError::NoKey("JUNK".into()));
        let encrypted = pem::text("ENCRYPTED PRIVATE KEY", b"x");
        assert_eq!(private_key(encrypted.as_bytes()).unwrap_err(), LoadError::EncryptedKey);
    }

    fn read_all(bytes: &[u8]) {
        let _ = certificates(bytes);
        let _ = private_key(bytes);
        let _ = public_keys(bytes);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read_all(&bytes);
        }

        #[test]
        fn no_der_panics(tag in 0..6_usize, der in proptest::collection::vec(any::<u8>(), 0..200)) {
            let tags = ["CERTIFICATE", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY", "PUBLIC KEY", "X"];
            read_all(pem::text(tags[tag], &der).as_bytes());
        }

        /// Damage inside a whole structure gets further than noise does.
        #[test]
        fn no_damage_panics(at in 0..4000_usize, with in any::<u8>(), cut in 0..4000_usize) {
            let mut blocks = pem::blocks(sample().as_bytes());
            for block in &mut blocks {
                let mut der = block.contents().to_vec();
                let length = der.len();
                der[at % length] = with;
                der.truncate(if cut % 4 == 0 { cut % length } else { length });
                read_all(pem::text(block.tag(), &der).as_bytes());
            }
            let mut text = sample().into_bytes();
            let length = text.len();
            text[at % length] = with;
            text.truncate(cut.max(1));
            read_all(&text);
        }
    }
}
