//! From an identity to a client, made when it is first needed.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::kube::KubeApi;
use crate::plan::Identity;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Gives out clients of one cluster.
pub trait ApiProvider: Send + Sync {
    /// The API on behalf of an identity.
    ///
    /// # Errors
    /// There are no credentials for it, or they cannot be used.
    fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError>;

    /// The same, asking the API server of this host and no other.
    ///
    /// # Errors
    /// As for [`Self::client`].
    fn client_at(&self, host: &str, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        let _ = host;
        self.client(identity)
    }
}

/// What a client is made from. It holds a key, so it does not print.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct Access {
    pub kubeconfig: Vec<u8>,
    /// A URL that replaces the server of every cluster in the kubeconfig.
    pub server: Option<String>,
}

/// A client, and what it was made from.
type Known = (Access, Arc<dyn Api>);

type ReadAccess<'a> = dyn Fn(Identity) -> Result<Option<Access>, String> + Send + Sync + 'a;

/// Clients from kubeconfig files, which may come into being during the run.
pub struct Kubeconfigs<'a> {
    read: Box<ReadAccess<'a>>,
    clients: Mutex<BTreeMap<Identity, Known>>,
}

impl<'a> Kubeconfigs<'a> {
    /// `read` gives an identity's kubeconfig, `None` when there is none.
    pub fn new<F>(read: F) -> Self
    where
        F: Fn(Identity) -> Result<Option<Access>, String> + Send + Sync + 'a,
    {
        Self { read: Box::new(read), clients: Mutex::new(BTreeMap::new()) }
    }
}

impl ApiProvider for Kubeconfigs<'_> {
    fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        let missing = |why| ApiError::Credentials { identity: file_name(identity), why };
        let access = (self.read)(identity).map_err(missing)?;
        let access = access.ok_or_else(|| missing("the file does not exist".to_owned()))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.get(&identity).filter(|(known, _)| *known == access) {
            return Ok(Arc::clone(client));
        }
        let client: Arc<dyn Api> = Arc::new(KubeApi::connect(&access.kubeconfig, access.server.as_deref())?);
        clients.insert(identity, (access, Arc::clone(&client)));
        Ok(client)
    }
}

impl fmt::Debug for Kubeconfigs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfigs").finish_non_exhaustive()
    }
}

/// No cluster at all: every request for a client fails. For plans that never reach one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoApi;

impl ApiProvider for NoApi {
    fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        Err(ApiError::Credentials { identity: file_name(identity), why: "there is no cluster".to_owned() })
    }
}

fn file_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Admin | Identity::LocalAdmin => "admin.conf",
        Identity::SuperAdmin => "super-admin.conf",
        Identity::Node => "kubelet.conf",
    }
}
