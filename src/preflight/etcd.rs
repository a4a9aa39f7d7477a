//! The check `ExternalEtcdVersion`: an etcd that someone else runs must be new enough.

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::preflight::Problem;
use crate::preflight::Subject;
use std::collections::BTreeMap;
use std::time::Duration;

/// The oldest external etcd that Kubernetes v1.36 works with.
const OLDEST: &str = "3.5.24-0";
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// What each `…/version` URL answered: the body, or why there is none.
pub type EtcdVersions = BTreeMap<String, Result<String, String>>;

/// Fetches a URL with the external etcd's client certificate.
pub trait Fetch {
    /// The status and the body.
    ///
    /// # Errors
    /// Nobody answers, or TLS fails.
    fn get(&self, url: &str) -> Result<(u16, String), String>;
}

/// The URLs that tell the versions of an external etcd; none for a local one.
pub fn version_urls(cluster: &Cluster) -> Vec<String> {
    let Some(external) = &cluster.configuration.etcd.external else { return Vec::new() };
    let http = &external.http_endpoints;
    let endpoints = if http.is_empty() { &external.endpoints } else { http };
    endpoints.iter().map(|endpoint| version_url(endpoint)).collect()
}

fn version_url(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    format!("{scheme}://{}", format!("{rest}/version").replace("//", "/"))
}

/// Asks every member for its version, three times where nobody answers or the answer is 5xx.
pub fn ask(cluster: &Cluster, fetch: &dyn Fetch, clock: &dyn Clock) -> EtcdVersions {
    version_urls(cluster).into_iter().map(|url| (url.clone(), patient(&url, fetch, clock))).collect()
}

fn patient(url: &str, fetch: &dyn Fetch, clock: &dyn Clock) -> Result<String, String> {
    let mut why = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            clock.sleep(PAUSE);
        }
        match fetch.get(url) {
            Ok((500.., _)) => "the server fails".clone_into(&mut why),
            Ok((200, body)) => return Ok(body),
            Ok((status, _)) => return Err(format!("status {status}")),
            Err(error) => why = error,
        }
    }
    Err(why)
}

pub(super) fn find(subject: &Subject, _: &str) -> Vec<Problem> {
    subject.etcd.iter().filter_map(|(url, answer)| judge(url, answer)).collect()
}

fn judge(url: &str, answer: &Result<String, String>) -> Option<Problem> {
    let cannot = |why: &str| {
        Problem::error(format!("failed to get the version of external etcd at {url}: {why}"))
            .repair("check `etcd.external` in the configuration and that the host reaches etcd")
    };
    let body = match answer {
        Err(why) => return Some(cannot(why)),
        Ok(body) => body,
    };
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = value["etcdserver"].as_str().unwrap_or_default();
    let Ok(version) = semver::Version::parse(text) else {
        return Some(cannot(&format!("no version in its answer (etcdserver \"{text}\")")));
    };
    let oldest = semver::Version::parse(OLDEST).expect("a constant version");
    (version < oldest).then(|| {
        Problem::error(format!("external etcd at {url} is {version}, and at least {OLDEST} is required"))
            .repair("upgrade etcd")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_one_slash_of_two() {
        for (endpoint, url) in [
            ("https://10.0.0.1:2379", "https://10.0.0.1:2379/version"),
            ("https://10.0.0.1:2379/", "https://10.0.0.1:2379/version"),
            ("http://etcd/a//b", "http://etcd/a/b/version"),
        ] {
            assert_eq!(version_url(endpoint), url);
        }
    }

    #[test]
    fn judges_answers() {
        for (answer, expected) in [
            (Ok(r#"{"etcdserver":"3.5.24","etcdcluster":"3.5.0"}"#), ""),
            (Ok(r#"{"etcdserver":"3.6.8"}"#), ""),
            (
                Ok(r#"{"etcdserver":"3.5.23"}"#),
                "external etcd at u is 3.5.23, and at least 3.5.24-0 is required",
            ),
            (
                Ok("<html>"),
                "failed to get the version of external etcd at u: no version in its answer (etcdserver \"\")",
            ),
            (
                Err("connection refused"),
                "failed to get the version of external etcd at u: connection refused",
            ),
        ] {
            let answer = answer.map(str::to_owned).map_err(str::to_owned);
            let message = judge("u", &answer).map(|problem| problem.message).unwrap_or_default();
            assert_eq!(message, expected);
        }
    }
}
