//! What can be typed after `kubewright init`: kubeadm's flags under kubeadm's names, and ours.

use crate::cli::phase_command::Workflow;
use crate::phase::Phase;
use crate::phase::workflow::INIT;
use clap::Args;
use std::path::PathBuf;

const NETWORK: &str = "Cluster options";
const RUN: &str = "Run options";

/// Flags of `init` and of each of its phases.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on the command line")]
pub(super) struct InitArgs {
    /// Configuration file: kubeadm's kinds and the `Cluster` document; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Name of this node; its host name when not given
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,

    /// Show what would be done, against what is on the host; change nothing
    #[arg(long, help_heading = RUN)]
    pub dry_run: bool,

    /// With a dry run: also show the text that would change, with secrets masked
    #[arg(long, help_heading = RUN)]
    pub diff: bool,

    /// Take over fields of add-ons' objects that somebody else has set to something else
    #[arg(long, help_heading = RUN)]
    pub force_conflicts: bool,

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

    /// Leave the token out of the printed join commands
    #[arg(long, help_heading = RUN)]
    pub skip_token_print: bool,

    /// Leave the certificate key out of the printed join commands
    #[arg(long, help_heading = RUN)]
    pub skip_certificate_key_print: bool,

    /// Store the control plane's certificates in the cluster, encrypted, for other control planes to fetch
    #[arg(long, help_heading = RUN)]
    pub upload_certs: bool,

    /// Address that the API server announces; that of the default route when not given
    #[arg(long, value_name = "ADDRESS", help_heading = NETWORK)]
    pub apiserver_advertise_address: Option<String>,

    /// Port of the API server
    #[arg(long, value_name = "PORT", help_heading = NETWORK)]
    pub apiserver_bind_port: Option<u16>,

    /// Further names and addresses in the API server's certificate
    #[arg(long, value_name = "SAN", value_delimiter = ',', help_heading = NETWORK)]
    pub apiserver_cert_extra_sans: Vec<String>,

    /// Directory of certificates and keys [default: /etc/kubernetes/pki]
    #[arg(long, value_name = "DIR", help_heading = NETWORK)]
    pub cert_dir: Option<String>,

    /// Key that encrypts uploaded certificates: 64 hexadecimal digits
    #[arg(long, value_name = "KEY", help_heading = NETWORK)]
    pub certificate_key: Option<String>,

    /// Stable address of the API, `host` or `host:port`
    #[arg(long, value_name = "ENDPOINT", help_heading = NETWORK)]
    pub control_plane_endpoint: Option<String>,

    /// Socket of the container runtime; found by itself when only one answers
    #[arg(long, value_name = "SOCKET", help_heading = NETWORK)]
    pub cri_socket: Option<String>,

    /// Feature gates, `Gate=true,Other=false`
    #[arg(long, value_name = "GATES", help_heading = NETWORK)]
    pub feature_gates: Option<String>,

    /// Registry of the control plane's images [default: registry.k8s.io]
    #[arg(long, value_name = "REGISTRY", help_heading = NETWORK)]
    pub image_repository: Option<String>,

    /// Version of the control plane
    #[arg(long, value_name = "VERSION", help_heading = NETWORK)]
    pub kubernetes_version: Option<String>,

    /// Directory of patches for static pods, the kubelet's configuration and CoreDNS
    #[arg(long, value_name = "DIR", help_heading = NETWORK)]
    pub patches: Option<String>,

    /// Networks of pods, one or two, separated by a comma
    #[arg(long, value_name = "CIDR", help_heading = NETWORK)]
    pub pod_network_cidr: Option<String>,

    /// Networks of services, one or two, separated by a comma [default: 10.96.0.0/12]
    #[arg(long, value_name = "CIDR", help_heading = NETWORK)]
    pub service_cidr: Option<String>,

    /// Domain of services [default: cluster.local]
    #[arg(long, value_name = "DOMAIN", help_heading = NETWORK)]
    pub service_dns_domain: Option<String>,

    /// Bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`; a random one when not given
    #[arg(long, value_name = "TOKEN", help_heading = NETWORK)]
    pub token: Option<String>,

    /// How long the token lives, such as `2h`; 0 for ever [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = NETWORK)]
    pub token_ttl: Option<String>,

    /// Who signs what: five chains, or kubeadm's three
    #[arg(long, value_name = "LAYOUT", value_parser = ["five", "kubeadm"], help_heading = NETWORK)]
    pub pki_layout: Option<String>,
}

/// Flags of one phase of `init`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct InitPhaseArgs {
    #[command(flatten)]
    pub init: InitArgs,

    #[command(flatten)]
    pub phase: PhaseArgs,
}

impl Workflow for InitPhaseArgs {
    const PHASES: &'static [Phase] = INIT;
}

/// Flags that only a phase run alone takes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PhaseArgs {
    /// Directory of kubeconfig files [default: /etc/kubernetes]
    #[arg(long, value_name = "DIR")]
    pub kubeconfig_dir: Option<String>,

    /// Kubeconfig file for talking to the cluster [default: /etc/kubernetes/admin.conf]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,
}
