//! The commands of every day beside kubeadm's: tokens, expiry, kubeconfigs, and the certificates that kubelets ask for.

use crate::lab;
use crate::lab::Host;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const KUBECONFIG: &str = "export KUBECONFIG=/etc/kubernetes/admin.conf;";

#[test]
fn tokens_are_interchangeable_with_kubeadms() {
    if !lab::available("tokens_are_interchangeable_with_kubeadms") {
        return;
    }
    let host = Host::kube("to1", 68);
    host.ok("kubewright init --config kubeadm.yaml --pki-layout kubeadm");
    each_lists_the_others(&host);
    each_deletes_the_others(&host);
    join_commands_differ_in_the_programs_name(&host);
    refusals(&host);
    nothing_is_changed_dry(&host);
    expiry_is_told_as_kubeadm_tells_it(&host);
    certificates_are_renewed(&host);
    kubeconfigs_open_the_cluster(&host);
}

fn each_lists_the_others(host: &Host) {
    host.ok("kubewright token create aaaaaa.0123456789abcdef --ttl 90m --description ours");
    host.ok(
        "kubeadm token create bbbbbb.0123456789abcdef --ttl 0 --description theirs --usages authentication \
             --groups system:bootstrappers:x,system:bootstrappers:y",
    );
    host.ok("kubeadm token create cccccc.0123456789abcdef --ttl 1s");
    // Cells that hold one word compare as words; kubeadm aligns each row for itself.
    let words = |program: &str| -> Vec<Vec<String>> {
        let text = host.ok(&format!("{program} token list"));
        let rows = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect());
        rows.collect()
    };
    let (ours, theirs) = (words("kubewright"), words("kubeadm"));
    assert_eq!(ours, theirs);
    assert!(ours.len() >= 4, "{ours:?}");
    let documents = |program: &str| -> Vec<Value> {
        let text = host.ok(&format!("{program} token list -o json"));
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
    };
    assert_eq!(documents("kubewright"), documents("kubeadm"));
    let yaml = |program: &str| host.ok(&format!("{program} token list -o yaml"));
    assert_eq!(yaml("kubewright"), yaml("kubeadm"));
    // The Secrets themselves are of one form.
    let keys = |id: &str| -> BTreeSet<String> {
        let text = host.kubectl(&format!("-n kube-system get secret bootstrap-token-{id} -o json"));
        let secret: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(secret["type"], "bootstrap.kubernetes.io/token");
        secret["data"].as_object().unwrap().keys().cloned().collect()
    };
    host.ok("kubeadm token create dddddd.0123456789abcdef --ttl 90m --description theirs");
    assert_eq!(keys("aaaaaa"), keys("dddddd"));
}

fn each_deletes_the_others(host: &Host) {
    for (ours, theirs) in [("kubewright", "kubeadm"), ("kubeadm", "kubewright")] {
        host.ok(&format!("{theirs} token create eeeeee.0123456789abcdef"));
        let deleted = host.ok(&format!("{ours} token delete eeeeee.0123456789abcdef"));
        assert_eq!(deleted, "bootstrap token \"eeeeee\" deleted\n", "{ours}");
        assert!(!host.ok("kubewright token list").contains("eeeeee"));
    }
}

fn join_commands_differ_in_the_programs_name(host: &Host) {
    let key = host.ok("kubewright certs certificate-key");
    for flags in ["", &format!(" --certificate-key {}", key.trim())] {
        let line = |program: &str| {
            host.run("kubewright token delete ffffff");
            let token = "ffffff.0123456789abcdef";
            host.ok(&format!("{program} token create {token} --print-join-command{flags}"))
        };
        let (ours, theirs) = (line("kubewright"), line("kubeadm"));
        assert_eq!(ours, theirs.replacen("kubeadm join", "kubewright join", 1));
        assert!(
            ours.starts_with("kubewright join 10.77.0.68:6443 --token ffffff.0123456789abcdef "),
            "{ours}"
        );
    }
}

