//! Every certificate and key of a cluster, loaded or made, given out as bytes.

use super::Ca;
use super::CertName;
use super::Part;
use super::certificate::Certificate;
use super::decide::Decision;
use super::decide::Decisions;
use super::decide::Id;
use super::finding::Finding;
use super::key;
use super::key::KeyError;
use super::key::PrivateKey;
use super::kubeconfig;
use super::kubeconfig::Credential;
use super::kubeconfig::Kubeconfig;
use super::material::Material;
use super::material::SecretBytes;
use super::mint;
use super::mint::Issuer;
use super::mint::MintError;
use super::mint::Validity;
use super::pin;
use super::random::Random;
use super::spec;
use super::spec::CertSpec;
use crate::cluster::GoDuration;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::KeyAlgorithm;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::JoiningManifest;
use crate::plan::KubeconfigSpec;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long an authority lasts unless the configuration says otherwise.
const CA_VALIDITY: GoDuration = GoDuration::from_hours(87_600);
const LEAF_VALIDITY: GoDuration = GoDuration::from_hours(8_760);

/// How new certificates are made.
#[derive(Debug, Clone, Copy)]
pub struct Minting {
    /// The instant the process started; every certificate of one run counts from it.
    pub now: OffsetDateTime,
    pub algorithm: KeyAlgorithm,
    pub ca_validity: GoDuration,
    pub leaf_validity: GoDuration,
}

/// The identities of a cluster. It prints as the list of what it holds.
#[derive(Default)]
pub struct Bundle {
    entries: BTreeMap<Id, Material>,
    minted: BTreeSet<Id>,
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("existing certificates and keys cannot be used:\n{}", lines(.0))]
    Problems(Vec<Finding>),
    #[error("cannot make {name}: the key of its authority {} is not here", CertName::Ca(*.ca))]
    NoIssuer { name: CertName, ca: Ca },
    #[error("nothing was decided about {name} of `{node}`")]
    Undecided { node: String, name: CertName },
    #[error("cannot make {name}: {source}")]
    Mint { name: CertName, source: MintError },
    #[error("what a joining host is handed is no part of the cluster's own PKI")]
    Foreign,
    #[error("there is no {part:?} of {name} of `{node}`")]
    Missing { node: String, name: CertName, part: Part },
}

impl Minting {
    /// As the configuration has it, with kubeadm's defaults.
    pub fn new(configuration: &ClusterConfiguration, now: OffsetDateTime) -> Self {
        Self {
            now,
            algorithm: key::effective_algorithm(configuration),
            ca_validity: configuration.ca_certificate_validity_period.unwrap_or(CA_VALIDITY),
            leaf_validity: configuration.certificate_validity_period.unwrap_or(LEAF_VALIDITY),
        }
    }

    /// From a little before now, for so long.
    pub(super) fn validity(&self, period: GoDuration) -> Validity {
        let period = Duration::nanoseconds(period.as_nanos());
        let not_after = self
            .now
            .checked_add(period)
            .unwrap_or(OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT));
        Validity { not_before: self.now - mint::BACKDATE, not_after }
    }
}

impl Bundle {
    /// Makes what the decisions leave to be made, and takes over what exists. Keys are made on all
    /// processors.
    ///
    /// # Errors
    /// The decisions hold problems, or an authority that must sign has no key.
    pub fn complete(
        specs: &[CertSpec],
        decisions: Decisions,
        minting: &Minting,
        random: &mut dyn Random,
    ) -> Result<Self, BundleError> {
        if !decisions.problems.is_empty() {
            return Err(BundleError::Problems(decisions.problems));
        }
        let mut bundle = Self::default();
        let mut wanted: Vec<&CertSpec> = Vec::new();
        for spec in specs {
            match decisions.get(&spec.node, spec.name) {
                Some(Decision::Mint) => wanted.push(spec),
                Some(_) => {}
                None => return Err(BundleError::Undecided { node: spec.node.clone(), name: spec.name }),
            }
        }
        for (id, decision) in decisions.by_id {
            if let Decision::Existing(material) | Decision::External(material) = decision {
                bundle.entries.insert(id, material);
            }
        }
        // Authorities first: the others need them.
        wanted.sort_by_key(|spec| spec.signer.is_some());
        let keys = generate(minting.algorithm, wanted.len());
        for (spec, key) in wanted.into_iter().zip(keys) {
            let failed = |source| BundleError::Mint { name: spec.name, source };
            let key = key.map_err(|error| failed(error.into()))?;
            bundle.mint(spec, key, minting, random)?;
        }
        Ok(bundle)
    }

