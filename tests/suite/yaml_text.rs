//! Our YAML beside that of the Go library behind kubectl and kubeadm, for strings that are hard to write.

use crate::support::text::assert_same;
use kubewright::kube::yaml;
use serde_json::Value;

/// Recorded with `kubectl patch --local -o yaml` of v1.36.2; curated strings, then random ones.
const RECORDED: &str = include_str!("../yaml/strings.yaml");

#[test]
fn strings_are_written_as_go_writes_them() {
    let value: Value = serde_json::from_str(include_str!("../yaml/strings.json")).unwrap();
    assert_same("strings.yaml", RECORDED, &yaml::to_string(&value));
}
