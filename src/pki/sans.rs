//! Subject alternative names: collected as kubeadm collects them, and compared with what a certificate has.

use crate::cluster::Node;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Subject alternative names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sans {
    /// Sorted.
    pub dns: Vec<String>,
    /// In the order in which they were asked for.
    pub ips: Vec<IpAddr>,
}

impl Sans {
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.ips.is_empty()
    }

    /// What `self` must cover and `other` does not. A wildcard covers one label, as Go has it.
    pub fn missing_in(&self, other: &Self) -> Vec<String> {
        let dns = self.dns.iter().filter(|name| !other.dns.iter().any(|there| covers(there, name))).cloned();
        let ips = self.ips.iter().filter(|ip| !other.ips.contains(ip)).map(IpAddr::to_string);
        dns.chain(ips).collect()
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(parent), Some((first, rest))) => first != "*" && parent.eq_ignore_ascii_case(rest),
        _ => false,
    }
}

impl fmt::Display for Sans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dns = self.dns.iter().map(|name| format!("DNS:{name}"));
        let ips = self.ips.iter().map(|ip| format!("IP:{ip}"));
        f.write_str(&dns.chain(ips).collect::<Vec<_>>().join(", "))
    }
}

/// Collects names: DNS names sorted and once, addresses in order and once.
#[derive(Default)]
pub(super) struct SanSet {
    dns: BTreeSet<String>,
    ips: Vec<IpAddr>,
}

impl SanSet {
    /// Adds a name or an address; what is neither is left out, as kubeadm does.
    pub(super) fn add(&mut self, text: &str) {
        match text.parse::<IpAddr>() {
            Ok(ip) => self.add_ip(ip),
            Err(_) if is_dns_name(text.strip_prefix("*.").unwrap_or(text)) => {
                self.dns.insert(text.to_owned());
            }
            Err(_) => {}
        }
    }

    pub(super) fn add_all<'a>(&mut self, texts: impl IntoIterator<Item = &'a String>) {
        texts.into_iter().for_each(|text| self.add(text));
    }

    pub(super) fn add_ip(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        if !self.ips.contains(&ip) {
            self.ips.push(ip);
        }
    }

    pub(super) fn add_etcd(&mut self, node: &Node) {
        self.add(&node.name);
        self.add("localhost");
        self.add_ip(node.advertise_address);
        self.add("127.0.0.1");
        self.add("::1");
    }

    pub(super) fn finish(self) -> Sans {
        Sans { dns: self.dns.into_iter().collect(), ips: self.ips }
    }
}

/// A DNS-1123 subdomain.
fn is_dns_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends =
            bytes.first().is_some_and(|byte| inner(*byte)) && bytes.last().is_some_and(|byte| inner(*byte));
        ends && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(texts: &[&str]) -> Sans {
        let mut set = SanSet::default();
        for text in texts {
            set.add(text);
        }
        set.finish()
    }

    #[test]
    fn names_are_sorted_and_addresses_keep_their_order() {
        for (texts, expected) in [
            (&["b", "a", "b"][..], "DNS:a, DNS:b"),
            (&["10.0.0.2", "10.0.0.1", "10.0.0.2"], "IP:10.0.0.2, IP:10.0.0.1"),
            (
                &["*.example.com", "2001:DB8::1", "::ffff:10.0.0.1"],
                "DNS:*.example.com, IP:2001:db8::1, IP:10.0.0.1",
            ),
            // Neither a name nor an address.
            (&["Upper", "a_b", "*", "*.*.a", "-a", "a-", "a..b", "", "10.0.0.0/8"], ""),
        ] {
            assert_eq!(collected(texts).to_string(), expected, "{texts:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let have = Sans {
            dns: vec!["Api.example.com".to_owned(), "*.apps.example.com".to_owned()],
            ips: vec!["10.0.0.1".parse().unwrap()],
        };
        for (wanted, expected) in [
            (&["api.example.com", "10.0.0.1"][..], &[][..]),
            (&["x.apps.example.com", "*.apps.example.com"], &[]),
            (&["x.y.apps.example.com", "apps.example.com"], &["apps.example.com", "x.y.apps.example.com"]),
            (&["*.example.com", "10.0.0.2"], &["*.example.com", "10.0.0.2"]),
        ] {
            assert_eq!(collected(wanted).missing_in(&have), expected, "{wanted:?}");
        }
    }
}
