//! Reading what a host has of a PKI, and completing it.

use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::cluster::Cluster;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use crate::host::read_many_through;
use crate::host::read_through;
use crate::pki::Bundle;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Decisions;
use crate::pki::bundle::BundleError;
use crate::pki::bundle::Minting;
use crate::pki::decide;
use crate::pki::decide::Request;
use crate::pki::inventory;
use crate::pki::inventory::FileState;
use crate::pki::inventory::Inventory;
use crate::pki::random::SystemRandom;
use crate::pki::spec;
use crate::pki::spec::CertSpec;
use crate::plan::Action;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use time::OffsetDateTime;

/// Reads every file that a decision about these certificates may look at.
///
/// # Errors
/// The host cannot be reached, or we are not the one who may look; any other trouble with a file is a state.
pub(super) fn read(host: &dyn Host, cluster: &Cluster, specs: &[CertSpec]) -> Result<Inventory, HostError> {
    read_paths(host, inventory::paths(cluster, specs))
}

/// Reads files of a PKI.
///
/// # Errors
/// As for [`read`].
pub(super) fn read_paths(
    host: &dyn Host,
    paths: impl IntoIterator<Item = String>,
) -> Result<Inventory, HostError> {
    let paths: Vec<String> = paths.into_iter().collect();
    let mut found = Inventory::default();
    // What cannot be read together is looked at one by one, so that each trouble belongs to its file.
    if let Ok(mut entries) = read_many_through(host, &paths) {
        for path in paths {
            let entry = entries.remove(&path).flatten();
            found.insert(path, state_of(entry));
        }
    } else {
        for path in paths {
            let state = state(host, &path)?;
            found.insert(path, state);
        }
    }
    Ok(found)
}

/// Takes a key for absent that an earlier run wrote and was stopped before it wrote the certificate: both are made
/// anew.
pub(super) fn forget_unfinished(inventory: &mut Inventory, specs: &[CertSpec], receipt: &Receipt) {
    for spec in specs {
        let (Some(key), Some(certificate)) = (&spec.paths.key, &spec.paths.certificate) else { continue };
        if is_unfinished(inventory, receipt, key, certificate) {
            inventory.insert(key.clone(), FileState::Absent);
        }
    }
}

/// By the receipt the key is ours, neither file was there before, and the certificate never was. Anybody else's
/// lonely key stays what it is, a reason to ask the operator.
fn is_unfinished(inventory: &Inventory, receipt: &Receipt, key: &str, certificate: &str) -> bool {
    let absent_before = |path| receipt.before(path) == Some(Before::Absent);
    let ever_made = receipt.steps.values().any(|step| step.subject == certificate);
    let lonely = inventory.get(certificate) == Some(&FileState::Absent);
    lonely && absent_before(key) && absent_before(certificate) && !ever_made
}

/// The kubelet's store consists of links; one counts as what it leads to.
fn state(host: &dyn Host, path: &str) -> Result<FileState, HostError> {
    match read_through(host, path) {
        Ok(entry) => Ok(state_of(entry)),
        Err(error) if error.io_kind() == Some(ErrorKind::PermissionDenied) => Err(error),
        Err(error @ HostError::File { .. }) => Ok(FileState::Unreadable(reason(&error))),
        Err(error) => Err(error),
    }
}

fn state_of(entry: Option<Entry>) -> FileState {
    let Some(entry) = entry else { return FileState::Absent };
    let mode = entry.mode;
    match entry.kind {
        EntryKind::File(content) => FileState::present(content, mode),
        EntryKind::Directory | EntryKind::Link(_) => FileState::Unreadable("it is a directory".to_owned()),
    }
}

