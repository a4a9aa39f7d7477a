//! `kubewright certs generate-csr`: keys and signing requests for authorities that are kept elsewhere.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::host::Host as _;
use crate::host::local::Local;
use crate::pki::bundle::Minting;
use crate::pki::csr;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Make keys and signing requests for a CA that is kept elsewhere
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubewright certs generate-csr --cert-dir /root/pki --kubeconfig-dir /root/pki"
)]
pub(super) struct GenerateCsrArgs {
    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Directory of certificates and keys; that of the configuration when not given
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,

    /// Directory of kubeconfig files
    #[arg(long, value_name = "DIR", default_value = "/etc/kubernetes")]
    kubeconfig_dir: String,
}

pub(super) fn run(args: &GenerateCsrArgs, settings: &Settings) -> Result<Exit, CliError> {
    let init = InitArgs { config: args.config.clone(), ..InitArgs::default() };
    let mut cluster = load::for_init(&init, &settings.reporter())?.cluster;
    if let Some(directory) = &args.cert_dir {
        cluster.configuration.certificates_dir.clone_from(directory);
    }
    let node = cluster.first_control_plane();
    let host = Local::new(&node.name);
    let mut existing = BTreeSet::new();
    for path in csr::targets(&cluster, node, &args.kubeconfig_dir) {
        if host.read(&path).or_exit(Exit::Host)?.is_some() {
            existing.insert(path);
        }
    }
    let minting = Minting::new(&cluster.configuration, System.now());
    let files =
        csr::generate(&cluster, node, &args.kubeconfig_dir, &existing, &minting).or_exit(Exit::Pki)?;
    output::data(&format!("generating keys and CSRs in {}\n", cluster.certificates_dir()));
    for file in &files {
        load::write_file(&file.path, &file.content, file.mode)?;
        if let Some(base) = file.path.strip_suffix(".csr") {
            output::data(&format!("  {base}\n"));
        }
    }
    Ok(Exit::Success)
}
