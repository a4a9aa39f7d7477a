//! The lock file: checksums of releases that this program does not know, one a line.
//!
//! `kubelet 1.36.2 amd64 DIGEST`, and `#` before a comment.

use crate::artifact::Arch;
use crate::artifact::Name;
use crate::artifact::checksum;
use crate::cluster::prepare::Key;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Reads a lock file.
///
/// # Errors
/// All lines that say nothing, each with its number.
pub fn parse(text: &str) -> Result<BTreeMap<Key, String>, Vec<String>> {
    let mut locked = BTreeMap::new();
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match entry(line) {
            Ok((key, digest)) => {
                if locked.insert(key, digest.clone()).is_some_and(|other| other != digest) {
                    problems.push(format!("line {}: another digest for the same file", number + 1));
                }
            }
            Err(why) => problems.push(format!("line {}: {why}", number + 1)),
        }
    }
    if problems.is_empty() { Ok(locked) } else { Err(problems) }
}

fn entry(line: &str) -> Result<(Key, String), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, version, arch, digest] = words[..] else {
        return Err("not NAME VERSION ARCHITECTURE SHA256".to_owned());
    };
    if Name::parse(name).is_none() {
        let all = Name::ALL.map(Name::as_str).join(", ");
        return Err(format!("`{name}` is none of {all}"));
    }
    if !Arch::ALL.iter().any(|known| known.as_str() == arch) {
        return Err(format!("`{arch}` is neither amd64 nor arm64"));
    }
    let digest = digest.to_lowercase();
    if !checksum::is_digest(&digest) {
        return Err(format!("`{digest}` is not a SHA-256 digest (64 hexadecimal digits)"));
    }
    let version = version.trim_start_matches('v');
    Ok(((name.to_owned(), version.to_owned(), arch.to_owned()), digest))
}

/// The text of a lock file.
pub fn text(locked: &BTreeMap<Key, String>) -> String {
    let mut text =
        "# SHA-256 of the releases that hosts are prepared with; see `kubewright config artifacts lock`.\n"
            .to_owned();
    for ((name, version, arch), digest) in locked {
        let _ = writeln!(text, "{name} {version} {arch} {digest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "f6ae8efc0fa40079e1475e97cbe9d1bd3f106a28d6af78a11d9f1bd565515e60";

    #[test]
    fn what_is_written_reads_back() {
        let text = format!("# comment\n\nrunc v1.5.2 arm64 {DIGEST}  # why\nkubelet 1.36.5 amd64 {DIGEST}\n");
        let locked = parse(&text).unwrap();
        assert_eq!(locked.len(), 2);
        assert_eq!(parse(&super::text(&locked)).unwrap(), locked);
    }

    #[test]
    fn every_line_that_says_nothing_is_named() {
        let text = format!("runc 1 amd64\nrnc 1 amd64 {DIGEST}\nrunc 1 mips {DIGEST}\nrunc 1 amd64 abc\n");
        let problems = parse(&text).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[3].starts_with("line 4: `abc`"), "{problems:?}");
    }
}
