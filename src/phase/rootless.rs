//! The `RootlessControlPlane` feature gate: the accounts of the components, and what belongs to them.
//!
//! kubeadm edits `/etc/passwd` and `/etc/group` itself; here the host's own tools do. The numbers are chosen while
//! planning, from what the host says, so that manifests and owners can be shown before anything is done.

use crate::facts::Accounts;
use crate::facts::accounts::IdRange;
use crate::facts::accounts::User;
use crate::host::Command;
use crate::kube::static_pod::RootlessIds;
use crate::kube::static_pod::rootless::Ids;
use crate::phase::Draft;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use crate::plan::Action;
use crate::plan::RunSpec;
use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use std::collections::BTreeSet;

/// The heading of the steps that make accounts.
pub const PHASE: &str = "accounts";

const SHELL: &str = "/bin/false";
const READERS: &str = "kubeadm-sa-key-readers";

/// kubeadm's users, in the order in which it numbers them.
const USERS: [&str; 4] = ["kubeadm-etcd", "kubeadm-kas", "kubeadm-kcm", "kubeadm-ks"];
/// Who may read the key that signs service-account tokens.
const READING: [&str; 2] = ["kubeadm-kas", "kubeadm-kcm"];

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub mode: u32,
    /// `None` leaves the owner to whoever writes the file.
    pub owner: Option<(u32, u32)>,
}

/// One account as it will be.
struct Account {
    name: &'static str,
    id: u32,
    exists: bool,
}

struct Numbered {
    users: Vec<Account>,
    /// A group for each user, and the readers.
    groups: Vec<Account>,
    without_members: Vec<&'static str>,
}

/// Each user is named in its own group, as kubeadm has it.
fn members(group: &'static str) -> Vec<&'static str> {
    if group == READERS { READING.to_vec() } else { vec![group] }
}

/// Whether a phase makes or uses what belongs to these accounts.
pub fn concerns(phase: &str) -> bool {
    ["certs", "kubeconfig", "etcd", "control-plane"].iter().any(|name| phase.starts_with(name))
}

/// The numbers of the accounts: those that the host has, for the others the lowest free ones.
///
/// # Errors
/// An account of one of these names does not fit, or no number is left.
pub fn ids(accounts: &Accounts) -> anyhow::Result<RootlessIds> {
    let numbered = number(accounts)?;
    let ids = |index: usize| Ids { user: numbered.users[index].id, group: numbered.groups[index].id };
    Ok(RootlessIds {
        etcd: ids(0),
        apiserver: ids(1),
        controller_manager: ids(2),
        scheduler: ids(3),
        sa_key_readers: numbered.groups[4].id,
    })
}

/// The steps that make the accounts which the host lacks; where only etcd runs, only etcd's.
///
/// # Errors
/// As for [`ids`].
pub fn accounts(accounts: &Accounts, only_etcd: bool) -> anyhow::Result<Vec<Draft>> {
    let mut numbered = number(accounts)?;
    let wanted = |name: &str| !only_etcd || name == USERS[0];
    numbered.without_members.retain(|name| wanted(name));
    let missing = |accounts: &'static str, list: Vec<Account>| {
        let missing = list.into_iter().filter(|account| !account.exists && wanted(account.name));
        missing.map(move |account| (accounts, account))
    };
    let id = |index: usize| numbered.groups[index].id;
    let primary = [id(0), id(1), id(2), id(3)];
    let mut drafts = Vec::new();
    for (file, account) in missing("/etc/group", numbered.groups) {
        let command = Command::change("groupadd").args(["--system", "--gid"]).arg(account.id.to_string());
        drafts.push(made(&format!("group {}", account.name), file, account.name, command.arg(account.name)));
    }
    let users = numbered.users.into_iter().enumerate();
    for (index, account) in users.filter(|(_, account)| !account.exists && wanted(account.name)) {
        let command = Command::change("useradd")
            .args(["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", SHELL, "--uid"])
            .arg(account.id.to_string())
            .arg("--gid")
            .arg(primary[index].to_string());
        let title = format!("user {}", account.name);
        drafts.push(made(&title, "/etc/passwd", account.name, command.arg(account.name)));
    }
    for name in numbered.without_members {
        let members = members(name).join(",");
        let pattern = format!("^{name}:[^:]*:[0-9]*:{members}$");
        drafts.push(Draft::new(
            format!("members of group {name}"),
            "kubeadm accepts the accounts only with these members",
            run(
                Command::change("gpasswd").args(["--members", &members, name]),
                Command::query("grep").args(["-q", &pattern, "/etc/group"]),
            ),
        ));
    }
    Ok(drafts)
}

