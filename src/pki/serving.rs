//! Certificates that something in the cluster serves with: made when they are stored, and kept while they serve.

use super::certificate::Certificate;
use super::key::PrivateKey;
use super::load;
use super::material::SecretBytes;
use super::mint;
use super::mint::Issuer;
use super::mint::Leaf;
use super::mint::MintError;
use super::mint::Validity;
use super::random::Random;
use super::sans::Sans;
use super::spec::Subject;
use super::spec::Usage;
use crate::cluster::kubeadm::KeyAlgorithm;
use time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// One that ends sooner is replaced.
const LEAST_LEFT: Duration = Duration::days(30);

/// Who serves, and under which names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server<'a> {
    pub common_name: &'a str,
    /// DNS names.
    pub names: &'a [String],
}

impl Server<'_> {
    fn sans(&self) -> Sans {
        let mut dns = self.names.to_vec();
        dns.sort();
        Sans { dns, ips: Vec::new() }
    }

    /// A new certificate and its key, both in PEM. It lasts as long as its authority: nobody looks after it between two
    /// runs, and it is of no use elsewhere.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn mint(
        &self,
        issuer: Issuer<'_>,
        algorithm: KeyAlgorithm,
        now: OffsetDateTime,
        random: &mut dyn Random,
    ) -> Result<SecretBytes, MintError> {
        let key = PrivateKey::generate(algorithm)?;
        let leaf = Leaf {
            subject: &Subject::named(self.common_name),
            usages: &[Usage::ServerAuth],
            sans: &self.sans(),
            validity: Validity {
                not_before: now - mint::BACKDATE,
                not_after: issuer.certificate.not_after(),
            },
            public_key_info: &key.public_key_info(),
        };
        let certificate = mint::leaf(&leaf, issuer, random)?;
        Ok(Zeroizing::new([certificate.pem().as_bytes(), key.pem().as_bytes()].concat()))
    }

    /// Whether a certificate with its key, both in PEM, still serves.
    pub fn is_served_by(&self, pair: &[u8], authority: &Certificate, now: OffsetDateTime) -> bool {
        let (Ok(certificates), Ok(key)) = (load::certificates(pair), load::private_key(pair)) else {
            return false;
        };
        let Some(certificate) = certificates.first() else { return false };
        certificate.is_signed_by(authority)
            && key.public_key_info() == certificate.public_key_info()
            && self.sans().missing_in(certificate.sans()).is_empty()
            && certificate.usages().contains(&Usage::ServerAuth)
            && certificate.is_valid_at(now)
            && certificate.is_valid_at((now + LEAST_LEFT).min(authority.not_after()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::SystemRandom;
    use time::macros::datetime;

    fn authority() -> (PrivateKey, Certificate) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let validity = Validity {
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2036-01-01 0:00 UTC),
        };
        let certificate = mint::authority("front-proxy-ca", &key, validity, &mut SystemRandom).unwrap();
        (key, certificate)
    }

    #[test]
    fn what_serves_is_kept_and_nothing_else() {
        let now = datetime!(2026-02-01 0:00 UTC);
        let names = ["a.kube-system.svc".to_owned(), "a.kube-system.svc.cluster.local".to_owned()];
        let server = Server { common_name: "a", names: &names };
        let (key, certificate) = authority();
        let issuer = Issuer { certificate: &certificate, key: &key };
        let pair = server.mint(issuer, KeyAlgorithm::EcdsaP256, now, &mut SystemRandom).unwrap();
        assert!(server.is_served_by(&pair, &certificate, now));
        // Until the last moment of its authority, since a new one would last no longer.
        assert!(server.is_served_by(&pair, &certificate, datetime!(2035-12-31 0:00 UTC)));
        assert!(!server.is_served_by(&pair, &certificate, datetime!(2036-01-02 0:00 UTC)));
        let more = ["a.kube-system.svc".to_owned(), "b".to_owned()];
        assert!(!Server { common_name: "a", names: &more }.is_served_by(&pair, &certificate, now));
        assert!(!server.is_served_by(&pair, &authority().1, now), "another authority");
        let other = server.mint(issuer, KeyAlgorithm::EcdsaP256, now, &mut SystemRandom).unwrap();
        let key_of_other = String::from_utf8(other.to_vec()).unwrap();
        let key_of_other = &key_of_other
            [key_of_other.find("-----BEGIN EC").or(key_of_other.find("-----BEGIN PRIVATE")).unwrap()..];
        let mixed =
            [load::certificates(&pair).unwrap()[0].pem().as_bytes(), key_of_other.as_bytes()].concat();
        assert!(!server.is_served_by(&mixed, &certificate, now), "the key of another");
        assert!(!server.is_served_by(b"", &certificate, now));
    }
}
