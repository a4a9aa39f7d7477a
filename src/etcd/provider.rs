//! Where a client of etcd comes from.

use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use std::fmt;
use std::sync::Arc;

/// Gives out clients of the cluster's own etcd.
pub trait EtcdProvider: Send + Sync {
    /// A client.
    ///
    /// # Errors
    /// There is no etcd of ours, or nothing to ask it with.
    fn client(&self) -> Result<Arc<dyn Etcd>, EtcdError>;
}

/// One that is known from the beginning.
#[derive(Clone)]
pub struct Known(pub Arc<dyn Etcd>);

impl EtcdProvider for Known {
    fn client(&self) -> Result<Arc<dyn Etcd>, EtcdError> {
        Ok(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// No etcd at all: for plans that never change its members.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEtcd;

impl EtcdProvider for NoEtcd {
    fn client(&self) -> Result<Arc<dyn Etcd>, EtcdError> {
        Err(EtcdError::Unusable { why: "this run knows of no etcd".to_owned() })
    }
}
