//! Packet filters: chains, rules, sets, tables and virtual servers of the cluster, one by one.

use super::Facts;
use super::Undo;
use super::belongs;
use super::run;
use super::sh;
use crate::facts::footprint::Table;
use crate::host::Command;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::RulesSpec;
use std::collections::BTreeSet;

/// The families of nftables in which `iptables-nft` keeps the tables of iptables.
const FAMILIES: [(&str, &str); 2] = [("iptables-nft", "ip"), ("ip6tables-nft", "ip6")];

/// The tables of iptables.
const TABLES: [&str; 5] = ["filter", "mangle", "nat", "raw", "security"];

/// The lines of a table that does nothing, as `nft list` prints them.
const NOTHING: &str = r"^[[:space:]]*(#.*|(table|chain) .*\{|type .* policy accept;|\}|)$";

pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let mut undos = rules(facts);
    undos.extend(ip_sets(facts));
    undos.extend(nft_tables(facts));
    undos.extend(idle_tables(facts));
    undos.extend(out_of_reach(facts));
    undos.extend(virtual_servers(facts));
    undos
}

fn rules(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    for (program, tables) in &facts.now.filters {
        for (name, table) in tables {
            let owned = facts.owned(program, name, table);
            if owned == belongs::Owned::default() {
                continue;
            }
            let lines = owned.chains.iter().map(|chain| format!("{program} {name} -N {chain}"));
            let lines: Vec<String> =
                lines.chain(owned.rules.iter().map(|rule| format!("{program} {name} {rule}"))).collect();
            let spec = RulesSpec {
                program: program.clone(),
                table: name.clone(),
                chains: owned.chains,
                rules: owned.rules,
            };
            let draft = Draft::new(
                format!("no rules of the cluster in {program}'s table {name}"),
                "they lead to services and pods that are no more; rules of others stay",
                Action::Rules(spec),
            );
            undos.push(Undo::new(draft).and(lines));
        }
    }
    undos
}

