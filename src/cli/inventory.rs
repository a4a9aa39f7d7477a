//! `kubewright inventory`: the hosts of a cluster for Ansible.

use crate::ansible;
use crate::ansible::Surroundings;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::terminal::Terminal;
use crate::cluster::Cluster;
use crate::host::ssh;
use crate::host::ssh::Operator;
use crate::report::Event;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Print the hosts of a cluster as a dynamic inventory of Ansible
///
/// Hosts are grouped by role: `control_plane`, `worker`, `etcd`, `load_balancer`. Their variables say how they are reached,
/// as the file has it. `playbooks/inventory` hands it to Ansible.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InventoryCommand {
    /// File with the cluster
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,

    /// Print all groups and hosts with their variables
    #[arg(long, required_unless_present = "host", conflicts_with = "host")]
    list: bool,

    /// Print the variables of one host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright inventory -f cluster.yaml --list
  kubewright inventory -f cluster.yaml --host w1";

/// Runs the command.
///
/// # Errors
/// The configuration has problems, or names no such host.
pub(super) fn run(command: &InventoryCommand, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let cluster = load::for_inventory(&command.file, &reporter)?.cluster;
    let operator = Operator::new(settings.ssh.clone(), Arc::new(Terminal::new(settings.terminal)));
    let operator = operator.or_exit(Exit::Failure)?;
    let users = users(&cluster, &operator)?;
    let file = std::path::absolute(&command.file).or_exit(Exit::Configuration)?;
    let (file, program) = (file.display().to_string(), program()?);
    let around = Surroundings { file: &file, program: &program, users: &users };
    let value = if let Some(name) = &command.host {
        ansible::host(&cluster, name, &around).ok_or_else(|| unknown(name, &cluster))?
    } else {
        for message in ansible::left_out(&cluster) {
            reporter.tell(&Event::Warning { host: None, message, hint: None });
        }
        ansible::list(&cluster, &around)
    };
    output::data(&(serde_json::to_string_pretty(&value).or_exit(Exit::Failure)? + "\n"));
    Ok(Exit::Success)
}

/// Who logs in by the ssh configuration, which this program goes by wherever it reaches hosts.
fn users(cluster: &Cluster, operator: &Operator) -> Result<BTreeMap<String, String>, CliError> {
    let mut users = BTreeMap::new();
    for (node, access) in cluster.nodes.iter().filter_map(|node| Some((node, node.access.as_ref()?))) {
        let settings = ssh::settings(&node.name, access, operator).or_exit(Exit::Configuration)?;
        users.extend(settings.user.map(|user| (node.name.clone(), user)));
    }
    Ok(users)
}

/// The program that runs: Ansible puts the same one on the hosts.
fn program() -> Result<String, CliError> {
    Ok(std::env::current_exe().or_exit(Exit::Failure)?.display().to_string())
}

fn unknown(name: &str, cluster: &Cluster) -> CliError {
    let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    let error = anyhow::anyhow!("the file has no host `{name}`; its hosts are {}", names.join(", "));
    CliError::new(Exit::Usage, error)
}
