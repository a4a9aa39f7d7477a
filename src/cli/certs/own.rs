//! The certificates of this host: by which configuration they are looked for, and what is there.

use crate::cli::access::Access;
use crate::cli::cluster_record;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::pki_files;
use crate::cli::session::ADMIN_CONF;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::cluster::Layout;
use crate::cluster::Node;
use crate::host::local::Local;
use crate::pki::Inventory;
use crate::pki::expiry;
use crate::pki::inventory;
use clap::Args;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Configuration file; else the cluster's stored configuration, or else the defaults
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Directory of certificates and keys; that of the configuration when not given
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,

    /// Kubeconfig by which the cluster is asked for its configuration
    #[arg(long, value_name = "FILE", default_value = ADMIN_CONF)]
    kubeconfig: PathBuf,
}

/// What this control plane has, in the layout that its files have.
#[derive(Debug)]
pub(super) struct Own {
    pub cluster: Cluster,
    pub node: Node,
    pub inventory: Inventory,
}

impl SourceArgs {
    /// Reads this host's files; which layout they have is for them to say.
    ///
    /// # Errors
    /// The configuration has problems, or the files cannot be read.
    pub(super) fn read(&self, settings: &Settings) -> Result<Own, CliError> {
        let mut cluster = self.configuration(settings)?;
        if let Some(directory) = &self.cert_dir {
            directory.trim_end_matches('/').clone_into(&mut cluster.configuration.certificates_dir);
        }
        let host = Local::new("this host");
        cluster.layout = Layout::Five;
        let node = cluster.first_control_plane().clone();
        let inventory = pki_files::read_paths(&host, expiry::paths(&cluster, &node)).map_err(|error| {
            let denied = error.io_kind() == Some(ErrorKind::PermissionDenied);
            let error = CliError::new(Exit::Host, error);
            if denied { error.hint("run this as root") } else { error }
        })?;
        cluster.layout = inventory::found_layout(&cluster, &inventory).unwrap_or(Layout::Kubeadm);
        Ok(Own { cluster, node, inventory })
    }

    /// The configuration of the file, of the cluster, or the defaults where neither can be had.
    fn configuration(&self, settings: &Settings) -> Result<Cluster, CliError> {
        let reporter = settings.reporter();
        if self.config.is_some() {
            let init = InitArgs { config: self.config.clone(), ..InitArgs::default() };
            return Ok(load::for_init(&init, &reporter)?.cluster);
        }
        let stored = Access::find(Some(&self.kubeconfig), settings)
            .and_then(|access| cluster_record::read(&access.api()?, &reporter));
        stored.or_else(|error| {
            let why = error.cause;
            output::people(&format!(
                "the cluster does not tell its configuration, so the defaults count: {why}\n"
            ));
            let overrides = crate::config::Overrides::default();
            Ok(load::for_images(None, &overrides, &reporter)?.cluster)
        })
    }
}
