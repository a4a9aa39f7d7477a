//! A host's etcd joins the running one: as a learner first, with a vote when it has caught up, and not at all
//! when it never comes up.

use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
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
use crate::plan::Container;
use crate::plan::Content;
use crate::plan::JoiningManifest;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use crate::plan::PodSpec;
use crate::plan::Probe;
use crate::plan::RunSpec;
use crate::plan::StopSpec;
use crate::plan::Wait;
use crate::plan::member::vote;

/// How long to wait at least for those that join at the same moment: etcd takes one at a time, and each needs half a
/// minute where images are present.
const QUEUE: GoDuration = GoDuration::from_mins(5);

/// How long etcd may say that it is not healthy enough for another member, when one of its voters did not answer
/// before: for as long as that one restarts, and no longer.
const ILL: GoDuration = GoDuration::from_secs(30);

/// How long a new member may need at least until it answers. etcd 3.6 serves clients when its own name has come back
/// to it through the others; that answer is lost when it comes while the first snapshot is taken in, and etcd asks
/// again after 27 seconds.
const SETTLE: GoDuration = GoDuration::from_mins(1);

/// Plans the member of a joining host, in kubeadm's order; nothing when somebody else runs etcd.
///
/// # Errors
/// A patch of the operator does not apply.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    let own = Member::of(node);
    let limit = cx.cluster.timeouts.etcd_api_call;
    let data = data_of_member(&local.data_dir);
    let mut drafts = data_directory(cx, node, local)?;
    drafts.push(manifests_directory());
    drafts.push(announced(cx, &own, limit.max(QUEUE)));
    drafts.push(manifest(cx, node, &own)?);
    drafts.push(started(node, &own, data, limit));
    drafts.push(member(
        "etcd member promoted",
        "with its vote the cluster survives the loss of one more",
        &own,
        MemberChange::Promote,
        limit,
    ));
    drafts.push(check_etcd::healthy(
        cx.cluster,
        limit.max(SETTLE),
        "the new member must not have cost the others their majority",
    ));
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
    let mut undo = UndoDraft::default();
    let etcdctl = ["--cacert", "--cert", "--key"]
        .iter()
        .zip(["ca.crt", "healthcheck-client.crt", "healthcheck-client.key"])
        .fold("etcdctl".to_owned(), |text, (flag, file)| {
            format!("{text} {flag} {}", cx.pki_path(&format!("etcd/{file}")))
        });
    undo.push(
        member(
            "etcd member withdrawn",
            "a learner that never comes up would keep every other host from joining",
            &own,
            MemberChange::Withdraw,
            cx.cluster.timeouts.etcd_api_call,
        ),
        format!(
            "on a healthy {} `{etcdctl} member list`, and the same with `member remove ID` for {}",
            check_etcd::holder(cx.cluster),
            own.peer_url
        ),
    );
    let data = data_of_member(&local.data_dir);
    // What was there before is not ours to remove.
    let foreign = cx.exists(node, &data) && !is_of_a_try(cx, node, &data);
    let UndoDraft { drafts, mend } = nothing_left(node, (!foreign).then_some(data.as_str()));
    drafts.into_iter().zip(mend).for_each(|(draft, mend)| undo.push(draft, mend));
    Some(undo)
}

/// Takes away what a try has left on the host that is no member, its data last. The kubelet goes first: one that has
/// not reached the API server yet goes on with pods whose manifest is gone, and it would be slow to start those again
/// that have failed often. The next run starts it.
pub fn nothing_left(node: &Node, data: Option<&str>) -> UndoDraft {
    let mut undo = UndoDraft::default();
    let manifest = static_pod::manifest_path(Target::Etcd.as_str());
    undo.push(
        Draft::new(
            "no static pod etcd",
            "it would start again with what belongs to no member",
            Action::Absent { path: manifest.clone() },
        ),
        format!("on this host `rm -f {manifest}`"),
    );
    undo.push(
        Draft::new(
            "kubelet stopped",
            "without an API server it keeps pods whose manifest is gone; the next run starts it",
            Action::Stop(StopSpec { unit: "kubelet".to_owned(), enabled: None }),
        ),
        "`systemctl stop kubelet`",
    );
    let crictl = format!("crictl --runtime-endpoint {}", node.cri_socket);
    let container = Container::of_component(node, Target::Etcd.as_str());
    undo.push(
        Draft::new(
            "etcd stopped",
            "its data must not be written to any more",
            Action::Pod(PodSpec { id: None, name: container.pod, cri_socket: container.cri_socket }),
        ),
        format!("`{crictl} rmp -f $({crictl} pods -q --name etcd-{})`", node.registered_name()),
    );
    if let Some(data) = data {
        undo.push(no_data(data), format!("`rm -rf {data}`"));
    }
    undo
}

/// Where a member keeps all of its data, in its data directory.
pub fn data_of_member(data_dir: &str) -> String {
    format!("{}/member", data_dir.trim_end_matches('/'))
}

/// Whether etcd's data came from a try of ours that did not get as far as a vote: it was not there before our first
/// change. What a member with a vote has left may be the last copy of a cluster.
pub fn is_of_a_try(cx: &Context<'_>, node: &Node, data: &str) -> bool {
    cx.ours.contains(data) && !cx.ours.contains(&vote(&Member::of(node).peer_url))
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
    let spec = MemberSpec { peer_url, change, limit, unhealthy: limit, best_effort: false };
    Draft::new(title, reason, Action::Member(spec))
}

fn announced(cx: &Context<'_>, own: &Member, limit: GoDuration) -> Draft {
    let peer_url = own.peer_url.clone();
    let ill = cx.running.etcd.as_ref().is_some_and(|etcd| etcd.sick().next().is_some());
    let unhealthy = if ill { ILL } else { limit };
    Draft::new(
        "etcd member announced",
        "etcd lets in only whom it was told of; without a vote it cannot harm the others while it catches up",
        Action::Member(MemberSpec {
            peer_url,
            change: MemberChange::Announce,
            limit,
            unhealthy,
            best_effort: false,
        }),
    )
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

fn started(node: &Node, own: &Member, data: String, limit: GoDuration) -> Draft {
    let crictl = format!("crictl --runtime-endpoint {}", node.cri_socket);
    Draft::new(
        "etcd member started",
        "only a member that runs can catch up",
        Action::Wait(Wait {
            probe: Probe::EtcdStarted { peer_url: own.peer_url.clone(), data },
            limit,
            setting: Some(Timeouts::ETCD_API),
            advice: vec![
                format!("{crictl} ps -a --name etcd"),
                format!("{crictl} logs CONTAINERID"),
                "journalctl -xeu kubelet".to_owned(),
            ],
            container: Some(Container::of_component(node, Target::Etcd.as_str())),
        }),
    )
}
