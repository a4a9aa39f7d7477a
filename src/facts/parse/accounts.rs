//! `/etc/passwd`, `/etc/group` and `/etc/login.defs`.

use super::Answers;
use crate::facts::accounts::Accounts;
use crate::facts::accounts::Group;
use crate::facts::accounts::IdRange;
use crate::facts::accounts::User;

pub(in crate::facts) fn accounts(answers: &Answers) -> Accounts {
    Accounts {
        users: answers.all("/etc/passwd").filter_map(user).collect(),
        groups: answers.all("/etc/group").filter_map(group).collect(),
        system_users: range(answers, "SYS_UID_MIN", "SYS_UID_MAX"),
        system_groups: range(answers, "SYS_GID_MIN", "SYS_GID_MAX"),
    }
}

/// `name:x:uid:gid:comment:home:shell`
fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, user, group, _, _, shell] = fields[..] else { return None };
    Some(User {
        name: name.to_owned(),
        user: user.parse().ok()?,
        group: group.parse().ok()?,
        shell: shell.to_owned(),
    })
}

/// `name:x:gid:member,member`
fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, group, members] = fields[..] else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.to_owned(), group: group.parse().ok()?, members })
}

fn range(answers: &Answers, min: &str, max: &str) -> IdRange {
    let said = |name: &str| {
        let value = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| words.next()?.parse().ok()).flatten()
        };
        answers.all("/etc/login.defs").filter_map(value).last()
    };
    let usual = IdRange::default();
    IdRange { min: said(min).unwrap_or(usual.min), max: said(max).unwrap_or(usual.max) }
}
