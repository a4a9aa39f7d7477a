//! What preparing a host is to do, and where what it needs comes from.

use crate::cluster::site::RuntimeProvider;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;

/// How far `--prepare` goes in changing a host. The default changes only what the kernel needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prepare {
    pub selinux: Option<SelinuxMode>,
    pub swap: SwapMode,
    pub firewall: FirewallMode,
    /// The hosts' names in `/etc/hosts` of every host.
    pub etc_hosts: bool,
    pub runtime: Runtime,
    pub artifacts: Artifacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelinuxMode {
    Enforcing,
    Permissive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapMode {
    /// Turned off where the kubelet would not start with it.
    #[default]
    Off,
    Keep,
}

/// What happens to firewalld or ufw where one of them is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallMode {
    /// What the cluster needs is let in.
    Open,
    /// The firewall is turned off.
    Off,
    /// It is left alone.
    #[default]
    None,
}

/// The container runtime of every host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runtime {
    /// `None` leaves the runtime alone.
    pub provider: Option<RuntimeProvider>,
    /// Merged into containerd's `config.toml` after everything else.
    pub config: Map<String, Value>,
    /// Registries by host name, and where their images are asked for instead.
    pub mirrors: BTreeMap<String, Vec<String>>,
}

/// Where binaries and images come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Artifacts {
    pub source: Source,
    pub via: Via,
    /// Stands in for the scheme of every download and package repository; their host stays as the first folder.
    pub mirror: Option<String>,
    /// Fingerprints of the keys that repositories are signed with, by the repository's name, where a mirror signs anew.
    pub keys: BTreeMap<String, String>,
    /// A directory of the operator's machine with binaries, archives and images.
    pub directory: Option<String>,
    /// A file of the operator's machine with more checksums.
    pub lock_file: Option<String>,
    /// Which repository containerd and Docker come from, with [`Source::Packages`].
    pub runtime_repository: RuntimeRepository,
    /// What is at [`Artifacts::directory`]; read when the configuration is.
    pub stock: Stock,
    /// The lines of the lock file; read when the configuration is.
    pub locked: BTreeMap<Key, String>,
    /// Versions by the artifact's name where the operator wants others than ours.
    pub versions: BTreeMap<String, String>,
}

/// Which artifact: name, version and architecture.
pub type Key = (String, String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Packages of the distribution and of Kubernetes.
    Packages,
    /// The projects' own releases.
    Download,
    /// A directory of the operator's machine.
    Local,
    /// The operator has put everything there.
    #[default]
    None,
}

/// Who downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Every host for itself.
    #[default]
    Host,
    /// The operator's machine once, for all hosts.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeRepository {
    #[default]
    Distribution,
    /// `download.docker.com`, where distributions have no containerd or an old one.
    Docker,
}

/// The files of a directory for hosts that reach nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Stock {
    /// By name: `kubelet`, `containerd-2.3.4-linux-amd64.tar.gz`.
    pub files: BTreeMap<String, StockFile>,
    pub images: Vec<ImageArchive>,
}

/// A file of the operator's machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct StockFile {
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// A file that `ctr images import` takes, and the images in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ImageArchive {
    pub path: String,
    /// Bytes.
    pub size: u64,
    pub references: Vec<String>,
}
