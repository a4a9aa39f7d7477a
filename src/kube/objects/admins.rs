//! The administrators' rights.

use crate::kube::objects::build::Subject;
use crate::kube::objects::build::cluster_role_binding;
use crate::plan::Object;

/// The group of the client certificate in `admin.conf`, and the name of its binding.
pub const GROUP: &str = "kubeadm:cluster-admins";

/// Gives the group all rights. Created once; only `super-admin.conf` may do so on a new cluster.
pub fn cluster_admins() -> Object {
    cluster_role_binding(GROUP, "cluster-admin", Subject::Group(GROUP))
}
