//! Asking the control planes of a cluster, with identities that its authorities vouch for, before one more joins them.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::ApiProvider as _;
use crate::api::Selector;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::pki_files;
use crate::cli::session::Session;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Layout;
use crate::etcd;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Membership;
use crate::etcd::Tls;
use crate::facts::etcd_data;
use crate::host::Host;
use crate::kube::static_pod::ETCD_URL_ANNOTATION;
use crate::kube::static_pod::Member;
use crate::phase::etcd_join::data_of_member;
use crate::phase::select::Selected;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use crate::report::Event;
use crate::report::Reporter;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(300);
/// How often a wait that goes on is told.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

struct Members {
    etcd: Arc<dyn Etcd>,
    membership: Membership,
    layout: Option<Layout>,
}

impl Session {
    /// Makes this host's identities in memory, and asks the cluster with them how its etcd is.
    ///
    /// # Errors
    /// The identities cannot be made, or there was an interrupt. That nobody answers is a fact.
    pub(super) fn ask_control_planes(
        &mut self,
        selected: &[Selected],
        reporter: &Reporter,
    ) -> Result<(), CliError> {
        let plan = self.plan(selected)?;
        let asking = [CertName::Admin, CertName::EtcdHealthcheckClient, CertName::Ca(Ca::Etcd)];
        let mut specs = pki_files::named_by(&plan, &self.cluster);
        pki_files::add(&mut specs, &self.cluster, &asking);
        self.bundle = Some(Arc::new(self.complete(&specs, false, reporter)?));
        if !self.cluster.has_local_etcd() {
            return Ok(());
        }
        match self.members(reporter)? {
            Ok(found) => {
                self.look_again(&found.membership);
                self.etcd = Some(found.etcd);
                self.running.etcd = Some(found.membership);
                self.running.layout = found.layout;
            }
            Err(why) => self.running.etcd_trouble = Some(why),
        }
        Ok(())
    }

    /// Asks this host again whether it has etcd's data, since its member may have started while the others were asked.
    fn look_again(&mut self, membership: &Membership) {
        let Some(local) = &self.cluster.configuration.etcd.local else { return };
        let (node, data) = (self.node(), data_of_member(&local.data_dir));
        let member = membership.by_peer_url(&Member::of(node).peer_url);
        let name = node.name.clone();
        if let Some(facts) = self.facts.get_mut(&name) {
            etcd_data::look_again(&*self.host, &data, member, facts);
        }
    }

    /// Asks until there is an answer: the pods of a control plane appear seconds after it is up, and etcd holds its
    /// breath for a moment when others join.
    fn members(&self, reporter: &Reporter) -> Result<Result<Members, String>, CliError> {
        let limit = self.cluster.timeouts.kubernetes_api_call.to_std();
        let start = System.monotonic();
        let mut told = None;
        loop {
            let trouble = match self.members_now() {
                Ok(found) => return Ok(Ok(found)),
                Err(trouble) => trouble,
            };
            let waited = System.monotonic().saturating_sub(start);
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(CliError::new(
                    Exit::Interrupted,
                    anyhow::anyhow!("interrupted; nothing was changed"),
                ));
            }
            if !trouble.passes || waited >= limit {
                return Ok(Err(trouble.why));
            }
            if told.is_none_or(|told| waited >= told + TELL_INTERVAL) {
                told = Some(waited);
                reporter.tell(&self.waiting([waited, limit], trouble.why));
            }
            System.sleep(PAUSE);
        }
    }

    fn waiting(&self, [waited, limit]: [Duration; 2], last: String) -> Event {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Event::Waiting {
            phase: "discovery".to_owned(),
            host: Some(self.node().name.clone()),
            subject: "the members of the cluster's etcd".to_owned(),
            elapsed_ms: millis(waited),
            limit_ms: millis(limit),
            last,
        }
    }

    fn members_now(&self) -> Result<Members, Trouble> {
        let api = self.api().client(Identity::Admin)?;
        let pods = etcd_pods(&*api)?;
        let endpoints: Vec<String> = pods.iter().filter_map(endpoint).collect();
        if endpoints.is_empty() {
            let why = "no pod in kube-system is labelled component=etcd,tier=control-plane".to_owned();
            return Err(Trouble { why, passes: true });
        }
        let etcd = self.etcd_client(endpoints)?;
        let membership = Membership::gather(&*etcd)?;
        Ok(Members { etcd, membership, layout: pods.iter().find_map(layout) })
    }

    fn etcd_client(&self, endpoints: Vec<String>) -> Result<Arc<dyn Etcd>, EtcdError> {
        let node = &self.node().name;
        let part = |cert, part| {
            let bytes = self.bundle.as_ref().and_then(|bundle| bundle.part(node, cert, part));
            bytes.ok_or_else(|| EtcdError::Unusable { why: format!("there is no {cert}") })
        };
        let client = CertName::EtcdHealthcheckClient;
        let tls = Tls::new(
            &part(CertName::Ca(Ca::Etcd), Part::Certificate)?,
            &part(client, Part::Certificate)?,
            &part(client, Part::Key)?,
        )?;
        let host: Arc<dyn Host> = Arc::<crate::host::local::Local>::clone(&self.host);
        Ok(Arc::new(etcd::Client::new(host, endpoints, tls)?))
    }
}

/// Why the members are not known.
struct Trouble {
    why: String,
    passes: bool,
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self { why: error.to_string(), passes: error.may_heal() }
    }
}

impl From<EtcdError> for Trouble {
    fn from(error: EtcdError) -> Self {
        Self { why: error.to_string(), passes: error.may_heal() }
    }
}

/// The pods of the stacked etcd, as kubeadm finds them.
fn etcd_pods(api: &dyn Api) -> Result<Vec<Value>, ApiError> {
    let pods = ObjectRef::new("v1", "Pod", "kube-system", "");
    api.list(&pods, &Selector::all().label("component", "etcd").label("tier", "control-plane"))
}

fn endpoint(pod: &Value) -> Option<String> {
    Some(pod["metadata"]["annotations"].get(ETCD_URL_ANNOTATION)?.as_str()?.to_owned())
}

/// Peers have an authority of their own in five chains only. A pod without the flag says nothing.
fn layout(pod: &Value) -> Option<Layout> {
    let command = pod.pointer("/spec/containers/0/command").and_then(Value::as_array)?;
    let mut flags = command.iter().filter_map(Value::as_str);
    let file = flags.find_map(|flag| flag.strip_prefix("--peer-trusted-ca-file="))?;
    Some(if file.ends_with("/peer-ca.crt") { Layout::Five } else { Layout::Kubeadm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_layout_shows_in_the_flags_of_etcd() {
        for (flag, expected) in [
            ("--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/peer-ca.crt", Some(Layout::Five)),
            ("--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt", Some(Layout::Kubeadm)),
            ("--trusted-ca-file=/x/peer-ca.crt", None),
        ] {
            let pod = json!({"spec": {"containers": [{"command": ["etcd", flag]}]}});
            assert_eq!(layout(&pod), expected, "{flag}");
        }
    }
}
