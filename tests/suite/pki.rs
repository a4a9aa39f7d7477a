//! The PKI, judged by golden outputs of kubeadm, by OpenSSL and by a real etcd.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod adopt;
mod etcd;
pub(crate) mod fixture;
mod foreign;
mod golden;
mod openssl;
mod requests;
mod shared;
mod table;
