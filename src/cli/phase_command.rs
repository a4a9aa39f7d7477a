//! `init phase …`, `join phase …`: one command for each phase, made from the table of phases.

use crate::phase::Phase;
use clap::ArgMatches;
use clap::Args;
use clap::Command;
use clap::FromArgMatches;
use clap::Subcommand;

/// A workflow whose phases can be run alone, with the flags that each of them takes.
pub(super) trait Workflow: Args {
    const PHASES: &'static [Phase];
}

/// A phase that was asked for by name, with its flags.
#[derive(Debug, Clone)]
pub(super) struct PhaseCommand<W> {
    /// `certs/apiserver`; a parent's name stands for all its children.
    pub name: String,
    pub args: W,
}

impl<W: Workflow> FromArgMatches for PhaseCommand<W> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut path = Vec::new();
        let mut matches = matches;
        while let Some((name, inner)) = matches.subcommand() {
            if name != "all" {
                path.push(name.to_owned());
            }
            matches = inner;
        }
        Ok(Self { name: path.join("/"), args: W::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<W: Workflow> Subcommand for PhaseCommand<W> {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(W::PHASES.iter().map(phase_command::<W>))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        W::PHASES.iter().any(|phase| phase.name == name)
    }
}

fn phase_command<W: Workflow>(phase: &'static Phase) -> Command {
    let command = Command::new(phase.name).aliases(phase.aliases);
    if phase.children.is_empty() {
        return with_flags::<W>(command, phase.summary);
    }
    let all = with_flags::<W>(Command::new("all"), "Run all of these phases");
    command
        .about(phase.summary)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(all)
        .subcommands(phase.children.iter().map(phase_command::<W>))
}

/// What is said last stays: clap takes the comment of a group of flags for the summary of the command.
fn with_flags<W: Workflow>(command: Command, summary: &'static str) -> Command {
    W::augment_args(command).about(summary)
}