fn ip_sets(facts: &Facts) -> Vec<Undo> {
    let was = |name: &String| facts.baseline.as_ref().is_some_and(|baseline| baseline.ip_sets.contains(name));
    let sets = facts.now.ip_sets.iter().filter(|name| belongs::is_ip_set(name) && !was(name));
    sets.map(|name| {
        let draft = Draft::new(
            format!("no set {name}"),
            "rules of the cluster used it",
            run(
                Command::change("ipset").args(["destroy", name]),
                sh(r#"! ipset list -n "$1" >/dev/null 2>&1"#).args(["sh", name]),
            ),
        );
        Undo::new(draft).is(format!("ipset {name}"))
    })
    .collect()
}

fn is_new_table(facts: &Facts, table: &str) -> bool {
    facts.baseline.as_ref().is_none_or(|baseline| !baseline.nft_tables.contains_key(table))
}

fn nft_tables(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    for table in facts.now.nft_tables.keys().filter(|table| is_new_table(facts, table)) {
        let unless = sh(r"! nft list table $1 >/dev/null 2>&1").args(["sh", table]);
        let delete = format!("delete table {table}");
        if belongs::is_nft_table(table) {
            let reason = "the cluster filters and redirects packets there";
            let command = Command::change("nft").arg(delete);
            let draft = Draft::new(format!("no table {table}"), reason, run(command, unless));
            undos.push(Undo::new(draft).is(format!("nft table {table}")));
        } else if table.split_once(' ').is_some_and(|(_, name)| belongs::SHARED_NFT_TABLES.contains(&name)) {
            // Each container's rules carry a comment; a table without any serves nobody.
            let idle =
                r#"nft list table $1 | grep -q comment && { echo "others use it" >&2; exit 1; }; nft "$2""#;
            let command = Command::change("sh").args(["-c", idle, "sh", table, &delete]);
            let reason = "the CNI plugins made it for the cluster's pods";
            let draft = Draft::new(format!("no unused table {table}"), reason, run(command, unless));
            undos.push(Undo::new(draft).minor());
        }
    }
    undos
}

/// Chains and tables that iptables made of its own for the cluster's rules, and that do nothing without them. Since
/// nftables takes a chain away with its rules, it is looked at right before: with a rule of anybody in it, it stays.
fn idle_tables(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    if !facts.traces.programs.contains("nft") {
        return undos;
    }
    for (program, family) in FAMILIES {
        for (name, table) in facts.now.filters.get(program).into_iter().flatten() {
            let full = format!("{family} {name}");
            let Some(chains) = facts.now.nft_tables.get(&full) else { continue };
            let owned = facts.owned(program, name, table);
            let after = without(table, &owned);
            let before = facts.baseline.as_ref().and_then(|baseline| baseline.nft_tables.get(&full));
            let stays = |chain: &&String| {
                let used = |rule: &String| rule.split(' ').nth(1) == Some(chain.as_str());
                after.policies.get(*chain).is_none_or(|policy| policy != "ACCEPT")
                    || after.rules.iter().any(used)
                    || before.is_some_and(|before| before.contains(*chain))
            };
            let going: Vec<&String> =
                chains.iter().filter(|chain| !owned.chains.contains(*chain) && !stays(chain)).collect();
            let whole = before.is_none() && after.is_idle();
            if !whole && going.is_empty() {
                continue;
            }
            let mut commands: Vec<String> =
                going.iter().map(|chain| format!("delete chain {full} {chain}")).collect();
            let there = if whole { format!("table {full}") } else { format!("chain {full} {}", going[0]) };
            if whole {
                commands.push(format!("delete table {full}"));
            }
            let looks: Vec<String> = if whole {
                vec![format!("nft list table {full}")]
            } else {
                going.iter().map(|chain| format!("nft list chain {full} {chain}")).collect()
            };
            let script = format!(
                "! {{ {}; }} | grep -vE '{NOTHING}' && nft '{}'",
                looks.join("; "),
                commands.join("; ")
            );
            let what = if whole { "table" } else { "chains in table" };
            let draft = Draft::new(
                format!("no empty {what} {full}"),
                "made for the cluster's rules",
                run(
                    Command::change("sh").args(["-c", &script]),
                    sh(r"! nft list $1 >/dev/null 2>&1").args(["sh", &there]),
                ),
            );
            undos.push(Undo::new(draft).minor());
        }
    }
    undos
}

/// Chains of the cluster in tables that no program of iptables on this host can read: it may have none, and the cluster
/// brought its own. Without knowing the rules that lead there nothing can be taken away.
fn out_of_reach(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    for (program, family) in FAMILIES {
        let readable = facts.now.filters.get(program);
        for (table, chains) in &facts.now.nft_tables {
            let name = table.strip_prefix(&format!("{family} ")).filter(|name| TABLES.contains(name));
            let Some(name) = name.filter(|name| readable.is_none_or(|tables| !tables.contains_key(*name)))
            else {
                continue;
            };
            let before = facts.baseline.as_ref().and_then(|baseline| baseline.nft_tables.get(table));
            let new = |chain: &&String| before.is_none_or(|before| !before.contains(*chain));
            let lines = chains.iter().filter(new).filter(|chain| belongs::is_chain(chain));
            let lines: Vec<String> =
                lines.map(|chain| format!("nft chain {family} {name} {chain}")).collect();
            if !lines.is_empty() {
                undos.push(Undo { draft: None, was: Vec::new(), is: lines, matters: true });
            }
        }
    }
    undos
}

/// A table as it will be without these.
fn without(table: &Table, owned: &belongs::Owned) -> Table {
    let stays = |rule: &&String| {
        let chain = rule.split(' ').nth(1).unwrap_or_default();
        !owned.chains.contains(chain) && !owned.rules.contains(rule)
    };
    Table {
        policies: table.policies.clone(),
        chains: table.chains.difference(&owned.chains).cloned().collect::<BTreeSet<String>>(),
        rules: table.rules.iter().filter(stays).cloned().collect(),
    }
}

fn virtual_servers(facts: &Facts) -> Vec<Undo> {
    let servers = facts.now.virtual_servers.iter().filter(|server| facts.is_virtual_server(server));
    servers
        .filter_map(|server| {
            let (protocol, address) = server.split_once(' ')?;
            let flag = match protocol {
                "tcp" => "-t",
                "udp" => "-u",
                _ => "--sctp-service",
            };
            let unless = sh(r#"! ipvsadm -S -n | grep -qF -- "-A $1 $2 ""#).args(["sh", flag, address]);
            let draft = Draft::new(
                format!("no virtual server {server}"),
                "it leads to pods that are no more",
                run(Command::change("ipvsadm").args(["-D", flag, address]), unless),
            );
            Some(Undo::new(draft).is(format!("ipvs {server}")))
        })
        .collect()
}
