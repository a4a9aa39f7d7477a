//! The lab for Vagrant, with hosts of ours in the place of virtual machines: what runs when they are up.

use crate::estate;
use crate::estate::Operator;
use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubewright");
/// As the lab file calls them, and where it puts them.
const MACHINES: [(&str, u8); 2] = [("cp1", 11), ("w1", 21)];

/// Answers `vagrant ssh-config` as Vagrant does.
fn stand_in(folder: &Path) {
    let mut text = String::from("#!/bin/sh\n[ \"$1\" = ssh-config ] || exit 1\ncat <<'END'\n");
    for (name, octet) in MACHINES {
        let _ = writeln!(
            text,
            "Host {name}\n  HostName 10.77.0.{octet}\n  User root\n  Port 22\n  UserKnownHostsFile /dev/null\n  \
             StrictHostKeyChecking no\n  PasswordAuthentication no\n  IdentityFile {}\n  IdentitiesOnly yes\n  LogLevel FATAL\n",
            lab::key()
        );
    }
    let path = folder.join("vagrant");
    fs::write(&path, text + "END\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs what the trigger of the `Vagrantfile` runs.
fn provision(folder: &Path, stand_ins: &Path) -> String {
    let path = format!("{}:{}", stand_ins.display(), std::env::var("PATH").unwrap());
    let output = Command::new(folder.join("provision"))
        .env("PATH", path)
        .env("KUBEWRIGHT", PROGRAM)
        .env("HOME", stand_ins)
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    said
}

fn ready(host: &Host) {
    host.until(
        std::time::Duration::from_mins(2),
        "export KUBECONFIG=/etc/kubernetes/admin.conf; [ $(kubectl get nodes -o name | wc -l) = 2 ] && kubectl wait \
         --for=condition=Ready node --all --timeout=60s",
    );
}

#[test]
fn machines_that_are_up_become_a_cluster_and_a_new_one_is_taken_in() {
    if !lab::available("vagrant::machines_that_are_up_become_a_cluster_and_a_new_one_is_taken_in") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let mut hosts: Vec<Host> = MACHINES.into_iter().map(|(name, octet)| Host::kube(name, octet)).collect();
    let folder = operator.path("try");
    operator.run(&["lab", folder.to_str().unwrap()]);
    fs::create_dir(folder.join(".vagrant")).unwrap();
    // The lab's hosts have their programs, and need what every kubelet needs there.
    let spec = "apiVersion: kubewright.dev/v1alpha1\nkind: Lab\nspec: {workers: 1, network: 10.77.0.0/24, cni: none, artifacts: none}\n";
    fs::write(folder.join("lab.yaml"), format!("{spec}---\n{CONFIG}")).unwrap();
    let stand_ins = operator.path("bin");
    fs::create_dir(&stand_ins).unwrap();
    stand_in(&stand_ins);

    provision(&folder, &stand_ins);
    ready(&hosts[0]);
    let kubeconfig = fs::metadata(folder.join("kubeconfig")).unwrap();
    assert_eq!(kubeconfig.permissions().mode() & 0o777, 0o600);
    assert!(provision(&folder, &stand_ins).contains("0 changed"));

    // Destroyed and made again: another machine at the same address, with another key.
    drop(hosts.remove(1));
    hosts.push(Host::kube(MACHINES[1].0, MACHINES[1].1));
    provision(&folder, &stand_ins);
    ready(&hosts[0]);
    hosts[1].ok("test -s /etc/kubernetes/kubelet.conf");
}
