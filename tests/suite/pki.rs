//! The PKI, judged by golden outputs of kubeadm, by OpenSSL and by a real etcd.

mod adopt;
mod etcd;
mod fixture;
mod foreign;
mod golden;
mod openssl;
mod requests;
