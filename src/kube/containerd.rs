//! containerd's `config.toml`: what Kubernetes needs, put into the one that is there.
//!
//! It is changed in place and not through `imports`: with containerd 1.x an imported file replaces every plugin that
//! it names, whole, and so would take away what the operator has set there.

use crate::cluster::Cluster;
use crate::kube::images;
use crate::kube::patch;
use crate::kube::patch::Target;
use crate::kube::toml::Document;
use anyhow::Context as _;
use anyhow::bail;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Where registries are configured, one directory each; read at every pull.
pub const REGISTRIES: &str = "/etc/containerd/certs.d";

const HEAD: &str = "# containerd for Kubernetes. Written by kubewright.\n";

/// What is known of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The file as it is.
    pub existing: Option<&'a str>,
    /// Whether the containerd that will read a new file knows version 3 of the format (containerd 2).
    pub reads_v3: bool,
    /// `SELinux` is in force, and its policy for containers is there.
    pub selinux: bool,
}

/// The two formats name the same things differently.
struct Names {
    version: u64,
    runtime: &'static str,
    images: &'static str,
    /// Path of the pause image below `images`.
    sandbox: &'static [&'static str],
}

/// Version 2 of the format: containerd 1.x, and read by all later ones.
const V2: Names = Names {
    version: 2,
    runtime: "io.containerd.grpc.v1.cri",
    images: "io.containerd.grpc.v1.cri",
    sandbox: &["sandbox_image"],
};

/// Version 3, of containerd 2. Version 4 moves only tables that are not touched here.
const V3: Names = Names {
    version: 3,
    runtime: "io.containerd.cri.v1.runtime",
    images: "io.containerd.cri.v1.images",
    sandbox: &["pinned_images", "sandbox"],
};

/// The whole file as it is to be.
///
/// # Errors
/// The existing one is no TOML or of a format that is no longer read, or a patch of the operator does not apply.
pub fn config(cluster: &Cluster, setting: Setting<'_>) -> anyhow::Result<String> {
    let existing = setting.existing.unwrap_or_default();
    let document = Document::parse(existing).map_err(|error| {
        anyhow::anyhow!("/etc/containerd/config.toml cannot be read: {error}; mend it or move it away")
    })?;
    let mut value = document.value().clone();
    let names = format(&value, setting.reads_v3)?;
    if value.get("version").is_none() {
        value["version"] = json!(names.version);
    }
    enable(&mut value);
    needed(&mut value, cluster, setting, names);
    let config = Value::Object(cluster.prepare.runtime.config.clone());
    json_patch::merge(&mut value, &config);
    let value = patch::apply(&cluster.patches, Target::Containerd, value)
        .context("cannot patch containerd's configuration")?;
    let head = if existing.trim().is_empty() { HEAD } else { "" };
    Ok(format!("{head}{}", document.rewritten(&value)))
}

/// Where containerd looks for CNI plugins when it reads this configuration; nothing where it does not say.
pub fn plugin_directories(config: &str) -> Vec<String> {
    let Ok(document) = Document::parse(config) else { return Vec::new() };
    let own = |name: &str| {
        let said = get(document.value(), &["plugins", name, "cni"])?;
        // From containerd 2.1 on there can be several.
        let several = said.get("bin_dirs").and_then(Value::as_array).filter(|several| !several.is_empty());
        let all =
            several.map_or_else(|| said.get("bin_dir").into_iter().collect(), |all| all.iter().collect());
        Some(all)
    };
    let said: Option<Vec<&Value>> = own(V3.runtime).or_else(|| own(V2.runtime));
    let texts = said.into_iter().flatten().filter_map(Value::as_str);
    texts.filter(|text| !text.is_empty()).map(|text| text.trim_end_matches('/').to_owned()).collect()
}

fn format(value: &Value, reads_v3: bool) -> anyhow::Result<&'static Names> {
    match value.get("version").and_then(Value::as_u64) {
        Some(2) => Ok(&V2),
        Some(3 | 4) => Ok(&V3),
        // A file without a version is of version 1, unless it says nothing that differs.
        None if value.get("plugins").is_none() => Ok(if reads_v3 { &V3 } else { &V2 }),
        other => bail!(
            "/etc/containerd/config.toml has version {} of the format, which containerd 2 does not read; rewrite it with \
             `containerd config migrate`, or move it away",
            other.unwrap_or(1)
        ),
    }
}

