//! `kubewright kubeconfig`: access for further users.

use crate::cli::access;
use crate::cli::access::Access;
use crate::cli::cluster_record;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::session::ADMIN_CONF;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::GoDuration;
use crate::cluster::Secret;
use crate::cluster::kubeadm::KeyAlgorithm;
use crate::pki::Certificate;
use crate::pki::PrivateKey;
use crate::pki::SystemRandom;
use crate::pki::key::effective_algorithm;
use crate::pki::load::certificates;
use crate::pki::load::private_key;
use crate::pki::user;
use crate::pki::user::Place;
use crate::pki::user::Proof;
use clap::Args;
use clap::Subcommand;
use std::path::Path;
use std::path::PathBuf;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Make kubeconfig files
#[derive(Debug, Args)]
pub(super) struct KubeconfigCommand {
    #[command(subcommand)]
    command: KubeconfigSub,
}

#[derive(Debug, Subcommand)]
enum KubeconfigSub {
    User(UserArgs),
}

/// Print a kubeconfig for a further user, with a client certificate or a token
///
/// The certificate is signed on this host by `ca.crt` and `ca.key` of the certificates directory. Where the cluster is
/// comes from the configuration file; without one, from the configuration that the cluster has stored, and when that
/// cannot be had or names no endpoint, from /etc/kubernetes/admin.conf. (kubeadm guesses the address of this host then.)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct UserArgs {
    /// Name of the user, the common name of its certificate
    #[arg(long, value_name = "NAME")]
    client_name: String,

    /// Groups of the user, the organizations of its certificate
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    org: Vec<String>,

    /// A bearer token instead of a certificate
    #[arg(long, value_name = "TOKEN", conflicts_with = "org")]
    token: Option<Secret>,

    /// How long the certificate is valid from now on
    #[arg(long, value_name = "DURATION", default_value = "8760h", allow_hyphen_values = true)]
    validity_period: String,

    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Write a file that only its owner can read, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright kubeconfig user --client-name jane --org developers > jane.conf
  kubewright kubeconfig user --client-name jane --validity-period 24h -o jane.conf";

/// The group that no role can be taken from.
const MASTERS: &str = "system:masters";

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &KubeconfigCommand, settings: &Settings) -> Result<Exit, CliError> {
    let KubeconfigSub::User(args) = &command.command;
    let now = System.now();
    let validity = validity(args)?;
    let source = Source::find(args, settings)?;
    let authority = authority(&source.certificates_dir)?;
    let not_after = user::not_after(now, validity);
    let key;
    let proof = if let Some(token) = &args.token {
        Proof::Token(token)
    } else {
        key = authority_key(&source.certificates_dir, &authority)?;
        warn(args, validity, not_after, &authority);
        let algorithm = source.algorithm;
        Proof::Certificate { organizations: &args.org, authority_key: &key, algorithm, not_after }
    };
    let place = Place { cluster_name: &source.cluster_name, server: &source.server, authority: &authority };
    let text = user::kubeconfig(&args.client_name, place, proof, &mut SystemRandom).or_exit(Exit::Pki)?;
    match &args.output {
        Some(path) => load::write_file(path, text.as_bytes(), 0o600)?,
        // kubeadm prints an empty line after it.
        None => output::data(&Zeroizing::new(format!("{}\n", text.as_str()))),
    }
    Ok(Exit::Success)
}

fn validity(args: &UserArgs) -> Result<GoDuration, CliError> {
    if args.client_name.is_empty() {
        return Err(CliError::new(Exit::Usage, anyhow::anyhow!("--client-name: the user has no name")));
    }
    let validity = args.validity_period.parse::<GoDuration>();
    let validity =
        validity.map_err(|error| anyhow::anyhow!("--validity-period: {error}")).or_exit(Exit::Usage)?;
    if validity.as_nanos() <= 0 {
        let error = anyhow::anyhow!("--validity-period: a certificate cannot be valid for {validity}");
        return Err(CliError::new(Exit::Usage, error).hint("such as 24h, or 8760h for a year"));
    }
    Ok(validity)
}

