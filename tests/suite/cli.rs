//! Every command from outside: exit codes, streams, bad input, and what render leaves in a directory.
#![expect(clippy::disallowed_methods, reason = "tests look at files and run shells")]

use crate::binary::Outcome;
use crate::binary::PROGRAM;
use crate::binary::fed;
use crate::binary::kubewright;
use crate::binary::run;
use crate::binary::shell;
use crate::skip::skip;
use kubewright::fetch::download;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A control plane that says everything that would otherwise be random or asked of this machine.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/limits.yaml");

const DRY_RUN: [&str; 6] = ["init", "--dry-run", "--ignore-preflight-errors", "all", "-f", CONFIG];

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

/// Whether a dry run finds nothing here that could be of a cluster, and may look; said where not.
fn bare_machine(test: &str) -> bool {
    let bare = match fs::read_dir("/etc/kubernetes") {
        Ok(mut entries) => entries.all(|entry| entry.unwrap().file_name() == "tmp"),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if !bare {
        skip(&format!("cli: {test}"), "this machine has something in /etc/kubernetes");
    }
    bare
}

/// An error: told to people, with nothing on standard output, and not a crash.
#[track_caller]
fn refused(outcome: &Outcome, code: i32, parts: &[&str], what: &str) {
    assert_eq!(outcome.code, code, "{what}: {}{}", outcome.out, outcome.err);
    assert_eq!(outcome.out, "", "{what}: standard output is for data");
    assert!(outcome.err.starts_with("error: "), "{what}: {}", outcome.err);
    assert!(!outcome.err.contains("panicked"), "{what}: {}", outcome.err);
    for part in parts {
        assert!(outcome.err.contains(part), "{what}: no {part:?} in\n{}", outcome.err);
    }
}

#[test]
fn prints_data_on_standard_output_alone() {
    let commands: [&[&str]; 15] = [
        &["--version"],
        &["version"],
        &["version", "-o", "short"],
        &["version", "-o", "json"],
        &["version", "-o", "yaml"],
        &["token", "generate"],
        &["certs", "certificate-key"],
        &["config", "print", "cluster"],
        &["config", "print", "init-defaults"],
        &["config", "print", "join-defaults"],
        &["config", "print", "reset-defaults"],
        &["config", "print", "upgrade-defaults"],
        &["config", "images", "list", "-f", CONFIG],
        &["config", "validate", "-f", CONFIG],
        &["config", "migrate", "--old-config", CONFIG],
    ];
    for command in commands {
        let outcome = kubewright(command);
        assert_eq!(outcome.code, 0, "{command:?}: {}", outcome.err);
        assert_eq!(outcome.err, "", "{command:?}");
        assert!(outcome.out.ends_with('\n') && outcome.out.len() > 1, "{command:?}: {:?}", outcome.out);
    }
}

#[test]
fn nothing_typed_shows_the_help_and_fails() {
    let outcome = kubewright(&[]);
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""));
    assert!(outcome.err.contains("Usage: kubewright"), "{}", outcome.err);
}

