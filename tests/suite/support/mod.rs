//! What several tests share.

pub(crate) mod documents;
pub(crate) mod golden;
pub(crate) mod input;
pub(crate) mod scenario;
pub(crate) mod small_host;
pub(crate) mod text;