fn refusals(host: &Host) {
    for (line, code, part) in [
        ("token create aaaaaa.0123456789abcdef", 7, "a token with id \"aaaaaa\" already exists"),
        ("token create --certificate-key 00 gggggg.0123456789abcdef", 2, "without --print-join-command"),
        ("token delete hhhhhh", 7, "there is no bootstrap token \"hhhhhh\""),
        ("token delete x", 2, "no tokens and no ids"),
        ("token list --kubeconfig /nonexistent", 7, "there is no kubeconfig at /nonexistent"),
    ] {
        let outcome = host.run(&format!("kubewright {line}"));
        assert_eq!(outcome.code, code, "{line}: {}", outcome.text());
        assert!(outcome.stderr.contains(part), "{line}: {}", outcome.text());
    }
    assert!(!host.ok("kubewright token list").contains("gggggg"), "it was refused, and made all the same");
    let invalid = "--from-literal=token-id=other1";
    host.kubectl(&format!(
        "-n kube-system create secret generic bootstrap-token-wrong1 --type bootstrap.kubernetes.io/token {invalid}"
    ));
    let listed = host.run("kubewright token list");
    assert!(listed.code == 0 && listed.stderr.contains("bootstrap-token-wrong1"), "{}", listed.text());
    assert!(!listed.stdout.contains("other1"), "{}", listed.stdout);
}

fn nothing_is_changed_dry(host: &Host) {
    let secrets = || host.kubectl("-n kube-system get secrets -o name");
    let before = secrets();
    let made = host.run("kubewright token create iiiiii.0123456789abcdef --dry-run");
    assert!(
        made.code == 0 && made.stderr.contains("bootstrap-token-iiiiii would be created"),
        "{}",
        made.text()
    );
    let gone = host.run("kubewright token delete aaaaaa --dry-run");
    assert!(gone.code == 0 && gone.stderr.contains("\"aaaaaa\" would be deleted"), "{}", gone.text());
    assert_eq!(secrets(), before);
}

/// kubeadm tells how it came by the configuration first; of what follows, every line is the same.
fn expiry_is_told_as_kubeadm_tells_it(host: &Host) {
    let theirs = host.ok("kubeadm certs check-expiration");
    let theirs = &theirs[theirs.find("CERTIFICATE ").unwrap()..];
    let ours = host.ok("kubewright certs check-expiration");
    let (two, third) = ours.split_once("\nKUBELET CERTIFICATE").unwrap();
    assert_eq!(two.trim_end(), theirs.trim_end());
    assert!(third.contains("kubelet.conf") && third.contains("364d"), "{third}");
    let value = |program: &str| -> Value {
        let mut value: Value =
            serde_json::from_str(&host.ok(&format!("{program} certs check-expiration -o json"))).unwrap();
        value.as_object_mut().unwrap().remove("kubeletCertificates");
        for list in ["certificates", "certificateAuthorities"] {
            // A second may pass between the two.
            value[list].as_array_mut().unwrap().iter_mut().for_each(|row| row["residualTime"] = Value::Null);
        }
        value
    };
    assert_eq!(value("kubewright"), value("kubeadm"));
    for (days, code) in [(30, 0), (400, 9)] {
        let outcome = host.run(&format!("kubewright certs check-expiration --within {days}"));
        assert_eq!(outcome.code, code, "{}", outcome.text());
    }
    host.ok("mv /etc/kubernetes/pki/front-proxy-client.crt /root/");
    let missing = |program: &str| {
        let text = host.ok(&format!("{program} certs check-expiration"));
        text.lines().find(|line| line.contains("MISSING")).map(str::to_owned)
    };
    assert_eq!(missing("kubewright"), missing("kubeadm"));
    host.ok("mv /root/front-proxy-client.crt /etc/kubernetes/pki/");
}

/// All components go on with new certificates, and kubeadm reads them like its own.
fn certificates_are_renewed(host: &Host) {
    let served = || {
        host.ok(
            "openssl s_client -connect 10.77.0.68:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial",
        )
    };
    let before = served();
    let dry = host.run("kubewright certs renew all --dry-run -o json");
    let told: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!(
        (told["renewed"].as_array().unwrap().len(), &told["dryRun"]),
        (11, &Value::Bool(true)),
        "{}",
        dry.text()
    );
    let renewed = host.run("kubewright certs renew all --restart");
    assert_eq!(renewed.code, 0, "{}", renewed.text());
    assert_eq!(
        renewed.stdout.lines().filter(|line| line.ends_with(" renewed")).count(),
        11,
        "{}",
        renewed.text()
    );
    for component in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        assert!(renewed.stderr.contains(&format!("{component} restarted in")), "{}", renewed.text());
    }
    assert_ne!(served(), before);
    let saved = host.ok("kubewright etcd snapshot save copy.db && stat -c '%a %s' copy.db");
    assert!(saved.contains("/root/copy.db (") && saved.contains("\n600 "), "{saved}");
    host.until(Duration::from_mins(1), &format!("{KUBECONFIG} kubectl get --raw /readyz"));
    host.ok(&format!("{KUBECONFIG} kubectl create namespace renewed && kubectl get nodes"));
    let table = |program: &str| {
        let text = host.ok(&format!("{program} certs check-expiration"));
        text[text.find("CERTIFICATE ").unwrap()..].lines().take(12).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table("kubewright"), table("kubeadm"));
    let again = host.run("kubewright certs renew all --within 30 --restart -o json");
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(told["kept"].as_array().unwrap().len(), 11, "{}", again.text());
    assert_eq!(
        (again.stderr.as_str(), told["renewed"].as_array().unwrap().len()),
        ("", 0),
        "{}",
        again.text()
    );
}

