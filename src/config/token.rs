//! A bootstrap token from flags alone.

use crate::cluster::BootstrapToken;
use crate::cluster::GoDuration;
use crate::cluster::Secret;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::issue::Severity;
use crate::config::name;
use crate::config::report::COMMAND_LINE;
use crate::config::report::Report;

/// What was typed after `token create`, unjudged.
#[derive(Debug, Clone, Copy)]
pub struct TokenFlags<'a> {
    /// `id.secret`; fresh when the operator named none.
    pub token: &'a Secret,
    /// As Go writes durations; `0` means for ever.
    pub ttl: &'a str,
    pub usages: &'a [String],
    pub groups: &'a [String],
    pub description: &'a str,
    pub certificate_key: Option<&'a Secret>,
    pub print_join_command: bool,
}

const TOKEN_USAGES: [&str; 2] = ["signing", "authentication"];

/// Judges the flags by kubeadm's rules, and by ours where kubeadm makes something else than was meant: it takes a
/// negative life for an endless one, and any text for a certificate key, which it misses only after making the token.
///
/// # Errors
/// All problems at once; none of them repeats a secret.
pub fn token(flags: &TokenFlags<'_>) -> Result<BootstrapToken, Issues> {
    let mut judge = Judge(Report::new(COMMAND_LINE));
    judge.token_text(flags.token);
    let ttl = judge.ttl(flags.ttl);
    judge.usages(flags.usages);
    judge.groups(flags.usages, flags.groups);
    judge.certificate_key(flags);
    let (id, secret) = flags.token.expose().split_once('.').unwrap_or_default();
    let token = BootstrapToken {
        id: id.to_owned(),
        secret: Secret::new(secret),
        description: flags.description.to_owned(),
        ttl,
        usages: flags.usages.to_vec(),
        groups: flags.groups.to_vec(),
    };
    judge.0.finish(Some(token)).map(|(token, _)| token)
}

/// The id of a token that is named by its id or in full; `None` when the text is neither.
pub fn token_id(text: &str) -> Option<&str> {
    let id = if name::is_bootstrap_token(text) { text.split('.').next()? } else { text };
    name::is_bootstrap_token_id(id).then_some(id)
}

struct Judge(Report);

impl Judge {
    fn error(&mut self, flag: &str, message: impl Into<String>) -> &mut Issue {
        let issue = self.0.whole(Severity::Error, message);
        flag.clone_into(&mut issue.path);
        issue
    }

    fn token_text(&mut self, token: &Secret) {
        if !name::is_bootstrap_token(token.expose()) {
            self.error("TOKEN", "the bootstrap token is invalid").hint(
                "six and sixteen characters of a-z0-9, joined by a dot; `kubewright token generate` makes one",
            );
        }
    }

    fn ttl(&mut self, text: &str) -> GoDuration {
        match text.parse::<GoDuration>() {
            Ok(ttl) if ttl.as_nanos() < 0 => {
                self.error("--ttl", format!("a token cannot live for {ttl}")).hint("0 means for ever");
            }
            Ok(ttl) => return ttl,
            Err(error) => self.error("--ttl", error.to_string()).hint("0 means for ever"),
        }
        GoDuration::default()
    }

    fn usages(&mut self, usages: &[String]) {
        for usage in usages.iter().filter(|usage| !TOKEN_USAGES.contains(&usage.as_str())) {
            let known = TOKEN_USAGES.join(",");
            self.error("--usages", format!("`{usage}` is no usage of a bootstrap token"))
                .hint(format!("valid usages are {known}"));
        }
    }

    fn groups(&mut self, usages: &[String], groups: &[String]) {
        if !groups.is_empty() && !usages.iter().any(|usage| usage == "authentication") {
            self.error("--groups", "a token has groups only with the usage \"authentication\"")
                .hint("add `authentication` to --usages, or leave the token without groups: --groups \"\"");
        }
        for group in groups.iter().filter(|group| !name::is_bootstrap_group(group)) {
            self.error("--groups", format!("`{group}` cannot be a group of a bootstrap token"))
                .hint("system:bootstrappers: and lower-case letters, digits, `:` and `-`");
        }
    }

