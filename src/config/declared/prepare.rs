//! Host preparation in the `Cluster` document: `spec.prepare`, `spec.containerRuntime` and `spec.artifacts`.

use super::KIND;
use crate::cluster;
use crate::cluster::SelinuxMode;
use crate::cluster::prepare::FirewallMode;
use crate::cluster::prepare::RuntimeRepository;
use crate::cluster::prepare::Source;
use crate::cluster::prepare::SwapMode;
use crate::cluster::prepare::Via;
use crate::cluster::site::RuntimeProvider;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Prepare {
    selinux: Option<SelinuxMode>,
    swap: Option<SwapMode>,
    firewall: Option<FirewallMode>,
    etc_hosts: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Runtime {
    provider: Option<String>,
    version: Option<String>,
    repository: Option<RuntimeRepository>,
    config: Map<String, Value>,
    mirrors: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Artifacts {
    source: Option<Source>,
    via: Option<Via>,
    mirror: Option<String>,
    keys: BTreeMap<String, String>,
    directory: Option<String>,
    lock_file: Option<String>,
    versions: BTreeMap<String, String>,
}

impl Runtime {
    pub(super) fn provider(&self) -> Option<RuntimeProvider> {
        match self.provider.as_deref() {
            Some("containerd") => Some(RuntimeProvider::Containerd),
            Some("cri-o") => Some(RuntimeProvider::CriO),
            Some("docker") => Some(RuntimeProvider::Docker),
            _ => None,
        }
    }

    /// Where the runtime will listen.
    pub(super) fn socket(&self) -> Option<&'static str> {
        self.provider().map(RuntimeProvider::socket)
    }
}

impl Artifacts {
    /// What is said decides: a directory means that it is used, a mirror or a lock file that there are downloads. A
    /// runtime alone comes from packages, which need no checksums of ours.
    fn source(&self, runtime: &Runtime) -> Source {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match self.source {
            Some(source) => source,
            None if given(&self.directory) => Source::Local,
            None if given(&self.mirror) || given(&self.lock_file) || self.via.is_some() => Source::Download,
            None if runtime.provider().is_some() || !self.versions.is_empty() => Source::Packages,
            None => Source::None,
        }
    }
}

/// What the three parts mean together.
pub(super) fn meaning(prepare: &Prepare, runtime: &Runtime, artifacts: &Artifacts) -> cluster::Prepare {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut versions = artifacts.versions.clone();
    versions.retain(|_, version| !version.is_empty());
    let name = match runtime.provider() {
        Some(RuntimeProvider::Containerd) => Some("containerd"),
        Some(RuntimeProvider::CriO) => Some("cri-o"),
        Some(RuntimeProvider::Docker) => Some("docker"),
        None => None,
    };
    versions.extend(name.zip(given(&runtime.version)).map(|(name, version)| (name.to_owned(), version)));
    cluster::Prepare {
        selinux: prepare.selinux,
        swap: prepare.swap.unwrap_or_default(),
        firewall: prepare.firewall.unwrap_or_default(),
        etc_hosts: prepare.etc_hosts,
        runtime: cluster::prepare::Runtime {
            provider: runtime.provider(),
            config: runtime.config.clone(),
            mirrors: runtime.mirrors.clone(),
        },
        artifacts: cluster::prepare::Artifacts {
            source: artifacts.source(runtime),
            via: artifacts.via.unwrap_or_default(),
            mirror: given(&artifacts.mirror),
            keys: keys(&artifacts.keys),
            directory: given(&artifacts.directory),
            lock_file: given(&artifacts.lock_file),
            runtime_repository: runtime.repository.unwrap_or_default(),
            versions,
            ..cluster::prepare::Artifacts::default()
        },
    }
}

pub(super) fn validate(report: &mut Report, runtime: &Runtime, artifacts: &Artifacts) {
    let at = Path::of(KIND, "spec.artifacts");
    let source = artifacts.source(runtime);
    let directory = artifacts.directory.as_deref().unwrap_or_default();
    if source == Source::Local && directory.is_empty() {
        report.missing(
            &at.key("directory"),
            "source local needs a directory",
            "the directory of this machine that holds binaries and image archives",
        );
    }
    if source != Source::Local && !directory.is_empty() {
        report
            .error(&at.key("directory"), "a directory is used with source local only")
            .hint("source: local, or leave the directory out");
    }
    url(report, artifacts.mirror.as_deref().unwrap_or_default(), &at.key("mirror"));
    if artifacts.mirror.is_some() && !matches!(source, Source::Download | Source::Packages) {
        report
            .error(&at.key("mirror"), "a mirror is about downloads and packages")
            .hint("source: download or packages, or leave mirror out");
    }
    if artifacts.via.is_some() && source != Source::Download {
        report.error(&at.key("via"), "via is about downloads").hint("source: download, or leave via out");
    }
    validate_keys(report, &artifacts.keys, source, &at.key("keys"));
    for (name, version) in &artifacts.versions {
        version_text(report, version, &at.key("versions").key(name));
    }
    validate_runtime(report, runtime, source);
}

fn validate_keys(report: &mut Report, said: &BTreeMap<String, String>, source: Source, at: &Path) {
    if !said.is_empty() && source != Source::Packages {
        report.error(at, "keys are about package repositories").hint("source: packages, or leave keys out");
    }
    for (name, key) in keys(said) {
        if key.len() != 40 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            report
                .error(&at.key(&name), format!("`{key}` is not the fingerprint of a key"))
                .hint("40 hexadecimal digits, as `gpg --show-keys FILE` prints them");
        }
    }
}

