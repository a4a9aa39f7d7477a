//! Kubeconfigs for further users (`kubeconfig user`).

use super::certificate::Certificate;
use super::key::PrivateKey;
use super::kubeconfig::Credential;
use super::kubeconfig::Kubeconfig;
use super::mint;
use super::mint::Issuer;
use super::mint::Leaf;
use super::mint::MintError;
use super::mint::Validity;
use super::random::Random;
use super::sans::Sans;
use super::spec::Subject;
use super::spec::Usage;
use crate::cluster::GoDuration;
use crate::cluster::Secret;
use crate::cluster::kubeadm::KeyAlgorithm;
use time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long a user's certificate is valid unless somebody says otherwise, as kubeadm has it: a year of 365 days.
pub const VALIDITY: GoDuration = GoDuration::from_hours(8_760);

/// Where the user finds the cluster, and whom to trust.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub cluster_name: &'a str,
    pub server: &'a str,
    pub authority: &'a Certificate,
}

/// How the user proves who it is.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// A bearer token that somebody else gave out.
    Token(&'a Secret),
    /// A new key, with a certificate by the cluster's authority.
    Certificate {
        /// The groups of the user.
        organizations: &'a [String],
        authority_key: &'a PrivateKey,
        algorithm: KeyAlgorithm,
        not_after: OffsetDateTime,
    },
}

/// When a certificate of this validity ends; the last representable day where that is beyond all time.
pub fn not_after(now: OffsetDateTime, validity: GoDuration) -> OffsetDateTime {
    let end = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);
    now.checked_add(Duration::nanoseconds(validity.as_nanos())).unwrap_or(end)
}

/// The kubeconfig of a user. As with kubeadm, its certificate is valid from when the authority is.
///
/// # Errors
/// No key can be made, or the certificate would end in a year that it cannot say.
pub fn kubeconfig(
    user: &str,
    place: Place<'_>,
    proof: Proof<'_>,
    random: &mut dyn Random,
) -> Result<Zeroizing<String>, MintError> {
    let authority = place.authority.pem();
    let rendered = |credential| {
        let Place { cluster_name, server, .. } = place;
        Kubeconfig { cluster_name, server, authority: Some(&authority), user, credential }.render()
    };
    match proof {
        Proof::Token(token) => Ok(rendered(Credential::Token(token.expose()))),
        Proof::Certificate { organizations, authority_key, algorithm, not_after } => {
            let key = PrivateKey::generate(algorithm)?;
            let subject = Subject { organizations: organizations.to_vec(), common_name: user.to_owned() };
            let leaf = Leaf {
                subject: &subject,
                usages: &[Usage::ClientAuth],
                sans: &Sans::default(),
                validity: Validity { not_before: place.authority.not_before(), not_after },
                public_key_info: &key.public_key_info(),
            };
            let issuer = Issuer { certificate: place.authority, key: authority_key };
            let certificate = mint::leaf(&leaf, issuer, random)?.pem();
            Ok(rendered(Credential::Data { certificate: certificate.as_bytes(), key: key.pem().as_bytes() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::SystemRandom;
    use crate::pki::kubeconfig::parse;
    use crate::pki::load;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

    fn authority() -> (Certificate, PrivateKey) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let validity = Validity { not_before: NOW - Duration::days(9), not_after: NOW + Duration::days(900) };
        (mint::authority("kubernetes", &key, validity, &mut SystemRandom).unwrap(), key)
    }

    #[test]
    fn a_certificate_says_who_the_user_is() {
        let (certificate, key) = authority();
        let place =
            Place { cluster_name: "prod", server: "https://api.example.com:6443", authority: &certificate };
        let organizations = ["dev".to_owned(), "ops".to_owned()];
        let proof = Proof::Certificate {
            organizations: &organizations,
            authority_key: &key,
            algorithm: KeyAlgorithm::EcdsaP256,
            not_after: not_after(NOW, VALIDITY),
        };
        let text = kubeconfig("foo", place, proof, &mut SystemRandom).unwrap();
        let parsed = parse(text.as_bytes()).unwrap();
        let made = load::certificates(&parsed.client_certificate).unwrap().remove(0);
        assert_eq!((made.common_name(), made.organizations()), (Some("foo"), &organizations[..]));
        assert_eq!(made.usages(), [Usage::ClientAuth]);
        assert_eq!(made.not_before(), NOW - Duration::days(9));
        assert_eq!(made.not_after(), NOW + Duration::days(365));
        assert!(made.is_signed_by(&certificate));
        assert_eq!(load::private_key(&parsed.client_key).unwrap().public_key_info(), made.public_key_info());
        assert_eq!(parsed.server, "https://api.example.com:6443");
        assert!(text.contains("current-context: foo@prod\n"));
    }

    #[test]
    fn a_token_needs_no_key() {
        let (certificate, _) = authority();
        let place = Place { cluster_name: "prod", server: "https://x:1", authority: &certificate };
        let token = Secret::new("abc");
        let text = kubeconfig("foo", place, Proof::Token(&token), &mut SystemRandom).unwrap();
        assert!(text.ends_with("users:\n- name: foo\n  user:\n    token: abc\n"), "{}", text.as_str());
    }

    #[test]
    fn no_validity_is_beyond_what_time_can_say() {
        let ever = GoDuration::from_secs(i64::MAX / 1_000_000_000);
        assert_eq!(not_after(datetime!(9999-01-01 00:00 UTC), ever).year(), 9999);
    }
}
