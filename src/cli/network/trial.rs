//! The course of a test of the pod network: pods, questions, and an end that leaves nothing.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::api::ServerSide;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::network::args::TestArgs;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::exchange;
use crate::facts::links;
use crate::facts::links::Links;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::Within;
use crate::host::fleet::side_by_side;
use crate::kube::objects::network_test;
use crate::kube::objects::network_test::NAMESPACE;
use crate::network::Expected;
use crate::network::Pod;
use crate::network::Report;
use crate::network::Seen;
use crate::network::Tried;
use crate::network::names::Known;
use crate::network::names::PORT as DNS_PORT;
use crate::network::pods;
use crate::network::questions;
use crate::plan::ObjectRef;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(500);
/// Has the host's own network.
const FIRST_PROCESS: u32 = 1;
/// How long a namespace of an earlier test may take to go.
const GOING: Duration = Duration::from_mins(1);

pub(super) struct Trial<'a> {
    pub args: &'a TestArgs,
    pub cluster: &'a Cluster,
    pub hosts: &'a Fleet,
    /// Those that are to take part.
    pub nodes: Vec<&'a Node>,
    /// Hosts that cannot be asked, and why.
    pub silent: BTreeMap<String, String>,
    pub api: &'a dyn Api,
    pub parallel: usize,
    pub interrupt: &'a AtomicBool,
    pub clock: &'a dyn Clock,
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// The pods, and what their hosts let us do with them.
struct Members {
    pods: Vec<Pod>,
    fleet: Fleet,
    absent: BTreeMap<String, String>,
}

