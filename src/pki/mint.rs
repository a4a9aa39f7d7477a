//! New certificates, encoded as kubeadm's are.
//!
//! The certificates are written as DER here instead of through rcgen's parameters, for three reasons: rcgen
//! keeps an issuer's name as a map and would rewrite a foreign authority's name (two organisational units,
//! other string types), which breaks the chain; it gives every leaf that says CA:FALSE a subject key
//! identifier; and it fixes an order of extensions that is not kubeadm's. Keys, signatures and the DER writer
//! are rcgen's.

use super::certificate::Certificate;
use super::key::KeyError;
use super::key::KeyKind;
use super::key::PrivateKey;
use super::random;
use super::random::Random;
use super::sans::Sans;
use super::spec::Subject;
use super::spec::Usage;
use aws_lc_rs::digest;
use std::net::IpAddr;
use time::Duration;
use time::OffsetDateTime;
use yasna::DERWriter;
use yasna::DERWriterSeq;
use yasna::Tag;
use yasna::models::GeneralizedTime;
use yasna::models::ObjectIdentifier;
use yasna::models::UTCTime;

/// How far before its making a certificate becomes valid, for clocks that are behind.
pub const BACKDATE: Duration = Duration::minutes(5);

/// From when until when; whole seconds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

/// What a leaf certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    pub subject: &'a Subject,
    pub usages: &'a [Usage],
    pub sans: &'a Sans,
    pub validity: Validity,
    /// The `SubjectPublicKeyInfo` in DER.
    pub public_key_info: &'a [u8],
}

/// An authority that can sign.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    pub certificate: &'a Certificate,
    pub key: &'a PrivateKey,
}

#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot write the time {0} into a certificate; years go up to 9999")]
    Time(OffsetDateTime),
    #[error("a certificate that was just made does not parse: {0}")]
    Parse(String),
}

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// The bits of a leaf's key usage, digitalSignature and keyEncipherment, also for ECDSA keys.
const LEAF_KEY_USAGE: (u8, usize) = (0b1010_0000, 3);
/// The same and keyCertSign; no cRLSign.
const AUTHORITY_KEY_USAGE: (u8, usize) = (0b1010_0100, 6);

/// A self-signed authority with one DNS name equal to its common name.
pub fn authority(
    common_name: &str,
    key: &PrivateKey,
    validity: Validity,
    random: &mut dyn Random,
) -> Result<Certificate, MintError> {
    let name = encoded_name(&Subject::named(common_name));
    let sans = Sans { dns: vec![common_name.to_owned()], ips: Vec::new() };
    let extensions = |writer: &mut DERWriterSeq<'_>| {
        key_usage(writer, AUTHORITY_KEY_USAGE);
        basic_constraints(writer, true);
        extension(writer, SUBJECT_KEY_ID, false, |writer| writer.write_bytes(&key_id(key.public_bits())));
        subject_alt_name(writer, &sans);
    };
    let info = key.public_key_info();
    let body = Body { issuer: &name, subject: &name, validity, public_key_info: &info, signer: key };
    body.signed(random, extensions)
}

/// A certificate for a client or a server. The issuer's name is copied byte for byte.
pub fn leaf(leaf: &Leaf<'_>, issuer: Issuer<'_>, random: &mut dyn Random) -> Result<Certificate, MintError> {
    let extensions = |writer: &mut DERWriterSeq<'_>| {
        key_usage(writer, LEAF_KEY_USAGE);
        if !leaf.usages.is_empty() {
            extended_key_usage(writer, leaf.usages);
        }
        basic_constraints(writer, false);
        if let Some(id) = issuer.certificate.key_id() {
            authority_key_id(writer, id);
        }
        if !leaf.sans.is_empty() {
            subject_alt_name(writer, leaf.sans);
        }
    };
    let body = Body {
        issuer: issuer.certificate.subject(),
        subject: &encoded_name(leaf.subject),
        validity: leaf.validity,
        public_key_info: leaf.public_key_info,
        signer: issuer.key,
    };
    body.signed(random, extensions)
}

