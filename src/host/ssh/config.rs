//! The useful part of OpenSSH's client configuration (`ssh_config(5)`).
#![expect(clippy::disallowed_methods, reason = "this is the seam: files of the operator's machine")]

use crate::host::ssh::known_hosts::matches;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Files that include each other further than this form a loop.
const MAX_DEPTH: usize = 8;

/// What the files say, in order: for each setting the first that says something wins.
#[derive(Debug, Clone, Default)]
pub struct SshConfig {
    sections: Vec<Section>,
    /// What is in the files and cannot be followed.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
struct Section {
    /// `None`: never.
    hosts: Option<Vec<String>>,
    settings: Vec<(String, Vec<String>)>,
}

/// What is said of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    pub host_name: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity_files: Vec<String>,
    pub identities_only: bool,
    /// A socket, `SSH_AUTH_SOCK`, or `none`.
    pub identity_agent: Option<String>,
    pub proxy_jump: Option<String>,
    /// Not followed; whoever reaches the host only through it is told.
    pub proxy_command: Option<String>,
    pub user_known_hosts: Option<Vec<String>>,
    pub strict_checking: Option<String>,
    pub host_key_alias: Option<String>,
    /// Seconds.
    pub connect_timeout: Option<u64>,
    /// Seconds.
    pub alive_interval: Option<u64>,
}

impl SshConfig {
    /// Reads those of the files that are there; `home` is where `~` and relative includes lead.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn read(files: &[PathBuf], home: Option<&Path>) -> io::Result<Self> {
        let mut config = Self::default();
        for file in files {
            config.include(file, home, 0)?;
        }
        Ok(config)
    }

    fn include(&mut self, file: &Path, home: Option<&Path>, depth: usize) -> io::Result<()> {
        let text = match fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", file.display()))),
        };
        let outer = self.sections.last().map(|section| section.hosts.clone());
        // What stands before the first `Host` holds where the file was included.
        self.section(if depth == 0 { everybody() } else { outer.flatten() });
        for (number, line) in text.lines().enumerate() {
            let Some((key, words)) = split(line) else { continue };
            match key.as_str() {
                "include" if depth < MAX_DEPTH => {
                    let here = self.sections.last().and_then(|section| section.hosts.clone());
                    let base = base(file, home);
                    for included in words.iter().flat_map(|word| glob(word, base.as_deref(), home)) {
                        self.include(&included, home, depth + 1)?;
                    }
                    self.section(here);
                }
                _ => self.line(key, words, &format!("{}:{}", file.display(), number + 1)),
            }
        }
        Ok(())
    }

    fn line(&mut self, key: String, words: Vec<String>, place: &str) {
        let says = |wanted: &[&str]| {
            words.iter().any(|word| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
        };
        match key.as_str() {
            "host" => self.section(Some(words)),
            "match" if words.len() == 1 && says(&["all"]) => self.section(everybody()),
            "match" => {
                self.warnings.push(format!("{place}: `Match` is not followed; its settings are left out"));
                self.section(None);
            }
            "stricthostkeychecking" if says(&["no", "off"]) => self.warnings.push(format!(
                "{place}: `StrictHostKeyChecking no` is not followed: keys are checked; `accept-new` takes new ones"
            )),
            _ => {
                if let Some(section) = self.sections.last_mut() {
                    section.settings.push((key, words));
                }
            }
        }
    }

    fn section(&mut self, hosts: Option<Vec<String>>) {
        self.sections.push(Section { hosts, settings: Vec::new() });
    }

    /// What is said of a host under the name that the operator uses.
    pub fn of(&self, host: &str) -> HostSettings {
        let mut found = HostSettings::default();
        let mut identities_only = None;
        let sections = self
            .sections
            .iter()
            .filter(|section| section.hosts.as_ref().is_some_and(|patterns| applies(patterns, host)));
        for (key, words) in sections.flat_map(|section| &section.settings) {
            let first = || words.first().cloned();
            match key.as_str() {
                "hostname" => set(&mut found.host_name, first()),
                "user" => set(&mut found.user, first()),
                "port" => set(&mut found.port, first().and_then(|word| word.parse().ok())),
                "identityfile" => found.identity_files.extend(first()),
                "identitiesonly" => {
                    set(&mut identities_only, first().map(|word| word.eq_ignore_ascii_case("yes")));
                }
                "identityagent" => set(&mut found.identity_agent, first()),
                // Of these two the first one wins.
                "proxyjump" if found.proxy_command.is_none() => set(&mut found.proxy_jump, first()),
                "proxycommand" if found.proxy_jump.is_none() => set(&mut found.proxy_command, first()),
                "userknownhostsfile" => set(&mut found.user_known_hosts, Some(words.clone())),
                "stricthostkeychecking" => {
                    set(&mut found.strict_checking, first().map(|word| word.to_lowercase()));
                }
                "hostkeyalias" => set(&mut found.host_key_alias, first()),
                "connecttimeout" => {
                    set(&mut found.connect_timeout, first().and_then(|word| word.parse().ok()));
                }
                "serveraliveinterval" => {
                    set(&mut found.alive_interval, first().and_then(|word| word.parse().ok()));
                }
                _ => {}
            }
        }
        found.identities_only = identities_only.unwrap_or_default();
        found
    }
}

