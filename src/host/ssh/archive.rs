//! A tar archive (POSIX.1-1988 ustar, long names as GNU tar writes them), piece by piece: contents are never copied
//! as a whole.

use crate::host::ssh::talk::PIECE;
use std::borrow::Cow;

const BLOCK: usize = 512;
const NAME: usize = 100;

/// What is in an archive.
pub(super) struct Member<'a> {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

/// The bytes of an archive, its end included.
pub(super) fn pieces(members: Vec<Member<'_>>) -> impl Iterator<Item = Cow<'_, [u8]>> {
    members.into_iter().flat_map(|member| of_member(&member)).chain([Cow::Owned(vec![0; 2 * BLOCK])])
}

/// How many bytes [`pieces`] gives.
pub(super) fn size(members: &[Member<'_>]) -> usize {
    let long = |text: &str| if text.len() > NAME { BLOCK + padded(text.len() + 1) } else { 0 };
    let of = |member: &Member<'_>| match &member.content {
        Content::File(content) => long(&member.path) + BLOCK + padded(content.len()),
        Content::Link(target) => long(&member.path) + long(target) + BLOCK,
    };
    members.iter().map(of).sum::<usize>() + 2 * BLOCK
}

fn padded(size: usize) -> usize {
    size.div_ceil(BLOCK) * BLOCK
}

fn of_member<'a>(member: &Member<'a>) -> Vec<Cow<'a, [u8]>> {
    let mut head = Vec::new();
    long(&mut head, b'L', &member.path);
    match member.content {
        Content::Link(target) => {
            long(&mut head, b'K', target);
            head.extend(header(&member.path, b'2', 0, member, target));
            vec![Cow::Owned(head)]
        }
        Content::File(content) => {
            head.extend(header(&member.path, b'0', content.len(), member, ""));
            // Small files travel with their headers.
            if content.len() < PIECE / 16 {
                head.extend_from_slice(content);
                head.resize(padded(head.len()), 0);
                return vec![Cow::Owned(head)];
            }
            let end = Cow::Owned(vec![0; padded(content.len()) - content.len()]);
            let middle = content.chunks(PIECE).map(Cow::Borrowed);
            [Cow::Owned(head)].into_iter().chain(middle).chain([end]).collect()
        }
    }
}

/// A name that is too long for its field comes before the member, as the content of one of its own.
fn long(head: &mut Vec<u8>, kind: u8, text: &str) {
    if text.len() <= NAME {
        return;
    }
    let own =
        Member { path: String::new(), mode: 0o644, owner: (0, 0), content: Content::File(text.as_bytes()) };
    head.extend(header("././@LongLink", kind, text.len() + 1, &own, ""));
    head.extend_from_slice(text.as_bytes());
    head.push(0);
    head.resize(padded(head.len()), 0);
}

fn header(path: &str, kind: u8, size: usize, member: &Member<'_>, target: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, length: usize, bytes: &[u8]| {
        let length = length.min(bytes.len());
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    field(0, NAME, path.as_bytes());
    field(100, 8, format!("{:07o}", member.mode & 0o7777).as_bytes());
    field(108, 8, &id(member.owner.0));
    field(116, 8, &id(member.owner.1));
    field(124, 12, format!("{size:011o}").as_bytes());
    field(136, 12, b"00000000000");
    field(148, 8, b"        ");
    field(156, 1, &[kind]);
    field(157, NAME, target.as_bytes());
    field(257, 8, b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Seven octal digits, or GNU's binary form for what does not fit.
fn id(number: u32) -> [u8; 8] {
    let mut field = [0; 8];
    if number < 0o1000_0000 {
        field[..7].copy_from_slice(format!("{number:07o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&number.to_be_bytes());
    }
    field
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tar is asked, and files are looked at")]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;
    use std::process::Stdio;

    #[test]
    fn tar_finds_in_it_what_was_put_in() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        let deep = format!("{root}/{}/{}", "d".repeat(90), "n".repeat(200));
        let target = "t".repeat(150);
        let big: Vec<u8> = (0..700_001_u32).flat_map(u32::to_le_bytes).collect();
        let file = |path: String, mode, content| Member {
            path,
            mode,
            owner: (0, 0),
            content: Content::File(content),
        };
        let members = || {
            vec![
                file(format!("{root}/odd\nname é"), 0o600, b"\0\xff\n"),
                file(format!("{root}/empty"), 0o4755, b""),
                file(deep.clone(), 0o640, b"deep"),
                file(format!("{root}/big"), 0o644, &big),
                Member {
                    path: format!("{root}/link"),
                    mode: 0o777,
                    owner: (0, 0),
                    content: Content::Link(&target),
                },
            ]
        };
        let bytes: Vec<u8> = pieces(members()).flat_map(Cow::into_owned).collect();
        assert_eq!(bytes.len(), size(&members()));
        let mut tar = Command::new("tar")
            .args(["-x", "-p", "-m", "-P", "--no-same-owner", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(tar.wait().unwrap().success());
        let found = |path: &str| (fs::read(path).unwrap(), fs::metadata(path).unwrap().mode() & 0o7777);
        assert_eq!(found(&format!("{root}/odd\nname é")), (b"\0\xff\n".to_vec(), 0o600));
        assert_eq!(found(&format!("{root}/empty")), (Vec::new(), 0o4755));
        assert_eq!(found(&deep), (b"deep".to_vec(), 0o640));
        // Nobody wants to read the difference.
        let whole = found(&format!("{root}/big")).0 == big;
        assert!(whole);
        assert_eq!(fs::read_link(format!("{root}/link")).unwrap().to_str().unwrap(), target);
    }

    #[test]
    fn large_numbers_fit() {
        assert_eq!(&id(1000), b"0001750\0");
        assert_eq!(id(u32::MAX), [0x80, 0, 0, 0, 255, 255, 255, 255]);
    }
}
