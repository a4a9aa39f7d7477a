//! Measuring: everybody listens, everybody tries, everybody tells. Three commands for each host, whatever the number of
//! hosts and ports.

use crate::clock::Clock;
use crate::facts::HostFacts;
use crate::facts::links::Links;
use crate::facts::links::Offset;
use crate::facts::links::Outcome;
use crate::facts::links::PathMtu;
use crate::facts::links::Probe;
use crate::facts::links::Protocol;
use crate::facts::links::Purpose;
use crate::facts::links::Reached;
use crate::facts::links::Seen;
use crate::facts::links::Vip;
use crate::facts::links::Wanted;
use crate::facts::links::agent;
use crate::facts::links::wire;
use crate::facts::links::wire::End;
use crate::facts::links::wire::Listener;
use crate::facts::links::wire::Mode;
use crate::facts::links::wire::Order;
use crate::facts::links::wire::Said;
use crate::facts::links::wire::Volley;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Socket;
use crate::host::fleet::side_by_side;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::hash::RandomState;
use std::io;
use std::time::Duration;

/// Seconds after which a listener ends by itself, and how many hosts lengthen it by one.
const LIFE: usize = 10;
const HOSTS_PER_SECOND: usize = 10;
/// Sizes of packets that tell where a path becomes narrow: IPv6's smallest, and those that tunnels leave.
const SIZES: [u32; 12] = [1280, 1350, 1400, 1410, 1420, 1430, 1440, 1450, 1460, 1480, 1492, 1500];
/// Header of IP and UDP.
const HEADERS: [u32; 2] = [28, 48];
/// For the connection that a host's own sshd makes, where the host has no tool.
const CONNECT_LIMIT: Duration = Duration::from_millis(1300);

/// Measures all that is `wanted` between the hosts of `fleet`, which bear the names of the cluster's nodes. `facts` say how large packets each host sends.
/// A host that cannot take part is told in [`Links::trouble`], and no probe of it counts as passed.
pub fn measure(
    fleet: &Fleet,
    facts: &BTreeMap<String, HostFacts>,
    wanted: &Wanted,
    parallel: usize,
    clock: &dyn Clock,
) -> Links {
    let run = Run { fleet, wanted, parallel, clock, token: token(), volleys: volleys(wanted, facts) };
    let heard = run.step(run.orders(Mode::Listen));
    let tried = run.step(run.orders(Mode::Connect));
    let told = run.step(run.orders(Mode::Collect));
    run.result(&Steps { heard, tried, told })
}

/// Names the run among others that go on at the same time.
fn token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

struct Run<'a> {
    fleet: &'a Fleet,
    wanted: &'a Wanted,
    parallel: usize,
    clock: &'a dyn Clock,
    token: String,
    /// By the host that sends; their numbers come after those of the probes.
    volleys: BTreeMap<String, Vec<(String, Volley)>>,
}

/// What each host said, or why it did not, and how far its clock is off.
type Answers = BTreeMap<String, (Result<Said, String>, Option<Offset>)>;

struct Steps {
    heard: Answers,
    tried: Answers,
    told: Answers,
}

/// One volley for each pair that has a UDP port to send it to.
fn volleys(wanted: &Wanted, facts: &BTreeMap<String, HostFacts>) -> BTreeMap<String, Vec<(String, Volley)>> {
    let mut volleys: BTreeMap<String, Vec<(String, Volley)>> = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    let pods = [Purpose::PodNetwork, Purpose::PodNetworkMaybe];
    for probe in wanted.probes.iter().filter(|probe| pods.contains(&probe.purpose)) {
        let Protocol::Udp(port) = probe.protocol else { continue };
        if pairs.insert((&probe.from, &probe.to)) {
            let id = wanted.probes.len() + pairs.len();
            let sizes = sizes(facts.get(&probe.from), probe);
            let volley = Volley { id, port, address: probe.address, sizes };
            volleys.entry(probe.from.clone()).or_default().push((probe.to.clone(), volley));
        }
    }
    volleys
}

