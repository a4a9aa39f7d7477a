//! The help of every command, as files to review; `BLESS=1` writes them anew. And its examples: none is a lie.
#![expect(clippy::disallowed_methods, reason = "tests read and bless files")]

use crate::binary::kubewright;
use clap::Command;
use std::env;
use std::fs;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help");

/// Every command with the words that lead to it.
fn commands() -> Vec<(Vec<String>, Command)> {
    let mut found = Vec::new();
    let mut left = vec![(Vec::new(), kubewright::cli::definition())];
    while let Some((words, command)) = left.pop() {
        for inner in command.get_subcommands() {
            left.push(([&words[..], &[inner.get_name().to_owned()]].concat(), inner.clone()));
        }
        found.push((words, command));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// The commands whose phases can be run alone.
const WORKFLOWS: [&str; 3] = ["init", "join", "reset"];

/// A phase that can be run: all of one workflow take the same flags.
fn is_phase(words: &[String], command: &Command) -> bool {
    words.get(1).is_some_and(|word| word == "phase") && words.len() > 2 && !command.has_subcommands()
}

fn help(words: &[String]) -> String {
    let args: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let outcome = kubewright(&args);
    assert_eq!(outcome.err, "", "{args:?}");
    outcome.data()
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = Path::new(FOLDER).join(name);
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(FOLDER).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "tests/help/{name} differs; BLESS=1 accepts what is printed now");
}

#[test]
fn every_command_explains_itself() {
    let mut names = Vec::new();
    for (words, command) in commands() {
        if !is_phase(&words, &command) {
            let name = [&["kubewright".to_owned()], &words[..]].concat().join("-") + ".txt";
            compare(&name, &help(&words));
            names.push(name);
        }
    }
    names.extend(WORKFLOWS.map(a_phase_of));
    for entry in fs::read_dir(FOLDER).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "tests/help/{name} is of no command");
    }
}

fn a_phase_of(workflow: &str) -> String {
    format!("a-phase-of-{workflow}.txt")
}

#[test]
fn every_phase_takes_the_same_flags() {
    for (words, command) in commands().into_iter().filter(|(words, command)| is_phase(words, command)) {
        let summary = command.get_about().unwrap().to_string();
        let text = help(&words);
        assert!(text.starts_with(&format!("{summary}\n\n")), "{words:?}: {text}");
        let generic = format!("{} phase PHASE", words[0]);
        let text = text.replacen(&summary, "WHAT IT DOES", 1).replace(&words.join(" "), &generic);
        compare(&a_phase_of(&words[0]), &text);
    }
}

#[test]
fn every_command_and_flag_says_what_it_is_for() {
    for (words, mut command) in commands() {
        command.build();
        assert!(command.get_about().is_some(), "{words:?} does not say what it does");
        for argument in command.get_arguments().filter(|argument| !argument.is_positional()) {
            assert!(argument.get_help().is_some(), "{words:?}: {} says nothing", argument.get_id());
        }
    }
}

/// The words of a command line as typed in an example: no redirection, and no remark after two spaces.
pub(crate) fn words_of(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.split(" > ").next().unwrap().split("  ").next().unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Whether the program takes these words, the program's name first.
pub(crate) fn is_accepted(words: &[String]) -> Result<(), String> {
    kubewright::cli::definition().try_get_matches_from(words).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_example_can_be_typed() {
    let mut count = 0;
    for (words, command) in commands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let after = after.replace(" \\\n", " ");
        for line in after.lines().filter(|line| line.starts_with("  kubewright ")) {
            let typed = words_of(line);
            assert_eq!(typed.get(1), words.first(), "{words:?} shows the example of another command: {line}");
            is_accepted(&typed).unwrap_or_else(|error| panic!("{line}\n{error}"));
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} examples were found");
}