fn warn(args: &UserArgs, validity: GoDuration, not_after: OffsetDateTime, authority: &Certificate) {
    let mut warnings = Vec::new();
    if validity > user::VALIDITY {
        warnings.push(format!(
            "the certificate is valid for {validity}, longer than the usual {}; nobody can take it back before",
            user::VALIDITY
        ));
    }
    if not_after > authority.not_after() {
        let end = authority.not_after().date();
        warnings.push(format!(
            "the certificate outlives its authority, which ends on {end}: nobody takes it from then on"
        ));
    }
    if args.org.iter().any(|group| group == MASTERS) {
        warnings.push(format!(
            "members of {MASTERS} may do everything, whatever the roles say; `--org kubeadm:cluster-admins` can be taken \
             back by deleting its binding"
        ));
    }
    for warning in warnings {
        output::people(&format!("warning: {warning}\n"));
    }
}

/// What the kubeconfig is made from.
struct Source {
    cluster_name: String,
    server: String,
    certificates_dir: String,
    algorithm: KeyAlgorithm,
}

impl Source {
    fn find(args: &UserArgs, settings: &Settings) -> Result<Self, CliError> {
        if args.config.is_some() {
            let init = InitArgs { config: args.config.clone(), ..InitArgs::default() };
            let cluster = load::for_init(&init, &settings.reporter())?.cluster;
            let server = cluster.public_url();
            return Ok(Self::of(&cluster, server));
        }
        let admin = Access::read(Path::new(ADMIN_CONF))?.ok_or_else(|| {
            let error = anyhow::anyhow!("there is no {ADMIN_CONF} on this host");
            CliError::new(Exit::Api, error)
                .hint("run this on a control plane, or name its configuration with --config")
        })?;
        let parsed = admin.parsed()?;
        match cluster_record::read(&admin.api()?, &settings.reporter()) {
            Ok(cluster) => {
                let endpoint = cluster.endpoint.as_ref().map(|endpoint| format!("https://{endpoint}"));
                Ok(Self::of(&cluster, endpoint.unwrap_or(parsed.server)))
            }
            Err(error) => {
                let why = error.cause;
                output::people(&format!(
                    "warning: the cluster does not tell its configuration, so {ADMIN_CONF} says where it is: {why}\n"
                ));
                Ok(Self {
                    cluster_name: parsed.cluster_name,
                    server: parsed.server,
                    certificates_dir: "/etc/kubernetes/pki".to_owned(),
                    algorithm: KeyAlgorithm::default(),
                })
            }
        }
    }

    fn of(cluster: &crate::cluster::Cluster, server: String) -> Self {
        Self {
            cluster_name: cluster.configuration.cluster_name.clone(),
            server,
            certificates_dir: cluster.certificates_dir().to_owned(),
            algorithm: effective_algorithm(&cluster.configuration),
        }
    }
}

/// The cluster's authority: the first certificate of the file.
fn authority(directory: &str) -> Result<Certificate, CliError> {
    let path = format!("{directory}/ca.crt");
    let found = certificates(&read(&path)?).map_err(|error| anyhow::anyhow!("{path} {error}"));
    let found = found.or_exit(Exit::Pki)?.into_iter().next();
    found.ok_or_else(|| CliError::new(Exit::Pki, anyhow::anyhow!("{path} holds no certificate")))
}

fn authority_key(directory: &str, authority: &Certificate) -> Result<PrivateKey, CliError> {
    let path = format!("{directory}/ca.key");
    let key =
        private_key(&read(&path)?).map_err(|error| anyhow::anyhow!("{path} {error}")).or_exit(Exit::Pki)?;
    if key.public_key_info() == authority.public_key_info() {
        return Ok(key);
    }
    let error = anyhow::anyhow!("{path} is not the key of {directory}/ca.crt");
    Err(CliError::new(Exit::Pki, error).hint("restore both from the same control plane or backup"))
}

fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    access::secret_file(path)?.ok_or_else(|| {
        let error = CliError::new(Exit::Pki, anyhow::anyhow!("there is no {path} on this host"));
        error.hint("a certificate is signed where the authority's key is; `--token` needs only ca.crt")
    })
}
