//! The README and the other documents, typed: what they show is what happens. `BLESS=1` writes what happens now.
//!
//! ```` ```console ```` blocks are run one after another, those of a document in one directory, and their output is compared; a line `…`
//! stands for any lines. Of ```` ```sh ```` blocks, lines with `cargo run` are run too, and their output is compared with
//! an ```` ```output ```` block that follows. Everything else there needs a host, and must be something that the program
//! takes.
#![expect(clippy::disallowed_methods, reason = "tests read and bless files")]

use crate::binary::Outcome;
use crate::binary::kubewright;
use crate::binary::shell;
use crate::help::is_accepted;
use crate::help::words_of;
use crate::support::text;
use kubewright::cli::exit::Exit;
use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A fenced block: its language and its lines.
struct Block {
    language: String,
    lines: Vec<String>,
}

/// A document as text between blocks, and blocks.
fn parts(text: &str) -> Vec<(Vec<String>, Option<Block>)> {
    let mut parts = vec![(Vec::new(), None)];
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => {
                parts.last_mut().unwrap().1 = open.take();
                parts.push((Vec::new(), None));
            }
            (Some(block), _) => block.lines.push(line.to_owned()),
            (None, Some(language)) => open = Some(Block { language: language.to_owned(), lines: Vec::new() }),
            (None, None) => parts.last_mut().unwrap().0.push(line.to_owned()),
        }
    }
    assert!(open.is_none(), "a block has no end");
    parts
}

/// What an operator would see: `cargo run --` is the program, which the test has built.
fn typed(command: &str, directory: &Path) -> Vec<String> {
    let line = command.replace("cargo run -- ", "kubewright ");
    let Outcome { out, err, .. } = shell(&format!("{{ {line} ; }} 2>&1"), directory);
    (out + &err).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether `shown` stands for `seen`.
fn stands_for(shown: &[String], seen: &[String]) -> bool {
    match shown.split_first() {
        None => seen.is_empty(),
        Some((line, rest)) if line == "…" => {
            (0..=seen.len()).any(|skipped| stands_for(rest, &seen[skipped..]))
        }
        Some((line, rest)) => {
            seen.split_first().is_some_and(|(first, seen)| first == line && stands_for(rest, seen))
        }
    }
}

/// Commands of a block with what is shown below each.
fn sessions(block: &Block) -> Vec<(String, Vec<String>)> {
    let mut sessions: Vec<(String, Vec<String>)> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), sessions.last_mut()) {
            (Some(command), _) => sessions.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) => output.push(line.clone()),
            (None, None) => panic!("a console block starts with output: {line}"),
        }
    }
    sessions
}

/// The block as it should be, with the output of now where the output shown does not stand for it.
fn replayed(block: &Block, directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for (command, shown) in sessions(block) {
        let seen = typed(&command, directory);
        lines.push(format!("$ {command}"));
        lines.extend(if stands_for(&shown, &seen) { shown } else { seen });
    }
    lines
}

/// The documents for operators.
fn documents() -> Vec<PathBuf> {
    let docs = text::files(&Path::new(ROOT).join("docs"));
    let docs = docs.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"));
    let beside = ["README.md", "playbooks/README.md", "vagrant/README.md"];
    let all: Vec<PathBuf> = beside.iter().map(|name| Path::new(ROOT).join(name)).chain(docs).collect();
    assert!(all.len() >= 8, "only {} documents", all.len());
    all
}

#[test]
fn shows_what_happens() {
    let count: usize = documents().iter().map(|path| replay(path)).sum();
    assert!(count > 8, "the documents show hardly anything");
}

/// Types what a document shows; how many blocks were compared.
fn replay(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let scratch = TempDir::new().unwrap();
    let mut now = String::new();
    let mut count = 0;
    let mut printed = Vec::new();
    for (between, block) in parts(&text) {
        now.extend(between.iter().map(|line| format!("{line}\n")));
        let Some(block) = block else { continue };
        count += usize::from(["console", "output"].contains(&block.language.as_str()));
        let lines = match block.language.as_str() {
            "console" => replayed(&block, scratch.path()),
            "output" if stands_for(&block.lines, &printed) => block.lines,
            "output" => printed.clone(),
            _ => block.lines,
        };
        printed.clear();
        if block.language == "sh" {
            let commands = lines.iter().filter(|line| line.starts_with("cargo run -- "));
            printed = commands.flat_map(|line| typed(line, scratch.path())).collect();
        }
        now.extend(["```", &block.language, "\n", &lines.join("\n"), "\n```\n"]);
    }
    if env::var_os("BLESS").is_some() {
        fs::write(path, &now).unwrap();
        return count;
    }
    assert_eq!(text, now, "{} shows something else; BLESS=1 writes what happens now", path.display());
    count
}

#[test]
fn every_command_for_a_host_can_be_typed() {
    let mut count = 0;
    let texts: Vec<String> = documents().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let blocks = texts.iter().flat_map(|text| parts(text)).filter_map(|(_, block)| block);
    for line in blocks.filter(|block| block.language == "sh").flat_map(|block| block.lines) {
        let line = line.split(" #").next().unwrap().trim();
        let line = line.strip_prefix("sudo ").unwrap_or(line).replace("cargo run -- ", "kubewright ");
        if line.starts_with("kubewright ") {
            is_accepted(&words_of(&line)).unwrap_or_else(|error| panic!("{line}\n{error}"));
            count += 1;
        } else if line.starts_with("tests/") {
            assert!(Path::new(ROOT).join(line.split(' ').next().unwrap()).exists(), "{line}");
        }
    }
    assert!(count > 20, "the documents type hardly anything");
}

#[test]
fn names_every_command_and_every_exit_code() {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for (exit, meaning) in Exit::TABLE {
        let row = format!("| {} | {meaning} |", exit as u8);
        assert!(text.contains(&row), "the README lacks {row}");
    }
    for command in kubewright::cli::definition().get_subcommands() {
        assert!(
            text.contains(&format!("| `{}", command.get_name())),
            "the README lacks {}",
            command.get_name()
        );
    }
}

#[test]
fn the_reference_of_the_configuration_is_what_the_program_prints() {
    let path = Path::new(ROOT).join("docs/configuration.md");
    let printed = kubewright(&["config", "reference"]).data();
    if text::blessing() {
        fs::write(&path, &printed).unwrap();
    }
    text::assert_same("docs/configuration.md", &text::read(&path), &printed);
}

/// A path of the repository in a document leads somewhere.
#[test]
fn documents_name_files_that_are_there() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let ours = ["docs/", "playbooks/", "vagrant/", "tests/", "benches/", "release/"];
            let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if plain && ours.iter().any(|folder| word.starts_with(folder)) {
                assert!(Path::new(ROOT).join(word).exists(), "{} names {word}", path.display());
            }
        }
    }
}

#[test]
fn a_dots_line_stands_for_any_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, seen, expected) in [
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…", "a", true),
        ("…\nc", "a\nb", false),
        ("a\nb", "a", false),
        ("", "", true),
    ] {
        assert_eq!(stands_for(&lines(shown), &lines(seen)), expected, "{shown:?} {seen:?}");
    }
}