#[test]
fn versions_agree_with_each_other() {
    let json: Value = serde_json::from_str(&kubewright(&["version", "-o", "json"]).data()).unwrap();
    let short = kubewright(&["version", "-o", "short"]).data();
    assert_eq!(json["kubewright"], short.trim());
    assert_eq!(kubewright(&["--version"]).data(), format!("kubewright {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn fresh_secrets_have_their_form_and_are_fresh() {
    let letters = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let token = || kubewright(&["token", "generate"]).data();
    let key = || kubewright(&["certs", "certificate-key"]).data();
    let (id, secret) = token().trim().split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(id.len() == 6 && secret.len() == 16 && letters(&id) && letters(&secret), "{id}.{secret}");
    assert!(key().len() == 65 && key().trim().chars().all(|c| c.is_ascii_hexdigit()));
    assert_ne!(token(), token());
    assert_ne!(key(), key());
}

#[test]
fn judges_what_it_prints_as_good() {
    for what in ["cluster", "init-defaults", "join-defaults", "reset-defaults", "upgrade-defaults"] {
        let printed = kubewright(&["config", "print", what]).data();
        let outcome = fed(&["config", "validate", "-f", "-"], printed.as_bytes());
        assert_eq!(outcome.out, "ok\n", "{what}: {}", outcome.err);
    }
}

#[test]
fn migrating_what_was_migrated_changes_nothing() {
    let once = kubewright(&["config", "migrate", "--old-config", CONFIG]).data();
    let twice = fed(&["config", "migrate", "--old-config", "-"], once.as_bytes()).data();
    assert_eq!(once, twice);
}

#[test]
fn lists_images_in_three_forms() {
    let list = |form: &str| kubewright(&["config", "images", "list", "-f", CONFIG, "-o", form]).data();
    let images: Vec<String> = list("text").lines().map(str::to_owned).collect();
    let json: Value = serde_json::from_str(&list("json")).unwrap();
    let yaml: Value = serde_yaml::from_str(&list("yaml")).unwrap();
    assert!(images.iter().any(|image| image == "registry.k8s.io/kube-apiserver:v1.36.2"), "{images:?}");
    assert_eq!(json["images"], serde_json::json!(images));
    assert_eq!(json, yaml);
}

#[test]
fn refuses_command_lines_that_make_no_sense() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&["inti"], &["unrecognized subcommand 'inti'", "'init'"]),
        (&["init", "phase", "cert"], &["'certs'"]),
        (&["init", "phase", "certs", "apisrver"], &["'apiserver'"]),
        (&["init", "--dry-run", "--skip-phases", "adon"], &["invalid phase name: adon", "`addon`"]),
        (&["init", "--dyr-run"], &["'--dry-run'"]),
        (&["init", "--pki-layout", "four"], &["five, kubeadm"]),
        (&["init", "--apiserver-bind-port", "65536"], &["65536"]),
        (&["render", "--output-dir", "x"], &["--config <FILE>"]),
        (&["render", "--example", "-f", CONFIG, "--output-dir", "x"], &["cannot be used with"]),
        (&["plan", "-o", "xml"], &["text, json"]),
        (&["version", "--quiet", "--verbose"], &["cannot be used with"]),
        (&["completions", "tcsh"], &["bash", "zsh", "fish"]),
    ];
    for (args, parts) in cases {
        refused(&kubewright(args), 2, parts, &args.join(" "));
    }
}

#[test]
fn every_command_gets_a_man_page_that_man_can_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("man1");
    let listed = kubewright(&["completions", "--man", path.to_str().unwrap()]).data();
    assert!(listed.lines().count() > 40, "{listed}");
    for name in ["kubewright", "kubewright-apply", "kubewright-token-create", "kubewright-init-phase"] {
        let page = text(path.join(format!("{name}.1")).to_str().unwrap());
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let read = Command::new("man").arg("--warnings").arg(path.join("kubewright.1")).output();
    match read {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.is_empty() && !output.stdout.is_empty(), "{said}");
        }
        _ => skip("every_command_gets_a_man_page_that_man_can_read", "no man on this machine"),
    }
}

/// Files that are no configuration, with what must be said of them.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = text(CONFIG);
    vec![
        ("empty.yaml", Vec::new(), "empty"),
        ("malformed.yaml", b"kind: [InitConfiguration\n".to_vec(), "not valid YAML"),
        ("truncated.yaml", whole[..whole.find("kubernetesVersion").unwrap() + 8].into(), "truncated.yaml:"),
        ("binary.yaml", b"\x7fELF\x02\x01\x01\0\0\xff\xfe".repeat(100), "not text"),
        ("huge.yaml", b"- a\n".repeat(1 << 20), "bytes"),
        ("deep.yaml", "[".repeat(100_000).into(), "deep.yaml"),
        ("list.yaml", b"- InitConfiguration\n".to_vec(), "list.yaml"),
        (
            "kind.yaml",
            b"apiVersion: kubeadm.k8s.io/v1beta4\nkind: IntiConfiguration\n".to_vec(),
            "IntiConfiguration",
        ),
        ("group.yaml", b"apiVersion: example.com/v1\nkind: Bar\n".to_vec(), "group.yaml"),
        (
            "version.yaml",
            b"apiVersion: kubeadm.k8s.io/v1beta9\nkind: InitConfiguration\n".to_vec(),
            "v1beta9",
        ),
        ("field.yaml", whole.replace("podSubnet", "podSubnets").into(), "did you mean `podSubnet`"),
    ]
}

