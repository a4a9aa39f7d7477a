//! `kubewright certs approve`: serving certificates for kubelets that ask only for what is theirs.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::cli::access;
use crate::cli::access::Access;
use crate::cli::certs::verdicts::Face;
use crate::cli::certs::verdicts::Row;
use crate::cli::certs::verdicts::Said;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::interrupt;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock;
use crate::clock::System;
use crate::cluster::GoDuration;
use crate::kube::join_command::endpoint_of;
use crate::kube::serving_request;
use crate::kube::serving_request::Judgement;
use crate::kube::serving_request::Verdict;
use crate::kube::serving_request::request_ref;
use crate::pki::kubeconfig;
use crate::plan::ObjectRef;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Approve the serving certificates that kubelets ask for, after checking what they ask for
///
/// Kubernetes approves no request of the signer `kubernetes.io/kubelet-serving` by itself. A request is approved here
/// when it was sent by the node that it is for, is signed by its own key, has the usages of serving, and asks only for
/// names and addresses that are the node's own by its Node object and no other node's. Requests of other signers are
/// left alone. What is refused stays pending, with the reasons told and exit code 9, unless `--deny` is given.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ApproveArgs {
    /// Requests to look at, by name; every pending one when neither these nor --node are given
    #[arg(value_name = "REQUEST")]
    requests: Vec<String>,

    /// Nodes whose requests to look at
    #[arg(long = "node", value_name = "NODE", value_delimiter = ',')]
    nodes: Vec<String>,

    /// Wait this long, such as `2m`, until all that was named is approved, or one request if nothing was named
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "watch")]
    wait: Option<GoDuration>,

    /// Go on approving what comes, until interrupted
    #[arg(long)]
    watch: bool,

    /// Deny what is refused, so that the kubelet asks again
    #[arg(long)]
    deny: bool,

    /// Show what would be decided; change nothing
    #[arg(long, visible_alias = "list")]
    dry_run: bool,

    /// Form of the result; json is one object for each request, a line each
    #[arg(short, long, value_enum, default_value_t)]
    output: Face,

    /// Kubeconfig to use; else the first of $KUBECONFIG or ~/.kube/config, and /etc/kubernetes/admin.conf
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright certs approve --list                     what is pending, and what would be decided
  kubewright certs approve --node w1,w2 --wait 2m     right after two hosts joined
  kubewright certs approve csr-7k2xq --deny           decide on one, either way";

fn duration(text: &str) -> Result<GoDuration, String> {
    match text.parse::<GoDuration>() {
        Ok(duration) if duration.as_nanos() < 0 => Err("it cannot be negative".to_owned()),
        other => other.map_err(|error| error.to_string()),
    }
}

impl ApproveArgs {
    fn means(&self, judgement: &Judgement) -> bool {
        let by_name = self.requests.contains(&judgement.name);
        let by_node = judgement.node.as_ref().is_some_and(|node| self.nodes.contains(node));
        by_name || by_node || !self.names_something()
    }

    fn names_something(&self) -> bool {
        !self.requests.is_empty() || !self.nodes.is_empty()
    }
}

/// How often the API is asked while waiting.
const INTERVAL: Duration = Duration::from_secs(1);
const MAX_CONFLICTS: usize = 10;

pub(super) fn run(args: &ApproveArgs, settings: &Settings) -> Result<Exit, CliError> {
    let access = Access::find(args.kubeconfig.as_deref(), settings)?;
    let api = access.api()?;
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let world = World {
        api: &api,
        clock: &System,
        interrupt: &interrupt,
        server: access.parsed()?.server,
        say: &|rows, first| output::data(&args.output.render(rows, first)),
        tell: &|text| output::people(&format!("{text}\n")),
    };
    Approval::new(args, &world).go()
}

