//! Every phase alone, in order, comes to the same as the whole.

use crate::lab;
use crate::state;
use crate::state::State;
use kubewright::phase::Phase;
use kubewright::phase::workflow::INIT;

#[test]
fn the_union_of_the_phases_is_the_whole() {
    if !lab::available("the_union_of_the_phases_is_the_whole") {
        return;
    }
    let _turn = state::TURN.take();
    let whole = state::undisturbed();
    let host = state::host();
    for phase in INIT {
        for words in leaves(phase) {
            let flag = if words == "upload-certs" { "--upload-certs" } else { "" };
            let done = host.run(&format!("kubewright init phase {words} --config config.yaml {flag}"));
            assert_eq!(done.code, 0, "{words}:\n{}", done.text());
        }
    }
    whole.assert_same(&State::of(&host));
}

/// `certs apiserver`, as typed.
pub(crate) fn leaves(phase: &Phase) -> Vec<String> {
    let own = phase.name.to_owned();
    if phase.children.is_empty() {
        return vec![own];
    }
    phase.children.iter().flat_map(leaves).map(|leaf| format!("{own} {leaf}")).collect()
}
