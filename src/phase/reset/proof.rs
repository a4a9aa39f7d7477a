//! What is left of a cluster, compared with how the host was.

use super::FORGET;
use super::Facts;
use super::PHASES;
use super::node;
use std::collections::BTreeSet;

/// The difference between a host and its state before the cluster. Two empty texts are two equal states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// One thing a line, as it was.
    pub was: String,
    pub is: String,
    /// What was seen and left alone, with the reason.
    pub left: Vec<String>,
}

impl Proof {
    /// Whether nothing of the cluster is left.
    pub fn holds(&self) -> bool {
        self.was.is_empty() && self.is.is_empty()
    }
}

/// Compares a host with its baseline. Without one, all that belongs to a cluster is a difference.
pub fn proof(facts: &Facts) -> Proof {
    let (mut was, mut is) = (BTreeSet::new(), BTreeSet::new());
    for (_, undo) in PHASES.iter().filter(|(name, _)| *name != FORGET) {
        for undo in undo(facts).into_iter().filter(|undo| undo.matters) {
            was.extend(undo.was);
            is.extend(undo.is);
        }
    }
    let text = |lines: BTreeSet<String>| lines.into_iter().map(|line| line + "\n").collect();
    Proof { was: text(was), is: text(is), left: node::left(facts) }
}