/// Where the relative names of an `Include` begin.
fn base(file: &Path, home: Option<&Path>) -> Option<PathBuf> {
    if file.starts_with("/etc") { Some("/etc/ssh".into()) } else { home.map(|home| home.join(".ssh")) }
}

/// The patterns that hold for every host.
#[expect(clippy::unnecessary_wraps, reason = "as a section has it")]
fn everybody() -> Option<Vec<String>> {
    Some(vec!["*".to_owned()])
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn applies(patterns: &[String], host: &str) -> bool {
    let hit = |pattern: &String| match pattern.strip_prefix('!') {
        Some(excluded) => matches(excluded, host).then_some(false),
        None => matches(pattern, host).then_some(true),
    };
    let hits: Vec<bool> = patterns.iter().filter_map(hit).collect();
    hits.contains(&true) && !hits.contains(&false)
}

/// The keyword in lower case and its words; quotes hold a word together.
fn split(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let rest = line[end..].trim_start().trim_start_matches('=').trim_start();
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    for c in rest.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                open = true;
            }
            '#' if !quoted && !open => break,
            c if c.is_whitespace() && !quoted => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            c => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    Some((line[..end].to_lowercase(), words))
}

/// A path with its `~`, `%d`, `%h`, `%r`, `%p`, `%n`, `%u` and `%%` put in.
pub(super) fn expand(text: &str, home: Option<&Path>, tokens: &[(char, &str)]) -> String {
    let mut expanded = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let token = if c == '%' { chars.clone().next() } else { None };
        let known = match token {
            Some('%') => Some("%"),
            Some(name) => tokens.iter().find(|(token, _)| *token == name).map(|(_, value)| *value),
            None => None,
        };
        match known {
            Some(value) => {
                expanded.push_str(value);
                chars.next();
            }
            None => expanded.push(c),
        }
    }
    with_home(&expanded, home).to_string_lossy().into_owned()
}

/// A path whose leading `~` is the home directory.
pub(super) fn with_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// The files that a word of `Include` names; wildcards stand in the last part of the path only.
fn glob(word: &str, base: Option<&Path>, home: Option<&Path>) -> Vec<PathBuf> {
    let path = with_home(word, home);
    let path = match base {
        Some(base) if path.is_relative() => base.join(path),
        _ => path,
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let Some(entries) = path.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            matches(&name, &file) && (name.starts_with('.') || !file.starts_with('.'))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (SshConfig, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        fs::create_dir(&ssh).unwrap();
        fs::write(ssh.join("config"), text).unwrap();
        fs::create_dir(ssh.join("config.d")).unwrap();
        fs::write(ssh.join("config.d/1.conf"), "Port 2201\nHost b\n  User included\n").unwrap();
        fs::write(ssh.join("config.d/ignored"), "Port 9\n").unwrap();
        (SshConfig::read(&[ssh.join("config")], Some(home.path())).unwrap(), home)
    }

    #[test]
    fn the_first_that_says_something_wins() {
        let (config, _home) = read(
            "# all\nIdentityFile ~/.ssh/first\nHost a *.lab !no.lab\n  HostName=10.0.0.1\n  User \"the user\"\n  \
             Include config.d/*.conf\n  IdentityFile ~/.ssh/second # mine\n  IdentitiesOnly yes\n\nHost *\n  User late\n  \
             Port 22\n  ProxyJump jump@b:2222,c\n  UserKnownHostsFile /a /b\n  ConnectTimeout 7\n  \
             ServerAliveInterval 3\n",
        );
        let a = config.of("a");
        assert_eq!(a.host_name.as_deref(), Some("10.0.0.1"));
        assert_eq!(a.user.as_deref(), Some("the user"));
        assert_eq!(a.port, Some(2201));
        assert_eq!(a.identity_files, ["~/.ssh/first", "~/.ssh/second"]);
        assert!(a.identities_only);
        assert_eq!(a.proxy_jump.as_deref(), Some("jump@b:2222,c"));
        assert_eq!(a.user_known_hosts.as_deref(), Some(&["/a".to_owned(), "/b".to_owned()][..]));
        assert_eq!((a.connect_timeout, a.alive_interval), (Some(7), Some(3)));
        assert_eq!(config.of("x.LAB").host_name.as_deref(), Some("10.0.0.1"));
        let no = config.of("no.lab");
        assert_eq!((no.host_name, no.user.as_deref(), no.port), (None, Some("late"), Some(22)));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let (config, _home) = read(
            "Host a\n  StrictHostKeyChecking no\nMatch exec true\n  User evil\nMatch all\n  StrictHostKeyChecking \
             accept-new\n",
        );
        assert_eq!(config.of("a").strict_checking.as_deref(), Some("accept-new"));
        assert_eq!(config.of("a").user, None);
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
        assert!(config.warnings[0].contains("config:2: `StrictHostKeyChecking no`"), "{:?}", config.warnings);
    }

    #[test]
    fn tokens_and_home_are_put_in() {
        let home = Path::new("/home/me");
        let expanded = |text| expand(text, Some(home), &[('h', "10.0.0.1"), ('r', "ops")]);
        for (text, path) in [
            ("~/.ssh/%r@%h", "/home/me/.ssh/ops@10.0.0.1"),
            ("/a%%b%z", "/a%b%z"),
            ("~", "/home/me"),
            ("~other/x", "~other/x"),
        ] {
            assert_eq!(expanded(text), path);
        }
    }
}
