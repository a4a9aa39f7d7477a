//! Leaf certificates, in files of their own or in the kubelet's store.

use super::Context;
use super::Decider;
use super::Decision;
use super::ca_base;
use super::remove;
use super::restore;
use crate::pki::material::Material;
use crate::pki::material::Observed;
use crate::pki::material::View;

impl<'a> Decider<'a> {
    pub(super) fn leaf(&mut self, context: &Context<'a>) {
        let spec = context.spec;
        let base = spec.name.base();
        let observed = Observed::files(self.inventory(context.node), &spec.paths);
        match (&observed.certificate, &observed.key) {
            (View::Absent, View::Absent) => self.mint_leaf(context),
            (View::Good { .. }, View::Good { .. }) => {
                let material = observed.material();
                self.check_key_mode(context);
                if self.check_leaf(context, &material) {
                    self.keep(spec, Decision::Existing(material));
                }
            }
            (View::Good { .. }, key) => {
                let message = format!("{}failure loading {base} key: {}", self.prefix(spec), key.trouble());
                self.problem(context, message, restore(spec, "its key"));
            }
            (View::Bad(_), View::Absent) => {
                let message = format!(
                    "failure loading {base} key: it does not exist, and the certificate does not parse"
                );
                self.problem(context, message, restore(spec, "the pair"));
            }
            (certificate, _) => {
                let message = format!("failure loading {base} certificate: {}", certificate.trouble());
                self.problem(context, message, restore(spec, "its certificate"));
            }
        }
    }

    /// Looks at an existing certificate with its key; true when it can be used.
    fn check_leaf(&mut self, context: &Context<'_>, material: &Material) -> bool {
        let spec = context.spec;
        let (Some(certificate), Some(key)) = (material.certificate(), &material.key) else { return false };
        let base = spec.name.base();
        let prefix = self.prefix(spec);
        let before = self.decisions.problems.len();
        if let Err(reason) = self.check_signer(spec, &material.certificates) {
            let signer = spec.signer.map(ca_base).unwrap_or_default();
            let message =
                format!("{prefix}[certs] certificate {base} not signed by CA certificate {signer}: {reason}");
            self.problem(context, message, remove(spec));
        }
        if key.public_key_info() != certificate.public_key_info() {
            let message = format!("{prefix}the key of {base} does not belong to its certificate");
            self.problem(context, message, remove(spec));
        }
        let missing = spec.sans.missing_in(certificate.sans());
        if !missing.is_empty() {
            let message =
                format!("{prefix}certificate {base} is invalid: it does not cover {}", missing.join(", "));
            self.problem(context, message, remove(spec));
        }
        let lacks = spec.usages.iter().any(|usage| !certificate.usages().contains(usage));
        if lacks {
            let message = format!(
                "{prefix}certificate {base} is invalid: it lacks an extended key usage of {:?}",
                spec.usages
            );
            self.problem(context, message, remove(spec));
        }
        self.decisions.problems.len() == before
    }

    /// The kubelet's serving certificate is the kubelet's to renew: a good one is kept, another one is
    /// replaced.
    pub(super) fn kubelet_serving(&mut self, context: &Context<'a>) {
        match self.usable_store(context) {
            Some(material) => self.keep(context.spec, Decision::Existing(material)),
            None => self.mint_leaf(context),
        }
    }

    /// What the kubelet's store holds, if it can be used; a warning says why it cannot.
    pub(super) fn usable_store(&mut self, context: &Context<'a>) -> Option<Material> {
        let spec = context.spec;
        let observed = Observed::store(self.inventory(context.node), &spec.paths);
        if observed.is_absent() {
            return None;
        }
        let material = observed.store_material();
        let path = spec.paths.store.as_deref().unwrap_or_default();
        let reason = match (material.certificate(), &material.key) {
            (Some(certificate), Some(key)) => {
                let missing = spec.sans.missing_in(certificate.sans());
                if let Err(reason) = self.check_signer(spec, &material.certificates) {
                    reason
                } else if key.public_key_info() != certificate.public_key_info() {
                    "its key does not belong to its certificate".to_owned()
                } else if certificate.common_name() != Some(&spec.subject.common_name) {
                    format!("it belongs to {}", certificate.subject_text())
                } else if missing.is_empty() {
                    return Some(material);
                } else {
                    format!("it does not cover {}", missing.join(", "))
                }
            }
            (None, _) => observed.certificate.trouble(),
            (_, None) => observed.key.trouble(),
        };
        self.warn(context, format!("{path} is replaced: {reason}"), "");
        None
    }
}
