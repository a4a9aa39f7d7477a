//! The operator's file, field for field, and the way from it to a [`crate::cluster::Cluster`].

pub mod issue;
pub mod path;
pub mod schema;
pub mod yaml;

pub use issue::Issue;
pub use issue::Issues;
pub use issue::Position;
pub use issue::Severity;