/// The largest that the sender's interface sends, and what may be left of it, descending.
fn sizes(facts: Option<&HostFacts>, probe: &Probe) -> Vec<u32> {
    let nic = facts.and_then(|facts| facts.checks.nics.get(facts.checks.link_of(probe.address)?));
    let own = nic.map(|nic| nic.mtu).filter(|mtu| *mtu > 0).unwrap_or(1500);
    let mut sizes: Vec<u32> = SIZES.into_iter().filter(|size| *size < own).chain([own]).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

impl Run<'_> {
    fn orders(&self, mode: Mode) -> Vec<(String, Order)> {
        let order = |name: &str| {
            let life = LIFE + self.fleet.names().count() / HOSTS_PER_SECOND;
            let mut order = Order { mode, token: self.token.clone(), life, ..Order::default() };
            match mode {
                Mode::Listen => order.listen = self.ports_of(name),
                Mode::Connect => self.targets(name, &mut order),
                Mode::Collect => {}
            }
            (name.to_owned(), order)
        };
        self.fleet.names().map(order).collect()
    }

    fn ports_of(&self, name: &str) -> Vec<(Protocol, std::net::IpAddr)> {
        let ports: BTreeSet<_> = self
            .wanted
            .probes
            .iter()
            .filter(|probe| probe.to == name)
            .map(|probe| (probe.protocol, probe.address))
            .collect();
        ports.into_iter().collect()
    }

    fn targets(&self, name: &str, order: &mut Order) {
        let own = self.wanted.probes.iter().enumerate().filter(|(_, probe)| probe.from == name);
        order.to = own.map(|(id, probe)| (id, probe.protocol, probe.address)).collect();
        order.volleys =
            self.volleys.get(name).into_iter().flatten().map(|(_, volley)| volley.clone()).collect();
        if let Some((endpoint, watchers)) = &self.wanted.vip
            && watchers.iter().any(|watcher| watcher == name)
            && let Ok(vip) = endpoint.host.parse()
        {
            order.vip = Some((self.vip_id(), vip));
            order.to.push((self.vip_id(), Protocol::Tcp(endpoint.port), vip));
        }
    }

    /// Beyond every volley, of which there are no more than probes.
    fn vip_id(&self) -> usize {
        2 * self.wanted.probes.len() + 1
    }

    fn step(&self, orders: Vec<(String, Order)>) -> Answers {
        let answers = side_by_side(orders, self.parallel, |(name, order)| {
            let answer = match self.fleet.get(&name) {
                Some(host) => self.ask(&**host, &order),
                None => (Err("nobody connected to it".to_owned()), None),
            };
            (name, answer)
        });
        answers.into_iter().collect()
    }

    fn ask(&self, host: &dyn Host, order: &Order) -> (Result<Said, String>, Option<Offset>) {
        let asked = self.now();
        let output = match host.run(&agent::command(order)) {
            Ok(output) => output,
            Err(error) => return (Err(reason(&error)), None),
        };
        let answered = self.now();
        let mut said = wire::read(&output.text());
        if said.no_tool && order.mode == Mode::Connect {
            said.ends = through_host(host, order);
        }
        let offset = said.times.map(|(began, ended)| Offset::of(asked, began, ended, answered));
        (Ok(said), offset)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().unix_timestamp_nanos() / 1000).unwrap_or_default()
    }

    fn result(&self, steps: &Steps) -> Links {
        let reached = self
            .wanted
            .probes
            .iter()
            .enumerate()
            .map(|(id, probe)| Reached { probe: probe.clone(), outcome: steps.outcome(id, probe) });
        let mut links = Links {
            reached: reached.collect(),
            mtus: self.mtus(steps),
            vip: self.vip(steps),
            ..Links::default()
        };
        for (name, (answer, offset)) in steps.all() {
            if let Some(offset) = offset {
                let known = links.clocks.entry(name.clone()).or_insert(*offset);
                *known = known.narrowed(*offset);
            }
            let trouble = match answer {
                Err(why) => Some(why.clone()),
                Ok(said) if said.no_tool => Some(NO_TOOL.to_owned()),
                Ok(said) => said.failed.clone(),
            };
            if let Some(why) = trouble {
                links.trouble.entry(name.clone()).or_insert(why);
            }
        }
        links
    }

    /// Only where small packets arrive does it mean something that large ones do not.
    fn mtus(&self, steps: &Steps) -> Vec<PathMtu> {
        let mut mtus = Vec::new();
        for (from, volleys) in &self.volleys {
            for (to, volley) in volleys {
                let Some(told) = said(&steps.told, to).filter(|told| told.collected) else { continue };
                let headers = HEADERS[usize::from(volley.address.is_ipv6())];
                let largest = told.got.get(&volley.id).map(|payload| payload + headers);
                let mut tried = volley.sizes.clone();
                tried.sort_unstable();
                if said(&steps.tried, from).is_some_and(|tried| !tried.no_tool)
                    && steps.listens(to, volley.port)
                {
                    mtus.push(PathMtu { from: from.clone(), to: to.clone(), largest, tried });
                }
            }
        }
        mtus
    }

    fn vip(&self, steps: &Steps) -> Option<Vip> {
        let (endpoint, watchers) = self.wanted.vip.as_ref()?;
        let look = |name: &String| {
            let said = said(&steps.tried, name)?;
            let end = said.ends.get(&self.vip_id());
            let answers = matches!(end, Some(End::Open(_) | End::Refused));
            Some((name.clone(), Seen { answers, mac: said.neighbour.clone() }))
        };
        Some(Vip { endpoint: endpoint.clone(), seen: watchers.iter().filter_map(look).collect() })
    }
}

