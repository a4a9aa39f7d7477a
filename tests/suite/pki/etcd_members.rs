//! Members come to a real etcd and go again, over TLS with a client certificate.
#![expect(clippy::disallowed_methods, reason = "tests wait for etcd")]

use super::fixture;
use super::real_etcd::Etcd;
use super::real_etcd::JOINING;
use super::real_etcd::LIMIT;
use super::real_etcd::NAMES;
use super::real_etcd::binaries;
use crate::skip::skip;
use kubewright::etcd::Client;
use kubewright::etcd::Etcd as _;
use kubewright::etcd::EtcdError;
use kubewright::etcd::Member;
use kubewright::etcd::MemberId;
use kubewright::etcd::Membership;
use kubewright::etcd::Tls;
use kubewright::host::Local;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Nobody listens there.
const DEAD: &str = "https://127.0.0.1:1";

fn client(etcd: &Etcd, authority: &str, base: &str, endpoints: &[String]) -> Client {
    let read = |file: String| fixture::read(&etcd.pki(NAMES[0]).join(file));
    let tls = Tls::new(
        &read(format!("{authority}.crt")),
        &read(format!("{base}.crt")),
        &read(format!("{base}.key")),
    )
    .unwrap();
    assert!(!format!("{tls:?}").contains("PRIVATE"));
    Client::new(Arc::new(Local::new("here")), endpoints.to_vec(), tls).unwrap()
}

