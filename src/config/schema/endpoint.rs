//! `spec.endpoint` of the `Cluster` document.

use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXT_MAP;
use crate::config::schema::TEXTS;
use crate::config::schema::field;

pub const PROVIDERS: &[&str] = &["keepalived-haproxy", "kube-vip", "node-local", "external", "none"];
pub const RUN_AS: &[&str] = &["service", "static-pod"];
pub const KUBE_VIP_MODES: &[&str] = &["arp", "bgp"];
/// Of autonomous systems.
const ASN: Shape = Shape::Int(1, u32::MAX as i64);

pub static ENDPOINT: Schema = Schema {
    name: "Endpoint",
    fields: &[
        field("host", Shape::Text, "address or name"),
        field(
            "port",
            PORT,
            "port; 8443 where HAProxy shares its host with an API server, else the API servers'",
        ),
        field("provider", Shape::Enum(PROVIDERS), "who keeps it alive"),
        field("addresses", TEXTS, "virtual addresses, where host is a name or there is one of each family"),
        field("runAs", Shape::Enum(RUN_AS), "how HAProxy and keepalived run"),
        field("keepalived", Shape::Object(&KEEPALIVED), "how the address moves (keepalived-haproxy)"),
        field(
            "haproxy",
            Shape::Object(&HAPROXY),
            "how connections are shared (keepalived-haproxy, node-local)",
        ),
        field("kubeVip", Shape::Object(&KUBE_VIP), "of provider kube-vip"),
        field("nodeLocal", Shape::Object(&NODE_LOCAL), "of provider node-local"),
    ],
};

static KEEPALIVED: Schema = Schema {
    name: "Keepalived",
    fields: &[
        field(
            "interface",
            Shape::Text,
            "interface of the address; the one that has the host's own by default",
        ),
        field("interfaces", TEXT_MAP, "interface by host, where it is another"),
        field("virtualRouterId", Shape::Int(1, 255), "unique on the link; from the address by default"),
        field("prefixLength", Shape::Int(1, 128), "of the address on the interface; 32 or 128 by default"),
        field(
            "advertInterval",
            Shape::Duration,
            "the holder says that often that it lives; three are missed",
        ),
        field("preempt", Shape::Bool, "the address returns to the first in line; otherwise it stays"),
        field("unicast", Shape::Bool, "speak to each other host instead of a multicast group; so by default"),
        field("image", Shape::Text, "image for runAs: static-pod"),
    ],
};

static HAPROXY: Schema = Schema {
    name: "Haproxy",
    fields: &[
        field("maxConnections", Shape::Int(100, 1_000_000), "connections at the same time"),
        field("timeout", Shape::Duration, "how long a connection may be idle; at least 1h"),
        field("monitorPort", PORT, "loopback port where HAProxy tells how it is"),
        field("statsAddress", Shape::Text, "HOST:PORT of a page of statistics; none by default"),
        field("image", Shape::Text, "image for runAs: static-pod"),
    ],
};

static KUBE_VIP: Schema = Schema {
    name: "KubeVip",
    fields: &[
        field("mode", Shape::Enum(KUBE_VIP_MODES), "announce the address on the link, or routes to it"),
        field(
            "interface",
            Shape::Text,
            "interface of the address; the one that has the host's own by default",
        ),
        field("image", Shape::Text, "image of kube-vip"),
        field("leaseDuration", Shape::Duration, "a holder that is silent for that long has lost the address"),
        field(
            "renewDeadline",
            Shape::Duration,
            "a holder that cannot say that it lives for that long gives up",
        ),
        field("retryPeriod", Shape::Duration, "how often a host tries"),
        field("loadBalancer", Shape::Bool, "share connections between API servers with IPVS"),
        field("bgp", Shape::Object(&BGP), "of mode bgp"),
    ],
};

static BGP: Schema = Schema {
    name: "Bgp",
    fields: &[
        field("asn", ASN, "the hosts' autonomous system; 65000 by default"),
        field("peers", Shape::List(&Shape::Object(&PEER)), "routers to announce to"),
    ],
};

static PEER: Schema = Schema {
    name: "BgpPeer",
    fields: &[
        field("address", Shape::Text, "address of the router"),
        field("asn", ASN, "its autonomous system; the hosts' by default"),
        field("multihop", Shape::Bool, "it is not on the hosts' link"),
    ],
};

static NODE_LOCAL: Schema = Schema {
    name: "NodeLocal",
    fields: &[field("port", PORT, "loopback port of the balancer; the API servers' by default")],
};
