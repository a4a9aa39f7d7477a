//! Which fields the documents have, as tables.
//!
//! A field's Go side (pointer or not, left out when empty or not) is there so that component configurations can
//! be written exactly as kubeadm's typed objects serialise.

pub mod addons;
pub mod cluster;
pub mod core;
pub mod endpoint;
pub mod kube_proxy;
pub mod kubelet;
pub mod lab;
pub mod network;
pub mod prepare;
pub mod ssh;
pub mod v1beta3;
pub mod v1beta4;

/// The fields of one structure.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub fields: &'static [Field],
}

#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub go: Go,
    /// What it is for, in one line.
    pub doc: &'static str,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Text,
    /// One of these, or empty; anything else is an error.
    Enum(&'static [&'static str]),
    /// One of these; kubeadm passes on anything else unread, and the component refuses it later.
    Advice(&'static [&'static str]),
    Bool,
    Int(i64, i64),
    Float,
    /// `1h30m`.
    Duration,
    /// Nanoseconds as a number, or a duration.
    Interval,
    /// RFC 3339.
    Time,
    /// `1Gi`, or a number.
    Quantity,
    List(&'static Shape),
    /// A text, or a list of them; it comes out as a list.
    TextOrTexts,
    Map(&'static Shape),
    Object(&'static Schema),
    Any,
}

/// How Go's typed object holds a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// `omitempty`: left out when zero.
    Omit,
    /// Always written.
    Keep,
    /// `omitempty` on a pointer: left out only when absent.
    Pointer,
    /// Written as `null` when absent.
    Nullable,
}

pub const PORT: Shape = Shape::Int(0, 65535);
pub const INT32: Shape = Shape::Int(i32::MIN as i64, i32::MAX as i64);
pub const INT64: Shape = Shape::Int(i64::MIN, i64::MAX);
pub const COUNT: Shape = Shape::Int(0, i32::MAX as i64);
pub const TEXTS: Shape = Shape::List(&Shape::Text);
pub const TEXT_MAP: Shape = Shape::Map(&Shape::Text);
pub const BOOL_MAP: Shape = Shape::Map(&Shape::Bool);

/// A field that is left out when it is empty.
pub(crate) const fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { name, shape, go: Go::Omit, doc }
}

impl Field {
    pub(crate) const fn keep(self) -> Self {
        Self { go: Go::Keep, ..self }
    }

    pub(crate) const fn pointer(self) -> Self {
        Self { go: Go::Pointer, ..self }
    }

    pub(crate) const fn nullable(self) -> Self {
        Self { go: Go::Nullable, ..self }
    }
}

impl Schema {
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Where else in this structure a field of that name lives: `networking.podSubnet`.
    pub fn search(&self, name: &str, depth: usize) -> Option<String> {
        if depth == 0 {
            return None;
        }
        self.fields.iter().find_map(|field| match field.shape {
            Shape::Object(inner) if inner.field(name).is_some() => Some(format!("{}.{name}", field.name)),
            Shape::Object(inner) => {
                inner.search(name, depth - 1).map(|rest| format!("{}.{rest}", field.name))
            }
            _ => None,
        })
    }
}

/// A document that is known: its identity and its fields.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub schema: &'static Schema,
}

pub const KUBELET_VERSION: &str = "kubelet.config.k8s.io/v1beta1";
pub const KUBE_PROXY_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
pub const CLUSTER_VERSION: &str = "kubewright.dev/v1alpha1";
pub const V1BETA3: &str = "kubeadm.k8s.io/v1beta3";
pub const V1BETA4: &str = crate::cluster::kubeadm::API_VERSION;

const fn known(api_version: &'static str, kind: &'static str, schema: &'static Schema) -> Known {
    Known { api_version, kind, schema }
}

/// Every document that can be read.
pub static KNOWN: [Known; 12] = [
    known(V1BETA4, "InitConfiguration", &v1beta4::INIT),
    known(V1BETA4, "ClusterConfiguration", &v1beta4::CLUSTER),
    known(V1BETA4, "JoinConfiguration", &v1beta4::JOIN),
    known(V1BETA4, "ResetConfiguration", &v1beta4::RESET),
    known(V1BETA4, "UpgradeConfiguration", &v1beta4::UPGRADE),
    known(V1BETA3, "InitConfiguration", &v1beta3::INIT),
    known(V1BETA3, "ClusterConfiguration", &v1beta3::CLUSTER),
    known(V1BETA3, "JoinConfiguration", &v1beta3::JOIN),
    known(KUBELET_VERSION, "KubeletConfiguration", &kubelet::KUBELET),
    known(KUBE_PROXY_VERSION, "KubeProxyConfiguration", &kube_proxy::KUBE_PROXY),
    known(CLUSTER_VERSION, "Cluster", &cluster::CLUSTER),
    known(CLUSTER_VERSION, "Lab", &lab::LAB),
];

pub fn find(api_version: &str, kind: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.api_version == api_version && known.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(schema: &Schema, seen: &mut usize) {
        let names: BTreeSet<&str> = schema.fields.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), schema.fields.len(), "{} names a field twice", schema.name);
        for field in schema.fields {
            *seen += 1;
            assert!(!field.doc.is_empty(), "{}.{}", schema.name, field.name);
            let mut shape = &field.shape;
            while let Shape::List(inner) | Shape::Map(inner) = shape {
                shape = inner;
            }
            if let Shape::Object(inner) = shape {
                check(inner, seen);
            }
        }
    }

    #[test]
    fn every_field_is_named_once_and_explained() {
        let mut seen = 0;
        for known in &KNOWN {
            check(known.schema, &mut seen);
        }
        assert!(seen > 400, "{seen}");
    }

    #[test]
    fn finds_a_field_that_stands_elsewhere() {
        assert_eq!(v1beta4::CLUSTER.search("podSubnet", 3).as_deref(), Some("networking.podSubnet"));
        assert_eq!(v1beta4::CLUSTER.search("dataDir", 3).as_deref(), Some("etcd.local.dataDir"));
        assert_eq!(v1beta4::CLUSTER.search("nonsense", 3), None);
    }
}
