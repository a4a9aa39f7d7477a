//! Certificate signing requests that others made (PKCS#10, RFC 2986), read without trust.

use super::certificate;
use super::pem;
use super::sans::Sans;
use std::collections::BTreeSet;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::extensions::X509Extension;
use x509_parser::oid_registry::OID_X509_COMMON_NAME;
use x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    pub common_names: Vec<String>,
    pub organizations: Vec<String>,
    /// Attributes of the subject beside these two, as `OID=value`.
    pub other_attributes: Vec<String>,
    pub sans: Sans,
    /// Alternative names that are neither DNS names nor addresses: `email:a@b`, `URI:…`.
    pub other_names: Vec<String>,
    /// It asks to be an authority.
    pub is_ca: bool,
    pub key: Key,
    /// Whoever made it has the private key.
    pub signature_holds: bool,
}

/// The public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Rsa {
        bits: usize,
    },
    /// On one of the three curves of NIST that Kubernetes uses.
    Ecdsa,
    Other,
}

const BLOCK: &str = "CERTIFICATE REQUEST";

impl SigningRequest {
    /// Reads the one request of a PEM text. What two readers might read differently is an error: several blocks,
    /// several lists of extensions, an extension given twice.
    ///
    /// # Errors
    /// It is no request; the text says why.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, String> {
        let blocks = pem::blocks(bytes);
        let begun = bytes.windows(5).filter(|window| *window == b"BEGIN").count();
        let [block] = blocks.as_slice() else {
            return Err(format!("it holds {} PEM blocks instead of one", blocks.len()));
        };
        if begun != 1 || block.tag() != BLOCK {
            return Err(format!("it is not one block of {BLOCK}"));
        }
        Self::from_der(block.contents())
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let (rest, parsed) = X509CertificationRequest::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes follow the request".to_owned());
        }
        let info = &parsed.certification_request_info;
        let mut request = Self {
            common_names: Vec::new(),
            organizations: Vec::new(),
            other_attributes: Vec::new(),
            sans: Sans::default(),
            other_names: Vec::new(),
            is_ca: false,
            key: key(&info.subject_pki),
            signature_holds: parsed.verify_signature().is_ok(),
        };
        for attribute in info.subject.iter_attributes() {
            let value =
                attribute.as_str().map_err(|_| "its subject has a value that is no text".to_owned())?;
            request.name(attribute.attr_type(), value);
        }
        for extension in extensions(&parsed)? {
            request.extension(extension)?;
        }
        Ok(request)
    }

    fn name(&mut self, kind: &Oid<'_>, value: &str) {
        if *kind == OID_X509_COMMON_NAME {
            self.common_names.push(value.to_owned());
        } else if *kind == OID_X509_ORGANIZATION_NAME {
            self.organizations.push(value.to_owned());
        } else {
            self.other_attributes.push(format!("{kind}={value}"));
        }
    }

    /// Extensions of other kinds are for the signer to drop, and Kubernetes' signers do.
    fn extension(&mut self, extension: &X509Extension<'_>) -> Result<(), String> {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                names.general_names.iter().for_each(|name| self.alternative_name(name));
            }
            ParsedExtension::BasicConstraints(constraints) => self.is_ca = constraints.ca,
            ParsedExtension::ParseError { .. } => {
                return Err(format!("its extension {} does not parse", extension.oid));
            }
            _ => {}
        }
        Ok(())
    }

    fn alternative_name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.sans.dns.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match certificate::address(bytes) {
                Some(ip) => self.sans.ips.push(ip),
                None => self.other_names.push(format!("an address of {} bytes", bytes.len())),
            },
            GeneralName::RFC822Name(name) => self.other_names.push(format!("email:{name}")),
            GeneralName::URI(uri) => self.other_names.push(format!("URI:{uri}")),
            other => self.other_names.push(other.to_string()),
        }
    }
}

