//! The table of artifacts: URL, file, and what of it goes where.

use std::fmt;

/// An artifact by the name that configuration and lock files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Kubelet,
    Kubectl,
    Crictl,
    CniPlugins,
    Runc,
    Containerd,
    CriO,
    CriDockerd,
}

/// A processor architecture, in the words of Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    Amd64,
    Arm64,
}

/// What is taken out of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// The download is the program.
    File { path: &'static str },
    /// Programs directly in folders of a gzipped tar archive: folder inside, directory on the host.
    Trees(&'static [(&'static str, &'static str)]),
}

/// How a project publishes the checksums of its releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    /// The URL with this at its end.
    Suffix(&'static str),
    /// A file of this name beside it.
    Beside(&'static str),
    /// Not at all.
    Unpublished,
}

/// A row of the table. `{version}` and `{arch}` stand for themselves.
struct Row {
    name: Name,
    text: &'static str,
    url: &'static str,
    sums: Sums,
    unpack: Unpack,
}

const ROWS: [Row; 8] = [
    Row {
        name: Name::Kubelet,
        text: "kubelet",
        url: "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/kubelet",
        sums: Sums::Suffix(".sha256"),
        unpack: Unpack::File { path: "/usr/local/bin/kubelet" },
    },
    Row {
        name: Name::Kubectl,
        text: "kubectl",
        url: "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/kubectl",
        sums: Sums::Suffix(".sha256"),
        unpack: Unpack::File { path: "/usr/local/bin/kubectl" },
    },
    Row {
        name: Name::Crictl,
        text: "crictl",
        url: "https://github.com/kubernetes-sigs/cri-tools/releases/download/v{version}/crictl-v{version}-linux-{arch}.tar.gz",
        sums: Sums::Suffix(".sha256"),
        unpack: Unpack::Trees(&[(".", "/usr/local/bin")]),
    },
    Row {
        name: Name::CniPlugins,
        text: "cni-plugins",
        url: "https://github.com/containernetworking/plugins/releases/download/v{version}/cni-plugins-linux-{arch}-v{version}.tgz",
        sums: Sums::Suffix(".sha256"),
        unpack: Unpack::Trees(&[(".", "/opt/cni/bin")]),
    },
    Row {
        name: Name::Runc,
        text: "runc",
        url: "https://github.com/opencontainers/runc/releases/download/v{version}/runc.{arch}",
        sums: Sums::Beside("runc.sha256sum"),
        unpack: Unpack::File { path: "/usr/local/sbin/runc" },
    },
    Row {
        name: Name::Containerd,
        text: "containerd",
        // Linked statically, since the other build wants glibc 2.35 and many supported distributions are older.
        url: "https://github.com/containerd/containerd/releases/download/v{version}/containerd-static-{version}-linux-{arch}.tar.gz",
        sums: Sums::Suffix(".sha256sum"),
        unpack: Unpack::Trees(&[("bin", "/usr/local/bin")]),
    },
    Row {
        name: Name::CriO,
        text: "cri-o",
        url: "https://storage.googleapis.com/cri-o/artifacts/cri-o.{arch}.v{version}.tar.gz",
        sums: Sums::Suffix(".sha256sum"),
        unpack: Unpack::Trees(&[("cri-o/bin", "/usr/local/bin"), ("cri-o/cni-plugins", "/opt/cni/bin")]),
    },
    Row {
        name: Name::CriDockerd,
        text: "cri-dockerd",
        url: "https://github.com/Mirantis/cri-dockerd/releases/download/v{version}/cri-dockerd-{version}.{arch}.tgz",
        sums: Sums::Unpublished,
        unpack: Unpack::Trees(&[("cri-dockerd", "/usr/local/bin")]),
    },
];

/// Before 2.3 containerd's usual build runs on every supported distribution, and is the one whose checksums are known.
const OLD_CONTAINERD: &str = "https://github.com/containerd/containerd/releases/download/v{version}/containerd-{version}-linux-{arch}.tar.gz";

impl Name {
    /// In the order in which they are placed.
    pub const ALL: [Self; 8] = [
        Self::Kubelet,
        Self::Kubectl,
        Self::Crictl,
        Self::CniPlugins,
        Self::Runc,
        Self::Containerd,
        Self::CriO,
        Self::CriDockerd,
    ];

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.name == self).expect("every name has a row, which a test checks")
    }

    pub fn as_str(self) -> &'static str {
        self.row().text
    }

    pub fn parse(text: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.text == text).map(|row| row.name)
    }

    /// Where the project publishes this version.
    pub fn url(self, version: &str, arch: Arch) -> String {
        let old = self == Self::Containerd && is_before(version, 2, 3);
        filled(if old { OLD_CONTAINERD } else { self.row().url }, version, arch)
    }

    /// Where the project publishes the checksum of this version.
    pub fn checksum_url(self, version: &str, arch: Arch) -> Option<String> {
        let url = self.url(version, arch);
        match self.row().sums {
            Sums::Suffix(suffix) => Some(url + suffix),
            Sums::Beside(file) => Some(format!("{}/{file}", url.rsplit_once('/')?.0)),
            Sums::Unpublished => None,
        }
    }

    pub fn unpack(self) -> Unpack {
        self.row().unpack
    }

    /// What is on the host afterwards says here what it came from.
    pub fn marker(self) -> String {
        format!("/usr/local/share/kubewright/{}", self.as_str())
    }
}

impl Arch {
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// From what `uname -m` says.
    pub fn of_machine(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" | "amd64" => Some(Self::Amd64),
            "aarch64" | "arm64" => Some(Self::Arm64),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn filled(template: &str, version: &str, arch: Arch) -> String {
    template.replace("{version}", version).replace("{arch}", arch.as_str())
}

/// Whether a version is older than `major.minor`.
pub fn is_before(version: &str, major: u64, minor: u64) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or_default());
    let of = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    of < (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_row() {
        for name in Name::ALL {
            assert_eq!(ROWS.iter().filter(|row| row.name == name).count(), 1);
            assert_eq!(Name::parse(name.as_str()), Some(name));
        }
    }

    #[test]
    fn urls_are_the_projects_own() {
        for (name, version, arch, url) in [
            (
                Name::Kubelet,
                "1.36.4",
                Arch::Arm64,
                "https://dl.k8s.io/release/v1.36.4/bin/linux/arm64/kubelet",
            ),
            (
                Name::Runc,
                "1.4.3",
                Arch::Amd64,
                "https://github.com/opencontainers/runc/releases/download/v1.4.3/runc.amd64",
            ),
            (
                Name::Containerd,
                "2.2.7",
                Arch::Amd64,
                "https://github.com/containerd/containerd/releases/download/v2.2.7/containerd-2.2.7-linux-amd64.tar.gz",
            ),
            (
                Name::Containerd,
                "2.3.4",
                Arch::Arm64,
                "https://github.com/containerd/containerd/releases/download/v2.3.4/containerd-static-2.3.4-linux-arm64.tar.gz",
            ),
        ] {
            assert_eq!(name.url(version, arch), url);
        }
        let beside = Name::Runc.checksum_url("1.4.3", Arch::Amd64).unwrap();
        assert!(beside.ends_with("/v1.4.3/runc.sha256sum"), "{beside}");
        assert_eq!(Name::CriDockerd.checksum_url("0.3.26", Arch::Amd64), None);
    }

    #[test]
    fn versions_compare_by_number() {
        for (version, before) in [("1.7.24", true), ("2.2.7", true), ("2.3.0", false), ("2.10.0", false)] {
            assert_eq!(is_before(version, 2, 3), before, "{version}");
        }
    }
}
