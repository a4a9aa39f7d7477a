//! The operator's file: read strictly, filled with defaults, checked as a whole, turned into a [`crate::cluster::Cluster`].
