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

pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let mut undos = rules(facts);
    undos.extend(ip_sets(facts));
    undos.extend(nft_tables(facts));
    undos.extend(idle_tables(facts));
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
    facts.baseline.as_ref().is_none_or(|baseline| !baseline.nft_tables.contains(table))
}

fn nft_tables(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    for table in facts.now.nft_tables.iter().filter(|table| is_new_table(facts, table)) {
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

/// Tables that iptables made for the cluster's rules and that do nothing without them. A chain that is not empty
/// refuses to go, and then all of it stays.
fn idle_tables(facts: &Facts) -> Vec<Undo> {
    let mut undos = Vec::new();
    if !facts.traces.programs.contains("nft") {
        return undos;
    }
    for (program, family) in FAMILIES {
        let Some(tables) = facts.now.filters.get(program) else { continue };
        for (name, table) in tables {
            let owned = facts.owned(program, name, table);
            let full = format!("{family} {name}");
            if !is_new_table(facts, &full)
                || !facts.now.nft_tables.contains(&full)
                || !without(table, &owned).is_idle()
            {
                continue;
            }
            let chains = table.policies.keys().map(|chain| format!("delete chain {full} {chain}; "));
            let delete = format!("{}delete table {full}", chains.collect::<String>());
            let draft = Draft::new(
                format!("no empty table {full}"),
                "it was made for the cluster's rules",
                run(
                    Command::change("nft").arg(delete),
                    sh(r"! nft list table $1 >/dev/null 2>&1").args(["sh", &full]),
                ),
            );
            undos.push(Undo::new(draft).minor());
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
