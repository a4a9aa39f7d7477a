//! How a cluster is: what was found, and what of it is not well. Plain data; nobody is asked here.
//!
//! The JSON and YAML forms are a promise: one object with `"schema": 1`. Fields may be added within a schema; one that
//! changes its meaning or goes away raises the number. What could not be asked is `null`, with why beside it.

mod judge;
mod text;

pub use judge::CERTIFICATE_DAYS;

use serde::Serialize;
use serde_json::Value;

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

/// A whole cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: u32,
    pub cluster: String,
    /// Whether nothing is listed in `findings`.
    pub healthy: bool,
    /// What wants attention, worst first by place: the API, nodes, etcd, the endpoint, hosts.
    pub findings: Vec<String>,
    /// Why the API could not be asked.
    pub api_trouble: Option<String>,
    pub nodes: Vec<NodeRow>,
    /// `None` where somebody else runs etcd.
    pub etcd: Option<EtcdStatus>,
    /// `None` without an endpoint of its own.
    pub endpoint: Option<EndpointStatus>,
    pub hosts: Vec<HostRow>,
    /// How many API objects `apply` would change; `None` when that was not asked.
    pub api_drift: Option<usize>,
    /// Why it could not be found out what `apply` would change.
    pub drift_trouble: Option<String>,
}

/// A Node object, or a host of the file that has none.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own for programs")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRow {
    pub name: String,
    pub in_file: bool,
    pub registered: bool,
    pub ready: bool,
    pub cordoned: bool,
    pub version: String,
    pub roles: Vec<String>,
    pub age_seconds: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdStatus {
    /// Why its members could not be asked for.
    pub trouble: Option<String>,
    pub members: Vec<MemberRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRow {
    pub name: String,
    /// Hexadecimal, as `etcdctl` has it.
    pub id: String,
    pub peer_url: String,
    pub healthy: bool,
    pub leader: bool,
    pub learner: bool,
    pub version: String,
    /// Bytes.
    pub db_size: Option<u64>,
    /// Alarms, or why it does not answer.
    pub errors: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// `host:port`.
    pub address: String,
    pub provider: String,
    /// The addresses that move between hosts.
    pub virtual_addresses: Vec<String>,
    /// The hosts that have one of them.
    pub holders: Vec<String>,
    /// From which host it was tried.
    pub tried_from: Option<String>,
    /// Why the API does not answer there; `None` when it does, or nobody could try.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostRow {
    pub name: String,
    pub address: String,
    pub control_plane: bool,
    /// Why it cannot be asked.
    pub trouble: Option<String>,
    /// What runs there: the kubelet, static pods, HAProxy and keepalived.
    pub components: Vec<Component>,
    /// The certificate that expires first.
    pub certificate: Option<Certificate>,
    /// What stands in the lock of a run that works on the host, or worked on it and died.
    pub lock: Option<Value>,
    /// How many things `apply` would change there; `None` when that was not asked.
    pub drift: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    pub name: String,
    /// What is wrong; `None` when it is well.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    pub name: String,
    /// RFC 3339.
    pub expires: String,
    pub days_left: i64,
}
