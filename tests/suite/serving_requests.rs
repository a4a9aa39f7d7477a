//! Requests for serving certificates: a real kubelet's, and forged ones of every kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright::kube::serving_request::SIGNER;
use kubewright::kube::serving_request::Verdict;
use kubewright::kube::serving_request::judge;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::KeyPair;
use rcgen::SanType;
use serde_json::Value;
use serde_json::json;

const ENDPOINTS: [&str; 2] = ["192.0.2.100", "api.example.com"];

fn node(name: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses: Vec<Value> =
        addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
    json!({"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {}},
        "status": {"addresses": addresses}})
}

/// Three nodes; `w2` claims what belongs to others, `cp1` is where the API is.
fn nodes() -> Vec<Value> {
    let w1 = [
        ("InternalIP", "192.0.2.7"),
        ("InternalIP", "2001:db8::7"),
        ("ExternalIP", "198.51.100.7"),
        ("Hostname", "w1"),
        ("InternalDNS", "w1.internal"),
        ("ExternalDNS", "w1.example.com"),
    ];
    let w2 = [
        ("InternalIP", "192.0.2.8"),
        ("ExternalIP", "192.0.2.7"),
        ("ExternalIP", "192.0.2.100"),
        ("ExternalIP", "127.0.0.1"),
        ("Hostname", "w2"),
        ("ExternalDNS", "kubernetes.default.svc"),
        ("ExternalDNS", "API.example.com"),
    ];
    let mut cp1 = node("cp1", &[("InternalIP", "192.0.2.1"), ("ExternalDNS", "api.example.com")]);
    cp1["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = "".into();
    vec![node("w1", &w1), node("w2", &w2), cp1]
}

/// A request on its way from a node; each test changes one thing.
struct Request {
    sender: &'static str,
    common_name: &'static str,
    organizations: &'static [&'static str],
    names: Vec<SanType>,
    usages: Value,
    groups: Value,
    extra: Option<(DnType, &'static str)>,
    key: KeyPair,
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse().unwrap())
}

impl Request {
    fn of(name: &'static str, names: Vec<SanType>) -> Self {
        Self {
            sender: name,
            common_name: name,
            organizations: &["system:nodes"],
            names,
            usages: json!(["digital signature", "server auth"]),
            groups: json!(["system:nodes", "system:authenticated"]),
            extra: None,
            key: KeyPair::generate().unwrap(),
        }
    }

    fn good() -> Self {
        Self::of("system:node:w1", vec![dns("w1"), ip("192.0.2.7")])
    }

    fn der(&self) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for organization in self.organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        if let Some((kind, value)) = &self.extra {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.subject_alt_names.clone_from(&self.names);
        params.serialize_request(&self.key).unwrap().der().to_vec()
    }

    fn object(&self, der: &[u8]) -> Value {
        let text = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der));
        json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": "csr-1", "creationTimestamp": "2026-01-01T00:00:01Z"},
            "spec": {"signerName": SIGNER, "username": self.sender, "groups": self.groups,
                "usages": self.usages, "request": STANDARD.encode(text)}})
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.object(&self.der()))
    }
}

fn verdict(object: &Value) -> Verdict {
    judge(object, &nodes(), &ENDPOINTS.map(str::to_owned)).verdict
}

#[track_caller]
fn refused(verdict: &Verdict, reasons: &[&str]) {
    let Verdict::Bad(found) = verdict else { panic!("{verdict:?} instead of {reasons:?}") };
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), reasons);
}

