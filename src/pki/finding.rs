//! What is wrong, or worth saying, about keys and certificates that exist.

use super::CertName;
use std::fmt;

/// A problem or a warning, with its mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub name: CertName,
    /// The host on which it was found; empty when it is not about one host.
    pub node: String,
    /// What is wrong and where; where kubeadm has a text for it, that text comes first.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.node.is_empty() {
            write!(f, "{}: ", self.node)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
