//! `kubewright addon list`.

use super::ClusterArgs;
use super::connect;
use super::names;
use super::open;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::facts::addons::Installed;
use crate::pki::columns;
use clap::Args;
use clap::ValueEnum;
use serde::Serialize;

/// List the add-ons that a file names, and those that the cluster has
///
/// What is in the cluster and not in the file goes with the next `apply`. CoreDNS and kube-proxy are in every cluster, and
/// are not listed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubewright addon list -f cluster.yaml\n  kubewright addon list -f cluster.yaml -o json"
)]
pub(super) struct ListArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Form of the list
    #[arg(short, long, value_enum, default_value_t)]
    output: ListOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    #[default]
    Table,
    /// One object with `"schema": 1`
    Json,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    schema: u8,
    addons: Vec<Row>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    in_file: bool,
    /// `kind namespace/name` of what belongs to it in the cluster.
    objects: Vec<String>,
}

/// Those that are not remembered by name.
const OF_EVERY_CLUSTER: [&str; 2] = ["coredns", "kube-proxy"];

pub(super) fn run(args: &ListArgs, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let mut cluster = load::for_fleet(&args.cluster.file, &reporter)?.cluster;
    let wanted = names(&cluster);
    let connected = connect(&mut cluster, &args.cluster, settings, &reporter);
    let session = open(cluster, connected, &args.cluster, &reporter)?;
    let list = List { schema: 1, addons: rows(&wanted, &session.running.addons) };
    output::data(&match args.output {
        ListOutput::Table => table(&list.addons),
        ListOutput::Json => serde_json::to_string_pretty(&list).or_exit(Exit::Failure)? + "\n",
    });
    Ok(Exit::Success)
}

/// Those of the file in its order, then the others.
fn rows(wanted: &[String], installed: &[Installed]) -> Vec<Row> {
    let objects = |name: &str| {
        let found = installed.iter().find(|one| one.name == name);
        found.map(|one| one.members.clone()).unwrap_or_default()
    };
    let remembered = wanted.iter().filter(|name| !OF_EVERY_CLUSTER.contains(&name.as_str()));
    let of_file = remembered.map(|name| Row { name: name.clone(), in_file: true, objects: objects(name) });
    let others = installed.iter().filter(|one| !wanted.contains(&one.name));
    let others =
        others.map(|one| Row { name: one.name.clone(), in_file: false, objects: one.members.clone() });
    of_file.chain(others).collect()
}

fn table(rows: &[Row]) -> String {
    let head = ["NAME", "IN THE FILE", "IN THE CLUSTER"].map(str::to_owned).to_vec();
    let line = |row: &Row| {
        let objects = match row.objects.len() {
            0 => "no".to_owned(),
            1 => "1 object".to_owned(),
            count => format!("{count} objects"),
        };
        vec![row.name.clone(), if row.in_file { "yes" } else { "no" }.to_owned(), objects]
    };
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    columns::aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_is_wanted_and_what_is_left() {
        let installed = |name: &str, members: &[&str]| Installed {
            name: name.to_owned(),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        };
        let wanted = ["coredns", "cni", "metrics-server"].map(str::to_owned);
        let there = [
            installed("cni", &["v1 Namespace a", "v1 ConfigMap a/b"]),
            installed("old", &["v1 Namespace o"]),
        ];
        assert_eq!(
            table(&rows(&wanted, &there)),
            "NAME             IN THE FILE   IN THE CLUSTER\n\
             cni              yes           2 objects\n\
             metrics-server   yes           no\n\
             old              no            1 object\n"
        );
    }
}
