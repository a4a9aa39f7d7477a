//! What others wrote and the configuration names: read, and verified, before anything is planned.

use crate::apply::receipt::sha256;
use crate::artifact::choose;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::settings;
use crate::cluster::Cluster;
use crate::cluster::Cni;
use crate::cluster::cni::CiliumSource;
use crate::cluster::cni::Manifest;
use crate::cluster::cni::ManifestFrom;
use crate::cluster::prepare::Artifacts;
use crate::config::File;
use crate::config::manifest;
use crate::fetch::Downloads;
use crate::host::Command;
use crate::host::Host as _;
use crate::host::local::Local;
use crate::kube::objects::cilium;
use crate::kube::yaml;
use anyhow::Context as _;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Folders of the local directory in which manifests lie.
const FOLDERS: [&str; 2] = ["", "manifests/"];

/// A chart may come over the network.
const HELM_TIMEOUT: Duration = Duration::from_mins(2);

/// Reads every manifest of the pod network and of the add-ons.
///
/// # Errors
/// One cannot be had, is not what its checksum says, or has something in it that is no API object.
pub(super) fn read(cluster: &mut Cluster) -> Result<(), CliError> {
    let artifacts = cluster.prepare.artifacts.clone();
    let of_addons = cluster.site.addons.iter_mut().flat_map(|addon| addon.manifests.iter_mut());
    for manifest in cluster.site.cni.manifests_mut().into_iter().chain(of_addons) {
        let bytes = bytes(manifest, &artifacts)?;
        verify(manifest, &bytes)?;
        let file = File { name: manifest.name(), bytes: &bytes };
        manifest.objects = manifest::objects(file).map_err(|issues| load::refused(&issues))?;
    }
    render(cluster)
}

/// Lets helm render the chart of the pod network, where it is one.
fn render(cluster: &mut Cluster) -> Result<(), CliError> {
    let Cni::Cilium(cilium) = &cluster.site.cni else { return Ok(()) };
    let CiliumSource::Chart { chart, .. } = &cilium.source else { return Ok(()) };
    let arguments = cilium::helm_arguments(cluster, cilium, chart);
    let values = yaml::to_string(&cilium::values(cluster, cilium));
    let command = Command::query("helm").args(arguments).stdin(values.clone()).timeout(HELM_TIMEOUT);
    let by_hand = format!(
        "install helm on this machine; or render it elsewhere, with `{command}` and these values on its standard input, \
         and name the result: manifest: {{file: PATH}}\n{values}"
    );
    let output = match Local::new("this host").run(&command) {
        Err(error) => {
            let error = anyhow::Error::new(error).context("helm is to render Cilium's chart");
            return Err(CliError::new(Exit::Configuration, error).hint(by_hand));
        }
        Ok(output) => output,
    };
    if !output.success() {
        let why = output.error_tail();
        let error = anyhow::anyhow!("helm cannot render the chart {chart} of Cilium:\n{why}");
        return Err(CliError::new(Exit::Configuration, error));
    }
    let file = File { name: "what helm has rendered", bytes: &output.stdout };
    let objects = manifest::objects(file).map_err(|issues| load::refused(&issues))?;
    if let Cni::Cilium(cilium) = &mut cluster.site.cni
        && let CiliumSource::Chart { rendered, .. } = &mut cilium.source
    {
        *rendered = objects;
    }
    Ok(())
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
