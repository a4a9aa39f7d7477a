//! API objects of a plan, with holes where something secret, random or dated belongs.

use crate::cluster::GoDuration;
use crate::pki::CertName;
use crate::pki::Part;
use serde_json::Value;
use std::fmt;

/// An object and its holes. The holes' places are absent from `value` until they are filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub value: Value,
    pub holes: Vec<Hole>,
}

/// A place in an object that is filled during execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Hole {
    /// JSON pointer of the place: `/data/token-secret`.
    pub pointer: String,
    pub fill: Fill,
}

/// What a hole is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// The secret part of the bootstrap token with this id, in base64.
    TokenSecret(String),
    /// RFC 3339 in UTC, this long after the object is written, in base64. An existing value in the future is kept.
    Expiration(GoDuration),
    /// The `cluster-info` kubeconfig: server and the kubernetes CA, no credentials.
    ClusterInfo { server: String },
    /// A file of the PKI, encrypted with the certificate key (AES-256-GCM), in base64. A certificate file that
    /// does not exist is an empty value, as kubeadm has it.
    Encrypted { node: String, cert: CertName, part: Part },
    /// A file of the host, encrypted likewise (external etcd's client certificate).
    EncryptedFile { path: String },
    /// The UID of another object, which is written before this one.
    UidOf(ObjectRef),
}

/// Names an object of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    pub api_version: String,
    pub kind: String,
    /// Empty for a cluster-wide object.
    pub namespace: String,
    pub name: String,
}

impl Object {
    pub fn plain(value: Value) -> Self {
        Self { value, holes: Vec::new() }
    }

    #[must_use]
    pub fn hole(mut self, pointer: impl Into<String>, fill: Fill) -> Self {
        self.holes.push(Hole { pointer: pointer.into(), fill });
        self
    }
}

impl ObjectRef {
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The name of an object; missing parts are empty.
    pub fn of(value: &Value) -> Self {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Self::new(text("/apiVersion"), text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}
