//! Labs of virtual machines: what each variant comes to, as text; and what Vagrant thinks of it.
#![expect(clippy::disallowed_methods, reason = "tests run programs and bless files")]

use crate::binary::Outcome;
use crate::binary::PROGRAM;
use crate::binary::kubewright;
use crate::skip::skip;
use crate::support::text;
use kubewright::lab::folder;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[track_caller]
fn compare(name: &str, ours: &str) {
    let path = Path::new(ROOT).join("tests/labs").join(name);
    if text::blessing() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, ours).unwrap();
    }
    text::assert_same(&format!("tests/labs/{name}"), &text::read(&path), ours);
}

/// A folder of a variant, as the program writes it.
fn written(variant: &str) -> (TempDir, PathBuf) {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("try");
    kubewright(&["lab", "--variant", variant, folder.to_str().unwrap()]).data();
    (scratch, folder)
}

fn asked(what: &str, folder: &Path) -> Outcome {
    kubewright(&["lab", what, "-f", folder.join("lab.yaml").to_str().unwrap()])
}

#[test]
fn every_variant_comes_to_machines_and_to_a_cluster_that_can_be_planned() {
    for (variant, _) in folder::VARIANTS {
        let (_scratch, folder) = written(variant);
        compare(&format!("{variant}/machines.json"), &asked("machines", &folder).data());
        let cluster = asked("cluster", &folder).data();
        compare(&format!("{variant}/cluster.yaml"), &cluster);
        let file = folder.join("cluster.yaml");
        fs::write(&file, cluster).unwrap();
        let file = file.to_str().unwrap();
        let judged = kubewright(&["config", "validate", "-f", file]);
        assert_eq!((judged.code, judged.out.as_str()), (0, "ok\n"), "{variant}: {}", judged.err);
        let rendered = folder.join("rendered");
        kubewright(&["render", "-f", file, "--output-dir", rendered.to_str().unwrap()]).data();
        // What the machines download is known, with its digest.
        assert!(kubewright(&["plan", "-f", file, "--offline"]).data().contains("kubelet 1."), "{variant}");
    }
}

#[test]
fn documents_of_kubeadm_go_into_the_clusters_file() {
    let scratch = TempDir::new().unwrap();
    let lab = "apiVersion: kubewright.dev/v1alpha1\nkind: Lab\nspec: {artifacts: none}\n---\napiVersion: \
               kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\nnetworking: {dnsDomain: \
               lab.local}\n---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 50\n";
    fs::write(scratch.path().join("lab.yaml"), lab).unwrap();
    compare("documents.yaml", &asked("cluster", scratch.path()).data());
}

