//! What several tests share.

pub(crate) mod documents;
pub(crate) mod golden;
pub(crate) mod kubeadm_input;
pub(crate) mod text;
