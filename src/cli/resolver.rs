//! From what a plan names to bytes: certificates, kubeconfigs, tokens, encrypted files.

use crate::apply::Resolve;
use crate::cli::artifacts;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Secret;
use crate::discovery::Found;
use crate::host::Host;
use crate::pki::Bundle;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Minting;
use crate::pki::Part;
use crate::pki::jws;
use crate::pki::material::SecretBytes;
use crate::pki::random::SystemRandom;
use crate::pki::seal;
use crate::pki::serving::Server;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Supply;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// What a dry run shows in the place of something that is only made when the plan is carried out.
pub(super) const NOT_MADE_YET: &str = "<made when the plan is carried out>\n";

/// What the cluster hands to a host that joins it. It holds keys, so it does not print.
pub(super) struct Handed {
    pub found: Found,
    pub cluster_name: String,
    /// Files by path.
    pub files: BTreeMap<String, SecretBytes>,
}

impl Handed {
    fn bootstrap_kubeconfig(&self, server: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self.found.bootstrap_kubeconfig(&self.cluster_name, Some(server))?.to_vec())
    }

    fn file(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let file = self.files.get(path);
        Ok(file.with_context(|| format!("the cluster has no {path}"))?.to_vec())
    }
}

/// Resolves the references of a plan.
pub(super) struct Resolver<'a> {
    pub bundle: Arc<Bundle>,
    /// The secret parts of tokens, by id.
    pub tokens: BTreeMap<String, Secret>,
    pub certificate_key: Option<Secret>,
    pub host: &'a dyn Host,
    /// What a joining host was handed.
    pub handed: Option<&'a Handed>,
    /// How certificates are made that belong to objects.
    pub minting: Minting,
    /// Nothing is minted; what does not exist stands as [`NOT_MADE_YET`].
    pub dry_run: bool,
}

impl<'a> Resolver<'a> {
    /// A resolver for a cluster's tokens and certificate key; `ttl_token` limits the life of uploaded certificates.
    pub(super) fn new(
        cluster: &Cluster,
        bundle: Arc<Bundle>,
        ttl_token: (String, Secret),
        host: &'a dyn Host,
        dry_run: bool,
    ) -> Self {
        let tokens = cluster.tokens.iter().map(|token| (token.id.clone(), token.secret.clone()));
        Self {
            bundle,
            tokens: tokens.chain([ttl_token]).collect(),
            certificate_key: cluster.certificate_key.clone(),
            host,
            handed: None,
            minting: Minting::new(&cluster.configuration, System.now()),
            dry_run,
        }
    }

    fn handed(&self) -> anyhow::Result<&Handed> {
        self.handed.context("this host does not join a cluster")
    }

    fn token(&self, id: &str) -> anyhow::Result<&Secret> {
        self.tokens.get(id).with_context(|| format!("there is no token {id}"))
    }

    fn encrypted(&self, plain: &[u8]) -> anyhow::Result<String> {
        let key = self.certificate_key.as_ref().context("there is no certificate key to encrypt with")?;
        Ok(STANDARD.encode(seal::seal(key, plain, &mut SystemRandom)?))
    }

    /// The certificates of an authority, as its file has them.
    fn authority(&self, ca: Ca) -> anyhow::Result<Vec<u8>> {
        let name = CertName::Ca(ca);
        let file = self.bundle.part("", name, Part::Certificate);
        Ok(file.with_context(|| format!("there is no certificate of {name}"))?.to_vec())
    }

    fn serving(&self, ca: Ca, server: Server<'_>) -> anyhow::Result<String> {
        let name = CertName::Ca(ca);
        let issuer = self.bundle.issuer(ca).with_context(|| format!("the key of {name} is not here"))?;
        let pair = server.mint(issuer, self.minting.algorithm, self.minting.now, &mut SystemRandom)?;
        Ok(STANDARD.encode(&*pair))
    }

    /// An authority without its key is stored with an empty key, as kubeadm stores it.
    fn file_of(&self, node: &str, cert: CertName, part: Part) -> Vec<u8> {
        self.bundle.part(node, cert, part).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }
}

impl Resolve for Resolver<'_> {
    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        match content {
            Content::BootstrapKubeconfig { server } => return self.handed()?.bootstrap_kubeconfig(server),
            Content::Downloaded { path } => return self.handed()?.file(path),
            _ => {}
        }
        match self.bundle.resolve(content) {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(_) if self.dry_run => Ok(NOT_MADE_YET.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        match fill {
            Fill::TokenSecret(id) => Ok(Some(STANDARD.encode(self.token(id)?.expose()))),
            Fill::ClusterInfo { server } => match self.bundle.cluster_info(server) {
                Ok(text) => Ok(Some(text)),
                Err(_) if self.dry_run => Ok(Some(NOT_MADE_YET.to_owned())),
                Err(error) => Err(error.into()),
            },
            Fill::Signature { server, token } => match self.bundle.cluster_info(server) {
                Ok(text) => Ok(Some(jws::detached(text.as_bytes(), token, self.token(token)?))),
                Err(_) if self.dry_run => Ok(Some(NOT_MADE_YET.to_owned())),
                Err(error) => Err(error.into()),
            },
            Fill::Encrypted { .. } | Fill::EncryptedFile { .. } if self.dry_run => {
                Ok(Some(STANDARD.encode(NOT_MADE_YET)))
            }
            Fill::Encrypted { node, cert, part } => {
                self.encrypted(&self.file_of(node, *cert, *part)).map(Some)
            }
            Fill::EncryptedFile { path } => {
                let entry = self.host.read(path)?;
                let content = entry.as_ref().and_then(|entry| entry.content()).unwrap_or_default();
                self.encrypted(content).map(Some)
            }
            Fill::Serving { .. } if self.dry_run => Ok(Some(STANDARD.encode(NOT_MADE_YET))),
            Fill::Serving { ca, common_name, names } => {
                self.serving(*ca, Server { common_name, names }).map(Some)
            }
            Fill::Authority { ca, encoded } => {
                let text = match self.authority(*ca) {
                    Err(_) if self.dry_run => NOT_MADE_YET.into(),
                    text => text?,
                };
                Ok(Some(if *encoded { STANDARD.encode(text) } else { String::from_utf8(text)? }))
            }
            Fill::Expiration(_) | Fill::UidOf(_) => Ok(None),
        }
    }

    fn supply(&self, supply: &Supply) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
        artifacts::supply(supply)
    }

    fn is_current(&self, fill: &Fill, live: &str) -> anyhow::Result<Option<bool>> {
        let plain = match fill {
            Fill::Serving { ca, common_name, names } => {
                let Some(authority) = self.bundle.authority(*ca) else { return Ok(None) };
                let Ok(pair) = STANDARD.decode(live) else { return Ok(Some(false)) };
                let server = Server { common_name, names };
                return Ok(Some(server.is_served_by(&pair, authority, self.minting.now)));
            }
            Fill::Encrypted { node, cert, part } => self.file_of(node, *cert, *part),
            _ => return Ok(None),
        };
        let Some(key) = &self.certificate_key else { return Ok(Some(false)) };
        let Ok(stored) = STANDARD.decode(live) else { return Ok(Some(false)) };
        Ok(Some(seal::unseal(key, &stored).is_ok_and(|bytes| *bytes == plain)))
    }
}

impl std::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}
