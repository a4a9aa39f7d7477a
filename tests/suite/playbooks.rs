//! The playbooks, judged by ansible-lint and by Ansible itself. What they do on hosts, `tests/cluster/playbooks.rs` tells.
#![expect(clippy::disallowed_methods, reason = "tests run programs")]

use crate::skip::skip;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

fn playbooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks")
}

/// What a program of Ansible says; `None` where it is not there.
fn judged(test: &str, program: &str, args: &[&str]) -> Option<(bool, String)> {
    let run = Command::new(program).args(args).current_dir(playbooks()).env("ANSIBLE_NOCOLOR", "1").output();
    let Ok(output) = run else {
        skip(test, &format!("no {program} on this machine (pip install ansible-core ansible-lint)"));
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn ansible_lint_finds_nothing_in_its_strictest_profile() {
    let test = "ansible_lint_finds_nothing_in_its_strictest_profile";
    let args = ["--strict", "--profile", "production", "--nocolor"];
    if let Some((well, said)) = judged(test, "ansible-lint", &args) {
        assert!(well && said.contains("'production' was required, and it passed"), "{said}");
    }
}

#[test]
fn ansible_takes_every_playbook() {
    for playbook in
        ["up.yml", "scale.yml", "renew-certs.yml", "snapshot-etcd.yml", "upgrade.yml", "reset.yml"]
    {
        let args = ["-i", "localhost,", "--syntax-check", playbook];
        let Some((well, said)) = judged("ansible_takes_every_playbook", "ansible-playbook", &args) else {
            return;
        };
        assert!(well, "{said}");
    }
}
