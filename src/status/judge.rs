//! What of a report wants attention.

use super::EndpointStatus;
use super::EtcdStatus;
use super::HostRow;
use super::NodeRow;
use super::Report;
use super::SCHEMA;

/// A certificate with fewer days than this wants attention. kubeadm's live a year, and kubelets renew theirs long before.
pub const CERTIFICATE_DAYS: i64 = 30;

impl Report {
    /// Fills in the findings.
    #[must_use]
    pub fn judged(mut self) -> Self {
        let mut findings: Vec<String> = Vec::new();
        findings.extend(self.api_trouble.as_ref().map(|why| format!("the API cannot be asked: {why}")));
        findings.extend(self.nodes.iter().flat_map(|row| node(row, self.api_trouble.is_none())));
        findings.extend(self.etcd.iter().flat_map(etcd));
        findings.extend(self.endpoint.iter().flat_map(endpoint));
        findings.extend(self.hosts.iter().flat_map(host));
        if let Some(drift @ 1..) = self.api_drift {
            findings.push(format!(
                "apply would change {drift} API {}",
                if drift == 1 { "object" } else { "objects" }
            ));
        }
        findings.extend(
            self.drift_trouble.as_ref().map(|why| format!("what apply would change is not known: {why}")),
        );
        self.schema = SCHEMA;
        self.healthy = findings.is_empty();
        self.findings = findings;
        self
    }
}

fn node(row: &NodeRow, asked: bool) -> Vec<String> {
    let name = &row.name;
    if !asked {
        return Vec::new();
    }
    if !row.registered {
        return vec![format!("{name} has no Node object")];
    }
    let mut found = Vec::new();
    if !row.ready {
        found.push(format!("node {name} is not ready"));
    }
    if row.cordoned {
        found.push(format!("node {name} is cordoned"));
    }
    if !row.in_file {
        found.push(format!("node {name} is not in the file"));
    }
    found
}

fn etcd(etcd: &EtcdStatus) -> Vec<String> {
    let mut found: Vec<String> =
        etcd.trouble.iter().map(|why| format!("etcd's members cannot be asked for: {why}")).collect();
    for member in &etcd.members {
        let name = if member.name.is_empty() { &member.peer_url } else { &member.name };
        if member.learner {
            found.push(format!("etcd member {name} has no vote yet"));
        }
        if !member.healthy {
            found.push(format!("etcd member {name}: {}", member.errors.join(", ")));
        }
    }
    if etcd.trouble.is_none() && !etcd.members.iter().any(|member| member.leader) {
        found.push("etcd has no leader".to_owned());
    }
    found
}

fn endpoint(endpoint: &EndpointStatus) -> Vec<String> {
    let mut found = Vec::new();
    if !endpoint.virtual_addresses.is_empty() {
        let addresses = endpoint.virtual_addresses.join(", ");
        match endpoint.holders.as_slice() {
            [] => found.push(format!("no host that could be asked has the endpoint's address {addresses}")),
            [_] => {}
            many => {
                found.push(format!("{} hold the endpoint's address {addresses} at once", many.join(" and ")));
            }
        }
    }
    found.extend(endpoint.trouble.as_ref().map(|why| {
        let from = endpoint.tried_from.as_deref().unwrap_or("here");
        format!("the API does not answer at {}, tried from {from}: {why}", endpoint.address)
    }));
    found
}

