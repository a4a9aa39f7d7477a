//! What can be typed after `kubewright join`: kubeadm's flags under kubeadm's names, and ours.

use crate::cli::phase_command::Workflow;
use crate::cluster::Secret;
use crate::config::JoinOverrides;
use crate::phase::Phase;
use crate::phase::join::JOIN;
use clap::Args;
use std::path::PathBuf;

const DISCOVERY: &str = "Discovery options";
const NODE: &str = "Node options";
const RUN: &str = "Run options";

/// Flags of `join` and of each of its phases.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on the command line")]
pub(super) struct JoinArgs {
    /// Configuration file with a `JoinConfiguration`; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Token for finding the cluster and for asking it for a certificate
    #[arg(long, value_name = "TOKEN", help_heading = DISCOVERY)]
    pub token: Option<Secret>,

    /// Token for finding the cluster only
    #[arg(long, value_name = "TOKEN", help_heading = DISCOVERY)]
    pub discovery_token: Option<Secret>,

    /// Token for asking the cluster for a certificate only
    #[arg(long, value_name = "TOKEN", help_heading = DISCOVERY)]
    pub tls_bootstrap_token: Option<Secret>,

    /// Hash of the cluster's CA, `sha256:` and 64 hexadecimal digits; may be given several times
    #[arg(long, value_name = "HASH", value_delimiter = ',', help_heading = DISCOVERY)]
    pub discovery_token_ca_cert_hash: Vec<String>,

    /// Trust whoever answers. Others may then answer in the cluster's place
    #[arg(long, help_heading = DISCOVERY)]
    pub discovery_token_unsafe_skip_ca_verification: bool,

    /// Kubeconfig by which the cluster is found, a file or an https URL
    #[arg(long, value_name = "FILE", help_heading = DISCOVERY)]
    pub discovery_file: Option<String>,

    /// Make this host a control plane
    #[arg(long, help_heading = NODE)]
    pub control_plane: bool,

    /// Key that decrypts the cluster's uploaded certificates: 64 hexadecimal digits
    #[arg(long, value_name = "KEY", help_heading = NODE)]
    pub certificate_key: Option<Secret>,

    /// Address that the API server announces; that of the default route when not given
    #[arg(long, value_name = "ADDRESS", help_heading = NODE)]
    pub apiserver_advertise_address: Option<String>,

    /// Port of the API server [default: 6443]
    #[arg(long, value_name = "PORT", help_heading = NODE)]
    pub apiserver_bind_port: Option<u16>,

    /// Socket of the container runtime; found by itself when only one answers
    #[arg(long, value_name = "SOCKET", help_heading = NODE)]
    pub cri_socket: Option<String>,

    /// Name of this node; its host name when not given
    #[arg(long, value_name = "NAME", help_heading = NODE)]
    pub node_name: Option<String>,

    /// Directory of patches for static pods and the kubelet's configuration
    #[arg(long, value_name = "DIR", help_heading = NODE)]
    pub patches: Option<String>,

    /// Show what would be done, against what is on the host and in the cluster; change nothing
    #[arg(long, help_heading = RUN)]
    pub dry_run: bool,

    /// With a dry run: also show the text that would change, with secrets masked
    #[arg(long, help_heading = RUN)]
    pub diff: bool,

    /// Say why each step is needed
    #[arg(long, help_heading = RUN)]
    pub explain: bool,

    /// Repair what can be repaired on the host first: modules, sysctls, swap, SELinux
    #[arg(long, help_heading = RUN)]
    pub prepare: bool,

    /// Checks whose errors count as warnings, by name, or `all`
    #[arg(long, value_name = "CHECK", value_delimiter = ',', help_heading = RUN)]
    pub ignore_preflight_errors: Vec<String>,

    /// Phases to leave out, in the form `phase` or `phase/subphase`
    #[arg(long, value_name = "PHASE", value_delimiter = ',', help_heading = RUN)]
    pub skip_phases: Vec<String>,
}

/// Flags of one phase of `join`; the endpoint cannot stand before the name of a phase.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct JoinPhaseArgs {
    #[command(flatten)]
    pub join: JoinArgs,

    /// API server by which the cluster is found, `host:port`
    #[arg(value_name = "API-SERVER-ENDPOINT")]
    pub endpoint: Option<String>,
}

impl Workflow for JoinPhaseArgs {
    const PHASES: &'static [Phase] = JOIN;
}

impl JoinArgs {
    /// The flags as overrides of a configuration; `endpoint` is the word that is no flag.
    pub(super) fn overrides(&self, endpoint: Option<&String>) -> JoinOverrides {
        let list = |values: &Vec<String>| (!values.is_empty()).then(|| values.clone());
        JoinOverrides {
            api_server_endpoint: endpoint.cloned(),
            apiserver_advertise_address: self.apiserver_advertise_address.clone(),
            apiserver_bind_port: self.apiserver_bind_port,
            certificate_key: self.certificate_key.clone(),
            control_plane: self.control_plane,
            cri_socket: self.cri_socket.clone(),
            discovery_file: self.discovery_file.clone(),
            discovery_token: self.discovery_token.clone(),
            discovery_token_ca_cert_hash: list(&self.discovery_token_ca_cert_hash),
            discovery_token_unsafe_skip_ca_verification: self.discovery_token_unsafe_skip_ca_verification,
            dry_run: self.dry_run.then_some(true),
            ignore_preflight_errors: list(&self.ignore_preflight_errors),
            node_name: self.node_name.clone(),
            patches: self.patches.clone(),
            skip_phases: list(&self.skip_phases),
            tls_bootstrap_token: self.tls_bootstrap_token.clone(),
            token: self.token.clone(),
        }
    }

    /// Whether anything says how to find the cluster.
    pub(super) fn finds_the_cluster(&self, endpoint: Option<&String>) -> bool {
        endpoint.is_some() || self.config.is_some() || self.discovery_file.is_some()
    }
}
