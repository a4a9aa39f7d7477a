//! The flags of `init` that stand for fields of the configuration.

use crate::cluster::GoDuration;
use crate::cluster::Layout;
use crate::cluster::Secret;
use crate::config::documents::Object;
use crate::config::issue::Severity;
use crate::config::report::COMMAND_LINE;
use crate::config::report::Report;
use serde_json::Value;
use serde_json::json;

/// One field per flag; `None` when it was not given.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub apiserver_advertise_address: Option<String>,
    pub apiserver_bind_port: Option<u16>,
    pub apiserver_cert_extra_sans: Option<Vec<String>>,
    /// `name=value` pairs.
    pub apiserver_extra_args: Option<Vec<String>>,
    pub cert_dir: Option<String>,
    pub certificate_key: Option<Secret>,
    pub control_plane_endpoint: Option<String>,
    /// `name=value` pairs.
    pub controller_manager_extra_args: Option<Vec<String>>,
    pub cri_socket: Option<String>,
    pub dry_run: Option<bool>,
    /// `Name=true,Other=false`.
    pub feature_gates: Option<String>,
    pub ignore_preflight_errors: Option<Vec<String>>,
    pub image_repository: Option<String>,
    pub kubernetes_version: Option<String>,
    /// Takes precedence over the layout of the `Cluster` document.
    pub layout: Option<Layout>,
    pub node_name: Option<String>,
    pub patches: Option<String>,
    pub pod_network_cidr: Option<String>,
    /// `name=value` pairs.
    pub scheduler_extra_args: Option<Vec<String>>,
    pub service_cidr: Option<String>,
    pub service_dns_domain: Option<String>,
    pub skip_phases: Option<Vec<String>>,
    pub token: Option<Secret>,
    pub token_ttl: Option<String>,
    pub upload_certs: Option<bool>,
}

/// Where a flag's value goes: kind and field.
struct Setting {
    flag: &'static str,
    kind: &'static str,
    field: &'static str,
    value: Option<Value>,
}

const INIT: &str = "InitConfiguration";
const CLUSTER: &str = "ClusterConfiguration";

impl Overrides {
    /// The flags that cannot be combined with a configuration file, by name.
    pub fn conflicts_with_file(&self) -> Vec<&'static str> {
        let mut given: Vec<&str> =
            self.settings().into_iter().filter(|setting| setting.value.is_some()).map(|s| s.flag).collect();
        given.extend(self.feature_gates.as_ref().map(|_| "feature-gates"));
        given.extend(self.token_ttl.as_ref().map(|_| "token-ttl"));
        given.extend(self.apiserver_extra_args.as_ref().map(|_| "apiserver-extra-args"));
        given.extend(self.controller_manager_extra_args.as_ref().map(|_| "controller-manager-extra-args"));
        given.extend(self.scheduler_extra_args.as_ref().map(|_| "scheduler-extra-args"));
        given.retain(|flag| !matches!(*flag, "node-name"));
        given.sort_unstable();
        given.dedup();
        given
    }

    fn settings(&self) -> Vec<Setting> {
        let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
        let secret = |value: &Option<Secret>| value.as_ref().map(|text| json!(text.expose()));
        let row = |flag, kind, field, value| Setting { flag, kind, field, value };
        vec![
            row(
                "apiserver-advertise-address",
                INIT,
                "localAPIEndpoint.advertiseAddress",
                text(&self.apiserver_advertise_address),
            ),
            row(
                "apiserver-bind-port",
                INIT,
                "localAPIEndpoint.bindPort",
                self.apiserver_bind_port.map(|p| json!(p)),
            ),
            row(
                "apiserver-cert-extra-sans",
                CLUSTER,
                "apiServer.certSANs",
                self.apiserver_cert_extra_sans.as_ref().map(|sans| json!(sans)),
            ),
            row("cert-dir", CLUSTER, "certificatesDir", text(&self.cert_dir)),
            row("certificate-key", INIT, "certificateKey", secret(&self.certificate_key)),
            row(
                "control-plane-endpoint",
                CLUSTER,
                "controlPlaneEndpoint",
                text(&self.control_plane_endpoint),
            ),
            row("cri-socket", INIT, "nodeRegistration.criSocket", text(&self.cri_socket)),
            row("image-repository", CLUSTER, "imageRepository", text(&self.image_repository)),
            row("kubernetes-version", CLUSTER, "kubernetesVersion", text(&self.kubernetes_version)),
            row("node-name", INIT, "nodeRegistration.name", text(&self.node_name)),
            row("patches", INIT, "patches.directory", text(&self.patches)),
            row("pod-network-cidr", CLUSTER, "networking.podSubnet", text(&self.pod_network_cidr)),
            row("service-cidr", CLUSTER, "networking.serviceSubnet", text(&self.service_cidr)),
            row("service-dns-domain", CLUSTER, "networking.dnsDomain", text(&self.service_dns_domain)),
            row("token", INIT, "bootstrapTokens[0].token", secret(&self.token)),
        ]
    }
}

