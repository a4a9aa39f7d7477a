//! What can be typed, and what happens then.

mod access;
mod addon;
mod apply;
mod apply_args;
pub mod argv;
mod artifacts;
mod certs;
mod cluster_record;
mod completions;
mod config;
mod confirm;
mod control_planes;
mod endpoint;
pub mod error;
mod etcd;
pub mod exit;
mod fleet;
mod handover;
mod helm;
mod images;
mod init;
mod init_args;
mod interrupt;
mod inventory;
mod join;
mod join_args;
mod joining;
mod journal;
mod kubeconfig;
mod lab;
mod limit;
mod load;
mod manifests;
mod network;
mod output;
mod phase_command;
mod pki_files;
mod plan;
mod plan_fleet;
mod pods;
mod preflight;
mod render;
mod reset;
mod reset_args;
mod reset_etcd;
mod reset_facts;
mod reset_fleet;
mod reset_host;
mod reset_words;
mod resolver;
mod review_file;
mod session;
mod settings;
mod status;
mod terminal;
mod tested;
mod token;
mod tokens;
mod unlock;
mod version;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::GlobalArgs;
use crate::cli::settings::Settings;
use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Turns Linux hosts into a production Kubernetes cluster
#[derive(Debug, Parser)]
#[command(name = "kubewright", version, propagate_version = true, arg_required_else_help = true)]
#[command(max_term_width = 110, disable_help_subcommand = true, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Apply(apply_args::ApplyCommand),
    Init(Box<init::InitCommand>),
    Join(Box<join::JoinCommand>),
    Reset(Box<reset::ResetCommand>),
    Status(status::StatusCommand),
    Addon(addon::AddonCommand),
    Endpoint(endpoint::EndpointCommand),
    Etcd(etcd::EtcdCommand),
    Network(network::NetworkCommand),
    Plan(Box<plan::PlanCommand>),
    Render(render::RenderCommand),
    Preflight(Box<preflight::PreflightCommand>),
    Config(config::ConfigCommand),
    Certs(certs::CertsCommand),
    Inventory(inventory::InventoryCommand),
    Journal(journal::JournalCommand),
    Unlock(unlock::UnlockCommand),
    Completions(completions::CompletionsCommand),
    Kubeconfig(kubeconfig::KubeconfigCommand),
    Lab(lab::LabCommand),
    Token(token::TokenCommand),
    Version(version::VersionCommand),
}

/// The exit codes, from their table.
fn after_help() -> String {
    let rows = Exit::TABLE.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}", *exit as u8));
    format!("Exit codes:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

/// Everything that can be typed, for whoever wants to look at it without running it.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Parses, runs, prints the error if there is one, and turns it into a number. The only place that does.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            // A closed pipe is no reason to complain.
            let _ = match argv::masked_text(&error.to_string()) {
                // It repeats what was typed; secrets are not for logs.
                masked if error.use_stderr() && masked != error.to_string() => {
                    writeln!(std::io::stderr(), "{}", masked.trim_end())
                }
                _ => error.print(),
            };
            return exit.into();
        }
    };
    let settings = Settings::new(&cli.global);
    match run(cli.command, &settings) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            error.exit.into()
        }
    }
}

fn run(command: Command, settings: &Settings) -> Result<Exit, CliError> {
    match command {
        Command::Apply(command) => apply::run(&command, settings),
        Command::Init(command) => init::run(*command, settings),
        Command::Join(command) => join::run(*command, settings),
        Command::Reset(command) => reset::run(&command, settings),
        Command::Status(command) => status::run(&command, settings),
        Command::Addon(command) => addon::run(&command, settings),
        Command::Endpoint(command) => endpoint::run(&command, settings),
        Command::Etcd(command) => etcd::run(&command, settings),
        Command::Network(command) => network::run(&command, settings),
        Command::Plan(command) => plan::run(&command, settings),
        Command::Render(command) => render::run(&command, settings),
        Command::Preflight(command) => preflight::run(&command, settings),
        Command::Config(command) => config::run(&command, settings),
        Command::Certs(command) => certs::run(&command, settings),
        Command::Kubeconfig(command) => kubeconfig::run(&command, settings),
        Command::Lab(command) => lab::run(&command, settings),
        Command::Token(command) => token::run(&command, settings),
        Command::Version(command) => version::run(&command, settings),
        Command::Inventory(command) => inventory::run(&command, settings),
        Command::Journal(command) => journal::run(&command, settings),
        Command::Unlock(command) => unlock::run(&command, settings),
        Command::Completions(command) => completions::run(&command, definition()),
    }
}
