//! From a file, or flags, to a [`Cluster`].

use crate::cluster::BootstrapToken;
use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::HostPort;
use crate::cluster::Layout;
use crate::cluster::Networking;
use crate::cluster::Node;
use crate::cluster::Role;
use crate::cluster::Secret;
use crate::cluster::kubeadm::BootstrapTokenSpec;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::InitConfiguration;
use crate::cluster::site::RuntimeProvider;
use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Purpose;
use crate::config::Strictness;
use crate::config::component;
use crate::config::declared::Declared;
use crate::config::declared::pull_policy;
use crate::config::defaults;
use crate::config::documents;
use crate::config::documents::Documents;
use crate::config::documents::Object;
use crate::config::documents::Unrelated;
use crate::config::environment::Environment;
use crate::config::issue::Severity;
use crate::config::name;
use crate::config::overrides;
use crate::config::overrides::Overrides;
use crate::config::path::Path;
use crate::config::release;
use crate::config::release::Release;
use crate::config::report::COMMAND_LINE;
use crate::config::report::Report;
use crate::config::validate;
use ipnet::IpNet;
use serde::de::DeserializeOwned;

pub(crate) const INIT: &str = "InitConfiguration";
pub(crate) const CLUSTER: &str = "ClusterConfiguration";
const WANTED: [&str; 5] = [INIT, CLUSTER, "KubeletConfiguration", "KubeProxyConfiguration", "Cluster"];

/// What a configuration comes to.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Without patches: those are files, named by [`Loaded::patches_directory`].
    pub cluster: Cluster,
    /// With all defaults; of several declared control planes, the first one's.
    pub init: InitConfiguration,
    pub warnings: Vec<Issue>,
    /// From the flag, or else from the file; phases of disabled add-ons are among them.
    pub skip_phases: Vec<String>,
    /// From flag and file, lower case.
    pub ignore_preflight_errors: Vec<String>,
    pub patches_directory: Option<String>,
    pub dry_run: bool,
}

/// Reads, defaults and checks a configuration. Every problem is reported at once.
///
/// Without a file the flags make the configuration. With one, most flags are refused, as kubeadm does.
pub fn load(
    file: Option<File<'_>>,
    env: &Environment,
    overrides: &Overrides,
    strictness: Strictness,
    purpose: Purpose,
) -> Result<Loaded, Issues> {
    let mut report = Report::new(file.map_or(COMMAND_LINE, |file| file.name));
    let mut documents = Documents::default();
    if let Some(file) = file {
        overrides::refuse_conflicts(&mut report, overrides);
        documents = documents::read(&mut report, file.bytes, &WANTED, Unrelated::Ignored, strictness);
        require_kind(&mut report, &documents);
    }
    let loaded = build(&mut report, documents, file.is_some(), env, overrides, purpose);
    let (mut loaded, warnings) = report.finish(loaded)?;
    loaded.warnings = warnings;
    Ok(loaded)
}

fn require_kind(report: &mut Report, documents: &Documents) {
    let any = WANTED.iter().any(|kind| matches!(*kind, INIT | CLUSTER | "Cluster") && documents.has(kind));
    if !any && !report.has_errors() {
        report
            .whole(
                Severity::Error,
                "no InitConfiguration or ClusterConfiguration kind was found in the configuration file",
            )
            .hint("`kubewright config print init-defaults` prints both");
    }
}

/// Documents on the way to a cluster.
struct Draft<'a> {
    report: &'a mut Report,
    env: &'a Environment,
    purpose: Purpose,
    init: InitConfiguration,
    cluster: ClusterConfiguration,
    declared: Option<Declared>,
    kubelet: Option<Object>,
    kube_proxy: Option<Object>,
}

pub(crate) fn build(
    report: &mut Report,
    mut documents: Documents,
    from_file: bool,
    env: &Environment,
    overrides: &Overrides,
    purpose: Purpose,
) -> Option<Loaded> {
    let mut init = documents.take(INIT).unwrap_or_default();
    let mut cluster = documents.take(CLUSTER).unwrap_or_default();
    if from_file {
        overrides::apply_to_file(report, overrides, &mut init);
    } else {
        overrides::apply_all(report, overrides, &mut init, &mut cluster);
    }
    let declared = documents.take("Cluster").map(|object| typed(report, "Cluster", object));
    let mut draft = Draft {
        init: typed(report, INIT, init),
        cluster: typed(report, CLUSTER, cluster),
        declared,
        kubelet: documents.take("KubeletConfiguration"),
        kube_proxy: documents.take("KubeProxyConfiguration"),
        report,
        env,
        purpose,
    };
    draft.control_plane_timeout(documents.control_plane_timeout.as_ref());
    let release = draft.default();
    let ignored = draft.ignored(overrides);
    let skipped = draft.skipped(overrides);
    draft.validate();
    let cluster = draft.assemble(release, overrides)?;
    Some(Loaded {
        cluster,
        skip_phases: skipped,
        ignore_preflight_errors: ignored,
        patches_directory: draft.init.patches.clone().map(|p| p.directory).filter(|text| !text.is_empty()),
        dry_run: overrides.dry_run.unwrap_or(draft.init.dry_run),
        init: draft.init,
        warnings: Vec::new(),
    })
}

