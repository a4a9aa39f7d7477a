//! The product's side of `push-to-many`: connects to every host, asks it all that planning asks, and writes files there.
#![expect(clippy::print_stdout, reason = "figures are its output")]
#![expect(clippy::disallowed_methods, reason = "it measures, and reads what it pushes")]

use anyhow::Context as _;
use kubewright::cluster::site::Access;
use kubewright::config;
use kubewright::facts::Questions;
use kubewright::facts::gather;
use kubewright::host::Change;
use kubewright::host::Entry;
use kubewright::host::Host as _;
use kubewright::host::Ssh;
use kubewright::host::fleet::side_by_side;
use kubewright::host::ssh;
use kubewright::host::ssh::Operator;
use kubewright::host::ssh::prompt::Nobody;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// As many as `apply` works on unless told otherwise.
const PARALLEL: usize = 50;

/// `push CLUSTER.YAML FILES INTO`: the files below a directory, on every host below another.
fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [cluster, files, into] = args.as_slice() else { return Ok(()) };
    let bytes = fs::read(cluster)?;
    let file = config::File { name: cluster, bytes: &bytes };
    let env = config::Environment {
        tokens: vec![kubewright::cluster::Secret::new("abcdef.0123456789abcdef".to_owned())],
        ..config::Environment::default()
    };
    let (overrides, purpose) = (config::Overrides::default(), config::Purpose::Render);
    let loaded = config::load(Some(file), &env, &overrides, config::Strictness::Strict, purpose);
    let cluster = loaded.map_err(|issues| anyhow::anyhow!("{issues}"))?.cluster;
    let changes = changes(Path::new(files), into)?;

    let start = Instant::now();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let environment = ssh::Environment { home, ..ssh::Environment::default() };
    let operator = Operator::new(environment, Arc::new(Nobody))?;
    let reached: Vec<(String, Access)> =
        cluster.workers().filter_map(|node| Some((node.name.clone(), node.access.clone()?))).collect();
    let hosts: Vec<Ssh> =
        ssh::connect_all(reached, &operator, PARALLEL).into_iter().collect::<Result<_, _>>()?;
    let connected = start.elapsed();
    let probed = side_by_side(hosts.iter().collect(), PARALLEL, |host: &Ssh| {
        let node = cluster.node(host.name()).context("an unknown host")?;
        let facts = gather::gather(host, &Questions::for_node(&cluster, node, &[]))?;
        anyhow::ensure!(facts.checks.uid.is_some(), "the probe of {} tells nothing", host.name());
        Ok(())
    });
    probed.into_iter().collect::<Result<Vec<()>, _>>()?;
    let asked = start.elapsed();
    let pushed = side_by_side(hosts.iter().collect(), PARALLEL, |host: &Ssh| host.change_many(&changes));
    pushed.into_iter().collect::<Result<Vec<()>, _>>()?;
    let done = start.elapsed();
    let [connected, asked, done] = [connected, asked, done].map(|passed| passed.as_secs_f64());
    println!("{done:.2} {connected:.2} {:.2} {:.2}", asked - connected, done - asked);
    Ok(())
}

/// What writes everything below `from` to the same place below `into`.
fn changes(from: &Path, into: &str) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut left = vec![from.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            if meta.is_dir() {
                left.push(path);
                continue;
            }
            let mode = meta.permissions().mode() & 0o7777;
            let entry = if meta.is_symlink() {
                Entry::link(fs::read_link(&path)?.to_string_lossy())
            } else {
                Entry::file(fs::read(&path)?, mode)
            };
            let below = path.strip_prefix(from)?.to_string_lossy();
            changes.push(Change::Write { path: format!("{into}/{below}"), entry });
        }
    }
    changes.sort_by(|one, other| path(one).cmp(path(other)));
    Ok(changes)
}

fn path(change: &Change) -> &str {
    match change {
        Change::Write { path, .. } | Change::Remove { path } => path,
    }
}