/// What an approval looks at and acts on.
struct World<'a> {
    api: &'a dyn Api,
    clock: &'a dyn Clock,
    interrupt: &'a AtomicBool,
    /// The URL of the API server by which we reach it.
    server: String,
    /// Prints rows; the flag says that they are the first ones.
    say: &'a dyn Fn(&[Row], bool),
    tell: &'a dyn Fn(&str),
}

/// One run.
struct Approval<'a> {
    args: &'a ApproveArgs,
    world: &'a World<'a>,
    /// What was said of each request, so that it is said once.
    said: BTreeMap<String, Row>,
    /// Nodes with a request that was approved, by us or before.
    approved_nodes: BTreeSet<String>,
    approved: usize,
}

impl<'a> Approval<'a> {
    fn new(args: &'a ApproveArgs, world: &'a World<'a>) -> Self {
        Self { args, world, said: BTreeMap::new(), approved_nodes: BTreeSet::new(), approved: 0 }
    }

    fn go(mut self) -> Result<Exit, CliError> {
        let limit = self.args.wait.map(GoDuration::to_std);
        let waits = limit.is_some() || self.args.watch;
        let start = self.world.clock.monotonic();
        let mut conflicts = 0;
        loop {
            match self.round() {
                Ok(()) => {}
                // Somebody else decided meanwhile; the next look says what.
                Err(error) if error.is_conflict() && conflicts < MAX_CONFLICTS => {
                    conflicts += 1;
                    continue;
                }
                Err(error) if waits && error.may_heal() && !error.is_forbidden() => {
                    (self.world.tell)(&format!("{error}; asking again"));
                }
                Err(error) => return Err(access::refused(error)),
            }
            let late = limit.is_some_and(|limit| self.world.clock.monotonic().saturating_sub(start) >= limit);
            if !waits || late || (limit.is_some() && self.satisfied()) {
                return self.end();
            }
            if self.world.interrupt.load(Ordering::Relaxed) {
                return if self.args.watch { self.end() } else { Ok(Exit::Interrupted) };
            }
            self.world.clock.sleep(INTERVAL);
        }
    }

    /// Looks once at everything, and decides what can be decided.
    fn round(&mut self) -> Result<(), ApiError> {
        let api = self.world.api;
        let requests = api.list(&request_ref(""), &Selector::all())?;
        let nodes = api.list(&ObjectRef::new("v1", "Node", "", ""), &Selector::all())?;
        let endpoints = self.endpoints()?;
        let mut rows = Vec::new();
        let judgements = requests.iter().map(|one| (one, serving_request::judge(one, &nodes, &endpoints)));
        let outcome = judgements.filter(|(_, judgement)| self.args.means(judgement)).try_for_each(
            |(request, judgement)| {
                rows.extend(self.decide(request, judgement)?);
                Ok(())
            },
        );
        // What was decided before something went wrong is told all the same.
        self.show(rows);
        outcome
    }

    /// Prints what was not said yet.
    fn show(&mut self, mut rows: Vec<Row>) {
        rows.retain(|row| self.said.get(&row.name) != Some(row));
        if !rows.is_empty() {
            (self.world.say)(&rows, self.said.is_empty());
        }
        self.said.extend(rows.into_iter().map(|row| (row.name.clone(), row)));
    }

    /// The hosts by which the API is known: by us, and by those who join.
    fn endpoints(&self) -> Result<Vec<String>, ApiError> {
        let info = self.world.api.get(&ObjectRef::new("v1", "ConfigMap", "kube-public", "cluster-info"))?;
        let public = info.and_then(|info| {
            kubeconfig::cluster_info_server(info.pointer("/data/kubeconfig")?.as_str()?.as_bytes())
        });
        Ok([Some(self.world.server.clone()), public].into_iter().flatten().map(|url| host_of(&url)).collect())
    }

