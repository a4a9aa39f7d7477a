//! Binaries that others release: which there are, where they lie, what they must hash to, and where they go on a host.
//!
//! Pure: a plan says which URL with which checksum goes where, and carrying it out chooses nothing.

pub mod catalog;
pub mod checksum;
pub mod choose;
pub mod lock;
pub mod pins;

pub use catalog::Arch;
pub use catalog::Name;
pub use catalog::Unpack;
pub use choose::Chosen;
pub use choose::choose;
