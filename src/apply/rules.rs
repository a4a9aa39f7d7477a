//! Chains and rules of the packet filter: those named are taken away, in one transaction, and nothing else.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::plan::RulesSpec;
use crate::report::Outcome;
use std::fmt::Write as _;

pub(crate) fn remove(run: &Run<'_>, spec: &RulesSpec, site: &mut Site) -> Result<Done, StepError> {
    let save = Command::query(format!("{}-save", spec.program)).args(["-t", &spec.table]);
    let output = site.host.run(&save)?;
    if !output.success() {
        return Err(StepError::command(&save, &output));
    }
    let Some(input) = transaction(spec, &output.text()) else { return Ok(Done::new(Outcome::Ok)) };
    let diff = (run.world.options.diff || run.world.options.dry_run).then(|| shown(&input));
    // The old programs wait for the lock that all of them share.
    let restore = Command::change(format!("{}-restore", spec.program)).args(["--noflush", "--wait=5"]);
    let output = site.host.run(&restore.stdin(input.clone().into_bytes()))?;
    if !output.success() {
        let command = Command::change(format!("{}-restore", spec.program)).arg("--noflush");
        return Err(StepError::command(&command, &output).detail("input", input));
    }
    Ok(Done { diff, ..Done::new(run.changed()) })
}

/// The input of `iptables-restore` that takes away what is there of the named; `None` when nothing is.
fn transaction(spec: &RulesSpec, saved: &str) -> Option<String> {
    let has_chain = |chain: &&String| {
        saved
            .lines()
            .any(|line| line.strip_prefix(':').is_some_and(|rest| rest.split(' ').next() == Some(chain)))
    };
    let mut left: Vec<&str> =
        saved.lines().map(str::trim_end).filter(|line| line.starts_with("-A ")).collect();
    let mut text = String::new();
    for rule in &spec.rules {
        // A rule may stand there twice, and is then named twice.
        let Some(at) = left.iter().position(|line| line == rule) else { continue };
        left.remove(at);
        let _ = writeln!(text, "-D {}", rule.trim_start_matches("-A "));
    }
    let chains: Vec<&String> = spec.chains.iter().filter(has_chain).collect();
    // All are emptied before the first is deleted, since they refer to each other.
    for chain in &chains {
        let _ = writeln!(text, ":{chain} - [0:0]");
    }
    for chain in &chains {
        let _ = writeln!(text, "-X {chain}");
    }
    (!text.is_empty()).then(|| format!("*{}\n{text}COMMIT\n", spec.table))
}

fn shown(input: &str) -> String {
    let gone = |line: &&str| line.starts_with("-D ") || line.starts_with("-X ");
    let name = |line: &str| match line.strip_prefix("-X ") {
        Some(chain) => format!("- -N {chain}\n"),
        None => format!("- -A {}\n", line.trim_start_matches("-D ")),
    };
    input.lines().filter(gone).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_away_what_is_named_and_there() {
        let spec = RulesSpec {
            program: "iptables-nft".to_owned(),
            table: "filter".to_owned(),
            chains: ["KUBE-A", "KUBE-B", "KUBE-GONE"].map(str::to_owned).into(),
            rules: ["-A INPUT -j KUBE-A", "-A INPUT -j KUBE-A", "-A INPUT -j KUBE-GONE"]
                .map(str::to_owned)
                .into(),
        };
        let saved = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-A - [0:0]\n:KUBE-AB - [0:0]\n:KUBE-B - [0:0]\n\
                     -A INPUT -j KUBE-A\n-A INPUT -s 10.0.0.1/32 -j DROP\n-A KUBE-A -j KUBE-B\nCOMMIT\n";
        let input = transaction(&spec, saved).unwrap();
        assert_eq!(
            input,
            "*filter\n-D INPUT -j KUBE-A\n:KUBE-A - [0:0]\n:KUBE-B - [0:0]\n-X KUBE-A\n-X KUBE-B\nCOMMIT\n"
        );
        assert_eq!(shown(&input), "- -A INPUT -j KUBE-A\n- -N KUBE-A\n- -N KUBE-B\n");
        assert_eq!(transaction(&spec, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), None);
    }
}
