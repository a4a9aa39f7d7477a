//! Whole runs against an API in memory.

use super::*;
use crate::api::Fake;
use crate::api::fake::Fault;
use crate::clock::Manual;
use clap::FromArgMatches as _;
use std::cell::RefCell;
use time::OffsetDateTime;

const GOOD: &str = "csr-55j24";

/// A cluster of two nodes, of which a real kubelet asked for a serving certificate.
fn cluster() -> Fake {
    let recorded: Value =
        serde_json::from_str(include_str!("../../../../tests/requests/real-kubelet.json")).unwrap();
    let api = Fake::new();
    for object in ["requests", "nodes"].iter().flat_map(|list| recorded[list].as_array().unwrap()) {
        api.put(object.clone());
    }
    api
}

/// The same request as if another node had sent it.
fn forge(api: &Fake) {
    let mut forged = api.get(&request_ref(GOOD)).unwrap().unwrap();
    forged["metadata"]["name"] = "csr-forged".into();
    forged["spec"]["username"] = "system:node:to1".into();
    api.put(forged);
}

fn args(line: &str) -> ApproveArgs {
    let command = <ApproveArgs as Args>::augment_args(clap::Command::new("approve"));
    let words = std::iter::once("approve").chain(line.split_whitespace());
    ApproveArgs::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
}

/// The exit code (or the error), and one line for each request.
fn approve(api: &Fake, line: &str, clock: &dyn Clock) -> (Result<Exit, String>, Vec<String>) {
    let said = RefCell::new(Vec::new());
    let world = World {
        api,
        clock,
        interrupt: &AtomicBool::new(line.contains("--watch")),
        server: "https://10.77.0.68:6443".to_owned(),
        say: &|rows, _| {
            let text = Face::Text.render(rows, false);
            said.borrow_mut().extend(text.lines().map(str::to_owned));
        },
        tell: &|_| {},
    };
    let exit = Approval::new(&args(line), &world).go();
    (exit.map_err(|error| error.to_string()), said.into_inner())
}

fn clock() -> Manual {
    Manual::new(OffsetDateTime::UNIX_EPOCH)
}

fn condition(api: &Fake, name: &str) -> Option<String> {
    let request = api.get(&request_ref(name)).unwrap().unwrap();
    Some(request.pointer("/status/conditions/0/type")?.as_str()?.to_owned())
}

#[test]
fn approves_the_good_and_leaves_the_bad_pending() {
    let api = cluster();
    forge(&api);
    let (exit, said) = approve(&api, "", &clock());
    assert_eq!(exit, Ok(Exit::Attention));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("csr-55j24    to2       DNS:to2,IP:10.77.0.69   approved"), "{said:?}");
    assert!(
        said[1].contains("refused: it is for system:node:to2, and was sent by system:node:to1"),
        "{said:?}"
    );
    assert_eq!(condition(&api, GOOD).as_deref(), Some("Approved"));
    assert_eq!(condition(&api, "csr-forged"), None);
    let (exit, said) = approve(&api, "--deny", &clock());
    assert_eq!((exit, said.len()), (Ok(Exit::Attention), 1));
    assert_eq!(condition(&api, "csr-forged").as_deref(), Some("Denied"));
    assert_eq!(approve(&api, "", &clock()), (Ok(Exit::Success), Vec::new()));
}

#[test]
fn a_dry_run_decides_nothing() {
    let api = cluster();
    forge(&api);
    let before = api.mutations();
    for line in ["--list", "--dry-run --deny"] {
        let (exit, said) = approve(&api, line, &clock());
        assert_eq!((exit, said.len()), (Ok(Exit::Attention), 2));
    }
    assert_eq!(api.mutations(), before);
}

#[test]
fn only_what_is_named_is_looked_at() {
    let api = cluster();
    forge(&api);
    assert_eq!(approve(&api, "--node to9", &clock()), (Ok(Exit::Success), Vec::new()));
    let (exit, said) = approve(&api, "csr-none", &clock());
    assert!(exit.unwrap_err().starts_with("error: there is no signing request csr-none"));
    assert!(said.is_empty());
    let (exit, said) = approve(&api, "--node to2", &clock());
    assert_eq!((exit, said.len()), (Ok(Exit::Success), 1));
    let (exit, said) = approve(&api, "csr-55j24 csr-forged", &clock());
    assert_eq!(exit, Ok(Exit::Attention));
    assert!(said[0].contains("approved before"), "{said:?}");
}

