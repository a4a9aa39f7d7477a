//! Discovery by token and pins.

use crate::discovery::NOW;
use crate::discovery::Run;
use crate::discovery::compare;
use crate::discovery::run;
use crate::discovery::run_by;
use crate::discovery::said;
use crate::discovery::server::Authority;
use crate::discovery::server::Server;
use crate::discovery::server::TOKEN;
use crate::discovery::server::around;
use crate::discovery::server::cluster_info;
use crate::discovery::server::http;
use crate::discovery::server::info_kubeconfig;
use crate::discovery::server::tls;
use kubewright::clock::Clock;
use kubewright::clock::System;
use kubewright::cluster::GoDuration;
use kubewright::cluster::kubeadm::JoinConfiguration;
use kubewright::cluster::kubeadm::TokenDiscovery;
use kubewright::discovery::DiscoveryError;
use kubewright::discovery::Trouble;
use kubewright::pki::mint::Validity;
use kubewright::pki::sans::Sans;
use kubewright::pki::spec::Usage;
use kubewright::report::Event;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use time::OffsetDateTime;

fn join(endpoint: &str, token: &str, pins: &[String]) -> JoinConfiguration {
    let mut join = JoinConfiguration::default();
    join.discovery.bootstrap_token = Some(TokenDiscovery {
        token: token.to_owned(),
        api_server_endpoint: endpoint.to_owned(),
        ca_cert_hashes: pins.to_vec(),
        unsafe_skip_ca_verification: false,
    });
    token.clone_into(&mut join.discovery.tls_bootstrap_token);
    join
}

/// A cluster whose cluster-info is signed by these tokens.
fn cluster(authority: &Authority, tokens: &'static [&'static str]) -> Server {
    let body = cluster_info(&info_kubeconfig(authority), tokens);
    Server::start(tls(&authority.server(), None), move |_, _| http(200, &body, NOW))
}

fn other_pin() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

#[test]
fn a_cluster_is_found_and_trusted() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority, &["zzzzzz.0123456789abcdef", TOKEN]);
    let pins = [other_pin(), authority.pin().to_uppercase().replace("SHA256", "Sha256")];
    let run = run(&join(&server.endpoint(), TOKEN, &pins));
    let found = run.result.unwrap();
    assert_eq!(found.server, "https://10.77.0.11:6443");
    assert_eq!(found.ca, authority.certificate.pem().as_bytes());
    assert_eq!(found.warnings, []);
    assert_eq!(run.slept, Duration::ZERO);
    assert!(run.events.is_empty());
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "once to look, once to be sure");
    let path = "GET /api/v1/namespaces/kube-public/configmaps/cluster-info HTTP/1.1\r\n";
    assert!(requests.iter().all(|request| request.starts_with(path)));
    assert!(!requests.concat().contains("Authorization"), "nobody gets the token");
    assert!(!format!("{found:?}").contains("0123456789abcdef"));
}

#[test]
fn the_bootstrap_kubeconfig_is_kubeadms() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority, &[TOKEN]);
    let found = run(&join(&server.endpoint(), TOKEN, &[authority.pin()])).result.unwrap();
    let ca = crate::discovery::server::encoded(&found.ca);
    let expected = |server: &str, cluster: &str, context: &str| {
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n    server: {server}\n  \
             name: {cluster}\ncontexts:\n- context:\n    cluster: {cluster}\n    user: tls-bootstrap-token-user\n  \
             name: {context}\ncurrent-context: {context}\nkind: Config\nusers:\n- name: tls-bootstrap-token-user\n  \
             user:\n    token: {TOKEN}\n"
        )
    };
    let context = "tls-bootstrap-token-user@kubernetes";
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&found.credentials), expected("https://10.77.0.11:6443", "kubernetes", context));
    let worker = found.bootstrap_kubeconfig("prod", None).unwrap();
    assert_eq!(text(&worker), expected("https://10.77.0.11:6443", "prod", context));
    let control_plane = found.bootstrap_kubeconfig("prod", Some("https://10.77.0.12:6443")).unwrap();
    assert_eq!(text(&control_plane), expected("https://10.77.0.12:6443", "prod", context));
}

