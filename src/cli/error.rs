//! An error on its way to the operator: a kind for the exit code, a cause chain, and hints.

use crate::cli::exit::Exit;
use std::fmt;

/// What a command returns when it fails. The chain is printed once, at the edge.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    pub cause: anyhow::Error,
    pub hints: Vec<String>,
}

impl CliError {
    pub fn new(exit: Exit, cause: impl Into<anyhow::Error>) -> Self {
        Self { exit, cause: cause.into(), hints: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Gives an error its kind on the way up.
pub trait OrExit<T> {
    fn or_exit(self, exit: Exit) -> Result<T, CliError>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, CliError> {
        self.map_err(|error| CliError::new(exit, error))
    }
}

impl From<anyhow::Error> for CliError {
    fn from(cause: anyhow::Error) -> Self {
        Self::new(Exit::Failure, cause)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.cause)?;
        for cause in self.cause.chain().skip(1) {
            write!(f, "\n  because {cause}")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
