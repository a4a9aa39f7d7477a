//! `kubeadm.k8s.io/v1beta4`.

use crate::config::schema::BOOL_MAP;
use crate::config::schema::COUNT;
use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXTS;
use crate::config::schema::core::ENV_VAR;
use crate::config::schema::core::HOST_PATH_TYPES;
use crate::config::schema::core::PULL_POLICIES;
use crate::config::schema::core::TAINT;
use crate::config::schema::field;

pub const KEY_ALGORITHMS: &[&str] = &["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"];
pub const TOKEN_USAGES: &[&str] = &["signing", "authentication"];
pub const UNMOUNT_FLAGS: &[&str] = &["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"];

const ARGS: Shape = Shape::List(&Shape::Object(&ARG));
const VOLUMES: Shape = Shape::List(&Shape::Object(&HOST_PATH_MOUNT));
const ENVS: Shape = Shape::List(&Shape::Object(&ENV_VAR));

pub static INIT: Schema = Schema {
    name: "InitConfiguration",
    fields: &[
        field("bootstrapTokens", Shape::List(&Shape::Object(&BOOTSTRAP_TOKEN)), "tokens for joining"),
        field("dryRun", Shape::Bool, "say what would be done, and do nothing"),
        field("nodeRegistration", Shape::Object(&NODE_REGISTRATION), "how this node registers"),
        field("localAPIEndpoint", Shape::Object(&API_ENDPOINT), "where this node's API server listens"),
        field("certificateKey", Shape::Text, "64 hex digits that encrypt the uploaded certificates"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
        field("timeouts", Shape::Object(&TIMEOUTS), "how long to wait for what"),
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
        field("proxy", Shape::Object(&PROXY), "the proxy add-on"),
        field("certificatesDir", Shape::Text, "directory of keys and certificates"),
        field("imageRepository", Shape::Text, "where control plane images come from"),
        field("featureGates", BOOL_MAP, "kubeadm's own feature gates"),
        field("clusterName", Shape::Text, "name of the cluster in kubeconfigs"),
        field("encryptionAlgorithm", Shape::Enum(KEY_ALGORITHMS), "what keys are made of"),
        field("certificateValidityPeriod", Shape::Duration, "how long certificates are valid"),
        field("caCertificateValidityPeriod", Shape::Duration, "how long CA certificates are valid"),
    ],
};

pub static JOIN: Schema = Schema {
    name: "JoinConfiguration",
    fields: &[
        field("dryRun", Shape::Bool, "say what would be done, and do nothing"),
        field("nodeRegistration", Shape::Object(&NODE_REGISTRATION), "how this node registers"),
        field("caCertPath", Shape::Text, "where the cluster's CA certificate goes"),
        field("discovery", Shape::Object(&DISCOVERY), "how to find the cluster and trust it"),
        field("controlPlane", Shape::Object(&JOIN_CONTROL_PLANE), "present when a control plane joins"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
        field("timeouts", Shape::Object(&TIMEOUTS), "how long to wait for what"),
    ],
};

pub static RESET: Schema = Schema {
    name: "ResetConfiguration",
    fields: &[
        field("cleanupTmpDir", Shape::Bool, "clean kubeadm's temporary directory too"),
        field("certificatesDir", Shape::Text, "directory of keys and certificates to clean"),
        field("criSocket", Shape::Text, "socket of the container runtime"),
        field("dryRun", Shape::Bool, "say what would be done, and do nothing"),
        field("force", Shape::Bool, "do not ask"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field(
            "unmountFlags",
            Shape::List(&Shape::Enum(UNMOUNT_FLAGS)),
            "flags of umount2 for the kubelet's mounts",
        ),
        field("timeouts", Shape::Object(&TIMEOUTS), "how long to wait for what"),
    ],
};

pub static UPGRADE: Schema = Schema {
    name: "UpgradeConfiguration",
    fields: &[
        field("apply", Shape::Object(&UPGRADE_APPLY), "options of upgrade apply"),
        field("diff", Shape::Object(&UPGRADE_DIFF), "options of upgrade diff"),
        field("node", Shape::Object(&UPGRADE_NODE), "options of upgrade node"),
        field("plan", Shape::Object(&UPGRADE_PLAN), "options of upgrade plan"),
        field("timeouts", Shape::Object(&TIMEOUTS), "how long to wait for what"),
    ],
};

pub static ARG: Schema = Schema {
    name: "Arg",
    fields: &[
        field("name", Shape::Text, "name of the flag, without dashes").keep(),
        field("value", Shape::Text, "value of the flag").keep(),
    ],
};

pub static BOOTSTRAP_TOKEN: Schema = Schema {
    name: "BootstrapToken",
    fields: &[
        field("token", Shape::Text, "six and sixteen characters of a-z0-9, joined by a dot").keep(),
        field("description", Shape::Text, "what it is for"),
        field("ttl", Shape::Duration, "how long it lives; 0 means for ever"),
        field("expires", Shape::Time, "when it expires"),
        field("usages", Shape::List(&Shape::Enum(TOKEN_USAGES)), "what it may be used for"),
        field("groups", TEXTS, "groups of whoever authenticates with it"),
    ],
};

static NODE_REGISTRATION: Schema = Schema {
    name: "NodeRegistrationOptions",
    fields: &[
        field("name", Shape::Text, "name of the node; the host's name by default"),
        field("criSocket", Shape::Text, "socket of the container runtime"),
        field("taints", Shape::List(&Shape::Object(&TAINT)), "taints to register with; [] means none"),
        field("kubeletExtraArgs", ARGS, "flags for the kubelet"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("imagePullPolicy", Shape::Enum(PULL_POLICIES), "when images are pulled"),
        field("imagePullSerial", Shape::Bool, "pull one image after another"),
    ],
};

pub static API_ENDPOINT: Schema = Schema {
    name: "APIEndpoint",
    fields: &[
        field("advertiseAddress", Shape::Text, "address that this API server announces"),
        field("bindPort", PORT, "port that it listens on"),
    ],
};

pub static PATCHES: Schema =
    Schema { name: "Patches", fields: &[field("directory", Shape::Text, "directory with patch files")] };

static TIMEOUTS: Schema = Schema {
    name: "Timeouts",
    fields: &[
        field(
            "controlPlaneComponentHealthCheck",
            Shape::Duration,
            "for a control plane component to be healthy",
        ),
        field("kubeletHealthCheck", Shape::Duration, "for the kubelet to be healthy"),
        field("kubernetesAPICall", Shape::Duration, "for a call to the API"),
        field("etcdAPICall", Shape::Duration, "for a call to etcd"),
        field("tlsBootstrap", Shape::Duration, "for the kubelet to get its certificate"),
        field("discovery", Shape::Duration, "for finding the cluster"),
        field("upgradeManifests", Shape::Duration, "for a static pod to be replaced"),
    ],
};

static COMPONENT: Schema = Schema {
    name: "ControlPlaneComponent",
    fields: &[
        field("extraArgs", ARGS, "flags for the component"),
        field("extraVolumes", VOLUMES, "directories of the host that it sees"),
        field("extraEnvs", ENVS, "environment variables"),
    ],
};

static API_SERVER: Schema = Schema {
    name: "APIServer",
    fields: &[
        field("extraArgs", ARGS, "flags for the component"),
        field("extraVolumes", VOLUMES, "directories of the host that it sees"),
        field("extraEnvs", ENVS, "environment variables"),
        field("certSANs", TEXTS, "more names in the API server's certificate"),
    ],
};

pub static HOST_PATH_MOUNT: Schema = Schema {
    name: "HostPathMount",
    fields: &[
        field("name", Shape::Text, "name of the volume").keep(),
        field("hostPath", Shape::Text, "path on the host").keep(),
        field("mountPath", Shape::Text, "path in the container").keep(),
        field("readOnly", Shape::Bool, "no writing"),
        field("pathType", Shape::Advice(HOST_PATH_TYPES), "what the path must be"),
    ],
};

static DNS: Schema = Schema {
    name: "DNS",
    fields: &[
        field("imageRepository", Shape::Text, "where the image comes from"),
        field("imageTag", Shape::Text, "tag of the image"),
        field("disabled", Shape::Bool, "leave the add-on out"),
    ],
};

static PROXY: Schema =
    Schema { name: "Proxy", fields: &[field("disabled", Shape::Bool, "leave the add-on out")] };

pub static NETWORKING: Schema = Schema {
    name: "Networking",
    fields: &[
        field("serviceSubnet", Shape::Text, "network of services: CIDR, or two of different families"),
        field("podSubnet", Shape::Text, "network of pods: CIDR, or two of different families"),
        field("dnsDomain", Shape::Text, "domain of the cluster's DNS names"),
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
        field("extraArgs", ARGS, "flags for etcd"),
        field("extraEnvs", ENVS, "environment variables"),
        field("serverCertSANs", TEXTS, "more names in the server certificate"),
        field("peerCertSANs", TEXTS, "more names in the peer certificate"),
    ],
};

static EXTERNAL_ETCD: Schema = Schema {
    name: "ExternalEtcd",
    fields: &[
        field("endpoints", TEXTS, "URLs of the members"),
        field("httpEndpoints", TEXTS, "URLs for health and metrics; the endpoints by default"),
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
    ],
};

pub static TOKEN_DISCOVERY: Schema = Schema {
    name: "BootstrapTokenDiscovery",
    fields: &[
        field("token", Shape::Text, "the token"),
        field("apiServerEndpoint", Shape::Text, "host:port of an API server"),
        field("caCertHashes", TEXTS, "sha256 pins of the cluster's CA"),
        field("unsafeSkipCAVerification", Shape::Bool, "trust whoever answers"),
    ],
};

pub static FILE_DISCOVERY: Schema = Schema {
    name: "FileDiscovery",
    fields: &[field("kubeConfigPath", Shape::Text, "path or https URL of a kubeconfig")],
};

pub static JOIN_CONTROL_PLANE: Schema = Schema {
    name: "JoinControlPlane",
    fields: &[
        field("localAPIEndpoint", Shape::Object(&API_ENDPOINT), "where this node's API server listens"),
        field("certificateKey", Shape::Text, "64 hex digits that decrypt the uploaded certificates"),
    ],
};

static UPGRADE_APPLY: Schema = Schema {
    name: "UpgradeApplyConfiguration",
    fields: &[
        field("kubernetesVersion", Shape::Text, "version to go to"),
        field("allowExperimentalUpgrades", Shape::Bool, "also to alpha and beta versions"),
        field("allowRCUpgrades", Shape::Bool, "also to release candidates"),
        field("certificateRenewal", Shape::Bool, "renew certificates"),
        field("dryRun", Shape::Bool, "say what would be done, and do nothing"),
        field("etcdUpgrade", Shape::Bool, "upgrade etcd"),
        field("forceUpgrade", Shape::Bool, "even when not all requirements are met"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
        field("printConfig", Shape::Bool, "print the configuration that is used"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("imagePullPolicy", Shape::Enum(PULL_POLICIES), "when images are pulled"),
        field("imagePullSerial", Shape::Bool, "pull one image after another"),
    ],
};

static UPGRADE_DIFF: Schema = Schema {
    name: "UpgradeDiffConfiguration",
    fields: &[
        field("kubernetesVersion", Shape::Text, "version to compare with"),
        field("contextLines", COUNT, "lines around each difference"),
    ],
};

static UPGRADE_NODE: Schema = Schema {
    name: "UpgradeNodeConfiguration",
    fields: &[
        field("certificateRenewal", Shape::Bool, "renew certificates"),
        field("dryRun", Shape::Bool, "say what would be done, and do nothing"),
        field("etcdUpgrade", Shape::Bool, "upgrade etcd"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("skipPhases", TEXTS, "phases to leave out"),
        field("patches", Shape::Object(&PATCHES), "patches to static pods and the kubelet's configuration"),
        field("imagePullPolicy", Shape::Enum(PULL_POLICIES), "when images are pulled"),
        field("imagePullSerial", Shape::Bool, "pull one image after another"),
    ],
};

static UPGRADE_PLAN: Schema = Schema {
    name: "UpgradePlanConfiguration",
    fields: &[
        field("kubernetesVersion", Shape::Text, "version to go to"),
        field("allowExperimentalUpgrades", Shape::Bool, "also to alpha and beta versions"),
        field("allowRCUpgrades", Shape::Bool, "also to release candidates"),
        field("dryRun", Shape::Bool, "without effect"),
        field("etcdUpgrade", Shape::Bool, "upgrade etcd"),
        field("ignorePreflightErrors", TEXTS, "checks whose errors are only warnings"),
        field("printConfig", Shape::Bool, "print the configuration that is used"),
    ],
};
