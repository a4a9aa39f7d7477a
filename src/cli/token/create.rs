//! `kubewright token create`: new tokens, or the command that joins with one.

use crate::api::Api;
use crate::cli::access;
use crate::cli::access::Access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::token::CommonArgs;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::BootstrapToken;
use crate::cluster::Secret;
use crate::cluster::token::DEFAULT_GROUP;
use crate::config;
use crate::config::Issues;
use crate::config::TokenFlags;
use crate::kube::join_command;
use crate::kube::join_command::JoinCommand;
use crate::kube::objects::bootstrap_token;
use crate::kube::token::secret_ref;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use clap::Args;
use std::path::PathBuf;
use time::OffsetDateTime;

const TTL: &str = "24h0m0s";
const USAGES: &str = "signing,authentication";

/// Make a token, and print it or the command that joins a host with it
///
/// A token is a Secret of the namespace `kube-system`. Its first half, the id, is public; who knows the second half may
/// join hosts for as long as the token lives.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CreateArgs {
    /// The token, `[a-z0-9]{6}.[a-z0-9]{16}`; a fresh one when not given
    #[arg(value_name = "TOKEN")]
    token: Option<Secret>,

    /// How long it lives, such as `30m` or `24h`; 0 means for ever
    #[arg(long, value_name = "DURATION", default_value = TTL, allow_hyphen_values = true)]
    ttl: String,

    /// What it may be used for: `signing` of the cluster's public record, `authentication` of joining hosts
    #[arg(long, value_name = "USAGE", value_delimiter = ',', default_value = USAGES)]
    usages: Vec<String>,

    /// Groups that it authenticates as
    #[arg(long, value_name = "GROUP", value_delimiter = ',', default_value = DEFAULT_GROUP)]
    groups: Vec<String>,

    /// What it is for, in words for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Print the whole command that joins a host with it, as one line
    #[arg(long)]
    print_join_command: bool,

    /// With --print-join-command: the command joins a control plane, whose certificates this key opens
    #[arg(long, value_name = "KEY")]
    certificate_key: Option<Secret>,

    /// Configuration file whose `bootstrapTokens` are made; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright token create --print-join-command         how to join a worker
  kubewright token create --ttl 2h --description rack7    for two hours
  kubewright token create --config cluster.yaml         the tokens of a file";

pub(super) fn run(args: &CreateArgs, common: &CommonArgs, settings: &Settings) -> Result<Exit, CliError> {
    let tokens = match &args.config {
        Some(_) => from_file(args, settings)?,
        None => vec![from_flags(args)?],
    };
    let Some(first) = tokens.first() else {
        return Err(CliError::new(Exit::Configuration, anyhow::anyhow!("the configuration has no token")));
    };
    let (access, api) = common.open(settings)?;
    // What cannot be printed is not made.
    let text = if args.print_join_command { join_line(&access, first, args)? } else { full(first) };
    create(&*api, &tokens, System.now())?;
    if common.dry_run {
        for token in &tokens {
            output::people(&format!("dry run: {} would be created\n", secret_ref(&token.id)));
        }
    }
    output::data(&format!("{text}\n"));
    Ok(Exit::Success)
}

fn full(token: &BootstrapToken) -> String {
    format!("{}.{}", token.id, token.secret.expose())
}

fn from_flags(args: &CreateArgs) -> Result<BootstrapToken, CliError> {
    let fresh = || {
        let (id, secret) = random::token(&mut SystemRandom);
        Secret::new(format!("{id}.{}", secret.expose()))
    };
    let given =
        |list: &[String]| list.iter().filter(|item| !item.is_empty()).cloned().collect::<Vec<String>>();
    let flags = TokenFlags {
        token: &args.token.clone().unwrap_or_else(fresh),
        ttl: &args.ttl,
        usages: &given(&args.usages),
        groups: &given(&args.groups),
        description: args.description.as_deref().unwrap_or_default(),
        certificate_key: args.certificate_key.as_ref(),
        print_join_command: args.print_join_command,
    };
    config::token(&flags).map_err(|issues| problems(&issues))
}

fn problems(issues: &Issues) -> CliError {
    let text = format!("no such token can be made\n\n{issues}");
    CliError::new(Exit::Usage, anyhow::anyhow!(text.trim_end().to_owned()))
}

