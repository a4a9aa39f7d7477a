//! PEM, read as generously as Go reads it: what is not a whole block is skipped.

use pem::EncodeConfig;
use pem::LineEnding;
use pem::Pem;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// All blocks that decode, in order. Text between blocks and broken blocks are skipped.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Pem> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(start) = find(rest, BEGIN) {
        rest = &rest[start..];
        let Some(end) = find(rest, END) else { break };
        // A second beginning before the end: the first was broken.
        if let Some(next) = find(&rest[BEGIN.len()..end], BEGIN) {
            rest = &rest[BEGIN.len() + next..];
            continue;
        }
        let line_end =
            rest[end..].iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| end + at + 1);
        found.extend(pem::parse(&rest[..line_end]).ok());
        rest = &rest[line_end..];
    }
    found
}

/// One block as Go and OpenSSL write it: 64 characters a line, ended by a line feed.
pub(super) fn text(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_what_is_not_a_block() {
        let a = text("A", b"one");
        let b = text("B", b"two");
        let broken = "-----BEGIN C-----\n!!!\n-----END C-----\n";
        let cut = "-----BEGIN D-----\nAAAA\n";
        for (input, tags) in [
            (format!("hello\n{a}junk {broken}{b}\0\u{fffd}"), vec!["A", "B"]),
            (format!("{cut}{a}{cut}"), vec!["A"]),
            (a.trim_end().to_owned(), vec!["A"]),
            (a.replace('\n', "\r\n"), vec!["A"]),
            (String::new(), vec![]),
        ] {
            let found: Vec<String> =
                blocks(input.as_bytes()).iter().map(|block| block.tag().to_owned()).collect();
            assert_eq!(found, tags, "{input:?}");
        }
    }
}
