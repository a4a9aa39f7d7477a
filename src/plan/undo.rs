//! What is taken back when a phase does not come to its end.

use crate::plan::Place;
use crate::plan::Step;

/// Steps that are carried out in order when a step of a phase fails at a place, or the run is interrupted after the
/// phase began there. A phase that came to its end is not undone. A step that finds that it must not be done, or that
/// fails, ends the undoing.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    pub phase: String,
    pub place: Place,
    pub steps: Vec<Step>,
    /// How to do each of the steps by hand, when undoing ends before it; empty where nothing needs to be done.
    pub mend: Vec<String>,
}

impl Undo {
    /// Whether a step belongs to what this takes back.
    pub fn concerns(&self, step: &Step) -> bool {
        self.phase == step.phase && self.place == step.place
    }
}
