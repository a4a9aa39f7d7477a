//! The service-account key pair.

use super::Context;
use super::Decider;
use super::Decision;
use super::restore;
use crate::pki::Ca;
use crate::pki::key::PrivateKey;
use crate::pki::load;
use crate::pki::material;
use crate::pki::material::Material;
use crate::pki::material::View;
use crate::pki::spec::CertSpec;
use std::sync::Arc;

impl<'a> Decider<'a> {
    pub(super) fn service_account(&mut self, spec: &'a CertSpec) {
        let external = self.authorities.get(&Ca::Kubernetes).is_some_and(|material| material.key.is_none());
        let mut kept: Option<(&str, Material)> = None;
        let mut found = false;
        for (node, inventory) in self.control_planes() {
            let context = Context { spec, node: &node.name };
            let key = material::view(Some(inventory), spec.paths.key.as_deref(), material::key);
            let public = material::view(Some(inventory), spec.paths.public_key.as_deref(), |bytes| {
                load::public_keys(bytes).map_err(|error| format!("it {error}"))
            });
            found |= !key.is_absent() || !public.is_absent();
            if let Some(material) = self.service_account_of(&context, &key, &public) {
                let info = |material: &Material| material.key.as_ref().map(|key| key.public_key_info());
                match &kept {
                    Some((first, other)) if info(other) != info(&material) => {
                        let message = format!("the service-account key is another one than on `{first}`");
                        self.problem(
                            &context,
                            message,
                            "all control planes share one; keep the one that signed the tokens in use",
                        );
                    }
                    Some(_) => {}
                    None => kept = Some((&node.name, material)),
                }
            }
        }
        match kept {
            Some((_, material)) => self.keep(spec, Decision::Existing(material)),
            None if found => {}
            None if external => {
                let message = "invalid or incomplete external CA: sa.key and sa.pub do not exist".to_owned();
                let hint = "an external CA leaves the service-account key to you: `openssl genrsa -out sa.key 2048` and `openssl rsa -in sa.key -pubout -out sa.pub`";
                self.problem(&Context { spec, node: "" }, message, hint);
            }
            None => self.keep(spec, Decision::Mint),
        }
    }

    fn service_account_of(
        &mut self,
        context: &Context<'_>,
        key: &View<Arc<PrivateKey>>,
        public: &View<Vec<Vec<u8>>>,
    ) -> Option<Material> {
        let Some(private) = key.good() else {
            if let View::Bad(why) = key {
                self.problem(context, format!("failure loading sa key: {why}"), restore(context.spec, "it"));
            } else if !public.is_absent() {
                let message =
                    "sa.pub exists without sa.key; a new pair would void every service-account token"
                        .to_owned();
                self.problem(context, message, "restore sa.key, or remove sa.pub to have a new pair made");
            }
            return None;
        };
        self.check_key_mode(context);
        let mismatch = match public {
            View::Good { value, .. } => !value.contains(&private.public_key_info()),
            View::Bad(_) => true,
            View::Absent => false,
        };
        if mismatch {
            let message = "sa.pub is not the public half of sa.key".to_owned();
            self.problem(context, message, "remove sa.pub to have it derived from sa.key anew");
            return None;
        }
        Some(Material {
            key: Some(private.clone()),
            key_file: key.bytes().cloned(),
            public_key_file: public.bytes().cloned(),
            ..Material::default()
        })
    }
}
