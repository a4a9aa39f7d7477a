//! Discovery by a kubeconfig.

use crate::discovery::NOW;
use crate::discovery::Still;
use crate::discovery::compare;
use crate::discovery::run_on;
use crate::discovery::said;
use crate::discovery::server::Authority;
use crate::discovery::server::Server;
use crate::discovery::server::TOKEN;
use crate::discovery::server::around;
use crate::discovery::server::cluster_info;
use crate::discovery::server::encoded;
use crate::discovery::server::http;
use crate::discovery::server::tls;
use kubewright::cluster::kubeadm::FileDiscovery;
use kubewright::cluster::kubeadm::JoinConfiguration;
use kubewright::cluster::kubeadm::TokenDiscovery;
use kubewright::discovery;
use kubewright::discovery::DiscoveryError;
use kubewright::discovery::Found;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use kubewright::host::Output;
use kubewright::host::Socket;
use kubewright::host::Stream;
use kubewright::pki::kubeconfig;
use kubewright::pki::load;
use kubewright::pki::pin;
use kubewright::pki::sans::Sans;
use kubewright::pki::spec::Usage;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// The files of a test, and the sockets of this machine.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }
}

impl Host for Files {
    fn name(&self) -> &'static str {
        "w1"
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        panic!("discovery runs nothing, not even {command}")
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        let inside = format!("{path}/");
        Ok(match self.0.get(path) {
            Some(content) => Some(Entry::file(content.clone(), 0o600)),
            None => self.0.keys().any(|other| other.starts_with(&inside)).then(|| Entry::directory(0o755)),
        })
    }

    fn write(&self, path: &str, _: &Entry) -> Result<(), HostError> {
        panic!("discovery writes nothing, not even {path}")
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        panic!("discovery removes nothing, not even {path}")
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        Local::new("w1").connect(to)
    }
}

const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

fn join(path: &str, token: &str) -> JoinConfiguration {
    let mut join = JoinConfiguration::default();
    join.discovery.file = Some(FileDiscovery { kube_config_path: path.to_owned() });
    token.clone_into(&mut join.discovery.tls_bootstrap_token);
    join
}

fn discover(files: &[(&str, &str)], path: &str, token: &str) -> Result<Found, DiscoveryError> {
    run_on(&Files::new(files), &join(path, token), &Still::default(), &AtomicBool::new(false)).0
}

/// A kubeconfig of one cluster and one user.
fn file(cluster: &Value, user: &Value) -> String {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "other", "cluster": {"server": "https://10.0.0.9:6443"}}, {"name": "c", "cluster": cluster}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "users": [{"name": "other", "user": {"token": "unused"}}, {"name": "u", "user": user}],
    });
    serde_yaml::to_string(&value).unwrap()
}

fn read(bytes: &[u8]) -> Value {
    serde_yaml::from_slice(bytes).unwrap()
}

/// Publishes a cluster-info that names the server itself.
fn cluster(authority: &Authority) -> Server {
    let pem = authority.certificate.pem();
    Server::start(tls(&authority.server(), None), move |_, request| {
        let host = request.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap().to_owned();
        http(200, &cluster_info(&kubeconfig::cluster_info(&format!("https://{host}"), &pem), &[TOKEN]), NOW)
    })
}

fn url(server: &Server) -> String {
    format!("https://{}", server.endpoint())
}

fn messages(found: &Found) -> Vec<&str> {
    found.warnings.iter().map(|warning| warning.message.as_str()).collect()
}

#[test]
fn a_file_without_credentials_goes_with_a_token() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority);
    let pem = authority.certificate.pem();
    let text = kubeconfig::cluster_info(&url(&server), &pem);
    for path in ["/root/discovery.conf", "file:///root/discovery.conf"] {
        let found = discover(&[("/root/discovery.conf", &text)], path, TOKEN).unwrap();
        assert_eq!((found.server.as_str(), found.ca.as_slice()), (url(&server).as_str(), pem.as_bytes()));
        assert_eq!(messages(&found), Vec::<&str>::new());
        let credentials = read(&found.credentials);
        assert_eq!(credentials["users"][0]["user"], json!({"token": TOKEN}));
    }
    assert!(!server.requests().concat().contains("Authorization"));
}

