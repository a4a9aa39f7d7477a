//! No bytes make discovery panic, whoever sends them.

use crate::discovery::NOW;
use crate::discovery::Still;
use crate::discovery::run;
use crate::discovery::run_by;
use crate::discovery::server::Authority;
use crate::discovery::server::Server;
use crate::discovery::server::TOKEN;
use crate::discovery::server::cluster_info;
use crate::discovery::server::http;
use crate::discovery::server::tls;
use kubewright::cluster::GoDuration;
use kubewright::cluster::kubeadm::FileDiscovery;
use kubewright::cluster::kubeadm::JoinConfiguration;
use kubewright::cluster::kubeadm::TokenDiscovery;
use kubewright::discovery;
use kubewright::host::Blank;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// A server whose next answers are these bytes.
struct Told {
    server: Server,
    answer: Arc<Mutex<String>>,
}

static TOLD: LazyLock<Told> = LazyLock::new(|| {
    let answer = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&answer);
    let server = Server::start(tls(&Authority::new("kubernetes").server(), None), move |_, _| {
        shared.lock().unwrap().clone()
    });
    Told { server, answer }
});

fn join(endpoint: &str, token: &str, pins: Vec<String>) -> JoinConfiguration {
    let mut join = JoinConfiguration::default();
    join.timeouts.discovery = GoDuration::from_secs(1);
    join.discovery.bootstrap_token = Some(TokenDiscovery {
        token: token.to_owned(),
        api_server_endpoint: endpoint.to_owned(),
        ca_cert_hashes: pins,
        unsafe_skip_ca_verification: true,
    });
    join
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Signed by a token, so that it is read.
    #[test]
    fn a_signed_kubeconfig(head in 0..4_usize, text in ".{0,120}", structure in "[a-z:\\[\\]{}&*!|>\" \n-]{0,120}") {
        let heads = ["", "clusters:\n- name: \"\"\n  cluster:\n", "clusters:\n- name: \"\"\n  cluster:\n    server: https://a\n    certificate-authority-data: ", "current-context: "];
        for body in [&text, &structure] {
            let kubeconfig = format!("{}{body}", heads[head]);
            *TOLD.answer.lock().unwrap() = http(200, &cluster_info(&kubeconfig, &[TOKEN]), NOW);
            let _ = run(&join(&TOLD.server.endpoint(), TOKEN, Vec::new()));
            let _ = discovery::adopt(kubeconfig.as_bytes(), "file", &Blank::new("w1"));
        }
    }

    #[test]
    fn an_answer(answer in ".{0,200}", structure in "(HTTP/1.1 (200|404|x) OK\r\n)?(transfer-encoding: chunked\r\n)?(date: .{0,20}\r\n)?(\r\n)?[0-9a-f\r\n{}\":]{0,40}") {
        for answer in [answer, structure] {
            *TOLD.answer.lock().unwrap() = answer;
            let _ = run(&join(&TOLD.server.endpoint(), TOKEN, Vec::new()));
        }
    }

    #[test]
    fn what_the_operator_types(endpoint in ".{0,30}", token in ".{0,30}", pin in ".{0,30}", path in "(https://)?.{0,30}") {
        let interrupt = AtomicBool::new(false);
        // None of these leads anywhere: what is well formed by chance is not asked.
        let endpoint = format!("{endpoint}.invalid");
        let _ = run_by(&join(&endpoint, &token, vec![pin]), &Still::default(), &interrupt);
        let mut by_file = JoinConfiguration::default();
        by_file.discovery.file = Some(FileDiscovery { kube_config_path: path.clone() });
        by_file.discovery.tls_bootstrap_token = token;
        let host = Blank::new("w1");
        let _ = crate::discovery::run_on(&host, &by_file, &Still::default(), &interrupt);
        let _ = discovery::adopt(path.as_bytes(), "file", &host);
    }
}
