//! What others wrote and the configuration names: read, verified or rendered, before anything is planned.

use crate::apply::receipt::sha256;
use crate::artifact::choose;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::helm;
use crate::cli::load;
use crate::cli::settings;
use crate::cluster::Cluster;
use crate::cluster::cni::Manifest;
use crate::cluster::cni::ManifestFrom;
use crate::cluster::prepare::Artifacts;
use crate::config::File;
use crate::config::manifest;
use crate::fetch::Downloads;
use crate::host::Host as _;
use crate::host::local::Local;
use anyhow::Context as _;
use std::io::Read as _;
use std::path::Path;

/// Folders of the local directory in which manifests lie.
const FOLDERS: [&str; 2] = ["", "manifests/"];

/// Reads every manifest of the pod network and of the add-ons, and lets helm render every chart.
///
/// # Errors
/// One cannot be had, is not what its checksum says, or has something in it that is no API object.
pub(super) fn read(cluster: &mut Cluster) -> Result<(), CliError> {
    let artifacts = cluster.prepare.artifacts.clone();
    let site = &mut cluster.site;
    let of_addons = site.addons.iter_mut().flat_map(|addon| addon.manifests_mut());
    for manifest in site.cni.manifests_mut().into_iter().chain(of_addons) {
        let bytes = bytes(manifest, &artifacts)?;
        verify(manifest, &bytes)?;
        let file = File { name: manifest.name(), bytes: &bytes };
        manifest.objects = manifest::objects(file).map_err(|issues| load::refused(&issues))?;
    }
    helm::render(cluster)
}
/// From the file, or from the local directory, or else from where the project publishes it.
fn bytes(manifest: &Manifest, artifacts: &Artifacts) -> Result<Vec<u8>, CliError> {
    let url = match &manifest.from {
        ManifestFrom::File(path) => return load::read_file(Path::new(path)),
        ManifestFrom::Url(url) => url,
    };
    if let Some(directory) = &artifacts.directory {
        return stocked(directory, url);
    }
    let digest = manifest.sha256.as_deref().unwrap_or_default();
    let url = choose::mirrored(artifacts, url);
    let (mut file, _) =
        Downloads::new(settings::cache_directory()).get(&url, digest).or_exit(Exit::Configuration)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("cannot read {url}")).or_exit(Exit::Failure)?;
    Ok(bytes)
}

/// Where there is a directory, nothing is downloaded.
fn stocked(directory: &str, url: &str) -> Result<Vec<u8>, CliError> {
    let name = url.rsplit('/').next().unwrap_or_default();
    let root = directory.trim_end_matches('/');
    let host = Local::new("this host");
    for folder in FOLDERS {
        let path = format!("{root}/{folder}{name}");
        let absolute = std::path::absolute(&path).or_exit(Exit::Configuration)?;
        if host.read(&absolute.to_string_lossy()).or_exit(Exit::Configuration)?.is_some() {
            return load::read_file(Path::new(&path));
        }
    }
    let error = anyhow::anyhow!("there is no {name} in `{directory}`");
    Err(CliError::new(Exit::Configuration, error).hint(format!("put {url} there as manifests/{name}")))
}

fn verify(manifest: &Manifest, bytes: &[u8]) -> Result<(), CliError> {
    let found = sha256(bytes);
    let found = found.trim_start_matches("sha256:");
    match manifest.sha256.as_deref().filter(|wanted| *wanted != found) {
        None => Ok(()),
        Some(wanted) => {
            let name = manifest.name();
            let message = format!("{name} has the SHA-256 {found}, and {wanted} is wanted");
            let error = CliError::new(Exit::Configuration, anyhow::anyhow!(message));
            Err(error.hint(
                "it is another version, or somebody changed it; look at it before you change the checksum",
            ))
        }
    }
}