const ENDED: &str = "who listened there had ended before all were done asking; these hosts are slow";
const NO_TOOL: &str = "it has neither perl nor Python, so it cannot listen for a moment";

fn said<'a>(answers: &'a Answers, name: &str) -> Option<&'a Said> {
    answers.get(name).and_then(|(answer, _)| answer.as_ref().ok())
}

impl Steps {
    fn all(&self) -> impl Iterator<Item = (&String, &(Result<Said, String>, Option<Offset>))> {
        self.heard.iter().chain(&self.tried).chain(&self.told)
    }

    fn listens(&self, name: &str, port: u16) -> bool {
        let listener = said(&self.heard, name).and_then(|said| said.listeners.get(&Protocol::Udp(port)));
        listener == Some(&Listener::Ours)
    }

    /// What became of a probe.
    fn outcome(&self, id: usize, probe: &Probe) -> Outcome {
        let end = match self.tried.get(&probe.from) {
            None => return Outcome::NotDone(format!("{} was not reached", probe.from)),
            Some((Err(why), _)) => return Outcome::NotDone(format!("{}: {why}", probe.from)),
            Some((Ok(said), _)) => said.ends.get(&id),
        };
        let listener = self.listener(probe);
        match end {
            None => Outcome::NotDone(format!("{} did not try: {}", probe.from, self.why(&probe.from))),
            Some(End::Failed(why)) => Outcome::NotDone(format!("{}: {why}", probe.from)),
            Some(End::Open(micros)) => Outcome::Open((*micros > 0).then(|| Duration::from_micros(*micros))),
            Some(End::Silent) => Outcome::Silent,
            Some(End::Unreachable(why)) => Outcome::Unreachable(why.clone()),
            Some(End::Refused) => match listener {
                Ok(()) if !self.lasted(&probe.to) => Outcome::NotDone(ENDED.to_owned()),
                Ok(()) | Err(None) => Outcome::Refused,
                Err(Some(why)) => Outcome::NotDone(why),
            },
            Some(End::Sent) => match listener {
                Ok(()) => self.arrived(id, &probe.to),
                Err(Some(why)) => Outcome::NotDone(why),
                Err(None) => Outcome::NotDone("something there uses it already".to_owned()),
            },
        }
    }

