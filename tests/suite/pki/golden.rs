//! In kubeadm's layout, every field of every certificate is kubeadm's.
#![expect(clippy::disallowed_methods, reason = "golden files are read from the disk")]

use super::fixture;
use crate::skip::skip;
use kubewright::cluster::Cluster;
use kubewright::pki::Bundle;
use kubewright::pki::CertName;
use kubewright::pki::CertSpec;
use kubewright::pki::Part;
use kubewright::pki::spec;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::GeneralName;
use x509_parser::prelude::ParsedExtension;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

const CASES: [&str; 6] =
    ["single-node", "ha-controlplaneendpoint", "external-etcd", "dual-stack", "ipv6", "extra-args"];

#[test]
fn certificates_equal_kubeadms() {
    let Some(golden) = fixture::golden_directory() else {
        skip(
            "certificates_equal_kubeadms",
            "no golden outputs of kubeadm here; KUBEWRIGHT_GOLDEN names their directory",
        );
        return;
    };
    for case in CASES {
        let cluster = fixture::golden_cluster(&golden, case);
        let bundle = fixture::mint(&cluster);
        let expected = sections(&fs::read_to_string(golden.join(case).join("certs.txt")).unwrap());
        let found = sections(&dump(&cluster, &bundle));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
        for (name, text) in &expected {
            assert_eq!(&found[name], text, "{case}: {name}");
        }
    }
}

#[test]
fn kubeconfigs_equal_kubeadms() {
    let Some(golden) = fixture::golden_directory() else {
        skip(
            "kubeconfigs_equal_kubeadms",
            "no golden outputs of kubeadm here; KUBEWRIGHT_GOLDEN names their directory",
        );
        return;
    };
    for case in CASES {
        let mut cluster = fixture::golden_cluster(&golden, case);
        cluster.configuration.encryption_algorithm = kubewright::cluster::kubeadm::KeyAlgorithm::EcdsaP256;
        let bundle = fixture::mint(&cluster);
        for spec in spec::all_specs(&cluster).iter().filter(|spec| spec.name.is_kubeconfig()) {
            let path = golden.join(case).join("kubeconfigs").join(spec.name.base());
            let expected = fs::read_to_string(&path).unwrap();
            let found = bundle.resolve(&fixture::kubeconfig(&cluster, spec)).unwrap();
            assert_eq!(masked(std::str::from_utf8(&found).unwrap()), expected, "{}", path.display());
        }
    }
}

/// Replaces embedded data by the placeholders of the golden files.
fn masked(text: &str) -> String {
    let mask = |line: &str| match line.split_once("-data: ") {
        Some((key, _)) => format!("{key}-data: <{}_DATA>\n", key.trim().to_uppercase().replace('-', "_")),
        None => format!("{line}\n"),
    };
    text.lines().map(mask).collect()
}

/// The blocks of a dump by their first word, without file modes, which are not the PKI's to decide.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    for block in text.trim().split("\n\n").flat_map(|block| split_keys(block.trim())) {
        let words = block.split(' ').filter(|word| !word.starts_with("mode=") && !word.is_empty());
        let name = block.split(' ').next().unwrap().to_owned();
        sections.insert(name, words.collect::<Vec<_>>().join(" "));
    }
    sections
}

/// The two lines about the service-account key stand together.
fn split_keys(block: &str) -> Vec<&str> {
    if block.starts_with("sa.key") { block.lines().collect() } else { vec![block] }
}

/// Describes a PKI in the words of the golden files.
fn dump(cluster: &Cluster, bundle: &Bundle) -> String {
    spec::all_specs(cluster).iter().map(|spec| describe(bundle, spec) + "\n\n").collect()
}