#[test]
fn a_real_kubelets_request_is_good() {
    let recorded: Value = serde_json::from_str(include_str!("../requests/real-kubelet.json")).unwrap();
    let nodes = recorded["nodes"].as_array().unwrap();
    let judged: Vec<_> = recorded["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| judge(request, nodes, &["10.77.0.68".to_owned()]))
        .collect();
    assert_eq!(judged[0].verdict, Verdict::Good);
    assert_eq!(judged[0].node.as_deref(), Some("to2"));
    assert_eq!(judged[0].asked, ["DNS:to2", "IP:10.77.0.69"]);
    // The client certificate of the same kubelet was approved by Kubernetes itself.
    assert_eq!(judged[1].verdict, Verdict::Settled { approved: true });
    let mut pending = recorded["requests"][1].clone();
    pending["status"] = json!({});
    assert_eq!(judge(&pending, nodes, &[]).verdict, Verdict::Foreign);
}

#[test]
fn all_that_is_a_nodes_own_is_good() {
    for names in [
        vec![dns("w1")],
        vec![dns("W1")],
        vec![ip("2001:db8::7")],
        vec![ip("::ffff:192.0.2.7")],
        vec![dns("w1"), dns("w1.internal"), dns("w1.example.com"), ip("198.51.100.7")],
    ] {
        // The address is also claimed by w2, so w1 gets it only without that node.
        let request = Request::of("system:node:w1", names);
        let alone = &nodes()[..1];
        let judged = judge(&request.object(&request.der()), alone, &ENDPOINTS.map(str::to_owned));
        assert_eq!(judged.verdict, Verdict::Good, "{:?}", judged.asked);
    }
    let control_plane = Request::of("system:node:cp1", vec![ip("192.0.2.1")]);
    assert_eq!(control_plane.verdict(), Verdict::Good);
    let mut rsa = Request::of("system:node:w1", vec![dns("w1")]);
    rsa.usages = json!(["key encipherment", "server auth", "digital signature"]);
    rsa.key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    assert_eq!(rsa.verdict(), Verdict::Good);
}

#[test]
fn forged_names_and_addresses_are_refused() {
    for (node, names, reasons) in [
        ("system:node:w1", vec![dns("w2")], &["w2 is not among the addresses of node w1"][..]),
        (
            "system:node:w1",
            vec![dns("*.example.com")],
            &["*.example.com is not among the addresses of node w1"],
        ),
        ("system:node:w1", vec![dns("192.0.2.7")], &["192.0.2.7 is not among the addresses of node w1"]),
        (
            "system:node:w1",
            vec![dns("w1"), ip("192.0.2.8"), ip("10.96.0.1")],
            &[
                "192.0.2.8 is not among the addresses of node w1",
                "10.96.0.1 is not among the addresses of node w1",
            ],
        ),
        // A kubelet writes its own addresses, so it may claim another's.
        ("system:node:w2", vec![ip("192.0.2.7")], &["192.0.2.7 is also of node w1"]),
        ("system:node:w2", vec![ip("127.0.0.1")], &["127.0.0.1 means every host to itself, or the API"]),
        (
            "system:node:w2",
            vec![dns("kubernetes.default.svc")],
            &["kubernetes.default.svc means every host to itself, or the API"],
        ),
        (
            "system:node:w2",
            vec![ip("192.0.2.100")],
            &["192.0.2.100 is where the API is, and node w2 is no control plane"],
        ),
        ("system:node:w2", vec![dns("api.example.com")], &["api.example.com is also of node cp1"]),
        ("system:node:w9", vec![dns("w9")], &["there is no node w9"]),
    ] {
        refused(&Request::of(node, names).verdict(), reasons);
    }
}

#[test]
fn forged_forms_are_refused() {
    let change = |change: &dyn Fn(&mut Request), reasons: &[&str]| {
        let mut request = Request::good();
        request.names = vec![dns("w1")];
        change(&mut request);
        refused(&request.verdict(), reasons);
    };
    change(
        &|request| request.common_name = "system:node:w2",
        &["it is for system:node:w2, and was sent by system:node:w1"],
    );
    change(
        &|request| request.sender = "system:node:w2",
        &[
            "it is for system:node:w1, and was sent by system:node:w2",
            "w1 is not among the addresses of node w2",
        ],
    );
    change(
        &|request| {
            request.sender = "jane";
            request.groups = json!(["system:authenticated"]);
        },
        &[
            "it was sent by jane, which is no node",
            "its sender is not of the group system:nodes",
            "it is for system:node:w1, and was sent by jane",
        ],
    );
    change(&|request| request.organizations = &[], &["its organization is `` instead of system:nodes"]);
    change(
        &|request| request.organizations = &["system:masters"],
        &["its organization is `system:masters` instead of system:nodes"],
    );
    change(
        &|request| request.extra = Some((DnType::OrganizationalUnitName, "x")),
        &["its subject says more than it may: 2.5.4.11=x"],
    );
    change(&|request| request.names.clear(), &["it asks for no name and no address"]);
    change(
        &|request| request.names.push(SanType::URI("spiffe://x/y".try_into().unwrap())),
        &["it asks for what no kubelet serves as: URI:spiffe://x/y"],
    );
    change(
        &|request| request.names.push(SanType::Rfc822Name("a@b.c".try_into().unwrap())),
        &["it asks for what no kubelet serves as: email:a@b.c"],
    );
    for usages in [
        json!(["digital signature", "client auth"]),
        json!(["digital signature", "server auth", "client auth"]),
        json!(["server auth"]),
        json!(["any"]),
        json!(["digital signature", "server auth", "server auth"]),
    ] {
        let mut request = Request::good();
        (request.names, request.usages) = (vec![dns("w1")], usages);
        let Verdict::Bad(reasons) = request.verdict() else { panic!("{}", request.usages) };
        assert!(reasons.len() == 1 && reasons[0].starts_with("its usages are not"), "{reasons:?}");
    }
    change(
        &|request| request.key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        &["its key is neither of RSA nor of ECDSA"],
    );
}

#[test]
fn what_was_changed_on_its_way_is_refused() {
    let mut request = Request::good();
    request.names = vec![dns("w2")];
    let mut der = request.der();
    let at = der.windows(2).rposition(|pair| pair == b"w2").unwrap();
    der[at + 1] = b'1';
    refused(&verdict(&request.object(&der)), &["its signature is not by its own key"]);
    let mut object = request.object(&der);
    object["spec"]["request"] = "!".into();
    refused(&verdict(&object), &["the request cannot be read: it is not base64"]);
    object["spec"]["request"] = STANDARD.encode("nothing").into();
    refused(&verdict(&object), &["the request cannot be read: it holds 0 PEM blocks instead of one"]);
    object["spec"] = json!({"signerName": SIGNER});
    assert!(matches!(verdict(&object), Verdict::Bad(_)));
}

#[test]
fn what_somebody_decided_is_settled() {
    for (conditions, expected) in [
        (json!([{"type": "Approved"}]), Verdict::Settled { approved: true }),
        (json!([{"type": "Denied"}]), Verdict::Settled { approved: false }),
        (json!([{"type": "Approved"}, {"type": "Failed"}]), Verdict::Settled { approved: false }),
    ] {
        let request = Request::good();
        let mut object = request.object(&request.der());
        object["status"] = json!({"conditions": conditions});
        assert_eq!(verdict(&object), expected);
    }
}
