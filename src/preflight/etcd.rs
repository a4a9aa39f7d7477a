//! The check `ExternalEtcdVersion`: an etcd that someone else runs must be new enough.

use crate::preflight::Problem;
use crate::preflight::Subject;

/// The oldest external etcd that Kubernetes v1.36 works with.
const OLDEST: &str = "3.5.24-0";

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
