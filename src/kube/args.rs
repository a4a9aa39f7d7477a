//! Flags and environment of a component: kubeadm's base values under what the operator adds.

use crate::cluster::kubeadm::Arg;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// The flags that a component gets before the operator has a say, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(BTreeMap<String, String>);

impl Flags {
    /// Gives `--name=value`, once.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Gives several flags at once.
    #[must_use]
    pub fn with_all<V: Into<String>>(self, flags: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        flags.into_iter().fold(self, |flags, (name, value)| flags.with(name, value))
    }

    /// Overlays the operator's flags: a name that occurs there loses its base value, and all of theirs follow in
    /// their own order, repetitions included.
    pub fn overlaid(&self, extra: &[Arg]) -> Vec<String> {
        let base = self.0.iter().filter(|(name, _)| last(extra, name).is_none());
        base.chain(extra.iter().map(|arg| (&arg.name, &arg.value)))
            .map(|(name, value)| format!("--{name}={value}"))
            .collect()
    }
}

/// The value that wins where a flag has one value: the last.
pub fn last<'a>(args: &'a [Arg], name: &str) -> Option<&'a str> {
    args.iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
}

/// The environment of a component: the host's proxy variables under `extraEnvs`, sorted by name.
///
/// Pass an empty map where kubeadm hands no proxy variables on (etcd).
pub fn env(proxy: &BTreeMap<String, String>, extra: &[Value]) -> Vec<Value> {
    let inherited = proxy
        .iter()
        .filter(|(name, value)| name.to_ascii_lowercase().ends_with("_proxy") && !value.is_empty())
        .map(|(name, value)| (name.as_str(), json!({ "name": name, "value": value })));
    let own =
        extra.iter().map(|variable| (variable["name"].as_str().unwrap_or_default(), defaulted(variable)));
    inherited.chain(own).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// A `fieldRef` without a version means `v1`, and the API server would fill that in.
fn defaulted(variable: &Value) -> Value {
    let mut variable = variable.clone();
    if let Some(Value::Object(field)) = variable.pointer_mut("/valueFrom/fieldRef") {
        field.entry("apiVersion").or_insert_with(|| json!("v1"));
    }
    variable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arg(name: &str, value: &str) -> Arg {
        Arg { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn the_operators_flags_replace_by_name_and_follow_in_their_order() {
        let base = Flags::default().with_all([("v", "2"), ("issuer", "https://base"), ("empty", "")]);
        for (extra, expected) in [
            (vec![], vec!["--empty=", "--issuer=https://base", "--v=2"]),
            (
                vec![arg("issuer", "https://b"), arg("issuer", "https://a"), arg("a", "1")],
                vec!["--empty=", "--v=2", "--issuer=https://b", "--issuer=https://a", "--a=1"],
            ),
            (vec![arg("v", "")], vec!["--empty=", "--issuer=https://base", "--v="]),
        ] {
            assert_eq!(base.overlaid(&extra), expected);
        }
    }

    #[test]
    fn the_last_value_of_a_flag_wins() {
        let args = [arg("bind-address", "::1"), arg("v", "1"), arg("bind-address", "::")];
        assert_eq!(last(&args, "bind-address"), Some("::"));
        assert_eq!(last(&args, "port"), None);
    }

    #[test]
    fn the_environment_is_the_proxys_under_the_operators_own() {
        let proxy =
            [("no_proxy", "10.0.0.0/8"), ("HTTPS_PROXY", "http://p"), ("ZED_PROXY", ""), ("HOME", "/root")];
        let proxy = proxy.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let extra = [
            json!({"name": "Z", "value": "1"}),
            json!({"name": "no_proxy", "value": "all"}),
            json!({"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
        ];
        let expected = [
            json!({"name": "HTTPS_PROXY", "value": "http://p"}),
            json!({"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}),
            json!({"name": "Z", "value": "1"}),
            json!({"name": "no_proxy", "value": "all"}),
        ];
        assert_eq!(env(&proxy, &extra), expected);
    }
}