#[test]
fn another_token_may_ask_for_the_certificate() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority, &[TOKEN]);
    let mut join = join(&server.endpoint(), TOKEN, &[authority.pin()]);
    "ghijkl.0123456789abcdef".clone_into(&mut join.discovery.tls_bootstrap_token);
    let found = run(&join).result.unwrap();
    let text = String::from_utf8(found.credentials.to_vec()).unwrap();
    assert!(text.contains("token: ghijkl.0123456789abcdef\n") && !text.contains(TOKEN));
}

#[test]
fn without_pins_the_operator_is_warned() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority, &[TOKEN]);
    let mut join = join(&server.endpoint(), TOKEN, &[]);
    join.discovery.bootstrap_token.as_mut().unwrap().unsafe_skip_ca_verification = true;
    let found = run(&join).result.unwrap();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(found.warnings.len(), 1);
    assert!(found.warnings[0].message.contains("was not verified"));
    assert!(found.warnings[0].message.contains(&authority.pin()));
}

/// One certificate of the bundle is enough, as while a CA is being replaced.
#[test]
fn any_certificate_of_the_bundle_may_match() {
    let (old, new) = (Authority::new("kubernetes"), Authority::new("kubernetes"));
    let bundle = format!("{}{}", old.certificate.pem(), new.certificate.pem());
    let kubeconfig = kubewright::pki::kubeconfig::cluster_info("https://10.77.0.11:6443", &bundle);
    let body = cluster_info(&kubeconfig, &[TOKEN]);
    let server = Server::start(tls(&old.server(), None), move |_, _| http(200, &body, NOW));
    let found = run(&join(&server.endpoint(), TOKEN, &[new.pin()])).result.unwrap();
    assert_eq!(found.ca, bundle.as_bytes());
}

#[test]
fn chunks_are_put_together() {
    let authority = Authority::new("kubernetes");
    let body = cluster_info(&info_kubeconfig(&authority), &[TOKEN]);
    let server = Server::start(tls(&authority.server(), None), move |_, _| {
        let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in body.as_bytes().chunks(700) {
            write!(answer, "{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()).unwrap();
        }
        answer + "0\r\n\r\n"
    });
    run(&join(&server.endpoint(), TOKEN, &[authority.pin()])).result.unwrap();
}

#[test]
fn a_signature_that_comes_later_is_awaited() {
    let authority = Authority::new("kubernetes");
    let kubeconfig = info_kubeconfig(&authority);
    let unsigned = cluster_info(&kubeconfig, &["zzzzzz.0123456789abcdef"]);
    let signed = cluster_info(&kubeconfig, &["zzzzzz.0123456789abcdef", TOKEN]);
    let server = Server::start(tls(&authority.server(), None), move |number, _| match number {
        0 => http(403, r#"{"kind":"Status"}"#, NOW),
        1 => http(503, "", NOW),
        2 | 3 => http(200, &unsigned, NOW),
        _ => http(200, &signed, NOW),
    });
    let run = run(&join(&server.endpoint(), TOKEN, &[authority.pin()]));
    run.result.unwrap();
    assert_eq!(server.requests().len(), 6);
    assert!(run.slept < Duration::from_secs(2), "{:?}", run.slept);
    let told: Vec<String> = run
        .events
        .iter()
        .map(|event| match event {
            Event::Waiting { phase, host, last, limit_ms, .. } => {
                assert_eq!((phase.as_str(), host.as_deref(), *limit_ms), ("discovery", Some("w1"), 300_000));
                last.clone()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "it forbids everybody to read it (403)",
            "it answers with status 503",
            "no signature by the token `abcdef` yet"
        ]
    );
}

#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_not_for_ever() {
    let authority = Authority::new("kubernetes");
    let body = cluster_info(&info_kubeconfig(&authority), &[TOKEN]);
    let server = Server::start(tls(&authority.server(), None), move |_, _| {
        System.sleep(Duration::from_millis(600));
        http(200, &body, NOW)
    });
    run(&join(&server.endpoint(), TOKEN, &[authority.pin()])).result.unwrap();

    let silent = Server::silent();
    let mut join = join(&silent.endpoint(), TOKEN, &[authority.pin()]);
    join.timeouts.discovery = GoDuration::from_secs(1);
    let start = System.monotonic();
    let (result, _) = run_by(&join, &System, &AtomicBool::new(false));
    let Err(DiscoveryError::Unreachable { trouble, .. }) = result else { panic!("{result:?}") };
    assert_eq!(trouble, Trouble::TimedOut);
    assert!(System.monotonic().saturating_sub(start) < Duration::from_secs(4));
}

#[test]
fn an_interrupt_ends_it_soon() {
    let silent = Server::silent();
    let join = join(&silent.endpoint(), TOKEN, &[other_pin()]);
    let interrupt = AtomicBool::new(false);
    let start = System.monotonic();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            System.sleep(Duration::from_millis(300));
            interrupt.store(true, Ordering::Relaxed);
        });
        run_by(&join, &System, &interrupt).0
    });
    assert_eq!(result, Err(DiscoveryError::Interrupted));
    assert!(System.monotonic().saturating_sub(start) < Duration::from_secs(2));
}

