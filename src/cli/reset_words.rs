//! What a reset says: its question, its result, and what it leaves.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::phase::reset::Facts;
use crate::phase::reset::Proof;
use similar::TextDiff;

/// Asks what `--force` leaves out.
pub(super) fn question(facts: &Facts, steps: usize) {
    let pods = facts.runtime.pods.iter().filter(|pod| pod.of_kubelet).count();
    output::people(&format!(
        "[reset] This ends {pods} pods, takes this host out of its cluster with its certificates and data, and restores\n\
         [reset] what was changed on it ({steps} steps; `kubewright reset --dry-run` lists them).\n\
         [reset] Are you sure you want to proceed? [y/N]: "
    ));
}

/// The result, for standard output.
pub(super) fn proven(facts: &Facts) -> String {
    match &facts.baseline {
        Some(baseline) => {
            format!("the host equals its state of {}, before the cluster: no difference\n", baseline.taken)
        }
        None => "nothing of the cluster is left on this host; how it was before was not recorded, so there is nothing to \
                 compare it with\n"
            .to_owned(),
    }
}

/// Says what stays elsewhere, and how to be rid of it.
pub(super) fn elsewhere(node: Option<&str>, facts: &Facts) {
    let object = node.map_or_else(String::new, |node| {
        format!(
            "The Node object stays in the cluster, if that goes on without this host: `kubectl delete node {node}` on a \
             control plane.\n"
        )
    });
    let mut steps = facts.receipt.iter().flat_map(|receipt| receipt.steps.values());
    let installed = steps.any(|step| ["prepare/binaries", "prepare/packages"].contains(&step.phase.as_str()));
    let programs = if installed {
        "Installed programs stay: packages, and what /usr/local/share/kubewright lists.\n"
    } else {
        ""
    };
    output::people(&format!(
        "{object}{programs}Pulled images stay: `crictl rmi --prune` removes those that nobody uses.\nKubeconfig files in home \
         directories stay: look at $HOME/.kube/config.\n"
    ));
}

/// Says what was seen and left alone.
pub(super) fn mention(proof: &Proof) {
    if !proof.left.is_empty() {
        let lines: Vec<String> = proof.left.iter().map(|line| format!("  {line}\n")).collect();
        output::people(&format!("Left as it is:\n{}", lines.concat()));
    }
}

/// The difference that is left, for standard output.
pub(super) fn difference(facts: &Facts, proof: &Proof) -> String {
    let nobody = || "a host without a cluster".to_owned();
    let baseline = facts.baseline.as_ref();
    let before = baseline.map_or_else(nobody, |baseline| format!("before the cluster, {}", baseline.taken));
    TextDiff::from_lines(&proof.was, &proof.is).unified_diff().header(&before, "now").to_string()
}

/// The error that goes with it.
pub(super) fn different(proof: &Proof) -> CliError {
    let error =
        anyhow::anyhow!("the host is not as it was before the cluster; the difference is shown above");
    let mut error = CliError::new(Exit::Failure, error);
    if proof.is.lines().any(|line| line.starts_with("nft chain ")) {
        error = error
            .hint("what is shown as `nft chain` goes with iptables (its nft variant), or with a restart");
    }
    error
        .hint("the warnings above say why; mend that, and run the same command again")
        .hint("to accept the difference, remove the record of the host: `rm -r /var/lib/kubewright`")
}
