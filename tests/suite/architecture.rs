//! The house as ARCHITECTURE.md describes it: which folder may use which, and that nothing is left lying about.

use crate::skip::skip;
use crate::support::text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// Each folder (or file) of `src`, and those that it may use beside itself.
const MAY_USE: [(&str, &[&str]); 30] = [
    ("cluster", &[]),
    ("ansible", &["cluster"]),
    ("clock", &[]),
    ("template", &[]),
    // How the inventory says that a host is reached.
    ("host", &["cluster"]),
    ("report", &[]),
    ("status", &["report"]),
    ("artifact", &["cluster"]),
    // YAML is written as Kubernetes reads it.
    ("lab", &["cluster", "kube"]),
    ("fetch", &["cluster"]),
    // Kubernetes' reading of YAML is shared with the writer.
    ("config", &["cluster", "kube", "lab"]),
    ("grpc", &["host"]),
    ("cri", &["grpc", "host"]),
    ("etcd", &["grpc", "host"]),
    ("facts", &["clock", "cluster", "cri", "etcd", "host"]),
    // A plan names certificates, and the bundle gives them out as a plan names them.
    ("pki", &["cluster", "plan"]),
    ("plan", &["cluster", "host", "pki"]),
    ("api", &["grpc", "host", "plan"]),
    ("kube", &["cluster", "facts", "pki", "plan", "template"]),
    // What is fetched is read by `config`; credentials are written as `pki` and `kube` write them.
    ("discovery", &["api", "clock", "cluster", "config", "host", "kube", "pki", "plan", "report"]),
    ("preflight", &["cluster", "facts", "plan"]),
    // What an earlier run wrote down is a fact for `reset`.
    ("phase", &["apply", "artifact", "cluster", "etcd", "facts", "host", "kube", "pki", "plan", "template"]),
    ("apply", &["api", "clock", "cluster", "etcd", "facts", "host", "pki", "plan", "report"]),
    ("lock", &["host"]),
    // What is failed, and how it is looked at, are commands; where a manifest lies, `kube` knows.
    ("endpoint", &["cluster", "host", "kube", "plan", "report"]),
    ("network", &["cluster", "facts", "host", "kube", "report"]),
    // A digest is what the receipt takes for one.
    ("review", &["apply", "etcd", "host", "plan", "report"]),
    (
        "cli",
        &[
            "ansible",
            "api",
            "apply",
            "artifact",
            "clock",
            "cluster",
            "config",
            "cri",
            "discovery",
            "endpoint",
            "etcd",
            "facts",
            "fetch",
            "host",
            "kube",
            "lab",
            "lock",
            "network",
            "phase",
            "pki",
            "plan",
            "preflight",
            "report",
            "review",
            "status",
            "template",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Folders in which nothing is read, written, run or asked: of `host` they may name a command, and nothing else.
const PURE: [&str; 13] = [
    "ansible",
    "artifact",
    "cluster",
    "config",
    "endpoint",
    "kube",
    "lab",
    "network",
    "phase",
    "pki",
    "plan",
    "preflight",
    "status",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files of a folder with their path below it.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join(folder);
    let files =
        text::files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files.map(|path| (path.strip_prefix(&folder).unwrap().to_owned(), text::read(&path))).collect()
}

/// The folder of `src` that a file belongs to; a file beside the folders is one of its own.
fn folder(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What follows each `crate::` of a line: `host::Command`. Comments name whatever they like.
fn used(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
        rest[..end].trim_end_matches(':')
    })
}

/// Every use of one folder by another, with its place.
fn uses() -> Vec<(String, String, String)> {
    let mut uses = Vec::new();
    for (path, source) in sources("src") {
        for (number, line) in source.lines().enumerate() {
            for name in used(line) {
                uses.push((folder(&path), name.to_owned(), format!("src/{}:{}", path.display(), number + 1)));
            }
        }
    }
    assert!(uses.len() > 500, "only {} uses were found", uses.len());
    uses
}

#[test]
fn folders_use_only_what_they_may() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut wrong = Vec::new();
    for (from, name, place) in uses() {
        let to = name.split("::").next().unwrap().to_owned();
        if to == from {
            continue;
        }
        let allowed = table.get(from.as_str()).unwrap_or_else(|| panic!("{from} is not in the table"));
        if !allowed.contains(&to.as_str()) {
            wrong.push(format!("{place}: {from} uses {to}"));
        }
        seen.insert((from, to));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // `cli` may use everything; elsewhere a permission that nobody needs is no rule.
    for (from, allowed) in table.iter().filter(|(from, _)| **from != "cli") {
        for to in *allowed {
            assert!(seen.contains(&((*from).to_owned(), (*to).to_owned())), "{from} does not use {to}");
        }
    }
}

#[test]
fn pure_folders_name_commands_and_run_none() {
    let values = ["host::Command", "host::command"];
    let impure = |(from, name, _): &(String, String, String)| {
        let is_value = values.iter().any(|value| name == value || name.starts_with(&format!("{value}::")));
        PURE.contains(&from.as_str()) && name.starts_with("host::") && !is_value
    };
    let wrong: Vec<String> =
        uses().into_iter().filter(impure).map(|(_, name, place)| format!("{place}: {name}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let running = [".run(", "Instant::now", "now_utc", "SystemRandom"];
    for (path, source) in sources("src").into_iter().filter(|(path, _)| PURE.contains(&folder(path).as_str()))
    {
        // Keys come from the operating system's generator, behind the one trait in `pki`.
        let judged = source.split("#[cfg(test)]").next().unwrap();
        let found = running.iter().find(|word| judged.contains(**word));
        let generator = path.starts_with("pki") && found == Some(&"SystemRandom");
        assert!(found.is_none() || generator, "src/{}: {found:?}", path.display());
    }
}

#[test]
fn uses_are_found() {
    let found = |line| used(line).collect::<Vec<_>>();
    assert_eq!(found("use crate::host::Command;"), ["host::Command"]);
    assert_eq!(found("    crate::a::b(crate::c::D { x })"), ["a::b", "c::D"]);
    assert_eq!(found("pub(crate) fn x() // crate::y"), Vec::<&str>::new());
    assert_eq!(found("/// [`crate::api`]"), Vec::<&str>::new());
}

#[test]
fn every_file_of_the_suite_is_one_of_its_modules() {
    let sources: BTreeMap<PathBuf, String> = sources("tests/suite").into_iter().collect();
    for path in sources.keys().filter(|path| **path != Path::new("main.rs")) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let (name, folder) = match stem {
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
            stem => (stem, folder),
        };
        let mut parents = vec![folder.join("mod.rs"), folder.with_extension("rs")];
        if folder == Path::new("") {
            parents = vec![PathBuf::from("main.rs")];
        }
        let declared = |parent: &PathBuf| {
            let lines = sources.get(parent)?.lines();
            lines.map(str::trim).find(|line| line.ends_with(&format!("mod {name};")))
        };
        assert!(
            parents.iter().any(|parent| declared(parent).is_some()),
            "nobody declares {}",
            path.display()
        );
    }
}

#[test]
fn the_documents_name_every_folder() {
    let text = text::read(&root().join("ARCHITECTURE.md"));
    let named: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split_once('`'))
        .map(|(folder, _)| folder)
        .collect();
    let folders: BTreeSet<String> = sources("src")
        .iter()
        .filter(|(path, _)| path.components().count() > 1)
        .map(|(path, _)| folder(path))
        .collect();
    assert_eq!(named, folders.iter().map(String::as_str).collect());
    let readme = root().join("README.md");
    if !readme.is_file() {
        skip(
            "the_documents_name_every_folder",
            "there is no README.md yet to be compared with the folders of src",
        );
        return;
    }
    // README.md may leave folders to ARCHITECTURE.md, but names none that does not exist.
    let readme = text::read(&readme);
    for rest in readme.split("`src/").skip(1) {
        let folder = rest.split(['/', '`']).next().unwrap();
        assert!(folders.contains(folder), "README.md speaks of src/{folder}, which does not exist");
    }
}
