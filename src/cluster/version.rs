//! Kubernetes versions and what belongs to each.

use std::fmt;
use std::str::FromStr;

/// A Kubernetes version; prints with its leading `v`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubeVersion(pub semver::Version);

/// The version that is installed when the operator names none: the newest whose downloads can be judged.
pub const DEFAULT: &str = "v1.36.4";
/// The oldest control plane that this release sets up.
pub const OLDEST_MINOR: u64 = 35;
/// The newest minor version that this release knows.
pub const NEWEST_MINOR: u64 = 36;

impl KubeVersion {
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The image tag: characters that a tag cannot hold become `_`.
    pub fn image_tag(&self) -> String {
        self.to_string()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect()
    }
}

impl FromStr for KubeVersion {
    type Err = semver::Error;

    fn from_str(text: &str) -> Result<Self, semver::Error> {
        semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).map(Self)
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}
