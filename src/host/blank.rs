//! A host on which nothing exists, for planning and rendering without one.

use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use std::io;

/// Nothing is there, and nothing can be put there; wrap it in [`crate::host::DryRun`] to remember writes.
#[derive(Debug, Clone)]
pub struct Blank {
    name: String,
}

impl Blank {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    fn refused<T>(&self, what: String) -> Result<T, HostError> {
        Err(HostError::DryRun { host: self.name.clone(), what })
    }
}

impl Host for Blank {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        if command.changes {
            return self.refused(format!("`{command}`"));
        }
        let stderr = format!("{}: not found", command.program).into_bytes();
        Ok(Output { status: 127, stdout: Vec::new(), stderr })
    }

    fn read(&self, _: &str) -> Result<Option<Entry>, HostError> {
        Ok(None)
    }

    fn write(&self, path: &str, _: &Entry) -> Result<(), HostError> {
        self.refused(format!("writing `{path}`"))
    }

    fn remove(&self, _: &str) -> Result<(), HostError> {
        Ok(())
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        let source = io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
        Err(HostError::Connect { host: self.name.clone(), socket: to.to_string(), source })
    }
}
