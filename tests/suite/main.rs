//! One test binary; every file of this folder is one of its modules.

mod api;
mod execution;
mod host;
