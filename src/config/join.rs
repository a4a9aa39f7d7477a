//! The flags of `join`, and the `JoinConfiguration` that they or a file make.

use crate::cluster::Prepare;
use crate::cluster::Secret;
use crate::cluster::Site;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Strictness;
use crate::config::declared::Declaration;
use crate::config::declared::Declared;
use crate::config::declared::KIND as CLUSTER;
use crate::config::documents;
use crate::config::documents::Object;
use crate::config::documents::Unrelated;
use crate::config::environment::Environment;
use crate::config::issue::Severity;
use crate::config::load::INIT;
use crate::config::load::ignored_checks;
use crate::config::load::typed;
use crate::config::overrides::flag_error;
use crate::config::overrides::put;
use crate::config::path::Path;
use crate::config::report::COMMAND_LINE;
use crate::config::report::Report;
use crate::config::single::JOIN;
use crate::config::single::build_join;
use crate::config::validate;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// One field per flag of `join`; `None` or `false` when it was not given.
#[derive(Debug, Clone, Default)]
pub struct JoinOverrides {
    /// The word without a flag: `HOST:PORT` of an API server, which asks for discovery by token.
    pub api_server_endpoint: Option<String>,
    pub apiserver_advertise_address: Option<String>,
    pub apiserver_bind_port: Option<u16>,
    pub certificate_key: Option<Secret>,
    pub control_plane: bool,
    pub cri_socket: Option<String>,
    /// A path, or an https URL.
    pub discovery_file: Option<String>,
    pub discovery_token: Option<Secret>,
    pub discovery_token_ca_cert_hash: Option<Vec<String>>,
    pub discovery_token_unsafe_skip_ca_verification: bool,
    pub dry_run: Option<bool>,
    pub ignore_preflight_errors: Option<Vec<String>>,
    pub node_name: Option<String>,
    pub patches: Option<String>,
    pub skip_phases: Option<Vec<String>>,
    pub tls_bootstrap_token: Option<Secret>,
    /// Stands for `discovery_token` and `tls_bootstrap_token` where these are not given.
    pub token: Option<Secret>,
}

/// What the configuration of a join comes to.
#[derive(Debug, Clone)]
pub struct LoadedJoin {
    /// With all defaults.
    pub join: JoinConfiguration,
    pub warnings: Vec<Issue>,
    /// From the flag, or else from the file.
    pub skip_phases: Vec<String>,
    /// From flag and file, lower case.
    pub ignore_preflight_errors: Vec<String>,
    pub patches_directory: Option<String>,
    pub dry_run: bool,
    /// From the `Cluster` document, where the file has one.
    pub prepare: Prepare,
    /// From the hosts of that document, where it lists any.
    pub site: Site,
    /// Of the Node, from that document.
    pub labels: BTreeMap<String, String>,
}

/// Reads, defaults and checks the configuration of a join. Every problem is reported at once.
///
/// Without a file the flags make the configuration. With one, most flags are refused, as kubeadm does.
pub fn load_join(
    file: Option<File<'_>>,
    env: &Environment,
    overrides: &JoinOverrides,
    strictness: Strictness,
) -> Result<LoadedJoin, Issues> {
    let mut report = Report::new(file.map_or(COMMAND_LINE, |file| file.name));
    let object = match file {
        Some(file) => from_file(&mut report, file, env, overrides, strictness),
        None => Some((from_flags(&mut report, overrides), Declaration::default())),
    };
    let loaded = object.map(|(object, Declaration { prepare, site, labels })| LoadedJoin {
        prepare,
        site,
        labels,
        ..build(&mut report, object, env, overrides)
    });
    let (mut loaded, warnings) = report.finish(loaded)?;
    loaded.warnings = warnings;
    Ok(loaded)
}

fn build(report: &mut Report, object: Object, env: &Environment, overrides: &JoinOverrides) -> LoadedJoin {
    let join = build_join(report, object, env);
    if let Some(control_plane) = &join.control_plane {
        let path = Path::of(JOIN, "controlPlane.localAPIEndpoint");
        validate::bind_address(report, &control_plane.local_api_endpoint, &path);
    }
    let path = Path::of(JOIN, "nodeRegistration.ignorePreflightErrors");
    let in_file = &join.node_registration.ignore_preflight_errors;
    let ignored = ignored_checks(report, in_file, overrides.ignore_preflight_errors.as_deref(), &path);
    let skipped = overrides.skip_phases.clone().filter(|phases| !phases.is_empty());
    LoadedJoin {
        skip_phases: skipped.unwrap_or_else(|| join.skip_phases.clone()),
        ignore_preflight_errors: ignored,
        patches_directory: join.patches.clone().map(|p| p.directory).filter(|text| !text.is_empty()),
        dry_run: overrides.dry_run.unwrap_or(join.dry_run),
        join,
        warnings: Vec::new(),
        prepare: Prepare::default(),
        site: Site::default(),
        labels: BTreeMap::new(),
    }
}

