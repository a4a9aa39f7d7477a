//! The `RootlessControlPlane` feature gate: each component as a user of its own.

use serde_json::Value;
use serde_json::json;

/// User and group number (they are equal in name, not in number) of each component's system account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootlessIds {
    /// `kubeadm-kas`.
    pub apiserver: Ids,
    /// `kubeadm-kcm`.
    pub controller_manager: Ids,
    /// `kubeadm-ks`.
    pub scheduler: Ids,
    /// `kubeadm-etcd`.
    pub etcd: Ids,
    /// The group `kubeadm-sa-key-readers`.
    pub sa_key_readers: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    pub user: u32,
    pub group: u32,
}

/// What a pod and its container are confined to.
pub(super) struct Security {
    ids: Option<Ids>,
    supplemental: Option<u32>,
    /// The API server may be told to listen below port 1024.
    binds_low_ports: bool,
}

impl Security {
    pub(super) fn new(ids: Option<Ids>) -> Self {
        Self { ids, supplemental: None, binds_low_ports: false }
    }

    pub(super) fn in_group(self, group: Option<u32>) -> Self {
        Self { supplemental: group, ..self }
    }

    pub(super) fn binding_low_ports(self) -> Self {
        Self { binds_low_ports: true, ..self }
    }

    pub(super) fn pod(&self) -> Value {
        let mut context = json!({"seccompProfile": {"type": "RuntimeDefault"}});
        if let Some(ids) = self.ids {
            context["runAsUser"] = json!(ids.user);
            context["runAsGroup"] = json!(ids.group);
        }
        if let Some(group) = self.supplemental {
            context["supplementalGroups"] = json!([group]);
        }
        context
    }

    pub(super) fn container(&self) -> Option<Value> {
        self.ids?;
        Some(if self.binds_low_ports {
            json!({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}})
        } else {
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
        })
    }
}
