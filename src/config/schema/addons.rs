//! The part of the `Cluster` document about add-ons.

use crate::config::schema::Field;
use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXTS;
use crate::config::schema::field;
use crate::config::schema::network::MANIFEST;
use crate::config::schema::network::MANIFESTS;

pub const INGRESS_PROVIDERS: &[&str] = &["traefik", "haproxy"];
pub const EXPOSURES: &[&str] = &["load-balancer", "node-port", "host"];
pub const METALLB_MODES: &[&str] = &["native", "frr", "frr-k8s"];
pub const GATEWAY_CHANNELS: &[&str] = &["standard", "experimental"];
pub const RECLAIM_POLICIES: &[&str] = &["Delete", "Retain"];
/// More pods of one add-on than that are a mistake.
const REPLICAS: Shape = Shape::Int(1, 100);
/// Numbers of autonomous systems, RFC 6793.
const ASN: Shape = Shape::Int(1, 4_294_967_295);
/// kubelet-csr-approver takes no more than 367 days.
const EXPIRATION: Shape = Shape::Int(1, 31_708_800);
const ENABLED: Field =
    field("enabled", Shape::Bool, "false leaves it out, and removes it where it was installed");
const VALUES: Shape = Shape::Map(&Shape::Any);

const fn part(name: &'static str, schema: &'static Schema, doc: &'static str) -> Field {
    field(name, Shape::Object(schema), doc)
}

pub(super) static ADDONS: Schema = Schema {
    name: "Addons",
    fields: &[
        field("registry", Shape::Text, "stands for the registries of all add-ons' images"),
        part("coredns", &COREDNS, "what CoreDNS does beyond kubeadm's configuration"),
        part("nodeLocalDns", &NODE_LOCAL_DNS, "a cache of names on every node"),
        part("kubeletCsrApprover", &KUBELET_CSR_APPROVER, "approves kubelets' serving certificates"),
        part("metricsServer", &METRICS_SERVER, "what nodes and pods take, for kubectl top and autoscaling"),
        part("gatewayApi", &GATEWAY_API, "the kinds of the Gateway API"),
        part("metallb", &METALLB, "addresses for services of the type LoadBalancer"),
        part("localPath", &LOCAL_PATH, "volumes in a directory of the node"),
        part("ingress", &INGRESS, "lets requests from outside in"),
        part("headlamp", &HEADLAMP, "a user interface"),
        part("kubernetesDashboard", &DASHBOARD, "the archived dashboard; headlamp took its place"),
        part("ingressNginx", &INGRESS_NGINX, "retired; refused with the reason"),
        field("charts", Shape::List(&Shape::Object(&CHART)), "charts that helm renders on this machine"),
        field("manifests", Shape::List(&Shape::Object(&ADDON)), "objects of your own, by name"),
    ],
};

static COREDNS: Schema = Schema {
    name: "Coredns",
    fields: &[
        field("replicas", REPLICAS, "how many pods; 2, or what is there"),
        field("forward", TEXTS, "name servers for other names; the host's by default"),
        field("hosts", Shape::List(&Shape::Object(&DNS_HOST)), "names that are answered at once"),
        field("extra", Shape::Text, "further server blocks of the Corefile"),
    ],
};

static DNS_HOST: Schema = Schema {
    name: "DnsHost",
    fields: &[field("address", Shape::Text, "the address"), field("names", TEXTS, "its names")],
};

static NODE_LOCAL_DNS: Schema = Schema {
    name: "NodeLocalDns",
    fields: &[
        ENABLED,
        field("address", Shape::Text, "where it listens on every node; 169.254.20.10 or fd00:169:254:20::10"),
        field("image", Shape::Text, "its image"),
    ],
};

static KUBELET_CSR_APPROVER: Schema = Schema {
    name: "KubeletCsrApprover",
    fields: &[
        ENABLED,
        field("replicas", REPLICAS, "how many pods; 1 by default, of which one works"),
        field("providerRegex", Shape::Text, "names that it approves; those of the hosts by default"),
        field("providerIpPrefixes", TEXTS, "networks of the addresses; those of the hosts by default"),
        field("maxExpirationSeconds", EXPIRATION, "longest validity; 367 days by default"),
        field("bypassDnsResolution", Shape::Bool, "do not compare names with addresses"),
        field("image", Shape::Text, "its image"),
    ],
};

static METRICS_SERVER: Schema = Schema {
    name: "MetricsServer",
    fields: &[
        ENABLED,
        field("replicas", REPLICAS, "how many pods, each on a node of its own; 1 by default"),
        field("resolution", Shape::Duration, "how often kubelets are asked; 15s by default"),
        field("resources", Shape::Object(&RESOURCES), "of its container"),
        field("image", Shape::Text, "its image"),
    ],
};

static RESOURCES: Schema = Schema {
    name: "Resources",
    fields: &[
        field("requests", Shape::Map(&Shape::Quantity), "what is kept for it"),
        field("limits", Shape::Map(&Shape::Quantity), "what it may take"),
    ],
};