    /// Whether the listener was still there at the end.
    fn lasted(&self, name: &str) -> bool {
        said(&self.told, name).is_some_and(|told| told.collected)
    }

    fn arrived(&self, id: usize, to: &str) -> Outcome {
        match said(&self.told, to) {
            Some(told) if told.got.contains_key(&id) => Outcome::Open(None),
            Some(told) if told.collected => Outcome::Silent,
            _ => Outcome::NotDone(format!("it did not tell what arrived: {}", self.why(to))),
        }
    }

    /// Whether we listened: `Err(None)` where somebody else does, `Err(why)` where nobody does.
    fn listener(&self, probe: &Probe) -> Result<(), Option<String>> {
        if probe.purpose == Purpose::Endpoint {
            return Err(None);
        }
        match said(&self.heard, &probe.to).and_then(|said| said.listeners.get(&probe.protocol)) {
            Some(Listener::Ours) => Ok(()),
            Some(Listener::Busy) => Err(None),
            Some(Listener::Failed(why)) => Err(Some(format!("nobody could listen there: {why}"))),
            None => Err(Some(format!("nobody listened there: {}", self.why(&probe.to)))),
        }
    }

    fn why(&self, name: &str) -> String {
        let reason = |(answer, _): &(Result<Said, String>, Option<Offset>)| match answer {
            Err(why) => Some(why.clone()),
            Ok(said) if said.no_tool => Some(NO_TOOL.to_owned()),
            Ok(said) => said.failed.clone(),
        };
        let mut answers =
            [&self.heard, &self.tried, &self.told].into_iter().filter_map(|step| step.get(name));
        answers.find_map(reason).unwrap_or_else(|| "it was not asked".to_owned())
    }
}

/// A host without a tool still has somebody who connects for it: its sshd.
fn through_host(host: &dyn Host, order: &Order) -> BTreeMap<usize, End> {
    let tcp = order.to.iter().filter_map(|(id, protocol, address)| match protocol {
        Protocol::Tcp(port) => Some((*id, Socket::Tcp { host: address.to_string(), port: *port })),
        Protocol::Udp(_) | Protocol::Ip(_) => None,
    });
    let tries: Vec<(usize, Socket)> = tcp.collect();
    let ends = side_by_side(tries, 16, |(id, socket)| {
        let end = match host.connect_within(&socket, CONNECT_LIMIT) {
            Ok(_) => End::Open(0),
            Err(error) => match error.io_kind() {
                Some(io::ErrorKind::ConnectionRefused) => End::Refused,
                Some(io::ErrorKind::TimedOut) => End::Silent,
                _ => End::Failed(reason(&error)),
            },
        };
        (id, end)
    });
    ends.into_iter().collect()
}

/// An error with its causes.
fn reason(error: &HostError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a try of `a` at the kubelet's port of `b`, by what each of them says.
    fn outcome(tried: &str, told: &str) -> Outcome {
        let said = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), (Ok(wire::read(text)), None))]);
        let heard = said("b", "listening tcp 10250\n");
        let steps = Steps { heard, tried: said("a", tried), told: said("b", told) };
        let probe = Probe {
            from: "a".to_owned(),
            to: "b".to_owned(),
            address: "192.0.2.2".parse().unwrap(),
            protocol: Protocol::Tcp(10250),
            purpose: Purpose::Kubelet,
        };
        steps.outcome(0, &probe)
    }

    #[test]
    fn a_refusal_means_something_while_somebody_listens() {
        assert_eq!(outcome("at 0 refused\n", "collected\n"), Outcome::Refused);
        let ended = outcome("at 0 refused\n", "failed collect 0 Connection refused\n");
        assert_eq!(ended, Outcome::NotDone(ENDED.to_owned()));
        assert_eq!(outcome("at 0 open 120\n", ""), Outcome::Open(Some(Duration::from_micros(120))));
    }
}
