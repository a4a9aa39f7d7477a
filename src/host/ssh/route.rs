//! From what the operator said to how a host is reached: the inventory first, then OpenSSH's configuration, then what
//! is usual.
#![expect(clippy::disallowed_methods, reason = "this is the seam: files of the operator's machine")]

use crate::cluster::hop::Hop;
use crate::cluster::site::Access;
use crate::cluster::site::HostKeyChecking;
use crate::cluster::site::Sudo;
use crate::host::ssh::config::HostSettings;
use crate::host::ssh::config::SshConfig;
use crate::host::ssh::config::expand;
use crate::host::ssh::config::with_home;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::operator::Operator;
use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long one attempt to connect may take, where nobody says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a silence the other side is asked for a sign of life, where nobody says (`ServerAliveInterval`). Four
/// such silences in a row end a connection: a host whose cable was pulled is noticed after 20 seconds.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Keys that are tried where none is named, as OpenSSH does.
const USUAL_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// More hosts on the way than this would be a loop.
const MAX_HOPS: usize = 8;

/// How to get into one host.
#[derive(Clone)]
pub(super) struct Login {
    /// How the operator calls it, for messages.
    pub(super) label: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identities: Vec<PathBuf>,
    /// Somebody named the keys: one that is not there is an error.
    pub(super) identities_named: bool,
    /// Keys of the agent that nobody named are left out.
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) passphrase: Option<Zeroizing<String>>,
    pub(super) pins: Vec<String>,
    pub(super) checking: HostKeyChecking,
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) key_alias: Option<String>,
    pub(super) connect_timeout: Duration,
    /// After how long a silence the other side is asked for a sign of life.
    pub(super) keepalive: Duration,
}

/// The way to a host.
#[derive(Clone)]
pub(super) struct Route {
    /// The hosts in between, the first one first.
    pub(super) hops: Vec<Login>,
    pub(super) target: Login,
    pub(super) sudo: bool,
    pub(super) sudo_password: Option<Zeroizing<String>>,
}

/// Shows where, never with what.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address())
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("hops", &self.hops)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// `user@host:port`.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("{}@[{}]:{}", self.user, self.host, self.port)
        } else {
            format!("{}@{}:{}", self.user, self.host, self.port)
        }
    }
}

/// Finds the way to the host that is called `name`.
pub(super) fn route(name: &str, access: &Access, operator: &Operator) -> Result<Route, SshError> {
    let operator = &configured(name, access, operator)?;
    let settings = operator.config.of(&access.host);
    let mut target = login(name, access, &settings, operator)?;
    target.password =
        secret(name, access.password_file.as_deref(), operator)?.or_else(|| operator.password.clone());
    if access.bastions.is_empty()
        && settings.proxy_command.as_deref().is_some_and(|command| command != "none")
    {
        let error = SshError::new(
            name,
            Trouble::Settings,
            "its `ProxyCommand` in the ssh configuration is not followed",
        );
        return Err(
            error.hint("name the hosts on the way with `ProxyJump`, or with `bastion` in the inventory")
        );
    }
    let mut hops = Vec::new();
    let way = if access.bastions.is_empty() { settings.proxy_jump.as_deref() } else { None };
    for text in access.bastions.iter().map(String::as_str).chain(way) {
        add_hops(name, text, access, operator, 0, &mut hops)?;
    }
    let sudo = match access.sudo {
        Sudo::Auto => target.user != "root",
        Sudo::Always => true,
        Sudo::Never => false,
    };
    let sudo_password = secret(name, access.sudo_password_file.as_deref(), operator)?
        .or_else(|| operator.sudo_password.clone())
        .or_else(|| target.password.clone());
    Ok(Route { hops, target, sudo, sudo_password })
}

/// What the configuration of OpenSSH that is meant for a host says of it.
///
/// # Errors
/// The host names a file of its own, and that cannot be read.
pub fn settings(name: &str, access: &Access, operator: &Operator) -> Result<HostSettings, SshError> {
    Ok(configured(name, access, operator)?.config.of(&access.host))
}