#[test]
fn nothing_is_sent_when_something_is_malformed() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority, &[TOKEN]);
    let endpoint = server.endpoint();
    let pins = [authority.pin()];
    let bad_pins = |pin: &str| [authority.pin(), pin.to_owned()];
    let mut other_tls = join(&endpoint, TOKEN, &pins);
    "abc".clone_into(&mut other_tls.discovery.tls_bootstrap_token);
    let cases = [
        ("a token without its secret half", join(&endpoint, "abcdef", &pins)),
        ("a token in capitals", join(&endpoint, "ABCDEF.0123456789abcdef", &pins)),
        ("another token for the certificate that is malformed", other_tls),
        ("a pin that is too short", join(&endpoint, TOKEN, &bad_pins("sha256:abcd"))),
        (
            "a pin of another algorithm",
            join(&endpoint, TOKEN, &bad_pins(&other_pin().replace("256:", "512:"))),
        ),
        ("no pin", join(&endpoint, TOKEN, &[])),
        ("an endpoint with a scheme", join("https://10.0.0.1:6443", TOKEN, &pins)),
        ("an endpoint without a port", join("10.0.0.1", TOKEN, &pins)),
        ("neither token nor file", JoinConfiguration::default()),
    ];
    let said: Vec<_> = cases
        .iter()
        .map(|(name, join)| {
            let run = run(join);
            assert_eq!(run.slept, Duration::ZERO, "{name}");
            (*name, said(&run.result.expect_err(name), &[]))
        })
        .collect();
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    assert!(!said.iter().any(|(_, text)| text.contains("ABCDEF")), "a token is never repeated");
    compare("malformed.txt", &said);
}

/// What is said of one server, its endpoint and authority named the same in every run.
fn outcome(server: &Server, authority: &Authority, join: &JoinConfiguration) -> String {
    let Run { result, .. } = run(join);
    let port = format!(":{}", server.port);
    said(
        &result.expect_err("it must not be trusted"),
        &[(port.as_str(), ":6443"), (authority.pin().as_str(), "<pin of the CA>")],
    )
}

