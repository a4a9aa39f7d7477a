//! A certificate and the facts of it that decisions need.

use super::pem;
use super::sans::Sans;
use super::spec::Usage;
use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use std::fmt;
use std::net::IpAddr;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

/// An X.509 certificate: its bytes as they are, and what was read from them.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// The issuer's and the subject's name, byte for byte.
    issuer: Vec<u8>,
    subject: Vec<u8>,
    subject_text: String,
    common_name: Option<String>,
    organizations: Vec<String>,
    public_key_info: Vec<u8>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    is_ca: bool,
    key_id: Option<Vec<u8>>,
    usages: Vec<Usage>,
    sans: Sans,
}

/// ecdsa-with-SHA512, which x509-parser does not know; only a foreign P-521 authority signs so.
const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";

impl Certificate {
    /// Reads one certificate from DER; trailing bytes are an error.
    pub fn from_der(der: &[u8]) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes follow the certificate".to_owned());
        }
        let names = |attributes: &mut dyn Iterator<Item = &x509_parser::x509::AttributeTypeAndValue<'_>>| {
            attributes.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect::<Vec<_>>()
        };
        Ok(Self {
            der: der.to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            subject_text: parsed.subject().to_string(),
            common_name: names(&mut parsed.subject().iter_common_name()).pop(),
            organizations: names(&mut parsed.subject().iter_organization()),
            public_key_info: parsed.public_key().raw.to_vec(),
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            is_ca: parsed.is_ca(),
            key_id: key_id(&parsed),
            usages: usages(&parsed),
            sans: sans(&parsed),
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn pem(&self) -> String {
        pem::text("CERTIFICATE", &self.der)
    }

    /// The subject's name in DER, as an issuer's name must repeat it.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The subject for messages: `O=system:nodes, CN=system:node:cp1`.
    pub fn subject_text(&self) -> &str {
        &self.subject_text
    }

    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    pub fn organizations(&self) -> &[String] {
        &self.organizations
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Whether its basic constraints make it an authority.
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// The subject key identifier.
    pub fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// The extended key usages that Kubernetes knows.
    pub fn usages(&self) -> &[Usage] {
        &self.usages
    }

    pub fn sans(&self) -> &Sans {
        &self.sans
    }

    pub fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether `issuer` made this certificate: the names agree and the signature holds.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        self.issuer == issuer.subject && self.signature_holds(issuer)
    }

    fn signature_holds(&self, issuer: &Self) -> bool {
        let (Ok((_, this)), Ok((_, other))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        if this.signature_algorithm.algorithm.to_id_string() == ECDSA_WITH_SHA512 {
            let key = other.public_key().subject_public_key.data.as_ref();
            let value = this.signature_value.data.as_ref();
            return UnparsedPublicKey::new(&signature::ECDSA_P521_SHA512_ASN1, key)
                .verify(this.tbs_certificate.as_ref(), value)
                .is_ok();
        }
        this.verify_signature(Some(other.public_key())).is_ok()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, until {})", self.subject_text, self.not_after)
    }
}

fn key_id(parsed: &X509Certificate<'_>) -> Option<Vec<u8>> {
    parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn usages(parsed: &X509Certificate<'_>) -> Vec<Usage> {
    let Ok(Some(extension)) = parsed.extended_key_usage() else { return Vec::new() };
    let usage = extension.value;
    [(usage.server_auth, Usage::ServerAuth), (usage.client_auth, Usage::ClientAuth)]
        .into_iter()
        .filter_map(|(there, usage)| there.then_some(usage))
        .collect()
}

fn sans(parsed: &X509Certificate<'_>) -> Sans {
    let mut sans = Sans::default();
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return sans };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => sans.dns.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => sans.ips.extend(address(bytes)),
            _ => {}
        }
    }
    sans
}

pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
