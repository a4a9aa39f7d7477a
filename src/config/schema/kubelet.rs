//! `kubelet.config.k8s.io/v1beta1` as of Kubernetes 1.36.

use crate::config::schema::BOOL_MAP;
use crate::config::schema::COUNT;
use crate::config::schema::INT32;
use crate::config::schema::INT64;
use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::TEXT_MAP;
use crate::config::schema::TEXTS;
use crate::config::schema::core::TAINT;
use crate::config::schema::field;

const PERCENT: Shape = Shape::Int(0, 100);

pub static KUBELET: Schema = Schema {
    name: "KubeletConfiguration",
    fields: &[
        field("enableServer", Shape::Bool, "serve the kubelet's API").pointer(),
        field("staticPodPath", Shape::Text, "directory of static pods"),
        field("podLogsDir", Shape::Text, "directory of the pods' logs"),
        field(
            "syncFrequency",
            Shape::Duration,
            "how often running pods are compared with what they should be",
        ),
        field("fileCheckFrequency", Shape::Duration, "how often the directory of static pods is read"),
        field("httpCheckFrequency", Shape::Duration, "how often the URL of static pods is read"),
        field("staticPodURL", Shape::Text, "URL of static pods"),
        field("staticPodURLHeader", Shape::Map(&TEXTS), "headers for that URL"),
        field("address", Shape::Text, "address that the kubelet listens on"),
        field("port", PORT, "port that the kubelet listens on"),
        field("readOnlyPort", PORT, "port without authentication; 0 is off"),
        field("tlsCertFile", Shape::Text, "serving certificate"),
        field("tlsPrivateKeyFile", Shape::Text, "key of the serving certificate"),
        field("tlsCipherSuites", TEXTS, "allowed cipher suites"),
        field(
            "tlsCurvePreferences",
            Shape::List(&INT32),
            "key exchange mechanisms, as numbers of Go's crypto/tls",
        ),
        field("tlsMinVersion", Shape::Text, "oldest TLS version"),
        field("rotateCertificates", Shape::Bool, "renew the client certificate"),
        field("serverTLSBootstrap", Shape::Bool, "get the serving certificate by request to the API"),
        field("authentication", Shape::Object(&AUTHENTICATION), "who a request comes from").keep(),
        field("authorization", Shape::Object(&AUTHORIZATION), "what a request may do").keep(),
        field("registryPullQPS", INT32, "image pulls per second").pointer(),
        field("registryBurst", INT32, "image pulls in a burst"),
        field(
            "imagePullCredentialsVerificationPolicy",
            Shape::Advice(&[
                "NeverVerify",
                "NeverVerifyPreloadedImages",
                "NeverVerifyAllowlistedImages",
                "AlwaysVerify",
            ]),
            "whether pods must be allowed to pull an image that is there",
        ),
        field("preloadedImagesVerificationAllowlist", TEXTS, "images that need no verification"),
        field("eventRecordQPS", INT32, "events per second").pointer(),
        field("eventBurst", INT32, "events in a burst"),
        field("enableDebuggingHandlers", Shape::Bool, "logs, exec, attach, port-forward").pointer(),
        field("enableContentionProfiling", Shape::Bool, "profile lock contention"),
        field("healthzPort", PORT, "port of the health endpoint; 0 is off").pointer(),
        field("healthzBindAddress", Shape::Text, "address of the health endpoint"),
        field("oomScoreAdj", Shape::Int(-1000, 1000), "oom_score_adj of the kubelet").pointer(),
        field("clusterDomain", Shape::Text, "domain of the cluster's DNS names"),
        field("clusterDNS", TEXTS, "addresses of the cluster's DNS servers"),
        field(
            "streamingConnectionIdleTimeout",
            Shape::Duration,
            "when an idle streaming connection is closed",
        ),
        field("nodeStatusUpdateFrequency", Shape::Duration, "how often the node's status is computed"),
        field("nodeStatusReportFrequency", Shape::Duration, "how often an unchanged status is reported"),
        field("nodeLeaseDurationSeconds", INT32, "length of the node's lease, in seconds"),
        field("imageMinimumGCAge", Shape::Duration, "age before which an unused image is kept"),
        field("imageMaximumGCAge", Shape::Duration, "age after which an unused image goes"),
        field("imageGCHighThresholdPercent", PERCENT, "disk usage at which images are collected").pointer(),
        field("imageGCLowThresholdPercent", PERCENT, "disk usage down to which images are collected")
            .pointer(),
        field("volumeStatsAggPeriod", Shape::Duration, "how often disk usage of volumes is computed"),
        field("kubeletCgroups", Shape::Text, "cgroup of the kubelet"),
        field("systemCgroups", Shape::Text, "cgroup of processes that have none"),
        field("cgroupRoot", Shape::Text, "root cgroup of pods"),
        field("cgroupsPerQOS", Shape::Bool, "cgroups by quality of service").pointer(),
        field("cgroupDriver", Shape::Advice(&["cgroupfs", "systemd"]), "who manages cgroups"),
        field("cpuManagerPolicy", Shape::Advice(&["none", "static"]), "how processors are assigned"),
        field("singleProcessOOMKill", Shape::Bool, "kill one process instead of the container").pointer(),
        field("cpuManagerPolicyOptions", TEXT_MAP, "options of the CPU manager"),
        field("cpuManagerReconcilePeriod", Shape::Duration, "how often the CPU manager reconciles"),
        field("memoryManagerPolicy", Shape::Advice(&["None", "Static"]), "how memory is assigned"),
        field(
            "topologyManagerPolicy",
            Shape::Advice(&["restricted", "best-effort", "none", "single-numa-node"]),
            "how NUMA alignment is decided",
        ),
        field("topologyManagerScope", Shape::Advice(&["container", "pod"]), "what is aligned"),
        field("topologyManagerPolicyOptions", TEXT_MAP, "options of the topology manager"),
        field("qosReserved", TEXT_MAP, "share of requests reserved for the Guaranteed class"),
        field("runtimeRequestTimeout", Shape::Duration, "timeout of most calls to the container runtime"),
        field(
            "hairpinMode",
            Shape::Advice(&["promiscuous-bridge", "hairpin-veth", "none"]),
            "how a pod reaches itself through its service",
        ),
        field("maxPods", COUNT, "most pods on the node"),
        field("podCIDR", Shape::Text, "network of pods in standalone mode"),
        field("podPidsLimit", INT64, "most processes in a pod").pointer(),
        field("resolvConf", Shape::Text, "resolver configuration that pods inherit").pointer(),
        field("runOnce", Shape::Bool, "no longer has an effect"),
        field("cpuCFSQuota", Shape::Bool, "enforce CPU limits").pointer(),
        field("cpuCFSQuotaPeriod", Shape::Duration, "period of CPU quotas").pointer(),
        field("nodeStatusMaxImages", INT32, "most images in the node's status").pointer(),
        field("maxOpenFiles", INT64, "most open files of the kubelet"),
        field("contentType", Shape::Text, "content type of requests to the API"),
        field("kubeAPIQPS", INT32, "requests to the API per second").pointer(),
        field("kubeAPIBurst", INT32, "requests to the API in a burst"),
        field("serializeImagePulls", Shape::Bool, "pull one image after another").pointer(),
        field("maxParallelImagePulls", INT32, "most image pulls at a time").pointer(),
        field("evictionHard", TEXT_MAP, "thresholds at which pods are evicted at once"),
        field("evictionSoft", TEXT_MAP, "thresholds at which pods are evicted after a while"),
        field("evictionSoftGracePeriod", TEXT_MAP, "how long that while is"),
        field("evictionPressureTransitionPeriod", Shape::Duration, "how long pressure must be gone"),
        field("evictionMaxPodGracePeriod", INT32, "longest grace period in a soft eviction"),
        field("evictionMinimumReclaim", TEXT_MAP, "how much an eviction must free"),
        field("mergeDefaultEvictionSettings", Shape::Bool, "add defaults to the thresholds given").pointer(),
        field("podsPerCore", COUNT, "most pods per core"),
        field("enableControllerAttachDetach", Shape::Bool, "volumes are attached by the controller")
            .pointer(),
        field("protectKernelDefaults", Shape::Bool, "fail instead of changing kernel settings"),
        field("makeIPTablesUtilChains", Shape::Bool, "make the kubelet's iptables chains").pointer(),
        field("iptablesMasqueradeBit", INT32, "no longer has an effect").pointer(),
        field("iptablesDropBit", INT32, "no longer has an effect").pointer(),
        field("featureGates", BOOL_MAP, "the kubelet's feature gates"),
        field("failSwapOn", Shape::Bool, "refuse to start with swap on").pointer(),
        field("memorySwap", Shape::Object(&MEMORY_SWAP), "how pods use swap"),
        field("containerLogMaxSize", Shape::Text, "size at which a log is rotated"),
        field("containerLogMaxFiles", INT32, "logs kept per container").pointer(),
        field("containerLogMaxWorkers", INT32, "most log rotations at a time").pointer(),
        field("containerLogMonitorInterval", Shape::Duration, "how often logs are looked at").pointer(),
        field(
            "configMapAndSecretChangeDetectionStrategy",
            Shape::Advice(&["Get", "Cache", "Watch"]),
            "how changed ConfigMaps and Secrets are noticed",
        ),
        field("systemReserved", TEXT_MAP, "resources for the system"),
        field("kubeReserved", TEXT_MAP, "resources for Kubernetes"),
        field("reservedSystemCPUs", Shape::Text, "processors for the system"),
        field("showHiddenMetricsForVersion", Shape::Text, "show metrics hidden in this version"),
        field("systemReservedCgroup", Shape::Text, "cgroup of the system"),
        field("kubeReservedCgroup", Shape::Text, "cgroup of Kubernetes"),
        field("enforceNodeAllocatable", TEXTS, "which reservations are enforced"),
        field("allowedUnsafeSysctls", TEXTS, "unsafe sysctls that pods may set"),
        field("volumePluginDir", Shape::Text, "directory of volume plugins"),
        field("providerID", Shape::Text, "name of the machine at its provider"),
        field("kernelMemcgNotification", Shape::Bool, "notifications of memory thresholds"),
        field("logging", Shape::Object(&LOGGING), "how logs are written"),
        field("enableSystemLogHandler", Shape::Bool, "serve /logs/").pointer(),
        field("enableSystemLogQuery", Shape::Bool, "serve queries of the system's logs").pointer(),
        field("shutdownGracePeriod", Shape::Duration, "how long a shutdown of the node waits for pods"),
        field("shutdownGracePeriodCriticalPods", Shape::Duration, "part of that for critical pods"),
        field(
            "shutdownGracePeriodByPodPriority",
            Shape::List(&Shape::Object(&SHUTDOWN_BY_PRIORITY)),
            "the same by priority",
        ),
        field("crashLoopBackOff", Shape::Object(&CRASH_LOOP), "pace of restarts"),
        field(
            "reservedMemory",
            Shape::List(&Shape::Object(&MEMORY_RESERVATION)),
            "memory reserved per NUMA node",
        ),
        field("enableProfilingHandler", Shape::Bool, "serve profiles").pointer(),
        field("enableDebugFlagsHandler", Shape::Bool, "serve the log level").pointer(),
        field("seccompDefault", Shape::Bool, "RuntimeDefault for every pod").pointer(),
        field("memoryThrottlingFactor", Shape::Float, "share of the limit at which memory is throttled")
            .pointer(),
        field(
            "memoryReservationPolicy",
            Shape::Advice(&["None", "TieredReservation"]),
            "how memory requests are protected",
        ),
        field("registerWithTaints", Shape::List(&Shape::Object(&TAINT)), "taints to register with"),
        field("registerNode", Shape::Bool, "register with the API").pointer(),
        field("tracing", Shape::Object(&TRACING), "traces of the kubelet").pointer(),
        field("localStorageCapacityIsolation", Shape::Bool, "account for local storage").pointer(),
        field("containerRuntimeEndpoint", Shape::Text, "socket of the container runtime").keep(),
        field("imageServiceEndpoint", Shape::Text, "socket of the image service"),
        field("failCgroupV1", Shape::Bool, "refuse to start on cgroup v1").pointer(),
        field("userNamespaces", Shape::Object(&USER_NAMESPACES), "user namespaces of pods").pointer(),
    ],
};

