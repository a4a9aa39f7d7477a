//! The cluster's etcd, asked with the certificates that a control plane has for it.

use crate::etcd::Client;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::EtcdProvider;
use crate::etcd::Tls;
use crate::host::Host;
use std::sync::Arc;

/// Reads its certificates when it is asked for.
pub(super) struct LocalEtcd {
    host: Arc<dyn Host>,
    endpoints: Vec<String>,
    directory: String,
}

impl LocalEtcd {
    /// etcd behind these endpoints, with the certificates below `directory`.
    pub(super) fn new(host: Arc<dyn Host>, endpoints: Vec<String>, directory: &str) -> Self {
        Self { host, endpoints, directory: format!("{directory}/etcd") }
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, EtcdError> {
        let path = format!("{}/{name}", self.directory);
        let entry = self.host.read(&path).map_err(|error| EtcdError::Unusable { why: error.to_string() })?;
        entry
            .and_then(|entry| entry.content().map(<[u8]>::to_vec))
            .ok_or_else(|| EtcdError::Unusable { why: format!("there is no `{path}` to ask it with") })
    }
}

impl EtcdProvider for LocalEtcd {
    fn client(&self) -> Result<Arc<dyn Etcd>, EtcdError> {
        let tls = Tls::new(
            &self.file("ca.crt")?,
            &self.file("healthcheck-client.crt")?,
            &self.file("healthcheck-client.key")?,
        )?;
        Ok(Arc::new(Client::new(Arc::clone(&self.host), self.endpoints.clone(), tls)?))
    }
}
