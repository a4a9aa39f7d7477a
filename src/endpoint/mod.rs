//! The endpoint put to the test: what is failed and how it mends itself, how is looked meanwhile, and what was seen,
//! judged. Plain data and pure functions; `cli::endpoint` carries it out.
//!
//! All times are milliseconds since the test began, by the clock of the machine that it runs on: those of hosts need
//! not agree.

pub mod failure;
mod holders;
mod judge;
pub mod measure;
mod text;

pub use failure::Failure;
pub use failure::Part;
pub use holders::Overlap;
pub use holders::Span;
pub use judge::Terms;

use serde::Serialize;
use std::collections::BTreeSet;

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

/// All that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    pub requests: Vec<Request>,
    pub looks: Vec<Look>,
    /// Who could not measure or be looked at for a while, and why.
    pub troubles: BTreeSet<String>,
}

/// One request to the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The machine that asked.
    pub from: String,
    pub sent: u64,
    pub ended: u64,
    /// Why there was no answer; `None` when there was.
    pub trouble: Option<String>,
}

/// Whether a host had the virtual address at some moment between these two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub host: String,
    pub asked: u64,
    pub told: u64,
    pub holds: bool,
}

/// A part of the test: something is failed, or nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stage {
    pub part: Option<Part>,
    /// Where.
    pub host: Option<String>,
    /// "keepalived stopped".
    pub what: String,
    pub begun: u64,
    /// When that was asked for.
    pub failed: Option<u64>,
    pub mended: Option<u64>,
    pub ended: u64,
    /// Only requests of this machine count.
    pub seen_by: Option<String>,
}

/// What came of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `null` where nothing was failed.
    pub failed: Option<Part>,
    pub host: Option<String>,
    pub what: String,
    /// The longest time between two answers, at the machine that saw the longest.
    pub gap_ms: u64,
    pub requests: usize,
    pub lost: usize,
    pub holder_before: Option<String>,
    /// Just before it was mended.
    pub holder_after: Option<String>,
    /// From the failure until another host had the address.
    pub moved_after_ms: Option<u64>,
    /// From the mending until the host before had the address again; `null` where it stayed.
    pub came_back_after_ms: Option<u64>,
    /// How often a host took the address.
    pub moves: usize,
    pub two_holders: Vec<Overlap>,
}

/// The whole test. The JSON form is a promise, as that of `status` is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: u32,
    pub cluster: String,
    /// `host:port`.
    pub endpoint: String,
    pub provider: String,
    /// Whether nothing is listed in `findings`.
    pub healthy: bool,
    pub findings: Vec<String>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    pub interrupted: bool,
    pub measured_from: Vec<String>,
    pub interval_ms: u64,
    pub observe_ms: u64,
    pub max_gap_ms: u64,
    pub stages: Vec<Row>,
    /// Who had the address, and when.
    pub holders: Vec<Span>,
}
