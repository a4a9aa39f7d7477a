//! Strategic patches, judged by what kubectl made of the same ones.

use kubewright::cluster::Patch;
use kubewright::cluster::PatchKind;
use kubewright::kube::patch;
use kubewright::kube::patch::Target;
use kubewright::kube::yaml;
use serde_json::Value;

use crate::support::text::assert_same;

#[test]
fn strategic_patches_do_what_kubectl_does() {
    let recorded: Value = serde_json::from_str(include_str!("../patches/strategic.json")).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let name = case["target"].as_str().unwrap();
        let target = Target::ALL.into_iter().find(|target| target.as_str() == name).unwrap();
        let patch = Patch {
            target: name.to_owned(),
            kind: PatchKind::Strategic,
            value: case["patch"].clone(),
            source: "recorded".to_owned(),
        };
        let ours = patch::apply(&[patch], target, recorded["documents"][name].clone());
        match (&case["result"], ours) {
            (Value::Null, Err(_)) => {}
            (Value::Null, Ok(ours)) => panic!("kubectl refuses {}, we make {ours}", case["patch"]),
            (expected, ours) => {
                let ours = ours.unwrap_or_else(|error| panic!("{}: {error}", case["patch"]));
                assert_same(&case["patch"].to_string(), &yaml::to_string(expected), &yaml::to_string(&ours));
            }
        }
    }
}
