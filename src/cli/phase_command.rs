//! `init phase …`: one command for each phase, made from the table of phases.

use crate::cli::init_args::InitArgs;
use crate::cli::init_args::PhaseArgs;
use crate::phase::Phase;
use crate::phase::workflow::INIT;
use clap::ArgMatches;
use clap::Args;
use clap::Command;
use clap::FromArgMatches;
use clap::Subcommand;

/// A phase that was asked for by name, with its flags.
#[derive(Debug, Clone)]
pub(super) struct PhaseCommand {
    /// `certs/apiserver`; a parent's name stands for all its children.
    pub name: String,
    pub init: InitArgs,
    pub phase: PhaseArgs,
}

impl FromArgMatches for PhaseCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut path = Vec::new();
        let mut matches = matches;
        while let Some((name, inner)) = matches.subcommand() {
            if name != "all" {
                path.push(name.to_owned());
            }
            matches = inner;
        }
        Ok(Self {
            name: path.join("/"),
            init: InitArgs::from_arg_matches(matches)?,
            phase: PhaseArgs::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for PhaseCommand {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(INIT.iter().map(phase_command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        INIT.iter().any(|phase| phase.name == name)
    }
}

fn phase_command(phase: &'static Phase) -> Command {
    let command = Command::new(phase.name).aliases(phase.aliases);
    if phase.children.is_empty() {
        return with_flags(command, phase.summary);
    }
    let all = with_flags(Command::new("all"), "Run all of these phases");
    command
        .about(phase.summary)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(all)
        .subcommands(phase.children.iter().map(phase_command))
}

/// What is said last stays: clap takes the comment of a group of flags for the summary of the command.
fn with_flags(command: Command, summary: &'static str) -> Command {
    PhaseArgs::augment_args(InitArgs::augment_args(command)).about(summary)
}
