//! One test binary; every file of this folder is one of its modules.

mod documents;
mod kubeadm_parity;
mod patches;
mod support;
mod yaml_text;
