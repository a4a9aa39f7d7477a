//! The PKI, judged by golden outputs of kubeadm, by OpenSSL and by a real etcd.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod adopt;
mod etcd;
mod etcd_grows;
mod etcd_members;
pub(crate) mod fixture;
mod foreign;
mod golden;
mod openssl;
mod real_etcd;
mod renew;
mod requests;
mod shared;
mod table;
