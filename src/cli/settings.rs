//! What was meant: flags, environment and terminal, looked at once.
#![expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]

use crate::cli::output;
use crate::host::ssh;
use crate::report;
use crate::report::Format;
use crate::report::Reporter;
use crate::report::Verbosity;
use clap::Args;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct GlobalArgs {
    /// How progress is told: live bars, plain lines, or JSON lines on standard output
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FACE",
        default_value_t,
        help_heading = "Global options"
    )]
    pub progress: Face,

    /// Tell warnings, errors and results only
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,

    /// Tell steps that found nothing to do as well
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = "Global options")]
    pub verbose: bool,

    /// Use colours: automatically, always or never; `NO_COLOR` is respected
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: When,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Face {
    /// Bars on a terminal, lines elsewhere
    #[default]
    Auto,
    /// A line for each event, on standard error
    Plain,
    /// A JSON object for each event, on standard output
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// The settings of one run.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub face: Face,
    pub quiet: bool,
    pub verbose: bool,
    pub color: bool,
    /// Standard error is a terminal that can redraw a line.
    pub terminal: bool,
    /// Variables whose name ends in `_proxy`, in any case, that are not empty.
    pub proxy_env: BTreeMap<String, String>,
    /// What is needed for reaching hosts over SSH.
    pub ssh: ssh::Environment,
    /// Where a kubeconfig is looked for when none is named.
    pub kubeconfigs: Vec<String>,
    /// Where a kubeconfig is merged into; `None` without a home directory.
    pub own_kubeconfig: Option<String>,
    /// Where programs keep what they remember (XDG base directory specification); `None` without a home directory.
    pub state_home: Option<String>,
    /// The name of who runs this.
    pub user: String,
}

impl Settings {
    /// The reporter that these settings ask for.
    pub(super) fn reporter(&self) -> Reporter {
        let settings = report::Settings {
            format: match self.face {
                Face::Auto => Format::Auto,
                Face::Plain => Format::Plain,
                Face::Json => Format::Json,
            },
            verbosity: match (self.quiet, self.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, true) => Verbosity::Verbose,
                (false, false) => Verbosity::Normal,
            },
            colour: self.color,
            terminal: self.terminal,
        };
        Reporter::new(settings, Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// Results go to standard output, unless that belongs to a program that reads events.
    pub(super) fn say(&self, text: &str) {
        match self.face {
            Face::Json => output::people(text),
            Face::Auto | Face::Plain => output::data(text),
        }
    }

    pub(super) fn new(args: &GlobalArgs) -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && !dumb;
        let no_color = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        Self {
            face: args.progress,
            quiet: args.quiet,
            verbose: args.verbose,
            color: match args.color {
                When::Always => true,
                When::Never => false,
                When::Auto => terminal && !no_color,
            },
            terminal,
            ssh: ssh_environment(&|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
            proxy_env: proxies(std::env::vars()),
            own_kubeconfig: own_kubeconfig(std::env::var("KUBECONFIG").ok(), std::env::var("HOME").ok()),
            state_home: state_home(std::env::var("XDG_STATE_HOME").ok(), std::env::var("HOME").ok()),
            user: std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| uid()),
            kubeconfigs: kubeconfigs(std::env::var("KUBECONFIG").ok(), std::env::var("HOME").ok()),
        }
    }
}

fn proxies(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    variables.filter(|(name, value)| name.to_lowercase().ends_with("_proxy") && !value.is_empty()).collect()
}

fn ssh_environment(variable: &dyn Fn(&str) -> Option<String>) -> ssh::Environment {
    let secret = |name| variable(name).map(Zeroizing::new);
    ssh::Environment {
        home: variable("HOME").map(PathBuf::from),
        user: variable("USER"),
        agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
        password: secret("KUBEWRIGHT_SSH_PASSWORD"),
        sudo_password: secret("KUBEWRIGHT_SUDO_PASSWORD"),
        passphrase: secret("KUBEWRIGHT_SSH_PASSPHRASE"),
    }
}

/// Where kubeadm and kubectl look: the list of `KUBECONFIG` where it is set, or else the home directory; then the
/// administrator's file of a control plane.
fn kubeconfigs(variable: Option<String>, home: Option<String>) -> Vec<String> {
    let listed: Vec<String> = variable
        .into_iter()
        .flat_map(|paths| paths.split(':').map(str::to_owned).collect::<Vec<_>>())
        .filter(|path| !path.is_empty())
        .collect();
    let home = home.filter(|home| listed.is_empty() && !home.is_empty());
    let home = home.map(|home| format!("{}/.kube/config", home.trim_end_matches('/')));
    listed.into_iter().chain(home).chain(["/etc/kubernetes/admin.conf".to_owned()]).collect()
}

/// Where this machine keeps what it downloaded for hosts.
pub(super) fn cache_directory() -> std::path::PathBuf {
    let named = |variable: &str| std::env::var_os(variable).filter(|path| !path.is_empty());
    let base = named("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let base = base.or_else(|| Some(std::path::PathBuf::from(named("HOME")?).join(".cache")));
    base.unwrap_or_else(|| "/var/cache".into()).join("kubewright")
}

/// The first file of `KUBECONFIG`, or else the one in the home directory.
fn own_kubeconfig(variable: Option<String>, home: Option<String>) -> Option<String> {
    let listed = variable.and_then(|paths| paths.split(':').find(|path| !path.is_empty()).map(str::to_owned));
    let home = home.filter(|home| !home.is_empty());
    listed.or_else(|| home.map(|home| format!("{}/.kube/config", home.trim_end_matches('/'))))
}

/// A relative path in the variable counts as none, as the specification has it.
fn state_home(variable: Option<String>, home: Option<String>) -> Option<String> {
    let named = variable.filter(|path| path.starts_with('/'));
    let home = home.filter(|home| !home.is_empty());
    named.or_else(|| home.map(|home| format!("{}/.local/state", home.trim_end_matches('/'))))
}

fn uid() -> String {
    format!("uid {}", rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_is_looked_for_as_kubeadm_does() {
        let admin = "/etc/kubernetes/admin.conf";
        for (variable, home, expected) in [
            (None, None, &[admin][..]),
            (None, Some("/root"), &["/root/.kube/config", admin]),
            (Some(""), Some("/root/"), &["/root/.kube/config", admin]),
            (Some("/a::b"), Some("/root"), &["/a", "b", admin]),
        ] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            assert_eq!(kubeconfigs(owned(variable), owned(home)), expected, "{variable:?}");
        }
    }

    #[test]
    fn secrets_for_hosts_come_from_variables_of_their_own_and_are_not_shown() {
        let environment = ssh_environment(&|name| Some(format!("value of {name}")));
        let secrets = [&environment.password, &environment.sudo_password, &environment.passphrase];
        let secrets = secrets.map(|secret| secret.as_ref().unwrap().to_string());
        let names = ["KUBEWRIGHT_SSH_PASSWORD", "KUBEWRIGHT_SUDO_PASSWORD", "KUBEWRIGHT_SSH_PASSPHRASE"];
        assert_eq!(secrets, names.map(|name| format!("value of {name}")));
        let shown = format!("{environment:?}");
        assert!(shown.contains("value of HOME") && !shown.contains("KUBEWRIGHT"), "{shown}");
    }

    #[test]
    fn keeps_proxy_variables_that_say_something() {
        let variables =
            [("HTTPS_PROXY", "http://p:3128"), ("no_proxy", "10.0.0.0/8"), ("ZED_PROXY", ""), ("HOME", "/")];
        let found = proxies(variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["HTTPS_PROXY", "no_proxy"]);
    }
}
