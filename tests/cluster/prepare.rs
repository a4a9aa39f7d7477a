//! `--prepare` repairs a host, and remembers how it was.

use crate::lab;
use crate::lab::Host;
use serde_json::Value;

#[test]
fn sysctls_are_repaired_and_remembered() {
    if !lab::available("sysctls_are_repaired_and_remembered") {
        return;
    }
    let host = Host::kube("kwt-prep", 25);
    host.ok("sysctl -w net.ipv4.ip_forward=0 net.bridge.bridge-nf-call-iptables=0");
    let refused = host.run("kubewright init --config kubeadm.yaml");
    assert_eq!(refused.code, 4, "{}", refused.text());
    assert!(refused.text().contains("ip_forward"), "{}", refused.text());
    assert_eq!(host.run("ls /var/lib/kubewright /etc/kubernetes/pki").code, 2, "something was written");

    host.ok("kubewright init --config kubeadm.yaml --prepare");
    let values = host.ok("sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables");
    assert_eq!(values, "1\n1\n");
    let file = host.ok("cat /etc/sysctl.d/99-kubewright.conf");
    assert!(file.contains("net.ipv4.ip_forward"), "{file}");
    let text = host.ok("cat /var/lib/kubewright/receipt.json");
    let receipt: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(receipt["before"]["/etc/sysctl.d/99-kubewright.conf"]["was"], "absent", "{text}");
    assert!(text.contains("prepare/sysctl"), "{text}");
    let before = receipt["before"].as_object().unwrap();
    let remembered = before.iter().find(|(key, _)| key.contains("net.ipv4.ip_forward"));
    let (_, was) =
        remembered.unwrap_or_else(|| panic!("the value before is not remembered: {:?}", before.keys()));
    assert_eq!(was["text"].as_str().map(str::trim), Some("0"), "{was}");

    let again = host.run("kubewright init --config kubeadm.yaml --prepare");
    assert_eq!(again.code, 0, "{}", again.text());
    assert!(again.stderr.contains(": 0 changed, "), "{}", again.stderr);
}