/// The step that gives etcd's data to the user that etcd runs as.
pub fn data_directory(path: &str, owner: Ids) -> Draft {
    let (user, group) = (owner.user, owner.group);
    let script = format!("test -z \"$(find \"$0\" ! -user {user} -o ! -group {group} | head -n 1)\"");
    Draft::new(
        "etcd data directory of etcd's user",
        "etcd does not run as root",
        run(
            Command::change("chown").args(["-R", &format!("{user}:{group}"), path]),
            Command::query("sh").args(["-c", &script, path]),
        ),
    )
}

/// Mode and owner of a piece of the PKI: `mode` and nobody in particular where everything runs as root.
pub fn rights(ids: Option<&RootlessIds>, name: CertName, part: Part, mode: u32) -> Rights {
    let usual = Rights { mode, owner: None };
    let Some(ids) = ids else { return usual };
    let owned = |ids: Ids| Rights { mode: 0o600, owner: Some((ids.user, ids.group)) };
    match (name, part) {
        (CertName::ServiceAccount, Part::Key) => Rights { mode: 0o640, owner: Some((0, ids.sa_key_readers)) },
        (_, Part::Certificate) => usual,
        (
            // Of the service accounts' keys, the public one.
            CertName::ServiceAccount
            | CertName::Apiserver
            | CertName::ApiserverKubeletClient
            | CertName::FrontProxyClient
            | CertName::ApiserverEtcdClient,
            _,
        ) => owned(ids.apiserver),
        // The controller manager signs with them.
        (CertName::ControllerManager | CertName::Ca(Ca::Kubernetes | Ca::Kubelet), _) => {
            owned(ids.controller_manager)
        }
        (CertName::Scheduler, _) => owned(ids.scheduler),
        (CertName::EtcdServer | CertName::EtcdPeer, _) => owned(ids.etcd),
        _ => usual,
    }
}

fn number(accounts: &Accounts) -> anyhow::Result<Numbered> {
    let mut taken: BTreeSet<u32> = accounts.groups.iter().map(|group| group.group).collect();
    let (mut groups, mut without_members) = (Vec::new(), Vec::new());
    for name in USERS.into_iter().chain([READERS]) {
        let found = accounts.groups.iter().find(|group| group.name == name);
        let listed = found.map(|group| group.members.iter().map(String::as_str).collect::<BTreeSet<_>>());
        let wanted: BTreeSet<&str> = members(name).into_iter().collect();
        match listed {
            Some(listed) if listed == wanted => {}
            Some(listed) if !listed.is_empty() => bail!(
                "the group {name} has other members than {}; remove the group, so that it can be made anew",
                members(name).join(",")
            ),
            _ => without_members.push(name),
        }
        let existing = found.map(|group| group.group);
        groups.push(account("group", name, existing, accounts.system_groups, &mut taken)?);
    }
    let mut taken: BTreeSet<u32> = accounts.users.iter().map(|user| user.user).collect();
    let mut users = Vec::new();
    for (name, group) in USERS.into_iter().zip(&groups) {
        let found = accounts.users.iter().find(|user| user.name == name);
        found.map_or(Ok(()), |user| fits(user, group))?;
        let existing = found.map(|user| user.user);
        users.push(account("user", name, existing, accounts.system_users, &mut taken)?);
    }
    Ok(Numbered { users, groups, without_members })
}

fn fits(user: &User, group: &Account) -> anyhow::Result<()> {
    let name = &user.name;
    let mend = "remove the user, so that it can be made anew";
    ensure!(user.shell == SHELL, "the user {name} has the shell {} and not {SHELL}; {mend}", user.shell);
    ensure!(
        group.exists && user.group == group.id,
        "the primary group of the user {name} is not the group of the same name; {mend}"
    );
    Ok(())
}

