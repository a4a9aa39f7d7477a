//! Pods through a host's container runtime.

use crate::apply::Pods;
use crate::cri::Client;
use crate::host::Host;
use anyhow::Context as _;

/// Asks the container runtime behind a socket of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct CriPods;

/// A runtime may be busy; kubeadm tries as often.
const ATTEMPTS: u32 = 5;

impl Pods for CriPods {
    fn present(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<bool> {
        Ok(Client::connect(host, socket)?.list_pod_sandboxes()?.iter().any(|pod| pod.id == id))
    }

    fn remove(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<()> {
        let runtime = Client::connect(host, socket)?;
        attempts(|| runtime.stop_pod_sandbox(id).context("cannot stop it"))?;
        attempts(|| runtime.remove_pod_sandbox(id).context("cannot remove it"))
    }
}

/// Tries several times; the last error is the one to tell.
fn attempts(work: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let early = (1..ATTEMPTS).find_map(|_| work().ok());
    early.map_or_else(&work, Ok)
}
