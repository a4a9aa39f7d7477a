//! May we begin? Checks over what is wanted and what is so.

pub mod system;