impl Trial<'_> {
    pub(super) fn go(&self) -> Result<Report, CliError> {
        (self.tell)(&format!("starting pods on {} nodes, in namespace {NAMESPACE}", self.nodes.len()));
        let done = self.prepare().and_then(|()| self.measure());
        if self.args.keep {
            return done;
        }
        match (done, self.clear()) {
            (Ok(report), cleared) => cleared.map(|()| report),
            (Err(why), Ok(())) => Err(why),
            // What went wrong first is what somebody has to mend; that the pods stay comes on top of it.
            (Err(why), Err(_)) => {
                Err(why
                    .hint(format!("namespace {NAMESPACE} was left behind; delete it when the API answers")))
            }
        }
    }

    fn prepare(&self) -> Result<(), CliError> {
        self.until_gone()?;
        for object in network_test::objects(self.cluster) {
            self.api.apply(&object, ServerSide { preview: false, force: true }).map_err(refused)?;
        }
        Ok(())
    }

    /// What an earlier test left may be on its way out.
    fn until_gone(&self) -> Result<(), CliError> {
        let end = self.clock.monotonic() + GOING;
        loop {
            let there = self.api.get(&namespace()).map_err(refused)?;
            if there.is_none_or(|there| there["metadata"]["deletionTimestamp"].is_null()) {
                return Ok(());
            }
            if self.clock.monotonic() > end || self.interrupted() {
                let error = anyhow::anyhow!("namespace {NAMESPACE} of an earlier test does not go");
                let hint = format!("look at what holds it: `kubectl get namespace {NAMESPACE} -o yaml`");
                return Err(CliError::new(Exit::Failure, error).hint(hint));
            }
            self.clock.sleep(PAUSE);
        }
    }

    fn clear(&self) -> Result<(), CliError> {
        match self.api.delete(&namespace()) {
            Err(error) if !error.is_missing() => {
                let hint = format!("delete it when the API answers: `kubectl delete namespace {NAMESPACE}`");
                Err(refused(error).hint(hint))
            }
            _ => Ok(()),
        }
    }

    fn measure(&self) -> Result<Report, CliError> {
        let members = self.members()?;
        let service = self.service()?;
        let expected = Expected::of(self.cluster);
        let end = self.clock.monotonic() + self.args.patience.to_std();
        (self.tell)(&format!("{} pods run; asking", members.pods.len()));
        loop {
            let seen = Seen {
                links: self.links(&members, &service),
                dns: self.names(&members),
                absent: members.absent.clone(),
            };
            let report = self.report(&members).judged(&seen, &expected);
            let over = self.clock.monotonic() >= end;
            if report.findings.len() == members.absent.len() || over || self.interrupted() {
                return Ok(report);
            }
            self.clock.sleep(PAUSE);
        }
    }

    fn report(&self, members: &Members) -> Report {
        let mut notes = Vec::new();
        if self.cluster.configuration.dns.disabled {
            notes.push("the name service is somebody else's, and was not asked".to_owned());
        }
        let there = |node: &&&Node| members.pods.iter().any(|pod| pod.node == node.name);
        Report {
            cluster: self.cluster.name.clone(),
            network: self.cluster.site.cni.provider().as_str().to_owned(),
            nodes: self.nodes.iter().filter(there).map(|node| node.name.clone()).collect(),
            interrupted: self.interrupted(),
            notes,
            ..Report::default()
        }
    }

    /// Waits for the pods, and finds their processes.
    fn members(&self) -> Result<Members, CliError> {
        let found = self.pods()?;
        let mut members = Members { pods: Vec::new(), fleet: Fleet::new(), absent: BTreeMap::new() };
        let asked = side_by_side(self.nodes.clone(), self.parallel, |node| (node, self.join(node, &found)));
        for (node, joined) in asked {
            match joined {
                Ok(joined) => {
                    for (pod, within) in joined {
                        members.fleet.insert(Arc::new(within));
                        members.pods.push(pod);
                    }
                    if node.is_control_plane()
                        && let Some(host) = self.hosts.get(&node.name)
                    {
                        let name = questions::host(&node.name);
                        members.fleet.insert(Arc::new(Within::new(Arc::clone(host), name, FIRST_PROCESS)));
                    }
                }
                Err(why) => drop(members.absent.insert(node.name.clone(), why)),
            }
        }
        Ok(members)
    }

    /// The pods by the name of their Node object, when all of them run or time is up.
    fn pods(&self) -> Result<BTreeMap<(String, bool), pods::Found>, CliError> {
        let end = self.clock.monotonic() + self.args.timeout.to_std();
        let all = ObjectRef::new("v1", "Pod", NAMESPACE, "");
        loop {
            let found = pods::found(&self.api.list(&all, &Selector::all()).map_err(refused)?);
            let runs = |node: &Node, guarded| {
                matches!(found.get(&(node.registered_name().to_owned(), guarded)), Some(Ok(_)))
            };
            let mut meant = self.nodes.iter().filter(|node| !self.silent.contains_key(&node.name));
            let complete = meant.all(|node| runs(node, false) && runs(node, true));
            if complete || self.clock.monotonic() > end || self.interrupted() {
                return Ok(found);
            }
            self.clock.sleep(PAUSE);
        }
    }

    /// The pods of a node with a way into their network.
    fn join(
        &self,
        node: &Node,
        found: &BTreeMap<(String, bool), pods::Found>,
    ) -> Result<Vec<(Pod, Within)>, String> {
        if let Some(why) = self.silent.get(&node.name) {
            return Err(why.clone());
        }
        let host = self.hosts.get(&node.name).ok_or("nobody is connected to it")?;
        let mut of_node = Vec::new();
        for guarded in [false, true] {
            match found.get(&(node.registered_name().to_owned(), guarded)) {
                Some(Ok(pod)) => of_node.push(pod),
                Some(Err(why)) => return Err(format!("its pod does not run: {why}")),
                None => return Err("no pod was started there".to_owned()),
            }
        }
        let uids: Vec<&str> = of_node.iter().map(|pod| pod.uid.as_str()).collect();
        let output = host.run(&pods::processes(&uids)).map_err(|error| error.to_string())?;
        let processes = pods::processes_of(&output.text());
        let within = |pod: &Pod| {
            let process = processes.get(&pod.uid).ok_or("the process of its pod is not found")?;
            let name = if pod.guarded { questions::guarded(&node.name) } else { node.name.clone() };
            let pod = Pod { node: node.name.clone(), ..pod.clone() };
            Ok((pod, Within::new(Arc::clone(host), name, *process)))
        };
        of_node.into_iter().map(within).collect()
    }

    fn service(&self) -> Result<Vec<IpAddr>, CliError> {
        let object = ObjectRef::new("v1", "Service", NAMESPACE, network_test::SERVICE);
        let service = self.api.get(&object).map_err(refused)?.unwrap_or_default();
        let addresses = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
        Ok(addresses.filter_map(|address| address.as_str()?.parse().ok()).collect())
    }

    fn links(&self, members: &Members, service: &[IpAddr]) -> Links {
        let hosts =
            self.nodes.iter().filter(|node| members.fleet.get(&questions::host(&node.name)).is_some());
        let hosts: Vec<String> = hosts.map(|node| node.name.clone()).collect();
        let wanted = questions::wanted(&members.pods, &hosts, service);
        links::measure(&members.fleet, &BTreeMap::new(), &wanted, self.parallel, self.clock)
    }

    fn names(&self, members: &Members) -> Vec<Tried> {
        if self.cluster.configuration.dns.disabled {
            return Vec::new();
        }
        let open: Vec<&Pod> = members.pods.iter().filter(|pod| !pod.guarded).collect();
        let networking = &self.cluster.networking;
        let known = Known {
            name: format!("kubernetes.default.svc.{}", networking.dns_domain),
            address: networking.service_address(1),
        };
        let server = self.cluster.dns_address();
        let answers = side_by_side(open, self.parallel, |pod| {
            members
                .fleet
                .get(&pod.node)
                .map(|host| ask(&**host, &pod.node, &known, server))
                .unwrap_or_default()
        });
        answers.concat()
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Asks for a name from a pod, over both transports.
fn ask(host: &dyn Host, from: &str, known: &Known, server: IpAddr) -> Vec<Tried> {
    let questions = match known.questions(server) {
        Ok(questions) => questions,
        Err(error) => return vec![tried(from, known, server, "udp", Err(error.to_string()))],
    };
    let text = match host.run(&exchange::command(&questions)) {
        Ok(output) => output.text(),
        Err(error) => return vec![tried(from, known, server, "udp", Err(error.to_string()))],
    };
    let answers = exchange::answers(&text);
    let nothing =
        if exchange::has_no_tool(&text) { "it has neither perl nor Python" } else { "nothing was said" };
    let row = |(number, question): (usize, &exchange::Question)| {
        let answer = answers.get(&number).cloned().unwrap_or_else(|| Err(nothing.to_owned()));
        let judged = answer.and_then(|bytes| known.check(question.transport, &bytes));
        tried(from, known, server, question.transport.as_str(), judged)
    };
    questions.iter().enumerate().map(row).collect()
}

fn tried(from: &str, known: &Known, server: IpAddr, transport: &str, came: Result<(), String>) -> Tried {
    Tried {
        from: from.to_owned(),
        to: known.name.clone(),
        address: server.to_string(),
        port: format!("{DNS_PORT}/{transport}"),
        ok: came.is_ok(),
        outcome: came.err().unwrap_or_else(|| "answered".to_owned()),
    }
}

fn namespace() -> ObjectRef {
    ObjectRef::new("v1", "Namespace", "", NAMESPACE)
}

fn refused(error: ApiError) -> CliError {
    CliError::new(Exit::Api, anyhow::Error::from(error))
}