/// A checked object as its type. It always fits; if a table and a type ever disagree, that is reported.
pub(crate) fn typed<T: DeserializeOwned + Default>(report: &mut Report, kind: &str, object: Object) -> T {
    serde_json::from_value(object.into()).unwrap_or_else(|error| {
        report.error(&Path::root(kind), format!("the document cannot be read: {error}"));
        T::default()
    })
}

impl Draft<'_> {
    /// The one field of v1beta3 that has moved from the cluster to the node.
    fn control_plane_timeout(&mut self, timeout: Option<&serde_json::Value>) {
        let given = timeout.and_then(|value| value.as_str()?.parse::<GoDuration>().ok());
        if let Some(given) = given.filter(|given| given.as_nanos() != 0) {
            self.init.timeouts.control_plane_component_health_check = given;
        }
    }

    fn default(&mut self) -> Release {
        defaults::init(&mut self.init);
        defaults::cluster(&mut self.cluster);
        defaults::tokens(self.report, self.env, &mut self.init.bootstrap_tokens);
        let bind_port = self.init.local_api_endpoint.bind_port;
        self.declared_node();
        let path = Path::of(CLUSTER, "kubernetesVersion");
        let release = release::resolve(self.report, self.env, &self.cluster.kubernetes_version, &path);
        let prefix = if release.ci { "ci/" } else { "" };
        self.cluster.kubernetes_version = format!("{prefix}{}", release.version);
        self.declared_endpoint(bind_port);
        let endpoint = defaults::control_plane_endpoint(&self.cluster.control_plane_endpoint, bind_port);
        self.cluster.control_plane_endpoint = endpoint;
        for san in &mut self.cluster.api_server.cert_sans {
            *san = san.to_lowercase();
        }
        release
    }

    /// Name and address: of this host, or of the first declared control plane.
    fn declared_node(&mut self) {
        let registration_path = Path::of(INIT, "nodeRegistration");
        let endpoint_path = Path::of(INIT, "localAPIEndpoint");
        let first = self.declared.as_ref().filter(|declared| !declared.spec.hosts.is_empty());
        if let Some(declared) = first {
            let host = declared.first_control_plane();
            let (name, address) = host.map_or(("", ""), |host| (host.name.as_str(), host.address.as_str()));
            let registration = &mut self.init.node_registration;
            let endpoint = &mut self.init.local_api_endpoint;
            for (path, given, declared) in [
                (registration_path.key("name"), &mut registration.name, name),
                (endpoint_path.key("advertiseAddress"), &mut endpoint.advertise_address, address),
            ] {
                // On the command line, the name says which of the hosts this one is.
                let typed = self.report.flags.iter().any(|(field, _)| *field == path.to_string());
                if !typed && !given.is_empty() && given != declared {
                    let message =
                        format!("`{given}` has no meaning: the hosts of the Cluster document say it");
                    self.report.warning(&path, message).hint("leave it out");
                }
                declared.clone_into(given);
            }
            // Sockets that answer here say nothing of other hosts.
            let elsewhere = Environment::default();
            let path = registration_path.key("criSocket");
            registration.cri_socket =
                defaults::socket(self.report, &elsewhere, &registration.cri_socket, &path);
            return;
        }
        let mut env = self.env.clone();
        if self.purpose != Purpose::Init {
            env.cri_sockets.truncate(1);
        }
        defaults::node(self.report, &env, &mut self.init.node_registration, &registration_path, true);
        defaults::advertise_address(self.report, &env, &mut self.init.local_api_endpoint, &endpoint_path);
    }

    fn declared_endpoint(&mut self, bind_port: u16) {
        let Some(declared) = self.declared.as_ref().and_then(|declared| declared.endpoint(bind_port)) else {
            return;
        };
        let given = defaults::control_plane_endpoint(&self.cluster.control_plane_endpoint, bind_port);
        if !given.is_empty() && given != declared {
            self.report
                .error(
                    &Path::of(CLUSTER, "controlPlaneEndpoint"),
                    format!("`{given}` contradicts the endpoint {declared} of the Cluster document"),
                )
                .hint("say it once: leave controlPlaneEndpoint out");
        }
        self.cluster.control_plane_endpoint = declared;
    }

    fn ignored(&mut self, overrides: &Overrides) -> Vec<String> {
        let path = Path::of(INIT, "nodeRegistration.ignorePreflightErrors");
        let in_file = &self.init.node_registration.ignore_preflight_errors;
        ignored_checks(self.report, in_file, overrides.ignore_preflight_errors.as_deref(), &path)
    }

    /// An add-on that is skipped counts as disabled, and one that is disabled is skipped.
    fn skipped(&mut self, overrides: &Overrides) -> Vec<String> {
        let flag = overrides.skip_phases.clone().unwrap_or_default();
        let mut skipped = if flag.is_empty() { self.init.skip_phases.clone() } else { flag };
        for (phase, disabled) in [
            ("addon/coredns", &mut self.cluster.dns.disabled),
            ("addon/kube-proxy", &mut self.cluster.proxy.disabled),
        ] {
            let skips = skipped.iter().any(|name| name == "addon" || name == phase);
            if *disabled && !skips {
                skipped.push(phase.to_owned());
            }
            *disabled |= skips;
        }
        skipped
    }

    fn validate(&mut self) {
        validate::init(self.report, &self.init);
        if self.declared.as_ref().is_none_or(|declared| declared.spec.hosts.is_empty()) {
            validate::node(self.report, &self.init.node_registration, &Path::of(INIT, "nodeRegistration"));
            if self.purpose != Purpose::Validate {
                let path = Path::of(INIT, "localAPIEndpoint");
                validate::bind_address(self.report, &self.init.local_api_endpoint, &path);
            }
        } else {
            let path = Path::of(INIT, "nodeRegistration.criSocket");
            validate::socket(self.report, &self.init.node_registration.cri_socket, &path);
        }
        validate::cluster::cluster(self.report, &self.cluster);
        if let Some(declared) = &self.declared {
            declared.validate(self.report, self.init.local_api_endpoint.bind_port);
            let networking = networking(&self.cluster);
            declared.validate_against(self.report, &networking, &self.cluster, self.kube_proxy.as_ref());
        }
        self.families();
    }

    /// The API server refuses services whose first family is not that of its address.
    fn families(&mut self) {
        let services = networking(&self.cluster).services;
        let address = name::parse_ip(&self.init.local_api_endpoint.advertise_address);
        if let (Some(first), Some(address)) = (services.first(), address)
            && first.addr().is_ipv4() != address.is_ipv4()
            && !address.is_unspecified()
        {
            self.report
                .warning(
                    &Path::of(CLUSTER, "networking.serviceSubnet"),
                    format!("the first service subnet {first} and the API server's address {address} are of different families (kubeadm does not check this)"),
                )
                .hint("put the family of the hosts' addresses first");
        }
    }

    /// A control plane that runs keeps the layout that it has.
    fn layout(&mut self, overrides: &Overrides) -> Layout {
        let declared = self.declared.as_ref().and_then(Declared::layout);
        let given = overrides.layout.or(declared);
        let running = self.env.running_layout.filter(|_| self.purpose == Purpose::Init);
        if let (Some(given), Some(running)) = (given, running)
            && given != running
        {
            let name = |layout| if layout == Layout::Five { "five" } else { "kubeadm" };
            let message = format!(
                "the control plane on this host runs with the layout `{}`, and `{}` is asked for",
                name(running),
                name(given)
            );
            let path = Path::of("Cluster", "spec.pki.layout");
            self.report
                .error(&path, message)
                .hint("a layout cannot be changed while the cluster runs; leave it out, and the one that is there is kept");
        }
        given.or(running).unwrap_or_default()
    }

    fn assemble(&mut self, release: Release, overrides: &Overrides) -> Option<Cluster> {
        let layout = self.layout(overrides);
        let address = name::parse_ip(&self.init.local_api_endpoint.advertise_address);
        let kube_proxy = component::kube_proxy(self.report, self.kube_proxy.take(), &self.cluster, address);
        let proxy_mode = kube_proxy.value["mode"].as_str().unwrap_or_default();
        let dns = self.declared.as_ref().and_then(|declared| declared.dns_address(&self.cluster, proxy_mode));
        let mut kubelet = component::kubelet(self.report, self.kubelet.take(), &self.cluster, layout, dns);
        let runtime = self.declared.as_ref().and_then(Declared::container_runtime);
        if runtime == Some(RuntimeProvider::Docker) && release.version.minor() >= 36 {
            component::for_cri_dockerd(&mut kubelet);
        }
        if let Some(declared) = &self.declared {
            declared.validate_kubelets(self.report, layout == Layout::Five, &kubelet.value);
        }
        let nodes = self.nodes();
        if self.report.has_errors() || nodes.is_empty() {
            return None;
        }
        let declared = self.declared.as_ref();
        let bind_port = self.init.local_api_endpoint.bind_port;
        let site = |declared: &Declared| declared.site(bind_port, &self.cluster, &nodes, proxy_mode);
        let mut site = declared.map(site).unwrap_or_default();
        site.ci_build = release.ci;
        let endpoint = name::parse_host_port(&self.cluster.control_plane_endpoint);
        Some(Cluster {
            name: declared.map_or(&self.cluster.cluster_name, |declared| &declared.metadata.name).clone(),
            version: release.version,
            layout,
            joining: false,
            networking: networking(&self.cluster),
            endpoint: endpoint.map(|(host, port)| HostPort::new(host, port.unwrap_or(bind_port))),
            kubelet,
            kube_proxy,
            nodes,
            tokens: self.init.bootstrap_tokens.iter().filter_map(token).collect(),
            upload_certs: overrides.upload_certs.unwrap_or(false),
            certificate_key: Some(&self.init.certificate_key).filter(|key| !key.is_empty()).map(Secret::new),
            timeouts: self.init.timeouts.clone(),
            patches: Vec::new(),
            prepare: declared.map(Declared::prepare).unwrap_or_default(),
            site,
            configuration: self.cluster.clone(),
        })
    }

    fn nodes(&mut self) -> Vec<Node> {
        let registration = &self.init.node_registration;
        let endpoint = &self.init.local_api_endpoint;
        if let Some(declared) = self.declared.as_ref().filter(|declared| !declared.spec.hosts.is_empty()) {
            return declared.nodes(self.report, registration, endpoint.bind_port);
        }
        let Some(advertise_address) = name::parse_ip(&endpoint.advertise_address) else { return Vec::new() };
        vec![Node {
            name: registration.name.clone(),
            roles: vec![Role::ControlPlane],
            advertise_address,
            bind_port: endpoint.bind_port,
            cri_socket: registration.cri_socket.clone(),
            taints: registration.taints.clone(),
            labels: std::collections::BTreeMap::new(),
            kubelet_extra_args: registration.kubelet_extra_args.clone(),
            ignore_preflight_errors: registration.ignore_preflight_errors.clone(),
            image_pull_policy: pull_policy(registration),
            image_pull_serial: registration.image_pull_serial.unwrap_or(true),
            access: None,
        }]
    }
}