/// Repeats what etcd is not ready for.
fn patiently<T>(what: &str, mut call: impl FnMut() -> Result<T, EtcdError>) -> T {
    let start = Instant::now();
    loop {
        match call() {
            Ok(answer) => return answer,
            Err(error) => assert!(error.may_heal() && start.elapsed() < LIMIT, "{what}: {error}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn joining<'a>(etcd: &Etcd, members: &'a [Member]) -> &'a Member {
    let url = etcd.peer_url(JOINING);
    members.iter().find(|member| member.has_peer_url(&url)).unwrap()
}

fn add_and_withdraw(etcd: &Etcd, client: &Client) {
    let url = etcd.peer_url(JOINING);
    let members = patiently("add", || client.member_add_learner(&url));
    assert_eq!(members.len(), 4);
    let id = joining(etcd, &members).id;
    assert!(!joining(etcd, &members).has_started());
    assert_eq!(client.member_add_learner(&url), Err(EtcdError::PeerUrlExists));
    assert_eq!(client.member_add_learner("https://127.0.0.1:2"), Err(EtcdError::TooManyLearners));
    assert_eq!(client.member_promote(id), Err(EtcdError::NotReady));
    assert_eq!(client.member_remove(id).unwrap().len(), 3);
    assert_eq!(client.member_remove(id), Err(EtcdError::MemberNotFound));
    assert_eq!(client.member_promote(MemberId(7)), Err(EtcdError::MemberNotFound));
}

fn join_and_leave(etcd: &mut Etcd, client: &Client) {
    let url = etcd.peer_url(JOINING);
    let members = patiently("add again", || match client.member_add_learner(&url) {
        // In the second of its removal it would get the same number again, which etcd refuses.
        Err(EtcdError::MemberNotFound) => Err(EtcdError::NotReady),
        answer => answer,
    });
    let id = joining(etcd, &members).id;
    let name = |member: &Member| if member.id == id { JOINING.to_owned() } else { member.name.clone() };
    let all: Vec<String> =
        members.iter().map(|member| format!("{}={}", name(member), member.peer_urls[0])).collect();
    etcd.join(&all.join(","));
    patiently("start", || {
        let started = joining(etcd, &client.member_list()?).has_started();
        if started { Ok(()) } else { Err(EtcdError::NotReady) }
    });
    let status = patiently("status", || client.status(&etcd.client_url(JOINING)));
    assert!(status.is_learner && status.leader.is_some(), "{status:?}");
    let members = patiently("promote", || client.member_promote(id));
    assert!(members.iter().all(|member| !member.is_learner));
    assert_eq!(client.member_promote(id), Err(EtcdError::NotLearner));
    patiently("list", || {
        let all = Membership::gather(client)?;
        if all.sick().next().is_none() { Ok(()) } else { Err(EtcdError::NotReady) }
    });
    let members = patiently("remove", || client.member_remove(id));
    assert_eq!(members.len(), 3);
}

/// What a dead voter does: the others go on, and etcd itself takes in nobody.
fn one_is_dead(etcd: &mut Etcd, client: &Client) {
    etcd.kill(NAMES[0]);
    let start = Instant::now();
    assert_eq!(patiently("list without one", || client.member_list()).len(), 3);
    let found = Membership::gather(client).unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(found.healthy(), "{found:?}");
    let sick: Vec<&str> = found.sick().map(|one| one.endpoint.as_str()).collect();
    assert_eq!(sick, [etcd.client_url(NAMES[0])]);
    let refused = client.member_add_learner(&etcd.peer_url(JOINING));
    assert!(matches!(refused, Err(EtcdError::Unhealthy { .. })), "{refused:?}");
}

fn nobody_else_is_let_in(etcd: &Etcd) {
    let urls = NAMES.map(|name| etcd.client_url(name));
    for (authority, base) in [
        ("etcd/ca", "etcd/peer"),
        ("etcd/ca", "front-proxy-client"),
        ("etcd/peer-ca", "etcd/healthcheck-client"),
    ] {
        let refused = client(etcd, authority, base, &urls).member_list();
        let Err(EtcdError::TlsRefused(tried)) = refused else { panic!("{authority}, {base}: {refused:?}") };
        assert_eq!(tried.0.len(), 3, "{tried}");
    }
}

/// A disk that is full.
struct Full;
impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// By its digest, and to etcd's own program.
fn a_copy_is_whole(client: &Client) {
    let mut copy = Vec::new();
    let length = client.snapshot(&mut copy).unwrap();
    assert_eq!(length, copy.len() as u64);
    // A page of bbolt, and the digest behind all of them.
    assert_eq!((copy[16..20].to_vec(), copy.len() % 512), (vec![0xed, 0xda, 0x0c, 0xed], 32));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &copy).unwrap();
    let status = std::process::Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .args(["snapshot", "status", "-w", "json"])
        .arg(file.path())
        .output();
    match status {
        Ok(status) => {
            let (said, why) =
                (String::from_utf8_lossy(&status.stdout), String::from_utf8_lossy(&status.stderr));
            assert!(status.status.success() && said.contains("\"totalSize\""), "{said}{why}");
        }
        Err(_) => skip("members_come_to_a_real_etcd_and_go_again (snapshot)", "no etcdctl in PATH"),
    }
    let error = client.snapshot(&mut Full).unwrap_err().to_string();
    assert!(error.contains("the copy cannot be written"), "{error}");
}

fn members_come_and_go(binary: &Path) {
    let mut etcd = Etcd::start(binary, |_| "etcd/peer");
    etcd.wait_until_healthy(&[0, 1, 2]);
    let endpoints = [DEAD.to_owned(), etcd.client_url(NAMES[0])];
    let client = client(&etcd, "etcd/ca", "etcd/healthcheck-client", &endpoints);
    let members = client.member_list().unwrap();
    let mut names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, NAMES);
    // The one that answered comes first from now on, and those that it knows are known.
    let known = client.endpoints();
    assert_eq!((known[0].as_str(), known.len()), (endpoints[1].as_str(), 4));
    for name in NAMES {
        let status = client.status(&etcd.client_url(name)).unwrap();
        assert!(
            status.version.starts_with("3.") && status.raft_index > 0 && status.db_size > 0,
            "{status:?}"
        );
        assert!(members.iter().any(|member| Some(member.id) == status.leader));
    }
    assert!(Membership::gather(&client).unwrap().healthy());
    nobody_else_is_let_in(&etcd);
    add_and_withdraw(&etcd, &client);
    join_and_leave(&mut etcd, &client);
    one_is_dead(&mut etcd, &client);
    a_copy_is_whole(&client);
    NAMES[1..].iter().for_each(|name| etcd.kill(name));
    let Err(EtcdError::Unreachable(tried)) = client.member_list() else { panic!("nobody is left") };
    assert!(
        tried.0.iter().any(|(endpoint, reason)| endpoint == DEAD && reason.contains("refused")),
        "{tried}"
    );
}

#[test]
fn members_come_to_a_real_etcd_and_go_again() {
    let binaries = binaries();
    if binaries.is_empty() {
        skip(
            "members_come_to_a_real_etcd_and_go_again",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
    }
    for binary in binaries {
        members_come_and_go(&binary);
    }
}