fn from_file(
    report: &mut Report,
    file: File<'_>,
    env: &Environment,
    overrides: &JoinOverrides,
    strictness: Strictness,
) -> Option<(Object, Declaration)> {
    refuse_conflicts(report, overrides);
    let wanted = [JOIN, CLUSTER, INIT];
    let mut documents = documents::read(report, file.bytes, &wanted, Unrelated::Ignored, strictness);
    let common = documents.take(INIT);
    let declared: Option<Declared> = documents.take(CLUSTER).map(|object| typed(report, CLUSTER, object));
    if common.is_some() && declared.as_ref().is_none_or(Declared::names_no_hosts) {
        report.warning(&Path::root(INIT), format!("the {INIT} has no meaning here and is ignored"));
    }
    if declared.as_ref().is_some_and(|declared| !declared.names_no_hosts()) {
        // What else is in the file of a whole cluster, the cluster itself has.
        report.issues.retain(|issue| issue.is_error() || !OF_THE_CLUSTER.contains(&issue.path.as_str()));
    }
    let Some(mut object) = documents.take(JOIN) else {
        if !report.has_errors() {
            report
                .whole(Severity::Error, format!("no {JOIN} found in the supplied config"))
                .hint("`kubewright config print join-defaults` prints one");
        }
        return None;
    };
    if let Some(name) = &overrides.node_name {
        put(&mut object, "nodeRegistration.name", json!(name));
        report.flags.push((format!("{JOIN}.nodeRegistration.name"), "node-name"));
    }
    if let Some(endpoint) = &overrides.api_server_endpoint {
        let message =
            format!("`{endpoint}` has no meaning beside --config: the file says where the cluster is");
        let warning = flag_issue(report, Severity::Warning, ENDPOINT, message);
        warning.hint("leave it out");
    }
    let said = declared.map(|declared| declared.joining(report, common, &mut object, env));
    Some((object, said.unwrap_or_default()))
}

/// Documents of a cluster's file that a join reads from the cluster.
const OF_THE_CLUSTER: [&str; 3] = ["ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"];

/// The word that is no flag, as the help writes it.
const ENDPOINT: &str = "[api-server-endpoint]";

/// A field, the flag that sets it, and its value when the flag was given.
type Setting = (&'static str, &'static str, Option<Value>);

impl JoinOverrides {
    /// The flags that cannot be combined with a configuration file, by name.
    pub fn conflicts_with_file(&self) -> Vec<&'static str> {
        let rows = self.node().into_iter().chain(self.control_plane()).chain(self.discovery());
        let mut given: Vec<&str> = rows.filter(|(_, _, value)| value.is_some()).map(|row| row.1).collect();
        given.extend(self.token.as_ref().map(|_| "token"));
        given.extend(self.discovery_token.as_ref().map(|_| "discovery-token"));
        given.extend(self.tls_bootstrap_token.as_ref().map(|_| "tls-bootstrap-token"));
        given.extend(self.control_plane.then_some("control-plane"));
        given.retain(|flag| !matches!(*flag, "node-name" | "dry-run") && !flag.starts_with('['));
        given.retain(|flag| !flag.starts_with("skip-"));
        given.sort_unstable();
        given.dedup();
        given
    }

    fn node(&self) -> [Setting; 3] {
        [
            ("nodeRegistration.criSocket", "cri-socket", text(self.cri_socket.as_deref())),
            ("nodeRegistration.name", "node-name", text(self.node_name.as_deref())),
            ("patches.directory", "patches", text(self.patches.as_deref())),
        ]
    }

    fn control_plane(&self) -> [Setting; 3] {
        let address = text(self.apiserver_advertise_address.as_deref());
        [
            ("controlPlane.localAPIEndpoint.advertiseAddress", "apiserver-advertise-address", address),
            (
                "controlPlane.localAPIEndpoint.bindPort",
                "apiserver-bind-port",
                self.apiserver_bind_port.map(|port| json!(port)),
            ),
            ("controlPlane.certificateKey", "certificate-key", secret(self.certificate_key.as_ref())),
        ]
    }

    fn discovery(&self) -> [Setting; 6] {
        let (token, token_flag) =
            either(self.discovery_token.as_ref(), "discovery-token", self.token.as_ref());
        let (tls, tls_flag) =
            either(self.tls_bootstrap_token.as_ref(), "tls-bootstrap-token", self.token.as_ref());
        let hashes = self.discovery_token_ca_cert_hash.as_ref().filter(|hashes| !hashes.is_empty());
        [
            ("discovery.file.kubeConfigPath", "discovery-file", text(self.discovery_file.as_deref())),
            (
                "discovery.bootstrapToken.apiServerEndpoint",
                ENDPOINT,
                text(self.api_server_endpoint.as_deref()),
            ),
            ("discovery.bootstrapToken.token", token_flag, token),
            (
                "discovery.bootstrapToken.caCertHashes",
                "discovery-token-ca-cert-hash",
                hashes.map(|hashes| json!(hashes)),
            ),
            (
                "discovery.bootstrapToken.unsafeSkipCAVerification",
                "discovery-token-unsafe-skip-ca-verification",
                self.discovery_token_unsafe_skip_ca_verification.then_some(json!(true)),
            ),
            ("discovery.tlsBootstrapToken", tls_flag, tls),
        ]
    }
}

