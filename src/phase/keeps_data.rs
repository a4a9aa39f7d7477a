//! What is never planned: API servers that look at another, empty etcd, and an etcd that begins anew beside data that
//! it could have kept.

use crate::cluster::Node;
use crate::kube::args;
use crate::kube::static_pod::apiserver::etcd_servers;
use crate::phase::Context;
use crate::phase::etcd::local;
use crate::phase::etcd_join::data_of_member;
use crate::plan::ObjectRef;
use anyhow::ensure;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Whether the cluster goes on with the data that it has. `ours` says for a host what an earlier run did there.
///
/// # Errors
/// It would not, or nobody can tell.
pub fn check(cx: &Context<'_>, ours: &BTreeMap<String, BTreeSet<String>>) -> anyhow::Result<()> {
    let Some(local) = local(cx) else { return Ok(()) };
    same_etcd(cx)?;
    if cx.running.etcd.is_some() || !has_served(ours) {
        return Ok(());
    }
    let data = data_of_member(&local.data_dir);
    let empty = |node: &&Node| cx.includes_host(&node.name) && !cx.exists(node, &data);
    let empty: Vec<&str> = cx.cluster.etcd_members().filter(empty).map(|node| node.name.as_str()).collect();
    let why = cx.running.etcd_trouble.as_deref().unwrap_or("no member could be asked");
    ensure!(
        empty.is_empty(),
        "the cluster has run before, its etcd does not tell its members now ({why}), and there is no {data} on {}: \
         started there, etcd could begin anew, without the cluster's data. Bring back so many members that etcd answers \
         again; where they are lost, restore a snapshot with `etcdutl snapshot restore`, or begin anew after `kubewright \
         reset -f FILE`",
        empty.join(", ")
    );
    Ok(())
}

/// Members come and go one by one, so that some of those that an API server uses stay.
fn same_etcd(cx: &Context<'_>) -> anyhow::Result<()> {
    let extra = &cx.cluster.configuration.api_server.component.extra_args;
    if args::last(extra, "etcd-servers").is_some() {
        return Ok(());
    }
    for node in cx.cluster.control_planes().filter(|node| cx.includes_host(&node.name)) {
        let used = &cx.facts_of(node).etcd_servers;
        let wanted = etcd_servers(cx.cluster, node);
        ensure!(
            used.is_empty() || used.iter().any(|server| wanted.contains(server)),
            "the API server of {} has its data in the etcd at {}, and the file puts it at {}, where none of it is; etcd \
             does not move between control planes and hosts of its own: let the file have hosts with the role etcd as \
             before, and exchange them one after the other",
            node.name,
            used.join(", "),
            wanted.join(", ")
        );
    }
    Ok(())
}

/// Whether an API server has ever taken the cluster's configuration: it does so only with a majority of etcd. Which host
/// keeps the record of that is not for us to know.
fn has_served(ours: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let stored = ObjectRef::new("v1", "ConfigMap", "kube-system", "kubeadm-config").to_string();
    ours.values().any(|done| done.contains(&stored))
}
