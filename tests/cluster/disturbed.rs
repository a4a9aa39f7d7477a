//! The cluster whose making is disturbed: three control planes that keep an address among themselves, and a worker.

use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab::Host;
use crate::state;
use crate::state::State;
use std::sync::OnceLock;

/// Numbers of the control planes and of the worker.
const CONTROL_PLANES: [usize; 3] = [1, 2, 3];
const WORKER: usize = 4;
const ALL: [usize; 4] = [1, 2, 3, WORKER];

/// Fresh hosts, control planes first, and an operator with the file of their cluster. For the holder of the
/// [`TURN`](estate::TURN).
pub(crate) fn fresh() -> (Operator, Vec<Host>) {
    let operator = Operator::new();
    let hosts = operator.hosts(&ALL);
    operator.write_text(&state::with_fixed_names(&Layout::of(&CONTROL_PLANES, &[WORKER]).yaml()));
    (operator, hosts)
}

/// The hosts' names, in the same order.
pub(crate) fn names() -> [&'static str; 4] {
    ALL.map(estate::name)
}

/// What an undisturbed run leaves; made once. For the holder of the [`TURN`](estate::TURN).
pub(crate) fn undisturbed() -> &'static [State] {
    static STATES: OnceLock<Vec<State>> = OnceLock::new();
    STATES.get_or_init(|| {
        let (operator, hosts) = fresh();
        finish(&operator);
        State::of_all(&hosts)
    })
}

/// A run that comes to its end, after which there is nothing to do.
pub(crate) fn finish(operator: &Operator) {
    let apply = ["apply", "-f", "cluster.yaml", "--yes"];
    let done = operator.run(&apply);
    assert_eq!(done.code, 0, "{}", done.text());
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{}", again.text());
}

/// The cluster is as if nothing had disturbed its making.
pub(crate) fn assert_undisturbed(whole: &[State], hosts: &[Host]) {
    for (whole, state) in whole.iter().zip(State::of_all(hosts)) {
        whole.assert_same(&state);
    }
}
