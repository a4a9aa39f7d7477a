//! `kubewright.dev/v1alpha1 Lab`: virtual machines for trying a cluster.

use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXT_MAP;
use crate::config::schema::field;

/// At most so many machines of a role: more have no addresses of their own.
pub const MOST: i64 = 9;
pub const ARTIFACTS: &[&str] = &["download", "packages", "none"];
pub const PROVISIONERS: &[&str] = &["apply", "playbooks", "none"];

pub static LAB: Schema = Schema {
    name: "Lab",
    fields: &[
        field("metadata", Shape::Object(&METADATA), "what it is called"),
        field("spec", Shape::Object(&SPEC), "what is wanted"),
    ],
};

static METADATA: Schema =
    Schema { name: "Metadata", fields: &[field("name", Shape::Text, "name of the cluster; lab by default")] };

static SPEC: Schema = Schema {
    name: "LabSpec",
    fields: &[
        field("controlPlanes", Shape::Int(1, MOST), "number of control planes; 1 by default"),
        field(
            "workers",
            Shape::Int(0, MOST),
            "number of workers; 0 by default, and then control planes run everything",
        ),
        field("loadBalancers", Shape::Int(0, MOST), "number of machines that only balance; 0 by default"),
        field(
            "etcds",
            Shape::Int(0, MOST),
            "number of machines that only run etcd; 0 by default: control planes run it",
        ),
        field("cpus", Shape::Int(1, 128), "processors of a machine; 2 by default"),
        field("memory", Shape::Int(512, 1 << 20), "memory of a machine in MiB; 2048 by default"),
        field("disk", Shape::Int(5, 1 << 16), "disk of a machine in GiB; 20 by default"),
        field("box", Shape::Text, "Vagrant box of a machine; bento/debian-12 by default"),
        field("boxes", TEXT_MAP, "other boxes, by the name of the machine"),
        field(
            "network",
            Shape::Text,
            "network of the machines, one or two of different families; 192.168.56.0/24 by default",
        ),
        field("kubernetesVersion", Shape::Text, "version of Kubernetes; that of this release by default"),
        field(
            "cni",
            Shape::Text,
            "provider of the pod network, as in the Cluster document; flannel by default",
        ),
        field("podSubnet", Shape::Text, "networks of pods; of each family of the network by default"),
        field("serviceSubnet", Shape::Text, "networks of services; of each family of the network by default"),
        field(
            "artifacts",
            Shape::Enum(ARTIFACTS),
            "where the machines' binaries come from, as in the Cluster document; download by default",
        ),
        field("provision", Shape::Enum(PROVISIONERS), "who makes the cluster; apply by default"),
    ],
};