fn reason(error: &HostError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The authorities whose certificate is here and whose key is not.
pub(super) fn external(
    cluster: &Cluster,
    inventories: &BTreeMap<String, Inventory>,
    now: OffsetDateTime,
) -> BTreeSet<Ca> {
    let specs: Vec<CertSpec> =
        spec::all_specs(cluster).into_iter().filter(|spec| matches!(spec.name, CertName::Ca(_))).collect();
    let decisions = decide::decide(&Request { cluster, specs: &specs, inventories, now });
    Ca::ALL.into_iter().filter(|ca| decisions.is_external(*ca)).collect()
}

/// The certificates that a plan names, directly or through a kubeconfig or an object.
pub(super) fn named_by(plan: &Plan, cluster: &Cluster) -> Vec<CertSpec> {
    let mut named = BTreeSet::new();
    for step in &plan.steps {
        match &step.action {
            Action::File(file) => name_content(&file.content, &mut named),
            Action::Object(object) => {
                for hole in &object.object.holes {
                    name_fill(&hole.fill, cluster, &mut named);
                }
            }
            _ => {}
        }
    }
    let wanted: BTreeSet<CertName> = named.iter().map(|(_, name)| *name).collect();
    let mut specs = spec::all_specs(cluster);
    specs.retain(|spec| {
        wanted.contains(&spec.name) && (spec.is_shared() || named.contains(&(spec.node.clone(), spec.name)))
    });
    specs
}

/// Adds this node's own and shared certificates of these names, where they are missing.
pub(super) fn add(specs: &mut Vec<CertSpec>, cluster: &Cluster, names: &[CertName]) {
    for spec in spec::all_specs(cluster) {
        if names.contains(&spec.name) && !specs.contains(&spec) {
            specs.push(spec);
        }
    }
}

type Named = BTreeSet<(String, CertName)>;

fn name_content(content: &Content, named: &mut Named) {
    match content {
        Content::Text(_)
        | Content::Joining(_)
        | Content::BootstrapKubeconfig { .. }
        | Content::Downloaded { .. } => {}
        Content::Pki { node, cert, .. } => {
            named.insert((node.clone(), *cert));
        }
        Content::Kubeconfig(spec) => {
            named.insert((String::new(), CertName::Ca(Ca::Kubernetes)));
            let name = match &spec.client {
                ClientCredential::Embedded(name) => *name,
                ClientCredential::File(_) => CertName::KubeletClient,
            };
            named.insert((spec.node.clone(), name));
        }
    }
}

fn name_fill(fill: &Fill, cluster: &Cluster, named: &mut Named) {
    match fill {
        Fill::ClusterInfo { .. } | Fill::Signature { .. } => {
            named.insert((String::new(), CertName::Ca(Ca::Kubernetes)));
        }
        Fill::Authority { ca, .. } | Fill::Serving { ca, .. } => {
            named.insert((String::new(), CertName::Ca(*ca)));
        }
        Fill::Encrypted { cert, .. } => {
            named.insert((cluster.first_control_plane().name.clone(), *cert));
        }
        _ => {}
    }
}

/// Completes the bundle. In a dry run nothing is made: what does not exist is simply not in it.
///
/// # Errors
/// The decisions hold problems, or an authority that must sign has no key.
pub(super) fn bundle(
    cluster: &Cluster,
    specs: &[CertSpec],
    decisions: Decisions,
    now: OffsetDateTime,
    dry_run: bool,
) -> Result<Bundle, BundleError> {
    let minting = Minting::new(&cluster.configuration, now);
    let specs = if dry_run { &[] } else { specs };
    Bundle::complete(specs, decisions, &minting, &mut SystemRandom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::receipt::StepReceipt;

    #[test]
    fn only_a_lonely_key_of_our_own_is_unfinished() {
        let (key, certificate) = ("/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt");
        let made = StepReceipt {
            phase: "certs/ca".into(),
            subject: certificate.into(),
            changed: true,
            digest: None,
            time: String::new(),
        };
        for (absent_before, made_once, there_now, unfinished) in [
            (true, false, false, true),
            (false, false, false, false),
            (true, true, false, false),
            (true, false, true, false),
        ] {
            let mut inventory = Inventory::default();
            inventory.insert(key, FileState::present("key", 0o600));
            let state = if there_now { FileState::present("certificate", 0o644) } else { FileState::Absent };
            inventory.insert(certificate, state);
            let mut receipt = Receipt::new("cp1");
            if absent_before {
                receipt.remember(key, &Before::Absent);
                receipt.remember(certificate, &Before::Absent);
            }
            if made_once {
                receipt.steps.insert("certs/ca".into(), made.clone());
            }
            let found = is_unfinished(&inventory, &receipt, key, certificate);
            assert_eq!(found, unfinished, "{absent_before} {made_once} {there_now}");
        }
    }
}
