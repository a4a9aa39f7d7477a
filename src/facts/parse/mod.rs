//! From the probe's answers to values; pure.

pub(super) mod accounts;
pub(super) mod footprint;
pub(super) mod kernel;
pub(super) mod network;
pub(super) mod system;

/// The lines of a probe, `key:value`. A key that is a path came from that file.
pub(super) struct Answers<'a> {
    lines: Vec<(&'a str, &'a str)>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { lines: text.lines().filter_map(split).collect() }
    }

    /// All values of a key, in order.
    pub(super) fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.lines.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The first value of a key that says something.
    pub(super) fn first(&self, key: &str) -> Option<&'a str> {
        self.all(key).map(str::trim).find(|value| !value.is_empty())
    }

    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        self.all(key).any(|found| found == value)
    }

    /// The whole text of a file; empty when it is empty, or not there.
    pub(super) fn text(&self, path: &str) -> String {
        self.all(path).flat_map(|line| [line, "\n"]).collect()
    }

    /// Lines of files under a directory, with their paths.
    pub(super) fn under<'s>(&'s self, directory: &'s str) -> impl Iterator<Item = (&'a str, &'a str)> + 's {
        self.lines.iter().filter(move |(name, _)| name.starts_with(directory)).copied()
    }
}

fn split(line: &str) -> Option<(&str, &str)> {
    if line.starts_with("LISTEN ") { Some(("ss", line)) } else { line.split_once(':') }
}

/// `NAME=value` or `NAME="value"` of a shell-like file.
pub(super) fn assigned<'a>(lines: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    lines
        .filter_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='))
        .map(|value| value.trim().trim_matches('"'))
        .last()
}
