//! What a running cluster notes of the add-ons that were installed in it.

use serde_json::Value;

/// On everything that belongs to an add-on: its name.
pub const ADDON_LABEL: &str = "kubewright.dev/addon";
/// On the `ConfigMap` that lists the members of an add-on.
pub const INVENTORY_LABEL: &str = "kubewright.dev/inventory";
/// Its one key: a line for each member.
pub const INVENTORY_KEY: &str = "members";

/// On CoreDNS' `ConfigMap`: what its Corefile was when this program wrote it.
pub const COREFILE_ANNOTATION: &str = "kubewright.dev/corefile";

/// An add-on that was installed, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub name: String,
    /// `apps/v1 DaemonSet kube-flannel/kube-flannel-ds`, in the order in which they were applied.
    pub members: Vec<String>,
}

impl Installed {
    /// Reads the `ConfigMap`; `None` where it names no add-on.
    pub fn of(config_map: &Value) -> Option<Self> {
        let name = config_map["metadata"]["labels"].get(ADDON_LABEL)?.as_str()?.to_owned();
        let text = config_map["data"].get(INVENTORY_KEY).and_then(Value::as_str).unwrap_or_default();
        Some(Self { name, members: text.lines().map(str::to_owned).collect() })
    }
}