/// The tokens of a file; flags that say the same in another way are refused, as kubeadm does.
fn from_file(args: &CreateArgs, settings: &Settings) -> Result<Vec<BootstrapToken>, CliError> {
    let mixed: Vec<&str> = [
        ("TOKEN", args.token.is_some()),
        ("certificate-key", args.certificate_key.is_some()),
        ("description", args.description.is_some()),
        ("groups", args.groups != [DEFAULT_GROUP]),
        ("ttl", args.ttl != TTL),
        ("usages", args.usages.join(",") != USAGES),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect();
    if !mixed.is_empty() {
        let message = format!("can not mix '--config' with arguments [{}]", mixed.join(" "));
        let error = CliError::new(Exit::Usage, anyhow::anyhow!(message));
        return Err(error.hint("write these settings into the file's `bootstrapTokens`"));
    }
    let file = args.config.as_deref();
    let loaded = load::for_images(file, &config::Overrides::default(), &settings.reporter())?;
    Ok(loaded.cluster.tokens)
}

/// kubeadm's line: its two lines without the backslash, the newline and the tab between them.
fn join_line(access: &Access, token: &BootstrapToken, args: &CreateArgs) -> Result<String, CliError> {
    let (token, pins) = (full(token), access.pins()?);
    let server = access.parsed()?.server;
    let command = JoinCommand {
        program: "kubewright",
        endpoint: join_command::endpoint_of(&server),
        token: &token,
        ca_cert_hashes: &pins,
        certificate_key: args.certificate_key.as_ref().map(Secret::expose),
    };
    let text = if args.certificate_key.is_some() { command.control_plane() } else { command.worker() };
    Ok(text.replace("\\\n", "").replace('\t', ""))
}

/// Makes the tokens; when one of them exists, none is made.
fn create(api: &dyn Api, tokens: &[BootstrapToken], now: OffsetDateTime) -> Result<(), CliError> {
    for token in tokens {
        if api.get(&secret_ref(&token.id)).map_err(access::refused)?.is_some() {
            return Err(exists(&token.id));
        }
    }
    for token in tokens {
        match api.create(&bootstrap_token::filled(token, now)) {
            Ok(_) => {}
            Err(error) if error.is_conflict() => return Err(exists(&token.id)),
            Err(error) => return Err(access::refused(error)),
        }
    }
    Ok(())
}

fn exists(id: &str) -> CliError {
    let error = CliError::new(Exit::Api, anyhow::anyhow!("a token with id \"{id}\" already exists"));
    error.hint(format!("choose another id, or delete it first: kubewright token delete {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DryRun;
    use crate::api::Fake;
    use crate::cluster::GoDuration;
    use crate::kube::token::read;
    use std::sync::Arc;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00:00.5 UTC);

    fn token(id: &str, ttl: i64) -> BootstrapToken {
        BootstrapToken {
            id: id.to_owned(),
            secret: Secret::new("0123456789abcdef"),
            description: "d".to_owned(),
            ttl: GoDuration::from_secs(ttl),
            usages: ["signing", "authentication"].map(str::to_owned).to_vec(),
            groups: vec![DEFAULT_GROUP.to_owned()],
        }
    }

    #[test]
    fn what_is_made_reads_back() {
        let api = Fake::new();
        create(&api, &[token("abcdef", 3600), token("ghijkl", 0)], NOW).unwrap();
        let stored = |id| read(&api.get(&secret_ref(id)).unwrap().unwrap()).unwrap();
        let first = stored("abcdef");
        assert_eq!(first.expires, Some(datetime!(2026-01-01 01:00 UTC)));
        assert_eq!(first.exposed(), "abcdef.0123456789abcdef");
        assert_eq!(first.description, "d");
        assert!(first.joins_nodes(NOW));
        assert_eq!(stored("ghijkl").expires, None);
    }

    #[test]
    fn nothing_is_made_when_one_of_them_exists() {
        let api = Fake::new();
        create(&api, &[token("abcdef", 0)], NOW).unwrap();
        let error = create(&api, &[token("ghijkl", 0), token("abcdef", 0)], NOW).unwrap_err();
        assert!(error.to_string().starts_with("error: a token with id \"abcdef\" already exists\nhint: "));
        assert!(api.get(&secret_ref("ghijkl")).unwrap().is_none());
    }

    #[test]
    fn a_dry_run_makes_nothing_and_sees_what_exists() {
        let api = Fake::new();
        create(&api, &[token("abcdef", 0)], NOW).unwrap();
        let before = api.mutations();
        let dry = DryRun::new(Some(Arc::new(api.clone())));
        create(&dry, &[token("ghijkl", 0)], NOW).unwrap();
        assert!(create(&dry, &[token("abcdef", 0)], NOW).is_err());
        assert_eq!(api.mutations(), before);
    }
}
