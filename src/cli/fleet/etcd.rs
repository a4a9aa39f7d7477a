//! The cluster's own etcd, from a host that runs a member.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::etcd::Client;
use crate::etcd::Etcd;
use crate::etcd::Membership;
use crate::etcd::Tls;
use crate::facts::HostFacts;
use crate::facts::etcd_data;
use crate::host::Fleet;
use crate::kube::static_pod::Member;
use crate::kube::static_pod::etcd::client_url;
use crate::phase::etcd_join::data_of_member;
use crate::pki::Bundle;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client of the members that have been started; `None` where there is none, or nothing to ask it with.
pub(super) fn client(
    cluster: &Cluster,
    hosts: &Fleet,
    facts: &BTreeMap<String, HostFacts>,
    bundle: &Bundle,
) -> Option<Arc<dyn Etcd>> {
    let started = |node: &&Node| facts.get(&node.name).is_some_and(|facts| facts.etcd_start.is_some());
    let members: Vec<&Node> = cluster.etcd_members().filter(started).collect();
    let from = members.first()?;
    let part = |cert, part| bundle.part(&from.name, cert, part);
    let client = CertName::EtcdHealthcheckClient;
    let tls = Tls::new(
        &part(CertName::Ca(Ca::Etcd), Part::Certificate)?,
        &part(client, Part::Certificate)?,
        &part(client, Part::Key)?,
    )
    .ok()?;
    let endpoints = members.iter().map(|node| client_url(node)).collect();
    let host = Arc::clone(hosts.get(&from.name)?);
    Some(Arc::new(Client::new(host, endpoints, tls).ok()?))
}

/// Asks the hosts again whose members may have started since they were asked.
pub(super) fn look_again(
    cluster: &Cluster,
    hosts: &Fleet,
    membership: &Membership,
    facts: &mut BTreeMap<String, HostFacts>,
) {
    let Some(local) = &cluster.configuration.etcd.local else { return };
    let data = data_of_member(&local.data_dir);
    for node in cluster.etcd_members() {
        let member = membership.by_peer_url(&Member::of(node).peer_url);
        if let (Some(facts), Some(host)) = (facts.get_mut(&node.name), hosts.get(&node.name)) {
            etcd_data::look_again(&**host, &data, member, facts);
        }
    }
}
