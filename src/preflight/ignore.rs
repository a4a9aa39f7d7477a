//! `--ignore-preflight-errors`: which checks cannot stop us.

use std::collections::BTreeSet;

/// Lower-case names, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore(BTreeSet<String>);

const ALL: &str = "all";

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "ignore-preflight-errors: don't specify individual checks if 'all' is used; name either `all` or the checks \
     (given: {0})"
)]
pub struct IgnoreError(String);

impl Ignore {
    /// The union of what the flag and the configuration say. Case does not matter; unknown names are accepted.
    ///
    /// # Errors
    /// `all` beside anything else.
    pub fn new(flag: &[String], configuration: &[String]) -> Result<Self, IgnoreError> {
        let names: BTreeSet<String> =
            flag.iter().chain(configuration).map(|name| name.trim().to_lowercase()).collect();
        let names: BTreeSet<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.contains(ALL) && names.len() > 1 {
            return Err(IgnoreError(names.into_iter().collect::<Vec<_>>().join(", ")));
        }
        Ok(Self(names))
    }

    pub fn covers(&self, check: &str) -> bool {
        self.0.contains(ALL) || self.0.contains(&check.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(flag: &[&str], configuration: &[&str]) -> Result<Ignore, IgnoreError> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Ignore::new(&own(flag), &own(configuration))
    }

    #[test]
    fn unites_flag_and_configuration_without_case() {
        let both = ignore(&["swap", "NUMCPU"], &["Mem", "Swap", "NoSuchCheck"]).unwrap();
        for (name, covered) in [("Swap", true), ("NumCPU", true), ("Mem", true), ("CRI", false)] {
            assert_eq!(both.covers(name), covered, "{name}");
        }
    }

    #[test]
    fn all_stands_alone() {
        assert!(ignore(&["ALL"], &["all"]).unwrap().covers("Port-6443"));
        let error = ignore(&["all"], &["Swap"]).unwrap_err().to_string();
        assert!(error.contains("don't specify individual checks if 'all' is used"), "{error}");
        assert!(!ignore(&[], &[]).unwrap().covers("Swap"));
    }
}
