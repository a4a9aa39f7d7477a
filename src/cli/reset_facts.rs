//! Asking a host for all that its reset is planned from.

use crate::apply::receipt;
use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cri::Client;
use crate::cri::message::PodSandbox;
use crate::facts::baseline;
use crate::facts::footprint;
use crate::facts::footprint::Snapshot;
use crate::facts::footprint::Watch;
use crate::facts::gather;
use crate::host::Host;
use crate::host::HostError;
use crate::phase::reset::Choices;
use crate::phase::reset::Etcd;
use crate::phase::reset::Facts;
use crate::phase::reset::Pod;
use crate::phase::reset::Runtime;
use std::collections::BTreeMap;

const ETCD_MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";

/// Where the kubelet says which runtime it uses, the newest place first.
const KUBELET_FILES: [&str; 2] =
    ["/var/lib/kubelet/instance-config.yaml", "/var/lib/kubelet/kubeadm-flags.env"];

/// What the kubelet's pods are labelled with.
const KUBELET_LABEL: &str = "io.kubernetes.pod.uid";

/// Everything that is so on the host. What an earlier look of the same run found stays known when the files that say it
/// are gone: the runtime, and where etcd's data is.
///
/// # Errors
/// The host cannot be asked, or its record cannot be understood.
pub(super) fn gather(
    host: &dyn Host,
    choices: &Choices,
    socket: &str,
    before: Option<&Facts>,
) -> Result<Facts, CliError> {
    let receipt = Receipt::load(host, receipt::PATH).or_exit(Exit::Host)?;
    let baseline = baseline::load(host).or_exit(Exit::Host)?;
    let etcd = text(host, ETCD_MANIFEST).or_exit(Exit::Host)?;
    let known = before.map(|before| Etcd { data_dir: before.etcd.data_dir.clone(), ..Etcd::default() });
    let etcd = etcd.map(|text| Etcd::of_manifest(&text)).or(known).unwrap_or_default();
    let directories = [choices.certificates_dir.clone()].into_iter().chain(etcd.data_dir.clone());
    let directories =
        directories.chain(baseline.iter().flat_map(|baseline| baseline.watched.iter().cloned()));
    let (now, traces) = footprint::look(host, &Watch::directories(directories)).or_exit(Exit::Host)?;
    let paths = paths(host, receipt.as_ref(), &now).or_exit(Exit::Host)?;
    let named = Some(socket).filter(|socket| !socket.is_empty());
    let runtime = runtime(host, named.or(before.map(|before| before.runtime.socket.as_str())))?;
    let choices = choices.clone();
    Ok(Facts { host: host.name().to_owned(), baseline, now, traces, receipt, paths, runtime, etcd, choices })
}

/// The paths of the receipt that the look at the host does not cover.
fn paths(
    host: &dyn Host,
    receipt: Option<&Receipt>,
    now: &Snapshot,
) -> Result<BTreeMap<String, Before>, HostError> {
    let befores = receipt.into_iter().flat_map(Receipt::befores);
    let others = befores.filter(|(path, _)| path.starts_with('/') && now.has(path).is_none());
    others.map(|(path, _)| Ok((path.to_owned(), Before::of(host.read(path)?.as_ref())))).collect()
}

fn text(host: &dyn Host, path: &str) -> Result<Option<String>, HostError> {
    let entry = host.read(path)?;
    Ok(entry.and_then(|entry| Some(String::from_utf8_lossy(entry.content()?).into_owned())))
}

/// The runtime that the operator or the kubelet names; otherwise the one that answers.
fn runtime(host: &dyn Host, socket: Option<&str>) -> Result<Runtime, CliError> {
    let named = socket.map(str::to_owned).or_else(|| of_kubelet(host));
    let socket = match named {
        Some(socket) => socket,
        None => detected(host)?,
    };
    let pods = Client::connect(host, &socket).and_then(|client| client.list_pod_sandboxes());
    Ok(match pods {
        Ok(pods) => Runtime { socket, pods: pods.into_iter().map(pod).collect(), failure: None },
        Err(error) => Runtime { socket, pods: Vec::new(), failure: Some(error.explained()) },
    })
}

fn of_kubelet(host: &dyn Host) -> Option<String> {
    let said = |path: &&str| {
        let text = text(host, path).ok()??;
        let at = text.find("unix://")?;
        let end = |c: char| c.is_whitespace() || ['"', '\''].contains(&c);
        text[at..].split(end).next().map(str::to_owned)
    };
    KUBELET_FILES.iter().find_map(said)
}

fn detected(host: &dyn Host) -> Result<String, CliError> {
    let mut sockets = gather::basics(host).or_exit(Exit::Host)?.cri_sockets;
    if sockets.len() > 1 {
        let message = format!("several container runtimes answer: {}", sockets.join(", "));
        let error = CliError::new(Exit::Usage, anyhow::anyhow!(message));
        return Err(error.hint("name the one of the cluster with --cri-socket"));
    }
    Ok(sockets.pop().unwrap_or_else(|| crate::facts::question::CRI_SOCKETS[0].to_owned()))
}

fn pod(sandbox: PodSandbox) -> Pod {
    let source = sandbox.annotations.get("kubernetes.io/config.source");
    let metadata = sandbox.metadata.unwrap_or_default();
    Pod {
        id: sandbox.id,
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        of_kubelet: sandbox.labels.contains_key(KUBELET_LABEL),
        from_file: source.is_some_and(|source| source == "file"),
    }
}

/// The name of this host's node: static pods carry it.
pub(super) fn node_name(facts: &Facts) -> Option<String> {
    let recorded = facts.receipt.as_ref().map(|receipt| receipt.host.clone()).filter(|name| !name.is_empty());
    let of_pods = || {
        let mut pods = facts.runtime.pods.iter().filter(|pod| pod.from_file);
        pods.find_map(|pod| pod.name.strip_prefix("kube-apiserver-")).map(str::to_owned)
    };
    recorded.or_else(of_pods).or_else(|| facts.now.serves_a_cluster().then(|| facts.host.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Entry;
    use crate::host::Fake;

    #[test]
    fn asks_the_runtime_that_the_kubelet_uses() {
        let flags =
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///var/run/crio/crio.sock --x\"\n";
        let config =
            "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\nkind: KubeletConfiguration\n";
        let file = |text: &str| Entry::file(text, 0o644);
        let old = Fake::new("w1").with(KUBELET_FILES[1], file(flags));
        assert_eq!(of_kubelet(&old).as_deref(), Some("unix:///var/run/crio/crio.sock"));
        let new = old.with(KUBELET_FILES[0], file(config));
        assert_eq!(of_kubelet(&new).as_deref(), Some("unix:///run/containerd/containerd.sock"));
        assert_eq!(of_kubelet(&Fake::new("w2")), None);
    }

    #[test]
    fn tells_the_kubelets_pods_from_others() {
        let mut sandbox = PodSandbox { id: "1".into(), ..PodSandbox::default() };
        assert!(!pod(sandbox.clone()).of_kubelet);
        sandbox.labels.insert(KUBELET_LABEL.into(), "u".into());
        sandbox.annotations.insert("kubernetes.io/config.source".into(), "file".into());
        let pod = pod(sandbox);
        assert!(pod.of_kubelet && pod.from_file);
    }
}
