//! What a joining host reads from the cluster.