    fn mint(
        &mut self,
        spec: &CertSpec,
        key: PrivateKey,
        minting: &Minting,
        random: &mut dyn Random,
    ) -> Result<(), BundleError> {
        let failed = |source| BundleError::Mint { name: spec.name, source };
        let certificate = match (spec.name, spec.signer) {
            (CertName::ServiceAccount, _) => None,
            (_, None) => {
                let validity = minting.validity(minting.ca_validity);
                let made = mint::authority(&spec.subject.common_name, &key, validity, random);
                Some(made.map_err(failed)?)
            }
            (name, Some(ca)) => {
                let issuer = self.issuer(ca).ok_or(BundleError::NoIssuer { name, ca })?;
                let mut validity = minting.validity(minting.leaf_validity);
                if name.is_kubeconfig() {
                    // kubeadm's client certificates begin with their authority.
                    validity.not_before = issuer.certificate.not_before();
                }
                let leaf = mint::Leaf {
                    subject: &spec.subject,
                    usages: spec.usages,
                    sans: &spec.sans,
                    validity,
                    public_key_info: &key.public_key_info(),
                };
                Some(mint::leaf(&leaf, issuer, random).map_err(failed)?)
            }
        };
        let id = (spec.node.clone(), spec.name);
        self.minted.insert(id.clone());
        self.entries.insert(id, minted(certificate, key));
        Ok(())
    }

    /// The authority and its key, for signing more.
    pub fn issuer(&self, ca: Ca) -> Option<Issuer<'_>> {
        let material = self.entry("", CertName::Ca(ca))?;
        Some(Issuer { certificate: material.certificate()?, key: material.key.as_deref()? })
    }

    /// An authority's certificate.
    pub fn authority(&self, ca: Ca) -> Option<&Certificate> {
        self.certificate("", CertName::Ca(ca))
    }

    /// The certificate of a node, parsed.
    pub fn certificate(&self, node: &str, name: CertName) -> Option<&Certificate> {
        self.entry(node, name)?.certificate()
    }

    /// Whether it was made in this run.
    pub fn is_new(&self, node: &str, name: CertName) -> bool {
        self.minted.contains(&id(node, name))
    }

    /// The bytes of a piece, where there is one: a file that exists as it is, a new one as it will be
    /// written.
    pub fn part(&self, node: &str, name: CertName, part: Part) -> Option<SecretBytes> {
        let material = self.entry(node, name)?;
        match part {
            Part::Certificate => material.certificate_file.clone(),
            Part::Key => material.key_file.clone(),
            Part::PublicKey => material.public_key_file.clone().or_else(|| {
                let key = material.key.as_ref()?;
                Some(key.public_pem().into_bytes().into())
            }),
            Part::Pair => material.pair_file.clone().or_else(|| {
                let certificates: String = material.certificates.iter().map(Certificate::pem).collect();
                let key = material.key.as_ref()?;
                material.certificate()?;
                Some(Zeroizing::new([certificates.as_bytes(), key.pem().as_bytes()].concat()))
            }),
        }
    }

    /// The bytes of a planned file.
    ///
    /// # Errors
    /// The bundle does not hold what the content names.
    pub fn resolve(&self, content: &Content) -> Result<SecretBytes, BundleError> {
        match content {
            Content::Text(text) | Content::Joining(JoiningManifest { text, .. }) => {
                Ok(Zeroizing::new(text.clone().into_bytes()))
            }
            Content::Pki { node, cert, part } => {
                self.part(node, *cert, *part).ok_or_else(|| missing(node, *cert, *part))
            }
            Content::Kubeconfig(spec) => self.kubeconfig(spec),
            Content::BootstrapKubeconfig { .. } | Content::Downloaded { .. } => Err(BundleError::Foreign),
        }
    }

    /// A kubeconfig: the existing file where it is kept, otherwise a new one.
    fn kubeconfig(&self, spec: &KubeconfigSpec) -> Result<SecretBytes, BundleError> {
        let name = match &spec.client {
            ClientCredential::Embedded(name) => *name,
            ClientCredential::File(_) => CertName::KubeletClient,
        };
        let material = self.entry(&spec.node, name);
        if let Some(file) = material.and_then(|material| material.kubeconfig_file.as_ref())
            && keeps(file, &spec.client)
        {
            return Ok(file.clone());
        }
        let certificate;
        let credential = match &spec.client {
            ClientCredential::File(path) => Credential::File(path),
            ClientCredential::Embedded(name) => {
                let material = material.ok_or_else(|| missing(&spec.node, *name, Part::Certificate))?;
                certificate = material.certificates.iter().map(Certificate::pem).collect::<String>();
                let key = material.key.as_ref().ok_or_else(|| missing(&spec.node, *name, Part::Key))?;
                Credential::Data { certificate: certificate.as_bytes(), key: key.pem().as_bytes() }
            }
        };
        let authority = self.authority_text()?;
        let kubeconfig = Kubeconfig {
            cluster_name: &spec.cluster_name,
            server: &spec.server,
            authority: Some(&authority),
            user: &spec.user,
            credential,
        };
        Ok(Zeroizing::new(kubeconfig.render().as_bytes().to_vec()))
    }

    /// The `cluster-info` kubeconfig.
    ///
    /// # Errors
    /// There is no kubernetes authority.
    pub fn cluster_info(&self, server: &str) -> Result<String, BundleError> {
        Ok(kubeconfig::cluster_info(server, &self.authority_text()?))
    }

    /// What a joining node recognises the cluster by: the pin of the authority in its kubeconfigs.
    pub fn pins(&self) -> Vec<String> {
        self.authority(Ca::Kubernetes).map(pin::pin).into_iter().collect()
    }

    /// The kubernetes authority as kubeconfigs embed it: the first certificate of its file.
    pub fn authority_text(&self) -> Result<String, BundleError> {
        let name = CertName::Ca(Ca::Kubernetes);
        let authority = self.authority(Ca::Kubernetes).ok_or_else(|| missing("", name, Part::Certificate))?;
        Ok(authority.pem())
    }

    fn entry(&self, node: &str, name: CertName) -> Option<&Material> {
        self.entries.get(&id(node, name))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

/// Makes keys on all processors; RSA takes its time, and how long is luck, so each worker takes the next one.
pub fn generate(algorithm: KeyAlgorithm, count: usize) -> Vec<Result<PrivateKey, KeyError>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(count);
    let is_rsa = !matches!(algorithm, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384);
    if workers < 2 || !is_rsa {
        return (0..count).map(|_| PrivateKey::generate(algorithm)).collect();
    }
    let taken = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            made.push(PrivateKey::generate(algorithm));
        }
        made
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("making a key does not panic")).collect()
    })
}

