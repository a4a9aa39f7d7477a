//! One test binary; every file of this folder is one of its modules.

mod bare_host;
mod cri;
mod documents;
mod facts;
mod kubeadm_parity;
mod patches;
mod pki;
mod preflight;
mod support;
mod yaml_text;