fn kubeconfigs_open_the_cluster(host: &Host) {
    host.ok("kubewright kubeconfig user --client-name jane --org dev,ops --validity-period 1h > jane.conf");
    let who = host.ok("kubectl --kubeconfig jane.conf auth whoami -o json");
    let who: Value = serde_json::from_str(&who).unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "jane");
    let groups = who["status"]["userInfo"]["groups"].to_string();
    assert!(groups.contains("\"dev\"") && groups.contains("\"ops\""), "{groups}");
    host.ok("kubewright kubeconfig user --client-name root2 --org kubeadm:cluster-admins -o root2.conf");
    assert_eq!(host.ok("stat -c %a root2.conf"), "600\n");
    host.ok("kubectl --kubeconfig root2.conf get nodes");
    // The same in every field as kubeadm's, but for the bytes of certificate and key.
    host.ok("kubeadm kubeconfig user --client-name jane --org dev,ops --config kubeadm.yaml > theirs.conf");
    let shape = |file: &str| host.ok(&format!("sed 's/\\(client-.*-data:\\).*/\\1/' {file}"));
    assert_eq!(shape("jane.conf"), shape("theirs.conf"));
    let long = host.run("kubewright kubeconfig user --client-name x --validity-period 9000h");
    assert!(long.code == 0 && long.stderr.contains("longer than the usual 8760h0m0s"), "{}", long.stderr);
    let version = host.ok(&format!("{KUBECONFIG} kubewright version --kubeconfig $KUBECONFIG"));
    assert!(version.contains("Server v1.36.2"), "{version}");
    // Without the API, admin.conf says where it is.
    host.ok("mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/");
    host.until(
        Duration::from_mins(1),
        &format!("{KUBECONFIG} ! kubectl get --raw /livez --request-timeout 2s"),
    );
    let offline = host.run("kubewright kubeconfig user --client-name jane");
    assert!(
        offline.code == 0 && offline.stderr.contains("does not tell its configuration"),
        "{}",
        offline.text()
    );
    assert!(offline.stdout.contains("server: https://10.77.0.68:6443\n"));
}

#[test]
fn a_kubelets_certificate_is_approved_and_forged_ones_are_not() {
    if !lab::available("a_kubelets_certificate_is_approved_and_forged_ones_are_not") {
        return;
    }
    let host = Host::kube("to1", 68);
    host.ok("kubewright init --config kubeadm.yaml");
    let worker = Host::kube("to2", 69);
    let join = host.ok("kubeadm token create --print-join-command");
    worker.ok(&format!("{} --ignore-preflight-errors=SystemVerification", join.trim()));
    let pending =
        "kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -o name | grep csr-";
    host.until(Duration::from_mins(1), &format!("{KUBECONFIG} {pending}"));
    let listed = host.run("kubewright certs approve --list");
    assert!(listed.code == 0 && listed.stdout.contains("would be approved"), "{}", listed.text());
    forged_requests_are_refused(&host, &worker);
    let approved = host.run("kubewright certs approve --node to2 --wait 60s -o json");
    let first =
        approved.stdout.lines().find(|line| line.contains("\"approved\"")).unwrap_or_default().to_owned();
    let first: Value = serde_json::from_str(&first).unwrap_or_else(|_| panic!("{}", approved.text()));
    assert_eq!(first["asksFor"], serde_json::json!(["DNS:to2", "IP:10.77.0.69"]));
    the_api_server_verifies_the_worker(&host, &worker);
}

