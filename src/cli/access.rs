//! Which kubeconfig a command uses, and the API that it leads to.

use crate::api::ApiError;
use crate::api::KubeApi;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::settings::Settings;
use crate::host::local::Local;
use crate::host::read_through;
use crate::pki::Certificate;
use crate::pki::kubeconfig;
use crate::pki::kubeconfig::Parsed;
use crate::pki::load::certificates;
use crate::pki::pin;
use std::io::ErrorKind;
use std::path::Path;
use zeroize::Zeroizing;

/// A kubeconfig that exists.
pub(super) struct Access {
    pub path: String,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Access {
    /// The kubeconfig of the flag; without it the first that exists of those in `$KUBECONFIG`, or else
    /// `~/.kube/config`, and then the administrator's. This is where kubeadm looks.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn find(flag: Option<&Path>, settings: &Settings) -> Result<Self, CliError> {
        if let Some(path) = flag {
            return Self::read(path)?.ok_or_else(|| missing(&[path.display().to_string()]));
        }
        for path in &settings.kubeconfigs {
            if let Some(found) = Self::read(Path::new(path))? {
                return Ok(found);
            }
        }
        Err(missing(&settings.kubeconfigs))
    }

    /// One kubeconfig; `None` when there is no such file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CliError> {
        let path = std::path::absolute(path).or_exit(Exit::Host)?.to_string_lossy().into_owned();
        Ok(secret_file(&path)?.map(|bytes| Self { path, bytes }))
    }

    /// A client for the API; nothing is sent yet.
    ///
    /// # Errors
    /// The kubeconfig cannot be used.
    pub(super) fn api(&self) -> Result<KubeApi, CliError> {
        let api = KubeApi::connect(&self.bytes, None);
        api.map_err(|error| refused(error).hint(format!("the kubeconfig is `{}`", self.path)))
    }

    /// What its current context says.
    ///
    /// # Errors
    /// It is no kubeconfig, or its context leads nowhere.
    pub(super) fn parsed(&self) -> Result<Parsed, CliError> {
        let parsed = kubeconfig::parse(&self.bytes);
        parsed.map_err(|why| {
            CliError::new(Exit::Api, anyhow::anyhow!("the kubeconfig `{}` cannot be used: {why}", self.path))
        })
    }

    /// The authorities that it trusts, from its data or from the file that it names.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub(super) fn authorities(&self) -> Result<Vec<Certificate>, CliError> {
        let parsed = self.parsed()?;
        let (source, bytes) = if !parsed.authority.is_empty() {
            (self.path.clone(), parsed.authority)
        } else if parsed.authority_file.is_empty() {
            let error = anyhow::anyhow!("the kubeconfig `{}` names no certificate authority", self.path);
            return Err(CliError::new(Exit::Api, error)
                .hint("take one that has `certificate-authority-data`, such as /etc/kubernetes/admin.conf"));
        } else {
            // A relative path is relative to the kubeconfig, as for every client of Kubernetes.
            let directory = Path::new(&self.path).parent().unwrap_or_else(|| Path::new("/"));
            let path = directory.join(&parsed.authority_file);
            (path.display().to_string(), load::read_file(&path)?)
        };
        let found = certificates(&bytes);
        found.map_err(|error| {
            CliError::new(Exit::Api, anyhow::anyhow!("the certificate authority in `{source}`: {error}"))
        })
    }

    /// `sha256:…` of each authority that it trusts.
    ///
    /// # Errors
    /// As for [`Access::authorities`].
    pub(super) fn pins(&self) -> Result<Vec<String>, CliError> {
        Ok(self.authorities()?.iter().map(pin::pin).collect())
    }
}

/// A file of this host that may hold a key; `None` when there is none.
///
/// # Errors
/// It cannot be read.
pub(super) fn secret_file(path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
    let entry = read_through(&Local::new("this host"), path).map_err(|error| {
        let denied = error.io_kind() == Some(ErrorKind::PermissionDenied);
        let error = CliError::new(Exit::Host, error);
        if denied { error.hint("run this as root") } else { error }
    })?;
    let Some(entry) = entry else { return Ok(None) };
    match entry.content() {
        Some(bytes) => Ok(Some(Zeroizing::new(bytes.to_vec()))),
        None => Err(CliError::new(Exit::Host, anyhow::anyhow!("`{path}` is not a regular file"))),
    }
}

/// An answer of the API that ends a command.
pub(super) fn refused(error: ApiError) -> CliError {
    let hint = match &error {
        ApiError::Unreachable { .. } => Some("is this the right kubeconfig? name another with --kubeconfig"),
        ApiError::Status { code: 401, .. } => {
            Some("the kubeconfig's client certificate or token is not valid any more")
        }
        ApiError::Status { code: 403, .. } => {
            Some("use a kubeconfig with more rights, such as /etc/kubernetes/admin.conf")
        }
        _ => None,
    };
    let error = CliError::new(Exit::Api, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn missing(paths: &[String]) -> CliError {
    let error = anyhow::anyhow!("there is no kubeconfig at {}", paths.join(", "));
    CliError::new(Exit::Api, error).hint("name one with --kubeconfig, or run this on a control plane as root")
}
