//! The plan: all that will be done, in order, as a value that can be shown, rendered, compared or executed.

pub mod artifact;
pub mod check;
pub mod content;
pub mod display;
pub mod gone;
pub mod leave;
pub mod member;
pub mod object;
pub mod order;
pub mod replaced;
pub mod step;
pub mod undo;
pub mod wait;

pub use artifact::ArtifactSpec;
pub use artifact::ImageArchiveSpec;
pub use artifact::KeySpec;
pub use artifact::Package;
pub use artifact::PackageManager;
pub use artifact::PackageSpec;
pub use artifact::Supply;
pub use artifact::Unpack;
pub use content::ClientCredential;
pub use content::Content;
pub use content::KubeconfigSpec;
pub use gone::Clear;
pub use gone::ClearSpec;
pub use gone::PodSpec;
pub use gone::RulesSpec;
pub use gone::StopSpec;
pub use leave::DeleteSpec;
pub use leave::DrainSpec;
pub use member::JoiningManifest;
pub use member::MemberChange;
pub use member::MemberSpec;
pub use object::Fill;
pub use object::Hole;
pub use object::Object;
pub use object::ObjectRef;
pub use order::At;
pub use order::Gate;
pub use order::Lane;
pub use order::Order;
pub use replaced::ReplacedSpec;
pub use replaced::StaticPod;
pub use step::Action;
pub use step::ApplyHow;
pub use step::FileSpec;
pub use step::Identity;
pub use step::ImageSpec;
pub use step::ObjectSpec;
pub use step::Place;
pub use step::Remember;
pub use step::RunSpec;
pub use step::ServiceSpec;
pub use step::Step;
pub use undo::Undo;
pub use wait::Container;
pub use wait::Probe;
pub use wait::Wait;

/// Steps in the order in which a reader, or one worker, goes through them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// What may run side by side.
    pub order: Order,
    /// What is taken back when a phase does not come to its end.
    pub undo: Vec<Undo>,
}
