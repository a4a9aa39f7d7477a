//! A control plane's etcd joins the running one: as a learner first, with a vote when it has caught up, and not at all
//! when it never comes up.

use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::host::Command;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::kube::static_pod::InitialCluster;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::UndoDraft;
use crate::phase::check_etcd;
use crate::phase::control_plane::manifest_with;
use crate::phase::control_plane::manifests_directory;
use crate::phase::control_plane::site;
use crate::phase::etcd::data_directory;
use crate::phase::etcd::local;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::JoiningManifest;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use crate::plan::Probe;
use crate::plan::RunSpec;
use crate::plan::Wait;

/// How long to wait at least for those that join at the same moment: etcd takes one at a time, and each needs half a
/// minute where images are present.
const QUEUE: GoDuration = GoDuration::from_mins(5);

/// How long the kubelet may take to stop a pod whose manifest is gone.
const STOP: GoDuration = GoDuration::from_mins(2);

/// Plans the member of a joining control plane, in kubeadm's order; nothing when somebody else runs etcd.
///
/// # Errors
/// A patch of the operator does not apply.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    let own = Member::of(node);
    let limit = cx.cluster.timeouts.etcd_api_call;
    let mut drafts = data_directory(cx, node, local)?;
    drafts.push(manifests_directory());
    drafts.push(member(
        "etcd member announced",
        "etcd lets in only whom it was told of; without a vote it cannot harm the others while it catches up",
        &own,
        MemberChange::Announce,
        limit.max(QUEUE),
    ));
    drafts.push(manifest(cx, node, &own)?);
    drafts.push(started(node, &own, limit));
    drafts.push(member(
        "etcd member promoted",
        "with its vote the cluster survives the loss of one more",
        &own,
        MemberChange::Promote,
        limit,
    ));
    drafts.push(check_etcd::healthy(cx, "the new member must not have cost the others their majority"));
    Ok(drafts)
}

/// How the phase is taken back: what this run announced is withdrawn, its pod stopped, its data removed. `None` when
/// the member had started before, so that nothing of it is this run's.
pub fn undo(cx: &Context<'_>, node: &Node) -> Option<UndoDraft> {
    let local = local(cx)?;
    let own = Member::of(node);
    if cx.running.etcd.as_ref().is_some_and(|etcd| etcd.started(&own.peer_url).is_some()) {
        return None;
    }
    let manifest = static_pod::manifest_path(Target::Etcd.as_str());
    let data = data_of_member(&local.data_dir);
    let mut drafts = vec![
        member(
            "etcd member withdrawn",
            "a learner that never comes up would keep every other host from joining",
            &own,
            MemberChange::Withdraw,
            cx.cluster.timeouts.etcd_api_call,
        ),
        Draft::new(
            "no static pod etcd",
            "the kubelet stops it when its manifest is gone",
            Action::Absent { path: manifest.clone() },
        ),
        Draft::new(
            "etcd stopped",
            "its data must not be written to any more",
            Action::Wait(Wait {
                probe: Probe::PodGone {
                    cri_socket: node.cri_socket.clone(),
                    name: format!("etcd-{}", node.registered_name()),
                },
                limit: STOP,
                advice: vec!["systemctl status kubelet".to_owned()],
            }),
        ),
    ];
    let etcdctl = ["--cacert", "--cert", "--key"]
        .iter()
        .zip(["ca.crt", "healthcheck-client.crt", "healthcheck-client.key"])
        .fold("etcdctl".to_owned(), |text, (flag, file)| {
            format!("{text} {flag} {}", cx.pki_path(&format!("etcd/{file}")))
        });
    let mut mend = vec![
        format!(
            "on a healthy control plane `{etcdctl} member list`, and the same with `member remove ID` for {}",
            own.peer_url
        ),
        format!("on this host `rm -f {manifest}`"),
    ];
    // What was there before is not this run's to remove.
    if !cx.exists(node, &data) {
        drafts.push(no_data(&data));
        mend.push(format!("`rm -rf {data}`"));
    }
    Some(UndoDraft { drafts, mend })
}

/// Where a member keeps all of its data, in its data directory.
pub fn data_of_member(data_dir: &str) -> String {
    format!("{}/member", data_dir.trim_end_matches('/'))
}

fn no_data(path: &str) -> Draft {
    Draft::new(
        "no etcd data",
        "a member that was removed cannot come back with its old data",
        Action::Run(RunSpec {
            command: Command::change("rm").args(["-rf", path]),
            unless: Some(Command::query("test").args(["!", "-e", path])),
            remember: Vec::new(),
            best_effort: false,
        }),
    )
}

/// A change of the member that this host runs.
pub fn member(title: &str, reason: &str, own: &Member, change: MemberChange, limit: GoDuration) -> Draft {
    let peer_url = own.peer_url.clone();
    Draft::new(title, reason, Action::Member(MemberSpec { peer_url, change, limit, best_effort: false }))
}

fn manifest(cx: &Context<'_>, node: &Node, own: &Member) -> anyhow::Result<Draft> {
    let rootless = cx.rootless(node)?;
    let initial = InitialCluster::joining(JoiningManifest::hole());
    let pod = static_pod::etcd(&site(cx, node, rootless.as_ref()), &initial);
    manifest_with(cx, Target::Etcd, pod, |text| {
        let (name, peer_url) = (own.name.clone(), own.peer_url.clone());
        Content::Joining(JoiningManifest { text, name, peer_url })
    })
}

fn started(node: &Node, own: &Member, limit: GoDuration) -> Draft {
    let crictl = format!("crictl --runtime-endpoint {}", node.cri_socket);
    Draft::new(
        "etcd member started",
        "only a member that runs can catch up",
        Action::Wait(Wait {
            probe: Probe::EtcdStarted { peer_url: own.peer_url.clone() },
            limit,
            advice: vec![
                format!("{crictl} ps -a --name etcd"),
                format!("{crictl} logs CONTAINERID"),
                "journalctl -xeu kubelet".to_owned(),
            ],
        }),
    )
}
