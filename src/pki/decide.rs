//! What is kept, what is made and what is wrong: kubeadm's rules for existing material, and stricter ones of
//! ours.
//!
//! kubeadm looks at names, key and lifetime of an existing certificate only here and there; a cluster with a
//! certificate that does not fit fails later and without a word. Here everything is looked at before anything
//! is written, and all problems are reported at once.

mod authority;
mod kubeconfig;
mod leaf;
mod service_account;

use super::Ca;
use super::CertName;
use super::certificate::Certificate;
use super::chain;
use super::chain::ChainError;
use super::finding::Finding;
use super::inventory::FileState;
use super::inventory::Inventory;
use super::material::Material;
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
    /// The certificates that must be there in the end. An authority that signs one of them and is not listed
    /// itself must exist.
    pub specs: &'a [CertSpec],
    /// What was found, by the node's name. What is not in here counts as absent, so look at all of
    /// [`super::inventory::paths`] on every control plane that exists before trusting a decision to make
    /// something.
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

    fn check_key_mode(&mut self, context: &Context<'_>) {
        self.check_mode(context, context.spec.paths.key.as_deref(), true);
    }

    /// A key that everybody can read is a problem, one that a group can read a warning. Kubeconfig files are
    /// often copied about, so for them both are warnings.
    fn check_mode(&mut self, context: &Context<'_>, path: Option<&str>, strict: bool) {
        let Some(path) = path else { return };
        let Some(FileState::Present { mode, .. }) =
            self.inventory(context.node).and_then(|found| found.get(path))
        else {
            return;
        };
        // Without root, the API server and the controller manager read it through a group of their own.
        let shared = context.spec.name == CertName::ServiceAccount && self.request.cluster.is_rootless();
        let group = if shared { 0o030 } else { 0o070 };
        let hint = format!("`chmod 600 {path}`; if others may have read it, make a new one");
        if mode & 0o007 != 0 {
            let message = format!("{path} holds a private key and is open to everybody (mode {mode:04o})");
            if strict { self.problem(context, message, hint) } else { self.warn(context, message, hint) }
        } else if mode & group != 0 {
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
