//! `kubeadm.k8s.io/v1beta3`: deprecated, still read.

use crate::config::schema::BOOL_MAP;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXT_MAP;
use crate::config::schema::TEXTS;
use crate::config::schema::core::PULL_POLICIES;
use crate::config::schema::core::TAINT;
use crate::config::schema::field;
use crate::config::schema::v1beta4::API_ENDPOINT;
use crate::config::schema::v1beta4::BOOTSTRAP_TOKEN;
use crate::config::schema::v1beta4::FILE_DISCOVERY;
use crate::config::schema::v1beta4::HOST_PATH_MOUNT;
use crate::config::schema::v1beta4::JOIN_CONTROL_PLANE;
use crate::config::schema::v1beta4::NETWORKING;
use crate::config::schema::v1beta4::PATCHES;
use crate::config::schema::v1beta4::TOKEN_DISCOVERY;

const VOLUMES: Shape = Shape::List(&Shape::Object(&HOST_PATH_MOUNT));

pub static INIT: Schema = Schema {
    name: "InitConfiguration",
    fields: &[
        field("bootstrapTokens", Shape::List(&Shape::Object(&BOOTSTRAP_TOKEN)), "tokens for joining"),
        field("nodeRegistration", Shape::Object(&NODE_REGISTRATION), "how this node registers"),
        field("localAPIEndpoint", Shape::Object(&API_ENDPOINT), "where this node's API server listens"),
        field("certificateKey", Shape::Text, "64 hex digits that encrypt the uploaded certificates"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
    ],
};

pub static CLUSTER: Schema = Schema {
    name: "ClusterConfiguration",
    fields: &[
        field("etcd", Shape::Object(&ETCD), "etcd, local or external"),
        field("networking", Shape::Object(&NETWORKING), "networks of services and pods"),
        field("kubernetesVersion", Shape::Text, "version of the control plane, or a label such as stable-1"),
        field("controlPlaneEndpoint", Shape::Text, "host[:port] that stands for all control planes"),
        field("apiServer", Shape::Object(&API_SERVER), "the API server"),
        field("controllerManager", Shape::Object(&COMPONENT), "the controller manager"),
        field("scheduler", Shape::Object(&COMPONENT), "the scheduler"),
        field("dns", Shape::Object(&DNS), "the DNS add-on"),
        field("certificatesDir", Shape::Text, "directory of keys and certificates"),
        field("imageRepository", Shape::Text, "where control plane images come from"),
        field("featureGates", BOOL_MAP, "kubeadm's own feature gates"),
        field("clusterName", Shape::Text, "name of the cluster in kubeconfigs"),
    ],
};

pub static JOIN: Schema = Schema {
    name: "JoinConfiguration",
    fields: &[
        field("nodeRegistration", Shape::Object(&NODE_REGISTRATION), "how this node registers"),
        field("caCertPath", Shape::Text, "where the cluster's CA certificate goes"),
        field("discovery", Shape::Object(&DISCOVERY), "how to find the cluster and trust it"),
        field("controlPlane", Shape::Object(&JOIN_CONTROL_PLANE), "present when a control plane joins"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
    ],
};

static NODE_REGISTRATION: Schema = Schema {
    name: "NodeRegistrationOptions",
    fields: &[
        field("name", Shape::Text, "name of the node; the host's name by default"),
        field("criSocket", Shape::Text, "socket of the container runtime"),
        field("taints", Shape::List(&Shape::Object(&TAINT)), "taints to register with; [] means none"),
        field("kubeletExtraArgs", TEXT_MAP, "flags for the kubelet"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("imagePullPolicy", Shape::Enum(PULL_POLICIES), "when images are pulled"),
    ],
};

static COMPONENT: Schema = Schema {
    name: "ControlPlaneComponent",
    fields: &[
        field("extraArgs", TEXT_MAP, "flags for the component"),
        field("extraVolumes", VOLUMES, "directories of the host that it sees"),
    ],
};

static API_SERVER: Schema = Schema {
    name: "APIServer",
    fields: &[
        field("extraArgs", TEXT_MAP, "flags for the component"),
        field("extraVolumes", VOLUMES, "directories of the host that it sees"),
        field("certSANs", TEXTS, "more names in the API server's certificate"),
        field("timeoutForControlPlane", Shape::Duration, "for the API server to be healthy"),
    ],
};

static DNS: Schema = Schema {
    name: "DNS",
    fields: &[
        field("imageRepository", Shape::Text, "where the image comes from"),
        field("imageTag", Shape::Text, "tag of the image"),
    ],
};

static ETCD: Schema = Schema {
    name: "Etcd",
    fields: &[
        field("local", Shape::Object(&LOCAL_ETCD), "etcd as a static pod on each control plane"),
        field("external", Shape::Object(&EXTERNAL_ETCD), "an etcd that someone else runs"),
    ],
};

static LOCAL_ETCD: Schema = Schema {
    name: "LocalEtcd",
    fields: &[
        field("imageRepository", Shape::Text, "where the image comes from"),
        field("imageTag", Shape::Text, "tag of the image"),
        field("dataDir", Shape::Text, "directory of the data"),
        field("extraArgs", TEXT_MAP, "flags for etcd"),
        field("serverCertSANs", TEXTS, "more names in the server certificate"),
        field("peerCertSANs", TEXTS, "more names in the peer certificate"),
    ],
};

static EXTERNAL_ETCD: Schema = Schema {
    name: "ExternalEtcd",
    fields: &[
        field("endpoints", TEXTS, "URLs of the members"),
        field("caFile", Shape::Text, "CA of the members"),
        field("certFile", Shape::Text, "client certificate"),
        field("keyFile", Shape::Text, "its key"),
    ],
};

static DISCOVERY: Schema = Schema {
    name: "Discovery",
    fields: &[
        field("bootstrapToken", Shape::Object(&TOKEN_DISCOVERY), "find the cluster by token"),
        field("file", Shape::Object(&FILE_DISCOVERY), "find the cluster by a kubeconfig"),
        field("tlsBootstrapToken", Shape::Text, "token for the kubelet's certificate request"),
        field("timeout", Shape::Duration, "for finding the cluster"),
    ],
};
