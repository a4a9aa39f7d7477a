//! A host that has joined before goes on with what it has, unless it is asked to join another cluster now.

use crate::cluster::kubeadm::JoinConfiguration;
use crate::discovery::DiscoveryError;
use crate::discovery::Found;
use crate::discovery::kubeconfig::Kubeconfig;
use crate::host::Host;
use crate::host::read_through;
use crate::pki::load;
use crate::pki::pin;

/// Compares the authorities of the cluster that the host has joined with what a configuration asks for: pins, or a
/// discovery file on the host. Where it asks for nothing that could be compared, there is no contradiction.
///
/// # Errors
/// [`DiscoveryError::Joined`] when they are others.
pub fn expect_the_same(
    joined: &Found,
    join: &JoinConfiguration,
    host: &dyn Host,
) -> Result<(), DiscoveryError> {
    let pins = |pem: &[u8]| -> Vec<String> {
        load::certificates(pem).unwrap_or_default().iter().map(pin::pin).collect()
    };
    let asked = match (&join.discovery.bootstrap_token, &join.discovery.file) {
        (Some(by_token), _) => by_token.ca_cert_hashes.clone(),
        (None, Some(by_file)) => {
            authority(host, &by_file.kube_config_path).map(|pem| pins(&pem)).unwrap_or_default()
        }
        (None, None) => Vec::new(),
    };
    let found = pins(&joined.ca);
    let same = |one: &String| found.iter().any(|other| one.eq_ignore_ascii_case(other));
    if asked.is_empty() || asked.iter().any(same) {
        return Ok(());
    }
    Err(DiscoveryError::Joined { server: joined.server.clone(), found, asked })
}

fn authority(host: &dyn Host, path: &str) -> Option<Vec<u8>> {
    let entry = read_through(host, path.strip_prefix("file://").unwrap_or(path)).ok()??;
    Kubeconfig::parse(entry.content()?).ok()?.cluster().ok()?.authority().ok()?
}
