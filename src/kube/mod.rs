//! Kubernetes documents as values: static pods, component configurations, API objects.

pub mod args;
pub mod images;
pub mod patch;
pub mod static_pod;
pub mod yaml;
