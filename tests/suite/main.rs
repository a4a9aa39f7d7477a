//! One test binary; every file of this folder is one of its modules.

mod pki;
mod bare_host;
mod cri;
mod facts;
mod preflight;