/// Runs Vagrant in a folder, with a provider where its home has one; `None` where it is not installed.
fn vagrant(folder: &Path, home: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("vagrant");
    command.args(arguments).current_dir(folder).env("KUBEWRIGHT", PROGRAM);
    command.env("VAGRANT_HOME", home).env("VAGRANT_CHECKPOINT_DISABLE", "1");
    if home.join("Vagrantfile").exists() {
        command.env("VAGRANT_DEFAULT_PROVIDER", "stand_in");
    }
    let output = command.output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn vagrant_takes_every_variant() {
    for (variant, _) in folder::VARIANTS {
        let (scratch, folder) = written(variant);
        let validated = vagrant(&folder, &scratch.path().join("home"), &["validate", "--ignore-provider"]);
        let Some((success, said)) = validated else {
            skip("vagrant_takes_every_variant", "no vagrant on this machine (apt-get install vagrant)");
            return;
        };
        assert!(success && said.contains("validated successfully"), "{variant}: {said}");
    }
}

/// Vagrant's home with a provider that needs no hypervisor.
fn with_stand_in(scratch: &Path) -> PathBuf {
    let home = scratch.join("home");
    fs::create_dir(&home).unwrap();
    fs::copy(Path::new(ROOT).join("tests/labs/stand_in.rb"), home.join("Vagrantfile")).unwrap();
    home
}

#[test]
fn vagrant_is_told_what_each_provider_needs_of_a_network() {
    let (scratch, folder) = written("dual-stack");
    fs::write(folder.join("provision"), "#!/bin/sh\n").unwrap();
    let Some((success, said)) = vagrant(&folder, &with_stand_in(scratch.path()), &["up", "w1"]) else {
        skip(
            "vagrant_is_told_what_each_provider_needs_of_a_network",
            "no vagrant on this machine (apt-get install vagrant)",
        );
        return;
    };
    assert!(success, "{said}");
    compare("dual-stack/networks.json", &text::read(&folder.join(".vagrant/machines/w1/stand_in/running")));
}

#[test]
fn a_cluster_is_made_once_all_machines_run() {
    let (scratch, folder) = written("small");
    let home = with_stand_in(scratch.path());
    fs::write(folder.join("provision"), "#!/bin/sh\necho made >>made\ntest ! -e broken\n").unwrap();
    let made = || fs::read_to_string(folder.join("made")).unwrap_or_default().lines().count();
    // Each command, and how often a cluster was made by then.
    let life: [(&[&str], usize); 10] = [
        (&["up"], 1),
        (&["up"], 2),
        (&["halt"], 2),
        (&["up"], 3),
        (&["halt", "cp1"], 3),
        (&["up", "cp1"], 4),
        (&["reload"], 5),
        (&["destroy", "-f", "w1"], 5),
        (&["up", "cp1"], 5),
        (&["up"], 6),
    ];
    for (number, (arguments, expected)) in life.into_iter().enumerate() {
        let Some((success, said)) = vagrant(&folder, &home, arguments) else {
            skip(
                "a_cluster_is_made_once_all_machines_run",
                "no vagrant on this machine (apt-get install vagrant)",
            );
            return;
        };
        assert!(success, "{number} {arguments:?}: {said}");
        assert_eq!(made(), expected, "{number} {arguments:?}: {said}");
        let waits = said.contains("the cluster is made when these run too: w1");
        assert_eq!(waits, [0, 3, 8, 9].contains(&number), "{number} {arguments:?}: {said}");
    }
    fs::write(folder.join("broken"), "").unwrap();
    let (success, said) = vagrant(&folder, &home, &["up"]).unwrap();
    assert!(!success && said.contains("the cluster was not made") && said.contains("./provision"), "{said}");
}

#[test]
fn what_is_wrong_in_a_lab_file_is_told_with_its_place() {
    let scratch = TempDir::new().unwrap();
    let wrong = "apiVersion: kubewright.dev/v1alpha1\nkind: Lab\nspec:\n  controlPlanes: 12\n  worker: 1\n  etcds: 1\n  \
                 cni: calicoo\n  network: 192.168.56.0/28,10.0.0.0/24\n  boxes: {w7: bento/debian-12}\n  provision: \
                 playbooks\n";
    fs::write(scratch.path().join("lab.yaml"), wrong).unwrap();
    let refused = asked("machines", scratch.path());
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    let said = refused.err.replace(scratch.path().to_str().unwrap(), "");
    compare("wrong.txt", &said);
    fs::write(scratch.path().join("lab.yaml"), "kind: List\napiVersion: v1\n").unwrap();
    assert_eq!(asked("cluster", scratch.path()).code, 3);
}

#[test]
fn a_folder_is_written_whole_and_never_over_other_files() {
    let (_scratch, folder) = written("ha");
    let path = folder.to_str().unwrap();
    kubewright(&["lab", "--variant", "ha", path]).data();
    fs::write(folder.join("lab.yaml"), "mine").unwrap();
    fs::remove_file(folder.join("Vagrantfile")).unwrap();
    let refused = kubewright(&["lab", "--variant", "ha", path]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("try/lab.yaml") && !refused.err.contains("Vagrantfile"), "{}", refused.err);
    assert!(!folder.join("Vagrantfile").exists());
}

/// What a folder has, but for what only the source needs.
#[test]
fn the_program_has_every_file_of_the_source() {
    let of_source = |folder: &str| -> BTreeSet<PathBuf> {
        let root = Path::new(ROOT).join(folder);
        let files = text::files(&root).into_iter();
        files.map(|path| Path::new(folder).join(path.strip_prefix(&root).unwrap())).collect()
    };
    let embedded: BTreeSet<PathBuf> = folder::files("small")
        .unwrap()
        .into_iter()
        .map(|file| {
            let of_playbooks = file.path.starts_with("playbooks/");
            if of_playbooks { file.path.into() } else { Path::new("vagrant").join(file.path) }
        })
        .collect();
    let needless = ["playbooks/.ansible-lint", "vagrant/README.md"];
    let source: BTreeSet<PathBuf> = of_source("playbooks")
        .into_iter()
        .chain(of_source("vagrant"))
        .filter(|path| !path.starts_with("vagrant/variants") && !path.starts_with("vagrant/playbooks"))
        .filter(|path| !needless.iter().any(|other| path == Path::new(other)))
        .filter(|path| {
            !path.components().any(|part| part.as_os_str() == "__pycache__" || part.as_os_str() == ".ansible")
        })
        .collect();
    assert_eq!(embedded, source);
}
