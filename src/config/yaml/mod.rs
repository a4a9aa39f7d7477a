//! YAML (and so JSON) read into trees that remember where each node stands.
//!
//! Scalars mean what they mean to Go's `sigs.k8s.io/yaml`: YAML 1.1 booleans and octal numbers, merge keys,
//! quoted text always text.

pub mod node;
mod stream;
mod tree;

pub use node::Entry;
pub use node::Node;
pub use node::Value;
pub use stream::Document;
pub use stream::read;
pub use stream::read_manifests;
pub use stream::read_patches;

/// A configuration larger than this is refused; kubeadm's own objects are limited by etcd to about as much.
pub const MAX_BYTES: usize = 1 << 20;
/// Objects that others publish are larger: those with schemas of custom resources have megabytes.
pub const MAX_MANIFEST_BYTES: usize = 32 << 20;
/// How deep lists and mappings may nest.
pub const MAX_DEPTH: usize = 64;
/// How many nodes one document may have after its aliases are expanded.
pub const MAX_NODES: usize = 200_000;
