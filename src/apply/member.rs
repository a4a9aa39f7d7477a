//! Members of the cluster's own etcd: announced, promoted, removed, and what a joining one has to know of the others.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::wait::TooLate;
use crate::apply::wait::until;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Member;
use crate::etcd::MemberId;
use crate::etcd::Membership;
use crate::plan::JoiningManifest;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use crate::plan::Step;
use crate::report::FailureKind;
use crate::report::Outcome;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// What this run knows of the members that it announced, by peer URL.
#[derive(Debug, Default)]
pub(crate) struct Announcements(Mutex<BTreeMap<String, Announcement>>);

#[derive(Debug)]
struct Announcement {
    /// It had not started before this run, so it may be withdrawn again.
    fresh: bool,
    /// As etcd listed them when it was announced.
    members: Vec<Member>,
}

impl Announcements {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Announcement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, peer_url: &str, fresh: bool, members: &[Member]) {
        let mut all = self.lock();
        let known = all.get(peer_url).is_some_and(|known| known.fresh);
        let announcement = Announcement { fresh: fresh || known, members: members.to_vec() };
        all.insert(peer_url.to_owned(), announcement);
    }

    fn is_fresh(&self, peer_url: &str) -> bool {
        self.lock().get(peer_url).is_some_and(|known| known.fresh)
    }

    fn members(&self, peer_url: &str) -> Option<Vec<Member>> {
        self.lock().get(peer_url).map(|known| known.members.clone())
    }
}

/// Makes a member so. While etcd is not ready for it, it is repeated; a dry run only looks.
pub(crate) fn change(run: &Run<'_>, step: &Step, spec: &MemberSpec) -> Result<Done, StepError> {
    let done = if run.world.options.dry_run { look(run, spec) } else { patiently(run, step, spec) };
    match done {
        Err(error) if spec.best_effort && error.kind != FailureKind::Interrupted => {
            Ok(Done::new(Outcome::Warned).detail(error.line()))
        }
        done => done,
    }
}

fn look(run: &Run<'_>, spec: &MemberSpec) -> Result<Done, StepError> {
    let mut members = run.etcd()?.member_list()?;
    if let Some(done) = already(run, spec, &members) {
        return Ok(done);
    }
    if spec.change == MemberChange::Announce {
        members.push(Member {
            id: MemberId(0),
            name: String::new(),
            peer_urls: vec![spec.peer_url.clone()],
            client_urls: Vec::new(),
            is_learner: true,
        });
        run.announcements.note(&spec.peer_url, true, &members);
    }
    Ok(Done::new(Outcome::WouldChange))
}

fn patiently(run: &Run<'_>, step: &Step, spec: &MemberSpec) -> Result<Done, StepError> {
    let etcd = run.etcd()?;
    let mut last = None;
    let mut ill_since = None;
    let done = until(run, step, &step.subject(), spec.limit.to_std(), || {
        let error = match attempt(run, &*etcd, spec) {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => error,
        };
        if !error.may_heal() {
            return Err(failed(spec, &*etcd, error));
        }
        let now = run.world.clock.monotonic();
        let ill = matches!(error, EtcdError::Unhealthy { .. });
        ill_since = ill_since.filter(|_| ill).or_else(|| ill.then_some(now));
        let ill_for = ill_since.map(|since| now.saturating_sub(since)).unwrap_or_default();
        if ill && ill_for >= spec.unhealthy.to_std() {
            return Err(ill_for_long(spec, &*etcd, error, ill_for));
        }
        let text = explained(&error, &*etcd);
        last = Some(error);
        Ok(Err(text))
    })?;
    done.map_err(|TooLate { waited, last: text }| {
        let cause = anyhow::anyhow!("etcd did not {} within {}: {text}", wish(spec), spec.limit);
        let error = StepError::new(FailureKind::Timeout, cause)
            .detail("waited", format!("{:.1} s", waited.as_secs_f32()));
        last.iter().filter_map(|last| hint(last, &*etcd)).fold(error, StepError::hint)
    })
}

fn ill_for_long(spec: &MemberSpec, etcd: &dyn Etcd, error: EtcdError, waited: Duration) -> StepError {
    let error = failed(spec, etcd, error).detail("waited", format!("{:.1} s", waited.as_secs_f32()));
    StepError { kind: FailureKind::Timeout, ..error }
}

fn failed(spec: &MemberSpec, etcd: &dyn Etcd, error: EtcdError) -> StepError {
    let hint = hint(&error, etcd);
    let error = StepError::from(error);
    let error = StepError { cause: error.cause.context(format!("etcd did not {}", wish(spec))), ..error };
    hint.into_iter().fold(error, StepError::hint)
}