#[test]
fn credentials_of_the_file_are_shown_and_kept() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority);
    let data = encoded(authority.certificate.pem());
    let cluster = json!({"server": url(&server), "certificate-authority-data": data});
    for (user, header) in [
        (json!({"token": "abc"}), "Authorization: Bearer abc\r\n"),
        (json!({"username": "u", "password": "p:w"}), "Authorization: Basic dTpwOnc=\r\n"),
    ] {
        let found = discover(&[("/d.conf", &file(&cluster, &user))], "/d.conf", "").unwrap();
        assert!(server.requests().last().unwrap().contains(header));
        let expected = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"cluster": cluster, "name": "c"}],
            "contexts": [{"context": {"cluster": "c", "user": "u"}, "name": "u@c"}],
            "current-context": "u@c",
            "users": [{"name": "u", "user": user}],
        });
        assert_eq!(read(&found.credentials), expected, "nothing else of the file is taken");
        let renamed = read(&found.bootstrap_kubeconfig("prod", Some("https://10.0.0.1:6443")).unwrap());
        assert_eq!(renamed["clusters"][0]["name"], "prod");
        assert_eq!(renamed["clusters"][0]["cluster"]["server"], "https://10.0.0.1:6443");
        assert_eq!(renamed["contexts"][0]["context"], json!({"cluster": "prod", "user": "u"}));
    }
}