/// A value of its own, or that of `--token`.
fn either(own: Option<&Secret>, flag: &'static str, token: Option<&Secret>) -> (Option<Value>, &'static str) {
    match secret(own) {
        None => (secret(token), "token"),
        own => (own, flag),
    }
}

/// As for kubeadm, an empty text is none.
fn text(value: Option<&str>) -> Option<Value> {
    value.filter(|text| !text.is_empty()).map(|text| json!(text))
}

fn secret(value: Option<&Secret>) -> Option<Value> {
    text(value.map(Secret::expose))
}

fn refuse_conflicts(report: &mut Report, overrides: &JoinOverrides) {
    let conflicts = overrides.conflicts_with_file();
    if !conflicts.is_empty() {
        let message = format!("can not mix '--config' with arguments [{}]", conflicts.join(" "));
        flag_error(report, "config", message)
            .hint("write these settings into the file, or leave the file out");
    }
}

/// Builds the document from flags alone.
fn from_flags(report: &mut Report, overrides: &JoinOverrides) -> Object {
    let mut object = Object::new();
    let mut settings: Vec<Setting> = overrides.node().to_vec();
    control_plane(report, overrides, &mut object, &mut settings);
    let by_token = overrides.api_server_endpoint.as_ref().is_some_and(|endpoint| !endpoint.is_empty());
    for setting in overrides.discovery() {
        if by_token || !setting.0.starts_with("discovery.bootstrapToken.") {
            settings.push(setting);
        } else if setting.2.is_some() && setting.1 != "token" {
            let message = "it has no meaning when no API server is named".to_owned();
            let warning = flag_issue(report, Severity::Warning, setting.1, message);
            warning.hint("discovery by token needs an endpoint: kubewright join HOST:PORT --token …");
        }
    }
    for (field, flag, value) in settings {
        // Also of flags that were not given: what is missing is named by its flag.
        report.flags.push((format!("{JOIN}.{field}"), flag));
        if let Some(value) = value {
            put(&mut object, field, value);
        }
    }
    complain_of_missing(report, &object);
    object
}

fn control_plane(
    report: &mut Report,
    overrides: &JoinOverrides,
    object: &mut Object,
    settings: &mut Vec<Setting>,
) {
    let given = overrides.control_plane();
    if overrides.control_plane {
        put(object, "controlPlane", json!({}));
        settings.extend(given);
        return;
    }
    let bind_port = overrides.apiserver_bind_port.filter(|port| *port != crate::config::defaults::BIND_PORT);
    let ignored: Vec<String> = given
        .into_iter()
        .filter(|(_, flag, value)| value.is_some() && (*flag != "apiserver-bind-port" || bind_port.is_some()))
        .map(|(_, flag, _)| format!("--{flag}"))
        .collect();
    if !ignored.is_empty() {
        let message = format!(
            "without --control-plane this host becomes a worker, and {} means nothing",
            ignored.join(" ")
        );
        flag_issue(report, Severity::Warning, "control-plane", message)
            .hint("add --control-plane to make it a control plane");
    }
}

/// What is missing in the words of flags; the checks of the document would speak of fields.
fn complain_of_missing(report: &mut Report, object: &Object) {
    let discovery = |field: &str| object.get("discovery").and_then(|discovery| discovery.get(field));
    let command = "`kubewright token create --print-join-command` prints the whole command";
    if discovery("file").is_some() {
        if discovery("bootstrapToken").is_some() {
            report
                .error(&Path::of(JOIN, "discovery"), "an API server and a discovery file are both named")
                .hint("keep one of them");
        }
        return;
    }
    let Some(token) = discovery("bootstrapToken") else {
        report
            .error(&Path::of(JOIN, "discovery"), "neither an API server nor a discovery file is named")
            .hint(format!(
                "kubewright join HOST:PORT --token …, or --discovery-file; {command} on a control plane"
            ));
        return;
    };
    let path = Path::of(JOIN, "discovery.bootstrapToken");
    if token.get("token").is_none() {
        report.error(&path.key("token"), "no token is given").hint(command);
    }
    if token.get("caCertHashes").is_none() && token.get("unsafeSkipCAVerification").is_none() {
        report
            .error(
                &path.key("caCertHashes"),
                "without the hash of the cluster's CA, whoever answers would be trusted",
            )
            .hint(format!("{command}; without one: --discovery-token-unsafe-skip-ca-verification"));
    }
}

fn flag_issue<'a>(report: &'a mut Report, severity: Severity, flag: &str, message: String) -> &'a mut Issue {
    let issue = report.whole(severity, message);
    COMMAND_LINE.clone_into(&mut issue.file);
    issue.path = if flag.starts_with('[') { flag.to_owned() } else { format!("--{flag}") };
    issue
}
