//! The `Lab` document: virtual machines for trying a cluster.

use crate::cluster::site::CniProvider;
use crate::cluster::version;
use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Strictness;
use crate::config::documents;
use crate::config::documents::Object;
use crate::config::documents::Unrelated;
use crate::config::issue::Severity;
use crate::config::load::CLUSTER;
use crate::config::load::INIT;
use crate::config::load::typed;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::schema;
use crate::lab::Lab;
use crate::lab::Provision;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const KIND: &str = "Lab";

/// Documents beside it that the cluster gets as they are.
const OF_THE_CLUSTER: [&str; 3] = [INIT, "KubeletConfiguration", "KubeProxyConfiguration"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    control_planes: Option<u32>,
    workers: u32,
    load_balancers: u32,
    etcds: u32,
    cpus: Option<u32>,
    memory: Option<u32>,
    disk: Option<u32>,
    r#box: Option<String>,
    boxes: BTreeMap<String, String>,
    network: Option<String>,
    kubernetes_version: Option<String>,
    cni: Option<String>,
    pod_subnet: Option<String>,
    service_subnet: Option<String>,
    artifacts: Option<String>,
    provision: Provision,
}

/// Reads, defaults and checks a lab. Every problem is reported at once.
pub fn lab(file: File<'_>) -> Result<(Lab, Vec<Issue>), Issues> {
    let mut report = Report::new(file.name);
    let wanted = [&[KIND, CLUSTER], &OF_THE_CLUSTER[..]].concat();
    let mut documents =
        documents::read(&mut report, file.bytes, &wanted, Unrelated::Ignored, Strictness::Strict);
    let object = documents.take(KIND);
    if object.is_none() && !report.has_errors() {
        report.whole(Severity::Error, "no Lab found in the file").hint("`kubewright lab DIR` writes one");
    }
    let lab = object.map(|object| {
        let document: Document = typed(&mut report, KIND, object);
        Lab {
            configuration: documents.take(CLUSTER).unwrap_or_default(),
            documents: OF_THE_CLUSTER.iter().filter_map(|kind| whole(kind, documents.take(kind)?)).collect(),
            ..meaning(&mut report, document)
        }
    });
    report.finish(lab)
}

/// A document with its identity.
fn whole(kind: &str, mut object: Object) -> Option<Value> {
    // Of the versions that are read, the first one in the table is the current one.
    let known = schema::KNOWN.iter().find(|known| known.kind == kind)?;
    object.insert("apiVersion".to_owned(), known.api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Some(object.into())
}

fn meaning(report: &mut Report, document: Document) -> Lab {
    let spec = document.spec;
    let path = |field: &str| Path::of(KIND, &format!("spec.{field}"));
    let networks = networks(report, spec.network.as_deref().unwrap_or("192.168.56.0/24"), &path("network"));
    let cni = spec.cni.unwrap_or_else(|| CniProvider::Flannel.as_str().to_owned());
    if serde_json::from_value::<CniProvider>(cni.clone().into()).is_err() {
        report
            .error(&path("cni"), format!("there is no provider `{cni}`"))
            .hint("flannel, calico, canal, cilium, bridge or none");
    }
    let each = |v4: &str, v6: &str| {
        let of = |network: &IpNet| if network.addr().is_ipv4() { v4.to_owned() } else { v6.to_owned() };
        networks.iter().map(of).collect::<Vec<_>>().join(",")
    };
    let lab = Lab {
        name: document.metadata.name.unwrap_or_else(|| "lab".to_owned()),
        control_planes: spec.control_planes.unwrap_or(1),
        workers: spec.workers,
        load_balancers: spec.load_balancers,
        etcds: spec.etcds,
        cpus: spec.cpus.unwrap_or(2),
        memory: spec.memory.unwrap_or(2048),
        disk: spec.disk.unwrap_or(20),
        default_box: spec.r#box.unwrap_or_else(|| "bento/debian-12".to_owned()),
        boxes: spec.boxes,
        kubernetes_version: spec.kubernetes_version.unwrap_or_else(|| version::DEFAULT.to_string()),
        cni,
        pod_subnet: spec.pod_subnet.unwrap_or_else(|| each("10.244.0.0/16", "fd00:10:244::/56")),
        service_subnet: spec.service_subnet.unwrap_or_else(|| each("10.96.0.0/12", "fd00:10:96::/112")),
        artifacts: spec.artifacts.unwrap_or_else(|| "download".to_owned()),
        provision: spec.provision,
        configuration: Object::new(),
        documents: Vec::new(),
        networks,
    };
    validate(report, &lab);
    lab
}

/// One network, or two of different families.
fn networks(report: &mut Report, text: &str, path: &Path) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for part in text.split(',') {
        match name::parse_cidr(part.trim()) {
            // The machines and the endpoint have numbers up to 100.
            Some(network) if network.max_prefix_len() - network.prefix_len() >= 7 => networks.push(network),
            Some(network) => {
                report
                    .error(path, format!("{network} has no room for the machines"))
                    .hint("/24, or /64 for IPv6");
            }
            None => {
                report.error(path, format!("`{part}` is not a network")).hint("such as 192.168.56.0/24");
            }
        }
    }
    let families: Vec<bool> = networks.iter().map(|network: &IpNet| network.addr().is_ipv4()).collect();
    if networks.len() > 2 || families == [true, true] || families == [false, false] {
        report.error(path, "more than one network of a family").hint("one, or one of IPv4 and one of IPv6");
    }
    networks
}

fn validate(report: &mut Report, lab: &Lab) {
    let names: Vec<String> = lab.machines().into_iter().map(|machine| machine.name).collect();
    for machine in lab.boxes.keys().filter(|machine| !names.contains(machine)) {
        let path = Path::of(KIND, "spec.boxes").key(machine);
        report
            .error(&path, format!("there is no machine {machine}"))
            .hint(format!("the machines are {}", names.join(", ")));
    }
    let on_hosts = lab.provision == Provision::Playbooks;
    if on_hosts && lab.etcds + lab.load_balancers > 0 {
        report
            .error(
                &Path::of(KIND, "spec.provision"),
                "playbooks make control planes and workers, and the lab has other machines too",
            )
            .hint("provision: apply");
    }
}
