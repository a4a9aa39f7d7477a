//! `kubewright token list`.

use crate::cli::access;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::token::CommonArgs;
use crate::cli::tokens;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::kube::token;
use crate::kube::token::StoredToken;
use crate::kube::yaml;
use clap::Args;
use clap::ValueEnum;
use serde_json::Value;

/// List the cluster's tokens, secret halves included, as kubeadm does
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubewright token list\n  kubewright token list -o json")]
pub(super) struct ListArgs {
    /// Form of the list; json and yaml are kubeadm's `BootstrapToken` objects, one after the other
    #[arg(short, long, value_enum, default_value_t)]
    output: ListOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    #[default]
    Text,
    Json,
    Yaml,
}

pub(super) fn run(args: &ListArgs, common: &CommonArgs, settings: &Settings) -> Result<Exit, CliError> {
    let (_, api) = common.open(settings)?;
    let secrets = tokens::secrets(&*api).map_err(access::refused)?;
    let (tokens, invalid) = sorted_out(&secrets);
    for why in invalid {
        output::people(&format!("warning: {why}; `kubectl -n kube-system delete secret` removes it\n"));
    }
    output::data(&match args.output {
        ListOutput::Text => token::table(&tokens, System.now()),
        ListOutput::Json => json(&tokens)?,
        ListOutput::Yaml => {
            let documents = tokens.iter().map(|token| yaml::to_string(&token.document()));
            documents.collect::<Vec<_>>().join("---\n")
        }
    });
    Ok(Exit::Success)
}

fn json(tokens: &[StoredToken]) -> Result<String, CliError> {
    let mut text = String::new();
    for token in tokens {
        text.push_str(&serde_json::to_string_pretty(&token.document()).or_exit(Exit::Failure)?);
        text.push('\n');
    }
    Ok(text)
}

/// The tokens, and why the other Secrets are none.
fn sorted_out(secrets: &[Value]) -> (Vec<StoredToken>, Vec<String>) {
    let (mut tokens, mut invalid) = (Vec::new(), Vec::new());
    for secret in secrets {
        match token::read(secret) {
            Ok(token) => tokens.push(token),
            Err(why) => invalid.push(why),
        }
    }
    (tokens, invalid)
}
