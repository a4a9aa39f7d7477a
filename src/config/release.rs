//! `kubernetesVersion`: a version, or a label that stands for one.

use crate::cluster::KubeVersion;
use crate::cluster::version;
use crate::config::environment::Environment;
use crate::config::path::Path;
use crate::config::report::Report;

/// kubeadm's own default label; here the version that this release was built for is used instead, without asking
/// the network.
pub(crate) const DEFAULT_LABEL: &str = "stable-1";

pub(crate) struct Release {
    pub version: KubeVersion,
    /// It came from the CI bucket.
    pub ci: bool,
}

/// The label in `text` that must be looked up, such as `stable-1` or `ci/latest`.
pub(crate) fn label(text: &str) -> Option<&str> {
    let name = text.rsplit('/').next().unwrap_or_default();
    (is_bucket(text) && is_label(name)).then_some(text)
}

/// The version that is meant. `given` is empty when the operator named none.
pub(crate) fn resolve(report: &mut Report, env: &Environment, given: &str, path: &Path) -> Release {
    let text = look_up(env, given);
    let Some(text) = text else {
        let message =
            format!("the version label \"{given}\" could not be resolved; {} is used", version::DEFAULT);
        let hint = "name a version, so that the same file always gives the same cluster";
        report.warning(path, message).hint(hint);
        return Release { version: default_version(), ci: false };
    };
    let Some(version) = parse(text).filter(|_| given.is_empty() || is_bucket(given)) else {
        malformed(report, given, path);
        return Release { version: default_version(), ci: false };
    };
    judge(report, &version, path);
    Release { version, ci: given.starts_with("ci/") }
}

fn default_version() -> KubeVersion {
    version::DEFAULT.parse().expect("the default version is a version")
}

/// The text of a version; `None` for a label that nobody resolved.
fn look_up<'a>(env: &'a Environment, given: &'a str) -> Option<&'a str> {
    let name = given.rsplit('/').next().unwrap_or_default();
    let labelled = |label: &str| env.version_labels.get(label).map(String::as_str);
    if given.is_empty() {
        Some(labelled(DEFAULT_LABEL).unwrap_or(version::DEFAULT))
    } else if is_bucket(given) && is_label(name) {
        labelled(given)
    } else {
        Some(name)
    }
}

fn malformed(report: &mut Report, given: &str, path: &Path) {
    report.error(path, format!("version \"{given}\" is neither a version nor a label")).hint(format!(
        "a version such as {}, or a label: stable, stable-1, stable-1.36, latest",
        version::DEFAULT
    ));
}

fn judge(report: &mut Report, version: &KubeVersion, path: &Path) {
    let oldest = semver::Version::new(1, version::OLDEST_MINOR, 0);
    if version.0 < oldest {
        let message =
            format!("this release only sets up control planes of v{oldest} and newer, not {version}");
        report.error(path, message).hint(format!("for example {}", version::DEFAULT));
    } else if version.0.major > 1 || version.minor() > version::NEWEST_MINOR {
        let message = format!("{version} is newer than this release knows (v1.{})", version::NEWEST_MINOR);
        report.warning(path, message).hint("a newer kubewright knows what has changed");
    }
}

/// `v` is optional; no leading zeros; a suffix may follow.
fn parse(text: &str) -> Option<KubeVersion> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+".contains(&b));
    fits.then(|| text.parse().ok()).flatten()
}

/// `[release/|ci/]name`
fn is_bucket(text: &str) -> bool {
    let name = text.strip_prefix("release/").or_else(|| text.strip_prefix("ci/")).unwrap_or(text);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+".contains(&b))
}

/// `stable` or `latest`, and optionally `-1` or `-1.36`.
fn is_label(text: &str) -> bool {
    let (word, number) = text.split_once('-').map_or((text, None), |(word, number)| (word, Some(number)));
    let number_fits = number.is_none_or(|number| {
        let (major, minor) =
            number.split_once('.').map_or((number, None), |(major, minor)| (major, Some(minor)));
        let leading = |part: &str| part.starts_with(|c: char| ('1'..='9').contains(&c));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        major.len() == 1
            && leading(major)
            && minor.is_none_or(|minor| minor.len() <= 2 && leading(minor) && digits(minor))
    });
    matches!(word, "stable" | "latest") && number_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_versions_and_labels() {
        let mut env = Environment::for_tests();
        for (label, version) in [("stable-1", "v1.36.3"), ("ci/latest", "v1.37.0-alpha.1+abc")] {
            env.version_labels.insert(label.to_owned(), version.to_owned());
        }
        let blank = Environment::for_tests();
        for (env, given, expected, ci, problems) in [
            (&env, "", "v1.36.3", false, 0),
            (&blank, "", version::DEFAULT, false, 0),
            (&env, "stable-1", "v1.36.3", false, 0),
            (&blank, "stable-1.36", version::DEFAULT, false, 1),
            (&env, "1.35.4", "v1.35.4", false, 0),
            (&env, "ci/latest", "v1.37.0-alpha.1+abc", true, 1),
            (&env, "ci/v1.36.0-beta.1", "v1.36.0-beta.1", true, 0),
            (&env, "v1.34.9", "v1.34.9", false, 1),
            (&env, "v1.35.0-rc.1", "v1.35.0-rc.1", false, 1),
            (&env, "newest", version::DEFAULT, false, 1),
            (&env, "1.36", version::DEFAULT, false, 1),
            (&env, "v1.36.02", version::DEFAULT, false, 1),
            (&env, "stable-10", version::DEFAULT, false, 1),
            (&env, "a/b", version::DEFAULT, false, 1),
        ] {
            let mut report = Report::new("f");
            let release = resolve(&mut report, env, given, &Path::root("ClusterConfiguration"));
            assert_eq!((release.version.to_string().as_str(), release.ci), (expected, ci), "{given}");
            assert_eq!(report.issues.len(), problems, "{given}: {:?}", report.issues);
        }
    }

    #[test]
    fn knows_labels() {
        for (text, expected) in
            [("stable-1", true), ("ci/latest-1.36", true), ("v1.36.2", false), ("stable/1", false)]
        {
            assert_eq!(label(text).is_some(), expected, "{text}");
        }
    }
}