#[test]
fn files_that_the_file_names_are_put_into_it() {
    let authority = Authority::new("kubernetes");
    let client = authority.leaf(&Sans::default(), &[Usage::ClientAuth], around(NOW, time::Duration::days(1)));
    let pem = authority.certificate.pem();
    let body = cluster_info(&kubeconfig::cluster_info("https://127.0.0.1:1", &pem), &[]);
    let server = Server::start(tls(&authority.server(), Some(&authority)), move |_, _| http(200, &body, NOW));
    let cluster = json!({"server": url(&server), "certificate-authority": "ca.crt"});
    let user = json!({"client-certificate": "pki/me.crt", "client-key": "/keys/me.key"});
    let files = [
        ("/root/d.conf", file(&cluster, &user)),
        ("/root/ca.crt", pem.clone()),
        ("/root/pki/me.crt", client.certificate.pem()),
        ("/keys/me.key", client.key.pem().to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let found = discover(&files, "/root/d.conf", "").unwrap();
    let credentials = read(&found.credentials);
    let user = &credentials["users"][0]["user"];
    assert_eq!(user["client-certificate-data"], encoded(client.certificate.pem()));
    assert_eq!(user["client-key-data"], encoded(client.key.pem()));
    assert_eq!(user.as_object().unwrap().len(), 2);
    assert_eq!(credentials["clusters"][0]["cluster"]["certificate-authority-data"], encoded(&pem));
    assert!(!format!("{found:?}").contains("PRIVATE"));

    let token = json!({"tokenFile": "token"});
    let cluster = json!({"server": url(&server), "certificate-authority": "/root/ca.crt"});
    let text = file(&cluster, &token);
    let files = [("/root/d.conf", text.as_str()), ("/root/token", "t0k\n"), ("/root/ca.crt", &pem)];
    let adopted = discovery::adopt(text.as_bytes(), "/root/d.conf", &Files::new(&files)).unwrap();
    assert_eq!(read(&adopted.credentials)["users"][0]["user"], json!({"token": "t0k"}));
}

#[test]
fn an_authority_that_the_file_lacks_is_taken_from_the_cluster() {
    let (web, authority) = (Authority::new("web"), Authority::new("kubernetes"));
    let pem = authority.certificate.pem();
    let body = cluster_info(&kubeconfig::cluster_info("https://10.0.0.1:6443", &pem), &[TOKEN]);
    let server = Server::start(tls(&web.server(), None), move |_, _| http(200, &body, NOW));
    let text = file(&json!({"server": url(&server)}), &json!({"token": "abc"}));
    let bundle = format!("# the web\n{}", web.certificate.pem());
    let found = discover(&[("/d.conf", &text), (SYSTEM, &bundle)], "/d.conf", "").unwrap();
    assert_eq!(found.ca, pem.as_bytes());
    let expected = format!(
        "the API server {} of the discovery file is not https://10.0.0.1:6443, which the cluster names",
        url(&server)
    );
    assert_eq!(messages(&found), [expected]);
}

#[test]
fn a_cluster_that_tells_nothing_is_trusted_by_its_certificate() {
    let authority = Authority::new("kubernetes");
    let data = encoded(authority.certificate.pem());
    let exec = json!({"exec": {"command": "get-token", "apiVersion": "client.authentication.k8s.io/v1"}});
    for (status, user) in [(403, json!({"token": "abc"})), (403, exec.clone()), (401, exec)] {
        let server = Server::start(tls(&authority.server(), None), move |_, _| {
            http(status, r#"{"kind":"Status"}"#, NOW)
        });
        let cluster = json!({
            "server": format!("{}/k8s/clusters/c-1/", url(&server)),
            "certificate-authority-data": data,
            "tls-server-name": "api.test",
            "insecure-skip-tls-verify": true,
        });
        let found = discover(&[("/d.conf", &file(&cluster, &user))], "/d.conf", "").unwrap();
        let requests = server.requests();
        assert!(requests[0].starts_with("GET /k8s/clusters/c-1/api/v1/namespaces/kube-public/"));
        assert_eq!(
            messages(&found),
            [
                "`insecure-skip-tls-verify` of /d.conf is not obeyed: the API server is verified".to_owned(),
                format!("the cluster-info of {} may not be read", server.endpoint())
            ]
        );
        assert_eq!(read(&found.credentials)["users"][0]["user"], user);
    }
}

#[test]
fn a_url_is_fetched_as_far_as_it_leads() {
    let (web, authority) = (Authority::new("web"), Authority::new("kubernetes"));
    let cluster = cluster(&authority);
    let text = kubeconfig::cluster_info(&url(&cluster), &authority.certificate.pem());
    let server = Server::start(tls(&web.server(), None), move |_, request| {
        if request.starts_with("GET /moved?x=1 ") {
            "HTTP/1.1 302 Found\r\nLocation: /here\r\n\r\n".to_owned()
        } else {
            http(200, &text, NOW)
        }
    });
    let bundle = web.certificate.pem();
    let path = format!("{}/moved?x=1", url(&server));
    let found = discover(&[(SYSTEM, &bundle)], &path, TOKEN).unwrap();
    assert_eq!(found.server, url(&cluster));
    assert!(server.requests()[1].starts_with("GET /here HTTP/1.1\r\n"));
}

#[test]
fn what_is_wrong_with_a_file_is_told_apart() {
    let authority = Authority::new("kubernetes");
    let server = cluster(&authority);
    let (pem, data) = (authority.certificate.pem(), encoded(authority.certificate.pem()));
    let refusing =
        Server::start(tls(&authority.server(), None), |_, _| http(401, r#"{"kind":"Status"}"#, NOW));
    let bare = Server::start(tls(&authority.server(), None), |_, _| http(200, &cluster_info("", &[]), NOW));
    let good = json!({"server": url(&server), "certificate-authority-data": data});
    let at = |server: &str| json!({"server": server, "certificate-authority-data": data});
    let token = json!({"token": "abc"});
    let with = |key: &str, value: &str| {
        let mut cluster = json!({"server": url(&server)});
        cluster[key] = json!(value);
        file(&cluster, &token)
    };
    let other = encoded(Authority::new("kubernetes").certificate.pem());
    let client = json!({"client-certificate-data": data, "client-key-data": encoded("no key")});
    let cases = [
        ("no such file", None, ""),
        ("not YAML", Some("a: [".to_owned()), ""),
        ("not a mapping", Some("just text".to_owned()), ""),
        ("no clusters", Some("clusters: []\n".to_owned()), ""),
        ("a context that does not exist", Some("current-context: x\n".to_owned()), ""),
        ("a server without TLS", Some(file(&at("http://10.0.0.1:8080"), &token)), ""),
        ("a server that is no URL", Some(file(&at("10.0.0.1:6443"), &token)), ""),
        ("an authority that is not base64", Some(with("certificate-authority-data", "%%%")), ""),
        ("an authority that is not PEM", Some(with("certificate-authority-data", "Q0E=")), ""),
        ("an authority of another cluster", Some(with("certificate-authority-data", &other)), ""),
        ("an authority in a file that does not exist", Some(with("certificate-authority", "ca.crt")), ""),
        ("no authority, and none on the host", Some(file(&json!({"server": url(&server)}), &token)), ""),
        ("no user and no token", Some(kubeconfig::cluster_info(&url(&server), &pem)), ""),
        ("a user without credentials", Some(file(&good, &json!({"as": "x"}))), ""),
        ("a client key that is none", Some(file(&good, &client)), ""),
        ("a token of several lines", Some(file(&good, &json!({"token": "a\r\nb"}))), ""),
        ("a token that the cluster refuses", Some(file(&at(&url(&refusing)), &token)), ""),
        ("a malformed token beside the file", Some(file(&good, &json!({}))), "abc"),
    ];
    let mut all = Vec::new();
    let (port, refusing_port) = (format!(":{}", server.port), format!(":{}", refusing.port));
    let varying = [(port.as_str(), ":6443"), (refusing_port.as_str(), ":6443")];
    for (name, text, token) in &cases {
        let files: Vec<(&str, &str)> = text.iter().map(|text| ("/root/d.conf", text.as_str())).collect();
        let error = discover(&files, "/root/d.conf", token).expect_err(name);
        all.push((*name, said(&error, &varying)));
    }
    // The system's authorities vouch for the server, and nobody says what the cluster's own are.
    let text = file(&json!({"server": url(&bare)}), &token);
    let error = discover(&[("/root/d.conf", &text), (SYSTEM, &pem)], "/root/d.conf", "").unwrap_err();
    all.push(("no authority, and none in cluster-info", said(&error, &[])));
    let directory = discover(&[("/root/d.conf/x", "")], "/root/d.conf", "").unwrap_err();
    all.push(("a directory", said(&directory, &[])));
    compare("files.txt", &all);
}

#[test]
fn what_is_wrong_with_a_url_is_told_apart() {
    let web = Authority::new("web");
    let pem = web.certificate.pem();
    let serve = |answer: &'static str| Server::start(tls(&web.server(), None), move |_, _| answer.to_owned());
    let stranger = Server::start(tls(&Authority::new("x").server(), None), |_, _| http(200, "", NOW));
    let cases = [
        ("there is nothing", serve("HTTP/1.1 404 Not Found\r\n\r\n"), pem.as_str()),
        ("it leads away from TLS", serve("HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/x\r\n\r\n"), &pem),
        ("it leads in a circle", serve("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"), &pem),
        ("nobody vouches for it", stranger, &pem),
        ("the host trusts nobody", serve("HTTP/1.1 200 OK\r\n\r\n"), ""),
        ("it is empty", serve("HTTP/1.1 200 OK\r\n\r\n"), &pem),
    ];
    let said: Vec<_> = cases
        .iter()
        .map(|(name, server, bundle)| {
            let path = format!("{}/x", url(server));
            let error = discover(&[(SYSTEM, bundle)], &path, TOKEN).expect_err(name);
            (*name, said(&error, &[(&format!(":{}", server.port), ":8443")]))
        })
        .collect();
    compare("urls.txt", &said);
}

#[test]
fn a_host_that_has_joined_goes_on_with_its_own_cluster_only() {
    let (own, other) = (Authority::new("kubernetes"), Authority::new("kubernetes"));
    let conf = |authority: &Authority| {
        let cluster = json!({
            "server": "https://10.0.0.1:6443", "certificate-authority-data": encoded(authority.certificate.pem()),
        });
        file(&cluster, &json!({"token": "t0k"}))
    };
    let (own_file, other_file) = (conf(&own), conf(&other));
    let files = [("/own.conf", own_file.as_str()), ("/other.conf", &other_file), ("/broken.conf", "{")];
    let host = Files::new(&files);
    let joined = discovery::adopt(own_file.as_bytes(), "/own.conf", &host).unwrap();
    let pins = |authority: &Authority| {
        let found = load::certificates(authority.certificate.pem().as_bytes()).unwrap();
        found.iter().map(pin::pin).collect::<Vec<_>>()
    };
    let (own_pins, other_pins) = (pins(&own), pins(&other));
    let by_pins = |pins: &[String]| {
        let mut join = JoinConfiguration::default();
        join.discovery.bootstrap_token =
            Some(TokenDiscovery { ca_cert_hashes: pins.to_vec(), ..TokenDiscovery::default() });
        join
    };
    let by_file = |path: &str| {
        let mut join = JoinConfiguration::default();
        join.discovery.file = Some(FileDiscovery { kube_config_path: path.to_owned() });
        join
    };
    let refused = DiscoveryError::Joined {
        server: "https://10.0.0.1:6443".to_owned(),
        found: own_pins.clone(),
        asked: other_pins.clone(),
    };
    for (what, join, expected) in [
        ("the same pin", by_pins(&own_pins), Ok(())),
        ("in capitals", by_pins(&[own_pins[0].to_uppercase()]), Ok(())),
        ("one of several", by_pins(&[other_pins[0].clone(), own_pins[0].clone()]), Ok(())),
        ("another pin", by_pins(&other_pins), Err(refused.clone())),
        ("no pin", by_pins(&[]), Ok(())),
        ("the same file", by_file("/own.conf"), Ok(())),
        ("another file", by_file("file:///other.conf"), Err(refused)),
        ("a file that says nothing", by_file("/broken.conf"), Ok(())),
        ("a file that is gone", by_file("/gone.conf"), Ok(())),
        ("nothing", JoinConfiguration::default(), Ok(())),
    ] {
        assert_eq!(discovery::expect_the_same(&joined, &join, &host), expected, "{what}");
    }
}
