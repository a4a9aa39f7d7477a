//! Steps: the closed list of things a plan can ask for.

use crate::host::Command;
use crate::plan::artifact::ArtifactSpec;
use crate::plan::artifact::ImageArchiveSpec;
use crate::plan::artifact::KeySpec;
use crate::plan::artifact::PackageSpec;
use crate::plan::content::Content;
use crate::plan::gone::ClearSpec;
use crate::plan::gone::PodSpec;
use crate::plan::gone::RulesSpec;
use crate::plan::gone::StopSpec;
use crate::plan::leave::DeleteSpec;
use crate::plan::leave::DrainSpec;
use crate::plan::member::MemberSpec;
use crate::plan::object::Object;
use crate::plan::object::ObjectRef;
use crate::plan::replaced::ReplacedSpec;
use crate::plan::wait::Wait;

/// One thing to be made true, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// `certs/apiserver`, in kubeadm's words.
    pub phase: String,
    pub place: Place,
    /// For a step through the API: the host whose Node it is about; `None` when it is about the cluster as a whole.
    pub about: Option<String>,
    /// What will be true: "static pod kube-apiserver".
    pub title: String,
    /// Why it is needed; shown when the plan is explained.
    pub reason: String,
    pub action: Action,
}

/// Where a step acts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the host of this name.
    Host(String),
    /// Through the Kubernetes API.
    Cluster,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    File(FileSpec),
    /// A directory with at least this mode at creation; an existing one keeps its mode.
    Directory {
        path: String,
        mode: u32,
    },
    Link {
        path: String,
        target: String,
    },
    /// Nothing stands at this path.
    Absent {
        path: String,
    },
    /// A unit that runs, and is restarted when one of these files changed in this run.
    Service(ServiceSpec),
    Run(RunSpec),
    /// An API object.
    Object(ObjectSpec),
    /// A condition that must come true in time.
    Wait(Wait),
    /// Static pods that run as their manifests say.
    Replaced(ReplacedSpec),
    /// An image on the host, through its container runtime.
    Image(ImageSpec),
    /// A binary, or several, that were downloaded and verified.
    Artifact(ArtifactSpec),
    /// Packages of the host's package manager.
    Package(PackageSpec),
    /// The key of a package repository.
    Key(KeySpec),
    /// Images from an archive.
    ImageArchive(ImageArchiveSpec),
    /// A directory without what a cluster put there.
    Clear(ClearSpec),
    /// A unit that does not run.
    Stop(StopSpec),
    /// A pod that is gone from the container runtime.
    Pod(PodSpec),
    /// Chains and rules that are gone from the packet filter.
    Rules(RulesSpec),
    /// A member of the cluster's own etcd.
    Member(MemberSpec),
    /// A node that runs only what belongs to it.
    Drain(DrainSpec),
    /// An API object that is not there.
    Delete(DeleteSpec),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileSpec {
    pub path: String,
    pub mode: u32,
    pub owner: Option<(u32, u32)>,
    pub content: Content,
    /// An existing file stays as it is: it was checked before planning, or it belongs to another program by now.
    pub keep_existing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSpec {
    pub unit: String,
    /// Whether it also starts at boot; `None` leaves that alone.
    pub enabled: Option<bool>,
    /// Paths whose change in this run asks for a restart.
    pub restart_on: Vec<String>,
    /// Paths whose change in this run only asks it to read its configuration again.
    pub reload_on: Vec<String>,
    /// Why it is restarted whatever has changed.
    pub anew: Option<String>,
    /// A failure to restart is a warning, as it is to kubeadm.
    pub best_effort: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpec {
    pub command: Command,
    /// When this one succeeds the work is already done.
    pub unless: Option<Command>,
    /// What to write down before it runs for the first time, so that reset can restore it.
    pub remember: Vec<Remember>,
    /// A failure is a warning.
    pub best_effort: bool,
}

/// A piece of a host's state as it was before this program: `sysctl net.ipv4.ip_forward`, and how to ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remember {
    /// Its name in the receipt.
    pub key: String,
    /// Its output is what is remembered.
    pub query: Command,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ObjectSpec {
    pub object: Object,
    pub how: ApplyHow,
    pub identity: Identity,
}

/// How an object gets into the cluster. All of them leave alone what is already as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyHow {
    /// Created, or wholly replaced when it differs, as kubeadm does.
    CreateOrReplace,
    /// Created when missing; an existing one is kept as it is.
    CreateOnly,
    /// Its fields are made so as this program's own, and what an earlier plan set and this one does not goes; fields that
    /// somebody else has set to something else are told, and stay (server-side apply).
    ServerSide,
    /// Only the given labels and taints of an existing Node are made so; others stay.
    MarkNode,
}

/// On whose behalf the API is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    Admin,
    /// Bypasses RBAC; used only to give `Admin` its rights.
    SuperAdmin,
    /// The administrator, asking the API server of the host itself: one that joins has the others' endpoint in its
    /// kubeconfig.
    LocalAdmin,
    /// The kubelet of the host, which may look at its own Node.
    Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    pub reference: String,
    pub cri_socket: String,
    /// Pull even when the image is there.
    pub always: bool,
}

impl Step {
    /// What the step is about, for lists: a path, a command, an object.
    pub fn subject(&self) -> String {
        match &self.action {
            Action::File(FileSpec { path, .. })
            | Action::Directory { path, .. }
            | Action::Link { path, .. }
            | Action::Absent { path } => path.clone(),
            Action::Service(service) => service.unit.clone(),
            Action::Run(run) => run.command.to_string(),
            Action::Object(spec) => ObjectRef::of(&spec.object.value).to_string(),
            Action::Wait(wait) => wait.probe.to_string(),
            Action::Replaced(_) => ReplacedSpec::SUBJECT.to_owned(),
            Action::Image(image) => image.reference.clone(),
            // Whoever restarts when it changes names the marker.
            Action::Artifact(spec) => spec.marker.clone(),
            Action::Package(spec) => spec.subject(),
            Action::Key(spec) => spec.path.clone(),
            Action::ImageArchive(spec) => spec.references.join(" "),
            Action::Clear(clear) => clear.path.clone(),
            Action::Stop(stop) => stop.unit.clone(),
            Action::Pod(pod) => pod.name.clone(),
            Action::Rules(rules) => format!("{} {}", rules.program, rules.table),
            Action::Member(spec) => spec.subject(),
            Action::Drain(spec) => format!("pods of node {}", spec.node),
            Action::Delete(spec) => spec.object.to_string(),
        }
    }
}
