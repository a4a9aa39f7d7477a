//! Would a connection go through a proxy? The rules of Go's HTTP client, which the API server is.

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The proxy that an HTTPS connection to `host:port` would use, without its password.
pub(super) fn proxy_for(environment: &BTreeMap<String, String>, host: &str, port: u16) -> Option<String> {
    let first = |names: [&str; 2]| {
        names.into_iter().filter_map(|name| environment.get(name)).find(|value| !value.is_empty())
    };
    let proxy = first(["HTTPS_PROXY", "https_proxy"])?;
    let exceptions = first(["NO_PROXY", "no_proxy"]).map(String::as_str).unwrap_or_default();
    (!is_direct(exceptions, host, port)).then(|| without_password(proxy))
}

fn is_direct(exceptions: &str, host: &str, port: u16) -> bool {
    let host = host.to_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    exceptions.split(',').map(|entry| entry.trim().to_lowercase()).filter(|entry| !entry.is_empty()).any(
        |entry| {
            entry == "*"
                || match address {
                    Some(address) => covers_address(&entry, address, port),
                    None => covers_name(&entry, &host, port),
                }
        },
    )
}

fn covers_address(entry: &str, address: IpAddr, port: u16) -> bool {
    if let Ok(network) = entry.parse::<IpNet>() {
        return network.contains(&address);
    }
    let (host, wanted) = split_port(entry);
    host.parse() == Ok(address) && wanted.is_none_or(|wanted| wanted == port)
}

/// `example.com` covers itself and what is below it, `.example.com` and `*.example.com` only what is below.
fn covers_name(entry: &str, host: &str, port: u16) -> bool {
    let (name, wanted) = split_port(entry);
    let name = name.strip_prefix('*').unwrap_or(name);
    let covered = match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    };
    covered && wanted.is_none_or(|wanted| wanted == port)
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    if entry.parse::<IpAddr>().is_ok() {
        return (entry, None);
    }
    match entry.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host.trim_matches(['[', ']']), Some(port)),
        _ => (entry.trim_matches(['[', ']']), None),
    }
}

/// `http://user:secret@proxy:3128` without `:secret`; a missing scheme is `http`.
fn without_password(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_rules_of_go() {
        let cases = [
            ("", "192.0.2.10", true),
            ("192.0.2.0/24", "192.0.2.10", false),
            ("192.0.2.10", "192.0.2.10", false),
            ("192.0.2.10:6443", "192.0.2.10", false),
            ("192.0.2.10:443", "192.0.2.10", true),
            ("192.0.2.1", "192.0.2.10", true),
            ("2001:db8::/32", "2001:db8::10", false),
            ("[2001:db8::10]:6443", "2001:db8::10", false),
            ("example.com", "api.example.com", false),
            ("example.com", "example.com", false),
            (".example.com", "example.com", true),
            ("*.example.com", "api.example.com", false),
            ("ample.com", "example.com", true),
            ("other, *", "192.0.2.10", false),
            ("", "127.0.0.1", false),
            ("", "LOCALHOST", false),
        ];
        for (exceptions, host, through) in cases {
            let environment = BTreeMap::from([
                ("https_proxy".to_owned(), "proxy:3128".to_owned()),
                ("NO_PROXY".to_owned(), exceptions.to_owned()),
            ]);
            let found = proxy_for(&environment, host, 6443);
            assert_eq!(found, through.then(|| "http://proxy:3128".to_owned()), "{exceptions} {host}");
        }
    }

    #[test]
    fn capitals_come_first_and_passwords_stay_hidden() {
        let environment = BTreeMap::from([
            ("HTTPS_PROXY".to_owned(), "http://me:secret@proxy:1".to_owned()),
            ("https_proxy".to_owned(), "http://other:2".to_owned()),
            ("HTTP_PROXY".to_owned(), "http://plain:3".to_owned()),
        ]);
        assert_eq!(proxy_for(&environment, "192.0.2.1", 443).unwrap(), "http://me@proxy:1");
        let plain = BTreeMap::from([("HTTP_PROXY".to_owned(), "http://plain:3".to_owned())]);
        assert_eq!(proxy_for(&plain, "192.0.2.1", 443), None);
    }
}
