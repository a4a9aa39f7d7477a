//! Kubeconfigs that others wrote: the cluster that one means, and the credentials that it has.

use crate::discovery::error::DiscoveryError;
use crate::discovery::error::FileProblem;
use crate::kube::yaml;
use crate::pki::material::SecretBytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use zeroize::Zeroizing;

/// A kubeconfig, read as far as discovery needs it.
pub(super) struct Kubeconfig {
    root: Value,
}

/// The cluster that a kubeconfig means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) cluster: Value,
}

impl Kubeconfig {
    /// The error reads on after the file's name and "is not a kubeconfig:".
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let root: Value =
            serde_yaml::from_slice(bytes).map_err(|error| format!("it is not YAML: {error}"))?;
        if !root.is_object() {
            return Err("it is not a mapping".to_owned());
        }
        Ok(Self { root })
    }

    /// A cluster without a name, as in cluster-info, or else that of the current context.
    pub(super) fn cluster(&self) -> Result<Named, String> {
        if let Some(cluster) = self.named("clusters", "", "cluster") {
            return Ok(Named { name: String::new(), cluster: cluster.clone() });
        }
        let current = self.current();
        if current.is_empty() {
            return Err("it has no current context".to_owned());
        }
        let context = self
            .named("contexts", &current, "context")
            .ok_or_else(|| format!("its current context `{current}` does not exist"))?;
        let name = text(context, "cluster");
        let cluster = self
            .named("clusters", &name, "cluster")
            .ok_or_else(|| format!("the cluster `{name}` of its current context does not exist"))?;
        Ok(Named { cluster: cluster.clone(), name })
    }

    /// The user of the current context, and its name.
    pub(super) fn user(&self) -> Option<(String, Value)> {
        let name = text(self.named("contexts", &self.current(), "context")?, "user");
        let user = self.named("users", &name, "user")?.clone();
        Some((name, user))
    }

    fn current(&self) -> String {
        text(&self.root, "current-context")
    }

    fn named(&self, list: &str, name: &str, key: &str) -> Option<&Value> {
        let entries = self.root.get(list)?.as_array()?;
        entries.iter().find(|entry| text(entry, "name") == name)?.get(key)
    }
}

impl Named {
    pub(super) fn server(&self) -> String {
        text(&self.cluster, "server")
    }

    pub(super) fn text(&self, key: &str) -> String {
        text(&self.cluster, key)
    }

    /// `certificate-authority-data`, decoded; `None` when there are none.
    pub(super) fn authority(&self) -> Result<Option<Vec<u8>>, String> {
        let data = data(&self.cluster, "certificate-authority-data")?;
        Ok(Some(data).filter(|data| !data.is_empty()))
    }
}

/// A user's way of proving who it is.
#[derive(PartialEq)]
pub(super) enum Credentials {
    None,
    Token(Zeroizing<String>),
    Basic {
        user: String,
        password: Zeroizing<String>,
    },
    Certificate {
        certificate: Vec<u8>,
        key: Zeroizing<Vec<u8>>,
    },
    /// A program or a plugin, which only the kubelet runs.
    Plugin,
}

/// What `user` can prove itself with; files that it names must be embedded before.
pub(super) fn credentials(user: &Value) -> Result<Credentials, String> {
    let certificate = data(user, "client-certificate-data")?;
    let key = Zeroizing::new(data(user, "client-key-data")?);
    let token = text(user, "token");
    let (name, password) = (text(user, "username"), text(user, "password"));
    let plugin = |pointer| user.pointer(pointer).and_then(Value::as_str).is_some_and(|it| !it.is_empty());
    Ok(if !certificate.is_empty() && !key.is_empty() {
        Credentials::Certificate { certificate, key }
    } else if !token.is_empty() {
        Credentials::Token(Zeroizing::new(token))
    } else if !name.is_empty() && !password.is_empty() {
        Credentials::Basic { user: name, password: Zeroizing::new(password) }
    } else if plugin("/exec/command") || plugin("/auth-provider/name") {
        Credentials::Plugin
    } else {
        Credentials::None
    })
}

/// Fields that name files, and those that hold the same inside; a token is held as it is, the others in base64.
const EMBEDDABLE: [(&str, &str); 4] = [
    ("certificate-authority", "certificate-authority-data"),
    ("client-certificate", "client-certificate-data"),
    ("client-key", "client-key-data"),
    ("tokenFile", "token"),
];

/// Puts the content of files into a cluster or a user that names them, since the kubelet may not find them.
pub(super) fn embed(
    value: &mut Value,
    read: &dyn Fn(&str) -> Result<SecretBytes, FileProblem>,
) -> Result<(), FileProblem> {
    for (by_name, inside) in EMBEDDABLE {
        let path = text(value, by_name);
        if path.is_empty() {
            continue;
        }
        if text(value, inside).is_empty() {
            let content = read(&path)?;
            value[inside] = if inside == "token" {
                json!(String::from_utf8_lossy(&content).trim())
            } else {
                json!(STANDARD.encode(content.as_slice()))
            };
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove(by_name);
        }
    }
    Ok(())
}

/// A kubeconfig of one cluster and one user, in kubeadm's order.
pub(super) fn write(cluster: &Named, user: Option<&(String, Value)>) -> SecretBytes {
    let mut root = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"cluster": cluster.cluster, "name": cluster.name}],
        "contexts": null,
        "current-context": "",
        "users": null,
    });
    if let Some((name, user)) = user {
        let context = format!("{name}@{}", cluster.name);
        root["users"] = json!([{"name": name, "user": user}]);
        root["contexts"] = json!([{"context": {"cluster": cluster.name, "user": name}, "name": context}]);
        root["current-context"] = json!(context);
    }
    Zeroizing::new(yaml::to_string(&root).into_bytes())
}

/// The same with the cluster under another name, and with another server (a URL).
pub(super) fn renamed(
    bytes: &[u8],
    cluster_name: &str,
    server: Option<&str>,
) -> Result<SecretBytes, DiscoveryError> {
    let malformed = |why| DiscoveryError::File {
        file: "with the bootstrap credentials".to_owned(),
        problem: FileProblem::Malformed(why),
    };
    let mut root = Kubeconfig::parse(bytes).map_err(malformed)?.root;
    for entry in root.get_mut("clusters").and_then(Value::as_array_mut).into_iter().flatten() {
        entry["name"] = json!(cluster_name);
        if let (Some(server), Some(cluster)) = (server, entry.get_mut("cluster")) {
            cluster["server"] = json!(server);
        }
    }
    for entry in root.get_mut("contexts").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(context) = entry.get_mut("context") {
            context["cluster"] = json!(cluster_name);
        }
    }
    Ok(Zeroizing::new(yaml::to_string(&root).into_bytes()))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn data(value: &Value, key: &str) -> Result<Vec<u8>, String> {
    let encoded: String = text(value, key).split_whitespace().collect();
    STANDARD.decode(encoded).map_err(|_| format!("its `{key}` is not base64"))
}
