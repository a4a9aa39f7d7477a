//! Which objects of a collection are meant.

use crate::api::resources::encoded;
use serde_json::Value;

/// Requirements on labels and fields, all of which must hold. An empty one means every object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<(String, String)>,
    fields: Vec<(String, String)>,
}

impl Selector {
    /// Every object.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those with this label and value.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Those with this value of a field: `type`, `spec.nodeName`. The server knows only a few fields of each kind.
    #[must_use]
    pub fn field(mut self, path: &str, value: &str) -> Self {
        self.fields.push((path.to_owned(), value.to_owned()));
        self
    }

    /// The query of a request that asks for one page: `labelSelector=…&fieldSelector=…&limit=…&continue=…`.
    pub(super) fn query(&self, limit: usize, token: &str) -> String {
        let mut parts = vec![format!("limit={limit}")];
        for (name, requirements) in [("labelSelector", &self.labels), ("fieldSelector", &self.fields)] {
            if !requirements.is_empty() {
                let all: Vec<String> =
                    requirements.iter().map(|(key, value)| format!("{key}={value}")).collect();
                parts.push(format!("{name}={}", encoded(&all.join(","))));
            }
        }
        if !token.is_empty() {
            parts.push(format!("continue={}", encoded(token)));
        }
        parts.join("&")
    }

    /// Whether an object fulfils all requirements. An absent field counts as empty, as for the server.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"].get(name).and_then(Value::as_str);
        let field = |path: &str| {
            let value = path.split('.').try_fold(object, |value, key| value.get(key));
            value.and_then(Value::as_str).unwrap_or_default()
        };
        self.labels.iter().all(|(name, value)| label(name) == Some(value))
            && self.fields.iter().all(|(path, value)| field(path) == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_query_is_escaped() {
        let selector = Selector::all()
            .label("component", "etcd")
            .label("tier", "control-plane")
            .field("type", "bootstrap.kubernetes.io/token");
        assert_eq!(
            selector.query(500, "a+b/c="),
            "limit=500&labelSelector=component%3Detcd%2Ctier%3Dcontrol-plane\
             &fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken&continue=a%2Bb%2Fc%3D"
        );
        assert_eq!(Selector::all().query(7, ""), "limit=7");
    }

    #[test]
    fn every_requirement_counts() {
        let pod = json!({"metadata": {"name": "etcd-cp1", "labels": {"component": "etcd", "empty": ""}},
            "spec": {"nodeName": "cp1"}});
        for (selector, expected) in [
            (Selector::all(), true),
            (Selector::all().label("component", "etcd").field("spec.nodeName", "cp1"), true),
            (Selector::all().label("component", "etcd").field("spec.nodeName", "cp2"), false),
            (Selector::all().label("component", "kube-apiserver"), false),
            (Selector::all().label("empty", ""), true),
            (Selector::all().label("absent", ""), false),
            (Selector::all().field("metadata.name", "etcd-cp1"), true),
            (Selector::all().field("spec.absent.deep", ""), true),
        ] {
            assert_eq!(selector.matches(&pod), expected, "{selector:?}");
        }
    }
}
