//! `apply --limit`: what is named is made as wanted, and nobody else is touched.

use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::name;
use crate::lab;
use crate::lab::Host;
use crate::lab::Outcome;
use std::time::Duration;

const USAGE: i32 = 2;
const SCHEDULER: &str = "/etc/kubernetes/manifests/kube-scheduler.yaml";

/// All that a run could write, with its times.
fn traces(host: &Host) -> String {
    host.ok(
        "find /etc/kubernetes /etc/haproxy /etc/keepalived /etc/systemd /etc/sysctl.d /etc/modules-load.d \
         /var/lib/kubewright/* /var/lib/kubelet/*.yaml /var/lib/kubelet/*.env -printf '%p %m %T@\\n' 2>/dev/null | sort",
    )
}

#[test]
fn only_the_named_hosts_are_changed() {
    if !lab::available("apply_limit::only_the_named_hosts_are_changed") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3, 4]);
    let [first, second, worker, other_worker] = &hosts[..] else { unreachable!() };
    operator.write(&Layout::of(&[1, 2], &[3, 4]));
    let untouched = |hosts: &[&Host], what: &str, run: &mut dyn FnMut()| {
        let before: Vec<String> = hosts.iter().map(|host| traces(host)).collect();
        run();
        for (host, before) in hosts.iter().zip(before) {
            assert_eq!(traces(host), before, "{what}");
        }
    };
    let limited = |words: &str| operator.run(&["apply", "-f", "cluster.yaml", "--yes", "--limit", words]);
    let done = |words: &str| -> Outcome {
        let outcome = limited(words);
        assert_eq!(outcome.code, 0, "{words}: {}", outcome.text());
        outcome
    };

    untouched(&[first, second, worker, other_worker], "refused", &mut || {
        for (words, says) in [
            ("worker", "the limit leaves out every control plane"),
            (name(3), "the limit leaves out every control plane"),
            ("kwt-a33", "did you mean"),
        ] {
            let refused = limited(words);
            assert_eq!(refused.code, USAGE, "{words}: {}", refused.text());
            assert!(refused.stderr.contains(says), "{words}: {}", refused.text());
        }
    });

    untouched(&[worker, other_worker], "the control planes", &mut || drop(done("control-plane")));
    untouched(&[first, second, other_worker], "one worker", &mut || drop(done(name(3))));
    ready(first, &[1, 2, 3]);

    // The same is changed by hand on both control planes, and put right on one.
    for host in [first, second] {
        host.ok(&format!("sed -i s/--leader-elect=true/--leader-elect=false/ {SCHEDULER}"));
    }
    untouched(&[first, worker, other_worker], "one control plane", &mut || {
        let text = done(name(2)).text();
        assert!(text.contains(": 1 changed"), "{text}");
    });
    assert!(second.ok(&format!("cat {SCHEDULER}")).contains("--leader-elect=true"));
    assert!(first.ok(&format!("cat {SCHEDULER}")).contains("--leader-elect=false"));

    // A host outside of the limit that is away is told, and stops nobody.
    worker.cut();
    let outcome = limited(name(4));
    worker.heal();
    assert_eq!(outcome.code, 0, "{}", outcome.text());
    let left_out = format!("{} cannot be asked, and is left out", name(3));
    assert!(outcome.stderr.contains(&left_out), "{}", outcome.text());
    ready(first, &[1, 2, 3, 4]);

    let rest = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    assert!(rest.code == 0 && rest.stderr.contains(": 1 changed"), "{}", rest.text());
    operator.finds_nothing(&Layout::of(&[1, 2], &[3, 4]));
}

fn ready(host: &Host, numbers: &[usize]) {
    let names: Vec<&str> = numbers.iter().map(|number| name(*number)).collect();
    host.until(
        Duration::from_mins(1),
        &format!(
            "export KUBECONFIG=/etc/kubernetes/admin.conf; [ $(kubectl get nodes -o name | wc -l) = {} ] && \
             kubectl wait --for=condition=Ready --timeout=30s node {}",
            names.len(),
            names.join(" ")
        ),
    );
}