#[test]
fn every_command_refuses_every_broken_file_and_writes_nothing() {
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out").display().to_string();
    let commands: [&[&str]; 8] = [
        &["config", "validate", "-f"],
        &["config", "images", "list", "-f"],
        &["config", "migrate", "--new-config", &out, "--old-config"],
        &["render", "--output-dir", &out, "-f"],
        &["plan", "-f"],
        &["preflight", "-f"],
        &["init", "--dry-run", "-f"],
        &["certs", "generate-csr", "--cert-dir", &out, "--kubeconfig-dir", &out, "-f"],
    ];
    for (name, content, part) in broken() {
        let file = scratch.path().join(name).display().to_string();
        fs::write(&file, content).unwrap();
        for command in commands {
            // kubeadm warns of unknown fields except where files are judged; so do we.
            if name == "field.yaml" && command[..2] != ["config", "validate"] {
                continue;
            }
            let args = [command, &[&file]].concat();
            refused(&kubewright(&args), 3, &[part], &args.join(" "));
            assert!(!Path::new(&out).exists(), "{args:?} left something behind");
        }
    }
}

#[test]
fn refuses_files_that_are_none() {
    let scratch = TempDir::new().unwrap();
    let directory = scratch.path().display().to_string();
    for (file, part) in
        [("/nonexistent/cluster.yaml", "there is no file"), (&*directory, "not a regular file")]
    {
        for command in [&["config", "validate", "-f", file][..], &["plan", "-f", file], &["init", "-f", file]]
        {
            refused(&kubewright(command), 3, &[part, file], &command.join(" "));
        }
    }
}

#[test]
fn a_file_and_flags_for_the_same_things_do_not_mix() {
    let outcome = kubewright(&["init", "--dry-run", "-f", CONFIG, "--pod-network-cidr", "10.0.0.0/16"]);
    refused(&outcome, 3, &["can not mix '--config'", "pod-network-cidr", "hint: "], "mix");
}

/// What others wrote is read from where the file says, and is what its checksum says, before anything is planned.
#[test]
fn a_manifest_is_what_its_checksum_says() {
    let scratch = TempDir::new().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/manifests/calico.yaml");
    let digest = download::sha256_of(Path::new(fixture)).unwrap();
    let missing = scratch.path().join("none.yaml");
    let stock = scratch.path().join("stock");
    fs::create_dir_all(stock.join("manifests")).unwrap();
    fs::copy(fixture, stock.join("manifests/calico.yaml")).unwrap();
    let here = |path: &str| format!("{{file: {path}, sha256: {digest}}}");
    let url = format!("{{url: https://mirror.invalid/calico.yaml, sha256: {digest}}}");
    let local = format!("  artifacts: {{directory: {}}}\n", stock.display());
    let elsewhere = url.replace("calico.yaml", "other.yaml");
    for (manifest, more, code, said) in [
        (here(fixture), "", 0, String::new()),
        (
            here(fixture).replace(&digest, &"ab".repeat(32)),
            "",
            3,
            format!("has the SHA-256 {digest}, and abab"),
        ),
        (here(&missing.display().to_string()), "", 3, "there is no file".to_owned()),
        (url, local.as_str(), 0, String::new()),
        (elsewhere, local.as_str(), 3, "there is no other.yaml in".to_owned()),
        (
            here(fixture),
            "  addons: {manifests: [{name: own, sources: [{file: /etc}]}]}\n",
            3,
            "not a regular file".to_owned(),
        ),
    ] {
        let config = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: prod}}\nspec:\n  hosts:\n\
             \x20 - {{name: cp1, address: 192.0.2.11, roles: [control-plane]}}\n\
             \x20 network: {{cni: {{provider: calico, manifest: {manifest}}}}}\n{more}---\n\
             apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n\
             networking: {{podSubnet: 10.244.0.0/16}}\n"
        );
        let outcome = fed(&["config", "images", "list", "-f", "-"], config.as_bytes());
        assert_eq!(outcome.code, code, "{manifest}: {}", outcome.err);
        assert!(outcome.err.contains(&said), "no {said:?} in\n{}", outcome.err);
        assert_eq!(outcome.out.contains("quay.io/calico/node:v3.32.1"), code == 0, "{}", outcome.out);
    }
}