    /// Decides on one request; `None` when there is nothing to say of it.
    fn decide(&mut self, request: &Value, judgement: Judgement) -> Result<Option<Row>, ApiError> {
        let named = self.args.requests.contains(&judgement.name);
        let (said, reasons) = match judgement.verdict.clone() {
            Verdict::Settled { approved } => {
                if approved && judgement.is_current {
                    self.approved_nodes.extend(judgement.node.clone());
                }
                let known = self.said.contains_key(&judgement.name);
                let said = if approved { Said::ApprovedBefore } else { Said::DeniedBefore };
                return Ok((named && !known).then(|| Row::new(judgement, said, Vec::new())));
            }
            Verdict::Foreign => {
                let reason = format!("its signer is {}", judgement.signer);
                (if named { Said::Refused } else { Said::LeftAlone }, vec![reason])
            }
            Verdict::Good => (self.approve(request, &judgement)?, Vec::new()),
            Verdict::Bad(reasons) => (self.refuse(request, &reasons)?, reasons),
        };
        Ok(Some(Row::new(judgement, said, reasons)))
    }

    fn approve(&mut self, request: &Value, judgement: &Judgement) -> Result<Said, ApiError> {
        if !self.args.dry_run {
            let node = judgement.node.as_deref().unwrap_or_default();
            let asked = judgement.asked.join(", ");
            self.store(request, true, &format!("all that it asks for is of node {node} alone: {asked}"))?;
        }
        self.approved += 1;
        self.approved_nodes.extend(judgement.node.clone());
        Ok(if self.args.dry_run { Said::WouldApprove } else { Said::Approved })
    }

    fn refuse(&self, request: &Value, reasons: &[String]) -> Result<Said, ApiError> {
        match (self.args.deny, self.args.dry_run) {
            (false, _) => Ok(Said::Refused),
            (true, true) => Ok(Said::WouldDeny),
            (true, false) => self.store(request, false, &reasons.join("; ")).map(|()| Said::Denied),
        }
    }

    fn store(&self, request: &Value, approve: bool, message: &str) -> Result<(), ApiError> {
        let now = self.world.clock.now();
        let decided = serving_request::decided(request, approve, message, now);
        self.world.api.replace_part(&decided, "approval").map(drop)
    }

    /// Whether all that was named is approved, or anything when nothing was named.
    fn satisfied(&self) -> bool {
        if !self.args.names_something() {
            return self.approved > 0;
        }
        self.missing().is_empty()
    }

    /// What was named and is not approved.
    fn missing(&self) -> Vec<String> {
        let fine = |name: &String| self.said.get(name).is_some_and(|row| row.said.is_approval());
        let requests = self.args.requests.iter().filter(|name| !fine(name)).cloned();
        let nodes = self.args.nodes.iter().filter(|node| !self.approved_nodes.contains(*node));
        requests.chain(nodes.map(|node| format!("node {node}"))).collect()
    }

    fn end(&self) -> Result<Exit, CliError> {
        let unknown: Vec<&str> = self
            .args
            .requests
            .iter()
            .filter(|name| !self.said.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let error = anyhow::anyhow!("there is no signing request {}", unknown.join(", "));
            return Err(CliError::new(Exit::Api, error)
                .hint("`kubewright certs approve --list` shows those that there are"));
        }
        if self.said.values().any(|row| row.said.is_refusal()) {
            return Ok(Exit::Attention);
        }
        if self.args.wait.is_some() && !self.satisfied() {
            let missing = self.missing().join(", ");
            let what = if missing.is_empty() { "any node".to_owned() } else { missing };
            let error = anyhow::anyhow!("no request of {what} came in time");
            return Err(CliError::new(Exit::Timeout, error)
                .hint("a kubelet asks once its node is registered and `serverTLSBootstrap` is on; see `kubectl get csr`"));
        }
        if self.said.is_empty() {
            (self.world.tell)("no signing request is left to be decided");
        }
        Ok(Exit::Success)
    }
}

/// `[2001:db8::1]:6443` and its like without port and brackets.
fn host_of(url: &str) -> String {
    let authority = endpoint_of(url).split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

#[cfg(test)]
mod tests;