fn wish(spec: &MemberSpec) -> String {
    let url = &spec.peer_url;
    match spec.change {
        MemberChange::Announce => format!("take {url} as a new member"),
        MemberChange::Promote => format!("give the member {url} its vote"),
        MemberChange::Remove | MemberChange::Withdraw => format!("remove the member {url}"),
    }
}

fn attempt(run: &Run<'_>, etcd: &dyn Etcd, spec: &MemberSpec) -> Result<Done, EtcdError> {
    let members = etcd.member_list()?;
    if let Some(done) = already(run, spec, &members) {
        return Ok(done);
    }
    let member = members.iter().find(|member| member.has_peer_url(&spec.peer_url));
    let changed = match (spec.change, member) {
        (MemberChange::Announce, _) => {
            // Before it is asked for: the answer may get lost.
            run.announcements.note(&spec.peer_url, true, &members);
            etcd.member_add_learner(&spec.peer_url)
                .map(|members| run.announcements.note(&spec.peer_url, true, &members))
        }
        (MemberChange::Promote, Some(member)) => etcd.member_promote(member.id).map(drop),
        (MemberChange::Promote, None) => Err(EtcdError::MemberNotFound),
        (MemberChange::Remove | MemberChange::Withdraw, Some(member)) => {
            etcd.member_remove(member.id).map(drop)
        }
        (MemberChange::Remove | MemberChange::Withdraw, None) => Ok(()),
    };
    match (changed, spec.change) {
        (Ok(()), _)
        | (Err(EtcdError::NotLearner), MemberChange::Promote)
        | (Err(EtcdError::MemberNotFound), MemberChange::Remove | MemberChange::Withdraw) => {
            Ok(Done::new(Outcome::Changed))
        }
        // The list that did not have it was old; the next one has it.
        (Err(EtcdError::PeerUrlExists), MemberChange::Announce) => {
            Err(EtcdError::Unhealthy { message: "it has the member, and does not list it yet".to_owned() })
        }
        // A member's number is made of its URL and the second: one that was removed in this second comes back.
        (Err(EtcdError::MemberNotFound), MemberChange::Announce) => {
            Err(EtcdError::Unhealthy { message: "it has just removed a member with this URL".to_owned() })
        }
        (Err(error), _) => Err(error),
    }
}

/// What there is to say without changing anything; `None` when there is something to change.
fn already(run: &Run<'_>, spec: &MemberSpec, members: &[Member]) -> Option<Done> {
    let member = members.iter().find(|member| member.has_peer_url(&spec.peer_url));
    let ok = || Some(Done::new(Outcome::Ok));
    let stays = |why: String| Some(Done::new(Outcome::Skipped).detail(why));
    match (spec.change, member) {
        (MemberChange::Announce, Some(member)) => {
            run.announcements.note(&spec.peer_url, !member.has_started(), members);
            ok()
        }
        (MemberChange::Promote, Some(member)) if !member.is_learner => ok(),
        (MemberChange::Remove | MemberChange::Withdraw, None) => ok(),
        (MemberChange::Remove, Some(member)) if !others_can_go_on(members, member) => {
            stays("it is the only member with a vote, and stays".to_owned())
        }
        (MemberChange::Withdraw, Some(member)) if !member.is_learner => {
            stays(format!("{member} has its vote, and stays"))
        }
        (MemberChange::Withdraw, Some(member)) if !run.announcements.is_fresh(&spec.peer_url) => {
            stays(format!("{member} was a member before this run, and stays"))
        }
        _ => None,
    }
}

/// Whether anybody with a vote is left without this member.
fn others_can_go_on(members: &[Member], without: &Member) -> bool {
    members.iter().any(|member| !member.is_learner && member.id != without.id)
}

/// The waiting line.
fn explained(error: &EtcdError, etcd: &dyn Etcd) -> String {
    match (error, learner(etcd)) {
        (EtcdError::TooManyLearners, Some(learner)) => {
            format!("etcd takes one new member at a time, and {learner} is joining now")
        }
        (error, _) => error.to_string(),
    }
}

fn learner(etcd: &dyn Etcd) -> Option<Member> {
    etcd.member_list().ok()?.into_iter().find(|member| member.is_learner)
}

