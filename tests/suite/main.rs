//! One test binary; every file of this folder is one of its modules.

mod kubeadm_parity;
mod support;
