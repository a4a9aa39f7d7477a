//! The values of the `kubeadm-certs` Secret: AES-256-GCM, stored as nonce, ciphertext and tag.

use super::random;
use super::random::Random;
use crate::cluster::Secret;
use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use zeroize::Zeroizing;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the certificate key is not 64 hexadecimal digits; make one with `certs certificate-key`")]
    Key,
    #[error("the value cannot be encrypted")]
    Encrypt,
    #[error("the value cannot be decrypted: it is damaged, or the certificate key is another one")]
    Decrypt,
}

/// Encrypts with a certificate key (64 hexadecimal digits).
pub fn seal(certificate_key: &Secret, plain: &[u8], random: &mut dyn Random) -> Result<Vec<u8>, SealError> {
    let key = key(certificate_key)?;
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .map_err(|_| SealError::Encrypt)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Decrypts what [`seal`] or kubeadm stored.
pub fn unseal(certificate_key: &Secret, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let key = key(certificate_key)?;
    let (nonce, sealed) = stored.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Decrypt)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let plain = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut buffer)
        .map_err(|_| SealError::Decrypt)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

fn key(certificate_key: &Secret) -> Result<LessSafeKey, SealError> {
    let bytes = Zeroizing::new(random::unhex(certificate_key.expose()).ok_or(SealError::Key)?);
    UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new).map_err(|_| SealError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives 0, 1, 2 and so on.
    struct Counting;

    impl Random for Counting {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
        }
    }

    const KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";
    const STORED: &str = "000102030405060708090a0b\
        a6984dd995d637c95af1ae91924ef98c5319aa7cd83fc54ada4f62f0984edd0e6a7e0c25";

    #[test]
    fn is_kubeadms() {
        let key = Secret::new(KEY);
        let sealed = seal(&key, b"hello kubeadm-certs\n", &mut Counting).unwrap();
        assert_eq!(random::hex(&sealed), STORED);
        assert_eq!(unseal(&key, &sealed).unwrap().as_slice(), b"hello kubeadm-certs\n");
    }

    #[test]
    fn refuses_damage_and_other_keys() {
        let key = Secret::new(KEY);
        let mut stored = random::unhex(STORED).unwrap();
        stored[20] ^= 1;
        assert_eq!(unseal(&key, &stored), Err(SealError::Decrypt));
        assert_eq!(unseal(&key, b"short"), Err(SealError::Decrypt));
        let other = Secret::new("00".repeat(32));
        assert_eq!(unseal(&other, &random::unhex(STORED).unwrap()), Err(SealError::Decrypt));
        for key in ["", "zz", "00", &"00".repeat(33), &"0".repeat(63)] {
            assert_eq!(seal(&Secret::new(key), b"", &mut Counting), Err(SealError::Key), "{key}");
        }
    }
}
