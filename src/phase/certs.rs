//! Certificates and keys: which files of the PKI go where.

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::pki::CertName;
use crate::pki::Part;
use crate::pki::spec;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;

/// Plans the files of the certificate that the sub-phase is named after. A certificate that the layout or an
/// external etcd does not have plans nothing; an authority whose key is kept elsewhere plans its certificate only.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let specs = spec::for_node(cx.cluster, node);
    let Some(spec) = specs.iter().find(|spec| spec.name.as_str() == phase) else { return Ok(Vec::new()) };
    let mut drafts = Vec::new();
    for (part, file, mode) in parts(spec.name, &spec.base) {
        if part == Part::Key && cx.decisions.is_external(node, spec.name) {
            continue;
        }
        drafts.push(Draft::new(
            format!("{} {}", spec.name, part_name(part)),
            spec.long_name,
            Action::File(FileSpec {
                path: cx.pki_path(&file),
                mode,
                owner: None,
                content: Content::Pki { node: node.name.clone(), cert: spec.name, part },
                keep_existing: false,
            }),
        ));
    }
    Ok(drafts)
}

/// The files of one entry: the key before the certificate, as kubeadm writes them.
fn parts(name: CertName, base: &str) -> [(Part, String, u32); 2] {
    if name == CertName::ServiceAccount {
        return [(Part::Key, format!("{base}.key"), 0o600), (Part::PublicKey, format!("{base}.pub"), 0o600)];
    }
    [(Part::Key, format!("{base}.key"), 0o600), (Part::Certificate, format!("{base}.crt"), 0o644)]
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Certificate => "certificate",
        Part::Key => "key",
        Part::Pair => "certificate and key",
        Part::PublicKey => "public key",
    }
}
