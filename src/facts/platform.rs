//! Which distribution a host runs, and on which processor.

use serde::Deserialize;
use serde::Serialize;

/// What `/etc/os-release` and the kernel say; empty where nobody asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Platform {
    /// `debian`, `rocky`.
    pub id: String,
    /// `ID_LIKE`: `rhel centos fedora`.
    pub like: String,
    /// `VERSION_ID`: `12`, `24.04`.
    pub version: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: String,
    /// `uname -m`: `x86_64`.
    pub machine: String,
}

/// Distributions that are prepared alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Debian,
    RedHat,
    Suse,
}

impl Platform {
    /// `None` for a distribution whose packages nobody here knows.
    pub fn family(&self) -> Option<Family> {
        let is = |names: &[&str]| {
            std::iter::once(self.id.as_str())
                .chain(self.like.split_whitespace())
                .any(|word| names.contains(&word))
        };
        if is(&["debian", "ubuntu"]) {
            Some(Family::Debian)
        } else if is(&["rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"]) {
            Some(Family::RedHat)
        } else if is(&["suse", "opensuse", "sles"]) {
            Some(Family::Suse)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_belong_to_families() {
        for (id, like, family) in [
            ("debian", "", Some(Family::Debian)),
            ("linuxmint", "ubuntu debian", Some(Family::Debian)),
            ("rocky", "rhel centos fedora", Some(Family::RedHat)),
            ("fedora", "", Some(Family::RedHat)),
            ("opensuse-leap", "suse opensuse", Some(Family::Suse)),
            ("sles", "suse", Some(Family::Suse)),
            ("flatcar", "coreos", None),
            ("", "", None),
        ] {
            let platform = Platform { id: id.into(), like: like.into(), ..Platform::default() };
            assert_eq!(platform.family(), family, "{id}");
        }
    }
}