static GATEWAY_API: Schema = Schema {
    name: "GatewayApi",
    fields: &[
        ENABLED,
        field("version", Shape::Text, "of its project; ours by default"),
        field("channel", Shape::Enum(GATEWAY_CHANNELS), "standard by default"),
        field("sha256", Shape::Text, "of what its project publishes"),
        field("manifest", Shape::Object(&MANIFEST), "your own copy of it"),
    ],
};

static METALLB: Schema = Schema {
    name: "Metallb",
    fields: &[
        ENABLED,
        field("version", Shape::Text, "of its project; ours by default"),
        field("mode", Shape::Enum(METALLB_MODES), "who speaks BGP; native by default"),
        field("manifest", Shape::Object(&MANIFEST), "your own copy of what its project publishes"),
        field("pools", Shape::List(&Shape::Object(&POOL)), "the addresses"),
        field(
            "layer2",
            Shape::Object(&LAYER2),
            "answer on the hosts' link; by default where there is no bgp",
        ),
        field("bgp", Shape::Object(&BGP), "tell routers"),
        field("fromControlPlanes", Shape::Bool, "control planes announce addresses too"),
    ],
};

static POOL: Schema = Schema {
    name: "Pool",
    fields: &[
        field("name", Shape::Text, "its name"),
        field("addresses", TEXTS, "networks, or first-last"),
        field("autoAssign", Shape::Bool, "false gives its addresses only to who asks for them"),
        field("avoidBuggyIPs", Shape::Bool, "not those that end in 0 or 255"),
    ],
};

static LAYER2: Schema = Schema {
    name: "Layer2",
    fields: &[field("interfaces", TEXTS, "interfaces that answer; all by default")],
};

static BGP: Schema = Schema {
    name: "MetallbBgp",
    fields: &[
        field("asn", ASN, "number of the cluster's autonomous system"),
        field("peers", Shape::List(&Shape::Object(&PEER)), "the routers"),
    ],
};

static PEER: Schema = Schema {
    name: "MetallbPeer",
    fields: &[
        field("address", Shape::Text, "address of the router"),
        field("asn", ASN, "number of its autonomous system"),
        field("port", PORT, "179 by default"),
        field("multihop", Shape::Bool, "it is more than one hop away"),
        field(
            "passwordSecret",
            Shape::Text,
            "Secret of metallb-system, of the type kubernetes.io/basic-auth",
        ),
    ],
};

static LOCAL_PATH: Schema = Schema {
    name: "LocalPath",
    fields: &[
        ENABLED,
        field("path", Shape::Text, "directory on every node; /opt/local-path-provisioner by default"),
        field("defaultClass", Shape::Bool, "claims that name no class get it"),
        field("reclaimPolicy", Shape::Enum(RECLAIM_POLICIES), "what becomes of data; Delete by default"),
        field("image", Shape::Text, "its image"),
        field("helperImage", Shape::Text, "image with a shell, for making and removing directories"),
    ],
};

static INGRESS: Schema = Schema {
    name: "Ingress",
    fields: &[
        ENABLED,
        field("provider", Shape::Enum(INGRESS_PROVIDERS), "which one"),
        field("expose", Shape::Enum(EXPOSURES), "load-balancer with metallb, else host: ports 80 and 443"),
        field("replicas", REPLICAS, "how many pods, unless every node has one; 2 by default"),
        field("defaultClass", Shape::Bool, "ingresses that name no class are its own; so by default"),
        field("image", Shape::Text, "its image"),
    ],
};

static HEADLAMP: Schema = Schema {
    name: "Headlamp",
    fields: &[
        ENABLED,
        field("clusterRole", Shape::Text, "role of its service account, such as view; none by default"),
        field("host", Shape::Text, "name by which it is reached through the ingress"),
        field("tlsSecret", Shape::Text, "Secret with the certificate for host"),
        field("image", Shape::Text, "its image"),
    ],
};

static DASHBOARD: Schema = Schema {
    name: "KubernetesDashboard",
    fields: &[
        ENABLED,
        field("manifest", Shape::Object(&MANIFEST), "objects of a copy that you have"),
        field("chart", Shape::Text, "chart of a copy that you have, as for charts"),
        field("values", VALUES, "of the chart"),
    ],
};

static INGRESS_NGINX: Schema = Schema { name: "IngressNginx", fields: &[ENABLED] };

static CHART: Schema = Schema {
    name: "Chart",
    fields: &[
        field("name", Shape::Text, "of the release; it comes under this name, and goes under it"),
        field("chart", Shape::Text, "an oci:// URL, a path of this machine, or a name within repository"),
        field("repository", Shape::Text, "URL of the repository"),
        field("version", Shape::Text, "of the chart"),
        field("namespace", Shape::Text, "where its objects are; the name by default"),
        field("values", VALUES, "of the chart"),
        field("valuesFile", Shape::Text, "file of this machine with more of them; values is over it"),
    ],
};

static ADDON: Schema = Schema {
    name: "Addon",
    fields: &[
        field("name", Shape::Text, "they come under this name, and go under it"),
        field("sources", MANIFESTS, "files and downloads, applied in this order"),
    ],
};
