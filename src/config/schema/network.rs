//! The part of the `Cluster` document about the pod network.

use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::field;

pub const CNI_PROVIDERS: &[&str] = &["flannel", "calico", "canal", "cilium", "bridge", "none", "custom"];
pub const FLANNEL_BACKENDS: &[&str] = &["vxlan", "host-gw", "wireguard"];
pub const ENCAPSULATIONS: &[&str] = &["vxlan", "ipip", "none"];
pub const CILIUM_ROUTINGS: &[&str] = &["vxlan", "geneve", "native"];
/// What IPv4 hosts must take (RFC 791), up to what the length of a packet can say.
const MTU: Shape = Shape::Int(576, 65_535);
/// 24 bits, RFC 7348; flannel counts from one.
const VNI: Shape = Shape::Int(1, 16_777_215);

pub(super) static NETWORK: Schema =
    Schema { name: "Network", fields: &[field("cni", Shape::Object(&CNI), "the network plugin")] };

static CNI: Schema = Schema {
    name: "Cni",
    fields: &[
        field("provider", Shape::Enum(CNI_PROVIDERS), "which one"),
        field("version", Shape::Text, "of calico, canal (Calico's) or cilium; ours by default"),
        field("mtu", MTU, "largest packet of a pod; what the provider finds out by default"),
        field("registry", Shape::Text, "stands for the registry of the provider's images"),
        field("flannel", Shape::Object(&FLANNEL), "of provider flannel"),
        field("calico", Shape::Object(&CALICO), "of provider calico"),
        field("canal", Shape::Object(&CANAL), "of provider canal"),
        field("cilium", Shape::Object(&CILIUM), "of provider cilium"),
        field(
            "manifest",
            Shape::Object(&MANIFEST),
            "what the project publishes (calico, canal), or what helm has rendered (cilium)",
        ),
        field("manifests", MANIFESTS, "of provider custom, applied in this order"),
    ],
};

static FLANNEL: Schema = Schema {
    name: "Flannel",
    fields: &[
        field("backend", Shape::Enum(FLANNEL_BACKENDS), "how packets go from node to node"),
        field("vni", VNI, "number of the VXLAN; 1 by default"),
        field("port", PORT, "UDP port of VXLAN (8472) or WireGuard (51820)"),
        field("directRouting", Shape::Bool, "VXLAN only to nodes that are not on the same link"),
        field("interface", Shape::Text, "interface between the nodes; the one with the Node's address"),
        field("healthPort", PORT, "port where it tells how it is; 8081 by default"),
        field("image", Shape::Text, "image of flannel"),
        field("pluginImage", Shape::Text, "image with flannel's CNI plugin"),
    ],
};

static CALICO: Schema = Schema {
    name: "Calico",
    fields: &[
        field("encapsulation", Shape::Enum(ENCAPSULATIONS), "vxlan, ipip, or none: routes over BGP"),
        field("acrossLinks", Shape::Bool, "encapsulate only what goes to another link; so by default"),
        field("natOutgoing", Shape::Bool, "pods have the node's address outside; so by default"),
    ],
};

static CANAL: Schema = Schema {
    name: "Canal",
    fields: &[
        field("interface", Shape::Text, "interface between the nodes; the one with the Node's address"),
        field("flannelImage", Shape::Text, "image of flannel"),
    ],
};

static CILIUM: Schema = Schema {
    name: "Cilium",
    fields: &[
        field("routing", Shape::Enum(CILIUM_ROUTINGS), "vxlan, geneve, or native: nodes share a link"),
        field("kubeProxyReplacement", Shape::Bool, "serve Service addresses, in place of kube-proxy"),
        field("chart", Shape::Text, "chart for helm: an oci:// URL, or a path of this machine"),
        field(
            "values",
            Shape::Map(&Shape::Any),
            "values of the chart, over those that follow from this file",
        ),
    ],
};

pub(super) static MANIFEST: Schema = Schema {
    name: "Manifest",
    fields: &[
        field("file", Shape::Text, "path on this machine"),
        field("url", Shape::Text, "where it is downloaded from"),
        field("sha256", Shape::Text, "what it must hash to; a download always needs it"),
    ],
};

pub(super) const MANIFESTS: Shape = Shape::List(&Shape::Object(&MANIFEST));
