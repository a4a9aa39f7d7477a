//! The operator's file, field for field, and the way from it to a [`crate::cluster::Cluster`].
//!
//! [`load()`] reads the kinds that make a cluster; [`load_join()`], [`reset()`] and [`upgrade()`] read one kind each;
//! [`stored::cluster`] reads what a running cluster says of itself; [`validate_file()`] judges a file whatever it holds. All are pure: what they need to know of the world is in
//! an [`Environment`]. Every problem is reported at once, each with its place and how to mend it.

mod check;
mod component;
mod convert;
mod declared;
mod defaults;
mod documents;
pub mod environment;
pub mod issue;
mod join;
mod lab;
mod load;
pub mod manifest;
mod name;
mod normal;
mod overrides;
pub mod patches;
pub mod path;
pub mod print;
pub mod reference;
mod release;
mod report;
pub mod schema;
mod single;
pub mod stored;
mod suggest;
mod token;
mod validate;
mod whole;
pub mod yaml;

pub use environment::Environment;
pub use issue::Issue;
pub use issue::Issues;
pub use issue::Position;
pub use issue::Severity;
pub use join::JoinOverrides;
pub use join::LoadedJoin;
pub use join::load_join;
pub use lab::lab;
pub use load::Loaded;
pub use load::load;
pub use overrides::Overrides;
pub use single::reset;
pub use single::upgrade;
pub use token::TokenFlags;
pub use token::token;
pub use token::token_id;
pub use whole::migrate;
pub use whole::validate_file;
pub use whole::version_label;

/// A file as it was read: the name is only for messages.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// What is done with fields that nobody knows, and with repeated keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They are errors.
    Strict,
    /// In kubeadm's own kinds they are warnings, as kubeadm has it; our own kind is always strict.
    Lenient,
}

/// What a configuration is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To set up this host: its address and its container runtime must be settled.
    Init,
    /// To be judged.
    Validate,
    /// To be planned or rendered for whatever hosts it names.
    Render,
}