/// The same form with one thing changed in each, sent by the worker's own kubelet where the API takes that from it.
fn forged_requests_are_refused(host: &Host, worker: &Host) {
    let kubelet = (worker, "/etc/kubernetes/kubelet.conf");
    let forge = |(sender, kubeconfig): (&Host, &str), name: &str, subject: &str, names: &str| {
        sender.ok(&format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null \
             -subj '{subject}' {names} -out {name}.csr 2>/dev/null && \
             printf '{{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":\"CertificateSigningRequest\",\
             \"metadata\":{{\"name\":\"{name}\"}},\"spec\":{{\"signerName\":\"kubernetes.io/kubelet-serving\",\
             \"usages\":[\"digital signature\",\"server auth\"],\"request\":\"%s\"}}}}' $(base64 -w0 {name}.csr) > {name}.json && \
             kubectl --kubeconfig {kubeconfig} create --validate=false -f {name}.json"
        ));
    };
    let subject = "/O=system:nodes/CN=system:node:to2";
    let names = |list: &str| format!("-addext subjectAltName={list}");
    forge(kubelet, "forged-address", subject, &names("DNS:to2,IP:10.77.0.68"));
    forge(kubelet, "forged-service", subject, &names("DNS:kubernetes.default.svc"));
    forge(kubelet, "forged-uri", subject, &names("DNS:to2,URI:spiffe://x"));
    // A kubelet may not even send this; an administrator, or somebody with his file, may.
    let admin = (host, "/etc/kubernetes/admin.conf");
    forge(admin, "forged-node", "/O=system:nodes/CN=system:node:to1", &names("DNS:to1"));
    let outcome = host.run("kubewright certs approve forged-address forged-service forged-uri forged-node");
    assert_eq!(outcome.code, 9, "{}", outcome.text());
    for (name, reason) in [
        ("forged-address", "10.77.0.68 is not among the addresses of node to2"),
        ("forged-service", "kubernetes.default.svc is not among the addresses of node to2"),
        ("forged-uri", "it asks for what no kubelet serves as: URI:spiffe://x"),
        ("forged-node", "it was sent by kubernetes-admin, which is no node"),
    ] {
        let line = outcome.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line.contains("refused") && line.contains(reason), "{}", outcome.stdout);
    }
    assert_eq!(host.kubectl("get csr forged-address -o jsonpath={.status}"), "{}");
    let denied = host.run("kubewright certs approve forged-address --deny");
    assert_eq!(denied.code, 9, "{}", denied.text());
    assert!(host.kubectl("get csr forged-address").contains("Denied"));
    // A kubelet that writes another's address into its own node gets it no more than before.
    let mut node: Value = serde_json::from_str(&host.kubectl("get node to2 -o json")).unwrap();
    let claimed = serde_json::json!({"type": "InternalIP", "address": "10.77.0.68"});
    node["status"]["addresses"].as_array_mut().unwrap().push(claimed);
    node["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    worker.write("/root/node.json", &node.to_string());
    worker.ok("kubectl --kubeconfig /etc/kubernetes/kubelet.conf replace --raw /api/v1/nodes/to2/status -f node.json");
    forge(kubelet, "forged-claim", subject, &names("DNS:to2,IP:10.77.0.68"));
    let claim = host.run("kubewright certs approve forged-claim");
    assert_eq!(claim.code, 9, "{}", claim.text());
    // The kubelet puts its true addresses back every few seconds; either answer is a refusal.
    let told = ["10.77.0.68 is also of node to1", "10.77.0.68 is not among the addresses of node to2"];
    assert!(told.iter().any(|reason| claim.stdout.contains(reason)), "{}", claim.stdout);
}

/// Logs and exec go from the API server to the worker's kubelet, which now serves with a certificate of its authority.
fn the_api_server_verifies_the_worker(host: &Host, worker: &Host) {
    worker.until(Duration::from_mins(1), "test -e /var/lib/kubelet/pki/kubelet-server-current.pem");
    let pod =
        "$(kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector spec.nodeName=to2 -o name)";
    let logs = host.until(
        Duration::from_secs(90),
        &format!("{KUBECONFIG} kubectl -n kube-system logs {pod} --tail=3 | grep ."),
    );
    assert!(!logs.is_empty());
    assert_eq!(
        host.ok(&format!("{KUBECONFIG} kubectl -n kube-system exec {pod} -- sh -c 'echo here'")),
        "here\n"
    );
    host.ok("openssl s_client -connect 10.77.0.69:10250 -CAfile /etc/kubernetes/pki/kubelet-ca.crt \
         -verify_ip 10.77.0.69 -verify_return_error </dev/null");
}