static AUTHENTICATION: Schema = Schema {
    name: "KubeletAuthentication",
    fields: &[
        field("x509", Shape::Object(&X509), "by client certificate").keep(),
        field("webhook", Shape::Object(&WEBHOOK_AUTHENTICATION), "by token, asking the API").keep(),
        field("anonymous", Shape::Object(&ANONYMOUS), "without any").keep(),
    ],
};

static X509: Schema = Schema {
    name: "KubeletX509Authentication",
    fields: &[field("clientCAFile", Shape::Text, "CA of client certificates")],
};

static WEBHOOK_AUTHENTICATION: Schema = Schema {
    name: "KubeletWebhookAuthentication",
    fields: &[
        field("enabled", Shape::Bool, "on or off").pointer(),
        field("cacheTTL", Shape::Duration, "how long an answer counts"),
    ],
};

static ANONYMOUS: Schema = Schema {
    name: "KubeletAnonymousAuthentication",
    fields: &[field("enabled", Shape::Bool, "on or off").pointer()],
};

static AUTHORIZATION: Schema = Schema {
    name: "KubeletAuthorization",
    fields: &[
        field("mode", Shape::Advice(&["AlwaysAllow", "Webhook"]), "who decides"),
        field("webhook", Shape::Object(&WEBHOOK_AUTHORIZATION), "asking the API").keep(),
    ],
};