/// Whether an existing kubeconfig stays as it is. One that embeds its certificate gives way to one that points to a
/// file; the other way round it stays, for the kubelet has taken over.
fn keeps(file: &[u8], client: &ClientCredential) -> bool {
    match client {
        ClientCredential::Embedded(_) => true,
        ClientCredential::File(path) => {
            kubeconfig::parse(file).is_ok_and(|parsed| parsed.client_certificate_file == *path)
        }
    }
}

fn minted(certificate: Option<Certificate>, key: PrivateKey) -> Material {
    Material {
        certificate_file: certificate.as_ref().map(|it| it.pem().into_bytes().into()),
        key_file: Some(key.pem().as_bytes().to_vec().into()),
        certificates: certificate.into_iter().collect(),
        key: Some(Arc::new(key)),
        ..Material::default()
    }
}

fn id(node: &str, name: CertName) -> Id {
    (if spec::is_shared(name) { String::new() } else { node.to_owned() }, name)
}

fn missing(node: &str, name: CertName, part: Part) -> BundleError {
    BundleError::Missing { node: node.to_owned(), name, part }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_keys_as_asked_for_and_all_different() {
        for (algorithm, count) in [
            (KeyAlgorithm::Rsa2048, 0),
            (KeyAlgorithm::Rsa2048, 1),
            (KeyAlgorithm::Rsa2048, 5),
            (KeyAlgorithm::EcdsaP256, 5),
        ] {
            let keys: BTreeSet<Vec<u8>> =
                generate(algorithm, count).into_iter().map(|key| key.unwrap().public_key_info()).collect();
            assert_eq!(keys.len(), count, "{algorithm:?}");
        }
    }

    #[test]
    fn an_endless_validity_ends_with_the_calendar() {
        let configuration = ClusterConfiguration {
            ca_certificate_validity_period: Some(GoDuration::from_hours(24 * 365 * 290)),
            ..ClusterConfiguration::default()
        };
        let minting = Minting::new(&configuration, time::macros::datetime!(9900-01-01 0:00 UTC));
        assert_eq!(minting.validity(minting.ca_validity).not_after.year(), 9999);
        let year = minting.validity(minting.leaf_validity);
        assert_eq!(year.not_after - year.not_before, Duration::hours(8760) + Duration::minutes(5));
    }
}
