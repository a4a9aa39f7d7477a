//! Images through a host's container runtime.

use crate::apply::Images;
use crate::cri::Client;
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
