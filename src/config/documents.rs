//! The documents of a file: which there are, and their checked content in the current version.

use crate::config::Strictness;
use crate::config::check::check;
use crate::config::convert;
use crate::config::issue::Severity;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::schema;
use crate::config::schema::Known;
use crate::config::suggest::nearest;
use crate::config::yaml;
use crate::config::yaml::Document;
use serde_json::Map;
use serde_json::Value;

pub(crate) type Object = Map<String, Value>;

/// What is done with documents that a command has no use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrelated {
    /// A warning, and the document is not read.
    Ignored,
    /// A known kind is read all the same, an unknown one is an error.
    Refused,
}

/// The documents of a file, each kind at most once.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    found: Vec<(&'static str, Object)>,
    /// `apiServer.timeoutForControlPlane` of a v1beta3 document, which has moved to another kind.
    pub control_plane_timeout: Option<Value>,
}

impl Documents {
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.found.iter().any(|(found, _)| *found == kind)
    }

    /// The content of a document; it can be taken once.
    pub(crate) fn take(&mut self, kind: &str) -> Option<Object> {
        let index = self.found.iter().position(|(found, _)| *found == kind)?;
        Some(self.found.swap_remove(index).1)
    }
}

/// Reads what a command wants of a file.
pub(crate) fn read(
    report: &mut Report,
    bytes: &[u8],
    wanted: &[&str],
    unrelated: Unrelated,
    strictness: Strictness,
) -> Documents {
    let (documents, issues) = yaml::read(&report.file, bytes);
    report.issues.extend(issues);
    let mut found = Documents::default();
    for document in documents {
        let Some((version, kind)) = identity(report, &document) else { continue };
        if report.roots.iter().any(|(known, _)| *known == kind) {
            let message = format!("kind \"{kind}\" is specified twice");
            report
                .at(Severity::Error, Some(document.at), &Path::root(&kind), message)
                .hint("merge the two documents");
            continue;
        }
        report.roots.push((kind.clone(), document.root.clone()));
        let path = Path::root(&kind);
        let Some(known) = recognise(report, &version, &kind, unrelated) else { continue };
        if unrelated == Unrelated::Ignored && !wanted.contains(&known.kind) {
            report
                .warning(&path, format!("the document {version} {kind} has no meaning here and is ignored"));
            continue;
        }
        let strictness =
            if known.api_version == schema::CLUSTER_VERSION { Strictness::Strict } else { strictness };
        let object = check(report, strictness, &document.root, known.schema, &path);
        let object = if known.api_version == schema::V1BETA3 {
            convert::from_v1beta3(known.kind, object, &mut found.control_plane_timeout)
        } else {
            object
        };
        found.found.push((known.kind, object));
    }
    found
}

fn identity(report: &mut Report, document: &Document) -> Option<(String, String)> {
    let text = |name: &str| document.root.get(name).and_then(yaml::Node::text).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version.contains('/') && !version.ends_with('/') && !kind.is_empty() {
        return Some((version, kind));
    }
    let missing = match (version.is_empty(), kind.is_empty()) {
        (true, true) => "apiVersion and kind are mandatory".to_owned(),
        (true, false) => format!("apiVersion is mandatory (kind is \"{kind}\")"),
        (false, true) => format!("kind is mandatory (apiVersion is \"{version}\")"),
        (false, false) => format!("apiVersion \"{version}\" has no group"),
    };
    let hint = match schema::KNOWN.iter().find(|known| known.kind == kind) {
        Some(known) => format!("a {kind} begins with `apiVersion: {}`", known.api_version),
        None => {
            "each document begins with apiVersion and kind, such as `apiVersion: kubeadm.k8s.io/v1beta4` and \
                 `kind: ClusterConfiguration`"
                .to_owned()
        }
    };
    report.at(Severity::Error, Some(document.at), &Path::root(""), missing).hint(hint);
    None
}

/// kubeadm releases that still read a version of its API.
const RETIRED: [(&str, &str); 5] = [
    ("kubeadm.k8s.io/v1alpha1", "v1.11"),
    ("kubeadm.k8s.io/v1alpha2", "v1.12"),
    ("kubeadm.k8s.io/v1alpha3", "v1.14"),
    ("kubeadm.k8s.io/v1beta1", "v1.15"),
    ("kubeadm.k8s.io/v1beta2", "v1.22"),
];

fn recognise(report: &mut Report, version: &str, kind: &str, unrelated: Unrelated) -> Option<&'static Known> {
    let path = Path::of(kind, "apiVersion");
    if let Some((_, kubeadm)) = RETIRED.iter().find(|(retired, _)| *retired == version) {
        let message = format!("the API version \"{version}\" (kind \"{kind}\") is too old to be read");
        let hint = format!(
            "rewrite it with kubeadm {kubeadm}: kubeadm config migrate --old-config OLD --new-config NEW"
        );
        report.error(&path, message).hint(hint);
        return None;
    }
    if let Some(known) = schema::find(version, kind) {
        if version == schema::V1BETA3 {
            let message = format!("the API version \"{version}\" (kind \"{kind}\") is deprecated");
            report.warning(&path, message).hint("`kubewright config migrate` rewrites the file");
        }
        return Some(known);
    }
    unknown(report, version, kind, unrelated);
    None
}

fn unknown(report: &mut Report, version: &str, kind: &str, unrelated: Unrelated) {
    let group = version.split('/').next().unwrap_or_default();
    let of_group =
        || schema::KNOWN.iter().filter(|known| known.api_version.starts_with(&format!("{group}/")));
    if let Some(known) = of_group().find(|known| known.kind == kind) {
        let message = format!("unsupported apiVersion \"{version}\" of {kind}");
        let hint = format!("convert it by hand to {} and try again", known.api_version);
        report.error(&Path::of(kind, "apiVersion"), message).hint(hint);
        return;
    }
    let near = nearest(kind, of_group().map(|known| known.kind));
    let of_kind = schema::KNOWN.iter().find(|known| known.kind == kind);
    let hint = match (near, of_kind) {
        (Some(near), _) => Some(format!("did you mean `kind: {near}`?")),
        (None, Some(known)) => Some(format!("a {kind} begins with `apiVersion: {}`", known.api_version)),
        (None, None) => None,
    };
    let path = Path::of(kind, if near.is_some() { "kind" } else { "apiVersion" });
    // A group that we know has nothing else to say: the word is a slip.
    let slip = of_group().next().is_some() || hint.is_some();
    let issue = if slip || unrelated == Unrelated::Refused {
        report.error(&path, format!("unknown configuration: {version} {kind}"))
    } else {
        report.warning(&path, format!("the document {version} {kind} has no meaning here and is ignored"))
    };
    issue.hint = hint;
}
