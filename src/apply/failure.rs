//! Why a step did not succeed, with what helps to mend it.

use crate::api::ApiError;
use crate::etcd::EtcdError;
use crate::host::Command;
use crate::host::HostError;
use crate::host::Output;
use crate::host::ssh::Trouble;
use crate::plan::Place;
use crate::plan::Step;
use crate::report::Failure;
use crate::report::FailureKind;
use std::io::ErrorKind;

#[derive(Debug)]
pub(crate) struct StepError {
    pub kind: FailureKind,
    pub cause: anyhow::Error,
    pub details: Vec<(String, String)>,
    pub hints: Vec<String>,
}

impl StepError {
    pub(crate) fn new(kind: FailureKind, cause: impl Into<anyhow::Error>) -> Self {
        Self { kind, cause: cause.into(), details: Vec::new(), hints: Vec::new() }
    }

    pub(crate) fn plan(message: String) -> Self {
        Self::new(FailureKind::Plan, anyhow::Error::msg(message))
            .hint("this is a mistake of kubewright; report it")
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(FailureKind::Interrupted, anyhow::Error::msg("interrupted"))
    }

    pub(crate) fn detail(mut self, label: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.trim().is_empty() {
            self.details.push((label.to_owned(), text));
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What was asked of a program on a host. One that cannot be asked, since its host cannot be reached, is another matter
    /// than one that refuses.
    pub(crate) fn of_question(error: impl Into<anyhow::Error>) -> Self {
        let failed = Self::new(FailureKind::Command, error);
        if failed.may_pass() { Self { kind: FailureKind::Host, ..failed } } else { failed }
    }

    /// A command that ended with an error status.
    pub(crate) fn command(command: &Command, output: &Output) -> Self {
        let cause = anyhow::anyhow!("`{}` ended with status {}", command.program, output.status);
        let tail = if output.stderr.is_empty() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Output { stderr: text.into_bytes(), ..output.clone() }.error_tail()
        } else {
            output.error_tail()
        };
        Self::new(FailureKind::Command, cause).detail("command", command.to_string()).detail("output", tail)
    }

    /// Whether it was only the connection to the host, which may be there again in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        let host = self.cause.chain().find_map(|cause| cause.downcast_ref::<HostError>());
        host.is_some_and(|error| match error {
            HostError::Lost { .. } | HostError::Unreachable { .. } => true,
            HostError::Ssh(error) => error.trouble == Trouble::Unreachable,
            _ => false,
        })
    }

    /// What whoever waits is told of it. A host that cannot be reached is no matter of waiting.
    ///
    /// # Errors
    /// This one.
    pub(crate) fn not_yet(self) -> Result<String, Self> {
        if self.may_pass() { Err(self) } else { Ok(self.line()) }
    }

    /// One line, for a failure that is only a warning.
    pub(crate) fn line(&self) -> String {
        let output = self.details.iter().find(|(label, _)| label == "output");
        let last = output.and_then(|(_, text)| text.lines().last()).map(|line| format!(": {line}"));
        format!("{:#}{}", self.cause, last.unwrap_or_default())
    }

    /// The failure of a step as the operator meets it; `resume` says how to go on.
    pub(crate) fn of_step(self, step: &Step, resume: &str) -> Failure {
        let host = match &step.place {
            Place::Host(name) => Some(name.clone()),
            Place::Cluster => None,
        };
        let mut causes: Vec<String> = self.cause.chain().map(ToString::to_string).collect();
        causes.dedup();
        let mut hints = self.hints;
        hints.push(resume.to_owned());
        Failure {
            kind: self.kind,
            host,
            phase: step.phase.clone(),
            title: step.title.clone(),
            subject: step.subject(),
            causes,
            details: self.details,
            hints,
        }
    }
}

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        let kind = match error {
            HostError::Timeout { .. } => FailureKind::Timeout,
            _ => FailureKind::Host,
        };
        let hint = hint_for(&error);
        let step = Self::new(kind, error);
        match hint {
            Some(hint) => step.hint(hint),
            None => step,
        }
    }
}

impl From<ApiError> for StepError {
    fn from(error: ApiError) -> Self {
        let hint = hint_for_api(&error);
        let step = Self::new(FailureKind::Api, error);
        match hint {
            Some(hint) => step.hint(hint),
            None => step,
        }
    }
}

impl From<EtcdError> for StepError {
    fn from(error: EtcdError) -> Self {
        Self::new(FailureKind::Api, error)
    }
}

fn hint_for_api(error: &ApiError) -> Option<&'static str> {
    Some(match error {
        ApiError::Unreachable { .. } => {
            "see why the API server does not run: `crictl ps -a --name kube-apiserver`, then `crictl logs <id>`"
        }
        ApiError::Status { code: 401, .. } => {
            "the credentials are not those of this cluster; compare admin.conf with the CA in the PKI directory"
        }
        ApiError::Status { code: 403, .. } => {
            "give the group kubeadm:cluster-admins its rights back; super-admin.conf, where it was kept, can do that"
        }
        ApiError::Status { code: 422, .. } => {
            "the object that is there has something that cannot be changed; compare it with the plan, and delete it \
             with kubectl if it is not needed as it is"
        }
        ApiError::Credentials { .. } => {
            "make it with the phase `kubeconfig`, or name another with --kubeconfig"
        }
        _ => return None,
    })
}

fn hint_for(error: &HostError) -> Option<String> {
    Some(match (error, error.io_kind()?) {
        (HostError::File { path, .. }, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            format!("the file system is full; `df -h {path}` shows which; what was at the path is untouched")
        }
        (HostError::File { path, .. }, ErrorKind::ReadOnlyFilesystem) => {
            format!("the file system is read-only; see `findmnt -T {path}`")
        }
        (HostError::File { path, .. }, ErrorKind::DirectoryNotEmpty) => {
            format!("look at what is in it with `ls -la {path}`, and move it away")
        }
        (_, ErrorKind::PermissionDenied) => "run kubewright as root".to_owned(),
        (HostError::Start { command, .. }, ErrorKind::NotFound) => {
            let program = command.split(' ').next().unwrap_or_default();
            format!("install the package that has `{program}`, or put its directory into PATH")
        }
        (HostError::Lost { host, .. }, _) => {
            format!(
                "see whether {host} is up; what was being done may have been done or not, and is looked at again"
            )
        }
        (HostError::Unreachable { host, .. }, _) => format!("see whether {host} is up and can be reached"),
        _ => return None,
    })
}
