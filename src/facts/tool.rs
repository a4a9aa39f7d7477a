//! Programs of ours that run on a host with perl or Python, whichever it has.

use std::fmt::Write as _;

const SCRIPT: &str = include_str!("tool.sh");

/// The same program for each tool, and what it is told on standard input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub perl: &'a str,
    pub python: &'a str,
    pub input: &'a str,
}

/// A shell script in which `with_tool` runs the program; `body` does, and finds the other variables.
pub(super) fn script(program: Program<'_>, variables: &[(&str, &str)], body: &str) -> String {
    let own = [("perl_agent", program.perl), ("python_agent", program.python), ("input", program.input)];
    let mut script = String::new();
    for (name, value) in own.iter().chain(variables) {
        let _ = writeln!(script, "{name}='{}'", value.replace('\'', r"'\''"));
    }
    script + SCRIPT + body
}