#[test]
fn requests_of_other_signers_are_left_alone() {
    let api = cluster();
    let mut other = api.get(&request_ref(GOOD)).unwrap().unwrap();
    other["metadata"]["name"] = "csr-other".into();
    other["spec"]["signerName"] = "example.com/signer".into();
    api.put(other);
    let (exit, said) = approve(&api, "", &clock());
    assert_eq!(exit, Ok(Exit::Success));
    assert!(said[1].contains("left alone: its signer is example.com/signer"), "{said:?}");
    assert_eq!(approve(&api, "csr-other", &clock()).0, Ok(Exit::Attention));
    assert_eq!(condition(&api, "csr-other"), None);
}

/// A clock by whose second tick the kubelet asks.
struct Late<'a>(Manual, &'a Fake, Value);

impl Clock for Late<'_> {
    fn now(&self) -> OffsetDateTime {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
        if self.0.monotonic() == Duration::from_secs(2) {
            self.1.put(self.2.clone());
        }
    }
}

#[test]
fn waits_for_what_comes() {
    for line in ["--wait 5s", "--wait 5s --node to2", "--wait 5s csr-55j24"] {
        let api = cluster();
        let request = api.get(&request_ref(GOOD)).unwrap().unwrap();
        api.remove(&request_ref(GOOD));
        let late = Late(clock(), &api, request);
        let (exit, said) = approve(&api, line, &late);
        assert_eq!((exit, said.len()), (Ok(Exit::Success), 1), "{line}");
        assert_eq!(late.monotonic(), Duration::from_secs(2), "{line}");
        // Once more: what was named is approved already, and nothing else is pending.
        if line.contains("to2") {
            assert_eq!(approve(&api, line, &clock()).0, Ok(Exit::Success));
        }
    }
}

#[test]
fn tells_what_did_not_come() {
    let api = cluster();
    api.remove(&request_ref(GOOD));
    for (line, expected) in [("--wait 3s", "any node"), ("--wait 3s --node to1,to2", "node to1, node to2")] {
        let clock = clock();
        let error = approve(&api, line, &clock).0.unwrap_err();
        assert!(error.starts_with(&format!("error: no request of {expected} came in time")), "{error}");
        assert_eq!(clock.monotonic(), Duration::from_secs(3));
    }
}

#[test]
fn an_approval_of_an_earlier_node_of_that_name_does_not_count() {
    let api = cluster();
    approve(&api, "", &clock()).0.unwrap();
    let name = ObjectRef::new("v1", "Node", "", "to2");
    let mut node = api.get(&name).unwrap().unwrap();
    node["metadata"]["creationTimestamp"] = "2026-11-20T17:00:00Z".into();
    api.put(node);
    assert!(approve(&api, "--wait 3s --node to2", &clock()).0.is_err());
}

#[test]
fn a_decision_that_came_between_is_looked_at_again() {
    let api = cluster();
    api.break_at(api.mutations(), Fault::Refuse(409));
    assert_eq!(approve(&api, "", &clock()).0, Ok(Exit::Success));
    assert_eq!(condition(&api, GOOD).as_deref(), Some("Approved"));
}

#[test]
fn what_was_approved_before_the_connection_broke_is_told() {
    let api = cluster();
    let mut second = api.get(&request_ref(GOOD)).unwrap().unwrap();
    second["metadata"]["name"] = "csr-later".into();
    api.put(second);
    api.break_at(api.mutations() + 1, Fault::DieBefore);
    let (exit, said) = approve(&api, "", &clock());
    assert!(exit.unwrap_err().contains("does not answer"));
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn watching_ends_when_it_is_interrupted() {
    let api = cluster();
    assert_eq!(approve(&api, "--watch", &clock()).0, Ok(Exit::Success));
    assert_eq!(condition(&api, GOOD).as_deref(), Some("Approved"));
}

#[test]
fn hosts_of_urls() {
    for (url, expected) in [
        ("https://10.77.0.68:6443", "10.77.0.68"),
        ("https://[2001:db8::1]:6443", "2001:db8::1"),
        ("https://api.example.com", "api.example.com"),
        ("https://api.example.com:6443/path", "api.example.com"),
    ] {
        assert_eq!(host_of(url), expected);
    }
}
