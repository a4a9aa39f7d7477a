//! One problem of a configuration: where it is, what is wrong, and how to mend it.

use std::fmt;

/// Line and column, both counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub severity: Severity,
    /// The name of the file as the operator gave it; `command line` for a flag.
    pub file: String,
    pub at: Option<Position>,
    /// `ClusterConfiguration.networking.podSubnet`, or the flag; empty when the whole file is meant.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl Issue {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)?;
        if !self.path.is_empty() {
            write!(f, "\n  at {}", self.path)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that was found, in the order of the file. Holds at least one error when it is returned as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issues(pub Vec<Issue>);

impl Issues {
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Issue::is_error)
    }

    pub fn errors(&self) -> impl Iterator<Item = &Issue> {
        self.0.iter().filter(|issue| issue.is_error())
    }

    /// In the order of the file; what has no place comes last. Of equal ones, one stays.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by_key(|issue| issue.at.map_or((usize::MAX, usize::MAX), |at| (at.line, at.column)));
        let mut seen: Vec<Issue> = Vec::with_capacity(self.0.len());
        for issue in self.0 {
            if !seen.contains(&issue) {
                seen.push(issue);
            }
        }
        Self(seen)
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{issue}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_place_path_and_hint() {
        let issue = Issue {
            severity: Severity::Error,
            file: "cluster.yaml".to_owned(),
            at: Some(Position { line: 12, column: 5 }),
            path: "ClusterConfiguration.networking.podSubnet".to_owned(),
            message: "couldn't parse subnet".to_owned(),
            hint: Some("write it as 10.244.0.0/16".to_owned()),
        };
        assert_eq!(
            issue.to_string(),
            "cluster.yaml:12:5: error: couldn't parse subnet\n  at ClusterConfiguration.networking.podSubnet\n  \
             hint: write it as 10.244.0.0/16"
        );
    }
}
