//! Reading through symbolic links, which [`Host::read`] does not follow.

use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use std::collections::BTreeMap;

/// More links in a row than this would be a loop.
const MAX_LINKS: usize = 16;

/// Reads what is at `path`, following symbolic links.
///
/// # Errors
/// A path on the way cannot be read, or the links never end.
pub fn read_through(host: &dyn Host, path: &str) -> Result<Option<Entry>, HostError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match host.read(&path)? {
            Some(Entry { kind: EntryKind::Link(target), .. }) => path = leads_to(&path, &target),
            other => return Ok(other),
        }
    }
    Err(endless(host, path))
}

/// The same for many paths: as many round trips as there are links in a row.
///
/// # Errors
/// One of the paths cannot be read, or links never end.
pub fn read_many_through(
    host: &dyn Host,
    paths: &[String],
) -> Result<BTreeMap<String, Option<Entry>>, HostError> {
    let mut found = BTreeMap::new();
    let mut open: Vec<(String, String)> = paths.iter().map(|path| (path.clone(), path.clone())).collect();
    for _ in 0..MAX_LINKS {
        let asked: Vec<String> = open.iter().map(|(_, now)| now.clone()).collect();
        let entries = host.read_many(&asked)?;
        let mut links = Vec::new();
        for ((path, now), entry) in open.into_iter().zip(entries) {
            match entry {
                Some(Entry { kind: EntryKind::Link(target), .. }) => {
                    let next = leads_to(&now, &target);
                    links.push((path, next));
                }
                other => {
                    found.insert(path, other);
                }
            }
        }
        if links.is_empty() {
            return Ok(found);
        }
        open = links;
    }
    Err(endless(host, open.pop().map(|(path, _)| path).unwrap_or_default()))
}

fn leads_to(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let directory = link.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{target}")
}

fn endless(host: &dyn Host, path: String) -> HostError {
    HostError::File {
        host: host.name().to_owned(),
        action: "read",
        path,
        source: std::io::Error::other("its links never end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn many_paths_lead_where_one_does() {
        let host = Fake::new("cp1")
            .with("/a", Entry::file("a", 0o644))
            .with("/d/b", Entry::link("../a"))
            .with("/c", Entry::link("/d/e"))
            .with("/d/e", Entry::link("f"))
            .with("/d/f", Entry::file("f", 0o600));
        let paths = ["/a", "/c", "/missing"].map(str::to_owned);
        let found = read_many_through(&host, &paths).unwrap();
        for path in &paths {
            assert_eq!(found[path], read_through(&host, path).unwrap(), "{path}");
        }
        assert_eq!(found["/c"].as_ref().unwrap().content(), Some(&b"f"[..]));
        let looping = Fake::new("cp1").with("/x", Entry::link("/y")).with("/y", Entry::link("/x"));
        assert!(read_many_through(&looping, &["/x".to_owned()]).is_err());
    }
}
