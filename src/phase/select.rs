//! Which phases run: all, all but some, or one alone; with what they need checked before anything starts.

use crate::phase::Phase;
use std::fmt;

/// A phase under its full name, in the order of the workflow; parents come before their children.
#[derive(Debug, Clone)]
pub struct Selected {
    pub name: String,
    pub phase: &'static Phase,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("invalid phase name: {name}{}", hint(.suggestion.as_deref()))]
    Unknown { name: String, suggestion: Option<String> },
    #[error("unresolved dependencies:\n{}", Unmet::list(.0))]
    Unmet(Vec<Unmet>),
}

/// A phase that runs without the one it builds on.
#[derive(Debug, PartialEq, Eq)]
pub struct Unmet {
    pub phase: String,
    pub needs: String,
}

impl Unmet {
    fn list(unmet: &[Self]) -> String {
        unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  phase `{}` needs `{}`, which is neither selected nor already done on the host",
            self.phase, self.needs
        )
    }
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Every phase of a workflow under its full name, depth first.
pub fn flatten(phases: &'static [Phase]) -> Vec<Selected> {
    let mut all = Vec::new();
    walk(phases, "", &mut all);
    all
}

fn walk(phases: &'static [Phase], prefix: &str, all: &mut Vec<Selected>) {
    for phase in phases {
        let name = format!("{prefix}{}", phase.name);
        all.push(Selected { name: name.clone(), phase });
        walk(phase.children, &format!("{name}/"), all);
    }
}

/// The workflow without the named phases; skipping a parent skips its children.
///
/// # Errors
/// A name is unknown.
pub fn skipping(phases: &'static [Phase], skip: &[String]) -> Result<Vec<Selected>, SelectError> {
    let all = flatten(phases);
    let skip: Vec<String> = skip.iter().map(|name| resolve(&all, name)).collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|one| !skip.iter().any(|skipped| covers(skipped, &one.name))).collect())
}

/// One phase alone; a parent brings all its children.
///
/// # Errors
/// The name is unknown.
pub fn only(phases: &'static [Phase], name: &str) -> Result<Vec<Selected>, SelectError> {
    let all = flatten(phases);
    let wanted = resolve(&all, name)?;
    Ok(all.into_iter().filter(|one| covers(&wanted, &one.name)).collect())
}

/// Whether everything that the selected phases need is selected too, or already done.
///
/// # Errors
/// All unmet needs at once.
pub fn check(selected: &[Selected], done: impl Fn(&Phase) -> bool) -> Result<(), SelectError> {
    let all = flatten(crate::phase::workflow::INIT);
    let mut unmet = Vec::new();
    for one in selected {
        for need in one.phase.needs {
            let chosen = selected.iter().any(|other| covers(need, &other.name));
            let there = all.iter().find(|other| other.name == *need).is_some_and(|other| done(other.phase));
            if !chosen && !there {
                unmet.push(Unmet { phase: one.name.clone(), needs: (*need).to_owned() });
            }
        }
    }
    if unmet.is_empty() { Ok(()) } else { Err(SelectError::Unmet(unmet)) }
}

fn covers(parent: &str, name: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The full name behind a name that was typed: any case, or an alias.
fn resolve(all: &[Selected], typed: &str) -> Result<String, SelectError> {
    let wanted = typed.trim().to_lowercase();
    all.iter()
        .find(|one| one.name == wanted || one.phase.aliases.contains(&wanted.as_str()))
        .map(|one| one.name.clone())
        .ok_or_else(|| SelectError::Unknown {
            name: typed.to_owned(),
            suggestion: nearest(&wanted, all.iter().map(|one| one.name.as_str())),
        })
}

/// The candidate that is most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::workflow::INIT;

    fn names(selected: &[Selected]) -> Vec<&str> {
        selected.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn skips_a_parent_with_its_children_and_nothing_else() {
        let left = skipping(INIT, &["certs".into(), "Addon/Kube-Proxy".into()]).unwrap();
        let left = names(&left);
        assert!(!left.iter().any(|name| name.starts_with("certs")));
        assert!(left.contains(&"addon/coredns"));
        assert!(!left.contains(&"addon/kube-proxy"));
    }

    #[test]
    fn one_phase_brings_its_children() {
        assert_eq!(names(&only(INIT, "etcd").unwrap()), ["etcd", "etcd/local"]);
        assert_eq!(names(&only(INIT, "uploadconfig").unwrap())[0], "upload-config");
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        let error = only(INIT, "cert/apiserver").unwrap_err();
        assert_eq!(error.to_string(), "invalid phase name: cert/apiserver; did you mean `certs/apiserver`?");
    }

    #[test]
    fn unmet_needs_are_all_listed() {
        let selected = only(INIT, "show-join-command").unwrap();
        let error = check(&selected, |_| false).unwrap_err().to_string();
        assert!(error.starts_with("unresolved dependencies:"), "{error}");
        assert!(error.contains("`bootstrap-token`") && error.contains("`upload-certs`"), "{error}");
        check(&selected, |_| true).unwrap();
    }
}