/// A subject key identifier: the leftmost 20 bytes of the SHA-256 of the public key's bits (RFC 7093, method
/// 1).
pub fn key_id(public_bits: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, public_bits).as_ref()[..20].to_vec()
}

/// The parts of a `TBSCertificate` (RFC 5280 section 4.1), names in DER.
struct Body<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    validity: Validity,
    public_key_info: &'a [u8],
    signer: &'a PrivateKey,
}

impl Body<'_> {
    fn signed(
        &self,
        random: &mut dyn Random,
        extensions: impl FnOnce(&mut DERWriterSeq<'_>),
    ) -> Result<Certificate, MintError> {
        for time in [self.validity.not_before, self.validity.not_after] {
            if !(1950..=9999).contains(&time.to_offset(time::UtcOffset::UTC).year()) {
                return Err(MintError::Time(time));
            }
        }
        let serial = random::serial(random);
        let tbs = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2));
                writer.next().write_u64(serial);
                signature_algorithm(writer.next(), self.signer.kind());
                writer.next().write_der(self.issuer);
                writer.next().write_sequence(|writer| {
                    write_time(writer.next(), self.validity.not_before);
                    write_time(writer.next(), self.validity.not_after);
                });
                writer.next().write_der(self.subject);
                writer.next().write_der(self.public_key_info);
                writer.next().write_tagged(Tag::context(3), |writer| writer.write_sequence(extensions));
            });
        });
        let signature = self.signer.sign(&tbs)?;
        let der = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&tbs);
                signature_algorithm(writer.next(), self.signer.kind());
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        });
        Certificate::from_der(&der).map_err(MintError::Parse)
    }
}

/// A name in DER: the organisations in one set, then the common name.
pub fn encoded_name(subject: &Subject) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            if !subject.organizations.is_empty() {
                writer.next().write_set_of(|writer| {
                    for organization in &subject.organizations {
                        attribute(writer.next(), ORGANIZATION, organization);
                    }
                });
            }
            writer.next().write_set_of(|writer| attribute(writer.next(), COMMON_NAME, &subject.common_name));
        });
    })
}

fn attribute(writer: DERWriter<'_>, oid: &[u64], value: &str) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if value.bytes().all(is_printable) {
            writer.next().write_printable_string(value);
        } else {
            writer.next().write_utf8_string(value);
        }
    });
}

/// The characters of a `PrintableString`.
pub fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

/// RFC 5280 section 4.1.2.5: two digits of the year until 2049, four from then on.
fn write_time(writer: DERWriter<'_>, time: OffsetDateTime) {
    let time = time.to_offset(time::UtcOffset::UTC).truncate_to_second();
    if time.year() < 2050 {
        writer.write_utctime(&UTCTime::from_datetime(time));
    } else {
        writer.write_generalized_time(&GeneralizedTime::from_datetime(time));
    }
}

fn signature_algorithm(writer: DERWriter<'_>, kind: KeyKind) {
    let oid: &[u64] = match kind {
        KeyKind::Rsa => &[1, 2, 840, 113_549, 1, 1, 11],
        KeyKind::P256 => &[1, 2, 840, 10_045, 4, 3, 2],
        KeyKind::P384 => &[1, 2, 840, 10_045, 4, 3, 3],
        KeyKind::P521 => &[1, 2, 840, 10_045, 4, 3, 4],
    };
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if kind == KeyKind::Rsa {
            writer.next().write_null();
        }
    });
}

fn extension(writer: &mut DERWriterSeq<'_>, oid: &[u64], critical: bool, value: impl FnOnce(DERWriter<'_>)) {
    writer.next().write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(&yasna::construct_der(value));
    });
}

fn key_usage(writer: &mut DERWriterSeq<'_>, (bits, count): (u8, usize)) {
    extension(writer, KEY_USAGE, true, |writer| writer.write_bitvec_bytes(&[bits], count));
}

