//! The pin of an authority: how a joining node recognises it.

use super::certificate::Certificate;
use super::random;
use aws_lc_rs::digest;

/// `sha256:` and the hexadecimal SHA-256 of the authority's `SubjectPublicKeyInfo`.
pub fn pin(certificate: &Certificate) -> String {
    format!("sha256:{}", random::hex(digest::digest(&digest::SHA256, certificate.public_key_info()).as_ref()))
}

/// Whether any of the certificates has any of the pins. Algorithm and digits may be in either case.
///
/// # Errors
/// A pin is not `sha256:` and 64 hexadecimal digits.
pub fn matches(certificates: &[Certificate], pins: &[String]) -> Result<bool, String> {
    let known: Vec<String> = certificates.iter().map(pin).collect();
    let mut found = false;
    for text in pins {
        let valid = match text.split_once(':') {
            Some((algorithm, value)) => {
                algorithm.eq_ignore_ascii_case("sha256")
                    && random::unhex(value).is_some_and(|value| value.len() == 32)
            }
            None => false,
        };
        if !valid {
            return Err(format!(
                "`{text}` is not a CA certificate hash; it must be `sha256:` and 64 hexadecimal digits"
            ));
        }
        found |= known.iter().any(|pin| pin.eq_ignore_ascii_case(text));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::load;

    const AUTHORITY: &str = include_str!("../../tests/fixtures/ca.crt");
    const PIN: &str = "sha256:68d9b6dce25370a36e0f672f1b96726202f61f8008131a107f5e15d034e96a2e";

    #[test]
    fn is_kubeadms() {
        let found = load::certificates(AUTHORITY.as_bytes()).unwrap();
        assert_eq!(pin(&found[0]), PIN);
        let bits = &found[0].public_key_info()[found[0].public_key_info().len() - 65..];
        assert_eq!(crate::pki::mint::key_id(bits), found[0].key_id().unwrap());
        assert_eq!(random::hex(found[0].key_id().unwrap()), "b7cbaf197c62975c5167007bc426902ea637a678");
    }

    #[test]
    fn matches_in_either_case_and_refuses_malformed_pins() {
        let found = load::certificates(AUTHORITY.as_bytes()).unwrap();
        let other = format!("sha256:{}", "00".repeat(32));
        assert_eq!(matches(&found, &[other.clone(), PIN.to_uppercase()]), Ok(true));
        assert_eq!(matches(&found, &[other]), Ok(false));
        for malformed in ["", "sha256:", "sha512:00", "sha256:zz", &format!("{PIN}:")] {
            assert!(matches(&found, &[malformed.to_owned()]).is_err(), "{malformed}");
        }
    }
}