/// Refuses flags that contradict a file.
pub(crate) fn refuse_conflicts(report: &mut Report, overrides: &Overrides) {
    let conflicts = overrides.conflicts_with_file();
    if !conflicts.is_empty() {
        let message = format!("can not mix '--config' with arguments [{}]", conflicts.join(" "));
        flag_error(report, "config", message)
            .hint("write these settings into the file, or leave the file out");
    }
}

/// Sets the one field that a flag may set although there is a file.
pub(crate) fn apply_to_file(report: &mut Report, overrides: &Overrides, init: &mut Object) {
    if let Some(name) = &overrides.node_name {
        put(init, "nodeRegistration.name", json!(name));
        report.flags.push((format!("{INIT}.nodeRegistration.name"), "node-name"));
    }
}

/// Builds both documents from flags alone.
pub(crate) fn apply_all(report: &mut Report, overrides: &Overrides, init: &mut Object, cluster: &mut Object) {
    let mut token = Object::new();
    token.insert("description".to_owned(), json!("the default bootstrap token made by `kubewright init`"));
    for setting in overrides.settings() {
        let Some(value) = setting.value else { continue };
        report.flags.push((format!("{}.{}", setting.kind, setting.field), setting.flag));
        match setting.field.strip_prefix("bootstrapTokens[0].") {
            Some(field) => put(&mut token, field, value),
            None => put(if setting.kind == INIT { init } else { cluster }, setting.field, value),
        }
    }
    if let Some(ttl) = &overrides.token_ttl {
        match ttl.parse::<GoDuration>() {
            Ok(ttl) => put(&mut token, "ttl", json!(ttl)),
            Err(error) => {
                flag_error(report, "token-ttl", error.to_string()).hint("0 means that it never expires");
            }
        }
    }
    put(init, "bootstrapTokens", json!([token]));
    if let Some(gates) = feature_gates(report, overrides.feature_gates.as_deref()) {
        put(cluster, "featureGates", gates);
        report.flags.push((format!("{CLUSTER}.featureGates"), "feature-gates"));
    }
    for (flag, component, args) in [
        ("apiserver-extra-args", "apiServer", &overrides.apiserver_extra_args),
        ("controller-manager-extra-args", "controllerManager", &overrides.controller_manager_extra_args),
        ("scheduler-extra-args", "scheduler", &overrides.scheduler_extra_args),
    ] {
        if let Some(args) = args {
            let args = extra_args(report, flag, args);
            put(cluster, &format!("{component}.extraArgs"), args);
        }
    }
}

fn feature_gates(report: &mut Report, text: Option<&str>) -> Option<Value> {
    let mut gates = Object::new();
    for pair in text?.split(',').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, "true" | "True" | "TRUE" | "t" | "T" | "1")) => {
                gates.insert(name.to_owned(), json!(true))
            }
            Some((name, "false" | "False" | "FALSE" | "f" | "F" | "0")) => {
                gates.insert(name.to_owned(), json!(false))
            }
            _ => {
                flag_error(report, "feature-gates", format!("`{pair}` is not NAME=true or NAME=false")).hint(
                    "several are joined by commas: --feature-gates RootlessControlPlane=true,PublicKeysECDSA=false",
                );
                None
            }
        };
    }
    Some(gates.into())
}

fn extra_args(report: &mut Report, flag: &'static str, pairs: &[String]) -> Value {
    let mut args = Vec::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => args.push(json!({"name": name, "value": value})),
            _ => {
                flag_error(report, flag, format!("`{pair}` is not NAME=VALUE"))
                    .hint("name it without dashes");
            }
        }
    }
    args.into()
}

pub(super) fn flag_error<'a>(
    report: &'a mut Report,
    flag: &str,
    message: String,
) -> &'a mut crate::config::Issue {
    let issue = report.whole(Severity::Error, message);
    COMMAND_LINE.clone_into(&mut issue.file);
    issue.path = format!("--{flag}");
    issue
}

/// Sets a field, making the objects on the way.
pub(super) fn put(object: &mut Object, field: &str, value: Value) {
    match field.split_once('.') {
        None => {
            object.insert(field.to_owned(), value);
        }
        Some((outer, rest)) => {
            let inner = object.entry(outer).or_insert_with(|| Value::Object(Object::new()));
            if !inner.is_object() {
                *inner = Value::Object(Object::new());
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_flag_that_a_file_excludes() {
        let overrides = Overrides {
            token: Some(Secret::new("x")),
            patches: Some("/p".to_owned()),
            node_name: Some("n".to_owned()),
            skip_phases: Some(vec!["addon".to_owned()]),
            upload_certs: Some(true),
            dry_run: Some(true),
            feature_gates: Some(String::new()),
            ..Overrides::default()
        };
        assert_eq!(overrides.conflicts_with_file(), ["feature-gates", "patches", "token"]);
        let mut report = Report::new("f");
        refuse_conflicts(&mut report, &overrides);
        assert_eq!(
            report.issues[0].to_string().lines().next(),
            Some("command line: error: can not mix '--config' with arguments [feature-gates patches token]")
        );
    }
}
