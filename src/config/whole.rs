//! A file judged or rewritten as a whole, whatever documents it holds.

use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Purpose;
use crate::config::Strictness;
use crate::config::documents;
use crate::config::documents::Documents;
use crate::config::documents::Unrelated;
use crate::config::environment::Environment;
use crate::config::load;
use crate::config::overrides::Overrides;
use crate::config::path::Path;
use crate::config::print::document;
use crate::config::release;
use crate::config::report::Report;
use crate::config::schema::V1BETA4;
use crate::config::single;
use crate::kube::yaml::to_stream;
use serde_json::Value;

const EVERYTHING: [&str; 8] = [
    load::INIT,
    load::CLUSTER,
    "KubeletConfiguration",
    "KubeProxyConfiguration",
    "Cluster",
    single::JOIN,
    single::RESET,
    single::UPGRADE,
];

/// `config validate`: strict, and unknown documents are errors. Gives the warnings of a good file.
pub fn validate_file(file: File<'_>, env: &Environment) -> Result<Vec<Issue>, Issues> {
    let mut report = Report::new(file.name);
    let mut documents =
        documents::read(&mut report, file.bytes, &EVERYTHING, Unrelated::Refused, Strictness::Strict);
    rewrite(&mut report, &mut documents, env, Purpose::Validate);
    report.finish(Some(())).map(|((), warnings)| warnings)
}

/// `config migrate`: the documents in the current version, all defaults filled in. Component configurations are
/// left out, as kubeadm leaves them out; a `Cluster` document is kept.
pub fn migrate(file: File<'_>, env: &Environment) -> Result<(String, Vec<Issue>), Issues> {
    let mut report = Report::new(file.name);
    let mut documents =
        documents::read(&mut report, file.bytes, &EVERYTHING, Unrelated::Refused, Strictness::Strict);
    // What is deprecated is the reason for being here.
    report.issues.retain(|issue| issue.is_error() || !issue.path.ends_with(".apiVersion"));
    let declared = report.roots.iter().find(|(kind, _)| kind == "Cluster").map(|(_, root)| root.to_json());
    for kind in ["KubeletConfiguration", "KubeProxyConfiguration"] {
        if documents.has(kind) {
            report.warning(
                &Path::root(kind),
                format!("the {kind} is left out: it has no older version to migrate"),
            );
        }
    }
    let mut rewritten = rewrite(&mut report, &mut documents, env, Purpose::Validate);
    rewritten.extend(declared);
    report.finish(Some(to_stream(&rewritten)))
}

/// kubeadm's documents with all defaults, in kubeadm's order.
fn rewrite(
    report: &mut Report,
    documents: &mut Documents,
    env: &Environment,
    purpose: Purpose,
) -> Vec<Value> {
    let mut out = Vec::new();
    let singles = [
        (single::JOIN, documents.take(single::JOIN)),
        (single::RESET, documents.take(single::RESET)),
        (single::UPGRADE, documents.take(single::UPGRADE)),
    ];
    if [load::INIT, load::CLUSTER, "Cluster"].iter().any(|kind| documents.has(kind)) {
        let rest = std::mem::take(documents);
        if let Some(loaded) = load::build(report, rest, true, env, &Overrides::default(), purpose) {
            out.push(document(&loaded.init, V1BETA4, load::INIT));
            out.push(document(&loaded.cluster.configuration, V1BETA4, load::CLUSTER));
        }
    }
    for (kind, object) in singles {
        let Some(object) = object else { continue };
        out.push(match kind {
            single::JOIN => document(&single::build_join(report, object, env), V1BETA4, kind),
            single::RESET => document(&single::build_reset(report, object, env), V1BETA4, kind),
            _ => document(&single::build_upgrade(report, object), V1BETA4, kind),
        });
    }
    out
}

/// The version label that must be looked up before loading, such as `stable-1`; `None` when a version is given, or
/// nothing.
pub fn version_label(file: Option<File<'_>>, overrides: &Overrides) -> Option<String> {
    let from_file = |file: File<'_>| {
        let (documents, _) = crate::config::yaml::read(file.name, file.bytes);
        documents
            .iter()
            .find(|document| document.root.get("kind").and_then(|kind| kind.text()) == Some(load::CLUSTER))
            .and_then(|document| Some(document.root.get("kubernetesVersion")?.text()?.to_owned()))
    };
    let given = match file {
        Some(file) => from_file(file),
        None => overrides.kubernetes_version.clone(),
    };
    given.as_deref().and_then(release::label).map(str::to_owned)
}
