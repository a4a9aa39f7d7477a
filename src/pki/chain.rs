//! Whether a certificate leads to an authority.

use super::certificate::Certificate;
use time::OffsetDateTime;

/// Longer chains than this are refused; it also ends a search in circles.
const MAX_INTERMEDIATES: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("its signature is not from that authority")]
    NotSigned,
    #[error("`{subject}` expired on {at}")]
    Expired { subject: String, at: String },
    #[error("`{subject}` is not valid before {at}")]
    NotYetValid { subject: String, at: String },
}

/// Follows the first certificate of a file through the others of that file to `root`, at the time `now`, for
/// any usage. This is what Go's verification does with `root` as its only trusted certificate.
pub fn verify(file: &[Certificate], root: &Certificate, now: OffsetDateTime) -> Result<(), ChainError> {
    let Some((leaf, intermediates)) = file.split_first() else { return Err(ChainError::NotSigned) };
    let path = path(leaf, intermediates, root, MAX_INTERMEDIATES).ok_or(ChainError::NotSigned)?;
    path.into_iter().chain([root]).try_for_each(|certificate| check_time(certificate, now))
}

/// Whether a certificate is in force.
pub fn check_time(certificate: &Certificate, now: OffsetDateTime) -> Result<(), ChainError> {
    let subject = || certificate.subject_text().to_owned();
    if now > certificate.not_after() {
        Err(ChainError::Expired { subject: subject(), at: day_and_time(certificate.not_after()) })
    } else if now < certificate.not_before() {
        Err(ChainError::NotYetValid { subject: subject(), at: day_and_time(certificate.not_before()) })
    } else {
        Ok(())
    }
}

fn path<'a>(
    from: &'a Certificate,
    intermediates: &'a [Certificate],
    root: &Certificate,
    steps: usize,
) -> Option<Vec<&'a Certificate>> {
    if from.is_signed_by(root) {
        return Some(vec![from]);
    }
    let steps = steps.checked_sub(1)?;
    intermediates.iter().filter(|next| next.is_ca() && *next != from && from.is_signed_by(next)).find_map(
        |next| {
            let mut rest = path(next, intermediates, root, steps)?;
            rest.insert(0, from);
            Some(rest)
        },
    )
}

fn day_and_time(time: OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubeadm::KeyAlgorithm;
    use crate::pki::PrivateKey;
    use crate::pki::SystemRandom;
    use crate::pki::mint;
    use crate::pki::sans::Sans;
    use crate::pki::spec::Subject;
    use time::Duration;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-06-01 12:00 UTC);

    fn days(from: i64, to: i64) -> mint::Validity {
        mint::Validity { not_before: NOW + Duration::days(from), not_after: NOW + Duration::days(to) }
    }

    fn authority(name: &str, validity: mint::Validity) -> (Certificate, PrivateKey) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        (mint::authority(name, &key, validity, &mut SystemRandom).unwrap(), key)
    }

    fn leaf(issuer: &(Certificate, PrivateKey), validity: mint::Validity) -> Certificate {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let leaf = mint::Leaf {
            subject: &Subject::named("leaf"),
            usages: &[],
            sans: &Sans::default(),
            validity,
            public_key_info: &key.public_key_info(),
        };
        let issuer = mint::Issuer { certificate: &issuer.0, key: &issuer.1 };
        mint::leaf(&leaf, issuer, &mut SystemRandom).unwrap()
    }

    #[test]
    fn accepts_its_own_authority_only() {
        let (ours, theirs) = (authority("ca", days(-1, 10)), authority("ca", days(-1, 10)));
        let file = [leaf(&ours, days(-1, 1))];
        assert_eq!(verify(&file, &ours.0, NOW), Ok(()));
        // The same name and another key.
        assert_eq!(verify(&file, &theirs.0, NOW), Err(ChainError::NotSigned));
        assert_eq!(verify(&[], &ours.0, NOW), Err(ChainError::NotSigned));
        // A leaf does not stand in for an authority.
        assert_eq!(verify(&[file[0].clone(), file[0].clone()], &theirs.0, NOW), Err(ChainError::NotSigned));
    }

    #[test]
    fn every_certificate_of_the_chain_must_be_in_force() {
        for (authority_days, leaf_days, expected) in [
            ((-1, 1), (-1, 1), "ok"),
            ((-5, -1), (-1, 1), "`CN=ca` expired on 2026-05-31T12:00:00Z"),
            ((-5, 5), (-3, -2), "`CN=leaf` expired on 2026-05-30T12:00:00Z"),
            ((-5, 5), (2, 3), "`CN=leaf` is not valid before 2026-06-03T12:00:00Z"),
        ] {
            let ca = authority("ca", days(authority_days.0, authority_days.1));
            let file = [leaf(&ca, days(leaf_days.0, leaf_days.1))];
            let found =
                verify(&file, &ca.0, NOW).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
            assert_eq!(found, expected);
        }
    }
}
