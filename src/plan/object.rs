//! API objects of a plan, with holes where something secret, random or dated belongs.

use crate::cluster::GoDuration;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Stands where a value is hidden.
pub const HIDDEN: &str = "<hidden>";

/// Where `kubectl apply` keeps the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

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
    /// The signature of the same kubeconfig by the bootstrap token with this id, as the controller-manager makes it.
    Signature { server: String, token: String },
    /// A file of the PKI, encrypted with the certificate key (AES-256-GCM), in base64. A certificate file that
    /// does not exist is an empty value, as kubeadm has it.
    Encrypted { node: String, cert: CertName, part: Part },
    /// A file of the host, encrypted likewise (external etcd's client certificate).
    EncryptedFile { path: String },
    /// The certificates of an authority in PEM; `encoded` in base64.
    Authority { ca: Ca, encoded: bool },
    /// A certificate for serving under these names, signed by the authority, and its key, both in PEM and in base64. One
    /// that is there stays for as long as it serves.
    Serving { ca: Ca, common_name: String, names: Vec<String> },
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

/// Hides what a Secret holds, for wherever somebody looks; other objects are left as they are.
pub fn hide_secret_data(value: &mut Value) {
    if value["kind"] != "Secret" {
        return;
    }
    for field in ["data", "stringData"] {
        if let Some(data) = value.get_mut(field).and_then(Value::as_object_mut) {
            data.values_mut().for_each(|value| *value = HIDDEN.into());
        }
    }
    let annotations = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(copy) = annotations.and_then(|annotations| annotations.get_mut(LAST_APPLIED)) {
        *copy = HIDDEN.into();
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

    /// Whether it is of this kind and, where that says one, in this namespace; the name of `collection` plays no part.
    pub fn is_in(&self, collection: &Self) -> bool {
        self.api_version == collection.api_version
            && self.kind == collection.kind
            && (collection.namespace.is_empty() || self.namespace == collection.namespace)
    }

    /// The name of an object; missing parts are empty.
    pub fn of(value: &Value) -> Self {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Self::new(text("/apiVersion"), text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
    }
}

/// Puts a value at a JSON pointer (RFC 6901); missing maps on the way are made.
pub fn place(root: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let mut here = root;
    for token in pointer.strip_prefix('/')?.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        if here.is_null() {
            *here = Value::Object(Map::new());
        }
        here = match here {
            Value::Object(map) => map.entry(token).or_insert(Value::Null),
            Value::Array(list) => list.get_mut(token.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    *here = value;
    Some(())
}

/// A moment after `now` as a token Secret holds it: RFC 3339 in base64.
pub fn expiration(now: OffsetDateTime, after: GoDuration) -> String {
    let time = now + after.to_std();
    let text = time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default();
    STANDARD.encode(text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_values_at_pointers() {
        let mut value = json!({"list": [{"a": 1}], "text": "x"});
        for (pointer, expected) in [("/new/deep", true), ("/list/0/uid", true), ("/data/a~1b", true)] {
            assert_eq!(place(&mut value, pointer, "v".into()).is_some(), expected, "{pointer}");
        }
        for pointer in ["", "/text/x", "/list/7", "/list/x"] {
            assert!(place(&mut value, pointer, "v".into()).is_none(), "{pointer}");
        }
        assert_eq!(
            value,
            json!({"list": [{"a": 1, "uid": "v"}], "text": "x", "new": {"deep": "v"}, "data": {"a/b": "v"}})
        );
    }
}
