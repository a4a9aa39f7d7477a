//! How a test of a running cluster is told, and what the program ends with.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use clap::ValueEnum;
use serde::Serialize;

/// Form of the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TestOutput {
    #[default]
    Text,
    /// One object with `"schema": 1`
    Json,
}

/// Writes the report in the form that was asked for.
///
/// # Errors
/// A report that cannot be written as JSON.
pub(super) fn tell(
    form: TestOutput,
    report: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), CliError> {
    output::data(&match form {
        TestOutput::Text => text(),
        TestOutput::Json => serde_json::to_string_pretty(report).or_exit(Exit::Failure)? + "\n",
    });
    Ok(())
}

/// How the program ends. A test that was broken off has not shown that all is well.
pub(super) fn exit(interrupted: bool, healthy: bool) -> Exit {
    match (interrupted, healthy) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::Success,
        (_, false) => Exit::Attention,
    }
}
