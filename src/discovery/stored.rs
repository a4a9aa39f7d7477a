//! What the cluster keeps of itself and a joining node may read: its configuration, and its encrypted authorities.

use crate::api::Api;
use crate::api::ApiError;
use crate::config::stored::Stored;
use crate::discovery::World;
use crate::discovery::retry;
use crate::plan::ObjectRef;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

const KUBE_SYSTEM: &str = "kube-system";

/// Rights of a new token, and objects of a new cluster, appear within a moment.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why something stored could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the cluster has no {0}")]
    Missing(Wanted),
    #[error("the cluster does not let this host read the {wanted}: {message}")]
    Forbidden { wanted: Wanted, message: String },
    #[error("the cluster does not accept the credentials of this host: {message}")]
    Unauthorized { message: String },
    #[error("cannot read the {wanted}")]
    Api { wanted: Wanted, source: ApiError },
    #[error("interrupted")]
    Interrupted,
}

/// One object that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    kind: &'static str,
    name: &'static str,
}

const KUBEADM_CONFIG: Wanted = Wanted { kind: "ConfigMap", name: "kubeadm-config" };
const KUBELET_CONFIG: Wanted = Wanted { kind: "ConfigMap", name: "kubelet-config" };
const KUBE_PROXY: Wanted = Wanted { kind: "ConfigMap", name: "kube-proxy" };
const CERTIFICATES: Wanted = Wanted { kind: "Secret", name: "kubeadm-certs" };

/// Fetches the configuration. An API that does not answer is asked again for as long as `limit` says
/// (`timeouts.kubernetesAPICall`).
///
/// # Errors
/// An object is not there (kube-proxy's may be absent), may not be read, or the API does not answer.
pub fn fetch(api: &dyn Api, world: &World<'_>, limit: Duration) -> Result<Stored, FetchError> {
    let kubeadm_config = get(api, world, limit, KUBEADM_CONFIG)?;
    let kubelet_config = get(api, world, limit, KUBELET_CONFIG)?;
    // kubeadm does without it, whether it is absent or forbidden.
    let kube_proxy = match api.get(&KUBE_PROXY.object()) {
        Ok(found) => found,
        Err(ApiError::Status { code: 403 | 404, .. }) => None,
        Err(_) => Some(get(api, world, limit, KUBE_PROXY)?),
    };
    Ok(Stored { kubeadm_config, kubelet_config, kube_proxy })
}

/// Fetches the Secret with the encrypted authorities, for [`crate::pki::shared::open`].
///
/// # Errors
/// As for [`fetch`].
pub fn fetch_certificates(api: &dyn Api, world: &World<'_>, limit: Duration) -> Result<Value, FetchError> {
    get(api, world, limit, CERTIFICATES)
}

fn get(api: &dyn Api, world: &World<'_>, limit: Duration, wanted: Wanted) -> Result<Value, FetchError> {
    let start = world.clock.monotonic();
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match api.get(&wanted.object()) {
            Ok(Some(object)) => return Ok(object),
            Ok(None) => FetchError::Missing(wanted),
            Err(error) => FetchError::of(wanted, error),
        };
        let passed = world.clock.monotonic().saturating_sub(start);
        if passed + pause > error.patience().min(limit) {
            return Err(error);
        }
        retry::sleep(world, pause).map_err(|_| FetchError::Interrupted)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl FetchError {
    fn of(wanted: Wanted, error: ApiError) -> Self {
        match error {
            ApiError::Status { code: 401, message, .. } => Self::Unauthorized { message },
            ApiError::Status { code: 403, message, .. } => Self::Forbidden { wanted, message },
            source => Self::Api { wanted, source },
        }
    }

    fn patience(&self) -> Duration {
        match self {
            Self::Missing(_) | Self::Forbidden { .. } | Self::Unauthorized { .. } => PATIENCE,
            Self::Api { source, .. } if source.may_heal() => Duration::MAX,
            Self::Api { .. } | Self::Interrupted => Duration::ZERO,
        }
    }

    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(wanted) if *wanted == CERTIFICATES => {
                "run `kubewright init phase upload-certs --upload-certs` on a control plane and join with the \
                 certificate key that it prints; the Secret lives for two hours"
                    .to_owned()
            }
            Self::Missing(_) => {
                "was this cluster made by kubeadm or kubewright? If so, `kubewright init phase upload-config all` on \
                 a control plane writes it again"
                    .to_owned()
            }
            Self::Forbidden { wanted, .. } if *wanted == CERTIFICATES => {
                "run `kubewright init phase upload-certs --upload-certs` on a control plane, which also allows it"
                    .to_owned()
            }
            Self::Forbidden { .. } => {
                "the token needs the group system:bootstrappers:kubeadm:default-node-token; `kubewright token create` \
                 on a control plane makes one that has it"
                    .to_owned()
            }
            Self::Unauthorized { .. } => {
                "the token has expired, or lacks the usage `authentication`; `kubewright token create \
                 --print-join-command` on a control plane prints a join command with a new one"
                    .to_owned()
            }
            Self::Api { source: ApiError::Status { .. }, .. } => "look at the log of the API server".to_owned(),
            Self::Api { .. } => {
                "is the address that the cluster names for itself reachable from this host?".to_owned()
            }
            Self::Interrupted => "nothing was changed".to_owned(),
        }
    }
}

impl Wanted {
    fn object(self) -> ObjectRef {
        ObjectRef::new("v1", self.kind, KUBE_SYSTEM, self.name)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {KUBE_SYSTEM}/{}", self.kind, self.name)
    }
}