#[test]
fn another_hosts_configuration_is_refused_by_name() {
    if !bare_machine("another_hosts_configuration_is_refused_by_name") {
        return;
    }
    let example = kubewright(&["config", "print", "cluster"]).data();
    let outcome = fed(&["plan", "--node-name", "cp9", "--config", "-"], example.as_bytes());
    refused(&outcome, 3, &["this host is `cp9`", "cp1, cp2, cp3", "--node-name"], "cp9");
    let own = fed(&["plan", "--node-name", "cp2", "--config", "-"], example.as_bytes());
    assert!(own.code == 0 && own.out.contains("certs/ca: cp2") && !own.out.contains(": cp1"), "{}", own.err);
}

/// kubeadm's order: what the host lacks comes before a search for the cluster that may take minutes.
#[test]
fn a_host_that_cannot_join_says_so_before_the_cluster_is_found() {
    let args = [
        "join",
        "127.0.0.1:1",
        "--token",
        "abcdef.0123456789abcdef",
        "--discovery-token-unsafe-skip-ca-verification",
        "--cri-socket",
        "unix:///nowhere/runtime.sock",
    ];
    let outcome = kubewright(&args);
    assert_eq!((outcome.code, outcome.out.as_str()), (4, ""), "{}", outcome.err);
    for part in ["[ERROR ", "error: preflight checks failed", "the cluster was not looked at"] {
        assert!(outcome.err.contains(part), "no {part:?} in\n{}", outcome.err);
    }
}

#[test]
fn json_lines_are_all_of_standard_output() {
    if !bare_machine("json_lines_are_all_of_standard_output") {
        return;
    }
    let outcome = kubewright(&[&DRY_RUN[..], &["--progress", "json", "--diff"]].concat());
    let events: Vec<Value> = outcome.data().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["schema"] == 1 && event["event"].is_string()));
    assert_eq!(events.first().unwrap()["event"], "run-started");
    let last = events.last().unwrap();
    assert_eq!(last["event"], "run-finished");
    let finished = events.iter().filter(|event| event["event"] == "step-finished");
    assert_eq!(events[0]["steps"], finished.count());
    assert!(last["totals"]["wouldChange"].as_u64().unwrap() > 0 && last["totals"]["changed"] == 0, "{last}");
}

#[test]
fn a_plan_is_the_same_each_time_and_a_dry_run_says_the_same() {
    if !bare_machine("a_plan_is_the_same_each_time_and_a_dry_run_says_the_same") {
        return;
    }
    let plan = |form: &str| kubewright(&["plan", "-f", CONFIG, "-o", form]).data();
    assert_eq!(plan("text"), plan("text"));
    let json: Value = serde_json::from_str(&plan("json")).unwrap();
    assert_eq!(json["schema"], 1);
    let dry_run = kubewright(&[&DRY_RUN[..], &["--progress", "json"]].concat()).data();
    let last: Value = serde_json::from_str(dry_run.lines().last().unwrap()).unwrap();
    assert_eq!(json["totals"], last["totals"]);
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    if !bare_machine("nothing_that_is_shown_holds_a_secret") {
        return;
    }
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("secret.yaml");
    let key = "5ec4e7".repeat(11)[..64].to_owned();
    let config =
        text(CONFIG).replacen("localAPIEndpoint:", &format!("certificateKey: {key}\nlocalAPIEndpoint:"), 1);
    fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    let shown: [&[&str]; 5] = [
        &["plan", "--diff", "--explain", "--upload-certs", "-f", file],
        &["plan", "-o", "json", "--upload-certs", "-f", file],
        &[
            "init",
            "--dry-run",
            "--diff",
            "--explain",
            "--upload-certs",
            "--ignore-preflight-errors",
            "all",
            "-f",
            file,
        ],
        &[
            "init",
            "--dry-run",
            "--progress",
            "json",
            "--diff",
            "--ignore-preflight-errors",
            "all",
            "-f",
            file,
        ],
        &["preflight", "-o", "json", "--config", file],
    ];
    for args in shown {
        let Outcome { code, out, err } = kubewright(args);
        assert!([0, 4].contains(&code), "{args:?}: {err}");
        let all = out + &err;
        for secret in ["0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg", &*key, "PRIVATE KEY-----"] {
            assert!(!all.contains(secret), "{args:?} shows {secret}");
        }
    }
}