fn hint(error: &EtcdError, etcd: &dyn Etcd) -> Option<String> {
    match error {
        EtcdError::TooManyLearners => learner(etcd).map(|learner| {
            format!(
                "when nothing is joining from there any more, withdraw it on a healthy control plane: \
                 `etcdctl member remove {}`, then run this again",
                learner.id
            )
        }),
        EtcdError::Unhealthy { .. } => {
            let found = Membership::gather(etcd).ok()?;
            let sick: Vec<String> =
                found.sick_members().map(|(member, health)| format!("{member}: {health}")).collect();
            let remove: Vec<String> = found
                .sick_members()
                .map(|(member, _)| format!("`etcdctl member remove {}`", member.id))
                .collect();
            (!sick.is_empty()).then(|| {
                format!(
                    "etcd takes in nobody while one with a vote does not answer the others: {}; start it again, or if \
                     it is gone for good, on a healthy control plane: {}",
                    sick.join(", "),
                    remove.join(", ")
                )
            })
        }
        EtcdError::MemberNotFound => {
            Some("somebody removed it meanwhile; run the same command again".to_owned())
        }
        EtcdError::TlsRefused(_) => Some(
            "compare etcd/ca.crt of this host with that of a running control plane, and the clocks of both"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Whether a member has started; `Err`: not yet, and why.
pub(crate) fn has_started(run: &Run<'_>, peer_url: &str) -> Result<(), String> {
    let members = run.etcd().and_then(|etcd| etcd.member_list()).map_err(|error| error.to_string())?;
    match members.iter().find(|member| member.has_peer_url(peer_url)) {
        Some(member) if member.has_started() => Ok(()),
        Some(_) => Err("it has not reached the others yet".to_owned()),
        None => Err("etcd does not list it".to_owned()),
    }
}

/// Whether more than half of the voters answer without errors; `Err`: not yet, and why.
pub(crate) fn is_healthy(run: &Run<'_>) -> Result<(), String> {
    let etcd = run.etcd().map_err(|error| error.to_string())?;
    let found = Membership::gather(&*etcd).map_err(|error| error.to_string())?;
    if found.healthy() {
        return Ok(());
    }
    Err(found.sick().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The manifest of a joining etcd with the members as etcd listed them; the one that is there, where it is the same
/// and its etcd has started, since the members are read by an etcd without data only.
pub(crate) fn manifest(
    run: &Run<'_>,
    manifest: &JoiningManifest,
    there: Option<&[u8]>,
) -> Result<String, StepError> {
    let members = match run.announcements.members(&manifest.peer_url) {
        Some(members) => members,
        None => run.etcd()?.member_list()?,
    };
    let Some(own) = members.iter().find(|member| member.has_peer_url(&manifest.peer_url)) else {
        return Err(StepError::from(EtcdError::MemberNotFound)
            .hint("etcd lets in only whom it was told of: run the whole phase"));
    };
    let there = there.and_then(|there| std::str::from_utf8(there).ok());
    if let Some(there) = there.filter(|there| own.has_started() && manifest.fits(there)) {
        return Ok(there.to_owned());
    }
    let text = initial_cluster(&members, own.id, &manifest.name)?;
    Ok(manifest.filled(&text))
}

/// The value of `--initial-cluster`, with the joining member under its own name. Another one without a name is called
/// by its number, as kubeadm has it.
fn initial_cluster(members: &[Member], own: MemberId, name: &str) -> Result<String, StepError> {
    let mut parts = Vec::new();
    for member in members {
        let name = match (member.id == own, member.name.as_str()) {
            (true, _) => name.to_owned(),
            (false, "") => member.id.to_string(),
            (false, name) => name.to_owned(),
        };
        for url in &member.peer_urls {
            if !(is_plain(&name) && is_plain(url)) {
                let cause =
                    anyhow::anyhow!("etcd's member {name:?} at {url:?} cannot be named in a manifest");
                return Err(StepError::new(FailureKind::Content, cause)
                    .hint("give that member a name of letters, digits, `-`, `.` and `_`"));
            }
            parts.push(format!("{name}={url}"));
        }
    }
    Ok(parts.join(","))
}

/// Whether a word can stand in etcd's flag and in a plain scalar of YAML. Others chose it.
fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || "-._:/[]@%~+".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str, urls: &[&str]) -> Member {
        let peer_urls = urls.iter().map(|&url| url.to_owned()).collect();
        Member {
            id: MemberId(id),
            name: name.to_owned(),
            peer_urls,
            client_urls: Vec::new(),
            is_learner: false,
        }
    }

    #[test]
    fn names_the_members_in_etcds_order() {
        let members = [
            member(0xbeef, "", &["https://b:2380"]),
            member(1, "cp1", &["https://a:2380", "https://[2001:db8::1]:2380"]),
            member(2, "", &["https://c:2380"]),
        ];
        let text = initial_cluster(&members, MemberId(2), "cp3").unwrap();
        assert_eq!(
            text,
            "beef=https://b:2380,cp1=https://a:2380,cp1=https://[2001:db8::1]:2380,cp3=https://c:2380"
        );
    }

    #[test]
    fn a_name_that_would_change_the_manifest_is_refused() {
        for name in ["a b", "a,b", "a\n- --force-new-cluster", "a'", "a: b", "a=b", "a#"] {
            let members = [member(1, name, &["https://a:2380"]), member(2, "", &["https://b:2380"])];
            assert!(initial_cluster(&members, MemberId(2), "cp2").is_err(), "{name:?}");
        }
    }
}
