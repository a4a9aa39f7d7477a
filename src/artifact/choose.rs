//! Which version of an artifact a host gets, from where, and what it must hash to.

use crate::artifact::Arch;
use crate::artifact::Name;
use crate::artifact::Unpack;
use crate::artifact::catalog::is_before;
use crate::artifact::pins;
use crate::cluster::Cluster;
use crate::cluster::prepare::Artifacts;
use crate::cluster::prepare::Source;
use crate::cluster::prepare::StockFile;
use anyhow::bail;

/// An artifact that was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub name: Name,
    pub version: String,
    pub arch: Arch,
    pub from: From,
    /// Hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Url(String),
    /// A file of the operator's machine.
    Stock(StockFile),
}

/// Our choice for a minor version of Kubernetes where the operator has none: versions that are recommended for it and
/// whose checksums are known.
pub fn version(cluster: &Cluster, name: Name) -> String {
    if let Some(version) = cluster.prepare.artifacts.versions.get(name.as_str()) {
        return version.trim_start_matches('v').to_owned();
    }
    let old = cluster.version.minor() < 36;
    match name {
        Name::Kubelet | Name::Kubectl => return cluster.version.0.to_string(),
        Name::Crictl if old => "1.35.0",
        Name::Crictl => "1.36.0",
        Name::CniPlugins => "1.9.1",
        Name::Runc => "1.4.3",
        Name::Containerd if old => "2.2.7",
        Name::Containerd => "2.3.4",
        Name::CriO if old => return format!("1.{}.0", cluster.version.minor()),
        Name::CriO => "1.36.3",
        Name::CriDockerd => "0.3.26",
    }
    .to_owned()
}

/// Decides on an artifact; `None` where an air-gapped directory does not have it, and so leaves it to the host.
///
/// # Errors
/// Nobody knows the checksum, or the directory lacks what no host can do without.
pub fn choose(cluster: &Cluster, name: Name, arch: Arch) -> anyhow::Result<Option<Chosen>> {
    let artifacts = &cluster.prepare.artifacts;
    let version = version(cluster, name);
    let url = name.url(&version, arch);
    let known = known(artifacts, name, &version, arch);
    let chosen =
        |from, sha256: &str| Chosen { name, version: version.clone(), arch, from, sha256: sha256.to_owned() };
    let source = match artifacts.source {
        // No distribution has a package of it.
        Source::Packages if name == Name::CriDockerd => Source::Download,
        source => source,
    };
    match source {
        Source::Packages | Source::None => Ok(None),
        Source::Download => match known {
            Some(sha256) => Ok(Some(chosen(From::Url(mirrored(artifacts, &url)), sha256))),
            None => bail!(unknown(name, &version, arch)),
        },
        Source::Local => {
            let Some(file) = in_stock(artifacts, name, &url, arch) else {
                if required(name) {
                    bail!(missing(artifacts, name, &url, arch));
                }
                return Ok(None);
            };
            // What the operator put there is what is wanted; where its checksum is known it has to be that.
            if let Some(sha256) = known.filter(|sha256| *sha256 != file.sha256) {
                bail!(
                    "`{}` is not {name} {version} for {arch}: its SHA-256 is {}, and that of the release is {sha256}; \
                     put the right file there, or name its version in spec.artifacts.versions",
                    file.path,
                    file.sha256
                );
            }
            Ok(Some(chosen(From::Stock(file.clone()), &file.sha256)))
        }
    }
}

fn known<'a>(artifacts: &'a Artifacts, name: Name, version: &str, arch: Arch) -> Option<&'a str> {
    let key = (name.as_str().to_owned(), version.to_owned(), arch.as_str().to_owned());
    artifacts.locked.get(&key).map(String::as_str).or_else(|| pins::pinned(name, version, arch))
}

/// The same download from a mirror: `https://mirror.example/files/dl.k8s.io/release/…`.
pub fn mirrored(artifacts: &Artifacts, url: &str) -> String {
    match (&artifacts.mirror, url.split_once("://")) {
        (Some(mirror), Some((_, rest))) => format!("{}/{rest}", mirror.trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// By the name of its release, by that name under the architecture, or by its plain name.
fn in_stock<'a>(artifacts: &'a Artifacts, name: Name, url: &str, arch: Arch) -> Option<&'a StockFile> {
    let file = url.rsplit('/').next().unwrap_or_default();
    let mut names = vec![format!("{arch}/{file}"), file.to_owned()];
    if matches!(name.unpack(), Unpack::File { .. }) {
        names.extend([format!("{arch}/{name}"), name.to_string()]);
    }
    names.iter().find_map(|name| artifacts.stock.files.get(name))
}

/// What hosts may have from elsewhere is taken from a directory only where it is there.
fn required(name: Name) -> bool {
    name == Name::Kubelet
}

fn missing(artifacts: &Artifacts, name: Name, url: &str, arch: Arch) -> String {
    let directory = artifacts.directory.as_deref().unwrap_or_default();
    let file = url.rsplit('/').next().unwrap_or_default();
    format!("there is no {name} for {arch} in `{directory}`; put {url} there as {arch}/{file} or {file}")
}

fn unknown(name: Name, version: &str, arch: Arch) -> String {
    let versions: Vec<&str> = pins::versions(name).collect();
    let known = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
    format!(
        "the SHA-256 of {name} {version} for {arch} is not known (known: {known}); take a version that is, or let \
         `kubewright config artifacts lock -f FILE >kubewright.lock` ask its project, and name the result in \
         spec.artifacts.lockFile"
    )
}

/// Which format containerd's configuration has: its version 3 came with containerd 2.
pub fn containerd_reads_v3(version: &str) -> bool {
    !is_before(version, 2, 0)
}