fn extended_key_usage(writer: &mut DERWriterSeq<'_>, usages: &[Usage]) {
    extension(writer, EXTENDED_KEY_USAGE, false, |writer| {
        writer.write_sequence(|writer| {
            for usage in usages {
                writer.next().write_oid(&ObjectIdentifier::from_slice(&[
                    1,
                    3,
                    6,
                    1,
                    5,
                    5,
                    7,
                    3,
                    usage.number(),
                ]));
            }
        });
    });
}

fn basic_constraints(writer: &mut DERWriterSeq<'_>, is_ca: bool) {
    extension(writer, BASIC_CONSTRAINTS, true, |writer| {
        writer.write_sequence(|writer| {
            // FALSE is the default, which DER leaves out.
            if is_ca {
                writer.next().write_bool(true);
            }
        });
    });
}

fn authority_key_id(writer: &mut DERWriterSeq<'_>, id: &[u8]) {
    extension(writer, AUTHORITY_KEY_ID, false, |writer| {
        writer.write_sequence(|writer| {
            writer.next().write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(id));
        });
    });
}

fn subject_alt_name(writer: &mut DERWriterSeq<'_>, sans: &Sans) {
    extension(writer, SUBJECT_ALT_NAME, false, |writer| {
        writer.write_sequence(|writer| {
            for name in &sans.dns {
                writer.next().write_tagged_implicit(Tag::context(2), |writer| writer.write_ia5_string(name));
            }
            for ip in &sans.ips {
                writer.next().write_tagged_implicit(Tag::context(7), |writer| match ip {
                    IpAddr::V4(ip) => writer.write_bytes(&ip.octets()),
                    IpAddr::V6(ip) => writer.write_bytes(&ip.octets()),
                });
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubeadm::KeyAlgorithm;
    use crate::pki::SystemRandom;
    use crate::pki::random;
    use time::macros::datetime;

    #[test]
    fn names_are_written_as_go_writes_them() {
        let subject = |organizations: &[&str], common_name: &str| Subject {
            organizations: organizations.iter().map(|name| (*name).to_owned()).collect(),
            common_name: common_name.to_owned(),
        };
        for (subject, expected) in [
            (subject(&[], "ca"), "300d 310b 3009 0603550403 1302 6361"),
            // Organisations first, in one set, sorted.
            (
                subject(&["b", "a"], "c"),
                "3022 3114 3008 060355040a 1301 61 3008 060355040a 1301 62 310a 3008 0603550403 1301 63",
            ),
            // An underscore is no letter of a PrintableString.
            (subject(&[], "a_b"), "300e 310c 300a 0603550403 0c03 615f62"),
        ] {
            assert_eq!(random::hex(&encoded_name(&subject)), expected.replace(' ', ""));
        }
    }

    #[test]
    fn times_and_validity_end_where_they_can_be_written() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let mint = |not_after| {
            let validity = Validity { not_before: datetime!(2026-01-02 03:04:05.678 UTC), not_after };
            authority("ca", &key, validity, &mut SystemRandom)
        };
        for (not_after, expected) in [
            (datetime!(2049-12-31 23:59:59 UTC), datetime!(2049-12-31 23:59:59 UTC)),
            (datetime!(2050-01-01 0:00 UTC), datetime!(2050-01-01 0:00 UTC)),
            (datetime!(2060-06-01 14:00 +2), datetime!(2060-06-01 12:00 UTC)),
            (datetime!(9999-12-31 23:59:59.9 UTC), datetime!(9999-12-31 23:59:59 UTC)),
        ] {
            let made = mint(not_after).unwrap();
            assert_eq!(made.not_before(), datetime!(2026-01-02 03:04:05 UTC));
            assert_eq!(made.not_after(), expected);
        }
        assert!(matches!(mint(datetime!(1949-12-31 0:00 UTC)), Err(MintError::Time(_))));
    }
}
