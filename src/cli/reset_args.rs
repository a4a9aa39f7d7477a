//! What can be typed after `kubewright reset`, under kubeadm's names.

use crate::cli::error::CliError;
use crate::cli::load;
use crate::cluster::GoDuration;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::config;
use crate::config::File;
use crate::config::Overrides;
use crate::config::Strictness;
use crate::phase::reset::Choices;
use crate::report::Event;
use crate::report::Reporter;
use clap::Args;
use std::path::PathBuf;

/// How long etcd is asked to let a member go, unless the configuration says otherwise: a host is often reset because
/// its etcd is gone.
const ETCD_PATIENCE: GoDuration = GoDuration::from_secs(30);

/// Flags of `reset` and of each of its phases.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on the command line")]
pub(super) struct ResetArgs {
    /// Configuration file with a `ResetConfiguration`; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["force", "cert_dir", "cleanup_tmp_dir", "cri_socket"])]
    pub config: Option<PathBuf>,

    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,

    /// Show what would be done, against what is on the host; change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Say why each step is needed
    #[arg(long)]
    pub explain: bool,

    /// Directory of certificates and keys [default: /etc/kubernetes/pki]
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<String>,

    /// Remove `/etc/kubernetes/tmp` too, with the backups that upgrades made there
    #[arg(long)]
    pub cleanup_tmp_dir: bool,

    /// Socket of the container runtime; the kubelet's when not given
    #[arg(long, value_name = "SOCKET")]
    pub cri_socket: Option<String>,

    /// Checks whose errors count as warnings, by name, or `all`
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,

    /// Accepted as kubeadm has it; etcd and the host are asked directly, so it is not needed
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/admin.conf")]
    pub kubeconfig: PathBuf,

    /// Phases to leave out
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    pub skip_phases: Vec<String>,
}

/// The document, or the flags in its place.
///
/// # Errors
/// The document has problems; all of them are listed.
pub(super) fn configuration(args: &ResetArgs, reporter: &Reporter) -> Result<ResetConfiguration, CliError> {
    let mut configuration = match &args.config {
        Some(path) => {
            let bytes = load::read_file(path)?;
            let name = path.display().to_string();
            let file = File { name: &name, bytes: &bytes };
            let env = load::environment(Some(file), &Overrides::default())?;
            let (configuration, warnings) =
                config::reset(file, &env, Strictness::Lenient).map_err(|issues| load::refused(&issues))?;
            for warning in &warnings {
                reporter.tell(&load::told(warning));
            }
            configuration
        }
        None => ResetConfiguration {
            certificates_dir: args.cert_dir.clone().unwrap_or_else(|| Choices::default().certificates_dir),
            cleanup_tmp_dir: args.cleanup_tmp_dir,
            cri_socket: args.cri_socket.clone().unwrap_or_default(),
            force: args.force,
            ..ResetConfiguration::default()
        },
    };
    configuration.dry_run |= args.dry_run;
    configuration.ignore_preflight_errors.extend(args.ignore_preflight_errors.iter().cloned());
    configuration.skip_phases.extend(args.skip_phases.iter().cloned());
    Ok(configuration)
}

/// What of it the plan depends on.
pub(super) fn choices(args: &ResetArgs, configuration: &ResetConfiguration, reporter: &Reporter) -> Choices {
    let mut unmount_flags = Vec::new();
    for flag in &configuration.unmount_flags {
        match flag.as_str() {
            "MNT_FORCE" => unmount_flags.push("-f".to_owned()),
            "MNT_DETACH" => unmount_flags.push("-l".to_owned()),
            // `umount` follows no link at the end of a path.
            "UMOUNT_NOFOLLOW" => {}
            other => reporter.tell(&Event::Warning {
                host: None,
                message: format!("the unmount flag {other} is not used"),
                hint: Some("MNT_FORCE and MNT_DETACH are".to_owned()),
            }),
        }
    }
    Choices {
        certificates_dir: configuration.certificates_dir.trim_end_matches('/').to_owned(),
        cleanup_tmp_dir: configuration.cleanup_tmp_dir,
        unmount_flags,
        etcd_timeout: match args.config {
            Some(_) => configuration.timeouts.etcd_api_call,
            None => ETCD_PATIENCE,
        },
    }
}
