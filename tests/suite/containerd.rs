//! containerd's configuration, judged by containerd itself where this machine has one.
#![expect(clippy::disallowed_methods, reason = "tests ask programs of this machine")]

use crate::fixture;
use crate::skip::skip;
use kubewright::cluster::Patch;
use kubewright::cluster::PatchKind;
use kubewright::kube::containerd;
use kubewright::kube::containerd::Setting;
use serde_json::json;
use std::process::Command;

const NEW: Setting<'_> = Setting { existing: None, reads_v3: false, selinux: false };

fn config(setting: Setting<'_>) -> String {
    containerd::config(&fixture::cluster(), setting).unwrap()
}

#[test]
fn what_was_written_is_not_written_again() {
    for reads_v3 in [false, true] {
        let first = config(Setting { reads_v3, ..NEW });
        assert_eq!(config(Setting { existing: Some(&first), reads_v3, ..NEW }), first);
    }
}

#[test]
fn dockers_package_no_longer_turns_it_off() {
    let existing = "# from the package\ndisabled_plugins = [\"cri\", \"io.containerd.x\"]\n";
    let text = config(Setting { existing: Some(existing), ..NEW });
    assert!(text.starts_with("# from the package\ndisabled_plugins = [\"io.containerd.x\"]\n"), "{text}");
    assert!(text.contains("version = 2"), "{text}");
}

#[test]
fn older_ways_of_naming_registries_stay_alone() {
    let existing = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://m\"]\n";
    let text = config(Setting { existing: Some(existing), ..NEW });
    assert!(!text.contains("config_path"), "{text}");
}

#[test]
fn the_operators_patch_has_the_last_word() {
    let mut cluster = fixture::cluster();
    cluster.prepare.runtime.config = json!({"oom_score": -500}).as_object().unwrap().clone();
    let patch = |kind, value, source: &str| Patch {
        target: "containerd".to_owned(),
        kind,
        value,
        source: source.to_owned(),
    };
    cluster.patches = vec![
        patch(
            PatchKind::Merge,
            json!({"oom_score": -900, "metrics": {"address": "127.0.0.1:1338"}}),
            "containerd+merge.yaml",
        ),
        patch(PatchKind::Json, json!([{"op": "remove", "path": "/version"}]), "containerd1+json.yaml"),
    ];
    let text = containerd::config(&cluster, NEW).unwrap();
    assert!(
        text.contains("oom_score = -900") && text.contains("[metrics]\naddress = \"127.0.0.1:1338\""),
        "{text}"
    );
    assert!(!text.contains("version = 2"), "{text}");
    cluster.patches[1].value = json!([{"op": "remove", "path": "/nothing"}]);
    let error = format!("{:#}", containerd::config(&cluster, NEW).unwrap_err());
    assert!(error.contains("containerd1+json.yaml"), "{error}");
}

#[test]
fn containerd_reads_what_is_written() {
    let version = Command::new("containerd").arg("--version").output();
    let Ok(version) = version else { return skip("containerd_reads_what_is_written", "no containerd here") };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let is_two = version.split_whitespace().any(|word| word.trim_start_matches('v').starts_with("2."));
    let theirs =
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"native\"\n";
    for (existing, reads_v3) in [(None, false), (Some(theirs), false), (None, true)] {
        if reads_v3 && !is_two {
            skip("containerd_reads_what_is_written (version 3)", "this machine has containerd 1");
            continue;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config(Setting { existing, reads_v3, selinux: true })).unwrap();
        let dump =
            Command::new("containerd").arg("-c").arg(file.path()).args(["config", "dump"]).output().unwrap();
        let said = String::from_utf8_lossy(&dump.stdout).into_owned();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        for line in [
            "SystemdCgroup = true",
            "/pause:3.10.2",
            "config_path = \"/etc/containerd/certs.d\"",
            "enable_selinux = true",
        ] {
            assert!(said.contains(line), "{line} is not in\n{said}");
        }
        assert_eq!(existing.is_some(), said.contains("snapshotter = \"native\""), "{said}");
    }
}
