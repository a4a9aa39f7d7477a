//! What is kept, what is made and what is wrong: kubeadm's rules for existing material, and stricter ones of ours.
//!
//! kubeadm looks at names, key and lifetime of an existing certificate only here and there; a cluster with a
//! certificate that does not fit fails later and without a word. Here everything is looked at before anything is
//! written, and all problems are reported at once.

use super::Ca;
use super::CertName;
use super::certificate::Certificate;
use super::chain;
use super::chain::ChainError;
use super::finding::Finding;
use super::inventory::FileState;
use super::inventory::Inventory;
use super::kubeconfig;
use super::load;
use super::material;
use super::material::Material;
use super::material::Observed;
use super::material::View;
use super::spec;
use super::spec::CertSpec;
use crate::cluster::Cluster;
use crate::cluster::Node;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// What decisions are made from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub cluster: &'a Cluster,
    /// The certificates that must be there in the end. An authority that signs one of them and is not listed itself
    /// must exist.
    pub specs: &'a [CertSpec],
    /// What was found, by the node's name.
    pub inventories: &'a BTreeMap<String, Inventory>,
    pub now: OffsetDateTime,
}

/// What happens to one certificate.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It is there and fits.
    Existing(Material),
    /// An authority whose key is kept elsewhere.
    External(Material),
    Mint,
}

/// Whose certificate; the node is empty for what a cluster shares.
pub type Id = (String, CertName);

/// All decisions, and what stands in their way.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    pub by_id: BTreeMap<Id, Decision>,
    pub problems: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

impl Decisions {
    /// The decision on a certificate of a node; shared ones have no node.
    pub fn get(&self, node: &str, name: CertName) -> Option<&Decision> {
        let node = if spec::is_shared(name) { "" } else { node };
        self.by_id.get(&(node.to_owned(), name))
    }

    /// Whether an authority is used without its key.
    pub fn is_external(&self, ca: Ca) -> bool {
        matches!(self.get("", CertName::Ca(ca)), Some(Decision::External(_)))
    }
}

impl Decision {
    pub fn material(&self) -> Option<&Material> {
        match self {
            Self::Existing(material) | Self::External(material) => Some(material),
            Self::Mint => None,
        }
    }

    /// kubeadm's line about it.
    pub fn message(&self, spec: &CertSpec) -> String {
        let base = spec.name.base();
        match (spec.name, self) {
            (CertName::Ca(_), Self::Existing(_)) => {
                format!("[certs] Using existing {base} certificate authority")
            }
            (CertName::Ca(_), Self::External(_)) => {
                format!("[certs] Using existing {base} keyless certificate authority")
            }
            (CertName::ServiceAccount, Self::Mint) => {
                "[certs] Generating \"sa\" key and public key".to_owned()
            }
            (CertName::ServiceAccount, _) => "[certs] Using the existing \"sa\" key".to_owned(),
            (name, Self::Mint) if name.is_kubeconfig() => {
                format!("[kubeconfig] Writing \"{base}\" kubeconfig file")
            }
            (name, _) if name.is_kubeconfig() => {
                let path = spec.paths.kubeconfig.as_deref().unwrap_or(base);
                format!("[kubeconfig] Using existing kubeconfig file: \"{path}\"")
            }
            (_, Self::Mint) => format!("[certs] Generating \"{base}\" certificate and key"),
            (_, _) => format!("[certs] Using existing {base} certificate and key on disk"),
        }
    }
}

/// Decides on every certificate asked for. Nothing is read, written or drawn here.
pub fn decide(request: &Request<'_>) -> Decisions {
    let mut decider = Decider { request, authorities: BTreeMap::new(), decisions: Decisions::default() };
    decider.look_at_authorities();
    for spec in request.specs {
        decider.decide(spec);
    }
    decider.decisions
}

struct Decider<'a> {
    request: &'a Request<'a>,
    /// The authorities that exist, whether or not somebody asked for them.
    authorities: BTreeMap<Ca, Material>,
    decisions: Decisions,
}

/// Where a finding belongs.
struct Context<'a> {
    spec: &'a CertSpec,
    /// The host whose files are looked at.
    node: &'a str,
}

impl<'a> Decider<'a> {
    fn problem(&mut self, context: &Context<'_>, message: String, hint: impl Into<String>) {
        let finding = finding(context, message, hint.into());
        if !self.decisions.problems.contains(&finding) {
            self.decisions.problems.push(finding);
        }
    }

    fn warn(&mut self, context: &Context<'_>, message: String, hint: impl Into<String>) {
        let finding = finding(context, message, hint.into());
        if !self.decisions.warnings.contains(&finding) {
            self.decisions.warnings.push(finding);
        }
    }

