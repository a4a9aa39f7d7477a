//! Restarting the static pods' containers that read a certificate when they start: the container runtime ends them, and the
//! kubelet starts them again.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::status::host::answers_at;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cri::Client;
use crate::cri::message::Container;
use crate::host::local::Local;
use std::time::Duration;

/// The order in which they are restarted: those that others need come first.
const ORDER: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
const NAMESPACE: &str = "kube-system";
/// A kubelet starts what ended at once, and only waits after it did so several times.
const LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(250);
/// What has run for so long did not end for its certificate.
const STEADY: Duration = Duration::from_secs(2);

/// Each once, in the order in which they are restarted.
pub(super) fn order<'a>(components: impl Iterator<Item = &'a &'static str>) -> Vec<&'static str> {
    let meant: Vec<&str> = components.copied().collect();
    ORDER.into_iter().filter(|component| meant.contains(component)).collect()
}

/// Restarts them one after the other. One that does not run here is left out.
///
/// # Errors
/// The runtime cannot be asked, or one does not come back; those after it are then left alone.
pub(super) fn all(node: &Node, components: &[&'static str], settings: &Settings) -> Result<(), CliError> {
    for component in components {
        let begun = System.monotonic();
        let there = one(node, component).map_err(|error| {
            let hint = format!("`crictl ps -a --name {component}`; those after it were not restarted");
            CliError::new(Exit::Timeout, error.context(format!("cannot restart {component}"))).hint(hint)
        })?;
        if there && !settings.quiet {
            let took = System.monotonic().saturating_sub(begun);
            output::people(&format!("{component} restarted in {:.1}s\n", took.as_secs_f32()));
        }
    }
    Ok(())
}

/// Whether there was one to restart.
fn one(node: &Node, component: &str) -> anyhow::Result<bool> {
    let host = Local::new("this host");
    let newest = || -> anyhow::Result<Option<Container>> {
        let runtime = Client::connect(&host, &node.cri_socket)?;
        let is_it = |one: &Container| {
            let label = |key: &str| one.labels.get(key).map(String::as_str);
            label("io.kubernetes.container.name") == Some(component)
                && label("io.kubernetes.pod.namespace") == Some(NAMESPACE)
        };
        Ok(runtime.list_containers()?.into_iter().filter(is_it).max_by_key(|one| one.created_at))
    };
    let Some(old) = newest()? else { return Ok(false) };
    Client::connect(&host, &node.cri_socket)?.kill_container(&old.id)?;
    let end = System.monotonic() + LIMIT;
    let mut steady: Option<(String, Duration)> = None;
    loop {
        let now = System.monotonic();
        anyhow::ensure!(now < end, "it did not come back within {} s", LIMIT.as_secs());
        if let Some(new) = newest()?.filter(|new| new.id != old.id) {
            let since = steady.take().filter(|(id, _)| *id == new.id).map_or(now, |(_, since)| since);
            if now.saturating_sub(since) >= STEADY && answers(&host, node, component) {
                return Ok(true);
            }
            steady = Some((new.id, since));
        }
        System.sleep(PAUSE);
    }
}

/// Whether it serves; of those that nobody else asks, that they run is enough.
fn answers(host: &Local, node: &Node, component: &str) -> bool {
    let at = HostPort::new(node.advertise_address.to_string(), node.bind_port);
    component != "kube-apiserver" || answers_at(host, &at).is_ok()
}
