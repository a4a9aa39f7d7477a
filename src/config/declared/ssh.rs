//! How a host is reached, and what can be wrong with it.

use crate::cluster::GoDuration;
use crate::cluster::hop::Hop;
use crate::cluster::site::Access;
use crate::cluster::site::HostKeyChecking;
use crate::cluster::site::Sudo;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

/// A SHA-256 digest in base64 without padding.
const DIGEST: usize = 43;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ssh {
    user: Option<String>,
    port: Option<u16>,
    identity_file: Option<String>,
    password_file: Option<String>,
    host_key: Option<Vec<String>>,
    host_key_checking: Option<HostKeyChecking>,
    bastion: Option<Vec<String>>,
    sudo: Option<Sudo>,
    sudo_password_file: Option<String>,
    config_file: Option<String>,
    connect_timeout: Option<GoDuration>,
}

impl Ssh {
    /// The way to `host`: what is said of it, and where nothing is, what is said of all.
    pub(super) fn access(&self, common: &Self, host: String) -> Access {
        fn text(own: Option<&String>, common: Option<&String>) -> Option<String> {
            own.or(common).cloned()
        }
        let timeout = self.connect_timeout.or(common.connect_timeout);
        Access {
            host,
            user: text(self.user.as_ref(), common.user.as_ref()),
            port: self.port.or(common.port).filter(|port| *port > 0),
            identity_file: text(self.identity_file.as_ref(), common.identity_file.as_ref()),
            password_file: text(self.password_file.as_ref(), common.password_file.as_ref()),
            host_keys: self.host_key.clone().or_else(|| common.host_key.clone()).unwrap_or_default(),
            host_key_checking: self.host_key_checking.or(common.host_key_checking),
            bastions: self.bastion.clone().or_else(|| common.bastion.clone()).unwrap_or_default(),
            sudo: self.sudo.or(common.sudo).unwrap_or_default(),
            sudo_password_file: text(self.sudo_password_file.as_ref(), common.sudo_password_file.as_ref()),
            config_file: text(self.config_file.as_ref(), common.config_file.as_ref()),
            connect_timeout: timeout.map(GoDuration::to_std),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        if self.port == Some(0) {
            report.error(&path.key("port"), "port number is not valid").hint("1 to 65535");
        }
        if self.user.as_deref() == Some("") {
            report.error(&path.key("user"), "the user's name is empty").hint("leave the field out for root");
        }
        for (index, key) in self.host_key.iter().flatten().enumerate() {
            if !is_fingerprint(key) {
                report
                    .error(&path.key("hostKey").index(index), format!("`{key}` is not the fingerprint of a key"))
                    .hint("SHA256:… as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the host");
            }
        }
        for (index, bastion) in self.bastion.iter().flatten().enumerate() {
            if let Err(error) = Hop::list(bastion) {
                report
                    .error(&path.key("bastion").index(index), error.to_string())
                    .hint("user and port may be left out; several in a list, the first one first");
            }
        }
        for (name, file) in [
            ("configFile", &self.config_file),
            ("identityFile", &self.identity_file),
            ("passwordFile", &self.password_file),
            ("sudoPasswordFile", &self.sudo_password_file),
        ] {
            if file.as_deref() == Some("") {
                report
                    .error(&path.key(name), "the path is empty")
                    .hint("leave the field out, or name a file");
            }
        }
        if self.connect_timeout.is_some_and(|timeout| timeout.as_nanos() <= 0) {
            report.error(&path.key("connectTimeout"), "nobody answers within no time").hint("such as 10s");
        }
    }
}

fn is_fingerprint(text: &str) -> bool {
    let digest = text.strip_prefix("SHA256:").map(|digest| digest.trim_end_matches('='));
    let known = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    digest.is_some_and(|digest| digest.len() == DIGEST && digest.chars().all(known))
}
