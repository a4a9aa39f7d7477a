//! Kubeconfig files and the client certificates in them.

use super::Context;
use super::Decider;
use super::Decision;
use crate::cluster::Cluster;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::chain;
use crate::pki::inventory::FileState;
use crate::pki::kubeconfig;
use crate::pki::load;
use crate::pki::material;
use crate::pki::material::Material;
use crate::pki::material::View;
use crate::pki::spec::CertSpec;

impl<'a> Decider<'a> {
    pub(super) fn kubeconfig(&mut self, context: &Context<'a>) {
        let spec = context.spec;
        let path = spec.paths.kubeconfig.as_deref().unwrap_or_default();
        let store = if spec.paths.store.is_some() { self.usable_store(context) } else { None };
        let parsed = material::view(self.inventory(context.node), Some(path), kubeconfig::parse);
        match &parsed {
            View::Absent => match store {
                Some(material) => self.keep(spec, Decision::Existing(material)),
                None => self.mint_leaf(context),
            },
            View::Bad(why) => {
                let message = format!("{}the kubeconfig file {path} does not load: {why}", self.prefix(spec));
                self.problem(context, message, format!("remove {path} to have it made anew"));
            }
            View::Good { value, bytes } => {
                if self.check_kubeconfig(context, path, value) {
                    let mut material = store.unwrap_or_else(|| client(value));
                    match self.client_trouble(spec, value, &material) {
                        // The kubelet's identity is not worth keeping when it cannot be used.
                        Some(reason) if spec.paths.store.is_some() => {
                            self.warn(context, format!("{path} is replaced: {reason}"), "");
                            return self.mint_leaf(context);
                        }
                        Some(reason) => {
                            let message =
                                format!("the client certificate in {path} will be refused: {reason}");
                            self.warn(
                                context,
                                message,
                                format!("renew it, or remove {path} to have it made anew"),
                            );
                        }
                        None => {}
                    }
                    material.kubeconfig_file = Some(bytes.clone());
                    self.keep(spec, Decision::Existing(material));
                }
            }
        }
    }

    /// kubeadm's validation of an existing kubeconfig: the right authority, and a warning for another server.
    fn check_kubeconfig(&mut self, context: &Context<'_>, path: &str, parsed: &kubeconfig::Parsed) -> bool {
        let authority = if parsed.authority.is_empty() {
            let state =
                self.inventory(context.node).and_then(|inventory| inventory.get(&parsed.authority_file));
            match state {
                Some(FileState::Present { bytes, .. }) => bytes.to_vec(),
                _ => Vec::new(),
            }
        } else {
            parsed.authority.clone()
        };
        let theirs = load::certificates(&authority).unwrap_or_default();
        let ours = self.authorities.get(&Ca::Kubernetes);
        // Without its key, the authority may be any certificate of its file.
        let expected = ours.map_or(&[][..], |ours| match ours.key {
            Some(_) => &ours.certificates[..1],
            None => &ours.certificates,
        });
        if !theirs.first().is_some_and(|first| expected.contains(first)) {
            let message = format!(
                "{}a kubeconfig file \"{path}\" exists but does not contain a trusted CA in its current context's cluster",
                self.prefix(context.spec)
            );
            self.problem(
                context,
                message,
                format!("it belongs to another cluster; remove {path} to have it made anew"),
            );
            return false;
        }
        let server = expected_server(self.request.cluster, context);
        if server.as_ref().is_some_and(|server| *server != parsed.server) {
            let message = format!(
                "the kubeconfig file \"{path}\" has the server \"{}\" where \"{}\" is expected",
                parsed.server,
                server.unwrap_or_default()
            );
            self.warn(context, message, format!("remove {path} to have it made anew"));
        }
        self.check_mode(context, Some(path), false);
        true
    }

    /// What is wrong with the client's own certificate; kubeadm does not look at it.
    fn client_trouble(
        &self,
        spec: &CertSpec,
        parsed: &kubeconfig::Parsed,
        material: &Material,
    ) -> Option<String> {
        let Some(certificate) = material.certificate() else {
            let lost = spec.paths.store.as_deref() == Some(&parsed.client_certificate_file);
            // A kubelet is nobody without a certificate.
            let nobody = spec.paths.store.is_some() && parsed.client_certificate_file.is_empty();
            return if lost {
                Some("it points to a file that cannot be used".to_owned())
            } else if nobody {
                Some("it holds no client certificate that can be read".to_owned())
            } else {
                is_damaged(parsed).then(|| "the client certificate in it cannot be read".to_owned())
            };
        };
        if material.key.is_none() && !parsed.client_key.is_empty() {
            return Some("the client key in it cannot be read".to_owned());
        }
        match chain::check_time(certificate, self.request.now) {
            Err(error) => Some(error.to_string()),
            Ok(()) => self.check_signer(spec, &material.certificates).err(),
        }
    }
}

/// Whether there is a client certificate in it, or was meant to be.
fn is_damaged(parsed: &kubeconfig::Parsed) -> bool {
    !parsed.client_certificate.is_empty()
        || (parsed.client_certificate_file.is_empty() && !parsed.client_key.is_empty())
}

/// Where the user of a kubeconfig should look for the API; `None` when its node is unknown.
fn expected_server(cluster: &Cluster, context: &Context<'_>) -> Option<String> {
    let node = cluster.node(context.node)?;
    let local = match context.spec.name {
        CertName::ControllerManager | CertName::Scheduler => true,
        CertName::KubeletClient => node.is_control_plane(),
        _ => false,
    };
    Some(if local { cluster.local_url(node) } else { cluster.control_plane_url(node) })
}

/// The certificate and key inside a kubeconfig, as far as they can be read.
fn client(parsed: &kubeconfig::Parsed) -> Material {
    Material {
        certificates: load::certificates(&parsed.client_certificate).unwrap_or_default(),
        key: material::key(&parsed.client_key).ok(),
        certificate_file: (!parsed.client_certificate.is_empty())
            .then(|| parsed.client_certificate.clone().into()),
        key_file: Some(parsed.client_key.clone()).filter(|key| !key.is_empty()),
        ..Material::default()
    }
}