static WEBHOOK_AUTHORIZATION: Schema = Schema {
    name: "KubeletWebhookAuthorization",
    fields: &[
        field("cacheAuthorizedTTL", Shape::Duration, "how long a yes counts"),
        field("cacheUnauthorizedTTL", Shape::Duration, "how long a no counts"),
    ],
};

static MEMORY_SWAP: Schema = Schema {
    name: "MemorySwapConfiguration",
    fields: &[field("swapBehavior", Shape::Advice(&["LimitedSwap", "NoSwap"]), "what pods may use")],
};

static SHUTDOWN_BY_PRIORITY: Schema = Schema {
    name: "ShutdownGracePeriodByPodPriority",
    fields: &[
        field("priority", INT32, "lowest priority of these pods").keep(),
        field("shutdownGracePeriodSeconds", INT64, "their grace period, in seconds").keep(),
    ],
};

static CRASH_LOOP: Schema = Schema {
    name: "CrashLoopBackOffConfig",
    fields: &[field("maxContainerRestartPeriod", Shape::Duration, "longest pause between restarts").pointer()],
};

static MEMORY_RESERVATION: Schema = Schema {
    name: "MemoryReservation",
    fields: &[
        field("numaNode", INT32, "the NUMA node").keep(),
        field("limits", Shape::Map(&Shape::Quantity), "how much of what").keep(),
    ],
};

