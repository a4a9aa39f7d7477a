//! The API of a cluster, through its control planes.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::ApiProvider;
use crate::api::Failover;
use crate::api::KubeApi;
use crate::api::Through;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::host::Fleet;
use crate::phase::kubeconfig;
use crate::pki::Bundle;
use crate::pki::CertName;
use crate::plan::Content;
use crate::plan::Identity;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

type Key = (Option<String>, Identity);

/// Clients with identities from memory: each API server is reached on its own host, over the connection to it.
pub(super) struct FleetApi {
    cluster: Cluster,
    hosts: Fleet,
    bundle: Arc<Bundle>,
    clients: Mutex<BTreeMap<Key, Arc<dyn Api>>>,
}

impl FleetApi {
    pub(super) fn new(cluster: Cluster, hosts: Fleet, bundle: Arc<Bundle>) -> Self {
        Self { cluster, hosts, bundle, clients: Mutex::default() }
    }

    fn known(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Arc<dyn Api>, ApiError>,
    ) -> Result<Arc<dyn Api>, ApiError> {
        if let Some(client) = self.lock().get(&key) {
            return Ok(Arc::clone(client));
        }
        let client = make()?;
        self.lock().insert(key, Arc::clone(&client));
        Ok(client)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Arc<dyn Api>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self, node: &Node, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        let missing = |why: String| ApiError::Credentials { identity: file_name(identity), why };
        let wanted = certificate(identity);
        let entry = kubeconfig::ENTRIES.iter().find(|entry| entry.cert == wanted);
        let entry = entry.ok_or_else(|| missing(format!("there is no kubeconfig {wanted}")))?;
        // The super-administrator is made on one control plane only.
        let holder = if identity == Identity::SuperAdmin { self.cluster.first_control_plane() } else { node };
        let content = Content::Kubeconfig(kubeconfig::kubeconfig(&self.cluster, holder, entry));
        let bytes = self.bundle.resolve(&content).map_err(|error| missing(error.to_string()))?;
        let host =
            self.hosts.get(&node.name).ok_or_else(|| missing(format!("{} is not connected", node.name)))?;
        let (server, through) = (self.cluster.local_url(node), Through(Arc::clone(host)));
        Ok(Arc::new(KubeApi::connect_through(&bytes, Some(&server), Some(&through))?))
    }
}

impl ApiProvider for FleetApi {
    fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        self.known((None, identity), || {
            let reached = self.cluster.control_planes().filter(|node| self.hosts.get(&node.name).is_some());
            let servers =
                reached.map(|node| self.client_at(&node.name, identity)).collect::<Result<_, _>>()?;
            Ok(Arc::new(Failover::new(servers)))
        })
    }

    fn client_at(&self, host: &str, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        let node = self.cluster.control_planes().find(|node| node.name == host);
        let node = node.ok_or_else(|| ApiError::Invalid { what: format!("the API server of {host}") })?;
        self.known((Some(host.to_owned()), identity), || self.connect(node, identity))
    }
}

fn certificate(identity: Identity) -> CertName {
    match identity {
        // The operator may look at every Node, so no kubelet need be asked to.
        Identity::Admin | Identity::LocalAdmin | Identity::Node => CertName::Admin,
        Identity::SuperAdmin => CertName::SuperAdmin,
    }
}

fn file_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Admin | Identity::LocalAdmin => "admin.conf",
        Identity::SuperAdmin => "super-admin.conf",
        Identity::Node => "kubelet.conf",
    }
}

impl fmt::Debug for FleetApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetApi").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}