/// The checks of the file and of the flag together, lower case.
pub(crate) fn ignored_checks(
    report: &mut Report,
    in_file: &[String],
    flag: Option<&[String]>,
    path: &Path,
) -> Vec<String> {
    let flag = flag.unwrap_or_default();
    let mut ignored: Vec<String> = in_file.iter().chain(flag).map(|check| check.to_lowercase()).collect();
    ignored.sort_unstable();
    ignored.dedup();
    if ignored.len() > 1 && ignored.iter().any(|check| check == "all") {
        report
            .error(path, format!("with `all`, single checks have no meaning: {}", ignored.join(",")))
            .hint("keep `all`, or the single checks");
    }
    ignored
}

pub(crate) fn networking(cluster: &ClusterConfiguration) -> Networking {
    let parse = |text: &str| -> Vec<IpNet> { text.split(',').filter_map(name::parse_cidr).collect() };
    Networking {
        services: parse(&cluster.networking.service_subnet),
        pods: parse(&cluster.networking.pod_subnet),
        dns_domain: cluster.networking.dns_domain.clone(),
    }
}

fn token(spec: &BootstrapTokenSpec) -> Option<BootstrapToken> {
    let (id, secret) = spec.token.split_once('.')?;
    Some(BootstrapToken {
        id: id.to_owned(),
        secret: Secret::new(secret),
        description: spec.description.clone(),
        ttl: spec.ttl.unwrap_or_default(),
        usages: spec.usages.clone(),
        groups: spec.groups.clone(),
    })
}