#[test]
fn quiet_says_only_what_matters() {
    if !bare_machine("quiet_says_only_what_matters") {
        return;
    }
    let outcome = kubewright(&[&DRY_RUN[..], &["--quiet"]].concat());
    assert_eq!((outcome.code, outcome.out.as_str()), (0, ""));
    assert!(!outcome.err.contains("certs/ca"), "{}", outcome.err);
    let loud = kubewright(&[&DRY_RUN[..], &["--verbose"]].concat());
    assert!(loud.err.contains("[certs/ca]"), "{}", loud.err);
}

/// Runs the program on a terminal, which `script` makes.
fn on_a_terminal(variables: &[(&str, &str)], flags: &str) -> String {
    let line = format!("{PROGRAM} {} {flags}", DRY_RUN.join(" "));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    // `run` takes away what the caller's terminal says; what the test says comes back through `env`.
    let mut with = Command::new("env");
    with.arg("TERM=xterm").args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    with.arg(command.get_program()).args(command.get_args());
    run(&mut with, b"").data()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    if !bare_machine("colours_are_for_terminals_that_want_them") {
        return;
    }
    let coloured = |text: &str| text.contains("\u{1b}[3") || text.contains("\u{1b}[1m");
    let plain = kubewright(&DRY_RUN);
    assert!(!coloured(&plain.err));
    assert!(coloured(&kubewright(&[&DRY_RUN[..], &["--color", "always"]].concat()).err));
    assert!(coloured(&on_a_terminal(&[], "--progress plain")));
    assert!(!coloured(&on_a_terminal(&[("NO_COLOR", "1")], "--progress plain")));
    assert!(!coloured(&on_a_terminal(&[], "--progress plain --color never")));
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let scratch = TempDir::new().unwrap();
    let outcome = shell(
        "kubewright config print cluster | head -n 1; kubewright plan --help | head -n 1",
        scratch.path(),
    );
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
    assert_eq!(outcome.out.lines().count(), 2, "{}", outcome.out);
}

#[test]
fn shells_can_read_their_completions() {
    let scratch = TempDir::new().unwrap();
    for shell_name in ["bash", "zsh", "fish"] {
        let script = kubewright(&["completions", shell_name]).data();
        assert!(script.contains("kubewright") && script.contains("preflight"), "{shell_name}");
        if !["/bin", "/usr/bin"].iter().any(|folder| Path::new(folder).join(shell_name).exists()) {
            skip(&format!("cli: completions of {shell_name}"), &format!("there is no {shell_name}"));
            continue;
        }
        let file = scratch.path().join(shell_name);
        fs::write(&file, script).unwrap();
        let outcome = run(Command::new(shell_name).arg("-n").arg(&file), b"");
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{shell_name}");
    }
}

#[test]
fn an_unreachable_container_runtime_is_the_hosts_fault() {
    let args = [
        "config",
        "images",
        "pull",
        "--kubernetes-version",
        "v1.36.2",
        "--cri-socket",
        "unix:///nonexistent.sock",
    ];
    refused(&kubewright(&args), 6, &["nonexistent.sock"], "pull");
}

#[test]
fn signing_requests_are_made_once() {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("pki").display().to_string();
    let args = ["certs", "generate-csr", "-f", CONFIG, "--cert-dir", &folder, "--kubeconfig-dir", &folder];
    let printed = kubewright(&args).data();
    assert!(printed.contains("pki/apiserver\n") && printed.contains("pki/admin.conf\n"), "{printed}");
    for (path, (mode, _)) in tree(Path::new(&folder)) {
        assert_eq!(mode, 0o600, "{path}");
    }
    // What exists is kept, as kubeadm keeps it.
    let before = tree(Path::new(&folder));
    let again = kubewright(&args);
    assert_eq!(before, tree(Path::new(&folder)), "{}", again.err);
}