static USER_NAMESPACES: Schema =
    Schema { name: "UserNamespaces", fields: &[field("idsPerPod", INT64, "user ids per pod").pointer()] };

static TRACING: Schema = Schema {
    name: "TracingConfiguration",
    fields: &[
        field("endpoint", Shape::Text, "collector of the traces").pointer(),
        field("samplingRatePerMillion", INT32, "samples per million").pointer(),
    ],
};

pub static LOGGING: Schema = Schema {
    name: "LoggingConfiguration",
    fields: &[
        field("format", Shape::Text, "text or json"),
        field("flushFrequency", Shape::Interval, "how often logs are flushed").keep(),
        field("verbosity", Shape::Int(0, u32::MAX as i64), "log level").keep(),
        field("vmodule", Shape::List(&Shape::Object(&VMODULE)), "log levels by file"),
        field("options", Shape::Object(&LOG_OPTIONS), "options of the formats"),
    ],
};

static VMODULE: Schema = Schema {
    name: "VModuleItem",
    fields: &[
        field("filePattern", Shape::Text, "which files").keep(),
        field("verbosity", Shape::Int(0, u32::MAX as i64), "their log level").keep(),
    ],
};

static LOG_OPTIONS: Schema = Schema {
    name: "FormatOptions",
    fields: &[
        field("text", Shape::Object(&LOG_OUTPUT), "options of text"),
        field("json", Shape::Object(&LOG_OUTPUT), "options of json"),
    ],
};

static LOG_OUTPUT: Schema = Schema {
    name: "OutputRoutingOptions",
    fields: &[
        field("splitStream", Shape::Bool, "information to stdout, errors to stderr"),
        field("infoBufferSize", Shape::Quantity, "buffer for information"),
    ],
};
