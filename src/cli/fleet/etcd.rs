//! The cluster's own etcd, from a host that runs a member.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::etcd::Client;
use crate::etcd::Etcd;
use crate::etcd::Member;
use crate::etcd::Membership;
use crate::etcd::Tls;
use crate::facts::HostFacts;
use crate::host::Command;
use crate::host::Fleet;
use crate::host::Host as _;
use crate::kube::static_pod;
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

/// Asks hosts again whose members have run by now and which had no data when they were asked: a kubelet that an
/// interrupted run has started may have started etcd since. A member whose host is wrongly taken for lost would be
/// removed while it runs. Only a clear no counts.
pub(super) fn look_again(
    cluster: &Cluster,
    hosts: &Fleet,
    membership: &Membership,
    facts: &mut BTreeMap<String, HostFacts>,
) {
    let Some(local) = &cluster.configuration.etcd.local else { return };
    let data = data_of_member(&local.data_dir);
    for node in cluster.etcd_members() {
        let has_run =
            membership.by_peer_url(&static_pod::Member::of(node).peer_url).is_some_and(Member::has_run);
        let (Some(facts), Some(host)) = (facts.get_mut(&node.name), hosts.get(&node.name)) else { continue };
        if !has_run || facts.existing_paths.contains(&data) {
            continue;
        }
        let said = host.run(&Command::query("test").args(["-e", &data]));
        if !said.is_ok_and(|output| output.status == 1) {
            facts.existing_paths.insert(data.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Secret;
    use crate::config;
    use crate::config::Environment;
    use crate::config::Overrides;
    use crate::config::Purpose;
    use crate::config::Strictness;
    use crate::etcd::MemberId;
    use crate::host::fake::Fake;
    use crate::host::fake::said;

    const DATA: &str = "/var/lib/etcd/member";

    /// Whether a host without data is taken to have some, by whether its member has run and what it says when it is
    /// asked again.
    fn has_data(has_run: bool, again: i32) -> bool {
        let environment = Environment {
            hostname: "cp1".to_owned(),
            default_address_v4: Some([192, 0, 2, 10].into()),
            tokens: vec![Secret::new("abcdef.0123456789abcdef")],
            ..Environment::default()
        };
        let (overrides, purpose) = (Overrides::default(), Purpose::Init);
        let cluster =
            config::load(None, &environment, &overrides, Strictness::Lenient, purpose).unwrap().cluster;
        let node = cluster.this_node();
        let client_urls = if has_run { vec![client_url(node)] } else { Vec::new() };
        let member = Member {
            id: MemberId(1),
            name: node.name.clone(),
            peer_urls: vec![static_pod::Member::of(node).peer_url],
            client_urls,
            is_learner: false,
        };
        let membership = Membership { members: vec![member], health: Vec::new() };
        let mut hosts = Fleet::default();
        hosts.insert(Arc::new(Fake::new(&node.name).on(&["test", "-e", DATA], said(again, ""))));
        let mut facts = BTreeMap::from([(node.name.clone(), HostFacts::assumed(&node.name))]);
        look_again(&cluster, &hosts, &membership, &mut facts);
        facts[&node.name].existing_paths.contains(DATA)
    }

    #[test]
    fn data_that_came_since_is_seen() {
        assert!(has_data(true, 0));
        assert!(!has_data(true, 1), "it is lost");
        assert!(has_data(true, 255), "nobody can tell");
        assert!(!has_data(false, 0), "nothing depends on it");
    }
}
