//! How hosts are reached: `spec.ssh`, and `ssh` of a host.

use crate::config::schema::PORT;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::field;

pub const HOST_KEY_CHECKING: &[&str] = &["strict", "accept-new"];
pub const SUDO: &[&str] = &["auto", "always", "never"];

pub static SSH: Schema = Schema {
    name: "Ssh",
    fields: &[
        field("user", Shape::Text, "user to log in as; root by default"),
        field("port", PORT, "port of sshd; 22 by default"),
        field("identityFile", Shape::Text, "private key on the operator's machine"),
        field("passwordFile", Shape::Text, "file on the operator's machine with the user's password"),
        field("hostKey", Shape::TextOrTexts, "fingerprints of the host's keys, SHA256:…"),
        field("hostKeyChecking", Shape::Enum(HOST_KEY_CHECKING), "what to do with a key that nobody knows"),
        field("bastion", Shape::TextOrTexts, "hosts to go through, user@host:port, the first one first"),
        field("sudo", Shape::Enum(SUDO), "when to become root with sudo; auto: for other users than root"),
        field("sudoPasswordFile", Shape::Text, "file on the operator's machine with the password for sudo"),
        field(
            "configFile",
            Shape::Text,
            "configuration of OpenSSH on the operator's machine that stands for ~/.ssh/config, as `ssh -F` has it",
        ),
        field("connectTimeout", Shape::Duration, "how long one attempt to connect may take; 10s by default"),
    ],
};
