//! Files of API objects, as `kubectl apply -f` takes them.

use crate::config::File;
use crate::config::Issues;
use crate::config::issue::Severity;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::yaml;
use crate::config::yaml::Node;
use serde_json::Value;

/// The objects of a file in their order; those of lists one by one. Blank documents count for nothing.
///
/// # Errors
/// It cannot be read, or something in it is no API object; every problem is listed.
pub fn objects(file: File<'_>) -> Result<Vec<Value>, Issues> {
    let mut report = Report::new(file.name);
    let (documents, issues) = yaml::read_manifests(file.name, file.bytes);
    report.issues.extend(issues);
    let mut objects = Vec::new();
    for document in documents {
        let root = &document.root;
        if root.value == yaml::Value::Null {
            continue;
        }
        match items(root) {
            Some(items) => items.iter().for_each(|item| object(&mut report, item, &mut objects)),
            None => object(&mut report, root, &mut objects),
        }
    }
    if objects.is_empty() && !report.has_errors() {
        report.whole(Severity::Error, "there is no API object in the file").hint("is this the right file?");
    }
    report.finish(Some(objects)).map(|(objects, _)| objects)
}

/// What a list has in it; `None` where it is none.
fn items(root: &Node) -> Option<&[Node]> {
    let kind = root.get("kind").and_then(Node::text)?;
    match root.get("items").map(|items| &items.value) {
        Some(yaml::Value::List(items)) if kind.ends_with("List") => Some(items),
        _ => None,
    }
}

fn object(report: &mut Report, node: &Node, objects: &mut Vec<Value>) {
    let text = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default();
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::text);
    let missing = [
        ("apiVersion", text("apiVersion").is_empty()),
        ("kind", text("kind").is_empty()),
        ("metadata.name", name.unwrap_or_default().is_empty()),
    ];
    let missing: Vec<&str> =
        missing.into_iter().filter(|(_, missing)| *missing).map(|(field, _)| field).collect();
    if missing.is_empty() {
        objects.push(node.to_json());
        return;
    }
    report
        .at(
            Severity::Error,
            Some(node.at),
            &Path::root(text("kind")),
            format!("this is no API object: it has no {}", missing.join(" and no ")),
        )
        .hint("each document is an object with apiVersion, kind and metadata.name");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, Issues> {
        objects(File { name: "m.yaml", bytes: text.as_bytes() })
    }

    #[test]
    fn reads_documents_and_lists() {
        let text = "# a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n---\napiVersion: v1\n\
                    kind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: 'yes'}}\n\
                    - {apiVersion: v1, kind: Secret, metadata: {name: c}}\n";
        let found = read(text).unwrap();
        let names: Vec<&str> = found.iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(found[1]["data"]["x"], "yes");
    }

    #[test]
    fn says_what_is_no_object_and_where() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\n---\nkind: Pod\nspec: {}\n";
        assert!(
            said(text).contains(
                "m.yaml:5:1: error: this is no API object: it has no apiVersion and no metadata.name"
            ),
            "{}",
            said(text)
        );
        assert!(said("---\n# nothing\n").contains("there is no API object in the file"));
        assert!(said("a: [").starts_with("m.yaml:"));
    }
}
