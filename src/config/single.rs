//! Documents that a command reads alone: reset, upgrade; and the making of a join's, which flags can make too.

use crate::cluster::kubeadm::JoinConfiguration;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::cluster::kubeadm::UpgradeConfiguration;
use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Strictness;
use crate::config::defaults;
use crate::config::documents;
use crate::config::documents::Object;
use crate::config::documents::Unrelated;
use crate::config::environment::Environment;
use crate::config::issue::Severity;
use crate::config::load::typed;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::validate;

pub(crate) const JOIN: &str = "JoinConfiguration";
pub(crate) const RESET: &str = "ResetConfiguration";
pub(crate) const UPGRADE: &str = "UpgradeConfiguration";

/// The `ResetConfiguration` of a file, defaulted and checked, and what was noticed.
pub fn reset(
    file: File<'_>,
    env: &Environment,
    strictness: Strictness,
) -> Result<(ResetConfiguration, Vec<Issue>), Issues> {
    single(file, strictness, RESET, |report, object| build_reset(report, object, env))
}

/// The `UpgradeConfiguration` of a file, defaulted and checked, and what was noticed.
pub fn upgrade(file: File<'_>, strictness: Strictness) -> Result<(UpgradeConfiguration, Vec<Issue>), Issues> {
    single(file, strictness, UPGRADE, build_upgrade)
}

fn single<T>(
    file: File<'_>,
    strictness: Strictness,
    kind: &str,
    build: impl FnOnce(&mut Report, Object) -> T,
) -> Result<(T, Vec<Issue>), Issues> {
    let mut report = Report::new(file.name);
    let mut documents = documents::read(&mut report, file.bytes, &[kind], Unrelated::Ignored, strictness);
    let value = match documents.take(kind) {
        Some(object) => Some(build(&mut report, object)),
        None if report.has_errors() => None,
        None => {
            report.whole(Severity::Error, format!("no {kind} found in the supplied config"));
            None
        }
    };
    report.finish(value)
}

pub(crate) fn build_join(report: &mut Report, object: Object, env: &Environment) -> JoinConfiguration {
    let mut join: JoinConfiguration = typed(report, JOIN, object);
    defaults::join(&mut join);
    let control_plane = join.control_plane.is_some();
    let registration = Path::of(JOIN, "nodeRegistration");
    defaults::node(report, env, &mut join.node_registration, &registration, control_plane);
    if let Some(control_plane) = &mut join.control_plane {
        let path = Path::of(JOIN, "controlPlane.localAPIEndpoint");
        defaults::advertise_address(report, env, &mut control_plane.local_api_endpoint, &path);
    }
    validate::join(report, &join);
    join
}

pub(crate) fn build_reset(report: &mut Report, object: Object, env: &Environment) -> ResetConfiguration {
    let mut reset: ResetConfiguration = typed(report, RESET, object);
    defaults::reset(&mut reset);
    reset.cri_socket = defaults::socket(report, env, &reset.cri_socket, &Path::of(RESET, "criSocket"));
    validate::reset(report, &reset);
    reset
}

pub(crate) fn build_upgrade(report: &mut Report, object: Object) -> UpgradeConfiguration {
    let mut upgrade: UpgradeConfiguration = typed(report, UPGRADE, object);
    defaults::upgrade(&mut upgrade);
    validate::upgrade(report, &upgrade);
    upgrade
}
