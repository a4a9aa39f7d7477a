//! Putting the access to one cluster into a kubeconfig that has others.

use serde_yaml::Mapping;
use serde_yaml::Value;
use zeroize::Zeroizing;

/// The three lists of a kubeconfig, and the field of an entry's content.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("the kubeconfig cannot be read as YAML")]
    Yaml(#[from] serde_yaml::Error),
    #[error("the kubeconfig is no mapping with lists of clusters, users and contexts")]
    Shape,
}

/// The name of the context, and of the user, that a cluster gets.
pub fn context(cluster: &str) -> String {
    format!("kubernetes-admin@{cluster}")
}

/// Adds the current context of `admin` to `existing` as [`context`] of the cluster; an entry of that name is replaced,
/// and all others stay. It becomes the current one where there is none.
///
/// # Errors
/// One of the two is no kubeconfig.
pub fn merge(existing: &str, admin: &str, cluster: &str) -> Result<Zeroizing<String>, MergeError> {
    let mut whole = match serde_yaml::from_str::<Value>(existing)? {
        Value::Null => {
            let mut empty = Mapping::new();
            empty.insert("apiVersion".into(), "v1".into());
            empty.insert("kind".into(), "Config".into());
            empty
        }
        Value::Mapping(map) => map,
        _ => return Err(MergeError::Shape),
    };
    let admin: Value = serde_yaml::from_str(admin)?;
    let name = context(cluster);
    for (list, field) in LISTS {
        let entry = admin.get(list).and_then(|list| list.get(0)).ok_or(MergeError::Shape)?;
        let mut content = entry.get(field).cloned().ok_or(MergeError::Shape)?;
        let entry_name = if list == "clusters" { cluster } else { &name };
        if list == "contexts" {
            content["cluster"] = cluster.into();
            content["user"] = name.as_str().into();
        }
        put(&mut whole, list, field, entry_name, content)?;
    }
    let current = whole.get("current-context").and_then(Value::as_str).unwrap_or_default();
    if current.is_empty() {
        whole.insert("current-context".into(), name.into());
    }
    Ok(Zeroizing::new(serde_yaml::to_string(&Value::Mapping(whole))?))
}

fn put(whole: &mut Mapping, list: &str, field: &str, name: &str, content: Value) -> Result<(), MergeError> {
    let slot = whole.entry(list.into()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Sequence(Vec::new());
    }
    let entries = slot.as_sequence_mut().ok_or(MergeError::Shape)?;
    let mut entry = Mapping::new();
    entry.insert("name".into(), name.into());
    entry.insert(field.into(), content);
    let entry = Value::Mapping(entry);
    match entries.iter_mut().find(|known| known.get("name").and_then(Value::as_str) == Some(name)) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: &str = "clusters:\n- name: kubernetes\n  cluster: {server: 'https://new'}\nusers:\n- name: \
                         kubernetes-admin\n  user: {token: t}\ncontexts:\n- name: x\n  context: {cluster: kubernetes, \
                         user: kubernetes-admin}\n";
    const OTHERS: &str = "apiVersion: v1\nkind: Config\npreferences: {colors: true}\ncurrent-context: other\nclusters:\n\
                          - name: other\n  cluster: {server: 'https://other', extra: [1]}\n- name: lab\n  cluster: \
                          {server: 'https://old'}\nusers: null\ncontexts: []\n";

    #[test]
    fn adds_or_replaces_one_and_leaves_the_others() {
        let text = merge(OTHERS, ADMIN, "lab").unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(value["current-context"], "other");
        assert_eq!(value["preferences"]["colors"], true);
        assert_eq!(value["clusters"][0]["cluster"]["extra"][0], 1);
        assert_eq!(value["clusters"][1]["cluster"]["server"], "https://new");
        assert_eq!(value["clusters"].as_sequence().unwrap().len(), 2);
        assert_eq!(value["contexts"][0]["name"], "kubernetes-admin@lab");
        assert_eq!(value["contexts"][0]["context"]["user"], "kubernetes-admin@lab");
        assert_eq!(value["users"][0]["name"], "kubernetes-admin@lab");
        assert_eq!(*merge(&text, ADMIN, "lab").unwrap(), *text, "a second time changes nothing");
    }

    #[test]
    fn makes_a_whole_file_of_nothing_and_refuses_what_is_none() {
        let text = merge("", ADMIN, "lab").unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            (&value["kind"], &value["current-context"]),
            (&"Config".into(), &"kubernetes-admin@lab".into())
        );
        for broken in ["[]", "clusters: 7", "a: [", "text"] {
            assert!(merge(broken, ADMIN, "lab").is_err(), "{broken}");
        }
    }
}
