//! `kubewright.dev/v1alpha1 Cluster`: what kubeadm has no word for.

use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXT_MAP;
use crate::config::schema::addons::ADDONS;
use crate::config::schema::core::TAINT_EFFECTS;
use crate::config::schema::endpoint::ENDPOINT;
use crate::config::schema::field;
use crate::config::schema::network::NETWORK;
use crate::config::schema::prepare::ARTIFACTS;
use crate::config::schema::prepare::PREPARE;
use crate::config::schema::prepare::RUNTIME;
use crate::config::schema::ssh::SSH;
use crate::config::schema::v1beta4::ARG;

pub const ROLES: &[&str] = &["control-plane", "worker", "load-balancer", "etcd"];
pub const LAYOUTS: &[&str] = &["five", "kubeadm"];

pub static CLUSTER: Schema = Schema {
    name: "Cluster",
    fields: &[
        field("metadata", Shape::Object(&METADATA), "what it is called"),
        field("spec", Shape::Object(&SPEC), "what is wanted"),
    ],
};

static METADATA: Schema =
    Schema { name: "Metadata", fields: &[field("name", Shape::Text, "name of the cluster")] };

static SPEC: Schema = Schema {
    name: "ClusterSpec",
    fields: &[
        field("ssh", Shape::Object(&SSH), "how to reach hosts that say nothing else"),
        field("hosts", Shape::List(&Shape::Object(&HOST)), "the hosts, in order"),
        field("endpoint", Shape::Object(&ENDPOINT), "the address that stands for all API servers"),
        field("pki", Shape::Object(&PKI), "keys and certificates"),
        field("network", Shape::Object(&NETWORK), "the pod network"),
        field("addons", Shape::Object(&ADDONS), "what else is installed in the cluster"),
        field("prepare", Shape::Object(&PREPARE), "how hosts are prepared"),
        field("containerRuntime", Shape::Object(&RUNTIME), "the container runtime"),
        field("artifacts", Shape::Object(&ARTIFACTS), "where binaries and images come from"),
    ],
};

static HOST: Schema = Schema {
    name: "Host",
    fields: &[
        field("name", Shape::Text, "name of the host and of its Node"),
        field("address", Shape::Text, "address inside the cluster"),
        field("sshAddress", Shape::Text, "address for SSH, when it is another"),
        field("roles", Shape::List(&Shape::Enum(ROLES)), "what it is for"),
        field("labels", TEXT_MAP, "labels of the Node"),
        field("taints", Shape::List(&Shape::Object(&HOST_TAINT)), "taints of the Node; [] means none"),
        field("criSocket", Shape::Text, "socket of the container runtime"),
        field("kubeletExtraArgs", Shape::List(&Shape::Object(&ARG)), "flags for this host's kubelet"),
        field("ssh", Shape::Object(&SSH), "how to reach this host"),
    ],
};

static HOST_TAINT: Schema = Schema {
    name: "Taint",
    fields: &[
        field("key", Shape::Text, "the taint's key"),
        field("value", Shape::Text, "the taint's value"),
        field("effect", Shape::Enum(TAINT_EFFECTS), "what happens to pods that do not tolerate it"),
    ],
};

static PKI: Schema = Schema {
    name: "Pki",
    fields: &[field("layout", Shape::Enum(LAYOUTS), "five trust chains, or kubeadm's three CAs")],
};
