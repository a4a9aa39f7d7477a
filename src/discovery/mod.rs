//! How a host that joins finds the cluster and comes to trust it, before anything on the host is changed.
//!
//! By a bootstrap token and pins of the cluster's CA (`token.rs`), or by a kubeconfig from a file or a URL (`file.rs`).
//! Everything is asked over the host's own sockets, so what is found is what the host will find later. With the
//! credentials found, [`stored`] fetches what the cluster says of itself.

mod attempt;
mod cluster_info;
mod error;
mod file;
mod joined;
mod kubeconfig;
mod moment;
mod retry;
mod roots;
pub mod stored;
mod token;
mod trouble;

pub use error::DiscoveryError;
pub use error::FileProblem;
pub use joined::expect_the_same;
pub use moment::Moment;
pub use trouble::Trouble;

use crate::clock::Clock;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::host::Host;
use crate::pki::material::SecretBytes;
use crate::report::Event;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Everything that discovery meets.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The host that joins.
    pub host: &'a dyn Host,
    pub clock: &'a dyn Clock,
    /// Told while something is awaited.
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Set by Ctrl-C.
    pub interrupt: &'a AtomicBool,
}

/// The cluster, found and trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// The URL of the API, as the cluster itself gives it.
    pub server: String,
    /// The cluster's authorities in PEM.
    pub ca: Vec<u8>,
    /// A kubeconfig that may ask for a client certificate: `bootstrap-kubelet.conf`.
    pub credentials: SecretBytes,
    pub warnings: Vec<Warning>,
}

/// What deserves a look and stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub message: String,
    pub hint: Option<String>,
}

/// Finds the cluster that a configuration (defaulted and checked) describes. Repeats what may heal for as long as
/// `timeouts.discovery` says, and changes nothing.
///
/// # Errors
/// Whatever keeps the cluster from being found or trusted, each told apart and with a hint.
pub fn discover(join: &JoinConfiguration, world: &World<'_>) -> Result<Found, DiscoveryError> {
    let limit = join.timeouts.discovery.to_std();
    let tls_token = Some(join.discovery.tls_bootstrap_token.as_str()).filter(|token| !token.is_empty());
    if let Some(token) = tls_token {
        token::parse(token)?;
    }
    match (&join.discovery.bootstrap_token, &join.discovery.file) {
        (Some(by_token), _) => token::discover(by_token, tls_token, limit, world),
        (None, Some(by_file)) => file::discover(&by_file.kube_config_path, tls_token, limit, world),
        (None, None) => Err(DiscoveryError::Nothing),
    }
}

/// What an existing kubeconfig says, without asking anybody: a control plane that joins may have `admin.conf`
/// already, and then that counts. `name` is for messages.
///
/// # Errors
/// It is no kubeconfig, or has no cluster, authority or credentials.
pub fn adopt(kubeconfig: &[u8], name: &str, host: &dyn Host) -> Result<Found, DiscoveryError> {
    file::adopt(kubeconfig, name, host)
}

impl Found {
    /// The kubeconfig for `bootstrap-kubelet.conf`: the cluster under its own name, and for a control plane the
    /// API server of the host itself (a URL) instead of the endpoint.
    ///
    /// # Errors
    /// The credentials are no kubeconfig.
    pub fn bootstrap_kubeconfig(
        &self,
        cluster_name: &str,
        server: Option<&str>,
    ) -> Result<SecretBytes, DiscoveryError> {
        kubeconfig::renamed(&self.credentials, cluster_name, server)
    }
}

impl World<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

impl Warning {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Shows what is public.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("server", &self.server)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("host", &self.host.name()).finish_non_exhaustive()
    }
}

/// `850 ms`, `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}
