//! Handing the administrator's access to the operator, where that was asked for.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::host::Local;
use crate::host::read_through;
use crate::kube::merge;
use crate::phase::kubeconfig;
use crate::pki::Bundle;
use crate::pki::CertName;
use crate::plan::Content;
use anyhow::Context as _;
use zeroize::Zeroizing;

pub(super) struct Wanted<'a> {
    /// A file of its own.
    pub out: Option<&'a str>,
    /// Into the operator's own.
    pub merge: bool,
}

/// Writes what is wanted; nothing is, unless the operator says so.
///
/// # Errors
/// A file cannot be read as a kubeconfig, or not be written.
pub(super) fn hand_over(
    wanted: &Wanted<'_>,
    cluster: &Cluster,
    bundle: &Bundle,
    settings: &Settings,
) -> Result<(), CliError> {
    if wanted.out.is_none() && !wanted.merge {
        return Ok(());
    }
    let admin = admin(cluster, bundle).or_exit(Exit::Pki)?;
    if let Some(path) = wanted.out {
        load::write_file(path, admin.as_bytes(), 0o600)?;
        output::people(&format!("wrote {path}\n"));
    }
    if wanted.merge {
        let path = settings.own_kubeconfig.as_deref().context("there is neither KUBECONFIG nor HOME");
        let path = path.or_exit(Exit::Usage)?;
        let existing = existing(path)?;
        let merged = merge::merge(&existing, &admin, &cluster.name).with_context(|| format!("`{path}`"));
        load::write_file(path, merged.or_exit(Exit::Failure)?.as_bytes(), 0o600)?;
        output::people(&format!("added the context {} to {path}\n", merge::context(&cluster.name)));
    }
    Ok(())
}

fn admin(cluster: &Cluster, bundle: &Bundle) -> anyhow::Result<Zeroizing<String>> {
    let entry = kubeconfig::ENTRIES.iter().find(|entry| entry.cert == CertName::Admin);
    let entry = entry.context("there is no kubeconfig of the administrator")?;
    let spec = kubeconfig::kubeconfig(cluster, cluster.first_control_plane(), entry);
    let bytes = bundle.resolve(&Content::Kubeconfig(spec))?;
    Ok(Zeroizing::new(String::from_utf8(bytes.to_vec())?))
}

/// The file as it is; empty where there is none.
fn existing(path: &str) -> Result<Zeroizing<String>, CliError> {
    let absolute = std::path::absolute(path).or_exit(Exit::Failure)?;
    let entry = read_through(&Local::new("this host"), &absolute.to_string_lossy()).or_exit(Exit::Failure)?;
    let bytes = entry.and_then(|entry| entry.content().map(<[u8]>::to_vec)).unwrap_or_default();
    Ok(Zeroizing::new(String::from_utf8(bytes).or_exit(Exit::Failure)?))
}
