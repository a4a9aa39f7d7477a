//! What the operator wants in the cluster beside what every cluster has.

use crate::cluster::cni::Manifest;

/// Objects under one name: they come together, and go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addon {
    /// A DNS label.
    pub name: String,
    pub manifests: Vec<Manifest>,
}