fn account(
    kind: &str,
    name: &'static str,
    existing: Option<u32>,
    range: IdRange,
    taken: &mut BTreeSet<u32>,
) -> anyhow::Result<Account> {
    let (min, max) = (range.min, range.max);
    if let Some(id) = existing {
        ensure!(
            range.contains(id),
            "the {kind} {name} has the number {id}, which is not one of the system's ({min} to {max}); remove the {kind}, so that it can be made anew"
        );
        return Ok(Account { name, id, exists: true });
    }
    let free = (min..=max).find(|id| !taken.contains(id));
    let id = free.with_context(|| {
        format!(
            "no number from {min} to {max} is free for the {kind} {name}; widen the range in /etc/login.defs"
        )
    })?;
    taken.insert(id);
    Ok(Account { name, id, exists: false })
}

fn made(title: &str, file: &str, name: &str, command: Command) -> Draft {
    let unless = Command::query("grep").args(["-q", &format!("^{name}:"), file]);
    Draft::new(title, "a component of the control plane runs without root", run(command, unless))
}

fn run(command: Command, unless: Command) -> Action {
    Action::Run(RunSpec { command, unless: Some(unless), remember: Vec::new(), best_effort: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::accounts::Group;

    fn user(name: &str, id: u32, group: u32, shell: &str) -> User {
        User { name: name.to_owned(), user: id, group, shell: shell.to_owned() }
    }

    fn group(name: &str, id: u32, members: &[&str]) -> Group {
        Group {
            name: name.to_owned(),
            group: id,
            members: members.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn takes_the_lowest_free_numbers() {
        let mut host = Accounts::default();
        let fresh = ids(&host).unwrap();
        assert_eq!((fresh.etcd.user, fresh.scheduler.group, fresh.sa_key_readers), (100, 103, 104));
        assert_eq!(accounts(&host, false).unwrap().len(), 14);
        let alone: Vec<String> =
            accounts(&host, true).unwrap().into_iter().map(|draft| draft.title).collect();
        assert_eq!(alone, ["group kubeadm-etcd", "user kubeadm-etcd", "members of group kubeadm-etcd"]);

        host.users = vec![user("messagebus", 100, 101, "/bin/sh"), user(USERS[1], 105, 106, SHELL)];
        host.groups = vec![group("messagebus", 101, &[]), group(USERS[1], 106, &[USERS[1]])];
        let found = ids(&host).unwrap();
        assert_eq!((found.etcd.user, found.etcd.group), (101, 100));
        assert_eq!((found.apiserver.user, found.apiserver.group), (105, 106));
        assert_eq!((found.controller_manager.user, found.controller_manager.group), (102, 102));
        assert_eq!(accounts(&host, false).unwrap().len(), 11);
    }

    #[test]
    fn an_account_that_does_not_fit_is_an_error() {
        for (users, groups, what) in [
            (vec![user(USERS[0], 100, 100, "/bin/sh")], vec![group(USERS[0], 100, &[])], "shell"),
            (vec![user(USERS[0], 100, 7, SHELL)], vec![group(USERS[0], 100, &[])], "primary group"),
            (vec![user(USERS[0], 100, 100, SHELL)], vec![], "primary group"),
            (vec![user(USERS[0], 1000, 100, SHELL)], vec![group(USERS[0], 100, &[])], "1000"),
            (vec![], vec![group(READERS, 100, &["root"])], "members"),
            (vec![], (100..=999).map(|id| group("x", id, &[])).collect(), "login.defs"),
        ] {
            let host = Accounts { users, groups, ..Accounts::default() };
            let error = ids(&host).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn nothing_is_left_to_make_where_everything_is() {
        let users = USERS.iter().zip(100..).map(|(name, id)| user(name, id, id, SHELL)).collect();
        let mut groups: Vec<Group> =
            USERS.iter().zip(100..).map(|(name, id)| group(name, id, &[name])).collect();
        groups.push(group(READERS, 104, &["kubeadm-kcm", "kubeadm-kas"]));
        assert!(accounts(&Accounts { users, groups, ..Accounts::default() }, false).unwrap().is_empty());
    }
}
