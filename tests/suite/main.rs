//! One test binary; every file of this folder is one of its modules.

mod config;
