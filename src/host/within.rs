//! A network namespace of a machine: what a container of it sees of the network.

use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::command::Word;
use std::io;
use std::sync::Arc;

/// Commands run with the network of a process of the machine; files are the machine's own. Needs root there, and
/// `nsenter` of util-linux.
#[expect(missing_debug_implementations, reason = "a host has none")]
pub struct Within {
    inner: Arc<dyn Host>,
    name: String,
    process: u32,
}

impl Within {
    /// The network of `process`, as if it were a machine of this name.
    pub fn new(inner: Arc<dyn Host>, name: String, process: u32) -> Self {
        Self { inner, name, process }
    }

    fn inside(&self, command: &Command) -> Command {
        let mut inside = command.clone();
        let enter =
            [format!("--net=/proc/{}/ns/net", self.process), "--".to_owned(), command.program.clone()];
        inside.args = enter.into_iter().map(Word::Plain).chain(command.args.iter().cloned()).collect();
        "nsenter".clone_into(&mut inside.program);
        inside
    }
}

impl Host for Within {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        self.inner.run(&self.inside(command))
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        self.inner.read(path)
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.inner.write(path, entry)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.inner.remove(path)
    }

    /// The way to the machine ends in its own network, so nobody can connect for a process of another one.
    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        let source =
            io::Error::new(io::ErrorKind::Unsupported, "streams do not lead into a container's network");
        Err(HostError::Connect { host: self.name.clone(), socket: to.to_string(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_with_the_network_of_the_process() {
        let fake = crate::host::Fake::new("w1");
        let pod = Within::new(Arc::new(fake), "pod".to_owned(), 42);
        let command = Command::query("sh").args(["-c", "echo hi"]).env("A", "b").stdin("in");
        let inside = pod.inside(&command);
        assert_eq!(inside.to_string(), "A=b nsenter --net=/proc/42/ns/net -- sh -c 'echo hi'");
        assert_eq!((inside.stdin, inside.changes), (Some(b"in".to_vec()), false));
        let error = pod.connect(&Socket::Tcp { host: "::1".to_owned(), port: 1 }).err().unwrap();
        assert_eq!(error.io_kind(), Some(io::ErrorKind::Unsupported));
    }
}