/// The operator with the configuration of OpenSSH that is meant for this host.
fn configured<'a>(
    name: &str,
    access: &Access,
    operator: &'a Operator,
) -> Result<Cow<'a, Operator>, SshError> {
    let Some(file) = &access.config_file else { return Ok(Cow::Borrowed(operator)) };
    let path = with_home(file, operator.home.as_deref());
    let trouble = |why: String| {
        let message = format!("cannot read the ssh configuration {}: {why}", path.display());
        SshError::new(name, Trouble::Settings, message)
    };
    if !path.is_file() {
        return Err(trouble("there is no such file".to_owned()));
    }
    let config = SshConfig::read(std::slice::from_ref(&path), operator.home.as_deref());
    let config = config.map_err(|error| trouble(error.to_string()))?;
    Ok(Cow::Owned(Operator { config, ..operator.clone() }))
}

/// A bastion is a host like others: the configuration may name a bastion of its own for the first one.
fn add_hops(
    name: &str,
    text: &str,
    access: &Access,
    operator: &Operator,
    depth: usize,
    hops: &mut Vec<Login>,
) -> Result<(), SshError> {
    let settings_error = |message: String| SshError::new(name, Trouble::Settings, message);
    let jumps = Hop::list(text).map_err(|error| settings_error(format!("on the way to it: {error}")))?;
    for jump in jumps {
        if hops.len().max(depth) >= MAX_HOPS {
            let error = settings_error("the hosts on the way to it form a loop".to_owned());
            return Err(error.hint("see `bastion` in the inventory and `ProxyJump` in the ssh configuration"));
        }
        let settings = operator.config.of(&jump.host);
        let way = settings.proxy_jump.as_deref().filter(|_| hops.is_empty());
        if let Some(way) = way {
            add_hops(name, way, access, operator, depth + 1, hops)?;
        }
        let jump = Access {
            host: jump.host,
            user: jump.user.or_else(|| settings.user.clone()).or_else(|| operator.user.clone()),
            port: jump.port,
            identity_file: access.identity_file.clone().filter(|_| settings.identity_files.is_empty()),
            host_key_checking: access.host_key_checking,
            connect_timeout: access.connect_timeout,
            ..Access::default()
        };
        let mut hop = login(name, &jump, &settings, operator)?;
        hop.password.clone_from(&operator.password);
        hops.push(hop);
    }
    Ok(())
}

fn login(
    label: &str,
    access: &Access,
    settings: &HostSettings,
    operator: &Operator,
) -> Result<Login, SshError> {
    let home = operator.home.as_deref();
    let host = match &settings.host_name {
        Some(name) => expand(name, home, &[('h', &access.host)]),
        None => access.host.clone(),
    };
    let user = access.user.clone().or_else(|| settings.user.clone()).unwrap_or_else(|| "root".to_owned());
    let port = access.port.or(settings.port).filter(|port| *port > 0).unwrap_or(22);
    let port_text = port.to_string();
    let tokens = [
        ('h', host.as_str()),
        ('n', access.host.as_str()),
        ('r', user.as_str()),
        ('p', port_text.as_str()),
        ('u', operator.user.as_deref().unwrap_or_default()),
        ('d', home.and_then(Path::to_str).unwrap_or_default()),
    ];
    let path = |text: &String| PathBuf::from(expand(text, home, &tokens));
    let named: Vec<PathBuf> = match &access.identity_file {
        Some(file) => vec![with_home(file, home)],
        None => settings.identity_files.iter().filter(|file| *file != "none").map(path).collect(),
    };
    let usual = || USUAL_KEYS.iter().filter_map(|name| Some(home?.join(".ssh").join(name))).collect();
    let agent = match settings.identity_agent.as_deref() {
        Some("none") => None,
        Some("SSH_AUTH_SOCK") | None => operator.agent.clone(),
        Some(socket) => Some(path(&socket.to_owned())),
    };
    let mut known_hosts = operator.known_hosts.clone();
    if let Some(files) = &settings.user_known_hosts {
        known_hosts.drain(..known_hosts.len().min(1));
        known_hosts.splice(0..0, files.iter().filter(|file| *file != "none").map(path));
    }
    let accept_new = settings.strict_checking.as_deref() == Some("accept-new");
    let configured = if accept_new { HostKeyChecking::AcceptNew } else { HostKeyChecking::Strict };
    if host.is_empty() {
        return Err(SshError::new(label, Trouble::Settings, "it has no address for SSH"));
    }
    Ok(Login {
        label: label.to_owned(),
        identities_named: access.identity_file.is_some(),
        identities: if named.is_empty() { usual() } else { named },
        identities_only: settings.identities_only,
        agent,
        password: None,
        passphrase: operator.passphrase.clone(),
        pins: access.host_keys.clone(),
        checking: access.host_key_checking.unwrap_or(configured),
        known_hosts,
        key_alias: settings.host_key_alias.clone(),
        connect_timeout: access
            .connect_timeout
            .or_else(|| settings.connect_timeout.map(Duration::from_secs))
            .filter(|limit| !limit.is_zero())
            .unwrap_or(CONNECT_TIMEOUT),
        // Zero means never, which would leave a dead host unnoticed.
        keepalive: settings
            .alive_interval
            .filter(|seconds| *seconds > 0)
            .map_or(KEEPALIVE, Duration::from_secs),
        host,
        port,
        user,
    })
}

