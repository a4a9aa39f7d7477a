//! What is compared of a file or an object: everything but what chance and the clock decide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use x509_parser::pem::Pem;

/// A file as fields, by what its name says it is.
pub(crate) fn file(path: &Path, content: &[u8]) -> Value {
    let name = path.file_name().unwrap().to_str().unwrap();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let text = || String::from_utf8(content.to_vec()).unwrap();
    match ending {
        "crt" | "key" | "pub" | "pem" => pem(content),
        "conf" if text().contains("kind: Config") => kubeconfig(&text()),
        "yaml" => manifest(&text()),
        _ => Value::String(text()),
    }
}

pub(crate) fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// etcd lists its members by their numbers, which come from the clock.
fn manifest(text: &str) -> Value {
    let mut value = yaml(text);
    walk(&mut value, &mut |_, value| {
        let members = value.as_str().and_then(|flag| flag.strip_prefix("--initial-cluster="));
        if let Some(members) = members {
            let members: BTreeSet<&str> = members.split(',').collect();
            *value = members.into_iter().collect();
        }
    });
    value
}

/// A kubeconfig with what its certificates say in the place of their bytes.
pub(crate) fn kubeconfig(text: &str) -> Value {
    let mut value = yaml(text);
    walk(&mut value, &mut |key, value| {
        if key.ends_with("-data") {
            let content = STANDARD.decode(value.as_str().unwrap()).unwrap();
            *value = pem(&content);
        }
    });
    value
}

/// Calls `change` with every scalar of a value and the name of its field; an item of a list has no name.
fn walk(value: &mut Value, change: &mut impl FnMut(&str, &mut Value)) {
    let mut visit = |key: &str, value: &mut Value| {
        if value.is_object() || value.is_array() {
            walk(value, change);
        } else {
            change(key, value);
        }
    };
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| visit(key, value)),
        Value::Array(items) => items.iter_mut().for_each(|item| visit("", item)),
        _ => {}
    }
}

/// What openssl says of every block, without the bytes of keys and signatures.
fn pem(content: &[u8]) -> Value {
    let block = |block: Result<Pem, _>| {
        let block = block.unwrap();
        let text = pem::encode(&pem::Pem::new(block.label.clone(), block.contents.clone()));
        let mut fields = vec![block.label.clone()];
        if block.label == "CERTIFICATE" {
            fields.extend(openssl(
                &["x509", "-noout", "-text", "-nameopt", "RFC2253", "-certopt", CERTOPT],
                &text,
            ));
            let validity = block.parse_x509().unwrap().validity().clone();
            // To the hour: the two moments of its making are not the same instant.
            let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
            fields.push(format!("valid for {} hours", (seconds + 1800) / 3600));
        } else {
            let public: &[&str] = if block.label.contains("PUBLIC") { &["-pubin"] } else { &[] };
            let described = openssl(&[&["pkey", "-noout", "-text_pub"], public].concat(), &text);
            fields.extend(described);
        }
        Value::from(fields)
    };
    Value::Array(Pem::iter_from_buffer(content).map(block).collect())
}

const CERTOPT: &str = "no_serial,no_sigdump,no_validity,no_version";

/// The lines that openssl prints of a PEM text, without bytes of keys.
fn openssl(args: &[&str], text: &str) -> Vec<String> {
    let mut child =
        Command::new("openssl").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim).filter(|line| !is_bytes(line)).map(timeless).collect()
}

/// The kubelet's self-signed certificate has the time in its names: `CN=cp1@1795188208`.
fn timeless(line: &str) -> String {
    match line.rsplit_once('@') {
        Some((name, time)) if time.bytes().all(|byte| byte.is_ascii_digit()) => format!("{name}@TIME"),
        _ => line.to_owned(),
    }
}

/// `3a:f0:…`, as keys and key identifiers are printed.
fn is_bytes(line: &str) -> bool {
    let line = line.strip_prefix("keyid:").unwrap_or(line);
    let pairs: Vec<&str> = line.trim_end_matches(':').split(':').collect();
    pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Every object of a `List`, by kind, namespace and name.
pub(crate) fn objects(list: &str) -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(list).unwrap();
    let items = list["items"].as_array().unwrap().iter().cloned();
    items.map(|object| (title(&object), object_fields(object))).collect()
}

fn title(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut name = text("/metadata/name");
    if text("/type") == "bootstrap.kubernetes.io/token" && name != FIXED_TOKEN {
        name = "bootstrap-token-<random>";
    }
    format!("{} {}/{name}", text("/kind"), text("/metadata/namespace"))
}

/// What the server and its controllers add, and what changes by itself.
const VOLATILE: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"];

fn object_fields(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| !VOLATILE.contains(&key.as_str()));
    if let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
        for owner in owners {
            *owner = Value::from(owner["kind"].as_str().unwrap());
        }
    }
    object.as_object_mut().unwrap().remove("status");
    match object["kind"].as_str().unwrap() {
        "Secret" => secret(&mut object),
        "ConfigMap" => config_map(&mut object),
        _ => {}
    }
    object
}

/// The token that the configuration names; the other one limits the life of the uploaded certificates.
const FIXED_TOKEN: &str = "bootstrap-token-abcdef";

/// What is encrypted, random or a time differs each time.
fn secret(object: &mut Value) {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let random = name.starts_with("bootstrap-token-") && name != FIXED_TOKEN;
    if random {
        object["metadata"]["name"] = Value::from("<random>");
    }
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return };
    for (key, value) in data {
        let of_random = random && ["token-id", "token-secret"].contains(&key.as_str());
        if name == "kubeadm-certs" || of_random || key == "expiration" {
            *value = Value::from("<differs each time>");
        }
    }
}

/// Documents inside a ConfigMap are compared by field, and signatures and certificates by what they say.
fn config_map(object: &mut Value) {
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return };
    for (key, value) in data {
        let text = value.as_str().unwrap_or_default().to_owned();
        *value = match key.as_str() {
            "kubeconfig" | "kubeconfig.conf" if text.contains("-data:") => kubeconfig(&text),
            key if key.starts_with("jws-kubeconfig-") => Value::from("<signature>"),
            "ca.crt" | "client-ca-file" | "requestheader-client-ca-file" => pem(text.as_bytes()),
            "ClusterConfiguration" | "kubelet" | "config.conf" | "kubeconfig.conf" | "kubeconfig" => {
                yaml(&text)
            }
            _ => continue,
        };
    }
}

/// Every field with its path, for a comparison that names what differs.
pub(crate) fn fields(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    flatten(value, "", &mut found);
    found
}

fn flatten(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !Map::is_empty(fields) => {
            for (key, value) in fields {
                flatten(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, &format!("{path}/{index}"), found);
            }
        }
        scalar => {
            found.insert(path.to_owned(), scalar.to_string());
        }
    }
}
