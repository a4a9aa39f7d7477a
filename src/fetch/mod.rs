//! The seam to what this machine gives to hosts: downloads, kept for the next host and the next run, and files of a
//! directory.

pub mod archive;
pub mod download;
pub mod stock;

pub use download::Downloads;
pub use download::FetchError;