/// As `gpg` prints them for programs: without spaces, in capitals.
fn keys(said: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let plain = |key: &String| key.split_whitespace().collect::<String>().to_uppercase();
    said.iter().map(|(name, key)| (name.clone(), plain(key))).filter(|(_, key)| !key.is_empty()).collect()
}

fn validate_runtime(report: &mut Report, runtime: &Runtime, source: Source) {
    let at = Path::of(KIND, "spec.containerRuntime");
    version_text(report, runtime.version.as_deref().unwrap_or_default(), &at.key("version"));
    if runtime.provider() == Some(RuntimeProvider::Docker) && source == Source::Download {
        report
            .error(&at.key("provider"), "Docker comes from packages, not from downloads")
            .hint("artifacts: {source: packages}, or install Docker and choose source none");
    }
    if !runtime.config.is_empty() && runtime.provider() != Some(RuntimeProvider::Containerd) {
        report
            .error(&at.key("config"), "config is merged into containerd's configuration, and there is none")
            .hint("provider: containerd, or leave config out");
    }
    if runtime.repository.is_some() && source != Source::Packages {
        report
            .error(&at.key("repository"), "a repository is where packages come from")
            .hint("artifacts: {source: packages}, or leave repository out");
    }
    for (registry, urls) in &runtime.mirrors {
        let path = at.key("mirrors").key(registry);
        if registry != "_default" && name::parse_host_port(registry).is_none() {
            report
                .error(&path, format!("`{registry}` is not the host of a registry"))
                .hint("such as docker.io or registry.example.com:5000; _default stands for all others");
        }
        for (index, mirror) in urls.iter().enumerate() {
            url(report, mirror, &path.index(index));
        }
    }
}

/// Anything fetched from there is named in plans and messages, so nothing in a URL may be secret.
pub(super) fn url(report: &mut Report, url: &str, path: &Path) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        report
            .error(path, "the URL has a user name or a password in it")
            .hint("plans and logs show URLs: let the server know these hosts by their addresses");
        return;
    }
    let whole = url.split_once("://").is_some_and(|(scheme, rest)| {
        ["http", "https"].contains(&scheme) && !rest.is_empty() && !rest.contains(char::is_whitespace)
    });
    if !url.is_empty() && !whole {
        report.error(path, format!("`{url}` is not a URL")).hint("such as https://mirror.example.com/files");
    }
}

fn version_text(report: &mut Report, version: &str, path: &Path) {
    if !version.is_empty() && semver::Version::parse(version.trim_start_matches('v')).is_err() {
        report.error(path, format!("`{version}` is not a version")).hint("such as 2.3.4");
    }
}
