//! Kubernetes documents as values: static pods, kubeconfigs, component configurations, API objects.

pub mod yaml;
