//! Bootstrap tokens: `id.secret`, of which only the id is public.

use crate::cluster::duration::GoDuration;
use crate::cluster::secret::Secret;

pub const DEFAULT_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    /// Six characters of `a-z0-9`; part of the Secret's name, not secret.
    pub id: String,
    /// Sixteen characters of `a-z0-9`.
    pub secret: Secret,
    pub description: String,
    /// How long it lives from the moment it is written; zero means for ever.
    pub ttl: GoDuration,
    /// `signing`, `authentication`.
    pub usages: Vec<String>,
    pub groups: Vec<String>,
}
