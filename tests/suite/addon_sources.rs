//! Where add-ons come from: downloads, copies and charts, from outside, and what is said when one cannot be had.
#![expect(clippy::disallowed_methods, reason = "tests put programs and files where the program finds them")]

use crate::binary::Outcome;
use crate::binary::PROGRAM;
use crate::binary::run;
use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use tempfile::TempDir;

/// A cluster with these add-ons.
fn configuration(addons: &str) -> String {
    format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: prod}}\nspec:\n  hosts:\n\
         \x20 - {{name: cp1, address: 192.0.2.11, roles: [control-plane]}}\n  addons:\n{addons}---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n\
         networking: {{podSubnet: 10.244.0.0/16}}\n"
    )
}

/// The images of a cluster with these add-ons, as a machine lists them that has its downloads and programs in `home`.
fn images(addons: &str, home: &Path) -> Outcome {
    let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", home.display());
    let mut command = Command::new(PROGRAM);
    command.args(["config", "images", "list", "-f", "-"]).current_dir(home);
    command.env("HOME", home).env("XDG_CACHE_HOME", home).env("PATH", path);
    run(&mut command, configuration(addons).as_bytes())
}

/// Answers every request with this status and body, at the address that it returns.
fn serve(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}/more.yaml")
}

const OBJECT: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: r.example.com/p:1}]}\n";

#[test]
fn a_download_that_cannot_be_had_says_why() {
    let home = TempDir::new().unwrap();
    let digest = kubewright::apply::receipt::sha256(OBJECT.as_bytes());
    let digest = digest.trim_start_matches("sha256:");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, sha256, said) in [
        (serve("200 OK", OBJECT), digest, ""),
        (serve("200 OK", "kind: Other\n"), "", "is wanted; it was thrown away"),
        (serve("404 Not Found", ""), "", "answered with 404; is the version right, and the mirror complete?"),
        (format!("http://{closed}/more.yaml"), "", "cannot download http://127.0.0.1"),
    ] {
        let sha256 = if sha256.is_empty() { "ab".repeat(32) } else { sha256.to_owned() };
        let addons =
            format!("    manifests: [{{name: own, sources: [{{url: \"{url}\", sha256: {sha256}}}]}}]\n");
        let outcome = images(&addons, home.path());
        if said.is_empty() {
            assert!(outcome.data().ends_with("\nr.example.com/p:1\n"));
            continue;
        }
        assert_eq!((outcome.code, outcome.out.as_str()), (3, ""), "{url}: {}", outcome.err);
        assert!(outcome.err.contains(said), "{url}: {}", outcome.err);
    }
}

#[test]
fn an_image_that_no_archive_has_is_told() {
    let home = TempDir::new().unwrap();
    let stock = home.path().join("stock/images");
    fs::create_dir_all(&stock).unwrap();
    let contents = r#"[{"RepoTags": ["registry.k8s.io/metrics-server/metrics-server:v0.9.0"]}]"#;
    fs::write(home.path().join("manifest.json"), contents).unwrap();
    let archive = stock.join("metrics-server.tar");
    let mut pack = Command::new("tar");
    pack.args(["--format=ustar", "-cf"]).arg(archive).arg("manifest.json").current_dir(home.path());
    assert!(pack.status().unwrap().success());
    let text = configuration("    metricsServer: {}\n    headlamp: {}\n");
    let text = text.replacen(
        "  hosts:\n",
        &format!("  artifacts: {{directory: {}/stock}}\n  hosts:\n", home.path().display()),
        1,
    );
    fs::write(home.path().join("cluster.yaml"), text).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["render", "-f", "cluster.yaml", "--output-dir", "out"]).current_dir(home.path());
    let outcome = run(&mut command, b"");
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let warning = outcome.err.lines().find(|line| line.contains("no archive in")).unwrap();
    assert!(warning.contains("ghcr.io/headlamp-k8s/headlamp:v0.45.0"), "{warning}");
    assert!(!warning.contains("metrics-server"), "{warning}");
}

/// Puts a program of this name into a directory.
fn program(home: &Path, name: &str, script: &str) {
    let path = home.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const CHART: &str = "    charts:\n    - name: shop\n      chart: shop\n      repository: https://charts.example.com\n\
                     \x20     version: 1.2.3\n      valuesFile: more.yaml\n      values: {password: very-secret}\n";

#[test]
fn helm_renders_the_charts() {
    let home = TempDir::new().unwrap();
    program(
        home.path(),
        "helm",
        "echo \"$*\" >args; cat >values\nprintf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: p}\\n\
         spec: {containers: [{name: c, image: r.example.com/shop:1}]}\\n'",
    );
    let listed = images(CHART, home.path()).data();
    assert!(listed.ends_with("\nr.example.com/shop:1\n"), "{listed}");
    assert_eq!(
        fs::read_to_string(home.path().join("args")).unwrap(),
        "template shop shop --repo https://charts.example.com --version 1.2.3 --namespace shop --kube-version v1.36.2 \
         --include-crds --skip-tests --values more.yaml --values -\n"
    );
    assert_eq!(fs::read_to_string(home.path().join("values")).unwrap(), "password: very-secret\n");
}

#[test]
fn what_helm_says_comes_without_the_values() {
    let home = TempDir::new().unwrap();
    for (script, said) in [
        (
            "echo 'Error: chart \"shop\" not found' >&2; exit 1",
            "helm cannot render the chart shop of the add-on shop:",
        ),
        ("echo 'kind: [' ", "what helm has rendered of the chart shop of the add-on shop:"),
        ("echo 'kind: Pod'", "this is no API object"),
    ] {
        program(home.path(), "helm", &format!("cat >/dev/null; {script}"));
        let outcome = images(CHART, home.path());
        assert_eq!(outcome.code, 3, "{}", outcome.err);
        assert!(outcome.err.contains(said) && !outcome.err.contains("very-secret"), "{}", outcome.err);
    }
    fs::remove_file(home.path().join("helm")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["config", "images", "list", "-f", "-"]).env("PATH", home.path());
    let outcome = run(&mut command, configuration(CHART).as_bytes());
    assert_eq!(outcome.code, 3, "{}", outcome.err);
    for said in ["helm is to render the chart shop of the add-on shop", "install helm on this machine"] {
        assert!(outcome.err.contains(said), "{}", outcome.err);
    }
    assert!(!outcome.err.contains("very-secret"), "{}", outcome.err);
}

#[test]
fn every_image_is_listed_and_comes_from_the_registry_of_the_add_ons() {
    let home = TempDir::new().unwrap();
    let addons = "    registry: r.example.com/mirror\n    nodeLocalDns: {}\n    kubeletCsrApprover: {}\n    metricsServer: {}\n\
                  \x20   localPath: {image: own.example.com/local-path:v0.0.37}\n    ingress: {provider: haproxy}\n    headlamp: {}\n";
    let listed = images(addons, home.path()).data();
    let of_addons: Vec<&str> =
        listed.lines().filter(|image| !image.starts_with("registry.k8s.io/")).collect();
    assert_eq!(
        of_addons,
        [
            "r.example.com/mirror/dns/k8s-dns-node-cache:1.26.7",
            "r.example.com/mirror/postfinance/kubelet-csr-approver:v1.2.15",
            "r.example.com/mirror/metrics-server/metrics-server:v0.9.0",
            "own.example.com/local-path:v0.0.37",
            "r.example.com/mirror/library/busybox:1.37.0",
            "r.example.com/mirror/haproxytech/kubernetes-ingress:3.2.15",
            "r.example.com/mirror/headlamp-k8s/headlamp:v0.45.0",
        ]
    );
}
