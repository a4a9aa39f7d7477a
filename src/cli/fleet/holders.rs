//! Hosts that all seemed to hold the virtual address: it may have moved while one after the other was asked.

use crate::clock::Clock;
use crate::endpoint::measure;
use crate::facts::HostFacts;
use crate::host::Fleet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A holder that hears of a better one gives the address up at once; only a host that is short of time takes longer.
const SETTLES: Duration = Duration::from_secs(2);

/// Asks the hosts again that hold an address which only one may hold, and believes what they say then.
pub(super) fn look_again(
    addresses: &[IpAddr],
    hosts: &Fleet,
    facts: &mut BTreeMap<String, HostFacts>,
    clock: &dyn Clock,
) {
    for address in addresses {
        let mut holders: Vec<(&String, &mut HostFacts)> =
            facts.iter_mut().filter(|(_, facts)| facts.addresses.contains(address)).collect();
        if holders.len() < 2 {
            continue;
        }
        clock.sleep(SETTLES);
        for (name, held) in &mut holders {
            let Some(host) = hosts.get(name) else { continue };
            let said = host.run(&measure::has_address(&[*address]));
            if said.is_ok_and(|output| output.success() && output.stdout.is_empty()) {
                held.addresses.retain(|one| one != address);
                held.interface_addresses.retain(|one| one.address != *address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Fixed;
    use crate::host::fake::Fake;
    use crate::host::fake::said;
    use std::sync::Arc;
    use time::OffsetDateTime;

    const VIP: &str = "198.51.100.10";
    const OWN: &str = "198.51.100.11";

    /// Who holds the address afterwards, of hosts that all did, by what they say when they are asked again.
    fn holders(again: &[(&str, i32, &str)]) -> Vec<String> {
        let address: IpAddr = VIP.parse().unwrap();
        let (mut hosts, mut facts) = (Fleet::default(), BTreeMap::new());
        for (name, status, text) in again {
            hosts.insert(Arc::new(Fake::new(*name).on(&["sh"], said(*status, text))));
            let addresses = vec![OWN.parse().unwrap(), address];
            facts.insert((*name).to_owned(), HostFacts { addresses, ..HostFacts::assumed(name) });
        }
        look_again(&[address], &hosts, &mut facts, &Fixed(OffsetDateTime::UNIX_EPOCH));
        assert!(facts.values().all(|facts| facts.addresses.contains(&OWN.parse().unwrap())));
        let held = facts.into_iter().filter(|(_, facts)| facts.addresses.contains(&address));
        held.map(|(name, _)| name).collect()
    }

    #[test]
    fn an_address_that_has_moved_has_one_holder() {
        let shown = "2: eth0 inet 198.51.100.10/32";
        assert_eq!(holders(&[("a", 0, ""), ("b", 0, shown)]), ["b"]);
        assert_eq!(holders(&[("a", 0, shown), ("b", 0, shown)]), ["a", "b"]);
    }

    #[test]
    fn one_holder_is_believed_and_so_is_a_host_that_cannot_be_asked_again() {
        assert_eq!(holders(&[("a", 0, "")]), ["a"]);
        assert_eq!(holders(&[("a", 1, ""), ("b", 0, "")]), ["a"]);
    }
}
