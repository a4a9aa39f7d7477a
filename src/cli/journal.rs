//! Journals: what runs over whole clusters did, an event a line, on the operator's machine.
#![expect(
    clippy::disallowed_methods,
    reason = "a file that grows line by line on the machine that this runs on"
)]

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::lock::Holder;
use crate::report;
use crate::report::Event;
use crate::report::plain;
use anyhow::Context as _;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// How many journals of a cluster are kept.
const KEPT: usize = 50;

/// The journal of a run that is at work. Trouble with it never stops the run.
pub(super) struct Journal {
    pub path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Begins one, and removes the oldest of the cluster. `None` without a place for it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn begin(
        settings: &Settings,
        cluster: &str,
        holder: &Holder,
    ) -> Result<Option<Self>, CliError> {
        let Some(home) = &settings.state_home else { return Ok(None) };
        let now = System.now();
        let folder = Path::new(home).join("kubewright").join(file_name(cluster));
        let path = folder.join(format!("{}-{}.jsonl", stamp(now), holder.run));
        let made =
            make(&folder, &path).with_context(|| format!("cannot write the journal `{}`", path.display()));
        let file = made.or_exit(Exit::Failure)?;
        let journal = Self { path, file: Mutex::new(file) };
        journal.write(&json!({
            "schema": report::event::SCHEMA, "event": "run", "run": holder.run, "cluster": cluster,
            "user": holder.user, "machine": holder.machine, "command": holder.command,
            "program": env!("CARGO_PKG_VERSION"),
        }));
        prune(&folder);
        Ok(Some(journal))
    }

    /// Writes an event down; when something failed, it is on the disk before this returns.
    pub(super) fn tell(&self, event: &Event) {
        let mut value = serde_json::to_value(event).expect("an event holds only text and numbers");
        value["schema"] = report::event::SCHEMA.into();
        self.write(&value);
        if matches!(event, Event::Failed { .. } | Event::RunFinished { .. }) {
            let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = file.sync_data();
        }
    }

    fn write(&self, value: &Value) {
        let mut value = value.clone();
        value["time"] = System.now().format(&Rfc3339).unwrap_or_default().into();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for one line: another reader sees whole lines.
        let _ = file.write_all(format!("{value}\n").as_bytes());
    }
}

fn make(folder: &Path, path: &Path) -> std::io::Result<File> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// A name that is one component of a path.
fn file_name(cluster: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = cluster.chars().map(fine).collect();
    if name.trim_matches('.').is_empty() { "cluster".to_owned() } else { name }
}

fn stamp(now: OffsetDateTime) -> String {
    now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default()
}

/// The journals of a folder, oldest first.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    all.sort();
    all
}

fn prune(folder: &Path) {
    let all = journals(folder);
    for path in &all[..all.len().saturating_sub(KEPT)] {
        let _ = std::fs::remove_file(path);
    }
}

/// Show what earlier runs over whole clusters did
#[derive(Debug, Args)]
pub(super) struct JournalCommand {
    #[command(subcommand)]
    command: JournalSub,
}

#[derive(Debug, Subcommand)]
enum JournalSub {
    List(ListArgs),
    Show(ShowArgs),
}

/// List the runs, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubewright journal list\n  kubewright journal list prod")]
struct ListArgs {
    /// Only of this cluster
    #[arg(value_name = "CLUSTER")]
    cluster: Option<String>,
}

/// Show what a run did, step by step
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kubewright journal show\n  kubewright journal show 1f3a09bc\n  kubewright journal show 1f3a09bc --json"
)]
struct ShowArgs {
    /// The run, as `journal list` names it; the last one without
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Print the events as they were written, a JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// There is no such run.
pub(super) fn run(command: &JournalCommand, settings: &Settings) -> Result<Exit, CliError> {
    let root = settings.state_home.as_ref().map(|home| Path::new(home).join("kubewright"));
    match &command.command {
        JournalSub::List(args) => output::data(&list(&all(root.as_deref()), args.cluster.as_deref())),
        JournalSub::Show(args) => show(&all(root.as_deref()), args, settings)?,
    }
    Ok(Exit::Success)
}

/// Every journal, newest first.
fn all(root: Option<&Path>) -> Vec<PathBuf> {
    let folders = root.and_then(|root| std::fs::read_dir(root).ok()).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = folders.flat_map(|folder| journals(&folder.path())).collect();
    all.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    all
}

fn list(journals: &[PathBuf], cluster: Option<&str>) -> String {
    let mut text = format!("{:<10} {:<22} {:<16} {:<12} {}\n", "RUN", "TIME", "CLUSTER", "RESULT", "COMMAND");
    for path in journals {
        let lines = read(path);
        let Some(head) = lines.first() else { continue };
        let field = |name: &str| head[name].as_str().unwrap_or_default();
        if cluster.is_some_and(|cluster| cluster != field("cluster")) {
            continue;
        }
        let (time, result) = (field("time").split('.').next().unwrap_or_default(), result(&lines));
        let _ = writeln!(
            text,
            "{:<10} {time:<22} {:<16} {result:<12} {}",
            field("run"),
            field("cluster"),
            field("command")
        );
    }
    text
}

/// How a run ended, in a word.
fn result(lines: &[Value]) -> &'static str {
    let last = lines.iter().rev().find(|line| line["event"] == "run-finished");
    match last {
        None => "cut off",
        Some(last) if last["interrupted"] == true => "interrupted",
        Some(_) if lines.iter().any(|line| line["event"] == "failed") => "failed",
        Some(_) => "done",
    }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line of a run that was killed may be cut.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn show(journals: &[PathBuf], args: &ShowArgs, settings: &Settings) -> Result<(), CliError> {
    let named = |path: &&PathBuf| match &args.run {
        None => true,
        Some(run) => path.file_stem().is_some_and(|stem| {
            let stem = stem.to_string_lossy();
            stem.ends_with(&format!("-{run}")) || stem == *run
        }),
    };
    let Some(path) = journals.iter().find(named) else {
        let what = args.run.as_ref().map_or_else(|| "any run".to_owned(), |run| format!("the run `{run}`"));
        let error = anyhow::anyhow!("there is no journal of {what} here");
        return Err(CliError::new(Exit::Usage, error).hint("`kubewright journal list` shows the runs"));
    };
    let lines = read(path);
    if args.json {
        for line in lines {
            output::data(&format!(
                "{line}
"
            ));
        }
        return Ok(());
    }
    output::data(&text(&lines, settings));
    Ok(())
}

fn text(lines: &[Value], settings: &Settings) -> String {
    let how = report::Settings {
        verbosity: if settings.verbose { report::Verbosity::Verbose } else { report::Verbosity::Normal },
        ..report::Settings::default()
    };
    let mut text = String::new();
    for line in lines {
        if line["event"] == "run" {
            let field = |name: &str| line[name].as_str().unwrap_or_default();
            let _ = writeln!(
                text,
                "run {} of {}@{}: {}",
                field("run"),
                field("user"),
                field("machine"),
                field("command")
            );
            continue;
        }
        let Ok(event) = serde_json::from_value::<Event>(line.clone()) else { continue };
        let time = line["time"].as_str().unwrap_or_default();
        let time = time.get(11..19).unwrap_or_default();
        if let Some(told) = plain::line(&event, how) {
            let _ = writeln!(text, "{time} {}", told.trim_start());
        }
    }
    text
}