    fn keep(&mut self, spec: &CertSpec, decision: Decision) {
        self.decisions.by_id.insert((spec.node.clone(), spec.name), decision);
    }

    fn decide(&mut self, spec: &'a CertSpec) {
        let context = Context { spec, node: &spec.node };
        match spec.name {
            // Looked at already, and before all that they sign.
            CertName::Ca(_) => {}
            CertName::ServiceAccount => self.service_account(spec),
            CertName::KubeletServing => self.kubelet_serving(&context),
            name if name.is_kubeconfig() => self.kubeconfig(&context),
            _ => self.leaf(&context),
        }
    }

    fn inventory(&self, node: &str) -> Option<&'a Inventory> {
        self.request.inventories.get(node)
    }

    /// The control planes that were looked at, in the cluster's order.
    fn control_planes(&self) -> Vec<(&'a Node, &'a Inventory)> {
        let inventories = self.request.inventories;
        let nodes = self.request.cluster.control_planes();
        nodes.filter_map(|node| inventories.get(&node.name).map(|found| (node, found))).collect()
    }

    fn look_at_authorities(&mut self) {
        for ca in Ca::ALL {
            let name = CertName::Ca(ca);
            let spec = spec::spec(self.request.cluster, self.request.cluster.first_control_plane(), name);
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
                let first = self.request.cluster.first_control_plane();
                let spec = spec::spec(self.request.cluster, first, CertName::Ca(ca));
                let message = format!("{} and {} are the same authority", ca_base(ca), ca_base(*other));
                let hint = "five chains need five keys; give each its own, or choose `layout: kubeadm`";
                self.problem(&Context { spec: &spec, node: "" }, message, hint);
            }
        }
    }

    fn leaf(&mut self, context: &Context<'a>) {
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

    /// A certificate is to be made: is there somebody to sign it?
    fn mint_leaf(&mut self, context: &Context<'_>) {
        let spec = context.spec;
        let Some(ca) = spec.signer else { return };
        let keyless = self.authorities.get(&ca).is_some_and(|material| material.key.is_none());
        if !keyless {
            self.keep(spec, Decision::Mint);
            return;
        }
        let base = ca_base(ca);
        let what = match &spec.paths.kubeconfig {
            Some(path) if spec.name.is_kubeconfig() => {
                format!("the {path} file does not exists or it is not valid")
            }
            _ => format!("{} does not exist", spec.name.base()),
        };
        let message = format!("{}{what}, and {base}.key is not there to sign a new one", self.prefix(spec));
        let hint = format!(
            "have it signed elsewhere (`certs generate-csr` makes keys and requests), or put {base}.key beside {base}.crt"
        );
        self.problem(context, message, hint);
    }

    /// kubeadm's prefix for what an external authority lacks; empty when the authority has its key.
    fn prefix(&self, spec: &CertSpec) -> String {
        let Some(ca) = spec.signer else { return String::new() };
        if self.authorities.get(&ca).is_none_or(|material| material.key.is_some()) {
            return String::new();
        }
        let which = match ca {
            Ca::Kubernetes => "CA",
            Ca::FrontProxy => "front-proxy CA",
            Ca::Etcd => "etcd CA",
            Ca::EtcdPeer => "etcd peer CA",
            Ca::Kubelet => "kubelet CA",
        };
        format!("invalid or incomplete external {which}: ")
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

    /// Whether the right authority signed it; if not, which one did.
    fn check_signer(&self, spec: &CertSpec, file: &[Certificate]) -> Result<(), String> {
        let Some(ca) = spec.signer else { return Ok(()) };
        let now = self.request.now;
        match self.authorities.get(&ca).and_then(Material::certificate) {
            Some(root) => match chain::verify(file, root, now) {
                Ok(()) => return Ok(()),
                Err(ChainError::NotSigned) => {}
                Err(error) => return Err(error.to_string()),
            },
            None => return Err(format!("{}.crt does not exist", ca_base(ca))),
        }
        let signed_by = |(_, material): &(&Ca, &Material)| {
            material
                .certificate()
                .is_some_and(|root| chain::verify(file, root, now) != Err(ChainError::NotSigned))
        };
        Err(match self.authorities.iter().find(signed_by) {
            Some((other, _)) => format!("{} signed it", ca_base(*other)),
            None => "none of the authorities here signed it".to_owned(),
        })
    }

    fn service_account(&mut self, spec: &'a CertSpec) {
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
        key: &View<std::sync::Arc<super::key::PrivateKey>>,
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

    /// The kubelet's serving certificate is the kubelet's to renew: a good one is kept, another one is replaced.
    fn kubelet_serving(&mut self, context: &Context<'a>) {
        match self.usable_store(context) {
            Some(material) => self.keep(context.spec, Decision::Existing(material)),
            None => self.mint_leaf(context),
        }
    }

    /// What the kubelet's store holds, if it can be used; a warning says why it cannot.
    fn usable_store(&mut self, context: &Context<'a>) -> Option<Material> {
        let spec = context.spec;
        let observed = Observed::store(self.inventory(context.node), &spec.paths);
        if observed.is_absent() {
            return None;
        }
        let material = observed.material();
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

    fn kubeconfig(&mut self, context: &Context<'a>) {
        let spec = context.spec;
        let path = spec.paths.kubeconfig.as_deref().unwrap_or_default();
        let store = if spec.paths.store.is_some() { self.usable_store(context) } else { None };
        let parsed =
            material::view(self.inventory(context.node), Some(path), |bytes| kubeconfig::parse(bytes));
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
                    if spec.paths.store.as_deref() == Some(&value.client_certificate_file)
                        && material.key.is_none()
                    {
                        self.warn(
                            context,
                            format!("{path} is replaced: it points to a file that cannot be used"),
                            "",
                        );
                        return self.mint_leaf(context);
                    }
                    material.kubeconfig_file = Some(bytes.clone());
                    self.check_client(context, path, &material);
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

    /// The client's own certificate; kubeadm does not look at it, so it is worth a warning only.
    fn check_client(&mut self, context: &Context<'_>, path: &str, material: &Material) {
        let Some(certificate) = material.certificate() else { return };
        let reason = match chain::check_time(certificate, self.request.now) {
            Err(error) => Some(error.to_string()),
            Ok(()) => self.check_signer(context.spec, &material.certificates).err(),
        };
        if let Some(reason) = reason {
            let message = format!("the client certificate in {path} will be refused: {reason}");
            self.warn(context, message, format!("renew it, or remove {path} to have it made anew"));
        }
    }

    fn check_key_mode(&mut self, context: &Context<'_>) {
        self.check_mode(context, context.spec.paths.key.as_deref(), true);
    }

    /// A key that everybody can read is a problem, one that a group can read a warning. Kubeconfig files are often
    /// copied about, so for them both are warnings.
    fn check_mode(&mut self, context: &Context<'_>, path: Option<&str>, strict: bool) {
        let Some(path) = path else { return };
        let Some(FileState::Present { mode, .. }) =
            self.inventory(context.node).and_then(|found| found.get(path))
        else {
            return;
        };
        let hint = format!("`chmod 600 {path}`; if others may have read it, make a new one");
        if mode & 0o007 != 0 {
            let message = format!("{path} holds a private key and is open to everybody (mode {mode:04o})");
            if strict { self.problem(context, message, hint) } else { self.warn(context, message, hint) }
        } else if mode & 0o070 != 0 {
            let message = format!("{path} holds a private key and is open to its group (mode {mode:04o})");
            self.warn(context, message, hint);
        }
    }
}

fn finding(context: &Context<'_>, message: String, hint: String) -> Finding {
    Finding { name: context.spec.name, node: context.node.to_owned(), message, hint }
}

fn ca_base(ca: Ca) -> &'static str {
    CertName::Ca(ca).base()
}

fn paths(spec: &CertSpec) -> String {
    spec.paths.iter().map(String::as_str).collect::<Vec<_>>().join(" and ")
}

fn restore(spec: &CertSpec, what: &str) -> String {
    format!("restore {what} from a backup, or remove {} to have a new one made", paths(spec))
}

fn remove(spec: &CertSpec) -> String {
    format!("remove {} to have it made anew", paths(spec))
}

/// Where the user of a kubeconfig should look for the API; `None` when its node is unknown.
fn expected_server(cluster: &Cluster, context: &Context<'_>) -> Option<String> {
    let node = cluster.node(context.node)?;
    let local = match context.spec.name {
        CertName::ControllerManager | CertName::Scheduler => true,
        CertName::KubeletClient => node.is_control_plane(),
        _ => false,
    };
    let peer = if node.is_control_plane() { node } else { cluster.first_control_plane() };
    Some(if local { cluster.local_url(node) } else { cluster.control_plane_url(peer) })
}

/// The certificate and key inside a kubeconfig, as far as they can be read.
fn client(parsed: &kubeconfig::Parsed) -> Material {
    Material {
        certificates: load::certificates(&parsed.client_certificate).unwrap_or_default(),
        key: material::key(&parsed.client_key).ok(),
        certificate_file: Some(parsed.client_certificate.clone().into())
            .filter(|_| !parsed.client_certificate.is_empty()),
        key_file: Some(parsed.client_key.clone()).filter(|key| !key.is_empty()),
        ..Material::default()
    }
}
