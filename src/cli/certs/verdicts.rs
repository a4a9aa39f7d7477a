//! What is said of signing requests: as a table, or as JSON.

use crate::kube::serving_request::Judgement;
use crate::pki::columns::aligned;
use clap::ValueEnum;
use serde_json::json;

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub name: String,
    pub said: Said,
    signer: String,
    requestor: String,
    node: Option<String>,
    asked: Vec<String>,
    reasons: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Approved,
    ApprovedBefore,
    WouldApprove,
    Refused,
    Denied,
    DeniedBefore,
    WouldDeny,
    LeftAlone,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Face {
    #[default]
    Text,
    Json,
}

impl Said {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::ApprovedBefore => "approved before",
            Self::WouldApprove => "would be approved",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::DeniedBefore => "denied before",
            Self::WouldDeny => "would be denied",
            Self::LeftAlone => "left alone",
        }
    }

    pub(super) fn is_approval(self) -> bool {
        matches!(self, Self::Approved | Self::ApprovedBefore | Self::WouldApprove)
    }

    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Denied | Self::DeniedBefore | Self::WouldDeny)
    }
}

impl Row {
    pub(super) fn new(judgement: Judgement, said: Said, reasons: Vec<String>) -> Self {
        let Judgement { name, signer, requestor, node, asked, .. } = judgement;
        Self { name, said, signer, requestor, node, asked, reasons }
    }

    fn cells(&self) -> Vec<String> {
        let verdict = self.said.as_str();
        let verdict = if self.reasons.is_empty() {
            verdict.to_owned()
        } else {
            format!("{verdict}: {}", self.reasons.join("; "))
        };
        let node = self.node.as_deref().unwrap_or(&self.requestor);
        [self.name.as_str(), node, &self.asked.join(","), &verdict].map(cell).to_vec()
    }

    fn json(&self) -> String {
        let value = json!({
            "name": self.name,
            "signer": self.signer,
            "requestor": self.requestor,
            "node": self.node,
            "asksFor": self.asked,
            "verdict": self.said.as_str(),
            "reasons": self.reasons,
        });
        format!("{value}\n")
    }
}

/// A stranger's words on a terminal: control characters would be commands to it.
fn cell(text: &str) -> String {
    if text.is_empty() {
        return "<none>".to_owned();
    }
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

impl Face {
    /// The rows; the header goes above the first ones.
    pub(super) fn render(self, rows: &[Row], first: bool) -> String {
        if self == Self::Json {
            return rows.iter().map(Row::json).collect();
        }
        let header = ["REQUEST", "NODE", "ASKS FOR", "VERDICT"].map(str::to_owned).to_vec();
        let mut table: Vec<Vec<String>> = if first { vec![header] } else { Vec::new() };
        table.extend(rows.iter().map(Row::cells));
        aligned(&table)
    }
}