fn extensions<'a>(
    parsed: &'a X509CertificationRequest<'a>,
) -> Result<impl Iterator<Item = &'a X509Extension<'a>>, String> {
    let attributes = parsed.certification_request_info.iter_attributes();
    let mut requests = attributes.filter_map(|attribute| match attribute.parsed_attribute() {
        ParsedCriAttribute::ExtensionRequest(request) => Some(&request.extensions),
        _ => None,
    });
    let first = requests.next();
    if requests.next().is_some() {
        return Err("it asks for extensions twice".to_owned());
    }
    let all: Vec<&X509Extension<'_>> = first.into_iter().flatten().collect();
    let kinds: BTreeSet<String> = all.iter().map(|extension| extension.oid.to_id_string()).collect();
    if kinds.len() == all.len() {
        Ok(all.into_iter())
    } else {
        Err("it asks for one extension twice".to_owned())
    }
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> Key {
    const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Key::Rsa { bits: rsa.key_size() },
        Ok(PublicKey::EC(_)) => {
            let parameters = info.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
            if curve.is_some_and(|curve| CURVES.contains(&curve.as_str())) { Key::Ecdsa } else { Key::Other }
        }
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::CertificateParams;
    use rcgen::DistinguishedName;
    use rcgen::DnType;
    use rcgen::KeyPair;
    use rcgen::SanType;

    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, "system:node:w1");
        params.subject_alt_names = vec![
            SanType::DnsName("w1".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
        params
    }

    fn made(params: &CertificateParams, key: &KeyPair) -> String {
        pem::text(BLOCK, params.serialize_request(key).unwrap().der())
    }

    #[test]
    fn reads_what_it_asks_for() {
        let text = made(&params(), &KeyPair::generate().unwrap());
        let request = SigningRequest::from_pem(text.as_bytes()).unwrap();
        assert_eq!(
            request,
            SigningRequest {
                common_names: vec!["system:node:w1".to_owned()],
                organizations: vec!["system:nodes".to_owned()],
                other_attributes: Vec::new(),
                sans: Sans {
                    dns: vec!["w1".to_owned()],
                    ips: ["192.0.2.7", "2001:db8::7"].map(|ip| ip.parse().unwrap()).to_vec(),
                },
                other_names: Vec::new(),
                is_ca: false,
                key: Key::Ecdsa,
                signature_holds: true,
            }
        );
    }

    #[test]
    fn sees_what_should_not_be_there() {
        let mut params = params();
        params.distinguished_name.push(DnType::CountryName, "XX");
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.c".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://x".try_into().unwrap()));
        let text = made(&params, &KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
        let request = SigningRequest::from_pem(text.as_bytes()).unwrap();
        assert_eq!(request.other_attributes, ["2.5.4.6=XX"]);
        assert_eq!(request.other_names, ["email:a@b.c", "URI:spiffe://x"]);
        assert_eq!(request.key, Key::Other);
    }

    #[test]
    fn a_changed_byte_breaks_the_signature() {
        let text = made(&params(), &KeyPair::generate().unwrap());
        let mut der = pem::blocks(text.as_bytes())[0].contents().to_vec();
        let at = der.windows(2).position(|pair| pair == b"w1").unwrap();
        der[at + 1] = b'2';
        let request = SigningRequest::from_pem(pem::text(BLOCK, &der).as_bytes()).unwrap();
        assert!(!request.signature_holds);
        assert_eq!(request.common_names, ["system:node:w2"]);
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        let text = made(&params(), &KeyPair::generate().unwrap());
        for (input, expected) in [
            (String::new(), "it holds 0 PEM blocks"),
            (format!("{text}{text}"), "it holds 2 PEM blocks"),
            (format!("-----BEGIN X-----\n{text}"), "it is not one block"),
            (text.replace("CERTIFICATE REQUEST", "CERTIFICATE"), "it is not one block"),
            (pem::text(BLOCK, b"\x30\x00"), ""),
            (pem::text(BLOCK, &[pem::blocks(text.as_bytes())[0].contents(), b"x"].concat()), "bytes follow"),
        ] {
            let error = SigningRequest::from_pem(input.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = SigningRequest::from_der(&bytes);
            let _ = SigningRequest::from_pem(&bytes);
        }
    }
}
