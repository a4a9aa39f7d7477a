//! `kubeproxy.config.k8s.io/v1alpha1` as of Kubernetes 1.36.

use crate::config::schema::BOOL_MAP;
use crate::config::schema::INT32;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXTS;
use crate::config::schema::field;
use crate::config::schema::kubelet::LOGGING;

pub static KUBE_PROXY: Schema = Schema {
    name: "KubeProxyConfiguration",
    fields: &[
        field("featureGates", BOOL_MAP, "kube-proxy's feature gates"),
        field("clientConnection", Shape::Object(&CLIENT_CONNECTION), "how it reaches the API").keep(),
        field("logging", Shape::Object(&LOGGING), "how logs are written"),
        field("hostnameOverride", Shape::Text, "name of the node").keep(),
        field("bindAddress", Shape::Text, "address that decides the primary family").keep(),
        field("healthzBindAddress", Shape::Text, "address and port of the health endpoint").keep(),
        field("metricsBindAddress", Shape::Text, "address and port of the metrics").keep(),
        field("bindAddressHardFail", Shape::Bool, "exit when a port cannot be bound").keep(),
        field("enableProfiling", Shape::Bool, "serve profiles").keep(),
        field("showHiddenMetricsForVersion", Shape::Text, "show metrics hidden in this version").keep(),
        field(
            "mode",
            Shape::Advice(&["iptables", "ipvs", "nftables", "kernelspace"]),
            "how services are implemented",
        )
        .keep(),
        field("iptables", Shape::Object(&IPTABLES), "options of iptables").keep(),
        field("ipvs", Shape::Object(&IPVS), "options of ipvs").keep(),
        field("nftables", Shape::Object(&NFTABLES), "options of nftables").keep(),
        field("winkernel", Shape::Object(&WINKERNEL), "options of kernelspace").keep(),
        field(
            "detectLocalMode",
            Shape::Advice(&["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"]),
            "how local traffic is told",
        )
        .keep(),
        field("detectLocal", Shape::Object(&DETECT_LOCAL), "options of that").keep(),
        field("clusterCIDR", Shape::Text, "networks of pods").keep(),
        field("nodePortAddresses", TEXTS, "addresses on which node ports are served").nullable(),
        field("oomScoreAdj", Shape::Int(-1000, 1000), "oom_score_adj of kube-proxy").nullable(),
        field("conntrack", Shape::Object(&CONNTRACK), "connection tracking").keep(),
        field("configSyncPeriod", Shape::Duration, "how often the API's configuration is read again").keep(),
        field("portRange", Shape::Text, "no longer has an effect").keep(),
        field("windowsRunAsService", Shape::Bool, "run as a service of Windows"),
    ],
};

static CLIENT_CONNECTION: Schema = Schema {
    name: "ClientConnectionConfiguration",
    fields: &[
        field("kubeconfig", Shape::Text, "path of the kubeconfig").keep(),
        field("acceptContentTypes", Shape::Text, "accepted content types").keep(),
        field("contentType", Shape::Text, "content type of requests").keep(),
        field("qps", Shape::Float, "requests per second").keep(),
        field("burst", INT32, "requests in a burst").keep(),
    ],
};

static IPTABLES: Schema = Schema {
    name: "KubeProxyIPTablesConfiguration",
    fields: &[
        field("masqueradeBit", INT32, "bit that marks traffic for SNAT").nullable(),
        field("masqueradeAll", Shape::Bool, "SNAT for all traffic to services").keep(),
        field("localhostNodePorts", Shape::Bool, "node ports on loopback").nullable(),
        field("syncPeriod", Shape::Duration, "how often everything is written again").keep(),
        field("minSyncPeriod", Shape::Duration, "shortest pause between two writes").keep(),
    ],
};

static IPVS: Schema = Schema {
    name: "KubeProxyIPVSConfiguration",
    fields: &[
        field("syncPeriod", Shape::Duration, "how often everything is written again").keep(),
        field("minSyncPeriod", Shape::Duration, "shortest pause between two writes").keep(),
        field("scheduler", Shape::Text, "IPVS scheduler").keep(),
        field("excludeCIDRs", TEXTS, "services of others that stay").nullable(),
        field("strictARP", Shape::Bool, "answer ARP only for own addresses").keep(),
        field("tcpTimeout", Shape::Duration, "timeout of idle TCP").keep(),
        field("tcpFinTimeout", Shape::Duration, "timeout after FIN").keep(),
        field("udpTimeout", Shape::Duration, "timeout of UDP").keep(),
    ],
};

static NFTABLES: Schema = Schema {
    name: "KubeProxyNFTablesConfiguration",
    fields: &[
        field("masqueradeBit", INT32, "bit that marks traffic for SNAT").nullable(),
        field("masqueradeAll", Shape::Bool, "SNAT for all traffic to services").keep(),
        field("syncPeriod", Shape::Duration, "how often everything is written again").keep(),
        field("minSyncPeriod", Shape::Duration, "shortest pause between two writes").keep(),
    ],
};

static WINKERNEL: Schema = Schema {
    name: "KubeProxyWinkernelConfiguration",
    fields: &[
        field("networkName", Shape::Text, "network of the endpoints").keep(),
        field("sourceVip", Shape::Text, "source address of NAT").keep(),
        field("enableDSR", Shape::Bool, "direct server return").keep(),
        field("rootHnsEndpointName", Shape::Text, "endpoint of the root network").keep(),
        field("forwardHealthCheckVip", Shape::Bool, "forward health checks of the VIP").keep(),
    ],
};

static DETECT_LOCAL: Schema = Schema {
    name: "DetectLocalConfiguration",
    fields: &[
        field("bridgeInterface", Shape::Text, "name of the bridge").keep(),
        field("interfaceNamePrefix", Shape::Text, "prefix of the interfaces").keep(),
    ],
};

static CONNTRACK: Schema = Schema {
    name: "KubeProxyConntrackConfiguration",
    fields: &[
        field("maxPerCore", INT32, "connections per core").nullable(),
        field("min", INT32, "connections at least").nullable(),
        field("tcpEstablishedTimeout", Shape::Duration, "timeout of idle TCP").nullable(),
        field("tcpCloseWaitTimeout", Shape::Duration, "timeout in CLOSE_WAIT").nullable(),
        field("tcpBeLiberal", Shape::Bool, "accept packets out of window").keep(),
        field("udpTimeout", Shape::Duration, "timeout of UDP").keep(),
        field("udpStreamTimeout", Shape::Duration, "timeout of UDP streams").keep(),
    ],
};
