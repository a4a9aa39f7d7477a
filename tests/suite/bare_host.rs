//! The least that can be a host: this machine, looked at through the standard library. It changes nothing.

#![expect(clippy::disallowed_methods, reason = "this is a seam of the tests")]

use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Output;
use kubewright::host::Socket;
use kubewright::host::Stream;
use kubewright::host::command::Word;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

#[derive(Default)]
pub(crate) struct BareHost {
    path: Option<String>,
}

impl BareHost {
    /// The same with another search path for programs.
    pub(crate) fn with_path(path: &str) -> Self {
        Self { path: Some(path.to_owned()) }
    }
}

impl Host for BareHost {
    fn name(&self) -> &'static str {
        "here"
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        let start = |source| HostError::Start { host: "here".into(), command: command.to_string(), source };
        let mut child = std::process::Command::new(&command.program)
            .args(command.args.iter().map(Word::expose))
            .envs(command.env.iter().map(|(name, word)| (name, word.expose())))
            .envs(self.path.iter().map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(command.stdin.as_deref().unwrap_or_default()).map_err(start)?;
        drop(stdin);
        let output = child.wait_with_output().map_err(start)?;
        Ok(Output {
            status: output.status.code().unwrap_or(128),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        match std::fs::read(path) {
            Ok(content) => Ok(Some(Entry::file(content, 0o644))),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => {
                Err(HostError::File { host: "here".into(), action: "read", path: path.into(), source })
            }
        }
    }

    fn write(&self, path: &str, _: &Entry) -> Result<(), HostError> {
        Err(HostError::DryRun { host: "here".into(), what: format!("writing {path}") })
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        Err(HostError::DryRun { host: "here".into(), what: format!("removing {path}") })
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        let Socket::Unix { path } = to else {
            return Err(HostError::DryRun { host: "here".into(), what: format!("connecting to {to:?}") });
        };
        let failed = |source| HostError::Connect { host: "here".into(), socket: path.clone(), source };
        UnixStream::connect(path).map(Stream::Unix).map_err(failed)
    }
}