/// The first line of a file with a secret.
fn secret(
    name: &str,
    file: Option<&str>,
    operator: &Operator,
) -> Result<Option<Zeroizing<String>>, SshError> {
    let Some(file) = file else { return Ok(None) };
    let path = with_home(file, operator.home.as_deref());
    let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        SshError::new(
            name,
            Trouble::Settings,
            format!("cannot read the password in {}: {error}", path.display()),
        )
    })?;
    Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of the operator's machine are made")]
mod tests {
    use super::*;
    use crate::host::ssh::config::SshConfig;
    use crate::host::ssh::operator::Environment;
    use crate::host::ssh::prompt::Nobody;
    use std::sync::Arc;

    fn operator(config: &str) -> (Operator, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        fs::write(home.path().join(".ssh/config"), config).unwrap();
        let environment = Environment {
            home: Some(home.path().to_owned()),
            user: Some("me".to_owned()),
            agent: Some("/agent".into()),
            ..Environment::default()
        };
        let mut operator = Operator::new(environment, Arc::new(Nobody)).unwrap();
        operator.config = SshConfig::read(&[home.path().join(".ssh/config")], Some(home.path())).unwrap();
        (operator, home)
    }

    fn to(host: &str) -> Access {
        Access { host: host.to_owned(), ..Access::default() }
    }

    #[test]
    fn a_file_of_ones_own_stands_for_the_users() {
        let (operator, home) = operator("Host a\n  User ops\n  Port 2200\n");
        fs::write(home.path().join("own"), "Host a\n  HostName 127.0.0.1\n  Port 2222\n").unwrap();
        let with = |file: &str| Access { config_file: Some(file.to_owned()), ..to("a") };
        let found = route("a", &with("~/own"), &operator).unwrap().target;
        assert_eq!(found.address(), "root@127.0.0.1:2222");
        assert_eq!(route("a", &to("a"), &operator).unwrap().target.address(), "ops@a:2200");
        let error = route("a", &with("~/none"), &operator).unwrap_err();
        assert!(error.to_string().contains("/none: there is no such file"), "{error}");
    }

    #[test]
    fn without_a_word_it_is_root_at_port_22_with_the_usual_keys() {
        let (operator, home) = operator("");
        let route = route("cp1", &to("10.0.0.1"), &operator).unwrap();
        assert_eq!(route.target.address(), "root@10.0.0.1:22");
        let keys = USUAL_KEYS.map(|name| home.path().join(".ssh").join(name));
        assert_eq!(route.target.identities, keys);
        assert_eq!(route.target.known_hosts[0], home.path().join(".ssh/known_hosts"));
        assert_eq!(route.target.agent.as_deref(), Some(Path::new("/agent")));
        assert_eq!((route.target.connect_timeout, route.sudo), (CONNECT_TIMEOUT, false));
    }