/// Every file below a directory: its mode and its content; a link as its target.
fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                found.insert(name, (0, fs::read_link(&path).unwrap().display().to_string().into_bytes()));
            } else {
                found.insert(name, (kind.permissions().mode() & 0o7777, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn render_example(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let outcome = kubewright(&["render", "--example", "--output-dir", root.to_str().unwrap()]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, ""), "{}", outcome.err);
    tree(root)
}

#[test]
fn renders_every_host_with_modes_that_keep_keys() {
    let scratch = TempDir::new().unwrap();
    let root = scratch.path().join("rendered");
    let files = render_example(&root);
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o7777, 0o700);
    let hosts: BTreeSet<&str> =
        files.keys().filter_map(|path| path.strip_prefix("hosts/")?.split('/').next()).collect();
    assert_eq!(hosts, BTreeSet::from(["cp1", "cp2", "cp3", "w1", "w2"]));
    for (path, (mode, content)) in &files {
        let secret = String::from_utf8_lossy(content).contains("PRIVATE KEY-----")
            || String::from_utf8_lossy(content).contains("client-key-data");
        assert!(!secret || *mode == 0o600, "{path}: {mode:o}");
        let certificate = Path::new(path).extension().is_some_and(|end| end == "crt");
        assert!(!certificate || *mode == 0o644, "{path}: {mode:o}");
    }
    for file in ["pki/ca.key", "pki/etcd/peer-ca.key", "admin.conf", "manifests/kube-apiserver.yaml"] {
        assert!(files.contains_key(&format!("hosts/cp1/etc/kubernetes/{file}")), "{file}");
    }
    let shared = |host: &str| &files[&format!("hosts/{host}/etc/kubernetes/pki/ca.crt")];
    assert_eq!(shared("cp1"), shared("cp3"), "one cluster has one CA");
}

/// What may differ from one rendering to the next: keys, certificates, the token and its end.
fn masked(files: BTreeMap<String, (u32, Vec<u8>)>) -> BTreeMap<String, (u32, String)> {
    let token =
        files.keys().find_map(|path| path.split_once("bootstrap-token-")?.1.get(..6)).unwrap().to_owned();
    let secret = [
        "certificate-authority-data:",
        "client-certificate-data:",
        "client-key-data:",
        "expiration:",
        "jws-kubeconfig-tokenid:",
        "token-secret:",
        "token-id:",
        "auth-extra-groups:",
    ];
    let line = |line: &str| match secret.iter().find(|field| line.contains(**field)) {
        Some(field) => format!("{}{field} masked\n", line.split(field).next().unwrap()),
        None => format!("{line}\n"),
    };
    let of = |path: String, mode: u32, content: &[u8]| {
        let pki = [".crt", ".key", ".pem", ".pub"].iter().any(|end| path.ends_with(end));
        let text = String::from_utf8(content.to_vec()).unwrap().replace(&token, "tokenid");
        let whole = if pki && mode != 0 { "masked".to_owned() } else { text.lines().map(line).collect() };
        (path.replace(&token, "tokenid"), (mode, whole))
    };
    files.into_iter().map(|(path, (mode, content))| of(path, mode, &content)).collect()
}

#[test]
fn renders_the_same_twice_but_for_secrets() {
    let scratch = TempDir::new().unwrap();
    let one = render_example(&scratch.path().join("one"));
    let two = render_example(&scratch.path().join("two"));
    let key = "hosts/cp1/etc/kubernetes/pki/ca.key";
    assert_ne!(one[key], two[key], "keys are fresh");
    let (one, two) = (masked(one), masked(two));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (path, content) in &one {
        assert_eq!(content, &two[path], "{path}");
    }
}

#[test]
fn renders_only_into_an_empty_directory_unless_forced() {
    let scratch = TempDir::new().unwrap();
    fs::write(scratch.path().join("mine"), "").unwrap();
    let args = ["render", "-f", CONFIG, "--output-dir", scratch.path().to_str().unwrap()];
    refused(&kubewright(&args), 2, &["is not empty", "--force"], "render");
    assert_eq!(tree(scratch.path()).len(), 1);
    assert_eq!(kubewright(&[&args[..], &["--force"]].concat()).code, 0);
    assert!(tree(scratch.path()).len() > 40);
}