#[test]
fn what_keeps_a_cluster_from_being_reached_is_told_apart() {
    let authority = Authority::new("kubernetes");
    let at = |endpoint: &str| {
        let mut join = join(endpoint, TOKEN, &[authority.pin()]);
        join.timeouts.discovery = GoDuration::from_secs(30);
        join
    };
    let mut cases = Vec::new();
    let status = |status: u16| {
        Server::start(tls(&authority.server(), None), move |_, _| http(status, r#"{"kind":"Status"}"#, NOW))
    };
    for (name, server) in [
        ("a port that speaks SSH", Server::plain("SSH-2.0-OpenSSH_9.2p1\r\n")),
        ("a port that speaks HTTP", Server::plain("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("a balancer without servers", Server::closing()),
        ("anonymous requests are off", status(401)),
        ("cluster-info may not be read", status(403)),
        ("there is no cluster-info", status(404)),
        ("a server in trouble", status(500)),
        ("a redirect", status(302)),
        (
            "another web server",
            Server::start(tls(&authority.server(), None), |_, _| http(404, "404 page not found", NOW)),
        ),
        ("a page of HTML", Server::start(tls(&authority.server(), None), |_, _| http(200, "<html>", NOW))),
        (
            "something else over TLS",
            Server::start(tls(&authority.server(), None), |_, _| "220 mail\r\n".to_owned()),
        ),
    ] {
        cases.push((name, outcome(&server, &authority, &at(&server.endpoint()))));
    }
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let run_at = |endpoint: &str| run(&at(endpoint)).result.unwrap_err();
    let refused = run_at(&format!("127.0.0.1:{free}"));
    cases.push(("nobody listens", said(&refused, &[(&format!(":{free}"), ":6443")])));
    let DiscoveryError::Unreachable { trouble: Trouble::NoName(_), .. } = run_at("no-such-host.invalid:6443")
    else {
        panic!("a name without an address")
    };
    compare("unreachable.txt", &cases);
}

#[test]
fn what_keeps_a_cluster_from_being_trusted_is_told_apart() {
    let authority = Authority::new("kubernetes");
    let kubeconfig = info_kubeconfig(&authority);
    let serve =
        |body: String| Server::start(tls(&authority.server(), None), move |_, _| http(200, &body, NOW));
    let pins = [authority.pin()];
    let good = join("", TOKEN, &pins);
    let with = |token: &str, pins: &[String]| join("", token, pins);

    let tampered = cluster_info(&kubeconfig, &[TOKEN]).replace("10.77.0.11", "10.77.0.66");
    let another = Authority::new("kubernetes");
    let (first, second) =
        (cluster_info(&kubeconfig, &[TOKEN]), cluster_info(&info_kubeconfig(&another), &[TOKEN]));
    let changing = Server::start(tls(&authority.server(), None), move |number, _| {
        http(200, if number == 0 { &first } else { &second }, NOW)
    });
    let impostor = {
        let body = cluster_info(&kubeconfig, &[TOKEN]);
        Server::start(tls(&another.server(), None), move |_, _| http(200, &body, NOW))
    };
    let elsewhere = {
        let sans =
            Sans { dns: vec!["api.test".to_owned()], ips: vec![IpAddr::V4(Ipv4Addr::new(10, 77, 0, 11))] };
        let pair = authority.leaf(&sans, &[Usage::ServerAuth], around(NOW, time::Duration::days(1)));
        let body = cluster_info(&kubeconfig, &[TOKEN]);
        Server::start(tls(&pair, None), move |_, _| http(200, &body, NOW))
    };
    let no_ca = "clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n  name: \"\"\n";
    let bad_ca = kubewright::pki::kubeconfig::cluster_info("https://10.0.0.1:6443", "CA");
    let plain =
        kubewright::pki::kubeconfig::cluster_info("http://10.0.0.1:6443", &authority.certificate.pem());
    let others = ["uvwxyz.0123456789abcdef", "zzzzzz.0123456789abcdef"];
    let cases = [
        ("the token has expired, or never was", serve(cluster_info(&kubeconfig, &others)), &good),
        ("no token has signed", serve(cluster_info(&kubeconfig, &[])), &good),
        (
            "the token's secret half is wrong",
            serve(cluster_info(&kubeconfig, &[TOKEN])),
            &with("abcdef.fedcba9876543210", &pins),
        ),
        ("the cluster-info was tampered with", serve(tampered), &good),
        (
            "the pin is another cluster's",
            serve(cluster_info(&kubeconfig, &[TOKEN])),
            &with(TOKEN, &[other_pin()]),
        ),
        (
            "several pins, none of them right",
            serve(cluster_info(&kubeconfig, &[TOKEN])),
            &with(TOKEN, &[other_pin(), other_pin().replace("ab", "cd")]),
        ),
        ("the answer changes between the requests", changing, &good),
        ("the server belongs to another cluster", impostor, &good),
        ("the server's certificate is for other names", elsewhere, &good),
        ("the cluster-info is empty", serve(cluster_info("", &[TOKEN])), &good),
        ("the cluster-info is not YAML", serve(cluster_info("a: [", &[TOKEN])), &good),
        ("the cluster-info has no cluster", serve(cluster_info("clusters: []\n", &[TOKEN])), &good),
        ("the cluster-info has no CA", serve(cluster_info(no_ca, &[TOKEN])), &good),
        ("the cluster-info has a CA that is none", serve(cluster_info(&bad_ca, &[TOKEN])), &good),
        ("the cluster-info has a server without TLS", serve(cluster_info(&plain, &[TOKEN])), &good),
    ];
    let said: Vec<_> = cases
        .iter()
        .map(|(name, server, join)| {
            let mut join = (*join).clone();
            join.discovery.bootstrap_token.as_mut().unwrap().api_server_endpoint = server.endpoint();
            (*name, outcome(server, &authority, &join))
        })
        .collect();
    assert!(!said.iter().any(|(_, text)| text.contains("0123456789abcdef")), "no secret is repeated");
    compare("untrusted.txt", &said);
}

#[test]
fn whose_clock_is_wrong_is_said() {
    let authority = Authority::new("kubernetes");
    let kubeconfig = info_kubeconfig(&authority);
    let serve = |validity: Validity, there: Option<OffsetDateTime>| {
        let sans = Sans { dns: Vec::new(), ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] };
        let pair = authority.leaf(&sans, &[Usage::ServerAuth], validity);
        let body = cluster_info(&kubeconfig, &[TOKEN]);
        Server::start(tls(&pair, None), move |_, _| match there {
            Some(there) => http(200, &body, there),
            None => format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
        })
    };
    let days = time::Duration::days;
    let year = |from: OffsetDateTime| Validity { not_before: from, not_after: from + days(365) };
    let cases = [
        ("this host is two days behind", serve(year(NOW + days(1)), Some(NOW + days(2)))),
        ("this host is a year ahead", serve(year(NOW - days(366)), Some(NOW - days(364)))),
        ("the certificate has expired", serve(year(NOW - days(366)), Some(NOW))),
        ("the certificate is of the future", serve(year(NOW + days(1)), Some(NOW))),
        ("the server does not say what time it is", serve(year(NOW - days(366)), None)),
        ("both clocks are wrong for it", serve(year(NOW - days(900)), Some(NOW - days(10)))),
    ];
    let said: Vec<_> = cases
        .iter()
        .map(|(name, server)| {
            let join = join(&server.endpoint(), TOKEN, &[authority.pin()]);
            (*name, outcome(server, &authority, &join))
        })
        .collect();
    compare("clocks.txt", &said);

    for (there, expected) in [
        (NOW + time::Duration::seconds(59), None),
        (NOW + time::Duration::seconds(150), Some("this host's clock is 2 min 30 s behind that of")),
        (NOW - time::Duration::hours(5), Some("this host's clock is 5 h 0 min ahead of that of")),
    ] {
        let server = serve(around(NOW, days(30)), Some(there));
        let found = run(&join(&server.endpoint(), TOKEN, &[authority.pin()])).result.unwrap();
        let message = found.warnings.first().map(|warning| warning.message.as_str());
        assert_eq!(message.is_some(), expected.is_some(), "{message:?}");
        assert!(message.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{message:?}");
    }
}