fn host(row: &HostRow) -> Vec<String> {
    let name = &row.name;
    if let Some(why) = &row.trouble {
        return vec![format!("{name} cannot be asked: {why}")];
    }
    let ill = |one: &super::Component| Some(format!("{} on {name}: {}", one.name, one.trouble.as_ref()?));
    let mut found: Vec<String> = row.components.iter().filter_map(ill).collect();
    let soon = row.certificate.as_ref().filter(|one| one.days_left < CERTIFICATE_DAYS);
    found.extend(soon.map(|one| match one.days_left {
        ..0 => format!("certificate {} on {name} has expired", one.name),
        days => format!("certificate {} on {name} expires in {days} days", one.name),
    }));
    if row.lock.is_some() {
        found.push(format!("{name} is locked by a run"));
    }
    if let Some(drift @ 1..) = row.drift {
        let things = if drift == 1 { "thing" } else { "things" };
        found.push(format!("{name}: apply would change {drift} {things}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn well() -> Report {
        let node = NodeRow {
            name: "cp1".into(),
            in_file: true,
            registered: true,
            ready: true,
            ..NodeRow::default()
        };
        let member = MemberRow { name: "cp1".into(), healthy: true, leader: true, ..MemberRow::default() };
        let endpoint = EndpointStatus {
            address: "192.0.2.100:6443".into(),
            virtual_addresses: vec!["192.0.2.100".into()],
            holders: vec!["cp1".into()],
            tried_from: Some("cp1".into()),
            ..EndpointStatus::default()
        };
        let kubelet = Component { name: "kubelet".into(), trouble: None };
        let certificate =
            Certificate { name: "apiserver".into(), expires: "2027-01-01T00:00:00Z".into(), days_left: 364 };
        let host = HostRow {
            name: "cp1".into(),
            address: "192.0.2.1".into(),
            components: vec![kubelet],
            certificate: Some(certificate),
            drift: Some(0),
            ..HostRow::default()
        };
        Report {
            cluster: "lab".into(),
            nodes: vec![node],
            etcd: Some(EtcdStatus { trouble: None, members: vec![member] }),
            endpoint: Some(endpoint),
            hosts: vec![host],
            ..Report::default()
        }
    }

    #[test]
    fn a_cluster_that_is_well_has_no_findings() {
        let report = well().judged();
        assert!(report.healthy && report.findings.is_empty(), "{:?}", report.findings);
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&value["schema"], &value["hosts"][0]["certificate"]["daysLeft"]),
            (&1.into(), &364.into())
        );
        assert!(report.text().ends_with("all is well\n"), "{}", report.text());
    }

    #[test]
    fn everything_that_is_wrong_is_found() {
        type Break = fn(&mut Report);
        let cases: [(Break, &str); 17] = [
            (|report| report.api_drift = Some(2), "apply would change 2 API objects"),
            (|report| report.drift_trouble = Some("x".into()), "what apply would change is not known: x"),
            (|report| report.api_trouble = Some("refused".into()), "the API cannot be asked: refused"),
            (|report| report.nodes[0].ready = false, "node cp1 is not ready"),
            (|report| report.nodes[0].cordoned = true, "node cp1 is cordoned"),
            (|report| report.nodes[0].in_file = false, "node cp1 is not in the file"),
            (|report| report.nodes[0].registered = false, "cp1 has no Node object"),
            (|report| report.etcd.as_mut().unwrap().members[0].leader = false, "etcd has no leader"),
            (
                |report| report.etcd.as_mut().unwrap().members[0].learner = true,
                "etcd member cp1 has no vote yet",
            ),
            (
                |report| {
                    let member = &mut report.etcd.as_mut().unwrap().members[0];
                    (member.healthy, member.errors) = (false, vec!["NOSPACE".into()]);
                },
                "etcd member cp1: NOSPACE",
            ),
            (
                |report| report.endpoint.as_mut().unwrap().holders.push("cp2".into()),
                "cp1 and cp2 hold the endpoint's address 192.0.2.100 at once",
            ),
            (
                |report| report.endpoint.as_mut().unwrap().holders.clear(),
                "no host that could be asked has the endpoint's address 192.0.2.100",
            ),
            (|report| report.hosts[0].trouble = Some("no route".into()), "cp1 cannot be asked: no route"),
            (
                |report| report.hosts[0].components[0].trouble = Some("status 500".into()),
                "kubelet on cp1: status 500",
            ),
            (
                |report| report.hosts[0].certificate.as_mut().unwrap().days_left = 29,
                "certificate apiserver on cp1 expires in 29 days",
            ),
            (|report| report.hosts[0].drift = Some(1), "cp1: apply would change 1 thing"),
            (|report| report.hosts[0].lock = Some("x".into()), "cp1 is locked by a run"),
        ];
        for (spoil, expected) in cases {
            let mut report = well();
            spoil(&mut report);
            let report = report.judged();
            assert_eq!(report.findings, [expected]);
            assert!(!report.healthy && report.text().contains(expected), "{}", report.text());
        }
    }
}
