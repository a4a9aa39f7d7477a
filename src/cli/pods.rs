//! Pods through a host's container runtime.

use crate::apply::Pods;
use crate::cri::Client;
use crate::cri::log;
use crate::cri::message;
use crate::cri::message::PodSandbox;
use crate::host::Command;
use crate::host::Host;
use crate::plan::Container;
use anyhow::Context as _;
use std::collections::HashMap;
use time::OffsetDateTime;

/// Asks the container runtime behind a socket of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct CriPods;

/// A runtime may be busy; kubeadm tries as often.
const ATTEMPTS: u32 = 5;

/// How much of a log's end is looked at, in bytes.
const LOG_END: &str = "32768";

impl Pods for CriPods {
    fn present(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<bool> {
        Ok(Client::connect(host, socket)?.list_pod_sandboxes()?.iter().any(|pod| pod.id == id))
    }

    fn remove(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<()> {
        let runtime = Client::connect(host, socket)?;
        attempts(|| runtime.stop_pod_sandbox(id).context("cannot stop it"))?;
        attempts(|| runtime.remove_pod_sandbox(id).context("cannot remove it"))
    }

    fn named(&self, host: &dyn Host, socket: &str, name: &str) -> anyhow::Result<Vec<String>> {
        let pods = Client::connect(host, socket)?.list_pod_sandboxes()?;
        let is_it = |pod: &PodSandbox| {
            pod.metadata.as_ref().is_some_and(|pod| format!("{}/{}", pod.namespace, pod.name) == name)
        };
        Ok(pods.into_iter().filter(is_it).map(|pod| pod.id).collect())
    }

    fn made(&self, host: &dyn Host, container: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        let newest = newest(&Client::connect(host, &container.cri_socket)?, container)?;
        Ok(newest.and_then(|one| OffsetDateTime::from_unix_timestamp_nanos(one.created_at.into()).ok()))
    }

    fn complaints(&self, host: &dyn Host, container: &Container) -> anyhow::Result<Vec<String>> {
        let runtime = Client::connect(host, &container.cri_socket)?;
        let Some(newest) = newest(&runtime, container)? else { return Ok(Vec::new()) };
        let status = runtime.container_status(&newest.id)?;
        let tail = Command::query("tail").args(["-c", LOG_END]).arg(status.log_path);
        let found = log::complaints(&String::from_utf8_lossy(&host.run(&tail)?.stdout));
        let message = Some(status.message).filter(|message| found.is_empty() && !message.is_empty());
        Ok(found.into_iter().chain(message).collect())
    }
}

/// Kills a container of a static pod.
///
/// # Errors
/// There is none, or the runtime refuses.
pub(super) fn kill(host: &dyn Host, container: &Container) -> anyhow::Result<()> {
    let runtime = Client::connect(host, &container.cri_socket)?;
    let newest = newest(&runtime, container)?;
    let newest =
        newest.with_context(|| format!("pod {} has no container {}", container.pod, container.name))?;
    Ok(runtime.kill_container(&newest.id)?)
}

/// The container of this kind that was made last.
fn newest(runtime: &Client, container: &Container) -> anyhow::Result<Option<message::Container>> {
    let label = |labels: &HashMap<String, String>, key: &str| labels.get(key).cloned().unwrap_or_default();
    let is_it = |one: &message::Container| {
        let labels = &one.labels;
        let [namespace, pod] =
            ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name"].map(|key| label(labels, key));
        label(labels, "io.kubernetes.container.name") == container.name
            && format!("{namespace}/{pod}") == container.pod
    };
    Ok(runtime.list_containers()?.into_iter().filter(is_it).max_by_key(|one| one.created_at))
}

/// Tries several times; the last error is the one to tell.
fn attempts(work: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let early = (1..ATTEMPTS).find_map(|_| work().ok());
    early.map_or_else(&work, Ok)
}
