//! Authorities: found on every control plane, and the same on all of them.

use super::Context;
use super::Decider;
use super::Decision;
use super::ca_base;
use super::restore;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::chain;
use crate::pki::material::Material;
use crate::pki::material::Observed;
use crate::pki::material::View;
use crate::pki::spec;
use crate::pki::spec::CertSpec;

impl Decider<'_> {
    pub(super) fn look_at_authorities(&mut self) {
        for ca in Ca::ALL {
            let name = CertName::Ca(ca);
            let spec = spec::authority_spec(self.request.cluster, ca);
            let listed = self.request.specs.iter().any(|spec| spec.name == name);
            let signs = self.request.specs.iter().any(|spec| spec.signer == Some(ca));
            let broken = self.authority(ca, &spec, listed || signs);
            match self.authorities.get(&ca).cloned() {
                Some(material) if listed || signs => {
                    let decision = match &material.key {
                        Some(_) => Decision::Existing(material),
                        None => Decision::External(material),
                    };
                    self.keep(&spec, decision);
                }
                None if listed && !broken => self.keep(&spec, Decision::Mint),
                None if signs && !broken => {
                    let base = ca_base(ca);
                    let message = format!("couldn't load CA certificate {base}: it does not exist");
                    self.problem(
                        &Context { spec: &spec, node: "" },
                        message,
                        format!("make it first: `init phase certs {name}`"),
                    );
                }
                _ => {}
            }
        }
        self.authorities_differ();
    }

    /// Reads one authority from every control plane; true when something about it is wrong.
    fn authority(&mut self, ca: Ca, spec: &CertSpec, wanted: bool) -> bool {
        let base = ca_base(ca);
        let before = self.decisions.problems.len();
        let mut kept: Option<(&str, Material)> = None;
        for (node, inventory) in self.control_planes() {
            let context = Context { spec, node: &node.name };
            let observed = Observed::files(Some(inventory), &spec.paths);
            if observed.is_absent() {
                continue;
            }
            let material = observed.material();
            let Some(certificate) = material.certificate() else {
                if wanted {
                    let message =
                        format!("failure loading {base} certificate: {}", observed.certificate.trouble());
                    self.problem(&context, message, restore(spec, "its certificate"));
                }
                continue;
            };
            if wanted {
                self.check_authority(&context, base, &observed, &material);
            }
            match &mut kept {
                None => kept = Some((&node.name, material)),
                Some((first, other)) if other.certificate() != Some(certificate) => {
                    let message =
                        format!("the certificate authority {base} is another one than on `{first}`");
                    let hint =
                        "all control planes share one; keep the one that signed the cluster's certificates";
                    self.problem(&context, message, hint);
                }
                Some((_, other)) if other.key.is_none() => *other = material,
                Some(_) => {}
            }
        }
        let broken = self.decisions.problems.len() > before;
        self.authorities.extend(kept.map(|(_, material)| (ca, material)));
        broken
    }

    fn check_authority(
        &mut self,
        context: &Context<'_>,
        base: &str,
        observed: &Observed,
        material: &Material,
    ) {
        let Some(certificate) = material.certificate() else { return };
        if !certificate.is_ca() {
            let message = format!("certificate {base} is not a CA");
            self.problem(
                context,
                message,
                "its basic constraints must say CA:TRUE; put the authority's certificate there",
            );
        }
        if let Err(error) = chain::check_time(certificate, self.request.now) {
            let hint =
                "check the clock; an expired authority must be replaced by hand, with all that it signed";
            self.problem(context, format!("the certificate authority {base} cannot be used: {error}"), hint);
        }
        match &observed.key {
            View::Bad(why) => {
                self.problem(
                    context,
                    format!("failure loading {base} key: {why}"),
                    restore(context.spec, "its key"),
                );
            }
            View::Good { value, .. } if value.public_key_info() != certificate.public_key_info() => {
                let message = format!("the key of {base} does not belong to its certificate");
                self.problem(context, message, restore(context.spec, "the pair"));
            }
            View::Good { .. } => self.check_key_mode(context),
            View::Absent => {}
        }
    }

    /// In five chains, each chain has its own authority.
    fn authorities_differ(&mut self) {
        if !self.request.cluster.five_chains() {
            return;
        }
        for (index, ca) in Ca::ALL.into_iter().enumerate() {
            for other in &Ca::ALL[..index] {
                let (Some(one), Some(two)) = (self.authorities.get(&ca), self.authorities.get(other)) else {
                    continue;
                };
                let info =
                    |material: &Material| material.certificate().map(|it| it.public_key_info().to_vec());
                if info(one) != info(two) {
                    continue;
                }
                let spec = spec::authority_spec(self.request.cluster, ca);
                let message = format!("{} and {} are the same authority", ca_base(ca), ca_base(*other));
                let hint = "five chains need five keys; give each its own, or choose `layout: kubeadm`";
                self.problem(&Context { spec: &spec, node: "" }, message, hint);
            }
        }
    }
}
