//! Images through a host's container runtime.

use crate::apply::Images;
use crate::cri::Client;
use crate::cri::message::PodSandbox;
use crate::host::Host;
use anyhow::Context as _;

/// Asks the container runtime behind a socket of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct CriImages;

/// A registry may be busy; kubeadm tries as often.
const ATTEMPTS: u32 = 5;

impl Images for CriImages {
    fn present(&self, host: &dyn Host, socket: &str, reference: &str) -> anyhow::Result<bool> {
        Ok(Client::connect(host, socket)?.image_status(reference)?.is_some())
    }

    fn runs_pod(&self, host: &dyn Host, socket: &str, namespace: &str, name: &str) -> anyhow::Result<bool> {
        let pods = Client::connect(host, socket)?.list_pod_sandboxes()?;
        let is_it = |pod: &PodSandbox| {
            let named = pod.metadata.as_ref();
            named.is_some_and(|named| named.name == name && named.namespace == namespace) && pod.is_ready()
        };
        Ok(pods.iter().any(is_it))
    }

    fn pull(&self, host: &dyn Host, socket: &str, reference: &str) -> anyhow::Result<()> {
        let runtime = Client::connect(host, socket)?;
        let mut attempt = 1;
        loop {
            match runtime.pull_image(reference) {
                Ok(_) => return Ok(()),
                Err(error) if attempt == ATTEMPTS => {
                    return Err(error).with_context(|| format!("cannot pull {reference}"));
                }
                Err(_) => attempt += 1,
            }
        }
    }
}
