//! Kubernetes documents as values: static pods, component configurations, API objects.
//!
//! All of it is pure: a [`Cluster`](crate::cluster::Cluster), a node and facts go in, documents come out, and what
//! is secret is a hole in them. With `layout: kubeadm` they are what kubeadm v1.36.2 writes; [`differences`] lists
//! what five chains change.

pub mod args;
pub mod containerd;
mod difference;
pub mod images;
pub mod join_command;
pub mod kubelet;
pub mod merge;
pub mod objects;
pub mod patch;
pub mod serving_request;
pub mod static_pod;
pub mod token;
pub mod toml;
pub mod yaml;

pub use difference::Change;
pub use difference::Difference;
pub use difference::Only;
pub use difference::differences;

use crate::kube::patch::PatchError;
use crate::template::TemplateError;

/// A document that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error(transparent)]
    Patch(#[from] PatchError),
    #[error(transparent)]
    Template(#[from] TemplateError),
}
