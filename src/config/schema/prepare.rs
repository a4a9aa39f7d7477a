//! The parts of the `Cluster` document about preparing hosts.

use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXTS;
use crate::config::schema::field;

pub const SELINUX_MODES: &[&str] = &["enforcing", "permissive"];
pub const SWAP_MODES: &[&str] = &["off", "keep"];
pub const FIREWALL_MODES: &[&str] = &["open", "off", "none"];
pub const RUNTIMES: &[&str] = &["containerd", "cri-o", "docker", "none"];
pub const SOURCES: &[&str] = &["packages", "download", "local", "none"];
pub const VIAS: &[&str] = &["host", "operator"];
pub const RUNTIME_REPOSITORIES: &[&str] = &["distribution", "docker"];

pub(super) static PREPARE: Schema = Schema {
    name: "Prepare",
    fields: &[
        field("selinux", Shape::Enum(SELINUX_MODES), "mode that SELinux is put in; left alone by default"),
        field("swap", Shape::Enum(SWAP_MODES), "off, where the kubelet would not start with it; or keep"),
        field("firewall", Shape::Enum(FIREWALL_MODES), "open what the cluster needs, turn it off, or none"),
        field("etcHosts", Shape::Bool, "the hosts' names in /etc/hosts of every host"),
    ],
};

pub(super) static RUNTIME: Schema = Schema {
    name: "ContainerRuntime",
    fields: &[
        field("provider", Shape::Enum(RUNTIMES), "which one"),
        field("version", Shape::Text, "version to install; ours for the Kubernetes version by default"),
        field(
            "repository",
            Shape::Enum(RUNTIME_REPOSITORIES),
            "whose packages: the distribution's, or Docker's",
        ),
        field("config", Shape::Map(&Shape::Any), "merged into containerd's config.toml"),
        field(
            "mirrors",
            Shape::Map(&TEXTS),
            "registries, and the URLs where their images are asked for first",
        ),
    ],
};

pub(super) static ARTIFACTS: Schema = Schema {
    name: "Artifacts",
    fields: &[
        field("source", Shape::Enum(SOURCES), "packages, download, a local directory, or none"),
        field("via", Shape::Enum(VIAS), "who downloads: every host, or the operator's machine for all"),
        field(
            "mirror",
            Shape::Text,
            "URL that stands for `https://` before every download, and before the repositories of Kubernetes, CRI-O and \
             Docker",
        ),
        field(
            "keys",
            Shape::Object(&KEYS),
            "keys of package repositories, where a mirror signs with its own",
        ),
        field(
            "directory",
            Shape::Text,
            "directory of the operator's machine with binaries and image archives",
        ),
        field("lockFile", Shape::Text, "file with the checksums of more releases"),
        field("versions", Shape::Object(&VERSIONS), "versions of single artifacts"),
    ],
};

static KEYS: Schema = Schema {
    name: "RepositoryKeys",
    fields: &[
        field("kubernetes", Shape::Text, "fingerprint of the key that signs the packages of Kubernetes"),
        field("cri-o", Shape::Text, "fingerprint of the key that signs those of CRI-O"),
        field("docker", Shape::Text, "fingerprint of the key that signs Docker's"),
    ],
};

static VERSIONS: Schema = Schema {
    name: "Versions",
    fields: &[
        field("kubelet", Shape::Text, "the kubelet; the cluster's version by default"),
        field("kubectl", Shape::Text, "kubectl; the cluster's version by default"),
        field("crictl", Shape::Text, "crictl"),
        field("cni-plugins", Shape::Text, "the basic CNI plugins"),
        field("runc", Shape::Text, "runc"),
        field("cri-dockerd", Shape::Text, "cri-dockerd"),
    ],
};
