//! kubewright turns Linux hosts into a Kubernetes cluster.
//!
//! A [`cluster::Cluster`] says what is wanted, [`facts`] say what is, a [`plan::Plan`] says what will be done,
//! [`host`], [`api`] and [`etcd`] are the seams to the world, and [`report`] tells the operator.

pub mod ansible;
pub mod api;
pub mod apply;
pub mod artifact;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod cri;
pub mod discovery;
pub mod endpoint;
pub mod etcd;
pub mod facts;
pub mod fetch;
pub mod grpc;
pub mod host;
pub mod kube;
pub mod lab;
pub mod lock;
pub mod network;
pub mod phase;
pub mod pki;
pub mod plan;
pub mod preflight;
pub mod report;
pub mod review;
pub mod status;
pub mod template;
