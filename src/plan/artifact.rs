//! Binaries, packages and images that come to a host from elsewhere.

use std::fmt;

/// A download or a file of the operator's machine that is verified and put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSpec {
    /// `containerd 2.3.4`.
    pub name: String,
    pub supply: Supply,
    /// Of the download, in hexadecimal. Nothing else is ever put in place.
    pub sha256: String,
    pub unpack: Unpack,
    /// A file on the host that says what of it stands where; written last, so it counts only when all is there.
    pub marker: String,
}

/// Where the bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supply {
    /// The host downloads it.
    Host { url: String },
    /// The operator's machine downloads it, once for all hosts, and pushes it.
    Operator { url: String, sha256: String },
    /// A file of the operator's machine.
    File { path: String },
}

/// What becomes of the download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpack {
    /// It is the program itself.
    File { path: String },
    /// Programs directly in folders of a gzipped tar archive: folder inside, directory on the host.
    Trees(Vec<(String, String)>),
}

/// Packages of the distribution's package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSpec {
    pub manager: PackageManager,
    pub packages: Vec<Package>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// The version without the packagers' own suffix; any where the operator does not care.
    pub version: Option<String>,
    /// Updates of the system leave it alone.
    pub held: bool,
    /// Names of other packages that do as well where they are installed already.
    pub instead: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageManager {
    Apt,
    Dnf,
    Zypper,
}

/// The key that a repository's packages are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    pub path: String,
    pub url: String,
    /// As `gpg` prints it; `None` takes the key that comes.
    pub fingerprint: Option<String>,
}

/// An archive of images that are loaded where the runtime lacks one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageArchiveSpec {
    pub supply: Supply,
    pub references: Vec<String>,
    pub cri_socket: String,
}

impl ArtifactSpec {
    /// What stands where afterwards, as far as it is known beforehand.
    pub fn places(&self) -> Vec<String> {
        match &self.unpack {
            Unpack::File { path } => vec![path.clone()],
            Unpack::Trees(trees) => trees.iter().map(|(_, into)| format!("{into}/")).collect(),
        }
    }
}

impl Package {
    pub fn any(name: &str) -> Self {
        Self { name: name.to_owned(), version: None, held: false, instead: Vec::new() }
    }

    #[must_use]
    pub fn at(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), held: true, ..self }
    }

    #[must_use]
    pub fn or(self, other: &str) -> Self {
        let mut instead = self.instead;
        instead.push(other.to_owned());
        Self { instead, ..self }
    }
}

impl PackageSpec {
    /// `kubelet=1.36.2 kubectl=1.36.2 conntrack`.
    pub fn subject(&self) -> String {
        let words = self.packages.iter().map(ToString::to_string);
        words.collect::<Vec<_>>().join(" ")
    }
}

impl PackageManager {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
            Self::Zypper => "zypper",
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}={version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { url } => f.write_str(url),
            Self::Operator { url, .. } => write!(f, "{url} through this machine"),
            Self::File { path } => write!(f, "{path} of this machine"),
        }
    }
}