    fn certificate_key(&mut self, flags: &TokenFlags<'_>) {
        let Some(key) = flags.certificate_key else { return };
        if !flags.print_join_command {
            self.error("--certificate-key", "cannot use --certificate-key without --print-join-command")
                .hint("the key is only printed, as part of the command that joins a control plane");
        }
        if !is_certificate_key(key.expose()) {
            self.error("--certificate-key", "the certificate key is not 64 hexadecimal digits")
                .hint("take the one that `kubewright init phase upload-certs --upload-certs` prints");
        }
    }
}

fn is_certificate_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

    fn list(text: &str) -> Vec<String> {
        text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn messages(token_text: &str, ttl: &str, usages: &str, groups: &str, key: Option<&str>) -> Vec<String> {
        let (usages, groups) = (list(usages), list(groups));
        let (text, key) = (Secret::new(token_text), key.map(Secret::new));
        let flags = TokenFlags {
            token: &text,
            ttl,
            usages: &usages,
            groups: &groups,
            description: "",
            certificate_key: key.as_ref(),
            print_join_command: false,
        };
        let issues = token(&flags).map_or_else(|issues| issues.0, |_| Vec::new());
        issues.into_iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect()
    }

    #[test]
    fn judges_as_kubeadm_does() {
        let good = "abcdef.0123456789abcdef";
        let both = "signing,authentication";
        let malformed = ["TOKEN: the bootstrap token is invalid"];
        for (token, ttl, usages, groups, expected) in [
            (good, "24h0m0s", both, GROUP, &[][..]),
            (good, "0", "signing", "", &[]),
            (good, "0", "", "", &[]),
            (good, "1h", "authentication", "system:bootstrappers:a,system:bootstrappers:0-:b", &[]),
            ("", "1h", both, GROUP, &malformed),
            ("abcdef", "1h", both, GROUP, &malformed),
            ("ABCDEF.0123456789abcdef", "1h", both, GROUP, &malformed),
            ("abcdef.0123456789abcdef\n", "1h", both, GROUP, &malformed),
            (good, "-5s", both, GROUP, &["--ttl: a token cannot live for -5s"]),
            (good, "1d", both, GROUP, &["--ttl: `1d` is not a duration such as `1h30m` or `90s`"]),
            (
                good,
                "1h",
                "signing",
                GROUP,
                &["--groups: a token has groups only with the usage \"authentication\""],
            ),
            (
                good,
                "1h",
                "foo,authentication,bar",
                "system:masters",
                &[
                    "--usages: `foo` is no usage of a bootstrap token",
                    "--usages: `bar` is no usage of a bootstrap token",
                    "--groups: `system:masters` cannot be a group of a bootstrap token",
                ],
            ),
            (
                good,
                "1h",
                both,
                "system:bootstrappers:a-",
                &["--groups: `system:bootstrappers:a-` cannot be a group of a bootstrap token"],
            ),
        ] {
            let mut found = messages(token, ttl, usages, groups, None);
            let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{ttl} {usages} {groups}");
        }
    }

    #[test]
    fn tells_everything_at_once_and_no_secret() {
        let (token, key) = ("abcdef.0123456789abcdeF", "00ff");
        let found = messages(token, "x", "foo", "bar", Some(key));
        assert_eq!(found.len(), 7, "{found:?}");
        let text = found.join("\n");
        assert!(!text.contains("0123456789") && !text.contains(key), "{text}");
    }

    #[test]
    fn a_token_is_named_by_id_or_in_full() {
        for (text, expected) in [
            ("abcdef", Some("abcdef")),
            ("abcdef.0123456789abcdef", Some("abcdef")),
            ("abcdef.0123456789abcde", None),
            ("abcdef.", None),
            ("ABCDEF", None),
            ("abcde", None),
            ("", None),
            ("../../x", None),
        ] {
            assert_eq!(token_id(text), expected, "{text}");
        }
    }
}
