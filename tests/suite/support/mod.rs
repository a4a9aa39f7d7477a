//! What several tests share.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

pub(crate) mod documents;
pub(crate) mod golden;
pub(crate) mod kubeadm_input;
pub(crate) mod text;
