//! How the kubelet asks a component whether it is well.

use crate::cluster::GoDuration;
use serde_json::Value;
use serde_json::json;

const TIMEOUT_SECONDS: i64 = 15;
const PERIOD_SECONDS: i64 = 10;

/// Where a component answers.
pub(super) struct Endpoint {
    pub(super) scheme: &'static str,
    pub(super) host: String,
    /// The number behind the named port `probe-port`.
    pub(super) port: u16,
}

impl Endpoint {
    pub(super) fn https(host: impl Into<String>, port: u16) -> Self {
        Self { scheme: "HTTPS", host: host.into(), port }
    }

    pub(super) fn liveness(&self, path: &str) -> Value {
        json!({
            "httpGet": self.get(path),
            "failureThreshold": 8,
            "initialDelaySeconds": 10,
            "periodSeconds": PERIOD_SECONDS,
            "timeoutSeconds": TIMEOUT_SECONDS,
        })
    }

    pub(super) fn readiness(&self, path: &str) -> Value {
        json!({
            "httpGet": self.get(path),
            "failureThreshold": 3,
            "periodSeconds": 1,
            "timeoutSeconds": TIMEOUT_SECONDS,
        })
    }

    /// A probe that gives up after `limit`.
    pub(super) fn startup(&self, path: &str, limit: GoDuration) -> Value {
        let period = GoDuration::from_secs(PERIOD_SECONDS).as_nanos();
        let attempts = limit.as_nanos() / period + i64::from(limit.as_nanos() % period > 0);
        json!({
            "httpGet": self.get(path),
            "failureThreshold": attempts,
            "initialDelaySeconds": 10,
            "periodSeconds": PERIOD_SECONDS,
            "timeoutSeconds": TIMEOUT_SECONDS,
        })
    }

    /// A component that listens everywhere is asked at the pod's own address, which needs no mention.
    fn get(&self, path: &str) -> Value {
        let mut get = json!({"path": path, "port": "probe-port", "scheme": self.scheme});
        if !["0.0.0.0", "::"].contains(&self.host.as_str()) {
            get["host"] = json!(self.host);
        }
        get
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_limit_is_rounded_up_to_whole_periods() {
        let endpoint = Endpoint::https("127.0.0.1", 1);
        for (limit, attempts) in [("4m", 24), ("6m5s", 37), ("1s", 1), ("10s", 1), ("0s", 0)] {
            let probe = endpoint.startup("/livez", limit.parse().unwrap());
            assert_eq!(probe["failureThreshold"], attempts, "{limit}");
        }
    }

    #[test]
    fn an_unspecified_address_is_not_a_host() {
        for (host, expected) in [("0.0.0.0", None), ("::", None), ("::1", Some("::1"))] {
            let probe = Endpoint::https(host, 1).liveness("/livez");
            assert_eq!(probe["httpGet"].get("host").and_then(Value::as_str), expected);
        }
    }
}