    #[test]
    fn the_inventory_comes_before_the_configuration() {
        let (operator, home) = operator(
            "Host cp1\n  HostName real-%h\n  User ops\n  Port 2222\n  IdentityFile ~/key-%r\n  IdentityAgent none\n  \
             HostKeyAlias Alias\n  ConnectTimeout 3\nHost j1\n  User jumper\n  IdentityFile /j1\n",
        );
        let route_of = |access: &Access| route("cp1", access, &operator).unwrap();
        let configured = route_of(&to("cp1"));
        assert_eq!(configured.target.address(), "ops@real-cp1:2222");
        assert_eq!(configured.target.identities, [home.path().join("key-ops")]);
        assert_eq!((configured.target.agent.is_none(), configured.sudo), (true, true));
        assert_eq!(configured.target.connect_timeout, Duration::from_secs(3));
        let access = Access {
            user: Some("root".to_owned()),
            port: Some(22),
            identity_file: Some("~/mine".to_owned()),
            bastions: vec!["j1, two@j2:23".to_owned()],
            connect_timeout: Some(Duration::from_secs(1)),
            ..to("cp1")
        };
        let said = route_of(&access);
        assert_eq!(said.target.address(), "root@real-cp1:22");
        assert_eq!(said.target.identities, [home.path().join("mine")]);
        assert_eq!(said.hops.iter().map(Login::address).collect::<Vec<_>>(), ["jumper@j1:22", "two@j2:23"]);
        // A bastion that has a key of its own keeps it; another one gets the host's.
        assert_eq!(said.hops[0].identities, [PathBuf::from("/j1")]);
        assert_eq!(said.hops[1].identities, [home.path().join("mine")]);
    }

    #[test]
    fn bastions_may_have_bastions_but_no_loop() {
        let (operator, _home) = operator(
            "Host a\n  ProxyJump b\nHost b\n  ProxyJump c\nHost x\n  ProxyJump y\nHost y\n  ProxyJump x\n",
        );
        let hops = route("n", &to("a"), &operator).unwrap().hops;
        // Who nobody names a user for is the operator's own.
        assert_eq!(hops.iter().map(Login::address).collect::<Vec<_>>(), ["me@c:22", "me@b:22"]);
        let (by_command, _home) = self::operator("Host a\n  ProxyCommand ssh -W %h:%p b\n");
        let error = route("n", &to("a"), &by_command).unwrap_err();
        assert!(error.message.contains("ProxyCommand"), "{error}");
        let error = route("n", &to("x"), &operator).unwrap_err();
        assert_eq!(error.trouble, Trouble::Settings);
        assert!(error.message.contains("loop"), "{error}");
    }

    #[test]
    fn passwords_come_from_files_first() {
        let (mut operator, home) = operator("");
        operator.password = Some(Zeroizing::new("of all".to_owned()));
        fs::write(home.path().join("secret"), "of this one\nnot this\n").unwrap();
        let access = Access { user: Some("ops".to_owned()), ..to("a") };
        let text = |secret: &Option<Zeroizing<String>>| secret.as_ref().map(|secret| secret.to_string());
        let found = route("n", &access, &operator).unwrap();
        assert_eq!(text(&found.target.password).as_deref(), Some("of all"));
        // Where nobody says otherwise, sudo asks for the user's own.
        assert_eq!(text(&found.sudo_password).as_deref(), Some("of all"));
        let access = Access { password_file: Some("~/secret".to_owned()), ..access };
        let found = route("n", &access, &operator).unwrap();
        assert_eq!(text(&found.target.password).as_deref(), Some("of this one"));
        assert_eq!(text(&found.sudo_password).as_deref(), Some("of this one"));
        assert!(!format!("{found:?}").contains("of this one"));
        let access = Access { sudo_password_file: Some("/no/such".to_owned()), ..access };
        assert_eq!(route("n", &access, &operator).unwrap_err().trouble, Trouble::Settings);
    }
}
