//! Routes to other nodes' pods. Those of an interface of the network go with it; flannel's others stay when it ends.

use super::Facts;
use super::Undo;
use super::run;
use super::sh;
use crate::host::Command;
use crate::phase::Draft;
use ipnet::IpNet;

/// Routes to a part of flannel's network through a node's own interface, as its backend `host-gw` makes them.
pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let routes = facts.traces.routes.iter().filter_map(|line| Route::of(line));
    routes.filter(|route| route.is_flannels(facts)).map(|route| route.undo()).collect()
}

struct Route<'a> {
    to: IpNet,
    via: &'a str,
    interface: &'a str,
}

impl<'a> Route<'a> {
    /// `10.244.1.0/24 via 198.51.100.21 dev eth0 …`; `None` for one without a gateway.
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let to = words.next()?.parse().ok()?;
        let ["via", via, "dev", interface] = [words.next()?, words.next()?, words.next()?, words.next()?]
        else {
            return None;
        };
        Some(Self { to, via, interface })
    }

    fn is_flannels(&self, facts: &Facts) -> bool {
        facts.traces.flannel_networks.iter().any(|network| network.contains(&self.to))
            && !self.interface.starts_with("flannel")
    }

    fn undo(&self) -> Undo {
        let to = self.to.to_string();
        let family = if self.to.addr().is_ipv4() { "-4" } else { "-6" };
        let command = Command::change("ip").args([
            family,
            "route",
            "delete",
            &to,
            "via",
            self.via,
            "dev",
            self.interface,
        ]);
        let gone =
            sh(r#"! ip "$1" route show "$2" via "$3" | grep -q ."#).args(["sh", family, &to, self.via]);
        let reason = "the pods of another node were there";
        Undo::new(Draft::new(format!("no route to {to}"), reason, run(command, gone)))
            .is(format!("route {to} via {}", self.via))
    }
}
