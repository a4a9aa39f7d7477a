//! `kubewright config`: starter files, judging and migrating files, and the images of a configuration.

use crate::apply::Images as _;
use crate::cli::artifacts;
use crate::cli::artifacts::ArtifactsSub;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::images::CriImages;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::File;
use crate::config::Issue;
use crate::config::Overrides;
use crate::config::print;
use crate::config::reference;
use crate::host::local::Local;
use crate::kube::images;
use crate::kube::yaml;
use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use std::path::PathBuf;

/// Print, judge and migrate configuration files
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: ConfigSub,
}

#[derive(Debug, Subcommand)]
enum ConfigSub {
    /// Print a configuration to start from
    #[command(subcommand)]
    Print(PrintSub),
    /// Judge a configuration file: every problem at once, with its place and how to mend it
    Validate(ValidateArgs),
    /// Rewrite a file of an older version in the current one
    Migrate(MigrateArgs),
    /// Print every field of every document, as Markdown
    Reference,
    /// List or pull the images of a configuration
    #[command(subcommand)]
    Images(ImagesSub),
    /// List the binaries that hosts are prepared with, or lock their checksums
    #[command(subcommand)]
    Artifacts(ArtifactsSub),
}

#[derive(Debug, Subcommand)]
enum PrintSub {
    /// A commented example of a highly available cluster, with all its hosts
    Cluster,
    /// kubeadm's defaults for `init`
    InitDefaults(ComponentArgs),
    /// kubeadm's defaults for `join`
    JoinDefaults,
    /// kubeadm's defaults for `reset`
    ResetDefaults,
    /// kubeadm's defaults for `upgrade`
    UpgradeDefaults,
}

#[derive(Debug, Args)]
struct ComponentArgs {
    /// Also print the defaults of these components
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    component_configs: Vec<Component>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Component {
    #[value(name = "KubeletConfiguration")]
    Kubelet,
    #[value(name = "KubeProxyConfiguration")]
    KubeProxy,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubewright config validate -f cluster.yaml")]
struct ValidateArgs {
    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct MigrateArgs {
    /// File to read
    #[arg(long, value_name = "FILE")]
    old_config: PathBuf,

    /// File to write; standard output when not given
    #[arg(long, value_name = "FILE")]
    new_config: Option<String>,
}

#[derive(Debug, Subcommand)]
enum ImagesSub {
    /// Print the images that a control plane needs, one a line
    List(ImagesArgs),
    /// Pull them through this host's container runtime
    Pull(ImagesArgs),
}

#[derive(Debug, Args)]
struct ImagesArgs {
    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Version of the control plane
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,

    /// Registry of the control plane's images
    #[arg(long, value_name = "REGISTRY")]
    image_repository: Option<String>,

    /// Feature gates, `Gate=true,Other=false`
    #[arg(long, value_name = "GATES")]
    feature_gates: Option<String>,

    /// Socket of the container runtime
    #[arg(long, value_name = "SOCKET")]
    cri_socket: Option<String>,

    /// Form of the list
    #[arg(short, long, value_enum, default_value_t)]
    output: ListOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    #[default]
    Text,
    Json,
    Yaml,
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &ConfigCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        ConfigSub::Print(what) => print_defaults(what),
        ConfigSub::Validate(args) => validate(args),
        ConfigSub::Migrate(args) => migrate(args),
        ConfigSub::Reference => {
            output::data(&reference::reference());
            Ok(Exit::Success)
        }
        ConfigSub::Artifacts(command) => artifacts::run(command, settings),
        ConfigSub::Images(ImagesSub::List(args)) => list_images(args, settings),
        ConfigSub::Images(ImagesSub::Pull(args)) => pull_images(args, settings),
    }
}

fn print_defaults(what: &PrintSub) -> Result<Exit, CliError> {
    let text = match what {
        PrintSub::Cluster => print::cluster_example().to_owned(),
        PrintSub::InitDefaults(args) => {
            let component = |component: &Component| match component {
                Component::Kubelet => print::Component::Kubelet,
                Component::KubeProxy => print::Component::KubeProxy,
            };
            print::init_defaults(&args.component_configs.iter().map(component).collect::<Vec<_>>())
        }
        PrintSub::JoinDefaults => print::join_defaults(&load::basics()?.hostname),
        PrintSub::ResetDefaults => print::reset_defaults(),
        PrintSub::UpgradeDefaults => print::upgrade_defaults(),
    };
    output::data(&text);
    Ok(Exit::Success)
}

fn validate(args: &ValidateArgs) -> Result<Exit, CliError> {
    let bytes = load::read_file(&args.config)?;
    let name = args.config.display().to_string();
    let file = File { name: &name, bytes: &bytes };
    let env = load::environment(Some(file), &Overrides::default())?;
    let warnings = config::validate_file(file, &env).map_err(|issues| load::refused(&issues))?;
    warn(&warnings);
    output::data("ok\n");
    Ok(Exit::Success)
}

fn migrate(args: &MigrateArgs) -> Result<Exit, CliError> {
    let bytes = load::read_file(&args.old_config)?;
    let name = args.old_config.display().to_string();
    let file = File { name: &name, bytes: &bytes };
    let env = load::environment(Some(file), &Overrides::default())?;
    let (text, warnings) = config::migrate(file, &env).map_err(|issues| load::refused(&issues))?;
    warn(&warnings);
    match &args.new_config {
        Some(path) => load::write_file(path, text.as_bytes(), 0o644)?,
        None => output::data(&text),
    }
    Ok(Exit::Success)
}

fn warn(warnings: &[Issue]) {
    for warning in warnings {
        output::people(&format!("{warning}\n"));
    }
}

fn loaded(args: &ImagesArgs, settings: &Settings) -> Result<load::Loaded, CliError> {
    let overrides = Overrides {
        kubernetes_version: args.kubernetes_version.clone(),
        image_repository: args.image_repository.clone(),
        feature_gates: args.feature_gates.clone(),
        cri_socket: args.cri_socket.clone(),
        ..Overrides::default()
    };
    load::with_manifests(load::for_images(args.config.as_deref(), &overrides, &settings.reporter())?)
}

fn list_images(args: &ImagesArgs, settings: &Settings) -> Result<Exit, CliError> {
    let cluster = loaded(args, settings)?.cluster;
    let structured = images::Images::new(&cluster);
    let value = serde_json::to_value(&structured).or_exit(Exit::Failure)?;
    output::data(&match args.output {
        ListOutput::Text => structured.images.join("\n") + "\n",
        ListOutput::Json => serde_json::to_string_pretty(&structured).or_exit(Exit::Failure)? + "\n",
        ListOutput::Yaml => yaml::to_string(&value),
    });
    Ok(Exit::Success)
}

fn pull_images(args: &ImagesArgs, settings: &Settings) -> Result<Exit, CliError> {
    let cluster = loaded(args, settings)?.cluster;
    let host = Local::new("this host");
    let socket = &cluster.first_control_plane().cri_socket;
    for image in images::everything(&cluster) {
        CriImages.pull(&host, socket, &image).or_exit(Exit::Host)?;
        output::data(&format!("[config/images] Pulled {image}\n"));
    }
    Ok(Exit::Success)
}