fn describe(bundle: &Bundle, spec: &CertSpec) -> String {
    let part = |part| {
        bundle.part(&spec.node, spec.name, part).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    let tag = |text: &str| text.trim_start_matches("-----BEGIN ").split("-----").next().unwrap().to_owned();
    let key = tag(&part(Part::Key).unwrap());
    let base = spec.name.base();
    if spec.name == CertName::ServiceAccount {
        return format!(
            "sa.key pemType=\"{key}\"\nsa.pub pemType=\"{}\"",
            tag(&part(Part::PublicKey).unwrap())
        );
    }
    let pem = part(Part::Certificate).unwrap();
    let mut text = if spec.name.is_kubeconfig() {
        format!("{base} (embedded client certificate) file keyPemType=\"{key}\"\n")
    } else {
        let key_name = base.rsplit('/').next().unwrap();
        let directory = base.strip_suffix(key_name).unwrap();
        let blocks = pem.matches("BEGIN CERTIFICATE").count();
        format!("{base}.crt pemBlocks={blocks} key: {directory}{key_name}.key pemType=\"{key}\"\n")
    };
    let block = pem::parse(&pem).unwrap();
    let (_, certificate) = X509Certificate::from_der(block.contents()).unwrap();
    fields(&mut text, &certificate);
    let span = certificate.validity().not_after.timestamp() - certificate.validity().not_before.timestamp();
    if spec.name.is_kubeconfig() {
        let authority = bundle.authority(spec.signer.unwrap()).unwrap();
        let same = certificate.validity().not_before.to_datetime() == authority.not_before();
        writeln!(text, "  notBefore equals CA notBefore: {same}").unwrap();
        write!(text, "  validitySeconds: NotAfter = process start + certificateValidityPeriod; NotBefore = CA NotBefore")
            .unwrap();
    } else {
        write!(text, "  validitySeconds (NotAfter-NotBefore): {span}").unwrap();
    }
    text
}

fn fields(text: &mut String, certificate: &X509Certificate<'_>) {
    let key = match certificate.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => format!("RSA {} (e={})", key.key_size(), key.try_exponent().unwrap()),
        PublicKey::EC(point) => format!("EC secp{}r1", point.key_size()),
        other => format!("{other:?}"),
    };
    let signature = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        _ => "another",
    };
    writeln!(text, "  subject: {}", certificate.subject()).unwrap();
    writeln!(text, "  issuer: {}", certificate.issuer()).unwrap();
    writeln!(text, "  publicKey: {key}").unwrap();
    writeln!(text, "  signatureAlgorithm: {signature}").unwrap();
    writeln!(text, "  version: {}", certificate.version().to_string().to_lowercase()).unwrap();
    let small =
        certificate.tbs_certificate.serial.bits() <= 63 && certificate.tbs_certificate.serial.bits() > 0;
    writeln!(text, "  serialBits<=63: {small}").unwrap();
    for extension in certificate.extensions() {
        let critical = if extension.critical { " (critical)" } else { "" };
        let (name, value) = extension_text(extension.parsed_extension());
        writeln!(text, "  ext {name}{critical}: {value}").unwrap();
    }
}

fn extension_text(extension: &ParsedExtension<'_>) -> (&'static str, String) {
    let chosen = |list: &[(bool, &str)]| {
        list.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>().join(", ")
    };
    match extension {
        ParsedExtension::KeyUsage(usage) => {
            let list = [
                (usage.digital_signature(), "digital_signature"),
                (usage.key_encipherment(), "key_encipherment"),
                (usage.key_cert_sign(), "key_cert_sign"),
                (usage.crl_sign(), "crl_sign"),
            ];
            ("keyUsage", chosen(&list))
        }
        ParsedExtension::ExtendedKeyUsage(usage) => {
            let list =
                [(usage.any, "any"), (usage.server_auth, "serverAuth"), (usage.client_auth, "clientAuth")];
            ("extendedKeyUsage", chosen(&list))
        }
        ParsedExtension::BasicConstraints(it) => {
            let ca = if it.ca { "TRUE" } else { "FALSE" };
            ("basicConstraints", format!("CA={ca}, pathLen={:?}", it.path_len_constraint))
        }
        ParsedExtension::SubjectKeyIdentifier(id) => {
            ("subjectKeyIdentifier", format!("{} bytes", id.0.len()))
        }
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            let only = id.key_identifier.is_some()
                && id.authority_cert_issuer.is_none()
                && id.authority_cert_serial.is_none();
            ("authorityKeyIdentifier", if only { "keyid only".to_owned() } else { "more".to_owned() })
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            let name = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => format!("DNS:{name}"),
                GeneralName::IPAddress(bytes) => match bytes.len() {
                    4 => format!("IP:{}", std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).unwrap())),
                    _ => format!("IP:{}", std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).unwrap())),
                },
                other => format!("{other:?}"),
            };
            ("subjectAltName", names.general_names.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        other => ("other", format!("{other:?}")),
    }
}
