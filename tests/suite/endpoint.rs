//! What keeps the endpoint alive, judged by the programs that read it: HAProxy and keepalived.

#![expect(clippy::disallowed_methods, reason = "real programs read real files")]

use crate::skip::skip;
use crate::support::scenario;
use kubewright::plan::Action;
use kubewright::plan::Content;
use kubewright::plan::Place;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// A directory of our own, in which no directory is open to others: keepalived looks.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endpoint").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A file of the PKI, so that it can be read as one.
fn certificate() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

/// The files of one host under a directory, naming each other there.
struct Rendered {
    scenario: String,
    host: String,
    files: Vec<(String, PathBuf)>,
}

impl Rendered {
    fn file(&self, end: &str) -> Option<&PathBuf> {
        self.files.iter().find(|(path, _)| path.ends_with(end)).map(|(_, file)| file)
    }
}

/// Every host of every scenario that has a file whose path ends so.
fn rendered(end: &str) -> Vec<Rendered> {
    let authority = certificate();
    let mut all = Vec::new();
    for scenario in scenario::all() {
        let plan = scenario.plan();
        for node in &scenario.cluster.nodes {
            let root = directory(&format!("{end}-{}-{}", scenario.name, node.name));
            let mut files = Vec::new();
            for step in plan.steps.iter().filter(|step| step.place == Place::Host(node.name.clone())) {
                let Action::File(file) = &step.action else { continue };
                let Some((folder, _)) = file.path.rsplit_once('/') else { continue };
                if !folder.ends_with("/haproxy") && !folder.ends_with("/keepalived") {
                    continue;
                }
                let target = root.join(file.path.trim_start_matches('/'));
                let here = target.parent().unwrap();
                fs::create_dir_all(here).unwrap();
                let here = format!("{}/", here.display());
                let text = match &file.content {
                    Content::Text(text) => text
                        .replace("/usr/local/etc/haproxy/", &here)
                        .replace(" /etc/haproxy/", &format!(" {here}"))
                        .replace("/etc/keepalived/", &here),
                    _ => authority.clone(),
                };
                fs::write(&target, text).unwrap();
                set_mode(&target, file.mode);
                files.push((file.path.clone(), target));
            }
            let found = Rendered { scenario: scenario.name.clone(), host: node.name.clone(), files };
            all.extend(found.file(end).is_some().then_some(found));
        }
    }
    assert!(!all.is_empty(), "no scenario has a {end}");
    all
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether a program is there; says that the test is skipped where it is not.
fn there(test: &str, program: &str, version: &str) -> bool {
    let found = Command::new(program).arg(version).output().is_ok();
    if !found {
        skip(test, &format!("no {program} on this machine (apt-get install {program})"));
    }
    found
}

fn judged(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}

#[test]
fn haproxy_accepts_every_configuration_without_a_warning() {
    if !there("haproxy_accepts_every_configuration_without_a_warning", "haproxy", "-v") {
        return;
    }
    for found in rendered("haproxy.cfg") {
        let file = found.file("haproxy.cfg").unwrap();
        judged(Command::new("haproxy").args(["-c", "-dW", "-f"]).arg(file))
            .unwrap_or_else(|said| panic!("{} of {}: {said}", found.host, found.scenario));
    }
}

#[test]
fn keepalived_accepts_every_configuration_without_a_warning() {
    if !there("keepalived_accepts_every_configuration_without_a_warning", "keepalived", "--version") {
        return;
    }
    for found in rendered("keepalived.conf") {
        let file = found.file("keepalived.conf").unwrap();
        // A configuration that is not there passes too.
        assert!(file.is_file());
        judged(Command::new("keepalived").arg("-t").arg("-f").arg(file))
            .unwrap_or_else(|said| panic!("{} of {}: {said}", found.host, found.scenario));
    }
}
