//! `kubewright token delete`.

use crate::api::Api;
use crate::cli::access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::token::CommonArgs;
use crate::cluster::Secret;
use crate::config;
use crate::kube::token::secret_ref;
use clap::Args;

/// Delete tokens; nobody can join with them any more
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubewright token delete abcdef")]
pub(super) struct DeleteArgs {
    /// Tokens, by id or in full
    #[arg(value_name = "ID|TOKEN", required = true)]
    tokens: Vec<Secret>,
}

pub(super) fn run(args: &DeleteArgs, common: &CommonArgs, settings: &Settings) -> Result<Exit, CliError> {
    let ids = ids(&args.tokens)?;
    let (_, api) = common.open(settings)?;
    let told = |id: &str| {
        if common.dry_run {
            output::people(&format!("dry run: bootstrap token \"{id}\" would be deleted\n"));
        } else {
            output::data(&format!("bootstrap token \"{id}\" deleted\n"));
        }
    };
    delete(&*api, &ids, &told)?;
    Ok(Exit::Success)
}

/// The ids of all tokens, or an error that counts the malformed ones without repeating them: each may be most of a
/// secret.
fn ids(tokens: &[Secret]) -> Result<Vec<&str>, CliError> {
    let known: Vec<Option<&str>> = tokens.iter().map(|token| config::token_id(token.expose())).collect();
    let wrong: Vec<String> = known
        .iter()
        .enumerate()
        .filter(|(_, id)| id.is_none())
        .map(|(index, _)| (index + 1).to_string())
        .collect();
    if wrong.is_empty() {
        return Ok(known.into_iter().flatten().collect());
    }
    let message = format!("these are no tokens and no ids of tokens: argument {}", wrong.join(", "));
    let error = CliError::new(Exit::Usage, anyhow::anyhow!(message));
    Err(error.hint(
        "a token is [a-z0-9]{6}.[a-z0-9]{16}, its id the first six; `kubewright token list` shows them",
    ))
}

/// Deletes all that exist; those that do not are told together at the end.
fn delete(api: &dyn Api, ids: &[&str], told: &dyn Fn(&str)) -> Result<(), CliError> {
    let mut missing = Vec::new();
    for id in ids {
        match api.delete(&secret_ref(id)) {
            Ok(()) => told(id),
            Err(error) if error.is_missing() => missing.push(format!("\"{id}\"")),
            Err(error) => return Err(access::refused(error)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!("there is no bootstrap token {}", missing.join(", "));
    Err(CliError::new(Exit::Api, error).hint("`kubewright token list` shows those that there are"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Fake;
    use serde_json::json;
    use std::cell::RefCell;

    #[test]
    fn deletes_what_is_there_and_tells_what_is_not() {
        let api = Fake::new();
        for id in ["aaaaaa", "bbbbbb"] {
            let name = secret_ref(id).name;
            api.put(json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": "kube-system"}}));
        }
        let told = RefCell::new(Vec::new());
        let error =
            delete(&api, &["aaaaaa", "cccccc", "bbbbbb"], &|id| told.borrow_mut().push(id.to_owned()));
        assert_eq!(
            error.unwrap_err().to_string().lines().next(),
            Some("error: there is no bootstrap token \"cccccc\"")
        );
        assert_eq!(*told.borrow(), ["aaaaaa", "bbbbbb"]);
        assert!(api.objects().is_empty());
    }

    #[test]
    fn malformed_names_are_refused_together_and_not_repeated() {
        let of = |texts: &[&str]| texts.iter().copied().map(Secret::new).collect::<Vec<_>>();
        assert_eq!(ids(&of(&["abcdef", "ghijkl.0123456789abcdef"])).unwrap(), ["abcdef", "ghijkl"]);
        let error = ids(&of(&["abcdef", "ghijkl.0123456789abcde", "x"])).unwrap_err().to_string();
        assert!(error.contains("argument 2, 3") && !error.contains("0123456789"), "{error}");
    }
}
