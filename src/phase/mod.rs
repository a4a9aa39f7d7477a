//! The workflow: named phases, each a pure function from what is wanted and what is so to steps.

pub mod prepare;