/// Docker's package turns the interface for Kubernetes off.
fn enable(value: &mut Value) {
    let Some(disabled) = value.get_mut("disabled_plugins").and_then(Value::as_array_mut) else { return };
    let is_cri = |name: &Value| name.as_str().is_some_and(|name| name.rsplit('.').next() == Some("cri"));
    disabled.retain(|name| !is_cri(name));
}

fn needed(value: &mut Value, cluster: &Cluster, setting: Setting<'_>, names: &Names) {
    let runtime = ["plugins", names.runtime];
    let images = ["plugins", names.images];
    let runc = [&runtime[..], &["containerd", "runtimes", "runc"]].concat();
    let systemd = cluster.kubelet.value.get("cgroupDriver").and_then(Value::as_str) != Some("cgroupfs");
    set(value, &[&runc[..], &["options", "SystemdCgroup"]].concat(), json!(systemd));
    default(value, &[&runc[..], &["runtime_type"]].concat(), json!("io.containerd.runc.v2"));
    // The kubelet keeps this one; another would be pulled beside it.
    set(value, &[&images[..], names.sandbox].concat(), json!(images::pause(cluster)));
    let registry = [&images[..], &["registry"]].concat();
    // Together with the older ways of naming registries it is an error.
    if !["mirrors", "configs", "auths"]
        .iter()
        .any(|old| get(value, &[&registry[..], &[*old]].concat()).is_some())
    {
        default(value, &[&registry[..], &["config_path"]].concat(), json!(REGISTRIES));
    }
    if setting.selinux {
        default(value, &[&runtime[..], &["enable_selinux"]].concat(), json!(true));
    }
}

fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn set(value: &mut Value, path: &[&str], wanted: Value) {
    let mut here = value;
    for key in path {
        if !here.is_object() {
            *here = json!({});
        }
        here = &mut here[*key];
    }
    *here = wanted;
}

/// What the operator has set stays.
fn default(value: &mut Value, path: &[&str], wanted: Value) {
    if get(value, path).is_none() {
        set(value, path, wanted);
    }
}

/// `hosts.toml` of a registry: its mirrors in order, and then itself.
pub fn hosts_toml(registry: &str, mirrors: &[String]) -> String {
    let mut root = Map::new();
    if registry != "_default" {
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        root.insert("server".to_owned(), json!(format!("https://{host}")));
    }
    let hosts = mirrors.iter().map(|url| (url.clone(), json!({"capabilities": ["pull", "resolve"]})));
    let hosts: Map<String, Value> = hosts.collect();
    if !hosts.is_empty() {
        root.insert("host".to_owned(), Value::Object(hosts));
    }
    let head = "# Where images of this registry are asked for first. Written by kubewright.\n";
    let text =
        Document::parse("").map(|document| document.rewritten(&Value::Object(root))).unwrap_or_default();
    format!("{head}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_comes_before_the_registry_itself() {
        let text = hosts_toml("docker.io", &["https://mirror.example.com".to_owned()]);
        assert!(text.contains("server = \"https://registry-1.docker.io\""), "{text}");
        assert!(
            text.contains("[host.\"https://mirror.example.com\"]\ncapabilities = [\"pull\", \"resolve\"]"),
            "{text}"
        );
        assert!(!hosts_toml("_default", &[]).contains("server"));
    }

    #[test]
    fn tells_where_plugins_are_looked_for() {
        for (text, expected) in [
            ("", &[][..]),
            ("[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni/\"\n", &["/usr/lib/cni"]),
            (
                "[plugins.\"io.containerd.cri.v1.runtime\".cni]\nbin_dir = \"\"\nbin_dirs = [\"/a\", \"/b\"]\n",
                &["/a", "/b"],
            ),
            ("[plugins.\"io.containerd.cri.v1.runtime\".cni]\nbin_dir = \"/a\"\nbin_dirs = []\n", &["/a"]),
            ("[plugins.\"io.containerd.cri.v1.runtime\".cni]\nconf_dir = \"/c\"\n", &[]),
        ] {
            assert_eq!(plugin_directories(text), expected, "{text}");
        }
    }

    #[test]
    fn an_old_format_is_named_and_not_guessed() {
        for (text, reads_v3, version) in [
            ("", true, Some(3)),
            ("", false, Some(2)),
            ("disabled_plugins = [\"cri\"]\n", false, Some(2)),
            ("version = 2\n", true, Some(2)),
            ("version = 4\n", true, Some(3)),
            ("version = 1\n", true, None),
            ("[plugins.cri]\nsandbox_image = \"x\"\n", false, None),
        ] {
            let value = Document::parse(text).unwrap().value().clone();
            assert_eq!(format(&value, reads_v3).ok().map(|names| names.version), version, "{text}");
        }
    }
}
