//! What can be typed after `kubewright reset`, under kubeadm's names.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
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

    /// Ask nothing; `-f` without a FILE says the same, as kubeadm has it
    #[arg(long)]
    pub force: bool,

    /// File with a cluster: all its hosts are reset, over SSH
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    #[arg(conflicts_with = "config")]
    pub file: Option<String>,

    /// Only these of its hosts
    #[arg(long, value_name = "HOSTS", value_delimiter = ',', requires = "file")]
    pub limit: Vec<String>,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    pub yes: bool,

    /// How many hosts are worked on at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), requires = "file")]
    pub parallel: Option<u16>,

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

impl ResetArgs {
    pub(super) fn forced(&self) -> bool {
        self.force || self.yes || self.file.as_deref() == Some("")
    }

    /// The file of a cluster, where one is named.
    ///
    /// # Errors
    /// Hosts are chosen of a cluster that is not named.
    pub(super) fn cluster_file(&self) -> Result<Option<PathBuf>, CliError> {
        let named = self.file.as_ref().filter(|file| !file.is_empty()).map(PathBuf::from);
        if named.is_none() && !self.limit.is_empty() {
            let error = anyhow::anyhow!("--limit chooses hosts of a cluster, and none is named");
            return Err(CliError::new(Exit::Usage, error).hint("name its file: `-f cluster.yaml --limit w1`"));
        }
        Ok(named)
    }
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
            force: args.forced(),
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
