//! Certificates and keys: which files of the PKI go where.

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::rootless;
use crate::phase::rootless::Rights;
use crate::pki::CertName;
use crate::pki::Part;
use crate::pki::spec;
use crate::pki::spec::CertSpec;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;

/// Plans the files of the certificate that the sub-phase is named after. A certificate that the layout or an
/// external etcd does not have plans nothing; an authority whose key is kept elsewhere plans its certificate only, and
/// so does every authority on a host without a control plane, which signs nothing.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let specs = spec::specs(cx.cluster, node);
    let Some(spec) = specs.iter().find(|spec| spec.name.as_str() == phase) else { return Ok(Vec::new()) };
    let keyless =
        matches!(spec.name, CertName::Ca(ca) if cx.external.contains(&ca) || !node.is_control_plane());
    // The key before the certificate, as kubeadm writes them.
    let files = [
        (Part::Key, spec.paths.key.as_ref().filter(|_| !keyless), 0o600),
        (Part::Certificate, spec.paths.certificate.as_ref(), 0o644),
        (Part::PublicKey, spec.paths.public_key.as_ref(), 0o600),
    ];
    let rootless = cx.rootless(node)?;
    let rights = |part, mode| rootless::rights(rootless.as_ref(), spec.name, part, mode);
    Ok(files
        .into_iter()
        .filter_map(|(part, path, mode)| Some(draft(node, spec, part, path?, rights(part, mode))))
        .collect())
}

fn draft(node: &Node, spec: &CertSpec, part: Part, path: &str, rights: Rights) -> Draft {
    let what = match part {
        Part::Certificate => "certificate",
        Part::Key => "key",
        Part::Pair => "certificate and key",
        Part::PublicKey => "public key",
    };
    Draft::new(
        format!("{} {what}", spec.name),
        spec.name.long_name(),
        Action::File(FileSpec {
            path: path.to_owned(),
            mode: rights.mode,
            owner: rights.owner,
            content: Content::Pki { node: node.name.clone(), cert: spec.name, part },
            keep_existing: false,
        }),
    )
}
