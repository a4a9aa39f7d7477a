//! The operator's patches, by the names of their files: `kube-apiserver1+json.yaml`.

use crate::cluster::Patch;
use crate::cluster::PatchKind;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::issue::Severity;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::yaml;
use crate::config::yaml::Node;
use crate::config::yaml::Value;

pub const TARGETS: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubeletconfiguration",
    "corednsdeployment",
    "containerd",
];

/// The patches in the order in which they apply, and a warning for each file that is left out.
///
/// `files` are all files below the patches directory: path relative to it, and content.
pub fn parse(mut files: Vec<(String, Vec<u8>)>) -> Result<(Vec<Patch>, Vec<Issue>), Issues> {
    files.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    let mut patches = Vec::new();
    let mut issues = Vec::new();
    for (name, bytes) in files {
        let mut report = Report::new(&name);
        match naming(&name) {
            Naming::Patch(target, kind) => read(&mut report, &bytes, target, kind, &mut patches),
            Naming::Ignored(why) => {
                report.whole(Severity::Warning, format!("the file is ignored: {why}")).hint(
                    "TARGET[suffix][+strategic|+merge|+json].yaml or .json, such as kube-apiserver0+merge.yaml",
                );
            }
            Naming::BadType(word) => {
                report
                    .whole(Severity::Error, format!("`{word}` is not a type of patch"))
                    .hint("strategic, merge or json");
            }
        }
        issues.extend(report.issues);
    }
    let issues = Issues(issues);
    if issues.has_errors() { Err(issues) } else { Ok((patches, issues.0)) }
}

enum Naming {
    Patch(&'static str, PatchKind),
    Ignored(String),
    BadType(String),
}

fn naming(path: &str) -> Naming {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return Naming::Ignored("its name does not end in .yaml or .json".to_owned());
    };
    if !matches!(extension, "yaml" | "json") {
        return Naming::Ignored("its name does not end in .yaml or .json".to_owned());
    }
    let (base, kind) = stem.split_once('+').map_or((stem, None), |(base, kind)| (base, Some(kind)));
    let Some(target) = TARGETS.into_iter().find(|target| base.starts_with(target)) else {
        return Naming::Ignored(format!("its name does not begin with one of {}", TARGETS.join(", ")));
    };
    if base.contains(['.', '\n']) {
        return Naming::Ignored("a suffix cannot hold a dot".to_owned());
    }
    match kind {
        None | Some("strategic") => Naming::Patch(target, PatchKind::Strategic),
        Some("merge") => Naming::Patch(target, PatchKind::Merge),
        Some("json") => Naming::Patch(target, PatchKind::Json),
        Some(other) => Naming::BadType(other.to_owned()),
    }
}

fn read(report: &mut Report, bytes: &[u8], target: &str, kind: PatchKind, patches: &mut Vec<Patch>) {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        report.whole(Severity::Warning, "the file is ignored: it is empty");
        return;
    }
    let name = report.file.clone();
    let (documents, issues) = yaml::read_patches(&name, bytes);
    report.issues.extend(issues);
    for document in documents {
        if let Err(message) = fits(&document.root, kind) {
            let hint = match kind {
                PatchKind::Json => "- {op: replace, path: /spec/hostNetwork, value: true}",
                PatchKind::Merge | PatchKind::Strategic => {
                    "name the file with +json if it is a list of operations"
                }
            };
            report.at(Severity::Error, Some(document.root.at), &Path::root(""), message).hint(hint);
            continue;
        }
        patches.push(Patch {
            target: target.to_owned(),
            kind,
            value: document.root.to_json(),
            source: name.clone(),
        });
    }
}

fn fits(root: &Node, kind: PatchKind) -> Result<(), String> {
    match (kind, &root.value) {
        (PatchKind::Strategic | PatchKind::Merge, Value::Map(_)) => Ok(()),
        (PatchKind::Strategic | PatchKind::Merge, _) => {
            Err(format!("a patch of this type is a mapping, not {}", root.describe()))
        }
        (PatchKind::Json, Value::List(operations)) => {
            let whole = |operation: &Node| ["op", "path"].iter().all(|key| operation.get(key).is_some());
            match operations.iter().position(|operation| !whole(operation)) {
                Some(index) => Err(format!("operation {index} lacks op or path")),
                None => Ok(()),
            }
        }
        (PatchKind::Json, _) => Err(format!("a JSON patch is a list of operations, not {}", root.describe())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn files(files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn reads_names_types_and_order() {
        let (patches, warnings) = parse(files(&[
            ("kube-apiserver2+merge.yaml", "a: 1"),
            ("kube-apiserver10+json.json", "[{\"op\": \"add\", \"path\": \"/a\", \"value\": yes}]"),
            ("sub/etcd.yaml", "a: 1\n---\n# nothing\n---\nb: 2\n"),
            ("kubeletconfiguration0+strategic.yaml", "maxPods: 5"),
            ("corednsdeployment.yaml", "{}"),
            ("README.md", "x"),
            ("kubelet.yaml", "a: 1"),
            ("etcd-empty.yaml", " \n"),
        ]))
        .unwrap();
        let seen: Vec<_> = patches.iter().map(|p| (p.source.as_str(), p.target.as_str(), p.kind)).collect();
        assert_eq!(
            seen,
            [
                ("corednsdeployment.yaml", "corednsdeployment", PatchKind::Strategic),
                ("kube-apiserver10+json.json", "kube-apiserver", PatchKind::Json),
                ("kube-apiserver2+merge.yaml", "kube-apiserver", PatchKind::Merge),
                ("kubeletconfiguration0+strategic.yaml", "kubeletconfiguration", PatchKind::Strategic),
                ("sub/etcd.yaml", "etcd", PatchKind::Strategic),
                ("sub/etcd.yaml", "etcd", PatchKind::Strategic),
            ]
        );
        assert_eq!(patches[1].value, json!([{"op": "add", "path": "/a", "value": true}]));
        let ignored: Vec<&str> = warnings.iter().map(|issue| issue.file.as_str()).collect();
        assert_eq!(ignored, ["README.md", "etcd-empty.yaml", "kubelet.yaml"]);
    }

    #[test]
    fn refuses_what_is_no_patch() {
        for (name, text) in [
            ("etcd+jsn.yaml", "a: 1"),
            ("etcd+json.yaml", "a: 1"),
            ("etcd+json.yaml", "- {op: add}"),
            ("etcd.yaml", "- a"),
            ("etcd.yaml", "a: [1"),
        ] {
            let issues = parse(files(&[(name, text)])).unwrap_err();
            assert_eq!(issues.0.len(), 1, "{name} {text}");
        }
    }
}
