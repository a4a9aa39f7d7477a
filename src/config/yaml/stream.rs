//! A stream of documents, divided where kubeadm divides it: at lines that begin with `---`.

use crate::config::issue::Issue;
use crate::config::issue::Position;
use crate::config::issue::Severity;
use crate::config::yaml::MAX_BYTES;
use crate::config::yaml::MAX_MANIFEST_BYTES;
use crate::config::yaml::Node;
use crate::config::yaml::tree;

/// One document of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where its text begins.
    pub at: Position,
    pub root: Node,
}

/// Reads every document. A broken one is reported and left out; the others are still read. A document of
/// comments alone is a problem, as it is to kubeadm.
pub fn read(file: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Issue>) {
    let (documents, mut issues) = read_all(file, bytes, MAX_BYTES, false);
    if documents.is_empty() && issues.is_empty() {
        let hint = "`kubewright config print init-defaults` prints a file to start from";
        issues.push(whole_file(file, "the file is empty".to_owned(), Some(hint)));
    }
    (documents, issues)
}

/// The same for patches, where a document may be blank.
pub fn read_patches(file: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Issue>) {
    read_all(file, bytes, MAX_BYTES, true)
}

/// The same for objects that others publish.
pub fn read_manifests(file: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Issue>) {
    read_all(file, bytes, MAX_MANIFEST_BYTES, true)
}

fn read_all(file: &str, bytes: &[u8], most: usize, blank_is_fine: bool) -> (Vec<Document>, Vec<Issue>) {
    let mut issues = Vec::new();
    let text = match decode(bytes, most) {
        Ok(text) => text,
        Err((message, hint)) => return (Vec::new(), vec![whole_file(file, message, hint)]),
    };
    let mut documents = Vec::new();
    for chunk in divide(text) {
        match read_chunk(&chunk) {
            Ok(Some(document)) => documents.push(document),
            Ok(None) if blank_is_fine => {}
            Ok(None) => {
                let at = Position { line: chunk.first_line, column: 1 };
                let message = "a document without content: kind and apiVersion are mandatory".to_owned();
                let hint = "remove the `---` that makes these comments a document of their own";
                issues.push(problem(file, Some(at), message, Some(hint)));
            }
            Err((at, message, hint)) => issues.push(problem(file, Some(at), message, hint)),
        }
    }
    (documents, issues)
}

type Problem = (Position, String, Option<&'static str>);

fn whole_file(file: &str, message: String, hint: Option<&str>) -> Issue {
    problem(file, None, message, hint)
}

fn problem(file: &str, at: Option<Position>, message: String, hint: Option<&str>) -> Issue {
    Issue {
        severity: Severity::Error,
        file: file.to_owned(),
        at,
        path: String::new(),
        message,
        hint: hint.map(str::to_owned),
    }
}

fn decode(bytes: &[u8], most: usize) -> Result<&str, (String, Option<&'static str>)> {
    if bytes.len() > most {
        let message = format!("the file has {} bytes; a configuration may have {most}", bytes.len());
        return Err((message, Some("is this the right file?")));
    }
    let hint = Some("is this the right file? a configuration is YAML or JSON text in UTF-8");
    let text = std::str::from_utf8(bytes).map_err(|error| {
        (format!("the file is not text: the byte at offset {} is not UTF-8", error.valid_up_to()), hint)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')) {
        Some(offset) => {
            Err((format!("the file is not text: there is a control character at offset {offset}"), hint))
        }
        None => Ok(text),
    }
}

struct Chunk<'a> {
    first_line: usize,
    text: &'a str,
    /// What follows `---` on the separating line when it is neither blank nor a comment.
    bad_separator: Option<&'a str>,
}

fn divide(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut first_line, mut offset, mut separator) = (0, 1, 0, None);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix("---") {
            chunks.push(Chunk { first_line, text: &text[start..offset], bad_separator: separator });
            let rest = rest.trim();
            separator = (!rest.is_empty() && !rest.starts_with('#')).then_some(rest);
            start = offset + line.len();
            first_line = index + 2;
        }
        offset += line.len();
    }
    chunks.push(Chunk { first_line, text: &text[start..], bad_separator: separator });
    chunks.retain(|chunk| !chunk.text.trim().is_empty() || chunk.bad_separator.is_some());
    chunks
}

fn read_chunk(chunk: &Chunk<'_>) -> Result<Option<Document>, Problem> {
    if chunk.bad_separator.is_some() {
        let at = Position { line: chunk.first_line - 1, column: 4 };
        let hint = Some("only a comment may follow `---` on its line");
        return Err((at, "invalid document separator".to_owned(), hint));
    }
    let at = Position { line: chunk.first_line, column: 1 };
    Ok(tree::build(chunk.text, chunk.first_line)?.map(|root| Document { at, root }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (Vec<String>, Vec<String>) {
        let (documents, issues) = read("f", text.as_bytes());
        let kinds = documents
            .iter()
            .map(|d| format!("{}@{}", d.root.get("kind").unwrap().text().unwrap(), d.at.line));
        (kinds.collect(), issues.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn divides_where_kubeadm_does() {
        assert_eq!(
            kinds("---\nkind: A\n--- # second\nkind: B\n---\n\n---\n"),
            (vec!["A@2".into(), "B@4".into()], vec![])
        );
        assert_eq!(kinds("\u{feff}kind: A\r\n---\r\nkind: B\r\n").0, ["A@1", "B@3"]);
    }

    #[test]
    fn goes_on_after_a_broken_document() {
        let (read, problems) = kinds("kind: A\n---\na: [1\n---\nkind: B\n");
        assert_eq!(read, ["A@1", "B@5"]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("f:3:") || problems[0].starts_with("f:4:"), "{}", problems[0]);
    }

    #[test]
    fn refuses_what_is_no_text() {
        for bytes in [
            &b"\xff\xfe\x00"[..],
            b"a: \x00\n",
            b"\x7fELF",
            &vec![b'a'; MAX_BYTES + 1],
            b"",
            b"\n\n",
            b"---\n",
        ] {
            let (documents, issues) = read("f", bytes);
            assert!(documents.is_empty());
            assert_eq!(issues.len(), 1, "{issues:?}");
        }
    }

    #[test]
    fn refuses_a_document_of_comments() {
        assert_eq!(kinds("# about\n---\nkind: A\n").1.len(), 1);
        assert_eq!(kinds("--- {a: b}\nkind: A\n").1.len(), 1);
    }
}
