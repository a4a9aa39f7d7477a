//! What names, labels, addresses and references must look like. Facts: Kubernetes' `apimachinery` validation and
//! the reference grammar of `distribution`.

use ipnet::IpNet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// RFC 1123 subdomain in lower case, at most 253 characters.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// `*.` and a subdomain.
pub(crate) fn is_wildcard(text: &str) -> bool {
    text.strip_prefix("*.").is_some_and(is_subdomain) && text.len() <= 253
}

/// A label key or taint key: `[prefix/]name`.
pub(crate) fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

fn is_name_part(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// An address as Go's lenient parser reads it: leading zeros in IPv4 do not matter.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let octets: Vec<u8> = text.split('.').map(parse_octet).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn parse_octet(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let significant = text.trim_start_matches('0');
    match (digits, significant) {
        (false, _) => None,
        (true, "") => Some(0),
        (true, number) => number.parse().ok(),
    }
}

/// A network; host bits are allowed and dropped.
pub(crate) fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let length: u8 = length.bytes().all(|b| b.is_ascii_digit()).then(|| length.parse().ok())??;
    IpNet::new(parse_ip(address)?, length).ok().map(|network| network.trunc())
}

/// Not unspecified, loopback, multicast, link-local or broadcast: what Go calls global unicast.
pub(crate) fn is_global_unicast(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !link_local && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// The deprecated site-local range of RFC 3879.
pub(crate) fn touches_site_local(network: &IpNet) -> bool {
    let base = Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0);
    let site_local = IpNet::new(base.into(), 10).expect("ten bits are a valid length");
    overlap(&site_local, network)
}

pub(crate) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// `host:port`, `host`, `[v6]:port` or a bare IPv6 address; the port may be missing.
pub(crate) fn parse_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match split_host_port(text) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (text, None),
    };
    (parse_ip(host).is_some() || is_subdomain(host)).then(|| (host.to_owned(), port))
}

/// Go's `net.SplitHostPort`.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':')?;
        return (!host.contains(['[', ']']) && !port.contains([':', '[', ']'])).then_some((host, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// Whether `<repository>/name:tag` is an image reference.
pub(crate) fn is_image_repository(text: &str) -> bool {
    let mut parts = text.split('/');
    let Some(first) = parts.next() else { return false };
    (is_domain_and_port(first) || is_path_component(first)) && parts.all(is_path_component)
}

fn is_domain_and_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_fits = match v6 {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    port_fits && host_fits
}

/// Runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = |c: Option<char>| c.is_some_and(alphanumeric);
    ends(text.chars().next())
        && ends(text.chars().last())
        && text
            .split(alphanumeric)
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

/// `[a-z0-9]{6}.[a-z0-9]{16}`
pub(crate) fn is_bootstrap_token(text: &str) -> bool {
    let word = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

/// The hash of a CA's public key: `sha256:` and 64 hexadecimal digits, both in either case.
pub(crate) fn is_pin(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, value)| {
        algorithm.eq_ignore_ascii_case("sha256")
            && value.len() == 64
            && value.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// `[a-z0-9]{6}`
pub(crate) fn is_bootstrap_token_id(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// `system:bootstrappers:` and up to 256 characters of `a-z0-9:-`, the last one a letter or digit.
pub(crate) fn is_bootstrap_group(text: &str) -> bool {
    text.strip_prefix("system:bootstrappers:").is_some_and(|rest| {
        (1..=256).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b':' || b == b'-')
            && rest.ends_with(|c: char| c.is_ascii_alphanumeric())
    })
}

/// The scheme of a URL, empty when it has none.
pub(crate) fn url_scheme(text: &str) -> &str {
    let scheme = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    match text.split_once(':') {
        Some((before, _)) if scheme(before) => before,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text} is good");
        }
        for text in bad {
            assert!(!check(text), "{text} is bad");
        }
    }

    #[test]
    fn names() {
        all(
            is_subdomain,
            &["a", "a-b.c1", "1.2"],
            &["", "A", "-a", "a-", "a..b", "a_b", "a.", &"a".repeat(254)],
        );
        all(is_wildcard, &["*.example.com"], &["*", "*.", "a.*.b", "example.com"]);
        all(is_qualified, &["a", "A_b.c", "example.com/disk"], &["", "/a", "a/", "a/b/c", "-a", "B.com/a"]);
        all(is_label_value, &["", "ssd", "A-1"], &["a b", "-a", &"a".repeat(64)]);
        all(
            is_bootstrap_token,
            &["abcdef.0123456789abcdef"],
            &["", "abcdef", "ABCDEF.0123456789abcdef", "a.b"],
        );
        all(
            is_bootstrap_group,
            &["system:bootstrappers:a:b-c"],
            &["system:masters", "system:bootstrappers:", "system:bootstrappers:a-"],
        );
    }

    #[test]
    fn image_repositories() {
        all(
            is_image_repository,
            &[
                "registry.k8s.io",
                "localhost:5000/a",
                "[::1]:5000/a",
                "a/b__c/d--e",
                "Reg.Example.com/k8s",
                "k8s",
            ],
            &["", "a b", "reg/K8s", "reg//a", "reg/a.", "https://reg", "reg:port/a", "a___b/c"],
        );
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("010.0.0.01", Some("10.0.0.1")),
            ("::ffff:1.2.3.4", Some("1.2.3.4")),
            ("2001:DB8::0001", Some("2001:db8::1")),
            ("1.2.3", None),
            ("1.2.3.256", None),
            ("fe80::1%eth0", None),
            ("", None),
        ] {
            assert_eq!(parse_ip(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(parse_cidr("10.1.2.3/16").unwrap().to_string(), "10.1.0.0/16");
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", " 10.0.0.0/8", "a/8", "10.0.0.0/"] {
            assert!(parse_cidr(text).is_none(), "{text}");
        }
    }

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("api.example.com", Some(("api.example.com", None))),
            ("api:6443", Some(("api", Some(6443)))),
            ("[::1]:443", Some(("::1", Some(443)))),
            ("::1", Some(("::1", None))),
            ("api:", Some(("api", None))),
            ("api:0", None),
            ("api:65536", None),
            ("API:6443", None),
            ("https://api", None),
            ("", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(parse_host_port(text), expected, "{text}");
        }
    }

    #[test]
    fn schemes() {
        for (text, scheme) in
            [("unix:///a", "unix"), ("/a/b", ""), ("https://a:1", "https"), ("10.0.0.1:80", "")]
        {
            assert_eq!(url_scheme(text), scheme, "{text}");
        }
    }
}
