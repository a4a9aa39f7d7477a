//! The pod network put to the test: which pods ask whom, and what came of it, judged. Plain data and pure functions;
//! `cli::network` carries it out.

pub mod judge;
pub mod names;
pub mod pods;
pub mod questions;
mod text;

pub use judge::Expected;
pub use judge::Seen;
pub use pods::Pod;

use serde::Serialize;

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

/// One try, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// The node, or its pod, that asked.
    pub from: String,
    /// The node whose pod was asked; of a service, its name.
    pub to: String,
    pub address: String,
    /// `10080/tcp`, or `53/udp`.
    pub port: String,
    /// It came to what it should.
    pub ok: bool,
    /// `open`, `refused`, `silent`, or the reason in words.
    pub outcome: String,
}

/// The largest packet that reached a pod of another node, in bytes of a whole IP packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packet {
    pub from: String,
    pub to: String,
    /// `null` where none arrived.
    pub largest: Option<u32>,
}

/// The whole test. The JSON form is a promise, as that of `status` is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: u32,
    pub cluster: String,
    /// The provider of the file.
    pub network: String,
    /// Whether nothing is listed in `findings`.
    pub healthy: bool,
    pub findings: Vec<String>,
    /// What was left out, and what is so by nature.
    pub notes: Vec<String>,
    pub interrupted: bool,
    /// The nodes that took part.
    pub nodes: Vec<String>,
    pub pod_to_pod: Vec<Tried>,
    /// From control planes, whose API servers call webhooks and extension servers that are pods.
    pub host_to_pod: Vec<Tried>,
    pub service: Vec<Tried>,
    /// A question for the API's own name.
    pub dns: Vec<Tried>,
    /// Pods that a `NetworkPolicy` closes.
    pub policy: Vec<Tried>,
    pub packets: Vec<Packet>,
}
